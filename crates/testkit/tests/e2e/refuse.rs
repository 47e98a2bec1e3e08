//! Who is not let in, and what they are told.

use std::path::Path;

use bartizan_testkit::{Certify, Finished, KeyPair, KeyType, eventually, run};

use crate::scene::{Options, Scene, Way, text, ways};

ways! {
    everywhere: a_stranger_is_refused;
    bartizan:
        a_locked_person_is_refused_until_unlocked,
        without_a_grant_nothing_is_dialled,
        another_login_needs_another_grant,
        an_expired_grant_permits_nothing,
        a_session_ends_with_its_permission,
        an_operator_ends_a_session_and_its_person_is_told,
        policies_of_files_are_taken_while_it_runs,
        a_grant_for_another_network_permits_nothing,
        an_unknown_target_is_refused_by_name,
        a_certificate_proves_who_somebody_is,
        certificates_that_prove_nothing,
}

#[track_caller]
fn touch(scene: &Scene, ssh_options: &[&str]) -> (Finished, bool) {
    let mark = scene.folder().join("mark");
    let mut ssh = scene.client.ssh();
    let done = run(ssh.args(ssh_options).args([scene.host(), &format!("touch {}", text(&mark))]));
    let touched = mark.exists();
    let _ = std::fs::remove_file(mark);
    (done, touched)
}

/// The target's log shows nobody who came to its door.
#[track_caller]
fn nobody_came(scene: &Scene) {
    let log = scene.target.log();
    assert!(!log.contains("Connection from"), "the target was dialled:\n{log}");
}

fn a_stranger_is_refused(way: Way) {
    let mut scene = Scene::new(way);
    let stranger = KeyPair::generate(scene.folder(), "id_mallory", KeyType::Ed25519);
    scene.client = scene.client.with_key(&stranger);
    let (done, touched) = touch(&scene, &[]);
    done.exits(255).says(&["permission denied"]);
    assert!(!touched);
    if matches!(way, Way::ProxyJump | Way::UserName) {
        nobody_came(&scene);
        let rejected = scene.event("auth.reject");
        assert_eq!(rejected["key"], stranger.fingerprint().as_str(), "{rejected:#}");
        assert_ne!(rejected["outcome"], "success");
        assert!(scene.sessions().is_empty());
    }
}

fn a_locked_person_is_refused_until_unlocked(way: Way) {
    let scene = Scene::new(way);
    scene.bartizan().say(&["person", "lock", "alice"]);
    let (done, touched) = touch(&scene, &[]);
    done.exits(255);
    assert!(!touched);
    nobody_came(&scene);
    scene.event("auth.reject");
    scene.bartizan().say(&["person", "unlock", "alice"]);
    assert!(touch(&scene, &[]).1);
}

fn without_a_grant_nothing_is_dialled(way: Way) {
    let scene = Scene::with(way, &Options { allow: None, ..Options::default() });
    let (done, touched) = touch(&scene, &[]);
    done.fails().says(&["web-1"]);
    assert!(!touched);
    nobody_came(&scene);
    let denied = scene.event("access.deny");
    assert_eq!((&denied["person"], &denied["target"]), (&"alice".into(), &"web-1".into()), "{denied:#}");
    assert!(scene.sessions().is_empty());
}

fn another_login_needs_another_grant(way: Way) {
    let mut scene = Scene::new(way);
    match way {
        Way::UserName => {
            let endpoint = scene.bartizan().endpoint();
            scene.client.host("by-name", &endpoint, "nobody@web-1", &[]);
        }
        _ => scene.client.host("web-1", "web-1:22", "nobody", &["ProxyJump bastion"]),
    }
    let (done, touched) = touch(&scene, &[]);
    done.fails().says(&["nobody"]);
    assert!(!touched);
    nobody_came(&scene);
    assert_eq!(scene.event("access.deny")["login"], "nobody");
}

fn an_expired_grant_permits_nothing(way: Way) {
    let scene = Scene::with(way, &Options { grant: &["--expires", "2s"], ..Options::default() });
    eventually("the grant expires", || (scene.exec("true").code() != 0).then_some(()));
    let (done, touched) = touch(&scene, &[]);
    done.fails().says(&["web-1", "denied"]);
    assert!(!touched);
    assert!(!scene.events("access.deny").is_empty());
}

