//! Which decoder a command line needs, as far as it can be told from its look.
//!
//! Words are split as a POSIX shell splits plain ones: quotes and backslashes are undone, nothing is expanded. A line
//! that goes on after the first command (`;`, `|`, `&`, a new line), redirects or expands is marked so: what is said
//! about it is less sure. Nothing but the choice of a decoder hangs on this.

/// A program that a decoder knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    Sftp,
    Scp,
    Rsync,
    Git(Service),
}

/// A service of Git.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    ReceivePack,
    UploadPack,
    UploadArchive,
}

/// A command line of a known program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) program: Program,
    /// What follows the program's name.
    pub(crate) arguments: Vec<Vec<u8>>,
    /// False when a shell may make something else or something more of it.
    pub(crate) plain: bool,
}

/// Longest command line that is looked at, in bytes. OpenSSH passes 256 KiB at most.
const LONGEST: usize = 256 << 10;

/// Reads a command line, if it starts with a program that a decoder knows.
pub(crate) fn parse(command: &[u8]) -> Option<Line> {
    let (words, plain) = words(command.get(..LONGEST).unwrap_or(command));
    let plain = plain && command.len() <= LONGEST;
    let mut words = words.into_iter();
    let first = words.next()?;
    let name = first.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let program = match name {
        b"sftp-server" | b"internal-sftp" => Program::Sftp,
        b"scp" => Program::Scp,
        b"rsync" => Program::Rsync,
        b"git" => service(words.next()?.as_slice(), b"")?,
        name => service(name, b"git-")?,
    };
    Some(Line { program, arguments: words.collect(), plain })
}

fn service(name: &[u8], prefix: &[u8]) -> Option<Program> {
    Some(Program::Git(match name.strip_prefix(prefix)? {
        b"receive-pack" => Service::ReceivePack,
        b"upload-pack" => Service::UploadPack,
        b"upload-archive" => Service::UploadArchive,
        _ => return None,
    }))
}

/// The words of the first simple command, and whether that is all of the line and all of it plain.
fn words(line: &[u8]) -> (Vec<Vec<u8>>, bool) {
    let (mut words, mut word, mut plain) = (Vec::new(), None::<Vec<u8>>, true);
    let mut bytes = line.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b' ' | b'\t' => words.extend(word.take()),
            b';' | b'|' | b'&' | b'\n' | b'<' | b'>' | b'(' | b')' => {
                words.extend(word.take());
                return (words, false);
            }
            b'\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match bytes.next() {
                        Some(b'\'') => break,
                        Some(byte) => word.push(byte),
                        None => return (finished(words, std::mem::take(word)), false),
                    }
                }
            }
            b'"' => {
                let word = word.get_or_insert_default();
                if !double_quoted(&mut bytes, word, &mut plain) {
                    return (finished(words, std::mem::take(word)), false);
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
    (words, plain)
}

fn finished(mut words: Vec<Vec<u8>>, last: Vec<u8>) -> Vec<Vec<u8>> {
    words.push(last);
    words
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn read(line: &[u8]) -> (Program, Vec<String>, bool) {
        let line = parse(line).expect("a known program");
        let text = |word: Vec<u8>| String::from_utf8_lossy(&word).into_owned();
        (line.program, line.arguments.into_iter().map(text).collect(), line.plain)
    }

    #[test]
    fn words_are_those_of_a_shell() {
        let table: [(&[u8], &[&str], bool); 11] = [
            (b"scp -t /tmp/", &["-t", "/tmp/"], true),
            (b"  /usr/bin/scp\t-f  'a b'", &["-f", "a b"], true),
            (b"scp -t -- a\\ b\"c \\\" \\x\"'d'", &["-t", "--", "a bc \" \\xd"], true),
            (b"scp -t ''", &["-t", ""], true),
            (b"scp -t /tmp/x; bash", &["-t", "/tmp/x"], false),
            (b"scp -t /tmp/x|cat", &["-t", "/tmp/x"], false),
            (b"scp -t /tmp/x\nid", &["-t", "/tmp/x"], false),
            (b"scp -f $HOME/x", &["-f", "$HOME/x"], false),
            (b"scp -f \"$(id)\"", &["-f", "$(id)"], false),
            (b"scp -f 'open", &["-f", "open"], false),
            (b"scp -f a\0b", &["-f", "a\0b"], false),
        ];
        for (line, words, plain) in table {
            assert_eq!(read(line), (Program::Scp, words.iter().map(|w| (*w).to_owned()).collect(), plain));
        }
    }

    #[test]
    fn programs_are_known_by_their_last_name() {
        assert_eq!(read(b"/usr/lib/openssh/sftp-server -l INFO").0, Program::Sftp);
        assert_eq!(read(b"rsync --server . x").0, Program::Rsync);
        assert_eq!(read(b"git-upload-pack '/r.git'").0, Program::Git(Service::UploadPack));
        assert_eq!(read(b"git receive-pack '/r.git'").0, Program::Git(Service::ReceivePack));
        for other in [&b""[..], b"id", b"; scp -t x", b"git status", b"scpx -t", b"git", b"git-status", b"'"]
        {
            assert_eq!(parse(other), None, "{other:?}");
        }
    }
}
