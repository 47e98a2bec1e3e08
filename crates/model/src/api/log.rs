//! The audit log: searches, the index, and reading it whole.

use serde::{Deserialize, Serialize};

use crate::event::{Outcome, Severity};
use crate::{LoginName, PersonName, SessionId, SourceNetwork, TargetName, Timestamp};

/// `GET /v1/events`: which events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventSearch {
    /// Of this type (`session.start`), or of all below it (`session.` or `session.*`).
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Of this person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<PersonName>,
    /// As this account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<LoginName>,
    /// On this target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetName>,
    /// In this session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// From an address of this network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceNetwork>,
    /// At least this severe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// With this outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// At this time or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// With this in its values: words, beginnings (`word*`), exact texts (`"two words"`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// From the start of the log instead of from its end.
    #[serde(default)]
    pub oldest_first: bool,
    /// Most to return; at most 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Go on after a page: its `next`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
}

/// `GET /v1/index`, and the answer to `POST /v1/index/rebuild`: how far the index is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexStatus {
    /// Entries of the log that are in the index: all before this one.
    pub indexed: u64,
    /// Entries of the log.
    pub events: u64,
}

/// `POST /v1/log/reads`: the log is about to be read as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogReading {
    /// What is read: `export FROM`.
    pub query: String,
}
