//! The command lines of `scp`, its old protocol.

use super::words::Word;

/// The paths of `scp [-rpdvq] (-t|-f) [--] PATH…`, options apart or together, as OpenSSH, PuTTY, Paramiko and Go send it.
/// What is sent has one path. `None` of every other line.
pub(super) fn paths<'a, 'w>(words: &'w [Word<'a>]) -> Option<&'w [Word<'a>]> {
    let end = words.iter().position(|word| word.bare() == Some("--"));
    let (options, paths) = match end {
        Some(end) => (&words[..end], &words[end + 1..]),
        None => words.split_at(words.iter().position(|word| !word.is_option()).unwrap_or(words.len())),
    };
    // Some systems take options behind paths, too.
    if paths.is_empty() || end.is_none() && paths.iter().any(Word::is_option) {
        return None;
    }
    let mut directions = Vec::new();
    for option in options {
        let letters = option.bare()?.strip_prefix('-').filter(|letters| !letters.is_empty())?;
        for letter in letters.chars() {
            match letter {
                't' | 'f' => directions.push(letter),
                'r' | 'p' | 'd' | 'v' | 'q' => {}
                _ => return None,
            }
        }
    }
    match (directions.as_slice(), paths) {
        (['f'], _) | (['t'], [_]) => Some(paths),
        _ => None,
    }
}
