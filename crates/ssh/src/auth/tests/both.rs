//! The two machines against each other, for every method.

use std::collections::VecDeque;

use super::helpers::{HOST_BLOB, SESSION_ID, certify, ed25519, key};
use crate::auth::client::{ClientAuth, ClientEvent, Credential};
use crate::auth::server::{AuthLimits, AuthRequest, ServerAuth};
use crate::auth::{AuthError, AuthMethod, Secret};
use crate::key::{CertificateKind, KeyKind, PrivateKey, PublicKey};
use crate::wire::userauth::Payload;

/// What the server's owner demands.
#[derive(Default)]
struct Policy {
    keys: Vec<PublicKey>,
    password: Option<&'static [u8]>,
    code: Option<&'static [u8]>,
    /// All of these, in this order; otherwise any one.
    chain: &'static [AuthMethod],
}

impl Policy {
    fn answer(&self, server: &mut ServerAuth, request: &AuthRequest, out: &mut Vec<Payload>) {
        let good = match request {
            AuthRequest::Offered(key) if self.keys.contains(key.key()) => return server.pk_ok(out).unwrap(),
            AuthRequest::Proven(key) => self.keys.contains(key.key()),
            AuthRequest::Password { password, .. } => self.password == Some(password.expose()),
            AuthRequest::KeyboardInteractive { .. } if self.code.is_some() => {
                return server.prompt("", "", &[("Code: ", false)], out).unwrap();
            }
            AuthRequest::Responses { responses, .. } => self.code == Some(responses[0].expose()),
            _ => false,
        };
        let passed = server.passed().len();
        if !good {
            server.reject(&self.left(passed), out).unwrap();
        } else if passed + 1 < self.chain.len() {
            server.partial_success(&self.left(passed + 1), out).unwrap();
        } else {
            server.accept(out).unwrap();
        }
    }

    fn left(&self, passed: usize) -> Vec<AuthMethod> {
        match self.chain.get(passed) {
            Some(next) => vec![*next],
            None => vec![AuthMethod::PublicKey, AuthMethod::Password, AuthMethod::KeyboardInteractive],
        }
    }
}

struct Ending {
    success: bool,
    /// Payloads from client to server, the service request among them.
    sent: usize,
    passed: Vec<AuthMethod>,
    hostbound: bool,
}

/// Runs both to their end. `signer` answers for external keys, `code` prompts.
fn run(mut client: ClientAuth, policy: &Policy, signer: Option<&PrivateKey>, code: &[u8]) -> Ending {
    let mut server = ServerAuth::new(SESSION_ID, HOST_BLOB, AuthLimits::default());
    let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
    client.start(&mut to_server);
    let (mut sent, mut hostbound) = (0, false);
    loop {
        for payload in std::mem::take(&mut to_server) {
            sent += 1;
            if let Some(request) = server.on_packet(&payload, &mut to_client).unwrap() {
                assert_eq!(request.user(), "root");
                hostbound |= matches!(&request, AuthRequest::Proven(key) if key.hostbound());
                policy.answer(&mut server, &request, &mut to_client);
            }
        }
        let mut incoming: VecDeque<Payload> = std::mem::take(&mut to_client).into();
        let payload = incoming.pop_front().expect("the server always answers");
        assert!(incoming.is_empty());
        let passed = server.passed().to_vec();
        match client.on_packet(&payload, &mut to_server).unwrap() {
            None => {}
            Some(ClientEvent::Success) => return Ending { success: true, sent, passed, hostbound },
            Some(ClientEvent::Failure { .. }) => return Ending { success: false, sent, passed, hostbound },
            Some(ClientEvent::NeedSignature { algorithm, data, .. }) => {
                let signature = signer.unwrap().sign(algorithm.signature, &data).unwrap();
                client.signature(&signature, &mut to_server).unwrap();
            }
            Some(ClientEvent::Prompt(_)) => client.respond(&[code], &mut to_server).unwrap(),
            Some(other) => panic!("{other:?}"),
        }
    }
}

fn client(credentials: Vec<Credential>) -> ClientAuth {
    ClientAuth::new(SESSION_ID, "root", credentials)
}

