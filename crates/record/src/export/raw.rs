//! The bytes themselves.

use std::io::Write;

use crate::{ReadError, RecordedSession, Stream, What};

/// Writes one stream of a channel exactly as it passed, as far as it was kept.
///
/// # Errors
/// As [`asciicast`](super::asciicast()), but a stream without bytes is no error.
pub fn raw(
    session: &RecordedSession,
    channel: u32,
    stream: Stream,
    out: &mut dyn Write,
) -> Result<(), ReadError> {
    for event in session.events(channel)? {
        if let What::Data(of, bytes) = event?.what
            && of == stream
        {
            out.write_all(&bytes).map_err(ReadError::Output)?;
        }
    }
    Ok(())
}
