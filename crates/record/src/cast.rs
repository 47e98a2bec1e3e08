//! asciicast v2, line by line: terminal bytes as JSON and back.
//!
//! asciicast text is Unicode, terminal bytes need not be. A byte `0xNN` that is not part of valid UTF-8 is
//! written as the private character U+10FENN (from U+10FE80 to U+10FEFF); those characters themselves, should
//! a terminal ever show one, are written as the four bytes that they consist of. So every byte string has
//! exactly one text and comes back exactly, and stock players show one unknown glyph a byte.
//!
//! Standard error of a terminal channel is shown too, as the client would: as `o` events, after an event
//! `[t, "s", "error"]` that stock tools ignore and that ends with `[t, "s", "output"]` or the zstd frame.

use std::borrow::Cow;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

/// Longest run of bytes put into one event. Written out, it is at most six times as long and fits in a frame.
pub(crate) const MAX_EVENT_BYTES: usize = 8 << 10;

/// First of the characters that stand for bytes: U+10FE00 + the byte.
const BYTE_BASE: u32 = 0x10_FE00;

/// Bytes that cannot be copied as they are: controls, `"`, `\`, the leads of C1 controls and of U+10FExx.
const SPECIAL: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = true;
        byte += 1;
    }
    table[b'"' as usize] = true;
    table[b'\\' as usize] = true;
    table[0x7f] = true;
    table[0xc2] = true;
    table[0xf4] = true;
    table
};

/// Appends `bytes` as the inside of a JSON string.
pub(crate) fn escape_into(out: &mut Vec<u8>, bytes: &[u8]) {
    if std::str::from_utf8(bytes).is_ok() {
        escape_utf8(out, bytes);
        return;
    }
    for chunk in bytes.utf8_chunks() {
        escape_utf8(out, chunk.valid().as_bytes());
        chunk.invalid().iter().for_each(|&byte| push_byte(out, byte));
    }
}

/// Appends valid UTF-8: runs of plain bytes at once, the others one by one.
fn escape_utf8(out: &mut Vec<u8>, mut bytes: &[u8]) {
    loop {
        let plain = bytes.iter().position(|&b| SPECIAL[usize::from(b)]).unwrap_or(bytes.len());
        let (run, rest) = bytes.split_at(plain);
        out.extend_from_slice(run);
        let used = match *rest {
            [] => return,
            [b'\n', ..] => push(out, br"\n", 1),
            [b'\r', ..] => push(out, br"\r", 1),
            [0x1b, ..] => push(out, br"\u001b", 1),
            [b'"', ..] => push(out, br#"\""#, 1),
            [b'\\', ..] => push(out, br"\\", 1),
            [b'\t', ..] => push(out, br"\t", 1),
            [0xc2, next @ 0x80..=0x9f, ..] => push_unicode(out, next, 2),
            [0xf4, 0x8f, 0xba | 0xbb, _, ..] => {
                rest.iter().take(4).for_each(|&byte| push_byte(out, byte));
                4
            }
            [lead @ (0xc2 | 0xf4), ..] => push(out, &[lead], 1),
            [control, ..] => push_unicode(out, control, 1),
        };
        bytes = rest.get(used..).unwrap_or_default();
    }
}

fn push(out: &mut Vec<u8>, text: &[u8], used: usize) -> usize {
    out.extend_from_slice(text);
    used
}

fn push_unicode(out: &mut Vec<u8>, code: u8, used: usize) -> usize {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(br"\u00");
    out.push(HEX[usize::from(code >> 4)]);
    out.push(HEX[usize::from(code & 15)]);
    used
}

fn push_byte(out: &mut Vec<u8>, byte: u8) {
    // U+10FE80..U+10FEFF in UTF-8.
    out.extend_from_slice(&[0xf4, 0x8f, 0xb8 | byte >> 6, 0x80 | byte & 0x3f]);
}

/// The bytes that an event's text stands for.
pub(crate) fn unescape(text: &str) -> Vec<u8> {
    if !text.as_bytes().contains(&0xf4) {
        return text.as_bytes().to_vec();
    }
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        match u32::from(c).checked_sub(BYTE_BASE) {
            Some(byte @ 0x80..=0xff) => bytes.push(byte as u8),
            _ => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

/// How many bytes at the end of `bytes` are the beginning of a UTF-8 character that may still come: 0 to 3.
pub(crate) fn incomplete_tail(bytes: &[u8]) -> usize {
    for back in 1..=bytes.len().min(3) {
        let at = bytes.len() - back;
        let need = match bytes[at] {
            0x80..=0xbf => continue,
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => return 0,
        };
        // `from_utf8` tells a beginning (no error length) from something already wrong (an overlong form).
        let begun = std::str::from_utf8(&bytes[at..]).is_err_and(|e| e.error_len().is_none());
        return if back < need && begun { back } else { 0 };
    }
    0
}

/// The header of asciicast v2, its version first, as tools that look at a file's first bytes expect.
#[derive(Serialize)]
pub(crate) struct HeaderV2<'a> {
    pub(crate) version: u8,
    pub(crate) width: u16,
    pub(crate) height: u16,
    pub(crate) timestamp: u64,
    pub(crate) title: &'a str,
    pub(crate) env: Env<'a>,
    /// What our own reader wants to know; others ignore it.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub(crate) bartizan: Value,
}

/// The header of asciicast v3.
#[derive(Serialize)]
pub(crate) struct HeaderV3<'a> {
    pub(crate) version: u8,
    pub(crate) term: Term<'a>,
    pub(crate) timestamp: u64,
    pub(crate) title: &'a str,
}

/// The recorded terminal, in asciicast v2.
#[derive(Serialize)]
pub(crate) struct Env<'a> {
    #[serde(rename = "TERM")]
    pub(crate) term: &'a str,
}

