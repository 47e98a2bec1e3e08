//! Incoming packets: which state accepts which message, and what becomes of it.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use super::Transport;
use super::error::TransportError;
use super::exchange::State;
use super::packet::Opened;
use crate::key::HostIdentity;
use crate::wire::transport::*;

/// What [`Transport::poll`] found in the peer's bytes.
///
/// Slices lie in the receive buffer; they end with the next call that takes `&mut`.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Incoming<'a> {
    /// Client role, first exchange only: the server's host key, its signature already verified. Nothing
    /// else happens until [`Transport::accept_host_key`] or [`Transport::disconnect`]. In later
    /// exchanges the same key or certificate is demanded.
    HostKey(HostIdentity),
    /// The first key exchange is complete both ways.
    Established,
    /// A later key exchange is complete both ways.
    Rekeyed,
    /// A payload of a service (messages 5, 6), user authentication or the connection protocol (50 to 191).
    Packet(&'a [u8]),
    /// The answer to [`Transport::ping`], or a PONG that nobody asked for.
    Pong(&'a [u8]),
    /// The peer ended the connection; the transport is closed.
    Disconnect {
        /// The reason code, any number (RFC 4253 §11.1).
        reason: u32,
        /// Text from the peer: escape it wherever it is shown.
        description: &'a [u8],
    },
}

/// [`Incoming`] before its slices are borrowed.
pub(super) enum Event {
    HostKey(HostIdentity),
    Established,
    Rekeyed,
    Packet(Range<usize>),
    Pong(Range<usize>),
    Disconnect { reason: u32, description: Range<usize> },
}

/// The states in which messages come, as the table below tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Identification seen, the first KEXINIT expected.
    FirstKexInit,
    /// INIT or REPLY of the first exchange expected.
    FirstExchange,
    /// The first NEWKEYS expected.
    FirstNewKeys,
    /// Keys in force; perhaps our own KEXINIT is on its way.
    Open,
    /// The peer's KEXINIT seen, INIT or REPLY expected.
    RekeyExchange,
    /// NEWKEYS expected.
    RekeyNewKeys,
}

impl Phase {
    const fn words(self) -> &'static str {
        match self {
            Self::FirstKexInit => "before key exchange",
            Self::FirstExchange => "during the first key exchange",
            Self::FirstNewKeys => "before the first NEWKEYS",
            Self::Open => "outside key exchange",
            Self::RekeyExchange => "during key exchange",
            Self::RekeyNewKeys => "before NEWKEYS",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// What is done with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Disconnect,
    Skip,
    KexInit,
    ExchangeInit,
    ExchangeReply,
    NewKeys,
    ExtInfo,
    Ping,
    Pong,
    Deliver,
    Unimplemented,
    Refuse,
}

/// The list of accepted messages for each state; everything else ends the connection.
///
/// During a key exchange only its own messages and the generic ones come (RFC 4253 §7.1); in the first
/// one under strict KEX not even the generic ones. Without strict KEX, UNIMPLEMENTED there would mean
/// that the peer cannot do the exchange, so it is refused too.
pub(super) const fn action(phase: Phase, number: u8, is_server: bool, strict_kex: bool) -> Action {
    use Phase::*;
    match (phase, number) {
        (_, SSH_MSG_DISCONNECT) => Action::Disconnect,
        (FirstKexInit | FirstExchange | FirstNewKeys, SSH_MSG_IGNORE | SSH_MSG_DEBUG) if !strict_kex => {
            Action::Skip
        }
        (FirstKexInit | Open, SSH_MSG_KEXINIT) => Action::KexInit,
        (FirstExchange | RekeyExchange, SSH_MSG_KEX_ECDH_INIT) if is_server => Action::ExchangeInit,
        (FirstExchange | RekeyExchange, SSH_MSG_KEX_ECDH_REPLY) if !is_server => Action::ExchangeReply,
        (FirstNewKeys | RekeyNewKeys, SSH_MSG_NEWKEYS) => Action::NewKeys,
        (Open | RekeyExchange | RekeyNewKeys, SSH_MSG_IGNORE | SSH_MSG_DEBUG | SSH_MSG_UNIMPLEMENTED) => {
            Action::Skip
        }
        (Open, SSH_MSG_SERVICE_REQUEST) if is_server => Action::Deliver,
        (Open, SSH_MSG_SERVICE_ACCEPT) if !is_server => Action::Deliver,
        (Open, SSH_MSG_EXT_INFO) => Action::ExtInfo,
        (Open, SSH_MSG_PING) => Action::Ping,
        (Open, SSH_MSG_PONG) => Action::Pong,
        (Open, 50..=191) => Action::Deliver,
        (Open, 8..=19 | 22..=29 | 194..) => Action::Unimplemented,
        _ => Action::Refuse,
    }
}

impl Transport {
    /// Works through the received bytes up to the next thing that the caller should know.
    ///
    /// `None`: more bytes are needed (or, in the client role, a decision on the host key). Call it
    /// until `None`, then write [`Transport::outgoing`]: transport messages are answered here.
    ///
    /// # Errors
    /// The transport is closed by every error, and a DISCONNECT that tells the peer little is in the
    /// send buffer. [`TransportError::Closed`] on every call after the end.
    pub fn poll(&mut self, now: Duration) -> Result<Option<Incoming<'_>>, TransportError> {
        match self.next_event(now) {
            Ok(Some(event)) => Ok(Some(self.lend(event))),
            Ok(None) => Ok(None),
            Err(error) => Err(self.fail(error)),
        }
    }

