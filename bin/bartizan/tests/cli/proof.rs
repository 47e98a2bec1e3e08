//! What an auditor takes away: a proof of one event, and a checkpoint to hold the log to.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bartizan_testkit::{Bartizan, Finished, programs, run};

use super::{Tells as _, text};

/// A stopped server with events in its log; the log's public key in an otherwise empty folder.
fn stopped() -> (Bartizan, tempfile::TempDir) {
    let mut bartizan = Bartizan::start();
    bartizan.say(&["person", "add", "alice"]);
    assert!(bartizan.stop().success());
    let auditor = tempfile::tempdir().unwrap();
    fs::copy(bartizan.data().join("keys/log.vkey"), auditor.path().join("log.vkey")).unwrap();
    (bartizan, auditor)
}

/// Runs `bartizan` where the auditor is, without a data folder.
fn at(folder: &Path, arguments: &[&str]) -> Finished {
    run(Command::new(programs().join("bartizan"))
        .current_dir(folder)
        .env_remove("BARTIZAN_DATA")
        .args(arguments))
}

fn index_of(bartizan: &Bartizan, kind: &str) -> String {
    let exported = bartizan.say(&["log", "export"]);
    let index = exported.lines().position(|line| line.contains(&format!("\"type\":\"{kind}\"")));
    assert!(index.is_some(), "no {kind}: {exported}");
    index.unwrap().to_string()
}

#[test]
fn one_event_is_proved_where_there_is_nothing_but_the_key() {
    let (bartizan, auditor) = stopped();
    let index = index_of(&bartizan, "directory.change");
    let file = auditor.path().join("alice.tlog-proof");
    bartizan.cli(&["log", "prove", &index, "-o", text(&file)]).ok();
    let there: Vec<_> = fs::read_dir(auditor.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(there.len(), 2, "the key and the proof: {there:?}");

    let check = ["log", "verify", "--proof", "alice.tlog-proof", "--key", "log.vkey"];
    at(auditor.path(), &check).ok().tells(&["proved", "add person alice", "\"name\":\"alice\""]);
    let json = at(auditor.path(), &[&check[..], &["--json"]].concat()).ok().text();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((json["index"].to_string(), &json["event"]["name"]), (index.clone(), &"alice".into()));
    let printed = bartizan.say(&["log", "prove", &index]);
    assert_eq!(printed, fs::read_to_string(&file).unwrap(), "the same on standard output");

    // One byte of it changed, wherever.
    for at_byte in [30, printed.len() / 3, printed.len() / 2, printed.len() - 10] {
        let mut changed = printed.clone().into_bytes();
        changed[at_byte] = if changed[at_byte] == b'A' { b'B' } else { b'A' };
        fs::write(&file, changed).unwrap();
        at(auditor.path(), &check).exits(4).tells(&["alice.tlog-proof"]);
    }
    // The key of another log.
    fs::write(&file, printed).unwrap();
    let other = Bartizan::start();
    let key = other.data().join("keys/log.vkey");
    at(auditor.path(), &["log", "verify", "--proof", "alice.tlog-proof", "--key", text(&key)]).exits(4);
    // An event that there is not yet.
    bartizan
        .cli(&["log", "prove", "100000"])
        .exits(1)
        .tells(&["is not published", "the last that can be proved is"]);
}

#[test]
fn a_kept_checkpoint_tells_when_the_log_was_taken_back() {
    let (mut bartizan, auditor) = stopped();
    let kept = auditor.path().join("kept");
    let keep = |bartizan: &Bartizan, file: &PathBuf| {
        bartizan.cli(&["log", "checkpoint", "-o", text(file)]).ok();
    };
    keep(&bartizan, &kept);
    let backup = auditor.path().join("backup");
    run(Command::new("cp").arg("-a").arg(bartizan.data()).arg(&backup)).ok();

    bartizan.start_again();
    bartizan.say(&["person", "add", "mallory"]);
    assert!(bartizan.stop().success());
    bartizan
        .cli(&["log", "verify", "--since", text(&kept)])
        .ok()
        .tells(&["goes on from the kept checkpoint"]);
    let later = auditor.path().join("later");
    keep(&bartizan, &later);

    // The folder is taken back to what it was: by itself it verifies, and not to who kept a checkpoint.
    let old = |arguments: &[&str]| {
        at(auditor.path(), &[&["-D", text(&backup), "log", "verify"], arguments].concat())
    };
    old(&[]).ok().tells(&["not checked: whether the whole folder was taken back"]);
    old(&["--since", "kept"]).ok();
    old(&["--since", "later"]).exits(4).tells(&["taken back to an earlier state"]);
    // What was kept must be this log's checkpoint.
    fs::write(&later, fs::read_to_string(&later).unwrap().replacen('1', "2", 1)).unwrap();
    old(&["--since", "later"]).exits(4).tells(&["later"]);
}
