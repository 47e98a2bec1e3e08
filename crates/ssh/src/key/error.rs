//! What can be wrong with keys, signatures and certificates.

use crate::wire::Malformed;

/// A key that cannot be used.
///
/// Whose fault: whoever wrote the key (a peer on the wire, or an operator in a file).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The bytes do not follow the format.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A key type this crate does not speak (DSA, XMSS, …); the name is escaped and cut short.
    #[error("key type `{0}` is not supported")]
    UnsupportedType(String),
    /// A certificate where a plain key is wanted.
    #[error("a certificate stands where a plain key is wanted")]
    CertificateNotKey,
    /// A plain key where a certificate is wanted.
    #[error("a plain key stands where a certificate is wanted")]
    KeyNotCertificate,
    /// An RSA key too short to be trusted or too long to be worked with.
    #[error("RSA keys must have 2048 to 8192 bits and a sane public exponent; this one has {bits} bits")]
    RsaSize {
        /// The length of the modulus.
        bits: usize,
    },
    /// A curve point that is not on its curve, or numbers that make no key.
    #[error("the numbers in the {0} key do not form a valid key")]
    Invalid(&'static str),
    /// A private key behind a passphrase.
    #[error(
        "the private key is protected by a passphrase; remove it from a copy with `ssh-keygen -p -N '' -f FILE`"
    )]
    Passphrase,
    /// A private key of a hardware token: the secret is not in the file.
    #[error("the private key lives in a hardware token; only its public half can be used here")]
    HardwareKey,
    /// The public and the private half do not belong together.
    #[error("the public and the private half of the key do not belong together")]
    Mismatch,
    /// Not a private key in a format we read.
    #[error(
        "not a private key in a known format (OpenSSH, PKCS#8, PKCS#1 or SEC1 PEM); \
         `ssh-keygen -p -m pkcs8 -N '' -f FILE` rewrites a copy of most others"
    )]
    UnknownFormat,
    /// The cryptographic library failed (no randomness, out of memory).
    #[error("the cryptographic library failed")]
    Crypto,
}

/// A signature that does not prove what it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The bytes do not follow the format.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The key or certificate itself is bad.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The certificate itself is bad.
    #[error(transparent)]
    Certificate(Box<CertificateError>),
    /// The algorithm is unknown, or not one that this key signs with; escaped and cut short.
    #[error("signature algorithm `{0}` does not fit the key")]
    WrongAlgorithm(String),
    /// The signature is well-formed and false.
    #[error("the signature does not verify")]
    Invalid,
    /// The private key could not sign.
    #[error("signing failed")]
    Signing,
}

impl From<CertificateError> for SignatureError {
    fn from(error: CertificateError) -> Self {
        Self::Certificate(Box::new(error))
    }
}

/// A certificate that is not to be believed, or cannot be minted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The bytes do not follow the format.
    #[error("the certificate is malformed: {0}")]
    Malformed(#[from] Malformed),
    /// The certified key or the CA's key is bad.
    #[error(transparent)]
    Key(KeyError),
    /// The CA's key is itself a certificate. OpenSSH has no chains; accepting one bypasses every check made on the outer one.
    #[error("the certificate was signed by another certificate; chains are not allowed")]
    NestedAuthority,
    /// The CA's signature is false, or by an algorithm that is not allowed (`ssh-rsa`).
    #[error("the certificate's signature is not good: {0}")]
    Signature(Box<SignatureError>),
    /// An option or extension stands twice.
    #[error("the certificate names an option twice")]
    DuplicateOption,
    /// A user certificate where a host certificate is wanted, or the other way round.
    #[error("a {found} certificate stands where a {wanted} certificate is wanted")]
    WrongKind {
        /// What was shown.
        found: super::CertificateKind,
        /// What the place demands.
        wanted: super::CertificateKind,
    },
    /// Nobody told us to trust this CA.
    #[error("the certificate's CA {0} is not trusted here")]
    UntrustedAuthority(super::Fingerprint),
    /// `valid after` lies in the future.
    #[error("the certificate is not valid yet (unix time {now}, valid after {valid_after})")]
    NotYetValid {
        /// The caller's clock, seconds since 1970.
        now: u64,
        /// As the certificate says.
        valid_after: u64,
    },
    /// `valid before` has passed.
    #[error("the certificate has expired (unix time {now}, valid before {valid_before})")]
    Expired {
        /// The caller's clock, seconds since 1970.
        now: u64,
        /// As the certificate says.
        valid_before: u64,
    },
    /// The name is not among the principals; a certificate without principals is good for nobody.
    #[error("the certificate is not for `{0}`")]
    WrongPrincipal(String),
    /// A critical option that the caller does not enforce.
    #[error("the certificate demands `{0}`, which is not understood here")]
    UnknownCriticalOption(String),
    /// The builder was asked for something that should not exist.
    #[error("a certificate cannot be minted: {0}")]
    Misuse(&'static str),
    /// The cryptographic library failed.
    #[error("the cryptographic library failed")]
    Crypto,
}

impl From<KeyError> for CertificateError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Malformed(malformed) => Self::Malformed(malformed),
            other => Self::Key(other),
        }
    }
}

/// A peer's or file's bytes, safe to show: escaped, at most 64 bytes of them.
pub(crate) fn shown(bytes: &[u8]) -> String {
    const SHOWN: usize = 64;
    let mut text = bytes.get(..SHOWN).unwrap_or(bytes).escape_ascii().to_string();
    if bytes.len() > SHOWN {
        text.push('…');
    }
    text
}
