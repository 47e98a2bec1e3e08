//! SFTP peers that would have events say something else than what the target does, or nothing at all.

use bartizan_decode::Stream::{Input, Output};
use bartizan_decode::{Decoder, Observed, Options, Stream};
use bartizan_model::event::{Body, Outcome};
use bartizan_model::observation::{Confidence, Direction, Transfer};

use crate::packets::{
    close, data, handle, n, open, packet, read, sftp, status, stopped, stops, string, transfers, write,
};

const READ: u32 = 1;
const WRITE: u32 = 2;
const CREAT: u32 = 8;
const TRUNC: u32 = 16;
const EXCL: u32 = 32;

#[test]
fn opening_that_changes_the_file_is_an_upload() {
    use Direction::{Download, Upload};
    // OpenSSH opens for reading where WRITE is not asked for, and makes and empties the file all the same.
    let table: [(u32, bool, &[Direction]); 9] = [
        (READ, false, &[Download]),
        (READ | WRITE, false, &[Upload]),
        (READ | CREAT, false, &[Upload]),
        (READ | CREAT | TRUNC, false, &[Upload]),
        (TRUNC, false, &[Upload]),
        (READ | WRITE | CREAT, true, &[Download]),
        (READ | TRUNC, true, &[Upload, Download]),
        (READ | CREAT | EXCL, true, &[Upload, Download]),
        (READ | WRITE | CREAT | TRUNC, true, &[Upload, Download]),
    ];
    for (flags, is_read, directions) in table {
        let mut said = vec![(Input, open(1, b"/a", flags)), (Output, handle(1, b"h"))];
        if is_read {
            said.extend([(Input, read(2, b"h", 0, 9)), (Output, data(2, b"text"))]);
        }
        said.extend([(Input, close(3, b"h")), (Output, status(3, 0))]);
        let seen = sftp(&said);
        let found: Vec<_> = transfers(&seen).iter().map(|file| file.direction).collect();
        assert_eq!(found, directions, "{flags:#x}");
    }
    let seen = sftp(&[(Input, open(1, b"/a", READ | TRUNC)), (Output, status(1, 3))]);
    assert_eq!(transfers(&seen)[0].direction, Upload);
}

/// Answers of each type with a status that says yes, and of the others one each.
fn answers(id: u32) -> [(u8, Vec<u8>); 6] {
    let other = |kind| (kind, packet(kind, &[&n(id), &n(0)]));
    [
        (101, status(id, 0)),
        (102, handle(id, b"new")),
        (103, data(id, b"")),
        other(104),
        other(105),
        other(201),
    ]
}

#[test]
fn an_answer_that_is_none_to_its_request_ends_the_decoding_and_nothing_vanishes() {
    // Which answers fit: a status always if it refuses, and these.
    let requests: [(Vec<u8>, &[u8]); 9] = [
        (open(7, b"/new", WRITE | CREAT), &[102]),
        (packet(11, &[&n(7), &string(b"/")]), &[102]),
        (packet(13, &[&n(7), &string(b"/new")]), &[101]),
        (packet(18, &[&n(7), &string(b"/old"), &string(b"/new")]), &[101]),
        (packet(10, &[&n(7), &string(b"h"), &n(4), &n(0o4755)]), &[101]),
        (read(7, b"h", 0, 9), &[103]),
        (write(7, b"h", 0, b"text"), &[101]),
        (close(7, b"h"), &[101]),
        (packet(17, &[&n(7), &string(b"/")]), &[101, 104, 105, 201]),
    ];
    for (request, fitting) in requests {
        for (kind, answer) in answers(7) {
            let begin = [(Input, open(1, b"/a", READ | WRITE)), (Output, handle(1, b"h"))];
            let asked = [&begin[..], &[(Input, request.clone())]].concat();
            let said = [&asked[..], &[(Output, answer)]].concat();
            if fitting.contains(&kind) {
                assert!(stops(&sftp(&said)).is_empty(), "{request:?} {kind}");
                continue;
            }
            assert!(stopped(&said).starts_with(&format!("request 7 answered by a packet of type {kind}")));
            // As much is told as if there had been no answer, but for the word of giving up, which comes first.
            let (seen, without) = (sftp(&said), sftp(&asked));
            let kinds = |seen: &[_]| seen.iter().map(kind_of).collect::<Vec<_>>();
            assert_eq!(kinds(&seen)[1..], kinds(&without), "{request:?} {kind}");
        }
    }
}

