//! `mlkem768x25519-sha256`: ML-KEM-768 beside X25519; `K` is a `string`.
//!
//! `C_INIT` = encapsulation key ‖ X25519 value, `S_REPLY` = ciphertext ‖ X25519 value,
//! `K` = SHA-256(ML-KEM secret ‖ X25519 secret). Source: draft-ietf-sshm-mlkem-hybrid-kex.

use aws_lc_rs::digest;
use aws_lc_rs::kem::{Ciphertext, DecapsulationKey, EncapsulationKey, ML_KEM_768};
use zeroize::Zeroizing;

use super::ecdh::{CURVE25519, Share};
use super::{KexError, SharedSecret};
use crate::wire::Writer;

const ENCAPSULATION_KEY_LEN: usize = 1184;
const CIPHERTEXT_LEN: usize = 1088;

/// The client's two private halves.
pub(in super::super) struct ClientShare {
    ml_kem: DecapsulationKey,
    x25519: Share,
}

impl ClientShare {
    pub(super) fn generate() -> Result<(Self, Vec<u8>), KexError> {
        let ml_kem = DecapsulationKey::generate(&ML_KEM_768).map_err(|_| KexError::Ours)?;
        let encapsulation_key = ml_kem.encapsulation_key().map_err(|_| KexError::Ours)?;
        let mut public = encapsulation_key.key_bytes().map_err(|_| KexError::Ours)?.as_ref().to_vec();
        let (x25519, x25519_public) = Share::generate(CURVE25519)?;
        public.extend_from_slice(&x25519_public);
        Ok((Self { ml_kem, x25519 }, public))
    }

    pub(super) fn finish(self, server_public: &[u8]) -> Result<SharedSecret, KexError> {
        let (ciphertext, x25519_public) =
            server_public.split_at_checked(CIPHERTEXT_LEN).ok_or(KexError::PeerPublic)?;
        let post_quantum =
            self.ml_kem.decapsulate(Ciphertext::from(ciphertext)).map_err(|_| KexError::PeerPublic)?;
        combine(post_quantum.as_ref(), self.x25519, x25519_public)
    }
}

pub(super) fn respond(client_public: &[u8]) -> Result<(Vec<u8>, SharedSecret), KexError> {
    let (encapsulation_key, x25519_public) =
        client_public.split_at_checked(ENCAPSULATION_KEY_LEN).ok_or(KexError::PeerPublic)?;
    let encapsulation_key =
        EncapsulationKey::new(&ML_KEM_768, encapsulation_key).map_err(|_| KexError::PeerPublic)?;
    let (ciphertext, post_quantum) = encapsulation_key.encapsulate().map_err(|_| KexError::PeerPublic)?;
    let (x25519, our_public) = Share::generate(CURVE25519)?;
    let secret = combine(post_quantum.as_ref(), x25519, x25519_public)?;
    Ok(([ciphertext.as_ref(), &our_public].concat(), secret))
}

fn combine(post_quantum: &[u8], x25519: Share, peer_public: &[u8]) -> Result<SharedSecret, KexError> {
    x25519.agree_raw(peer_public, |classical| {
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(post_quantum);
        hash.update(classical);
        let mut encoded = Zeroizing::new(Vec::with_capacity(4 + digest::SHA256_OUTPUT_LEN));
        encoded.put_string(hash.finish().as_ref());
        SharedSecret(encoded)
    })
}
