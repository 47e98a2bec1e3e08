//! AES-CTR with HMAC. Encrypt-then-MAC: the length is in the clear, the ciphertext authenticated.
//! Encrypt-and-MAC: the length is encrypted, so the first block is opened ahead, and the plaintext is
//! authenticated.
//!
//! Sources: RFC 4344 §4 (CTR), RFC 4253 §6.4 and RFC 6668 (HMAC-SHA-2), OpenSSH `PROTOCOL` §1.1 (`-etm`).

use aws_lc_rs::cipher::{
    AES_128, AES_192, AES_256, EncryptionContext, StreamingEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::{constant_time, hmac};
use zeroize::Zeroize;

use super::{Cipher, CipherError, Framing, KeyMaterial, Mac, Protection};

/// Bytes moved through the stack at once: the library's stream cipher does not work in place.
const CHUNK: usize = 4096;
const BLOCK: usize = 16;
const LENGTH_FIELD: usize = 4;

/// One direction's key stream and MAC key. CTR decrypts by encrypting, so both roles are one type.
pub(in super::super) struct CtrKey {
    stream: StreamingEncryptingKey,
    mac_key: hmac::Key,
    mac: Mac,
}

impl CtrKey {
    pub(super) fn new(protection: Protection, material: &KeyMaterial) -> Result<Self, CipherError> {
        let cipher = match protection.cipher {
            Cipher::Aes256Ctr => &AES_256,
            Cipher::Aes192Ctr => &AES_192,
            _ => &AES_128,
        };
        let mac = protection.mac.ok_or(CipherError)?;
        let hash = match mac {
            Mac::HmacSha256Etm | Mac::HmacSha256 => hmac::HMAC_SHA256,
            Mac::HmacSha512Etm | Mac::HmacSha512 => hmac::HMAC_SHA512,
        };
        let iv: [u8; BLOCK] = material.iv.as_slice().try_into().map_err(|_| CipherError)?;
        let key = UnboundCipherKey::new(cipher, &material.key).map_err(|_| CipherError)?;
        let context = EncryptionContext::Iv128(FixedLength::from(iv));
        let stream = StreamingEncryptingKey::less_safe_ctr(key, context).map_err(|_| CipherError)?;
        Ok(Self { stream, mac_key: hmac::Key::new(hash, &material.mac_key), mac })
    }

    pub(super) const fn framing(&self) -> Framing {
        Framing { block: BLOCK, length_counts: !self.mac.is_etm(), tag: self.mac.len() }
    }

    pub(super) fn seal(&mut self, sequence: u32, packet: &mut [u8]) -> Result<(), CipherError> {
        let (packet, tag) = self.split(packet)?;
        if self.mac.is_etm() {
            self.apply_key_stream(packet, LENGTH_FIELD)?;
            tag.copy_from_slice(self.mac(sequence, packet).as_ref());
        } else {
            tag.copy_from_slice(self.mac(sequence, packet).as_ref());
            self.apply_key_stream(packet, 0)?;
        }
        Ok(())
    }

    /// Makes `packet_length` readable; false while too little of the packet is there.
    pub(super) fn open_head(&mut self, packet: &mut [u8]) -> Result<bool, CipherError> {
        if self.mac.is_etm() {
            return Ok(true);
        }
        match packet.first_chunk_mut::<BLOCK>() {
            Some(head) => self.apply_key_stream(head, 0).map(|()| true),
            None => Ok(false),
        }
    }

    /// Opens the packet, whose head was opened before.
    pub(super) fn open(&mut self, sequence: u32, packet: &mut [u8]) -> Result<(), CipherError> {
        let (packet, tag) = self.split(packet)?;
        if !self.mac.is_etm() {
            self.apply_key_stream(packet, BLOCK)?;
        }
        let expected = self.mac(sequence, packet);
        constant_time::verify_slices_are_equal(expected.as_ref(), tag).map_err(|_| CipherError)?;
        if self.mac.is_etm() { self.apply_key_stream(packet, LENGTH_FIELD) } else { Ok(()) }
    }

    fn split<'a>(&self, packet: &'a mut [u8]) -> Result<(&'a mut [u8], &'a mut [u8]), CipherError> {
        let text_len = packet.len().checked_sub(self.mac.len()).ok_or(CipherError)?;
        Ok(packet.split_at_mut(text_len))
    }

    fn mac(&self, sequence: u32, packet: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.mac_key);
        context.update(&sequence.to_be_bytes());
        context.update(packet);
        context.sign()
    }

    /// Encrypts or decrypts what comes after the first `skip` bytes.
    fn apply_key_stream(&mut self, packet: &mut [u8], skip: usize) -> Result<(), CipherError> {
        let text = packet.get_mut(skip..).ok_or(CipherError)?;
        let mut scratch = [0; CHUNK];
        for chunk in text.chunks_mut(CHUNK) {
            let input = &mut scratch[..chunk.len()];
            input.copy_from_slice(chunk);
            self.stream.less_safe_update(input, chunk).map_err(|_| CipherError)?;
        }
        // Half of the time this was plaintext, perhaps a password.
        scratch[..text.len().min(CHUNK)].zeroize();
        Ok(())
    }
}
