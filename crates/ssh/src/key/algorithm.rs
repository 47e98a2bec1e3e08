//! Names of signature algorithms and of public key algorithms.

use std::fmt;

use aws_lc_rs::signature as lc;

/// How a signature is made; RSA keys have two ways, every other key one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SignatureAlgorithm {
    /// `ssh-ed25519` (RFC 8709).
    Ed25519,
    /// `ecdsa-sha2-nistp256` (RFC 5656).
    EcdsaP256,
    /// `ecdsa-sha2-nistp384` (RFC 5656).
    EcdsaP384,
    /// `ecdsa-sha2-nistp521` (RFC 5656).
    EcdsaP521,
    /// `rsa-sha2-512` (RFC 8332).
    RsaSha512,
    /// `rsa-sha2-256` (RFC 8332).
    RsaSha256,
    /// `sk-ssh-ed25519@openssh.com` (OpenSSH PROTOCOL.u2f).
    SkEd25519,
    /// `sk-ecdsa-sha2-nistp256@openssh.com` (OpenSSH PROTOCOL.u2f).
    SkEcdsaP256,
}

impl SignatureAlgorithm {
    /// Every algorithm, in our order of preference. `ssh-rsa` (SHA-1) is not among them and never verifies.
    pub const ALL: [Self; 8] = [
        Self::Ed25519,
        Self::SkEd25519,
        Self::EcdsaP256,
        Self::EcdsaP384,
        Self::EcdsaP521,
        Self::SkEcdsaP256,
        Self::RsaSha512,
        Self::RsaSha256,
    ];

    /// The name on the wire, in signatures and in `server-sig-algs`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ssh-ed25519",
            Self::EcdsaP256 => "ecdsa-sha2-nistp256",
            Self::EcdsaP384 => "ecdsa-sha2-nistp384",
            Self::EcdsaP521 => "ecdsa-sha2-nistp521",
            Self::RsaSha512 => "rsa-sha2-512",
            Self::RsaSha256 => "rsa-sha2-256",
            Self::SkEd25519 => "sk-ssh-ed25519@openssh.com",
            Self::SkEcdsaP256 => "sk-ecdsa-sha2-nistp256@openssh.com",
        }
    }

    /// The algorithm of that name, if we speak it.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// The name of the same algorithm with an OpenSSH certificate (PROTOCOL.certkeys).
    pub const fn certificate_name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ssh-ed25519-cert-v01@openssh.com",
            Self::EcdsaP256 => "ecdsa-sha2-nistp256-cert-v01@openssh.com",
            Self::EcdsaP384 => "ecdsa-sha2-nistp384-cert-v01@openssh.com",
            Self::EcdsaP521 => "ecdsa-sha2-nistp521-cert-v01@openssh.com",
            Self::RsaSha512 => "rsa-sha2-512-cert-v01@openssh.com",
            Self::RsaSha256 => "rsa-sha2-256-cert-v01@openssh.com",
            Self::SkEd25519 => "sk-ssh-ed25519-cert-v01@openssh.com",
            Self::SkEcdsaP256 => "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
        }
    }
}

impl fmt::Display for SignatureAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A *public key algorithm name* of RFC 4252 §7 and RFC 4253 §7.1: how it signs, and whether a certificate is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PublicKeyAlgorithm {
    /// How the key signs.
    pub signature: SignatureAlgorithm,
    /// True when the blob is a certificate.
    pub certificate: bool,
}

impl PublicKeyAlgorithm {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        if self.certificate { self.signature.certificate_name() } else { self.signature.name() }
    }

    /// The algorithm of that name; `None` also for `ssh-rsa` and its certificates, which sign with SHA-1.
    pub fn from_name(name: &str) -> Option<Self> {
        SignatureAlgorithm::ALL.into_iter().find_map(|signature| {
            [false, true]
                .map(|certificate| Self { signature, certificate })
                .into_iter()
                .find(|algorithm| algorithm.name() == name)
        })
    }
}

/// Kinds of private keys we can make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// Ed25519, the one to take.
    Ed25519,
    /// ECDSA over NIST P-256.
    EcdsaP256,
    /// ECDSA over NIST P-384.
    EcdsaP384,
    /// ECDSA over NIST P-521.
    EcdsaP521,
    /// RSA with 3072 bits, for clients that know nothing newer.
    Rsa3072,
    /// RSA with 4096 bits.
    Rsa4096,
}

/// The curves of RFC 5656 §10.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    pub(super) const ALL: [Self; 3] = [Self::P256, Self::P384, Self::P521];

    /// The curve's identifier within key blobs.
    pub(super) const fn identifier(self) -> &'static str {
        match self {
            Self::P256 => "nistp256",
            Self::P384 => "nistp384",
            Self::P521 => "nistp521",
        }
    }

    /// Bytes of a field element, a scalar, and of each half of a signature.
    pub(super) const fn len(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    pub(super) const fn signature_algorithm(self) -> SignatureAlgorithm {
        match self {
            Self::P256 => SignatureAlgorithm::EcdsaP256,
            Self::P384 => SignatureAlgorithm::EcdsaP384,
            Self::P521 => SignatureAlgorithm::EcdsaP521,
        }
    }

    pub(super) const fn verifying(self) -> &'static lc::EcdsaVerificationAlgorithm {
        match self {
            Self::P256 => &lc::ECDSA_P256_SHA256_FIXED,
            Self::P384 => &lc::ECDSA_P384_SHA384_FIXED,
            Self::P521 => &lc::ECDSA_P521_SHA512_FIXED,
        }
    }

    pub(super) const fn signing(self) -> &'static lc::EcdsaSigningAlgorithm {
        match self {
            Self::P256 => &lc::ECDSA_P256_SHA256_FIXED_SIGNING,
            Self::P384 => &lc::ECDSA_P384_SHA384_FIXED_SIGNING,
            Self::P521 => &lc::ECDSA_P521_SHA512_FIXED_SIGNING,
        }
    }
}
