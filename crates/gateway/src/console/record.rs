//! The console's own session: its events and its recording, from the start to the end.
//!
//! The stages of any session without those that concern a target: `session.start` is durable and the recording
//! begun before anything is shown; every command is durable before it is carried out. What a session shows that
//! the console's `ssh` opens is in that session's own recording; here a mark says which.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bartizan_access::Authenticated;
use bartizan_audit::{LogError, Pending};
use bartizan_decode::Observed;
use bartizan_model::event::Body;
use bartizan_model::{
    CONSOLE, LoginName, PermissionSet, Recording, SessionId, SessionSummary, TargetName, Timestamp, Way,
    escape,
};
use bartizan_record::{RecordError, SessionMeta, SessionRecorder, Stream};

use super::{Console, Terminal};
use crate::emergency::{self, EndPromise, Receipts};
use crate::hop;
use crate::live::Vitals;
use crate::parts::Shared;
use crate::relay::Ended;
use crate::session;
use crate::trail::Trail;

/// The ordinal of the console's only channel.
const CHANNEL: u32 = 0;
/// Bytes of a line that an event holds, before escaping.
const LINE_BYTES: usize = 8 * 1024;

/// Why a console did not come to be. The text is for the person.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoConsole {
    #[error("the console is closed to you: {0}")]
    NotRecognized(#[from] bartizan_access::Rejected),
    #[error("the audit log cannot be written, so no console can open; please tell an operator")]
    Log(#[from] LogError),
    #[error("the recording cannot be written ({0}), so no console can open; please tell an operator")]
    Record(#[from] RecordError),
    #[error("no console can open: the disk for recordings is nearly full ({0}); please tell an operator")]
    Space(String),
    #[error("internal error")]
    Name,
}

/// The console's session while it lives.
pub(super) struct Record {
    pub(super) session: SessionId,
    pub(super) started: Timestamp,
    /// What listings say of the session.
    pub(super) summary: SessionSummary,
    /// Events of this session.
    trail: Trail,
    recorder: SessionRecorder,
    clock: Instant,
    /// Events that nothing waits for one by one; the next command does.
    receipts: RefCell<Receipts>,
    promise: EndPromise,
    bytes_in: Cell<u64>,
    bytes_out: Cell<u64>,
    /// How it goes, for who looks from elsewhere.
    pub(super) vitals: Arc<Vitals>,
}

impl Record {
    /// Begins the session: durable in the log, then recorded.
    pub(super) async fn begin(console: &Console) -> Result<Rc<Self>, NoConsole> {
        let Console { who, source, client, shared, terminal, .. } = console;
        let (session, clock) = (SessionId::new(), Instant::now());
        let (target, login) = names(who)?;
        let trail = console.trail.clone().towards(target.clone(), login.clone());
        shared.directory().recognizes(who, Timestamp::now()).inspect_err(|why| {
            let body = Body::AccessDeny {
                action: "console".into(),
                detail: None,
                reason: why.to_string(),
                rules: Vec::new(),
            };
            // Refused either way.
            drop(trail.denied(body));
        })?;
        if let Some(reason) = emergency::shortage(shared) {
            let (action, detail, rules) = ("console".into(), None, Vec::new());
            let deny = Body::AccessDeny { action, detail, reason: format!("space: {reason}"), rules };
            drop(trail.denied(deny));
            return Err(NoConsole::Space(reason));
        }
        let trail = trail.in_session(session);
        let promise = EndPromise::new(&trail);
        promise.opened();
        let policy = Recording::default();
        let start = Body::SessionStart {
            way: Way::Console,
            allow: PermissionSet::default(),
            channel_cap: policy.channel_cap,
            input: policy.input,
            client: client.clone(),
        };
        trail.note(start)?.await?;
        let started = Timestamp::now();
        let names = (who.person().clone(), login.clone(), target.clone());
        let summary = SessionSummary::begin(session, names, Way::Console, *source, started);
        let meta = meta(session, started, *source, (who, target, login), client, shared);
        let recorder = match shared.recordings.begin(meta, policy).await {
            Ok(recorder) => recorder,
            Err(error) => {
                let ended = Ended::before_relay(format!("recording failed: {error}"));
                session::close(None, ended, clock, &trail).await;
                return Err(error.into());
            }
        };
        let (bytes_in, bytes_out) = Default::default();
        let (receipts, vitals) = (RefCell::default(), trail.vitals());
        let record = Self {
            session,
            started,
            summary,
            trail,
            recorder,
            clock,
            receipts,
            promise,
            bytes_in,
            bytes_out,
            vitals,
        };
        record.vitals.alive(hop::now());
        record.open_channel(terminal.as_ref())?;
        Ok(Rc::new(record))
    }

    fn open_channel(&self, terminal: Option<&Terminal>) -> Result<(), LogError> {
        self.recorder.open_channel(CHANNEL, "session", self.now());
        let open = Body::ChannelOpen {
            channel: CHANNEL,
            kind: "session".into(),
            from: "client".into(),
            detail: None,
            reason: None,
        };
        self.queued(self.trail.note(open)?);
        if let Some(Terminal { term, size, .. }) = terminal {
            let request = Body::ChannelRequest {
                channel: CHANNEL,
                request: "pty-req".into(),
                detail: Some(format!("{} {}x{}", escape(term), size.cols, size.rows)),
                reason: None,
            };
            self.queued(self.trail.note(request)?);
            self.recorder.set_pty(CHANNEL, term, size.cols, size.rows, self.now());
        }
        Ok(())
    }

    fn now(&self) -> Duration {
        self.clock.elapsed()
    }

    fn queued(&self, event: Pending) {
        self.receipts.borrow_mut().push(event);
    }

    /// Waits for all events so far.
    async fn settled(&self) -> Result<(), LogError> {
        poll_fn(|cx| self.receipts.borrow_mut().poll_settled(cx, &self.promise)).await
    }

    /// Logs a command; durable when this returns, with all before it.
    pub(super) async fn command(&self, line: &[u8]) -> Result<(), LogError> {
        self.settled().await?;
        let command = escape(&line[..line.len().min(LINE_BYTES)]);
        let body = Body::ConsoleCommand { command, length: line.len() as u64 };
        self.trail.note(body)?.await.map(drop)
    }

    /// Logs that the SFTP root was asked for; durable when this returns.
    pub(super) async fn subsystem(&self, name: &str) -> Result<(), LogError> {
        let body = Body::Command {
            channel: CHANNEL,
            request: "subsystem".into(),
            command: name.into(),
            length: name.len() as u64,
            sha256: None,
            pty: false,
        };
        self.trail.note(body)?.await.map(drop)
    }

    /// Logs what a decoder has seen.
    pub(super) fn observed(&self, seen: Observed) -> Result<(), LogError> {
        self.queued(self.trail.unhurried(seen.outcome, seen.severity, seen.body)?);
        Ok(())
    }

    /// Logs that something was refused.
    pub(super) fn denied(&self, action: &str, detail: String, reason: String) -> Result<(), LogError> {
        let body =
            Body::AccessDeny { action: action.into(), detail: Some(detail), reason, rules: Vec::new() };
        self.queued(self.trail.denied(body)?);
        Ok(())
    }

    /// Records bytes that the person sent to the console.
    pub(super) fn input(&self, bytes: &[u8]) {
        self.bytes_in.update(|sum| sum + bytes.len() as u64);
        self.vitals.passed(self.bytes_in.get(), self.bytes_out.get(), hop::now());
        self.recorder.data(CHANNEL, Stream::Input, self.now(), bytes);
    }

    /// Records bytes on their way to the person, when there is room for them.
    pub(super) async fn output(&self, stream: Stream, bytes: &[u8]) {
        self.room().await;
        self.output_now(stream, bytes);
    }

    /// Whether bytes may be recorded without waiting.
    pub(super) fn has_room(&self) -> bool {
        self.recorder.has_room()
    }

    /// Waits until bytes may be recorded.
    pub(super) async fn room(&self) {
        if !self.has_room() {
            self.recorder.room().await;
        }
    }

    /// Records bytes on their way to the person. The caller has seen that there is room.
    pub(super) fn output_now(&self, stream: Stream, bytes: &[u8]) {
        self.bytes_out.update(|sum| sum + bytes.len() as u64);
        self.vitals.passed(self.bytes_in.get(), self.bytes_out.get(), hop::now());
        self.recorder.data(CHANNEL, stream, self.now(), bytes);
    }

    pub(super) fn resize(&self, cols: u32, rows: u32) {
        self.recorder.resize(CHANNEL, cols, rows, self.now());
    }

    /// Says in the recording what cannot be seen in it.
    pub(super) fn mark(&self, text: &str) {
        self.recorder.marker(CHANNEL, text, self.now());
    }

    /// Waits until the session cannot be recorded or logged any more; says why.
    pub(super) async fn failure(&self) -> Failure {
        tokio::select! {
            error = self.recorder.failure() => Failure::Record(error),
            error = self.trail.log().failed() => Failure::Log(error),
        }
    }

    /// Closes the recording and logs the end.
    pub(super) async fn close(&self, reason: String, broken: bool, exit_status: Option<u32>) {
        if let Ok(digests) = self.recorder.close_channel(CHANNEL, self.now()).await {
            let body = Body::ChannelClose {
                channel: CHANNEL,
                kind: "session".into(),
                input: digests.input,
                output: digests.output,
                error: digests.error,
                exit_status,
                exit_signal: None,
                duration_us: u64::try_from(self.now().as_micros()).unwrap_or(u64::MAX),
            };
            match self.trail.channel_over(body) {
                Ok(pending) => self.receipts.borrow_mut().push_end(pending),
                Err(error) => tracing::error!(%error, "the end of a console's channel could not be logged"),
            }
        }
        let (truncated, reason) = match self.settled().await {
            Ok(()) => (broken || self.recorder.failed().is_some(), reason),
            Err(error) => (true, format!("{reason}; not all of it is logged: {error}")),
        };
        let ended = Ended {
            reason,
            relayed: true,
            truncated,
            exit_status,
            bytes_in: self.bytes_in.get(),
            bytes_out: self.bytes_out.get(),
        };
        session::close(Some(&self.recorder), ended, self.clock, &self.trail).await;
    }
}

/// Why a console must end although the person is well.
#[derive(Debug)]
pub(super) enum Failure {
    Record(RecordError),
    Log(LogError),
}

/// What stands in place of target and login: the console, and the person themselves.
fn names(who: &Authenticated) -> Result<(TargetName, LoginName), NoConsole> {
    let target = TargetName::new(CONSOLE).map_err(|_| NoConsole::Name)?;
    let login = LoginName::new(who.person().as_str()).map_err(|_| NoConsole::Name)?;
    Ok((target, login))
}

fn meta(
    session: SessionId,
    started: Timestamp,
    source: SocketAddr,
    (who, target, login): (&Authenticated, TargetName, LoginName),
    client: &str,
    shared: &Shared,
) -> SessionMeta {
    SessionMeta {
        session,
        started,
        person: who.person().clone(),
        login,
        target,
        way: Way::Console,
        source,
        node: shared.node.clone(),
        client: client.to_owned(),
    }
}
