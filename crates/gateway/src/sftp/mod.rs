//! The gate of an SFTP channel: each request is judged before the target sees it.
//!
//! ```text
//!   client ──► Gate::input ──► requests that are permitted ──► target
//!          ◄── SSH_FXP_STATUS for the others
//!          ◄── Gate::output ◄── answers ◄────────────────────── target
//! ```
//!
//! Sans-IO and pure: bytes in any chunking and a [`FileAccess`] in, bytes out. What is refused is answered in place,
//! once, between two packets of the target; ids tell the client which request it was. Contents of files that are permitted
//! pass without being copied.
//!
//! It fails closed. A stream that is not SFTP version 3 as anybody speaks it ends the channel ([`Broken`]); what an
//! extension does that is not known here nobody can judge, so it is refused. Handles are those that the target gave out
//! through this gate, each with what was permitted when it was opened.
//!
//! What it does not see: symbolic links that are on the target already. See `docs/files.md`.

mod cut;
mod judge;
mod lower;
mod replies;

use std::collections::HashMap;

use bartizan_access::{FileAccess, FilePath};
use bartizan_decode::sftp::OpenFlags;
use bartizan_ssh::connection::relay::DataEdit;

use self::cut::{Cutter, Flow, Pass};
use self::judge::{Rights, Ruling};
pub(crate) use self::lower::Lower;

/// The version of SFTP that is understood here.
const VERSION: u32 = 3;
/// Most requests of one channel without an answer. OpenSSH keeps 64.
const MAX_PENDING: usize = 16_384;
/// Most open files and folders of one channel. OpenSSH's server gives out fewer.
const MAX_HANDLES: usize = 4096;
/// Longest path, in bytes: no server opens a longer one (`PATH_MAX`).
const MAX_PATH: usize = 4096;
/// Most bytes of paths and handles that are kept of one channel: of what is open, and of what waits for an answer.
const MAX_KEPT: usize = 2 << 20;
/// Most bytes of answers that wait for the end of a packet of the target.
const MAX_WAITING: usize = 256 << 10;

/// Packet types (draft-ietf-secsh-filexfer-02 §3).
mod kind {
    pub(super) const INIT: u8 = 1;
    pub(super) const VERSION: u8 = 2;
    pub(super) const WRITE: u8 = 6;
    pub(super) const STATUS: u8 = 101;
    pub(super) const HANDLE: u8 = 102;
    pub(super) const DATA: u8 = 103;
    pub(super) const NAME: u8 = 104;
}

/// A stream that cannot be judged; the channel must end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Broken(pub(crate) String);

/// A request that was refused: what the log is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The request's name.
    pub request: &'static str,
    /// The path that it names, or that its handle was opened by; as it was sent.
    pub path: Vec<u8>,
    /// The second path.
    pub to: Option<Vec<u8>>,
    /// Why.
    pub reason: String,
    /// The grants that would permit it but for their rules.
    pub rules: Vec<bartizan_model::GrantId>,
}

/// Whether a chunk goes on as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Gated {
    /// It does.
    Unchanged,
    /// What is in the [`DataEdit`] goes on instead.
    Changed,
}

/// The gate of one channel.
#[derive(Default)]
pub struct Gate {
    input: Cutter,
    output: Cutter,
    /// The folder that relative paths begin at, once the target has said it.
    start: Option<Vec<u8>>,
    pending: HashMap<u32, Waiting>,
    handles: HashMap<Box<[u8]>, File>,
    /// Bytes of paths and handles in both.
    kept: usize,
    /// Our answers, for the next gap between two packets of the target.
    answers: Vec<u8>,
    refused: Vec<Refused>,
}

/// A request that the target has to answer.
enum Waiting {
    /// Makes a handle for this file or folder.
    Opening(Box<File>),
    /// Reads; more than so many bytes are beyond what is permitted.
    Reading { most: u32, handle: Box<[u8]> },
    /// Asks where relative paths begin.
    Start,
    /// Anything else.
    Other,
}

impl Waiting {
    fn kept(&self) -> usize {
        match self {
            Self::Opening(file) => file.path.len(),
            Self::Reading { handle, .. } => handle.len(),
            Self::Start | Self::Other => 0,
        }
    }
}

