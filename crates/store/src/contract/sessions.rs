//! The promises of [`IndexStore`] about sessions.

use std::net::SocketAddr;

use bartizan_model::event::{Body, Event, RECORDING_KEPT};
use bartizan_model::{SessionId, SessionState, Timestamp, Way};

use super::index::{end, entries, event, start};
use crate::{IndexEntry, IndexStore, SessionQuery};

/// `session.start` makes a live session, `session.end` ends it with its numbers.
pub async fn sessions_follow_their_events(store: impl IndexStore) {
    let (whole, cut, unknown) = (SessionId::new(), SessionId::new(), SessionId::new());
    let log = entries(&[
        start(1, whole, "alice", "web-1", "[::ffff:10.0.0.1]:5"),
        start(2, cut, "alice", "web-2", "10.0.0.2:6"),
        end(3, whole, false),
        end(4, cut, true),
        end(5, unknown, false),
    ]);
    store.apply(&log[..2]).await.unwrap();
    let live = store.session(&whole).await.unwrap().unwrap();
    assert_eq!((live.state, live.way, live.ended), (SessionState::Live, Way::ProxyJump, None));
    assert_eq!((live.person.as_str(), live.login.as_str(), live.target.as_str()), ("alice", "root", "web-1"));
    assert_eq!(live.source, "[::ffff:10.0.0.1]:5".parse::<SocketAddr>().unwrap());
    store.apply(&log[2..]).await.unwrap();

    let ended = store.session(&whole).await.unwrap().unwrap();
    assert_eq!((ended.state, ended.bytes_in, ended.bytes_out), (SessionState::Ended, 11, 22));
    assert_eq!((ended.exit_status, ended.reason.as_deref()), (Some(7), Some("client left")));
    assert_eq!(ended.ended, Some(Timestamp::from_unix_micros(3_000_000)));
    assert_eq!(store.session(&cut).await.unwrap().unwrap().state, SessionState::Truncated);
    assert_eq!(store.session(&unknown).await.unwrap(), None);
    assert_eq!((ended.break_glass, ended.removed), (false, None));

    let of = |id, body| Event { session: Some(id), ..event(8, body) };
    let glass = Body::BreakGlassStart { rules: Vec::new(), reason: "full".into(), recorded: false };
    let remove = Body::RecordingRemove { reason: "old".into(), bytes: 5, recording: Vec::new() };
    let more = [(5, of(whole, glass)), (6, of(cut, remove))];
    let more = more.map(|(index, event)| IndexEntry { index, bytes: serde_json::to_vec(&event).unwrap() });
    store.apply(&more).await.unwrap();
    let marked = store.session(&whole).await.unwrap().unwrap();
    assert_eq!((marked.break_glass, marked.removed), (true, None));
    let removed = store.session(&cut).await.unwrap().unwrap();
    assert_eq!((removed.break_glass, removed.removed), (false, Some(Timestamp::from_unix_micros(8_000_000))));
    for (index, what, removed) in [(7, "else", true), (8, RECORDING_KEPT, false)] {
        let withdrawn = of(cut, Body::Anomaly { what: what.into(), detail: String::new() });
        let bytes = serde_json::to_vec(&withdrawn).unwrap();
        store.apply(&[IndexEntry { index, bytes }]).await.unwrap();
        assert_eq!(store.session(&cut).await.unwrap().unwrap().removed.is_some(), removed, "{what}");
    }
}

