//! The client's side, the owner's side and the targets' sides of a root.

use super::super::super::packet::{Packets, kind, put_packet, string};
use super::super::{Ask, Entry, Order, PlaceId, Root, RootLimits};
use crate::sftp::Status;
use crate::wire::Reader;

/// What everybody here may reach: target and login.
pub(super) const REACHED: [(&str, &str); 3] = [("db-1", "root"), ("web-1", "deploy"), ("web-1", "root")];

/// The extensions of the targets' servers here.
pub(super) const OPENSSH: [&str; 7] = [
    "posix-rename@openssh.com",
    "statvfs@openssh.com",
    "fstatvfs@openssh.com",
    "hardlink@openssh.com",
    "fsync@openssh.com",
    "lsetstat@openssh.com",
    "copy-data",
];

/// A packet: its type, and what follows.
pub(super) type Packet = (u8, Vec<u8>);

pub(super) fn packets(bytes: &[u8]) -> Vec<Packet> {
    let mut cut = Packets::default();
    cut.feed(bytes);
    let mut all = Vec::new();
    while let Some([kind, body @ ..]) = cut.next().unwrap() {
        all.push((*kind, body.to_vec()));
    }
    all
}

/// A request with an id.
pub(super) fn request(kind: u8, id: u32, parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    let id = id.to_be_bytes();
    put_packet(&mut out, kind, &[&[&id[..]], parts].concat());
    out
}

/// A request that begins with a path.
pub(super) fn on(kind: u8, id: u32, path: &str) -> Vec<u8> {
    let tail: &[u8] = if kind == kind::OPEN { &[0, 0, 0, 1, 0, 0, 0, 0] } else { b"" };
    request(kind, id, &[&string(path.as_bytes()), tail])
}

/// A request that names two paths; `extension` is its name, or none of a request of the draft.
pub(super) fn two(kind: u8, extension: &str, id: u32, from: &str, to: &str) -> Vec<u8> {
    let name = if extension.is_empty() { Vec::new() } else { string(extension.as_bytes()) };
    request(kind, id, &[&name, &string(from.as_bytes()), &string(to.as_bytes())])
}

/// What an answer says, in words.
pub(super) fn said((kind, body): &Packet) -> (u32, String) {
    let mut fields = Reader::new(body);
    let id = fields.u32("id").unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let words = match *kind {
        kind::STATUS => {
            let code = fields.u32("code").unwrap();
            format!("{code} {}", text(fields.string("text").unwrap()))
        }
        kind::NAME => {
            let count = fields.u32("count").unwrap();
            format!("{count} {}", text(fields.string("name").unwrap()))
        }
        kind::ATTRS if fields.u32("flags").unwrap() == 13 => {
            fields.u64("size").unwrap();
            format!("{:o}", fields.u32("permissions").unwrap())
        }
        kind::HANDLE => "handle".into(),
        kind => format!("type {kind}"),
    };
    (id, words)
}

/// A root in conversation.
pub(super) struct Rig {
    pub(super) root: Root,
    /// Everything that was ordered.
    pub(super) orders: Vec<Order>,
}

impl Rig {
    pub(super) fn new() -> Self {
        Self::with(RootLimits::default())
    }

    /// A root that has greeted its client.
    pub(super) fn with(limits: RootLimits) -> Self {
        let mut rig = Self { root: Root::new(limits, 0), orders: Vec::new() };
        let mut init = Vec::new();
        put_packet(&mut init, kind::INIT, &[&3u32.to_be_bytes()]);
        rig.root.from_client(&init).unwrap();
        let hello = packets(&std::mem::take(rig.root.to_client()));
        assert_eq!(hello[0].0, kind::VERSION);
        rig
    }

    /// Sends a request and answers what the root asks; gives what comes back.
    #[track_caller]
    pub(super) fn send(&mut self, bytes: &[u8]) -> Vec<Packet> {
        self.root.from_client(bytes).unwrap();
        self.settle();
        self.received()
    }

    /// The same, in words: one answer.
    #[track_caller]
    pub(super) fn ask(&mut self, bytes: &[u8]) -> String {
        let answers = self.send(bytes);
        assert_eq!(answers.len(), 1, "{answers:?}");
        said(&answers[0]).1
    }

