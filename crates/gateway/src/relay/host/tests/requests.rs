//! What is asked for in a channel besides its program: all that passes is on record.

use bartizan_audit::LogOptions;
use bartizan_decode::Protocol;
use bartizan_model::event::Body;
use bartizan_model::observation::DecodeStop;
use bartizan_record::{RecordedSession, What};
use bartizan_ssh::wire::connection::{GlobalRequest, GlobalRequestType, PtyModes, PtyRequest};

use super::*;

fn pty() -> RequestType<'static> {
    RequestType::PtyReq(PtyRequest { term: b"xterm", size: Default::default(), modes: PtyModes(b"") })
}

async fn session() -> Wire {
    let mut wire = Wire::new(Rig::new(vec![rule("all", "shell,exec,scp,sftp:read,sftp:write")]).await).await;
    wire.session(0);
    wire.heard(Side::Target);
    wire
}

impl Wire {
    /// Asks without wanting a reply.
    fn tells(&mut self, request_type: RequestType<'_>) {
        assert!(!self.client(&request(0, request_type, false)));
    }

    /// Sends input and closes the channel; gives how much of the input was kept.
    async fn kept(&mut self, input: &[u8]) -> u64 {
        self.client(&data(0, input));
        let digests = self.host.recorder.close_channel(0, Duration::ZERO).await.unwrap();
        assert_eq!(digests.input.bytes, input.len() as u64);
        digests.input.kept
    }

