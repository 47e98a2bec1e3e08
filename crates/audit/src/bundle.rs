//! Sequences of entries, each behind its length as a big-endian uint16.
//!
//! An entry bundle holds 256 of them (C2SP tlog-tiles, "Log entries"); a batch of the journal any number.

/// A sequence that ends within an entry, at this offset.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) usize);

/// A full bundle whose entries are durable in the journal.
#[derive(Debug)]
pub(crate) struct FullBundle {
    pub(crate) number: u64,
    pub(crate) bytes: Vec<u8>,
}

/// Appends one entry, whose length the caller has checked.
pub(crate) fn push(bytes: &mut Vec<u8>, entry: &[u8]) {
    debug_assert!(entry.len() <= usize::from(u16::MAX));
    bytes.extend_from_slice(&(entry.len() as u16).to_be_bytes());
    bytes.extend_from_slice(entry);
}

/// The entries of a sequence, in order.
pub(crate) struct Entries<'a> {
    bytes: &'a [u8],
    offset: usize,
}

/// Reads a sequence of entries.
pub(crate) fn entries(bytes: &[u8]) -> Entries<'_> {
    Entries { bytes, offset: 0 }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<&'a [u8], Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.bytes.get(self.offset..).filter(|rest| !rest.is_empty())?;
        let entry = rest
            .split_first_chunk::<2>()
            .and_then(|(length, rest)| rest.get(..usize::from(u16::from_be_bytes(*length))));
        let at = self.offset;
        self.offset = entry.map_or(self.bytes.len(), |entry| at + 2 + entry.len());
        Some(entry.ok_or(Malformed(at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_and_a_cut_one_is_noticed() {
        let mut bytes = Vec::new();
        let long = vec![b'x'; 65_535];
        for entry in [&b"one"[..], b"", &long] {
            push(&mut bytes, entry);
        }
        assert_eq!(&bytes[..7], b"\x00\x03one\x00\x00");
        let read: Vec<_> = entries(&bytes).map(Result::unwrap).collect();
        assert_eq!(read, [&b"one"[..], b"", &long]);
        for cut in [6, 8, bytes.len() - 1] {
            let read: Vec<_> = entries(&bytes[..cut]).collect();
            assert!(matches!(read.last(), Some(Err(Malformed(at))) if *at < cut), "cut at {cut}");
            assert_eq!(read.iter().filter(|e| e.is_err()).count(), 1);
        }
    }
}
