//! Ports and sockets forwarded over a session: they work, and each leaves its events, its bytes and its digests.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread::{self, JoinHandle};

use bartizan_testkit::{SshdOptions, eventually, run, run_with_input};

use crate::scene::{Client, Options, Scene, Way, text, ways};

ways! {
    everywhere:
        a_local_forward_carries_bytes_both_ways,
        a_dynamic_forward_reaches_what_is_asked_for,
        a_remote_forward_reaches_the_client,
        sockets_are_forwarded_both_ways,
        x11_reaches_the_display;
    bartizan:
        forwards_leave_events_bytes_and_digests,
        the_name_that_a_forwarded_connection_is_for_is_told,
        without_the_permissions_nothing_is_forwarded,
}

const ALLOW: &str = "shell,exec,forward:local,forward:remote,x11";

fn scene(way: Way) -> Scene {
    Scene::with(way, &Options { allow: Some(ALLOW), ..Options::default() })
}

/// Answers one connection with what it says, in capital letters, once it has said it all.
pub(crate) fn shouter() -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = thread::spawn(move || shout(listener.accept().unwrap().0));
    (port, thread)
}

pub(crate) fn shout(mut stream: impl std::io::Read + std::io::Write) {
    let mut line = [0; 6];
    stream.read_exact(&mut line).unwrap();
    line.make_ascii_uppercase();
    stream.write_all(&line).unwrap();
}

