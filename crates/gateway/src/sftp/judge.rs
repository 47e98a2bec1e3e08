//! What each request needs.

use bartizan_access::{FileAccess, FileDenial, FilePath, FileSize, FileUse};
use bartizan_decode::sftp::{Attributes, OpenFlags, Request};

use super::cut::{Head, number};
use super::replies::{FAILURE, OP_UNSUPPORTED, PERMISSION_DENIED, status};
use super::{
    Broken, File, Gate, MAX_HANDLES, MAX_KEPT, MAX_PATH, MAX_PENDING, Refused, VERSION, Waiting, kind,
};

/// What becomes of a request.
pub(super) enum Ruling {
    Pass,
    /// This goes to the target instead; it is as long.
    Instead(Vec<u8>),
    /// This goes to the client.
    Refuse(Vec<u8>),
}

/// What may be done with something open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rights {
    read: Option<FileSize>,
    write: Option<FileSize>,
    /// Its attributes may be changed.
    change: Option<FileSize>,
}

impl Rights {
    /// The rights of who opens a file so; without flags it is a folder.
    pub(super) fn of(path: &FilePath<'_>, flags: Option<OpenFlags>, access: &FileAccess) -> Self {
        let may = |what| access.judge(what, path).ok();
        let (reads, writes) = flags.map_or((true, false), |flags| (reads(flags), writes(flags)));
        let change = may(FileUse::Write);
        Self { read: may(FileUse::Read).filter(|_| reads), write: change.filter(|_| writes), change }
    }
}

/// A server that is told neither to read nor to write reads.
const fn reads(flags: OpenFlags) -> bool {
    flags.read() || !flags.write()
}

const fn writes(flags: OpenFlags) -> bool {
    flags.write() || flags.append() || flags.changes()
}

/// Why a request is refused.
struct No {
    code: u32,
    denial: FileDenial,
}

impl No {
    fn because(code: u32, reason: &str) -> Self {
        Self { code, denial: FileDenial { reason: reason.to_owned(), rules: Vec::new() } }
    }
}

impl From<FileDenial> for No {
    fn from(denial: FileDenial) -> Self {
        Self { code: PERMISSION_DENIED, denial }
    }
}

/// A request as the log names it.
struct Named<'a> {
    request: &'static str,
    path: &'a [u8],
    to: Option<&'a [u8]>,
    /// The handle, where it is one: its path is what the log is told.
    handle: bool,
}

impl Named<'_> {
    fn is_too_long(&self) -> bool {
        [Some(self.path), self.to].into_iter().flatten().any(|path| path.len() > MAX_PATH)
    }
}

impl Gate {
    /// Judges one request.
    pub(super) fn judge_packet(&mut self, head: &Head, access: &FileAccess) -> Result<Ruling, Broken> {
        let [kind, body @ ..] = head.bytes.as_slice() else { return Err(Broken("an empty packet".into())) };
        if *kind == kind::INIT {
            // A server that is asked for a newer version would read requests otherwise than they are read here.
            let newer = number(body, 0) > VERSION;
            let instead = [&(head.bytes.len() as u32).to_be_bytes()[..], &[*kind], &VERSION.to_be_bytes()];
            let rest = body.get(4..).ok_or_else(|| Broken("a short INIT".into()))?;
            return Ok(if newer {
                Ruling::Instead([&instead.concat(), rest].concat())
            } else {
                Ruling::Pass
            });
        }
        let id = body.first_chunk().map(|id| u32::from_be_bytes(*id));
        let id = id.ok_or_else(|| Broken(format!("a request of type {kind} without an id")))?;
        if self.pending.contains_key(&id) {
            return Err(Broken(format!("request id {id} used again before it was answered")));
        }
        let (verdict, named) = if *kind == kind::WRITE {
            let (handle, tail) = body[8..].split_at(body.len() - 20);
            let end = offset(tail).checked_add(u64::from(number(tail, 8)));
            let named = Named { request: "write", path: handle, to: None, handle: true };
            (self.uses(handle, |rights| rights.write, end).map(|_| Waiting::Other), named)
        } else if !matches!(kind, 3..=20 | 200) {
            let named = Named { request: "request of no known type", path: b"", to: None, handle: false };
            (Err(No::because(OP_UNSUPPORTED, "requests of this type cannot be judged")), named)
        } else {
            let (_, request) =
                Request::parse(*kind, body).map_err(|malformed| Broken(malformed.to_string()))?;
            let named = named(&request);
            // Before the rules are asked: what they take grows with the path.
            let verdict = if named.is_too_long() {
                Err(No::because(FAILURE, &format!("a path may have {MAX_PATH} bytes")))
            } else {
                self.request(&request, access)
            };
            (verdict, named)
        };
        let verdict = match verdict {
            // What keeps nothing more goes on, above all what closes.
            Ok(waiting) if waiting.kept() > 0 && self.kept + waiting.kept() > MAX_KEPT => {
                Err(No::because(FAILURE, "too much is open, or waits for an answer"))
            }
            Ok(_) if self.pending.len() >= MAX_PENDING => {
                return Err(Broken(format!("more than {MAX_PENDING} requests without an answer")));
            }
            other => other,
        };
        match verdict {
            Ok(waiting) => {
                self.waits(id, waiting);
                Ok(Ruling::Pass)
            }
            Err(No { code, denial }) => {
                let answer = status(id, code, &denial.reason);
                self.note(&named, denial);
                Ok(Ruling::Refuse(answer))
            }
        }
    }

