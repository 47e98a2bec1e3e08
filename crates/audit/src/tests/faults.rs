//! Every change of the disk is made to fail, one by one, without and after taking effect; then the
//! process ends, or the power does, and the next process opens the log.
//!
//! What must hold: no event whose receipt was given is lost, order is kept, nothing is there twice, and
//! the log goes on.

use super::sim::{Fault, SimDisk};
use super::*;
use crate::note::Checkpoint;
use crate::receipt::Receipt;
use crate::tree::TreeHead;
use crate::verify::verify_on;

/// Enough for a full bundle, rotations and a released segment.
const EVENTS: u64 = 300;
const GROUP: usize = 30;

/// Appends numbered events in groups until the log fails; the receipts that were given.
fn append_all(opened: Opened, from: u64, count: u64) -> Vec<(u64, Receipt)> {
    let mut receipts = Vec::new();
    let numbers: Vec<u64> = (from..from + count).collect();
    for group in numbers.chunks(GROUP) {
        let pending: Vec<_> = group.iter().map(|n| (*n, opened.log.submit(event(*n)))).collect();
        for (n, pending) in pending {
            match pending.and_then(|pending| pending.wait_blocking()) {
                Ok(receipt) => receipts.push((n, receipt)),
                Err(error) => assert!(matches!(error, crate::LogError::Failed(_)), "{error}"),
            }
        }
    }
    receipts
}

fn check(disk: &SimDisk, receipts: &[(u64, Receipt)], context: &str) {
    let entries = read_all(disk);
    for (n, receipt) in receipts {
        let entry = entries.get(receipt.index() as usize);
        assert_eq!(entry.map(number), Some(*n), "entry {} lost: {context}", receipt.index());
    }
    let numbers: Vec<_> = entries.iter().map(number).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "order, or twice: {context}: {numbers:?}");
}

/// One life: create, open and append with a fault at change `n`, then another life after `crash`.
/// False when the fault was never reached.
fn live_and_die(n: usize, fault: Fault, dead: bool, crash: &dyn Fn(&SimDisk) -> SimDisk) -> bool {
    let disk = SimDisk::new();
    disk.fail_at(n, fault, dead);
    let mut receipts = Vec::new();
    if create(&disk).is_ok()
        && let Ok(opened) = open(&disk)
    {
        receipts = append_all(opened, 0, EVENTS);
    }
    let Some(what) = disk.tripped() else {
        assert_eq!(receipts.len() as u64, EVENTS);
        return false;
    };
    let context = format!("change {n}: {what}, dead {dead}");

    let seen = checkpoint(&disk);
    let disk = crash(&disk);
    match create(&disk) {
        Ok(()) => assert!(receipts.is_empty(), "made anew over receipts: {context}"),
        Err(OpenError::Exists { .. }) => {}
        Err(error) => panic!("{error}: {context}"),
    }
    // The second process fails at opening once, too, before it is let through.
    disk.fail_at(n % 23, Fault::Without, true);
    drop(open(&disk));
    let disk = crash(&disk);
    let opened = open(&disk).unwrap_or_else(|error| panic!("{error}: {context}"));
    check(&disk, &receipts, &context);
    check_promises(&disk, seen.as_ref(), &context);
    receipts.extend(append_all(opened, 1000, 30));
    check(&disk, &receipts, &context);
    drop(open(&disk).unwrap());
    check(&disk, &receipts, &context);
    check_promises(&disk, seen.as_ref(), &context);
    let verified = verify_on(Arc::new(disk), dir(), signer().verifier_key(), None, |_| {}).unwrap();
    assert_eq!(verified.checkpoint.head.size, verified.entries, "closed and not published: {context}");
    true
}

fn checkpoint(disk: &SimDisk) -> Option<Checkpoint> {
    let reader = Reader::over(Arc::new(disk.clone()), dir()).ok()?;
    let note = reader.checkpoint().unwrap()?;
    Some(Checkpoint::open(&note, signer().verifier_key()).unwrap())
}

/// What was signed and could be seen before a crash holds for all time; so does what is signed now.
fn check_promises(disk: &SimDisk, seen: Option<&Checkpoint>, context: &str) {
    let now = checkpoint(disk);
    let reader = Reader::over(Arc::new(disk.clone()), dir()).unwrap();
    for checkpoint in seen.into_iter().chain(&now) {
        let TreeHead { size, root } = checkpoint.head;
        assert_eq!(reader.root(size).unwrap(), root, "checkpoint of {size} entries: {context}");
    }
}

fn every_fault(crash: &dyn Fn(&SimDisk) -> SimDisk) {
    for fault in [Fault::Without, Fault::After, Fault::Half] {
        for dead in [false, true] {
            let reached = (0..).take_while(|n| live_and_die(*n, fault, dead, crash)).count();
            // Creation, opening, ten group commits, rotations, a bundle.
            assert!(reached > 60, "only {reached} changes");
        }
    }
}

#[test]
fn nothing_is_lost_when_the_process_ends_after_any_fault() {
    every_fault(&SimDisk::after_kill);
}

#[test]
fn nothing_is_lost_when_power_fails_and_takes_all_that_was_not_synced() {
    every_fault(&|disk| disk.after_power_failure(|| false));
}

#[test]
fn nothing_is_lost_when_power_fails_and_takes_a_part_of_what_was_not_synced() {
    let seed = std::cell::Cell::new(0x9e37_79b9_7f4a_7c15_u64);
    let coin = || {
        // xorshift: the same coins in each run.
        let mut x = seed.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        seed.set(x);
        x & 64 != 0
    };
    every_fault(&|disk| disk.after_power_failure(coin));
}

/// A kill leaves a batch that was written and not synced, which the next process goes on from; the power fails before
/// what it replayed is in bundles.
#[test]
fn what_a_kill_left_is_durable_before_more_is_promised() {
    for n in 0.. {
        let disk = SimDisk::new();
        let log = new_log_of_one_segment(&disk);
        append(&log, 0..250);
        disk.fail_at(n, Fault::Without, true);
        let pending: Vec<_> = (250..270).map_while(|n| log.submit(event(n)).ok()).collect();
        drop(pending.into_iter().map(|pending| pending.wait_blocking()).collect::<Vec<_>>());
        let Some(what) = disk.tripped() else {
            assert!(n >= 2, "{n}: a write, and its sync");
            return;
        };
        let disk = disk.after_kill();
        let opened = open::open(Arc::new(disk.clone()), dir(), LogOptions::default()).unwrap();
        let receipt = opened.log.submit(event(1000)).unwrap().wait_blocking().unwrap();
        let disk = disk.after_power_failure(|| false);
        open_unsigned(&disk).unwrap_or_else(|error| panic!("change {n}: {what}: {error}"));
        check(&disk, &[(1000, receipt)], &what);
    }
}
