//! A full disk: what was promised is kept, what is not urgent is refused, nothing is lost, and the log goes on by
//! itself when there is room again.

use super::*;
use crate::queue::Urgency;
use crate::verify::verify_on;
use crate::{Log, LogError};

/// Submits one event and waits for its fate.
fn try_append(log: &Log, n: u64, urgency: Urgency) -> Result<u64, LogError> {
    log.submit_as(event(n), urgency)
        .and_then(|pending| pending.wait_blocking())
        .map(|receipt| receipt.index())
}

/// Appends until such events are refused; how many were taken.
fn fill(log: &Log, from: u64, urgency: Urgency) -> u64 {
    let taken = (from..).take_while(|n| try_append(log, *n, urgency).is_ok()).count() as u64;
    assert!(matches!(try_append(log, from + taken, urgency), Err(LogError::Full)));
    taken
}

#[test]
fn on_a_full_disk_urgent_events_have_the_reserve_and_promises_are_kept() {
    let disk = SimDisk::new();
    let log = new_log(&disk);
    let promise = log.promise(1000);
    append(&log, 0..5);
    disk.set_capacity(Some(disk.used()));
    let mut next = 5 + fill(&log, 5, Urgency::Ordinary);
    let stats = log.stats();
    assert!(stats.full && stats.promised == 1000 && stats.reserved >= 1000 + 2048, "{stats:?}");
    let emergencies = fill(&log, next, Urgency::Emergency);
    assert!(emergencies > 0);
    next += emergencies;
    assert!(log.stats().reserved >= 1000 + 1024);

    // Others are refused, and what was promised is there still.
    assert!(matches!(try_append(&log, next, Urgency::Ordinary), Err(LogError::Full)));
    let closings = fill(&log, next, Urgency::Closing);
    assert!(closings * 300 > 1000, "{closings} events");
    next += closings;
    assert!(log.failure().is_none());

    // Room again: the log goes on without being opened anew.
    drop(promise);
    disk.set_capacity(None);
    append(&log, next..next + 400);
    assert!(!log.stats().full && log.stats().unlogged >= 3);
    log.close().unwrap();
    let numbers: Vec<_> = read_all(&disk).iter().map(number).collect();
    assert_eq!(numbers, (0..next + 400).collect::<Vec<_>>());
    let verified = verify_on(Arc::new(disk), dir(), signer().verifier_key(), None, |_| {}).unwrap();
    assert_eq!(verified.checkpoint.head.size, next + 400);
}

#[test]
fn wherever_the_disk_fills_up_nothing_is_lost_and_the_log_goes_on() {
    // Through rotations, bundles and checkpoints, with and without more room later.
    for more in (0..12_000).step_by(900) {
        for later in [false, true] {
            let disk = SimDisk::new();
            let log = new_log(&disk);
            append(&log, 0..250);
            disk.set_capacity(Some(disk.used() + more));
            let mut taken: Vec<u64> = (0..250).collect();
            for n in 250..600 {
                match try_append(&log, n, Urgency::Ordinary) {
                    Ok(_) => taken.push(n),
                    Err(LogError::Full) => {}
                    Err(error) => panic!("{more}: {error}"),
                }
            }
            try_append(&log, 600, Urgency::Closing).unwrap();
            taken.push(600);
            if later {
                disk.set_capacity(None);
                append(&log, 601..610);
                taken.extend(601..610);
            }
            log.close().unwrap();
            // A process that ends on a full disk leaves what the next one integrates.
            disk.set_capacity(None);
            drop(open(&disk).unwrap());
            assert_eq!(read_all(&disk).iter().map(number).collect::<Vec<_>>(), taken, "{more} {later}");
            let verified = verify_on(Arc::new(disk), dir(), signer().verifier_key(), None, |_| {}).unwrap();
            assert_eq!(verified.checkpoint.head.size, taken.len() as u64);
        }
    }
}

#[test]
fn promises_add_up_and_are_given_back() {
    let log = new_log(&SimDisk::new());
    let (first, second) = (log.promise(100), log.promise(50));
    first.add(7);
    second.release(60);
    assert_eq!(log.stats().promised, 107);
    drop(first);
    assert_eq!(log.stats().promised, 0);
}
