//! The vault's master key: where it is kept, how it is read, how it is replaced.
//!
//! It is a file of 64 hexadecimal digits, outside the database that it protects. A rotation writes the new key beside it
//! (`.new`), wraps the vault's data key anew, and renames; whatever is cut short in between is finished at the next start.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use bartizan_api::MasterKeyFile;
use bartizan_store::{MasterKey, Store, Vault, VaultStore as _};

use crate::config::Config;
use crate::failure::Failure;
use crate::folder::Folder;
use crate::keys::{MASTER, Watch, read_seed, write_seed};

/// Names the file; a key of the configuration comes first.
const VARIABLE: &str = "BARTIZAN_MASTER_KEY_FILE";
/// The file's name among systemd's credentials (`LoadCredential=`).
const SYSTEMD: &str = "bartizan-master-key";

/// Where the master key is kept.
#[derive(Clone, Debug)]
pub(crate) struct MasterFile {
    path: PathBuf,
    watch: Watch,
    /// In the data folder, where it is made if nothing needs it yet.
    own: bool,
}

impl MasterFile {
    /// As the configuration says, else the environment, else systemd, else the data folder.
    pub(crate) fn find(folder: &Folder, config: &Config) -> Self {
        let elsewhere = |path, watch| Self { path, watch, own: false };
        if let Some(path) = &config.master_key {
            return elsewhere(path.clone(), Watch::Owner);
        }
        if let Some(path) = std::env::var_os(VARIABLE) {
            return elsewhere(path.into(), Watch::Owner);
        }
        let systemd = std::env::var_os("CREDENTIALS_DIRECTORY").map(|dir| Path::new(&dir).join(SYSTEMD));
        match systemd.filter(|path| path.exists()) {
            // systemd guards that folder, and gives its files modes of its own.
            Some(path) => elsewhere(path, Watch::Nobody),
            None => Self { path: folder.keys().join(MASTER), watch: Watch::Owner, own: true },
        }
    }

    /// Opens the vault of `store`. A vault that was never used gets its master key now, if it belongs in the data
    /// folder.
    ///
    /// # Errors
    /// When the key is missing, cannot be read, can be read by others, or is not the one that the vault has.
    pub(crate) async fn open(&self, store: &Store) -> Result<Vault, Failure> {
        let key = match store.wrapped_key().await.map_err(Failure::new)? {
            None if self.own && !self.path.exists() => {
                let key = MasterKey::generate().map_err(Failure::new)?;
                write_seed(&self.path, key.expose())?;
                sync(self.folder()).map_err(|e| self.unwritable(&e))?;
                key
            }
            None => self.read(&self.path)?,
            Some(wrapped) => self.wrapping(&wrapped.master)?,
        };
        Vault::open(store.clone(), &key).await.map_err(|error| {
            Failure::new(format!("cannot open the vault with {}: {error}", self.path.display()))
        })
    }

    /// Reads the key, for a look at the folder as a whole. `None` where it will be made at the first start.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(crate) fn check(&self) -> Result<Option<MasterKey>, Failure> {
        if self.own && !self.path.exists() {
            return Ok(None);
        }
        self.read(&self.path).map(Some)
    }

    /// The key with this id: usually the one in place; after a rotation that was cut short the one beside it.
    fn wrapping(&self, id: &str) -> Result<MasterKey, Failure> {
        let next = self.next();
        if next.exists() {
            let key = self.read(&next)?;
            if key.id() == id {
                self.commit().map_err(|e| {
                    Failure::new(format!("cannot finish the rotation of the master key: {e}"))
                })?;
                tracing::warn!(file = %self.path.display(), "the rotation of the master key was cut short and is finished now");
                return Ok(key);
            }
        }
        self.read(&self.path)
    }

    fn read(&self, path: &Path) -> Result<MasterKey, Failure> {
        read_seed(path, self.watch).map(MasterKey::from_bytes)
    }

    fn next(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".new");
        name.into()
    }

    fn folder(&self) -> &Path {
        self.path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    fn unwritable(&self, error: &dyn std::fmt::Display) -> Failure {
        Failure::new(format!("cannot write the master key {}: {error}", self.path.display()))
    }
}

impl MasterKeyFile for MasterFile {
    fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn prepare(&self) -> Result<MasterKey, String> {
        let key = MasterKey::generate().map_err(|e| e.to_string())?;
        let next = self.next();
        // What a rotation that came to nothing left. The vault has the key in place, as its start made sure.
        match fs::remove_file(&next) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(format!("{}: {e}", next.display())),
            _ => {}
        }
        write_seed(&next, key.expose()).map_err(|e| e.to_string())?;
        sync(self.folder()).map_err(|e| e.to_string())?;
        Ok(key)
    }

    fn commit(&self) -> Result<(), String> {
        fs::rename(self.next(), &self.path)
            .and_then(|()| sync(self.folder()))
            .map_err(|e| format!("{}: {e}", self.path.display()))
    }
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn fresh() -> (tempfile::TempDir, Store, MasterFile) {
        let temp = tempfile::tempdir().unwrap();
        let store = Store::open(temp.path()).await.unwrap();
        let file = MasterFile { path: temp.path().join(MASTER), watch: Watch::Owner, own: true };
        (temp, store, file)
    }

    #[tokio::test]
    async fn a_vault_gets_its_key_once_and_never_another() {
        let (_temp, store, file) = fresh().await;
        let id = file.open(&store).await.unwrap().master_key_id();
        assert_eq!(file.open(&store).await.unwrap().master_key_id(), id);
        fs::remove_file(&file.path).unwrap();
        let told = file.open(&store).await.unwrap_err().to_string();
        assert!(told.contains("is missing") && told.contains("backup"), "{told}");
        write_seed(&file.path, &[7; 32]).unwrap();
        let told = file.open(&store).await.unwrap_err().to_string();
        assert!(told.contains(&id) && told.contains("restore the master key"), "{told}");
    }

    #[tokio::test]
    async fn a_key_that_belongs_elsewhere_is_not_made() {
        let (_temp, store, file) = fresh().await;
        let file = MasterFile { own: false, ..file };
        assert!(file.open(&store).await.unwrap_err().to_string().contains("is missing"));
        assert!(!file.path.exists());
    }

    /// Cut short after each step of a rotation, the next start has the vault.
    #[tokio::test]
    async fn a_rotation_that_is_cut_short_is_finished_or_undone() {
        let (_temp, store, file) = fresh().await;
        let vault = file.open(&store).await.unwrap();
        let first = vault.master_key_id();
        // The new key is on disk, the vault has the old one.
        file.prepare().unwrap();
        assert_eq!(file.open(&store).await.unwrap().master_key_id(), first);
        // The vault has the new one, which is not in its place.
        let second = file.prepare().unwrap();
        vault.rotate(&second).await.unwrap();
        assert_eq!(file.open(&store).await.unwrap().master_key_id(), second.id());
        assert!(!file.next().exists());
        assert_eq!(file.open(&store).await.unwrap().master_key_id(), second.id());
    }
}
