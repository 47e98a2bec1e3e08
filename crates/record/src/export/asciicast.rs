//! asciicast, versions 2 and 3, for `asciinema play` and web players.

use std::io::Write;
use std::time::Duration;

use serde_json::Value;

use super::{CAPPED, Frame, Shown, each_shown};
use crate::cast::{Env, HeaderV2, HeaderV3, Term, event_into, incomplete_tail};
use crate::session::micros;
use crate::{ReadError, RecordedSession};

/// Which asciicast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AsciicastVersion {
    /// Version 2: events carry their time since the start.
    V2,
    /// Version 3: events carry the interval since the event before.
    V3,
}

/// Writes a channel as asciicast. A channel without a terminal is shown as on one of 80×24.
///
/// Bytes that are not UTF-8 become the private characters U+10FE80 to U+10FEFF, one each.
///
/// # Errors
/// [`ReadError::NoChannel`], [`ReadError::Disk`] and [`ReadError::Damaged`] of the recording, [`ReadError::Output`] of `out`.
pub fn asciicast(
    session: &RecordedSession,
    channel: u32,
    version: AsciicastVersion,
    out: &mut dyn Write,
) -> Result<(), ReadError> {
    let frame = Frame::of(session);
    let mut cast = Cast { version, out, begins: None, last: 0, buffer: Vec::new(), held: Vec::new() };
    let mut end = Duration::ZERO;
    each_shown(session, channel, |at, shown| {
        end = at;
        let (term, cols, rows) = match &shown {
            Shown::Size { term: Some(term), cols, rows } => (term.as_str(), *cols, *rows),
            _ => ("", 80, 24),
        };
        if cast.begins.is_none() {
            cast.header(at, &frame, term, cols, rows)?;
            if matches!(shown, Shown::Size { .. }) {
                return Ok(());
            }
        }
        if matches!(shown, Shown::Size { term: Some(_), .. }) {
            cast.let_go(at)?;
        }
        match shown {
            Shown::Bytes(bytes) => cast.output(at, &bytes),
            Shown::Input(bytes) => cast.events(at, b'i', &bytes),
            Shown::Size { cols, rows, .. } => cast.events(at, b'r', format!("{cols}x{rows}").as_bytes()),
            Shown::Marker(text) => cast.events(at, b'm', text.as_bytes()),
            Shown::Capped => cast.events(at, b'm', CAPPED.as_bytes()),
        }
    })?;
    if cast.begins.is_none() {
        return Err(ReadError::NothingToShow(channel));
    }
    cast.let_go(end).map_err(ReadError::Output)
}

struct Cast<'a> {
    version: AsciicastVersion,
    out: &'a mut dyn Write,
    begins: Option<Duration>,
    last: u64,
    buffer: Vec<u8>,
    /// The beginning of a character of which the rest may still come: a record ends where a read ended, and an event holds
    /// whole characters.
    held: Vec<u8>,
}

impl Cast<'_> {
    /// Writes output as far as its characters are whole.
    fn output(&mut self, at: Duration, bytes: &[u8]) -> std::io::Result<()> {
        let mut all = std::mem::take(&mut self.held);
        all.extend_from_slice(bytes);
        self.held = all.split_off(all.len() - incomplete_tail(&all));
        if all.is_empty() { Ok(()) } else { self.events(at, b'o', &all) }
    }

    /// Writes what has come of a character: the rest never will.
    fn let_go(&mut self, at: Duration) -> std::io::Result<()> {
        let held = std::mem::take(&mut self.held);
        if held.is_empty() { Ok(()) } else { self.events(at, b'o', &held) }
    }

    fn header(
        &mut self,
        at: Duration,
        frame: &Frame,
        term: &str,
        cols: u16,
        rows: u16,
    ) -> std::io::Result<()> {
        self.begins = Some(at);
        let timestamp = frame.started.saturating_add(at).unix_seconds();
        let title = &frame.title;
        let header = match self.version {
            AsciicastVersion::V2 => serde_json::to_string(&HeaderV2 {
                version: 2,
                width: cols,
                height: rows,
                timestamp,
                title,
                env: Env { term },
                bartizan: Value::Null,
            }),
            AsciicastVersion::V3 => serde_json::to_string(&HeaderV3 {
                version: 3,
                term: Term { cols, rows, term },
                timestamp,
                title,
            }),
        };
        writeln!(self.out, "{}", header?)
    }

    fn events(&mut self, at: Duration, code: u8, bytes: &[u8]) -> std::io::Result<()> {
        let now = micros(at.saturating_sub(self.begins.unwrap_or_default())).max(self.last);
        let time = match self.version {
            AsciicastVersion::V2 => now,
            AsciicastVersion::V3 => now - self.last,
        };
        self.last = now;
        self.buffer.clear();
        event_into(&mut self.buffer, time, code, bytes);
        self.out.write_all(&self.buffer)
    }
}
