//! What a crash leaves, with real recordings, a real log and a real index.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bartizan_audit::{LogOptions, Origin};
use bartizan_model::{ChannelDigest, Recording, Sha256Hex, Way};
use bartizan_record::disk::{Disk, DiskFile, SystemDisk};
use bartizan_record::{Options, SessionMeta, Stream};
use bartizan_sinks::IndexFollower;
use tokio::sync::watch;

use super::*;

struct Crashed {
    node: NodeId,
    log: Log,
    store: Store,
    recordings: Recordings,
    indexed: watch::Receiver<u64>,
    _stop: watch::Sender<bool>,
    folder: tempfile::TempDir,
}

impl Crashed {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let origin: Origin = "test/orphans".parse().unwrap();
        Log::create(&folder.path().join("log"), &origin).unwrap();
        let log = Log::open(&folder.path().join("log"), LogOptions::default()).unwrap().log;
        let follower = IndexFollower::start(store.clone(), &log).await.unwrap();
        let (indexed, stop) = (follower.indexed(), watch::Sender::new(false));
        tokio::spawn(follower.run(stop.subscribe()));
        let recordings = Recordings::open(folder.path().join("recordings"), Options::default()).unwrap();
        Self { node: NodeId("n".into()), log, store, recordings, indexed, _stop: stop, folder }
    }

    async fn append(&self, id: SessionId, body: Body) {
        let mut event = Event::new(&self.node, Timestamp::now(), body);
        event.session = Some(id);
        event.person = Some("alice".parse().unwrap());
        event.login = Some("root".parse().unwrap());
        event.target = Some("web-1".parse().unwrap());
        event.source = Some("10.0.0.1:5".parse().unwrap());
        self.log.submit(event).unwrap().await.unwrap();
    }

    async fn start(&self, id: SessionId) {
        let allow = "exec".parse().unwrap();
        let (way, client) = (Way::UserName, "SSH-2.0-x".to_owned());
        self.append(id, Body::SessionStart { way, allow, channel_cap: None, input: false, client }).await;
    }

    /// A recording with some bytes; finished or left as a crash leaves it.
    async fn record(&self, id: SessionId, finish: bool) -> Vec<RecordingFile> {
        let meta = SessionMeta {
            session: id,
            started: Timestamp::now(),
            person: "alice".parse().unwrap(),
            login: "root".parse().unwrap(),
            target: "web-1".parse().unwrap(),
            way: Way::UserName,
            source: "10.0.0.1:5".parse().unwrap(),
            node: self.node.clone(),
            client: "SSH-2.0-x".into(),
        };
        let recorder = self.recordings.begin(meta, Recording::default()).await.unwrap();
        recorder.open_channel(0, "session", Duration::ZERO);
        recorder.data(0, Stream::Output, Duration::from_secs(9), b"hello");
        match finish {
            true => recorder.finish(Duration::from_secs(1)).await.unwrap(),
            false => Vec::new(),
        }
    }

    /// The end of a session that ended as it should.
    async fn end_with(&self, id: SessionId, recording: Vec<RecordingFile>) {
        let (reason, truncated) = ("closed".into(), false);
        let (duration_us, bytes_in, bytes_out, exit_status) = (1, 0, 5, None);
        let end =
            Body::SessionEnd { reason, duration_us, bytes_in, bytes_out, exit_status, truncated, recording };
        self.append(id, end).await;
    }

    /// A session that ended because its recording failed, which could not be closed.
    async fn fail(&self, id: SessionId) {
        self.start(id).await;
        self.record(id, false).await;
        let end = Body::SessionEnd {
            reason: "recording failed".into(),
            duration_us: 5,
            bytes_in: 1,
            bytes_out: 77,
            exit_status: Some(3),
            truncated: true,
            recording: Vec::new(),
        };
        self.append(id, end).await;
    }

    /// Opens the recordings again, as the next process does.
    fn restart(self) -> Self {
        self.restart_on(SystemDisk)
    }

    fn restart_on(mut self, disk: impl Disk) -> Self {
        let root = self.folder.path().join("recordings");
        let other = Recordings::open(self.folder.path().join("other"), Options::default()).unwrap();
        drop(std::mem::replace(&mut self.recordings, other));
        self.recordings = Recordings::open_on(Arc::new(disk), root, Options::default()).unwrap();
        self
    }

    async fn close(&mut self) -> usize {
        let head = self.log.head();
        self.indexed.wait_for(|&next| next >= head).await.unwrap();
        let closing =
            Closing { node: &self.node, log: &self.log, store: &self.store, recordings: &self.recordings };
        // As `Left` does.
        let mut count = 0;
        let closed = match closing.run(Index::Found, &mut count).await {
            Err(failure) if failure.is_of_index() => {
                let head = self.log.head();
                self.indexed.wait_for(|&next| next >= head).await.unwrap();
                closing.run(Index::MadeAnew, &mut count).await
            }
            closed => closed,
        };
        closed.unwrap();
        let head = self.log.head();
        self.indexed.wait_for(|&next| next >= head).await.unwrap();
        count
    }

    /// All events.
    fn events(&self) -> Vec<Event> {
        let reader = self.log.reader();
        let (mut found, mut from) = (Vec::new(), 0);
        loop {
            let entries = reader.read(from, 100).unwrap();
            let Some(last) = entries.last() else { return found };
            from = last.index + 1;
            found.extend(entries.iter().map(|entry| entry.event().unwrap()));
        }
    }

    /// Each `session.end` of a session: reason, bytes, whether truncated, files.
    fn ends(&self, id: SessionId) -> Vec<(Event, String, u64, bool, Vec<RecordingFile>)> {
        let of_session = self.events().into_iter().filter(|event| event.session == Some(id));
        let end = |event: Event| match event.body.clone() {
            Body::SessionEnd { reason, bytes_out, truncated, recording, .. } => {
                Some((event, reason, bytes_out, truncated, recording))
            }
            _ => None,
        };
        of_session.filter_map(end).collect()
    }

    /// Each anomaly, and the session it is of.
    fn anomalies(&self) -> Vec<(SessionId, String)> {
        let anomaly = |event: Event| match event.body {
            Body::Anomaly { what, .. } => Some((event.session.unwrap(), what)),
            _ => None,
        };
        self.events().into_iter().filter_map(anomaly).collect()
    }

    /// The last one.
    fn end(&self, id: SessionId) -> (Event, String, u64, bool, Vec<RecordingFile>) {
        self.ends(id).pop().expect("the session ends")
    }

    fn manifest(&self, id: SessionId) -> Option<bartizan_record::Manifest> {
        RecordedSession::open(self.recordings.folder(id)).unwrap().manifest().cloned()
    }
}

