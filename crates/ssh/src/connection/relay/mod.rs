//! Relay mode: one client connection and one target connection, and messages that pass between them.
//!
//! ```text
//!            payload                        the same payload
//!   client ────────────► Relay::on_packet ────────────────────► target
//!          ◄────────────       │  ▲        ◄────────────────────
//!                    judge,    ▼  │ verdict
//!                    hear    RelayHost
//! ```
//!
//! **Windows are end to end.** `WINDOW_ADJUST` passes through, so what the slower end does not read,
//! the faster end may not send, and nothing piles up here. Six messages are changed on the way:
//! - `CHANNEL_OPEN` of a client's session announces its window less a *reserve* of up to 4 KiB, out of
//!   which we can put text into the channel ([`Relay::inject`]). Adjustments fill the reserve up first.
//! - `CHANNEL_OPEN` and its confirmation announce at most [`RelayLimits::maximum_packet`], so that
//!   no end sends packets that our transports refuse.
//! - `WINDOW_ADJUST` from us credits an end for data that we withheld.
//! - Data of a session channel that its host changes ([`RelayHost::edit_data`]).
//! - `CHANNEL_REQUEST` that its host wants confirmed asks for a reply ([`RequestVerdict::Confirm`]).
//!
//! **Replies keep their order**, although some requests are answered by the other end and some by
//! us: one queue per channel and one per connection, in each direction.
//!
//! **Withheld, not passed:** what a client sends on a session before a `shell`, `exec` or
//! `subsystem` was permitted, and everything on a channel after we ended it.
//!
//! What one end may legally have in flight when the other closes is passed like anything else; the
//! end that closed ignores it, as it would without us.
//!
//! **Stricter than RFC 4254 nowhere, more lenient twice:** a second EOF is dropped, and so is a
//! `WINDOW_ADJUST` for a channel that does not exist any more. Real peers send both. Any other message
//! that the state of its channel does not accept ends the connection.
//!
//! ```
//! use bartizan_ssh::connection::relay::*;
//! use bartizan_ssh::wire::connection::{ChannelOpen, ChannelRequest, ChannelType, GlobalRequest, Message};
//!
//! /// Permits sessions and nothing else.
//! struct SessionsOnly;
//! impl RelayHost for SessionsOnly {
//!     fn channel_open(&mut self, _: Side, _: ChannelKey, open: &ChannelOpen<'_>) -> OpenVerdict {
//!         match open.channel_type {
//!             ChannelType::Session => OpenVerdict::Pass,
//!             _ => OpenVerdict::prohibited("only sessions are permitted"),
//!         }
//!     }
//!     fn channel_request(&mut self, _: Side, _: ChannelKey, _: &ChannelRequest<'_>) -> RequestVerdict {
//!         RequestVerdict::Pass
//!     }
//!     fn global_request(&mut self, _: Side, _: &GlobalRequest<'_>) -> GlobalVerdict {
//!         GlobalVerdict::Refuse
//!     }
//!     fn data(&mut self, _: ChannelKey, _: Side, _: DataKind, _: &[u8]) {}
//! }
//!
//! struct Sent(Vec<(Side, Vec<u8>)>);
//! impl Output for Sent {
//!     fn to(&mut self, side: Side, payload: &[u8]) {
//!         self.0.push((side, payload.to_vec()));
//!     }
//! }
//!
//! let open = |channel_type| {
//!     Message::ChannelOpen(ChannelOpen {
//!         channel_type,
//!         sender_channel: 0,
//!         initial_window_size: 2 << 20,
//!         maximum_packet_size: 32 << 10,
//!     })
//! };
//! let mut relay = Relay::new(RelayLimits::default());
//! let mut out = Sent(Vec::new());
//! let x11 = open(ChannelType::X11 { originator_address: b"::1", originator_port: 6000 });
//! relay.on_packet(Side::Client, &x11.to_payload(), &mut SessionsOnly, &mut out)?;
//! assert_eq!(out.0[0].0, Side::Client, "refused in place");
//! relay.on_packet(Side::Client, &open(ChannelType::Session).to_payload(), &mut SessionsOnly, &mut out)?;
//! assert_eq!(out.0[1].0, Side::Target, "passed on");
//! # Ok::<(), RelayError>(())
//! ```

mod channel;
mod edit;
mod ending;
mod flow;
mod global;
mod host;
mod open;
mod replies;
mod request;

pub use super::{ChannelKey, DataKind};
pub use host::{
    DataEdit, DataVerdict, GlobalVerdict, OpenVerdict, Output, PerSide, Refusal, RelayHost, RequestVerdict,
    Side, Totals,
};

use super::ConnectionError;
use crate::wire::connection::{Message, MessageError};
use channel::Channels;
use replies::GlobalQueue;

/// The bounds of a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayLimits {
    /// Channels open at the same time, of both ends together; more are refused. 1,000 by default.
    pub max_channels: usize,
    /// Requests without a reply, on one channel or of the connection, in one direction; more end the
    /// connection. 1,000 by default.
    pub max_pending_replies: usize,
    /// Bytes of a client's window that are kept for [`Relay::inject`]: 4 KiB by default, never more than a
    /// quarter of the window, so that a client which adjusts late is not starved, and none below 8 KiB.
    pub reserve: u32,
    /// The most data bytes in one packet that we let an end announce: 128 KiB by default, half of what
    /// our transports accept.
    pub maximum_packet: u32,
}

impl RelayLimits {
    /// The reserve taken out of a session's initial window.
    const fn reserve_of(&self, window: u32) -> u32 {
        match window {
            0..8192 => 0,
            _ if self.reserve > window / 4 => window / 4,
            _ => self.reserve,
        }
    }
}

