//! Private keys: generate, sign.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RsaKeyPair,
};

use super::algorithm::{Curve, KeyKind, SignatureAlgorithm};
use super::der;
use super::error::{KeyError, SignatureError};
use super::public::PublicKey;
use super::signature::signature_blob;
use crate::wire::Writer as _;

/// A private key and its public half. aws-lc keeps the secret and wipes it on drop; `Debug` shows the public half only.
pub struct PrivateKey {
    signer: Signer,
    public: PublicKey,
}

pub(super) enum Signer {
    Ed25519(Ed25519KeyPair),
    Ecdsa(Curve, EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl PrivateKey {
    /// Makes a new key. RSA takes up to seconds of CPU; call it where that hurts nobody.
    ///
    /// # Errors
    /// [`KeyError::Crypto`] when the system has no randomness to give.
    pub fn generate(kind: KeyKind) -> Result<Self, KeyError> {
        let signer = match kind {
            KeyKind::Ed25519 => Ed25519KeyPair::generate().map(Signer::Ed25519),
            KeyKind::EcdsaP256 => generate_ecdsa(Curve::P256),
            KeyKind::EcdsaP384 => generate_ecdsa(Curve::P384),
            KeyKind::EcdsaP521 => generate_ecdsa(Curve::P521),
            KeyKind::Rsa3072 => RsaKeyPair::generate(KeySize::Rsa3072).map(Signer::Rsa),
            KeyKind::Rsa4096 => RsaKeyPair::generate(KeySize::Rsa4096).map(Signer::Rsa),
        };
        Self::from_signer(signer.map_err(|_| KeyError::Crypto)?)
    }

    /// The public half.
    pub const fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Signs `data` and returns the signature blob: `string` algorithm, `string` signature.
    ///
    /// # Errors
    /// When the key does not sign with `algorithm`, or the library fails.
    pub fn sign(&self, algorithm: SignatureAlgorithm, data: &[u8]) -> Result<Vec<u8>, SignatureError> {
        if !self.public.signature_algorithms().contains(&algorithm) {
            return Err(SignatureError::WrongAlgorithm(algorithm.name().to_owned()));
        }
        let signature = self.signer.sign(algorithm, data).map_err(|_| SignatureError::Signing)?;
        Ok(signature_blob(algorithm, &signature))
    }

    pub(super) fn from_signer(signer: Signer) -> Result<Self, KeyError> {
        let public = signer.public_key()?;
        Ok(Self { signer, public })
    }

    pub(super) const fn signer(&self) -> &Signer {
        &self.signer
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({} {}, <secret>)", self.public.algorithm(), self.public.fingerprint())
    }
}

fn generate_ecdsa(curve: Curve) -> Result<Signer, aws_lc_rs::error::Unspecified> {
    EcdsaKeyPair::generate(curve.signing()).map(|pair| Signer::Ecdsa(curve, pair))
}

impl Signer {
    fn sign(
        &self,
        algorithm: SignatureAlgorithm,
        data: &[u8],
    ) -> Result<Vec<u8>, aws_lc_rs::error::Unspecified> {
        match self {
            Self::Ed25519(pair) => Ok(pair.try_sign(data)?.as_ref().to_vec()),
            Self::Ecdsa(curve, pair) => {
                let fixed = pair.sign(&SystemRandom::new(), data)?;
                let (r, s) = fixed.as_ref().split_at(curve.len());
                let mut signature = Vec::with_capacity(2 * (5 + curve.len()));
                signature.put_mpint(r);
                signature.put_mpint(s);
                Ok(signature)
            }
            Self::Rsa(pair) => {
                let padding = match algorithm {
                    SignatureAlgorithm::RsaSha512 => &RSA_PKCS1_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &SystemRandom::new(), data, &mut signature)?;
                Ok(signature)
            }
        }
    }

    fn public_key(&self) -> Result<PublicKey, KeyError> {
        let mut blob = Vec::new();
        match self {
            Self::Ed25519(pair) => {
                blob.put_string(b"ssh-ed25519");
                blob.put_string(pair.public_key().as_ref());
            }
            Self::Ecdsa(curve, pair) => {
                blob.put_string(curve.signature_algorithm().name().as_bytes());
                blob.put_string(curve.identifier().as_bytes());
                blob.put_string(pair.public_key().as_ref());
            }
            Self::Rsa(pair) => {
                let [n, e] = der::rsa_public_key(pair.public_key().as_ref()).ok_or(KeyError::Crypto)?;
                blob.put_string(b"ssh-rsa");
                blob.put_mpint(e);
                blob.put_mpint(n);
            }
        }
        PublicKey::from_blob(&blob)
    }
}
