//! The lists of files, as far as they are remembered: what a number means.
//!
//! With incremental recursion there are many, of a folder each, and each goes when both ends are done with it.

use std::collections::VecDeque;

use super::order::{clean, compare};

/// What remembering an entry costs besides the bytes of its name, and what a list costs.
const ENTRY: usize = 64;
const LIST: usize = 128;
/// Hard links of one list whose other names may follow.
const LINKS: usize = 1 << 16;

/// A type of file, in the bits of its mode.
pub(super) const fn kind(mode: u32) -> u32 {
    mode & 0o170_000
}
pub(super) const FILE: u32 = 0o100_000;
pub(super) const FOLDER: u32 = 0o040_000;
pub(super) const LINK: u32 = 0o120_000;

/// What the list says of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    pub(super) mode: u32,
    pub(super) size: u64,
    pub(super) mtime: i64,
}

/// All lists that are alive.
pub(super) struct Lists {
    lists: VecDeque<List>,
    /// Whether the order is that of the bytes, or entries are numbered as they came.
    plain: bool,
    unsorted: bool,
    /// What may still be remembered, in bytes.
    left: usize,
    /// The number of the next list's first entry.
    next: u32,
    /// First names of hard links in the last list: number, mode, size and time.
    links: Vec<(u32, Attributes)>,
}

/// What the further names of a hard link have in common with the first.
pub(super) type Attributes = (u32, u64, i64);

struct List {
    start: u32,
    count: u32,
    /// None when there are more names than are remembered.
    kept: Option<Kept>,
}

#[derive(Default)]
struct Kept {
    names: Vec<u8>,
    entries: Vec<Place>,
    cost: usize,
}

struct Place {
    at: u32,
    length: u32,
    mode: u32,
    size: u64,
    mtime: i64,
}

impl Kept {
    fn name(&self, place: &Place) -> &[u8] {
        let at = place.at as usize;
        self.names.get(at..at + place.length as usize).unwrap_or_default()
    }
}

/// What a number of the list means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Entry(Entry),
    /// The folder of a list.
    Folder,
    /// More names than are remembered.
    Forgotten,
    Nothing,
}

