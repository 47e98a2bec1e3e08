//! Typescript and timing, for `scriptreplay` of util-linux (the classic format of `script -t`).

use std::io::Write;
use std::time::Duration;

use super::{Frame, Shown, each_shown};
use crate::{ReadError, RecordedSession};

/// Writes a channel as typescript and its timing file: `scriptreplay TIMING TYPESCRIPT` shows the same bytes.
///
/// The format knows neither sizes nor remarks; they are left out.
///
/// # Errors
/// As [`asciicast`](super::asciicast()).
pub fn typescript(
    session: &RecordedSession,
    channel: u32,
    typescript: &mut dyn Write,
    timing: &mut dyn Write,
) -> Result<(), ReadError> {
    let frame = Frame::of(session);
    // The first line is the header, which players skip.
    writeln!(typescript, "Script started on {} [{}]", frame.started, frame.title)
        .map_err(ReadError::Output)?;
    let mut last: Option<Duration> = None;
    each_shown(session, channel, |at, shown| {
        let since = at.saturating_sub(*last.get_or_insert(at));
        if let Shown::Bytes(bytes) = shown {
            last = Some(at);
            writeln!(timing, "{}.{:06} {}", since.as_secs(), since.subsec_micros(), bytes.len())?;
            typescript.write_all(&bytes)?;
        }
        Ok(())
    })?;
    let ended = frame.started.saturating_add(last.unwrap_or_default());
    writeln!(typescript, "\nScript done on {ended}").map_err(ReadError::Output)
}
