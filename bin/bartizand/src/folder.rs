//! The data folder: where things are, who may look, and that one process has it.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use bartizan_store::Store;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::config::Config;
use crate::failure::Failure;

/// A data folder by its path; what is in it is checked when it is used.
#[derive(Clone, Debug)]
pub(crate) struct Folder(PathBuf);

/// Held as long as the process works on the data folder.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Folder {
    /// A folder that [`Self::create`] or `init` has made.
    ///
    /// # Errors
    /// When it is not there, belongs to somebody else, or others than its owner may look into it.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let found = fs::metadata(path).map_err(|e| match e.kind() {
            ErrorKind::NotFound => Failure::new(format!("there is no data folder {shown}")).hint(format!(
                "make one with `bartizand init --data {shown}`, or name another with --data DIR"
            )),
            _ => Failure::of_file(format!("cannot open the data folder {shown}"), &e),
        })?;
        if !found.is_dir() {
            return Err(Failure::new(format!("{shown} is no folder")));
        }
        own(path, found.uid(), geteuid().as_raw())?;
        if found.mode() & 0o077 != 0 {
            return Err(Failure::new(format!(
                "others may look into the data folder {shown}, which holds private keys"
            ))
            .hint(format!("chmod 700 {shown}")));
        }
        let folder = Self(path.to_owned());
        match folder.config_file().try_exists() {
            Ok(true) => Ok(folder),
            Ok(false) => Err(Failure::new(format!("{shown} is no data folder: it has no bartizan.toml"))
                .hint("make one with `bartizand init --data DIR`, where DIR is new or empty")),
            Err(e) => Err(Failure::of_file(format!("cannot look into the data folder {shown}"), &e)),
        }
    }

    /// Makes an empty folder that only its owner may look into; one that exists and is empty will do.
    ///
    /// # Errors
    /// When there is something in it, it belongs to somebody else, or it cannot be made.
    pub(crate) fn create(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let refused = |e: io::Error| Failure::new(format!("cannot make the data folder {shown}: {e}"));
        match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => return Ok(Self(path.to_owned())),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            Err(e) => return Err(refused(e)),
        }
        own(path, fs::metadata(path).map_err(refused)?.uid(), geteuid().as_raw())?;
        if fs::read_dir(path).map_err(refused)?.next().is_some() {
            return Err(Failure::new(format!("{shown} is not empty; nothing was changed"))
                .hint("name a new folder with --data DIR; a data folder is made once and then kept"));
        }
        fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(refused)?;
        Ok(Self(path.to_owned()))
    }

    /// The folder's path.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn config_file(&self) -> PathBuf {
        self.0.join("bartizan.toml")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.0.join(Store::DIRECTORY_FILE)
    }

    pub(crate) fn policies(&self) -> PathBuf {
        self.0.join("policies")
    }

    pub(crate) fn keys(&self) -> PathBuf {
        self.0.join("keys")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    pub(crate) fn recordings(&self) -> PathBuf {
        self.0.join("recordings")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.0.join("admin.sock")
    }

    /// Reads the configuration and checks it as a whole.
    ///
    /// # Errors
    /// Every fault, with its line.
    pub(crate) fn config(&self) -> Result<Config, Failure> {
        let file = self.config_file();
        let text = fs::read_to_string(&file)
            .map_err(|e| Failure::of_file(format!("cannot read {}", file.display()), &e))?;
        Config::parse(&file, &text).map_err(Failure::new)
    }

    /// Takes the folder for this process, until the lock is dropped or the process ends in any way.
    ///
    /// # Errors
    /// When another process has it.
    pub(crate) fn lock(&self) -> Result<Lock, Failure> {
        let path = self.0.join("lock");
        let shown = path.display();
        let refused = |e: io::Error| Failure::of_file(format!("cannot lock the data folder: {shown}"), &e);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(refused)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(self.taken(&mut file)),
            Err(e) => return Err(refused(e.into())),
        }
        file.set_len(0).and_then(|()| writeln!(file, "pid {}", std::process::id())).map_err(refused)?;
        Ok(Lock { _file: file })
    }

    fn taken(&self, file: &mut File) -> Failure {
        let mut holder = String::new();
        let told = file.rewind().and_then(|()| file.take(64).read_to_string(&mut holder));
        let holder = match (told, holder.trim()) {
            (Ok(_), holder) if !holder.is_empty() => format!(" ({holder})"),
            _ => String::new(),
        };
        Failure::new(format!("another bartizand{holder} works on {}", self.0.display()))
            .hint("one process at a time may; stop that one, or name another folder with --data DIR")
    }
}

