//! The follower against a real log and a real index.

use std::path::Path;
use std::sync::Mutex;

use bartizan_audit::{LogOptions, Origin};
use bartizan_model::event::{Body, Event};
use bartizan_model::{NodeId, SessionId, SessionSummary, Timestamp};
use bartizan_store::{EventQuery, IndexedEvent, Order, Page, SessionQuery, Store};

use super::*;

fn log(folder: &Path) -> Log {
    let dir = folder.join("log");
    if !dir.exists() {
        let origin: Origin = "test/log".parse().unwrap();
        Log::create(&dir, &origin).unwrap();
    }
    Log::open(&dir, LogOptions::default()).unwrap().log
}

async fn append(log: &Log, count: usize) {
    let event = |n: usize| {
        let body = Body::LogRead { query: n.to_string() };
        Event::new(&NodeId("n".into()), Timestamp::from_unix_micros(1), body)
    };
    let pending: Vec<_> = (0..count).map(|n| log.submit(event(n)).unwrap()).collect();
    for pending in pending {
        pending.await.unwrap();
    }
}

async fn positions(store: &impl IndexStore) -> Vec<u64> {
    let query = EventQuery { order: Order::OldestFirst, ..EventQuery::default() };
    store.events(&query).await.unwrap().items.iter().map(|event| event.index).collect()
}

/// A running follower; what it got to, and how to stop it.
fn spawn<S: IndexStore>(
    follower: IndexFollower<S>,
) -> (watch::Receiver<u64>, watch::Sender<bool>, tokio::task::JoinHandle<()>) {
    let (indexed, stop) = (follower.indexed(), watch::Sender::new(false));
    let task = tokio::spawn(follower.run(stop.subscribe()));
    (indexed, stop, task)
}

#[tokio::test]
async fn every_entry_is_in_the_index_once_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let mut total = 0;
    for count in [3, 700, 1] {
        let log = log(folder.path());
        let (mut indexed, stop, task) = spawn(IndexFollower::start(store.clone(), &log).await.unwrap());
        append(&log, count).await;
        total += count as u64;
        indexed.wait_for(|&next| next == total).await.unwrap();
        stop.send_replace(true);
        task.await.unwrap();
        log.close().unwrap();
    }
    assert_eq!(positions(&store).await, (0..total).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_follower_ends_with_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let log = log(folder.path());
    let (_indexed, _stop, task) = spawn(IndexFollower::start(store, &log).await.unwrap());
    log.close().unwrap();
    task.await.unwrap();
}

#[tokio::test]
async fn an_index_that_is_ahead_of_its_log_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let first = log(folder.path());
    let (mut indexed, stop, task) = spawn(IndexFollower::start(store.clone(), &first).await.unwrap());
    append(&first, 5).await;
    indexed.wait_for(|&next| next == 5).await.unwrap();
    stop.send_replace(true);
    task.await.unwrap();
    first.close().unwrap();

    let other = tempfile::tempdir().unwrap();
    let second = log(other.path());
    append(&second, 2).await;
    let (mut indexed, _stop, _task) = spawn(IndexFollower::start(store.clone(), &second).await.unwrap());
    indexed.wait_for(|&next| next == 2).await.unwrap();
    assert_eq!(positions(&store).await, [0, 1]);
}

#[tokio::test]
async fn an_index_of_another_log_that_is_longer_is_made_again() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = Store::open(folder.path()).await.unwrap();
    let first = log(folder.path());
    append(&first, 3).await;
    let (mut indexed, stop, task) = spawn(IndexFollower::start(store.clone(), &first).await.unwrap());
    indexed.wait_for(|&next| next == 3).await.unwrap();
    stop.send_replace(true);
    task.await.unwrap();

    let second = log(other.path());
    let body = Body::LogRead { query: "of another log".into() };
    let event = Event::new(&NodeId("other".into()), Timestamp::from_unix_micros(2), body);
    for _ in 0..5 {
        second.submit(event.clone()).unwrap().await.unwrap();
    }
    let (mut indexed, _stop, _task) = spawn(IndexFollower::start(store.clone(), &second).await.unwrap());
    indexed.wait_for(|&next| next == 5).await.unwrap();
    let events = store.events(&EventQuery::default()).await.unwrap().items;
    assert!(
        events.len() == 5 && events.iter().all(|event| event.json.contains("of another log")),
        "{events:?}"
    );
}

