//! `/v1/keys`, and how keys are read.

use std::sync::Arc;

use axum::Json;
use axum::extract::{ConnectInfo, Path, Query, State};
use bartizan_model::api::NewKeys;
use bartizan_model::{AuthorizedKey, Fingerprint, PersonName, Timestamp};
use bartizan_store::{DirectoryStore as _, RecordKind, StoreError};
use serde::Deserialize;

use crate::change::{self, AddKey, RemoveKey};
use crate::error::{ApiError, Result};
use crate::lines::{self, Lines};
use crate::peer::Peer;
use crate::people::known_person;
use crate::state::ApiState;

/// A public key that was read and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedKey {
    /// Algorithm and base64, as in `authorized_keys`.
    pub key: String,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// What followed it in the line.
    pub comment: String,
}

/// Reads one line with a public key and nothing before it. The message of a refusal names no line.
pub type KeyParser = Arc<dyn Fn(&str) -> std::result::Result<ParsedKey, String> + Send + Sync>;

#[derive(Debug, Deserialize)]
pub(crate) struct Filter {
    person: Option<PersonName>,
}

type WithState = State<Arc<ApiState>>;

pub(crate) async fn list(
    State(state): WithState,
    filter: std::result::Result<Query<Filter>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Vec<AuthorizedKey>>> {
    let Query(Filter { person }) = filter?;
    let data = state.parts.store.snapshot().await?;
    if let Some(person) = &person {
        known_person(&data, person)?;
    }
    let wanted = |key: &AuthorizedKey| person.as_ref().is_none_or(|person| key.person == *person);
    Ok(Json(data.keys.into_iter().filter(wanted).collect()))
}

pub(crate) async fn add(
    State(state): WithState,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: std::result::Result<Json<NewKeys>, axum::extract::rejection::JsonRejection>,
) -> Result<Json<Vec<AuthorizedKey>>> {
    let Json(NewKeys { person, keys }) = body?;
    let data = state.parts.store.snapshot().await?;
    known_person(&data, &person)?;
    let keys = of_person(&state, &person, &[keys])?;
    // Checked before the first is added, so that a file is taken whole or not at all.
    free(&data.keys, &keys)?;
    for key in &keys {
        change::make(&state, peer, AddKey(key.clone())).await?;
    }
    Ok(Json(keys))
}

pub(crate) async fn remove(
    State(state): WithState,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(fingerprint): Path<String>,
) -> Result<Json<AuthorizedKey>> {
    let fingerprint = fingerprint_of(&fingerprint)?;
    let data = state.parts.store.snapshot().await?;
    let known = data.keys.into_iter().find(|key| key.fingerprint == fingerprint);
    let missing = || StoreError::NotFound { record: RecordKind::Key, name: fingerprint.to_string() };
    let key = known.ok_or_else(missing)?;
    change::make(&state, peer, RemoveKey(key)).await.map(Json)
}

/// Reads a fingerprint of a path.
pub(crate) fn fingerprint_of(text: &str) -> Result<Fingerprint> {
    text.parse()
        .map_err(|_| ApiError::invalid("not a fingerprint: expected SHA256: and 43 base64 characters"))
}

/// Reads keys of a person out of texts.
pub(crate) fn of_person(
    state: &ApiState,
    person: &PersonName,
    texts: &[String],
) -> Result<Vec<AuthorizedKey>> {
    let mut keys: Vec<AuthorizedKey> = Vec::new();
    let added = Timestamp::now();
    for text in texts {
        for ParsedKey { key, fingerprint, comment } in
            lines::read(&state.parts.parse_key, text, Lines::Plain)?
        {
            if !keys.iter().any(|known| known.fingerprint == fingerprint) {
                keys.push(AuthorizedKey { person: person.clone(), key, fingerprint, comment, added });
            }
        }
    }
    Ok(keys)
}

/// Refuses keys that are registered already.
pub(crate) fn free(known: &[AuthorizedKey], keys: &[AuthorizedKey]) -> Result<()> {
    match known.iter().find(|known| keys.iter().any(|key| key.fingerprint == known.fingerprint)) {
        None => Ok(()),
        Some(taken) => {
            Err(StoreError::KeyTaken { fingerprint: taken.fingerprint, person: taken.person.clone() }.into())
        }
    }
}
