//! Channels that either end opens.

use bartizan_audit::LogOptions;
use bartizan_model::event::Body;
use bartizan_ssh::wire::connection::{
    GlobalRequest, GlobalRequestType, OpenFailureReason, X11Cookie, X11Request,
};

use super::*;

const PORT: u32 = 8080;

/// What a target may open for a client that asked for everything.
fn kinds() -> [ChannelType<'static>; 3] {
    let (originator_address, originator_port) = (&b"192.0.2.1"[..], 5);
    let connected_address = b"127.0.0.1";
    [
        ChannelType::AuthAgent,
        ChannelType::X11 { originator_address, originator_port },
        ChannelType::ForwardedTcpip {
            connected_address,
            connected_port: PORT,
            originator_address,
            originator_port,
        },
    ]
}

/// A session in which everything that can be was forwarded, by an everyday grant beside one that keeps the session.
async fn forwarding() -> Wire {
    let keeps = bartizan_model::Grant { break_glass: true, ..rule("keeps", "exec") };
    let mut wire = Wire::new(Rig::new(vec![keeps, rule("forwards", "agent,x11,forward:remote")]).await).await;
    wire.session(0);
    assert!(!wire.asks(0, RequestType::AuthAgentReq));
    let cookie = X11Cookie(b"00");
    let x11 = X11Request { single_connection: false, protocol: b"MIT-MAGIC-COOKIE-1", cookie, screen: 0 };
    assert!(!wire.asks(0, RequestType::X11Req(x11)));
    let request_type = GlobalRequestType::TcpipForward { address: b"localhost", port: PORT };
    assert!(wire.client(&Message::GlobalRequest(GlobalRequest { want_reply: true, request_type })));
    wire.release().await;
    wire.target(&Message::RequestSuccess { data: b"" });
    wire.heard(Side::Client);
    wire
}

/// How many of them get to the client, beginning with this number.
fn opened(wire: &mut Wire, number: u32) -> usize {
    for (kind, number) in kinds().into_iter().zip(number..) {
        wire.target(&open(number, kind));
    }
    wire.heard(Side::Client).len()
}

/// A grant whose forwarding is held to these.
fn held_to(id: &str, allow: &str, to: &[&str], listen: &[&str]) -> bartizan_model::Grant {
    let forwards = bartizan_model::ForwardRules {
        to: to.iter().map(|to| to.parse().unwrap()).collect(),
        listen: listen.iter().map(|on| on.parse().unwrap()).collect(),
    };
    bartizan_model::Grant { forwards, ..rule(id, allow) }
}

fn direct(host: &[u8], port: u32) -> ChannelType<'_> {
    ChannelType::DirectTcpip { host, port, originator_address: b"127.0.0.1", originator_port: 5 }
}

#[tokio::test(flavor = "current_thread")]
async fn the_client_opens_what_rules_permit_and_reads_why_not() {
    let grants = vec![
        rule("keeps", "exec"),
        held_to("db", "forward:local", &["db:5432", "10.0.0.0/8:22", "/run/app/*"], &[]),
    ];
    let mut wire = Wire::new(Rig::new(grants).await).await;
    let socket = |path| ChannelType::DirectStreamlocal { path, reserved: b"", reserved_number: 0 };
    let elsewhere = [
        direct(b"web", 80),
        direct(b"db", 5433),
        direct(b"10.1", 22),
        direct(b"db\0", 5432),
        socket(b"/run/../etc/x"),
    ];
    for (number, kind) in elsewhere.into_iter().enumerate() {
        assert!(!wire.client(&open(number as u32, kind)));
    }
    assert!(wire.heard(Side::Target).is_empty());
    let read = wire.heard(Side::Client);
    assert_eq!(read.len(), 5);
    let read = String::from_utf8_lossy(&read[0]).into_owned();
    let why = "no grant permits forward:local to web:80; permitted to /run/app/*, 10.0.0.0/8:22, db:5432";
    assert!(read.contains(&format!("bartizan: {why}")), "{read}");
    let reasons = refused(&wire).await;
    assert_eq!(reasons[0], why);
    assert!(reasons[2].contains("to 10.1:22: the host is neither a plain name nor"), "{reasons:?}");
    let permitted = [direct(b"DB", 5432), direct(b"::ffff:10.1.2.3", 22), socket(b"/run/app/x")];
    for (kind, number) in permitted.into_iter().zip(10..) {
        assert!(wire.client(&open(number, kind)), "it waits for its event");
        wire.release().await;
    }
    assert_eq!(wire.heard(Side::Target).len(), 3);
}

