//! Arguments of rsync, many and long, and odd.

use bartizan_decode::Stream::{Input, Output};
use bartizan_decode::{Decoder, Observed, Options};
use bartizan_model::event::Body;
use bartizan_model::observation::{Confidence, Direction, RsyncEnd};

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
