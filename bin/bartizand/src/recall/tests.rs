//! An index that says what the log does not.

use bartizan_audit::{LogOptions, Origin};
use bartizan_model::event::{Body, Severity};
use bartizan_model::{NodeId, Timestamp};
use bartizan_store::IndexEntry;

use super::*;

fn removal(session: SessionId) -> Event {
    let body = Body::RecordingRemove { reason: "old".into(), bytes: 1, recording: Vec::new() };
    let event = Event::new(&NodeId("n".into()), Timestamp::now(), body);
    Event { session: Some(session), severity: Severity::Notice, ..event }
}

async fn index(store: &Store, index: u64, event: &Event) {
    let bytes = serde_json::to_vec(&Event { index: Some(index), ..event.clone() }).unwrap();
    store.apply(&[IndexEntry { index, bytes }]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_what_the_log_holds() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let origin: Origin = "test/recall".parse().unwrap();
    Log::create(&folder.path().join("log"), &origin).unwrap();
    let log = Log::open(&folder.path().join("log"), LogOptions::default()).unwrap().log;
    let [logged, forged] = std::array::from_fn(|_| SessionId::new());
    let event = removal(logged);
    log.submit(event.clone()).unwrap().await.unwrap();
    log.submit(removal(logged)).unwrap().await.unwrap();
    let newest = async |session| {
        newest(&log, &store, "recording.remove", session, 1).await.map(|mut newest| newest.pop())
    };
    assert!(newest(logged).await.unwrap().is_none(), "the index has nothing yet");

    index(&store, 0, &event).await;
    assert_eq!(newest(logged).await.unwrap().unwrap().time, event.time);
    assert!(newest(forged).await.unwrap().is_none());

    // Another session's in this place.
    index(&store, 1, &removal(forged)).await;
    assert!(newest(forged).await.unwrap_err().is_of_index());
    assert_eq!(newest(logged).await.unwrap().unwrap().time, event.time);
    // Behind the end of the log.
    index(&store, 2, &removal(forged)).await;
    assert!(newest(forged).await.unwrap_err().is_of_index());
    let found = places(&store, "recording.remove", None, 2).await.unwrap();
    assert_eq!(found, [(2, Some(forged)), (1, Some(forged))], "what the index says");
}
