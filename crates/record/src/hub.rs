//! Where all sessions meet the writer: whose turn it is, and how much all of them hold.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bartizan_model::SessionId;
use tokio::sync::Notify;

use crate::Options;
use crate::queue::{Batch, CHUNK, Wake, lock};
use crate::session::Session;

/// Spare chunks that are kept for the next busy session.
const SPARE_CHUNKS: usize = 32;

/// Why the writer woke up.
pub(crate) enum Work {
    /// A session has something to write. `by_timer`: because its oldest byte has waited long enough.
    Session { session: Arc<Session>, by_timer: bool },
    /// It is time to make live recordings durable.
    Sync,
    /// Nobody can ask for anything any more.
    Stop,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Sleeping {
    #[default]
    No,
    /// Until a time that is no later than the next timer.
    Until,
    Forever,
}

#[derive(Default)]
struct Waiting {
    ready: VecDeque<Arc<Session>>,
    timers: VecDeque<(Instant, Arc<Session>)>,
    sleeping: Sleeping,
    stop: bool,
}

/// Where all sessions meet the writer.
pub(crate) struct Hub {
    pub(crate) options: Options,
    waiting: Mutex<Waiting>,
    wake: Condvar,
    spare: Mutex<Vec<Vec<u8>>>,
    /// Memory of all chunks of all sessions, in bytes.
    reserved: AtomicUsize,
    starving: AtomicBool,
    room: Notify,
    /// Bytes written to files by this process.
    pub(crate) written: Arc<AtomicU64>,
    /// Sessions that this process has open.
    pub(crate) open: Mutex<HashSet<SessionId>>,
}

impl Hub {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            options,
            waiting: Mutex::default(),
            wake: Condvar::new(),
            spare: Mutex::default(),
            reserved: AtomicUsize::new(0),
            starving: AtomicBool::new(false),
            room: Notify::new(),
            written: Arc::default(),
            open: Mutex::default(),
        }
    }

    /// True while all sessions together hold less than they may.
    pub(crate) fn has_room(&self) -> bool {
        self.reserved.load(Ordering::Relaxed) < self.options.queue_bytes
    }

    /// Bytes of memory that all chunks hold.
    pub(crate) fn reserved(&self) -> usize {
        self.reserved.load(Ordering::Relaxed)
    }

    /// Waits until [`Self::has_room`] may have become true.
    pub(crate) async fn room(&self) {
        let mut freed = std::pin::pin!(self.room.notified());
        freed.as_mut().enable();
        self.starving.store(true, Ordering::SeqCst);
        if self.reserved.load(Ordering::SeqCst) >= self.options.queue_bytes {
            freed.await;
        }
    }

    pub(crate) fn reserve(&self, bytes: usize) {
        self.reserved.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn spare_chunk(&self) -> Vec<u8> {
        lock(&self.spare).pop().unwrap_or_else(|| Vec::with_capacity(CHUNK))
    }

    /// Takes a batch back after it was written.
    pub(crate) fn recycle(&self, batch: Batch) {
        let (chunks, reserved) = batch.into_chunks();
        let left = self.reserved.fetch_sub(reserved, Ordering::SeqCst) - reserved;
        let mut spare = lock(&self.spare);
        for mut chunk in chunks {
            if chunk.capacity() == CHUNK && spare.len() < SPARE_CHUNKS {
                chunk.clear();
                spare.push(chunk);
            }
        }
        drop(spare);
        let enough = left < self.options.queue_bytes / 4 * 3;
        if enough && self.starving.load(Ordering::SeqCst) && self.starving.swap(false, Ordering::SeqCst) {
            self.room.notify_waiters();
        }
    }

    /// Tells the writer about a session.
    pub(crate) fn announce(&self, session: &Arc<Session>, wake: Wake) {
        if wake == Wake::Nothing {
            return;
        }
        let mut waiting = lock(&self.waiting);
        if matches!(wake, Wake::Ready | Wake::Both) {
            waiting.ready.push_back(Arc::clone(session));
        }
        if matches!(wake, Wake::Timer | Wake::Both) {
            let due = Instant::now() + self.options.flush_after;
            waiting.timers.push_back((due, Arc::clone(session)));
        }
        let asleep = match wake {
            Wake::Timer => waiting.sleeping == Sleeping::Forever,
            _ => waiting.sleeping != Sleeping::No,
        };
        if asleep {
            waiting.sleeping = Sleeping::No;
            drop(waiting);
            self.wake.notify_one();
        }
    }

    /// Lets the writer end after what waits now.
    pub(crate) fn stop(&self) {
        lock(&self.waiting).stop = true;
        self.wake.notify_one();
    }

    /// Waits for work. `sync_at`: when live recordings are to be made durable, if any needs it.
    pub(crate) fn next(&self, sync_at: Option<Instant>) -> Work {
        let mut waiting = lock(&self.waiting);
        loop {
            let now = Instant::now();
            if waiting.timers.front().is_some_and(|(due, _)| *due <= now || waiting.stop)
                && let Some((_, session)) = waiting.timers.pop_front()
            {
                return Work::Session { session, by_timer: true };
            }
            if sync_at.is_some_and(|at| at <= now) {
                return Work::Sync;
            }
            if let Some(session) = waiting.ready.pop_front() {
                return Work::Session { session, by_timer: false };
            }
            if waiting.stop {
                return Work::Stop;
            }
            let until = [waiting.timers.front().map(|(due, _)| *due), sync_at].into_iter().flatten().min();
            waiting = self.sleep(waiting, until.map(|until| until - now));
        }
    }

    fn sleep<'a>(
        &self,
        mut waiting: MutexGuard<'a, Waiting>,
        time: Option<Duration>,
    ) -> MutexGuard<'a, Waiting> {
        waiting.sleeping = if time.is_some() { Sleeping::Until } else { Sleeping::Forever };
        let mut waiting = match time {
            Some(time) => self.wake.wait_timeout(waiting, time).unwrap_or_else(PoisonError::into_inner).0,
            None => self.wake.wait(waiting).unwrap_or_else(PoisonError::into_inner),
        };
        waiting.sleeping = Sleeping::No;
        waiting
    }
}
