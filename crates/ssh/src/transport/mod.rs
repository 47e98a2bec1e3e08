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
mod queue;
mod receive;
mod rekey;
mod send;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use packet::{Inbound, Outbound};
use queue::Queue;

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
    /// Payloads waiting for our NEWKEYS.
    queue: Queue,
    /// See [`Transport::unread_replies`].
    replies: usize,
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
    /// We told it that it is authenticated (RFC 4252 §5.1).
    admitted: bool,
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
    /// When the exchange began that is not complete; `None` for the first.
    exchange_since: Option<Duration>,
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
            inbound: Inbound::new(role.is_server()),
            role,
            outbound,
            own_kexinit: None,
            may_send: false,
            queue: Queue::default(),
            replies: 0,
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
    /// unless a partial packet stands in the way: the buffer grows to one packet of the largest size (256 KiB, 80 KiB
    /// of a client that is not authenticated) or to the asked-for size, whichever is more, and no further. Never empty then;
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

    /// False for a client that was not told yet that it is authenticated: a stranger, of which there may be many.
    pub const fn knows_peer(&self) -> bool {
        self.peer.admitted || !self.role.is_server()
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
