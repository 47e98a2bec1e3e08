//! Tiles, checkpoints and proofs of a whole log, and what they find.

use super::sim::SimDisk;
use super::*;
use crate::disk::Disk as _;
use crate::layout;
use crate::note::{Checkpoint, CheckpointError};
use crate::proof::{ProofError, ProveError, open_proof, verify_proof};
use crate::tree::{TreeHash, TreeHead, verify_consistency, verify_inclusion};
use crate::verify::{Verified, VerifyError, verify_on};

fn verify(disk: &SimDisk) -> Result<Verified, VerifyError> {
    verify_on(Arc::new(disk.clone()), dir(), signer().verifier_key(), None, |_| {})
}

fn closed_log(entries: u64) -> SimDisk {
    let disk = SimDisk::new();
    let log = new_log(&disk);
    append(&log, 0..entries);
    log.close().unwrap();
    disk
}

fn exists(disk: &SimDisk, path: &str) -> bool {
    disk.read_at(&dir().join(path), 0, 1).is_ok()
}

#[test]
fn a_closed_log_has_the_tiles_that_the_specification_names_for_its_size() {
    let disk = closed_log(700);
    let verified = verify(&disk).unwrap();
    assert_eq!((verified.entries, verified.checkpoint.head.size), (700, 700));
    let length = |path: &str| disk.read_at(&dir().join(path), 0, usize::MAX).unwrap().len();
    assert_eq!(length("tile/0/001"), 8192);
    assert_eq!(length("tile/0/002.p/188"), 188 * 32);
    assert_eq!(length("tile/1/000.p/2"), 2 * 32);
    let mut partial = Vec::new();
    for entry in &read_all(&disk)[512..] {
        crate::bundle::push(&mut partial, &entry.bytes);
    }
    assert_eq!(disk.read_at(&dir().join("tile/entries/002.p/188"), 0, usize::MAX).unwrap(), partial);
    // The partial forms of what is full are gone.
    for gone in ["tile/0/001.p", "tile/0/000.p", "tile/entries/000.p"] {
        assert_eq!(disk.files_below(&dir().join(gone)), [] as [std::path::PathBuf; 0], "{gone}");
    }
    assert!(!exists(&disk, "tile/2/000.p/1"));
}

#[test]
fn the_tree_grows_over_openings_and_over_a_full_tile_of_level_one() {
    let disk = SimDisk::new();
    create(&disk).unwrap();
    let mut next = 0;
    let mut heads: Vec<TreeHead> = Vec::new();
    for count in [0, 1, 255, 1000, 256 * 250, 2000] {
        let log = open(&disk).unwrap().log;
        append(&log, next..next + count);
        log.close().unwrap();
        next += count;
        let verified = verify(&disk).unwrap();
        assert_eq!(verified.checkpoint.head.size, next);
        heads.push(verified.checkpoint.head);
    }
    assert!(exists(&disk, "tile/1/000"));
    let reader = Reader::over(Arc::new(disk.clone()), dir()).unwrap();
    for (at, old) in heads.iter().enumerate() {
        for new in &heads[at..] {
            let proof = reader.consistency_proof(old.size, new.size).unwrap();
            assert!(verify_consistency(*old, *new, &proof), "{} to {}", old.size, new.size);
        }
    }
    let last = heads.last().unwrap();
    for index in [0, 1, 255, 256, 1000, 65_535, 65_536, last.size - 1] {
        let entry = &reader.read(index, 1).unwrap()[0];
        let proof = reader.inclusion_proof(index, last.size).unwrap();
        assert!(verify_inclusion(TreeHash::of_entry(&entry.bytes), index, last.size, &proof, last.root));
    }
    assert!(reader.inclusion_proof(last.size, last.size).is_err());
    assert!(reader.root(last.size + 1).is_err());
    assert!(reader.consistency_proof(2, 1).is_err());
}

#[test]
fn each_changed_byte_of_what_is_signed_is_found() {
    let disk = closed_log(300);
    let files = [
        ("checkpoint", 1),
        ("tile/entries/000", 97),
        ("tile/0/000", 97),
        // The entries behind the last full bundle are read from the journal.
        ("journal", 97),
    ];
    for (name, step) in files {
        for path in disk.files_below(&dir().join(name)) {
            let bytes = disk.read_at(&path, 0, usize::MAX).unwrap();
            // Zeros behind the journal's last batch hold nothing.
            let length = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
            for at in (0..length).step_by(step) {
                let copy = disk.copy();
                copy.tamper(&path, |bytes| bytes[at] ^= 1);
                assert!(verify(&copy).is_err(), "byte {at} of {path:?}");
            }
        }
    }
}

