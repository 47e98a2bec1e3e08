//! OpenSSH certificates, user and host. Source: OpenSSH PROTOCOL.certkeys.
//!
//! A [`Certificate`] that exists carries a good signature by the CA it names. Whether that CA is to be trusted, and the
//! certificate is for this purpose, name and hour, is what [`Certificate::check`] says.

use std::fmt;

use super::algorithm::SignatureAlgorithm;
use super::error::{CertificateError, KeyError, SignatureError, shown};
use super::public::{PublicKey, blob_of, join_line, split_line};
use super::signature::named_algorithm;
use crate::wire::{Malformed, Reader};

/// The longest certificate we look at.
const MAX_BLOB: usize = 64 * 1024;
/// OpenSSH's `SSHKEY_CERT_MAX_PRINCIPALS`.
const MAX_PRINCIPALS: usize = 256;
/// OpenSSH knows five extensions and three critical options.
const MAX_OPTIONS: usize = 256;

/// What a certificate vouches for; the numbers are those of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CertificateKind {
    /// Type 1: the bearer may log in as the principals.
    User = 1,
    /// Type 2: the bearer is the host named by the principals.
    Host = 2,
}

impl fmt::Display for CertificateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User => "user",
            Self::Host => "host",
        })
    }
}

/// One critical option or extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateOption {
    /// E.g. `force-command`, `permit-pty`.
    pub name: String,
    /// The value, taken out of the `string` that wraps it on the wire; empty for options that are flags.
    pub value: Vec<u8>,
}

/// A parsed certificate with its exact bytes; its CA's signature was verified while parsing.
#[derive(Clone)]
pub struct Certificate {
    blob: Box<[u8]>,
    key: PublicKey,
    serial: u64,
    kind: CertificateKind,
    key_id: String,
    principals: Vec<String>,
    valid_after: u64,
    valid_before: u64,
    critical_options: Vec<CertificateOption>,
    extensions: Vec<CertificateOption>,
    authority: PublicKey,
    signature_algorithm: SignatureAlgorithm,
}

/// What a certificate is wanted for.
#[derive(Clone, Copy, Debug)]
pub struct CertificateCheck<'a> {
    /// User or host.
    pub kind: CertificateKind,
    /// The name that must be among the principals, compared byte by byte; `None` when the caller compares itself.
    pub principal: Option<&'a str>,
    /// Now, in seconds since 1970 UTC.
    pub now_unix: u64,
    /// The CAs trusted for this purpose.
    pub trusted: &'a [PublicKey],
    /// The critical options that the caller enforces after this check. Every other one refuses the certificate.
    pub known_critical_options: &'a [&'a str],
}

impl Certificate {
    /// Parses a certificate blob and verifies the CA's signature on it.
    ///
    /// # Errors
    /// When anything is malformed, the signature is false or made with SHA-1, or the CA's key is itself a certificate.
    pub fn from_blob(blob: &[u8]) -> Result<Self, CertificateError> {
        if blob.len() > MAX_BLOB {
            return Err(Malformed::new("certificate: too long").into());
        }
        let mut reader = Reader::new(blob);
        let key_type = key_type_of(reader.string("certificate type")?)?;
        let _nonce = reader.string("nonce")?;
        let key = read_key(key_type, &mut reader)?;
        let serial = reader.u64("serial")?;
        let kind = match reader.u32("type")? {
            1 => CertificateKind::User,
            2 => CertificateKind::Host,
            _ => return Err(Malformed::new("type").into()),
        };
        let key_id = text(reader.string("key id")?, "key id")?;
        let principals = read_principals(reader.string("valid principals")?)?;
        let valid_after = reader.u64("valid after")?;
        let valid_before = reader.u64("valid before")?;
        let critical_options = read_options(reader.string("critical options")?)?;
        let extensions = read_options(reader.string("extensions")?)?;
        let _reserved = reader.string("reserved")?;
        let authority = read_authority(reader.string("signature key")?)?;
        let signed = &blob[..blob.len() - reader.rest().len()];
        let signature = reader.string("signature")?;
        reader.end("certificate")?;
        let signature_algorithm = verify(&authority, signed, signature)?;
        Ok(Self {
            blob: blob.into(),
            key,
            serial,
            kind,
            key_id,
            principals,
            valid_after,
            valid_before,
            critical_options,
            extensions,
            authority,
            signature_algorithm,
        })
    }

