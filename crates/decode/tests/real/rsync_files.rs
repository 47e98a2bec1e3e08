//! What is told of rsync's files and totals, next to what rsync itself says of them (`--out-format`, `--stats`).

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::Command;

use bartizan_decode::{Observed, Options, Stream};
use bartizan_model::escape;
use bartizan_model::event::Body;
use bartizan_model::observation::{Confidence, Direction, RsyncEnd};

use crate::tap::{Tap, kinds, noise, sha256sum, transfers};

/// Versions of the protocol, the options of each way to send, and how these are told apart in a failure.
const VERSIONS: [u32; 6] = [27, 28, 29, 30, 31, 32];

/// Gives a file attributes, short and long, and an access list that names somebody.
const ATTRIBUTES: &str = "
import os, struct, sys
for path in sys.argv[1:]:
    os.setxattr(path, 'user.short', b'value')
    os.setxattr(path, 'user.long', b'value of a length ' * 20)
    entry = lambda tag, bits, owner=0xFFFFFFFF: struct.pack('<HHI', tag, bits, owner)
    entries = [entry(1, 6), entry(2, 6, 12345), entry(4, 4), entry(16, 6), entry(32, 4)]
    os.setxattr(path, 'system.posix_acl_access', struct.pack('<I', 2) + b''.join(entries))
";

/// A tree with every kind of name and size, and a destination that has some of it.
struct Trees {
    tap: Tap,
    from: PathBuf,
}

impl Trees {
    fn new() -> Self {
        let tap = Tap::new();
        let names: [&[u8]; 9] = [
            b"plain",
            b"empty",
            b"name with spaces",
            b"new\nline",
            b"not \xFF\xFE utf-8",
            b"a.b/file",
            b"a/file",
            b"a/file/../deep/in/here",
            b"a-b",
        ];
        let from = tap.path("near");
        let file = |name: &[u8], bytes: &[u8]| {
            let path = from.join(OsStr::from_bytes(name));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        };
        for (n, name) in names.into_iter().enumerate() {
            let name = if n == 7 { &b"a/deep/in/here"[..] } else { name };
            file(name, &noise(if n == 1 { 0 } else { 1000 * n + 7 }));
        }
        file(&[b'l'; 250], b"long");
        let deep = ["d".repeat(200), "e".repeat(200), "f".repeat(100)].join("/");
        file(deep.as_bytes(), b"longer");
        for n in 0..30 {
            file(format!("many/{}/x{n}", n % 10).as_bytes(), format!("{n}").repeat(n).as_bytes());
        }
        for name in ["changed", "grown"] {
            file(name.as_bytes(), &noise(60_000));
        }
        for name in ["same", "many/same"] {
            file(name.as_bytes(), b"the same");
        }
        symlink("plain", from.join("link")).unwrap();
        fs::hard_link(from.join("plain"), from.join("hard")).unwrap();
        fs::hard_link(from.join("plain"), from.join("many/hard")).unwrap();
        assert!(Command::new("mkfifo").arg(from.join("fifo")).status().unwrap().success());
        let attributes = ["a", "a/file", "plain", "many/5", "many/5/x5"].map(|name| from.join(name));
        let given = Command::new("python3").args(["-c", ATTRIBUTES]).args(attributes).output().unwrap();
        assert!(given.status.success(), "{}", String::from_utf8_lossy(&given.stderr));
        let sparse = fs::File::create(from.join("same-sparse")).unwrap();
        sparse.set_len(5 << 30).unwrap();
        Self { tap, from }
    }

    /// Trees for which rsync need not read what is there already, nor change names.
    fn without(self, name: &[u8]) -> Self {
        fs::remove_file(self.from.join(OsStr::from_bytes(name))).unwrap();
        self
    }