#[test]
fn what_was_done_to_a_log_is_said() {
    let disk = closed_log(600);
    let tampered = |change: &dyn Fn(&SimDisk)| {
        let copy = disk.copy();
        change(&copy);
        verify(&copy).unwrap_err()
    };

    let changed = tampered(&|disk| {
        disk.tamper(&dir().join("tile/entries/001"), |bytes| {
            let at = bytes.windows(5).position(|w| w == b"\"300\"").unwrap();
            bytes[at + 1] = b'9';
        });
    });
    assert!(matches!(&changed, VerifyError::Tile { entry: 300, .. }), "{changed}");

    let swapped = tampered(&|disk| {
        let one = disk.read_at(&dir().join("tile/entries/001"), 0, usize::MAX).unwrap();
        disk.tamper(&dir().join("tile/entries/000"), |bytes| *bytes = one);
    });
    assert!(matches!(swapped, VerifyError::Index(0)), "{swapped}");

    let removed = tampered(&|disk| disk.remove(&dir().join("tile/entries/000")).unwrap());
    assert!(matches!(removed, VerifyError::Read(_)), "{removed}");

    let no_checkpoint = tampered(&|disk| disk.remove(&dir().join("checkpoint")).unwrap());
    assert!(matches!(no_checkpoint, VerifyError::NoCheckpoint(_)), "{no_checkpoint}");

    // A whole other history of the same length, with tiles that fit it, under the old checkpoint.
    let other = SimDisk::new();
    let log = new_log(&other);
    append(&log, 1..601);
    log.close().unwrap();
    let note = disk.read_at(&dir().join("checkpoint"), 0, usize::MAX).unwrap();
    other.tamper(&dir().join("checkpoint"), |bytes| *bytes = note);
    let rewritten = verify(&other).unwrap_err();
    assert!(matches!(rewritten, VerifyError::Root { size: 600, .. }), "{rewritten}");

    // Entries behind the checkpoint's size gone.
    let short = closed_log(599);
    let note = disk.read_at(&dir().join("checkpoint"), 0, usize::MAX).unwrap();
    short.tamper(&dir().join("checkpoint"), |bytes| *bytes = note);
    let removed = verify(&short).unwrap_err();
    assert!(matches!(removed, VerifyError::Removed { named: 600, present: 599, end: None }), "{removed}");

    // Signed with another key.
    let key = crate::Signer::from_seed(&"example.com/node-1".parse().unwrap(), &[8; 32]).unwrap();
    let error = verify_on(Arc::new(disk), dir(), key.verifier_key(), None, |_| {}).unwrap_err();
    let reason = CheckpointError::NotSigned(key.verifier_key().to_string());
    assert!(matches!(&error, VerifyError::Checkpoint { reason: r, .. } if *r == reason), "{error}");
}

#[test]
fn a_log_without_its_key_catches_up_when_it_has_it_again() {
    let disk = closed_log(10);
    let log = open_unsigned(&disk).unwrap().log;
    append(&log, 10..400);
    log.close().unwrap();
    let verified = verify(&disk).unwrap();
    assert_eq!((verified.checkpoint.head.size, verified.entries), (10, 400));
    open(&disk).unwrap().log.close().unwrap();
    assert_eq!(verify(&disk).unwrap().checkpoint.head.size, 400);
}

#[test]
fn the_key_of_another_log_is_refused() {
    let disk = closed_log(1);
    let other = crate::Signer::from_seed(&"example.com/node-2".parse().unwrap(), &[7; 32]).unwrap();
    let options = LogOptions { signer: Some(other), ..options() };
    let error = open::open(Arc::new(disk), dir(), options).unwrap_err();
    assert!(matches!(error, OpenError::OtherOrigin { .. }), "{error}");
}

#[test]
fn while_the_log_is_written_each_checkpoint_seen_is_of_the_same_history() {
    let disk = SimDisk::new();
    let log = new_log(&disk);
    let reader = Reader::over(Arc::new(disk), dir()).unwrap();
    let mut seen: Vec<TreeHead> = Vec::new();
    for n in 0..40 {
        append(&log, n * 30..(n + 1) * 30);
        if let Some(note) = reader.checkpoint().unwrap() {
            let checkpoint = Checkpoint::open(&note, signer().verifier_key()).unwrap();
            assert!(checkpoint.head.size <= log.head());
            seen.push(checkpoint.head);
        }
    }
    log.close().unwrap();
    for head in seen {
        assert_eq!(reader.root(head.size).unwrap(), head.root);
    }
}

