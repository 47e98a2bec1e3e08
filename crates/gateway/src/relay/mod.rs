//! From two authenticated hops to the end of the session.
//!
//! [`pump`] is the loop, [`carry`] moves the bytes, [`host`] is what the protocol's relay asks and tells, [`judge`] asks policy,
//! [`forward`] keeps what may be forwarded, [`gates`] holds SFTP to the files that are permitted, [`host_keys`] proves our keys to the client. What a session may do is decided nowhere else.

mod carry;
mod describe;
mod forward;
mod gates;
mod host;
mod host_keys;
mod judge;
mod observe;
mod pump;
mod quiet;

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bartizan_audit::{LogError, Pending};
use bartizan_model::SessionId;
use bartizan_record::SessionRecorder;
use bartizan_ssh::connection::relay::{Relay, RelayLimits, Side};
use bartizan_ssh::key::HostKey;
use bartizan_ssh::transport::DisconnectReason;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use self::carry::Both;
use self::host::{Failure, Host};
use self::host_keys::OwnHostKeys;
use self::judge::Judge;
use self::pump::{Pump, Stop};
use self::quiet::Quiet;
use crate::emergency::EndPromise;
use crate::grant::Grant;
use crate::hop::{Hop, HopError, now};
use crate::idle;
use crate::live::Lives;
use crate::parts::Shared;
use crate::refuse::Refusal;
use crate::session;
use crate::trail::Trail;

/// A peer gets so long to take our last words.
const FAREWELL: Duration = Duration::from_secs(2);

/// What a relay left behind when it ended.
pub(crate) struct Ended {
    /// Why, for `session.end`.
    pub(crate) reason: String,
    /// False when it ended before anything was relayed.
    pub(crate) relayed: bool,
    /// True when the recording lacks the end.
    pub(crate) truncated: bool,
    /// Exit status of the first session channel that had one.
    pub(crate) exit_status: Option<u32>,
    /// Bytes from client to target.
    pub(crate) bytes_in: u64,
    /// Bytes from target to client.
    pub(crate) bytes_out: u64,
}

/// Everything a relay needs besides its two hops.
pub(crate) struct Session {
    pub(crate) grant: Grant,
    pub(crate) trail: Trail,
    pub(crate) recorder: Rc<SessionRecorder>,
    pub(crate) started: Instant,
    /// The host keys of the hop towards the client.
    pub(crate) host_keys: Vec<HostKey>,
    /// That the recording has lapsed is on record.
    pub(crate) lapsed: bool,
    /// Its place among the live sessions.
    pub(crate) lives: Lives,
    /// Room in the log for its end.
    pub(crate) promise: Rc<EndPromise>,
    /// The event of the connection to the target.
    pub(crate) connected: Pending,
    pub(crate) shared: Arc<Shared>,
}

