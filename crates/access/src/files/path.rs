//! Paths of requests, as they are judged.

use std::borrow::Cow;

/// A path of a request, made plain if it can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilePath<'a> {
    /// Starts with `/`; no part is empty, `.` or `..`.
    Plain(Cow<'a, [u8]>),
    /// Where it leads cannot be told, for this reason.
    Unclear(&'static str),
}

impl<'a> FilePath<'a> {
    /// Makes a path plain. Relative ones begin at `start`, the folder in which the server began, once it is known.
    pub fn new(written: &'a [u8], start: Option<&[u8]>) -> Self {
        let whole = match whole(written, start) {
            Ok(whole) => whole,
            Err(why) => return Self::Unclear(why),
        };
        let parts: Vec<&[u8]> =
            whole.split(|&byte| byte == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
        if parts.contains(&&b".."[..]) {
            return Self::Unclear(
                "it has .. in it, which leads elsewhere behind a symbolic link: write it without",
            );
        }
        if let Some(why) = other_name(&parts, start) {
            return Self::Unclear(why);
        }
        let plain = joined(parts.into_iter());
        Self::Plain(if plain == *whole { whole } else { plain.into() })
    }

    /// The path by its letters alone: `..` takes the part before it away. For questions about names, which open nothing.
    pub fn by_letters(written: &'a [u8], start: Option<&[u8]>) -> Self {
        let whole = match whole(written, start) {
            Ok(whole) => whole,
            Err(why) => return Self::Unclear(why),
        };
        let mut parts: Vec<&[u8]> = Vec::new();
        for part in whole.split(|&byte| byte == b'/') {
            match part {
                b"" | b"." => {}
                b".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        match other_name(&parts, start) {
            Some(why) => Self::Unclear(why),
            None => Self::Plain(joined(parts.into_iter()).into()),
        }
    }
}

/// The path from `/` on.
fn whole<'a>(written: &'a [u8], start: Option<&[u8]>) -> Result<Cow<'a, [u8]>, &'static str> {
    if written.contains(&0) || written.contains(&b'\\') {
        return Err("it holds a NUL or a backslash, which servers read differently");
    }
    let drive = || written.split(|&byte| byte == b'/').next().is_some_and(|part| part.contains(&b':'));
    match (written.first(), start) {
        (Some(b'/'), _) => Ok(Cow::Borrowed(written)),
        _ if drive() => Err("it begins with a name that has a : in it, a drive of Windows: write it from /"),
        (_, Some(start)) => Ok(Cow::Owned([start, b"/", written].concat())),
        (_, None) => Err("it is relative, and nobody asked the target yet where it begins: write it from /"),
    }
}

/// Why these parts may be another name for a file that rules know by its own; nothing where they are its own.
fn other_name(parts: &[&[u8]], start: Option<&[u8]>) -> Option<&'static str> {
    let starts_at_drive =
        start.and_then(|start| start.split(|&byte| byte == b'/').nth(1)).is_some_and(is_drive);
    let on_drive = parts.first().is_some_and(|part| is_drive(part));
    if starts_at_drive && !on_drive && !parts.is_empty() {
        return Some("it begins with no drive, and the target is Windows: write it from /C: or the like");
    }
    if on_drive
        && parts[1..].iter().any(|part| part.contains(&b':') || part.ends_with(b".") || part.ends_with(b" "))
    {
        return Some(
            "Windows knows it by another name, too: write it without : and without dots and blanks at the end",
        );
    }
    if is_of_process(parts) || is_open_file(parts) {
        return Some("it leads through a process to files that have other names: write it by the file's own");
    }
    None
}

/// `C:`, as servers on Windows begin a path.
const fn is_drive(part: &[u8]) -> bool {
    matches!(part, [letter, b':'] if letter.is_ascii_alphabetic())
}

/// Links in Linux's `/proc/PID` lead anywhere. The file system may be mounted at other places, too.
fn is_of_process(parts: &[&[u8]]) -> bool {
    let links: [&[u8]; 5] = [b"root", b"cwd", b"fd", b"exe", b"map_files"];
    let process = |part: &[u8]| {
        matches!(part, b"self" | b"thread-self") || !part.is_empty() && part.iter().all(u8::is_ascii_digit)
    };
    let at = parts.windows(2).position(|pair| pair[0] == b"proc" && process(pair[1]));
    at.is_some_and(|at| parts[at..].iter().any(|part| links.contains(part)))
}

/// What the server itself has open.
fn is_open_file(parts: &[&[u8]]) -> bool {
    matches!(parts, [b"dev", b"fd" | b"stdin" | b"stdout" | b"stderr", ..])
}

fn joined<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let joined = parts.flat_map(|part| [b"/", part].concat()).collect::<Vec<u8>>();
    if joined.is_empty() { b"/".to_vec() } else { joined }
}
