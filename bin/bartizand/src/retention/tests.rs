//! Retention on real recordings, a real log and a real index; time is a parameter.

use bartizan_audit::{LogOptions, Origin, Signer};
use bartizan_model::event::RECORDING_KEPT;
use bartizan_model::{Recording, Way};
use bartizan_record::{Options, SessionMeta, Stream};
use bartizan_sinks::IndexFollower;

use super::*;

const DAY: Duration = Duration::from_secs(86_400);

struct Data {
    janitor: Janitor,
    _stop: watch::Sender<bool>,
    folder: tempfile::TempDir,
}

impl Data {
    async fn new(rules: Rules) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let origin: Origin = "test/retention".parse().unwrap();
        Log::create(&folder.path().join("log"), &origin).unwrap();
        let signer = Some(Signer::from_seed(&origin, &[7; 32]).unwrap());
        let options = LogOptions { signer, ..LogOptions::default() };
        let log = Log::open(&folder.path().join("log"), options).unwrap().log;
        let follower = IndexFollower::start(store.clone(), &log).await.unwrap();
        let (indexed, stop) = (follower.indexed(), watch::Sender::new(false));
        tokio::spawn(follower.run(stop.subscribe()));
        let recordings = Recordings::open(folder.path().join("recordings"), Options::default()).unwrap();
        let (node, needed) = (NodeId("n".into()), never as fn(SessionId) -> bool);
        let janitor = Janitor { node, log, store, indexed, recordings, rules, needed };
        Self { janitor, _stop: stop, folder }
    }

    async fn append(&self, id: SessionId, body: Body) {
        let mut event = Event::new(&self.janitor.node, Timestamp::now(), body);
        event.session = Some(id);
        event.person = Some("alice".parse().unwrap());
        event.login = Some("root".parse().unwrap());
        event.target = Some("web-1".parse().unwrap());
        event.source = Some("10.0.0.1:5".parse().unwrap());
        self.janitor.log.submit(event).unwrap().await.unwrap();
    }

    /// A session with its recording; it has ended or it is live.
    async fn session(&self, ended: bool) -> SessionId {
        let id = SessionId::new();
        let (allow, way) = ("exec".parse().unwrap(), Way::UserName);
        let start = Body::SessionStart { way, allow, channel_cap: None, input: false, client: "x".into() };
        self.append(id, start).await;
        let meta = SessionMeta {
            session: id,
            started: Timestamp::now(),
            person: "alice".parse().unwrap(),
            login: "root".parse().unwrap(),
            target: "web-1".parse().unwrap(),
            way,
            source: "10.0.0.1:5".parse().unwrap(),
            node: self.janitor.node.clone(),
            client: "x".into(),
        };
        let recorder = self.janitor.recordings.begin(meta, Recording::default()).await.unwrap();
        recorder.open_channel(0, "session", Duration::ZERO);
        recorder.data(0, Stream::Output, Duration::ZERO, b"hello");
        if !ended {
            // Left as a live session is: open, without a manifest.
            std::mem::forget(recorder);
            return id;
        }
        let recording = recorder.finish(Duration::from_secs(1)).await.unwrap();
        let end = Body::SessionEnd {
            reason: "closed".into(),
            duration_us: 1,
            bytes_in: 0,
            bytes_out: 5,
            exit_status: None,
            truncated: false,
            recording,
        };
        self.append(id, end).await;
        id
    }

    fn there(&self, id: SessionId) -> bool {
        self.janitor.recordings.folder(id).exists()
    }

    async fn run_in(&mut self, later: Duration) -> u64 {
        let micros = Timestamp::now().unix_micros() + u64::try_from(later.as_micros()).unwrap();
        self.janitor.run(Timestamp::from_unix_micros(micros)).await.unwrap()
    }

    /// Sessions of `recording.remove` events, and what those say.
    fn removals(&self) -> Vec<(SessionId, String, usize)> {
        let entries = self.janitor.log.reader().read(0, 200).unwrap();
        let events = entries.iter().map(|entry| entry.event().unwrap());
        let removal = |event: Event| match event.body {
            Body::RecordingRemove { reason, bytes, recording } => {
                assert!(bytes > 0 && event.person.is_some() && event.severity == Severity::Notice);
                Some((event.session.unwrap(), reason, recording.len()))
            }
            _ => None,
        };
        events.filter_map(removal).collect()
    }
}

fn never(_: SessionId) -> bool {
    false
}

