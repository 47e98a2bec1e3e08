//! The log as its owner and those who append see it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bartizan_model::event::{Event, MAX_EVENT_BYTES};
use tokio::sync::watch;

use crate::backlog::Backlog;
use crate::disk::{Disk, Guard};
use crate::error::{LogError, OpenError};
use crate::integrate::Integrator;
use crate::journal::Segment;
use crate::note::Signer;
use crate::origin::Origin;
use crate::promise::Promise;
use crate::publish::{self, Publisher};
use crate::queue::{Haste, Limit, Limits, Queue, UNHURRIED, Urgency};
use crate::reader::Reader;
use crate::receipt::{Logged, Pending};
use crate::shared::{EndGuard, Shared};
use crate::stats::{Counters, Stats};
use crate::writer::{INDEX_BYTES, Tail, Writer};

/// Who signs, how much may wait, and how the journal is cut.
#[derive(Debug)]
pub struct LogOptions {
    /// The log's key. Without it no checkpoint is published; what is logged is published by the next process
    /// that has it. Default none.
    pub signer: Option<Signer>,
    /// Whether no checkpoint is published before [`Log::publish`], so that the owner can look first at what the disk alone
    /// vouches for: what is behind [`Recovery::signed`](crate::Recovery::signed). Default false.
    pub publish_later: bool,
    /// How often a checkpoint is published while there is something new. Default one second.
    pub checkpoint_interval: Duration,
    /// Events waiting for the disk from which on [`Log::congested`] is true. Default 4,096.
    pub soft_events: usize,
    /// Their bytes, likewise. Default 4 MiB.
    pub soft_bytes: usize,
    /// Events waiting for the disk above which more are refused. Default 65,536.
    pub hard_events: usize,
    /// Their bytes, likewise. Default 64 MiB.
    pub hard_bytes: usize,
    /// Bytes appended to a file of the journal after which it goes on in another. Default 32 MiB.
    pub segment_bytes: u64,
    /// Bytes that the journal keeps free ahead for urgent events, besides what is [promised](Log::promise), so that
    /// they can be logged on a full disk. Default 2 MiB.
    pub reserve_bytes: u64,
}

impl Default for LogOptions {
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            signer: None,
            publish_later: false,
            checkpoint_interval: Duration::from_secs(1),
            soft_events: 4096,
            soft_bytes: 4 * MIB,
            hard_events: 65_536,
            hard_bytes: 64 * MIB,
            segment_bytes: 32 * MIB as u64,
            reserve_bytes: 2 * MIB as u64,
        }
    }
}

impl LogOptions {
    /// Bytes by which a segment is made longer at once.
    pub(crate) fn allocation(&self) -> u64 {
        (self.segment_bytes / 32).clamp(4096, 1024 * 1024)
    }
}

/// The open log: a handle that can be cloned and shared between threads.
///
/// One process at a time has a log open. When the last clone is dropped, what waits is written and the log closed.
///
/// # Durability
/// When a [`crate::Receipt`] is given, the event is on the disk: it survives the process and a power failure.
/// An event whose append failed may still be found in the log after the next opening.
#[derive(Clone, Debug)]
pub struct Log {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    reader: Reader,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Held until the threads have ended.
    _lock: Box<dyn Guard>,
}

/// What opening a log has found; with it, the log's threads are started.
pub(crate) struct Parts {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) lock: Box<dyn Guard>,
    pub(crate) integrator: Integrator,
    pub(crate) tail: Tail,
    pub(crate) segment: Segment,
    /// What the journal holds, on its way to the integrator.
    pub(crate) backlog: Backlog,
    pub(crate) origin: Origin,
    /// Tree size of the checkpoint in place.
    pub(crate) published: Option<u64>,
}

