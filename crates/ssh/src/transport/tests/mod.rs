//! Two transports back to back, moved by hand.

mod bytes;
mod handshake;
mod raw;
mod rekeying;
mod states;
mod timing;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use super::*;
use crate::key::{HostKey, KeyKind, PrivateKey};

const NOW: Duration = Duration::from_secs(1_000);

static ED25519: LazyLock<HostKey> =
    LazyLock::new(|| HostKey::new(PrivateKey::generate(KeyKind::Ed25519).unwrap()));

/// What `poll` gave, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    HostKey,
    Established,
    Rekeyed,
    Packet(Vec<u8>),
    Pong(Vec<u8>),
    Disconnect(u32),
}

fn server_config() -> ServerConfig {
    ServerConfig::new(vec![ED25519.clone()])
}

fn server(config: ServerConfig) -> Transport {
    Transport::server(Arc::new(config), NOW).unwrap()
}

fn client(config: ClientConfig) -> Transport {
    Transport::client(Arc::new(config), NOW).unwrap()
}

fn algorithms(kex: KexMethod, cipher: Cipher, mac: Mac) -> Algorithms {
    Algorithms { kex: vec![kex], ciphers: vec![cipher], macs: vec![mac] }
}

fn feed(to: &mut Transport, bytes: &[u8]) {
    to.receive_space(bytes.len())[..bytes.len()].copy_from_slice(bytes);
    to.received(bytes.len());
}

fn take_outgoing(from: &mut Transport) -> Vec<u8> {
    let bytes = from.outgoing().to_vec();
    from.sent(bytes.len());
    bytes
}

/// Polls until nothing more comes; host keys are accepted.
fn drain(end: &mut Transport) -> Result<Vec<Seen>, TransportError> {
    let mut seen = Vec::new();
    while let Some(incoming) = end.poll(NOW)? {
        let one = match incoming {
            Incoming::HostKey(_) => Seen::HostKey,
            Incoming::Established => Seen::Established,
            Incoming::Rekeyed => Seen::Rekeyed,
            Incoming::Packet(payload) => Seen::Packet(payload.to_vec()),
            Incoming::Pong(data) => Seen::Pong(data.to_vec()),
            Incoming::Disconnect { reason, .. } => Seen::Disconnect(reason),
        };
        let ended = matches!(one, Seen::Disconnect(_));
        let host_key = one == Seen::HostKey;
        seen.push(one);
        if ended {
            break;
        }
        if host_key {
            end.accept_host_key()?;
        }
    }
    Ok(seen)
}

/// Moves bytes both ways until nothing moves; returns what client and server saw.
fn pump(client: &mut Transport, server: &mut Transport) -> (Vec<Seen>, Vec<Seen>) {
    let (mut at_client, mut at_server) = (Vec::new(), Vec::new());
    loop {
        let up = take_outgoing(client);
        feed(server, &up);
        at_server.extend(drain(server).unwrap());
        let down = take_outgoing(server);
        feed(client, &down);
        at_client.extend(drain(client).unwrap());
        if up.is_empty() && down.is_empty() {
            return (at_client, at_server);
        }
    }
}

fn established_with(client_config: ClientConfig, server_config: ServerConfig) -> (Transport, Transport) {
    let (mut client, mut server) = (client(client_config), server(server_config));
    let (at_client, at_server) = pump(&mut client, &mut server);
    assert_eq!(at_client, [Seen::HostKey, Seen::Established]);
    assert_eq!(at_server, [Seen::Established]);
    (client, server)
}

fn established() -> (Transport, Transport) {
    established_with(ClientConfig::default(), server_config())
}

/// A connection-layer payload that is easy to recognise.
fn payload(number: u32, len: usize) -> Vec<u8> {
    let mut bytes = vec![94];
    bytes.extend(number.to_be_bytes());
    bytes.extend((0..len).map(|i| (i as u32 ^ number) as u8));
    bytes
}
