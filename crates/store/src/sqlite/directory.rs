//! The directory in SQL.

use bartizan_model::{
    AuthorizedKey, DirectoryData, Fingerprint, Grant, GrantId, HostKeyTrust, Labels, Person, PersonName,
    PersonState, Role, RoleName, Target, TargetName, TrustedCa,
};
use tokio::sync::watch;

use super::certificates::revocations;
use super::records::{
    absent, add_member, check_free, check_unused, delete, delete_person, delete_role, delete_target, put_ca,
    put_grant, put_key, put_person, put_role, put_target, word, write,
};
use super::rows::{
    CaRow, KeyRow, Named, ca, cas, found, grants, key, keys, members, one_person, one_role, one_target,
    people, roles, targets,
};
use super::vault::credentials;
use super::{Connection, Result, Store, unsql};
use crate::{
    DirectoryStore, Membership, PinOutcome, RecordKind, Removal, RemovedPerson, RemovedRole, RemovedTarget,
    StoreError, Write,
};

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
            roles: roles(&mut read).await?,
            people: people(&mut read).await?,
            keys: keys(&mut read, None).await?,
            cas: cas(&mut read).await?,
            revocations: revocations(&mut read).await?,
            targets: targets(&mut read).await?,
            grants: grants(&mut read, Named::All).await?,
            credentials: credentials(&mut read, None).await?,
        };
        read.rollback().await?;
        // Sorted here and not in SQL, because databases differ in how they collate text.
        data.roles.sort_by(|a, b| a.name.cmp(&b.name));
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
            let mut change = this.writer().await?;
            absent(one_person(&mut change, &person.name).await, RecordKind::Person, &person.name)?;
            put_person(&mut change, &person).await?;
            for key in &keys {
                check_free(&mut change, key).await?;
                put_key(&mut change, key).await?;
            }
            this.commit(change).await
        })
        .await
    }

    async fn set_person_state(&self, name: &PersonName, state: PersonState) -> Result<Person> {
        let (this, name) = (self.clone(), name.clone());
        Self::detached(async move {
            let mut change = this.writer().await?;
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
            let mut change = this.writer().await?;
            let person = one_person(&mut change, &name).await?;
            let keys = keys(&mut change, Some(&name)).await?;
            let grants = grants(&mut change, Named::Person(&name)).await?;
            check_unused(removal, RecordKind::Person, &name, &grants)?;
            delete(&mut change, "DELETE FROM grants WHERE person = $1", name.as_str()).await?;
            delete_person(&mut change, &name).await?;
            this.commit(change).await?;
            Ok(RemovedPerson { person, keys, grants })
        })
        .await
    }

    async fn add_role(&self, role: &Role) -> Result<()> {
        let (this, role) = (self.clone(), role.clone());
        Self::detached(async move {
            let mut change = this.writer().await?;
            absent(one_role(&mut change, &role.name).await, RecordKind::Role, &role.name)?;
            put_role(&mut change, &role).await?;
            this.commit(change).await
        })
        .await
    }

    async fn remove_role(&self, name: &RoleName, removal: Removal) -> Result<RemovedRole> {
        let (this, name) = (self.clone(), name.clone());
        Self::detached(async move {
            let mut change = this.writer().await?;
            let role = one_role(&mut change, &name).await?;
            let members = members(&mut change, &name).await?;
            let grants = grants(&mut change, Named::Role(&name)).await?;
            check_unused(removal, RecordKind::Role, &name, &grants)?;
            delete(&mut change, "DELETE FROM grants WHERE role = $1", name.as_str()).await?;
            delete_role(&mut change, &name).await?;
            this.commit(change).await?;
            Ok(RemovedRole { role, members, grants })
        })
        .await
    }

    async fn set_membership(
        &self,
        role: &RoleName,
        person: &PersonName,
        membership: Membership,
    ) -> Result<Person> {
        let (this, role, person) = (self.clone(), role.clone(), person.clone());
        Self::detached(async move {
            let mut change = this.writer().await?;
            one_role(&mut change, &role).await?;
            let before = one_person(&mut change, &person).await?;
            if before.roles.contains(&role) == (membership == Membership::Member) {
                change.rollback().await?;
                return Ok(before);
            }
            match membership {
                Membership::Member => add_member(&mut change, &role, &person).await?,
                Membership::Outsider => {
                    let delete = "DELETE FROM role_members WHERE role = $1 AND person = $2";
                    let delete = sqlx::query(delete).bind(role.as_str()).bind(person.as_str());
                    delete.execute(&mut *change).await?;
                }
            }
            let after = one_person(&mut change, &person).await?;
            this.commit(change).await?;
            Ok(after)
        })
        .await
    }

    async fn write_all(&self, expected: u64, writes: Vec<Write>) -> Result<()> {
        let this = self.clone();
        Self::detached(async move {
            // The write lock is held from the start, so nothing comes between this look and the writes.
            let mut change = this.writer().await?;
            let found = generation(&mut change).await?;
            if found != expected {
                return Err(StoreError::Moved { expected, found });
            }
            for one in &writes {
                write(&mut change, one).await?;
            }
            this.commit(change).await
        })
        .await
    }

    async fn add_key(&self, key: &AuthorizedKey) -> Result<()> {
        let (this, key) = (self.clone(), key.clone());
        Self::detached(async move {
            let mut change = this.writer().await?;
            one_person(&mut change, &key.person).await?;
            check_free(&mut change, &key).await?;
            put_key(&mut change, &key).await?;
            this.commit(change).await
        })
        .await
    }

    async fn remove_key(&self, fingerprint: &Fingerprint) -> Result<AuthorizedKey> {
        let (this, fingerprint) = (self.clone(), *fingerprint);
        Self::detached(async move {
            let mut change = this.writer().await?;
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
            let mut change = this.writer().await?;
            let select =
                "SELECT fingerprint, public_key, comment, added FROM trusted_cas WHERE fingerprint = $1";
            let known: Option<CaRow> =
                sqlx::query_as(select).bind(ca.fingerprint.to_string()).fetch_optional(&mut *change).await?;
            absent(found(known, RecordKind::Ca, &ca.fingerprint), RecordKind::Ca, &ca.fingerprint)?;
            put_ca(&mut change, &ca).await?;
            this.commit(change).await
        })
        .await
    }

    async fn remove_ca(&self, fingerprint: &Fingerprint) -> Result<TrustedCa> {
        let (this, fingerprint) = (self.clone(), *fingerprint);
        Self::detached(async move {
            let mut change = this.writer().await?;
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
            let mut change = this.writer().await?;
            absent(one_target(&mut change, &target.name).await, RecordKind::Target, &target.name)?;
            put_target(&mut change, &target).await?;
            this.commit(change).await
        })
        .await
    }

    async fn remove_target(&self, name: &TargetName, removal: Removal) -> Result<RemovedTarget> {
        let (this, name) = (self.clone(), name.clone());
        Self::detached(async move {
            let mut change = this.writer().await?;
            let target = one_target(&mut change, &name).await?;
            let grants = grants(&mut change, Named::Target(&name)).await?;
            check_unused(removal, RecordKind::Target, &name, &grants)?;
            let credentials = credentials(&mut change, Some(&name)).await?;
            delete(&mut change, "DELETE FROM grants WHERE target = $1", name.as_str()).await?;
            delete_target(&mut change, &name).await?;
            this.commit(change).await?;
            Ok(RemovedTarget { target, grants, credentials })
        })
        .await
    }

    async fn set_host_key_trust(&self, name: &TargetName, trust: &HostKeyTrust) -> Result<Target> {
        let (this, name, trust) = (self.clone(), name.clone(), trust.clone());
        Self::detached(async move {
            let mut change = this.writer().await?;
            let mut target = one_target(&mut change, &name).await?;
            target.host_key = trust;
            put_target(&mut change, &target).await?;
            this.commit(change).await?;
            Ok(target)
        })
        .await
    }

    async fn set_labels(&self, name: &TargetName, labels: &Labels) -> Result<Target> {
        let (this, name, labels) = (self.clone(), name.clone(), labels.clone());
        Self::detached(async move {
            let mut change = this.writer().await?;
            let mut target = one_target(&mut change, &name).await?;
            target.labels = labels;
            put_target(&mut change, &target).await?;
            this.commit(change).await?;
            Ok(target)
        })
        .await
    }

    async fn pin_host_key(&self, name: &TargetName, key: &str) -> Result<PinOutcome> {
        let (this, name, key) = (self.clone(), name.clone(), key.to_owned());
        Self::detached(async move {
            // The write lock is held from the start, so nothing comes between compare and set.
            let mut change = this.writer().await?;
            let mut target = one_target(&mut change, &name).await?;
            if target.host_key != HostKeyTrust::FirstUse {
                change.rollback().await?;
                return Ok(PinOutcome::Already(target.host_key));
            }
            target.host_key = HostKeyTrust::Pinned(vec![key]);
            put_target(&mut change, &target).await?;
            this.commit(change).await?;
            Ok(PinOutcome::Pinned(target))
        })
        .await
    }

    async fn add_grant(&self, grant: &Grant) -> Result<()> {
        let (this, grant) = (self.clone(), grant.clone());
        Self::detached(async move {
            let mut change = this.writer().await?;
            let known = grants(&mut change, Named::Id(&grant.id)).await?.pop();
            absent(found(known, RecordKind::Grant, &grant.id), RecordKind::Grant, &grant.id)?;
            put_grant(&mut change, &grant).await?;
            this.commit(change).await
        })
        .await
    }

    async fn remove_grant(&self, id: &GrantId) -> Result<Grant> {
        let (this, id) = (self.clone(), id.clone());
        Self::detached(async move {
            let mut change = this.writer().await?;
            let grant = grants(&mut change, Named::Id(&id)).await?.pop();
            let grant = found(grant, RecordKind::Grant, &id)?;
            sqlx::query("DELETE FROM grants WHERE id = $1").bind(&id.0).execute(&mut *change).await?;
            this.commit(change).await?;
            Ok(grant)
        })
        .await
    }
}
