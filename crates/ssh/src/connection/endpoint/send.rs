//! What the owner says.

use super::super::progress::Progress;
use super::channel::Channel;
use super::receive::close;
use super::{Endpoint, PacketSink, send};
use crate::connection::{ChannelKey, DataKind};
use crate::wire::connection::{
    ChannelOpen, ChannelRequest, ChannelType, GlobalRequest, GlobalRequestType, Message, OpenConfirmation,
    OpenFailure, OpenFailureReason, RequestType, SSH_MSG_CHANNEL_DATA, SSH_MSG_CHANNEL_EXTENDED_DATA,
};

/// The channel is not there any more, or not in the state that the call needs. Nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the channel is not open for this")]
pub struct ChannelGone;

/// A channel could not be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// As many channels as [`EndpointConfig::max_channels`](super::EndpointConfig::max_channels) are open.
    #[error("too many channels are open")]
    TooManyChannels,
}

impl Endpoint {
    /// Asks the peer for a channel; [`Opened`](super::EndpointEvent::Opened) or
    /// [`OpenFailed`](super::EndpointEvent::OpenFailed) follows.
    ///
    /// # Errors
    /// When too many are open.
    pub fn open(
        &mut self,
        channel_type: &ChannelType<'_>,
        out: &mut impl PacketSink,
    ) -> Result<ChannelKey, OpenError> {
        if self.channels.len() >= self.config.max_channels {
            return Err(OpenError::TooManyChannels);
        }
        let channel = self.channels.add(None, self.config.window);
        channel.own = Progress::Open;
        let open = ChannelOpen {
            channel_type: *channel_type,
            sender_channel: channel.key.slot,
            initial_window_size: self.config.window,
            maximum_packet_size: self.config.maximum_packet,
        };
        send(out, &Message::ChannelOpen(open));
        Ok(channel.key)
    }

    /// Confirms a channel that the peer asked for.
    ///
    /// # Errors
    /// [`ChannelGone`] unless it awaits its answer.
    pub fn confirm(&mut self, key: ChannelKey, out: &mut impl PacketSink) -> Result<(), ChannelGone> {
        let (channel, recipient_channel) = self.asked_for(key)?;
        channel.own = Progress::Open;
        let confirmation = OpenConfirmation {
            recipient_channel,
            sender_channel: key.slot,
            initial_window_size: self.config.window,
            maximum_packet_size: self.config.maximum_packet,
            data: b"",
        };
        send(out, &Message::OpenConfirmation(confirmation));
        Ok(())
    }

    /// Refuses a channel that the peer asked for; its key is void.
    ///
    /// # Errors
    /// [`ChannelGone`] unless it awaits its answer.
    pub fn refuse(
        &mut self,
        key: ChannelKey,
        reason: OpenFailureReason,
        text: &str,
        out: &mut impl PacketSink,
    ) -> Result<(), ChannelGone> {
        let (_, recipient_channel) = self.asked_for(key)?;
        let failure = OpenFailure { recipient_channel, reason, description: text.as_bytes(), language: b"" };
        send(out, &Message::OpenFailure(failure));
        self.channels.remove(key);
        Ok(())
    }

    fn asked_for(&mut self, key: ChannelKey) -> Result<(&mut Channel, u32), ChannelGone> {
        let channel = self.channels.by_key_mut(key).filter(|channel| channel.own == Progress::Unopened);
        channel.and_then(|channel| channel.peer_number.map(|number| (channel, number))).ok_or(ChannelGone)
    }

    /// A channel on which we may still say something, and the peer's number for it.
    fn live(&mut self, key: ChannelKey) -> Result<(&mut Channel, u32), ChannelGone> {
        let channel = self.channels.by_key_mut(key).filter(|channel| channel.is_live());
        channel.and_then(|channel| channel.peer_number.map(|number| (channel, number))).ok_or(ChannelGone)
    }

    /// Sends data, as much as the peer's window allows, in packets that it accepts; returns how much that was.
    ///
    /// When it was less than all, [`Writable`](super::EndpointEvent::Writable) will tell when there is room.
    ///
    /// # Errors
    /// [`ChannelGone`] before the channel is open and after our EOF.
    pub fn data(
        &mut self,
        key: ChannelKey,
        kind: DataKind,
        bytes: &[u8],
        out: &mut impl PacketSink,
    ) -> Result<usize, ChannelGone> {
        let (channel, number) = self.live(key)?;
        if channel.own != Progress::Open {
            return Err(ChannelGone);
        }
        let room = if channel.maximum_packet_out == 0 { 0 } else { channel.window_out as usize };
        let accepted = bytes.len().min(room);
        for chunk in bytes[..accepted].chunks(channel.maximum_packet_out.max(1) as usize) {
            send_chunk(number, kind, chunk, out);
        }
        channel.window_out -= accepted as u32;
        channel.blocked = accepted < bytes.len();
        Ok(accepted)
    }

    /// Bytes that [`data`](Self::data) would take now; 0 when the channel is not open for data.
    pub fn room(&self, key: ChannelKey) -> usize {
        let open = |channel: &&super::channel::Channel| {
            channel.own == Progress::Open && channel.peer_number.is_some() && channel.maximum_packet_out > 0
        };
        self.channels.by_key(key).filter(open).map_or(0, |channel| channel.window_out as usize)
    }

