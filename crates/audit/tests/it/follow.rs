//! Readers of another process follow a log while it is written, over segments and bundles that come and go.

use bartizan_audit::{Log, LogOptions, Reader};
use bartizan_model::event::{Body, Event};
use bartizan_model::{NodeId, Timestamp};

const EVENTS: u64 = 20_000;

fn event(n: u64) -> Event {
    let body = Body::Anomaly { what: "test".to_owned(), detail: n.to_string() };
    Event::new(&NodeId("node-1".to_owned()), Timestamp::from_unix_micros(n), body)
}

/// Reads until all events were seen, once each and in order.
fn follow(reader: &Reader) {
    let mut next = 0;
    while next < EVENTS {
        let entries = reader.read(next, 100).unwrap();
        if entries.is_empty() {
            std::thread::yield_now();
        }
        for entry in entries {
            assert_eq!(entry.index, next);
            assert_eq!(entry.event().unwrap(), Event { index: Some(next), ..event(next) });
            next += 1;
        }
    }
    assert_eq!(reader.head().unwrap(), EVENTS);
}

#[test]
fn readers_see_each_event_once_while_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("log");
    Log::create(&dir, &"example.com/node-1".parse().unwrap()).unwrap();
    let options = LogOptions { segment_bytes: 100 * 1024, ..LogOptions::default() };
    let log = Log::open(&dir, options).unwrap().log;
    std::thread::scope(|scope| {
        // As another process would, and as followers in this one do.
        scope.spawn(|| follow(&Reader::open(&dir).unwrap()));
        scope.spawn(|| follow(&log.reader()));
        let mut next = 0;
        while next < EVENTS {
            // Group commits of different sizes.
            let group = next % 37 + 1;
            let pending: Vec<_> =
                (next..EVENTS.min(next + group)).map(|n| log.submit(event(n)).unwrap()).collect();
            next += pending.len() as u64;
            for pending in pending {
                pending.wait_blocking().unwrap();
            }
        }
    });
    log.close().unwrap();
    follow(&Reader::open(&dir).unwrap());
}
