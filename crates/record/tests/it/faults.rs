//! Disks that refuse: every failure is told, nothing is silently lost, and what was written is read.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bartizan_record::disk::{Disk, DiskFile, SystemDisk};
use bartizan_record::{Closed, Options, RecordError, RecordedSession, Recordings, Stream};

use crate::support::{ALL, Rig, close_orphans, meta, ms, stream};

/// How the disk refuses.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// The operation has no effect.
    Before,
    /// The operation has its effect and fails nevertheless.
    After,
    /// Half of a write has its effect, then the disk is full.
    Full,
    /// Writes are short, which is no failure.
    Short,
    Panic,
}

/// A disk whose operation number `at` goes wrong, counting those whose path contains `only`.
struct FaultyDisk {
    at: usize,
    fault: Fault,
    only: String,
    count: Arc<AtomicUsize>,
}

#[derive(Clone)]
struct Counter {
    at: usize,
    fault: Fault,
    counted: bool,
    count: Arc<AtomicUsize>,
}

impl Counter {
    fn hit(&self) -> bool {
        self.counted && self.count.fetch_add(1, Ordering::SeqCst) == self.at
    }

    fn run<T>(&self, operation: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        match (self.hit(), self.fault) {
            (false, _) | (true, Fault::Short) => operation(),
            (true, Fault::Before) => Err(io::Error::other("injected, before")),
            (true, Fault::After) => operation().and_then(|_| Err(io::Error::other("injected, after"))),
            (true, Fault::Full) => Err(io::ErrorKind::StorageFull.into()),
            (true, Fault::Panic) => panic!("injected panic"),
        }
    }
}

struct FaultyFile {
    file: Box<dyn DiskFile>,
    counter: Counter,
}

impl FaultyDisk {
    fn new(at: usize, fault: Fault, only: &str) -> Self {
        Self { at, fault, only: only.into(), count: Arc::default() }
    }

    fn counter(&self, path: &Path) -> Counter {
        let counted = path.to_string_lossy().contains(&self.only);
        Counter { at: self.at, fault: self.fault, counted, count: Arc::clone(&self.count) }
    }
}

impl Disk for FaultyDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.counter(path).run(|| SystemDisk.create_dir(path))
    }
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let counter = self.counter(path);
        let file = counter.run(|| SystemDisk.create(path))?;
        Ok(Box::new(FaultyFile { file, counter }))
    }
    fn reserve(&self, path: &Path, bytes: u64) -> io::Result<()> {
        self.counter(path).run(|| SystemDisk.reserve(path, bytes))
    }
    fn overwrite(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.counter(path).run(|| SystemDisk.overwrite(path, bytes))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.counter(to).run(|| SystemDisk.rename(from, to))
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.counter(path).run(|| SystemDisk.remove_file(path))
    }
    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.counter(path).run(|| SystemDisk.remove_dir(path))
    }
    // These tests lose no power, so nothing has to wait for the disk itself.
    fn sync_file(&self, path: &Path) -> io::Result<()> {
        self.counter(path).run(|| Ok(()))
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.counter(path).run(|| Ok(()))
    }
}

impl DiskFile for FaultyFile {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self.counter.fault {
            Fault::Short => self.file.write(&bytes[..bytes.len().min(7)]),
            Fault::Full if self.counter.hit() => {
                self.file.write(&bytes[..bytes.len() / 2])?;
                Err(io::ErrorKind::StorageFull.into())
            }
            Fault::Full => self.file.write(bytes),
            _ => self.counter.run(|| self.file.write(bytes)),
        }
    }
    fn sync(&self) -> io::Result<()> {
        self.counter.run(|| Ok(()))
    }
}

/// Nothing happens by time, so that operations have the same numbers in every run.
fn untimed() -> Options {
    Options {
        flush_after: Duration::from_secs(3600),
        sync_every: Duration::from_secs(3600),
        ..Options::default()
    }
}

const OUTPUT: &[u8] = b"terminal \xe2\x82\xac \xff";
const BYTES: &[u8] = b"bytes";

