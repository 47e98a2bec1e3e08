//! User authentication (RFC 4252, RFC 4256, OpenSSH's hostbound `publickey`), both roles, as state machines.
//!
//! ```text
//!   payload ─► server::ServerAuth ─► AuthRequest ─► the owner decides, perhaps later ─► pk_ok / accept / partial_success /
//!                                                                                       prompt / reject ─► payloads out
//!   payload ─► client::ClientAuth ─► ClientEvent (a signature, an answer is wanted; success; failure) ─► payloads out
//! ```
//!
//! The machines know the protocol: which message may come now, what a signature covers, that a new user name starts afresh, how
//! often one may try. They do not know who anybody is: whether a proven key is Alice's, and whether that is enough, their owner
//! says. There is no clock; how long a login may take is the owner's business too.

pub mod agent;
pub mod client;
mod error;
mod secret;
pub mod server;

pub use error::AuthError;
pub use secret::Secret;

use crate::key::{Certificate, PublicKey};

/// The authentication methods this crate speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuthMethod {
    /// `none`: proves nothing.
    None,
    /// `publickey`, also in its hostbound form.
    PublicKey,
    /// `password`.
    Password,
    /// `keyboard-interactive`.
    KeyboardInteractive,
}

impl AuthMethod {
    /// The name in lists of methods.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::PublicKey => "publickey",
            Self::Password => "password",
            Self::KeyboardInteractive => "keyboard-interactive",
        }
    }
}

/// What a client offers or proves to have the private key of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserIdentity {
    /// A plain key.
    Key(PublicKey),
    /// A user certificate whose CA signature is good; kind, and nothing more, was checked.
    Certificate(Box<Certificate>),
}

impl UserIdentity {
    /// The plain key, or the key that is certified.
    pub fn key(&self) -> &PublicKey {
        match self {
            Self::Key(key) => key,
            Self::Certificate(certificate) => certificate.key(),
        }
    }

    /// The bytes on the wire.
    pub fn blob(&self) -> &[u8] {
        match self {
            Self::Key(key) => key.blob(),
            Self::Certificate(certificate) => certificate.blob(),
        }
    }

    /// The certificate, if it is one.
    pub fn certificate(&self) -> Option<&Certificate> {
        match self {
            Self::Key(_) => None,
            Self::Certificate(certificate) => Some(certificate),
        }
    }
}

impl From<PublicKey> for UserIdentity {
    fn from(key: PublicKey) -> Self {
        Self::Key(key)
    }
}

impl From<Certificate> for UserIdentity {
    fn from(certificate: Certificate) -> Self {
        Self::Certificate(Box::new(certificate))
    }
}

#[cfg(test)]
mod tests;