fn kind_of(observed: &bartizan_decode::Observed) -> &'static str {
    observed.body.kind()
}

#[test]
fn what_was_not_answered_when_the_decoding_ended_is_a_guess() {
    let remove = packet(13, &[&n(1), &string(b"/a")]);
    let open = open(2, b"/b", WRITE | CREAT);
    let seen = sftp(&[(Input, [remove, open].concat()), (Output, data(1, b"x"))]);
    let Body::SftpRemove(remove) = &seen[1].body else { unreachable!("{seen:#?}") };
    assert_eq!((remove.path.as_str(), remove.status.as_str()), ("/a", "not answered"));
    assert_eq!(remove.derived.confidence, Confidence::Low);
    let file = transfers(&seen)[0];
    assert_eq!((file.partial, file.no_sha256.as_deref()), (true, Some("not answered")));
    assert_eq!(file.derived.confidence, Confidence::Low);
}

#[test]
fn a_handle_that_is_being_closed_names_no_file() {
    let set = |id| packet(10, &[&n(id), &string(b"h"), &n(4), &n(0o600)]);
    let copy = packet(200, &[&n(4), &string(b"copy-data"), &string(b"h"), &[0; 16], &string(b"h"), &[0; 8]]);
    let begin = [(Input, open(1, b"/a", READ | WRITE)), (Output, handle(1, b"h"))];
    let asked = [set(2), close(3, b"h"), copy, set(5)].concat();
    let end = [(Input, asked), (Output, [status(2, 0), status(3, 0), status(4, 0), status(5, 0)].concat())];
    let seen = sftp(&[&begin[..], &end].concat());
    let paths = seen.iter().filter_map(|observed| match &observed.body {
        Body::SftpSetstat(set) => Some(set.path.as_str()),
        Body::SftpCopy(pair) => Some(pair.to.as_str()),
        _ => None,
    });
    assert_eq!(paths.collect::<Vec<_>>(), ["/a", "handle h", "handle h"]);

    // A name that no event has room for is cut.
    let long = packet(10, &[&n(1), &string(&[7; 100_000]), &n(0)]);
    let seen = sftp(&[(Input, long), (Output, status(1, 4))]);
    let Body::SftpSetstat(set) = &seen[0].body else { unreachable!("{seen:#?}") };
    assert!(set.path.len() < 4096);
}

#[test]
fn a_handle_that_is_used_before_it_is_given_ends_the_decoding() {
    let (h0, h1) = (&[0; 4][..], &[0, 0, 0, 1][..]);
    let set = packet(10, &[&n(7), &string(h1), &n(4), &n(0o600)]);
    let copy = |from, to| {
        packet(200, &[&n(7), &string(b"copy-data"), &string(from), &[0; 16], &string(to), &[0; 8]])
    };
    let used = [write(7, h1, 0, b"text"), read(7, h1, 0, 9), close(7, h1), set, copy(h0, h1), copy(h1, h0)];
    let begin = [(Input, open(1, b"/a", READ | WRITE)), (Output, handle(1, h0))];
    let folder = packet(11, &[&n(2), &string(b"/")]);
    for opening in [open(2, b"/b", READ | WRITE | CREAT), folder] {
        for request in &used {
            // OpenSSH does all of it in order, whether or not the client has waited.
            let asked = [opening.clone(), request.clone(), close(8, h1)].concat();
            let answers = [handle(2, h1), status(7, 0), status(8, 0)].concat();
            let said = [&begin[..], &[(Input, asked), (Output, answers)]].concat();
            assert_eq!(
                stopped(&said),
                "handle \\x00\\x00\\x00\\x01 used before the target gave it",
                "{request:?}"
            );
            let seen = sftp(&said);
            for file in transfers(&seen) {
                assert!(file.partial && file.status != "ok", "{file:?}");
                assert_eq!(file.derived.confidence, Confidence::Low, "{file:?}");
                assert!(file.path == "/a" || file.sha256.is_none(), "{file:?}");
            }
        }
    }
    // The handle of a file that is being closed may be the next one's.
    let asked = [close(2, h0), open(3, b"/b", WRITE | CREAT), write(4, h0, 0, b"text")].concat();
    let said = [&begin[..], &[(Input, asked)]].concat();
    assert_eq!(stopped(&said), "handle \\x00\\x00\\x00\\x00 used before the target gave it");
}

