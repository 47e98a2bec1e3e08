//! One place: what waits for it, and what it is told and says.

use std::collections::HashMap;

use super::super::packet::{MAX_HANDLE, Packets, put_packet, string};
use super::super::packet::{Status, kind};
use super::super::path;
use super::folder::one_name;
use super::{Handle, Order, PlaceId, Root, answer};
use crate::wire::{Malformed, Reader};

/// The version that we speak with targets.
const VERSION: u32 = 3;
/// Extensions of a target that make a difference to us.
const KNOWN: [&str; 8] = [
    POSIX_RENAME,
    "statvfs@openssh.com",
    "fstatvfs@openssh.com",
    "hardlink@openssh.com",
    "fsync@openssh.com",
    "lsetstat@openssh.com",
    "copy-data",
    "expand-path@openssh.com",
];
/// Renames over what has the new name; a target that has it not is asked for a plain rename, which does not.
pub(super) const POSIX_RENAME: &str = "posix-rename@openssh.com";

/// What a request is answered with, if not with a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    Status,
    Handle,
    /// At most so many bytes.
    Data(u32),
    Names,
    /// One path.
    Path,
    /// What a link says that is in so many folders.
    Link(usize),
    Attributes,
    Extended,
}

/// A request without its id.
pub(super) struct Passed<'a> {
    pub(super) kind: u8,
    /// The extension's name, of `SSH_FXP_EXTENDED`.
    pub(super) extension: Option<&'static str>,
    /// What follows the id and the extension's name.
    pub(super) parts: &'a [&'a [u8]],
    pub(super) expect: Expect,
}

/// A request on its way: the client's id of it, and what it is answered with.
#[derive(Clone, Copy)]
struct Pending {
    client: u32,
    expect: Expect,
}

/// A request that waits for the place's server.
struct Held {
    kind: u8,
    extension: Option<&'static str>,
    body: Vec<u8>,
    pending: Pending,
}

enum State {
    /// Its server has not said its version yet.
    Entering(Vec<Held>),
    /// Its server is there, and has these extensions.
    Open(Vec<&'static str>),
}

/// A login on a target.
pub(super) struct Place {
    pub(super) key: (Vec<u8>, Vec<u8>),
    /// `/TARGET/LOGIN`.
    pub(super) prefix: Vec<u8>,
    state: State,
    /// Bytes of requests that are held.
    held_bytes: usize,
    incoming: Packets,
    outgoing: Vec<u8>,
    pending: HashMap<u32, Pending>,
    next_id: u32,
    /// Files and folders that are open on it.
    pub(super) handles: usize,
    /// When it was used last.
    pub(super) used: u64,
}

impl Place {
    pub(super) fn new(target: &[u8], login: &[u8]) -> Self {
        let mut outgoing = Vec::new();
        put_packet(&mut outgoing, kind::INIT, &[&VERSION.to_be_bytes()]);
        Self {
            key: (target.to_vec(), login.to_vec()),
            prefix: [b"/", target, b"/", login].concat(),
            state: State::Entering(Vec::new()),
            held_bytes: 0,
            incoming: Packets::default(),
            outgoing,
            pending: HashMap::new(),
            next_id: 0,
            handles: 0,
            used: 0,
        }
    }

    fn held(&self) -> &[Held] {
        match &self.state {
            State::Entering(held) => held,
            State::Open(_) => &[],
        }
    }

    /// Requests without an answer.
    pub(super) fn unanswered(&self) -> usize {
        self.pending.len() + self.held().len()
    }

    /// Requests that may give handles.
    pub(super) fn opening(&self) -> usize {
        let held = self.held().iter().map(|held| &held.pending);
        held.chain(self.pending.values()).filter(|pending| pending.expect == Expect::Handle).count()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.unanswered() == 0 && self.handles == 0
    }

    /// Bytes that wait for its server.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.outgoing.len() + self.held_bytes
    }

    pub(super) fn outgoing(&mut self) -> &mut Vec<u8> {
        &mut self.outgoing
    }

