//! The gate against a server that answers whatever it sees, in any chunking.

use std::collections::HashMap;

use bartizan_model::{FileRules, GrantId, PathGlob};
use proptest::prelude::*;

use super::*;

fn rules(paths: &[&str], not_paths: &[&str], max_file_bytes: Option<u64>) -> FileRules {
    let globs = |texts: &[&str]| texts.iter().map(|text| PathGlob::new(text).unwrap()).collect();
    FileRules { paths: globs(paths), not_paths: globs(not_paths), max_file_bytes }
}

fn access(read: &[FileRules], write: &[FileRules]) -> FileAccess {
    let of = |rules: &[FileRules]| rules.iter().map(|rules| (GrantId("g1".into()), rules.clone())).collect();
    FileAccess::by_rules(of(read), of(write))
}

/// Reads and writes below `/srv`, but not in `/srv/keys`; files up to 100 bytes.
fn srv() -> FileAccess {
    let rules = rules(&["/srv/**"], &["/srv/keys/**"], Some(100));
    access(std::slice::from_ref(&rules), std::slice::from_ref(&rules))
}

fn string(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat()
}

fn packet(kind: u8, fields: &[&[u8]]) -> Vec<u8> {
    let body = fields.concat();
    [&(body.len() as u32 + 1).to_be_bytes()[..], &[kind], &body].concat()
}

fn by_path(kind: u8, id: u32, path: &str) -> Vec<u8> {
    packet(kind, &[&id.to_be_bytes(), &string(path.as_bytes())])
}

fn open(id: u32, path: &str, flags: u32) -> Vec<u8> {
    packet(3, &[&id.to_be_bytes(), &string(path.as_bytes()), &flags.to_be_bytes(), &[0; 4]])
}

fn read(id: u32, handle: &[u8], offset: u64, length: u32) -> Vec<u8> {
    packet(5, &[&id.to_be_bytes(), &string(handle), &offset.to_be_bytes(), &length.to_be_bytes()])
}

fn write(id: u32, handle: &[u8], offset: u64, contents: &[u8]) -> Vec<u8> {
    packet(6, &[&id.to_be_bytes(), &string(handle), &offset.to_be_bytes(), &string(contents)])
}

fn pair(kind: u8, id: u32, from: &str, to: &str) -> Vec<u8> {
    packet(kind, &[&id.to_be_bytes(), &string(from.as_bytes()), &string(to.as_bytes())])
}

fn extended(id: u32, name: &str, fields: &[&[u8]]) -> Vec<u8> {
    packet(200, &[&id.to_be_bytes(), &string(name.as_bytes()), &fields.concat()])
}

/// `size` as the only attribute.
fn sized(size: u64) -> Vec<u8> {
    [&1_u32.to_be_bytes()[..], &size.to_be_bytes()].concat()
}

/// The packets in a stream: type and what follows it.
fn packets(mut stream: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut found = Vec::new();
    while !stream.is_empty() {
        let length = cut::number(stream, 0) as usize;
        found.push((stream[4], stream[5..4 + length].to_vec()));
        stream = &stream[4 + length..];
    }
    found
}

/// A gate between a client and a server, with all that reached each of them.
struct Rig {
    gate: Gate,
    access: FileAccess,
    /// How large the chunks are.
    chunk: usize,
    to_target: Vec<u8>,
    to_client: Vec<u8>,
    refused: Vec<Refused>,
}

impl Rig {
    fn new(access: FileAccess, chunk: usize) -> Self {
        let (to_target, to_client) = (Vec::new(), Vec::new());
        Self { gate: Gate::new(), access, chunk, to_target, to_client, refused: Vec::new() }
    }

    fn client(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        for chunk in bytes.chunks(self.chunk) {
            let mut edit = DataEdit::default();
            match self.gate.input(chunk, &self.access, &mut edit)? {
                Gated::Unchanged => {
                    assert!(edit.back.is_empty() && edit.held == 0);
                    self.to_target.extend(chunk);
                }
                Gated::Changed => self.to_target.extend(&edit.onward),
            }
            self.to_client.extend(&edit.back);
            self.refused.extend(self.gate.refused());
        }
        Ok(())
    }

