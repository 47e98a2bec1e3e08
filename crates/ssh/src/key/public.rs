//! Public keys: wire blobs, `authorized_keys` lines, fingerprints, verification.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::digest;
use aws_lc_rs::signature::{ED25519, ParsedPublicKey, RsaPublicKeyComponents};
use base64ct::{Base64, Base64Unpadded, Encoding as _};

use super::algorithm::{Curve, SignatureAlgorithm};
use super::error::{KeyError, shown};
use crate::wire::{Malformed, Reader, Writer as _};

/// RSA moduli outside of these bounds are refused: below is breakable, above is a waste of our time.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The longest line of base64 text we look at: certificates with 256 long principals stay below it.
const MAX_LINE: usize = 128 * 1024;

/// The longest `application` of a security key; OpenSSH's own is `ssh:` and a label.
const MAX_APPLICATION: usize = 1024;

/// A public key that parsed: its numbers are in range and its point is on its curve.
///
/// Keeps the exact bytes it was parsed from; two keys are equal when these are. Clones share memory.
#[derive(Clone)]
pub struct PublicKey(Arc<Inner>);

struct Inner {
    blob: Box<[u8]>,
    material: Material,
}

/// The numbers of a key. Plain public data.
pub(super) enum Material {
    Ed25519 { key: ParsedPublicKey },
    Ecdsa { curve: Curve, key: ParsedPublicKey },
    Rsa { components: RsaPublicKeyComponents<Box<[u8]>> },
    SkEd25519 { key: ParsedPublicKey, application: Box<[u8]> },
    SkEcdsa { key: ParsedPublicKey, application: Box<[u8]> },
}

impl PublicKey {
    /// Parses the *public key blob* of RFC 4253 §6.6.
    ///
    /// # Errors
    /// When the type is unknown or a certificate's, the numbers are out of range, or bytes follow.
    pub fn from_blob(blob: &[u8]) -> Result<Self, KeyError> {
        let mut reader = Reader::new(blob);
        let name = reader.string("public key type")?;
        let material = Material::read(name, &mut reader)?;
        reader.end("public key")?;
        Ok(Self(Arc::new(Inner { blob: blob.into(), material })))
    }

    /// Parses a line as in `id_ed25519.pub`: type, base64, and a comment that is returned (empty if none).
    ///
    /// # Errors
    /// When it is not such a line. Options, as `authorized_keys` allows them before the type, are not understood here.
    pub fn from_openssh(line: &str) -> Result<(Self, String), KeyError> {
        let (name, blob, comment) = split_line(line)?;
        let key = Self::from_blob(&blob)?;
        if key.algorithm() != name {
            return Err(Malformed::new("public key line: its type differs from its contents").into());
        }
        Ok((key, comment))
    }

    /// The line of an `id_….pub` or `authorized_keys` file, without a newline. Control characters in the comment become spaces.
    pub fn to_openssh(&self, comment: &str) -> String {
        join_line(self.algorithm(), self.blob(), comment)
    }

    /// The exact bytes that this key was parsed from.
    pub fn blob(&self) -> &[u8] {
        &self.0.blob
    }

    /// The key's type name, e.g. `ssh-ed25519`; for RSA that is `ssh-rsa`, whatever it signs with.
    pub fn algorithm(&self) -> &'static str {
        match &self.0.material {
            Material::Rsa { .. } => "ssh-rsa",
            _ => self.signature_algorithms()[0].name(),
        }
    }

    /// The type name of a certificate for this key, e.g. `ssh-rsa-cert-v01@openssh.com`.
    pub fn certificate_algorithm(&self) -> &'static str {
        match &self.0.material {
            Material::Rsa { .. } => "ssh-rsa-cert-v01@openssh.com",
            _ => self.signature_algorithms()[0].certificate_name(),
        }
    }

    /// The algorithms this key may sign with, the best first. Never `ssh-rsa`.
    pub fn signature_algorithms(&self) -> &'static [SignatureAlgorithm] {
        match &self.0.material {
            Material::Ed25519 { .. } => &[SignatureAlgorithm::Ed25519],
            Material::Ecdsa { curve: Curve::P256, .. } => &[SignatureAlgorithm::EcdsaP256],
            Material::Ecdsa { curve: Curve::P384, .. } => &[SignatureAlgorithm::EcdsaP384],
            Material::Ecdsa { curve: Curve::P521, .. } => &[SignatureAlgorithm::EcdsaP521],
            Material::Rsa { .. } => &[SignatureAlgorithm::RsaSha512, SignatureAlgorithm::RsaSha256],
            Material::SkEd25519 { .. } => &[SignatureAlgorithm::SkEd25519],
            Material::SkEcdsa { .. } => &[SignatureAlgorithm::SkEcdsaP256],
        }
    }

    /// The `application` of a hardware (`sk-`) key, `ssh:` by default; `None` for other keys.
    pub fn application(&self) -> Option<&[u8]> {
        match &self.0.material {
            Material::SkEd25519 { application, .. } | Material::SkEcdsa { application, .. } => {
                Some(application)
            }
            _ => None,
        }
    }

    /// SHA-256 of the blob, as `ssh-keygen -l` prints it.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_blob(self.blob())
    }

    pub(super) fn material(&self) -> &Material {
        &self.0.material
    }

    /// The key's fields as they stand in a certificate: the blob without its type.
    pub(crate) fn fields(&self) -> &[u8] {
        let mut reader = Reader::new(self.blob());
        let _type_name = reader.string("public key type");
        reader.rest()
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.blob == other.0.blob
    }
}

impl Eq for PublicKey {}

impl Hash for PublicKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.blob.hash(state);
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} {})", self.algorithm(), self.fingerprint())
    }
}

