//! How far one end of a channel has come; the same for what it sent and for what it was sent.

use super::ConnectionError;

/// The life of one direction of a channel, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Progress {
    /// `CHANNEL_OPEN` or its confirmation has not been sent.
    Unopened,
    /// Everything may be sent.
    Open,
    /// `CHANNEL_EOF` was sent: no more data, everything else.
    Eof,
    /// `CHANNEL_CLOSE` was sent: nothing more.
    Closed,
}

impl Progress {
    /// Accepts a data message.
    pub(crate) const fn check_data(self, message: &'static str) -> Result<(), ConnectionError> {
        match self {
            Self::Open => Ok(()),
            Self::Eof => Err(ConnectionError::OutOfPlace { message, state: "after CHANNEL_EOF" }),
            Self::Unopened | Self::Closed => self.check_live(message),
        }
    }

    /// Accepts every other message of an open channel: requests, replies, adjustments, EOF, CLOSE.
    pub(crate) const fn check_live(self, message: &'static str) -> Result<(), ConnectionError> {
        match self {
            Self::Open | Self::Eof => Ok(()),
            Self::Unopened => {
                Err(ConnectionError::OutOfPlace { message, state: "before CHANNEL_OPEN_CONFIRMATION" })
            }
            Self::Closed => Err(ConnectionError::OutOfPlace { message, state: "after CHANNEL_CLOSE" }),
        }
    }

    /// Accepts the answer to a `CHANNEL_OPEN`.
    pub(crate) const fn check_unopened(self, message: &'static str) -> Result<(), ConnectionError> {
        match self {
            Self::Unopened => Ok(()),
            Self::Open | Self::Eof | Self::Closed => {
                Err(ConnectionError::OutOfPlace { message, state: "for a channel that is open already" })
            }
        }
    }
}