/// An open file, or folder.
struct File {
    /// As it was asked for.
    path: Box<[u8]>,
    flags: Option<OpenFlags>,
    rights: Rights,
    /// A refusal to go on reading or writing was told: one is enough.
    told: bool,
}

impl Gate {
    /// A gate at the beginning of a channel.
    pub fn new() -> Self {
        Self::default()
    }

    /// Judges what the client sends.
    ///
    /// # Errors
    /// [`Broken`]: the channel must end.
    pub fn input(&mut self, bytes: &[u8], access: &FileAccess, edit: &mut DataEdit) -> Result<Gated, Broken> {
        let mut flow = Flow::new(bytes, &mut edit.onward);
        while self.input.finish(&mut flow) {
            let Some(head) = self.input.next(&mut flow, cut::request_head)? else { break };
            match self.judge_packet(&head, access)? {
                Ruling::Pass => self.input.pass(&mut flow, &head),
                Ruling::Instead(packet) => self.input.replace(&mut flow, &head, &packet),
                Ruling::Refuse(answer) => {
                    self.input.drop(&mut flow, &head);
                    self.answers.extend(answer);
                }
            }
        }
        let changed = flow.is_changed();
        edit.held = self.input.held();
        if self.output.is_between() {
            edit.back = std::mem::take(&mut self.answers);
        } else if self.answers.len() > MAX_WAITING {
            return Err(Broken("more refused requests than the client waits for".into()));
        }
        Ok(if changed || !edit.back.is_empty() { Gated::Changed } else { Gated::Unchanged })
    }

    /// Follows what the target answers, and puts our own answers between.
    ///
    /// # Errors
    /// [`Broken`]: the channel must end.
    pub fn output(&mut self, bytes: &[u8], edit: &mut DataEdit) -> Result<Gated, Broken> {
        let mut flow = Flow::new(bytes, &mut edit.onward);
        while self.output.finish(&mut flow) {
            if !self.answers.is_empty() {
                flow.insert(&std::mem::take(&mut self.answers));
            }
            let pending = &self.pending;
            let head = |seen: &[u8]| cut::answer_head(seen, |id| replies::wanted(pending.get(&id)));
            let Some(head) = self.output.next(&mut flow, head)? else { break };
            match self.answered(&head)? {
                Pass::On => self.output.pass(&mut flow, &head),
                Pass::Not(instead) => self.output.replace(&mut flow, &head, &instead),
            }
        }
        edit.held = self.output.held();
        Ok(if flow.is_changed() { Gated::Changed } else { Gated::Unchanged })
    }

    /// Policy has changed: judges anew what is open.
    pub fn judge_again(&mut self, access: &FileAccess) {
        let start = self.start.as_deref();
        let opening = self.pending.values_mut().filter_map(|waiting| match waiting {
            Waiting::Opening(file) => Some(&mut **file),
            _ => None,
        });
        for file in self.handles.values_mut().chain(opening) {
            file.rights = Rights::of(&FilePath::new(&file.path, start), file.flags, access);
            file.told = false;
        }
    }

    /// A request goes on, and waits for its answer.
    fn waits(&mut self, id: u32, waiting: Waiting) {
        self.kept += waiting.kept();
        self.pending.insert(id, waiting);
    }

    /// An answer came.
    fn waited(&mut self, id: u32) -> Option<Waiting> {
        let waiting = self.pending.remove(&id)?;
        self.kept -= waiting.kept();
        Some(waiting)
    }

    /// The target opened something. It may give out a handle twice: then it is that of the second.
    fn opens(&mut self, handle: &[u8], file: File) {
        self.closes(handle);
        self.kept += handle.len() + file.path.len();
        self.handles.insert(handle.into(), file);
    }

    fn closes(&mut self, handle: &[u8]) -> Option<File> {
        let file = self.handles.remove(handle)?;
        self.kept -= handle.len() + file.path.len();
        Some(file)
    }

    /// What was refused since this was asked last.
    pub fn refused(&mut self) -> Vec<Refused> {
        std::mem::take(&mut self.refused)
    }
}

#[cfg(test)]
mod tests;
