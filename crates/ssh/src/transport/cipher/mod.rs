//! Ciphers and MACs: what can be negotiated, and the keyed states that open and seal packets.
//!
//! A packet is `uint32 packet_length || byte padding_length || payload || padding || tag`. Every
//! state here works in place on that whole packet; framing and limits are `packet.rs`'s business.

mod chacha;
mod ctr;
mod gcm;

use zeroize::Zeroizing;

/// A cipher that can be negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cipher {
    /// `aes256-gcm@openssh.com` (RFC 5647, name from OpenSSH's `PROTOCOL`)
    Aes256Gcm,
    /// `aes128-gcm@openssh.com`
    Aes128Gcm,
    /// `aes256-ctr` (RFC 4344)
    Aes256Ctr,
    /// `aes192-ctr`
    Aes192Ctr,
    /// `aes128-ctr`
    Aes128Ctr,
    /// `chacha20-poly1305@openssh.com` (OpenSSH's `PROTOCOL.chacha20poly1305`)
    ChaCha20Poly1305,
}

impl Cipher {
    /// All ciphers, best first. AES-CTR is last: with its MAC it costs the most, and peers that have
    /// it without an encrypt-then-MAC mode (dropbear) have chacha20-poly1305 too.
    pub const ALL: [Self; 6] = [
        Self::Aes256Gcm,
        Self::Aes128Gcm,
        Self::ChaCha20Poly1305,
        Self::Aes256Ctr,
        Self::Aes192Ctr,
        Self::Aes128Ctr,
    ];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aes256Gcm => "aes256-gcm@openssh.com",
            Self::Aes128Gcm => "aes128-gcm@openssh.com",
            Self::Aes256Ctr => "aes256-ctr",
            Self::Aes192Ctr => "aes192-ctr",
            Self::Aes128Ctr => "aes128-ctr",
            Self::ChaCha20Poly1305 => "chacha20-poly1305@openssh.com",
        }
    }

    /// The cipher of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cipher| cipher.name() == name)
    }

    /// True for AES-GCM, which is by far the fastest here.
    pub const fn is_gcm(self) -> bool {
        matches!(self, Self::Aes256Gcm | Self::Aes128Gcm)
    }

    /// True when the cipher authenticates by itself and the negotiated MAC is not used.
    pub const fn is_aead(self) -> bool {
        matches!(self, Self::Aes256Gcm | Self::Aes128Gcm | Self::ChaCha20Poly1305)
    }

    /// Bytes of key material to derive.
    pub(super) const fn key_len(self) -> usize {
        match self {
            Self::Aes256Gcm | Self::Aes256Ctr => 32,
            Self::Aes192Ctr => 24,
            Self::Aes128Gcm | Self::Aes128Ctr => 16,
            Self::ChaCha20Poly1305 => 64,
        }
    }

    /// Bytes of initial IV to derive.
    pub(super) const fn iv_len(self) -> usize {
        match self {
            Self::Aes256Gcm | Self::Aes128Gcm => 12,
            Self::Aes256Ctr | Self::Aes192Ctr | Self::Aes128Ctr => 16,
            Self::ChaCha20Poly1305 => 0,
        }
    }
}

/// A MAC that can be negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mac {
    /// `hmac-sha2-256-etm@openssh.com`
    HmacSha256Etm,
    /// `hmac-sha2-512-etm@openssh.com`
    HmacSha512Etm,
    /// `hmac-sha2-256` (RFC 6668): encrypt-and-MAC, for peers that know nothing better
    HmacSha256,
    /// `hmac-sha2-512` (RFC 6668): encrypt-and-MAC, for peers that know nothing better
    HmacSha512,
}

impl Mac {
    /// The encrypt-then-MAC modes, best first: what is offered unless a configuration says more.
    pub const ENCRYPT_THEN_MAC: [Self; 2] = [Self::HmacSha256Etm, Self::HmacSha512Etm];
    /// All MACs, best first. The last two are for old network gear and libssh2 before 1.11.
    pub const ALL: [Self; 4] = [Self::HmacSha256Etm, Self::HmacSha512Etm, Self::HmacSha256, Self::HmacSha512];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HmacSha256Etm => "hmac-sha2-256-etm@openssh.com",
            Self::HmacSha512Etm => "hmac-sha2-512-etm@openssh.com",
            Self::HmacSha256 => "hmac-sha2-256",
            Self::HmacSha512 => "hmac-sha2-512",
        }
    }

    /// The MAC of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mac| mac.name() == name)
    }

    /// True when the ciphertext is authenticated, false when the plaintext is.
    pub(super) const fn is_etm(self) -> bool {
        matches!(self, Self::HmacSha256Etm | Self::HmacSha512Etm)
    }

    /// Length of key and tag, which are equal for HMAC in SSH (RFC 6668).
    pub(super) const fn len(self) -> usize {
        match self {
            Self::HmacSha256Etm | Self::HmacSha256 => 32,
            Self::HmacSha512Etm | Self::HmacSha512 => 64,
        }
    }
}

