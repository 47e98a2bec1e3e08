use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;

/// Owned shapes of the borrowed messages.
#[derive(Clone, Debug)]
enum OwnedMethod {
    None,
    PublicKey(String, Vec<u8>, Option<Vec<u8>>, Option<Vec<u8>>),
    Password(Vec<u8>, Option<Vec<u8>>),
    KeyboardInteractive(Vec<u8>, Vec<u8>),
    HostBased(String, [Vec<u8>; 4]),
    Other(String, Vec<u8>),
}

impl OwnedMethod {
    fn borrow(&self) -> Method<'_> {
        match self {
            Self::None => Method::None,
            Self::PublicKey(algorithm, blob, host_key, signature) => Method::PublicKey(PublicKeyRequest {
                algorithm,
                blob,
                host_key: host_key.as_deref(),
                signature: signature.as_deref(),
            }),
            Self::Password(old, new) => {
                Method::Password { password: SecretBytes(old), new_password: new.as_deref().map(SecretBytes) }
            }
            Self::KeyboardInteractive(language, submethods) => {
                Method::KeyboardInteractive { language, submethods }
            }
            Self::HostBased(algorithm, [blob, client_host, client_user, signature]) => {
                Method::HostBased(HostBasedRequest { algorithm, blob, client_host, client_user, signature })
            }
            Self::Other(name, fields) => Method::Other { name, fields },
        }
    }
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..40)
}

fn method() -> impl Strategy<Value = OwnedMethod> {
    prop_oneof![
        Just(OwnedMethod::None),
        (".{0,20}", bytes(), option::of(bytes()), option::of(bytes()))
            .prop_map(|(a, b, c, d)| OwnedMethod::PublicKey(a, b, c, d)),
        (bytes(), option::of(bytes())).prop_map(|(a, b)| OwnedMethod::Password(a, b)),
        (bytes(), bytes()).prop_map(|(a, b)| OwnedMethod::KeyboardInteractive(a, b)),
        (".{0,20}", [bytes(), bytes(), bytes(), bytes()]).prop_map(|(a, b)| OwnedMethod::HostBased(a, b)),
        ("[a-z]{1,8}@x", bytes()).prop_map(|(a, b)| OwnedMethod::Other(a, b)),
    ]
}

proptest! {
    #[test]
    fn requests_round_trip(user in ".{0,40}", service in "[a-z-]{0,20}", method in method()) {
        let request = Request { user: &user, service: &service, method: method.borrow() };
        let payload = request.to_payload();
        prop_assert_eq!(Request::parse(&payload), Ok(request));
        prop_assert!(payload.capacity() >= payload.len());
        for cut in 0..payload.len() {
            // An unknown method's fields are opaque; everything else is refused when cut short.
            let parsed = Request::parse(&payload[..cut]);
            let opaque = matches!(parsed, Ok(Request { method: Method::Other { .. }, .. }));
            prop_assert!(parsed.is_err() || opaque, "cut at {}", cut);
        }
        let longer = [&payload[..], &[0]].concat();
        let opaque = matches!(request.method, Method::Other { .. });
        prop_assert!(Request::parse(&longer).is_err() || opaque);
    }

    #[test]
    fn answers_round_trip(a in bytes(), b in bytes(), name in "[a-z0-9@.-]{1,20}", partial in any::<bool>()) {
        let banner = Banner { message: &a, language: &b };
        let payload = banner.to_payload();
        prop_assert_eq!(Banner::parse(&payload), Ok(banner));
        let change = PasswordChangeRequest { prompt: &a, language: &b };
        let payload = change.to_payload();
        prop_assert_eq!(PasswordChangeRequest::parse(&payload), Ok(change));
        let pk_ok = PkOk { algorithm: &name, blob: &b };
        let payload = pk_ok.to_payload();
        prop_assert_eq!(PkOk::parse(&payload), Ok(pk_ok));
        let names = format!("{name},password");
        let failure = Failure { methods: NameList::parse(names.as_bytes()).unwrap(), partial_success: partial };
        let payload = failure.to_payload();
        prop_assert_eq!(Failure::parse(&payload), Ok(failure));
    }

    #[test]
    fn prompts_and_responses_round_trip(
        texts in vec((bytes(), any::<bool>()), 0..6),
        name in bytes(),
        instruction in bytes(),
    ) {
        let prompts = texts.iter().map(|(text, echo)| Prompt { text, echo: *echo }).collect();
        let request = InfoRequest { name: &name, instruction: &instruction, language: b"", prompts };
        let payload = request.to_payload();
        prop_assert_eq!(InfoRequest::parse(&payload), Ok(request));
        let responses = texts.iter().map(|(text, _)| SecretBytes(text)).collect();
        let response = InfoResponse { responses };
        let payload = response.to_payload();
        prop_assert_eq!(InfoResponse::parse(&payload), Ok(response));
    }

    #[test]
    fn no_bytes_panic_the_parsers(number in 50u8..62, rest in vec(any::<u8>(), 0..120)) {
        let payload = [&[number][..], &rest].concat();
        let _ = Request::parse(&payload);
        let _ = Failure::parse(&payload);
        let _ = Banner::parse(&payload);
        let _ = PkOk::parse(&payload);
        let _ = PasswordChangeRequest::parse(&payload);
        let _ = InfoRequest::parse(&payload);
        let _ = InfoResponse::parse(&payload);
    }
}

#[test]
fn the_signed_data_is_that_of_rfc_4252() {
    let request = Request {
        user: "u",
        service: "s",
        method: Method::PublicKey(PublicKeyRequest {
            algorithm: "a",
            blob: b"b",
            host_key: None,
            signature: None,
        }),
    };
    let expected = b"\0\0\0\x02id\x32\0\0\0\x01u\0\0\0\x01s\0\0\0\x09publickey\x01\0\0\0\x01a\0\0\0\x01b";
    assert_eq!(request.signed_data(b"id").unwrap(), expected);
    assert_eq!(Request::none("u").signed_data(b"id"), None);
}

#[test]
fn any_true_flag_is_signed_as_one() {
    let payload = b"\x32\0\0\0\x01u\0\0\0\x01s\0\0\0\x09publickey\xff\0\0\0\x01a\0\0\0\x01b\0\0\0\x01S";
    let request = Request::parse(payload).unwrap();
    let signed = request.signed_data(b"").unwrap();
    assert_eq!(signed[4 + 1 + 5 + 5 + 13], 1);
    assert_eq!(request.to_payload()[..24], payload[..24]);
}

#[test]
fn counts_are_checked_before_anything_is_kept() {
    for count in [101u32, 35_000, u32::MAX] {
        let request = [b"\x3c\0\0\0\0\0\0\0\0\0\0\0\0".as_slice(), &count.to_be_bytes()].concat();
        assert_eq!(InfoRequest::parse(&request), Err(Malformed::new("num-prompts")));
        let response = [b"\x3d".as_slice(), &count.to_be_bytes()].concat();
        assert_eq!(InfoResponse::parse(&response), Err(Malformed::new("num-responses")));
    }
}

#[test]
fn secrets_do_not_show() {
    let method = Method::Password { password: SecretBytes(b"old"), new_password: Some(SecretBytes(b"new")) };
    let shown = format!("{method:?} {:?}", InfoResponse { responses: vec![SecretBytes(b"otp")] });
    assert!(shown.contains("<secret>") && !shown.contains("old") && !shown.contains("111"), "{shown}");
}