    fn target(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        for chunk in bytes.chunks(self.chunk) {
            let mut edit = DataEdit::default();
            match self.gate.output(chunk, &mut edit)? {
                Gated::Unchanged => self.to_client.extend(chunk),
                Gated::Changed => self.to_client.extend(&edit.onward),
            }
            self.refused.extend(self.gate.refused());
        }
        Ok(())
    }

    /// One request; what the client is answered in place, if it is refused.
    fn ask(&mut self, request: &[u8]) -> Option<(u32, String)> {
        let (before, answered) = (self.to_target.len(), self.to_client.len());
        self.client(request).unwrap();
        match self.to_client[answered..].len() {
            0 => {
                assert_eq!(self.to_target[before..], *request, "passed as it was");
                None
            }
            _ => {
                assert_eq!(self.to_target.len(), before, "the target sees nothing of it");
                let answers = packets(&self.to_client[answered..]);
                let [(kind::STATUS, body)] = answers.as_slice() else { panic!("{answers:?}") };
                let message = &body[12..12 + cut::number(body, 8) as usize];
                assert_eq!(body.len(), 12 + message.len() + 4);
                Some((cut::number(body, 4), String::from_utf8(message.to_vec()).unwrap()))
            }
        }
    }

    /// Opens a file that may be opened.
    fn opened(&mut self, id: u32, path: &str, flags: u32, handle: &[u8]) {
        assert_eq!(self.ask(&open(id, path, flags)), None, "{path}");
        self.target(&packet(kind::HANDLE, &[&id.to_be_bytes(), &string(handle)])).unwrap();
    }

    fn answer(&mut self, id: u32) {
        self.target(&packet(kind::STATUS, &[&id.to_be_bytes(), &[0; 12]])).unwrap();
    }
}