    fn request(&mut self, request: &Request<'_>, access: &FileAccess) -> Result<Waiting, No> {
        let path = |written| FilePath::new(written, self.start.as_deref());
        let one = |what, written| access.judge(what, &path(written));
        match *request {
            Request::Open { path: written, flags, attributes } => {
                return self.open(written, Some(flags), attributes, access);
            }
            Request::OpenDir { path: written } => {
                return self.open(written, None, Attributes::default(), access);
            }
            Request::Close { handle } => {
                self.closes(handle).ok_or_else(unknown_handle)?;
            }
            Request::Read { handle, offset, length } => {
                // What is asked for may reach beyond the end of the file; what comes is judged then.
                let size = self.uses(handle, |rights| rights.read, Some(0))?;
                let most = match size {
                    FileSize::Any => u32::MAX,
                    FileSize::UpTo(most) => u32::try_from(most.saturating_sub(offset)).unwrap_or(u32::MAX),
                };
                if most < length {
                    return Ok(Waiting::Reading { most, handle: handle.into() });
                }
            }
            Request::Stat { path: written } => drop(one(FileUse::Look, written)?),
            Request::ReadLink { path: written } => drop(one(FileUse::Read, written)?),
            Request::RealPath { path: b"" | b".", expand: false } => return Ok(Waiting::Start),
            Request::RealPath { path: [b'~', below @ ..], expand: true } => Self::home(below, access)?,
            Request::RealPath { path: written, .. } => {
                access.judge(FileUse::Look, &FilePath::by_letters(written, self.start.as_deref()))?;
            }
            Request::Remove { path: written } | Request::Rmdir { path: written } => {
                one(FileUse::Write, written)?;
            }
            Request::Mkdir { path: written, .. } => drop(one(FileUse::Write, written)?),
            Request::SetStat { path: written, attributes, .. } => {
                fits(one(FileUse::Write, written)?, attributes.size)?;
            }
            Request::Rename { from, to, .. } | Request::Hardlink { from, to } => {
                access.judge_pair(&path(from), &path(to))?;
            }
            Request::Symlink { target, link } => self.symlink(target, link, access)?,
            Request::FSetStat { handle, attributes } => {
                self.uses(handle, |rights| rights.change, Some(attributes.size.unwrap_or(0)))?;
            }
            Request::CopyData { from, from_offset, length, to, to_offset } => {
                // A length of 0 is all that there is.
                let end = |offset: u64| if length == 0 { None } else { offset.checked_add(length) };
                self.uses(from, |rights| rights.read, end(from_offset))?;
                self.uses(to, |rights| rights.write, end(to_offset))?;
            }
            Request::Inquire { handle } => {
                let open = self.handles.get(handle).ok_or_else(unknown_handle)?;
                if open.flags.is_none() {
                    self.uses(handle, |rights| rights.read, Some(0))?;
                }
            }
            Request::Query | Request::Sync => {}
            Request::Unknown { .. } => {
                return Err(No::because(OP_UNSUPPORTED, "this extension cannot be judged"));
            }
        }
        Ok(Waiting::Other)
    }

    fn open(
        &self,
        written: &[u8],
        flags: Option<OpenFlags>,
        attributes: Attributes,
        access: &FileAccess,
    ) -> Result<Waiting, No> {
        let path = FilePath::new(written, self.start.as_deref());
        if flags.is_none_or(reads) {
            access.judge(FileUse::Read, &path)?;
        }
        if flags.is_some_and(writes) {
            let size = access.judge(FileUse::Write, &path)?;
            fits(size, attributes.size)?;
            if flags.is_some_and(OpenFlags::append) && size != FileSize::Any {
                let reason =
                    "appending is not permitted where files have a largest size: their length is not known";
                return Err(No::because(PERMISSION_DENIED, reason));
            }
        }
        if self.handles.len() + self.pending.len() >= MAX_HANDLES + MAX_PENDING
            || self.handles.len() >= MAX_HANDLES
        {
            return Err(No::because(FAILURE, "too many files are open"));
        }
        let rights = Rights::of(&path, flags, access);
        Ok(Waiting::Opening(Box::new(File { path: written.into(), flags, rights, told: false })))
    }

    /// The real path of `~` and of what is below it. Where one's own home is, is no secret; what is in it is judged by its
    /// path once it is used.
    fn home(below: &[u8], access: &FileAccess) -> Result<(), No> {
        let unclear = match below {
            [] => return Ok(()),
            [b'/', ..] if below.split(|&byte| byte == b'/').all(|part| part != b"..") => return Ok(()),
            [b'/', ..] => "it has .. in it, which leads out of the home: write it without",
            _ => "the home of ~NAME is nobody's own: write it from / or from ~/",
        };
        access.judge(FileUse::Look, &FilePath::Unclear(unclear))?;
        Ok(())
    }

