//! The client's side of user authentication.
//!
//! ```text
//!        start          SERVICE_ACCEPT      SUCCESS
//!   New ───────► Opening ───────────► Trying ───────► Ended (Success)
//!                                     ▲    │ FAILURE: the next credential, if there is one
//!                                     └────┤
//!                                          └────────► Ended (Failure)
//!   while trying, by method:
//!     our key     request with signature ─► answer
//!     external    request without ─► PK_OK ─► NeedSignature ─► signature() ─► answer
//!     password    request ─► answer, or PASSWD_CHANGEREQ ─► PasswordExpired ─► change_password()
//!     keyboard-interactive    request ─► INFO_REQUEST ─► Prompt ─► respond() ─► … ─► answer
//! ```
//!
//! Credentials are tried in the order given, one at a time; those of a method that the server does not list are passed over, and
//! come into play again when a partial success brings a new list. A key of ours is sent signed at once, without `none` and
//! without asking: one round trip, against two or three of an interactive client.

mod credential;
mod event;

use std::fmt;

use super::{AuthError, AuthMethod, Secret, UserIdentity};
use crate::key::{PublicKeyAlgorithm, SignatureAlgorithm};
use crate::wire::transport::{SSH_MSG_SERVICE_ACCEPT, SSH_MSG_SERVICE_REQUEST};
use crate::wire::userauth::{
    Banner, Failure, InfoRequest, InfoResponse, Method, PasswordChangeRequest, Payload, PkOk,
    PublicKeyRequest, Request, SERVICE_CONNECTION, SERVICE_USERAUTH, SSH_MSG_USERAUTH_BANNER,
    SSH_MSG_USERAUTH_FAILURE, SSH_MSG_USERAUTH_PK_OK, SSH_MSG_USERAUTH_SUCCESS, SecretBytes,
};
use crate::wire::{Malformed, Reader, Writer as _};
pub use credential::Credential;
use credential::{Kind, algorithm_for};
pub use event::ClientEvent;

/// Banners a server may send; each is shown or dropped by the owner at once.
const MAX_BANNERS: u32 = 100;
/// Rounds of prompts a server may ask for.
const MAX_ROUNDS: u32 = 100;

/// The state machine of one connection; see the module's picture.
///
/// ```
/// use bartizan_ssh::auth::client::{ClientAuth, Credential};
/// use bartizan_ssh::key::{KeyKind, PrivateKey};
/// use bartizan_ssh::wire::userauth::SSH_MSG_USERAUTH_REQUEST;
///
/// let key = PrivateKey::generate(KeyKind::Ed25519)?;
/// let mut auth = ClientAuth::new(b"session id", "root", vec![Credential::key(key)]);
/// let mut out = Vec::new();
/// auth.start(&mut out);
/// assert_eq!(**out.remove(0), *b"\x05\0\0\0\x0cssh-userauth");
/// assert!(auth.on_packet(b"\x06\0\0\0\x0cssh-userauth", &mut out)?.is_none());
/// assert_eq!(out[0][0], SSH_MSG_USERAUTH_REQUEST);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ClientAuth {
    session_id: Box<[u8]>,
    user: String,
    credentials: Vec<Slot>,
    server_sig_algs: Option<Vec<SignatureAlgorithm>>,
    host_blob: Option<Box<[u8]>>,
    state: State,
    /// *Authentications that can continue*; unknown until the first failure.
    left: Option<String>,
    tried: Vec<AuthMethod>,
    /// The credential tried last.
    last: Option<usize>,
    banners: u32,
    rounds: u32,
}

struct Slot {
    credential: Credential,
    spent: bool,
}

#[derive(Clone, Copy, Debug)]
enum State {
    New,
    Opening,
    /// `none` was sent.
    Asking,
    /// This credential is being tried.
    Trying(usize, Step),
    Ended,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// The server's verdict is awaited.
    Sent,
    /// PK_OK is awaited.
    Probed(PublicKeyAlgorithm),
    /// The owner is to sign.
    Signing(PublicKeyAlgorithm),
    /// The owner is to answer so many prompts.
    Prompted(usize),
    /// The owner is to change the password.
    Expired,
}

impl ClientAuth {
    /// Starts after the first key exchange, with its session identifier, when the host key was verified.
    pub fn new(session_id: &[u8], user: &str, credentials: Vec<Credential>) -> Self {
        Self {
            session_id: session_id.into(),
            user: user.to_owned(),
            credentials: credentials
                .into_iter()
                .map(|credential| Slot { credential, spent: false })
                .collect(),
            server_sig_algs: None,
            host_blob: None,
            state: State::New,
            left: None,
            tried: Vec::new(),
            last: None,
            banners: 0,
            rounds: 0,
        }
    }

