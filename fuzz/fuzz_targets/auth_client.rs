//! A server that answers our login with anything, in any order.
#![no_main]
use bartizan_ssh::auth::Secret;
use bartizan_ssh::auth::client::{ClientAuth, ClientEvent, Credential};
use bartizan_ssh::key::PrivateKey;
use libfuzzer_sys::fuzz_target;

mod common;

fuzz_target!(|input: &[u8]| {
    let key = PrivateKey::derive_ed25519(&[1; 32], b"fuzz").unwrap();
    let credentials = vec![
        Credential::key(key),
        Credential::keyboard_interactive(),
        Credential::password(Secret::new(b"secret".to_vec())),
    ];
    let mut auth = ClientAuth::new(&[7; 32], "root", credentials);
    let mut out = Vec::new();
    auth.start(&mut out);
    for piece in common::pieces(input) {
        let prompted = match auth.on_packet(piece, &mut out) {
            Ok(Some(ClientEvent::Prompt { .. })) => true,
            Ok(Some(ClientEvent::Success)) | Err(_) => return,
            Ok(_) => false,
        };
        if prompted && auth.skip(&mut out).is_err() {
            return;
        }
        assert!(out.len() < 1000);
        out.clear();
    }
});
