//! A peer that has keys: its payloads are anything, its ciphertext is changed on the way.
#![no_main]
use std::sync::Arc;
use std::time::Duration;

use bartizan_ssh::key::{HostKey, PrivateKey};
use bartizan_ssh::transport::{ClientConfig, Incoming, ServerConfig, Transport};
use libfuzzer_sys::fuzz_target;

mod common;

/// Moves what one says to the other; false when that ended the other. Counts the payloads handed over.
fn pass(from: &mut Transport, to: &mut Transport, flip: Option<usize>, seen: &mut usize) -> bool {
    let mut bytes = from.outgoing().to_vec();
    from.sent(bytes.len());
    if let Some(at) = flip
        && let Some(byte) = bytes.get_mut(at)
    {
        *byte ^= 0x20;
    }
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let space = to.receive_space(rest.len().min(64 << 10));
        let n = rest.len().min(space.len());
        space[..n].copy_from_slice(&rest[..n]);
        to.received(n);
        rest = &rest[n..];
        loop {
            match to.poll(Duration::ZERO) {
                Ok(Some(Incoming::HostKey(_))) => to.accept_host_key().unwrap(),
                Ok(Some(Incoming::Packet(_))) => *seen += 1,
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return false,
            }
        }
    }
    true
}

fuzz_target!(|input: &[u8]| {
    let key = PrivateKey::derive_ed25519(&[1; 32], b"fuzz").unwrap();
    let mut server =
        Transport::server(Arc::new(ServerConfig::new(vec![HostKey::new(key)])), Duration::ZERO).unwrap();
    let mut client = Transport::client(Arc::new(ClientConfig::default()), Duration::ZERO).unwrap();
    let mut seen = 0;
    for _ in 0..6 {
        assert!(
            pass(&mut client, &mut server, None, &mut seen)
                && pass(&mut server, &mut client, None, &mut seen)
        );
    }
    assert!(server.can_send() && client.can_send());
    let mut alive = true;
    for piece in common::pieces(input) {
        let Some((&what, payload)) = piece.split_first() else { continue };
        match what {
            0 => drop(client.start_rekey()),
            1 => drop(server.start_rekey()),
            _ => drop(client.send(payload)),
        }
        let flip = (what == 2).then_some(payload.len() / 2);
        let before = seen;
        if !pass(&mut client, &mut server, flip, &mut seen) {
            alive = false;
        }
        assert!(
            flip.is_none() || payload.is_empty() || seen == before || alive,
            "changed bytes were believed"
        );
        if !alive || !pass(&mut server, &mut client, None, &mut seen) {
            break;
        }
    }
});
