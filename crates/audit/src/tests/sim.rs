//! A disk in memory that fails on demand and forgets what was not synced.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{Disk, DiskFile, Guard};

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It does nothing and says so.
    Without,
    /// It does what was asked and says it failed.
    After,
    /// A write does half of what was asked; other operations fail as with `Without`.
    Half,
}

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Default)]
pub(super) struct SimDisk(Arc<Mutex<State>>);

#[derive(Clone, Default)]
struct State {
    /// Contents: what a reader sees, and what survives a power failure.
    files: Vec<(Vec<u8>, Vec<u8>)>,
    names: BTreeMap<PathBuf, Node>,
    durable_names: BTreeMap<PathBuf, Node>,
    locked: HashSet<PathBuf>,
    changes: usize,
    fault: Option<(usize, Fault)>,
    /// After the fault every change fails, as if the process had ended.
    dead_after: bool,
    dead: bool,
    tripped: Option<String>,
    /// Bytes that all files together may have.
    capacity: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Dir,
    File(usize),
}

impl SimDisk {
    pub(super) fn new() -> Self {
        let disk = Self::default();
        disk.state().names.insert("/".into(), Node::Dir);
        disk.state().durable_names.insert("/".into(), Node::Dir);
        disk
    }

    /// Makes change number `n` from now on (from 0) fail; with `dead` all later ones too.
    pub(super) fn fail_at(&self, n: usize, fault: Fault, dead: bool) {
        let mut state = self.state();
        state.fault = Some((state.changes + n, fault));
        state.dead_after = dead;
    }

    /// Lets files grow only until all together have so many bytes; `None` without limit.
    pub(super) fn set_capacity(&self, bytes: Option<usize>) {
        self.state().capacity = bytes;
    }

    /// Bytes of all files.
    pub(super) fn used(&self) -> usize {
        self.state().used()
    }

    /// The operation that was made to fail, if it came to that.
    pub(super) fn tripped(&self) -> Option<String> {
        self.state().tripped.clone()
    }

    /// The disk that the next process finds after this one was killed: all that was written is there.
    pub(super) fn after_kill(&self) -> Self {
        let mut state = self.state().clone();
        state.fault = None;
        state.dead = false;
        state.tripped = None;
        state.locked.clear();
        Self(Arc::new(Mutex::new(state)))
    }

    /// The disk after a power failure. What was synced is there; of the rest `choose` decides name by name and
    /// sector by sector.
    pub(super) fn after_power_failure(&self, mut choose: impl FnMut() -> bool) -> Self {
        let after = self.after_kill();
        let mut state = after.state();
        let State { files, names, durable_names, .. } = &mut *state;
        for (written, durable) in files.iter_mut() {
            let mut survived = durable.clone();
            if written != durable && choose() {
                survived.resize(written.len(), 0);
                for (to, from) in survived.chunks_mut(512).zip(written.chunks(512)) {
                    if choose() {
                        to.copy_from_slice(from);
                    }
                }
            }
            (*written, *durable) = (survived.clone(), survived);
        }
        let paths: HashSet<PathBuf> = names.keys().chain(durable_names.keys()).cloned().collect();
        let mut survived = BTreeMap::new();
        for path in paths {
            let (new, old) = (names.get(&path), durable_names.get(&path));
            if let Some(node) = if new != old && choose() { new } else { old } {
                survived.insert(path, *node);
            }
        }
        let all = survived.clone();
        survived.retain(|path, _| path.ancestors().all(|above| all.contains_key(above)));
        *names = survived.clone();
        *durable_names = survived;
        drop(state);
        after
    }

    /// Lets no operation through until the guard is dropped.
    pub(super) fn stall(&self) -> impl Drop {
        self.state()
    }

    /// A disk of its own with the same contents.
    pub(super) fn copy(&self) -> Self {
        self.after_kill()
    }

    /// Changes a file behind the log's back.
    pub(super) fn tamper(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state();
        let id = state.file(path).unwrap();
        change(&mut state.files[id].0);
        state.files[id].1 = state.files[id].0.clone();
    }

    pub(super) fn files_below(&self, dir: &Path) -> Vec<PathBuf> {
        let state = self.state();
        let files = state.names.iter().filter(|(_, node)| matches!(node, Node::File(_)));
        files.map(|(path, _)| path.clone()).filter(|path| path.starts_with(dir)).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `change` unless it is its turn to fail. `half` is what a torn write does.
    fn change(
        &self,
        what: String,
        change: impl FnOnce(&mut State) -> io::Result<()>,
        half: impl FnOnce(&mut State),
    ) -> io::Result<()> {
        let mut state = self.state();
        let number = state.changes;
        state.changes += 1;
        if state.dead {
            return Err(io::Error::other("the process is gone"));
        }
        match state.fault {
            Some((n, fault)) if n == number => {
                state.tripped = Some(format!("{fault:?} {what}"));
                state.dead = state.dead_after;
                match fault {
                    Fault::Without => {}
                    Fault::After => change(&mut state)?,
                    Fault::Half => half(&mut state),
                }
                Err(io::Error::other("injected fault"))
            }
            _ => change(&mut state),
        }
    }
}

impl std::fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.state().names.keys()).finish()
    }
}

