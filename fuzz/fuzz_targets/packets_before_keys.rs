//! Packets in the clear, framed rightly, in any order: KEXINIT, key exchange, NEWKEYS, anything.
#![no_main]
use std::time::Duration;

use bartizan_ssh::transport::{Algorithms, Transport};
use libfuzzer_sys::fuzz_target;

mod common;
mod transports;

/// RFC 4253 §6 without encryption: length, padding length, payload, padding.
fn framed(payload: &[u8]) -> Vec<u8> {
    let padding = 8 - (payload.len() + 5) % 8 + if (payload.len() + 5) % 8 > 4 { 8 } else { 0 };
    let mut packet = ((payload.len() + padding + 1) as u32).to_be_bytes().to_vec();
    packet.push(padding as u8);
    packet.extend_from_slice(payload);
    packet.resize(packet.len() + padding, 0);
    packet
}

fn receive(transport: &mut Transport, bytes: &[u8]) -> bool {
    let space = transport.receive_space(bytes.len());
    let n = bytes.len().min(space.len());
    space[..n].copy_from_slice(&bytes[..n]);
    transport.received(n);
    loop {
        match transport.poll(Duration::ZERO) {
            Ok(Some(_)) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

fuzz_target!(|input: &[u8]| {
    for mut transport in transports::pair(&Algorithms::default()) {
        if !receive(&mut transport, b"SSH-2.0-fuzz\r\n") {
            continue;
        }
        for piece in common::pieces(input) {
            if !receive(&mut transport, &framed(piece)) {
                break;
            }
        }
    }
});