    /// What the server verifies (`server-sig-algs`, RFC 8308), if it said so; chooses between RSA's two algorithms.
    ///
    /// Tell it before each payload: EXT_INFO comes after the server's NEWKEYS, so it is not known yet when the key exchange
    /// is complete, and is when SERVICE_ACCEPT comes.
    pub fn set_server_sig_algs(&mut self, algorithms: Option<&[SignatureAlgorithm]>) {
        self.server_sig_algs = algorithms.map(<[_]>::to_vec);
    }

    /// Given the host key blob, signatures cover it too. Only for servers that announced `publickey-hostbound@openssh.com`,
    /// which is known as late as `server-sig-algs`.
    pub fn set_hostbound(&mut self, host_blob: Option<&[u8]>) {
        self.host_blob = host_blob.map(Into::into);
    }

    /// Which of the credentials, counted from 0 in the order given, was tried last: after
    /// [`ClientEvent::Success`] the one that the server accepted. `None` when none was (the server accepted `none`).
    pub const fn last_tried(&self) -> Option<usize> {
        self.last
    }

    /// Requests the service `ssh-userauth`. Later calls do nothing.
    pub fn start(&mut self, out: &mut Vec<Payload>) {
        if matches!(self.state, State::New) {
            let mut request = Payload::default();
            request.put_u8(SSH_MSG_SERVICE_REQUEST);
            request.put_string(SERVICE_USERAUTH.as_bytes());
            out.push(request);
            self.state = State::Opening;
        }
    }