#[test]
fn requests_pass_or_are_answered_in_place() {
    let sizes = |size| [&string(b"/srv/a")[..], &sized(size)].concat();
    for (request, passes) in [
        (packet(1, &[&3_u32.to_be_bytes()]), true),
        (open(1, "/srv/a", 1), true),
        (open(1, "/srv/a", 0x1a), true),
        (open(1, "/srv/a", 0x0e), false), // APPEND, with a largest size
        (open(1, "/etc/passwd", 1), false),
        (open(1, "/srv/../etc/passwd", 1), false),
        (open(1, "/srv//./a", 1), true),
        (open(1, "srv/a", 1), false),
        (open(1, "/srv/keys/a", 1), false),
        (by_path(11, 1, "/srv"), true),
        (by_path(11, 1, "/"), false),
        (by_path(17, 1, "/"), true),
        (by_path(7, 1, "/srv/keys"), false),
        (by_path(17, 1, "/etc"), false),
        (by_path(16, 1, "."), true),
        (by_path(16, 1, "/srv/a/.."), true),
        (by_path(16, 1, "/etc"), false),
        (by_path(19, 1, "/srv/link"), true),
        (by_path(19, 1, "/etc/link"), false),
        (by_path(13, 1, "/srv/a"), true),
        (by_path(13, 1, "/etc/a"), false),
        (by_path(15, 1, "/srv/keys"), false),
        (packet(14, &[&[0; 4], &string(b"/srv/new"), &[0; 4]]), true),
        (packet(14, &[&[0; 4], &string(b"/new"), &[0; 4]]), false),
        (packet(9, &[&[0; 4], &sizes(100)]), true),
        (packet(9, &[&[0; 4], &sizes(101)]), false),
        (pair(18, 1, "/srv/a", "/srv/b"), true),
        (pair(18, 1, "/srv/a", "/etc/b"), false),
        (pair(18, 1, "/etc/b", "/srv/a"), false),
        (pair(18, 1, "/srv", "/srv/x"), false),
        (pair(20, 1, "/srv/a", "/srv/b"), true),
        (pair(20, 1, "/etc/passwd", "/srv/b"), false),
        (pair(20, 1, "../etc/passwd", "/srv/b"), false),
        (pair(20, 1, "/srv/a", "b"), false),
        (extended(1, "posix-rename@openssh.com", &[&string(b"/srv/a"), &string(b"/srv/b")]), true),
        (extended(1, "posix-rename@openssh.com", &[&string(b"/srv/a"), &string(b"/etc/b")]), false),
        (extended(1, "hardlink@openssh.com", &[&string(b"/etc/passwd"), &string(b"/srv/b")]), false),
        (extended(1, "lsetstat@openssh.com", &[&string(b"/etc/passwd"), &[0; 4]]), false),
        (extended(1, "statvfs@openssh.com", &[&string(b"/srv")]), true),
        (extended(1, "statvfs@openssh.com", &[&string(b"/etc")]), false),
        (extended(1, "expand-path@openssh.com", &[&string(b"~/x")]), true),
        (extended(1, "expand-path@openssh.com", &[&string(b"~")]), true),
        (extended(1, "expand-path@openssh.com", &[&string(b"~/..")]), false),
        (extended(1, "expand-path@openssh.com", &[&string(b"~/a/../../etc/x")]), false),
        (extended(1, "expand-path@openssh.com", &[&string(b"~bob/x")]), false),
        (extended(1, "expand-path@openssh.com", &[&string(b"~..")]), false),
        (extended(1, "expand-path@openssh.com", &[&string(b"/etc/x")]), false),
        (extended(1, "limits@openssh.com", &[]), true),
        (extended(1, "check-file@example.com", &[&string(b"/srv/a")]), false),
        (packet(21, &[&[0; 4], &string(b"/srv/a")]), false),
        (read(1, b"none", 0, 1), false),
        (write(1, b"none", 0, b"x"), false),
        (by_path(4, 1, "none"), false),
    ] {
        for chunk in [usize::MAX, 1, 7] {
            let mut rig = Rig::new(srv(), chunk);
            let answer = rig.ask(&request);
            assert_eq!(answer.is_none(), passes, "{request:?} {answer:?}");
            assert_eq!(rig.refused.len(), usize::from(!passes), "{request:?}");
        }
    }
}

#[test]
fn one_permission_is_not_the_other() {
    let everything = [FileRules::default()];
    let (reads, writes) = (access(&everything, &[]), access(&[], &everything));
    for (request, needs_read, needs_write) in [
        (open(1, "x", 1), true, false),
        (open(1, "x", 0), true, false),
        (open(1, "../x", 2 | 8 | 16), false, true),
        (open(1, "x", 1 | 2), true, true),
        (open(1, "x", 1 | 16), true, true),
        (open(1, "x", 4), true, true),
        (by_path(11, 1, "x"), true, false),
        (by_path(17, 1, "x"), false, false),
        (by_path(13, 1, "x"), false, true),
        (packet(9, &[&[0; 4], &string(b"x"), &[0; 4]]), false, true),
        (pair(18, 1, "x", "y"), false, true),
        (pair(20, 1, "x", "y"), false, true),
    ] {
        assert_eq!(Rig::new(reads.clone(), 1000).ask(&request).is_none(), !needs_write, "{request:?}");
        assert_eq!(Rig::new(writes.clone(), 1000).ask(&request).is_none(), !needs_read, "{request:?}");
    }
}

