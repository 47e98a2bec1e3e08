//! The bounded queue between a session's relay and the writer thread.
//!
//! The relay's side of a push is a lock that is nearly always free and one copy. Bytes wait in chunks of at
//! most [`CHUNK`] bytes; the first chunk starts small and grows, so that a typing session costs hundreds of
//! bytes and an idle one nothing. The writer takes all chunks of a session at once.
//!
//! ```text
//! relay thread                          writer thread
//!   push → Inbox (one a session) ──┐
//!   push → Inbox ──────────────────┤  Hub: sessions with a full chunk, or whose oldest byte has waited
//!   push → Inbox ──────────────────┘  long enough ──→ take → encode → compress → write
//! ```

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bartizan_model::{RecordingFile, SessionId};
use tokio::sync::{Notify, oneshot};

use crate::meta::ChannelDigests;
use crate::session::Session;
use crate::{Options, RecordError, Stream};

/// Bytes after which a chunk is handed to the writer.
pub(crate) const CHUNK: usize = 64 << 10;
/// Bytes of the first chunk of a session that was idle.
const FIRST_CHUNK: usize = 512;
/// Bytes of an operation's header in a chunk.
const HEADER: usize = 17;
/// Spare chunks that are kept for the next busy session.
const SPARE_CHUNKS: usize = 32;

/// Locks; a panic elsewhere leaves nothing half done that the next holder would mind.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a session asks of the writer, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Data(Stream),
    Open,
    Pty,
    Resize,
    Marker,
    Close,
    Finish,
    Abandon,
}

impl Op {
    const ALL: [Self; 10] = [
        Self::Data(Stream::Input),
        Self::Data(Stream::Output),
        Self::Data(Stream::Error),
        Self::Open,
        Self::Pty,
        Self::Resize,
        Self::Marker,
        Self::Close,
        Self::Finish,
        Self::Abandon,
    ];

    const fn code(self) -> u8 {
        match self {
            Self::Data(Stream::Input) => 0,
            Self::Data(Stream::Output) => 1,
            Self::Data(Stream::Error) => 2,
            Self::Open => 3,
            Self::Pty => 4,
            Self::Resize => 5,
            Self::Marker => 6,
            Self::Close => 7,
            Self::Finish => 8,
            Self::Abandon => 9,
        }
    }
}

/// Who waits for an operation's result.
pub(crate) enum Reply {
    Closed(oneshot::Sender<ChannelDigests>),
    Finished(oneshot::Sender<Result<Vec<RecordingFile>, RecordError>>),
}

/// One operation as the writer finds it in a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) channel: u32,
    pub(crate) op: Op,
    /// Microseconds since the session started.
    pub(crate) at: u64,
    chunk: u32,
    start: u32,
    length: u32,
}

/// Everything that waited in an inbox.
#[derive(Default)]
pub(crate) struct Batch {
    chunks: Vec<Vec<u8>>,
    replies: Vec<Option<Reply>>,
    pub(crate) items: Vec<Item>,
    bytes: usize,
    reserved: usize,
    ends: bool,
}

impl Batch {
    /// The bytes of an operation.
    pub(crate) fn content(&self, item: &Item) -> &[u8] {
        let chunk = self.chunks.get(item.chunk as usize).map_or(&[][..], Vec::as_slice);
        chunk.get(item.start as usize..).and_then(|c| c.get(..item.length as usize)).unwrap_or_default()
    }

    /// Who waits for an operation; each is given once.
    pub(crate) fn reply(&mut self, item: &Item) -> Option<Reply> {
        let number = self.content(item).first_chunk().map(|n| u32::from_le_bytes(*n))?;
        self.replies.get_mut(number as usize)?.take()
    }

    /// Bytes that waited.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// True when nothing follows this batch in its session.
    pub(crate) fn is_last(&self) -> bool {
        self.ends
    }

    /// Lists the operations, channel by channel, each channel's in order.
    fn list(&mut self) {
        for (chunk, bytes) in self.chunks.iter().enumerate() {
            let mut at = 0;
            while let Some((header, _)) = bytes.get(at..).and_then(<[u8]>::split_first_chunk::<HEADER>) {
                let [code, c0, c1, c2, c3, t0, t1, t2, t3, t4, t5, t6, t7, l0, l1, l2, l3] = *header;
                let length = u32::from_le_bytes([l0, l1, l2, l3]);
                let start = at + HEADER;
                if let Some(&op) = Op::ALL.get(usize::from(code)) {
                    self.items.push(Item {
                        channel: u32::from_le_bytes([c0, c1, c2, c3]),
                        op,
                        at: u64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7]),
                        chunk: chunk as u32,
                        start: start as u32,
                        length,
                    });
                }
                at = start + length as usize;
            }
        }
        // `Finish` and `Abandon` carry the highest channel number, so they stay last.
        self.items.sort_by_key(|item| item.channel);
    }
}

