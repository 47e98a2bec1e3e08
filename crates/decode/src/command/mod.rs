//! Which decoder a command line needs, as far as it can be told from its look.
//!
//! Words are split as a POSIX shell splits plain ones: quotes and backslashes are undone, nothing is expanded. A known
//! program counts wherever it stands in the line: behind `sudo` or `env`, in `sh -c '…'`, after `cd … &&`. Only a line that
//! is nothing but that program is plain: one that holds more commands, redirects or expands is marked, and what is said about
//! it is less sure. Nothing but the choice of a decoder hangs on this; what a line needs to be permitted is told elsewhere,
//! and strictly.

mod words;
mod wrapper;

use self::words::Commands;
use self::wrapper::Inner;

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
/// Commands of one line that are looked at, and lines one within the other.
const COMMANDS: usize = 64;
const DEPTH: usize = 3;

/// Reads a command line, if it starts a program that a decoder knows.
pub(crate) fn parse(command: &[u8]) -> Option<Line> {
    let looked = command.get(..LONGEST).unwrap_or(command);
    let line = find(looked, DEPTH)?;
    Some(Line { plain: line.plain && command.len() <= LONGEST, ..line })
}

/// The first command of a known program, in the line or in one that is given to another shell.
fn find(line: &[u8], depth: usize) -> Option<Line> {
    let depth = depth.checked_sub(1)?;
    for (place, command) in Commands::new(line).take(COMMANDS).enumerate() {
        let found = match wrapper::inner(&command.words) {
            Inner::Script(script) => find(script, depth).map(|line| Line { plain: false, ..line }),
            Inner::Program(words) => {
                let plain = command.plain && place == 0 && words.len() == command.words.len();
                program(words).map(|(program, arguments)| Line {
                    program,
                    arguments: arguments.to_vec(),
                    plain,
                })
            }
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

/// The program that these words start, and its arguments.
fn program(words: &[Vec<u8>]) -> Option<(Program, &[Vec<u8>])> {
    let (first, rest) = words.split_first()?;
    Some(match wrapper::name(first) {
        b"sftp-server" | b"internal-sftp" => (Program::Sftp, rest),
        b"scp" => (Program::Scp, rest),
        b"rsync" => (Program::Rsync, rest),
        b"git" => (service(rest.first()?, b"")?, &rest[1..]),
        name => (service(name, b"git-")?, rest),
    })
}

fn service(name: &[u8], prefix: &[u8]) -> Option<Program> {
    Some(Program::Git(match name.strip_prefix(prefix)? {
        b"receive-pack" => Service::ReceivePack,
        b"upload-pack" => Service::UploadPack,
        b"upload-archive" => Service::UploadArchive,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn read(line: &[u8]) -> (Program, Vec<String>, bool) {
        let line =
            parse(line).unwrap_or_else(|| panic!("a known program: {}", String::from_utf8_lossy(line)));
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
    fn what_starts_another_program_is_passed_over_and_makes_it_less_sure() {
        let table: [(&[u8], Program, &[&str]); 20] = [
            (b"env /usr/lib/openssh/sftp-server", Program::Sftp, &[]),
            (b"sh -c \"exec /usr/lib/openssh/sftp-server -e\"", Program::Sftp, &["-e"]),
            (b"/bin/bash -lc 'cd /tmp && exec sftp-server'", Program::Sftp, &[]),
            (b"sudo /usr/lib/sftp-server", Program::Sftp, &[]),
            (b"sudo su -c /usr/lib/sftp-server", Program::Sftp, &[]),
            (b"test -x /usr/lib/sftp-server && exec /usr/lib/sftp-server", Program::Sftp, &[]),
            (b"test -x /a/sftp-server 2>/dev/null && exec /a/sftp-server", Program::Sftp, &[]),
            (b"if [ -x /a/sftp-server ]; then exec /a/sftp-server; fi", Program::Sftp, &[]),
            (b"umask 022; LC_ALL=C sftp-server", Program::Sftp, &[]),
            (b"(exec sftp-server)", Program::Sftp, &[]),
            (b"env rsync --server . x", Program::Rsync, &["--server", ".", "x"]),
            (b"env -i -u A -- B=c rsync --server . x", Program::Rsync, &["--server", ".", "x"]),
            (b"sudo -n rsync --server . x", Program::Rsync, &["--server", ".", "x"]),
            (b"sudo -nu root A=b rsync --server . x", Program::Rsync, &["--server", ".", "x"]),
            (
                b"sudo --user root -uroot nice -n 19 ionice -c3 rsync --server . x",
                Program::Rsync,
                &["--server", ".", "x"],
            ),
            (b"cd /tmp && rsync --server . x", Program::Rsync, &["--server", ".", "x"]),
            (b"nohup timeout -k 5 60 scp -t x", Program::Scp, &["-t", "x"]),
            (b"doas -u git command git receive-pack r", Program::Git(Service::ReceivePack), &["r"]),
            (b"id | scp -t x", Program::Scp, &["-t", "x"]),
            (b"A=b scp -t x", Program::Scp, &["-t", "x"]),
        ];
        for (line, program, words) in table {
            let words = words.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(read(line), (program, words, false), "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn lines_within_lines_come_to_an_end() {
        assert_eq!(parse(b"sh -c 'sh -c \"sh -c scp\"'"), None);
        assert_eq!(parse(&b"sudo ".repeat(100_000)), None);
        assert_eq!(parse(&b"id;".repeat(50_000)), None);
        for other in
            [&b"sudo"[..], b"env A=b", b"sh -c", b"sh x -y", b"sudo -u", b"timeout", b"echo scp -t x"]
        {
            assert_eq!(parse(other), None, "{other:?}");
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