/// More must not be kept; what was kept before can still be used, and given back.
#[test]
fn a_full_gate_still_closes() {
    let mut rig = Rig::new(srv(), usize::MAX);
    let longest = format!("/srv/{}", "a".repeat(MAX_PATH - 5));
    let (mut id, mut fits) = (0, longest.as_str());
    while rig.gate.kept < MAX_KEPT {
        let left = MAX_KEPT - rig.gate.kept;
        fits = &fits[..fits.len().min(left)];
        id += 1;
        // The handle is known only when it is open: with the last one, more is kept than may be.
        rig.opened(id, fits, 1, &id.to_be_bytes());
    }
    let (code, reason) = rig.ask(&open(id + 1, "/srv/a", 1)).unwrap();
    assert_eq!((code, reason.as_str()), (4, "bartizan: too much is open, or waits for an answer"));
    assert_eq!(rig.ask(&read(id + 1, &1_u32.to_be_bytes(), 0, 10)), None);
    rig.answer(id + 1);
    assert_eq!(rig.ask(&by_path(17, id + 1, "/srv/a")), None);
    rig.answer(id + 1);
    let close = packet(4, &[&(id + 1).to_be_bytes(), &string(&1_u32.to_be_bytes())]);
    assert_eq!(rig.ask(&close), None, "the target hears of it, too");
    rig.answer(id + 1);
    assert_eq!(rig.ask(&open(id + 1, "/srv/a", 1)), None);
}

#[test]
fn what_is_open_is_used_as_it_was_opened() {
    let mut rig = Rig::new(srv(), usize::MAX);
    rig.opened(1, "/srv/a", 1, b"A");
    rig.opened(2, "/srv/b", 0x1a, b"B");
    assert_eq!(rig.ask(&write(3, b"B", 0, &[0; 100])), None);
    rig.answer(3);
    assert_eq!(
        rig.ask(&write(4, b"B", 1, &[0; 100])).unwrap(),
        (3, "bartizan: the file is larger than what is permitted: 100".into())
    );
    assert!(rig.ask(&write(4, b"B", u64::MAX, &[0; 100])).is_some(), "the end is beyond 2^64");
    assert!(rig.ask(&write(4, b"A", 0, b"x")).is_some(), "opened to be read");
    assert!(rig.ask(&read(4, b"B", 0, 1)).is_some(), "opened to be written");
    assert_eq!(rig.refused.len(), 2, "one for each file");
    assert_eq!((rig.refused[0].request, rig.refused[0].path.as_slice()), ("write", &b"/srv/b"[..]));
    assert!(rig.ask(&packet(10, &[&[0; 4], &string(b"B"), &sized(101)])).is_some());
    assert_eq!(rig.ask(&packet(10, &[&[0; 4], &string(b"B"), &sized(100)])), None);
    rig.answer(0);
    let copy = |length: u64| {
        extended(5, "copy-data", &[&string(b"A"), &[0; 8], &length.to_be_bytes(), &string(b"B"), &[0; 8]])
    };
    assert_eq!(rig.ask(&copy(100)), None);
    rig.answer(5);
    assert!(rig.ask(&copy(101)).is_some() && rig.ask(&copy(0)).is_some(), "0 is all of it");
    assert_eq!(rig.ask(&by_path(4, 6, "A")), None);
    rig.answer(6);
    assert!(rig.ask(&read(7, b"A", 0, 1)).is_some(), "closed");
}

/// The size is that of the file, as far as it comes: clients ask beyond the end to find it.
#[test]
fn no_byte_beyond_the_largest_size_is_read() {
    for chunk in [usize::MAX, 1, 5] {
        let mut rig = Rig::new(srv(), chunk);
        rig.opened(1, "/srv/a", 1, b"A");
        for (offset, length, comes, passes) in [
            (0, 100, 100, true),
            (0, 32_768, 100, true),
            (0, 32_768, 101, false),
            (90, 32_768, 10, true),
            (90, 32_768, 11, false),
            (100, 32_768, 1, false),
            (u64::MAX, u32::MAX, 1, false),
        ] {
            assert_eq!(rig.ask(&read(2, b"A", offset, length)), None);
            let before = rig.to_client.len();
            let data = packet(kind::DATA, &[&2_u32.to_be_bytes(), &string(&vec![b'x'; comes])]);
            rig.target(&data).unwrap();
            let came = packets(&rig.to_client[before..]);
            assert_eq!(came.len(), 1, "one reply");
            assert_eq!(came[0].0, if passes { kind::DATA } else { kind::STATUS }, "{offset} {comes}");
        }
        assert_eq!(rig.refused.len(), 1, "told once");
        assert_eq!(rig.ask(&read(2, b"A", 100, 32_768)), None);
        rig.answer(2);
    }
}

