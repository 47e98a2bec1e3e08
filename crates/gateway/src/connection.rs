//! One client connection of the listener: identify, then serve what its user name asks for.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bartizan_model::Way;
use bartizan_model::event::{Body, Severity};
use bartizan_ssh::transport::Transport;
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::address::Address;
use crate::admission::Place;
use crate::hop::{Hop, now};
use crate::identify::{Attempt, Identified, Unidentified, client_of, identify, severity};
use crate::own;
use crate::parts::Shared;
use crate::session::{self, Destination, Visit};
use crate::trail::Trail;

/// A goodbye to somebody unknown may take so long.
const GOODBYE: Duration = Duration::from_millis(500);

/// Serves a connection until it is over. Never panics on what a peer sends; if something does, this task alone ends.
pub(crate) async fn serve(stream: TcpStream, source: SocketAddr, mut place: Place, shared: Arc<Shared>) {
    let trail = Trail::new(&shared, Some(source));
    let transport = match Transport::server(shared.outer_config(), now()) {
        Ok(transport) => transport,
        Err(error) => return tracing::error!(%source, %error, "cannot serve a connection"),
    };
    let mut hop = Hop::new(transport, stream);
    let mut attempt = Attempt::default();
    let identified = tokio::select! {
        identified = identify(&mut hop, &shared, source.ip(), trail.clone(), &mut attempt) => identified,
        () = place.evicted() => Err(Unidentified::Evicted),
        () = sleep(shared.settings().login_grace) => Err(Unidentified::TooSlow),
        () = shared.stopping() => Err(Unidentified::Stopping),
    };
    drop(place);
    match identified {
        Ok(Identified { who, address: Address::Own(_), trail }) => {
            own::serve(hop, who, source, trail, shared).await
        }
        Ok(Identified { who, address: Address::Target { login, target, .. }, trail }) => {
            let host_keys = shared.keys.host_keys.clone();
            let destination = Destination::Named(target);
            let visit =
                Visit { who, source, way: Way::UserName, login, destination, agent: None, trail, host_keys };
            session::run(hop, visit, shared).await;
        }
        Err(error) => {
            shared.counts.refused(error.kind());
            reject(hop, attempt, &error, &trail, source).await;
        }
    }
}

/// Says goodbye to somebody unknown, and logs what they tried.
async fn reject(
    mut hop: Hop<TcpStream>,
    attempt: Attempt,
    error: &Unidentified,
    trail: &Trail,
    source: SocketAddr,
) {
    tracing::debug!(%source, %error, "nobody identified");
    let client = client_of(&hop);
    let severity = severity(error);
    let event = attempt.event(error, client).or_else(|| {
        // Port scanners and health checks connect and leave: no event for them.
        (severity > Severity::Info).then(|| Body::ConnectionRefuse { reason: error.to_string() })
    });
    if let Some(event) = event
        && let Err(error) = trail.failed(severity, event)
    {
        tracing::error!(%error, "cannot log a rejected login");
    }
    let (reason, text) = error.disconnect();
    hop.disconnect(reason, &text, GOODBYE).await;
}
