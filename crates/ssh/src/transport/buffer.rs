//! A byte queue in one contiguous allocation, which can be taken away while it is empty.
//!
//! The allocation is a `Vec` whose length is its capacity, so that unread space can be lent out as
//! a slice without `unsafe`. An idle transport holds none: its owner pools them.

use zeroize::Zeroize;

/// Bytes between `start` and `end` are queued.
#[derive(Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    pub(super) fn queued(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    pub(super) fn queued_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.end]
    }

    pub(super) const fn len(&self) -> usize {
        self.end - self.start
    }

    /// Free space of `at_least` bytes after the queued ones; less when the allocation has reached `limit`.
    ///
    /// Queued bytes are moved to the front only when no more of them are moved than were consumed
    /// before, or when a larger allocation is not allowed; so moving costs at most one copy a byte.
    pub(super) fn space(&mut self, at_least: usize, limit: usize) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if self.bytes.len() - self.end < at_least {
            let needed = self.len().saturating_add(at_least);
            let cheap = needed <= self.bytes.len() && self.start >= self.len();
            if cheap || self.bytes.len() >= limit {
                self.bytes.copy_within(self.start..self.end, 0);
            } else {
                // Doubling keeps the number of copies logarithmic while a burst builds up.
                let mut larger = vec![0; needed.max(self.bytes.len() * 2).min(limit)];
                larger[..self.len()].copy_from_slice(self.queued());
                self.bytes = larger;
            }
            (self.start, self.end) = (0, self.len());
        }
        &mut self.bytes[self.end..]
    }

    /// Queues the first `n` bytes of the space; more than there is counts as all of it.
    pub(super) fn commit(&mut self, n: usize) {
        self.end = self.end.saturating_add(n).min(self.bytes.len());
    }

    /// Drops the first `n` queued bytes; more than there are counts as all.
    pub(super) fn consume(&mut self, n: usize) {
        self.start = self.start.saturating_add(n).min(self.end);
    }

    /// Where the queue starts; slices found there stay valid until `space`, `give` or `take`.
    pub(super) const fn start(&self) -> usize {
        self.start
    }

    /// Overwrites bytes that were queued and consumed.
    pub(super) fn wipe(&mut self, range: std::ops::Range<usize>) {
        if let Some(bytes) = self.bytes.get_mut(range) {
            bytes.zeroize();
        }
    }

    pub(super) fn at(&self, range: std::ops::Range<usize>) -> &[u8] {
        &self.bytes[range]
    }

    /// Gives the allocation away when nothing is queued and there is one.
    pub(super) fn take(&mut self) -> Option<Vec<u8>> {
        (self.len() == 0 && !self.bytes.is_empty()).then(|| std::mem::take(self).bytes)
    }

    /// Uses this allocation from now on, unless the one in use holds queued bytes or is as large.
    pub(super) fn give(&mut self, bytes: Vec<u8>) {
        if self.len() == 0 && bytes.len() > self.bytes.len() {
            *self = Self { bytes, start: 0, end: 0 };
        }
    }

    #[cfg(test)]
    pub(super) const fn allocated(&self) -> usize {
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(buffer: &mut Buffer, bytes: &[u8], limit: usize) {
        buffer.space(bytes.len(), limit)[..bytes.len()].copy_from_slice(bytes);
        buffer.commit(bytes.len());
    }

    #[test]
    fn bytes_come_out_as_they_went_in_whatever_moves() {
        let mut buffer = Buffer::default();
        let (mut put, mut got) = (0u8, 0u8);
        for step in 0..1000usize {
            let n = step * 7 % 23;
            let bytes: Vec<u8> = (0..n)
                .map(|_| {
                    put = put.wrapping_add(1);
                    put
                })
                .collect();
            push(&mut buffer, &bytes, usize::MAX);
            let take = (step * 5 % 29).min(buffer.len());
            for &byte in &buffer.queued()[..take] {
                got = got.wrapping_add(1);
                assert_eq!(byte, got);
            }
            buffer.consume(take);
        }
        assert!(buffer.allocated() <= 2 * buffer.len().max(64), "{}", buffer.allocated());
    }

    #[test]
    fn a_buffer_that_never_drains_moves_few_bytes() {
        // 100 bytes stay queued while 10 come and 10 go: moving them each time would cost ten copies a byte.
        let mut buffer = Buffer::default();
        push(&mut buffer, &[1; 100], usize::MAX);
        let mut moves = 0;
        for _ in 0..1000 {
            buffer.consume(10);
            let before = buffer.start();
            push(&mut buffer, &[1; 10], usize::MAX);
            moves += usize::from(buffer.start() < before);
        }
        assert!(moves <= 101 && buffer.allocated() <= 400, "{moves} moves, {} bytes", buffer.allocated());
    }

    #[test]
    fn never_larger_than_the_limit() {
        let mut buffer = Buffer::default();
        push(&mut buffer, &[1; 60], 100);
        assert_eq!(buffer.space(60, 100).len(), 40);
        buffer.commit(usize::MAX);
        assert_eq!(buffer.space(1, 100).len(), 0);
        assert_eq!(buffer.allocated(), 100);
        buffer.consume(99);
        assert_eq!(buffer.space(60, 100).len(), 99);
    }

    #[test]
    fn an_empty_buffer_is_taken_and_given() {
        let mut buffer = Buffer::default();
        assert!(buffer.take().is_none());
        push(&mut buffer, &[1, 2], 100);
        assert!(buffer.take().is_none());
        buffer.give(vec![0; 500]);
        assert_eq!(buffer.queued(), [1, 2]);
        buffer.consume(2);
        assert!(buffer.take().is_some());
        assert_eq!(buffer.allocated(), 0);
        buffer.give(vec![0; 500]);
        assert_eq!(buffer.space(1, 100).len(), 500);
    }
}
