//! The promises of [`IndexStore`].

use bartizan_model::event::{Body, Event, Outcome, Severity};
use bartizan_model::{NodeId, SessionId, Timestamp, Way};

use crate::{EventQuery, IndexEntry, IndexStore, Order, SessionQuery, StoreError};

pub(super) fn event(second: u64, body: Body) -> Event {
    Event::new(&NodeId("n1".into()), Timestamp::from_unix_micros(second * 1_000_000), body)
}

fn anomaly(second: u64, what: &str, detail: &str) -> Event {
    event(second, Body::Anomaly { what: what.into(), detail: detail.into() })
}

fn in_session(mut event: Event, id: SessionId, person: &str, target: &str, source: &str) -> Event {
    event.session = Some(id);
    event.person = Some(person.parse().unwrap());
    event.login = Some("root".parse().unwrap());
    event.target = Some(target.parse().unwrap());
    event.source = Some(source.parse().unwrap());
    event
}

pub(crate) fn start(second: u64, id: SessionId, person: &str, target: &str, source: &str) -> Event {
    let allow = "shell".parse().unwrap();
    let body = Body::SessionStart {
        way: Way::ProxyJump,
        allow,
        channel_cap: None,
        input: false,
        client: "SSH-2.0-OpenSSH".into(),
    };
    in_session(event(second, body), id, person, target, source)
}

pub(super) fn end(second: u64, id: SessionId, truncated: bool) -> Event {
    let body = Body::SessionEnd {
        reason: "client left".into(),
        duration_us: 5,
        bytes_in: 11,
        bytes_out: 22,
        exit_status: Some(7),
        truncated,
        recording: vec![],
    };
    Event { session: Some(id), ..event(second, body) }
}

/// The entries of a log that holds `events`, from its start.
pub fn entries(events: &[Event]) -> Vec<IndexEntry> {
    let entry = |(index, event): (u64, &Event)| {
        let event = Event { index: Some(index), ..event.clone() };
        IndexEntry { index, bytes: serde_json::to_vec(&event).unwrap() }
    };
    (0..).zip(events).map(entry).collect()
}

async fn found(store: &impl IndexStore, query: &EventQuery) -> Vec<u64> {
    store.events(query).await.unwrap().items.iter().map(|event| event.index).collect()
}

/// The cursor is the next entry's position, and every entry before it is found byte for byte.
pub async fn the_cursor_moves_with_the_entries(store: impl IndexStore) {
    assert_eq!(store.cursor().await.unwrap(), 0);
    let log = entries(&[anomaly(1, "a", "first"), anomaly(2, "b", "second"), anomaly(3, "c", "third")]);
    assert_eq!(store.apply(&log[..2]).await.unwrap(), 2);
    assert_eq!(store.apply(&[]).await.unwrap(), 2);
    assert_eq!(store.apply(&log[2..]).await.unwrap(), 3);
    assert_eq!(store.cursor().await.unwrap(), 3);
    let oldest_first = EventQuery { order: Order::OldestFirst, ..EventQuery::default() };
    let page = store.events(&oldest_first).await.unwrap();
    let json: Vec<_> = page.items.into_iter().map(|event| event.json.into_bytes()).collect();
    assert_eq!(json, log.into_iter().map(|entry| entry.bytes).collect::<Vec<_>>());
    assert_eq!(page.next, None);
}

/// Entries that are in the index already are skipped.
pub async fn a_batch_may_come_again(store: impl IndexStore) {
    let id = SessionId::new();
    let log =
        entries(&[start(1, id, "alice", "web-1", "10.0.0.1:5"), end(2, id, false), anomaly(3, "x", "y")]);
    store.apply(&log[..2]).await.unwrap();
    let ended = store.session(&id).await.unwrap();
    assert_eq!(store.apply(&log[..1]).await.unwrap(), 2);
    assert_eq!(store.session(&id).await.unwrap(), ended, "a repeated start revives nothing");
    assert_eq!(store.apply(&log).await.unwrap(), 3);
    assert_eq!(found(&store, &EventQuery::default()).await, [2, 1, 0]);
}

