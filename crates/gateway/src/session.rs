//! One session, stage by stage: the table of the design as code, and nothing else.
//!
//! | stage | gives |
//! |---|---|
//! | authorize | a [`Grant`], or a reason |
//! | log | `Logged<Grant>`: `session.start` is durable |
//! | record | a recorder, before any channel can be confirmed |
//! | connect | an authenticated hop to the target, its host key verified |
//! | relay | until one end leaves |
//! | close | `session.end` with the digests of every recording file |

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bartizan_access::{Action, Authenticated, Decision, DenyReason, Request};
use bartizan_audit::{LogError, Logged, Pending};
use bartizan_model::event::{Body, Outcome, Severity};
use bartizan_model::{GrantId, LoginName, RecordingFile, SessionId, SessionSummary, Timestamp, Way};
use bartizan_record::{RecordError, SessionMeta, SessionRecorder};
use bartizan_ssh::key::HostKey;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::spawn_local;

pub(crate) use crate::destination::Destination;
use crate::destination::moved;
use crate::emergency::{self, EndPromise};
use crate::grant::Grant;
use crate::hop::Hop;
use crate::identify::client_of;
use crate::own::AgentDoor;
use crate::parts::Shared;
use crate::refuse::{self, Refusal};
use crate::relay::{self, Ended};
use crate::trail::Trail;
use crate::upstream::{self, Stage, Upstream};

/// An identified person on the way to a login on a target.
pub(crate) struct Visit {
    pub(crate) who: Authenticated,
    pub(crate) source: SocketAddr,
    pub(crate) way: Way,
    pub(crate) login: LoginName,
    pub(crate) destination: Destination,
    /// The person's forwarded agent, where there is one to log in upstream with.
    pub(crate) agent: Option<AgentDoor>,
    pub(crate) trail: Trail,
    /// The host keys of the hop towards the client.
    pub(crate) host_keys: Vec<HostKey>,
}

impl Visit {
    /// What listings say of the session that it becomes.
    fn summary(&self, session: SessionId, grant: &Grant) -> SessionSummary {
        let who = (self.who.person().clone(), self.login.clone(), grant.target.name.clone());
        SessionSummary::begin(session, who, self.way, self.source, Timestamp::now())
    }
}

/// Runs a session from the decision to its end. The client is told in its own terms when it does not come to be.
pub(crate) async fn run<S: AsyncRead + AsyncWrite + Unpin + 'static>(
    client: Hop<S>,
    visit: Visit,
    shared: Arc<Shared>,
) {
    let started = Instant::now();
    let (session, client_name) = (SessionId::new(), client_of(&client));
    if shared.is_draining() {
        let refused = visit.trail.denied(deny_event(Refusal::Stopping.to_string(), Vec::new()));
        let refusal = refused.map_or_else(Refusal::Log, |_| Refusal::Stopping);
        return refuse::explain(client, &refusal).await;
    }
    let (target_trail, authorized) = authorize(&visit, session, &shared);
    let Authorized { grant, emergency } = match authorized {
        Ok(authorized) => authorized,
        Err(refusal) => return refuse::explain(client, &refusal).await,
    };
    let trail = target_trail.in_session(session);
    if emergency.is_some() {
        trail.declare_emergency();
    }
    // The promise is kept until the end is on record; the session counts as live until its relay is over.
    let mut lives = shared.live.enter(visit.summary(session, &grant), trail.vitals());
    let promise = Rc::new(EndPromise::new(&trail));
    let grant = match log_start(grant, &client_name, &trail).await {
        Ok(grant) => grant,
        Err(error) => return refuse::explain(client, &error.into()).await,
    };
    let (recorder, lapsed) = match record(&grant, emergency, client_name, &shared, &trail).await {
        Ok((recorder, lapsed)) => (Rc::new(recorder), lapsed),
        Err(refusal) => {
            close(None, Ended::before_relay(refusal.reason()), started, &trail).await;
            return refuse::explain(client, &refusal).await;
        }
    };
    let stage = Stage::default();
    let connected = tokio::select! {
        // Looked at first each time: nothing more is shown to a target once one of them says so.
        biased;
        ended = relay::ended_early(grant.as_ref(), &recorder, &trail, &mut lives, &shared) => {
            Err(broken_off(ended, &stage, &trail))
        }
        refusal = moved(&grant.as_ref().target, &shared) => Err(broken_off(refusal, &stage, &trail)),
        // On the heap, and gone with its end: a session lasts, and connecting takes much room.
        connected = Box::pin(connect(&grant, visit.agent.as_ref(), &shared, &trail, &stage)) => connected,
    };
    let (upstream, connected) = match connected {
        Ok(upstream) => upstream,
        Err(refusal) => {
            close(Some(&recorder), Ended::before_relay(refusal.reason()), started, &trail).await;
            return refuse::explain(client, &refusal).await;
        }
    };
    let relay = relay::Session {
        grant: grant.into_inner(),
        trail: trail.clone(),
        recorder: recorder.clone(),
        started,
        host_keys: visit.host_keys,
        lapsed,
        lives,
        promise: promise.clone(),
        connected,
        shared,
    };
    // In a task of its own: should it panic, this session alone ends, and its end is on record.
    let ended = match spawn_local(relay::run(client, upstream.hop, relay)).await {
        Ok(ended) => ended,
        Err(error) => {
            tracing::error!(%session, %error, "a relay ended by a panic");
            Ended::broken_off("internal error".into())
        }
    };
    close(Some(&recorder), ended, started, &trail).await;
}

