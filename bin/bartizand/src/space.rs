//! Watches the space of the data folder's file system, and logs when it runs out and when there is some again.
//!
//! The gateway looks at what was measured last; that nothing new begins while space is short follows from it alone, not
//! from these events.

use std::time::Duration;

use bartizan_audit::{Log, Urgency};
use bartizan_model::event::{Body, Event, Outcome, Severity};
use bartizan_model::{NodeId, Timestamp};
use bartizan_record::space::{Level, Measured, Space};
use bartizan_store::Store;

/// How often it is measured.
const EVERY: Duration = Duration::from_millis(500);

/// Measures, and tells of changes.
pub(crate) struct SpaceWatch {
    node: NodeId,
    log: Log,
    space: Space,
    /// Keeps room of its own, which is filled up again when there is space.
    store: Store,
    /// What the log knows.
    told: Level,
    /// Events that the log had had no room for when there was space last, or some again.
    unlogged: u64,
}

impl SpaceWatch {
    /// Nothing was told yet: there is enough.
    pub(crate) fn new(node: NodeId, log: Log, space: Space, store: Store) -> Self {
        let unlogged = log.stats().unlogged;
        Self { node, log, space, store, told: Level::Plenty, unlogged }
    }

    /// Watches as long as the server runs.
    pub(crate) async fn keep_on(mut self) {
        loop {
            tokio::time::sleep(EVERY).await;
            self.look().await;
        }
    }

    /// Measures once. What cannot be logged is told at the next look.
    pub(crate) async fn look(&mut self) {
        let space = self.space.clone();
        // A file system that hangs keeps a thread of the pool, and sessions see what was measured before.
        let Ok(measured) = tokio::task::spawn_blocking(move || space.measure()).await else { return };
        if measured.level != Level::Full
            && let Err(error) = self.store.keep_room().await
        {
            tracing::debug!(%error, "no room for the database's reserve yet");
        }
        if measured.level == self.told || self.log.failure().is_some() {
            return;
        }
        let level = measured.level;
        match self.tell(measured).await {
            Ok(()) => self.told = level,
            Err(error) => tracing::error!(%error, "a change of the space left could not be logged"),
        }
    }

    async fn tell(&mut self, measured: Measured) -> Result<(), bartizan_audit::LogError> {
        let Measured { level, space } = measured;
        let (reason, unlogged) = (space.reason.clone(), self.log.stats().unlogged);
        let (severity, outcome, body) = match level {
            Level::Full => (Severity::High, Outcome::Failure, Body::SpaceFull { space }),
            Level::Low if self.told == Level::Plenty => {
                (Severity::Warning, Outcome::Failure, Body::SpaceLow { space })
            }
            Level::Low | Level::Plenty => {
                let unlogged = unlogged.saturating_sub(self.unlogged);
                (Severity::Notice, Outcome::Success, Body::SpaceOk { space, unlogged })
            }
        };
        let mut event = Event::new(&self.node, Timestamp::now(), body);
        (event.severity, event.outcome) = (severity, outcome);
        self.log.submit_as(event, Urgency::Closing)?.await?;
        if level != Level::Full {
            self.unlogged = unlogged;
        }
        match level {
            Level::Full => tracing::error!(reason, "space is short: new sessions are refused"),
            Level::Low => tracing::warn!(reason, "space is running out"),
            Level::Plenty => tracing::info!(reason, "there is enough space again"),
        }
        Ok(())
    }
}
