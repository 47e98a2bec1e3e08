//! What is on record, and what can be made of it with stock tools.

use std::fs;
use std::io::Write as _;
use std::process::Command;

use bartizan_testkit::{Pattern, run, run_with_input, sha256, shell};
use serde_json::Value;

use crate::scene::{Options, Scene, Way, list, text, ways};

ways! {
    everywhere: ;
    bartizan:
        a_terminal_is_recorded_as_the_client_saw_it,
        exports_work_with_stock_tools,
        bytes_beyond_the_cap_are_counted_and_digested,
        files_come_out_of_the_recording,
        a_file_beyond_the_cap_comes_out_in_part,
        files_of_the_recording_are_bound_to_the_log,
        keystrokes_are_kept_only_where_the_grant_says_so,
        events_tell_the_story_in_order,
}

/// Runs a command in a terminal and gives what the client saw, and the session's id.
fn in_a_terminal(scene: &Scene, command: &str, typed: &[u8]) -> (Vec<u8>, String) {
    let mut ssh = scene.client.ssh();
    let done = run_with_input(ssh.args(["-tt", scene.host(), command]), typed).ok();
    let id = scene.ended_session()["id"].as_str().unwrap().to_owned();
    (done.stdout, id)
}

fn export(scene: &Scene, id: &str, format: &str) -> Vec<u8> {
    scene.bartizan().cli(&["session", "export", id, "--format", format]).ok().stdout
}

/// The header and the events of an asciicast.
fn asciicast(bytes: &[u8]) -> (Value, Vec<Value>) {
    let text = std::str::from_utf8(bytes).expect("asciicast is UTF-8");
    let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
    (lines.next().expect("a header"), lines.collect())
}

fn of_kind(events: &[Value], kind: &str) -> String {
    events.iter().filter(|e| e[1] == kind).map(|e| e[2].as_str().unwrap()).collect()
}

fn a_terminal_is_recorded_as_the_client_saw_it(way: Way) {
    let scene = Scene::new(way);
    let (seen, id) = in_a_terminal(&scene, "printf 'zo\\303\\253 \\033[31mred\\033[0m\\n'; seq 1 20000", b"");
    let (header, events) = asciicast(&export(&scene, &id, "asciicast"));
    assert_eq!(header["version"], 2, "{header}");
    assert!(header["width"].is_u64() && header["height"].is_u64(), "{header}");
    let output = of_kind(&events, "o");
    assert!(String::from_utf8(seen).unwrap().ends_with(&output), "the recording is what the client saw");
    assert!(output.contains("zoë \x1b[31mred") && output.ends_with("20000\r\n"));
    let times: Vec<_> = events.iter().map(|e| e[0].as_f64().unwrap()).collect();
    assert!(times.is_sorted(), "times go up");
}

fn exports_work_with_stock_tools(way: Way) {
    let scene = Scene::new(way);
    let (seen, id) = in_a_terminal(&scene, "echo \"tools $((6*7))\"; seq 1 500", b"");
    let (_, events) = asciicast(&export(&scene, &id, "asciicast"));
    let output = of_kind(&events, "o");
    assert!(output.contains("tools 42"));

    let (header, intervals) = asciicast(&export(&scene, &id, "asciicast3"));
    assert_eq!((&header["version"], header["term"]["cols"].is_u64()), (&3.into(), true), "{header}");
    assert_eq!(of_kind(&intervals, "o"), output);

    let plain = String::from_utf8(export(&scene, &id, "text")).unwrap();
    assert!(plain.contains("tools 42") && !plain.contains('\x1b') && !plain.contains('\r'), "{plain}");

    let raw = export(&scene, &id, "raw");
    assert!(seen.ends_with(&raw) && raw.ends_with(b"500\r\n"));

    let script = scene.folder().join("typescript");
    let bartizan = scene.bartizan();
    bartizan.say(&["session", "export", &id, "--format", "typescript", "--output", text(&script)]);
    let timing = scene.folder().join("typescript.timing");
    let mut replay = Command::new("scriptreplay");
    replay.args(["--maxdelay", "0", "--timing", text(&timing), text(&script)]);
    assert!(run(&mut replay).ok().text().contains("tools 42"));

    let ttyrec = export(&scene, &id, "ttyrec");
    assert_eq!(frames(&ttyrec), raw, "ttyrec holds the same bytes");

    // The recording itself, without any tool of ours.
    let folder = bartizan.data().join("recordings").join(&id);
    let found = shell(&format!("cd {} && for f in *.zst; do zstd -dcq $f; done", text(&folder))).ok();
    assert!(found.text().contains("tools 42"), "{found}");

    let played = bartizan.cli(&["session", "play", &id, "--speed", "100", "--idle-limit", "500ms"]).ok();
    assert!(played.text().contains("tools 42"), "{played}");
}

/// The payloads of a ttyrec: seconds, microseconds and length, each 32 bits little-endian, then the bytes.
fn frames(mut ttyrec: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    while !ttyrec.is_empty() {
        let length = u32::from_le_bytes(ttyrec[8..12].try_into().unwrap()) as usize;
        bytes.extend(&ttyrec[12..12 + length]);
        ttyrec = &ttyrec[12 + length..];
    }
    bytes
}

