//! Messages of the user authentication protocol: RFC 4252 (`none`, `publickey`, `password`, `hostbased`), RFC 4256
//! (`keyboard-interactive`) and OpenSSH's `publickey-hostbound-v00@openssh.com`.
//!
//! A message borrows from the payload it was parsed from. Passwords and responses show as `<secret>`. Numbers 60 and 61 mean
//! something else under each method, so there are parsers for each meaning and the state machines choose.
//!
//! ```
//! use bartizan_ssh::wire::userauth::{Method, Request, SecretBytes};
//!
//! let request = Request {
//!     user: "root",
//!     service: "ssh-connection",
//!     method: Method::Password { password: SecretBytes(b"hunter2"), new_password: None },
//! };
//! let payload = request.to_payload();
//! assert_eq!(Request::parse(&payload)?, request);
//! assert!(!format!("{request:?}").contains("hunter2"));
//! # Ok::<(), bartizan_ssh::wire::Malformed>(())
//! ```

use std::fmt;

use zeroize::Zeroizing;

use super::{Malformed, NameList, Reader, Writer as _};

mod interactive;
mod request;

pub use interactive::{InfoRequest, InfoResponse, MAX_PROMPTS, Prompt};
pub use request::{HostBasedRequest, Method, PublicKeyRequest, Request};

/// `SSH_MSG_USERAUTH_REQUEST` (RFC 4252 §5).
pub const SSH_MSG_USERAUTH_REQUEST: u8 = 50;
/// `SSH_MSG_USERAUTH_FAILURE` (RFC 4252 §5.1).
pub const SSH_MSG_USERAUTH_FAILURE: u8 = 51;
/// `SSH_MSG_USERAUTH_SUCCESS` (RFC 4252 §5.1).
pub const SSH_MSG_USERAUTH_SUCCESS: u8 = 52;
/// `SSH_MSG_USERAUTH_BANNER` (RFC 4252 §5.4).
pub const SSH_MSG_USERAUTH_BANNER: u8 = 53;
/// `SSH_MSG_USERAUTH_PK_OK` (RFC 4252 §7); the number is that of two other messages.
pub const SSH_MSG_USERAUTH_PK_OK: u8 = 60;
/// `SSH_MSG_USERAUTH_PASSWD_CHANGEREQ` (RFC 4252 §8); the number is that of two other messages.
pub const SSH_MSG_USERAUTH_PASSWD_CHANGEREQ: u8 = 60;
/// `SSH_MSG_USERAUTH_INFO_REQUEST` (RFC 4256 §3.2); the number is that of two other messages.
pub const SSH_MSG_USERAUTH_INFO_REQUEST: u8 = 60;
/// `SSH_MSG_USERAUTH_INFO_RESPONSE` (RFC 4256 §3.4).
pub const SSH_MSG_USERAUTH_INFO_RESPONSE: u8 = 61;

/// The service this protocol itself is.
pub const SERVICE_USERAUTH: &str = "ssh-userauth";
/// The service one authenticates for.
pub const SERVICE_CONNECTION: &str = "ssh-connection";

/// Bytes that nobody should see; `Debug` shows `<secret>`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SecretBytes<'a>(pub &'a [u8]);

impl fmt::Debug for SecretBytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// A payload that may hold a secret: wiped when dropped.
pub type Payload = Zeroizing<Vec<u8>>;

/// `SSH_MSG_USERAUTH_FAILURE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure<'a> {
    /// *Authentications that can continue*.
    pub methods: NameList<'a>,
    /// True when the request was good but more is wanted.
    pub partial_success: bool,
}

impl<'a> Failure<'a> {
    /// Parses a payload.
    ///
    /// # Errors
    /// When it is not this message.
    pub fn parse(payload: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = body(payload, SSH_MSG_USERAUTH_FAILURE, "SSH_MSG_USERAUTH_FAILURE")?;
        let methods = reader.name_list("authentications that can continue")?;
        let partial_success = reader.bool("partial success")?;
        reader.end("SSH_MSG_USERAUTH_FAILURE")?;
        Ok(Self { methods, partial_success })
    }

