//! Measures what the index costs: `cargo run --release -p bartizan-store --example index`.
//!
//! Every session makes about ten events, and the machine that carries sessions also keeps their index.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement for people to read")]

use std::time::Instant;

use bartizan_model::event::{Body, Event};
use bartizan_model::{NodeId, SessionId, Timestamp, Way};
use bartizan_store::{EventQuery, IndexEntry, IndexStore as _, SessionQuery, Store};

const EVENTS: u64 = 50_000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    for batch in [1, 10, 256] {
        let path = folder.path().join(batch.to_string());
        std::fs::create_dir(&path).unwrap();
        let store = Store::open(&path).await.unwrap();
        let entries: Vec<IndexEntry> = (0..EVENTS.min(batch * 2000)).map(entry).collect();
        let before = cpu_seconds();
        for batch in entries.chunks(batch as usize) {
            store.apply(batch).await.unwrap();
        }
        let cpu = (cpu_seconds() - before) * 1e6 / entries.len() as f64;
        println!("{batch:>4} events a transaction: {cpu:>6.1} µs of CPU an event");
        if entries.len() as u64 == EVENTS {
            queries(&store).await;
        }
        store.close().await;
        println!(
            "     {} bytes of database an event",
            std::fs::metadata(&path).unwrap().len() / entries.len() as u64
        );
    }
}

/// User and system time of this process (proc(5): the clock ticks a hundred times a second).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

async fn queries(store: &Store) {
    let page = || EventQuery { limit: Some(100), ..EventQuery::default() };
    for (name, query) in [
        ("newest", page()),
        ("by type", EventQuery { kind: Some("session.start".into()), ..page() }),
        ("by person", EventQuery { person: Some("person-7".parse().unwrap()), ..page() }),
        ("text found nowhere", EventQuery { text: Some("no such words".parse().unwrap()), ..page() }),
    ] {
        let start = Instant::now();
        let found = store.events(&query).await.unwrap().items.len();
        println!("     {EVENTS} events, {name}: {found} in {:.2?}", start.elapsed());
    }
    let start = Instant::now();
    let query = SessionQuery { limit: Some(100), ..SessionQuery::default() };
    let found = store.sessions(&query).await.unwrap().items.len();
    println!("     sessions, newest: {found} in {:.2?}", start.elapsed());
}

fn entry(index: u64) -> IndexEntry {
    let time = Timestamp::from_unix_micros(1_795_854_600_000_000 + index);
    let body = match index % 10 {
        0 => Body::SessionStart {
            way: Way::ProxyJump,
            allow: "shell,exec,scp".parse().unwrap(),
            channel_cap: Some(1 << 20),
            input: false,
            client: "SSH-2.0-OpenSSH_10.0".into(),
        },
        _ => Body::Command {
            channel: 0,
            request: "exec".into(),
            command: format!("tar -C /srv/www-{index} -czf - . | wc -c"),
            length: 40,
            sha256: None,
            pty: false,
        },
    };
    let mut event = Event::new(&NodeId("node-1".into()), time, body);
    event.index = Some(index);
    event.person = Some(format!("person-{}", index % 100).parse().unwrap());
    event.login = Some("root".parse().unwrap());
    event.target = Some(format!("web-{}", index % 30).parse().unwrap());
    event.session = Some(SessionId::new());
    event.source = Some("10.0.0.1:40000".parse().unwrap());
    IndexEntry { index, bytes: serde_json::to_vec(&event).unwrap() }
}
