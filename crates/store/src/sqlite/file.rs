//! One SQLite file in WAL mode: one connection writes, a few read.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection as _, Sqlite, SqliteConnection, Transaction};

use super::Result;
use crate::StoreError;

/// How long a connection waits for another's lock. Only a second process can hold one.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a caller waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);
/// Readers. In WAL mode they wait for nobody.
const READERS: u32 = 4;

/// What a committed transaction promises.
#[derive(Clone, Copy)]
pub(super) enum Durability {
    /// It survives a power failure.
    Full,
    /// It survives a crash of this process; a power failure may take it back, whole and in order.
    Process,
}

/// An open file. Clones share its connections.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub(super) writer: SqlitePool,
    readers: SqlitePool,
}

impl File {
    /// Opens the file at `path`, and makes it (mode 0600) if it is not there.
    pub(super) async fn open(path: &Path, durability: Durability) -> Result<Self> {
        make_private(path).map_err(|e| StoreError::Database(e.into()))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(match durability {
                Durability::Full => SqliteSynchronous::Full,
                Durability::Process => SqliteSynchronous::Normal,
            });
        let writer = pool().max_connections(1).min_connections(1).connect_with(options.clone()).await?;
        let readers = pool().max_connections(READERS).connect_lazy_with(options.read_only(true));
        Ok(Self { writer, readers })
    }

    /// Opens a file that is there, to read it.
    pub(super) async fn open_to_read(path: &Path) -> Result<Self> {
        let options = SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_TIMEOUT).read_only(true);
        let writer = pool().max_connections(1).connect_with(options).await?;
        Ok(Self { readers: writer.clone(), writer })
    }

    /// Closes all connections, after those in use are given back.
    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    pub(super) async fn reader(&self) -> Result<Transaction<'static, Sqlite>> {
        Ok(self.readers.begin().await?)
    }

    pub(super) async fn writer(&self) -> Result<Transaction<'static, Sqlite>> {
        // At once: a reader that turns writer could fail halfway.
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// Reads the whole file, its indexes against its tables. It takes as long as that takes.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] with the first thing that is wrong.
    pub(super) async fn verify(&self) -> Result<()> {
        let told: String = sqlx::query_scalar("PRAGMA integrity_check (1)").fetch_one(&self.writer).await?;
        if told == "ok" { Ok(()) } else { Err(StoreError::Damaged(told.into())) }
    }
}

/// Connections are files: they don't go stale, so there is nothing to test or to retire.
fn pool() -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .after_release(|connection, _| Box::pin(is_clean(connection)))
}

/// Whether a connection that is given back can be used again. On a full or failing disk SQLite ends a transaction by itself,
/// which leaves sqlx believing that there is one still: every later transaction on that connection would fail.
async fn is_clean(connection: &mut SqliteConnection) -> std::result::Result<bool, sqlx::Error> {
    // After what was queued before, such as a rollback.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

/// Makes the file before SQLite does, which would let others read it. Its WAL inherits the mode.
fn make_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => Err(e),
        _ => Ok(()),
    }
}
