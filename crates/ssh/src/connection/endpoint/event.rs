//! What the peer did, as the owner of an endpoint hears it.

use crate::connection::{ChannelKey, DataKind};
use crate::wire::connection::{
    ChannelType, GlobalKind, GlobalRequestType, OpenFailureReason, RequestKind, RequestType,
};

/// Something that the owner has to know or to answer. Slices are of the packet fed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointEvent<'a> {
    /// The peer asks for a channel: answer with [`confirm`](super::Endpoint::confirm) or
    /// [`refuse`](super::Endpoint::refuse), now or later.
    Open {
        /// Names the channel from here on.
        channel: ChannelKey,
        /// What is to be opened.
        channel_type: ChannelType<'a>,
    },
    /// The peer confirmed a channel that we asked for.
    Opened {
        /// Which.
        channel: ChannelKey,
    },
    /// The peer refused a channel that we asked for; its key is void.
    OpenFailed {
        /// Which.
        channel: ChannelKey,
        /// Why.
        reason: OpenFailureReason,
        /// Text in the peer's bytes: escape it where shown.
        description: &'a [u8],
    },
    /// A channel request. When it wants a reply: [`reply`](super::Endpoint::reply), in the order of the requests.
    Request {
        /// On which channel.
        channel: ChannelKey,
        /// What is requested.
        request_type: RequestType<'a>,
        /// Whether a reply is owed.
        want_reply: bool,
    },
    /// The reply to the oldest of our channel requests that wanted one.
    RequestReply {
        /// On which channel.
        channel: ChannelKey,
        /// Which request.
        request: RequestKind,
        /// Success or failure.
        ok: bool,
    },
    /// A global request. When it wants a reply: [`reply_global`](super::Endpoint::reply_global), in order.
    GlobalRequest {
        /// What is requested.
        request_type: GlobalRequestType<'a>,
        /// Whether a reply is owed.
        want_reply: bool,
    },
    /// The reply to the oldest of our global requests that wanted one.
    GlobalReply {
        /// Which request.
        request: GlobalKind,
        /// Success or failure.
        ok: bool,
        /// Response specific data.
        data: &'a [u8],
    },
    /// Data. They stay charged to the window until [`consumed`](super::Endpoint::consumed) is called for them.
    Data {
        /// On which channel.
        channel: ChannelKey,
        /// In which stream.
        kind: DataKind,
        /// The bytes, at most our maximum packet size, perhaps none.
        bytes: &'a [u8],
    },
    /// A channel that took less than it was given takes more now.
    Writable {
        /// Which.
        channel: ChannelKey,
    },
    /// The peer sends no more data on this channel.
    Eof {
        /// Which.
        channel: ChannelKey,
    },
    /// The peer closed the channel, and so have we: its key is void.
    Closed {
        /// Which.
        channel: ChannelKey,
    },
}
