//! The bounded queue between those who append and the writer thread.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::error::LogError;
use crate::receipt::{Pending, Receipt};

/// Which events go on being logged when the disk is full, out of what was reserved ahead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// None of it: what it would tell of must not happen then.
    #[default]
    Ordinary,
    /// Half of it: those who put things right come in, are judged, and what they do is logged.
    Emergency,
    /// All of it, with what was [promised](crate::Log::promise): the end of what was begun.
    Closing,
}

/// Whether somebody waits for an event to be durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Haste {
    /// Somebody does.
    Awaited,
    /// It may wait for others, up to [`Limits::patience`].
    Unhurried,
}

/// An event that waits for the disk.
pub(crate) struct Waiting {
    /// What may be used for it on a full disk.
    pub(crate) urgency: Urgency,
    haste: Haste,
    /// Since when it waits.
    pub(crate) since: Instant,
    /// Its JSON, without an index.
    pub(crate) json: Vec<u8>,
    /// Who wants to know.
    pub(crate) receipt: oneshot::Sender<Result<Receipt, LogError>>,
}

/// How full the queue may be, and how long an event may wait in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// From this many bytes or events on the queue is congested.
    pub(crate) soft: Limit,
    /// An event that would bring the queue above this is refused.
    pub(crate) hard: Limit,
    /// How long one that nobody waits for stays, for others to share its sync.
    pub(crate) patience: Duration,
}

/// A number of events and of their bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) events: usize,
    pub(crate) bytes: usize,
}

/// The queue. Its lock is held for moments only, never during a write.
pub(crate) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    limits: Limits,
}

struct State {
    waiting: Vec<Waiting>,
    bytes: usize,
    /// How many of those that wait are awaited.
    awaited: usize,
    /// How many were taken last.
    expected: usize,
    /// Why nothing more is taken, when nothing is.
    shut: Option<LogError>,
}

/// How long a taker waits for those who were served with the last. A sync takes several times as long.
const GATHER: Duration = Duration::from_micros(150);
/// [`Limits::patience`] of a log.
pub(crate) const UNHURRIED: Duration = Duration::from_millis(10);

impl Queue {
    pub(crate) fn new(limits: Limits) -> Self {
        let state = State { waiting: Vec::new(), bytes: 0, awaited: 0, expected: 0, shut: None };
        Self { state: Mutex::new(state), filled: Condvar::new(), limits }
    }

    /// Puts an event at the end. Never waits for the disk.
    pub(crate) fn push(&self, json: Vec<u8>, urgency: Urgency, haste: Haste) -> Result<Pending, LogError> {
        let mut state = self.lock();
        if let Some(reason) = &state.shut {
            return Err(reason.clone());
        }
        let waiting = state.waiting.len();
        if waiting >= self.limits.hard.events || state.bytes + json.len() > self.limits.hard.bytes {
            return Err(LogError::Overloaded { waiting });
        }
        let (sender, receiver) = oneshot::channel();
        state.bytes += json.len();
        state.waiting.push(Waiting { urgency, haste, since: Instant::now(), json, receipt: sender });
        let first = haste == Haste::Awaited && state.awaited == 0;
        state.awaited += usize::from(haste == Haste::Awaited);
        let enough = state.awaited > 0 && waiting + 1 == state.expected;
        let wake = waiting == 0 || first || enough || self.is_soft(&state);
        drop(state);
        if wake {
            self.filled.notify_one();
        }
        Ok(Pending::new(receiver))
    }

