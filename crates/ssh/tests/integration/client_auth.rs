//! Our client's user authentication against the real `sshd`.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use bartizan_ssh::auth::AuthMethod;
use bartizan_ssh::auth::client::{ClientAuth, ClientEvent, Credential};
use bartizan_ssh::key::*;
use bartizan_ssh::transport::*;

use super::wire::*;

const KINDS: [KeyKind; 5] =
    [KeyKind::Ed25519, KeyKind::EcdsaP256, KeyKind::EcdsaP384, KeyKind::EcdsaP521, KeyKind::Rsa3072];

/// The login the tests run as; `sshd` without privileges knows no other.
fn me() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

struct Sshd {
    folder: tempfile::TempDir,
    keys: Vec<Arc<PrivateKey>>,
    ca: PrivateKey,
}

/// How a login ended.
#[derive(Debug, PartialEq, Eq)]
enum Ending {
    Success { requests: usize },
    Failure { left: String, tried: Vec<AuthMethod> },
}

impl Sshd {
    /// A server that knows a key of each kind and a CA; `more` goes into its configuration.
    fn new(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let keys = KINDS.map(|kind| Arc::new(PrivateKey::generate(kind).unwrap())).to_vec();
        let ca = PrivateKey::generate(KeyKind::EcdsaP256).unwrap();
        let lines: Vec<_> = keys.iter().map(|key| key.public_key().to_openssh("")).collect();
        fs::write(at("authorized_keys"), lines.join("\n") + "\n").unwrap();
        fs::write(at("ca.pub"), ca.public_key().to_openssh("")).unwrap();
        run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &at("host")]));
        let config = format!(
            "UsePAM no\nStrictModes no\nPidFile none\nPermitRootLogin yes\nLogLevel DEBUG1\nHostKey {}\n\
             AuthorizedKeysFile {}\nTrustedUserCAKeys {}\n{more}",
            at("host"),
            at("authorized_keys"),
            at("ca.pub")
        );
        fs::write(at("sshd_config"), config).unwrap();
        Self { folder, keys, ca }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Logs in with these credentials, `signer` standing for whoever holds an external key.
    fn login(&self, credentials: Vec<Credential>, signer: Option<&PrivateKey>) -> Ending {
        // sshd as root wants this folder; as anybody else it does not look.
        let _ = fs::create_dir_all("/run/sshd");
        let (near, far) = tcp_pair();
        let (stdin, stdout) = (OwnedFd::from(far.try_clone().unwrap()), OwnedFd::from(far));
        let log = fs::File::create(self.path("log")).unwrap();
        let mut sshd = Command::new("/usr/sbin/sshd");
        sshd.args(["-i", "-e", "-f"]).arg(self.path("sshd_config"));
        let sshd = sshd.stdin(stdin).stdout(stdout).stderr(Stdio::from(log)).spawn();
        let _sshd = Killed(sshd.expect("package openssh-server"));
        let config = Arc::new(ClientConfig::default());
        let mut wire = Wire::new(near, |now| Transport::client(config, now).unwrap());
        assert!(matches!(wire.next().unwrap(), Event::HostKey(_)));
        wire.transport.accept_host_key().unwrap();
        assert!(matches!(wire.next().unwrap(), Event::Established));
        authenticate(&mut wire, credentials, signer)
    }

    /// A certificate for the login the tests run as.
    fn certificate(&self, key: &PrivateKey, principal: &str) -> Certificate {
        let builder = CertificateBuilder::new(CertificateKind::User, key.public_key());
        let builder = builder.key_id("bartizan session=1").principal(principal).extension("permit-pty", "");
        builder.valid(0, u64::MAX).sign(&self.ca).unwrap()
    }
}

