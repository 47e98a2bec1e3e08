//! RSA keys in OpenSSH's file format.
//!
//! The format leaves out the CRT exponents dP = d mod (p-1) and dQ = d mod (q-1), which aws-lc wants to have. They are computed
//! here in constant time by crypto-bigint, and aws-lc recomputes and compares them before it takes the key; that one reduction
//! is all the arithmetic on secrets in this crate.

use aws_lc_rs::rsa::{KeyPairComponents, PublicKeyComponents};
use aws_lc_rs::signature::RsaKeyPair;
use crypto_bigint::zeroize::Zeroizing;
use crypto_bigint::{BoxedUint, NonZero};

use super::error::KeyError;
use super::private::Signer;
use super::public::bit_length;
use crate::wire::Reader;

const INVALID: KeyError = KeyError::Invalid("RSA");

/// Reads the fields after the type `ssh-rsa` of the private part: n, e, d, iqmp, p, q.
pub(super) fn read_rsa(reader: &mut Reader<'_>) -> Result<Signer, KeyError> {
    let n = reader.mpint("RSA modulus")?;
    let e = reader.mpint("RSA public exponent")?;
    let d = reader.mpint("RSA private exponent")?;
    let q_inverse = reader.mpint("RSA coefficient")?;
    let p = reader.mpint("RSA prime p")?;
    let q = reader.mpint("RSA prime q")?;
    let bits = bit_length(n);
    if !(2048..=8192).contains(&bits) {
        return Err(KeyError::RsaSize { bits });
    }
    if [d, p, q, q_inverse].iter().any(|number| number.is_empty() || number.len() > n.len()) {
        return Err(INVALID);
    }
    let (d_mod_p, d_mod_q) = (crt_exponent(d, p)?, crt_exponent(d, q)?);
    let components = KeyPairComponents {
        public_key: PublicKeyComponents { n, e },
        d,
        p,
        q,
        dP: &d_mod_p[..],
        dQ: &d_mod_q[..],
        qInv: q_inverse,
    };
    Ok(Signer::Rsa(RsaKeyPair::from_components(&components).map_err(|_| INVALID)?))
}

/// `d mod (prime - 1)`, big-endian. The lengths of the numbers are not secret.
fn crt_exponent(d: &[u8], prime: &[u8]) -> Result<Zeroizing<Box<[u8]>>, KeyError> {
    let d = number(d)?;
    let prime = number(prime)?;
    let less_one = Zeroizing::new(prime.wrapping_sub(BoxedUint::one()));
    let modulus: NonZero<BoxedUint> = Option::from(NonZero::new((*less_one).clone())).ok_or(INVALID)?;
    let modulus = Zeroizing::new(modulus);
    let exponent = Zeroizing::new(d.rem(&*modulus));
    Ok(Zeroizing::new(exponent.to_be_bytes()))
}

fn number(bytes: &[u8]) -> Result<Zeroizing<BoxedUint>, KeyError> {
    let bits = u32::try_from(bytes.len() * 8).map_err(|_| INVALID)?;
    BoxedUint::from_be_slice(bytes, bits).map(Zeroizing::new).map_err(|_| INVALID)
}
