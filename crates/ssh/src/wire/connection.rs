//! Messages of the connection protocol: every one of RFC 4254, `break` of RFC 4335, and the
//! additions of OpenSSH's PROTOCOL (`eow`, `no-more-sessions`, `hostkeys-00`, `hostkeys-prove-00`,
//! `keepalive`, stream-local forwarding, `auth-agent`, `tun`).
//!
//! A message borrows from the payload it was parsed from and writes back the same bytes.
//! Channel types and request types that nobody here knows keep their name and their bytes, so
//! that they can be judged by name and passed on.
//!
//! What it deliberately does not do: remember anything. Whether a message may come now is the
//! business of [`crate::connection`].
//!
//! ```
//! use bartizan_ssh::wire::connection::{ChannelRequest, Message, RequestType};
//!
//! let request = Message::ChannelRequest(ChannelRequest {
//!     recipient_channel: 3,
//!     want_reply: true,
//!     request_type: RequestType::Exec { command: b"uptime" },
//! });
//! let payload = request.to_payload();
//! assert_eq!(payload, b"\x62\0\0\0\x03\0\0\0\x04exec\x01\0\0\0\x06uptime");
//! assert_eq!(Message::parse(&payload)?, request);
//! # Ok::<(), bartizan_ssh::wire::connection::MessageError>(())
//! ```

mod global;
mod message;
mod number;
mod open;
mod pty;
mod request;
mod signal;

pub use global::{GlobalKind, GlobalRequest, GlobalRequestType, HostKeyBlobs};
pub use message::{Message, MessageError};
pub use number::*;
pub use open::{ChannelKind, ChannelOpen, ChannelType, OpenConfirmation, OpenFailure, OpenFailureReason};
pub use pty::{PtyMode, PtyModes, PtyRequest};
pub use request::{ChannelRequest, ExitSignal, RequestKind, RequestType, WindowSize, X11Cookie, X11Request};
pub use signal::Signal;

use super::{Malformed, Reader};

/// `data_type_code` of data for standard error (RFC 4254 §5.2).
pub const EXTENDED_DATA_STDERR: u32 = 1;

/// Reads the name of a channel type, request or signal.
///
/// Names are printable US-ASCII and at most 64 bytes (RFC 4250 §4.6.1). It matters: a name with a
/// NUL or another spelling of itself could mean one thing to us and another to the peer that acts
/// on it.
fn name<'a>(reader: &mut Reader<'a>, what: &'static str) -> Result<&'a str, Malformed> {
    let name = reader.text(what)?;
    let legal = (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic());
    if legal { Ok(name) } else { Err(Malformed::new(what)) }
}

#[cfg(test)]
mod tests;
