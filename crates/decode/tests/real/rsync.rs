//! `rsync` in both directions against `rsync --server`, in old versions of the protocol, too.

use std::fs;
use std::process::Command;

use bartizan_decode::Observed;
use bartizan_model::event::Body;
use bartizan_model::observation::{Confidence, Direction, RsyncEnd};

use crate::tap::{Tap, kinds, noise, transfers};

fn rsync(tap: &Tap, arguments: &[&str]) -> Vec<Observed> {
    tap.run(Command::new("rsync").arg("-e").arg(tap.ssh()).args(arguments)).ok().observed()
}

/// What is told last, after files and nothing else.
#[track_caller]
fn end(seen: &[Observed]) -> &RsyncEnd {
    assert!(kinds(seen).len() == transfers(seen).len() + 1 && kinds(seen).len() > 1, "{seen:#?}");
    let Some(Body::RsyncEnd(end)) = seen.last().map(|observed| &observed.body) else {
        panic!("no rsync.end: {seen:?}")
    };
    end
}

#[test]
fn both_directions_are_read_to_their_end_in_each_version() {
    let tap = Tap::new();
    tap.file("near/big", &noise(200_000));
    tap.file("near/deep/small", b"small");
    let near = tap.text("near/");
    for version in [27, 28, 29, 30, 31, 32] {
        let protocol = format!("--protocol={version}");
        let far = tap.text(&format!("far{version}/"));
        let seen = rsync(&tap, &["-a", &protocol, &near, &format!("host:{far}")]);
        assert_eq!(end(&seen).version, Some(version));
        assert_eq!((end(&seen).direction, end(&seen).status.as_str()), (Some(Direction::Upload), "ok"));
        assert_eq!(end(&seen).paths, [far.as_str()]);
        assert_eq!(end(&seen).options.first().map(|option| &option[..2]), Some("-l"));
        let files: Vec<_> = transfers(&seen).iter().map(|file| (file.path.clone(), file.bytes)).collect();
        assert_eq!(files, [(format!("{far}big"), 200_000), (format!("{far}deep/small"), 5)]);
        let back = tap.text(&format!("back{version}/"));
        let seen = rsync(&tap, &["-az", &protocol, &format!("host:{far}"), &back]);
        assert_eq!((end(&seen).direction, end(&seen).version), (Some(Direction::Download), Some(version)));
        assert!(transfers(&seen)[0].bytes > 200_000, "noise is not compressed");
        assert_eq!(transfers(&seen)[0].no_sha256.as_deref(), Some("compressed by rsync"));
    }
}

#[test]
fn arguments_inside_the_stream_are_read() {
    let tap = Tap::new();
    tap.file("near/a b", b"a b");
    let far = tap.text("far dir/");
    let seen = rsync(&tap, &["-as", "--delete", &tap.text("near/"), &format!("host:{far}")]);
    assert_eq!(end(&seen).paths, [far.as_str()]);
    assert!(end(&seen).options.iter().any(|option| option == "--delete-during" || option == "--delete"));
}

#[test]
fn values_of_options_are_no_paths_and_say_no_direction() {
    let tap = Tap::new();
    tap.file("near/a", b"a");
    let (near, far, log) = (tap.text("near/"), tap.text("far/"), tap.text("log"));
    let folders = ["temp", "partial", "backup"].map(|name| {
        fs::create_dir(tap.path(name)).unwrap();
        tap.text(name)
    });
    let [temp, partial, backup] = folders.each_ref().map(String::as_str);
    let options =
        ["-abI", "--temp-dir", temp, "--partial-dir", partial, "--backup-dir", backup, "--link-dest", &near];
    for more in [&[][..], &["-s"]] {
        let seen = rsync(&tap, &[&options[..], more, &[&near, &format!("host:{far}")]].concat());
        assert_eq!((end(&seen).direction, &end(&seen).paths), (Some(Direction::Upload), &vec![far.clone()]));
        assert_eq!(end(&seen).derived.confidence, Confidence::High);
        let asked = end(&seen).options.join(" ");
        assert!(asked.contains(&format!("--temp-dir {temp}")), "{asked}");
    }
    let server = format!("rsync --log-file {log}");
    let seen = rsync(&tap, &["-a", "--rsync-path", &server, &format!("host:{far}"), &tap.text("back")]);
    assert_eq!((end(&seen).direction, &end(&seen).paths), (Some(Direction::Download), &vec![far]));
    assert_eq!(end(&seen).derived.confidence, Confidence::High);
}

