//! Running SHA-256 digests.

use aws_lc_rs::digest::{Context, SHA256};
use bartizan_model::{ChannelDigest, Digesting, LongDigest, Sha256Hex};

/// A running SHA-256 and the number of bytes it covers. Takes no memory until the first byte.
#[derive(Clone, Default)]
pub(crate) struct Sha256 {
    context: Option<Context>,
    bytes: u64,
}

impl Sha256 {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.context.get_or_insert_with(|| Context::new(&SHA256)).update(bytes);
        self.bytes += bytes.len() as u64;
    }

    /// Bytes covered so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn finish(self) -> Sha256Hex {
        let digest = self.context.unwrap_or_else(|| Context::new(&SHA256)).finish();
        let mut out = [0; 32];
        out.copy_from_slice(digest.as_ref());
        Sha256Hex(out)
    }

    /// The digest of `bytes`.
    pub(crate) fn of(bytes: &[u8]) -> Sha256Hex {
        let mut digest = Self::default();
        digest.update(bytes);
        digest.finish()
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

/// One stream's account: everything that passed, and how much of it was kept.
#[derive(Default)]
pub(crate) struct StreamDigest {
    pub(crate) passed: LongDigest<Sha256>,
    pub(crate) kept: u64,
}

impl StreamDigest {
    pub(crate) fn finish(self) -> ChannelDigest {
        ChannelDigest { bytes: self.passed.bytes(), kept: self.kept, sha256: self.passed.finish() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_sha256sum() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Sha256::default().finish().to_string(), empty);
        let mut abc = Sha256::default();
        abc.update(b"a");
        abc.update(b"bc");
        assert_eq!(abc.bytes(), 3);
        assert_eq!(
            abc.finish().to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
