//! The sessions that are live, for operators who end one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bartizan_model::{SessionId, SessionSummary};
use tokio::sync::{oneshot, watch};

type Waiting = HashMap<SessionId, Live>;

/// What changes of a session while it lives, for who looks from elsewhere. One thread writes it.
#[derive(Debug, Default)]
pub(crate) struct Vitals {
    /// Whether it passes by break-glass grants alone by now.
    pub(crate) emergency: AtomicBool,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    /// When something passed last, in microseconds of the transports' clock.
    last: AtomicU64,
    /// Sessions that this one opened and waits for: as long as there are, it is not idle.
    busy: AtomicUsize,
}

impl Vitals {
    /// So many bytes passed so far, from the client and to it; the last of them at `clock`.
    pub(crate) fn passed(&self, bytes_in: u64, bytes_out: u64, clock: Duration) {
        self.bytes_in.store(bytes_in, Ordering::Relaxed);
        self.bytes_out.store(bytes_out, Ordering::Relaxed);
        self.alive(clock);
    }

    /// The session is in use at `clock`.
    pub(crate) fn alive(&self, clock: Duration) {
        self.last.store(u64::try_from(clock.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// How long nothing has passed at `clock`.
    pub(crate) fn quiet_for(&self, clock: Duration) -> Duration {
        match self.busy.load(Ordering::Relaxed) {
            0 => clock.saturating_sub(Duration::from_micros(self.last.load(Ordering::Relaxed))),
            _ => Duration::ZERO,
        }
    }

    /// It is not idle while what is given back is kept.
    pub(crate) fn busy(&self) -> Busy<'_> {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Busy(self)
    }
}

/// Keeps a session from being idle.
pub(crate) struct Busy<'a>(&'a Vitals);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One of them, whom nobody has ended yet.
#[derive(Debug)]
struct Live {
    summary: SessionSummary,
    vitals: Arc<Vitals>,
    tell: oneshot::Sender<String>,
}

impl Live {
    fn summary(&self) -> SessionSummary {
        let Vitals { emergency, bytes_in, bytes_out, .. } = &*self.vitals;
        SessionSummary {
            break_glass: emergency.load(Ordering::Relaxed),
            bytes_in: bytes_in.load(Ordering::Relaxed),
            bytes_out: bytes_out.load(Ordering::Relaxed),
            ..self.summary.clone()
        }
    }
}

/// The live sessions of a gateway. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct LiveSessions {
    waiting: Arc<Mutex<Waiting>>,
    /// How many there are, those that an operator has ended included until they have.
    count: Arc<watch::Sender<usize>>,
}

/// A session's place among the live ones, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Lives {
    session: SessionId,
    all: LiveSessions,
    told: oneshot::Receiver<String>,
}

impl LiveSessions {
    /// A session that is live and that nobody has ended yet, with the bytes that passed so far.
    pub fn find(&self, session: &SessionId) -> Option<SessionSummary> {
        self.waiting().get(session).map(Live::summary)
    }

    /// All that are live and that nobody has ended yet, in no order, likewise.
    pub fn all(&self) -> Vec<SessionSummary> {
        self.waiting().values().map(Live::summary).collect()
    }

    /// A session as a listing has it, with what passed so far while it is live.
    pub(crate) fn refreshed(&self, session: SessionSummary) -> SessionSummary {
        match self.find(&session.id) {
            Some(SessionSummary { bytes_in, bytes_out, .. }) => {
                SessionSummary { bytes_in, bytes_out, ..session }
            }
            None => session,
        }
    }

    /// Ends a session; its person is told the reason. False when it is not live, or was ended already.
    ///
    /// The caller has logged it before: evidence before effect.
    pub fn terminate(&self, session: &SessionId, reason: &str) -> bool {
        let waiting = self.waiting().remove(session);
        waiting.is_some_and(|live| live.tell.send(reason.to_owned()).is_ok())
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        *self.count.borrow()
    }

    /// Waits until there is none.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub(crate) async fn none(&self) {
        // The sender lives as long as `self`.
        let _ = self.count.subscribe().wait_for(|&count| count == 0).await;
    }

    /// Takes in a session; `vitals` tell how it goes.
    pub(crate) fn enter(&self, summary: SessionSummary, vitals: Arc<Vitals>) -> Lives {
        let ((tell, told), session) = (oneshot::channel(), summary.id);
        self.waiting().insert(session, Live { summary, vitals, tell });
        self.count.send_modify(|count| *count += 1);
        Lives { session, all: self.clone(), told }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lives {
    /// Waits until an operator ends the session, and gives the reason; forever when nobody does.
    pub(crate) async fn terminated(&mut self) -> String {
        match (&mut self.told).await {
            Ok(reason) => reason,
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Lives {
    fn drop(&mut self) {
        self.all.waiting().remove(&self.session);
        self.all.count.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use bartizan_model::{Timestamp, Way};

    use super::*;

    fn begun() -> SessionSummary {
        let who = ("alice".parse().unwrap(), "root".parse().unwrap(), "web-1".parse().unwrap());
        let source = "10.0.0.9:50000".parse().unwrap();
        SessionSummary::begin(SessionId::new(), who, Way::ProxyJump, source, Timestamp::now())
    }

    #[tokio::test]
    async fn a_session_is_ended_once_and_only_while_it_lives() {
        let all = LiveSessions::default();
        let (one, other, vitals) = (begun(), begun(), Arc::<Vitals>::default());
        let (first, second) = (one.id, other.id);
        let (mut lives, gone) = (all.enter(one.clone(), vitals.clone()), all.enter(other, Arc::default()));
        drop(gone);
        assert_eq!((all.find(&first), all.find(&second)), (Some(one.clone()), None));
        vitals.emergency.store(true, Ordering::Relaxed);
        vitals.passed(5, 70_000, Duration::from_secs(1));
        let now = SessionSummary { break_glass: true, bytes_in: 5, bytes_out: 70_000, ..one };
        assert_eq!((all.find(&first), all.all()), (Some(now.clone()), vec![now]));
        assert!(!all.terminate(&second, "late"));
        assert!(all.terminate(&first, "audit") && !all.terminate(&first, "again"));
        assert_eq!(lives.terminated().await, "audit");
        assert_eq!(all.count(), 1, "it has not ended yet");
        drop(lives);
        all.none().await;
    }
}
