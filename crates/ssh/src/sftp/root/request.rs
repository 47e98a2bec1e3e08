//! What the client asks, request by request.

use super::super::packet::{MAX_PACKET, Status, kind, put_packet, string};
use super::super::path::{self, Spot};
use super::pass::{TWO_PLACES, WasPassed};
use super::place::{Expect, POSIX_RENAME, Passed};
use super::{Handle, Root, Violation, Wants};
use crate::wire::{Malformed, Reader, Writer as _};

/// The version that we speak with clients.
const VERSION: u32 = 3;
/// Bytes that every server takes in one read or write (draft-ietf-secsh-filexfer-02 §3): which one it will be is not
/// known when a client asks.
const BLOCK: u64 = 32 << 10;
/// The flags of `SSH_FXP_OPEN` that only read (draft-ietf-secsh-filexfer-02 §6.3).
const OPEN_READ: u32 = 1;
/// Extensions that we announce, and their versions. Whether a target has one shows when it is entered.
///
/// `users-groups-by-id@openssh.com` is not among them: it names ids and no path, so nobody could tell whose they are.
/// Without it clients show what the target itself says of owners.
const EXTENSIONS: [(&str, &str); 9] = [
    (POSIX_RENAME, "1"),
    ("statvfs@openssh.com", "2"),
    ("fstatvfs@openssh.com", "2"),
    ("hardlink@openssh.com", "1"),
    ("fsync@openssh.com", "1"),
    ("lsetstat@openssh.com", "1"),
    ("limits@openssh.com", "1"),
    ("expand-path@openssh.com", "1"),
    ("copy-data", "1"),
];

impl Root {
    /// Takes a packet of the client.
    pub(super) fn packet(&mut self, packet: &[u8]) -> Result<(), Violation> {
        let Some((&kind, body)) = packet.split_first() else { return Ok(()) };
        let mut fields = Reader::new(body);
        let id = fields.u32("id").map_err(|_| Violation::Short(kind))?;
        let passed = match kind {
            kind::INIT => self.begin(id)?,
            _ if !self.begun => return Err(Violation::NoInit(kind)),
            _ => self.request(kind, id, fields).unwrap_or_else(|malformed| {
                self.status(id, Status::BadMessage, &malformed.to_string());
                false
            }),
        };
        if !passed {
            put_packet(&mut self.own.requests, kind, &[body]);
        }
        Ok(())
    }

    fn begin(&mut self, version: u32) -> Result<WasPassed, Violation> {
        if version < VERSION {
            return Err(Violation::Version(version));
        }
        self.begun = true;
        let mut body = Vec::new();
        for (name, version) in EXTENSIONS {
            body.put_string(name.as_bytes());
            body.put_string(version.as_bytes());
        }
        self.reply(kind::VERSION, VERSION, &[&body]);
        Ok(false)
    }

    fn request(&mut self, kind: u8, id: u32, mut fields: Reader<'_>) -> Result<WasPassed, Malformed> {
        Ok(match kind {
            kind::OPEN
            | kind::LSTAT
            | kind::SETSTAT
            | kind::OPENDIR
            | kind::REMOVE
            | kind::MKDIR
            | kind::RMDIR
            | kind::REALPATH
            | kind::STAT
            | kind::READLINK => {
                let path = path_of(&mut fields)?;
                self.by_path(kind, id, path, fields)?
            }
            kind::CLOSE | kind::READ | kind::WRITE | kind::FSTAT | kind::FSETSTAT | kind::READDIR => {
                let handle = fields.string("handle")?;
                self.by_handle(kind, id, handle, fields)?
            }
            kind::RENAME => {
                let paths = [path_of(&mut fields)?, path_of(&mut fields)?];
                self.pass_paths(id, (kind, None, "rename"), paths)
            }
            kind::SYMLINK => {
                let [content, link] = [path_of(&mut fields)?, path_of(&mut fields)?];
                self.symlink(id, content, link)
            }
            kind::EXTENDED => {
                let name = fields.string("extended-request")?;
                self.extended(id, name, fields)?
            }
            _ => self.unknown(id),
        })
    }

    fn unknown(&mut self, id: u32) -> WasPassed {
        self.status(id, Status::OpUnsupported, "this request is not known here");
        false
    }

