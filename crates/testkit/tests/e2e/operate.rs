//! What operators do to a running server: watch it, test targets, reload it, stop it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use bartizan_testkit::{Bartizan, BartizanOptions, Server, eventually, run, run_with_input};
use serde_json::Value;

use crate::scene::{Options, Scene, Way, list, ways};

ways! {
    everywhere: ;
    bartizan:
        metrics_tell_what_happened_and_name_nobody,
        a_target_is_tested_without_a_session,
        a_reload_takes_what_it_can_and_says_what_waits,
        a_stop_waits_for_sessions_and_lets_nothing_new_begin,
        the_time_for_sessions_ends,
}

fn configured(config: &str) -> Options {
    Options { bartizan: BartizanOptions::written(config), ..Options::default() }
}

/// What `GET path` gives on the listener for metrics: status line and body.
#[track_caller]
pub(crate) fn ask(bartizan: &Bartizan, path: &str) -> (String, String) {
    let log = bartizan.log();
    let address =
        log.split("metrics address=").nth(1).expect("a listener for metrics").split_whitespace().next();
    let mut stream = TcpStream::connect(address.unwrap()).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: bartizan\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

pub(crate) const WITH_METRICS: &str = "\n[metrics]\nlisten = [\"127.0.0.1:0\"]\n";

fn metrics_tell_what_happened_and_name_nobody(way: Way) {
    let scene = Scene::with(way, &configured(WITH_METRICS));
    scene.exec("echo hello; exit 7").exits(7);
    scene.ended_session();
    scene.exec("cat").ok();
    run(scene.client.ssh().args([
        "-N",
        "-o",
        "ExitOnForwardFailure=yes",
        "-R",
        "0:127.0.0.1:9",
        scene.host(),
    ]))
    .fails();
    eventually("three sessions have ended, and a checkpoint was published", || {
        let (_, text) = ask(scene.bartizan(), "/metrics");
        let ended = text.contains("\nbartizan_sessions_ended_total{outcome=\"ended\"} 3\n");
        (ended && text.contains("\nbartizan_log_checkpoint_age_seconds ")).then_some(())
    });
    let b = scene.bartizan();
    let (status, text) = ask(b, "/metrics");
    assert_eq!(status, "HTTP/1.1 200 OK");
    let name = if way == Way::ProxyJump { "proxy_jump" } else { "user_name" };
    for line in [
        "bartizan_ready 1".to_owned(),
        "bartizan_sessions_live 0".to_owned(),
        "bartizan_recordings_open 0".to_owned(),
        format!("bartizan_sessions_started_total{{way=\"{name}\"}} 3"),
        "bartizan_sessions_ended_total{outcome=\"truncated\"} 0".to_owned(),
        "bartizan_upstream_connected_total 3".to_owned(),
        "bartizan_authentications_total{method=\"publickey\",outcome=\"success\"} 3".to_owned(),
        "bartizan_access_denied_total{action=\"forward:remote\"} 1".to_owned(),
        "bartizan_relayed_bytes_total{direction=\"out\"} 6".to_owned(),
        "bartizan_channels_opened_total{type=\"session\"} 2".to_owned(),
        "bartizan_log_failed 0".to_owned(),
        "bartizan_database_up 1".to_owned(),
    ] {
        assert!(text.contains(&format!("\n{line}\n")), "{line} is missing in\n{text}");
    }
    for name in ["alice", "web-1", scene.target.login(), "127.0.0.1"] {
        let told =
            text.lines().filter(|line| !line.starts_with('#') && line.contains(&format!("\"{name}\"")));
        assert_eq!(told.count(), 0, "{name} in\n{text}");
    }
    // The page in the documentation lists what is told, and nothing else is told.
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md")).unwrap();
    let listed: Vec<_> =
        page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let listed: Vec<_> = listed.into_iter().filter(|name| !name.starts_with('/')).collect();
    let told: Vec<_> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert_eq!(told, listed);
    // Prometheus' own judgement, where it is installed.
    let mut promtool = std::process::Command::new("promtool");
    if promtool.arg("--version").output().is_ok() {
        let mut check = std::process::Command::new("promtool");
        let done = run_with_input(check.args(["check", "metrics"]), text.as_bytes()).ok();
        assert_eq!(done.text() + &done.errors(), "");
    }
    assert_eq!(ask(b, "/healthz").1, "ok\n");
    assert_eq!(ask(b, "/readyz").1, "ok\n");
    assert!(ask(b, "/v1/people").0.contains("404"));
}

#[track_caller]
fn steps(scene: &Scene, arguments: &[&str]) -> (i32, Vec<Value>, String) {
    let done = scene.bartizan().cli(&[&["target", "test"], arguments, &["--json"]].concat());
    let steps = done.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (done.code(), steps, done.errors())
}

fn names(steps: &[Value]) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    steps.iter().map(|step| format!("{} {}", text(&step["step"]), text(&step["outcome"]))).collect()
}