/// Plays one session in full; gives the first failure.
async fn play(recordings: &Recordings) -> (PathBuf, Result<(), RecordError>) {
    let meta = meta();
    let folder = recordings.folder(meta.session);
    let recorder = match recordings.begin(meta, ALL).await {
        Ok(recorder) => recorder,
        Err(error) => return (folder, Err(error)),
    };
    recorder.open_channel(0, "session", ms(0));
    recorder.set_pty(0, b"xterm", 80, 24, ms(0));
    let mut answers = Vec::new();
    for turn in 0..3 {
        recorder.data(0, Stream::Output, ms(turn), OUTPUT);
        recorder.data(1, Stream::Input, ms(turn), BYTES);
        // Another channel's end makes the writer write everything.
        answers.push(recorder.close_channel(100 + turn as u32, ms(turn)).await.map(drop));
    }
    answers.push(recorder.close_channel(0, ms(5)).await.map(drop));
    let finished = recorder.finish(ms(6)).await;
    let failed = recorder.failed();
    if let Err(error) = &finished {
        assert_eq!(failed.as_ref(), Some(error));
        assert_eq!(&recorder.failure().await, error);
        recorder.room().await;
        assert!(answers.iter().flatten().count() <= 4);
        recorder.data(0, Stream::Output, ms(7), b"ignored");
    } else {
        assert!(answers.iter().all(Result::is_ok) && failed.is_none());
    }
    (folder, finished.map(drop))
}

/// What was kept is a beginning of what passed, whatever happened.
fn check_what_was_kept(folder: &Path) {
    let session = match RecordedSession::open(folder) {
        Ok(session) => session,
        Err(error) => panic!("{error}"),
    };
    for (channel, of, piece) in [(0, Stream::Output, OUTPUT), (1, Stream::Input, BYTES)] {
        let Ok(events) = session.events(channel) else { continue };
        let events: Vec<_> = events.collect::<Result<_, _>>().unwrap();
        assert!(piece.repeat(5).starts_with(&stream(&events, of)));
    }
}

#[tokio::test]
async fn every_refusal_is_told_and_the_rest_is_read() {
    let temp = tempfile::tempdir().unwrap();
    let count = {
        let disk = FaultyDisk::new(usize::MAX, Fault::Before, "");
        let count = Arc::clone(&disk.count);
        let recordings = Recordings::open_on(Arc::new(disk), temp.path().join("count"), untimed()).unwrap();
        play(&recordings).await.1.unwrap();
        count.load(Ordering::SeqCst)
    };
    assert!(count > 20, "only {count} operations");
    for fault in [Fault::Before, Fault::After, Fault::Full] {
        for at in 0..count {
            let root = temp.path().join(format!("{fault:?}-{at}"));
            let disk = Arc::new(FaultyDisk::new(at, fault, ""));
            let Ok(recordings) = Recordings::open_on(disk, &root, untimed()) else {
                assert_eq!(at, 0, "only the first operation creates the root");
                continue;
            };
            let (folder, result) = play(&recordings).await;
            assert!(result.is_err(), "{fault:?} of operation {at} was not told");
            drop(recordings);
            if !folder.exists() {
                continue;
            }
            check_what_was_kept(&folder);
            // What was not closed for sure is open, and closed after a restart on a good disk.
            assert!(!folder.join("manifest.json").exists(), "{fault:?} of operation {at}");
            let good = Arc::new(FaultyDisk::new(usize::MAX, fault, ""));
            let recordings = Recordings::open_on(good, &root, Options::default()).unwrap();
            let orphans = close_orphans(&recordings, &HashSet::new());
            assert_eq!(orphans.len(), 1);
            assert!(
                orphans
                    .iter()
                    .all(|orphan| orphan.failure.is_none() && orphan.files[0].name == "manifest.json")
            );
            check_what_was_kept(&folder);
            assert!(RecordedSession::open(&folder).unwrap().verify().unwrap().is_empty());
            assert!(recordings.orphans(&HashSet::new()).unwrap().is_empty());
        }
    }
}

