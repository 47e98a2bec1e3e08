//! The events of one channel, out of its files.

use std::collections::VecDeque;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::frames::{Frames, Stop};
use super::open_plain;
use crate::bytes::{Record, Records};
use crate::cast::{self, Line};
use crate::index::{self, Entry};
use crate::meta::Format;
use crate::{ReadError, Stream};

/// Longest header that is read, in bytes.
const MAX_HEADER: usize = 64 << 10;

/// Something that happened in a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, counted from the start of the session.
    pub at: Duration,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Bytes passed.
    Data(Stream, Vec<u8>),
    /// The channel got a terminal.
    Terminal {
        /// Its type, as in `TERM`, escaped.
        term: String,
        /// Its width.
        cols: u16,
        /// Its height.
        rows: u16,
    },
    /// The terminal's size changed.
    Resize {
        /// Its width.
        cols: u16,
        /// Its height.
        rows: u16,
    },
    /// A remark of the proxy. Foreign text: escape it where it is shown.
    Marker(String),
    /// The cap is reached: bytes that passed from here on were not kept.
    Capped,
}

/// What a file's header says.
pub(super) struct Header {
    pub(super) kind: String,
    pub(super) opened: Duration,
    begins: Duration,
    terminal: Option<What>,
    length: usize,
}

impl Header {
    /// Reads the first line of a file's first frame.
    fn parse(content: &[u8], format: Format) -> Option<Self> {
        let length = content.iter().take(MAX_HEADER).position(|&b| b == b'\n')?;
        let line = content.get(..length)?;
        let (own, terminal): (Value, _) = match format {
            Format::Bytes => {
                let header: Value = serde_json::from_slice(line).ok()?;
                if header.get("bartizan")?.as_str()? != "bytes" || header.get("version")?.as_u64()? != 1 {
                    return None;
                }
                (header, None)
            }
            Format::Cast => {
                let header = cast::parse_header(line)?;
                let size = |key| Some(cast::clamp_size(u32::try_from(header.get(key)?.as_u64()?).ok()?));
                let term = header.pointer("/env/TERM").and_then(Value::as_str).unwrap_or_default();
                let terminal =
                    What::Terminal { term: term.to_owned(), cols: size("width")?, rows: size("height")? };
                (header.get("bartizan").cloned().unwrap_or_default(), Some(terminal))
            }
        };
        let micros = |key| Duration::from_micros(own.get(key).and_then(Value::as_u64).unwrap_or(0));
        Some(Self {
            kind: own.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned(),
            opened: micros("opened_us"),
            begins: micros("begins_us"),
            terminal,
            length: length + 1,
        })
    }
}

/// The header of a channel's file, if it has one.
pub(super) fn header(folder: &Path, channel: u32, format: Format) -> Option<Header> {
    let mut frames = Frames::open(&folder.join(format.file(channel))).ok()?;
    Header::parse(frames.next().ok()?.ok()?, format)
}

/// One file of a channel.
struct Part {
    path: PathBuf,
    index: PathBuf,
    format: Format,
}

/// The events of one channel in order. Ends at the first fault: at a torn end quietly (see
/// [`Events::truncated`]), at damage with one error.
pub struct Events {
    parts: Vec<Part>,
    /// The part being read, and its place in `parts`.
    reading: Option<(usize, Frames, Header)>,
    next_part: usize,
    ready: VecDeque<Event>,
    from: Duration,
    truncated: bool,
    /// What ends the iteration, after the events that came before it.
    fault: Option<ReadError>,
    over: bool,
}

impl Events {
    pub(super) fn open(folder: &Path, channel: u32, formats: &[Format]) -> Result<Self, ReadError> {
        let part = |format: &Format| Part {
            path: folder.join(format.file(channel)),
            index: folder.join(format.index(channel)),
            format: *format,
        };
        let mut events = Self {
            parts: formats.iter().map(part).collect(),
            reading: None,
            next_part: 0,
            ready: VecDeque::new(),
            from: Duration::ZERO,
            truncated: false,
            fault: None,
            over: false,
        };
        // What cannot be opened at all is said at once.
        events
            .parts
            .iter()
            .try_for_each(|p| Frames::open(&p.path).map(drop).map_err(|e| ReadError::disk(&p.path, e)))?;
        events.rewind();
        Ok(events)
    }

    /// True when the end that was reached is in the middle of a frame: the recording was cut, or is being written.
    pub fn truncated(&self) -> bool {
        self.truncated
    }

    /// Starts again from the beginning.
    pub fn rewind(&mut self) {
        self.reading = None;
        self.next_part = 0;
        self.ready.clear();
        self.from = Duration::ZERO;
        self.truncated = false;
        self.fault = None;
        self.over = false;
    }

    /// Goes to the first event at or after `at`, by the index where there is one.
    ///
    /// # Errors
    /// As iterating: [`ReadError::Disk`], [`ReadError::Damaged`].
    pub fn seek(&mut self, at: Duration) -> Result<(), ReadError> {
        self.rewind();
        self.from = at;
        let micros = u64::try_from(at.as_micros()).unwrap_or(u64::MAX);
        for part in (0..self.parts.len()).rev() {
            let entries = self.entries(part)?;
            // Events of one moment may stand in several frames: begin with the first of them.
            let before = entries.partition_point(|entry| entry.micros < micros);
            let Some(entry) = before.checked_sub(1).and_then(|i| entries.get(i)) else { continue };
            self.next_part = part;
            self.enter()?;
            if let Some((_, frames, _)) = self.reading.as_mut().filter(|_| entry.offset > 0) {
                self.ready.clear();
                frames.seek(entry.offset).map_err(|e| ReadError::disk(&self.parts[part].path, e))?;
            }
            return Ok(());
        }
        Ok(())
    }

