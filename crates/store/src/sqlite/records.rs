//! The directory's records as they are written: one function a record, inside a transaction of the caller's.

use bartizan_model::{
    AuthorizedKey, Grant, Grantee, Person, PersonName, Role, RoleName, Target, TargetName, TrustedCa,
};
use serde::Serialize;

use super::rows::{Named, corrupt, grants, one_person, one_role, one_target};
use super::{Connection, Result, sql};
use crate::{RecordKind, Removal, StoreError, Write};

/// Makes one change of many.
pub(super) async fn write(db: &mut Connection, write: &Write) -> Result<()> {
    match write {
        Write::Role(role) => put_role(db, role).await,
        Write::Person(person) => put_person(db, person).await,
        Write::Key(key) => put_key(db, key).await,
        Write::Ca(ca) => put_ca(db, ca).await,
        Write::Target(target) => put_target(db, target).await,
        Write::Grant(grant) => put_grant(db, grant).await,
        Write::RemoveGrant(id) => delete(db, "DELETE FROM grants WHERE id = $1", &id.0).await,
        Write::RemoveKey(key) => {
            delete(db, "DELETE FROM authorized_keys WHERE fingerprint = $1", &key.to_string()).await
        }
        Write::RemovePerson(name) => {
            unused(db, Named::Person(name), RecordKind::Person, name).await?;
            delete_person(db, name).await
        }
        Write::RemoveRole(name) => {
            unused(db, Named::Role(name), RecordKind::Role, name).await?;
            delete_role(db, name).await
        }
        Write::RemoveTarget(name) => {
            unused(db, Named::Target(name), RecordKind::Target, name).await?;
            delete_target(db, name).await
        }
        Write::RemoveCa(key) => {
            delete(db, "DELETE FROM trusted_cas WHERE fingerprint = $1", &key.to_string()).await
        }
    }
}

pub(super) async fn put_role(db: &mut Connection, role: &Role) -> Result<()> {
    let put = "INSERT INTO roles (name, created) VALUES ($1, $2) \
               ON CONFLICT (name) DO UPDATE SET created = excluded.created";
    let put = sqlx::query(put).bind(role.name.as_str()).bind(sql(role.created.unix_micros()));
    put.execute(db).await?;
    Ok(())
}

/// Writes a person with exactly their roles.
pub(super) async fn put_person(db: &mut Connection, person: &Person) -> Result<()> {
    let put = "INSERT INTO people (name, state, created) VALUES ($1, $2, $3) \
               ON CONFLICT (name) DO UPDATE SET state = excluded.state, created = excluded.created";
    sqlx::query(put)
        .bind(person.name.as_str())
        .bind(word(&person.state)?)
        .bind(sql(person.created.unix_micros()))
        .execute(&mut *db)
        .await?;
    delete(db, "DELETE FROM role_members WHERE person = $1", person.name.as_str()).await?;
    for role in &person.roles {
        one_role(db, role).await?;
        add_member(db, role, &person.name).await?;
    }
    Ok(())
}

pub(super) async fn add_member(db: &mut Connection, role: &RoleName, person: &PersonName) -> Result<()> {
    let add = "INSERT INTO role_members (role, person) VALUES ($1, $2)";
    sqlx::query(add).bind(role.as_str()).bind(person.as_str()).execute(db).await?;
    Ok(())
}

/// Writes a key. The caller has seen to it that nobody else has it.
pub(super) async fn put_key(db: &mut Connection, key: &AuthorizedKey) -> Result<()> {
    let put = "INSERT INTO authorized_keys (fingerprint, person, public_key, comment, added) \
               VALUES ($1, $2, $3, $4, $5) \
               ON CONFLICT (fingerprint) DO UPDATE SET person = excluded.person, \
               public_key = excluded.public_key, comment = excluded.comment, added = excluded.added";
    sqlx::query(put)
        .bind(key.fingerprint.to_string())
        .bind(key.person.as_str())
        .bind(&key.key)
        .bind(&key.comment)
        .bind(sql(key.added.unix_micros()))
        .execute(db)
        .await?;
    Ok(())
}

pub(super) async fn put_ca(db: &mut Connection, ca: &TrustedCa) -> Result<()> {
    let put = "INSERT INTO trusted_cas (fingerprint, public_key, comment, added) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (fingerprint) DO UPDATE SET public_key = excluded.public_key, \
               comment = excluded.comment, added = excluded.added";
    sqlx::query(put)
        .bind(ca.fingerprint.to_string())
        .bind(&ca.key)
        .bind(&ca.comment)
        .bind(sql(ca.added.unix_micros()))
        .execute(db)
        .await?;
    Ok(())
}

pub(super) async fn put_target(db: &mut Connection, target: &Target) -> Result<()> {
    let put = "INSERT INTO targets (name, host, port, host_key, labels, created) \
               VALUES ($1, $2, $3, $4, $5, $6) \
               ON CONFLICT (name) DO UPDATE SET host = excluded.host, port = excluded.port, \
               host_key = excluded.host_key, labels = excluded.labels, created = excluded.created";
    sqlx::query(put)
        .bind(target.name.as_str())
        .bind(&target.host)
        .bind(i64::from(target.port))
        .bind(json(&target.host_key)?)
        .bind(json(&target.labels)?)
        .bind(sql(target.created.unix_micros()))
        .execute(db)
        .await?;
    Ok(())
}

