//! rsync over SSH: what the command line asks for, what both ends agree on, which files moved, and how much.
//!
//! ```text
//!  command line ──► arguments ─┐
//!  both streams ──► setup ─────┴─► mux ──► sent: lists, what moves, contents ──► files ──► transfer
//!                                   └────► requests of a client that fetches
//! ```
//! Source: the rsync 3.0 to 3.5 protocol, versions 27 to 32. The setup is read in both directions (arguments sent
//! inside the stream, version, flags, names of algorithms, seed), then the multiplexed stream is cut into messages:
//! data are counted, errors and deletions too. The end that has the files says all that is needed to tell which of them moved:
//! a list, then each file that differs, with its number, its contents and their digest. A receiver that has a file already gets
//! differences, of which no digest of the file can be made. Of the other direction only the names are read that a client gives
//! that fetches.

mod arguments;
mod carried;
mod entry;
mod extras;
mod files;
mod filters;
mod index;
mod list;
mod mux;
mod options;
mod order;
mod pieces;
mod place;
mod requests;
mod sent;
mod setup;
mod tokens;
mod wire;

use bartizan_model::event::Body;
use bartizan_model::observation::{Confidence, Decoder, Direction, RsyncEnd};

use self::arguments::Asked;
use self::entry::Form;
use self::files::{Files, Teller};
pub use self::filters::Filters;
use self::mux::Mux;
use self::requests::Requests;
use self::sent::{Agreed, Limits, Sent, Totals};
use self::setup::{EARLY, Setup};
use crate::command::Line;
use crate::observed::{Observed, Origin, Sink};
use crate::{Options, Stream, text};

/// Options and paths that one event says.
const SAID: usize = 64;
/// Bytes of the options, and of the paths, in that event: it has room for both, and each has room for the longest path.
const SAID_BYTES: usize = 24 << 10;
/// Bytes of the names that a client gives, in the same event.
const NAMES_BYTES: usize = 6 << 10;
/// The newest protocol of which lists are read.
const NEWEST: u32 = 32;
/// What both ends can do: lists of folders one after the other, fewer attributes, names of the owner 0.
const INCREMENTAL: u32 = 1;
const ALL_ATTRIBUTES: u32 = 1 << 4;
const ROOT_NAMES: u32 = 1 << 8;

/// Decodes one rsync.
pub(crate) struct Rsync {
    origin: Origin,
    asked: Asked,
    setup: Setup,
    input: Mux,
    output: Mux,
    /// What a client asks for that fetches, once it does.
    requests: Option<Requests>,
    /// What the end says that has the files, once it does.
    sent: Option<Sent>,
    files: Files,
    limits: Limits,
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
        // Half of the names are those of files that wait for the end.
        let waiting = options.names_bytes / 2;
        let names = options.names_bytes - waiting;
        Some(Self {
            origin: Origin::new(channel, Decoder::Rsync, confidence),
            setup: Setup::new(&asked, options.names_bytes),
            asked,
            input: Mux::default(),
            output: Mux::default(),
            requests: None,
            sent: None,
            files: Files::new(waiting),
            limits: Limits { digest: options.digest, beside: options.beside, names },
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
            let done = self.take(stream, &mut bytes, sink);
            match stream {
                Stream::Input => self.origin.bytes_in += (before - bytes.len()) as u64,
                Stream::Output => self.origin.bytes_out += (before - bytes.len()) as u64,
            }
            if let Err(reason) = done {
                self.origin.stop(&reason, sink);
            }
        }
    }

    fn take(&mut self, stream: Stream, bytes: &mut &[u8], sink: &mut dyn Sink) -> Result<(), String> {
        if !self.setup.done(stream)? {
            let done = self.setup.take(stream, bytes, &mut self.asked);
            if self.asked.uncertain {
                self.origin.confidence = Confidence::Low;
            }
            return done;
        }
        if stream == Stream::Output && !self.setup.arguments_known() {
            return Err(EARLY.to_owned());
        }
        if stream == Stream::Input
            && self.names_are_apart()
            && let Some(requests) = &mut self.requests
        {
            self.input.data += requests.take_names(bytes);
            return Ok(());
        }
        let (plain, whole) = (stream == Stream::Input && self.input_is_plain(), *bytes);
        let mux = self.mux(stream);
        let mut data = if plain { mux.plain(bytes) } else { mux.take(bytes)? };
        let done = self.data(stream, &mut data, sink);
        if done.is_err() {
            // What follows a fault does not count as read.
            *bytes = &whole[whole.len() - bytes.len() - data.len()..];
            self.mux(stream).data -= data.len() as u64;
        }
        done
    }

    const fn mux(&mut self, stream: Stream) -> &mut Mux {
        match stream {
            Stream::Input => &mut self.input,
            Stream::Output => &mut self.output,
        }
    }

    /// Takes data of one direction.
    fn data(&mut self, stream: Stream, data: &mut &[u8], sink: &mut dyn Sink) -> Result<(), String> {
        match (stream, self.asked.direction) {
            (Stream::Input, Direction::Upload) | (Stream::Output, Direction::Download) => {
                self.sent(data, sink)
            }
            (Stream::Input, Direction::Download) => {
                let new = || Requests::new(self.asked.names_files, NAMES_BYTES);
                self.requests.get_or_insert_with(new).take(data)
            }
            (Stream::Output, Direction::Upload) => Ok(()),
        }
    }

