//! How much space the file system of the data folder has left, and what follows from it.
//!
//! ```text
//!   plenty ──► low: somebody should act ──► full: nobody new but break-glass grants
//!      ▲            │  ▲                        │
//!      └────────────┘  └────────────────────────┘   back by itself, a little above the mark
//! ```
//!
//! The marks refuse sessions *early*; that a live session can be closed on a disk without a single free block is
//! another matter: its manifest and its last events have their blocks from its beginning on (see `FORMAT.md`).
//!
//! Measures and compares, and tells who listens. It deletes nothing, refuses nobody and logs nothing itself.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use bartizan_model::event::DiskSpace;
use tokio::sync::watch;

/// How little may be left: a share of the file system and a number of bytes, of which the **smaller** counts. So
/// large disks are not refused while terabytes are free, and small ones are not refused for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Share of the whole, in percent.
    pub percent: u8,
    /// Bytes.
    pub bytes: u64,
}

impl Mark {
    /// The mark in bytes on a file system of `total` bytes.
    pub fn of(self, total: u64) -> u64 {
        let share = u128::from(total) * u128::from(self.percent) / 100;
        self.bytes.min(u64::try_from(share).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = ["", "KiB", "MiB", "GiB", "TiB"];
        let unit = (self.bytes.trailing_zeros() / 10).min(4);
        let unit = if self.bytes == 0 { 0 } else { unit };
        write!(f, "{}%, {}{}", self.percent, self.bytes >> (10 * unit), units[unit as usize])
    }
}

/// A text that is no mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a share and a size, such as \"20%, 5GiB\": the smaller counts")]
pub struct InvalidMark;

impl FromStr for Mark {
    type Err = InvalidMark;
    fn from_str(text: &str) -> Result<Self, InvalidMark> {
        let (percent, size) = text.split_once(',').ok_or(InvalidMark)?;
        let percent = percent.trim().strip_suffix('%').and_then(|n| n.parse().ok());
        let percent = percent.filter(|percent| (0..=90).contains(percent)).ok_or(InvalidMark)?;
        Ok(Self { percent, bytes: parse_size(size.trim()).ok_or(InvalidMark)? })
    }
}

/// Reads `512MiB`, `5GiB`, `2TiB`; also without unit, in bytes.
pub fn parse_size(text: &str) -> Option<u64> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];
    let (digits, shift) =
        units.iter().find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift))).unwrap_or((text, 0));
    let digits = digits.trim_end();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// Where warnings and refusals begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermarks {
    /// Below it somebody should act.
    pub low: Mark,
    /// Below it new sessions are refused.
    pub full: Mark,
}

impl Default for Watermarks {
    fn default() -> Self {
        Self { low: Mark { percent: 20, bytes: 5 << 30 }, full: Mark { percent: 5, bytes: 1 << 30 } }
    }
}

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// There is enough.
    Plenty,
    /// Somebody should act.
    Low,
    /// New sessions are refused.
    Full,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Plenty => "ok",
            Self::Low => "low",
            Self::Full => "full",
        })
    }
}

/// What was measured, and what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured {
    /// How it stands.
    pub level: Level,
    /// What there is, with the reason for the level in words.
    pub space: DiskSpace,
}

/// What a file system says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Bytes that we may still write.
    pub free_bytes: u64,
    /// Its size in bytes.
    pub total_bytes: u64,
    /// Files that can still be made, and how many it holds at most; 0 of 0 where it has no such limit.
    pub free_files: u64,
    /// See above.
    pub total_files: u64,
}

impl Figures {
    /// Asks the system.
    fn of(folder: &Path) -> io::Result<Self> {
        let stat = rustix::fs::statvfs(folder)?;
        Ok(Self {
            free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
            total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
            free_files: stat.f_favail,
            total_files: stat.f_files,
        })
    }
}

/// Share of all files that a file system can hold below which it counts as low, and as full, in percent.
const FILES_PERCENT: (u64, u64) = (5, 1);

impl Watermarks {
    /// Compares figures with the marks. A level that was reached is left only an eighth above its mark, so that it
    /// does not flutter.
    pub fn judge(&self, figures: Figures, before: Level) -> Measured {
        let Figures { free_bytes, total_bytes, free_files, total_files } = figures;
        let below = |level: Level, free: u64, mark: u64| {
            let slack = if before >= level { mark / 8 } else { 0 };
            free < mark.saturating_add(slack)
        };
        let bytes_of = |level: Level| match level {
            Level::Full => self.full.of(total_bytes),
            _ => self.low.of(total_bytes),
        };
        let files_of = |level: Level| match level {
            Level::Full => total_files / 100 * FILES_PERCENT.1,
            _ => total_files / 100 * FILES_PERCENT.0,
        };
        let reached = |level: &Level| {
            below(*level, free_bytes, bytes_of(*level)) || below(*level, free_files, files_of(*level))
        };
        let level = [Level::Full, Level::Low].into_iter().find(reached).unwrap_or(Level::Plenty);
        let (free, total, mark) = (size(free_bytes), size(total_bytes), size(bytes_of(level)));
        let reason = match level {
            Level::Plenty => format!("{free} of {total} are free"),
            _ if !below(level, free_bytes, bytes_of(level)) => {
                format!("only {free_files} of {total_files} files can still be made")
            }
            _ => format!("{free} of {total} are free, and the mark is {mark}"),
        };
        let free_files = (total_files > 0).then_some(free_files);
        Measured { level, space: DiskSpace { free_bytes, total_bytes, free_files, reason } }
    }
}

