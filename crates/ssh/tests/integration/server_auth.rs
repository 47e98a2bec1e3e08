//! Our server's user authentication against the real `ssh`.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use bartizan_ssh::auth::server::{AuthLimits, AuthRequest, ServerAuth};
use bartizan_ssh::auth::{AuthError, AuthMethod};
use bartizan_ssh::key::*;
use bartizan_ssh::transport::*;
use bartizan_ssh::wire::userauth::Payload;
use bartizan_ssh::wire::{Reader, Writer as _};

use super::wire::*;

/// Decides on one request; true ends the authentication, either way.
type Decide<'a> = &'a mut dyn FnMut(&mut ServerAuth, AuthRequest, &mut Vec<Payload>) -> bool;

struct Ssh {
    folder: tempfile::TempDir,
    host_key: HostKey,
}

impl Ssh {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let host_key = HostKey::new(PrivateKey::generate(KeyKind::Ed25519).unwrap());
        let line = format!("web-1 {}\n", host_key.public_key().to_openssh(""));
        fs::write(folder.path().join("known_hosts"), line).unwrap();
        Self { folder, host_key }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Makes NAME and NAME.pub and returns the public key.
    fn generate(&self, name: &str, kind: &str, bits: &str) -> PublicKey {
        let file = self.path(name);
        run(Command::new("ssh-keygen").args(["-q", "-t", kind, "-b", bits, "-N", "", "-f"]).arg(file));
        PublicKey::from_openssh(&self.read(&format!("{name}.pub"))).unwrap().0
    }

    /// An `SSH_ASKPASS` program that answers by what the prompt says.
    fn askpass(&self) -> PathBuf {
        let file = self.path("askpass");
        let script =
            "#!/bin/sh\ncase \"$1\" in *assword*) echo right;; *ode*) echo 42;; *) echo wrong;; esac\n";
        fs::write(&file, script).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o700)).unwrap();
        file
    }

    /// Runs `ssh` against `decide` until it is accepted or gives up; returns whether it was let in, and what `ssh -v` said.
    fn login(&self, arguments: &[String], agent: Option<PathBuf>, decide: Decide<'_>) -> (bool, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut ssh = Command::new("ssh");
        ssh.args(["-v", "-F", "none", "-o", "StrictHostKeyChecking=yes", "-o", "HostKeyAlias=web-1"])
            .arg("-o")
            .arg(format!("UserKnownHostsFile={}", self.path("known_hosts").display()))
            .args(["-o", "GlobalKnownHostsFile=/dev/null", "-l", "alice"])
            .args(["-p", &listener.local_addr().unwrap().port().to_string()])
            .args(arguments)
            .args(["127.0.0.1", "true"])
            .env("SSH_ASKPASS", self.askpass())
            .env("SSH_ASKPASS_REQUIRE", "force")
            .env_remove("SSH_AUTH_SOCK")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        if let Some(agent) = agent {
            ssh.env("SSH_AUTH_SOCK", agent);
        }
        let mut ssh = Killed(ssh.spawn().expect("package openssh-client"));
        let (stream, _) = listener.accept().unwrap();
        let config = Arc::new(ServerConfig::new(vec![self.host_key.clone()]));
        let mut wire = Wire::new(stream, |now| Transport::server(config, now).unwrap());
        assert!(matches!(wire.next().unwrap(), Event::Established));
        let accepted = serve(&mut wire, decide);
        wire.transport.disconnect(DisconnectReason::ByApplication, "that was all");
        wire.flush();
        let mut log = String::new();
        ssh.0.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        assert_eq!(log.contains("Authenticated to 127.0.0.1"), accepted, "{log}");
        (accepted, log)
    }
}

fn serve(wire: &mut Wire, decide: Decide<'_>) -> bool {
    let transport = &wire.transport;
    let (session_id, host_blob) = (transport.session_id().unwrap(), transport.host_blob().unwrap());
    let mut auth = ServerAuth::new(session_id, host_blob, AuthLimits::default());
    let mut out = Vec::new();
    loop {
        let payload = match wire.next().unwrap() {
            Event::Packet(payload) => payload,
            Event::Eof | Event::Disconnect(..) => return false,
            other => panic!("{other:?}"),
        };
        let request = auth.on_packet(&payload, &mut out).unwrap();
        let over = request.is_some_and(|request| decide(&mut auth, request, &mut out));
        for payload in out.drain(..) {
            wire.transport.send(&payload).unwrap();
        }
        wire.flush();
        if over && !auth.is_done() {
            return false;
        }
        if over {
            // What comes next is the connection protocol: `ssh` has believed us.
            return matches!(wire.next().unwrap(), Event::Packet(payload) if payload[0] >= 80);
        }
    }
}

fn option(name: &str, value: impl std::fmt::Display) -> [String; 2] {
    ["-o".into(), format!("{name}={value}")]
}

