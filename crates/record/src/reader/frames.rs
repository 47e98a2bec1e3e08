//! Walking over the frames of one file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use super::open_plain;
use crate::frame::{self, Found, MAX_FOREIGN_FRAME, Unpacker};

/// Where a file's frames end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// At its end.
    End,
    /// In the middle of a frame: the file was cut, or its last frame is being written.
    Torn,
    /// At something that is no frame of ours.
    Damaged(&'static str),
}

/// One file, frame by frame.
pub(super) struct Frames {
    file: File,
    unpacker: Unpacker,
    buffer: Vec<u8>,
    /// Bytes of the buffer that were used.
    used: usize,
    /// Where `buffer[used]` stands in the file.
    offset: u64,
    length: usize,
}

impl Frames {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = open_plain(path)?;
        Ok(Self { file, unpacker: Unpacker::new()?, buffer: Vec::new(), used: 0, offset: 0, length: 0 })
    }

    /// Where the frame that was given last begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Goes on reading at `offset`, which must be where a frame begins.
    pub(super) fn seek(&mut self, offset: u64) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(offset))?;
        self.buffer.clear();
        (self.used, self.length, self.offset) = (0, 0, offset);
        Ok(())
    }

    /// The content of the next frame, or why there is none.
    pub(super) fn next(&mut self) -> io::Result<Result<&[u8], Stop>> {
        self.used += self.length;
        self.offset += self.length as u64;
        self.length = 0;
        self.fill()?;
        let bytes = self.buffer.get(self.used..).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(Err(Stop::End));
        }
        self.length = match frame::find(bytes) {
            Found::Frame(length) => length,
            Found::Torn => return Ok(Err(Stop::Torn)),
            Found::Foreign => return Ok(Err(Stop::Damaged("not a zstd frame of a recording"))),
        };
        let frame = bytes.get(..self.length).unwrap_or_default();
        match self.unpacker.unpack(frame) {
            Ok(content) => Ok(Ok(content)),
            Err(_) => Ok(Err(Stop::Damaged("a zstd frame does not unpack"))),
        }
    }

    /// Whether a file ends in the middle of a frame. Unpacks nothing, and does not look beyond damage.
    pub(super) fn torn(path: &Path) -> io::Result<bool> {
        let mut frames = Self::open(path)?;
        loop {
            frames.used += frames.length;
            frames.fill()?;
            match frames.buffer.get(frames.used..).unwrap_or_default() {
                [] => return Ok(false),
                bytes => match frame::find(bytes) {
                    Found::Frame(length) => frames.length = length,
                    Found::Torn => return Ok(true),
                    Found::Foreign => return Ok(false),
                },
            }
        }
    }

    /// Has a whole frame in the buffer, if the file has.
    fn fill(&mut self) -> io::Result<()> {
        let have = self.buffer.len() - self.used;
        if have >= MAX_FOREIGN_FRAME {
            return Ok(());
        }
        self.buffer.drain(..self.used);
        self.used = 0;
        let more = (2 * MAX_FOREIGN_FRAME - have) as u64;
        self.file.by_ref().take(more).read_to_end(&mut self.buffer)?;
        Ok(())
    }
}
