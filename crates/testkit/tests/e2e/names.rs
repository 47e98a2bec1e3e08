//! User names: every form that is understood, and those that nobody has.

use bartizan_testkit::run;

use crate::clients::{python, source};
use crate::scene::{Scene, Way};

/// Every documented way to write person, login and target.
#[test]
fn all_forms_of_the_user_name_reach_the_target() {
    let mut scene = Scene::new(Way::UserName);
    let (endpoint, login) = (scene.bartizan().endpoint(), scene.target.login().to_owned());
    for form in [
        format!("{login}@web-1"),
        format!("alice+{login}@web-1"),
        format!("alice%{login}@web-1"),
        format!("alice#{login}@web-1"),
        format!("alice:{login}@web-1"),
    ] {
        scene.client.host("by-name", &endpoint, &form, &[]);
        assert_eq!(scene.exec("id -un; exit 7").exits(7).text().trim(), login, "{form}");
    }
    let sessions = scene.sessions();
    assert!(sessions.len() == 5 && sessions.iter().all(|s| s["person"] == "alice"), "{sessions:#?}");
}

/// Naming somebody else than the key's owner proves nothing.
#[test]
fn a_name_does_not_make_a_person() {
    let mut scene = Scene::new(Way::UserName);
    let (endpoint, login) = (scene.bartizan().endpoint(), scene.target.login().to_owned());
    scene.bartizan().say(&["person", "add", "bob"]);
    scene.client.host("by-name", &endpoint, &format!("bob+{login}@web-1"), &[]);
    scene.exec("true").exits(255).says(&["permission denied"]);
    scene.client.host("by-name", &endpoint, "bob", &[]);
    scene.exec("true").exits(255).says(&["permission denied"]);
}

/// The protocol's answer to a name that cannot be is a refusal without a word.
#[test]
fn an_inner_client_reads_why_its_login_is_no_name() {
    let mut scene = Scene::new(Way::ProxyJump);
    scene.client.host("web-1-odd", "web-1:22", "a+b", &["ProxyJump bastion"]);
    run(scene.client.ssh().args(["web-1-odd", "true"]))
        .exits(255)
        .says(&["login name \"a+b\" holds a character"]);
}

#[test]
fn names_that_nobody_has_are_refused_and_shown_escaped() {
    let scene = Scene::new(Way::UserName);
    let mut tried = python();
    tried.arg(source("names.py")).arg(scene.bartizan().port().to_string()).arg(scene.key.private());
    run(&mut tried).ok();
    assert!(scene.sessions().is_empty());
    let rejected = scene.bartizan().cli(&["log", "search", "--type", "auth.reject", "--limit", "1000"]).ok();
    assert!(!rejected.stdout.is_empty());
    assert!(rejected.text().chars().all(|c| c == '\n' || !c.is_control()), "{rejected}");
    let log = scene.bartizan().log();
    assert!(!log.contains("\u{1b}[2J"), "the server's own log is escaped too");
    assert!(scene.events("auth.reject").iter().all(|e| e["user"].as_str().unwrap().len() <= 2000));
    scene.exec("exit 7").exits(7);
}