/// The recorded terminal, in asciicast v3.
#[derive(Serialize)]
pub(crate) struct Term<'a> {
    pub(crate) cols: u16,
    pub(crate) rows: u16,
    #[serde(rename = "type", skip_serializing_if = "str::is_empty")]
    pub(crate) term: &'a str,
}

/// Appends `[12.345678, "o", "` … `"]` and a newline.
pub(crate) fn event_into(out: &mut Vec<u8>, micros: u64, code: u8, bytes: &[u8]) {
    out.push(b'[');
    seconds_into(out, micros);
    out.extend_from_slice(&[b',', b' ', b'"', code, b'"', b',', b' ', b'"']);
    escape_into(out, bytes);
    out.extend_from_slice(b"\"]\n");
}

/// Appends microseconds as seconds with six decimals.
pub(crate) fn seconds_into(out: &mut Vec<u8>, micros: u64) {
    out.extend_from_slice(format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000).as_bytes());
}

/// One line of a cast, read back. Times count from the cast's own start.
#[derive(Debug, PartialEq)]
pub(crate) struct Line {
    pub(crate) at: Duration,
    pub(crate) code: char,
    pub(crate) text: String,
}

/// Reads an event's line; `None` when it is not one. Codes of more than one letter count as their first.
pub(crate) fn parse_line(line: &[u8]) -> Option<Line> {
    let (seconds, code, text): (f64, Cow<'_, str>, Cow<'_, str>) = serde_json::from_slice(line).ok()?;
    let at = duration(seconds)?;
    Some(Line { at, code: code.chars().next()?, text: text.into_owned() })
}

fn duration(seconds: f64) -> Option<Duration> {
    let micros = (seconds * 1e6).round();
    // Beyond 2^53 microseconds (285 years) a JSON number cannot tell them apart.
    (0.0..9.007_199_254_740_992e15).contains(&micros).then(|| Duration::from_micros(micros as u64))
}

/// Reads a header's line; `None` when it is not one of asciicast v2.
pub(crate) fn parse_header(line: &[u8]) -> Option<Value> {
    let header: Value = serde_json::from_slice(line).ok()?;
    (header.get("version")?.as_u64()? == 2).then_some(header)
}

/// Reads a size such as `80x24`.
pub(crate) fn parse_size(text: &str) -> Option<(u16, u16)> {
    let (cols, rows) = text.split_once('x')?;
    Some((cols.parse().ok()?, rows.parse().ok()?))
}

/// A terminal's dimension as players can take it. The exact value is in the audit log.
pub(crate) fn clamp_size(cells: u32) -> u16 {
    cells.clamp(1, u32::from(u16::MAX)) as u16
}

