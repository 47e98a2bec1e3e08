//! Every message in every state, limits, answers.

use super::helpers::{
    SESSION_ID, Signed, ed25519, feed, idle_server, interactive, none, password, server_with, service,
};
use crate::auth::server::{AuthLimits, AuthRequest, RequestFault, ServerAuth};
use crate::auth::{AuthError, AuthMethod};
use crate::wire::transport::DisconnectReason;
use crate::wire::userauth::{Failure, InfoRequest, InfoResponse, Method, Request, SecretBytes};

const LEFT: &[AuthMethod] = &[AuthMethod::PublicKey, AuthMethod::KeyboardInteractive];

fn opening() -> ServerAuth {
    ServerAuth::new(SESSION_ID, super::helpers::HOST_BLOB, AuthLimits::default())
}

fn prompting() -> ServerAuth {
    let mut server = idle_server();
    let _ = feed(&mut server, &interactive("alice")).unwrap();
    server.prompt("", "", &[("Code: ", false)], &mut Vec::new()).unwrap();
    server
}

fn done() -> ServerAuth {
    let mut server = idle_server();
    let _ = feed(&mut server, &none("alice")).unwrap();
    server.accept(&mut Vec::new()).unwrap();
    server
}

fn ended() -> ServerAuth {
    let mut server = idle_server();
    assert!(feed(&mut server, b"\xff").is_err());
    server
}

/// A message of this number that is well-formed, where the number is one of authentication.
fn message(number: u8) -> Vec<u8> {
    match number {
        5 | 6 => service(number, "ssh-userauth").to_vec(),
        50 => none("alice").to_vec(),
        61 => InfoResponse { responses: vec![SecretBytes(b"123456")] }.to_payload().to_vec(),
        number => vec![number],
    }
}

/// Its name, how to get there, the messages it takes.
type State = (&'static str, fn() -> ServerAuth, &'static [u8]);

#[test]
fn every_message_in_every_state() {
    let states: [State; 5] = [
        ("opening", opening, &[5]),
        ("idle", idle_server, &[50]),
        ("prompting", prompting, &[50, 61]),
        ("done", done, &[50]),
        ("ended", ended, &[]),
    ];
    for (name, make, accepted) in states {
        for number in 0..=255 {
            let result = make().on_packet(&message(number), &mut Vec::new());
            match result {
                Ok(_) => assert!(accepted.contains(&number), "{name} took message {number}"),
                Err(AuthError::Unexpected { number: told, .. }) => {
                    assert_eq!(told, number);
                    assert!(!accepted.contains(&number), "{name} refused message {number}");
                }
                Err(error) => panic!("{name}, message {number}: {error}"),
            }
        }
        assert!(make().on_packet(b"", &mut Vec::new()).is_err(), "{name} took an empty payload");
    }
}

#[test]
fn a_pending_request_must_be_answered_first_and_stays_pending() {
    let mut server = idle_server();
    let _ = feed(&mut server, &password("alice", b"x")).unwrap();
    let misuse = feed(&mut server, &none("alice")).unwrap_err();
    assert_eq!(misuse, AuthError::Misuse("a request is still waiting for its answer"));
    server.reject(LEFT, &mut Vec::new()).unwrap();
}

#[test]
fn after_success_requests_are_ignored_and_nothing_can_be_answered() {
    let mut server = done();
    let key = ed25519();
    for payload in [none("bob"), password("alice", b"x"), Signed::by(&key, "root").payload()] {
        assert!(feed(&mut server, &payload).unwrap().is_none());
        assert!(server.accept(&mut Vec::new()).is_err());
        assert!(server.banner("late", &mut Vec::new()).is_err());
    }
    assert!(server.is_done());
}

