//! zstd frames: a recording's file is a row of them, each complete in itself.
//!
//! A frame holds at most [`MAX_CONTENT`] bytes, is written whole by one call, and never depends on an earlier
//! one. So a file that was cut anywhere is readable up to its last whole frame, any frame can be the start
//! of reading, and `zstd -dc` gives the contents joined together.

use std::io;

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::{self, CParameter};

/// Longest content of a frame that we write, in bytes: what may be lost with a torn frame.
pub(crate) const MAX_CONTENT: usize = 64 << 10;
/// Longest content of a frame that we read. Longer ones are not ours.
pub(crate) const MAX_FOREIGN_CONTENT: usize = 256 << 10;
/// Longest frame that we read, compressed.
pub(crate) const MAX_FOREIGN_FRAME: usize = MAX_FOREIGN_CONTENT + (4 << 10);

const MAGIC: [u8; 4] = 0xFD2F_B528_u32.to_le_bytes();

/// The one compression context of a writer, and its output buffer.
pub(crate) struct Packer {
    compressor: Compressor<'static>,
    out: Vec<u8>,
}

/// Decides whether compressing is worth the time: data that did not shrink is stored for a while untried.
#[derive(Clone, Copy, Default)]
pub(crate) struct Thrift {
    stored_next: u8,
    streak: u8,
}

impl Thrift {
    /// Longest run of frames that are stored before compressing is tried again.
    const MAX_STREAK: u8 = 32;

    fn store_untried(&mut self) -> bool {
        let store = self.stored_next > 0;
        self.stored_next = self.stored_next.saturating_sub(1);
        store
    }

    fn tried(&mut self, shrank: bool) {
        self.streak = if shrank { 0 } else { (self.streak * 2).clamp(1, Self::MAX_STREAK) };
        self.stored_next = self.streak;
    }
}

impl Packer {
    pub(crate) fn new(level: i32) -> io::Result<Self> {
        let mut compressor = Compressor::new(level)?;
        compressor.set_parameter(CParameter::ChecksumFlag(true))?;
        compressor.set_parameter(CParameter::ContentSizeFlag(true))?;
        Ok(Self { compressor, out: Vec::with_capacity(zstd_safe::compress_bound(MAX_CONTENT)) })
    }

    /// Makes one frame of `content`, at most [`MAX_CONTENT`] bytes.
    pub(crate) fn compress(&mut self, content: &[u8]) -> io::Result<&[u8]> {
        self.out.clear();
        self.compressor.compress_to_buffer(content, &mut self.out)?;
        Ok(&self.out)
    }

    /// Makes one frame of `content`, stored as it is where compressing does not pay.
    pub(crate) fn pack(&mut self, content: &[u8], thrift: &mut Thrift) -> io::Result<&[u8]> {
        if !thrift.store_untried() {
            self.compress(content)?;
            let shrank = self.out.len() < content.len() - content.len() / 16;
            thrift.tried(shrank || content.len() < 1024);
            if self.out.len() < content.len() {
                return Ok(&self.out);
            }
        }
        self.store(content);
        Ok(&self.out)
    }

    /// Writes a frame of raw blocks by hand (RFC 8878 §3.1.1): one segment, content size in four bytes.
    fn store(&mut self, content: &[u8]) {
        const SINGLE_SEGMENT_WITH_SIZE_IN_FOUR_BYTES: u8 = 0b1010_0000;
        /// Longest raw block (RFC 8878 §3.1.1.2.4).
        const MAX_BLOCK: usize = 128 << 10;
        self.out.clear();
        self.out.extend_from_slice(&MAGIC);
        self.out.push(SINGLE_SEGMENT_WITH_SIZE_IN_FOUR_BYTES);
        self.out.extend_from_slice(&(content.len() as u32).to_le_bytes());
        let mut blocks = content.chunks(MAX_BLOCK).peekable();
        if blocks.peek().is_none() {
            self.out.extend_from_slice(&[1, 0, 0]);
        }
        while let Some(block) = blocks.next() {
            let last = u32::from(blocks.peek().is_none());
            let [a, b, c, _] = (((block.len() as u32) << 3) | last).to_le_bytes();
            self.out.extend_from_slice(&[a, b, c]);
            self.out.extend_from_slice(block);
        }
    }
}

