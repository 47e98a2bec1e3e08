//! What is known of a channel's files, and what each packet changes of it.

use bartizan_model::observation::Direction;

use super::files::{File, Handles, Open, Slot};
use super::flow::Span;
use super::frame::Piece;
use super::pending::{Change, Opening, Pending, Unanswered};
use super::tell::{self, Context, FX_EOF, FX_OK, UNANSWERED, described};
use super::wire::{Fields, Request, kind};
use crate::digest::{Block, Window};
use crate::observed::Part;
use crate::{Options, Stream, text};

/// Names of extensions that are not understood: so many are said.
const UNKNOWN: usize = 8;

/// What is known of the channel's files.
pub(super) struct State {
    unanswered: Unanswered,
    handles: Handles,
    window: Window,
    /// Bytes of names that are remembered.
    names: usize,
    /// The WRITE whose contents pass.
    writing: Option<Passing>,
    /// The DATA whose contents pass.
    reading: Option<Passing>,
    /// How many files were opened.
    files: u64,
    pub(super) version: Option<u32>,
    pub(super) counts: Counts,
    pub(super) unknown: Vec<String>,
}

/// What is counted and not listed.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) opens: u64,
    pub(super) listings: u64,
    pub(super) stats: u64,
    pub(super) requests: u64,
}

/// Contents of a file on their way.
struct Passing {
    slot: Slot,
    block: Block,
    /// Where in the file what comes next belongs.
    at: u64,
}

/// Why nothing more is understood.
type Refused = String;