#[tokio::test(flavor = "current_thread")]
async fn what_is_listened_for_is_judged_by_what_was_asked() {
    let grants = vec![rule("keeps", "exec"), held_to("on", "forward:remote", &[], &["localhost:0"])];
    let mut wire = Wire::new(Rig::new(grants).await).await;
    let listen = |address, port| {
        let request_type = GlobalRequestType::TcpipForward { address, port };
        Message::GlobalRequest(GlobalRequest { want_reply: true, request_type })
    };
    for (address, port) in [(&b""[..], 0), (b"localhost", 8080), (b"0.0.0.0", 0)] {
        assert!(!wire.client(&listen(address, port)));
    }
    assert!(wire.heard(Side::Target).is_empty());
    assert!(wire.client(&listen(b"localhost", 0)));
    wire.release().await;
    wire.target(&Message::RequestSuccess { data: &PORT.to_be_bytes() });
    wire.heard(Side::Client);
    let [_, _, from_there] = kinds();
    wire.target(&open(10, from_there));
    assert_eq!(wire.heard(Side::Client).len(), 1, "the port is the target's choice, as was permitted");
    // What is granted now counts, not what was when it began.
    wire.rig
        .change(|data| data.grants[1].forwards.listen = vec![format!("localhost:{PORT}").parse().unwrap()]);
    let [_, _, from_there] = kinds();
    wire.target(&open(20, from_there));
    assert!(wire.heard(Side::Client).is_empty());
    assert_eq!(
        refused(&wire).await,
        ["no grant permits forward:remote on localhost:0; permitted on localhost:8080"]
    );
    let events = wire.events("forward.listen").await;
    let reasons: Vec<_> = events
        .into_iter()
        .filter_map(|event| match event.body {
            Body::ForwardListen { reason, .. } => reason,
            _ => None,
        })
        .collect();
    assert_eq!(reasons[0], "no grant permits forward:remote on *:0; permitted on localhost:0");
    assert_eq!(reasons.len(), 3);
}

/// Why the target was refused channels, by the log.
async fn refused(wire: &Wire) -> Vec<String> {
    let events = wire.events("channel.open").await;
    let reasons = events.into_iter().filter_map(|event| match event.body {
        Body::ChannelOpen { reason, .. } => reason,
        _ => None,
    });
    reasons.collect()
}

#[tokio::test(flavor = "current_thread")]
async fn the_target_opens_nothing_once_its_permission_is_withdrawn() {
    let mut wire = forwarding().await;
    assert_eq!(opened(&mut wire, 10), 3);
    wire.rig.change(|data| data.grants.retain(|grant| grant.id.0 == "keeps"));
    assert_eq!(opened(&mut wire, 20), 0);
    let reasons = refused(&wire).await;
    assert_eq!(reasons.len(), 3, "{reasons:?}");
    for (reason, permission) in reasons.iter().zip(["agent", "x11", "forward:remote"]) {
        assert_eq!(*reason, format!("no grant permits {permission} for root on web-1"));
    }
}

#[tokio::test(flavor = "current_thread")]
async fn the_target_opens_in_an_emergency_what_break_glass_grants_permit() {
    let mut wire = forwarding().await;
    wire.emergency().await;
    assert_eq!(opened(&mut wire, 10), 0);
    assert_eq!(refused(&wire).await.len(), 3);
}

