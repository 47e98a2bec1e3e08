//! Connections that never get anywhere.

use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use bartizan_testkit::{BartizanOptions, resident_bytes, run};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};

use crate::scene::{Client, Options, Scene, Way};

/// Opens a connection from a loopback address of our choice.
fn connect_from(source: Ipv4Addr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((source, 0)).into())?;
    socket.connect(&to.into())?;
    Ok(socket.into())
}

fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
}

#[test]
fn a_thousand_half_open_connections_stop_no_login() {
    raise_file_limit();
    let scene = Scene::new(Way::ProxyJump);
    scene.exec("true").ok();
    let pid = scene.bartizan().pid();
    let before = resident_bytes(pid);
    let server = SocketAddr::from(([127, 0, 0, 1], scene.bartizan().port()));
    let half_open: Vec<_> = (0..1000_u32)
        .map(|n| connect_from(Ipv4Addr::new(127, 0, 9, (n / 100) as u8 + 1), server).unwrap())
        .collect();
    scene.exec("exit 7").exits(7);
    let grown = resident_bytes(pid).saturating_sub(before);
    assert!(grown < 64 << 20, "{} KiB for each connection that sent nothing", grown / 1024 / 1000);
    drop(half_open);
    scene.exec("exit 7").exits(7);
}

/// At its limit a source's oldest connection gives way: nobody starves others, nor their own next login.
#[test]
fn one_source_cannot_take_all_places() {
    raise_file_limit();
    let bartizan = BartizanOptions::written("\n[limits]\nhalf_open_per_source = 10\n");
    let scene = Scene::with(Way::UserName, &Options { bartizan, ..Options::default() });
    let server = SocketAddr::from(([127, 0, 0, 1], scene.bartizan().port()));
    let greedy = Ipv4Addr::new(127, 0, 9, 9);
    let mut streams = Vec::new();
    for _ in 0..30 {
        let mut stream = connect_from(greedy, server).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // Greeted: it has its place now.
        stream.read_exact(&mut [0; 8]).unwrap();
        streams.push(stream);
    }
    let newest = streams.split_off(20);
    for mut evicted in streams {
        let mut rest = Vec::new();
        evicted.read_to_end(&mut rest).expect("the oldest are closed");
    }
    for stream in newest {
        stream.set_nonblocking(true).unwrap();
        let mut rest = [0; 4096];
        let open = loop {
            match (&stream).read(&mut rest) {
                Ok(0) => break false,
                Ok(_) => {}
                Err(e) => break e.kind() == std::io::ErrorKind::WouldBlock,
            }
        };
        assert!(open, "the newest ten keep their places");
    }
    scene.exec("exit 7").exits(7);
    assert!(!scene.events("connection.refuse").is_empty());
}

#[test]
fn a_login_that_takes_too_long_is_closed() {
    let bartizan = BartizanOptions::written("\n[limits]\nlogin_grace = \"1s\"\n");
    let scene = Scene::with(Way::UserName, &Options { bartizan, ..Options::default() });
    let mut stream = TcpStream::connect(("127.0.0.1", scene.bartizan().port())).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).expect("the server closes the connection");
    assert!(all.starts_with(b"SSH-2.0-"));
    // A session that stands is not touched by it.
    scene.exec("sleep 2; exit 7").exits(7);
}

/// What says nothing is ended and told why, by each way in; the clock of `idle.rs` shows what is not.
#[test]
fn a_session_without_a_byte_ends_where_an_operator_says_so() {
    let bartizan = BartizanOptions::written("\n[limits]\nidle = \"2s\"\n");
    for way in [Way::ProxyJump, Way::UserName] {
        let scene = Scene::with(way, &Options { bartizan: bartizan.clone(), ..Options::default() });
        scene.exec("exec sleep 1000").exits(255).says(&["nothing passed in it for 2 s"]);
        let session = scene.ended_session();
        let ended = (&session["reason"], &session["state"]);
        assert_eq!(ended, (&"idle: no byte passed for 2 s".into(), &"ended".into()));
        // A console waits for the session that it opened, and tells how that ended.
        let command = format!("ssh {}@web-1 exec sleep 1000", scene.target.login());
        let done = run(scene.client.ssh().args(["bastion", &command])).exits(255);
        assert!(!done.errors().contains("this console ends"), "{done}");
        let mut ssh = scene.client.ssh();
        let (code, shown) = Client::start(ssh.args(["-tt", "bastion"])).outlives();
        assert_eq!(code, 255);
        assert!(shown.contains("this console ends: idle: no byte passed for 2 s"), "{shown}");
    }
}