fn a_target_is_tested_without_a_session(way: Way) {
    let mut scene = Scene::new(way);
    let login = scene.target.login().to_owned();
    let all = ["resolve", "connect", "identify", "host_key", "authenticate"];
    let passed = |steps: &[&str]| steps.iter().map(|step| format!("{step} passed")).collect::<Vec<_>>();

    let (code, told, _) = steps(&scene, &["web-1", "--login", &login]);
    assert_eq!((code, names(&told)), (0, passed(&all)));
    assert!(told[2]["detail"].as_str().unwrap().starts_with("SSH-2.0-OpenSSH"), "{told:?}");
    let key = told[3]["detail"].as_str().unwrap();
    assert!(key.contains(&scene.target.host_key().fingerprint()) && key.ends_with(", pinned"), "{key}");
    assert!(told[4]["detail"].as_str().unwrap().contains("with certificate "), "{told:?}");
    // Evidence before effect: the test is in the log before the connection is. No session began.
    let test = scene.event("target.test");
    assert_eq!((test["target"].as_str(), test["login"].as_str()), (Some("web-1"), Some(&*login)));
    assert!(test["index"].as_u64() < scene.event("upstream.connect")["index"].as_u64());
    assert!(scene.sessions().is_empty() && scene.target.log().contains("bartizan test"));

    let (code, told, _) = steps(&scene, &["web-1"]);
    assert_eq!((code, names(&told)[4].as_str()), (0, "authenticate skipped"));

    let (code, told, errors) = steps(&scene, &["web-1", "--login", "nobody-of-this-name"]);
    assert_eq!((code, names(&told)[4].as_str()), (1, "authenticate failed"));
    assert!(errors.contains("web-1 cannot be used: authenticate failed"), "{errors}");
    assert!(told[4]["detail"].as_str().unwrap().contains("TrustedUserCAKeys"), "{told:?}");

    scene.target.restart_with_new_host_key();
    let (code, told, _) = steps(&scene, &["web-1", "--login", &login]);
    assert_eq!((code, names(&told)[3].as_str(), told.len()), (1, "host_key failed", 4));
    let b = scene.bartizan();
    b.say(&["target", "remove", "web-1", "--with-grants"]);
    b.say(&["target", "add", "web-1", &scene.target.endpoint(), "--first-use"]);
    let told = b.say(&["target", "test", "web-1", "--login", &login]);
    assert!(told.contains("passed   host_key") && told.contains("first use: pinned from now on"), "{told}");
    assert!(b.say(&["target", "test", "web-1"]).contains(", pinned\n"));

    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    drop(silent);
    b.say(&["target", "add", "away", &format!("127.0.0.1:{port}"), "--first-use"]);
    b.cli(&["target", "test", "away"]).exits(1).says(&["away cannot be used: connect failed", "firewalls"]);
    b.say(&["target", "add", "nowhere", "no-such-host.invalid", "--first-use"]);
    b.cli(&["target", "test", "nowhere"]).exits(1).says(&["nowhere cannot be used: resolve failed"]);
    b.cli(&["target", "test", "unknown"]).exits(1).says(&["unknown"]);
    b.cli(&["log", "verify"]).ok();
}

