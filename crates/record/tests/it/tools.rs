//! What we write, read by the tools of others.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use bartizan_record::export::{self, AsciicastVersion};
use bartizan_record::{RecordedSession, Stream};

use crate::support::{ALL, Rig, ms, terminal};

/// A reader of asciicast that shares nothing with ours. Prints what the terminal got, byte for byte.
const PYTHON: &str = r#"
import json, sys
lines = sys.stdin.buffer.read().split(b"\n")
assert lines.pop() == b""
assert lines[0].startswith(b'{"version":')
header = json.loads(lines[0])
v3 = header["version"] == 3
assert header["version"] in (2, 3)
assert (header["term"]["cols"] if v3 else header["width"]) == 80
last = 0
for line in lines[1:]:
    time, code, data = json.loads(line)
    assert isinstance(time, float) and code in "oirms" and isinstance(data, str)
    assert time >= (0 if v3 else last), (last, time)
    last = time
    if code == "o":
        for c in data:
            byte = ord(c) - 0x10fe00
            sys.stdout.buffer.write(bytes([byte]) if 0x80 <= byte <= 0xff else c.encode())
"#;

fn run(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input).unwrap());
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "{command:?}: {}", output.status);
    output.stdout
}

fn unzstd(file: &Path) -> Vec<u8> {
    run(Command::new("zstd").arg("-dc").arg(file), b"")
}

fn python(cast: &[u8]) -> Vec<u8> {
    run(Command::new("python3").args(["-c", PYTHON]), cast)
}

#[tokio::test]
async fn zstd_gives_asciicast() {
    let rig = Rig::new();
    let (folder, output) = terminal(&rig).await;
    let cast = unzstd(&folder.join("channel-0.cast.zst"));
    assert!(python(&cast) == output, "another reader of asciicast sees other bytes");
}

#[tokio::test]
async fn exported_asciicast_is_read_by_others() {
    let rig = Rig::new();
    let (folder, output) = terminal(&rig).await;
    let session = RecordedSession::open(&folder).unwrap();
    for version in [AsciicastVersion::V2, AsciicastVersion::V3] {
        let mut cast = Vec::new();
        export::asciicast(&session, 0, version, &mut cast).unwrap();
        assert!(python(&cast) == output, "{version:?}");
    }
    let mut raw = Vec::new();
    export::raw(&session, 0, Stream::Output, &mut raw).unwrap();
    assert!(raw == output);
}

#[tokio::test]
async fn scriptreplay_shows_the_same_bytes() {
    let rig = Rig::new();
    let (folder, output) = terminal(&rig).await;
    let (mut typescript, mut timing) = (Vec::new(), Vec::new());
    let session = RecordedSession::open(&folder).unwrap();
    export::typescript(&session, 0, &mut typescript, &mut timing).unwrap();
    let temp = tempfile::tempdir().unwrap();
    let (script, times) = (temp.path().join("typescript"), temp.path().join("timing"));
    std::fs::write(&script, &typescript).unwrap();
    std::fs::write(&times, &timing).unwrap();
    let mut command = Command::new("scriptreplay");
    command.arg("--divisor=100000").arg("-t").arg(&times).arg(&script);
    let shown = run(&mut command, b"");
    // scriptreplay adds a line end of its own.
    let shown = shown.strip_suffix(b"\n").unwrap_or(&shown);
    assert!(shown == output, "{} bytes of {}", shown.len(), output.len());
}

/// Reads ttyrec as its description says, sharing nothing with the writer.
#[tokio::test]
async fn ttyrec_holds_the_bytes_and_their_times() {
    let rig = Rig::new();
    let (folder, output) = terminal(&rig).await;
    let session = RecordedSession::open(&folder).unwrap();
    let mut file = Vec::new();
    export::ttyrec(&session, 0, &mut file).unwrap();
    let (mut rest, mut bytes, mut times) = (&file[..], Vec::new(), Vec::new());
    while !rest.is_empty() {
        let number = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
        times.push(u64::from(number(0)) * 1_000_000 + u64::from(number(4)));
        let end = 12 + number(8) as usize;
        bytes.extend_from_slice(&rest[12..end]);
        rest = &rest[end..];
    }
    assert!(bytes == output);
    assert!(times.is_sorted());
    let started = session.meta().unwrap().started.unix_micros();
    assert_eq!(times.first(), Some(&(started + 2_000)));
    assert!(times.last().unwrap() - started <= 3_002_000);
}

