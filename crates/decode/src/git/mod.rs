//! Git's pack protocol as it goes over SSH: what a push changes, what a fetch asks for.
//!
//! Source: gitprotocol-common, gitprotocol-pack and gitprotocol-v2 of Git's documentation. Of a push the commands are
//! read and the report of the target; the pack is counted. Of a fetch the wants and haves are counted; the target's
//! answer is not looked into.

mod pkt;
mod push;

use bartizan_model::event::Body;
use bartizan_model::observation::{Confidence, Decoder, GitEnd};

use self::pkt::{Packets, Pkt};
use self::push::Push;
use crate::command::{Line, Service};
use crate::observed::{Observed, Origin, Sink};
use crate::{Options, Stream, text};

/// Decodes one service of Git.
pub(crate) struct Git {
    origin: Origin,
    service: Service,
    repository: String,
    input: Packets,
    output: Packets,
    /// Whether the target's first line has been seen, which tells the version.
    greeted: bool,
    version: u32,
    wants: u64,
    haves: u64,
    push: Option<Push>,
}

impl Git {
    /// None for a command line without a repository.
    pub(crate) fn new(channel: u32, service: Service, line: &Line, options: &Options) -> Option<Self> {
        let repository = text::path(line.arguments.last()?);
        let confidence = if line.plain { Confidence::High } else { Confidence::Medium };
        let push = (service == Service::ReceivePack).then(|| Push::new(&repository, options));
        Some(Self {
            origin: Origin::new(channel, Decoder::Git, confidence),
            service,
            repository,
            input: Packets::new(),
            output: Packets::new(),
            greeted: false,
            version: 0,
            wants: 0,
            haves: 0,
            push,
        })
    }

    pub(crate) fn feed(&mut self, stream: Stream, mut bytes: &[u8], sink: &mut dyn Sink) {
        while !self.origin.stopped {
            let packets = match stream {
                Stream::Input => &mut self.input,
                Stream::Output => &mut self.output,
            };
            let done = match packets.next(&mut bytes) {
                Ok(None) => break,
                Ok(Some(pkt)) => match (stream, &mut self.push) {
                    (Stream::Input, None) => {
                        count(&pkt, &mut self.wants, &mut self.haves);
                        Ok(())
                    }
                    (Stream::Input, Some(push)) => push.asked(&pkt),
                    (Stream::Output, push) => {
                        if !std::mem::replace(&mut self.greeted, true) {
                            self.version = version(&pkt);
                        }
                        match push {
                            Some(push) => push.answered(&pkt, &self.origin, sink),
                            None => Ok(()),
                        }
                    }
                },
                Err(reason) => Err(reason),
            };
            self.follow();
            if let Err(reason) = done {
                (self.origin.bytes_in, self.origin.bytes_out) = (self.input.start(), self.output.start());
                self.origin.stop(&reason, sink);
            }
        }
    }

    /// What is not in packets any more.
    fn follow(&mut self) {
        match &self.push {
            // After its commands (and options) a push sends the pack as it is.
            Some(push) => self.input.raw(push.pack_follows()),
            // The answer to a fetch is its business.
            None => self.output.raw(self.greeted),
        }
        self.input.raw(self.service == Service::UploadArchive || self.input.is_raw());
    }

    pub(crate) fn finish(mut self, exit_status: Option<u32>, sink: &mut dyn Sink) {
        let (refs, pack_bytes) = match &mut self.push {
            Some(push) => (push.finish(exit_status, &self.origin, sink), self.input.raw_bytes()),
            None => (0, 0),
        };
        let service = match self.service {
            Service::ReceivePack => "git-receive-pack",
            Service::UploadPack => "git-upload-pack",
            Service::UploadArchive => "git-upload-archive",
        };
        let end = GitEnd {
            channel: self.origin.channel,
            service: service.to_owned(),
            repository: self.repository,
            version: self.version,
            refs,
            wants: self.wants,
            haves: self.haves,
            pack_bytes,
            derived: self.origin.derived(Confidence::High),
        };
        sink.observed(Observed::new(!self.origin.stopped && self.greeted, Body::GitEnd(end)));
    }
}

/// The protocol's version, from the target's first line: an older one has none.
fn version(pkt: &Pkt<'_>) -> u32 {
    match pkt {
        Pkt::Line(b"version 1" | b"version 1\n") => 1,
        Pkt::Line(b"version 2" | b"version 2\n") => 2,
        _ => 0,
    }
}

/// Counts what a fetch asks for.
fn count(pkt: &Pkt<'_>, wants: &mut u64, haves: &mut u64) {
    let Pkt::Line(line) = pkt else { return };
    if line.starts_with(b"want ") || line.starts_with(b"want-ref ") {
        *wants += 1;
    } else if line.starts_with(b"have ") {
        *haves += 1;
    }
}
