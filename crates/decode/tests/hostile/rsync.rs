//! Arguments of rsync, many and long, and odd.

use bartizan_decode::Stream::{Input, Output};
use bartizan_decode::{Decoder, Observed, Options};
use bartizan_model::event::Body;
use bartizan_model::observation::{Confidence, Direction, RsyncEnd};
use proptest::prelude::*;

use crate::packets::{stops, transfers};

/// What is made of an rsync whose arguments are inside the stream.
fn secluded(arguments: &[u8]) -> Vec<Observed> {
    let (mut seen, options) = (Vec::new(), Options::default());
    let Some(mut rsync) = Decoder::for_exec(0, b"rsync --server -se.LsfxCIvu", &options) else {
        unreachable!("rsync is known")
    };
    rsync.feed(Input, arguments, &mut seen);
    rsync.finish(Some(0), &mut seen);
    seen
}

/// What is told last, as of each rsync.
#[track_caller]
fn end(seen: &[Observed]) -> &RsyncEnd {
    match seen.last().map(|observed| &observed.body) {
        Some(Body::RsyncEnd(end)) => end,
        other => panic!("no end, but {other:?}"),
    }
}

#[test]
fn arguments_that_are_remembered_are_bounded_by_their_number_too() {
    let list = |words: usize| [b"rsync\0.\0", &b"x\0".repeat(words)[..], b"\0"].concat();
    assert!(stops(&secluded(&list(10_000))).is_empty());
    let seen = secluded(&list(2_000_000));
    assert_eq!(stops(&seen)[0].reason, "more arguments than are remembered");
    // It gives up where it is too much, and not when all has come.
    assert!(stops(&seen)[0].bytes_in < 40_000, "{seen:#?}");
    let end = end(&seen);
    assert_eq!((end.derived.confidence, end.paths.len()), (Confidence::Low, 0), "where it goes was not read");
}

#[test]
fn what_is_told_of_arguments_fits_into_an_event() {
    // Escaped twice, for people and for JSON, a control character takes five bytes of the event.
    let in_event = |text: &String| text.len() + text.matches(['\\', '"']).count();
    for (longest, words) in [(4096, 1), (1000, 40), (1, 64)] {
        let word = vec![7; longest];
        let option = [b"--info=", &word[7.min(longest)..], b"\0"].concat().repeat(words);
        let path = [&word[..], b"\0"].concat().repeat(words);
        let seen = secluded(&[b"rsync\0", &option[..], b".\0", &path, b"\0"].concat());
        assert!(stops(&seen).is_empty(), "{seen:#?}");
        let end = end(&seen);
        let bytes: usize = end.options.iter().chain(&end.paths).map(in_event).sum();
        assert!(
            bytes < 50_000
                && transfers(&seen).iter().map(|file| in_event(&file.path)).sum::<usize>() < 50_000
        );
        // A path that can be opened is said whole.
        assert!(end.paths[0].starts_with(&"\\x07".repeat(longest)), "{}", end.paths[0]);
    }

    let mut seen = Vec::new();
    let daemon = Decoder::for_exec(0, b"rsync --server --daemon .", &Options::default());
    let Some(mut daemon) = daemon else { unreachable!("rsync is known") };
    daemon.feed(Input, &[b"@RSYNCD: 31.0\n", &[7; 4000][..], b"\n"].concat(), &mut seen);
    daemon.finish(Some(0), &mut seen);
    let end = end(&seen);
    assert!(end.module.as_ref().is_some_and(|module| in_event(module) < 4096));
}

#[test]
fn the_first_word_for_a_daemon_is_an_argument() {
    let mut seen = Vec::new();
    let daemon = Decoder::for_exec(0, b"rsync --server --daemon .", &Options::default());
    let Some(mut daemon) = daemon else { unreachable!("rsync is known") };
    daemon.feed(Output, b"@RSYNCD: 31.0\n", &mut seen);
    daemon.feed(Input, b"@RSYNCD: 31.0\nfiles\n", &mut seen);
    daemon.feed(Output, b"@RSYNCD: OK\n", &mut seen);
    daemon.feed(Input, b"--sender\0--server\0-re.v\0.\0files/x\0\0", &mut seen);
    daemon.finish(Some(0), &mut seen);
    let end = end(&seen);
    assert_eq!((end.direction, &end.paths[..]), (Some(Direction::Download), &["files/x".to_owned()][..]));
}

