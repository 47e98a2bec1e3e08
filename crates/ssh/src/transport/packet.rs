//! The binary packet protocol (RFC 4253 §6): framing, padding, limits, sequence numbers.
//!
//! Incoming packets are opened inside the receive buffer and handed out as a range of it;
//! outgoing payloads are copied once, into the send buffer, and sealed there. No allocation per
//! packet. What a message means is not known here.

use std::ops::Range;

use aws_lc_rs::rand;

use super::buffer::Buffer;
use super::cipher::{Framing, OpeningKey, SealingKey};
use super::error::TransportError;
use super::rekey::Traffic;

/// The largest `packet_length` accepted and sent once keys are in force; OpenSSH's limit too.
pub const MAX_PACKET_LENGTH: usize = 256 * 1024;
/// The largest payload that can be sent; whatever fits into a peer's packet fits into ours.
pub const MAX_PAYLOAD: usize = MAX_PACKET_LENGTH - 1 - MIN_PADDING;
/// The limit for a client that is not authenticated, of which there may be many: what one has to say fits.
const MAX_PACKET_LENGTH_AT_FIRST: usize = 80 * 1024;
/// The limit before the first keys, when anybody can send: RFC 4253 §6.1 asks for 35,000.
const MAX_CLEAR_PACKET_LENGTH: usize = 64 * 1024;
const MIN_PADDING: usize = 4;
/// `padding_length`, one byte of payload, the least padding.
const MIN_PACKET_LENGTH: usize = 1 + 1 + MIN_PADDING;
const LENGTH_FIELD: usize = 4;
const MAX_TAG: usize = 64;
/// Random bytes drawn at once for padding; one draw costs as much as sealing 1 KiB.
const PADDING_POOL: usize = 128;

/// A packet that was opened: where its payload lies in the receive buffer.
pub(super) struct Opened {
    pub(super) payload: Range<usize>,
    pub(super) sequence: u32,
}

/// The receiving direction.
pub(super) struct Inbound {
    pub(super) buffer: Buffer,
    key: OpeningKey,
    sequence: u32,
    /// The largest `packet_length` accepted.
    limit: usize,
    /// `packet_length` of the packet at the front of the buffer, once known.
    length: Option<usize>,
    /// A payload that was handed out and must not stay in the buffer.
    secret: Option<Range<usize>>,
    pub(super) traffic: Traffic,
}

impl Inbound {
    /// For packets of a peer that is known, or of a stranger until [`Self::admit`].
    pub(super) fn new(stranger: bool) -> Self {
        Self {
            buffer: Buffer::default(),
            key: OpeningKey::Clear,
            sequence: 0,
            limit: if stranger { MAX_PACKET_LENGTH_AT_FIRST } else { MAX_PACKET_LENGTH },
            length: None,
            secret: None,
            traffic: Traffic::default(),
        }
    }

    /// Accepts packets of every size from here on.
    pub(super) const fn admit(&mut self) {
        self.limit = MAX_PACKET_LENGTH;
    }

    /// The buffer does not grow beyond one packet of the largest size, unless asked to.
    pub(super) fn space(&mut self, at_least: usize) -> &mut [u8] {
        self.wipe_secret();
        let most = LENGTH_FIELD + self.limit + MAX_TAG;
        self.buffer.space(at_least.max(1), at_least.max(most))
    }

    /// Remembers to wipe a payload before the buffer is used or given away again.
    pub(super) fn mark_secret(&mut self, payload: Range<usize>) {
        self.secret = Some(payload);
    }

    pub(super) fn wipe_secret(&mut self) {
        if let Some(range) = self.secret.take() {
            self.buffer.wipe(range);
        }
    }

    /// Uses new keys for all packets from here on, after the peer's NEWKEYS.
    pub(super) fn set_key(&mut self, key: OpeningKey, reset_sequence: bool) {
        self.key = key;
        self.traffic = Traffic::default();
        if reset_sequence {
            self.sequence = 0;
        }
    }

