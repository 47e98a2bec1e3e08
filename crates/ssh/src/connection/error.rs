//! What a peer can do wrong in the connection protocol.

use crate::wire::Malformed;
use crate::wire::connection::MessageError;
use crate::wire::transport::DisconnectReason;

/// A message that the peer may not send, or not now. Whose fault: the peer's, always.
///
/// The texts name messages, states and numbers, never the peer's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// A message whose fields do not parse.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A message number that RFC 4254 does not define.
    ///
    /// The only one that does not end the connection: the answer is `SSH_MSG_UNIMPLEMENTED`.
    #[error("message {0} is not of the connection protocol")]
    Unimplemented(u8),
    /// A message for a channel that does not exist.
    #[error("{message} for channel {number}, which does not exist")]
    UnknownChannel {
        /// The message's name.
        message: &'static str,
        /// The recipient channel it named.
        number: u32,
    },
    /// A sender channel number that the peer is still using for another channel.
    #[error("channel number {number} is already in use")]
    ChannelNumberInUse {
        /// The number.
        number: u32,
    },
    /// A message that the channel's state does not accept.
    #[error("{message} {state}")]
    OutOfPlace {
        /// The message's name.
        message: &'static str,
        /// The state, as "after CHANNEL_EOF".
        state: &'static str,
    },
    /// More data than the window allows.
    #[error("{length} bytes of data with {window} left in the window")]
    WindowExceeded {
        /// Bytes sent.
        length: u32,
        /// Bytes that were allowed.
        window: u32,
    },
    /// An adjustment that lifts a window above 2³²−1 bytes.
    #[error("window adjusted by {bytes_to_add} to more than 2^32-1 bytes")]
    WindowOverflow {
        /// The adjustment.
        bytes_to_add: u32,
    },
    /// Data longer than the maximum packet size that was announced.
    #[error("{length} bytes of data in one packet, {maximum} allowed")]
    PacketTooLong {
        /// Bytes sent.
        length: u32,
        /// The maximum announced.
        maximum: u32,
    },
    /// More requests await a reply than we keep account of.
    #[error("more than {limit} requests without a reply")]
    TooManyRequests {
        /// The limit.
        limit: usize,
    },
}

impl ConnectionError {
    /// What the peer is told as the connection ends; `None` when it is told `SSH_MSG_UNIMPLEMENTED` instead.
    pub const fn disconnect_reason(&self) -> Option<DisconnectReason> {
        match self {
            Self::Unimplemented(_) => None,
            Self::TooManyRequests { .. } => Some(DisconnectReason::ByApplication),
            Self::Malformed(_)
            | Self::UnknownChannel { .. }
            | Self::ChannelNumberInUse { .. }
            | Self::OutOfPlace { .. }
            | Self::WindowExceeded { .. }
            | Self::WindowOverflow { .. }
            | Self::PacketTooLong { .. } => Some(DisconnectReason::ProtocolError),
        }
    }
}

impl From<MessageError> for ConnectionError {
    fn from(error: MessageError) -> Self {
        match error {
            MessageError::Malformed(malformed) => Self::Malformed(malformed),
            MessageError::Unimplemented(number) => Self::Unimplemented(number),
        }
    }
}
