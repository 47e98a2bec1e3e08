//! The admin API: HTTP/1.1 with JSON on the Unix socket of the data folder.
//!
//! ```text
//!   bartizan ──► admin.sock ──► routes ─┬─ reads ──► store (directory, index)
//!                                       └─ changes ─► audit log first, then store   (change)
//! ```
//!
//! Who may connect to the socket is admin: the data folder's owner, and root. Each change is an event that
//! is durable before the change is made (a change is applied to a `Logged` only), and so
//! is each look at a recording or search of the log. Every refusal is JSON: what happened, and what to do.
//!
//! This is the only room that knows the web framework. It does not know SSH: keys are read by a
//! [`KeyParser`] that its owner hands in. It does not carry sessions, and it never writes recordings.

#![forbid(unsafe_code)]

mod access;
mod apply;
mod cas;
mod certificates;
mod change;
mod error;
mod events;
mod evidence;
mod grants;
mod keys;
mod lines;
mod metrics;
mod open;
mod own_cas;
mod peer;
mod people;
mod revocations;
mod roles;
mod sessions;
mod state;
mod status;
mod targets;
#[cfg(test)]
mod tests;
mod vault;

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{delete, get, post, put};
use tokio::net::UnixListener;

pub use certificates::{CertificateIssuer, CertificateOrder, UnsignedCertificate};
pub use keys::{KeyParser, ParsedKey};
pub use open::serve_metrics;
pub use own_cas::{CaKeeper, CaStep};
pub use state::{ApiState, LiveSessions, OwnCas, Parts, TargetTester};
pub use vault::{MasterKeyFile, PrivateKeyParser};

/// Longest request body: a file of keys.
const MAX_BODY_BYTES: usize = 4 << 20;

/// Answers on `listener` until `shutdown` resolves, then ends requests in order: those that follow the log end,
/// the others are finished.
///
/// # Errors
/// When the socket fails for good.
pub async fn serve(
    listener: UnixListener,
    state: Arc<ApiState>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let stopping = state.stopping();
    let shutdown = async move {
        shutdown.await;
        stopping.send_replace(true);
    };
    let service = router(state).into_make_service_with_connect_info::<peer::Peer>();
    axum::serve(listener, service).with_graceful_shutdown(shutdown).await
}

/// Every route. Paths are stable within `/v1`.
fn router(state: Arc<ApiState>) -> Router {
    let v1 = Router::new()
        .route("/status", get(status::status))
        .route("/people", get(people::list).post(people::add))
        .route("/people/{name}", get(people::show).delete(people::remove))
        .route("/people/{name}/lock", post(people::lock))
        .route("/people/{name}/unlock", post(people::unlock))
        .route("/roles", get(roles::list).post(roles::add))
        .route("/roles/{name}", get(roles::show).delete(roles::remove))
        .route("/roles/{name}/members/{person}", put(roles::assign).delete(roles::unassign))
        .route("/keys", get(keys::list).post(keys::add))
        .route("/keys/{fingerprint}", delete(keys::remove))
        .route("/targets", get(targets::list).post(targets::add))
        .route("/targets/{name}", get(targets::show).delete(targets::remove))
        .route("/targets/{name}/credentials/{login}", put(vault::set).delete(vault::remove))
        .route("/credentials", get(vault::list))
        .route("/vault", get(vault::status))
        .route("/vault/rotate", post(vault::rotate))
        .route("/targets/{name}/test", post(targets::test))
        .route("/targets/{name}/labels", post(targets::label))
        .route("/grants", get(grants::list).post(grants::add))
        .route("/grants/{id}", get(grants::show).delete(grants::remove))
        .route("/cas", get(cas::list).post(cas::trust))
        .route("/cas/{fingerprint}", delete(cas::untrust))
        .route("/certificates", get(certificates::list).post(certificates::issue))
        .route("/revocations", post(revocations::revoke))
        .route("/own-cas/{which}", get(own_cas::list))
        .route("/own-cas/{which}/rotate", post(own_cas::rotate))
        .route("/own-cas/{which}/activate", post(own_cas::activate))
        .route("/own-cas/{which}/cancel", post(own_cas::cancel))
        .route("/own-cas/{which}/retire", post(own_cas::retire))
        .route("/directory", get(apply::write))
        .route("/directory/apply", post(apply::apply).layer(DefaultBodyLimit::max(apply::MAX_FILE_BYTES)))
        .route("/access/check", post(access::check))
        .route("/sessions", get(sessions::list))
        .route("/sessions/{id}", get(sessions::show))
        .route("/sessions/{id}/reads", post(sessions::read))
        .route("/sessions/{id}/terminate", post(sessions::terminate))
        .route("/events", get(events::search))
        .route("/events/follow", get(events::follow))
        .route("/log/reads", post(events::read))
        .route("/index", get(events::index))
        .route("/index/rebuild", post(events::rebuild_index));
    Router::new()
        .nest("/v1", v1)
        .route("/healthz", get(status::alive))
        .route("/readyz", get(status::ready))
        .route("/metrics", get(metrics::scrape))
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::no_such_method)
        .layer(middleware::from_fn(peer::only_owner))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(state)
}

/// The address that a question about access is asked for when it names none.
const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
