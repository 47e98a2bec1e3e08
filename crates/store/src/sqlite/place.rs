//! That a file is still where it was opened.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use super::Result;
use crate::StoreError;

/// A path, and which file was there. Who writes to a file that was removed or replaced writes where nobody will look: SQLite
/// itself does not notice.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    file: (u64, u64),
}

impl Place {
    /// The file that is at `path` now.
    pub(super) fn of(path: PathBuf) -> io::Result<Self> {
        let found = fs::metadata(&path)?;
        Ok(Self { file: (found.dev(), found.ino()), path })
    }

    /// # Errors
    /// [`StoreError::Replaced`] when another file is there, or none.
    pub(super) fn check(&self) -> Result<()> {
        match fs::metadata(&self.path) {
            Ok(found) if (found.dev(), found.ino()) == self.file => Ok(()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::Database(error.into())),
            Ok(_) | Err(_) => Err(StoreError::Replaced(self.path.clone())),
        }
    }
}
