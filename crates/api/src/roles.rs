//! `/v1/roles`.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::StatusCode;
use bartizan_model::api::{NewRole, RemoveOptions, RoleDetail};
use bartizan_model::{DirectoryData, Person, PersonName, Role, RoleName, Timestamp};
use bartizan_store::{DirectoryStore as _, Membership, RecordKind, Removal, RemovedRole, StoreError};

use crate::change::{self, AddRole, RemoveRole, SetMembership};
use crate::error::Result;
use crate::peer::Peer;
use crate::people::known_person;
use crate::state::ApiState;

type WithState = State<Arc<ApiState>>;
type WithName = std::result::Result<Path<RoleName>, PathRejection>;
type WithMember = std::result::Result<Path<(RoleName, PersonName)>, PathRejection>;

pub(crate) async fn list(State(state): WithState) -> Result<Json<Vec<RoleDetail>>> {
    let data = state.parts.store.snapshot().await?;
    Ok(Json(data.roles.iter().map(|role| detail(&data, role)).collect()))
}

pub(crate) async fn show(State(state): WithState, name: WithName) -> Result<Json<RoleDetail>> {
    let data = state.parts.store.snapshot().await?;
    let role = known_role(&data, &name?.0)?;
    Ok(Json(detail(&data, &role)))
}

pub(crate) async fn add(
    State(state): WithState,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: std::result::Result<Json<NewRole>, JsonRejection>,
) -> Result<(StatusCode, Json<RoleDetail>)> {
    let Json(NewRole { name }) = body?;
    let data = state.parts.store.snapshot().await?;
    if data.roles.iter().any(|role| role.name == name) {
        return Err(StoreError::Exists { record: RecordKind::Role, name: name.to_string() }.into());
    }
    let role = Role { name, created: Timestamp::now() };
    change::make(&state, peer, AddRole(role.clone())).await?;
    Ok((StatusCode::CREATED, Json(detail(&data, &role))))
}

pub(crate) async fn remove(
    State(state): WithState,
    ConnectInfo(peer): ConnectInfo<Peer>,
    name: WithName,
    options: std::result::Result<Query<RemoveOptions>, QueryRejection>,
) -> Result<Json<RoleDetail>> {
    let (Path(name), Query(options)) = (name?, options?);
    let data = state.parts.store.snapshot().await?;
    let RoleDetail { role, members, grants } = detail(&data, &known_role(&data, &name)?);
    if !options.with_grants && !grants.is_empty() {
        let grants = grants.into_iter().map(|grant| grant.id).collect();
        return Err(StoreError::InUse { record: RecordKind::Role, name: name.to_string(), grants }.into());
    }
    let removal = if options.with_grants { Removal::Cascade } else { Removal::Refuse };
    let removed = RemovedRole { role, members, grants };
    let RemovedRole { role, members, grants } =
        change::make(&state, peer, RemoveRole(removed, removal)).await?;
    Ok(Json(RoleDetail { role, members, grants }))
}

pub(crate) async fn assign(
    state: WithState,
    peer: ConnectInfo<Peer>,
    member: WithMember,
) -> Result<Json<Person>> {
    set(state, peer, member, Membership::Member).await
}

pub(crate) async fn unassign(
    state: WithState,
    peer: ConnectInfo<Peer>,
    member: WithMember,
) -> Result<Json<Person>> {
    set(state, peer, member, Membership::Outsider).await
}

async fn set(
    State(state): WithState,
    ConnectInfo(peer): ConnectInfo<Peer>,
    member: WithMember,
    membership: Membership,
) -> Result<Json<Person>> {
    let Path((role, person)) = member?;
    let data = state.parts.store.snapshot().await?;
    known_role(&data, &role)?;
    let person = known_person(&data, &person)?;
    // What is so already is no change, and no event.
    if person.roles.contains(&role) == (membership == Membership::Member) {
        return Ok(Json(person));
    }
    change::make(&state, peer, SetMembership(role, person, membership)).await.map(Json)
}

/// The role of that name.
pub(crate) fn known_role(data: &DirectoryData, name: &RoleName) -> Result<Role> {
    let missing = || StoreError::NotFound { record: RecordKind::Role, name: name.to_string() };
    Ok(data.roles.iter().find(|role| role.name == *name).cloned().ok_or_else(missing)?)
}

fn detail(data: &DirectoryData, role: &Role) -> RoleDetail {
    let has = |person: &&Person| person.roles.contains(&role.name);
    RoleDetail {
        role: role.clone(),
        members: data.people.iter().filter(has).map(|person| person.name.clone()).collect(),
        grants: data.grants.iter().filter(|grant| grant.who.is_role(&role.name)).cloned().collect(),
    }
}
