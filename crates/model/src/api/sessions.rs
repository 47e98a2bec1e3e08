//! Sessions: which there are, what the log tells of one, and how one is ended.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{
    ChannelDigest, Fingerprint, LoginName, PermissionSet, PersonName, Recording, RecordingFile, SessionState,
    SessionSummary, SourceNetwork, TargetName, Timestamp,
};

/// `GET /v1/sessions`: which sessions, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionSearch {
    /// Of this person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<PersonName>,
    /// As this account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<LoginName>,
    /// On this target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetName>,
    /// In this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<SessionState>,
    /// From an address of this network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceNetwork>,
    /// Started at this time or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Started before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Most to return; at most 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Go on after a page: its `next`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
}

/// `GET /v1/sessions/ID`: all that the log tells about a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionDetail {
    /// The session.
    #[serde(flatten)]
    pub session: SessionSummary,
    /// What it may do.
    pub allow: PermissionSet,
    /// What is recorded of it.
    pub record: Recording,
    /// The client's identification, escaped.
    pub client: String,
    /// Our connection to the target, once it stood.
    pub upstream: Option<UpstreamDetail>,
    /// Its channels in the order they were asked for.
    pub channels: Vec<ChannelDetail>,
    /// The recording's files, once it is closed.
    pub recording: Vec<RecordingFile>,
}

/// The target's side of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamDetail {
    /// The address dialled.
    pub address: SocketAddr,
    /// The target's host key.
    pub host_key: Fingerprint,
    /// How it was verified.
    pub verified: String,
    /// What we logged in with.
    pub credential: String,
    /// The target's identification, escaped.
    pub server: String,
}

/// A channel of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelDetail {
    /// Ordinal in the session, from 0.
    pub channel: u32,
    /// Its type, escaped.
    pub kind: String,
    /// What was run on it: `exec`, `shell` or `subsystem`.
    pub request: Option<String>,
    /// The command or the subsystem's name, escaped.
    pub command: Option<String>,
    /// Whether it has a terminal.
    pub pty: bool,
    /// Why it was refused, where it was.
    pub refused: Option<String>,
    /// Exit status.
    pub exit_status: Option<u32>,
    /// Signal that ended the command.
    pub exit_signal: Option<String>,
    /// How long it was open, in microseconds; none while it is.
    pub duration_us: Option<u64>,
    /// Client to target.
    pub input: Option<ChannelDigest>,
    /// Target to client, standard output.
    pub output: Option<ChannelDigest>,
    /// Target to client, standard error and other extended data.
    pub error: Option<ChannelDigest>,
}

/// `POST /v1/sessions/ID/reads`: a recording is about to be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingReading {
    /// `play` or `export FORMAT`.
    pub how: String,
}

/// `POST /v1/sessions/ID/terminate`: ends a live session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionTermination {
    /// What the person is told. At most 256 bytes of it are used.
    pub reason: String,
}
