//! Bytes of the journal change or vanish behind the log's back.

use super::sim::SimDisk;
use super::*;
use crate::error::ReadError;

/// A closed log of few events: a batch that its last segment began with, and three batches behind it.
fn small_log() -> (SimDisk, Vec<Entry>) {
    let disk = SimDisk::new();
    create(&disk).unwrap();
    let log = open_unsigned(&disk).unwrap().log;
    for n in 0..3 {
        log.submit(event(n)).unwrap().wait_blocking().unwrap();
    }
    log.close().unwrap();
    let log = open_unsigned(&disk).unwrap().log;
    for n in 3..6 {
        log.submit(event(n)).unwrap().wait_blocking().unwrap();
    }
    log.close().unwrap();
    let entries = read_all(&disk);
    assert_eq!(entries.len(), 6);
    // Without the zeros in front of the writer, for which there is a test of its own.
    disk.tamper(&the_segment(&disk), |bytes| {
        bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1);
    });
    (disk, entries)
}

fn the_segment(disk: &SimDisk) -> std::path::PathBuf {
    let segments = disk.files_below(&dir().join("journal"));
    assert_eq!(segments.len(), 1);
    segments[0].clone()
}

fn length(disk: &SimDisk, path: &Path) -> usize {
    crate::disk::Disk::read_at(disk, path, 0, usize::MAX).unwrap().len()
}

#[test]
fn a_changed_byte_is_an_error_with_its_place_unless_it_is_in_the_last_append() {
    let (disk, entries) = small_log();
    let path = the_segment(&disk);
    let last_batch = length(&disk, &path) - (32 + 2 + entries[5].bytes.len());
    for at in 0..length(&disk, &path) {
        let copy = disk.copy();
        copy.tamper(&path, |bytes| bytes[at] ^= 0x20);
        match open_unsigned(&copy) {
            Err(OpenError::Read(ReadError::Damaged { file, offset, .. })) => {
                assert!(at < last_batch, "byte {at} could be torn");
                assert_eq!(file, path);
                assert!(offset as usize <= at, "byte {at} found at {offset}");
            }
            Err(error) => panic!("byte {at}: {error}"),
            Ok(opened) => {
                assert!(at >= last_batch, "byte {at} was not missed");
                let cut = opened.recovery.cut.unwrap();
                assert_eq!((cut.offset as usize, cut.file), (last_batch, path.with_extension("journal.cut")));
                assert_eq!(read_all(&copy), entries[..5]);
                assert!(
                    copy.files_below(&dir().join("journal")).contains(&path.with_extension("journal.cut"))
                );
            }
        }
    }
}

#[test]
fn a_cut_file_gives_what_is_whole_and_says_so() {
    let (disk, entries) = small_log();
    let path = the_segment(&disk);
    let first_three: usize = 32 + 32 + entries[..3].iter().map(|entry| 2 + entry.bytes.len()).sum::<usize>();
    for cut in 0..length(&disk, &path) {
        let copy = disk.copy();
        copy.tamper(&path, |bytes| bytes.truncate(cut));
        match open_unsigned(&copy) {
            // These were durable before the file had its name.
            Err(OpenError::Read(ReadError::Damaged { .. })) => assert!(cut < first_three, "cut at {cut}"),
            Err(error) => panic!("cut at {cut}: {error}"),
            Ok(opened) => {
                assert!(cut >= first_three, "cut at {cut}");
                let left = read_all(&copy);
                assert_eq!(left, entries[..left.len()]);
                let whole = 32
                    + 32
                    + left.iter().map(|entry| 2 + entry.bytes.len()).sum::<usize>()
                    + (left.len() - 3) * 32;
                assert_eq!(opened.recovery.cut.is_some(), whole != cut, "cut at {cut}, whole to {whole}");
            }
        }
    }
}

