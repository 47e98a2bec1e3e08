//! Two hops in memory between two peers, moved by hand.

mod flooding;
mod rekeying;

use std::task::Waker;

use bartizan_ssh::connection::ChannelKey;
use bartizan_ssh::connection::relay::{
    DataKind, GlobalVerdict, OpenVerdict, PerSide, RelayLimits, RequestVerdict,
};
use bartizan_ssh::wire::connection::{
    ChannelOpen, ChannelRequest, GlobalRequest, GlobalRequestType, Message,
};

use super::*;
use crate::hop::rig::{Peer, Wire, established};

/// Refuses every channel, lets everything else pass.
#[derive(Default)]
struct Owner {
    clock: Duration,
}

impl RelayHost for Owner {
    fn channel_open(&mut self, _: Side, _: ChannelKey, _: &ChannelOpen<'_>) -> OpenVerdict {
        OpenVerdict::prohibited("no such channels here, ".repeat(5))
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
        let peers = PerSide { client: Peer::new(near.0), target: Peer::new(far.1) };
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
        moved |= rekey(client, target, host.clock)?;
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
