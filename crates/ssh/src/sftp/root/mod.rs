//! A server of the protocol whose files are on other servers.
//!
//! ```text
//!   client ──► from_client ──► / and /TARGET: answered here ─┐             Ask ──► owner ──► answer
//!          ◄── to_client ◄───────────────────────────────────┤
//!                     ▲        /TARGET/LOGIN/…: passed on    │
//!                     └──── ids and handles mapped ◄─────────┴──► to_place ──► target's server
//!                                                                from_place ◄──
//! ```
//!
//! - **Places are entered when they are needed**: [`Order::Enter`] asks the owner for a channel to the login's SFTP server,
//!   and requests wait for it. What becomes of it, the client is told as a status; the rest of the root lives on.
//! - **Requests are pipelined.** Each has an id of its own on its place, so that answers of several places come in any
//!   order and a place that is slow holds up nobody else, until [`RootLimits`] are reached.
//! - **Memory is bounded both ways**: [`Root::wants_client`] and [`Root::wants_places`] say when to read on.
//! - **Two places never meet in one request.** What names two paths or handles in different places is refused.
//! - **Targets are not trusted**: what they say of paths stays below them, an answer that does not fit its request, or that
//!   cannot be read whole, ends the place and nothing else.
//!
//! What it deliberately does not do: decide who may enter what, know what a name means, wait, or look at the clock.

mod answer;
mod folder;
mod pass;
mod place;
mod request;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::rc::Rc;

pub use self::folder::Entry;
use self::folder::Listing;
use self::place::Place;
use super::packet::{BadLength, Packets, Status, kind, put_packet};
use crate::wire::Writer as _;

/// The bounds of a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RootLimits {
    /// Bytes that may wait for the client before nothing more is read. 256 KiB by default.
    pub to_client: usize,
    /// Bytes that may wait for places, all together, before the client is not read. 2 MiB by default.
    pub to_places: usize,
    /// Requests that may be unanswered before the client is not read. 4,096 by default.
    pub in_flight: usize,
    /// Files and folders that may be open. 1,024 by default.
    pub handles: usize,
    /// Folders of ours among them. 16 by default: each holds its list.
    pub listings: usize,
    /// Places that may be entered at a time; idle ones are left for others. 32 by default.
    pub places: usize,
}

impl Default for RootLimits {
    fn default() -> Self {
        Self {
            to_client: 256 << 10,
            to_places: 2 << 20,
            in_flight: 4096,
            handles: 1024,
            listings: 16,
            places: 32,
        }
    }
}

/// A login on a target that was entered. Never means another one later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlaceId(u64);

/// A question about what the person may see. Answered by [`Root::answer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The targets.
    Targets,
    /// The logins of a target; none if there is no such target to be seen.
    Logins {
        /// Its name, as the client wrote it.
        target: Vec<u8>,
    },
    /// One login; none if it may not be entered.
    Login {
        /// The target's name, as the client wrote it.
        target: Vec<u8>,
        /// The login's name, as the client wrote it.
        login: Vec<u8>,
    },
}

/// Something for the owner to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Open a channel to the login's SFTP server. Ends with [`Root::lose`].
    Enter {
        /// What it is called here.
        place: PlaceId,
        /// The target's name, as the client wrote it.
        target: Vec<u8>,
        /// The login's name, as the client wrote it.
        login: Vec<u8>,
    },
    /// Close the channel: nothing of the place is known any more.
    Leave(PlaceId),
    /// Tell the person, who may not be shown the text of a status: a line without its end, not escaped.
    Say(Vec<u8>),
    /// Something was refused here.
    Refused {
        /// What was asked for, as the protocol names it.
        action: &'static str,
        /// The path, as the client wrote it.
        path: Vec<u8>,
        /// Why.
        reason: String,
    },
}

/// Why nothing of the client can be understood any more. It is the client's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A packet that is too long or too short.
    #[error(transparent)]
    Length(#[from] BadLength),
    /// The first packet was none of `SSH_FXP_INIT`.
    #[error("the first SFTP packet is of type {0}, not SSH_FXP_INIT")]
    NoInit(u8),
    /// A version before 3.
    #[error("SFTP version {0} is not supported, version 3 is")]
    Version(u32),
    /// A packet without an id, which cannot be answered.
    #[error("an SFTP packet of type {0} is too short")]
    Short(u8),
}

/// The server.
pub struct Root {
    limits: RootLimits,
    /// The time that our folders show, in seconds since 1970.
    time: u32,
    begun: bool,
    incoming: Packets,
    outgoing: Vec<u8>,
    places: BTreeMap<PlaceId, Place>,
    entered: HashMap<(Vec<u8>, Vec<u8>), PlaceId>,
    handles: BTreeMap<u64, Handle>,
    questions: VecDeque<(Ask, Waiting)>,
    orders: VecDeque<Order>,
    /// Counts places, handles and what places are used for.
    serial: u64,
    own: Own,
}

