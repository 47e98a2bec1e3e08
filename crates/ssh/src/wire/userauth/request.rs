//! `SSH_MSG_USERAUTH_REQUEST` and what each method puts into it.

use super::{
    Malformed, Payload, Reader, SERVICE_CONNECTION, SSH_MSG_USERAUTH_REQUEST, SecretBytes, body, start,
};
use crate::wire::Writer as _;

const PUBLICKEY: &str = "publickey";
const PUBLICKEY_HOSTBOUND: &str = "publickey-hostbound-v00@openssh.com";

/// `SSH_MSG_USERAUTH_REQUEST` (RFC 4252 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// The user name, UTF-8.
    pub user: &'a str,
    /// The service to start, `ssh-connection`.
    pub service: &'a str,
    /// The method and its fields.
    pub method: Method<'a>,
}

/// A method and its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method<'a> {
    /// `none` (RFC 4252 §5.2): asks what can continue.
    None,
    /// `publickey` (RFC 4252 §7) or `publickey-hostbound-v00@openssh.com`.
    PublicKey(PublicKeyRequest<'a>),
    /// `password` (RFC 4252 §8).
    Password {
        /// The password, UTF-8.
        password: SecretBytes<'a>,
        /// The new one, when the server has asked for a change.
        new_password: Option<SecretBytes<'a>>,
    },
    /// `keyboard-interactive` (RFC 4256 §3.1).
    KeyboardInteractive {
        /// Language tag, mostly empty.
        language: &'a [u8],
        /// The client's hint at what it would like, mostly empty.
        submethods: &'a [u8],
    },
    /// `hostbased` (RFC 4252 §9).
    HostBased(HostBasedRequest<'a>),
    /// Any other name, with what follows it.
    Other {
        /// The method name.
        name: &'a str,
        /// The method's fields as they are.
        fields: &'a [u8],
    },
}

/// The fields of `publickey`; with a host key, of `publickey-hostbound-v00@openssh.com`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKeyRequest<'a> {
    /// *Public key algorithm name*, e.g. `rsa-sha2-512`.
    pub algorithm: &'a str,
    /// The key or certificate.
    pub blob: &'a [u8],
    /// Hostbound only: the server host key blob that the client was shown.
    pub host_key: Option<&'a [u8]>,
    /// Absent when the client only asks whether this key would do.
    pub signature: Option<&'a [u8]>,
}

/// The fields of `hostbased`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostBasedRequest<'a> {
    /// *Public key algorithm for host key*.
    pub algorithm: &'a str,
    /// *Public host key and certificates for client host*.
    pub blob: &'a [u8],
    /// *Client host name expressed as the FQDN*.
    pub client_host: &'a [u8],
    /// *User name on the client host*.
    pub client_user: &'a [u8],
    /// The signature blob.
    pub signature: &'a [u8],
}

impl<'a> Request<'a> {
    /// Parses a payload.
    ///
    /// # Errors
    /// When it is not this message, or a known method's fields are malformed.
    pub fn parse(payload: &'a [u8]) -> Result<Self, Malformed> {
        const WHAT: &str = "SSH_MSG_USERAUTH_REQUEST";
        let mut reader = body(payload, SSH_MSG_USERAUTH_REQUEST, WHAT)?;
        let user = reader.text("user name")?;
        let service = reader.text("service name")?;
        let name = reader.text("method name")?;
        let method = Method::read(name, &mut reader)?;
        reader.end(WHAT)?;
        Ok(Self { user, service, method })
    }

    /// The message as a payload; wiped when dropped, since it may hold a password.
    pub fn to_payload(&self) -> Payload {
        let mut out = start(SSH_MSG_USERAUTH_REQUEST, self.room());
        self.put_fields(&mut out);
        if let Method::PublicKey(PublicKeyRequest { signature: Some(signature), .. }) = self.method {
            out.put_string(signature);
        }
        out
    }

    /// What a `publickey` or hostbound signature is made over (RFC 4252 §7): the session identifier and the request up to the
    /// signature, its flag set. `None` for other methods.
    pub fn signed_data(&self, session_id: &[u8]) -> Option<Vec<u8>> {
        let Method::PublicKey(key) = self.method else { return None };
        let signing =
            Self { method: Method::PublicKey(PublicKeyRequest { signature: Some(&[]), ..key }), ..*self };
        let mut out = Vec::with_capacity(4 + session_id.len() + 1 + signing.room());
        out.put_string(session_id);
        out.put_u8(SSH_MSG_USERAUTH_REQUEST);
        signing.put_fields(&mut out);
        Some(out)
    }