impl Material {
    /// Reads the fields that follow the type `name`, of a key or of a certificate for one.
    pub(super) fn read(name: &[u8], reader: &mut Reader<'_>) -> Result<Self, KeyError> {
        match name {
            b"ssh-ed25519" => Ok(Self::Ed25519 { key: read_ed25519(reader)? }),
            b"ecdsa-sha2-nistp256" => Self::read_ecdsa(Curve::P256, reader),
            b"ecdsa-sha2-nistp384" => Self::read_ecdsa(Curve::P384, reader),
            b"ecdsa-sha2-nistp521" => Self::read_ecdsa(Curve::P521, reader),
            b"ssh-rsa" => Self::read_rsa(reader),
            b"sk-ssh-ed25519@openssh.com" => {
                Ok(Self::SkEd25519 { key: read_ed25519(reader)?, application: read_application(reader)? })
            }
            b"sk-ecdsa-sha2-nistp256@openssh.com" => Ok(Self::SkEcdsa {
                key: read_point(Curve::P256, reader)?,
                application: read_application(reader)?,
            }),
            other if super::certificate::is_certificate_type(other) => Err(KeyError::CertificateNotKey),
            other => Err(KeyError::UnsupportedType(shown(other))),
        }
    }

    fn read_ecdsa(curve: Curve, reader: &mut Reader<'_>) -> Result<Self, KeyError> {
        Ok(Self::Ecdsa { curve, key: read_point(curve, reader)? })
    }

    fn read_rsa(reader: &mut Reader<'_>) -> Result<Self, KeyError> {
        let e = reader.mpint("RSA public exponent")?;
        let n = reader.mpint("RSA modulus")?;
        let bits = bit_length(n);
        // aws-lc works with exponents of at most 33 bits; real ones are 65537, old ones 3, 35 or 37.
        let exponent_is_sane = bit_length(e) <= 33 && e.last().is_some_and(|b| b & 1 == 1) && e != [1];
        if !RSA_BITS.contains(&bits) || !exponent_is_sane {
            return Err(KeyError::RsaSize { bits });
        }
        Ok(Self::Rsa { components: RsaPublicKeyComponents { n: n.into(), e: e.into() } })
    }
}

fn read_ed25519(reader: &mut Reader<'_>) -> Result<ParsedPublicKey, KeyError> {
    let bytes = reader.string("Ed25519 public key")?;
    if bytes.len() != 32 {
        return Err(Malformed::new("Ed25519 public key").into());
    }
    ParsedPublicKey::new(&ED25519, bytes).map_err(|_| KeyError::Invalid("Ed25519"))
}

/// An uncompressed point, as RFC 5656 §3.1 demands of us to support; OpenSSH refuses the compressed form too.
fn read_point(curve: Curve, reader: &mut Reader<'_>) -> Result<ParsedPublicKey, KeyError> {
    if reader.string("ECDSA curve")? != curve.identifier().as_bytes() {
        return Err(Malformed::new("ECDSA curve").into());
    }
    let point = reader.string("ECDSA public key")?;
    if point.len() != 1 + 2 * curve.len() || point[0] != 4 {
        return Err(Malformed::new("ECDSA public key").into());
    }
    ParsedPublicKey::new(curve.verifying(), point).map_err(|_| KeyError::Invalid("ECDSA"))
}

fn read_application(reader: &mut Reader<'_>) -> Result<Box<[u8]>, KeyError> {
    let application = reader.string("security key application")?;
    if application.len() > MAX_APPLICATION {
        return Err(Malformed::new("security key application").into());
    }
    Ok(application.into())
}

/// Bits of a big-endian magnitude without leading zero bytes.
pub(super) fn bit_length(magnitude: &[u8]) -> usize {
    magnitude.first().map_or(0, |first| magnitude.len() * 8 - first.leading_zeros() as usize)
}

/// Splits a public key line into type, blob and comment.
pub(super) fn split_line(line: &str) -> Result<(&str, Vec<u8>, String), KeyError> {
    const WHAT: Malformed = Malformed::new("public key line");
    let line = line.trim();
    if line.len() > MAX_LINE || line.contains(['\n', '\r']) {
        return Err(WHAT.into());
    }
    let (name, rest) = line.split_once([' ', '\t']).ok_or(WHAT)?;
    let rest = rest.trim_start();
    let (base64, comment) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
    let blob = Base64::decode_vec(base64).map_err(|_| WHAT)?;
    Ok((name, blob, comment.trim().to_owned()))
}

pub(super) fn join_line(name: &str, blob: &[u8], comment: &str) -> String {
    let comment = comment.replace(char::is_control, " ");
    format!("{name} {} {comment}", Base64::encode_string(blob)).trim_end().to_owned()
}

/// Writes a plain key's blob from its type and its fields.
pub(super) fn blob_of(name: &str, fields: &[u8]) -> Vec<u8> {
    let mut blob = Vec::with_capacity(4 + name.len() + fields.len());
    blob.put_string(name.as_bytes());
    blob.put(fields);
    blob
}

/// SHA-256 of a public key blob; displays as `SHA256:` and unpadded base64, like OpenSSH.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of these bytes, which should be a public key blob.
    pub fn of_blob(blob: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, blob).as_ref());
        Self(bytes)
    }

    /// The digest itself.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SHA256:{}", Base64Unpadded::encode_string(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        const WHAT: Malformed = Malformed::new("fingerprint");
        let base64 = text.strip_prefix("SHA256:").ok_or(WHAT)?;
        let mut bytes = [0; 32];
        let decoded = Base64Unpadded::decode(base64, &mut bytes).map_err(|_| WHAT)?;
        if decoded.len() != 32 {
            return Err(WHAT);
        }
        Ok(Self(bytes))
    }
}