    /// Takes data of the end that has the files.
    fn sent(&mut self, data: &mut &[u8], sink: &mut dyn Sink) -> Result<(), String> {
        if data.is_empty() {
            return Ok(());
        }
        let sent = match &mut self.sent {
            Some(sent) => sent,
            None => {
                let sent = Sent::new(agreed(&self.asked, &self.setup)?, self.limits);
                self.sent.insert(sent)
            }
        };
        while let Some(moved) = sent.take(data)? {
            let listed = sent.totals().listed;
            let teller = Teller { origin: &self.origin, asked: &self.asked, listed };
            self.files.add(moved, &teller, sink);
        }
        Ok(())
    }

    /// Whether what the client sends is not cut into messages.
    fn input_is_plain(&self) -> bool {
        // One that fetches says in messages what was received, where the sender is to remove it.
        let tells = self.asked.direction == Direction::Download && self.asked.carried.removes;
        self.setup.input_is_plain() && !tells
    }

    /// Whether what comes are names outside of all messages, as in protocol 30 alone.
    fn names_are_apart(&self) -> bool {
        self.setup.version() == Some(30) && self.requests.as_ref().is_some_and(Requests::in_names)
    }

    /// Whether files may have moved that are not told: where not all was understood, or where the line may start more than the
    /// one program, and what this one sent did not come to its end.
    fn moves_more(&self) -> bool {
        let ended = self.sent.as_ref().is_some_and(Sent::ended);
        let certain = self.origin.confidence == Confidence::High;
        self.setup.arguments_known() && !certain && (self.origin.stopped || !ended)
    }

    pub(crate) fn finish(mut self, exit_status: Option<u32>, sink: &mut dyn Sink) {
        let status = match exit_status {
            Some(0) => text::OK.to_owned(),
            Some(status) => format!("exit status {status}"),
            None => "not ended".to_owned(),
        };
        let done = status == text::OK && !self.origin.stopped;
        let (cut, totals) = match &mut self.sent {
            Some(sent) => (sent.cut(), sent.totals()),
            None => (None, Totals::default()),
        };
        let files = std::mem::replace(&mut self.files, Files::new(0));
        let teller = Teller { origin: &self.origin, asked: &self.asked, listed: totals.listed };
        files.finish(cut, &status, &teller, sink);
        if self.moves_more() {
            let data = match self.asked.direction {
                Direction::Upload => self.input.data,
                Direction::Download => self.output.data,
            };
            let more = data.saturating_sub(totals.contents);
            let mut rest = teller.rest(more, &status, "what moved was not read");
            rest.partial = exit_status.is_none();
            sink.observed(Observed::new(done, Body::Transfer(rest)));
        }
        let read = self.sent.is_some() && !self.origin.stopped;
        let end = self.end(status, read.then_some(totals));
        sink.observed(Observed::new(done, Body::RsyncEnd(end)));
    }

    fn end(&self, status: String, totals: Option<Totals>) -> RsyncEnd {
        let (names, count) = self.requests.as_ref().map_or((&[][..], 0), Requests::names);
        let deleted = self.input.deleted + self.output.deleted;
        let known = self.setup.arguments_known();
        RsyncEnd {
            channel: self.origin.channel,
            direction: known.then_some(self.asked.direction),
            module: self.asked.module.as_deref().map(text::message),
            paths: said(&self.asked.paths, SAID_BYTES, 0),
            options: said(&self.asked.options, SAID_BYTES, 0),
            files_from: said(names, NAMES_BYTES, count.saturating_sub(names.len() as u64)),
            version: self.setup.version(),
            listed: totals.map(|totals| totals.listed),
            total_size: totals.map(|totals| totals.size),
            transferred: totals.map(|totals| totals.transferred),
            content_bytes: totals.map(|totals| totals.contents),
            deleted: (deleted > 0).then_some(deleted),
            bytes_in: self.passed.0,
            bytes_out: self.passed.1,
            errors: self.input.errors + self.output.errors,
            status,
            derived: self.origin.derived(if known { Confidence::High } else { Confidence::Low }),
        }
    }
}

/// What both ends agree on, as far as it changes what the one sends that has the files.
fn agreed(asked: &Asked, setup: &Setup) -> Result<Agreed, String> {
    let version = setup.version().ok_or(EARLY)?;
    if version > NEWEST || !setup.arguments_known() {
        return Err(if version > NEWEST { format!("rsync protocol {version}") } else { EARLY.to_owned() });
    }
    let (carried, flags, uploads) = (&asked.carried, setup.flags(), asked.direction == Direction::Upload);
    let (sum, listed_sum) = carried.sums(setup.checksum()?)?;
    Ok(Agreed {
        incremental: flags & INCREMENTAL != 0,
        root_names: flags & ROOT_NAMES != 0,
        fewer_attributes: version >= 31 && flags & ALL_ATTRIBUTES == 0,
        compressed: carried.compressed(asked.compresses(), setup.compression()?),
        sum,
        idle: asked.idle || carried.batch_only,
        filters: uploads && carried.filters(version),
        statistics: !uploads,
        form: Form { version, varint_flags: setup.by_name(), carried: carried.clone(), sum: listed_sum },
    })
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
