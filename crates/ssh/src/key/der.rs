//! The few DER structures that RSA keys come out of aws-lc in.
//!
//! Only bytes that aws-lc itself has written are read here, never a peer's.

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;

/// Modulus and public exponent of an `RSAPublicKey` (RFC 8017 A.1.1).
pub(super) fn rsa_public_key(der: &[u8]) -> Option<[&[u8]; 2]> {
    let mut outer = Der(der);
    let mut numbers = Der(outer.element(SEQUENCE)?);
    Some([numbers.element(INTEGER)?, numbers.element(INTEGER)?])
}

/// n, e, d, p, q, dP, dQ, qInv of an `RSAPrivateKey` (RFC 8017 A.1.2) in a `PrivateKeyInfo` (RFC 5208).
pub(super) fn rsa_private_numbers(pkcs8: &[u8]) -> Option<[&[u8]; 8]> {
    let mut outer = Der(pkcs8);
    let mut info = Der(outer.element(SEQUENCE)?);
    info.element(INTEGER)?;
    info.element(SEQUENCE)?;
    let mut key = Der(info.element(OCTET_STRING)?);
    let mut numbers = Der(key.element(SEQUENCE)?);
    numbers.element(INTEGER)?;
    let mut found = [&[][..]; 8];
    for number in &mut found {
        *number = numbers.element(INTEGER)?;
    }
    Some(found)
}

struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The contents of the next element, which must carry `tag` and a definite length.
    fn element(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (&found, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x83 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (bytes.iter().fold(0, |length, &byte| length << 8 | usize::from(byte)), rest)
            }
            _ => return None,
        };
        let (contents, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        (found == tag).then_some(contents)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_taken_in_order_and_never_beyond_the_end() {
        let der = [0x30, 0x81, 0x06, 0x02, 0x01, 0x11, 0x02, 0x01, 0x03];
        assert_eq!(rsa_public_key(&der), Some([&[0x11][..], &[0x03]]));
        for cut in 0..der.len() {
            assert_eq!(rsa_public_key(&der[..cut]), None, "cut at {cut}");
        }
        assert_eq!(rsa_public_key(&[0x30, 0x80, 0x02, 0x01, 0x01, 0, 0]), None, "indefinite length");
        assert_eq!(rsa_public_key(&[0x30, 0x84, 0, 0, 0, 0]), None, "a length of four bytes");
    }
}