#[test]
fn a_proof_shows_one_entry_and_no_other() {
    let disk = closed_log(300);
    let log = open_unsigned(&disk).unwrap().log;
    append(&log, 300..302);
    log.close().unwrap();
    let reader = Reader::over(Arc::new(disk), dir()).unwrap();
    let key = signer().verifier_key().clone();
    for index in [0, 255, 256, 299] {
        let proof = reader.prove(index).unwrap();
        let entry = &reader.read(index, 1).unwrap()[0];
        let proven = verify_proof(&proof, &entry.bytes, &key).unwrap();
        assert_eq!((proven.index, proven.checkpoint.head.size), (index, 300));
        let other = &reader.read(index ^ 1, 1).unwrap()[0];
        assert_eq!(verify_proof(&proof, &other.bytes, &key), Err(ProofError::NotIncluded));
        for at in 0..proof.len() {
            let mut changed = proof.clone().into_bytes();
            changed[at] ^= 1;
            let Ok(changed) = String::from_utf8(changed) else { continue };
            assert!(verify_proof(&changed, &entry.bytes, &key).is_err(), "{changed}");
        }
    }
    let not_yet = reader.prove(300).unwrap_err();
    assert!(matches!(not_yet, ProveError::NotPublished { index: 300, published: 300 }), "{not_yet}");
    let proof = reader.prove(1).unwrap();
    let with_extra = proof.replacen("\nindex", "\nextra AAAA\nindex", 1);
    verify_proof(&with_extra, &reader.read(1, 1).unwrap()[0].bytes, &key).unwrap();
}

#[test]
fn a_proof_that_carries_its_entry_needs_nothing_else() {
    let disk = closed_log(300);
    let reader = Reader::over(Arc::new(disk), dir()).unwrap();
    let key = signer().verifier_key().clone();
    for index in [0, 256, 299] {
        let proof = reader.prove_whole(index).unwrap();
        let (proven, entry) = open_proof(&proof, &key).unwrap();
        assert_eq!((proven.index, &entry), (index, &reader.read(index, 1).unwrap()[0].bytes));
        verify_proof(&proof, &entry, &key).unwrap();
        for at in 0..proof.len() {
            let mut changed = proof.clone().into_bytes();
            changed[at] ^= 1;
            let Ok(changed) = String::from_utf8(changed) else { continue };
            assert!(open_proof(&changed, &key).is_err(), "{changed}");
        }
    }
    assert!(matches!(reader.prove_whole(300), Err(ProveError::NotPublished { .. })));
    assert_eq!(open_proof(&reader.prove(1).unwrap(), &key), Err(ProofError::NoEntry));
}

fn published(disk: &SimDisk) -> Checkpoint {
    let note = Reader::over(Arc::new(disk.clone()), dir()).unwrap().checkpoint().unwrap().unwrap();
    Checkpoint::open(&note, signer().verifier_key()).unwrap()
}

#[test]
fn a_kept_checkpoint_shows_a_log_that_was_taken_back_or_forked() {
    let since = |disk: &SimDisk, kept: &Checkpoint| {
        verify_on(Arc::new(disk.clone()), dir(), signer().verifier_key(), Some(kept), |_| {})
    };
    let disk = closed_log(300);
    let (earlier, kept) = (disk.copy(), published(&disk));
    let log = open(&disk).unwrap().log;
    append(&log, 300..400);
    log.close().unwrap();
    let later = published(&disk);
    for good in [&kept, &later] {
        assert_eq!(since(&disk, good).unwrap().entries, 400);
    }
    let error = since(&earlier, &later).unwrap_err();
    assert!(matches!(error, VerifyError::RolledBack { kept: 400, present: 300 }), "{error}");
    // Taken back and gone on with other events, signed with the right key.
    let log = open(&earlier).unwrap().log;
    append(&log, 301..500);
    log.close().unwrap();
    verify(&earlier).unwrap();
    since(&earlier, &kept).unwrap();
    let error = since(&earlier, &later).unwrap_err();
    assert!(matches!(error, VerifyError::Forked { size: 400, .. }), "{error}");
}

/// What is on the disk when two checkpoints more were published than the one that is put back.
#[test]
fn an_older_copy_of_the_checkpoint_is_told_from_a_crash() {
    let disk = closed_log(270);
    let read = |name: &str| disk.read_at(&dir().join(name), 0, usize::MAX).unwrap();
    let (older, mut next) = (read("checkpoint"), 270);
    let mut last = older.clone();
    for _ in 0..2 {
        last = read("checkpoint");
        // It publishes once, when it is closed.
        let rarely = LogOptions { checkpoint_interval: Duration::from_secs(3600), ..options() };
        let log = open::open(Arc::new(disk.clone()), dir(), rarely).unwrap().log;
        append(&log, next..next + 10);
        next += 10;
        log.close().unwrap();
    }
    let put_back = |note: &[u8]| {
        let copy = disk.copy();
        copy.tamper(&dir().join("checkpoint"), |bytes| *bytes = note.to_vec());
        copy
    };
    let error = verify(&put_back(&older)).unwrap_err();
    assert!(matches!(error, VerifyError::OldCheckpoint { named: 270, newest: 290, .. }), "{error}");
    // One publication ahead is what a crash between its files and its checkpoint leaves; only who kept the
    // checkpoint knows better.
    let crashed = put_back(&last);
    assert_eq!(verify(&crashed).unwrap().entries, 290);
    // And however often that happens, it stays one.
    open_unsigned(&crashed).unwrap().log.close().unwrap();
    assert!(!exists(&crashed, "tile/0/001.p/34"), "the unpublished one is gone");
    verify(&crashed).unwrap();
}

