//! Our server transport against the real `ssh`.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::Arc;

use bartizan_ssh::key::{CertificateBuilder, CertificateKind, HostKey, KeyKind, PrivateKey};
use bartizan_ssh::transport::*;

use super::wire::*;

/// `ssh` finds the host under this name, so that certificates for it count.
const HOST: &str = "web-1";

struct Ssh {
    folder: tempfile::TempDir,
    host_keys: Vec<HostKey>,
}

impl Ssh {
    /// A server with a key and a certificate of each kind, all known to the client.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ca = PrivateKey::generate(KeyKind::Ed25519).unwrap();
        let mut known_hosts = format!("@cert-authority {HOST} {}\n", ca.public_key().to_openssh("ca"));
        let kinds =
            [KeyKind::Ed25519, KeyKind::EcdsaP256, KeyKind::EcdsaP384, KeyKind::EcdsaP521, KeyKind::Rsa3072];
        let host_keys = kinds.map(|kind| {
            let private = PrivateKey::generate(kind).unwrap();
            known_hosts += &format!("{HOST} {}\n", private.public_key().to_openssh("host"));
            let builder = CertificateBuilder::new(CertificateKind::Host, private.public_key());
            let certificate = builder.principal(HOST).valid(0, u64::MAX).sign(&ca).unwrap();
            HostKey::with_certificate(private, certificate).unwrap()
        });
        fs::write(folder.path().join("known_hosts"), known_hosts).unwrap();
        Self { folder, host_keys: host_keys.into() }
    }

    /// Starts `ssh` with these options and accepts its connection.
    fn connect(&self, config: ServerConfig, options: &[String], command: &str) -> (Wire, Killed) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let known_hosts = self.folder.path().join("known_hosts");
        let mut ssh = openssh("usr/bin/ssh");
        ssh.args(["-v", "-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"])
            .args(["-o", "IdentityAgent=none", "-o", "IdentityFile=none"])
            .args(["-o", &format!("HostKeyAlias={HOST}")])
            .args(["-o", &format!("UserKnownHostsFile={}", known_hosts.display())])
            .args(["-o", "GlobalKnownHostsFile=/dev/null"])
            .args(["-p", &listener.local_addr().unwrap().port().to_string(), "-l", "alice"])
            .args(options)
            .args(["127.0.0.1", command])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = Killed(ssh.spawn().expect("package openssh-client"));
        let (stream, _) = listener.accept().unwrap();
        let config = Arc::new(config);
        (Wire::new(stream, |now| Transport::server(config, now).unwrap()), child)
    }

    fn config(&self) -> ServerConfig {
        ServerConfig::new(self.host_keys.clone())
    }

    /// Shakes hands, exchanges a packet each way, hangs up; returns our view and what `ssh -v` said.
    fn handshake(&self, config: ServerConfig, options: &[String]) -> (Negotiated, String) {
        let (mut wire, mut ssh) = self.connect(config, options, "true");
        assert!(matches!(wire.next().unwrap(), Event::Established));
        expect_service_request(&mut wire);
        assert_eq!(wire.packet()[0], 50, "a userauth request after our SERVICE_ACCEPT");
        wire.transport.disconnect(DisconnectReason::NoMoreAuthMethodsAvailable, "that was all");
        wire.flush();
        let mut log = String::new();
        ssh.0.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        assert!(!ssh.0.wait().unwrap().success());
        assert!(log.contains("that was all"), "{log}");
        (wire.transport.negotiated().unwrap().clone(), log)
    }
}

fn expect_service_request(wire: &mut Wire) {
    let service = string(b"ssh-userauth");
    assert_eq!(wire.packet(), [&[5], &service[..]].concat());
    wire.transport.send(&[&[6], &service[..]].concat()).unwrap();
}

fn option(name: &str, value: &str) -> Vec<String> {
    vec!["-o".to_owned(), format!("{name}={value}")]
}

#[test]
fn every_key_exchange_method_that_ssh_has() {
    let ssh = Ssh::new();
    let theirs = query("kex");
    let common: Vec<_> =
        KexMethod::ALL.into_iter().filter(|k| theirs.contains(&k.name().to_owned())).collect();
    assert!(common.len() >= 5, "{theirs:?}");
    for kex in common {
        let (negotiated, log) = ssh.handshake(ssh.config(), &option("KexAlgorithms", kex.name()));
        assert_eq!(negotiated.kex, kex);
        assert!(log.contains(&format!("kex: algorithm: {}", kex.name())), "{log}");
    }
}

#[test]
fn every_cipher_and_mac() {
    let ssh = Ssh::new();
    for cipher in Cipher::ALL {
        for mac in Mac::ALL.into_iter().take(if cipher.is_aead() { 1 } else { 4 }) {
            let options = [option("Ciphers", cipher.name()), option("MACs", mac.name())].concat();
            let algorithms = Algorithms { macs: Mac::ALL.to_vec(), ..Algorithms::default() };
            let (negotiated, log) = ssh.handshake(ServerConfig { algorithms, ..ssh.config() }, &options);
            let protection = Protection { cipher, mac: (!cipher.is_aead()).then_some(mac) };
            assert_eq!(negotiated.client_to_server, protection);
            assert_eq!(negotiated.server_to_client, protection);
            let mac = if cipher.is_aead() { "<implicit>" } else { mac.name() };
            let line = format!("kex: server->client cipher: {} MAC: {mac} compression: none", cipher.name());
            assert!(log.contains(&line), "{log}");
        }
    }
}

