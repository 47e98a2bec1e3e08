//! `/v1/status`, `/healthz`, `/readyz`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use bartizan_model::api::Status;
use bartizan_model::escape;
use bartizan_record::space::Level;

use crate::error::Result;
use crate::own_cas;
use crate::state::ApiState;

/// The database gets so long to answer.
const DATABASE_PATIENCE: Duration = Duration::from_secs(2);
/// Events that the index may be behind before searches are no use to anybody.
const INDEX_FAR: u64 = 100_000;

pub(crate) async fn status(State(state): State<Arc<ApiState>>) -> Result<Json<Status>> {
    let parts = &state.parts;
    Ok(Json(Status {
        version: env!("CARGO_PKG_VERSION").into(),
        node: parts.node.clone(),
        listen: parts.listen.clone(),
        public_address: parts.public_address.borrow().clone(),
        host_keys: parts.host_keys.clone(),
        host_cas: own_cas::listed(&state, "host")?.into_iter().map(|ca| ca.key).collect(),
        started: state.started,
    }))
}

pub(crate) async fn alive() -> &'static str {
    "ok\n"
}

/// Ready while new sessions can begin; else why not, one reason a line.
pub(crate) async fn ready(State(state): State<Arc<ApiState>>) -> (StatusCode, String) {
    match health(&state).await.reasons {
        reasons if reasons.is_empty() => (StatusCode::OK, "ok\n".into()),
        reasons => {
            let line = |reason: &String| escape(reason.as_bytes()) + "\n";
            (StatusCode::SERVICE_UNAVAILABLE, reasons.iter().map(line).collect())
        }
    }
}

/// How the server is.
pub(crate) struct Health {
    /// Why no new sessions can begin; empty while they can.
    pub(crate) reasons: Vec<String>,
    /// Whether the database answers.
    pub(crate) database: bool,
}

/// Looks at everything that new sessions need.
pub(crate) async fn health(state: &ApiState) -> Health {
    let parts = &state.parts;
    let mut reasons = Vec::new();
    if *parts.draining.borrow() {
        reasons.push("draining: the server is going to stop".to_owned());
    }
    if let Some(error) = parts.log.failure() {
        reasons.push(format!("log: the audit log has failed: {error}"));
    } else if parts.log.stats().full {
        reasons.push("log: the disk has no room for the audit log".to_owned());
    }
    let measured = parts.space.measure();
    if measured.level == Level::Full {
        reasons.push(format!("space: {}", measured.space.reason));
    }
    let answer = tokio::time::timeout(DATABASE_PATIENCE, parts.store.answers()).await;
    let database = matches!(answer, Ok(Ok(_)));
    match answer {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => reasons.push(format!("database: {error}")),
        Err(_) => reasons.push(format!("database: no answer within {} s", DATABASE_PATIENCE.as_secs())),
    }
    let index = state.index_status();
    let behind = index.events.saturating_sub(index.indexed);
    if behind > INDEX_FAR {
        reasons.push(format!("index: {behind} events behind the audit log"));
    }
    Health { reasons, database }
}