    /// A new destination: some is there, some is older, and some is in the way.
    fn destination(&self, name: &str) -> String {
        let to = self.tap.path(name);
        fs::create_dir_all(to.join("many")).unwrap();
        for name in
            ["same", "same-sparse", "many/same"].into_iter().filter(|name| self.from.join(name).exists())
        {
            let mut copy = Command::new("cp");
            copy.args(["-p", "--sparse=always"]).args([self.from.join(name), to.join(name)]);
            assert!(copy.status().unwrap().success());
        }
        let mut changed = noise(60_000);
        changed[30_000] ^= 1;
        fs::write(to.join("changed"), changed).unwrap();
        fs::write(to.join("grown"), &noise(60_000)[..35_000]).unwrap();
        fs::write(to.join("extra"), b"extra").unwrap();
        for name in ["changed", "grown"] {
            let old = Command::new("touch").args(["-d", "2001-01-01"]).arg(to.join(name)).status();
            assert!(old.unwrap().success());
        }
        format!("{}/", self.tap.text(name))
    }
}

/// What rsync says: sizes of the files that moved, by their names as they are told here; and its totals.
struct Said {
    files: BTreeMap<String, u64>,
    totals: BTreeMap<String, u64>,
}

fn said(output: &[u8], prefix: &str) -> Said {
    let (mut files, mut totals) = (BTreeMap::new(), BTreeMap::new());
    for line in output.split(|byte| *byte == b'\n') {
        let mut fields = line.splitn(3, |byte| *byte == b'|');
        if let (Some([b'<' | b'>', b'f', ..]), Some(size), Some(name)) =
            (fields.next(), fields.next(), fields.next())
        {
            let size = String::from_utf8_lossy(size).trim().parse().unwrap();
            files.insert(format!("{prefix}{}", escape(&unescaped(name))), size);
        } else if let Some((name, number)) = String::from_utf8_lossy(line).split_once(": ") {
            let digits = number.split([' ', '(']).next().unwrap().replace(',', "");
            if let Ok(number) = digits.parse() {
                totals.insert(name.to_owned(), number);
            }
        }
    }
    Said { files, totals }
}

/// A name without `\#ooo`, which rsync writes for what cannot be shown.
fn unescaped(name: &[u8]) -> Vec<u8> {
    let (mut plain, mut left) = (Vec::new(), name);
    while let Some((first, rest)) = left.split_first() {
        match left {
            [b'\\', b'#', a, b, c, rest @ ..] => {
                plain.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                left = rest;
            }
            _ => {
                plain.push(*first);
                left = rest;
            }
        }
    }
    plain
}

fn end(seen: &[Observed]) -> &RsyncEnd {
    match seen.last().map(|observed| &observed.body) {
        Some(Body::RsyncEnd(end)) => end,
        other => panic!("no end, but {other:?}"),
    }
}

/// Runs rsync and compares; gives what was told. `prefix` stands before the names on the target.
#[track_caller]
fn compared(tap: &Tap, arguments: &[&str], prefix: &str) -> Vec<Observed> {
    let mut rsync = Command::new("rsync");
    rsync.arg("-e").arg(tap.ssh()).args(["--out-format=%i|%l|%n", "--stats"]).args(arguments);
    let passed = tap.run(&mut rsync).ok();
    let seen = passed.observed();
    let said = said(&passed.client.stdout, prefix);
    let told: BTreeMap<String, u64> =
        transfers(&seen).iter().map(|file| (file.path.clone(), file.size.unwrap_or(u64::MAX))).collect();
    let idle = arguments.contains(&"-n");
    let expected = if idle { BTreeMap::new() } else { said.files };
    assert_eq!(told, expected, "{arguments:?}");
    assert_eq!(transfers(&seen).len(), told.len(), "each once: {arguments:?}");
    let end = end(&seen);
    assert_eq!(kinds(&seen).len(), told.len() + 1, "{arguments:?}: {seen:#?}");
    let total = |name: &str| said.totals.get(name).copied();
    assert_eq!(end.listed, total("Number of files"), "{arguments:?}");
    assert_eq!(end.total_size, total("Total file size"), "{arguments:?}");
    if !idle {
        assert_eq!(end.transferred, total("Number of regular files transferred"), "{arguments:?}");
        let compressed = arguments.iter().any(|word| word.starts_with("-az"));
        if !compressed {
            assert_eq!(end.content_bytes, total("Literal data"), "{arguments:?}");
        }
    }
    assert_eq!((end.status.as_str(), end.errors), ("ok", 0), "{arguments:?}");
    seen
}

