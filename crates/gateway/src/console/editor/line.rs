//! The line being edited: text, a cursor between characters, and what was killed.
//!
//! The cursor moves by what a reader takes for one character: a character with the marks that combine with it.

use unicode_width::UnicodeWidthChar as _;

/// Longest line, in bytes.
pub(crate) const MAX_BYTES: usize = 4096;
const JOINER: char = '\u{200d}';

/// A line and its cursor.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    text: String,
    /// A byte offset between two characters.
    cursor: usize,
    killed: String,
}

/// Columns that a character takes on the screen.
pub(crate) fn width(c: char) -> usize {
    c.width().unwrap_or(0)
}

/// Columns that a text takes on the screen.
pub(crate) fn width_of(text: &str) -> usize {
    text.chars().map(width).sum()
}

/// Whether a character may stand in a line: it shows, or combines with one that does.
fn may_stand(c: char) -> bool {
    c == '\\'
        || c == JOINER
        || !bartizan_model::escape(c.encode_utf8(&mut [0; 4]).as_bytes()).starts_with('\\')
}

impl Line {
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn cursor(&self) -> usize {
        self.cursor
    }

    pub(crate) fn before(&self) -> &str {
        &self.text[..self.cursor]
    }

    /// Replaces the whole, the cursor at its end.
    pub(crate) fn set(&mut self, text: &str) {
        self.text.clear();
        self.cursor = 0;
        self.insert_str(text);
    }

    pub(crate) fn take(&mut self) -> String {
        self.cursor = 0;
        std::mem::take(&mut self.text)
    }

    /// Inserts at the cursor; false when the line is full or the character cannot stand in a line.
    pub(crate) fn insert(&mut self, c: char) -> bool {
        if !may_stand(c) || self.text.len() + c.len_utf8() > MAX_BYTES {
            return false;
        }
        self.text.insert(self.cursor, c);
        self.cursor += c.len_utf8();
        true
    }

    /// Inserts as much as fits.
    pub(crate) fn insert_str(&mut self, text: &str) -> bool {
        text.chars().all(|c| self.insert(c))
    }

    /// The start of the character before `at`.
    fn previous(&self, at: usize) -> usize {
        let mut start = at;
        for (index, c) in self.text[..at].char_indices().rev() {
            start = index;
            let joined = self.text[..index].ends_with(JOINER);
            if width(c) > 0 && !joined {
                break;
            }
        }
        start
    }

    /// The end of the character after `at`.
    fn next(&self, at: usize) -> usize {
        let mut last = None;
        for (index, c) in self.text[at..].char_indices() {
            if last.is_some_and(|last| width(c) > 0 && last != JOINER) {
                return at + index;
            }
            last = Some(c);
        }
        self.text.len()
    }

    fn word_start(&self, is_word: impl Fn(char) -> bool) -> usize {
        let before = self.before().trim_end_matches(|c| !is_word(c));
        before.trim_end_matches(is_word).len()
    }

    fn word_end(&self) -> usize {
        let after = self.text[self.cursor..].trim_start_matches(|c| !in_word(c));
        self.text.len() - after.trim_start_matches(in_word).len()
    }

    pub(crate) fn left(&mut self) {
        self.cursor = self.previous(self.cursor);
    }

    pub(crate) fn right(&mut self) {
        self.cursor = self.next(self.cursor);
    }

    pub(crate) fn home(&mut self) {
        self.cursor = 0;
    }

    pub(crate) fn end(&mut self) {
        self.cursor = self.text.len();
    }

    pub(crate) fn word_left(&mut self) {
        self.cursor = self.word_start(in_word);
    }

    pub(crate) fn word_right(&mut self) {
        self.cursor = self.word_end();
    }

    fn cut(&mut self, start: usize, end: usize) -> String {
        let cut = self.text.drain(start..end).collect();
        self.cursor = start;
        cut
    }

    fn kill(&mut self, start: usize, end: usize) {
        if start < end {
            self.killed = self.cut(start, end);
        }
    }

    pub(crate) fn backspace(&mut self) {
        drop(self.cut(self.previous(self.cursor), self.cursor));
    }

    /// Deletes so many bytes before the cursor; they end where a character begins, or nothing happens.
    pub(crate) fn erase_back(&mut self, bytes: usize) {
        let start = self.cursor.saturating_sub(bytes);
        if self.text.is_char_boundary(start) {
            drop(self.cut(start, self.cursor));
        }
    }

    pub(crate) fn delete(&mut self) {
        drop(self.cut(self.cursor, self.next(self.cursor)));
    }

