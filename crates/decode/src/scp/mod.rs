//! The protocol of `scp -t` and `scp -f`, as `rcp` had it.
//!
//! One end is the *source*: it sends records (`T` times, `C` file, `D` folder, `E` end of folder), the contents of
//! files, and a byte after them. The other, the *sink*, answers each with a byte: 0, or 1 or 2 and a message. A source
//! waits for each answer, and whether contents follow a `C` depends on it. A source that does not wait is read as if
//! the answer would be yes, and what is said of it is marked as guessed.
//!
//! Of several files that are asked for at once (`scp -f a/f b/f`) one may not be there, and what is sent has the last part of its
//! path for a name. Where more than one can be meant, `path` is all of them, `name` the file's, and the confidence low.
//!
//! Where a file lands, the target decides: `scp f host:/tmp` makes `/tmp` or `/tmp/f`. Then `path` is that of the
//! command line, `name` the file's, and the confidence medium.

mod arguments;
pub(crate) mod path;

use std::collections::VecDeque;

use bartizan_model::event::Body;
use bartizan_model::observation::{Confidence, Decoder, Direction, ScpEnd, Transfer};
use bartizan_model::{Beside, LongDigest};

use self::arguments::Asked;
use self::path::Paths;
use crate::command::Line;
use crate::digest::Sha256;
use crate::observed::{Observed, Origin, Part, Sink};
use crate::{Options, Stream, text};

/// Longest record or message, in bytes. OpenSSH reads no longer ones.
const MAX_LINE: usize = 16 << 10;
/// Answers that a source may be ahead of.
const MAX_AHEAD: usize = 16;

/// Decodes one `scp`.
pub(crate) struct Scp {
    origin: Origin,
    direction: Direction,
    paths: Paths,
    digest: bool,
    beside: Option<Beside>,
    contents: bool,
    source: Source,
    /// What of a record has come.
    record: Vec<u8>,
    /// What of a message has come, with the byte before it.
    message: Vec<u8>,
    /// What the sink has not answered yet.
    unanswered: VecDeque<Question>,
    times: Option<(i64, i64)>,
    /// The file whose contents pass, or were offered.
    file: Option<File>,
    files: u64,
    folders: u64,
    errors: u64,
}

/// What the source sends next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Record,
    /// A file was offered: contents, if the sink wants it.
    Offered,
    Contents {
        left: u64,
    },
    /// The byte after the contents.
    After,
}

/// What a sink answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Start,
    Times,
    File,
    Folder,
    EndOfFolder,
    Contents,
}

struct File {
    name: Box<[u8]>,
    mode: u32,
    size: u64,
    times: Option<(i64, i64)>,
    bytes: u64,
    digest: LongDigest<Sha256>,
    /// What the source said after the contents, if it was not zero.
    failed: Option<String>,
}

/// Why nothing more is understood.
type Refused = String;

impl Scp {
    /// None for a command line that is neither source nor sink.
    pub(crate) fn new(channel: u32, line: &Line, options: &Options) -> Option<Self> {
        let Asked { direction, folder, operands, certain } = Asked::parse(&line.arguments)?;
        let confidence = match (certain, line.plain) {
            (false, _) => Confidence::Low,
            (true, false) => Confidence::Medium,
            (true, true) => Confidence::High,
        };
        Some(Self {
            origin: Origin::new(channel, Decoder::Scp, confidence),
            direction,
            paths: Paths::new(direction, operands, folder),
            digest: options.digest,
            beside: options.beside,
            contents: options.contents,
            source: Source::Record,
            record: Vec::new(),
            message: Vec::new(),
            unanswered: VecDeque::from([Question::Start]),
            times: None,
            file: None,
            files: 0,
            folders: 0,
            errors: 0,
        })
    }

    pub(crate) fn feed(&mut self, stream: Stream, mut bytes: &[u8], sink: &mut dyn Sink) {
        let from_source = (stream == Stream::Input) == (self.direction == Direction::Upload);
        while !self.origin.stopped && !bytes.is_empty() {
            let before = bytes.len();
            let done =
                if from_source { self.source(&mut bytes, sink) } else { self.answers(&mut bytes, sink) };
            match stream {
                Stream::Input => self.origin.bytes_in += (before - bytes.len()) as u64,
                Stream::Output => self.origin.bytes_out += (before - bytes.len()) as u64,
            }
            if let Err(reason) = done {
                self.origin.stop(&reason, sink);
                self.abandon(sink);
            }
        }
    }

    pub(crate) fn finish(mut self, sink: &mut dyn Sink) {
        self.abandon(sink);
        let end = ScpEnd {
            channel: self.origin.channel,
            direction: self.direction,
            path: self.paths.operand(),
            files: self.files,
            folders: self.folders,
            errors: self.errors,
            derived: self.origin.derived(Confidence::High),
        };
        let done = !self.origin.stopped && self.errors == 0;
        sink.observed(Observed::new(done, Body::ScpEnd(end)));
    }

