//! `sftp`, `scp -s` and `sshfs`-like clients against OpenSSH's `sftp-server`.

use std::fs;
use std::process::Command;

use bartizan_model::event::{Body, Outcome};
use bartizan_model::observation::{Confidence, Direction};

use crate::tap::{Passed, Tap, kinds, noise, sha256sum, transfers};

fn batch(tap: &Tap, lines: &str) -> Passed {
    let batch = tap.file("batch", lines.as_bytes());
    tap.run(Command::new("sftp").arg("-S").arg(tap.ssh()).args(["-b", &batch, "host"]))
}

#[test]
fn files_have_their_paths_and_digests_in_both_directions() {
    let tap = Tap::new();
    let big = tap.file("near/big", &noise(3_000_001));
    let empty = tap.file("near/empty", b"");
    let far = tap.text("far");
    fs::create_dir(&far).unwrap();
    let lines = format!("put {big} {far}/big\nput {empty} {far}/\nget {far}/big {big}2\nls -l {far}\n");
    let seen = batch(&tap, &lines).ok().observed();
    let files = transfers(&seen);
    assert_eq!(files.len(), 3, "{seen:#?}");
    let digest = sha256sum(&tap.path("near/big"));
    for (file, direction) in [(files[0], Direction::Upload), (files[2], Direction::Download)] {
        assert_eq!((file.direction, file.bytes, file.channel), (direction, 3_000_001, 3));
        assert_eq!(file.path, format!("{far}/big"));
        assert_eq!(file.sha256.unwrap().to_string(), digest);
        assert_eq!((file.status.as_str(), file.partial), ("ok", false));
        assert_eq!(file.derived.confidence, Confidence::High);
    }
    assert_eq!((files[1].bytes, files[1].path.as_str()), (0, format!("{far}/empty").as_str()));
    assert_eq!(files[1].sha256.unwrap().to_string(), sha256sum(&tap.path("near/empty")));
    let Some(Body::SftpEnd(end)) = seen.last().map(|observed| &observed.body) else { panic!("{seen:#?}") };
    assert_eq!((end.version, end.opens), (Some(3), 3));
    assert!(end.listings >= 1 && end.stats >= 3 && end.unknown.is_empty(), "{end:?}");
}

#[test]
fn every_change_is_told_with_the_status_that_the_target_returned() {
    let tap = Tap::new();
    let far = tap.text("far");
    tap.file("far/a", b"a");
    let lines = format!(
        "cd {far}\nrename a b\nmkdir d\n-mkdir d\nln b hard\nln -s b soft\nchmod 640 b\n-chown 12 /proc/nosuch\n\
         rm soft\n-rm nosuch\nrmdir d\n-rmdir nosuch\n-get /root-nosuch\nrename b c\n"
    );
    let seen = batch(&tap, &lines).ok().observed();
    let told: Vec<String> = seen.iter().filter_map(|observed| told(&observed.body, &far)).collect();
    assert_eq!(
        told,
        [
            "sftp.rename a b ok",
            "sftp.mkdir d ok",
            "sftp.mkdir d failure",
            "sftp.hardlink b hard ok",
            "sftp.symlink b soft ok",
            "sftp.setstat b 0640 ok",
            "sftp.remove soft ok",
            "sftp.remove nosuch no such file",
            "sftp.rmdir d ok",
            "sftp.rmdir nosuch no such file",
            "sftp.rename b c ok",
        ]
    );
    for observed in &seen {
        let failed = matches!(told_status(&observed.body), Some(status) if status != "ok");
        assert_eq!(observed.outcome == Outcome::Failure, failed, "{observed:?}");
    }
}

fn told_status(body: &Body) -> Option<&str> {
    Some(match body {
        Body::SftpRename(two) | Body::SftpHardlink(two) | Body::SftpSymlink(two) => &two.status,
        Body::SftpMkdir(one) | Body::SftpRmdir(one) | Body::SftpRemove(one) => &one.status,
        Body::SftpSetstat(set) => &set.status,
        _ => return None,
    })
}