/// An entry left out is an error, and none of its batch is applied.
pub async fn a_gap_is_refused_and_changes_nothing(store: impl IndexStore) {
    let log = entries(&[anomaly(1, "a", ""), anomaly(2, "b", ""), anomaly(3, "c", "")]);
    let error = store.apply(&[log[0].clone(), log[2].clone()]).await.unwrap_err();
    assert!(matches!(error, StoreError::Gap { expected: 1, found: 2 }), "{error:?}");
    assert_eq!(store.cursor().await.unwrap(), 0);
    assert_eq!(found(&store, &EventQuery::default()).await, [0; 0]);
    assert_eq!(store.apply(&log).await.unwrap(), 3);
}

/// Every filter of an event search narrows it, and several together are all met.
pub async fn event_searches_are_filtered(store: impl IndexStore) {
    let id = SessionId::new();
    let mut denied = in_session(
        event(3, Body::LogRead { query: "x".into() }),
        SessionId::new(),
        "bob",
        "db-1",
        "[fd00::1]:9",
    );
    (denied.severity, denied.outcome) = (Severity::Warning, Outcome::Denied);
    let mut failed = anomaly(4, "odd", "");
    (failed.severity, failed.outcome) = (Severity::High, Outcome::Failure);
    store
        .apply(&entries(&[
            start(1, id, "alice", "web-1", "10.0.0.1:5"),
            end(2, id, false),
            denied,
            failed,
            event(5, Body::ServerStop { reason: "asked to".into() }),
        ]))
        .await
        .unwrap();
    let all = EventQuery::default;
    let at = |second: u64| Some(Timestamp::from_unix_micros(second * 1_000_000));
    for (query, expected) in [
        (EventQuery { kind: Some("session.start".into()), ..all() }, vec![0]),
        (EventQuery { kind: Some("session.".into()), ..all() }, vec![1, 0]),
        (EventQuery { kind: Some("session".into()), ..all() }, vec![]),
        (EventQuery { kind: Some("%.".into()), ..all() }, vec![]),
        (EventQuery { person: Some("bob".parse().unwrap()), ..all() }, vec![2]),
        (EventQuery { login: Some("root".parse().unwrap()), ..all() }, vec![2, 0]),
        (EventQuery { target: Some("web-1".parse().unwrap()), ..all() }, vec![0]),
        (EventQuery { session: Some(id), ..all() }, vec![1, 0]),
        (EventQuery { source: Some("fd00::1".parse().unwrap()), ..all() }, vec![2]),
        (EventQuery { source: Some("::ffff:10.0.0.1".parse().unwrap()), ..all() }, vec![0]),
        (EventQuery { source: Some("10.0.0.0/8".parse().unwrap()), ..all() }, vec![0]),
        (EventQuery { source: Some("8.0.0.0/6".parse().unwrap()), ..all() }, vec![0]),
        (EventQuery { source: Some("10.0.1.0/24".parse().unwrap()), ..all() }, vec![]),
        (EventQuery { source: Some("::/0".parse().unwrap()), ..all() }, vec![2]),
        (EventQuery { severity: Some(Severity::Info), ..all() }, vec![4, 3, 2, 1, 0]),
        (EventQuery { person: Some("Bob".parse().unwrap()), ..all() }, vec![]),
        (
            EventQuery { person: Some("bob".parse().unwrap()), outcome: Some(Outcome::Success), ..all() },
            vec![],
        ),
        (
            EventQuery {
                person: Some("bob".parse().unwrap()),
                login: Some("root".parse().unwrap()),
                source: Some("fd00::/8".parse().unwrap()),
                kind: Some("log.".into()),
                text: Some("x".parse().unwrap()),
                until: at(4),
                ..all()
            },
            vec![2],
        ),
        (EventQuery { severity: Some(Severity::Warning), ..all() }, vec![3, 2]),
        (EventQuery { outcome: Some(Outcome::Denied), ..all() }, vec![2]),
        (EventQuery { since: at(3), until: at(5), ..all() }, vec![3, 2]),
        (EventQuery { since: at(3), person: Some("alice".parse().unwrap()), ..all() }, vec![]),
    ] {
        assert_eq!(found(&store, &query).await, expected, "{query:?}");
    }
}