impl Log {
    pub(crate) fn start(dir: &Path, options: LogOptions, parts: Parts) -> Result<Self, OpenError> {
        let head = watch::Sender::new(parts.tail.next());
        let allocation = options.allocation();
        let limits = Limits {
            soft: Limit { events: options.soft_events, bytes: options.soft_bytes },
            hard: Limit { events: options.hard_events, bytes: options.hard_bytes },
            patience: UNHURRIED,
        };
        let reader = Reader::live(parts.disk.clone(), dir, head.subscribe());
        let shared = Arc::new(Shared {
            queue: Queue::new(limits),
            backlog: parts.backlog,
            head,
            failure: watch::Sender::new(None),
            promised: AtomicU64::new(0),
            publishes: AtomicBool::new(!options.publish_later),
            stats: Counters::new(
                parts.segment.room(),
                parts.integrator.integrated(),
                parts.published.unwrap_or(0),
            ),
        });
        let threads = Mutex::default();
        let log =
            Self { inner: Arc::new(Inner { shared: shared.clone(), reader, threads, _lock: parts.lock }) };
        let writer = Writer {
            disk: parts.disk,
            dir: dir.to_owned(),
            shared: shared.clone(),
            tail: parts.tail,
            segment: parts.segment,
            segment_bytes: options.segment_bytes,
            allocation,
            reserve: options.reserve_bytes,
        };
        let mut integrator = parts.integrator;
        let publisher = options.signer.map(|signer| Publisher {
            origin: parts.origin,
            signer,
            interval: options.checkpoint_interval,
            reader: log.reader(),
            published: parts.published,
        });
        log.inner.spawn("audit-integrate", move || {
            let _guard = EndGuard(&shared);
            if let Err(error) = publish::run(&shared, &mut integrator, publisher) {
                shared.poison(error.to_string());
            }
        })?;
        log.inner.spawn("audit-write", move || writer.run())?;
        Ok(log)
    }

    /// Queues an event. Never blocks; the order of calls is the order in the log.
    ///
    /// The log gives the event its index; an index that it has is ignored.
    ///
    /// # Errors
    /// [`LogError::TooLong`] above 65,535 bytes with its index, [`LogError::Overloaded`] at the queue's hard limit,
    /// [`LogError::Failed`] and [`LogError::Closed`] for good. The event is not logged then.
    pub fn submit(&self, event: Event) -> Result<Pending, LogError> {
        self.submit_as(event, Urgency::Ordinary)
    }

    /// Finds out whether an event fits an entry, without logging it.
    ///
    /// # Errors
    /// [`LogError::TooLong`] and [`LogError::Unserializable`], as [`Self::submit`] would.
    pub fn check(&self, event: &Event) -> Result<(), LogError> {
        encode(event.clone()).map(drop)
    }

