//! Clients and targets that do as nobody should.

use proptest::prelude::*;

use super::super::super::packet::{kind, string};
use super::super::{Order, Root, RootLimits};
use super::rig::{OPENSSH, Packet, Rig, on, packets, request, said, status, two};
use crate::sftp::{BadLength, Status, Violation};

#[test]
fn a_client_that_cannot_be_understood_is_told_to_go() {
    for (bytes, violation) in [
        (&[0, 0, 0, 0][..], Violation::Length(BadLength(0))),
        (&[0, 4, 0, 1], Violation::Length(BadLength(262_145))),
        (&[255; 4], Violation::Length(BadLength(u32::MAX))),
        (&[0, 0, 0, 5, 4, 0, 0, 0, 1], Violation::NoInit(4)),
        (&[0, 0, 0, 4, 4, 0, 0, 0], Violation::Short(4)),
    ] {
        let mut root = Root::new(RootLimits::default(), 0);
        assert_eq!(root.from_client(bytes), Err(violation));
    }
}

#[test]
fn requests_that_make_no_sense_are_answered_and_the_rest_lives_on() {
    let mut rig = Rig::new();
    for kind in [0, 2, 21, 50, 101, 105, 201, 255] {
        assert_eq!(rig.ask(&request(kind, 1, &[b"whatever"])), "8 this request is not known here", "{kind}");
    }
    for (bytes, answer) in [
        (request(kind::STAT, 1, &[]), "5 malformed path"),
        (request(kind::STAT, 1, &[&[255; 8]]), "5 malformed path"),
        (request(kind::OPEN, 1, &[&string(b"/web-1")]), "5 malformed pflags"),
        (request(kind::RENAME, 1, &[&string(b"/web-1/root/a")]), "5 malformed path"),
        (request(kind::EXTENDED, 1, &[]), "5 malformed extended-request"),
        (request(kind::EXTENDED, 1, &[&string(b"copy-data")]), "5 malformed handle"),
        (on(kind::STAT, 1, "/web-1/root/a\0b"), "5 malformed path: it holds a NUL"),
        (request(kind::CLOSE, 1, &[&string(b"made up")]), "4 no such handle is open"),
        (request(kind::READ, 1, &[&string(&[255; 8])]), "4 no such handle is open"),
        (on(kind::STAT, 1, &format!("/{}", "a".repeat(256))), "2 no target or login has so long a name"),
        (
            on(kind::STAT, 1, &format!("/web-1/{}/x", "a".repeat(9000))),
            "2 no target or login has so long a name",
        ),
    ] {
        assert_eq!(rig.ask(&bytes), answer);
    }
    // A path of 64 KiB is the target's to refuse.
    let long = format!("/web-1/root/{}", "a".repeat(64 << 10));
    assert_eq!(rig.send(&on(kind::STAT, 1, &long)), []);
    let place = rig.entered("web-1", "root");
    rig.open(place, &OPENSSH);
    assert_eq!(rig.to(place)[1].1.len(), 4 + 4 + 1 + (64 << 10));
}

#[test]
fn no_dots_lead_from_one_permission_to_another() {
    let mut rig = Rig::new();
    rig.send(&on(kind::STAT, 1, "/web-1/root/../../../../db-1/root/etc/../shadow"));
    let place = rig.entered("db-1", "root");
    rig.open(place, &OPENSSH);
    assert_eq!(rig.to(place)[1].1[4..], string(b"/shadow"));
    assert_eq!(rig.orders.len(), 1, "judged as what it is: {:?}", rig.orders);
}

/// A target that answers a request for attributes, or whatever `asks` is, in a wrong way.
fn broken(asks: &[u8], answer: impl Fn(&Packet) -> Packet) -> (Vec<(u32, String)>, Vec<Order>) {
    let mut rig = Rig::new();
    let place = rig.inside("web-1", "root");
    rig.orders.clear();
    rig.send(asks);
    let asked = rig.to(place).pop().unwrap();
    let (kind, body) = answer(&asked);
    rig.from(place, kind, &body);
    (rig.received().iter().map(said).collect(), rig.orders)
}

