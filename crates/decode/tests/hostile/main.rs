//! Peers that mean harm, and bytes that mean nothing: bounded memory, one word of giving up, no panic, and the same
//! result whatever the chunking.

#![expect(clippy::panic, reason = "a helper of a test fails the test")]

mod packets;
mod rsync;
mod sftp;

use bartizan_decode::{Decoder, Observed, Options, Part, Sink, Stream};
use bartizan_model::event::Body;
use bartizan_model::observation::DecodeStop;
use proptest::prelude::*;

use crate::packets::{
    close, data, decode, handle, n, open, packet, read, sftp, status, stopped, stops, string, transfers,
    write,
};
use Stream::{Input, Output};

#[test]
fn contents_are_given_with_their_places_whatever_these_are() {
    let options = Options { contents: true, ..Options::default() };
    let Some(mut decoder) = Decoder::for_subsystem(0, b"sftp", &options) else { panic!("sftp is known") };
    let mut given = Given::default();
    let parts = [write(2, b"h", 3, b"de"), write(3, b"h", 0, b"abc"), write(4, b"h", 1, b"B")].concat();
    for (stream, bytes) in [
        (Input, open(1, b"/a", 0x1A)),
        (Output, handle(1, b"h")),
        (Input, parts),
        (Input, read(5, b"h", 0, 9)),
        (Output, data(5, b"aBcde")),
        (Input, write(6, b"no", 0, b"nobody's")),
        (Output, data(7, b"nobody's")),
    ] {
        decoder.feed(stream, &bytes, &mut given);
    }
    decoder.finish(None, &mut given);
    // What is written and what is read through one handle are two files.
    let bytes = |file: u64| -> Vec<(u64, u8)> {
        given.contents.iter().filter(|one| one.0 == file).map(|one| (one.1, one.2)).collect()
    };
    let told: Vec<_> = given.seen.iter().filter_map(|seen| seen.contents).collect();
    let [written, read] = told[..] else { panic!("{told:?}") };
    assert_eq!(bytes(written), [(3, b'd'), (4, b'e'), (0, b'a'), (1, b'b'), (2, b'c'), (1, b'B')]);
    assert_eq!(bytes(read), [(0, b'a'), (1, b'B'), (2, b'c'), (3, b'd'), (4, b'e')]);
    assert_eq!(given.contents.len(), 11);
}

#[test]
fn a_subsystem_that_carries_something_else_is_said_once() {
    let text = b"Welcome to this server! ".repeat(1000);
    assert_eq!(stopped(&[(Output, text.clone()), (Output, text)]), "a packet of 1466264675 bytes");
    assert_eq!(stopped(&[(Input, vec![0; 100])]), "a packet of 0 bytes");
    let long = [&n(300_000)[..], &[3]].concat();
    assert_eq!(stopped(&[(Input, long)]), "a packet of 300000 bytes");
    assert_eq!(stopped(&[(Input, packet(77, &[&n(1)]))]), "a packet of type 77");
    assert_eq!(stopped(&[(Output, packet(2, &[&n(6)]))]), "SFTP version 6");
    let reaches = packet(6, &[&n(1), &string(b"h"), &[0; 8], &n(50), b"short"]);
    assert_eq!(stopped(&[(Input, reaches)]), "a field reaches beyond its packet of type 6");
    let handle = packet(6, &[&n(1), &string(&[7; 300])]);
    assert_eq!(stopped(&[(Input, handle)]), "a handle of 300 bytes");
}

#[test]
fn a_hundred_thousand_requests_may_be_in_flight_and_no_more() {
    let stats: Vec<u8> = (0..100_000).flat_map(|id| packet(17, &[&n(id), &string(b"/x")])).collect();
    assert_eq!(
        stops(&decode(&[(Input, stats.clone())], usize::MAX, &Options::default())),
        Vec::<&DecodeStop>::new()
    );
    let more = packet(17, &[&n(100_000), &string(b"/x")]);
    let seen = decode(&[(Input, stats), (Input, more)], usize::MAX, &Options::default());
    assert_eq!(stops(&seen)[0].reason, "more than 100000 requests unanswered");
}

#[test]
fn names_that_are_remembered_are_bounded() {
    let path = vec![b'a'; 64 << 10];
    // A path of 64 KiB is read, and cut where it is shown.
    let seen = sftp(&[(Input, open(1, &path, 1)), (Output, status(1, 2))]);
    assert_eq!(transfers(&seen)[0].path.chars().count(), 4097);
    let many: Vec<u8> = (0..2000).flat_map(|id| open(id, &path, 1)).collect();
    let seen = decode(&[(Input, many)], usize::MAX, &Options::default());
    assert_eq!(stops(&seen)[0].reason, "more than 4194304 bytes of names to remember");
}

