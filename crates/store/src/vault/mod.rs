//! The vault: passwords and private keys that Bartizan logs in to targets with, encrypted at rest.
//!
//! ```text
//!   master key (a file, never in the database)
//!      └─ wraps ─► data key (made once) ─ seals, bound to (kind, target, login) ─► each secret
//! ```
//!
//! A copy of the database alone tells no secret, and a row that is moved to another target, login or kind does not
//! open. Rotating the master key wraps the data key anew and leaves the secrets as they are. What the vault does not
//! do: it does not notice when a whole row is put back to an older state of itself, and it does not protect from
//! somebody who reads the memory of the server.

mod seal;

use std::sync::{Arc, Mutex, PoisonError};

use bartizan_model::{CredentialKind, LoginName, StoredCredential, Target, TargetName};
use seal::{DataKey, Place};
pub use seal::{MasterKey, Sealed, Secret};

use crate::{RecordKind, Store, StoreError};

type Result<T> = std::result::Result<T, StoreError>;

/// Longest secret in bytes; the largest private key files take some 13 KiB.
pub const MAX_SECRET_BYTES: usize = 64 << 10;

/// The data key as a database holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedKey {
    /// The id of the master key that wraps it ([`MasterKey::id`]).
    pub master: String,
    /// The key.
    pub wrapped: Sealed,
}

/// Stores sealed credentials and the wrapped data key; it opens neither.
///
/// # Durability
/// As for [`crate::DirectoryStore`].
///
/// # Cancel safety
/// As for [`crate::DirectoryStore`].
///
/// # Errors
/// Besides what each method names, every method can fail with [`StoreError::Database`].
pub trait VaultStore: Clone + Send + Sync + 'static {
    /// The wrapped data key; `None` before the vault is first opened.
    fn wrapped_key(&self) -> impl Future<Output = Result<Option<WrappedKey>>> + Send;

    /// Replaces the wrapped data key if it still is `before`; returns whether it was.
    fn replace_wrapped_key(
        &self,
        before: Option<&WrappedKey>,
        after: &WrappedKey,
    ) -> impl Future<Output = Result<bool>> + Send;

    /// What is stored, of one target or of all, sorted by target and login.
    fn credentials(
        &self,
        target: Option<&TargetName>,
    ) -> impl Future<Output = Result<Vec<StoredCredential>>> + Send;

    /// The credential of a login on a target, sealed, with the target's record of the same moment.
    fn sealed_credential(
        &self,
        target: &TargetName,
        login: &LoginName,
    ) -> impl Future<Output = Result<Option<(StoredCredential, Sealed, Target)>>> + Send;

    /// Stores a credential in place of the one that its login on the target had.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for the target.
    fn set_credential(
        &self,
        credential: &StoredCredential,
        sealed: &Sealed,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Removes a credential and returns what is known of it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    fn remove_credential(
        &self,
        target: &TargetName,
        login: &LoginName,
    ) -> impl Future<Output = Result<StoredCredential>> + Send;
}

/// The opened vault. Clones share it.
#[derive(Clone, Debug)]
pub struct Vault(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    data_key: DataKey,
    /// The id of the master key that wraps the data key.
    master: Mutex<String>,
}

impl Vault {
    /// Opens the vault in `store`. An empty one gets its data key now.
    ///
    /// # Errors
    /// [`StoreError::WrongMasterKey`] when another master key wraps the data key; [`StoreError::Corrupt`] when the
    /// wrapped key was changed.
    pub async fn open(store: Store, master: &MasterKey) -> Result<Self> {
        // Twice: another process may make the key between the look and the deed.
        for _ in 0..2 {
            if let Some(wrapped) = store.wrapped_key().await? {
                let data_key = unwrap(master, &wrapped)?;
                return Ok(Self(Arc::new(Inner { store, data_key, master: Mutex::new(master.id()) })));
            }
            let wrapped = WrappedKey { master: master.id(), wrapped: master.wrap(&DataKey::generate()?)? };
            store.replace_wrapped_key(None, &wrapped).await?;
        }
        Err(StoreError::Crypto("the vault's data key does not stay where it was put"))
    }

    /// The id of the master key that wraps the data key.
    pub fn master_key_id(&self) -> String {
        self.0.master.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Wraps the data key by another master key. The former one opens the vault no more.
    ///
    /// # Errors
    /// [`StoreError::WrongMasterKey`] when another process rotated it meanwhile.
    pub async fn rotate(&self, to: &MasterKey) -> Result<()> {
        let Inner { store, data_key, .. } = &*self.0;
        let before = store.wrapped_key().await?;
        let wrong = |found: String| StoreError::WrongMasterKey { expected: self.master_key_id(), found };
        let Some(before) = before.filter(|key| key.master == self.master_key_id()) else {
            return Err(wrong("of another process".into()));
        };
        let after = WrappedKey { master: to.id(), wrapped: to.wrap(data_key)? };
        if !store.replace_wrapped_key(Some(&before), &after).await? {
            return Err(wrong("of another process".into()));
        }
        *self.0.master.lock().unwrap_or_else(PoisonError::into_inner) = after.master;
        Ok(())
    }

    /// Stores a secret. `credential` says what it is and where it is used.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for the target; [`StoreError::Crypto`] when it is longer than [`MAX_SECRET_BYTES`].
    pub async fn set(&self, credential: &StoredCredential, secret: &[u8]) -> Result<()> {
        if secret.len() > MAX_SECRET_BYTES {
            return Err(StoreError::Crypto("the secret is too long"));
        }
        let sealed = self.0.data_key.seal(&place(credential), secret)?;
        self.0.store.set_credential(credential, &sealed).await
    }

    /// The credential of a login on a target with its secret, and the target's record of the same moment: the secret is for
    /// what that says, and for no host of an earlier one. `None` when there is none.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the row was changed or does not belong where it is.
    pub async fn secret(
        &self,
        target: &TargetName,
        login: &LoginName,
    ) -> Result<Option<(StoredCredential, Secret, Target)>> {
        let Some((credential, sealed, record)) = self.0.store.sealed_credential(target, login).await? else {
            return Ok(None);
        };
        match self.0.data_key.open(&place(&credential), &sealed) {
            Some(secret) => Ok(Some((credential, secret, record))),
            None => Err(StoreError::Corrupt {
                record: RecordKind::Credential,
                name: credential_name(target, login),
                why: "it was not sealed here for this target, login and kind; set it anew".into(),
            }),
        }
    }
}

fn unwrap(master: &MasterKey, key: &WrappedKey) -> Result<DataKey> {
    if key.master != master.id() {
        return Err(StoreError::WrongMasterKey { expected: key.master.clone(), found: master.id() });
    }
    master.unwrap(&key.wrapped).ok_or_else(|| StoreError::Corrupt {
        record: RecordKind::Credential,
        name: "data key".into(),
        why: "it was changed since it was wrapped; restore the database from a backup".into(),
    })
}

fn place(credential: &StoredCredential) -> Place<'_> {
    let StoredCredential { target, login, kind, .. } = credential;
    Place { target, login, kind: *kind }
}

/// A credential as messages name it: `LOGIN@TARGET`.
pub(crate) fn credential_name(target: &TargetName, login: &LoginName) -> String {
    format!("{login}@{target}")
}

/// What a kind is called in a row.
pub(crate) fn kind_of(word: &str) -> Option<CredentialKind> {
    [CredentialKind::Password, CredentialKind::Key, CredentialKind::Agent]
        .into_iter()
        .find(|kind| kind.as_str() == word)
}

#[cfg(test)]
mod tests;
