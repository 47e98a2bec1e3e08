//! Random conversations: an endpoint with a model that accepts nothing illegal, and two endpoints whose bytes must agree.

use super::super::*;
use crate::connection::model::{Dice, Peer, Wish, wish_of, wish_of_global};
use crate::connection::relay::{self, Relay, RelayHost, RelayLimits, Side};
use crate::connection::{ChannelKey, DataKind};
use crate::wire::connection::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};

/// An owner that does at random what an owner may, and keeps the bytes of each channel.
struct Owner {
    endpoint: Endpoint,
    out: Vec<Vec<u8>>,
    asked: Vec<ChannelKey>,
    channels: BTreeMap<ChannelKey, Streams>,
    owed: VecDeque<bool>,
    /// Streams of channels that are over.
    finished: Vec<Streams>,
}

#[derive(Default)]
struct Streams {
    owed: VecDeque<bool>,
    unconsumed: usize,
    sent: Vec<u8>,
    received: Vec<u8>,
    peer_eof: bool,
    eof: bool,
}

impl Owner {
    fn new(window: u32, maximum_packet: u32) -> Self {
        let config = EndpointConfig { window, maximum_packet, max_channels: 8, max_pending_replies: 1000 };
        Self {
            endpoint: Endpoint::new(config),
            out: Vec::new(),
            asked: Vec::new(),
            channels: BTreeMap::new(),
            owed: VecDeque::new(),
            finished: Vec::new(),
        }
    }

    fn hear(&mut self, payload: &[u8]) {
        let event = self.endpoint.on_packet(payload, &mut self.out);
        match event.unwrap_or_else(|error| panic!("{:?}: {error}", Message::parse(payload))) {
            None | Some(EndpointEvent::Writable { .. } | EndpointEvent::RequestReply { .. }) => {}
            Some(EndpointEvent::GlobalReply { .. } | EndpointEvent::OpenFailed { .. }) => {}
            Some(EndpointEvent::Open { channel, .. }) => self.asked.push(channel),
            Some(EndpointEvent::Opened { channel }) => {
                self.channels.insert(channel, Streams::default());
            }
            Some(EndpointEvent::Request { channel, request_type, want_reply }) => {
                if want_reply {
                    self.of(channel).owed.push_back(wish_of(&request_type).reply());
                }
            }
            Some(EndpointEvent::GlobalRequest { request_type, want_reply }) => {
                if want_reply {
                    self.owed.push_back(wish_of_global(&request_type).reply());
                }
            }
            Some(EndpointEvent::Data { channel, bytes, .. }) => {
                let streams = self.of(channel);
                assert!(!streams.peer_eof);
                streams.received.extend(bytes);
                streams.unconsumed += bytes.len();
            }
            Some(EndpointEvent::Eof { channel }) => self.of(channel).peer_eof = true,
            Some(EndpointEvent::Closed { channel }) => {
                self.finished.extend(self.channels.remove(&channel));
            }
        }
    }

    fn of(&mut self, channel: ChannelKey) -> &mut Streams {
        self.channels.get_mut(&channel).expect("events name channels that are open")
    }

    fn act(&mut self, dice: &mut Dice, opens: bool) {
        let Self { endpoint, out, .. } = self;
        match dice.below(12) {
            0 if opens => drop(endpoint.open(&ChannelType::AuthAgent, out)),
            1 => {
                if let Some(key) = self.asked.pop() {
                    if dice.below(6) == 0 {
                        endpoint.refuse(key, OpenFailureReason::CONNECT_FAILED, "no", out).unwrap();
                    } else {
                        endpoint.confirm(key, out).unwrap();
                        self.channels.insert(key, Streams::default());
                    }
                }
            }
            2 => {
                let wish = dice.pick(&[Wish::Pass(true), Wish::Pass(false)]);
                let data = wish.text().as_bytes();
                let request_type = GlobalRequestType::Unknown { name: "x@example.com", data };
                endpoint.global_request(&request_type, dice.below(2) == 0, out);
            }
            3 => {
                if let Some(ok) = self.owed.pop_front() {
                    assert!(endpoint.reply_global(ok.then_some(b"yes"), out));
                }
            }
            _ => self.act_on_channel(dice),
        }
    }