    /// Parses a line as in `id_ed25519-cert.pub` and returns the comment too.
    ///
    /// # Errors
    /// When it is not such a line, or the certificate is bad.
    pub fn from_openssh(line: &str) -> Result<(Self, String), CertificateError> {
        let (name, blob, comment) = split_line(line)?;
        let certificate = Self::from_blob(&blob)?;
        if certificate.key.certificate_algorithm() != name {
            return Err(Malformed::new("certificate line: its type differs from its contents").into());
        }
        Ok((certificate, comment))
    }

    /// The line of an `id_…-cert.pub` file, without a newline.
    pub fn to_openssh(&self, comment: &str) -> String {
        join_line(self.algorithm_name(), &self.blob, comment)
    }

    /// Checks that the certificate is what is wanted, in this order: kind, CA, hour, name, critical options.
    ///
    /// # Errors
    /// The first thing that is not right.
    ///
    /// ```
    /// use bartizan_ssh::key::{CertificateBuilder, CertificateCheck, CertificateError, CertificateKind, KeyKind, PrivateKey};
    ///
    /// let ca = PrivateKey::generate(KeyKind::Ed25519)?;
    /// let alice = PrivateKey::generate(KeyKind::Ed25519)?;
    /// let certificate = CertificateBuilder::new(CertificateKind::User, alice.public_key())
    ///     .key_id("alice@laptop")
    ///     .principal("root")
    ///     .valid(1_000, 2_000)
    ///     .sign(&ca)?;
    /// let mut wanted = CertificateCheck {
    ///     kind: CertificateKind::User,
    ///     principal: Some("root"),
    ///     now_unix: 1_500,
    ///     trusted: &[ca.public_key().clone()],
    ///     known_critical_options: &[],
    /// };
    /// assert_eq!(certificate.check(&wanted), Ok(()));
    /// wanted.now_unix = 2_000;
    /// assert_eq!(certificate.check(&wanted), Err(CertificateError::Expired { now: 2_000, valid_before: 2_000 }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn check(&self, wanted: &CertificateCheck<'_>) -> Result<(), CertificateError> {
        if self.kind != wanted.kind {
            return Err(CertificateError::WrongKind { found: self.kind, wanted: wanted.kind });
        }
        if !wanted.trusted.contains(&self.authority) {
            return Err(CertificateError::UntrustedAuthority(self.authority.fingerprint()));
        }
        let now = wanted.now_unix;
        if now < self.valid_after {
            return Err(CertificateError::NotYetValid { now, valid_after: self.valid_after });
        }
        if now >= self.valid_before {
            return Err(CertificateError::Expired { now, valid_before: self.valid_before });
        }
        if let Some(principal) = wanted.principal
            && !self.principals.iter().any(|found| found == principal)
        {
            return Err(CertificateError::WrongPrincipal(shown(principal.as_bytes())));
        }
        let known =
            |option: &&CertificateOption| !wanted.known_critical_options.contains(&option.name.as_str());
        match self.critical_options.iter().find(known) {
            Some(option) => Err(CertificateError::UnknownCriticalOption(shown(option.name.as_bytes()))),
            None => Ok(()),
        }
    }

    /// The exact bytes of the certificate.
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// The certified key.
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The key of the CA that signed. Its signature is good; trusting it is another matter.
    pub const fn authority(&self) -> &PublicKey {
        &self.authority
    }

    /// The algorithm the CA signed with.
    pub const fn signature_algorithm(&self) -> SignatureAlgorithm {
        self.signature_algorithm
    }

    /// The type name within the blob, e.g. `ssh-ed25519-cert-v01@openssh.com`.
    pub fn algorithm_name(&self) -> &'static str {
        self.key.certificate_algorithm()
    }

    /// User or host.
    pub const fn kind(&self) -> CertificateKind {
        self.kind
    }

    /// The CA's number for this certificate; 0 where the CA does not number.
    pub const fn serial(&self) -> u64 {
        self.serial
    }

    /// The CA's text about this certificate. Escape it before showing it: it may hold control characters.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Logins (user certificate) or host names (host certificate).
    pub fn principals(&self) -> &[String] {
        &self.principals
    }

    /// First second of validity, seconds since 1970 UTC.
    pub const fn valid_after(&self) -> u64 {
        self.valid_after
    }

    /// First second after validity; `u64::MAX` means forever.
    pub const fn valid_before(&self) -> u64 {
        self.valid_before
    }

    /// Options that must be understood, or the certificate refused.
    pub fn critical_options(&self) -> &[CertificateOption] {
        &self.critical_options
    }

    /// Options that may be ignored, e.g. `permit-pty`.
    pub fn extensions(&self) -> &[CertificateOption] {
        &self.extensions
    }

    /// The value of one critical option, e.g. the text `10.0.0.0/8,::1` of `source-address`.
    pub fn critical_option(&self, name: &str) -> Option<&[u8]> {
        self.critical_options.iter().find(|option| option.name == name).map(|option| &*option.value)
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.blob == other.blob
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("kind", &self.kind)
            .field("serial", &self.serial)
            .field("key_id", &self.key_id)
            .field("principals", &self.principals)
            .field("key", &self.key)
            .field("authority", &self.authority)
            .finish_non_exhaustive()
    }
}

