//! `/metrics`, `/healthz` and `/readyz` for monitoring systems, over TCP.
//!
//! Whoever reaches the listener may ask, so it serves these three and nothing else: they change nothing, and no name
//! of a person, a login or a target is in them. What a peer can take is bounded: so many connections, so long each.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use crate::state::ApiState;
use crate::{error, metrics, status};

/// Connections at a time; further ones wait.
const CONNECTIONS: usize = 32;
/// A connection may take so long in all.
const PATIENCE: Duration = Duration::from_secs(20);
/// A request's head may take so long.
const HEAD_PATIENCE: Duration = Duration::from_secs(5);
/// Longest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 16 << 10;
/// After a failure to accept, such as too many open files, this long nothing is accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers on the listeners until `shutdown` resolves.
pub async fn serve_metrics(
    listeners: Vec<TcpListener>,
    state: Arc<ApiState>,
    shutdown: impl Future<Output = ()> + Send,
) {
    let router = Router::new()
        .route("/metrics", get(metrics::scrape))
        .route("/healthz", get(status::alive))
        .route("/readyz", get(status::ready))
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::no_such_method)
        .with_state(state);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut tasks = JoinSet::new();
    for listener in listeners {
        tasks.spawn(accept(listener, router.clone(), places.clone()));
    }
    // Nobody is owed the end of a scrape: dropping the set ends what runs.
    shutdown.await;
}

async fn accept(listener: TcpListener, router: Router, places: Arc<Semaphore>) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        // Only closing it makes this fail, and nobody does.
        let Ok(place) = places.clone().acquire_owned().await else { return std::future::pending().await };
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(answer(stream, router.clone(), place));
            }
            Err(error) => {
                note(&error);
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

fn note(error: &io::Error) {
    tracing::warn!(%error, "cannot accept a connection for /metrics");
}

async fn answer(stream: TcpStream, router: Router, _place: OwnedSemaphorePermit) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    // Whatever the peer did, it is over.
    let _ = tokio::time::timeout(PATIENCE, connection).await;
}