    fn act_on_channel(&mut self, dice: &mut Dice) {
        let chosen = dice.below(self.channels.len().max(1) as u64) as usize;
        let Some((&key, streams)) = self.channels.iter_mut().nth(chosen) else { return };
        let Self { endpoint, out, .. } = self;
        match dice.below(10) {
            0 if dice.below(8) == 0 => {
                // A channel that we closed is heard of once more; what comes until then is dropped.
                let _ = endpoint.close(key, out);
            }
            1 if dice.below(4) == 0 => streams.eof |= endpoint.eof(key, out).is_ok(),
            2 => {
                let data = dice.pick(&[Wish::Pass(true), Wish::Pass(false)]).text().as_bytes();
                let request_type = RequestType::Unknown { name: "x@example.com", data };
                let _ = endpoint.request(key, &request_type, dice.below(2) == 0, out);
            }
            3 | 4 => {
                if let Some(&ok) = streams.owed.front()
                    && endpoint.reply(key, ok, out).is_ok()
                {
                    streams.owed.pop_front();
                }
            }
            5 | 6 => {
                let n = dice.below(streams.unconsumed as u64 + 1) as usize;
                if endpoint.consumed(key, n, out).is_ok() {
                    streams.unconsumed -= n;
                }
            }
            _ => {
                let bytes: Vec<u8> = (0..dice.below(3000)).map(|_| dice.below(256) as u8).collect();
                if let Ok(accepted) = endpoint.data(key, DataKind::Data, &bytes, out) {
                    streams.sent.extend(&bytes[..accepted]);
                }
            }
        }
    }

    /// Consumes, answers and closes everything.
    fn wind_up(&mut self) {
        let Self { endpoint, out, .. } = self;
        for key in std::mem::take(&mut self.asked) {
            endpoint.refuse(key, OpenFailureReason::CONNECT_FAILED, "no", out).unwrap();
        }
        for ok in std::mem::take(&mut self.owed) {
            assert!(endpoint.reply_global(ok.then_some(b"yes"), out));
        }
        for &key in self.channels.keys() {
            let _ = endpoint.close(key, out);
        }
    }
}

/// Some packets of a way: a write of many small ones must not outrun the reader.
fn batch(way: &mut VecDeque<Vec<u8>>, dice: &mut Dice) -> Vec<Vec<u8>> {
    let n = dice.pick(&[1, 10, 1000]);
    way.drain(..n.min(way.len())).collect()
}

/// Passes everything.
struct Everything;

impl RelayHost for Everything {
    fn channel_open(&mut self, _: Side, _: ChannelKey, _: &ChannelOpen<'_>) -> relay::OpenVerdict {
        relay::OpenVerdict::Pass
    }
    fn channel_request(&mut self, _: Side, _: ChannelKey, _: &ChannelRequest<'_>) -> relay::RequestVerdict {
        relay::RequestVerdict::Pass
    }
    fn global_request(&mut self, _: Side, _: &GlobalRequest<'_>) -> relay::GlobalVerdict {
        relay::GlobalVerdict::Pass
    }
    fn data(&mut self, _: ChannelKey, _: Side, _: DataKind, _: &[u8]) {}
}

/// Two queues, as a relay's output.
#[derive(Default)]
struct Ways(relay::PerSide<VecDeque<Vec<u8>>>);