    /// Tells of the file that was not whole when all was over.
    fn abandon(&mut self, sink: &mut dyn Sink) {
        if let Some(file) = self.file.take() {
            let status = file.failed.clone().unwrap_or_else(|| "not answered".to_owned());
            self.tell(file, status, true, sink);
        }
    }

    /// Takes bytes of the source, up to where its state changes.
    fn source(&mut self, bytes: &mut &[u8], sink: &mut dyn Sink) -> Result<(), Refused> {
        match self.source {
            Source::Record => {
                let Some(()) = line(&mut self.record, bytes)? else { return Ok(()) };
                let record = std::mem::take(&mut self.record);
                let done = self.record(&record, sink);
                self.record = record;
                self.record.clear();
                done
            }
            Source::Offered => {
                // The answer has not come: a source that does not wait.
                self.origin.confidence = Confidence::Low;
                self.accepted();
                Ok(())
            }
            Source::Contents { left } => {
                let most = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                let (contents, rest) = bytes.split_at(most);
                *bytes = rest;
                if let Some(file) = &mut self.file {
                    if self.contents && !contents.is_empty() {
                        sink.contents(Part { file: self.files, offset: file.bytes, bytes: contents });
                    }
                    file.bytes += contents.len() as u64;
                    if self.digest {
                        file.digest.update(contents, self.beside);
                    }
                }
                self.contents_left(left - contents.len() as u64);
                Ok(())
            }
            Source::After => self.after(bytes),
        }
    }

    fn contents_left(&mut self, left: u64) {
        self.source = if left == 0 { Source::After } else { Source::Contents { left } };
    }

    /// The byte after the contents: zero, or a message about what the source could not read.
    fn after(&mut self, bytes: &mut &[u8]) -> Result<(), Refused> {
        if self.record.is_empty()
            && let Some((0, rest)) = bytes.split_first()
        {
            *bytes = rest;
        } else {
            let Some(()) = line(&mut self.record, bytes)? else { return Ok(()) };
            self.errors += 1;
            if let Some(file) = &mut self.file {
                file.failed = Some(said(&self.record));
            }
            self.record.clear();
        }
        self.source = Source::Record;
        self.ask(Question::Contents)
    }

    fn ask(&mut self, question: Question) -> Result<(), Refused> {
        self.unanswered.push_back(question);
        match self.unanswered.len() > MAX_AHEAD {
            true => Err("the source does not wait for answers".to_owned()),
            false => Ok(()),
        }
    }

    fn record(&mut self, record: &[u8], sink: &mut dyn Sink) -> Result<(), Refused> {
        let unknown = || format!("not a record of scp: {}", text::message(record));
        match record.split_first().ok_or_else(unknown)? {
            (b'T', times) => {
                self.times = Some(parse_times(times).ok_or_else(unknown)?);
                self.ask(Question::Times)
            }
            (b'C', rest) => {
                let (mode, size, name) = parse_entry(rest).ok_or_else(unknown)?;
                if self.file.is_some() {
                    return Err("the source does not wait for answers".to_owned());
                }
                let (times, digest) = (self.times.take(), LongDigest::default());
                let name = text::kept(name);
                self.file = Some(File { name, mode, size, times, bytes: 0, digest, failed: None });
                self.source = Source::Offered;
                self.ask(Question::File)
            }
            (b'D', rest) => {
                let (_, _, name) = parse_entry(rest).ok_or_else(unknown)?;
                self.times = None;
                self.paths.enter(name)?;
                self.ask(Question::Folder)
            }
            (b'E', []) => {
                self.paths.leave();
                self.ask(Question::EndOfFolder)
            }
            (1 | 2, _) => {
                self.source_failed(said(record), sink);
                Ok(())
            }
            _ => Err(unknown()),
        }
    }

    /// The source could not read something, and says so instead of offering it.
    fn source_failed(&mut self, status: String, sink: &mut dyn Sink) {
        self.errors += 1;
        self.times = None;
        let transfer = Transfer {
            channel: self.origin.channel,
            direction: self.direction,
            path: self.paths.here(),
            name: None,
            bytes: 0,
            size: None,
            sha256: None,
            no_sha256: Some("not opened".to_owned()),
            mode: None,
            mtime: None,
            atime: None,
            files: None,
            refused: None,
            status,
            partial: false,
            derived: self.origin.derived(Confidence::Medium),
        };
        sink.observed(Observed::new(false, Body::Transfer(transfer)));
    }