    /// Passes a request on, or keeps it until it can be.
    ///
    /// # Errors
    /// The extension that the target has not.
    pub(super) fn pass(&mut self, client: u32, passed: &Passed<'_>) -> Result<(), &'static str> {
        let &Passed { kind, extension, parts, expect } = passed;
        let pending = Pending { client, expect };
        if let State::Entering(held) = &mut self.state {
            let body = parts.concat();
            self.held_bytes += body.len();
            held.push(Held { kind, extension, body, pending });
            return Ok(());
        }
        self.send(kind, extension, parts, pending)
    }

    fn send(
        &mut self,
        kind: u8,
        extension: Option<&'static str>,
        parts: &[&[u8]],
        pending: Pending,
    ) -> Result<(), &'static str> {
        let State::Open(known) = &self.state else { return Ok(()) };
        let (kind, extension) = match extension {
            Some(POSIX_RENAME) if !known.contains(&POSIX_RENAME) => (kind::RENAME, None),
            Some(extension) if !known.contains(&extension) => return Err(extension),
            extension => (kind, extension),
        };
        while self.pending.contains_key(&self.next_id) {
            self.next_id = self.next_id.wrapping_add(1);
        }
        let (id, name) = (self.next_id, extension.map(|name| string(name.as_bytes())).unwrap_or_default());
        self.next_id = id.wrapping_add(1);
        self.pending.insert(id, pending);
        let id = id.to_be_bytes();
        let mut all: Vec<&[u8]> = vec![&id, &name];
        all.extend_from_slice(parts);
        put_packet(&mut self.outgoing, kind, &all);
        Ok(())
    }

    /// Takes the version of its server. Gives the client's ids of requests that need extensions which it has not.
    fn version(&mut self, body: &[u8]) -> Result<Vec<(u32, &'static str)>, Malformed> {
        let mut fields = Reader::new(body);
        if fields.u32("SSH_FXP_VERSION")? != VERSION {
            return Err(Malformed::new("SSH_FXP_VERSION: another version than 3"));
        }
        let mut known = Vec::new();
        while !fields.is_empty() {
            let (name, _) = (fields.string("extension name")?, fields.string("extension data")?);
            let found = KNOWN.iter().find(|known| known.as_bytes() == name);
            known.extend(found.filter(|found| !known.contains(*found)));
        }
        let State::Entering(held) = std::mem::replace(&mut self.state, State::Open(known)) else {
            return Err(Malformed::new("SSH_FXP_VERSION: a second one"));
        };
        self.held_bytes = 0;
        let mut unsupported = Vec::new();
        for Held { kind, extension, body, pending } in held {
            if let Err(extension) = self.send(kind, extension, &[&body], pending) {
                unsupported.push((pending.client, extension));
            }
        }
        Ok(unsupported)
    }
}

impl Root {
    /// Takes bytes of a place's server.
    pub fn from_place(&mut self, place: PlaceId, bytes: &[u8]) {
        let Some(of) = self.places.get_mut(&place) else { return };
        let mut incoming = std::mem::take(&mut of.incoming);
        incoming.feed(bytes);
        let broken = loop {
            match incoming.next() {
                Ok(None) => break None,
                Ok(Some(packet)) => {
                    if let Err(malformed) = self.answered(place, packet) {
                        break Some(malformed.to_string());
                    }
                }
                Err(length) => break Some(length.to_string()),
            }
        };
        if let Some(why) = broken {
            self.orders.push_back(Order::Leave(place));
            return self.lose(
                place,
                Status::ConnectionLost,
                &format!("its SFTP server broke the protocol: {why}"),
            );
        }
        if let Some(of) = self.places.get_mut(&place) {
            of.incoming = incoming;
        }
    }

    /// A place is not there any more, or never was: everything that waits for it is answered with `status` and `why`.
    pub fn lose(&mut self, place: PlaceId, status: Status, why: &str) {
        let Some(Place { key, state, pending, .. }) = self.places.remove(&place) else { return };
        let (target, login) = (String::from_utf8_lossy(&key.0), String::from_utf8_lossy(&key.1));
        let text = format!("{login}@{target}: {why}");
        self.orders.push_back(Order::Say(text.clone().into_bytes()));
        self.entered.remove(&key);
        let held = match state {
            State::Entering(held) => held,
            State::Open(_) => Vec::new(),
        };
        // In the order in which the client asked, as far as it is known.
        let mut sent: Vec<_> = pending.into_iter().collect();
        sent.sort_unstable_by_key(|(ours, _)| *ours);
        let waited = held.into_iter().map(|held| held.pending.client);
        for id in sent.into_iter().map(|(_, pending)| pending.client).chain(waited) {
            self.status(id, status, &text);
        }
    }

