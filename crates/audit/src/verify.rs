//! Checking a whole log, offline, with the public key alone.
//!
//! ```text
//!   key ─► checkpoint ─► root over every entry ─┬─► tiles, bundles, their partial forms (what other tools read)
//!                                               └─► journal (what the server recovers from)
//! ```
//! Trusts nothing in the folder: all hashes are computed anew from the entries, and every file that holds entries
//! or hashes is compared with them. What this cannot see alone: that the whole folder was taken back to an earlier
//! state, checkpoint and all. Whoever kept a later checkpoint can; see [`verify_since`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::bundle;
use crate::disk::{self, Disk, OsDisk};
use crate::error::ReadError;
use crate::integrate::read_tile;
use crate::inventory::{self, Holds, TileFile};
use crate::journal::{self, Step, Torn, Walk};
use crate::layout::{self, ENTRIES_PER_BUNDLE, MAX_BUNDLE_BYTES, SegmentName};
use crate::note::{Checkpoint, CheckpointError, VerifierKey};
use crate::reader::{Entry, Reader};
use crate::tree::{Edge, Tile, TreeHash};

/// A log that holds what its checkpoint says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The signed checkpoint.
    pub checkpoint: Checkpoint,
    /// Number of entries, those behind the checkpoint included: they are durable and not published yet.
    pub entries: u64,
}

/// Why a log does not verify.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// There is no checkpoint: nothing was ever signed, or it was removed.
    #[error("{} is missing: nothing shows what the log should hold", .0.display())]
    NoCheckpoint(PathBuf),
    /// The checkpoint is not believed.
    #[error("{}: {reason}", .file.display())]
    Checkpoint {
        /// The checkpoint's file.
        file: PathBuf,
        /// Why not.
        reason: CheckpointError,
    },
    /// Checkpoints of more entries than the present one names were published before it.
    #[error(
        "{} names {named} entries, and checkpoints of more were published ({newest}): it was replaced by an older \
         copy, or the folder was copied while the server ran", .file.display()
    )]
    OldCheckpoint {
        /// The checkpoint's file.
        file: PathBuf,
        /// Its tree size.
        named: u64,
        /// The largest tree size for which partial tiles were published.
        newest: u64,
    },
    /// The checkpoint that the auditor kept names more entries than the log's.
    #[error(
        "the kept checkpoint names {kept} entries and the log's checkpoint {present}: \
         the log was taken back to an earlier state"
    )]
    RolledBack {
        /// Tree size of the kept checkpoint.
        kept: u64,
        /// Tree size of the log's.
        present: u64,
    },
    /// The log's first entries are not those that the auditor's checkpoint names.
    #[error(
        "the log's first {size} entries have the root {computed}, and the kept checkpoint says {kept}: \
         the log was forked, its history is another one"
    )]
    Forked {
        /// Tree size of the kept checkpoint.
        size: u64,
        /// The root over the entries that are there.
        computed: TreeHash,
        /// The root in the kept checkpoint.
        kept: TreeHash,
    },
    /// The log holds fewer entries than its checkpoint names.
    #[error(
        "the checkpoint names {named} entries and the log holds {present}: the others were removed{}",
        .end.as_deref().map(|end| format!(" or changed; {end}")).unwrap_or_default()
    )]
    Removed {
        /// The checkpoint's tree size.
        named: u64,
        /// Entries that are there.
        present: u64,
        /// Where the journal breaks off, when it does not just end.
        end: Option<String>,
    },
    /// An entry does not say that it is where it is.
    #[error("entry {0} does not carry its own index: it was changed or moved")]
    Index(u64),
    /// A tile does not have the hashes of the entries, or a bundle other entries.
    #[error("{} does not fit what it is made of, first at entry {entry}: entry or tile was changed", .file.display())]
    Tile {
        /// The tile's or bundle's file.
        file: PathBuf,
        /// The first entry that the first wrong hash covers.
        entry: u64,
    },
    /// A tile or bundle is of entries that the log does not hold.
    #[error("{} is of the first {size} entries, and the log holds {present}: the others were removed", .file.display())]
    Beyond {
        /// The tile's or bundle's file.
        file: PathBuf,
        /// The tree size for which it was written.
        size: u64,
        /// Entries that are there.
        present: u64,
    },
    /// A journal segment holds another entry than the bundles, or the segments behind it.
    #[error("{} holds another entry {entry} than the log: one of them was changed", .file.display())]
    Journal {
        /// The segment's file.
        file: PathBuf,
        /// The entry.
        entry: u64,
    },
    /// Entries and tiles agree, and not with the checkpoint.
    #[error("the log's {size} entries have the root {computed}, and the signed checkpoint says {signed}")]
    Root {
        /// The checkpoint's tree size.
        size: u64,
        /// The root over the entries that are there.
        computed: TreeHash,
        /// The root in the checkpoint.
        signed: TreeHash,
    },
    /// A file is damaged, missing or cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Verifies the log in `dir` against its checkpoint and `key`, handing each entry to `each`, in order.
