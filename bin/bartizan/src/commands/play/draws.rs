//! Which control sequences only draw.
//!
//! A list of what is let through, and not of what is not: terminals learn new questions every few years.

use std::borrow::Cow;

/// Modes of `CSI ? … h` and `l` that change what the screen looks like: columns, reverse, origin, wrap, cursor, margins,
/// alternate screens, synchronised output. What changes what the keyboard, the mouse or a focus sends is none of them, as the
/// keypad's mode (66).
const MODES: [&[u8]; 16] = [
    b"3", b"5", b"6", b"7", b"12", b"25", b"40", b"45", b"47", b"69", b"95", b"1045", b"1047", b"1048",
    b"1049", b"2026",
];

/// What of a whole control sequence (`CSI`, as `ESC [`) draws: all of it, the modes of it that do, or nothing.
pub(super) fn drawn(sequence: &[u8]) -> Option<Cow<'_, [u8]>> {
    let [0x1b, b'[', body @ .., last] = sequence else { return None };
    let private = body.iter().take_while(|byte| matches!(byte, 0x3c..=0x3f)).count();
    let (private, rest) = body.split_at_checked(private)?;
    let middle = rest.iter().position(|byte| matches!(byte, 0x20..=0x2f)).unwrap_or(rest.len());
    let (parameters, between) = rest.split_at_checked(middle)?;
    let draws = match (private, between, last) {
        (b"?", b"", b'h' | b'l') => return modes(parameters, *last),
        // Insert mode; others lock the keyboard, echo what is typed, or change what Return sends.
        (b"", b"", b'h' | b'l') => parameters == b"4",
        (b"?", b"", b'J' | b'K') => true,
        // Alone it restores the cursor, with parameters it asks or sets how keys are sent.
        (b"", b"", b'u') => parameters.is_empty(),
        // With several parameters it follows the mouse.
        (b"", b"", b'T') => !parameters.contains(&b';'),
        (b"", b"", last) => b"@ABCDEFGHIJKLMPSXZ`abdefgmrs".contains(last),
        (b"", b" ", b'q' | b'@' | b'A') | (b"", b"!", b'p') | (b"", b"\"", b'q') | (b"", b"*", b'x') => true,
        (b"", b"$", b'r' | b't' | b'v' | b'x' | b'z' | b'{') | (b"", b"'", b'}' | b'~') => true,
        (b"", b"#", b'p' | b'q' | b'{' | b'}') => true,
        _ => false,
    };
    draws.then_some(Cow::Borrowed(sequence))
}

/// Those of the modes that draw.
fn modes(parameters: &[u8], last: u8) -> Option<Cow<'static, [u8]>> {
    let drawing: Vec<&[u8]> =
        parameters.split(|&byte| byte == b';').filter(|mode| MODES.contains(mode)).collect();
    if drawing.is_empty() {
        return None;
    }
    Some(Cow::Owned([b"\x1b[?".as_slice(), &drawing.join(&b';'), &[last]].concat()))
}

/// Whether a whole escape sequence that is no control sequence and no string draws. `ESC Z` asks, `ESC =` and `ESC >` change
/// what the keypad sends, `ESC SP F` changes how terminals answer, and `ESC %` takes them out of UTF-8, where single bytes are controls.
pub(super) fn escape_draws(sequence: &[u8]) -> bool {
    match sequence {
        [0x1b, b'Z' | b'=' | b'>'] => false,
        [0x1b, 0x30..=0x7e] => true,
        [0x1b, b'(' | b')' | b'*' | b'+' | b'-' | b'.' | b'/' | b'#', .., _] => true,
        _ => false,
    }
}