/// Writes a grant; whom and what it names must be there.
pub(super) async fn put_grant(db: &mut Connection, grant: &Grant) -> Result<()> {
    let (person, role) = match &grant.who {
        Grantee::Person(name) => (Some(one_person(db, name).await?.name), None),
        Grantee::Role(name) => (None, Some(one_role(db, name).await?.name)),
    };
    if let Some(name) = grant.target.name() {
        one_target(db, &name).await?;
    }
    let put = "INSERT INTO grants \
               (id, person, role, target, logins, permissions, sources, expires, recording, break_glass, files, \
               forwards, created) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
               ON CONFLICT (id) DO UPDATE SET person = excluded.person, role = excluded.role, \
               target = excluded.target, logins = excluded.logins, permissions = excluded.permissions, \
               sources = excluded.sources, expires = excluded.expires, recording = excluded.recording, \
               break_glass = excluded.break_glass, files = excluded.files, \
               forwards = excluded.forwards, created = excluded.created";
    sqlx::query(put)
        .bind(&grant.id.0)
        .bind(person.as_ref().map(PersonName::as_str))
        .bind(role.as_ref().map(RoleName::as_str))
        .bind(grant.target.as_str())
        .bind(grant.logins.as_ref().map(json).transpose()?)
        .bind(json(&grant.allow)?)
        .bind(json(&grant.sources)?)
        .bind(grant.expires.map(|t| sql(t.unix_micros())))
        .bind(json(&grant.record)?)
        .bind(i64::from(grant.break_glass))
        .bind(json(&grant.files)?)
        .bind(json(&grant.forwards)?)
        .bind(sql(grant.created.unix_micros()))
        .execute(db)
        .await?;
    Ok(())
}

pub(super) async fn delete_person(db: &mut Connection, name: &PersonName) -> Result<()> {
    delete(db, "DELETE FROM role_members WHERE person = $1", name.as_str()).await?;
    delete(db, "DELETE FROM authorized_keys WHERE person = $1", name.as_str()).await?;
    delete(db, "DELETE FROM people WHERE name = $1", name.as_str()).await
}

pub(super) async fn delete_role(db: &mut Connection, name: &RoleName) -> Result<()> {
    delete(db, "DELETE FROM role_members WHERE role = $1", name.as_str()).await?;
    delete(db, "DELETE FROM roles WHERE name = $1", name.as_str()).await
}

/// Deletes a target with what Bartizan logs in to it with.
pub(super) async fn delete_target(db: &mut Connection, name: &TargetName) -> Result<()> {
    delete(db, "DELETE FROM credentials WHERE target = $1", name.as_str()).await?;
    delete(db, "DELETE FROM targets WHERE name = $1", name.as_str()).await
}

/// Deletes the rows that `id` names; there may be none.
pub(super) async fn delete(db: &mut Connection, delete: &'static str, id: &str) -> Result<()> {
    sqlx::query(delete).bind(id).execute(db).await?;
    Ok(())
}

/// Refuses to remove what grants name.
pub(super) fn check_unused(
    removal: Removal,
    record: RecordKind,
    name: &impl ToString,
    grants: &[Grant],
) -> Result<()> {
    if removal == Removal::Cascade || grants.is_empty() {
        return Ok(());
    }
    let grants = grants.iter().map(|g| g.id.clone()).collect();
    Err(StoreError::InUse { record, name: name.to_string(), grants })
}

async fn unused(
    db: &mut Connection,
    named: Named<'_>,
    record: RecordKind,
    name: &impl ToString,
) -> Result<()> {
    check_unused(Removal::Refuse, record, name, &grants(db, named).await?)
}

/// Refuses to add what was found.
pub(super) fn absent<T>(found: Result<T>, record: RecordKind, name: &impl ToString) -> Result<()> {
    match found {
        Err(StoreError::NotFound { .. }) => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Err(StoreError::Exists { record, name: name.to_string() }),
    }
}

/// Refuses a key that is somebody's already.
pub(super) async fn check_free(db: &mut Connection, key: &AuthorizedKey) -> Result<()> {
    let holder: Option<String> =
        sqlx::query_scalar("SELECT person FROM authorized_keys WHERE fingerprint = $1")
            .bind(key.fingerprint.to_string())
            .fetch_optional(db)
            .await?;
    match holder {
        None => Ok(()),
        Some(holder) => {
            let person =
                PersonName::new(&holder).map_err(|e| corrupt(RecordKind::Key, &key.fingerprint, e))?;
            Err(StoreError::KeyTaken { fingerprint: key.fingerprint, person })
        }
    }
}

pub(super) fn json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|e| StoreError::Database(e.into()))
}

/// An enum without data as its word, without the quotes of JSON.
pub(super) fn word<T: Serialize>(value: &T) -> Result<String> {
    Ok(json(value)?.trim_matches('"').to_owned())
}
