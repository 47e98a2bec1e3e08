//! Flow of bytes: readers that stall, peers that never read, new keys under load, many channels.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use bartizan_testkit::{
    Pattern, SshdOptions, eventually, forget_peak, peak_bytes, run, run_with_input, shell,
};

use crate::clients::{go_program, with_scene};
use crate::scene::{Client, Options, Scene, Way, text, ways};

ways! {
    everywhere:
        a_reader_that_stalls_gets_everything,
        a_target_that_does_not_read_fills_no_memory,
        a_stalled_channel_stops_no_other,
        new_keys_under_load_lose_nothing,
        ten_sessions_share_a_connection;
    bartizan:
        many_small_writes_arrive,
}

/// What the server may hold above what it held before, whatever the two ends do.
const FLAT: u64 = 48 << 20;

fn forget(scene: &Scene) -> Option<(u32, u64)> {
    matches!(scene.way(), Way::ProxyJump | Way::UserName).then(|| {
        let pid = scene.bartizan().pid();
        forget_peak(pid);
        (pid, peak_bytes(pid))
    })
}

#[track_caller]
fn stayed_flat(before: Option<(u32, u64)>) {
    if let Some((pid, before)) = before {
        let grown = peak_bytes(pid).saturating_sub(before);
        assert!(grown < FLAT, "the server grew by {} MiB", grown >> 20);
    }
}

/// The pause is the scenario: the reader does nothing while both ends have more to send.
fn a_reader_that_stalls_gets_everything(way: Way) {
    let scene = Scene::new(way);
    scene.exec("true").ok();
    let before = forget(&scene);
    let (ssh, host) = (scene.client.ssh_line(), scene.host());
    let done = shell(&format!("head -c 300M /dev/zero | {ssh} {host} cat | (sleep 4; cat) | wc -c")).ok();
    assert_eq!(done.text().trim(), "314572800");
    stayed_flat(before);
}

fn a_target_that_does_not_read_fills_no_memory(way: Way) {
    let scene = Scene::new(way);
    scene.exec("true").ok();
    let before = forget(&scene);
    let gate = scene.folder().join("gate");
    run(Command::new("mkfifo").arg(&gate)).ok();
    // The far side reads nothing of its input until the gate opens.
    let mut client = scene.start(&[], &format!("echo up; read go < {}; wc -c", text(&gate)));
    client.read_to("up\n");
    let mut input = client.child.stdin.take().unwrap();
    let sent = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&sent);
    let writer = thread::spawn(move || {
        let block = vec![b'x'; 64 << 10];
        for _ in 0..(256 << 20) / block.len() {
            input.write_all(&block).unwrap();
            counter.fetch_add(block.len() as u64, Ordering::Relaxed);
        }
    });
    let (mut last, mut same) = (0, 0);
    eventually("the upload stands still", || {
        let now = sent.load(Ordering::Relaxed);
        same = if now == last { same + 1 } else { 0 };
        last = now;
        // Every buffer between the two ends is full once nothing moves for a second.
        (same >= 50).then_some(())
    });
    assert!(last < 64 << 20, "{} MiB are held between the two ends", last >> 20);
    stayed_flat(before);
    std::fs::write(&gate, "go\n").unwrap();
    writer.join().unwrap();
    let (code, out, errors) = client.finish();
    assert_eq!((code, out.trim()), (0, "268435456"), "{errors}");
    stayed_flat(before);
}

/// A client that shares one connection between several commands.
struct Shared {
    socket: String,
    _master: Client,
}

fn share(scene: &Scene) -> Shared {
    // Short: the path of a Unix socket is limited to a hundred bytes or so.
    let socket = scene.folder().join("mux");
    let mut ssh = scene.client.ssh();
    let master = Client::start(ssh.args(["-M", "-N", "-S", text(&socket), scene.host()]));
    eventually("the shared connection stands", || socket.exists().then_some(()));
    Shared { socket: text(&socket).to_owned(), _master: master }
}

fn a_stalled_channel_stops_no_other(way: Way) {
    let scene = Scene::new(way);
    let before = forget(&scene);
    let shared = share(&scene);
    // Nobody reads its output beyond the first line.
    let mut stalled = scene.start(&["-S", &shared.socket], "echo up; exec cat /dev/zero");
    stalled.read_to("up\n");
    for _ in 0..5 {
        let mut ssh = scene.client.ssh();
        let bytes = Pattern::bytes(5, 3 << 20);
        let done = run_with_input(ssh.args(["-S", &shared.socket, scene.host(), "cat"]), &bytes).ok();
        assert!(done.stdout == bytes);
    }
    stayed_flat(before);
}

/// Each end asks for new keys every MiB, while both directions are full.
fn new_keys_under_load_lose_nothing(way: Way) {
    let sshd = SshdOptions { config: vec!["RekeyLimit 1M".into()], ..SshdOptions::default() };
    let scene = Scene::with(way, &Options { sshd, ..Options::default() });
    let bytes = Pattern::bytes(6, 32 << 20);
    let echo = |cipher: &str, bytes: &[u8]| {
        let mut ssh = scene.client.ssh();
        ssh.args(["-c", cipher, "-o", "RekeyLimit=1M", "-o", "KexAlgorithms=curve25519-sha256"]);
        let done = run_with_input(ssh.args([scene.host(), "cat"]), bytes).ok();
        assert!(done.stdout == bytes, "{cipher}: {} of {} bytes, or others", done.stdout.len(), bytes.len());
    };
    echo("aes256-gcm@openssh.com", &bytes);
    for cipher in ["aes128-ctr", "chacha20-poly1305@openssh.com", "aes128-gcm@openssh.com"] {
        echo(cipher, &bytes[..6 << 20]);
    }
}

