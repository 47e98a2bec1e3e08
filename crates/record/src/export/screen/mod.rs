//! A small terminal, just enough to read afterwards what was on its screen.
//!
//! It lays out text, and writes lines down as they leave. It knows no colours, no keyboard and no answers, and it
//! is no judge of anything: recording and policy never depend on it. Its input is hostile: sizes are clamped,
//! every sequence costs at most a screen's worth of work, and nothing that controls a terminal comes out.

mod grid;
mod parser;
#[cfg(test)]
mod tests;

use unicode_width::UnicodeWidthChar;

use crate::cast::incomplete_tail;
use grid::{Grid, Line};
use parser::{Control, Parser};

const MAX_COLS: u16 = 512;
const MAX_ROWS: u16 = 256;

/// A terminal's screen and the text that has left it.
pub(super) struct Screen {
    parser: Parser,
    held: Vec<u8>,
    grid: Grid,
    /// The main screen while a full-screen program shows another.
    main: Option<Grid>,
    /// Line drawing (DEC special graphics) as G0 and G1, and which of the two is in use.
    drawing: [bool; 2],
    shifted: bool,
    last_char: Option<char>,
    text: String,
}

impl Screen {
    pub(super) fn new(cols: u16, rows: u16) -> Self {
        Self {
            parser: Parser::default(),
            held: Vec::new(),
            grid: Grid::new(cols.clamp(2, MAX_COLS).into(), rows.clamp(1, MAX_ROWS).into()),
            main: None,
            drawing: [false; 2],
            shifted: false,
            last_char: None,
            text: String::new(),
        }
    }

    pub(super) fn resize(&mut self, cols: u16, rows: u16) {
        let (cols, rows) = (cols.clamp(2, MAX_COLS).into(), rows.clamp(1, MAX_ROWS).into());
        if let Some(main) = &mut self.main {
            main.resize(cols, rows).iter().for_each(|line| line.write(&mut self.text));
        }
        self.grid.resize(cols, rows).iter().for_each(|line| line.write(&mut self.text));
    }

    /// The text that has left the screen since the last call.
    pub(super) fn take_text(&mut self) -> String {
        std::mem::take(&mut self.text)
    }

    /// The rest: what is still on the screen.
    pub(super) fn finish(mut self) -> String {
        if !self.held.is_empty() {
            self.print(char::REPLACEMENT_CHARACTER);
        }
        self.leave_alternate();
        self.write_down();
        self.text
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        let mut all = std::mem::take(&mut self.held);
        all.extend_from_slice(bytes);
        self.held = all.split_off(all.len() - incomplete_tail(&all));
        for chunk in all.utf8_chunks() {
            for c in chunk.valid().chars() {
                if let Some(control) = self.parser.next(c) {
                    self.obey(control);
                }
            }
            if !chunk.invalid().is_empty()
                && let Some(control) = self.parser.next(char::REPLACEMENT_CHARACTER)
            {
                self.obey(control);
            }
        }
    }

    fn obey(&mut self, control: Control) {
        match control {
            Control::Print(c) => self.print(c),
            Control::Execute(c) => self.execute(c),
            Control::Escape(c) => self.escape(c),
            Control::Designate(set, drawing) => self.drawing[usize::from(set)] = drawing,
            Control::Csi { private, params, last } => self.csi(private, &params, last),
        }
    }

    fn print(&mut self, c: char) {
        let c = match c {
            '_'..='~' if self.drawing[usize::from(self.shifted)] => line_drawing(c),
            ' '..='~' => c,
            '\u{200d}' => return,
            c if is_safe(c) => c,
            _ => char::REPLACEMENT_CHARACTER,
        };
        match c.width() {
            Some(0) => return self.grid.combine(c),
            Some(1) | None => self.put(c, false),
            Some(_) => self.put(c, true),
        }
        self.last_char = Some(c);
    }

    fn put(&mut self, c: char, wide: bool) {
        let left = self.grid.put(c, wide);
        self.note(left);
    }

    /// Writes a line that left at the top.
    fn note(&mut self, left: Option<Line>) {
        if let Some(line) = left {
            line.write(&mut self.text);
        }
    }

    fn execute(&mut self, c: char) {
        match c {
            '\n' | '\x0b' | '\x0c' | '\u{84}' => {
                let left = self.grid.line_feed();
                self.note(left);
            }
            '\u{85}' => {
                self.grid.carriage_return();
                let left = self.grid.line_feed();
                self.note(left);
            }
            '\r' => self.grid.carriage_return(),
            '\x08' => self.grid.back(1),
            '\t' => self.grid.tab(),
            '\x0e' => self.shifted = true,
            '\x0f' => self.shifted = false,
            '\u{8d}' => self.grid.reverse_line_feed(),
            _ => {}
        }
    }

