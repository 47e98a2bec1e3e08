//! The ways in which a target can fail, in the words the person reads.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bartizan_model::event::{Body, Severity};
use bartizan_model::{Fingerprint, Target, TargetName, escape};

use super::HostCertificateFault;
use crate::hop::HopError;

/// Why a target was not reached. The message is shown to the person, and says what to do where they can do something.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// The name has no address.
    #[error("the name {host} does not resolve: {error}")]
    Resolve {
        /// The host as the target's record has it.
        host: String,
        /// The resolver's words.
        error: io::Error,
    },
    /// No address accepted a connection; this is the last one's answer.
    #[error("{address} cannot be reached: {error}")]
    Dial {
        /// The last address tried.
        address: SocketAddr,
        /// Why not.
        error: io::Error,
    },
    /// A stage took too long.
    #[error("no answer within {} s while trying to {stage}", .patience.as_secs())]
    TimedOut {
        /// What was tried.
        stage: &'static str,
        /// How long we waited.
        patience: Duration,
    },
    /// The target's SSH server ended the handshake, or nothing could be agreed upon.
    #[error("the SSH handshake failed: {0}")]
    Handshake(HopError),
    /// The target showed another key than the one it is known by. No credential was sent.
    #[error(
        "its HOST KEY IS NOT THE ONE KNOWN ({shown} was shown, {} is known). It may have been reinstalled, or someone \
         may be impersonating it. No credential was sent. Ask an operator to check the new key and then to register it \
         (bartizan target remove, bartizan target add --host-key)", list(.known)
    )]
    HostKeyChanged {
        /// What it showed.
        shown: Fingerprint,
        /// What it is known by.
        known: Vec<Fingerprint>,
    },
    /// The target showed no host certificate that its CA vouches for. No credential was sent.
    #[error("it is known by a host CA, and {error}. No credential was sent")]
    HostCertificate {
        /// The certified (or plain) key that was shown.
        shown: Fingerprint,
        /// Why it is not believed.
        error: Box<HostCertificateFault>,
        /// The target's record, for advice.
        target: Box<Target>,
    },
    /// What the directory says of the target's key cannot be used.
    #[error("what is registered as its host key cannot be read: {0}")]
    BadRecord(String),
    /// The target's record is another one by now. No stored credential was sent.
    #[error(
        "the record of {target} was changed while it was being reached. No stored credential was sent. Try again"
    )]
    Moved {
        /// The target.
        target: TargetName,
    },
    /// The target refused our credentials.
    #[error(
        "it refused Bartizan's credentials for login {login} (it offers: {left}). The login must exist there, and the target must \
         trust Bartizan's user CA (TrustedUserCAKeys, see: bartizan ca show user)"
    )]
    Refused {
        /// The login.
        login: String,
        /// The methods it would go on with, escaped.
        left: String,
    },
    /// The target refused what an operator stored for this login.
    #[error(
        "it refused the {what} for login {login} (it offers: {left}). An operator can set it anew (bartizan target \
         credential set {target} --login {login} --password-stdin, or --key-file FILE) or remove it, so that a certificate is used again"
    )]
    StoredRefused {
        /// What it was.
        what: String,
        /// The login.
        login: String,
        /// The methods it would go on with, escaped.
        left: String,
        /// The target.
        target: TargetName,
    },
    /// The stored password was right, and must be changed.
    #[error(
        "the stored password for login {login} has expired there. It must be changed on the target, and then set anew \
         (bartizan target credential set {target} --login {login} --password-stdin)"
    )]
    PasswordExpired {
        /// The login.
        login: String,
        /// The target.
        target: TargetName,
    },
    /// An operator set that the person's own agent logs in here, and there is none.
    #[error(
        "login {login} there takes the keys of your own agent: ssh -A PERSON@BARTIZAN, and at its prompt: ssh {login}@{target}"
    )]
    AgentNeeded {
        /// The login.
        login: String,
        /// The target.
        target: TargetName,
    },
    /// The person's agent is to log in, and cannot.
    #[error("your forwarded agent cannot log in: {error}")]
    AgentFailed {
        /// Why.
        error: String,
    },
    /// The connection broke while we logged in.
    #[error("the login failed: {0}")]
    Login(HopError),
    /// The target broke the authentication protocol.
    #[error("its answers to our login make no sense: {0}")]
    AuthProtocol(String),
    /// Our own fault: a credential could not be made, a pin not stored, the log not written.
    #[error("Bartizan could not {what}: {error}")]
    Ours {
        /// What failed.
        what: &'static str,
        /// Why.
        error: String,
    },
}

impl ConnectError {
    /// The stage as `upstream.fail` names it.
    pub(crate) const fn stage(&self) -> &'static str {
        match self {
            Self::Resolve { .. } => "resolve",
            Self::Dial { .. } => "connect",
            Self::TimedOut { stage, .. } => stage,
            Self::Handshake(_) => "handshake",
            Self::HostKeyChanged { .. } | Self::HostCertificate { .. } | Self::BadRecord(_) => "host_key",
            Self::Refused { .. }
            | Self::Moved { .. }
            | Self::StoredRefused { .. }
            | Self::PasswordExpired { .. }
            | Self::AgentNeeded { .. }
            | Self::AgentFailed { .. }
            | Self::Login(_)
            | Self::AuthProtocol(_) => "authenticate",
            Self::Ours { .. } => "internal",
        }
    }

    /// What the log says of it.
    pub(crate) fn event(&self) -> (Severity, Body) {
        let severity = if self.host_key().is_some() { Severity::High } else { Severity::Notice };
        let body = Body::UpstreamFail {
            stage: self.stage().into(),
            reason: escape(self.to_string().as_bytes()),
            host_key: self.host_key(),
        };
        (severity, body)
    }

    /// What an operator can do, where the message does not say so itself.
    pub(crate) fn advice(&self) -> Option<String> {
        let fixed = match self {
            Self::Resolve { .. } => Some(
                "check the name in `bartizan target show`, and what the machine that Bartizan runs on resolves it to",
            ),
            Self::TimedOut { stage, .. } if matches!(stage.as_bytes(), b"resolve") => {
                Some("check the resolver of the machine that Bartizan runs on")
            }
            Self::Dial { .. } => Some(
                "check that an SSH server listens there, and that firewalls let Bartizan's machine through",
            ),
            Self::TimedOut { .. } | Self::Handshake(_) => Some(
                "check that what answers there is an SSH server and not overloaded: `ssh -v` from Bartizan's machine",
            ),
            Self::HostCertificate { error, target, .. } => return Some(error.advice(target)),
            Self::BadRecord(_) => Some("remove the target and add it again with --host-key"),
            Self::Login(_) | Self::AuthProtocol(_) => {
                Some("the target's own log says more: journalctl -u ssh")
            }
            Self::Ours { .. } => Some("see the server's log"),
            Self::AgentFailed { .. }
            | Self::AgentNeeded { .. }
            | Self::HostKeyChanged { .. }
            | Self::Moved { .. }
            | Self::PasswordExpired { .. }
            | Self::Refused { .. }
            | Self::StoredRefused { .. } => None,
        };
        fixed.map(str::to_owned)
    }

    /// The host key that was shown, where that is what the failure is about.
    pub(crate) const fn host_key(&self) -> Option<Fingerprint> {
        match self {
            Self::HostKeyChanged { shown, .. } | Self::HostCertificate { shown, .. } => Some(*shown),
            _ => None,
        }
    }
}

pub(super) fn list(fingerprints: &[Fingerprint]) -> String {
    fingerprints.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
}
