//! The contract of the storage of people's certificates.

use std::time::Duration;

use bartizan_model::{IssuedCertificate, Revocation};

use crate::StoreError;

type Result<T> = std::result::Result<T, StoreError>;

/// What has expired is forgotten so long after. Not at once: a clock that goes back must not make a certificate that was
/// revoked good again.
pub(crate) const KEPT_AFTER_ITS_END: Duration = Duration::from_secs(30 * 24 * 3600);

/// Stores which user certificates Bartizan issued, and which are revoked. What is revoked is a part of the
/// [directory](crate::DirectoryStore::snapshot), since decisions need it; what was issued is not.
///
/// # Durability
/// As for [`crate::DirectoryStore`].
///
/// # Cancel safety
/// As for [`crate::DirectoryStore`].
///
/// # Errors
/// Besides what each method names, every method can fail with [`StoreError::Database`].
pub trait CertificateStore: Clone + Send + Sync + 'static {
    /// Keeps what is known of a certificate that is issued, and forgets those that expired a month before. It is no change
    /// of the directory.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when one with its serial number was issued already.
    fn add_certificate(&self, issued: &IssuedCertificate) -> impl Future<Output = Result<()>> + Send;

    /// What was issued and is not forgotten, by time.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    fn certificates(&self) -> impl Future<Output = Result<Vec<IssuedCertificate>>> + Send;

    /// Refuses certificates for good, and forgets revocations of what expired a month before. It is a change of the
    /// directory.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when they are revoked already.
    fn revoke(&self, revocation: &Revocation) -> impl Future<Output = Result<()>> + Send;
}
