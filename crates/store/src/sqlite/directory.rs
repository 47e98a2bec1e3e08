//! The directory in SQL.

use bartizan_model::{
    AuthorizedKey, DirectoryData, Fingerprint, Grant, GrantId, HostKeyTrust, Person, PersonName, PersonState,
    Target, TargetName, TrustedCa,
};
use serde::Serialize;
use tokio::sync::watch;

use super::rows::{
    CaRow, KeyRow, Named, ca, cas, corrupt, found, grants, key, keys, one_person, one_target, people, targets,
};
use super::vault::credentials;
use super::{Connection, Durability, Result, Store, sql, unsql};
use crate::{DirectoryStore, PinOutcome, RecordKind, Removal, RemovedPerson, RemovedTarget, StoreError};

/// The directory's generation.
pub(super) async fn generation(db: &mut Connection) -> Result<u64> {
    Ok(unsql(sqlx::query_scalar("SELECT generation FROM directory_state").fetch_one(db).await?))
}

/// Counts a change and returns the generation it makes.
pub(super) async fn next_generation(db: &mut Connection) -> Result<u64> {
    let next = "UPDATE directory_state SET generation = generation + 1 RETURNING generation";
    Ok(unsql(sqlx::query_scalar(next).fetch_one(db).await?))
}

impl DirectoryStore for Store {
    async fn snapshot(&self) -> Result<DirectoryData> {
        let mut read = self.reader().await?;
        let mut data = DirectoryData {
            generation: generation(&mut read).await?,
            people: people(&mut read).await?,
            keys: keys(&mut read, None).await?,
            cas: cas(&mut read).await?,
            targets: targets(&mut read).await?,
            grants: grants(&mut read, Named::All).await?,
        };
        read.rollback().await?;
        // Sorted here and not in SQL, because databases differ in how they collate text.
        data.people.sort_by(|a, b| a.name.cmp(&b.name));
        data.keys
            .sort_by(|a, b| (&a.person, a.added, a.fingerprint).cmp(&(&b.person, b.added, b.fingerprint)));
        data.cas.sort_by_key(|ca| (ca.added, ca.fingerprint));
        data.targets.sort_by(|a, b| a.name.cmp(&b.name));
        data.grants.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(data)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.0.generation.subscribe()
    }

    async fn add_person(&self, person: &Person, keys: &[AuthorizedKey]) -> Result<()> {
        let (this, person, keys) = (self.clone(), person.clone(), keys.to_vec());
        Self::detached(async move {
            let mut change = this.writer(Durability::Full).await?;
            let insert =
                "INSERT INTO people (name, state, created) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
            let insert = sqlx::query(insert)
                .bind(person.name.as_str())
                .bind(word(&person.state)?)
                .bind(sql(person.created.unix_micros()));
            let inserted = insert.execute(&mut *change).await?.rows_affected();
            added(inserted, RecordKind::Person, &person.name)?;
            for key in &keys {
                insert_key(&mut change, key).await?;
            }
            this.commit(change).await
        })
        .await
    }

    async fn set_person_state(&self, name: &PersonName, state: PersonState) -> Result<Person> {
        let (this, name) = (self.clone(), name.clone());
        Self::detached(async move {
            let mut change = this.writer(Durability::Full).await?;
            let before = one_person(&mut change, &name).await?;
            sqlx::query("UPDATE people SET state = $1 WHERE name = $2")
                .bind(word(&state)?)
                .bind(name.as_str())
                .execute(&mut *change)
                .await?;
            this.commit(change).await?;
            Ok(Person { state, ..before })
        })
        .await
    }

    async fn remove_person(&self, name: &PersonName, removal: Removal) -> Result<RemovedPerson> {
        let (this, name) = (self.clone(), name.clone());
        Self::detached(async move {
            let mut change = this.writer(Durability::Full).await?;
            let person = one_person(&mut change, &name).await?;
            let keys = keys(&mut change, Some(&name)).await?;
            let grants = grants(&mut change, Named::Person(&name)).await?;
            check_unused(removal, RecordKind::Person, &name, &grants)?;
            for delete in [
                "DELETE FROM grants WHERE person = $1",
                "DELETE FROM authorized_keys WHERE person = $1",
                "DELETE FROM people WHERE name = $1",
            ] {
                sqlx::query(delete).bind(name.as_str()).execute(&mut *change).await?;
            }
            this.commit(change).await?;
            Ok(RemovedPerson { person, keys, grants })
        })
        .await
    }

