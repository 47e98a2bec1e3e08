//! What every test needs: a folder, a session, and its events.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bartizan_model::{NodeId, Recording, SessionId, Timestamp, Way};
use bartizan_record::disk::{Disk, DiskFile, SystemDisk};
use bartizan_record::{
    Event, Options, Orphan, RecordedSession, Recordings, SessionMeta, SessionRecorder, Stream, What,
};

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn meta() -> SessionMeta {
    SessionMeta {
        session: SessionId::new(),
        started: Timestamp::from_unix_micros(1_795_854_600_000_000),
        person: "alice".parse().unwrap(),
        login: "root".parse().unwrap(),
        target: "web-1".parse().unwrap(),
        way: Way::ProxyJump,
        source: "192.0.2.7:50022".parse().unwrap(),
        node: NodeId("node-1".into()),
        client: "SSH-2.0-OpenSSH_9.2".into(),
    }
}

pub(crate) const ALL: Recording = Recording { channel_cap: None, input: true };

/// Closes what nobody writes any more, as one does whose log takes every event.
pub(crate) fn close_orphans(recordings: &Recordings, live: &HashSet<SessionId>) -> Vec<Orphan> {
    let orphans = recordings.orphans(live).unwrap();
    for orphan in orphans.iter().filter(|orphan| orphan.failure.is_none()) {
        recordings.prepare_orphan(orphan).unwrap();
        recordings.close_orphan(orphan.session).unwrap();
    }
    orphans
}

/// Recordings in a folder that goes away with the test.
pub(crate) struct Rig {
    pub(crate) recordings: Recordings,
    _temp: tempfile::TempDir,
}

impl Rig {
    /// On a disk that is not waited for.
    pub(crate) fn quick(options: Options) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("recordings");
        let recordings = Recordings::open_on(Arc::new(QuickDisk), root, options).unwrap();
        Self { recordings, _temp: temp }
    }

    pub(crate) fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let recordings = Recordings::open(temp.path().join("recordings"), Options::default()).unwrap();
        Self { recordings, _temp: temp }
    }

    pub(crate) async fn begin(&self, policy: Recording) -> (SessionRecorder, PathBuf) {
        let meta = meta();
        let folder = self.recordings.folder(meta.session);
        (self.recordings.begin(meta, policy).await.unwrap(), folder)
    }
}

pub(crate) fn events(folder: &Path, channel: u32) -> Vec<Event> {
    let session = RecordedSession::open(folder).unwrap();
    session.events(channel).unwrap().collect::<Result<_, _>>().unwrap()
}

/// All bytes of one stream.
pub(crate) fn stream(events: &[Event], wanted: Stream) -> Vec<u8> {
    let of = |event: &Event| match &event.what {
        What::Data(stream, bytes) if *stream == wanted => Some(bytes.clone()),
        _ => None,
    };
    events.iter().filter_map(of).flatten().collect()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

/// Small and repeatable pseudo-random numbers.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// A terminal session with everything in it: text, colours, split and broken characters, keystrokes, sizes.
pub(crate) async fn terminal(rig: &Rig) -> (PathBuf, Vec<u8>) {
    let (recorder, folder) = rig.begin(ALL).await;
    recorder.open_channel(0, "session", ms(0));
    recorder.set_pty(0, b"xterm", 80, 24, ms(1));
    let mut output = Vec::new();
    for number in 0..3000_u64 {
        let line = format!("\x1b[3{}m{number} größe 名前 \"quoted\" \\ \u{9b}0m\t|\r\n", number % 8);
        let mut line = line.into_bytes();
        if number % 7 == 0 {
            line.extend_from_slice(b"\xff\xf0\x9f");
        }
        for piece in line.chunks(11) {
            recorder.data(0, Stream::Output, ms(2 + number), piece);
        }
        output.extend_from_slice(&line);
        if number % 500 == 0 {
            recorder.data(0, Stream::Input, ms(2 + number), b"x");
            recorder.resize(0, 100, 30, ms(2 + number));
            recorder.marker(0, "remark", ms(2 + number));
        }
    }
    let _ = recorder.finish(ms(4000)).await.unwrap();
    (folder, output)
}

/// The system's disk without the waiting: for tests that lose no power.
pub(crate) struct QuickDisk;

struct QuickFile(Box<dyn DiskFile>);

impl Disk for QuickDisk {
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
        Ok(Box::new(QuickFile(SystemDisk.create(path)?)))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        SystemDisk.rename(from, to)
    }
    fn sync_file(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFile for QuickFile {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
