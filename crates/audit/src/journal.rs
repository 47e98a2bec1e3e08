//! The journal: segments on the disk, appended to by one writer, walked by recovery and by readers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{self, Disk, DiskFile, Temporary};
use crate::error::{FileError, ReadError};
use crate::frame::{BATCH_HEADER_BYTES, Batch, BatchWriter, Parsed, SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::layout::{self, SegmentName};

/// The segment being written.
pub(crate) struct Segment {
    pub(crate) name: SegmentName,
    path: PathBuf,
    file: Box<dyn DiskFile>,
    length: u64,
    /// Bytes appended since it was made.
    appended: u64,
    /// Length of the file: behind what was appended it holds zeros.
    allocated: u64,
    /// How many zeros are written at once.
    allocation: u64,
}

impl Segment {
    /// Makes the segment `name`, which starts with the entries of `body`, as in a bundle, and has room for `reserve`
    /// bytes behind them. Where there is no room for all that, nothing is left behind.
    ///
    /// # Durability
    /// When this returns, the segment with these entries is fully persisted, and so is its name.
    pub(crate) fn create(
        disk: &dyn Disk,
        dir: &Path,
        name: SegmentName,
        body: &[u8],
        allocation: u64,
        reserve: u64,
    ) -> Result<Self, FileError> {
        let mut batch = BatchWriter::new(Vec::new(), name.first);
        crate::bundle::entries(body).flatten().for_each(|entry| batch.push(entry));
        let batch = if body.is_empty() { Vec::new() } else { batch.finish() };
        let mut bytes =
            SegmentHeader { first: name.first, durable_bytes: batch.len() as u64 }.encode().to_vec();
        bytes.extend(batch);

        // The file is written under another name first, so that a segment that exists is a whole one.
        let path = name.path(dir);
        let length = bytes.len() as u64;
        bytes.resize(bytes.len() + reserve as usize, 0);
        let mut temporary = Temporary::write(disk, &path, &bytes).inspect_err(|error| {
            if error.is_full() {
                Temporary::forget(disk, &path);
            }
        })?;
        temporary.sync()?;
        let file = temporary.rename(disk, &path)?;
        disk::sync_parent(disk, &path)?;
        let allocated = length + reserve;
        Ok(Self { name, path, file, length, appended: 0, allocated, allocation })
    }

    /// Sees to it that `bytes` can be appended without asking the disk for room.
    ///
    /// # Errors
    /// Above all that the disk is full; the segment can be appended to as far as it has [`Self::room`].
    pub(crate) fn ensure(&mut self, bytes: u64) -> Result<(), FileError> {
        let missing = bytes.saturating_sub(self.room());
        if missing == 0 {
            return Ok(());
        }
        // A full disk may still have what is needed now, if not what saves asking soon again.
        self.extend(missing + self.allocation).or_else(|error| match error.is_full() {
            true => self.extend(missing),
            false => Err(error),
        })
    }

    /// Overwriting zeros leaves the file's length and blocks alone, so that fdatasync has no metadata to write (on ext4
    /// that halves its time), and so that it cannot fail for lack of room.
    fn extend(&mut self, bytes: u64) -> Result<(), FileError> {
        let zeros = vec![0; bytes as usize];
        self.file.write_at(self.allocated, &zeros).map_err(FileError::new("extend", &self.path))?;
        self.allocated += bytes;
        Ok(())
    }

    /// Bytes that can be appended without asking the disk for room.
    pub(crate) fn room(&self) -> u64 {
        self.allocated - self.length
    }

    /// Appends a finished batch.
    ///
    /// # Durability
    /// When this returns, the batch is fully persisted. After an error it may be there or not, whole or in part;
    /// nothing may be appended to the segment any more.
    pub(crate) fn append(&mut self, batch: &[u8]) -> Result<(), FileError> {
        let end = self.length + batch.len() as u64;
        self.ensure(batch.len() as u64)?;
        self.file.write_at(self.length, batch).map_err(FileError::new("write", &self.path))?;
        self.file.sync_data().map_err(FileError::new("sync", &self.path))?;
        self.length = end;
        self.appended += batch.len() as u64;
        Ok(())
    }

    /// Gives back the room that was not needed: nothing is appended any more. What a segment of a closed log holds is said
    /// by its batches to the last byte, so that no change of it goes unnoticed.
    pub(crate) fn trim(&mut self) -> Result<(), FileError> {
        self.file.cut(self.length).map_err(FileError::new("cut", &self.path))?;
        self.allocated = self.length;
        Ok(())
    }

    /// Bytes appended since it was made.
    pub(crate) fn appended(&self) -> u64 {
        self.appended
    }
}

/// The segments of a journal, in order.
pub(crate) fn segments(disk: &dyn Disk, dir: &Path) -> Result<Vec<SegmentName>, FileError> {
    let journal = layout::journal(dir);
    let names = disk.list(&journal).map_err(FileError::new("list", &journal))?;
    let mut segments: Vec<_> = names.iter().filter_map(|name| SegmentName::parse(name)).collect();
    segments.sort_unstable();
    Ok(segments)
}

/// Walks the batches of one segment.
pub(crate) struct Walk {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    /// Where `buffer` begins in the file.
    offset: u64,
    buffer: Vec<u8>,
    at: usize,
    durable_until: u64,
}

/// One step of a walk.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// A batch.
    Batch(Batch<'a>),
    /// The end: nothing, or nothing but zeros, is behind the last batch.
    End,
    /// Behind the last batch is something that is no whole batch.
    Torn(Torn),
}

/// A batch that was not finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Torn {
    pub(crate) file: PathBuf,
    /// Where it begins.
    pub(crate) offset: u64,
    /// How many bytes are there, without zeros at the end.
    pub(crate) bytes: u64,
    pub(crate) what: &'static str,
}

