//! What a client can show.

use std::fmt;
use std::sync::Arc;

use crate::auth::{AuthMethod, Secret, UserIdentity};
use crate::key::{
    Certificate, CertificateError, KeyError, PrivateKey, PublicKeyAlgorithm, SignatureAlgorithm,
};

/// One way to authenticate; tried in the order given.
pub struct Credential(pub(super) Kind);

pub(super) enum Kind {
    /// We sign ourselves.
    Own {
        identity: UserIdentity,
        private: Arc<PrivateKey>,
    },
    /// The machine's owner signs when asked: an agent, a hardware token.
    External {
        identity: UserIdentity,
    },
    Password(Secret),
    KeyboardInteractive,
}

impl Credential {
    /// A private key of ours.
    pub fn key(private: impl Into<Arc<PrivateKey>>) -> Self {
        let private = private.into();
        Self(Kind::Own { identity: private.public_key().clone().into(), private })
    }

    /// A user certificate and the private key that it certifies. When they do not belong together, the target refuses.
    pub fn certificate(certificate: Certificate, private: impl Into<Arc<PrivateKey>>) -> Self {
        Self(Kind::Own { identity: certificate.into(), private: private.into() })
    }

    /// The same, for certificates that come from elsewhere: checks that they belong together.
    ///
    /// # Errors
    /// [`KeyError::Mismatch`] when they do not.
    pub fn checked_certificate(
        certificate: Certificate,
        private: impl Into<Arc<PrivateKey>>,
    ) -> Result<Self, CertificateError> {
        let private = private.into();
        if certificate.key() != private.public_key() {
            return Err(KeyError::Mismatch.into());
        }
        Ok(Self::certificate(certificate, private))
    }

    /// A key or certificate whose private key lives elsewhere. The server is asked first whether it would do, since signing may
    /// take somebody's finger; then comes [`super::ClientEvent::NeedSignature`].
    pub const fn external(identity: UserIdentity) -> Self {
        Self(Kind::External { identity })
    }

    /// A password. Give it only for a server whose host key was verified.
    pub const fn password(password: Secret) -> Self {
        Self(Kind::Password(password))
    }

    /// Whatever the server asks; comes as [`super::ClientEvent::Prompt`].
    pub const fn keyboard_interactive() -> Self {
        Self(Kind::KeyboardInteractive)
    }

    /// The method it belongs to.
    pub const fn method(&self) -> AuthMethod {
        match self.0 {
            Kind::Own { .. } | Kind::External { .. } => AuthMethod::PublicKey,
            Kind::Password(_) => AuthMethod::Password,
            Kind::KeyboardInteractive => AuthMethod::KeyboardInteractive,
        }
    }

    pub(super) const fn identity(&self) -> Option<&UserIdentity> {
        match &self.0 {
            Kind::Own { identity, .. } | Kind::External { identity } => Some(identity),
            Kind::Password(_) | Kind::KeyboardInteractive => None,
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.identity() {
            Some(identity) => write!(f, "Credential({identity:?})"),
            None => write!(f, "Credential({}, <secret>)", self.method().name()),
        }
    }
}

/// The algorithm to sign with, or `None` when the server takes none that the key has.
///
/// Only RSA keys have a choice. Without `server-sig-algs` the server's abilities are unknown; SHA-256 is what RFC 8332
/// recommends and the older servers have.
pub(super) fn algorithm_for(
    identity: &UserIdentity,
    server: Option<&[SignatureAlgorithm]>,
) -> Option<PublicKeyAlgorithm> {
    let signature = match (identity.key().signature_algorithms(), server) {
        ([only], _) => *only,
        (_, None) => SignatureAlgorithm::RsaSha256,
        (several, Some(server)) => *several.iter().find(|algorithm| server.contains(algorithm))?,
    };
    Some(PublicKeyAlgorithm { signature, certificate: identity.certificate().is_some() })
}