impl State {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            unanswered: Unanswered::default(),
            handles: Handles::default(),
            window: Window::new(options.window_bytes),
            names: 0,
            writing: None,
            reading: None,
            files: 0,
            version: None,
            counts: Counts::default(),
            unknown: Vec::new(),
        }
    }

    /// Takes what a stream gave next.
    pub(super) fn take(
        &mut self,
        stream: Stream,
        piece: Piece<'_>,
        context: &mut Context<'_>,
    ) -> Result<(), Refused> {
        match piece {
            Piece::Bytes(bytes) => self.bytes(stream, bytes, context),
            Piece::End => self.end(stream),
            Piece::Write { id, handle, offset, length } => {
                return self.write(id, handle, offset, length, context);
            }
            Piece::Data { id, length } => return self.data(id, length),
            // What these answer changes nothing.
            Piece::Reply { kind, id } => return self.answered(id, kind, true).map(drop),
            Piece::Packet(kind, body) => {
                return match stream {
                    Stream::Input => self.request(kind, body, context),
                    Stream::Output => self.answer(kind, body, context),
                };
            }
        }
        Ok(())
    }

    fn passing(&mut self, stream: Stream) -> (&mut Option<Passing>, Direction) {
        match stream {
            Stream::Input => (&mut self.writing, Direction::Upload),
            Stream::Output => (&mut self.reading, Direction::Download),
        }
    }

    fn bytes(&mut self, stream: Stream, bytes: &[u8], context: &mut Context<'_>) {
        let (passing, direction) = match stream {
            Stream::Input => (&mut self.writing, Direction::Upload),
            Stream::Output => (&mut self.reading, Direction::Download),
        };
        let Some(Passing { slot, block, at }) = passing else { return };
        if let Some(file) = self.handles.get(*slot).and_then(|open| open.file.as_mut()) {
            file.data(direction, block, bytes);
            if context.options.contents {
                context.sink.contents(Part { file: file.contents(direction), offset: *at, bytes });
            }
            *at = at.saturating_add(bytes.len() as u64);
        }
    }

    fn end(&mut self, stream: Stream) {
        let (passing, direction) = self.passing(stream);
        let Some(Passing { slot, .. }) = passing.take() else { return };
        if let Some(file) = self.handles.get(slot).and_then(|open| open.file.as_mut()) {
            file.end(direction, &mut self.window);
        }
    }

    /// Contents for a file follow, from the client.
    fn write(
        &mut self,
        id: u32,
        handle: &[u8],
        offset: u64,
        length: u32,
        context: &Context<'_>,
    ) -> Result<(), Refused> {
        self.counts.requests += 1;
        let slot = self.named(handle)?;
        let open = slot.and_then(|slot| self.handles.get(slot));
        let Some((slot, file)) = slot.zip(open.and_then(|open| open.file.as_mut())) else {
            return self.ask(id, Pending::Other, context);
        };
        let part = Span::new(offset, length);
        let (part, block) = file.begin(Direction::Upload, part, &mut self.window);
        self.writing = Some(Passing { slot, block, at: offset });
        self.ask(id, Pending::Write(slot, part), context)
    }

    /// Contents of a file follow, from the target.
    fn data(&mut self, id: u32, length: u32) -> Result<(), Refused> {
        let Some(Pending::Read(slot, asked)) = self.answered(id, kind::DATA, true)? else { return Ok(()) };
        if let Some(file) = self.handles.get(slot).and_then(|open| open.file.as_mut()) {
            let part = Span::new(asked.offset, length);
            let (part, block) = file.begin(Direction::Download, part, &mut self.window);
            file.accepted(Direction::Download, part);
            self.reading = Some(Passing { slot, block, at: part.offset });
        }
        Ok(())
    }

    /// Takes the request that is answered, if there is one.
    fn answered(&mut self, id: u32, kind: u8, ok: bool) -> Result<Option<Pending>, Refused> {
        let pending = self.unanswered.answered(id, kind, ok)?;
        self.names -= pending.as_ref().map_or(0, Pending::cost);
        Ok(pending)
    }

    /// Remembers a request until it is answered.
    fn ask(&mut self, id: u32, pending: Pending, context: &Context<'_>) -> Result<(), Refused> {
        if self.unanswered.len() >= context.options.in_flight {
            return Err(format!("more than {} requests unanswered", context.options.in_flight));
        }
        self.remember(pending.cost(), context)?;
        self.unanswered.asked(id, pending)
    }

    fn remember(&mut self, bytes: usize, context: &Context<'_>) -> Result<(), Refused> {
        self.names += bytes;
        if self.names > context.options.names_bytes {
            return Err(format!("more than {} bytes of names to remember", context.options.names_bytes));
        }
        Ok(())
    }

    fn request(&mut self, kind: u8, body: &[u8], context: &mut Context<'_>) -> Result<(), Refused> {
        if kind == kind::INIT {
            return Ok(());
        }
        let (id, request) = Request::parse(kind, body).map_err(|malformed| malformed.to_string())?;
        self.counts.requests += 1;
        let pending = match request {
            Request::Open { path, flags, attributes } => {
                self.counts.opens += 1;
                Pending::Open(Box::new(Opening { path: text::kept(path), flags, mode: attributes.mode }))
            }
            Request::OpenDir { path } => Pending::OpenDir(text::kept(path)),
            Request::Close { handle } => self.close(handle)?,
            Request::Read { handle, offset, length } => match self.named(handle)? {
                Some(slot) => Pending::Read(slot, Span::new(offset, length)),
                None => Pending::Other,
            },
            Request::Query
            | Request::Stat { .. }
            | Request::ReadLink { .. }
            | Request::RealPath { .. }
            | Request::Inquire { .. } => {
                self.counts.stats += 1;
                Pending::Other
            }
            Request::Sync => Pending::Other,
            Request::Unknown { name } => {
                self.note_unknown(name);
                Pending::Other
            }
            change => self.change(&change, context)?,
        };
        self.ask(id, pending, context)
    }

    /// What is open by a handle that a request names. One that the client has asked to close is nobody's: the target may
    /// give it to the next file before it has answered anything.
    ///
    /// Handles of OpenSSH can be foretold. What names one that nobody has, while something is being opened, may be about that: a
    /// client that means well waits to be told the handle, and of one that does not nothing more can be said.
    fn named(&self, handle: &[u8]) -> Result<Option<Slot>, Refused> {
        let slot = self.handles.find(handle);
        let slot = slot.filter(|slot| self.handles.peek(*slot).is_some_and(|open| !open.closing));
        if slot.is_none() && self.unanswered.opening() {
            return Err(format!("handle {} used before the target gave it", text::message(handle)));
        }
        Ok(slot)
    }

    fn close(&mut self, handle: &[u8]) -> Result<Pending, Refused> {
        let Some(slot) = self.named(handle)? else { return Ok(Pending::Other) };
        if let Some(open) = self.handles.get(slot) {
            open.closing = true;
        }
        Ok(Pending::Close(slot))
    }

    fn note_unknown(&mut self, name: &[u8]) {
        let shown = text::message(name);
        if self.unknown.len() < UNKNOWN && !self.unknown.contains(&shown) {
            self.unknown.push(shown);
        }
    }

    /// A request that changes something on the target: the observation that it will be.
    fn change(&mut self, request: &Request<'_>, context: &Context<'_>) -> Result<Pending, Refused> {
        match *request {
            Request::FSetStat { handle, .. } => {
                self.named(handle)?;
            }
            Request::CopyData { from, to, .. } => {
                self.named(from)?;
                let open = self.named(to)?.and_then(|slot| self.handles.get(slot));
                if let Some(file) = open.and_then(|open| open.file.as_mut()) {
                    file.spoil("partly copied on the target", &mut self.window);
                }
            }
            _ => {}
        }
        let path_of = |handle: &[u8]| match self.named(handle) {
            Ok(Some(slot)) => self.handles.peek(slot).map(Open::shown).unwrap_or_default(),
            // The handle, where its file is not certain.
            _ => format!("handle {}", text::message(handle)),
        };
        let Some(body) = tell::change(request, context.origin, path_of) else { return Ok(Pending::Other) };
        let cost = tell::names_in(&body);
        Ok(Pending::Change(Box::new(Change { body, cost })))
    }

    fn answer(&mut self, kind: u8, body: &[u8], context: &mut Context<'_>) -> Result<(), Refused> {
        let mut fields = Fields(body);
        let short = || format!("a packet of type {kind} of {} bytes", body.len());
        let id = fields.u32().ok_or_else(short)?;
        match kind {
            kind::VERSION if self.version.is_none() => {
                self.version = Some(id);
                if id == 3 { Ok(()) } else { Err(format!("SFTP version {id}")) }
            }
            kind::STATUS => {
                let code = fields.u32().ok_or_else(short)?;
                let message = fields.string().unwrap_or_default();
                self.status(id, code, message, context)
            }
            kind::HANDLE => {
                let handle = fields.string().filter(|handle| handle.len() <= 256).ok_or_else(short)?;
                self.opened(id, handle, context)
            }
            other => Err(format!("an answer of type {other}")),
        }
    }

    /// The target answered with a status.
    fn status(
        &mut self,
        id: u32,
        code: u32,
        message: &[u8],
        context: &mut Context<'_>,
    ) -> Result<(), Refused> {
        let Some(pending) = self.answered(id, kind::STATUS, code == FX_OK)? else { return Ok(()) };
        match pending {
            Pending::Open(opening) => context.not_opened(&opening, described(code, message)),
            Pending::Close(slot) => {
                if let Some(open) = self.handles.remove(slot) {
                    self.names -= open.cost();
                    self.closed(open, Some((code, message)), context);
                }
            }
            Pending::Read(slot, part) if code != FX_EOF => {
                self.refused(slot, Direction::Download, part, described(code, message));
            }
            Pending::Write(slot, part) if code != FX_OK => {
                self.refused(slot, Direction::Upload, part, described(code, message));
            }
            Pending::Write(slot, part) => {
                if let Some(file) = self.handles.get(slot).and_then(|open| open.file.as_mut()) {
                    file.accepted(Direction::Upload, part);
                }
            }
            Pending::Change(change) => {
                context.changed(code == FX_OK, *change, described(code, message));
            }
            Pending::Read(..) | Pending::OpenDir(_) | Pending::Other => {}
        }
        Ok(())
    }

    /// The target refused a part of a file.
    fn refused(&mut self, slot: Slot, direction: Direction, part: Span, status: String) {
        if let Some(file) = self.handles.get(slot).and_then(|open| open.file.as_mut()) {
            file.refused(direction, part, status, &mut self.window);
        }
    }

    /// The target opened a file or a folder.
    fn opened(&mut self, id: u32, handle: &[u8], context: &mut Context<'_>) -> Result<(), Refused> {
        let Some(pending) = self.answered(id, kind::HANDLE, true)? else { return Ok(()) };
        let (path, file) = match pending {
            Pending::Open(opening) => {
                let Opening { path, flags, mode } = *opening;
                self.files += 1;
                (path, Some(File::new(self.files, flags, mode, context.options, &mut self.window)))
            }
            Pending::OpenDir(path) => {
                self.counts.listings += 1;
                (path, None)
            }
            _ => return Ok(()),
        };
        self.remember(path.len() + handle.len(), context)?;
        if let Some(before) = self.handles.insert(handle, path, file) {
            self.names -= before.cost();
            self.closed(before, None, context);
        }
        match self.handles.len() > context.options.handles {
            true => Err(format!("more than {} files open", context.options.handles)),
            false => Ok(()),
        }
    }

    /// A file is closed, by the target's word if there is one: tells what passed through it.
    fn closed(&mut self, open: Open, word: Option<(u32, &[u8])>, context: &mut Context<'_>) {
        let path = open.shown();
        let Some(file) = open.file else { return };
        let mode = file.mode.map(text::mode);
        let closed = word.map_or_else(|| UNANSWERED.to_owned(), |(code, message)| described(code, message));
        for used in file.used(&mut self.window) {
            let observed = tell::transfer(&path, used, mode.clone(), &closed, word.is_none(), context.origin);
            context.sink.observed(observed);
        }
    }

    /// Nothing more will be understood, or come: tells what is open and what was not answered.
    pub(super) fn abandon(&mut self, context: &mut Context<'_>) {
        for open in self.handles.drain() {
            self.closed(open, None, context);
        }
        for pending in self.unanswered.drain() {
            match pending {
                Pending::Open(opening) => context.not_opened(&opening, UNANSWERED.to_owned()),
                Pending::Change(change) => context.changed(false, *change, UNANSWERED.to_owned()),
                _ => {}
            }
        }
        (self.names, self.writing, self.reading) = (0, None, None);
    }
}