/// Looks whether a folder belongs to who we are. Somebody else, root included, would leave files in it that its owner's server
/// cannot use.
fn own(path: &Path, owner: u32, me: u32) -> Result<(), Failure> {
    if owner == me {
        return Ok(());
    }
    let (shown, owner, me) = (path.display(), Account::of(owner), Account::of(me));
    Err(Failure::new(format!("the data folder {shown} belongs to {owner}, and this is {me}")).hint(format!(
        "run it as its owner: `sudo -u {owner} bartizand …`; or give all of it away: `chown -R {me} {shown}`, as root"
    )))
}

/// A user of the system: by name where the system tells one.
struct Account {
    id: u32,
    name: Option<String>,
}

impl Account {
    fn of(id: u32) -> Self {
        let known = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let name = known.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
        });
        Self { id, name }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => f.write_str(name),
            // As sudo and chown take it.
            None => write!(f, "'#{}'", self.id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_at_a_time_and_a_lock_that_ends_with_it() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Folder::create(&temp.path().join("data")).unwrap();
        let lock = folder.lock().unwrap();
        let told = folder.lock().unwrap_err().to_string();
        assert!(told.contains(&format!("another bartizand (pid {})", std::process::id())), "{told}");
        drop(lock);
        folder.lock().unwrap();
    }

    #[test]
    fn folders_that_others_may_read_are_refused() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("data");
        let folder = Folder::create(&path).unwrap();
        assert!(Folder::open(&path).unwrap_err().to_string().contains("has no bartizan.toml"));
        fs::write(folder.config_file(), "").unwrap();
        assert!(Folder::open(&path).is_ok());
        fs::set_permissions(&path, Permissions::from_mode(0o750)).unwrap();
        assert!(Folder::open(&path).unwrap_err().to_string().contains("chmod 700"));
        assert!(Folder::open(&temp.path().join("none")).unwrap_err().to_string().contains("bartizand init"));
        assert!(Folder::open(&folder.config_file()).unwrap_err().to_string().contains("is no folder"));
    }

    #[test]
    fn a_folder_of_somebody_else_is_refused_with_who_may() {
        let path = Path::new("data");
        own(path, 7, 7).unwrap();
        let told = own(path, 4_000_000_000, 0).unwrap_err().to_string();
        assert!(told.contains("data belongs to '#4000000000', and this is root"), "{told}");
        assert!(told.contains("sudo -u '#4000000000'") && told.contains("chown -R root data"), "{told}");
    }

    #[test]
    fn an_empty_folder_becomes_private_and_a_full_one_is_left_alone() {
        let temp = tempfile::tempdir().unwrap();
        fs::set_permissions(temp.path(), Permissions::from_mode(0o755)).unwrap();
        Folder::create(temp.path()).unwrap();
        assert_eq!(fs::metadata(temp.path()).unwrap().mode() & 0o777, 0o700);
        fs::write(temp.path().join("mine"), "kept").unwrap();
        assert!(
            Folder::create(temp.path()).unwrap_err().to_string().contains("not empty; nothing was changed")
        );
        assert_eq!(fs::read_to_string(temp.path().join("mine")).unwrap(), "kept");
    }
}