///
/// The server may run meanwhile. Entries behind the checkpoint are handed out, too; that they are unchanged is known
/// once a later checkpoint covers them, see [`Verified`].
///
/// # Errors
/// [`VerifyError`] names the file or the entry at fault. What `each` was given before is not to be believed then.
pub fn verify(dir: &Path, key: &VerifierKey, each: impl FnMut(&Entry)) -> Result<Verified, VerifyError> {
    verify_on(Arc::new(OsDisk), dir, key, None, each)
}

/// The same, and that the log goes on from a checkpoint that the caller kept and believes: nothing that it names
/// was changed or removed since.
///
/// # Errors
/// As [`verify`]; [`VerifyError::RolledBack`] and [`VerifyError::Forked`] when it does not.
pub fn verify_since(
    dir: &Path,
    key: &VerifierKey,
    kept: &Checkpoint,
    each: impl FnMut(&Entry),
) -> Result<Verified, VerifyError> {
    verify_on(Arc::new(OsDisk), dir, key, Some(kept), each)
}

pub(crate) fn verify_on(
    disk: Arc<dyn Disk>,
    dir: &Path,
    key: &VerifierKey,
    kept: Option<&Checkpoint>,
    mut each: impl FnMut(&Entry),
) -> Result<Verified, VerifyError> {
    let reader = Reader::over(disk.clone(), dir)?;
    // In this order: whatever a running server writes meanwhile, what is listed here is no newer than what is
    // read later, but for files of the one checkpoint that was about to be published.
    let files = inventory::list(&*disk, dir).map_err(ReadError::from)?;
    let segments = journal::segments(&*disk, dir).map_err(ReadError::from)?;
    let checkpoint = signed(&reader, dir, key, &files)?;
    if let Some(kept) = kept.filter(|kept| kept.head.size > checkpoint.head.size) {
        return Err(VerifyError::RolledBack { kept: kept.head.size, present: checkpoint.head.size });
    }
    let first = segments.first().map_or(u64::MAX, |segment| segment.first);
    let mut pass = Pass {
        disk: &*disk,
        dir,
        files: files.iter().filter(|file| !file.is_full()).peekable(),
        edge: Edge::default(),
        size: 0,
        bundle: Vec::new(),
        journaled: first,
        leaves: Vec::new(),
    };
    loop {
        pass.at_size(&checkpoint, kept)?;
        let entries = reader.read(pass.size, ENTRIES_PER_BUNDLE as usize)?;
        if entries.is_empty() {
            break;
        }
        for entry in entries {
            pass.at_size(&checkpoint, kept)?;
            pass.push(&entry, checkpoint.head.size)?;
            each(&entry);
        }
    }
    let (present, first, leaves) = (pass.size, pass.journaled, pass.leaves);
    let ends = segments.iter().map(|segment| check_segment(&disk, dir, *segment, first, &leaves));
    let ends: Vec<_> = ends.collect::<Result<_, _>>()?;
    if present < checkpoint.head.size {
        let torn = ends.last().and_then(|end| end.torn.clone());
        let end = torn.map(|Torn { file, offset, what, .. }| {
            format!("{} breaks off at byte {offset}: {what}", file.display())
        });
        return Err(VerifyError::Removed { named: checkpoint.head.size, present, end });
    }
    check_overlaps(dir, &segments, &ends)?;
    if let Some(file) = files.iter().find(|file| file.size > present) {
        return Err(VerifyError::Beyond { file: file.path.clone(), size: file.size, present });
    }
    Ok(Verified { checkpoint, entries: present })
}

/// The log's checkpoint, which must be by the key, of this log, and no older than the files of the tree show.
fn signed(
    reader: &Reader,
    dir: &Path,
    key: &VerifierKey,
    files: &[TileFile],
) -> Result<Checkpoint, VerifyError> {
    let file = layout::checkpoint(dir);
    let note = reader.checkpoint()?.ok_or_else(|| VerifyError::NoCheckpoint(file.clone()))?;
    let checkpoint = Checkpoint::open(&note, key)
        .map_err(|reason| VerifyError::Checkpoint { file: file.clone(), reason })?;
    let origin = reader.origin()?;
    if origin != checkpoint.origin {
        let what = format!("it says that this is the log {origin}, and its checkpoint {}", checkpoint.origin);
        return Err(ReadError::Damaged { file: layout::description(dir), offset: 0, what }.into());
    }
    // A publication writes its partial tiles, then its checkpoint: files of one size can be ahead of it after a crash.
    let named = checkpoint.head.size;
    let mut ahead: Vec<u64> =
        files.iter().filter(|f| f.is_lowest() && !f.is_full() && f.size > named).map(|f| f.size).collect();
    ahead.dedup();
    match ahead.as_slice() {
        [] | [_] => Ok(checkpoint),
        [.., newest] => Err(VerifyError::OldCheckpoint { file, named, newest: *newest }),
    }
}