/// Relays until one end, a failure or the server ends the session; says goodbye to both ends.
pub(crate) async fn run<S: AsyncRead + AsyncWrite + Unpin>(
    client: Hop<S>,
    target: Hop<TcpStream>,
    session: Session,
) -> Ended {
    let Session {
        grant,
        trail,
        recorder,
        started,
        host_keys,
        mut lapsed,
        mut lives,
        promise,
        connected,
        shared,
    } = session;
    let greeting = shared.settings().banner.then(|| greeting(&trail, &recorder, grant.session));
    let own_keys = OwnHostKeys::new(host_keys, client.transport.session_id().unwrap_or_default());
    let judge = Judge::new(shared.clone(), grant, trail.clone());
    let watch = judge.clone();
    let counts = shared.counts.clone();
    let mut host = Host::new(judge, trail.clone(), recorder.clone(), counts, started, own_keys, promise);
    host.receipts.push(connected);
    let mut pump = Box::new(Pump::new(client, target, Relay::new(RelayLimits::default()), host, greeting));
    pump.announce_host_keys();

    let vitals = trail.vitals();
    vitals.alive(now());
    let stop = {
        let mut ours = Quiet::new(async {
            tokio::select! {
                stop = must_end(&watch, &recorder, &trail, &mut lives, &shared) => stop,
                limit = idle::too_long(&vitals, &shared, &idle::Monotonic) => Stop::Idle(limit),
            }
        });
        let (mut draining, mut told) = (Quiet::new(shared.draining()), false);
        let mut lapse = Quiet::new(recorder.lapse());
        poll_fn(|cx| {
            if !lapsed && let Poll::Ready(error) = lapse.poll(cx) {
                lapsed = true;
                if let Err(stop) = pump.goes_on_unrecorded(error) {
                    return Poll::Ready(stop);
                }
            }
            if !told && let Poll::Ready(patience) = draining.poll(cx) {
                told = true;
                if let Some(notice) = session::drain_notice(patience) {
                    pump.tell(&notice);
                }
            }
            match ours.poll(cx) {
                Poll::Ready(stop) => Poll::Ready(stop),
                Poll::Pending => pump.poll(cx),
            }
        })
        .await
    };
    tracing::debug!(?stop, "relay stopped");
    if let Stop::Revoked(denied) = &stop {
        pump.host.revoked(denied);
    }
    let reason = farewell(&mut pump, stop).await;
    let logged = pump.log_closed().await;
    let truncated = logged.is_err() || recorder.failed().is_some() || recorder.lapsed().is_some();
    let Host { exit_status, bytes_in, bytes_out, .. } = pump.host;
    Ended { reason, relayed: true, truncated, exit_status, bytes_in, bytes_out }
}

/// Waits until the session must end although both peers are well.
async fn must_end(
    watch: &Judge,
    recorder: &SessionRecorder,
    trail: &Trail,
    lives: &mut Lives,
    shared: &Shared,
) -> Stop {
    tokio::select! {
        error = recorder.failure() => Stop::Failure(error.into()),
        error = trail.log().failed() => Stop::Failure(error.into()),
        denied = watch.revoked() => Stop::Revoked(denied),
        reason = lives.terminated() => Stop::Terminated(reason),
        () = shared.stopping() => Stop::Stopping,
    }
}

/// Waits until a session that still connects must end; says why.
///
/// # Cancel safety
/// May be dropped and called again, until it has said so.
pub(crate) async fn ended_early(
    grant: &Grant,
    recorder: &SessionRecorder,
    trail: &Trail,
    lives: &mut Lives,
    shared: &Arc<Shared>,
) -> Refusal {
    let watch = Judge::new(shared.clone(), grant.clone(), trail.clone());
    let stop = must_end(&watch, recorder, trail, lives, shared).await;
    if let Stop::Revoked(denied) = &stop
        && let Err(error) = trail.denied(denied.event())
    {
        return error.into();
    }
    let Words { reason, text, .. } = Words::of(&stop);
    let text = text.strip_prefix("bartizan: ").map_or(text.clone(), str::to_owned);
    Refusal::Ended { reason, text }
}

/// What a person at a terminal is told first.
fn greeting(trail: &Trail, recorder: &SessionRecorder, session: SessionId) -> String {
    let kept = match recorder.lapsed() {
        None => "this session is recorded",
        Some(_) => "this session cannot be recorded; what it does is logged",
    };
    let how =
        if trail.is_emergency() { " It passes by a break-glass grant, and operators are told." } else { "" };
    format!("NOTE: {kept}.{how} Audit key: {session}\r\n")
}

