//! The server's side of user authentication.
//!
//! ```text
//!           SERVICE_REQUEST         USERAUTH_REQUEST            accept
//!   Opening ────────────────► Idle ──────────────────► Pending ────────► Done
//!                              ▲    pk_ok, reject,      │   ▲
//!                              ├────partial_success─────┤   │ INFO_RESPONSE
//!                              │                prompt  ▼   │
//!                              └─────────────────────Prompting
//! ```
//!
//! A request that is pending is answered before the next packet is fed; the owner may take its time, that is what stops a client
//! from trying in parallel. Each message that is not on the picture ends the connection.

mod judge;
mod limits;
mod request;

use std::fmt;

use super::{AuthError, AuthMethod, Secret};
use crate::key::shown;
use crate::wire::transport::{SSH_MSG_SERVICE_ACCEPT, SSH_MSG_SERVICE_REQUEST};
use crate::wire::userauth::{
    Banner, InfoRequest, InfoResponse, Method, Payload, PkOk, Prompt, Request, SERVICE_USERAUTH,
    SSH_MSG_USERAUTH_FAILURE, SSH_MSG_USERAUTH_INFO_RESPONSE, SSH_MSG_USERAUTH_REQUEST,
    SSH_MSG_USERAUTH_SUCCESS,
};
use crate::wire::{Reader, Writer as _};
use judge::{Binding, judge};
pub use limits::AuthLimits;
use request::Pending;
pub use request::{AuthRequest, OfferedKey, ProvenKey, RequestFault};

/// The state machine of one connection; see the module's picture.
///
/// ```
/// use bartizan_ssh::auth::AuthMethod;
/// use bartizan_ssh::auth::server::{AuthLimits, AuthRequest, ServerAuth};
/// use bartizan_ssh::wire::userauth::{Request, SSH_MSG_USERAUTH_FAILURE};
///
/// let mut auth = ServerAuth::new(b"session id", b"host key blob", AuthLimits::default());
/// let mut out = Vec::new();
/// assert!(auth.on_packet(b"\x05\0\0\0\x0cssh-userauth", &mut out)?.is_none());
/// match auth.on_packet(&Request::none("alice").to_payload(), &mut out)? {
///     Some(AuthRequest::None { user }) if user == "alice" => auth.reject(&[AuthMethod::PublicKey], &mut out)?,
///     other => unreachable!("{other:?}"),
/// }
/// assert_eq!(out[1][0], SSH_MSG_USERAUTH_FAILURE);
/// # Ok::<(), bartizan_ssh::auth::AuthError>(())
/// ```
pub struct ServerAuth {
    session_id: Box<[u8]>,
    host_blob: Box<[u8]>,
    limits: AuthLimits,
    state: State,
    /// User and service of the last request.
    subject: Option<(String, String)>,
    generation: u32,
    passed: Vec<AuthMethod>,
    tries: u32,
    offers: u32,
    nones: u32,
}

enum State {
    Opening,
    Idle,
    Pending(Pending),
    Prompting {
        prompts: usize,
    },
    Done,
    /// An error was returned; nothing is taken any more.
    Ended,
}

impl ServerAuth {
    /// Starts after the first key exchange: with its session identifier, and the host key blob that the client was shown.
    pub fn new(session_id: &[u8], host_blob: &[u8], limits: AuthLimits) -> Self {
        Self {
            session_id: session_id.into(),
            host_blob: host_blob.into(),
            limits,
            state: State::Opening,
            subject: None,
            generation: 0,
            passed: Vec::new(),
            tries: 0,
            offers: 0,
            nones: 0,
        }
    }

    /// Takes one payload. A request, if one is returned, must be answered before the next payload.
    ///
    /// # Errors
    /// When the client breaks the protocol or a limit; disconnect with [`AuthError::disconnect_reason`].
    pub fn on_packet(
        &mut self,
        payload: &[u8],
        out: &mut Vec<Payload>,
    ) -> Result<Option<AuthRequest>, AuthError> {
        if matches!(self.state, State::Pending(_)) {
            return Err(AuthError::Misuse("a request is still waiting for its answer"));
        }
        let result = self.step(payload, out);
        if result.is_err() {
            self.state = State::Ended;
        }
        result
    }

    fn step(&mut self, payload: &[u8], out: &mut Vec<Payload>) -> Result<Option<AuthRequest>, AuthError> {
        let number = *payload.first().unwrap_or(&0);
        if payload.len() > self.limits.packet_bytes {
            return Err(AuthError::TooLong("message"));
        }
        match (&self.state, number) {
            (State::Opening, SSH_MSG_SERVICE_REQUEST) => self.open(payload, out).map(|()| None),
            (State::Idle | State::Prompting { .. }, SSH_MSG_USERAUTH_REQUEST) => {
                self.request(payload).map(Some)
            }
            (&State::Prompting { prompts }, SSH_MSG_USERAUTH_INFO_RESPONSE) => {
                self.responses(payload, prompts).map(Some)
            }
            // RFC 4252 §5.1: requests that come after success are silently ignored.
            (State::Done, SSH_MSG_USERAUTH_REQUEST) => Ok(None),
            (state, number) => Err(AuthError::Unexpected { number, state: state.waiting_for() }),
        }
    }