/// Pages join without gap or overlap in both orders, and no page is larger than the largest.
pub async fn event_searches_are_paged_both_ways(store: impl IndexStore) {
    let events: Vec<_> = (0..10).map(|n| anomaly(n, "tick", "")).collect();
    store.apply(&entries(&events)).await.unwrap();
    for (order, expected) in
        [(Order::OldestFirst, (0..10).collect::<Vec<u64>>()), (Order::NewestFirst, (0..10).rev().collect())]
    {
        let mut query = EventQuery { order, limit: Some(3), ..EventQuery::default() };
        let mut all = vec![];
        loop {
            let page = store.events(&query).await.unwrap();
            assert!(page.items.len() <= 3);
            all.extend(page.items.iter().map(|event| event.index));
            query.after = page.next;
            if page.next.is_none() {
                break;
            }
        }
        assert_eq!(all, expected);
    }
    let last = EventQuery { order: Order::OldestFirst, after: Some(9), ..EventQuery::default() };
    assert_eq!(store.events(&last).await.unwrap().next, None, "a follower that has all finds no more");
    let none = EventQuery { limit: Some(0), ..EventQuery::default() };
    assert_eq!(found(&store, &none).await.len(), 1, "a page holds one item at least");
}

/// Words, beginnings of words and texts are found in any value, whatever the case; wildcards and signs mean themselves.
pub async fn texts_are_found_as_they_are(store: impl IndexStore) {
    let texts = [
        "rm -rf \"/srv/Größe\"",
        "100% sure",
        "1000 sure",
        "a_b",
        "aXb root@web-1",
        "back\\slash",
        "'; DROP TABLE events",
        "10.0.0.5:22 SHA256:q9Zb/c+d",
        "rf -rm nginx.conf",
    ];
    let events: Vec<_> = texts.iter().map(|text| anomaly(1, "said", text)).collect();
    store.apply(&entries(&events)).await.unwrap();
    for (text, expected) in [
        ("srv rm", vec![0]),
        ("rm rf", vec![8, 0]),
        ("-rf", vec![0]),
        ("\"rm -rf\"", vec![0]),
        ("RM -RF /srv/grÖße", vec![0]),
        ("rm -rf grÖSSE", vec![]),
        ("100%", vec![1]),
        ("100*", vec![2, 1]),
        ("sure said", vec![2, 1]),
        ("a_b", vec![3]),
        ("AXB", vec![4]),
        ("web-1", vec![4]),
        ("root@web*", vec![4]),
        ("\"root web\"", vec![]),
        ("back\\slash", vec![5]),
        ("slash", vec![5]),
        ("'; drop", vec![6]),
        ("dr* tab*", vec![6]),
        ("10.0.0.5", vec![7]),
        ("10.0.0", vec![]),
        ("10.0.*", vec![7]),
        ("SHA256:Q9zb/C+D", vec![7]),
        ("nginx conf", vec![8]),
        ("nginx.co", vec![]),
        ("/nginx", vec![]),
        ("anomaly", vec![8, 7, 6, 5, 4, 3, 2, 1, 0]),
        ("severity", vec![]),
        ("p=alice", vec![]),
    ] {
        let Ok(parsed) = text.parse() else { panic!("{text}") };
        let query = EventQuery { text: Some(parsed), ..EventQuery::default() };
        assert_eq!(found(&store, &query).await, expected, "{text}");
    }
}

/// The beginning of a word finds words, and not what an event is filtered by, also where it is a single letter.
pub async fn a_letter_finds_words_that_begin_so(store: impl IndexStore) {
    let words = anomaly(0, "zoo", "aunt king lime oil pear sea tea vine");
    // So many that they are not only looked at; each has every filter's term, and no such word.
    let mut events = vec![words];
    events.extend((1..=600).map(|n| {
        let event = event(n, Body::SessionTerminate { reason: "x".into(), by: "x".into() });
        let event = in_session(event, SessionId::new(), "x", "x", "10.0.0.1:5");
        Event { severity: Severity::High, login: Some("x".parse().unwrap()), ..event }
    }));
    store.apply(&entries(&events)).await.unwrap();
    for letter in ["a", "k", "l", "o", "p", "v", "z"] {
        let text = Some(format!("{letter}*").parse().unwrap());
        let query = EventQuery { text, ..EventQuery::default() };
        assert_eq!(found(&store, &query).await, [0], "{letter}*");
        let query = EventQuery { kind: Some("session.".into()), ..query };
        assert_eq!(found(&store, &query).await, [0; 0], "{letter}* in sessions");
    }
}