/// Both ways, in each version of the protocol from `oldest` on.
#[track_caller]
fn both_ways(trees: &Trees, options: &[&str], oldest: u32) {
    let near = format!("{}/", trees.tap.text("near"));
    for version in VERSIONS.into_iter().filter(|version| *version >= oldest) {
        let protocol = format!("--protocol={version}");
        let options = [options, &[protocol.as_str()]].concat();
        let far = trees.destination(&format!("far{version}"));
        let there = format!("host:{far}");
        let seen = compared(&trees.tap, &[&options[..], &[&near, &there]].concat(), &far);
        assert_eq!(end(&seen).direction, Some(Direction::Upload));
        digests(trees, &seen, &far, &options);
        let back = trees.destination(&format!("back{version}"));
        let there = format!("host:{near}");
        let seen = compared(&trees.tap, &[&options[..], &[&there, &back]].concat(), &near);
        assert_eq!(end(&seen).direction, Some(Direction::Download));
        digests(trees, &seen, &near, &options);
        for name in ["far", "back"] {
            fs::remove_dir_all(trees.tap.path(&format!("{name}{version}"))).unwrap();
        }
    }
}

/// Of files that passed whole the digest is that of the file; of others it is said why there is none.
#[track_caller]
fn digests(trees: &Trees, seen: &[Observed], prefix: &str, options: &[&str]) {
    let mut whole = 0;
    for file in transfers(seen) {
        assert_eq!(file.sha256.is_none(), file.no_sha256.is_some(), "{file:?}");
        let name = file.path.strip_prefix(prefix).unwrap();
        let path = trees.from.join(name);
        if let (Some(sha256), true) = (file.sha256, path.exists()) {
            assert_eq!(sha256.to_string(), sha256sum(&path), "{options:?}: {file:?}");
            whole += 1;
        }
        assert_eq!((file.status.as_str(), file.partial), ("ok", false), "{file:?}");
        if path.exists() && options.iter().any(|option| option.starts_with("-a")) {
            let about = fs::metadata(&path).unwrap();
            assert_eq!(file.mtime, Some(about.mtime()), "{file:?}");
            assert_eq!(file.mode.as_deref(), Some(format!("{:04o}", about.mode() & 0o7777).as_str()));
        }
    }
    let plain =
        !options.iter().any(|option| option.starts_with("-az") || *option == "-an" || *option == "-n");
    assert!(whole > 10 || !plain, "{options:?}: {whole} digests of {}", transfers(seen).len());
}

macro_rules! ways {
    ($($name:ident: $oldest:literal, $options:expr;)*) => {$(
        #[test]
        fn $name() {
            let (options, mut trees): (&[&str], _) = (&$options, Trees::new());
            if options[0].contains('c') {
                trees = trees.without(b"same-sparse");
            }
            if options.iter().any(|option| option.starts_with("--iconv")) {
                trees = trees.without(b"not \xFF\xFE utf-8");
            }
            both_ways(&trees, options, $oldest);
        }
    )*};
}

