//! Telling a person why there is no session, in whatever their client shows.
//!
//! The client is authenticated and will open a channel: a session channel gets the text on its standard error and
//! exit status 255, as OpenSSH gives for its own failures; any other channel is refused with it. A client that asks
//! for nothing gets it with the disconnection.

use std::time::Duration;

use bartizan_audit::LogError;
use bartizan_model::{LoginName, TargetName, escape};
use bartizan_record::RecordError;
use bartizan_ssh::connection::DataKind;
use bartizan_ssh::connection::endpoint::{Endpoint, EndpointConfig, EndpointEvent};
use bartizan_ssh::transport::DisconnectReason;
use bartizan_ssh::wire::connection::OpenFailureReason;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use crate::hop::{Hop, HopError, Step};
use crate::upstream::ConnectError;

/// How long we wait for the client to open a channel and then to leave.
const PATIENCE: Duration = Duration::from_secs(10);
/// A goodbye may take so long.
const GOODBYE: Duration = Duration::from_secs(1);
/// Exit status of a client whose connection failed, as OpenSSH has it.
const CONNECTION_FAILED: u32 = 255;

/// Why a session did not come to be. The text is for the person.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// Nobody knows the target.
    #[error("there is no target named {0} (ask an operator: bartizan target list)")]
    UnknownTarget(TargetName),
    /// The target is not where it was when the person asked for it.
    #[error("the target {0} was changed while you connected; please try again")]
    Moved(TargetName),
    /// The session had to end before it was connected.
    #[error("{text}")]
    Ended {
        /// Why, for the log.
        reason: String,
        /// Why, for the person.
        text: String,
    },
    /// Policy says no.
    #[error("access to {login}@{target} denied: {reason}{hint}")]
    Denied {
        /// As which account.
        login: LoginName,
        /// Where.
        target: TargetName,
        /// The policy's reason.
        reason: String,
        /// What would help, if anything; in parentheses, after a space.
        hint: String,
    },
    /// The server drains.
    #[error("the server is stopping; please try again in a moment")]
    Stopping,
    /// There is too little space, so nothing new begins.
    #[error("no session can start: the disk for recordings is nearly full ({0}); please tell an operator")]
    Space(String),
    /// The log can't be written, so nothing new is allowed.
    #[error("the audit log cannot be written, so no session can start; please tell an operator")]
    Log(LogError),
    /// The recording can't be written.
    #[error(
        "the recording cannot be written (disk full or failing), so no session can start; please tell an operator"
    )]
    Record(#[from] RecordError),
    /// The target can't be reached.
    #[error("cannot connect to {target}: {error}")]
    Connect {
        /// The target.
        target: TargetName,
        /// Why.
        error: ConnectError,
    },
}

impl From<LogError> for Refusal {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Full => Self::Space("the audit log has no room".into()),
            error => Self::Log(error),
        }
    }
}

impl Refusal {
    /// The reason for `session.end`, of a session that had begun.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Record(error) => format!("recording failed: {error}"),
            Self::Log(error) => format!("audit log failed: {error}"),
            Self::Ended { reason, .. } => reason.clone(),
            other => other.to_string(),
        }
    }
}

/// Explains, and ends the connection.
pub(crate) async fn explain<S: AsyncRead + AsyncWrite + Unpin>(mut hop: Hop<S>, refusal: &Refusal) {
    let text = format!("bartizan: {}", escape(refusal.to_string().as_bytes()));
    tracing::debug!(%text, "session refused");
    // However that goes, the connection ends with the same words.
    let _ = timeout(PATIENCE, answer(&mut hop, &text)).await;
    hop.disconnect(DisconnectReason::ByApplication, &text, GOODBYE).await;
}

/// Answers until the first session channel was told.
async fn answer<S: AsyncRead + AsyncWrite + Unpin>(hop: &mut Hop<S>, text: &str) -> Result<(), HopError> {
    let mut endpoint =
        Endpoint::new(EndpointConfig { window: 64 << 10, max_channels: 16, ..EndpointConfig::default() });
    let mut told = false;
    loop {
        let Step::Packet(payload) = hop.next().await? else { continue };
        let mut out: Vec<Vec<u8>> = Vec::new();
        // A client that breaks the protocol here is only told to go.
        let Ok(event) = endpoint.on_packet(&payload, &mut out) else { return Ok(()) };
        let done = event.is_some_and(|event| react(&mut endpoint, &event, text, &mut told, &mut out));
        for payload in out {
            hop.send_reply(&payload)?;
        }
        if done {
            return hop.flush().await;
        }
    }
}

/// Reacts to one event; true when the person was told and the channel is closed.
fn react(
    endpoint: &mut Endpoint,
    event: &EndpointEvent<'_>,
    text: &str,
    told: &mut bool,
    out: &mut Vec<Vec<u8>>,
) -> bool {
    use bartizan_ssh::wire::connection::{ChannelType, RequestType};
    let line = format!("{text}\r\n");
    // A channel that is gone needs no answer.
    let _ = match *event {
        EndpointEvent::Open { channel, channel_type: ChannelType::Session } => endpoint.confirm(channel, out),
        EndpointEvent::Open { channel, .. } => {
            endpoint.refuse(channel, OpenFailureReason::ADMINISTRATIVELY_PROHIBITED, text, out)
        }
        EndpointEvent::Request { channel, request_type, want_reply } => {
            let starts = matches!(
                request_type,
                RequestType::Shell | RequestType::Exec { .. } | RequestType::Subsystem { .. }
            );
            let mut result = Ok(());
            if want_reply {
                result = endpoint.reply(channel, true, out);
            }
            if starts && !*told {
                *told = true;
                result = result
                    .and_then(|()| endpoint.data(channel, DataKind::STDERR, line.as_bytes(), out).map(drop))
                    .and_then(|()| endpoint.exit_status(channel, CONNECTION_FAILED, out))
                    .and_then(|()| endpoint.close(channel, out));
            }
            result
        }
        EndpointEvent::GlobalRequest { want_reply: true, .. } => {
            endpoint.reply_global(None, out);
            Ok(())
        }
        EndpointEvent::Data { channel, bytes, .. } => endpoint.consumed(channel, bytes.len(), out),
        EndpointEvent::Closed { .. } => return *told,
        _ => Ok(()),
    };
    false
}
