//! `/v1/targets`.

use std::sync::Arc;

use axum::Json;
use axum::body::Body as HttpBody;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use bartizan_model::api::{LabelChange, NewHostKeyTrust, NewTarget, RemoveOptions, TargetDetail, TargetTest};
use bartizan_model::{DirectoryData, Fingerprint, Grant, HostKeyTrust, Label, Target, TargetName, Timestamp};
use bartizan_store::{DirectoryStore as _, RecordKind, Removal, RemovedTarget, StoreError, VaultStore as _};
use tokio::sync::mpsc;

use crate::change::{self, AddTarget, LabelTarget, RemoveTarget};
use crate::error::{ApiError, Result};
use crate::events::ChannelBody;
use crate::keys::KeyParser;
use crate::lines::{self, Lines};
use crate::peer::Peer;
use crate::state::ApiState;

type WithState = State<Arc<ApiState>>;
type WithName = std::result::Result<Path<TargetName>, PathRejection>;

pub(crate) async fn list(State(state): WithState) -> Result<Json<Vec<Target>>> {
    Ok(Json(state.parts.store.snapshot().await?.targets))
}

pub(crate) async fn show(State(state): WithState, name: WithName) -> Result<Json<TargetDetail>> {
    let Path(name) = name?;
    let data = state.parts.store.snapshot().await?;
    let target = known_target(&data, &name)?;
    Ok(Json(detail(&state, target, data.grants)))
}

pub(crate) async fn label(
    State(state): WithState,
    ConnectInfo(peer): ConnectInfo<Peer>,
    name: WithName,
    body: std::result::Result<Json<LabelChange>, JsonRejection>,
) -> Result<Json<TargetDetail>> {
    let (Path(name), Json(LabelChange { set, unset })) = (name?, body?);
    let data = state.parts.store.snapshot().await?;
    let mut target = known_target(&data, &name)?;
    let refused = |e: bartizan_model::InvalidRecord| ApiError::invalid(e.to_string());
    for key in &unset {
        target.labels.unset(key);
    }
    for (key, value) in set.iter() {
        Label::new(key, value).and_then(|label| target.labels.set(label)).map_err(refused)?;
    }
    let target = change::make(&state, peer, LabelTarget(target)).await?;
    Ok(Json(detail(&state, target, data.grants)))
}

fn detail(state: &ApiState, target: Target, grants: Vec<Grant>) -> TargetDetail {
    let grants = grants.into_iter().filter(|grant| grant.target.covers(&target)).collect();
    let fingerprints = fingerprints(&state.parts.parse_key, &target.host_key);
    TargetDetail { target, fingerprints, grants }
}

pub(crate) async fn add(
    State(state): WithState,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: std::result::Result<Json<NewTarget>, JsonRejection>,
) -> Result<(StatusCode, Json<TargetDetail>)> {
    let Json(NewTarget { name, host, port, host_key, labels }) = body?;
    Target::check_name(&name).map_err(|e| ApiError::invalid(e.to_string()))?;
    Target::check_host(&host).map_err(|e| ApiError::invalid(e.to_string()))?;
    if port == 0 {
        return Err(ApiError::invalid("port 0 cannot be dialled"));
    }
    let host_key = trust(&state.parts.parse_key, host_key)?;
    let data = state.parts.store.snapshot().await?;
    if data.targets.iter().any(|target| target.name == name) {
        return Err(StoreError::Exists { record: RecordKind::Target, name: name.to_string() }.into());
    }
    let target = Target { name, host, port, host_key, labels, created: Timestamp::now() };
    change::make(&state, peer, AddTarget(target.clone())).await?;
    Ok((StatusCode::CREATED, Json(detail(&state, target, data.grants))))
}

/// Tests a target and tells the steps in lines, as they are made.
pub(crate) async fn test(
    State(state): WithState,
    ConnectInfo(peer): ConnectInfo<Peer>,
    name: WithName,
    body: std::result::Result<Json<TargetTest>, JsonRejection>,
) -> Result<Response> {
    let (Path(name), Json(TargetTest { login })) = (name?, body?);
    let target = known_target(&state.parts.store.snapshot().await?, &name)?;
    let (tell, mut steps) = mpsc::channel(8);
    if !state.parts.tester.begin(target, login, peer.to_string(), tell) {
        return Err(ApiError::unavailable("too many targets are being tested").hint("try again in a minute"));
    }
    let (lines, receiver) = mpsc::channel(8);
    tokio::spawn(async move {
        while let Some(step) = steps.recv().await {
            let Ok(mut line) = serde_json::to_vec(&step) else { return };
            line.push(b'\n');
            if lines.send(Ok(line.into())).await.is_err() {
                return;
            }
        }
    });
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], HttpBody::new(ChannelBody::new(receiver))).into_response())
}

pub(crate) async fn remove(
    State(state): WithState,
    ConnectInfo(peer): ConnectInfo<Peer>,
    name: WithName,
    options: std::result::Result<Query<RemoveOptions>, QueryRejection>,
) -> Result<Json<TargetDetail>> {
    let (Path(name), Query(options)) = (name?, options?);
    let data = state.parts.store.snapshot().await?;
    let target = known_target(&data, &name)?;
    let named = |selector: &bartizan_model::TargetSelector| selector.as_str() == name.as_str();
    let grants: Vec<_> = data.grants.into_iter().filter(|grant| named(&grant.target)).collect();
    if !options.with_grants && !grants.is_empty() {
        let grants = grants.into_iter().map(|grant| grant.id).collect();
        return Err(StoreError::InUse { record: RecordKind::Target, name: name.to_string(), grants }.into());
    }
    let removal = if options.with_grants { Removal::Cascade } else { Removal::Refuse };
    let credentials = state.parts.store.credentials(Some(&name)).await?;
    let change = RemoveTarget(RemovedTarget { target, grants, credentials }, removal);
    let RemovedTarget { target, grants, .. } = change::make(&state, peer, change).await?;
    let fingerprints = fingerprints(&state.parts.parse_key, &target.host_key);
    Ok(Json(TargetDetail { target, fingerprints, grants }))
}

/// The target of that name.
pub(crate) fn known_target(data: &DirectoryData, name: &TargetName) -> Result<Target> {
    let missing = || StoreError::NotFound { record: RecordKind::Target, name: name.to_string() };
    Ok(data.targets.iter().find(|target| target.name == *name).cloned().ok_or_else(missing)?)
}

fn trust(parse: &KeyParser, host_key: NewHostKeyTrust) -> Result<HostKeyTrust> {
    let keys = |text: &str, lines| {
        Ok::<_, ApiError>(lines::read(parse, text, lines)?.into_iter().map(|key| key.key).collect())
    };
    Ok(match host_key {
        NewHostKeyTrust::FirstUse => HostKeyTrust::FirstUse,
        NewHostKeyTrust::Pinned(text) => HostKeyTrust::Pinned(keys(&text, Lines::Hosts)?),
        NewHostKeyTrust::Authority(text) => HostKeyTrust::Authority(keys(&text, Lines::HostAuthorities)?),
    })
}

fn fingerprints(parse: &KeyParser, trust: &HostKeyTrust) -> Vec<Fingerprint> {
    match trust {
        HostKeyTrust::FirstUse => Vec::new(),
        // Keys in the directory were read when they were added.
        HostKeyTrust::Pinned(keys) | HostKeyTrust::Authority(keys) => {
            keys.iter().filter_map(|key| parse(key).ok()).map(|key| key.fingerprint).collect()
        }
    }
}