/// Cipher and MAC of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Protection {
    /// The cipher.
    pub cipher: Cipher,
    /// The MAC; `None` when the cipher authenticates by itself.
    pub mac: Option<Mac>,
}

/// The derived secrets of one direction (RFC 4253 §7.2); wiped when dropped.
pub(super) struct KeyMaterial {
    pub(super) iv: Zeroizing<Vec<u8>>,
    pub(super) key: Zeroizing<Vec<u8>>,
    pub(super) mac_key: Zeroizing<Vec<u8>>,
}

/// The cryptographic library refused key or data: our fault, or a packet that is not genuine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CipherError;

/// How a cipher frames packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Framing {
    /// Lengths are multiples of this.
    pub(super) block: usize,
    /// True when the four bytes of `packet_length` count towards the multiple.
    pub(super) length_counts: bool,
    /// Bytes after the packet that authenticate it.
    pub(super) tag: usize,
}

const CLEAR: Framing = Framing { block: 8, length_counts: true, tag: 0 };

/// Seals outgoing packets.
pub(super) enum SealingKey {
    /// Before the first NEWKEYS.
    Clear,
    Gcm(Box<gcm::GcmKey>),
    ChaCha(Box<chacha::SealingKey>),
    Ctr(Box<ctr::CtrKey>),
}

impl SealingKey {
    pub(super) fn new(protection: Protection, material: &KeyMaterial) -> Result<Self, CipherError> {
        Ok(match protection.cipher {
            Cipher::Aes256Gcm | Cipher::Aes128Gcm => {
                Self::Gcm(Box::new(gcm::GcmKey::new(protection.cipher, material)?))
            }
            Cipher::ChaCha20Poly1305 => Self::ChaCha(Box::new(chacha::sealing(material)?)),
            Cipher::Aes256Ctr | Cipher::Aes192Ctr | Cipher::Aes128Ctr => {
                Self::Ctr(Box::new(ctr::CtrKey::new(protection, material)?))
            }
        })
    }

    pub(super) const fn framing(&self) -> Framing {
        match self {
            Self::Clear => CLEAR,
            Self::Gcm(_) => gcm::FRAMING,
            Self::ChaCha(_) => chacha::FRAMING,
            Self::Ctr(key) => key.framing(),
        }
    }

    /// Seals `packet`, whose last bytes are the room for the tag.
    pub(super) fn seal(&mut self, sequence: u32, packet: &mut [u8]) -> Result<(), CipherError> {
        match self {
            Self::Clear => Ok(()),
            Self::Gcm(key) => key.seal(packet),
            Self::ChaCha(key) => chacha::seal(key, sequence, packet),
            Self::Ctr(key) => key.seal(sequence, packet),
        }
    }
}

/// Opens incoming packets.
pub(super) enum OpeningKey {
    /// Before the first NEWKEYS.
    Clear,
    Gcm(Box<gcm::GcmKey>),
    ChaCha(Box<chacha::OpeningKey>),
    Ctr(Box<ctr::CtrKey>),
}

impl OpeningKey {
    pub(super) fn new(protection: Protection, material: &KeyMaterial) -> Result<Self, CipherError> {
        Ok(match protection.cipher {
            Cipher::Aes256Gcm | Cipher::Aes128Gcm => {
                Self::Gcm(Box::new(gcm::GcmKey::new(protection.cipher, material)?))
            }
            Cipher::ChaCha20Poly1305 => Self::ChaCha(Box::new(chacha::opening(material)?)),
            Cipher::Aes256Ctr | Cipher::Aes192Ctr | Cipher::Aes128Ctr => {
                Self::Ctr(Box::new(ctr::CtrKey::new(protection, material)?))
            }
        })
    }

    pub(super) const fn framing(&self) -> Framing {
        match self {
            Self::Clear => CLEAR,
            Self::Gcm(_) => gcm::FRAMING,
            Self::ChaCha(_) => chacha::FRAMING,
            Self::Ctr(key) => key.framing(),
        }
    }

    pub(super) const fn is_clear(&self) -> bool {
        matches!(self, Self::Clear)
    }

    /// `packet_length`, not authenticated yet; `None` while too little of the packet is there. Must
    /// be asked once a packet only, since it may decrypt the head in place.
    pub(super) fn packet_length(
        &mut self,
        sequence: u32,
        packet: &mut [u8],
    ) -> Result<Option<u32>, CipherError> {
        if let Self::Ctr(key) = self
            && !key.open_head(packet)?
        {
            return Ok(None);
        }
        let Some(&head) = packet.first_chunk::<4>() else { return Ok(None) };
        Ok(Some(u32::from_be_bytes(match self {
            Self::ChaCha(key) => key.decrypt_packet_length(sequence, head),
            Self::Clear | Self::Gcm(_) | Self::Ctr(_) => head,
        })))
    }