    /// Gives `n` bytes of received data back to the peer's window, at once or with the next ones.
    ///
    /// More than was received and not yet consumed counts as all of it.
    ///
    /// # Errors
    /// [`ChannelGone`] when the channel is closed; there is nothing to credit then.
    pub fn consumed(
        &mut self,
        key: ChannelKey,
        n: usize,
        out: &mut impl PacketSink,
    ) -> Result<(), ChannelGone> {
        // As OpenSSH: three packets, or half of a window smaller than that.
        let enough = (self.config.window / 2).min(3 * self.config.maximum_packet).max(1);
        let (channel, recipient_channel) = self.live(key)?;
        let consumed = u32::try_from(n).unwrap_or(u32::MAX).min(channel.unconsumed);
        channel.unconsumed -= consumed;
        channel.uncredited += consumed;
        if channel.uncredited >= enough && channel.peer == Progress::Open {
            let bytes_to_add = std::mem::take(&mut channel.uncredited);
            channel.window_in += bytes_to_add;
            send(out, &Message::WindowAdjust { recipient_channel, bytes_to_add });
        }
        Ok(())
    }

    /// Sends a channel request; if it wants a reply, [`RequestReply`](super::EndpointEvent::RequestReply) will tell.
    ///
    /// # Errors
    /// [`ChannelGone`] before the channel is open and after it was closed.
    pub fn request(
        &mut self,
        key: ChannelKey,
        request_type: &RequestType<'_>,
        want_reply: bool,
        out: &mut impl PacketSink,
    ) -> Result<(), ChannelGone> {
        let (channel, recipient_channel) = self.live(key)?;
        if want_reply {
            channel.awaited.push_back(request_type.kind());
        }
        let request = ChannelRequest { recipient_channel, want_reply, request_type: *request_type };
        send(out, &Message::ChannelRequest(request));
        Ok(())
    }

    /// Reports how the program ended: an `exit-status`.
    ///
    /// # Errors
    /// As [`request`](Self::request).
    pub fn exit_status(
        &mut self,
        key: ChannelKey,
        status: u32,
        out: &mut impl PacketSink,
    ) -> Result<(), ChannelGone> {
        self.request(key, &RequestType::ExitStatus { status }, false, out)
    }

    /// Answers the oldest request on the channel that wants a reply.
    ///
    /// # Errors
    /// [`ChannelGone`] when the channel is closed or no reply is owed.
    pub fn reply(&mut self, key: ChannelKey, ok: bool, out: &mut impl PacketSink) -> Result<(), ChannelGone> {
        let (channel, recipient_channel) = self.live(key)?;
        channel.owed = channel.owed.checked_sub(1).ok_or(ChannelGone)?;
        let reply = if ok {
            Message::ChannelSuccess { recipient_channel }
        } else {
            Message::ChannelFailure { recipient_channel }
        };
        send(out, &reply);
        Ok(())
    }

    /// Sends a global request; if it wants a reply, [`GlobalReply`](super::EndpointEvent::GlobalReply) will tell.
    pub fn global_request(
        &mut self,
        request_type: &GlobalRequestType<'_>,
        want_reply: bool,
        out: &mut impl PacketSink,
    ) {
        if want_reply {
            self.awaited.push_back(request_type.kind());
        }
        send(out, &Message::GlobalRequest(GlobalRequest { want_reply, request_type: *request_type }));
    }

    /// Answers the oldest global request that wants a reply: success with its data, or failure.
    ///
    /// Returns false, and sends nothing, when no reply is owed.
    pub fn reply_global(&mut self, success: Option<&[u8]>, out: &mut impl PacketSink) -> bool {
        let Some(owed) = self.owed.checked_sub(1) else { return false };
        self.owed = owed;
        send(out, &success.map_or(Message::RequestFailure, |data| Message::RequestSuccess { data }));
        true
    }

    /// Says that we send no more data. Once is enough; again does nothing.
    ///
    /// # Errors
    /// [`ChannelGone`] before the channel is open and after it was closed.
    pub fn eof(&mut self, key: ChannelKey, out: &mut impl PacketSink) -> Result<(), ChannelGone> {
        let (channel, recipient_channel) = self.live(key)?;
        if channel.own == Progress::Open {
            channel.own = Progress::Eof;
            send(out, &Message::Eof { recipient_channel });
        }
        Ok(())
    }

    /// Closes the channel: nothing of it is heard any more but [`Closed`](super::EndpointEvent::Closed).
    ///
    /// A channel that the peer still waits for is refused; one that the peer has not answered yet is
    /// closed as soon as it confirms, and nothing more is heard of it.
    ///
    /// # Errors
    /// [`ChannelGone`] when it was closed already.
    pub fn close(&mut self, key: ChannelKey, out: &mut impl PacketSink) -> Result<(), ChannelGone> {
        let channel = self.channels.by_key_mut(key).ok_or(ChannelGone)?;
        match (channel.own, channel.peer) {
            (Progress::Unopened, _) => {
                self.refuse(key, OpenFailureReason::ADMINISTRATIVELY_PROHIBITED, "refused", out)
            }
            (_, Progress::Unopened) if !channel.given_up => {
                channel.given_up = true;
                Ok(())
            }
            (Progress::Open | Progress::Eof, Progress::Open | Progress::Eof) => {
                close(channel, out);
                Ok(())
            }
            _ => Err(ChannelGone),
        }
    }
}

fn send_chunk(number: u32, kind: DataKind, chunk: &[u8], out: &mut impl PacketSink) {
    let length = (chunk.len() as u32).to_be_bytes();
    let mut head = [0; 13];
    head[1..5].copy_from_slice(&number.to_be_bytes());
    match kind {
        DataKind::Data => {
            head[0] = SSH_MSG_CHANNEL_DATA;
            head[5..9].copy_from_slice(&length);
            out.packet(&head[..9], chunk);
        }
        DataKind::Extended(data_type_code) => {
            head[0] = SSH_MSG_CHANNEL_EXTENDED_DATA;
            head[5..9].copy_from_slice(&data_type_code.to_be_bytes());
            head[9..].copy_from_slice(&length);
            out.packet(&head, chunk);
        }
    }
}
