//! The index file beside a recording's file: where each frame begins, so that seeking needs no reading.
//!
//! ```text
//! file  = "BZNIDX1\n" *entry
//! entry = offset time events       three unsigned 64-bit numbers, little-endian
//! offset   where the frame begins in the compressed file
//! time     of its first event, in microseconds since the session started
//! events   how many events stand before it
//! ```
//! The index is a convenience: it is written late, may be missing or cut, and is believed only where it fits
//! the file; the frames themselves are the truth.

/// First bytes of an index file.
pub(crate) const MAGIC: &[u8; 8] = b"BZNIDX1\n";
/// Bytes of an entry.
pub(crate) const ENTRY_BYTES: usize = 24;
/// Longest index file that is read, in bytes: entries for 44 GiB of terminal output.
pub(crate) const MAX_BYTES: u64 = 16 << 20;

/// Where a frame begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) offset: u64,
    pub(crate) micros: u64,
    pub(crate) events: u64,
}

impl Entry {
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        for number in [self.offset, self.micros, self.events] {
            out.extend_from_slice(&number.to_le_bytes());
        }
    }
}

/// Reads the entries that fit a file of `file_bytes`: those before the first that breaks the order.
pub(crate) fn parse(bytes: &[u8], file_bytes: u64) -> Vec<Entry> {
    let Some(body) = bytes.strip_prefix(MAGIC) else { return Vec::new() };
    let (entries, _) = body.as_chunks::<ENTRY_BYTES>();
    let mut read: Vec<Entry> = Vec::with_capacity(entries.len());
    for entry in entries {
        let ([offset, micros, events], []) = entry.as_chunks::<8>() else { break };
        let [offset, micros, events] = [offset, micros, events].map(|n| u64::from_le_bytes(*n));
        let entry = Entry { offset, micros, events };
        let in_order = match read.last() {
            None => offset == 0,
            Some(last) => offset > last.offset && micros >= last.micros && events >= last.events,
        };
        if !in_order || offset >= file_bytes {
            break;
        }
        read.push(entry);
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_believed_up_to_the_first_that_cannot_be() {
        let good = [(0, 5, 0), (100, 5, 3), (200, 9, 3)].map(|(offset, micros, events)| Entry {
            offset,
            micros,
            events,
        });
        let write = |entries: &[Entry]| {
            let mut bytes = MAGIC.to_vec();
            entries.iter().for_each(|e| e.write(&mut bytes));
            bytes
        };
        assert_eq!(parse(&write(&good), 1000), good);
        assert_eq!(parse(&write(&good), 200), good[..2]);
        for bad in [(200, 9, 3), (300, 8, 3), (300, 9, 2)] {
            let mut entries = good.to_vec();
            entries.push(Entry { offset: bad.0, micros: bad.1, events: bad.2 });
            assert_eq!(parse(&write(&entries), 1000), good);
        }
        let torn = write(&good);
        assert_eq!(parse(&torn[..torn.len() - 1], 1000), good[..2]);
        assert!(parse(b"something else", 1000).is_empty());
        assert!(parse(&write(&good[1..]), 1000).is_empty());
    }
}
