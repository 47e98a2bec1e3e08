//! Whatever a peer says first, in any chunks: a transport in either role ends with an error or waits for more.
#![no_main]
use std::sync::Arc;
use std::time::Duration;

use bartizan_ssh::key::{HostKey, PrivateKey};
use bartizan_ssh::transport::{ClientConfig, ServerConfig, Transport};
use libfuzzer_sys::fuzz_target;

mod common;

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
    let key = PrivateKey::derive_ed25519(&[1; 32], b"fuzz").unwrap();
    let config = Arc::new(ServerConfig::new(vec![HostKey::new(key)]));
    feed(Transport::server(config, Duration::ZERO).unwrap(), input);
    feed(Transport::client(Arc::new(ClientConfig::default()), Duration::ZERO).unwrap(), input);
});
