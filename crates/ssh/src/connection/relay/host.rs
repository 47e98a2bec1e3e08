//! What the relay asks of its owner: decisions, an ear for what passes, and two ways out.

use crate::connection::{ChannelKey, DataKind};
use crate::wire::connection::{
    ChannelOpen, ChannelRequest, GlobalKind, GlobalRequest, OpenFailureReason, RequestKind,
};
use std::borrow::Cow;
use std::fmt;
use std::ops::{Index, IndexMut};

/// One of the two ends of a relay. As `from`, it is who sent the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// The person's SSH client; we are its server.
    Client,
    /// The SSH server they reach; we are its client.
    Target,
}

impl Side {
    /// Both, the client first.
    pub const BOTH: [Self; 2] = [Self::Client, Self::Target];

    /// The other end.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Target,
            Self::Target => Self::Client,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "client",
            Self::Target => "target",
        })
    }
}

/// One value for each end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerSide<T> {
    /// The client's.
    pub client: T,
    /// The target's.
    pub target: T,
}

impl<T> Index<Side> for PerSide<T> {
    type Output = T;

    fn index(&self, side: Side) -> &T {
        match side {
            Side::Client => &self.client,
            Side::Target => &self.target,
        }
    }
}

impl<T> IndexMut<Side> for PerSide<T> {
    fn index_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::Client => &mut self.client,
            Side::Target => &mut self.target,
        }
    }
}

/// What becomes of a `CHANNEL_OPEN`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum OpenVerdict {
    /// Goes on to the other end.
    Pass,
    /// Is answered by us with `CHANNEL_OPEN_FAILURE`; the other end learns nothing.
    Refuse {
        /// The reason code.
        reason: OpenFailureReason,
        /// Text for the person, shown by most clients.
        text: Cow<'static, str>,
    },
    /// Is decided later, with [`Relay::release_open`](super::Relay::release_open).
    Hold,
}

impl OpenVerdict {
    /// Refuses as administratively prohibited.
    pub fn prohibited(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Refuse { reason: OpenFailureReason::ADMINISTRATIVELY_PROHIBITED, text: text.into() }
    }
}

/// What becomes of a `CHANNEL_REQUEST`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum RequestVerdict {
    /// Goes on to the other end, which answers it.
    Pass,
    /// Goes on to the other end, which is asked for a reply in any case: the host hears it
    /// ([`RelayHost::channel_request_reply`]), and the end that asked gets it if it wanted one.
    Confirm,
    /// Is answered by us with `CHANNEL_FAILURE` if it wants a reply; the other end learns nothing.
    Refuse {
        /// Text for the person whose client asked, out of the reserve: on the terminal if the channel
        /// has one, else on standard error. May be empty.
        text: Cow<'static, str>,
    },
    /// Is answered by us with `CHANNEL_SUCCESS` if it wants a reply; the other end learns nothing.
    Swallow,
    /// Is decided later, with [`Relay::release_request`](super::Relay::release_request).
    Hold,
}

/// What becomes of a `GLOBAL_REQUEST`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum GlobalVerdict {
    /// Goes on to the other end, which answers it.
    Pass,
    /// Is answered by us with `REQUEST_FAILURE` if it wants a reply.
    Refuse,
    /// Is answered by us with an empty `REQUEST_SUCCESS` if it wants a reply.
    Swallow,
    /// Is answered by us with `REQUEST_SUCCESS` and these response specific data if it wants a reply.
    Answer(Vec<u8>),
    /// Is decided later, with [`Relay::release_global`](super::Relay::release_global).
    Hold,
}

/// What becomes of data in a client's session channel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum DataVerdict {
    /// They go on as they are.
    Pass,
    /// What [`DataEdit`] holds goes on instead.
    Replace,
    /// The channel ends, as with [`Relay::terminate_channel`](super::Relay::terminate_channel).
    End {
        /// Text for the person, on standard error.
        text: String,
    },
}

/// What goes on instead of data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataEdit {
    /// To the other end. The other end's window must have room for it: at most what came before and did not go on,
    /// and what comes now.
    pub onward: Vec<u8>,
    /// With data of the client: to the client, in the place of the target.
    pub back: Vec<u8>,
    /// How many bytes of this end's [`DataKind::Data`] the host keeps after this call, to decide about them later; the
    /// rest of what did not go on is credited. Said with each of them, whatever the verdict.
    pub held: usize,
}

/// Bytes of a channel's life, both streams together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Data bytes that passed from each end to the other.
    pub passed: PerSide<u64>,
    /// Data bytes that were kept from the other end: no program was permitted, or the host changed them.
    pub withheld: u64,
    /// Data bytes that we put into the channel towards the client.
    pub injected: u64,
}

/// Why the relay refused a `CHANNEL_OPEN` by itself, without asking its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// As many channels as allowed are open.
    TooManyChannels,
    /// A session after `no-more-sessions@openssh.com`.
    NoMoreSessions,
    /// The number belongs to a channel that we closed and that the other end has not closed yet.
    NumberInUse,
    /// The relay was terminated or lost its target.
    Ended,
}