    /// Checks and decrypts everything between `packet_length` and the tag.
    pub(super) fn open(&mut self, sequence: u32, packet: &mut [u8]) -> Result<(), CipherError> {
        match self {
            Self::Clear => Ok(()),
            Self::Gcm(key) => key.open(packet),
            Self::ChaCha(key) => chacha::open(key, sequence, packet),
            Self::Ctr(key) => key.open(sequence, packet),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn material(protection: Protection) -> KeyMaterial {
        let bytes = |n: usize, seed: u8| Zeroizing::new((0..n).map(|i| seed ^ i as u8).collect());
        KeyMaterial {
            iv: bytes(protection.cipher.iv_len(), 3),
            key: bytes(protection.cipher.key_len(), 5),
            mac_key: bytes(protection.mac.map_or(0, Mac::len), 9),
        }
    }

    fn all() -> Vec<Protection> {
        Cipher::ALL
            .into_iter()
            .flat_map(|cipher| match cipher.is_aead() {
                true => vec![Protection { cipher, mac: None }],
                false => Mac::ALL.map(|mac| Protection { cipher, mac: Some(mac) }).to_vec(),
            })
            .collect()
    }

    fn open(key: &mut OpeningKey, sequence: u32, packet: &mut [u8]) -> Result<(), CipherError> {
        key.packet_length(sequence, packet)?;
        key.open(sequence, packet)
    }

    /// A length that is a multiple of the block, however it is counted.
    fn fitting(framing: Framing, len: usize) -> usize {
        if framing.length_counts { len - 4 } else { len }
    }

    /// A sealed packet with `len` bytes between length and tag.
    fn sealed(key: &mut SealingKey, sequence: u32, len: usize) -> Vec<u8> {
        let mut packet = (len as u32).to_be_bytes().to_vec();
        packet.extend((0..len).map(|i| i as u8));
        packet.resize(packet.len() + key.framing().tag, 0);
        key.seal(sequence, &mut packet).unwrap();
        packet
    }

    #[test]
    fn what_is_sealed_opens_packet_after_packet() {
        for protection in all() {
            let mut sealing = SealingKey::new(protection, &material(protection)).unwrap();
            let mut opening = OpeningKey::new(protection, &material(protection)).unwrap();
            assert_eq!(sealing.framing(), opening.framing());
            for (sequence, len) in [(0, 16), (1, 32), (7, 4096), (u32::MAX, 4112), (0, 16)] {
                let len = fitting(sealing.framing(), len);
                let mut packet = sealed(&mut sealing, sequence, len);
                assert_eq!(opening.packet_length(sequence, &mut packet[..3]), Ok(None));
                let length = opening.packet_length(sequence, &mut packet);
                assert_eq!(length, Ok(Some(len as u32)), "{protection:?}");
                opening.open(sequence, &mut packet).unwrap();
                assert!(packet[4..4 + len].iter().enumerate().all(|(i, &b)| b == i as u8), "{protection:?}");
            }
        }
    }

    #[test]
    fn a_changed_byte_never_opens() {
        for protection in all() {
            let packet = {
                let mut sealing = SealingKey::new(protection, &material(protection)).unwrap();
                let len = fitting(sealing.framing(), 48);
                sealed(&mut sealing, 5, len)
            };
            for offset in 0..packet.len() {
                let mut changed = packet.clone();
                changed[offset] ^= 1;
                let mut opening = OpeningKey::new(protection, &material(protection)).unwrap();
                assert_eq!(open(&mut opening, 5, &mut changed), Err(CipherError), "{protection:?} {offset}");
            }
        }
    }

    #[test]
    fn replayed_and_reordered_packets_do_not_open() {
        for protection in all() {
            let mut sealing = SealingKey::new(protection, &material(protection)).unwrap();
            let len = fitting(sealing.framing(), 16);
            let first = sealed(&mut sealing, 0, len);
            let mut opening = OpeningKey::new(protection, &material(protection)).unwrap();
            open(&mut opening, 0, &mut first.clone()).unwrap();
            assert_eq!(open(&mut opening, 1, &mut first.clone()), Err(CipherError), "{protection:?}");
        }
    }

    #[test]
    fn names_are_found_again() {
        for cipher in Cipher::ALL {
            assert_eq!(Cipher::from_name(cipher.name()), Some(cipher));
        }
        for mac in Mac::ALL {
            assert_eq!(Mac::from_name(mac.name()), Some(mac));
        }
        assert_eq!(Cipher::from_name("none"), None);
    }
}
