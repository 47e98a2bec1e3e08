//! A disk that refuses, under a real SQLite: system calls of a process of its own are made to fail one after the other.
//!
//! SQLite writes its files itself, so no disk of ours can stand in between; `strace` does. A write fails before it has
//! its effect; a sync that fails comes after the writes before it had theirs; a process that is killed leaves what it
//! had written. Whatever happens: what was acknowledged is there, nothing is there by halves, the index is a beginning
//! of the log, and the next process goes on.

use std::path::Path;
use std::process::Command;

use bartizan_model::event::{Body, Event};
use bartizan_model::{NodeId, Timestamp};

use super::Store;
use crate::contract::{entries, key, person};
use crate::{DirectoryStore as _, EventQuery, IndexEntry, IndexStore as _, Order};

/// Changes of the directory that the process makes, each followed by entries for the index.
const CHANGES: u8 = 8;
const ENTRIES: u64 = 5;
/// Failures of one kind that are tried without `BARTIZAN_FAULTS=all`, spread over all calls there are.
const TRIES: usize = 12;
const FOLDER: &str = "BARTIZAN_FAULTS_FOLDER";

/// Which calls go wrong, how, and whether all that follow do, too.
struct Fault {
    calls: &'static str,
    how: &'static str,
    lasting: bool,
}

const FAULTS: [Fault; 5] = [
    Fault { calls: "pwrite64,write", how: "error=EIO", lasting: false },
    Fault { calls: "pwrite64,write", how: "error=ENOSPC", lasting: true },
    Fault { calls: "fdatasync,fsync", how: "error=EIO", lasting: false },
    Fault { calls: "ftruncate,unlink,openat", how: "error=EIO", lasting: false },
    Fault { calls: "pwrite64,write,fdatasync,fsync", how: "signal=SIGKILL", lasting: false },
];

fn log() -> Vec<IndexEntry> {
    let event = |n: u64| {
        let body = Body::Anomaly { what: "said".into(), detail: format!("word-{n} common") };
        Event::new(&NodeId("n1".into()), Timestamp::from_unix_micros(n * 1_000_000), body)
    };
    entries(&(0..u64::from(CHANGES) * ENTRIES).map(event).collect::<Vec<_>>())
}

/// The process whose disk refuses; says what was acknowledged.
#[tokio::test]
#[ignore = "a process of `every_call_may_fail`"]
async fn process() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let Ok(store) = Store::open(Path::new(&folder)).await else { return };
    let log = log();
    for n in 0..CHANGES {
        let name = format!("p{n}");
        if store.add_person(&person(&name), &[key(&name, n)]).await.is_ok() {
            println!("\nadded {n}");
        }
        // As the follower does: from where the index is, and what fails is tried again later.
        let Ok(next) = store.cursor().await else { continue };
        let until = (u64::from(n) + 1) * ENTRIES;
        if let Ok(next) = store.apply(&log[next as usize..until as usize]).await {
            println!("\nindexed {next}");
        }
    }
    store.close().await;
}

/// Runs the process; gives what it said, how many calls it made, and whether one went wrong or killed it.
fn run(folder: &Path, calls: &str, inject: Option<String>) -> (String, usize, bool) {
    let trace = folder.join("trace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qqq", "-e", "signal=none", "-e", &format!("trace={calls}"), "-o"]).arg(&trace);
    for file in [Store::DIRECTORY_FILE, Store::INDEX_FILE] {
        for suffix in ["", "-wal", "-journal"] {
            strace.arg("-P").arg(format!("{}{suffix}", folder.join(file).display()));
        }
    }
    if let Some(inject) = inject {
        strace.args(["-e", &inject]);
    }
    strace.arg(std::env::current_exe().unwrap());
    strace.args(["--exact", "sqlite::faults::process", "--ignored", "--nocapture"]).env(FOLDER, folder);
    let said = strace.output().unwrap();
    let trace = std::fs::read_to_string(trace).unwrap();
    // strace ends as the process does.
    let hit = trace.contains("(INJECTED)") || said.status.code().is_none();
    (String::from_utf8_lossy(&said.stdout).into_owned(), trace.lines().count(), hit)
}

/// The last number after a word, or all of them.
fn numbers(said: &str, word: &str) -> Vec<u64> {
    said.lines().filter_map(|line| line.strip_prefix(word)?.trim().parse().ok()).collect()
}

#[tokio::test]
async fn every_call_may_fail() {
    if Command::new("strace").arg("-V").output().is_err() {
        eprintln!("skipped: strace is not installed");
        return;
    }
    let all = std::env::var_os("BARTIZAN_FAULTS").is_some_and(|value| value == "all");
    for Fault { calls, how, lasting } in FAULTS {
        let folder = tempfile::tempdir().unwrap();
        let (said, count, _) = run(folder.path(), calls, None);
        assert_eq!(numbers(&said, "added").len(), usize::from(CHANGES), "{said}");
        assert!(count > 0, "{calls}: no such call");
        let step = if all { 1 } else { count.div_ceil(TRIES) };
        let mut hits = 0;
        for at in (1..=count).step_by(step) {
            let folder = tempfile::tempdir().unwrap();
            let on = if lasting { "+" } else { "" };
            let inject = format!("inject={calls}:{how}:when={at}{on}");
            let (said, _, hit) = run(folder.path(), calls, Some(inject.clone()));
            hits += usize::from(hit);
            check(folder.path(), &said, &inject).await;
        }
        assert!(hits > 0, "{calls} {how}: none of {count} calls went wrong");
    }
}

/// What the next process finds.
async fn check(folder: &Path, said: &str, fault: &str) {
    let store = Store::open(folder).await.unwrap_or_else(|e| panic!("{fault}: {e}"));
    let data = store.snapshot().await.unwrap();
    let there: Vec<String> = data.people.iter().map(|person| person.name.to_string()).collect();
    for n in numbers(said, "added") {
        assert!(there.contains(&format!("p{n}")), "{fault}: p{n} was acknowledged: {there:?}");
    }
    assert_eq!((data.keys.len(), data.generation), (there.len(), there.len() as u64), "{fault}: by halves");
    let cursor = store.cursor().await.unwrap();
    let acknowledged = numbers(said, "indexed").last().copied().unwrap_or(0);
    assert!(cursor >= acknowledged, "{fault}: {cursor} of {acknowledged} events");
    assert_eq!(events(&store, None).await, (0..cursor).collect::<Vec<_>>(), "{fault}");
    assert_eq!(events(&store, Some("common")).await, (0..cursor).collect::<Vec<_>>(), "{fault}");
    // The next process goes on, with the directory and with the index.
    let log = log();
    store.apply(&log[cursor as usize..]).await.unwrap();
    assert_eq!(events(&store, Some("common anomaly")).await.len(), log.len(), "{fault}");
    assert_eq!(events(&store, Some("word-7")).await, [7], "{fault}");
    store.add_person(&person("next"), &[]).await.unwrap();
    for mut reader in [store.reader().await.unwrap(), store.index_reader().await.unwrap()] {
        let integrity: String =
            sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut *reader).await.unwrap();
        assert_eq!(integrity, "ok", "{fault}");
    }
    store.close().await;
}

async fn events(store: &Store, text: Option<&str>) -> Vec<u64> {
    let text = text.map(|text| text.parse().unwrap());
    let query = EventQuery { text, order: Order::OldestFirst, ..EventQuery::default() };
    store.events(&query).await.unwrap().items.iter().map(|event| event.index).collect()
}
