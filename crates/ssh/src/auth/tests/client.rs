//! The client against a server that is written by hand: every message in every state.

use super::helpers::{SESSION_ID, certify, ed25519, key, service};
use crate::auth::client::{ClientAuth, ClientEvent, Credential};
use crate::auth::{AuthError, AuthMethod, Secret};
use crate::key::{CertificateKind, KeyKind, SignatureAlgorithm};
use crate::wire::NameList;
use crate::wire::userauth::{
    Banner, Failure, InfoRequest, Method, PasswordChangeRequest, PkOk, Prompt, Request,
    SSH_MSG_USERAUTH_SUCCESS,
};

fn client(credentials: Vec<Credential>) -> ClientAuth {
    ClientAuth::new(SESSION_ID, "root", credentials)
}

fn started(credentials: Vec<Credential>) -> (ClientAuth, Vec<u8>) {
    let mut client = client(credentials);
    let mut out = Vec::new();
    client.start(&mut out);
    client.start(&mut out);
    assert_eq!(out.len(), 1);
    assert!(client.on_packet(&service(6, "ssh-userauth"), &mut out).unwrap().is_none());
    let first = out.pop().unwrap().to_vec();
    (client, first)
}

fn failure(methods: &str, partial_success: bool) -> Vec<u8> {
    let methods = NameList::parse(methods.as_bytes()).unwrap();
    Failure { methods, partial_success }.to_payload().to_vec()
}

fn passwords(count: usize) -> Vec<Credential> {
    (0..count).map(|_| Credential::password(Secret::new(*b"pw"))).collect()
}

fn external() -> Credential {
    Credential::external(ed25519().public_key().clone().into())
}

/// A well-formed message of this number, for a client that tries `password`, or something wrong enough.
fn message(number: u8) -> Vec<u8> {
    match number {
        6 => service(6, "ssh-userauth").to_vec(),
        51 => failure("publickey,password,keyboard-interactive", false),
        53 => Banner { message: b"hello", language: b"" }.to_payload().to_vec(),
        60 => PasswordChangeRequest { prompt: b"new?", language: b"" }.to_payload().to_vec(),
        number => vec![number],
    }
}

/// Its name, how to get there, the messages it takes.
type State<'a> = (&'a str, &'a dyn Fn() -> ClientAuth, &'a [u8]);

#[test]
fn every_message_in_every_state() {
    let new = || client(passwords(2));
    let opening = || {
        let mut client = new();
        client.start(&mut Vec::new());
        client
    };
    let asking = || started(Vec::new()).0;
    let sent = || started(passwords(2)).0;
    let probed = || started(vec![external()]).0;
    let expired = || {
        let mut client = sent();
        assert!(client.on_packet(&message(60), &mut Vec::new()).is_ok());
        client
    };
    let ended = || {
        let mut client = sent();
        assert!(client.on_packet(&[SSH_MSG_USERAUTH_SUCCESS], &mut Vec::new()).is_ok());
        client
    };
    let states: [State<'_>; 7] = [
        ("new", &new, &[]),
        ("opening", &opening, &[6]),
        ("asking", &asking, &[51, 52, 53]),
        ("sent", &sent, &[51, 52, 53, 60]),
        ("probed", &probed, &[51, 53]),
        ("expired", &expired, &[53]),
        ("ended", &ended, &[]),
    ];
    for (name, make, accepted) in states {
        for number in 0..=255 {
            let payload = message(number);
            match make().on_packet(&payload, &mut Vec::new()) {
                Ok(_) => assert!(accepted.contains(&number), "{name} took message {number}"),
                Err(AuthError::Unexpected { number: told, .. }) => {
                    assert_eq!(told, number);
                    assert!(!accepted.contains(&number), "{name} refused message {number}");
                }
                // PK_OK for another key: the payload above does not fit.
                Err(AuthError::WrongKeyAccepted | AuthError::Malformed(_)) => {
                    assert_eq!((name, number), ("probed", 60));
                }
                Err(error) => panic!("{name}, message {number}: {error}"),
            }
        }
        assert!(make().on_packet(b"", &mut Vec::new()).is_err());
    }
}

