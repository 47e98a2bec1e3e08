//! The sessions that are live, for operators who end one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bartizan_model::SessionId;
use tokio::sync::oneshot;

type Waiting = HashMap<SessionId, oneshot::Sender<String>>;

/// The live sessions of a gateway. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct LiveSessions(Arc<Mutex<Waiting>>);

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

    pub(crate) fn enter(&self, session: SessionId) -> Lives {
        let (tell, told) = oneshot::channel();
        self.waiting().insert(session, tell);
        Lives { session, all: self.clone(), told }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
    }
}
