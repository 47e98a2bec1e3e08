//! Long listings on a terminal, a screenful at a time. Without I/O: keys in, lines out.

use super::editor::Key;

/// What is to be shown next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// These lines, then wait for a key.
    Wait(String),
    /// These lines, and it is over.
    Over(String),
}

/// Lines on their way to a terminal.
#[derive(Debug)]
pub(super) struct Pager {
    lines: Vec<String>,
    shown: usize,
    /// Lines of a screenful, without the one that asks.
    rows: usize,
    capable: bool,
}

impl Pager {
    /// `rows` of 0 is a terminal of 24.
    pub(super) fn new(lines: Vec<String>, rows: u32, capable: bool) -> Self {
        Self { lines, shown: 0, rows: screenful(rows), capable }
    }

    /// The terminal has another height from now on.
    pub(super) fn resize(&mut self, rows: u32) {
        self.rows = screenful(rows);
    }

    /// The first screenful; a listing that fits is over with it.
    pub(super) fn begin(&mut self) -> Step {
        self.show(self.rows, String::new())
    }

    /// Goes on as the key says; `None` for a key that says nothing.
    pub(super) fn key(&mut self, key: Key) -> Option<Step> {
        let more = match key {
            Key::Char(' ' | 'f') | Key::PageDown | Key::Ctrl('F') => self.rows,
            Key::Enter | Key::Down | Key::Char('j') => 1,
            Key::Char('q' | 'Q') | Key::Ctrl('C' | 'D') => return Some(Step::Over(self.erased())),
            _ => return None,
        };
        Some(self.show(more, self.erased()))
    }

    fn show(&mut self, more: usize, mut text: String) -> Step {
        let end = (self.shown + more).min(self.lines.len());
        for line in &self.lines[self.shown..end] {
            text.push_str(line);
            text.push('\n');
        }
        self.shown = end;
        if end == self.lines.len() {
            return Step::Over(text);
        }
        text.push_str(&self.question());
        Step::Wait(text)
    }

    fn question(&self) -> String {
        format!("-- {} of {}: space, enter, q --", self.shown, self.lines.len())
    }

    /// What takes the question off the screen.
    fn erased(&self) -> String {
        if self.capable { "\r\x1b[K".into() } else { format!("\r{}\r", " ".repeat(self.question().len())) }
    }
}

/// Lines of a terminal of so many rows, without the one that asks.
fn screenful(rows: u32) -> usize {
    let rows = if rows == 0 { 24 } else { usize::try_from(rows).unwrap_or(24) };
    rows.saturating_sub(1).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pager(lines: usize, rows: u32) -> Pager {
        Pager::new((0..lines).map(|n| n.to_string()).collect(), rows, true)
    }

    #[test]
    fn what_fits_is_shown_at_once() {
        assert_eq!(pager(3, 4).begin(), Step::Over("0\n1\n2\n".into()));
        assert_eq!(pager(0, 4).begin(), Step::Over(String::new()));
    }

    #[test]
    fn a_terminal_that_grows_shows_more_at_once() {
        let mut long = pager(9, 3);
        assert!(matches!(long.begin(), Step::Wait(_)));
        long.resize(5);
        let Some(Step::Wait(text)) = long.key(Key::Char(' ')) else { panic!("there is more") };
        assert!(text.ends_with("5\n-- 6 of 9: space, enter, q --"), "{text}");
    }

    #[test]
    fn keys_go_on_by_screens_and_lines_and_leave() {
        let mut long = pager(6, 3);
        assert_eq!(long.begin(), Step::Wait("0\n1\n-- 2 of 6: space, enter, q --".into()));
        assert_eq!(long.key(Key::Char('x')), None);
        assert_eq!(long.key(Key::Enter), Some(Step::Wait("\r\x1b[K2\n-- 3 of 6: space, enter, q --".into())));
        assert_eq!(
            long.key(Key::Char(' ')),
            Some(Step::Wait("\r\x1b[K3\n4\n-- 5 of 6: space, enter, q --".into()))
        );
        assert_eq!(long.key(Key::Char(' ')), Some(Step::Over("\r\x1b[K5\n".into())));
        for quit in [Key::Char('q'), Key::Ctrl('C'), Key::Ctrl('D')] {
            let mut long = pager(100, 1);
            assert!(matches!(long.begin(), Step::Wait(_)));
            assert_eq!(long.key(quit), Some(Step::Over("\r\x1b[K".into())));
        }
    }
}
