//! Keys of the player.

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Pause,
    Step,
    Slower,
    Faster,
    Back,
    Ahead,
    Quit,
}

/// The keys in what was typed.
///
/// Sequences that are no keys are skipped whole: terminals answer questions that a recording may hold.
pub(super) fn typed(bytes: &[u8]) -> Vec<Key> {
    let mut keys = Vec::new();
    let mut rest = bytes;
    while let [first, after @ ..] = rest {
        let (key, length) = match (first, after) {
            (0x1b, [b'[' | b'O', sequence @ ..]) => {
                let end = sequence.iter().position(|byte| (0x40..0x7f).contains(byte));
                let key = match (end, sequence) {
                    (Some(0), [b'D', ..]) => Some(Key::Back),
                    (Some(0), [b'C', ..]) => Some(Key::Ahead),
                    _ => None,
                };
                (key, 2 + end.map_or(sequence.len(), |end| end + 1))
            }
            (0x1b, after) => (None, 1 + after.len().min(1)),
            _ => (plain(*first), 1),
        };
        keys.extend(key);
        rest = rest.get(length..).unwrap_or_default();
    }
    keys
}

fn plain(byte: u8) -> Option<Key> {
    match byte {
        b' ' => Some(Key::Pause),
        b'.' => Some(Key::Step),
        b'[' => Some(Key::Slower),
        b']' => Some(Key::Faster),
        // Control-C and Control-D: in raw mode they are bytes like others.
        b'q' | b'Q' | 0x03 | 0x04 => Some(Key::Quit),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_what_are_none() {
        use Key::{Ahead, Back, Faster, Pause, Quit, Slower, Step};
        for (bytes, keys) in [
            (&b" .[]q"[..], &[Pause, Step, Slower, Faster, Quit][..]),
            (b"\x1b[D\x1bOC\x1b[C", &[Back, Ahead, Ahead]),
            (b"\x03\x04", &[Quit, Quit]),
            (b"x\n", &[]),
            (b"", &[]),
            (b"\x1b", &[]),
            (b"\x1bq]", &[Faster]),
            (b"\x1b[24;80R \x1b[?1;2c", &[Pause]),
            (b"\x1b[1;5C.", &[Step]),
            (b"\x1b[12", &[]),
        ] {
            assert_eq!(typed(bytes), keys, "{bytes:?}");
        }
    }
}
