//! The cells of a screen and its cursor.

use std::collections::VecDeque;

/// Most combining marks that a cell keeps.
const MAX_MARKS: usize = 4;

/// One cell: a character and its combining marks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Cell {
    /// `'\0'`: nothing was written here. `'\u{1}'`: the right half of a wide character.
    c: char,
    marks: Option<Box<str>>,
}

const RIGHT_HALF: char = '\u{1}';

/// One line of the screen.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    cells: Vec<Cell>,
    /// The text goes on in the next line without a line end.
    wrapped: bool,
    /// Its text has been written down as it is now.
    written: bool,
}

impl Line {
    /// Appends the line's text, without blanks at its end.
    pub(super) fn write(&self, out: &mut String) {
        if self.written {
            return;
        }
        let used = self.cells.iter().rposition(|cell| !matches!(cell.c, '\0' | ' '));
        let used = if self.wrapped { self.cells.len() } else { used.map_or(0, |last| last + 1) };
        for cell in self.cells.iter().take(used) {
            match cell.c {
                RIGHT_HALF => {}
                '\0' => out.push(' '),
                c => out.push(c),
            }
            out.push_str(cell.marks.as_deref().unwrap_or_default());
        }
        if !self.wrapped {
            out.push('\n');
        }
    }

    fn is_blank(&self) -> bool {
        self.cells.iter().all(|cell| matches!(cell.c, '\0' | ' '))
    }

    fn put(&mut self, col: usize, cell: Cell) {
        self.written = false;
        if self.cells.len() <= col {
            self.cells.resize(col + 1, Cell::default());
        }
        // Half of a wide character that is overwritten leaves a blank.
        if self.cells[col].c == RIGHT_HALF && col > 0 && cell.c != RIGHT_HALF {
            self.cells[col - 1] = Cell::default();
        }
        if let Some(next) = self.cells.get_mut(col + 1).filter(|next| next.c == RIGHT_HALF) {
            *next = Cell::default();
        }
        self.cells[col] = cell;
    }

    fn erase(&mut self, from: usize, to: usize) {
        if to >= self.cells.len() {
            self.cells.truncate(from);
            self.wrapped = false;
            return;
        }
        self.cells.iter_mut().take(to).skip(from).for_each(|cell| *cell = Cell::default());
    }
}

/// A screen of cells with a cursor.
#[derive(Clone, Debug)]
pub(super) struct Grid {
    lines: VecDeque<Line>,
    cols: usize,
    row: usize,
    col: usize,
    /// The last column was written; the next character goes to the next line.
    wrap_next: bool,
    autowrap: bool,
    saved: (usize, usize),
    /// First line of the scrolling region, and the line after its last.
    margins: (usize, usize),
}

impl Grid {
    pub(super) fn new(cols: usize, rows: usize) -> Self {
        Self {
            lines: std::iter::repeat_with(Line::default).take(rows).collect(),
            cols,
            row: 0,
            col: 0,
            wrap_next: false,
            autowrap: true,
            saved: (0, 0),
            margins: (0, rows),
        }
    }

    /// An empty one of the same size, the cursor in the same place.
    pub(super) fn blank(&self) -> Self {
        let mut blank = Self::new(self.cols, self.rows());
        (blank.row, blank.col) = (self.row, self.col);
        blank
    }

    pub(super) fn rows(&self) -> usize {
        self.lines.len()
    }

    pub(super) fn cols(&self) -> usize {
        self.cols
    }

    /// Changes the size; gives the lines that no longer fit at the top.
    pub(super) fn resize(&mut self, cols: usize, rows: usize) -> Vec<Line> {
        let mut left = Vec::new();
        while self.lines.len() > rows {
            if self.row + 1 < self.lines.len() && self.lines.back().is_some_and(Line::is_blank) {
                self.lines.pop_back();
            } else {
                left.extend(self.lines.pop_front());
                self.row = self.row.saturating_sub(1);
            }
        }
        self.lines.resize_with(rows, Line::default);
        self.lines.iter_mut().for_each(|line| line.cells.truncate(cols));
        self.cols = cols;
        self.margins = (0, rows);
        self.set_cursor((self.row, self.col));
        left
    }