/// Says `hello!` and gives the answer.
pub(crate) fn ask(mut stream: impl std::io::Read + std::io::Write) -> String {
    stream.write_all(b"hello!").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// `ssh OPTIONS` with a program that runs until its input ends, once it runs.
pub(crate) fn forwarding(scene: &Scene, options: &[&str]) -> Client {
    let options = [&["-o", "ExitOnForwardFailure=yes"], options].concat();
    let mut client = scene.start(&options, "echo ready; cat");
    client.read_to("ready\n");
    client
}

fn a_local_forward_carries_bytes_both_ways(way: Way) {
    local(&scene(way));
}

pub(crate) fn local(scene: &Scene) {
    let (port, server) = shouter();
    let to = format!("127.0.0.1:{port}");
    let done = run_with_input(scene.client.ssh().args(["-W", &to, scene.host()]), b"hello!").ok();
    assert_eq!(done.text(), "HELLO!");
    server.join().unwrap();

    let (port, server) = shouter();
    let here = free_port();
    let client = forwarding(scene, &["-L", &format!("127.0.0.1:{here}:127.0.0.1:{port}")]);
    assert_eq!(ask(TcpStream::connect(("127.0.0.1", here)).unwrap()), "HELLO!");
    server.join().unwrap();
    assert_eq!(client.finish().0, 0);
}

fn a_dynamic_forward_reaches_what_is_asked_for(way: Way) {
    dynamic(&scene(way));
}

pub(crate) fn dynamic(scene: &Scene) {
    let (port, server) = shouter();
    let here = free_port();
    let client = forwarding(scene, &["-D", &format!("127.0.0.1:{here}")]);
    assert_eq!(ask(socks(here, port)), "HELLO!");
    server.join().unwrap();
    assert_eq!(client.finish().0, 0);
}

/// Connects to a port of the target's by the `-D` that is here.
pub(crate) fn socks(here: u16, port: u16) -> TcpStream {
    try_socks(here, port).unwrap()
}

/// Likewise, where that may be refused.
pub(crate) fn try_socks(here: u16, port: u16) -> std::io::Result<TcpStream> {
    // SOCKS 5 (RFC 1928): no authentication; CONNECT to an IPv4 address.
    let mut socks = TcpStream::connect(("127.0.0.1", here))?;
    socks.write_all(&[5, 1, 0])?;
    let mut reply = [0; 2];
    socks.read_exact(&mut reply)?;
    assert_eq!(reply, [5, 0]);
    let [high, low] = port.to_be_bytes();
    socks.write_all(&[5, 1, 0, 1, 127, 0, 0, 1, high, low])?;
    let mut reply = [0; 10];
    socks.read_exact(&mut reply)?;
    assert_eq!(reply[1], 0, "connected");
    Ok(socks)
}

fn a_remote_forward_reaches_the_client(way: Way) {
    remote(&scene(way));
}

pub(crate) fn remote(scene: &Scene) {
    let (port, server) = shouter();
    let there = free_port();
    let client = forwarding(scene, &["-R", &format!("127.0.0.1:{there}:127.0.0.1:{port}")]);
    assert_eq!(ask(TcpStream::connect(("127.0.0.1", there)).unwrap()), "HELLO!");
    server.join().unwrap();
    assert_eq!(client.finish().0, 0);
}

fn sockets_are_forwarded_both_ways(way: Way) {
    sockets(&scene(way));
}

pub(crate) fn sockets(scene: &Scene) {
    let (near, far) = (scene.folder().join("near"), scene.folder().join("far"));
    for (option, listens, answers) in [("-L", &near, &far), ("-R", &far, &near)] {
        let listener = UnixListener::bind(answers).unwrap();
        let server = thread::spawn(move || shout(listener.accept().unwrap().0));
        let client = forwarding(scene, &[option, &format!("{}:{}", text(listens), text(answers))]);
        let stream = UnixStream::connect(listens).unwrap();
        assert_eq!(ask(stream), "HELLO!", "{option}");
        server.join().unwrap();
        assert_eq!(client.finish().0, 0);
        for socket in [&near, &far] {
            let _ = std::fs::remove_file(socket);
        }
    }
}

fn x11_reaches_the_display(way: Way) {
    let x11 = vec!["X11Forwarding yes".to_owned(), "XAuthLocation /usr/bin/xauth".to_owned()];
    let sshd = SshdOptions { config: x11, ..SshdOptions::default() };
    self::x11(&Scene::with(way, &Options { sshd, allow: Some(ALLOW), ..Options::default() }));
}

/// Stands in for an X server: sees whether the real cookie comes, which only the client's `ssh` can put there.
pub(crate) fn x11(scene: &Scene) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let Some(display) = listener.local_addr().unwrap().port().checked_sub(6000) else {
        panic!("no display has so low a port");
    };
    let (display, cookie) = (format!("127.0.0.1:{display}.0"), "00112233445566778899aabbccddeeff");
    let authority = scene.folder().join("Xauthority");
    let mut xauth = std::process::Command::new("xauth");
    run(xauth.args(["-q", "-f", text(&authority), "add", &display, "MIT-MAGIC-COOKIE-1", cookie])).ok();
    let server = thread::spawn(move || {
        // The setup of the X protocol: byte order, version 11.0, name of the method, cookie.
        let mut setup = [0; 12 + 20 + 16];
        let mut stream = listener.accept().unwrap().0;
        stream.read_exact(&mut setup).unwrap();
        stream.write_all(b"welcome").unwrap();
        stream.shutdown(Shutdown::Both).unwrap();
        setup
    });
    // What an X program does first, with the cookie that `ssh` made up for the target.
    let program = r#"
        cookie=$(xauth list "$DISPLAY" | awk '{print $3; exit}')
        exec 3<>"/dev/tcp/127.0.0.1/$((6000 + $(echo "${DISPLAY#*:}" | cut -d. -f1)))"
        printf 'l\0\013\0\0\0\022\0\020\0\0\0MIT-MAGIC-COOKIE-1\0\0' >&3
        printf "$(echo "$cookie" | sed 's/../\\x&/g')" >&3
        cat <&3
    "#;
    let mut ssh = scene.client.ssh();
    ssh.env("DISPLAY", &display).env("XAUTHORITY", &authority);
    ssh.args(["-Y", scene.host(), &format!("bash -c '{}'", program.replace('\'', r"'\''"))]);
    let done = run(&mut ssh).ok();
    assert_eq!(done.text(), "welcome", "{done}");
    let setup = server.join().unwrap();
    let hex: String = setup[32..].iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, cookie, "the client's ssh knows the target's cookie from the display's");
}

