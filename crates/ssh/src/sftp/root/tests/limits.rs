//! What is bounded.

use super::super::super::packet::{kind, string};
use super::super::{Order, Root, RootLimits};
use super::rig::{OPENSSH, Rig, on, request, said, status};
use crate::sftp::Status;

#[test]
fn idle_places_are_left_for_others_and_busy_ones_are_not() {
    let mut rig = Rig::with(RootLimits { places: 2, ..RootLimits::default() });
    let (web, db) = (rig.inside("web-1", "root"), rig.inside("db-1", "root"));
    let file = rig.file(web, "/web-1/root/a", b"A");
    rig.orders.clear();
    let third = on(kind::STAT, 1, "/web-1/deploy/a");
    assert_eq!(rig.send(&third), []);
    let deploy = rig.entered("web-1", "deploy");
    assert_eq!(rig.orders[0], Order::Leave(db), "the one with an open file stays");
    assert!(rig.root.to_place(db).is_none());
    assert_eq!(rig.ask(&on(kind::STAT, 2, "/db-1/root/b")), "4 more than 2 logins on targets are in use");
    rig.send(&request(kind::CLOSE, 3, &[&string(&file)]));
    let asked = rig.to(web).pop().unwrap();
    rig.answer(web, kind::STATUS, &asked, &status(Status::Ok));
    rig.received();
    assert_eq!(rig.send(&on(kind::STAT, 4, "/db-1/root/b")), []);
    assert!(rig.root.to_place(web).is_none() && rig.root.to_place(deploy).is_some());
}

#[test]
fn handles_are_counted_before_they_are_given() {
    let mut rig = Rig::with(RootLimits { handles: 2, ..RootLimits::default() });
    let place = rig.inside("web-1", "root");
    let open = on(kind::OPEN, 1, "/web-1/root/a");
    assert_eq!(rig.send(&[open.clone(), open.clone()].concat()), []);
    assert_eq!(rig.ask(&open), "4 too many files and folders are open");
    let asked = rig.to(place);
    rig.answer(place, kind::STATUS, &asked[0], &status(Status::NoSuchFile));
    rig.received();
    assert_eq!(rig.send(&open), []);
}

#[test]
fn few_folders_of_ours_are_open_at_a_time() {
    let mut rig = Rig::with(RootLimits { listings: 2, ..RootLimits::default() });
    let open = on(kind::OPENDIR, 1, "/");
    let handle = rig.send(&open).pop().unwrap().1[4..].to_vec();
    assert_eq!(rig.ask(&open), "handle");
    assert_eq!(rig.ask(&open), "4 too many of these folders are open");
    assert_eq!(rig.ask(&request(kind::CLOSE, 2, &[&handle])), "0 ");
    assert_eq!(rig.ask(&open), "handle");
}

/// Sends the same request until the root takes no more; gives how many it took.
fn flood(root: &mut Root, request: &[u8]) -> usize {
    let mut taken = 0;
    while root.wants_client() {
        root.from_client(request).unwrap();
        taken += 1;
        assert!(taken < 1_000_000, "no bound");
    }
    taken
}

#[test]
fn what_is_not_taken_is_not_read_for() {
    // Answers that the client does not take.
    let mut rig = Rig::new();
    let handle = rig.send(&on(kind::OPENDIR, 1, "/")).pop().unwrap().1[4..].to_vec();
    flood(&mut rig.root, &request(kind::READDIR, 2, &[&handle]));
    assert!(rig.root.to_client().len() < (256 << 10) + 1000);
    // More in one piece than may be answered now waits.
    let many = on(kind::STAT, 3, "/").repeat(100_000);
    rig.root.from_client(&many).unwrap();
    assert!(rig.root.to_client().len() < (256 << 10) + 1000);
    let mut answers = 0;
    loop {
        let got = rig.received();
        if got.is_empty() {
            break;
        }
        answers += got.iter().filter(|packet| said(packet).0 == 3).count();
        rig.root.from_client(b"").unwrap();
    }
    assert_eq!(answers, 100_000);
    // Questions that the owner does not answer.
    assert_eq!(flood(&mut rig.root, &on(kind::STAT, 4, "/web-1")), 64);
    // Requests for a place that is not there yet, and that does not read.
    let mut rig = Rig::new();
    let write = request(kind::MKDIR, 5, &[&string(b"/web-1/root/a"), &[0; 60_000]]);
    assert_eq!(flood(&mut rig.root, &write), 35);
    rig.send(b"");
    let place = rig.entered("web-1", "root");
    rig.open(place, &OPENSSH);
    assert!(!rig.root.wants_client(), "nothing was taken");
    assert_eq!(rig.to(place).len(), 36);
    // Requests that a place does not answer.
    assert_eq!(flood(&mut rig.root, &on(kind::STAT, 6, "/web-1/root/a")), 4096 - 35);
}
