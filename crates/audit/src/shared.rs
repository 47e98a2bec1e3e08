//! What the log's handles and threads share, and how it ends.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::watch;

use crate::backlog::Backlog;
use crate::error::LogError;
use crate::queue::Queue;
use crate::stats::Counters;

/// What the handles and the log's threads share.
pub(crate) struct Shared {
    pub(crate) queue: Queue,
    pub(crate) backlog: Backlog,
    /// Number of durable entries.
    pub(crate) head: watch::Sender<u64>,
    pub(crate) failure: watch::Sender<Option<LogError>>,
    /// Bytes promised to those who will have something to close.
    pub(crate) promised: AtomicU64,
    /// Whether checkpoints are published yet.
    pub(crate) publishes: AtomicBool,
    pub(crate) stats: Counters,
}

impl Shared {
    /// Number of durable entries. Does not keep the channel locked, as a borrow in an expression would.
    pub(crate) fn durable(&self) -> u64 {
        *self.head.borrow()
    }

    /// Whether checkpoints are published yet.
    pub(crate) fn publishes(&self) -> bool {
        self.publishes.load(Ordering::SeqCst)
    }

    /// True once a write has failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.failure.borrow().is_some()
    }

    /// Ends the log after a failed write: everything that waits or comes later is refused. The first reason stays.
    pub(crate) fn poison(&self, reason: String) -> LogError {
        self.failure.send_if_modified(|failure| {
            let first = failure.is_none();
            failure.get_or_insert(LogError::Failed(reason.into()));
            first
        });
        let reason = self.failure.borrow().clone().unwrap_or(LogError::Closed);
        self.queue.fail(&reason);
        self.backlog.shut();
        reason
    }
}

/// Ends the log when a thread of it ends, also by a panic.
pub(crate) struct EndGuard<'a>(pub(crate) &'a Shared);

impl Drop for EndGuard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.poison("its writer ended unexpectedly".to_owned());
        }
        self.0.queue.shut(LogError::Closed);
        self.0.backlog.shut();
    }
}