#[tokio::test(flavor = "current_thread")]
async fn a_channel_that_the_log_refuses_is_not_opened() {
    let options = LogOptions { hard_events: 0, ..LogOptions::default() };
    let rig = Rig::logging(vec![rule("forwards", "exec,forward:local")], options).await;
    let mut wire = Wire::new(rig).await;
    let host = b"10.0.0.1";
    let to = ChannelType::DirectTcpip { host, port: 80, originator_address: b"", originator_port: 0 };
    for (number, kind) in [to, ChannelType::Session].into_iter().enumerate() {
        assert!(!wire.client(&open(number as u32, kind)));
    }
    assert!(wire.heard(Side::Target).is_empty());
    assert!(wire.host.failure.is_some());
}

#[tokio::test(flavor = "current_thread")]
async fn the_longest_addresses_fit_an_event() {
    let mut wire = Wire::new(Rig::new(vec![rule("forwards", "exec,forward:local")]).await).await;
    let long = [1; 8 << 10];
    let to =
        ChannelType::DirectTcpip { host: &long, port: 80, originator_address: &long, originator_port: 0 };
    assert!(wire.client(&open(0, to)), "it waits for its event");
    wire.release().await;
    wire.session(1);
    assert!(!wire.asks(1, RequestType::Env { name: &[b"LC_", &long[..]].concat(), value: &long }));
    assert!(wire.host.failure.is_none());
    assert_eq!(wire.events("channel.open").await.len(), 2);
}

#[tokio::test(flavor = "current_thread")]
async fn a_session_says_that_it_has_too_many_channels_before_its_recording_fails() {
    let mut wire = Wire::new(Rig::new(vec![rule("keeps", "exec")]).await).await;
    wire.host.most_channels = 2;
    for number in 0..2 {
        wire.session(number);
    }
    wire.heard(Side::Target);
    wire.heard(Side::Client);
    wire.client(&open(2, ChannelType::Session));
    assert!(wire.heard(Side::Target).is_empty());
    let told = wire.heard(Side::Client);
    let Ok(Message::OpenFailure(failure)) = Message::parse(&told[0]) else { panic!("{told:?}") };
    assert_eq!(failure.reason, OpenFailureReason::RESOURCE_SHORTAGE);
    assert_eq!(failure.description, b"bartizan: too many channels in one session: reconnect");
    assert_eq!(refused(&wire).await, ["too many channels in one session: reconnect"]);
    assert!(wire.host.failure.is_none());
}

/// In an emergency, what waited for its event by an everyday grant goes no further.
#[tokio::test(flavor = "current_thread")]
async fn what_waits_when_an_emergency_begins_is_refused() {
    let host = b"10.0.0.1";
    let to = ChannelType::DirectTcpip { host, port: 80, originator_address: b"", originator_port: 0 };
    let request_type = GlobalRequestType::TcpipForward { address: b"localhost", port: PORT };
    let forward = Message::GlobalRequest(GlobalRequest { want_reply: true, request_type });
    let exec = request(0, RequestType::Exec { command: b"id" }, true);
    for held in [exec, request(0, SFTP, true), open(1, to), forward] {
        let glass = bartizan_model::Grant { break_glass: true, ..rule("glass", "shell") };
        let everyday = rule("everyday", "exec,sftp:read,forward:local,forward:remote");
        let mut wire = Wire::new(Rig::new(vec![glass, everyday]).await).await;
        wire.session(0);
        wire.heard(Side::Target);
        wire.heard(Side::Client);
        assert!(wire.client(&held), "{held:?}");
        wire.emergency().await;
        assert!(wire.host.held.is_none() && !wire.relay.is_held(Side::Client), "{held:?}");
        let to_target = wire.heard(Side::Target);
        let close = Message::Close { recipient_channel: 0 }.to_payload();
        assert!(to_target.iter().all(|payload| *payload == close), "{held:?}: {to_target:?}");
        assert!(!wire.heard(Side::Client).is_empty(), "{held:?}: it is told");
        assert_eq!(wire.events("anomaly").await.len(), 1, "{held:?}");
    }
}
