//! What a session knows of one channel, while it is open and when it is over.

use std::time::Duration;

use bartizan_model::event::Body;
use bartizan_record::ChannelDigests;
use bartizan_ssh::connection::relay::ChannelKey;

use super::programs::Program;
use super::requests::Asks;

/// One channel as the session knows it.
pub(super) struct Channel {
    pub(super) key: ChannelKey,
    pub(super) kind: String,
    pub(super) pty: bool,
    pub(super) program: Program,
    pub(super) asks: Asks,
    /// Asked for, not answered yet.
    pub(super) pty_wanted: Option<(Vec<u8>, u32, u32)>,
    pub(super) opened: Duration,
    pub(super) exit_status: Option<u32>,
    pub(super) exit_signal: Option<String>,
}

impl Channel {
    /// One that opens now.
    pub(super) fn new(key: ChannelKey, kind: String, opened: Duration) -> Self {
        Self {
            key,
            kind,
            pty: false,
            program: Program::None,
            asks: Asks::default(),
            pty_wanted: None,
            opened,
            exit_status: None,
            exit_signal: None,
        }
    }

    /// A terminal is there, or was asked for.
    pub(super) fn has_pty(&self) -> bool {
        self.pty || self.pty_wanted.is_some()
    }
}

/// A channel that is over: its event follows when the recorder has its digests.
pub(in crate::relay) struct Closing {
    pub(in crate::relay) channel: u32,
    pub(super) kind: String,
    pub(super) exit_status: Option<u32>,
    pub(super) exit_signal: Option<String>,
    pub(super) duration: Duration,
}

impl Closing {
    /// The event that the digests complete.
    pub(in crate::relay) fn event(self, digests: ChannelDigests) -> Body {
        Body::ChannelClose {
            channel: self.channel,
            kind: self.kind,
            input: digests.input,
            output: digests.output,
            error: digests.error,
            exit_status: self.exit_status,
            exit_signal: self.exit_signal,
            duration_us: u64::try_from(self.duration.as_micros()).unwrap_or(u64::MAX),
        }
    }
}
