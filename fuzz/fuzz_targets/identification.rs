//! Whatever a peer says first, in any chunks: a transport in either role ends with an error or waits for more.
#![no_main]
use std::time::Duration;

use bartizan_ssh::transport::{Algorithms, Transport};
use libfuzzer_sys::fuzz_target;

mod common;
mod transports;

fn feed(mut transport: Transport, input: &[u8]) {
    for piece in common::pieces(input) {
        let space = transport.receive_space(piece.len().max(1));
        let n = piece.len().min(space.len());
        space[..n].copy_from_slice(&piece[..n]);
        transport.received(n);
        loop {
            match transport.poll(Duration::ZERO) {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return,
            }
        }
        assert!(transport.outgoing().len() < 4 << 20, "a peer made us say too much");
    }
}

fuzz_target!(|input: &[u8]| {
    for transport in transports::pair(&Algorithms::default()) {
        feed(transport, input);
    }
});
