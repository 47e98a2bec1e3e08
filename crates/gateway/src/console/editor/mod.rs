//! The line editor, without I/O: bytes of a terminal in, bytes for its screen and lines out.
//!
//! ```text
//!   bytes ─► Keys ─► Editor ─► Line, History ─► Screen ─► bytes for the terminal
//!                      └────► Input: a line, Ctrl-C, the end, a wish for completion
//! ```
//!
//! Whatever comes, in whatever pieces: memory is bounded by [`line::MAX_BYTES`] and the history's bounds, what is
//! drawn by the terminal's width. It does not know what lines mean.

mod history;
mod keys;
pub(crate) mod line;
mod screen;

pub(crate) use keys::{Key, Keys};

use self::history::History;
use self::line::Line;
use self::screen::Screen;

/// What the person wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// Carry out this line. The cursor is at the start of the next.
    Line(String),
    /// Ctrl-C: the line is given up. The cursor is at the start of the next.
    Interrupt,
    /// Ctrl-D on an empty line. The cursor is at the start of the next.
    End,
    /// Tab: see [`Editor::line_to_cursor`]; answer with [`Editor::complete`].
    Complete,
}

/// How a terminal is drawn on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    /// It understands ECMA-48's sequences.
    pub(crate) capable: bool,
    /// Colours are wanted.
    pub(crate) colours: bool,
}

/// What Tab can become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Completion {
    /// Bytes before the cursor that the candidates replace.
    pub(crate) replaces: usize,
    /// What may stand there, in order. More than a screenful is told by number only.
    pub(crate) candidates: Vec<String>,
}

/// Candidates that are listed; of more only the number is told.
const LISTED: usize = 60;

/// The editor of one terminal.
#[derive(Clone, Debug)]
pub(crate) struct Editor {
    keys: Keys,
    line: Line,
    history: History,
    screen: Screen,
    look: Look,
    prompt: String,
    /// The last key was Tab, and it left several candidates.
    tabbed: bool,
}

impl Editor {
    /// `prompt` is printable ASCII.
    pub(crate) fn new(prompt: String, look: Look, cols: u32) -> Self {
        Self {
            keys: Keys::default(),
            line: Line::default(),
            history: History::default(),
            screen: Screen::new(look.capable, cols),
            look,
            prompt,
            tabbed: false,
        }
    }

    /// Draws prompt and line where the cursor is, at the start of an empty line.
    pub(crate) fn show(&mut self, out: &mut Vec<u8>) {
        self.screen.left();
        self.draw(out);
    }

    /// The terminal has another width.
    pub(crate) fn resize(&mut self, cols: u32) {
        self.screen.resize(cols);
    }

    /// As [`Self::resize`], while the line is on the screen.
    pub(crate) fn resize_shown(&mut self, cols: u32, out: &mut Vec<u8>) {
        self.resize(cols);
        self.show(out);
    }

    /// What stands before the cursor.
    pub(crate) fn line_to_cursor(&self) -> &str {
        self.line.before()
    }

    /// Takes one byte of the terminal, and adds to `out` what it changes on the screen.
    pub(crate) fn feed(&mut self, byte: u8, out: &mut Vec<u8>) -> Option<Input> {
        let key = self.keys.feed(byte)?;
        if key != Key::Tab {
            self.tabbed = false;
        }
        match key {
            Key::Enter => {
                let line = self.line.take();
                self.history.add(&line);
                self.leave(b"\r\n", out);
                return Some(Input::Line(line));
            }
            Key::Ctrl('C') => {
                self.line.take();
                self.history.leave();
                self.leave(b"^C\r\n", out);
                return Some(Input::Interrupt);
            }
            Key::Ctrl('D') if self.line.text().is_empty() => {
                self.leave(b"\r\n", out);
                return Some(Input::End);
            }
            Key::Tab => return Some(Input::Complete),
            Key::Ctrl('L') if self.look.capable => {
                out.extend_from_slice(b"\x1b[H\x1b[2J");
                self.screen.left();
            }
            key => {
                if !self.edit(key) {
                    out.push(0x07);
                }
            }
        }
        self.draw(out);
        None
    }