    fn entries(&self, part: usize) -> Result<Vec<Entry>, ReadError> {
        let Some(part) = self.parts.get(part) else { return Ok(Vec::new()) };
        let file_bytes = fs::metadata(&part.path).map_err(|e| ReadError::disk(&part.path, e))?.len();
        let Ok(file) = open_plain(&part.index) else { return Ok(Vec::new()) };
        let mut bytes = Vec::new();
        file.take(index::MAX_BYTES).read_to_end(&mut bytes).map_err(|e| ReadError::disk(&part.index, e))?;
        Ok(index::parse(&bytes, file_bytes))
    }

    /// Opens the next part and reads its first frame; false when there is none.
    fn enter(&mut self) -> Result<bool, ReadError> {
        let number = self.next_part;
        let Some(part) = self.parts.get(number) else { return Ok(false) };
        self.next_part += 1;
        let disk = |e| ReadError::disk(&part.path, e);
        let mut frames = Frames::open(&part.path).map_err(disk)?;
        match frames.next().map_err(disk)? {
            Ok(content) => {
                let damaged = |reason| ReadError::Damaged { path: part.path.clone(), offset: 0, reason };
                let header = Header::parse(content, part.format).ok_or_else(|| damaged("no header"))?;
                let rest = content.get(header.length..).unwrap_or_default();
                if let Some(terminal) = &header.terminal {
                    self.ready.push_back(Event { at: header.begins, what: terminal.clone() });
                }
                decode(rest, part.format, header.begins, &mut self.ready).map_err(damaged)?;
                self.reading = Some((number, frames, header));
            }
            Err(stop) => self.stop(number, 0, stop)?,
        }
        Ok(true)
    }

    /// Reads the next frame of the current part.
    fn read(&mut self) -> Result<(), ReadError> {
        let Some((number, frames, header)) = &mut self.reading else { return Ok(()) };
        let (number, Some(part)) = (*number, self.parts.get(*number)) else { return Ok(()) };
        let content = frames.next().map_err(|e| ReadError::disk(&part.path, e))?;
        match content {
            Ok(content) => decode(content, part.format, header.begins, &mut self.ready).map_err(|reason| {
                let (path, offset) = (part.path.clone(), frames.offset());
                ReadError::Damaged { path, offset, reason }
            }),
            Err(stop) => {
                let offset = frames.offset();
                self.reading = None;
                self.stop(number, offset, stop)
            }
        }
    }

    fn stop(&mut self, part: usize, offset: u64, stop: Stop) -> Result<(), ReadError> {
        match (stop, self.parts.get(part)) {
            (Stop::Torn, _) => {
                self.truncated = true;
                Ok(())
            }
            (Stop::Damaged(reason), Some(part)) => {
                Err(ReadError::Damaged { path: part.path.clone(), offset, reason })
            }
            (Stop::Damaged(_) | Stop::End, _) => Ok(()),
        }
    }
}

impl Iterator for Events {
    type Item = Result<Event, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                if event.at < self.from {
                    continue;
                }
                return Some(Ok(event));
            }
            if self.over {
                return self.fault.take().map(Err);
            }
            let more = if self.reading.is_some() { self.read().map(|()| true) } else { self.enter() };
            self.over = !matches!(more, Ok(true));
            // What the frame held before its fault comes first.
            self.fault = more.err();
        }
    }
}

/// Decodes one frame's content.
fn decode(
    content: &[u8],
    format: Format,
    begins: Duration,
    events: &mut VecDeque<Event>,
) -> Result<(), &'static str> {
    match format {
        Format::Bytes if content.is_empty() => Ok(()),
        Format::Bytes => decode_bytes(content, events),
        Format::Cast => decode_cast(content, begins, events),
    }
}

fn decode_bytes(content: &[u8], events: &mut VecDeque<Event>) -> Result<(), &'static str> {
    const MALFORMED: &str = "a record is malformed";
    for record in Records::new(content).map_err(|_| MALFORMED)? {
        let (micros, record) = record.map_err(|_| MALFORMED)?;
        let what = match record {
            Record::Data(stream, bytes) => What::Data(stream, bytes.to_vec()),
            Record::Marker(text) => What::Marker(String::from_utf8_lossy(text).into_owned()),
            Record::Capped => What::Capped,
        };
        events.push_back(Event { at: Duration::from_micros(micros), what });
    }
    Ok(())
}

fn decode_cast(content: &[u8], begins: Duration, events: &mut VecDeque<Event>) -> Result<(), &'static str> {
    let mut shown = Stream::Output;
    for line in content.split(|&b| b == b'\n').filter(|line| !line.is_empty()) {
        let Line { at, code, text } = cast::parse_line(line).ok_or("a line is no asciicast event")?;
        let what = match code {
            'o' => What::Data(shown, cast::unescape(&text)),
            'i' => What::Data(Stream::Input, cast::unescape(&text)),
            's' => {
                shown = if text == "error" { Stream::Error } else { Stream::Output };
                continue;
            }
            'r' => {
                let (cols, rows) = cast::parse_size(&text).ok_or("a size is no size")?;
                What::Resize { cols, rows }
            }
            'm' => What::Marker(text),
            _ => continue,
        };
        let at = begins.checked_add(at).ok_or("a time is out of range")?;
        events.push_back(Event { at, what });
    }
    Ok(())
}
