//! Requests that are not answered yet.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use bartizan_model::event::Body;

use super::files::Slot;
use super::flow::Span;
use super::wire::{OpenFlags, kind};

/// Requests that are not answered yet, by id.
#[derive(Default)]
pub(super) struct Unanswered {
    by_id: HashMap<u32, Pending>,
    /// How many of them open something.
    opening: usize,
}

impl Unanswered {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether a handle may be given of which nothing is known yet.
    pub(super) const fn opening(&self) -> bool {
        self.opening > 0
    }

    /// Remembers a request until it is answered. One whose id is in use does not take the place of that which has it.
    pub(super) fn asked(&mut self, id: u32, pending: Pending) -> Result<(), String> {
        match self.by_id.entry(id) {
            Entry::Vacant(place) => {
                self.opening += usize::from(place.insert(pending).opens());
                Ok(())
            }
            Entry::Occupied(_) => Err(format!("request id {id} used again before it was answered")),
        }
    }

    /// Takes the request that is answered; none where nothing was asked by that id. One whose answer is none to it stays:
    /// what it was to change may have been changed.
    pub(super) fn answered(&mut self, id: u32, kind: u8, ok: bool) -> Result<Option<Pending>, String> {
        if self.by_id.get(&id).is_some_and(|pending| !pending.takes(kind, ok)) {
            let ok = if kind == kind::STATUS { ": ok" } else { "" };
            return Err(format!("request {id} answered by a packet of type {kind}{ok}"));
        }
        let pending = self.by_id.remove(&id);
        self.opening -= usize::from(pending.as_ref().is_some_and(Pending::opens));
        Ok(pending)
    }

    /// All that was not answered, in the order of ids.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Pending> + use<> {
        self.opening = 0;
        let mut pending: Vec<_> = std::mem::take(&mut self.by_id).into_iter().collect();
        pending.sort_unstable_by_key(|(id, _)| *id);
        pending.into_iter().map(|(_, pending)| pending)
    }
}

/// A request that is not answered yet.
pub(super) enum Pending {
    Open(Box<Opening>),
    OpenDir(Box<[u8]>),
    Close(Slot),
    Read(Slot, Span),
    Write(Slot, Span),
    /// An observation that lacks its status.
    Change(Box<Change>),
    Other,
}

pub(super) struct Opening {
    pub(super) path: Box<[u8]>,
    pub(super) flags: OpenFlags,
    pub(super) mode: Option<u32>,
}

pub(super) struct Change {
    pub(super) body: Body,
    /// What remembering it costs of the budget for names.
    pub(super) cost: usize,
}

impl Pending {
    /// What remembering it costs of the budget for names.
    pub(super) fn cost(&self) -> usize {
        match self {
            Self::Open(opening) => opening.path.len(),
            Self::OpenDir(path) => path.len(),
            Self::Change(change) => change.cost,
            Self::Close(_) | Self::Read(..) | Self::Write(..) | Self::Other => 0,
        }
    }
    const fn opens(&self) -> bool {
        matches!(self, Self::Open(_) | Self::OpenDir(_))
    }

    /// Whether an answer of this type can be one to it. What gives a handle or contents is not done without them.
    fn takes(&self, kind: u8, ok: bool) -> bool {
        match (self, kind) {
            (Self::Open(_) | Self::OpenDir(_), kind::HANDLE) | (Self::Read(..), kind::DATA) => true,
            (Self::Open(_) | Self::OpenDir(_) | Self::Read(..), kind::STATUS) => !ok,
            (Self::Other, kind::NAME | kind::ATTRS | kind::EXTENDED_REPLY) => true,
            (_, kind) => kind == kind::STATUS,
        }
    }
}
