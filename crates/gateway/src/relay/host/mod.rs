//! What the relay asks and tells about one session: judged, logged, recorded.

mod channel;
mod events;
mod held;
mod programs;
mod requests;
#[cfg(test)]
mod tests;

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bartizan_audit::LogError;
use bartizan_model::event::{Outcome, Severity};
use bartizan_record::{RecordError, SessionRecorder, Stream};
use bartizan_ssh::connection::relay::{
    ChannelKey, DataEdit, DataKind, DataVerdict, GlobalVerdict, OpenVerdict, Refusal, RelayHost,
    RequestVerdict, Side, Totals,
};
use bartizan_ssh::wire::connection::{
    ChannelOpen, ChannelRequest, ChannelType, GlobalKind, GlobalRequest, GlobalRequestType,
    OpenFailureReason, RequestKind,
};

use self::channel::Channel;
pub(super) use self::channel::Closing;
use self::events::{Budgets, open_body};
pub(super) use self::held::{Held, HeldMessage};
use super::carry::Pace;
use super::forward::{Change, Forwards};
use super::gates::Gates;
use super::host_keys::OwnHostKeys;
use super::judge::{Denied, Judge};
use super::observe::Observers;
use crate::counts::Counts;
use crate::emergency::{EndPromise, Receipts};
use crate::hop::now;
use crate::live::Vitals;
use crate::trail::Trail;

/// What a client reads of what the log refused.
const UNLOGGED: &str = "bartizan: the audit log cannot be written";