fn ten_sessions_share_a_connection(way: Way) {
    let scene = Scene::new(way);
    let shared = share(&scene);
    thread::scope(|scope| {
        for n in 0..10 {
            let (scene, socket) = (&scene, &shared.socket);
            scope.spawn(move || {
                let bytes = Pattern::bytes(n, 1 << 20);
                let mut ssh = scene.client.ssh();
                ssh.args(["-S", socket, scene.host(), &format!("cat; exit {n}")]);
                let done = run_with_input(&mut ssh, &bytes).exits(n as i32);
                assert!(done.stdout == bytes, "session {n}");
            });
        }
    });
    drop(shared);
    if matches!(way, Way::ProxyJump | Way::UserName) {
        scene.ended_session();
        assert_eq!(scene.sessions().len(), 1, "one connection is one session");
        let closes = scene.events("channel.close");
        let mut statuses: Vec<_> = closes.iter().filter_map(|e| e["exit_status"].as_u64()).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, (0..10).collect::<Vec<_>>());
    }
}

fn many_small_writes_arrive(way: Way) {
    let scene = Scene::new(way);
    let mut client = scene.start(&[], "cat");
    let mut input = client.child.stdin.take().unwrap();
    let mut output = client.child.stdout.take().unwrap();
    let (mut seen, mut byte) = (Vec::new(), [0]);
    for n in 0..2000_u32 {
        let sent = n.to_le_bytes()[0];
        input.write_all(&[sent]).unwrap();
        output.read_exact(&mut byte).unwrap();
        seen.push((sent, byte[0]));
    }
    assert!(seen.iter().all(|(sent, back)| sent == back));
}

/// As many packets as a window of OpenSSH's has bytes: each costs a queue more than the byte that is in it.
const TINY: usize = 2 << 20;

/// The target's end is stopped, so that nothing leaves; what the client sends can only wait or be held back.
#[test]
fn tiny_packets_fill_no_memory() {
    let scene = Scene::new(Way::UserName);
    scene.exec("true").ok();
    let before = forget(&scene);
    let stopped = scene.folder().join("stopped");
    let far =
        format!("echo $PPID > {0}.new; mv {0}.new {0}; kill -STOP $PPID; wc -c; exit 7", text(&stopped));
    let mut go = Command::new(go_program());
    with_scene(&mut go, &scene).args(["tiny", &far, &TINY.to_string()]);
    let mut client = Client::start(&mut go);
    let sshd = eventually("the target's end is stopped", || std::fs::read_to_string(&stopped).ok());
    let progress = client.child.stderr.take().unwrap();
    let sent = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&sent);
    let reader = thread::spawn(move || {
        for line in BufReader::new(progress).lines() {
            counter.store(line.unwrap().parse().unwrap(), Ordering::Relaxed);
        }
    });
    let (mut last, mut same) = (0, 0);
    eventually("the client has sent all, or is held back", || {
        let now = sent.load(Ordering::Relaxed);
        same = if now == last { same + 1 } else { 0 };
        last = now;
        (now > 0 && (now == TINY as u64 || same >= 50)).then_some(())
    });
    stayed_flat(before);
    run(Command::new("kill").args(["-CONT", sshd.trim()])).ok();
    let mut out = String::new();
    client.child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    assert_eq!(out.trim(), TINY.to_string());
    assert!(client.child.wait().unwrap().success());
    reader.join().unwrap();
    stayed_flat(before);
}

/// Any number of inner connections over one outer one.
#[test]
fn inner_connections_share_the_outer_one() {
    let mut scene = Scene::new(Way::ProxyJump);
    let socket = scene.folder().join("outer");
    let endpoint = scene.bartizan().endpoint();
    let path = format!("ControlPath {}", text(&socket));
    scene.client.host("bastion", &endpoint, "alice", &[&path]);
    let mut master = scene.client.ssh();
    master.args(["-M", "-N", "-o", "ControlMaster=yes", "bastion"]).stdin(Stdio::null());
    let _outer = Client::start(&mut master);
    eventually("the outer connection stands", || socket.exists().then_some(()));
    thread::scope(|scope| {
        for n in 0..12 {
            let scene = &scene;
            scope.spawn(move || {
                let bytes = Pattern::bytes(n, 2 << 20);
                let mut ssh = scene.client.ssh();
                let done =
                    run_with_input(ssh.args(["web-1", &format!("cat; exit {n}")]), &bytes).exits(n as i32);
                assert!(done.stdout == bytes, "inner connection {n}");
            });
        }
    });
    assert_eq!(scene.sessions().len(), 12, "each inner connection is a session");
    assert_eq!(scene.events("auth.accept").len(), 1, "one proof for all of them");
}
