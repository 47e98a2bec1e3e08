//! Authenticated encryption of what the vault holds: AES-256-GCM with random nonces (aws-lc).
//!
//! A random nonce of 96 bits allows four thousand million secrets under one data key; there are a few thousand.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{digest, rand};
use bartizan_model::{CredentialKind, LoginName, TargetName};
use zeroize::Zeroizing;

use crate::StoreError;

/// Length of master and data keys in bytes.
pub(super) const KEY_BYTES: usize = 32;
/// Plaintexts are padded to a multiple of so many bytes, so that the length of a password does not show.
const BLOCK: usize = 64;
/// The length of the secret stands before it.
const LENGTH_BYTES: usize = 4;
/// What the wrapping of the data key is bound to.
const DATA_KEY: &[u8] = b"bartizan vault v1 data key";

/// The key that wraps the vault's data key. It is kept outside the database. Shows as `<secret>`, is wiped when
/// dropped.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; KEY_BYTES]>);

impl MasterKey {
    /// A key out of the system's randomness.
    ///
    /// # Errors
    /// [`StoreError::Crypto`] when there is none.
    pub fn generate() -> Result<Self, StoreError> {
        random().map(Self)
    }

    /// A key that was kept somewhere.
    pub const fn from_bytes(bytes: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        Self(bytes)
    }

    /// Its bytes, for the file that keeps it.
    pub fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// A name that tells master keys apart and nothing else: 16 hexadecimal digits of a digest.
    pub fn id(&self) -> String {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"bartizan vault v1 master key id");
        context.update(&*self.0);
        context.finish().as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    pub(super) fn wrap(&self, data_key: &DataKey) -> Result<Sealed, StoreError> {
        seal(&self.0, DATA_KEY, Zeroizing::new(data_key.0.to_vec()))
    }

    pub(super) fn unwrap(&self, wrapped: &Sealed) -> Option<DataKey> {
        let bytes = open(&self.0, DATA_KEY, wrapped)?;
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        (bytes.len() == KEY_BYTES).then(|| key.copy_from_slice(&bytes))?;
        Some(DataKey(key))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(<secret>)")
    }
}

/// What secrets are sealed with. Made once for each vault, kept wrapped by the master key.
pub(super) struct DataKey(Zeroizing<[u8; KEY_BYTES]>);

impl DataKey {
    pub(super) fn generate() -> Result<Self, StoreError> {
        random().map(Self)
    }

    pub(super) fn seal(&self, place: &Place<'_>, secret: &[u8]) -> Result<Sealed, StoreError> {
        seal(&self.0, &place.bound(), padded(secret).ok_or(TOO_LONG)?)
    }

    /// `None` when it was not sealed by this key for this place, or was changed since.
    pub(super) fn open(&self, place: &Place<'_>, sealed: &Sealed) -> Option<Secret> {
        unpadded(&open(&self.0, &place.bound(), sealed)?).map(Secret)
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(<secret>)")
    }
}

/// What a secret is bound to, so that rows cannot be swapped.
pub(super) struct Place<'a> {
    pub(super) target: &'a TargetName,
    pub(super) login: &'a LoginName,
    pub(super) kind: CredentialKind,
}

impl Place<'_> {
    fn bound(&self) -> Vec<u8> {
        let mut bound = b"bartizan vault v1 credential".to_vec();
        for part in [self.kind.as_str(), self.target.as_str(), self.login.as_str()] {
            // With its length, so that no two places read the same.
            bound.extend((part.len() as u64).to_be_bytes());
            bound.extend(part.as_bytes());
        }
        bound
    }
}

/// A secret of the vault: shows as `<secret>`, is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// The secret's bytes. Do not log them, do not keep them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// Sealed bytes as a database holds them: nonce, ciphertext, tag.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(pub(crate) Vec<u8>);

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

const FAILED: StoreError = StoreError::Crypto("the cryptographic library failed");
const TOO_LONG: StoreError = StoreError::Crypto("the secret is too long");

fn random() -> Result<Zeroizing<[u8; KEY_BYTES]>, StoreError> {
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    rand::fill(&mut *bytes).map_err(|_| StoreError::Crypto("the system gives no random bytes"))?;
    Ok(bytes)
}

fn seal(
    key: &[u8; KEY_BYTES],
    bound: &[u8],
    mut plaintext: Zeroizing<Vec<u8>>,
) -> Result<Sealed, StoreError> {
    let key = RandomizedNonceKey::new(&AES_256_GCM, key).map_err(|_| FAILED)?;
    // In place, so that the plaintext is gone when this returns; growing for the tag must not leave a copy behind.
    let mut buffer = Zeroizing::new(Vec::with_capacity(plaintext.len() + AES_256_GCM.tag_len()));
    buffer.append(&mut plaintext);
    let nonce = key.seal_in_place_append_tag(Aad::from(bound), &mut *buffer).map_err(|_| FAILED)?;
    Ok(Sealed([&nonce.as_ref()[..], &buffer[..]].concat()))
}

