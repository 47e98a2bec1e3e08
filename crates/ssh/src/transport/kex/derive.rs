//! The exchange hash and the keys derived from it. Sources: RFC 4253 §7.2, RFC 5656 §4.

use aws_lc_rs::digest;
use zeroize::Zeroizing;

use super::{KexMethod, SharedSecret};
use crate::transport::cipher::{KeyMaterial, Mac, Protection};
use crate::wire::Writer;

/// Everything that both sides must agree on for the exchange hash `H` to match.
pub(in super::super) struct ExchangeHashInput<'a> {
    /// `V_C`, without CR LF.
    pub(in super::super) client_identification: &'a [u8],
    /// `V_S`, without CR LF.
    pub(in super::super) server_identification: &'a [u8],
    /// `I_C`
    pub(in super::super) client_kexinit: &'a [u8],
    /// `I_S`
    pub(in super::super) server_kexinit: &'a [u8],
    /// `K_S`
    pub(in super::super) host_key: &'a [u8],
    /// `Q_C` or `C_INIT`
    pub(in super::super) client_public: &'a [u8],
    /// `Q_S` or `S_REPLY`
    pub(in super::super) server_public: &'a [u8],
}

impl ExchangeHashInput<'_> {
    pub(in super::super) fn hash(&self, method: KexMethod, secret: &SharedSecret) -> Vec<u8> {
        let mut hash = digest::Context::new(method.hash());
        for string in [
            self.client_identification,
            self.server_identification,
            self.client_kexinit,
            self.server_kexinit,
            self.host_key,
            self.client_public,
            self.server_public,
        ] {
            // Each came out of a packet or was made here: far below 4 GiB.
            hash.update(&(string.len() as u32).to_be_bytes());
            hash.update(string);
        }
        hash.update(secret.encoded());
        hash.finish().as_ref().to_vec()
    }
}

/// Derives the keys of both directions.
pub(in super::super) struct KeyDerivation<'a> {
    pub(in super::super) method: KexMethod,
    pub(in super::super) secret: &'a SharedSecret,
    pub(in super::super) exchange_hash: &'a [u8],
    pub(in super::super) session_id: &'a [u8],
}

impl KeyDerivation<'_> {
    /// Letters A, C, E.
    pub(in super::super) fn client_to_server(&self, protection: Protection) -> KeyMaterial {
        self.direction(protection, [b'A', b'C', b'E'])
    }

    /// Letters B, D, F.
    pub(in super::super) fn server_to_client(&self, protection: Protection) -> KeyMaterial {
        self.direction(protection, [b'B', b'D', b'F'])
    }

    fn direction(&self, protection: Protection, [iv, key, mac]: [u8; 3]) -> KeyMaterial {
        KeyMaterial {
            iv: self.bytes(iv, protection.cipher.iv_len()),
            key: self.bytes(key, protection.cipher.key_len()),
            mac_key: self.bytes(mac, protection.mac.map_or(0, Mac::len)),
        }
    }

    /// `K1 ‖ K2 ‖ …`, where `K1 = HASH(K ‖ H ‖ letter ‖ session_id)` and each next hashes all before.
    fn bytes(&self, letter: u8, len: usize) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(len + self.method.hash().output_len()));
        while out.len() < len {
            let mut hash = digest::Context::new(self.method.hash());
            hash.update(self.secret.encoded());
            hash.update(self.exchange_hash);
            if out.is_empty() {
                hash.update(&[letter]);
                hash.update(self.session_id);
            } else {
                hash.update(&out);
            }
            out.put(hash.finish().as_ref());
        }
        out.truncate(len);
        out
    }
}