    /// The message as a payload.
    pub fn to_payload(&self) -> Payload {
        let mut out = start(SSH_MSG_USERAUTH_FAILURE, self.methods.as_str().len() + 8);
        out.put_string(self.methods.as_str().as_bytes());
        out.put_bool(self.partial_success);
        out
    }
}

/// `SSH_MSG_USERAUTH_BANNER`. The text is the peer's: escape control characters before showing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Banner<'a> {
    /// Text in UTF-8, if the peer keeps to the RFC.
    pub message: &'a [u8],
    /// Language tag, mostly empty.
    pub language: &'a [u8],
}

impl<'a> Banner<'a> {
    /// Parses a payload.
    ///
    /// # Errors
    /// When it is not this message.
    pub fn parse(payload: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = body(payload, SSH_MSG_USERAUTH_BANNER, "SSH_MSG_USERAUTH_BANNER")?;
        let message = reader.string("banner message")?;
        let language = reader.string("banner language tag")?;
        reader.end("SSH_MSG_USERAUTH_BANNER")?;
        Ok(Self { message, language })
    }

    /// The message as a payload.
    pub fn to_payload(&self) -> Payload {
        let mut out = start(SSH_MSG_USERAUTH_BANNER, self.message.len() + self.language.len() + 8);
        out.put_string(self.message);
        out.put_string(self.language);
        out
    }
}

/// `SSH_MSG_USERAUTH_PK_OK`: the offered key would do, if the client can sign with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PkOk<'a> {
    /// The algorithm name of the request.
    pub algorithm: &'a str,
    /// The key blob of the request.
    pub blob: &'a [u8],
}

impl<'a> PkOk<'a> {
    /// Parses a payload.
    ///
    /// # Errors
    /// When it is not this message.
    pub fn parse(payload: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = body(payload, SSH_MSG_USERAUTH_PK_OK, "SSH_MSG_USERAUTH_PK_OK")?;
        let algorithm = reader.text("public key algorithm name")?;
        let blob = reader.string("public key blob")?;
        reader.end("SSH_MSG_USERAUTH_PK_OK")?;
        Ok(Self { algorithm, blob })
    }

    /// The message as a payload.
    pub fn to_payload(&self) -> Payload {
        let mut out = start(SSH_MSG_USERAUTH_PK_OK, self.algorithm.len() + self.blob.len() + 8);
        out.put_string(self.algorithm.as_bytes());
        out.put_string(self.blob);
        out
    }
}

/// `SSH_MSG_USERAUTH_PASSWD_CHANGEREQ`: the password is right but has expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordChangeRequest<'a> {
    /// What the server asks; the peer's text.
    pub prompt: &'a [u8],
    /// Language tag, mostly empty.
    pub language: &'a [u8],
}

impl<'a> PasswordChangeRequest<'a> {
    /// Parses a payload.
    ///
    /// # Errors
    /// When it is not this message.
    pub fn parse(payload: &'a [u8]) -> Result<Self, Malformed> {
        const NAME: &str = "SSH_MSG_USERAUTH_PASSWD_CHANGEREQ";
        let mut reader = body(payload, SSH_MSG_USERAUTH_PASSWD_CHANGEREQ, NAME)?;
        let prompt = reader.string("password change prompt")?;
        let language = reader.string("language tag")?;
        reader.end(NAME)?;
        Ok(Self { prompt, language })
    }

    /// The message as a payload.
    pub fn to_payload(&self) -> Payload {
        let mut out = start(SSH_MSG_USERAUTH_PASSWD_CHANGEREQ, self.prompt.len() + self.language.len() + 8);
        out.put_string(self.prompt);
        out.put_string(self.language);
        out
    }
}

/// Reads the message number and returns what follows.
fn body<'a>(payload: &'a [u8], number: u8, what: &'static str) -> Result<Reader<'a>, Malformed> {
    let mut reader = Reader::new(payload);
    if reader.u8(what)? == number { Ok(reader) } else { Err(Malformed::new(what)) }
}

/// A payload with room for everything, so that no secret is left behind by growing.
fn start(number: u8, room: usize) -> Payload {
    let mut out = Zeroizing::new(Vec::with_capacity(1 + room));
    out.put_u8(number);
    out
}

#[cfg(test)]
mod tests;
