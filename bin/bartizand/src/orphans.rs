//! Sessions that the last process left without an end: closed at start, each with an event.
//!
//! A recording without manifest is closed as truncated. A session that the log shows as running is over: its
//! `session.end` binds what there is of its recording. Nothing is left that looks live and is not.
//!
//! What no crash explains is not closed, and on record as an anomaly: a recording of a session that the log does not know,
//! and one whose files are no longer those that a `session.end` binds. A second end would make evidence of them.
//!
//! ```text
//!   manifest written, under another name ──► session.end binds it, durable ──► the manifest gets its name
//! ```
//!
//! The event comes before the name, so a recording that is closed is on record, whenever this process ends; the next
//! one goes on where it stopped.

mod traffic;

use std::collections::{HashMap, HashSet};

use bartizan_audit::{Log, Urgency};
use bartizan_model::event::{Body, Event, Outcome, Severity};
use bartizan_model::{NodeId, RecordingFile, SessionId, SessionState, SessionSummary, Timestamp};
use bartizan_record::{Closed, Orphan, ReadError, RecordedSession, Recordings};
use bartizan_store::{EventQuery, IndexStore as _, SessionQuery, Store};

use self::traffic::Traffic;
use crate::failure::Failure;
use crate::recall;

/// What the reason of an end says that was logged again, because there was no recording to bind at the first.
const CLOSED_LATER: &str = "; its recording was closed at the next start";

/// What no crash explains.
#[derive(Clone, Copy)]
enum Strange {
    /// A recording of a session that never began: its start is durable before anything is recorded.
    Unknown,
    /// A recording that was closed and bound, and is neither as it was.
    Changed,
}

impl Strange {
    /// The anomaly's name, and what it is.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Unknown => {
                ("recording.unknown", "there is a recording of a session that the log does not know")
            }
            Self::Changed => {
                ("recording.changed", "a recording that the log binds was changed, and its manifest removed")
            }
        }
    }
}

/// Where the index comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Index {
    /// It was there.
    Found,
    /// It was just made from the log: what is odd in it is odd in the log.
    MadeAnew,
}

/// What is needed to close sessions.
pub(crate) struct Closing<'a> {
    pub(crate) node: &'a NodeId,
    pub(crate) log: &'a Log,
    /// Its index holds the whole log.
    pub(crate) store: &'a Store,
    pub(crate) recordings: &'a Recordings,
}

