//! Why a transport ended, by whose fault.

use crate::key::SignatureError;
use crate::wire::Malformed;
use crate::wire::transport::DisconnectReason;

/// Who has to change something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The peer broke the protocol, or somebody changed its bytes on the way.
    Peer,
    /// The peer keeps to the protocol, but nothing is common to both.
    Incompatible,
    /// The caller used the transport against its contract.
    Caller,
    /// We failed: no randomness, a host key that does not sign.
    Ours,
}

/// A transport that ended. A DISCONNECT for the peer is already in the send buffer when it is returned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The peer's first line is not an SSH identification.
    #[error("peer did not identify itself as SSH: {0}")]
    Identification(&'static str),
    /// A message does not parse.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The peer sent something that the protocol forbids at this point.
    #[error("protocol error: {0}")]
    Protocol(&'static str),
    /// A message that the present state does not accept.
    #[error("message {number} is not accepted {during}")]
    Unexpected {
        /// The message number.
        number: u8,
        /// The state, as words after a verb: "before key exchange".
        during: &'static str,
    },
    /// A packet that was damaged, forged or framed wrongly; deliberately not said which.
    #[error("corrupt packet")]
    CorruptPacket,
    /// Both sides are sound, but share no algorithm of one kind.
    #[error("no common {kind}: peer offers {}", .offered.escape_debug())]
    NoCommonAlgorithm {
        /// The list of KEXINIT, as the RFC names it.
        kind: &'static str,
        /// The peer's list. Bytes from a peer: printable ASCII, checked.
        offered: String,
    },
    /// The peer's ephemeral public value is not valid.
    #[error("key exchange failed: invalid public value")]
    KeyExchange,
    /// The server's signature, host key or host certificate is not sound.
    #[error("host key refused: {0}")]
    HostKey(#[source] SignatureError),
    /// The server showed another host key in a later key exchange.
    #[error("host key changed during the connection")]
    HostKeyChanged,
    /// The keys served too long and the peer did not complete a new exchange.
    #[error("key exchange overdue")]
    RekeyOverdue,
    /// A key exchange after the first was not complete after two minutes.
    #[error("key exchange not completed in time")]
    ExchangeTooSlow,
    /// The peer makes us answer and does not read the answers.
    #[error("peer does not read what it asks for")]
    PeerNotReading,
    /// The connection has ended; nothing more comes or goes.
    #[error("connection is closed")]
    Closed,
    /// The transport was used against its contract.
    #[error("misuse: {0}")]
    Misuse(&'static str),
    /// The cryptographic library or our own host key failed.
    #[error("cryptographic failure: {0}")]
    Crypto(&'static str),
}

impl TransportError {
    /// Who has to change something.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Identification(_)
            | Self::Malformed(_)
            | Self::Protocol(_)
            | Self::Unexpected { .. }
            | Self::CorruptPacket
            | Self::KeyExchange
            | Self::HostKey(_)
            | Self::HostKeyChanged
            | Self::RekeyOverdue
            | Self::ExchangeTooSlow
            | Self::PeerNotReading => Fault::Peer,
            Self::NoCommonAlgorithm { .. } => Fault::Incompatible,
            Self::Closed | Self::Misuse(_) => Fault::Caller,
            Self::Crypto(_) => Fault::Ours,
        }
    }

    /// The reason code that the peer is told.
    pub const fn reason(&self) -> DisconnectReason {
        match self {
            Self::Identification(_) => DisconnectReason::ProtocolVersionNotSupported,
            Self::Malformed(_) | Self::Protocol(_) | Self::Unexpected { .. } => {
                DisconnectReason::ProtocolError
            }
            Self::CorruptPacket => DisconnectReason::MacError,
            Self::NoCommonAlgorithm { .. }
            | Self::KeyExchange
            | Self::RekeyOverdue
            | Self::ExchangeTooSlow => DisconnectReason::KeyExchangeFailed,
            Self::HostKey(_) | Self::HostKeyChanged => DisconnectReason::HostKeyNotVerifiable,
            Self::PeerNotReading | Self::Closed | Self::Misuse(_) | Self::Crypto(_) => {
                DisconnectReason::ByApplication
            }
        }
    }

    /// The text that the peer is told: enough to know which end to look at, nothing that helps to guess.
    pub(super) const fn text_for_peer(&self) -> &'static str {
        match self {
            Self::Identification(_) => "invalid SSH identification",
            Self::Malformed(_) | Self::Protocol(_) => "protocol error",
            Self::Unexpected { .. } => "unexpected message",
            Self::CorruptPacket => "corrupt packet",
            Self::NoCommonAlgorithm { .. } => "no common algorithm",
            Self::KeyExchange | Self::RekeyOverdue => "key exchange failed",
            Self::ExchangeTooSlow => "key exchange not completed in time",
            Self::HostKey(_) => "host key not accepted",
            Self::HostKeyChanged => "host key changed",
            Self::PeerNotReading => "replies are not being read",
            Self::Closed | Self::Misuse(_) | Self::Crypto(_) => "internal error",
        }
    }
}
