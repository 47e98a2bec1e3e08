//! The gateway's own keys.
//!
//! Keys for single targets are derived from one secret, so that they are stable without being stored: the host
//! key that `ProxyJump` clients see for a target, and the key that Bartizan can log in to that target with.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bartizan_model::{TargetName, Timestamp};
use bartizan_ssh::key::{
    CertificateBuilder, CertificateError, CertificateKind, HostKey, KeyError, PrivateKey,
};
use zeroize::Zeroizing;

/// A minted host certificate is valid for so long …
const HOST_CERTIFICATE_LIFE: Duration = Duration::from_secs(24 * 3600);
/// … and minted again after so long.
const HOST_CERTIFICATE_RENEWAL: Duration = Duration::from_secs(12 * 3600);
/// Certificates of so many names are kept by each worker; then it starts afresh.
const KEPT_CERTIFICATES: usize = 4096;

/// The key that a CA signs with now. Clones share it, so that a rotation reaches all of them.
#[derive(Clone)]
pub struct CaKey(Arc<RwLock<Arc<PrivateKey>>>);

impl CaKey {
    /// A CA that signs with `key`.
    pub fn new(key: PrivateKey) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(key))))
    }

    /// The key that signs now.
    pub fn current(&self) -> Arc<PrivateKey> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on `key` signs.
    pub fn replace(&self, key: PrivateKey) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
    }
}

impl std::fmt::Debug for CaKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CaKey(<secret>)")
    }
}

/// Everything secret that the gateway signs with.
#[derive(Clone)]
pub struct Keys {
    /// What the listener presents.
    pub host_keys: Vec<HostKey>,
    /// Signs the host certificates that `ProxyJump` clients see.
    pub host_ca: CaKey,
    /// Signs the user certificates that targets see.
    pub user_ca: CaKey,
    /// The secret that keys for single targets are derived from, 32 random bytes.
    pub target_seed: Arc<Zeroizing<[u8; 32]>>,
}

/// A minted host key, since when, and who vouches for it.
type Minted = (Timestamp, Arc<PrivateKey>, HostKey);

thread_local! {
    static MINTED: RefCell<HashMap<(TargetName, String), Minted>> = RefCell::default();
}

/// Why a target's key could not be made: the cryptographic library failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MintError {
    /// Deriving the key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Signing its certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

impl Keys {
    /// The key that Bartizan can log in to `target` with, for targets that do not trust its user CA.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn upstream_key(&self, target: &TargetName) -> Result<PrivateKey, KeyError> {
        self.derive("upstream", target)
    }

    /// The host key that an inner server presents for `target`, certified for the name that the client asked for
    /// and for the target's own name.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub(crate) fn inner_host_key(&self, target: &TargetName, requested: &str) -> Result<HostKey, MintError> {
        let now = Timestamp::now();
        let name = (target.clone(), requested.to_owned());
        let kept = MINTED.with_borrow(|minted| minted.get(&name).cloned());
        let ca = self.host_ca.current();
        if let Some((since, signer, key)) = kept
            && now.saturating_sub(HOST_CERTIFICATE_RENEWAL) < since
            && Arc::ptr_eq(&signer, &ca)
        {
            return Ok(key);
        }
        let key = self.mint(target, requested, now, &ca)?;
        MINTED.with_borrow_mut(|minted| {
            if minted.len() >= KEPT_CERTIFICATES {
                minted.clear();
            }
            minted.insert(name, (now, ca, key.clone()));
        });
        Ok(key)
    }

    fn mint(
        &self,
        target: &TargetName,
        requested: &str,
        now: Timestamp,
        ca: &PrivateKey,
    ) -> Result<HostKey, MintError> {
        let key = self.derive("inner host key", target)?;
        let mut builder = CertificateBuilder::new(CertificateKind::Host, key.public_key())
            .key_id(format!("bartizan host={requested} target={target}"))
            .valid(
                now.saturating_sub(Duration::from_secs(3600)).unix_seconds(),
                now.saturating_add(HOST_CERTIFICATE_LIFE).unix_seconds(),
            )
            .principal(requested);
        if target.as_str() != requested {
            builder = builder.principal(target.as_str());
        }
        let certificate = builder.sign(ca)?;
        Ok(HostKey::with_certificate(key, certificate)?)
    }

    fn derive(&self, purpose: &str, target: &TargetName) -> Result<PrivateKey, KeyError> {
        PrivateKey::derive_ed25519(&self.target_seed, format!("bartizan v1 {purpose} {target}").as_bytes())
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(<secret>)")
    }
}