fn authenticate(wire: &mut Wire, credentials: Vec<Credential>, signer: Option<&PrivateKey>) -> Ending {
    let transport = &wire.transport;
    let mut auth = ClientAuth::new(transport.session_id().unwrap(), &me(), credentials);
    let mut out = Vec::new();
    auth.start(&mut out);
    let mut requests = 0;
    loop {
        for payload in out.drain(..) {
            requests += usize::from(payload[0] == 50);
            wire.transport.send(&payload).unwrap();
        }
        let payload = wire.packet();
        // EXT_INFO comes before the server's first answer.
        let transport = &wire.transport;
        auth.set_server_sig_algs(transport.peer_extensions().server_sig_algs());
        auth.set_hostbound(transport.host_blob().filter(|_| transport.peer_extensions().hostbound));
        match auth.on_packet(&payload, &mut out).unwrap() {
            None | Some(ClientEvent::Banner(_)) => {}
            Some(ClientEvent::Success) => return Ending::Success { requests },
            Some(ClientEvent::Failure { left, tried }) => return Ending::Failure { left, tried },
            Some(ClientEvent::NeedSignature { algorithm, data, .. }) => {
                let signature = signer.unwrap().sign(algorithm.signature, &data).unwrap();
                auth.signature(&signature, &mut out).unwrap();
            }
            Some(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn every_kind_of_key_takes_one_request() {
    let sshd = Sshd::new("");
    for key in &sshd.keys {
        let ending = sshd.login(vec![Credential::key(key.clone())], None);
        assert_eq!(ending, Ending::Success { requests: 1 }, "{key:?}");
        let log = fs::read_to_string(sshd.path("log")).unwrap();
        assert!(log.contains("method publickey-hostbound-v00@openssh.com"), "{log}");
    }
}

#[test]
fn every_kind_of_key_with_a_certificate_of_ours() {
    let sshd = Sshd::new("");
    for kind in KINDS {
        let key = PrivateKey::generate(kind).unwrap();
        let certificate = sshd.certificate(&key, &me());
        let ending = sshd.login(vec![Credential::certificate(certificate, key)], None);
        assert_eq!(ending, Ending::Success { requests: 1 }, "{kind:?}");
        let log = fs::read_to_string(sshd.path("log")).unwrap();
        assert!(log.contains("bartizan session=1"), "the key id is in the target's log: {log}");
    }
}

#[test]
fn a_certificate_for_another_login_and_an_unknown_key_are_passed_over() {
    let sshd = Sshd::new("");
    let key = PrivateKey::generate(KeyKind::Ed25519).unwrap();
    let other = sshd.certificate(&key, "somebody-else");
    let stranger = || Credential::key(PrivateKey::generate(KeyKind::Ed25519).unwrap());
    let credentials =
        vec![Credential::certificate(other, key), stranger(), Credential::key(sshd.keys[0].clone())];
    assert_eq!(sshd.login(credentials, None), Ending::Success { requests: 3 });
    let refused = sshd.login(vec![stranger()], None);
    let Ending::Failure { left, tried } = refused else { panic!("{refused:?}") };
    assert!(left.contains("publickey"), "{left}");
    assert_eq!(tried, [AuthMethod::PublicKey]);
    assert!(
        matches!(sshd.login(Vec::new(), None), Ending::Failure { tried, .. } if tried == [AuthMethod::None])
    );
}

#[test]
fn an_external_signer_is_asked_once_the_server_wants_the_key() {
    let sshd = Sshd::new("");
    for key in &sshd.keys {
        let credential = Credential::external(key.public_key().clone().into());
        assert_eq!(sshd.login(vec![credential], Some(key)), Ending::Success { requests: 2 });
    }
    let stranger = PrivateKey::generate(KeyKind::Ed25519).unwrap();
    let credential = Credential::external(stranger.public_key().clone().into());
    // No signer: it would panic if it were asked for.
    assert!(matches!(sshd.login(vec![credential], None), Ending::Failure { .. }));
}

#[test]
fn two_keys_where_the_server_demands_two() {
    let sshd = Sshd::new("AuthenticationMethods publickey,publickey\n");
    let key = |index: usize| Credential::key(sshd.keys[index].clone());
    assert_eq!(sshd.login(vec![key(0), key(4)], None), Ending::Success { requests: 2 });
    let one = sshd.login(vec![key(0)], None);
    assert_eq!(one, Ending::Failure { left: "publickey".into(), tried: vec![AuthMethod::PublicKey] });
}

#[test]
fn rsa_follows_what_the_server_verifies() {
    // Without `server-sig-algs` it would have been rsa-sha2-256.
    let sshd = Sshd::new("PubkeyAcceptedAlgorithms rsa-sha2-512\n");
    let rsa = Credential::key(sshd.keys[4].clone());
    assert_eq!(sshd.login(vec![rsa], None), Ending::Success { requests: 1 });
}
