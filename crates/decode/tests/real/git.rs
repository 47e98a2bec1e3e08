//! `git` against `git-receive-pack` and `git-upload-pack`.

use std::io::Write as _;
use std::process::{Command, Stdio};

use bartizan_decode::{Decoder, Observed, Options, Stream};
use bartizan_model::event::{Body, Outcome};
use bartizan_model::observation::{Confidence, GitEnd, GitRef};

use crate::tap::{Passed, Tap, kinds, noise};

struct Repository {
    tap: Tap,
}

impl Repository {
    fn new() -> Self {
        let tap = Tap::new();
        tap.file("near/file", &noise(20_000));
        let repository = Self { tap };
        repository.here(&["init", "-q", "-b", "main", "."]);
        repository.here(&["init", "-q", "--bare", "../far repo.git"]);
        repository.commit("first");
        repository
    }

    fn git(&self, arguments: &[&str]) -> Command {
        let mut git = Command::new("git");
        git.current_dir(self.tap.path("near"));
        git.args(["-c", "user.name=Alice", "-c", "user.email=alice@example.com", "-c", "safe.directory=*"]);
        git.args(arguments);
        git
    }

    fn here(&self, arguments: &[&str]) -> String {
        let done = self.git(arguments).env("HOME", self.tap.path("")).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }

    fn commit(&self, message: &str) -> String {
        self.tap.file("near/message", message.as_bytes());
        self.here(&["add", "."]);
        self.here(&["commit", "-q", "-m", message]);
        self.here(&["rev-parse", "HEAD"])
    }

    fn url(&self) -> String {
        format!("host:{}", self.tap.text("far repo.git"))
    }

    fn through(&self, arguments: &[&str]) -> Passed {
        self.tap.run(&mut self.git(arguments))
    }
}

fn refs(seen: &[Observed]) -> Vec<&GitRef> {
    let found = seen.iter().filter_map(|observed| match &observed.body {
        Body::GitRef(change) => Some(change),
        _ => None,
    });
    found.collect()
}

#[track_caller]
fn end(seen: &[Observed]) -> &GitEnd {
    let Some(Body::GitEnd(end)) = seen.last().map(|observed| &observed.body) else { panic!("{seen:#?}") };
    end
}

#[test]
fn a_push_tells_each_ref_with_its_old_and_new_id() {
    let repository = Repository::new();
    let (url, first) = (repository.url(), repository.here(&["rev-parse", "HEAD"]));
    let seen = repository.through(&["push", &url, "main", "main:refs/heads/other"]).ok().observed();
    assert_eq!(kinds(&seen), ["git.ref", "git.ref", "git.end"]);
    let change = refs(&seen)[0];
    assert_eq!((change.name.as_str(), change.status.as_str()), ("refs/heads/main", "ok"));
    assert_eq!((&change.old, change.new.as_ref()), (&None, Some(&first)));
    assert_eq!(change.repository, repository.tap.text("far repo.git"));
    assert_eq!((end(&seen).service.as_str(), end(&seen).refs), ("git-receive-pack", 2));
    assert!(end(&seen).pack_bytes > 20_000, "{:?}", end(&seen));

    let second = repository.commit("second");
    let seen = repository.through(&["push", &url, "main", ":other"]).ok().observed();
    let mut found: Vec<_> =
        refs(&seen).iter().map(|c| (c.name.as_str(), c.old.clone(), c.new.clone())).collect();
    found.sort();
    let expected =
        [("refs/heads/main", Some(first.clone()), Some(second)), ("refs/heads/other", Some(first), None)];
    assert_eq!(found, expected);
}

#[test]
fn a_refused_ref_says_why() {
    let repository = Repository::new();
    let url = repository.url();
    repository.through(&["push", &url, "main"]).ok();
    repository.here(&["--git-dir=../far repo.git", "config", "receive.denyDeletes", "true"]);
    let passed = repository.through(&["push", &url, ":main"]);
    assert!(!passed.client.status.success());
    let seen = passed.observed();
    assert_eq!(refs(&seen)[0].status, "deletion prohibited");
    assert_eq!((refs(&seen)[0].new.as_ref(), end(&seen).pack_bytes), (None, 0));
}

