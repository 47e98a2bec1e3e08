//! The SSH protocol, sans-IO, in both roles.
//!
//! Bytes in, packets out; packets in, bytes out. No sockets, no clock, no runtime: the caller
//! moves the bytes and says what time it is. Cryptography comes from aws-lc-rs, file formats of
//! keys from ssh-key; everything on the wire is here.
//!
//! ```text
//!   socket bytes ⇄ transport::Transport ⇄ payloads ⇄ auth::{ServerAuth, ClientAuth}   (until authenticated)
//!                                                  ⇄ connection::Relay                 (two transports, passed through)
//!                                                  ⇄ connection::Endpoint              (we own the channels)
//!   bytes of a channel ⇄ sftp::Root ⇄ bytes of other channels                          (SFTP, served by other servers)
//! ```
//!
//! What this crate must not know: people, targets, policy, recordings, files, tokio.

pub mod auth;
pub mod connection;
pub mod key;
pub mod sftp;
pub mod transport;
pub mod wire;
