//! dropbear's `dbclient`, and rsync over it for files.

use std::process::Command;

use bartizan_testkit::run;

use super::tools::{self, SHOWN, TYPED, UNTIL_END, line};
use crate::scene::{Client, Scene, text};

/// The words of `dbclient OPTIONS`, and the host. It keeps host keys of its own; -y -y takes what it is shown.
fn words(scene: &Scene) -> (Vec<String>, &'static str) {
    let key = scene.folder().join("key.dropbear");
    let mut convert = Command::new("dropbearconvert");
    run(convert.args(["openssh", "dropbear"]).arg(scene.key.private()).arg(&key)).ok();
    let (port, (user, inner)) = (scene.bartizan().port().to_string(), tools::users(scene));
    let own = ["dbclient", "-y", "-y", "-i", text(&key)];
    let outer = [&own[..], &["-p", &port, "-l", &user]].concat();
    let (words, host) = match inner {
        Some(login) => {
            let jump = line(&[&outer[..], &["-B", "web-1:22", "127.0.0.1"]].concat());
            let words = [&own[..], &["-J", &jump, "-l", login]].concat();
            (words.into_iter().map(str::to_owned).collect(), "web-1")
        }
        None => (outer.into_iter().map(str::to_owned).collect(), "127.0.0.1"),
    };
    (words, host)
}

fn dbclient(scene: &Scene, arguments: &[&str]) -> Command {
    let (words, host) = words(scene);
    let mut client = Command::new("env");
    client.args(words).env("HOME", scene.folder());
    let (options, command) = arguments.split_at(arguments.len().saturating_sub(1));
    client.args(options).arg(host).args(command);
    client
}

/// It wants a terminal of its own, which `script` gives it.
pub(super) fn shell(scene: &Scene) {
    let (words, host) = words(scene);
    let mut all: Vec<&str> = words.iter().map(String::as_str).collect();
    all.extend(["-t", host]);
    let mut script = Command::new("script");
    script.args(["-q", "-e", "-c", &quoted(&all), "/dev/null"]).env("HOME", scene.folder());
    let mut client = Client::start(&mut script);
    client.type_in(TYPED);
    client.read_to(SHOWN);
    assert_eq!(client.finish().0, 7);
}

/// As [`line`], for words that hold quotes.
fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("'{}'", word.replace('\'', r"'\''"))).collect::<Vec<_>>().join(" ")
}

pub(super) fn exec(scene: &Scene) {
    tools::exec(&mut dbclient(scene, &["-T", tools::COMMAND]));
}

/// rsync takes the words of its remote shell split at spaces, quotes respected.
fn rsync(scene: &Scene, from: &str, to: &str) {
    let (words, _) = words(scene);
    let all: Vec<&str> = words.iter().map(String::as_str).collect();
    let shell = scene.folder().join("dbclient");
    std::fs::write(&shell, format!("#!/bin/sh\nexec {} \"$@\"\n", quoted(&all))).unwrap();
    let mut rsync = Command::new("rsync");
    rsync.args(["-I", "-e", &format!("sh {}", shell.display()), from, to]).env("HOME", scene.folder());
    run(&mut rsync).ok();
}

fn host(scene: &Scene) -> &'static str {
    words(scene).1
}

pub(super) fn upload(scene: &Scene) {
    let host = host(scene);
    tools::upload(scene, |near, far| rsync(scene, text(near), &format!("{host}:{}", far.display())));
}

pub(super) fn download(scene: &Scene) {
    let host = host(scene);
    tools::download(scene, |far, near| rsync(scene, &format!("{host}:{}", far.display()), text(near)));
}

pub(super) fn forward(scene: &Scene) {
    tools::forward_by_option(|ports| dbclient(scene, &["-T", "-L", ports, UNTIL_END]));
}
