//! Verifying real logs and real recordings: what is whole is found whole, and every change is found.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use bartizan_audit::{Log, LogOptions, Origin, Signer};
use bartizan_model::event::{Body, Event, RECORDING_GONE, RECORDING_KEPT};
use bartizan_model::{NodeId, Recording, RecordingFile, Timestamp, Way};
use bartizan_record::{
    MANIFEST, MANIFEST_UNFINISHED, Options, RecordedSession, Recordings, SessionMeta, Stream,
};

use super::*;

/// A data folder as a stopped server leaves it: one session with its recording, one that is live.
struct Data {
    folder: tempfile::TempDir,
    session: SessionId,
    key: VerifierKey,
}

fn event(id: SessionId, body: Body) -> Event {
    let mut event = Event::new(&NodeId("n".into()), Timestamp::now(), body);
    event.session = Some(id);
    event
}

fn start() -> Body {
    let allow = "exec".parse().unwrap();
    Body::SessionStart {
        way: Way::UserName,
        allow,
        channel_cap: None,
        input: false,
        client: "SSH-2.0-x".into(),
    }
}

fn end(recording: Vec<RecordingFile>) -> Body {
    Body::SessionEnd {
        reason: "closed".into(),
        duration_us: 1,
        bytes_in: 0,
        bytes_out: 5,
        exit_status: None,
        truncated: false,
        recording,
    }
}

fn remove() -> Body {
    Body::RecordingRemove { reason: "old".into(), bytes: 1, recording: Vec::new() }
}

fn signer() -> Signer {
    Signer::from_seed(&"test/verify".parse::<Origin>().unwrap(), &[7; 32]).unwrap()
}

async fn record(root: PathBuf, session: SessionId, channels: u32) -> Vec<RecordingFile> {
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
    for channel in 0..channels {
        recorder.open_channel(channel, "session", Duration::ZERO);
        recorder.data(channel, Stream::Output, Duration::ZERO, b"hello");
        recorder.close_channel(channel, Duration::ZERO).await.unwrap();
    }
    recorder.finish(Duration::from_secs(1)).await.unwrap()
}

impl Data {
    fn new(channels: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let session = SessionId::new();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let files = runtime.block_on(record(folder.path().join("recordings"), session, channels));
        let origin: Origin = "test/verify".parse().unwrap();
        let dir = folder.path().join("log");
        Log::create(&dir, &origin).unwrap();
        let key = signer().verifier_key().clone();
        let data = Self { folder, session, key };
        data.log([(session, start()), (session, end(files)), (SessionId::new(), start())]);
        data
    }

    /// Adds to the log, as a server does that is stopped then.
    fn log(&self, events: impl IntoIterator<Item = (SessionId, Body)>) {
        self.log_as(Some(signer()), events);
    }

    fn log_as(&self, signer: Option<Signer>, events: impl IntoIterator<Item = (SessionId, Body)>) {
        let options = LogOptions { signer, ..LogOptions::default() };
        let log = Log::open(&self.folder.path().join("log"), options).unwrap().log;
        for (id, body) in events {
            log.submit(event(id, body)).unwrap().wait_blocking().unwrap();
        }
        log.close().unwrap();
    }

    /// The files that the log binds.
    fn bound(&self) -> Vec<RecordingFile> {
        RecordedSession::open(self.recording("")).unwrap().logged_files().unwrap().unwrap()
    }

    fn recording(&self, name: &str) -> PathBuf {
        self.folder.path().join("recordings").join(self.session.to_string()).join(name)
    }

    fn report(&self) -> Report {
        verify(self.folder.path(), &self.key, None).unwrap()
    }

    fn faults(&self) -> Vec<String> {
        self.report().faults
    }
}

#[test]
fn a_whole_folder_verifies_and_says_what_was_not_checked() {
    let data = Data::new(2);
    let report = data.report();
    assert_eq!((report.events, report.recordings, report.open.len()), (3, 1, 1));
    assert!(report.files >= 3, "{report:?}");
    assert_eq!(report.faults, Vec::<String>::new());
    assert_eq!(report.checkpoint.as_ref().unwrap().size, 3);
    let shown = text(&report);
    assert!(shown.contains("checkpoint of test/verify verifies: 3 events, root "), "{shown}");
    assert!(shown.contains("not checked: whether the whole folder"), "{shown}");
}

