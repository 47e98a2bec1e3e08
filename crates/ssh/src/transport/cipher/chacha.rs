//! `chacha20-poly1305@openssh.com`: the length is encrypted with a key of its own.
//!
//! Source: OpenSSH `PROTOCOL.chacha20poly1305`; the construct itself is aws-lc-rs's.

pub(in super::super) use aws_lc_rs::aead::chacha20_poly1305_openssh::{OpeningKey, SealingKey};

use super::{CipherError, Framing, KeyMaterial};

const TAG: usize = 16;
pub(super) const FRAMING: Framing = Framing { block: 8, length_counts: false, tag: TAG };

pub(super) fn sealing(material: &KeyMaterial) -> Result<SealingKey, CipherError> {
    Ok(SealingKey::new(material.key.as_slice().try_into().map_err(|_| CipherError)?))
}

pub(super) fn opening(material: &KeyMaterial) -> Result<OpeningKey, CipherError> {
    Ok(OpeningKey::new(material.key.as_slice().try_into().map_err(|_| CipherError)?))
}

pub(super) fn seal(key: &SealingKey, sequence: u32, packet: &mut [u8]) -> Result<(), CipherError> {
    // The library slices off the length without a check.
    let (packet, tag) = packet.split_last_chunk_mut::<TAG>().ok_or(CipherError)?;
    if packet.len() < 4 {
        return Err(CipherError);
    }
    key.seal_in_place(sequence, packet, tag);
    Ok(())
}

pub(super) fn open(key: &OpeningKey, sequence: u32, packet: &mut [u8]) -> Result<(), CipherError> {
    let (packet, tag) = packet.split_last_chunk_mut::<TAG>().ok_or(CipherError)?;
    if packet.len() < 4 {
        return Err(CipherError);
    }
    key.open_in_place(sequence, packet, tag).map(drop).map_err(|_| CipherError)
}
