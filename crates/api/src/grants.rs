//! `/v1/grants`.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::StatusCode;
use bartizan_model::api::{GrantDetail, NewGrant};
use bartizan_model::{Grant, GrantId, Grantee, PersonName, RoleName, Timestamp};
use bartizan_store::{DirectoryStore as _, RecordKind, StoreError};
use serde::Deserialize;

use crate::change::{self, AddGrant, RemoveGrant};
use crate::error::{ApiError, Result};
use crate::peer::Peer;
use crate::people::known_person;
use crate::roles::known_role;
use crate::state::ApiState;
use crate::targets::known_target;

type WithState = State<Arc<ApiState>>;

#[derive(Debug, Deserialize)]
pub(crate) struct Filter {
    person: Option<PersonName>,
    role: Option<RoleName>,
}

pub(crate) async fn list(
    State(state): WithState,
    filter: std::result::Result<Query<Filter>, QueryRejection>,
) -> Result<Json<Vec<Grant>>> {
    let Query(Filter { person, role }) = filter?;
    let data = state.parts.store.snapshot().await?;
    let person = person.map(|name| known_person(&data, &name)).transpose()?;
    if let Some(role) = &role {
        known_role(&data, role)?;
    }
    let wanted = |grant: &Grant| {
        person.as_ref().is_none_or(|person| grant.who.includes(person))
            && role.as_ref().is_none_or(|role| grant.who.is_role(role))
    };
    Ok(Json(data.grants.into_iter().filter(wanted).collect()))
}

pub(crate) async fn show(State(state): WithState, Path(prefix): Path<String>) -> Result<Json<GrantDetail>> {
    let data = state.parts.store.snapshot().await?;
    let grant = by_prefix(data.grants, &prefix)?;
    let people = data.people.into_iter().filter(|person| grant.who.includes(person));
    let people = people.map(|person| person.name).collect();
    let targets = data.targets.into_iter().filter(|target| grant.target.covers(target));
    let targets = targets.map(|target| target.name).collect();
    Ok(Json(GrantDetail { grant, people, targets }))
}

pub(crate) async fn add(
    State(state): WithState,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: std::result::Result<Json<NewGrant>, JsonRejection>,
) -> Result<(StatusCode, Json<Grant>)> {
    let Json(new) = body?;
    let now = Timestamp::now();
    if new.allow.is_empty() {
        return Err(
            ApiError::invalid("the grant permits nothing").hint("name permissions: --allow shell,exec")
        );
    }
    if new.logins.as_ref().is_some_and(Vec::is_empty) {
        return Err(
            ApiError::invalid("the grant names no login").hint("name accounts: --login root, or --any-login")
        );
    }
    new.files.check(&new.allow).map_err(|error| ApiError::invalid(error.to_string()))?;
    new.forwards.check(&new.allow).map_err(|error| ApiError::invalid(error.to_string()))?;
    if new.expires.is_some_and(|expires| expires <= now) {
        return Err(ApiError::invalid("the grant would have expired already"));
    }
    let data = state.parts.store.snapshot().await?;
    match &new.who {
        Grantee::Person(name) => drop(known_person(&data, name)?),
        Grantee::Role(name) => drop(known_role(&data, name)?),
    }
    if let Some(name) = new.target.name() {
        known_target(&data, &name)?;
    }
    let id = fresh_id(&data.grants)?;
    let NewGrant { who, target, logins, allow, files, forwards, sources, expires, record, break_glass } = new;
    let grant = Grant {
        id,
        who,
        target,
        logins,
        allow,
        files,
        forwards,
        sources,
        expires,
        record,
        break_glass,
        created: now,
    };
    change::make(&state, peer, AddGrant(grant.clone())).await?;
    Ok((StatusCode::CREATED, Json(grant)))
}

pub(crate) async fn remove(
    State(state): WithState,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(prefix): Path<String>,
) -> Result<Json<Grant>> {
    let data = state.parts.store.snapshot().await?;
    let grant = by_prefix(data.grants, &prefix)?;
    change::make(&state, peer, RemoveGrant(grant)).await.map(Json)
}

/// The one grant whose id starts with `prefix`, or is it.
fn by_prefix(grants: Vec<Grant>, prefix: &str) -> Result<Grant> {
    let mut found: Vec<Grant> = grants.into_iter().filter(|grant| grant.id.0.starts_with(prefix)).collect();
    if let Some(exact) = found.iter().position(|grant| grant.id.0 == prefix) {
        return Ok(found.swap_remove(exact));
    }
    match (found.pop(), found.len()) {
        (Some(grant), 0) if !prefix.is_empty() => Ok(grant),
        (None, _) => Err(StoreError::NotFound { record: RecordKind::Grant, name: prefix.to_owned() }.into()),
        (Some(_), _) => Err(ApiError::conflict(format!("several grants start with {prefix}"))
            .hint("write more of the id; `bartizan grant list` shows it")),
    }
}

/// An id that no grant has.
fn fresh_id(grants: &[Grant]) -> Result<GrantId> {
    // Of 32 random bits one try is nearly always enough.
    (0..100)
        .map(|_| GrantId::random())
        .find(|id| grants.iter().all(|grant| grant.id != *id))
        .ok_or_else(|| ApiError::unavailable("no id is free for the grant"))
}
