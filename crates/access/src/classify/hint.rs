//! What to type instead of a line that a narrow permission is not for.

use bartizan_model::Permission;

use super::words::{Word, words};
use super::{Asked, program, rsync};

/// Why a command line of `scp` or `rsync` is not what the permission of that name is for, and what to type instead; for
/// the person. `None` of other programs. Holds no control character.
pub fn not_plain(asked: Asked<'_>, pty: bool) -> Option<(Permission, String)> {
    let Asked::Exec(command) = asked else { return None };
    let permission = match command.split(u8::is_ascii_whitespace).next()? {
        b"scp" => Permission::Scp,
        b"rsync" => Permission::Rsync,
        _ => return None,
    };
    let why = match std::str::from_utf8(command).ok().and_then(words) {
        _ if pty => "with a terminal it is a command like any other, so ask for none".to_owned(),
        _ if program(asked).is_some() => return None,
        None => "a shell may read more in this line: write paths with letters, digits and -_./+:@ only, those with \
                 blanks in single quotes"
            .to_owned(),
        Some(words) if permission == Permission::Rsync && let Some(option) = unknown(&words) => {
            match option.starts_with("--") {
                false if rsync::hides_paths(option) => {
                    format!("{option} sends paths where nobody sees them, so leave out -s and --secluded-args")
                }
                _ => format!("it is not for {option}, so leave that out"),
            }
        }
        Some(_) => "it is for the lines that its client sends, with one path to write to".to_owned(),
    };
    Some((permission, format!("the permission {permission} alone is not enough: {why}")))
}

/// The first option that `rsync` is not permitted.
fn unknown<'a>(words: &[Word<'a>]) -> Option<&'a str> {
    let options = words.iter().filter_map(Word::bare).filter(|word| word.starts_with('-'));
    let mut unknown = options.filter(|option| !matches!(*option, "--server" | "--sender"));
    unknown.find(|option| !rsync::is_known(option))
}
