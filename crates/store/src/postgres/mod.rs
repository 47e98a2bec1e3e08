//! The PostgreSQL backend, for several nodes or a database of its own machine.
//!
//! The SQL is the same text as SQLite's: those files are compiled a second time here, over this module's
//! [`Connection`] and [`Database`]. What is PostgreSQL's own is in this file and in `search`: how a transaction begins, how long it
//! waits, what it promises, and how changes are announced to other nodes.
//!
//! Writers take turns, as in SQLite: a transaction that changes something holds an advisory lock from its start, one
//! for the directory and the vault, another for the index. So nothing comes between a look and the deed after it.

// The same rows and statements over another database: sqlx has no type for "either" that keeps prepared statements.
#[expect(clippy::duplicate_mod, reason = "the same SQL, compiled for another database")]
#[path = "../sqlite/certificates.rs"]
mod certificates;
#[expect(clippy::duplicate_mod, reason = "the same SQL, compiled for another database")]
#[path = "../sqlite/directory.rs"]
mod directory;
#[expect(clippy::duplicate_mod, reason = "the same SQL, compiled for another database")]
#[path = "../sqlite/events.rs"]
mod events;
#[expect(clippy::duplicate_mod, reason = "the same SQL, compiled for another database")]
#[path = "../sqlite/found.rs"]
mod found;
#[expect(clippy::duplicate_mod, reason = "the same SQL, compiled for another database")]
#[path = "../sqlite/index.rs"]
mod index;
mod migrate;
mod options;
#[expect(clippy::duplicate_mod, reason = "the same SQL, compiled for another database")]
#[path = "../sqlite/records.rs"]
mod records;
#[expect(clippy::duplicate_mod, reason = "the same SQL, compiled for another database")]
#[path = "../sqlite/rows.rs"]
mod rows;
mod search;
#[expect(clippy::duplicate_mod, reason = "the same SQL, compiled for another database")]
#[path = "../sqlite/vault.rs"]
mod vault;

use std::sync::Arc;
use std::time::Duration;

pub use options::{InvalidDatabase, PostgresOptions};
use sqlx::postgres::{PgListener, PgPool, PgPoolOptions};
use sqlx::{Connection as _, PgConnection, Transaction};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::StoreError;
use crate::number::{sql, unsql};

type Result<T> = std::result::Result<T, StoreError>;

/// How long a caller waits for a free connection, or for the database to come back.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections of one node.
const CONNECTIONS: u32 = 12;
/// How long the listener waits before it asks a database that is away again.
const RETRY: Duration = Duration::from_secs(1);
/// Where a change of the directory is announced to all nodes.
const CHANNEL: &str = "bartizan_directory";

/// The database that these files are compiled for.
type Database = sqlx::Postgres;
/// Any connection inside a transaction.
type Connection = PgConnection;

/// Connects. A pool tries again for as long as it may, and then does not know why it did not work: then it is asked once more.
async fn pool(options: &PostgresOptions, connections: u32) -> Result<PgPool> {
    let pool = PgPoolOptions::new().acquire_timeout(ACQUIRE_TIMEOUT).max_connections(connections);
    match pool.connect_with(options.inner()).await {
        Err(gone @ sqlx::Error::PoolTimedOut) => {
            let options = options.inner();
            let asked = PgConnection::connect_with(&options);
            match tokio::time::timeout(ACQUIRE_TIMEOUT, asked).await {
                Ok(Err(why)) => Err(why.into()),
                Ok(Ok(_)) => Err(gone.into()),
                Err(_) => Err(StoreError::Database(
                    format!("it does not answer within {} s", ACQUIRE_TIMEOUT.as_secs()).into(),
                )),
            }
        }
        connected => Ok(connected?),
    }
}

/// The directory, the vault and the index in a PostgreSQL database. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pool: PgPool,
    generation: Arc<watch::Sender<u64>>,
    listener: JoinHandle<()>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

impl Store {
    /// Connects, and brings the schema up to date.
    pub(crate) async fn connect(options: &PostgresOptions) -> Result<Self> {
        let pool = pool(options, CONNECTIONS).await?;
        migrate::run(&pool, &options.to_string()).await?;
        // Listening first, so that no change falls between the two.
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.listen(CHANNEL).await?;
        let first = directory::generation(&mut *pool.acquire().await?).await?;
        let generation = Arc::new(watch::Sender::new(first));
        let listener = tokio::spawn(follow(listener, pool.clone(), generation.clone()));
        Ok(Self(Arc::new(Inner { pool, generation, listener })))
    }

