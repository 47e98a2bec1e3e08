//! What an auditor can prove with a copy of the data folder and the log's public key, without the server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bartizan_testkit::{Finished, programs, run};

use crate::scene::{Scene, Way, text};

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

/// Each file of the recordings and each file that holds events, one byte changed or the file gone.
#[test]
fn every_change_is_found() {
    let (scene, key, _) = stopped();
    let untouched = copy(&scene, "untouched");
    verify(&untouched, &key).ok();
    let evidence: Vec<_> = files(&untouched)
        .into_iter()
        .map(|path| path.strip_prefix(&untouched).unwrap().to_owned())
        .filter(|path| path.starts_with("recordings") || path.starts_with("log"))
        // No evidence: the lock, the name of the log (the key says it, too), and partial tiles, which are
        // copies for others of what is in the journal.
        .filter(|path| !path.ends_with("lock") && !path.ends_with("log.json"))
        .filter(|path| !path.to_string_lossy().contains(".p/"))
        .collect();
    assert!(evidence.len() >= 6, "{evidence:?}");
    for (number, path) in evidence.iter().enumerate() {
        let data = copy(&scene, &format!("changed-{number}"));
        let file = data.join(path);
        let mut bytes = fs::read(&file).unwrap();
        // Journals are written over zeros: what lies behind the last event says nothing.
        let Some(last) = bytes.iter().rposition(|byte| *byte != 0) else { continue };
        bytes[last / 2] ^= 1;
        fs::write(&file, &bytes).unwrap();
        assert_eq!(verify(&data, &key).code(), 4, "{} was changed", path.display());
        fs::remove_file(&file).unwrap();
        assert_eq!(verify(&data, &key).code(), 4, "{} is gone", path.display());
        fs::remove_dir_all(&data).unwrap();
    }
}

#[test]
fn a_session_that_is_gone_is_missed() {
    let (scene, key, session) = stopped();
    let data = copy(&scene, "copy");
    fs::remove_dir_all(data.join("recordings").join(&session)).unwrap();
    let found = verify(&data, &key).exits(4);
    assert!(format!("{found}").contains(&session), "{found}");
}
