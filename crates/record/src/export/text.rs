//! Plain text, for reading, searching and comparing.

use std::io::{self, Write};

use bartizan_model::escape;

use super::CAPPED;
use super::screen::Screen;
use crate::cast::incomplete_tail;
use crate::{Event, ReadError, RecordedSession, Stream, What};

/// Writes what a channel showed as text that never controls a terminal.
///
/// A terminal's output is laid out as on its screen: a line is written when it leaves the screen, when the screen
/// is cleared or left by a full-screen program, and at the end; so what was typed, corrected and overwritten reads
/// as it looked. What a full-screen program drew over is not in it. Output of other channels is written as it
/// passed, standard output and standard error in their order, with control characters and bytes that are not
/// UTF-8 escaped (`\x1b`, `\xff`).
///
/// # Errors
/// As [`asciicast`](super::asciicast()).
pub fn text(session: &RecordedSession, channel: u32, out: &mut dyn Write) -> Result<(), ReadError> {
    let mut screen: Option<Screen> = None;
    let mut plain = Plain::default();
    for event in session.events(channel)? {
        let Event { what, .. } = event?;
        let written = match (what, &mut screen) {
            (What::Data(Stream::Input, _), _) => Ok(()),
            (What::Data(_, bytes), Some(screen)) => {
                screen.feed(&bytes);
                out.write_all(screen.take_text().as_bytes())
            }
            (What::Data(_, bytes), None) => plain.write(&bytes, out),
            (What::Terminal { cols, rows, .. }, None) => {
                screen = Some(Screen::new(cols, rows));
                plain.end(out)
            }
            (What::Terminal { cols, rows, .. } | What::Resize { cols, rows }, Some(screen)) => {
                screen.resize(cols, rows);
                Ok(())
            }
            (What::Capped, None) => plain.remark(CAPPED, out),
            (What::Marker(text), None) => plain.remark(&format!("[{}]", escape(text.as_bytes())), out),
            (What::Capped | What::Marker(_), Some(_)) | (What::Resize { .. }, None) => Ok(()),
        };
        written.map_err(ReadError::Output)?;
    }
    let ended = match screen {
        Some(screen) => out.write_all(screen.finish().as_bytes()),
        None => plain.end(out),
    };
    ended.map_err(ReadError::Output)
}

/// Escapes output that was not for a terminal.
#[derive(Default)]
struct Plain {
    /// The beginning of a character, or a carriage return that may belong to a line's end.
    held: Vec<u8>,
    in_line: bool,
}

impl Plain {
    fn write(&mut self, bytes: &[u8], out: &mut dyn Write) -> io::Result<()> {
        let mut all = std::mem::take(&mut self.held);
        all.extend_from_slice(bytes);
        let hold = if all.ends_with(b"\r") { 1 } else { incomplete_tail(&all) };
        self.held = all.split_off(all.len() - hold);
        self.show(&all, out)
    }

    fn show(&mut self, bytes: &[u8], out: &mut dyn Write) -> io::Result<()> {
        let mut shown = String::with_capacity(bytes.len());
        for chunk in bytes.utf8_chunks() {
            let mut chars = chunk.valid().chars().peekable();
            while let Some(c) = chars.next() {
                match c {
                    '\r' if chars.peek() == Some(&'\n') => {}
                    '\n' | '\t' | '\\' | ' '..='~' => shown.push(c),
                    c => shown.push_str(&escape(c.encode_utf8(&mut [0; 4]).as_bytes())),
                }
            }
            shown.push_str(&escape(chunk.invalid()));
        }
        if let Some(last) = shown.chars().next_back() {
            self.in_line = last != '\n';
        }
        out.write_all(shown.as_bytes())
    }

    fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let held = std::mem::take(&mut self.held);
        self.show(&held, out)?;
        if std::mem::take(&mut self.in_line) { out.write_all(b"\n") } else { Ok(()) }
    }

    fn remark(&mut self, text: &str, out: &mut dyn Write) -> io::Result<()> {
        self.end(out)?;
        writeln!(out, "{text}")
    }
}