    fn escape(&mut self, c: char) {
        match c {
            'D' => self.execute('\u{84}'),
            'E' => self.execute('\u{85}'),
            'M' => self.execute('\u{8d}'),
            '7' => self.grid.save_cursor(),
            '8' => self.grid.restore_cursor(),
            'c' => {
                self.leave_alternate();
                self.write_down();
                self.drawing = [false; 2];
                self.shifted = false;
            }
            _ => {}
        }
    }

    fn csi(&mut self, private: bool, params: &[u16], last: char) {
        let count = || usize::from(params.first().copied().unwrap_or(0).max(1));
        let first = params.first().copied().unwrap_or(0);
        let grid = &mut self.grid;
        match (private, last) {
            (true, 'h' | 'l') => params.iter().for_each(|&mode| self.set_mode(mode, last == 'h')),
            (true, _) => {}
            (_, 'A') => grid.up(count()),
            (_, 'B' | 'e') => grid.down(count()),
            (_, 'C' | 'a') => grid.forward(count()),
            (_, 'D') => grid.back(count()),
            (_, 'E') => {
                grid.down(count());
                grid.carriage_return();
            }
            (_, 'F') => {
                grid.up(count());
                grid.carriage_return();
            }
            (_, 'G' | '`') => grid.column(count() - 1),
            (_, 'd') => grid.row(count() - 1),
            (_, 'H' | 'f') => {
                grid.row(count() - 1);
                grid.column(usize::from(params.get(1).copied().unwrap_or(0).max(1)) - 1);
            }
            (_, 'J') => self.erase_display(first),
            (_, 'K') => grid.erase_line(first),
            (_, 'L') => grid.insert_lines(count()),
            (_, 'M') => grid.delete_lines(count()),
            (_, 'P') => grid.delete_chars(count()),
            (_, '@') => grid.insert_chars(count()),
            (_, 'X') => grid.erase_chars(count()),
            (_, 'S') => self.scroll_up(count()),
            (_, 'T') => grid.scroll_down(count()),
            (_, 'b') => self.repeat(count()),
            (_, 'r') => grid.set_margins(count(), params.get(1).copied().unwrap_or(0).into()),
            (_, 's') => grid.save_cursor(),
            (_, 'u') => grid.restore_cursor(),
            _ => {}
        }
    }

    fn set_mode(&mut self, mode: u16, on: bool) {
        match (mode, on) {
            (7, on) => self.grid.set_autowrap(on),
            (47 | 1047 | 1049, true) if self.main.is_none() => {
                // What happened before the full-screen program comes before it.
                self.grid.write_above(&mut self.text);
                let alternate = self.grid.blank();
                self.main = Some(std::mem::replace(&mut self.grid, alternate));
            }
            (47 | 1047 | 1049, false) => self.leave_alternate(),
            _ => {}
        }
    }

    fn leave_alternate(&mut self) {
        if let Some(main) = self.main.take() {
            self.write_down();
            self.grid = main;
        }
    }

    /// Writes what is on the screen and clears it.
    fn write_down(&mut self) {
        self.grid.clear().iter().for_each(|line| line.write(&mut self.text));
    }

    fn erase_display(&mut self, how: u16) {
        match how {
            0 if self.grid.at_home() => self.erase_display(2),
            0 => self.grid.erase_below(),
            1 => self.grid.erase_above(),
            2 | 3 => {
                let cursor = self.grid.cursor();
                self.write_down();
                self.grid.set_cursor(cursor);
            }
            _ => {}
        }
    }

    fn scroll_up(&mut self, count: usize) {
        for _ in 0..count.min(self.grid.rows()) {
            let left = self.grid.scroll_up();
            self.note(left);
        }
    }

    fn repeat(&mut self, count: usize) {
        if let Some(c) = self.last_char {
            for _ in 0..count.min(self.grid.cols()) {
                self.put(c, c.width() == Some(2));
            }
        }
    }
}

/// True for characters that show as themselves and leave their neighbours alone.
fn is_safe(c: char) -> bool {
    let mut utf8 = [0; 4];
    let utf8: &str = c.encode_utf8(&mut utf8);
    bartizan_model::escape(utf8.as_bytes()) == utf8
}

/// DEC special graphics, 0x5f to 0x7e.
fn line_drawing(c: char) -> char {
    const SHAPES: [char; 32] = [
        ' ', '◆', '▒', '␉', '␌', '␍', '␊', '°', '±', '␤', '␋', '┘', '┐', '┌', '└', '┼', '⎺', '⎻', '─', '⎼',
        '⎽', '├', '┤', '┴', '┬', '│', '≤', '≥', 'π', '≠', '£', '·',
    ];
    u32::from(c).checked_sub(0x5f).and_then(|i| SHAPES.get(i as usize)).copied().unwrap_or(c)
}