    /// Takes one payload.
    ///
    /// # Errors
    /// When the server breaks the protocol, or a key of ours cannot sign; disconnect with [`AuthError::disconnect_reason`].
    pub fn on_packet<'p>(
        &mut self,
        payload: &'p [u8],
        out: &mut Vec<Payload>,
    ) -> Result<Option<ClientEvent<'p>>, AuthError> {
        let result = self.step(payload, out);
        if result.is_err() {
            self.state = State::Ended;
        }
        result
    }

    /// Gives the signature blob that was asked for.
    ///
    /// # Errors
    /// [`AuthError::Misuse`] when none was asked for; [`AuthError::Signing`] when it is not a good one: then it may be given again,
    /// or skipped.
    pub fn signature(&mut self, signature: &[u8], out: &mut Vec<Payload>) -> Result<(), AuthError> {
        let State::Trying(index, Step::Signing(algorithm)) = self.state else {
            return Err(AuthError::Misuse("no signature was asked for"));
        };
        let Some(identity) = self.identity(index) else { return Err(AuthError::Misuse("no identity")) };
        let request = self.public_key_request(identity, algorithm, Some(signature));
        let data = request.signed_data(&self.session_id).unwrap_or_default();
        let _touch_is_for_the_server =
            identity.key().verify(algorithm.signature, &data, signature).map_err(AuthError::Signing)?;
        out.push(request.to_payload());
        self.state = State::Trying(index, Step::Sent);
        Ok(())
    }

    /// Answers the prompts.
    ///
    /// # Errors
    /// [`AuthError::Misuse`] when nothing was asked, or there are not as many responses as prompts.
    pub fn respond(&mut self, responses: &[&[u8]], out: &mut Vec<Payload>) -> Result<(), AuthError> {
        let State::Trying(index, Step::Prompted(prompts)) = self.state else {
            return Err(AuthError::Misuse("nothing was asked"));
        };
        if responses.len() != prompts {
            return Err(AuthError::Misuse("there must be as many responses as prompts"));
        }
        let responses = responses.iter().map(|response| SecretBytes(response)).collect();
        out.push(InfoResponse { responses }.to_payload());
        self.state = State::Trying(index, Step::Sent);
        Ok(())
    }

    /// Sends the old password and a new one.
    ///
    /// # Errors
    /// [`AuthError::Misuse`] when no change was asked for.
    pub fn change_password(&mut self, new: &Secret, out: &mut Vec<Payload>) -> Result<(), AuthError> {
        let State::Trying(index, Step::Expired) = self.state else {
            return Err(AuthError::Misuse("no change of password was asked for"));
        };
        let Some(Kind::Password(old)) = self.credentials.get(index).map(|slot| &slot.credential.0) else {
            return Err(AuthError::Misuse("no password"));
        };
        let method = Method::Password {
            password: SecretBytes(old.expose()),
            new_password: Some(SecretBytes(new.expose())),
        };
        out.push(self.request(method).to_payload());
        self.state = State::Trying(index, Step::Sent);
        Ok(())
    }

    /// Gives up the credential that is waiting for its owner, and goes on with the next.
    ///
    /// # Errors
    /// [`AuthError::Misuse`] when none is waiting; otherwise as [`Self::on_packet`].
    pub fn skip(&mut self, out: &mut Vec<Payload>) -> Result<Option<ClientEvent<'static>>, AuthError> {
        match self.state {
            State::Trying(_, Step::Signing(_) | Step::Prompted(_) | Step::Expired) => self.next(out),
            _ => Err(AuthError::Misuse("no credential is waiting for its owner")),
        }
    }

    fn step<'p>(
        &mut self,
        payload: &'p [u8],
        out: &mut Vec<Payload>,
    ) -> Result<Option<ClientEvent<'p>>, AuthError> {
        let number = *payload.first().ok_or(Malformed::new("message number"))?;
        match (self.state, number) {
            (State::Opening, SSH_MSG_SERVICE_ACCEPT) => self.opened(payload, out),
            (State::Asking | State::Trying(..), SSH_MSG_USERAUTH_BANNER) => self.banner(payload).map(Some),
            (State::Asking | State::Trying(_, Step::Sent | Step::Probed(_)), SSH_MSG_USERAUTH_FAILURE) => {
                self.left = Some(Failure::parse(payload)?.methods.as_str().to_owned());
                self.next(out)
            }
            (State::Asking | State::Trying(_, Step::Sent), SSH_MSG_USERAUTH_SUCCESS) => {
                Reader::new(&payload[1..]).end("SSH_MSG_USERAUTH_SUCCESS")?;
                self.state = State::Ended;
                Ok(Some(ClientEvent::Success))
            }
            (State::Trying(index, step @ (Step::Sent | Step::Probed(_))), SSH_MSG_USERAUTH_PK_OK) => {
                self.method_message(index, step, payload).map(Some)
            }
            (state, number) => Err(AuthError::Unexpected { number, state: state.waiting_for() }),
        }
    }

    fn opened(
        &mut self,
        payload: &[u8],
        out: &mut Vec<Payload>,
    ) -> Result<Option<ClientEvent<'static>>, AuthError> {
        let mut reader = Reader::new(payload);
        reader.u8("SSH_MSG_SERVICE_ACCEPT")?;
        if reader.string("service name")? != SERVICE_USERAUTH.as_bytes() {
            return Err(Malformed::new("SSH_MSG_SERVICE_ACCEPT: another service").into());
        }
        reader.end("SSH_MSG_SERVICE_ACCEPT")?;
        if self.candidate().is_some() {
            return self.next(out);
        }
        out.push(self.request(Method::None).to_payload());
        self.tried.push(AuthMethod::None);
        self.state = State::Asking;
        Ok(None)
    }

    fn banner<'p>(&mut self, payload: &'p [u8]) -> Result<ClientEvent<'p>, AuthError> {
        self.banners += 1;
        if self.banners > MAX_BANNERS {
            return Err(AuthError::TooMany("banners"));
        }
        Ok(ClientEvent::Banner(Banner::parse(payload)?.message))
    }

    /// Message 60, which means something else under each method.
    fn method_message<'p>(
        &mut self,
        index: usize,
        step: Step,
        payload: &'p [u8],
    ) -> Result<ClientEvent<'p>, AuthError> {
        match (self.credentials.get(index).map(|slot| &slot.credential.0), step) {
            (Some(Kind::External { identity }), Step::Probed(algorithm)) => {
                let ok = PkOk::parse(payload)?;
                if ok.algorithm != algorithm.name() || ok.blob != identity.blob() {
                    return Err(AuthError::WrongKeyAccepted);
                }
                let request = self.public_key_request(identity, algorithm, None);
                let data = request.signed_data(&self.session_id).unwrap_or_default();
                let identity = identity.clone();
                self.state = State::Trying(index, Step::Signing(algorithm));
                Ok(ClientEvent::NeedSignature { identity, algorithm, data })
            }
            (Some(Kind::Password(_)), Step::Sent) => {
                let prompt = PasswordChangeRequest::parse(payload)?.prompt;
                self.count_round()?;
                self.state = State::Trying(index, Step::Expired);
                Ok(ClientEvent::PasswordExpired { prompt })
            }
            (Some(Kind::KeyboardInteractive), Step::Sent) => {
                let request = InfoRequest::parse(payload)?;
                self.count_round()?;
                self.state = State::Trying(index, Step::Prompted(request.prompts.len()));
                Ok(ClientEvent::Prompt(request))
            }
            _ => {
                Err(AuthError::Unexpected { number: SSH_MSG_USERAUTH_PK_OK, state: self.state.waiting_for() })
            }
        }
    }

    fn count_round(&mut self) -> Result<(), AuthError> {
        self.rounds += 1;
        if self.rounds > MAX_ROUNDS { Err(AuthError::TooMany("prompts")) } else { Ok(()) }
    }

    /// Goes on with the next credential, or ends.
    fn next(&mut self, out: &mut Vec<Payload>) -> Result<Option<ClientEvent<'static>>, AuthError> {
        let Some(index) = self.candidate() else {
            self.state = State::Ended;
            let left = self.left.clone().unwrap_or_default();
            return Ok(Some(ClientEvent::Failure { left, tried: std::mem::take(&mut self.tried) }));
        };
        let (payload, step) = self.attempt(index)?;
        out.push(payload);
        self.credentials[index].spent = true;
        self.tried.push(self.credentials[index].credential.method());
        self.last = Some(index);
        self.state = State::Trying(index, step);
        Ok(None)
    }

    /// The first credential that was not tried yet and that the server might take.
    fn candidate(&self) -> Option<usize> {
        let listed = |method: AuthMethod| match &self.left {
            Some(left) => left.split(',').any(|name| name == method.name()),
            None => true,
        };
        self.credentials.iter().position(|slot| {
            let usable = slot.credential.identity().is_none_or(|identity| self.algorithm(identity).is_some());
            !slot.spent && usable && listed(slot.credential.method())
        })
    }

    /// The first request of a credential.
    fn attempt(&self, index: usize) -> Result<(Payload, Step), AuthError> {
        const UNUSABLE: AuthError = AuthError::Misuse("a credential that cannot be used");
        Ok(match &self.credentials[index].credential.0 {
            Kind::Own { identity, private } => {
                let algorithm = self.algorithm(identity).ok_or(UNUSABLE)?;
                let request = self.public_key_request(identity, algorithm, None);
                let data = request.signed_data(&self.session_id).unwrap_or_default();
                let signature = private.sign(algorithm.signature, &data).map_err(AuthError::Signing)?;
                let request = self.public_key_request(identity, algorithm, Some(&signature));
                (request.to_payload(), Step::Sent)
            }
            Kind::External { identity } => {
                let algorithm = self.algorithm(identity).ok_or(UNUSABLE)?;
                let request = self.public_key_request(identity, algorithm, None);
                (request.to_payload(), Step::Probed(algorithm))
            }
            Kind::Password(password) => {
                let password = SecretBytes(password.expose());
                let request = self.request(Method::Password { password, new_password: None });
                (request.to_payload(), Step::Sent)
            }
            Kind::KeyboardInteractive => {
                let request = self.request(Method::KeyboardInteractive { language: b"", submethods: b"" });
                (request.to_payload(), Step::Sent)
            }
        })
    }

    fn algorithm(&self, identity: &UserIdentity) -> Option<PublicKeyAlgorithm> {
        algorithm_for(identity, self.server_sig_algs.as_deref())
    }

    fn identity(&self, index: usize) -> Option<&UserIdentity> {
        self.credentials.get(index)?.credential.identity()
    }

    const fn request<'a>(&'a self, method: Method<'a>) -> Request<'a> {
        Request { user: self.user.as_str(), service: SERVICE_CONNECTION, method }
    }

    fn public_key_request<'a>(
        &'a self,
        identity: &'a UserIdentity,
        algorithm: PublicKeyAlgorithm,
        signature: Option<&'a [u8]>,
    ) -> Request<'a> {
        self.request(Method::PublicKey(PublicKeyRequest {
            algorithm: algorithm.name(),
            blob: identity.blob(),
            host_key: self.host_blob.as_deref(),
            signature,
        }))
    }
}

impl fmt::Debug for ClientAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientAuth")
            .field("user", &self.user)
            .field("state", &self.state)
            .field("left", &self.left)
            .field("tried", &self.tried)
            .finish_non_exhaustive()
    }
}

impl State {
    const fn waiting_for(self) -> &'static str {
        match self {
            Self::New => "before the service is requested",
            Self::Opening => "while the service is awaited",
            Self::Asking => "while the list of methods is awaited",
            Self::Trying(_, Step::Sent) => "while a verdict is awaited",
            Self::Trying(_, Step::Probed(_)) => "while an offered key is judged",
            Self::Trying(..) => "while it is the client's turn",
            Self::Ended => "after the end",
        }
    }
}