    fn lend(&self, event: Event) -> Incoming<'_> {
        let bytes = |range| self.inbound.buffer.at(range);
        match event {
            Event::HostKey(identity) => Incoming::HostKey(identity),
            Event::Established => Incoming::Established,
            Event::Rekeyed => Incoming::Rekeyed,
            Event::Packet(payload) => Incoming::Packet(bytes(payload)),
            Event::Pong(data) => Incoming::Pong(bytes(data)),
            Event::Disconnect { reason, description } => {
                Incoming::Disconnect { reason, description: bytes(description) }
            }
        }
    }

    fn next_event(&mut self, now: Duration) -> Result<Option<Event>, TransportError> {
        self.inbound.wipe_secret();
        loop {
            match &mut self.state {
                State::Closed => return Err(TransportError::Closed),
                State::HostKey(_) => return Ok(None),
                State::Identification(scanner) => match scanner.scan(&mut self.inbound.buffer)? {
                    Some(line) => self.identified(line, now),
                    None => return Ok(None),
                },
                State::FirstKexInit | State::Exchange(_) | State::NewKeys(_) | State::Open => {
                    let Some(opened) = self.inbound.open()? else { return Ok(None) };
                    if self.inbound.traffic.is_spent(self.role.rekey()) {
                        return Err(TransportError::RekeyOverdue);
                    }
                    if let Some(event) = self.message(opened, now)? {
                        return Ok(Some(event));
                    }
                }
            }
        }
    }

    fn message(&mut self, opened: Opened, now: Duration) -> Result<Option<Event>, TransportError> {
        let Opened { payload, sequence } = opened;
        let number = self.inbound.buffer.at(payload.clone()).first().copied().unwrap_or_default();
        if self.drop_wrong_guess(number) {
            return Ok(None);
        }
        let phase = self.phase();
        self.last_sequence = sequence;
        match action(phase, number, self.role.is_server(), self.peer.strict_kex) {
            Action::Deliver => {
                if matches!(number, 50..=79) {
                    // User authentication: passwords.
                    self.inbound.mark_secret(payload.clone());
                }
                return Ok(Some(Event::Packet(payload)));
            }
            Action::Skip => {}
            Action::KexInit => self.peer_kexinit(payload, sequence, now)?,
            Action::ExchangeInit => self.exchange_init(payload)?,
            Action::ExchangeReply => return self.exchange_reply(payload),
            Action::NewKeys => return self.peer_newkeys(payload, now).map(Some),
            Action::ExtInfo => self.peer_ext_info(payload)?,
            Action::Ping => self.answer_ping(payload)?,
            Action::Pong => return self.pong(payload).map(Some),
            Action::Unimplemented => self.unimplemented()?,
            Action::Disconnect => return Ok(Some(self.peer_disconnect(payload))),
            Action::Refuse => return Err(TransportError::Unexpected { number, during: phase.words() }),
        }
        Ok(None)
    }

    pub(super) fn phase(&self) -> Phase {
        let first = self.session.as_ref().is_none_or(|s| !s.established);
        match (&self.state, first) {
            (State::Exchange(_), true) => Phase::FirstExchange,
            (State::NewKeys(_), true) => Phase::FirstNewKeys,
            (State::Exchange(_), false) => Phase::RekeyExchange,
            (State::NewKeys(_), false) => Phase::RekeyNewKeys,
            (State::Open, _) => Phase::Open,
            // The other states take no messages; the strictest list is the safe answer.
            _ => Phase::FirstKexInit,
        }
    }

    /// A wrongly guessed first packet of the exchange is ignored (RFC 4253 §7).
    fn drop_wrong_guess(&mut self, number: u8) -> bool {
        match &mut self.state {
            State::Exchange(exchange) if matches!(number, 30..=49) => {
                std::mem::take(&mut exchange.drop_guess)
            }
            _ => false,
        }
    }

    fn peer_ext_info(&mut self, payload: Range<usize>) -> Result<(), TransportError> {
        // One after NEWKEYS, one before the end of authentication (RFC 8308 §2.4). OpenSSH counts none; what others say
        // after that is passed over unread.
        if self.peer.ext_infos == 2 {
            return Ok(());
        }
        self.peer.ext_infos += 1;
        let info = ExtInfo::parse(self.inbound.buffer.at(payload))?;
        Ok(self.peer.extensions.learn(info)?)
    }

    fn answer_ping(&mut self, payload: Range<usize>) -> Result<(), TransportError> {
        let mut pong = Vec::new();
        Ping::parse(self.inbound.buffer.at(payload))?.write_pong(&mut pong);
        self.reply(&pong)
    }

    fn pong(&self, payload: Range<usize>) -> Result<Event, TransportError> {
        let data = Ping::parse(self.inbound.buffer.at(payload.clone()))?.data;
        // The data is the last field, so its range ends with the payload.
        Ok(Event::Pong(payload.end - data.len()..payload.end))
    }

    /// A DISCONNECT ends the connection even when it does not parse.
    fn peer_disconnect(&mut self, payload: Range<usize>) -> Event {
        self.close();
        let start = payload.start + 1 + 4 + 4;
        match Disconnect::parse(self.inbound.buffer.at(payload.clone())) {
            Ok(Disconnect { reason, description }) => {
                Event::Disconnect { reason, description: start..start + description.len() }
            }
            Err(_) => Event::Disconnect { reason: 0, description: payload.end..payload.end },
        }
    }
}
