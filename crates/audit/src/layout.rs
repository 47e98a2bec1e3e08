//! Where the files of a log are. Pure functions over names and numbers.
//!
//! ```text
//! log.json                     which log this is: format and origin
//! lock                         held by the process that writes
//! journal/SEQ-FIRST.journal    sequenced entries, see `frame`
//! tile/entries/x001/x234/067   entry bundles (C2SP tlog-tiles)
//! tile/0/x001/x234/067         tiles of hashes, level 0 and above
//! tile/…/067.p/12              those that are not full, as the checkpoint needs them
//! checkpoint                   the signed checkpoint (C2SP tlog-checkpoint)
//! ```

use std::path::{Path, PathBuf};

/// Entries in a full entry bundle, and hashes in a full tile. Source: C2SP tlog-tiles.
pub const ENTRIES_PER_BUNDLE: u64 = 256;

/// The most bytes a full bundle can have: 256 entries of 65,535 bytes with their length prefixes.
pub(crate) const MAX_BUNDLE_BYTES: usize = 256 * (2 + 65_535);

pub(crate) fn description(dir: &Path) -> PathBuf {
    dir.join("log.json")
}

pub(crate) fn lock(dir: &Path) -> PathBuf {
    dir.join("lock")
}

pub(crate) fn checkpoint(dir: &Path) -> PathBuf {
    dir.join("checkpoint")
}

pub(crate) fn journal(dir: &Path) -> PathBuf {
    dir.join("journal")
}

/// The path of the full entry bundle number `n`, relative to the log's folder: `tile/entries/x001/x234/067`.
///
/// Source: C2SP tlog-tiles, "Log entries" and "Merkle Tree".
pub fn entries_path(n: u64) -> PathBuf {
    PathBuf::from(format!("tile/entries/{}", tile_index(n)))
}

/// The path of a full tile of hashes, relative to the log's folder.
pub(crate) fn tile_path(level: u8, n: u64) -> PathBuf {
    PathBuf::from(format!("tile/{level}/{}", tile_index(n)))
}

/// The folder of a tile's or bundle's partial forms.
pub(crate) fn partials(full: &Path) -> PathBuf {
    let mut folder = full.as_os_str().to_owned();
    folder.push(".p");
    folder.into()
}

/// A tile's index in 3-digit path elements, all but the last with an `x` before them.
pub(crate) fn tile_index(n: u64) -> String {
    let mut path = format!("{:03}", n % 1000);
    let mut rest = n / 1000;
    while rest > 0 {
        path.insert_str(0, &format!("x{:03}/", rest % 1000));
        rest /= 1000;
    }
    path
}

/// The name of a journal segment: the segments' order, and the index of the first entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SegmentName {
    /// Position among the segments; later ones replace earlier ones where they overlap.
    pub(crate) sequence: u64,
    /// Index of the segment's first entry.
    pub(crate) first: u64,
}

impl SegmentName {
    pub(crate) fn file_name(self) -> String {
        format!("{:010}-{:020}.journal", self.sequence, self.first)
    }

    pub(crate) fn path(self, dir: &Path) -> PathBuf {
        journal(dir).join(self.file_name())
    }

    /// Reads a file's name; none when it is not a segment's.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (sequence, first) = name.strip_suffix(".journal")?.split_once('-')?;
        let parsed = Self { sequence: sequence.parse().ok()?, first: first.parse().ok()? };
        (parsed.file_name() == name).then_some(parsed)
    }
}

/// The name under which a segment with an unfinished append is kept, out of the journal's way.
pub(crate) fn set_aside_path(segment: &Path) -> PathBuf {
    let mut aside = segment.as_os_str().to_owned();
    aside.push(".cut");
    aside.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundle_paths_are_those_of_tlog_tiles() {
        for (n, path) in [
            (0, "tile/entries/000"),
            (67, "tile/entries/067"),
            (999, "tile/entries/999"),
            (1000, "tile/entries/x001/000"),
            (1_234_067, "tile/entries/x001/x234/067"),
            (u64::MAX / 256, "tile/entries/x072/x057/x594/x037/x927/935"),
        ] {
            assert_eq!(entries_path(n), Path::new(path));
        }
    }

    #[test]
    fn segment_names_sort_in_order_and_have_one_spelling() {
        let name = SegmentName { sequence: 7, first: 512 };
        assert_eq!(name.file_name(), "0000000007-00000000000000000512.journal");
        assert_eq!(SegmentName::parse(&name.file_name()), Some(name));
        for other in ["7-512.journal", "0000000007-00000000000000000512.journal.tmp", "lock", "-.journal"] {
            assert_eq!(SegmentName::parse(other), None, "{other}");
        }
    }
}
