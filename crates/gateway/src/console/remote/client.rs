//! From a stream in memory to an authenticated connection with our own inner server.

use bartizan_model::{LoginName, TargetName};
use bartizan_ssh::auth::AuthError;
use bartizan_ssh::auth::client::{ClientAuth, ClientEvent};
use bartizan_ssh::transport::{Transport, TransportError};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::hop::{Hop, HopError, Step, now};
use crate::keys::MintError;
use crate::parts::Shared;

/// Why our own server was not reached. All of these are faults of ours, or the server is stopping.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoginError {
    #[error("the session could not be opened: {0}")]
    Hop(#[from] HopError),
    #[error("the session could not be opened: {0}")]
    Auth(#[from] AuthError),
    #[error("the session could not be opened: {0}")]
    Key(#[from] MintError),
    #[error("internal error: our own server showed another key, or asked for a credential")]
    NotOurs,
}

impl From<TransportError> for LoginError {
    fn from(error: TransportError) -> Self {
        Self::Hop(error.into())
    }
}

/// Greets our inner server, makes sure that it is ours, and names the login. It asks for nothing more: who the person
/// is was proven on their own connection.
pub(super) async fn log_in<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    login: &LoginName,
    target: &TargetName,
    shared: &Shared,
) -> Result<Hop<S>, LoginError> {
    let ours = shared.keys.inner_host_key(target, target.as_str())?;
    let mut hop = Hop::new(Transport::client(shared.client_config(None), now())?, stream);
    loop {
        match hop.next().await? {
            Step::HostKey(shown) if shown.key() == ours.public_key() => hop.transport.accept_host_key()?,
            Step::HostKey(_) => return Err(LoginError::NotOurs),
            Step::Established => break,
            Step::Packet(_) => {} // The transport lets nothing of the upper layers through before.
        }
    }
    let session_id = hop.transport.session_id().unwrap_or_default().to_vec();
    let mut auth = ClientAuth::new(&session_id, login.as_str(), Vec::new());
    let mut out = Vec::new();
    auth.start(&mut out);
    loop {
        for payload in out.drain(..) {
            hop.send(&payload)?;
        }
        let Step::Packet(payload) = hop.next().await? else { continue };
        match auth.on_packet(&payload, &mut out)? {
            Some(ClientEvent::Success) => return Ok(hop),
            None | Some(ClientEvent::Banner(_)) => {}
            Some(_) => return Err(LoginError::NotOurs),
        }
    }
}
