//! AES-GCM as OpenSSH uses it: the length is authenticated, not encrypted; the IV counts packets.
//!
//! Source: RFC 5647 §7, OpenSSH `PROTOCOL` §1.6.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use super::{Cipher, CipherError, Framing, KeyMaterial};

const TAG: usize = 16;
pub(super) const FRAMING: Framing = Framing { block: 16, length_counts: false, tag: TAG };

/// One direction's key and its next nonce.
pub(in super::super) struct GcmKey {
    key: LessSafeKey,
    fixed: [u8; 4],
    /// Starts anywhere and wraps (RFC 5647 §7.1): unique because keys end long before 2^64 packets.
    invocation_counter: u64,
}

impl GcmKey {
    pub(super) fn new(cipher: Cipher, material: &KeyMaterial) -> Result<Self, CipherError> {
        let algorithm = if cipher == Cipher::Aes256Gcm { &AES_256_GCM } else { &AES_128_GCM };
        let key = UnboundKey::new(algorithm, &material.key).map_err(|_| CipherError)?;
        let iv: &[u8; 12] = material.iv.as_slice().try_into().map_err(|_| CipherError)?;
        let [a, b, c, d, counter @ ..] = *iv;
        Ok(Self {
            key: LessSafeKey::new(key),
            fixed: [a, b, c, d],
            invocation_counter: u64::from_be_bytes(counter),
        })
    }

    fn next_nonce(&mut self) -> Nonce {
        let mut nonce = [0; 12];
        nonce[..4].copy_from_slice(&self.fixed);
        nonce[4..].copy_from_slice(&self.invocation_counter.to_be_bytes());
        self.invocation_counter = self.invocation_counter.wrapping_add(1);
        Nonce::assume_unique_for_key(nonce)
    }

    pub(super) fn seal(&mut self, packet: &mut [u8]) -> Result<(), CipherError> {
        let Parts { length, text, tag } = split(packet)?;
        let nonce = self.next_nonce();
        self.key.seal_in_place_scatter(nonce, Aad::from(length), text, &[], tag).map_err(|_| CipherError)
    }

    pub(super) fn open(&mut self, packet: &mut [u8]) -> Result<(), CipherError> {
        let Parts { length, text, tag } = split(packet)?;
        let nonce = self.next_nonce();
        self.key
            .open_in_place_separate_tag(nonce, Aad::from(length), tag, text)
            .map(drop)
            .map_err(|_| CipherError)
    }
}

struct Parts<'a> {
    length: [u8; 4],
    text: &'a mut [u8],
    tag: &'a mut [u8],
}

fn split(packet: &mut [u8]) -> Result<Parts<'_>, CipherError> {
    let (length, rest) = packet.split_first_chunk_mut::<4>().ok_or(CipherError)?;
    let text_len = rest.len().checked_sub(TAG).ok_or(CipherError)?;
    let (text, tag) = rest.split_at_mut(text_len);
    Ok(Parts { length: *length, text, tag })
}
