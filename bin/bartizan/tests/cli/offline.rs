//! Reading recordings and the log with the server stopped.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use bartizan_model::{NodeId, Recording, SessionId, Timestamp, Way};
use bartizan_record::{Options, Recordings, SessionMeta, Stream};
use bartizan_testkit::{Bartizan, programs};

use super::{Tells as _, program, text};

/// Makes the recording of a session with a terminal, as the server would.
fn record(root: &Path) -> SessionId {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let session = SessionId::new();
        let recordings = Recordings::open(root, Options::default()).unwrap();
        let meta = SessionMeta {
            session,
            started: Timestamp::now(),
            person: "alice".parse().unwrap(),
            login: "root".parse().unwrap(),
            target: "web-1".parse().unwrap(),
            way: Way::UserName,
            source: "10.0.0.1:5".parse().unwrap(),
            node: NodeId("n".into()),
            client: "SSH-2.0-x".into(),
        };
        let recorder = recordings.begin(meta, Recording::default()).await.unwrap();
        let at = Duration::from_millis;
        recorder.open_channel(0, "session", at(0));
        recorder.set_pty(0, b"xterm", 80, 24, at(1));
        recorder.data(
            0,
            Stream::Output,
            at(10),
            b"\x1b[1mhello\x1b[0m \x1b]52;c;ZXZpbA==\x07\x1b[6nworld\r\n",
        );
        recorder.data(0, Stream::Output, at(50_000), b"later\r\n");
        recorder.open_channel(1, "session", at(60_000));
        recorder.data(1, Stream::Output, at(60_000), b"plain\x1b[2J\n");
        recorder.finish(at(70_000)).await.unwrap();
        session
    })
}

fn folder() -> (tempfile::TempDir, SessionId) {
    let temp = tempfile::tempdir().unwrap();
    let data = temp.path().join("data");
    program("bartizand", &["init", "--data", text(&data), "--listen", "127.0.0.1:0"]).ok();
    let id = record(&data.join("recordings"));
    (temp, id)
}

#[test]
fn recordings_are_played_without_a_server_and_that_is_said() {
    let (temp, id) = folder();
    let data = temp.path().join("data");
    let start = &id.to_string()[..18];
    let played = program(
        "bartizan",
        &["-D", text(&data), "session", "play", start, "--speed", "100", "--idle-limit", "100ms"],
    )
    .ok();
    assert!(played.errors().contains("is not in the audit log"), "{played}");
    let shown = played.text();
    assert!(shown.contains("\u{1b}[1mhello\u{1b}[0m world\r\nlater\r\n"), "{shown:?}");
    assert!(
        !shown.contains("]52;") && !shown.contains("[6n"),
        "nothing reaches beyond the screen: {shown:?}"
    );

    let plain = ["-D", text(&data), "session", "play", start, "--channel", "1", "--speed", "100"];
    assert_eq!(program("bartizan", &plain).ok().text(), "plain\\x1b[2J\r\n");
    let late = ["-D", text(&data), "session", "play", start, "--from", "49s", "--speed", "100"];
    program("bartizan", &late).ok().tells(&["later"]);
}

/// Plays in a terminal of its own, with keys typed when what they wait for was shown; gives all that was shown,
/// up to what `stty` says afterwards.
fn in_a_terminal(data: &Path, id: SessionId, keys: &[(&str, &str)]) -> String {
    let player = programs().join("bartizan");
    let line = format!("{} -D {} session play {id}; stty -a", text(&player), text(data));
    let mut child = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut keyboard = child.stdin.take().unwrap();
    let mut screen = child.stdout.take().unwrap();
    let mut shown = Vec::new();
    let mut chunk = [0; 4096];
    let mut keys = keys.iter().peekable();
    loop {
        let n = screen.read(&mut chunk).unwrap();
        if n == 0 {
            break;
        }
        shown.extend_from_slice(&chunk[..n]);
        let awaited = |(awaited, _): &&(&str, &str)| String::from_utf8_lossy(&shown).contains(awaited);
        while let Some((_, typed)) = keys.next_if(awaited) {
            keyboard.write_all(typed.as_bytes()).unwrap();
        }
    }
    child.wait().unwrap();
    String::from_utf8_lossy(&shown).into_owned()
}

#[test]
fn keys_steer_the_player_and_the_terminal_is_put_back() {
    let (temp, id) = folder();
    let data = temp.path().join("data");
    // A minute passes in the recording before the second piece.
    let jumped = in_a_terminal(&data, id, &[("world", &"\x1b[C".repeat(5))]);
    assert!(jumped.contains("later"), "{jumped}");
    let stepped = in_a_terminal(&data, id, &[("world", " ."), ("later", "q")]);
    assert!(stepped.contains("later"), "{stepped}");
    let left = in_a_terminal(&data, id, &[("world", "q")]);
    assert!(!left.contains("later"), "{left}");
    let back = in_a_terminal(&data, id, &[("world", " \x1b[C\x1b[D"), ("\x1bc", "q")]);
    assert!(back.contains("\u{1b}c"), "back is from the beginning: {back:?}");
    for shown in [jumped, stepped, left, back] {
        let words: Vec<&str> = shown.split_whitespace().collect();
        for mode in ["icanon", "echo", "isig"] {
            assert!(words.contains(&mode), "{mode} is not back: {shown}");
        }
        assert!(shown.contains("\u{1b}[?25h"), "the cursor is back: {shown:?}");
    }
}

