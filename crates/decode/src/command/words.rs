//! The words of a command line, command by command.

/// One simple command.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) words: Vec<Vec<u8>>,
    /// Whether that is all of the line, and all of it plain.
    pub(super) plain: bool,
}

/// Splits a line into simple commands. Ends where a shell would find none.
pub(super) struct Commands<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Commands<'a> {
    pub(super) const fn new(line: &'a [u8]) -> Self {
        Self { rest: Some(line) }
    }
}

impl Iterator for Commands<'_> {
    type Item = Command;

    fn next(&mut self) -> Option<Command> {
        let line = self.rest?;
        let (command, end) = first(line);
        let rest = end.and_then(|end| line.get(end..));
        self.rest = rest.map(after_separator);
        // Nothing need stand before a new line or a subshell.
        let goes_on = matches!(rest, Some([b'(' | b'\n', ..]));
        (goes_on || !command.words.is_empty()).then_some(command)
    }
}

/// What follows a separator (`;`, `&&`, a redirection up to the next one, …).
fn after_separator(rest: &[u8]) -> &[u8] {
    let separator = |byte: &u8| matches!(byte, b';' | b'|' | b'&' | b'\n' | b'(' | b')');
    let begin = match rest {
        // Where a redirection goes is no command, nor is what follows it: `2>&1`, `>/dev/null`.
        [b'<' | b'>', ..] => {
            let target =
                rest.iter().position(|byte| !matches!(byte, b'<' | b'>' | b'&' | b'|')).unwrap_or(rest.len());
            target + rest[target..].iter().position(separator).unwrap_or(rest.len() - target)
        }
        _ => 0,
    };
    let rest = &rest[begin..];
    let end = rest.iter().position(|byte| !separator(byte) && !matches!(byte, b' ' | b'\t'));
    &rest[end.unwrap_or(rest.len())..]
}

/// The first simple command, and where it ends if the line goes on.
fn first(line: &[u8]) -> (Command, Option<usize>) {
    let (mut words, mut word, mut plain) = (Vec::new(), None::<Vec<u8>>, true);
    let mut bytes = line.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b' ' | b'\t' => words.extend(word.take()),
            b';' | b'|' | b'&' | b'\n' | b'<' | b'>' | b'(' | b')' => {
                words.extend(word.take());
                return (Command { words, plain: false }, Some(line.len() - bytes.len() - 1));
            }
            b'\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match bytes.next() {
                        Some(b'\'') => break,
                        Some(byte) => word.push(byte),
                        None => return (unfinished(words, std::mem::take(word)), None),
                    }
                }
            }
            b'"' => {
                let word = word.get_or_insert_default();
                if !double_quoted(&mut bytes, word, &mut plain) {
                    return (unfinished(words, std::mem::take(word)), None);
                }
            }
            b'\\' => match bytes.next() {
                Some(byte) => word.get_or_insert_default().push(byte),
                None => plain = false,
            },
            byte => {
                plain &= !matches!(byte, b'$' | b'`' | b'*' | b'?' | b'[' | b'{' | b'#' | b'!' | 0);
                word.get_or_insert_default().push(byte);
            }
        }
    }
    words.extend(word);
    (Command { words, plain }, None)
}

fn unfinished(mut words: Vec<Vec<u8>>, last: Vec<u8>) -> Command {
    words.push(last);
    Command { words, plain: false }
}

/// Reads up to the closing quote; false when there is none.
fn double_quoted(bytes: &mut impl Iterator<Item = u8>, word: &mut Vec<u8>, plain: &mut bool) -> bool {
    loop {
        match bytes.next() {
            Some(b'"') => return true,
            Some(b'\\') => match bytes.next() {
                Some(byte @ (b'"' | b'\\' | b'$' | b'`')) => word.push(byte),
                Some(b'\n') => {}
                Some(byte) => word.extend([b'\\', byte]),
                None => return false,
            },
            Some(byte) => {
                *plain &= !matches!(byte, b'$' | b'`');
                word.push(byte);
            }
            None => return false,
        }
    }
}
