//! Data types and messages as they stand on the wire (RFC 4251 §5 and the message RFCs).
//!
//! Messages borrow from the packet they were parsed from. Nothing here allocates by a length
//! that was not first checked against the bytes that are really there.

mod primitives;

pub use primitives::{Malformed, NameList, Reader, Writer};

/// Messages of the connection protocol (RFC 4254) and OpenSSH's additions.
pub mod connection;
/// Messages of the transport protocol (RFC 4253, 8308) and OpenSSH's `ping@openssh.com`.
pub mod transport;
/// Messages of the user authentication protocol (RFC 4252, 4256) and OpenSSH's additions.
pub mod userauth;
