//! Showing bytes that came from a peer.

use std::fmt;

/// Shows foreign bytes so that they cannot move a cursor, colour a terminal or forge a line.
///
/// Printable text stays as it is; control characters, bidirectional overrides, invalid UTF-8 and the
/// backslash become `\n`, `\x1b`, `\u{202e}` and the like, so that what was sent can be read back exactly.
#[derive(Clone, Copy)]
pub struct Escaped<'a>(pub &'a [u8]);

/// Escapes foreign bytes into a string. See [`Escaped`].
pub fn escape(bytes: &[u8]) -> String {
    Escaped(bytes).to_string()
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '\\' => f.write_str("\\\\")?,
                    '\n' => f.write_str("\\n")?,
                    '\r' => f.write_str("\\r")?,
                    '\t' => f.write_str("\\t")?,
                    c if c.is_ascii_control() => write!(f, "\\x{:02x}", u32::from(c))?,
                    c if c.is_control() || is_invisible_or_reordering(c) => {
                        write!(f, "\\u{{{:x}}}", u32::from(c))?
                    }
                    c => fmt::Write::write_char(f, c)?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Characters that hide or reorder others: zero-width, bidirectional controls, line separators, tags.
fn is_invisible_or_reordering(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn what_could_fool_a_reader_is_escaped() {
        for (bytes, shown) in [
            (&b"web-1"[..], "web-1"),
            ("größe 名".as_bytes(), "größe 名"),
            (b"a\x1b[2Jb", "a\\x1b[2Jb"),
            (b"line\nnext\r\t", "line\\nnext\\r\\t"),
            (b"\xff\xfe", "\\xff\\xfe"),
            ("\u{202e}evil".as_bytes(), "\\u{202e}evil"),
            (b"\\x1b", "\\\\x1b"),
            ("\u{9b}31m".as_bytes(), "\\u{9b}31m"),
        ] {
            assert_eq!(escape(bytes), shown);
        }
    }
}