#[test]
fn relative_paths_count_once_the_target_has_said_where_they_begin() {
    let home = rules(&["/home/alice/**"], &[], None);
    let mut rig = Rig::new(access(&[home], &[]), 3);
    assert!(rig.ask(&open(1, "x", 1)).unwrap().1.contains("relative"));
    assert_eq!(rig.ask(&by_path(16, 2, ".")), None);
    let name = |path: &[u8]| {
        packet(
            kind::NAME,
            &[&2_u32.to_be_bytes(), &1_u32.to_be_bytes(), &string(path), &string(b""), &[0; 4]],
        )
    };
    rig.target(&name(b"/home/alice")).unwrap();
    assert_eq!(rig.ask(&open(3, "x", 1)), None);
    assert!(rig.ask(&open(4, "../bob", 1)).is_some());
    // It says so once: a second answer moves nothing.
    assert_eq!(rig.ask(&by_path(16, 2, ".")), None);
    rig.target(&name(b"/etc")).unwrap();
    assert_eq!(rig.ask(&open(5, "y", 1)), None);
}

#[test]
fn answers_stand_between_packets_of_the_target() {
    let mut rig = Rig::new(srv(), usize::MAX);
    rig.opened(1, "/srv/a", 1, b"A");
    assert_eq!(rig.ask(&read(2, b"A", 0, 50)), None);
    let data = packet(kind::DATA, &[&2_u32.to_be_bytes(), &string(&[b'x'; 50])]);
    let before = rig.to_client.len();
    rig.target(&data[..20]).unwrap();
    rig.client(&open(3, "/etc/a", 1)).unwrap();
    rig.client(&open(4, "/etc/b", 1)).unwrap();
    assert_eq!(rig.to_client[before..], data[..20], "they wait");
    rig.target(&data[20..]).unwrap();
    let came = packets(&rig.to_client[before..]);
    assert_eq!(
        came.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(),
        [kind::DATA, kind::STATUS, kind::STATUS]
    );
}

#[test]
fn what_cannot_be_judged_ends_the_channel() {
    let long = |kind: u8, length: u32| [&length.to_be_bytes()[..], &[kind], &[0; 64]].concat();
    for request in [
        long(3, 0),
        long(3, 40_000),
        long(6, 17 << 20),
        packet(3, &[&[0; 2]]),
        packet(3, &[&[0; 4], &100_u32.to_be_bytes(), b"/srv"]),
        packet(6, &[&[0; 4], &string(&[0; 257]), &[0; 12]]),
        packet(6, &[&[0; 4], &string(b"A"), &[0; 8], &100_u32.to_be_bytes(), b"x"]),
        packet(1, &[&[0; 1]]),
        [open(1, "/srv/a", 1), open(1, "/srv/b", 1)].concat(),
    ] {
        assert!(Rig::new(srv(), 9).client(&request).is_err(), "{request:?}");
    }
    for answer in [
        long(kind::STATUS, 0),
        long(kind::DATA, 17 << 20),
        packet(kind::VERSION, &[&4_u32.to_be_bytes()]),
        packet(kind::HANDLE, &[&7_u32.to_be_bytes(), &string(b"A")]),
        packet(kind::STATUS, &[&[0; 3]]),
    ] {
        assert!(Rig::new(srv(), 9).target(&answer).is_err(), "{answer:?}");
    }
}

#[test]
fn no_newer_version_is_agreed_on() {
    let mut rig = Rig::new(srv(), 2);
    rig.client(&packet(1, &[&6_u32.to_be_bytes(), &string(b"x"), &string(b"y")])).unwrap();
    assert_eq!(rig.to_target, packet(1, &[&3_u32.to_be_bytes(), &string(b"x"), &string(b"y")]));
    rig.target(&packet(kind::VERSION, &[&3_u32.to_be_bytes()])).unwrap();
}

