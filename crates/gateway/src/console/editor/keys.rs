//! From bytes of a terminal to keys.
//!
//! Takes bytes in any chunking and never holds more than one character or one escape sequence back. Sequences
//! are those of xterm, VT100 and the Linux console (ECMA-48 §5.4); one that is too long or unknown is swallowed whole.

/// Bytes of an escape sequence's parameters that are kept; a longer one is no key that anybody has.
const PARAMETERS: usize = 16;

/// One key, or what stands for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// A printable character.
    Char(char),
    /// Control and a letter, as its capital: `Ctrl('A')` is byte 1.
    Ctrl(char),
    /// Alt (or Escape before) a character.
    Alt(char),
    Enter,
    Tab,
    Backspace,
    /// Alt and Backspace.
    AltBackspace,
    Delete,
    Left,
    Right,
    Up,
    Down,
    Home,
    End,
    /// Control or Alt and the left cursor key.
    WordLeft,
    /// Control or Alt and the right cursor key.
    WordRight,
    PageUp,
    PageDown,
    /// Bytes that are no key: rubbish, or a sequence that nobody here knows.
    Unknown,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    /// A CR was last: an LF that follows belongs to it.
    AfterCr,
    /// Inside a UTF-8 character: its bytes so far.
    Utf8 {
        bytes: [u8; 4],
        len: usize,
        wanted: usize,
    },
    Escape,
    /// `ESC [`, with the parameters so far.
    Csi {
        parameters: [u8; PARAMETERS],
        len: usize,
    },
    /// `ESC O`.
    Ss3,
}

/// The decoder.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys(State);

impl Keys {
    /// Takes one byte; gives a key when it completes one.
    pub(crate) fn feed(&mut self, byte: u8) -> Option<Key> {
        match std::mem::take(&mut self.0) {
            State::AfterCr if byte == b'\n' => None,
            State::Ground | State::AfterCr => self.ground(byte),
            State::Utf8 { bytes, len, wanted } => self.utf8(byte, bytes, len, wanted),
            State::Escape => self.escape(byte),
            State::Csi { parameters, len } => self.csi(byte, parameters, len),
            State::Ss3 if (0x40..=0x7e).contains(&byte) => Some(final_byte(byte, b"")),
            State::Ss3 => self.ground(byte),
        }
    }

    fn ground(&mut self, byte: u8) -> Option<Key> {
        Some(match byte {
            b'\r' => {
                self.0 = State::AfterCr;
                Key::Enter
            }
            b'\n' => Key::Enter,
            b'\t' => Key::Tab,
            0x08 | 0x7f => Key::Backspace,
            0x1b => {
                self.0 = State::Escape;
                return None;
            }
            1..=26 => Key::Ctrl(char::from(byte + b'@')),
            b' '..=b'~' => Key::Char(char::from(byte)),
            0xc2..=0xdf => return self.begin(byte, 2),
            0xe0..=0xef => return self.begin(byte, 3),
            0xf0..=0xf4 => return self.begin(byte, 4),
            _ => Key::Unknown,
        })
    }

    fn begin(&mut self, byte: u8, wanted: usize) -> Option<Key> {
        self.0 = State::Utf8 { bytes: [byte, 0, 0, 0], len: 1, wanted };
        None
    }

    fn utf8(&mut self, byte: u8, mut bytes: [u8; 4], len: usize, wanted: usize) -> Option<Key> {
        if !(0x80..0xc0).contains(&byte) {
            // The character breaks off; what follows is read by itself.
            return self.ground(byte);
        }
        bytes[len] = byte;
        if len + 1 < wanted {
            self.0 = State::Utf8 { bytes, len: len + 1, wanted };
            return None;
        }
        let text = std::str::from_utf8(&bytes[..wanted]).ok();
        Some(text.and_then(|text| text.chars().next()).map_or(Key::Unknown, Key::Char))
    }

    fn escape(&mut self, byte: u8) -> Option<Key> {
        Some(match byte {
            b'[' => {
                self.0 = State::Csi { parameters: [0; PARAMETERS], len: 0 };
                return None;
            }
            b'O' => {
                self.0 = State::Ss3;
                return None;
            }
            // Escape twice: the second begins anew.
            0x1b => {
                self.0 = State::Escape;
                return None;
            }
            0x08 | 0x7f => Key::AltBackspace,
            b' '..=b'~' => Key::Alt(char::from(byte)),
            // Escape alone means nothing; what follows does.
            _ => return self.ground(byte),
        })
    }

