//! ttyrec, for `ttyplay`, `ipbt` and others.

use std::io::Write;

use super::{Frame, Shown, each_shown};
use crate::{ReadError, RecordedSession};

/// Writes a channel as ttyrec: for each piece of output seconds, microseconds and length (32 bits each, little-endian),
/// then the bytes. Times are those of the wall clock; after 2106 the format's seconds wrap.
///
/// The format knows neither sizes nor remarks; they are left out.
///
/// # Errors
/// As [`asciicast`](super::asciicast()).
pub fn ttyrec(session: &RecordedSession, channel: u32, out: &mut dyn Write) -> Result<(), ReadError> {
    let frame = Frame::of(session);
    each_shown(session, channel, |at, shown| {
        let Shown::Bytes(bytes) = shown else { return Ok(()) };
        let time = frame.started.saturating_add(at);
        let fraction = (time.unix_micros() % 1_000_000) as u32;
        for number in [time.unix_seconds() as u32, fraction, bytes.len() as u32] {
            out.write_all(&number.to_le_bytes())?;
        }
        out.write_all(&bytes)
    })
}
