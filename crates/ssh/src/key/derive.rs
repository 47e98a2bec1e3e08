//! Keys that need not be stored because they can be made again.

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::signature::Ed25519KeyPair;
use zeroize::Zeroizing;

use super::error::KeyError;
use super::private::{PrivateKey, Signer};

/// Length of an Ed25519 seed in bytes.
const SEED_BYTES: usize = 32;

struct Seed;

impl KeyType for Seed {
    fn len(&self) -> usize {
        SEED_BYTES
    }
}

impl PrivateKey {
    /// Derives the Ed25519 key that belongs to `label` under `secret`: the same key each time, and none that
    /// tells anything about the secret or about another label's key. HKDF-SHA-256 (RFC 5869).
    ///
    /// # Errors
    /// [`KeyError::Crypto`] when the cryptographic library fails.
    pub fn derive_ed25519(secret: &[u8; 32], label: &[u8]) -> Result<Self, KeyError> {
        let extracted = Salt::new(HKDF_SHA256, b"bartizan ed25519 v1").extract(secret);
        let mut seed = Zeroizing::new([0; SEED_BYTES]);
        let filled = extracted.expand(&[label], Seed).and_then(|okm| okm.fill(seed.as_mut()));
        filled.map_err(|_| KeyError::Crypto)?;
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_ref()).map_err(|_| KeyError::Crypto)?;
        Self::from_signer(Signer::Ed25519(pair))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_for_each_secret_and_label() {
        let key = |secret: u8, label: &str| {
            PrivateKey::derive_ed25519(&[secret; 32], label.as_bytes()).unwrap().public_key().fingerprint()
        };
        assert_eq!(key(1, "web-1"), key(1, "web-1"));
        assert_ne!(key(1, "web-1"), key(1, "web-2"));
        assert_ne!(key(1, "web-1"), key(2, "web-1"));
        // Pinned: a change of the derivation would change every inner host key that clients know.
        assert_eq!(key(1, "web-1").to_string(), "SHA256:jG/IFT1oKFlu6OASF+oDIzFYHNY3GHrRNUt5ILcY3j4");
    }
}
