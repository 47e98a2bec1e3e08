//! What of a recording may reach the viewer's terminal.
//!
//! A target that knows it is recorded could speak to whoever watches: set their clipboard, ask their terminal
//! for answers that end up as typed text, move their window, print. So of the output these are left out, and
//! everything that draws is kept:
//!
//! - OSC, DCS, APC, PM and SOS strings, to their end: titles, clipboard, files, queries, graphics;
//! - CSI sequences but those that are known to draw: questions (device attributes, status, versions, modes, checksums),
//!   window operations, media copy, and what changes what keys, mouse and focus send;
//! - `ESC Z` (identify) and ENQ, which make a terminal answer, `ESC =` and `ESC >`, which change what the keypad sends, and
//!   `ESC %`, which ends UTF-8;
//! - the forms of all of these in UTF-8's 8-bit controls. (Terminals that are not set to UTF-8 and take single
//!   bytes from 0x80 to 0x9f for controls are not helped by this.)
//!
//! A channel without a terminal is shown as text, its control characters escaped.

use bartizan_model::escape;

use super::draws::{drawn, escape_draws};

/// Where the filter is in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ground,
    /// After ESC, with intermediates held.
    Escape,
    /// Inside CSI.
    Sequence,
    /// Inside a string that is left out; true after an ESC in it.
    Skip {
        escape: bool,
    },
    /// After 0xC2, which begins the UTF-8 form of an 8-bit control.
    Upper,
}

/// Longest sequence that is held back until its end shows what it is, in bytes.
const LONGEST: usize = 256;

/// A filter over one channel's output; sequences may come in pieces.
#[derive(Debug)]
pub(super) struct Tame {
    pty: bool,
    state: State,
    held: Vec<u8>,
}

impl Tame {
    /// A filter for a channel with or without a terminal.
    pub(super) fn new(pty: bool) -> Self {
        Self { pty, state: State::Ground, held: Vec::new() }
    }

    /// Forgets what was begun: what comes next is from the beginning.
    pub(super) fn reset(&mut self) {
        *self = Self::new(self.pty);
    }