#[test]
fn our_own_key_takes_one_request_plain_certified_and_hostbound() {
    for kind in [KeyKind::Ed25519, KeyKind::EcdsaP384, KeyKind::EcdsaP521, KeyKind::Rsa3072] {
        let key = std::sync::Arc::new(key(kind));
        let policy = Policy { keys: vec![key.public_key().clone()], ..Policy::default() };
        let certificate = certify(CertificateKind::User, &key);
        for credential in [Credential::key(key.clone()), Credential::certificate(certificate, key.clone())] {
            let mut client = client(vec![credential]);
            client.set_hostbound(Some(HOST_BLOB));
            let ending = run(client, &policy, None, b"");
            assert!(ending.success && ending.hostbound);
            assert_eq!(ending.sent, 2, "SERVICE_REQUEST and one USERAUTH_REQUEST");
        }
    }
}

#[test]
fn an_external_key_is_asked_about_first() {
    let key = ed25519();
    let policy = Policy { keys: vec![key.public_key().clone()], ..Policy::default() };
    let credential = Credential::external(key.public_key().clone().into());
    let ending = run(client(vec![credential]), &policy, Some(&key), b"");
    assert!(ending.success && !ending.hostbound);
    assert_eq!(ending.sent, 3);
}

#[test]
fn unknown_keys_are_passed_over_until_one_is_known() {
    let key = ed25519();
    let policy = Policy { keys: vec![key.public_key().clone()], ..Policy::default() };
    let mut credentials: Vec<_> = (0..4).map(|_| Credential::key(ed25519())).collect();
    credentials.push(Credential::external(ed25519().public_key().clone().into()));
    credentials.push(Credential::key(key));
    assert!(run(client(credentials), &policy, None, b"").success);
}

#[test]
fn passwords_and_codes() {
    let secret = |text: &str| Credential::password(Secret::new(text.as_bytes()));
    let policy = Policy { password: Some(b"right"), code: Some(b"42"), ..Policy::default() };
    assert!(run(client(vec![secret("right")]), &policy, None, b"").success);
    assert!(!run(client(vec![secret("wrong")]), &policy, None, b"").success);
    assert!(
        run(client(vec![secret("wrong"), Credential::keyboard_interactive()]), &policy, None, b"42").success
    );
    assert!(!run(client(vec![Credential::keyboard_interactive()]), &policy, None, b"41").success);
    assert!(!run(client(Vec::new()), &policy, None, b"").success);
}

#[test]
fn a_chain_of_methods_needs_each_of_them() {
    let key = std::sync::Arc::new(ed25519());
    let policy = Policy {
        keys: vec![key.public_key().clone()],
        code: Some(b"42"),
        chain: &[AuthMethod::PublicKey, AuthMethod::KeyboardInteractive],
        ..Policy::default()
    };
    let both = run(
        client(vec![Credential::key(key.clone()), Credential::keyboard_interactive()]),
        &policy,
        None,
        b"42",
    );
    assert!(both.success);
    assert_eq!(both.passed, [AuthMethod::PublicKey]);
    assert!(!run(client(vec![Credential::key(key.clone())]), &policy, None, b"").success);
    assert!(!run(client(vec![Credential::keyboard_interactive()]), &policy, None, b"41").success);
}

#[test]
fn six_wrong_passwords_end_the_connection() {
    let mut server = ServerAuth::new(SESSION_ID, HOST_BLOB, AuthLimits::default());
    let credentials = (0..9).map(|_| Credential::password(Secret::new(*b"wrong"))).collect();
    let mut client = client(credentials);
    let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
    client.start(&mut to_server);
    let mut rejected = 0;
    let ended = loop {
        let payload = to_server.pop().expect("the client has more");
        if server.on_packet(&payload, &mut to_client).unwrap().is_some() {
            match server.reject(&[AuthMethod::Password], &mut to_client) {
                Ok(()) => rejected += 1,
                Err(error) => break error,
            }
        }
        let payload = to_client.pop().unwrap();
        assert!(client.on_packet(&payload, &mut to_server).unwrap().is_none());
    };
    assert_eq!((ended, rejected), (AuthError::TooManyTries, 5));
}
