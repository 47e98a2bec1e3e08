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

/// The first key in what was typed; none when it means nothing.
///
/// Whatever else comes in on the same line is dropped: terminals answer questions that a recording may hold.
pub(super) fn first(bytes: &[u8]) -> Option<Key> {
    match bytes {
        [b' ', ..] => Some(Key::Pause),
        [b'.', ..] => Some(Key::Step),
        [b'[', ..] => Some(Key::Slower),
        [b']', ..] => Some(Key::Faster),
        [b'\x1b', b'[' | b'O', b'D', ..] => Some(Key::Back),
        [b'\x1b', b'[' | b'O', b'C', ..] => Some(Key::Ahead),
        // Control-C and Control-D: in raw mode they are bytes like others.
        [b'q' | b'Q' | 0x03 | 0x04, ..] => Some(Key::Quit),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_what_are_none() {
        for (bytes, key) in [
            (&b" "[..], Some(Key::Pause)),
            (b".", Some(Key::Step)),
            (b"[", Some(Key::Slower)),
            (b"]", Some(Key::Faster)),
            (b"\x1b[D", Some(Key::Back)),
            (b"\x1bOC", Some(Key::Ahead)),
            (b"q", Some(Key::Quit)),
            (b"\x03", Some(Key::Quit)),
            (b"x", None),
            (b"", None),
            (b"\x1b", None),
            (b"\x1b[24;80R", None),
            (b"\x1b[?1;2c", None),
        ] {
            assert_eq!(first(bytes), key, "{bytes:?}");
        }
    }
}
