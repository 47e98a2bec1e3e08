//! What is told of the files that moved.
//!
//! Of a download each is told when it is whole: the target has sent it. Of an upload the target acknowledges all together, by
//! its exit status; until then they wait, as many as are remembered.

use std::collections::VecDeque;

use bartizan_model::event::Body;
use bartizan_model::observation::{Confidence, Direction, Transfer};

use super::arguments::Asked;
use super::place;
use super::sent::Moved;
use crate::observed::{Observed, Origin, Sink};
use crate::text;

/// What remembering a file costs besides the bytes of its name.
const FILE: usize = 128;
/// What the status is of what the other end has not acknowledged.
const UNANSWERED: &str = "not answered";

/// Files that moved.
pub(super) struct Files {
    waiting: VecDeque<Moved>,
    left: usize,
    /// Those of which the name was not remembered, and bytes of their contents.
    nameless: (u64, u64),
}

/// Of whom files are told.
pub(super) struct Teller<'t> {
    pub(super) origin: &'t Origin,
    pub(super) asked: &'t Asked,
    /// Entries of the list so far.
    pub(super) listed: u64,
}

impl Files {
    /// So many bytes of what waits are remembered.
    pub(super) const fn new(most: usize) -> Self {
        Self { waiting: VecDeque::new(), left: most, nameless: (0, 0) }
    }

    /// A file is whole.
    pub(super) fn add(&mut self, moved: Moved, teller: &Teller<'_>, sink: &mut dyn Sink) {
        if moved.entry.is_none() {
            self.nameless.0 += 1;
            self.nameless.1 += moved.bytes;
            return;
        }
        if teller.asked.direction == Direction::Download {
            return teller.file(moved, text::OK, false, sink);
        }
        let cost = cost_of(&moved);
        while self.left < cost {
            let Some(first) = self.waiting.pop_front() else {
                return teller.file(moved, UNANSWERED, false, sink);
            };
            self.left += cost_of(&first);
            teller.file(first, UNANSWERED, false, sink);
        }
        self.left -= cost;
        self.waiting.push_back(moved);
    }

    /// All is over, with this status; `cut` is the file that was not whole by then.
    pub(super) fn finish(self, cut: Option<Moved>, status: &str, teller: &Teller<'_>, sink: &mut dyn Sink) {
        for moved in self.waiting {
            teller.file(moved, status, false, sink);
        }
        if let Some(moved) = cut {
            let status = if status == text::OK { UNANSWERED } else { status };
            teller.file(moved, status, true, sink);
        }
        if let (files @ 1.., bytes) = self.nameless {
            let uploads = teller.asked.direction == Direction::Upload;
            let status = if uploads { status } else { text::OK };
            let mut rest = teller.rest(bytes, status, "more names than are remembered");
            rest.files = Some(files);
            sink.observed(Observed::new(status == text::OK, Body::Transfer(rest)));
        }
    }
}

fn cost_of(moved: &Moved) -> usize {
    FILE + moved.entry.as_ref().map_or(0, |entry| entry.name.len())
}

impl Teller<'_> {
    fn file(&self, moved: Moved, status: &str, partial: bool, sink: &mut dyn Sink) {
        let mut told = self.rest(moved.bytes, status, "");
        told.partial = partial;
        if let Some(entry) = &moved.entry {
            let Asked { direction, paths, carried, .. } = self.asked;
            let (path, name, sure) = place::of(*direction, paths, carried, self.listed == 1, &entry.name);
            (told.path, told.name, told.derived) = (path, name, self.origin.derived(sure));
            told.size = Some(entry.size);
            told.mode = carried.perms.then(|| text::mode(entry.mode));
            told.mtime = carried.times.then_some(entry.mtime);
        }
        let digest = if partial { moved.digest.and(Err("not all of it passed")) } else { moved.digest };
        told.no_sha256 = digest.as_ref().err().map(|why| (*why).to_owned());
        told.sha256 = digest.ok();
        sink.observed(Observed::new(status == text::OK, Body::Transfer(told)));
    }

    /// What is told of files that are not told apart.
    pub(super) fn rest(&self, bytes: u64, status: &str, why: &str) -> Transfer {
        Transfer {
            channel: self.origin.channel,
            direction: self.asked.direction,
            path: super::said(&self.asked.paths, super::SAID_BYTES, 0).join(" "),
            name: None,
            bytes,
            size: None,
            sha256: None,
            no_sha256: Some(why.to_owned()),
            mode: None,
            mtime: None,
            atime: None,
            files: None,
            refused: None,
            status: status.to_owned(),
            partial: false,
            derived: self.origin.derived(Confidence::High),
        }
    }
}
