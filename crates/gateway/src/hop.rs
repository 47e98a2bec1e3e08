//! One hop: an SSH transport and the byte stream under it.
//!
//! The transport is sans-IO; here its bytes are read and written, with buffers that are lent from the
//! worker's pool only while something is in them. Two ways to drive a hop: [`Hop::next`], a future for the
//! handshake and authentication, and [`Hop::poll_fill`] with [`Hop::poll_flush`] for the relay's own loop.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::OnceLock;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bartizan_ssh::key::HostIdentity;
use bartizan_ssh::transport::{DisconnectReason, Incoming, Transport, TransportError};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use zeroize::Zeroizing;

use crate::buffers;

/// Space offered to one read: large, because system calls are half of a relay's cost.
const READ_BYTES: usize = 128 * 1024;
/// The same for strangers, of whom there may be thousands that each keep a buffer with half a packet.
const READ_BYTES_AT_FIRST: usize = 16 * 1024;

/// The monotonic clock of all transports: time since the process first asked.
pub(crate) fn now() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// The moment of the runtime's clock that is `deadline` on [`now`]'s.
pub(crate) fn at(deadline: Duration) -> tokio::time::Instant {
    tokio::time::Instant::now() + deadline.saturating_sub(now())
}

/// Why a hop ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HopError {
    /// The peer closed the stream without a DISCONNECT.
    #[error("the connection was closed")]
    Closed,
    /// The peer sent a DISCONNECT.
    #[error("the peer disconnected: {} (reason {reason})", bartizan_model::escape(.description))]
    Disconnected {
        /// The reason code (RFC 4253 §11.1).
        reason: u32,
        /// Its words, as they came.
        description: Vec<u8>,
    },
    /// The stream failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The peer broke the protocol, or nothing could be agreed upon.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// What a hop hands over outside the relay, owned.
pub(crate) enum Step {
    /// The server's host key, proven but not yet trusted (client role).
    HostKey(Box<HostIdentity>),
    /// The first key exchange is complete.
    Established,
    /// A payload of the service or authentication layer: perhaps a password.
    Packet(Zeroizing<Vec<u8>>),
}