#[tokio::test]
async fn short_writes_are_no_failure() {
    let temp = tempfile::tempdir().unwrap();
    let disk = Arc::new(FaultyDisk::new(0, Fault::Short, ""));
    let recordings = Recordings::open_on(disk, temp.path().join("r"), untimed()).unwrap();
    let (folder, result) = play(&recordings).await;
    result.unwrap();
    let session = RecordedSession::open(&folder).unwrap();
    assert!(session.verify().unwrap().is_empty());
    let events: Vec<_> = session.events(0).unwrap().map(Result::unwrap).collect();
    assert_eq!(stream(&events, Stream::Output), OUTPUT.repeat(3));
}

#[tokio::test]
async fn one_session_fails_and_the_others_go_on() {
    for fault in [Fault::Full, Fault::Panic] {
        let temp = tempfile::tempdir().unwrap();
        let (bad, good) = (meta(), meta());
        let path = format!("{}/channel-", bad.session);
        let disk = Arc::new(FaultyDisk::new(1, fault, &path));
        let recordings = Recordings::open_on(disk, temp.path().join("r"), Options::default()).unwrap();
        let bad_folder = recordings.folder(bad.session);
        let good_folder = recordings.folder(good.session);
        let bad = recordings.begin(bad, ALL).await.unwrap();
        let good = recordings.begin(good, ALL).await.unwrap();
        for recorder in [&bad, &good] {
            recorder.set_pty(0, b"xterm", 80, 24, ms(0));
            recorder.data(0, Stream::Output, ms(1), b"before");
        }
        // Told without anybody asking, by the timer alone.
        let error = bad.failure().await;
        match fault {
            Fault::Panic => assert!(matches!(&error, RecordError::Internal(_)), "{error}"),
            _ => assert!(
                matches!(&error, RecordError::Disk { action: "write", kind: io::ErrorKind::StorageFull, .. }),
                "{error}"
            ),
        }
        assert_eq!(bad.finish(ms(2)).await.unwrap_err(), error);
        good.data(0, Stream::Output, ms(3), b" after");
        let _ = good.finish(ms(4)).await.unwrap();
        let session = RecordedSession::open(&good_folder).unwrap();
        let events: Vec<_> = session.events(0).unwrap().map(Result::unwrap).collect();
        assert_eq!(stream(&events, Stream::Output), b"before after");
        // The failed one can be closed while the server runs.
        drop(bad);
        let orphans = close_orphans(&recordings, &HashSet::new());
        assert_eq!(orphans.len(), 1);
        assert_eq!(RecordedSession::open(&bad_folder).unwrap().closed(), Some(Closed::Truncated));
    }
}

#[tokio::test]
async fn a_disk_that_cannot_be_made_durable_ends_the_session() {
    let temp = tempfile::tempdir().unwrap();
    // Operation 0 creates the file, 1 writes it, 2 makes it durable while the session lives.
    let disk = Arc::new(FaultyDisk::new(2, Fault::Before, "channel-0.cast.zst"));
    let options = Options { sync_every: ms(1), flush_after: ms(1), ..Options::default() };
    let recordings = Recordings::open_on(disk, temp.path().join("r"), options).unwrap();
    let recorder = recordings.begin(meta(), ALL).await.unwrap();
    recorder.set_pty(0, b"xterm", 80, 24, ms(0));
    let error = recorder.failure().await;
    assert!(matches!(&error, RecordError::Disk { action: "sync", .. }), "{error}");
}

/// A disk that stands still while the gate is held.
struct SlowDisk(Arc<Mutex<()>>);

struct SlowFile(Box<dyn DiskFile>, Arc<Mutex<()>>);

