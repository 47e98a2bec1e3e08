//! The target's side: host keys, targets that are away, targets that die.

use std::net::TcpListener;

use bartizan_testkit::{KeyPair, KeyType, SshdOptions};

use crate::scene::{Options, Scene, Way, text, ways};

ways! {
    everywhere: a_target_that_dies_is_no_success;
    bartizan:
        a_changed_host_key_is_refused_before_any_credential,
        first_use_pins_the_key,
        a_host_authority_vouches_for_targets,
        each_failure_on_the_way_says_what_to_do,
}

fn a_target_that_dies_is_no_success(way: Way) {
    let mut scene = Scene::new(way);
    let mut client = scene.start(&[], "echo up; exec sleep 1000");
    client.read_to("up\n");
    scene.target.kill_sessions();
    let (code, _, errors) = client.finish();
    assert_ne!(code, 0, "{errors}");
    let mut client = scene.start(&["-tt"], "echo up; exec sleep 1000");
    client.read_to("up\r\n");
    scene.target.kill();
    let (code, _, errors) = client.finish();
    assert_ne!(code, 0, "{errors}");
    if matches!(way, Way::ProxyJump | Way::UserName) {
        scene.ended_session();
        assert_eq!(scene.events("session.end").len(), 2);
    }
}

/// Registers the target anew under the name `web-1`, with other trust in its host key.
fn register(scene: &Scene, trust: &[&str]) {
    let b = scene.bartizan();
    b.say(&["target", "remove", "web-1"]);
    b.say(&[&["target", "add", "web-1", &scene.target.endpoint()], trust].concat());
}

fn without_own_grant() -> Options {
    Options { allow: None, ..Options::default() }
}

fn permit_everywhere(scene: &Scene) {
    let login = scene.target.login();
    let grant = ["grant", "add", "--person", "alice", "--target", "*", "--login", login, "--allow", "exec"];
    scene.bartizan().say(&grant);
}

#[track_caller]
fn refused_for_its_host_key(scene: &Scene) {
    let before = scene.target.log().len();
    scene.exec("true").fails().says(&["host key", "web-1", &scene.target.host_key().fingerprint()]);
    // A credential would show as a user who tried to log in.
    let log = scene.target.log()[before..].to_owned();
    for word in ["Accepted", "Failed", "for user", "preauth] user", "authenticating user"] {
        assert!(!log.contains(word), "{word:?}: a login was tried before the host key was verified:\n{log}");
    }
    let failed = scene.events("upstream.fail");
    let last = failed.last().expect("an event");
    assert_eq!((&last["stage"], &last["severity"]), (&"host_key".into(), &"high".into()), "{last:#}");
    assert_eq!(last["host_key"], scene.target.host_key().fingerprint().as_str());
}

fn a_changed_host_key_is_refused_before_any_credential(way: Way) {
    let mut scene = Scene::new(way);
    scene.exec("true").ok();
    scene.target.restart_with_new_host_key();
    refused_for_its_host_key(&scene);
}

fn first_use_pins_the_key(way: Way) {
    let mut scene = Scene::with(way, &without_own_grant());
    register(&scene, &["--first-use"]);
    permit_everywhere(&scene);
    scene.exec("true").ok();
    scene.exec("true").ok();
    let pinned = scene.event("host_key.first_use");
    assert_eq!(pinned["host_key"], scene.target.host_key().fingerprint().as_str());
    scene.target.restart_with_new_host_key();
    refused_for_its_host_key(&scene);
}

fn a_host_authority_vouches_for_targets(way: Way) {
    let mut scene = Scene::with(way, &without_own_grant());
    let ca = KeyPair::generate(scene.folder(), "host_ca", KeyType::Ed25519);
    register(&scene, &["--host-ca", text(&ca.public())]);
    permit_everywhere(&scene);
    scene.exec("true").fails().says(&["plain host key", &scene.target.host_key().fingerprint()]);
    let tested = |scene: &Scene| scene.bartizan().cli(&["target", "test", "web-1"]).exits(1);
    tested(&scene).says(&["host_key failed", "ssh-keygen -s CA -I web-1 -h -n 127.0.0.1", "--host-key FILE"]);
    scene.target.restart_with_host_certificate(&ca, "elsewhere");
    let told = tested(&scene).text();
    assert!(told.contains("not for `127.0.0.1` but for `elsewhere`"), "{told}");
    scene.target.restart_with_host_certificate(&ca, "127.0.0.1");
    scene.exec("true").ok();
    let connected = scene.events("upstream.connect");
    assert_eq!(connected.last().unwrap()["verified"], "authority");
    // Another key, with no certificate of its own.
    scene.target.restart_with_new_host_key();
    scene.exec("true").fails();
}

/// Targets of other makes: each host key type, and an old cipher list.
#[test]
fn every_host_key_type_is_verified() {
    for kind in [KeyType::Ed25519, KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::EcdsaP521, KeyType::Rsa] {
        let config = vec!["Ciphers aes256-ctr".into(), "MACs hmac-sha2-512-etm@openssh.com".into()];
        let sshd = SshdOptions { host_keys: vec![kind], config, ..SshdOptions::default() };
        let scene = Scene::with(Way::UserName, &Options { sshd, ..Options::default() });
        assert_eq!(scene.exec("echo hi").ok().text(), "hi\n", "{kind:?}");
        let connected = scene.event("upstream.connect");
        assert_eq!(connected["host_key"], scene.target.host_key().fingerprint().as_str(), "{kind:?}");
    }
}

/// IPv6 targets are reached as IPv4 ones.
#[test]
fn a_target_may_have_an_ipv6_address() {
    let sshd = SshdOptions { address: "::1", ..SshdOptions::default() };
    let scene = Scene::with(Way::ProxyJump, &Options { sshd, ..Options::default() });
    scene.exec("exit 7").exits(7);
}

fn each_failure_on_the_way_says_what_to_do(way: Way) {
    let scene = Scene::with(way, &Options { trusted: false, ..without_own_grant() });
    permit_everywhere(&scene);
    // The target runs, and does not know our CA.
    scene.exec("true").fails().says(&["web-1", "TrustedUserCAKeys"]);

    let b = scene.bartizan();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent_at = silent.local_addr().unwrap().to_string();
    for (address, stage, words) in [
        (closed.to_string().as_str(), "connect", &["refused"][..]),
        (silent_at.as_str(), "handshake", &["no answer within"][..]),
        ("no-such-host.invalid:22", "resolve", &["no-such-host.invalid"][..]),
    ] {
        b.say(&["target", "remove", "web-1"]);
        b.say(&["target", "add", "web-1", address, "--first-use"]);
        scene.exec("true").fails().says(&[&["web-1"], words].concat());
        let failed = scene.events("upstream.fail");
        assert_eq!(failed.last().unwrap()["stage"], stage, "{failed:#?}");
    }
}
