//! What is answered here.

use super::super::super::packet::{kind, string};
use super::super::{Order, Root, RootLimits};
use super::rig::{Rig, on, packets, request, said, two};
use crate::sftp::Violation;
use crate::wire::Reader;

#[test]
fn the_greeting_announces_what_can_be_answered() {
    let mut root = Root::new(RootLimits::default(), 0);
    root.from_client(&[0, 0, 0, 5, 1, 0, 0, 0, 6]).unwrap();
    let hello = packets(root.to_client());
    let mut fields = Reader::new(&hello[0].1);
    assert_eq!((hello[0].0, fields.u32("version").unwrap()), (kind::VERSION, 3), "whatever is newer");
    let mut names = Vec::new();
    while !fields.is_empty() {
        names.push(String::from_utf8(fields.string("name").unwrap().to_vec()).unwrap());
        fields.string("version").unwrap();
    }
    assert!(names.contains(&"limits@openssh.com".to_owned()) && names.contains(&"copy-data".to_owned()));
    assert!(!names.contains(&"users-groups-by-id@openssh.com".to_owned()), "nobody knows whose ids they are");
    let mut older = Root::new(RootLimits::default(), 0);
    assert_eq!(older.from_client(&[0, 0, 0, 5, 1, 0, 0, 0, 2]), Err(Violation::Version(2)));
}

#[test]
fn folders_of_ours_are_seen() {
    let mut rig = Rig::new();
    for (kind, path, answer) in [
        (kind::REALPATH, ".", "1 /"),
        (kind::REALPATH, "", "1 /"),
        (kind::REALPATH, "/web-1/../db-1/root/", "1 /db-1/root"),
        (kind::REALPATH, "nowhere", "1 /nowhere"),
        (kind::STAT, "/", "40555"),
        (kind::LSTAT, "/web-1", "40555"),
        (kind::STAT, "/web-1/root/.", "40755"),
        (kind::STAT, "/elsewhere", "2 no such target, or no grant lets you reach it by SFTP"),
        (
            kind::LSTAT,
            "/web-1/nobody",
            "2 no such target, or no grant lets you reach it as this login by SFTP",
        ),
        (kind::OPENDIR, "/elsewhere", "2 no such target, or no grant lets you reach it by SFTP"),
        (kind::READLINK, "/web-1", "4 this is no link"),
        (kind::OPEN, "/web-1", "4 this is a folder"),
    ] {
        assert_eq!(rig.ask(&on(kind, 7, path)), answer, "{kind} {path}");
    }
    assert!(rig.orders.iter().all(|order| matches!(order, Order::Refused { action: "look", .. })));
}

#[test]
fn folders_of_ours_are_listed_once() {
    let mut rig = Rig::new();
    for (path, names) in [("/", vec!["db-1", "web-1"]), ("/web-1", vec!["deploy", "root"])] {
        let opened = rig.send(&on(kind::OPENDIR, 1, path)).pop().unwrap();
        let handle = &opened.1[4..];
        let listed = rig.send(&request(kind::READDIR, 2, &[handle])).pop().unwrap();
        let mut fields = Reader::new(&listed.1);
        assert_eq!((listed.0, fields.u32("id").unwrap()), (kind::NAME, 2));
        assert_eq!(fields.u32("count").unwrap() as usize, names.len());
        for name in names {
            assert_eq!(fields.string("filename").unwrap(), name.as_bytes());
            let long = String::from_utf8(fields.string("longname").unwrap().to_vec()).unwrap();
            assert!(long.ends_with(&format!("bartizan        0 Jan  1 00:00 {name}")), "{long}");
            fields.take(4 + 8 + 4 + 8, "attributes").unwrap();
        }
        assert!(fields.is_empty());
        assert_eq!(rig.ask(&request(kind::FSTAT, 3, &[handle])), "40555");
        assert_eq!(rig.ask(&request(kind::READ, 3, &[handle, &[0; 12]])), "4 this is a folder");
        assert_eq!(rig.ask(&request(kind::READDIR, 3, &[handle])), "1 end of folder");
        assert_eq!(rig.ask(&request(kind::CLOSE, 4, &[handle])), "0 ");
        assert_eq!(rig.ask(&request(kind::READDIR, 5, &[handle])), "4 no such handle is open");
    }
}

