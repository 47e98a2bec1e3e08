//! The integrator: writes full entry bundles and lets go of journal segments that are no longer needed.

use std::collections::{HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::disk::{self, Disk};
use crate::error::{FileError, ReadError};
use crate::layout::{self, ENTRIES_PER_BUNDLE, MAX_BUNDLE_BYTES, SegmentName};
use crate::open::set_aside_path;

/// A full bundle whose entries are durable in the journal.
#[derive(Debug)]
pub(crate) struct FullBundle {
    pub(crate) number: u64,
    pub(crate) bytes: Vec<u8>,
}

/// Writes bundles. Used by the integrator thread and, before it starts, by recovery.
pub(crate) struct Integrator {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// Folders that this process made or found, and made durable.
    folders: HashSet<PathBuf>,
}

impl Integrator {
    pub(crate) fn new(disk: Arc<dyn Disk>, dir: &Path) -> Self {
        Self { disk, dir: dir.to_owned(), folders: HashSet::new() }
    }

    /// Writes bundles under their final names. One that exists already with the same bytes is left alone.
    ///
    /// # Errors
    /// [`ReadError::Conflict`] when one exists with other bytes, which stay.
    ///
    /// # Durability
    /// When this returns, the bundles are fully persisted, and so are their names. Writing the same bytes again succeeds.
    pub(crate) fn write(&mut self, bundles: &[FullBundle]) -> Result<(), ReadError> {
        let disk = &*self.disk;
        let mut named = Vec::with_capacity(bundles.len());
        for bundle in bundles {
            let path = self.dir.join(layout::entries_path(bundle.number));
            let folder = path.parent().unwrap_or(&self.dir).to_owned();
            if !self.folders.contains(&folder) {
                disk::ensure_dir(disk, &self.dir, &folder)?;
                self.folders.insert(folder.clone());
            }
            match disk::read(disk, &path, MAX_BUNDLE_BYTES + 1)? {
                Some(present) if present == bundle.bytes => {}
                Some(_) => return Err(ReadError::Conflict(path)),
                None => {
                    disk::write_temporary(disk, &path, &bundle.bytes)?;
                    named.push(path);
                }
            }
        }
        for path in &named {
            disk::rename_temporary(disk, path)?;
        }
        // Also of bundles found in place: the process that renamed them may not have come further.
        let paths = bundles.iter().map(|bundle| self.dir.join(layout::entries_path(bundle.number)));
        let folders: HashSet<PathBuf> = paths.filter_map(|path| path.parent().map(Path::to_owned)).collect();
        for folder in &folders {
            disk.sync_dir(folder).map_err(FileError::new("sync folder", folder))?;
        }
        Ok(())
    }

    /// Removes the segments that are not needed once `integrated` entries are in bundles.
    ///
    /// `segments` are all there are, in order. Each begins with the entries of the bundle that was not full
    /// when it was made, so one can go when the next begins at or before `integrated`. The last stays.
    /// The one at the path `aside` is kept under another name.
    pub(crate) fn release(
        &self,
        segments: &mut Vec<SegmentName>,
        integrated: u64,
        aside: Option<&Path>,
    ) -> Result<(), FileError> {
        while let [oldest, next, ..] = segments[..]
            && next.first <= integrated
        {
            let path = oldest.path(&self.dir);
            if Some(&*path) == aside {
                self.disk
                    .rename(&path, &set_aside_path(&path))
                    .map_err(FileError::new("set aside", &path))?;
            } else {
                self.disk.remove(&path).map_err(FileError::new("remove", &path))?;
            }
            // One by one: were a later one gone and an earlier one back after a crash, the journal would have a gap.
            disk::sync_parent(&*self.disk, &path)?;
            segments.remove(0);
        }
        Ok(())
    }
}

/// Full bundles on their way from the writer to the integrator, bounded in bytes, and what both know.
pub(crate) struct Backlog {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    bundles: VecDeque<FullBundle>,
    bytes: usize,
    segments: Vec<SegmentName>,
    shut: bool,
}

/// The most bytes of bundles that may wait; then the writer waits, and behind it the queue fills.
const MAX_BACKLOG_BYTES: usize = 64 * 1024 * 1024;

impl Backlog {
    pub(crate) fn new(segments: Vec<SegmentName>) -> Self {
        let state = State { bundles: VecDeque::new(), bytes: 0, segments, shut: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Hands over a full bundle, waiting while too much waits already; false when the integrator has ended.
    pub(crate) fn push(&self, bundle: FullBundle) -> bool {
        let state = self.lock();
        let mut state = self
            .changed
            .wait_while(state, |state| state.bytes >= MAX_BACKLOG_BYTES && !state.shut)
            .unwrap_or_else(PoisonError::into_inner);
        state.bytes += bundle.bytes.len();
        state.bundles.push_back(bundle);
        self.changed.notify_all();
        !state.shut
    }

    /// Tells that the journal goes on in another segment.
    pub(crate) fn rotated(&self, segment: SegmentName) {
        self.lock().segments.push(segment);
    }

    /// Nothing more comes, or nothing more is taken.
    pub(crate) fn shut(&self) {
        self.lock().shut = true;
        self.changed.notify_all();
    }

    /// All that waits; waits for something. None when nothing more comes.
    fn take(&self) -> Option<Vec<FullBundle>> {
        let state = self.lock();
        let mut state = self
            .changed
            .wait_while(state, |state| state.bundles.is_empty() && !state.shut)
            .unwrap_or_else(PoisonError::into_inner);
        state.bytes = 0;
        let taken: Vec<_> = state.bundles.drain(..).collect();
        self.changed.notify_all();
        (!taken.is_empty()).then_some(taken)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The integrator thread: integrates what comes until nothing more does.
    ///
    /// # Errors
    /// The first failure; the log is to be poisoned with it.
    pub(crate) fn run(&self, integrator: &mut Integrator) -> Result<(), ReadError> {
        while let Some(bundles) = self.take() {
            integrator.write(&bundles)?;
            let Some(last) = bundles.last() else { continue };
            let mut segments = self.lock().segments.clone();
            let before = segments.len();
            integrator.release(&mut segments, (last.number + 1) * ENTRIES_PER_BUNDLE, None)?;
            let released = before - segments.len();
            self.lock().segments.drain(..released);
        }
        Ok(())
    }
}