    /// Opens the packet at the front of the buffer; `None` while it is incomplete.
    pub(super) fn open(&mut self) -> Result<Option<Opened>, TransportError> {
        let framing = self.key.framing();
        let Some(length) = self.length(framing)? else { return Ok(None) };
        let total = LENGTH_FIELD + length + framing.tag;
        let start = self.buffer.start();
        let Some(packet) = self.buffer.queued_mut().get_mut(..total) else { return Ok(None) };
        self.key.open(self.sequence, packet).map_err(|_| TransportError::CorruptPacket)?;

        let padding = usize::from(packet[LENGTH_FIELD]);
        let payload = length.checked_sub(1 + padding).filter(|&n| n > 0 && padding >= MIN_PADDING);
        let payload = payload.ok_or_else(|| self.bad_frame("padding length"))?;
        let payload_start = start + LENGTH_FIELD + 1;
        let opened = Opened { payload: payload_start..payload_start + payload, sequence: self.sequence };
        self.buffer.consume(total);
        self.length = None;
        self.sequence = self.sequence.wrapping_add(1);
        self.traffic.count(total);
        Ok(Some(opened))
    }

    fn length(&mut self, framing: Framing) -> Result<Option<usize>, TransportError> {
        if self.length.is_some() {
            return Ok(self.length);
        }
        let packet = self.buffer.queued_mut();
        let length = self.key.packet_length(self.sequence, packet);
        let Some(length) = length.map_err(|_| TransportError::CorruptPacket)? else { return Ok(None) };
        let length = length as usize;
        let limit = if self.key.is_clear() { MAX_CLEAR_PACKET_LENGTH } else { self.limit };
        let counted = if framing.length_counts { LENGTH_FIELD } else { 0 };
        if !(MIN_PACKET_LENGTH..=limit).contains(&length) || !(length + counted).is_multiple_of(framing.block)
        {
            return Err(self.bad_frame("packet length"));
        }
        self.length = Some(length);
        Ok(self.length)
    }

    /// Once keys are in force a bad frame and a bad tag look the same to the peer.
    const fn bad_frame(&self, what: &'static str) -> TransportError {
        if self.key.is_clear() { TransportError::Protocol(what) } else { TransportError::CorruptPacket }
    }
}

/// The sending direction.
pub(super) struct Outbound {
    pub(super) buffer: Buffer,
    key: SealingKey,
    sequence: u32,
    pub(super) traffic: Traffic,
    padding: [u8; PADDING_POOL],
    padding_left: usize,
}

impl Outbound {
    pub(super) fn new() -> Self {
        Self {
            buffer: Buffer::default(),
            key: SealingKey::Clear,
            sequence: 0,
            traffic: Traffic::default(),
            padding: [0; PADDING_POOL],
            padding_left: 0,
        }
    }

    /// Uses new keys for all packets from here on, after our NEWKEYS.
    pub(super) fn set_key(&mut self, key: SealingKey, reset_sequence: bool) {
        self.key = key;
        self.traffic = Traffic::default();
        if reset_sequence {
            self.sequence = 0;
        }
    }

