//! Two hops in memory between two peers, moved by hand.

mod rekeying;

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

use bartizan_ssh::connection::ChannelKey;
use bartizan_ssh::connection::relay::{
    DataKind, GlobalVerdict, OpenVerdict, PerSide, RelayLimits, RequestVerdict,
};
use bartizan_ssh::key::{HostKey, KeyKind, PrivateKey};
use bartizan_ssh::transport::{ClientConfig, ServerConfig, Transport};
use bartizan_ssh::wire::connection::{
    ChannelOpen, ChannelRequest, GlobalRequest, GlobalRequestType, Message,
};
use tokio::io::ReadBuf;

use super::*;

/// A stream in memory. What was written stays until the peer takes it, and no more is taken than there is room for.
#[derive(Clone, Default)]
struct Wire(Rc<RefCell<Bytes>>);

#[derive(Default)]
struct Bytes {
    to_hop: Vec<u8>,
    from_hop: Vec<u8>,
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
struct Peer {
    transport: Transport,
    wire: Wire,
    /// Payloads that came.
    got: Vec<Vec<u8>>,
}

impl Peer {
    fn sends(&mut self, payload: &[u8]) {
        self.transport.send(payload).unwrap();
        self.speaks();
    }

    /// Writes what waits, and reads nothing. True when something was written.
    fn speaks(&mut self) -> bool {
        let bytes = self.transport.outgoing();
        self.wire.0.borrow_mut().to_hop.extend_from_slice(bytes);
        let n = bytes.len();
        self.transport.sent(n);
        n > 0
    }

    /// Reads what came, and answers. True when something moved.
    fn acts(&mut self) -> bool {
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

/// The client's and the server's end of a connection, its first exchange complete.
fn established() -> (Transport, Transport) {
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

/// Refuses every channel, lets everything else pass.
#[derive(Default)]
struct Owner {
    clock: Duration,
}

impl RelayHost for Owner {
    fn channel_open(&mut self, _: Side, _: ChannelKey, _: &ChannelOpen<'_>) -> OpenVerdict {
        OpenVerdict::prohibited("no")
    }

    fn channel_request(&mut self, _: Side, _: ChannelKey, _: &ChannelRequest<'_>) -> RequestVerdict {
        RequestVerdict::Pass
    }

    fn global_request(&mut self, _: Side, _: &GlobalRequest<'_>) -> GlobalVerdict {
        GlobalVerdict::Pass
    }

    fn data(&mut self, _: ChannelKey, _: Side, _: DataKind, _: &[u8]) {}
}

impl Pace for Owner {
    fn clock(&self) -> Duration {
        self.clock
    }

    fn must_pause(&self) -> bool {
        false
    }
}

struct Rig {
    peers: PerSide<Peer>,
    client: Hop<Wire>,
    target: Hop<Wire>,
    relay: Relay,
    host: Owner,
    back: Vec<Vec<u8>>,
}

impl Rig {
    fn new() -> Self {
        let (near, far) = (established(), established());
        let peer = |transport| Peer { transport, wire: Wire::default(), got: Vec::new() };
        let peers = PerSide { client: peer(near.0), target: peer(far.1) };
        let client = Hop::new(near.1, peers.client.wire.clone());
        let target = Hop::new(far.0, peers.target.wire.clone());
        let relay = Relay::new(RelayLimits::default());
        Self { peers, client, target, relay, host: Owner::default(), back: Vec::new() }
    }

    /// A turn of the relay's loop.
    fn turn(&mut self) -> Result<bool, Stop> {
        let cx = &mut Context::from_waker(Waker::noop());
        let Self { client, target, relay, host, back, .. } = self;
        let mut moved = carry(Side::Client, client, target, relay, host, back, cx)?;
        moved |= carry(Side::Target, target, client, relay, host, back, cx)?;
        rekey(client, target)?;
        moved |= relieve(client, cx).map_err(Stop::Client)?;
        moved |= relieve(target, cx).map_err(Stop::Target)?;
        Ok(moved)
    }

    /// Turns until nothing moves; the peers do nothing meanwhile.
    fn turns(&mut self) -> Result<(), Stop> {
        while self.turn()? {}
        Ok(())
    }

    /// Lets everybody act until nothing moves.
    fn settle(&mut self) {
        loop {
            self.turns().unwrap();
            let moved = Side::BOTH.map(|side| self.peers[side].acts());
            if moved == [false; 2] {
                return;
            }
        }
    }

    fn hop(&mut self, side: Side) -> &mut Hop<Wire> {
        match side {
            Side::Client => &mut self.client,
            Side::Target => &mut self.target,
        }
    }
}

/// A payload that passes.
fn passing(number: usize, length: usize) -> Vec<u8> {
    let data = [&number.to_be_bytes()[..], &vec![0; length]].concat();
    let request_type = GlobalRequestType::Unknown { name: "x@example.com", data: &data };
    Message::GlobalRequest(GlobalRequest { want_reply: false, request_type }).to_payload()
}
