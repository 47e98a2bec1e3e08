//! The events of a session, and what becomes of them.

use std::task::{Context, Poll};

use bartizan_audit::{LogError, Pending};
use bartizan_model::event::{Body, Outcome, Severity};
use bartizan_ssh::connection::relay::{ChannelKey, Side};
use bartizan_ssh::wire::connection::{ChannelOpen, RequestType};

use super::super::describe;
use super::{Host, ordinal};

/// Events about things that cost a peer nothing to repeat (unknown requests, signals, refused variables) are
/// written up to this number in a session; then one event says that there were more.
pub(super) const NOTES: u32 = 500;
/// The same for channels and terminals that are refused. Notes do not take their room.
pub(super) const REFUSALS: u32 = 500;

/// How many events of a kind a session still writes one by one.
pub(super) struct Budget(u32);

/// What is left of a [`Budget`] for an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spent {
    /// It is written.
    One,
    /// In its place is written that there are more.
    Last,
    /// Nothing is written.
    Nothing,
}

impl Budget {
    pub(super) const fn new(events: u32) -> Self {
        Self(events)
    }

    const fn spend(&mut self) -> Spent {
        let left = self.0;
        self.0 = left.saturating_sub(1);
        match left {
            0 => Spent::Nothing,
            1 => Spent::Last,
            _ => Spent::One,
        }
    }
}

impl Host {
    pub(in crate::relay) fn submit(
        &mut self,
        outcome: Outcome,
        severity: Severity,
        body: Body,
    ) -> Option<Pending> {
        self.queued(self.trail.submit(outcome, severity, body))
    }

    pub(super) fn queued(&mut self, event: Result<Pending, LogError>) -> Option<Pending> {
        match event {
            Ok(pending) => Some(pending),
            Err(error) => {
                self.failure.get_or_insert(error.into());
                None
            }
        }
    }

    /// Queues an event that nothing waits for; the session ends if it is refused.
    pub(in crate::relay) fn tell(&mut self, outcome: Outcome, severity: Severity, body: Body) {
        let pending = self.queued(self.trail.unhurried(outcome, severity, body));
        pending.into_iter().for_each(|pending| self.receipts.push(pending));
    }

    pub(in crate::relay) fn note(&mut self, body: Body) {
        self.tell(Outcome::Success, Severity::Info, body);
    }

    /// Logs what the decoders have seen.
    pub(super) fn observed(&mut self) {
        for seen in self.observers.take() {
            self.tell(seen.outcome, seen.severity, seen.body);
        }
    }

    pub(super) fn denied(&mut self, body: Body) {
        self.tell(Outcome::Denied, Severity::Notice, body);
    }

    /// Logs the end of a channel, which has its room also on a full disk.
    pub(in crate::relay) fn channel_over(&mut self, body: Body) {
        let pending = self.queued(self.trail.channel_over(body));
        pending.into_iter().for_each(|pending| self.receipts.push_end(pending));
    }

    /// Looks what became of events that nothing waits for.
    ///
    /// # Errors
    /// When one was refused: what it told of has happened, so the session must end.
    pub(in crate::relay) fn poll_receipts(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LogError>> {
        self.receipts.poll(cx, &self.promise)
    }

    /// As [`Self::poll_receipts`], without those that no full disk refuses.
    ///
    /// # Errors
    /// When one was refused.
    pub(in crate::relay) fn poll_settled(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LogError>> {
        self.receipts.poll_settled(cx, &self.promise)
    }

    /// Takes one from the budget of cheap events; the last one says that there are more.
    pub(in crate::relay) fn may_note(&mut self) -> bool {
        let spent = self.notes.spend();
        if spent == Spent::Last {
            let what = "more requests than are logged one by one".to_owned();
            let detail = format!("{NOTES} of unknown or repeated kinds were logged, later ones are not");
            self.tell(Outcome::Success, Severity::Notice, Body::Anomaly { what, detail });
        }
        spent == Spent::One
    }

    /// Logs a refusal that costs a peer nothing to repeat; the last one in the budget says that there are more.
    pub(in crate::relay) fn refused(&mut self, body: Body) {
        match self.refusals.spend() {
            Spent::One => self.denied(body),
            Spent::Last => {
                let what = "more refusals than are logged one by one".to_owned();
                let detail = format!("{REFUSALS} of channels and terminals were logged, later ones are not");
                self.denied(Body::Anomaly { what, detail });
            }
            Spent::Nothing => {}
        }
    }

    /// Logs that a channel was asked for, and why it is refused.
    pub(super) fn refused_event(&mut self, from: Side, ordinal: u32, open: &ChannelOpen<'_>, reason: String) {
        self.refused(open_body(from, ordinal, open, Some(reason)));
    }

    pub(super) fn request_event(
        &mut self,
        key: ChannelKey,
        request: &RequestType<'_>,
        reason: Option<String>,
    ) {
        if !self.may_note() {
            return;
        }
        let denied = reason.is_some();
        let body = Body::ChannelRequest {
            channel: ordinal(key),
            request: request.name().to_owned(),
            detail: describe::request(request),
            reason,
        };
        if denied { self.denied(body) } else { self.note(body) }
    }
}

/// The event that a channel was asked for; `reason` says why it is refused.
pub(super) fn open_body(from: Side, ordinal: u32, open: &ChannelOpen<'_>, reason: Option<String>) -> Body {
    Body::ChannelOpen {
        channel: ordinal,
        kind: open.channel_type.name().to_owned(),
        from: from.to_string(),
        detail: describe::channel(&open.channel_type),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_spent_once_and_says_so_once() {
        let mut budget = Budget::new(3);
        let spent: Vec<_> = (0..1000).map(|_| budget.spend()).collect();
        assert_eq!(spent[..3], [Spent::One, Spent::One, Spent::Last]);
        assert!(spent[3..].iter().all(|spent| *spent == Spent::Nothing));
    }
}