impl Disk for SlowDisk {
    fn reserve(&self, path: &Path, bytes: u64) -> io::Result<()> {
        SystemDisk.reserve(path, bytes)
    }
    fn overwrite(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        SystemDisk.overwrite(path, bytes)
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        SystemDisk.create_dir(path)
    }
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(SlowFile(SystemDisk.create(path)?, Arc::clone(&self.0))))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        SystemDisk.rename(from, to)
    }
    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFile for SlowFile {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        drop(self.1.lock());
        self.0.write(bytes)
    }
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_slow_disk_holds_the_session_back_and_loses_nothing() {
    let gate = Arc::new(Mutex::new(()));
    let temp = tempfile::tempdir().unwrap();
    let options = Options { session_queue_bytes: 256 << 10, queue_bytes: 1 << 20, ..Options::default() };
    let disk = Arc::new(SlowDisk(Arc::clone(&gate)));
    let recordings = Recordings::open_on(disk, temp.path().join("r"), options).unwrap();
    let (one, other) = (meta(), meta());
    let folder = recordings.folder(one.session);
    let one = recordings.begin(one, ALL).await.unwrap();
    let other = recordings.begin(other, ALL).await.unwrap();
    let piece = [b'x'; 10_000];
    let mut handed = 0;
    let held = gate.lock().unwrap();
    while one.has_room() {
        one.data(0, Stream::Output, ms(1), &piece);
        handed += piece.len();
    }
    assert!((200 << 10..300 << 10).contains(&handed), "{handed} bytes were taken");
    // The others still have room, until all together have none.
    let mut taken = 0;
    while other.has_room() {
        other.data(0, Stream::Output, ms(1), &piece);
        taken += 1;
    }
    assert!(taken > 20);
    let room = async { tokio::join!(one.room(), other.room()) };
    let mut room = std::pin::pin!(room);
    assert!(futures_now(room.as_mut()).is_none(), "there was room");
    drop(held);
    room.await;
    assert!(one.has_room() && other.has_room());
    let _ = one.finish(ms(2)).await.unwrap();
    let _ = other.finish(ms(2)).await.unwrap();
    let events: Vec<_> =
        RecordedSession::open(folder).unwrap().events(0).unwrap().map(Result::unwrap).collect();
    assert_eq!(stream(&events, Stream::Output).len(), handed);
}

/// Polls once.
fn futures_now<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.poll(&mut context) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

#[tokio::test]
async fn who_ignores_backpressure_fails_alone_and_memory_stays_bounded() {
    let gate = Arc::new(Mutex::new(()));
    let temp = tempfile::tempdir().unwrap();
    let options = Options { session_queue_bytes: 64 << 10, ..Options::default() };
    let disk = Arc::new(SlowDisk(Arc::clone(&gate)));
    let recordings = Recordings::open_on(disk, temp.path().join("r"), options).unwrap();
    let greedy = recordings.begin(meta(), ALL).await.unwrap();
    let other = recordings.begin(meta(), ALL).await.unwrap();
    let held = gate.lock().unwrap();
    let piece = [b'x'; 10_000];
    let taken = (0..1000).take_while(|_| {
        greedy.data(0, Stream::Output, ms(1), &piece);
        greedy.failed().is_none()
    });
    let taken = taken.count() * piece.len();
    assert!(taken < 600 << 10, "{taken} bytes were taken");
    assert!(matches!(greedy.failed(), Some(RecordError::Overrun { .. })));
    drop(held);
    other.data(0, Stream::Output, ms(1), b"fine");
    let _ = other.finish(ms(2)).await.unwrap();
    assert!(matches!(greedy.finish(ms(3)).await, Err(RecordError::Overrun { .. })));
}

#[tokio::test]
async fn misuse_is_told() {
    let rig = Rig::new();
    let first = meta();
    let recorder = rig.recordings.begin(first.clone(), ALL).await.unwrap();
    assert_eq!(
        rig.recordings.begin(first.clone(), ALL).await.err(),
        Some(RecordError::Exists(first.session))
    );
    let _ = recorder.finish(ms(1)).await.unwrap();
    assert_eq!(
        rig.recordings.begin(first.clone(), ALL).await.err(),
        Some(RecordError::Exists(first.session))
    );
    recorder.data(0, Stream::Output, ms(2), b"late");
    assert!(matches!(recorder.failed(), Some(RecordError::Misused(_))));
    let (recorder, _) = rig.begin(ALL).await;
    recorder.data(u32::MAX, Stream::Output, ms(2), b"no such channel");
    assert!(matches!(recorder.failed(), Some(RecordError::Misused(_))));
}