impl Lists {
    /// For a protocol's order; so many bytes of names are remembered.
    pub(super) fn new(version: u32, incremental: bool, unsorted: bool, most: usize) -> Self {
        let (lists, links) = (VecDeque::new(), Vec::new());
        Self { lists, plain: version < 29, unsorted, left: most, next: incremental.into(), links }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// A list begins.
    ///
    /// # Errors
    /// There are more lists than are remembered.
    pub(super) fn begin(&mut self) -> Result<(), String> {
        self.left = self.left.checked_sub(LIST).ok_or("more lists of files than are remembered")?;
        self.links.clear();
        let kept = Some(Kept { cost: LIST, ..Kept::default() });
        self.lists.push_back(List { start: self.next, count: 0, kept });
        self.next = self.next.saturating_add(1);
        Ok(())
    }

    /// The next entry of the last list; `first` where other names of the same file may follow.
    ///
    /// # Errors
    /// A name that is none, or more than can be counted.
    pub(super) fn add(&mut self, entry: &Entry, first: bool) -> Result<(), String> {
        let name = clean(&entry.name)?;
        let Some(list) = self.lists.back_mut() else { return Ok(()) };
        let number = list.start + list.count;
        list.count += 1;
        self.next = number.checked_add(2).filter(|next| *next < 1 << 31).ok_or("a list without an end")?;
        if first {
            if self.links.len() >= LINKS {
                return Err("more hard links than are remembered".to_owned());
            }
            self.links.push((number, (entry.mode, entry.size, entry.mtime)));
        }
        let Some(kept) = &mut list.kept else { return Ok(()) };
        let cost = name.len() + ENTRY;
        let Some(left) = self.left.checked_sub(cost) else {
            // Without all names, their order is not known.
            self.left += kept.cost - LIST;
            list.kept = None;
            return Ok(());
        };
        self.left = left;
        kept.cost += cost;
        let at = u32::try_from(kept.names.len()).map_err(|_| "more names than are remembered")?;
        let Entry { mode, size, mtime, .. } = *entry;
        kept.entries.push(Place { at, length: name.len() as u32, mode, size, mtime });
        kept.names.extend_from_slice(&name);
        Ok(())
    }

    /// What a hard link's first name in the same list was, and whether the number is one of this list.
    pub(super) fn link(&self, number: u32) -> (bool, Option<Attributes>) {
        let here = self.lists.back().is_some_and(|list| number >= list.start);
        let found = self.links.binary_search_by_key(&number, |link| link.0).ok();
        (here, found.map(|at| self.links[at].1))
    }

    /// The last list is whole: both ends sort it now.
    pub(super) fn end(&mut self) {
        self.links.clear();
        let (plain, unsorted) = (self.plain, self.unsorted);
        let Some(kept) = self.lists.back_mut().and_then(|list| list.kept.as_mut()) else { return };
        if unsorted {
            return;
        }
        let mut entries = std::mem::take(&mut kept.entries);
        let key = |place: &Place| kind(place.mode) == FOLDER;
        entries.sort_by(|a, b| compare(plain, (kept.name(a), key(a)), (kept.name(b), key(b))));
        kept.entries = entries;
    }

    /// Both ends are done with the first list.
    pub(super) fn done(&mut self) {
        if let Some(list) = self.lists.pop_front() {
            self.left += list.kept.map_or(LIST, |kept| kept.cost);
        }
    }

    pub(super) fn find(&self, number: u32) -> Found {
        let before = self.lists.partition_point(|list| list.start <= number);
        let Some(list) = before.checked_sub(1).and_then(|at| self.lists.get(at)) else {
            let first = self.lists.front().map(|list| list.start);
            return if first == number.checked_add(1) { Found::Folder } else { Found::Nothing };
        };
        let at = number - list.start;
        if at >= list.count {
            // The folder of the next list, or of none: a word to keep the connection alive.
            return if at == list.count { Found::Folder } else { Found::Nothing };
        }
        let Some(kept) = &list.kept else { return Found::Forgotten };
        kept.entries.get(at as usize).map_or(Found::Nothing, |place| {
            let Place { mode, size, mtime, .. } = *place;
            Found::Entry(Entry { name: kept.name(place).to_vec(), mode, size, mtime })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str) -> Entry {
        let (name, mode) = match name.strip_suffix('/') {
            Some(name) => (name, FOLDER),
            None => (name, FILE),
        };
        Entry { name: name.into(), mode, size: name.len() as u64, mtime: 1 }
    }

    fn name(lists: &Lists, number: u32) -> String {
        match lists.find(number) {
            Found::Entry(entry) => String::from_utf8(entry.name).unwrap(),
            other => format!("{other:?}"),
        }
    }

    fn list(lists: &mut Lists, names: &[&str]) {
        lists.begin().unwrap();
        names.iter().for_each(|name| lists.add(&entry(name), false).unwrap());
        lists.end();
    }

    #[test]
    fn numbers_count_sorted_entries_and_the_folder_of_each_list() {
        let mut lists = Lists::new(31, true, false, 10_000);
        list(&mut lists, &["./", "b/", "z", "a"]);
        list(&mut lists, &["b/y", "b/x"]);
        let names: Vec<_> = (0..9).map(|number| name(&lists, number)).collect();
        assert_eq!(names, ["Folder", ".", "a", "z", "b", "Folder", "b/x", "b/y", "Folder"]);
        assert_eq!(name(&lists, 9), "Nothing");
        lists.done();
        assert_eq!([2, 5, 7].map(|number| name(&lists, number)), ["Nothing", "Folder", "b/y"]);
        lists.done();
        assert!(lists.is_empty() && lists.left == 10_000);
        let mut lists = Lists::new(27, false, true, 10_000);
        list(&mut lists, &["z", "a"]);
        assert_eq!([0, 1].map(|number| name(&lists, number)), ["z", "a"]);
    }

    #[test]
    fn a_list_of_which_a_name_is_forgotten_has_none() {
        let mut lists = Lists::new(31, false, false, 1000);
        list(&mut lists, &["a", "b", "c"]);
        assert_eq!(name(&lists, 2), "c");
        let many: Vec<String> = (0..100).map(|n| format!("file {n}")).collect();
        list(&mut lists, &many.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!([4, 103].map(|number| name(&lists, number)), ["Forgotten", "Forgotten"]);
        assert_eq!(name(&lists, 2), "c");
        lists.done();
        lists.done();
        assert_eq!(lists.left, 1000);
    }
}
