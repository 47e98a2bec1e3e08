//! Where in a text something is: line, column, and the line itself.

use bartizan_model::api::FileFault;

/// Longest part of a line that is shown, in characters.
const SHOWN: usize = 160;

/// Something wrong with a file, and the byte where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) what: String,
}

/// Finds lines in a text, each in logarithmic time.
pub(super) struct Places<'a> {
    text: &'a str,
    /// Where each line starts.
    starts: Vec<usize>,
}

impl<'a> Places<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let breaks = text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(breaks).collect() }
    }

    /// A fault as it is shown. Columns count characters, from 1.
    pub(super) fn show(&self, fault: &Fault) -> FileFault {
        let at = self.text.floor_char_boundary(fault.at);
        let line = self.starts.partition_point(|&start| start <= at);
        let start = line.checked_sub(1).and_then(|n| self.starts.get(n)).copied().unwrap_or(0);
        let end = self.starts.get(line).map_or(self.text.len(), |&next| next - 1);
        let before = self.text.get(start..at).unwrap_or_default();
        FileFault {
            line: line as u64,
            column: before.chars().count() as u64 + 1,
            snippet: self.text.get(start..end).unwrap_or_default().chars().take(SHOWN).collect(),
            what: fault.what.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_lines_and_columns_of_characters() {
        let text = "a\nßb = 1\n\nlast";
        for (at, line, column, snippet) in [
            (0, 1, 1, "a"),
            (1, 1, 2, "a"),
            (2, 2, 1, "ßb = 1"),
            (4, 2, 2, "ßb = 1"),
            (10, 3, 1, ""),
            (99, 4, 5, "last"),
        ] {
            let shown = Places::of(text).show(&Fault { at, what: "x".into() });
            assert_eq!((shown.line, shown.column, shown.snippet.as_str()), (line, column, snippet), "{at}");
        }
        assert_eq!(Places::of("").show(&Fault { at: 0, what: String::new() }).line, 1);
    }
}
