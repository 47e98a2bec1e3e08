//! A channel that ends here, and the table of them.

use super::super::progress::Progress;
use crate::connection::{ChannelKey, ConnectionError};
use crate::wire::connection::RequestKind;
use std::collections::VecDeque;

/// One channel.
pub(super) struct Channel {
    pub(super) key: ChannelKey,
    /// The peer's number; `None` until it confirms a channel of ours.
    pub(super) peer_number: Option<u32>,
    /// How far the peer has come in what it sent.
    pub(super) peer: Progress,
    /// How far we have come in what we sent.
    pub(super) own: Progress,
    /// The owner closed it before the peer had answered: to be closed once it confirms.
    pub(super) given_up: bool,
    /// Bytes that the peer may still send.
    pub(super) window_in: u32,
    /// Bytes handed to the owner and not consumed yet.
    pub(super) unconsumed: u32,
    /// Bytes consumed and not credited to the peer yet.
    pub(super) uncredited: u32,
    /// Bytes that we may still send.
    pub(super) window_out: u32,
    /// The most data bytes that one packet to the peer may carry.
    pub(super) maximum_packet_out: u32,
    /// The owner has more to send than the window let it.
    pub(super) blocked: bool,
    /// Requests of the peer that we owe a reply.
    pub(super) owed: usize,
    /// Our requests that the peer owes a reply.
    pub(super) awaited: VecDeque<RequestKind>,
}

impl Channel {
    pub(super) const fn is_live(&self) -> bool {
        matches!(self.own, Progress::Open | Progress::Eof)
    }
}

/// Every channel, by our own number, which is its slot.
pub(super) struct Channels {
    slots: Vec<Option<Channel>>,
    live: usize,
    next_serial: u64,
}

impl Channels {
    pub(super) const fn new() -> Self {
        Self { slots: Vec::new(), live: 0, next_serial: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.live
    }

    /// Adds a channel under the lowest free number.
    pub(super) fn add(&mut self, peer_number: Option<u32>, window_in: u32) -> &mut Channel {
        let free = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        if free == self.slots.len() {
            self.slots.push(None);
        }
        let key = ChannelKey { serial: self.next_serial, slot: free as u32 };
        self.next_serial += 1;
        self.live += 1;
        self.slots[free].insert(Channel {
            key,
            peer_number,
            peer: Progress::Unopened,
            own: Progress::Unopened,
            given_up: false,
            window_in,
            unconsumed: 0,
            uncredited: 0,
            window_out: 0,
            maximum_packet_out: 0,
            blocked: false,
            owed: 0,
            awaited: VecDeque::new(),
        })
    }

    /// The channel that a message of the peer names by our number.
    pub(super) fn named(
        &mut self,
        number: u32,
        message: &'static str,
    ) -> Result<&mut Channel, ConnectionError> {
        self.slots
            .get_mut(number as usize)
            .and_then(Option::as_mut)
            // It was not confirmed yet, so the peer cannot know the number.
            .filter(|channel| channel.own != Progress::Unopened)
            .ok_or(ConnectionError::UnknownChannel { message, number })
    }

    pub(super) fn by_key(&self, key: ChannelKey) -> Option<&Channel> {
        self.slots.get(key.slot())?.as_ref().filter(|channel| channel.key == key)
    }

    pub(super) fn by_key_mut(&mut self, key: ChannelKey) -> Option<&mut Channel> {
        self.slots.get_mut(key.slot())?.as_mut().filter(|channel| channel.key == key)
    }

    pub(super) fn peer_uses(&self, number: u32) -> bool {
        self.slots.iter().flatten().any(|channel| channel.peer_number == Some(number))
    }

    pub(super) fn remove(&mut self, key: ChannelKey) {
        if let Some(slot) =
            self.slots.get_mut(key.slot()).filter(|s| s.as_ref().is_some_and(|c| c.key == key))
        {
            *slot = None;
            self.live -= 1;
        }
    }
}
