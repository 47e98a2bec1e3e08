//! The threads that wait for disks.
//!
//! `fsync` takes milliseconds, and the writer must not wait for it: so a few threads do only that. All jobs of
//! one session go to the same thread, in order; different sessions' jobs run side by side, which also lets
//! the file system commit them together.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use bartizan_model::{RecordingFile, SessionId, Sha256Hex};
use tokio::sync::oneshot;

use crate::RecordError;
use crate::digest::Sha256;
use crate::disk::{Disk, DiskFile, write_all};
use crate::hub::Hub;
use crate::meta::{MANIFEST, MANIFEST_UNFINISHED, META, Manifest};
use crate::queue::lock;
use crate::session::Session;

const THREADS: usize = 4;

/// Most files that [`finish`](crate::SessionRecorder::finish) lists one by one for the log, so that they fit an event.
pub const MAX_LOGGED_FILES: usize = 128;

/// A file that is being written.
pub(crate) struct OpenFile {
    pub(crate) path: PathBuf,
    pub(crate) file: Box<dyn DiskFile>,
    /// Something was written after the last sync began.
    pub(crate) unsynced: AtomicBool,
}

/// Makes a session's folder and its `meta.json` durable.
pub(crate) struct Begin {
    pub(crate) session: Arc<Session>,
    pub(crate) json: Vec<u8>,
    pub(crate) reply: oneshot::Sender<Result<(), RecordError>>,
}

/// Makes a session's end durable, after all its files.
pub(crate) struct Finish {
    pub(crate) session: Arc<Session>,
    pub(crate) manifest: Manifest,
    pub(crate) reply: oneshot::Sender<Result<Vec<RecordingFile>, RecordError>>,
}

enum Job {
    Begin(Begin),
    File(Arc<Session>, Arc<OpenFile>),
    Finish(Finish),
    Truncate(Arc<Session>, oneshot::Sender<Result<Vec<RecordingFile>, RecordError>>),
}

/// The sync threads.
pub(crate) struct Syncers {
    disk: Arc<dyn Disk>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    jobs: Mutex<Vec<Sender<Job>>>,
}

impl Syncers {
    pub(crate) fn start(disk: &Arc<dyn Disk>, hub: &Arc<Hub>) -> Result<Self, RecordError> {
        let (mut threads, mut jobs) = (Vec::new(), Vec::new());
        for number in 0..THREADS {
            let (sender, receiver) = channel();
            let worker = Worker { disk: Arc::clone(disk), hub: Arc::clone(hub) };
            let thread = thread::Builder::new()
                .name(format!("record-sync-{number}"))
                .spawn(move || worker.run(&receiver))
                .map_err(|e| RecordError::Internal(format!("cannot start a thread: {e}")))?;
            threads.push(thread);
            jobs.push(sender);
        }
        Ok(Self { disk: Arc::clone(disk), threads: Mutex::new(threads), jobs: Mutex::new(jobs) })
    }

    pub(crate) fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// Does what was asked, then ends.
    pub(crate) fn stop(&self) {
        lock(&self.jobs).clear();
        for thread in lock(&self.threads).drain(..) {
            let ended = thread.join();
            debug_assert!(ended.is_ok(), "a sync thread panicked");
        }
    }

    pub(crate) fn begin(&self, begin: Begin) {
        self.send(begin.session.id, Job::Begin(begin));
    }

    pub(crate) fn file(&self, session: &Arc<Session>, file: &Arc<OpenFile>) {
        self.send(session.id, Job::File(Arc::clone(session), Arc::clone(file)));
    }

    pub(crate) fn finish(&self, finish: Finish) {
        self.send(finish.session.id, Job::Finish(finish));
    }

    /// Closes what there is of a recording that failed, after all that was asked before.
    pub(crate) fn truncate(
        &self,
        session: &Arc<Session>,
        reply: oneshot::Sender<Result<Vec<RecordingFile>, RecordError>>,
    ) {
        self.send(session.id, Job::Truncate(Arc::clone(session), reply));
    }

