//! The disk of the data folder fills up: sessions end with the reason, others are refused with the reason, break-glass
//! grants pass, and once there is space again all is as before, without a restart.

use std::io::{Read as _, Write as _};

use bartizan_testkit::{Bartizan, BartizanOptions, eventually, run};

use crate::operate::{WITH_METRICS, ask};
use crate::scene::{Client, Options, Scene, Way, text, ways};

ways! {
    everywhere: ;
    bartizan:
        a_full_disk_ends_and_refuses_sessions_and_break_glass_passes,
        break_glass_goes_on_where_the_recording_ends,
}

/// Size of the data folder's file system in MiB: 3.2 MiB of it are the mark `full`.
const MIB: u32 = 64;
/// Blocks of 4 KiB that pass when nothing can be kept.
const BLOCKS: u64 = 1000;
/// Bytes that are left when space is short, but nothing fails yet.
const SHORT: u64 = 2 << 20;

fn scene(way: Way) -> Scene {
    let bartizan = BartizanOptions { disk_mib: Some(MIB), ..BartizanOptions::written(WITH_METRICS) };
    let mut scene = Scene::with(way, &Options { bartizan, ..Options::default() });
    let (b, login) = (scene.bartizan(), scene.target.login().to_owned());
    let host_key = scene.target.host_key().public();
    b.say(&["target", "add", "web-9", &scene.target.endpoint(), "--host-key", text(&host_key)]);
    let grant = ["grant", "add", "--person", "alice", "--target", "web-9", "--login", &login];
    b.say(&[&grant[..], &["--allow", "shell,exec", "--break-glass"]].concat());
    let glass = match way {
        Way::ProxyJump => ("web-9:22".to_owned(), login, "ProxyJump bastion"),
        _ => (b.endpoint(), format!("{login}@web-9"), "ProxyJump none"),
    };
    crate::scene::trust_bartizan(&scene.client, b);
    scene.client.host("glass", &glass.0, &glass.1, &[glass.2]);
    scene
}

/// Waits until the server knows how the space stands.
fn told(b: &Bartizan, kind: &str) -> serde_json::Value {
    eventually(kind, || {
        let events = b.json(&["log", "search", "--type", kind]);
        events.as_array().unwrap().first().cloned()
    })
}

/// Whether a block comes back. One after the other: a client that is writing when it is told to go may not read why.
fn echoes(client: &mut Client) -> bool {
    let (mut block, child) = ([b'x'; 4096], &mut client.child);
    let written = child.stdin.as_mut().unwrap().write_all(&block);
    written.and_then(|()| child.stdout.as_mut().unwrap().read_exact(&mut block)).is_ok()
}

fn glass(scene: &Scene, command: &str) -> bartizan_testkit::Finished {
    run(scene.client.ssh().args(["glass", command]))
}

fn a_full_disk_ends_and_refuses_sessions_and_break_glass_passes(way: Way) {
    let scene = scene(way);
    let (b, disk) = (scene.bartizan(), scene.bartizan().disk());
    scene.exec("echo before").ok();
    let mut live = scene.start(&[], "cat");
    live.type_in("live\n");
    live.read_to("live\n");

    disk.fill(SHORT);
    let full = told(b, "space.full");
    assert_eq!((&full["severity"], &full["outcome"]), (&"high".into(), &"failure".into()), "{full:#}");
    assert!(full["free_bytes"].as_u64().unwrap() <= SHORT, "{full:#}");
    scene.exec("echo never").exits(255).says(&["no session can start", "nearly full", "operator"]);
    let denied = scene.denied();
    assert!(denied[0]["reason"].as_str().unwrap().starts_with("space: "), "{denied:#?}");
    // Recorded still, and loud.
    assert_eq!(glass(&scene, "echo passes").ok().text(), "passes\n");
    let (start, end) = (scene.event("break_glass.start"), scene.event("break_glass.end"));
    assert_eq!((&start["recorded"], &start["severity"]), (&true.into(), &"high".into()), "{start:#}");
    assert_eq!((&end["recorded"], &end["session"]), (&true.into(), &start["session"]), "{end:#}");
    let (status, reasons) = ask(b, "/readyz");
    assert!(status.contains("503") && reasons.contains("space: "), "{status} {reasons}");

    // Nothing is left: what lives ends and says why, as soon as it does something.
    disk.fill(0);
    while echoes(&mut live) {}
    let (code, _, errors) = live.finish();
    assert_ne!(code, 0);
    assert!(errors.contains("disk") && errors.contains("operator"), "{errors}");
    scene.exec("echo never").exits(255).says(&["no session can start", "operator"]);
    assert_eq!(glass(&scene, "echo passes").ok().text(), "passes\n");

    disk.clear();
    told(b, "space.ok");
    assert_eq!(ask(b, "/readyz").1, "ok\n");
    assert_eq!(scene.exec("echo after").ok().text(), "after\n");
    let ended = scene.events("session.end");
    let cut: Vec<_> = ended.iter().filter(|end| end["truncated"] == true).collect();
    assert!(!cut.is_empty(), "{ended:#?}");
    let reason = cut[0]["reason"].as_str().unwrap();
    assert!(reason.contains("recording failed") || reason.contains("audit log failed"), "{reason}");
    b.say(&["log", "verify"]);
}

