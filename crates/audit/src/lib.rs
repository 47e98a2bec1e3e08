//! The append-only audit log: append an event, get a receipt once it is durable.
//!
//! ```text
//!  submit ──► queue ──► writer thread ──► journal/…  one write + fdatasync for all that wait
//!  (any thread)              │  ├──► receipts, head (durable from here on)
//!                            ▼
//!                       integrator thread ──► tile/…      C2SP tiles and entry bundles, 256 entries each;
//!                                             checkpoint  signed, once a second; the journal's old segments go
//!  Reader ◄── bundles, and behind them the journal: live or with the server stopped
//! ```
//!
//! Three moments of an event: *sequenced* (in the journal and on the disk: what a [`Receipt`] promises),
//! *integrated* (in an entry bundle, within a second of its bundle being full), *published* (in a signed checkpoint).
//! Recovery after a crash runs through the code of the normal path: what the journal holds is integrated, and
//! the journal goes on in a new segment.
//!
//! The room knows neither SSH nor HTTP nor a database, and it never looks into an event beyond giving
//! it its index. It does not search: that is a projection others build by following a [`Reader`].
//! It does not retry a failed write: the log is poisoned then, and its owner ends what must not go on unlogged.
//!
//! Start with [`Log`]. Tests replace the disk by one that loses, tears and refuses on demand (`src/tests`).

mod backlog;
mod bundle;
mod disk;
mod error;
mod frame;
mod integrate;
mod inventory;
mod journal;
mod layout;
mod log;
mod note;
mod open;
mod origin;
mod promise;
mod proof;
mod publish;
mod queue;
mod reader;
mod receipt;
mod shared;
mod stats;
mod tree;
mod verify;
mod writer;

#[cfg(test)]
mod tests;

pub use error::{FileError, LogError, OpenError, ReadError};
pub use layout::{ENTRIES_PER_BUNDLE, entries_path};
pub use log::{Log, LogOptions};
pub use note::{Checkpoint, CheckpointError, InvalidSeed, InvalidVerifierKey, Signer, VerifierKey};
pub use open::{Cut, Opened, Recovery};
pub use origin::{InvalidOrigin, Origin};
pub use promise::Promise;
pub use proof::{ProofError, ProveError, Proven, open_proof, verify_proof};
pub use queue::Urgency;
pub use reader::{Entry, Reader};
pub use receipt::{Logged, Pending, Receipt};
pub use stats::{LATENCY_BOUNDS, Latency, Stats};
pub use tree::{InvalidTreeHash, TreeHash, TreeHead, verify_consistency, verify_inclusion};
pub use verify::{Verified, VerifyError, verify, verify_since};
