//! Reading the log: while it is written, by its own process or another, or with the server stopped.
//!
//! Bundles first, the journal for what is behind them. A reader never shows an entry that is not durable:
//! inside the writing process it stops at the head; elsewhere it makes durable what it reads.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bartizan_model::event::Event;
use tokio::sync::watch;

use crate::bundle;
use crate::disk::{self, Disk, OsDisk};
use crate::error::{FileError, OpenError, ReadError};
use crate::integrate::read_tile;
use crate::journal::{self, Step, Walk};
use crate::layout::{self, ENTRIES_PER_BUNDLE, MAX_BUNDLE_BYTES, SegmentName};
use crate::note::MAX_NOTE_BYTES;
use crate::origin::{Origin, describe};
use crate::tree::{self, Nodes, TILE_WIDTH, TreeHash, fold, parse_tile};

/// An entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its position, from 0.
    pub index: u64,
    /// The event as JSON, as it is hashed.
    pub bytes: Vec<u8>,
}

impl Entry {
    /// Reads the event.
    ///
    /// # Errors
    /// When it has a type or a form that this version does not know.
    pub fn event(&self) -> Result<Event, serde_json::Error> {
        serde_json::from_slice(&self.bytes)
    }
}

/// Reads a log from any position, in order.
///
/// Reading on where the last read ended is cheap, also in the journal; each clone remembers its own place.
#[derive(Debug)]
pub struct Reader {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// The durable head, when the writer lives in this process.
    head: Option<watch::Receiver<u64>>,
    place: Mutex<Option<Place>>,
}

/// Where in the journal the last read ended: a batch, and the walk behind it.
struct Place {
    segment: SegmentName,
    walk: Walk,
    first: u64,
    count: u32,
    body: Vec<u8>,
}

/// How often a read looks again when the file it wants has just been replaced by another.
const ATTEMPTS: usize = 5;

impl Reader {
    /// Opens the log in `dir` for reading. The server may run or not; it is not disturbed.
    ///
    /// # Errors
    /// [`ReadError::NoLog`] when there is none.
    pub fn open(dir: &Path) -> Result<Self, ReadError> {
        Self::over(Arc::new(OsDisk), dir)
    }

    pub(crate) fn over(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self, ReadError> {
        let reader = Self { disk, dir: dir.to_owned(), head: None, place: Mutex::default() };
        reader.origin()?;
        Ok(reader)
    }

    pub(crate) fn live(disk: Arc<dyn Disk>, dir: &Path, head: watch::Receiver<u64>) -> Self {
        Self { disk, dir: dir.to_owned(), head: Some(head), place: Mutex::default() }
    }

    /// The log's origin.
    ///
    /// # Errors
    /// When `log.json` is gone or cannot be read.
    pub fn origin(&self) -> Result<Origin, ReadError> {
        match describe(&*self.disk, &self.dir) {
            Ok(Some(description)) => Ok(description.origin),
            // A folder with the rest of a log in it lost its description, and is no wrong path.
            Ok(None) if self.disk.list(&layout::journal(&self.dir)).is_ok() => Err(ReadError::MissingFile {
                file: layout::description(&self.dir),
                what: "it says which log this is".to_owned(),
            }),
            Ok(None) => Err(ReadError::NoLog(self.dir.clone())),
            Err(OpenError::File(error)) => Err(error.into()),
            Err(other) => Err(ReadError::Damaged {
                file: layout::description(&self.dir),
                offset: 0,
                what: other.to_string(),
            }),
        }
    }

    /// Number of entries that can be read.
    ///
    /// # Errors
    /// When the journal is damaged or cannot be read.
    pub fn head(&self) -> Result<u64, ReadError> {
        if let Some(head) = &self.head {
            return Ok(*head.borrow());
        }
        let mut from = self.segment_of(u64::MAX)?.first;
        loop {
            let entries = self.read(from, usize::MAX)?;
            match entries.last() {
                Some(entry) => from = entry.index + 1,
                None => return Ok(from),
            }
        }
    }

    /// Reads entries from index `from` on, at most `max` and at most a bundle's or a batch's. None means
    /// that `from` is the head, or behind it.
    ///
    /// # Errors
    /// [`ReadError::Damaged`] and its like name the file at fault.
    pub fn read(&self, from: u64, max: usize) -> Result<Vec<Entry>, ReadError> {
        let limit = self.head.as_ref().map_or(u64::MAX, |head| *head.borrow());
        let max = max.min(usize::try_from(limit.saturating_sub(from)).unwrap_or(usize::MAX));
        if max == 0 {
            return Ok(Vec::new());
        }
        let mut result = self.try_read(from, max);
        for _ in 1..ATTEMPTS {
            // Between two looks the integrator may have moved the entries from the journal into a bundle.
            match &result {
                Err(ReadError::File(error)) if error.source.kind() == ErrorKind::NotFound => {}
                Err(ReadError::MissingFile { .. }) => {}
                _ => break,
            }
            result = self.try_read(from, max);
        }
        result
    }

    /// The bytes of the full entry bundle number `n`; none while it is not full and integrated.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn bundle(&self, n: u64) -> Result<Option<Vec<u8>>, ReadError> {
        let path = self.dir.join(layout::entries_path(n));
        Ok(disk::read(&*self.disk, &path, MAX_BUNDLE_BYTES + 1)?)
    }

