//! SHA-256 of files whose bytes come in order, or nearly.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{Context, SHA256};
use bartizan_model::{Beside, Digesting, LongDigest, Sha256Hex};

/// A running SHA-256. Takes no memory until the first byte.
#[derive(Default)]
pub(crate) struct Sha256 {
    context: Option<Context>,
}

impl Sha256 {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.context.get_or_insert_with(|| Context::new(&SHA256)).update(bytes);
        }
    }

    pub(crate) fn finish(self) -> Sha256Hex {
        let digest = self.context.unwrap_or_else(|| Context::new(&SHA256)).finish();
        let mut out = [0; 32];
        out.copy_from_slice(digest.as_ref());
        Sha256Hex(out)
    }
}

impl Digesting for Sha256 {
    fn update(&mut self, bytes: &[u8]) {
        self.update(bytes);
    }

    fn finish(self: Box<Self>) -> Sha256Hex {
        (*self).finish()
    }
}

/// What all files of a channel may keep waiting together.
pub(crate) struct Window {
    left: usize,
}

/// What one waiting block costs besides its bytes.
const BLOCK: usize = 64;

impl Window {
    pub(crate) const fn new(bytes: usize) -> Self {
        Self { left: bytes }
    }

    fn take(&mut self, bytes: u64) -> bool {
        let cost = usize::try_from(bytes).unwrap_or(usize::MAX).saturating_add(BLOCK);
        match self.left.checked_sub(cost) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }

    const fn give(&mut self, bytes: u64) {
        // What is given back was taken.
        self.left += bytes as usize + BLOCK;
    }
}

/// Whether the same part of a file may come twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeats {
    /// Reading again changes nothing: the digest is of what was read first.
    Ignored,
    /// Writing again changes the file.
    Fatal,
}

/// The digest of a file in the file's order, of blocks that may come a little out of order.
pub(crate) struct Ordered {
    digest: LongDigest<Sha256>,
    beside: Option<Beside>,
    repeats: Repeats,
    /// Everything before this is digested.
    next: u64,
    /// Blocks that came too early, by their offset.
    early: BTreeMap<u64, Early>,
    lost: Option<&'static str>,
}

struct Early {
    bytes: Vec<u8>,
    /// What it takes of the window.
    length: u64,
}

/// A block on its way, between [`Ordered::begin`] and [`Ordered::end`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum Block {
    /// Digested at once, after so many bytes that were digested before.
    Digest { skip: u64 },
    /// Kept until what is before it has come.
    Keep { offset: u64 },
    /// Not looked at.
    Ignore,
}

impl Ordered {
    pub(crate) fn new(repeats: Repeats, beside: Option<Beside>) -> Self {
        Self { digest: LongDigest::default(), beside, repeats, next: 0, early: BTreeMap::new(), lost: None }
    }

    /// There will be no digest.
    pub(crate) fn lose(&mut self, why: &'static str, window: &mut Window) {
        self.lost.get_or_insert(why);
        self.digest = LongDigest::default();
        for early in std::mem::take(&mut self.early).into_values() {
            window.give(early.length);
        }
    }

    /// A block of `length` bytes at `offset` follows. Gives how to take it, and how many of its bytes are new.
    pub(crate) fn begin(&mut self, offset: u64, length: u64, window: &mut Window) -> (Block, u64) {
        if self.lost.is_some() || length == 0 {
            return (Block::Ignore, length);
        }
        let Some(end) = offset.checked_add(length) else {
            self.lose("beyond the longest file", window);
            return (Block::Ignore, length);
        };
        match (offset.cmp(&self.next), self.repeats) {
            (std::cmp::Ordering::Equal, _) => (Block::Digest { skip: 0 }, length),
            (std::cmp::Ordering::Less, Repeats::Fatal) => {
                self.lose("a part was written twice", window);
                (Block::Ignore, length)
            }
            (std::cmp::Ordering::Less, Repeats::Ignored) => {
                let skip = (self.next - offset).min(length);
                (Block::Digest { skip }, end.saturating_sub(self.next))
            }
            (std::cmp::Ordering::Greater, _) => self.begin_early(offset, length, window),
        }
    }

    fn begin_early(&mut self, offset: u64, length: u64, window: &mut Window) -> (Block, u64) {
        match self.early.get(&offset) {
            Some(_) if self.repeats == Repeats::Fatal => {
                self.lose("a part was written twice", window);
                return (Block::Ignore, length);
            }
            Some(early) if early.length >= length => return (Block::Ignore, 0),
            _ => {}
        }
        if !window.take(length) {
            let why = if self.next == 0 { "not from the beginning" } else { "too far out of order" };
            self.lose(why, window);
            return (Block::Ignore, length);
        }
        let before = self.early.insert(offset, Early { bytes: Vec::new(), length });
        let known = before.map_or(0, |early| early.length);
        if known > 0 {
            window.give(known);
        }
        (Block::Keep { offset }, length - known)
    }

    /// Bytes of the block.
    pub(crate) fn data(&mut self, block: &mut Block, bytes: &[u8]) {
        if self.lost.is_some() {
            return;
        }
        match block {
            Block::Digest { skip } => {
                let skipped = usize::try_from(*skip).unwrap_or(usize::MAX).min(bytes.len());
                *skip -= skipped as u64;
                self.digest.update(&bytes[skipped..], self.beside);
                self.next += (bytes.len() - skipped) as u64;
            }
            Block::Keep { offset } => {
                if let Some(early) = self.early.get_mut(offset) {
                    early.bytes.extend_from_slice(bytes);
                }
            }
            Block::Ignore => {}
        }
    }