fn a_reload_takes_what_it_can_and_says_what_waits(way: Way) {
    let scene = Scene::new(way);
    let run_with = |name: &str| {
        let mut ssh = scene.client.ssh();
        ssh.args(["-o", &format!("SetEnv={name}=42"), scene.host(), &format!("echo \"<${name}>\"")]);
        run(&mut ssh).ok().text()
    };
    assert_eq!(run_with("LC_BARTIZAN"), "<42>\n", "the target takes it");
    let b = scene.bartizan();
    let file = b.data().join("bartizan.toml");
    let before = fs::read_to_string(&file).unwrap();
    let after = before.clone()
        + "workers = 3\npublic_address = \"bastion.example.com:2222\"\nlog_level = \"debug\"\n\
           [session]\naccept_env = [\"LANG\"]\n";
    fs::write(&file, &after).unwrap();
    b.reload();
    assert_eq!(run_with("LC_BARTIZAN"), "<>\n", "for connections from now on");
    assert!(b.say(&["ssh-config"]).contains("bastion.example.com"));
    eventually("the level of the log", || b.log().contains("DEBUG").then_some(()));
    let reloads = scene.events("server.reload");
    let last = reloads.last().unwrap();
    let keys =
        |name: &str| list(&last[name]).iter().map(|key| key.as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(keys("changed"), ["public_address", "log_level", "session.accept_env"]);
    assert_eq!(keys("restart"), ["workers"]);
    assert!(b.log().contains("after a restart") && b.log().contains("workers"), "{}", b.log());

    // A file with a fault changes nothing.
    fs::write(&file, after.replace("LANG", "A=B")).unwrap();
    b.reload();
    let last = scene.events("server.reload").pop().unwrap();
    assert!(last["reason"].as_str().unwrap().contains("accept_env"), "{last:#}");
    assert_eq!(run_with("LC_BARTIZAN"), "<>\n");
    fs::write(&file, before).unwrap();
    b.reload();
    assert_eq!(run_with("LC_BARTIZAN"), "<42>\n");
}

fn a_stop_waits_for_sessions_and_lets_nothing_new_begin(way: Way) {
    let mut scene = Scene::with(way, &configured(&format!("{WITH_METRICS}[session]\ndrain = \"1h\"\n")));
    let mut plain = scene.start(&[], "echo up; read line; echo \"got $line\"");
    plain.read_to("up\n");
    let mut typing = scene.start(&["-tt"], "echo up; read line; echo \"got $line\"");
    typing.read_to("up\r\n");
    scene.bartizan().ask_to_stop();
    let told = typing.read_to("please finish.\r\n");
    assert!(told.contains("\r\nbartizan: the server is going to stop."), "{told}");
    let (status, reasons) = ask(scene.bartizan(), "/readyz");
    assert!(status.contains("503") && reasons.contains("draining: "), "{status} {reasons}");
    scene.exec("true").exits(255);

    typing.type_in("one\n");
    assert!(typing.read_to("got one\r\n").ends_with("got one\r\n"));
    assert_eq!(typing.finish().0, 0);
    // What has no terminal was told nothing: its bytes are the target's alone.
    plain.type_in("two\n");
    let (code, rest, errors) = plain.finish();
    assert_eq!((code, rest.as_str(), errors.as_str()), (0, "got two\n", ""));
    assert!(scene.bartizan_mut().wait_for_end().success(), "{}", scene.bartizan().log());
    assert!(!scene.bartizan().log().contains("live sessions are ended"), "{}", scene.bartizan().log());
    scene.bartizan_mut().start_again();
    let ends = scene.events("session.end");
    assert_eq!(ends.len(), 2, "{ends:#?}");
    assert!(ends.iter().all(|end| end["outcome"] == "success" && end["truncated"] == false), "{ends:#?}");
}

fn the_time_for_sessions_ends(way: Way) {
    let mut scene = Scene::with(way, &configured("\n[session]\ndrain = \"0s\"\n"));
    let mut client = scene.start(&["-tt"], "echo up; exec sleep 1000");
    client.read_to("up\r\n");
    assert!(scene.bartizan_mut().stop().success());
    let (code, rest, errors) = client.finish();
    assert_ne!(code, 0);
    // There was no time to finish anything, so nobody was asked to.
    let told = rest + &errors;
    assert!(told.contains("bartizan: the server is stopping") && !told.contains("please finish"), "{told}");
    scene.bartizan_mut().start_again();
    let end = scene.ended_session();
    assert_eq!(
        (end["state"].as_str(), scene.event("session.end")["reason"].as_str()),
        (Some("ended"), Some("server stopped"))
    );
}

/// A second signal cuts the waiting short; the sessions have their ends on record all the same.
#[test]
fn a_second_signal_is_not_waited_for() {
    let mut scene = Scene::with(Way::ProxyJump, &configured("\n[session]\ndrain = \"1h\"\n"));
    let mut client = scene.start(&[], "echo up; exec sleep 1000");
    client.read_to("up\n");
    scene.bartizan().ask_to_stop();
    assert!(scene.bartizan().wait_for_log("draining"), "{}", scene.bartizan().log());
    // Those that come too early for a second one count for nothing.
    eventually("live sessions are ended", || {
        scene.bartizan().ask_to_stop();
        scene.bartizan().log().contains("live sessions are ended at once").then_some(())
    });
    assert!(scene.bartizan_mut().wait_for_end().success());
    assert_ne!(client.finish().0, 0);
    scene.bartizan_mut().start_again();
    assert_eq!(scene.ended_session()["state"], "ended");
    scene.bartizan().cli(&["log", "verify"]).ok();
}

/// `timeout` sends its signal to the process and then to its group: sessions have their time all the same.
#[test]
fn a_signal_that_comes_twice_at_once_is_one() {
    let mut scene = Scene::with(Way::ProxyJump, &configured("\n[session]\ndrain = \"1h\"\n"));
    let mut client = scene.start(&["-tt"], "echo up; read line; echo got $line");
    client.read_to("up\r\n");
    scene.bartizan().ask_to_stop();
    scene.bartizan().ask_to_stop();
    client.read_to("please finish.");
    client.type_in("done\r");
    client.read_to("got done");
    assert_eq!(client.finish().0, 0);
    assert!(scene.bartizan_mut().wait_for_end().success());
    scene.bartizan_mut().start_again();
    assert_eq!(scene.event("session.end")["outcome"], "success");
}

/// Somebody at the console is told, too; and a folder that cannot be listened on is named.
#[test]
fn a_console_is_told_and_a_bad_listener_is_named() {
    let mut scene = Scene::with(Way::UserName, &configured("\n[session]\ndrain = \"1h\"\n"));
    let mut ssh = scene.client.ssh();
    let mut console = crate::scene::Client::start(ssh.args(["-tt", "bastion"]));
    console.read_to("bartizan> ");
    scene.bartizan().ask_to_stop();
    console.read_to("please finish.");
    console.type_in("exit\r");
    assert_eq!(console.finish().0, 0);
    assert!(scene.bartizan_mut().wait_for_end().success());

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let file = scene.bartizan().data().join("bartizan.toml");
    fs::write(&file, fs::read_to_string(&file).unwrap() + &format!("[metrics]\nlisten = [\"{address}\"]\n"))
        .unwrap();
    let mut serve = std::process::Command::new(bartizan_testkit::programs().join("bartizand"));
    run(serve.arg("serve").arg("--data").arg(scene.bartizan().data())).exits(1).says(&[
        "cannot listen on",
        &address.to_string(),
        "/metrics",
    ]);
}

/// The wall clock goes back a minute and a half while a session lives: the session goes on and its length is right, new
/// ones begin, events keep their order, and the log verifies, also after a restart at the right time.
#[test]
fn a_clock_that_jumps_back_breaks_nothing() {
    let library = list_files("/usr/lib", "libfaketime.so.1").expect("libfaketime, see scripts/setup-test.sh");
    let mut scene = Scene::new(Way::UserName);
    let offset = scene.folder().join("offset");
    fs::write(&offset, "+0\n").unwrap();
    scene.bartizan_mut().stop();
    let mut serve = std::process::Command::new(bartizan_testkit::programs().join("bartizand"));
    serve.arg("serve").arg("--data").arg(scene.bartizan().data()).env("LD_PRELOAD", library);
    serve.env("FAKETIME_TIMESTAMP_FILE", &offset).env("FAKETIME_NO_CACHE", "1");
    serve.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("DONT_FAKE_MONOTONIC", "1");
    let mut server = Server::spawn(&mut serve);
    assert!(server.wait_for(" ready "), "{}", server.log());

    let mut client = scene.start(&[], "echo up; read line; echo \"got $line\"");
    client.read_to("up\n");
    fs::write(&offset, "-90\n").unwrap();
    client.type_in("one\n");
    client.read_to("got one\n");
    assert_eq!(client.finish().0, 0);
    scene.exec("exit 7").exits(7);
    let ends = eventually("both sessions have ended", || {
        Some(scene.events("session.end")).filter(|ends| ends.len() == 2)
    });
    for end in &ends {
        assert!(end["duration_us"].as_u64().unwrap() < 60_000_000, "by the clock that cannot jump: {end:#}");
    }
    let starts = scene.events("session.start");
    let time = |event: &Value| event["time"].as_str().unwrap().to_owned();
    assert!(time(&starts[1]) < time(&starts[0]), "the clock did jump: {starts:#?}");
    scene.bartizan().cli(&["log", "verify"]).ok();
    assert!(server.terminate().success(), "{}", server.log());
    scene.bartizan_mut().start_again();
    scene.bartizan().cli(&["log", "verify"]).ok();
    scene.exec("exit 8").exits(8);
}

/// A file of that name in a folder or below it.
fn list_files(folder: &str, name: &str) -> Option<std::path::PathBuf> {
    let found = run(std::process::Command::new("find").args([folder, "-name", name])).text();
    found.lines().next().map(Into::into)
}