fn days(days: u32) -> Option<(String, Duration)> {
    Some((format!("{days}d"), DAY * days))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_old_goes_once_and_nothing_else() {
    let mut data = Data::new(Rules { keep: days(30), keep_size: None }).await;
    let (old, live) = (data.session(true).await, data.session(false).await);
    assert_eq!(data.run_in(DAY * 29).await, 0);
    assert!(data.there(old) && data.removals().is_empty());
    assert_eq!(data.run_in(DAY * 31).await, 1);
    assert!(!data.there(old) && data.there(live), "a live session keeps its recording however old it is");
    assert_eq!(data.janitor.log.stats().published, data.janitor.log.head(), "not before it is signed");
    let expected = [(old, "older than recordings.keep = 30d".to_owned(), 3)];
    assert_eq!(data.removals(), expected);
    assert_eq!(data.run_in(DAY * 31).await, 0);
    assert_eq!(data.removals().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_go_until_the_rest_is_small_enough() {
    let mut data = Data::new(Rules::default()).await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(data.session(true).await);
    }
    let live = data.session(false).await;
    let sizes: Vec<u64> = data.janitor.recordings.stored().unwrap().iter().map(|r| r.bytes).collect();
    assert_eq!(sizes.len(), 5);
    let room = sizes.iter().sum::<u64>() - sizes[0] - 1;
    data.janitor.rules.keep_size = Some(("little".into(), room));
    assert_eq!(data.run_in(Duration::ZERO).await, 2);
    let there: Vec<bool> = ids.iter().map(|id| data.there(*id)).collect();
    assert_eq!((there, data.there(live)), (vec![false, false, true, true], true));
    let removals = data.removals();
    assert_eq!(removals.iter().map(|r| r.0).collect::<Vec<_>>(), ids[..2]);
    assert!(removals[0].1.ends_with("more than recordings.keep_size = little"), "{}", removals[0].1);
    // Nothing is left that may go, and the live session's bytes stay.
    data.janitor.rules.keep_size = Some(("nothing".into(), 0));
    assert_eq!(data.run_in(Duration::ZERO).await, 2);
    assert!(data.there(live));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_archive_needs_or_the_log_does_not_know_stays() {
    let mut data = Data::new(Rules { keep: days(1), keep_size: Some(("0".into(), 0)) }).await;
    let needed = data.session(true).await;
    data.janitor.needed = |_| true;
    assert_eq!(data.run_in(DAY * 9).await, 0);
    assert!(data.there(needed));
    data.janitor.needed = never;
    // A folder that looks like a recording, of a session that is in no log.
    let forged = SessionId::new();
    let folder = data.janitor.recordings.folder(forged);
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("manifest.json"), "{}").unwrap();
    assert_eq!(data.run_in(DAY * 9).await, 1);
    assert!(!data.there(needed) && data.there(forged));
}

/// The process ends between the event and the removal, or in the middle of it: the next one finishes.
#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_was_interrupted_is_finished_without_a_second_event() {
    for half in [false, true] {
        let mut data = Data::new(Rules::default()).await;
        let id = data.session(true).await;
        let head = data.janitor.log.head();
        data.janitor.indexed.wait_for(|&next| next >= head).await.unwrap();
        let end = data.janitor.end(id).await.unwrap().unwrap();
        data.janitor.log_removal(end, "old".into(), 5, Timestamp::now()).await.unwrap();
        if half {
            std::fs::remove_file(data.janitor.recordings.folder(id).join("meta.json")).unwrap();
        }
        assert!(data.there(id));
        assert_eq!(data.run_in(Duration::ZERO).await, 0);
        assert!(!data.there(id));
        assert_eq!(data.removals().len(), 1);
    }
}

/// Damage to an old part of the log keeps what depends on it, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_log_cannot_be_read_about_stays_and_the_rest_goes() {
    let mut data = Data::new(Rules { keep: days(30), keep_size: None }).await;
    let (unread, gone, half) = (data.session(true).await, data.session(true).await, data.session(true).await);
    assert_eq!(data.run_in(Duration::ZERO).await, 0);
    for id in [gone, half] {
        let end = data.janitor.end(id).await.unwrap().unwrap();
        data.janitor.log_removal(end, "old".into(), 5, Timestamp::now()).await.unwrap();
    }
    data.janitor.recordings.remove(gone).unwrap();
    while data.janitor.log.head() < 256 {
        data.append(unread, Body::Anomaly { what: "x".into(), detail: String::new() }).await;
    }
    while data.janitor.log.stats().integrated < 256 {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    let bundle = data.folder.path().join("log/tile/entries/000");
    std::fs::write(&bundle, "damaged").unwrap();
    let whole = data.session(true).await;
    assert_eq!(data.run_in(DAY * 31).await, 1);
    assert!(data.there(unread) && data.there(half) && !data.there(whole));
}

/// A removal that no checkpoint held when a server ended removes nothing; the rules decide anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_is_withdrawn_is_not_finished() {
    let mut data = Data::new(Rules { keep: days(30), keep_size: None }).await;
    let id = data.session(true).await;
    assert_eq!(data.run_in(Duration::ZERO).await, 0);
    let end = data.janitor.end(id).await.unwrap().unwrap();
    data.janitor.log_removal(end, "old".into(), 5, Timestamp::now()).await.unwrap();
    data.append(id, Body::Anomaly { what: RECORDING_KEPT.into(), detail: String::new() }).await;
    assert_eq!(data.run_in(Duration::ZERO).await, 0);
    assert!(data.there(id));
    assert_eq!(data.run_in(DAY * 31).await, 1);
    assert!(!data.there(id));
    assert_eq!(data.removals().len(), 2);
}
