//! What an auditor can prove with a copy of the data folder and the log's public key, without the server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bartizan_testkit::{Finished, eventually, programs, run};

use crate::scene::{Scene, Way, list, text};

/// A stopped server's data folder with two sessions in it, and the log's public key kept elsewhere.
fn stopped() -> (Scene, PathBuf, String) {
    let mut scene = Scene::new(Way::ProxyJump);
    scene.exec("echo first").ok();
    run(scene.client.ssh().args(["-tt", scene.host(), "echo second"])).ok();
    let session = scene.ended_session()["id"].as_str().unwrap().to_owned();
    assert!(scene.bartizan_mut().stop().success());
    let key = scene.folder().join("log.vkey");
    fs::copy(scene.bartizan().data().join("keys/log.vkey"), &key).unwrap();
    (scene, key, session)
}

fn copy(scene: &Scene, name: &str) -> PathBuf {
    let copy = scene.folder().join(name);
    run(Command::new("cp").arg("-a").arg(scene.bartizan().data()).arg(&copy)).ok();
    // An auditor's copy holds no secrets.
    fs::remove_dir_all(copy.join("keys")).unwrap();
    copy
}

fn verify(data: &Path, key: &Path) -> Finished {
    let mut bartizan = Command::new(programs().join("bartizan"));
    run(bartizan.arg("-D").arg(data).args(["log", "verify", "--key", text(key)]))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let find = run(Command::new("find").arg(folder).args(["-type", "f"])).ok().text();
    let mut files: Vec<_> = find.lines().map(PathBuf::from).collect();
    files.sort();
    files
}

#[test]
fn an_untouched_copy_verifies_with_the_public_key_alone() {
    let (scene, key, session) = stopped();
    let data = copy(&scene, "copy");
    verify(&data, &key).ok();
    // And the recording replays from it.
    let mut play = Command::new(programs().join("bartizan"));
    play.arg("-D").arg(&data).args(["session", "export", &session, "--format", "text"]);
    assert!(run(&mut play).ok().text().contains("second"));
    // Another log's key proves nothing.
    let other = Scene::new(Way::UserName);
    verify(&data, &other.bartizan().data().join("keys/log.vkey")).exits(4);
}

/// A data folder after two runs of the server with more than one full bundle of events; a copy from between them.
fn grown() -> (Scene, PathBuf, PathBuf) {
    let (mut scene, key, _) = stopped();
    let earlier = copy(&scene, "earlier");
    scene.bartizan_mut().start_again();
    let checkpoint = scene.bartizan().data().join("log/checkpoint");
    let signed = || fs::read(&checkpoint).unwrap();
    for round in 0..140 {
        let before = signed();
        scene.bartizan().say(&["person", if round % 2 == 0 { "lock" } else { "unlock" }, "alice"]);
        // So that several checkpoints of the last bundle were published.
        if round % 30 == 29 {
            eventually("another checkpoint", || (signed() != before).then_some(()));
        }
        scene.bartizan().say(&["log", "search", "--limit", "1"]);
    }
    run(scene.client.ssh().args(["-tt", scene.host(), "echo third"])).ok();
    scene.ended_session();
    assert!(scene.bartizan_mut().stop().success());
    (scene, key, earlier)
}

/// What can be done to a file, and what its contents are then; none when it makes no sense for it.
fn changes(whole: &[u8], earlier: Option<Vec<u8>>) -> Vec<(String, Option<Vec<u8>>)> {
    let end = whole.len();
    let mut changes = vec![("is gone".to_owned(), None)];
    for at in [0, 1, end / 3, end / 2, end - 1] {
        let bit = 1 << (at % 8);
        let mut bytes = whole.to_vec();
        bytes[at] ^= bit;
        changes.push((format!("has bit {bit:#04x} of byte {at} flipped"), Some(bytes)));
    }
    for length in [0, end / 2, end - 1] {
        changes.push((format!("is cut to {length} bytes"), Some(whole[..length].to_vec())));
    }
    if let Some(earlier) = earlier.filter(|earlier| earlier != whole) {
        changes.push(("is an older copy".to_owned(), Some(earlier)));
    }
    changes
}

