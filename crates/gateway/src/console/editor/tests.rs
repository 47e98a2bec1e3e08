use proptest::prelude::*;

use super::line::{width, width_of};
use super::*;

/// One row of a terminal, as much of it as the editor needs.
struct Row {
    cells: Vec<char>,
    cursor: usize,
    /// Rows that were left behind.
    above: Vec<String>,
}

impl Row {
    fn new() -> Self {
        Self { cells: Vec::new(), cursor: 0, above: Vec::new() }
    }

    /// Shows bytes; panics on what is no text and none of the sequences that the editor says it uses.
    fn show(&mut self, bytes: &[u8]) {
        let text = std::str::from_utf8(bytes).expect("the editor writes UTF-8");
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            match c {
                '\r' => self.cursor = 0,
                '\n' => {
                    self.above.push(self.text());
                    *self = Self { above: std::mem::take(&mut self.above), ..Self::new() };
                }
                '\x07' => {}
                '\x1b' => self.sequence(&mut rest),
                c => self.put(c),
            }
        }
    }

    fn sequence(&mut self, rest: &mut std::str::Chars<'_>) {
        assert_eq!(rest.next(), Some('['));
        let mut number = String::new();
        match rest
            .find(|c| {
                !c.is_ascii_digit() || {
                    number.push(*c);
                    false
                }
            })
            .unwrap()
        {
            'K' => self.cells.truncate(self.cursor),
            'C' => self.cursor += number.parse::<usize>().unwrap(),
            'm' => {}
            'H' => self.cursor = 0,
            'J' => self.cells.clear(),
            other => panic!("a sequence that no dumb terminal knows: {other}"),
        }
    }

    /// A wide character fills two cells, the second with NUL; combining ones are not kept.
    fn put(&mut self, c: char) {
        let wide = width(c);
        if wide == 0 {
            return;
        }
        if self.cells.len() < self.cursor + wide {
            self.cells.resize(self.cursor + wide, ' ');
        }
        self.cells[self.cursor] = c;
        if wide == 2 {
            self.cells[self.cursor + 1] = '\0';
        }
        self.cursor += wide;
    }

    fn text(&self) -> String {
        self.cells.iter().filter(|&&c| c != '\0').collect::<String>().trim_end().to_owned()
    }
}

const PROMPT: &str = "bartizan> ";

fn editor(capable: bool, cols: u32) -> Editor {
    Editor::new(PROMPT.into(), Look { capable, colours: false }, cols)
}

/// Types into a new editor; gives the row, and what the person wanted.
fn type_in(capable: bool, cols: u32, bytes: &[u8]) -> (Row, Vec<Input>) {
    let (mut editor, mut out, mut row, mut inputs) =
        (editor(capable, cols), Vec::new(), Row::new(), Vec::new());
    editor.show(&mut out);
    for &byte in bytes {
        let input = editor.feed(byte, &mut out);
        if matches!(input, Some(Input::Line(_) | Input::Interrupt)) {
            editor.show(&mut out);
        }
        inputs.extend(input);
        row.show(&std::mem::take(&mut out));
    }
    (row, inputs)
}

#[test]
fn what_is_typed_is_what_is_seen_and_entered() {
    for (typed, entered) in [
        (&b"targets\r"[..], "targets"),
        (b"tragets\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D\x7f\x05\x7f\x7f\x7f\x7f\x7f\x7fargets\r", "argets"),
        (b"b\x01a\x05c\r", "abc"),
        (b"one two\x17three\r", "one three"),
        (b"one two\x15\x19\x19\r", "one twoone two"),
        ("größe\x7f\x7fs名\x1b[D\x1b[Dx\r".as_bytes(), "gröxs名"),
        (b"abc\x1b[1;5Dx\r", "xabc"),
        (b"first\r\x1b[A!\r", "first!"),
        (b"first\rdraft\x1b[A\x1b[B!\r", "draft!"),
        (b"gone\x03kept\r", "kept"),
        (b"ab\x1b[D\x04\r", "a"),
    ] {
        for capable in [true, false] {
            let (row, inputs) = type_in(capable, 80, typed);
            assert_eq!(inputs.last(), Some(&Input::Line(entered.into())), "{}", typed.escape_ascii());
            let last = row.above.last().unwrap();
            assert_eq!(*last, format!("{PROMPT}{entered}"), "{}", typed.escape_ascii());
        }
    }
}

