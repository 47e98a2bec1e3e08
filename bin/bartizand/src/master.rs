//! The vault's master key: where it is kept, how it is read, how it is replaced.
//!
//! It is a file of 64 hexadecimal digits, outside the database that it protects. A rotation writes the new key beside it
//! (`.new`), wraps the vault's data key anew, and renames; whatever is cut short in between is finished by the next
//! rotation or the next start. No key is removed before another file is seen to hold the one that the vault has.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use bartizan_api::MasterKeyFile;
use bartizan_store::{MasterKey, Store, StoreError, Vault, VaultStore as _};

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
        Vault::open(store.clone(), &key).await.map_err(|error| self.locked(&error))
    }

    /// Looks whether [`Self::open`] would open a vault that `locked_by` locks, and changes nothing. `None` where the key will be
    /// made at the first start.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(crate) fn check(&self, locked_by: Option<&str>) -> Result<Option<MasterKey>, Failure> {
        let Some(expected) = locked_by else {
            let made = self.own && !self.path.exists();
            return if made { Ok(None) } else { self.read(&self.path).map(Some) };
        };
        let next = self.next();
        let beside = next.exists().then(|| self.read(&next));
        match (self.read(&self.path), beside) {
            (Ok(key), _) if key.id() == expected => Ok(Some(key)),
            (_, Some(Ok(key))) if key.id() == expected => Ok(Some(key)),
            (key, _) => {
                let error = StoreError::WrongMasterKey { expected: expected.to_owned(), found: key?.id() };
                Err(self.locked(&error))
            }
        }
    }

    fn locked(&self, error: &StoreError) -> Failure {
        Failure::new(format!("cannot open the vault with {}: {error}", self.path.display()))
    }

    /// The key with this id: usually the one in place; after a rotation that was cut short the one beside it.
    fn wrapping(&self, id: &str) -> Result<MasterKey, Failure> {
        let in_place = self.read(&self.path);
        let next = self.next();
        // What lies beside the right key is of no use, and may be half a file.
        if in_place.as_ref().is_ok_and(|key| key.id() == id) || !next.exists() {
            return in_place;
        }
        let key = self.read(&next)?;
        if key.id() != id {
            return in_place;
        }
        self.commit()
            .map_err(|e| Failure::new(format!("cannot finish the rotation of the master key: {e}")))?;
        tracing::warn!(file = %self.path.display(), "the rotation of the master key was cut short and is finished now");
        Ok(key)
    }

    /// Puts what the last rotation left beside the key in its place, or away: a key is removed only where the one in
    /// place is seen to be the vault's.
    fn settle(&self, in_force: &str) -> Result<(), String> {
        let next = self.next();
        let shown = next.display();
        if !next.try_exists().map_err(|e| format!("{shown}: {e}"))? {
            return Ok(());
        }
        let is_in_force = |path: &Path| self.read(path).is_ok_and(|key| key.id() == in_force);
        if is_in_force(&next) {
            self.commit().map_err(|e| format!("the rotation before is not finished: {e}"))?;
            tracing::warn!(file = %self.path.display(), "the rotation of the master key before was cut short and is finished now");
            return Ok(());
        }
        if is_in_force(&self.path) {
            return fs::remove_file(&next).map_err(|e| format!("{shown}: {e}"));
        }
        Err(format!(
            "{shown} is left of a rotation before, and neither it nor {} can be read as the key {in_force}, which the \
             vault has: restore that one in {} from a backup, and move {shown} to a safe place",
            self.path.display(),
            self.path.display()
        ))
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

    fn prepare(&self, in_force: &str) -> Result<MasterKey, String> {
        self.settle(in_force)?;
        let key = MasterKey::generate().map_err(|e| e.to_string())?;
        write_seed(&self.next(), key.expose()).map_err(|e| e.to_string())?;
        sync(self.folder()).map_err(|e| format!("{}: {e}", self.folder().display()))?;
        Ok(key)
    }

    fn commit(&self) -> Result<(), String> {
        let (next, path) = (self.next(), self.path.display());
        fs::rename(&next, &self.path).map_err(|e| {
            format!(
                "the vault's key was written to {}, and that cannot take the place of {path}: {e}",
                next.display()
            )
        })?;
        sync(self.folder()).map_err(|e| {
            format!(
                "the vault's key is in {path}, but may lie in {} after a power failure: {e}",
                next.display()
            )
        })
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
    async fn a_look_says_what_the_start_would_and_changes_nothing() {
        let (_temp, store, file) = fresh().await;
        assert!(file.check(None).unwrap().is_none(), "it is made at the first start");
        let vault = file.open(&store).await.unwrap();
        let first = vault.master_key_id();
        assert_eq!(file.check(Some(&first)).unwrap().unwrap().id(), first);
        // A rotation was cut short before the rename: the next start finishes it, a look does not.
        let second = file.prepare(&first).unwrap();
        vault.rotate(&second).await.unwrap();
        assert_eq!(file.check(Some(&second.id())).unwrap().unwrap().id(), second.id());
        assert!(file.next().exists());
        fs::remove_file(file.next()).unwrap();
        let told = file.check(Some(&second.id())).err().unwrap().to_string();
        assert!(told.contains(&first) && told.contains("restore the master key"), "{told}");
        fs::remove_file(&file.path).unwrap();
        assert!(file.check(Some(&second.id())).err().unwrap().to_string().contains("is missing"));
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
        // The new key is half on disk, then whole; the vault has the old one.
        fs::write(file.next(), "00").unwrap();
        assert_eq!(file.open(&store).await.unwrap().master_key_id(), first);
        file.prepare(&first).unwrap();
        assert_eq!(file.open(&store).await.unwrap().master_key_id(), first);
        // The vault has the new one, which is not in its place.
        let second = file.prepare(&first).unwrap();
        vault.rotate(&second).await.unwrap();
        assert_eq!(file.open(&store).await.unwrap().master_key_id(), second.id());
        assert!(!file.next().exists());
        assert_eq!(file.open(&store).await.unwrap().master_key_id(), second.id());
    }

    /// A key that was not put in its place is the only one that opens the vault.
    #[tokio::test]
    async fn another_rotation_finishes_the_one_before() {
        let (_temp, store, file) = fresh().await;
        let vault = file.open(&store).await.unwrap();
        let second = file.prepare(&vault.master_key_id()).unwrap();
        vault.rotate(&second).await.unwrap();
        file.prepare(&second.id()).unwrap();
        assert_eq!(file.read(&file.path).unwrap().id(), second.id());
        assert_eq!(file.open(&store).await.unwrap().master_key_id(), second.id());
    }

    #[tokio::test]
    async fn a_key_that_may_be_the_only_one_stays_where_it_is() {
        let (_temp, store, file) = fresh().await;
        let vault = file.open(&store).await.unwrap();
        let second = file.prepare(&vault.master_key_id()).unwrap();
        vault.rotate(&second).await.unwrap();
        // Nothing can be put in the place of a folder.
        fs::rename(&file.path, file.path.with_extension("kept")).unwrap();
        fs::create_dir(&file.path).unwrap();
        let told = file.prepare(&second.id()).unwrap_err();
        assert!(told.contains("master.new, and that cannot take the place of"), "{told}");
        assert_eq!(file.read(&file.next()).unwrap().id(), second.id());
        // Neither file is known to hold the vault's key.
        let told = file.prepare("of another time").unwrap_err();
        assert!(told.contains("master.new is left") && told.contains("from a backup"), "{told}");
        assert_eq!(file.read(&file.next()).unwrap().id(), second.id());
    }
}
