//! Any order of messages and answers: nobody gets in without evidence, nothing panics, every request has one answer.

use proptest::prelude::*;

use super::helpers::{Signed, ed25519, interactive, none, password, service};
use crate::auth::server::{AuthLimits, AuthRequest, ServerAuth};
use crate::auth::{AuthError, AuthMethod};
use crate::wire::userauth::{InfoResponse, Payload, SecretBytes};

const LEFT: &[AuthMethod] = &[AuthMethod::PublicKey];
const USERS: [&str; 2] = ["alice", "bob"];

#[derive(Clone, Copy, Debug)]
enum Message {
    None,
    Offer,
    Signed,
    BadlySigned,
    Password,
    Interactive,
    Responses(usize),
    Service,
    Unknown(u8),
}

#[derive(Clone, Copy, Debug)]
enum Answer {
    PkOk,
    Accept,
    Partial,
    Reject,
    Prompt(usize),
    Banner,
    Wait,
}

/// Mostly what may come, so that conversations get somewhere.
fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        8 => Just(Message::None),
        16 => Just(Message::Offer),
        16 => Just(Message::Signed),
        8 => Just(Message::BadlySigned),
        16 => Just(Message::Password),
        32 => Just(Message::Interactive),
        8 => (0usize..3).prop_map(Message::Responses),
        1 => Just(Message::Service),
        1 => any::<u8>().prop_map(Message::Unknown),
    ]
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        1 => Just(Answer::PkOk),
        1 => Just(Answer::Accept),
        1 => Just(Answer::Partial),
        2 => Just(Answer::Reject),
        4 => (0usize..3).prop_map(Answer::Prompt),
        1 => Just(Answer::Banner),
        1 => Just(Answer::Wait),
    ]
}

fn payload(message: Message, user: &str, key: &crate::key::PrivateKey) -> Vec<u8> {
    let signed = Signed::by(key, user);
    match message {
        Message::None => none(user).to_vec(),
        Message::Offer => signed.offer().to_vec(),
        Message::Signed => signed.payload().to_vec(),
        Message::BadlySigned => Signed { session_id: b"another", ..signed }.payload().to_vec(),
        Message::Password => password(user, b"x").to_vec(),
        Message::Interactive => interactive(user).to_vec(),
        Message::Responses(count) => {
            InfoResponse { responses: vec![SecretBytes(b"1"); count] }.to_payload().to_vec()
        }
        Message::Service => service(5, "ssh-userauth").to_vec(),
        Message::Unknown(number) => vec![number],
    }
}

fn give(server: &mut ServerAuth, answer: Answer, out: &mut Vec<Payload>) -> Result<(), AuthError> {
    match answer {
        Answer::PkOk => server.pk_ok(out),
        Answer::Accept => server.accept(out),
        Answer::Partial => server.partial_success(LEFT, out),
        Answer::Reject => server.reject(LEFT, out),
        Answer::Prompt(count) => server.prompt("", "", &vec![("?", false); count], out),
        Answer::Banner => server.banner("hello", out),
        Answer::Wait => Ok(()),
    }
}

const fn is_evidence(request: &AuthRequest) -> bool {
    !matches!(request, AuthRequest::Offered(_) | AuthRequest::Invalid { .. })
}

proptest! {
    #[test]
    fn success_is_sent_once_and_only_for_evidence(
        steps in prop::collection::vec((message(), 0usize..2, prop::collection::vec(answer(), 0..3)), 1..30),
    ) {
        let key = ed25519();
        let limits = AuthLimits { tries: 20, ..AuthLimits::default() };
        let mut server = super::helpers::server_with(limits);
        let mut out = Vec::new();
        // What is pending, as the test understands it, and what was passed by whom.
        let mut pending: Option<AuthRequest> = None;
        let mut passed: (Option<String>, usize) = (None, 0);
        let mut accepted = 0;
        let mut prompts = None;
        for (mut message, user, answers) in steps {
            let done = server.is_done();
            // Half of the prompts are answered, with the right number of responses or with another.
            if let (Some(count), 0, None) = (prompts.take(), user, &pending) {
                message = Message::Responses(count);
            }
            let before = out.len();
            match server.on_packet(&payload(message, USERS[user], &key), &mut out) {
                Ok(Some(request)) => {
                    prop_assert!(pending.is_none() && !done);
                    prop_assert_eq!(out.len(), before, "a request is answered by its owner only");
                    if passed.0.as_deref() != Some(request.user()) {
                        passed = (Some(request.user().to_owned()), 0);
                    }
                    pending = Some(request);
                }
                Ok(None) => {}
                Err(AuthError::Misuse(_)) => prop_assert!(pending.is_some()),
                // Over: nothing is taken, answered or sent any more.
                Err(_) => {
                    prop_assert!(pending.is_none());
                    prop_assert!(server.on_packet(&none("alice"), &mut out).is_err());
                    prop_assert!(server.accept(&mut out).is_err() && server.banner("", &mut out).is_err());
                    break;
                }
            }
            for answer in answers {
                let before = out.len();
                let result = give(&mut server, answer, &mut out);
                let fits = match (answer, &pending) {
                    (Answer::Wait, _) => continue,
                    (Answer::Banner, _) => {
                        prop_assert_eq!(result.is_ok(), out.len() == before + 1);
                        continue;
                    }
                    (_, None) => false,
                    (Answer::Reject, _) => true,
                    (Answer::PkOk, Some(request)) => matches!(request, AuthRequest::Offered(_)),
                    (Answer::Accept | Answer::Partial, Some(request)) => is_evidence(request),
                    (Answer::Prompt(_), Some(request)) => matches!(
                        request,
                        AuthRequest::KeyboardInteractive { .. } | AuthRequest::Responses { .. }
                    ),
                };
                prop_assert_eq!(result.is_ok(), fits, "{:?} to {:?}: {:?}", answer, pending, result);
                prop_assert_eq!(out.len(), before + usize::from(fits));
                if fits {
                    passed.1 += usize::from(matches!(answer, Answer::Partial));
                    prop_assert_eq!(server.is_done(), matches!(answer, Answer::Accept));
                    accepted += usize::from(matches!(answer, Answer::Accept));
                    if let Answer::Prompt(count) = answer {
                        prompts = Some(count);
                    }
                    pending = None;
                }
            }
            prop_assert_eq!(server.passed().len(), passed.1);
        }
        let successes = out.iter().filter(|payload| payload[..] == [52]).count();
        prop_assert_eq!(successes, accepted);
        prop_assert!(accepted <= 1);
    }
}

proptest! {
    #[test]
    fn no_bytes_panic_either_machine(
        payloads in prop::collection::vec((49u8..63, prop::collection::vec(any::<u8>(), 0..60)), 1..20),
    ) {
        use crate::auth::client::{ClientAuth, Credential};
        let credentials = vec![
            Credential::external(ed25519().public_key().clone().into()),
            Credential::password(crate::auth::Secret::new(*b"pw")),
            Credential::keyboard_interactive(),
        ];
        let mut client = ClientAuth::new(b"", "root", credentials);
        let mut server = super::helpers::idle_server();
        let mut out = Vec::new();
        client.start(&mut out);
        prop_assert!(client.on_packet(&service(6, "ssh-userauth"), &mut out).is_ok());
        for (number, body) in payloads {
            let payload = [&[number][..], &body].concat();
            let _ = client.on_packet(&payload, &mut out);
            let _ = client.skip(&mut out);
            let _ = server.on_packet(&payload, &mut out);
            let _ = server.reject(LEFT, &mut out);
        }
        prop_assert!(!server.is_done());
    }
}