#[test]
fn every_change_of_a_recording_is_found_and_named() {
    let data = Data::new(1);
    let names: Vec<String> = fs::read_dir(data.recording("."))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(names.len() >= 3, "{names:?}");
    for name in &names {
        let path = data.recording(name);
        let whole = fs::read(&path).unwrap();
        for at in [0, whole.len() / 2, whole.len() - 1] {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            fs::write(&path, changed).unwrap();
            let faults = data.faults();
            assert!(
                faults.iter().any(|f| f.contains(name.as_str()) && f.contains(&data.session.to_string())),
                "{faults:?}"
            );
        }
        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert!(data.faults()[0].contains("bytes, and the log says"), "{name}");
        fs::remove_file(&path).unwrap();
        assert!(data.faults()[0].ends_with(&format!("{name} is missing")));
        fs::write(&path, whole).unwrap();
    }
    assert_eq!(data.faults(), Vec::<String>::new());
}

#[test]
fn files_and_recordings_that_the_log_does_not_know_are_found() {
    let data = Data::new(1);
    fs::write(data.recording("channel-9.bytes.zst"), "smuggled").unwrap();
    assert!(data.faults()[0].contains("channel-9.bytes.zst is in the folder, and the log does not know it"));
    fs::remove_file(data.recording("channel-9.bytes.zst")).unwrap();
    let other = SessionId::new();
    fs::create_dir(data.folder.path().join("recordings").join(other.to_string())).unwrap();
    assert_eq!(data.faults(), [format!("session {other}: there is a recording, and no session in the log")]);
}

#[test]
fn of_a_recording_with_many_files_the_manifest_binds_the_rest() {
    let data = Data::new(150);
    assert_eq!(data.faults(), Vec::<String>::new());
    let path = data.recording("channel-149.bytes.zst");
    let mut bytes = fs::read(&path).unwrap();
    bytes[0] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert_eq!(
        data.faults(),
        [format!("session {}: channel-149.bytes.zst differs from the manifest", data.session)]
    );
}

#[test]
fn a_recording_that_was_being_closed_verifies_by_its_unfinished_manifest() {
    for channels in [1, 150] {
        let data = Data::new(channels);
        let (finished, unfinished) = (data.recording(MANIFEST), data.recording(MANIFEST_UNFINISHED));
        fs::rename(&finished, &unfinished).unwrap();
        assert_eq!(data.faults(), Vec::<String>::new(), "with {channels} channels");
        // What it lists is compared as well.
        let path = data.recording("channel-0.bytes.zst");
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[1..]).unwrap();
        assert!(data.faults()[0].contains("channel-0.bytes.zst"), "{:?}", data.faults());
        fs::write(&path, whole).unwrap();
        // Beside the right one nothing binds it.
        fs::copy(&unfinished, &finished).unwrap();
        assert!(data.faults()[0].contains("manifest.json.new is in the folder"), "{:?}", data.faults());
        fs::remove_file(&finished).unwrap();
        let mut changed = fs::read(&unfinished).unwrap();
        changed[0] ^= 1;
        fs::write(&unfinished, changed).unwrap();
        assert!(data.faults()[0].contains("manifest.json differs from what the log says"));
    }
}

#[test]
fn damage_to_the_log_is_found() {
    let data = Data::new(1);
    let journal = data.folder.path().join("log/journal");
    let segment = fs::read_dir(&journal).unwrap().map(|e| e.unwrap().path()).max().unwrap();
    let whole = fs::read(&segment).unwrap();
    let at = whole.windows(6).position(|w| w == b"closed").unwrap();
    let mut changed = whole.clone();
    changed[at] ^= 1;
    fs::write(&segment, changed).unwrap();
    let report = data.report();
    assert!(!report.faults.is_empty() && report.checkpoint.is_none(), "{report:?}");
}

#[test]
fn without_the_right_key_and_checkpoint_nothing_is_believed() {
    let data = Data::new(1);
    let origin: Origin = "test/verify".parse().unwrap();
    let other = Signer::from_seed(&origin, &[8; 32]).unwrap();
    let report = verify(data.folder.path(), other.verifier_key(), None).unwrap();
    assert!(report.checkpoint.is_none() && report.faults.len() == 1, "{report:?}");
    let checkpoint = data.folder.path().join("log/checkpoint");
    fs::remove_file(&checkpoint).unwrap();
    assert!(data.faults()[0].contains("is missing"), "{:?}", data.faults());

    let key = data.folder.path().join("mine.vkey");
    fs::write(&key, format!("{}\n", data.key)).unwrap();
    let find = |given: Option<&str>| find_key(data.folder.path(), given);
    assert_eq!(find(Some(key.to_str().unwrap())).unwrap(), data.key);
    assert_eq!(find(Some(&data.key.to_string())).unwrap(), data.key);
    assert_eq!(find(None).unwrap_err().kind, Kind::Usage);
}

