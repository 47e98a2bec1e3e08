//! Payloads that wait for our NEWKEYS.
//!
//! In the client role one may be a password: no copy of what was queued is left behind, neither by growing nor at the end.

use zeroize::Zeroizing;

use crate::wire::Writer as _;

/// Payloads in order, each after its length.
#[derive(Default)]
pub(super) struct Queue(Zeroizing<Vec<u8>>);

impl Queue {
    /// Queues the payload made of `head` and `body`, which is not longer than a packet.
    pub(super) fn push(&mut self, head: &[u8], body: &[u8]) {
        let length = head.len() + body.len();
        self.reserve(size_of::<u32>() + length);
        self.0.put_u32(length as u32);
        self.0.put(head);
        self.0.put(body);
    }

    /// Makes room for `more` bytes. A `Vec` that grows by itself frees what it leaves as it is.
    fn reserve(&mut self, more: usize) {
        let needed = self.0.len() + more;
        if needed > self.0.capacity() {
            let mut larger = Vec::with_capacity(needed.max(self.0.capacity() * 2));
            larger.extend_from_slice(&self.0);
            // The old one is wiped as it is dropped.
            self.0 = Zeroizing::new(larger);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Gives everything away.
    pub(super) fn take(&mut self) -> Zeroizing<Vec<u8>> {
        std::mem::take(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Reader;

    #[test]
    fn payloads_come_out_as_they_went_in_however_it_grew() {
        let mut queue = Queue::default();
        let mut bytes = 0;
        for number in 0..500usize {
            queue.push(&[number as u8; 3], &vec![number as u8; number * 7 % 400]);
            bytes += 4 + 3 + number * 7 % 400;
            assert!(queue.len() == bytes && queue.0.capacity() <= 2 * bytes);
        }
        let all = queue.take();
        assert_eq!((queue.len(), queue.0.capacity()), (0, 0));
        let mut reader = Reader::new(&all);
        for number in 0..500usize {
            assert_eq!(reader.string("payload").unwrap(), vec![number as u8; 3 + number * 7 % 400]);
        }
        assert!(reader.is_empty());
    }
}
