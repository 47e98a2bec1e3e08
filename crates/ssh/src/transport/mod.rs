//! The transport protocol (RFC 4253), sans-IO, one hop, both roles.
//!
//! A [`Transport`] turns bytes of a connection into payloads and back: identification, key
//! exchange, encryption, new keys. It answers all transport messages by itself and hands out
//! everything else. Bytes are decrypted inside the receive buffer and payloads are sealed inside
//! the send buffer, so each is copied at most once.
//!
//! ```text
//!   socket ─read─► receive_space / received ─► poll ─► Incoming::Packet(&payload)
//!   socket ◄write─ outgoing / sent ◄────────────────── send(&payload)
//! ```
//!
//! ```
//! # use std::{sync::Arc, time::Duration};
//! # use bartizan_ssh::{key::*, transport::*};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let host_key = HostKey::new(PrivateKey::generate(KeyKind::Ed25519)?);
//! let now = Duration::ZERO;
//! let mut server = Transport::server(Arc::new(ServerConfig::new(vec![host_key])), now)?;
//! let mut client = Transport::client(Arc::new(ClientConfig::default()), now)?;
//! while client.negotiated().is_none() || !server.can_send() {
//!     for (from, to) in [(0, 1), (1, 0)] {
//!         let mut ends = [&mut client, &mut server];
//!         let bytes = ends[from].outgoing().to_vec();       // a socket would be here
//!         ends[from].sent(bytes.len());
//!         ends[to].receive_space(bytes.len())[..bytes.len()].copy_from_slice(&bytes);
//!         ends[to].received(bytes.len());
//!         if let Some(Incoming::HostKey(_identity)) = ends[to].poll(now)? {
//!             ends[to].accept_host_key()?;                  // after checking that it is known
//!         }
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! What this module does not do: authentication, channels, compression, finite-field
//! Diffie-Hellman, CBC, SHA-1. It never reads a clock and never starts a rekey by itself:
//! limits only raise [`Transport::wants_rekey`].

mod buffer;
mod cipher;
mod config;
mod error;
mod exchange;
mod extensions;
mod ident;
mod kex;
mod negotiate;
mod packet;
mod receive;
mod rekey;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use packet::{Inbound, Outbound};

pub use crate::wire::transport::DisconnectReason;
pub use cipher::{Cipher, Mac, Protection};
pub use config::{Algorithms, ClientConfig, ServerConfig, SoftwareVersion};
pub use error::{Fault, TransportError};
pub use extensions::PeerExtensions;
pub use kex::KexMethod;
pub use negotiate::Negotiated;
pub use packet::{MAX_PACKET_LENGTH, MAX_PAYLOAD};
pub use receive::Incoming;
pub use rekey::RekeyLimits;

use crate::wire::Writer;
use crate::wire::transport::{
    Disconnect, Ping, SSH_MSG_SERVICE_ACCEPT, SSH_MSG_SERVICE_REQUEST, Unimplemented,
};

/// Replies that a peer makes us queue end its connection when this much is unsent already.
const REPLY_LIMIT: usize = 4 * 1024 * 1024;
/// Longest text of a DISCONNECT.
const MAX_DISCONNECT_TEXT: usize = 1024;

/// One end of an SSH connection's transport layer.
///
/// The caller moves bytes and time in and payloads out; see the module's documentation. Times are
/// durations since any fixed moment, monotonic. After an error, a received DISCONNECT or
/// [`Transport::disconnect`] the transport is closed: flush [`Transport::outgoing`], then drop it.
pub struct Transport {
    role: Role,
    state: exchange::State,
    inbound: Inbound,
    outbound: Outbound,
    /// Our KEXINIT payload, from when it was sent until the peer's came.
    own_kexinit: Option<Vec<u8>>,
    /// True from our NEWKEYS until our next KEXINIT.
    may_send: bool,
    /// Payloads waiting for our NEWKEYS, each after its length.
    queue: Vec<u8>,
    peer: Peer,
    session: Option<Box<Session>>,
    last_sequence: u32,
    clock: Clock,
}

#[derive(Clone)]
enum Role {
    Server(Arc<ServerConfig>),
    Client(Arc<ClientConfig>),
}

impl Role {
    const fn is_server(&self) -> bool {
        matches!(self, Self::Server(_))
    }

    fn algorithms(&self) -> &Algorithms {
        match self {
            Self::Server(config) => &config.algorithms,
            Self::Client(config) => &config.algorithms,
        }
    }

    fn software(&self) -> &SoftwareVersion {
        match self {
            Self::Server(config) => &config.software,
            Self::Client(config) => &config.software,
        }
    }

    fn rekey(&self) -> &RekeyLimits {
        match self {
            Self::Server(config) => &config.rekey,
            Self::Client(config) => &config.rekey,
        }
    }
}