    /// Takes answers of the sink, one at a time.
    fn answers(&mut self, bytes: &mut &[u8], sink: &mut dyn Sink) -> Result<(), Refused> {
        if self.message.is_empty()
            && let Some((0, rest)) = bytes.split_first()
        {
            *bytes = rest;
            return self.answered(None, sink);
        }
        let Some(()) = line(&mut self.message, bytes)? else { return Ok(()) };
        let message = said(&self.message);
        self.message.clear();
        self.errors += 1;
        self.answered(Some(message), sink)
    }

    /// The sink answered: yes, or why not.
    fn answered(&mut self, refused: Option<String>, sink: &mut dyn Sink) -> Result<(), Refused> {
        match (self.unanswered.pop_front(), refused) {
            (Some(Question::File), None) if self.source == Source::Offered => self.accepted(),
            (Some(Question::File), Some(status)) if self.source == Source::Offered => {
                self.source = Source::Record;
                if let Some(file) = self.file.take() {
                    self.tell(file, status, false, sink);
                }
            }
            (Some(Question::File), Some(_)) => {
                return Err("a file was refused whose contents were sent".to_owned());
            }
            (Some(Question::Folder), None) => self.folders += 1,
            (Some(Question::Folder), Some(_)) => self.paths.leave(),
            (Some(Question::Contents), refused) => {
                if let Some(mut file) = self.file.take() {
                    let status = file.failed.take().or(refused);
                    self.tell(file, status.unwrap_or_else(|| text::OK.to_owned()), false, sink);
                }
            }
            // A sink may say more than it was asked: messages of the shell, several errors of one file.
            (None | Some(Question::Start | Question::Times | Question::EndOfFolder | Question::File), _) => {}
        }
        Ok(())
    }

    /// The offered file is wanted.
    fn accepted(&mut self) {
        self.contents_left(self.file.as_ref().map_or(0, |file| file.size));
    }

    fn tell(&mut self, file: File, status: String, partial: bool, sink: &mut dyn Sink) {
        let contents = (file.bytes > 0).then_some(self.files);
        self.files += 1;
        let (path, name, sure) = self.paths.of(&file.name);
        let started = file.bytes > 0 || file.size == 0 && status == text::OK;
        let sha256 = (self.digest && started).then(|| file.digest.finish());
        let why = if self.digest { "no contents passed" } else { "not asked for" };
        let transfer = Transfer {
            channel: self.origin.channel,
            direction: self.direction,
            path,
            name,
            bytes: file.bytes,
            size: Some(file.size),
            no_sha256: sha256.is_none().then(|| why.to_owned()),
            sha256,
            mode: Some(text::mode(file.mode)),
            mtime: file.times.map(|times| times.0),
            atime: file.times.map(|times| times.1),
            files: None,
            refused: None,
            partial,
            derived: self.origin.derived(sure),
            status,
        };
        let observed = Observed::new(transfer.status == text::OK, Body::Transfer(transfer));
        sink.observed(observed.with_contents(contents));
    }
}

/// Collects a line without its end; none until it is whole.
fn line(line: &mut Vec<u8>, bytes: &mut &[u8]) -> Result<Option<()>, Refused> {
    let room = MAX_LINE - line.len();
    let looked = &bytes[..bytes.len().min(room)];
    match looked.iter().position(|byte| *byte == b'\n') {
        Some(end) => {
            line.extend_from_slice(&bytes[..end]);
            *bytes = &bytes[end + 1..];
            Ok(Some(()))
        }
        None => {
            line.extend_from_slice(looked);
            *bytes = &bytes[looked.len()..];
            if line.len() < MAX_LINE { Ok(None) } else { Err(format!("a line of {MAX_LINE} bytes and more")) }
        }
    }
}

/// A message without the byte that marks it.
fn said(message: &[u8]) -> String {
    match message {
        [1 | 2, message @ ..] | message => text::message(message),
    }
}

/// `MTIME 0 ATIME 0`.
fn parse_times(times: &[u8]) -> Option<(i64, i64)> {
    let mut fields = std::str::from_utf8(times).ok()?.split(' ');
    let (mtime, _, atime) = (fields.next()?.parse().ok()?, fields.next()?, fields.next()?.parse().ok()?);
    Some((mtime, atime))
}

/// `MODE SIZE NAME`.
fn parse_entry(entry: &[u8]) -> Option<(u32, u64, &[u8])> {
    let mut fields = entry.splitn(3, |byte| *byte == b' ');
    let mut number = |radix| u64::from_str_radix(std::str::from_utf8(fields.next()?).ok()?, radix).ok();
    let (mode, size) = (u32::try_from(number(8)?).ok()?, number(10)?);
    Some((mode, size, fields.next().filter(|name| !name.is_empty())?))
}
