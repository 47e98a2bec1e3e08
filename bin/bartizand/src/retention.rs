//! Retention: whole recordings of ended sessions are removed by age and by size, the oldest first.
//!
//! ```text
//!   too old, or too much ──► no archive needs it ──► recording.remove is signed ──► the files go, the manifest last
//! ```
//!
//! The event comes first, so a recording that is gone without one is found by `log verify`, which believes it once a
//! checkpoint holds it; when a process ends between the two, the next one finishes the removal. One that no checkpoint held
//! then is [withdrawn](crate::unsigned), and decided anew. The audit log itself is never shortened, and neither live sessions
//! nor recordings that the log does not know are touched.

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
/// So many recordings go with one checkpoint.
const TOGETHER: u32 = 64;
/// A checkpoint comes within a second. Where none does, because the disk is full, recordings go all the same: they make
/// the room that it needs.
const SIGNED_WITHIN: Duration = Duration::from_secs(3);
/// So many of a session's newest anomalies are looked at for one that withdraws a removal: few come after it.
const LATER: u32 = 16;
const LOOK_AGAIN: Duration = Duration::from_millis(20);

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

    /// Finishes the removal that the last process began and a checkpoint held. The index must hold the whole log. Of what the log cannot be
    /// read about nothing goes.
    ///
    /// # Errors
    /// When the index cannot be read or the disk refuses.
    pub(crate) async fn finish(&self) -> Result<(), Failure> {
        let mut left = Vec::new();
        for (index, session) in recall::places(&self.store, "recording.remove", None, TOGETHER).await? {
            let Some(session) = session.filter(|session| self.recordings.folder(*session).exists()) else {
                continue;
            };
            match self.stands(session, index).await {
                Ok(true) => left.push(session),
                Ok(false) => {}
                Err(error) if error.is_of_entry() => stays(session, &error),
                Err(error) => return Err(error),
            }
        }
        if left.is_empty() {
            return Ok(());
        }
        left.reverse();
        tracing::warn!(recordings = left.len(), "a removal was interrupted and is finished now");
        self.remove(&left, self.log.head()).await
    }

    /// Whether the log has a removal as event `index`, and none behind it that [withdraws](Body::withdraws_removal) it.
    async fn stands(&self, session: SessionId, index: u64) -> Result<bool, Failure> {
        recall::event(&self.log, "recording.remove", session, index).await?;
        let later = recall::newest(&self.log, &self.store, "anomaly", session, LATER).await?;
        Ok(!later.iter().any(|event| event.index > Some(index) && event.body.withdraws_removal()))
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
        let (mut removed, mut going) = (0, Vec::new());
        for Stored { session, bytes, closed } in stored {
            if !self.rules.may_go(session.made(), total, now) {
                // Those that follow are younger.
                break;
            }
            if !closed || (self.needed)(session) {
                continue;
            }
            let end = match self.end(session).await {
                Err(error) if error.is_of_entry() => {
                    stays(session, &error);
                    continue;
                }
                end => end?,
            };
            let Some(end) = end else { continue };
            let Some(reason) = self.rules.reason(end.time, total, now) else { continue };
            self.log_removal(end, reason, bytes, now).await?;
            going.push(session);
            total = total.saturating_sub(bytes);
            removed += 1;
            if going.len() == TOGETHER as usize {
                self.remove(&std::mem::take(&mut going), self.log.head()).await?;
            }
        }
        self.remove(&going, self.log.head()).await?;
        Ok(removed)
    }

    /// The last `session.end` of a session that is over and whose recording is on record.
    async fn end(&self, session: SessionId) -> Result<Option<Event>, Failure> {
        let known = self.store.session(&session).await.map_err(Failure::new)?;
        if known.is_some_and(|known| known.state == SessionState::Live || known.removed.is_some()) {
            return Ok(None);
        }
        // Of two ends the last counts: it binds the recording.
        Ok(recall::newest(&self.log, &self.store, "session.end", session, 1).await?.pop())
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

    /// Removes recordings, once a checkpoint holds the events before `head` that say so.
    async fn remove(&self, sessions: &[SessionId], head: u64) -> Result<(), Failure> {
        if sessions.is_empty() {
            return Ok(());
        }
        let signed = async {
            while self.log.stats().published < head {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        if tokio::time::timeout(SIGNED_WITHIN, signed).await.is_err() {
            tracing::warn!("recordings go by events that no checkpoint holds yet");
        }
        for session in sessions.iter().copied() {
            let recordings = self.recordings.clone();
            let removed = tokio::task::spawn_blocking(move || recordings.remove(session)).await;
            removed.map_err(Failure::new)?.map_err(Failure::new)?;
        }
        Ok(())
    }
}

fn stays(session: SessionId, error: &Failure) {
    tracing::error!(%session, "a recording stays: what the log says of it cannot be read: {error}");
}

#[cfg(test)]
mod tests;
