//! When keys have served long enough. Sources: RFC 4253 §9, RFC 4344 §3.
//!
//! Limits only raise [`Transport::wants_rekey`]: the owner of a transport decides when a rekey starts, because the
//! two hops of a relay are not to exchange keys at a time, if it can be helped.

use std::time::Duration;

use super::Transport;
use super::error::TransportError;
use super::exchange::State;

/// After how much use new keys are wanted; whichever comes first, each direction by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RekeyLimits {
    /// Bytes on the wire since the last NEWKEYS.
    pub bytes: u64,
    /// Packets since the last NEWKEYS.
    pub packets: u64,
    /// Time since the last NEWKEYS; `None` for no limit.
    pub after: Option<Duration>,
}

impl Default for RekeyLimits {
    /// 1 GiB, 2^30 packets, one hour.
    fn default() -> Self {
        Self { bytes: GIB, packets: 1 << 30, after: Some(Duration::from_secs(3600)) }
    }
}

const GIB: u64 = 1 << 30;
/// RFC 4344 §3.1 wants new keys before 2^32 packets; sequence numbers of chacha20-poly1305 must not repeat.
const MAX_PACKETS: u64 = 1 << 31;

/// A key exchange after the first may take so long. OpenSSH has no limit; ours is there because a relay reads the other end no
/// more meanwhile, and generous because a laptop may sleep.
const EXCHANGE: Duration = Duration::from_secs(120);

/// Use of one direction's keys.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Traffic {
    bytes: u64,
    packets: u64,
}

impl Traffic {
    pub(super) const fn count(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        self.packets += 1;
    }

    /// Keys that served up to the last packet.
    #[cfg(test)]
    pub(super) const fn worn_out() -> Self {
        Self { bytes: 0, packets: MAX_PACKETS }
    }

    /// New keys are wanted.
    pub(super) const fn exceeds(&self, limits: &RekeyLimits) -> bool {
        self.bytes >= limits.bytes || self.packets >= limits.packets
    }

    /// The keys must not be used any more. The byte bound protects the cipher, not the setting, so
    /// small limits (tests, slow peers with data in flight) never come near it.
    pub(super) fn is_spent(&self, limits: &RekeyLimits) -> bool {
        self.bytes >= limits.bytes.max(GIB).saturating_mul(2) || self.packets >= MAX_PACKETS
    }
}

impl Transport {
    /// True when one direction's keys have served as long as [`RekeyLimits`] says and no exchange runs.
    pub fn wants_rekey(&self) -> bool {
        let limits = self.role.rekey();
        let worn = self.inbound.traffic.exceeds(limits) || self.outbound.traffic.exceeds(limits);
        self.can_start_rekey() && (self.clock.rekey_due || worn)
    }

    /// Starts a key exchange: from now until our NEWKEYS payloads are queued. Does nothing while
    /// an exchange is running, before the first, or after the end.
    ///
    /// In a relay, start one only while both hops [`can_send`](Transport::can_send), so while no exchange runs whoever
    /// started it: what one peer sent before its KEXINIT would have nowhere to go while the other hop exchanges keys.
    /// Rekeys that the peer starts are answered within [`Transport::poll`]. Either must be complete two minutes after it began,
    /// see [`Transport::handle_deadline`].
    ///
    /// # Errors
    /// When there is no randomness; the transport is closed then.
    pub fn start_rekey(&mut self, now: Duration) -> Result<(), TransportError> {
        if self.can_start_rekey() {
            self.send_kexinit().map_err(|error| self.fail(error))?;
            self.clock.rekey_started = true;
            self.clock.exchange_since = Some(now);
        }
        Ok(())
    }

    fn can_start_rekey(&self) -> bool {
        matches!(self.state, State::Open) && self.own_kexinit.is_none()
    }

    /// True from [`Transport::start_rekey`] until [`Incoming::Rekeyed`](super::Incoming::Rekeyed).
    pub const fn rekey_in_progress(&self) -> bool {
        self.clock.rekey_started
    }

    /// When [`Transport::handle_deadline`] wants to be called, if at all.
    pub fn next_deadline(&self) -> Option<Duration> {
        if self.is_closed() {
            return None;
        }
        let overdue = self.clock.exchange_since.map(|since| since.saturating_add(EXCHANGE));
        self.clock.send_kexinit_at.or(overdue).or_else(|| {
            let waiting = self.can_start_rekey() && !self.clock.rekey_due;
            let after = self.role.rekey().after.filter(|_| waiting)?;
            Some(self.clock.keys_since.saturating_add(after))
        })
    }

    /// Does what is due at `now`: sends the KEXINIT that waited for the client's, raises
    /// [`Transport::wants_rekey`], ends the connection when a key exchange after the first takes too long. Calling it
    /// early or too often is harmless.
    ///
    /// # Errors
    /// [`TransportError::ExchangeTooSlow`], and when there is no randomness; the transport is closed then.
    pub fn handle_deadline(&mut self, now: Duration) -> Result<(), TransportError> {
        if self.next_deadline().is_none_or(|deadline| now < deadline) {
            return Ok(());
        }
        if self.clock.send_kexinit_at.is_some() {
            self.send_kexinit().map_err(|error| self.fail(error))
        } else if self.clock.exchange_since.is_some() {
            Err(self.fail(TransportError::ExchangeTooSlow))
        } else {
            self.clock.rekey_due = true;
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_wanted_before_they_are_enforced() {
        let limits = RekeyLimits { bytes: 100, packets: 3, after: None };
        let mut traffic = Traffic::default();
        traffic.count(99);
        assert!(!traffic.exceeds(&limits));
        traffic.count(1);
        assert!(traffic.exceeds(&limits) && !traffic.is_spent(&limits));
        traffic.bytes = 2 * GIB - 1;
        assert!(!traffic.is_spent(&limits));
        traffic.bytes += 1;
        assert!(traffic.is_spent(&limits));
        let packets = Traffic { bytes: 0, packets: MAX_PACKETS };
        assert!(packets.is_spent(&RekeyLimits::default()));
        assert!(Traffic { bytes: 0, packets: 3 }.exceeds(&limits));
    }
}
