//! Recordings that were cut, damaged or made up.

use std::fs;
use std::path::Path;
use std::time::Duration;

use bartizan_record::export::{self, AsciicastVersion};
use bartizan_record::{Condition, ReadError, RecordedSession, Stream, What};
use proptest::prelude::*;

use crate::support::{ALL, Dice, Rig, events, ms, terminal};

/// Reads everything in every way; only the absence of panics and endless loops counts.
fn read_all(folder: &Path) {
    let Ok(session) = RecordedSession::open(folder) else { return };
    let _ = session.verify();
    for channel in session.channels() {
        let number = channel.channel;
        let out = &mut std::io::sink();
        let _ = export::text(&session, number, out);
        let _ = export::asciicast(&session, number, AsciicastVersion::V3, out);
        let _ = export::ttyrec(&session, number, out);
        let _ = export::typescript(&session, number, out, &mut std::io::sink());
        let _ = export::raw(&session, number, Stream::Output, out);
        if let Ok(mut events) = session.events(number) {
            let _ = events.seek(Duration::from_secs(1));
            assert!(events.take(10_000_000).count() < 10_000_000);
        }
    }
}

/// A recording of several frames in both formats.
async fn small(rig: &Rig) -> std::path::PathBuf {
    let (recorder, folder) = rig.begin(ALL).await;
    recorder.set_pty(0, b"xterm", 80, 24, ms(0));
    for turn in 0..6 {
        for _ in 0..3 {
            recorder.data(0, Stream::Output, ms(100 * turn), b"text \xe2\x82\xac ");
            recorder.data(1, Stream::Input, ms(100 * turn), b"some bytes");
        }
        let _ = recorder.close_channel(50 + turn as u32, ms(100 * turn)).await.unwrap();
    }
    let _ = recorder.finish(ms(1000)).await.unwrap();
    folder
}

#[tokio::test]
async fn a_file_cut_at_any_byte_reads_up_to_its_last_whole_frame() {
    let rig = Rig::new();
    let folder = small(&rig).await;
    for (channel, name) in [(0, "channel-0.cast.zst"), (1, "channel-1.bytes.zst")] {
        let path = folder.join(name);
        let whole = fs::read(&path).unwrap();
        let all = events(&folder, channel);
        let (mut boundaries, mut most) = (0, 0);
        for cut in 0..=whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let session = RecordedSession::open(&folder).unwrap();
            let mut reading = session.events(channel).unwrap();
            let read: Vec<_> = reading.by_ref().map(Result::unwrap).collect();
            assert!(all.starts_with(&read));
            assert!(read.len() >= most, "fewer events at {cut} than before");
            most = read.len();
            boundaries += usize::from(!reading.truncated());
            if cut == whole.len() {
                assert_eq!(read.len(), all.len());
                assert!(!reading.truncated());
            }
        }
        // Six frames of events, an empty file, and for the cast perhaps a frame with its header alone.
        assert!((7..=8).contains(&boundaries), "{boundaries} cuts look whole");
        fs::write(&path, &whole).unwrap();
    }
}

#[tokio::test]
async fn a_file_that_is_not_as_it_was_closed_is_told_without_reading_it() {
    let rig = Rig::new();
    let folder = small(&rig).await;
    let condition = |channel| RecordedSession::open(&folder).unwrap().condition(channel).unwrap();
    let (name, other) = ("channel-1.bytes.zst", "channel-0.cast.zst");
    let path = folder.join(name);
    let whole = fs::read(&path).unwrap();
    assert_eq!((condition(0), condition(1)), (Condition::Whole, Condition::Whole));
    // Also where no frame is cut: nothing else says that there was more.
    for cut in 0..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        assert_eq!(condition(1), Condition::Differs(name.into()), "cut at {cut}");
    }
    assert_eq!(condition(0), Condition::Whole);
    fs::write(&path, [&whole[..], &whole].concat()).unwrap();
    assert_eq!(condition(1), Condition::Differs(name.into()));
    // As long as it was, but torn: the last frame says that it is longer.
    let mut torn = whole.clone();
    let last = whole.windows(4).rposition(|four| four == [0x28, 0xb5, 0x2f, 0xfd]).unwrap();
    torn.truncate(last);
    torn.resize(whole.len(), 0);
    torn[last..last + 4].copy_from_slice(&whole[..4]);
    fs::write(&path, &torn).unwrap();
    if RecordedSession::open(&folder).unwrap().events(1).unwrap().all(|event| event.is_ok()) {
        assert_eq!(condition(1), Condition::Differs(name.into()));
    }
    fs::write(&path, &whole).unwrap();
    fs::write(folder.join("channel-9.bytes.zst"), &whole).unwrap();
    assert_eq!(condition(9), Condition::Differs("channel-9.bytes.zst".into()));
    fs::remove_file(folder.join(other)).unwrap();
    assert_eq!(condition(1), Condition::Differs(other.into()), "a missing file counts for each");
    fs::remove_file(folder.join("manifest.json")).unwrap();
    assert_eq!(condition(1), Condition::Open);
}

