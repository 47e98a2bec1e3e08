//! One client connection of the listener: identify, then serve what its user name asks for.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bartizan_model::Way;
use bartizan_model::event::{Body, Outcome, Severity};
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

/// A connection whose source opens too many, too fast, waits so long for its turn …
const PATIENCE: Duration = Duration::from_secs(5);
/// … and asks for it this often: whose it is next is chance, so that whoever makes the queue does not own it.
const TURN_AGAIN: Duration = Duration::from_millis(50);
/// A goodbye to somebody unknown may take so long.
const GOODBYE: Duration = Duration::from_millis(500);

/// Serves a connection until it is over. Never panics on what a peer sends; if something does, this task alone ends.
pub(crate) async fn serve(stream: TcpStream, source: SocketAddr, mut place: Place, shared: Arc<Shared>) {
    let trail = Trail::new(&shared, Some(source));
    if let Err(error) = turn(&mut place, &shared).await {
        // Nobody was greeted: nothing was said that a goodbye could follow.
        return told(Attempt::default(), &error, String::new(), &trail, source, &shared);
    }
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
    match identified {
        Ok(_) => place.identified(),
        Err(_) => drop(place),
    }
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
            told(attempt, &error, client_of(&hop), &trail, source, &shared);
            let (reason, text) = error.disconnect();
            hop.disconnect(reason, &text, GOODBYE).await;
        }
    }
}

/// Waits until the key exchange may begin: before that, a connection costs next to nothing.
async fn turn(place: &mut Place, shared: &Shared) -> Result<(), Unidentified> {
    let waits_until = Instant::now() + PATIENCE;
    while !place.takes_turn(Instant::now()) {
        if Instant::now() >= waits_until {
            return Err(Unidentified::TooFast);
        }
        tokio::select! {
            () = sleep(TURN_AGAIN) => {}
            () = place.evicted() => return Err(Unidentified::Evicted),
            () = shared.stopping() => return Err(Unidentified::Stopping),
        }
    }
    Ok(())
}

/// Counts and logs that nobody was identified, and what they tried.
fn told(
    attempt: Attempt,
    error: &Unidentified,
    client: String,
    trail: &Trail,
    source: SocketAddr,
    shared: &Shared,
) {
    tracing::debug!(%source, %error, "nobody identified");
    shared.counts.refused(error.kind());
    let severity = severity(error);
    let event = attempt.event(error, client).or_else(|| {
        // Port scanners and health checks connect and leave: no event for them.
        (severity > Severity::Info).then(|| Body::ConnectionRefuse { reason: error.to_string(), count: None })
    });
    let Some(event) = event else { return };
    // Who was about to be let in is no stranger.
    let written =
        matches!(error, Unidentified::Log(_)) || shared.budget.spend(Some(source.ip()), Instant::now());
    if !written {
        // The metrics count it all the same.
        drop(trail.event(Outcome::Failure, severity, event));
    } else if let Err(error) = trail.failed(severity, event) {
        tracing::error!(%error, "cannot log a rejected login");
    }
}