/// Pushes a new branch by hand, with these capabilities; gives what is observed.
fn push_by_hand(repository: &Repository, branch: &str, capabilities: &str, pack: &[u8]) -> Vec<Observed> {
    let (far, id) = (repository.tap.path("far repo.git"), repository.here(&["rev-parse", "HEAD"]));
    let line = format!("{} {id} refs/heads/{branch}\0{capabilities}", "0".repeat(40));
    let asked = [format!("{:04x}{line}0000", line.len() + 4).as_bytes(), pack].concat();
    let mut server = Command::new("git");
    server
        .args(["-c", "safe.directory=*", "receive-pack"])
        .arg(&far)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap());
    server.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut server = server.env("HOME", repository.tap.path("")).spawn().unwrap();
    server.stdin.take().unwrap().write_all(&asked).unwrap();
    let said = server.wait_with_output().unwrap();
    let mut seen = Vec::new();
    let mut decoder = Decoder::for_exec(0, b"git-receive-pack '/r'", &Options::default()).unwrap();
    // It lists its refs first, and reports when it has been asked.
    let report =
        said.stdout.windows(10).position(|bytes| bytes == b"000eunpack").unwrap_or(said.stdout.len());
    decoder.feed(Stream::Output, &said.stdout[..report], &mut seen);
    decoder.feed(Stream::Input, &asked, &mut seen);
    decoder.feed(Stream::Output, &said.stdout[report..], &mut seen);
    decoder.finish(said.status.code().map(|code| code as u32), &mut seen);
    seen
}

#[test]
fn a_push_that_asks_for_no_report_is_told_as_done() {
    let repository = Repository::new();
    let pack =
        repository.git(&["pack-objects", "--all", "--stdout"]).stdin(Stdio::null()).output().unwrap().stdout;
    for (branch, capabilities) in [("plain", ""), ("other", " agent=x")] {
        let seen = push_by_hand(&repository, branch, capabilities, &pack);
        let change = refs(&seen)[0];
        assert_eq!((change.status.as_str(), seen[0].outcome), ("no report was asked for", Outcome::Success));
        assert_eq!(change.derived.confidence, Confidence::Low);
        repository.here(&["--git-dir=../far repo.git", "rev-parse", "--verify", branch]);
    }
    let seen = push_by_hand(&repository, "asked", "report-status", &pack);
    assert_eq!((refs(&seen)[0].status.as_str(), refs(&seen)[0].derived.confidence), ("ok", Confidence::High));
    // Git that gives up says so by its exit status alone.
    let seen = push_by_hand(&repository, "bad", "object-format=nosuch", b"");
    assert_eq!(refs(&seen)[0].status, "no report was asked for: exit status 128");
    assert_eq!(seen[0].outcome, Outcome::Failure);
}

#[test]
fn options_of_a_push_are_no_part_of_its_pack() {
    let repository = Repository::new();
    repository.here(&["--git-dir=../far repo.git", "config", "receive.advertisePushOptions", "true"]);
    let url = repository.url();
    let seen = repository.through(&["push", "-o", "ci.skip", "-o", "x=y", &url, "main"]).ok().observed();
    assert_eq!(refs(&seen)[0].status, "ok");
    let plain = Repository::new();
    let plain_seen = plain.through(&["push", &plain.url(), "main"]).ok().observed();
    let difference = end(&seen).pack_bytes.abs_diff(end(&plain_seen).pack_bytes);
    assert!(difference < 64, "{seen:#?} {plain_seen:#?}");
}

#[test]
fn a_fetch_counts_what_it_wants_in_each_version() {
    let repository = Repository::new();
    let url = repository.url();
    repository.through(&["push", &url, "main"]).ok();
    for version in 0..=2 {
        let protocol = format!("protocol.version={version}");
        let clone = format!("../clone{version}");
        let passed = repository.through(&["-c", &protocol, "clone", "-q", &url, &clone]).ok();
        let seen = passed.observed();
        assert_eq!(kinds(&seen), ["git.end"]);
        let end = end(&seen);
        assert_eq!(
            (end.service.as_str(), end.wants, end.haves),
            ("git-upload-pack", 1, 0),
            "version {version}"
        );
    }
}
