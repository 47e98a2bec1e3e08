//! The transport against implementations that share no code with OpenSSH. Not run by default, since they are
//! seldom installed: packages `dropbear-bin` and `putty-tools`, then `cargo test -- --ignored`.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::Arc;

use bartizan_ssh::key::{HostKey, KeyKind, PrivateKey};
use bartizan_ssh::transport::*;

use super::wire::*;

/// Shakes hands with a client that `command` makes from our port and host key; returns what was agreed on.
fn serve(config: ServerConfig, command: impl FnOnce(u16, &HostKey) -> Command) -> Negotiated {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = command(listener.local_addr().unwrap().port(), &config.host_keys[0]);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let _child = Killed(command.spawn().expect("packages dropbear-bin and putty-tools"));
    let (stream, _) = listener.accept().unwrap();
    let mut wire = Wire::new(stream, |now| Transport::server(Arc::new(config), now).unwrap());
    assert!(matches!(wire.next().unwrap(), Event::Established));
    let service = string(b"ssh-userauth");
    assert_eq!(wire.packet(), [&[5], &service[..]].concat());
    wire.transport.send(&[&[6], &service[..]].concat()).unwrap();
    wire.transport.start_rekey(std::time::Duration::ZERO).unwrap();
    let mut seen = Vec::new();
    while seen.len() < 2 {
        match wire.next().unwrap() {
            Event::Packet(payload) => seen.push(payload[0]),
            Event::Rekeyed => seen.push(0),
            other => panic!("{other:?}"),
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, [0, 50], "a rekey and a userauth request, in whatever order");
    wire.transport.negotiated().unwrap().clone()
}

fn config() -> ServerConfig {
    ServerConfig::new(vec![HostKey::new(PrivateKey::generate(KeyKind::Ed25519).unwrap())])
}

fn dbclient(port: u16, _: &HostKey) -> Command {
    let mut command = Command::new("dbclient");
    command.args(["-y", "-y", "-p", &port.to_string(), "-l", "alice", "127.0.0.1", "true"]);
    command
}

fn plink(port: u16, host_key: &HostKey) -> Command {
    let fingerprint = host_key.public_key().fingerprint().to_string();
    let mut command = Command::new("plink");
    command.args(["-batch", "-ssh", "-noagent", "-hostkey", &fingerprint, "-P", &port.to_string()]);
    command.args(["-l", "alice", "127.0.0.1", "true"]);
    command
}

#[test]
#[ignore = "needs dropbear-bin"]
fn dropbear_client_whose_guess_is_wrong_or_right() {
    // dbclient sends its first key exchange packet with KEXINIT, hoping for curve25519-sha256.
    assert_ne!(config().algorithms.kex[0], KexMethod::Curve25519Sha256);
    assert_eq!(serve(config(), dbclient).kex, KexMethod::Curve25519Sha256);
    for kex in [KexMethod::Curve25519Sha256, KexMethod::EcdhSha2Nistp256, KexMethod::EcdhSha2Nistp521] {
        let algorithms = Algorithms { kex: vec![kex], ..Algorithms::default() };
        assert_eq!(serve(ServerConfig { algorithms, ..config() }, dbclient).kex, kex);
    }
}

#[test]
#[ignore = "needs putty-tools"]
fn plink_with_every_cipher() {
    assert!(serve(config(), plink).client_to_server.cipher.is_gcm());
    for cipher in Cipher::ALL {
        let algorithms = Algorithms { ciphers: vec![cipher], ..Algorithms::default() };
        let agreed = serve(ServerConfig { algorithms, ..config() }, plink);
        assert_eq!(agreed.server_to_client.cipher, cipher);
    }
}

#[test]
#[ignore = "needs dropbear-bin"]
fn dropbear_client_without_encrypt_then_mac() {
    let algorithms =
        Algorithms { ciphers: vec![Cipher::Aes256Ctr], macs: Mac::ALL.to_vec(), ..Algorithms::default() };
    let agreed = serve(ServerConfig { algorithms, ..config() }, dbclient);
    assert_eq!(agreed.server_to_client.mac, Some(Mac::HmacSha256));
}

#[test]
#[ignore = "needs dropbear-bin"]
fn dropbear_server() {
    assert_eq!(connect_to_dropbear(Algorithms::default()).client_to_server.cipher, Cipher::ChaCha20Poly1305);
    let algorithms =
        Algorithms { ciphers: vec![Cipher::Aes128Ctr], macs: Mac::ALL.to_vec(), ..Algorithms::default() };
    assert_eq!(connect_to_dropbear(algorithms).client_to_server.mac, Some(Mac::HmacSha256));
}

fn connect_to_dropbear(algorithms: Algorithms) -> Negotiated {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    let mut make = Command::new("dropbearkey");
    run(make.args(["-t", "ed25519", "-f"]).arg(&key).stderr(Stdio::null()));
    let (near, far) = tcp_pair();
    let (stdin, stdout) = (OwnedFd::from(far.try_clone().unwrap()), OwnedFd::from(far));
    let mut dropbear = Command::new("/usr/sbin/dropbear");
    dropbear.args(["-i", "-r"]).arg(&key).stdin(stdin).stdout(stdout).stderr(Stdio::null());
    let _child = Killed(dropbear.spawn().expect("package dropbear-bin"));
    drop(dropbear);
    let config = Arc::new(ClientConfig { algorithms, ..ClientConfig::default() });
    let mut wire = Wire::new(near, |now| Transport::client(config, now).unwrap());
    assert!(matches!(wire.next().unwrap(), Event::HostKey(_)));
    wire.transport.accept_host_key().unwrap();
    assert!(matches!(wire.next().unwrap(), Event::Established));
    let service = string(b"ssh-userauth");
    wire.transport.send(&[&[5], &service[..]].concat()).unwrap();
    assert_eq!(wire.packet(), [&[6], &service[..]].concat());
    wire.transport.start_rekey(std::time::Duration::ZERO).unwrap();
    assert!(matches!(wire.next().unwrap(), Event::Rekeyed));
    wire.transport.negotiated().unwrap().clone()
}
