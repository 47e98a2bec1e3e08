//! Where a file of the list is on the target.
//!
//! A list names files below what was asked for. Of an upload that is the folder where they go; a single file may also take its
//! operand's name, which the target decides: then the path is the operand, and the name stands apart.

use bartizan_model::observation::{Confidence, Direction};

use super::carried::Carried;
use crate::scp::path::{is_expanded, last_of};
use crate::text;

/// A file's path, its name where the path may be its folder's or one of several, and how sure that is.
pub(super) type Place = (String, Option<String>, Confidence);

/// The place of a file by its name in the list; `alone` where the list has no other entry.
pub(super) fn of(
    direction: Direction,
    operands: &[Vec<u8>],
    carried: &Carried,
    alone: bool,
    name: &[u8],
) -> Place {
    match direction {
        Direction::Upload => uploaded(operands, alone, name),
        Direction::Download => downloaded(operands, carried, name),
    }
}

fn uploaded(operands: &[Vec<u8>], alone: bool, name: &[u8]) -> Place {
    let to = operands.last().map_or(&[][..], Vec::as_slice);
    if !alone || to.is_empty() || to.ends_with(b"/") {
        return (text::path(&joined(to, name)), None, Confidence::High);
    }
    match last_of(to) == name {
        true => (text::path(to), None, Confidence::High),
        false => (text::path(to), Some(text::path(name)), Confidence::Medium),
    }
}

fn downloaded(operands: &[Vec<u8>], carried: &Carried, name: &[u8]) -> Place {
    let base = match operands {
        [] => return (text::path(name), None, Confidence::High),
        [base, ..] if carried.files_from => {
            return (text::path(&joined(base, name)), None, Confidence::High);
        }
        [only] => only,
        _ => &Vec::new(),
    };
    let from = |operand: &Vec<u8>| match carried.relative {
        true => relative(operand, name),
        false => within(operand, name),
    };
    let mut found: Vec<_> = operands.iter().filter_map(from).collect();
    found.sort_unstable();
    found.dedup();
    match (&found[..], operands) {
        ([path], _) => (text::path(path), None, Confidence::High),
        // A target that sends what it was not asked for, or a shell that made another word of it.
        ([], [_]) => (text::path(&joined(parent(base), name)), None, Confidence::Low),
        _ => (text::path(&operands.join(&b' ')), Some(text::path(name)), Confidence::Low),
    }
}

/// A name below an operand: of a folder's contents, or of the folder itself.
fn within(operand: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    let last = last_of(operand);
    if matches!(last, b"" | b"." | b"..") {
        return Some(joined(operand, name));
    }
    let first = name.split(|byte| *byte == b'/').next().unwrap_or_default();
    (first == last || is_expanded(last)).then(|| joined(parent(operand), name))
}

/// A name that has the folders of its operand before it (`-R`), from `/./` on.
fn relative(operand: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    let dot = operand.windows(3).position(|three| three == b"/./");
    let (base, rest) = match dot {
        Some(dot) => (&operand[..=dot], &operand[dot + 3..]),
        None if operand.starts_with(b"/") => (&b"/"[..], &operand[1..]),
        None => (&b""[..], operand),
    };
    let name = trimmed(name);
    let rest = rest.strip_prefix(b"./").unwrap_or(rest);
    let rest = rest.strip_suffix(b"/.").or(rest.strip_suffix(b"/")).unwrap_or(rest);
    let below = name.strip_prefix(rest).is_some_and(|more| more.is_empty() || more.starts_with(b"/"));
    (below || matches!(rest, b"" | b".") || is_expanded(rest)).then(|| joined(base, name))
}

fn parent(path: &[u8]) -> &[u8] {
    &path[..path.len() - last_of(path).len()]
}

/// A name without slashes before it.
fn trimmed(name: &[u8]) -> &[u8] {
    &name[name.iter().take_while(|byte| **byte == b'/').count()..]
}

fn joined(folder: &[u8], name: &[u8]) -> Vec<u8> {
    let slash: &[u8] = if folder.is_empty() || folder.ends_with(b"/") { b"" } else { b"/" };
    [folder, slash, trimmed(name)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Confidence::{High, Low, Medium};

    #[test]
    fn a_path_is_the_operand_and_the_name_in_the_list() {
        type Row<'a> = (bool, &'a [&'a str], &'a str, &'a str, Option<&'a str>, Confidence);
        let uploads: [Row<'_>; 7] = [
            (false, &["/d"], "a/b", "/d/a/b", None, High),
            (false, &["/d/"], "/a/b", "/d/a/b", None, High),
            (true, &["/d/"], "f", "/d/f", None, High),
            (true, &["/d/f"], "f", "/d/f", None, High),
            (true, &["/d/g"], "f", "/d/g", Some("f"), Medium),
            (true, &[], "f", "f", None, High),
            (false, &["."], "f", "./f", None, High),
        ];
        for (alone, operands, name, path, apart, sure) in uploads {
            check(Direction::Upload, &Carried::default(), (alone, operands, name, path, apart, sure));
        }
        let downloads: [Row<'_>; 9] = [
            (false, &["/d"], "d/f", "/d/f", None, High),
            (false, &["/d/"], "f", "/d/f", None, High),
            (true, &["/d/f"], "f", "/d/f", None, High),
            (true, &["f"], "f", "f", None, High),
            (false, &["/d/*"], "f", "/d/f", None, High),
            (false, &["/a/x", "/b/y"], "y/f", "/b/y/f", None, High),
            (false, &["/a/x", "/b/x"], "x/f", "/a/x /b/x", Some("x/f"), Low),
            (false, &["/a/x"], "y", "/a/y", None, Low),
            (false, &[], "f", "f", None, High),
        ];
        for row in downloads {
            check(Direction::Download, &Carried::default(), row);
        }
        let mut carried = Carried::default();
        carried.letters(b"R");
        let relative: [Row<'_>; 5] = [
            (false, &["/a/b"], "a/b/f", "/a/b/f", None, High),
            (false, &["/a/b/"], "/a/b/f", "/a/b/f", None, High),
            (false, &["/a/./b"], "b/f", "/a/b/f", None, High),
            (false, &["a/b", "c"], "c/f", "c/f", None, High),
            (false, &["/a/./b", "/c/./b"], "b/f", "/a/./b /c/./b", Some("b/f"), Low),
        ];
        for row in relative {
            check(Direction::Download, &carried, row);
        }
        carried.long(b"files-from", Some(b"-"));
        check(Direction::Download, &carried, (false, &["/a"], "b/f", "/a/b/f", None, High));
    }

    #[track_caller]
    fn check(
        direction: Direction,
        carried: &Carried,
        (alone, operands, name, path, apart, sure): (bool, &[&str], &str, &str, Option<&str>, Confidence),
    ) {
        let operands: Vec<_> = operands.iter().map(|operand| operand.as_bytes().to_vec()).collect();
        let found = of(direction, &operands, carried, alone, name.as_bytes());
        assert_eq!(found, (path.to_owned(), apart.map(str::to_owned), sure), "{name} of {operands:?}");
    }
}
