//! Brings a database's schema up to date.

use sqlx::postgres::PgPool;

use super::Result;
use crate::StoreError;
use crate::sqlite::{SEARCH, STEPS};

/// What a step adds here.
const BESIDE: [(&str, &str); 2] = [
    (
        include_str!("../../migrations/0002_index.sql"),
        include_str!("../../migrations/postgres/0002_index.sql"),
    ),
    (SEARCH, include_str!("../../migrations/postgres/0007_search.sql")),
];

/// The steps are written once, in what both databases understand; two words differ.
fn translated(step: &str) -> String {
    // Text is compared byte by byte, as in SQLite and in Rust, whatever the database's collation is.
    step.replace(" TEXT", " TEXT COLLATE \"C\"").replace(" BLOB", " BYTEA")
}

/// Takes the steps that the database lacks, all in one transaction: nodes that start together take turns.
pub(super) async fn run(pool: &PgPool, shown: &str) -> Result<()> {
    let mut change = pool.begin_with("BEGIN; SELECT pg_advisory_xact_lock(4711001)").await?;
    sqlx::query("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)")
        .execute(&mut *change)
        .await?;
    let found: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM schema_version")
        .fetch_one(&mut *change)
        .await?;
    let known = STEPS.len() as i64;
    if found > known {
        return Err(StoreError::Newer { database: shown.into(), found, known });
    }
    for (version, step) in (1..).zip(STEPS).skip(usize::try_from(found).unwrap_or(0)) {
        sqlx::raw_sql(sqlx::AssertSqlSafe(translated(step))).execute(&mut *change).await?;
        for (_, more) in BESIDE.into_iter().filter(|(beside, _)| *beside == step) {
            sqlx::raw_sql(more).execute(&mut *change).await?;
        }
        sqlx::query("INSERT INTO schema_version (version) VALUES ($1)")
            .bind(version as i64)
            .execute(&mut *change)
            .await?;
    }
    Ok(change.commit().await?)
}
