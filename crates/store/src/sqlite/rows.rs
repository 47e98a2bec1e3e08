//! The directory's records as rows: how they are found and what they hold.

use std::collections::{BTreeSet, HashMap};

use bartizan_model::{
    AuthorizedKey, Grant, GrantId, Grantee, Person, PersonName, Role, RoleName, Target, TargetName,
    Timestamp, TrustedCa,
};
use serde::de::DeserializeOwned;

use super::{Connection, Result, unsql};
use crate::{RecordKind, StoreError};

pub(super) type PersonRow = (String, String, i64);
pub(super) type KeyRow = (String, String, String, String, i64);
pub(super) type CaRow = (String, String, String, i64);
pub(super) type TargetRow = (String, String, i64, String, String, i64);
pub(super) type GrantRow = (
    String,
    Option<String>,
    Option<String>,
    String,
    Option<String>,
    String,
    String,
    Option<i64>,
    String,
    i64,
    String,
    String,
    i64,
);

pub(super) async fn roles(db: &mut Connection) -> Result<Vec<Role>> {
    let rows: Vec<(String, i64)> = sqlx::query_as("SELECT name, created FROM roles").fetch_all(db).await?;
    rows.into_iter().map(role).collect()
}

pub(super) async fn one_role(db: &mut Connection, name: &RoleName) -> Result<Role> {
    let select = sqlx::query_as("SELECT name, created FROM roles WHERE name = $1").bind(name.as_str());
    let row: Option<(String, i64)> = select.fetch_optional(db).await?;
    found(row, RecordKind::Role, name).and_then(role)
}

/// Who has a role, by name.
pub(super) async fn members(db: &mut Connection, role: &RoleName) -> Result<Vec<PersonName>> {
    let select = sqlx::query_scalar("SELECT person FROM role_members WHERE role = $1").bind(role.as_str());
    let rows: Vec<String> = select.fetch_all(db).await?;
    let name = |person: &String| PersonName::new(person).map_err(|e| corrupt(RecordKind::Role, role, e));
    let mut members = rows.iter().map(name).collect::<Result<Vec<_>>>()?;
    members.sort_unstable();
    Ok(members)
}

pub(super) async fn people(db: &mut Connection) -> Result<Vec<Person>> {
    let rows: Vec<PersonRow> =
        sqlx::query_as("SELECT name, state, created FROM people").fetch_all(&mut *db).await?;
    let memberships: Vec<(String, String)> =
        sqlx::query_as("SELECT person, role FROM role_members").fetch_all(db).await?;
    let mut roles: HashMap<String, Vec<String>> = HashMap::new();
    for (person, role) in memberships {
        roles.entry(person).or_default().push(role);
    }
    let whole = |row: PersonRow| {
        let roles = roles.remove(&row.0).unwrap_or_default();
        person(row, &roles)
    };
    rows.into_iter().map(whole).collect()
}

pub(super) async fn one_person(db: &mut Connection, name: &PersonName) -> Result<Person> {
    let row: Option<PersonRow> = sqlx::query_as("SELECT name, state, created FROM people WHERE name = $1")
        .bind(name.as_str())
        .fetch_optional(&mut *db)
        .await?;
    let roles: Vec<String> = sqlx::query_scalar("SELECT role FROM role_members WHERE person = $1")
        .bind(name.as_str())
        .fetch_all(db)
        .await?;
    found(row, RecordKind::Person, name).and_then(|row| person(row, &roles))
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
    let select = "SELECT name, host, port, host_key, labels, created FROM targets";
    let rows: Vec<TargetRow> = sqlx::query_as(select).fetch_all(db).await?;
    rows.into_iter().map(target).collect()
}

pub(super) async fn one_target(db: &mut Connection, name: &TargetName) -> Result<Target> {
    let select = "SELECT name, host, port, host_key, labels, created FROM targets WHERE name = $1";
    let row: Option<TargetRow> = sqlx::query_as(select).bind(name.as_str()).fetch_optional(db).await?;
    found(row, RecordKind::Target, name).and_then(target)
}