    /// The signed checkpoint, as it is in its file; none when nothing was published yet.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn checkpoint(&self) -> Result<Option<String>, ReadError> {
        let file = layout::checkpoint(&self.dir);
        let Some(note) = disk::read(&*self.disk, &file, MAX_NOTE_BYTES + 1)? else { return Ok(None) };
        let text = String::from_utf8(note);
        text.map(Some).map_err(|_| ReadError::Damaged { file, offset: 0, what: "it is not text".to_owned() })
    }

    /// The root of the tree over the first `size` entries, computed from tiles and entries.
    ///
    /// # Errors
    /// When tiles or entries are missing or damaged, or there are fewer than `size`.
    pub fn root(&self, size: u64) -> Result<TreeHash, ReadError> {
        tree::root(&mut Stored::new(self), size)
    }

    /// The inclusion proof of entry `index` in the tree of the first `size` entries. See [`crate::verify_inclusion`].
    ///
    /// # Errors
    /// As [`Self::root`], and when `index` is not below `size`.
    pub fn inclusion_proof(&self, index: u64, size: u64) -> Result<Vec<TreeHash>, ReadError> {
        if index >= size {
            return Err(self.vanished(index));
        }
        tree::inclusion(&mut Stored::new(self), index, size)
    }

    /// The same for a tree that was published: what its partial tiles hold is read, not computed. Whoever uses
    /// the proof finds out whether they are right.
    pub(crate) fn published_proof(&self, index: u64, published: u64) -> Result<Vec<TreeHash>, ReadError> {
        tree::inclusion(&mut Stored { published, ..Stored::new(self) }, index, published)
    }

    /// An entry of a tree that was published; none when it is not below `published`.
    pub(crate) fn published_entry(&self, index: u64, published: u64) -> Result<Option<Vec<u8>>, ReadError> {
        let (number, width) = (index / ENTRIES_PER_BUNDLE, published % ENTRIES_PER_BUNDLE);
        // The journal can be long before the entries behind the last full bundle.
        if index < published && number == published / ENTRIES_PER_BUNDLE {
            let partial =
                layout::partials(&self.dir.join(layout::entries_path(number))).join(width.to_string());
            if let Some(bytes) = disk::read(&*self.disk, &partial, MAX_BUNDLE_BYTES + 1)? {
                let mut entries = bundle::entries(&bytes).skip((index % ENTRIES_PER_BUNDLE) as usize);
                if let Some(Ok(entry)) = entries.next() {
                    return Ok(Some(entry.to_vec()));
                }
            }
        }
        Ok(self.read(index, 1)?.pop().map(|entry| entry.bytes))
    }

    /// The consistency proof between the trees of the first `old` and the first `new` entries. See
    /// [`crate::verify_consistency`].
    ///
    /// # Errors
    /// As [`Self::root`], and when `old` is above `new`.
    pub fn consistency_proof(&self, old: u64, new: u64) -> Result<Vec<TreeHash>, ReadError> {
        match old {
            0 => Ok(Vec::new()),
            _ if old > new => Err(self.vanished(new)),
            _ => tree::consistency(&mut Stored::new(self), old, new),
        }
    }

    /// The error for an entry that must be there and is not.
    pub(crate) fn vanished(&self, index: u64) -> ReadError {
        let what = format!("entry {index} must be in it, or in a bundle");
        ReadError::MissingFile { file: layout::journal(&self.dir), what }
    }

    fn try_read(&self, from: u64, max: usize) -> Result<Vec<Entry>, ReadError> {
        let mut guard = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        // Who reads along in the journal goes on there; others look for a bundle first.
        let mut place = match guard.take().filter(|place| place.reaches(from)) {
            Some(place) => place,
            None => match self.bundle(from / ENTRIES_PER_BUNDLE)? {
                Some(bytes) => return self.slice_bundle(from, max, &bytes),
                None => self.place(from)?,
            },
        };
        let mut entries = Vec::new();
        let wanted = max.min(ENTRIES_PER_BUNDLE as usize);
        loop {
            place.slice(from + entries.len() as u64, wanted - entries.len(), &mut entries)?;
            if entries.len() == wanted {
                break;
            }
            if !place.step()? {
                let latest = self.segment_of(from + entries.len() as u64)?;
                if latest == place.segment {
                    break;
                }
                place = Place::start(&self.disk, &self.dir, latest)?;
            }
        }
        if self.head.is_none() && !entries.is_empty() {
            self.sync_journal()?;
        }
        *guard = Some(place);
        Ok(entries)
    }

    /// Makes durable what was read in the journal, so that no crash of the writer can take it back.
    fn sync_journal(&self) -> Result<(), ReadError> {
        for segment in journal::segments(&*self.disk, &self.dir)? {
            let path = segment.path(&self.dir);
            match self.disk.sync_file(&path) {
                Ok(()) => {}
                // Integrated since.
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                // What cannot be written cannot be taken back either.
                Err(e) if e.kind() == ErrorKind::ReadOnlyFilesystem => {}
                Err(e) => return Err(FileError::new("sync", &path)(e).into()),
            }
        }
        Ok(())
    }

    /// The segment that holds `index` if one does: the last that begins at or before it.
    fn segment_of(&self, index: u64) -> Result<SegmentName, ReadError> {
        let segments = journal::segments(&*self.disk, &self.dir)?;
        if segments.is_empty() {
            let what = format!("entry {index} is in no bundle, and a log has at least one segment here");
            return Err(ReadError::MissingFile { file: layout::journal(&self.dir), what });
        }
        let segment = segments.iter().rev().find(|segment| segment.first <= index);
        segment.copied().ok_or_else(|| ReadError::MissingFile {
            file: self.dir.join(layout::entries_path(index / ENTRIES_PER_BUNDLE)),
            what: format!("it must hold entry {index}, with which the journal does not begin any more"),
        })
    }

    fn place(&self, from: u64) -> Result<Place, ReadError> {
        Place::start(&self.disk, &self.dir, self.segment_of(from)?)
    }

    fn slice_bundle(&self, from: u64, max: usize, bytes: &[u8]) -> Result<Vec<Entry>, ReadError> {
        let number = from / ENTRIES_PER_BUNDLE;
        let damaged = |offset: usize, what: String| ReadError::Damaged {
            file: self.dir.join(layout::entries_path(number)),
            offset: offset as u64,
            what,
        };
        let entries: Result<Vec<&[u8]>, _> = bundle::entries(bytes).collect();
        let entries = entries.map_err(|e| damaged(e.0, "an entry is longer than the bundle".to_owned()))?;
        if entries.len() as u64 != ENTRIES_PER_BUNDLE {
            return Err(damaged(
                bytes.len(),
                format!("a full bundle has 256 entries, this has {}", entries.len()),
            ));
        }
        let indexed = (number * ENTRIES_PER_BUNDLE..).zip(entries).skip_while(|(index, _)| *index < from);
        Ok(indexed.take(max).map(|(index, bytes)| Entry { index, bytes: bytes.to_vec() }).collect())
    }
}