#[tokio::test]
async fn a_channel_without_terminal_can_be_shown_too() {
    let rig = Rig::new();
    let (recorder, folder) = rig.begin(ALL).await;
    recorder.open_channel(0, "session", ms(0));
    recorder.data(0, Stream::Input, ms(1), b"hidden");
    recorder.data(0, Stream::Output, ms(2), b"one\ntwo\r\nthr\xe2\x82");
    recorder.data(0, Stream::Error, ms(30), b"\xac \x1b[2J \xff\n");
    recorder.marker(0, "a \x1b remark", ms(40));
    recorder.data(0, Stream::Output, ms(50), b"end");
    let _ = recorder.finish(ms(60)).await.unwrap();
    let session = RecordedSession::open(&folder).unwrap();
    let mut cast = Vec::new();
    export::asciicast(&session, 0, AsciicastVersion::V2, &mut cast).unwrap();
    assert_eq!(python(&cast), b"one\r\ntwo\r\nthr\xe2\x82\xac \x1b[2J \xff\r\nend");
    let mut text = Vec::new();
    export::text(&session, 0, &mut text).unwrap();
    assert_eq!(String::from_utf8(text).unwrap(), "one\ntwo\nthr€ \\x1b[2J \\xff\n[a \\x1b remark]\nend\n");
}

#[tokio::test]
async fn characters_stay_whole_where_records_end_within_them() {
    let rig = Rig::new();
    let (recorder, folder) = rig.begin(ALL).await;
    recorder.open_channel(0, "session", ms(0));
    for (at, byte) in (1..).zip("größe 名前 😀".as_bytes().chunks(1)) {
        recorder.data(0, Stream::Output, ms(10 * at), byte);
    }
    recorder.marker(0, "remark", ms(500));
    recorder.data(0, Stream::Output, ms(510), b"cut \xe5\x90");
    let _ = recorder.finish(ms(600)).await.unwrap();
    let session = RecordedSession::open(&folder).unwrap();
    for version in [AsciicastVersion::V2, AsciicastVersion::V3] {
        let mut cast = Vec::new();
        export::asciicast(&session, 0, version, &mut cast).unwrap();
        assert_eq!(python(&cast), ["größe 名前 😀cut ".as_bytes(), b"\xe5\x90"].concat());
        let cast = String::from_utf8(cast).unwrap();
        for character in ["ö", "ß", "名", "前", "😀"] {
            assert!(cast.contains(&format!("\"{character}\"")), "{character} in {cast}");
        }
        // What never became whole is told at the end, byte by byte.
        assert!(cast.ends_with("\"\u{10fee5}\u{10fe90}\"]\n"), "{cast}");
    }
}

#[tokio::test]
async fn text_of_a_terminal_is_what_was_on_its_screen() {
    let rig = Rig::new();
    let (recorder, folder) = rig.begin(ALL).await;
    recorder.set_pty(0, b"xterm", 40, 10, ms(0));
    for piece in [
        &b"\x1b]0;alice@web-1\x07\x1b[?2004hroot@web-1:~# "[..],
        b"ecoh\x08\x08ho hi",
        b"\r\n\x1b[?2004l\rhi\r\n",
        b"root@web-1:~# top\r\n\x1b[?1049h\x1b[H\x1b[2J",
        b"top - 12:00\x1b[2;1HTasks: 1\x1b[1;7H12:01",
        b"\x1b[?1049l\rroot@web-1:~# exit\r\nlogout\r\n",
    ] {
        recorder.data(0, Stream::Output, ms(1), piece);
    }
    let _ = recorder.finish(ms(60)).await.unwrap();
    let mut text = Vec::new();
    export::text(&RecordedSession::open(&folder).unwrap(), 0, &mut text).unwrap();
    insta::assert_snapshot!(String::from_utf8(text).unwrap(), @r"
    root@web-1:~# echo hi
    hi
    root@web-1:~# top
    top - 12:01
    Tasks: 1
    root@web-1:~# exit
    logout
    ");
}
