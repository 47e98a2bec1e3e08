//! Between the two hops: reading one end and passing on what it sent, and which of them may be read.
//!
//! Backpressure is here: an end is not read while more than [`HIGH_WATER`] waits for the other end, while the other end
//! exchanges keys, while its request is held, or while it does not read what it is answered in place. One that exchanges
//! keys itself is read whatever the other does, and a good deal more may wait for the other then: messages of a key
//! exchange wait for nothing but what was sent before them.

use std::task::{Context, Poll};
use std::time::Duration;

use bartizan_ssh::connection::relay::{Flow, Output, Relay, RelayError, RelayHost, Side};
use bartizan_ssh::transport::{Incoming, TransportError};
use tokio::io::{AsyncRead, AsyncWrite};

use super::pump::{Stop, stop_of};
use crate::hop::{Hop, HopError};
use crate::mux::{READ, WORK};

/// Bytes in one end's send buffer above which the other end is not read. With one packet more they fit a
/// pooled buffer.
const HIGH_WATER: usize = 240 * 1024;
/// So many bytes more may wait for the other end while an end exchanges keys. What it sent before stands in the way of its
/// half of the exchange, and the other end may be waiting for what this one is not sent until then: both saturated,
/// they would wait for each other for ever. More than this is never on the way from one that means well.
const REKEY_ROOM: usize = 16 * 1024 * 1024;
/// Bytes of answers that wait for an end and come from itself alone, above which it is not read: it does not read either.
/// Far more than the data that may wait for it otherwise, so that two ends that both write before they read go on.
const UNREAD: usize = 1024 * 1024;
/// Bytes in a send buffer that are worth a system call: written before more is read.
const WORTH_WRITING: usize = 96 * 1024;
/// The messages of user authentication (RFC 4252 §6).
const USERAUTH: std::ops::RangeInclusive<u8> = 50..=79;

/// The relay's owner, as far as the pace of reading goes.
pub(super) trait Pace: RelayHost {
    /// The transports' time.
    fn clock(&self) -> Duration;

    /// True when nothing more should be read in this turn.
    fn must_pause(&self) -> bool;
}

/// Sends to either end while neither is borrowed.
pub(super) struct Both<'a, C, T> {
    pub(super) client: &'a mut Hop<C>,
    pub(super) target: &'a mut Hop<T>,
}

impl<C, T> Output for Both<'_, C, T>
where
    C: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    fn to(&mut self, side: Side, payload: &[u8]) {
        self.to_parts(side, payload, &[]);
    }

    fn to_parts(&mut self, side: Side, head: &[u8], body: &[u8]) {
        // A transport that is over keeps its error: the next poll of that hop reports it.
        let _ = match side {
            Side::Client => self.client.send_parts(head, body),
            Side::Target => self.target.send_parts(head, body),
        };
    }
}

/// Sends to one end at once, and keeps what is for the other, whose packet is being read.
struct Onward<'a, T> {
    to: &'a mut Hop<T>,
    side: Side,
    back: &'a mut Vec<Vec<u8>>,
    error: Option<TransportError>,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Output for Onward<'_, T> {
    fn to(&mut self, side: Side, payload: &[u8]) {
        self.to_parts(side, payload, &[]);
    }

    fn to_parts(&mut self, side: Side, head: &[u8], body: &[u8]) {
        if side != self.side {
            return self.back.push([head, body].concat());
        }
        if let Err(error) = self.to.send_parts(head, body) {
            self.error.get_or_insert(error);
        }
    }
}

/// Writes what waits for an end. True when so much waited that the other was not read, and no longer does: then it is to be
/// looked at again, as nothing else will wake us for it.
pub(super) fn relieve<S: AsyncRead + AsyncWrite + Unpin>(
    hop: &mut Hop<S>,
    cx: &mut Context<'_>,
) -> Result<bool, HopError> {
    let much = hop.transport.outgoing().len() >= WORTH_WRITING;
    if let Poll::Ready(Err(error)) = hop.poll_flush(cx) {
        return Err(error);
    }
    Ok(much && hop.transport.outgoing().len() < WORTH_WRITING)
}

