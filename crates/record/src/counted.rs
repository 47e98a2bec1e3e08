//! Channels whose cap is reached: from there on nothing is kept, bytes are only counted and digested.
//!
//! Such bytes need not go to the writer. It hands the channel's accounts over to the session's inbox, and the relay's
//! thread digests what passes where it already is in the cache: no copy, no wake-up, unless it is long and goes beside
//! ([`bartizan_model::LongDigest`]). The writer takes the accounts back
//! when the channel gets a terminal or closes.

use std::collections::BTreeMap;

use bartizan_model::Beside;

use crate::Stream;
use crate::digest::StreamDigest;

/// A channel's accounts, by stream.
pub(crate) type Accounts = [StreamDigest; 3];

/// The accounts that one session's inbox holds.
#[derive(Default)]
pub(crate) struct Counted {
    channels: BTreeMap<u32, Box<Entry>>,
}

struct Entry {
    accounts: Accounts,
    /// The channel closes or gets a terminal: what comes next goes to the writer, after that.
    ended: bool,
}

impl Counted {
    pub(crate) fn insert(&mut self, channel: u32, accounts: Accounts) {
        self.channels.insert(channel, Box::new(Entry { accounts, ended: false }));
    }

    pub(crate) fn remove(&mut self, channel: u32) -> Option<Accounts> {
        self.channels.remove(&channel).map(|entry| entry.accounts)
    }

    /// Lets no more be counted here.
    pub(crate) fn end(&mut self, channel: u32) {
        if let Some(entry) = self.channels.get_mut(&channel) {
            entry.ended = true;
        }
    }

    /// Counts and digests bytes; false when the writer has this channel's accounts, or is about to.
    pub(crate) fn count(
        &mut self,
        channel: u32,
        stream: Stream,
        bytes: &[u8],
        beside: Option<Beside>,
    ) -> bool {
        match self.channels.get_mut(&channel) {
            Some(entry) if !entry.ended => {
                entry.accounts[stream as usize].passed.update(bytes, beside);
                true
            }
            _ => false,
        }
    }
}