    fn by_path(
        &mut self,
        kind: u8,
        id: u32,
        path: &[u8],
        fields: Reader<'_>,
    ) -> Result<WasPassed, Malformed> {
        let spot = Spot::of(path);
        if spot == Spot::Nowhere {
            self.status(id, Status::NoSuchFile, "no target or login has so long a name");
            return Ok(false);
        }
        let expect = match kind {
            kind::OPEN | kind::OPENDIR => Expect::Handle,
            kind::LSTAT | kind::STAT => Expect::Attributes,
            kind::REALPATH => Expect::Path,
            kind::READLINK => match &spot {
                Spot::Below(.., path) => Expect::Link(path::depth(path)),
                _ => Expect::Names,
            },
            _ => Expect::Status,
        };
        let lists_login = kind == kind::OPENDIR && matches!(spot, Spot::Login(..));
        if lists_login || matches!(spot, Spot::Below(..)) {
            return Ok(self.pass_path(id, (kind, None, expect), &spot, fields.rest()));
        }
        match kind {
            kind::LSTAT | kind::STAT => self.ask(id, &spot, Wants::Stat),
            kind::OPENDIR => self.ask(id, &spot, Wants::List),
            kind::REALPATH => self.one_name(id, &spot.shown()),
            kind::READLINK => self.status(id, Status::Failure, "this is no link"),
            kind::OPEN if { fields }.u32("pflags")? == OPEN_READ => {
                self.status(id, Status::Failure, "this is a folder");
            }
            kind::OPEN => drop(self.read_only(id, "open", path)),
            kind::REMOVE => drop(self.read_only(id, "remove", path)),
            kind::MKDIR => drop(self.read_only(id, "mkdir", path)),
            kind::RMDIR => drop(self.read_only(id, "rmdir", path)),
            _ => drop(self.read_only(id, "setstat", path)),
        }
        Ok(false)
    }

    fn by_handle(
        &mut self,
        kind: u8,
        id: u32,
        handle: &[u8],
        mut fields: Reader<'_>,
    ) -> Result<WasPassed, Malformed> {
        let Some(ours) = self.known(handle) else { return Ok(self.no_handle(id)) };
        let rest = fields.rest();
        if matches!(self.handles.get(&ours), Some(Handle::Of(..))) {
            let expect = match kind {
                kind::READ => {
                    fields.u64("offset")?;
                    Expect::Data(fields.u32("len")?)
                }
                kind::FSTAT => Expect::Attributes,
                kind::READDIR => Expect::Names,
                _ => Expect::Status,
            };
            let passed = self.pass_handle(id, (kind, None, expect), ours, rest);
            if kind == kind::CLOSE {
                self.forget(ours);
            }
            return Ok(passed);
        }
        match kind {
            kind::CLOSE => {
                self.forget(ours);
                self.status(id, Status::Ok, "");
            }
            kind::READDIR => drop(self.read_listing(id, ours)),
            kind::FSTAT => self.folder_attributes(id, false),
            kind::READ => self.status(id, Status::Failure, "this is a folder"),
            _ => return Ok(self.read_only(id, "change", b"")),
        }
        Ok(false)
    }

    /// The number of a handle that is open.
    fn known(&self, handle: &[u8]) -> Option<u64> {
        let ours = u64::from_be_bytes(handle.try_into().ok()?);
        self.handles.contains_key(&ours).then_some(ours)
    }

    fn no_handle(&mut self, id: u32) -> WasPassed {
        self.status(id, Status::Failure, "no such handle is open");
        false
    }

    /// A handle is closed.
    fn forget(&mut self, ours: u64) {
        if let Some(Handle::Of(place, _)) = self.handles.remove(&ours)
            && let Some(of) = self.places.get_mut(&place)
        {
            of.handles -= 1;
        }
    }

    /// Makes a link, with the arguments in the order in which OpenSSH and nearly all others send them.
    fn symlink(&mut self, id: u32, content: &[u8], link: &[u8]) -> WasPassed {
        let spot = Spot::of(link);
        let Spot::Below(target, login, _) = spot else { return self.read_only(id, "symlink", link) };
        let Some(inward) = path::link_inward(&Spot::Login(target, login).shown(), content) else {
            let reason = "a link cannot lead to another place: it is relative, or begins with /TARGET/LOGIN of its own";
            self.refuse(id, Status::OpUnsupported, "symlink", link, reason.to_owned());
            return false;
        };
        let Spot::Below(.., path) = &spot else { return false };
        let tail = string(path);
        // The content stands where other requests have a path of the target.
        self.pass_path(id, (kind::SYMLINK, None, Expect::Status), &Spot::Below(target, login, inward), &tail)
    }