fn forwards_leave_events_bytes_and_digests(way: Way) {
    let scene = scene(way);
    let (port, server) = shouter();
    let (here, there) = (free_port(), free_port());
    let (second, other) = shouter();
    let local = format!("127.0.0.1:{here}:127.0.0.1:{port}");
    let remote = format!("127.0.0.1:{there}:127.0.0.1:{second}");
    let client = forwarding(&scene, &["-L", &local, "-R", &remote]);
    ask(TcpStream::connect(("127.0.0.1", here)).unwrap());
    server.join().unwrap();
    ask(TcpStream::connect(("127.0.0.1", there)).unwrap());
    other.join().unwrap();
    assert_eq!(client.finish().0, 0);

    let id = scene.ended_session()["id"].as_str().unwrap().to_owned();
    let raw = scene.bartizan().cli(&["session", "export", &id, "--format", "raw", "--channel", "1"]).ok();
    assert_eq!(raw.text(), "HELLO!");
    let opened = scene.events("channel.open");
    let detail = |kind| {
        let event =
            opened.iter().find(|event| event["kind"] == kind).unwrap_or_else(|| panic!("{opened:#?}"));
        event["detail"].as_str().unwrap().to_owned()
    };
    assert!(detail("direct-tcpip").starts_with(&format!("to 127.0.0.1:{port} from 127.0.0.1:")));
    assert!(detail("forwarded-tcpip").starts_with(&format!("on 127.0.0.1:{there} from 127.0.0.1:")));
    let states: Vec<_> = scene.events("forward.listen").iter().map(|e| e["state"].clone()).collect();
    assert_eq!(states, ["asked", "listening"]);
    let closed = eventually("all channels are over", || {
        Some(scene.events("channel.close")).filter(|events| events.len() == 3)
    });
    for kind in ["direct-tcpip", "forwarded-tcpip"] {
        let event = closed.iter().find(|event| event["kind"] == kind).unwrap();
        for stream in ["input", "output"] {
            assert_eq!(
                (&event[stream]["bytes"], &event[stream]["kept"]),
                (&6.into(), &6.into()),
                "{event:#}"
            );
        }
    }
}

fn the_name_that_a_forwarded_connection_is_for_is_told(way: Way) {
    let scene = scene(way);
    let (port, server) = shouter();
    let request = "GET /who HTTP/1.1\r\nHost: intranet.example.com\r\n\r\n";
    let to = format!("127.0.0.1:{port}");
    run_with_input(scene.client.ssh().args(["-W", &to, scene.host()]), request.as_bytes()).ok();
    server.join().unwrap();
    let greeting = scene.event("forward.greeting");
    assert_eq!(
        (&greeting["request"], &greeting["host"]),
        (&"GET /who".into(), &"intranet.example.com".into())
    );
    assert_eq!(greeting["derived"]["decoder"], "http");
}

fn without_the_permissions_nothing_is_forwarded(way: Way) {
    let scene = Scene::with(way, &Options { allow: Some("shell,exec"), ..Options::default() });
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let to = listener.local_addr().unwrap().to_string();
    run_with_input(scene.client.ssh().args(["-W", &to, scene.host()]), b"hello!")
        .fails()
        .says(&["forward:local"]);
    let mut ssh = scene.client.ssh();
    ssh.args(["-o", "ExitOnForwardFailure=yes", "-R", &format!("0:{to}"), scene.host(), "true"]);
    run(&mut ssh).fails().says(&["forwarding failed"]);
    assert!(listener.accept().is_err(), "nobody came");
    let denied = scene.denied();
    for (kind, permission) in [("channel.open", "forward:local"), ("forward.listen", "forward:remote")] {
        let event =
            denied.iter().find(|event| event["type"] == kind).unwrap_or_else(|| panic!("{denied:#?}"));
        assert!(event["reason"].as_str().unwrap().contains(permission), "{event:#}");
    }
}
