//! The server's life: init, serve, check, two on one folder, crashes and stops.

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use bartizan_testkit::{Bartizan, BartizanOptions, eventually, programs, run, shell};
use serde_json::Value;

use super::{Tells as _, program, text};

/// A data folder that nobody serves.
fn initialized() -> (tempfile::TempDir, PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    let data = temp.path().join("data");
    program("bartizand", &["init", "--data", text(&data), "--listen", "127.0.0.1:0"]).ok();
    (temp, data)
}

#[test]
fn init_makes_a_private_folder_once_and_prints_the_next_steps() {
    let temp = tempfile::tempdir().unwrap();
    let data = temp.path().join("data");
    let init = || program("bartizand", &["init", "--data", text(&data), "--listen", "127.0.0.1:2222"]);
    init().ok().tells(&[
        "Next:",
        "bartizand serve --data",
        "person add alice",
        "ssh -J alice@127.0.0.1:2222 root@web-1",
    ]);
    assert_eq!(fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
    for name in [
        "bartizan.toml",
        "bartizan.db",
        "index.db",
        "keys/host_ed25519",
        "keys/user_ca",
        "keys/people_ca",
        "keys/target_seed",
        "log/log.json",
    ] {
        assert!(data.join(name).is_file(), "{name}");
    }
    let config = fs::read(data.join("bartizan.toml")).unwrap();
    init().exits(1).tells(&["is not empty; nothing was changed"]);
    assert_eq!(fs::read(data.join("bartizan.toml")).unwrap(), config);
    let key = fs::read_to_string(data.join("keys/log.vkey")).unwrap();
    program("bartizand", &["check", "--data", text(&data)]).ok().tells(&[
        "127.0.0.1:2222",
        "host key",
        "people CA SHA256:",
        key.trim(),
    ]);
    program("bartizan", &["-D", text(&data), "log", "verify"]).ok().tells(&["verifies: 0 events"]);
}

#[test]
fn check_names_the_line_and_serve_refuses_too() {
    let (_temp, data) = initialized();
    let file = data.join("bartizan.toml");
    let text_before = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{text_before}[limits]\nlogin_grce = \"5s\"\n")).unwrap();
    let line = text_before.lines().count() + 2;
    for command in ["check", "serve"] {
        program("bartizand", &[command, "--data", text(&data)]).exits(1).tells(&[&format!(
            "bartizan.toml:{line}: unknown key limits.login_grce; did you mean limits.login_grace?"
        )]);
    }
    let page = program("bartizand", &["check", "--explain"]).ok().text();
    assert!(page.contains("### `login_grace`") && page.contains("consequence:"), "{page}");
}

