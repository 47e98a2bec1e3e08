//! Certificates of people in SQL.

use bartizan_model::{Fingerprint, IssuedCertificate, PersonName, Revocation, Timestamp};

use super::records::json;
use super::rows::{Read, corrupt, time, unjson};
use super::{Connection, Result, Store, sql, unsql};
use crate::certificates::KEPT_AFTER_ITS_END;
use crate::{CertificateStore, RecordKind, StoreError};

impl CertificateStore for Store {
    async fn add_certificate(&self, issued: &IssuedCertificate) -> Result<()> {
        let (this, issued) = (self.clone(), issued.clone());
        Self::detached(async move {
            let mut change = this.writer().await?;
            forget(&mut change, "DELETE FROM certificates WHERE valid_before < $1", issued.issued).await?;
            let known: i64 = sqlx::query_scalar("SELECT count(*) FROM certificates WHERE serial = $1")
                .bind(sql(issued.serial))
                .fetch_one(&mut *change)
                .await?;
            if known > 0 {
                let name = issued.serial.to_string();
                return Err(StoreError::Exists { record: RecordKind::Certificate, name });
            }
            let insert = "INSERT INTO certificates (serial, ca, key_id, person, fingerprint, valid_after, \
                          valid_before, sources, permits, issued) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
            sqlx::query(insert)
                .bind(sql(issued.serial))
                .bind(issued.ca.to_string())
                .bind(&issued.key_id)
                .bind(issued.person.as_str())
                .bind(issued.key.to_string())
                .bind(sql(issued.valid_after.unix_micros()))
                .bind(sql(issued.valid_before.unix_micros()))
                .bind(json(&issued.sources)?)
                .bind(json(&issued.permits)?)
                .bind(sql(issued.issued.unix_micros()))
                .execute(&mut *change)
                .await?;
            Ok(change.commit().await?)
        })
        .await
    }

    async fn certificates(&self) -> Result<Vec<IssuedCertificate>> {
        let mut read = self.reader().await?;
        let select = "SELECT serial, ca, key_id, person, fingerprint, valid_after, valid_before, sources, permits, \
                      issued FROM certificates";
        let rows: Vec<Row> = sqlx::query_as(select).fetch_all(&mut *read).await?;
        let mut issued = rows.into_iter().map(certificate).collect::<Result<Vec<_>>>()?;
        issued.sort_by_key(|issued| (issued.issued, issued.serial));
        Ok(issued)
    }

    async fn revoke(&self, revocation: &Revocation) -> Result<()> {
        let (this, revocation) = (self.clone(), revocation.clone());
        Self::detached(async move {
            let mut change = this.writer().await?;
            let what = json(&revocation.what)?;
            forget(&mut change, "DELETE FROM revocations WHERE ends < $1", revocation.added).await?;
            let known: i64 = sqlx::query_scalar("SELECT count(*) FROM revocations WHERE what = $1")
                .bind(&what)
                .fetch_one(&mut *change)
                .await?;
            if known > 0 {
                let name = revocation.what.to_string();
                return Err(StoreError::Exists { record: RecordKind::Revocation, name });
            }
            sqlx::query("INSERT INTO revocations (what, added, ends) VALUES ($1, $2, $3)")
                .bind(what)
                .bind(sql(revocation.added.unix_micros()))
                .bind(revocation.ends.map(|ends| sql(ends.unix_micros())))
                .execute(&mut *change)
                .await?;
            this.commit(change).await
        })
        .await
    }
}

/// Deletes what ended long before `now`.
async fn forget(db: &mut Connection, delete: &'static str, now: Timestamp) -> Result<()> {
    let before = now.saturating_sub(KEPT_AFTER_ITS_END);
    sqlx::query(delete).bind(sql(before.unix_micros())).execute(db).await?;
    Ok(())
}

/// What is revoked, by time.
pub(super) async fn revocations(db: &mut Connection) -> Result<Vec<Revocation>> {
    let rows: Vec<(String, i64, Option<i64>)> =
        sqlx::query_as("SELECT what, added, ends FROM revocations").fetch_all(db).await?;
    let read = |(what, added, ends): (String, i64, Option<i64>)| {
        let revoked = unjson(&what).map_err(|e| corrupt(RecordKind::Revocation, &what, e))?;
        Ok(Revocation { what: revoked, added: time(added), ends: ends.map(time) })
    };
    let mut revocations = rows.into_iter().map(read).collect::<Result<Vec<_>>>()?;
    revocations.sort_by(|a, b| (a.added, &a.what).cmp(&(b.added, &b.what)));
    Ok(revocations)
}

type Row = (i64, String, String, String, String, i64, i64, String, String, i64);

fn certificate(row: Row) -> Result<IssuedCertificate> {
    let (serial, ca, key_id, person, key, after, before, sources, permits, issued) = row;
    let read = || -> Read<IssuedCertificate> {
        Ok(IssuedCertificate {
            serial: unsql(serial),
            ca: ca.parse::<Fingerprint>()?,
            key_id,
            person: PersonName::new(&person)?,
            key: key.parse()?,
            valid_after: time(after),
            valid_before: time(before),
            sources: unjson(&sources)?,
            permits: unjson(&permits)?,
            issued: time(issued),
        })
    };
    read().map_err(|e| corrupt(RecordKind::Certificate, &serial, e))
}