#[test]
fn an_offline_reader_shows_what_is_whole_and_stops_at_damage() {
    let (disk, entries) = small_log();
    let path = the_segment(&disk);
    disk.tamper(&path, |bytes| bytes.truncate(bytes.len() - 1));
    assert_eq!(read_all(&disk), entries[..5]);
    let batch = 32 + 2 + entries[4].bytes.len();
    disk.tamper(&path, |bytes| {
        // In entry 3's batch, with the whole batch of entry 4 behind it.
        let at = bytes.len() - 3 * batch + 40;
        bytes[at] ^= 1;
    });
    let reader = Reader::over(Arc::new(disk), dir()).unwrap();
    assert_eq!(reader.read(0, 3).unwrap(), entries[..3]);
    let damaged = reader.read(3, 100).unwrap_err();
    assert!(matches!(&damaged, ReadError::Damaged { file, .. } if *file == path), "{damaged}");
}

#[test]
fn zeros_at_the_end_are_free_space() {
    let (disk, entries) = small_log();
    disk.tamper(&the_segment(&disk), |bytes| bytes.resize(bytes.len() + 5000, 0));
    let torn = disk.copy();
    assert_eq!(open(&disk).unwrap().recovery.cut, None);
    assert_eq!(read_all(&disk), entries);
    // Something is behind some of them: a sector of an append whose first sectors did not arrive.
    let path = the_segment(&torn);
    let end = length(&torn, &path) - 5000;
    torn.tamper(&path, |bytes| bytes[end + 600..end + 700].fill(7));
    let cut = open(&torn).unwrap().recovery.cut.unwrap();
    assert_eq!((cut.offset, cut.bytes), (end as u64, 700));
    assert_eq!(read_all(&torn), entries);
}

#[test]
fn a_missing_segment_is_a_gap() {
    let disk = SimDisk::new();
    let log = new_log(&disk);
    append(&log, 0..300);
    log.close().unwrap();
    drop(open(&disk).unwrap());
    // The journal begins with entry 256, so the bundle before it must be there.
    crate::disk::Disk::remove(&disk, &dir().join(crate::entries_path(0))).unwrap();
    let error = open(&disk).unwrap_err();
    assert!(matches!(&error, OpenError::Read(ReadError::MissingFile { .. })), "{error}");
    let reader = Reader::over(Arc::new(disk), dir()).unwrap();
    assert!(matches!(reader.read(0, 1), Err(ReadError::MissingFile { .. })));
    assert_eq!(reader.read(256, 1).unwrap()[0].index, 256);
}

#[test]
fn entries_that_the_checkpoint_names_cannot_go_unnoticed() {
    let (disk, entries) = small_log();
    open(&disk).unwrap().log.close().unwrap();
    let path = the_segment(&disk);
    // The whole journal taken back to the moment before the last entry, in valid form.
    let earlier = SimDisk::new();
    create(&earlier).unwrap();
    let log = open(&earlier).unwrap().log;
    append(&log, 0..5);
    log.close().unwrap();
    let journal = crate::disk::Disk::read_at(&earlier, &the_segment(&earlier), 0, usize::MAX).unwrap();
    let forked = disk.copy();
    forked.tamper(&path, |bytes| *bytes = journal);
    let error = open(&forked).unwrap_err().to_string();
    assert!(
        error.contains("/log/checkpoint") && error.contains("names 6 entries and the log has 5"),
        "{error}"
    );

    // As many entries, but one of them another one.
    let log = open(&earlier).unwrap().log;
    append(&log, 7..8);
    log.close().unwrap();
    let journal = crate::disk::Disk::read_at(&earlier, &the_segment(&earlier), 0, usize::MAX).unwrap();
    disk.tamper(&path, |bytes| *bytes = journal);
    let error = open(&disk).unwrap_err().to_string();
    assert!(error.contains("the first 6 entries of the log are not those it names"), "{error}");
    assert_eq!(entries.len(), 6);
}
