//! Which tiles and bundles lie in a log's folder: the view of those who read it as files.
//!
//! Names only; what is in the files is for [`crate::verify`] to judge. Other names are passed over: nobody reads
//! files that the specification does not name.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::disk::Disk;
use crate::error::FileError;
use crate::layout::{self, ENTRIES_PER_BUNDLE};

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Holds {
    /// Entries: an entry bundle.
    Entries,
    /// Hashes of this tile level.
    Hashes(u8),
}

/// One tile or bundle, full or partial.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TileFile {
    /// The tree size from which on the file can exist. First, so that files sort by it.
    pub(crate) size: u64,
    pub(crate) holds: Holds,
    pub(crate) number: u64,
    /// How many entries or hashes: 256 when it is full.
    pub(crate) width: u64,
    pub(crate) path: PathBuf,
}

impl TileFile {
    fn new(holds: Holds, number: u64, width: u64, path: PathBuf) -> Self {
        let level = match holds {
            Holds::Entries => 0,
            Holds::Hashes(level) => u32::from(level),
        };
        let above = number.checked_mul(ENTRIES_PER_BUNDLE).and_then(|first| first.checked_add(width));
        let size = above.zip(ENTRIES_PER_BUNDLE.checked_pow(level)).and_then(|(n, each)| n.checked_mul(each));
        Self { size: size.unwrap_or(u64::MAX), holds, number, width, path }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.width == ENTRIES_PER_BUNDLE
    }

    /// True for files of the tree's lowest level, which a publication writes for exactly its tree size.
    pub(crate) fn is_lowest(&self) -> bool {
        matches!(self.holds, Holds::Entries | Holds::Hashes(0))
    }
}

/// Lists the tiles and bundles of the log in `dir`, by tree size.
pub(crate) fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<TileFile>, FileError> {
    let root = dir.join("tile");
    let mut files = Vec::new();
    for name in names(disk, &root)? {
        let holds = match name.as_str() {
            "entries" => Holds::Entries,
            // Six bits of level number the tree; higher ones cannot be.
            level => match level.parse::<u8>().ok().filter(|l| *l < 64 && l.to_string() == level) {
                Some(level) => Holds::Hashes(level),
                None => continue,
            },
        };
        below(disk, &root.join(&name), holds, 0, &mut files)?;
    }
    files.sort_unstable();
    Ok(files)
}

/// Lists the partial forms of one tile or bundle: its widths and paths.
pub(crate) fn partials(disk: &dyn Disk, full: &Path) -> Result<Vec<(u64, PathBuf)>, FileError> {
    let folder = layout::partials(full);
    let widths = names(disk, &folder)?.into_iter().filter_map(|name| {
        let width = name.parse::<u64>().ok().filter(|w| (1..256).contains(w) && w.to_string() == name)?;
        Some((width, folder.join(name)))
    });
    Ok(widths.collect())
}

/// Numbers are spelled `x001/x234/067`: `before` is what the folders above say.
fn below(
    disk: &dyn Disk,
    folder: &Path,
    holds: Holds,
    before: u64,
    files: &mut Vec<TileFile>,
) -> Result<(), FileError> {
    for name in names(disk, folder)? {
        let path = folder.join(&name);
        let number = |digits: &str| {
            let three = digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit());
            let last = digits.parse::<u64>().ok().filter(|_| three)?;
            before.checked_mul(1000)?.checked_add(last)
        };
        if let Some(number) = name.strip_prefix('x').and_then(number) {
            below(disk, &path, holds, number, files)?;
        } else if let Some(number) = name.strip_suffix(".p").and_then(number) {
            let full = path.with_extension("");
            let partials = partials(disk, &full)?;
            files.extend(partials.into_iter().map(|(width, path)| TileFile::new(holds, number, width, path)));
        } else if let Some(number) = number(&name) {
            files.push(TileFile::new(holds, number, ENTRIES_PER_BUNDLE, path));
        }
    }
    Ok(())
}

/// The names in a folder; none when it is gone, as the partial forms of what has become full are.
fn names(disk: &dyn Disk, folder: &Path) -> Result<Vec<String>, FileError> {
    match disk.list(folder) {
        Ok(names) => Ok(names),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(Vec::new()),
        Err(e) => Err(FileError::new("list", folder)(e)),
    }
}