#[test]
fn every_kind_of_host_key_and_host_certificate() {
    let ssh = Ssh::new();
    for algorithm in ssh.host_keys.iter().flat_map(HostKey::algorithms) {
        let (negotiated, log) = ssh.handshake(ssh.config(), &option("HostKeyAlgorithms", algorithm));
        assert_eq!(negotiated.host_key.name(), algorithm);
        assert!(log.contains(&format!("kex: host key algorithm: {algorithm}")), "{log}");
    }
}

#[test]
fn a_default_ssh_gets_aes_gcm_and_our_extensions() {
    let ssh = Ssh::new();
    let (negotiated, log) = ssh.handshake(ssh.config(), &[]);
    assert!(negotiated.client_to_server.cipher.is_gcm() && negotiated.server_to_client.cipher.is_gcm());
    assert!(negotiated.host_key.certificate, "certificates come first");
    for line in
        ["SSH2_MSG_EXT_INFO received", "server-sig-algs=<ssh-ed25519,", "publickey-hostbound@openssh.com=<0>"]
    {
        assert!(log.contains(line), "{line} in {log}");
    }
    // Offered everything at once, it would have taken its own first choice.
    let config = ServerConfig { wait_for_client_kexinit: None, ..ssh.config() };
    let (negotiated, _) =
        ssh.handshake(config, &option("Ciphers", "chacha20-poly1305@openssh.com,aes256-gcm@openssh.com"));
    assert_eq!(negotiated.client_to_server.cipher, Cipher::ChaCha20Poly1305);
}

/// 8 MiB up and down at once through one channel, new keys every 512 KiB by `ssh` and every 2 MiB by us.
#[test]
fn rekeys_by_both_sides_under_load_lose_nothing() {
    let ssh = Ssh::new();
    for cipher in [Cipher::Aes256Gcm, Cipher::ChaCha20Poly1305, Cipher::Aes128Ctr] {
        let options = [option("RekeyLimit", "512K"), option("Ciphers", cipher.name())].concat();
        let rekey = RekeyLimits { bytes: 2 << 20, ..RekeyLimits::default() };
        let (mut wire, mut child) = ssh.connect(ServerConfig { rekey, ..ssh.config() }, &options, "x");
        let data = pattern(8 << 20);
        let mut stdin = child.0.stdin.take().unwrap();
        let mut stdout = child.0.stdout.take().unwrap();
        let mut stderr = child.0.stderr.take().unwrap();
        let up = data.clone();
        std::thread::scope(|scope| {
            scope.spawn(move || stdin.write_all(&up).unwrap());
            let down = scope.spawn(move || {
                let mut bytes = Vec::new();
                stdout.read_to_end(&mut bytes).unwrap();
                bytes
            });
            scope.spawn(move || stderr.read_to_end(&mut Vec::new()).unwrap());
            let (received, rekeys) = serve_one_channel(&mut wire, &data);
            assert!(received == data, "{cipher:?}: {} bytes came", received.len());
            assert!(rekeys >= 16, "{cipher:?}: only {rekeys} rekeys");
            let down = down.join().unwrap();
            assert!(down == data, "{cipher:?}: ssh got {} bytes", down.len());
        });
        assert!(child.0.wait().unwrap().success());
    }
}

/// Lets anybody in, opens their first channel, sends `data` as its window allows and takes what comes.
fn serve_one_channel(wire: &mut Wire, data: &[u8]) -> (Vec<u8>, usize) {
    let (mut received, mut rekeys, mut sent, mut window, mut started) = (Vec::new(), 0, 0, 0, false);
    loop {
        let payload = match wire.next().unwrap() {
            Event::Packet(payload) => payload,
            Event::Rekeyed => {
                rekeys += 1;
                continue;
            }
            Event::Established => continue,
            Event::Disconnect(reason, text) => {
                assert_eq!((reason, text.as_str()), (11, "disconnected by user"));
                return (received, rekeys);
            }
            other => panic!("{other:?}"),
        };
        let number = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
        let send = &mut wire.transport;
        match payload[0] {
            5 => send.send(&[&[6], &payload[1..]].concat()).unwrap(),
            50 => send.send(&[52]).unwrap(),
            80 => {}
            // CHANNEL_OPEN "session": everything may be sent to us at once.
            90 => {
                window = number(16);
                send.send(&[91, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0x80, 0]).unwrap();
            }
            98 => {
                let want_reply = payload[5 + 4 + number(5) as usize];
                started |= payload[9..].starts_with(b"exec");
                if want_reply != 0 {
                    send.send(&[99, 0, 0, 0, 0]).unwrap();
                }
            }
            93 => window += number(5),
            94 => received.extend_from_slice(&payload[9..]),
            96 | 97 => {}
            other => panic!("message {other}"),
        }
        while started && sent < data.len() && window > 0 && wire.transport.can_send() {
            let n = (data.len() - sent).min(window as usize).min(32_768);
            let head = [&[94, 0, 0, 0, 0][..], &(n as u32).to_be_bytes()].concat();
            wire.transport.send_parts(&head, &data[sent..sent + n]).unwrap();
            sent += n;
            window -= n as u32;
            if wire.transport.wants_rekey() {
                wire.transport.start_rekey(std::time::Duration::ZERO).unwrap();
            }
        }
        if started && sent == data.len() && received.len() == data.len() {
            started = false;
            let exit_status = [string(b"exit-status"), vec![0, 0, 0, 0, 0]].concat();
            wire.transport.send(&[&[98, 0, 0, 0, 0][..], &exit_status].concat()).unwrap();
            wire.transport.send(&[96, 0, 0, 0, 0]).unwrap();
            wire.transport.send(&[97, 0, 0, 0, 0]).unwrap();
        }
    }
}
