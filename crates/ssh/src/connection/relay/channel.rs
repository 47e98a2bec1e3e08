//! One channel between the two ends, and the table of them.

use super::super::progress::Progress;
use super::host::{PerSide, Side, Totals};
use super::replies::Pending;
use crate::connection::ConnectionError;
use crate::connection::{ChannelKey, DataKind};
use crate::wire::connection::{ChannelKind, ChannelOpen};
use std::collections::VecDeque;

/// A channel: what each end sent and was sent.
pub(super) struct Channel {
    pub(super) key: ChannelKey,
    pub(super) kind: ChannelKind,
    pub(super) ends: PerSide<End>,
    /// Who sent `CHANNEL_OPEN`.
    pub(super) opener: Side,
    /// We ended it: nothing passes any more, only `CHANNEL_CLOSE` is awaited.
    pub(super) severed: bool,
    /// Programs (`shell`, `exec`, `subsystem`) that were passed on and did not fail.
    pub(super) programs: u32,
    /// A terminal was asked for, so text for the person needs CR before LF.
    pub(super) pty: bool,
    /// `exit-status` or `exit-signal` passed.
    pub(super) exit_seen: bool,
    /// The client's EOF came before a program was permitted, and waits for one.
    pub(super) eof_withheld: bool,
    /// For the client, and beyond its window: see [`super::edit`].
    pub(super) backlog: Backlog,
    pub(super) totals: Totals,
}

/// Data that wait for the client's window, and what must not overtake them.
#[derive(Default)]
pub(super) struct Backlog {
    pub(super) chunks: VecDeque<(DataKind, Vec<u8>)>,
    /// Bytes in all chunks.
    pub(super) length: usize,
    pub(super) eof: bool,
    pub(super) close: bool,
}

/// Our dealings with one end of a channel.
pub(super) struct End {
    /// The number that this end gave to the channel; messages *to* it carry this number.
    pub(super) number: Option<u32>,
    /// How far it has come in what it sent us.
    pub(super) sent: Progress,
    /// How far we have come in what we sent to it.
    pub(super) told: Progress,
    /// Bytes that it may still send, by what it was told.
    pub(super) window: u32,
    /// Bytes that the other end allows beyond `window`: our reserve, or what we withheld and have
    /// not credited yet. The other end's true window is always `window + kept`, and the backlog besides if
    /// that end is the client. Below 0 are bytes that we injected and that the client has not allowed for yet.
    pub(super) kept: i64,
    /// How much of `kept` the host still holds of this end's data and may yet pass on: it is not to be credited.
    pub(super) held: usize,
    /// How much of `kept` is to stay with us as the reserve for what we inject.
    pub(super) reserve: u32,
    /// The most data bytes that one packet to this end may carry.
    pub(super) maximum_packet: u32,
    /// Requests of the other end that this end has to answer, and our own answers between them.
    pub(super) replies: VecDeque<Pending>,
}

impl End {
    const fn new(sent: Progress, told: Progress) -> Self {
        let (window, kept, held, reserve, maximum_packet) = (0, 0, 0, 0, 0);
        Self {
            number: None,
            sent,
            told,
            window,
            kept,
            held,
            reserve,
            maximum_packet,
            replies: VecDeque::new(),
        }
    }

    /// Neither we nor it will say anything more about the channel.
    pub(super) fn done(&self) -> bool {
        self.sent == Progress::Closed && self.told == Progress::Closed
    }

    pub(super) const fn finish(&mut self) {
        self.sent = Progress::Closed;
        self.told = Progress::Closed;
    }
}

impl Channel {
    fn new(key: ChannelKey, opener: Side, open: &ChannelOpen<'_>) -> Self {
        let mut ends = PerSide {
            client: End::new(Progress::Unopened, Progress::Unopened),
            target: End::new(Progress::Unopened, Progress::Unopened),
        };
        ends[opener].number = Some(open.sender_channel);
        ends[opener].sent = Progress::Open;
        Self {
            key,
            kind: open.channel_type.kind(),
            ends,
            opener,
            severed: false,
            programs: 0,
            pty: false,
            exit_seen: false,
            eof_withheld: false,
            backlog: Backlog::default(),
            totals: Totals::default(),
        }
    }