/// One walk over all entries, comparing what the folder holds with what follows from them.
struct Pass<'a, F: Iterator<Item = &'a TileFile>> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    /// Partial tiles and bundles, by tree size.
    files: std::iter::Peekable<F>,
    edge: Edge,
    size: u64,
    /// The entries of the bundle that is not full yet.
    bundle: Vec<u8>,
    /// The first entry that the journal may hold, and the hashes of it and all behind it.
    journaled: u64,
    leaves: Vec<TreeHash>,
}

impl<'a, F: Iterator<Item = &'a TileFile>> Pass<'a, F> {
    /// Checks what can be checked when the tree has the present size.
    fn at_size(&mut self, signed: &Checkpoint, kept: Option<&Checkpoint>) -> Result<(), VerifyError> {
        let size = self.size;
        while let Some(file) = self.files.next_if(|file| file.size == size) {
            self.check_partial(file)?;
        }
        if let Some(kept) = kept.filter(|kept| kept.head.size == size) {
            let (computed, kept) = (self.edge.head().root, kept.head.root);
            if computed != kept {
                return Err(VerifyError::Forked { size, computed, kept });
            }
        }
        if size == signed.head.size {
            let (computed, signed) = (self.edge.head().root, signed.head.root);
            if computed != signed {
                return Err(VerifyError::Root { size, computed, signed });
            }
            self.check_signed_partials()?;
        }
        Ok(())
    }

    fn push(&mut self, entry: &Entry, signed: u64) -> Result<(), VerifyError> {
        if !entry.bytes.starts_with(format!("{{\"index\":{},", self.size).as_bytes()) {
            return Err(VerifyError::Index(self.size));
        }
        let leaf = TreeHash::of_entry(&entry.bytes);
        if self.size >= self.journaled {
            self.leaves.push(leaf);
        }
        bundle::push(&mut self.bundle, &entry.bytes);
        for tile in self.edge.push(leaf) {
            if tile.level == 0 && self.size >= self.journaled {
                self.check_bundle(tile.number, self.size < signed)?;
            }
            check_tile(self.disk, self.dir, &tile, self.size < signed)?;
            self.bundle.clear();
        }
        self.size += 1;
        Ok(())
    }

    /// Checks a full bundle whose entries may have come from the journal.
    fn check_bundle(&self, number: u64, signed: bool) -> Result<(), VerifyError> {
        let file = self.dir.join(layout::entries_path(number));
        match disk::read(self.disk, &file, MAX_BUNDLE_BYTES + 1).map_err(ReadError::from)? {
            Some(bytes) if bytes == self.bundle => Ok(()),
            Some(_) => Err(VerifyError::Tile { file, entry: number * ENTRIES_PER_BUNDLE }),
            None if !signed => Ok(()),
            None => {
                let what = "the checkpoint covers its entries, which the journal still holds".to_owned();
                Err(ReadError::MissingFile { file, what }.into())
            }
        }
    }

    /// What a partial tile or bundle of the present size must hold.
    fn expected(&self, holds: Holds) -> Vec<u8> {
        match holds {
            Holds::Entries => self.bundle.clone(),
            Holds::Hashes(level) => {
                let mut tiles = self.edge.partial_tiles().filter(|tile| tile.level == level);
                tiles.next().map(|tile| tile.bytes()).unwrap_or_default()
            }
        }
    }

    fn check_partial(&self, file: &TileFile) -> Result<(), VerifyError> {
        let (expected, entry) = (self.expected(file.holds), file.number * ENTRIES_PER_BUNDLE);
        match disk::read(self.disk, &file.path, MAX_BUNDLE_BYTES + 1).map_err(ReadError::from)? {
            Some(bytes) if bytes == expected => Ok(()),
            Some(_) => Err(VerifyError::Tile { file: file.path.clone(), entry }),
            // Gone since it was listed: it became full.
            None => Ok(()),
        }
    }

    /// Those who read the tree of the checkpoint need these files, or the full ones in their place.
    fn check_signed_partials(&self) -> Result<(), VerifyError> {
        let width = self.size % ENTRIES_PER_BUNDLE;
        let entries = (width > 0).then(|| (layout::entries_path(self.size / ENTRIES_PER_BUNDLE), width));
        let entries = entries.map(|(full, width)| (full, width, self.bundle.clone()));
        let tiles = self
            .edge
            .partial_tiles()
            .map(|tile| (layout::tile_path(tile.level, tile.number), tile.hashes.len() as u64, tile.bytes()));
        for (full, width, expected) in entries.into_iter().chain(tiles) {
            let full = self.dir.join(full);
            let file = layout::partials(&full).join(width.to_string());
            let read =
                |path: &Path| disk::read(self.disk, path, MAX_BUNDLE_BYTES + 1).map_err(ReadError::from);
            match read(&file)? {
                Some(bytes) if bytes == expected => {}
                Some(_) => {
                    return Err(VerifyError::Tile {
                        file,
                        entry: self.size - self.size % ENTRIES_PER_BUNDLE,
                    });
                }
                // It became full meanwhile, and is checked as such.
                None if read(&full)?.is_some() => {}
                None => {
                    let what = format!("the checkpoint's {} entries need it", self.size);
                    return Err(ReadError::MissingFile { file, what }.into());
                }
            }
        }
        Ok(())
    }
}

