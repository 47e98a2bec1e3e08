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
        match self.entered.split_last() {
            Some((last, _)) => text::path(&self.joined(&self.start(last), None)),
            None => self.operand(),
        }
    }

    /// A file's path, its name where the path may be its folder's, and how sure that is.
    pub(super) fn of(&self, name: &[u8]) -> (String, Option<String>, Confidence) {
        let operand = self.operands.last().map_or(&b""[..], Vec::as_slice);
        let certain = self.direction == Direction::Download || self.folder || last_of(operand) == name;
        if !certain && self.entered.is_empty() {
            return (text::path(operand), Some(text::path(name)), Confidence::Medium);
        }
        let first = self.entered.first().map_or(name, |first| first);
        let become_it = self.direction == Direction::Upload && !self.folder && self.entered.is_empty();
        let path = if become_it { operand.to_vec() } else { self.joined(&self.start(first), Some(name)) };
        let confidence = if certain { Confidence::High } else { Confidence::Medium };
        (text::path(&path), None, confidence)
    }

    /// The folder in which the source starts: of an upload the operand, of a download that of the operand which
    /// has the name.
    fn start(&self, name: &[u8]) -> Vec<u8> {
        if self.direction == Direction::Upload {
            return self.operands.last().cloned().unwrap_or_default();
        }
        let trimmed = |path: &Vec<u8>| match path.iter().rposition(|byte| *byte != b'/') {
            Some(last) => path[..=last].to_vec(),
            None => Vec::new(),
        };
        let mut all = self.operands.iter().map(trimmed);
        let named = all.clone().find(|path| last_of(path) == name);
        let Some(path) = named.or_else(|| all.next()) else { return Vec::new() };
        path[..path.len() - last_of(&path).len()].to_vec()
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
fn last_of(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
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
        use Confidence::{High, Medium};
        use Direction::{Download, Upload};
        type Row<'a> = (Direction, &'a [&'a str], bool, &'a [&'a str], &'a str, Option<&'a str>, Confidence);
        let table: [Row<'_>; 12] = [
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
