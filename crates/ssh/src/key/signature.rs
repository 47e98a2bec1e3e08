//! Signature blobs: `string` algorithm, `string` signature, and what security keys add.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{ParsedPublicKey, RsaParameters, RsaPublicKeyComponents};

use super::algorithm::{Curve, SignatureAlgorithm};
use super::error::{SignatureError, shown};
use super::public::{Material, PublicKey};
use crate::wire::{Malformed, Reader, Writer as _};

/// What a verified signature says besides being good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Verified {
    /// Present exactly when a hardware (`sk-`) key signed.
    pub sk: Option<SkFlags>,
}

/// What a security key vouches for in each signature; the signature covers it.
///
/// Whether touch or PIN is demanded is the caller's policy: a signature without either is a valid one.
/// Source: OpenSSH PROTOCOL.u2f.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SkFlags {
    /// Somebody touched the key (flag 0x01).
    pub user_present: bool,
    /// Somebody gave their PIN or finger (flag 0x04).
    pub user_verified: bool,
    /// The key's signature counter; some keys always say 0.
    pub counter: u32,
}

impl PublicKey {
    /// Verifies `signature_blob` over `data`, made with `expected` and no other algorithm.
    ///
    /// # Errors
    /// When `expected` does not fit the key, the blob names another algorithm or is malformed, or the signature is false.
    pub fn verify(
        &self,
        expected: SignatureAlgorithm,
        data: &[u8],
        signature_blob: &[u8],
    ) -> Result<Verified, SignatureError> {
        let mut reader = Reader::new(signature_blob);
        let name = reader.string("signature algorithm")?;
        if name != expected.name().as_bytes() || !self.signature_algorithms().contains(&expected) {
            return Err(SignatureError::WrongAlgorithm(shown(name)));
        }
        let signature = reader.string("signature")?;
        let (good, sk) = match self.material() {
            Material::Ed25519 { key } => (verify_ed25519(key, data, signature), None),
            Material::Ecdsa { curve, key } => (verify_ecdsa(*curve, key, data, signature)?, None),
            Material::Rsa { components } => (verify_rsa(components, expected, data, signature), None),
            Material::SkEd25519 { key, application } => {
                let (flags, signed) = read_sk(&mut reader, application, data)?;
                (verify_ed25519(key, &signed, signature), Some(flags))
            }
            Material::SkEcdsa { key, application } => {
                let (flags, signed) = read_sk(&mut reader, application, data)?;
                (verify_ecdsa(Curve::P256, key, &signed, signature)?, Some(flags))
            }
        };
        reader.end("signature blob")?;
        if good { Ok(Verified { sk }) } else { Err(SignatureError::Invalid) }
    }
}

/// The algorithm that a signature blob names, unverified.
pub(super) fn named_algorithm(signature_blob: &[u8]) -> Result<SignatureAlgorithm, SignatureError> {
    let name = Reader::new(signature_blob).string("signature algorithm")?;
    std::str::from_utf8(name)
        .ok()
        .and_then(SignatureAlgorithm::from_name)
        .ok_or_else(|| SignatureError::WrongAlgorithm(shown(name)))
}

/// `string` algorithm, `string` signature.
pub(super) fn signature_blob(algorithm: SignatureAlgorithm, signature: &[u8]) -> Vec<u8> {
    let mut blob = Vec::with_capacity(8 + algorithm.name().len() + signature.len());
    blob.put_string(algorithm.name().as_bytes());
    blob.put_string(signature);
    blob
}

fn verify_ed25519(key: &ParsedPublicKey, data: &[u8], signature: &[u8]) -> bool {
    key.verify_sig(data, signature).is_ok()
}

/// The signature is two mpints (RFC 5656 §3.1.2); aws-lc-rs takes two numbers of fixed length.
fn verify_ecdsa(
    curve: Curve,
    key: &ParsedPublicKey,
    data: &[u8],
    signature: &[u8],
) -> Result<bool, Malformed> {
    let mut reader = Reader::new(signature);
    let r = reader.mpint("ECDSA signature r")?;
    let s = reader.mpint("ECDSA signature s")?;
    reader.end("ECDSA signature")?;
    let mut fixed = Vec::with_capacity(2 * curve.len());
    for number in [r, s] {
        let padding = curve.len().checked_sub(number.len()).ok_or(Malformed::new("ECDSA signature"))?;
        fixed.resize(fixed.len() + padding, 0);
        fixed.extend_from_slice(number);
    }
    Ok(key.verify_sig(data, &fixed).is_ok())
}

fn verify_rsa(
    components: &RsaPublicKeyComponents<Box<[u8]>>,
    algorithm: SignatureAlgorithm,
    data: &[u8],
    signature: &[u8],
) -> bool {
    let parameters: &RsaParameters = match algorithm {
        SignatureAlgorithm::RsaSha512 => &aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA512,
        _ => &aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256,
    };
    // Some clients drop leading zeros of the signature; OpenSSH pads them again, and so do we.
    let Some(missing) = components.n.len().checked_sub(signature.len()) else { return false };
    if missing == 0 {
        return components.verify(parameters, data, signature).is_ok();
    }
    let padded = [&vec![0; missing], signature].concat();
    components.verify(parameters, data, &padded).is_ok()
}

/// Reads flags and counter, and builds what the security key really signed.
fn read_sk(
    reader: &mut Reader<'_>,
    application: &[u8],
    data: &[u8],
) -> Result<(SkFlags, Vec<u8>), Malformed> {
    let flags = reader.u8("security key flags")?;
    let counter = reader.u32("security key counter")?;
    let mut signed = Vec::with_capacity(32 + 1 + 4 + 32);
    signed.put(digest::digest(&digest::SHA256, application).as_ref());
    signed.put_u8(flags);
    signed.put_u32(counter);
    signed.put(digest::digest(&digest::SHA256, data).as_ref());
    Ok((SkFlags { user_present: flags & 0x01 != 0, user_verified: flags & 0x04 != 0, counter }, signed))
}
