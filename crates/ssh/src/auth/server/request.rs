//! What a client has asked for, in types that say how much it has proved.

use crate::auth::{AuthMethod, Secret, UserIdentity};
use crate::key::{CertificateError, KeyError, PublicKey, PublicKeyAlgorithm, SignatureError, SkFlags};

/// One request for authentication, to be answered by exactly one answer of [`super::ServerAuth`].
///
/// User names are the client's text, at most as long as the limits say; escape them before showing.
#[derive(Debug)]
#[must_use]
pub enum AuthRequest {
    /// `none`: the client asks what can continue, or hopes that nothing is asked of it.
    None {
        /// The user name.
        user: String,
    },
    /// A key is offered; nothing is proved.
    Offered(OfferedKey),
    /// A key was proved by a signature over this connection's session identifier.
    Proven(ProvenKey),
    /// A password.
    Password {
        /// The user name.
        user: String,
        /// The password, unchecked.
        password: Secret,
        /// The new password, when a change was asked for.
        new_password: Option<Secret>,
    },
    /// `keyboard-interactive`: the client is ready for prompts.
    KeyboardInteractive {
        /// The user name.
        user: String,
        /// The client's hint, mostly empty; escape it before showing.
        submethods: String,
    },
    /// Answers to the last prompts, as many as there were.
    Responses {
        /// The user name.
        user: String,
        /// One for each prompt.
        responses: Vec<Secret>,
    },
    /// A request that cannot succeed; to be noted, and rejected.
    Invalid {
        /// The user name.
        user: String,
        /// The method's name, escaped and cut short.
        method: String,
        /// What is wrong with it.
        fault: RequestFault,
    },
}

impl AuthRequest {
    /// The user name of the request.
    pub fn user(&self) -> &str {
        match self {
            Self::None { user }
            | Self::Password { user, .. }
            | Self::KeyboardInteractive { user, .. }
            | Self::Responses { user, .. }
            | Self::Invalid { user, .. } => user,
            Self::Offered(key) => key.user(),
            Self::Proven(key) => key.user(),
        }
    }
}

/// Why a request cannot succeed. Goes to the audit log, not to the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestFault {
    /// A method nobody here knows, or `hostbased`.
    #[error("unknown method")]
    UnknownMethod,
    /// A service other than `ssh-connection`; escaped and cut short.
    #[error("unknown service `{0}`")]
    UnknownService(String),
    /// A public key algorithm that is unknown or not allowed, `ssh-rsa` for one; escaped and cut short.
    #[error("public key algorithm `{0}` is not allowed")]
    AlgorithmNotAllowed(String),
    /// The key or certificate is not of the algorithm that the request names.
    #[error("the key is not of the algorithm named")]
    AlgorithmMismatch,
    /// The key does not parse.
    #[error("bad key: {0}")]
    Key(KeyError),
    /// The certificate does not parse, its CA signature is false, or it is a host's.
    #[error("bad certificate: {0}")]
    Certificate(CertificateError),
    /// The signature is false or malformed.
    #[error("bad signature: {0}")]
    Signature(SignatureError),
    /// The client was shown another host key than ours: somebody is in between.
    #[error("the client was shown another host key than ours")]
    HostKeyMismatch,
    /// A password or response above the limit.
    #[error("{0} too long")]
    TooLong(&'static str),
    /// Not as many responses as there were prompts (RFC 4256 §3.4).
    #[error("{got} responses to {wanted} prompts")]
    ResponseCount {
        /// How many came.
        got: usize,
        /// How many were asked for.
        wanted: usize,
    },
}

/// A key that a client *says* it has. Proves nothing; good for asking whether it is worth a signature.
#[derive(Clone, Debug)]
pub struct OfferedKey {
    pub(super) user: String,
    pub(super) identity: UserIdentity,
    pub(super) algorithm: PublicKeyAlgorithm,
}

impl OfferedKey {
    /// The user name it was offered for.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The key or user certificate.
    pub const fn identity(&self) -> &UserIdentity {
        &self.identity
    }

    /// The plain key, or the key that is certified.
    pub fn key(&self) -> &PublicKey {
        self.identity.key()
    }

    /// The algorithm the client means to sign with.
    pub const fn algorithm(&self) -> PublicKeyAlgorithm {
        self.algorithm
    }
}

/// A key whose owner has signed this connection's session identifier for this user name.
///
/// Only a verified signature makes one: there is no constructor, and an [`OfferedKey`] is another type.
///
/// ```compile_fail,E0308
/// fn admits(_: &bartizan_ssh::auth::server::ProvenKey) {}
/// fn offered(key: &bartizan_ssh::auth::server::OfferedKey) {
///     admits(key);
/// }
/// ```
#[derive(Clone, Debug)]
pub struct ProvenKey {
    pub(super) offered: OfferedKey,
    pub(super) sk: Option<SkFlags>,
    pub(super) hostbound: bool,
}

impl ProvenKey {
    /// The user name that the signature covers.
    pub fn user(&self) -> &str {
        &self.offered.user
    }

    /// The key or user certificate.
    pub const fn identity(&self) -> &UserIdentity {
        &self.offered.identity
    }

    /// The plain key, or the key that is certified.
    pub fn key(&self) -> &PublicKey {
        self.offered.identity.key()
    }

    /// The algorithm of the signature.
    pub const fn algorithm(&self) -> PublicKeyAlgorithm {
        self.offered.algorithm
    }

    /// What a hardware key vouches for; `None` for other keys. Demanding touch is the owner's policy.
    pub const fn sk(&self) -> Option<SkFlags> {
        self.sk
    }

    /// True when the signature covers our host key too.
    pub const fn hostbound(&self) -> bool {
        self.hostbound
    }
}

/// What a pending request may be answered with.
#[derive(Clone, Debug)]
pub(super) enum Pending {
    /// `pk_ok` or `reject`.
    Offered { algorithm: &'static str, blob: Vec<u8> },
    /// Anything but `pk_ok`; prompts for `keyboard-interactive` only.
    Evidence(AuthMethod),
    /// `reject` only; `offer` when no signature was given.
    Invalid { offer: bool },
}