fn names(files: &[RecordingFile]) -> Vec<&str> {
    files.iter().map(|file| file.name.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_a_crash_left_is_closed_once() {
    let crashed = Crashed::new().await;
    let [running, unrecorded, unlogged, ended, unknown] = std::array::from_fn(|_| SessionId::new());
    // In the middle of the session.
    crashed.start(running).await;
    crashed.record(running, false).await;
    let zero = ChannelDigest { bytes: 0, kept: 0, sha256: Sha256Hex([0; 32]) };
    let closed = Body::ChannelClose {
        channel: 1,
        kind: "session".into(),
        input: zero,
        output: ChannelDigest { bytes: 40, ..zero },
        error: ChannelDigest { bytes: 2, ..zero },
        exit_status: None,
        exit_signal: None,
        duration_us: 1,
    };
    crashed.append(running, closed).await;
    // After session.start, before the recording began.
    crashed.start(unrecorded).await;
    // After the recording was closed, before session.end.
    crashed.start(unlogged).await;
    let whole = crashed.record(unlogged, true).await;
    crashed.fail(ended).await;
    // A recording that the log knows nothing of.
    crashed.record(unknown, false).await;

    let mut crashed = crashed.restart();
    assert_eq!(crashed.close().await, 4);

    let (event, reason, bytes_out, truncated, files) = crashed.end(running);
    assert_eq!(reason, "the server stopped before the session's end was logged");
    assert_eq!(
        (bytes_out, truncated),
        (47, true),
        "a channel by its end on record, the other by what was kept"
    );
    let Body::SessionEnd { duration_us, .. } = event.body else { panic!("{event:?}") };
    assert!(duration_us >= 9_000_000, "until the last byte that was kept: {duration_us}");
    assert_eq!(names(&files)[0], "manifest.json");
    assert_eq!(event.person.unwrap().as_str(), "alice");
    assert_eq!((event.severity, event.outcome), (Severity::Warning, Outcome::Failure));

    let (_, _, _, truncated, files) = crashed.end(unrecorded);
    assert_eq!((truncated, files), (true, Vec::new()));
    let (_, _, bytes_out, truncated, files) = crashed.end(unlogged);
    assert_eq!(bytes_out, 5);
    assert_eq!((truncated, files), (false, whole), "the same files as the live end would have bound");
    let (_, reason, bytes_out, truncated, files) = crashed.end(ended);
    assert_eq!(reason, "recording failed; its recording was closed at the next start");
    assert_eq!((bytes_out, truncated, names(&files)[0]), (77, true, "manifest.json"));
    assert!(crashed.ends(unknown).is_empty(), "nothing makes evidence of it");
    assert_eq!(crashed.manifest(unknown), None);
    assert_eq!(crashed.anomalies(), [(unknown, "recording.unknown".to_owned())]);

    let live = SessionQuery { state: Some(SessionState::Live), ..SessionQuery::default() };
    assert!(crashed.store.sessions(&live).await.unwrap().items.is_empty());
    assert_eq!(crashed.close().await, 0, "nothing is closed twice");
    assert_eq!(crashed.anomalies().len(), 1, "nor told twice");
}

/// Whoever changes a recording and removes its manifest gets no second end that binds what they made.
#[tokio::test(flavor = "multi_thread")]
async fn a_recording_that_was_changed_is_not_bound_anew() {
    let crashed = Crashed::new().await;
    let [flipped, emptied, whole] = std::array::from_fn(|_| SessionId::new());
    let mut bound = Vec::new();
    for id in [flipped, emptied, whole] {
        crashed.start(id).await;
        let recording = crashed.record(id, true).await;
        bound.push(recording.clone());
        crashed.end_with(id, recording).await;
    }
    let folder = crashed.recordings.folder(flipped);
    let file = folder.join("channel-0.bytes.zst");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    std::fs::remove_file(folder.join("manifest.json")).unwrap();
    let folder = crashed.recordings.folder(emptied);
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::create_dir(&folder).unwrap();

    let mut crashed = crashed.restart();
    assert_eq!(crashed.close().await, 0);
    let mut anomalies = crashed.anomalies();
    anomalies.sort();
    let mut expected = [flipped, emptied].map(|id| (id, "recording.changed".to_owned()));
    expected.sort();
    assert_eq!(anomalies, expected);
    for (id, bound) in [flipped, emptied, whole].into_iter().zip(bound) {
        assert_eq!(crashed.ends(id).len(), 1);
        assert_eq!(crashed.end(id).4, bound);
    }
    assert_eq!(crashed.close().await, 0);
    assert_eq!(crashed.anomalies().len(), 2, "told once");
}

/// Nothing is written into a recording that is left as it is.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_is_left_as_it_is() {
    let crashed = Crashed::new().await;
    let unknown = SessionId::new();
    crashed.record(unknown, false).await;
    let mut crashed = crashed.restart();
    let unfinished = crashed.recordings.folder(unknown).join("manifest.json.new");
    std::fs::write(&unfinished, "what somebody may ask about").unwrap();
    let closing = Closing {
        node: &crashed.node,
        log: &crashed.log,
        store: &crashed.store,
        recordings: &crashed.recordings,
    };
    assert!(closing.run(Index::Found, &mut 0).await.unwrap_err().is_of_index(), "perhaps the index lacks it");
    assert_eq!(crashed.close().await, 0);
    assert_eq!(crashed.anomalies(), [(unknown, "recording.unknown".to_owned())]);
    assert_eq!(std::fs::read(&unfinished).unwrap(), b"what somebody may ask about");
}

/// A recording that was closed as whole, and whose disk did not keep the name.
#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_is_bound_gets_its_name_back() {
    let crashed = Crashed::new().await;
    let id = SessionId::new();
    crashed.start(id).await;
    let bound = crashed.record(id, true).await;
    crashed.end_with(id, bound.clone()).await;
    let folder = crashed.recordings.folder(id);
    std::fs::rename(folder.join("manifest.json"), folder.join("manifest.json.new")).unwrap();
    let mut crashed = crashed.restart();
    assert_eq!(crashed.close().await, 1);
    assert_eq!((crashed.ends(id).len(), crashed.anomalies().len()), (1, 0));
    let recording = RecordedSession::open(folder).unwrap();
    assert_eq!((recording.logged_files().unwrap(), recording.closed()), (Some(bound), Some(Closed::Ended)));
}

