//! `/v1/people`.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::StatusCode;
use bartizan_model::api::{NewPerson, PersonDetail, RemoveOptions};
use bartizan_model::{DirectoryData, Person, PersonName, PersonState, Timestamp};
use bartizan_store::{DirectoryStore as _, RecordKind, Removal, RemovedPerson, StoreError};

use crate::change::{self, AddPerson, RemovePerson, SetPersonState};
use crate::error::Result;
use crate::keys;
use crate::peer::Peer;
use crate::state::ApiState;

type WithState = State<Arc<ApiState>>;
type WithName = std::result::Result<Path<PersonName>, PathRejection>;

pub(crate) async fn list(State(state): WithState) -> Result<Json<Vec<Person>>> {
    Ok(Json(state.parts.store.snapshot().await?.people))
}

pub(crate) async fn show(State(state): WithState, name: WithName) -> Result<Json<PersonDetail>> {
    let data = state.parts.store.snapshot().await?;
    detail(data, &name?.0).map(Json)
}

pub(crate) async fn add(
    State(state): WithState,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: std::result::Result<Json<NewPerson>, JsonRejection>,
) -> Result<(StatusCode, Json<PersonDetail>)> {
    let Json(NewPerson { name, keys: texts }) = body?;
    let keys = keys::of_person(&state, &name, &texts)?;
    let data = state.parts.store.snapshot().await?;
    if data.people.iter().any(|person| person.name == name) {
        return Err(StoreError::Exists { record: RecordKind::Person, name: name.to_string() }.into());
    }
    keys::free(&data.keys, &keys)?;
    let created = Timestamp::now();
    let person = Person { name, state: PersonState::Active, roles: BTreeSet::new(), created };
    change::make(&state, peer, AddPerson(person.clone(), keys.clone())).await?;
    Ok((StatusCode::CREATED, Json(PersonDetail { person, keys, grants: Vec::new() })))
}

pub(crate) async fn remove(
    State(state): WithState,
    ConnectInfo(peer): ConnectInfo<Peer>,
    name: WithName,
    options: std::result::Result<Query<RemoveOptions>, QueryRejection>,
) -> Result<Json<PersonDetail>> {
    let (Path(name), Query(options)) = (name?, options?);
    let PersonDetail { person, keys, mut grants } = detail(state.parts.store.snapshot().await?, &name)?;
    // Grants to their roles are not about them alone, and stay.
    grants.retain(|grant| grant.who.is_person(&name));
    let removal = if options.with_grants { Removal::Cascade } else { Removal::Refuse };
    if !options.with_grants && !grants.is_empty() {
        let grants = grants.into_iter().map(|grant| grant.id).collect();
        return Err(StoreError::InUse { record: RecordKind::Person, name: name.to_string(), grants }.into());
    }
    let removed = RemovedPerson { person, keys, grants };
    let RemovedPerson { person, keys, grants } =
        change::make(&state, peer, RemovePerson(removed, removal)).await?;
    Ok(Json(PersonDetail { person, keys, grants }))
}

pub(crate) async fn lock(state: WithState, peer: ConnectInfo<Peer>, name: WithName) -> Result<Json<Person>> {
    set_state(state, peer, name, PersonState::Locked).await
}

pub(crate) async fn unlock(
    state: WithState,
    peer: ConnectInfo<Peer>,
    name: WithName,
) -> Result<Json<Person>> {
    set_state(state, peer, name, PersonState::Active).await
}

async fn set_state(
    State(state): WithState,
    ConnectInfo(peer): ConnectInfo<Peer>,
    name: WithName,
    to: PersonState,
) -> Result<Json<Person>> {
    let data = state.parts.store.snapshot().await?;
    let person = known_person(&data, &name?.0)?;
    change::make(&state, peer, SetPersonState(person, to)).await.map(Json)
}

/// The person of that name.
pub(crate) fn known_person(data: &DirectoryData, name: &PersonName) -> Result<Person> {
    let missing = || StoreError::NotFound { record: RecordKind::Person, name: name.to_string() };
    Ok(data.people.iter().find(|person| person.name == *name).cloned().ok_or_else(missing)?)
}

fn detail(data: DirectoryData, name: &PersonName) -> Result<PersonDetail> {
    let person = known_person(&data, name)?;
    Ok(PersonDetail {
        keys: data.keys.into_iter().filter(|key| key.person == *name).collect(),
        grants: data.grants.into_iter().filter(|grant| grant.who.includes(&person)).collect(),
        person,
    })
}
