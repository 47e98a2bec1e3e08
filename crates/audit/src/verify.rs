//! Checking a whole log, offline, with the public key alone.
//!
//! Trusts nothing in the folder: all hashes are computed anew from the entries, compared with each tile that must be
//! there, and the root with the signed checkpoint. What this cannot see: that the whole folder was taken back to an
//! earlier state, checkpoint and all. Whoever kept a later checkpoint can; see [`Reader::consistency_proof`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Disk, OsDisk};
use crate::error::ReadError;
use crate::integrate::read_tile;
use crate::layout::{self, ENTRIES_PER_BUNDLE};
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
    /// The log holds fewer entries than its checkpoint names.
    #[error("the checkpoint names {named} entries and the log holds {present}: the others were removed")]
    Removed {
        /// The checkpoint's tree size.
        named: u64,
        /// Entries that are there.
        present: u64,
    },
    /// An entry does not say that it is where it is.
    #[error("entry {0} does not carry its own index: it was changed or moved")]
    Index(u64),
    /// A tile does not have the hashes of the entries.
    #[error("{} does not fit what it is made of, first at entry {entry}: entry or tile was changed", .file.display())]
    Tile {
        /// The tile's file.
        file: PathBuf,
        /// The first entry that the first wrong hash covers.
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
    verify_on(Arc::new(OsDisk), dir, key, each)
}

pub(crate) fn verify_on(
    disk: Arc<dyn Disk>,
    dir: &Path,
    key: &VerifierKey,
    mut each: impl FnMut(&Entry),
) -> Result<Verified, VerifyError> {
    let reader = Reader::over(disk.clone(), dir)?;
    let file = layout::checkpoint(dir);
    let note = reader.checkpoint()?.ok_or_else(|| VerifyError::NoCheckpoint(file.clone()))?;
    let checkpoint =
        Checkpoint::open(&note, key).map_err(|reason| VerifyError::Checkpoint { file, reason })?;
    let signed = checkpoint.head;

    let mut edge = Edge::default();
    let mut index = 0;
    loop {
        if index == signed.size {
            let computed = edge.head().root;
            if computed != signed.root {
                return Err(VerifyError::Root { size: index, computed, signed: signed.root });
            }
        }
        // Not over the checkpoint's size: what is checked there is all that is signed.
        let rest = if index < signed.size { signed.size - index } else { ENTRIES_PER_BUNDLE };
        let entries = reader.read(index, rest.min(ENTRIES_PER_BUNDLE) as usize)?;
        if entries.is_empty() {
            break;
        }
        for entry in entries {
            if !entry.bytes.starts_with(format!("{{\"index\":{index},").as_bytes()) {
                return Err(VerifyError::Index(index));
            }
            for tile in edge.push(TreeHash::of_entry(&entry.bytes)) {
                check_tile(&*disk, dir, &tile, index < signed.size)?;
            }
            each(&entry);
            index += 1;
        }
    }
    if index < signed.size {
        return Err(VerifyError::Removed { named: signed.size, present: index });
    }
    Ok(Verified { checkpoint, entries: index })
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