#[test]
fn files_may_be_opened_and_closed_while_others_are_used() {
    let seen = sftp(&[
        (Input, [open(1, b"/a", WRITE), open(2, b"/b", READ)].concat()),
        (Output, handle(1, b"a")),
        (Input, [write(3, b"a", 0, b"text"), close(4, b"a")].concat()),
        (Output, [status(3, 0), handle(2, b"b"), status(4, 0)].concat()),
        (Input, [open(5, b"/c", WRITE), read(6, b"b", 0, 9), close(7, b"b")].concat()),
        (Output, [status(5, 3), data(6, b"read"), status(7, 0)].concat()),
    ]);
    assert!(stops(&seen).is_empty(), "{seen:#?}");
    let found: Vec<_> =
        transfers(&seen).iter().map(|f| (f.path.as_str(), f.bytes, f.status.as_str())).collect();
    assert_eq!(found, [("/a", 4, "ok"), ("/c", 0, "permission denied"), ("/b", 4, "ok")]);
}

#[test]
fn a_program_of_which_nothing_is_known_is_told_by_its_first_bytes_alone() {
    let init = packet(1, &[&n(3)]);
    let conversation = |first: &[u8]| -> Vec<Observed> {
        let whole = [
            (Input, first.to_vec()),
            (Output, packet(2, &[&n(3)])),
            (Input, open(1, b"/a", READ)),
            (Output, handle(1, b"h")),
            (Input, close(2, b"h")),
            (Output, status(2, 0)),
        ];
        let told = |chunk: usize| {
            let (mut seen, mut decoder) = (Vec::new(), Decoder::for_unknown(0, &Options::default()));
            for (stream, bytes) in &whole {
                bytes.chunks(chunk).for_each(|piece| decoder.feed(*stream, piece, &mut seen));
            }
            decoder.finish(Some(0), &mut seen);
            seen
        };
        assert_eq!(told(1), told(1000));
        told(1000)
    };
    let seen = conversation(&init);
    assert_eq!((transfers(&seen)[0].path.as_str(), seen.len()), ("/a", 2), "{seen:#?}");
    assert_eq!(transfers(&seen)[0].derived.confidence, Confidence::Low);
    // What OpenSSH takes as well: anything after the version.
    assert_eq!(conversation(&packet(1, &[&n(3), &[0; 1000]])), seen);
    for other in [&b""[..], b"GET / HTTP/1.1\r\n", b"\0\0\0\x05\x02\0\0\0\x03", b"x"] {
        assert_eq!(conversation(other), [], "{other:?}");
    }
}

/// A file that is opened, used and closed: what is told of it.
#[track_caller]
fn used(flags: u32, between: &[(Stream, Vec<u8>)]) -> Vec<Transfer> {
    let opened = [(Input, open(1, b"/a", flags)), (Output, handle(1, b"h"))];
    let closed = [(Input, close(99, b"h")), (Output, status(99, 0))];
    let seen = sftp(&[&opened, between, &closed].concat());
    for observed in &seen {
        let Body::Transfer(file) = &observed.body else { continue };
        assert_eq!(observed.outcome == Outcome::Success, file.status == "ok", "{file:?}");
    }
    transfers(&seen).into_iter().cloned().collect()
}

