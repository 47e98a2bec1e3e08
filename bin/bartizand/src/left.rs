//! What the process before left undone: recordings half removed, sessions without an end.

use std::time::Duration;

use bartizan_store::{IndexProgress, IndexStore as _};

use crate::failure::Failure;
use crate::orphans::{Closing, Index};
use crate::retention::Janitor;

/// The server starts without what is left being cleared up when the index makes no progress for so long.
const INDEX_PATIENCE: Duration = Duration::from_secs(30);

/// What is asked and told when the server starts. The index must be followed already.
pub(crate) struct Left<'a> {
    pub(crate) closing: Closing<'a>,
    pub(crate) janitor: &'a Janitor,
    pub(crate) index: &'a IndexProgress,
}

impl Left<'_> {
    /// Finishes removals and closes sessions and recordings; returns how many were closed. An index that proves to be
    /// damaged is made again first; one that cannot be filled leaves all as it is until the next start.
    ///
    /// # Errors
    /// When the index or the disk cannot be read, an event cannot be logged, or the disk refuses.
    pub(crate) async fn clear_up(&self) -> Result<usize, Failure> {
        let damage = self.closing.store.damage();
        let mut count = 0;
        let mut cleared = self.once(Index::Found, &mut count).await;
        let damaged = |failure: &Failure| failure.is_of_index() || damage.has_changed().unwrap_or(false);
        if cleared.as_ref().is_err_and(damaged) && self.index.rebuild().await {
            // What was done is on record, so the second time goes on from there.
            cleared = self.once(Index::MadeAnew, &mut count).await;
        }
        if count > 0 {
            tracing::warn!(sessions = count, "sessions were left without an end and are closed now");
        }
        cleared.map(|()| count)
    }

    async fn once(&self, index: Index, count: &mut usize) -> Result<(), Failure> {
        if !self.index_is_whole().await {
            tracing::error!("the index does not follow the audit log; sessions that a crash left stay open");
            return Ok(());
        }
        // Before orphans are looked for: what is half removed is none.
        self.janitor.finish().await?;
        self.closing.run(index, count).await
    }

    /// Waits until the index holds the whole log; false when it does not get on.
    async fn index_is_whole(&self) -> bool {
        let head = self.closing.log.head();
        let mut before = self.index.next();
        loop {
            match tokio::time::timeout(INDEX_PATIENCE, self.index.reaches(head)).await {
                Ok(reached) => return reached,
                Err(_) if self.index.next() == before => return false,
                Err(_) => before = self.index.next(),
            }
        }
    }
}