    /// Answers an offered key: worth a signature.
    ///
    /// # Errors
    /// [`AuthError::Misuse`] when no offered key is pending.
    pub fn pk_ok(&mut self, out: &mut Vec<Payload>) -> Result<(), AuthError> {
        let State::Pending(Pending::Offered { algorithm, blob }) = &self.state else {
            return Err(AuthError::Misuse("PK_OK answers an offered key only"));
        };
        out.push(PkOk { algorithm, blob }.to_payload());
        self.state = State::Idle;
        Ok(())
    }

    /// Answers: authenticated. The connection protocol begins.
    ///
    /// # Errors
    /// [`AuthError::Misuse`] when nothing is pending, or the pending request proves nothing: a key that was merely offered, or an
    /// invalid request. Then nothing is sent.
    pub fn accept(&mut self, out: &mut Vec<Payload>) -> Result<(), AuthError> {
        self.evidence()?;
        out.push(Payload::new(vec![SSH_MSG_USERAUTH_SUCCESS]));
        self.state = State::Done;
        Ok(())
    }

    /// Answers: good, but one of `methods` is wanted too. [`Self::passed`] remembers what was good, until the user name changes.
    ///
    /// # Errors
    /// As [`Self::accept`], and when `methods` is empty.
    pub fn partial_success(
        &mut self,
        methods: &[AuthMethod],
        out: &mut Vec<Payload>,
    ) -> Result<(), AuthError> {
        let passed = self.evidence()?;
        if methods.is_empty() {
            return Err(AuthError::Misuse("partial success must name what can continue"));
        }
        self.passed.push(passed);
        self.state = State::Idle;
        out.push(failure(methods, true));
        Ok(())
    }

    /// Answers: no. `methods` can continue.
    ///
    /// # Errors
    /// [`AuthError::TooManyTries`] when that was the last try; nothing is sent but the disconnect that the caller sends.
    /// [`AuthError::Misuse`] when nothing is pending.
    pub fn reject(&mut self, methods: &[AuthMethod], out: &mut Vec<Payload>) -> Result<(), AuthError> {
        let State::Pending(pending) = &self.state else {
            return Err(AuthError::Misuse("nothing is pending"));
        };
        let counted = match pending {
            Pending::Offered { .. } | Pending::Invalid { offer: true } => false,
            // The first `none` is how clients ask for the list of methods.
            Pending::Evidence(AuthMethod::None) if self.nones == 1 => false,
            Pending::Evidence(_) | Pending::Invalid { offer: false } => true,
        };
        self.tries = self.tries.saturating_add(u32::from(counted));
        if counted && self.tries >= self.limits.tries {
            self.state = State::Ended;
            return Err(AuthError::TooManyTries);
        }
        self.state = State::Idle;
        out.push(failure(methods, false));
        Ok(())
    }

    /// Answers `keyboard-interactive` or its responses with prompts; without any, as RFC 4256 §3.2 allows, the client sends an
    /// empty response. Each prompt is its text and whether the answer may be seen.
    ///
    /// # Errors
    /// [`AuthError::Misuse`] when the pending request is another, or there are more than 100 prompts.
    pub fn prompt(
        &mut self,
        name: &str,
        instruction: &str,
        prompts: &[(&str, bool)],
        out: &mut Vec<Payload>,
    ) -> Result<(), AuthError> {
        if !matches!(self.state, State::Pending(Pending::Evidence(AuthMethod::KeyboardInteractive))) {
            return Err(AuthError::Misuse("prompts answer keyboard-interactive only"));
        }
        if prompts.len() > crate::wire::userauth::MAX_PROMPTS {
            return Err(AuthError::Misuse("too many prompts"));
        }
        let request = InfoRequest {
            name: name.as_bytes(),
            instruction: instruction.as_bytes(),
            language: b"",
            prompts: prompts.iter().map(|&(text, echo)| Prompt { text: text.as_bytes(), echo }).collect(),
        };
        out.push(request.to_payload());
        self.state = State::Prompting { prompts: prompts.len() };
        Ok(())
    }

    /// Sends text to be shown before authentication is complete; the pending request stays pending.
    ///
    /// # Errors
    /// [`AuthError::Misuse`] before the service was requested and after success.
    pub fn banner(&self, text: &str, out: &mut Vec<Payload>) -> Result<(), AuthError> {
        if matches!(self.state, State::Opening | State::Done | State::Ended) {
            return Err(AuthError::Misuse("a banner belongs into the authentication"));
        }
        out.push(Banner { message: text.as_bytes(), language: b"" }.to_payload());
        Ok(())
    }

    /// A number that changes whenever the client changes the user name or service. Evidence gathered under another number is void.
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// What has succeeded in part, in order, for the user name of the last request. Emptied when that changes.
    pub fn passed(&self) -> &[AuthMethod] {
        &self.passed
    }

