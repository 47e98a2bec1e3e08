//! An endpoint with one channel, and messages of its peer.

use super::super::*;
use crate::connection::{ChannelKey, ConnectionError};
use crate::wire::connection::*;

/// The peer's number of the channel of [`Rig::with_channel`]; ours is 0.
pub(super) const P: u32 = 40;
pub(super) const WINDOW: u32 = 10_000;
pub(super) const PACKET: u32 = 1000;
/// The peer's.
pub(super) const PEER_WINDOW: u32 = 5000;
pub(super) const PEER_PACKET: u32 = 700;

pub(super) struct Rig {
    pub(super) endpoint: Endpoint,
    pub(super) out: Vec<Vec<u8>>,
}

impl Rig {
    pub(super) fn new() -> Self {
        let config = EndpointConfig {
            window: WINDOW,
            maximum_packet: PACKET,
            max_channels: 4,
            max_pending_replies: 3,
        };
        Self { endpoint: Endpoint::new(config), out: Vec::new() }
    }

    /// A session that the peer opened and we confirmed.
    pub(super) fn with_channel() -> (Self, ChannelKey) {
        let mut rig = Self::new();
        let key = rig.peer_opens(P);
        rig.endpoint.confirm(key, &mut rig.out).unwrap();
        rig.out.clear();
        (rig, key)
    }

    #[track_caller]
    pub(super) fn peer_opens(&mut self, number: u32) -> ChannelKey {
        match self.endpoint.on_packet(&open(number).to_payload(), &mut self.out) {
            Ok(Some(EndpointEvent::Open { channel, channel_type: ChannelType::Session })) => channel,
            other => panic!("{other:?}"),
        }
    }

    /// Feeds what must be accepted, and describes the event.
    #[track_caller]
    pub(super) fn feed(&mut self, message: &Message<'_>) -> Option<String> {
        let payload = message.to_payload();
        let event = self.endpoint.on_packet(&payload, &mut self.out);
        event.unwrap_or_else(|error| panic!("{message:?}: {error}")).map(|event| describe(&event))
    }

    #[track_caller]
    pub(super) fn violation(&mut self, message: &Message<'_>) -> ConnectionError {
        let payload = message.to_payload();
        match self.endpoint.on_packet(&payload, &mut self.out) {
            Err(error) => error,
            Ok(event) => panic!("{message:?}: {event:?}"),
        }
    }

    pub(super) fn sent(&mut self) -> Vec<String> {
        let describe = |payload: Vec<u8>| match Message::parse(&payload).expect("we send what parses") {
            Message::Data { data, .. } | Message::ExtendedData { data, .. } => format!("data {}", data.len()),
            Message::WindowAdjust { bytes_to_add, .. } => format!("adjust {bytes_to_add}"),
            Message::OpenFailure(failure) => format!("open failure: {}", failure.reason),
            other => other.name().to_owned(),
        };
        std::mem::take(&mut self.out).into_iter().map(describe).collect()
    }
}

fn describe(event: &EndpointEvent<'_>) -> String {
    match event {
        EndpointEvent::Open { .. } => "open".to_owned(),
        EndpointEvent::Opened { .. } => "opened".to_owned(),
        EndpointEvent::OpenFailed { reason, .. } => format!("open failed: {reason}"),
        EndpointEvent::Request { request_type, want_reply, .. } => {
            format!("request {}{}", request_type.name(), if *want_reply { "?" } else { "" })
        }
        EndpointEvent::RequestReply { request, ok, .. } => format!("reply to {request:?}: {ok}"),
        EndpointEvent::GlobalRequest { request_type, want_reply } => {
            format!("global {}{}", request_type.name(), if *want_reply { "?" } else { "" })
        }
        EndpointEvent::GlobalReply { request, ok, .. } => format!("global reply to {request:?}: {ok}"),
        EndpointEvent::Data { kind, bytes, .. } => format!("{kind:?} {}", bytes.len()),
        EndpointEvent::Writable { .. } => "writable".to_owned(),
        EndpointEvent::Eof { .. } => "eof".to_owned(),
        EndpointEvent::Closed { .. } => "closed".to_owned(),
    }
}

pub(super) fn open(sender_channel: u32) -> Message<'static> {
    Message::ChannelOpen(ChannelOpen {
        channel_type: ChannelType::Session,
        sender_channel,
        initial_window_size: PEER_WINDOW,
        maximum_packet_size: PEER_PACKET,
    })
}

pub(super) fn confirm(recipient_channel: u32, sender_channel: u32) -> Message<'static> {
    Message::OpenConfirmation(OpenConfirmation {
        recipient_channel,
        sender_channel,
        initial_window_size: PEER_WINDOW,
        maximum_packet_size: PEER_PACKET,
        data: b"",
    })
}

pub(super) fn failure(recipient_channel: u32) -> Message<'static> {
    let reason = OpenFailureReason::CONNECT_FAILED;
    Message::OpenFailure(OpenFailure { recipient_channel, reason, description: b"", language: b"" })
}

pub(super) fn keepalive(recipient_channel: u32, want_reply: bool) -> Message<'static> {
    Message::ChannelRequest(ChannelRequest {
        recipient_channel,
        want_reply,
        request_type: RequestType::Keepalive,
    })
}

pub(super) fn global_keepalive() -> Message<'static> {
    Message::GlobalRequest(GlobalRequest { want_reply: true, request_type: GlobalRequestType::Keepalive })
}