    /// Why requests were refused, by the log.
    async fn reasons(&self) -> Vec<String> {
        let events = self.events("channel.request").await.into_iter();
        let reasons = events.filter_map(|event| match event.body {
            Body::ChannelRequest { reason, .. } => reason,
            _ => None,
        });
        reasons.collect()
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_terminal_that_comes_after_the_program_takes_no_input_out_of_the_recording() {
    let mut wire = session().await;
    wire.starts(0, RequestType::Exec { command: b"bash -s" }).await;
    wire.target(&success(0));
    wire.heard(Side::Target);
    wire.tells(pty());
    assert!(wire.heard(Side::Target).is_empty(), "it goes no further");
    assert_eq!(wire.reasons().await, ["a terminal comes before the program"]);
    assert_eq!(wire.kept(b"id\n").await, 3);
}

#[tokio::test(flavor = "current_thread")]
async fn a_terminal_is_one_when_the_target_says_so() {
    for (answer, kept) in [(None, 3), (Some(failure(0)), 3), (Some(success(0)), 0)] {
        let mut wire = session().await;
        wire.tells(pty());
        assert_eq!(wire.heard(Side::Target), [request(0, pty(), true).to_payload()], "we want the reply");
        wire.starts(0, RequestType::Exec { command: b"bash -s" }).await;
        wire.heard(Side::Client);
        if let Some(answer) = &answer {
            wire.target(answer);
        }
        assert!(wire.heard(Side::Client).is_empty(), "the client wanted none");
        assert_eq!(wire.kept(b"id\n").await, kept, "{answer:?}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn sftp_does_not_run_in_a_terminal() {
    for asked in [SFTP, RequestType::Exec { command: b"/usr/lib/openssh/sftp-server" }] {
        let mut wire = session().await;
        assert!(!wire.asks(0, pty()));
        wire.target(&success(0));
        wire.heard(Side::Target);
        assert!(!wire.asks(0, asked), "{asked:?}");
        let to_target = wire.heard(Side::Target);
        let close = Message::Close { recipient_channel: 0 }.to_payload();
        assert!(to_target.iter().all(|payload| *payload == close), "{asked:?}: {to_target:?}");
        assert_eq!(wire.events("access.deny").await.len(), 1, "{asked:?}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn that_a_terminal_is_in_a_decoders_way_is_told() {
    for (command, decoder) in [
        (&b"scp -t /tmp"[..], Protocol::Scp),
        (b"git-upload-pack '/srv/a.git'", Protocol::Git),
        (b"rsync --server -vlogDtpre.iLsfxCIvu . /tmp", Protocol::Rsync),
    ] {
        let mut wire = session().await;
        assert!(!wire.asks(0, pty()));
        wire.starts(0, RequestType::Exec { command }).await;
        let stops = wire.events("decode.stop").await;
        assert_eq!(stops.len(), 1, "{decoder:?}");
        let Body::DecodeStop(DecodeStop { reason, derived, .. }) = &stops[0].body else {
            panic!("{stops:?}")
        };
        assert_eq!((reason.as_str(), derived.decoder), ("a terminal is in the way", decoder));
    }
    let mut wire = session().await;
    assert!(!wire.asks(0, pty()));
    wire.starts(0, RequestType::Exec { command: b"top" }).await;
    assert!(wire.events("decode.stop").await.is_empty());
}

#[tokio::test(flavor = "current_thread")]
async fn what_is_permitted_is_on_record_however_much_was_refused() {
    let mut wire = session().await;
    for _ in 0..1000 {
        wire.tells(RequestType::Env { name: b"BASH_ENV", value: b"x" });
    }
    wire.tells(RequestType::Env { name: b"LC_X", value: b"rm -rf /" });
    let passed = request(0, RequestType::Env { name: b"LC_X", value: b"rm -rf /" }, false).to_payload();
    assert_eq!(wire.heard(Side::Target), [passed]);
    let permitted = |event: &&Event| matches!(&event.body, Body::ChannelRequest { reason: None, .. });
    let events = wire.events("channel.request").await;
    assert_eq!(events.iter().filter(permitted).count(), 1);
    assert_eq!(events.len(), 500, "499 of the refused ones");
    wire.host.tell_unsaid();
    let told = wire.events("anomaly").await;
    let Body::Anomaly { detail, .. } = &told[1].body else { panic!("{told:?}") };
    assert_eq!((told.len(), detail.as_str()), (2, "501 requests, refused or unknown"));
    wire.host.tell_unsaid();
    assert_eq!(wire.events("anomaly").await.len(), 2, "it is said once");
}

#[tokio::test(flavor = "current_thread")]
async fn refused_variables_hide_no_refused_files() {
    let mut wire = Wire::new(Rig::new(vec![ruled("files", "sftp:read,sftp:write")]).await).await;
    wire.session(0);
    for _ in 0..600 {
        wire.tells(RequestType::Env { name: b"BASH_ENV", value: b"x" });
    }
    wire.starts(0, SFTP).await;
    wire.target(&success(0));
    wire.client(&data(0, &init()));
    wire.target(&data(0, &[0, 0, 0, 5, 2, 0, 0, 0, 3]));
    wire.client(&data(0, &remove(1, b"/etc/passwd")));
    assert_eq!(wire.events("sftp.refuse").await.len(), 1);
}

#[tokio::test(flavor = "current_thread")]
async fn variables_are_so_many_and_so_long_that_events_hold_them() {
    let mut wire = session().await;
    let long = [b'x'; 4096];
    wire.tells(RequestType::Env { name: b"LC_A", value: &long[..4092] });
    wire.tells(RequestType::Env { name: b"LC_A", value: &long[..4093] });
    for _ in 0..40 {
        wire.tells(RequestType::Env { name: b"LC_B", value: b"" });
    }
    assert_eq!(wire.heard(Side::Target).len(), 32);
    let reasons = wire.reasons().await;
    assert_eq!(reasons[0], "a variable has at most 4 KiB");
    assert_eq!(reasons[1..], vec!["a channel has at most 32 variables"; 9]);
}

#[tokio::test(flavor = "current_thread")]
async fn requests_that_pass_come_to_an_end() {
    let mut wire = session().await;
    for _ in 0..1100 {
        wire.tells(RequestType::Signal { name: b"INT" });
    }
    assert_eq!(wire.heard(Side::Target).len(), 1000);
    assert_eq!(wire.events("channel.request").await.len(), 1100, "each is on record");
    wire.tells(RequestType::WindowChange(Default::default()));
    assert_eq!(wire.heard(Side::Target).len(), 1, "and the terminal's size goes on");
}

#[tokio::test(flavor = "current_thread")]
async fn what_nobody_knows_passes_short_and_with_its_event() {
    for side in Side::BOTH {
        let mut wire = session().await;
        let other = side.other();
        wire.heard(other);
        let says = |wire: &mut Wire, name, data: &[u8]| {
            let unknown = request(0, RequestType::Unknown { name, data }, false);
            assert!(!wire.says(side, &unknown));
            wire.heard(other).len()
        };
        assert_eq!(says(&mut wire, "x@example.com", &[0; 65]), 0, "{side}");
        let passed: usize = (0..600).map(|_| says(&mut wire, "x@example.com", &[0; 64])).sum();
        assert_eq!(passed, wire.events("channel.request").await.len() - 1, "{side}: one was refused");
        assert!(passed < 600, "{side}");
        if side == Side::Client {
            assert_eq!(says(&mut wire, "winadj@putty.projects.tartarus.org", b""), 1, "PuTTY goes on");
        }
    }
}

#[tokio::test(flavor = "current_thread")]
async fn global_requests_that_nobody_knows_are_refused() {
    for side in Side::BOTH {
        let mut wire = session().await;
        wire.heard(Side::Client);
        let says = |wire: &mut Wire, request_type| {
            let request = Message::GlobalRequest(GlobalRequest { want_reply: true, request_type });
            assert!(!wire.says(side, &request));
            (wire.heard(side), wire.heard(side.other()))
        };
        let refused = (vec![Message::RequestFailure.to_payload()], Vec::new());
        for name in ["x@example.com", "keepalive@lag.net"] {
            let asked = GlobalRequestType::Unknown { name, data: &[0; 1000] };
            assert_eq!(says(&mut wire, asked), refused, "{side} {name}");
        }
        assert_eq!(says(&mut wire, GlobalRequestType::Keepalive).1.len(), 1, "{side}");
        assert_eq!(wire.events("anomaly").await.len(), 1, "{side}: of the one that is no question for life");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_global_request_goes_no_further_once_the_log_refuses() {
    let options = LogOptions { hard_events: 0, ..LogOptions::default() };
    let mut wire = Wire::new(Rig::logging(vec![rule("all", "exec")], options).await).await;
    wire.client(&open(0, ChannelType::Session));
    assert!(wire.host.failure.is_some());
    let request_type = GlobalRequestType::Keepalive;
    wire.client(&Message::GlobalRequest(GlobalRequest { want_reply: false, request_type }));
    assert!(wire.heard(Side::Target).is_empty());
}

#[tokio::test(flavor = "current_thread")]
async fn a_command_that_no_event_holds_is_in_the_recording_whole() {
    let mut wire = session().await;
    let long = [b"echo ", "\u{e9}\n".repeat(50_000).as_bytes()].concat();
    wire.starts(0, RequestType::Exec { command: &long }).await;
    let events = wire.events("command").await;
    let Body::Command { length, sha256: Some(sha256), .. } = &events[0].body else { panic!("{events:?}") };
    assert_eq!(*length, long.len() as u64);
    assert_eq!(wire.host.recorder.command(1, &long, Duration::ZERO), *sha256);
    wire.host.recorder.close_channel(0, Duration::ZERO).await.unwrap();
    let folder = wire.rig.shared.recordings.folder(wire.host.recorder.session());
    let events = RecordedSession::open(folder).unwrap().events(0).unwrap();
    let markers = events.filter_map(|event| match event.unwrap().what {
        What::Marker(text) => Some(text),
        _ => None,
    });
    let markers: Vec<String> = markers.collect();
    assert!(markers.len() > 20, "{}", markers.len());
    let first = format!("command, part 1 of {}: echo \u{e9}\\n", markers.len());
    assert!(markers[0].starts_with(&first), "{}", markers[0]);
    let whole: String = markers.iter().map(|marker| marker.split_once(": ").unwrap().1).collect();
    assert_eq!(whole, bartizan_model::escape(&long));
}

#[tokio::test(flavor = "current_thread")]
async fn a_forwarded_connection_has_no_terminal() {
    let mut wire = Wire::new(Rig::new(vec![rule("all", "exec,forward:local")]).await).await;
    let (host, port) = (b"10.0.0.1", 80);
    let to = ChannelType::DirectTcpip { host, port, originator_address: b"", originator_port: 0 };
    assert!(wire.client(&open(0, to)));
    wire.release().await;
    wire.target(&confirmed(0));
    wire.heard(Side::Target);
    wire.tells(pty());
    assert!(wire.heard(Side::Target).is_empty());
    assert_eq!(wire.reasons().await, ["only a session has a terminal"]);
    assert_eq!(wire.kept(b"id\n").await, 3);
}