fn only(methods: &str) -> Vec<String> {
    option("PreferredAuthentications", methods).into()
}

fn identity(file: PathBuf) -> Vec<String> {
    let alone = [option("IdentitiesOnly", "yes"), option("IdentityAgent", "none")].concat();
    [&only("publickey")[..], &alone, &["-i".into(), file.display().to_string()]].concat()
}

const LEFT: &[AuthMethod] = &[AuthMethod::PublicKey, AuthMethod::Password, AuthMethod::KeyboardInteractive];

#[test]
fn every_kind_of_key_and_user_certificate() {
    let ssh = Ssh::new();
    let ca = ssh.generate("ca", "ed25519", "256");
    for (kind, bits) in
        [("ed25519", "256"), ("ecdsa", "256"), ("ecdsa", "384"), ("ecdsa", "521"), ("rsa", "3072")]
    {
        let name = format!("{kind}{bits}");
        let key = ssh.generate(&name, kind, bits);
        for certified in [false, true] {
            if certified {
                let certify = ["-q", "-s", "ca", "-I", "alice's", "-n", "alice", &format!("{name}.pub")];
                run(Command::new("ssh-keygen").args(certify).current_dir(ssh.folder.path()));
            }
            let mut seen = Vec::new();
            let (accepted, log) = ssh.login(&identity(ssh.path(&name)), None, &mut |auth, request, out| {
                match &request {
                    AuthRequest::None { .. } => auth.reject(LEFT, out).unwrap(),
                    // `ssh` offers the plain key as well as the certificate; the second is what is wanted.
                    AuthRequest::Offered(offered)
                        if offered.identity().certificate().is_some() == certified =>
                    {
                        auth.pk_ok(out).unwrap();
                    }
                    AuthRequest::Offered(_) => auth.reject(LEFT, out).unwrap(),
                    AuthRequest::Proven(proven) => {
                        assert_eq!((proven.user(), proven.key()), ("alice", &key));
                        seen.push((proven.algorithm(), proven.hostbound()));
                        if let Some(certificate) = proven.identity().certificate() {
                            certificate.check(&alices(std::slice::from_ref(&ca))).unwrap();
                        }
                        auth.accept(out).unwrap();
                        return true;
                    }
                    other => panic!("{other:?}"),
                }
                false
            });
            assert!(accepted, "{log}");
            let algorithm =
                PublicKeyAlgorithm { signature: key.signature_algorithms()[0], certificate: certified };
            assert_eq!(seen, [(algorithm, true)], "OpenSSH binds to the host key since 8.9");
        }
    }
}

fn alices(trusted: &[PublicKey]) -> CertificateCheck<'_> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    CertificateCheck {
        kind: CertificateKind::User,
        principal: Some("alice"),
        now_unix: now.as_secs(),
        trusted,
        known_critical_options: &[],
    }
}

#[test]
fn a_password_then_a_code_and_a_banner_before() {
    let ssh = Ssh::new();
    let mut passed = Vec::new();
    let arguments =
        [only("password,keyboard-interactive"), option("NumberOfPasswordPrompts", 1).into()].concat();
    let (accepted, log) = ssh.login(&arguments, None, &mut |auth, request, out| {
        match &request {
            AuthRequest::None { .. } => {
                auth.banner("NOTE: this session is recorded\r\n", out).unwrap();
                auth.reject(LEFT, out).unwrap();
            }
            AuthRequest::Password { password, .. } => {
                assert_eq!(password.expose_str(), Some("right"));
                auth.partial_success(&[AuthMethod::KeyboardInteractive], out).unwrap();
            }
            AuthRequest::KeyboardInteractive { .. } => {
                auth.prompt(
                    "Second factor",
                    "Two numbers, please.",
                    &[("Code: ", false), ("Again: ", true)],
                    out,
                )
                .unwrap();
            }
            AuthRequest::Responses { responses, .. } if responses.len() == 2 => {
                let texts: Vec<_> = responses.iter().map(|secret| secret.expose_str().unwrap()).collect();
                assert_eq!(texts, ["42", "wrong"]);
                auth.prompt("", "Thanks.", &[], out).unwrap();
            }
            AuthRequest::Responses { responses, .. } => {
                assert!(responses.is_empty());
                passed = auth.passed().to_vec();
                auth.accept(out).unwrap();
                return true;
            }
            other => panic!("{other:?}"),
        }
        false
    });
    assert!(accepted, "{log}");
    assert!(log.contains("NOTE: this session is recorded"), "{log}");
    assert!(log.contains("Two numbers, please."), "{log}");
    assert_eq!(passed, [AuthMethod::Password]);
}