/// The dimension that a client asks for; what it was where that is zero, which is to be ignored (RFC 4254 §6.2).
pub(crate) fn size_or(cells: u32, before: u16) -> u16 {
    if cells == 0 { before } else { clamp_size(cells) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn escaped(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        escape_into(&mut out, bytes);
        String::from_utf8(out).expect("JSON text is UTF-8")
    }

    #[test]
    fn bytes_are_written_as_json() {
        for (bytes, shown) in [
            (&b"plain"[..], "plain"),
            (b"a\r\n\t\"\\", r#"a\r\n\t\"\\"#),
            (b"\x1b[0m\x00\x7f", r"\u001b[0m\u0000\u007f"),
            ("größe 名".as_bytes(), "größe 名"),
            ("\u{9b}2J".as_bytes(), r"\u009b2J"),
            (b"\xff", "\u{10feff}"),
            (b"\xe2\x82", "\u{10fee2}\u{10fe82}"),
            ("\u{10fe80}".as_bytes(), "\u{10fef4}\u{10fe8f}\u{10feba}\u{10fe80}"),
            ("\u{10fffd}©".as_bytes(), "\u{10fffd}©"),
        ] {
            assert_eq!(escaped(bytes), shown);
        }
    }

    #[test]
    fn seconds_have_six_decimals() {
        for (micros, shown) in [
            (0, "0.000000"),
            (1, "0.000001"),
            (999_999, "0.999999"),
            (1_000_000, "1.000000"),
            (12_345_678, "12.345678"),
            (3_600_000_000, "3600.000000"),
            (u64::MAX, "18446744073709.551615"),
        ] {
            let mut out = Vec::new();
            seconds_into(&mut out, micros);
            assert_eq!(String::from_utf8(out).unwrap(), shown);
        }
    }

    #[test]
    fn only_a_character_that_may_still_come_is_held_back() {
        for (bytes, held) in [
            (&b"a"[..], 0),
            (b"\xc3", 1),
            (b"x\xe2\x82", 2),
            (b"\xf0\x9f\x98", 3),
            (b"\xf0\x9f\x98\x80", 0),
            (b"\x82\x82\x82", 0),
            (b"\xe0\x80", 0),
            (b"\xed\xa0", 0),
            (b"\xf4\x90", 0),
            (b"\xc0", 0),
            (b"\xff", 0),
            (b"", 0),
        ] {
            assert_eq!(incomplete_tail(bytes), held, "{bytes:02x?}");
        }
    }

    #[test]
    fn foreign_lines_are_no_events() {
        for line in [
            &b""[..],
            b"{}",
            b"[1]",
            b"[-1, \"o\", \"\"]",
            b"[1e300, \"o\", \"\"]",
            b"[1, \"\", \"\"]",
            b"[1, \"o\", \"\\ud800\"]",
            b"[1, \"o\", 3]",
            b"[null, \"o\", \"\"]",
            b"[1, \"o\", \"\"] x",
            b"\xff",
        ] {
            assert_eq!(parse_line(line), None);
        }
    }

    proptest! {
        #[test]
        fn every_byte_string_comes_back(bytes in prop::collection::vec(any::<u8>(), 0..300), micros in 0..1_u64 << 49) {
            let mut line = Vec::new();
            event_into(&mut line, micros, b'o', &bytes);
            let back = parse_line(&line).expect("an event");
            prop_assert_eq!(unescape(&back.text), bytes.clone());
            prop_assert_eq!(back.at, Duration::from_micros(micros));
        }

        #[test]
        fn private_characters_come_back(text in "[\u{10fdfd}-\u{10ff02}a\u{80}-\u{ff}]{0,40}", cut in 0..40_usize) {
            let bytes = text.as_bytes().get(cut..).unwrap_or_default();
            let line = format!("[0, \"o\", \"{}\"]", escaped(bytes));
            prop_assert_eq!(unescape(&parse_line(line.as_bytes()).expect("an event").text), bytes);
        }

        #[test]
        fn what_is_held_back_is_the_start_of_a_character(text in "\\PC{0,8}", cut in 0..32_usize) {
            let bytes = text.as_bytes();
            let cut = cut.min(bytes.len());
            let held = incomplete_tail(&bytes[..cut]);
            prop_assert!(std::str::from_utf8(&bytes[..cut - held]).is_ok());
        }
    }
}