#[test]
fn a_target_that_breaks_the_protocol_ends_its_own_place() {
    let stat = on(kind::STAT, 5, "/web-1/root/a");
    let by_id = |kind: u8, rest: &'static [u8]| move |asked: &Packet| (kind, [&asked.1[..4], rest].concat());
    for (got, orders) in [
        broken(&stat, |_| (kind::STATUS, vec![9; 4])),
        broken(&stat, |_| (kind::STATUS, vec![9])),
        broken(&stat, |_| (kind::VERSION, vec![0, 0, 0, 3])),
        broken(&stat, |_| (77, vec![0; 4])),
        broken(&stat, by_id(kind::DATA, &[0; 4])),
        broken(&stat, by_id(kind::HANDLE, &[0; 4])),
    ] {
        assert!(
            matches!(&got[..], [(5, text)] if text.starts_with("7 root@web-1: its SFTP server broke")),
            "{got:?}"
        );
        assert!(matches!(&orders[..], [Order::Leave(_), Order::Say(_)]), "{orders:?}");
    }
    let open = on(kind::OPEN, 5, "/web-1/root/a");
    let (got, orders) = broken(&open, |asked| (kind::HANDLE, [&asked.1[..4], &string(&[0; 257])].concat()));
    assert_eq!((got[0].1.as_str(), orders.len()), ("4 the target gave no handle", 2));
    let mut rig = Rig::new();
    let place = rig.inside("web-1", "root");
    rig.root.from_place(place, &[255; 4]);
    assert!(rig.root.to_place(place).is_none(), "a packet of 4 GiB");
    let mut rig = Rig::new();
    rig.send(&stat);
    let place = rig.entered("web-1", "root");
    rig.from(place, kind::VERSION, &[0, 0, 0, 6]);
    assert!(said(&rig.received()[0]).1.contains("another version than 3"));
}

