//! What one session is: who goes where, as whom, and what policy permits it.

use std::net::SocketAddr;

use bartizan_access::{Authenticated, Permit};
use bartizan_model::{LoginName, SessionId, Target, Way};

/// A permitted session before it begins. Wrapped in [`bartizan_audit::Logged`] it is the dialler's ticket:
/// the log mints that only when `session.start` is durable.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    /// The audit key.
    pub(crate) session: SessionId,
    /// Who.
    pub(crate) who: Authenticated,
    /// As which account.
    pub(crate) login: LoginName,
    /// Where: the resolved target, so that nothing downstream looks up another.
    pub(crate) target: Target,
    /// What policy permits, and what it demands.
    pub(crate) permit: Permit,
    /// How it came in.
    pub(crate) way: Way,
    /// From where.
    pub(crate) source: SocketAddr,
}
