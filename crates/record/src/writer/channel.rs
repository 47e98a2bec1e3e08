//! One channel: its digests, and which of its bytes go into which file.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bartizan_model::{RecordingFile, escape};
use serde_json::json;

use super::sink::{Pen, Sink};
use crate::bytes::{self, Record};
use crate::cast;
use crate::counted::Accounts;
use crate::digest::StreamDigest;
use crate::frame::MAX_CONTENT;
use crate::meta::{ChannelDigests, Format, ManifestChannel};
use crate::session::Session;
use crate::{RecordError, Stream};

/// Output that arrives within this time is one event, in microseconds.
const COALESCE: u64 = 5_000;
/// Longest terminal name in a header, in bytes of its escaped form.
const MAX_TERM: usize = 256;

/// The writer's state of one channel.
pub(super) struct Channel {
    number: u32,
    kind: String,
    opened: u64,
    /// No event is earlier than the one before it.
    last: u64,
    digests: Accounts,
    capped: bool,
    /// The session's inbox has the accounts and goes on with them.
    handed_over: bool,
    pty: bool,
    /// The terminal's size, columns first.
    size: (u16, u16),
    /// When the terminal's recording begins: time 0 of its cast.
    begins: u64,
    sink: Option<Sink>,
    /// The file of bytes that passed before the channel got its terminal.
    earlier: Vec<RecordingFile>,
    /// The beginnings of characters whose end has not come yet, by stream; at most three bytes each.
    carries: BTreeMap<Stream, Carry>,
    /// Nothing is kept any more; what passes is counted and digested.
    lapsed: bool,
}

struct Carry {
    bytes: Vec<u8>,
    at: u64,
    /// A timer has passed since it began to wait.
    old: bool,
}

impl Channel {
    pub(super) fn new(number: u32, at: u64) -> Self {
        Self {
            number,
            kind: String::new(),
            opened: at,
            last: at,
            digests: Default::default(),
            capped: false,
            handed_over: false,
            pty: false,
            size: (80, 24),
            begins: 0,
            sink: None,
            earlier: Vec::new(),
            carries: BTreeMap::new(),
            lapsed: false,
        }
    }

    /// Keeps nothing more, and lets go of the files and of what is in the making.
    pub(super) fn lapse(&mut self, pen: &mut Pen) {
        if std::mem::replace(&mut self.lapsed, true) {
            return;
        }
        pen.clear();
        self.sink = None;
        self.carries = BTreeMap::new();
    }

    /// Lets the relay's thread count and digest from here on, if nothing of what comes next is kept.
    pub(super) fn hand_over(&mut self, session: &Session) {
        if (self.lapsed || (self.capped && !self.pty)) && !self.handed_over {
            self.handed_over = session.hand_over(self.number, &mut self.digests);
        }
    }

    fn take_back(&mut self, session: &Session) {
        if std::mem::take(&mut self.handed_over)
            && let Some(accounts) = session.hand_back(self.number)
        {
            self.digests = accounts;
        }
    }

    pub(super) fn open(&mut self, at: u64, kind: &[u8]) {
        self.kind = String::from_utf8_lossy(kind).into_owned();
        self.opened = at.min(self.opened);
    }

    /// Digests and keeps bytes that passed.
    pub(super) fn data(
        &mut self,
        session: &Session,
        stream: Stream,
        at: u64,
        content: &[u8],
        pen: &mut Pen,
    ) -> Result<(), RecordError> {
        let digest = &mut self.digests[stream as usize];
        digest.passed.update(content, None);
        if self.lapsed {
            return Ok(());
        }
        if !self.pty {
            return self.keep_bytes(session, stream, at, content, pen);
        }
        if stream == Stream::Input && !session.policy.input {
            return Ok(());
        }
        digest.kept += content.len() as u64;
        self.keep_terminal(stream, at, content, pen)
    }

    fn tick(&mut self, at: u64) -> u64 {
        self.last = self.last.max(at);
        self.last
    }

    // ---- channels without a terminal

    fn keep_bytes(
        &mut self,
        session: &Session,
        stream: Stream,
        at: u64,
        content: &[u8],
        pen: &mut Pen,
    ) -> Result<(), RecordError> {
        if self.capped {
            return Ok(());
        }
        let kept: u64 = self.digests.iter().map(|digest| digest.kept).sum();
        let left = session.policy.channel_cap.map_or(u64::MAX, |cap| cap.saturating_sub(kept));
        let take = usize::try_from(left).unwrap_or(usize::MAX).min(content.len());
        let (mut keep, beyond) = content.split_at(take);
        self.digests[stream as usize].kept += take as u64;
        while !keep.is_empty() {
            let room = MAX_CONTENT.saturating_sub(pen.frame.len() + 2 * bytes::MAX_OVERHEAD);
            if room < keep.len().min(MAX_CONTENT / 2) {
                self.flush_frame(pen)?;
                continue;
            }
            let (now, later) = keep.split_at(room.min(keep.len()));
            self.record(session, at, Record::Data(stream, now), pen)?;
            keep = later;
        }
        if !beyond.is_empty() {
            self.capped = true;
            if self.sink.is_some() {
                self.record(session, at, Record::Capped, pen)?;
            }
        }
        Ok(())
    }