fn open(key: &[u8; KEY_BYTES], bound: &[u8], sealed: &Sealed) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, ciphertext) = sealed.0.split_at_checked(NONCE_LEN)?;
    let key = RandomizedNonceKey::new(&AES_256_GCM, key).ok()?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut buffer = Zeroizing::new(ciphertext.to_vec());
    let length = key.open_in_place(nonce, Aad::from(bound), &mut buffer).ok()?.len();
    buffer.truncate(length);
    Some(buffer)
}

fn padded(secret: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let length = u32::try_from(secret.len()).ok()?;
    let whole = (secret.len() + LENGTH_BYTES).next_multiple_of(BLOCK);
    let mut plaintext = Zeroizing::new(Vec::with_capacity(whole));
    plaintext.extend(length.to_be_bytes());
    plaintext.extend(secret);
    plaintext.resize(whole, 0);
    Some(plaintext)
}

fn unpadded(plaintext: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (length, rest) = plaintext.split_first_chunk::<LENGTH_BYTES>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    rest.get(..length).map(|secret| Zeroizing::new(secret.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
        text.parse().unwrap()
    }

    #[test]
    fn a_secret_opens_in_its_place_only() {
        let (key, other) = (DataKey::generate().unwrap(), DataKey::generate().unwrap());
        let (web, db, root, admin) = (name("web-1"), name("db"), name("root"), name("admin"));
        let place = |target, login, kind| Place { target, login, kind };
        let here = place(&web, &root, CredentialKind::Password);
        let sealed = key.seal(&here, b"hunter2").unwrap();
        assert_eq!(key.open(&here, &sealed).unwrap().expose(), b"hunter2");
        for elsewhere in [
            place(&db, &root, CredentialKind::Password),
            place(&web, &admin, CredentialKind::Password),
            place(&web, &root, CredentialKind::Key),
        ] {
            assert_eq!(key.open(&elsewhere, &sealed), None);
        }
        assert_eq!(other.open(&here, &sealed), None);
        for at in 0..sealed.0.len() {
            let mut changed = sealed.clone();
            changed.0[at] ^= 1;
            assert_eq!(key.open(&here, &changed), None, "byte {at}");
            assert_eq!(key.open(&here, &Sealed(sealed.0[..at].to_vec())), None, "cut at {at}");
        }
    }

    #[test]
    fn names_that_run_together_are_different_places() {
        let key = DataKey::generate().unwrap();
        let (ab, c, a, bc) = (name("ab"), name("c"), name("a"), name("bc"));
        let kind = CredentialKind::Password;
        let sealed = key.seal(&Place { target: &ab, login: &c, kind }, b"x").unwrap();
        assert_eq!(key.open(&Place { target: &a, login: &bc, kind }, &sealed), None);
    }

    #[test]
    fn the_length_of_a_password_does_not_show_and_no_two_seals_are_alike() {
        let key = DataKey::generate().unwrap();
        let (target, login) = (name("web-1"), name("root"));
        let place = Place { target: &target, login: &login, kind: CredentialKind::Password };
        let sealed: Vec<_> =
            [0, 1, 20, 60].map(|length| key.seal(&place, &vec![b'x'; length]).unwrap()).into_iter().collect();
        assert!(sealed.iter().all(|s| s.0.len() == sealed[0].0.len()));
        assert_ne!(key.seal(&place, b"x").unwrap(), key.seal(&place, b"x").unwrap());
        for length in [0, 1, 59, 60, 61, 64, 5000] {
            let secret = vec![b'y'; length];
            assert_eq!(key.open(&place, &key.seal(&place, &secret).unwrap()).unwrap().expose(), secret);
        }
    }

    #[test]
    fn a_data_key_opens_with_its_master_key_only() {
        let (master, other) = (MasterKey::generate().unwrap(), MasterKey::generate().unwrap());
        let data = DataKey::generate().unwrap();
        let wrapped = master.wrap(&data).unwrap();
        assert_eq!(master.unwrap(&wrapped).unwrap().0, data.0);
        assert!(other.unwrap(&wrapped).is_none());
        assert_ne!(master.id(), other.id());
        assert_eq!(master.id(), MasterKey::from_bytes(Zeroizing::new(*master.expose())).id());
        assert_eq!(format!("{master:?} {data:?}"), "MasterKey(<secret>) DataKey(<secret>)");
    }
}
