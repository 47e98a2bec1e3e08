//! Clients of other makes, by both ways in.

use std::path::{Path, PathBuf};
use std::process::Command;

use bartizan_testkit::{Finished, run, run_with_input, target_folder};

use crate::scene::{Scene, Way, text, ways};

ways! {
    everywhere: ;
    bartizan: putty, dropbear, paramiko, asyncssh, go
}

/// A file of `tests/e2e/clients`.
pub(crate) fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/clients").join(name)
}

/// The Python that has the clients: `BARTIZAN_TEST_PYTHON`, what `scripts/setup-test.sh` made, or the system's.
pub(crate) fn python() -> Command {
    let made = target_folder().join("test-python/bin/python3");
    let fallback = || if made.exists() { made.into_os_string() } else { "python3".into() };
    Command::new(std::env::var_os("BARTIZAN_TEST_PYTHON").unwrap_or_else(fallback))
}

const fn word(way: Way) -> &'static str {
    match way {
        Way::ProxyJump => "jump",
        _ => "name",
    }
}

#[track_caller]
fn script(way: Way, name: &str, known_hosts: bool) {
    let scene = Scene::new(way);
    let mut python = python();
    python.arg(source(name)).args([word(way), &scene.bartizan().port().to_string()]);
    python.arg(scene.key.private()).arg(scene.target.login());
    run(python.args(known_hosts.then(|| scene.client.known_hosts()))).ok();
    scene.ended_session();
    assert_eq!(scene.sessions().len(), 1);
}

fn paramiko(way: Way) {
    script(way, "paramiko_client.py", false);
}

fn asyncssh(way: Way) {
    script(way, "asyncssh_client.py", true);
}

fn go(way: Way) {
    let scene = Scene::new(way);
    let program = scene.folder().join("client");
    let mut build = Command::new("go");
    build.args(["build", "-o", text(&program)]).arg(source("client.go"));
    // The library comes from the distribution's package, without a network.
    build.env("GO111MODULE", "off").env("GOPATH", "/usr/share/gocode").env("GOFLAGS", "");
    build.env("GOCACHE", target_folder().join("test-go"));
    run(&mut build).ok();
    let mut client = Command::new(program);
    client.args([word(way), &scene.bartizan().port().to_string()]).arg(scene.key.private());
    run(client.arg(scene.target.login()).arg(scene.client.known_hosts())).ok();
}

/// A command line for a shell, its words quoted.
fn line(words: &[&str]) -> String {
    words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ")
}

/// PuTTY asks for host keys by fingerprint: the first try tells it, the second names it.
fn plink(arguments: &[&str], fingerprint: Option<&str>) -> Command {
    let mut plink = Command::new("plink");
    plink.args(["-ssh", "-batch", "-noagent"]).args(fingerprint.iter().flat_map(|f| ["-hostkey", f]));
    plink.args(arguments);
    plink
}

fn shown_fingerprint(done: &Finished) -> String {
    let errors = done.errors();
    let found = errors.split_whitespace().find(|word| word.starts_with("SHA256:"));
    found.unwrap_or_else(|| panic!("no fingerprint: {done}")).to_owned()
}

fn putty(way: Way) {
    let scene = Scene::new(way);
    let ppk = scene.folder().join("key.ppk");
    let mut puttygen = Command::new("puttygen");
    run(puttygen.arg(scene.key.private()).args(["-O", "private", "-o", text(&ppk)])).ok();
    let (port, login) = (scene.bartizan().port().to_string(), scene.target.login());
    let command = "cat; echo hi; echo no >&2; exit 7";
    let to_bartizan = |user: &str| {
        let words = ["-P", &port, "-i", text(&ppk), "-l", user].map(str::to_owned);
        words.to_vec()
    };
    let outer = to_bartizan(&if way == Way::ProxyJump { "alice".into() } else { format!("{login}@web-1") });
    let mut outer: Vec<&str> = outer.iter().map(String::as_str).collect();
    let mut probe = outer.clone();
    probe.extend(["127.0.0.1", "true"]);
    let fingerprint = shown_fingerprint(&run(&mut plink(&probe, None)).fails());
    let (jump, inner_key);
    let mut last = if way == Way::ProxyJump {
        outer.extend(["-nc", "web-1:22", "127.0.0.1"]);
        let words = [&["plink", "-ssh", "-batch", "-noagent", "-hostkey", &fingerprint], &outer[..]].concat();
        jump = line(&words);
        let mut inner = vec!["-proxycmd", &jump, "-i", text(&ppk), "-l", login, "web-1"];
        inner_key = shown_fingerprint(&run(plink(&inner, None).arg("true")).fails());
        inner.push(command);
        plink(&inner, Some(&inner_key))
    } else {
        outer.extend(["127.0.0.1", command]);
        plink(&outer, Some(&fingerprint))
    };
    let done = run_with_input(&mut last, b"in\n").exits(7);
    assert_eq!((done.text().as_str(), done.errors().contains("no")), ("in\nhi\n", true), "{done}");
}

fn dropbear(way: Way) {
    let scene = Scene::new(way);
    let key = scene.folder().join("key.dropbear");
    let mut convert = Command::new("dropbearconvert");
    run(convert.args(["openssh", "dropbear"]).arg(scene.key.private()).arg(&key)).ok();
    let (port, login) = (scene.bartizan().port().to_string(), scene.target.login());
    let mut client = Command::new("dbclient");
    // It keeps host keys of its own; -y -y takes what it is shown.
    client.args(["-y", "-y", "-T", "-i", text(&key)]);
    if way == Way::ProxyJump {
        let words = [
            "dbclient",
            "-y",
            "-y",
            "-i",
            text(&key),
            "-p",
            &port,
            "-l",
            "alice",
            "-B",
            "web-1:22",
            "127.0.0.1",
        ];
        client.args(["-J", &line(&words), "-l", login, "web-1"]);
    } else {
        client.args(["-p", &port, "-l", &format!("{login}@web-1"), "127.0.0.1"]);
    }
    client.arg("cat; echo hi; echo no >&2; exit 7").env("HOME", scene.folder());
    let done = run_with_input(&mut client, b"in\n").exits(7);
    assert_eq!((done.text().as_str(), done.errors().contains("no")), ("in\nhi\n", true), "{done}");
}
