//! Replies owed: which requests an end has to answer, and what we answer between them.
//!
//! Replies carry no number; their order is all that ties them to requests (RFC 4254 §4, §5.4). So
//! an answer of ours waits until the answers of earlier requests that were passed on have passed
//! back:
//!
//! ```text
//!   client asks   A   B   C      A and C are passed on, B is answered by us
//!   queue         passed(A)  ours(B)  passed(C)
//!   target replies to A →  client gets A's reply, then ours to B; C stays
//! ```

use crate::wire::connection::{GlobalKind, RequestKind};
use std::collections::VecDeque;

/// A channel request without its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pending {
    /// Passed on; the end will answer.
    Passed(RequestKind),
    /// Passed on by an end that wants no reply; the reply goes no further.
    Confirmed(RequestKind),
    /// Answered by us: success or failure.
    Ours(bool),
}

/// A global request without its reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum GlobalPending {
    /// Passed on; the end will answer.
    Passed(GlobalKind),
    /// Answered by us.
    Ours(GlobalReply),
    /// Asked by us: the reply goes no further.
    Own,
    /// Passed on, and answered by us since, because everything ended: the reply goes no further.
    AnsweredForIt,
}

/// A reply to a global request, made by us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum GlobalReply {
    Success(Vec<u8>),
    Failure,
}

impl GlobalReply {
    const fn len(&self) -> usize {
        match self {
            Self::Success(data) => data.len(),
            Self::Failure => 0,
        }
    }
}

/// The queue of one end for global requests, with the bytes of our own answers counted.
#[derive(Debug)]
pub(super) struct GlobalQueue {
    pending: VecDeque<GlobalPending>,
    bytes: usize,
}

impl GlobalQueue {
    /// The most bytes of our own answers that may wait; a peer that asks this much without listening is no peer.
    const MAX_BYTES: usize = 256 * 1024;

    pub(super) const fn new() -> Self {
        Self { pending: VecDeque::new(), bytes: 0 }
    }

    /// True when an answer of ours has to wait for one that passes back.
    pub(super) fn must_wait(&self) -> bool {
        self.pending.iter().any(|pending| matches!(pending, GlobalPending::Passed(_)))
    }

    /// True when one more request without a reply is too many.
    pub(super) fn is_full(&self, limit: usize) -> bool {
        self.pending.len() >= limit || self.bytes > Self::MAX_BYTES
    }

    pub(super) fn push(&mut self, pending: GlobalPending) {
        if let GlobalPending::Ours(reply) = &pending {
            self.bytes += reply.len();
        }
        self.pending.push_back(pending);
    }

    /// Takes the oldest entry.
    pub(super) fn pop(&mut self) -> Option<GlobalPending> {
        let pending = self.pending.pop_front()?;
        if let GlobalPending::Ours(reply) = &pending {
            self.bytes -= reply.len();
        }
        Some(pending)
    }

    /// Takes our answers that no longer wait for anything that passes back.
    pub(super) fn take_due(&mut self) -> Vec<GlobalReply> {
        let mut due = Vec::new();
        let mut place = 0;
        while let Some(pending) = self.pending.get_mut(place) {
            match pending {
                GlobalPending::Passed(_) => break,
                GlobalPending::Own | GlobalPending::AnsweredForIt => place += 1,
                GlobalPending::Ours(reply) => {
                    due.push(std::mem::replace(reply, GlobalReply::Failure));
                    self.pending.remove(place);
                }
            }
        }
        self.bytes -= due.iter().map(GlobalReply::len).sum::<usize>();
        due
    }
}
