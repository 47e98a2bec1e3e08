//! Our connection to the target: dial, verify its host key, only then log in.
//!
//! The order is the point of this room. [`connect`] takes a [`Logged`] grant, which exists only once
//! `session.start` is durable; the host key is judged in [`host_key`] before [`credential`] makes anything that
//! a target could keep.

mod agent;
mod credential;
mod dial;
mod error;
mod host_certificate;
mod host_key;
mod probe;

use std::cell::Cell;
use std::net::SocketAddr;
use std::time::Duration;

use bartizan_audit::Logged;
use bartizan_model::event::{Body, Severity};
use bartizan_model::{LoginName, Target, Timestamp, escape};
use bartizan_ssh::auth::client::{ClientAuth, ClientEvent};
use bartizan_ssh::auth::{AuthError, Secret};
use bartizan_ssh::key::HostIdentity;
use bartizan_ssh::transport::{DisconnectReason, Transport};
use bartizan_store::{DirectoryStore as _, PinOutcome};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub(crate) use dial::tune;
pub(crate) use error::ConnectError;
pub(crate) use host_certificate::HostCertificateFault;
pub(crate) use probe::{Probe, test};

use crate::evidence::fingerprint;
use crate::grant::Grant;
use crate::hop::{Hop, HopError, Step, now};
use crate::own::AgentDoor;
use crate::parts::Shared;
use crate::trail::Trail;
use credential::Credentials;
use host_key::Verified;

/// The SSH handshake may take so long.
const HANDSHAKE: Duration = Duration::from_secs(15);
/// Logging in may take so long.
const LOGIN: Duration = Duration::from_secs(30);
/// A goodbye may take so long.
const GOODBYE: Duration = Duration::from_millis(200);

/// An established, authenticated connection to a target.
pub(crate) struct Upstream {
    /// The connection.
    pub(crate) hop: Hop<TcpStream>,
    /// What `upstream.connect` says of it.
    pub(crate) connected: Body,
}

/// How far [`connect`] has come, for whoever drops it on the way: what a target may have been shown is on record.
#[derive(Default)]
pub(crate) struct Stage(Cell<Option<&'static str>>);

impl Stage {
    /// The stage as `upstream.fail` names it; none before the first.
    pub(crate) const fn reached(&self) -> Option<&'static str> {
        self.0.get()
    }

    fn reaches(&self, stage: &'static str) {
        self.0.set(Some(stage));
    }
}

/// Whom we log in as where, and what the certificate says it is for.
struct Errand<'a> {
    target: &'a Target,
    login: &'a LoginName,
    /// The host key that was verified.
    shown: &'a HostIdentity,
    /// The certificate's key id, which the target's `sshd` logs.
    key_id: String,
}

/// Dials the target of a logged grant, verifies its host key and logs in.
///
/// # Errors
/// Says at which stage it failed, in words for the person.
pub(crate) async fn connect(
    grant: &Logged<Grant>,
    agent: Option<&AgentDoor>,
    shared: &Shared,
    trail: &Trail,
    stage: &Stage,
) -> Result<Upstream, ConnectError> {
    let grant = grant.as_ref();
    stage.reaches("resolve");
    let addresses = dial::resolve(&grant.target).await?;
    stage.reaches("connect");
    let stream = dial::connect(addresses).await?;
    let address = stream.peer_addr().map_err(|error| dial::unusable(&error))?;
    let wanted = host_key::wanted_algorithms(&grant.target.host_key)?;
    let transport = Transport::client(shared.client_config(wanted), now())
        .map_err(|error| ConnectError::Handshake(error.into()))?;
    let mut hop = Hop::new(transport, stream);

    stage.reaches("handshake");
    let handshake = timeout(HANDSHAKE, handshake(&mut hop, &grant.target, shared, trail)).await;
    let (identity, verified) = match handshake {
        Ok(done) => done?,
        Err(_) => return Err(ConnectError::TimedOut { stage: "handshake", patience: HANDSHAKE }),
    };
    let key_id = format!("bartizan session={} person={}", grant.session, grant.who.person());
    let errand = Errand { target: &grant.target, login: &grant.login, shown: &identity, key_id };
    stage.reaches("authenticate");
    let credential = match timeout(LOGIN, login(&mut hop, &errand, agent, shared, verified)).await {
        Ok(done) => done?,
        Err(_) => return Err(ConnectError::TimedOut { stage: "authenticate", patience: LOGIN }),
    };
    let connected = describe(address, &identity, verified, credential, &hop);
    Ok(Upstream { hop, connected })
}

/// Key exchange up to a trusted host key.
async fn handshake(
    hop: &mut Hop<TcpStream>,
    target: &Target,
    shared: &Shared,
    trail: &Trail,
) -> Result<(HostIdentity, Verified), ConnectError> {
    let mut trusted = None;
    loop {
        match hop.next().await.map_err(ConnectError::Handshake)? {
            Step::HostKey(identity) => {
                let verdict = match host_key::verify(target, &identity, Timestamp::now().unix_seconds()) {
                    Ok(Verified::FirstUse) => pin(target, &identity, shared, trail).await,
                    verdict => verdict,
                };
                match verdict {
                    Ok(verified) => {
                        hop.transport
                            .accept_host_key()
                            .map_err(|error| ConnectError::Handshake(error.into()))?;
                        trusted = Some((*identity, verified));
                    }
                    Err(error) => {
                        hop.disconnect(
                            DisconnectReason::HostKeyNotVerifiable,
                            "host key not accepted",
                            GOODBYE,
                        )
                        .await;
                        return Err(error);
                    }
                }
            }
            Step::Established => {
                return trusted.ok_or(ConnectError::Ours {
                    what: "verify its host key",
                    error: "none was shown".into(),
                });
            }
            Step::Packet(_) => {} // The transport lets nothing of the upper layers through before.
        }
    }
}

