//! The small JSON files of a recording, and the names of all its files.
//!
//! ```text
//! recordings/01990c2e-7d1a-7c3e-9f52-0242ac120002/
//!     meta.json              who, where, when; durable before the session's first byte
//!     channel-0.cast.zst     a channel with a terminal: asciicast v2 in zstd frames
//!     channel-0.cast.idx     where each frame begins
//!     channel-1.bytes.zst    a channel without: its bytes in both directions, with times
//!     manifest.json          every file with length and SHA-256; its presence says that the recording is closed
//! ```

use std::net::SocketAddr;

use bartizan_model::{
    ChannelDigest, LoginName, NodeId, PersonName, Recording, RecordingFile, SessionId, TargetName, Timestamp,
    Way,
};
use serde::{Deserialize, Serialize};

/// The name of the file with a [`SessionMeta`].
pub const META: &str = "meta.json";
/// The name of the file with a [`Manifest`].
pub const MANIFEST: &str = "manifest.json";
/// The name that a manifest has until the recording is closed: space reserved for it, or, when a crash left the
/// recording, the manifest as the log already binds it.
pub const MANIFEST_UNFINISHED: &str = "manifest.json.new";
/// Longest `meta.json` or `manifest.json` that is read, in bytes.
pub(crate) const MAX_JSON_BYTES: u64 = 64 << 20;

/// What is known about a session when its recording begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionMeta {
    /// The audit key; also the name of the folder.
    pub session: SessionId,
    /// When the session started, by the wall clock. Times inside the recording count from here.
    pub started: Timestamp,
    /// Who.
    pub person: PersonName,
    /// As which account.
    pub login: LoginName,
    /// On which target.
    pub target: TargetName,
    /// How the session came in.
    pub way: Way,
    /// From where.
    pub source: SocketAddr,
    /// On which node.
    pub node: NodeId,
    /// The client's identification, escaped.
    pub client: String,
}

/// `meta.json`: the session and what the grant says about its recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MetaFile {
    pub(crate) version: u32,
    #[serde(flatten)]
    pub(crate) session: SessionMeta,
    pub(crate) record: Recording,
}

/// How a recording was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Closed {
    /// By its session's end: it is whole.
    Ended,
    /// Afterwards, because the server had stopped or the disk had failed: the last second may be missing.
    Truncated,
}

/// `manifest.json`: what belongs to the recording. Bound to the audit log by its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this format: 1.
    pub version: u32,
    /// The session. The folder's name where `meta.json` could not be read.
    pub session: SessionId,
    /// How the recording was closed.
    pub closed: Closed,
    /// Every other file, in the order of their names.
    pub files: Vec<RecordingFile>,
    /// Every channel that was opened, in order; empty when [`Closed::Truncated`], since only the live writer knows.
    pub channels: Vec<ManifestChannel>,
}

/// One channel as the manifest lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestChannel {
    /// The channel's ordinal in the session.
    pub channel: u32,
    /// Its type (RFC 4254 §5.1), escaped.
    pub kind: String,
    /// Whether it had a terminal.
    pub pty: bool,
    /// When it was opened, in microseconds since the session started.
    pub opened_us: u64,
    /// When it was closed, in microseconds since the session started.
    pub closed_us: u64,
    /// What passed.
    #[serde(flatten)]
    pub digests: ChannelDigests,
}

/// What passed through a channel, whether or not it was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelDigests {
    /// Client to target.
    pub input: ChannelDigest,
    /// Target to client, standard output.
    pub output: ChannelDigest,
    /// Target to client, standard error and other extended data.
    pub error: ChannelDigest,
}

/// The two formats of a channel's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Format {
    /// Bytes in both directions. First, so that bytes before a `pty-req` sort before the terminal.
    Bytes,
    /// asciicast v2.
    Cast,
}

impl Format {
    pub(crate) fn file(self, channel: u32) -> String {
        match self {
            Self::Bytes => format!("channel-{channel}.bytes.zst"),
            Self::Cast => format!("channel-{channel}.cast.zst"),
        }
    }

    pub(crate) fn index(self, channel: u32) -> String {
        match self {
            Self::Bytes => format!("channel-{channel}.bytes.idx"),
            Self::Cast => format!("channel-{channel}.cast.idx"),
        }
    }

    /// Reads a file's name back; `None` for any that [`Self::file`] does not give.
    pub(crate) fn parse(name: &str) -> Option<(u32, Self)> {
        let (number, format) = name.strip_prefix("channel-")?.split_once('.')?;
        let channel: u32 = number.parse().ok()?;
        let format = match format {
            "bytes.zst" => Self::Bytes,
            "cast.zst" => Self::Cast,
            _ => return None,
        };
        (format.file(channel) == name).then_some((channel, format))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_read_back_and_others_do_not() {
        for channel in [0, 7, u32::MAX] {
            for format in [Format::Bytes, Format::Cast] {
                assert_eq!(Format::parse(&format.file(channel)), Some((channel, format)));
                assert_eq!(Format::parse(&format.index(channel)), None);
            }
        }
        for foreign in
            ["channel-00.cast.zst", "channel-+1.cast.zst", "channel-1.cast", "meta.json", "channel-.cast.zst"]
        {
            assert_eq!(Format::parse(foreign), None);
        }
    }
}