#[test]
fn a_server_that_says_success_before_anything_was_asked_is_not_believed() {
    for mut client in [client(passwords(1)), {
        let mut client = client(passwords(1));
        client.start(&mut Vec::new());
        client
    }] {
        let result = client.on_packet(&[SSH_MSG_USERAUTH_SUCCESS], &mut Vec::new());
        assert!(matches!(result, Err(AuthError::Unexpected { number: 52, .. })));
    }
    // Nor when a key was offered and not proved.
    let (mut client, _) = started(vec![external()]);
    assert!(client.on_packet(&[SSH_MSG_USERAUTH_SUCCESS], &mut Vec::new()).is_err());
}

#[test]
fn credentials_are_tried_in_order_as_far_as_the_server_lists_their_method() {
    let credentials = vec![
        Credential::key(ed25519()),
        Credential::password(Secret::new(*b"pw")),
        Credential::key(ed25519()),
        Credential::keyboard_interactive(),
    ];
    let (mut client, first) = started(credentials);
    let method = |payload: &[u8]| Request::parse(payload).unwrap().method.name().to_owned();
    assert_eq!(method(&first), "publickey");
    let mut out = Vec::new();
    // Password is not listed: passed over for the second key …
    assert!(client.on_packet(&failure("publickey", false), &mut out).unwrap().is_none());
    assert_eq!(method(&out.pop().unwrap()), "publickey");
    // … and comes back when a partial success asks for it.
    assert!(client.on_packet(&failure("password", true), &mut out).unwrap().is_none());
    assert_eq!(method(&out.pop().unwrap()), "password");
    assert_eq!(client.last_tried(), Some(1));
    match client.on_packet(&failure("publickey,hostbased", false), &mut out).unwrap() {
        Some(ClientEvent::Failure { left, tried }) => {
            assert_eq!(left, "publickey,hostbased");
            assert_eq!(tried, [AuthMethod::PublicKey, AuthMethod::PublicKey, AuthMethod::Password]);
        }
        other => panic!("{other:?}"),
    }
    assert!(out.is_empty());
}

