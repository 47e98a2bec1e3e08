//! The ends that we make: what each end is told, and what it may still have in flight.

use super::super::*;
use super::rig::*;
use crate::connection::model::Wish;
use crate::wire::connection::*;

const EOF_C: Message<'static> = Message::Eof { recipient_channel: C };
const CLOSE_C: Message<'static> = Message::Close { recipient_channel: C };
const CLOSE_T: Message<'static> = Message::Close { recipient_channel: T };

fn exit_status(rig: &mut Rig) {
    rig.target_sends(&request(C, RequestType::ExitStatus { status: 0 }, false));
}

/// A state, how to get there, and what the two ends are told when it is terminated and when its target is lost.
type Row = (&'static str, fn() -> Rig, Vec<&'static str>, Vec<&'static str>);

fn table() -> Vec<Row> {
    const SAID: &str = "client CHANNEL_EXTENDED_DATA \"bye\\n\"";
    const SIGNAL: &str = "client CHANNEL_REQUEST exit-signal";
    const EOF: &str = "client CHANNEL_EOF";
    const CLOSE: &str = "client CHANNEL_CLOSE";
    const TARGET_CLOSE: &str = "target CHANNEL_CLOSE";
    vec![
        ("running", Rig::with_program, vec![SAID, SIGNAL, EOF, CLOSE, TARGET_CLOSE], vec![SIGNAL, CLOSE]),
        ("nothing started", Rig::with_channel, vec![SAID, EOF, CLOSE, TARGET_CLOSE], vec![CLOSE]),
        (
            "client said EOF",
            || {
                let mut rig = Rig::with_program();
                rig.client_sends(&Message::Eof { recipient_channel: T });
                rig
            },
            vec![SAID, SIGNAL, EOF, CLOSE, TARGET_CLOSE],
            vec![SIGNAL, CLOSE],
        ),
        (
            "target said EOF",
            || {
                let mut rig = Rig::with_program();
                rig.target_sends(&EOF_C);
                rig
            },
            vec![SIGNAL, CLOSE, TARGET_CLOSE],
            vec![SIGNAL, CLOSE],
        ),
        (
            "exit status, more data may come",
            || {
                let mut rig = Rig::with_program();
                exit_status(&mut rig);
                rig
            },
            vec![SAID, EOF, CLOSE, TARGET_CLOSE],
            vec![],
        ),
        (
            "exit status and EOF",
            || {
                let mut rig = Rig::with_program();
                exit_status(&mut rig);
                rig.target_sends(&EOF_C);
                rig
            },
            vec![CLOSE, TARGET_CLOSE],
            vec![CLOSE],
        ),
        (
            "target closed",
            || {
                let mut rig = Rig::with_program();
                rig.target_sends(&CLOSE_C);
                rig
            },
            vec![TARGET_CLOSE],
            vec![],
        ),
        (
            "client closed",
            || {
                let mut rig = Rig::with_program();
                rig.client_sends(&CLOSE_T);
                rig
            },
            vec![SIGNAL, EOF, CLOSE],
            vec![SIGNAL, CLOSE],
        ),
        (
            "opening",
            || {
                let mut rig = Rig::new();
                rig.client_sends(&open(C, ChannelType::Session));
                rig
            },
            vec!["client CHANNEL_OPEN_FAILURE administratively prohibited"],
            vec!["client CHANNEL_OPEN_FAILURE connect failed"],
        ),
        (
            "open held",
            || {
                let mut rig = Rig::new();
                let held = open(C, ChannelType::Unknown { name: "x", data: b"hold+" });
                assert_eq!(rig.feed(Side::Client, &held), Ok(Flow::Held));
                rig
            },
            vec!["client CHANNEL_OPEN_FAILURE administratively prohibited"],
            vec!["client CHANNEL_OPEN_FAILURE connect failed"],
        ),
        (
            "request held",
            || {
                let mut rig = Rig::with_program();
                assert_eq!(rig.feed(Side::Client, &wishing(T, Wish::HoldPass(true))), Ok(Flow::Held));
                rig
            },
            vec![SAID, SIGNAL, EOF, CLOSE, TARGET_CLOSE],
            vec![SIGNAL, CLOSE],
        ),
        (
            "opening by the target",
            || {
                let mut rig = Rig::new();
                rig.target_sends(&open(T, ChannelType::AuthAgent));
                rig
            },
            vec!["target CHANNEL_OPEN_FAILURE administratively prohibited"],
            vec![],
        ),
        (
            "channel of the target",
            || {
                let mut rig = Rig::new();
                rig.target_sends(&open(T, ChannelType::AuthAgent));
                rig.client_sends(&confirm(T, C));
                rig
            },
            vec![EOF, CLOSE, TARGET_CLOSE],
            vec![],
        ),
        (
            "global requests waiting",
            || {
                let mut rig = Rig::new();
                rig.client_sends(&global(Wish::Pass(true)));
                rig.client_sends(&global(Wish::Swallow));
                rig.target_sends(&global(Wish::Pass(true)));
                assert_eq!(rig.feed(Side::Client, &global(Wish::HoldPass(true))), Ok(Flow::Held));
                rig
            },
            vec![
                "target REQUEST_FAILURE",
                "client REQUEST_FAILURE",
                "client REQUEST_SUCCESS \"ours\"",
                "client REQUEST_FAILURE",
            ],
            vec!["client REQUEST_FAILURE", "client REQUEST_SUCCESS \"ours\"", "client REQUEST_FAILURE"],
        ),
    ]
}

#[test]
fn what_each_end_is_told() {
    for (name, rig, terminated, lost) in table() {
        let mut ended = rig();
        ended.out.0.clear();
        ended.relay.terminate("bye", &mut ended.host, &mut ended.out);
        assert_eq!(ended.sent(), terminated, "{name}, terminated");
        let mut ended = rig();
        ended.out.0.clear();
        ended.relay.lost_target(&mut ended.host, &mut ended.out);
        assert_eq!(ended.sent(), lost, "{name}, target lost");
    }
}

#[test]
fn the_host_hears_the_end_of_each_channel_once() {
    for (name, rig, ..) in table() {
        for lost_only in [false, true] {
            let mut rig = rig();
            if !lost_only {
                rig.relay.terminate("bye", &mut rig.host, &mut rig.out);
                rig.relay.terminate("again", &mut rig.host, &mut rig.out);
            }
            rig.relay.lost_target(&mut rig.host, &mut rig.out);
            let ends = |heard: &&String| heard.ends_with(" closed") || heard.contains("open failed");
            assert_eq!(rig.host.heard.iter().filter(ends).count(), rig.host.keys.len(), "{name}");
            for side in Side::BOTH {
                assert!(!rig.relay.is_held(side), "{name}");
            }
        }
    }
}

#[test]
fn what_is_in_flight_is_dropped_and_the_closes_end_it() {
    let mut rig = Rig::with_program();
    let key = rig.key();
    rig.client_sends(&wishing(T, Wish::Pass(true)));
    rig.out.0.clear();
    assert!(rig.relay.terminate_channel(key, "", &mut rig.host, &mut rig.out));
    assert!(!rig.relay.terminate_channel(key, "", &mut rig.host, &mut rig.out), "once");
    rig.out.0.clear();
    for (from, number) in [(Side::Client, T), (Side::Target, C)] {
        for message in [
            data(number, b"in flight"),
            Message::WindowAdjust { recipient_channel: number, bytes_to_add: 5 },
            wishing(number, Wish::Refuse),
            Message::Eof { recipient_channel: number },
        ] {
            assert_eq!(rig.feed(from, &message), Ok(Flow::Continue), "{message:?}");
        }
    }
    rig.target_sends(&Message::ChannelSuccess { recipient_channel: C });
    assert_eq!(rig.violation(Side::Target, &data(C, b"x")).to_string(), "CHANNEL_DATA after CHANNEL_EOF");
    rig.client_sends(&CLOSE_T);
    rig.target_sends(&CLOSE_C);
    assert_eq!((rig.sent(), rig.relay.open_channels()), (vec![], 0));
    assert!(rig.host.data.is_empty());
    // The others of the connection live on.
    rig.open_channel(C, T);
}

#[test]
fn a_channel_confirmed_after_we_gave_it_up_is_closed_at_once() {
    let mut rig = Rig::new();
    rig.client_sends(&open(C, ChannelType::Session));
    let key = rig.key();
    rig.relay.terminate_channel(key, "", &mut rig.host, &mut rig.out);
    rig.out.0.clear();
    rig.target_sends(&confirm(C, T));
    assert_eq!(rig.sent(), ["target CHANNEL_CLOSE"]);
    rig.target_sends(&CLOSE_C);
    assert_eq!(rig.relay.open_channels(), 0);
    let mut rig = Rig::new();
    rig.client_sends(&open(C, ChannelType::Session));
    let key = rig.key();
    rig.relay.terminate_channel(key, "", &mut rig.host, &mut rig.out);
    rig.out.0.clear();
    rig.target_sends(&failure(C));
    assert_eq!((rig.sent(), rig.relay.open_channels()), (vec![], 0));
}

#[test]
fn a_number_half_free_after_we_ended_its_channel_is_refused_not_confused() {
    // The client is done with C, the target is not: a second C would be two channels to the target.
    let mut rig = Rig::with_program();
    let key = rig.key();
    rig.relay.terminate_channel(key, "", &mut rig.host, &mut rig.out);
    rig.client_sends(&CLOSE_T);
    rig.out.0.clear();
    rig.client_sends(&open(C, ChannelType::Session));
    assert_eq!(rig.sent(), ["client CHANNEL_OPEN_FAILURE resource shortage"]);
    rig.target_sends(&CLOSE_C);
    rig.client_sends(&open(C, ChannelType::Session));
    assert_eq!(rig.sent(), ["target CHANNEL_OPEN"]);

    // The target is done with T, the client is not: what it sends to T is meant for the old one.
    let mut rig = Rig::with_program();
    let key = rig.key();
    rig.relay.terminate_channel(key, "", &mut rig.host, &mut rig.out);
    rig.target_sends(&CLOSE_C);
    rig.client_sends(&open(C + 1, ChannelType::Session));
    rig.out.0.clear();
    rig.target_sends(&confirm(C + 1, T));
    assert_eq!(rig.sent(), ["client CHANNEL_OPEN_FAILURE resource shortage", "target CHANNEL_CLOSE"]);
    rig.client_sends(&data(T, b"for the old one"));
    rig.client_sends(&CLOSE_T);
    rig.target_sends(&Message::Close { recipient_channel: C + 1 });
    assert_eq!((rig.sent(), rig.relay.open_channels()), (vec![], 0));
    rig.open_channel(C + 1, T);
    assert!(rig.host.data.is_empty());
}

#[test]
fn after_the_end_everything_is_refused() {
    let mut rig = Rig::new();
    rig.client_sends(&global(Wish::Pass(true)));
    rig.relay.terminate("bye", &mut rig.host, &mut rig.out);
    rig.out.0.clear();
    rig.client_sends(&open(C, ChannelType::Session));
    rig.client_sends(&global(Wish::Pass(true)));
    rig.target_sends(&global(Wish::Swallow));
    rig.target_sends(&Message::RequestSuccess { data: b"late, and answered already" });
    assert_eq!(
        rig.sent(),
        ["client CHANNEL_OPEN_FAILURE connect failed", "client REQUEST_FAILURE", "target REQUEST_FAILURE"]
    );
    rig.target_sends(&Message::RequestFailure);
    assert_eq!(rig.sent(), [""; 0], "a reply to nothing");
    rig.relay.lost_target(&mut rig.host, &mut rig.out);
    assert!(matches!(rig.feed(Side::Target, &CLOSE_C), Err(RelayError::Misused(_))));
}

#[test]
fn replies_to_our_own_requests_may_come_after_the_end() {
    let mut rig = Rig::new();
    let keepalive = GlobalRequest { want_reply: true, request_type: GlobalRequestType::Keepalive };
    rig.relay.send_global_request(Side::Client, &keepalive, &mut rig.out).unwrap();
    rig.relay.lost_target(&mut rig.host, &mut rig.out);
    rig.out.0.clear();
    rig.client_sends(&Message::RequestFailure);
    assert_eq!(rig.sent(), [""; 0]);
    let to_target = rig.relay.send_global_request(Side::Target, &keepalive, &mut rig.out);
    assert!(matches!(to_target, Err(RelayError::Misused(_))));
}

#[test]
fn a_client_that_closes_a_channel_of_a_lost_target_is_answered() {
    let mut rig = Rig::with_program();
    exit_status(&mut rig);
    rig.relay.lost_target(&mut rig.host, &mut rig.out);
    rig.out.0.clear();
    rig.client_sends(&data(T, b"in flight"));
    rig.client_sends(&CLOSE_T);
    assert_eq!((rig.sent(), rig.relay.open_channels()), (vec!["client CHANNEL_CLOSE".to_owned()], 0));
}

#[test]
fn text_for_a_terminal_has_its_line_ends_and_goes_to_the_terminal() {
    let mut rig = Rig::with_channel();
    let size = WindowSize { cols: 80, rows: 24, width_pixels: 0, height_pixels: 0 };
    let pty = PtyRequest { term: b"xterm", size, modes: PtyModes(b"") };
    rig.client_sends(&request(T, RequestType::PtyReq(pty), true));
    rig.client_sends(&request(T, RequestType::Shell, true));
    rig.target_sends(&Message::ChannelSuccess { recipient_channel: C });
    rig.target_sends(&Message::ChannelSuccess { recipient_channel: C });
    rig.out.0.clear();
    rig.relay.terminate("the recording cannot be written\nsession ends", &mut rig.host, &mut rig.out);
    assert_eq!(
        rig.sent()[0],
        "client CHANNEL_DATA \"the recording cannot be written\\r\\nsession ends\\r\\n\""
    );
}

#[test]
fn a_long_text_is_cut_at_the_reserve() {
    let mut rig = Rig::with_program();
    rig.relay.terminate(&"x".repeat(10_000), &mut rig.host, &mut rig.out);
    let lengths: Vec<_> = rig.out.0.iter().map(|(_, payload)| payload.len()).collect();
    assert_eq!(lengths[0], 4096 + 13);
    assert_eq!(rig.host.closed[0].1.injected, 4096);
}
