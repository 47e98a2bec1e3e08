//! rsync over SSH: what the command line asks for, what both ends agree on, and how much passed.
//!
//! Source: the rsync 3.0 to 3.5 protocol, versions 27 to 32. The setup is read in both directions (arguments sent
//! inside the stream, version, flags, names of checksums, seed), then the multiplexed stream is cut into messages:
//! data are counted, errors and deletions too. Of the data only what a client says that fetches is read: the names that it gives,
//! and whether it asks for a file at all. The list of files is not, nor which parts of which file follow: a receiver that has a
//! file already gets differences, of which no digest of the file can be made.

mod arguments;
mod mux;
mod options;
mod requests;
mod setup;

use bartizan_model::event::Body;
use bartizan_model::observation::{Confidence, Decoder, Direction, RsyncEnd, Transfer};

use self::arguments::Asked;
use self::mux::Mux;
use self::requests::Requests;
use self::setup::Setup;
use crate::command::Line;
use crate::observed::{Observed, Origin, Sink};
use crate::{Options, Stream, text};

/// Options and paths that one event says.
const SAID: usize = 64;
/// Bytes of the options, and of the paths, in that event: it has room for both, and each has room for the longest path.
const SAID_BYTES: usize = 24 << 10;
/// Bytes of the names that a client gives, in the same event.
const NAMES_BYTES: usize = 6 << 10;

/// Decodes one rsync.
pub(crate) struct Rsync {
    origin: Origin,
    asked: Asked,
    setup: Setup,
    input: Mux,
    output: Mux,
    /// What a client asks for that fetches, once it does.
    requests: Option<Requests>,
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
            requests: None,
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
        if stream == Stream::Output {
            return self.output.take(bytes).map(drop);
        }
        if self.names_are_apart()
            && let Some(requests) = &mut self.requests
        {
            let taken = requests.take_names(bytes);
            self.input.data += taken;
            return Ok(());
        }
        let (plain, whole) = (self.setup.input_is_plain(), *bytes);
        let mut data = if plain { self.input.plain(bytes) } else { self.input.take(bytes)? };
        if self.asked.direction == Direction::Upload {
            return Ok(());
        }
        let new = || Requests::new(plain, self.asked.names_files, NAMES_BYTES);
        let done = self.requests.get_or_insert_with(new).take(&mut data);
        if done.is_err() {
            // What follows a fault does not count as read.
            *bytes = &whole[whole.len() - bytes.len() - data.len()..];
        }
        done
    }

    /// Whether what comes are names outside of all messages, as in protocol 30 alone.
    fn names_are_apart(&self) -> bool {
        self.setup.version() == Some(30) && self.requests.as_ref().is_some_and(Requests::in_names)
    }

    /// Whether a file was to be moved, unless it is certain that none was: a trial, a listing, a client that has all of it.
    fn moves(&self, done: bool) -> bool {
        let asked = self.requests.as_ref().is_some_and(Requests::asked);
        // Of what failed nobody knows how far it had come.
        let listed = done && self.asked.direction == Direction::Download && !asked;
        // A line that holds more than the one command may move files by another.
        let certain = self.origin.confidence == Confidence::High;
        self.setup.arguments_known() && !(certain && (self.asked.idle || listed))
    }

    pub(crate) fn finish(self, exit_status: Option<u32>, sink: &mut dyn Sink) {
        let status = match exit_status {
            Some(0) => text::OK.to_owned(),
            Some(status) => format!("exit status {status}"),
            None => "not ended".to_owned(),
        };
        let done = status == text::OK && !self.origin.stopped;
        let paths = said(&self.asked.paths, SAID_BYTES, 0);
        if self.moves(done) {
            let transfer = self.transfer(&paths, &status, exit_status.is_none());
            sink.observed(Observed::new(done, Body::Transfer(transfer)));
        }
        let end = self.end(paths, status);
        sink.observed(Observed::new(done, Body::RsyncEnd(end)));
    }

    fn transfer(&self, paths: &[String], status: &str, partial: bool) -> Transfer {
        let direction = self.asked.direction;
        let bytes = if direction == Direction::Upload { self.input.data } else { self.output.data };
        Transfer {
            channel: self.origin.channel,
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
            status: status.to_owned(),
            partial,
            derived: self.origin.derived(Confidence::High),
        }
    }

    fn end(&self, paths: Vec<String>, status: String) -> RsyncEnd {
        let (names, count) = self.requests.as_ref().map_or((&[][..], 0), Requests::names);
        let deleted = self.input.deleted + self.output.deleted;
        let known = self.setup.arguments_known();
        RsyncEnd {
            channel: self.origin.channel,
            direction: known.then_some(self.asked.direction),
            module: self.asked.module.as_deref().map(text::message),
            paths,
            options: said(&self.asked.options, SAID_BYTES, 0),
            files_from: said(names, NAMES_BYTES, count.saturating_sub(names.len() as u64)),
            version: self.setup.version(),
            deleted: (deleted > 0).then_some(deleted),
            bytes_in: self.passed.0,
            bytes_out: self.passed.1,
            errors: self.input.errors + self.output.errors,
            status,
            derived: self.origin.derived(if known { Confidence::High } else { Confidence::Low }),
        }
    }
}

/// As many words as fit, escaped; the last says that there are more, with those that were not kept.
fn said(words: &[Vec<u8>], most: usize, more: u64) -> Vec<String> {
    let mut left = most;
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
    let more = more + (words.len() - said.len()) as u64;
    if more > 0 {
        said.push(format!("… {more} more"));
    }
    said
}