#[test]
fn entries_must_be_events() {
    let (mut faults, mut sessions) = (Vec::new(), Sessions::new());
    for json in [r#"{"index":4,"type":"of a later version"}"#, "nonsense"] {
        said::take(&Entry { index: 4, bytes: json.into() }, &mut faults, &mut sessions);
    }
    assert_eq!((faults.len(), sessions.len()), (1, 0));
    assert!(faults[0].starts_with("entry 4: is no event"));
}

/// Retention's own removal is no fault, a part of it neither; without its event it is one.
#[test]
fn a_recording_is_gone_by_an_event_or_not_at_all() {
    let data = Data::new(1);
    fs::remove_dir_all(data.recording("")).unwrap();
    let report = verify(data.folder.path(), &data.key, None).unwrap();
    assert!(report.faults.iter().any(|fault| fault.ends_with("manifest.json is missing")), "{report:?}");

    let data = Data::new(1);
    data.log([(data.session, remove())]);
    for name in ["meta.json", "manifest.json", ""] {
        let report = verify(data.folder.path(), &data.key, None).unwrap();
        assert!(report.faults.is_empty(), "before {name:?}: {report:?}");
        assert_eq!((report.removed.len(), report.removed[0].reason.as_str()), (1, "old"));
        assert!(text(&report).contains("1 recording removed by retention on "), "{}", text(&report));
        match name {
            "" => fs::remove_dir_all(data.recording("")).unwrap(),
            name => fs::remove_file(data.recording(name)).unwrap(),
        }
    }
    assert!(verify(data.folder.path(), &data.key, None).unwrap().faults.is_empty());
    // What is left over is what it was.
    fs::create_dir(data.recording("")).unwrap();
    fs::write(data.recording("meta.json"), "forged").unwrap();
    let faults = verify(data.folder.path(), &data.key, None).unwrap().faults;
    assert!(faults.len() == 1 && faults[0].contains("meta.json has 6 bytes"), "{faults:?}");
}

/// What no checkpoint held at the end of a process excuses nothing later, and of two removals the first counts.
#[test]
fn a_removal_that_is_withdrawn_excuses_nothing() {
    for (what, gone) in [(RECORDING_KEPT, false), (RECORDING_GONE, true)] {
        let data = Data::new(1);
        let withdrawn = Body::Anomaly { what: what.into(), detail: String::new() };
        data.log([(data.session, remove()), (data.session, withdrawn)]);
        let faults = data.faults();
        assert_eq!(faults.len(), usize::from(gone), "{faults:?}");
        assert!(
            faults.iter().all(|fault| fault.ends_with("before their removal was signed: entry 4 says so"))
        );
        let meta = fs::read(data.recording("meta.json")).unwrap();
        fs::remove_file(data.recording("meta.json")).unwrap();
        let report = data.report();
        assert!(report.faults.iter().any(|fault| fault.ends_with("meta.json is missing")), "{report:?}");
        assert!(report.removed.is_empty());
        fs::write(data.recording("meta.json"), meta).unwrap();
        // Retention decided anew; an entry that is not signed takes nothing from that.
        data.log([(data.session, remove())]);
        data.log_as(None, [(data.session, remove())]);
        fs::remove_dir_all(data.recording("")).unwrap();
        let report = data.report();
        assert_eq!((report.faults.len(), report.removed.len()), (usize::from(gone), 1), "{report:?}");
    }
}