#[test]
fn a_line_that_may_move_files_by_another_command_is_a_transfer() {
    let told = |line: &[u8]| {
        let (mut seen, options) = (Vec::new(), Options::default());
        let Some(rsync) = Decoder::for_exec(0, line, &options) else { unreachable!("rsync is known") };
        rsync.finish(Some(0), &mut seen);
        transfers(&seen).len()
    };
    assert_eq!(told(b"rsync --server -nre.LsfxCIvu . /x"), 0);
    assert_eq!(told(b"rsync --server --sender --list-only -re.LsfxCIvu . /x"), 0);
    for line in [
        &b"rsync --server -nre.LsfxCIvu . /x; rsync --server -re.LsfxCIvu . /x"[..],
        b"rsync --server --unknown -n -re.LsfxCIvu . /x",
        b"sudo rsync --server -nre.LsfxCIvu . /x",
    ] {
        assert_eq!(told(line), 1, "{}", String::from_utf8_lossy(line));
    }
}

/// A message of the multiplexed stream, from protocol 30 on; before, a client sends its data as they are.
fn message(version: u8, data: &[u8]) -> Vec<u8> {
    let [low, high, ..] = data.len().to_le_bytes();
    if version < 30 { data.to_vec() } else { [&[low, high, 0, 7][..], data].concat() }
}

/// What both ends say before the list, and pieces of what a client sends then.
fn upload(command: &[u8], version: u8, flags: u8, pieces: &[Vec<u8>], chunk: usize) -> Vec<Observed> {
    let options = Options { names_bytes: 4000, ..Options::default() };
    let Some(mut rsync) = Decoder::for_exec(0, command, &options) else { unreachable!("rsync is known") };
    let (number, mut seen) = ([version, 0, 0, 0], Vec::new());
    rsync.feed(Input, &number, &mut seen);
    rsync.feed(Output, &number, &mut seen);
    if version >= 30 {
        rsync.feed(Output, &[flags & 0x7F], &mut seen);
    }
    rsync.feed(Output, &[1, 2, 3, 4], &mut seen);
    for piece in pieces {
        let said = message(version, piece);
        said.chunks(chunk).for_each(|part| rsync.feed(Input, part, &mut seen));
    }
    rsync.finish(Some(0), &mut seen);
    seen
}

#[test]
fn a_list_without_an_end_takes_no_more_than_it_may() {
    // An entry of a new name each, and of the attributes of the one before.
    let entry = |n: u32| [&[0xBA, 0, 8][..], format!("{n:08}").as_bytes(), &[5, 0, 0, 0]].concat();
    let first = [&[0x18, 1, b'a', 5, 0, 0, 0, 1, 0, 0, 0][..], &0o100_644_u32.to_le_bytes()].concat();
    let entries: Vec<Vec<u8>> = std::iter::once(first).chain((0..100_000).map(entry)).collect();
    let seen = upload(b"rsync --server -re.LsfxCIvu . /x", 29, 0, &entries, usize::MAX);
    assert!(stops(&seen).is_empty(), "{seen:#?}");
    assert_eq!((end(&seen).listed, end(&seen).total_size), (Some(100_001), Some(500_005)));
    // Lists of folders that hold nothing, and hard links without end.
    let flags = 1 | 8;
    let nothing = [vec![0]].into_iter().chain((0..10_000).map(|_| vec![0xFF, 0xFE, 0x80, 101, 0, 0, 0]));
    let seen = upload(b"rsync --server -re.iLsfxCIvu . /x", 31, flags, &nothing.collect::<Vec<_>>(), 1);
    assert_eq!(stops(&seen)[0].reason, "more lists of files than are remembered");
}

