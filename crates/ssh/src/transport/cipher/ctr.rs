//! AES-CTR with HMAC, encrypt-then-MAC: the length is in the clear and authenticated.
//!
//! Sources: RFC 4344 §4 (CTR), RFC 6668 (HMAC-SHA-2), OpenSSH `PROTOCOL` §1.1 (`-etm`).

use aws_lc_rs::cipher::{
    AES_128, AES_192, AES_256, EncryptionContext, StreamingEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::{constant_time, hmac};
use zeroize::Zeroize;

use super::{Cipher, CipherError, Framing, KeyMaterial, Mac, Protection};

/// Bytes moved through the stack at once: the library's stream cipher does not work in place.
const CHUNK: usize = 4096;

/// One direction's key stream and MAC key. CTR decrypts by encrypting, so both roles are one type.
pub(in super::super) struct CtrEtmKey {
    stream: StreamingEncryptingKey,
    mac_key: hmac::Key,
    tag_len: usize,
}

impl CtrEtmKey {
    pub(super) fn new(protection: Protection, material: &KeyMaterial) -> Result<Self, CipherError> {
        let cipher = match protection.cipher {
            Cipher::Aes256Ctr => &AES_256,
            Cipher::Aes192Ctr => &AES_192,
            _ => &AES_128,
        };
        let (mac, hash) = match protection.mac.ok_or(CipherError)? {
            mac @ Mac::HmacSha256Etm => (mac, hmac::HMAC_SHA256),
            mac @ Mac::HmacSha512Etm => (mac, hmac::HMAC_SHA512),
        };
        let iv: [u8; 16] = material.iv.as_slice().try_into().map_err(|_| CipherError)?;
        let key = UnboundCipherKey::new(cipher, &material.key).map_err(|_| CipherError)?;
        let context = EncryptionContext::Iv128(FixedLength::from(iv));
        let stream = StreamingEncryptingKey::less_safe_ctr(key, context).map_err(|_| CipherError)?;
        Ok(Self { stream, mac_key: hmac::Key::new(hash, &material.mac_key), tag_len: mac.len() })
    }

    pub(super) const fn framing(&self) -> Framing {
        Framing { block: 16, length_counts: false, tag: self.tag_len }
    }

    pub(super) fn seal(&mut self, sequence: u32, packet: &mut [u8]) -> Result<(), CipherError> {
        let text_len = packet.len().checked_sub(self.tag_len).ok_or(CipherError)?;
        let (packet, tag) = packet.split_at_mut(text_len);
        self.apply_key_stream(packet.get_mut(4..).ok_or(CipherError)?)?;
        tag.copy_from_slice(self.mac(sequence, packet).as_ref());
        Ok(())
    }

    pub(super) fn open(&mut self, sequence: u32, packet: &mut [u8]) -> Result<(), CipherError> {
        let text_len = packet.len().checked_sub(self.tag_len).ok_or(CipherError)?;
        let (packet, tag) = packet.split_at_mut(text_len);
        let expected = self.mac(sequence, packet);
        constant_time::verify_slices_are_equal(expected.as_ref(), tag).map_err(|_| CipherError)?;
        self.apply_key_stream(packet.get_mut(4..).ok_or(CipherError)?)
    }

    fn mac(&self, sequence: u32, packet: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.mac_key);
        context.update(&sequence.to_be_bytes());
        context.update(packet);
        context.sign()
    }

    fn apply_key_stream(&mut self, text: &mut [u8]) -> Result<(), CipherError> {
        let mut scratch = [0; CHUNK];
        for chunk in text.chunks_mut(CHUNK) {
            let input = &mut scratch[..chunk.len()];
            input.copy_from_slice(chunk);
            self.stream.less_safe_update(input, chunk).map_err(|_| CipherError)?;
        }
        // Half of the time this was plaintext, perhaps a password.
        scratch.zeroize();
        Ok(())
    }
}