/// Beside a running server: what ended while it was waited for is compared, too.
#[test]
fn a_session_that_ended_between_two_looks_is_compared() {
    let data = Data::new(1);
    let late = SessionId::new();
    data.log([(late, start())]);
    data.log_as(None, [(data.session, remove())]);
    fs::remove_dir_all(data.recording("")).unwrap();
    let lost = RecordingFile { name: MANIFEST.into(), bytes: 1, sha256: bartizan_model::Sha256Hex([0; 32]) };
    let report = std::thread::scope(|scope| {
        let verifying = scope.spawn(|| data.report());
        data.log([(late, end(vec![lost]))]);
        verifying.join().unwrap()
    });
    let missing = format!("session {late}: manifest.json is missing");
    assert_eq!(report.faults.first(), Some(&missing), "{report:?}");
    assert!(report.faults.iter().all(|fault| fault.contains(&late.to_string())), "{report:?}");
    assert_eq!((report.removed.len(), report.recordings), (1, 1));
}

/// A recording that could not be closed when its session ended is bound by a second end, and by no third.
#[test]
fn files_are_bound_once() {
    let data = Data::new(1);
    let files = data.bound();
    data.log([(data.session, end(files.clone()))]);
    assert_eq!(data.faults(), Vec::<String>::new(), "the same again");
    let mut others = files;
    others[0].bytes += 1;
    data.log([(data.session, end(others))]);
    let faults = data.faults();
    assert!(faults[0].ends_with("entry 4 binds other files than entry 3 before it"), "{faults:?}");
    data.log([(data.session, end(Vec::new()))]);
    let faults = data.faults();
    assert!(faults[1].ends_with("entry 5 binds other files than entry 4 before it"), "{faults:?}");

    let data = Data::new(1);
    let (files, late) = (data.bound(), SessionId::new());
    let folder = |id: SessionId| data.folder.path().join("recordings").join(id.to_string());
    fs::rename(folder(data.session), folder(late)).unwrap();
    data.log([(late, start()), (late, end(Vec::new()))]);
    let faults: Vec<_> = data.faults().into_iter().filter(|f| f.contains(&late.to_string())).collect();
    let expected = "there is a closed recording, and the log binds none of its files";
    assert_eq!(faults, [format!("session {late}: {expected}")]);
    data.log([(late, end(files))]);
    assert!(!data.faults().iter().any(|fault| fault.contains(&late.to_string())), "{:?}", data.faults());
}

#[test]
fn an_end_without_a_start_is_found() {
    let data = Data::new(1);
    let (ended, removed) = (SessionId::new(), SessionId::new());
    data.log([(ended, end(Vec::new())), (removed, remove())]);
    let faults = data.faults();
    assert_eq!(faults.len(), 2, "{faults:?}");
    for (id, index) in [(ended, 3), (removed, 4)] {
        let expected = format!("session {id}: the log has entry {index} of it, and no start of the session");
        assert!(faults.contains(&expected), "{faults:?}");
    }
}

/// Whoever can write to the disk can add to a log, but not sign it.
#[test]
fn what_is_not_signed_excuses_nothing() {
    let data = Data::new(1);
    data.log_as(None, [(data.session, remove())]);
    assert_eq!(data.faults(), Vec::<String>::new(), "all of it is there");
    fs::remove_dir_all(data.recording("")).unwrap();
    let report = data.report();
    assert!(report.faults[0].ends_with("the entry that says it was removed is not signed"), "{report:?}");
    assert!(report.faults[1].ends_with("manifest.json is missing"), "{report:?}");
    assert!(report.removed.is_empty());
    // Signed while it is looked at, as by a server that runs.
    let faults = std::thread::scope(|scope| {
        let verifying = scope.spawn(|| data.faults());
        data.log([]);
        verifying.join().unwrap()
    });
    assert_eq!(faults, Vec::<String>::new());

    let data = Data::new(1);
    let id = SessionId::new();
    let root = data.folder.path().join("recordings");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let files = runtime.block_on(record(root, id, 1));
    data.log([(id, start())]);
    data.log_as(None, [(id, end(files))]);
    let report = data.report();
    assert_eq!((report.faults.len(), &*report.unsigned), (0, &[id][..]), "{report:?}");
    assert!(text(&report).contains("1 session with an end that is not signed yet"), "{}", text(&report));
}

#[test]
fn a_pipe_or_a_link_in_place_of_a_file_is_a_fault() {
    let data = Data::new(1);
    let (path, elsewhere) = (data.recording("meta.json"), data.folder.path().join("meta"));
    fs::rename(&path, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
    assert!(data.faults()[0].ends_with("meta.json cannot be read: not a plain file"), "{:?}", data.faults());
    fs::remove_file(&path).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    assert!(data.faults()[0].ends_with("meta.json cannot be read: not a plain file"), "{:?}", data.faults());
}
