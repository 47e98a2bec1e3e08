//! The few file operations that the writer needs, behind a trait so that tests can make each of them fail.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt as _, OpenOptionsExt};
use std::path::Path;

/// A file system that the writer works on.
///
/// Contract: an operation that returns `Ok` had its effect; one that returns an error may have had it or not.
/// Only [`Disk::sync_dir`] and [`DiskFile::sync`] make anything survive a loss of power.
pub trait Disk: Send + Sync + 'static {
    /// Creates a folder that only its owner can enter.
    ///
    /// # Errors
    /// `AlreadyExists` when there is one; whatever the system says.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Creates a file that only its owner can read.
    ///
    /// # Errors
    /// `AlreadyExists` when there is one; whatever the system says.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Sees to it that a file that only its owner can read has at least `bytes` bytes with blocks of their own,
    /// making it if there is none; what it holds counts for nothing.
    ///
    /// # Errors
    /// Whatever the system says: `StorageFull`. The file may be there then, and shorter.
    fn reserve(&self, path: &Path, bytes: u64) -> io::Result<()>;

    /// Makes a file hold `bytes` and nothing else, in the blocks that it has, making it if there is none; its
    /// contents are durable when this returns.
    ///
    /// # Errors
    /// Whatever the system says.
    fn overwrite(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;

    /// Renames a file, replacing the one at `to`.
    ///
    /// # Errors
    /// Whatever the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Makes durable what a file holds that another process may have written, with its length.
    ///
    /// # Errors
    /// Whatever the system says.
    fn sync_file(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    /// Makes the entries of a folder durable.
    ///
    /// # Errors
    /// Whatever the system says.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// Whatever the system says.
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    /// Removes an empty folder.
    ///
    /// # Errors
    /// Whatever the system says.
    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_dir(path)
    }
}

/// An open file that is only ever appended to.
pub trait DiskFile: Send + Sync {
    /// Appends some of `bytes` and says how many. May be called from one thread at a time.
    ///
    /// # Errors
    /// Whatever the system says.
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Makes what was written durable, with the length of the file. May run beside [`Self::write`].
    ///
    /// # Errors
    /// Whatever the system says. After an error nothing is known about what was written before.
    fn sync(&self) -> io::Result<()>;
}

/// Appends all of `bytes`, however short the disk's writes are.
pub(crate) fn write_all(file: &dyn DiskFile, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The system's own file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemDisk;

impl Disk for SystemDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().mode(0o700).create(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)?;
        Ok(Box::new(file))
    }

    fn reserve(&self, path: &Path, bytes: u64) -> io::Result<()> {
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        let missing = bytes.saturating_sub(file.metadata()?.len());
        // Written and not only promised: a hole or an unwritten extent can still fail to become a block.
        io::copy(&mut io::Read::take(io::repeat(0), missing), &mut file).map(drop)
    }

    fn overwrite(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        file.write_all_at(bytes, 0)?;
        file.set_len(bytes.len() as u64)?;
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

impl DiskFile for File {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut file = self;
        Write::write(&mut file, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
