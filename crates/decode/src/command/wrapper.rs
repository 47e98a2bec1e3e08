//! Programs that start another one: what stands before it is passed over.
//!
//! The table is of what people write: `sudo -n rsync …`, `env A=B scp …`, `sh -c 'exec …/sftp-server'`. Of an option that
//! the table does not know it is taken that no value follows.

/// A program that runs the rest of its words.
struct Wrapper {
    names: &'static [&'static [u8]],
    /// Letters of options whose value follows, at once or as the next word.
    valued: &'static [u8],
    /// Words that come before the command.
    operands: usize,
}

const WRAPPERS: [Wrapper; 13] = [
    Wrapper { names: &[b"sudo"], valued: b"ugphCcDRrTtUa", operands: 0 },
    Wrapper { names: &[b"doas"], valued: b"uCa", operands: 0 },
    Wrapper { names: &[b"env"], valued: b"uCP", operands: 0 },
    Wrapper { names: &[b"nice"], valued: b"n", operands: 0 },
    Wrapper { names: &[b"ionice"], valued: b"cnpPu", operands: 0 },
    Wrapper { names: &[b"exec"], valued: b"a", operands: 0 },
    Wrapper { names: &[b"stdbuf"], valued: b"ioe", operands: 0 },
    Wrapper { names: &[b"timeout"], valued: b"ks", operands: 1 },
    Wrapper { names: &[b"chroot", b"taskset", b"chrt"], valued: b"", operands: 1 },
    Wrapper { names: &[b"flock"], valued: b"Ew", operands: 1 },
    Wrapper { names: &[b"runuser"], valued: b"ugG", operands: 0 },
    Wrapper {
        names: &[b"nohup", b"command", b"builtin", b"setsid", b"time", b"busybox"],
        valued: b"",
        operands: 0,
    },
    // Words of the shell, after which a command stands.
    Wrapper { names: &[b"then", b"else", b"do", b"if", b"{", b"!"], valued: b"", operands: 0 },
];

/// Long options of all of them whose value may be the next word.
const LONG: [&[u8]; 19] = [
    b"--user",
    b"--group",
    b"--prompt",
    b"--host",
    b"--chdir",
    b"--chroot",
    b"--role",
    b"--type",
    b"--command-timeout",
    b"--other-user",
    b"--close-from",
    b"--unset",
    b"--adjustment",
    b"--class",
    b"--classdata",
    b"--signal",
    b"--kill-after",
    b"--timeout",
    b"--supp-group",
];

/// Shells, and what starts one, by `-c`.
const SHELLS: [&[u8]; 9] = [b"sh", b"bash", b"dash", b"ash", b"ksh", b"mksh", b"zsh", b"fish", b"su"];

/// What is left of a command when what only leads to it is taken away.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Inner<'a> {
    /// The words themselves: a program's name stands first.
    Program(&'a [Vec<u8>]),
    /// A command line for another shell.
    Script(&'a [u8]),
}

/// The last part of a program's path.
pub(super) fn name(word: &[u8]) -> &[u8] {
    word.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

/// Passes over assignments and programs that start another one.
pub(super) fn inner(mut words: &[Vec<u8>]) -> Inner<'_> {
    loop {
        let Some((first, rest)) = words.split_first() else { return Inner::Program(words) };
        if is_assignment(first) {
            words = rest;
            continue;
        }
        let name = name(first);
        if let Some(script) = SHELLS.contains(&name).then(|| script(rest)).flatten() {
            return Inner::Script(script);
        }
        match WRAPPERS.iter().find(|wrapper| wrapper.names.contains(&name)) {
            Some(wrapper) => words = wrapper.rest(rest),
            None => return Inner::Program(words),
        }
    }
}

impl Wrapper {
    /// The words after the wrapper's own.
    fn rest<'a>(&self, mut words: &'a [Vec<u8>]) -> &'a [Vec<u8>] {
        while let Some((word, rest)) = words.split_first() {
            words = match word.as_slice() {
                b"--" => {
                    words = rest;
                    break;
                }
                long if LONG.contains(&long) => rest.get(1..).unwrap_or_default(),
                [b'-', b'-', ..] => rest,
                [b'-', letters @ ..] if self.takes_next(letters) => rest.get(1..).unwrap_or_default(),
                [b'-', ..] => rest,
                _ => break,
            };
        }
        // `env` and `sudo` take assignments before what counts as an operand; the others have none.
        words.get(self.operands..).unwrap_or_default()
    }

    /// Whether the value of the last of these options is the next word.
    fn takes_next(&self, letters: &[u8]) -> bool {
        letters
            .iter()
            .position(|letter| self.valued.contains(letter))
            .is_some_and(|at| at + 1 == letters.len())
    }
}

/// What a shell is given by `-c`.
fn script(words: &[Vec<u8>]) -> Option<&[u8]> {
    let is_c = |word: &Vec<u8>| word.starts_with(b"-") && !word.starts_with(b"--") && word.ends_with(b"c");
    let at = words.iter().position(is_c)?;
    words.get(at + 1).map(Vec::as_slice)
}

/// `NAME=VALUE`.
fn is_assignment(word: &[u8]) -> bool {
    let Some(end) = word.iter().position(|byte| *byte == b'=') else { return false };
    let name = &word[..end];
    !name.is_empty()
        && !name[0].is_ascii_digit()
        && name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_')
}
