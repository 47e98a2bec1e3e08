//! `scp -O` in both roles against the `scp -t` and `scp -f` of OpenSSH.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use bartizan_decode::{Decoder, Options};
use bartizan_model::event::Body;
use bartizan_model::observation::{Confidence, Direction};

use crate::tap::{Passed, Tap, noise, sha256sum, transfers};

fn scp<A: AsRef<OsStr>>(tap: &Tap, arguments: impl IntoIterator<Item = A>) -> Passed {
    tap.run(Command::new("scp").arg("-O").arg("-S").arg(tap.ssh()).args(arguments))
}

#[test]
fn a_file_has_its_path_digest_mode_and_times() {
    let tap = Tap::new();
    let big = tap.file("near/big", &noise(900_001));
    fs::set_permissions(&big, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(Command::new("touch").args(["-d", "@1000000007", &big]).status().unwrap().success());
    fs::create_dir(tap.path("far")).unwrap();
    let far = tap.text("far/");
    let seen = scp(&tap, ["-p", &big, &format!("host:{far}")]).ok().observed();
    let up = transfers(&seen)[0].clone();
    assert_eq!((up.direction, up.bytes, up.size), (Direction::Upload, 900_001, Some(900_001)));
    assert_eq!((up.path, up.name), (format!("{far}big"), None));
    assert_eq!(up.sha256.unwrap().to_string(), sha256sum(&tap.path("far/big")));
    assert_eq!((up.mode.as_deref(), up.mtime), (Some("0640"), Some(1_000_000_007)));
    assert_eq!((up.status.as_str(), up.derived.confidence), ("ok", Confidence::High));

    let seen = scp(&tap, ["-p", &format!("host:{far}big"), &tap.text("back")]).ok().observed();
    let down = transfers(&seen)[0].clone();
    assert_eq!((down.direction, down.path), (Direction::Download, format!("{far}big")));
    assert_eq!(down.sha256, up.sha256);
    assert_eq!(down.mtime, Some(1_000_000_007));
}

#[test]
fn folders_and_odd_names_are_read_as_they_are() {
    let tap = Tap::new();
    tap.file("near/tree/deep/empty", b"");
    tap.file("near/tree/with space", b"space");
    tap.file("near/tree/line\nfeed", b"line feed");
    fs::write(tap.path("near/tree").join(OsStr::from_bytes(b"\xff\x1b[2J")), b"bytes").unwrap();
    fs::create_dir(tap.path("far")).unwrap();
    let near = tap.text("near/tree");
    let seen = scp(&tap, ["-r", &near, &format!("host:{}", tap.text("far/"))]).ok().observed();
    let mut paths: Vec<_> = transfers(&seen).iter().map(|file| file.path.clone()).collect();
    paths.sort();
    let far = tap.text("far/tree");
    // OpenSSH's scp writes a line feed in a name as `\^J`.
    let expected = ["\\xff\\x1b[2J", "deep/empty", "line\\\\^Jfeed", "with space"];
    assert_eq!(paths, expected.map(|name| format!("{far}/{name}")));
    for file in transfers(&seen) {
        assert!(file.sha256.is_some() && file.status == "ok", "{file:?}");
    }
    let Some(Body::ScpEnd(end)) = seen.last().map(|observed| &observed.body) else { panic!("{seen:#?}") };
    assert_eq!((end.files, end.folders, end.errors), (4, 2, 0));

    let seen = scp(&tap, ["-r", &format!("host:{far}"), &tap.text("back")]).ok().observed();
    assert_eq!(transfers(&seen).len(), 4);
    assert!(transfers(&seen).iter().any(|file| file.path == format!("{far}/deep/empty")), "{seen:#?}");
}

#[test]
fn what_fails_says_why() {
    let tap = Tap::new();
    let near = tap.file("near", &noise(50_000));
    let up = scp(&tap, [&near, "host:/nosuch/folder/file"]);
    assert!(!up.client.status.success());
    let seen = up.observed();
    let files = transfers(&seen);
    assert_eq!(files.len(), 1, "{seen:#?}");
    assert!(files[0].status.ends_with("No such file or directory"), "{files:?}");
    assert_eq!((files[0].bytes, files[0].path.as_str()), (0, "/nosuch/folder/file"));

    let down = scp(&tap, ["host:/nosuch/file", &tap.text("back")]);
    let seen = down.observed();
    assert_eq!(transfers(&seen)[0].path, "/nosuch/file");
    assert!(transfers(&seen)[0].status.contains("No such file"), "{seen:#?}");

    let full = scp(&tap, [near.as_str(), "host:/dev/full"]);
    let seen = full.observed();
    assert!(transfers(&seen)[0].status.contains("No space left"), "{seen:#?}");
    assert_eq!(transfers(&seen)[0].bytes, 50_000);
}

#[test]
fn several_files_go_into_a_folder() {
    let tap = Tap::new();
    let (a, b) = (tap.file("a", b"first"), tap.file("b", b"second"));
    fs::create_dir(tap.path("far")).unwrap();
    // One connection each: the stand-in serves one, so a glob on the far side it is.
    let seen = scp(&tap, [&format!("host:{}", tap.text("[ab]")), &tap.text("far")]).ok().observed();
    let paths: Vec<_> = transfers(&seen).iter().map(|file| file.path.clone()).collect();
    assert_eq!(paths, [a, b]);
    // A shell may make anything of a glob.
    assert_eq!(transfers(&seen)[0].derived.confidence, Confidence::Medium);
}

#[test]
fn of_several_paths_none_is_named_that_may_be_another() {
    let tap = Tap::new();
    let (b, c) = (tap.file("b/group", b"second"), tap.file("c/other", b"third"));
    let missing = tap.text("a/group");
    fs::create_dir(tap.path("back")).unwrap();
    let asked = format!("host:{missing} {b} {c}");
    // Without -T a client takes only the last of the names.
    let passed = scp(&tap, ["-T", asked.as_str(), &tap.text("back")]);
    assert_eq!(fs::read(tap.path("back/group")).unwrap(), b"second");
    let seen = passed.observed();
    let found: Vec<_> = transfers(&seen)
        .iter()
        .filter(|file| file.bytes > 0)
        .map(|file| (file.path.clone(), file.name.as_deref(), file.derived.confidence))
        .collect();
    let all = format!("{missing} {b} {c}");
    assert_eq!(found, [(all, Some("group"), Confidence::Low), (c, None, Confidence::High)]);
}

/// Runs the `scp` of the far side; gives what it says first.
fn first_word(line: &str) -> (Option<u8>, Option<Direction>) {
    let server = Command::new("sh").args(["-c", line]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut server = server.unwrap();
    let (mut input, mut output) = (server.stdin.take().unwrap(), server.stdout.take().unwrap());
    input.write_all(b"\0").unwrap();
    let mut first = [0];
    let read = output.read(&mut first).unwrap();
    drop((input, output));
    server.wait().unwrap();
    let (mut seen, options) = (Vec::new(), Options::default());
    if let Some(decoder) = Decoder::for_exec(0, line.as_bytes(), &options) {
        decoder.finish(None, &mut seen);
    }
    let direction = seen.iter().find_map(|observed| match &observed.body {
        Body::ScpEnd(end) => Some(end.direction),
        _ => None,
    });
    (first.get(..read).and_then(|first| first.first().copied()), direction)
}

#[test]
fn the_direction_is_the_one_that_scp_takes() {
    let tap = Tap::new();
    let file = tap.file("file", b"text");
    for options in ["-f", "-t -f", "-f -t", "-tf", "-f -oUser=t", "-f -i t"] {
        let found = first_word(&format!("scp {options} {file} 2>/dev/null"));
        assert_eq!(found, (Some(b'C'), Some(Direction::Download)), "{options}");
    }
    for options in ["-t", "-t -oUser=f", "-toUser=f", "-t -l 8 -i f"] {
        let found = first_word(&format!("scp {options} {file} 2>/dev/null"));
        assert_eq!(found, (Some(0), Some(Direction::Upload)), "{options}");
    }
}
