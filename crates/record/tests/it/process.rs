//! What only a process of its own shows: SIGKILL, memory, open files.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use bartizan_model::SessionId;
use bartizan_record::{Closed, Options, RecordedSession, Recordings, SessionRecorder, Stream};

use crate::support::{ALL, close_orphans, events, meta, ms, stream};

const ROOT: &str = "BARTIZAN_RECORD_TEST_ROOT";

/// Runs one of the ignored tests below as a process of its own.
fn spawn(test: &str, root: &Path) -> (Child, impl Iterator<Item = String> + use<>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"])
        .env(ROOT, root)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let said = lines.filter_map(|line| line.split_once("SAYS ").map(|(_, said)| said.to_owned()));
    (child, said)
}

const TYPED: &[u8] = b"typed slowly, and the start of \xe2\x82";
const COPIED: &[u8] = b"exact \x00 bytes";

/// Records, waits until another reader sees all of it, says so, and waits to be killed.
#[tokio::test]
#[ignore = "the child of the test below"]
async fn child_that_is_killed() {
    let recordings = Recordings::open(std::env::var_os(ROOT).unwrap(), Options::default()).unwrap();
    let meta = meta();
    let folder = recordings.folder(meta.session);
    let recorder = recordings.begin(meta, ALL).await.unwrap();
    recorder.open_channel(0, "session", ms(0));
    recorder.set_pty(0, b"xterm", 80, 24, ms(0));
    recorder.data(0, Stream::Output, ms(1), TYPED);
    recorder.data(1, Stream::Input, ms(1), COPIED);
    let seen = |channel, of| {
        let session = RecordedSession::open(&folder).ok()?;
        let events: Vec<_> = session.events(channel).ok()?.map_while(Result::ok).collect();
        Some(stream(&events, of))
    };
    // By time alone: nothing else is asked of the recorder.
    while seen(0, Stream::Output).as_deref() != Some(TYPED)
        || seen(1, Stream::Input).as_deref() != Some(COPIED)
    {
        std::thread::yield_now();
    }
    println!("SAYS {}", recorder.session());
    loop {
        std::thread::park();
    }
}

#[test]
fn after_sigkill_all_but_the_last_second_is_there() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("recordings");
    let (mut child, mut says) = spawn("process::child_that_is_killed", &root);
    let session: SessionId = says.next().expect("the child recorded").parse().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();

    let recordings = Recordings::open(&root, Options::default()).unwrap();
    let folder = recordings.folder(session);
    assert_eq!(RecordedSession::open(&folder).unwrap().closed(), None);
    let orphans = close_orphans(&recordings, &HashSet::new());
    assert_eq!(orphans.len(), 1);
    assert_eq!((orphans[0].session, orphans[0].failure.is_none()), (session, true));
    let read = RecordedSession::open(&folder).unwrap();
    assert_eq!(read.closed(), Some(Closed::Truncated));
    assert!(read.verify().unwrap().is_empty());
    assert_eq!(stream(&events(&folder, 0), Stream::Output), TYPED);
    assert_eq!(stream(&events(&folder, 1), Stream::Input), COPIED);
    assert_eq!(read.main_channel().unwrap().kind, "session");
}

fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Sessions with a terminal that have shown something and are idle since.
async fn idle_sessions(recordings: &Recordings, count: usize) -> Vec<SessionRecorder> {
    let mut sessions = Vec::new();
    for _ in 0..count {
        let recorder = recordings.begin(meta(), ALL).await.unwrap();
        recorder.open_channel(0, "session", ms(0));
        recorder.set_pty(0, b"xterm-256color", 80, 24, ms(0));
        recorder.data(0, Stream::Output, ms(1), &[b'x'; 2000]);
        recorder.data(0, Stream::Input, ms(2), b"ls\r");
        // Ends another channel so that everything before is written.
        let _ = recorder.close_channel(1, ms(3)).await.unwrap();
        sessions.push(recorder);
    }
    sessions
}

#[tokio::test]
#[ignore = "the child of the test below"]
async fn child_with_idle_sessions() {
    let recordings = Recordings::open(std::env::var_os(ROOT).unwrap(), Options::default()).unwrap();
    let first = idle_sessions(&recordings, 20).await;
    let (kib, files) = (resident_kib(), open_files());
    let sessions = idle_sessions(&recordings, 300).await;
    let bytes = (resident_kib() - kib) * 1024 / sessions.len();
    println!("SAYS {bytes}");
    println!("SAYS {}", open_files() - files);
    drop((first, sessions));
}

#[test]
fn an_idle_session_costs_little() {
    let temp = tempfile::tempdir().unwrap();
    let (mut child, says) = spawn("process::child_with_idle_sessions", &temp.path().join("r"));
    let said: Vec<usize> = says.map(|said| said.parse().unwrap()).collect();
    assert!(child.wait().unwrap().success());
    let [bytes, files] = said[..] else { panic!("the child said {said:?}") };
    assert!(bytes <= 10 << 10, "an idle session takes {bytes} bytes");
    assert!(files <= 300, "300 idle sessions hold {files} files open");
    println!("an idle session takes {bytes} bytes");
}