    fn record(
        &mut self,
        session: &Session,
        at: u64,
        record: Record<'_>,
        pen: &mut Pen,
    ) -> Result<(), RecordError> {
        let at = self.tick(at);
        if self.sink.is_none() {
            self.create_sink(session, Format::Bytes, pen)?;
            let header = json!({
                "bartizan": "bytes", "version": 1, "session": session.id, "channel": self.number,
                "kind": self.kind, "opened_us": self.opened, "started": session.started,
            });
            pen.frame.extend_from_slice(header.to_string().as_bytes());
            pen.frame.push(b'\n');
            pen.events = 0;
        }
        if pen.frame.is_empty() || pen.events == 0 {
            bytes::time_into(&mut pen.frame, at);
            (pen.frame_at, pen.last_at) = (at, at);
        }
        bytes::record_into(&mut pen.frame, at - pen.last_at, record);
        pen.last_at = at;
        pen.events += 1;
        Ok(())
    }

    // ---- channels with a terminal

    /// Gives the channel a terminal. Bytes recorded before stay in their own file.
    pub(super) fn set_pty(
        &mut self,
        session: &Session,
        at: u64,
        content: &[u8],
        pen: &mut Pen,
    ) -> Result<(), RecordError> {
        if self.pty {
            return self.resize(at, content, pen);
        }
        let (cols, rows, term) = read_size(content);
        self.size = (cast::size_or(cols, self.size.0), cast::size_or(rows, self.size.1));
        if self.lapsed {
            // The inbox has sent what follows to the writer again.
            self.take_back(session);
            self.pty = true;
            return Ok(());
        }
        self.take_back(session);
        self.flush_frame(pen)?;
        if let Some(sink) = self.sink.take() {
            sink.close(pen, &mut self.earlier)?;
        }
        self.pty = true;
        self.create_sink(session, Format::Cast, pen)?;
        let begins = self.tick(at);
        self.begins = begins;
        let mut term = escape(term);
        term.truncate(term.floor_char_boundary(MAX_TERM));
        let header = cast::HeaderV2 {
            version: 2,
            width: self.size.0,
            height: self.size.1,
            timestamp: session.started.saturating_add(Duration::from_micros(begins)).unix_seconds(),
            title: &session.title,
            env: cast::Env { term: &term },
            bartizan: json!({
                "session": session.id, "channel": self.number, "kind": self.kind,
                "opened_us": self.opened, "begins_us": begins, "started": session.started,
            }),
        };
        let header = serde_json::to_vec(&header).map_err(|e| RecordError::Internal(e.to_string()))?;
        pen.frame.extend_from_slice(&header);
        pen.frame.push(b'\n');
        pen.frame_at = begins;
        Ok(())
    }

    pub(super) fn resize(&mut self, at: u64, content: &[u8], pen: &mut Pen) -> Result<(), RecordError> {
        if !self.pty || self.lapsed {
            return Ok(());
        }
        let (cols, rows, _) = read_size(content);
        self.size = (cast::size_or(cols, self.size.0), cast::size_or(rows, self.size.1));
        let (cols, rows) = self.size;
        self.emit(pen)?;
        self.event(at, b'r', None, format!("{cols}x{rows}").as_bytes(), pen)
    }

    pub(super) fn marker(
        &mut self,
        session: &Session,
        at: u64,
        text: &[u8],
        pen: &mut Pen,
    ) -> Result<(), RecordError> {
        if self.lapsed {
            return Ok(());
        }
        if self.pty {
            self.emit(pen)?;
            return self.event(at, b'm', None, text, pen);
        }
        if pen.frame.len() + text.len() + 2 * bytes::MAX_OVERHEAD > MAX_CONTENT {
            self.flush_frame(pen)?;
        }
        self.record(session, at, Record::Marker(text), pen)
    }

    fn keep_terminal(
        &mut self,
        stream: Stream,
        at: u64,
        content: &[u8],
        pen: &mut Pen,
    ) -> Result<(), RecordError> {
        // A carried beginning (three bytes) and a slice are at most one event.
        for slice in content.chunks(cast::MAX_EVENT_BYTES - 3) {
            let fits = pen.pending_stream == Some(stream)
                && at.saturating_sub(pen.pending_at) <= COALESCE
                && pen.pending.len() + slice.len() <= cast::MAX_EVENT_BYTES;
            if !fits {
                self.emit(pen)?;
                pen.pending_stream = Some(stream);
                pen.pending_at = at;
                if let Some(carry) = self.carries.remove(&stream) {
                    pen.pending.extend_from_slice(&carry.bytes);
                }
            }
            pen.pending.extend_from_slice(slice);
        }
        Ok(())
    }