/// The channel number of operations that concern the whole session.
pub(crate) const WHOLE_SESSION: u32 = u32::MAX;

/// What one session has waiting.
#[derive(Default)]
pub(crate) struct Inbox {
    current: Vec<u8>,
    full: Vec<Vec<u8>>,
    replies: Vec<Option<Reply>>,
    /// Bytes of memory that the chunks were counted with in [`Hub::reserved`].
    reserved: usize,
    /// Bytes waiting, with their headers.
    pub(crate) bytes: usize,
    /// The session is in the hub's list of timers.
    timed: bool,
    /// The session is in the hub's list of ready sessions.
    ready: bool,
    /// No more is taken: finished or abandoned.
    pub(crate) closed: bool,
}

/// What the hub has to be told after a push.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    Nothing,
    Timer,
    Ready,
    Both,
}

impl Inbox {
    /// Appends one operation. `urgent` ones are written at once.
    pub(crate) fn push(&mut self, hub: &Hub, header: (Op, u32, u64), mut data: &[u8], urgent: bool) -> Wake {
        loop {
            let spare = CHUNK.saturating_sub(self.current.len() + HEADER);
            if spare == 0 || (data.len() > spare && spare < CHUNK / 16) {
                self.seal(hub);
                continue;
            }
            let (now, later) = data.split_at(data.len().min(spare));
            self.grow(hub, HEADER + now.len());
            self.write(header, now);
            data = later;
            if data.is_empty() {
                break;
            }
        }
        let timer = !std::mem::replace(&mut self.timed, true);
        let full = urgent || !self.full.is_empty() || self.current.len() >= CHUNK - HEADER;
        let ready = full && !std::mem::replace(&mut self.ready, true);
        match (timer, ready) {
            (false, false) => Wake::Nothing,
            (true, false) => Wake::Timer,
            (false, true) => Wake::Ready,
            (true, true) => Wake::Both,
        }
    }

    fn write(&mut self, (op, channel, at): (Op, u32, u64), data: &[u8]) {
        let mut header = [0; HEADER];
        header[0] = op.code();
        header[1..5].copy_from_slice(&channel.to_le_bytes());
        header[5..13].copy_from_slice(&at.to_le_bytes());
        header[13..].copy_from_slice(&(data.len() as u32).to_le_bytes());
        self.current.extend_from_slice(&header);
        self.current.extend_from_slice(data);
        self.bytes += HEADER + data.len();
    }

    fn grow(&mut self, hub: &Hub, more: usize) {
        let need = self.current.len() + more;
        let had = self.current.capacity();
        if need <= had {
            return;
        }
        let want = need.max(had * 4).clamp(FIRST_CHUNK, CHUNK);
        if self.current.is_empty() && want == CHUNK {
            self.current = hub.spare_chunk();
        } else {
            self.current.reserve_exact(want - self.current.len());
        }
        hub.reserve(self.current.capacity() - had);
        self.reserved += self.current.capacity() - had;
    }

    fn seal(&mut self, hub: &Hub) {
        let next = hub.spare_chunk();
        hub.reserve(next.capacity());
        self.reserved += next.capacity();
        self.full.push(std::mem::replace(&mut self.current, next));
    }

    /// Appends an operation that somebody waits for; it is written at once.
    pub(crate) fn push_asking(&mut self, hub: &Hub, header: (Op, u32, u64), reply: Reply) -> Wake {
        let number = self.replies.len() as u32;
        self.replies.push(Some(reply));
        self.push(hub, header, &number.to_le_bytes(), true)
    }

    /// Takes everything. `by_timer`: the session's timer entry is used up.
    pub(crate) fn take(&mut self, by_timer: bool) -> Batch {
        if by_timer {
            self.timed = false;
        } else {
            self.ready = false;
        }
        let mut batch = Batch {
            chunks: std::mem::take(&mut self.full),
            replies: std::mem::take(&mut self.replies),
            items: Vec::new(),
            bytes: std::mem::take(&mut self.bytes),
            reserved: std::mem::take(&mut self.reserved),
            ends: self.closed,
        };
        batch.chunks.push(std::mem::take(&mut self.current));
        batch.list();
        batch
    }

    /// Notes that the session wants another turn by timer; false when it has one already.
    pub(crate) fn want_timer(&mut self) -> bool {
        !std::mem::replace(&mut self.timed, true)
    }
}

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

    fn reserve(&self, bytes: usize) {
        self.reserved.fetch_add(bytes, Ordering::Relaxed);
    }

    fn spare_chunk(&self) -> Vec<u8> {
        lock(&self.spare).pop().unwrap_or_else(|| Vec::with_capacity(CHUNK))
    }

    /// Takes a batch back after it was written.
    pub(crate) fn recycle(&self, batch: Batch) {
        let left = self.reserved.fetch_sub(batch.reserved, Ordering::SeqCst) - batch.reserved;
        let mut spare = lock(&self.spare);
        for mut chunk in batch.chunks {
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