/// How much is read at once; a batch can be longer.
const CHUNK_BYTES: usize = 256 * 1024;
/// How much is read again where zeros were: enough for some group commits, not more than who reads along needs.
const REFRESH_BYTES: usize = 32 * 1024;

impl Walk {
    /// Starts at the first batch of the segment `name`. An operating system error `NotFound` means that it
    /// has been integrated and removed.
    pub(crate) fn open(disk: &Arc<dyn Disk>, dir: &Path, name: SegmentName) -> Result<Self, ReadError> {
        let path = name.path(dir);
        let header = disk.read_at(&path, 0, SEGMENT_HEADER_BYTES).map_err(FileError::new("read", &path))?;
        let header = SegmentHeader::decode(&header).filter(|header| header.first == name.first);
        let Some(header) = header else {
            let what = "the header of a journal segment should stand here".to_owned();
            return Err(ReadError::Damaged { file: path, offset: 0, what });
        };
        let offset = SEGMENT_HEADER_BYTES as u64;
        Ok(Self {
            disk: disk.clone(),
            path,
            offset,
            buffer: Vec::new(),
            at: 0,
            durable_until: offset + header.durable_bytes,
        })
    }

    /// Goes on behind the batch returned last. After `End` or `Torn` it can be called again and looks anew:
    /// the segment may have grown.
    pub(crate) fn step(&mut self) -> Result<Step<'_>, ReadError> {
        let Some((first, count, length)) = self.look()? else { return self.tail() };
        let body = &self.buffer[self.at + BATCH_HEADER_BYTES..self.at + length];
        self.at += length;
        Ok(Step::Batch(Batch { first, count, body }))
    }

    /// The segment's file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the next batch begins in the file.
    pub(crate) fn position(&self) -> u64 {
        self.offset + self.at as u64
    }

    /// First index, number of entries and length of the whole batch at the current position, when there is
    /// one; reads what is missing of it.
    fn look(&mut self) -> Result<Option<(u64, u32, usize)>, ReadError> {
        loop {
            let more = match Batch::parse(&self.buffer[self.at..]) {
                Parsed::Batch(batch) => return Ok(Some((batch.first, batch.count, batch.len()))),
                Parsed::Partial(length) => Some(length),
                Parsed::Invalid(_) => None,
            };
            let changed = match more {
                Some(length) => self.fill(length)?,
                // What was buffered may have been read while it was being written.
                None => self.refresh()?,
            };
            if !changed {
                return Ok(None);
            }
        }
    }

    /// Reads on until `length` bytes are buffered behind the current position; false when the file ends before.
    fn fill(&mut self, length: usize) -> Result<bool, ReadError> {
        self.buffer.drain(..self.at);
        self.offset += self.at as u64;
        self.at = 0;
        let have = self.buffer.len();
        let more = self.read(self.offset + have as u64, length.max(CHUNK_BYTES) - have)?;
        self.buffer.extend(more);
        Ok(self.buffer.len() >= length)
    }

    /// True while the next batch is one that the segment was made with.
    pub(crate) fn in_beginning(&self) -> bool {
        self.position() < self.durable_until
    }

    /// Reads the buffered bytes behind the current position again; true when they changed.
    fn refresh(&mut self) -> Result<bool, ReadError> {
        let buffered = (self.buffer.len() - self.at).min(REFRESH_BYTES);
        let fresh = self.read(self.position(), buffered)?;
        let changed = fresh != self.buffer[self.at..self.at + buffered];
        self.buffer.truncate(self.at);
        self.buffer.extend(fresh);
        Ok(changed)
    }

    fn read(&self, offset: u64, max: usize) -> Result<Vec<u8>, FileError> {
        self.disk.read_at(&self.path, offset, max).map_err(FileError::new("read", &self.path))
    }

    /// Judges what stands behind the last whole batch.
    fn tail(&mut self) -> Result<Step<'_>, ReadError> {
        let start = self.position();
        // Forget what was buffered: the next step looks anew.
        self.buffer.clear();
        (self.offset, self.at) = (start, 0);
        let rest = self.read(start, usize::MAX >> 1)?;
        // What is being written while we read can look torn or worse; then there is more to see in a moment.
        if self.read(start, usize::MAX >> 1)? != rest {
            return Ok(Step::End);
        }
        let damaged = |what: &str| {
            Err(ReadError::Damaged { file: self.path.clone(), offset: start, what: what.to_owned() })
        };
        if start < self.durable_until {
            return damaged("the batch that the segment began with does not hold");
        }
        let Some(last) = rest.iter().rposition(|&byte| byte != 0) else { return Ok(Step::End) };
        let what = match Batch::parse(&rest) {
            // It was finished while we looked; the caller will see it when it looks again.
            Parsed::Batch(_) => return Ok(Step::End),
            Parsed::Partial(_) => "a batch is cut off",
            Parsed::Invalid(what) => what,
        };
        if let Some((at, later)) = Batch::find(&rest) {
            let behind = format!(
                "{what}, and a whole batch (entry {}) follows at byte {}",
                later.first,
                start + at as u64
            );
            return damaged(&behind);
        }
        Ok(Step::Torn(Torn { file: self.path.clone(), offset: start, bytes: last as u64 + 1, what }))
    }
}
