//! Requests that are not answered yet.

use bartizan_model::event::Body;

use super::files::Slot;
use super::wire::OpenFlags;

/// A request that is not answered yet.
pub(super) enum Pending {
    Open(Box<Opening>),
    OpenDir(Box<[u8]>),
    Close(Slot),
    Read(Slot, u64),
    Write(Slot),
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
            Self::Close(_) | Self::Read(..) | Self::Write(_) | Self::Other => 0,
        }
    }
}
