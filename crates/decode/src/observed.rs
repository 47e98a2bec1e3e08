//! What decoders give.

use bartizan_model::event::{Body, Outcome, Severity};
use bartizan_model::observation::{Confidence, DecodeStop, Decoder, Derived};

/// One observation, as the event that it becomes.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// Whether the target did what was asked.
    pub outcome: Outcome,
    /// How much attention it wants.
    pub severity: Severity,
    /// What was seen.
    pub body: Body,
    /// Of a transfer: the number under which [`Sink::contents`] got what passed; none where nothing did.
    pub contents: Option<u64>,
}

/// A part of a file's contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// Which file: a number that no other file of the channel has, whenever it is. A file that is read and written
    /// through one handle is two.
    pub file: u64,
    /// Where in the file, in bytes from its beginning, as the peer who sent it says.
    pub offset: u64,
    /// What passed; never empty.
    pub bytes: &'a [u8],
}

/// Takes observations, in their order.
pub trait Sink {
    /// Takes one.
    fn observed(&mut self, observed: Observed);

    /// Takes contents of a file as they pass, in any order and any cut, before the file's transfer is observed. Only with
    /// [`Options::contents`](crate::Options::contents). Parts may overlap or lie far apart: both peers may lie.
    fn contents(&mut self, part: Part<'_>) {
        let _ = part;
    }
}

impl Sink for Vec<Observed> {
    fn observed(&mut self, observed: Observed) {
        self.push(observed);
    }
}

/// Whose observations they are, and how far the streams were read.
pub(crate) struct Origin {
    pub(crate) channel: u32,
    pub(crate) decoder: Decoder,
    /// The best that can be said of anything on this channel.
    pub(crate) confidence: Confidence,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    /// Set once the decoder has given up.
    pub(crate) stopped: bool,
}

impl Origin {
    pub(crate) const fn new(channel: u32, decoder: Decoder, confidence: Confidence) -> Self {
        Self { channel, decoder, confidence, bytes_in: 0, bytes_out: 0, stopped: false }
    }

    /// The mark of an observation that deserves at most this confidence.
    pub(crate) fn derived(&self, confidence: Confidence) -> Derived {
        Derived { decoder: self.decoder, confidence: confidence.min(self.confidence) }
    }

    /// Gives up, and says so. What is open goes on unseen: all that is told from now on is a guess.
    pub(crate) fn stop(&mut self, reason: &str, sink: &mut dyn Sink) {
        if self.stopped {
            return;
        }
        self.stopped = true;
        let body = Body::DecodeStop(DecodeStop {
            channel: self.channel,
            reason: reason.to_owned(),
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            derived: self.derived(Confidence::High),
        });
        sink.observed(Observed {
            outcome: Outcome::Failure,
            severity: Severity::Warning,
            body,
            contents: None,
        });
        self.confidence = Confidence::Low;
    }
}

impl Observed {
    /// Something everyday that was done, or that the target refused to do.
    pub(crate) const fn new(done: bool, body: Body) -> Self {
        let outcome = if done { Outcome::Success } else { Outcome::Failure };
        Self { outcome, severity: Severity::Info, body, contents: None }
    }

    /// The same of a file whose contents were given under a number.
    pub(crate) fn with_contents(self, contents: Option<u64>) -> Self {
        Self { contents, ..self }
    }
}
