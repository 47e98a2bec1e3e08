//! `curve25519-sha256` (RFC 8731) and `ecdh-sha2-nistp*` (RFC 5656): `K` is an `mpint`.

use aws_lc_rs::agreement::{
    self, ECDH_P256, ECDH_P384, ECDH_P521, EphemeralPrivateKey, UnparsedPublicKey, X25519,
};
use aws_lc_rs::rand::SystemRandom;
use zeroize::Zeroizing;

use super::{KexError, KexMethod, SharedSecret};
use crate::wire::Writer;

/// A curve and how its public values look.
#[derive(Clone, Copy)]
pub(super) struct Curve {
    algorithm: &'static agreement::Algorithm,
    public_len: usize,
    /// First byte of an uncompressed SEC 1 point; X25519 values have none.
    point_prefix: Option<u8>,
}

/// X25519, also half of the hybrid.
pub(super) const CURVE25519: Curve = Curve { algorithm: &X25519, public_len: 32, point_prefix: None };

impl Curve {
    /// The curve of an ECDH method; `None` for a hybrid.
    pub(super) const fn of(method: KexMethod) -> Option<Self> {
        let (algorithm, public_len) = match method {
            KexMethod::Curve25519Sha256 | KexMethod::Curve25519Sha256Libssh => return Some(CURVE25519),
            KexMethod::EcdhSha2Nistp256 => (&ECDH_P256, 65),
            KexMethod::EcdhSha2Nistp384 => (&ECDH_P384, 97),
            KexMethod::EcdhSha2Nistp521 => (&ECDH_P521, 133),
            KexMethod::MlKem768X25519Sha256 => return None,
        };
        Some(Self { algorithm, public_len, point_prefix: Some(4) })
    }
}

/// Our ephemeral private key; the library wipes it.
pub(in super::super) struct Share {
    curve: Curve,
    private: EphemeralPrivateKey,
}

impl Share {
    pub(super) fn generate(curve: Curve) -> Result<(Self, Vec<u8>), KexError> {
        let private = EphemeralPrivateKey::generate(curve.algorithm, &SystemRandom::new())
            .map_err(|_| KexError::Ours)?;
        let public = private.compute_public_key().map_err(|_| KexError::Ours)?.as_ref().to_vec();
        Ok((Self { curve, private }, public))
    }

    pub(super) fn agree(self, peer_public: &[u8]) -> Result<SharedSecret, KexError> {
        self.agree_raw(peer_public, |secret| {
            // Room for length and sign byte, so that the secret is never copied by a growing Vec.
            let mut encoded = Zeroizing::new(Vec::with_capacity(secret.len() + 5));
            encoded.put_mpint(secret);
            SharedSecret(encoded)
        })
    }

    /// The raw secret, for the hybrid.
    pub(super) fn agree_raw<T>(
        self,
        peer_public: &[u8],
        take: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, KexError> {
        // The library takes several encodings; SSH has one.
        let encoding_fits = self.curve.point_prefix.is_none_or(|prefix| peer_public.first() == Some(&prefix));
        if peer_public.len() != self.curve.public_len || !encoding_fits {
            return Err(KexError::PeerPublic);
        }
        let peer = UnparsedPublicKey::new(self.curve.algorithm, peer_public);
        agreement::agree_ephemeral(self.private, peer, KexError::PeerPublic, |secret| Ok(take(secret)))
    }
}
