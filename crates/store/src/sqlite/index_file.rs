//! The file of the index. It is a projection of the log, so a file that cannot be used is made again, empty: whoever fills
//! it finds that it is to begin at the first entry.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use sqlx::{Sqlite, Transaction};
use tokio::sync::RwLock;

use super::Result;
use super::file::{Durability, File};
use crate::StoreError;

/// Counted up with each change of the schema: an index of another version is made again, not converted.
const VERSION: i64 = 1;
const SCHEMA: &str = include_str!("../../migrations/sqlite/index.sql");

/// The index's file, which can be replaced while it is in use.
#[derive(Debug)]
pub(super) struct IndexFile {
    path: PathBuf,
    /// `None` while it could not be made again, on a full disk for example.
    open: RwLock<Option<File>>,
}

impl IndexFile {
    /// Opens the file at `path`; one that is missing, damaged or of another version is made anew.
    ///
    /// # Errors
    /// When it can be neither read nor made.
    pub(super) async fn open(path: PathBuf) -> Result<Self> {
        let open = RwLock::new(Some(open_or_make(&path).await?));
        Ok(Self { path, open })
    }

    /// Closes it, after connections in use are given back.
    pub(super) async fn close(&self) {
        // It stays in its place, so that nobody opens another.
        if let Some(file) = &*self.open.write().await {
            file.close().await;
        }
    }

    pub(super) async fn reader(&self) -> Result<Transaction<'static, Sqlite>> {
        loop {
            // A transaction that has begun keeps the file until it ends.
            if let Some(file) = &*self.open.read().await {
                return file.reader().await;
            }
            self.open_again().await?;
        }
    }

    pub(super) async fn writer(&self) -> Result<Transaction<'static, Sqlite>> {
        loop {
            if let Some(file) = &*self.open.read().await {
                return file.writer().await;
            }
            self.open_again().await?;
        }
    }

    /// Puts an empty file in its place, once those who read the old one are done.
    ///
    /// # Errors
    /// When none can be made; it is tried again by whoever uses the index next.
    pub(super) async fn replace(&self) -> Result<()> {
        let mut open = self.open.write().await;
        if let Some(file) = open.take() {
            file.close().await;
        }
        *open = Some(make(&self.path).await?);
        Ok(())
    }

    async fn open_again(&self) -> Result<()> {
        let mut open = self.open.write().await;
        if open.is_none() {
            *open = Some(open_or_make(&self.path).await?);
        }
        Ok(())
    }
}

async fn open_or_make(path: &Path) -> Result<File> {
    let file = match File::open(path, Durability::Process).await {
        Ok(file) => file,
        Err(StoreError::Damaged(_)) => return make(path).await,
        Err(error) => return Err(error),
    };
    let version = sqlx::query_scalar::<_, i64>("PRAGMA user_version").fetch_one(&file.writer).await;
    match version.map_err(StoreError::from) {
        Ok(VERSION) => Ok(file),
        Ok(_) | Err(StoreError::Damaged(_)) => {
            file.close().await;
            make(path).await
        }
        Err(error) => Err(error),
    }
}

/// Removes what is there and makes an empty index. Interrupted, it leaves a file of version 0.
async fn make(path: &Path) -> Result<File> {
    for suffix in ["", "-wal", "-shm"] {
        let mut file = path.as_os_str().to_owned();
        file.push(suffix);
        match std::fs::remove_file(&file) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(StoreError::Database(e.into())),
            _ => {}
        }
    }
    let file = File::open(path, Durability::Process).await?;
    let mut change = file.writer().await?;
    sqlx::raw_sql(SCHEMA).execute(&mut *change).await?;
    let version = format!("PRAGMA user_version = {VERSION}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(version)).execute(&mut *change).await?;
    change.commit().await?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::Store;
    use super::super::tests::fresh;
    use crate::{EventQuery, IndexEntry, IndexStore as _, SessionQuery, StoreError};

    fn log(events: u64) -> Vec<IndexEntry> {
        (0..events).map(|index| IndexEntry { index, bytes: br#"{"a":"word"}"#.as_slice().into() }).collect()
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_used_is_made_anew() {
        let (store, folder) = fresh().await;
        store.apply(&log(300)).await.unwrap();
        store.close().await;
        let path = folder.path().join(Store::INDEX_FILE);
        let whole = fs::read(&path).unwrap();
        let other_version = [&whole[..60], &9_u32.to_be_bytes(), &whole[64..]].concat();
        let garbage = vec![b'x'; whole.len()];
        let broken: [(&str, Option<&[u8]>); 5] = [
            ("missing", None),
            ("empty", Some(&[])),
            ("garbage", Some(&garbage)),
            ("of another version", Some(&other_version)),
            ("cut within its first page", Some(&whole[..1000])),
        ];
        for (what, bytes) in broken {
            fs::remove_file(&path).unwrap();
            if let Some(bytes) = bytes {
                fs::write(&path, bytes).unwrap();
            }
            let store = Store::open(folder.path()).await.unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_eq!(store.cursor().await.unwrap(), 0, "{what}");
            assert_eq!(store.apply(&log(5)).await.unwrap(), 5, "{what}");
            store.close().await;
        }
        // And a whole one is kept.
        fs::write(&path, &whole).unwrap();
        assert_eq!(Store::open(folder.path()).await.unwrap().cursor().await.unwrap(), 300);
    }

    /// Each page in turn: whatever is asked is answered or said to be damaged, and once emptied it works again.
    #[tokio::test]
    async fn damage_within_is_told_and_ends_with_a_reset() {
        let (store, folder) = fresh().await;
        store.apply(&log(300)).await.unwrap();
        store.close().await;
        let path = folder.path().join(Store::INDEX_FILE);
        let whole = fs::read(&path).unwrap();
        let mut told = 0;
        for page in (4096..whole.len()).step_by(4096) {
            let mut bytes = whole.clone();
            bytes[page..page + 4096].fill(0xff);
            fs::write(&path, bytes).unwrap();
            let store = Store::open(folder.path()).await.unwrap_or_else(|e| panic!("{page}: {e}"));
            let text = |text: &str| EventQuery { text: Some(text.parse().unwrap()), ..EventQuery::default() };
            let answers = [
                store.cursor().await.err(),
                store.events(&EventQuery::default()).await.err(),
                store.events(&text("word")).await.err(),
                store.sessions(&SessionQuery::default()).await.err(),
            ];
            for error in answers.into_iter().flatten() {
                assert!(matches!(error, StoreError::Damaged(_)), "{page}: {error:?}");
                told += 1;
            }
            store.reset().await.unwrap();
            assert_eq!(store.apply(&log(300)).await.unwrap(), 300, "{page}");
            assert_eq!(store.events(&text("word")).await.unwrap().items.len(), 300, "{page}");
            store.close().await;
        }
        assert!(told > 5, "{told}");
    }

    #[tokio::test]
    async fn who_reads_while_it_is_emptied_reads_the_old_or_the_new() {
        let (store, _folder) = fresh().await;
        store.apply(&log(50)).await.unwrap();
        let readers: Vec<_> = (0..20)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.events(&EventQuery::default()).await.unwrap().items.len() })
            })
            .collect();
        store.reset().await.unwrap();
        for reader in readers {
            assert!([0, 50].contains(&reader.await.unwrap()));
        }
        assert_eq!(store.cursor().await.unwrap(), 0);
    }
}
