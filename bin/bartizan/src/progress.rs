//! How far something long is: one line on standard error, only when that is a terminal.
//!
//! It never estimates what it does not know: without a total there is a count and a rate.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// The line is written again after so long.
const REFRESH: Duration = Duration::from_millis(100);
/// Looking at the clock costs more than counting.
const COUNTS_BETWEEN_LOOKS: u64 = 1024;

/// A count towards a total, shown while it grows and gone when dropped.
pub(crate) struct Progress {
    what: &'static str,
    total: u64,
    done: u64,
    /// None: nobody looks.
    shown: Option<Shown>,
}

struct Shown {
    started: Instant,
    last: Instant,
    looked: u64,
    columns: usize,
}

impl Progress {
    /// Counts `total` things of a kind, in the plural.
    pub(crate) fn new(what: &'static str, total: u64) -> Self {
        let stderr = std::io::stderr();
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let shown = (stderr.is_terminal() && !dumb).then(|| {
            let now = Instant::now();
            let columns = rustix::termios::tcgetwinsize(&stderr).map_or(80, |size| usize::from(size.ws_col));
            Shown { started: now, last: now, looked: 0, columns: if columns < 20 { 80 } else { columns } }
        });
        Self { what, total, done: 0, shown }
    }

    /// Counts one more.
    pub(crate) fn one(&mut self) {
        self.to(self.done + 1);
    }

    /// Sets how many are done. Shows it from time to time.
    pub(crate) fn to(&mut self, done: u64) {
        self.done = done;
        let Some(shown) = &mut self.shown else { return };
        let near = done < shown.looked + COUNTS_BETWEEN_LOOKS;
        if near && self.total > 100 * COUNTS_BETWEEN_LOOKS {
            return;
        }
        shown.looked = done;
        let now = Instant::now();
        if now - shown.last >= REFRESH {
            shown.last = now;
            let line = line(self.what, done, self.total, now - shown.started, shown.columns);
            // There is nobody left to tell when standard error is closed.
            let _ = write!(std::io::stderr(), "\r\x1b[K{line}");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.as_ref().is_some_and(|shown| shown.last > shown.started) {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

/// `events  [#####.....]  50%  5,000 of 10,000, 250/s, 20 s left`
fn line(what: &str, done: u64, total: u64, passed: Duration, columns: usize) -> String {
    let rate = done as f64 / passed.as_secs_f64().max(0.001);
    let mut text = match total {
        0 => format!("{} {what}", grouped(done)),
        total => {
            let percent = (done.min(total) as f64 * 100.0 / total as f64) as usize;
            let bar = format!("{}{}", "#".repeat(percent / 5), ".".repeat(20 - percent / 5));
            format!("{what} [{bar}] {percent:3}%  {} of {}", grouped(done), grouped(total))
        }
    };
    text += &format!(", {}/s", grouped(rate as u64));
    if total > done && rate >= 1.0 {
        text += &format!(", {:.0} s left", (total - done) as f64 / rate);
    }
    text.truncate(columns.saturating_sub(1));
    text
}

/// `10,000,000`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_and_how_fast_and_fits() {
        let at = |done, total, columns| line("events", done, total, Duration::from_secs(2), columns);
        assert_eq!(
            at(2_500_000, 10_000_000, 100),
            "events [#####...............]  25%  2,500,000 of 10,000,000, 1,250,000/s, 6 s left"
        );
        assert_eq!(at(10, 10, 80), "events [####################] 100%  10 of 10, 5/s");
        assert_eq!(at(1234, 0, 80), "1,234 events, 617/s");
        assert_eq!(at(2_500_000, 10_000_000, 40).len(), 39);
        assert_eq!([grouped(0), grouped(999), grouped(1000)], ["0", "999", "1,000"]);
    }
}