    /// As [`Self::submit`], with a say in what becomes of the event on a full disk: its receipt then is
    /// [`LogError::Full`], or not.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub fn submit_as(&self, event: Event, urgency: Urgency) -> Result<Pending, LogError> {
        self.push(event, urgency, Haste::Awaited)
    }

    /// As [`Self::submit_as`], for an event whose receipt holds nothing up: it may wait 10 ms for others to come, so that one
    /// sync of the disk does for all of them.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub fn submit_unhurried(&self, event: Event, urgency: Urgency) -> Result<Pending, LogError> {
        self.push(event, urgency, Haste::Unhurried)
    }

    fn push(&self, event: Event, urgency: Urgency, haste: Haste) -> Result<Pending, LogError> {
        self.inner.shared.queue.push(encode(event)?, urgency, haste)
    }

    /// Promises room for `bytes` of [`Urgency::Closing`] events, also on a full disk: as soon as an event that is
    /// submitted after this has its receipt, and until the promise is dropped.
    pub fn promise(&self, bytes: u64) -> Promise {
        Promise::new(self.inner.shared.clone(), bytes)
    }

    /// Has checkpoints published from now on, where [`LogOptions::publish_later`] kept them back.
    pub fn publish(&self) {
        self.inner.shared.publishes.store(true, Ordering::SeqCst);
    }

    /// What the log has done and how it stands.
    pub fn stats(&self) -> Stats {
        self.inner.shared.stats.read(self.head(), self.inner.shared.promised.load(Ordering::SeqCst))
    }

    /// Appends an event and, once it is durable, marks `value` as [`Logged`].
    ///
    /// # Errors
    /// As [`Self::submit`], or the log failed before the event was durable; `value` is dropped then.
    ///
    /// # Cancel safety
    /// Once polled, the event is logged even when this is dropped; `value` is dropped with it.
    pub async fn append_for<T>(&self, event: Event, value: T) -> Result<Logged<T>, LogError> {
        self.append_as(event, Urgency::Ordinary, value).await
    }

    /// As [`Self::append_for`], with a say in what becomes of the event on a full disk.
    ///
    /// # Errors
    /// As [`Self::append_for`].
    ///
    /// # Cancel safety
    /// As [`Self::append_for`].
    pub async fn append_as<T>(
        &self,
        event: Event,
        urgency: Urgency,
        value: T,
    ) -> Result<Logged<T>, LogError> {
        let receipt = self.submit_as(event, urgency)?.await?;
        Ok(Logged::new(receipt, value))
    }

    /// True while the disk has no room for the journal to grow, so that [`Urgency::Ordinary`] events are refused.
    pub fn is_full(&self) -> bool {
        self.inner.shared.stats.full.load(Ordering::Relaxed)
    }

    /// True when so much waits for the disk that those who can should produce less.
    pub fn congested(&self) -> bool {
        self.inner.shared.queue.congested()
    }

    /// Why the log takes nothing more, once it does not: a write failed.
    pub fn failure(&self) -> Option<LogError> {
        self.inner.shared.failure.borrow().clone()
    }

    /// Waits until a write fails, after which nothing is logged any more; for ever if none does.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub async fn failed(&self) -> LogError {
        let mut failure = self.inner.shared.failure.subscribe();
        loop {
            if let Some(error) = failure.borrow_and_update().clone() {
                return error;
            }
            // The sender lives as long as `self`.
            if failure.changed().await.is_err() {
                return LogError::Closed;
            }
        }
    }

    /// Number of durable entries; the next gets this as its index, or a later one.
    pub fn head(&self) -> u64 {
        self.inner.shared.durable()
    }

    /// Follows [`Self::head`]. The channel ends when the log is closed.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.inner.shared.head.subscribe()
    }

    /// A reader of this log that sees what is durable, as soon as it is.
    pub fn reader(&self) -> Reader {
        self.inner.reader.clone()
    }

    /// Writes what waits and ends the log's threads; other clones get [`LogError::Closed`] from now on.
    ///
    /// # Errors
    /// The failure that poisoned the log, if one did.
    pub fn close(self) -> Result<(), LogError> {
        self.inner.close();
        self.failure().map_or(Ok(()), Err)
    }
}

impl Inner {
    fn spawn(&self, name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), OpenError> {
        let thread = thread::Builder::new().name(name.to_owned()).spawn(body).map_err(OpenError::Thread)?;
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }

    fn close(&self) {
        self.shared.queue.shut(LogError::Closed);
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        // The integrator was started first and ends last: when the writer has, it shuts the backlog.
        for thread in threads.into_iter().rev() {
            // A panic in it has poisoned the log; there is nothing to add.
            let _ = thread.join();
            self.shared.backlog.shut();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner")
            .field("reader", &self.reader)
            .field("head", &*self.shared.head.borrow())
            .finish()
    }
}

/// The event's JSON without an index, checked to fit an entry with one.
fn encode(mut event: Event) -> Result<Vec<u8>, LogError> {
    event.index = None;
    let json = serde_json::to_vec(&event)
        .map_err(|error| LogError::Unserializable { kind: event.kind(), reason: error.to_string().into() })?;
    if json.len() + INDEX_BYTES > MAX_EVENT_BYTES {
        return Err(LogError::TooLong { kind: event.kind(), bytes: json.len() });
    }
    Ok(json)
}