/// A size as people read it: `3.1 MiB`.
fn size(bytes: u64) -> String {
    let units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let unit = (bytes.max(1).ilog2() / 10).min(4);
    if unit == 0 {
        return format!("{bytes} bytes");
    }
    let tenths = (u128::from(bytes) * 10) >> (10 * unit);
    format!("{}.{} {}", tenths / 10, tenths % 10, units[unit as usize])
}

/// Watches the space of one folder's file system. Clones share what was measured last.
#[derive(Clone, Debug)]
pub struct Space {
    folder: Arc<PathBuf>,
    marks: Watermarks,
    last: watch::Sender<Measured>,
}

impl Space {
    /// Measures for the first time.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn watch(folder: &Path, marks: Watermarks) -> io::Result<Self> {
        let first = marks.judge(Figures::of(folder)?, Level::Plenty);
        Ok(Self { folder: Arc::new(folder.to_owned()), marks, last: watch::Sender::new(first) })
    }

    /// Measures now. Takes microseconds; a file system that hangs makes it hang. When the system does not tell, what
    /// was measured last stays.
    pub fn measure(&self) -> Measured {
        if let Ok(figures) = Figures::of(&self.folder) {
            self.last.send_if_modified(|last| {
                let measured = self.marks.judge(figures, last.level);
                let changed = measured.level != last.level;
                *last = measured;
                changed
            });
        }
        self.last()
    }

    /// The marks it is compared with.
    pub const fn marks(&self) -> Watermarks {
        self.marks
    }

    /// What was measured last.
    pub fn last(&self) -> Measured {
        self.last.borrow().clone()
    }

    /// Follows the level: changes when the level does, not with every figure.
    pub fn subscribe(&self) -> watch::Receiver<Measured> {
        self.last.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(free_bytes: u64, total_bytes: u64) -> Figures {
        Figures { free_bytes, total_bytes, free_files: 0, total_files: 0 }
    }

    #[test]
    fn the_smaller_of_share_and_size_counts() {
        let marks = Watermarks::default();
        let (mib, gib) = (1 << 20, 1 << 30);
        for (free, total, level) in [
            (64 * mib, 64 * mib, Level::Plenty),
            (12 * mib, 64 * mib, Level::Low),
            (3 * mib, 64 * mib, Level::Full),
            (6 * gib, 1000 * gib, Level::Plenty),
            (4 * gib, 1000 * gib, Level::Low),
            (gib - 1, 1000 * gib, Level::Full),
            (0, 0, Level::Plenty),
        ] {
            let measured = marks.judge(figures(free, total), Level::Plenty);
            assert_eq!(measured.level, level, "{free} of {total}: {}", measured.space.reason);
        }
    }

    #[test]
    fn a_level_is_left_a_little_above_its_mark() {
        let marks = Watermarks::default();
        let total = 1000 << 20;
        for (free, before, level) in [
            (50 << 20, Level::Plenty, Level::Low),
            (50 << 20, Level::Full, Level::Full),
            (57 << 20, Level::Full, Level::Low),
            (210 << 20, Level::Low, Level::Low),
            (210 << 20, Level::Full, Level::Low),
            (226 << 20, Level::Full, Level::Plenty),
        ] {
            assert_eq!(marks.judge(figures(free, total), before).level, level, "{free} after {before}");
        }
    }

    #[test]
    fn files_run_out_too() {
        let marks = Watermarks::default();
        let of = |free_files| Figures { free_files, total_files: 1000, ..figures(1 << 40, 1 << 40) };
        assert_eq!(marks.judge(of(100), Level::Plenty).level, Level::Plenty);
        assert_eq!(marks.judge(of(49), Level::Plenty).level, Level::Low);
        let full = marks.judge(of(9), Level::Plenty);
        assert_eq!((full.level, full.space.free_files), (Level::Full, Some(9)));
        assert_eq!(full.space.reason, "only 9 of 1000 files can still be made");
    }

    #[test]
    fn marks_are_read_strictly_and_reasons_read_well() {
        assert_eq!("20%, 5GiB".parse(), Ok(Mark { percent: 20, bytes: 5 << 30 }));
        assert_eq!("0%,512MiB".parse(), Ok(Mark { percent: 0, bytes: 512 << 20 }));
        for text in ["20%, 5GiB", "0%, 0", "7%, 1536MiB", "5%, 1"] {
            assert_eq!(text.parse::<Mark>().unwrap().to_string(), text);
        }
        for bad in ["", "20%", "5GiB", "91%, 5GiB", "20%, five", "20, 5GiB", "-1%, 1", "20%, 99999999TiB"] {
            assert_eq!(bad.parse::<Mark>(), Err(InvalidMark), "{bad}");
        }
        let measured = Watermarks::default().judge(figures(3_300_000, 64 << 20), Level::Plenty);
        assert_eq!(measured.space.reason, "3.1 MiB of 64.0 MiB are free, and the mark is 3.1 MiB");
        assert_eq!([size(0), size(1023), size(u64::MAX)], ["0 bytes", "1023 bytes", "16777215.9 TiB"]);
    }

    #[test]
    fn a_real_folder_is_measured() {
        let folder = tempfile::tempdir().unwrap();
        let never = Mark { percent: 0, bytes: 0 };
        let space = Space::watch(folder.path(), Watermarks { low: never, full: never }).unwrap();
        let measured = space.measure();
        assert_eq!(measured.level, Level::Plenty);
        assert!(measured.space.total_bytes >= measured.space.free_bytes && measured.space.free_bytes > 0);
        assert!(Space::watch(&folder.path().join("none"), Watermarks::default()).is_err());
    }
}
