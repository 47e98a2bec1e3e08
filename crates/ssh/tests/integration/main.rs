//! The crate against real OpenSSH programs. Needs `ssh`, `sshd` and `ssh-keygen` (packages
//! `openssh-client` and `openssh-server`); nothing outside a temporary folder is touched.
//! `BARTIZAN_TEST_OPENSSH=FOLDER` runs it against another version, unpacked there.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod client_auth;
mod client_transport;
mod other_implementations;
mod server_auth;
mod server_transport;
mod wire;