impl Closing<'_> {
    /// Closes what the last process left, and adds to `count` how many sessions that were. No session may run yet.
    ///
    /// # Errors
    /// When the recordings or the index cannot be read, or an event cannot be logged; [of the index](Failure::is_of_index)
    /// also when one that was found shows what no crash explains.
    pub(crate) async fn run(&self, index: Index, count: &mut usize) -> Result<(), Failure> {
        let live = self.live().await?;
        let recordings = self.recordings.clone();
        let found = tokio::task::spawn_blocking(move || recordings.orphans(&HashSet::new())).await;
        let orphans = found.map_err(Failure::new)?.map_err(Failure::new)?;
        for orphan in &orphans {
            if let Some(failure) = &orphan.failure {
                tracing::error!(session = %orphan.session, %failure, "a recording cannot be closed; the next start tries again");
            }
        }
        let mut orphans: HashMap<SessionId, Orphan> =
            orphans.into_iter().map(|orphan| (orphan.session, orphan)).collect();
        for session in live {
            let orphan = orphans.remove(&session.id);
            *count += usize::from(unless_unread(session.id, self.close_live(session, orphan, index).await)?);
        }
        let mut rest: Vec<Orphan> = orphans.into_values().filter(|orphan| orphan.failure.is_none()).collect();
        rest.sort_by_key(|orphan| orphan.session);
        for orphan in rest {
            *count += usize::from(unless_unread(orphan.session, self.close_rest(orphan, index).await)?);
        }
        Ok(())
    }

    /// Ends a session that the index shows as running, and closes its recording; true when it did.
    async fn close_live(
        &self,
        session: SessionSummary,
        orphan: Option<Orphan>,
        index: Index,
    ) -> Result<bool, Failure> {
        let id = session.id;
        if self.bound(id).await?.is_some() {
            if index == Index::Found {
                return Err(Failure::of_index(format!(
                    "the index shows session {id} as live, and it has ended"
                )));
            }
            // The log has its end before its start, which no server of ours wrote.
            return match orphan.filter(|orphan| orphan.failure.is_none()) {
                Some(orphan) => self.close_rest(orphan, index).await,
                None => Ok(false),
            };
        }
        let (recording, whole, prepared) = match orphan {
            Some(orphan) if self.prepare(&orphan).await => (orphan.files, false, true),
            Some(_) => (Vec::new(), false, false),
            None => match self.closed_recording(id) {
                Ok((files, whole)) => (files, whole, false),
                Err(error) => {
                    tracing::error!(session = %id, %error, "a session is not ended: its recording cannot be read; the next start tries again");
                    return Ok(false);
                }
            },
        };
        let end = self.end_of_live(&session, recording, whole).await?;
        self.append(end).await?;
        if prepared {
            self.close(id).await;
        }
        Ok(true)
    }

    /// Closes a recording whose session is not running on record, if the log knows of it; true when it did.
    async fn close_rest(&self, orphan: Orphan, index: Index) -> Result<bool, Failure> {
        let session = orphan.session;
        match self.bound(session).await? {
            // The process before ended, or its disk refused, when only the name was missing.
            Some(bound) if orphan.prepared.as_ref() == Some(&bound) => {}
            Some(bound) if bound == orphan.files => {
                if !self.prepare(&orphan).await {
                    return Ok(false);
                }
            }
            // The session has ended on record, but the recording was not closed then.
            Some(bound) if bound.is_empty() => {
                if !self.prepare(&orphan).await {
                    return Ok(false);
                }
                let end = self.end_of_recording(orphan).await?;
                self.append(end).await?;
            }
            Some(_) => return self.leave(session, Strange::Changed, index).await,
            None => return self.leave(session, Strange::Unknown, index).await,
        }
        self.close(session).await;
        Ok(true)
    }

    /// Writes the manifest that is to be bound; false when the disk refuses, which is told.
    async fn prepare(&self, orphan: &Orphan) -> bool {
        if orphan.failure.is_some() {
            return false;
        }
        let prepared = tokio::task::block_in_place(|| self.recordings.prepare_orphan(orphan));
        if let Err(failure) = &prepared {
            let session = orphan.session;
            tracing::error!(%session, %failure, "a recording cannot be closed; the next start tries again");
        }
        prepared.is_ok()
    }

    /// Leaves a recording as it is that no crash of ours explains, and puts that on record once. Nothing binds it, so
    /// `log verify` finds it.
    async fn leave(&self, session: SessionId, strange: Strange, index: Index) -> Result<bool, Failure> {
        let (what, detail) = strange.words();
        tracing::error!(%session, "{detail}; it is left as it is, and fails log verify");
        let known = recall::newest(self.log, self.store, "anomaly", session, 1).await?;
        if known.into_iter().any(|event| matches!(event.body, Body::Anomaly { what: w, .. } if w == what)) {
            return Ok(false);
        }
        if matches!((strange, index), (Strange::Unknown, Index::Found)) {
            return Err(Failure::of_index(format!(
                "the index knows no session {session}, and it has a recording"
            )));
        }
        let body = Body::Anomaly { what: what.into(), detail: detail.into() };
        let event = Event { session: Some(session), severity: Severity::High, ..self.unfinished(body) };
        self.append(event).await?;
        Ok(false)
    }

    /// Gives the manifest that the log binds its name. What fails is told, and done at the next start.
    async fn close(&self, session: SessionId) {
        let recordings = self.recordings.clone();
        let closed = tokio::task::spawn_blocking(move || recordings.close_orphan(session)).await;
        if let Err(failure) = closed.map_err(Failure::new).and_then(|closed| closed.map_err(Failure::new)) {
            tracing::error!(%session, %failure, "a recording is on record, and cannot be closed; the next start tries again");
        }
    }

    /// The files that the last `session.end` of a session binds; `None` when it has no end.
    async fn bound(&self, session: SessionId) -> Result<Option<Vec<RecordingFile>>, Failure> {
        let end = recall::newest(self.log, self.store, "session.end", session, 1).await?.pop();
        Ok(match end.map(|event| event.body) {
            Some(Body::SessionEnd { recording, .. }) => Some(recording),
            _ => None,
        })
    }

    async fn live(&self) -> Result<Vec<SessionSummary>, Failure> {
        let mut query = SessionQuery { state: Some(SessionState::Live), ..SessionQuery::default() };
        let mut live = Vec::new();
        loop {
            let page = self.store.sessions(&query).await.map_err(Failure::new)?;
            live.extend(page.items);
            match page.next {
                Some(next) => query.after = Some(next),
                None => return Ok(live),
            }
        }
    }

    /// The end of a session that was running when the process ended.
    async fn end_of_live(
        &self,
        session: &SessionSummary,
        recording: Vec<RecordingFile>,
        whole: bool,
    ) -> Result<Event, Failure> {
        let mut traffic = self.logged_traffic(session).await?;
        let folder = self.recordings.folder(session.id);
        let recorded = tokio::task::spawn_blocking(move || {
            traffic.add_recorded(&folder);
            traffic
        });
        let Traffic { bytes_in, bytes_out, last, last_at, .. } = recorded.await.map_err(Failure::new)?;
        let duration = last.unix_micros().saturating_sub(session.started.unix_micros()).max(last_at);
        let end = Body::SessionEnd {
            reason: "the server stopped before the session's end was logged".into(),
            duration_us: duration,
            bytes_in,
            bytes_out,
            exit_status: session.exit_status,
            truncated: !whole,
            recording,
        };
        Ok(self.event(session, end))
    }

    /// The files of a recording that was closed although its session's end was not logged, and whether it is whole. None
    /// where there is no recording, or its manifest is none: the process may have ended before it began.
    ///
    /// # Errors
    /// When the disk refuses: an end that binds nothing would be for good.
    fn closed_recording(&self, session: SessionId) -> Result<(Vec<RecordingFile>, bool), ReadError> {
        let read = RecordedSession::open(self.recordings.folder(session))
            .and_then(|recording| Ok((recording.logged_files()?, recording.closed() == Some(Closed::Ended))));
        match read {
            Ok((Some(files), whole)) => Ok((files, whole)),
            Ok((None, _)) | Err(ReadError::NotFound(_)) => Ok((Vec::new(), false)),
            Err(error) => Err(error),
        }
    }

    /// The end of a recording that was not closed when its session ended.
    async fn end_of_recording(&self, orphan: Orphan) -> Result<Event, Failure> {
        let session = self.store.session(&orphan.session).await.map_err(Failure::new)?;
        let session = session.ok_or_else(|| {
            Failure::of_index(format!("the index has an end of session {} and no start", orphan.session))
        })?;
        let reason = match session.reason.as_deref().unwrap_or("ended") {
            reason if reason.ends_with(CLOSED_LATER) => reason.to_owned(),
            reason => format!("{reason}{CLOSED_LATER}"),
        };
        let ended = session.ended.unwrap_or(session.started);
        let end = Body::SessionEnd {
            reason,
            duration_us: ended.unix_micros().saturating_sub(session.started.unix_micros()),
            bytes_in: session.bytes_in,
            bytes_out: session.bytes_out,
            exit_status: session.exit_status,
            truncated: true,
            recording: orphan.files,
        };
        Ok(self.event(&session, end))
    }

    /// What passed, as far as the log tells.
    async fn logged_traffic(&self, session: &SessionSummary) -> Result<Traffic, Failure> {
        let mut traffic = Traffic::since(session.started);
        let mut query = EventQuery { session: Some(session.id), ..EventQuery::default() };
        loop {
            let page = self.store.events(&query).await.map_err(Failure::new)?;
            for event in page.items.iter().filter_map(|item| serde_json::from_str::<Event>(&item.json).ok()) {
                traffic.add_logged(event);
            }
            match page.next {
                Some(next) => query.after = Some(next),
                None => return Ok(traffic),
            }
        }
    }

    fn event(&self, session: &SessionSummary, body: Body) -> Event {
        Event {
            person: Some(session.person.clone()),
            login: Some(session.login.clone()),
            target: Some(session.target.clone()),
            source: Some(session.source),
            session: Some(session.id),
            ..self.unfinished(body)
        }
    }

    fn unfinished(&self, body: Body) -> Event {
        Event {
            severity: Severity::Warning,
            outcome: Outcome::Failure,
            ..Event::new(self.node, Timestamp::now(), body)
        }
    }

    async fn append(&self, event: Event) -> Result<(), Failure> {
        let pending = self.log.submit_as(event, Urgency::Closing).map_err(Failure::new)?;
        pending.await.map(drop).map_err(Failure::new)
    }
}

/// Whether something was closed: not where an entry of the log cannot be read that says what to do.
fn unless_unread(session: SessionId, closed: Result<bool, Failure>) -> Result<bool, Failure> {
    match closed {
        Err(error) if error.is_of_entry() => {
            tracing::error!(%session, "it is left as it is: what the log says of it cannot be read: {error}");
            Ok(false)
        }
        closed => closed,
    }
}

#[cfg(test)]
mod tests;