#[tokio::test]
async fn an_index_that_is_emptied_meanwhile_is_filled_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let log = log(folder.path());
    let (mut indexed, _stop, _task) = spawn(IndexFollower::start(store.clone(), &log).await.unwrap());
    append(&log, 300).await;
    indexed.wait_for(|&next| next == 300).await.unwrap();
    store.reset().await.unwrap();
    append(&log, 1).await;
    indexed.wait_for(|&next| next == 301).await.unwrap();
    assert_eq!(positions(&store).await, (0..301).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_index_that_is_asked_to_is_made_again_from_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let log = log(folder.path());
    let follower = IndexFollower::start(store.clone(), &log).await.unwrap();
    let progress = follower.progress();
    let (mut indexed, _stop, _task) = spawn(follower);
    append(&log, 300).await;
    indexed.wait_for(|&next| next == 300).await.unwrap();
    let whole = positions(&store).await;
    // Taken away behind everybody's back, and half of it put back; the follower has no reason to notice.
    store.reset().await.unwrap();
    let half = log.reader().read(0, 100).unwrap();
    let half: Vec<_> = half.into_iter().map(|e| IndexEntry { index: e.index, bytes: e.bytes }).collect();
    store.apply(&half).await.unwrap();
    assert_eq!((whole.len(), positions(&store).await.len()), (300, 100));
    for _ in 0..2 {
        assert!(progress.rebuild().await);
        indexed.wait_for(|&next| next == 300).await.unwrap();
        assert_eq!(positions(&store).await, whole);
    }
}

/// A store that refuses to apply, some times.
#[derive(Clone)]
struct Flaky {
    store: Store,
    refusals: Arc<Mutex<u32>>,
}

impl IndexStore for Flaky {
    async fn cursor(&self) -> Result<u64, StoreError> {
        self.store.cursor().await
    }
    async fn apply(&self, entries: &[IndexEntry]) -> Result<u64, StoreError> {
        let refused = {
            let mut refusals = self.refusals.lock().unwrap();
            let refused = *refusals > 0;
            *refusals = refusals.saturating_sub(1);
            refused
        };
        match refused {
            true => Err(StoreError::Gap { expected: 0, found: 0 }),
            false => self.store.apply(entries).await,
        }
    }
    async fn reset(&self) -> Result<(), StoreError> {
        self.store.reset().await
    }
    async fn sessions(&self, query: &SessionQuery) -> Result<Page<SessionSummary>, StoreError> {
        self.store.sessions(query).await
    }
    async fn session(&self, id: &SessionId) -> Result<Option<SessionSummary>, StoreError> {
        self.store.session(id).await
    }
    async fn events(&self, query: &EventQuery) -> Result<Page<IndexedEvent>, StoreError> {
        self.store.events(query).await
    }
    fn damage(&self) -> watch::Receiver<u64> {
        self.store.damage()
    }
}

#[tokio::test]
async fn a_store_that_fails_is_tried_again_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let flaky = Flaky { store, refusals: Arc::new(Mutex::new(2)) };
    let log = log(folder.path());
    let (mut indexed, _stop, _task) = spawn(IndexFollower::start(flaky.clone(), &log).await.unwrap());
    append(&log, 4).await;
    indexed.wait_for(|&next| next == 4).await.unwrap();
    assert_eq!(*flaky.refusals.lock().unwrap(), 0);
    assert_eq!(positions(&flaky).await, [0, 1, 2, 3]);
}

#[test]
fn pauses_grow_and_start_again_after_a_success() {
    let error = FollowError::Store(StoreError::Gap { expected: 0, found: 0 });
    let mut failures = Failures::default();
    let pauses: Vec<_> = (0..12).map(|_| failures.next(&error)).collect();
    assert_eq!(pauses[..3], [100, 200, 400].map(Duration::from_millis));
    assert_eq!(pauses[11], LONGEST_PAUSE);
    failures.over();
    assert_eq!(failures.next(&error), FIRST_PAUSE);
}
