//! Minting certificates.

use aws_lc_rs::rand;

use super::certificate::{Certificate, CertificateKind, CertificateOption};
use super::error::CertificateError;
use super::private::PrivateKey;
use super::public::PublicKey;
use crate::wire::Writer as _;

/// Describes a certificate to be minted. A window of validity and at least one principal must be given: certificates for
/// everybody or for ever exist only where the caller says so in full.
///
/// ```
/// use bartizan_ssh::key::{CertificateBuilder, CertificateKind, KeyKind, PrivateKey};
///
/// let ca = PrivateKey::generate(KeyKind::Ed25519)?;
/// let host = PrivateKey::generate(KeyKind::Ed25519)?;
/// let certificate = CertificateBuilder::new(CertificateKind::Host, host.public_key())
///     .key_id("web-1, minted for a ProxyJump")
///     .principal("web-1")
///     .valid(1_700_000_000, 1_700_003_600)
///     .sign(&ca)?;
/// assert_eq!(certificate.principals(), ["web-1"]);
/// assert_eq!(certificate.authority(), ca.public_key());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct CertificateBuilder {
    kind: CertificateKind,
    key: PublicKey,
    serial: Option<u64>,
    key_id: String,
    principals: Vec<String>,
    validity: Option<(u64, u64)>,
    critical_options: Vec<CertificateOption>,
    extensions: Vec<CertificateOption>,
}

impl CertificateBuilder {
    /// Starts a certificate of this kind for this key.
    pub fn new(kind: CertificateKind, key: &PublicKey) -> Self {
        Self {
            kind,
            key: key.clone(),
            serial: None,
            key_id: String::new(),
            principals: Vec::new(),
            validity: None,
            critical_options: Vec::new(),
            extensions: Vec::new(),
        }
    }

    /// Sets the serial; without it a random one is taken.
    pub const fn serial(mut self, serial: u64) -> Self {
        self.serial = Some(serial);
        self
    }

    /// Sets the text that servers log when the certificate is used.
    pub fn key_id(mut self, key_id: impl Into<String>) -> Self {
        self.key_id = key_id.into();
        self
    }

    /// Adds a login (user certificate) or host name (host certificate; clients compare it in lower case).
    pub fn principal(mut self, principal: impl Into<String>) -> Self {
        self.principals.push(principal.into());
        self
    }

    /// Sets the window of validity, `after` inclusive, `before` exclusive, in seconds since 1970 UTC.
    pub const fn valid(mut self, after: u64, before: u64) -> Self {
        self.validity = Some((after, before));
        self
    }

    /// Adds an option that whoever accepts the certificate must enforce, e.g. `source-address`.
    pub fn critical_option(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.critical_options.push(CertificateOption { name: name.into(), value: value.into() });
        self
    }

    /// Adds an extension, e.g. `permit-pty` with an empty value.
    pub fn extension(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.extensions.push(CertificateOption { name: name.into(), value: value.into() });
        self
    }

    /// Signs the certificate. The nonce is 32 random bytes.
    ///
    /// # Errors
    /// [`CertificateError::Misuse`] when it names nobody or is never valid; otherwise as [`Certificate::from_blob`], which
    /// reads the result back.
    pub fn sign(self, authority: &PrivateKey) -> Result<Certificate, CertificateError> {
        let Some((valid_after, valid_before)) = self.validity else {
            return Err(CertificateError::Misuse("its window of validity was not given"));
        };
        if valid_after >= valid_before {
            return Err(CertificateError::Misuse("its window of validity is empty"));
        }
        if self.principals.is_empty() {
            return Err(CertificateError::Misuse("it names no principal"));
        }
        let mut random = [0; 40];
        rand::fill(&mut random).map_err(|_| CertificateError::Crypto)?;
        let (nonce, serial) = random.split_at(32);
        let serial = serial.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte));

        let mut blob = Vec::with_capacity(1024);
        blob.put_string(self.key.certificate_algorithm().as_bytes());
        blob.put_string(nonce);
        blob.put(self.key.fields());
        blob.put_u64(self.serial.unwrap_or(serial));
        blob.put_u32(self.kind as u32);
        blob.put_string(self.key_id.as_bytes());
        blob.put_string(&packed_principals(&self.principals));
        blob.put_u64(valid_after);
        blob.put_u64(valid_before);
        blob.put_string(&packed_options(self.critical_options));
        blob.put_string(&packed_options(self.extensions));
        blob.put_string(b"");
        blob.put_string(authority.public_key().blob());
        let algorithm = authority.public_key().signature_algorithms()[0];
        let signature =
            authority.sign(algorithm, &blob).map_err(|error| CertificateError::Signature(Box::new(error)))?;
        blob.put_string(&signature);
        Certificate::from_blob(&blob)
    }
}

fn packed_principals(principals: &[String]) -> Vec<u8> {
    let mut packed = Vec::new();
    for principal in principals {
        packed.put_string(principal.as_bytes());
    }
    packed
}

/// Options must stand in the order of their names (PROTOCOL.certkeys).
fn packed_options(mut options: Vec<CertificateOption>) -> Vec<u8> {
    options.sort_by(|a, b| a.name.cmp(&b.name));
    let mut packed = Vec::new();
    for option in &options {
        packed.put_string(option.name.as_bytes());
        if option.value.is_empty() {
            packed.put_string(b"");
        } else {
            packed.put_u32(4 + option.value.len() as u32);
            packed.put_string(&option.value);
        }
    }
    packed
}
