//! Outgoing payloads: sealed at once or queued while an exchange runs, replies to the peer, the end.

use super::error::TransportError;
use super::exchange::State;
use super::{DisconnectReason, MAX_PAYLOAD, Transport};
use crate::wire::transport::{
    Disconnect, Ping, SSH_MSG_SERVICE_ACCEPT, SSH_MSG_SERVICE_REQUEST, Unimplemented,
};
use crate::wire::userauth::SSH_MSG_USERAUTH_SUCCESS;

/// A peer whose messages make us reply is cut off when so many bytes of replies wait for it already.
pub(super) const REPLY_LIMIT: usize = 4 * 1024 * 1024;
/// The same for a client that is not authenticated, of which there may be many.
pub(super) const REPLY_LIMIT_AT_FIRST: usize = 64 * 1024;
/// Longest text of a DISCONNECT.
const MAX_DISCONNECT_TEXT: usize = 1024;

impl Transport {
    /// True when payloads are sealed at once: from our NEWKEYS until our next KEXINIT.
    ///
    /// While false they are queued; a relay then stops reading its other hop, unless that exchanges keys too, so that
    /// the queue stays short.
    pub const fn can_send(&self) -> bool {
        self.may_send
    }

    /// Sends one payload of a service, user authentication or the connection protocol.
    ///
    /// Sealed into the send buffer at once; while [`Transport::can_send`] is false it is queued, in
    /// order, and goes out after NEWKEYS. Neither queue nor send buffer is bounded here: the owner
    /// stops feeding when [`Transport::pending`] is much. What a peer itself makes us say is bounded, see
    /// [`Transport::unread_replies`].
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
        check_carried(head.first().or(body.first()))?;
        self.seal_or_queue(head, body)
    }

    /// Like [`Transport::send`], for what a message of this same peer made the layers above say: it counts among
    /// [`Transport::unread_replies`], so that a peer that asks without reading is bounded.
    ///
    /// # Errors
    /// As `send`, and [`TransportError::PeerNotReading`] when replies pile up.
    pub fn send_reply(&mut self, payload: &[u8]) -> Result<(), TransportError> {
        check_carried(payload.first())?;
        self.reply(payload)
    }

    pub(super) fn seal_or_queue(&mut self, head: &[u8], body: &[u8]) -> Result<(), TransportError> {
        if self.is_closed() {
            return Err(TransportError::Closed);
        }
        if head.first() == Some(&SSH_MSG_USERAUTH_SUCCESS) {
            self.peer.admitted = true;
            self.inbound.admit();
        }
        if self.may_send {
            if self.outbound.traffic.is_spent(self.role.rekey()) {
                return Err(self.fail(TransportError::RekeyOverdue));
            }
            return match self.outbound.packet(head, body) {
                // The keys' state is unknown now.
                Err(error @ TransportError::Crypto(_)) => Err(self.fail(error)),
                result => result,
            };
        }
        let len = head.len().saturating_add(body.len());
        if len > MAX_PAYLOAD {
            return Err(TransportError::Misuse("payload is empty or larger than a packet"));
        }
        self.queue.push(head, body);
        Ok(())
    }

    /// Bytes to write to the peer.
    pub fn outgoing(&self) -> &[u8] {
        self.outbound.buffer.queued()
    }

    /// Bytes that wait for the peer: [`Transport::outgoing`], and payloads that are queued for NEWKEYS.
    pub fn pending(&self) -> usize {
        self.outbound.buffer.len() + self.queue.len()
    }

    /// The first `n` bytes of [`Transport::outgoing`] were written.
    pub fn sent(&mut self, n: usize) {
        self.outbound.buffer.consume(n);
        self.replies = self.replies.min(self.pending());
    }

    /// Bytes of replies, as [`Transport::pending`] counts them, that the peer's own messages made us queue and that
    /// may still wait: PONG, UNIMPLEMENTED, what [`Transport::send_reply`] sent. Never too few; too many only while
    /// something waits all the time, and never more than all that waits.
    ///
    /// Its owner reads no more of a peer for which many wait, while they can be written: until NEWKEYS they cannot. Above
    /// 4 MiB (of a client that is not authenticated, 64 KiB) the next such message ends the connection: its peer asks and
    /// does not read.
    pub const fn unread_replies(&self) -> usize {
        self.replies
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
    pub(super) fn fail(&mut self, error: TransportError) -> TransportError {
        // Who does not speak SSH is not answered in SSH.
        if !matches!(error, TransportError::Identification(_)) {
            self.disconnect(error.reason(), error.text_for_peer());
        }
        self.close();
        error
    }

    pub(super) fn close(&mut self) {
        self.state = State::Closed;
        self.may_send = false;
        drop(self.queue.take());
        self.own_kexinit = None;
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

    /// Sends a PING; the peer's [`Incoming::Pong`](super::Incoming::Pong) brings `data` back.
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
    pub(super) fn reply(&mut self, payload: &[u8]) -> Result<(), TransportError> {
        self.check_peer_reads()?;
        let before = self.pending();
        self.seal_or_queue(payload, &[])?;
        self.replies += self.pending() - before;
        Ok(())
    }

    pub(super) fn check_peer_reads(&mut self) -> Result<(), TransportError> {
        let limit = if self.knows_peer() { REPLY_LIMIT } else { REPLY_LIMIT_AT_FIRST };
        if self.replies > limit { Err(self.fail(TransportError::PeerNotReading)) } else { Ok(()) }
    }
}

const fn check_carried(number: Option<&u8>) -> Result<(), TransportError> {
    match number {
        Some(&(SSH_MSG_SERVICE_REQUEST | SSH_MSG_SERVICE_ACCEPT | 50..)) => Ok(()),
        _ => Err(TransportError::Misuse("not a message for the transport to carry")),
    }
}