#[test]
fn an_unknown_key_and_wrong_passwords_get_nobody_in() {
    let ssh = Ssh::new();
    ssh.generate("id", "ed25519", "256");
    let mut offered = 0;
    let (accepted, log) = ssh.login(&identity(ssh.path("id")), None, &mut |auth, request, out| {
        offered += u32::from(matches!(request, AuthRequest::Offered(_)));
        auth.reject(LEFT, out).unwrap();
        false
    });
    assert!(!accepted && offered == 1);
    assert!(log.contains("Permission denied (publickey,password,keyboard-interactive)"), "{log}");

    let arguments = [only("password"), option("NumberOfPasswordPrompts", 9).into()].concat();
    let mut tries = 0;
    let (accepted, _) = ssh.login(&arguments, None, &mut |auth, request, out| {
        tries += u32::from(matches!(request, AuthRequest::Password { .. }));
        match auth.reject(LEFT, out) {
            Ok(()) => false,
            Err(AuthError::TooManyTries) => true,
            Err(error) => panic!("{error}"),
        }
    });
    assert!(!accepted);
    assert_eq!(tries, 6);
}

/// A hardware key in software, behind the agent protocol that `ssh` speaks.
struct Token {
    inner: PrivateKey,
    public: PublicKey,
    flags: u8,
    counter: u32,
}

impl Token {
    fn new(flags: u8, counter: u32) -> Self {
        let inner = PrivateKey::generate(KeyKind::Ed25519).unwrap();
        let mut plain = Reader::new(inner.public_key().blob());
        plain.string("type").unwrap();
        let mut blob = Vec::new();
        blob.put_string(b"sk-ssh-ed25519@openssh.com");
        blob.put(plain.rest());
        blob.put_string(b"ssh:");
        Self { public: PublicKey::from_blob(&blob).unwrap(), inner, flags, counter }
    }

    fn sign(&self, data: &[u8]) -> Vec<u8> {
        let mut signed = digest(&SHA256, b"ssh:").as_ref().to_vec();
        signed.put_u8(self.flags);
        signed.put_u32(self.counter);
        signed.put(digest(&SHA256, data).as_ref());
        let inner = self.inner.sign(SignatureAlgorithm::Ed25519, &signed).unwrap();
        let mut reader = Reader::new(&inner);
        reader.string("algorithm").unwrap();
        let mut blob = Vec::new();
        blob.put_string(b"sk-ssh-ed25519@openssh.com");
        blob.put_string(reader.string("signature").unwrap());
        blob.put_u8(self.flags);
        blob.put_u32(self.counter);
        blob
    }

    /// Answers on `socket` for as long as somebody asks: REQUEST_IDENTITIES (11), SIGN_REQUEST (13).
    fn serve(self, socket: &UnixListener) {
        while let Ok((mut stream, _)) = socket.accept() {
            while let Some(request) = read_frame(&mut stream) {
                let mut answer = Vec::new();
                match request[0] {
                    11 => {
                        answer.put_u8(12);
                        answer.put_u32(1);
                        answer.put_string(self.public.blob());
                        answer.put_string(b"token");
                    }
                    13 => {
                        let mut reader = Reader::new(&request[1..]);
                        assert_eq!(reader.string("key").unwrap(), self.public.blob());
                        answer.put_u8(14);
                        answer.put_string(&self.sign(reader.string("data").unwrap()));
                    }
                    _ => answer.put_u8(5),
                }
                let _ = stream.write_all(&string(&answer));
            }
        }
    }
}

fn read_frame(stream: &mut UnixStream) -> Option<Vec<u8>> {
    let mut len = [0; 4];
    stream.read_exact(&mut len).ok()?;
    let mut frame = vec![0; u32::from_be_bytes(len) as usize];
    stream.read_exact(&mut frame).ok()?;
    Some(frame)
}

#[test]
fn a_hardware_key_hands_out_touch_pin_and_counter() {
    let ssh = Ssh::new();
    for (flags, counter) in [(0, 1), (1, 7), (5, u32::MAX)] {
        let token = Token::new(flags, counter);
        let public = token.public.clone();
        let path = ssh.path(&format!("agent{flags}"));
        let socket = UnixListener::bind(&path).unwrap();
        std::thread::spawn(move || token.serve(&socket));
        let mut seen = None;
        let (accepted, log) = ssh.login(&only("publickey"), Some(path), &mut |auth, request, out| {
            match &request {
                AuthRequest::Offered(key) if key.key() == &public => auth.pk_ok(out).unwrap(),
                AuthRequest::Proven(key) => {
                    seen = key.sk();
                    auth.accept(out).unwrap();
                    return true;
                }
                _ => auth.reject(LEFT, out).unwrap(),
            }
            false
        });
        assert!(accepted, "{log}");
        let (user_present, user_verified) = (flags & 1 != 0, flags & 4 != 0);
        assert_eq!(seen, Some(SkFlags { user_present, user_verified, counter }));
    }
}
