//! What passes through an open file in one direction, and what the target refuses of it.
//!
//! A client may ask for what no target does, such as a part beyond the longest file, to have a file that passed whole look
//! as if it had failed. So a part that was refused counts where the file lacks it: at or before the end of what the
//! target gave or took. Beyond that it is told apart.

use bartizan_model::Sha256Hex;
use bartizan_model::observation::Direction;

use crate::Options;
use crate::digest::{Block, Ordered, Repeats, Window};

/// So far beyond everything before it a part is not expected in a file's order, in bytes.
const FAR: u64 = 16 << 20;

/// A part of a file, by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) offset: u64,
    length: u32,
    /// Whether it lay far beyond what came before it.
    far: bool,
}

impl Span {
    pub(super) const fn new(offset: u64, length: u32) -> Self {
        Self { offset, length, far: false }
    }

    fn end(&self) -> u64 {
        self.offset.saturating_add(u64::from(self.length))
    }
}

/// One direction of an open file.
pub(super) struct Flow {
    bytes: u64,
    used: bool,
    order: Ordered,
    /// Where that ends which was given to the order.
    ordered: u64,
    /// Parts that lay far beyond it and were not refused.
    far: u64,
    /// Where that ends which the target gave or took.
    reached: u64,
    refused: Option<Refusal>,
}

/// What the target refused; of several parts that which begins first.
struct Refusal {
    at: u64,
    status: Box<str>,
    several: bool,
}

/// One way in which a file was used.
pub(super) struct Used {
    pub(super) direction: Direction,
    pub(super) bytes: u64,
    pub(super) digest: Result<Sha256Hex, &'static str>,
    /// The number of its contents, if any passed.
    pub(super) contents: Option<u64>,
    /// Why the file lacks a part.
    pub(super) failed: Option<Box<str>>,
    /// What was refused and is no part of it.
    pub(super) refused: Option<Box<str>>,
}

impl Used {
    /// Nothing passed, and there is no digest.
    pub(super) const fn nothing(direction: Direction, why: &'static str) -> Self {
        Self { direction, bytes: 0, digest: Err(why), contents: None, failed: None, refused: None }
    }
}

impl Flow {
    pub(super) fn new(repeats: Repeats, options: &Options) -> Self {
        let order = Ordered::new(repeats, options.beside);
        Self { bytes: 0, used: false, order, ordered: 0, far: 0, reached: 0, refused: None }
    }

    /// Whether anything passed or was asked for.
    pub(super) const fn is_used(&self) -> bool {
        self.used
    }

    /// A part follows. Gives it marked where it lies far beyond all before it.
    pub(super) fn begin(&mut self, part: Span, window: &mut Window) -> (Span, Block) {
        self.used = true;
        if part.length > 0 && part.offset > self.ordered.saturating_add(FAR) {
            self.far += 1;
            return (Span { far: true, ..part }, Block::Ignore);
        }
        self.ordered = self.ordered.max(part.end());
        (part, self.order.begin(part.offset, u64::from(part.length), window).0)
    }

    pub(super) fn data(&mut self, block: &mut Block, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.order.data(block, bytes);
    }

    pub(super) fn end(&mut self, window: &mut Window) {
        self.order.end(window);
    }

    pub(super) fn lose(&mut self, why: &'static str, window: &mut Window) {
        self.order.lose(why, window);
    }

    pub(super) fn accepted(&mut self, part: Span) {
        self.reached = self.reached.max(part.end());
        let makes_good =
            |refusal: &mut Refusal| !refusal.several && part.offset <= refusal.at && refusal.at < part.end();
        drop(self.refused.take_if(makes_good));
    }

    pub(super) fn refused(&mut self, part: Span, status: String) {
        self.used = true;
        let (at, status) = (part.offset, status.into_boxed_str());
        self.refused = Some(match self.refused.take() {
            Some(first) if first.at <= at => Refusal { several: true, ..first },
            before => Refusal { at, status, several: before.is_some() },
        });
    }

    /// A part that passed is not in the file.
    pub(super) fn was_not_written(&mut self, part: Span, window: &mut Window) {
        match part.far {
            true => self.far -= 1,
            false => self.order.lose("a part could not be written", window),
        }
    }

    pub(super) fn finish(mut self, direction: Direction, number: u64, window: &mut Window) -> Used {
        if self.far > 0 {
            let why = if self.ordered == 0 { "not from the beginning" } else { "a part did not pass" };
            self.order.lose(why, window);
        }
        let lacks = |refusal: &Refusal| self.reached == 0 || refusal.at <= self.reached;
        let (failed, refused) = match self.refused {
            Some(refusal) if lacks(&refusal) => (Some(refusal.status), None),
            refusal => (None, refusal.map(|refusal| refusal.status)),
        };
        let contents = (self.bytes > 0).then_some(number);
        Used { direction, bytes: self.bytes, digest: self.order.finish(window), contents, failed, refused }
    }
}