#[test]
fn each_changed_byte_of_a_partial_tile_or_bundle_is_found() {
    let disk = closed_log(700);
    let partials = ["tile/entries/002.p/188", "tile/0/002.p/188", "tile/1/000.p/2"];
    for name in partials {
        let path = dir().join(name);
        let length = disk.read_at(&path, 0, usize::MAX).unwrap().len();
        for at in (0..length).step_by(61) {
            let copy = disk.copy();
            copy.tamper(&path, |bytes| bytes[at] ^= 1);
            let error = verify(&copy).unwrap_err();
            assert!(matches!(&error, VerifyError::Tile { file, .. } if *file == path), "{error}");
        }
        let copy = disk.copy();
        copy.tamper(&path, |bytes| bytes.truncate(length - 1));
        verify(&copy).unwrap_err();
        copy.remove(&path).unwrap();
        let error = verify(&copy).unwrap_err().to_string();
        assert!(error.contains(&format!("{name} is missing")), "{error}");
    }
    // A file of entries that the log does not hold: it held them once.
    let cut = closed_log(600);
    let bytes = disk.read_at(&dir().join(partials[1]), 0, usize::MAX).unwrap();
    crate::disk::replace(&cut, &dir().join("tile/0/002.p/188"), &bytes).unwrap();
    let error = verify(&cut).unwrap_err();
    assert!(matches!(error, VerifyError::Beyond { size: 700, present: 600, .. }), "{error}");
}

#[test]
fn a_journal_that_says_something_else_than_the_bundles_is_found() {
    let disk = SimDisk::new();
    let log = new_log_of_one_segment(&disk);
    append(&log, 0..300);
    log.close().unwrap();
    open(&disk).unwrap().log.close().unwrap();
    verify(&disk).unwrap();
    // As many entries, others, under the names of the right ones.
    let other = SimDisk::new();
    let log = new_log_of_one_segment(&other);
    append(&log, 1..301);
    log.close().unwrap();
    let segments = |disk: &SimDisk| disk.files_below(&dir().join("journal"));
    let bytes = other.read_at(&segments(&other)[0], 0, usize::MAX).unwrap();
    let mut forged = segments(&disk)[0].clone();
    forged.set_file_name(layout::SegmentName { sequence: 1, first: 0 }.file_name());
    crate::disk::replace(&disk, &forged, &bytes).unwrap();
    let error = verify(&disk).unwrap_err();
    assert!(matches!(&error, VerifyError::Journal { entry: 0, file } if *file == forged), "{error}");
}

#[test]
fn a_log_that_lost_its_name_or_has_another_is_damaged_and_not_absent() {
    let disk = closed_log(3);
    let description = dir().join("log.json");
    let renamed = disk.copy();
    renamed.tamper(&description, |bytes| {
        let at = bytes.windows(6).position(|w| w == b"node-1").unwrap();
        bytes[at + 5] = b'2';
    });
    let error = verify(&renamed).unwrap_err().to_string();
    assert!(error.contains("/log/log.json") && error.contains("example.com/node-2"), "{error}");
    disk.remove(&description).unwrap();
    let error = Reader::over(Arc::new(disk), dir()).unwrap_err();
    assert!(matches!(&error, crate::ReadError::MissingFile { file, .. } if *file == description), "{error}");
}

/// Order is by index, whatever the clock says: times that go back change nothing of what is promised.
#[test]
fn a_clock_that_jumps_back_disturbs_nothing() {
    let disk = SimDisk::new();
    let log = new_log(&disk);
    let numbers = [900, 901, 5, 6, 902, 1];
    for n in numbers {
        log.submit(event(n)).unwrap().wait_blocking().unwrap();
    }
    log.close().unwrap();
    assert_eq!(read_all(&disk).iter().map(number).collect::<Vec<_>>(), numbers);
    assert_eq!(verify(&disk).unwrap().entries, 6);
    assert_eq!(open(&disk).unwrap().recovery.head, 6);
}
