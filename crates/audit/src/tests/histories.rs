//! Random histories: appends, ends and crashes in any order, against a model that only remembers receipts.

use proptest::prelude::*;

use super::sim::{Fault, SimDisk};
use super::*;
use crate::verify::verify_on;

#[derive(Clone, Copy, Debug)]
enum Act {
    /// Appends so many events and waits for them.
    Append(u8),
    /// Appends so many, and the disk fails at this change from now.
    Fail(u8, u8, Fault),
    /// Closes the log in order.
    Close,
    /// The process is killed.
    Kill,
    /// Power fails; the bits say what survives of that which was not synced.
    PowerFailure(u64),
}

fn act() -> impl Strategy<Value = Act> {
    let fault = prop_oneof![Just(Fault::Without), Just(Fault::After), Just(Fault::Half)];
    prop_oneof![
        4 => (1..200_u8).prop_map(Act::Append),
        2 => (1..60_u8, 0..30_u8, fault).prop_map(|(count, at, fault)| Act::Fail(count, at, fault)),
        1 => Just(Act::Close),
        1 => Just(Act::Kill),
        2 => any::<u64>().prop_map(Act::PowerFailure),
    ]
}

/// Submits all, waits for all, and remembers those with a receipt.
fn append_some(log: &crate::Log, next: &mut u64, count: u8, receipts: &mut Vec<(u64, u64)>) {
    let pending: Vec<_> =
        (0..count).map(|n| (*next + u64::from(n), log.submit(event(*next + u64::from(n))))).collect();
    *next += u64::from(count);
    for (n, pending) in pending {
        if let Ok(receipt) = pending.and_then(|pending| pending.wait_blocking()) {
            receipts.push((n, receipt.index()));
        }
    }
}

fn check(disk: &SimDisk, receipts: &[(u64, u64)]) {
    let numbers: Vec<_> = read_all(disk).iter().map(number).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b));
    for (n, index) in receipts {
        assert_eq!(numbers.get(*index as usize), Some(n));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_history_breaks_a_receipt(acts in prop::collection::vec(act(), 1..20)) {
        let mut disk = SimDisk::new();
        create(&disk).unwrap();
        let mut log = open(&disk).unwrap().log;
        let (mut next, mut receipts) = (0, Vec::new());
        for act in acts {
            let crashed = match act {
                Act::Append(count) => {
                    append_some(&log, &mut next, count, &mut receipts);
                    continue;
                }
                Act::Fail(count, at, fault) => {
                    disk.fail_at(usize::from(at), fault, false);
                    append_some(&log, &mut next, count, &mut receipts);
                    continue;
                }
                Act::Close => {
                    let _ = log.close();
                    disk.after_kill()
                }
                Act::Kill => disk.after_kill(),
                Act::PowerFailure(mut bits) => disk.after_power_failure(|| {
                    bits = bits.rotate_left(1);
                    bits & 1 == 1
                }),
            };
            disk = crashed;
            log = open(&disk).unwrap().log;
            check(&disk, &receipts);
        }
        let _ = log.close();
        let disk = disk.after_kill();
        open(&disk).unwrap().log.close().unwrap();
        check(&disk, &receipts);
        let verified = verify_on(Arc::new(disk), dir(), signer().verifier_key(), None, |_| {}).unwrap();
        prop_assert_eq!(verified.checkpoint.head.size, verified.entries);
        prop_assert!(verified.entries >= receipts.len() as u64 && verified.entries <= next);
    }

    #[test]
    fn no_bytes_make_a_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = crate::frame::Batch::parse(&bytes);
        let _ = crate::frame::Batch::find(&bytes);
        let _ = crate::frame::SegmentHeader::decode(&bytes);
        let entries = crate::bundle::entries(&bytes).count();
        prop_assert!(entries <= bytes.len());
        let text = String::from_utf8_lossy(&bytes);
        prop_assert!(crate::Checkpoint::open(&text, signer().verifier_key()).is_err());
        prop_assert!(text.parse::<crate::VerifierKey>().is_err());
    }
}
