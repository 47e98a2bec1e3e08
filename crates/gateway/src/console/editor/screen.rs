//! One line of a terminal: what is shown, and the bytes that make it so.
//!
//! The line never wraps: one that is longer than the terminal is wide is shown in part, moved so that the cursor is
//! in it. Only CR, blanks and two sequences are used (erase to the end of the line, cursor right), and without a capable
//! terminal CR and blanks alone.

use super::line::{width, width_of};

/// The narrowest terminal that we draw for; on a narrower one the line wraps.
const NARROWEST: usize = 8;
/// The widest.
const WIDEST: usize = 4096;

/// What one line shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Frame {
    text: String,
    width: usize,
    /// The cursor's column.
    cursor: usize,
}

/// Draws a line, and remembers what it has drawn.
#[derive(Clone, Debug)]
pub(crate) struct Screen {
    capable: bool,
    cols: usize,
    shown: Frame,
    /// The first byte of the line that is shown.
    from: usize,
}

impl Screen {
    pub(crate) fn new(capable: bool, cols: u32) -> Self {
        let mut screen = Self { capable, cols: 0, shown: Frame::default(), from: 0 };
        screen.resize(cols);
        screen
    }

    pub(crate) fn resize(&mut self, cols: u32) {
        let cols = usize::try_from(cols).unwrap_or(WIDEST);
        self.cols = if cols == 0 { 80 } else { cols.clamp(NARROWEST, WIDEST) };
    }

    /// Columns of the terminal.
    pub(crate) fn cols(&self) -> usize {
        self.cols
    }

    /// The cursor is on an empty line: what was drawn stays above.
    pub(crate) fn left(&mut self) {
        self.shown = Frame::default();
        self.from = 0;
    }

    /// Draws the line with its cursor (a byte offset); `prompt` is printable ASCII, `style` the sequence before it.
    pub(crate) fn draw(&mut self, prompt: &str, style: &str, line: &str, cursor: usize, out: &mut Vec<u8>) {
        let frame = self.frame(prompt, line, cursor);
        if let Some(more) = self.appended(&frame) {
            out.extend_from_slice(more.as_bytes());
        } else {
            self.repaint(prompt, style, &frame, out);
        }
        self.shown = frame;
    }

    /// What is to be seen: the prompt, and as much of the line as fits around the cursor.
    fn frame(&mut self, prompt: &str, line: &str, cursor: usize) -> Frame {
        // The last column stays empty, so that no terminal wraps.
        let prompt = &prompt[..prompt.len().min(self.cols / 2)];
        let room = self.cols - 1 - prompt.len();
        self.from = self.from.min(line.len());
        while !line.is_char_boundary(self.from) {
            self.from -= 1;
        }
        if cursor < self.from || width_of(&line[self.from..cursor]) > room {
            self.from = start_for(line, cursor, room);
        } else if self.from > 0 && width_of(line) <= room {
            self.from = 0;
        }
        let mut text = prompt.to_owned();
        let mut columns = 0;
        for c in line[self.from..].chars() {
            columns += width(c);
            if columns > room {
                break;
            }
            text.push(c);
        }
        let cursor = prompt.len() + width_of(&line[self.from..cursor]);
        Frame { width: width_of(&text), text, cursor }
    }

    /// What was written at the end of the line since, if that is the only difference.
    fn appended<'a>(&self, frame: &'a Frame) -> Option<&'a str> {
        let more = frame.text.strip_prefix(&self.shown.text)?;
        let at_end = self.shown.cursor == self.shown.width && frame.cursor == frame.width;
        (at_end && self.shown.width > 0).then_some(more)
    }

    fn repaint(&self, prompt: &str, style: &str, frame: &Frame, out: &mut Vec<u8>) {
        let (prompt, rest) = frame.text.split_at(prompt.len().min(self.cols / 2));
        out.push(b'\r');
        let plain = if style.is_empty() { "" } else { "\x1b[0m" };
        [style, prompt, plain, rest].iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
        if self.capable {
            out.extend_from_slice(b"\x1b[K");
            if frame.cursor < frame.width {
                out.extend_from_slice(format!("\r\x1b[{}C", frame.cursor.max(1)).as_bytes());
            }
        } else {
            let stale = self.shown.width.saturating_sub(frame.width);
            out.resize(out.len() + stale, b' ');
            if stale > 0 || frame.cursor < frame.width {
                out.push(b'\r');
                let mut columns = 0;
                let shown = frame.text.chars().take_while(|&c| {
                    columns += width(c);
                    columns <= frame.cursor
                });
                out.extend_from_slice(shown.collect::<String>().as_bytes());
            }
        }
    }
}

/// Where to begin so that the cursor is seen, with a third of the room before it.
fn start_for(line: &str, cursor: usize, room: usize) -> usize {
    let mut columns = 0;
    for (index, c) in line[..cursor].char_indices().rev() {
        columns += width(c);
        if columns > room - room / 3 {
            return index + c.len_utf8();
        }
    }
    0
}