    /// Writes the lines above the cursor down; they stay on the screen and are not written again as they are.
    pub(super) fn write_above(&mut self, out: &mut String) {
        let ended =
            self.lines.iter().take(self.row).rposition(|line| !line.wrapped).map_or(0, |last| last + 1);
        for line in self.lines.iter_mut().take(ended) {
            line.write(out);
            line.written = true;
        }
    }

    /// Clears everything; gives the lines up to the last that is not blank.
    pub(super) fn clear(&mut self) -> Vec<Line> {
        let used = self.lines.iter().rposition(|line| !line.is_blank()).map_or(0, |last| last + 1);
        let mut left: Vec<Line> = self.lines.iter_mut().take(used).map(std::mem::take).collect();
        if let Some(last) = left.last_mut() {
            last.wrapped = false;
        }
        let cols = self.cols;
        *self = Self { autowrap: self.autowrap, ..Self::new(cols, self.rows()) };
        left
    }

    fn line(&mut self) -> &mut Line {
        let row = self.row.min(self.lines.len() - 1);
        &mut self.lines[row]
    }

    // ---- writing

    /// Writes a character; gives the line that left the screen for it.
    pub(super) fn put(&mut self, c: char, wide: bool) -> Option<Line> {
        let mut left = None;
        let width = if wide { 2 } else { 1 };
        if self.wrap_next || self.col + width > self.cols {
            if self.autowrap {
                self.line().wrapped = true;
                self.col = 0;
                left = self.line_feed();
            } else {
                self.col = self.cols - width;
            }
        }
        let col = self.col;
        self.line().put(col, Cell { c, marks: None });
        if wide {
            self.line().put(col + 1, Cell { c: RIGHT_HALF, marks: None });
        }
        self.wrap_next = col + width >= self.cols;
        self.col = (col + width).min(self.cols - 1);
        left
    }

    /// Adds a combining mark to the character before the cursor.
    pub(super) fn combine(&mut self, mark: char) {
        let before = if self.wrap_next { self.col } else { self.col.saturating_sub(1) };
        let line = self.line();
        let at = match line.cells.get(before) {
            Some(cell) if cell.c == RIGHT_HALF => before.saturating_sub(1),
            _ => before,
        };
        if let Some(cell) = line.cells.get_mut(at).filter(|cell| cell.c != '\0') {
            let mut marks = cell.marks.take().map_or_else(String::new, String::from);
            if marks.chars().count() < MAX_MARKS {
                marks.push(mark);
            }
            cell.marks = Some(marks.into_boxed_str());
        }
    }

    pub(super) fn line_feed(&mut self) -> Option<Line> {
        self.wrap_next = false;
        if self.row + 1 == self.margins.1 {
            return self.scroll_up();
        }
        self.row = (self.row + 1).min(self.rows() - 1);
        None
    }

    pub(super) fn reverse_line_feed(&mut self) {
        self.wrap_next = false;
        if self.row == self.margins.0 { self.scroll_down(1) } else { self.row = self.row.saturating_sub(1) }
    }

    /// Moves the region up by a line; gives the line that left at the top of the screen.
    pub(super) fn scroll_up(&mut self) -> Option<Line> {
        let (top, bottom) = self.margins;
        let line = self.lines.remove(top);
        self.lines.insert(bottom - 1, Line::default());
        line.filter(|_| top == 0)
    }

    pub(super) fn scroll_down(&mut self, count: usize) {
        let (top, bottom) = self.margins;
        for _ in 0..count.min(bottom - top) {
            self.lines.remove(bottom - 1);
            self.lines.insert(top, Line::default());
        }
    }

    // ---- the cursor

    pub(super) fn cursor(&self) -> (usize, usize) {
        (self.row, self.col)
    }

