//! The SFTP root: `sftp alice@bastion` shows what the person may reach as folders, `/TARGET/LOGIN/…`.
//!
//! ```text
//!   session channel ◄─► Channel ◄─► ssh::sftp::Root ◄─┬─► Reached: a login's SFTP server, by remote::link
//!                          │              │           └─► Reached: another one
//!                       Record      Lookup: places
//! ```
//!
//! The protocol is [`bartizan_ssh::sftp`]'s; here its bytes are moved, its questions answered by policy, and places
//! entered: each is a session of its own, with every stage of any other, and what passes there is in its recording and
//! its events. The root itself is a console's session: what it answered, to what, is recorded bit for bit, and a line
//! on standard error says why something was refused, since most clients show a status's code and not its text.

mod lookup;
mod reached;

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bartizan_decode::{Decoder, Observed, Options};
use bartizan_model::{LoginName, Target, TargetName, Timestamp, escape};
use bartizan_record::Stream;
use bartizan_ssh::sftp::{Order, PlaceId, Root, RootLimits, Status, Violation};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::time::timeout;

use self::lookup::Lookup;
use self::reached::{End, Reached};
use super::remote::{Link, Servers};
use super::shell::{Left, Stop, ended_by_us};
use super::terminal::Channel;
use super::{BROKEN, Console, FAREWELL};
use crate::beside::DIGESTS;
use crate::live::Lives;

/// Bytes that are read at a time.
const CHUNK: usize = 32 * 1024;
/// Turns before other connections of the worker get theirs.
const TURNS: usize = 16;
/// Refusals logged one by one; then one event says that there were more.
const NOTES: u32 = 200;
/// Lines that the person is shown on standard error.
const LINES: u32 = 100;
/// Bytes of them that may wait for the client; others are not shown.
const WAITING: usize = 16 * 1024;
/// Bytes of a peer's text that are shown.
const SHOWN: usize = 1024;