    async fn add_key(&self, key: &AuthorizedKey) -> Result<()> {
        let (this, key) = (self.clone(), key.clone());
        Self::detached(async move {
            let mut change = this.writer(Durability::Full).await?;
            one_person(&mut change, &key.person).await?;
            insert_key(&mut change, &key).await?;
            this.commit(change).await
        })
        .await
    }

    async fn remove_key(&self, fingerprint: &Fingerprint) -> Result<AuthorizedKey> {
        let (this, fingerprint) = (self.clone(), *fingerprint);
        Self::detached(async move {
            let mut change = this.writer(Durability::Full).await?;
            let delete = "DELETE FROM authorized_keys WHERE fingerprint = $1 \
                          RETURNING fingerprint, person, public_key, comment, added";
            let row: Option<KeyRow> =
                sqlx::query_as(delete).bind(fingerprint.to_string()).fetch_optional(&mut *change).await?;
            let key = found(row, RecordKind::Key, &fingerprint).and_then(key)?;
            this.commit(change).await?;
            Ok(key)
        })
        .await
    }

    async fn add_ca(&self, ca: &TrustedCa) -> Result<()> {
        let (this, ca) = (self.clone(), ca.clone());
        Self::detached(async move {
            let mut change = this.writer(Durability::Full).await?;
            let insert = "INSERT INTO trusted_cas (fingerprint, public_key, comment, added) \
                          VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
            let insert = sqlx::query(insert)
                .bind(ca.fingerprint.to_string())
                .bind(&ca.key)
                .bind(&ca.comment)
                .bind(sql(ca.added.unix_micros()));
            added(insert.execute(&mut *change).await?.rows_affected(), RecordKind::Ca, &ca.fingerprint)?;
            this.commit(change).await
        })
        .await
    }

    async fn remove_ca(&self, fingerprint: &Fingerprint) -> Result<TrustedCa> {
        let (this, fingerprint) = (self.clone(), *fingerprint);
        Self::detached(async move {
            let mut change = this.writer(Durability::Full).await?;
            let delete = "DELETE FROM trusted_cas WHERE fingerprint = $1 \
                          RETURNING fingerprint, public_key, comment, added";
            let row: Option<CaRow> =
                sqlx::query_as(delete).bind(fingerprint.to_string()).fetch_optional(&mut *change).await?;
            let ca = found(row, RecordKind::Ca, &fingerprint).and_then(ca)?;
            this.commit(change).await?;
            Ok(ca)
        })
        .await
    }

    async fn add_target(&self, target: &Target) -> Result<()> {
        let (this, target) = (self.clone(), target.clone());
        Self::detached(async move {
            let mut change = this.writer(Durability::Full).await?;
            let insert = "INSERT INTO targets (name, host, port, host_key, created) \
                          VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
            let insert = sqlx::query(insert)
                .bind(target.name.as_str())
                .bind(&target.host)
                .bind(i64::from(target.port))
                .bind(json(&target.host_key)?)
                .bind(sql(target.created.unix_micros()));
            added(insert.execute(&mut *change).await?.rows_affected(), RecordKind::Target, &target.name)?;
            this.commit(change).await
        })
        .await
    }

    async fn remove_target(&self, name: &TargetName, removal: Removal) -> Result<RemovedTarget> {
        let (this, name) = (self.clone(), name.clone());
        Self::detached(async move {
            let mut change = this.writer(Durability::Full).await?;
            let target = one_target(&mut change, &name).await?;
            let grants = grants(&mut change, Named::Target(&name)).await?;
            check_unused(removal, RecordKind::Target, &name, &grants)?;
            let credentials = credentials(&mut change, Some(&name)).await?;
            for delete in [
                "DELETE FROM grants WHERE target = $1",
                "DELETE FROM credentials WHERE target = $1",
                "DELETE FROM targets WHERE name = $1",
            ] {
                sqlx::query(delete).bind(name.as_str()).execute(&mut *change).await?;
            }
            this.commit(change).await?;
            Ok(RemovedTarget { target, grants, credentials })
        })
        .await
    }

    async fn set_host_key_trust(&self, name: &TargetName, trust: &HostKeyTrust) -> Result<Target> {
        let (this, name, trust) = (self.clone(), name.clone(), trust.clone());
        Self::detached(async move {
            let mut change = this.writer(Durability::Full).await?;
            let mut target = one_target(&mut change, &name).await?;
            target.host_key = trust;
            update_trust(&mut change, &target).await?;
            this.commit(change).await?;
            Ok(target)
        })
        .await
    }