    fn extended(&mut self, id: u32, name: &[u8], mut fields: Reader<'_>) -> Result<WasPassed, Malformed> {
        let known = EXTENSIONS.iter().find(|(known, _)| known.as_bytes() == name);
        let Some(&(name, _)) = known else { return Ok(self.unknown(id)) };
        Ok(match name {
            POSIX_RENAME => {
                let paths = [path_of(&mut fields)?, path_of(&mut fields)?];
                self.pass_paths(id, (kind::EXTENDED, Some(name), "rename"), paths)
            }
            "hardlink@openssh.com" => {
                let paths = [path_of(&mut fields)?, path_of(&mut fields)?];
                self.pass_paths(id, (kind::EXTENDED, Some(name), "hardlink"), paths)
            }
            "lsetstat@openssh.com" => {
                let path = path_of(&mut fields)?;
                match Spot::of(path) {
                    spot @ Spot::Below(..) => {
                        self.pass_path(id, (kind::EXTENDED, Some(name), Expect::Status), &spot, fields.rest())
                    }
                    _ => self.read_only(id, "setstat", path),
                }
            }
            "statvfs@openssh.com" => match Spot::of(path_of(&mut fields)?) {
                Spot::Root | Spot::Target(_) | Spot::Nowhere => {
                    self.file_system(id);
                    false
                }
                spot => self.pass_path(id, (kind::EXTENDED, Some(name), Expect::Extended), &spot, b""),
            },
            "expand-path@openssh.com" => {
                let path = path_of(&mut fields)?;
                self.expand(id, path)?
            }
            "copy-data" => self.copy_data(id, name, fields)?,
            "limits@openssh.com" => {
                self.limits(id);
                false
            }
            _ => {
                let handle = fields.string("handle")?;
                self.by_extended_handle(id, name, handle)
            }
        })
    }

    /// `fstatvfs@openssh.com`, `fsync@openssh.com`.
    fn by_extended_handle(&mut self, id: u32, name: &'static str, handle: &[u8]) -> WasPassed {
        let Some(ours) = self.known(handle) else { return self.no_handle(id) };
        let asks = name == "fstatvfs@openssh.com";
        match self.handles.get(&ours) {
            Some(Handle::Of(..)) => {
                let expect = if asks { Expect::Extended } else { Expect::Status };
                return self.pass_handle(id, (kind::EXTENDED, Some(name), expect), ours, b"");
            }
            _ if asks => self.file_system(id),
            _ => self.status(id, Status::Failure, "this is a folder"),
        }
        false
    }

    /// `~` is `/`: homes are on targets.
    fn expand(&mut self, id: u32, path: &[u8]) -> Result<WasPassed, Malformed> {
        let path = match path {
            [b'~'] => b"/",
            [b'~', rest @ ..] if rest.starts_with(b"/") => rest,
            [b'~', ..] => {
                self.status(
                    id,
                    Status::NoSuchFile,
                    "nobody has a home here: paths begin with /TARGET/LOGIN/",
                );
                return Ok(false);
            }
            path => path,
        };
        self.by_path(kind::REALPATH, id, path, Reader::new(b""))
    }

    fn limits(&mut self, id: u32) {
        let mut body = Vec::new();
        // Longest packet, longest read, longest write, handles.
        for number in [MAX_PACKET as u64, BLOCK, BLOCK, self.limits.handles as u64] {
            body.put_u64(number);
        }
        self.reply(kind::EXTENDED_REPLY, id, &[&body]);
    }

    /// `copy-data`: both files must be of one place.
    fn copy_data(
        &mut self,
        id: u32,
        name: &'static str,
        mut fields: Reader<'_>,
    ) -> Result<WasPassed, Malformed> {
        let from = fields.string("handle")?;
        let range = fields.take(16, "read-from-offset")?;
        let to = fields.string("handle")?;
        let open = |root: &Self, handle| root.known(handle).and_then(|ours| root.handles.get(&ours)).cloned();
        let (Some(from), Some(to)) = (open(self, from), open(self, to)) else {
            return Ok(self.no_handle(id));
        };
        let (Handle::Of(place, from), Handle::Of(other, to)) = (from, to) else {
            self.status(id, Status::Failure, "this is a folder");
            return Ok(false);
        };
        if place != other {
            self.refuse(id, Status::OpUnsupported, "copy-data", b"", TWO_PLACES.to_owned());
            return Ok(false);
        }
        let (from, to) = (string(&from), string(&to));
        let parts: &[&[u8]] = &[&from, range, &to, fields.rest()];
        Ok(self.pass(
            id,
            place,
            &Passed { kind: kind::EXTENDED, extension: Some(name), parts, expect: Expect::Status },
        ))
    }
}

/// A path. Servers take one with a NUL for the end of the conversation, not of the request.
fn path_of<'a>(fields: &mut Reader<'a>) -> Result<&'a [u8], Malformed> {
    let path = fields.string("path")?;
    if path.contains(&0) { Err(Malformed::new("path: it holds a NUL")) } else { Ok(path) }
}