/// An index that shows a session as running which has ended decides nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_with_an_end_is_not_ended_again() {
    let crashed = Crashed::new().await;
    let id = SessionId::new();
    let bound = crashed.record(id, true).await;
    crashed.end_with(id, bound).await;
    crashed.start(id).await;
    let mut crashed = crashed.restart();
    let head = crashed.log.head();
    crashed.indexed.wait_for(|&next| next >= head).await.unwrap();
    assert_eq!(crashed.store.session(&id).await.unwrap().unwrap().state, SessionState::Live);
    let closing = Closing {
        node: &crashed.node,
        log: &crashed.log,
        store: &crashed.store,
        recordings: &crashed.recordings,
    };
    assert!(closing.run(Index::Found, &mut 0).await.unwrap_err().is_of_index());
    closing.run(Index::MadeAnew, &mut 0).await.unwrap();
    assert_eq!(crashed.ends(id).len(), 1);
}

/// A disk that does not give a manifest now may give it at the next start: an end that binds nothing would be for good.
#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_cannot_be_read_is_waited_for() {
    let crashed = Crashed::new().await;
    let id = SessionId::new();
    crashed.start(id).await;
    let whole = crashed.record(id, true).await;
    let manifest = crashed.recordings.folder(id).join("manifest.json");
    let bytes = std::fs::read(&manifest).unwrap();
    std::fs::remove_file(&manifest).unwrap();
    std::fs::create_dir(&manifest).unwrap();
    let mut crashed = crashed.restart();
    assert_eq!(crashed.close().await, 0);
    assert!(crashed.ends(id).is_empty());
    std::fs::remove_dir(&manifest).unwrap();
    std::fs::write(&manifest, bytes).unwrap();
    assert_eq!(crashed.close().await, 1);
    assert_eq!(crashed.end(id).4, whole);
}

