//! Host keys: what a server presents, and what a client was shown.

use std::fmt;
use std::sync::Arc;

use super::algorithm::PublicKeyAlgorithm;
use super::certificate::{Certificate, CertificateKind};
use super::error::{CertificateError, KeyError, SignatureError, shown};
use super::private::PrivateKey;
use super::public::PublicKey;

/// A key that a server proves its identity with, and the certificate for it, if there is one.
#[derive(Clone)]
pub struct HostKey {
    private: Arc<PrivateKey>,
    certificate: Option<Certificate>,
}

impl HostKey {
    /// A host key that clients must know by itself.
    pub fn new(private: impl Into<Arc<PrivateKey>>) -> Self {
        Self { private: private.into(), certificate: None }
    }

    /// A host key with a host certificate; the plain key is offered too, after it.
    ///
    /// # Errors
    /// When the certificate is a user's, or for another key.
    pub fn with_certificate(
        private: impl Into<Arc<PrivateKey>>,
        certificate: Certificate,
    ) -> Result<Self, CertificateError> {
        let private = private.into();
        if certificate.kind() != CertificateKind::Host {
            let (found, wanted) = (certificate.kind(), CertificateKind::Host);
            return Err(CertificateError::WrongKind { found, wanted });
        }
        if certificate.key() != private.public_key() {
            return Err(KeyError::Mismatch.into());
        }
        Ok(Self { private, certificate: Some(certificate) })
    }

    /// The plain public key.
    pub fn public_key(&self) -> &PublicKey {
        self.private.public_key()
    }

    /// The certificate, if there is one.
    pub const fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_ref()
    }

    /// Names for `server_host_key_algorithms`, certificates first, the best first.
    pub fn algorithms(&self) -> Vec<&'static str> {
        let plain = self.public_key().signature_algorithms();
        let certified = self.certificate.iter().flat_map(|_| plain.iter().map(|a| a.certificate_name()));
        certified.chain(plain.iter().map(|a| a.name())).collect()
    }

    /// The bytes to show as `K_S` under a negotiated algorithm; `None` when this key does not offer it.
    pub fn blob_for(&self, algorithm: &str) -> Option<&[u8]> {
        if self.algorithm(algorithm)?.certificate {
            self.certificate.as_ref().map(Certificate::blob)
        } else {
            Some(self.public_key().blob())
        }
    }

    /// Signs the exchange hash under a negotiated algorithm; returns the signature blob.
    ///
    /// # Errors
    /// When this key does not offer the algorithm, or signing fails.
    pub fn sign(&self, algorithm: &str, exchange_hash: &[u8]) -> Result<Vec<u8>, SignatureError> {
        let found = self
            .algorithm(algorithm)
            .ok_or_else(|| SignatureError::WrongAlgorithm(shown(algorithm.as_bytes())))?;
        self.private.sign(found.signature, exchange_hash)
    }

    fn algorithm(&self, name: &str) -> Option<PublicKeyAlgorithm> {
        let algorithm = PublicKeyAlgorithm::from_name(name)?;
        let fits = self.public_key().signature_algorithms().contains(&algorithm.signature);
        (fits && (!algorithm.certificate || self.certificate.is_some())).then_some(algorithm)
    }
}

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostKey({:?}, certificate: {:?})", self.private, self.certificate)
    }
}

/// Who a server showed itself to be. Its signature is good; whether we know it is the caller's question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostIdentity {
    /// A plain key.
    Key(PublicKey),
    /// A host certificate, its CA's signature verified; kind `Host`.
    Certificate(Box<Certificate>),
}

impl HostIdentity {
    /// The plain key, or the key that is certified.
    pub fn key(&self) -> &PublicKey {
        match self {
            Self::Key(key) => key,
            Self::Certificate(certificate) => certificate.key(),
        }
    }

    /// The bytes shown as `K_S`.
    pub fn blob(&self) -> &[u8] {
        match self {
            Self::Key(key) => key.blob(),
            Self::Certificate(certificate) => certificate.blob(),
        }
    }
}

/// Verifies a server's signature on the exchange hash (RFC 4253 §8) under the negotiated host key algorithm.
///
/// # Errors
/// When the algorithm is unknown, the blob is not of its type, a certificate is no host's, or a signature is false.
pub fn verify_host_signature(
    algorithm: &str,
    blob: &[u8],
    exchange_hash: &[u8],
    signature: &[u8],
) -> Result<HostIdentity, SignatureError> {
    let negotiated = PublicKeyAlgorithm::from_name(algorithm)
        .ok_or_else(|| SignatureError::WrongAlgorithm(shown(algorithm.as_bytes())))?;
    let identity = if negotiated.certificate {
        let certificate = Certificate::from_blob(blob)?;
        if certificate.kind() != CertificateKind::Host {
            let (found, wanted) = (certificate.kind(), CertificateKind::Host);
            return Err(CertificateError::WrongKind { found, wanted }.into());
        }
        HostIdentity::Certificate(Box::new(certificate))
    } else {
        HostIdentity::Key(PublicKey::from_blob(blob)?)
    };
    // No touch is asked of hosts; only the signature counts.
    let _ = identity.key().verify(negotiated.signature, exchange_hash, signature)?;
    Ok(identity)
}