    pub(super) fn set_cursor(&mut self, (row, col): (usize, usize)) {
        self.row = row.min(self.rows() - 1);
        self.col = col.min(self.cols - 1);
        self.wrap_next = false;
    }

    pub(super) fn at_home(&self) -> bool {
        self.cursor() == (0, 0)
    }

    pub(super) fn carriage_return(&mut self) {
        self.set_cursor((self.row, 0));
    }

    pub(super) fn tab(&mut self) {
        self.set_cursor((self.row, (self.col / 8 + 1) * 8));
    }

    pub(super) fn up(&mut self, count: usize) {
        self.set_cursor((self.row.saturating_sub(count), self.col));
    }

    pub(super) fn down(&mut self, count: usize) {
        self.set_cursor((self.row + count, self.col));
    }

    pub(super) fn forward(&mut self, count: usize) {
        self.set_cursor((self.row, self.col + count));
    }

    pub(super) fn back(&mut self, count: usize) {
        self.set_cursor((self.row, self.col.saturating_sub(count)));
    }

    pub(super) fn row(&mut self, row: usize) {
        self.set_cursor((row, self.col));
    }

    pub(super) fn column(&mut self, col: usize) {
        self.set_cursor((self.row, col));
    }

    pub(super) fn save_cursor(&mut self) {
        self.saved = self.cursor();
    }

    pub(super) fn restore_cursor(&mut self) {
        self.set_cursor(self.saved);
    }

    pub(super) fn set_autowrap(&mut self, on: bool) {
        self.autowrap = on;
    }

    /// Sets the scrolling region to lines `top` to `bottom`, counted from 1; 0 is the last.
    pub(super) fn set_margins(&mut self, top: usize, bottom: usize) {
        let bottom = if bottom == 0 { self.rows() } else { bottom.min(self.rows()) };
        if top < bottom {
            self.margins = (top - 1, bottom);
            self.set_cursor((0, 0));
        }
    }

    // ---- erasing and moving

    pub(super) fn erase_line(&mut self, how: u16) {
        let (col, cols) = (self.col, self.cols);
        match how {
            0 => self.line().erase(col, cols),
            1 => self.line().erase(0, col + 1),
            2 => self.line().erase(0, cols),
            _ => {}
        }
    }

    pub(super) fn erase_below(&mut self) {
        self.erase_line(0);
        let row = self.row;
        self.lines.iter_mut().skip(row + 1).for_each(|line| *line = Line::default());
    }

    pub(super) fn erase_above(&mut self) {
        let row = self.row;
        self.lines.iter_mut().take(row).for_each(|line| *line = Line::default());
        self.erase_line(1);
    }

    pub(super) fn erase_chars(&mut self, count: usize) {
        let col = self.col;
        self.line().erase(col, col + count);
    }

    pub(super) fn delete_chars(&mut self, count: usize) {
        let col = self.col;
        let cells = &mut self.line().cells;
        if col < cells.len() {
            cells.drain(col..(col + count).min(cells.len()));
        }
    }

    pub(super) fn insert_chars(&mut self, count: usize) {
        let (col, cols) = (self.col, self.cols);
        let cells = &mut self.line().cells;
        if col < cells.len() {
            let blanks = std::iter::repeat_n(Cell::default(), count.min(cols - col));
            cells.splice(col..col, blanks);
            cells.truncate(cols);
        }
    }

    pub(super) fn insert_lines(&mut self, count: usize) {
        let (top, bottom) = self.margins;
        if (top..bottom).contains(&self.row) {
            for _ in 0..count.min(bottom - self.row) {
                self.lines.remove(bottom - 1);
                self.lines.insert(self.row, Line::default());
            }
        }
    }

    pub(super) fn delete_lines(&mut self, count: usize) {
        let (top, bottom) = self.margins;
        if (top..bottom).contains(&self.row) {
            for _ in 0..count.min(bottom - self.row) {
                self.lines.remove(self.row);
                self.lines.insert(bottom - 1, Line::default());
            }
        }
    }
}
