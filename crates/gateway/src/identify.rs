//! Who is there: the SSH handshake and user authentication of a client.

use std::net::IpAddr;

use bartizan_access::{self as access, Authenticated};
use bartizan_model::event::{Body, Outcome, Severity};
use bartizan_model::{Fingerprint, LoginName, Timestamp, escape};
use bartizan_ssh::auth::server::{AuthLimits, AuthRequest, OfferedKey, ProvenKey, ServerAuth};
use bartizan_ssh::auth::{AuthError, AuthMethod};
use bartizan_ssh::transport::{DisconnectReason, TransportError};
use bartizan_ssh::wire::userauth::Payload;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::address::Address;
use crate::evidence;
use crate::hop::{Hop, HopError, Step};
use crate::parts::Shared;
use crate::trail::Trail;

/// What clients are told they can authenticate with.
const METHODS: [AuthMethod; 1] = [AuthMethod::PublicKey];
/// Most bytes of a peer's text in an event, before escaping.
const TEXT_BYTES: usize = 256;
/// Most reasons in an event, each once.
const REASONS: usize = 4;

/// A client whose person is known.
pub(crate) struct Identified {
    /// Who, and how they proved it.
    pub(crate) who: Authenticated,
    /// What their user name asks for.
    pub(crate) address: Address,
    /// The trail with person and method filled in.
    pub(crate) trail: Trail,
}

/// Why nobody was identified.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unidentified {
    /// The handshake failed or the client left.
    #[error(transparent)]
    Hop(#[from] HopError),
    /// The client broke the authentication protocol, or tried too often.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The audit log can't be written.
    #[error("the audit log cannot be written: {0}")]
    Log(#[from] bartizan_audit::LogError),
    /// It took too long.
    #[error("no login within the grace time")]
    TooSlow,
    /// Another unauthenticated connection took the place.
    #[error("too many unauthenticated connections from this source")]
    Evicted,
    /// Its source has opened too many, too fast.
    #[error("too many connections without a login from this source, too fast")]
    TooFast,
    /// The server stops.
    #[error("the server is stopping")]
    Stopping,
}

impl From<TransportError> for Unidentified {
    fn from(error: TransportError) -> Self {
        Self::Hop(error.into())
    }
}

impl Unidentified {
    /// The reason in one word, for counting.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Hop(_) | Self::Auth(_) => "protocol",
            Self::Log(_) => "log",
            Self::TooSlow => "timeout",
            Self::Evicted => "limit",
            Self::TooFast => "rate",
            Self::Stopping => "stopping",
        }
    }

    /// What the client is told.
    pub(crate) fn disconnect(&self) -> (DisconnectReason, String) {
        match self {
            Self::Auth(error) => (error.disconnect_reason(), "bartizan: authentication failed".into()),
            Self::Hop(_) | Self::TooSlow | Self::Evicted | Self::TooFast | Self::Stopping => {
                (DisconnectReason::ByApplication, format!("bartizan: {self}"))
            }
            Self::Log(_) => {
                (DisconnectReason::ByApplication, "bartizan: the audit log cannot be written".into())
            }
        }
    }
}

/// What was tried, for `auth.reject`: the last user name and key, and why nothing was enough. Clients try a certificate first
/// and then its key by itself, so the last reason alone would tell nothing of the certificate.
#[derive(Default)]
pub(crate) struct Attempt {
    user: Option<String>,
    key: Option<Fingerprint>,
    whys: Vec<String>,
}

impl Attempt {
    /// The event of a connection on which nobody was identified; `None` when nothing was tried.
    pub(crate) fn event(self, error: &Unidentified, client: String) -> Option<Body> {
        let user = self.user?;
        let reason = match &*self.whys {
            [] => error.to_string(),
            whys => format!("{} ({error})", whys.join("; ")),
        };
        Some(Body::AuthReject { user, key: self.key, reason, client })
    }
}

/// The client's identification, escaped.
pub(crate) fn client_of<S: AsyncRead + AsyncWrite + Unpin>(hop: &Hop<S>) -> String {
    escape(hop.transport.peer_identification().unwrap_or_default())
}

/// Waits until the first key exchange is complete.
pub(crate) async fn establish<S: AsyncRead + AsyncWrite + Unpin>(hop: &mut Hop<S>) -> Result<(), HopError> {
    while !matches!(hop.next().await?, Step::Established) {}
    Ok(())
}

/// The protocol of one client's authentication: requests come out, our answers go in.
struct Asked {
    auth: ServerAuth,
    out: Vec<Payload>,
}

impl Asked {
    /// Runs the handshake.
    async fn after_handshake<S: AsyncRead + AsyncWrite + Unpin>(hop: &mut Hop<S>) -> Result<Self, HopError> {
        establish(hop).await?;
        let session_id = hop.transport.session_id().unwrap_or_default();
        let host_key = hop.transport.host_blob().unwrap_or_default();
        Ok(Self { auth: ServerAuth::new(session_id, host_key, AuthLimits::default()), out: Vec::new() })
    }

    /// Sends the answers so far and waits for the next request.
    async fn next<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        hop: &mut Hop<S>,
    ) -> Result<AuthRequest, Unidentified> {
        loop {
            self.send(hop)?;
            let Step::Packet(payload) = hop.next().await? else { continue };
            if let Some(request) = self.auth.on_packet(&payload, &mut self.out)? {
                return Ok(request);
            }
        }
    }

    fn send<S: AsyncRead + AsyncWrite + Unpin>(&mut self, hop: &mut Hop<S>) -> Result<(), TransportError> {
        self.out.drain(..).try_for_each(|payload| hop.send_reply(&payload))
    }

    /// An offered key would do: its signature is asked for.
    fn pk_ok(&mut self) -> Result<(), AuthError> {
        self.auth.pk_ok(&mut self.out)
    }

    fn accept(&mut self) -> Result<(), AuthError> {
        self.auth.accept(&mut self.out)
    }

    fn reject(&mut self) -> Result<(), AuthError> {
        self.auth.reject(&METHODS, &mut self.out)
    }

    /// Says why, first.
    fn reject_with(&mut self, why: &str) -> Result<(), AuthError> {
        self.auth.banner(why, &mut self.out)?;
        self.reject()
    }
}