fn a_session_ends_with_its_permission(way: Way) {
    let scene = Scene::new(way);
    let mut client = scene.start(&["-tt"], "echo up; exec sleep 1000");
    client.read_to("up\r\n");
    scene.bartizan().say(&["person", "lock", "alice"]);
    let (code, out, errors) = client.finish();
    assert_ne!(code, 0, "{out} {errors}");
    let session = scene.ended_session();
    assert_eq!(session["state"], "ended", "{session:#}");
    assert!(session["reason"].to_string().contains("locked"), "{session:#}");
}

fn a_grant_for_another_network_permits_nothing(way: Way) {
    let scene = Scene::with(way, &Options { grant: &["--source", "192.0.2.0/24"], ..Options::default() });
    let (done, touched) = touch(&scene, &[]);
    done.fails();
    assert!(!touched);
    nobody_came(&scene);
    scene.event("access.deny");
}

fn an_unknown_target_is_refused_by_name(way: Way) {
    let mut scene = Scene::new(way);
    let login = scene.target.login().to_owned();
    match way {
        Way::UserName => {
            let endpoint = scene.bartizan().endpoint();
            scene.client.host("by-name", &endpoint, &format!("{login}@nosuch"), &[]);
        }
        _ => scene.client.host("web-1", "nosuch:22", &login, &["ProxyJump bastion"]),
    }
    let (done, touched) = touch(&scene, &[]);
    done.fails().says(&["nosuch"]);
    assert!(!touched);
    assert!(scene.sessions().is_empty());
    let denied = scene.event("access.deny");
    assert!(denied.to_string().contains("nosuch"), "{denied:#}");
}

/// A certificate for a key that the directory does not know, from Bartizan's own user CA.
fn certified(scene: &mut Scene, ca: &Path, how: &Certify<'_>) {
    let key = KeyPair::generate(scene.folder(), "id_laptop", KeyType::EcdsaP256);
    let mut keygen = std::process::Command::new("ssh-keygen");
    keygen.args(["-q", "-I", how.key_id, "-n", how.principals, "-V", how.validity, "-s"]).arg(ca);
    keygen.args(how.host.then_some("-h")).args(how.options.iter().flat_map(|o| ["-O", o]));
    run(keygen.arg(key.public())).ok();
    scene.client = scene.client.with_key(&key);
}

fn a_certificate_proves_who_somebody_is(way: Way) {
    let mut scene = Scene::new(way);
    let ca = KeyPair::generate(scene.folder(), "company_ca", KeyType::Ed25519);
    scene.bartizan().say(&["ca", "trust", text(&ca.public())]);
    let how = Certify { principals: "alice", key_id: "alice's laptop", ..Certify::default() };
    certified(&mut scene, ca.private(), &how);
    let (done, touched) = touch(&scene, &[]);
    done.ok();
    assert!(touched);
    let accepted = scene.event("auth.accept");
    assert_eq!((&accepted["person"], &accepted["method"]), (&"alice".into(), &"certificate".into()));
    assert_eq!(accepted["certificate"]["key_id"], "alice's laptop", "{accepted:#}");
    assert_eq!(accepted["certificate"]["ca"], ca.fingerprint().as_str());
}