#[test]
fn a_change_of_policy_counts_at_once_for_what_is_open() {
    let mut rig = Rig::new(srv(), 100);
    rig.opened(1, "/srv/a", 1, b"A");
    assert_eq!(rig.ask(&read(2, b"A", 0, 1)), None);
    rig.answer(2);
    rig.access = access(&[rules(&["/srv/b"], &[], None)], &[]);
    rig.gate.judge_again(&rig.access);
    assert!(rig.ask(&read(2, b"A", 0, 1)).is_some());
}

#[test]
fn a_client_that_never_waits_is_ended_not_remembered() {
    let mut rig = Rig::new(srv(), usize::MAX);
    rig.opened(1, "/srv/a", 1, b"A");
    assert_eq!(rig.ask(&read(2, b"A", 0, 50)), None);
    rig.target(&packet(kind::DATA, &[&2_u32.to_be_bytes(), &string(&[b'x'; 50])])[..20]).unwrap();
    let ended = (0..10_000).find_map(|id| rig.client(&open(id + 10, "/etc/a", 1)).err());
    assert!(ended.is_some() && rig.gate.answers.len() <= MAX_WAITING + 512);
}

/// A request of a client that means no good, and whether it may pass when it comes first.
fn requests() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let path =
        prop::sample::select(vec!["/srv/a", "/srv/b", "/etc/a", "/srv/keys/a", "/srv/../etc/a", "x", ""]);
    let handle = prop::sample::select(vec![&b"A"[..], b"B", b"C"]);
    let one = (0_u8..9, path.clone(), path, handle, 0_u64..200, 0_usize..200).prop_map(
        |(kind, path, to, handle, offset, length)| {
            let id = 0;
            match kind {
                0 => open(id, path, 1),
                1 => open(id, path, 0x1a),
                2 => read(id, handle, offset, length as u32),
                3 => write(id, handle, offset, &vec![b'w'; length]),
                4 => by_path(4, id, std::str::from_utf8(handle).unwrap()),
                5 => pair(18, id, path, to),
                6 => by_path(17, id, path),
                7 => by_path(16, id, path),
                _ => extended(id, "unknown@example.com", &[]),
            }
        },
    );
    prop::collection::vec(one, 0..40).prop_map(|mut requests| {
        for (id, request) in requests.iter_mut().enumerate() {
            request[5..9].copy_from_slice(&(id as u32 + 100).to_be_bytes());
        }
        requests
    })
}

/// A server that does as it is told: handles are letters, reads give what was asked for.
fn served(requests: &[(u8, Vec<u8>)], next: &mut u8) -> Vec<u8> {
    let mut answers = Vec::new();
    for (kind, body) in requests {
        let id = &body[..4];
        answers.extend(match kind {
            3 => {
                *next += 1;
                packet(kind::HANDLE, &[id, &string(&[b'@' + *next])])
            }
            5 => {
                let length = cut::number(body, body.len() - 4) as usize;
                packet(kind::DATA, &[id, &string(&vec![b'r'; length])])
            }
            16 => packet(kind::NAME, &[id, &1_u32.to_be_bytes(), &string(b"/srv"), &string(b""), &[0; 4]]),
            _ => packet(kind::STATUS, &[id, &[0; 12]]),
        });
    }
    answers
}

fn played(requests: &[Vec<u8>], chunk: usize) -> Rig {
    let (mut rig, mut next) = (Rig::new(srv(), chunk), 0);
    for request in requests {
        let before = rig.to_target.len();
        rig.client(request).unwrap();
        let came = packets(&rig.to_target[before..]);
        rig.target(&served(&came, &mut next)).unwrap();
    }
    rig
}

