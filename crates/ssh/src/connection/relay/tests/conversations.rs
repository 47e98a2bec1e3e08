//! Two models of ends converse at random through a relay, with delays on every way.

use super::super::*;
use super::rig::*;
use crate::connection::model::{Dice, Peer, Wish, any_message};
use crate::wire::connection::*;
use proptest::prelude::*;
use std::collections::VecDeque;

/// A relay between two models, with packets in flight on the four ways.
struct World {
    rig: Rig,
    dice: Dice,
    ends: PerSide<Peer>,
    /// From an end to the relay.
    inbound: PerSide<VecDeque<Vec<u8>>>,
    /// From the relay to an end.
    outbound: PerSide<VecDeque<Vec<u8>>>,
    /// Everything that an end sent, and that it received, in order.
    said: PerSide<Vec<Vec<u8>>>,
    heard: PerSide<Vec<Vec<u8>>>,
}

impl World {
    fn new(seed: u64, wishes: &[Wish]) -> Self {
        Self {
            rig: Rig::new(),
            dice: Dice(seed),
            ends: PerSide {
                client: Peer::new(Side::Client, wishes),
                target: Peer::new(Side::Target, wishes),
            },
            inbound: PerSide::default(),
            outbound: PerSide::default(),
            said: PerSide::default(),
            heard: PerSide::default(),
        }
    }

    /// One thing happens somewhere.
    fn step(&mut self, winding_up: bool) {
        let side = self.dice.pick(&Side::BOTH);
        match self.dice.below(4) {
            0 => {
                let end = &mut self.ends[side];
                let said = if winding_up { end.wind_up(&mut self.dice) } else { end.act(&mut self.dice) };
                if let Some(payload) = said {
                    self.said[side].push(payload.clone());
                    self.inbound[side].push_back(payload);
                }
            }
            1 => self.relay_one(side),
            2 => {
                if self.rig.relay.is_held(side) {
                    self.rig.release(side);
                }
            }
            _ => {
                if let Some(payload) = self.outbound[side].pop_front() {
                    self.ends[side].receive(&payload);
                    self.heard[side].push(payload);
                }
            }
        }
        self.collect();
    }

    fn relay_one(&mut self, side: Side) {
        if self.rig.relay.is_held(side) {
            return;
        }
        if let Some(payload) = self.inbound[side].pop_front() {
            let Rig { relay, host, out } = &mut self.rig;
            let result = relay.on_packet(side, &payload, host, out);
            assert!(result.is_ok(), "{side}: {:?}: {result:?}", Message::parse(&payload));
        }
    }

    fn collect(&mut self) {
        for (side, payload) in std::mem::take(&mut self.rig.out.0) {
            self.outbound[side].push_back(payload);
        }
    }

    /// Both ends close everything; what is in flight arrives.
    fn wind_up(&mut self) {
        // One step in eight delivers a packet of a given way, and what was injected may be in flight in
        // tens of thousands of one-byte packets.
        let in_flight = self.inbound.client.len() + self.inbound.target.len();
        let in_flight = in_flight + self.outbound.client.len() + self.outbound.target.len();
        for _ in 0..200_000 + 16 * in_flight {
            self.step(true);
            let quiet = |ways: &PerSide<VecDeque<_>>| ways.client.is_empty() && ways.target.is_empty();
            let settled = self.ends.client.settled() && self.ends.target.settled();
            if settled && quiet(&self.inbound) && quiet(&self.outbound) {
                assert_eq!(self.rig.relay.open_channels(), 0);
                return;
            }
        }
        panic!("the conversation never settled");
    }
}

/// What the other end is to receive for a message: the announcements less reserve and largest packet.
fn as_passed(from: Side, payload: &[u8]) -> Vec<u8> {
    let clamp = |size: u32| size.min(128 * 1024);
    match Message::parse(payload) {
        Ok(Message::ChannelOpen(open)) => {
            let window = open.initial_window_size;
            let session = from == Side::Client && open.channel_type == ChannelType::Session && window >= 8192;
            let reserve = if session { 4096.min(window / 4) } else { 0 };
            let maximum_packet_size = clamp(open.maximum_packet_size);
            let passed = ChannelOpen { initial_window_size: window - reserve, maximum_packet_size, ..open };
            Message::ChannelOpen(passed).to_payload()
        }
        Ok(Message::OpenConfirmation(confirmation)) => {
            let maximum_packet_size = clamp(confirmation.maximum_packet_size);
            Message::OpenConfirmation(OpenConfirmation { maximum_packet_size, ..confirmation }).to_payload()
        }
        _ => payload.to_vec(),
    }
}