impl State {
    /// Bytes of all files that have a name.
    fn used(&self) -> usize {
        let length = |node: &Node| match node {
            Node::Dir => 0,
            Node::File(id) => self.files[*id].0.len(),
        };
        self.names.values().map(length).sum()
    }

    fn file(&self, path: &Path) -> io::Result<usize> {
        match self.names.get(path) {
            Some(Node::File(id)) => Ok(*id),
            Some(Node::Dir) => Err(ErrorKind::IsADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    fn parent_exists(&self, path: &Path) -> io::Result<()> {
        match path.parent().and_then(|parent| self.names.get(parent)) {
            Some(Node::Dir) => Ok(()),
            _ => Err(ErrorKind::NotFound.into()),
        }
    }
}

impl Disk for SimDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let create = |state: &mut State| {
            state.parent_exists(path)?;
            state.files.push(Default::default());
            let id = state.files.len() - 1;
            state.names.insert(path.to_owned(), Node::File(id));
            Ok(())
        };
        self.change(format!("create {path:?}"), create, |_| {})?;
        let id = self.state().file(path)?;
        Ok(Box::new(SimFile { disk: self.clone(), id, path: path.to_owned() }))
    }

    fn read_at(&self, path: &Path, offset: u64, max: usize) -> io::Result<Vec<u8>> {
        let state = self.state();
        let bytes = &state.files[state.file(path)?].0;
        let rest = bytes.get(offset as usize..).unwrap_or_default();
        Ok(rest[..rest.len().min(max)].to_vec())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.state();
        if state.names.get(dir) != Some(&Node::Dir) {
            return Err(ErrorKind::NotFound.into());
        }
        let below = state.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(below.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect())
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        if self.state().names.contains_key(path) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let create = |state: &mut State| {
            state.parent_exists(path)?;
            state.names.insert(path.to_owned(), Node::Dir);
            Ok(())
        };
        self.change(format!("create_dir {path:?}"), create, |_| {})
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let rename = |state: &mut State| {
            state.file(from)?;
            let node = state.names.remove(from).unwrap();
            state.names.insert(to.to_owned(), node);
            Ok(())
        };
        self.change(format!("rename to {to:?}"), rename, |_| {})
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let remove = |state: &mut State| {
            state.file(path)?;
            state.names.remove(path);
            Ok(())
        };
        self.change(format!("remove {path:?}"), remove, |_| {})
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        if self.state().names.keys().any(|other| other.parent() == Some(path)) {
            return Err(ErrorKind::DirectoryNotEmpty.into());
        }
        let remove = |state: &mut State| {
            state.names.remove(path);
            Ok(())
        };
        self.change(format!("remove_dir {path:?}"), remove, |_| {})
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        let id = self.state().file(path)?;
        SimFile { disk: self.clone(), id, path: path.to_owned() }.sync_data()
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let sync = |state: &mut State| {
            let State { names, durable_names, .. } = state;
            durable_names.retain(|path, _| path.parent() != Some(dir) || names.contains_key(path));
            let inside = names.iter().filter(|(path, _)| path.parent() == Some(dir));
            durable_names.extend(inside.map(|(path, node)| (path.clone(), *node)));
            Ok(())
        };
        self.change(format!("sync_dir {dir:?}"), sync, |_| {})
    }

    fn lock(&self, path: &Path, _holder: &str) -> io::Result<Result<Box<dyn Guard>, String>> {
        if !self.state().locked.insert(path.to_owned()) {
            return Ok(Err("pid of the simulation".to_owned()));
        }
        Ok(Ok(Box::new(SimLock { disk: self.clone(), path: path.to_owned() })))
    }
}

struct SimFile {
    disk: SimDisk,
    id: usize,
    path: PathBuf,
}

impl SimFile {
    fn put(&self, state: &mut State, offset: u64, bytes: &[u8]) {
        let (start, end) = (offset as usize, offset as usize + bytes.len());
        let written = &mut state.files[self.id].0;
        written.resize(written.len().max(end), 0);
        written[start..end].copy_from_slice(bytes);
    }
}

impl DiskFile for SimFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let whole = |state: &mut State| {
            let grows = (offset as usize + bytes.len()).saturating_sub(state.files[self.id].0.len());
            let left = state.capacity.map_or(usize::MAX, |capacity| capacity.saturating_sub(state.used()));
            if grows > left {
                self.put(state, offset, &bytes[..bytes.len() - (grows - left)]);
                return Err(ErrorKind::StorageFull.into());
            }
            self.put(state, offset, bytes);
            Ok(())
        };
        let half = |state: &mut State| self.put(state, offset, &bytes[..bytes.len() / 2]);
        self.disk.change(format!("write {:?}", self.path), whole, half)
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        let cut = |state: &mut State| {
            state.files[self.id].0.truncate(length as usize);
            Ok(())
        };
        self.disk.change(format!("cut {:?}", self.path), cut, |_| {})
    }

    fn sync_data(&mut self) -> io::Result<()> {
        let sync = |state: &mut State| {
            let (written, durable) = &mut state.files[self.id];
            durable.clone_from(written);
            Ok(())
        };
        self.disk.change(format!("sync {:?}", self.path), sync, |_| {})
    }
}

struct SimLock {
    disk: SimDisk,
    path: PathBuf,
}

impl Guard for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.disk.state().locked.remove(&self.path);
    }
}