fn bytes_beyond_the_cap_are_counted_and_digested(way: Way) {
    let scene = Scene::with(way, &Options { grant: &["--record", "64K"], ..Options::default() });
    let bytes = Pattern::bytes(8, 3_000_000);
    run_with_input(scene.client.ssh().args([scene.host(), "cat"]), &bytes).ok();
    let id = scene.ended_session()["id"].as_str().unwrap().to_owned();
    let close = scene.event("channel.close");
    for direction in ["input", "output"] {
        assert_eq!(close[direction]["bytes"], 3_000_000);
        assert_eq!(close[direction]["sha256"], sha256(&bytes), "{direction}");
    }
    let kept = |direction: &str| close[direction]["kept"].as_u64().unwrap();
    assert!(kept("input") + kept("output") <= 64 << 10, "{close:#}");
    assert!(kept("input") + kept("output") >= 32 << 10, "{close:#}");
    let raw = export(&scene, &id, "raw");
    assert_eq!(raw, bytes[..kept("output") as usize], "what is kept is exact");
    // Beneath the cap everything is kept, exactly.
    let few = &bytes[..20_000];
    run_with_input(scene.client.ssh().args([scene.host(), "cat"]), few).ok();
    let id = scene.ended_session()["id"].as_str().unwrap().to_owned();
    assert!(export(&scene, &id, "raw") == few);
}

/// Extracts the files of the last session, and compares what is told of each with the log and with the file itself.
fn extracted(scene: &Scene, id: &str, folder: &str) -> Vec<(String, Vec<u8>)> {
    let folder = scene.folder().join(folder);
    let arguments = ["--json", "session", "export", id, "--format", "files", "-o", text(&folder)];
    let told: Vec<Value> = serde_json::from_slice(&scene.bartizan().cli(&arguments).ok().stdout).unwrap();
    assert_eq!(fs::read_dir(&folder).unwrap().count(), told.len(), "{told:#?}");
    let read = |file: &Value| fs::read(folder.join(file["file"].as_str().unwrap())).unwrap();
    let mut files = Vec::new();
    for file in &told {
        let bytes = read(file);
        assert_eq!(
            (bytes.len() as u64, sha256(&bytes)),
            (file["bytes"].as_u64().unwrap(), file["sha256"].as_str().unwrap().into())
        );
        files.push((file["path"].as_str().unwrap().rsplit('/').next().unwrap().to_owned(), bytes));
    }
    files.sort();
    files
}

/// What an auditor is asked most: which file was it, exactly?
fn files_come_out_of_the_recording(way: Way) {
    let mut scene = Scene::new(way);
    let (near, far) = (scene.folder().join("near"), scene.folder().join("far"));
    fs::create_dir_all(near.join("deep")).unwrap();
    fs::create_dir(&far).unwrap();
    let (big, small) = (Pattern::bytes(3, 700_001), Pattern::bytes(4, 33));
    fs::write(near.join("big"), &big).unwrap();
    fs::write(near.join("deep/small"), &small).unwrap();
    fs::write(near.join("deep/empty"), "").unwrap();
    let wanted = [("big".to_owned(), big), ("empty".to_owned(), Vec::new()), ("small".to_owned(), small)];
    let there = format!("{}:{}", scene.host(), far.display());
    let mut ids = Vec::new();
    for protocol in ["-s", "-O"] {
        let back = scene.folder().join(format!("back{protocol}"));
        for (from, to) in [(text(&near), there.as_str()), (there.as_str(), text(&back))] {
            run(scene.client.scp().args([protocol, "-rpq", from, to])).ok();
            let id = scene.ended_session()["id"].as_str().unwrap().to_owned();
            let files = extracted(&scene, &id, &format!("from-{}", ids.len()));
            assert_eq!(files, wanted, "{protocol} {from}");
            let of = ["log", "search", "--json", "--type", "transfer", "--session", &id];
            let logged = scene.bartizan().say(&of);
            for (name, bytes) in &files {
                let digest = format!("\"sha256\":\"{}\"", sha256(bytes));
                assert!(logged.lines().any(|line| line.contains(&digest)), "{protocol} {name}: {logged}");
            }
            ids.push(id);
        }
        fs::remove_dir_all(&far).unwrap();
        fs::create_dir(&far).unwrap();
    }
    // Of a command there are none, and a folder that is there is left alone.
    scene.exec("echo hi").ok();
    let id = scene.ended_session()["id"].as_str().unwrap().to_owned();
    let export = |id: &str, folder: &str| {
        let folder = scene.folder().join(folder);
        scene.bartizan().cli(&["session", "export", id, "--format", "files", "-o", text(&folder)])
    };
    export(&id, "none").exits(1).says(&["no file is in what was kept"]);
    assert!(!scene.folder().join("none").exists());
    export(&ids[0], "from-0").exits(1).says(&["exists already; nothing was written"]);
    scene.bartizan().cli(&["session", "export", &id, "--format", "files"]).exits(2).says(&["--output"]);
    // Without the server, too.
    scene.bartizan_mut().stop();
    assert_eq!(extracted(&scene, &ids[3], "offline"), wanted);
}

