//! What is passed on, and what comes back.

use super::super::super::packet::{kind, string};
use super::super::Order;
use super::rig::{OPENSSH, Rig, on, request, said, status, two};
use crate::sftp::Status;

#[test]
fn a_place_is_entered_when_it_is_needed_and_requests_wait_for_it() {
    let mut rig = Rig::new();
    assert_eq!(rig.send(&on(kind::STAT, 7, "/web-1/root/etc/hosts")), []);
    assert_eq!(rig.send(&on(kind::OPENDIR, 8, "/web-1/root")), []);
    let place = rig.entered("web-1", "root");
    assert_eq!(rig.orders.len(), 1, "entered once: {:?}", rig.orders);
    assert_eq!(rig.to(place), [(kind::INIT, vec![0, 0, 0, 3])]);
    rig.open(place, &[]);
    let asked = rig.to(place);
    assert_eq!(asked[0], (kind::STAT, [&[0; 4][..], &string(b"/etc/hosts")].concat()));
    assert_eq!(asked[1], (kind::OPENDIR, [&[0, 0, 0, 1][..], &string(b"/")].concat()));
    // In the order of the target, by the ids of the client.
    rig.answer(place, kind::STATUS, &asked[1], &status(Status::PermissionDenied));
    rig.answer(place, kind::ATTRS, &asked[0], &[0; 4]);
    let got = rig.received();
    assert_eq!(said(&got[0]), (8, "3 so it is".into()));
    assert_eq!(got[1], (kind::ATTRS, vec![0, 0, 0, 7, 0, 0, 0, 0]));
}

#[test]
fn a_slow_place_holds_up_nobody_else() {
    let mut rig = Rig::new();
    let (web, db) = (rig.inside("web-1", "root"), rig.inside("db-1", "root"));
    // The same id twice, as no client should: each is answered.
    assert_eq!(rig.send(&on(kind::STAT, 1, "/web-1/root/a")), []);
    assert_eq!(rig.send(&on(kind::STAT, 1, "/db-1/root/b")), []);
    let asked = rig.to(db);
    rig.answer(db, kind::STATUS, &asked[0], &status(Status::NoSuchFile));
    assert_eq!(said(&rig.received()[0]).0, 1);
    assert_eq!(rig.ask(&on(kind::STAT, 2, "/")), "40555");
    let asked = rig.to(web);
    rig.answer(web, kind::ATTRS, &asked[0], &[0; 4]);
    assert_eq!(rig.received(), [(kind::ATTRS, vec![0, 0, 0, 1, 0, 0, 0, 0])]);
}

#[test]
fn handles_are_mapped() {
    let mut rig = Rig::new();
    let (web, db) = (rig.inside("web-1", "root"), rig.inside("db-1", "root"));
    // Both targets give the same handle.
    let (a, b) = (rig.file(web, "/web-1/root/a", b"\0\0\0\0"), rig.file(db, "/db-1/root/b", b"\0\0\0\0"));
    assert_ne!(a, b);
    let range = [0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 5];
    rig.send(&request(kind::READ, 1, &[&string(&a), &range]));
    let asked = rig.to(web).pop().unwrap();
    assert_eq!(asked, (kind::READ, [&asked.1[..4], &string(b"\0\0\0\0"), &range].concat()));
    rig.answer(web, kind::DATA, &asked, &string(b"hello"));
    assert_eq!(rig.received(), [(kind::DATA, [&[0, 0, 0, 1][..], &string(b"hello")].concat())]);
    rig.send(&request(kind::WRITE, 2, &[&string(&b), &[0; 8], &string(b"there")]));
    let asked = rig.to(db).pop().unwrap();
    assert_eq!(asked.1[4..], [&string(b"\0\0\0\0")[..], &[0; 8], &string(b"there")].concat());
    let sync = [string(b"fsync@openssh.com"), string(&b)].concat();
    rig.send(&request(kind::EXTENDED, 3, &[&sync]));
    assert_eq!(
        rig.to(db).pop().unwrap().1[4..],
        [string(b"fsync@openssh.com"), string(b"\0\0\0\0")].concat()
    );
    let again = rig.file(db, "/db-1/root/b", b"\0\0\0\x01");
    let copy = [&string(b"copy-data"), &string(&b)[..], &[0; 16], &string(&again), &[0; 8]].concat();
    rig.send(&request(kind::EXTENDED, 4, &[&copy]));
    let copied = [&string(b"copy-data")[..], &string(b"\0\0\0\0"), &[0; 16], &string(b"\0\0\0\x01"), &[0; 8]];
    assert_eq!(rig.to(db).pop().unwrap().1[4..], copied.concat());
    // Closed, it is closed at once, whatever the target says of it.
    rig.send(&request(kind::CLOSE, 5, &[&string(&a)]));
    assert_eq!(rig.to(web).pop().unwrap().0, kind::CLOSE);
    assert_eq!(rig.ask(&request(kind::FSTAT, 6, &[&string(&a)])), "4 no such handle is open");
}

