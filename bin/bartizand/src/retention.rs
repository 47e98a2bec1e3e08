//! Retention: whole recordings of ended sessions are removed by age and by size, the oldest first.
//!
//! ```text
//!   too old, or too much ──► no archive needs it ──► recording.remove is durable ──► the files go, the manifest last
//! ```
//!
//! The event comes first, so a recording that is gone without one is found by `log verify`; a process that ends
//! between the two finishes the removal when it starts again. The audit log itself is never shortened, and neither
//! live sessions nor recordings that the log does not know are touched.

use std::time::Duration;

use bartizan_audit::{Log, Urgency};
use bartizan_model::event::{Body, Event, Severity};
use bartizan_model::{NodeId, SessionId, SessionState, Timestamp};
use bartizan_record::{Recordings, Stored};
use bartizan_store::{IndexStore as _, Store};
use tokio::sync::watch;

use crate::failure::Failure;
use crate::recall;

/// How often it is looked what can go.
const EVERY: Duration = Duration::from_secs(300);

/// What is kept. Without a rule everything is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Recordings are kept so long after their session's end, as it is written and as time.
    pub(crate) keep: Option<(String, Duration)>,
    /// All recordings together may take so many bytes on the disk, as it is written and as number.
    pub(crate) keep_size: Option<(String, u64)>,
}

impl Rules {
    /// Why a recording goes whose session ended at `ended`, while all of them take `total` bytes.
    fn reason(&self, ended: Timestamp, total: u64, now: Timestamp) -> Option<String> {
        if let Some((written, age)) = &self.keep
            && now.saturating_sub(*age) >= ended
        {
            return Some(format!("older than recordings.keep = {written}"));
        }
        let (written, most) = self.keep_size.as_ref()?;
        (total > *most)
            .then(|| format!("{total} bytes of recordings are more than recordings.keep_size = {written}"))
    }

    /// Whether a recording could go that began at `began`, while all of them take `total` bytes.
    fn may_go(&self, began: Option<Timestamp>, total: u64, now: Timestamp) -> bool {
        let old = |(_, age): &(String, Duration)| began.is_none_or(|began| now.saturating_sub(*age) >= began);
        self.keep.as_ref().is_some_and(old) || self.keep_size.as_ref().is_some_and(|(_, most)| total > *most)
    }
}

/// What removes recordings.
pub(crate) struct Janitor {
    pub(crate) node: NodeId,
    pub(crate) log: Log,
    pub(crate) store: Store,
    pub(crate) indexed: watch::Receiver<u64>,
    pub(crate) recordings: Recordings,
    pub(crate) rules: Rules,
    /// Whether an archive still needs a recording, which then stays whatever the rules say.
    pub(crate) needed: fn(SessionId) -> bool,
}

impl Janitor {
    /// Keeps to the rules for as long as the server runs. What fails is told and tried again.
    pub(crate) async fn keep_on(mut self) {
        if self.rules == Rules::default() {
            return;
        }
        loop {
            match self.run(Timestamp::now()).await {
                Ok(0) => {}
                Ok(recordings) => tracing::info!(recordings, "removed by retention"),
                Err(error) => tracing::error!("retention: {error}"),
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Finishes the removal that the last process began. The index must hold the whole log.
    ///
    /// # Errors
    /// When the index cannot be read or the disk refuses.
    pub(crate) async fn finish(&self) -> Result<(), Failure> {
        // Removals are carried out one after the other, and none is begun while another fails.
        let newest = recall::newest(&self.log, &self.store, "recording.remove", None).await?;
        match newest.and_then(|event| event.session) {
            Some(session) if self.recordings.folder(session).exists() => {
                tracing::warn!(%session, "the removal of a recording was interrupted and is finished now");
                self.remove(session).await
            }
            _ => Ok(()),
        }
    }

    /// Removes what the rules let go, and returns how many recordings that were.
    ///
    /// # Errors
    /// When the index or the disk cannot be read, an event cannot be logged, or the disk refuses.
    pub(crate) async fn run(&mut self, now: Timestamp) -> Result<u64, Failure> {
        let head = self.log.head();
        // An index that is behind does not know who lives.
        self.indexed.wait_for(|&next| next >= head).await.map_err(Failure::new)?;
        self.finish().await?;
        let recordings = self.recordings.clone();
        let stored = tokio::task::spawn_blocking(move || recordings.stored()).await;
        let stored = stored.map_err(Failure::new)?.map_err(Failure::new)?;
        let mut total = stored.iter().fold(0_u64, |sum, recording| sum.saturating_add(recording.bytes));
        let mut removed = 0;
        for Stored { session, bytes, closed } in stored {
            if !self.rules.may_go(session.made(), total, now) {
                // Those that follow are younger.
                break;
            }
            if !closed || (self.needed)(session) {
                continue;
            }
            let Some(end) = self.end(session).await? else { continue };
            let Some(reason) = self.rules.reason(end.time, total, now) else { continue };
            self.log_removal(end, reason, bytes, now).await?;
            self.remove(session).await?;
            total = total.saturating_sub(bytes);
            removed += 1;
        }
        Ok(removed)
    }

    /// The last `session.end` of a session that is over and whose recording is on record.
    async fn end(&self, session: SessionId) -> Result<Option<Event>, Failure> {
        let known = self.store.session(&session).await.map_err(Failure::new)?;
        if known.is_some_and(|known| known.state == SessionState::Live || known.removed.is_some()) {
            return Ok(None);
        }
        // Of two ends the last counts: it binds the recording.
        recall::newest(&self.log, &self.store, "session.end", Some(session)).await
    }

    /// Makes the event durable.
    async fn log_removal(
        &self,
        end: Event,
        reason: String,
        bytes: u64,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let Body::SessionEnd { recording, .. } = end.body else { return Ok(()) };
        let body = Body::RecordingRemove { reason, bytes, recording };
        let event = Event {
            severity: Severity::Notice,
            person: end.person,
            login: end.login,
            target: end.target,
            source: end.source,
            session: end.session,
            ..Event::new(&self.node, now, body)
        };
        // It makes room.
        let pending = self.log.submit_as(event, Urgency::Emergency).map_err(Failure::new)?;
        pending.await.map(drop).map_err(Failure::new)
    }

    async fn remove(&self, session: SessionId) -> Result<(), Failure> {
        let recordings = self.recordings.clone();
        let removed = tokio::task::spawn_blocking(move || recordings.remove(session)).await;
        removed.map_err(Failure::new)?.map_err(Failure::new)
    }
}

#[cfg(test)]
mod tests;
