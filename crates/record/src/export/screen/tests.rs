use proptest::prelude::*;

use super::Screen;

fn shown(cols: u16, rows: u16, bytes: &[u8]) -> String {
    let mut screen = Screen::new(cols, rows);
    screen.feed(bytes);
    screen.finish()
}

#[test]
fn a_screen_reads_as_it_looked() {
    for (name, bytes, text) in [
        ("lines", &b"one\r\ntwo\r\n"[..], "one\ntwo\n"),
        ("colours", b"\x1b[1;31mred\x1b[0m plain", "red plain\n"),
        ("titles", b"\x1b]0;secret title\x07shown\x1b]8;;http://x\x1b\\ link", "shown link\n"),
        ("overwritten by carriage return", b"100%\r 50%\r\n", " 50%\n"),
        ("typed and corrected", b"$ lx\x08 \x08s\r\n", "$ ls\n"),
        ("erased to the end of the line", b"secret: x\r\x1b[Kdone", "done\n"),
        ("deleted characters", b"abcdef\x1b[4D\x1b[2P", "abef\n"),
        ("inserted characters", b"abef\x1b[2D\x1b[2@cd", "abcdef\n"),
        ("cursor addressing", b"\x1b[2;3Hx\x1b[1;1Hy", "y\n  x\n"),
        ("cleared", b"before\x1b[H\x1b[2Jafter", "before\nafter\n"),
        ("a full-screen program", b"$ vi\r\n\x1b[?1049h\x1b[2J\x1b[Htext\x1b[?1049l$ ", "$ vi\ntext\n$\n"),
        ("tabs", b"a\tb", "a       b\n"),
        ("lines joined where the terminal wrapped", b"abcdefghijklmnop", "abcdefghijklmnop\n"),
        ("wide and combining", "名前e\u{301}x\x08y".as_bytes(), "名前e\u{301}y\n"),
        ("line drawing", b"\x1b(0lqk\x1b(B lqk", "┌─┐ lqk\n"),
        ("nothing that controls", "a\u{202e}b\u{9b}31mc\u{85}d".as_bytes(), "a\u{fffd}bc\nd\n"),
        ("bytes that are not UTF-8", b"a\xffb\xe2\x82", "a\u{fffd}b\u{fffd}\n"),
        ("an unfinished sequence", b"a\x1b[31", "a\n"),
        ("repeat", b"-\x1b[4b", "-----\n"),
        ("an empty screen", b"\x1b[2J\r\n\r\n", ""),
    ] {
        assert_eq!(shown(10, 5, bytes), text, "{name}");
    }
}

#[test]
fn lines_leave_at_the_top_once() {
    let numbers: String = (1..=100).map(|n| format!("{n}\r\n")).collect();
    let expected: String = (1..=100).map(|n| format!("{n}\n")).collect();
    assert_eq!(shown(80, 24, numbers.as_bytes()), expected);
    // A region that does not begin at the top scrolls without writing anything.
    let region = b"head\r\n\x1b[2;4r\x1b[4;1Ha\r\nb\r\nc\r\nd\r\n";
    assert_eq!(shown(80, 5, region), "head\nc\nd\n");
}

#[test]
fn a_title_without_end_hides_no_more_than_a_title() {
    let mut bytes = b"\x1b]0;".to_vec();
    bytes.extend(std::iter::repeat_n(b'x', 70 << 10));
    bytes.extend_from_slice(b"\r\nseen");
    assert!(shown(80, 24, &bytes).ends_with("\nseen\n"));
}

#[test]
fn a_smaller_window_loses_no_lines() {
    let mut screen = Screen::new(80, 24);
    screen.feed(b"1\r\n2\r\n3\r\n4");
    screen.resize(80, 2);
    assert_eq!(screen.take_text(), "1\n2\n");
    screen.resize(0, 0);
    screen.resize(9999, 9999);
    screen.feed(b"5");
    assert_eq!(screen.take_text() + &screen.finish(), "3\n45\n");
}

fn sequence() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..8),
        (any::<u16>(), any::<u16>(), prop::sample::select(b"ABCDEFGHJKLMPST@Xbdefr`su".to_vec()))
            .prop_map(|(a, b, f)| [format!("\x1b[{a};{b}").as_bytes(), &[f]].concat()),
        (prop::sample::select(vec![7_u16, 47, 1049]), prop::sample::select(b"hl".to_vec()))
            .prop_map(|(m, f)| [format!("\x1b[?{m}").as_bytes(), &[f]].concat()),
        "[a-z名\u{301}\n\r\t\u{8}]{0,12}".prop_map(String::into_bytes),
        prop::sample::select(vec![
            b"\x1bM".to_vec(),
            b"\x1bc".to_vec(),
            b"\x1b7".to_vec(),
            b"\x1b8".to_vec()
        ]),
    ]
}

proptest! {
    #[test]
    fn nothing_controls_a_terminal_and_nothing_panics(
        pieces in prop::collection::vec(sequence(), 0..60), cols: u16, rows in 0..40_u16, resize: (u16, u16),
    ) {
        let mut screen = Screen::new(cols, rows);
        for (number, piece) in pieces.iter().enumerate() {
            if number == 20 {
                screen.resize(resize.0, resize.1);
            }
            screen.feed(piece);
        }
        let text = screen.finish();
        let bad = text.chars().find(|c| c.is_control() && *c != '\n');
        prop_assert_eq!(bad, None);
    }

    #[test]
    fn chunking_makes_no_difference(pieces in prop::collection::vec(sequence(), 0..30), at in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let bytes = pieces.concat();
        let mut cuts: Vec<usize> = at.iter().map(|i| i.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        let mut screen = Screen::new(20, 6);
        let mut from = 0;
        for cut in cuts {
            screen.feed(&bytes[from..cut]);
            from = cut;
        }
        screen.feed(&bytes[from..]);
        prop_assert_eq!(screen.finish(), shown(20, 6, &bytes));
    }
}