#[test]
fn a_server_behind_another_program_is_read_and_less_sure() {
    let tap = Tap::new();
    tap.file("near/a", &noise(10_000));
    let (near, far) = (tap.text("near/"), tap.text("far/"));
    for server in ["env rsync", "env A=b nice -n 1 rsync", "cd /tmp && rsync"] {
        let seen = rsync(&tap, &["-aI", "--rsync-path", server, &near, &format!("host:{far}")]);
        assert_eq!(
            (end(&seen).direction, &end(&seen).paths),
            (Some(Direction::Upload), &vec![far.clone()]),
            "{server}"
        );
        assert_eq!((end(&seen).status.as_str(), end(&seen).derived.confidence), ("ok", Confidence::Medium));
    }
}

/// The same without a transfer.
#[track_caller]
fn end_alone(seen: &[Observed]) -> &RsyncEnd {
    assert_eq!(kinds(seen), ["rsync.end"], "{seen:#?}");
    let Some(Body::RsyncEnd(end)) = seen.last().map(|observed| &observed.body) else {
        panic!("no rsync.end: {seen:?}")
    };
    assert_eq!(end.status, "ok");
    end
}

#[test]
fn where_no_file_moves_no_transfer_is_told() {
    let tap = Tap::new();
    tap.file("near/a", &noise(10_000));
    tap.file("near/b", b"b");
    let (near, there) = (tap.text("near/"), format!("host:{}", tap.text("near/")));
    for version in [27, 28, 29, 30, 31, 32] {
        let protocol = format!("--protocol={version}");
        let back = tap.text(&format!("back{version}/"));
        let listed = end_alone(&rsync(&tap, &["-r", &protocol, &there])).clone();
        assert_eq!((listed.direction, listed.version), (Some(Direction::Download), Some(version)));
        end_alone(&rsync(&tap, &["-a", "--exclude=b", "--list-only", &protocol, &there, "nowhere"]));
        end_alone(&rsync(&tap, &["-an", &protocol, &there, &back]));
        end_alone(&rsync(&tap, &["-an", &protocol, &near, "host:nowhere"]));
        // Another word of the same letter says nothing, and what is there already does not move.
        let seen = rsync(&tap, &["-a", "--exclude=n*", &protocol, &there, &back]);
        assert_eq!(transfers(&seen)[0].bytes, 10_000, "{seen:#?}");
        end_alone(&rsync(&tap, &["-a", "--exclude=n*", &protocol, &there, &back]));
        // A file alone, of no folder.
        let seen = rsync(&tap, &["-tI", &protocol, &format!("{there}a"), &back]);
        assert_eq!((end(&seen).status.as_str(), transfers(&seen).len()), ("ok", 1), "version {version}");
    }
}

#[test]
fn names_that_a_client_gives_are_told() {
    let tap = Tap::new();
    for name in ["a", "deep/b c", "not asked for"] {
        tap.file(&format!("near/{name}"), name.as_bytes());
    }
    let list = tap.file("list", b"a\ndeep/b c\nnosuch\n");
    let there = format!("host:{}", tap.text("near/"));
    for version in [27, 28, 29, 30, 31, 32] {
        let (protocol, back) = (format!("--protocol={version}"), tap.text(&format!("back{version}/")));
        let list = format!("--files-from={list}");
        let arguments = ["-a", "--ignore-missing-args", "--exclude=x", &protocol, &list, &there, &back];
        let seen = rsync(&tap, &arguments);
        assert_eq!(end(&seen).files_from, ["a", "deep/b c", "nosuch"], "version {version}");
        assert_eq!(fs::read(tap.path(&format!("back{version}/deep/b c"))).unwrap(), b"deep/b c");
    }
    let many: String = (0..5000).map(|n| format!("file-{n}\n")).collect();
    let list = format!("--files-from={}", tap.file("list", many.as_bytes()));
    let seen = rsync(&tap, &["-a", "--ignore-missing-args", &list, &there, &tap.text("many")]);
    let names = &end_alone(&seen).files_from;
    assert_eq!(names[1], "file-1");
    assert_eq!(names.last().unwrap(), &format!("… {} more", 5001 - names.len()));
}