#[test]
fn ctrl_d_ends_on_an_empty_line_only() {
    assert_eq!(type_in(true, 80, b"\x04").1, [Input::End]);
    assert_eq!(type_in(true, 80, b"a\x04\x7f\x04").1, [Input::End]);
    assert_eq!(type_in(true, 80, b"a\x03").1, [Input::Interrupt]);
}

#[test]
fn typing_at_the_end_costs_a_byte_for_a_byte() {
    let (mut editor, mut out) = (editor(true, 80), Vec::new());
    editor.show(&mut out);
    out.clear();
    for &byte in b"ssh root@web-1" {
        assert_eq!(editor.feed(byte, &mut out), None);
    }
    assert_eq!(out, b"ssh root@web-1");
}

#[test]
fn a_long_line_moves_under_the_cursor() {
    let (row, _) = type_in(true, 30, "abcdefghijklmnopqrstuvwxyz0123456789".as_bytes());
    assert!(row.text().ends_with("0123456789") && row.cells.len() < 30, "{}", row.text());
    let (row, _) = type_in(true, 30, "abcdefghijklmnopqrstuvwxyz0123456789\x01".as_bytes());
    assert_eq!((row.text().as_str(), row.cursor), ("bartizan> abcdefghijklmnopqrs", PROMPT.len()));
}

#[test]
fn after_a_tab_that_went_on_the_next_one_lists() {
    let (mut editor, mut out) = (editor(true, 40), Vec::new());
    editor.show(&mut out);
    b"ro".iter().for_each(|&byte| assert_eq!(editor.feed(byte, &mut out), None));
    for replaces in [2, 9] {
        assert_eq!(editor.feed(b'\t', &mut out), Some(Input::Complete));
        let candidates = ["root@web-1 ", "root@web-2 "].map(str::to_owned).into();
        editor.complete(&Completion { replaces, candidates }, &mut out);
    }
    let mut row = Row::new();
    row.show(&out);
    assert_eq!(editor.line.text(), "root@web-");
    assert_eq!(row.above.last().unwrap(), "root@web-1   root@web-2");
}

fn complete(typed: &[u8], tabs: usize, replaces: usize, candidates: &[&str]) -> (Row, String) {
    let (mut editor, mut out) = (editor(true, 40), Vec::new());
    editor.show(&mut out);
    typed.iter().for_each(|&byte| assert_eq!(editor.feed(byte, &mut out), None));
    for _ in 0..tabs {
        assert_eq!(editor.feed(b'\t', &mut out), Some(Input::Complete));
        let candidates = candidates.iter().map(ToString::to_string).collect();
        editor.complete(&Completion { replaces, candidates }, &mut out);
    }
    let mut row = Row::new();
    row.show(&out);
    (row, editor.line.text().to_owned())
}