fn told(body: &Body, folder: &str) -> Option<String> {
    let short = |path: &str| path.replace(&format!("{folder}/"), "");
    let status = told_status(body)?;
    let what = match body {
        Body::SftpRename(two) | Body::SftpHardlink(two) | Body::SftpSymlink(two) => {
            format!("{} {}", short(&two.from), short(&two.to))
        }
        Body::SftpMkdir(one) | Body::SftpRmdir(one) | Body::SftpRemove(one) => short(&one.path),
        Body::SftpSetstat(set) => format!("{} {}", short(&set.path), set.mode.as_deref().unwrap_or("-")),
        _ => return None,
    };
    Some(format!("{} {what} {status}", body.kind()))
}

#[test]
fn scp_by_sftp_is_a_transfer_too() {
    let tap = Tap::new();
    let big = tap.file("near/big", &noise(700_000));
    fs::create_dir(tap.path("far")).unwrap();
    let copy = |from: &str, to: &str| {
        tap.run(Command::new("scp").arg("-S").arg(tap.ssh()).args(["-s", "-p", from, to])).ok().observed()
    };
    let seen = copy(&big, &format!("host:{}", tap.text("far/big")));
    let files = transfers(&seen);
    assert_eq!(files.len(), 1, "{seen:#?}");
    assert_eq!(files[0].sha256.unwrap().to_string(), sha256sum(&tap.path("near/big")));
    assert!(kinds(&seen).contains(&"sftp.setstat"), "-p sets times: {seen:#?}");
    let seen = copy(&format!("host:{}", tap.text("far/big")), &tap.text("near/again"));
    assert_eq!(transfers(&seen)[0].sha256.unwrap().to_string(), sha256sum(&tap.path("near/big")));
}

#[test]
fn a_server_is_known_whatever_starts_it_and_less_surely() {
    let tap = Tap::new();
    let near = tap.file("near", &noise(100_000));
    let script = tap.file("wrapper", b"#!/bin/sh\nexec /usr/lib/openssh/sftp-server\n");
    for (server, confidence) in [
        ("/usr/lib/openssh/sftp-server", Confidence::High),
        ("env /usr/lib/openssh/sftp-server", Confidence::Medium),
        ("sh -c \"exec /usr/lib/openssh/sftp-server\"", Confidence::Medium),
        ("test -x /bin/sh && exec /usr/lib/openssh/sftp-server", Confidence::Medium),
        // Nothing in the line says so: only the first bytes do.
        (&format!("sh {script}"), Confidence::Low),
        ("perl -e 'exec chr(47) . q(usr/lib/openssh/sftp-) . q(server)'", Confidence::Low),
    ] {
        let batch = tap.file("batch", format!("put {near} {}\n", tap.text("far")).as_bytes());
        let client = &mut Command::new("sftp");
        let seen = tap
            .run(client.arg("-S").arg(tap.ssh()).args(["-s", server, "-b", &batch, "host"]))
            .ok()
            .observed();
        let file = transfers(&seen)[0];
        assert_eq!(file.sha256.unwrap().to_string(), sha256sum(&tap.path("near")), "{server}");
        assert_eq!(kinds(&seen).last(), Some(&"sftp.end"));
        assert!(seen.iter().all(|one| one.outcome == Outcome::Success), "{seen:#?}");
        assert_eq!(file.derived.confidence, confidence, "{server}");
    }
}

#[test]
fn a_file_that_the_target_refuses_says_why() {
    let tap = Tap::new();
    let near = tap.file("near", b"content");
    let seen = batch(&tap, &format!("-put {near} /nosuch/folder/file\n")).ok().observed();
    let files = transfers(&seen);
    assert_eq!(files.len(), 1, "{seen:#?}");
    assert_eq!((files[0].status.as_str(), files[0].bytes), ("no such file", 0));
    assert_eq!((files[0].path.as_str(), files[0].partial), ("/nosuch/folder/file", false));
    assert_eq!(files[0].no_sha256.as_deref(), Some("not opened"));
}
