//! A process that appends is killed at any moment, twenty times; each receipt it was given must hold.
//!
//! The test runs itself again as that process. It tells its receipts on standard output.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bartizan_audit::{Log, LogOptions, Reader};
use bartizan_model::event::{Body, Event};
use bartizan_model::{NodeId, Timestamp};

const DIR: &str = "BARTIZAN_TEST_KILL_DIR";
const FIRST: &str = "BARTIZAN_TEST_KILL_FIRST";

fn options() -> LogOptions {
    // Short segments: a kill should meet rotation and release, too.
    LogOptions { segment_bytes: 64 * 1024, ..LogOptions::default() }
}

/// Not a test by itself: the process that is killed.
#[test]
fn child_that_appends_until_it_is_killed() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let mut number: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let log = Log::open(Path::new(&dir), options()).unwrap().log;
    loop {
        let pending: Vec<_> = (number..number + 7)
            .map(|n| {
                let body = Body::Anomaly { what: "test".to_owned(), detail: n.to_string() };
                log.submit(Event::new(&NodeId("node-1".to_owned()), Timestamp::now(), body)).unwrap()
            })
            .collect();
        for pending in pending {
            let receipt = pending.wait_blocking().unwrap();
            // One write for each line, so that what was told was given.
            let line = format!("\nreceipt {} {number}\n", receipt.index());
            std::io::stdout().write_all(line.as_bytes()).unwrap();
            number += 1;
        }
    }
}

/// Starts the process, kills it after it has told `lines` receipts, and collects all it told.
fn append_and_kill(dir: &Path, first: u64, lines: usize, receipts: &mut BTreeMap<u64, u64>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child_that_appends_until_it_is_killed", "--nocapture"])
        .env(DIR, dir)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut receipt = || loop {
        let line = told.next()?.unwrap();
        if let Some(numbers) = line.strip_prefix("receipt ") {
            let (index, number) = numbers.split_once(' ').unwrap();
            return Some((index.parse::<u64>().unwrap(), number.parse::<u64>().unwrap()));
        }
    };
    let mut given = Vec::new();
    for _ in 0..lines {
        given.push(receipt().expect("the child ended by itself"));
    }
    // SIGKILL on Unix.
    child.kill().unwrap();
    given.extend(std::iter::from_fn(receipt));
    assert!(!child.wait().unwrap().success());
    for (index, number) in given {
        assert_eq!(receipts.insert(index, number), None, "index {index} was given twice");
    }
}

fn numbers(dir: &Path) -> Vec<u64> {
    let reader = Reader::open(dir).unwrap();
    let mut numbers = Vec::new();
    loop {
        let entries = reader.read(numbers.len() as u64, 1000).unwrap();
        if entries.is_empty() {
            return numbers;
        }
        for entry in entries {
            assert_eq!(entry.index, numbers.len() as u64);
            let Body::Anomaly { detail, .. } = entry.event().unwrap().body else { panic!("another event") };
            numbers.push(detail.parse().unwrap());
        }
    }
}

#[test]
fn no_receipt_is_broken_by_sigkill() {
    let folder = tempfile::tempdir().unwrap();
    let dir: PathBuf = folder.path().join("log");
    Log::create(&dir, &"example.com/node-1".parse().unwrap()).unwrap();
    let mut receipts = BTreeMap::new();
    let mut random: u64 = 0x2545_f491_4f6c_dd1d;
    for life in 0..20_u64 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        append_and_kill(&dir, life * 1_000_000, (random >> 33) as usize % 700, &mut receipts);

        let opened = Log::open(&dir, options()).unwrap();
        assert!(opened.recovery.head >= receipts.len() as u64);
        // While open, and after closing.
        let seen = numbers(&dir);
        opened.log.close().unwrap();
        assert_eq!(numbers(&dir), seen);
        for (index, number) in &receipts {
            assert_eq!(
                seen.get(*index as usize),
                Some(number),
                "the receipt for entry {index} in life {life}"
            );
        }
        assert!(seen.is_sorted_by(|a, b| a < b), "order, or twice, in life {life}");
    }
    assert!(receipts.len() > 3000, "only {} receipts", receipts.len());
}

#[test]
fn a_second_process_is_told_who_has_the_log() {
    let folder = tempfile::tempdir().unwrap();
    Log::create(folder.path(), &"example.com/node-1".parse().unwrap()).unwrap();
    let first = Log::open(folder.path(), options()).unwrap();
    let second = Log::open(folder.path(), options()).unwrap_err().to_string();
    let expected = format!(
        "another process has the audit log in {} open (pid {})",
        folder.path().display(),
        std::process::id()
    );
    assert_eq!(second, expected);
    drop(first);
    Log::open(folder.path(), options()).unwrap();
}

#[test]
fn files_are_private_and_a_wrong_path_is_said_to_be_one() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("log");
    let missing = Log::open(&dir, options()).unwrap_err().to_string();
    assert!(
        missing.starts_with(&format!("there is no audit log in {}. If there was one", dir.display())),
        "{missing}"
    );
    assert!(!dir.exists());
    Log::create(&dir, &"example.com/node-1".parse().unwrap()).unwrap();
    drop(Log::open(&dir, options()).unwrap());
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    assert_eq!(mode(&dir.join("log.json")), 0o600);
    for file in std::fs::read_dir(dir.join("journal")).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
    }
}
