//! The writer thread: the one place where entries get their index and become durable.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::bundle;
use crate::bundle::FullBundle;
use crate::disk::Disk;
use crate::error::{FileError, LogError};
use crate::frame::{BATCH_HEADER_BYTES, BatchWriter};
use crate::journal::Segment;
use crate::layout::{ENTRIES_PER_BUNDLE, SegmentName};
use crate::queue::{Urgency, Waiting};
use crate::receipt::Receipt;
use crate::shared::{EndGuard, Shared};

/// The most bytes of events in one group commit, so that the first of many does not wait long.
const MAX_BATCH_BYTES: usize = 1024 * 1024;

/// The entries behind the last full bundle, as in a bundle.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    /// Index of the first of them, a multiple of 256.
    first: u64,
    count: u64,
    bytes: Vec<u8>,
}

impl Tail {
    /// An empty tail of a log whose first `first` entries, a multiple of 256, are in bundles.
    pub(crate) fn new(first: u64) -> Self {
        Self { first, count: 0, bytes: Vec::new() }
    }

    /// The index that the next entry gets.
    pub(crate) fn next(&self) -> u64 {
        self.first + self.count
    }

    /// Adds the next entry; gives the bundle that is full with it.
    pub(crate) fn push(&mut self, entry: &[u8]) -> Option<FullBundle> {
        bundle::push(&mut self.bytes, entry);
        self.count += 1;
        if self.count < ENTRIES_PER_BUNDLE {
            return None;
        }
        let number = self.first / ENTRIES_PER_BUNDLE;
        let capacity = self.bytes.len();
        let bytes = std::mem::replace(&mut self.bytes, Vec::with_capacity(capacity));
        self.first += ENTRIES_PER_BUNDLE;
        self.count = 0;
        Some(FullBundle { number, bytes })
    }

    /// Starts a segment that holds the tail, so that it needs none before it.
    pub(crate) fn start_segment(
        &self,
        disk: &dyn Disk,
        dir: &std::path::Path,
        sequence: u64,
        allocation: u64,
        reserve: u64,
    ) -> Result<Segment, FileError> {
        let name = SegmentName { sequence, first: self.first };
        Segment::create(disk, dir, name, &self.bytes, allocation, reserve)
    }
}

/// What the writer thread owns.
pub(crate) struct Writer {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) shared: Arc<Shared>,
    pub(crate) tail: Tail,
    pub(crate) segment: Segment,
    /// Bytes appended to a segment after which the journal goes on in another segment.
    pub(crate) segment_bytes: u64,
    /// Bytes by which a segment is made longer at once.
    pub(crate) allocation: u64,
    /// Bytes that stay free in the segment for what is urgent, besides what was promised.
    pub(crate) reserve: u64,
}

impl Writer {
    /// Appends until the log is closed or fails. However it ends, nobody waits for it in vain.
    pub(crate) fn run(mut self) {
        let shared = self.shared.clone();
        let _guard = EndGuard(&shared);
        let mut buffer = Vec::new();
        while let Some(waiting) = shared.queue.take(MAX_BATCH_BYTES) {
            buffer = match self.commit(waiting, buffer) {
                Ok(buffer) => buffer,
                Err(error) => {
                    shared.poison(error.to_string());
                    return;
                }
            };
        }
        if !shared.has_failed() {
            // Zeros that stay are in nobody's way.
            let _ = self.segment.trim();
        }
    }