ways! {
    files_of_an_archive_are_told: 27, ["-a"];
    files_without_attributes_are_told: 27, ["-r"];
    files_of_one_list_are_told: 30, ["-a", "--no-inc-recursive"];
    files_found_by_their_digests_are_told: 27, ["-ac"];
    files_with_hard_links_are_told: 27, ["-aH"];
    files_with_hard_links_in_one_list_are_told: 30, ["-aHc", "--no-inc-recursive"];
    files_with_everything_are_told: 30, ["-aHAXU"];
    files_with_everything_in_one_list_are_told: 30, ["-aHAXUc", "--no-inc-recursive"];
    files_beside_deleted_ones_are_told: 27, ["-a", "--delete", "--exclude=nothing"];
    files_after_excluded_ones_were_deleted_are_told: 27, ["-a", "--delete-excluded", "--exclude=a-b"];
    files_without_empty_folders_are_told: 29, ["-am"];
    files_changed_in_place_are_told: 27, ["-a", "--inplace"];
    files_that_grew_are_told: 27, ["-a", "--append"];
    files_sent_whole_are_told: 27, ["-aW", "--partial"];
    files_of_numbered_owners_are_told: 27, ["-a", "--numeric-ids"];
    files_compressed_are_told: 27, ["-az"];
    files_compressed_by_zlib_are_told: 27, ["-az", "--compress-choice=zlib"];
    files_compressed_by_zlibx_are_told: 30, ["-az", "--compress-choice=zlibx"];
    files_compressed_by_lz4_are_told: 30, ["-az", "--compress-choice=lz4"];
    files_compressed_by_zstd_are_told: 30, ["-az", "--compress-choice=zstd"];
    files_not_compressed_after_all_are_told: 30, ["-az", "--compress-choice=zlib", "--compress-level=0"];
    files_by_other_digests_are_told: 30, ["-ac", "--checksum-choice=sha1,xxh3"];
    files_without_digests_are_told: 30, ["-a", "--checksum-choice=none"];
    files_of_other_character_sets_are_told: 30, ["-a", "--iconv=latin1,latin1"];
    nothing_is_told_of_a_trial: 27, ["-a", "-n"];
}

#[test]
fn files_that_their_sender_removes_are_told() {
    for version in VERSIONS {
        let protocol = format!("--protocol={version}");
        for upload in [true, false] {
            let trees = Trees::new();
            let near = format!("{}/", trees.tap.text("near"));
            let there = trees.destination("far");
            let (from, to, prefix) = match upload {
                true => (near, format!("host:{there}"), there),
                false => (format!("host:{near}"), there, near),
            };
            compared(&trees.tap, &["-a", "--remove-source-files", &protocol, &from, &to], &prefix);
        }
    }
}

/// Stands before the server and takes from the client's letters what rsync 3.0 and 3.1 did not know.
const OLDER: &str = r#"#!/bin/sh
for word; do
    shift
    case $word in -*e.*) word=$(printf %s "$word" | sed 's/L\{0,1\}s\{0,1\}f\{0,1\}x*C*I*v*u*$/LETTERS/') ;; esac
    set -- "$@" "$word"
done
exec rsync "$@"
"#;

#[test]
fn files_as_older_programs_send_them_are_told() {
    for letters in ["", "Lsf"] {
        let trees = Trees::new().without(b"same-sparse");
        let program = trees.tap.file("older/rsync", OLDER.replace("LETTERS", letters).as_bytes());
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let program = format!("--rsync-path={program}");
        both_ways(&trees, &["-aHAXc", &program], 30);
        both_ways(&trees, &["-aHAXc", "--no-inc-recursive", &program], 30);
    }
}