    async fn pin_host_key(&self, name: &TargetName, key: &str) -> Result<PinOutcome> {
        let (this, name, key) = (self.clone(), name.clone(), key.to_owned());
        Self::detached(async move {
            // The write lock is held from the start, so nothing comes between compare and set.
            let mut change = this.writer(Durability::Full).await?;
            let mut target = one_target(&mut change, &name).await?;
            if target.host_key != HostKeyTrust::FirstUse {
                change.rollback().await?;
                return Ok(PinOutcome::Already(target.host_key));
            }
            target.host_key = HostKeyTrust::Pinned(vec![key]);
            update_trust(&mut change, &target).await?;
            this.commit(change).await?;
            Ok(PinOutcome::Pinned(target))
        })
        .await
    }

    async fn add_grant(&self, grant: &Grant) -> Result<()> {
        let (this, grant) = (self.clone(), grant.clone());
        Self::detached(async move {
            let mut change = this.writer(Durability::Full).await?;
            one_person(&mut change, &grant.person).await?;
            if grant.target.is_exact() {
                let name = TargetName::new(grant.target.as_str())
                    .map_err(|e| corrupt(RecordKind::Grant, &grant.id, e))?;
                one_target(&mut change, &name).await?;
            }
            let insert = "INSERT INTO grants \
                          (id, person, target, logins, permissions, sources, expires, recording, created) \
                          VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING";
            let insert = sqlx::query(insert)
                .bind(&grant.id.0)
                .bind(grant.person.as_str())
                .bind(grant.target.as_str())
                .bind(grant.logins.as_ref().map(json).transpose()?)
                .bind(json(&grant.allow)?)
                .bind(json(&grant.sources)?)
                .bind(grant.expires.map(|t| sql(t.unix_micros())))
                .bind(json(&grant.record)?)
                .bind(sql(grant.created.unix_micros()));
            added(insert.execute(&mut *change).await?.rows_affected(), RecordKind::Grant, &grant.id)?;
            this.commit(change).await
        })
        .await
    }

    async fn remove_grant(&self, id: &GrantId) -> Result<Grant> {
        let (this, id) = (self.clone(), id.clone());
        Self::detached(async move {
            let mut change = this.writer(Durability::Full).await?;
            let grant = grants(&mut change, Named::Id(&id)).await?.pop();
            let grant = found(grant, RecordKind::Grant, &id)?;
            sqlx::query("DELETE FROM grants WHERE id = $1").bind(&id.0).execute(&mut *change).await?;
            this.commit(change).await?;
            Ok(grant)
        })
        .await
    }
}

async fn insert_key(db: &mut Connection, key: &AuthorizedKey) -> Result<()> {
    let holder: Option<String> =
        sqlx::query_scalar("SELECT person FROM authorized_keys WHERE fingerprint = $1")
            .bind(key.fingerprint.to_string())
            .fetch_optional(&mut *db)
            .await?;
    if let Some(holder) = holder {
        let person = PersonName::new(&holder).map_err(|e| corrupt(RecordKind::Key, &key.fingerprint, e))?;
        return Err(StoreError::KeyTaken { fingerprint: key.fingerprint, person });
    }
    let insert = "INSERT INTO authorized_keys (fingerprint, person, public_key, comment, added) \
                  VALUES ($1, $2, $3, $4, $5)";
    sqlx::query(insert)
        .bind(key.fingerprint.to_string())
        .bind(key.person.as_str())
        .bind(&key.key)
        .bind(&key.comment)
        .bind(sql(key.added.unix_micros()))
        .execute(db)
        .await?;
    Ok(())
}

async fn update_trust(db: &mut Connection, target: &Target) -> Result<()> {
    sqlx::query("UPDATE targets SET host_key = $1 WHERE name = $2")
        .bind(json(&target.host_key)?)
        .bind(target.name.as_str())
        .execute(db)
        .await?;
    Ok(())
}

fn json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|e| StoreError::Database(e.into()))
}

/// An enum without data as its word, without the quotes of JSON.
fn word<T: Serialize>(value: &T) -> Result<String> {
    Ok(json(value)?.trim_matches('"').to_owned())
}

fn added(rows: u64, record: RecordKind, name: &impl ToString) -> Result<()> {
    if rows == 1 { Ok(()) } else { Err(StoreError::Exists { record, name: name.to_string() }) }
}

fn check_unused(removal: Removal, record: RecordKind, name: &impl ToString, grants: &[Grant]) -> Result<()> {
    if removal == Removal::Cascade || grants.is_empty() {
        return Ok(());
    }
    let grants = grants.iter().map(|g| g.id.clone()).collect();
    Err(StoreError::InUse { record, name: name.to_string(), grants })
}