/// Starts a key exchange where one is due, while none runs, whoever started it: two at once, each hop would have to keep
/// what the other one's peer sent before its half. True when one was started, which has a deadline to be kept.
pub(super) fn rekey<C, T>(client: &mut Hop<C>, target: &mut Hop<T>, clock: Duration) -> Result<bool, Stop> {
    if exchanges(client) || exchanges(target) {
        return Ok(false);
    }
    if client.transport.wants_rekey() {
        client.transport.start_rekey(clock).map_err(|error| Stop::Client(error.into()))?;
        return Ok(true);
    }
    if target.transport.wants_rekey() {
        target.transport.start_rekey(clock).map_err(|error| Stop::Target(error.into()))?;
        return Ok(true);
    }
    Ok(false)
}

/// True while a hop exchanges keys: its peer then sends no more payloads than are on the way.
const fn exchanges<S>(hop: &Hop<S>) -> bool {
    hop.transport.rekey_in_progress() || !hop.transport.can_send()
}

/// Whether `from` may be read for `to`: there is room for what it sends, and it takes what it is answered. While it
/// exchanges keys, answers wait for that and not for it to read; the transport bounds them then.
fn may_read<F, T>(from: &Hop<F>, to: &Hop<T>) -> bool {
    if exchanges(from) {
        return to.transport.pending() < HIGH_WATER + REKEY_ROOM;
    }
    to.transport.can_send() && to.transport.pending() < HIGH_WATER && from.transport.unread_replies() < UNREAD
}

/// Reads `from` and passes on what it sent.
pub(super) fn carry<F, T>(
    side: Side,
    from: &mut Hop<F>,
    to: &mut Hop<T>,
    relay: &mut Relay,
    host: &mut impl Pace,
    back: &mut Vec<Vec<u8>>,
    cx: &mut Context<'_>,
) -> Result<bool, Stop>
where
    F: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    let (mut moved, mut work) = (false, 0);
    while may_read(from, to) && !relay.is_held(side) {
        work += 1;
        let write_first = to.transport.outgoing().len() >= WORTH_WRITING && !exchanges(from);
        match from.transport.poll(host.clock()).map_err(|error| lost(side, error.into()))? {
            // After success they are ignored without a word (RFC 4252 §5.1).
            Some(Incoming::Packet([number, ..])) if side == Side::Client && USERAUTH.contains(number) => {}
            Some(Incoming::Packet(payload)) => {
                let mut out = Onward { to, side: side.other(), back, error: None };
                let flow = relay.on_packet(side, payload, host, &mut out);
                if let Some(error) = out.error {
                    return Err(lost(side.other(), error.into()));
                }
                match flow {
                    Ok(Flow::Continue | Flow::Held) => {}
                    Err(RelayError::Unimplemented { .. }) => {
                        from.transport.unimplemented().map_err(|error| lost(side, error.into()))?;
                    }
                    Err(error) => return Err(stop_of(error)),
                }
                for payload in back.drain(..) {
                    from.send_reply(&payload).map_err(|error| lost(side, error.into()))?;
                }
                moved = true;
            }
            Some(Incoming::Disconnect { reason, description }) => {
                return Err(lost(side, HopError::Disconnected { reason, description: description.to_vec() }));
            }
            Some(_) => moved = true,
            None if write_first => break,
            None => match from.poll_fill(cx) {
                Poll::Ready(Ok(())) => (moved, work) = (true, work + READ),
                Poll::Ready(Err(error)) => return Err(lost(side, error)),
                Poll::Pending => break,
            },
        }
        if host.must_pause() || work >= WORK {
            break;
        }
    }
    // What is left of the bytes that were read wakes nobody.
    Ok(moved || work >= WORK)
}

fn lost(side: Side, error: HopError) -> Stop {
    match side {
        Side::Client => Stop::Client(error),
        Side::Target => Stop::Target(error),
    }
}

#[cfg(test)]
mod tests;
