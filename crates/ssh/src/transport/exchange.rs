//! The key exchange as a state machine: KEXINIT, INIT and REPLY, host key, NEWKEYS; first and later ones.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use super::cipher::{OpeningKey, SealingKey};
use super::error::TransportError;
use super::kex::{self, ClientExchange, ExchangeHashInput, KexError, KeyDerivation, SharedSecret};
use super::negotiate::{self, Negotiated, Proposal};
use super::receive::Event;
use super::{Role, Session, Transport, extensions, ident};
use crate::key::verify_host_signature;
use crate::wire::Reader;
use crate::wire::transport::{KexEcdhInit, KexEcdhReply, KexInit, SSH_MSG_NEWKEYS};

/// What comes next from the peer.
pub(super) enum State {
    /// Its identification.
    Identification(ident::Scanner),
    /// Its first KEXINIT.
    FirstKexInit,
    /// INIT (server role) or REPLY (client role).
    Exchange(Box<Exchange>),
    /// Nothing: the caller decides on the host key first.
    HostKey(Box<NewKeys>),
    /// NEWKEYS.
    NewKeys(OpeningKey),
    /// Anything that keys in force allow, KEXINIT included.
    Open,
    /// Nothing any more.
    Closed,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Identification(_) => "Identification",
            Self::FirstKexInit => "FirstKexInit",
            Self::Exchange(_) => "Exchange",
            Self::HostKey(_) => "HostKey",
            Self::NewKeys(_) => "NewKeys",
            Self::Open => "Open",
            Self::Closed => "Closed",
        })
    }
}

/// An exchange between KEXINIT and NEWKEYS.
pub(super) struct Exchange {
    negotiated: Negotiated,
    client_kexinit: Vec<u8>,
    server_kexinit: Vec<u8>,
    /// The peer's next exchange packet was guessed wrong.
    pub(super) drop_guess: bool,
    /// Client role: our share and its public value.
    client: Option<(ClientExchange, Vec<u8>)>,
}

/// New keys of both directions, before either is in force.
pub(super) struct NewKeys {
    sealing: SealingKey,
    opening: OpeningKey,
}

impl Transport {
    pub(super) fn identified(&mut self, line: Vec<u8>, now: Duration) {
        self.peer.identification = Some(line.into_boxed_slice());
        self.state = State::FirstKexInit;
        if let Role::Server(config) = &self.role
            && self.own_kexinit.is_none()
        {
            let wait = config.wait_for_client_kexinit.unwrap_or_default();
            self.clock.send_kexinit_at = Some(now.saturating_add(wait));
        }
    }

    /// Sends our KEXINIT; from here to our NEWKEYS payloads are queued.
    pub(super) fn send_kexinit(&mut self) -> Result<(), TransportError> {
        let (host_keys, markers) = match &self.role {
            Role::Server(config) => {
                (config.host_key_algorithms(), [negotiate::EXT_INFO_S, negotiate::STRICT_S])
            }
            Role::Client(config) => {
                let names = config.host_key_algorithms.iter().map(|a| a.name()).collect();
                (names, [negotiate::EXT_INFO_C, negotiate::STRICT_C])
            }
        };
        let proposal = Proposal {
            algorithms: self.role.algorithms(),
            host_keys,
            markers: if self.session.is_none() { &markers } else { &[] },
            gcm_only: self.peer.gcm_only,
        };
        let payload = proposal.kexinit()?;
        self.outbound.packet(&payload, &[])?;
        self.own_kexinit = Some(payload);
        self.may_send = false;
        self.clock.send_kexinit_at = None;
        Ok(())
    }

    pub(super) fn peer_kexinit(
        &mut self,
        payload: Range<usize>,
        sequence: u32,
        now: Duration,
    ) -> Result<(), TransportError> {
        self.check_peer_reads()?;
        if self.session.is_some() {
            self.clock.exchange_since.get_or_insert(now);
        }
        let payload = self.inbound.buffer.at(payload).to_vec();
        let peer = KexInit::parse(&payload)?;
        if let Role::Server(config) = &self.role
            && self.session.is_none()
        {
            self.peer.gcm_only = config.wait_for_client_kexinit.is_some()
                && negotiate::has_gcm_both_ways(&peer, &config.algorithms);
        }
        if self.own_kexinit.is_none() {
            self.send_kexinit()?;
        }
        let own_payload = self.own_kexinit.take().unwrap_or_default();
        let own = KexInit::parse(&own_payload)?;
        if self.session.is_none() {
            self.learn_markers(&peer, &own, sequence)?;
        }
        let is_server = self.role.is_server();
        let (client, server) = if is_server { (&peer, &own) } else { (&own, &peer) };
        let negotiated = negotiate::negotiate(client, server, is_server)?;
        let drop_guess = peer.first_kex_packet_follows && !negotiate::guess_is_right(client, server);
        let (client_kexinit, server_kexinit) =
            if is_server { (payload, own_payload) } else { (own_payload, payload) };
        let client = if is_server { None } else { Some(self.send_exchange_init(&negotiated)?) };
        let exchange = Exchange { negotiated, client_kexinit, server_kexinit, drop_guess, client };
        self.state = State::Exchange(Box::new(exchange));
        Ok(())
    }