    fn csi(&mut self, byte: u8, mut parameters: [u8; PARAMETERS], len: usize) -> Option<Key> {
        match byte {
            0x20..=0x3f => {
                // Beyond what is kept only the fact counts that it is too long.
                if let Some(slot) = parameters.get_mut(len) {
                    *slot = byte;
                }
                self.0 = State::Csi { parameters, len: (len + 1).min(PARAMETERS + 1) };
                None
            }
            0x40..=0x7e => Some(match parameters.get(..len) {
                Some(parameters) => final_byte(byte, parameters),
                None => Key::Unknown,
            }),
            // A control character breaks the sequence off.
            _ => self.ground(byte),
        }
    }
}

/// The key of a sequence's last byte and its parameters.
fn final_byte(byte: u8, parameters: &[u8]) -> Key {
    let mut numbers = parameters.split(|&b| b == b';');
    let (first, modifier) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    // xterm: 3 is Alt, 5 is Control.
    let by_word = matches!(modifier, b"3" | b"5");
    match byte {
        b'A' => Key::Up,
        b'B' => Key::Down,
        b'C' if by_word => Key::WordRight,
        b'D' if by_word => Key::WordLeft,
        b'C' => Key::Right,
        b'D' => Key::Left,
        b'H' => Key::Home,
        b'F' => Key::End,
        b'M' if parameters.is_empty() => Key::Enter,
        b'~' => match first {
            b"1" | b"7" => Key::Home,
            b"4" | b"8" => Key::End,
            b"3" => Key::Delete,
            b"5" => Key::PageUp,
            b"6" => Key::PageDown,
            _ => Key::Unknown,
        },
        _ => Key::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut keys = Keys::default();
        bytes.iter().filter_map(|&byte| keys.feed(byte)).collect()
    }

    #[test]
    fn what_terminals_send_is_understood() {
        for (bytes, expected) in [
            (&b"a~ "[..], &[Key::Char('a'), Key::Char('~'), Key::Char(' ')][..]),
            ("é名🎉".as_bytes(), &[Key::Char('é'), Key::Char('名'), Key::Char('🎉')]),
            (b"\x01\x0b\x1a", &[Key::Ctrl('A'), Key::Ctrl('K'), Key::Ctrl('Z')]),
            (b"\r\n\n\r\r", &[Key::Enter, Key::Enter, Key::Enter, Key::Enter]),
            (b"\x7f\x08\t", &[Key::Backspace, Key::Backspace, Key::Tab]),
            (b"\x1b[A\x1bOB\x1b[C\x1bOD", &[Key::Up, Key::Down, Key::Right, Key::Left]),
            (
                b"\x1b[H\x1bOF\x1b[1~\x1b[4~\x1b[7~\x1b[8~",
                &[Key::Home, Key::End, Key::Home, Key::End, Key::Home, Key::End],
            ),
            (b"\x1b[3~\x1b[5~\x1b[6~", &[Key::Delete, Key::PageUp, Key::PageDown]),
            (b"\x1b[1;5C\x1b[1;3D\x1bb\x1bf", &[Key::WordRight, Key::WordLeft, Key::Alt('b'), Key::Alt('f')]),
            (b"\x1b\x7f\x1bd", &[Key::AltBackspace, Key::Alt('d')]),
            (b"\x1b[200~x\x1b[?1;2c", &[Key::Unknown, Key::Char('x'), Key::Unknown]),
        ] {
            assert_eq!(keys(bytes), expected, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn rubbish_is_swallowed_and_what_follows_is_read() {
        for (bytes, expected) in [
            (&b"\xff\xc0a"[..], &[Key::Unknown, Key::Unknown, Key::Char('a')][..]),
            (b"\xe5\x90a", &[Key::Char('a')]),
            (b"\xe5\x90\r", &[Key::Enter]),
            // An overlong form and a surrogate are no characters.
            (b"\xe0\x80\x80\xed\xa0\x80a", &[Key::Unknown, Key::Unknown, Key::Char('a')]),
            (b"\x1b[\x03", &[Key::Ctrl('C')]),
            (b"\x1b[12345678901234567890~a", &[Key::Unknown, Key::Char('a')]),
            (b"\x1b\x1b[A", &[Key::Up]),
        ] {
            assert_eq!(keys(bytes), expected, "{}", bytes.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_stumble_and_enter_is_always_heard(bytes: Vec<u8>) {
            let mut decoder = Keys::default();
            for byte in bytes {
                let _ = decoder.feed(byte);
            }
            prop_assert_eq!(decoder.feed(b'\r'), Some(Key::Enter));
        }
    }
}
