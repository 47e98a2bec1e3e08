//! The order of a list: its numbers count entries as both ends have sorted them, not as they came.
//!
//! Source: `f_name_cmp` and `clean_fname` of rsync 3.0 to 3.5.

use std::cmp::Ordering;

/// Makes of a name what both ends sort by: without double slashes, without `.` within or before, without a last slash.
///
/// # Errors
/// A name that rsync does not give to a file.
pub(super) fn clean(name: &[u8]) -> Result<Vec<u8>, String> {
    let mut cleaned = Vec::with_capacity(name.len());
    if name.starts_with(b"/") {
        cleaned.push(b'/');
    }
    let mut parts = name.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).peekable();
    while let Some(part) = parts.next() {
        match part {
            b".." => return Err("a name that leads out of its folder".to_owned()),
            b"." if parts.peek().is_some() || name.ends_with(b"/") => {}
            part => {
                if !cleaned.is_empty() && !cleaned.ends_with(b"/") {
                    cleaned.push(b'/');
                }
                cleaned.extend_from_slice(part);
            }
        }
    }
    if cleaned.is_empty() {
        cleaned.push(b'.');
    }
    match cleaned.contains(&0) {
        true => Err("a name with a zero byte".to_owned()),
        false => Ok(cleaned),
    }
}

/// Which of two entries comes first; each is its name, and whether it is a folder. `plain` is the order before protocol 29,
/// that of the bytes.
pub(super) fn compare(plain: bool, (a, a_folder): (&[u8], bool), (b, b_folder): (&[u8], bool)) -> Ordering {
    if plain {
        return a.cmp(b);
    }
    // Folders that both are in are passed over at once: names that share many cost no more than others.
    let same = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let within = a[..same].iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let (mut a, mut b) = (Parts::new(&a[within..], a_folder), Parts::new(&b[within..], b_folder));
    loop {
        match (a.next(), b.next()) {
            (Part::Folder(x), Part::Folder(y)) if x != y => {
                // As if a slash stood behind each.
                return x.iter().chain(b"/").cmp(y.iter().chain(b"/"));
            }
            (Part::Folder(_), Part::Folder(_)) => {}
            (Part::Folder(_), Part::Last(_)) => return Ordering::Greater,
            (Part::Last(_), Part::Folder(_)) => return Ordering::Less,
            (Part::Last(x), Part::Last(y)) => return x.cmp(y),
        }
    }
}

enum Part<'n> {
    Folder(&'n [u8]),
    /// What is no folder; nothing, for what a folder is itself, which comes before all that is in it.
    Last(&'n [u8]),
}

struct Parts<'n> {
    left: Option<&'n [u8]>,
    folder: bool,
}

impl<'n> Parts<'n> {
    const fn new(name: &'n [u8], folder: bool) -> Self {
        Self { left: Some(name), folder }
    }

    fn next(&mut self) -> Part<'n> {
        let Some(left) = self.left else { return Part::Last(b"") };
        if let Some(slash) = left.iter().position(|byte| *byte == b'/') {
            self.left = Some(&left[slash + 1..]);
            return Part::Folder(&left[..slash]);
        }
        self.left = None;
        match (self.folder, left) {
            (true, b".") => Part::Last(b""),
            (true, left) => Part::Folder(left),
            (false, left) => Part::Last(left),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_before_folders_and_folders_before_what_is_in_them() {
        // A slash at the end stands for a folder. A dot comes before a slash.
        let sorted =
            ["./", "a", "a.b", "z", "a.b/", "a.b/c", "a/", "a/b", "a/z", "a/b/", "a/b/c", "aa/", "z/"];
        let entry = |name: &'static str| match name.strip_suffix('/') {
            Some(folder) => (folder.as_bytes(), true),
            None => (name.as_bytes(), false),
        };
        for (at, first) in sorted.into_iter().enumerate() {
            for (other, second) in sorted.into_iter().enumerate() {
                let found = compare(false, entry(first), entry(second));
                assert_eq!(found, at.cmp(&other), "{first} and {second}");
            }
        }
        let mut bytes = [(&b"a/b"[..], false), (b"a", true), (b"a.b", false)];
        bytes.sort_by(|a, b| compare(true, *a, *b));
        assert_eq!(bytes.map(|(name, _)| name), [&b"a"[..], b"a.b", b"a/b"]);
    }

    #[test]
    fn names_are_sorted_as_the_receiver_cleans_them() {
        let table: [(&[u8], &[u8]); 8] = [
            (b"a/b", b"a/b"),
            (b"./a//b/", b"a/b"),
            (b"a/./b", b"a/b"),
            (b"/a/b", b"/a/b"),
            (b".", b"."),
            (b"./", b"."),
            (b"a/.", b"a/."),
            (b"a..b/.c", b"a..b/.c"),
        ];
        for (name, cleaned) in table {
            assert_eq!(clean(name).unwrap(), cleaned, "{}", String::from_utf8_lossy(name));
        }
        assert!(clean(b"a/../b").is_err() && clean(b"a\0b").is_err());
    }
}