    /// A link is another name for what it leads to. Servers do not agree which of the two paths is which, so both are
    /// judged alike; and what a relative one leads to changes with every rename.
    fn symlink(&self, target: &[u8], link: &[u8], access: &FileAccess) -> Result<(), No> {
        if access.is_by_path() && (target.first() != Some(&b'/') || link.first() != Some(&b'/')) {
            let reason = "links are permitted from and to absolute paths only";
            return Err(No::because(PERMISSION_DENIED, reason));
        }
        let start = self.start.as_deref();
        Ok(access.judge_pair(&FilePath::new(target, start), &FilePath::new(link, start))?)
    }

    /// Whether a handle may be used so, up to `end` in its file.
    fn uses(
        &self,
        handle: &[u8],
        right: impl Fn(&Rights) -> Option<FileSize>,
        end: Option<u64>,
    ) -> Result<FileSize, No> {
        let file = self.handles.get(handle).ok_or_else(unknown_handle)?;
        let right = right(&file.rights);
        let size =
            right.ok_or_else(|| No::because(PERMISSION_DENIED, "no grant permits this for the open file"))?;
        if size.has(end) { Ok(size) } else { Err(too_long(size)) }
    }

    /// Keeps a refusal for the log; of those for one open file the first.
    fn note(&mut self, named: &Named<'_>, denial: FileDenial) {
        let FileDenial { reason, rules } = denial;
        let path = match self.handles.get_mut(named.path).filter(|_| named.handle) {
            Some(file) if file.told => return,
            Some(file) => {
                file.told = true;
                file.path.to_vec()
            }
            None => named.path.to_vec(),
        };
        let to = named.to.map(<[u8]>::to_vec);
        self.refused.push(Refused { request: named.request, path, to, reason, rules });
    }

    /// Keeps for the log that more of a file came than may be read.
    pub(super) fn note_too_long(&mut self, handle: &[u8]) -> String {
        let size = self.handles.get(handle).and_then(|file| file.rights.read).unwrap_or(FileSize::UpTo(0));
        let denial = too_long(size).denial;
        let reason = denial.reason.clone();
        self.note(&Named { request: "read", path: handle, to: None, handle: true }, denial);
        reason
    }
}

fn fits(size: FileSize, wanted: Option<u64>) -> Result<(), No> {
    if size.has(Some(wanted.unwrap_or(0))) { Ok(()) } else { Err(too_long(size)) }
}

fn too_long(size: FileSize) -> No {
    let most = match size {
        FileSize::Any => "any size".to_owned(),
        FileSize::UpTo(bytes) => bartizan_model::FileRules::size_text(bytes),
    };
    No::because(PERMISSION_DENIED, &format!("the file is larger than what is permitted: {most}"))
}

fn unknown_handle() -> No {
    No::because(FAILURE, "nothing is open by this handle")
}

fn offset(tail: &[u8]) -> u64 {
    u64::from(number(tail, 0)) << 32 | u64::from(number(tail, 4))
}

fn named<'a>(request: &Request<'a>) -> Named<'a> {
    let by_path = |request, path| Named { request, path, to: None, handle: false };
    let by_handle = |request, path| Named { request, path, to: None, handle: true };
    let pair = |request, path, to| Named { request, path, to: Some(to), handle: false };
    match *request {
        Request::Open { path, .. } => by_path("open", path),
        Request::OpenDir { path } => by_path("opendir", path),
        Request::Close { handle } => by_handle("close", handle),
        Request::Read { handle, .. } => by_handle("read", handle),
        Request::Remove { path } => by_path("remove", path),
        Request::Mkdir { path, .. } => by_path("mkdir", path),
        Request::Rmdir { path } => by_path("rmdir", path),
        Request::Rename { from, to, posix: false } => pair("rename", from, to),
        Request::Rename { from, to, posix: true } => pair("posix-rename@openssh.com", from, to),
        Request::Symlink { target, link } => pair("symlink", target, link),
        Request::Hardlink { from, to } => pair("hardlink@openssh.com", from, to),
        Request::SetStat { path, link: false, .. } => by_path("setstat", path),
        Request::SetStat { path, link: true, .. } => by_path("lsetstat@openssh.com", path),
        Request::FSetStat { handle, .. } => by_handle("fsetstat", handle),
        Request::CopyData { to, .. } => by_handle("copy-data", to),
        Request::Stat { path } => by_path("stat", path),
        Request::ReadLink { path } => by_path("readlink", path),
        Request::RealPath { path, .. } => by_path("realpath", path),
        Request::Inquire { handle } => by_handle("fstat or readdir", handle),
        Request::Query => by_path("query", b""),
        Request::Sync => by_path("fsync@openssh.com", b""),
        Request::Unknown { name } => by_path("unknown extension", name),
    }
}