#[test]
fn without_credentials_it_asks_and_may_be_let_in() {
    let (mut client, first) = started(Vec::new());
    assert_eq!(Request::parse(&first).unwrap(), Request::none("root"));
    let event = client.on_packet(&[SSH_MSG_USERAUTH_SUCCESS], &mut Vec::new()).unwrap();
    assert!(matches!(event, Some(ClientEvent::Success)));
    assert_eq!(client.last_tried(), None);
    let (mut client, _) = started(Vec::new());
    let refused = failure("publickey", false);
    match client.on_packet(&refused, &mut Vec::new()).unwrap() {
        Some(ClientEvent::Failure { left, tried }) => {
            assert_eq!((left.as_str(), tried), ("publickey", vec![AuthMethod::None]));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn rsa_signs_with_what_the_server_verifies() {
    use SignatureAlgorithm::{Ed25519, RsaSha256, RsaSha512};
    let rsa = std::sync::Arc::new(key(KeyKind::Rsa3072));
    let certificate = certify(CertificateKind::User, &rsa);
    for (server, plain, certified) in [
        (None, Some("rsa-sha2-256"), "rsa-sha2-256-cert-v01@openssh.com"),
        (Some(&[RsaSha256, RsaSha512][..]), Some("rsa-sha2-512"), "rsa-sha2-512-cert-v01@openssh.com"),
        (Some(&[RsaSha256]), Some("rsa-sha2-256"), "rsa-sha2-256-cert-v01@openssh.com"),
        (Some(&[Ed25519]), None, ""),
    ] {
        let certificate = certificate.clone();
        let choices = [Credential::key(rsa.clone()), Credential::certificate(certificate, rsa.clone())];
        for (credential, expected) in choices.into_iter().zip([plain, plain.map(|_| certified)]) {
            let mut client = client(vec![credential]);
            client.set_server_sig_algs(server);
            let mut out = Vec::new();
            client.start(&mut out);
            assert!(client.on_packet(&service(6, "ssh-userauth"), &mut out).unwrap().is_none());
            match (Request::parse(&out[1]).unwrap().method, expected) {
                (Method::PublicKey(key), Some(expected)) => assert_eq!(key.algorithm, expected),
                (Method::None, None) => {}
                (other, _) => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn an_external_key_signs_only_when_the_server_wants_exactly_it() {
    let (mine, other) = (ed25519(), ed25519());
    let credential = || Credential::external(mine.public_key().clone().into());
    let mut out = Vec::new();
    let ok = |algorithm, blob| PkOk { algorithm, blob }.to_payload();
    for wrong in [ok("ssh-ed25519", other.public_key().blob()), ok("rsa-sha2-512", mine.public_key().blob())]
    {
        let (mut client, _) = started(vec![credential()]);
        assert_eq!(client.on_packet(&wrong, &mut out).unwrap_err(), AuthError::WrongKeyAccepted);
    }
    let (mut client, first) = started(vec![credential(), Credential::password(Secret::new(*b"pw"))]);
    assert!(
        matches!(Request::parse(&first).unwrap().method, Method::PublicKey(key) if key.signature.is_none())
    );
    assert!(client.signature(b"", &mut out).is_err(), "nothing was asked for");
    let right = ok("ssh-ed25519", mine.public_key().blob());
    let Some(ClientEvent::NeedSignature { data, algorithm, .. }) =
        client.on_packet(&right, &mut out).unwrap()
    else {
        panic!("no signature wanted");
    };
    let bad = other.sign(algorithm.signature, &data).unwrap();
    assert!(matches!(client.signature(&bad, &mut out), Err(AuthError::Signing(_))));
    assert!(out.is_empty());
    let good = mine.sign(algorithm.signature, &data).unwrap();
    client.signature(&good, &mut out).unwrap();
    assert_eq!(Request::parse(&out[0]).unwrap().signed_data(SESSION_ID).unwrap(), data);

    // Whoever holds the key may decline.
    let (mut client, _) = started(vec![credential(), Credential::password(Secret::new(*b"pw"))]);
    assert!(matches!(client.on_packet(&right, &mut out), Ok(Some(ClientEvent::NeedSignature { .. }))));
    out.clear();
    assert!(client.skip(&mut out).unwrap().is_none());
    assert_eq!(Request::parse(&out[0]).unwrap().method.name(), "password");
    assert!(client.skip(&mut out).is_err(), "nothing waits for the owner");
}

#[test]
fn prompts_must_be_answered_one_by_one_and_may_not_go_on_for_ever() {
    let (mut client, _) = started(vec![Credential::keyboard_interactive()]);
    let prompts = vec![Prompt { text: b"a", echo: true }, Prompt { text: b"b", echo: false }];
    let ask = InfoRequest { name: b"", instruction: b"", language: b"", prompts }.to_payload();
    let mut out = Vec::new();
    for _ in 0..100 {
        match client.on_packet(&ask, &mut out).unwrap() {
            Some(ClientEvent::Prompt(request)) => assert_eq!(request.prompts.len(), 2),
            other => panic!("{other:?}"),
        }
        assert!(client.respond(&[b"only one"], &mut out).is_err());
        client.respond(&[b"one", b"two"], &mut out).unwrap();
    }
    assert_eq!(client.on_packet(&ask, &mut out).unwrap_err(), AuthError::TooMany("prompts"));
    let (mut client, _) = started(passwords(1));
    let banner = Banner { message: b"x", language: b"" }.to_payload();
    for _ in 0..100 {
        assert!(matches!(client.on_packet(&banner, &mut out), Ok(Some(ClientEvent::Banner(b"x")))));
    }
    assert_eq!(client.on_packet(&banner, &mut out).unwrap_err(), AuthError::TooMany("banners"));
}

#[test]
fn an_expired_password_is_changed_or_given_up() {
    let expired = PasswordChangeRequest { prompt: b"new?", language: b"" }.to_payload();
    let (mut client, _) = started(passwords(1));
    let mut out = Vec::new();
    let event = client.on_packet(&expired, &mut out).unwrap();
    assert!(matches!(event, Some(ClientEvent::PasswordExpired { prompt: b"new?" })));
    client.change_password(&Secret::new(*b"better"), &mut out).unwrap();
    match Request::parse(&out[0]).unwrap().method {
        Method::Password { password, new_password: Some(new) } => {
            assert_eq!((password.0, new.0), (&b"pw"[..], &b"better"[..]));
        }
        other => panic!("{other:?}"),
    }
    let (mut client, _) = started(passwords(1));
    assert!(client.on_packet(&expired, &mut out).is_ok());
    assert!(matches!(client.skip(&mut out), Ok(Some(ClientEvent::Failure { .. }))));
}

#[test]
fn certificates_and_keys_that_do_not_belong_together_are_noticed() {
    let (mine, other) = (ed25519(), ed25519());
    let certificate = certify(CertificateKind::User, &mine);
    assert!(Credential::checked_certificate(certificate.clone(), other).is_err());
    assert!(Credential::checked_certificate(certificate, mine).is_ok());
    assert!(!format!("{:?}", passwords(1)).contains("pw"));
}
