//! What the log asks of a file system: the seam where tests put a disk that fails, tears and forgets.
//!
//! Nothing here decides anything. A returned `Ok` of [`DiskFile::sync_data`] and [`Disk::sync_dir`] means
//! that power may fail now.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::error::FileError;

/// A file system.
pub(crate) trait Disk: Send + Sync + fmt::Debug {
    /// Makes an empty file, or empties the one that is there. Mode 0600.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Reads up to `max` bytes from `offset`; fewer only at the end of the file.
    fn read_at(&self, path: &Path, offset: u64, max: usize) -> io::Result<Vec<u8>>;
    /// Lists the names in a folder, in no order.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Makes one folder; its parent must exist. Mode 0700.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Gives a file another name, replacing what was there, in one step.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty folder.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes the contents of a file durable, whoever wrote them.
    fn sync_file(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Locks a file against other processes until the guard is dropped, and writes `holder` into it.
    /// The error is what the present holder wrote.
    fn lock(&self, path: &Path, holder: &str) -> io::Result<Result<Box<dyn Guard>, String>>;
}

/// A file being written.
pub(crate) trait DiskFile: Send {
    /// Writes all of `bytes` at `offset`.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Cuts the file to `length` bytes, of which it has as many.
    fn cut(&mut self, length: u64) -> io::Result<()>;
    /// Makes the contents durable, with as much of the metadata as reading them back needs.
    fn sync_data(&mut self) -> io::Result<()>;
}

/// Holds a lock until dropped.
pub(crate) trait Guard: Send + Sync {}

/// The operating system's file system.
#[derive(Debug)]
pub(crate) struct OsDisk;

impl Disk for OsDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        Ok(Box::new(file))
    }

    fn read_at(&self, path: &Path, offset: u64, max: usize) -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        file.take(max as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        // Names that are not UTF-8 are not ours.
        let names = fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name().into_string().ok()));
        names.filter_map(io::Result::transpose).collect()
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        use std::os::unix::fs::DirBuilderExt as _;
        fs::DirBuilder::new().mode(0o700).create(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_data()
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn lock(&self, path: &Path, holder: &str) -> io::Result<Result<Box<dyn Guard>, String>> {
        let options =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).clone();
        let mut file = options.open(path)?;
        match file.try_lock() {
            Ok(()) => {
                file.set_len(0)?;
                file.write_all(holder.as_bytes())?;
                Ok(Ok(Box::new(file)))
            }
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.take(80).read_to_string(&mut holder)?;
                Ok(Err(holder))
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl DiskFile for File {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        File::sync_data(self)
    }
}

impl Guard for File {}

/// Reads a whole file of at most `max` bytes; none when there is no such file.
pub(crate) fn read(disk: &dyn Disk, path: &Path, max: usize) -> Result<Option<Vec<u8>>, FileError> {
    match disk.read_at(path, 0, max) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(FileError::new("read", path)(e)),
    }
}

/// A file that is written under another name first, so that under its own it is whole or not there.
pub(crate) struct Temporary {
    path: PathBuf,
    file: Box<dyn DiskFile>,
}

impl Temporary {
    /// Makes a file under the name `path` with `.tmp` behind it and writes `bytes`. Nothing is durable yet.
    pub(crate) fn write(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<Self, FileError> {
        let path = temporary(path);
        let mut file = disk.create(&path).map_err(FileError::new("make", &path))?;
        file.write_at(0, bytes).map_err(FileError::new("write", &path))?;
        Ok(Self { path, file })
    }

    /// Removes what a write that failed has left, if the disk lets it; the next of that name replaces it anyway.
    pub(crate) fn forget(disk: &dyn Disk, path: &Path) {
        let _ = disk.remove(&temporary(path));
    }

    /// Makes the contents durable.
    pub(crate) fn sync(&mut self) -> Result<(), FileError> {
        self.file.sync_data().map_err(FileError::new("sync", &self.path))
    }

    /// Gives the file its own name, `path`; the name is durable after [`sync_parent`].
    pub(crate) fn rename(self, disk: &dyn Disk, path: &Path) -> Result<Box<dyn DiskFile>, FileError> {
        disk.rename(&self.path, path).map_err(FileError::new("rename into place", path))?;
        Ok(self.file)
    }
}

/// Replaces a file in one step: after a crash it has its old contents or the new ones.
///
/// # Durability
/// When this returns, the file is fully persisted, and so is its name.
pub(crate) fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let mut temporary = Temporary::write(disk, path, bytes)?;
    temporary.sync()?;
    temporary.rename(disk, path)?;
    sync_parent(disk, path)
}

/// Makes a folder and those above it, down from `root`, which exists; each name is durable when this returns.
///
/// Syncs the parents of folders that exist too: an earlier process may have made them and not come further.
pub(crate) fn ensure_dir(disk: &dyn Disk, root: &Path, dir: &Path) -> Result<(), FileError> {
    if dir == root {
        return Ok(());
    }
    ensure_dir(disk, root, dir.parent().unwrap_or(root))?;
    make_dir(disk, dir)
}

/// Makes a folder whose parent exists, unless it is there; its name is durable when this returns.
pub(crate) fn make_dir(disk: &dyn Disk, dir: &Path) -> Result<(), FileError> {
    match disk.create_dir(dir) {
        Ok(()) => {}
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
        Err(e) => return Err(FileError::new("make folder", dir)(e)),
    }
    sync_parent(disk, dir)
}

/// Makes the name of a file or folder durable.
pub(crate) fn sync_parent(disk: &dyn Disk, path: &Path) -> Result<(), FileError> {
    let parent = path.parent().unwrap_or(path);
    disk.sync_dir(parent).map_err(FileError::new("sync folder", parent))
}

fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    name.into()
}
