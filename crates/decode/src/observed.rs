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
}

/// Takes observations, in their order.
pub trait Sink {
    /// Takes one.
    fn observed(&mut self, observed: Observed);
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

    /// Gives up, and says so.
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
        sink.observed(Observed { outcome: Outcome::Failure, severity: Severity::Warning, body });
    }
}

impl Observed {
    /// Something everyday that was done, or that the target refused to do.
    pub(crate) const fn new(done: bool, body: Body) -> Self {
        let outcome = if done { Outcome::Success } else { Outcome::Failure };
        Self { outcome, severity: Severity::Info, body }
    }
}