    /// True after [`Self::accept`].
    pub const fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    fn evidence(&self) -> Result<AuthMethod, AuthError> {
        match &self.state {
            State::Pending(Pending::Evidence(method)) => Ok(*method),
            State::Pending(Pending::Offered { .. }) => {
                Err(AuthError::Misuse("an offered key proves nothing"))
            }
            State::Pending(Pending::Invalid { .. }) => {
                Err(AuthError::Misuse("an invalid request proves nothing"))
            }
            _ => Err(AuthError::Misuse("nothing is pending")),
        }
    }

    fn open(&mut self, payload: &[u8], out: &mut Vec<Payload>) -> Result<(), AuthError> {
        let mut reader = Reader::new(payload);
        reader.u8("SSH_MSG_SERVICE_REQUEST")?;
        let service = reader.string("service name")?;
        reader.end("SSH_MSG_SERVICE_REQUEST")?;
        if service != SERVICE_USERAUTH.as_bytes() {
            return Err(AuthError::ServiceNotAvailable(shown(service)));
        }
        let mut accept = Payload::default();
        accept.put_u8(SSH_MSG_SERVICE_ACCEPT);
        accept.put_string(service);
        out.push(accept);
        self.state = State::Idle;
        Ok(())
    }

    fn request(&mut self, payload: &[u8]) -> Result<AuthRequest, AuthError> {
        let request = Request::parse(payload)?;
        if request.user.len() > self.limits.user_name_bytes {
            return Err(AuthError::TooLong("user name"));
        }
        self.follow(&request);
        self.count(&request.method)?;
        let binding = Binding { session_id: &self.session_id, host_blob: &self.host_blob };
        let (pending, event) = match judge(&request, &binding, &self.limits) {
            Ok(judged) => judged,
            Err(fault) => {
                let offer = matches!(request.method, Method::PublicKey(key) if key.signature.is_none());
                let method = shown(request.method.name().as_bytes());
                (
                    Pending::Invalid { offer },
                    AuthRequest::Invalid { user: request.user.to_owned(), method, fault },
                )
            }
        };
        self.state = State::Pending(pending);
        Ok(event)
    }

    /// RFC 4252 §5: accumulated state is flushed when the user name or the service name changes.
    fn follow(&mut self, request: &Request<'_>) {
        let same = self
            .subject
            .as_ref()
            .is_some_and(|(user, service)| user == request.user && service == request.service);
        if !same {
            self.subject = Some((request.user.to_owned(), request.service.to_owned()));
            self.generation = self.generation.wrapping_add(1);
            self.passed.clear();
        }
    }

    /// Counts what may be repeated without being a try.
    fn count(&mut self, method: &Method<'_>) -> Result<(), AuthError> {
        match method {
            Method::None => self.nones = self.nones.saturating_add(1),
            Method::PublicKey(key) if key.signature.is_none() => {
                self.offers = self.offers.saturating_add(1);
                if self.offers > self.limits.offered_keys {
                    return Err(AuthError::TooManyTries);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn responses(&mut self, payload: &[u8], wanted: usize) -> Result<AuthRequest, AuthError> {
        let responses = InfoResponse::parse(payload)?.responses;
        let user = self.subject.as_ref().map(|(user, _)| user.clone()).unwrap_or_default();
        let method = AuthMethod::KeyboardInteractive;
        let fault = if responses.len() != wanted {
            Some(RequestFault::ResponseCount { got: responses.len(), wanted })
        } else if responses.iter().any(|response| response.0.len() > self.limits.secret_bytes) {
            Some(RequestFault::TooLong("response"))
        } else {
            None
        };
        if let Some(fault) = fault {
            self.state = State::Pending(Pending::Invalid { offer: false });
            return Ok(AuthRequest::Invalid { user, method: method.name().to_owned(), fault });
        }
        self.state = State::Pending(Pending::Evidence(method));
        let responses = responses.iter().map(|response| Secret::new(response.0)).collect();
        Ok(AuthRequest::Responses { user, responses })
    }
}

impl fmt::Debug for ServerAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerAuth")
            .field("state", &self.state.waiting_for())
            .field("subject", &self.subject)
            .field("passed", &self.passed)
            .field("tries", &self.tries)
            .field("offers", &self.offers)
            .finish_non_exhaustive()
    }
}

impl State {
    const fn waiting_for(&self) -> &'static str {
        match self {
            Self::Opening => "before the service is requested",
            Self::Idle => "while a userauth request is awaited",
            Self::Pending(_) => "while a request is pending",
            Self::Prompting { .. } => "while responses are awaited",
            Self::Done => "after authentication",
            Self::Ended => "after the end",
        }
    }
}

fn failure(methods: &[AuthMethod], partial_success: bool) -> Payload {
    let mut out = Payload::default();
    out.put_u8(SSH_MSG_USERAUTH_FAILURE);
    (*out).put_name_list(methods.iter().map(|method| method.name()));
    out.put_bool(partial_success);
    out
}