#[test]
fn recordings_are_exported_without_a_server() {
    let (temp, id) = folder();
    let data = temp.path().join("data");
    let id = id.to_string();
    let export =
        |more: &[&str]| program("bartizan", &[&["-D", text(&data), "session", "export", &id], more].concat());
    assert_eq!(export(&["--format", "text"]).ok().text(), "hello world\nlater\n");
    export(&["--format", "asciicast"]).ok().tells(&["\"version\":2"]);
    export(&["--format", "raw", "--channel", "1"]).ok().tells(&["plain\u{1b}[2J"]);
    export(&["--format", "text", "--channel", "7"]).exits(1).tells(&["no channel 7", "it has 0, 1"]);
    assert_eq!(export(&["--format", "raw", "--channel", "1", "--stream", "error"]).ok().text(), "");

    let file = temp.path().join("typescript");
    export(&["--format", "typescript", "--output", text(&file)]).ok();
    assert!(temp.path().join("typescript.timing").is_file());
    export(&["--format", "typescript", "--output", text(&file)]).exits(1).tells(&["was not overwritten"]);

    // A byte that was changed ends the export as evidence that does not verify.
    let recording = data.join("recordings").join(&id).join("channel-0.cast.zst");
    let mut bytes = fs::read(&recording).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs::write(&recording, bytes).unwrap();
    export(&["--format", "text"]).exits(4);
}

#[test]
fn a_recording_that_was_cut_is_written_as_far_as_it_goes_and_told() {
    let (temp, id) = folder();
    let data = temp.path().join("data");
    let id = id.to_string();
    let session = |more: &[&str]| program("bartizan", &[&["-D", text(&data), "session"], more].concat());
    let export =
        |format: &str, channel: &str| session(&["export", &id, "--format", format, "--channel", channel]);
    let recording = data.join("recordings").join(&id);
    let (path, manifest) = (recording.join("channel-0.cast.zst"), recording.join("manifest.json"));
    let whole = fs::read(&path).unwrap();
    // In the middle, and where a frame ends: no frame is torn there.
    let frames: Vec<_> = (1..whole.len()).filter(|at| whole[*at..].starts_with(&whole[..4])).collect();
    for cut in frames.into_iter().chain([whole.len() / 2, 0]) {
        fs::write(&path, &whole[..cut]).unwrap();
        for format in ["text", "raw", "asciicast"] {
            let told = export(format, "0");
            if cut > 0 || format != "asciicast" {
                told.exits(4).tells(&["channel-0.cast.zst", "log verify"]);
            }
        }
        session(&["play", &id, "--channel", "0", "--speed", "100"]).exits(4).tells(&["channel-0.cast.zst"]);
        export("text", "1").ok();
    }
    fs::remove_file(&path).unwrap();
    export("text", "1").exits(4).tells(&["channel-0.cast.zst"]);
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    fs::remove_file(&manifest).unwrap();
    let told = export("text", "0").ok();
    assert!(told.errors().contains("the recording is not closed, or was cut"), "{told}");
}

#[test]
fn the_log_is_exported_and_verified_without_a_server() {
    let mut bartizan = Bartizan::start();
    bartizan.say(&["person", "add", "alice"]);
    let online = bartizan.cli(&["log", "export"]).ok();
    assert_eq!(online.errors(), "");
    bartizan.stop();
    let offline = bartizan.cli(&["log", "export"]).ok();
    assert!(offline.errors().contains("not in the log"), "{offline}");
    let kinds: Vec<String> = (offline.text().lines())
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["type"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(kinds, ["server.start", "directory.change", "log.read", "server.stop"]);
    assert!(offline.text().starts_with(online.text().lines().next().unwrap()));
    let tail = bartizan.cli(&["log", "export", "--from", "3"]).ok().text();
    assert_eq!(tail.lines().count(), 1);
    bartizan
        .cli(&["log", "verify"])
        .ok()
        .tells(&["verifies: 4 events, root", "an auditor gives their own copy"]);
    let key = fs::read_to_string(bartizan.data().join("keys/log.vkey")).unwrap();
    let verified = bartizan.cli(&["log", "verify", "--key", key.trim(), "--json"]).ok();
    let report: serde_json::Value = serde_json::from_slice(&verified.stdout).unwrap();
    assert_eq!((&report["checkpoint"]["size"], &report["events"]), (&4.into(), &4.into()));

    let journal = bartizan.data().join("log/journal");
    let segment = fs::read_dir(&journal).unwrap().map(|e| e.unwrap().path()).max().unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    let at = bytes.windows(5).position(|w| w == b"alice").unwrap();
    bytes[at] = b'm';
    fs::write(&segment, bytes).unwrap();
    bartizan.cli(&["log", "verify"]).exits(4).tells(&["FAULT"]);
}

#[test]
fn a_recording_that_the_log_does_not_know_is_found_and_is_not_played_by_a_running_server() {
    let bartizan = Bartizan::start();
    let id = record(&bartizan.data().join("recordings")).to_string();
    bartizan.cli(&["session", "play", &id]).exits(1).tells(&["no session"]);
    bartizan.cli(&["log", "verify"]).exits(4).tells(&[&id, "no session in the log"]);
}

#[test]
fn the_index_is_made_again_by_the_server_and_not_without_one() {
    let mut bartizan = Bartizan::start();
    bartizan.say(&["person", "add", "alice"]);
    let found = |bartizan: &Bartizan| bartizan.say(&["log", "search", "--type", "directory.change"]);
    let before = found(&bartizan);
    bartizan.cli(&["log", "reindex"]).ok().tells(&["the index was made again from the log's first 4 events"]);
    assert_eq!((found(&bartizan), before.lines().count()), (before, 1));
    bartizan.say(&["log", "search", "--type", "log.reindex"]);
    assert!(bartizan.log().contains("made again from the log"), "{}", bartizan.log());
    assert!(bartizan.json(&["log", "reindex"])["indexed"].as_u64().unwrap() >= 7);
    bartizan.stop();
    bartizan.cli(&["log", "reindex"]).exits(1).tells(&["the server is not running"]);
}