/// What stands at the start of some bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A whole frame of this many bytes.
    Frame(usize),
    /// The beginning of a frame; the rest is missing.
    Torn,
    /// Something else, or a frame too long to be ours.
    Foreign,
}

/// Says what `bytes`, taken from a frame's boundary on, begin with. `bytes` must not be empty.
pub(crate) fn find(bytes: &[u8]) -> Found {
    let start = bytes.get(..4).unwrap_or(bytes);
    let skippable = matches!(start, [0x50..=0x5f, 0x2a, 0x4d, 0x18]);
    if !skippable && !MAGIC.starts_with(start) && start != &MAGIC[..] {
        return Found::Foreign;
    }
    match zstd_safe::find_frame_compressed_size(bytes) {
        Ok(length) if length > 0 && length <= bytes.len() => Found::Frame(length),
        _ if bytes.len() >= MAX_FOREIGN_FRAME => Found::Foreign,
        _ => Found::Torn,
    }
}

/// Unpacks one frame into a buffer that it reuses.
pub(crate) struct Unpacker {
    decompressor: Decompressor<'static>,
    content: Vec<u8>,
}

impl Unpacker {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { decompressor: Decompressor::new()?, content: Vec::with_capacity(MAX_FOREIGN_CONTENT) })
    }

    /// Unpacks a frame of at most [`MAX_FOREIGN_CONTENT`] bytes of content.
    pub(crate) fn unpack(&mut self, frame: &[u8]) -> io::Result<&[u8]> {
        self.content.clear();
        self.decompressor.decompress_to_buffer(frame, &mut self.content)?;
        Ok(&self.content)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn noise(len: usize) -> Vec<u8> {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let step = |s: &mut u64| {
            *s ^= *s << 13;
            *s ^= *s >> 7;
            *s ^= *s << 17;
            *s as u8
        };
        (0..len).map(|_| step(&mut state)).collect()
    }

    #[test]
    fn noise_is_stored_and_not_tried_again_and_again() {
        let mut packer = Packer::new(1).unwrap();
        let mut thrift = Thrift::default();
        let noise = noise(MAX_CONTENT);
        let mut tried = 0;
        for _ in 0..200 {
            tried += usize::from(thrift.stored_next == 0);
            let frame = packer.pack(&noise, &mut thrift).unwrap();
            assert!(frame.len() <= noise.len() + 16);
        }
        assert!(tried < 12, "compressing was tried {tried} times");
        // Text is compressed again as soon as it is tried, and from then on always.
        let text = vec![b'a'; MAX_CONTENT];
        for _ in 0..=Thrift::MAX_STREAK {
            packer.pack(&text, &mut thrift).unwrap();
        }
        assert!(packer.pack(&text, &mut thrift).unwrap().len() < 100);
        assert!(packer.pack(&text, &mut thrift).unwrap().len() < 100);
    }

    proptest! {
        #[test]
        fn packed_or_stored_it_comes_back(content in prop::collection::vec(any::<u8>(), 0..5000), stored: bool) {
            let mut packer = Packer::new(1).unwrap();
            let mut thrift = Thrift { stored_next: u8::from(stored), streak: 1 };
            let frame = packer.pack(&content, &mut thrift).unwrap().to_vec();
            prop_assert_eq!(find(&frame), Found::Frame(frame.len()));
            let mut unpacker = Unpacker::new().unwrap();
            prop_assert_eq!(unpacker.unpack(&frame).unwrap(), &content[..]);
            for cut in 1..frame.len() {
                prop_assert_eq!(find(&frame[..cut]), Found::Torn);
            }
        }

        #[test]
        fn anything_can_be_looked_at(bytes in prop::collection::vec(any::<u8>(), 1..300)) {
            let _ = find(&bytes);
            let _ = Unpacker::new().unwrap().unpack(&bytes);
        }
    }

    #[test]
    fn a_frame_that_unpacks_to_more_than_we_write_is_refused() {
        let bomb = zstd::bulk::compress(&vec![0; 8 << 20], 3).unwrap();
        assert!(Unpacker::new().unwrap().unpack(&bomb).is_err());
    }
}