#[tokio::test]
async fn a_live_recording_is_no_orphan() {
    let rig = Rig::new();
    let (recorder, folder) = rig.begin(ALL).await;
    recorder.data(0, Stream::Output, ms(1), b"x");
    assert!(rig.recordings.orphans(&HashSet::new()).unwrap().is_empty());
    assert_eq!(RecordedSession::open(&folder).unwrap().closed(), None);
    drop(recorder);
    // The writer lets go of it in its own time; opening the folder anew waits for that.
    let root = rig.recordings.root().to_owned();
    drop(rig.recordings);
    let recordings = Recordings::open(&root, Options::default()).unwrap();
    let live = HashSet::from([folder.file_name().unwrap().to_str().unwrap().parse().unwrap()]);
    assert!(recordings.orphans(&live).unwrap().is_empty());
    let orphans = close_orphans(&recordings, &HashSet::new());
    assert_eq!(orphans.len(), 1);
    assert_eq!(orphans[0].meta.as_ref().unwrap().person.to_string(), "alice");
    let names: Vec<_> = orphans[0].files.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["manifest.json", "channel-0.bytes.zst", "meta.json"]);
}

#[tokio::test]
async fn a_session_without_end_of_channels_ends() {
    let rig = Rig::quick(Options::default());
    let (recorder, _) = rig.begin(ALL).await;
    for channel in 0..70_000 {
        recorder.room().await;
        recorder.open_channel(channel, "session", ms(1));
    }
    assert!(matches!(recorder.finish(ms(2)).await, Err(RecordError::Misused(_))));
}

#[tokio::test]
async fn what_failed_is_closed_at_once_even_when_nothing_more_can_be_written() {
    let temp = tempfile::tempdir().unwrap();
    let meta = meta();
    let path = format!("{}/channel-", meta.session);
    let disk = Arc::new(FaultyDisk::new(3, Fault::Full, &path));
    let recordings = Recordings::open_on(disk, temp.path().join("r"), untimed()).unwrap();
    let folder = recordings.folder(meta.session);
    let reserved = folder.join("manifest.json.new");
    let recorder = recordings.begin(meta, ALL).await.unwrap();
    let room = std::fs::metadata(&reserved).unwrap().len();
    recorder.set_pty(0, b"xterm", 80, 24, ms(0));
    for turn in 0..9 {
        recorder.data(0, Stream::Output, ms(turn), OUTPUT);
        let _ = recorder.close_channel(100, ms(turn)).await;
    }
    recorder.finish(ms(9)).await.unwrap_err();
    assert!(recorder.failed().is_some());
    let files = recorder.close_truncated().await.unwrap();
    let names: Vec<_> = files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["manifest.json", "channel-0.cast.zst", "meta.json"]);
    assert!(files[0].bytes <= room, "{} bytes of {room} that were reserved", files[0].bytes);
    assert!(!reserved.exists());
    check_what_was_kept(&folder);
    let session = RecordedSession::open(&folder).unwrap();
    assert_eq!((session.closed(), session.verify().unwrap().len()), (Some(Closed::Truncated), 0));
    assert_eq!(session.logged_files().unwrap().unwrap(), files);
    assert!(recordings.orphans(&HashSet::new()).unwrap().is_empty());
}

#[tokio::test]
async fn the_reserve_holds_the_manifest_of_many_files() {
    let temp = tempfile::tempdir().unwrap();
    let recordings =
        Recordings::open_on(Arc::new(crate::support::QuickDisk), temp.path(), untimed()).unwrap();
    let recorder = recordings.begin(meta(), ALL).await.unwrap();
    let reserved = recordings.folder(recorder.session()).join("manifest.json.new");
    for channel in 0..100 {
        recorder.data(u32::MAX - 2 - channel, Stream::Output, ms(1), OUTPUT);
        let _ = recorder.close_channel(u32::MAX - 2 - channel, ms(2)).await.unwrap();
    }
    let room = std::fs::metadata(&reserved).unwrap().len();
    // As if the disk had failed now.
    let files = recorder.close_truncated().await.unwrap();
    assert_eq!(files.len(), 102);
    assert!(files[0].bytes <= room, "{} bytes of {room} that were reserved", files[0].bytes);
}

/// The digests of a channel, of what passed in full.
fn digest_of(turns: usize) -> (u64, String) {
    let sha256 = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &OUTPUT.repeat(turns));
    let hex = sha256.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    ((OUTPUT.len() * turns) as u64, hex)
}