    /// One group commit: index, write, sync, receipts; then what full bundles and a long segment ask for.
    fn commit(&mut self, waiting: Vec<Waiting>, buffer: Vec<u8>) -> Result<Vec<u8>, FileError> {
        let waiting = match self.admit(waiting) {
            Ok(waiting) if waiting.is_empty() => return Ok(buffer),
            Ok(waiting) => waiting,
            Err((waiting, error)) => {
                self.refuse(waiting, &error);
                return Err(error);
            }
        };
        let first = self.tail.next();
        let mut batch = BatchWriter::new(buffer, first);
        let mut entry = Vec::new();
        for (index, waiting) in (first..).zip(&waiting) {
            with_index(&mut entry, index, &waiting.json);
            batch.push(&entry);
        }
        let batch = batch.finish();
        let begun = Instant::now();
        if let Err(error) = self.segment.append(&batch) {
            self.refuse(waiting, &error);
            return Err(error);
        }
        self.shared.stats.sync.add(begun.elapsed());
        self.shared.stats.appended.fetch_add(batch.len() as u64, Ordering::Relaxed);

        self.shared.head.send_replace(first + waiting.len() as u64);
        let latency = &self.shared.stats.latency;
        for (index, waiting) in (first..).zip(waiting) {
            latency.add(waiting.since.elapsed());
            let _ = waiting.receipt.send(Ok(Receipt::new(index)));
        }
        for entry in bundle::entries(&batch[BATCH_HEADER_BYTES..]).flatten() {
            if let Some(full) = self.tail.push(entry) {
                self.shared.backlog.push(full);
            }
        }
        if self.segment.appended() >= self.segment_bytes {
            self.rotate()?;
        }
        self.shared.stats.reserved.store(self.segment.room(), Ordering::Relaxed);
        Ok(batch)
    }

    /// Goes on in another segment, unless the disk has no room for one with its reserve.
    fn rotate(&mut self) -> Result<(), FileError> {
        let sequence = self.segment.name.sequence + 1;
        let reserve = self.reserve + self.shared.promised.load(Ordering::SeqCst);
        match self.tail.start_segment(&*self.disk, &self.dir, sequence, self.allocation, reserve) {
            Ok(segment) => {
                self.segment = segment;
                self.shared.backlog.rotated(self.segment.name);
                Ok(())
            }
            // This one serves on; with the next commit it is tried again.
            Err(error) if error.is_full() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Finds room for what waits, refusing on a full disk what is not urgent enough. What is left fits the segment,
    /// and what was promised fits behind it, unless it is what the promise was for.
    fn admit(&mut self, waiting: Vec<Waiting>) -> Result<Vec<Waiting>, (Vec<Waiting>, FileError)> {
        let promised = self.shared.promised.load(Ordering::SeqCst);
        let needed: u64 = waiting.iter().map(entry_bytes).sum();
        match self.segment.ensure(BATCH_HEADER_BYTES as u64 + needed + promised + self.reserve) {
            Ok(()) => {
                self.shared.stats.full.store(false, Ordering::Relaxed);
                return Ok(waiting);
            }
            Err(error) if error.is_full() => self.shared.stats.full.store(true, Ordering::Relaxed),
            Err(error) => return Err((waiting, error)),
        }
        let mut used = BATCH_HEADER_BYTES as u64;
        let mut admitted = Vec::with_capacity(waiting.len());
        for waiting in waiting {
            let keep = match waiting.urgency {
                Urgency::Ordinary => promised + self.reserve,
                Urgency::Emergency => promised + self.reserve / 2,
                Urgency::Closing => 0,
            };
            let bytes = entry_bytes(&waiting);
            if used + bytes + keep <= self.segment.room() {
                used += bytes;
                admitted.push(waiting);
            } else {
                self.shared.stats.unlogged.fetch_add(1, Ordering::Relaxed);
                let _ = waiting.receipt.send(Err(LogError::Full));
            }
        }
        Ok(admitted)
    }

    /// Ends the log by a failed write, and tells those who wait for it.
    fn refuse(&self, waiting: Vec<Waiting>, error: &FileError) {
        let reason = self.shared.poison(error.to_string());
        for waiting in waiting {
            // A receipt that nobody waits for is nobody's loss; so elsewhere here.
            let _ = waiting.receipt.send(Err(reason.clone()));
        }
    }
}

/// The most bytes that an event takes in the journal: its length stands before it.
fn entry_bytes(waiting: &Waiting) -> u64 {
    (2 + INDEX_BYTES + waiting.json.len()) as u64
}

/// Writes an event's JSON with its index as the first field.
fn with_index(entry: &mut Vec<u8>, index: u64, json: &[u8]) {
    use std::io::Write as _;
    entry.clear();
    // Writing to memory does not fail. The JSON is an object with at least one field (see `encode`).
    let _ = write!(entry, "{{\"index\":{index},");
    entry.extend_from_slice(json.get(1..).unwrap_or_default());
}

/// The most bytes that [`with_index`] adds: `"index":` and 20 digits and a comma.
pub(crate) const INDEX_BYTES: usize = 8 + 20 + 1;
