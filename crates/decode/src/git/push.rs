//! What a push changes: the client's commands, and the target's report on them.

use std::collections::HashMap;

use bartizan_model::event::Body;
use bartizan_model::observation::{Confidence, GitRef};

use super::pkt::{Packets, Pkt};
use crate::observed::{Observed, Origin, Sink};
use crate::{Options, text};

/// One push.
pub(super) struct Push {
    repository: String,
    /// Commands that the target has not reported on, by ref. One of several for the same ref is refused by git.
    commands: HashMap<Box<[u8]>, Vec<Command>>,
    /// Bytes of names and ids that are remembered, and how many may be.
    names: usize,
    most: usize,
    refs: u64,
    state: State,
    /// What the client asked for with its first command.
    side_band: bool,
    options: bool,
    certificate: bool,
    report_asked: bool,
    answer: Answer,
    /// The report inside the side band.
    report: Packets,
    unpack: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Commands,
    Options,
    Pack,
}

/// Where the target is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// It lists its refs.
    Refs,
    /// It reports.
    Report,
    Over,
}

struct Command {
    /// Its place among all.
    number: u64,
    old: Option<String>,
    new: Option<String>,
}

/// What is said of a ref where the client asked for no report.
const NO_REPORT: &str = "no report was asked for";

/// What remembering a command costs of the budget for names, besides the name.
const COMMAND: usize = 256;

impl Push {
    pub(super) fn new(repository: &str, options: &Options) -> Self {
        Self {
            repository: repository.to_owned(),
            commands: HashMap::new(),
            names: 0,
            most: options.names_bytes,
            refs: 0,
            state: State::Commands,
            side_band: false,
            options: false,
            certificate: false,
            report_asked: false,
            answer: Answer::Refs,
            report: Packets::new(),
            unpack: None,
        }
    }

    /// True once what the client sends is the pack.
    pub(super) fn pack_follows(&self) -> bool {
        self.state == State::Pack
    }

    /// The client says something.
    pub(super) fn asked(&mut self, pkt: &Pkt<'_>) -> Result<(), String> {
        match (self.state, pkt) {
            (State::Commands, Pkt::Flush) => {
                self.state = if self.options { State::Options } else { State::Pack };
            }
            (State::Commands, Pkt::Line(line)) => self.command(line)?,
            (State::Options, Pkt::Flush) => self.state = State::Pack,
            (State::Options | State::Pack, _) => {}
        }
        Ok(())
    }

    fn command(&mut self, line: &[u8]) -> Result<(), String> {
        let (line, capabilities) = match line.iter().position(|byte| *byte == 0) {
            Some(end) => (&line[..end], Some(&line[end + 1..])),
            None => (line, None),
        };
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        for capability in capabilities.unwrap_or_default().split(|byte| matches!(byte, b' ' | b'\n')) {
            self.side_band |= matches!(capability, b"side-band" | b"side-band-64k");
            self.options |= capability == b"push-options";
            self.report_asked |= matches!(capability, b"report-status" | b"report-status-v2");
        }
        if line.starts_with(b"shallow ") {
            return Ok(());
        }
        // A signed push: the commands stand in the certificate, among its header and signature.
        self.certificate |= line == b"push-cert";
        let mut fields = line.splitn(3, |byte| *byte == b' ');
        let ids = fields.next().and_then(object_id).zip(fields.next().and_then(object_id));
        match ids.zip(fields.next()) {
            Some(((old, new), name)) => self.remember(old, new, name),
            None if self.certificate => Ok(()),
            None => Err(format!("not a command of a push: {}", text::message(line))),
        }
    }

    fn remember(&mut self, old: Option<String>, new: Option<String>, name: &[u8]) -> Result<(), String> {
        self.refs += 1;
        self.names += name.len() + COMMAND;
        if self.names > self.most {
            return Err("more refs than are remembered".to_owned());
        }
        let command = Command { number: self.refs, old, new };
        self.commands.entry(text::kept(name)).or_default().push(command);
        Ok(())
    }