#[test]
fn answers_to_nothing_and_ids_used_twice_are_noticed() {
    let seen = sftp(&[(Output, status(7, 0)), (Output, data(8, b"x")), (Output, handle(9, b"h"))]);
    assert_eq!(stops(&seen), Vec::<&DecodeStop>::new());
    let twice = [open(1, b"/a", 1), open(1, b"/b", 1)].concat();
    let twice = [(Input, twice)];
    assert_eq!(stopped(&twice), "request id 1 used again before it was answered");
    assert_eq!(transfers(&sftp(&twice))[0].path, "/a");
}

#[test]
fn a_handle_that_is_used_again_names_the_new_file() {
    let seen = sftp(&[
        (Input, open(1, b"/a", 2)),
        (Output, handle(1, b"h")),
        (Input, write(2, b"h", 0, b"first")),
        (Input, close(3, b"h")),
        // Sent after its close: not the file's any more, whatever the target makes of it.
        (Input, write(4, b"h", 5, b"late")),
        (Output, [status(2, 0), status(3, 0), status(4, 4)].concat()),
        (Input, open(5, b"/b", 1)),
        (Output, handle(5, b"h")),
        (Input, read(6, b"h", 0, 10)),
        (Output, data(6, b"second")),
        (Input, close(7, b"h")),
        (Output, status(7, 0)),
    ]);
    let found: Vec<_> =
        transfers(&seen).iter().map(|f| (f.path.as_str(), f.bytes, f.status.as_str())).collect();
    assert_eq!(found, [("/a", 5, "ok"), ("/b", 6, "ok")]);
}

#[test]
fn what_the_target_refuses_to_write_has_no_digest() {
    let seen = sftp(&[
        (Input, open(1, b"/a", 2)),
        (Output, handle(1, b"h")),
        (Input, [write(2, b"h", 0, b"first"), write(3, b"h", 5, b"more"), close(4, b"h")].concat()),
        (Output, [status(2, 0), status(3, 4), status(4, 0)].concat()),
    ]);
    let file = transfers(&seen)[0];
    assert_eq!((file.status.as_str(), file.bytes, file.sha256), ("failure", 9, None));
    assert_eq!(file.no_sha256.as_deref(), Some("a part could not be written"));
}

#[test]
fn a_session_that_ends_early_leaves_partial_files() {
    let mut cut = write(2, b"h", 0, &[b'x'; 1000]);
    cut.truncate(500);
    let seen =
        sftp(&[(Input, open(1, b"/a", 2)), (Output, handle(1, b"h")), (Input, cut), (Input, Vec::new())]);
    let file = transfers(&seen)[0];
    assert_eq!((file.partial, file.status.as_str(), file.bytes), (true, "not answered", 474));
    let seen = sftp(&[(Input, packet(13, &[&n(1), &string(b"/a")]))]);
    let Body::SftpRemove(remove) = &seen[0].body else { panic!("{seen:#?}") };
    assert_eq!((remove.path.as_str(), remove.status.as_str()), ("/a", "not answered"));
}

#[test]
fn scp_that_does_not_wait_is_read_and_marked_as_guessed() {
    let mut seen = Vec::new();
    let Some(mut scp) = Decoder::for_exec(0, b"scp -t /tmp/", &Options::default()) else {
        panic!("scp is known")
    };
    scp.feed(Input, b"C0644 5 a\nhello\0C0600 2 b\nhi\0", &mut seen);
    scp.feed(Output, b"\0\0\0\0\0", &mut seen);
    scp.finish(Some(0), &mut seen);
    let found: Vec<_> = transfers(&seen).iter().map(|f| (f.path.as_str(), f.bytes)).collect();
    // The second file is offered before the first is answered: what is not sure is not said.
    assert!(found.starts_with(&[("/tmp/a", 5)]), "{seen:#?}");
    assert_eq!(stops(&seen).len(), 1);
}