/// One hop.
pub(crate) struct Hop<S> {
    /// The protocol's state.
    pub(crate) transport: Transport,
    stream: S,
    lent_receive: bool,
    lent_send: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Hop<S> {
    /// Puts a transport on a stream.
    pub(crate) fn new(transport: Transport, stream: S) -> Self {
        Self { transport, stream, lent_receive: false, lent_send: false }
    }

    /// Queues one payload.
    ///
    /// # Errors
    /// When the transport is over or the payload too large.
    pub(crate) fn send(&mut self, payload: &[u8]) -> Result<(), TransportError> {
        self.send_parts(payload, &[])
    }

    /// Queues one payload that stands in two places.
    ///
    /// # Errors
    /// When the transport is over or the payload too large.
    pub(crate) fn send_parts(&mut self, head: &[u8], body: &[u8]) -> Result<(), TransportError> {
        self.lend_send();
        self.transport.send_parts(head, body)
    }

    /// Queues one payload that the peer's own message made us say, see [`Transport::send_reply`].
    ///
    /// # Errors
    /// As [`Self::send`], and when the peer does not read what it asks for.
    pub(crate) fn send_reply(&mut self, payload: &[u8]) -> Result<(), TransportError> {
        self.lend_send();
        self.transport.send_reply(payload)
    }

    fn lend_send(&mut self) {
        if !self.lent_send && self.transport.knows_peer() {
            self.transport.give_send_buffer(buffers::take());
            self.lent_send = true;
        }
    }

    /// Reads once from the stream. `Ready(Ok(()))` means that there may be something to poll.
    ///
    /// # Errors
    /// [`HopError::Closed`] at the end of the stream, or the stream's error.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), HopError>> {
        let known = self.transport.knows_peer();
        if !self.lent_receive && known {
            self.transport.give_receive_buffer(buffers::take());
            self.lent_receive = true;
        }
        let least = if known { READ_BYTES } else { READ_BYTES_AT_FIRST };
        let mut space = ReadBuf::new(self.transport.receive_space(least));
        let polled = Pin::new(&mut self.stream).poll_read(cx, &mut space);
        let n = space.filled().len();
        match polled {
            Poll::Pending => {
                self.reclaim_receive();
                Poll::Pending
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
            Poll::Ready(Ok(())) if n == 0 => Poll::Ready(Err(HopError::Closed)),
            Poll::Ready(Ok(())) => {
                self.transport.received(n);
                Poll::Ready(Ok(()))
            }
        }
    }

    /// Takes the receive buffer back once it is empty.
    fn reclaim_receive(&mut self) {
        if let Some(buffer) = self.transport.take_receive_buffer() {
            buffers::give(buffer);
            self.lent_receive = false;
        }
    }

    /// Writes what waits. `Ready(Ok(()))` means that nothing waits any more.
    ///
    /// # Errors
    /// The stream's error.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), HopError>> {
        while !self.transport.outgoing().is_empty() {
            let n = ready!(Pin::new(&mut self.stream).poll_write(cx, self.transport.outgoing()))?;
            if n == 0 {
                return Poll::Ready(Err(io::Error::from(io::ErrorKind::WriteZero).into()));
            }
            self.transport.sent(n);
        }
        if let Some(buffer) = self.transport.take_send_buffer() {
            buffers::give(buffer);
            self.lent_send = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Waits for the next step, writing what waits meanwhile and keeping the transport's deadlines.
    ///
    /// # Errors
    /// Why the hop ended.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn next(&mut self) -> Result<Step, HopError> {
        loop {
            self.lend_send();
            if let Some(step) = self.step()? {
                return Ok(step);
            }
            let deadline = self.transport.next_deadline();
            let mut timer = pin!(async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(at(deadline)).await,
                    None => std::future::pending().await,
                }
            });
            let due = poll_fn(|cx| {
                if let Poll::Ready(Err(error)) = self.poll_flush(cx) {
                    return Poll::Ready(Err(error));
                }
                if timer.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Ok(true));
                }
                self.poll_fill(cx).map_ok(|()| false)
            })
            .await?;
            if due {
                self.lend_send();
                self.transport.handle_deadline(now())?;
            }
        }
    }

    /// The next step that the bytes received so far give.
    fn step(&mut self) -> Result<Option<Step>, HopError> {
        loop {
            return Ok(match self.transport.poll(now())? {
                None => None,
                Some(Incoming::HostKey(identity)) => Some(Step::HostKey(Box::new(identity))),
                Some(Incoming::Established) => Some(Step::Established),
                Some(Incoming::Packet(payload)) => Some(Step::Packet(payload.to_vec().into())),
                Some(Incoming::Disconnect { reason, description }) => {
                    return Err(HopError::Disconnected { reason, description: description.to_vec() });
                }
                // A peer may send thousands of these at once.
                Some(_) => continue,
            });
        }
    }

    /// Writes everything that waits.
    ///
    /// # Errors
    /// The stream's error.
    pub(crate) async fn flush(&mut self) -> Result<(), HopError> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Says why, and ends the stream; both bounded by `patience`.
    ///
    /// Goes on reading, and throwing away, until the peer closes: a socket closed over unread bytes is reset,
    /// and a reset can take our last words out of the peer's hands.
    pub(crate) async fn disconnect(&mut self, reason: DisconnectReason, text: &str, patience: Duration) {
        self.lend_send();
        self.transport.disconnect(reason, text);
        // The peer may be gone or not reading: the goodbye is a courtesy, the end is not.
        let _ = tokio::time::timeout(patience, async {
            self.flush().await?;
            poll_fn(|cx| Pin::new(&mut self.stream).poll_shutdown(cx)).await?;
            let mut rest = buffers::take();
            while poll_fn(|cx| {
                let mut space = ReadBuf::new(&mut rest);
                Pin::new(&mut self.stream).poll_read(cx, &mut space).map_ok(|()| !space.filled().is_empty())
            })
            .await?
            {}
            buffers::give(rest);
            Ok::<(), HopError>(())
        })
        .await;
    }
}

impl<S> Drop for Hop<S> {
    fn drop(&mut self) {
        for buffer in
            [self.transport.take_receive_buffer(), self.transport.take_send_buffer()].into_iter().flatten()
        {
            buffers::give(buffer);
        }
    }
}

#[cfg(test)]
pub(crate) mod rig;
#[cfg(test)]
mod tests;