/// A conversation under a host that refuses, swallows, holds, injects and ends channels, wound up.
fn interfered(seed: u64, steps: usize) -> World {
    let mut world = World::new(seed, &Wish::ALL);
    world.rig.host.refusal_text = "refused";
    for _ in 0..steps {
        world.step(false);
        let recent: Vec<_> = world.rig.host.keys.iter().rev().take(5).copied().collect();
        if recent.is_empty() {
            continue;
        }
        let key = world.dice.pick(&recent);
        let Rig { relay, host, out } = &mut world.rig;
        match world.dice.below(30) {
            0..=5 => {
                let length = world.dice.below(6000) as usize;
                relay.inject(key, DataKind::Data, &vec![0; length], out);
            }
            6 if world.dice.below(4) == 0 => {
                relay.terminate_channel(key, "terminated", host, out);
            }
            _ => {}
        }
        world.collect();
    }
    world.wind_up();
    world
}

/// The conversations below are worth their name: everything happens in them, and often.
#[test]
fn the_conversations_are_rich() {
    let mut sums = [0; 6];
    for seed in 0..40 {
        let world = interfered(seed, 3000);
        let Judge { heard, closed, keys, .. } = &world.rig.host;
        let count = |what: &str| heard.iter().filter(|heard| heard.contains(what)).count() as u64;
        for (sum, n) in sums.iter_mut().zip([
            keys.len() as u64,
            count(" opened"),
            count(" replied to "),
            closed.iter().map(|(_, totals)| totals.passed.client).sum(),
            closed.iter().map(|(_, totals)| totals.passed.target).sum(),
            closed.iter().map(|(_, totals)| totals.injected).sum(),
        ]) {
            *sum += n;
        }
    }
    for (sum, least) in sums.into_iter().zip([500, 150, 500, 500_000, 500_000, 50_000]) {
        assert!(sum >= least, "{sums:?}");
    }
}

