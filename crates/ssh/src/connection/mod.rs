//! The connection protocol (RFC 4254): channels, windows, requests, for one who stands between two
//! ends and for one who is an end.
//!
//! - [`Relay`]: messages of one client and one target pass through unchanged, channel numbers and
//!   window adjustments included. It keeps the books, asks its host, and answers in place where
//!   the host says so.
//! - [`Endpoint`]: we own the channels. Windows are credited only as bytes are consumed.
//!
//! Both are state machines without I/O: payloads in (message number first, as a transport decrypts
//! them), payloads out through a sink. Neither buffers channel data, so memory is bounded by the
//! number of channels and of requests without reply, both of which have limits.
//!
//! What they deliberately do not do: encrypt, wait, decide who may do what, or answer transport
//! messages. [`ConnectionError::Unimplemented`] tells the owner to send `SSH_MSG_UNIMPLEMENTED`.

mod channel_key;
pub mod endpoint;
mod error;
#[cfg(test)]
mod model;
mod progress;
pub mod relay;

pub use channel_key::{ChannelKey, DataKind};
pub use endpoint::{Endpoint, EndpointConfig, EndpointEvent, PacketSink};
pub use error::ConnectionError;
pub use relay::{Flow, Output, Relay, RelayError, RelayHost, RelayLimits, Side};