/// Every kind of file in `log` and `recordings`, each with a bit flipped here and there, gone, cut, replaced by what it
/// was before: `log verify` ends with 4 and names it.
#[test]
fn every_change_is_found() {
    let (scene, key, earlier) = grown();
    let data = copy(&scene, "changed");
    verify(&data, &key).ok();
    let newest = fs::read_to_string(data.join("log/checkpoint")).unwrap();
    let newest: u64 = newest.lines().nth(1).unwrap().parse().unwrap();
    let paths: Vec<_> = files(&data)
        .into_iter()
        .map(|path| path.strip_prefix(&data).unwrap().to_owned())
        .filter(|path| path.starts_with("recordings") || path.starts_with("log"))
        // Says who has the log open, and nothing about what is in it.
        .filter(|path| !path.ends_with("lock"))
        .collect();
    let kinds = [
        "log.json",
        "checkpoint",
        ".journal",
        "tile/entries/000",
        "tile/0/000",
        "entries/001.p/",
        "tile/0/001.p/",
        "tile/1/000.p/",
        "meta.json",
        "manifest.json",
        ".cast.zst",
        ".bytes.zst",
    ];
    for kind in kinds {
        assert!(paths.iter().any(|path| text(path).contains(kind)), "no {kind} among {paths:#?}");
    }
    let mut checked = 0;
    for path in &paths {
        let file = data.join(path);
        let whole = fs::read(&file).unwrap();
        for (what, changed) in changes(&whole, fs::read(earlier.join(path)).ok()) {
            let width: Option<u64> = path.file_name().and_then(|name| text(Path::new(name)).parse().ok());
            // Nobody needs the partial forms of checkpoints that were replaced since.
            let old =
                text(path).contains(".p/") && width != Some(newest % 256) && !text(path).contains("tile/1");
            match &changed {
                None if old => continue,
                None => fs::remove_file(&file).unwrap(),
                Some(bytes) => fs::write(&file, bytes).unwrap(),
            }
            let found = verify(&data, &key);
            assert_eq!(found.code(), 4, "{} {what}: {found}", path.display());
            let told = found.text() + &found.errors();
            let name = text(Path::new(path.file_name().unwrap()));
            // Of a bundle it is the tile that shows it; of a segment that is gone, the journal that has none.
            let named = told.contains(name) || text(path).contains("journal") && told.contains("journal");
            assert!(named, "{} {what}, and is not named: {told}", path.display());
            fs::write(&file, &whole).unwrap();
            checked += 1;
        }
    }
    verify(&data, &key).ok();
    assert!(checked > 100, "{checked} changes of {} files", paths.len());
}

#[test]
fn entries_in_another_order_and_the_checkpoint_of_another_log_are_found() {
    let (scene, key, earlier) = grown();
    let data = copy(&scene, "changed");
    let bundle = data.join("log/tile/entries/000");
    let whole = fs::read(&bundle).unwrap();
    let length = |at: usize| 2 + usize::from(u16::from_be_bytes([whole[at], whole[at + 1]]));
    let (first, second) = (length(0), length(length(0)));
    let swapped = [&whole[first..first + second], &whole[..first], &whole[first + second..]].concat();
    fs::write(&bundle, swapped).unwrap();
    let found = verify(&data, &key).exits(4).text();
    assert!(found.contains("entry 0 does not carry its own index"), "{found}");
    fs::write(&bundle, &whole).unwrap();

    let other = Scene::new(Way::UserName);
    fs::copy(other.bartizan().data().join("log/checkpoint"), data.join("log/checkpoint")).unwrap();
    let found = verify(&data, &key).exits(4).text();
    assert!(found.contains("checkpoint") && found.contains("no signature by"), "{found}");

    // All of the log and the recordings as they were: only who kept a checkpoint can tell.
    let kept = scene.bartizan().say(&["log", "checkpoint"]);
    let file = scene.folder().join("kept");
    fs::write(&file, kept).unwrap();
    verify(&earlier, &key).ok();
    let mut since = Command::new(programs().join("bartizan"));
    since.arg("-D").arg(&earlier).args(["log", "verify", "--key", text(&key), "--since", text(&file)]);
    let found = run(&mut since).exits(4).text();
    assert!(found.contains("taken back to an earlier state"), "{found}");
}

#[test]
fn a_session_that_is_gone_is_missed() {
    let (scene, key, session) = stopped();
    let data = copy(&scene, "copy");
    fs::remove_dir_all(data.join("recordings").join(&session)).unwrap();
    let found = verify(&data, &key).exits(4);
    assert!(format!("{found}").contains(&session), "{found}");
}

