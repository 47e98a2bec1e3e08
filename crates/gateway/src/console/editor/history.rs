//! The lines entered before, for as long as the console is open.

use std::collections::VecDeque;

/// Lines that are kept, and their bytes together.
const LINES: usize = 200;
const BYTES: usize = 32 * 1024;

/// Lines entered before, and which of them is shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    lines: VecDeque<String>,
    bytes: usize,
    /// How many lines back we are; 0 is the line being written.
    back: usize,
    /// The line being written, while another is shown.
    draft: String,
}

impl History {
    /// Keeps a line that was entered, unless it is empty or the same again.
    pub(crate) fn add(&mut self, line: &str) {
        self.leave();
        if line.trim().is_empty() || self.lines.back().is_some_and(|last| last == line) {
            return;
        }
        self.bytes += line.len();
        self.lines.push_back(line.to_owned());
        while self.lines.len() > LINES || self.bytes > BYTES {
            self.bytes -= self.lines.pop_front().map_or(self.bytes, |oldest| oldest.len());
        }
    }

    /// Back to the line being written, which is no more.
    pub(crate) fn leave(&mut self) {
        self.back = 0;
        self.draft.clear();
    }

    /// The line before the one shown.
    pub(crate) fn older(&mut self, shown: &str) -> Option<&str> {
        self.go(self.back + 1, shown)
    }

    /// The line after the one shown.
    pub(crate) fn newer(&mut self, shown: &str) -> Option<&str> {
        self.go(self.back.checked_sub(1)?, shown)
    }

    /// The oldest line.
    pub(crate) fn oldest(&mut self, shown: &str) -> Option<&str> {
        self.go(self.lines.len(), shown)
    }

    /// The line being written.
    pub(crate) fn newest(&mut self, shown: &str) -> Option<&str> {
        self.go(0, shown)
    }

    fn go(&mut self, back: usize, shown: &str) -> Option<&str> {
        if back > self.lines.len() || back == self.back {
            return None;
        }
        if self.back == 0 {
            shown.clone_into(&mut self.draft);
        }
        self.back = back;
        match self.lines.len().checked_sub(back).and_then(|index| self.lines.get(index)) {
            Some(line) => Some(line),
            None => Some(&self.draft),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_walked_and_the_draft_is_kept() {
        let mut history = History::default();
        assert_eq!(history.older("draft"), None);
        for line in ["one", "two", "two", " ", "three"] {
            history.add(line);
        }
        assert_eq!(history.older("draft"), Some("three"));
        assert_eq!(history.older("three"), Some("two"));
        assert_eq!(history.older("two"), Some("one"));
        assert_eq!(history.older("one"), None);
        assert_eq!(history.newer("one"), Some("two"));
        assert_eq!(history.newest("two"), Some("draft"));
        assert_eq!(history.newer("draft"), None);
        assert_eq!(history.oldest("draft"), Some("one"));
    }

    #[test]
    fn it_is_bounded_in_lines_and_bytes() {
        let mut history = History::default();
        (0..1000).for_each(|n| history.add(&format!("line {n}")));
        assert_eq!(history.lines.len(), LINES);
        (0..100).for_each(|n| history.add(&format!("{n}{}", "x".repeat(4000))));
        assert!(history.bytes <= BYTES && history.lines.len() == 8);
        assert_eq!(history.bytes, history.lines.iter().map(String::len).sum::<usize>());
    }
}
