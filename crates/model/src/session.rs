//! Sessions as listings show them.

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{LoginName, PersonName, SessionId, TargetName, Timestamp};

/// How a session came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Through `ProxyJump`: an inner connection inside a `direct-tcpip` channel.
    ProxyJump,
    /// By the user name (`root@web-1`).
    UserName,
    /// At the console (`ssh alice@bastion`): the console's own session, and those that its `ssh` opens.
    Console,
}

/// The name that consoles have in place of a target: no target may be called so.
pub const CONSOLE: &str = "bartizan";

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ProxyJump => "proxy_jump",
            Self::UserName => "user_name",
            Self::Console => "console",
        })
    }
}

/// Where a session is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionState {
    /// Running.
    Live,
    /// Over, its recording complete.
    Ended,
    /// Over without its end on record: the recording goes up to the last second before.
    Truncated,
}

impl fmt::Display for SessionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Live => "live",
            Self::Ended => "ended",
            Self::Truncated => "truncated",
        })
    }
}

/// One row of `session list`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionSummary {
    /// The audit key.
    pub id: SessionId,
    /// Who.
    pub person: PersonName,
    /// As which account.
    pub login: LoginName,
    /// Where.
    pub target: TargetName,
    /// Whether it runs.
    pub state: SessionState,
    /// How it came in.
    pub way: Way,
    /// From where.
    pub source: SocketAddr,
    /// When it started.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Bytes from client to target.
    pub bytes_in: u64,
    /// Bytes from target to client.
    pub bytes_out: u64,
    /// Exit status of the first session channel that had one.
    pub exit_status: Option<u32>,
    /// Why it ended.
    pub reason: Option<String>,
    /// Whether it passed by a break-glass grant where others were refused or ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub break_glass: bool,
    /// When retention removed its recording.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<Timestamp>,
}

impl SessionSummary {
    /// A session that begins.
    pub fn begin(
        id: SessionId,
        (person, login, target): (PersonName, LoginName, TargetName),
        way: Way,
        source: SocketAddr,
        started: Timestamp,
    ) -> Self {
        Self {
            id,
            person,
            login,
            target,
            state: SessionState::Live,
            way,
            source,
            started,
            ended: None,
            bytes_in: 0,
            bytes_out: 0,
            exit_status: None,
            reason: None,
            break_glass: false,
            removed: None,
        }
    }
}
