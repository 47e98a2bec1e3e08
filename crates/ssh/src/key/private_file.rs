//! Private keys in files: `openssh-key-v1` (read and written), PKCS#8, PKCS#1 and SEC1 PEM (read).
//!
//! Files with a passphrase are refused: what this crate is built for starts unattended.
//! Source: OpenSSH PROTOCOL.key, RFC 7468.

use aws_lc_rs::encoding::{AsBigEndian as _, AsDer as _, EcPrivateKeyBin, Pkcs8V1Der};
use aws_lc_rs::rand;
use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use base64ct::{Base64, Encoding as _};
use zeroize::Zeroizing;

use super::algorithm::Curve;
use super::der;
use super::error::{KeyError, shown};
use super::private::{PrivateKey, Signer};
use super::public::PublicKey;
use super::rsa_file::read_rsa;
use crate::wire::{Malformed, Reader, Writer as _};

/// RSA-8192 takes some 9 KiB.
const MAX_FILE: usize = 64 * 1024;

const MAGIC: &[u8] = b"openssh-key-v1\0";
const LABEL: &str = "OPENSSH PRIVATE KEY";
/// As ssh-keygen folds the base64 text.
const LINE: usize = 70;
/// The cipher `none` has blocks of eight bytes.
const BLOCK: usize = 8;

impl PrivateKey {
    /// Reads a private key file: OpenSSH's own format, or PEM with PKCS#8, PKCS#1 or SEC1 inside.
    ///
    /// # Errors
    /// Says what to do about passphrases, hardware keys and unknown formats.
    pub fn from_openssh(text: &str) -> Result<Self, KeyError> {
        let (label, contents) = unarmor(text)?;
        match label {
            LABEL => read_openssh(&contents),
            "PRIVATE KEY" => Self::from_pkcs8(&contents),
            "RSA PRIVATE KEY" => {
                let pair = RsaKeyPair::from_der(&contents).map_err(|_| KeyError::Invalid("RSA"))?;
                Self::from_signer(Signer::Rsa(pair))
            }
            "EC PRIVATE KEY" => {
                Self::from_signer(read_ecdsa_der(&contents).ok_or(KeyError::Invalid("ECDSA"))?)
            }
            "ENCRYPTED PRIVATE KEY" => Err(KeyError::Passphrase),
            _ => Err(KeyError::UnknownFormat),
        }
    }

    /// Reads an unencrypted PKCS#8 `PrivateKeyInfo` in DER: Ed25519, RSA, or ECDSA over the three NIST curves.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn from_pkcs8(contents: &[u8]) -> Result<Self, KeyError> {
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8(contents) {
            return Self::from_signer(Signer::Ed25519(pair));
        }
        if let Ok(pair) = RsaKeyPair::from_pkcs8(contents) {
            return Self::from_signer(Signer::Rsa(pair));
        }
        Self::from_signer(read_ecdsa_der(contents).ok_or(KeyError::UnknownFormat)?)
    }

    /// The key as a file in OpenSSH's format, without a passphrase. Keep it where only the owner reads.
    ///
    /// # Errors
    /// [`KeyError::Crypto`] when the library does not give the numbers out.
    pub fn to_openssh(&self, comment: &str) -> Result<Zeroizing<String>, KeyError> {
        let mut check = [0; 4];
        rand::fill(&mut check).map_err(|_| KeyError::Crypto)?;
        let mut private = Zeroizing::new(Vec::with_capacity(MAX_FILE / 4));
        private.put(&check);
        private.put(&check);
        private.put_string(self.public_key().algorithm().as_bytes());
        put_numbers(self, &mut private)?;
        private.put_string(comment.as_bytes());
        let padding = private.len().next_multiple_of(BLOCK) - private.len();
        private.extend((1..=BLOCK as u8).take(padding));

        let mut file = Zeroizing::new(Vec::with_capacity(MAX_FILE / 4));
        file.put(MAGIC);
        file.put_string(b"none");
        file.put_string(b"none");
        file.put_string(b"");
        file.put_u32(1);
        file.put_string(self.public_key().blob());
        file.put_string(&private);
        Ok(armor(&file))
    }
}

fn read_ecdsa_der(contents: &[u8]) -> Option<Signer> {
    Curve::ALL.into_iter().find_map(|curve| {
        let pair = EcdsaKeyPair::from_private_key_der(curve.signing(), contents).ok()?;
        Some(Signer::Ecdsa(curve, pair))
    })
}

fn read_openssh(contents: &[u8]) -> Result<PrivateKey, KeyError> {
    let mut reader = Reader::new(contents);
    if reader.take(MAGIC.len(), "private key file")? != MAGIC {
        return Err(KeyError::UnknownFormat);
    }
    let cipher = reader.string("cipher of the private key file")?;
    let _kdf = reader.string("KDF of the private key file")?;
    let _kdf_options = reader.string("KDF options of the private key file")?;
    if cipher != b"none" {
        return Err(KeyError::Passphrase);
    }
    if reader.u32("number of keys in the file")? != 1 {
        return Err(Malformed::new("private key file: it must hold exactly one key").into());
    }
    let public = reader.string("public key in the private key file")?;
    let private = reader.string("private part of the private key file")?;
    reader.end("private key file")?;
    let key = read_private_part(private)?;
    if key.public_key() != &PublicKey::from_blob(public)? {
        return Err(KeyError::Mismatch);
    }
    Ok(key)
}

