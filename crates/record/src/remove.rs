//! What recordings take on the disk, and removing whole ones, for retention.
//!
//! Which are removed, and that the log says so first, is the caller's.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use bartizan_model::SessionId;

use crate::disk::Disk;
use crate::meta::MANIFEST;
use crate::{ReadError, RecordError, Recordings};

/// A recording on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The session, by the folder's name.
    pub session: SessionId,
    /// Bytes that its files take on the disk, whole blocks.
    pub bytes: u64,
    /// Whether it is closed. One that is not is of a live session, or of one that a crash left.
    pub closed: bool,
}

impl Recordings {
    /// All recordings, the oldest first. Blocks, and looks at every file.
    ///
    /// # Errors
    /// [`ReadError::Disk`] when a folder cannot be read.
    pub fn stored(&self) -> Result<Vec<Stored>, ReadError> {
        let root = self.root();
        let mut stored = Vec::new();
        for entry in fs::read_dir(root).map_err(|e| ReadError::disk(root, e))? {
            let entry = entry.map_err(|e| ReadError::disk(root, e))?;
            let Some(session) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let folder = entry.path();
            if !folder.is_dir() {
                continue;
            }
            let (bytes, manifest) = size(&folder).map_err(|e| ReadError::disk(&folder, e))?;
            stored.push(Stored { session, bytes, closed: manifest && !self.is_open(session) });
        }
        stored.sort_by_key(|recording| recording.session);
        Ok(stored)
    }

    /// Removes a recording; one that is gone, or partly gone, is no error. Blocks.
    ///
    /// The manifest goes last: until then what is left is still a closed recording, and nobody takes it for one that
    /// a crash left.
    ///
    /// # Durability
    /// When this returns, the removal survives a loss of power.
    ///
    /// # Errors
    /// [`RecordError::Misused`] while the session is recorded; [`RecordError::Disk`] when the disk refuses. Some files
    /// may be gone then; trying again goes on.
    pub fn remove(&self, session: SessionId) -> Result<(), RecordError> {
        if self.is_open(session) {
            return Err(RecordError::Misused("a recording that is being written cannot be removed"));
        }
        remove(self.disk(), self.root(), &self.folder(session))
    }
}

fn remove(disk: &dyn Disk, root: &Path, folder: &Path) -> Result<(), RecordError> {
    let gone = |result: std::io::Result<()>, path: &Path| match result {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(RecordError::disk("remove", path, &error)),
        _ => Ok(()),
    };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(RecordError::disk("read", folder, &error)),
    };
    for entry in entries {
        let path = entry.map_err(|e| RecordError::disk("read", folder, &e))?.path();
        if path.file_name().is_some_and(|name| name != MANIFEST) {
            gone(disk.remove_file(&path), &path)?;
        }
    }
    let manifest = folder.join(MANIFEST);
    gone(disk.remove_file(&manifest), &manifest)?;
    gone(disk.remove_dir(folder), folder)?;
    disk.sync_dir(root).map_err(|e| RecordError::disk("sync", root, &e))
}

/// Bytes on the disk of all files of a folder, and whether a manifest is among them.
fn size(folder: &Path) -> std::io::Result<(u64, bool)> {
    let (mut bytes, mut manifest) = (0_u64, false);
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        manifest |= entry.file_name() == MANIFEST;
        bytes = match entry.metadata() {
            Ok(metadata) => bytes.saturating_add(metadata.blocks().saturating_mul(512)),
            // Renamed or removed since it was listed.
            Err(error) if error.kind() == ErrorKind::NotFound => bytes,
            Err(error) => return Err(error),
        };
    }
    Ok((bytes, manifest))
}
