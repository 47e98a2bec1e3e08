//! Brings a database's schema up to date.

use std::path::Path;

use sqlx::sqlite::SqlitePool;

use super::Result;
use crate::StoreError;

/// The steps, oldest first; the schema's version is how many were taken. A step that was released never changes.
/// PostgreSQL takes the same steps, with other words for two types. What one database alone understands stands beside
/// them, in `migrations/sqlite` and `migrations/postgres`.
pub(crate) const STEPS: [&str; 10] = [
    include_str!("../../migrations/0001_directory.sql"),
    include_str!("../../migrations/0002_index.sql"),
    include_str!("../../migrations/0003_vault.sql"),
    include_str!("../../migrations/0004_roles.sql"),
    include_str!("../../migrations/0005_space.sql"),
    include_str!("../../migrations/0006_file_rules.sql"),
    SEARCH,
    INDEX_FILE,
    include_str!("../../migrations/0009_forward_rules.sql"),
    include_str!("../../migrations/0010_certificates.sql"),
];
pub(crate) const SEARCH: &str = include_str!("../../migrations/0007_search.sql");
const INDEX_FILE: &str = include_str!("../../migrations/0008_index_file.sql");

/// What a step adds here.
const BESIDE: [(&str, &str); 2] = [
    (SEARCH, include_str!("../../migrations/sqlite/0007_search.sql")),
    (INDEX_FILE, include_str!("../../migrations/sqlite/0008_index_file.sql")),
];

/// Takes the steps that `path`'s database lacks, each in its own transaction.
pub(super) async fn run(writer: &SqlitePool, path: &Path) -> Result<()> {
    sqlx::query("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)")
        .execute(writer)
        .await?;
    let found = known(writer, path).await?;
    for (version, step) in (1..).zip(STEPS).skip(usize::try_from(found).unwrap_or(0)) {
        let mut change = writer.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::raw_sql(step).execute(&mut *change).await?;
        for (_, more) in BESIDE.into_iter().filter(|(beside, _)| *beside == step) {
            sqlx::raw_sql(more).execute(&mut *change).await?;
        }
        sqlx::query("INSERT INTO schema_version (version) VALUES ($1)")
            .bind(version)
            .execute(&mut *change)
            .await?;
        change.commit().await?;
        if step == INDEX_FILE {
            // What the index took is given back; should that fail, it is used again in time.
            let _ = sqlx::query("VACUUM").execute(writer).await;
        }
    }
    Ok(())
}

/// The version of `path`'s schema.
///
/// # Errors
/// [`StoreError::Newer`] when this program does not know it.
pub(super) async fn known(pool: &SqlitePool, path: &Path) -> Result<i64> {
    let found: i64 =
        sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM schema_version").fetch_one(pool).await?;
    let known = STEPS.len() as i64;
    if found > known {
        return Err(StoreError::Newer { database: path.display().to_string(), found, known });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::Store;
    use crate::{DirectoryStore as _, StoreError};

    #[tokio::test]
    async fn a_database_of_a_newer_version_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        sqlx::query("INSERT INTO schema_version (version) VALUES (99)")
            .execute(&store.0.directory.writer)
            .await
            .unwrap();
        store.close().await;

        let error = Store::open(folder.path()).await.unwrap_err();
        let newest = super::STEPS.len() as i64;
        assert!(
            matches!(&error, StoreError::Newer { found: 99, known, .. } if *known == newest),
            "{error:?}"
        );
        let message = error.to_string();
        assert!(message.contains("newer version of Bartizan") && message.contains("version 99"), "{message}");
    }

    #[tokio::test]
    async fn what_an_older_version_wrote_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bartizan.db");
        let pool = sqlx::SqlitePool::connect(&format!("sqlite://{}?mode=rwc", path.display())).await.unwrap();
        for step in &super::STEPS[..2] {
            sqlx::raw_sql(*step).execute(&pool).await.unwrap();
        }
        sqlx::raw_sql(
            "CREATE TABLE schema_version (version BIGINT NOT NULL); INSERT INTO schema_version VALUES (2);
             INSERT INTO people VALUES ('alice', 'active', 1);
             INSERT INTO targets VALUES ('web-1', '10.0.0.5', 22, '\"first_use\"', 2);
             INSERT INTO grants VALUES ('g1', 'alice', 'web-1', '[\"root\"]', '[\"shell\"]', '[]', NULL,
                 '{\"channel_cap\":16777216,\"input\":false}', 3);",
        )
        .execute(&pool)
        .await
        .unwrap();
        pool.close().await;

        let data = Store::open(folder.path()).await.unwrap().snapshot().await.unwrap();
        assert_eq!(data.people, [crate::contract::person("alice")]);
        assert_eq!(data.targets, [crate::contract::target("web-1")]);
        assert_eq!(data.grants, [crate::contract::grant("g1", "alice", "web-1")]);
    }

    #[tokio::test]
    async fn a_file_that_is_no_database_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bartizan.db");
        let text = "a letter to my aunt, longer than a page header of a database. ".repeat(20);
        std::fs::write(&path, &text).unwrap();
        let error = Store::open(folder.path()).await.unwrap_err();
        assert!(matches!(error, StoreError::Damaged(_)), "{error:?}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }

    #[tokio::test]
    async fn a_database_opens_again_as_it_was_and_only_its_owner_reads_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let person = crate::contract::person("alice");
        store.add_person(&person, &[]).await.unwrap();
        for file in ["bartizan.db", "bartizan.db-wal", "index.db", "index.db-wal"] {
            let mode = std::fs::metadata(folder.path().join(file)).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{file}");
        }
        store.close().await;
        let store = Store::open(folder.path()).await.unwrap();
        let snapshot = store.snapshot().await.unwrap();
        assert_eq!((snapshot.people, snapshot.generation), (vec![person], 1));
        assert_eq!(*store.changes().borrow(), 1);
    }
}
