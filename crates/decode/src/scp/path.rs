//! Where a file is, of which the protocol says the name only.

use bartizan_model::observation::{Confidence, Direction};

use crate::text;

/// Most bytes of the names of folders one within the other.
const MAX_DEPTH_BYTES: usize = 64 << 10;

/// The folders that the source has entered, and where they start.
pub(super) struct Paths {
    direction: Direction,
    operands: Vec<Vec<u8>>,
    /// Whether files go into the operand, and do not become it.
    folder: bool,
    entered: Vec<Box<[u8]>>,
    bytes: usize,
}

impl Paths {
    pub(super) fn new(direction: Direction, operands: Vec<Vec<u8>>, folder: bool) -> Self {
        let slash = operands.last().is_some_and(|path| path.ends_with(b"/"));
        Self { direction, operands, folder: folder || slash, entered: Vec::new(), bytes: 0 }
    }

    /// The paths of the command line.
    pub(super) fn operand(&self) -> String {
        text::path(&self.operands.join(&b' '))
    }

    pub(super) fn enter(&mut self, name: &[u8]) -> Result<(), String> {
        self.bytes += name.len() + 1;
        self.entered.push(name.into());
        match self.bytes > MAX_DEPTH_BYTES {
            true => Err(format!("folders within folders, {MAX_DEPTH_BYTES} bytes of names and more")),
            false => Ok(()),
        }
    }

    pub(super) fn leave(&mut self) {
        if let Some(name) = self.entered.pop() {
            self.bytes -= name.len() + 1;
        }
    }

    /// The folder that the source is in, or what was asked for.
    pub(super) fn here(&self) -> String {
        match self.entered.first().and_then(|first| self.start(first)) {
            Some((start, _)) => text::path(&self.joined(&start, None)),
            None => self.operand(),
        }
    }

    /// A file's path, its name where the path may be its folder's or one of several, and how sure that is.
    pub(super) fn of(&self, name: &[u8]) -> (String, Option<String>, Confidence) {
        let first = self.entered.first().map_or(name, |first| first);
        let Some((start, sure)) = self.start(first) else {
            return (self.operand(), Some(text::path(&self.joined(b"", Some(name)))), Confidence::Low);
        };
        if self.direction == Direction::Download || self.folder {
            return (text::path(&self.joined(&start, Some(name))), None, sure);
        }
        let becomes_it = last_of(&start) == name;
        let path = match (self.entered.is_empty(), becomes_it) {
            (true, true) => return (text::path(&start), None, sure),
            (true, false) => return (text::path(&start), Some(text::path(name)), Confidence::Medium),
            (false, _) => self.joined(&start, Some(name)),
        };
        (text::path(&path), None, if becomes_it { sure } else { Confidence::Medium })
    }

    /// The folder in which the source starts, and how sure that is: of an upload the operand, of a download that of the
    /// operand which has the name. None where several may have it: scp says of what it passes over no more than of what it
    /// sends, so their order does not tell.
    fn start(&self, name: &[u8]) -> Option<(Vec<u8>, Confidence)> {
        if self.direction == Direction::Upload {
            return Some((self.operands.last().cloned().unwrap_or_default(), Confidence::High));
        }
        let trimmed = |path: &Vec<u8>| match path.iter().rposition(|byte| *byte != b'/') {
            Some(last) => path[..=last].to_vec(),
            None => Vec::new(),
        };
        let may_be = |path: &Vec<u8>| last_of(path) == name || is_expanded(last_of(path));
        let all: Vec<_> = self.operands.iter().map(trimmed).collect();
        let mut named = all.iter().filter(|path| may_be(path));
        let (path, sure) = match (named.next(), named.next(), &all[..]) {
            (Some(path), None, _) => (path, Confidence::High),
            // A target that sends what it was not asked for, or a shell that made another word of it.
            (None, _, [path]) => (path, Confidence::Low),
            (None, _, []) => return Some((Vec::new(), Confidence::High)),
            _ => return None,
        };
        Some((path[..path.len() - last_of(path).len()].to_vec(), sure))
    }