    /// Sends to the session's thread. A job that nobody takes is dropped and its waiter told so.
    fn send(&self, id: SessionId, job: Job) {
        // The last digits of a UUIDv7 are random.
        let turn = id.to_string().bytes().fold(0_usize, |sum, digit| sum + usize::from(digit));
        let jobs = lock(&self.jobs);
        let sent = jobs.get(turn % THREADS).map(|sender| sender.send(job));
        debug_assert!(matches!(sent, Some(Ok(()))), "a sync thread is gone");
    }
}

struct Worker {
    disk: Arc<dyn Disk>,
    hub: Arc<Hub>,
}

impl Worker {
    fn run(&self, jobs: &Receiver<Job>) {
        while let Ok(job) = jobs.recv() {
            let session = match &job {
                Job::Begin(Begin { session, .. })
                | Job::File(session, _)
                | Job::Truncate(session, _)
                | Job::Finish(Finish { session, .. }) => Arc::clone(session),
            };
            if catch_unwind(AssertUnwindSafe(|| self.work(job))).is_err() {
                session.fail(RecordError::Internal("a sync thread panicked".into()));
            }
        }
    }

    fn work(&self, job: Job) {
        match job {
            Job::Begin(Begin { session, json, reply }) => {
                let begun = self.begin(&session, &json);
                if let Err(error) = &begun {
                    session.fail(error.clone());
                }
                // A waiter that went away has dropped the recorder, which the writer notices.
                reply.send(begun).ok();
            }
            Job::File(session, file) => {
                file.unsynced.store(false, Ordering::SeqCst);
                if let Err(error) = file.file.sync() {
                    session.fail(RecordError::disk("sync", &file.path, &error));
                }
            }
            Job::Truncate(session, reply) => {
                let closed = crate::orphan::close_one(&*self.disk, &session.folder, session.id);
                // A waiter that went away has the recording closed all the same.
                reply.send(closed).ok();
            }
            Job::Finish(Finish { session, manifest, reply }) => {
                // The files were made durable just before, by this thread: what failed then counts, also where the session
                // went on without it.
                let finished = match session.failed().or_else(|| session.lapsed()) {
                    Some(error) => Err(error),
                    None => write_manifest(&*self.disk, &session.folder, manifest),
                };
                if let Err(error) = &finished {
                    session.fail(error.clone());
                }
                lock(&self.hub.open).remove(&session.id);
                reply.send(finished).ok();
            }
        }
    }

    fn begin(&self, session: &Session, json: &[u8]) -> Result<(), RecordError> {
        let folder = &session.folder;
        self.disk.create_dir(folder).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => RecordError::Exists(session.id),
            _ => RecordError::disk("create", folder, &error),
        })?;
        // The manifest has its blocks from here on, so that the recording can be closed on a full disk. Before anything
        // is synced: what one sync takes along, those that follow find done.
        reserve_manifest(&*self.disk, folder, 0)?;
        write_durably(&*self.disk, &folder.join(META), json)?;
        sync_dir(&*self.disk, folder)?;
        folder.parent().map_or(Ok(()), |root| sync_dir(&*self.disk, root))
    }
}

pub(crate) fn sync_dir(disk: &dyn Disk, path: &Path) -> Result<(), RecordError> {
    disk.sync_dir(path).map_err(|e| RecordError::disk("sync", path, &e))
}

