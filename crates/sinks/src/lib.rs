//! Followers of the audit log, each with its own durable cursor.
//!
//! ```text
//!   audit log ──Reader──► follower ──► index of the store   (cursor in the same transaction)
//! ```
//!
//! A follower reads the log at least once and in order, from where it was. Nobody waits for it: a follower
//! that is slow or cannot write tries again, and neither an event nor a session is lost by that. The log is
//! the evidence; what followers make of it can be thrown away and made again.
//!
//! Today there is one: the index that searches read ([`IndexFollower`]).

#![forbid(unsafe_code)]

mod index;

pub use index::{IndexFollower, StartError};
