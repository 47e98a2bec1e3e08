//! What the log counts about itself: plain atomics, for whoever shows them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the classes of [`Latency`], in microseconds; one class more has none.
pub const LATENCY_BOUNDS: [u64; 12] =
    [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000];

/// How the log stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Durable entries: *sequenced*.
    pub head: u64,
    /// Entries in full bundles: *integrated*.
    pub integrated: u64,
    /// Entries that the last checkpoint covers: *published*.
    pub published: u64,
    /// Bytes that can be appended without asking the disk for room.
    pub reserved: u64,
    /// Bytes of them that are promised to what was begun.
    pub promised: u64,
    /// Events refused because the disk was full.
    pub unlogged: u64,
    /// True while the disk has no room for the journal to grow.
    pub full: bool,
    /// From the queueing of an event to its receipt.
    pub latency: Latency,
    /// One group commit's write and sync.
    pub sync: Latency,
    /// Bytes appended to the journal by this process.
    pub appended_bytes: u64,
    /// When the published checkpoint last covered all that was durable, in microseconds since 1970; 0 for never yet.
    pub current_us: u64,
}

/// A histogram of times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// How many took at most each of [`LATENCY_BOUNDS`] but longer than the bound before; the last took longer.
    pub counts: [u64; LATENCY_BOUNDS.len() + 1],
    /// All of them together, in microseconds.
    pub sum_us: u64,
}

#[derive(Default)]
pub(crate) struct LatencyCounters {
    counts: [AtomicU64; LATENCY_BOUNDS.len() + 1],
    sum_us: AtomicU64,
}

impl LatencyCounters {
    pub(crate) fn add(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let class = LATENCY_BOUNDS.partition_point(|bound| *bound < micros);
        if let Some(count) = self.counts.get(class) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_us.fetch_add(micros, Ordering::Relaxed);
    }

    fn read(&self) -> Latency {
        let counts = std::array::from_fn(|class| self.counts[class].load(Ordering::Relaxed));
        Latency { counts, sum_us: self.sum_us.load(Ordering::Relaxed) }
    }
}

/// What is counted while the log runs.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) integrated: AtomicU64,
    pub(crate) published: AtomicU64,
    pub(crate) reserved: AtomicU64,
    pub(crate) unlogged: AtomicU64,
    pub(crate) full: AtomicBool,
    pub(crate) latency: LatencyCounters,
    pub(crate) sync: LatencyCounters,
    pub(crate) appended: AtomicU64,
    pub(crate) current_us: AtomicU64,
}

impl Counters {
    pub(crate) fn new(reserved: u64, integrated: u64, published: u64) -> Self {
        Self {
            reserved: AtomicU64::new(reserved),
            integrated: AtomicU64::new(integrated),
            published: AtomicU64::new(published),
            ..Self::default()
        }
    }

    pub(crate) fn read(&self, head: u64, promised: u64) -> Stats {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            head,
            integrated: load(&self.integrated),
            published: load(&self.published),
            reserved: load(&self.reserved),
            promised,
            unlogged: load(&self.unlogged),
            full: self.full.load(Ordering::Relaxed),
            latency: self.latency.read(),
            sync: self.sync.read(),
            appended_bytes: load(&self.appended),
            current_us: load(&self.current_us),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_in_their_class() {
        let counters = LatencyCounters::default();
        for micros in [0, 100, 101, 1_000_000, 1_000_001] {
            counters.add(Duration::from_micros(micros));
        }
        let latency = counters.read();
        assert_eq!(
            (latency.counts[0], latency.counts[1], latency.counts[11], latency.counts[12]),
            (2, 1, 1, 1)
        );
        assert_eq!((latency.counts.iter().sum::<u64>(), latency.sum_us), (5, 2_000_202));
    }
}