#[test]
fn a_part_that_is_refused_far_beyond_the_file_makes_no_failure_of_it() {
    let content = b"the whole file";
    for far in [1 << 63, 1 << 62, u64::MAX, 1 << 40] {
        let read_all = [
            (Input, read(2, b"h", far, 100)),
            (Output, status(2, 5)),
            (Input, read(3, b"h", 0, 100)),
            (Output, data(3, content)),
            (Input, read(4, b"h", content.len() as u64, 100)),
            (Output, status(4, 1)),
        ];
        let written = [
            (Input, write(2, b"h", far, b"decoy")),
            (Output, status(2, 4)),
            (Input, write(3, b"h", 0, content)),
            (Output, status(3, 0)),
        ];
        let last = [&written[2..], &written[..2]].concat();
        for (flags, between, refused) in [
            (READ, &read_all[..], "bad message"),
            (WRITE | CREAT | TRUNC, &written, "failure"),
            (WRITE | CREAT | TRUNC, &last, "failure"),
        ] {
            let files = used(flags, between);
            let [file] = &files[..] else { panic!("{files:?}") };
            assert_eq!((file.status.as_str(), file.refused.as_deref()), ("ok", Some(refused)), "{far:#x}");
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, content);
            assert_eq!(
                file.sha256.map(|digest| digest.0.to_vec()).as_deref(),
                Some(digest.as_ref()),
                "{file:?}"
            );
        }
    }
}

#[test]
fn a_part_that_the_file_lacks_is_its_failure() {
    let (one, two) = (data(2, b"one"), write(2, b"h", 0, b"one"));
    // A medium that cannot be read, a disk that is full, and nothing but what is refused.
    let lacking = [
        vec![
            (Input, read(2, b"h", 0, 3)),
            (Output, one),
            (Input, read(3, b"h", 3, 3)),
            (Output, status(3, 4)),
        ],
        vec![
            (Input, two),
            (Output, status(2, 0)),
            (Input, write(3, b"h", 3, b"two")),
            (Output, status(3, 4)),
        ],
        vec![(Input, write(2, b"h", 1 << 62, b"two")), (Output, status(2, 4))],
        vec![(Input, read(2, b"h", 1 << 63, 3)), (Output, status(2, 4))],
    ];
    for between in lacking {
        let files = used(READ | WRITE, &between);
        let [file] = &files[..] else { panic!("{files:?}") };
        assert_eq!((file.status.as_str(), file.refused.as_deref()), ("failure", None), "{between:?}");
    }
    // Asked again it may be given.
    let again = [
        (Input, read(2, b"h", 0, 3)),
        (Output, status(2, 4)),
        (Input, read(3, b"h", 0, 3)),
        (Output, data(3, b"one")),
    ];
    let file = &used(READ, &again)[0];
    assert_eq!((file.status.as_str(), file.bytes, file.sha256.is_some()), ("ok", 3, true));
    // What one way is refused says nothing of the other.
    let both = [
        (Input, write(2, b"h", 0, b"one")),
        (Output, status(2, 0)),
        (Input, read(3, b"h", 0, 3)),
        (Output, status(3, 3)),
    ];
    let found: Vec<_> = used(WRITE, &both).into_iter().map(|file| (file.direction, file.status)).collect();
    let expected =
        [(Direction::Upload, "ok".to_owned()), (Direction::Download, "permission denied".to_owned())];
    assert_eq!(found, expected);
}

#[test]
fn a_part_far_beyond_the_rest_that_is_taken_leaves_no_digest() {
    for answer in [Some(0), None] {
        let mut between = vec![(Input, write(2, b"h", 0, b"one")), (Output, status(2, 0))];
        between.push((Input, write(3, b"h", 1 << 40, b"far")));
        between.extend(answer.map(|code| (Output, status(3, code))));
        let file = &used(WRITE, &between)[0];
        assert_eq!((file.sha256, file.no_sha256.as_deref()), (None, Some("a part did not pass")));
    }
}