    /// Markers count in the first KEXINIT only.
    fn learn_markers(
        &mut self,
        peer: &KexInit<'_>,
        own: &KexInit<'_>,
        sequence: u32,
    ) -> Result<(), TransportError> {
        let (ext_info, theirs, ours) = match &self.role {
            Role::Server(_) => (negotiate::EXT_INFO_C, negotiate::STRICT_C, negotiate::STRICT_S),
            Role::Client(_) => (negotiate::EXT_INFO_S, negotiate::STRICT_S, negotiate::STRICT_C),
        };
        self.peer.wants_ext_info = peer.kex_algorithms.contains(ext_info);
        self.peer.strict_kex = peer.kex_algorithms.contains(theirs) && own.kex_algorithms.contains(ours);
        if self.peer.strict_kex && sequence != 0 {
            return Err(TransportError::Protocol("messages before KEXINIT under strict key exchange"));
        }
        Ok(())
    }

    fn send_exchange_init(
        &mut self,
        negotiated: &Negotiated,
    ) -> Result<(ClientExchange, Vec<u8>), TransportError> {
        let (share, public) = ClientExchange::start(negotiated.kex)?;
        let mut payload = Vec::new();
        KexEcdhInit { client_public: &public }.write(&mut payload);
        self.outbound.packet(&payload, &[])?;
        Ok((share, public))
    }

    /// Server role: the client's share came; answers with ours, our host key, a signature and NEWKEYS.
    pub(super) fn exchange_init(&mut self, payload: Range<usize>) -> Result<(), TransportError> {
        let Role::Server(config) = self.role.clone() else { return Err(NOT_NOW) };
        let exchange = self.take_exchange()?;
        let client_public = KexEcdhInit::parse(self.inbound.buffer.at(payload))?.client_public.to_vec();
        let (server_public, secret) = kex::respond(exchange.negotiated.kex, &client_public)?;
        let algorithm = exchange.negotiated.host_key;
        let (host_key, host_blob) =
            config.host_key(algorithm).ok_or(TransportError::Crypto("host key is gone"))?;
        let hash = self.exchange_hash_of(&exchange, host_blob, [&client_public, &server_public], &secret);
        let signature = host_key
            .sign(algorithm.name(), &hash)
            .map_err(|_| TransportError::Crypto("host key does not sign"))?;
        let mut reply = Vec::new();
        KexEcdhReply { host_key: host_blob, server_public: &server_public, signature: &signature }
            .write(&mut reply);
        self.outbound.packet(&reply, &[])?;
        let keys = self.derive(exchange.negotiated, hash, &secret, host_blob, Vec::new())?;
        self.send_newkeys(keys)
    }

    /// Client role: the server's share, host key and signature came.
    pub(super) fn exchange_reply(&mut self, payload: Range<usize>) -> Result<Option<Event>, TransportError> {
        let mut exchange = self.take_exchange()?;
        let (share, client_public) = exchange.client.take().ok_or(NOT_NOW)?;
        let reply = KexEcdhReply::parse(self.inbound.buffer.at(payload))?;
        let secret = share.finish(reply.server_public)?;
        let publics = [&client_public, reply.server_public];
        let hash = self.exchange_hash_of(&exchange, reply.host_key, publics, &secret);
        let algorithm = exchange.negotiated.host_key.name();
        let identity = verify_host_signature(algorithm, reply.host_key, &hash, reply.signature)
            .map_err(TransportError::HostKey)?;
        let first = self.session.is_none();
        if self.session.as_ref().is_some_and(|s| *s.host_blob != *reply.host_key) {
            return Err(TransportError::HostKeyChanged);
        }
        let (host_blob, signature) = (reply.host_key.to_vec(), reply.signature.to_vec());
        let keys = self.derive(exchange.negotiated, hash, &secret, &host_blob, signature)?;
        if first {
            self.state = State::HostKey(Box::new(keys));
            return Ok(Some(Event::HostKey(identity)));
        }
        self.send_newkeys(keys)?;
        Ok(None)
    }