/// OpenSSH's client ends its conversation, and with it all other places, over an answer that it cannot read.
#[test]
fn answers_that_end_clients_end_their_place_instead() {
    let file = |rig: &mut Rig| {
        let place = rig.inside("web-1", "root");
        (place, rig.file(place, "/web-1/root/a", b"A"))
    };
    let read = |handle: &[u8]| request(kind::READ, 5, &[&string(handle), &[0; 8], &100u32.to_be_bytes()]);
    let stat = |_: &[u8]| on(kind::STAT, 5, "/web-1/root/a");
    let statvfs =
        |_: &[u8]| request(kind::EXTENDED, 5, &[&string(b"statvfs@openssh.com"), &string(b"/web-1/root/a")]);
    type Asks<'a> = &'a dyn Fn(&[u8]) -> Vec<u8>;
    let extended = [&0x8000_0000u32.to_be_bytes()[..], &[0, 0, 0, 1], &string(b"a\0"), &string(b"")].concat();
    for (asks, kind, rest) in [
        (&stat as Asks<'_>, kind::STATUS, vec![]),
        (&stat, kind::STATUS, vec![0, 0, 4]),
        (&stat, kind::STATUS, [&[0, 0, 0, 4][..], &[0, 0, 0, 9], b"short"].concat()),
        (&stat, kind::ATTRS, vec![]),
        (&stat, kind::ATTRS, vec![0, 0, 0, 1, 0, 0]),
        (&stat, kind::ATTRS, vec![0x80, 0, 0, 0, 255, 255, 255, 255]),
        (&stat, kind::ATTRS, extended),
        (&read, kind::DATA, vec![]),
        (&read, kind::DATA, vec![0, 0, 0, 9, 1]),
        (&read, kind::DATA, string(&[1; 101])),
        (&statvfs, kind::EXTENDED_REPLY, vec![0; 87]),
    ] {
        let mut rig = Rig::new();
        let (place, handle) = file(&mut rig);
        let other = rig.inside("db-1", "root");
        rig.send(&asks(&handle));
        let asked = rig.to(place).pop().unwrap();
        rig.answer(place, kind, &asked, &rest);
        let got: Vec<_> = rig.received().iter().map(said).collect();
        assert!(
            matches!(&got[..], [(5, text)] if text.starts_with("7 root@web-1: its SFTP server broke")),
            "{kind} {rest:?}: {got:?}"
        );
        assert!(rig.root.to_place(place).is_none() && rig.root.to_place(other).is_some());
    }
}

#[test]
fn answers_go_on_as_far_as_they_are_understood() {
    let mut rig = Rig::new();
    let place = rig.inside("web-1", "root");
    let file = rig.file(place, "/web-1/root/a", b"A");
    let stat = on(kind::STAT, 5, "/web-1/root/a");
    let read = request(kind::READ, 5, &[&string(&file), &[0; 8], &100u32.to_be_bytes()]);
    let texts =
        |text: &[u8], language: &[u8]| [&4u32.to_be_bytes()[..], &string(text), &string(language)].concat();
    for (asks, kind, rest, goes_on) in [
        (&stat, kind::STATUS, texts(b"no", b"en"), texts(b"no", b"en")),
        (&stat, kind::STATUS, [&texts(b"no", b"en")[..], b"more"].concat(), texts(b"no", b"en")),
        (&stat, kind::STATUS, vec![0, 0, 0, 4], texts(b"", b"")),
        (&stat, kind::STATUS, [&[0, 0, 0, 4][..], &string(b"no")].concat(), texts(b"no", b"")),
        (&stat, kind::STATUS, texts(&[b'a'; 200 << 10], b""), texts(&[b'a'; 4096], b"")),
        (&stat, kind::ATTRS, vec![0, 0, 0, 4, 0, 0, 1, 0xED, 7], vec![0, 0, 0, 4, 0, 0, 1, 0xED]),
        (&read, kind::DATA, [&string(&[1; 100])[..], b"more"].concat(), string(&[1; 100])),
    ] {
        rig.send(asks);
        let asked = rig.to(place).pop().unwrap();
        rig.answer(place, kind, &asked, &rest);
        let got = rig.received().pop().unwrap();
        assert_eq!((got.0, &got.1[..4]), (kind, &[0, 0, 0, 5][..]));
        assert!(got.1[4..] == goes_on, "{kind} {rest:?}");
    }
}

/// An answer names a path twice.
#[test]
fn paths_that_no_client_could_read_do_not_go_on() {
    let mut rig = Rig::new();
    let place = rig.inside("web-1", "root");
    for asks in [kind::REALPATH, kind::READLINK] {
        for (name, answer) in [
            (vec![b'a'; 200 << 10], "4 the target named no path"),
            (b"a\0b".to_vec(), "4 the target named no path"),
            (b"a".to_vec(), if asks == kind::REALPATH { "1 /web-1/root/a" } else { "1 a" }),
        ] {
            rig.send(&on(asks, 5, "/web-1/root/x"));
            let asked = rig.to(place).pop().unwrap();
            let rest = [&[0, 0, 0, 1][..], &string(&name), &string(b""), &[0; 4]].concat();
            rig.answer(place, kind::NAME, &asked, &rest);
            assert_eq!(said(&rig.received()[0]), (5, answer.into()));
        }
    }
}

#[test]
fn names_that_lead_out_of_their_folder_do_not_reach_the_client() {
    let mut rig = Rig::new();
    let place = rig.inside("web-1", "root");
    let folder = rig.file(place, "/web-1/root/a", b"A");
    let names = |names: &[&[u8]]| {
        let entry = |name: &&[u8]| [&string(name)[..], &string(b"long"), &[0, 0, 0, 15], &[0; 28]].concat();
        [&(names.len() as u32).to_be_bytes()[..], &names.iter().flat_map(entry).collect::<Vec<_>>()].concat()
    };
    let mut read = |rest: &[u8]| {
        rig.send(&request(kind::READDIR, 1, &[&string(&folder)]));
        let asked = rig.to(place).pop().unwrap();
        rig.answer(place, kind::NAME, &asked, rest);
        said(&rig.received()[0]).1
    };
    assert_eq!(read(&names(&[b".", b"..", b"a\xff"])), "3 .");
    for bad in [&b"../../db-1/root/x"[..], b"/etc", b"", b"a\0b"] {
        assert!(read(&names(&[b"a", bad])).starts_with("4 the target names a file with a slash"));
    }
    assert_eq!(read(&[0, 0, 0, 9]), "4 the target's answer cannot be read");
}

#[test]
fn names_with_attributes_or_lines_that_no_client_could_read_do_not_go_on() {
    for rest in [&[&string(b"long\0")[..], &[0; 4]].concat(), &[&string(b"long")[..], &[0, 0, 0, 1]].concat()]
    {
        let mut rig = Rig::new();
        let place = rig.inside("web-1", "root");
        let folder = rig.file(place, "/web-1/root/a", b"A");
        rig.send(&request(kind::READDIR, 1, &[&string(&folder)]));
        let asked = rig.to(place).pop().unwrap();
        rig.answer(place, kind::NAME, &asked, &[&[0, 0, 0, 1][..], &string(b"a"), rest].concat());
        assert_eq!(said(&rig.received()[0]).1, "4 the target's answer cannot be read");
        assert!(rig.root.to_place(place).is_none());
    }
}

/// A target's server that answers everything, and gives handles that are one byte.
fn serve((kind, body): &Packet) -> Packet {
    let answer = |kind: u8, rest: &[u8]| (kind, [&body[..4], rest].concat());
    match *kind {
        kind::OPEN | kind::OPENDIR => answer(kind::HANDLE, &string(b"h")),
        kind::READ => answer(kind::DATA, &string(b"data")),
        kind::STAT | kind::LSTAT | kind::FSTAT => answer(kind::ATTRS, &[0; 4]),
        kind::REALPATH | kind::READLINK | kind::READDIR => {
            answer(kind::NAME, &[&[0, 0, 0, 1][..], &string(b"n"), &string(b"n"), &[0; 4]].concat())
        }
        _ => answer(kind::STATUS, &status(Status::Failure)),
    }
}

/// Lets everybody act until nobody has anything more to do.
fn settle(root: &mut Root, got: &mut Vec<u8>) {
    let mut open = Vec::new();
    loop {
        got.append(root.to_client());
        root.from_client(b"").unwrap();
        while let Some(ask) = root.question().cloned() {
            root.answer(super::rig::seen(&ask));
        }
        while let Some(order) = root.order() {
            if let Order::Enter { place, .. } = order {
                open.push(place);
            }
        }
        let mut quiet = root.to_client().is_empty();
        for &place in &open {
            let Some(asked) = root.to_place(place).map(std::mem::take) else { continue };
            for packet in packets(&asked) {
                quiet = false;
                let (kind, body) = match packet.0 {
                    kind::INIT => (kind::VERSION, vec![0, 0, 0, 3]),
                    _ => serve(&packet),
                };
                let mut out = Vec::new();
                super::super::super::packet::put_packet(&mut out, kind, &[&body]);
                root.from_place(place, &out);
            }
        }
        if quiet {
            return;
        }
    }
}

fn any_request() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let path = "(/|\\.\\.|a|web-1|root|db-1|/web-1/root|/db-1/root/x){0,6}";
    let handle = prop_oneof![(1u64..8).prop_map(|n| n.to_be_bytes().to_vec()), any::<Vec<u8>>()];
    let body = prop_oneof![
        path.prop_map(|path| string(path.as_bytes())),
        (path, path).prop_map(|(a, b)| [string(a.as_bytes()), string(b.as_bytes())].concat()),
        handle.prop_map(|handle| [&string(&handle)[..], &[0; 12]].concat()),
        any::<Vec<u8>>(),
    ];
    (prop_oneof![3u8..21, Just(200), any::<u8>()].prop_filter("INIT has no id", |kind| *kind != 1), body)
}