#[test]
fn paths_are_those_of_the_target_however_they_were_asked_for() {
    let tap = Tap::new();
    for name in ["d/f", "d/g", "e/h", "e/deep/i"] {
        tap.file(&format!("near/{name}"), name.as_bytes());
    }
    let (near, far) = (tap.text("near"), tap.text("far"));
    let run = |arguments: &[&str]| {
        let passed = tap.run(Command::new("rsync").arg("-e").arg(tap.ssh()).arg("-rI").args(arguments)).ok();
        let mut told: Vec<_> = transfers(&passed.observed())
            .into_iter()
            .map(|file| (file.path.clone(), file.name.clone(), file.derived.confidence))
            .collect();
        told.sort();
        told
    };
    let sure = |folder: &str, names: &[&str]| -> Vec<_> {
        names.iter().map(|name| (format!("{folder}/{name}"), None, Confidence::High)).collect()
    };
    let list = tap.file("list", b"d/g\ne/deep\n");
    let here = format!("host:{far}");
    for version in ["--protocol=27", "--protocol=29", "--protocol=30", "--protocol=32"] {
        let up = |words: &[&str]| run(&[&[version], words, &[here.as_str()]].concat());
        assert_eq!(up(&[&format!("{near}/")]), sure(&far, &["d/f", "d/g", "e/deep/i", "e/h"]), "{version}");
        assert_eq!(up(&[&format!("{near}/d"), &format!("{near}/e/h")]), sure(&far, &["d/f", "d/g", "h"]));
        assert_eq!(up(&["-R", &format!("{near}/./e/deep")]), sure(&far, &["e/deep/i"]));
        let list = format!("--files-from={list}");
        assert_eq!(up(&[&list, &near]), sure(&far, &["d/g", "e/deep/i"]));

        let back = tap.text(&format!("back{version}"));
        let down = |words: &[&str]| run(&[&[version], words, &[back.as_str()]].concat());
        let there = format!("host:{near}");
        assert_eq!(down(&[&there]), sure(&near, &["d/f", "d/g", "e/deep/i", "e/h"]));
        assert_eq!(
            down(&[&format!("{there}/d"), &format!(":{near}/e/h")]),
            sure(&near, &["d/f", "d/g", "e/h"])
        );
        assert_eq!(down(&["-R", &format!("{there}/e/./deep")]), sure(&near, &["e/deep/i"]));
        assert_eq!(down(&["-R", &format!("{there}/e")]), sure(&near, &["e/deep/i", "e/h"]));
        assert_eq!(down(&[&list, &there]), sure(&near, &["d/g", "e/deep/i"]));

        // A file alone may become what it is sent to, or go into it.
        let one = |to: &str| run(&[version, &format!("{near}/d/f"), &format!("host:{to}")]);
        let into = vec![(far.clone(), Some("f".to_owned()), Confidence::Medium)];
        assert_eq!(one(&far), into, "{version}");
        assert_eq!(one(&format!("{far}/")), sure(&far, &["f"]));
        assert_eq!(one(&format!("{far}/f")), sure(&far, &["f"]));
    }
}

#[test]
fn a_file_of_which_a_part_passed_is_partial() {
    let trees = Trees::new().without(b"same-sparse");
    let (near, far) = (format!("{}/", trees.tap.text("near")), trees.destination("far"));
    for (from, to) in [(near.clone(), format!("host:{far}")), (format!("host:{near}"), far.clone())] {
        let mut rsync = Command::new("rsync");
        let mut passed = trees.tap.run(rsync.arg("-aI").arg("-e").arg(trees.tap.ssh()).args([from, to])).ok();
        let whole = passed.observed();
        fs::remove_dir_all(&far).unwrap();
        trees.destination("far");
        let upload = end(&whole).direction == Some(Direction::Upload);
        let stream = if upload { Stream::Input } else { Stream::Output };
        let total: usize = passed.chunks.iter().filter(|chunk| chunk.0 == stream).map(|c| c.1.len()).sum();
        let (chunks, mut partial) = (std::mem::take(&mut passed.chunks), 0);
        for back in (1000..30_000).step_by(2000) {
            // Nothing passes any more from there on, in either direction.
            passed.chunks.clone_from(&chunks);
            let mut left = total - back;
            passed.chunks.retain_mut(|(of, bytes)| {
                if *of == stream {
                    bytes.truncate(left);
                    left -= bytes.len();
                }
                left > 0
            });
            passed.status = 20;
            let cut = passed.observed();
            let files = transfers(&cut);
            assert!(files.len() <= transfers(&whole).len());
            let whole = files.split_last().map_or(&[][..], |(last, before)| {
                if !last.partial {
                    return &files[..];
                }
                partial += u32::from(last.bytes > 0);
                assert!(last.bytes <= last.size.unwrap(), "{last:?}");
                assert_eq!((last.status.as_str(), last.sha256), ("exit status 20", None));
                before
            });
            // What the target sent it has sent; what it got it has not acknowledged.
            let status = if upload { "exit status 20" } else { "ok" };
            assert!(whole.iter().all(|file| file.status == status && !file.partial), "{whole:#?}");
        }
        assert!(partial > 2, "{partial} were cut");
    }
}