impl Default for RelayLimits {
    fn default() -> Self {
        Self { max_channels: 1000, max_pending_replies: 1000, reserve: 4096, maximum_packet: 128 * 1024 }
    }
}

/// What the owner does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Flow {
    /// Feeds the next packet.
    Continue,
    /// Feeds no packet of this end until the verdict was given by one of the `release` methods. The
    /// held message was copied; the other end goes on.
    Held,
}

/// Why a packet could not be relayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelayError {
    /// An end broke the protocol: its connection ends with [`ConnectionError::disconnect_reason`].
    #[error("{from}: {error}")]
    Violation {
        /// Whose fault.
        from: Side,
        /// What it did.
        error: ConnectionError,
    },
    /// A message number that nobody knows: that end is sent `SSH_MSG_UNIMPLEMENTED`, and all goes on.
    #[error("{from}: message {number} is not of the connection protocol")]
    Unimplemented {
        /// Who sent it.
        from: Side,
        /// The message number.
        number: u8,
    },
    /// The owner called what it must not call now; nothing has changed.
    #[error("relay misused: {0}")]
    Misused(&'static str),
}

/// The book-keeping between one client connection and one target connection.
///
/// After [`RelayError::Violation`] the relay must not be fed again; [`terminate`](Self::terminate)
/// or [`lost_target`](Self::lost_target) still give the innocent end a legal ending.
pub struct Relay {
    limits: RelayLimits,
    channels: Channels,
    /// By the end that has to answer.
    global: PerSide<GlobalQueue>,
    held: PerSide<Option<Held>>,
    no_more_sessions: bool,
    ended: bool,
    target_lost: bool,
}

/// A message that waits for its verdict.
enum Held {
    Open { key: ChannelKey, payload: Vec<u8> },
    Request { key: ChannelKey, payload: Vec<u8> },
    Global { payload: Vec<u8> },
}

impl Relay {
    /// A relay without channels.
    pub const fn new(limits: RelayLimits) -> Self {
        Self {
            limits,
            channels: Channels::new(),
            global: PerSide { client: GlobalQueue::new(), target: GlobalQueue::new() },
            held: PerSide { client: None, target: None },
            no_more_sessions: false,
            ended: false,
            target_lost: false,
        }
    }

    /// Channels that are open, opening, or closed by one end only.
    pub const fn open_channels(&self) -> usize {
        self.channels.len()
    }

    /// True while a message of this end waits for its verdict.
    pub const fn is_held(&self, side: Side) -> bool {
        match side {
            Side::Client => self.held.client.is_some(),
            Side::Target => self.held.target.is_some(),
        }
    }

    /// Relays one payload of the connection protocol, message number first.
    ///
    /// # Errors
    /// [`RelayError`]: the end that sent it broke the protocol, or the owner fed an end that is held or lost.
    pub fn on_packet(
        &mut self,
        from: Side,
        payload: &[u8],
        host: &mut impl RelayHost,
        out: &mut impl Output,
    ) -> Result<Flow, RelayError> {
        if self.is_held(from) {
            return Err(RelayError::Misused("a message of this end is held"));
        }
        if self.target_lost && from == Side::Target {
            return Err(RelayError::Misused("the target is lost"));
        }
        let message = Message::parse(payload).map_err(|error| match error {
            MessageError::Unimplemented(number) => RelayError::Unimplemented { from, number },
            MessageError::Malformed(malformed) => RelayError::Violation { from, error: malformed.into() },
        })?;
        self.relay(from, &message, payload, host, out).map_err(|error| RelayError::Violation { from, error })
    }

    fn relay(
        &mut self,
        from: Side,
        message: &Message<'_>,
        payload: &[u8],
        host: &mut impl RelayHost,
        out: &mut impl Output,
    ) -> Result<Flow, ConnectionError> {
        let name = message.name();
        match *message {
            Message::Data { recipient_channel, data } => {
                let chunk = flow::Chunk { name, number: recipient_channel, kind: DataKind::Data, data };
                self.data(from, &chunk, payload, host, out)?;
            }
            Message::ExtendedData { recipient_channel, data_type_code, data } => {
                let kind = DataKind::Extended(data_type_code);
                let chunk = flow::Chunk { name, number: recipient_channel, kind, data };
                self.data(from, &chunk, payload, host, out)?;
            }
            Message::WindowAdjust { recipient_channel, bytes_to_add } => {
                self.window_adjust(from, recipient_channel, bytes_to_add, payload, host, out)?;
            }
            Message::Eof { recipient_channel } => self.eof(from, recipient_channel, payload, host, out)?,
            Message::Close { recipient_channel } => {
                self.close(from, recipient_channel, payload, host, out)?
            }
            Message::ChannelRequest(ref request) => {
                return self.channel_request(from, request, payload, host, out);
            }
            Message::ChannelSuccess { recipient_channel } => {
                self.channel_reply(from, recipient_channel, true, payload, host, out);
            }
            Message::ChannelFailure { recipient_channel } => {
                self.channel_reply(from, recipient_channel, false, payload, host, out);
            }
            Message::ChannelOpen(ref open) => return self.channel_open(from, open, payload, host, out),
            Message::OpenConfirmation(ref confirmation) => {
                self.open_confirmation(from, confirmation, payload, host, out)?;
            }
            Message::OpenFailure(ref failure) => self.open_failure(from, failure, payload, host, out)?,
            Message::GlobalRequest(ref request) => {
                return self.global_request(from, request, payload, host, out);
            }
            Message::RequestSuccess { data } => self.global_reply(from, Some(data), payload, host, out),
            Message::RequestFailure => self.global_reply(from, None, payload, host, out),
        }
        Ok(Flow::Continue)
    }
}

#[cfg(test)]
mod tests;