/// Whole packets of the client that were answered here, and the answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Own {
    requests: Vec<u8>,
    answers: Vec<u8>,
}

/// Something that is open.
#[derive(Clone)]
enum Handle {
    /// A folder of ours.
    Listing(Listing),
    /// A file or folder of a place, and its handle there.
    Of(PlaceId, Rc<[u8]>),
}

/// What waits for the answer to a question: a request's id, and what it wants.
struct Waiting {
    id: u32,
    wants: Wants,
    path: Vec<u8>,
}

/// Questions that may wait before the client is not read.
const QUESTIONS: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wants {
    /// Attributes.
    Stat,
    /// A handle of the folder.
    List,
}

impl Root {
    /// A root whose folders show `time`, in seconds since 1970.
    pub fn new(limits: RootLimits, time: u32) -> Self {
        Self {
            limits,
            time,
            begun: false,
            incoming: Packets::default(),
            outgoing: Vec::new(),
            places: BTreeMap::new(),
            entered: HashMap::new(),
            handles: BTreeMap::new(),
            questions: VecDeque::new(),
            orders: VecDeque::new(),
            serial: 0,
            own: Own::default(),
        }
    }

    /// Takes bytes of the client, and does what can be done of what waits. Also without bytes, when something
    /// was taken from here.
    ///
    /// # Errors
    /// When the client cannot be understood any more. Nothing must be fed after that.
    pub fn from_client(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        let mut incoming = std::mem::take(&mut self.incoming);
        incoming.feed(bytes);
        let mut result = Ok(());
        while self.wants_client() {
            match incoming.next() {
                Ok(None) => break,
                Ok(Some(packet)) => result = self.packet(packet),
                Err(length) => result = Err(length.into()),
            }
            if result.is_err() {
                break;
            }
        }
        self.incoming = incoming;
        result
    }

    /// Whether the client may be read: if not, it is to wait until something was taken from here.
    pub fn wants_client(&self) -> bool {
        let unanswered: usize = self.places.values().map(Place::unanswered).sum();
        self.wants_places()
            && self.questions.len() < QUESTIONS
            && unanswered < self.limits.in_flight
            && self.to_places() < self.limits.to_places
    }

    /// Whether nothing waits: every request was answered, and every answer taken.
    pub fn is_quiet(&self) -> bool {
        let answered = self.places.values().all(|of| of.unanswered() == 0);
        answered && self.questions.is_empty() && self.outgoing.is_empty()
    }

    /// Whether places may be read.
    pub fn wants_places(&self) -> bool {
        self.outgoing.len() < self.limits.to_client
    }

    fn to_places(&self) -> usize {
        self.places.values().map(Place::waiting_bytes).sum()
    }

    /// What is to go to the client; the owner takes from its front as it is written.
    pub fn to_client(&mut self) -> &mut Vec<u8> {
        &mut self.outgoing
    }

    /// What is to go to a place's server; the owner takes from its front as it is written.
    pub fn to_place(&mut self, place: PlaceId) -> Option<&mut Vec<u8>> {
        self.places.get_mut(&place).map(Place::outgoing)
    }

    /// The next thing for the owner to do.
    pub fn order(&mut self) -> Option<Order> {
        self.orders.pop_front()
    }

    /// The question to answer now, if there is one.
    pub fn question(&self) -> Option<&Ask> {
        self.questions.front().map(|(ask, _)| ask)
    }

    /// Whole packets that were answered here and not passed on, and all answers that were made here, since the last call.
    pub fn take_own(&mut self) -> (Vec<u8>, Vec<u8>) {
        let Own { requests, answers } = std::mem::take(&mut self.own);
        (requests, answers)
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// Answers the client: a packet of ours.
    fn reply(&mut self, kind: u8, id: u32, parts: &[&[u8]]) {
        let start = self.outgoing.len();
        let id = id.to_be_bytes();
        let parts: Vec<&[u8]> = [&id[..]].into_iter().chain(parts.iter().copied()).collect();
        put_packet(&mut self.outgoing, kind, &parts);
        self.own.answers.extend_from_slice(&self.outgoing[start..]);
    }

    /// Answers with a status.
    fn status(&mut self, id: u32, status: Status, text: &str) {
        let mut body = Vec::new();
        body.put_u32(status as u32);
        body.put_string(text.as_bytes());
        body.put_string(b"");
        self.reply(kind::STATUS, id, &[&body]);
    }

    /// Refuses something on grounds of ours: a status, a line for the person, and a word to the owner.
    fn refuse(&mut self, id: u32, status: Status, action: &'static str, path: &[u8], reason: String) {
        self.status(id, status, &reason);
        self.orders.push_back(Order::Say(reason.clone().into_bytes()));
        self.orders.push_back(Order::Refused { action, path: path.to_vec(), reason });
    }
}