/// Tells both ends what each has to know, in that order, and gives the reason for the log.
async fn farewell<S: AsyncRead + AsyncWrite + Unpin>(pump: &mut Pump<S>, stop: Stop) -> String {
    let words = Words::of(&stop);
    {
        let Pump { client, target, relay, host, .. } = pump;
        let mut out = Both { client, target };
        match &stop {
            Stop::Client(_) => {}
            Stop::Target(_) => relay.lost_target(host, &mut out),
            _ => relay.terminate(&words.text, host, &mut out),
        }
    }
    // What was recorded so far is recorded; what cannot be must not be relayed either: no more is read.
    let (client, target) = (&mut pump.client, &mut pump.target);
    tokio::join!(
        target.disconnect(DisconnectReason::ByApplication, "session ended", FAREWELL),
        client.disconnect(words.to_client, &words.text, FAREWELL),
    );
    words.reason
}

/// What is said at the end of a session, and to whom.
struct Words {
    /// For the log.
    reason: String,
    /// For the person.
    text: String,
    to_client: DisconnectReason,
}

impl Words {
    fn of(stop: &Stop) -> Self {
        let to_client = match stop {
            Stop::Client(_)
            | Stop::Failure(_)
            | Stop::Revoked(_)
            | Stop::Terminated(_)
            | Stop::Idle(_)
            | Stop::Stopping
            | Stop::Internal(_) => DisconnectReason::ByApplication,
            Stop::Target(_) => DisconnectReason::ConnectionLost,
            Stop::Violation(..) => DisconnectReason::ProtocolError,
        };
        let (reason, text) = match stop {
            Stop::Client(HopError::Closed | HopError::Disconnected { reason: 11, .. }) => {
                ("client left".to_owned(), "goodbye".to_owned())
            }
            Stop::Client(error) => (format!("client lost: {error}"), "connection error".to_owned()),
            Stop::Target(error) => {
                (format!("target lost: {error}"), format!("bartizan: the connection to the target was lost: {error}"))
            }
            Stop::Violation(Side::Client, error) => {
                (format!("client broke the protocol: {error}"), format!("bartizan: protocol error: {error}"))
            }
            Stop::Violation(Side::Target, error) => (
                format!("target broke the protocol: {error}"),
                format!("bartizan: the target broke the SSH protocol: {error}"),
            ),
            Stop::Failure(Failure::Record(error)) => (
                format!("recording failed: {error}"),
                "bartizan: this session ends because its recording cannot be written (disk full or failing). \
                 Please tell an operator."
                    .to_owned(),
            ),
            Stop::Failure(Failure::Log(LogError::Full)) => (
                format!("audit log failed: {}", LogError::Full),
                "bartizan: this session ends because the disk is full and nothing more can be logged. \
                 Please tell an operator."
                    .to_owned(),
            ),
            Stop::Failure(Failure::Log(error)) => (
                format!("audit log failed: {error}"),
                "bartizan: this session ends because the audit log cannot be written. Please tell an operator.".to_owned(),
            ),
            Stop::Revoked(denied) => (
                format!("access withdrawn: {}", denied.reason),
                format!("bartizan: this session ends because access was withdrawn: {}", denied.reason),
            ),
            Stop::Terminated(reason) => (
                format!("terminated: {reason}"),
                format!("bartizan: an operator ended this session: {reason}"),
            ),
            Stop::Idle(limit) => {
                let limit = idle::shown(*limit);
                let text = format!("bartizan: this session ends because nothing passed in it for {limit}");
                (format!("idle: no byte passed for {limit}"), text)
            }
            Stop::Stopping => ("server stopped".to_owned(), "bartizan: the server is stopping".to_owned()),
            Stop::Internal(what) => (format!("internal error: {what}"), "bartizan: internal error".to_owned()),
        };
        Self { reason, text, to_client }
    }
}

impl Ended {
    /// A session whose relay broke off by a fault of ours.
    pub(crate) const fn broken_off(reason: String) -> Self {
        Self { reason, relayed: true, truncated: true, exit_status: None, bytes_in: 0, bytes_out: 0 }
    }

    /// A session that ended before anything was relayed.
    pub(crate) const fn before_relay(reason: String) -> Self {
        Self { reason, relayed: false, truncated: false, exit_status: None, bytes_in: 0, bytes_out: 0 }
    }
}