/// Which answers fit which pending request: pk_ok, accept, partial_success, prompt.
#[test]
fn every_answer_to_every_request() {
    let key = ed25519();
    let signed = Signed::by(&key, "alice");
    let mut bad = signed.payload().to_vec();
    *bad.last_mut().unwrap() ^= 1;
    for (what, payload, fits) in [
        ("none", none("alice").to_vec(), [false, true, true, false]),
        ("offered", signed.offer().to_vec(), [true, false, false, false]),
        ("proven", signed.payload().to_vec(), [false, true, true, false]),
        ("password", password("alice", b"x").to_vec(), [false, true, true, false]),
        ("keyboard-interactive", interactive("alice").to_vec(), [false, true, true, true]),
        ("invalid", bad, [false; 4]),
    ] {
        for (answer, fits) in fits.into_iter().enumerate() {
            let mut server = idle_server();
            let _ = feed(&mut server, &payload).unwrap();
            let mut out = Vec::new();
            let result = match answer {
                0 => server.pk_ok(&mut out),
                1 => server.accept(&mut out),
                2 => server.partial_success(LEFT, &mut out),
                _ => server.prompt("", "", &[], &mut out),
            };
            assert_eq!(result.is_ok(), fits, "{what}, answer {answer}");
            assert_eq!(out.len(), usize::from(fits));
            if !fits {
                assert!(matches!(result, Err(AuthError::Misuse(_))));
                server.reject(LEFT, &mut out).unwrap();
                let failure = Failure::parse(&out[0]).unwrap();
                assert_eq!(failure.methods.as_str(), "publickey,keyboard-interactive");
                assert!(!failure.partial_success);
            }
        }
    }
    let mut server = idle_server();
    let mut out = Vec::new();
    assert!(server.pk_ok(&mut out).is_err() && server.accept(&mut out).is_err());
    assert!(server.reject(LEFT, &mut out).is_err() && server.partial_success(LEFT, &mut out).is_err());
    assert!(server.prompt("", "", &[], &mut out).is_err());
    assert!(out.is_empty());
}

#[test]
fn services_that_do_not_exist() {
    let error = opening().on_packet(&service(5, "ssh-connection\x07"), &mut Vec::new()).unwrap_err();
    assert_eq!(error.to_string(), "service `ssh-connection\\x07` is not available");
    assert_eq!(error.disconnect_reason(), DisconnectReason::ServiceNotAvailable);

    let request = Request { user: "alice", service: "ssh-userauth", method: Method::None };
    let invalid = feed(&mut idle_server(), &request.to_payload()).unwrap();
    let fault = RequestFault::UnknownService("ssh-userauth".into());
    assert!(matches!(invalid, Some(AuthRequest::Invalid { fault: found, .. }) if found == fault));
}

#[test]
fn tries_are_counted_over_all_methods_and_user_names() {
    let mut server = idle_server();
    let mut out = Vec::new();
    let payloads = [none("a"), password("a", b""), none("b"), password("c", b""), interactive("d")];
    // The first `none` is free; the second counts.
    for payload in &payloads {
        let _ = feed(&mut server, payload).unwrap();
        server.reject(LEFT, &mut out).unwrap();
    }
    let _ = feed(&mut server, &password("a", b"")).unwrap();
    server.reject(LEFT, &mut out).unwrap();
    let _ = feed(&mut server, &password("a", b"")).unwrap();
    assert_eq!(server.reject(LEFT, &mut out), Err(AuthError::TooManyTries));
    assert_eq!(out.len(), 6, "no FAILURE after the last try");
    assert_eq!(AuthError::TooManyTries.disconnect_reason(), DisconnectReason::NoMoreAuthMethodsAvailable);
    assert!(matches!(feed(&mut server, &password("a", b"")), Err(AuthError::Unexpected { .. })));
}

#[test]
fn offered_keys_have_a_limit_of_their_own() {
    let key = ed25519();
    let mut server = server_with(AuthLimits { offered_keys: 10, ..AuthLimits::default() });
    let offer = Signed::by(&key, "alice").offer();
    for round in 0..10 {
        let _ = feed(&mut server, &offer).unwrap();
        if round % 2 == 0 {
            server.reject(LEFT, &mut Vec::new()).unwrap();
        } else {
            server.pk_ok(&mut Vec::new()).unwrap();
        }
    }
    assert_eq!(feed(&mut server, &offer).unwrap_err(), AuthError::TooManyTries);
}

#[test]
fn what_is_too_long_is_refused() {
    let limits = AuthLimits::default();
    let megabyte = "x".repeat(1 << 20);
    assert_eq!(feed(&mut idle_server(), &none(&megabyte)).unwrap_err(), AuthError::TooLong("message"));
    let name = "x".repeat(limits.user_name_bytes);
    let _ = feed(&mut idle_server(), &none(&name)).unwrap();
    let longer = none(&format!("{name}x"));
    assert_eq!(feed(&mut idle_server(), &longer).unwrap_err(), AuthError::TooLong("user name"));

    let secret = vec![b'x'; limits.secret_bytes + 1];
    let _ = feed(&mut idle_server(), &password("a", &secret[1..])).unwrap();
    let too_long = [
        (password("a", &secret), idle_server(), "password"),
        (InfoResponse { responses: vec![SecretBytes(&secret)] }.to_payload(), prompting(), "response"),
    ];
    for (payload, mut server, what) in too_long {
        match feed(&mut server, &payload).unwrap() {
            Some(AuthRequest::Invalid { fault, .. }) => assert_eq!(fault, RequestFault::TooLong(what)),
            other => panic!("{other:?}"),
        }
        assert!(server.accept(&mut Vec::new()).is_err());
    }
}