/// Whoever can write to the disk while the server is stopped, and knows what a crash looks like, has neither a changed recording
/// bound anew by the next start nor one that they brought along.
#[test]
fn what_was_made_to_look_like_a_crash_is_found_after_the_next_start() {
    let (mut scene, key, session) = stopped();
    let recordings = scene.bartizan().data().join("recordings");
    let (changed, planted) =
        (recordings.join(&session), recordings.join("01a22277-4469-75fb-96d2-32aba4348db9"));
    run(Command::new("cp").arg("-a").arg(&changed).arg(&planted)).ok();
    fs::remove_file(planted.join("manifest.json")).unwrap();
    fs::remove_file(changed.join("manifest.json")).unwrap();
    let cast = changed.join("channel-0.cast.zst");
    let mut bytes = fs::read(&cast).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&cast, bytes).unwrap();

    for _ in 0..2 {
        scene.bartizan_mut().start_again();
        let b = scene.bartizan();
        let ends = list(&b.json(&["log", "search", "--type", "session.end"])).len();
        assert_eq!(ends, 2, "no end was made of either");
        let anomalies = list(&b.json(&["log", "search", "--type", "anomaly", "--oldest-first"]));
        let told: Vec<_> = anomalies.iter().map(|event| event["what"].as_str().unwrap()).collect();
        assert_eq!(told.len(), 2, "each is told once: {told:?}");
        assert!(told.contains(&"recording.changed") && told.contains(&"recording.unknown"), "{told:?}");
        assert!(scene.bartizan_mut().stop().success());
    }
    let found = verify(&scene.bartizan().data(), &key).exits(4).text();
    assert!(found.contains(&format!("session {session}: channel-0.cast.zst differs")), "{found}");
    assert!(
        found.contains("01a22277-4469-75fb-96d2-32aba4348db9: there is a recording, and no session"),
        "{found}"
    );
}

/// Adds an event to a stopped server's journal, as whoever can write to the disk can.
fn forge(data: &Path, event: impl Fn(u64) -> String) {
    let journal = data.join("log/journal");
    let segment = fs::read_dir(&journal).unwrap().map(|entry| entry.unwrap().path());
    let segment =
        segment.filter(|path| path.extension().is_some_and(|kind| kind == "journal")).max().unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    let number = |bytes: &[u8]| bytes.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    // Behind the header, batch by batch.
    let (mut at, mut next) = (32, number(&bytes[8..16]));
    while bytes.get(at..at + 4) == Some(b"BZBT") {
        next = number(&bytes[at + 8..at + 16]) + number(&bytes[at + 4..at + 8]);
        at += 32 + number(&bytes[at + 16..at + 20]) as usize;
    }
    let json = event(next);
    let mut body = (json.len() as u16).to_be_bytes().to_vec();
    body.extend(json.bytes());
    let mut batch = b"BZBT".to_vec();
    batch.extend(1_u32.to_be_bytes());
    batch.extend(next.to_be_bytes());
    batch.extend((body.len() as u32).to_be_bytes());
    let summed = journal.join("summed");
    fs::write(&summed, [batch.as_slice(), &body].concat()).unwrap();
    let sum = run(Command::new("sha256sum").arg(&summed)).ok().text();
    fs::remove_file(&summed).unwrap();
    batch.extend((0..12).map(|n| u8::from_str_radix(&sum[2 * n..2 * n + 2], 16).unwrap()));
    batch.extend(body);
    bytes.resize(bytes.len().max(at + batch.len()), 0);
    bytes[at..at + batch.len()].copy_from_slice(&batch);
    fs::write(&segment, bytes).unwrap();
}

/// The next start would sign what was added to the journal: a removal that is none excuses nothing, and removes nothing.
#[test]
fn a_removal_that_was_added_to_the_journal_is_withdrawn() {
    for gone in [false, true] {
        let (mut scene, key, session) = stopped();
        let data = scene.bartizan().data();
        let folder = data.join("recordings").join(&session);
        forge(&data, |index| {
            format!(
                r#"{{"index":{index},"v":1,"time":"2026-11-21T08:30:00.000001Z","node":"n","severity":"notice","#
            ) + &format!(
                r#""outcome":"success","session":"{session}","type":"recording.remove","reason":"old","bytes":1,"recording":[]}}"#
            )
        });
        if gone {
            fs::remove_dir_all(&folder).unwrap();
        }
        scene.bartizan_mut().start_again();
        let b = scene.bartizan();
        let events = list(&b.json(&["log", "search", "--type", "recording.remove"]));
        assert_eq!(events.len(), 1, "it is in the log: {events:?}");
        let told = list(&b.json(&["log", "search", "--type", "anomaly", "--oldest-first"]));
        let told: Vec<_> = told.iter().map(|event| event["what"].as_str().unwrap()).collect();
        assert_eq!(told, ["log.unsigned", if gone { "recording.gone" } else { "recording.kept" }]);
        assert!(!b.say(&["session", "show", &session]).contains("removed by retention"));
        assert_eq!(folder.exists(), !gone);
        assert!(scene.bartizan_mut().stop().success());
        if !gone {
            verify(&data, &key).ok();
            fs::remove_dir_all(&folder).unwrap();
        }
        let found = verify(&data, &key).exits(4).text();
        assert!(found.contains(&format!("session {session}: manifest.json is missing")), "{found}");
        assert!(!found.contains("removed by retention"), "{found}");
    }
}
