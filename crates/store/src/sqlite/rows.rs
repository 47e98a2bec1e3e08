//! The directory's records as rows: how they are found and what they hold.

use bartizan_model::{
    AuthorizedKey, Grant, GrantId, Person, PersonName, Target, TargetName, Timestamp, TrustedCa,
};
use serde::de::DeserializeOwned;

use super::{Connection, Result, unsql};
use crate::{RecordKind, StoreError};

pub(super) type PersonRow = (String, String, i64);
pub(super) type KeyRow = (String, String, String, String, i64);
pub(super) type CaRow = (String, String, String, i64);
pub(super) type TargetRow = (String, String, i64, String, i64);
pub(super) type GrantRow = (String, String, String, Option<String>, String, String, Option<i64>, String, i64);

pub(super) async fn people(db: &mut Connection) -> Result<Vec<Person>> {
    let rows: Vec<PersonRow> =
        sqlx::query_as("SELECT name, state, created FROM people").fetch_all(db).await?;
    rows.into_iter().map(person).collect()
}

pub(super) async fn one_person(db: &mut Connection, name: &PersonName) -> Result<Person> {
    let row: Option<PersonRow> = sqlx::query_as("SELECT name, state, created FROM people WHERE name = $1")
        .bind(name.as_str())
        .fetch_optional(db)
        .await?;
    found(row, RecordKind::Person, name).and_then(person)
}

pub(super) async fn keys(db: &mut Connection, of: Option<&PersonName>) -> Result<Vec<AuthorizedKey>> {
    const ALL: &str = "SELECT fingerprint, person, public_key, comment, added FROM authorized_keys";
    let mut select = sqlx::QueryBuilder::new(ALL);
    if let Some(person) = of {
        select.push(" WHERE person = ").push_bind(person.as_str());
    }
    let rows: Vec<KeyRow> = select.build_query_as().fetch_all(db).await?;
    rows.into_iter().map(key).collect()
}

pub(super) async fn cas(db: &mut Connection) -> Result<Vec<TrustedCa>> {
    let select = "SELECT fingerprint, public_key, comment, added FROM trusted_cas";
    let rows: Vec<CaRow> = sqlx::query_as(select).fetch_all(db).await?;
    rows.into_iter().map(ca).collect()
}

pub(super) async fn targets(db: &mut Connection) -> Result<Vec<Target>> {
    let select = "SELECT name, host, port, host_key, created FROM targets";
    let rows: Vec<TargetRow> = sqlx::query_as(select).fetch_all(db).await?;
    rows.into_iter().map(target).collect()
}

pub(super) async fn one_target(db: &mut Connection, name: &TargetName) -> Result<Target> {
    let select = "SELECT name, host, port, host_key, created FROM targets WHERE name = $1";
    let row: Option<TargetRow> = sqlx::query_as(select).bind(name.as_str()).fetch_optional(db).await?;
    found(row, RecordKind::Target, name).and_then(target)
}

/// Which grants to read.
pub(super) enum Named<'a> {
    All,
    Id(&'a GrantId),
    Person(&'a PersonName),
    Target(&'a TargetName),
}

pub(super) async fn grants(db: &mut Connection, named: Named<'_>) -> Result<Vec<Grant>> {
    const ALL: &str =
        "SELECT id, person, target, logins, permissions, sources, expires, recording, created FROM grants";
    let mut select = sqlx::QueryBuilder::new(ALL);
    match named {
        Named::All => &mut select,
        Named::Id(id) => select.push(" WHERE id = ").push_bind(&id.0),
        Named::Person(name) => select.push(" WHERE person = ").push_bind(name.as_str()),
        Named::Target(name) => select.push(" WHERE target = ").push_bind(name.as_str()),
    };
    let rows: Vec<GrantRow> = select.build_query_as().fetch_all(db).await?;
    let mut grants = rows.into_iter().map(grant).collect::<Result<Vec<_>>>()?;
    grants.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(grants)
}

fn person((name, state, created): PersonRow) -> Result<Person> {
    let read = || -> Read<Person> {
        let state = serde_json::from_value(serde_json::Value::from(state))?;
        Ok(Person { name: PersonName::new(&name)?, state, created: time(created) })
    };
    read().map_err(|e| corrupt(RecordKind::Person, &name, e))
}

pub(super) fn key((fingerprint, person, key, comment, added): KeyRow) -> Result<AuthorizedKey> {
    let read = || -> Read<AuthorizedKey> {
        let (person, fingerprint) = (PersonName::new(&person)?, fingerprint.parse()?);
        Ok(AuthorizedKey { person, key, fingerprint, comment, added: time(added) })
    };
    read().map_err(|e| corrupt(RecordKind::Key, &fingerprint, e))
}

pub(super) fn ca((fingerprint, key, comment, added): CaRow) -> Result<TrustedCa> {
    let read = || -> Read<TrustedCa> {
        Ok(TrustedCa { key, fingerprint: fingerprint.parse()?, comment, added: time(added) })
    };
    read().map_err(|e| corrupt(RecordKind::Ca, &fingerprint, e))
}

fn target((name, host, port, host_key, created): TargetRow) -> Result<Target> {
    let read = || -> Read<Target> {
        Target::check_host(&host)?;
        let (name, host_key) = (TargetName::new(&name)?, serde_json::from_str(&host_key)?);
        Ok(Target { name, host, port: u16::try_from(port)?, host_key, created: time(created) })
    };
    read().map_err(|e| corrupt(RecordKind::Target, &name, e))
}

fn grant(row: GrantRow) -> Result<Grant> {
    let (id, person, target, logins, permissions, sources, expires, recording, created) = row;
    let read = || -> Read<Grant> {
        Ok(Grant {
            id: GrantId(id.clone()),
            person: PersonName::new(&person)?,
            target: target.parse()?,
            logins: logins.as_deref().map(unjson).transpose()?,
            allow: unjson(&permissions)?,
            sources: unjson(&sources)?,
            expires: expires.map(time),
            record: unjson(&recording)?,
            created: time(created),
        })
    };
    read().map_err(|e| corrupt(RecordKind::Grant, &id, e))
}

type Read<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

pub(super) fn time(micros: i64) -> Timestamp {
    Timestamp::from_unix_micros(unsql(micros))
}

fn unjson<T: DeserializeOwned>(text: &str) -> serde_json::Result<T> {
    serde_json::from_str(text)
}

pub(super) fn found<T>(row: Option<T>, record: RecordKind, name: &impl ToString) -> Result<T> {
    row.ok_or_else(|| StoreError::NotFound { record, name: name.to_string() })
}

pub(super) fn corrupt(record: RecordKind, name: &impl ToString, why: impl ToString) -> StoreError {
    StoreError::Corrupt { record, name: name.to_string(), why: why.to_string() }
}
