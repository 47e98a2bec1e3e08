//! Whole sessions, and what they leave in the log.

use bartizan_model::Sha256Hex;
use bartizan_model::event::Body;
use bartizan_testkit::{run, run_with_input, sha256};

use crate::fixture::{Fixture, of_kind};

#[test]
fn a_command_passes_both_ways_and_leaves_its_events_and_digests() {
    let fixture = Fixture::start();
    for host in ["jump", "name"] {
        let done = run_with_input(fixture.client.ssh().args([host, "cat; echo oops >&2; exit 7"]), b"hello");
        assert_eq!(done.exits(7).stdout, b"hello", "{host}");
    }
    let events = fixture.stop();
    assert_eq!(of_kind(&events, "session.start").len(), 2);
    let closed = of_kind(&events, "channel.close");
    assert_eq!(closed.len(), 2);
    for body in closed {
        let Body::ChannelClose { input, output, error, exit_status, .. } = body else { unreachable!() };
        assert_eq!(*exit_status, Some(7));
        let digest = |bytes: &[u8]| sha256(bytes).parse::<Sha256Hex>().unwrap();
        assert_eq!((input.bytes, input.sha256), (5, digest(b"hello")));
        assert_eq!((output.bytes, output.sha256), (5, digest(b"hello")));
        assert_eq!((error.bytes, error.sha256), (5, digest(b"oops\n")));
    }
    for body in of_kind(&events, "session.end") {
        let Body::SessionEnd { truncated, recording, reason, .. } = body else { unreachable!() };
        assert!(!truncated, "{reason}");
        assert!(recording.iter().any(|file| file.name == "manifest.json"));
    }
}

#[test]
fn the_start_of_a_session_is_logged_before_the_target_sees_anything() {
    let fixture = Fixture::start();
    run(fixture.client.ssh().args(["jump", "true"]));
    let events = fixture.stop();
    let at = |kind: &str| events.iter().position(|event| event.kind() == kind).unwrap();
    assert!(at("auth.accept") < at("access.permit"));
    assert!(at("access.permit") < at("session.start"));
    assert!(at("session.start") < at("host_key.first_use"));
    assert!(at("host_key.first_use") < at("upstream.connect"));
    assert!(at("upstream.connect") < at("command"));
    assert!(at("command") < at("channel.close"));
    assert!(at("channel.close") < at("session.end"));
}