#[test]
fn more_names_than_are_remembered_are_counted() {
    let tap = Tap::new();
    for n in 0..400 {
        tap.file(&format!("near/a file with a name that is not short {n}"), b"content");
    }
    let (near, far) = (format!("{}/", tap.text("near")), tap.text("far/"));
    let options = Options { names_bytes: 40_000, ..Default::default() };
    for (from, to) in [(near.clone(), format!("host:{far}")), (format!("host:{near}"), tap.text("back"))] {
        let mut rsync = Command::new("rsync");
        let passed = tap.run(rsync.arg("-r").arg("-e").arg(tap.ssh()).args([from, to])).ok();
        let seen: Vec<Observed> = passed.decoded(&options, |_| 100);
        let told = transfers(&seen);
        let [rest] = told[..] else { panic!("{told:?}") };
        assert_eq!((rest.files, rest.bytes, rest.status.as_str()), (Some(400), 2800, "ok"));
        assert_eq!(rest.no_sha256.as_deref(), Some("more names than are remembered"));
        assert_eq!((end(&seen).listed, end(&seen).transferred), (Some(401), Some(400)));
    }
    // Of what waits for the end of an upload, those that came first are told without an answer.
    let mut rsync = Command::new("rsync");
    let passed = tap.run(rsync.args(["-rI", "-e"]).arg(tap.ssh()).args([near, format!("host:{far}")])).ok();
    let options = Options { names_bytes: 100_000, ..Default::default() };
    let seen: Vec<Observed> = passed.decoded(&options, |_| 100);
    let answered = transfers(&seen).iter().filter(|file| file.status == "ok").count();
    let early = transfers(&seen).iter().filter(|file| file.status == "not answered").count();
    assert!(answered > 50 && early > 50 && answered + early == 400, "{answered} and {early}");
}

#[test]
fn what_is_changed_on_the_way_gives_the_same_in_any_chunks() {
    let tap = Tap::new();
    for name in ["a", "b/c", "b/d", "e/f/g"] {
        tap.file(&format!("near/{name}"), &noise(300));
    }
    symlink("a", tap.path("near/link")).unwrap();
    fs::hard_link(tap.path("near/a"), tap.path("near/hard")).unwrap();
    let near = format!("{}/", tap.text("near"));
    let mut state = 1_u64;
    for version in VERSIONS {
        let options = [format!("--protocol={version}"), "-aHc".to_owned()];
        let more = if version >= 30 { "-AX" } else { "-v" };
        let (far, back) = (tap.text(&format!("far{version}")), tap.text(&format!("back{version}")));
        for (from, to) in [(near.clone(), format!("host:{far}")), (format!("host:{near}"), back)] {
            let mut rsync = Command::new("rsync");
            let mut passed =
                tap.run(rsync.arg("-e").arg(tap.ssh()).args(&options).arg(more).args([from, to])).ok();
            assert_eq!(transfers(&passed.observed()).len(), 4);
            for _ in 0..60 {
                let mut random = |below: usize| {
                    state =
                        state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (state >> 33) as usize % below
                };
                let chunk = random(passed.chunks.len());
                let place = random(passed.chunks[chunk].1.len());
                let (byte, other) = (passed.chunks[chunk].1[place], random(256) as u8);
                passed.chunks[chunk].1[place] = other;
                let stops = kinds(&passed.observed()).iter().filter(|kind| **kind == "decode.stop").count();
                assert!(stops <= 1);
                passed.chunks[chunk].1[place] = byte;
            }
        }
    }
}