/// Which grants to read.
pub(super) enum Named<'a> {
    All,
    Id(&'a GrantId),
    Person(&'a PersonName),
    Role(&'a RoleName),
    Target(&'a TargetName),
}

pub(super) async fn grants(db: &mut Connection, named: Named<'_>) -> Result<Vec<Grant>> {
    const ALL: &str = "SELECT id, person, role, target, logins, permissions, sources, expires, recording, break_glass, \
                       files, forwards, created FROM grants";
    let mut select = sqlx::QueryBuilder::new(ALL);
    match named {
        Named::All => &mut select,
        Named::Id(id) => select.push(" WHERE id = ").push_bind(&id.0),
        Named::Person(name) => select.push(" WHERE person = ").push_bind(name.as_str()),
        Named::Role(name) => select.push(" WHERE role = ").push_bind(name.as_str()),
        Named::Target(name) => select.push(" WHERE target = ").push_bind(name.as_str()),
    };
    let rows: Vec<GrantRow> = select.build_query_as().fetch_all(db).await?;
    let mut grants = rows.into_iter().map(grant).collect::<Result<Vec<_>>>()?;
    grants.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(grants)
}

fn role((name, created): (String, i64)) -> Result<Role> {
    let read = || -> Read<Role> { Ok(Role { name: RoleName::new(&name)?, created: time(created) }) };
    read().map_err(|e| corrupt(RecordKind::Role, &name, e))
}

fn person((name, state, created): PersonRow, roles: &[String]) -> Result<Person> {
    let read = || -> Read<Person> {
        let state = serde_json::from_value(serde_json::Value::from(state))?;
        let roles =
            roles.iter().map(|role| RoleName::new(role)).collect::<std::result::Result<BTreeSet<_>, _>>()?;
        Ok(Person { name: PersonName::new(&name)?, state, roles, created: time(created) })
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

fn target((name, host, port, host_key, labels, created): TargetRow) -> Result<Target> {
    let read = || -> Read<Target> {
        Target::check_host(&host)?;
        let (host_key, labels) = (unjson(&host_key)?, unjson(&labels)?);
        let (name, port) = (TargetName::new(&name)?, u16::try_from(port)?);
        Ok(Target { name, host, port, host_key, labels, created: time(created) })
    };
    read().map_err(|e| corrupt(RecordKind::Target, &name, e))
}

fn grant(row: GrantRow) -> Result<Grant> {
    let (
        id,
        person,
        role,
        target,
        logins,
        permissions,
        sources,
        expires,
        recording,
        break_glass,
        files,
        forwards,
        created,
    ) = row;
    let read = || -> Read<Grant> {
        Ok(Grant {
            id: GrantId(id.clone()),
            who: match (&person, &role) {
                (Some(person), None) => Grantee::Person(PersonName::new(person)?),
                (None, Some(role)) => Grantee::Role(RoleName::new(role)?),
                _ => return Err("it is for neither or both of a person and a role".into()),
            },
            target: target.parse()?,
            logins: logins.as_deref().map(unjson).transpose()?,
            allow: unjson(&permissions)?,
            sources: unjson(&sources)?,
            expires: expires.map(time),
            record: unjson(&recording)?,
            break_glass: break_glass != 0,
            files: unjson(&files)?,
            forwards: unjson(&forwards)?,
            created: time(created),
        })
    };
    read().map_err(|e| corrupt(RecordKind::Grant, &id, e))
}

pub(super) type Read<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

pub(super) fn time(micros: i64) -> Timestamp {
    Timestamp::from_unix_micros(unsql(micros))
}

pub(super) fn unjson<T: DeserializeOwned>(text: &str) -> serde_json::Result<T> {
    serde_json::from_str(text)
}

pub(super) fn found<T>(row: Option<T>, record: RecordKind, name: &impl ToString) -> Result<T> {
    row.ok_or_else(|| StoreError::NotFound { record, name: name.to_string() })
}

pub(super) fn corrupt(record: RecordKind, name: &impl ToString, why: impl ToString) -> StoreError {
    StoreError::Corrupt { record, name: name.to_string(), why: why.to_string() }
}