/// A disk that renames nothing, or says so when a manifest gets its name.
struct NoNames {
    takes_effect: bool,
}

impl Disk for NoNames {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        SystemDisk.create_dir(path)
    }
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        SystemDisk.create(path)
    }
    fn reserve(&self, path: &Path, bytes: u64) -> io::Result<()> {
        SystemDisk.reserve(path, bytes)
    }
    fn overwrite(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        SystemDisk.overwrite(path, bytes)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        if self.takes_effect && to.ends_with("manifest.json") {
            SystemDisk.rename(from, to)?;
        }
        Err(io::Error::other("no names today"))
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        SystemDisk.sync_dir(path)
    }
}

/// Where the process that closes what a crash left ends in its turn.
#[derive(Clone, Copy, Debug)]
enum Again {
    BeforeTheEvent,
    BeforeTheName,
    AfterTheName,
}

#[tokio::test(flavor = "multi_thread")]
async fn wherever_closing_is_cut_off_every_end_is_logged_once() {
    for again in [Again::BeforeTheEvent, Again::BeforeTheName, Again::AfterTheName] {
        let crashed = Crashed::new().await;
        let sessions: [SessionId; 2] = std::array::from_fn(|_| SessionId::new());
        let [running, ended] = sessions;
        crashed.start(running).await;
        crashed.record(running, false).await;
        crashed.fail(ended).await;

        let crashed = match again {
            Again::BeforeTheEvent => {
                let crashed = crashed.restart();
                assert_eq!(crashed.recordings.orphans(&HashSet::new()).unwrap().len(), 2);
                crashed
            }
            Again::BeforeTheName | Again::AfterTheName => {
                let takes_effect = matches!(again, Again::AfterTheName);
                let mut crashed = crashed.restart_on(NoNames { takes_effect });
                assert_eq!(crashed.close().await, 2, "{again:?}");
                crashed
            }
        };
        let logged = sessions.map(|id| crashed.ends(id).len());
        let named = sessions.map(|id| crashed.manifest(id).is_some());
        match again {
            Again::BeforeTheEvent => assert_eq!((logged, named), ([0, 1], [false; 2])),
            Again::BeforeTheName => assert_eq!((logged, named), ([1, 2], [false; 2])),
            Again::AfterTheName => assert_eq!((logged, named), ([1, 2], [true; 2])),
        }

        let mut crashed = crashed.restart();
        let left = if matches!(again, Again::AfterTheName) { 0 } else { 2 };
        assert_eq!(crashed.close().await, left, "{again:?}");
        for (id, ends) in sessions.into_iter().zip([1, 2]) {
            assert_eq!(crashed.ends(id).len(), ends, "{again:?}: each end once");
            let recording = RecordedSession::open(crashed.recordings.folder(id)).unwrap();
            assert_eq!(Some(crashed.end(id).4), recording.logged_files().unwrap(), "{again:?}");
        }
    }
}