    /// True for a `session` that the client opened: the kind that runs programs and shows text to a person.
    pub(super) fn is_session(&self) -> bool {
        self.kind == ChannelKind::Session && self.opener == Side::Client
    }

    /// True while what the client sends must not reach the target: no program was permitted.
    pub(super) fn withholds_from_target(&self) -> bool {
        self.is_session() && self.programs == 0
    }

    /// False for a session in which nothing ran, so that no data of the target can be missing.
    pub(super) fn may_have_data(&self) -> bool {
        !self.is_session() || self.programs > 0
    }

    pub(super) fn done(&self) -> bool {
        self.ends.client.done() && self.ends.target.done()
    }
}

/// Every channel of a relay, found by key or by the number in a message.
pub(super) struct Channels {
    slots: Vec<Option<Channel>>,
    /// Numbers that each end gave, sorted, with the slot they stand for.
    numbers: PerSide<Vec<(u32, u32)>>,
    live: usize,
    next_serial: u64,
}

impl Channels {
    pub(super) const fn new() -> Self {
        let numbers = PerSide { client: Vec::new(), target: Vec::new() };
        Self { slots: Vec::new(), numbers, live: 0, next_serial: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.live
    }

    /// Adds the channel of a `CHANNEL_OPEN`. The opener's number must not be in the table.
    pub(super) fn add(&mut self, opener: Side, open: &ChannelOpen<'_>) -> &mut Channel {
        let free = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        if free == self.slots.len() {
            self.slots.push(None);
        }
        let key = ChannelKey { serial: self.next_serial, slot: free as u32 };
        self.next_serial += 1;
        self.live += 1;
        self.claim(opener, open.sender_channel, key);
        self.slots[free].insert(Channel::new(key, opener, open))
    }

    /// Enters the number that an end gave, unless it is there for another channel.
    pub(super) fn claim(&mut self, side: Side, number: u32, key: ChannelKey) {
        let numbers = &mut self.numbers[side];
        if let Err(place) = numbers.binary_search_by_key(&number, |&(number, _)| number) {
            numbers.insert(place, (number, key.slot));
        }
    }

    /// The channel for which an end gave this number.
    pub(super) fn by_number(&mut self, side: Side, number: u32) -> Option<&mut Channel> {
        let numbers = &self.numbers[side];
        let place = numbers.binary_search_by_key(&number, |&(number, _)| number).ok()?;
        self.slots.get_mut(numbers[place].1 as usize)?.as_mut()
    }

    /// The channel that a message from `from` names by the recipient's number.
    pub(super) fn named_by(
        &mut self,
        from: Side,
        number: u32,
        message: &'static str,
    ) -> Result<&mut Channel, ConnectionError> {
        self.by_number(from.other(), number)
            // Not asked yet, it cannot know the number.
            .filter(|channel| channel.ends[from].told != Progress::Unopened)
            .ok_or(ConnectionError::UnknownChannel { message, number })
    }

    pub(super) fn by_key(&mut self, key: ChannelKey) -> Option<&mut Channel> {
        self.slots.get_mut(key.slot())?.as_mut().filter(|channel| channel.key == key)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Channel> {
        self.slots.iter_mut().flatten()
    }

    /// Removes a channel and frees its numbers.
    pub(super) fn remove(&mut self, key: ChannelKey) {
        let Some(slot) =
            self.slots.get_mut(key.slot()).filter(|slot| slot.as_ref().is_some_and(|c| c.key == key))
        else {
            return;
        };
        *slot = None;
        self.live -= 1;
        for side in Side::BOTH {
            self.numbers[side].retain(|&(_, slot)| slot != key.slot);
        }
    }

    /// Removes the channels that both ends are done with.
    pub(super) fn remove_done(&mut self) {
        let done: Vec<ChannelKey> = self.slots.iter().flatten().filter(|c| c.done()).map(|c| c.key).collect();
        for key in done {
            self.remove(key);
        }
    }
}