#[tokio::test]
async fn damage_is_told_after_what_came_before_it() {
    let rig = Rig::new();
    let folder = small(&rig).await;
    let path = folder.join("channel-0.cast.zst");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() - 100;
    bytes.truncate(middle);
    bytes.extend_from_slice(&[0; 100]);
    let all = events(&folder, 0);
    fs::write(&path, &bytes).unwrap();
    let session = RecordedSession::open(&folder).unwrap();
    assert_eq!(session.verify().unwrap(), ["channel-0.cast.zst"]);
    let mut read = session.events(0).unwrap().collect::<Vec<_>>();
    assert!(matches!(read.pop(), Some(Err(ReadError::Damaged { .. }))));
    let read: Vec<_> = read.into_iter().map(Result::unwrap).collect();
    assert!(!read.is_empty() && read.len() < all.len() && all.starts_with(&read));
    fs::remove_file(&path).unwrap();
    assert_eq!(session.verify().unwrap(), ["channel-0.cast.zst"]);
}

#[tokio::test]
async fn links_and_pipes_are_not_followed() {
    let rig = Rig::new();
    let folder = small(&rig).await;
    fs::rename(folder.join("channel-0.cast.zst"), folder.join("elsewhere")).unwrap();
    std::os::unix::fs::symlink("elsewhere", folder.join("channel-0.cast.zst")).unwrap();
    let session = RecordedSession::open(&folder).unwrap();
    assert!(session.events(0).unwrap().next().is_none());
    assert!(session.verify().is_err());
}

#[tokio::test]
async fn seeking_gives_the_same_events_with_and_without_an_index() {
    let rig = Rig::new();
    let (folder, _) = terminal(&rig).await;
    let all = events(&folder, 0);
    for index in [true, false] {
        if !index {
            fs::remove_file(folder.join("channel-0.cast.idx")).unwrap();
        }
        let session = RecordedSession::open(&folder).unwrap();
        let mut reading = session.events(0).unwrap();
        for at in [0, 1, 2, 1500, 1501, 2999, 3001, 3002, 9999] {
            reading.seek(ms(at)).unwrap();
            let read: Vec<_> = reading.by_ref().map(Result::unwrap).collect();
            let expected: Vec<_> = all.iter().filter(|e| e.at >= ms(at)).cloned().collect();
            assert!(read == expected, "from {at} ms, index {index}: {} of {}", read.len(), expected.len());
        }
    }
}

#[tokio::test]
async fn changed_bytes_never_panic() {
    let rig = Rig::new();
    let folder = small(&rig).await;
    let mut dice = Dice(7);
    for name in
        ["channel-0.cast.zst", "channel-0.cast.idx", "channel-1.bytes.zst", "meta.json", "manifest.json"]
    {
        let path = folder.join(name);
        let whole = fs::read(&path).unwrap();
        for _ in 0..60 {
            let mut bytes = whole.clone();
            for _ in 0..=dice.roll() % 4 {
                let at = dice.roll() as usize % bytes.len();
                bytes[at] = dice.roll() as u8;
            }
            fs::write(&path, &bytes).unwrap();
            read_all(&folder);
        }
        fs::write(&path, &whole).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whole frames with any content, so that the decoders behind the decompressor are reached.
    #[test]
    fn anything_at_all_can_be_read(
        contents in prop::collection::vec(prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            "\\[[0-9.e-]{1,6}, \"[oirmsx]\", \"[a-z\\\\u0-9]{0,9}\"\\]\n".prop_map(String::into_bytes),
            "T[\u{0}-\u{7f}][OIEMC][\u{0}-\u{7f}][\u{0}-\u{10}].{0,20}".prop_map(String::into_bytes),
        ], 0..6),
        tail in prop::collection::vec(any::<u8>(), 0..50),
        index in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let temp = tempfile::tempdir().unwrap();
        for (name, header) in [
            ("channel-0.cast", "{\"version\": 2, \"width\": 80, \"height\": 24}\n"),
            ("channel-1.bytes", "{\"bartizan\": \"bytes\", \"version\": 1}\n"),
            ("channel-2.cast", ""),
        ] {
            let mut file = zstd::bulk::compress(header.as_bytes(), 1).unwrap();
            for content in &contents {
                file.extend(zstd::bulk::compress(content, 1).unwrap());
            }
            file.extend_from_slice(&tail);
            fs::write(temp.path().join(format!("{name}.zst")), &file).unwrap();
            let index = [&b"BZNIDX1\n"[..], &index].concat();
            fs::write(temp.path().join(format!("{name}.idx")), index).unwrap();
        }
        read_all(temp.path());
    }
}

#[test]
fn a_marker_of_a_foreign_file_is_text() {
    let temp = tempfile::tempdir().unwrap();
    let cast =
        "{\"version\": 2, \"width\": 80, \"height\": 24}\n[1.5, \"m\", \"\\u001b[2J\"]\n[2, \"o\", \"x\"]\n";
    fs::write(temp.path().join("channel-0.cast.zst"), zstd::bulk::compress(cast.as_bytes(), 1).unwrap())
        .unwrap();
    let read = events(temp.path(), 0);
    assert_eq!(read[1].what, What::Marker("\x1b[2J".into()));
    let mut text = Vec::new();
    export::text(&RecordedSession::open(temp.path()).unwrap(), 0, &mut text).unwrap();
    assert_eq!(text, b"x\n");
}