    /// Takes the events that wait, oldest first, up to `max_bytes` of them but at least one. Waits for one; up to
    /// [`Limits::patience`] for one that is awaited; and a little longer while fewer wait than were taken last.
    ///
    /// Those who had their receipts at once come back at once. Taken without them, the first of them alone would have
    /// a sync of the disk for itself, and all others wait for it.
    ///
    /// None when the queue is shut and empty.
    pub(crate) fn take(&self, max_bytes: usize) -> Option<Vec<Waiting>> {
        let state = self.lock();
        let mut state = self
            .filled
            .wait_while(state, |state| state.waiting.is_empty() && state.shut.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(oldest) = state.waiting.first() {
            let patience = self.limits.patience.saturating_sub(oldest.since.elapsed());
            let unhurried =
                |state: &mut State| state.awaited == 0 && state.shut.is_none() && !self.is_soft(state);
            let waited = self.filled.wait_timeout_while(state, patience, unhurried);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if state.awaited > 0 && state.waiting.len() < state.expected {
            let more = |state: &mut State| state.waiting.len() < state.expected && state.shut.is_none();
            let waited = self.filled.wait_timeout_while(state, GATHER, more);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if state.waiting.is_empty() {
            return None;
        }
        let mut bytes = 0;
        let fits = |waiting: &Waiting| {
            bytes += waiting.json.len();
            bytes <= max_bytes
        };
        let count = state
            .waiting
            .iter()
            .take_while({
                let mut fits = fits;
                move |w| fits(w)
            })
            .count()
            .max(1);
        let rest = state.waiting.split_off(count);
        let taken = std::mem::replace(&mut state.waiting, rest);
        state.bytes -= taken.iter().map(|waiting| waiting.json.len()).sum::<usize>();
        state.awaited = state.waiting.iter().filter(|waiting| waiting.haste == Haste::Awaited).count();
        state.expected = taken.len();
        Some(taken)
    }

    /// True from the soft limit on.
    pub(crate) fn congested(&self) -> bool {
        self.is_soft(&self.lock())
    }

    fn is_soft(&self, state: &State) -> bool {
        state.waiting.len() >= self.limits.soft.events || state.bytes >= self.limits.soft.bytes
    }

    /// Takes nothing more; what waits is still handed out by [`Self::take`]. The first reason stays.
    pub(crate) fn shut(&self, reason: LogError) {
        self.lock().shut.get_or_insert(reason);
        self.filled.notify_all();
    }

    /// Takes nothing more and refuses what waits.
    pub(crate) fn fail(&self, reason: &LogError) {
        let mut state = self.lock();
        state.shut = Some(reason.clone());
        (state.bytes, state.awaited) = (0, 0);
        let refused = std::mem::take(&mut state.waiting);
        drop(state);
        self.filled.notify_all();
        for waiting in refused {
            // Nobody waits any more for some; that is theirs to decide.
            let _ = waiting.receipt.send(Err(reason.clone()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        let (soft, hard) = (Limit { events: 2, bytes: 100 }, Limit { events: 3, bytes: 200 });
        Limits { soft, hard, patience: UNHURRIED }
    }

    fn queue() -> Queue {
        Queue::new(limits())
    }

    #[test]
    fn limits_hold_for_events_and_for_bytes() {
        let q = queue();
        drop(q.push(vec![0; 10], Urgency::Ordinary, Haste::Awaited).unwrap());
        assert!(!q.congested());
        drop(q.push(vec![0; 10], Urgency::Ordinary, Haste::Awaited).unwrap());
        assert!(q.congested());
        drop(q.push(vec![0; 10], Urgency::Ordinary, Haste::Awaited).unwrap());
        assert!(matches!(
            q.push(vec![0], Urgency::Ordinary, Haste::Awaited),
            Err(LogError::Overloaded { waiting: 3 })
        ));
        assert_eq!(q.take(usize::MAX).unwrap().len(), 3);
        assert!(!q.congested());
        drop(q.push(vec![0; 150], Urgency::Ordinary, Haste::Awaited).unwrap());
        assert!(q.congested());
        assert!(matches!(
            q.push(vec![0; 51], Urgency::Ordinary, Haste::Awaited),
            Err(LogError::Overloaded { waiting: 1 })
        ));
        drop(q.push(vec![0; 50], Urgency::Ordinary, Haste::Awaited).unwrap());
    }

    #[test]
    fn a_batch_is_cut_by_bytes_and_order_stays() {
        let q = queue();
        for n in [60, 50, 40] {
            drop(q.push(vec![n; usize::from(n)], Urgency::Ordinary, Haste::Awaited).unwrap());
        }
        let lengths = |taken: Vec<Waiting>| taken.iter().map(|w| w.json.len()).collect::<Vec<_>>();
        assert_eq!(lengths(q.take(1).unwrap()), [60]);
        assert_eq!(lengths(q.take(90).unwrap()), [50, 40]);
    }

    #[test]
    fn a_shut_queue_hands_out_what_waits_and_a_failed_one_refuses_it() {
        let q = queue();
        drop(q.push(vec![1], Urgency::Ordinary, Haste::Awaited).unwrap());
        q.shut(LogError::Closed);
        assert!(matches!(q.push(vec![2], Urgency::Ordinary, Haste::Awaited), Err(LogError::Closed)));
        assert_eq!(q.take(10).unwrap().len(), 1);
        assert!(q.take(10).is_none());

        let q = queue();
        let pending = q.push(vec![1], Urgency::Ordinary, Haste::Awaited).unwrap();
        q.fail(&LogError::Failed("disk".into()));
        assert!(matches!(pending.wait_blocking(), Err(LogError::Failed(_))));
        assert!(q.take(10).is_none());
        assert!(matches!(q.push(vec![2], Urgency::Ordinary, Haste::Awaited), Err(LogError::Failed(_))));
    }

    /// What nobody waits for shares a sync with what comes meanwhile; what somebody waits for takes all along at once.
    #[test]
    fn unhurried_events_wait_for_others() {
        let q = Queue::new(Limits { patience: Duration::from_secs(3600), ..limits() });
        let push = |n: u8, haste| drop(q.push(vec![n], Urgency::Ordinary, haste).unwrap());
        let numbers = |taken: Vec<Waiting>| taken.iter().map(|w| w.json[0]).collect::<Vec<_>>();
        std::thread::scope(|scope| {
            push(1, Haste::Unhurried);
            let taker = scope.spawn(|| q.take(10).unwrap());
            push(2, Haste::Awaited);
            assert_eq!(numbers(taker.join().unwrap()), [1, 2]);
            // As many as make others pause are not left lying, …
            push(3, Haste::Unhurried);
            push(4, Haste::Unhurried);
            assert_eq!(numbers(q.take(10).unwrap()), [3, 4]);
            // … nor what an awaited one was cut off from, …
            push(5, Haste::Awaited);
            push(6, Haste::Awaited);
            assert_eq!(numbers(q.take(1).unwrap()), [5]);
            assert_eq!(numbers(q.take(1).unwrap()), [6]);
            // … nor what waits in a queue that is shut.
            push(7, Haste::Unhurried);
            let taker = scope.spawn(|| q.take(10).unwrap());
            q.shut(LogError::Closed);
            assert_eq!(numbers(taker.join().unwrap()), [7]);
        });
        let q = Queue::new(Limits { patience: Duration::ZERO, ..limits() });
        drop(q.push(vec![1], Urgency::Ordinary, Haste::Unhurried).unwrap());
        assert_eq!(q.take(10).unwrap().len(), 1, "though nobody comes");
    }
}
