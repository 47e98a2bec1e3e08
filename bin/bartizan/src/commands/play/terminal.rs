//! The viewer's terminal: raw while a recording is played, put back afterwards in any case.

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use super::keys::{self, Key};
use crate::failure::Failure;

/// Leaves what a recording may have left on and what would be in the way: colours, character sets, insert mode, reverse video,
/// origin, alternate screen, hidden cursor, held output, margins. A locked keyboard, Return as two characters, mouse, focus,
/// bracketed paste and application keys are not let through, and left all the same.
const RESTORE: &[u8] = b"\x1b[0m\x1b(B\x0f\x1b[2l\x1b[4l\x1b[20l\x1b[?2026l\x1b[?5l\x1b[?6l\x1b[?7h\x1b[?69l\x1b[?1049l\x1b[?25h\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1004l\x1b[?1006l\x1b[?2004l\x1b[?1l\x1b>\x1b[r\x1b[999;1H\r\n";
/// Everything from the beginning: RIS.
const RESET: &[u8] = b"\x1bc";

/// Standard input and output. Keys work when both are terminals.
pub(super) struct Terminal {
    /// How standard input was before.
    before: Option<Termios>,
    /// Whether standard output is a terminal.
    shown: bool,
}

impl Terminal {
    /// Takes the terminal, if there is one.
    pub(super) fn open() -> Result<Self, Failure> {
        let shown = io::stdout().is_terminal();
        if !shown || !io::stdin().is_terminal() {
            return Ok(Self { before: None, shown });
        }
        let failed = |e: rustix::io::Errno| {
            Failure::failed(format!("cannot use the terminal: {}", io::Error::from(e)))
        };
        let before = tcgetattr(io::stdin()).map_err(failed)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Now, &raw).map_err(failed)?;
        Ok(Self { before: Some(before), shown })
    }

    /// Writes bytes that may be shown.
    pub(super) fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|e| Failure::output(&e))
    }

    /// Clears the screen for a replay from the beginning.
    pub(super) fn reset(&self) -> Result<(), Failure> {
        if self.shown { self.write(RESET) } else { Ok(()) }
    }

    /// Waits for keys, at most `pause` (for ever if `None`). Without a keyboard it only waits.
    pub(super) fn keys(&self, pause: Option<Duration>) -> Result<Vec<Key>, Failure> {
        if self.before.is_none() {
            std::thread::sleep(pause.unwrap_or_default());
            return Ok(Vec::new());
        }
        let failed = |e: io::Error| Failure::failed(format!("cannot read the keyboard: {e}"));
        let stdin = io::stdin();
        let mut waiting = [PollFd::new(&stdin, PollFlags::IN)];
        let timeout = pause.map(timespec);
        match poll(&mut waiting, timeout.as_ref()) {
            Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(Vec::new()),
            Ok(_) => {}
            Err(e) => return Err(failed(e.into())),
        }
        let mut typed = [0; 64];
        match stdin.lock().read(&mut typed).map_err(failed)? {
            // The terminal is gone.
            0 => Ok(vec![Key::Quit]),
            n => Ok(keys::typed(&typed[..n])),
        }
    }

    /// Puts the terminal back.
    pub(super) fn close(mut self) -> Result<(), Failure> {
        self.restore().map_err(|e| Failure::output(&e))
    }

    fn restore(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.shown) {
            let mut stdout = io::stdout().lock();
            stdout.write_all(RESTORE)?;
            stdout.flush()?;
        }
        if let Some(before) = self.before.take() {
            // Flush: an answer of the terminal to the recording must not end up in the viewer's shell.
            tcsetattr(io::stdin(), OptionalActions::Flush, &before)?;
        }
        Ok(())
    }
}

/// Columns and rows of the terminal that standard output is; none when it is none, or does not know.
pub(super) fn size() -> Option<(u16, u16)> {
    let size = io::stdout().is_terminal().then(|| tcgetwinsize(io::stdout()).ok()).flatten()?;
    (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // After a failure, which is what the viewer is told of.
        let _ = self.restore();
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}
