//! The SSH File Transfer Protocol, version 3 with OpenSSH's extensions, for one who serves it by the servers of others.
//!
//! [`Root`] is a server without I/O whose files are on other servers: `/TARGET/LOGIN/…` is the file system of a
//! target as a login sees it, and what lies above are folders of our own.
//!
//! Source: draft-ietf-secsh-filexfer-02, and OpenSSH's `PROTOCOL` for the extensions.

mod packet;
mod path;
mod root;

pub use packet::{BadLength, Status};
pub use root::{Ask, Entry, Order, PlaceId, Root, RootLimits, Violation};
