//! Key exchange methods: two public values in, a shared secret out, and the keys derived from it.
//!
//! All methods have the shape of RFC 5656 §4 (one INIT, one REPLY). What differs is the
//! arithmetic, the hash, and whether `K` is an `mpint` or a `string`. Messages, signatures and
//! states are `exchange.rs`'s business.

mod derive;
mod ecdh;
mod mlkem768x25519;

use std::fmt;

use aws_lc_rs::digest;
use zeroize::Zeroizing;

pub(super) use derive::{ExchangeHashInput, KeyDerivation};

/// A key exchange method that can be negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KexMethod {
    /// `mlkem768x25519-sha256`: post-quantum hybrid (draft-ietf-sshm-mlkem-hybrid-kex)
    MlKem768X25519Sha256,
    /// `curve25519-sha256` (RFC 8731)
    Curve25519Sha256,
    /// `curve25519-sha256@libssh.org`: the same under its first name
    Curve25519Sha256Libssh,
    /// `ecdh-sha2-nistp256` (RFC 5656)
    EcdhSha2Nistp256,
    /// `ecdh-sha2-nistp384` (RFC 5656)
    EcdhSha2Nistp384,
    /// `ecdh-sha2-nistp521` (RFC 5656)
    EcdhSha2Nistp521,
}

impl KexMethod {
    /// All methods, best first.
    pub const ALL: [Self; 6] = [
        Self::MlKem768X25519Sha256,
        Self::Curve25519Sha256,
        Self::Curve25519Sha256Libssh,
        Self::EcdhSha2Nistp256,
        Self::EcdhSha2Nistp384,
        Self::EcdhSha2Nistp521,
    ];

    /// All methods but those on NIST curves, whose constants nobody can explain; best first.
    ///
    /// Every stock client since 2014 has one of them. Servers that must follow FIPS may have none.
    pub const WITHOUT_NIST_CURVES: [Self; 3] =
        [Self::MlKem768X25519Sha256, Self::Curve25519Sha256, Self::Curve25519Sha256Libssh];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MlKem768X25519Sha256 => "mlkem768x25519-sha256",
            Self::Curve25519Sha256 => "curve25519-sha256",
            Self::Curve25519Sha256Libssh => "curve25519-sha256@libssh.org",
            Self::EcdhSha2Nistp256 => "ecdh-sha2-nistp256",
            Self::EcdhSha2Nistp384 => "ecdh-sha2-nistp384",
            Self::EcdhSha2Nistp521 => "ecdh-sha2-nistp521",
        }
    }

    /// The method of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name)
    }

    /// The hash of the exchange hash and of the key derivation.
    pub(super) fn hash(self) -> &'static digest::Algorithm {
        match self {
            Self::MlKem768X25519Sha256
            | Self::Curve25519Sha256
            | Self::Curve25519Sha256Libssh
            | Self::EcdhSha2Nistp256 => &digest::SHA256,
            Self::EcdhSha2Nistp384 => &digest::SHA384,
            Self::EcdhSha2Nistp521 => &digest::SHA512,
        }
    }
}

/// `K`, already encoded as the exchange hash and the key derivation take it; wiped when dropped.
pub(super) struct SharedSecret(Zeroizing<Vec<u8>>);

impl SharedSecret {
    /// `K` with its length, ready to be hashed.
    pub(super) fn encoded(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// Why an exchange gave no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KexError {
    /// The peer's public value has the wrong length or is not a valid point or key.
    PeerPublic,
    /// The cryptographic library failed to make our share.
    Ours,
}

/// The client's half of an exchange, between INIT and REPLY.
pub(super) enum ClientExchange {
    Ecdh(ecdh::Share),
    Hybrid(Box<mlkem768x25519::ClientShare>),
}

impl ClientExchange {
    /// Makes the client's share; returns it with the public value for INIT.
    pub(super) fn start(method: KexMethod) -> Result<(Self, Vec<u8>), KexError> {
        match ecdh::Curve::of(method) {
            Some(curve) => {
                let (share, public) = ecdh::Share::generate(curve)?;
                Ok((Self::Ecdh(share), public))
            }
            None => {
                let (share, public) = mlkem768x25519::ClientShare::generate()?;
                Ok((Self::Hybrid(Box::new(share)), public))
            }
        }
    }

    /// Combines the share with the server's public value out of REPLY.
    pub(super) fn finish(self, server_public: &[u8]) -> Result<SharedSecret, KexError> {
        match self {
            Self::Ecdh(share) => share.agree(server_public),
            Self::Hybrid(share) => share.finish(server_public),
        }
    }
}

/// The server's whole half: its public value for REPLY, and the secret.
pub(super) fn respond(method: KexMethod, client_public: &[u8]) -> Result<(Vec<u8>, SharedSecret), KexError> {
    match ecdh::Curve::of(method) {
        Some(curve) => {
            let (share, public) = ecdh::Share::generate(curve)?;
            Ok((public, share.agree(client_public)?))
        }
        None => mlkem768x25519::respond(client_public),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_get_the_same_secret() {
        for method in KexMethod::ALL {
            let (client, init) = ClientExchange::start(method).unwrap();
            let (reply, server_secret) = respond(method, &init).unwrap();
            let client_secret = client.finish(&reply).unwrap();
            assert_eq!(client_secret.encoded(), server_secret.encoded(), "{}", method.name());
            assert_eq!(KexMethod::from_name(method.name()), Some(method));
        }
    }

    #[test]
    fn wrong_lengths_are_the_peers_fault() {
        for method in KexMethod::ALL {
            let (_, init) = ClientExchange::start(method).unwrap();
            for bad in [&init[..init.len() - 1], &[&init[..], &[0]].concat(), &[], &[4]] {
                assert_eq!(respond(method, bad).unwrap_err(), KexError::PeerPublic, "{}", method.name());
            }
            let (reply, _) = respond(method, &init).unwrap();
            for bad in [&reply[..reply.len() - 1], &[&reply[..], &[0]].concat(), &[]] {
                let (client, _) = ClientExchange::start(method).unwrap();
                assert_eq!(client.finish(bad).unwrap_err(), KexError::PeerPublic, "{}", method.name());
            }
        }
    }

    #[test]
    fn points_that_give_no_secret_are_refused() {
        // X25519 of small order: the result would be zero whatever our share is (RFC 8731 §3).
        for small_order in [[0; 32], {
            let mut one = [0; 32];
            one[0] = 1;
            one
        }] {
            let result = respond(KexMethod::Curve25519Sha256, &small_order);
            assert_eq!(result.unwrap_err(), KexError::PeerPublic);
        }
        let (_, mut off_curve) = ClientExchange::start(KexMethod::EcdhSha2Nistp256).unwrap();
        off_curve[64] ^= 1;
        assert_eq!(respond(KexMethod::EcdhSha2Nistp256, &off_curve).unwrap_err(), KexError::PeerPublic);
        // The library would take a compressed point; SSH peers send uncompressed ones.
        let (_, point) = ClientExchange::start(KexMethod::EcdhSha2Nistp256).unwrap();
        let compressed = [&[2 + (point[64] & 1)], &point[1..33]].concat();
        assert_eq!(respond(KexMethod::EcdhSha2Nistp256, &compressed).unwrap_err(), KexError::PeerPublic);
        // ML-KEM: coefficients not reduced modulo q (FIPS 203 §7.2).
        let unreduced = vec![0xff; 1184 + 32];
        assert_eq!(respond(KexMethod::MlKem768X25519Sha256, &unreduced).unwrap_err(), KexError::PeerPublic);
    }
}
