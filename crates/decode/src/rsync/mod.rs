//! rsync over SSH: what the command line asks for, what both ends agree on, and how much passed.
//!
//! Source: the rsync 3.0 to 3.5 protocol, versions 27 to 32. The setup is read in both directions (arguments sent
//! inside the stream, version, flags, names of checksums, seed), then the multiplexed stream is cut into messages:
//! data are counted, errors and deletions too. Which parts of which file are in the data is not looked into: a
//! receiver that has a file already gets differences, of which no digest of the file can be made.

mod arguments;
mod mux;
mod options;
mod setup;

use bartizan_model::event::Body;
use bartizan_model::observation::{Confidence, Decoder, Direction, RsyncEnd, Transfer};

use self::arguments::Asked;
use self::mux::Mux;
use self::setup::Setup;
use crate::command::Line;
use crate::observed::{Observed, Origin, Sink};
use crate::{Options, Stream, text};

/// Options and paths that one event says.
const SAID: usize = 64;
/// Bytes of the options, and of the paths, in that event: it has room for both, and each has room for the longest path.
const SAID_BYTES: usize = 24 << 10;

/// Decodes one rsync.
pub(crate) struct Rsync {
    origin: Origin,
    asked: Asked,
    setup: Setup,
    input: Mux,
    output: Mux,
    passed: (u64, u64),
}

impl Rsync {
    /// None for a command line that is no server.
    pub(crate) fn new(channel: u32, line: &Line, options: &Options) -> Option<Self> {
        let asked = Asked::parse(&line.arguments)?;
        let confidence = match (asked.uncertain, line.plain) {
            (true, _) => Confidence::Low,
            (false, false) => Confidence::Medium,
            (false, true) => Confidence::High,
        };
        Some(Self {
            origin: Origin::new(channel, Decoder::Rsync, confidence),
            setup: Setup::new(&asked, options.names_bytes),
            asked,
            input: Mux::default(),
            output: Mux::default(),
            passed: (0, 0),
        })
    }

    pub(crate) fn feed(&mut self, stream: Stream, mut bytes: &[u8], sink: &mut dyn Sink) {
        match stream {
            Stream::Input => self.passed.0 += bytes.len() as u64,
            Stream::Output => self.passed.1 += bytes.len() as u64,
        }
        while !self.origin.stopped && !bytes.is_empty() {
            let before = bytes.len();
            let done = self.take(stream, &mut bytes);
            match stream {
                Stream::Input => self.origin.bytes_in += (before - bytes.len()) as u64,
                Stream::Output => self.origin.bytes_out += (before - bytes.len()) as u64,
            }
            if let Err(reason) = done {
                self.origin.stop(&reason, sink);
            }
        }
    }

    fn take(&mut self, stream: Stream, bytes: &mut &[u8]) -> Result<(), String> {
        if !self.setup.done(stream)? {
            let done = self.setup.take(stream, bytes, &mut self.asked);
            if self.asked.uncertain {
                self.origin.confidence = Confidence::Low;
            }
            return done;
        }
        let (mux, whole) = match stream {
            Stream::Input => (&mut self.input, self.setup.input_is_plain()),
            Stream::Output => (&mut self.output, false),
        };
        if whole {
            mux.data += bytes.len() as u64;
            *bytes = &[];
            return Ok(());
        }
        mux.take(bytes)
    }

    pub(crate) fn finish(self, exit_status: Option<u32>, sink: &mut dyn Sink) {
        let status = match exit_status {
            Some(0) => text::OK.to_owned(),
            Some(status) => format!("exit status {status}"),
            None => "not ended".to_owned(),
        };
        let (channel, asked) = (self.origin.channel, self.asked);
        let direction = asked.direction;
        let bytes = if direction == Direction::Upload { self.input.data } else { self.output.data };
        let done = status == text::OK && !self.origin.stopped;
        let paths = said(&asked.paths);
        let transfer = Transfer {
            channel,
            direction,
            path: paths.join(" "),
            name: None,
            bytes,
            size: None,
            sha256: None,
            no_sha256: Some("rsync sends differences".to_owned()),
            mode: None,
            mtime: None,
            atime: None,
            files: None,
            refused: None,
            status: status.clone(),
            partial: exit_status.is_none(),
            derived: self.origin.derived(Confidence::High),
        };
        sink.observed(Observed::new(done, Body::Transfer(transfer)));
        let deleted = self.input.deleted + self.output.deleted;
        let end = RsyncEnd {
            channel,
            direction,
            module: asked.module.as_deref().map(text::message),
            paths,
            options: said(&asked.options),
            version: self.setup.version(),
            entries: None,
            sent: None,
            deleted: (deleted > 0).then_some(deleted),
            total_size: None,
            bytes_in: self.passed.0,
            bytes_out: self.passed.1,
            errors: self.input.errors + self.output.errors,
            status,
            derived: self.origin.derived(Confidence::High),
        };
        sink.observed(Observed::new(done, Body::RsyncEnd(end)));
    }
}

/// As many words as an event can hold, escaped; the last says that there are more.
fn said(words: &[Vec<u8>]) -> Vec<String> {
    let mut left = SAID_BYTES;
    let shown = words.iter().take(SAID).map(|word| text::path(word));
    let mut said: Vec<_> = shown
        .take_while(|word| match left.checked_sub(text::bytes_in_event(word)) {
            Some(rest) => {
                left = rest;
                true
            }
            None => false,
        })
        .collect();
    if said.len() < words.len() {
        said.push(format!("… {} more", words.len() - said.len()));
    }
    said
}
