//! Fixtures for tests against the real thing: OpenSSH servers and clients, PostgreSQL, a running Bartizan, byte
//! patterns, and the rules of the workspace.
//!
//! For development only; no shipped crate depends on it. It knows Bartizan from outside: the two
//! programs, their command lines and what stock SSH clients see. A fixture that cannot be made panics
//! with everything it knows, because the test that asked for it cannot go on.
//!
//! ```text
//!   SshClient ──ssh -J──► Bartizan (bartizand serve) ──► OpenSshServer (sshd -D -e)
//!       │                     ▲                               ▲
//!       └──── direct ─────────┼───────────────────────────────┘   the same scenario without us
//!                        bartizan CLI
//! ```
//!
//! Every program started here is ended by its process id when its fixture is dropped.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a fixture that cannot be made fails the test that asked for it, with the reason"
)]

mod bartizan;
mod client;
mod disk;
mod keygen;
mod pattern;
mod postgres;
mod process;
mod rules;
mod run;
mod sshd;

pub use bartizan::{Bartizan, BartizanOptions, programs, target_folder};
pub use client::SshClient;
pub use disk::SmallDisk;
pub use keygen::{Certify, KeyPair, KeyType};
pub use pattern::{Pattern, sha256};
pub use postgres::PostgresServer;
pub use process::{Server, children, cpu_time, forget_peak, kill_tree, peak_bytes, resident_bytes, whoami};
pub use rules::{Edges, Rule, Rules, workspace_edges};
pub use run::{Finished, eventually, run, run_with_input, shell};
pub use sshd::{OpenSshServer, SshdOptions};