/// Pages of a search whose events must be looked at join without gap or overlap, however few each holds.
pub async fn pages_of_what_is_looked_at_join(store: impl IndexStore) {
    // What is looked for is spread thinly and unevenly, so that one page cannot look at all that might be it.
    let is_rare = |n: u64| n < 40 || n.is_multiple_of(997);
    let said =
        |n: u64| if is_rare(n) { format!("common rare-{n} thing") } else { format!("rare common {n}") };
    let events: Vec<_> = (0..6000).map(|n| anomaly(n, "said", &said(n))).collect();
    for batch in entries(&events).chunks(1000) {
        store.apply(batch).await.unwrap();
    }
    let expected: Vec<u64> = (0..6000).filter(|n| is_rare(*n)).collect();
    for text in ["common rare-*", "\"common rare\" thing", "thing common rare-*", "\"common rare\" rare*"] {
        for order in [Order::OldestFirst, Order::NewestFirst] {
            let text = Some(text.parse().unwrap());
            let mut query = EventQuery { text, order, limit: Some(7), ..EventQuery::default() };
            let (mut all, mut pages) = (vec![], 0);
            loop {
                let page = store.events(&query).await.unwrap();
                all.extend(page.items.iter().map(|event| event.index));
                assert!(page.items.len() <= 7);
                (query.after, pages) = (page.next, pages + 1);
                if page.next.is_none() {
                    break;
                }
            }
            if order == Order::NewestFirst {
                all.reverse();
            }
            assert_eq!(all, expected, "{query:?}");
            assert!(pages < 20, "{pages} pages for {query:?}");
        }
    }
}

/// A clock that goes back hides nothing from a search by time.
pub async fn times_are_found_although_a_clock_goes_back(store: impl IndexStore) {
    let second = |n: u64| if (2000..2100).contains(&n) { n - 1500 } else { n };
    let events: Vec<_> = (0..4000).map(|n| anomaly(second(n), "tick", "")).collect();
    for batch in entries(&events).chunks(1500) {
        store.apply(batch).await.unwrap();
    }
    let at = |second: u64| Some(Timestamp::from_unix_micros(second * 1_000_000));
    for (since, until) in [(0, 1), (499, 601), (550, 560), (1999, 2101), (3999, 9999), (5000, 6000), (0, 0)] {
        let query = EventQuery {
            since: at(since),
            until: at(until),
            kind: Some("anomaly".into()),
            order: Order::OldestFirst,
            ..EventQuery::default()
        };
        let expected: Vec<u64> = (0..4000).filter(|n| (since..until).contains(&second(*n))).collect();
        assert_eq!(found(&store, &query).await, expected, "{since} to {until}");
    }
}

/// The index holds every entry of the log, also one that this program does not understand.
pub async fn unknown_and_broken_entries_are_found(store: impl IndexStore) {
    let entry = |index, bytes: &[u8]| IndexEntry { index, bytes: bytes.into() };
    let unknown =
        br#"{"v":2,"type":"moon.phase","person":"alice","time":"2026-11-21T08:30:00Z","z":"\u0000"}"#;
    store.apply(&[entry(0, unknown), entry(1, b"\xff{"), entry(2, b"{}")]).await.unwrap();
    let kind = |kind: &str| EventQuery { kind: Some(kind.into()), ..EventQuery::default() };
    assert_eq!(found(&store, &kind("moon.phase")).await, [0]);
    assert_eq!(found(&store, &kind("unreadable")).await, [2, 1]);
    let person = EventQuery { person: Some("alice".parse().unwrap()), ..EventQuery::default() };
    assert_eq!(found(&store, &person).await, [0]);
}

/// After a reset the same log gives the same index.
pub async fn the_index_is_rebuilt_from_zero(store: impl IndexStore) {
    let id = SessionId::new();
    let log =
        entries(&[start(1, id, "alice", "web-1", "10.0.0.1:5"), anomaly(2, "x", "y"), end(3, id, true)]);
    let all = (EventQuery::default(), SessionQuery::default());
    store.apply(&log).await.unwrap();
    let before = (store.events(&all.0).await.unwrap(), store.sessions(&all.1).await.unwrap());
    store.reset().await.unwrap();
    assert_eq!(store.cursor().await.unwrap(), 0);
    assert!(store.sessions(&all.1).await.unwrap().items.is_empty());
    assert_eq!(store.session(&id).await.unwrap(), None);
    store.apply(&log).await.unwrap();
    assert_eq!((store.events(&all.0).await.unwrap(), store.sessions(&all.1).await.unwrap()), before);
}