    /// The block is whole: takes what waited for it.
    pub(crate) fn end(&mut self, window: &mut Window) {
        while let Some(entry) = self.early.first_entry().filter(|entry| *entry.key() <= self.next) {
            let (offset, early) = entry.remove_entry();
            window.give(early.length);
            let behind = self.next - offset;
            if behind > 0 && self.repeats == Repeats::Fatal {
                return self.lose("a part was written twice", window);
            }
            let known = usize::try_from(behind).unwrap_or(usize::MAX).min(early.bytes.len());
            self.digest.update(&early.bytes[known..], self.beside);
            self.next += (early.bytes.len() - known) as u64;
        }
    }

    /// The digest, or why there is none.
    pub(crate) fn finish(mut self, window: &mut Window) -> Result<Sha256Hex, &'static str> {
        if !self.early.is_empty() {
            let why = if self.next == 0 { "not from the beginning" } else { "a part did not pass" };
            self.lose(why, window);
        }
        match self.lost {
            Some(why) => Err(why),
            None => Ok(self.digest.finish()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sha(bytes: &[u8]) -> Sha256Hex {
        let mut digest = Sha256::default();
        digest.update(bytes);
        digest.finish()
    }

    fn put(file: &mut Ordered, window: &mut Window, offset: usize, bytes: &[u8]) -> u64 {
        let (mut block, new) = file.begin(offset as u64, bytes.len() as u64, window);
        for piece in bytes.chunks(3) {
            file.data(&mut block, piece);
        }
        file.end(window);
        new
    }

    #[test]
    fn digests_are_those_of_sha256sum() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Sha256::default().finish().to_string(), empty);
        assert_eq!(
            sha(b"abc").to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    proptest! {
        #[test]
        fn any_order_within_the_window_gives_the_digest(
            bytes in prop::collection::vec(any::<u8>(), 1..300), size in 1_usize..40, seed in any::<u64>()
        ) {
            let mut blocks: Vec<_> = bytes.chunks(size).enumerate().map(|(n, b)| (n * size, b)).collect();
            let mut state = seed | 1;
            for n in (1..blocks.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                blocks.swap(n, (state >> 33) as usize % (n + 1));
            }
            for repeats in [Repeats::Ignored, Repeats::Fatal] {
                let (mut file, mut window) = (Ordered::new(repeats, None), Window::new(1 << 20));
                let new: u64 = blocks.iter().map(|(at, b)| put(&mut file, &mut window, *at, b)).sum();
                prop_assert_eq!(new, bytes.len() as u64);
                prop_assert_eq!(file.finish(&mut window), Ok(sha(&bytes)));
                prop_assert_eq!(window.left, 1 << 20);
            }
        }

        #[test]
        fn reading_overlapping_parts_gives_the_digest_of_what_was_read_first(
            bytes in prop::collection::vec(any::<u8>(), 100..200),
            reads in prop::collection::vec((0_usize..100, 1_usize..100), 0..20),
        ) {
            let (mut file, mut window) = (Ordered::new(Repeats::Ignored, None), Window::new(1 << 20));
            for (at, length) in reads {
                put(&mut file, &mut window, at, &bytes[at..(at + length).min(bytes.len())]);
            }
            put(&mut file, &mut window, 0, &bytes);
            prop_assert_eq!(file.finish(&mut window), Ok(sha(&bytes)));
            prop_assert_eq!(window.left, 1 << 20);
        }
    }

    #[test]
    fn what_has_no_digest_says_why() {
        let why = |repeats, window, blocks: &[(usize, usize)]| {
            let (mut file, mut window) = (Ordered::new(repeats, None), Window::new(window));
            for (at, length) in blocks {
                put(&mut file, &mut window, *at, &vec![7; *length]);
            }
            file.finish(&mut window).unwrap_err()
        };
        assert_eq!(why(Repeats::Fatal, 500, &[(0, 10), (5, 10)]), "a part was written twice");
        assert_eq!(why(Repeats::Fatal, 500, &[(0, 10), (20, 5), (10, 11)]), "a part was written twice");
        assert_eq!(why(Repeats::Fatal, 500, &[(0, 10), (20, 10)]), "a part did not pass");
        assert_eq!(why(Repeats::Ignored, 500, &[(7, 10)]), "not from the beginning");
        assert_eq!(why(Repeats::Ignored, 500, &[(1, 10), (100, 400)]), "not from the beginning");
        assert_eq!(why(Repeats::Ignored, 500, &[(0, 10), (100, 437)]), "too far out of order");
        assert_eq!(why(Repeats::Ignored, 500, &[(usize::MAX, 2)]), "beyond the longest file");
    }

    #[test]
    fn a_lost_digest_gives_its_window_back() {
        let (mut a, mut window) = (Ordered::new(Repeats::Fatal, None), Window::new(1000));
        put(&mut a, &mut window, 100, &[1; 800]);
        assert_eq!(window.left, 1000 - 864);
        a.lose("because", &mut window);
        assert_eq!(window.left, 1000);
    }
}