    pub(super) fn host_key_accepted(&mut self) -> Result<(), TransportError> {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::HostKey(keys) => self.send_newkeys(*keys).map_err(|error| self.fail(error)),
            other => {
                self.state = other;
                Err(TransportError::Misuse("no host key waits to be accepted"))
            }
        }
    }

    fn take_exchange(&mut self) -> Result<Box<Exchange>, TransportError> {
        match std::mem::replace(&mut self.state, State::FirstKexInit) {
            State::Exchange(exchange) => Ok(exchange),
            _ => Err(NOT_NOW),
        }
    }

    fn exchange_hash_of(
        &self,
        exchange: &Exchange,
        host_key: &[u8],
        [client_public, server_public]: [&[u8]; 2],
        secret: &SharedSecret,
    ) -> Vec<u8> {
        let ours = ident::identification(self.role.software());
        let (ours, theirs) = (ours.as_bytes(), self.peer_identification().unwrap_or_default());
        let (client, server) = if self.role.is_server() { (theirs, ours) } else { (ours, theirs) };
        ExchangeHashInput {
            client_identification: client,
            server_identification: server,
            client_kexinit: &exchange.client_kexinit,
            server_kexinit: &exchange.server_kexinit,
            host_key,
            client_public,
            server_public,
        }
        .hash(exchange.negotiated.kex, secret)
    }

    /// Makes the keys and notes what the exchange agreed on; the first exchange hash becomes the session id.
    fn derive(
        &mut self,
        negotiated: Negotiated,
        exchange_hash: Vec<u8>,
        secret: &SharedSecret,
        host_blob: &[u8],
        host_signature: Vec<u8>,
    ) -> Result<NewKeys, TransportError> {
        let session_id = self.session_id().unwrap_or(&exchange_hash);
        let derivation =
            KeyDerivation { method: negotiated.kex, secret, exchange_hash: &exchange_hash, session_id };
        let (up, down) = (negotiated.client_to_server, negotiated.server_to_client);
        let up = (up, derivation.client_to_server(up));
        let down = (down, derivation.server_to_client(down));
        let (send, receive) = if self.role.is_server() { (down, up) } else { (up, down) };
        let unusable = |_| TransportError::Crypto("derived keys");
        let keys = NewKeys {
            sealing: SealingKey::new(send.0, &send.1).map_err(unusable)?,
            opening: OpeningKey::new(receive.0, &receive.1).map_err(unusable)?,
        };
        match &mut self.session {
            Some(session) => {
                session.exchange_hash = exchange_hash.into_boxed_slice();
                session.negotiated = negotiated;
                session.host_blob = host_blob.into();
            }
            None => {
                self.session = Some(Box::new(Session {
                    id: exchange_hash.clone().into_boxed_slice(),
                    exchange_hash: exchange_hash.into_boxed_slice(),
                    negotiated,
                    host_blob: host_blob.into(),
                    host_signature: host_signature.into_boxed_slice(),
                    established: false,
                }));
            }
        }
        Ok(keys)
    }

    /// Sends NEWKEYS, then what waited for it: EXT_INFO where asked for, and the queue.
    fn send_newkeys(&mut self, keys: NewKeys) -> Result<(), TransportError> {
        self.outbound.packet(&[SSH_MSG_NEWKEYS], &[])?;
        self.outbound.set_key(keys.sealing, self.peer.strict_kex);
        self.state = State::NewKeys(keys.opening);
        let first = self.session.as_ref().is_none_or(|s| !s.established);
        if let Role::Server(config) = &self.role
            && first
            && self.peer.wants_ext_info
        {
            self.outbound.packet(&extensions::server_ext_info(config), &[])?;
        }
        self.may_send = true;
        let queue = self.queue.take();
        let mut reader = Reader::new(&queue);
        while !reader.is_empty() {
            self.outbound.packet(reader.string("queued payload")?, &[])?;
        }
        Ok(())
    }

    pub(super) fn peer_newkeys(
        &mut self,
        payload: Range<usize>,
        now: Duration,
    ) -> Result<Event, TransportError> {
        if payload.len() != 1 {
            return Err(TransportError::Protocol("NEWKEYS with a body"));
        }
        let State::NewKeys(opening) = std::mem::replace(&mut self.state, State::Open) else {
            return Err(NOT_NOW);
        };
        self.inbound.set_key(opening, self.peer.strict_kex);
        self.clock.keys_since = now;
        self.clock.rekey_due = false;
        self.clock.rekey_started = false;
        self.clock.exchange_since = None;
        let established = self.session.as_mut().map(|s| std::mem::replace(&mut s.established, true));
        Ok(if established == Some(true) { Event::Rekeyed } else { Event::Established })
    }
}

/// The table of accepted messages lets none of these through out of order.
const NOT_NOW: TransportError = TransportError::Misuse("key exchange message out of order");

impl From<KexError> for TransportError {
    fn from(error: KexError) -> Self {
        match error {
            KexError::PeerPublic => Self::KeyExchange,
            KexError::Ours => Self::Crypto("ephemeral key"),
        }
    }
}