/// Certificate types and the plain key types they certify.
const TYPES: [(&str, &str); 7] = [
    ("ssh-ed25519-cert-v01@openssh.com", "ssh-ed25519"),
    ("ecdsa-sha2-nistp256-cert-v01@openssh.com", "ecdsa-sha2-nistp256"),
    ("ecdsa-sha2-nistp384-cert-v01@openssh.com", "ecdsa-sha2-nistp384"),
    ("ecdsa-sha2-nistp521-cert-v01@openssh.com", "ecdsa-sha2-nistp521"),
    ("ssh-rsa-cert-v01@openssh.com", "ssh-rsa"),
    ("sk-ssh-ed25519-cert-v01@openssh.com", "sk-ssh-ed25519@openssh.com"),
    ("sk-ecdsa-sha2-nistp256-cert-v01@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"),
];

/// True for every certificate type, also those we do not speak (`ssh-dss`, version 00).
pub(super) fn is_certificate_type(name: &[u8]) -> bool {
    name.windows(6).any(|part| part == b"-cert-")
}

fn key_type_of(certificate_type: &[u8]) -> Result<&'static str, KeyError> {
    let found = TYPES.iter().find(|(certificate, _)| certificate.as_bytes() == certificate_type);
    match found {
        Some((_, key)) => Ok(key),
        None if is_certificate_type(certificate_type) => {
            Err(KeyError::UnsupportedType(shown(certificate_type)))
        }
        None => Err(KeyError::KeyNotCertificate),
    }
}

/// Reads the certified key's fields and makes of them the plain key they would be on their own.
fn read_key(key_type: &str, reader: &mut Reader<'_>) -> Result<PublicKey, KeyError> {
    let start = reader.rest();
    super::public::Material::read(key_type.as_bytes(), reader)?;
    let fields = &start[..start.len() - reader.rest().len()];
    PublicKey::from_blob(&blob_of(key_type, fields))
}

fn read_authority(blob: &[u8]) -> Result<PublicKey, CertificateError> {
    match PublicKey::from_blob(blob) {
        Err(KeyError::CertificateNotKey) => Err(CertificateError::NestedAuthority),
        other => Ok(other?),
    }
}

fn verify(
    authority: &PublicKey,
    signed: &[u8],
    signature: &[u8],
) -> Result<SignatureAlgorithm, CertificateError> {
    let result = named_algorithm(signature).and_then(|algorithm| {
        let _touch_is_no_matter_here = authority.verify(algorithm, signed, signature)?;
        Ok(algorithm)
    });
    result.map_err(|error: SignatureError| CertificateError::Signature(Box::new(error)))
}

/// Text without NUL: what C programs would read differently than we do is refused.
fn text(bytes: &[u8], what: &'static str) -> Result<String, Malformed> {
    let text = std::str::from_utf8(bytes).map_err(|_| Malformed::new(what))?;
    if text.contains('\0') { Err(Malformed::new(what)) } else { Ok(text.to_owned()) }
}

fn read_principals(packed: &[u8]) -> Result<Vec<String>, Malformed> {
    let mut reader = Reader::new(packed);
    let mut principals = Vec::new();
    while !reader.is_empty() {
        if principals.len() == MAX_PRINCIPALS {
            return Err(Malformed::new("valid principals: too many"));
        }
        principals.push(text(reader.string("principal")?, "principal")?);
    }
    Ok(principals)
}

/// `string` name, `string` data, where data is empty or again a `string`.
fn read_options(packed: &[u8]) -> Result<Vec<CertificateOption>, CertificateError> {
    let mut reader = Reader::new(packed);
    let mut options: Vec<CertificateOption> = Vec::new();
    while !reader.is_empty() {
        if options.len() == MAX_OPTIONS {
            return Err(Malformed::new("certificate options: too many").into());
        }
        let name = text(reader.string("option name")?, "option name")?;
        let mut data = Reader::new(reader.string("option data")?);
        let value = if data.is_empty() { &[][..] } else { data.string("option data")? };
        data.end("option data")?;
        if options.iter().any(|option| option.name == name) {
            return Err(CertificateError::DuplicateOption);
        }
        options.push(CertificateOption { name, value: value.to_vec() });
    }
    Ok(options)
}
