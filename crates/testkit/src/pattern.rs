//! Bytes that tell where they stand, so that a lost, doubled or swapped piece is seen.

use std::io::Read;
use std::process::Command;

/// An endless stream of bytes that looks random, and is the same for the same seed.
#[derive(Clone, Debug)]
pub struct Pattern {
    state: u64,
    word: [u8; 8],
    left: usize,
}

impl Pattern {
    /// The stream of `seed`.
    pub const fn new(seed: u64) -> Self {
        // A state of zero would stay zero.
        Self { state: seed.wrapping_mul(2).wrapping_add(1), word: [0; 8], left: 0 }
    }

    /// The first `n` bytes of the stream of `seed`.
    pub fn bytes(seed: u64, n: usize) -> Vec<u8> {
        let mut bytes = vec![0; n];
        Self::new(seed).fill(&mut bytes);
        bytes
    }

    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            if self.left == 0 {
                // xorshift64* (Vigna 2016): no eight-byte word repeats within a test's lifetime.
                self.state ^= self.state >> 12;
                self.state ^= self.state << 25;
                self.state ^= self.state >> 27;
                self.word = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes();
                self.left = 8;
            }
            self.left -= 1;
            *byte = self.word[self.left];
        }
    }
}

impl Read for Pattern {
    /// Fills the whole buffer; never ends and never fails.
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        self.fill(out);
        Ok(out.len())
    }
}

/// The SHA-256 of `bytes` as 64 hexadecimal digits, by the program `sha256sum`: a second opinion.
///
/// # Panics
/// When the program is missing.
pub fn sha256(bytes: &[u8]) -> String {
    let text = crate::run_with_input(&mut Command::new("sha256sum"), bytes).ok().text();
    text.split_whitespace().next().unwrap().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_the_same_however_it_is_read() {
        let whole = Pattern::bytes(7, 1000);
        let (mut stream, mut pieces) = (Pattern::new(7), Vec::new());
        for n in [1, 2, 3, 100, 7, 887] {
            let mut piece = vec![0; n];
            stream.read_exact(&mut piece).unwrap();
            pieces.extend(piece);
        }
        assert_eq!(whole, pieces);
        assert_ne!(whole, Pattern::bytes(8, 1000));
        let mut words: Vec<_> = whole.chunks(8).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), 125, "no word repeats");
    }

    #[test]
    fn digests_are_those_of_sha256sum() {
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