#[test]
fn user_names_with_control_bytes_arrive_as_they_are_and_names_that_are_no_text_do_not() {
    let request = feed(&mut idle_server(), &none("al\x1b[2Jice\0")).unwrap().unwrap();
    assert_eq!(request.user(), "al\x1b[2Jice\0");
    let mut payload = none("alice").to_vec();
    payload[5] = 0xff;
    assert!(matches!(feed(&mut idle_server(), &payload), Err(AuthError::Malformed(_))));
}

#[test]
fn responses_must_be_as_many_as_prompts() {
    for count in [0, 2, 100] {
        let mut server = prompting();
        let responses = vec![SecretBytes(b"1"); count];
        let fault = match feed(&mut server, &InfoResponse { responses }.to_payload()).unwrap() {
            Some(AuthRequest::Invalid { fault, user, .. }) => (fault, user),
            other => panic!("{other:?}"),
        };
        assert_eq!(fault, (RequestFault::ResponseCount { got: count, wanted: 1 }, "alice".into()));
        assert!(server.accept(&mut Vec::new()).is_err());
        server.reject(LEFT, &mut Vec::new()).unwrap();
    }
    let too_many = InfoResponse { responses: vec![SecretBytes(b"1"); 101] }.to_payload();
    assert!(matches!(feed(&mut prompting(), &too_many), Err(AuthError::Malformed(_))));
}

#[test]
fn a_new_request_abandons_the_prompts() {
    let mut server = prompting();
    let request = feed(&mut server, &password("alice", b"x")).unwrap();
    assert!(matches!(request, Some(AuthRequest::Password { .. })));
    server.reject(LEFT, &mut Vec::new()).unwrap();
    let late = InfoResponse { responses: vec![SecretBytes(b"1")] }.to_payload();
    assert!(matches!(feed(&mut server, &late), Err(AuthError::Unexpected { number: 61, .. })));
}

#[test]
fn several_rounds_of_prompts_and_a_banner_between() {
    let mut server = idle_server();
    let mut out = Vec::new();
    let _ = feed(&mut server, &interactive("alice")).unwrap();
    server.banner("hold on", &mut out).unwrap();
    server.prompt("Login", "first", &[("Password: ", false)], &mut out).unwrap();
    let first = InfoRequest::parse(&out[1]).unwrap();
    assert_eq!((first.name, first.prompts[0].text), (&b"Login"[..], &b"Password: "[..]));
    let answer = |text| InfoResponse { responses: vec![SecretBytes(text)] }.to_payload();
    let Some(AuthRequest::Responses { user, responses }) = feed(&mut server, &answer(b"pw")).unwrap() else {
        panic!("no responses");
    };
    assert_eq!((user.as_str(), responses[0].expose()), ("alice", &b"pw"[..]));
    server.prompt("", "", &[("Code: ", true)], &mut out).unwrap();
    assert!(matches!(feed(&mut server, &answer(b"1")).unwrap(), Some(AuthRequest::Responses { .. })));
    server.prompt("", "bye", &[], &mut out).unwrap();
    let empty = InfoResponse { responses: Vec::new() }.to_payload();
    assert!(matches!(feed(&mut server, &empty).unwrap(), Some(AuthRequest::Responses { .. })));
    server.accept(&mut out).unwrap();
    assert_eq!(out.last().unwrap()[..], [52]);
}

#[test]
fn unknown_methods_are_told_by_name() {
    let host_based = b"\x32\0\0\0\x01u\0\0\0\x0essh-connection\0\0\0\x06x\x1b[2Jx";
    match feed(&mut idle_server(), host_based).unwrap() {
        Some(AuthRequest::Invalid { method, fault, .. }) => {
            assert_eq!((method.as_str(), fault), ("x\\x1b[2Jx", RequestFault::UnknownMethod));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn secrets_do_not_show() {
    let request = feed(&mut idle_server(), &password("alice", b"hunter2")).unwrap();
    let shown = format!("{request:?}");
    assert!(shown.contains("<secret>") && !shown.contains("hunter2") && !shown.contains("104"), "{shown}");
}