#[test]
fn paths_are_mapped_both_ways() {
    let mut rig = Rig::new();
    let place = rig.inside("web-1", "root");
    let name = |path: &str| [&[0, 0, 0, 1][..], &string(path.as_bytes()), &string(b"long"), &[0; 4]].concat();
    for (kind, path, inward, said_there, outward) in [
        (kind::REALPATH, "/web-1/root/home/..", "", "", "1 /web-1/root"),
        (kind::REALPATH, "/web-1/root/link", "/link", "/srv/x", "1 /web-1/root/srv/x"),
        (kind::REALPATH, "/web-1/root/link", "/link", "/../../db-1/root", "1 /web-1/root/db-1/root"),
        (kind::READLINK, "/web-1/root/a/link", "/a/link", "/etc", "1 /web-1/root/etc"),
        (kind::READLINK, "/web-1/root/a/link", "/a/link", "../etc", "1 ../etc"),
        (kind::READLINK, "/web-1/root/a/link", "/a/link", "../../../db-1", "1 /web-1/root/db-1"),
    ] {
        let answered = rig.send(&on(kind, 1, path));
        if inward.is_empty() {
            assert_eq!(said(&answered[0]).1, outward);
            continue;
        }
        let asked = rig.to(place).pop().unwrap();
        assert_eq!(asked.1[4..], string(inward.as_bytes()));
        rig.answer(place, kind::NAME, &asked, &name(said_there));
        assert_eq!(said(&rig.received()[0]).1, outward, "{said_there}");
    }
    for (content, inward) in [("../x", "../x"), ("/web-1/root/etc", "/etc"), ("/web-1/root", "/")] {
        rig.send(&two(kind::SYMLINK, "", 1, content, "/web-1/root/link"));
        let asked = rig.to(place).pop().unwrap();
        assert_eq!(asked.1[4..], [string(inward.as_bytes()), string(b"/link")].concat());
    }
    rig.send(&two(kind::RENAME, "", 1, "/web-1/root/a", "/web-1/root/./b"));
    assert_eq!(rig.to(place).pop().unwrap().1[4..], [string(b"/a"), string(b"/b")].concat());
}

#[test]
fn what_a_target_has_not_is_said_to_be_unsupported() {
    let mut rig = Rig::new();
    let early = two(kind::EXTENDED, "hardlink@openssh.com", 1, "/web-1/root/a", "/web-1/root/b");
    let rename = two(kind::EXTENDED, "posix-rename@openssh.com", 2, "/web-1/root/a", "/web-1/root/b");
    assert_eq!(rig.send(&[early.clone(), rename.clone()].concat()), []);
    let place = rig.entered("web-1", "root");
    rig.open(place, &["something@else"]);
    let unsupported = "8 the SFTP server of web-1 does not know hardlink@openssh.com";
    assert_eq!(said(&rig.received()[0]), (1, unsupported.into()));
    assert_eq!(rig.ask(&early), unsupported);
    rig.send(&rename);
    let asked = rig.to(place);
    assert_eq!(
        asked.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(),
        [kind::INIT, kind::RENAME, kind::RENAME]
    );
    assert_eq!(asked[1].1[4..], [string(b"/a"), string(b"/b")].concat());
}

#[test]
fn what_waits_for_a_lost_place_is_answered_and_the_place_can_be_entered_again() {
    let mut rig = Rig::new();
    let (web, db) = (rig.inside("web-1", "root"), rig.inside("db-1", "root"));
    let file = rig.file(web, "/web-1/root/a", b"A");
    rig.send(&on(kind::STAT, 1, "/web-1/root/a"));
    rig.send(&request(kind::READ, 2, &[&string(&file), &[0; 12]]));
    rig.root.lose(web, Status::ConnectionLost, "the target went away");
    let lost: Vec<_> = rig.received().iter().map(said).collect();
    let text = "7 root@web-1: the target went away";
    assert_eq!(lost, [(1, text.into()), (2, text.into())]);
    assert_eq!(
        rig.ask(&request(kind::FSTAT, 3, &[&string(&file)])),
        "7 the connection to the target was lost"
    );
    assert_eq!(
        rig.ask(&request(kind::CLOSE, 4, &[&string(&file)])),
        "7 the connection to the target was lost"
    );
    assert_eq!(rig.ask(&request(kind::CLOSE, 4, &[&string(&file)])), "4 no such handle is open");
    rig.send(&on(kind::STAT, 5, "/db-1/root/b"));
    assert_eq!(rig.to(db).len(), 1, "the rest lives on");
    rig.send(&on(kind::STAT, 6, "/web-1/root/a"));
    let again = rig.entered("web-1", "root");
    assert_ne!(again, web);
    rig.open(again, &OPENSSH);
    assert_eq!(rig.to(again).len(), 2);
    rig.root.lose(web, Status::ConnectionLost, "once more");
    rig.root.from_place(web, &[0, 0, 0, 0]);
    assert_eq!(rig.received(), [], "a place that is gone says nothing");
    assert!(rig.orders.iter().any(|order| *order == Order::Say(text.as_bytes()[2..].to_vec())));
}