fn read_private_part(private: &[u8]) -> Result<PrivateKey, KeyError> {
    let mut reader = Reader::new(private);
    let check = reader.u32("check number")?;
    if check != reader.u32("check number")? {
        return Err(Malformed::new("check numbers of the private key file").into());
    }
    let signer = match reader.string("private key type")? {
        b"ssh-ed25519" => read_ed25519(&mut reader)?,
        b"ecdsa-sha2-nistp256" => read_ecdsa(Curve::P256, &mut reader)?,
        b"ecdsa-sha2-nistp384" => read_ecdsa(Curve::P384, &mut reader)?,
        b"ecdsa-sha2-nistp521" => read_ecdsa(Curve::P521, &mut reader)?,
        b"ssh-rsa" => read_rsa(&mut reader)?,
        name if name.starts_with(b"sk-") => return Err(KeyError::HardwareKey),
        name => return Err(KeyError::UnsupportedType(shown(name))),
    };
    let _comment = reader.string("comment of the private key")?;
    let padded = reader.rest().iter().zip(1u8..).all(|(&byte, expected)| byte == expected);
    if !padded || reader.rest().len() >= BLOCK {
        return Err(Malformed::new("padding of the private key file").into());
    }
    PrivateKey::from_signer(signer)
}

fn read_ed25519(reader: &mut Reader<'_>) -> Result<Signer, KeyError> {
    let public = reader.string("Ed25519 public key")?;
    let both = reader.string("Ed25519 private key")?;
    let (seed, repeated) = both.split_at_checked(32).ok_or(Malformed::new("Ed25519 private key"))?;
    if repeated != public {
        return Err(KeyError::Mismatch);
    }
    let pair = Ed25519KeyPair::from_seed_and_public_key(seed, public).map_err(|_| KeyError::Mismatch)?;
    Ok(Signer::Ed25519(pair))
}

fn read_ecdsa(curve: Curve, reader: &mut Reader<'_>) -> Result<Signer, KeyError> {
    if reader.string("ECDSA curve")? != curve.identifier().as_bytes() {
        return Err(Malformed::new("ECDSA curve").into());
    }
    let point = reader.string("ECDSA public key")?;
    let scalar = reader.mpint("ECDSA private key")?;
    // An mpint has no leading zeros; half of all P-521 scalars start with some.
    let missing = curve.len().checked_sub(scalar.len()).ok_or(Malformed::new("ECDSA private key"))?;
    let mut fixed = Zeroizing::new(vec![0; curve.len()]);
    fixed[missing..].copy_from_slice(scalar);
    let pair = EcdsaKeyPair::from_private_key_and_public_key(curve.signing(), &fixed, point)
        .map_err(|_| KeyError::Mismatch)?;
    Ok(Signer::Ecdsa(curve, pair))
}

/// Writes the fields that follow the type in the private part.
fn put_numbers(key: &PrivateKey, out: &mut Vec<u8>) -> Result<(), KeyError> {
    match key.signer() {
        Signer::Ed25519(pair) => {
            let seed = pair.seed().and_then(|seed| seed.as_be_bytes()).map_err(|_| KeyError::Crypto)?;
            let public = key.public_key().fields();
            out.put(public);
            let public = Reader::new(public).string("Ed25519 public key")?;
            out.put_u32(64);
            out.put(seed.as_ref());
            out.put(public);
        }
        Signer::Ecdsa(_, pair) => {
            let scalar: EcPrivateKeyBin<'_> =
                pair.private_key().as_be_bytes().map_err(|_| KeyError::Crypto)?;
            out.put(key.public_key().fields());
            out.put_mpint(scalar.as_ref());
        }
        Signer::Rsa(pair) => {
            let pkcs8: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| KeyError::Crypto)?;
            let [n, e, d, p, q, _, _, q_inverse] =
                der::rsa_private_numbers(pkcs8.as_ref()).ok_or(KeyError::Crypto)?;
            for number in [n, e, d, q_inverse, p, q] {
                out.put_mpint(number);
            }
        }
    }
    Ok(())
}

/// Takes the label and the decoded contents of the first PEM block.
fn unarmor(text: &str) -> Result<(&str, Zeroizing<Vec<u8>>), KeyError> {
    if text.len() > MAX_FILE {
        return Err(KeyError::UnknownFormat);
    }
    let mut lines = text.lines().map(str::trim);
    let label = lines
        .find_map(|line| line.strip_prefix("-----BEGIN ")?.strip_suffix("-----"))
        .ok_or(KeyError::UnknownFormat)?;
    let mut base64 = Zeroizing::new(String::with_capacity(text.len()));
    let mut ended = false;
    for line in lines {
        if line.starts_with("Proc-Type:") && line.contains("ENCRYPTED") {
            return Err(KeyError::Passphrase);
        }
        if let Some(end) = line.strip_prefix("-----END ") {
            ended = end.strip_suffix("-----") == Some(label);
            break;
        }
        base64.push_str(line);
    }
    if !ended {
        return Err(KeyError::UnknownFormat);
    }
    let contents = Base64::decode_vec(&base64).map_err(|_| KeyError::UnknownFormat)?;
    Ok((label, Zeroizing::new(contents)))
}

fn armor(contents: &[u8]) -> Zeroizing<String> {
    let base64 = Zeroizing::new(Base64::encode_string(contents));
    let mut text = Zeroizing::new(String::with_capacity(base64.len() * 2 + 128));
    text.push_str("-----BEGIN OPENSSH PRIVATE KEY-----\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at_checked(LINE).unwrap_or((rest, ""));
        text.push_str(line);
        text.push('\n');
        rest = tail;
    }
    text.push_str("-----END OPENSSH PRIVATE KEY-----\n");
    text
}
