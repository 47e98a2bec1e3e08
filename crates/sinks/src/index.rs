//! Keeps the store's index up with the audit log.

use std::sync::Arc;
use std::time::Duration;

use bartizan_audit::{Log, ReadError, Reader};
use bartizan_store::{EventQuery, IndexEntry, IndexFilling, IndexProgress, IndexStore, StoreError};
use tokio::sync::watch;

/// Most entries that are applied in one transaction, …
const BATCH: usize = 2048;
/// … and bytes of them beyond which no more are added. Each transaction costs the index the same work again.
const BATCH_BYTES: usize = 4 << 20;
/// After an event the follower waits so long for more, unless somebody waits for the index. A session makes some ten
/// events, and a transaction for each would cost several times what one for all of them does.
const GATHER: Duration = Duration::from_millis(500);
/// After a failure the follower waits so long, then twice as long each time …
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// … up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Why the index could not be followed from the start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The index could not be read or reset.
    #[error("cannot open the index: {0}")]
    Store(#[from] StoreError),
    /// The log could not be read.
    #[error("cannot read the audit log: {0}")]
    Read(#[from] ReadError),
    /// The thread that read the log panicked, or the runtime is ending.
    #[error("reading the audit log broke off: {0}")]
    Panic(#[from] tokio::task::JoinError),
}

/// Applies the log's entries to an index, in order, each once.
pub struct IndexFollower<S> {
    store: S,
    reader: Arc<Reader>,
    head: watch::Receiver<u64>,
    filling: IndexFilling,
    /// How often the index was found damaged, and how often of that it was emptied since.
    damage: watch::Receiver<u64>,
    mended: u64,
}

#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error("cannot read the audit log: {0}")]
    Read(#[from] ReadError),
    #[error("cannot write the index: {0}")]
    Store(#[from] StoreError),
    #[error("reading the audit log broke off: {0}")]
    Panic(#[from] tokio::task::JoinError),
}

impl<S: IndexStore> IndexFollower<S> {
    /// Finds out where the index is. An index that is ahead of the log, or whose last entry is not the log's,
    /// belongs to another log or to one that was restored from a backup: it is emptied and made again, as a damaged one is.
    ///
    /// # Errors
    /// When the index or the log cannot be read.
    pub async fn start(store: S, log: &Log) -> Result<Self, StartError> {
        let (reader, head) = (Arc::new(log.reader()), log.subscribe());
        let damage = store.damage();
        let next = match found(&store, &reader, log.head()).await {
            Ok(Some(next)) => next,
            Ok(None) => {
                tracing::warn!("the index is not of this log and is made again");
                store.reset().await?;
                0
            }
            Err(StartError::Store(error @ StoreError::IndexDamaged(_))) => {
                tracing::warn!("{error}");
                store.reset().await?;
                0
            }
            Err(error) => return Err(error),
        };
        let mended = *damage.borrow();
        let filling = IndexFilling { next: watch::Sender::new(next), ..IndexFilling::default() };
        Ok(Self { store, reader, head, filling, damage, mended })
    }

    /// For those who wait for the index: it takes what is durable at once then.
    pub fn progress(&self) -> IndexProgress {
        self.filling.progress()
    }

    /// Follows how far the index has got: the position of the entry that it expects next.
    pub fn indexed(&self) -> watch::Receiver<u64> {
        self.filling.next.subscribe()
    }

    /// Follows the log until it is closed or `stopping` turns true.
    ///
    /// What is durable is found in the index after some 500 ms at most while the index can be written, and at once if
    /// somebody waits ([`Self::progress`]). A failure is logged once, and tried again with growing pauses.
    ///
    /// # Cancel safety
    /// May be dropped at any time: what was applied is applied, the cursor moves in the same transaction.
    pub async fn run(mut self, mut stopping: watch::Receiver<bool>) {
        let mut failures = Failures::default();
        let (mut asked, mut damage) = (self.filling.asked.subscribe(), self.damage.clone());
        loop {
            let pause = match self.catch_up().await {
                Ok(()) => {
                    failures.over();
                    None
                }
                Err(error) => Some(failures.next(&error)),
            };
            let hurry = &self.filling.hurry;
            let more = async {
                // After a failure there is something to do without news.
                if pause.is_none() && self.head.changed().await.is_err() {
                    return false;
                }
                tokio::select! {
                    () = tokio::time::sleep(pause.unwrap_or(GATHER)) => {}
                    () = hurry.notified() => {}
                }
                true
            };
            let go_on = tokio::select! {
                go_on = more => go_on,
                Ok(()) = asked.changed() => true,
                Ok(()) = damage.changed() => true,
                _ = stopping.wait_for(|&stopping| stopping) => false,
            };
            if !go_on {
                return;
            }
        }
    }

    /// Applies all that is durable now.
    async fn catch_up(&mut self) -> Result<(), FollowError> {
        let head = *self.head.borrow_and_update();
        loop {
            self.empty_if_asked().await?;
            let next = *self.filling.next.borrow();
            if next >= head {
                return Ok(());
            }
            let reader = self.reader.clone();
            let entries = tokio::task::spawn_blocking(move || gather(&reader, next)).await??;
            if entries.is_empty() {
                return Ok(());
            }
            match self.store.apply(&entries).await {
                Ok(applied) => {
                    self.filling.next.send_replace(applied);
                }
                // The index was emptied, or went back with its database, behind our back: go on from where it is.
                Err(StoreError::Gap { expected, .. }) if expected < next => {
                    tracing::warn!(was = next, is = expected, "the index went back and is filled again");
                    self.filling.next.send_replace(expected);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn empty_if_asked(&mut self) -> Result<(), FollowError> {
        let asked = *self.filling.asked.borrow();
        let found = *self.damage.borrow();
        if *self.filling.emptied.borrow() < asked || self.mended < found {
            self.store.reset().await?;
            self.mended = found;
            tracing::info!("the index was emptied and is made again from the log");
            self.filling.next.send_replace(0);
            self.filling.emptied.send_replace(asked);
        }
        Ok(())
    }
}

/// Reads entries from index `from` on for one transaction. None means that there are no more.
fn gather(reader: &Reader, from: u64) -> Result<Vec<IndexEntry>, ReadError> {
    let (mut entries, mut bytes) = (Vec::new(), 0);
    while entries.len() < BATCH && bytes < BATCH_BYTES {
        let read = reader.read(from + entries.len() as u64, BATCH - entries.len())?;
        if read.is_empty() {
            break;
        }
        bytes += read.iter().map(|entry| entry.bytes.len()).sum::<usize>();
        entries.extend(read.into_iter().map(|entry| IndexEntry { index: entry.index, bytes: entry.bytes }));
    }
    Ok(entries)
}

/// The entry that the index expects next, if it was made from this log: their last common entries are the same.
async fn found<S: IndexStore>(store: &S, reader: &Arc<Reader>, head: u64) -> Result<Option<u64>, StartError> {
    let next = store.cursor().await?;
    let Some(last) = next.checked_sub(1) else { return Ok(Some(next)) };
    if next > head {
        return Ok(None);
    }
    let reader = reader.clone();
    let logged = tokio::task::spawn_blocking(move || reader.read(last, 1)).await??;
    let newest = EventQuery { limit: Some(1), ..EventQuery::default() };
    let indexed = store.events(&newest).await?;
    let (Some(logged), Some(indexed)) = (logged.first(), indexed.items.first()) else { return Ok(None) };
    // An entry that is no JSON is stored in another form, and its index made again: rare and harmless.
    let same = indexed.index == last && indexed.json.as_bytes() == logged.bytes;
    Ok(same.then_some(next))
}

/// A run of failures: told when it begins and when it is over.
#[derive(Default)]
struct Failures {
    pause: Option<Duration>,
}

impl Failures {
    fn next(&mut self, error: &FollowError) -> Duration {
        let pause = match self.pause {
            None => {
                tracing::error!(%error, "the index does not follow the audit log; searches fail until it does");
                FIRST_PAUSE
            }
            Some(pause) => (pause * 2).min(LONGEST_PAUSE),
        };
        self.pause = Some(pause);
        pause
    }

    fn over(&mut self) {
        if self.pause.take().is_some() {
            tracing::info!("the index follows the audit log again");
        }
    }
}

#[cfg(test)]
mod tests;