/// What the peer said about itself.
#[derive(Default)]
struct Peer {
    identification: Option<Box<[u8]>>,
    /// Both sides do strict KEX; decided by the first KEXINITs.
    strict_kex: bool,
    wants_ext_info: bool,
    ext_infos: u8,
    /// A client with AES-GCM, to which we offer no other cipher.
    gcm_only: bool,
    extensions: PeerExtensions,
}

/// What key exchanges left behind.
struct Session {
    /// The first exchange hash.
    id: Box<[u8]>,
    exchange_hash: Box<[u8]>,
    negotiated: Negotiated,
    host_blob: Box<[u8]>,
    /// Client role: the server's signature on the first exchange hash.
    host_signature: Box<[u8]>,
    /// The first exchange is complete both ways.
    established: bool,
}

#[derive(Default)]
struct Clock {
    /// Until then the server waits for the client's KEXINIT.
    send_kexinit_at: Option<Duration>,
    /// The last NEWKEYS of the peer.
    keys_since: Duration,
    rekey_due: bool,
    /// `start_rekey` was called and the exchange is not complete.
    rekey_started: bool,
}

impl Transport {
    /// The server's end of a new connection. Our identification is in the send buffer at once.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn server(config: Arc<ServerConfig>, now: Duration) -> Result<Self, TransportError> {
        let wait = config.wait_for_client_kexinit.is_some();
        let mut transport = Self::new(Role::Server(config), now);
        if !wait {
            transport.send_kexinit()?;
        }
        Ok(transport)
    }

    /// The client's end of a new connection. Our identification and KEXINIT are in the send buffer at once.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn client(config: Arc<ClientConfig>, now: Duration) -> Result<Self, TransportError> {
        let mut transport = Self::new(Role::Client(config), now);
        transport.send_kexinit()?;
        Ok(transport)
    }

    fn new(role: Role, now: Duration) -> Self {
        let mut outbound = Outbound::new();
        outbound.raw(format!("{}\r\n", ident::identification(role.software())).as_bytes());
        Self {
            state: exchange::State::Identification(ident::Scanner::new(!role.is_server())),
            role,
            inbound: Inbound::new(),
            outbound,
            own_kexinit: None,
            may_send: false,
            queue: Vec::new(),
            peer: Peer::default(),
            session: None,
            last_sequence: 0,
            clock: Clock { keys_since: now, ..Clock::default() },
        }
    }

    /// Space to read the peer's bytes into, after those already there; tell how many with
    /// [`Transport::received`].
    ///
    /// Has `at_least` bytes when [`Transport::poll`] returned `None` since the last bytes came,
    /// unless a partial packet stands in the way: the buffer grows to one packet of the largest
    /// size (256 KiB) or to the asked-for size, whichever is more, and no further. Never empty then;
    /// empty only when the caller keeps receiving without polling, or before
    /// [`Transport::accept_host_key`]. Invalidates slices that `poll` handed out.
    pub fn receive_space(&mut self, at_least: usize) -> &mut [u8] {
        self.inbound.space(at_least)
    }

    /// Adds the first `n` bytes of the receive space to what is there.
    pub fn received(&mut self, n: usize) {
        self.inbound.buffer.commit(n);
    }

    /// Gives the receive buffer away while it is empty, so that an idle connection holds none.
    /// Payloads of user authentication were wiped from it; others may still stand there.
    pub fn take_receive_buffer(&mut self) -> Option<Vec<u8>> {
        self.inbound.wipe_secret();
        self.inbound.buffer.take()
    }

    /// Lends a receive buffer; its length is what is used, not its capacity. Dropped when the
    /// present one holds bytes or is as large.
    pub fn give_receive_buffer(&mut self, buffer: Vec<u8>) {
        self.inbound.wipe_secret();
        self.inbound.buffer.give(buffer);
    }

    /// Like [`Transport::take_receive_buffer`], for the send buffer.
    pub fn take_send_buffer(&mut self) -> Option<Vec<u8>> {
        self.outbound.buffer.take()
    }

    /// Like [`Transport::give_receive_buffer`], for the send buffer.
    pub fn give_send_buffer(&mut self, buffer: Vec<u8>) {
        self.outbound.buffer.give(buffer);
    }

    /// True when payloads are sealed at once: from our NEWKEYS until our next KEXINIT.
    ///
    /// While false they are queued; a relay then stops reading its other hop, so that the queue stays short.
    pub const fn can_send(&self) -> bool {
        self.may_send
    }

    /// Sends one payload of a service, user authentication or the connection protocol.
    ///
    /// Sealed into the send buffer at once; while [`Transport::can_send`] is false it is queued, in
    /// order, and goes out after NEWKEYS. Neither queue nor send buffer is bounded here: the owner
    /// stops feeding when [`Transport::outgoing`] is long.
    ///
    /// # Errors
    /// [`TransportError::Misuse`] when the payload is empty, larger than [`MAX_PAYLOAD`] or a
    /// transport message (the transport stays as it was); [`TransportError::Closed`] after the end;
    /// [`TransportError::RekeyOverdue`] when the keys may not be used any more.
    pub fn send(&mut self, payload: &[u8]) -> Result<(), TransportError> {
        self.send_parts(payload, &[])
    }

    /// Like [`Transport::send`], for a payload that is in two places; saves joining them.
    ///
    /// # Errors
    /// As `send`.
    pub fn send_parts(&mut self, head: &[u8], body: &[u8]) -> Result<(), TransportError> {
        match head.first().or(body.first()) {
            Some(&(SSH_MSG_SERVICE_REQUEST | SSH_MSG_SERVICE_ACCEPT | 50..)) => {}
            _ => return Err(TransportError::Misuse("not a message for the transport to carry")),
        }
        self.seal_or_queue(head, body)
    }

    fn seal_or_queue(&mut self, head: &[u8], body: &[u8]) -> Result<(), TransportError> {
        if self.is_closed() {
            return Err(TransportError::Closed);
        }
        if self.may_send {
            if self.outbound.traffic.is_spent(self.role.rekey()) {
                return Err(self.fail(TransportError::RekeyOverdue));
            }
            return self.outbound.packet(head, body);
        }
        let len = head.len().saturating_add(body.len());
        if len > MAX_PAYLOAD {
            return Err(TransportError::Misuse("payload is empty or larger than a packet"));
        }
        self.queue.put_u32(len as u32);
        self.queue.put(head);
        self.queue.put(body);
        Ok(())
    }

    /// Bytes to write to the peer.
    pub fn outgoing(&self) -> &[u8] {
        self.outbound.buffer.queued()
    }

    /// The first `n` bytes of [`Transport::outgoing`] were written.
    pub fn sent(&mut self, n: usize) {
        self.outbound.buffer.consume(n);
    }

    /// Ends the connection: DISCONNECT is the last thing sent, queued payloads are dropped, nothing
    /// more is received. `text` is cut at 1 KiB. Does nothing when already closed.
    pub fn disconnect(&mut self, reason: DisconnectReason, text: &str) {
        if self.is_closed() {
            return;
        }
        let text = &text[..text.floor_char_boundary(MAX_DISCONNECT_TEXT)];
        let mut payload = Vec::new();
        Disconnect { reason: reason.code(), description: text.as_bytes() }.write(&mut payload);
        // If even this can't be sealed, the closed connection has to speak for itself.
        let _ = self.outbound.packet(&payload, &[]);
        self.close();
    }

    /// Closes with a DISCONNECT that fits the error, and gives the error back.
    fn fail(&mut self, error: TransportError) -> TransportError {
        // Who does not speak SSH is not answered in SSH.
        if !matches!(error, TransportError::Identification(_)) {
            self.disconnect(error.reason(), error.text_for_peer());
        }
        self.close();
        error
    }

    fn close(&mut self) {
        self.state = exchange::State::Closed;
        self.may_send = false;
        self.queue = Vec::new();
        self.own_kexinit = None;
    }

    /// True after an error, after DISCONNECT either way.
    pub const fn is_closed(&self) -> bool {
        matches!(self.state, exchange::State::Closed)
    }

    /// Client role: the host key of [`Incoming::HostKey`] is known; the exchange goes on.
    ///
    /// # Errors
    /// [`TransportError::Misuse`] when no host key is waiting.
    pub fn accept_host_key(&mut self) -> Result<(), TransportError> {
        self.host_key_accepted()
    }

    /// True when one direction's keys have served as long as [`RekeyLimits`] says and no exchange runs.
    pub fn wants_rekey(&self) -> bool {
        let limits = self.role.rekey();
        let worn = self.inbound.traffic.exceeds(limits) || self.outbound.traffic.exceeds(limits);
        self.can_start_rekey() && (self.clock.rekey_due || worn)
    }

    /// Starts a key exchange: from now until our NEWKEYS payloads are queued. Does nothing while
    /// an exchange is running, before the first, or after the end.
    ///
    /// Never start one on both hops of a relay at a time: each could wait for data held up behind
    /// the other. Rekeys that the peer starts are answered within [`Transport::poll`].
    ///
    /// # Errors
    /// When there is no randomness; the transport is closed then.
    pub fn start_rekey(&mut self) -> Result<(), TransportError> {
        if self.can_start_rekey() {
            self.send_kexinit().map_err(|error| self.fail(error))?;
            self.clock.rekey_started = true;
        }
        Ok(())
    }

    fn can_start_rekey(&self) -> bool {
        matches!(self.state, exchange::State::Open) && self.own_kexinit.is_none()
    }

    /// True from [`Transport::start_rekey`] until [`Incoming::Rekeyed`].
    pub const fn rekey_in_progress(&self) -> bool {
        self.clock.rekey_started
    }

    /// When [`Transport::handle_deadline`] wants to be called, if at all.
    pub fn next_deadline(&self) -> Option<Duration> {
        if self.is_closed() {
            return None;
        }
        self.clock.send_kexinit_at.or_else(|| {
            let waiting = self.can_start_rekey() && !self.clock.rekey_due;
            let after = self.role.rekey().after.filter(|_| waiting)?;
            Some(self.clock.keys_since.saturating_add(after))
        })
    }

    /// Does what is due at `now`: sends the KEXINIT that waited for the client's, raises
    /// [`Transport::wants_rekey`]. Calling it early or too often is harmless.
    ///
    /// # Errors
    /// When there is no randomness; the transport is closed then.
    pub fn handle_deadline(&mut self, now: Duration) -> Result<(), TransportError> {
        if self.next_deadline().is_none_or(|deadline| now < deadline) {
            return Ok(());
        }
        if self.clock.send_kexinit_at.is_some() {
            self.send_kexinit().map_err(|error| self.fail(error))
        } else {
            self.clock.rekey_due = true;
            Ok(())
        }
    }

    /// Answers UNIMPLEMENTED to the packet that [`Transport::poll`] returned last; for messages
    /// that the layers above don't know (RFC 4253 §11.4).
    ///
    /// # Errors
    /// [`TransportError::Closed`], or [`TransportError::PeerNotReading`] when replies pile up.
    pub fn unimplemented(&mut self) -> Result<(), TransportError> {
        let mut payload = Vec::new();
        Unimplemented { sequence: self.last_sequence }.write(&mut payload);
        self.reply(&payload)
    }

    /// Sends a PING; the peer's [`Incoming::Pong`] brings `data` back.
    ///
    /// # Errors
    /// [`TransportError::Misuse`] when the peer did not announce `ping@openssh.com`, or as `send`.
    pub fn ping(&mut self, data: &[u8]) -> Result<(), TransportError> {
        if !self.peer.extensions.ping {
            return Err(TransportError::Misuse("peer did not announce ping@openssh.com"));
        }
        let mut payload = Vec::new();
        Ping { data }.write_ping(&mut payload);
        self.seal_or_queue(&payload, &[])
    }

    /// Sends what a peer asked for, unless it asks without reading.
    fn reply(&mut self, payload: &[u8]) -> Result<(), TransportError> {
        self.check_peer_reads()?;
        self.seal_or_queue(payload, &[])
    }

    fn check_peer_reads(&mut self) -> Result<(), TransportError> {
        let pending = self.outbound.buffer.len() + self.queue.len();
        if pending > REPLY_LIMIT { Err(self.fail(TransportError::PeerNotReading)) } else { Ok(()) }
    }

    /// The session id: the first exchange hash, known before [`Incoming::HostKey`] and
    /// [`Incoming::Established`]. (Not our audited session: the RFC's word.)
    pub fn session_id(&self) -> Option<&[u8]> {
        self.session.as_ref().map(|s| &*s.id)
    }

    /// The exchange hash of the latest key exchange.
    pub fn exchange_hash(&self) -> Option<&[u8]> {
        self.session.as_ref().map(|s| &*s.exchange_hash)
    }

    /// What the latest key exchange agreed on.
    pub fn negotiated(&self) -> Option<&Negotiated> {
        self.session.as_ref().map(|s| &s.negotiated)
    }

    /// `K_S` of the latest key exchange: the host key or certificate that the server showed.
    pub fn host_blob(&self) -> Option<&[u8]> {
        self.session.as_ref().map(|s| &*s.host_blob)
    }

    /// Client role: the server's signature on the session id, which `session-bind@openssh.com`
    /// hands to an agent.
    pub fn host_signature(&self) -> Option<&[u8]> {
        self.session.as_ref().map(|s| &*s.host_signature).filter(|_| !self.role.is_server())
    }

    /// The peer's identification without CR LF, printable ASCII.
    pub fn peer_identification(&self) -> Option<&[u8]> {
        self.peer.identification.as_deref()
    }

    /// The extensions that the peer announced so far.
    pub const fn peer_extensions(&self) -> &PeerExtensions {
        &self.peer.extensions
    }

    /// True when both sides do OpenSSH's strict key exchange (no prefix truncation).
    pub const fn strict_kex(&self) -> bool {
        self.peer.strict_kex
    }
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transport")
            .field("server", &self.role.is_server())
            .field("state", &self.state)
            .field("outgoing", &self.outbound.buffer.len())
            .finish_non_exhaustive()
    }
}