fn certificates_that_prove_nothing(way: Way) {
    let good = Certify { principals: "alice", ..Certify::default() };
    let cases: [(&str, bool, Certify<'_>); 6] = [
        ("of a CA that nobody trusts", false, good),
        ("expired", true, Certify { validity: "-2d:-1d", ..good }),
        ("not valid yet", true, Certify { validity: "+1d:+2d", ..good }),
        ("for somebody else", true, Certify { principals: "bob", ..good }),
        ("for hosts", true, Certify { host: true, ..good }),
        ("with an unknown critical option", true, Certify { options: &["critical:x@example.com=1"], ..good }),
    ];
    let scene = Scene::new(way);
    let ca = KeyPair::generate(scene.folder(), "company_ca", KeyType::Ed25519);
    let other = KeyPair::generate(scene.folder(), "other_ca", KeyType::Ed25519);
    scene.bartizan().say(&["ca", "trust", text(&ca.public())]);
    for (number, (what, trusted, how)) in cases.iter().enumerate() {
        let key = KeyPair::generate(scene.folder(), &format!("id_{number}"), KeyType::Ed25519);
        if *trusted { &ca } else { &other }.certify(&key, how);
        let client = scene.client.with_key(&key);
        let mark = scene.folder().join("mark");
        run(client.ssh().args([scene.host(), &format!("touch {}", text(&mark))])).exits(255);
        assert!(!mark.exists(), "a certificate {what} was taken");
        let rejected = scene.events("auth.reject");
        assert_eq!(rejected.len(), number + 1, "{what}: {rejected:#?}");
    }
    nobody_came(&scene);
}

/// Grants are judged on the target that a name means, whichever port or spelling the client uses.
#[test]
fn a_jump_elsewhere_is_no_way_around() {
    let mut scene = Scene::with(Way::ProxyJump, &Options { allow: None, ..Options::default() });
    let login = scene.target.login().to_owned();
    for destination in [scene.target.endpoint(), "127.0.0.1:22".into(), "localhost:22".into()] {
        scene.client.host("web-1", &destination, &login, &["ProxyJump bastion"]);
        let (done, touched) = touch(&scene, &[]);
        done.fails();
        assert!(!touched, "{destination}");
    }
    nobody_came(&scene);
}

fn an_operator_ends_a_session_and_its_person_is_told(way: Way) {
    let scene = Scene::new(way);
    let mut client = scene.start(&["-tt"], "echo up; exec sleep 1000");
    client.read_to("up\r\n");
    let session = scene.sessions().remove(0);
    let id = session["id"].as_str().unwrap();
    let ended = scene.bartizan().say(&["session", "terminate", id, "--reason", "kernel update\u{1b}[2J"]);
    assert!(ended.contains("of alice on"), "{ended}");
    let (code, out, errors) = client.finish();
    assert_ne!(code, 0, "{out} {errors}");
    let told = format!("{out}{errors}");
    // Nothing that an operator writes steers the person's terminal.
    assert!(told.contains("an operator ended this session: kernel update"), "{told}");
    assert!(!told.contains("\u{1b}[2J"), "{told}");
    let session = scene.ended_session();
    assert!(session["reason"].to_string().contains("terminated: kernel update"), "{session:#}");
    let event = scene.event("session.terminate");
    assert!(event["by"].as_str().unwrap().starts_with("uid ") && event["session"] == id, "{event:#}");
    // What is over cannot be ended.
    scene.bartizan().cli(&["session", "terminate", id]).exits(1).says(&["is not live"]);
}

fn policies_of_files_are_taken_while_it_runs(way: Way) {
    let scene = Scene::new(way);
    let mut client = scene.start(&["-tt"], "echo up; exec sleep 1000");
    client.read_to("up\r\n");
    let policies = scene.bartizan().data().join("policies");
    std::fs::create_dir(&policies).unwrap();
    let file = policies.join("base.cedar");
    // A file with a fault changes nothing.
    std::fs::write(&file, "forbid (principal, action == Action::\"sudo\", resource);").unwrap();
    scene.bartizan().reload();
    let refused = scene.event("server.reload");
    assert!(refused["reason"].as_str().unwrap().contains("base.cedar:1: "), "{refused:#}");
    let (done, touched) = touch(&scene, &[]);
    assert!(done.ok().text().is_empty() && touched);

    // One permission is forbidden: what runs goes on, and whoever asks is told why, not that a grant is missing.
    std::fs::write(&file, "@id(\"no-exec\") forbid (principal, action == Action::\"exec\", resource);")
        .unwrap();
    scene.bartizan().reload();
    let (done, touched) = touch(&scene, &[]);
    done.fails().says(&["a policy forbids exec"]);
    assert!(!touched);
    let denied = scene.events("access.deny");
    let forbidden = |event: &serde_json::Value| {
        event["rules"].to_string().contains("base.cedar:no-exec")
            && event["reason"].to_string().contains("a policy forbids exec")
    };
    assert!(denied.iter().any(forbidden), "{denied:#?}");

    std::fs::write(&file, "@id(\"closed\") forbid (principal, action, resource);").unwrap();
    scene.bartizan().reload();
    // The live session is judged again and ends; nothing new begins.
    let (code, out, errors) = client.finish();
    assert_ne!(code, 0, "{out} {errors}");
    let (done, touched) = touch(&scene, &[]);
    done.fails();
    assert!(!touched);
    let denied = scene.events("access.deny");
    assert!(
        denied.iter().any(|event| event["rules"].to_string().contains("base.cedar:closed")),
        "{denied:#?}"
    );
    let check = format!("{}@web-1", scene.target.login());
    scene
        .bartizan()
        .cli(&["access", "check", "alice", &check, "connect"])
        .exits(3)
        .says(&["base.cedar:closed"]);
}