/// What people in live sessions are told when the server drains; nothing, where no time is left to act on it.
pub(crate) fn drain_notice(patience: Duration) -> Option<String> {
    let seconds = patience.as_secs();
    let notice =
        || format!("bartizan: the server is going to stop. This session ends in {seconds} s; please finish.");
    (seconds > 0).then(notice)
}

/// What policy permits, and on which terms.
struct Authorized {
    grant: Grant,
    /// What fails, where the session passes by break-glass grants alone.
    emergency: Option<String>,
}

/// Asks policy about the resolved target. Gives the trail towards it too, as far as it is known.
fn authorize(visit: &Visit, session: SessionId, shared: &Shared) -> (Trail, Result<Authorized, Refusal>) {
    let directory = shared.directory();
    let trail = visit.trail.clone().towards(visit.destination.name().clone(), visit.login.clone());
    let target = match visit.destination.resolve(&directory) {
        Ok(target) => target,
        Err((reason, refusal)) => {
            let deny = deny_event(reason.into(), Vec::new());
            return (trail.clone(), Err(trail.denied(deny).map_or_else(Refusal::Log, |_| refusal)));
        }
    };
    let request = Request {
        target: &target.name,
        login: &visit.login,
        action: Action::Connect,
        source: visit.source.ip(),
        forward: None,
    };
    let permit = match directory.judge(&visit.who, &request, Timestamp::now()) {
        Decision::Permit(permit) => permit,
        Decision::Deny(denial) => {
            let reason = denial.reason.to_string();
            let deny = deny_event(reason.clone(), denial.rules.clone());
            let hint = match denial.reason {
                DenyReason::NoRule => format!(" (ask an operator for a grant to {})", visit.who.person()),
                _ => String::new(),
            };
            let refusal =
                || Refusal::Denied { login: visit.login.clone(), target: target.name.clone(), reason, hint };
            let refusal = trail.denied(deny).map_or_else(Refusal::Log, |_| refusal());
            return (trail, Err(refusal));
        }
    };
    let emergency = emergency::shortage(shared);
    let permit = match &emergency {
        None => permit,
        Some(reason) => match emergency::pass(&directory, &visit.who, &request, &permit) {
            Some(permit) => permit,
            None => {
                let deny = deny_event(format!("space: {reason}"), Vec::new());
                let refusal = || Refusal::Space(reason.clone());
                let refusal = trail.denied(deny).map_or_else(Refusal::Log, |_| refusal());
                return (trail, Err(refusal));
            }
        },
    };
    let body = Body::AccessPermit { rules: permit.rules().to_vec(), allow: permit.allow().clone() };
    // The beginning of the session follows at once, and is waited for.
    if let Err(error) = trail.unhurried(Outcome::Success, Severity::Info, body) {
        return (trail, Err(error.into()));
    }
    let Visit { who, login, way, source, .. } = visit;
    let grant =
        Grant { session, who: who.clone(), login: login.clone(), target, permit, way: *way, source: *source };
    (trail, Ok(Authorized { grant, emergency }))
}

fn deny_event(reason: String, rules: Vec<bartizan_model::GrantId>) -> Body {
    Body::AccessDeny { action: "connect".into(), detail: None, reason, rules }
}

/// Makes the beginning of the session durable: the dialler's ticket.
async fn log_start(grant: Grant, client: &str, trail: &Trail) -> Result<Logged<Grant>, LogError> {
    let body = Body::SessionStart {
        way: grant.way,
        allow: grant.permit.allow().clone(),
        channel_cap: grant.permit.recording().channel_cap,
        input: grant.permit.recording().input,
        client: client.to_owned(),
    };
    trail.append_for(Severity::Info, body, grant).await
}

