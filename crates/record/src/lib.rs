//! Recordings: writer, reader, playback, export.
//!
//! ```text
//!  live path                                        afterwards
//!  Recordings ── begin ──→ SessionRecorder          RecordedSession ── events ──→ Playback
//!      │                     │ data, resize, …            │                  └──→ export::{asciicast, …}
//!      │                     ▼                            │
//!      └── writer thread ◄── queue (bounded)              │
//!             │ encode, digest, compress                  │
//!             ▼                                           │
//!      recordings/SESSION/channel-0.cast.zst, … ──────────┘
//! ```
//!
//! A terminal's channel becomes asciicast v2; any other, its exact bytes in both directions up to a cap, and the
//! length and SHA-256 of everything always. Both are rows of zstd frames, written while the session runs: as long
//! as the disk keeps up, at most a second or 64 KiB of a channel is only in memory (when it doesn't, the queue fills
//! and `has_room` holds the session back), and a file cut anywhere reads up to its last whole frame. Output that arrives within 5 ms is one event. When anything cannot be written, that session's recorder fails
//! and says so; the others go on.
//!
//! `FORMAT.md` beside this crate describes the files for people who read them with other tools.
//!
//! This room knows no SSH, no web, no database, and does not decide what is recorded: the grant does. It does not
//! interpret terminal output while a session runs; only the text export does, afterwards.

mod bytes;
mod cast;
mod counted;
mod digest;
pub mod disk;
mod error;
pub mod export;
mod frame;
mod hub;
mod index;
mod meta;
mod orphan;
pub mod playback;
mod queue;
mod reader;
mod recorder;
mod remove;
mod session;
pub mod space;
mod sync;
mod writer;

pub use error::{ReadError, RecordError};
pub use meta::{
    ChannelDigests, Closed, MANIFEST, MANIFEST_UNFINISHED, META, Manifest, ManifestChannel, SessionMeta,
};
pub use orphan::Orphan;
pub use reader::{Condition, Event, Events, RecordedChannel, RecordedSession, What, digest_file};
pub use recorder::{Answer, Gauge, Options, Recordings, SessionRecorder, Stats};
pub use remove::Stored;
pub use sync::MAX_LOGGED_FILES;

/// Which bytes of a channel: from the client, or one of the target's two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// Client to target.
    Input,
    /// Target to client: standard output, and all data of channels that are no sessions.
    Output,
    /// Target to client: standard error and other extended data.
    Error,
}