/// Why a root ends.
#[derive(Debug, thiserror::Error)]
enum Over {
    #[error("client left")]
    Left,
    #[error("client broke the protocol: {0}")]
    Violation(#[from] Violation),
    #[error(transparent)]
    Stop(#[from] Stop),
}

impl From<io::Error> for Over {
    fn from(error: io::Error) -> Self {
        Self::Stop(error.into())
    }
}

/// What a turn came to.
enum Turn {
    Moved,
    Idle,
    /// Nothing more can be recorded now.
    Full,
}

/// One root at work.
pub(super) struct SftpRoot {
    console: Rc<Console>,
    channel: Channel,
    servers: Servers,
    root: Root,
    reached: BTreeMap<PlaceId, Reached>,
    lookup: Option<Lookup>,
    /// Reads what is answered here, as the decoders of sessions read what passes there.
    decoder: Option<Decoder>,
    seen: Vec<Observed>,
    /// Lines on their way to standard error.
    said: Vec<u8>,
    /// What was said last: clients ask the same again.
    last: Vec<u8>,
    lines: u32,
    notes: u32,
    /// The client sends no more.
    finished: bool,
}

impl SftpRoot {
    pub(super) fn new(console: Console, channel: Channel, servers: Servers) -> Self {
        let time = u32::try_from(Timestamp::now().unix_seconds()).unwrap_or(u32::MAX);
        Self {
            console: Rc::new(console),
            channel,
            servers,
            root: Root::new(RootLimits::default(), time),
            reached: BTreeMap::new(),
            lookup: None,
            decoder: Decoder::for_subsystem(
                0,
                b"sftp",
                &Options { beside: Some(DIGESTS), ..Options::default() },
            ),
            seen: Vec::new(),
            said: Vec::new(),
            last: Vec::new(),
            lines: LINES,
            notes: NOTES,
            finished: false,
        }
    }

    /// Runs until the person leaves, or must.
    pub(super) async fn run(mut self, lives: &mut Lives) -> Left {
        let (record, console) = (self.channel.record.clone(), self.console.clone());
        let over = tokio::select! {
            over = self.serve() => over,
            why = ended_by_us(&record, &console.shared, &console.who, lives) => {
                // The client may be gone or not reading: the words are a courtesy, the end is not.
                let text = format!("bartizan: this SFTP session ends: {why}");
                let _ = timeout(FAREWELL, self.channel.complain(&text)).await;
                return self.left(why, BROKEN);
            }
        };
        if let Over::Violation(violation) = &over {
            let _ = timeout(FAREWELL, self.channel.complain(&format!("bartizan: {violation}"))).await;
        }
        let status = if let Over::Left = over { 0 } else { BROKEN };
        self.left(over.to_string(), status)
    }

    fn left(mut self, mut reason: String, status: u32) -> Left {
        if let Some(decoder) = self.decoder.take() {
            decoder.finish(Some(status), &mut self.seen);
        }
        if let Err(error) = self.observed() {
            reason = format!("{reason}; {}", Stop::from(error));
        }
        Left { reason, status: Some(status), channel: Some(self.channel) }
    }

    async fn serve(&mut self) -> Over {
        if let Err(error) = self.channel.record.subsystem("sftp").await {
            return Over::Stop(error.into());
        }
        loop {
            self.channel.record.room().await;
            if let Err(over) = poll_fn(|cx| self.poll(cx)).await {
                return over;
            }
        }
    }

    /// Moves what can be moved; ready when there is no room in the recording, or it is over.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Over>> {
        if self.channel.main.poll_gone(cx).is_ready() {
            return Poll::Ready(Err(Over::Left));
        }
        for _ in 0..TURNS {
            match self.turn(cx) {
                Ok(Turn::Moved) => {}
                Ok(Turn::Idle) => return Poll::Pending,
                Ok(Turn::Full) => return Poll::Ready(Ok(())),
                Err(over) => return Poll::Ready(Err(over)),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Result<Turn, Over> {
        if !self.channel.record.has_room() {
            return Ok(Turn::Full);
        }
        let mut moved = self.write(cx)?;
        moved |= self.read(cx)?;
        moved |= self.look(cx);
        moved |= self.reach(cx);
        moved |= self.obey()?;
        self.record()?;
        if self.finished && self.root.is_quiet() {
            return Err(Over::Left);
        }
        Ok(if moved { Turn::Moved } else { Turn::Idle })
    }

    /// Writes to the client.
    fn write(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let Channel { main, error, .. } = &mut self.channel;
        let moved = drain(self.root.to_client(), main, cx)?;
        // A client that does not take lines on standard error goes without them.
        Ok(drain(&mut self.said, error, cx)? || moved)
    }

    /// Reads what the client sent, as long as it can be answered.
    fn read(&mut self, cx: &mut Context<'_>) -> Result<bool, Over> {
        if !self.root.wants_client() {
            return Ok(false);
        }
        let mut buffer = [0; CHUNK];
        let mut space = ReadBuf::new(&mut buffer);
        let read = if self.finished {
            Poll::Pending
        } else {
            Pin::new(&mut self.channel.main).poll_read(cx, &mut space)?
        };
        let before = self.root.to_client().len();
        // What was read before may be answered now, too.
        self.root.from_client(space.filled())?;
        self.finished |= read.is_ready() && space.filled().is_empty();
        Ok(!space.filled().is_empty() || self.root.to_client().len() > before)
    }

    /// Answers what the root asks.
    fn look(&mut self, cx: &mut Context<'_>) -> bool {
        let mut moved = false;
        while let Some(ask) = self.root.question() {
            let lookup = self.lookup.get_or_insert_with(|| lookup::lookup(self.console.clone(), ask.clone()));
            let Poll::Ready(found) = lookup.as_mut().poll(cx) else { break };
            self.lookup = None;
            self.root.answer(found);
            moved = true;
        }
        moved
    }

    /// Moves bytes to and from places, and hears of those that are over.
    fn reach(&mut self, cx: &mut Context<'_>) -> bool {
        let mut moved = false;
        let mut over = Vec::new();
        for (&place, reached) in &mut self.reached {
            match reached.poll(place, &mut self.root, cx) {
                (some, None) => moved |= some,
                (_, Some(end)) => over.push((place, end)),
            }
        }
        for (place, end) in over {
            moved = true;
            self.reached.remove(&place);
            self.lost(place, &end);
        }
        moved
    }

    /// Does what the root orders.
    fn obey(&mut self) -> Result<bool, Over> {
        let mut moved = false;
        while let Some(order) = self.root.order() {
            moved = true;
            match order {
                Order::Enter { place, target, login } => self.enter(place, &target, &login)?,
                Order::Leave(place) => drop(self.reached.remove(&place)),
                Order::Say(text) => self.say(&text),
                Order::Refused { action, path, reason } => self.refused(action, &path, reason)?,
            }
        }
        Ok(moved)
    }

    /// Opens a session on a place.
    fn enter(&mut self, place: PlaceId, target: &[u8], login: &[u8]) -> Result<(), Over> {
        let (Some(found), Some(login)) = (self.target(target), name(login, LoginName::new)) else {
            let address = format!("to {}@{}", shown(login), shown(target));
            self.channel
                .record
                .denied("connect", address, "no such target or login".into())
                .map_err(Stop::from)?;
            self.root.lose(place, Status::NoSuchFile, "there is no such target or login");
            return Ok(());
        };
        self.channel.record.mark(&format!("sftp {login}@{}", found.name));
        let link =
            Link { login, target: found, console: self.console.clone(), servers: self.servers.clone() };
        self.reached.insert(place, Reached::new(link));
        Ok(())
    }

    fn target(&self, name: &[u8]) -> Option<Target> {
        let name = self::name(name, TargetName::new)?;
        self.console.shared.directory().target(&name).cloned()
    }

    /// A place is over, or did not come to be.
    fn lost(&mut self, place: PlaceId, end: &End) {
        let status = match end.served {
            true => Status::ConnectionLost,
            false if lookup::may(&self.console, &end.target, &end.login) => Status::NoConnection,
            false => Status::PermissionDenied,
        };
        self.root.lose(place, status, &end.why);
    }

    /// Tells the person something.
    fn say(&mut self, text: &[u8]) {
        let text = &text[..text.len().min(SHOWN)];
        if self.lines == 0 || self.said.len() > WAITING || self.last == text {
            return;
        }
        self.last = text.to_vec();
        self.lines -= 1;
        let more = if self.lines == 0 { " (no more is said here)" } else { "" };
        let line = format!("bartizan: {}{more}\n", shown(text));
        self.channel.record.output_now(Stream::Error, line.as_bytes());
        self.said.extend_from_slice(line.as_bytes());
    }

    /// Logs that something was refused here.
    fn refused(&mut self, action: &str, path: &[u8], reason: String) -> Result<(), Over> {
        // That somebody looks for what is not there is nothing.
        let looks = action == "look";
        let first = path.split(|&byte| byte == b'/').find(|name| !name.is_empty()).unwrap_or_default();
        if self.notes == 0 || looks && self.target(first).is_none() {
            return Ok(());
        }
        self.notes -= 1;
        let more = if self.notes == 0 { " (further refusals are not logged)" } else { "" };
        let (action, reason) = (format!("sftp.{action}"), format!("{reason}{more}"));
        Ok(self.channel.record.denied(&action, shown(path), reason).map_err(Stop::from)?)
    }

    /// Records what was answered here and not passed on, and logs what a decoder makes of it.
    fn record(&mut self) -> Result<(), Over> {
        let (requests, answers) = self.root.take_own();
        let record = &self.channel.record;
        if !requests.is_empty() {
            record.input(&requests);
        }
        if !answers.is_empty() {
            record.output_now(Stream::Output, &answers);
        }
        if let Some(decoder) = &mut self.decoder {
            decoder.feed(bartizan_decode::Stream::Input, &requests, &mut self.seen);
            decoder.feed(bartizan_decode::Stream::Output, &answers, &mut self.seen);
        }
        Ok(self.observed().map_err(Stop::from)?)
    }

    fn observed(&mut self) -> Result<(), bartizan_audit::LogError> {
        self.seen.drain(..).try_for_each(|seen| self.channel.record.observed(seen))
    }
}

/// Writes what can be written from the front of a buffer; true when something was.
fn drain(buffer: &mut Vec<u8>, sink: &mut crate::pipe::InnerEnd, cx: &mut Context<'_>) -> io::Result<bool> {
    let mut moved = false;
    while !buffer.is_empty()
        && let Poll::Ready(written) = Pin::new(&mut *sink).poll_write(cx, buffer)
    {
        buffer.drain(..written?);
        moved = true;
    }
    Ok(moved)
}

/// A name out of a path, if it is one.
fn name<N, E>(bytes: &[u8], parse: impl Fn(&str) -> Result<N, E>) -> Option<N> {
    std::str::from_utf8(bytes).ok().and_then(|text| parse(text).ok())
}

/// A peer's bytes as they may be shown: escaped and cut.
fn shown(bytes: &[u8]) -> String {
    escape(&bytes[..bytes.len().min(SHOWN)])
}
