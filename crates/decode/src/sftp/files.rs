//! Open files and folders of one SFTP channel.

use std::collections::HashMap;

use bartizan_model::observation::Direction;

use super::flow::{Flow, Span, Used};
use super::wire::OpenFlags;
use crate::Options;
use crate::digest::{Block, Repeats, Window};
use crate::text;

/// Names one open file, and never another that takes its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    index: u32,
    generation: u32,
}

/// What is open, by handle.
#[derive(Default)]
pub(super) struct Handles {
    by_name: HashMap<Box<[u8]>, u32>,
    slots: Vec<(u32, Option<Open>)>,
    free: Vec<u32>,
}

/// An open file or folder.
pub(super) struct Open {
    handle: Box<[u8]>,
    pub(super) path: Box<[u8]>,
    /// None for a folder.
    pub(super) file: Option<File>,
    /// True once the client has asked to close it: what it asks later is not about this file.
    pub(super) closing: bool,
}

/// What passed through an open file.
pub(super) struct File {
    /// How many were opened before it.
    number: u64,
    flags: OpenFlags,
    pub(super) mode: Option<u32>,
    read: Flow,
    written: Flow,
}

impl File {
    pub(super) fn new(
        number: u64,
        flags: OpenFlags,
        mode: Option<u32>,
        options: &Options,
        window: &mut Window,
    ) -> Self {
        let (mut read, mut written) =
            (Flow::new(Repeats::Ignored, options), Flow::new(Repeats::Fatal, options));
        if !options.digest {
            read.lose("not asked for", window);
            written.lose("not asked for", window);
        }
        if flags.append() {
            written.lose("appended to what was there", window);
        }
        Self { number, flags, mode, read, written }
    }

    /// The number of what passes in one direction, for [`crate::Part`].
    pub(super) const fn contents(&self, direction: Direction) -> u64 {
        self.number << 1 | matches!(direction, Direction::Upload) as u64
    }

    fn flow(&mut self, direction: Direction) -> &mut Flow {
        match direction {
            Direction::Download => &mut self.read,
            Direction::Upload => &mut self.written,
        }
    }

    /// A part of the file follows.
    pub(super) fn begin(&mut self, direction: Direction, part: Span, window: &mut Window) -> (Span, Block) {
        self.flow(direction).begin(part, window)
    }

    /// Bytes of that part.
    pub(super) fn data(&mut self, direction: Direction, block: &mut Block, bytes: &[u8]) {
        self.flow(direction).data(block, bytes);
    }

    /// That part is whole.
    pub(super) fn end(&mut self, direction: Direction, window: &mut Window) {
        self.flow(direction).end(window);
    }

    /// The target gave or took a part.
    pub(super) fn accepted(&mut self, direction: Direction, part: Span) {
        self.flow(direction).accepted(part);
    }

    /// The target refused a part.
    pub(super) fn refused(&mut self, direction: Direction, part: Span, status: String, window: &mut Window) {
        let flow = self.flow(direction);
        flow.refused(part, status);
        if direction == Direction::Upload {
            flow.was_not_written(part, window);
        }
    }

    /// What was written has no digest any more.
    pub(super) fn spoil(&mut self, why: &'static str, window: &mut Window) {
        self.written.lose(why, window);
    }

    /// The ways that the file was used, or was opened for if it was not: with bytes, and digest or why there is none.
    /// Opening that changed the file was an upload, if of nothing.
    pub(super) fn used(self, window: &mut Window) -> impl Iterator<Item = Used> {
        let [upward, downward] = [Direction::Upload, Direction::Download].map(|way| self.contents(way));
        let idle = !self.read.is_used() && !self.written.is_used();
        let meant = |direction| idle && self.flags.direction() == direction;
        let upload = self.written.is_used() || self.flags.always_changes() || meant(Direction::Upload);
        let download = self.read.is_used() || meant(Direction::Download);
        let mut finish = |flow: Flow, direction, wanted: bool, number| {
            let used = flow.finish(direction, number, window);
            wanted.then_some(used)
        };
        let written = finish(self.written, Direction::Upload, upload, upward);
        let read = finish(self.read, Direction::Download, download, downward);
        written.into_iter().chain(read)
    }
}

impl Handles {
    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    /// A file or folder is open. Gives what had the same handle before, which should not be.
    pub(super) fn insert(&mut self, handle: &[u8], path: Box<[u8]>, file: Option<File>) -> Option<Open> {
        let before = self.find(handle).and_then(|slot| self.remove(slot));
        let open = Open { handle: handle.into(), path, file, closing: false };
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                self.slots.push((0, None));
                u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
            }
        };
        if let Some((generation, slot)) = self.slots.get_mut(index as usize) {
            *generation = generation.wrapping_add(1);
            self.by_name.insert(open.handle.clone(), index);
            *slot = Some(open);
        }
        before
    }

    /// The slot of a handle that is open.
    pub(super) fn find(&self, handle: &[u8]) -> Option<Slot> {
        let index = *self.by_name.get(handle)?;
        let (generation, _) = self.slots.get(index as usize)?;
        Some(Slot { index, generation: *generation })
    }

    pub(super) fn get(&mut self, slot: Slot) -> Option<&mut Open> {
        let (generation, open) = self.slots.get_mut(slot.index as usize)?;
        if *generation == slot.generation { open.as_mut() } else { None }
    }

    pub(super) fn peek(&self, slot: Slot) -> Option<&Open> {
        let (generation, open) = self.slots.get(slot.index as usize)?;
        if *generation == slot.generation { open.as_ref() } else { None }
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Option<Open> {
        let (generation, open) = self.slots.get_mut(slot.index as usize)?;
        let open = if *generation == slot.generation { open.take()? } else { return None };
        self.by_name.remove(&open.handle);
        self.free.push(slot.index);
        Some(open)
    }

    /// All that is still open, in the order of slots.
    pub(super) fn drain(&mut self) -> Vec<Open> {
        self.by_name.clear();
        self.free.clear();
        std::mem::take(&mut self.slots).into_iter().filter_map(|(_, open)| open).collect()
    }
}

impl Open {
    /// What remembering it costs of the budget for names.
    pub(super) fn cost(&self) -> usize {
        self.path.len() + self.handle.len()
    }

    pub(super) fn shown(&self) -> String {
        text::path(&self.path)
    }
}
