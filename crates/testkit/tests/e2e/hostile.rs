//! Clients that send what no stock client sends: the record stays whole, and nothing gets through by it.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;
use std::thread;

use bartizan_testkit::{Finished, SshdOptions, eventually, run};

use crate::clients::{python, source};
use crate::scene::{Options, Scene, Way, text, ways};

ways! {
    everywhere:
        a_nul_in_a_command_is_nothing_a_server_takes,
        ten_thousand_sizes_harm_nobody;
    bartizan:
        a_nul_in_a_command_hides_nothing,
        a_nul_is_no_way_around_a_permission,
        sizes_do_not_flood_the_log,
        escapes_hide_nothing,
        no_terminal_hides_input_that_no_terminal_takes,
        forwards_in_a_loop_are_all_on_record,
}

/// Runs Paramiko, from which anything can be had.
fn hostile(scene: &Scene, words: &[&str]) -> Finished {
    let (way, port) = match scene.way() {
        Way::Direct | Way::OpenSshJump => ("direct", scene.target.port()),
        Way::ProxyJump => ("jump", scene.bartizan().port()),
        Way::UserName => ("name", scene.bartizan().port()),
        Way::Console => panic!("Paramiko has no console"),
    };
    let mut client: Command = python();
    client.arg(source("hostile_client.py"));
    run(client.args([way, &port.to_string(), text(scene.key.private()), scene.target.login()]).args(words))
}

/// OpenSSH's server ends the connection over it.
fn a_nul_in_a_command_is_nothing_a_server_takes(way: Way) {
    let scene = Scene::new(way);
    let done = hostile(&scene, &["nul", "echo first%00; echo second"]).fails();
    assert_eq!(done.text(), "");
}

fn a_nul_in_a_command_hides_nothing(way: Way) {
    let scene = Scene::new(way);
    hostile(&scene, &["nul", "echo first%00; echo second"]).fails();
    let event = scene.event("command");
    assert_eq!(event["command"], "echo first\\x00; echo second", "{event:#}");
}

fn a_nul_is_no_way_around_a_permission(way: Way) {
    let scene =
        Scene::with(way, &Options { allow: Some("scp,rsync,sftp:read,git:read"), ..Options::default() });
    let mark = scene.folder().join("mark");
    let touch = format!("touch {}", text(&mark));
    for command in [
        format!("{touch}%00scp -t /tmp"),
        format!("scp -t /tmp%00; {touch}"),
        format!("scp -t /tmp;%00{touch}"),
        format!("git-upload-pack%00;{touch}"),
        format!("rsync --server%00 . /tmp; {touch}"),
    ] {
        hostile(&scene, &["nul", &command]).fails();
        assert!(!mark.exists(), "it ran: {command}");
    }
}

fn ten_thousand_sizes_harm_nobody(way: Way) {
    let scene = Scene::new(way);
    let done = hostile(&scene, &["sizes", "10000"]);
    assert_eq!(done.code(), 3, "{done}");
    assert!(done.text().contains("43 132"), "{done}");
}

fn sizes_do_not_flood_the_log(way: Way) {
    let scene = Scene::new(way);
    hostile(&scene, &["sizes", "10000"]);
    let session = scene.ended_session();
    assert_eq!(session["state"], "ended", "{session:#}");
    let id = session["id"].as_str().unwrap();
    let events = scene.bartizan().json(&["log", "search", "--session", id, "--limit", "1000"]);
    assert!(events.as_array().unwrap().len() < 50, "{events:#}");
    // The recording has the last of them and plays.
    let cast = scene.bartizan().cli(&["session", "export", id, "--format", "asciicast"]).ok().text();
    assert!(cast.contains("\"r\", \"132x43\""), "{}", &cast[cast.len().saturating_sub(500)..]);
    scene.bartizan().cli(&["session", "export", id, "--format", "text"]).ok();
    scene.bartizan().cli(&["log", "verify"]).ok();
}

/// The alternate screen, titles, a cleared screen, a terminal that is told to print elsewhere.
fn escapes_hide_nothing(way: Way) {
    let scene = Scene::new(way);
    let command = r"printf '\033[?1049h\033]0;nothing here\007\033[5i\0337\033[2J\033[3J'; echo behind-the-screen; printf '\033P$q'; echo in-a-string";
    let mut ssh = scene.client.ssh();
    run(ssh.args(["-tt", scene.host(), command])).ok();
    let id = scene.ended_session()["id"].as_str().unwrap().to_owned();
    for format in ["raw", "asciicast", "ttyrec"] {
        let done = scene.bartizan().cli(&["session", "export", &id, "--format", format]).ok();
        let shown = String::from_utf8_lossy(&done.stdout).into_owned();
        for mark in ["behind-the-screen", "in-a-string"] {
            assert!(shown.contains(mark), "{format}: {shown}");
        }
    }
    let listed = scene.bartizan().cli(&["session", "show", &id]).ok().text();
    assert!(!listed.contains('\u{1b}'), "{listed}");
}

/// A terminal is asked for without a reply: after the program started, where OpenSSH ignores it, and of a target that has
/// none. What the program reads is in the recording.
fn no_terminal_hides_input_that_no_terminal_takes(way: Way) {
    for (when, config) in [("late", vec![]), ("early", vec!["PermitTTY no".to_owned()])] {
        let sshd = SshdOptions { config, ..SshdOptions::default() };
        let scene = Scene::with(way, &Options { sshd, ..Options::default() });
        let done = hostile(&scene, &["terminal", when]).ok();
        let sent = "0123456789abcdef".repeat(64);
        assert_eq!(done.text(), sent, "{when}: it went through cat");
        let id = scene.ended_session()["id"].as_str().unwrap().to_owned();
        let export = ["session", "export", &id, "--format", "raw", "--stream", "input"];
        assert_eq!(scene.bartizan().cli(&export).ok().text(), sent, "{when}");
    }
}

fn forwards_in_a_loop_are_all_on_record(way: Way) {
    const COUNT: usize = 300;
    let scene = Scene::with(way, &Options { allow: Some("exec,forward:local"), ..Options::default() });
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, mut said) = (stream.unwrap(), [0; 6]);
            // Some say nothing and go.
            if stream.read_exact(&mut said).is_ok() {
                said.make_ascii_uppercase();
                let _ = stream.write_all(&said);
            }
        }
    });
    hostile(&scene, &["forwards", &port.to_string(), &COUNT.to_string()]).ok();
    assert_eq!(scene.ended_session()["state"], "ended");
    for kind in ["channel.open", "channel.close"] {
        let found = eventually(kind, || {
            let found = scene.bartizan().json(&["log", "search", "--type", kind, "--limit", "1000"]);
            let found = found.as_array().unwrap().len();
            (found >= COUNT).then_some(found)
        });
        assert_eq!(found, COUNT, "{kind}");
    }
    scene.bartizan().cli(&["log", "verify"]).ok();
}
