//! What the peer sends.

use super::super::progress::Progress;
use super::channel::Channel;
use super::{Endpoint, EndpointEvent, PacketSink, send};
use crate::connection::{ConnectionError, DataKind};
use crate::wire::connection::{
    ChannelOpen, ChannelRequest, GlobalRequest, Message, OpenConfirmation, OpenFailure, OpenFailureReason,
};

type Answer<'a> = Result<Option<EndpointEvent<'a>>, ConnectionError>;

impl Endpoint {
    /// Takes one payload of the connection protocol, message number first.
    ///
    /// `None` means that there is nothing to tell.
    ///
    /// # Errors
    /// [`ConnectionError`] when the peer broke the protocol.
    pub fn on_packet<'a>(&mut self, payload: &'a [u8], out: &mut impl PacketSink) -> Answer<'a> {
        let message = Message::parse(payload)?;
        match message {
            Message::Data { recipient_channel, data } => {
                self.on_data(recipient_channel, "CHANNEL_DATA", DataKind::Data, data)
            }
            Message::ExtendedData { recipient_channel, data_type_code, data } => {
                let kind = DataKind::Extended(data_type_code);
                self.on_data(recipient_channel, "CHANNEL_EXTENDED_DATA", kind, data)
            }
            Message::WindowAdjust { recipient_channel, bytes_to_add } => {
                self.on_window_adjust(recipient_channel, bytes_to_add)
            }
            Message::Eof { recipient_channel } => self.on_eof(recipient_channel),
            Message::Close { recipient_channel } => self.on_close(recipient_channel, out),
            Message::ChannelRequest(request) => self.on_request(&request),
            Message::ChannelSuccess { recipient_channel } => {
                self.on_reply(recipient_channel, "CHANNEL_SUCCESS", true)
            }
            Message::ChannelFailure { recipient_channel } => {
                self.on_reply(recipient_channel, "CHANNEL_FAILURE", false)
            }
            Message::ChannelOpen(open) => self.on_open(&open, out),
            Message::OpenConfirmation(confirmation) => self.on_confirmation(&confirmation, out),
            Message::OpenFailure(failure) => self.on_open_failure(&failure),
            Message::GlobalRequest(request) => self.on_global_request(&request),
            Message::RequestSuccess { data } => self.on_global_reply(true, data),
            Message::RequestFailure => self.on_global_reply(false, &[]),
        }
    }

    fn on_data<'a>(
        &mut self,
        number: u32,
        message: &'static str,
        kind: DataKind,
        bytes: &'a [u8],
    ) -> Answer<'a> {
        let maximum = self.config.maximum_packet;
        let channel = self.channels.named(number, message)?;
        channel.peer.check_data(message)?;
        let length = bytes.len() as u32;
        if length > maximum {
            return Err(ConnectionError::PacketTooLong { length, maximum });
        }
        let window = channel.window_in;
        channel.window_in =
            window.checked_sub(length).ok_or(ConnectionError::WindowExceeded { length, window })?;
        channel.unconsumed += length;
        let event = EndpointEvent::Data { channel: channel.key, kind, bytes };
        Ok(channel.is_live().then_some(event))
    }

    fn on_window_adjust<'a>(&mut self, number: u32, bytes_to_add: u32) -> Answer<'a> {
        // For a channel that it has closed, a late adjustment means nothing, and some servers send one;
        // OpenSSH ignores it likewise.
        let Ok(channel) = self.channels.named(number, "CHANNEL_WINDOW_ADJUST") else { return Ok(None) };
        channel.peer.check_live("CHANNEL_WINDOW_ADJUST")?;
        channel.window_out = channel
            .window_out
            .checked_add(bytes_to_add)
            .ok_or(ConnectionError::WindowOverflow { bytes_to_add })?;
        let writable = channel.own == Progress::Open && channel.blocked && channel.window_out > 0;
        channel.blocked &= !writable;
        Ok(writable.then_some(EndpointEvent::Writable { channel: channel.key }))
    }

    fn on_eof<'a>(&mut self, number: u32) -> Answer<'a> {
        let channel = self.channels.named(number, "CHANNEL_EOF")?;
        channel.peer.check_live("CHANNEL_EOF")?;
        // A second EOF says nothing new; some clients send one when asked twice to shut down.
        let first = channel.peer == Progress::Open;
        channel.peer = Progress::Eof;
        Ok((first && channel.is_live()).then_some(EndpointEvent::Eof { channel: channel.key }))
    }

    fn on_close<'a>(&mut self, number: u32, out: &mut impl PacketSink) -> Answer<'a> {
        let channel = self.channels.named(number, "CHANNEL_CLOSE")?;
        channel.peer.check_live("CHANNEL_CLOSE")?;
        close(channel, out);
        let key = channel.key;
        let told = !channel.given_up;
        self.channels.remove(key);
        Ok(told.then_some(EndpointEvent::Closed { channel: key }))
    }

    fn on_request<'a>(&mut self, request: &ChannelRequest<'a>) -> Answer<'a> {
        let limit = self.config.max_pending_replies;
        // A server that asks on a channel which it has closed may meet our CLOSE on the way, and even our next channel of
        // that number.
        let Ok(channel) = self.channels.named(request.recipient_channel, "CHANNEL_REQUEST") else {
            return Ok(None);
        };
        if !channel.is_live() || channel.peer == Progress::Unopened {
            return Ok(None);
        }
        let ChannelRequest { request_type, want_reply, .. } = *request;
        if want_reply {
            if channel.owed >= limit {
                return Err(ConnectionError::TooManyRequests { limit });
            }
            channel.owed += 1;
        }
        Ok(Some(EndpointEvent::Request { channel: channel.key, request_type, want_reply }))
    }

    fn on_reply<'a>(&mut self, number: u32, message: &'static str, ok: bool) -> Answer<'a> {
        // A reply to nothing, or on a channel that is over, means nothing to anybody; OpenSSH ignores it likewise.
        let Ok(channel) = self.channels.named(number, message) else { return Ok(None) };
        let Some(request) = channel.awaited.pop_front() else { return Ok(None) };
        let event = EndpointEvent::RequestReply { channel: channel.key, request, ok };
        Ok(channel.is_live().then_some(event))
    }

    fn on_open<'a>(&mut self, open: &ChannelOpen<'a>, out: &mut impl PacketSink) -> Answer<'a> {
        let number = open.sender_channel;
        if self.channels.peer_uses(number) {
            return Err(ConnectionError::ChannelNumberInUse { number });
        }
        if self.channels.len() >= self.config.max_channels {
            let failure = OpenFailure {
                recipient_channel: number,
                reason: OpenFailureReason::RESOURCE_SHORTAGE,
                description: b"too many channels are open",
                language: b"",
            };
            send(out, &Message::OpenFailure(failure));
            return Ok(None);
        }
        let channel = self.channels.add(Some(number), self.config.window);
        channel.peer = Progress::Open;
        channel.window_out = open.initial_window_size;
        channel.maximum_packet_out = open.maximum_packet_size.min(self.config.maximum_packet);
        Ok(Some(EndpointEvent::Open { channel: channel.key, channel_type: open.channel_type }))
    }

    fn on_confirmation<'a>(
        &mut self,
        confirmation: &OpenConfirmation<'_>,
        out: &mut impl PacketSink,
    ) -> Answer<'a> {
        const NAME: &str = "CHANNEL_OPEN_CONFIRMATION";
        let number = confirmation.sender_channel;
        let maximum_packet = self.config.maximum_packet;
        let number_used = self.channels.peer_uses(number);
        let channel = self.channels.named(confirmation.recipient_channel, NAME)?;
        channel.peer.check_unopened(NAME)?;
        if number_used {
            return Err(ConnectionError::ChannelNumberInUse { number });
        }
        channel.peer_number = Some(number);
        channel.peer = Progress::Open;
        channel.window_out = confirmation.initial_window_size;
        channel.maximum_packet_out = confirmation.maximum_packet_size.min(maximum_packet);
        if channel.given_up {
            close(channel, out);
            return Ok(None);
        }
        Ok(Some(EndpointEvent::Opened { channel: channel.key }))
    }

    fn on_open_failure<'a>(&mut self, failure: &OpenFailure<'a>) -> Answer<'a> {
        const NAME: &str = "CHANNEL_OPEN_FAILURE";
        let channel = self.channels.named(failure.recipient_channel, NAME)?;
        channel.peer.check_unopened(NAME)?;
        let (key, told) = (channel.key, !channel.given_up);
        self.channels.remove(key);
        let OpenFailure { reason, description, .. } = *failure;
        Ok(told.then_some(EndpointEvent::OpenFailed { channel: key, reason, description }))
    }

    fn on_global_request<'a>(&mut self, request: &GlobalRequest<'a>) -> Answer<'a> {
        let GlobalRequest { request_type, want_reply } = *request;
        if want_reply {
            let limit = self.config.max_pending_replies;
            if self.owed >= limit {
                return Err(ConnectionError::TooManyRequests { limit });
            }
            self.owed += 1;
        }
        Ok(Some(EndpointEvent::GlobalRequest { request_type, want_reply }))
    }

    fn on_global_reply<'a>(&mut self, ok: bool, data: &'a [u8]) -> Answer<'a> {
        let Some(request) = self.awaited.pop_front() else { return Ok(None) };
        Ok(Some(EndpointEvent::GlobalReply { request, ok, data }))
    }
}

/// Sends `CHANNEL_CLOSE`, once.
pub(super) fn close(channel: &mut Channel, out: &mut impl PacketSink) {
    if let Some(recipient_channel) = channel.peer_number.filter(|_| channel.is_live()) {
        channel.own = Progress::Closed;
        send(out, &Message::Close { recipient_channel });
    }
}
