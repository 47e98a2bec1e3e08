//! The integrator: full entry bundles and tiles become files, partial ones are published with a checkpoint, and
//! journal segments that are no longer needed go.
//!
//! Source: C2SP tlog-tiles.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::bundle::{self, FullBundle};
use crate::disk::{self, Disk, Temporary};
use crate::error::{FileError, ReadError};
use crate::inventory;
use crate::layout::{self, ENTRIES_PER_BUNDLE, MAX_BUNDLE_BYTES, SegmentName, set_aside_path};
use crate::tree::{Edge, TILE_WIDTH, TreeHash, fold, parse_tile};

/// How many files are written before they are synced: each is open so long.
const MAX_OPEN_FILES: usize = 128;

/// A file that has one content for all time.
struct Immutable {
    path: PathBuf,
    bytes: Vec<u8>,
}

/// Bundles and tiles that are to be written, and the folders of partial ones that go then.
pub(crate) struct Prepared {
    files: Vec<Immutable>,
    outgrown: Vec<PathBuf>,
}

/// Writes bundles, tiles and checkpoints. Used by the integrator thread and, before it starts, by recovery.
pub(crate) struct Integrator {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// The tree's edge behind the last full bundle.
    edge: Edge,
    /// Folders that this process made or found, and made durable.
    folders: HashSet<PathBuf>,
}