#[test]
fn folders_of_ours_cannot_be_changed() {
    const READ_ONLY: &str =
        "3 this folder only lists what you may reach and cannot be changed: files are below /TARGET/LOGIN/";
    let mut rig = Rig::new();
    for path in ["/", "/new", "/web-1", "/web-1/new", "/web-1/root"] {
        for kind in [kind::MKDIR, kind::REMOVE, kind::RMDIR, kind::SETSTAT] {
            assert_eq!(rig.ask(&on(kind, 1, path)), READ_ONLY, "{kind} {path}");
        }
        let write = request(kind::OPEN, 1, &[&string(path.as_bytes()), &[0, 0, 0, 26, 0, 0, 0, 0]]);
        assert_eq!(rig.ask(&write), READ_ONLY, "{path}");
        for (kind, extension) in [
            (kind::RENAME, ""),
            (kind::SYMLINK, ""),
            (kind::EXTENDED, "posix-rename@openssh.com"),
            (kind::EXTENDED, "hardlink@openssh.com"),
        ] {
            assert_eq!(rig.ask(&two(kind, extension, 1, "/web-1/root/x", path)), READ_ONLY, "{path}");
        }
        assert_eq!(rig.ask(&two(kind::RENAME, "", 1, path, "/web-1/root/x")), READ_ONLY);
        assert_eq!(rig.ask(&two(kind::EXTENDED, "lsetstat@openssh.com", 1, path, "")), READ_ONLY);
    }
    assert!(!rig.orders.iter().any(|order| matches!(order, Order::Enter { .. })), "nothing was entered");
    let says = rig.orders.iter().filter(|order| matches!(order, Order::Say(_))).count();
    let notes = rig.orders.iter().filter(|order| matches!(order, Order::Refused { .. })).count();
    assert_eq!((says, notes), (55, 55), "each is said and noted");
}

#[test]
fn two_places_never_meet_in_one_request() {
    let mut rig = Rig::new();
    for (kind, extension) in [
        (kind::RENAME, ""),
        (kind::EXTENDED, "posix-rename@openssh.com"),
        (kind::EXTENDED, "hardlink@openssh.com"),
    ] {
        for to in ["/db-1/root/x", "/web-1/deploy/x", "/web-1/root/../deploy/x"] {
            let answer = rig.ask(&two(kind, extension, 1, "/web-1/root/x", to));
            assert_eq!(answer, "8 the two are in different places: copy instead, then remove", "{to}");
        }
    }
    let answer = rig.ask(&two(kind::SYMLINK, "", 1, "/db-1/root/etc", "/web-1/root/link"));
    assert!(answer.starts_with("8 a link cannot lead to another place"), "{answer}");
    let (web, db) = (rig.inside("web-1", "root"), rig.inside("db-1", "root"));
    let (from, to) = (rig.file(web, "/web-1/root/a", b"A"), rig.file(db, "/db-1/root/b", b"B"));
    let copy = [&string(b"copy-data"), &string(&from)[..], &[0; 16], &string(&to), &[0; 8]].concat();
    let answer = rig.ask(&request(kind::EXTENDED, 5, &[&copy]));
    assert_eq!(answer, "8 the two are in different places: copy instead, then remove");
}

#[test]
fn extensions_that_need_no_target_are_answered() {
    let mut rig = Rig::new();
    let limits = rig.send(&request(kind::EXTENDED, 1, &[&string(b"limits@openssh.com")])).pop().unwrap();
    let mut fields = Reader::new(&limits.1[4..]);
    let numbers: Vec<u64> = (0..4).map(|_| fields.u64("number").unwrap()).collect();
    assert_eq!((limits.0, numbers), (kind::EXTENDED_REPLY, vec![262_144, 32_768, 32_768, 1024]));
    for (path, answer) in [
        ("~", "1 /"),
        ("~/web-1/root", "1 /web-1/root"),
        ("x/..", "1 /"),
        ("~root/x", "2 nobody has a home here: paths begin with /TARGET/LOGIN/"),
    ] {
        let expand =
            request(kind::EXTENDED, 2, &[&string(b"expand-path@openssh.com"), &string(path.as_bytes())]);
        assert_eq!(rig.ask(&expand), answer, "{path}");
    }
    let df = rig.send(&request(kind::EXTENDED, 3, &[&string(b"statvfs@openssh.com"), &string(b"/")]));
    assert_eq!((df[0].0, df[0].1.len()), (kind::EXTENDED_REPLY, 4 + 11 * 8));
    let unknown = request(kind::EXTENDED, 4, &[&string(b"vendor-id"), b"whatever"]);
    assert_eq!(rig.ask(&unknown), "8 this request is not known here");
}

#[test]
fn what_is_answered_here_is_told_to_the_owner() {
    let mut rig = Rig::new();
    let hello = rig.root.take_own();
    assert_eq!((packets(&hello.0)[0].0, packets(&hello.1)[0].0), (kind::INIT, kind::VERSION));
    let stat = on(kind::STAT, 1, "/web-1");
    rig.send(&stat);
    rig.send(&on(kind::STAT, 2, "/web-1/root/etc"));
    let (requests, answers) = rig.root.take_own();
    assert_eq!(requests, stat, "and not what was passed on");
    assert_eq!(packets(&answers).len(), 1);
    let place = rig.entered("web-1", "root");
    rig.root.lose(place, crate::sftp::Status::NoConnection, "nobody home");
    let (_, answers) = rig.root.take_own();
    assert_eq!(said(&packets(&answers)[0]), (2, "6 root@web-1: nobody home".into()));
}
