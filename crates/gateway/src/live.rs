//! The sessions that are live, for operators who end one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bartizan_model::SessionId;
use tokio::sync::{oneshot, watch};

type Waiting = HashMap<SessionId, oneshot::Sender<String>>;

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
    /// Whether a session is live and nobody has ended it yet.
    pub fn contains(&self, session: &SessionId) -> bool {
        self.waiting().contains_key(session)
    }

    /// Ends a session; its person is told the reason. False when it is not live, or was ended already.
    ///
    /// The caller has logged it before: evidence before effect.
    pub fn terminate(&self, session: &SessionId, reason: &str) -> bool {
        let waiting = self.waiting().remove(session);
        waiting.is_some_and(|waiting| waiting.send(reason.to_owned()).is_ok())
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

    pub(crate) fn enter(&self, session: SessionId) -> Lives {
        let (tell, told) = oneshot::channel();
        self.waiting().insert(session, tell);
        self.count.send_modify(|count| *count += 1);
        Lives { session, all: self.clone(), told }
    }

    /// One of them.
    #[cfg(test)]
    pub(crate) fn any(&self) -> Option<SessionId> {
        self.waiting().keys().next().copied()
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
    use super::*;

    #[tokio::test]
    async fn a_session_is_ended_once_and_only_while_it_lives() {
        let all = LiveSessions::default();
        let (first, second) = (SessionId::new(), SessionId::new());
        let (mut lives, gone) = (all.enter(first), all.enter(second));
        drop(gone);
        assert!(all.contains(&first) && !all.contains(&second));
        assert!(!all.terminate(&second, "late"));
        assert!(all.terminate(&first, "audit") && !all.terminate(&first, "again"));
        assert_eq!(lives.terminated().await, "audit");
        assert_eq!(all.count(), 1, "it has not ended yet");
        drop(lives);
        all.none().await;
    }
}
