//! `/v1/status`, `/healthz`, `/readyz`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use bartizan_model::api::Status;

use crate::error::{ApiError, Result};
use crate::own_cas;
use crate::state::ApiState;

pub(crate) async fn status(State(state): State<Arc<ApiState>>) -> Result<Json<Status>> {
    let parts = &state.parts;
    Ok(Json(Status {
        version: env!("CARGO_PKG_VERSION").into(),
        node: parts.node.clone(),
        listen: parts.listen.clone(),
        public_address: parts.public_address.clone(),
        host_keys: parts.host_keys.clone(),
        host_cas: own_cas::listed(&state, "host")?.into_iter().map(|ca| ca.key).collect(),
        started: state.started,
    }))
}

pub(crate) async fn alive() -> &'static str {
    "ok\n"
}

/// Ready while the log takes events: without it nothing new is allowed.
pub(crate) async fn ready(State(state): State<Arc<ApiState>>) -> Result<&'static str> {
    match state.parts.log.failure() {
        None => Ok("ok\n"),
        Some(error) => Err(ApiError::unavailable(format!("the audit log has failed: {error}"))),
    }
}
