//! SFTP version 3 with OpenSSH's extensions.
//!
//! Requests are matched to replies by id, however many are in flight. A file gives one `transfer` when it is closed:
//! the bytes that passed through its handle, and their SHA-256 if they passed in the file's order, or nearly. Every
//! change of a name or of attributes gives one event, with the status that the target returned; listings and
//! questions are counted. An answer that cannot be one to its request ends the decoding, and
//! so does a handle that is used before the target has given it.
//!
//! What a file is said to be follows the answer to its CLOSE, and what the target refused of it. A part that was refused beyond
//! the end of what passed makes no failure of the rest, and is told apart (`refused`): no client can have a file that it read or
//! wrote look as if it had not.
//!
//! A file that opening made or emptied gives an upload, whatever it was opened for.
//!
//! The digest is of the bytes that *passed*, in order from the beginning of the file. Where a file was written
//! without emptying it first, more may follow them on the disk; where a part was read twice, the first reading counts.

mod files;
mod flow;
mod frame;
mod pending;
mod state;
mod tell;
mod wire;

use bartizan_model::event::Body;
use bartizan_model::observation::{Confidence, Decoder, SftpEnd};

use self::frame::Framer;
use self::state::{Counts, State};
use self::tell::Context;
pub use self::wire::{Attributes, Malformed, OpenFlags, Request};
use crate::observed::{Observed, Origin, Sink};
use crate::{Options, Stream};

/// Decodes one SFTP channel.
pub(crate) struct Sftp {
    origin: Origin,
    options: Options,
    input: Framer,
    output: Framer,
    state: State,
}

impl Sftp {
    /// With the best that can be said of anything on this channel.
    pub(crate) fn new(channel: u32, confidence: Confidence, options: &Options) -> Self {
        Self {
            origin: Origin::new(channel, Decoder::Sftp, confidence),
            options: *options,
            input: Framer::new(Stream::Input),
            output: Framer::new(Stream::Output),
            state: State::new(options),
        }
    }

    pub(crate) fn feed(&mut self, stream: Stream, mut bytes: &[u8], sink: &mut dyn Sink) {
        while !self.origin.stopped {
            let framer = match stream {
                Stream::Input => &mut self.input,
                Stream::Output => &mut self.output,
            };
            let context = &mut Context { origin: &self.origin, options: &self.options, sink };
            let done = match framer.next(&mut bytes) {
                Ok(None) => break,
                Ok(Some(piece)) => self.state.take(stream, piece, context),
                Err(malformed) => Err(malformed.to_string()),
            };
            if let Err(reason) = done {
                self.give_up(&reason, sink);
            }
        }
    }

    fn give_up(&mut self, reason: &str, sink: &mut dyn Sink) {
        (self.origin.bytes_in, self.origin.bytes_out) = (self.input.start(), self.output.start());
        self.origin.stop(reason, sink);
        let context = &mut Context { origin: &self.origin, options: &self.options, sink };
        self.state.abandon(context);
    }

    pub(crate) fn finish(mut self, sink: &mut dyn Sink) {
        let context = &mut Context { origin: &self.origin, options: &self.options, sink };
        self.state.abandon(context);
        let State { version, counts, unknown, .. } = self.state;
        let Counts { opens, listings, stats, requests } = counts;
        let derived = self.origin.derived(Confidence::High);
        let channel = self.origin.channel;
        let end = SftpEnd { channel, version, opens, listings, stats, requests, unknown, derived };
        sink.observed(Observed::new(!self.origin.stopped, Body::SftpEnd(end)));
    }
}
