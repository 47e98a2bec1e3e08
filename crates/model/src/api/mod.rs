//! Requests and replies of the admin API.
//!
//! JSON over HTTP/1.1, at first on the Unix socket `admin.sock` of the data folder. Keys travel as the text
//! of their files; the server parses them. A refusal is an [`ErrorReply`] with a fitting status.

mod apply;
mod authorities;
mod certificates;
mod log;
mod people;
mod sessions;
mod targets;

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::{GrantId, LoginName, NodeId, PersonName, TargetName, Timestamp};

pub use apply::{
    ApplyLine, ApplyOptions, ApplyProgress, ApplyReport, DiffOp, FieldDiff, FileFault, RecordDiff,
};
pub use authorities::{CaState, NewCas, NewOwnCa, OwnCa};
pub use certificates::{
    CertificateIssued, CertificateListed, CertificateSearch, CertificatesRevoked, NewCertificate,
    NewRevocation, RevokeWhat,
};
pub use log::{EventSearch, IndexStatus, LogReading};
pub use people::{
    GrantDetail, NewGrant, NewKeys, NewPerson, NewRole, PersonDetail, RemoveOptions, RoleDetail,
};
pub use sessions::{
    ChannelDetail, RecordingReading, SessionDetail, SessionSearch, SessionTermination, UpstreamDetail,
};
pub use targets::{
    CredentialSearch, LabelChange, NewCredential, NewHostKeyTrust, NewTarget, TargetDetail, TargetTest,
    TargetTestStep, TestOutcome, VaultStatus,
};

/// Why a request was refused. Never holds a control character.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorReply {
    /// What happened.
    pub error: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// `GET /v1/status`: what runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The server's version.
    pub version: String,
    /// The node's name.
    pub node: NodeId,
    /// Where SSH clients are accepted.
    pub listen: Vec<SocketAddr>,
    /// The jump host as clients write it, `host` or `host:port`.
    pub public_address: String,
    /// The host keys that Bartizan itself shows, as in `authorized_keys`.
    pub host_keys: Vec<String>,
    /// The CA keys of the host certificates that Bartizan shows for targets, as in `authorized_keys`: all must be trusted.
    pub host_cas: Vec<String>,
    /// When the server started.
    pub started: Timestamp,
}

/// `POST /v1/access/check`: may this person do this now?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessQuestion {
    /// Who.
    pub person: PersonName,
    /// As which account.
    pub login: LoginName,
    /// Where.
    pub target: TargetName,
    /// `connect` or a permission.
    pub action: String,
    /// From where; none asks for the loopback address.
    #[serde(default)]
    pub source: Option<IpAddr>,
    /// With `sftp:read` or `sftp:write`: whether it is permitted for the file of this path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// With `forward:local` or `forward:remote`: whether it is permitted for this destination or listener, `HOST:PORT` or a
    /// socket's path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// The answer of the policy, explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessAnswer {
    /// Whether it is permitted.
    pub permitted: bool,
    /// The rules that decided; empty when none permits.
    pub rules: Vec<GrantId>,
    /// The answer in words.
    pub reason: String,
}

/// One page of a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The items in the order asked for; of a search for texts sometimes fewer than there are.
    pub items: Vec<T>,
    /// Set as `after` in the next request to go on; none when there is no more.
    pub next: Option<u64>,
}
