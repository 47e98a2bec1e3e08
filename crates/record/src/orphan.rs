//! Closing recordings that nobody writes any more.

use std::fs;
use std::path::Path;

use bartizan_model::{RecordingFile, SessionId};

use crate::disk::Disk;
use crate::meta::{Closed, MANIFEST, MANIFEST_UNFINISHED, META, Manifest, MetaFile, SessionMeta};
use crate::sync::{MAX_LOGGED_FILES, prepare_manifest, sync_dir, write_manifest};
use crate::{ReadError, RecordError, RecordedSession, reader};

/// A recording that nobody writes any more, ready to be closed as truncated.
#[derive(Debug)]
pub struct Orphan {
    /// The session, by the folder's name.
    pub session: SessionId,
    /// What `meta.json` says; `None` when the process ended before it was written.
    pub meta: Option<SessionMeta>,
    /// The files for the log, as [`finish`](crate::SessionRecorder::finish) gives them. The same each time until
    /// it is closed.
    pub files: Vec<RecordingFile>,
    /// Why it cannot be closed. It stays an orphan.
    pub failure: Option<RecordError>,
}

/// Every recording under `root` that has no manifest and that `keep` does not name, each with its manifest prepared.
pub(crate) fn find(
    disk: &dyn Disk,
    root: &Path,
    keep: impl Fn(SessionId) -> bool,
) -> Result<Vec<Orphan>, ReadError> {
    let mut orphans = Vec::new();
    for entry in fs::read_dir(root).map_err(|e| ReadError::disk(root, e))? {
        let entry = entry.map_err(|e| ReadError::disk(root, e))?;
        let Some(session) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let folder = entry.path();
        if keep(session) || !folder.is_dir() || folder.join(MANIFEST).exists() {
            continue;
        }
        let meta = reader::read_json::<MetaFile>(&folder.join(META)).ok().map(|meta| meta.session);
        let (files, failure) = match prepare(disk, &folder, session) {
            Ok(files) => (files, None),
            Err(failure) => (Vec::new(), Some(failure)),
        };
        orphans.push(Orphan { session, meta, files, failure });
    }
    orphans.sort_by_key(|orphan| orphan.session);
    Ok(orphans)
}

impl RecordedSession {
    /// The files of a closed recording for the log, as [`finish`](crate::SessionRecorder::finish) gives them: for a
    /// session whose end was not logged before the server stopped. `None` when the recording was not closed.
    ///
    /// # Errors
    /// When the manifest cannot be read.
    pub fn logged_files(&self) -> Result<Option<Vec<RecordingFile>>, ReadError> {
        let Some(manifest) = self.manifest() else { return Ok(None) };
        let path = self.folder().join(MANIFEST);
        let (bytes, sha256) = reader::digest_file(&path).map_err(|e| ReadError::disk(&path, e))?;
        let mut files = vec![RecordingFile { name: MANIFEST.into(), bytes, sha256 }];
        if manifest.files.len() < MAX_LOGGED_FILES {
            files.extend(manifest.files.iter().cloned());
        }
        Ok(Some(files))
    }
}

/// Closes one recording as truncated, whose disk has failed: of its files what that kept. Its manifest is written where
/// space was reserved for it.
pub(crate) fn close_one(
    disk: &dyn Disk,
    folder: &Path,
    session: SessionId,
) -> Result<Vec<RecordingFile>, RecordError> {
    // Durable as far as the disk still allows, which changes nothing about closing it.
    let durable = |path: &Path| {
        disk.sync_file(path).ok();
        Ok(())
    };
    write_manifest(disk, folder, list(folder, session, durable)?)
}

/// Makes durable what the process before wrote, and then the manifest that binds it: a loss of power that follows takes
/// nothing away that is on record.
fn prepare(disk: &dyn Disk, folder: &Path, session: SessionId) -> Result<Vec<RecordingFile>, RecordError> {
    let durable = |path: &Path| disk.sync_file(path).map_err(|e| RecordError::disk("sync", path, &e));
    let manifest = list(folder, session, durable)?;
    let files = prepare_manifest(disk, folder, manifest)?;
    sync_dir(disk, folder)?;
    Ok(files)
}

/// The manifest of a recording that was not closed in time, of files that are `durable`.
fn list(
    folder: &Path,
    session: SessionId,
    durable: impl Fn(&Path) -> Result<(), RecordError>,
) -> Result<Manifest, RecordError> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(|e| RecordError::disk("read", folder, &e))? {
        let entry = entry.map_err(|e| RecordError::disk("read", folder, &e))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(|e| RecordError::disk("read", &path, &e))?;
        let file = |name: &&str| kind.is_file() && ![MANIFEST, MANIFEST_UNFINISHED].contains(name);
        if let Some(name) = entry.file_name().to_str().filter(file) {
            durable(&path)?;
            let (bytes, sha256) =
                reader::digest_file(&path).map_err(|e| RecordError::disk("read", &path, &e))?;
            files.push(RecordingFile { name: name.to_owned(), bytes, sha256 });
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Manifest { version: 1, session, closed: Closed::Truncated, files, channels: Vec::new() })
}