#[test]
fn algorithms_that_are_chosen_are_not_agreed_on() {
    let tap = Tap::new();
    tap.file("near/big", &noise(100_000));
    for (n, choice) in [&["--checksum-choice=md5"][..], &["-z", "--compress-choice=zlib"], &["-z"], &["-c"]]
        .iter()
        .enumerate()
    {
        let far = format!("host:{}", tap.text(&format!("far{n}/")));
        let near = tap.text("near/");
        let seen = rsync(&tap, &[&["-a"], *choice, &[near.as_str(), far.as_str()]].concat());
        assert_eq!((end(&seen).version, end(&seen).errors), (Some(32), 0), "{choice:?}");
    }
}

#[test]
fn errors_are_counted_and_the_exit_status_told() {
    let tap = Tap::new();
    tap.file("near/a", b"a");
    let passed = tap.run(Command::new("rsync").arg("-e").arg(tap.ssh()).args([
        "-a",
        &tap.text("near/"),
        "host:/nosuch/folder/file/",
    ]));
    assert!(!passed.client.status.success());
    // The list was sent, and nothing after it.
    let seen = passed.observed();
    let Some(Body::RsyncEnd(failed)) = seen.last().map(|observed| &observed.body) else {
        panic!("no rsync.end: {seen:?}")
    };
    assert_eq!((kinds(&seen), failed.status.as_str()), (vec!["rsync.end"], "exit status 11"));
    assert_eq!((failed.listed, failed.transferred), (Some(2), Some(0)));

    let missing = format!("host:{}", tap.text("nosuch"));
    // Unless asked to send errors to the client, a server writes them to its standard error.
    let arguments = ["-a", "--stderr=client", &missing, &tap.text("back")];
    let seen = tap.run(Command::new("rsync").arg("-e").arg(tap.ssh()).args(arguments)).observed();
    let Some(Body::RsyncEnd(failed)) = seen.last().map(|observed| &observed.body) else {
        panic!("no rsync.end: {seen:?}")
    };
    assert_eq!((kinds(&seen), failed.status.as_str()), (vec!["rsync.end"], "exit status 23"));
    assert_eq!((failed.errors, failed.listed), (1, Some(0)));
}

#[test]
fn a_daemon_at_the_other_end_names_a_module() {
    let tap = Tap::new();
    tap.file("near/a", &noise(40_000));
    fs::create_dir(tap.path("module")).unwrap();
    let settings = format!(
        "use chroot = no\nuid = root\ngid = root\n[files]\npath = {}\nread only = no\n",
        tap.text("module")
    );
    let settings = tap.file("rsyncd.conf", settings.as_bytes());
    let server = format!("rsync --config={settings}");
    let seen = rsync(&tap, &["-a", "--rsync-path", &server, &tap.text("near/"), "host::files/sub/"]);
    assert_eq!(fs::read(tap.path("module/sub/a")).unwrap(), noise(40_000));
    assert_eq!(end(&seen).module.as_deref(), Some("files"), "{seen:#?}");
    assert_eq!(end(&seen).paths, ["files/sub/"]);
    assert_eq!((transfers(&seen)[0].path.as_str(), transfers(&seen)[0].bytes), ("files/sub/a", 40_000));

    // Refused before it was asked for anything.
    let refused = tap.run(Command::new("rsync").arg("-e").arg(tap.ssh()).args([
        "-a",
        "--rsync-path",
        &server,
        &tap.text("near/"),
        "host::nosuch/",
    ]));
    let seen = refused.observed();
    assert_eq!(kinds(&seen), ["rsync.end"], "{seen:#?}");
    let Some(Body::RsyncEnd(refused)) = seen.last().map(|observed| &observed.body) else {
        panic!("no rsync.end: {seen:?}")
    };
    assert_eq!((refused.direction, refused.module.as_deref()), (None, Some("nosuch")));
    assert_eq!(refused.derived.confidence, Confidence::Low);

    let seen = rsync(&tap, &["-as", "--rsync-path", &server, "host::files/sub/", &tap.text("back")]);
    assert_eq!(fs::read(tap.path("back/a")).unwrap(), noise(40_000));
    assert_eq!(
        (end(&seen).direction, &end(&seen).paths),
        (Some(Direction::Download), &vec!["files/sub/".to_owned()])
    );
    assert_eq!((transfers(&seen)[0].path.as_str(), transfers(&seen)[0].bytes), ("files/sub/a", 40_000));
}
