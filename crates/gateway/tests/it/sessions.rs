//! Whole sessions, and what they leave in the log.

use std::io::Read as _;
use std::process::Stdio;

use bartizan_model::event::Body;
use bartizan_model::{PersonName, PersonState, Sha256Hex};
use bartizan_store::DirectoryStore as _;
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

#[test]
fn a_live_session_ends_when_its_person_is_locked() {
    let fixture = Fixture::start();
    let mut ssh = fixture.client.ssh();
    let command = ssh
        .args(["jump", "echo ready; cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut ready = [0; 6];
    child.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
    let alice = PersonName::new("alice").unwrap();
    fixture.runtime.block_on(fixture.store.set_person_state(&alice, PersonState::Locked)).unwrap();
    // Its input stays open, which `wait` would close: only the gateway can end it.
    let _input = child.stdin.take();
    let status = child.wait().unwrap();
    assert!(!status.success());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("access was withdrawn: this person is locked"), "{said}");
    let events = fixture.stop();
    let Body::SessionEnd { reason, .. } = of_kind(&events, "session.end")[0] else { unreachable!() };
    assert_eq!(reason, "access withdrawn: this person is locked");
}
