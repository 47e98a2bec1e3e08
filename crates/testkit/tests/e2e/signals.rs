//! Signals and breaks that a client sends, and the signal that ends a command.

use std::path::Path;
use std::process::Command;

use bartizan_testkit::{KeyPair, KeyType, Server, programs, run, run_with_input};

use crate::clients::{python, source};
use crate::scene::{Scene, Way, text};

/// asyncssh's server, since OpenSSH's passes none on to processes of root.
fn server(folder: &Path) -> (Server, String, KeyPair) {
    let host_key = KeyPair::generate(folder, "host_signals", KeyType::Ed25519);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/servers/signal_server.py");
    let mut command = python();
    command.arg(script).arg(host_key.private()).args(["deploy", "secret"]);
    let server = Server::spawn(&mut command);
    assert!(server.wait_for("listening on"), "it does not start:\n{}", server.log());
    let log = server.log();
    let port = log.split_once("listening on ").unwrap().1.split('.').next().unwrap().to_owned();
    (server, format!("127.0.0.1:{port}"), host_key)
}

#[test]
fn signals_and_breaks_reach_the_target_and_are_on_record() {
    let scene = Scene::new(Way::UserName);
    let (_server, address, host_key) = server(scene.folder());
    let b = scene.bartizan();
    b.say(&["target", "add", "sig", &address, "--host-key", text(&host_key.public())]);
    b.say(&["grant", "add", "--person", "alice", "--target", "sig", "--login", "deploy", "--allow", "exec"]);
    let mut set = Command::new(programs().join("bartizan"));
    set.arg("-D").arg(b.data()).args(["target", "credential", "set", "sig", "--login", "deploy"]);
    run_with_input(set.arg("--password-stdin"), b"secret").ok();
    let mut client = python();
    client.arg(source("signal_client.py")).arg(b.port().to_string()).arg(scene.key.private());
    run(client.arg("deploy@sig").arg(scene.client.known_hosts())).ok();

    let session = scene.ended_session();
    assert!(session["reason"].is_string(), "{session:#}");
    let closed = scene.event("channel.close");
    assert_eq!(closed["exit_signal"], "TERM", "{closed:#}");
    let requests = scene.events("channel.request");
    let of = |name: &str| requests.iter().filter(|event| event["request"] == name).count();
    assert_eq!((of("signal"), of("break")), (2, 1), "{requests:#?}");
}