#[tokio::test]
async fn a_lenient_session_goes_on_without_its_files_and_still_knows_what_passed() {
    let temp = tempfile::tempdir().unwrap();
    for fault in [Fault::Before, Fault::After, Fault::Full] {
        // From before its folder is made, to the name of its manifest.
        for at in 0.. {
            let meta = meta();
            let disk = Arc::new(FaultyDisk::new(at, fault, &meta.session.to_string()));
            let recordings =
                Recordings::open_on(disk, temp.path().join(format!("{fault:?}-{at}")), untimed()).unwrap();
            let folder = recordings.folder(meta.session);
            let recorder = recordings.begin_lenient(meta, ALL).await.unwrap();
            recorder.set_pty(0, b"xterm", 80, 24, ms(0));
            for turn in 0..5 {
                recorder.data(0, Stream::Output, ms(turn), OUTPUT);
                recorder.data(1, Stream::Output, ms(turn), OUTPUT);
                let _ = recorder.close_channel(100, ms(turn)).await.unwrap();
                recorder.resize(0, 90, 30, ms(turn));
                recorder.marker(1, "remark", ms(turn));
            }
            for channel in [0, 1] {
                let output = recorder.close_channel(channel, ms(9)).await.unwrap().output;
                assert_eq!((output.bytes, output.sha256.to_string()), digest_of(5), "{fault:?} {at}");
            }
            let finished = recorder.finish(ms(9)).await;
            assert_eq!(recorder.failed(), None);
            assert_eq!(finished.as_ref().err(), recorder.lapsed().as_ref(), "{fault:?} {at}");
            let Err(failure) = finished else {
                assert!(at > 20, "operation {at} is one of them");
                assert_eq!(RecordedSession::open(&folder).unwrap().closed(), Some(Closed::Ended));
                break;
            };
            assert_eq!(recorder.lapse().await, failure);
            if folder.join("meta.json").exists() {
                recorder.close_truncated().await.unwrap();
                assert!(RecordedSession::open(&folder).unwrap().verify().unwrap().is_empty());
                check_what_was_kept(&folder);
            }
        }
    }
}

/// Whatever refuses while a recording is removed: what is left is closed still, and the next try ends it.
#[tokio::test]
async fn a_removal_that_fails_anywhere_goes_on_the_next_time() {
    for fault in [Fault::Before, Fault::After] {
        for at in 0.. {
            let folder = tempfile::tempdir().unwrap();
            let recordings = Recordings::open(folder.path(), untimed()).unwrap();
            let (path, played) = play(&recordings).await;
            played.unwrap();
            drop(recordings);
            let session = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let disk = Arc::new(FaultyDisk::new(at, fault, &name));
            let recordings = Recordings::open_on(disk, folder.path(), untimed()).unwrap();
            let stored = recordings.stored().unwrap();
            assert!(stored.len() == 1 && stored[0].closed && stored[0].bytes > 0, "{stored:?}");
            if recordings.remove(session).is_ok() {
                assert!(at >= 4, "{at} operations were made to fail");
                break;
            }
            let left = recordings.stored().unwrap();
            let empty = path.is_dir() && std::fs::read_dir(&path).unwrap().next().is_none();
            assert!(left.is_empty() || left[0].closed || empty, "{fault:?} at {at}: {left:?}");
            recordings.remove(session).unwrap();
            assert!(!path.exists() && recordings.stored().unwrap().is_empty());
            recordings.remove(session).unwrap();
        }
    }
}

/// Nothing that is being written is removed.
#[tokio::test]
async fn a_live_recording_is_not_removed() {
    let folder = tempfile::tempdir().unwrap();
    let recordings = Recordings::open(folder.path(), Options::default()).unwrap();
    let meta = meta();
    let session = meta.session;
    let recorder = recordings.begin(meta, ALL).await.unwrap();
    assert!(!recordings.stored().unwrap()[0].closed);
    assert!(matches!(recordings.remove(session), Err(RecordError::Misused(_))));
    recorder.finish(ms(1)).await.unwrap();
    assert!(recordings.folder(session).exists());
}
