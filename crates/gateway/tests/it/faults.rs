//! Disks and peers that fail in the middle of a session.

use std::io::{self, Read as _};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bartizan_model::event::{Body, Outcome};
use bartizan_record::disk::{Disk, DiskFile, SystemDisk};
use bartizan_record::{Options, Recordings};
use bartizan_testkit::run;

use crate::fixture::{Fixture, of_kind};

/// A disk that is full while the switch is on.
struct Full(Arc<AtomicBool>);

struct FullFile(Box<dyn DiskFile>, Arc<AtomicBool>);

fn check(full: &AtomicBool) -> io::Result<()> {
    if full.load(Ordering::SeqCst) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
}

impl Disk for Full {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        check(&self.0).and_then(|()| SystemDisk.create_dir(path))
    }
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        check(&self.0)?;
        Ok(Box::new(FullFile(SystemDisk.create(path)?, self.0.clone())))
    }
    fn reserve(&self, path: &Path, bytes: u64) -> io::Result<()> {
        check(&self.0).and_then(|()| SystemDisk.reserve(path, bytes))
    }
    // What a full disk can do: change what has its blocks.
    fn overwrite(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let has = std::fs::metadata(path)?.len();
        if has >= bytes.len() as u64 { SystemDisk.overwrite(path, bytes) } else { check(&self.0) }
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        SystemDisk.rename(from, to)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        SystemDisk.sync_dir(path)
    }
}

impl DiskFile for FullFile {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        check(&self.1).and_then(|()| self.0.write(bytes))
    }
    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }
}

fn with_disk() -> (Fixture, Arc<AtomicBool>) {
    let full = Arc::new(AtomicBool::new(false));
    let disk = Arc::new(Full(full.clone()));
    (Fixture::with(|root| Recordings::open_on(disk, root, Options::default()).unwrap()), full)
}

/// Starts a command that says `ready` and then goes on; waits for the word.
fn ready(fixture: &Fixture, host: &str, then: &str) -> Child {
    let mut ssh = fixture.client.ssh();
    ssh.args([host, &format!("echo ready; {then}")]);
    let mut child = ssh.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut word = [0; 6];
    child.stdout.as_mut().unwrap().read_exact(&mut word).unwrap();
    child
}

/// What the client said on standard error when it ended, and that it did not end well.
fn failed(mut child: Child) -> String {
    // Its input stays open and its output is drained: only its connection can end it.
    io::copy(child.stdout.as_mut().unwrap(), &mut io::sink()).unwrap();
    assert!(!child.wait().unwrap().success());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    said
}

#[test]
fn a_session_whose_recording_fails_ends_with_the_reason_and_others_are_refused_until_there_is_space() {
    let (fixture, full) = with_disk();
    for host in ["jump", "name"] {
        // Slowly: a client that is writing (window adjustments) when it is told to go may not read why.
        let session = ready(&fixture, host, "while echo y; do sleep 0.01; done");
        full.store(true, Ordering::SeqCst);
        let said = failed(session);
        assert!(said.contains("its recording cannot be written"), "{host}: {said}");
        run(fixture.client.ssh().args([host, "echo reached"]))
            .exits(255)
            .says(&["recording cannot be written", "operator"]);
        full.store(false, Ordering::SeqCst);
        assert_eq!(run(fixture.client.ssh().args([host, "echo reached"])).ok().text(), "reached\n", "{host}");
    }
    let events = fixture.stop();
    let ends = of_kind(&events, "session.end");
    let truncated = |body: &&&Body| matches!(body, Body::SessionEnd { truncated: true, .. });
    assert_eq!(
        ends.iter().filter(truncated).count(),
        2,
        "two failed, two could not begin, two were well: {ends:?}"
    );
    assert_eq!(
        events.iter().filter(|e| e.kind() == "session.end" && e.outcome == Outcome::Failure).count(),
        4
    );
    assert_eq!(of_kind(&events, "upstream.connect").len(), 4, "without a recording nothing is dialled");
}

#[test]
fn a_target_that_dies_never_looks_like_a_clean_end() {
    let fixture = Fixture::start();
    for host in ["jump", "name"] {
        let session = ready(&fixture, host, "cat");
        fixture.server.kill_sessions();
        let said = failed(session);
        assert!(said.contains("the connection to the target was lost"), "{host}: {said}");
    }
    let events = fixture.stop();
    for body in of_kind(&events, "session.end") {
        let Body::SessionEnd { reason, exit_status, .. } = body else { unreachable!() };
        assert!(reason.starts_with("target lost"), "{reason}");
        assert_eq!(*exit_status, None);
    }
}