impl Clone for Reader {
    fn clone(&self) -> Self {
        let Self { disk, dir, head, place: _ } = self;
        Self { disk: disk.clone(), dir: dir.clone(), head: head.clone(), place: Mutex::default() }
    }
}

/// The tree's hashes as the log stores them: in full tiles, and beyond those in what the tiles are made of.
struct Stored<'a> {
    reader: &'a Reader,
    tiles: HashMap<(u8, u64), Vec<TreeHash>>,
    /// Tree size whose partial tiles are read in place of what they are made of; 0 for none.
    published: u64,
}

impl<'a> Stored<'a> {
    fn new(reader: &'a Reader) -> Self {
        Self { reader, tiles: HashMap::new(), published: 0 }
    }

    fn partial_tile(&self, level: u8, number: u64) -> Result<Option<Vec<TreeHash>>, ReadError> {
        let Reader { disk, dir, .. } = self.reader;
        let hashes = self.published.checked_shr(8 * u32::from(level)).unwrap_or(0);
        let width = hashes.saturating_sub(number.saturating_mul(ENTRIES_PER_BUNDLE));
        if !(1..ENTRIES_PER_BUNDLE).contains(&width) {
            return Ok(None);
        }
        let file = layout::partials(&dir.join(layout::tile_path(level, number))).join(width.to_string());
        let bytes = disk::read(&**disk, &file, TILE_WIDTH * 32)?;
        Ok(bytes.and_then(|bytes| parse_tile(&bytes, width as usize)))
    }