proptest! {
    #[test]
    fn every_request_has_one_answer_however_the_stream_is_cut(
        requests in prop::collection::vec(any_request(), 0..40),
        cuts in prop::collection::vec(1usize..50, 1..20),
    ) {
        let init = [0, 0, 0, 5, 1, 0, 0, 0, 3];
        let mut stream = init.to_vec();
        for (id, (kind, body)) in (100..).zip(&requests) {
            stream.extend(request(*kind, id, &[body]));
        }
        let talk = |sizes: &mut dyn Iterator<Item = usize>| {
            let (mut root, mut got, mut rest) = (Root::new(RootLimits::default(), 0), Vec::new(), &stream[..]);
            while !rest.is_empty() {
                let (some, more) = rest.split_at(sizes.next().unwrap_or(rest.len()).min(rest.len()));
                root.from_client(some).unwrap();
                rest = more;
            }
            settle(&mut root, &mut got);
            let (own, answers) = root.take_own();
            (packets(&got), own, answers)
        };
        let whole = talk(&mut std::iter::empty());
        let mut ids: Vec<u32> = whole.0[1..].iter().map(|packet| said(packet).0).collect();
        ids.sort_unstable();
        let asked: Vec<u32> = (100..).take(requests.len()).collect();
        prop_assert_eq!(ids, asked);
        prop_assert_eq!(talk(&mut cuts.iter().copied().cycle()), whole);
    }

    #[test]
    fn nothing_that_a_target_says_is_too_much(bytes in any::<Vec<u8>>(), framed in any::<bool>()) {
        let mut rig = Rig::new();
        let place = rig.inside("web-1", "root");
        for (id, kind) in [kind::STAT, kind::OPEN, kind::REALPATH, kind::READLINK, kind::OPENDIR].iter().enumerate() {
            rig.send(&on(*kind, id as u32, "/web-1/root/a"));
        }
        rig.send(&two(kind::RENAME, "", 9, "/web-1/root/a", "/web-1/root/b"));
        let length = (bytes.len() as u32).to_be_bytes();
        rig.root.from_place(place, &[if framed { &length[..] } else { b"" }, &bytes].concat());
        rig.root.lose(place, Status::ConnectionLost, "over");
        prop_assert_eq!(rig.received().len(), 6);
    }
}