#[test]
fn names_that_lead_elsewhere_are_not_believed() {
    for (name, reason) in
        [(&b"a/../b"[..], "a name that leads out of its folder"), (b"a\0b", "a name with a zero byte")]
    {
        let head =
            [&[0x18, name.len() as u8][..], name, &[5, 0, 0, 0, 1, 0, 0, 0, 0xA4, 0x81, 0, 0]].concat();
        let seen = upload(b"rsync --server -re.LsfxCIvu . /x", 29, 0, &[head], usize::MAX);
        assert_eq!(stops(&seen)[0].reason, reason);
        // What moved was not read: that something may have is told.
        assert_eq!(transfers(&seen).len(), 1);
    }
}

#[test]
fn what_is_no_file_has_no_contents() {
    let folder =
        [&[0x18, 1, b'd', 5, 0, 0, 0, 1, 0, 0, 0][..], &0o040_755_u32.to_le_bytes(), &[0; 5]].concat();
    for (number, reason) in [
        (0_u8, "contents of entry 0, which is no file"),
        (1, "contents of entry 1, a folder"),
        (2, "entry 2, which no list has"),
    ] {
        let moves = vec![number, 0, 0, 0, 0, 0x80];
        let seen = upload(b"rsync --server -re.LsfxCIvu . /x", 29, 0, &[folder.clone(), moves], usize::MAX);
        assert_eq!(stops(&seen)[0].reason, reason);
    }
}

/// Pieces of lists and contents, as often as not where they belong.
fn pieces() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let words: Vec<&'static [u8]> = vec![
        b"\x18\x01a\x05\0\0\0\x01\0\0\0\xA4\x81\0\0",
        b"\x18\x01a\0\x05\0\x01\0\0\0\xA4\x81\0\0",
        b"\xBA\0\x01b\0\x05\0",
        b"\x18\x01d\0\x05\0\x01\0\0\0\xED\x41\0\0",
        b"\x9A\x01l\x04\0\0\0\x01\0\0\0\xFF\xA1\0\0",
        b"\x04\x12\x01h\0\x05\0\x01\0\0\0\xA4\x81\0\0",
        b"\0",
        b"\0\0\0\0",
        b"\x01\0\x80",
        b"\x02\0\x80",
        b"\0\0\0\0\0\x80",
        b"\x01\0\0\0\0\x80",
        b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        b"\x05\0\0\0hello",
        b"\xFF\xFF\xFF\xFF",
        b"\xFF\x64",
        b"\xFF\x01",
        b"\xFF\x02\0\0\0\0\0",
        b"\x40\x05hello",
        b"0123456789abcdef",
    ];
    let piece = prop_oneof![
        9 => prop::sample::select(words).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..20)
    ];
    prop::collection::vec(piece, 0..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn lists_of_any_kind_give_the_same_in_any_chunks(
        options in prop::sample::select(vec!["r", "rz", "rc", "logDtprH", "rAX", "rU"]),
        version in 27_u8..=32, flags in any::<u8>(), pieces in pieces(), chunk in 1_usize..20
    ) {
        let command = format!("rsync --server -{options}e.iLsfxCIvu . /x");
        let whole = upload(command.as_bytes(), version, flags, &pieces, usize::MAX);
        prop_assert_eq!(&whole, &upload(command.as_bytes(), version, flags, &pieces, 1));
        prop_assert_eq!(&whole, &upload(command.as_bytes(), version, flags, &pieces, chunk));
        prop_assert!(stops(&whole).len() <= 1);
    }
}

#[test]
fn a_daemon_that_does_not_wait_for_its_arguments_is_not_read_on_however_it_is_cut() {
    let greeting = b"@RSYNCD: 31.0\n";
    // Flags, a seed, and a message that a file was deleted, before anybody asked for anything.
    let answer = [&greeting[..], b"@RSYNCD: OK\n\0seed\x01\0\0\x6C\0"].concat();
    let said = [(true, greeting.to_vec()), (false, answer)];
    let whole = crate::given(b"rsync --server --daemon .", &said, usize::MAX);
    assert_eq!(whole, crate::given(b"rsync --server --daemon .", &said, 1));
    assert_eq!((stops(&whole.seen)[0].bytes_out, end(&whole.seen).deleted), (31, None));
}
