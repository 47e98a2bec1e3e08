//! Grants with rules for forwarding: each connection and each listener is held to them, and the session goes on.

use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;

use bartizan_testkit::{Finished, run, run_with_input};
use serde_json::Value;

use crate::forwards::{ask, forwarding, free_port, shout, shouter, socks, try_socks};
use crate::scene::{Options, Scene, Way, list, text, ways};

ways! {
    everywhere: ;
    bartizan:
        local_forwards_lead_where_rules_say,
        dynamic_forwards_lead_where_rules_say,
        remote_forwards_listen_where_rules_say,
        sockets_are_held_to_their_paths,
        rules_that_come_count_for_what_is_opened_then,
        an_ssh_session_inside_is_told,
}

/// A scene in which alice may run programs, and forward by these rules.
fn scene(way: Way, allow: &str, rules: &[&str]) -> Scene {
    let scene = Scene::with(way, &Options { allow: Some("shell,exec"), ..Options::default() });
    grant(&scene, allow, rules);
    scene
}

fn grant(scene: &Scene, allow: &str, rules: &[&str]) {
    let login = scene.target.login();
    let add = ["grant", "add", "--person", "alice", "--target", "web-1", "--login", login, "--allow", allow];
    scene.bartizan().say(&[&add[..], rules].concat());
}

/// A listener to which nobody may come.
fn lonely() -> (u16, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    (listener.local_addr().unwrap().port(), listener)
}

/// `ssh -W`, with something to say.
fn reach(scene: &Scene, to: &str) -> Finished {
    run_with_input(scene.client.ssh().args(["-W", to, scene.host()]), b"hello!")
}

fn refusals(scene: &Scene, kind: &str) -> Vec<Value> {
    let denied = list(&scene.bartizan().json(&["log", "search", "--type", kind, "--limit", "1000"]));
    denied.into_iter().filter(|event| event["outcome"] == "denied").collect()
}

fn local_forwards_lead_where_rules_say(way: Way) {
    let (port, server) = shouter();
    let permitted = format!("127.0.0.1:{port}");
    let scene = scene(way, "forward:local", &["--forward-to", &permitted]);
    assert_eq!(reach(&scene, &permitted).ok().text(), "HELLO!");
    server.join().unwrap();

    let (other, listener) = lonely();
    let to = format!("127.0.0.1:{other}");
    let why = format!("no grant permits forward:local to {to}; permitted to {permitted}");
    reach(&scene, &to).fails().says(&[&why]);
    // The name of the address, and a spelling that resolvers know, are not what is permitted.
    reach(&scene, &format!("localhost:{port}"))
        .fails()
        .says(&["no grant permits forward:local to localhost"]);
    reach(&scene, &format!("127.1:{port}")).fails().says(&["neither a plain name nor an address"]);
    assert!(listener.accept().is_err(), "nobody came");

    let refused = refusals(&scene, "channel.open");
    assert_eq!(refused.len(), 3, "{refused:#?}");
    let event = refused.iter().find(|event| event["reason"] == why).unwrap_or_else(|| panic!("{refused:#?}"));
    assert!(event["detail"].as_str().unwrap().starts_with(&format!("to {to} from ")), "{event:#}");

    let login_at = format!("{}@web-1", scene.target.login());
    let check = |to: &str| {
        scene.bartizan().cli(&["access", "check", "alice", &login_at, "forward:local", "--to", to])
    };
    let explained = check(&permitted).ok();
    assert!(explained.text().contains(&format!("may forward:local to {permitted}")), "{explained}");
    check(&to).exits(3).says(&[&why, "rule g-"]);
}

fn dynamic_forwards_lead_where_rules_say(way: Way) {
    let (port, server) = shouter();
    let scene = scene(way, "forward:local", &["--forward-to", &format!("127.0.0.0/8:{port}")]);
    let here = free_port();
    let client = forwarding(&scene, &["-D", &format!("127.0.0.1:{here}")]);
    let (other, listener) = lonely();
    // Some versions of OpenSSH say that they are connected before they are, and close then; others close.
    if let Ok(mut connected) = try_socks(here, other) {
        let mut answer = String::new();
        let _ = connected.read_to_string(&mut answer);
        assert_eq!(answer, "");
    }
    assert!(listener.accept().is_err(), "nobody came");
    assert_eq!(ask(socks(here, port)), "HELLO!", "the session goes on");
    server.join().unwrap();
    assert_eq!(client.finish().0, 0);
    assert_eq!(refusals(&scene, "channel.open").len(), 1);
}