/// First use: pins the key, unless another session was faster; then that key decides.
async fn pin(
    target: &Target,
    shown: &HostIdentity,
    shared: &Shared,
    trail: &Trail,
) -> Result<Verified, ConnectError> {
    let ours = |what, error: &dyn std::fmt::Display| ConnectError::Ours { what, error: error.to_string() };
    let host_key = fingerprint(shown.key());
    let logged = trail.append_for(Severity::Notice, Body::HostKeyFirstUse { host_key }, ()).await;
    logged.map_err(|error| ours("log the first use of its host key", &error))?;
    let line = shown.key().to_openssh("");
    match shared.store.pin_host_key(&target.name, line.trim()).await {
        Ok(PinOutcome::Pinned(_)) => Ok(Verified::FirstUse),
        Ok(PinOutcome::Already(host_key)) => {
            let target = Target { host_key, ..target.clone() };
            host_key::verify(&target, shown, Timestamp::now().unix_seconds())
        }
        Err(error) => Err(ours("pin its host key", &error)),
    }
}

/// User authentication. Gives what was used, as `upstream.connect` says it.
async fn login(
    hop: &mut Hop<TcpStream>,
    errand: &Errand<'_>,
    agent: Option<&AgentDoor>,
    shared: &Shared,
    verified: Verified,
) -> Result<String, ConnectError> {
    let session_id = hop.transport.session_id().unwrap_or_default().to_vec();
    // Known with the directory, so that only those who need the vault need its database.
    let stored = shared.directory().has_stored_credential(&errand.target.name, errand.login);
    let mut credentials = match stored {
        true => Credentials::from_vault(errand, &shared.keys, &shared.vault, verified).await?,
        false => Credentials::minted(errand, &shared.keys, verified)?,
    };
    credentials.ask_agent(errand, agent, &hop.transport).await?;
    let mut auth = ClientAuth::new(&session_id, errand.login.as_str(), credentials.take());
    let (mut out, mut expired) = (Vec::new(), false);
    auth.start(&mut out);
    loop {
        for payload in out.drain(..) {
            hop.send(&payload).map_err(|error| ConnectError::Login(error.into()))?;
        }
        let Step::Packet(payload) = hop.next().await.map_err(ConnectError::Login)? else { continue };
        // EXT_INFO comes after the key exchange is complete, and before the server's first answer.
        let extensions = hop.transport.peer_extensions();
        auth.set_server_sig_algs(extensions.server_sig_algs());
        auth.set_hostbound(hop.transport.host_blob().filter(|_| extensions.hostbound));
        let event = match auth.on_packet(&payload, &mut out).map_err(nonsense)? {
            Some(ClientEvent::Prompt(request)) => match credentials.answer(&request) {
                Some(answers) => {
                    let answers: Vec<&[u8]> = answers.iter().map(Secret::expose).collect();
                    auth.respond(&answers, &mut out).map_err(nonsense)?;
                    None
                }
                None => auth.skip(&mut out).map_err(nonsense)?,
            },
            Some(ClientEvent::NeedSignature { identity, algorithm, data }) => {
                match credentials.sign(&identity, algorithm.signature, &data).await {
                    // A signature that is none counts as a refusal of the agent.
                    Some(signature) if auth.signature(&signature, &mut out).is_ok() => None,
                    _ => auth.skip(&mut out).map_err(nonsense)?,
                }
            }
            Some(ClientEvent::PasswordExpired { .. }) => {
                expired = true;
                auth.skip(&mut out).map_err(nonsense)?
            }
            event => event,
        };
        match event {
            Some(ClientEvent::Success) => {
                return Ok(credentials
                    .used(auth.last_tried())
                    .map_or("none".into(), |used| used.to_string()));
            }
            Some(ClientEvent::Failure { left, .. }) => {
                hop.disconnect(DisconnectReason::NoMoreAuthMethodsAvailable, "no more credentials", GOODBYE)
                    .await;
                return Err(refused(errand, &credentials, &left, expired));
            }
            _ => {} // Banners of targets are not ours to show before the session.
        }
    }
}

fn nonsense(error: AuthError) -> ConnectError {
    ConnectError::AuthProtocol(error.to_string())
}

fn refused(errand: &Errand<'_>, credentials: &Credentials, left: &str, expired: bool) -> ConnectError {
    let (login, left) = (errand.login.to_string(), escape(left.as_bytes()));
    match credentials.stored() {
        None => ConnectError::Refused { login, left },
        Some(_) if expired => ConnectError::PasswordExpired { login, target: errand.target.name.clone() },
        Some(used) => ConnectError::StoredRefused {
            what: used.to_string(),
            login,
            left,
            target: errand.target.name.clone(),
        },
    }
}

fn describe(
    address: SocketAddr,
    identity: &HostIdentity,
    verified: Verified,
    credential: String,
    hop: &Hop<TcpStream>,
) -> Body {
    Body::UpstreamConnect {
        address,
        host_key: fingerprint(identity.key()),
        verified: verified.as_str().into(),
        credential,
        server: escape(hop.transport.peer_identification().unwrap_or_default()),
    }
}

impl From<HopError> for ConnectError {
    fn from(error: HopError) -> Self {
        Self::Login(error)
    }
}
