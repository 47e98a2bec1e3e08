//! What an scp is asked for by its command line, as OpenSSH reads it.

use bartizan_model::observation::Direction;

/// Letters of options that take a value, which follows at once or is the next word, and of those that take none.
const VALUED: &[u8] = b"DFJMPSXcilo";
const PLAIN: &[u8] = b"12346ABCTdfOpqRrstv";

/// What is asked of one end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) direction: Direction,
    /// Whether files go into the operand (`-d`).
    pub(super) folder: bool,
    pub(super) operands: Vec<Vec<u8>>,
    /// False where an scp may read the words otherwise, or not start at all.
    pub(super) certain: bool,
}

impl Asked {
    /// None for what is neither source nor sink.
    pub(super) fn parse(arguments: &[Vec<u8>]) -> Option<Self> {
        // To OpenSSH nothing behind an operand is an option. To a getopt of the system it may be one.
        let (strict, permuted) = (Words::read(arguments, false), Words::read(arguments, true));
        // OpenSSH's is a source if it is told to be both. No client asks for that.
        let certain = strict == permuted && strict.sound && !(strict.source && strict.sink);
        let words = if strict.direction().is_some() { strict } else { permuted };
        Some(Self { direction: words.direction()?, folder: words.folder, operands: words.operands, certain })
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Words {
    source: bool,
    sink: bool,
    folder: bool,
    operands: Vec<Vec<u8>>,
    /// No option is unknown or lacks its value.
    sound: bool,
}

impl Words {
    fn read(arguments: &[Vec<u8>], permute: bool) -> Self {
        let mut read = Self { sound: true, ..Self::default() };
        let mut words = arguments.iter().map(Vec::as_slice);
        let mut ended = false;
        while let Some(word) = words.next() {
            match word {
                b"--" if !ended => ended = true,
                [b'-', letters @ ..] if !ended && !letters.is_empty() => {
                    if read.letters(letters) {
                        read.sound &= words.next().is_some();
                    }
                }
                operand => {
                    ended |= !permute;
                    read.operands.push(operand.to_vec());
                }
            }
        }
        read
    }

    /// Reads options by their letters; true if the next word is the value of the last.
    fn letters(&mut self, letters: &[u8]) -> bool {
        let valued = letters.iter().position(|letter| VALUED.contains(letter));
        for letter in &letters[..valued.unwrap_or(letters.len())] {
            self.sound &= PLAIN.contains(letter);
            match letter {
                b'f' => self.source = true,
                b't' => self.sink = true,
                b'd' => self.folder = true,
                _ => {}
            }
        }
        valued.is_some_and(|at| at + 1 == letters.len())
    }

    const fn direction(&self) -> Option<Direction> {
        match (self.source, self.sink) {
            (true, _) => Some(Direction::Download),
            (false, true) => Some(Direction::Upload),
            (false, false) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<Vec<u8>> {
        line.split(' ').map(|word| word.as_bytes().to_vec()).collect()
    }

    #[test]
    fn command_lines_are_read_as_openssh_reads_them() {
        use Direction::{Download, Upload};
        type Row<'a> = (&'a str, Option<(Direction, &'a [&'a str], bool)>);
        let table: [Row<'_>; 16] = [
            ("-t /d", Some((Upload, &["/d"], true))),
            ("-v -r -p -f a b", Some((Download, &["a", "b"], true))),
            ("-rpt -- -d", Some((Upload, &["-d"], true))),
            ("-f -- -x -t", Some((Download, &["-x", "-t"], true))),
            // Values are no options.
            ("-t -oUser=f /d", Some((Upload, &["/d"], true))),
            ("-t -o f -l 8 -F -f /d", Some((Upload, &["/d"], true))),
            ("-toUser=f /d", Some((Upload, &["/d"], true))),
            ("-f -i t /d", Some((Download, &["/d"], true))),
            ("-P f /d", None),
            // Both: a source, in whichever order.
            ("-f -t /d", Some((Download, &["/d"], false))),
            ("-tf /d", Some((Download, &["/d"], false))),
            // Behind an operand.
            ("-t /d -f", Some((Upload, &["/d", "-f"], false))),
            ("/d -t", Some((Upload, &["/d"], false))),
            ("-t -z /d", Some((Upload, &["/d"], false))),
            ("-t /d -o", Some((Upload, &["/d", "-o"], false))),
            ("-r a b", None),
        ];
        for (line, expected) in table {
            let found = Asked::parse(&words(line));
            let found = found.map(|asked| (asked.direction, asked.operands, asked.certain));
            let expected =
                expected.map(|(way, operands, certain)| (way, words(&operands.join(" ")), certain));
            assert_eq!(found, expected, "{line}");
        }
        let folder = |line| Asked::parse(&words(line)).unwrap().folder;
        assert!(folder("-t -d /d") && !folder("-t -i id /d") && !folder("-t -oUser=d /d"));
    }
}