#[test]
fn tab_completes_as_far_as_it_is_plain_and_then_lists() {
    assert_eq!(complete(b"ssh ro", 1, 2, &["root@web-1 "]).1, "ssh root@web-1 ");
    assert_eq!(complete(b"ssh ro", 1, 2, &["root@web-1 ", "root@web-2 "]).1, "ssh root@web-");
    let (row, line) = complete(b"t", 2, 1, &["targets ", "two "]);
    assert_eq!((line.as_str(), row.above.last().unwrap().as_str()), ("t", "targets   two"));
    assert_eq!(row.text(), "bartizan> t");
    assert_eq!(complete(b"x", 2, 1, &[]).1, "x");
    let many: Vec<String> = (0..5000).map(|n| format!("root@web-{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let (row, _) = complete(b"root@web-", 2, 9, &many);
    assert!(row.above.last().unwrap().starts_with("5000 possibilities"), "{:?}", row.above);
}

#[test]
fn a_resized_terminal_is_drawn_anew() {
    let (mut editor, mut out) = (editor(true, 80), Vec::new());
    editor.show(&mut out);
    "a line of forty characters, more or less".bytes().for_each(|byte| drop(editor.feed(byte, &mut out)));
    for cols in [20, 0, 1, 3, u32::MAX, 80] {
        out.clear();
        editor.resize_shown(cols, &mut out);
        let mut row = Row::new();
        row.show(&out);
        assert!(cols == 0 || row.cells.len() <= (cols as usize).max(8), "{cols}: {}", row.text());
    }
}

/// Bytes as people and line noise send them.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop_oneof![
        6 => "[a-z @.-]".prop_map(String::into_bytes),
        2 => "[é名🎉\u{301}ß]".prop_map(String::into_bytes),
        3 => (1_u8..32).prop_map(|control| vec![control]),
        2 => prop::sample::select(vec!["[A", "[B", "[C", "[D", "[H", "[F", "[3~", "[1;5C", "b", "d", "\x7f", "O"])
            .prop_map(|sequence| [b"\x1b", sequence.as_bytes()].concat()),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
    ];
    prop::collection::vec(pieces, 0..200).prop_map(|pieces| pieces.concat())
}

proptest! {
    /// Whatever is typed, the row shows the line around the cursor, never wraps, and the cursor stands where it is.
    #[test]
    fn the_screen_shows_the_line(bytes in bytes(), cols in 12_u32..60, capable: bool) {
        let (mut editor, mut row, mut out) = (editor(capable, cols), Row::new(), Vec::new());
        editor.show(&mut out);
        for byte in bytes {
            if matches!(editor.feed(byte, &mut out), Some(Input::Line(_) | Input::Interrupt | Input::End)) {
                editor.show(&mut out);
            }
            row.show(&std::mem::take(&mut out));
            prop_assert!(row.cells.len() < cols as usize, "wrapped: {:?}", row.text());
            prop_assert!(row.above.iter().all(|above| width_of(above) < cols as usize + 2));
            let (line, prompt) = (&editor.line, PROMPT.len().min(cols as usize / 2));
            let seen: String = row.cells.iter().filter(|&&c| c != '\0').skip(prompt).collect();
            let whole: String = line.text().chars().filter(|&c| width(c) > 0).collect();
            prop_assert!(whole.contains(seen.trim_end()), "{seen:?} is no part of {whole:?}");
            let before: String = line.before().chars().filter(|&c| width(c) > 0).collect();
            let left: String = row.cells[..row.cursor].iter().filter(|&&c| c != '\0').skip(prompt).collect();
            prop_assert!(before.ends_with(&left), "the cursor is not after {before:?} but after {left:?}");
        }
        prop_assert!(editor.line.text().len() <= line::MAX_BYTES);
    }

    /// How bytes are cut into pieces changes nothing: the editor takes them one by one. What it draws for arbitrary
    /// ones is text and nothing that a terminal could be fooled by.
    #[test]
    fn arbitrary_bytes_draw_only_what_is_known(bytes: Vec<u8>, cols: u32, resize: u32) {
        let (mut editor, mut row, mut out) = (editor(true, cols), Row::new(), Vec::new());
        editor.show(&mut out);
        let half = bytes.len() / 2;
        for (n, byte) in bytes.into_iter().enumerate() {
            if n == half {
                editor.resize_shown(resize, &mut out);
            }
            let input = editor.feed(byte, &mut out);
            if input == Some(Input::Complete) {
                let completion = Completion { replaces: n, candidates: vec!["a".into(), "ab".into()] };
                editor.complete(&completion, &mut out);
            }
            row.show(&std::mem::take(&mut out));
        }
    }
}