fn write_durably(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<(), RecordError> {
    let file = disk.create(path).map_err(|e| RecordError::disk("create", path, &e))?;
    write_all(&*file, bytes).map_err(|e| RecordError::disk("write", path, &e))?;
    file.sync().map_err(|e| RecordError::disk("sync", path, &e))
}

/// Bytes that a manifest of a truncated recording needs besides its files, and for each file, at most: names are short,
/// lengths have up to 20 digits.
const MANIFEST_BYTES: u64 = 512;
const MANIFEST_BYTES_A_FILE: u64 = 256;
/// The reserve grows by so many files at once (each channel may have two), so that most sessions ask for it once.
const RESERVED_FILES: u64 = 14;

/// Sees to it that the manifest of a truncated recording with `meta.json` and at least `files` more can be written
/// without asking for space: in the file that becomes the manifest. Grows it at each multiple of [`RESERVED_FILES`].
pub(crate) fn reserve_manifest(disk: &dyn Disk, folder: &Path, files: u64) -> Result<(), RecordError> {
    if !files.is_multiple_of(RESERVED_FILES) {
        return Ok(());
    }
    let path = folder.join(MANIFEST_UNFINISHED);
    let bytes = MANIFEST_BYTES + MANIFEST_BYTES_A_FILE * (files + RESERVED_FILES + 2);
    disk.reserve(&path, bytes).map_err(|e| RecordError::disk("reserve", &path, &e))
}

/// Closes a recording: adds its manifest durably and gives the files for the log, the manifest first.
pub(crate) fn write_manifest(
    disk: &dyn Disk,
    folder: &Path,
    manifest: Manifest,
) -> Result<Vec<RecordingFile>, RecordError> {
    let json = encode(&manifest)?;
    prepare_manifest(disk, folder, &json)?;
    publish_manifest(disk, folder)?;
    Ok(files_for_log(json.len() as u64, Sha256::of(&json), &manifest))
}

/// A manifest as it is written.
pub(crate) fn encode(manifest: &Manifest) -> Result<Vec<u8>, RecordError> {
    serde_json::to_vec_pretty(manifest).map_err(|e| RecordError::Internal(e.to_string()))
}

/// The files of a recording for the log, its manifest first, which has so many bytes and this digest.
pub(crate) fn files_for_log(bytes: u64, sha256: Sha256Hex, manifest: &Manifest) -> Vec<RecordingFile> {
    let mut files = vec![RecordingFile { name: MANIFEST.into(), bytes, sha256 }];
    if manifest.files.len() < MAX_LOGGED_FILES {
        files.extend(manifest.files.iter().cloned());
    }
    files
}

/// Writes a manifest durably under its unfinished name.
pub(crate) fn prepare_manifest(disk: &dyn Disk, folder: &Path, json: &[u8]) -> Result<(), RecordError> {
    let unfinished = folder.join(MANIFEST_UNFINISHED);
    disk.overwrite(&unfinished, json).map_err(|e| RecordError::disk("write", &unfinished, &e))
}

/// Closes a recording whose manifest is prepared. What is not surely closed is open still, so that it is closed later by
/// whoever binds it; where the disk does not even take the name back, the recording is closed. Should a loss of power take
/// it back then, what is bound is there under the unfinished name.
pub(crate) fn publish_manifest(disk: &dyn Disk, folder: &Path) -> Result<(), RecordError> {
    let (unfinished, finished) = (folder.join(MANIFEST_UNFINISHED), folder.join(MANIFEST));
    let published = disk
        .rename(&unfinished, &finished)
        .map_err(|e| RecordError::disk("rename", &finished, &e))
        .and_then(|()| sync_dir(disk, folder));
    if published.is_err() && disk.rename(&finished, &unfinished).is_err() && finished.exists() {
        return Ok(());
    }
    published
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::SystemDisk;
    use crate::meta::Closed;

    /// A disk that makes no folder durable, and takes no name back if it is not `kind`.
    struct Stubborn {
        kind: bool,
    }

    impl Disk for Stubborn {
        fn create_dir(&self, path: &Path) -> io::Result<()> {
            SystemDisk.create_dir(path)
        }
        fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
            SystemDisk.create(path)
        }
        fn reserve(&self, path: &Path, bytes: u64) -> io::Result<()> {
            SystemDisk.reserve(path, bytes)
        }
        fn overwrite(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
            SystemDisk.overwrite(path, bytes)
        }
        fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
            if !self.kind && to.ends_with(MANIFEST_UNFINISHED) {
                return Err(io::Error::other("not back"));
            }
            SystemDisk.rename(from, to)
        }
        fn sync_dir(&self, _: &Path) -> io::Result<()> {
            Err(io::Error::other("nothing durable today"))
        }
    }

    /// Whoever is told that a recording is not closed binds nothing of it.
    #[test]
    fn a_recording_is_closed_exactly_when_it_is_said_to_be() {
        for kind in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let (session, files, channels) = (SessionId::new(), Vec::new(), Vec::new());
            let manifest = Manifest { version: 1, session, closed: Closed::Ended, files, channels };
            let written = write_manifest(&Stubborn { kind }, folder.path(), manifest);
            assert_eq!(folder.path().join(MANIFEST).exists(), written.is_ok());
            assert_eq!(written.is_err(), kind);
        }
    }
}