    /// Puts a completion into the line, or lists what it can be.
    pub(crate) fn complete(&mut self, completion: &Completion, out: &mut Vec<u8>) {
        let Completion { replaces, candidates } = completion;
        let before = self.line.before();
        let start = before.len().saturating_sub(*replaces);
        let Some(typed) = before.get(start..) else { return };
        let typed = typed.to_owned();
        let common = common_prefix(candidates);
        let grows = common.len() > typed.len() || (candidates.len() == 1 && common != typed);
        if candidates.is_empty() {
            out.push(0x07);
        } else if candidates.len() == 1 || grows {
            self.line.erase_back(typed.len());
            self.line.insert_str(common);
            // The next one lists what it can be, as in a shell.
            self.tabbed = candidates.len() > 1;
        } else if self.tabbed {
            self.list(candidates, out);
        } else {
            self.tabbed = true;
            out.push(0x07);
        }
        self.draw(out);
    }

    fn list(&mut self, candidates: &[String], out: &mut Vec<u8>) {
        self.leave(b"\r\n", out);
        if candidates.len() > LISTED {
            let text = format!("{} possibilities; type more, or: targets FILTER\r\n", candidates.len());
            out.extend_from_slice(text.as_bytes());
            return;
        }
        let widest = candidates.iter().map(|candidate| line::width_of(candidate)).max().unwrap_or(0) + 2;
        let columns = ((self.screen.cols() - 1) / widest).max(1);
        for row in candidates.chunks(columns) {
            for candidate in row {
                out.extend_from_slice(candidate.as_bytes());
                out.resize(out.len() + widest - line::width_of(candidate), b' ');
            }
            while out.last() == Some(&b' ') {
                out.pop();
            }
            out.extend_from_slice(b"\r\n");
        }
    }

    /// Carries out a key that changes the line or its cursor; false when it cannot be done.
    fn edit(&mut self, key: Key) -> bool {
        let line = &mut self.line;
        match key {
            Key::Char(c) => return line.insert(c),
            Key::Backspace => line.backspace(),
            Key::Delete | Key::Ctrl('D') => line.delete(),
            Key::Left | Key::Ctrl('B') => line.left(),
            Key::Right | Key::Ctrl('F') => line.right(),
            Key::Home | Key::Ctrl('A') => line.home(),
            Key::End | Key::Ctrl('E') => line.end(),
            Key::WordLeft | Key::Alt('b') => line.word_left(),
            Key::WordRight | Key::Alt('f') => line.word_right(),
            Key::Ctrl('K') => line.kill_to_end(),
            Key::Ctrl('U') => line.kill_to_start(),
            Key::Ctrl('W') => line.kill_back(),
            Key::AltBackspace => line.kill_word_left(),
            Key::Alt('d') => line.kill_word_right(),
            Key::Ctrl('T') => line.transpose(),
            Key::Ctrl('Y') => return line.yank(),
            Key::Up | Key::Ctrl('P') | Key::PageUp => return self.recall(History::older),
            Key::Down | Key::Ctrl('N') | Key::PageDown => return self.recall(History::newer),
            Key::Alt('<') => return self.recall(History::oldest),
            Key::Alt('>') => return self.recall(History::newest),
            _ => return false,
        }
        true
    }

    fn recall(&mut self, which: impl for<'h> FnOnce(&'h mut History, &str) -> Option<&'h str>) -> bool {
        match which(&mut self.history, self.line.text()) {
            Some(text) => {
                self.line.set(text);
                true
            }
            None => false,
        }
    }

    /// Leaves the line on the screen as it is.
    fn leave(&mut self, with: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(with);
        self.screen.left();
    }

    fn draw(&mut self, out: &mut Vec<u8>) {
        let style = if self.look.colours { "\x1b[1m" } else { "" };
        self.screen.draw(&self.prompt, style, self.line.text(), self.line.cursor(), out);
    }
}

/// The longest text that all candidates begin with.
fn common_prefix(candidates: &[String]) -> &str {
    let Some(first) = candidates.first() else { return "" };
    let mut end = first.len();
    for other in &candidates[1..] {
        let same = first.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
        end = end.min(same);
    }
    while !first.is_char_boundary(end) {
        end -= 1;
    }
    &first[..end]
}

#[cfg(test)]
mod tests;