    /// Turns the pending bytes into an event, but for the beginning of a character at their end.
    fn emit(&mut self, pen: &mut Pen) -> Result<(), RecordError> {
        let Some(stream) = pen.pending_stream.take() else { return Ok(()) };
        let pending = std::mem::take(&mut pen.pending);
        let at = pen.pending_at;
        let (whole, begun) = pending.split_at(pending.len() - cast::incomplete_tail(&pending));
        if !begun.is_empty() {
            self.carries.insert(stream, Carry { bytes: begun.to_vec(), at, old: false });
        }
        let written = if whole.is_empty() { Ok(()) } else { self.stream_event(stream, at, whole, pen) };
        pen.pending = pending;
        pen.pending.clear();
        written
    }

    fn stream_event(
        &mut self,
        stream: Stream,
        at: u64,
        bytes: &[u8],
        pen: &mut Pen,
    ) -> Result<(), RecordError> {
        match stream {
            Stream::Input => self.event(at, b'i', None, bytes, pen),
            Stream::Output | Stream::Error => self.event(at, b'o', Some(stream), bytes, pen),
        }
    }

    /// Writes one event's line. A line never spans two frames.
    fn event(
        &mut self,
        at: u64,
        code: u8,
        stream: Option<Stream>,
        bytes: &[u8],
        pen: &mut Pen,
    ) -> Result<(), RecordError> {
        let at = self.tick(at);
        let likely = bytes.len() + bytes.len() / 8 + 64;
        if pen.frame.len() + likely > MAX_CONTENT {
            self.flush_frame(pen)?;
        }
        loop {
            let start = pen.frame.len();
            let (events, before) = (pen.events, pen.frame_stream);
            self.line(at, code, stream, bytes, pen);
            if pen.frame.len() <= MAX_CONTENT || start == 0 {
                return Ok(());
            }
            pen.frame.truncate(start);
            (pen.events, pen.frame_stream) = (events, before);
            self.flush_frame(pen)?;
        }
    }

    fn line(&self, at: u64, code: u8, stream: Option<Stream>, bytes: &[u8], pen: &mut Pen) {
        if pen.frame.is_empty() {
            pen.frame_at = at;
        }
        let since = at - self.begins;
        if let Some(stream) = stream
            && pen.frame_stream.unwrap_or(Stream::Output) != stream
        {
            let name: &[u8] = if stream == Stream::Error { b"error" } else { b"output" };
            cast::event_into(&mut pen.frame, since, b's', name);
            pen.frame_stream = Some(stream);
        }
        cast::event_into(&mut pen.frame, since, code, bytes);
        pen.events += 1;
    }

    // ---- both

    fn create_sink(&mut self, session: &Session, format: Format, pen: &mut Pen) -> Result<(), RecordError> {
        let names = (format.file(self.number), format.index(self.number));
        let files = session.files.fetch_add(2, Ordering::Relaxed) + 2;
        pen.reserve_manifest(&session.folder, files)?;
        self.sink = Some(Sink::create(&session.folder, names, format == Format::Cast, pen)?);
        Ok(())
    }

    fn flush_frame(&mut self, pen: &mut Pen) -> Result<(), RecordError> {
        self.sink.as_mut().map_or(Ok(()), |sink| sink.flush(pen))
    }

    /// Writes everything but the beginnings of characters to the file.
    pub(super) fn flush(&mut self, pen: &mut Pen) -> Result<(), RecordError> {
        self.emit(pen)?;
        self.flush_frame(pen)
    }

    /// Writes the beginnings of characters that have waited for a whole timer; true when some wait still.
    pub(super) fn settle(&mut self, pen: &mut Pen) -> Result<bool, RecordError> {
        let old: Vec<_> =
            self.carries.extract_if(.., |_, carry| std::mem::replace(&mut carry.old, true)).collect();
        for (stream, carry) in old {
            self.stream_event(stream, carry.at, &carry.bytes, pen)?;
        }
        self.flush_frame(pen)?;
        Ok(!self.carries.is_empty())
    }

    /// Writes the rest and closes the files.
    pub(super) fn write_rest(
        &mut self,
        pen: &mut Pen,
        files: &mut Vec<RecordingFile>,
    ) -> Result<(), RecordError> {
        self.emit(pen)?;
        for (stream, carry) in std::mem::take(&mut self.carries) {
            self.stream_event(stream, carry.at, &carry.bytes, pen)?;
        }
        files.append(&mut self.earlier);
        if let Some(sink) = self.sink.take() {
            sink.close(pen, files)?;
        }
        Ok(())
    }

    /// Gives the account.
    pub(super) fn close(mut self, session: &Session, at: u64) -> ManifestChannel {
        self.take_back(session);
        let closed_us = self.tick(at);
        let [input, output, error] = self.digests.map(StreamDigest::finish);
        ManifestChannel {
            channel: self.number,
            kind: self.kind,
            pty: self.pty,
            opened_us: self.opened,
            closed_us,
            digests: ChannelDigests { input, output, error },
        }
    }
}

/// What a client asks for: columns, rows and the type of the terminal.
fn read_size(content: &[u8]) -> (u32, u32, &[u8]) {
    let Some((cols, rest)) = content.split_first_chunk::<4>() else { return (0, 0, &[]) };
    let Some((rows, term)) = rest.split_first_chunk::<4>() else { return (0, 0, &[]) };
    (u32::from_le_bytes(*cols), u32::from_le_bytes(*rows), term)
}