/// 28,000 one-byte packets in flight are slow, not stuck.
#[test]
fn a_long_backlog_arrives() {
    interfered(17_154_469_536_514_727_400, 2547);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// With a host that passes everything, each end receives what the other sent, unchanged and in order.
    #[test]
    fn a_legal_conversation_passes_unchanged(seed in any::<u64>(), steps in 0..3000usize) {
        let mut world = World::new(seed, &[Wish::Pass(true), Wish::Pass(false)]);
        for _ in 0..steps {
            world.step(false);
        }
        world.wind_up();
        for from in Side::BOTH {
            let expected: Vec<_> = world.said[from].iter().map(|payload| as_passed(from, payload)).collect();
            // An EOF said before any program waits for one, which may never come.
            let eof = |payload: &&Vec<u8>| payload[0] != SSH_MSG_CHANNEL_EOF;
            let expected: Vec<_> = expected.iter().filter(eof).collect();
            let heard: Vec<_> = world.heard[from.other()].iter().filter(eof).collect();
            prop_assert_eq!(heard, expected);
        }
        prop_assert_eq!(world.ends.client.sent, world.ends.target.received);
        prop_assert_eq!(world.ends.target.sent, world.ends.client.received);
    }

    /// With a host that refuses, swallows, holds, injects and ends channels, both ends still see only
    /// what is legal: windows hold, replies come in order, nothing follows CLOSE.
    #[test]
    fn an_interfering_host_never_makes_us_illegal(seed in any::<u64>(), steps in 0..3000usize) {
        let world = interfered(seed, steps);
        // The model checked the windows as data came in; this, that none were counted twice or not at all.
        let totals = world.rig.host.closed.iter().map(|(_, totals)| totals);
        let counted: u64 = totals.map(|totals| totals.passed.target + totals.injected).sum();
        prop_assert_eq!(world.ends.client.received, counted);
    }

    /// After the end of everything too.
    #[test]
    fn both_ends_understand_the_end(seed in any::<u64>(), steps in 0..2000usize, after in 0..500usize) {
        let mut world = World::new(seed, &Wish::ALL);
        for _ in 0..steps {
            world.step(false);
        }
        for side in Side::BOTH {
            world.ends[side].any_reply = true;
        }
        let Rig { relay, host, out } = &mut world.rig;
        relay.terminate("the session ends", host, out);
        host.held = PerSide::default();
        world.collect();
        for _ in 0..after {
            world.step(false);
        }
        world.wind_up();
    }

    /// And a client whose target is gone.
    #[test]
    fn a_client_understands_the_loss_of_its_target(seed in any::<u64>(), steps in 0..2000usize) {
        let mut world = World::new(seed, &Wish::ALL);
        for _ in 0..steps {
            world.step(false);
        }
        world.ends.client.any_reply = true;
        let Rig { relay, host, out } = &mut world.rig;
        relay.lost_target(host, out);
        host.held = PerSide::default();
        world.collect();
        while let Some(payload) = world.inbound.client.pop_front() {
            let Rig { relay, host, out } = &mut world.rig;
            prop_assert!(relay.on_packet(Side::Client, &payload, host, out).is_ok());
            world.collect();
        }
        while let Some(payload) = world.outbound.client.pop_front() {
            world.ends.client.receive(&payload);
        }
    }

    /// Anything at all in the middle of a conversation: an error or an answer, never a panic.
    #[test]
    fn anything_else_is_an_error_or_harmless(
        seed in any::<u64>(),
        steps in 0..500usize,
        from_client in any::<bool>(),
        number in prop_oneof![80..=82u8, 90..=100u8, any::<u8>()],
        channel in prop_oneof![(0..6u32).prop_map(|n| n * 1000), any::<u32>()],
        body in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let mut world = World::new(seed, &Wish::ALL);
        for _ in 0..steps {
            world.step(false);
        }
        let side = if from_client { Side::Client } else { Side::Target };
        let mut payload = vec![number];
        payload.extend(channel.to_be_bytes());
        payload.extend(&body);
        let Rig { relay, host, out } = &mut world.rig;
        let before = out.0.len();
        match relay.on_packet(side, &payload, host, out) {
            Ok(_) => {
                let message = Message::parse(&payload);
                prop_assert!(message.is_ok());
            }
            Err(_) => prop_assert_eq!(out.0.len(), before, "an error sends nothing"),
        }
    }

    /// Whatever one end says, the other is told only what is legal, also in the ending that follows.
    #[test]
    fn a_hostile_end_cannot_make_us_illegal_to_the_other(
        seed in any::<u64>(),
        steps in 0..1000usize,
        hostile_client in any::<bool>(),
    ) {
        let mut world = World::new(seed, &Wish::ALL);
        for _ in 0..steps {
            world.step(false);
        }
        let hostile = if hostile_client { Side::Client } else { Side::Target };
        let honest = hostile.other();
        world.ends[honest].any_reply = true;
        let mut violated = false;
        for _ in 0..2000 {
            match world.dice.below(5) {
                0 if !violated => {
                    let payload = any_message(&mut world.dice);
                    if !world.rig.relay.is_held(hostile) {
                        let Rig { relay, host, out } = &mut world.rig;
                        violated = relay.on_packet(hostile, &payload, host, out).is_err();
                        if violated {
                            relay.terminate("the other end broke the protocol", host, out);
                            host.held = PerSide::default();
                        }
                    }
                }
                1 => world.relay_one(honest),
                2 => {
                    let said = world.ends[honest].act(&mut world.dice);
                    world.inbound[honest].extend(said);
                }
                3 => {
                    let side = world.dice.pick(&Side::BOTH);
                    if world.rig.relay.is_held(side) {
                        world.rig.release(side);
                    }
                }
                _ => {
                    if let Some(payload) = world.outbound[honest].pop_front() {
                        world.ends[honest].receive(&payload);
                    }
                }
            }
            world.collect();
        }
    }
}