    /// Queues bytes that are not a packet (the identification).
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.buffer.space(bytes.len(), usize::MAX)[..bytes.len()].copy_from_slice(bytes);
        self.buffer.commit(bytes.len());
    }

    /// Seals one packet whose payload is `head` followed by `body`.
    pub(super) fn packet(&mut self, head: &[u8], body: &[u8]) -> Result<(), TransportError> {
        let payload = head.len().saturating_add(body.len());
        if payload == 0 || payload > MAX_PAYLOAD {
            return Err(TransportError::Misuse("payload is empty or larger than a packet"));
        }
        let framing = self.key.framing();
        let counted = if framing.length_counts { LENGTH_FIELD } else { 0 };
        let least = counted + 1 + payload + MIN_PADDING;
        let length = least.next_multiple_of(framing.block) - counted;
        let padding = length - 1 - payload;
        let total = LENGTH_FIELD + length + framing.tag;
        self.fill_padding_pool(padding)?;

        let packet = &mut self.buffer.space(total, usize::MAX)[..total];
        packet[..LENGTH_FIELD].copy_from_slice(&(length as u32).to_be_bytes());
        packet[LENGTH_FIELD] = padding as u8;
        let rest = &mut packet[LENGTH_FIELD + 1..];
        rest[..head.len()].copy_from_slice(head);
        rest[head.len()..payload].copy_from_slice(body);
        self.padding_left -= padding;
        rest[payload..payload + padding]
            .copy_from_slice(&self.padding[self.padding_left..self.padding_left + padding]);
        self.key.seal(self.sequence, packet).map_err(|_| TransportError::Crypto("sealing a packet"))?;
        self.buffer.commit(total);
        self.sequence = self.sequence.wrapping_add(1);
        self.traffic.count(total);
        Ok(())
    }

    fn fill_padding_pool(&mut self, needed: usize) -> Result<(), TransportError> {
        if self.padding_left < needed {
            rand::fill(&mut self.padding).map_err(|_| TransportError::Crypto("random padding"))?;
            self.padding_left = PADDING_POOL;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receive(inbound: &mut Inbound, bytes: &[u8]) {
        inbound.space(bytes.len())[..bytes.len()].copy_from_slice(bytes);
        inbound.buffer.commit(bytes.len());
    }

    #[test]
    fn clear_packets_round_trip_at_every_size_around_a_block() {
        let (mut outbound, mut inbound) = (Outbound::new(), Inbound::new(false));
        for len in (1..70).chain([32_768, 35_000]) {
            let payload = vec![len as u8; len];
            outbound.packet(&payload[..len / 2], &payload[len / 2..]).unwrap();
            assert_eq!(outbound.buffer.len() % 8, 0);
            receive(&mut inbound, outbound.buffer.queued());
            outbound.buffer.consume(usize::MAX);
            let opened = inbound.open().unwrap().unwrap();
            assert_eq!(inbound.buffer.at(opened.payload), payload);
        }
    }

    #[test]
    fn lengths_that_cannot_be_are_refused_from_four_bytes() {
        for length in [0u32, 1, 5, 6, 11, 35_000, 65_540, 262_144, 0x7fff_ffff, u32::MAX] {
            let mut inbound = Inbound::new(false);
            receive(&mut inbound, &length.to_be_bytes());
            assert!(matches!(inbound.open(), Err(TransportError::Protocol("packet length"))), "{length}");
        }
        for length in [12u32, 34_996, 65_532] {
            let mut inbound = Inbound::new(false);
            receive(&mut inbound, &length.to_be_bytes());
            assert!(inbound.open().unwrap().is_none(), "{length}");
            // A length alone costs nothing: the buffer follows the bytes that arrive.
            assert!(inbound.buffer.allocated() < 16);
        }
    }

    #[test]
    fn padding_beyond_the_packet_or_below_four_is_refused() {
        for padding in [0u8, 1, 3, 11, 12, 255] {
            let mut packet = 12u32.to_be_bytes().to_vec();
            packet.push(padding);
            packet.resize(16, 0);
            let mut inbound = Inbound::new(false);
            receive(&mut inbound, &packet);
            assert!(matches!(inbound.open(), Err(TransportError::Protocol("padding length"))), "{padding}");
        }
    }

    #[test]
    fn payloads_that_fit_no_packet_are_our_mistake() {
        let mut outbound = Outbound::new();
        assert!(matches!(outbound.packet(&[], &[]), Err(TransportError::Misuse(_))));
        assert!(matches!(outbound.packet(&[1], &vec![0; MAX_PAYLOAD]), Err(TransportError::Misuse(_))));
        assert!(outbound.packet(&[1], &vec![0; MAX_PAYLOAD - 1]).is_ok());
    }

    #[test]
    fn padding_differs_from_packet_to_packet() {
        let mut outbound = Outbound::new();
        outbound.packet(&[1; 4], &[]).unwrap();
        outbound.packet(&[1; 4], &[]).unwrap();
        let (first, second) = outbound.buffer.queued().split_at(outbound.buffer.len() / 2);
        assert_eq!(first[..9], second[..9]);
        assert_ne!(first, second);
    }
}
