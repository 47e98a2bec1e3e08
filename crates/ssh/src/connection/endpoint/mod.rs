//! Endpoint mode: the channels end here, on either side of a connection.
//!
//! ```text
//!            payload                      EndpointEvent<'_> (slices of the payload)
//!   peer ──────────────► Endpoint::on_packet ─────────────────────────► owner
//!        ◄────────────── PacketSink ◄── confirm, reply, data, consumed, eof, close …
//! ```
//!
//! **Windows are credited on consumption, not on receipt**: [`Endpoint::consumed`] tells how much the owner
//! has dealt with, and only that is given back to the peer, in adjustments of a sensible size. An
//! owner that stops consuming stops the peer, and one slow channel leaves the others alone.
//!
//! **Nothing is buffered here.** [`Endpoint::data`] takes what the peer's window allows and tells how much that
//! was; [`EndpointEvent::Writable`] says when to come back.
//!
//! A key that is void, because the peer has closed the channel in the meantime, is no mistake of the owner:
//! calls on it return [`ChannelGone`] and change nothing.
//!
//! ```
//! use bartizan_ssh::connection::endpoint::*;
//! use bartizan_ssh::wire::connection::{ChannelType, RequestType};
//!
//! // Two endpoints back to back: what one sends, the other is fed.
//! let mut client = Endpoint::new(EndpointConfig::default());
//! let mut server = Endpoint::new(EndpointConfig::default());
//! let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
//!
//! let mine = client.open(&ChannelType::Session, &mut to_server)?;
//! let Some(EndpointEvent::Open { channel, .. }) = server.on_packet(&to_server[0], &mut to_client)? else { panic!() };
//! server.confirm(channel, &mut to_client)?;
//! assert_eq!(client.on_packet(&to_client[0], &mut to_server)?, Some(EndpointEvent::Opened { channel: mine }));
//!
//! client.request(mine, &RequestType::Exec { command: b"true" }, true, &mut to_server)?;
//! let event = server.on_packet(&to_server[1], &mut to_client)?;
//! assert!(matches!(event, Some(EndpointEvent::Request { want_reply: true, .. })));
//! server.reply(channel, true, &mut to_client)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod channel;
mod event;
mod receive;
mod send;

pub use event::EndpointEvent;
pub use send::{ChannelGone, OpenError};

use crate::wire::connection::{GlobalKind, Message};
use channel::Channels;
use std::collections::VecDeque;

/// The bounds of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointConfig {
    /// Bytes that the peer may send on a channel ahead of consumption. 2 MiB by default.
    pub window: u32,
    /// The most data bytes in one packet, both ways. 32 KiB by default.
    pub maximum_packet: u32,
    /// Channels at the same time; more are refused. 1,000 by default.
    pub max_channels: usize,
    /// Requests of the peer without our reply, on one channel or of the connection; more end the
    /// connection. 1,000 by default.
    pub max_pending_replies: usize,
}

impl Default for EndpointConfig {
    fn default() -> Self {
        Self { window: 2 << 20, maximum_packet: 32 << 10, max_channels: 1000, max_pending_replies: 1000 }
    }
}

/// Where an endpoint's packets go: one transport, which queues in order.
///
/// Every `FnMut(&[u8], &[u8])` is one, and a `Vec` that collects payloads.
pub trait PacketSink {
    /// Sends the payload made of `head` and `body`.
    fn packet(&mut self, head: &[u8], body: &[u8]);
}

impl<F: FnMut(&[u8], &[u8])> PacketSink for F {
    fn packet(&mut self, head: &[u8], body: &[u8]) {
        self(head, body);
    }
}

impl PacketSink for Vec<Vec<u8>> {
    fn packet(&mut self, head: &[u8], body: &[u8]) {
        self.push([head, body].concat());
    }
}

/// One end of the connection protocol.
///
/// After a [`ConnectionError`](crate::connection::ConnectionError) other than `Unimplemented` it must not be fed again.
pub struct Endpoint {
    config: EndpointConfig,
    channels: Channels,
    /// Global requests of the peer that we owe a reply.
    owed: usize,
    /// Our global requests that the peer owes a reply.
    awaited: VecDeque<GlobalKind>,
}

impl Endpoint {
    /// An endpoint without channels.
    pub const fn new(config: EndpointConfig) -> Self {
        Self { config, channels: Channels::new(), owed: 0, awaited: VecDeque::new() }
    }

    /// Channels that are open, opening, or closed by one side only.
    pub const fn open_channels(&self) -> usize {
        self.channels.len()
    }
}

fn send(out: &mut impl PacketSink, message: &Message<'_>) {
    out.packet(&message.to_payload(), &[]);
}

#[cfg(test)]
mod tests;
