//! Blocks of the disk that are kept for changes which take access away, for when no other is free.
//!
//! SQLite writes its files itself and has no room of its own. So a file beside them holds blocks that nobody uses; on a
//! full disk a slice of it is given back to the file system, and the change is tried again. A slice is many times
//! what such a change needs, because others may take of it first.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is given up at a time, in bytes.
const SLICE: u64 = 256 << 10;
/// All that is kept, in bytes.
const SIZE: u64 = 8 * SLICE;

/// The file. What it holds is known once it was looked at.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    held: Mutex<Option<u64>>,
}

impl Reserve {
    /// A reserve at `path`; nothing is made or read yet.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, held: Mutex::default() }
    }

    /// Whether all of it is there.
    pub(super) fn is_whole(&self) -> bool {
        *self.held() == Some(SIZE)
    }

    /// Fills it up. On an error there is what was there before.
    ///
    /// # Errors
    /// When there is no room, or the file cannot be written.
    pub(super) fn fill(&self) -> io::Result<()> {
        let mut held = self.held();
        let file = open(&self.path)?;
        let before = length(&file)?;
        *held = Some(before);
        let zeros = vec![0; SLICE as usize];
        let filled =
            (before / SLICE..SIZE / SLICE).try_for_each(|slice| file.write_all_at(&zeros, slice * SLICE));
        if let Err(error) = filled.and_then(|()| file.sync_all()) {
            file.set_len(before)?;
            return Err(error);
        }
        *held = Some(SIZE);
        Ok(())
    }

    /// Gives a slice back to the file system; false when nothing is left. When it returns, the blocks are free.
    ///
    /// # Errors
    /// When the file cannot be cut.
    pub(super) fn give(&self) -> io::Result<bool> {
        let mut held = self.held();
        let file = open(&self.path)?;
        let before = length(&file)?;
        *held = Some(before);
        if before == 0 {
            return Ok(false);
        }
        let after = before.saturating_sub(SLICE);
        file.set_len(after)?;
        // Some file systems free blocks only once it is durable that nobody has them.
        file.sync_all()?;
        *held = Some(after);
        Ok(true)
    }

    fn held(&self) -> MutexGuard<'_, Option<u64>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn length(file: &File) -> io::Result<u64> {
    Ok(file.metadata()?.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_given_up_slice_by_slice_and_filled_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reserve");
        let reserve = Reserve::new(path.clone());
        let length = || std::fs::metadata(&path).unwrap().len();
        assert!(!reserve.is_whole());
        assert!(!reserve.give().unwrap(), "there is none yet");
        reserve.fill().unwrap();
        assert_eq!((reserve.is_whole(), length()), (true, SIZE));
        assert!(reserve.give().unwrap());
        assert_eq!((reserve.is_whole(), length()), (false, SIZE - SLICE));
        // Another process goes on with what is there.
        let reserve = Reserve::new(path.clone());
        assert_eq!((0..100).take_while(|_| reserve.give().unwrap()).count(), 7);
        assert_eq!(length(), 0);
        reserve.fill().unwrap();
        assert_eq!((reserve.is_whole(), length()), (true, SIZE));
    }

    #[test]
    fn where_there_is_no_room_it_keeps_what_it_has() {
        // The system's own full disk.
        let reserve = Reserve::new("/dev/full".into());
        assert!(reserve.fill().is_err() && !reserve.is_whole());
    }
}