    pub(super) fn received(&mut self) -> Vec<Packet> {
        packets(&std::mem::take(self.root.to_client()))
    }

    fn settle(&mut self) {
        while let Some(ask) = self.root.question() {
            let answer = seen(ask);
            self.root.answer(answer);
        }
        while let Some(order) = self.root.order() {
            self.orders.push(order);
        }
    }

    /// The place that was entered last.
    #[track_caller]
    pub(super) fn entered(&self, target: &str, login: &str) -> PlaceId {
        let found = self.orders.iter().rev().find_map(|order| match order {
            Order::Enter { place, target: t, login: l } => {
                ((t.as_slice(), l.as_slice()) == (target.as_bytes(), login.as_bytes())).then_some(*place)
            }
            _ => None,
        });
        found.unwrap_or_else(|| panic!("{login}@{target} was not entered: {:?}", self.orders))
    }

    /// What waits for a place's server.
    pub(super) fn to(&mut self, place: PlaceId) -> Vec<Packet> {
        packets(&std::mem::take(self.root.to_place(place).unwrap()))
    }

    /// A place's server says its version and these extensions.
    pub(super) fn open(&mut self, place: PlaceId, extensions: &[&str]) {
        let mut body = 3u32.to_be_bytes().to_vec();
        for name in extensions {
            body.extend([string(name.as_bytes()), string(b"1")].concat());
        }
        self.from(place, kind::VERSION, &body);
    }

    /// A place's server says something.
    pub(super) fn from(&mut self, place: PlaceId, kind: u8, body: &[u8]) {
        let mut out = Vec::new();
        put_packet(&mut out, kind, &[body]);
        self.root.from_place(place, &out);
        self.settle();
    }

    /// A place's server answers a request by the id that it was asked with.
    pub(super) fn answer(&mut self, place: PlaceId, kind: u8, asked: &Packet, rest: &[u8]) {
        self.from(place, kind, &[&asked.1[..4], rest].concat());
    }

    /// Enters a place whose server is OpenSSH's, and forgets how that went.
    pub(super) fn inside(&mut self, target: &str, login: &str) -> PlaceId {
        self.send(&on(kind::LSTAT, 900, &format!("/{target}/{login}/x")));
        let place = self.entered(target, login);
        self.open(place, &OPENSSH);
        let asked = self.to(place).pop().unwrap();
        self.answer(place, kind::STATUS, &asked, &status(Status::NoSuchFile));
        self.received();
        place
    }

    /// A file that is open on a place: the client's handle.
    pub(super) fn file(&mut self, place: PlaceId, path: &str, theirs: &[u8]) -> Vec<u8> {
        self.send(&on(kind::OPEN, 901, path));
        let asked = self.to(place).pop().unwrap();
        self.answer(place, kind::HANDLE, &asked, &string(theirs));
        let opened = self.received().pop().unwrap();
        assert_eq!(opened.0, kind::HANDLE);
        opened.1[8..].to_vec()
    }
}

/// The rest of an answer that is a status.
pub(super) fn status(status: Status) -> Vec<u8> {
    [&(status as u32).to_be_bytes()[..], &string(b"so it is"), &string(b"")].concat()
}

/// What may be seen here.
pub(super) fn seen(ask: &Ask) -> Option<Vec<Entry>> {
    let entry = |name: &str, writable| Entry { name: name.as_bytes().to_vec(), writable };
    let mut found: Vec<Entry> = match ask {
        Ask::Targets => REACHED.iter().map(|(target, _)| entry(target, false)).collect(),
        Ask::Logins { target } => REACHED
            .iter()
            .filter(|(t, _)| t.as_bytes() == target)
            .map(|(_, login)| entry(login, true))
            .collect(),
        Ask::Login { target, login } => REACHED
            .iter()
            .filter(|(t, l)| (t.as_bytes(), l.as_bytes()) == (target.as_slice(), login.as_slice()))
            .map(|(_, login)| entry(login, true))
            .collect(),
    };
    found.dedup();
    (!found.is_empty()).then_some(found)
}
