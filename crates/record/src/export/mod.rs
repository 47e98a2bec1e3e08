//! Recordings in formats that other tools read.
//!
//! Each export takes one channel's events in order and writes one file (the typescript two). What is *shown* is
//! what the client saw: standard output and standard error. Keystrokes are only in asciicast (where the grant
//! recorded them) and in the raw bytes. Reading ends quietly at a torn end and with an error at damage; what came
//! before has been written.

mod asciicast;
mod raw;
mod screen;
mod text;
mod ttyrec;
mod typescript;

use std::io;
use std::time::Duration;

use bartizan_model::Timestamp;

use crate::{Event, ReadError, RecordedSession, Stream, What};

pub use asciicast::{AsciicastVersion, asciicast};
pub use raw::raw;
pub use text::text;
pub use ttyrec::ttyrec;
pub use typescript::typescript;

/// What exports of terminals say about the recording as a whole.
struct Frame {
    started: Timestamp,
    title: String,
}

impl Frame {
    fn of(session: &RecordedSession) -> Self {
        match session.meta() {
            Some(meta) => Self {
                started: meta.started,
                title: format!("{} → {}@{}", meta.person, meta.login, meta.target),
            },
            None => Self { started: Timestamp::from_unix_micros(0), title: String::new() },
        }
    }
}

/// What a terminal would show.
enum Shown {
    Bytes(Vec<u8>),
    Size { term: Option<String>, cols: u16, rows: u16 },
    Marker(String),
    Input(Vec<u8>),
    Capped,
}

/// Runs over the shown parts of a channel. Output of a channel without a terminal gets the carriage returns that
/// a terminal would have added, so that players do not draw stairs.
fn each_shown(
    session: &RecordedSession,
    channel: u32,
    mut show: impl FnMut(Duration, Shown) -> io::Result<()>,
) -> Result<(), ReadError> {
    let mut pty = false;
    let mut last = None;
    for event in session.events(channel)? {
        let Event { at, what } = event?;
        let shown = match what {
            What::Data(Stream::Input, bytes) if pty => Shown::Input(bytes),
            What::Data(Stream::Input, _) => continue,
            What::Data(_, bytes) if pty => Shown::Bytes(bytes),
            What::Data(_, bytes) => Shown::Bytes(with_carriage_returns(&bytes, &mut last)),
            What::Terminal { term, cols, rows } => {
                pty = true;
                Shown::Size { term: Some(term), cols, rows }
            }
            What::Resize { cols, rows } => Shown::Size { term: None, cols, rows },
            What::Marker(text) => Shown::Marker(text),
            What::Capped => Shown::Capped,
        };
        show(at, shown).map_err(ReadError::Output)?;
    }
    Ok(())
}

fn with_carriage_returns(bytes: &[u8], last: &mut Option<u8>) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 16);
    for &byte in bytes {
        if byte == b'\n' && *last != Some(b'\r') {
            out.push(b'\r');
        }
        out.push(byte);
        *last = Some(byte);
    }
    out
}

/// What an export says where bytes were not kept.
const CAPPED: &str = "[what follows was not kept: the cap of the recording was reached]";
