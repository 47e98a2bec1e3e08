//! Our client transport against the real `sshd`.
//!
//! One `sshd -i` a connection, on one end of a TCP connection: no port to wait for, nothing left behind.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use bartizan_ssh::key::{KeyKind, PrivateKey, PublicKey, PublicKeyAlgorithm, SignatureAlgorithm};
use bartizan_ssh::transport::*;

use super::wire::*;

struct Sshd {
    folder: tempfile::TempDir,
    user_key: PrivateKey,
}

impl Sshd {
    /// A server with a host key of each kind and a certificate for each.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let user_key = PrivateKey::generate(KeyKind::Ed25519).unwrap();
        fs::write(at("authorized_keys"), user_key.public_key().to_openssh("user") + "\n").unwrap();
        run(openssh("usr/bin/ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &at("ca")]));
        let mut config = format!(
            "UsePAM no\nStrictModes no\nPidFile none\nRekeyLimit 512K\nAuthorizedKeysFile {}\n\
             KexAlgorithms +diffie-hellman-group14-sha256\nPermitRootLogin yes\nLogLevel ERROR\n",
            at("authorized_keys")
        );
        for (kind, bits) in [("ed25519", 256), ("ecdsa", 256), ("ecdsa", 384), ("ecdsa", 521), ("rsa", 3072)]
        {
            let file = at(&format!("{kind}{bits}"));
            let bits = bits.to_string();
            run(openssh("usr/bin/ssh-keygen").args(["-q", "-t", kind, "-b", &bits, "-N", "", "-f", &file]));
            let ca = at("ca");
            let certify = ["-q", "-s", &ca, "-h", "-I", "host", "-n", "web-1", &format!("{file}.pub")];
            run(openssh("usr/bin/ssh-keygen").args(certify));
            config += &format!("HostKey {file}\nHostCertificate {file}-cert.pub\n");
        }
        for (option, program) in [("SshdSessionPath", "sshd-session"), ("SshdAuthPath", "sshd-auth")] {
            // Since 9.8 and 10.0 sshd has helpers, and knows only where they are installed.
            let path = openssh_root().join("usr/lib/openssh").join(program);
            if path.exists() {
                config += &format!("{option} {}\n", path.display());
            }
        }
        fs::write(at("sshd_config"), config).unwrap();
        Self { folder, user_key }
    }

    fn connect(&self, config: ClientConfig) -> (Wire, Killed) {
        // sshd as root wants this folder; as anybody else it does not look.
        let _ = fs::create_dir_all("/run/sshd");
        let (near, far) = tcp_pair();
        let (stdin, stdout) = (OwnedFd::from(far.try_clone().unwrap()), OwnedFd::from(far));
        let mut sshd = openssh("usr/sbin/sshd");
        sshd.args(["-i", "-e", "-f"]).arg(self.path("sshd_config"));
        let sshd = sshd.stdin(stdin).stdout(stdout).stderr(Stdio::null()).spawn();
        let sshd = Killed(sshd.expect("package openssh-server"));
        let config = Arc::new(config);
        (Wire::new(near, |now| Transport::client(config, now).unwrap()), sshd)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn public_key(&self, name: &str) -> PublicKey {
        PublicKey::from_openssh(&fs::read_to_string(self.path(name)).unwrap()).unwrap().0
    }

    /// Shakes hands up to SERVICE_ACCEPT.
    fn handshake(&self, config: ClientConfig) -> (Wire, Killed) {
        let (mut wire, sshd) = self.connect(config);
        establish(&mut wire);
        (wire, sshd)
    }
}

/// Accepts the host key, which is returned, and asks for user authentication.
fn establish(wire: &mut Wire) -> bartizan_ssh::key::HostIdentity {
    let Event::HostKey(identity) = wire.next().unwrap() else { panic!("host key first") };
    wire.transport.accept_host_key().unwrap();
    assert!(matches!(wire.next().unwrap(), Event::Established));
    let service = string(b"ssh-userauth");
    wire.transport.send(&[&[5], &service[..]].concat()).unwrap();
    assert_eq!(wire.packet(), [&[6], &service[..]].concat());
    identity
}

#[test]
fn every_key_exchange_method_that_sshd_has() {
    let sshd = Sshd::new();
    let theirs = query("kex");
    let common: Vec<_> =
        KexMethod::ALL.into_iter().filter(|k| theirs.contains(&k.name().to_owned())).collect();
    assert!(common.len() >= 5, "{theirs:?}");
    for kex in common {
        let algorithms = Algorithms { kex: vec![kex], ..Algorithms::default() };
        let (wire, _sshd) = sshd.handshake(ClientConfig { algorithms, ..ClientConfig::default() });
        assert_eq!(wire.transport.negotiated().unwrap().kex, kex);
        assert!(wire.transport.strict_kex() || !must_have_strict_kex(&wire));
    }
}

/// Strict KEX came with OpenSSH 9.6; updates of older ones have it too, but don't say so.
fn must_have_strict_kex(wire: &Wire) -> bool {
    let identification = String::from_utf8_lossy(wire.transport.peer_identification().unwrap()).into_owned();
    let version = identification.split("OpenSSH_").nth(1).unwrap();
    let number: f64 =
        version.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect::<String>().parse().unwrap();
    number >= 9.6
}

#[test]
fn every_cipher_and_mac() {
    let sshd = Sshd::new();
    for cipher in Cipher::ALL {
        for mac in Mac::ALL.into_iter().take(if cipher.is_aead() { 1 } else { 4 }) {
            let algorithms = Algorithms { ciphers: vec![cipher], macs: vec![mac], ..Algorithms::default() };
            let (wire, _sshd) = sshd.handshake(ClientConfig { algorithms, ..ClientConfig::default() });
            let protection = Protection { cipher, mac: (!cipher.is_aead()).then_some(mac) };
            let negotiated = wire.transport.negotiated().unwrap();
            assert_eq!(negotiated.client_to_server, protection);
            assert_eq!(negotiated.server_to_client, protection);
        }
    }
}

#[test]
fn every_kind_of_host_key_and_host_certificate() {
    let sshd = Sshd::new();
    let files = |signature| match signature {
        SignatureAlgorithm::Ed25519 => Some("ed25519256.pub"),
        SignatureAlgorithm::EcdsaP256 => Some("ecdsa256.pub"),
        SignatureAlgorithm::EcdsaP384 => Some("ecdsa384.pub"),
        SignatureAlgorithm::EcdsaP521 => Some("ecdsa521.pub"),
        SignatureAlgorithm::RsaSha256 | SignatureAlgorithm::RsaSha512 => Some("rsa3072.pub"),
        SignatureAlgorithm::SkEd25519 | SignatureAlgorithm::SkEcdsaP256 => None,
    };
    for signature in SignatureAlgorithm::ALL {
        let Some(file) = files(signature) else { continue };
        for certificate in [false, true] {
            let algorithm = PublicKeyAlgorithm { signature, certificate };
            let config = ClientConfig { host_key_algorithms: vec![algorithm], ..ClientConfig::default() };
            let (mut wire, _sshd) = sshd.connect(config);
            let identity = establish(&mut wire);
            assert_eq!(wire.transport.negotiated().unwrap().host_key, algorithm);
            assert_eq!(*identity.key(), sshd.public_key(file));
            let is_certificate = matches!(identity, bartizan_ssh::key::HostIdentity::Certificate(_));
            assert_eq!(is_certificate, certificate);
        }
    }
}

#[test]
fn extensions_of_sshd_are_known() {
    let sshd = Sshd::new();
    let (wire, _sshd) = sshd.handshake(ClientConfig::default());
    let extensions = wire.transport.peer_extensions();
    assert!(extensions.hostbound);
    assert!(extensions.server_sig_algs().unwrap().contains(&SignatureAlgorithm::RsaSha512));
}

/// `cat` on the other side: 8 MiB there and back, new keys every 512 KiB by `sshd` and every 2 MiB by us.
#[test]
fn rekeys_by_both_sides_under_load_lose_nothing() {
    let sshd = Sshd::new();
    for cipher in [Cipher::Aes256Gcm, Cipher::ChaCha20Poly1305, Cipher::Aes128Ctr] {
        let rekey = RekeyLimits { bytes: 2 << 20, ..RekeyLimits::default() };
        let algorithms = Algorithms { ciphers: vec![cipher], ..Algorithms::default() };
        let (mut wire, _sshd) = sshd.connect(ClientConfig { rekey, algorithms, ..ClientConfig::default() });
        establish(&mut wire);
        log_in(&mut wire, &sshd.user_key);
        let data = pattern(8 << 20);
        let (received, rekeys) = echo(&mut wire, &data);
        assert!(received == data, "{cipher:?}: {} bytes came back", received.len());
        assert!(rekeys >= 16, "{cipher:?}: only {rekeys} rekeys");
    }
}

fn log_in(wire: &mut Wire, key: &PrivateKey) {
    let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    let mut request = vec![50];
    request.extend(string(user.trim().as_bytes()));
    request.extend(string(b"ssh-connection"));
    request.extend(string(b"publickey"));
    request.push(1);
    request.extend(string(b"ssh-ed25519"));
    request.extend(string(key.public_key().blob()));
    let signed = [string(wire.transport.session_id().unwrap()), request.clone()].concat();
    request.extend(string(&key.sign(SignatureAlgorithm::Ed25519, &signed).unwrap()));
    wire.transport.send(&request).unwrap();
    loop {
        match wire.packet().as_slice() {
            [52] => return,
            [53, ..] => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Runs `cat` and sends it `data` as its window allows; returns what came back until CLOSE.
fn echo(wire: &mut Wire, data: &[u8]) -> (Vec<u8>, usize) {
    let open =
        [&[90][..], &string(b"session"), &[0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0x80, 0]].concat();
    wire.transport.send(&open).unwrap();
    let (mut received, mut rekeys, mut sent, mut window, mut started) = (Vec::new(), 0, 0, 0, false);
    loop {
        let payload = match wire.next().unwrap() {
            Event::Packet(payload) => payload,
            Event::Rekeyed => {
                rekeys += 1;
                continue;
            }
            other => panic!("{other:?}"),
        };
        let number = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
        match payload[0] {
            91 => {
                window = number(9);
                let exec = [&[98, 0, 0, 0, 0][..], &string(b"exec"), &[1], &string(b"cat")].concat();
                wire.transport.send(&exec).unwrap();
            }
            99 => started = true,
            93 => window += number(5),
            94 => received.extend_from_slice(&payload[9..]),
            97 => return (received, rekeys),
            80 | 96 | 98 => {}
            other => panic!("message {other}"),
        }
        while started && sent < data.len() && window > 0 && wire.transport.can_send() {
            let n = (data.len() - sent).min(window as usize).min(32_768);
            let head = [&[94, 0, 0, 0, 0][..], &(n as u32).to_be_bytes()].concat();
            wire.transport.send_parts(&head, &data[sent..sent + n]).unwrap();
            sent += n;
            window -= n as u32;
            if sent == data.len() {
                wire.transport.send(&[96, 0, 0, 0, 0]).unwrap();
            }
            if wire.transport.wants_rekey() {
                wire.transport.start_rekey(std::time::Duration::ZERO).unwrap();
            }
        }
    }
}