    /// What of `bytes` may be shown.
    pub(super) fn filter(&mut self, bytes: &[u8]) -> Vec<u8> {
        if !self.pty {
            return as_text(bytes);
        }
        let mut shown = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            self.take(byte, &mut shown);
        }
        shown
    }

    fn take(&mut self, byte: u8, shown: &mut Vec<u8>) {
        match self.state {
            State::Ground => self.ground(byte, shown),
            State::Upper => self.upper(byte, shown),
            State::Escape => self.escape(byte, shown),
            State::Sequence => self.sequence(byte, shown),
            State::Skip { escape } => {
                // BEL ends OSC only, but a terminal that is stricter shows no more for it.
                self.state = match byte {
                    0x07 | 0x18 | 0x1a => State::Ground,
                    b'\\' if escape => State::Ground,
                    0x9c if !escape => State::Ground,
                    _ => State::Skip { escape: byte == 0x1b },
                };
            }
        }
    }

    fn ground(&mut self, byte: u8, shown: &mut Vec<u8>) {
        match byte {
            0x1b => self.hold(byte, State::Escape),
            0xc2 => self.hold(byte, State::Upper),
            // ENQ: the terminal would answer.
            0x05 => {}
            _ => shown.push(byte),
        }
    }

    fn upper(&mut self, byte: u8, shown: &mut Vec<u8>) {
        self.held.clear();
        match byte {
            0x9b => {
                self.held.extend(b"\x1b[");
                self.state = State::Sequence;
            }
            0x90 | 0x98 | 0x9d | 0x9e | 0x9f => self.state = State::Skip { escape: false },
            // DECID, and the rest of the 8-bit controls, which nobody needs.
            0x80..0xa0 => self.state = State::Ground,
            0xa0..0xc0 => {
                self.state = State::Ground;
                shown.extend([0xc2, byte]);
            }
            // Half a character: left out, or it would join what comes later. The byte is judged by itself.
            _ => {
                self.state = State::Ground;
                self.take(byte, shown);
            }
        }
    }

    fn escape(&mut self, byte: u8, shown: &mut Vec<u8>) {
        match byte {
            b'[' if self.held.len() == 1 => self.hold(byte, State::Sequence),
            b']' | b'P' | b'X' | b'^' | b'_' if self.held.len() == 1 => {
                self.drop_held(State::Skip { escape: false })
            }
            // Intermediates, as in `ESC ( B`.
            0x20..=0x2f => self.hold(byte, State::Escape),
            0x30..=0x7e => {
                self.held.push(byte);
                if escape_draws(&self.held) {
                    shown.extend(&self.held);
                }
                self.drop_held(State::Ground);
            }
            _ => self.interrupted(byte, shown),
        }
    }

    fn sequence(&mut self, byte: u8, shown: &mut Vec<u8>) {
        match byte {
            0x20..=0x3f => self.hold(byte, State::Sequence),
            0x40..=0x7e => {
                self.held.push(byte);
                if let Some(drawn) = drawn(&self.held) {
                    shown.extend(drawn.iter());
                }
                self.drop_held(State::Ground);
            }
            _ => self.interrupted(byte, shown),
        }
    }

    /// A byte that has no place in the sequence: terminals differ in what they make of it, so the sequence is
    /// left out and the byte judged by itself.
    fn interrupted(&mut self, byte: u8, shown: &mut Vec<u8>) {
        match byte {
            // Controls inside a sequence are carried out, and the sequence goes on.
            0x08..=0x0d => shown.push(byte),
            _ => {
                self.drop_held(State::Ground);
                if !matches!(byte, 0x18 | 0x1a) {
                    self.ground(byte, shown);
                }
            }
        }
    }

    fn hold(&mut self, byte: u8, state: State) {
        self.state = state;
        self.held.push(byte);
        if self.held.len() > LONGEST {
            self.drop_held(State::Ground);
        }
    }

    fn drop_held(&mut self, state: State) {
        self.held.clear();
        self.state = state;
    }
}

