//! Crashes and stops of the server.

use std::io::Write as _;
use std::process::Command;

use bartizan_testkit::{BartizanOptions, eventually, programs, run};

use crate::scene::{Options, Scene, Way, list, text, ways};

ways! {
    everywhere: ;
    bartizan:
        after_a_crash_the_recording_is_there,
        a_stop_ends_sessions_with_a_reason,
}

fn after_a_crash_the_recording_is_there(way: Way) {
    let mut scene = Scene::new(way);
    let mut client = scene.start(&["-tt"], "echo first mark; cat");
    client.read_to("first mark\r\n");
    client.child.stdin.as_mut().unwrap().write_all(b"second mark\n").unwrap();
    client.read_to("second mark\r\n");
    let live = scene.sessions()[0].clone();
    assert_eq!(live["state"], "live");
    let id = live["id"].as_str().unwrap().to_owned();
    // What was shown is on disk within a second; nobody ends the session for that.
    let export = |scene: &Scene| scene.bartizan().cli(&["session", "export", &id, "--format", "text"]);
    eventually("the recording holds both marks", || {
        let text = export(&scene).text();
        (text.contains("first mark") && text.contains("second mark")).then_some(())
    });

    scene.bartizan_mut().kill();
    let (code, ..) = client.finish();
    assert_ne!(code, 0, "a crash is no success");
    // Offline, with the server dead.
    assert!(export(&scene).ok().text().contains("second mark"));
    scene.bartizan().say(&["log", "verify"]);

    scene.bartizan_mut().start_again();
    let session = scene.ended_session();
    assert_eq!(
        (&session["id"], &session["state"]),
        (&id.as_str().into(), &"truncated".into()),
        "{session:#}"
    );
    let end = scene.event("session.end");
    assert_eq!(end["truncated"], true);
    assert!(!list(&end["recording"]).is_empty(), "its files are bound to the log: {end:#}");
    assert!(export(&scene).ok().text().contains("second mark"));
    scene.bartizan().say(&["log", "verify"]);
    // And life goes on.
    scene.exec("exit 7").exits(7);
}

fn a_stop_ends_sessions_with_a_reason(way: Way) {
    // The command never ends by itself: the drain would only be waited for.
    let config = "\n[session]\ndrain = \"1s\"\n";
    let options = Options { bartizan: BartizanOptions::written(config), ..Options::default() };
    let mut scene = Scene::with(way, &options);
    let mut client = scene.start(&["-tt"], "echo up; exec sleep 1000");
    client.read_to("up\r\n");
    assert!(scene.bartizan_mut().stop().success());
    let (code, ..) = client.finish();
    assert_ne!(code, 0, "the command did not end by itself");
    scene.bartizan_mut().start_again();
    let session = scene.ended_session();
    assert_eq!(session["state"], "ended", "{session:#}");
    assert_eq!(scene.events("server.stop").len(), 1);
    assert_eq!(scene.events("server.start").len(), 2);
}

/// A data folder belongs to one process.
#[test]
fn a_second_server_on_the_same_data_is_refused() {
    let scene = Scene::new(Way::UserName);
    let data = scene.bartizan().data();
    let mut second = Command::new(programs().join("bartizand"));
    run(second.args(["serve", "--data", text(&data)])).fails().says(&["another bartizand", "--data"]);
    scene.exec("true").ok();
}

/// What `init` made is not made again, nor overwritten.
#[test]
fn a_data_folder_is_made_once() {
    let scene = Scene::new(Way::UserName);
    let data = scene.bartizan().data();
    let before = std::fs::read(data.join("bartizan.toml")).unwrap();
    let mut second = Command::new(programs().join("bartizand"));
    run(second.args(["init", "--data", text(&data), "--listen", "127.0.0.1:1"])).fails();
    assert_eq!(std::fs::read(data.join("bartizan.toml")).unwrap(), before);
    let mut check = Command::new(programs().join("bartizand"));
    run(check.args(["check", "--data", text(&data)])).ok();
}