/// Not a block is free, and access is taken away all the same: out of the room that is kept for it, again and again. What
/// gives access waits.
#[test]
fn access_is_taken_away_on_a_full_disk() {
    let scene = scene(Way::UserName);
    let b = scene.bartizan();
    let mut live = scene.start(&[], "cat");
    live.type_in("live\n");
    live.read_to("live\n");
    for name in ["bob", "carol", "dave"] {
        b.say(&["person", "add", name]);
    }
    let grants = b.json(&["grant", "list", "--person", "alice"]);
    let grant = |n: usize| grants[n]["id"].as_str().unwrap().to_owned();
    b.disk().fill(0);
    b.cli(&["person", "add", "eve"]).exits(1).says(&["disk", "space"]);
    b.say(&["person", "lock", "bob"]);
    b.say(&["person", "remove", "carol"]);
    b.say(&["cert", "revoke", "--key", &format!("SHA256:{}", "A".repeat(43))]);
    b.say(&["grant", "remove", &grant(0)]);
    b.say(&["grant", "remove", &grant(1)]);
    assert_ne!(live.finish().0, 0, "nothing permits it any more");
    // The next one has a full disk again: somebody else took what was given up.
    b.disk().fill(0);
    b.say(&["person", "lock", "dave"]);
    b.disk().fill(0);
    b.cli(&["person", "unlock", "dave"]).exits(1).says(&["disk", "space"]);
    let people = b.json(&["person", "list"]);
    let told: Vec<_> = people.as_array().unwrap().iter().map(|p| (&p["name"], &p["state"])).collect();
    assert_eq!(
        format!("{told:?}"),
        format!(
            "{:?}",
            [("alice", "active"), ("bob", "locked"), ("dave", "locked")]
                .map(|(name, state)| (serde_json::Value::from(name), serde_json::Value::from(state)))
        )
    );

    b.disk().clear();
    told_full_again(b);
    b.say(&["person", "unlock", "dave"]);
    b.say(&["log", "verify"]);
}

/// Waits until the reserve is whole again.
fn told_full_again(b: &Bartizan) {
    let reserve = b.data().join("bartizan.db.reserve");
    eventually("the reserve is filled up again", || {
        (std::fs::metadata(&reserve).ok()?.len() == 2 << 20).then_some(())
    });
}

/// The disk is full while the session is live: it goes on, and what passed is known by its digest.
fn break_glass_goes_on_where_the_recording_ends(way: Way) {
    let mut scene = scene(way);
    let mut ssh = scene.client.ssh();
    let mut live = Client::start(ssh.args(["glass", "cat"]));
    live.type_in("live\n");
    live.read_to("live\n");
    scene.bartizan().disk().fill(0);
    // More than can be kept back: the recording fails, the session does not.
    assert!((0..BLOCKS).all(|_| echoes(&mut live)));
    drop(live.child.stdin.take());
    let (code, _, errors) = live.finish();
    assert_eq!(code, 0, "{errors}");
    scene.bartizan().disk().clear();
    // What was full for less than it takes to measure again is not told as such.
    eventually("there is space", || (ask(scene.bartizan(), "/readyz").1 == "ok\n").then_some(()));
    let (start, end) = (scene.event("break_glass.start"), scene.event("break_glass.end"));
    assert_eq!((&start["recorded"], &end["recorded"]), (&false.into(), &false.into()), "{start:#} {end:#}");
    let close = scene.event("channel.close");
    assert_eq!(close["input"]["bytes"], 5 + BLOCKS * 4096, "{close:#}");
    assert_eq!(scene.event("session.end")["truncated"], true);
    scene.bartizan().say(&["log", "verify"]);
    // Nothing of it hinders the next start.
    assert!(scene.bartizan_mut().stop().success());
    scene.bartizan_mut().start_again();
    scene.exec("true").ok();
    scene.bartizan().say(&["log", "verify"]);
}

/// On a read-only file system nothing begins, the reason is named, and the evidence can be read and verified.
#[test]
fn a_folder_that_cannot_be_written_is_named_and_can_be_read() {
    let mut scene = scene(Way::UserName);
    scene.exec("echo kept").ok();
    scene.ended_session();
    assert!(scene.bartizan_mut().stop().success());
    let b = scene.bartizan();
    b.disk().read_only(true);
    run(&mut b.bartizand("serve")).exits(1).says(&["Read-only file system", "data"]);
    b.say(&["log", "verify"]);
    assert!(b.say(&["log", "export"]).contains("echo kept"));
    b.disk().read_only(false);
    scene.bartizan_mut().start_again();
    scene.exec("true").ok();
}