/// Bytes that were never meant for a terminal: lines and tabs stay, all other controls are escaped.
fn as_text(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len());
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        let (line, end) = match line.strip_suffix(b"\n") {
            Some(line) => (line.strip_suffix(b"\r").unwrap_or(line), &b"\r\n"[..]),
            None => (line, &b""[..]),
        };
        for (i, part) in line.split(|&byte| byte == b'\t').enumerate() {
            if i > 0 {
                text.push(b'\t');
            }
            text.extend(escape(part).replace("\\\\", "\\").bytes());
        }
        text.extend(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tamed(bytes: &[u8]) -> Vec<u8> {
        Tame::new(true).filter(bytes)
    }

    #[test]
    fn what_draws_is_kept_and_what_reaches_beyond_is_not() {
        for kept in [
            &b"plain \xc3\xa9 text\r\n\t\x08"[..],
            b"\x1b[1;31mred\x1b[0m",
            b"\x1b[2J\x1b[H\x1b[?1049h\x1b[10;20r\x1b[u\x1b[s",
            b"\x1b(0lqk\x1b(B\x1b7\x1b8\x1bM\x1b[4h\x1b[4l",
            b"\x1b[38;2;1;2;3m\x1b[4:3m\x1b[?25l\x1b[!p\x1b[2 q\x1b[?2026h\x1b[?12;25h\x1b[?J",
            b"\x1b[1;1;5;5$z\x1b[2T\x1b[5`\x1b[#{\x1bc\x1b#8",
            "\u{a0}\u{b5}\u{e9}\u{540d}".as_bytes(),
        ] {
            assert_eq!(tamed(kept), kept, "{kept:?}");
        }
        for (bytes, shown) in [
            (&b"a\x1b]0;title\x07b"[..], &b"ab"[..]),
            (b"a\x1b]52;c;ZXZpbA==\x1b\\b", b"ab"),
            (b"a\x1bP$qm\x1b\\b\x1b_G\x1b\\c\x1b^x\x1b\\d\x1bXy\x1b\\e", b"abcde"),
            (b"a\x1b[cb\x1b[>0cc\x1b[6nd\x1b[?6ne", b"abcde"),
            (b"a\x1b[8;50;100tb\x1b[21tc\x1b[xd\x1b[5ie\x1b[?2004$pf\x1b[?ug", b"abcdefg"),
            (b"a\x1bZb\x05c\x1b%@d\x1b Ge", b"abcde"),
            (b"a\x1b[>qb\x1b[>0qc\x1b[1$wd\x1b[1;1;1;1;9;9*ye", b"abcde"),
            (b"a\x1b[?1;1;0Sb\x1b[?4mc\x1b[>4;2md\x1b[?996ne\x1b[>1uf\x1b[1ug", b"abcdefg"),
            (b"a\x1b[1;2;3;4;5Tb\x1b[?1004hc\x1b[?1000;1006hd\x1b[?2004he\x1b[?1sf", b"abcdef"),
            (b"a\x1b[2hb\x1b[20hc\x1b[12ld\x1b[4;2he\x1b[hf", b"abcdef"),
            (b"a\x1b[?66hb\x1b=c\x1b>d", b"abcd"),
            (b"a\x1b[?1;25;66;1000lb", b"a\x1b[?25lb"),
            (b"a\xc2\x9b6nb\xc2\x9d0;x\x07c\xc2\x90q\x1b\\d\xc2\x9ae", b"abcde"),
            (b"a\xc2\x9b31mb", b"a\x1b[31mb"),
            (b"a\x1b[6\x1b[6nb", b"ab"),
            (b"a\x1b[6\x18nb", b"anb"),
            (b"a\x1b[3\n1mb", b"a\n\x1b[31mb"),
            (b"a\xc2\x1b]0;x\x07b", b"ab"),
            (b"a\xc2\x1bZ\x9b6n", b"a\x9b6n"),
        ] {
            assert_eq!(tamed(bytes), shown, "{bytes:?}");
        }
        let endless = [b"\x1b[".as_slice(), &[b'1'; 10_000]].concat();
        assert!(tamed(&endless).len() < endless.len());
    }

    #[test]
    fn a_channel_without_a_terminal_is_shown_as_text() {
        let shown = Tame::new(false).filter(b"one\ttwo\r\n\x1b[2J\xff\\n\nend");
        assert_eq!(shown, b"one\ttwo\r\n\\x1b[2J\\xff\\n\r\nend");
    }

    #[test]
    fn a_replay_begins_afresh() {
        let mut tame = Tame::new(true);
        assert_eq!(tame.filter(b"\x1b]0;never ended"), b"");
        tame.reset();
        assert_eq!(tame.filter(b"shown"), b"shown");
    }

    proptest! {
        /// Where the stream is cut makes no difference, and nothing that asks or acts comes through.
        #[test]
        fn chunks_and_controls(
            bytes in proptest::collection::vec(
                prop_oneof![Just(0x1b), Just(b'['), Just(b']'), Just(0xc2), Just(0x9b), Just(b'n'), Just(7), any::<u8>()],
                0..200,
            ),
            cuts in proptest::collection::vec(0_usize..200, 0..5),
        ) {
            let whole = tamed(&bytes);
            let mut tame = Tame::new(true);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<u8> = cuts.windows(2).flat_map(|pair| tame.filter(&bytes[pair[0]..pair[1]])).collect();
            prop_assert_eq!(&pieces, &whole);
            for forbidden in [&b"\x1b]"[..], b"\x1bP", b"\x1b_", b"\x1b[c", b"\x1b[6n", b"\x05"] {
                prop_assert!(!whole.windows(forbidden.len()).any(|window| window == forbidden));
            }
            // What was let through once is let through again as it is.
            prop_assert_eq!(tamed(&whole), whole);
        }
    }
}
