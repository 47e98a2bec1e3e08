//! A client that authenticates in any order with anything: nobody is accepted who did not prove a key.
#![no_main]
use bartizan_ssh::auth::AuthMethod;
use bartizan_ssh::auth::server::{AuthLimits, AuthRequest, ServerAuth};
use libfuzzer_sys::fuzz_target;

mod common;

fuzz_target!(|input: &[u8]| {
    let mut auth = ServerAuth::new(&[7; 32], b"host", AuthLimits::default());
    let mut out = Vec::new();
    let service = b"\x05\0\0\0\x0cssh-userauth";
    for piece in std::iter::once(&service[..]).chain(common::pieces(input)) {
        let Ok(request) = auth.on_packet(piece, &mut out) else { return };
        let answered = match request {
            None => Ok(()),
            Some(AuthRequest::Offered(_)) => auth.pk_ok(&mut out),
            Some(AuthRequest::Proven(key)) => {
                // Signing over this session id takes a private key, which the fuzzer does not have.
                panic!("believed a signature of {:?}", key.key());
            }
            Some(AuthRequest::KeyboardInteractive { .. } | AuthRequest::Responses { .. }) => {
                auth.prompt("", "", &[("Password: ", false)], &mut out)
            }
            Some(_) => auth.reject(&[AuthMethod::PublicKey], &mut out),
        };
        if answered.is_err() {
            return;
        }
        assert!(!auth.is_done());
        out.clear();
    }
});
