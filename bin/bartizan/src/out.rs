//! What is printed, and how: tables for people, JSON for programs.
//!
//! Colours only on a terminal and never with `NO_COLOR`. Whatever a peer could have written is shown
//! escaped: nothing that passes through here moves a cursor or forges a line.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use bartizan_model::{Timestamp, escape};
use serde::Serialize;

use crate::failure::Failure;
use crate::table::Table;

/// How to print on standard output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Out {
    /// JSON instead of tables.
    pub(crate) json: bool,
    /// Columns of the terminal; `None` when it is none, and then nothing is cut.
    pub(crate) width: Option<usize>,
    /// Whether to colour.
    pub(crate) colour: bool,
}

impl Out {
    /// Looks at standard output.
    pub(crate) fn detect(json: bool) -> Self {
        let stdout = std::io::stdout();
        let terminal = stdout.is_terminal();
        let columns = || rustix::termios::tcgetwinsize(&stdout).ok().map(|size| usize::from(size.ws_col));
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            json,
            width: terminal.then(|| columns().filter(|&columns| columns >= 20).unwrap_or(80)),
            colour: terminal && !no_colour && !dumb,
        }
    }

    /// Prints text that holds no foreign bytes but escaped ones.
    pub(crate) fn text(self, text: &str) -> Result<(), Failure> {
        self.bytes(text.as_bytes())
    }

    /// Prints one line.
    pub(crate) fn line(self, line: &str) -> Result<(), Failure> {
        self.text(&format!("{line}\n"))
    }

    /// Writes bytes as they are.
    pub(crate) fn bytes(self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|e| Failure::output(&e))
    }

    /// Prints a listing.
    pub(crate) fn listing<T: Serialize>(
        self,
        items: &[T],
        table: impl FnOnce() -> Table,
    ) -> Result<(), Failure> {
        if self.json { self.value(&items) } else { self.text(&table().render(self.width, self.colour)) }
    }

    /// Prints one thing: as JSON, or as its description.
    pub(crate) fn one<T: Serialize>(self, value: &T, text: impl FnOnce() -> String) -> Result<(), Failure> {
        if self.json { self.value(value) } else { self.text(&text()) }
    }

    /// Prints a value as indented JSON.
    pub(crate) fn value<T: Serialize>(self, value: &T) -> Result<(), Failure> {
        let json = serde_json::to_string_pretty(value).map_err(|e| Failure::failed(e.to_string()))?;
        self.line(&json_for_terminals(&json))
    }

    /// Prints a value as one line of JSON.
    pub(crate) fn json_line<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Failure> {
        let json = serde_json::to_string(value).map_err(|e| Failure::failed(e.to_string()))?;
        self.line(&json_for_terminals(&json))
    }
}

/// Writes a note on standard error.
pub(crate) fn note(text: &str) {
    // There is nobody left to tell when standard error is closed.
    let _ = writeln!(std::io::stderr(), "note: {}", plain(text));
}

/// Text without anything that could steer a terminal. Text that is escaped already stays as it is.
pub(crate) fn plain(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(cell).collect();
    lines.join("\n")
}

/// The same on one line.
pub(crate) fn cell(text: &str) -> String {
    escape(text.as_bytes()).replace("\\\\", "\\")
}

/// JSON in which no character could steer a terminal: the same value, some characters written as `\uXXXX`.
fn json_for_terminals(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        let mut utf8 = [0; 4];
        // JSON's own line breaks stand between values; serde_json escapes those within.
        if c == '\n' || c == '\\' || escape(c.encode_utf8(&mut utf8).as_bytes()).len() == c.len_utf8() {
            safe.push(c);
        } else {
            let mut utf16 = [0; 2];
            for unit in c.encode_utf16(&mut utf16) {
                let _ = write!(safe, "\\u{unit:04x}");
            }
        }
    }
    safe
}

/// `2026-11-21 08:30:00`, UTC.
pub(crate) fn time(at: Timestamp) -> String {
    at.to_string().replace('T', " ").chars().take(19).collect()
}

/// `2026-11-21 08:30`, UTC.
pub(crate) fn minute(at: Timestamp) -> String {
    time(at).chars().take(16).collect()
}

/// `850 ms`, `12.3 s`, `4m05s`, `2h03m`, `3d04h`.
pub(crate) fn duration(duration: Duration) -> String {
    let (seconds, millis) = (duration.as_secs(), duration.subsec_millis());
    match seconds {
        0 => format!("{millis} ms"),
        1..60 => format!("{seconds}.{} s", millis / 100),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// `999 B`, `1.2 KiB`, `12 MiB`.
pub(crate) fn bytes(count: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let Some(exponent) = (1..=6usize).rev().find(|&e| count >> (10 * e) > 0) else {
        return format!("{count} B");
    };
    let shift = 10 * exponent;
    let (whole, rest) = (count >> shift, count & ((1 << shift) - 1));
    if whole >= 10 {
        return format!("{whole} {}", units[exponent - 1]);
    }
    let tenth = (u128::from(rest) * 10) >> shift;
    format!("{whole}.{tenth} {}", units[exponent - 1])
}

/// `1 event`, `2 events`.
pub(crate) fn count(number: impl Into<u64>, what: &str) -> String {
    match number.into() {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_printed_steers_a_terminal() {
        let hostile = "a\u{1b}[2J\u{202e}\u{9b}b\nc\u{7f}\\x1b";
        assert_eq!(cell(hostile), "a\\x1b[2J\\u{202e}\\u{9b}b\\nc\\x7f\\x1b");
        assert_eq!(plain("one\ntwo\r"), "one\ntwo\\r");
        let json = json_for_terminals(&serde_json::to_string(&[hostile, "\u{e0041}", "größe"]).unwrap());
        assert!(json.chars().all(|c| !c.is_control()) && !json.contains('\u{202e}'));
        let read: Vec<String> = serde_json::from_str(&json).unwrap();
        assert_eq!(read, [hostile, "\u{e0041}", "größe"]);
    }

    #[test]
    fn sizes_and_times_read_well() {
        for (count, shown) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (10 << 20, "10 MiB"),
            (u64::MAX, "15 EiB"),
        ] {
            assert_eq!(bytes(count), shown);
        }
        for (millis, shown) in [
            (850, "850 ms"),
            (12_345, "12.3 s"),
            (245_000, "4m05s"),
            (7_380_000, "2h03m"),
            (273_600_000, "3d04h"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), shown);
        }
        assert_eq!(time(Timestamp::from_unix_micros(1_795_854_600_000_001)), "2026-11-28 08:30:00");
    }
}