    pub(crate) fn kill_to_end(&mut self) {
        self.kill(self.cursor, self.text.len());
    }

    pub(crate) fn kill_to_start(&mut self) {
        self.kill(0, self.cursor);
    }

    /// Kills back to the last white space.
    pub(crate) fn kill_back(&mut self) {
        self.kill(self.word_start(|c| !c.is_whitespace()), self.cursor);
    }

    /// Kills back to the start of the word.
    pub(crate) fn kill_word_left(&mut self) {
        self.kill(self.word_start(in_word), self.cursor);
    }

    pub(crate) fn kill_word_right(&mut self) {
        self.kill(self.cursor, self.word_end());
    }

    /// Inserts what was killed last.
    pub(crate) fn yank(&mut self) -> bool {
        let killed = std::mem::take(&mut self.killed);
        let whole = self.insert_str(&killed);
        self.killed = killed;
        whole
    }

    /// Exchanges the characters around the cursor.
    pub(crate) fn transpose(&mut self) {
        if self.cursor == self.text.len() {
            self.left();
        }
        let (start, middle, end) = (self.previous(self.cursor), self.cursor, self.next(self.cursor));
        if start < middle {
            let swapped = [&self.text[middle..end], &self.text[start..middle]].concat();
            self.text.replace_range(start..end, &swapped);
            self.cursor = end;
        }
    }
}

fn in_word(c: char) -> bool {
    c.is_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line whose cursor stands at the bar.
    fn line(marked: &str) -> Line {
        let (before, after) = marked.split_once('|').unwrap();
        let mut line = Line::default();
        line.set(&[before, after].concat());
        line.cursor = before.len();
        line
    }

    #[track_caller]
    fn check(from: &str, edit: impl FnOnce(&mut Line), to: &str) {
        let mut edited = line(from);
        edit(&mut edited);
        let shown = format!("{}|{}", edited.before(), &edited.text[edited.cursor..]);
        assert_eq!(shown, to, "from {from}");
    }

    #[test]
    fn moves_and_deletions_go_by_characters_as_readers_see_them() {
        check("aé|b", Line::left, "a|éb");
        check("名|", Line::backspace, "|");
        check("|名a", Line::right, "名|a");
        // e with a combining acute; a family of joined emoji.
        check("xe\u{301}|", Line::backspace, "x|");
        check("|e\u{301}x", Line::delete, "|x");
        check("|", Line::backspace, "|");
        check("|", Line::delete, "|");
        check("ab|", Line::right, "ab|");
        check("ab|c", Line::home, "|abc");
        check("a|bc", Line::end, "abc|");
        let family = "👩\u{200d}👧";
        let mut edited = Line::default();
        assert!(edited.insert_str(family));
        edited.left();
        assert_eq!(edited.cursor(), 0);
        edited.delete();
        assert_eq!(edited.text(), "");
    }

    #[test]
    fn words_are_moved_over_and_killed() {
        check("ssh root@web-1|", Line::word_left, "ssh root@web-|1");
        check("ssh root|@web-1", Line::word_left, "ssh |root@web-1");
        check("|  ssh x", Line::word_right, "  ssh| x");
        check("ssh root@web-1|", Line::kill_back, "ssh |");
        check("ssh root@web-1  |", Line::kill_back, "ssh |");
        check("ssh root@web|", Line::kill_word_left, "ssh root@|");
        check("|ssh root", Line::kill_word_right, "| root");
        check("ab|cd", Line::kill_to_end, "ab|");
        check("ab|cd", Line::kill_to_start, "|cd");
        check("ab|c", Line::transpose, "acb|");
        check("abc|", Line::transpose, "acb|");
        check("|ab", Line::transpose, "|ab");
    }

    #[test]
    fn what_was_killed_is_yanked_and_an_empty_kill_keeps_it() {
        let mut edited = line("web-1 |x");
        edited.kill_to_start();
        edited.kill_to_start();
        edited.end();
        assert!(edited.yank() && edited.yank());
        assert_eq!(edited.text(), "xweb-1 web-1 ");
    }

    #[test]
    fn a_line_is_bounded_and_holds_nothing_that_hides() {
        let mut edited = Line::default();
        for c in ['\u{202e}', '\u{7}', '\u{9b}', '\u{200b}', '\n'] {
            assert!(!edited.insert(c), "{c:?}");
        }
        assert!(edited.insert('\\'));
        while edited.insert('名') {}
        assert!(edited.text().len() <= MAX_BYTES && edited.text().len() > MAX_BYTES - 3);
    }
}
