//! The bytes of a journal segment: a header, then batches, one for each group commit.
//!
//! ```text
//! segment header, 32 bytes     batch
//!   8  "BZJRNL01"                4  "BZBT"
//!   8  first index               4  number of entries
//!   8  length of the part        8  index of the first entry
//!      durable from the start    4  length of the body
//!   8  check                    12  check
//!                                n  body: entries as in an entry bundle
//! ```
//! Integers are big-endian; a check is the beginning of the SHA-256 of all else in the header, and of the body.
//! A batch is written only after the one before it is durable. So an invalid batch with a valid one behind it
//! was damaged, while one with nothing valid behind it may just not have been finished.

use aws_lc_rs::digest;

use crate::bundle;
use crate::layout::MAX_BUNDLE_BYTES;

pub(crate) const SEGMENT_HEADER_BYTES: usize = 32;
pub(crate) const BATCH_HEADER_BYTES: usize = 32;
/// The most bytes of entries in a batch: a segment starts with up to one bundle's entries.
pub(crate) const MAX_BODY_BYTES: usize = MAX_BUNDLE_BYTES;

const SEGMENT_MAGIC: &[u8; 8] = b"BZJRNL01";
const BATCH_MAGIC: &[u8; 4] = b"BZBT";
const BATCH_CHECK: std::ops::Range<usize> = 20..32;

/// The header of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// Index of the first entry.
    pub(crate) first: u64,
    /// Bytes of batches that were durable before the segment got its name; damage in them is never a torn tail.
    pub(crate) durable_bytes: u64,
}

impl SegmentHeader {
    pub(crate) fn encode(self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        bytes[..8].copy_from_slice(SEGMENT_MAGIC);
        bytes[8..16].copy_from_slice(&self.first.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.durable_bytes.to_be_bytes());
        let check = digest::digest(&digest::SHA256, &bytes[..24]);
        bytes[24..].copy_from_slice(&check.as_ref()[..8]);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (first, durable) = bytes.get(8..24)?.split_first_chunk::<8>()?;
        let header = Self {
            first: u64::from_be_bytes(*first),
            durable_bytes: u64::from_be_bytes(durable.try_into().ok()?),
        };
        bytes.starts_with(&header.encode()).then_some(header)
    }
}

/// Builds one batch.
pub(crate) struct BatchWriter {
    bytes: Vec<u8>,
    first: u64,
    count: u32,
}

impl BatchWriter {
    /// An empty batch whose first entry will have the index `first`; reuses the memory of `bytes`.
    pub(crate) fn new(mut bytes: Vec<u8>, first: u64) -> Self {
        bytes.clear();
        bytes.resize(BATCH_HEADER_BYTES, 0);
        Self { bytes, first, count: 0 }
    }

    /// Adds an entry, whose length the caller has checked.
    pub(crate) fn push(&mut self, entry: &[u8]) {
        bundle::push(&mut self.bytes, entry);
        self.count += 1;
    }

    /// The finished batch.
    pub(crate) fn finish(self) -> Vec<u8> {
        let mut bytes = self.bytes;
        let body_bytes = (bytes.len() - BATCH_HEADER_BYTES) as u32;
        bytes[..4].copy_from_slice(BATCH_MAGIC);
        bytes[4..8].copy_from_slice(&self.count.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.first.to_be_bytes());
        bytes[16..20].copy_from_slice(&body_bytes.to_be_bytes());
        let check = check(&bytes[..BATCH_CHECK.start], &bytes[BATCH_HEADER_BYTES..]);
        bytes[BATCH_CHECK].copy_from_slice(&check);
        bytes
    }
}

/// A batch whose check holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Batch<'a> {
    /// Index of its first entry.
    pub(crate) first: u64,
    /// Number of its entries.
    pub(crate) count: u32,
    /// Its entries, as in a bundle.
    pub(crate) body: &'a [u8],
}