/// Compares a tile with the one on the disk, which may not be there yet where nothing is signed.
fn check_tile(disk: &dyn Disk, dir: &Path, computed: &Tile, signed: bool) -> Result<(), VerifyError> {
    let stored = match read_tile(disk, dir, computed.level, computed.number) {
        Err(ReadError::MissingFile { .. }) if !signed => return Ok(()),
        stored => stored?,
    };
    let Some(at) = computed.hashes.iter().zip(&stored).position(|(computed, stored)| computed != stored)
    else {
        return Ok(());
    };
    let width = ENTRIES_PER_BUNDLE.pow(u32::from(computed.level));
    let entry = (computed.number * ENTRIES_PER_BUNDLE + at as u64) * width;
    Err(VerifyError::Tile { file: dir.join(layout::tile_path(computed.level, computed.number)), entry })
}

/// How far a journal segment reaches.
#[derive(Default)]
struct SegmentEnd {
    /// The entry behind those that it began with, which it took over from the segment before it.
    taken_over: u64,
    /// The entry behind its last. None when it went meanwhile.
    reach: Option<u64>,
    torn: Option<Torn>,
}

/// Checks that each segment reaches as far as what the next one took over from it.
fn check_overlaps(dir: &Path, segments: &[SegmentName], ends: &[SegmentEnd]) -> Result<(), VerifyError> {
    for ((segment, end), next) in segments.iter().zip(ends).zip(ends.iter().skip(1)) {
        if end.reach.is_some_and(|reach| next.reach.is_some() && reach < next.taken_over) {
            let (offset, what) = end.torn.as_ref().map_or((0, "it ends too early"), |t| (t.offset, t.what));
            let what =
                format!("{what}, and the next segment took over entry {} from it", next.taken_over - 1);
            return Err(ReadError::Damaged { file: segment.path(dir), offset, what }.into());
        }
    }
    Ok(())
}

/// Compares what a journal segment holds with the entries of the log, whose hashes from entry `first` on are `leaves`.
///
/// An append that was not finished may stand at its end; that is how a crash looks.
fn check_segment(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    segment: SegmentName,
    first: u64,
    leaves: &[TreeHash],
) -> Result<SegmentEnd, VerifyError> {
    let gone = |error: &ReadError| matches!(error, ReadError::File(error) if error.source.kind() == std::io::ErrorKind::NotFound);
    let mut walk = match Walk::open(disk, dir, segment) {
        // Released since it was listed.
        Err(error) if gone(&error) => return Ok(SegmentEnd::default()),
        walk => walk?,
    };
    let (mut reach, mut taken_over) = (segment.first, segment.first);
    loop {
        let offset = walk.position();
        let begins = walk.in_beginning();
        let batch = match walk.step() {
            Ok(Step::Batch(batch)) => batch,
            Ok(Step::End) => return Ok(SegmentEnd { taken_over, reach: Some(reach), torn: None }),
            Ok(Step::Torn(torn)) => {
                return Ok(SegmentEnd { taken_over, reach: Some(reach), torn: Some(torn) });
            }
            Err(error) if gone(&error) => return Ok(SegmentEnd::default()),
            Err(error) => return Err(error.into()),
        };
        reach = batch.first + u64::from(batch.count);
        if begins {
            taken_over = reach;
        }
        for (index, entry) in (batch.first..).zip(bundle::entries(batch.body)) {
            let file = segment.path(dir);
            let entry = entry.map_err(|_| ReadError::Damaged {
                file: file.clone(),
                offset,
                what: "an entry is longer than its batch".to_owned(),
            })?;
            let at = index.checked_sub(first).and_then(|at| usize::try_from(at).ok());
            // Behind the end are those that a running server appended since.
            if at.and_then(|at| leaves.get(at)).is_some_and(|leaf| *leaf != TreeHash::of_entry(entry)) {
                return Err(VerifyError::Journal { file, entry: index });
            }
        }
    }
}
