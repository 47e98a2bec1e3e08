//! The embedded backend: two SQLite files, one for the directory and the vault, one for the index.
//!
//! ```text
//!   bartizan.db  directory, vault   whole or refused: what is damaged is not used, what was replaced is not written
//!   index.db     the index          made again from the log when it is missing or damaged
//! ```
//!
//! One connection writes to each, a few read: a pool of writers is how "unable to open database file" and lock
//! timeouts came about elsewhere. The SQL of `certificates`, `directory`, `events`, `index`, `rows` and `vault` is kept to what PostgreSQL
//! understands too (`$1` parameters, BIGINT, TEXT and BLOB, `ON CONFLICT`, `RETURNING`), because they are compiled for it
//! as well (`crate::postgres`); what is SQLite's own stays in this file, in `file`, `index_file` and `search`.

mod certificates;
mod directory;
mod events;
mod file;
mod found;
mod index;
mod index_file;
mod migrate;
mod place;
mod records;
mod reserve;
mod rows;
mod search;
mod vault;

pub(crate) use migrate::{SEARCH, STEPS};

use std::path::Path;
use std::sync::Arc;

use sqlx::{Sqlite, SqliteConnection, Transaction};
use tokio::sync::watch;

use crate::StoreError;
use crate::number::{sql, unsql};
use file::{Durability, File};
use index_file::IndexFile;
use place::Place;
use reserve::Reserve;

type Result<T> = std::result::Result<T, StoreError>;

/// Directory, vault and index in the files of a folder. Clones share it.
///
/// Implements [`crate::DirectoryStore`], [`crate::CertificateStore`], [`crate::IndexStore`] and [`crate::VaultStore`].
#[derive(Clone, Debug)]
pub(crate) struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    directory: File,
    place: Place,
    reserve: Arc<Reserve>,
    index: IndexFile,
    generation: watch::Sender<u64>,
}

impl Store {
    /// The file of the directory and the vault.
    pub(crate) const DIRECTORY_FILE: &str = "bartizan.db";
    /// The file of the index.
    pub(crate) const INDEX_FILE: &str = "index.db";
    /// The file that keeps room for changes which take access away.
    pub(crate) const RESERVE_FILE: &str = "bartizan.db.reserve";

    /// Opens the files in `folder`, makes those that are not there (mode 0600), and brings their schemas up to date.
    ///
    /// # Errors
    /// [`StoreError::Newer`] when a newer version of Bartizan wrote the directory; [`StoreError::Damaged`] when it is no
    /// database or a damaged one; [`StoreError::Database`] when a file cannot be opened.
    pub(crate) async fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(Self::DIRECTORY_FILE);
        let directory = File::open(&path, Durability::Full).await?;
        directory.verify().await?;
        migrate::run(&directory.writer, &path).await?;
        let generation = directory::generation(&mut *directory.writer.acquire().await?).await?;
        let place = Place::of(path).map_err(|e| StoreError::Database(e.into()))?;
        let index = IndexFile::open(folder.join(Self::INDEX_FILE)).await?;
        let generation = watch::Sender::new(generation);
        let reserve = Arc::new(Reserve::new(folder.join(Self::RESERVE_FILE)));
        Ok(Self(Arc::new(Inner { directory, place, reserve, index, generation })))
    }

    /// Reads the whole file of the directory in `folder` and changes nothing. Gives the id of the master key that locks the
    /// vault, if it was ever used.
    ///
    /// # Errors
    /// As [`Self::open`], and [`StoreError::Database`] when it is missing.
    pub(crate) async fn verify(folder: &Path) -> Result<Option<String>> {
        let path = folder.join(Self::DIRECTORY_FILE);
        let file = File::open_to_read(&path).await?;
        let looked = Self::look(&file, &path).await;
        file.close().await;
        looked
    }

    async fn look(file: &File, path: &Path) -> Result<Option<String>> {
        file.verify().await?;
        migrate::known(&file.writer, path).await?;
        // A file of an older version may have no vault yet.
        let vault = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'vault_key'";
        match sqlx::query_scalar::<_, i64>(vault).fetch_one(&file.writer).await? {
            0 => Ok(None),
            _ => vault::master(&mut *file.writer.acquire().await?).await,
        }
    }

    /// Closes all connections, after those in use are given back.
    pub(crate) async fn close(&self) {
        self.0.index.close().await;
        self.0.directory.close().await;
    }

    pub(crate) async fn answers(&self) -> Result<()> {
        self.0.place.check()?;
        let mut read = self.reader().await?;
        directory::generation(&mut read).await.map(drop)
    }

    pub(crate) async fn keep_room(&self) -> Result<()> {
        let reserve = self.0.reserve.clone();
        if reserve.is_whole() {
            return Ok(());
        }
        blocking(move || reserve.fill()).await
    }

    pub(crate) async fn give_room(&self) -> Result<bool> {
        let reserve = self.0.reserve.clone();
        blocking(move || reserve.give()).await
    }

    async fn reader(&self) -> Result<Transaction<'static, Sqlite>> {
        self.0.directory.reader().await
    }

    async fn writer(&self) -> Result<Transaction<'static, Sqlite>> {
        self.0.place.check()?;
        self.0.directory.writer().await
    }

    async fn index_reader(&self) -> Result<Transaction<'static, Sqlite>> {
        self.0.index.reader().await
    }

    async fn index_writer(&self) -> Result<Transaction<'static, Sqlite>> {
        self.0.index.writer().await
    }

    async fn empty_index(&self) -> Result<()> {
        self.0.index.replace().await
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

/// Work on a file, off the threads that carry others' requests.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await.map_err(|e| StoreError::Database(e.into()))?;
    done.map_err(|e| StoreError::Database(e.into()))
}

/// The database that the files beside this one are compiled for.
type Database = Sqlite;
/// Any connection inside a transaction.
type Connection = SqliteConnection;

#[cfg(test)]
mod faults;
#[cfg(test)]
mod tests;