/// Why a session must end although both peers are well.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The audit log can't be written.
    #[error("the audit log cannot be written: {0}")]
    Log(#[from] LogError),
    /// The recording can't be written.
    #[error("the recording cannot be written: {0}")]
    Record(#[from] RecordError),
}

/// So many questions to policy, some hundred microseconds' work, are enough: other sessions wait for the same thread.
pub(super) const QUESTIONS: u32 = 8;

/// So many channels a session opens. A recording can list 65,536 and ends the session that has more.
const CHANNELS: u32 = 60_000;

/// One session, as the relay's owner.
pub(super) struct Host {
    pub(super) judge: Judge,
    trail: Trail,
    pub(super) recorder: Rc<SessionRecorder>,
    counts: Arc<Counts>,
    started: Instant,
    /// The time of the session that passes now; read once for each turn of the pump.
    now: Duration,
    /// The transports' time, likewise.
    clock: Duration,
    /// Questions to policy since the session got the thread, and host keys that were asked for.
    asked: u32,
    /// By [`ChannelKey::slot`].
    channels: Vec<Option<Channel>>,
    /// Channels that were opened, or that somebody tried to open and policy permitted.
    opened: u32,
    /// So many channels one session has.
    most_channels: u32,
    budgets: Budgets,
    pub(super) forwards: Forwards,
    /// Set by a verdict of `Hold`; the pump takes it.
    pub(super) held: Option<Held>,
    /// Interactive channels that have just begun and are to be told that they are recorded.
    pub(super) greet: Vec<ChannelKey>,
    pub(super) closing: Vec<Closing>,
    pub(super) failure: Option<Failure>,
    pub(super) exit_status: Option<u32>,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    vitals: Arc<Vitals>,
    pub(super) host_keys: OwnHostKeys,
    /// Events that nothing waits for one by one.
    pub(super) receipts: Receipts,
    promise: Rc<EndPromise>,
    observers: Observers,
    pub(super) gates: Gates,
}

impl Host {
    pub(super) fn new(
        judge: Judge,
        trail: Trail,
        recorder: Rc<SessionRecorder>,
        counts: Arc<Counts>,
        started: Instant,
        host_keys: OwnHostKeys,
        promise: Rc<EndPromise>,
    ) -> Self {
        let vitals = trail.vitals();
        Self {
            judge,
            trail,
            recorder,
            counts,
            started,
            now: Duration::ZERO,
            clock: now(),
            asked: 0,
            channels: Vec::new(),
            opened: 0,
            most_channels: CHANNELS,
            budgets: Budgets::default(),
            forwards: Forwards::default(),
            held: None,
            greet: Vec::new(),
            closing: Vec::new(),
            failure: None,
            exit_status: None,
            bytes_in: 0,
            bytes_out: 0,
            vitals,
            host_keys,
            receipts: Receipts::default(),
            promise,
            observers: Observers::default(),
            gates: Gates::default(),
        }
    }

    /// Reads the clocks for what passes next.
    pub(super) fn tick(&mut self) {
        self.now = self.started.elapsed();
        self.clock = now();
    }

    /// Other sessions had the thread.
    pub(super) const fn rested(&mut self) {
        self.asked = 0;
    }

    /// Policy was asked so much that other sessions are to have the thread.
    pub(super) const fn must_rest(&self) -> bool {
        self.asked >= QUESTIONS
    }

    /// Policy, which takes its time: a peer that asks again and again has its turn, and others theirs.
    pub(in crate::relay) const fn ask(&mut self) -> &Judge {
        self.asked += 1;
        &self.judge
    }

    /// The session's time at the last tick.
    pub(super) const fn elapsed(&self) -> Duration {
        self.now
    }

    /// True while the audit log has more waiting than it likes.
    pub(super) fn congested(&self) -> bool {
        self.trail.log().congested()
    }

    /// Logs that policy permits the session no longer.
    pub(super) fn revoked(&mut self, denied: &Denied) {
        self.denied(denied.event());
    }

    /// Counts every channel as over. For the end of a session.
    pub(super) fn close_all(&mut self) {
        let keys: Vec<_> = self.channels.iter().flatten().map(|channel| channel.key).collect();
        for key in keys {
            self.closed(key, Totals::default());
        }
    }

    /// Channels with a terminal.
    pub(super) fn terminals(&self) -> Vec<ChannelKey> {
        self.channels.iter().flatten().filter(|channel| channel.pty).map(|channel| channel.key).collect()
    }

    fn channel(&mut self, key: ChannelKey) -> Option<&mut Channel> {
        self.channels.get_mut(key.slot())?.as_mut().filter(|channel| channel.key == key)
    }
}

impl Pace for Host {
    fn clock(&self) -> Duration {
        self.clock
    }

    fn must_pause(&self) -> bool {
        self.failure.is_some() || !self.recorder.has_room() || self.must_rest()
    }
}

impl RelayHost for Host {
    fn channel_open(&mut self, from: Side, key: ChannelKey, open: &ChannelOpen<'_>) -> OpenVerdict {
        let verdict = match from {
            Side::Client => self.client_opens(&open.channel_type),
            Side::Target => self.target_opens(&open.channel_type),
        };
        if let Err(reason) = verdict {
            let text = format!("bartizan: {reason}");
            self.refused_event(from, ordinal(key), open, reason);
            return OpenVerdict::prohibited(text);
        }
        if self.opened >= self.most_channels {
            let reason = "too many channels in one session: reconnect";
            self.refused_event(from, ordinal(key), open, reason.to_owned());
            let (reason, text) = (OpenFailureReason::RESOURCE_SHORTAGE, format!("bartizan: {reason}").into());
            return OpenVerdict::Refuse { reason, text };
        }
        self.opened += 1;
        self.promise.opened();
        let body = open_body(from, ordinal(key), open, None);
        // A session channel reaches nothing before its program, which waits for itself.
        let reaches = open.channel_type != ChannelType::Session;
        let receipt = if reaches {
            self.submit(Outcome::Success, Severity::Info, body)
        } else {
            self.note(body);
            None
        };
        if self.failure.is_some() {
            return OpenVerdict::prohibited(UNLOGGED);
        }
        let kind = open.channel_type.name().to_owned();
        self.recorder.open_channel(ordinal(key), &kind, self.now);
        self.observers.opens(key, ordinal(key), &open.channel_type);
        if self.channels.len() <= key.slot() {
            self.channels.resize_with(key.slot() + 1, || None);
        }
        self.channels[key.slot()] = Some(Channel::new(key, kind, self.now));
        match receipt {
            Some(receipt) if from == Side::Client => {
                self.held = Some(Held { message: HeldMessage::Open(key), receipt });
                OpenVerdict::Hold
            }
            receipt => {
                receipt.into_iter().for_each(|receipt| self.receipts.push(receipt));
                OpenVerdict::Pass
            }
        }
    }

    fn channel_request(
        &mut self,
        from: Side,
        key: ChannelKey,
        request: &ChannelRequest<'_>,
    ) -> RequestVerdict {
        let verdict = match from {
            Side::Client => self.client_request(key, request),
            Side::Target => self.target_request(key, request),
        };
        match &self.failure {
            // What the log refused goes no further.
            Some(_) if matches!(verdict, RequestVerdict::Pass | RequestVerdict::Confirm) => {
                RequestVerdict::Refuse { text: "".into() }
            }
            _ => verdict,
        }
    }

    fn global_request(&mut self, from: Side, request: &GlobalRequest<'_>) -> GlobalVerdict {
        let verdict = match (from, &request.request_type) {
            // The target's keys are ours to verify, not the client's to store.
            (Side::Target, GlobalRequestType::HostKeys(_)) => GlobalVerdict::Swallow,
            (Side::Client, GlobalRequestType::HostKeysProve(blobs)) => {
                self.asked += 1;
                self.host_keys.prove(blobs).map_or(GlobalVerdict::Refuse, GlobalVerdict::Answer)
            }
            (Side::Client, asked) if let Some(change) = Change::asked_by(asked) => {
                self.client_forwards(change, request.want_reply)
            }
            (_, GlobalRequestType::NoMoreSessions | GlobalRequestType::Keepalive) => GlobalVerdict::Pass,
            (_, other) => {
                self.refused_global(from, other);
                GlobalVerdict::Refuse
            }
        };
        match &self.failure {
            // What the log refused goes no further.
            Some(_) if verdict == GlobalVerdict::Pass => GlobalVerdict::Refuse,
            _ => verdict,
        }
    }

    fn edit_data(
        &mut self,
        key: ChannelKey,
        from: Side,
        kind: DataKind,
        bytes: &[u8],
        edit: &mut DataEdit,
    ) -> DataVerdict {
        self.gated(key, from, kind, bytes, edit)
    }

    fn data(&mut self, key: ChannelKey, from: Side, kind: DataKind, bytes: &[u8]) {
        let stream = match (from, kind) {
            (Side::Client, _) => Stream::Input,
            (Side::Target, DataKind::Data) => Stream::Output,
            (Side::Target, DataKind::Extended(_)) => Stream::Error,
        };
        match from {
            Side::Client => {
                self.bytes_in += bytes.len() as u64;
                self.counts.bytes_in(bytes.len());
            }
            Side::Target => {
                self.bytes_out += bytes.len() as u64;
                self.counts.bytes_out(bytes.len());
            }
        }
        self.vitals.passed(self.bytes_in, self.bytes_out, self.clock);
        self.recorder.data(ordinal(key), stream, self.now, bytes);
        self.observers.data(key, from, kind, bytes);
        self.observed();
    }

    fn channel_open_failed(&mut self, key: ChannelKey, _: OpenFailureReason, _: &[u8]) {
        self.closed(key, Totals::default());
    }

    fn channel_refused(&mut self, from: Side, open: &ChannelOpen<'_>, why: Refusal) {
        self.refused_event(from, u32::MAX, open, format!("{why:?}"));
    }

    fn channel_request_reply(&mut self, key: ChannelKey, from: Side, request: RequestKind, ok: bool) {
        if from != Side::Target {
            return;
        }
        match request {
            RequestKind::PtyReq if ok => self.pty_granted(key),
            RequestKind::PtyReq => {
                if let Some(channel) = self.channel(key) {
                    channel.pty_wanted = None;
                }
            }
            RequestKind::Shell | RequestKind::Exec | RequestKind::Subsystem => {
                self.program_answered(key, request, ok);
            }
            _ => {}
        }
    }

    fn global_request_reply(&mut self, from: Side, request: GlobalKind, ok: bool, data: &[u8]) {
        if from == Side::Target
            && let Some(answered) = self.forwards.answered(request, ok, data)
        {
            self.note(answered);
        }
    }

    fn closed(&mut self, key: ChannelKey, _: Totals) {
        let Some(slot) = self.channels.get_mut(key.slot()) else { return };
        let Some(channel) = slot.take_if(|channel| channel.key == key) else { return };
        self.gates.ends(key);
        self.observers.closed(key, channel.exit_status);
        self.observed();
        self.closing.push(Closing {
            channel: ordinal(key),
            kind: channel.kind,
            exit_status: channel.exit_status,
            exit_signal: channel.exit_signal,
            duration: self.now.saturating_sub(channel.opened),
        });
    }
}

/// A channel's ordinal in its session. A session cannot live long enough for more than 2^32 channels to be logged.
pub(super) fn ordinal(key: ChannelKey) -> u32 {
    u32::try_from(key.serial()).unwrap_or(u32::MAX)
}