    fn tile(&mut self, level: u8, number: u64) -> Result<Option<&[TreeHash]>, ReadError> {
        if !self.tiles.contains_key(&(level, number)) {
            let Reader { disk, dir, .. } = self.reader;
            match read_tile(&**disk, dir, level, number) {
                Ok(hashes) => self.tiles.insert((level, number), hashes),
                Err(ReadError::MissingFile { .. }) => match self.partial_tile(level, number)? {
                    Some(hashes) => self.tiles.insert((level, number), hashes),
                    None => return Ok(None),
                },
                Err(error) => return Err(error),
            };
        }
        Ok(self.tiles.get(&(level, number)).map(Vec::as_slice))
    }

    fn leaves(&self, first: u64, count: usize) -> Result<Vec<TreeHash>, ReadError> {
        let mut leaves = Vec::with_capacity(count);
        while leaves.len() < count {
            let index = first + leaves.len() as u64;
            let entries = self.reader.read(index, count - leaves.len())?;
            if entries.is_empty() {
                return Err(self.reader.vanished(index));
            }
            leaves.extend(entries.iter().map(|entry| TreeHash::of_entry(&entry.bytes)));
        }
        Ok(leaves)
    }
}

impl Nodes for Stored<'_> {
    type Error = ReadError;

    fn nodes(&mut self, level: u8, first: u64, count: usize) -> Result<Vec<TreeHash>, ReadError> {
        let width = TILE_WIDTH as u64;
        let start = (first % width) as usize;
        if let Some(hashes) = self.tile(level, first / width)?.and_then(|tile| tile.get(start..start + count))
        {
            return Ok(hashes.to_vec());
        }
        if level == 0 {
            return self.leaves(first, count);
        }
        let below = (first..).take(count).map(|n| Ok(fold(self.nodes(level - 1, n * width, TILE_WIDTH)?)));
        below.collect()
    }
}

impl Place {
    fn start(disk: &Arc<dyn Disk>, dir: &Path, segment: SegmentName) -> Result<Self, ReadError> {
        let walk = Walk::open(disk, dir, segment)?;
        Ok(Self { segment, walk, first: segment.first, count: 0, body: Vec::new() })
    }

    /// True when entry `index` is in the batch or behind it.
    fn reaches(&self, index: u64) -> bool {
        self.first <= index
    }

    /// Goes on to the next batch; false when there is none yet.
    fn step(&mut self) -> Result<bool, ReadError> {
        let (offset, expected) = (self.walk.position(), self.first + u64::from(self.count));
        let Step::Batch(batch) = self.walk.step()? else { return Ok(false) };
        let (first, count, body) = (batch.first, batch.count, batch.body.to_vec());
        if first != expected {
            let what = format!("entry {first} follows where entry {expected} should");
            return Err(ReadError::Damaged { file: self.walk.path().to_owned(), offset, what });
        }
        (self.first, self.count, self.body) = (first, count, body);
        Ok(true)
    }

    /// Copies up to `max` entries of the batch from index `from` on.
    fn slice(&self, from: u64, max: usize, to: &mut Vec<Entry>) -> Result<(), ReadError> {
        let known = usize::try_from(from.saturating_sub(self.first)).unwrap_or(usize::MAX);
        for (index, entry) in (from..).zip(bundle::entries(&self.body).skip(known)).take(max) {
            let bytes = entry.map_err(|_| ReadError::Damaged {
                file: self.walk.path().to_owned(),
                offset: self.walk.position() - self.body.len() as u64,
                what: "an entry is longer than its batch".to_owned(),
            })?;
            to.push(Entry { index, bytes: bytes.to_vec() });
        }
        Ok(())
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place")
            .field("segment", &self.segment)
            .field("first", &self.first)
            .finish_non_exhaustive()
    }
}