impl relay::Output for Ways {
    fn to(&mut self, side: Side, payload: &[u8]) {
        self.0[side].push_back(payload.to_vec());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever the owner does, a strict peer has nothing to complain of, and neither have we of it.
    #[test]
    fn a_strict_peer_finds_no_fault(seed in any::<u64>(), steps in 0..3000usize) {
        let mut dice = Dice(seed);
        let window = dice.pick(&[100, 5000, 100_000]);
        let packet = dice.pick(&[10, 1000, 32_768]);
        let mut owner = Owner::new(window, packet);
        let mut peer = Peer::new(Side::Client, &[Wish::Pass(true), Wish::Pass(false)]);
        let mut to_us: VecDeque<Vec<u8>> = VecDeque::new();
        let mut to_peer: VecDeque<Vec<u8>> = VecDeque::new();
        for step in 0..steps + 20_000 {
            let winding_up = step >= steps;
            match dice.below(4) {
                0 if winding_up => to_us.extend(peer.wind_up(&mut dice)),
                0 => to_us.extend(peer.act(&mut dice)),
                1 if winding_up => owner.wind_up(),
                1 => owner.act(&mut dice, true),
                2 => {
                    for payload in batch(&mut to_us, &mut dice) {
                        owner.hear(&payload);
                    }
                }
                _ => {
                    for payload in batch(&mut to_peer, &mut dice) {
                        peer.receive(&payload);
                    }
                }
            }
            to_peer.extend(owner.out.drain(..));
            if winding_up && to_us.is_empty() && to_peer.is_empty() && peer.settled() {
                break;
            }
        }
        prop_assert!(peer.settled());
        prop_assert_eq!(owner.endpoint.open_channels(), 0);
    }

    /// Bytes arrive as they were sent, between two endpoints with a relay between them.
    #[test]
    fn bytes_arrive_as_they_were_sent(seed in any::<u64>(), steps in 0..3000usize) {
        let mut dice = Dice(seed);
        let mut ends = relay::PerSide {
            client: Owner::new(dice.pick(&[100, 9000, 100_000]), dice.pick(&[10, 1000, 32_768])),
            target: Owner::new(dice.pick(&[100, 9000, 100_000]), dice.pick(&[10, 1000, 32_768])),
        };
        let mut relay = Relay::new(RelayLimits::default());
        let mut inbound: relay::PerSide<VecDeque<Vec<u8>>> = relay::PerSide::default();
        let mut ways = Ways::default();
        for step in 0..steps + 20_000 {
            let side = dice.pick(&Side::BOTH);
            match dice.below(3) {
                0 if step >= steps => ends[side].wind_up(),
                0 => ends[side].act(&mut dice, true),
                1 => {
                    for payload in batch(&mut inbound[side], &mut dice) {
                        let passed = relay.on_packet(side, &payload, &mut Everything, &mut ways);
                        prop_assert!(passed.is_ok(), "{:?}", passed);
                    }
                }
                _ => {
                    for payload in batch(&mut ways.0[side], &mut dice) {
                        ends[side].hear(&payload);
                    }
                }
            }
            let said = std::mem::take(&mut ends[side].out);
            inbound[side].extend(said);
            let quiet = |side| inbound[side].is_empty() && ways.0[side].is_empty() && ends[side].channels.is_empty();
            if step >= steps && relay.open_channels() == 0 && Side::BOTH.into_iter().all(quiet) {
                break;
            }
        }
        prop_assert_eq!(relay.open_channels(), 0);
        for from in Side::BOTH {
            prop_assert_eq!(ends[from].endpoint.open_channels(), 0);
            // Who closes may drop the rest: what arrived is the beginning of what was sent, and up to EOF it is all.
            for received in &ends[from.other()].finished {
                let matches = |sent: &Streams| {
                    let whole = sent.sent == received.received;
                    sent.sent.starts_with(&received.received) && (whole && sent.eof || !received.peer_eof)
                };
                let empty = received.received.is_empty() && !received.peer_eof;
                prop_assert!(empty || ends[from].finished.iter().any(matches));
            }
        }
    }
}