    /// Everything behind the message number, but for the signature of a public key.
    fn put_fields(&self, out: &mut Vec<u8>) {
        out.put_string(self.user.as_bytes());
        out.put_string(self.service.as_bytes());
        out.put_string(self.method.name().as_bytes());
        self.method.put_fields(out);
    }

    fn room(&self) -> usize {
        let fields = match self.method {
            Method::None => 0,
            Method::PublicKey(key) => {
                let rest = key.host_key.map_or(0, <[u8]>::len) + key.signature.map_or(0, <[u8]>::len);
                key.algorithm.len() + key.blob.len() + rest
            }
            Method::Password { password, new_password } => {
                password.0.len() + new_password.map_or(0, |new| new.0.len())
            }
            Method::KeyboardInteractive { language, submethods } => language.len() + submethods.len(),
            Method::HostBased(host) => {
                let names = host.client_host.len() + host.client_user.len();
                host.algorithm.len() + host.blob.len() + names + host.signature.len()
            }
            Method::Other { fields, .. } => fields.len(),
        };
        self.user.len() + self.service.len() + self.method.name().len() + fields + 48
    }
}

impl<'a> Method<'a> {
    /// The method's name on the wire.
    pub const fn name(&self) -> &'a str {
        match self {
            Self::None => "none",
            Self::PublicKey(PublicKeyRequest { host_key: None, .. }) => PUBLICKEY,
            Self::PublicKey(PublicKeyRequest { host_key: Some(_), .. }) => PUBLICKEY_HOSTBOUND,
            Self::Password { .. } => "password",
            Self::KeyboardInteractive { .. } => "keyboard-interactive",
            Self::HostBased(_) => "hostbased",
            Self::Other { name, .. } => name,
        }
    }

    fn read(name: &'a str, reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        Ok(match name {
            "none" => Self::None,
            PUBLICKEY => Self::PublicKey(PublicKeyRequest::read(false, reader)?),
            PUBLICKEY_HOSTBOUND => Self::PublicKey(PublicKeyRequest::read(true, reader)?),
            "password" => {
                let change = reader.bool("password change flag")?;
                let password = SecretBytes(reader.string("password")?);
                let new_password =
                    if change { Some(SecretBytes(reader.string("new password")?)) } else { None };
                Self::Password { password, new_password }
            }
            "keyboard-interactive" => Self::KeyboardInteractive {
                language: reader.string("language tag")?,
                submethods: reader.string("submethods")?,
            },
            "hostbased" => Self::HostBased(HostBasedRequest {
                algorithm: reader.text("host key algorithm name")?,
                blob: reader.string("client host key")?,
                client_host: reader.string("client host name")?,
                client_user: reader.string("client user name")?,
                signature: reader.string("signature")?,
            }),
            name => Self::Other { name, fields: reader.take(reader.rest().len(), "method fields")? },
        })
    }

    fn put_fields(&self, out: &mut Vec<u8>) {
        match self {
            Self::None => {}
            Self::PublicKey(key) => {
                out.put_bool(key.signature.is_some());
                out.put_string(key.algorithm.as_bytes());
                out.put_string(key.blob);
                if let Some(host_key) = key.host_key {
                    out.put_string(host_key);
                }
            }
            Self::Password { password, new_password } => {
                out.put_bool(new_password.is_some());
                out.put_string(password.0);
                if let Some(new) = new_password {
                    out.put_string(new.0);
                }
            }
            Self::KeyboardInteractive { language, submethods } => {
                out.put_string(language);
                out.put_string(submethods);
            }
            Self::HostBased(host) => {
                out.put_string(host.algorithm.as_bytes());
                out.put_string(host.blob);
                out.put_string(host.client_host);
                out.put_string(host.client_user);
                out.put_string(host.signature);
            }
            Self::Other { fields, .. } => out.put(fields),
        }
    }
}

impl<'a> PublicKeyRequest<'a> {
    fn read(hostbound: bool, reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let signed = reader.bool("signature flag")?;
        Ok(Self {
            algorithm: reader.text("public key algorithm name")?,
            blob: reader.string("public key blob")?,
            host_key: if hostbound { Some(reader.string("server host key")?) } else { None },
            signature: if signed { Some(reader.string("signature")?) } else { None },
        })
    }
}

impl Request<'static> {
    /// The `none` request that a client opens with.
    pub const fn none(user: &str) -> Request<'_> {
        Request { user, service: SERVICE_CONNECTION, method: Method::None }
    }
}