proptest! {
    #[test]
    fn each_request_has_one_reply_and_no_chunking_matters(requests in requests(), chunk in 1_usize..64) {
        let (whole, cut) = (played(&requests, usize::MAX), played(&requests, chunk));
        prop_assert_eq!(&whole.to_target, &cut.to_target);
        prop_assert_eq!(&whole.to_client, &cut.to_client);
        prop_assert_eq!(&whole.refused, &cut.refused);
        let mut replies: HashMap<u32, usize> = HashMap::new();
        for (_, body) in packets(&cut.to_client) {
            *replies.entry(cut::number(&body, 0)).or_default() += 1;
        }
        for id in 0..requests.len() as u32 {
            prop_assert_eq!(replies.get(&(id + 100)), Some(&1));
        }
        prop_assert_eq!(replies.len(), requests.len());
        for (kind, body) in packets(&cut.to_target) {
            let path = String::from_utf8_lossy(&body).into_owned();
            prop_assert!(!path.contains("/etc/") && !path.contains("/keys/") && !path.contains("unknown@"), "{} {:?}", kind, path);
        }
    }

    /// Whatever comes, in either direction: no panic, and never more kept than a request and the answers that wait.
    #[test]
    fn nothing_that_comes_is_too_much(pieces in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..80)), 0..20)) {
        let mut rig = Rig::new(srv(), 13);
        for (client, bytes) in pieces {
            if if client { rig.client(&bytes) } else { rig.target(&bytes) }.is_err() {
                break;
            }
        }
        prop_assert!(rig.gate.input.held() <= 32 << 10 && rig.gate.output.held() <= 10 << 10);
    }
}

#[test]
fn no_path_is_longer_than_any_that_can_be_opened() {
    let mut rig = Rig::new(srv(), usize::MAX);
    let path = |length: usize| format!("/srv/{}", "a/".repeat(length))[..length].to_owned();
    assert_eq!(rig.ask(&by_path(13, 1, &path(MAX_PATH))), None);
    for request in [
        by_path(13, 2, &path(MAX_PATH + 1)),
        open(2, &path(MAX_PATH + 1), 1),
        pair(18, 2, "/srv/a", &path(MAX_PATH + 1)),
        pair(18, 2, &path(30_000), "/srv/a"),
        by_path(16, 2, &path(MAX_PATH + 1)),
    ] {
        let (code, why) = rig.ask(&request).unwrap();
        assert_eq!((code, why.as_str()), (4, "bartizan: a path may have 4096 bytes"));
    }
    assert_eq!(rig.refused.len(), 5);
}

#[test]
fn what_waits_and_what_is_open_has_its_bound_in_bytes() {
    let mut rig = Rig::new(srv(), usize::MAX);
    let path = format!("/srv/{}", "a".repeat(MAX_PATH - 5));
    let fits = (MAX_KEPT / MAX_PATH) as u32;
    for id in 0..fits {
        assert_eq!(rig.ask(&open(id, &path, 1)), None);
    }
    let full = |rig: &mut Rig, id| rig.ask(&open(id, &path, 1)).is_some_and(|(code, _)| code == 4);
    assert!(full(&mut rig, fits));
    // What was opened counts still, by a handle that is given out again once.
    for id in 0..2 {
        rig.target(&packet(kind::HANDLE, &[&(id as u32).to_be_bytes(), &string(b"H")])).unwrap();
    }
    assert_eq!(rig.ask(&open(fits + 1, "/srv/b", 1)), None);
    assert!(full(&mut rig, fits + 2));
    assert_eq!(rig.ask(&by_path(4, fits + 3, "H")), None);
    assert_eq!(rig.ask(&open(fits + 4, &path, 1)), None);
    // And nothing once all is answered and closed.
    for id in [2..fits, fits + 1..fits + 2, fits + 3..fits + 5].into_iter().flatten() {
        rig.answer(id);
    }
    assert_eq!((rig.gate.kept, rig.gate.pending.len(), rig.gate.handles.len()), (0, 0, 0));
}
