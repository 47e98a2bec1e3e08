//! Closing recordings that nobody writes any more.

use std::fs;
use std::path::Path;

use bartizan_model::{RecordingFile, SessionId};

use crate::digest::Sha256;
use crate::disk::Disk;
use crate::meta::{Closed, MANIFEST, MANIFEST_UNFINISHED, META, Manifest, MetaFile, SessionMeta};
use crate::sync::{encode, files_for_log, prepare_manifest, sync_dir, write_manifest};
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
    /// The files for the log by the manifest that is there under its unfinished name, if that lists what there is: of a
    /// recording that was being closed.
    pub prepared: Option<Vec<RecordingFile>>,
    /// Why it cannot be closed. It stays an orphan.
    pub failure: Option<RecordError>,
    /// Its manifest.
    json: Vec<u8>,
}

/// Every recording under `root` that has no manifest and that `keep` does not name. Changes nothing in them.
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
        if keep(session) || !folder.is_dir() {
            continue;
        }
        let manifest = folder.join(MANIFEST);
        match manifest.try_exists() {
            Ok(true) => {}
            Ok(false) => orphans.push(look(disk, &folder, session)),
            Err(error) => {
                orphans.push(Orphan::failed(session, RecordError::disk("read", &manifest, &error)));
            }
        }
    }
    orphans.sort_by_key(|orphan| orphan.session);
    Ok(orphans)
}

impl Orphan {
    fn failed(session: SessionId, failure: RecordError) -> Self {
        let (files, json) = (Vec::new(), Vec::new());
        Self { session, meta: None, files, prepared: None, failure: Some(failure), json }
    }

    /// Writes its manifest durably under the unfinished name.
    pub(crate) fn prepare(&self, disk: &dyn Disk, folder: &Path) -> Result<(), RecordError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        prepare_manifest(disk, folder, &self.json)?;
        sync_dir(disk, folder)
    }
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
        Ok(Some(files_for_log(bytes, sha256, manifest)))
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

/// Makes durable what the process before wrote, before a manifest binds it: a loss of power that follows takes nothing away
/// that is on record.
fn look(disk: &dyn Disk, folder: &Path, session: SessionId) -> Orphan {
    let durable = |path: &Path| disk.sync_file(path).map_err(|e| RecordError::disk("sync", path, &e));
    let listed = list(folder, session, durable).and_then(|manifest| Ok((encode(&manifest)?, manifest)));
    let (json, manifest) = match listed {
        Ok(listed) => listed,
        Err(failure) => return Orphan::failed(session, failure),
    };
    let meta = reader::read_json::<MetaFile>(&folder.join(META)).ok().map(|meta| meta.session);
    let files = files_for_log(json.len() as u64, Sha256::of(&json), &manifest);
    Orphan { session, meta, files, prepared: prepared(folder, &manifest), failure: None, json }
}

/// The files for the log by the manifest under its unfinished name, if that lists the same as `manifest`.
fn prepared(folder: &Path, manifest: &Manifest) -> Option<Vec<RecordingFile>> {
    let path = folder.join(MANIFEST_UNFINISHED);
    let unfinished: Manifest = reader::read_json(&path).ok()?;
    let mut listed = unfinished.files.clone();
    listed.sort_by(|a, b| a.name.cmp(&b.name));
    let (bytes, sha256) = reader::digest_file(&path).ok()?;
    let same = unfinished.session == manifest.session && listed == manifest.files;
    same.then(|| files_for_log(bytes, sha256, &unfinished))
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
