//! The command lines of `rsync --server`.

use super::words::Word;

/// A line that the permission `rsync` is for.
pub(super) struct Line<'a, 'w> {
    /// What it names; what is sent has one path.
    pub(super) paths: &'w [Word<'a>],
    /// The option by which it leaves these paths, and why it would.
    pub(super) beyond: Option<(&'a str, &'static str)>,
}

/// Letters that neither name files of the server's, nor hide the path, nor take the next word.
const FLAGS: &str = "vqlogDtprzcundRkLKOJWImibyxEUNSHAX";

/// Of these the letters by which nothing outside of the paths is read or written, in either direction.
const WITHIN: &str = "vqogtprzcundROJWImixEUNSHAX";

/// The same of long options.
const LONG: [&str; 36] = [
    "append",
    "checksum",
    "copy-unsafe-links",
    "delete",
    "delete-after",
    "delete-before",
    "delete-delay",
    "delete-during",
    "delete-excluded",
    "dirs",
    "existing",
    "files-from=-",
    "force",
    "from0",
    "ignore-errors",
    "ignore-existing",
    "ignore-non-existing",
    "ignore-times",
    "inplace",
    "list-only",
    "new-compress",
    "no-implied-dirs",
    "no-specials",
    "numeric-ids",
    "old-compress",
    "open-noatime",
    "partial",
    "preallocate",
    "progress",
    "relative",
    "remove-source-files",
    "safe-links",
    "size-only",
    "sparse",
    "specials",
    "stats",
];

/// Long options with a number or a word, which is no path.
const VALUED: [&str; 10] = [
    "bwlimit",
    "checksum-choice",
    "checksum-seed",
    "compress-choice",
    "compress-level",
    "log-format",
    "max-size",
    "min-size",
    "modify-window",
    "timeout",
];

/// Reads `--server [--sender] -FLAGS[e.CAPABILITIES] [--OPTION...] . PATH…`, as rsync 3 and openrsync send it.
pub(super) fn line<'a, 'w>(words: &'w [Word<'a>]) -> Option<Line<'a, 'w>> {
    let here = words.iter().position(|word| word.bare() == Some("."))?;
    let (options, paths) = (&words[..here], &words[here + 1..]);
    let options: Vec<&'a str> = options.iter().map(Word::bare).collect::<Option<_>>()?;
    let ["--server", options @ ..] = options.as_slice() else { return None };
    let (sends, options) = match options {
        ["--sender", options @ ..] => (true, options),
        options => (false, options),
    };
    // It takes options behind paths, too.
    if paths.is_empty() || !sends && paths.len() > 1 || paths.iter().any(Word::is_option) {
        return None;
    }
    if options.iter().any(|option| !is_known(option)) {
        return None;
    }
    let mut compresses = 0;
    let beyond = options.iter().find_map(|option| {
        compresses += if option.starts_with("--") { 0 } else { flags(option).0.matches('z').count() };
        let why = if compresses > 1 { Some(UNREADABLE) } else { beyond(option, sends) };
        Some((*option, why?))
    });
    Some(Line { paths, beyond })
}

/// Whether the permission has this option.
pub(super) fn is_known(option: &str) -> bool {
    if let Some(name) = option.strip_prefix("--") {
        let valued = name.split_once('=').is_some_and(|(name, value)| {
            VALUED.contains(&name) && value.chars().all(|c| c.is_ascii_alphanumeric() || c == '.')
        });
        return valued || LONG.contains(&name);
    }
    let Some(bundle) = option.strip_prefix('-').filter(|bundle| !bundle.is_empty()) else { return false };
    let (flags, capabilities) = flags(bundle);
    flags.chars().all(|c| FLAGS.contains(c)) && capabilities.chars().all(|c| c.is_ascii_alphabetic())
}

/// Whether a bundle of letters asks for arguments that are sent instead of written.
pub(super) fn hides_paths(option: &str) -> bool {
    flags(option).0.contains('s')
}

/// `e.iLsfxCIvu` ends the flags: what follows the dot names what the client can do.
fn flags(bundle: &str) -> (&str, &str) {
    bundle.split_once("e.").unwrap_or((bundle, ""))
}

/// Why a known option leads out of the paths that are named, if it does; `sends` says that the target is the sender.
///
/// Links that are on the target already are followed by SFTP, too: a target that sends may do so.
fn beyond(option: &str, sends: bool) -> Option<&'static str> {
    if let Some(name) = option.strip_prefix("--") {
        return match name.split('=').next()? {
            "checksum-choice" | "compress-choice" | "compress-level" | "new-compress" | "old-compress" => {
                Some(UNREADABLE)
            }
            "no-implied-dirs" | "copy-unsafe-links" if !sends => Some(FOLLOWS),
            "specials" if !sends => Some(DEVICES),
            "files-from" if !sends => Some("nothing that is sent needs it: leave it out"),
            _ => None,
        };
    }
    let (flags, capabilities) = flags(option.strip_prefix('-')?);
    if !capabilities.chars().all(|c| CAPABILITIES.contains(c)) {
        return Some(UNREADABLE);
    }
    flags.chars().find_map(|letter| match letter {
        'l' | 'D' | 'L' | 'k' if sends => None,
        'l' => Some(
            "a symbolic link that is put there may lead elsewhere later: add --no-links, also where -a asks for them",
        ),
        'D' => Some(DEVICES),
        'K' | 'L' | 'k' => Some(FOLLOWS),
        'b' => Some("backups may lie beside what is named: leave out -b"),
        'y' => Some("it reads what lies beside what is named: leave out -y"),
        letter if WITHIN.contains(letter) => None,
        _ => Some("rules for paths cannot hold it: leave it out"),
    })
}

/// What clients of rsync 3 can do. More would change how the stream begins, where filters are looked for.
const CAPABILITIES: &str = "iLsfxCIvu";

const UNREADABLE: &str = "with it nobody can tell which filters follow: leave it out";
const FOLLOWS: &str = "it writes through symbolic links: leave it out";
const DEVICES: &str = "a device is a way to what is elsewhere: add --no-D, also where -a asks for them";
