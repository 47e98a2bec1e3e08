//! What the relay, the writer and the sync threads share about one session.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bartizan_model::{Recording, SessionId, Timestamp};
use tokio::sync::Notify;

use crate::RecordError;
use crate::counted::Accounts;
use crate::hub::Hub;
use crate::queue::{Inbox, Op, Reply, lock};
use crate::writer::Writing;

/// One recorded session.
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) folder: PathBuf,
    pub(crate) started: Timestamp,
    /// `alice → root@web-1`, for the header of terminal recordings.
    pub(crate) title: String,
    pub(crate) policy: Recording,
    inbox: Mutex<Inbox>,
    /// Bytes that wait or are being written.
    queued: AtomicUsize,
    has_failed: AtomicBool,
    failure: Mutex<Option<RecordError>>,
    /// It goes on without its files when the disk refuses: what passes is still counted and digested.
    lenient: bool,
    has_lapsed: AtomicBool,
    lapse: Mutex<Option<RecordError>>,
    /// Files made for channels, two for each format of a channel.
    pub(crate) files: AtomicU64,
    /// Room was made, or the session failed.
    changed: Notify,
    /// The writer's own state. Only the writer thread locks it.
    pub(crate) writing: Mutex<Writing>,
}

/// Microseconds, as every time inside this room.
pub(crate) fn micros(at: Duration) -> u64 {
    u64::try_from(at.as_micros()).unwrap_or(u64::MAX)
}

impl Session {
    pub(crate) fn new(
        id: SessionId,
        folder: PathBuf,
        started: Timestamp,
        title: String,
        policy: Recording,
        lenient: bool,
    ) -> Self {
        Self {
            id,
            folder,
            started,
            title,
            policy,
            inbox: Mutex::default(),
            queued: AtomicUsize::new(0),
            has_failed: AtomicBool::new(false),
            failure: Mutex::default(),
            lenient,
            has_lapsed: AtomicBool::new(false),
            lapse: Mutex::default(),
            files: AtomicU64::new(0),
            changed: Notify::new(),
            writing: Mutex::default(),
        }
    }

    /// Queues one operation. After a failure it does nothing: the failure has been told.
    pub(crate) fn push(self: &Arc<Self>, hub: &Hub, op: Op, channel: u32, at: Duration, data: &[u8]) {
        if self.has_failed.load(Ordering::Relaxed) {
            return;
        }
        let queued = self.queued.load(Ordering::Relaxed);
        if queued > hub.options.overrun_bytes() || hub.reserved() > hub.options.overrun_total() {
            self.fail(RecordError::Overrun { queued });
            return;
        }
        let mut inbox = lock(&self.inbox);
        if inbox.closed {
            drop(inbox);
            self.fail(RecordError::Misused("something came after the end of the session"));
            return;
        }
        if let Op::Data(stream) = op
            && inbox.count(hub, channel, stream, data)
        {
            return;
        }
        let before = inbox.bytes;
        let wake = inbox.push(hub, (op, channel, micros(at)), data, false);
        self.queued.fetch_add(inbox.bytes - before, Ordering::Relaxed);
        drop(inbox);
        hub.announce(self, wake);
    }

    /// Queues an operation that somebody waits for. A failed session's inbox still takes it, so that it is answered.
    pub(crate) fn ask(self: &Arc<Self>, hub: &Hub, op: Op, channel: u32, at: Duration, reply: Reply) {
        let mut inbox = lock(&self.inbox);
        if inbox.closed {
            drop(inbox);
            return self.fail(RecordError::Misused("something was asked after the end of the session"));
        }
        inbox.closed = op == Op::Finish;
        let before = inbox.bytes;
        let wake = inbox.push_asking(hub, (op, channel, micros(at)), reply);
        self.queued.fetch_add(inbox.bytes - before, Ordering::Relaxed);
        drop(inbox);
        hub.announce(self, wake);
    }

    /// Closes the inbox of a session whose handle is gone; what waits is still written.
    pub(crate) fn abandon(self: &Arc<Self>, hub: &Hub) {
        let mut inbox = lock(&self.inbox);
        if std::mem::replace(&mut inbox.closed, true) {
            return;
        }
        let before = inbox.bytes;
        let wake = inbox.push(hub, (Op::Abandon, crate::queue::WHOLE_SESSION, 0), &[], true);
        self.queued.fetch_add(inbox.bytes - before, Ordering::Relaxed);
        drop(inbox);
        hub.announce(self, wake);
    }

    pub(crate) fn take(&self, by_timer: bool) -> crate::queue::Batch {
        lock(&self.inbox).take(by_timer)
    }

    /// Lets the relay's side count and digest a channel's bytes from here on, if none of them wait; else false.
    pub(crate) fn hand_over(&self, channel: u32, accounts: &mut Accounts) -> bool {
        lock(&self.inbox).hand_over(channel, accounts)
    }

    /// Takes back what [`Self::hand_over`] gave.
    pub(crate) fn hand_back(&self, channel: u32) -> Option<Accounts> {
        lock(&self.inbox).hand_back(channel)
    }

    pub(crate) fn want_timer(&self) -> bool {
        lock(&self.inbox).want_timer()
    }

    /// Notes that `bytes` are no longer queued.
    pub(crate) fn written(&self, bytes: usize) {
        self.queued.fetch_sub(bytes, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    pub(crate) fn has_room(&self, hub: &Hub) -> bool {
        self.queued.load(Ordering::Relaxed) < hub.options.session_queue_bytes && hub.has_room()
    }

    /// Waits until there is room, or the session failed.
    pub(crate) async fn room(&self, hub: &Hub) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.has_failed.load(Ordering::SeqCst) {
                return;
            }
            if self.queued.load(Ordering::SeqCst) >= hub.options.session_queue_bytes {
                changed.await;
            } else if hub.has_room() {
                return;
            } else {
                hub.room().await;
            }
        }
    }

    /// Ends the recording of this session; the first failure counts. A lenient session goes on without its files
    /// where the disk is at fault.
    pub(crate) fn fail(&self, error: RecordError) {
        if self.excuses(&error) {
            lock(&self.lapse).get_or_insert(error);
            self.has_lapsed.store(true, Ordering::SeqCst);
            self.changed.notify_waiters();
            return;
        }
        lock(&self.failure).get_or_insert(error);
        self.has_failed.store(true, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    /// True when the session goes on after this.
    pub(crate) fn excuses(&self, error: &RecordError) -> bool {
        self.lenient && matches!(error, RecordError::Disk { .. } | RecordError::Exists(_))
    }

    /// Why the session goes on without its files.
    pub(crate) fn lapsed(&self) -> Option<RecordError> {
        if !self.has_lapsed.load(Ordering::SeqCst) {
            return None;
        }
        lock(&self.lapse).clone()
    }

    pub(crate) async fn lapse(&self) -> RecordError {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if let Some(error) = self.lapsed() {
                return error;
            }
            changed.await;
        }
    }

    pub(crate) fn failed(&self) -> Option<RecordError> {
        if !self.has_failed.load(Ordering::SeqCst) {
            return None;
        }
        lock(&self.failure).clone()
    }

    pub(crate) async fn failure(&self) -> RecordError {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if let Some(error) = self.failed() {
                return error;
            }
            changed.await;
        }
    }
}