    /// The target says something.
    pub(super) fn answered(
        &mut self,
        pkt: &Pkt<'_>,
        origin: &Origin,
        sink: &mut dyn Sink,
    ) -> Result<(), String> {
        match (self.answer, pkt) {
            (Answer::Refs, Pkt::Flush) => self.answer = Answer::Report,
            (Answer::Report, Pkt::Line(line)) if self.side_band => {
                if let Some((1, mut report)) = line.split_first().map(|(band, rest)| (*band, rest)) {
                    let mut packets = std::mem::replace(&mut self.report, Packets::new());
                    while let Some(pkt) = packets.next(&mut report)? {
                        if let Pkt::Line(line) = pkt {
                            self.reported(line, origin, sink);
                        }
                    }
                    self.report = packets;
                }
            }
            (Answer::Report, Pkt::Line(line)) => self.reported(line, origin, sink),
            (Answer::Report, Pkt::Flush) => self.answer = Answer::Over,
            (Answer::Refs | Answer::Over, _) => {}
        }
        Ok(())
    }

    /// One line of the report: `unpack ok`, `ok REF`, `ng REF REASON`, `option …`.
    fn reported(&mut self, line: &[u8], origin: &Origin, sink: &mut dyn Sink) {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        if let Some(result) = line.strip_prefix(b"unpack ") {
            self.unpack = (result != b"ok").then(|| text::message(result));
            return;
        }
        let (name, status) = if let Some(name) = line.strip_prefix(b"ok ") {
            (name, text::OK.to_owned())
        } else if let Some(rest) = line.strip_prefix(b"ng ") {
            let end = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
            (&rest[..end], text::message(rest[end..].strip_prefix(b" ").unwrap_or_default()))
        } else {
            return;
        };
        for command in self.commands.remove(&text::kept(name)).unwrap_or_default() {
            self.tell(name, command, Told::reported(status.clone()), origin, sink);
        }
    }

    /// What is to be said of refs that the target did not report on. One that was not asked to says at most by its exit status
    /// that it gave up: then the refs are taken to be as the client wanted them, and nobody knows.
    fn unreported(&mut self, exit_status: Option<u32>) -> Told {
        let asked_nothing = !self.report_asked && self.state == State::Pack;
        match (self.unpack.take(), exit_status) {
            (Some(unpack), _) => Told::reported(unpack),
            (None, Some(0) | None) if asked_nothing => {
                Told { done: true, status: NO_REPORT.to_owned(), confidence: Confidence::Low }
            }
            (None, Some(status)) if asked_nothing => {
                Told::reported(format!("{NO_REPORT}: exit status {status}"))
            }
            (None, _) => Told::reported("not reported".to_owned()),
        }
    }

    /// Tells of what the target did not report on; gives the number of all commands.
    pub(super) fn finish(&mut self, exit_status: Option<u32>, origin: &Origin, sink: &mut dyn Sink) -> u64 {
        let told = self.unreported(exit_status);
        let left = std::mem::take(&mut self.commands).into_iter();
        let mut left: Vec<_> =
            left.flat_map(|(name, all)| all.into_iter().map(move |c| (name.clone(), c))).collect();
        left.sort_unstable_by_key(|(_, command)| command.number);
        for (name, command) in left {
            self.tell(&name, command, told.clone(), origin, sink);
        }
        self.refs
    }

    fn tell(&self, name: &[u8], command: Command, told: Told, origin: &Origin, sink: &mut dyn Sink) {
        let Told { done, status, confidence } = told;
        let change = GitRef {
            channel: origin.channel,
            repository: self.repository.clone(),
            name: text::path(name),
            old: command.old,
            new: command.new,
            derived: origin.derived(confidence),
            status,
        };
        sink.observed(Observed::new(done, Body::GitRef(change)));
    }
}

/// What is said of a command.
#[derive(Clone)]
struct Told {
    done: bool,
    status: String,
    confidence: Confidence,
}

impl Told {
    fn reported(status: String) -> Self {
        let done = status == text::OK;
        Self { done, status, confidence: if done { Confidence::High } else { Confidence::Medium } }
    }
}

/// An object's id; none inside for that of all zeros, which means no object.
fn object_id(text: &[u8]) -> Option<Option<String>> {
    if !matches!(text.len(), 40 | 64) || !text.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let id = String::from_utf8_lossy(text).into_owned();
    Some(id.bytes().any(|digit| digit != b'0').then_some(id))
}
