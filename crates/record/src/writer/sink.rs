//! A recording's file as the writer sees it, and the buffers that all files share.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bartizan_model::RecordingFile;

use crate::digest::Sha256;
use crate::disk::{Disk, write_all};
use crate::frame::{Packer, Thrift};
use crate::index::{self, Entry};
use crate::sync::{OpenFile, reserve_manifest};
use crate::{RecordError, Stream};

/// Bytes of index that wait in memory before they are written.
const INDEX_SPILL: usize = 4 << 10;
/// Files without a terminal and with fewer frames get no index: reading them is faster.
const FEW_FRAMES: u64 = 16;

/// The writer's buffers: one frame in the making, one event in the making.
pub(crate) struct Pen {
    disk: Arc<dyn Disk>,
    packer: Packer,
    /// The content of the frame in the making.
    pub(crate) frame: Vec<u8>,
    /// The time of its first event.
    pub(crate) frame_at: u64,
    /// The time of its last event.
    pub(crate) last_at: u64,
    /// Which stream its `o` events belong to.
    pub(crate) frame_stream: Option<Stream>,
    /// Events in it.
    pub(crate) events: u64,
    /// Terminal bytes that will be one event.
    pub(crate) pending: Vec<u8>,
    pub(crate) pending_stream: Option<Stream>,
    pub(crate) pending_at: u64,
    /// Files written that were durable before.
    pub(crate) unsynced: Vec<Arc<OpenFile>>,
    /// Counts the bytes that files got.
    counted: Arc<AtomicU64>,
}

impl Pen {
    pub(crate) fn new(disk: Arc<dyn Disk>, level: i32, counted: Arc<AtomicU64>) -> io::Result<Self> {
        Ok(Self {
            disk,
            packer: Packer::new(level)?,
            frame: Vec::with_capacity(2 * crate::frame::MAX_CONTENT),
            frame_at: 0,
            last_at: 0,
            frame_stream: None,
            events: 0,
            pending: Vec::with_capacity(crate::cast::MAX_EVENT_BYTES),
            pending_stream: None,
            pending_at: 0,
            unsynced: Vec::new(),
            counted,
        })
    }

    /// Forgets what a failed session left behind; does nothing after one that went well.
    pub(crate) fn clear(&mut self) {
        self.frame.clear();
        self.frame_stream = None;
        self.events = 0;
        self.pending.clear();
        self.pending_stream = None;
        self.unsynced.clear();
    }

    fn written(&mut self, file: &Arc<OpenFile>) {
        if !file.unsynced.swap(true, Ordering::SeqCst) {
            self.unsynced.push(Arc::clone(file));
        }
    }

    /// Sees to it that the recording can be closed with so many files.
    pub(crate) fn reserve_manifest(&self, folder: &Path, files: u64) -> Result<(), RecordError> {
        reserve_manifest(&*self.disk, folder, files)
    }

    fn create(&self, path: &Path) -> Result<Arc<OpenFile>, RecordError> {
        let file = self.disk.create(path).map_err(|e| RecordError::disk("create", path, &e))?;
        Ok(Arc::new(OpenFile { path: path.to_owned(), file, unsynced: AtomicBool::new(false) }))
    }
}

/// A file being written, its length and its digest so far.
struct Output {
    name: String,
    file: Arc<OpenFile>,
    digest: Sha256,
}

impl Output {
    fn create(folder: &Path, name: String, pen: &mut Pen) -> Result<Self, RecordError> {
        let file = pen.create(&folder.join(&name))?;
        // Even an empty file's length and existence are to be made durable.
        pen.written(&file);
        Ok(Self { name, file, digest: Sha256::default() })
    }

    fn write(&mut self, bytes: &[u8], pen: &mut Pen) -> Result<(), RecordError> {
        append(&self.file, bytes, &pen.counted)?;
        self.digest.update(bytes);
        pen.written(&self.file);
        Ok(())
    }

    fn close(self) -> RecordingFile {
        RecordingFile { name: self.name, bytes: self.digest.bytes(), sha256: self.digest.finish() }
    }
}

fn append(file: &OpenFile, bytes: &[u8], counted: &AtomicU64) -> Result<(), RecordError> {
    write_all(&*file.file, bytes).map_err(|e| RecordError::disk("write", &file.path, &e))?;
    counted.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    Ok(())
}

/// One channel's file in one format, with its index.
pub(crate) struct Sink {
    output: Output,
    index: Option<Output>,
    index_name: String,
    entries: Vec<u8>,
    frames: u64,
    events: u64,
    thrift: Thrift,
    terminal: bool,
}

impl Sink {
    pub(crate) fn create(
        folder: &Path,
        (name, index_name): (String, String),
        terminal: bool,
        pen: &mut Pen,
    ) -> Result<Self, RecordError> {
        Ok(Self {
            output: Output::create(folder, name, pen)?,
            index: None,
            index_name,
            entries: Vec::new(),
            frames: 0,
            events: 0,
            thrift: Thrift::default(),
            terminal,
        })
    }

    /// Writes the frame in the making, if there is anything in it.
    pub(crate) fn flush(&mut self, pen: &mut Pen) -> Result<(), RecordError> {
        if pen.frame.is_empty() {
            return Ok(());
        }
        let offset = self.output.digest.bytes();
        let packed = match self.terminal {
            true => pen.packer.compress(&pen.frame),
            false => pen.packer.pack(&pen.frame, &mut self.thrift),
        };
        let packed = packed.map_err(|e| RecordError::disk("compress", &self.output.file.path, &e))?;
        append(&self.output.file, packed, &pen.counted)?;
        self.output.digest.update(packed);
        pen.written(&self.output.file);
        self.frames += 1;
        Entry { offset, micros: pen.frame_at, events: self.events }.write(&mut self.entries);
        self.events += pen.events;
        pen.frame.clear();
        pen.events = 0;
        pen.frame_stream = None;
        if self.entries.len() >= INDEX_SPILL { self.write_index(pen) } else { Ok(()) }
    }

    fn write_index(&mut self, pen: &mut Pen) -> Result<(), RecordError> {
        let index = match &mut self.index {
            Some(index) => index,
            None => {
                let folder = self.output.file.path.parent().unwrap_or(Path::new(""));
                let mut index = Output::create(folder, self.index_name.clone(), pen)?;
                index.write(index::MAGIC, pen)?;
                self.index.insert(index)
            }
        };
        index.write(&self.entries, pen)?;
        self.entries = Vec::new();
        Ok(())
    }

    /// Writes what is left and names the files.
    pub(crate) fn close(mut self, pen: &mut Pen, files: &mut Vec<RecordingFile>) -> Result<(), RecordError> {
        self.flush(pen)?;
        if self.terminal || self.frames >= FEW_FRAMES {
            self.write_index(pen)?;
        }
        files.extend(self.index.map(Output::close));
        files.push(self.output.close());
        Ok(())
    }
}
