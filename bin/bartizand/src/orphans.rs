//! Sessions that the last process left without an end: closed at start, each with an event.
//!
//! A recording without manifest is closed as truncated. A session that the log shows as running is over: its
//! `session.end` binds what there is of its recording. Nothing is left that looks live and is not.
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
use bartizan_record::{Closed, Orphan, RecordedSession, Recordings};
use bartizan_store::{EventQuery, IndexStore as _, SessionQuery, Store};

use self::traffic::Traffic;
use crate::failure::Failure;
use crate::retention::last_end;

/// What the reason of an end says that was logged again, because there was no recording to bind at the first.
const CLOSED_LATER: &str = "; its recording was closed at the next start";

/// What is needed to close sessions.
pub(crate) struct Closing<'a> {
    pub(crate) node: &'a NodeId,
    pub(crate) log: &'a Log,
    /// Its index holds the whole log.
    pub(crate) store: &'a Store,
    pub(crate) recordings: &'a Recordings,
}

impl Closing<'_> {
    /// Closes what the last process left, and returns how many sessions that were. No session may run yet.
    ///
    /// # Errors
    /// When the recordings or the index cannot be read, or an event cannot be logged.
    pub(crate) async fn run(&self) -> Result<usize, Failure> {
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
        let mut count = 0;
        for session in live {
            let orphan = orphans.remove(&session.id);
            let end = self.end_of_live(&session, orphan.as_ref()).await?;
            self.append(end).await?;
            if orphan.is_some_and(|orphan| orphan.failure.is_none()) {
                self.close(session.id).await;
            }
            count += 1;
        }
        // Their sessions have ended on record, but the recording was not closed then.
        let mut rest: Vec<Orphan> = orphans.into_values().filter(|orphan| orphan.failure.is_none()).collect();
        rest.sort_by_key(|orphan| orphan.session);
        for orphan in rest {
            let session = orphan.session;
            // Else the process before ended, or its disk refused, when only the name was missing.
            if self.bound(session).await?.as_ref() != Some(&orphan.files) {
                let end = self.end_of_recording(orphan).await?;
                self.append(end).await?;
            }
            self.close(session).await;
            count += 1;
        }
        Ok(count)
    }

    /// Gives the manifest that the log binds its name. What fails is told, and done at the next start.
    async fn close(&self, session: SessionId) {
        let recordings = self.recordings.clone();
        let closed = tokio::task::spawn_blocking(move || recordings.close_orphan(session)).await;
        if let Err(failure) = closed.map_err(Failure::new).and_then(|closed| closed.map_err(Failure::new)) {
            tracing::error!(%session, %failure, "a recording is on record, and cannot be closed; the next start tries again");
        }
    }

    /// The files that the last `session.end` of a session binds.
    async fn bound(&self, session: SessionId) -> Result<Option<Vec<RecordingFile>>, Failure> {
        Ok(match last_end(self.store, session).await?.map(|event| event.body) {
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
    async fn end_of_live(&self, session: &SessionSummary, orphan: Option<&Orphan>) -> Result<Event, Failure> {
        let (recording, whole) = match orphan {
            Some(orphan) => (orphan.files.clone(), false),
            None => self.closed_recording(session.id),
        };
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

    /// The files of a recording that was closed although its session's end was not logged, and whether it is whole.
    fn closed_recording(&self, session: SessionId) -> (Vec<RecordingFile>, bool) {
        let read = RecordedSession::open(self.recordings.folder(session))
            .and_then(|recording| Ok((recording.logged_files()?, recording.closed() == Some(Closed::Ended))));
        match read {
            Ok((Some(files), whole)) => (files, whole),
            Ok((None, _)) => (Vec::new(), false),
            Err(error) => {
                // The process may have ended before the recording began.
                tracing::warn!(%session, %error, "a session has no recording that can be read");
                (Vec::new(), false)
            }
        }
    }

    /// The end of a recording whose session has ended on record, or is not on record at all.
    async fn end_of_recording(&self, orphan: Orphan) -> Result<Event, Failure> {
        let known = self.store.session(&orphan.session).await.map_err(Failure::new)?;
        let reason = match known.as_ref().and_then(|session| session.reason.as_deref()) {
            Some(reason) if reason.ends_with(CLOSED_LATER) => reason.to_owned(),
            Some(reason) => format!("{reason}{CLOSED_LATER}"),
            None => "the recording of a session that the log does not know was closed".into(),
        };
        let duration = |session: &SessionSummary| {
            let ended = session.ended.unwrap_or(session.started);
            ended.unix_micros().saturating_sub(session.started.unix_micros())
        };
        let end = Body::SessionEnd {
            reason,
            duration_us: known.as_ref().map_or(0, duration),
            bytes_in: known.as_ref().map_or(0, |session| session.bytes_in),
            bytes_out: known.as_ref().map_or(0, |session| session.bytes_out),
            exit_status: known.as_ref().and_then(|session| session.exit_status),
            truncated: true,
            recording: orphan.files,
        };
        let mut event = match &known {
            Some(session) => self.event(session, end),
            None => self.unfinished(end),
        };
        event.session = Some(orphan.session);
        if let (None, Some(meta)) = (known, orphan.meta) {
            event.person = Some(meta.person);
            event.login = Some(meta.login);
            event.target = Some(meta.target);
            event.source = Some(meta.source);
        }
        Ok(event)
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

#[cfg(test)]
mod tests;
