//! What ends an authentication.

use crate::wire::Malformed;
use crate::wire::transport::DisconnectReason;

/// Ends the connection. A login that merely fails is no error but an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// The peer sent bytes that are no message.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The peer sent a message that has no place now.
    #[error("message {number} has no place {state}")]
    Unexpected {
        /// The message number.
        number: u8,
        /// What the machine was waiting for.
        state: &'static str,
    },
    /// The peer sent more than is sane.
    #[error("{0} too long")]
    TooLong(&'static str),
    /// The client asked for a service that does not exist here; the name is escaped and cut short.
    #[error("service `{0}` is not available")]
    ServiceNotAvailable(String),
    /// The client has failed too often.
    #[error("too many authentication failures")]
    TooManyTries,
    /// The server keeps on talking instead of deciding.
    #[error("the server sent too many {0}")]
    TooMany(&'static str),
    /// The server's answer is for another key than the one offered.
    #[error("the server accepted a key that was not offered")]
    WrongKeyAccepted,
    /// A key or credential cannot be used as its owner wanted.
    #[error("signing failed: {0}")]
    Signing(crate::key::SignatureError),
    /// The machine's owner did what the protocol does not allow. Nothing was sent.
    #[error("misuse: {0}")]
    Misuse(&'static str),
}

impl AuthError {
    /// What to tell the peer.
    pub const fn disconnect_reason(&self) -> DisconnectReason {
        match self {
            Self::Malformed(_)
            | Self::Unexpected { .. }
            | Self::TooLong(_)
            | Self::TooMany(_)
            | Self::WrongKeyAccepted => DisconnectReason::ProtocolError,
            Self::ServiceNotAvailable(_) => DisconnectReason::ServiceNotAvailable,
            Self::TooManyTries => DisconnectReason::NoMoreAuthMethodsAvailable,
            Self::Signing(_) | Self::Misuse(_) => DisconnectReason::ByApplication,
        }
    }
}