/// Runs handshake and authentication of a client of the listener.
///
/// # Errors
/// Why nobody was identified. `attempt` keeps what was tried.
pub(crate) async fn identify<S: AsyncRead + AsyncWrite + Unpin>(
    hop: &mut Hop<S>,
    shared: &Shared,
    source: IpAddr,
    trail: Trail,
    attempt: &mut Attempt,
) -> Result<Identified, Unidentified> {
    let mut asked = Asked::after_handshake(hop).await?;
    loop {
        let request = asked.next(hop).await?;
        attempt.user = Some(shown(request.user()));
        match request {
            AuthRequest::Offered(key) => {
                attempt.key = Some(evidence::fingerprint(key.key()));
                match worth_a_signature(&key, shared, source) {
                    Ok(()) => asked.pk_ok()?,
                    Err(why) => refuse(&mut asked, attempt, why)?,
                }
            }
            AuthRequest::Proven(key) => {
                attempt.key = Some(evidence::fingerprint(key.key()));
                match admit(&key, shared, source) {
                    Ok((who, address)) => {
                        asked.accept()?;
                        let urgent = shared.directory().has_break_glass(&who);
                        let trail =
                            trail.identified(who.person().clone(), who.method().to_owned()).urgent(urgent);
                        // Durable with the events that follow, before anything is reached.
                        let event = accepted(&key, &who, client_of(hop));
                        let _pending = trail.unhurried(Outcome::Success, Severity::Info, event)?;
                        asked.send(hop)?;
                        return Ok(Identified { who, address, trail });
                    }
                    Err(why) => refuse(&mut asked, attempt, why)?,
                }
            }
            AuthRequest::Invalid { fault, .. } => refuse(&mut asked, attempt, fault.to_string())?,
            AuthRequest::None { .. } => asked.reject()?,
            _ => refuse(&mut asked, attempt, "this method is not offered".into())?,
        }
    }
}

fn refuse(asked: &mut Asked, attempt: &mut Attempt, why: String) -> Result<(), AuthError> {
    if attempt.whys.len() < REASONS && !attempt.whys.contains(&why) {
        attempt.whys.push(why);
    }
    asked.reject()
}

/// Whether an offered key would do if it were proven. Proves nothing.
fn worth_a_signature(key: &OfferedKey, shared: &Shared, source: IpAddr) -> Result<(), String> {
    let address = Address::parse(key.user()).map_err(|error| error.to_string())?;
    let asked = access::Attempt { named: address.person(), source };
    let evidence = evidence::of(key.identity())?;
    shared.directory().acceptable(&evidence, &asked, Timestamp::now()).map_err(|why| why.to_string())
}

/// Turns a proven key into a person.
fn admit(key: &ProvenKey, shared: &Shared, source: IpAddr) -> Result<(Authenticated, Address), String> {
    let address = Address::parse(key.user()).map_err(|error| error.to_string())?;
    if key.sk().is_some_and(|flags| !flags.user_present) {
        return Err("the hardware key was not touched".into());
    }
    let asked = access::Attempt { named: address.person(), source };
    let evidence = evidence::of(key.identity())?;
    let who =
        shared.directory().authenticate(evidence, &asked, Timestamp::now()).map_err(|why| why.to_string())?;
    Ok((who, address))
}

fn accepted(key: &ProvenKey, who: &Authenticated, client: String) -> Body {
    Body::AuthAccept { user: shown(key.user()), key: Some(who.key()), certificate: who.certificate(), client }
}

/// Runs handshake and authentication of an inner client: the outer connection has proved who it is, so only the
/// login is asked for, and nothing else.
///
/// # Errors
/// Why it came to nothing.
pub(crate) async fn identify_inner<S: AsyncRead + AsyncWrite + Unpin>(
    hop: &mut Hop<S>,
) -> Result<LoginName, Unidentified> {
    let mut asked = Asked::after_handshake(hop).await?;
    loop {
        let request = asked.next(hop).await?;
        let login = match LoginName::new(request.user()) {
            Ok(login) => login,
            Err(why) => {
                asked.reject_with(&format!("bartizan: {why}\r\n"))?;
                continue;
            }
        };
        match request {
            // A client that starts with a key is asked for its signature, since the protocol wants one.
            AuthRequest::Offered(_) => asked.pk_ok()?,
            AuthRequest::Invalid { .. } => asked.reject()?,
            _ => {
                asked.accept()?;
                asked.send(hop)?;
                return Ok(login);
            }
        }
    }
}

/// A peer's text, escaped and cut.
fn shown(text: &str) -> String {
    escape(&text.as_bytes()[..text.floor_char_boundary(TEXT_BYTES)])
}

/// How a failure to identify is weighed: leaving is everyday, guessing is not.
pub(crate) const fn severity(error: &Unidentified) -> Severity {
    match error {
        Unidentified::Hop(_) | Unidentified::Stopping => Severity::Info,
        Unidentified::Auth(_) | Unidentified::TooSlow | Unidentified::Evicted | Unidentified::TooFast => {
            Severity::Notice
        }
        Unidentified::Log(_) => Severity::High,
    }
}