    fn joined(&self, start: &[u8], name: Option<&[u8]>) -> Vec<u8> {
        let mut path = start.to_vec();
        for part in self.entered.iter().map(|part| &**part).chain(name) {
            if !path.is_empty() && !path.ends_with(b"/") {
                path.push(b'/');
            }
            path.extend_from_slice(part);
        }
        path
    }
}

/// What follows the last slash.
pub(crate) fn last_of(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

/// Whether a shell makes other names of it.
pub(crate) fn is_expanded(name: &[u8]) -> bool {
    name.iter().any(|byte| matches!(byte, b'*' | b'?' | b'[' | b'{' | b'$' | b'`' | b'~'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(direction: Direction, operands: &[&str], folder: bool, entered: &[&str]) -> Paths {
        let operands = operands.iter().map(|path| path.as_bytes().to_vec()).collect();
        let mut paths = Paths::new(direction, operands, folder);
        entered.iter().for_each(|name| paths.enter(name.as_bytes()).unwrap());
        paths
    }

    #[test]
    fn the_path_is_as_sure_as_the_command_line() {
        use Confidence::{High, Low, Medium};
        use Direction::{Download, Upload};
        type Row<'a> = (Direction, &'a [&'a str], bool, &'a [&'a str], &'a str, Option<&'a str>, Confidence);
        let table: [Row<'_>; 18] = [
            (Upload, &["/tmp/"], false, &[], "/tmp/f", None, High),
            (Upload, &["/tmp"], true, &[], "/tmp/f", None, High),
            (Upload, &["/tmp/f"], false, &[], "/tmp/f", None, High),
            (Upload, &["/tmp"], false, &[], "/tmp", Some("f"), Medium),
            (Upload, &["/tmp"], false, &["d", "e"], "/tmp/d/e/f", None, Medium),
            (Upload, &["."], false, &[], ".", Some("f"), Medium),
            (Download, &["/srv/f"], false, &[], "/srv/f", None, High),
            (Download, &["f"], false, &[], "f", None, High),
            (Download, &["/srv/*"], false, &[], "/srv/f", None, High),
            (Download, &["/srv/d/"], false, &["d", "e"], "/srv/d/e/f", None, High),
            (Download, &["/a/g", "/b/f"], false, &[], "/b/f", None, High),
            (Download, &[], false, &[], "f", None, High),
            // Several may have the name; it is not told which.
            (Download, &["/a/f", "/b/f"], false, &[], "/a/f /b/f", Some("f"), Low),
            (Download, &["/a/*", "/b/f"], false, &[], "/a/* /b/f", Some("f"), Low),
            (Download, &["/a/d", "/b/d"], false, &["d", "e"], "/a/d /b/d", Some("d/e/f"), Low),
            (Download, &["/a/g", "/b/h"], false, &[], "/a/g /b/h", Some("f"), Low),
            (Download, &["/a/d", "/b/f"], false, &["d", "e"], "/a/d/e/f", None, High),
            (Download, &["/a/g"], false, &[], "/a/f", None, Low),
        ];
        for (direction, operands, folder, entered, path, name, confidence) in table {
            let found = paths(direction, operands, folder, entered).of(b"f");
            assert_eq!(found, (path.to_owned(), name.map(str::to_owned), confidence), "{operands:?}");
        }
    }

    #[test]
    fn leaving_more_than_was_entered_is_no_harm() {
        let mut paths = paths(Direction::Upload, &["/d/"], false, &["a"]);
        paths.leave();
        paths.leave();
        assert_eq!(paths.here(), "/d/");
        assert_eq!(paths.enter(&[b'x'; MAX_DEPTH_BYTES - 1]), Ok(()));
        assert!(paths.enter(b"y").is_err());
    }
}