    /// A packet of a place's server.
    fn answered(&mut self, place: PlaceId, packet: &[u8]) -> Result<(), Malformed> {
        let Some(of) = self.places.get_mut(&place) else { return Ok(()) };
        let Some((&kind, body)) = packet.split_first() else { return Ok(()) };
        if kind == kind::VERSION {
            for (id, extension) in of.version(body)? {
                self.unsupported(id, place, extension);
            }
            return Ok(());
        }
        let mut fields = Reader::new(body);
        let id = fields.u32("id")?;
        let pending = of.pending.remove(&id).ok_or(Malformed::new("answer to no request"))?;
        let Pending { client, expect } = pending;
        let understood = answer::understood(kind, expect, fields.rest()).inspect_err(|_| {
            // Answered like everything else that the place owes.
            of.pending.insert(id, pending);
        })?;
        match (kind, expect) {
            (kind::HANDLE, _) => self.opened(place, client, fields),
            (kind::NAME, Expect::Names) => self.names(client, fields.rest()),
            (kind::NAME, _) => self.path_named(place, client, expect, fields),
            _ => {
                self.forward(kind, client, &understood);
                Ok(())
            }
        }
    }

    /// Passes an answer back.
    fn forward(&mut self, kind: u8, client: u32, rest: &[u8]) {
        put_packet(&mut self.outgoing, kind, &[&client.to_be_bytes(), rest]);
    }

    fn opened(&mut self, place: PlaceId, client: u32, mut fields: Reader<'_>) -> Result<(), Malformed> {
        let handle = fields.string("handle").ok().filter(|handle| handle.len() <= MAX_HANDLE);
        let Some(handle) = handle else {
            self.status(client, Status::Failure, "the target gave no handle");
            return Err(Malformed::new("SSH_FXP_HANDLE"));
        };
        if let Some(of) = self.places.get_mut(&place) {
            of.handles += 1;
        }
        self.open(client, Handle::Of(place, handle.into()));
        Ok(())
    }

    /// Names in a folder. One that leads out of the folder is the target's attempt at another's files.
    fn names(&mut self, client: u32, body: &[u8]) -> Result<(), Malformed> {
        match answer::names(body) {
            Ok(Some(names)) => self.forward(kind::NAME, client, names),
            Ok(None) => {
                self.status(client, Status::Failure, "the target names a file with a slash in its name");
            }
            Err(malformed) => {
                self.status(client, Status::Failure, "the target's answer cannot be read");
                return Err(malformed);
            }
        }
        Ok(())
    }

    /// A path that a place names, as it holds in the root.
    fn path_named(
        &mut self,
        place: PlaceId,
        client: u32,
        expect: Expect,
        mut fields: Reader<'_>,
    ) -> Result<(), Malformed> {
        let Some(of) = self.places.get(&place) else { return Ok(()) };
        let Some(name) = answer::one_path(&mut fields) else {
            self.status(client, Status::Failure, "the target named no path");
            return Ok(());
        };
        let shown = match expect {
            Expect::Link(depth) => path::link_outward(&of.prefix, depth, name),
            _ => path::outward(&of.prefix, name),
        };
        self.forward(kind::NAME, client, &one_name(&shown));
        Ok(())
    }

    /// Answers that a place's server has an extension not.
    pub(super) fn unsupported(&mut self, id: u32, place: PlaceId, extension: &str) {
        let target = self.places.get(&place).map(|of| String::from_utf8_lossy(&of.key.0)).unwrap_or_default();
        let text = format!("the SFTP server of {target} does not know {extension}");
        self.status(id, Status::OpUnsupported, &text);
    }
}
