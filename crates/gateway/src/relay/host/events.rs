//! The events of a session, and what becomes of them.

use std::task::{Context, Poll};

use bartizan_audit::{LogError, Pending};
use bartizan_model::event::{Body, Outcome, Severity};
use bartizan_ssh::connection::relay::{ChannelKey, Side};
use bartizan_ssh::wire::connection::{ChannelOpen, GlobalRequestType, RequestType};

use super::super::describe;
use super::{Host, ordinal};

/// Refusals of requests that cost a peer nothing to repeat, and what of it nobody knows, are written up to this number
/// in a session; then one event says that there were more, and another one at its end how many.
const NOTES: u32 = 500;
/// The same for channels and terminals that are refused, and for files: neither takes the other's room.
const REFUSALS: u32 = 500;

/// What is said in the place of a budget's last event.
const MORE: &str = "more refusals than are logged one by one";

/// How many events of a kind a session still writes one by one.
pub(super) struct Budget {
    left: u32,
    /// What they are of.
    what: &'static str,
    /// How many were not written.
    unsaid: u64,
}

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
    const fn new(left: u32, what: &'static str) -> Self {
        Self { left, what, unsaid: 0 }
    }

    const fn spend(&mut self) -> Spent {
        let left = self.left;
        self.left = left.saturating_sub(1);
        if left <= 1 {
            self.unsaid += 1;
        }
        match left {
            0 => Spent::Nothing,
            1 => Spent::Last,
            _ => Spent::One,
        }
    }
}

/// The budgets of one session. What is permitted has none: it is always on record.
pub(super) struct Budgets {
    /// Requests.
    notes: Budget,
    /// Channels and terminals.
    refusals: Budget,
    /// Files.
    files: Budget,
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            notes: Budget::new(NOTES, "requests, refused or unknown"),
            refusals: Budget::new(REFUSALS, "channels and terminals that were refused"),
            files: Budget::new(REFUSALS, "files that were refused"),
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

    pub(in crate::relay) fn denied(&mut self, body: Body) {
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

    /// Takes one from a budget; the last one says that there are more.
    fn may(&mut self, of: impl FnOnce(&mut Budgets) -> &mut Budget) -> bool {
        let budget = of(&mut self.budgets);
        let (spent, what) = (budget.spend(), budget.what);
        if spent == Spent::Last {
            let detail = format!("{what}; the session's end says how many");
            self.denied(Body::Anomaly { what: MORE.to_owned(), detail });
        }
        spent == Spent::One
    }

    /// Takes one from the budget of refused and unknown requests.
    pub(in crate::relay) fn may_note(&mut self) -> bool {
        self.may(|budgets| &mut budgets.notes)
    }

    /// Takes one from the budget of refused files.
    pub(in crate::relay) fn may_refuse_file(&mut self) -> bool {
        self.may(|budgets| &mut budgets.files)
    }

    /// Logs a refusal that costs a peer nothing to repeat.
    pub(in crate::relay) fn refused(&mut self, body: Body) {
        if self.may(|budgets| &mut budgets.refusals) {
            self.denied(body);
        }
    }

    /// Logs how many events were not written. For the end of a session.
    pub(in crate::relay) fn tell_unsaid(&mut self) {
        let Budgets { notes, refusals, files } = std::mem::take(&mut self.budgets);
        for Budget { unsaid, what, .. } in [notes, refusals, files] {
            if unsaid > 0 {
                let detail = format!("{unsaid} {what}");
                self.denied(Body::Anomaly { what: "not logged one by one".to_owned(), detail });
            }
        }
    }

    /// Logs that a channel was asked for, and why it is refused.
    pub(super) fn refused_event(&mut self, from: Side, ordinal: u32, open: &ChannelOpen<'_>, reason: String) {
        self.refused(open_body(from, ordinal, open, Some(reason)));
    }

    /// Logs a request that passes: always, whatever else there was.
    pub(super) fn permitted_request(&mut self, key: ChannelKey, request: &RequestType<'_>) {
        self.note(request_body(key, request, None));
    }

    /// Logs a request that is refused.
    pub(super) fn refused_request(&mut self, key: ChannelKey, request: &RequestType<'_>, reason: String) {
        if self.may_note() {
            self.denied(request_body(key, request, Some(reason)));
        }
    }

    /// Logs a global request that nobody knows. How a peer asks whether the other is there is nothing to log.
    pub(super) fn refused_global(&mut self, from: Side, request: &GlobalRequestType<'_>) {
        if !request.name().starts_with("keepalive@") && self.may_note() {
            let detail = format!("{from}: {}", describe::global(request).unwrap_or_default());
            self.denied(Body::Anomaly { what: "an unknown global request was refused".into(), detail });
        }
    }
}

fn request_body(key: ChannelKey, request: &RequestType<'_>, reason: Option<String>) -> Body {
    Body::ChannelRequest {
        channel: ordinal(key),
        request: request.name().to_owned(),
        detail: describe::request(request),
        reason,
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
        let mut budget = Budget::new(3, "things");
        let spent: Vec<_> = (0..1000).map(|_| budget.spend()).collect();
        assert_eq!(spent[..3], [Spent::One, Spent::One, Spent::Last]);
        assert!(spent[3..].iter().all(|spent| *spent == Spent::Nothing));
        assert_eq!(budget.unsaid, 998, "all but the two that were written");
    }
}