fn a_file_beyond_the_cap_comes_out_in_part(way: Way) {
    let scene = Scene::with(way, &Options { grant: &["--record", "256K"], ..Options::default() });
    let bytes = Pattern::bytes(9, 900_000);
    let (near, far) = (scene.folder().join("near"), scene.folder().join("far"));
    fs::write(&near, &bytes).unwrap();
    run(scene.client.scp().args(["-q", text(&near), &format!("{}:{}", scene.host(), far.display())])).ok();
    let id = scene.ended_session()["id"].as_str().unwrap().to_owned();
    let folder = scene.folder().join("files");
    let arguments = ["--json", "session", "export", &id, "--format", "files", "-o", text(&folder)];
    let told: Vec<Value> = serde_json::from_slice(&scene.bartizan().cli(&arguments).ok().stdout).unwrap();
    let [file] = &told[..] else { panic!("{told:#?}") };
    let kept = fs::read(folder.join(file["file"].as_str().unwrap())).unwrap();
    assert!(file["partial"] == true && kept.len() > 100_000 && kept.len() < bytes.len(), "{file:#}");
    assert!(bytes.starts_with(&kept), "what is kept is exact");
}

fn files_of_the_recording_are_bound_to_the_log(way: Way) {
    let scene = Scene::new(way);
    let (_, id) = in_a_terminal(&scene, "seq 1 3000", b"");
    let end = scene.event("session.end");
    let folder = scene.bartizan().data().join("recordings").join(&id);
    let files = list(&end["recording"]);
    assert!(!files.is_empty());
    for file in &files {
        let bytes = fs::read(folder.join(file["name"].as_str().unwrap())).unwrap();
        assert_eq!(
            (&file["bytes"], &file["sha256"]),
            (&bytes.len().into(), &sha256(&bytes).into()),
            "{file}"
        );
    }
    scene.bartizan().say(&["log", "verify"]);
    // One byte of a recording changed is found, and named.
    let victim = folder.join(files[0]["name"].as_str().unwrap());
    let mut bytes = fs::read(&victim).unwrap();
    bytes[0] ^= 1;
    fs::write(&victim, bytes).unwrap();
    let found = scene.bartizan().cli(&["log", "verify"]).exits(4);
    assert!(format!("{found}").contains(&id), "{found}");
}

fn keystrokes_are_kept_only_where_the_grant_says_so(way: Way) {
    let command = "stty -echo; echo ready; read word; echo \"${#word} letters\"";
    let secret = "correct-horse";
    for (grant, kept) in [(&[][..], false), (&["--record-input"][..], true)] {
        let scene = Scene::with(way, &Options { grant, ..Options::default() });
        let mut client = scene.start(&["-tt"], command);
        client.read_to("ready\r\n");
        client.child.stdin.as_mut().unwrap().write_all(format!("{secret}\n").as_bytes()).unwrap();
        client.read_to("13 letters\r\n");
        assert_eq!(client.finish().0, 0);
        let id = scene.ended_session()["id"].as_str().unwrap().to_owned();
        let (_, events) = asciicast(&export(&scene, &id, "asciicast"));
        assert!(of_kind(&events, "o").contains("13 letters"));
        assert_eq!(of_kind(&events, "i").contains(secret), kept, "{events:?}");
        let folder = scene.bartizan().data();
        let found = shell(&format!(
            "cd {} && (for f in recordings/{id}/*.zst; do zstd -dcq $f; done; grep -rha . log) | grep -ac {secret}",
            text(&folder)
        ));
        assert_eq!(found.text().trim() != "0", kept, "{found}");
    }
}

fn events_tell_the_story_in_order(way: Way) {
    let scene = Scene::new(way);
    scene.exec("echo hi; exit 7").exits(7);
    let id = scene.ended_session()["id"].as_str().unwrap().to_owned();
    let told = scene.bartizan().json(&["log", "search", "--session", &id, "--oldest-first"]);
    let kinds: Vec<_> = list(&told).iter().map(|e| e["type"].as_str().unwrap().to_owned()).collect();
    let mut rest = kinds.iter();
    for kind in
        ["session.start", "upstream.connect", "channel.open", "command", "channel.close", "session.end"]
    {
        assert!(rest.any(|k| k == kind), "{kind} is missing or out of order in {kinds:?}");
    }
    let all = scene.bartizan().json(&["log", "search", "--oldest-first", "--limit", "1000"]);
    let indices: Vec<_> = list(&all).iter().map(|e| e["index"].as_u64().unwrap()).collect();
    assert!(indices.windows(2).all(|pair| pair[1] == pair[0] + 1), "{indices:?}");
    for kind in ["server.start", "directory.change", "auth.accept", "access.permit"] {
        assert!(list(&all).iter().any(|e| e["type"] == kind), "{kind}");
    }
}
