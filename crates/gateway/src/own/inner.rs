//! The SSH server at the inner end of a stream: inside the `direct-tcpip` channel of `ProxyJump`, or behind the
//! console's `ssh`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bartizan_access::Authenticated;
use bartizan_model::{Target, Way};
use bartizan_ssh::transport::Transport;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::sleep;

use super::AgentDoor;
use crate::hop::{Hop, now};
use crate::identify::{Unidentified, identify_inner};
use crate::parts::Shared;
use crate::session::{self, Destination, Visit};
use crate::trail::Trail;

/// A goodbye may take so long.
const GOODBYE: Duration = Duration::from_secs(1);

/// Who comes, from where, and where they want to go.
pub(crate) struct Inner {
    pub(crate) who: Authenticated,
    pub(crate) source: SocketAddr,
    pub(crate) way: Way,
    pub(crate) target: Target,
    /// The target's name as the client wrote it.
    pub(crate) requested: String,
    /// The person's forwarded agent, where there is one to log in upstream with.
    pub(crate) agent: Option<AgentDoor>,
    pub(crate) trail: Trail,
    pub(crate) shared: Arc<Shared>,
}

/// Answers on the stream until the session is over.
pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin + 'static>(stream: S, inner: Inner) {
    let Inner { who, source, way, target, requested, agent, trail, shared } = inner;
    let host_key = match shared.keys.inner_host_key(&target.name, &requested) {
        Ok(host_key) => host_key,
        Err(error) => return tracing::error!(%error, "cannot make a host key for an inner connection"),
    };
    let host_keys = vec![host_key];
    let transport =
        match Transport::server(Arc::new(shared.settings().server_config(host_keys.clone())), now()) {
            Ok(transport) => transport,
            Err(error) => return tracing::error!(%error, "cannot serve an inner connection"),
        };
    let mut hop = Hop::new(transport, stream);
    let login = tokio::select! {
        login = identify_inner(&mut hop) => login,
        () = sleep(shared.settings().login_grace) => Err(Unidentified::TooSlow),
        () = shared.stopping() => Err(Unidentified::Stopping),
    };
    match login {
        Ok(login) => {
            let destination = Destination::Found(Box::new(target));
            let visit = Visit { who, source, way, login, destination, agent, trail, host_keys };
            session::run(hop, visit, shared).await;
        }
        Err(error) => {
            tracing::debug!(%error, "an inner connection came to nothing");
            let (reason, text) = error.disconnect();
            hop.disconnect(reason, &text, GOODBYE).await;
        }
    }
}