impl Integrator {
    /// Goes on where `bundles` full bundles and their tiles are in place.
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path, bundles: u64) -> Result<Self, ReadError> {
        let edge = Edge::load(bundles, |level, number| read_tile(&*disk, dir, level, number).map(fold))?;
        Ok(Self { disk, dir: dir.to_owned(), edge, folders: HashSet::new() })
    }

    /// The tree's edge behind the last full bundle, which holds no entries of a partial one.
    pub(crate) fn edge(&self) -> &Edge {
        &self.edge
    }

    /// Number of entries that are in full bundles and tiles.
    pub(crate) fn integrated(&self) -> u64 {
        self.edge.full_tiles() * ENTRIES_PER_BUNDLE
    }

    /// Integrates full bundles, in order: writes them and the tiles that become full with them.
    ///
    /// # Errors
    /// [`ReadError::Conflict`] when a file exists with other bytes, which stay.
    ///
    /// # Durability
    /// When this returns, the files are fully persisted, and so are their names. Writing the same bytes again succeeds.
    pub(crate) fn integrate(&mut self, bundles: Vec<FullBundle>) -> Result<(), ReadError> {
        let prepared = self.prepare(bundles);
        self.complete(&prepared)
    }

    /// Checks that those of these bundles that are files already have the same bytes.
    ///
    /// # Errors
    /// [`ReadError::Conflict`] when one has others, before anything is written for it.
    pub(crate) fn check(&self, bundles: &[FullBundle]) -> Result<(), ReadError> {
        for bundle in bundles {
            let path = self.dir.join(layout::entries_path(bundle.number));
            match disk::read(&*self.disk, &path, MAX_BUNDLE_BYTES + 1)? {
                Some(present) if present != bundle.bytes => return Err(ReadError::Conflict(path)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Adds full bundles to the tree, in order, and gives the files that this makes, for [`Self::complete`].
    pub(crate) fn prepare(&mut self, bundles: Vec<FullBundle>) -> Prepared {
        let mut files = Vec::new();
        let mut outgrown = Vec::new();
        for FullBundle { number, bytes } in bundles {
            for entry in bundle::entries(&bytes).flatten() {
                for tile in self.edge.push(TreeHash::of_entry(entry)) {
                    let path = self.dir.join(layout::tile_path(tile.level, tile.number));
                    outgrown.push(layout::partials(&path));
                    files.push(Immutable { path, bytes: tile.bytes() });
                }
            }
            let path = self.dir.join(layout::entries_path(number));
            outgrown.push(layout::partials(&path));
            files.push(Immutable { path, bytes });
        }
        Prepared { files, outgrown }
    }

    /// Writes what was prepared. After an error it can be called again with the same.
    ///
    /// # Errors
    /// As [`Self::integrate`].
    pub(crate) fn complete(&mut self, prepared: &Prepared) -> Result<(), ReadError> {
        self.write(&prepared.files)?;
        for folder in &prepared.outgrown {
            self.remove_partials(folder)?;
        }
        Ok(())
    }

    /// Writes the partial tiles of `edge` and the partial bundle with the entries that it has on top of the
    /// full bundles, as a checkpoint of it needs them; durable when this returns.
    pub(crate) fn write_partials(&mut self, edge: &Edge, bundle: Vec<u8>) -> Result<(), ReadError> {
        let mut files = Vec::new();
        for tile in edge.partial_tiles() {
            let width = tile.hashes.len();
            let path = layout::partials(&self.dir.join(layout::tile_path(tile.level, tile.number)));
            files.push(Immutable { path: path.join(width.to_string()), bytes: tile.bytes() });
        }
        let size = edge.head().size;
        if !size.is_multiple_of(ENTRIES_PER_BUNDLE) {
            let path = self.dir.join(layout::entries_path(size / ENTRIES_PER_BUNDLE));
            let path = layout::partials(&path).join((size % ENTRIES_PER_BUNDLE).to_string());
            files.push(Immutable { path, bytes: bundle });
        }
        self.write(&files)
    }

    /// Replaces the checkpoint.
    ///
    /// # Durability
    /// When this returns, the checkpoint is fully persisted; after a crash it is this one or the one before.
    pub(crate) fn write_checkpoint(&self, note: &str) -> Result<(), FileError> {
        disk::replace(&*self.disk, &layout::checkpoint(&self.dir), note.as_bytes())
    }

    fn write(&mut self, files: &[Immutable]) -> Result<(), ReadError> {
        let mut folders = HashSet::new();
        for Immutable { path, .. } in files {
            let folder = path.parent().unwrap_or(path);
            self.ensure_folder(folder)?;
            folders.insert(folder);
        }
        files.chunks(MAX_OPEN_FILES).try_for_each(|files| self.write_some(files))?;
        // Also of files found in place: the process that renamed them may not have come further.
        for folder in folders {
            self.disk.sync_dir(folder).map_err(FileError::new("sync folder", folder))?;
        }
        Ok(())
    }

    /// Writes all, then syncs all: the first sync then commits what the others need, too.
    fn write_some(&self, files: &[Immutable]) -> Result<(), ReadError> {
        let mut written = Vec::with_capacity(files.len());
        for Immutable { path, bytes } in files {
            match disk::read(&*self.disk, path, MAX_BUNDLE_BYTES + 1)? {
                Some(present) if present == *bytes => {}
                Some(_) => return Err(ReadError::Conflict(path.clone())),
                None => written.push((path, Temporary::write(&*self.disk, path, bytes)?)),
            }
        }
        for (_, file) in &mut written {
            file.sync()?;
        }
        for (path, file) in written {
            file.rename(&*self.disk, path)?;
        }
        Ok(())
    }

    /// Makes a folder durable, once in this process.
    fn ensure_folder(&mut self, folder: &Path) -> Result<(), FileError> {
        if folder == self.dir || folder.parent().is_none() || self.folders.contains(folder) {
            return Ok(());
        }
        self.ensure_folder(folder.parent().unwrap_or(folder))?;
        disk::make_dir(&*self.disk, folder)?;
        self.folders.insert(folder.to_owned());
        Ok(())
    }

    /// Removes the partial forms of a tile or bundle that is full now. Source: C2SP tlog-tiles, "Partial Tiles".
    fn remove_partials(&mut self, folder: &Path) -> Result<(), FileError> {
        let names = match self.disk.list(folder) {
            Ok(names) => names,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(FileError::new("list", folder)(e)),
        };
        for name in names {
            let path = folder.join(name);
            self.disk.remove(&path).map_err(FileError::new("remove", &path))?;
        }
        self.folders.remove(folder);
        self.disk.remove_dir(folder).map_err(FileError::new("remove folder", folder))
    }

    /// Removes the partial tiles and bundles of trees larger than `published`: those of a checkpoint that a crash kept
    /// from being published, which nobody has seen. So there is never more than one such tree, and
    /// [`crate::verify`] can tell an old copy of the checkpoint.
    pub(crate) fn remove_unpublished(&self, published: u64, head: u64) -> Result<(), FileError> {
        for number in published / ENTRIES_PER_BUNDLE..=head / ENTRIES_PER_BUNDLE {
            for full in [layout::entries_path(number), layout::tile_path(0, number)] {
                let ahead = |width: &u64| number * ENTRIES_PER_BUNDLE + width > published;
                let partials = inventory::partials(&*self.disk, &self.dir.join(full))?;
                for (_, path) in partials.into_iter().filter(|(width, _)| ahead(width)) {
                    self.disk.remove(&path).map_err(FileError::new("remove", &path))?;
                    disk::sync_parent(&*self.disk, &path)?;
                }
            }
        }
        Ok(())
    }

    /// Removes the segments that are not needed once `integrated` entries are in bundles.
    ///
    /// `segments` are all there are, in order. Each begins with the entries of the bundle that was not full
    /// when it was made, so one can go when the next begins at or before `integrated`. The last stays.
    /// The one at the path `aside` is kept under another name. Returns how many have gone.
    pub(crate) fn release(
        &self,
        segments: &[SegmentName],
        integrated: u64,
        aside: Option<&Path>,
    ) -> Result<usize, FileError> {
        let mut released = 0;
        for pair in segments.windows(2).take_while(|pair| pair[1].first <= integrated) {
            let path = pair[0].path(&self.dir);
            if Some(&*path) == aside {
                let kept = set_aside_path(&path);
                self.disk.rename(&path, &kept).map_err(FileError::new("set aside", &path))?;
            } else {
                self.disk.remove(&path).map_err(FileError::new("remove", &path))?;
            }
            // One by one: were a later one gone and an earlier one back after a crash, the journal would have a gap.
            disk::sync_parent(&*self.disk, &path)?;
            released += 1;
        }
        Ok(released)
    }
}

/// Reads a full tile, which must be there.
pub(crate) fn read_tile(
    disk: &dyn Disk,
    dir: &Path,
    level: u8,
    number: u64,
) -> Result<Vec<TreeHash>, ReadError> {
    let file = dir.join(layout::tile_path(level, number));
    let Some(bytes) = disk::read(disk, &file, TILE_WIDTH * 32 + 1)? else {
        let what = "the log has entries behind those of this tile".to_owned();
        return Err(ReadError::MissingFile { file, what });
    };
    parse_tile(&bytes, TILE_WIDTH).ok_or_else(|| ReadError::Damaged {
        file,
        offset: bytes.len() as u64,
        what: "a full tile has 8,192 bytes".to_owned(),
    })
}
