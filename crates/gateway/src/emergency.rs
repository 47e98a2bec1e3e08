//! When nothing can be kept: who is refused then, and who passes by a break-glass grant, loudly.
//!
//! | what fails | everybody | somebody with a break-glass grant |
//! |---|---|---|
//! | space is below the mark, or the log is full | new sessions are refused | the session begins as an emergency |
//! | the recording of a session, at its beginning or later | the session ends | it becomes an emergency |
//! | the log has no room for an event of a session | the session ends | the same |
//!
//! An emergency is judged by break-glass grants alone, for every channel and request; its events are logged out of the
//! room that the log has reserved for such, `break_glass.start` before anything passes; and whatever passes is digested
//! although it may not be kept.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bartizan_access::{Action, Authenticated, Decision, Directory, Permit, Request};
use bartizan_audit::{LogError, Pending, Promise};
use bartizan_model::event::{Body, Outcome, Severity};
use bartizan_model::{GrantId, Timestamp};
use bartizan_record::space::Level;

use crate::grant::Grant;
use crate::parts::Shared;
use crate::trail::Trail;

/// Most bytes of `session.end` and `break_glass.end` without what channels add.
const SESSION_BYTES: u64 = 4096;
/// Most bytes that a channel adds: its `channel.close`, and its files in `session.end`.
const CHANNEL_BYTES: u64 = 2048;

/// Why nothing new may begin, where there is a reason: space is short.
pub(crate) fn shortage(shared: &Shared) -> Option<String> {
    let measured = shared.space.last();
    if measured.level == Level::Full {
        return Some(measured.space.reason);
    }
    shared.log.is_full().then(|| "the audit log has no room".to_owned())
}

/// What break-glass grants permit by themselves, where `permit` rests on some.
pub(crate) fn pass(
    directory: &Directory,
    who: &Authenticated,
    request: &Request<'_>,
    permit: &Permit,
) -> Option<Permit> {
    if permit.break_glass().is_empty() {
        return None;
    }
    match directory.judge_break_glass(who, request, Timestamp::now()) {
        Decision::Permit(permit) => Some(permit),
        Decision::Deny(_) => None,
    }
}

/// The request that tells whether a session may begin, or go on, as an emergency.
pub(crate) fn request(grant: &Grant) -> Request<'_> {
    Request {
        target: &grant.target.name,
        login: &grant.login,
        action: Action::Continue,
        source: grant.source.ip(),
        forward: None,
    }
}

/// Makes a session an emergency and queues the event that says so. Nothing may pass before it is durable.
///
/// # Errors
/// When the log can't be written.
pub(crate) fn declare(
    trail: &Trail,
    rules: &[GrantId],
    reason: String,
    recorded: bool,
) -> Result<Pending, LogError> {
    trail.declare_emergency();
    let body = Body::BreakGlassStart { rules: rules.to_vec(), reason, recorded };
    trail.submit(Outcome::Success, Severity::High, body)
}

/// Room in the log for the end of a session and its channels, also on a full disk.
pub(crate) struct EndPromise(Promise);

impl EndPromise {
    /// For a session without channels.
    pub(crate) fn new(trail: &Trail) -> Self {
        Self(trail.log().promise(SESSION_BYTES))
    }

    /// A channel more.
    pub(crate) fn opened(&self) {
        self.0.add(CHANNEL_BYTES);
    }

    /// A channel's end is durable; what its files take in `session.end` stays.
    pub(crate) fn closed(&self) {
        self.0.release(CHANNEL_BYTES / 2);
    }
}

/// The events of a session on their way to the disk, the oldest first. One that is refused must end the session, since
/// what it tells of has happened.
#[derive(Default)]
pub(crate) struct Receipts {
    pending: VecDeque<Waiting>,
    /// How many of them a full disk may refuse: those that are no ends.
    refusable: usize,
}

/// One of them.
struct Waiting {
    pending: Pending,
    /// Whether it is the end of a channel, whose room is given back.
    closes: bool,
}

impl Receipts {
    /// Another event.
    pub(crate) fn push(&mut self, pending: Pending) {
        self.refusable += 1;
        self.pending.push_back(Waiting { pending, closes: false });
    }

    /// The end of a channel.
    pub(crate) fn push_end(&mut self, pending: Pending) {
        self.pending.push_back(Waiting { pending, closes: true });
    }

    /// Forgets those that are durable; wakes the task when the oldest of the others is.
    ///
    /// # Errors
    /// When one was refused.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, promise: &EndPromise) -> Poll<Result<(), LogError>> {
        while !self.pending.is_empty() {
            ready!(self.poll_oldest(cx, promise))?;
        }
        Poll::Ready(Ok(()))
    }

    /// As [`Self::poll`], until only ends of channels are left at most. The end of the session, which follows them in
    /// the log, is refused when they are, and durable when they are.
    ///
    /// # Errors
    /// When one was refused.
    pub(crate) fn poll_settled(
        &mut self,
        cx: &mut Context<'_>,
        promise: &EndPromise,
    ) -> Poll<Result<(), LogError>> {
        while self.refusable > 0 {
            ready!(self.poll_oldest(cx, promise))?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_oldest(&mut self, cx: &mut Context<'_>, promise: &EndPromise) -> Poll<Result<(), LogError>> {
        let Some(Waiting { pending, closes }) = self.pending.front_mut() else { return Poll::Ready(Ok(())) };
        let receipt = ready!(Pin::new(pending).poll(cx));
        match *closes {
            true => promise.closed(),
            false => self.refusable -= 1,
        }
        self.pending.pop_front();
        Poll::Ready(receipt.map(drop))
    }
}