/// Bytes that are more often than not the beginning of something.
fn speech() -> impl Strategy<Value = Vec<u8>> {
    let id = 0_u32..4;
    let name = prop::sample::select(vec![&b"h"[..], b"/a", b"", b"h2"]);
    let request = (id, name, 0_u64..40, prop::collection::vec(any::<u8>(), 0..30), 0_u8..24).prop_map(
        |(id, name, offset, bytes, kind)| match kind {
            0 => open(id, name, u32::from(offset as u8)),
            1 | 2 => write(id, name, offset, &bytes),
            3 => read(id, name, offset, 20),
            4 => close(id, name),
            5 | 6 => handle(id, name),
            7 => status(id, offset as u32 % 6),
            8 | 9 => data(id, &bytes),
            10 => packet(18, &[&n(id), &string(name), &string(&bytes)]),
            11 => {
                packet(200, &[&n(id), &string(b"copy-data"), &string(name), &[0; 16], &string(name), &[0; 8]])
            }
            12 => packet(104, &[&n(id), &bytes]),
            kind => packet(kind, &[&n(id), &string(name), &bytes]),
        },
    );
    prop_oneof![9 => request, 1 => prop::collection::vec(any::<u8>(), 0..40)]
}

const COMMANDS: [&[u8]; 7] = [
    b"sftp-server",
    b"scp -t /tmp/",
    b"scp -rf 'a b'",
    b"rsync --server -ze.iLsfxCIvu . /x",
    b"rsync --server --daemon .",
    b"git-receive-pack '/r'",
    b"git-upload-pack '/r'",
];

fn text() -> impl Strategy<Value = Vec<u8>> {
    let words: Vec<&'static [u8]> = vec![
        b"\0", b"\x01no\n", b"C0644 5 f\n", b"hello", b"D0755 0 d\n", b"E\n", b"T1 0 2 0\n", b"0000",
        b"0032want 0123456789012345678901234567890123456789\n", b"\x1f\0\0\0", b"\x81\xff", b"\x04none",
        b"\x05\0\0\x07hello", b"\x01\0\0\x0ax", b"@RSYNCD: 31.0\n", b"files\n", b"@RSYNCD: OK\n", b"x\0--delete\0\0",
        b"000eunpack ok\n", b"0015ok refs/heads/a\n", b"0012\x01000eunpack ok\n",
        b"006a0123456789012345678901234567890123456789 1123456789012345678901234567890123456789 refs/heads/a\0side-band-64k",
    ];
    prop_oneof![
        8 => prop::sample::select(words).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..20)
    ]
}

/// All that a decoder gives.
#[derive(Debug, Default, PartialEq)]
struct Given {
    seen: Vec<Observed>,
    /// Each byte of contents, with its file and its place there.
    contents: Vec<(u64, u64, u8)>,
}

impl Sink for Given {
    fn observed(&mut self, observed: Observed) {
        self.seen.push(observed);
    }

    fn contents(&mut self, Part { file, offset, bytes }: Part<'_>) {
        assert!(!bytes.is_empty());
        // Offsets of the test are small.
        self.contents.extend((offset..).zip(bytes).map(|(at, byte)| (file, at, *byte)));
    }
}

/// Feeds a conversation in chunks of a size; gives what was observed, and the contents of files.
fn given(command: &[u8], said: &[(bool, Vec<u8>)], chunk: usize) -> Given {
    let mut seen = Given::default();
    let options = Options { contents: true, ..Options::default() };
    let Some(mut decoder) = Decoder::for_exec(0, command, &options) else { panic!("a known program") };
    for (input, bytes) in said {
        let stream = if *input { Input } else { Output };
        bytes.chunks(chunk).for_each(|piece| decoder.feed(stream, piece, &mut seen));
    }
    decoder.finish(Some(0), &mut seen);
    seen
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn sftp_of_any_kind_gives_the_same_in_any_chunks(
        said in prop::collection::vec((any::<bool>(), speech()), 0..40), chunk in 1_usize..50
    ) {
        let whole = given(COMMANDS[0], &said, usize::MAX);
        prop_assert_eq!(&whole, &given(COMMANDS[0], &said, 1));
        prop_assert_eq!(&whole, &given(COMMANDS[0], &said, chunk));
        prop_assert!(stops(&whole.seen).len() <= 1);
    }

    #[test]
    fn text_of_any_kind_gives_the_same_in_any_chunks(
        command in prop::sample::select(COMMANDS.to_vec()),
        said in prop::collection::vec((any::<bool>(), text()), 0..40), chunk in 1_usize..50
    ) {
        let whole = given(command, &said, usize::MAX);
        prop_assert_eq!(&whole, &given(command, &said, 1));
        prop_assert_eq!(&whole, &given(command, &said, chunk));
        prop_assert!(stops(&whole.seen).len() <= 1);
    }
}
