//! The bounded queue between a session's relay and the writer thread.
//!
//! The relay's side of a push is a lock that is nearly always free and one copy. Bytes wait in chunks of at
//! most [`CHUNK`] bytes; the first chunk starts small and grows, so that a typing session costs hundreds of
//! bytes and an idle one nothing. The writer takes all chunks of a session at once. Bytes of which nothing is
//! kept do not wait: they are digested where they are, see [`crate::counted`].
//!
//! ```text
//! relay thread                          writer thread
//!   push → Inbox (one a session) ──┐
//!   push → Inbox ──────────────────┤  Hub: sessions with a full chunk, or whose oldest byte has waited
//!   push → Inbox ──────────────────┘  long enough ──→ take → encode → compress → write
//! ```

use std::sync::{Mutex, MutexGuard, PoisonError};

use bartizan_model::RecordingFile;
use tokio::sync::oneshot;

use crate::counted::{Accounts, Counted};
use crate::hub::Hub;
use crate::meta::ChannelDigests;
use crate::{RecordError, Stream};

/// Bytes after which a chunk is handed to the writer.
pub(crate) const CHUNK: usize = 64 << 10;
/// Bytes of the first chunk of a session that was idle.
const FIRST_CHUNK: usize = 512;
/// Bytes of an operation's header in a chunk.
const HEADER: usize = 17;

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

    /// The chunks, and the bytes that [`Hub::reserve`] counted for them.
    pub(crate) fn into_chunks(self) -> (Vec<Vec<u8>>, usize) {
        (self.chunks, self.reserved)
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
    /// The accounts of channels of which nothing more is kept.
    counted: Counted,
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
        if matches!(header.0, Op::Pty | Op::Close) {
            self.counted.end(header.1);
        }
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
        let full = urgent || self.current.len() + self.full.len() * CHUNK >= CHUNK - HEADER;
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

    /// Counts and digests bytes of a channel of which nothing more is kept; false for any other channel.
    pub(crate) fn count(&mut self, hub: &Hub, channel: u32, stream: Stream, data: &[u8]) -> bool {
        self.counted.count(channel, stream, data, hub.options.beside)
    }

    /// Takes over a channel's accounts from the writer, so that what comes next need not be copied to it.
    /// Refuses, and leaves them, while bytes wait that belong to these accounts first.
    pub(crate) fn hand_over(&mut self, channel: u32, accounts: &mut Accounts) -> bool {
        let may = self.bytes == 0 && !self.closed;
        if may {
            self.counted.insert(channel, std::mem::take(accounts));
        }
        may
    }

    /// Gives a channel's accounts back to the writer.
    pub(crate) fn hand_back(&mut self, channel: u32) -> Option<Accounts> {
        self.counted.remove(channel)
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
