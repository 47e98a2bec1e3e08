//! One message of the connection protocol, whichever it is.

use super::super::{Malformed, Reader, Writer};
use super::number::*;
use super::{ChannelOpen, ChannelRequest, GlobalRequest, OpenConfirmation, OpenFailure};

/// A payload that is no message of the connection protocol. Whose fault: the peer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// A known message whose fields do not parse.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A message number that RFC 4254 does not define: `SSH_MSG_UNIMPLEMENTED` is the answer.
    #[error("message {0} is not of the connection protocol")]
    Unimplemented(u8),
}

/// Any message of the connection protocol.
///
/// Source: RFC 4254 §9. Nothing may follow the last field, except where the RFC says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// `SSH_MSG_GLOBAL_REQUEST` (§4)
    GlobalRequest(GlobalRequest<'a>),
    /// `SSH_MSG_REQUEST_SUCCESS` (§4)
    RequestSuccess {
        /// Response specific data: a port for `tcpip-forward`, signatures for `hostkeys-prove-00`, else nothing.
        data: &'a [u8],
    },
    /// `SSH_MSG_REQUEST_FAILURE` (§4)
    RequestFailure,
    /// `SSH_MSG_CHANNEL_OPEN` (§5.1)
    ChannelOpen(ChannelOpen<'a>),
    /// `SSH_MSG_CHANNEL_OPEN_CONFIRMATION` (§5.1)
    OpenConfirmation(OpenConfirmation<'a>),
    /// `SSH_MSG_CHANNEL_OPEN_FAILURE` (§5.1)
    OpenFailure(OpenFailure<'a>),
    /// `SSH_MSG_CHANNEL_WINDOW_ADJUST` (§5.2)
    WindowAdjust {
        /// The receiver's number of the channel.
        recipient_channel: u32,
        /// More bytes that the receiver of this message may send.
        bytes_to_add: u32,
    },
    /// `SSH_MSG_CHANNEL_DATA` (§5.2)
    Data {
        /// The receiver's number of the channel.
        recipient_channel: u32,
        /// The bytes; their number counts against the window.
        data: &'a [u8],
    },
    /// `SSH_MSG_CHANNEL_EXTENDED_DATA` (§5.2)
    ExtendedData {
        /// The receiver's number of the channel.
        recipient_channel: u32,
        /// [`EXTENDED_DATA_STDERR`](super::EXTENDED_DATA_STDERR), or something that only the two ends know.
        data_type_code: u32,
        /// The bytes; their number counts against the same window as other data.
        data: &'a [u8],
    },
    /// `SSH_MSG_CHANNEL_EOF` (§5.3)
    Eof {
        /// The receiver's number of the channel.
        recipient_channel: u32,
    },
    /// `SSH_MSG_CHANNEL_CLOSE` (§5.3)
    Close {
        /// The receiver's number of the channel.
        recipient_channel: u32,
    },
    /// `SSH_MSG_CHANNEL_REQUEST` (§5.4)
    ChannelRequest(ChannelRequest<'a>),
    /// `SSH_MSG_CHANNEL_SUCCESS` (§5.4)
    ChannelSuccess {
        /// The receiver's number of the channel.
        recipient_channel: u32,
    },
    /// `SSH_MSG_CHANNEL_FAILURE` (§5.4)
    ChannelFailure {
        /// The receiver's number of the channel.
        recipient_channel: u32,
    },
}

impl<'a> Message<'a> {
    /// Parses a payload: the message number and everything after it.
    ///
    /// # Errors
    /// [`MessageError`]; an empty payload is malformed.
    pub fn parse(payload: &'a [u8]) -> Result<Self, MessageError> {
        let mut r = Reader::new(payload);
        let message = match r.u8("message number")? {
            SSH_MSG_GLOBAL_REQUEST => return Ok(Self::GlobalRequest(GlobalRequest::parse(r)?)),
            SSH_MSG_REQUEST_SUCCESS => return Ok(Self::RequestSuccess { data: r.rest() }),
            SSH_MSG_REQUEST_FAILURE => Self::RequestFailure,
            SSH_MSG_CHANNEL_OPEN => return Ok(Self::ChannelOpen(ChannelOpen::parse(r)?)),
            SSH_MSG_CHANNEL_OPEN_CONFIRMATION => {
                return Ok(Self::OpenConfirmation(OpenConfirmation::parse(r)?));
            }
            SSH_MSG_CHANNEL_OPEN_FAILURE => return Ok(Self::OpenFailure(OpenFailure::parse(r)?)),
            SSH_MSG_CHANNEL_WINDOW_ADJUST => Self::WindowAdjust {
                recipient_channel: recipient(&mut r)?,
                bytes_to_add: r.u32("bytes to add")?,
            },
            SSH_MSG_CHANNEL_DATA => {
                Self::Data { recipient_channel: recipient(&mut r)?, data: r.string("channel data")? }
            }
            SSH_MSG_CHANNEL_EXTENDED_DATA => Self::ExtendedData {
                recipient_channel: recipient(&mut r)?,
                data_type_code: r.u32("data_type_code")?,
                data: r.string("channel extended data")?,
            },
            SSH_MSG_CHANNEL_EOF => Self::Eof { recipient_channel: recipient(&mut r)? },
            SSH_MSG_CHANNEL_CLOSE => Self::Close { recipient_channel: recipient(&mut r)? },
            SSH_MSG_CHANNEL_REQUEST => return Ok(Self::ChannelRequest(ChannelRequest::parse(r)?)),
            SSH_MSG_CHANNEL_SUCCESS => Self::ChannelSuccess { recipient_channel: recipient(&mut r)? },
            SSH_MSG_CHANNEL_FAILURE => Self::ChannelFailure { recipient_channel: recipient(&mut r)? },
            other => return Err(MessageError::Unimplemented(other)),
        };
        r.end("end of message")?;
        Ok(message)
    }

    /// Appends the message as it stands on the wire.
    pub fn write(&self, out: &mut impl Writer) {
        out.put_u8(self.number());
        match *self {
            Self::GlobalRequest(ref request) => request.write(out),
            Self::RequestSuccess { data } => out.put(data),
            Self::RequestFailure => {}
            Self::ChannelOpen(ref open) => open.write(out),
            Self::OpenConfirmation(ref confirmation) => confirmation.write(out),
            Self::OpenFailure(ref failure) => failure.write(out),
            Self::WindowAdjust { recipient_channel, bytes_to_add } => {
                out.put_u32(recipient_channel);
                out.put_u32(bytes_to_add);
            }
            Self::Data { recipient_channel, data } => {
                out.put_u32(recipient_channel);
                out.put_string(data);
            }
            Self::ExtendedData { recipient_channel, data_type_code, data } => {
                out.put_u32(recipient_channel);
                out.put_u32(data_type_code);
                out.put_string(data);
            }
            Self::ChannelRequest(ref request) => request.write(out),
            Self::Eof { recipient_channel }
            | Self::Close { recipient_channel }
            | Self::ChannelSuccess { recipient_channel }
            | Self::ChannelFailure { recipient_channel } => out.put_u32(recipient_channel),
        }
    }

    /// The message as a payload of its own.
    pub fn to_payload(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        self.write(&mut payload);
        payload
    }

    /// The message number, 80 to 100.
    pub const fn number(&self) -> u8 {
        match self {
            Self::GlobalRequest(_) => SSH_MSG_GLOBAL_REQUEST,
            Self::RequestSuccess { .. } => SSH_MSG_REQUEST_SUCCESS,
            Self::RequestFailure => SSH_MSG_REQUEST_FAILURE,
            Self::ChannelOpen(_) => SSH_MSG_CHANNEL_OPEN,
            Self::OpenConfirmation(_) => SSH_MSG_CHANNEL_OPEN_CONFIRMATION,
            Self::OpenFailure(_) => SSH_MSG_CHANNEL_OPEN_FAILURE,
            Self::WindowAdjust { .. } => SSH_MSG_CHANNEL_WINDOW_ADJUST,
            Self::Data { .. } => SSH_MSG_CHANNEL_DATA,
            Self::ExtendedData { .. } => SSH_MSG_CHANNEL_EXTENDED_DATA,
            Self::Eof { .. } => SSH_MSG_CHANNEL_EOF,
            Self::Close { .. } => SSH_MSG_CHANNEL_CLOSE,
            Self::ChannelRequest(_) => SSH_MSG_CHANNEL_REQUEST,
            Self::ChannelSuccess { .. } => SSH_MSG_CHANNEL_SUCCESS,
            Self::ChannelFailure { .. } => SSH_MSG_CHANNEL_FAILURE,
        }
    }

    /// The message's name as RFC 4254 §9 lists it, without `SSH_MSG_`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::GlobalRequest(_) => "GLOBAL_REQUEST",
            Self::RequestSuccess { .. } => "REQUEST_SUCCESS",
            Self::RequestFailure => "REQUEST_FAILURE",
            Self::ChannelOpen(_) => "CHANNEL_OPEN",
            Self::OpenConfirmation(_) => "CHANNEL_OPEN_CONFIRMATION",
            Self::OpenFailure(_) => "CHANNEL_OPEN_FAILURE",
            Self::WindowAdjust { .. } => "CHANNEL_WINDOW_ADJUST",
            Self::Data { .. } => "CHANNEL_DATA",
            Self::ExtendedData { .. } => "CHANNEL_EXTENDED_DATA",
            Self::Eof { .. } => "CHANNEL_EOF",
            Self::Close { .. } => "CHANNEL_CLOSE",
            Self::ChannelRequest(_) => "CHANNEL_REQUEST",
            Self::ChannelSuccess { .. } => "CHANNEL_SUCCESS",
            Self::ChannelFailure { .. } => "CHANNEL_FAILURE",
        }
    }
}

fn recipient(r: &mut Reader<'_>) -> Result<u32, Malformed> {
    r.u32("recipient channel")
}
