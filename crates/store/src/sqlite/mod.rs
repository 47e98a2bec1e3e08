//! The embedded backend: one SQLite file in WAL mode.
//!
//! One connection writes, a few read: a pool of writers is how "unable to open database file" and lock
//! timeouts came about elsewhere. The SQL of `directory`, `events`, `index`, `rows` and `vault` is kept to what PostgreSQL
//! understands too (`$1` parameters, BIGINT, TEXT and BLOB, `ON CONFLICT`, `RETURNING`), because they are compiled for it
//! as well (`crate::postgres`); what is SQLite's own stays in this
//! file and in `search`.

mod directory;
mod events;
mod index;
mod migrate;
mod records;
mod rows;
mod search;
mod vault;

pub(crate) use migrate::{SEARCH, STEPS};

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection as _, Sqlite, SqliteConnection, Transaction};
use tokio::sync::watch;

use crate::StoreError;
use crate::number::{sql, unsql};

type Result<T> = std::result::Result<T, StoreError>;

/// How long a connection waits for another's lock. Only a second process can hold one.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a caller waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);
/// Readers. In WAL mode they wait for nobody.
const READERS: u32 = 4;

/// The directory and the index in one SQLite file. Clones share it.
///
/// Implements [`crate::DirectoryStore`], [`crate::IndexStore`] and [`crate::VaultStore`].
#[derive(Clone, Debug)]
pub(crate) struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    writer: SqlitePool,
    readers: SqlitePool,
    generation: watch::Sender<u64>,
}

/// What a transaction promises when it has been committed.
#[derive(Clone, Copy)]
enum Durability {
    /// It survives a power failure.
    Full,
    /// It survives a crash of this process; a power failure may take it back, whole and in order.
    Process,
}

impl Store {
    /// Opens the database at `path`, makes it (mode 0600) if it is not there, and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::Newer`] when a newer version of Bartizan wrote it; [`StoreError::Database`] when it cannot be
    /// opened or is not a database.
    pub(crate) async fn open(path: &Path) -> Result<Self> {
        make_private(path).map_err(|e| StoreError::Database(e.into()))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let pool = || {
            // Connections are files: they don't go stale, so there is nothing to test or to retire.
            SqlitePoolOptions::new()
                .acquire_timeout(ACQUIRE_TIMEOUT)
                .idle_timeout(None)
                .max_lifetime(None)
                .test_before_acquire(false)
                .after_release(|connection, _| Box::pin(is_clean(connection)))
        };
        let writer = pool().max_connections(1).min_connections(1).connect_with(options.clone()).await?;
        migrate::run(&writer, path).await?;
        let readers = pool().max_connections(READERS).connect_lazy_with(options.read_only(true));
        let generation = directory::generation(&mut *writer.acquire().await?).await?;
        Ok(Self(Arc::new(Inner { writer, readers, generation: watch::Sender::new(generation) })))
    }

    /// Closes all connections, after those in use are given back.
    pub(crate) async fn close(&self) {
        self.0.readers.close().await;
        self.0.writer.close().await;
    }

    async fn reader(&self) -> Result<Transaction<'static, Sqlite>> {
        Ok(self.0.readers.begin().await?)
    }

    async fn writer(&self, durability: Durability) -> Result<Transaction<'static, Sqlite>> {
        // Set with every transaction, so none inherits the durability of the one before.
        // IMMEDIATE takes the write lock at once; a reader that turns writer could fail halfway.
        let begin = match durability {
            Durability::Full => "PRAGMA synchronous = FULL; BEGIN IMMEDIATE",
            Durability::Process => "PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE",
        };
        Ok(self.0.writer.begin_with(begin).await?)
    }

    /// Runs `change` to its end even if the caller goes away.
    async fn detached<T: Send + 'static>(
        change: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        tokio::spawn(change).await.map_err(|e| StoreError::Database(e.into()))?
    }

    /// Commits a change of the directory and announces it.
    async fn commit(&self, mut change: Transaction<'static, Sqlite>) -> Result<()> {
        let generation = directory::next_generation(&mut change).await?;
        change.commit().await?;
        self.0.generation.send_if_modified(|known| {
            let newer = generation > *known;
            *known = generation.max(*known);
            newer
        });
        Ok(())
    }
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

/// The database that the files beside this one are compiled for.
type Database = Sqlite;
/// Any connection inside a transaction.
type Connection = SqliteConnection;

#[cfg(test)]
mod faults;
#[cfg(test)]
mod tests;
