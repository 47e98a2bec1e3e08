//! Tables that read well at 80 columns.
//!
//! Columns are as wide as their content. Where that is more than the terminal has, the widest columns that
//! may be cut are cut, with `…`. Without a terminal nothing is ever cut.

use unicode_width::UnicodeWidthStr as _;

use crate::out::cell;

const GAP: usize = 2;
/// No column is cut below this.
const LEAST: usize = 8;

/// Which side of its column a cell leans to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// How a cell looks where colours are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    Normal,
    Good,
    Bad,
    Dim,
}

#[derive(Clone, Debug)]
struct Column {
    title: &'static str,
    align: Align,
    /// May be cut where the terminal is too narrow.
    cut: bool,
}

/// Rows under titles.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<(String, Look)>>,
    empty: &'static str,
}

impl Table {
    /// A table that shows `empty` when there are no rows.
    pub(crate) fn new(empty: &'static str) -> Self {
        Self { columns: Vec::new(), rows: Vec::new(), empty }
    }

    /// Adds a column whose cells are shown whole.
    #[must_use]
    pub(crate) fn column(self, title: &'static str) -> Self {
        self.add(title, Align::Left, false)
    }

    /// Adds a column of numbers.
    #[must_use]
    pub(crate) fn number(self, title: &'static str) -> Self {
        self.add(title, Align::Right, false)
    }

    /// Adds a column whose cells may be cut.
    #[must_use]
    pub(crate) fn flexible(self, title: &'static str) -> Self {
        self.add(title, Align::Left, true)
    }

    fn add(mut self, title: &'static str, align: Align, cut: bool) -> Self {
        self.columns.push(Column { title, align, cut });
        self
    }

    /// Adds a row; texts are escaped.
    pub(crate) fn row<const N: usize>(&mut self, cells: [(String, Look); N]) {
        self.rows.push(cells.map(|(text, look)| (cell(&text), look)).into());
    }

    /// The table as text, each line ended by a newline.
    pub(crate) fn render(&self, width: Option<usize>, colour: bool) -> String {
        if self.rows.is_empty() {
            return if width.is_some() { format!("{}\n", self.empty) } else { String::new() };
        }
        let widths = self.widths(width);
        let titles: Vec<_> = self.columns.iter().map(|c| (c.title.to_owned(), Look::Dim)).collect();
        let mut text = String::new();
        for row in std::iter::once(&titles).chain(&self.rows) {
            let mut line = String::new();
            let mut end = 0;
            for ((column, &width), (content, look)) in self.columns.iter().zip(&widths).zip(row) {
                let content = fit(content, width);
                let space = " ".repeat(width.saturating_sub(content.width()));
                let (before, after) = match column.align {
                    Align::Left => ("", space.as_str()),
                    Align::Right => (space.as_str(), ""),
                };
                line.push_str(before);
                line.push_str(&paint(&content, *look, colour));
                if !content.is_empty() {
                    end = line.len();
                }
                line.push_str(after);
                line.push_str(&" ".repeat(GAP));
            }
            line.truncate(end);
            text.push_str(&line);
            text.push('\n');
        }
        text
    }

    fn widths(&self, terminal: Option<usize>) -> Vec<usize> {
        let widest =
            |i: usize| self.rows.iter().filter_map(|row| row.get(i)).map(|(text, _)| text.width()).max();
        let mut widths: Vec<usize> = (self.columns.iter().enumerate())
            .map(|(i, column)| column.title.width().max(widest(i).unwrap_or(0)))
            .collect();
        let Some(terminal) = terminal else { return widths };
        loop {
            let total = widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
            let cuttable = (0..widths.len()).filter(|&i| self.columns[i].cut && widths[i] > LEAST);
            match cuttable.max_by_key(|&i| widths[i]) {
                Some(widest) if total > terminal => widths[widest] -= 1,
                _ => return widths,
            }
        }
    }
}

/// A cell in everyday style.
pub(crate) fn normal(text: impl ToString) -> (String, Look) {
    (text.to_string(), Look::Normal)
}

/// The text, cut to `width` columns with an ellipsis.
fn fit(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut cut = String::new();
    for c in text.chars() {
        cut.push(c);
        if cut.width() > width.saturating_sub(1) {
            cut.pop();
            break;
        }
    }
    cut + "…"
}

/// The text in its colour.
pub(crate) fn paint(text: &str, look: Look, colour: bool) -> String {
    let code = match look {
        _ if !colour || text.is_empty() => return text.to_owned(),
        Look::Normal => return text.to_owned(),
        Look::Good => "32",
        Look::Bad => "31",
        Look::Dim => "2",
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new("nothing").column("NAME").flexible("WHAT").number("N");
        table.row([normal("a"), normal("short"), normal(1)]);
        table.row([normal("größe"), ("x".repeat(90), Look::Good), normal(1000)]);
        table.row([normal("名\u{1b}[2J"), normal(""), normal("")]);
        table
    }

    #[test]
    fn fits_eighty_columns_and_cuts_nothing_without_a_terminal() {
        let shown = table().render(Some(80), false);
        assert!(shown.lines().all(|line| line.width() <= 80), "{shown}");
        insta::assert_snapshot!(shown);
        assert!(table().render(None, false).contains(&"x".repeat(90)));
    }

    #[test]
    fn colours_are_the_only_escape_sequences() {
        let shown = table().render(Some(80), true);
        assert!(shown.contains("\x1b[32m"));
        let without =
            ["\x1b[32m", "\x1b[2m", "\x1b[0m"].iter().fold(shown, |text, code| text.replace(code, ""));
        assert_eq!(without, table().render(Some(80), false));
        assert!(!without.contains('\x1b'));
    }

    #[test]
    fn nothing_is_said_to_programs_and_something_to_people() {
        let empty = Table::new("no people yet").column("NAME");
        assert_eq!(empty.render(Some(80), false), "no people yet\n");
        assert_eq!(empty.render(None, false), "");
    }
}
