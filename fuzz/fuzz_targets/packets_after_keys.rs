//! A peer that has keys, of the cipher that the first byte chooses: its payloads are anything, its ciphertext is changed on the way.
#![no_main]
use std::time::Duration;

use bartizan_ssh::transport::{Algorithms, Cipher, Incoming, KexMethod, Mac, Transport};
use libfuzzer_sys::fuzz_target;

mod common;
mod transports;

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
    let Some((&choice, input)) = input.split_first() else { return };
    let algorithms = Algorithms {
        // The fastest: key exchanges are most of the time.
        kex: vec![KexMethod::Curve25519Sha256],
        ciphers: vec![Cipher::ALL[usize::from(choice & 15) % Cipher::ALL.len()]],
        macs: vec![Mac::ALL[usize::from(choice >> 4) % Mac::ALL.len()]],
    };
    let [mut server, mut client] = transports::pair(&algorithms);
    let mut seen = 0;
    for _ in 0..6 {
        assert!(
            pass(&mut client, &mut server, None, &mut seen)
                && pass(&mut server, &mut client, None, &mut seen)
        );
    }
    assert!(server.can_send() && client.can_send());
    for piece in common::pieces(input) {
        let Some((&what, payload)) = piece.split_first() else { continue };
        // What is changed is the payload and not what went before it.
        if what == 2 && !pass(&mut client, &mut server, None, &mut seen) {
            break;
        }
        match what {
            0 => drop(client.start_rekey(Duration::ZERO)),
            1 => drop(server.start_rekey(Duration::ZERO)),
            _ => drop(client.send(payload)),
        }
        let flip = (what == 2).then_some(payload.len() / 2);
        let before = seen;
        let alive = pass(&mut client, &mut server, flip, &mut seen);
        assert!(flip.is_none() || seen == before, "changed bytes were believed");
        if !alive || !pass(&mut server, &mut client, None, &mut seen) {
            break;
        }
    }
});
