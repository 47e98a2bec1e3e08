//! `/v1/cas`: CAs whose user certificates prove to be people.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, Path, State};
use bartizan_model::api::NewCas;
use bartizan_model::{Timestamp, TrustedCa};
use bartizan_store::{DirectoryStore as _, RecordKind, StoreError};

use crate::change::{self, TrustCa, UntrustCa};
use crate::error::Result;
use crate::keys::{ParsedKey, fingerprint_of};
use crate::lines::{self, Lines};
use crate::own_cas;
use crate::peer::Peer;
use crate::state::ApiState;

type WithState = State<Arc<ApiState>>;

pub(crate) async fn list(State(state): WithState) -> Result<Json<Vec<TrustedCa>>> {
    Ok(Json(state.parts.store.snapshot().await?.cas))
}

pub(crate) async fn trust(
    State(state): WithState,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: std::result::Result<Json<NewCas>, JsonRejection>,
) -> Result<Json<Vec<TrustedCa>>> {
    let Json(NewCas { keys }) = body?;
    let added = Timestamp::now();
    let ca = |ParsedKey { key, fingerprint, comment }| TrustedCa { key, fingerprint, comment, added };
    let cas: Vec<_> = lines::read(&state.parts.parse_key, &keys, Lines::Plain)?.into_iter().map(ca).collect();
    own_cas::refuse_own(&state, cas.iter().map(|ca| ca.fingerprint))?;
    let known = state.parts.store.snapshot().await?.cas;
    // Checked before the first is added, so that a file is taken whole or not at all.
    if let Some(ca) = cas.iter().find(|ca| known.iter().any(|known| known.fingerprint == ca.fingerprint)) {
        return Err(StoreError::Exists { record: RecordKind::Ca, name: ca.fingerprint.to_string() }.into());
    }
    for ca in &cas {
        change::make(&state, peer, TrustCa(ca.clone())).await?;
    }
    Ok(Json(cas))
}

pub(crate) async fn untrust(
    State(state): WithState,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(fingerprint): Path<String>,
) -> Result<Json<TrustedCa>> {
    let fingerprint = fingerprint_of(&fingerprint)?;
    let known = state.parts.store.snapshot().await?.cas;
    let missing = || StoreError::NotFound { record: RecordKind::Ca, name: fingerprint.to_string() };
    let ca = known.into_iter().find(|ca| ca.fingerprint == fingerprint).ok_or_else(missing)?;
    change::make(&state, peer, UntrustCa(ca)).await.map(Json)
}
