//! The gateway in this process, a real OpenSSH server behind it, a real OpenSSH client before it.
//!
//! What needs the whole product is in the workspace's end-to-end tests; here is what needs a hand inside: events as
//! they were logged, disks that fail on demand.

#![expect(clippy::unwrap_used, reason = "what a test cannot set up fails it")]

mod faults;
mod fixture;
mod sessions;
mod strangers;