/// What stands at the beginning of some bytes of a segment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed<'a> {
    /// A whole batch.
    Batch(Batch<'a>),
    /// The beginning of a batch of this many bytes, if its header is right.
    Partial(usize),
    /// No batch.
    Invalid(&'static str),
}

impl<'a> Batch<'a> {
    /// The batch's length with its header, in bytes.
    pub(crate) fn len(&self) -> usize {
        BATCH_HEADER_BYTES + self.body.len()
    }

    pub(crate) fn parse(bytes: &'a [u8]) -> Parsed<'a> {
        let Some((header, rest)) = bytes.split_first_chunk::<BATCH_HEADER_BYTES>() else {
            return Parsed::Partial(BATCH_HEADER_BYTES);
        };
        if !header.starts_with(BATCH_MAGIC) {
            return Parsed::Invalid("a batch should start here");
        }
        let number =
            |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let first = u64::from(number(8)) << 32 | u64::from(number(12));
        let body_bytes = number(16) as usize;
        if body_bytes > MAX_BODY_BYTES {
            return Parsed::Invalid("a batch cannot be that long");
        }
        let Some(body) = rest.get(..body_bytes) else {
            return Parsed::Partial(BATCH_HEADER_BYTES + body_bytes);
        };
        if check(&header[..BATCH_CHECK.start], body) != header[BATCH_CHECK] {
            return Parsed::Invalid("the batch's check does not hold");
        }
        Parsed::Batch(Self { first, count: number(4), body })
    }

    /// Finds a whole batch anywhere in `bytes`.
    pub(crate) fn find(bytes: &'a [u8]) -> Option<(usize, Self)> {
        let starts =
            bytes.windows(BATCH_MAGIC.len()).enumerate().filter(|(_, window)| *window == BATCH_MAGIC);
        starts.map(|(at, _)| at).find_map(|at| match Self::parse(&bytes[at..]) {
            Parsed::Batch(batch) => Some((at, batch)),
            Parsed::Partial(_) | Parsed::Invalid(_) => None,
        })
    }
}

fn check(header: &[u8], body: &[u8]) -> [u8; 12] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(header);
    context.update(body);
    let mut check = [0; 12];
    check.copy_from_slice(&context.finish().as_ref()[..12]);
    check
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> Vec<u8> {
        let mut writer = BatchWriter::new(Vec::new(), 0x1_0000_0002);
        writer.push(b"one");
        writer.push(b"");
        writer.finish()
    }

    #[test]
    fn a_batch_comes_back() {
        let bytes = batch();
        let Parsed::Batch(read) = Batch::parse(&bytes) else { panic!("not read") };
        assert_eq!((read.first, read.count, read.len()), (0x1_0000_0002, 2, bytes.len()));
        assert_eq!(read.body, b"\x00\x03one\x00\x00");
        let mut later = vec![7; 1000];
        later.extend(&bytes);
        assert_eq!(Batch::find(&later), Some((1000, read)));
    }

    #[test]
    fn every_changed_bit_and_every_cut_is_noticed() {
        let bytes = batch();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(!matches!(Batch::parse(&changed), Parsed::Batch(_)), "bit {bit}");
        }
        for cut in 0..bytes.len() {
            assert!(matches!(Batch::parse(&bytes[..cut]), Parsed::Partial(n) if n > cut), "cut at {cut}");
        }
    }

    #[test]
    fn a_segment_header_comes_back_and_a_changed_one_does_not() {
        let header = SegmentHeader { first: 512, durable_bytes: 99 };
        assert_eq!(SegmentHeader::decode(&header.encode()), Some(header));
        for byte in 0..SEGMENT_HEADER_BYTES {
            let mut changed = header.encode();
            changed[byte] ^= 1;
            assert_eq!(SegmentHeader::decode(&changed), None, "byte {byte}");
        }
        assert_eq!(SegmentHeader::decode(&header.encode()[..31]), None);
    }
}