fn remote_forwards_listen_where_rules_say(way: Way) {
    let (port, server) = shouter();
    let there = free_port();
    let rules = ["--listen-on", &format!("localhost:{there}")];
    let scene = scene(way, "forward:remote", &rules);
    for refused in [format!("*:{there}"), format!("127.0.0.1:{}", free_port()), "127.0.0.1:0".to_owned()] {
        let mut ssh = scene.client.ssh();
        let option = format!("{refused}:127.0.0.1:{port}");
        ssh.args(["-o", "ExitOnForwardFailure=yes", "-R", &option, scene.host(), "true"]);
        run(&mut ssh).fails().says(&["forwarding failed"]);
    }
    let client = forwarding(&scene, &["-R", &format!("127.0.0.1:{there}:127.0.0.1:{port}")]);
    assert_eq!(ask(TcpStream::connect(("127.0.0.1", there)).unwrap()), "HELLO!");
    server.join().unwrap();
    assert_eq!(client.finish().0, 0);

    let refused = refusals(&scene, "forward.listen");
    assert_eq!(refused.len(), 3, "{refused:#?}");
    let why = format!("no grant permits forward:remote on *:{there}; permitted on localhost:{there}");
    assert!(refused.iter().any(|event| event["reason"] == why), "{refused:#?}");
}

fn sockets_are_held_to_their_paths(way: Way) {
    let scene = Scene::with(way, &Options { allow: Some("shell,exec"), ..Options::default() });
    let at = |name: &str| scene.folder().join(name);
    let (near, inside, outside) = (at("near"), at("in"), at("out"));
    for folder in [&inside, &outside] {
        std::fs::create_dir(folder).unwrap();
    }
    let below = format!("{}/*", inside.display());
    grant(&scene, "forward:local,forward:remote", &["--forward-to", &below, "--listen-on", &below]);

    let (far, secret) = (inside.join("far"), outside.join("secret"));
    let listener = UnixListener::bind(&far).unwrap();
    let _secret = UnixListener::bind(&secret).unwrap();
    let server = thread::spawn(move || shout(listener.accept().unwrap().0));
    let stolen = at("stolen");
    let options =
        [(&near, &far), (&stolen, &secret)].map(|(near, far)| format!("{}:{}", text(near), text(far)));
    let client = forwarding(&scene, &["-L", &options[0], "-L", &options[1]]);
    let mut answer = String::new();
    let _ = UnixStream::connect(&stolen).unwrap().read_to_string(&mut answer);
    assert_eq!(answer, "");
    assert_eq!(ask(UnixStream::connect(&near).unwrap()), "HELLO!");
    server.join().unwrap();
    assert_eq!(client.finish().0, 0);
    let refused = refusals(&scene, "channel.open");
    let why = format!("no grant permits forward:local to {}; permitted to {below}", secret.display());
    assert_eq!(refused.iter().map(|event| event["reason"].clone()).collect::<Vec<_>>(), [why]);

    for (listens, permitted) in [(outside.join("listens"), false), (inside.join("listens"), true)] {
        let mut ssh = scene.client.ssh();
        let option = format!("{}:127.0.0.1:1", text(&listens));
        ssh.args(["-o", "ExitOnForwardFailure=yes", "-R", &option, scene.host(), "true"]);
        let done = run(&mut ssh);
        if permitted {
            done.ok()
        } else {
            done.fails().says(&["forwarding failed"])
        };
    }
    assert!(!outside.join("listens").exists());
}

fn rules_that_come_count_for_what_is_opened_then(way: Way) {
    let scene = scene(way, "forward:remote", &["--listen-on", "localhost:*"]);
    let (port, listener) = lonely();
    let there = free_port();
    let client = forwarding(&scene, &["-R", &format!("127.0.0.1:{there}:127.0.0.1:{port}")]);
    let grants = list(&scene.bartizan().json(&["grant", "list"]));
    let old =
        grants.iter().find(|grant| !grant["forwards"].is_null()).unwrap_or_else(|| panic!("{grants:#?}"));
    assert_eq!(old["forwards"]["listen"], serde_json::json!(["localhost:*"]));
    grant(&scene, "forward:remote", &["--listen-on", "localhost:1"]);
    scene.bartizan().say(&["grant", "remove", old["id"].as_str().unwrap()]);
    let mut answer = String::new();
    let _ = TcpStream::connect(("127.0.0.1", there)).unwrap().read_to_string(&mut answer);
    assert_eq!(answer, "");
    assert!(listener.accept().is_err(), "nobody came");
    assert_eq!(client.finish().0, 0, "the session goes on");
    let why = format!("no grant permits forward:remote on 127.0.0.1:{there}; permitted on localhost:1");
    let refused = refusals(&scene, "channel.open");
    assert_eq!(refused.iter().map(|event| event["reason"].clone()).collect::<Vec<_>>(), [why]);
}

fn an_ssh_session_inside_is_told(way: Way) {
    let scene = scene(way, "forward:local", &[]);
    let (port, server) = shouter();
    let mut ssh = scene.client.ssh();
    ssh.args(["-W", &format!("127.0.0.1:{port}"), scene.host()]);
    run_with_input(&mut ssh, b"SSH-2.0-inside\r\n").ok();
    server.join().unwrap();
    let greeting = scene.event("forward.greeting");
    assert_eq!(greeting["identification"], "SSH-2.0-inside");
    assert_eq!(
        (&greeting["derived"]["decoder"], &greeting["severity"]),
        (&"ssh".into(), &"notice".into()),
        "{greeting:#}"
    );
}