    /// The version of the server, as it names itself.
    pub(crate) async fn version(options: &PostgresOptions) -> Result<String> {
        let pool = pool(options, 1).await?;
        let version = sqlx::query_scalar("SHOW server_version").fetch_one(&pool).await?;
        pool.close().await;
        Ok(version)
    }

    /// The id of the master key that locks the vault, if there is a vault and it was ever used.
    pub(crate) async fn master_key(options: &PostgresOptions) -> Result<Option<String>> {
        let pool = pool(options, 1).await?;
        let there: bool =
            sqlx::query_scalar("SELECT to_regclass('vault_key') IS NOT NULL").fetch_one(&pool).await?;
        let master = if there { vault::master(&mut *pool.acquire().await?).await? } else { None };
        pool.close().await;
        Ok(master)
    }

    pub(crate) async fn close(&self) {
        self.0.listener.abort();
        self.0.pool.close().await;
    }

    pub(crate) async fn answers(&self) -> Result<()> {
        let mut read = self.reader().await?;
        directory::generation(&mut read).await.map(drop)
    }

    async fn reader(&self) -> Result<Transaction<'static, Database>> {
        // All statements see one moment.
        Ok(self.0.pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?)
    }

    /// Survives a power failure of the database once committed.
    async fn writer(&self) -> Result<Transaction<'static, Database>> {
        // The numbers of the locks are arbitrary and Bartizan's alone in a database.
        let begin = "BEGIN; SET LOCAL synchronous_commit = on; SET LOCAL lock_timeout = '10s'; \
                     SELECT pg_advisory_xact_lock(4711001)";
        Ok(self.0.pool.begin_with(begin).await?)
    }

    async fn index_reader(&self) -> Result<Transaction<'static, Database>> {
        self.reader().await
    }

    /// A crash of the database may take the last of these back, whole and in order.
    async fn index_writer(&self) -> Result<Transaction<'static, Database>> {
        let begin = "BEGIN; SET LOCAL synchronous_commit = off; SET LOCAL lock_timeout = '10s'; \
                     SELECT pg_advisory_xact_lock(4711002)";
        Ok(self.0.pool.begin_with(begin).await?)
    }

    async fn empty_index(&self) -> Result<()> {
        let mut change = self.index_writer().await?;
        let steps = "DELETE FROM events; DELETE FROM event_times; DELETE FROM sessions; \
                     UPDATE index_state SET next_position = 0";
        sqlx::raw_sql(steps).execute(&mut *change).await?;
        Ok(change.commit().await?)
    }

    /// Runs `change` to its end even if the caller goes away.
    async fn detached<T: Send + 'static>(
        change: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        tokio::spawn(change).await.map_err(|e| StoreError::Database(e.into()))?
    }

    /// Commits a change of the directory and announces it, to other nodes too.
    async fn commit(&self, mut change: Transaction<'static, Database>) -> Result<()> {
        let generation = directory::next_generation(&mut change).await?;
        sqlx::query("SELECT pg_notify($1, $2)")
            .bind(CHANNEL)
            .bind(generation.to_string())
            .execute(&mut *change)
            .await?;
        change.commit().await?;
        announce(&self.0.generation, generation);
        Ok(())
    }
}

fn announce(to: &watch::Sender<u64>, generation: u64) {
    to.send_if_modified(|known| {
        let newer = generation > *known;
        *known = generation.max(*known);
        newer
    });
}

/// Announces what other nodes change, for as long as the store is open.
async fn follow(mut listener: PgListener, pool: PgPool, generation: Arc<watch::Sender<u64>>) {
    loop {
        match listener.try_recv().await {
            Ok(Some(notification)) => {
                if let Ok(changed) = notification.payload().parse() {
                    announce(&generation, changed);
                }
            }
            // The connection was lost. What was announced meanwhile is asked for; listening goes on by itself.
            Ok(None) => {
                if let Ok(mut connection) = pool.acquire().await
                    && let Ok(now) = directory::generation(&mut connection).await
                {
                    announce(&generation, now);
                }
            }
            Err(sqlx::Error::PoolClosed) => return,
            Err(_) => tokio::time::sleep(RETRY).await,
        }
    }
}

#[cfg(test)]
mod tests;
