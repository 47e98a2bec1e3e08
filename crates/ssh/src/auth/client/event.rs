//! What the client's machine tells its owner.

use crate::auth::{AuthMethod, UserIdentity};
use crate::key::PublicKeyAlgorithm;
use crate::wire::userauth::InfoRequest;

/// What the owner of the machine must know or do.
#[derive(Debug)]
#[must_use]
pub enum ClientEvent<'a> {
    /// Authenticated; the connection protocol begins.
    Success,
    /// No credential is left.
    Failure {
        /// What the server would have continued with, as a name-list: printable ASCII.
        left: String,
        /// The methods tried, in order.
        tried: Vec<AuthMethod>,
    },
    /// Text from the server to be shown; escape it.
    Banner(&'a [u8]),
    /// An external credential is wanted: answer with [`super::ClientAuth::signature`] or [`super::ClientAuth::skip`].
    NeedSignature {
        /// Whose signature.
        identity: UserIdentity,
        /// With which algorithm.
        algorithm: PublicKeyAlgorithm,
        /// Over these bytes.
        data: Vec<u8>,
    },
    /// Questions from the server, its texts to be escaped: answer with [`super::ClientAuth::respond`] or [`super::ClientAuth::skip`].
    Prompt(InfoRequest<'a>),
    /// The password was right but has expired: answer with [`super::ClientAuth::change_password`] or [`super::ClientAuth::skip`].
    PasswordExpired {
        /// The server's text, to be escaped.
        prompt: &'a [u8],
    },
}