/// Begins the recording. A session that passes by break-glass grants goes on where it fails; which of the two it is, is
/// durable before anything is reached. True with one that failed.
async fn record(
    grant: &Logged<Grant>,
    emergency: Option<String>,
    client: String,
    shared: &Shared,
    trail: &Trail,
) -> Result<(SessionRecorder, bool), Refusal> {
    let grant = grant.as_ref();
    let recorder = open_recording(grant, client, shared).await?;
    let lapse = recorder.lapsed();
    let lapsed = lapse.is_some();
    let Some(reason) = emergency.or_else(|| lapse.as_ref().map(ToString::to_string)) else {
        return Ok((recorder, false));
    };
    let directory = shared.directory();
    let permit = emergency::pass(&directory, &grant.who, &emergency::request(grant), &grant.permit);
    let rules: Vec<GrantId> = match (permit, lapse) {
        (Some(permit), _) => permit.rules().to_vec(),
        (None, Some(error)) => return Err(error.into()),
        (None, None) => return Err(Refusal::Space(reason)),
    };
    emergency::declare(trail, &rules, reason, !lapsed)?.await?;
    Ok((recorder, lapsed))
}

async fn open_recording(
    grant: &Grant,
    client: String,
    shared: &Shared,
) -> Result<SessionRecorder, RecordError> {
    let meta = SessionMeta {
        session: grant.session,
        started: Timestamp::now(),
        person: grant.who.person().clone(),
        login: grant.login.clone(),
        target: grant.target.name.clone(),
        way: grant.way,
        source: grant.source,
        node: shared.node.clone(),
        client,
    };
    let policy = grant.permit.recording();
    if grant.permit.break_glass().is_empty() {
        shared.recordings.begin(meta, policy).await
    } else {
        shared.recordings.begin_lenient(meta, policy).await
    }
}

/// Connects upstream, and logs how that went; gives what waits for the disk.
async fn connect(
    grant: &Logged<Grant>,
    agent: Option<&AgentDoor>,
    shared: &Shared,
    trail: &Trail,
    stage: &Stage,
) -> Result<(Upstream, Pending), Refusal> {
    match upstream::connect(grant, agent, shared, trail, stage).await {
        Ok(upstream) => {
            let connected = upstream.connected.clone();
            let pending = trail.unhurried(Outcome::Success, Severity::Info, connected)?;
            Ok((upstream, pending))
        }
        Err(error) => {
            let (severity, body) = error.event();
            let _pending = trail.failed(severity, body)?;
            Err(Refusal::Connect { target: grant.as_ref().target.name.clone(), error })
        }
    }
}

/// Logs how far the way to the target had come when the session had to end; the refusal is why it had to.
fn broken_off(refusal: Refusal, stage: &Stage, trail: &Trail) -> Refusal {
    let Some(stage) = stage.reached() else { return refusal };
    let body = Body::UpstreamFail { stage: stage.into(), reason: refusal.reason(), host_key: None };
    trail.failed(Severity::Notice, body).map_or_else(Refusal::Log, |_| refusal)
}

/// Closes the recording and logs the end, durably.
pub(crate) async fn close(recorder: Option<&SessionRecorder>, ended: Ended, started: Instant, trail: &Trail) {
    let duration_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    let Closed { files, failure } = match recorder {
        Some(recorder) => close_recording(recorder, started.elapsed()).await,
        None => Closed { files: Vec::new(), failure: None },
    };
    let (truncated, reason) = match failure {
        None => (ended.truncated, ended.reason),
        // The session ended because of this very error.
        Some(_) if ended.truncated => (true, ended.reason),
        Some(error) => (true, format!("{}; the recording is not whole: {error}", ended.reason)),
    };
    let mut events = Vec::new();
    if trail.is_emergency() {
        let recorded = recorder.is_some() && !truncated;
        events.push((Outcome::Success, Severity::High, Body::BreakGlassEnd { recorded, duration_us }));
    }
    let (outcome, severity) = match ended.relayed {
        _ if truncated => (Outcome::Failure, Severity::High),
        false => (Outcome::Failure, Severity::Notice),
        true => (Outcome::Success, Severity::Info),
    };
    let body = Body::SessionEnd {
        reason,
        duration_us,
        bytes_in: ended.bytes_in,
        bytes_out: ended.bytes_out,
        exit_status: ended.exit_status,
        truncated,
        recording: files,
    };
    events.push((outcome, severity, body));
    for (outcome, severity, body) in events {
        let logged = match trail.closing(outcome, severity, body) {
            Ok(pending) => pending.await.map(drop),
            Err(error) => Err(error),
        };
        if let Err(error) = logged {
            tracing::error!(%error, "the end of a session could not be logged");
        }
    }
}

/// What became of a recording.
struct Closed {
    /// Its files, for `session.end` to bind.
    files: Vec<RecordingFile>,
    /// Why it is not whole.
    failure: Option<RecordError>,
}

/// Closes a recording, as truncated where it is not whole.
async fn close_recording(recorder: &SessionRecorder, elapsed: Duration) -> Closed {
    match recorder.finish(elapsed).await {
        Ok(files) => Closed { files, failure: None },
        Err(error) => {
            // What cannot be closed even so is closed at the next start.
            let files = recorder.close_truncated().await.unwrap_or_default();
            Closed { files, failure: Some(error) }
        }
    }
}

#[cfg(test)]
mod tests;
