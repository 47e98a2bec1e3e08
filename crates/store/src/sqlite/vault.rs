//! Sealed credentials in SQL.

use bartizan_model::{LoginName, StoredCredential, Target, TargetName};

use super::rows::{corrupt, found, one_target, time};
use super::{Connection, Result, Store, sql};
use crate::vault::{credential_name, kind_of};
use crate::{RecordKind, Sealed, StoreError, VaultStore, WrappedKey};

impl VaultStore for Store {
    async fn wrapped_key(&self) -> Result<Option<WrappedKey>> {
        let mut read = self.reader().await?;
        wrapped(&mut read).await
    }

    async fn replace_wrapped_key(&self, before: Option<&WrappedKey>, after: &WrappedKey) -> Result<bool> {
        let (this, before, after) = (self.clone(), before.cloned(), after.clone());
        Self::detached(async move {
            // The write lock is held from the start, so nothing comes between compare and set.
            let mut change = this.writer().await?;
            if wrapped(&mut change).await? != before {
                change.rollback().await?;
                return Ok(false);
            }
            let upsert = "INSERT INTO vault_key (id, master, wrapped) VALUES (1, $1, $2) \
                          ON CONFLICT (id) DO UPDATE SET master = excluded.master, wrapped = excluded.wrapped";
            sqlx::query(upsert).bind(after.master).bind(after.wrapped.0).execute(&mut *change).await?;
            change.commit().await?;
            Ok(true)
        })
        .await
    }

    async fn credentials(&self, target: Option<&TargetName>) -> Result<Vec<StoredCredential>> {
        let mut read = self.reader().await?;
        credentials(&mut read, target).await
    }

    async fn sealed_credential(
        &self,
        target: &TargetName,
        login: &LoginName,
    ) -> Result<Option<(StoredCredential, Sealed, Target)>> {
        let select = "SELECT target, login, kind, public_key, fingerprint, added, sealed FROM credentials \
                      WHERE target = $1 AND login = $2";
        type Row = (String, String, String, Option<String>, Option<String>, i64, Vec<u8>);
        let mut read = self.reader().await?;
        let row: Option<Row> = sqlx::query_as(select)
            .bind(target.as_str())
            .bind(login.as_str())
            .fetch_optional(&mut *read)
            .await?;
        let Some((target, login, kind, key, fingerprint, added, sealed)) = row else { return Ok(None) };
        let found = credential((target, login, kind, key, fingerprint, added))?;
        // In the same transaction: whoever points the target elsewhere and stores a new secret does so before both or after.
        let record = one_target(&mut read, &found.target).await?;
        Ok(Some((found, Sealed(sealed), record)))
    }

    async fn set_credential(&self, credential: &StoredCredential, sealed: &Sealed) -> Result<()> {
        let (this, credential, sealed) = (self.clone(), credential.clone(), sealed.clone());
        Self::detached(async move {
            let mut change = this.writer().await?;
            one_target(&mut change, &credential.target).await?;
            delete(&mut change, &credential.target, &credential.login).await?;
            let insert = "INSERT INTO credentials (target, login, kind, public_key, fingerprint, added, sealed) \
                          VALUES ($1, $2, $3, $4, $5, $6, $7)";
            sqlx::query(insert)
                .bind(credential.target.as_str())
                .bind(credential.login.as_str())
                .bind(credential.kind.as_str())
                .bind(&credential.key)
                .bind(credential.fingerprint.map(|f| f.to_string()))
                .bind(sql(credential.added.unix_micros()))
                .bind(sealed.0)
                .execute(&mut *change)
                .await?;
            this.commit(change).await
        })
        .await
    }

    async fn remove_credential(&self, target: &TargetName, login: &LoginName) -> Result<StoredCredential> {
        let (this, target, login) = (self.clone(), target.clone(), login.clone());
        Self::detached(async move {
            let mut change = this.writer().await?;
            let row = delete(&mut change, &target, &login).await?;
            let credential =
                found(row, RecordKind::Credential, &credential_name(&target, &login)).and_then(credential)?;
            this.commit(change).await?;
            Ok(credential)
        })
        .await
    }
}

type CredentialRow = (String, String, String, Option<String>, Option<String>, i64);

/// The id of the master key that locks the vault, if it was ever used.
pub(super) async fn master(db: &mut Connection) -> Result<Option<String>> {
    Ok(wrapped(db).await?.map(|key| key.master))
}

async fn wrapped(db: &mut Connection) -> Result<Option<WrappedKey>> {
    let row: Option<(String, Vec<u8>)> =
        sqlx::query_as("SELECT master, wrapped FROM vault_key").fetch_optional(db).await?;
    Ok(row.map(|(master, wrapped)| WrappedKey { master, wrapped: Sealed(wrapped) }))
}

async fn delete(
    db: &mut Connection,
    target: &TargetName,
    login: &LoginName,
) -> Result<Option<CredentialRow>> {
    let delete = "DELETE FROM credentials WHERE target = $1 AND login = $2 \
                  RETURNING target, login, kind, public_key, fingerprint, added";
    Ok(sqlx::query_as(delete).bind(target.as_str()).bind(login.as_str()).fetch_optional(db).await?)
}

/// What is stored, of one target or of all.
pub(super) async fn credentials(
    db: &mut Connection,
    target: Option<&TargetName>,
) -> Result<Vec<StoredCredential>> {
    const ALL: &str = "SELECT target, login, kind, public_key, fingerprint, added FROM credentials";
    let mut select = sqlx::QueryBuilder::new(ALL);
    if let Some(target) = target {
        select.push(" WHERE target = ").push_bind(target.as_str());
    }
    let rows: Vec<CredentialRow> = select.build_query_as().fetch_all(db).await?;
    let mut credentials = rows.into_iter().map(credential).collect::<Result<Vec<_>>>()?;
    credentials.sort_by(|a, b| (&a.target, &a.login).cmp(&(&b.target, &b.login)));
    Ok(credentials)
}

fn credential((target, login, kind, key, fingerprint, added): CredentialRow) -> Result<StoredCredential> {
    let name = format!("{login}@{target}");
    let wrong = |e: &dyn std::fmt::Display| -> StoreError { corrupt(RecordKind::Credential, &name, e) };
    Ok(StoredCredential {
        target: target.parse().map_err(|e| wrong(&e))?,
        login: login.parse().map_err(|e| wrong(&e))?,
        kind: kind_of(&kind).ok_or_else(|| wrong(&"it is of no known kind"))?,
        key,
        fingerprint: fingerprint.map(|text| text.parse()).transpose().map_err(|e| wrong(&e))?,
        added: time(added),
    })
}