impl Refusal {
    pub(super) const fn reason(self) -> OpenFailureReason {
        match self {
            Self::TooManyChannels | Self::NumberInUse => OpenFailureReason::RESOURCE_SHORTAGE,
            Self::NoMoreSessions => OpenFailureReason::ADMINISTRATIVELY_PROHIBITED,
            Self::Ended => OpenFailureReason::CONNECT_FAILED,
        }
    }

    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::TooManyChannels => "too many channels are open",
            Self::NumberInUse => "the channel number is still in use",
            Self::NoMoreSessions => "no more sessions, as the client asked",
            Self::Ended => "the session has ended",
        }
    }
}

/// The owner of a relay: decides, and hears everything that passes, in order.
///
/// Calls are synchronous and come before the message goes out to the other end, so what is heard
/// is recorded before it has an effect. What a call does not say is not kept: slices are of the
/// packet being relayed.
pub trait RelayHost {
    /// Judges a `CHANNEL_OPEN`. `key` names the channel from here on.
    ///
    /// After [`OpenVerdict::Pass`] or `Hold`, exactly one of [`channel_open_failed`](Self::channel_open_failed)
    /// and [`closed`](Self::closed) will be called for it, unless the connection ends first.
    fn channel_open(&mut self, from: Side, key: ChannelKey, open: &ChannelOpen<'_>) -> OpenVerdict;

    /// Judges a `CHANNEL_REQUEST`, of either end.
    fn channel_request(
        &mut self,
        from: Side,
        key: ChannelKey,
        request: &ChannelRequest<'_>,
    ) -> RequestVerdict;

    /// Judges a `GLOBAL_REQUEST`, of either end.
    fn global_request(&mut self, from: Side, request: &GlobalRequest<'_>) -> GlobalVerdict;

    /// Judges data of a client's session channel in which a program runs, before they pass. Only [`DataKind::Data`]
    /// can be replaced; for others that verdict lets nothing pass.
    ///
    /// What goes on is told to [`data`](Self::data) afterwards, what is changed as it was changed.
    fn edit_data(
        &mut self,
        key: ChannelKey,
        from: Side,
        kind: DataKind,
        bytes: &[u8],
        edit: &mut DataEdit,
    ) -> DataVerdict {
        let _ = (key, from, kind, bytes, edit);
        DataVerdict::Pass
    }

    /// Data pass.
    fn data(&mut self, key: ChannelKey, from: Side, kind: DataKind, bytes: &[u8]);

    /// A confirmation passes: the channel is open.
    fn channel_opened(&mut self, key: ChannelKey) {
        let _ = key;
    }

    /// The other end refused to open the channel, or we gave up before it answered.
    fn channel_open_failed(&mut self, key: ChannelKey, reason: OpenFailureReason, description: &[u8]) {
        let _ = (key, reason, description);
    }

    /// The relay refused a channel by itself.
    fn channel_refused(&mut self, from: Side, open: &ChannelOpen<'_>, why: Refusal) {
        let _ = (from, open, why);
    }

    /// A reply to a channel request passes, or was wanted by [`RequestVerdict::Confirm`] alone; `from` is who answers.
    fn channel_request_reply(&mut self, key: ChannelKey, from: Side, request: RequestKind, ok: bool) {
        let _ = (key, from, request, ok);
    }

    /// A reply to a global request passes; `from` is who answers.
    fn global_request_reply(&mut self, from: Side, request: GlobalKind, ok: bool, data: &[u8]) {
        let _ = (from, request, ok, data);
    }

    /// A reply to a request of [`Relay::send_global_request`](super::Relay::send_global_request) came.
    fn own_request_reply(&mut self, from: Side, ok: bool, data: &[u8]) {
        let _ = (from, ok, data);
    }

    /// `CHANNEL_EOF` passes.
    fn eof(&mut self, key: ChannelKey, from: Side) {
        let _ = (key, from);
    }

    /// `CHANNEL_CLOSE` passes.
    fn close(&mut self, key: ChannelKey, from: Side) {
        let _ = (key, from);
    }

    /// The channel is over, closed by both ends or by us: nothing more of it will pass.
    fn closed(&mut self, key: ChannelKey, totals: Totals) {
        let _ = (key, totals);
    }
}

/// Where the relay's packets go: the two transports, which queue in order.
///
/// Sending cannot fail here: a transport that can take no more keeps its error for its owner.
pub trait Output {
    /// Sends one payload to an end.
    fn to(&mut self, side: Side, payload: &[u8]);

    /// Sends one payload made of two parts, which saves the relay a copy.
    fn to_parts(&mut self, side: Side, head: &[u8], body: &[u8]) {
        let mut payload = Vec::with_capacity(head.len() + body.len());
        payload.extend_from_slice(head);
        payload.extend_from_slice(body);
        self.to(side, &payload);
    }
}