#[test]
fn folders_that_are_none_or_open_to_others_are_refused() {
    let (temp, data) = initialized();
    let serve = |data: &PathBuf| program("bartizand", &["serve", "--data", text(data)]);
    serve(&temp.path().join("none")).exits(1).tells(&["there is no data folder", "bartizand init"]);
    fs::create_dir(temp.path().join("empty")).unwrap();
    fs::set_permissions(temp.path().join("empty"), Permissions::from_mode(0o700)).unwrap();
    serve(&temp.path().join("empty")).exits(1).tells(&["it has no bartizan.toml"]);
    fs::set_permissions(&data, Permissions::from_mode(0o755)).unwrap();
    serve(&data).exits(1).tells(&["others may look into the data folder", "chmod 700"]);
    fs::set_permissions(&data, Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(data.join("keys/user_ca"), Permissions::from_mode(0o644)).unwrap();
    serve(&data).exits(1).tells(&["others may read the key", "chmod 600"]);
    fs::remove_file(data.join("keys/user_ca")).unwrap();
    serve(&data).exits(1).tells(&["user_ca is missing", "backup"]);
}

/// Root may write everywhere, so the test gives itself up to nobody where it runs as root.
#[test]
fn an_unwritable_folder_is_refused_with_a_reason() {
    let temp = tempfile::Builder::new().prefix("unwritable-").tempdir_in("/tmp").unwrap();
    let closed = temp.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(temp.path(), Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&closed, Permissions::from_mode(0o555)).unwrap();
    // A copy that nobody may run, wherever the build folder is.
    let copy = temp.path().join("bartizand");
    fs::copy(programs().join("bartizand"), &copy).unwrap();
    fs::set_permissions(&copy, Permissions::from_mode(0o755)).unwrap();
    let data = closed.join("data");
    let init = format!("{} init --data {}", text(&copy), text(&data));
    let as_nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups";
    let line = if shell("id -u").text().trim() == "0" { format!("{as_nobody} {init}") } else { init };
    shell(&line).exits(1).tells(&["cannot make the data folder", "Permission denied"]);
    assert!(!data.exists());
}

/// `timeout` sends its signal to the process and then to its group.
#[test]
fn a_signal_that_comes_twice_at_once_leaves_the_stop_on_record() {
    let mut bartizan = Bartizan::start();
    bartizan.ask_to_stop();
    bartizan.ask_to_stop();
    assert!(bartizan.wait_for_end().success(), "{}", bartizan.log());
    bartizan.start_again();
    assert_eq!(bartizan.json(&["log", "search", "--type", "server.stop"]).as_array().unwrap().len(), 1);
}

#[test]
fn a_second_server_on_the_folder_is_refused_and_the_first_goes_on() {
    let bartizan = Bartizan::start();
    let data = bartizan.data();
    let told = program("bartizand", &["serve", "--data", text(&data)]).exits(1);
    told.tells(&["another bartizand", &format!("pid {}", bartizan.pid()), "works on"]);
    bartizan.say(&["person", "list"]);
    // Another folder on the same port.
    let (_temp, other) = initialized();
    let config = fs::read_to_string(other.join("bartizan.toml")).unwrap();
    fs::write(other.join("bartizan.toml"), config.replace("127.0.0.1:0", &bartizan.endpoint())).unwrap();
    let told = program("bartizand", &["serve", "--data", text(&other)]).exits(1);
    told.tells(&["cannot listen on", &bartizan.endpoint()]);
    assert!(!other.join("admin.sock").exists(), "it never was ready");
}

#[test]
fn after_a_crash_the_stale_socket_is_in_nobodys_way() {
    let mut bartizan = Bartizan::start();
    bartizan.say(&["person", "add", "alice"]);
    bartizan.kill();
    assert!(bartizan.data().join("admin.sock").exists(), "a crash leaves it");
    bartizan.cli(&["person", "list"]).exits(1).tells(&["the server is not running", "bartizand serve"]);
    bartizan.start_again();
    assert_eq!(bartizan.json(&["person", "list"])[0]["name"], "alice");
    let starts = bartizan.json(&["log", "search", "--type", "server.start"]);
    assert_eq!(starts.as_array().unwrap().len(), 2);
}

#[test]
fn a_stop_in_order_is_on_record_and_takes_the_socket_away() {
    let mut bartizan = Bartizan::start();
    let socket = bartizan.data().join("admin.sock");
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    // Somebody follows the log, and somebody else is connected and silent.
    let mut tail = Command::new(programs().join("bartizan"))
        .arg("-D")
        .arg(bartizan.data())
        .args(["log", "tail", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("server.start"));
    let silent = UnixStream::connect(&socket).unwrap();
    bartizan.say(&["person", "add", "alice"]);
    assert!(bartizan.stop().success(), "{}", bartizan.log());
    drop(silent);
    let rest: Vec<Value> = lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    assert!(rest.iter().any(|event| event["type"] == "directory.change"), "{rest:?}");
    assert_eq!(tail.wait().unwrap().code(), Some(1), "who waits for events is told that no more come");
    assert!(!socket.exists());
    bartizan.start_again();
    let stops = bartizan.json(&["log", "search", "--type", "server.stop"]);
    assert_eq!((stops[0]["reason"].as_str(), stops.as_array().unwrap().len()), (Some("SIGTERM"), 1));
}

#[test]
fn the_server_speaks_plainly_on_standard_error() {
    let bartizan = Bartizan::with(&BartizanOptions::written("log_level = \"debug\"\n"));
    // The last line comes right after the socket.
    let log = eventually("the server says that it is ready", || {
        Some(bartizan.log()).filter(|log| log.contains(" ready "))
    });
    assert!(log.contains("listening") && log.contains(&bartizan.endpoint()), "{log}");
    assert!(!log.contains('\u{1b}'), "no colours where there is no terminal");
}

#[test]
fn usage_errors_exit_with_two_and_completions_need_no_server() {
    program("bartizan", &["nonsense"]).exits(2);
    program("bartizand", &["serve", "--port", "22"]).exits(2);
    program("bartizan", &["-D", "/nowhere", "person", "list"])
        .exits(1)
        .tells(&["there is no data folder /nowhere"]);
    for shell in ["bash", "zsh", "fish"] {
        program("bartizan", &["completions", shell]).ok().tells(&["bartizan", "ssh-config"]);
    }
    let long = format!("/tmp/{}", "x".repeat(200));
    program("bartizan", &["-D", &long, "person", "list"]).exits(1);
    let quiet = run(Command::new("sh")
        .arg("-c")
        .arg(format!("{} completions bash | head -n 1", text(&programs().join("bartizan")))))
    .ok();
    assert_eq!(quiet.errors(), "", "a reader that has enough is no failure");
}