/// Sessions come newest first; every filter narrows; pages join without gap or overlap.
pub async fn session_lists_are_filtered_and_paged(store: impl IndexStore) {
    let ids: Vec<_> = (0..6).map(|_| SessionId::new()).collect();
    let mut events: Vec<_> = (0..6)
        .map(|n| {
            let person = if n % 2 == 0 { "alice" } else { "bob" };
            let source = if n < 3 { "[::ffff:10.0.0.1]:5" } else { "[fd00::1]:5" };
            start(n as u64, ids[n], person, &format!("web-{n}"), source)
        })
        .collect();
    events.push(end(9, ids[0], false));
    store.apply(&entries(&events)).await.unwrap();
    let list = |query: SessionQuery| {
        let (store, ids) = (store.clone(), ids.clone());
        async move {
            let page = store.sessions(&query).await.unwrap();
            let number = |id| ids.iter().position(|i| *i == id).unwrap();
            (page.items.iter().map(|s| number(s.id)).collect::<Vec<_>>(), page.next)
        }
    };
    let all = SessionQuery::default;
    let at = |second: u64| Some(Timestamp::from_unix_micros(second * 1_000_000));
    for (query, expected) in [
        (all(), vec![5, 4, 3, 2, 1, 0]),
        (SessionQuery { person: Some("alice".parse().unwrap()), ..all() }, vec![4, 2, 0]),
        (SessionQuery { login: Some("root".parse().unwrap()), since: at(4), ..all() }, vec![5, 4]),
        (SessionQuery { login: Some("nobody".parse().unwrap()), ..all() }, vec![]),
        (SessionQuery { target: Some("web-3".parse().unwrap()), ..all() }, vec![3]),
        (SessionQuery { state: Some(SessionState::Live), until: at(2), ..all() }, vec![1]),
        (SessionQuery { state: Some(SessionState::Ended), ..all() }, vec![0]),
        (SessionQuery { source: Some("10.0.0.1".parse().unwrap()), ..all() }, vec![2, 1, 0]),
        (SessionQuery { source: Some("10.0.0.0/8".parse().unwrap()), ..all() }, vec![2, 1, 0]),
        (SessionQuery { source: Some("fd00::/8".parse().unwrap()), since: at(5), ..all() }, vec![5]),
        (SessionQuery { since: at(99), ..all() }, vec![]),
        (SessionQuery { id_prefix: Some(ids[3].to_string()), ..all() }, vec![3]),
        (SessionQuery { id_prefix: Some(ids[3].to_string()[..35].into()), ..all() }, vec![3]),
        (SessionQuery { id_prefix: Some("0".into()), ..all() }, vec![5, 4, 3, 2, 1, 0]),
        (SessionQuery { id_prefix: Some("%".into()), ..all() }, vec![]),
    ] {
        assert_eq!(list(query.clone()).await, (expected, None), "{query:?}");
    }
    let two = SessionQuery { limit: Some(4), ..all() };
    let (first, next) = list(two.clone()).await;
    assert_eq!(first, [5, 4, 3, 2]);
    assert_eq!(list(SessionQuery { after: next, ..two }).await, (vec![1, 0], None));
}

/// A network finds its sessions, the newest first and page by page, whether few came from it or most.
pub async fn sessions_of_a_network_are_in_order(store: impl IndexStore) {
    const SESSIONS: u64 = 5000;
    let is_rare = |n: u64| n.is_multiple_of(101);
    let events: Vec<_> = (0..SESSIONS)
        .map(|n| {
            let network = if is_rare(n) { 9 } else { 10 };
            start(
                n,
                SessionId::new(),
                "alice",
                "web-1",
                &format!("{network}.0.{}.{}:5", n / 256, 255 - n % 256),
            )
        })
        .collect();
    store.apply(&entries(&events)).await.unwrap();
    for (network, of) in [("10.0.0.0/8", false), ("9.0.0.0/8", true)] {
        let source = Some(network.parse().unwrap());
        let mut query = SessionQuery { source, limit: Some(700), ..SessionQuery::default() };
        let mut found = vec![];
        loop {
            let page = store.sessions(&query).await.unwrap();
            found.extend(page.items.iter().map(|session| session.started.unix_micros() / 1_000_000));
            query.after = page.next;
            if page.next.is_none() {
                break;
            }
        }
        let expected: Vec<u64> = (0..SESSIONS).rev().filter(|n| is_rare(*n) == of).collect();
        assert_eq!(found, expected, "{network}");
    }
}
