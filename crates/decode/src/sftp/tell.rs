//! Observations of an SFTP channel.

use bartizan_model::event::Body;
use bartizan_model::observation::{AttributeChange, Confidence, PathChange, PathPair, Transfer};

use super::flow::Used;
use super::pending::{Change, Opening};
use super::wire::{Attributes, Request};
use crate::observed::{Observed, Origin, Sink};
use crate::{Options, text};

/// `SSH_FX_OK` and `SSH_FX_EOF` (draft-ietf-secsh-filexfer-02 §7).
pub(super) const FX_OK: u32 = 0;
pub(super) const FX_EOF: u32 = 1;

/// What is said of something that the target never answered.
pub(super) const UNANSWERED: &str = "not answered";

/// What a packet is read with.
pub(super) struct Context<'a> {
    pub(super) origin: &'a Origin,
    pub(super) options: &'a Options,
    pub(super) sink: &'a mut dyn Sink,
}

impl Context<'_> {
    /// A change was answered, or never will be.
    pub(super) fn changed(&mut self, done: bool, change: Change, status: String) {
        let body = with_status(change.body, status, self.origin);
        self.sink.observed(Observed::new(done, body));
    }

    /// A file was asked for and not opened, as far as the target has answered.
    pub(super) fn not_opened(&mut self, opening: &Opening, status: String) {
        let (direction, partial) = (opening.flags.direction(), status == UNANSWERED);
        let why = if partial { UNANSWERED } else { "not opened" };
        let used = Used::nothing(direction, why);
        let (path, mode) = (text::path(&opening.path), opening.mode.map(text::mode));
        self.sink.observed(transfer(&path, used, mode, &status, partial, self.origin));
    }
}

/// A file that was used in one direction, or was to be, and what its CLOSE was answered.
pub(super) fn transfer(
    path: &str,
    used: Used,
    mode: Option<String>,
    closed: &str,
    partial: bool,
    origin: &Origin,
) -> Observed {
    let Used { direction, bytes, digest, contents, failed, refused } = used;
    let status = failed.map_or_else(|| closed.to_owned(), String::from);
    let transfer = Transfer {
        channel: origin.channel,
        direction,
        path: path.to_owned(),
        name: None,
        bytes,
        size: None,
        sha256: digest.ok(),
        no_sha256: digest.err().map(str::to_owned),
        mode,
        mtime: None,
        atime: None,
        files: None,
        status,
        refused: refused.map(String::from),
        partial,
        derived: origin.derived(Confidence::High),
    };
    Observed::new(transfer.status == text::OK, Body::Transfer(transfer)).with_contents(contents)
}

/// A request that changes something on the target, as the observation that it will be when it is answered. None for
/// other requests.
pub(super) fn change(
    request: &Request<'_>,
    origin: &Origin,
    path_of: impl Fn(&[u8]) -> String,
) -> Option<Body> {
    let pair = |from: &[u8], to: &[u8]| pair(text::path(from), text::path(to), origin);
    Some(match *request {
        Request::Remove { path } => Body::SftpRemove(one(path, None, origin)),
        Request::Mkdir { path, attributes } => Body::SftpMkdir(one(path, attributes.mode, origin)),
        Request::Rmdir { path } => Body::SftpRmdir(one(path, None, origin)),
        Request::Rename { from, to, posix } => {
            let request = posix.then(|| "posix-rename@openssh.com".to_owned());
            Body::SftpRename(PathPair { request, ..pair(from, to) })
        }
        Request::Symlink { target, link } => Body::SftpSymlink(pair(target, link)),
        Request::Hardlink { from, to } => Body::SftpHardlink(pair(from, to)),
        Request::SetStat { path, attributes, link } => {
            let name = if link { "lsetstat" } else { "setstat" };
            Body::SftpSetstat(set(text::path(path), name, attributes, origin))
        }
        Request::FSetStat { handle, attributes } => {
            Body::SftpSetstat(set(path_of(handle), "fsetstat", attributes, origin))
        }
        Request::CopyData { from, length, to, .. } => {
            let bytes = (length != 0).then_some(length);
            Body::SftpCopy(PathPair { bytes, ..self::pair(path_of(from), path_of(to), origin) })
        }
        _ => return None,
    })
}

fn one(path: &[u8], mode: Option<u32>, origin: &Origin) -> PathChange {
    PathChange {
        channel: origin.channel,
        path: text::path(path),
        mode: mode.map(text::mode),
        status: String::new(),
        derived: origin.derived(Confidence::High),
    }
}

fn pair(from: String, to: String, origin: &Origin) -> PathPair {
    let derived = origin.derived(Confidence::High);
    PathPair { channel: origin.channel, from, to, request: None, bytes: None, status: String::new(), derived }
}

fn set(path: String, request: &str, set: Attributes, origin: &Origin) -> AttributeChange {
    AttributeChange {
        channel: origin.channel,
        path,
        request: request.to_owned(),
        size: set.size,
        uid: set.uid,
        gid: set.gid,
        mode: set.mode.map(text::mode),
        atime: set.atime.map(i64::from),
        mtime: set.mtime.map(i64::from),
        status: String::new(),
        derived: origin.derived(Confidence::High),
    }
}

/// How much of a peer's text an observation keeps.
pub(super) fn names_in(body: &Body) -> usize {
    match body {
        Body::SftpRemove(one) | Body::SftpMkdir(one) | Body::SftpRmdir(one) => one.path.len(),
        Body::SftpRename(two) | Body::SftpSymlink(two) | Body::SftpHardlink(two) | Body::SftpCopy(two) => {
            two.from.len() + two.to.len()
        }
        Body::SftpSetstat(set) => set.path.len(),
        _ => 0,
    }
}

/// The observation with what the target answered, and no surer than anything is by now.
pub(super) fn with_status(mut body: Body, answer: String, origin: &Origin) -> Body {
    let (status, derived) = match &mut body {
        Body::SftpRemove(one) | Body::SftpMkdir(one) | Body::SftpRmdir(one) => {
            (&mut one.status, &mut one.derived)
        }
        Body::SftpRename(two) | Body::SftpSymlink(two) | Body::SftpHardlink(two) | Body::SftpCopy(two) => {
            (&mut two.status, &mut two.derived)
        }
        Body::SftpSetstat(set) => (&mut set.status, &mut set.derived),
        _ => return body,
    };
    (*status, *derived) = (answer, origin.derived(derived.confidence));
    body
}

/// A status as the target returned it: the code's name, and the message where it says more.
pub(super) fn described(code: u32, message: &[u8]) -> String {
    let name = match code {
        FX_OK => return text::OK.to_owned(),
        FX_EOF => "end of file",
        2 => "no such file",
        3 => "permission denied",
        4 => "failure",
        5 => "bad message",
        6 => "no connection",
        7 => "connection lost",
        8 => "operation unsupported",
        code => return format!("status {code}: {}", text::message(message)),
    };
    match message {
        [] => name.to_owned(),
        _ if message.eq_ignore_ascii_case(name.as_bytes()) => name.to_owned(),
        _ => format!("{name}: {}", text::message(message)),
    }
}
