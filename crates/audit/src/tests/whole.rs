//! Appending, reading along, limits, locks.

use super::sim::{Fault, SimDisk};
use super::*;
use crate::error::{LogError, ReadError};
use crate::integrate::Integrator;
use crate::layout::entries_path;
use crate::writer::Tail;

#[test]
fn bundles_hold_the_entries_in_the_format_of_tlog_tiles() {
    let disk = SimDisk::new();
    let log = new_log(&disk);
    let pending: Vec<_> = (0..600).map(|n| log.submit(event(n)).unwrap()).collect();
    for (n, pending) in (0..).zip(pending) {
        assert_eq!(pending.wait_blocking().unwrap().index(), n);
    }
    assert_eq!(log.head(), 600);
    log.close().unwrap();

    let reader = Reader::over(Arc::new(disk.clone()), dir()).unwrap();
    assert_eq!(reader.origin().unwrap().to_string(), "example.com/node-1");
    for n in 0..2 {
        let bytes = reader.bundle(n).unwrap().unwrap();
        let mut rest = &bytes[..];
        for index in n * 256..(n + 1) * 256 {
            let (length, tail) = rest.split_first_chunk::<2>().unwrap();
            let (entry, tail) = tail.split_at(usize::from(u16::from_be_bytes(*length)));
            let start = format!(r#"{{"index":{index},"v":1,"time":"#);
            assert!(entry.starts_with(start.as_bytes()), "{}", String::from_utf8_lossy(entry));
            rest = tail;
        }
        assert!(rest.is_empty());
    }
    assert_eq!(reader.bundle(2).unwrap(), None);
    assert_eq!(read_all(&disk).iter().map(number).collect::<Vec<_>>(), (0..600).collect::<Vec<_>>());
}

#[test]
fn segments_go_once_their_entries_are_in_bundles() {
    let disk = SimDisk::new();
    let log = new_log(&disk);
    for n in 0..2000 {
        log.submit(event(n)).unwrap().wait_blocking().unwrap();
    }
    log.close().unwrap();
    let bytes: usize = disk
        .files_below(&dir().join("journal"))
        .iter()
        .map(|path| crate::disk::Disk::read_at(&disk, path, 0, usize::MAX).unwrap().len())
        .sum();
    // A bundle's entries at the start of a segment, a segment's length of others, and zeros, twice.
    assert!(bytes < 150 * 1024, "{bytes} bytes of journal stay");
    let opened = open(&disk).unwrap();
    assert_eq!(opened.recovery.head, 2000);
    assert_eq!(opened.recovery.cut, None);
    assert!(opened.recovery.replayed < 600);
}

#[test]
fn a_segment_stays_while_an_entry_is_nowhere_else() {
    for (integrated, stay) in [(0, 3), (255, 3), (256, 2), (511, 2), (512, 1), (9999, 1)] {
        let disk = SimDisk::new();
        create(&disk).unwrap();
        let mut segments = crate::journal::segments(&disk, dir()).unwrap();
        for (sequence, first) in [(2, 256), (3, 512)] {
            let segment = Tail::new(first).start_segment(&disk, dir(), sequence, 0, 0).unwrap();
            segments.push(segment.name);
        }
        let integrator = Integrator::open(Arc::new(disk.clone()), dir(), 0).unwrap();
        let released = integrator.release(&segments, integrated, None).unwrap();
        assert_eq!(crate::journal::segments(&disk, dir()).unwrap(), segments[released..]);
        assert_eq!(segments.len() - released, stay, "{integrated} integrated");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_sees_each_entry_once_while_others_append() {
    let disk = SimDisk::new();
    let log = new_log(&disk);
    let follower = {
        let (reader, mut head) = (log.reader(), log.subscribe());
        tokio::spawn(async move {
            let mut seen = Vec::new();
            while seen.len() < 3000 {
                let entries = reader.read(seen.len() as u64, 64).unwrap();
                assert!(entries.iter().all(|entry| entry.index < *head.borrow()));
                if entries.is_empty() {
                    head.wait_for(|head| *head > seen.len() as u64).await.unwrap();
                }
                for entry in entries {
                    assert_eq!(entry.index, seen.len() as u64);
                    seen.push(number(&entry));
                }
            }
            seen
        })
    };
    let writers: Vec<_> = (0..10_u64)
        .map(|writer| {
            let log = log.clone();
            tokio::spawn(async move {
                let mut indices = Vec::new();
                for n in 0..300 {
                    let logged = log.append_for(event(writer * 1000 + n), n).await.unwrap();
                    assert_eq!(*logged.as_ref(), n);
                    indices.push(logged.receipt().index());
                }
                assert!(indices.is_sorted());
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let seen = follower.await.unwrap();
    for writer in 0..10 {
        let own: Vec<_> = seen.iter().filter(|n| *n / 1000 == writer).map(|n| n % 1000).collect();
        assert_eq!(own, (0..300).collect::<Vec<_>>());
    }
    // From anywhere, by a reader that has no place yet.
    for from in [0, 255, 256, 2047, 2999] {
        assert_eq!(log.reader().read(from, 1).unwrap()[0].index, from);
    }
    assert!(log.reader().read(3000, 1).unwrap().is_empty());
    assert!(log.reader().read(u64::MAX, 1).unwrap().is_empty());
}

#[test]
fn an_event_that_does_not_fit_is_refused_and_one_that_just_does_is_kept_whole() {
    let disk = SimDisk::new();
    let log = new_log(&disk);
    let sized = |bytes: usize| {
        let mut event = event(0);
        let empty = serde_json::to_vec(&event).unwrap().len() - 1;
        event.body = Body::Anomaly { what: "test".to_owned(), detail: "x".repeat(bytes - empty) };
        assert_eq!(serde_json::to_vec(&event).unwrap().len(), bytes);
        event
    };
    // 29 bytes are kept for the index.
    let longest = sized(65_535 - 29);
    log.check(&longest).unwrap();
    log.submit(longest.clone()).unwrap().wait_blocking().unwrap();
    assert!(matches!(log.check(&sized(65_535 - 28)), Err(LogError::TooLong { .. })));
    let refused = log.submit(sized(65_535 - 28)).unwrap_err();
    assert!(matches!(refused, LogError::TooLong { kind: "anomaly", bytes: 65_507 }), "{refused}");
    assert_eq!(log.reader().read(0, 9).unwrap()[0].event().unwrap(), Event { index: Some(0), ..longest });
    assert_eq!(log.head(), 1);
}

#[test]
fn an_index_set_by_the_caller_is_replaced() {
    let disk = SimDisk::new();
    let log = new_log(&disk);
    log.submit(Event { index: Some(77), ..event(5) }).unwrap().wait_blocking().unwrap();
    assert_eq!(number(&log.reader().read(0, 1).unwrap()[0]), 5);
}

#[test]
fn a_log_is_opened_once_and_again_after_it_was_closed() {
    let disk = SimDisk::new();
    let log = new_log(&disk);
    let second = open(&disk).unwrap_err();
    assert!(matches!(&second, OpenError::Locked { holder: Some(_), .. }), "{second}");
    let other = log.clone();
    log.close().unwrap();
    assert!(matches!(other.submit(event(1)), Err(LogError::Closed)));
    drop(other);
    open(&disk).unwrap();
}

#[test]
fn a_log_is_neither_made_where_one_is_nor_opened_where_none_is() {
    let disk = SimDisk::new();
    assert!(matches!(open(&disk).unwrap_err(), OpenError::Missing(_)));
    drop(new_log(&disk));
    assert!(matches!(create(&disk).unwrap_err(), OpenError::Exists { .. }));
    // Also where parts of one are.
    crate::disk::Disk::remove(&disk, &dir().join("log.json")).unwrap();
    assert!(matches!(create(&disk).unwrap_err(), OpenError::Exists { .. }));
    assert!(matches!(open(&disk).unwrap_err(), OpenError::Missing(_)));
}

#[test]
fn a_journal_that_vanished_is_not_an_empty_log() {
    let disk = SimDisk::new();
    drop(new_log(&disk));
    for path in disk.files_below(&dir().join("journal")) {
        crate::disk::Disk::remove(&disk, &path).unwrap();
    }
    let error = open(&disk).unwrap_err();
    assert!(matches!(error, OpenError::Read(ReadError::MissingFile { .. })), "{error}");
}

#[test]
fn a_bundle_with_other_bytes_is_neither_overwritten_nor_ignored() {
    let disk = SimDisk::new();
    let log = new_log_of_one_segment(&disk);
    append(&log, 0..300);
    log.close().unwrap();
    let path = dir().join(entries_path(0));
    disk.tamper(&path, |bytes| bytes[40] ^= 1);
    let error = open(&disk).unwrap_err();
    assert!(matches!(&error, OpenError::Read(ReadError::Conflict(at)) if *at == path), "{error}");
}

#[tokio::test]
async fn a_failed_write_poisons_the_log_and_whoever_waits_is_told() {
    let disk = SimDisk::new();
    create(&disk).unwrap();
    let log = open_unsigned(&disk).unwrap().log;
    assert!(log.failure().is_none());
    let told = tokio::spawn({
        let log = log.clone();
        async move { log.failed().await }
    });
    // Zeros are written in front, then the append, then it is synced.
    disk.fail_at(2, Fault::Without, false);
    let first = log.append_for(event(0), ()).await.unwrap_err();
    assert!(first.to_string().contains("cannot sync /log/journal/"), "{first}");
    assert_eq!(told.await.unwrap().to_string(), first.to_string());
    // The disk would work again, but what is on it is not known.
    assert!(matches!(log.submit(event(1)), Err(LogError::Failed(_))));
    assert_eq!(log.failed().await.to_string(), first.to_string());
    assert_eq!(log.head(), 0);
    assert!(matches!(log.close(), Err(LogError::Failed(_))));
}

#[tokio::test]
async fn a_failed_bundle_poisons_the_log_too() {
    let disk = SimDisk::new();
    let log = new_log_of_one_segment(&disk);
    for n in 0..255 {
        log.append_for(event(n), ()).await.unwrap();
    }
    // The write and the sync of the last event succeed (the zeros for it are there); making the bundle's folder durable does not.
    disk.fail_at(2, Fault::Without, false);
    log.append_for(event(255), ()).await.unwrap();
    let error = log.failed().await;
    assert!(error.to_string().contains("cannot sync folder /log:"), "{error}");
    assert_eq!(log.close().unwrap_err().to_string(), error.to_string());
}

#[test]
fn a_slow_disk_is_overload_and_nothing_that_was_accepted_is_lost() {
    let disk = SimDisk::new();
    create(&disk).unwrap();
    let options = LogOptions { soft_events: 10, hard_events: 20, ..options() };
    let log = open::open(Arc::new(disk.clone()), dir(), options).unwrap().log;
    let stalled = disk.stall();
    let mut accepted = Vec::new();
    let overloaded = loop {
        match log.submit(event(accepted.len() as u64)) {
            Ok(pending) => accepted.push(pending),
            Err(error) => break error,
        }
    };
    assert!(matches!(overloaded, LogError::Overloaded { waiting: 20 }), "{overloaded}");
    assert_eq!(log.head(), 0);
    drop(stalled);
    for (index, pending) in (0..).zip(accepted) {
        assert_eq!(pending.wait_blocking().unwrap().index(), index);
    }
    assert!(!log.congested());
    assert_eq!(
        read_all_by(&log.reader()).iter().map(number).collect::<Vec<_>>(),
        (0..log.head()).collect::<Vec<_>>()
    );
}

#[test]
fn a_dropped_receipt_is_no_dropped_event() {
    let disk = SimDisk::new();
    let log = new_log(&disk);
    drop(log.submit(event(0)).unwrap());
    append(&log, 1..2);
    assert_eq!(read_all_by(&log.reader()).iter().map(number).collect::<Vec<_>>(), [0, 1]);
}
