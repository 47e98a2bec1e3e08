//! Peers of hops in memory, moved by hand. For tests.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use bartizan_ssh::key::{HostKey, KeyKind, PrivateKey};
use bartizan_ssh::transport::{ClientConfig, ServerConfig};

use super::*;

/// A stream in memory. What was written stays until the peer takes it, and no more is taken than there is room for.
#[derive(Clone, Default)]
pub(crate) struct Wire(pub(crate) Rc<RefCell<Bytes>>);

#[derive(Default)]
pub(crate) struct Bytes {
    pub(crate) to_hop: Vec<u8>,
    pub(crate) from_hop: Vec<u8>,
}

/// What a socket keeps for a peer that does not read.
const ROOM: usize = 64 * 1024;

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let bytes = &mut self.0.borrow_mut().to_hop;
        if bytes.is_empty() {
            return Poll::Pending;
        }
        let n = bytes.len().min(buf.remaining());
        buf.put_slice(&bytes[..n]);
        bytes.drain(..n);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let bytes = &mut self.0.borrow_mut().from_hop;
        let n = buf.len().min(ROOM.saturating_sub(bytes.len()));
        bytes.extend_from_slice(&buf[..n]);
        if n == 0 { Poll::Pending } else { Poll::Ready(Ok(n)) }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The far end of a hop.
pub(crate) struct Peer {
    pub(crate) transport: Transport,
    pub(crate) wire: Wire,
    /// Payloads that came.
    pub(crate) got: Vec<Vec<u8>>,
}

impl Peer {
    pub(crate) fn new(transport: Transport) -> Self {
        Self { transport, wire: Wire::default(), got: Vec::new() }
    }

    pub(crate) fn sends(&mut self, payload: &[u8]) {
        self.transport.send(payload).unwrap();
        self.speaks();
    }

    /// Writes what waits, and reads nothing. True when something was written.
    pub(crate) fn speaks(&mut self) -> bool {
        let bytes = self.transport.outgoing();
        self.wire.0.borrow_mut().to_hop.extend_from_slice(bytes);
        let n = bytes.len();
        self.transport.sent(n);
        n > 0
    }

    /// Reads what came, and answers. True when something moved.
    pub(crate) fn acts(&mut self) -> bool {
        let bytes = std::mem::take(&mut self.wire.0.borrow_mut().from_hop);
        feed(&mut self.transport, &bytes);
        while let Some(incoming) = self.transport.poll(Duration::ZERO).unwrap() {
            if let Incoming::Packet(payload) = incoming {
                self.got.push(payload.to_vec());
            }
        }
        self.speaks() | !bytes.is_empty()
    }
}

fn feed(transport: &mut Transport, bytes: &[u8]) {
    transport.receive_space(bytes.len())[..bytes.len()].copy_from_slice(bytes);
    transport.received(bytes.len());
}

/// The client's and the server's end of a connection, its first exchange complete and the client authenticated.
pub(crate) fn established() -> (Transport, Transport) {
    let (mut client, mut server) = strangers();
    // What a server says of a client that is authenticated.
    server.send(&[52]).unwrap();
    let success = server.outgoing().to_vec();
    server.sent(success.len());
    feed(&mut client, &success);
    assert!(matches!(client.poll(Duration::ZERO), Ok(Some(Incoming::Packet([52])))));
    (client, server)
}

/// The same, and the client not authenticated.
pub(crate) fn strangers() -> (Transport, Transport) {
    let host_key = HostKey::new(PrivateKey::generate(KeyKind::Ed25519).unwrap());
    let mut client = Transport::client(Arc::new(ClientConfig::default()), Duration::ZERO).unwrap();
    let mut server = Transport::server(Arc::new(ServerConfig::new(vec![host_key])), Duration::ZERO).unwrap();
    loop {
        let mut moved = false;
        for (from, to) in [(0, 1), (1, 0)] {
            let ends = [&mut client, &mut server];
            let bytes = ends[from].outgoing().to_vec();
            ends[from].sent(bytes.len());
            feed(ends[to], &bytes);
            moved |= !bytes.is_empty();
            while let Some(incoming) = ends[to].poll(Duration::ZERO).unwrap() {
                if let Incoming::HostKey(_) = incoming {
                    ends[to].accept_host_key().unwrap();
                }
            }
        }
        if !moved {
            return (client, server);
        }
    }
}
