//! The decoders of a session's channels: what passes is shown to them, what they observe becomes events.
//!
//! They are passive. Nothing waits for them but the relay's own thread; what they say decides nothing here.

use bartizan_access::Asked;
use bartizan_decode::{Decoder, Observed, Options, Protocol, Stream};
use bartizan_model::event::{Body, Outcome, Severity};
use bartizan_model::observation::{Confidence, DecodeStop, Derived};
use bartizan_ssh::connection::relay::{ChannelKey, DataKind, Side};
use bartizan_ssh::wire::connection::ChannelType;

use crate::beside::DIGESTS;

/// The decoders of a session, by [`ChannelKey::slot`].
#[derive(Default)]
pub(super) struct Observers {
    slots: Vec<Option<Observer>>,
    seen: Vec<Observed>,
}

struct Observer {
    key: ChannelKey,
    decoder: Decoder,
    /// One that nothing passed through says nothing.
    fed: bool,
}

impl Observers {
    /// A program is about to start. With a terminal the bytes are not the program's own: nothing is decoded, and that is
    /// told where something would be without.
    pub(super) fn starts(&mut self, key: ChannelKey, ordinal: u32, asked: Asked<'_>, pty: bool) {
        let decoder = decoder(ordinal, asked);
        if pty && let Some(decoder) = decoder.as_ref().and_then(Decoder::protocol) {
            self.seen.push(unseen(ordinal, decoder));
        }
        // No other one has begun: it would have been refused.
        *self.slot(key) = decoder.filter(|_| !pty).map(|decoder| Observer { key, decoder, fed: false });
    }

    /// The program did not start: what the client sent for it was for nobody.
    pub(super) fn failed(&mut self, key: ChannelKey) {
        if let Some(slot) = self.slots.get_mut(key.slot()) {
            drop(slot.take_if(|observer| observer.key == key));
        }
    }

    /// A channel opens. In a session channel it is the program that counts.
    pub(super) fn opens(&mut self, key: ChannelKey, ordinal: u32, kind: &ChannelType<'_>) {
        let decoder = match kind {
            ChannelType::AuthAgent | ChannelType::AgentConnect => Decoder::for_agent(ordinal),
            ChannelType::DirectTcpip { .. }
            | ChannelType::DirectStreamlocal { .. }
            | ChannelType::ForwardedTcpip { .. }
            | ChannelType::ForwardedStreamlocal { .. } => Decoder::for_forward(ordinal),
            _ => return,
        };
        *self.slot(key) = Some(Observer { key, decoder, fed: false });
    }

    fn slot(&mut self, key: ChannelKey) -> &mut Option<Observer> {
        if self.slots.len() <= key.slot() {
            self.slots.resize_with(key.slot() + 1, || None);
        }
        &mut self.slots[key.slot()]
    }

    /// Bytes that pass, after they were recorded.
    pub(super) fn data(&mut self, key: ChannelKey, from: Side, kind: DataKind, bytes: &[u8]) {
        let Some(Some(observer)) = self.slots.get_mut(key.slot()) else { return };
        let stream = match (from, kind) {
            (Side::Client, DataKind::Data) => Stream::Input,
            (Side::Target, DataKind::Data) => Stream::Output,
            (_, DataKind::Extended(_)) => return,
        };
        if observer.key == key {
            observer.fed = true;
            observer.decoder.feed(stream, bytes, &mut self.seen);
        }
    }

    /// A channel is over.
    pub(super) fn closed(&mut self, key: ChannelKey, exit_status: Option<u32>) {
        let Some(slot) = self.slots.get_mut(key.slot()) else { return };
        if let Some(observer) = slot.take_if(|observer| observer.key == key)
            && observer.fed
        {
            observer.decoder.finish(exit_status, &mut self.seen);
        }
    }

    /// What was observed since it was asked last.
    pub(super) fn take(&mut self) -> Vec<Observed> {
        std::mem::take(&mut self.seen)
    }
}

/// The protocol that a program speaks, as far as its name says so.
pub(super) fn protocol(asked: Asked<'_>) -> Option<Protocol> {
    decoder(0, asked)?.protocol()
}

/// What reads a program's bytes. What a shell or a command line starts, the target decides: SFTP is known by its first
/// bytes.
fn decoder(ordinal: u32, asked: Asked<'_>) -> Option<Decoder> {
    let options = Options { beside: Some(DIGESTS), ..Options::default() };
    match asked {
        Asked::Shell => Some(Decoder::for_unknown(ordinal, &options)),
        Asked::Exec(command) => Decoder::for_exec(ordinal, command, &options)
            .or_else(|| Some(Decoder::for_unknown(ordinal, &options))),
        Asked::Subsystem(name) => Decoder::for_subsystem(ordinal, name, &options),
    }
}

/// That a terminal stands between us and what a program says.
fn unseen(channel: u32, decoder: Protocol) -> Observed {
    let body = Body::DecodeStop(DecodeStop {
        channel,
        reason: "a terminal is in the way".to_owned(),
        bytes_in: 0,
        bytes_out: 0,
        derived: Derived { decoder, confidence: Confidence::High },
    });
    Observed { outcome: Outcome::Failure, severity: Severity::Warning, body, contents: None }
}
