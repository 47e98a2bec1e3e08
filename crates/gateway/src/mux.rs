//! A connection whose channels end here: moves bytes between channels and the tasks that serve them.
//!
//! ```text
//!   peer ◄──► Hop ◄──► Endpoint ◄──► Channels (one pair of pipes for each channel) ◄──► tasks
//!                          └──────── everything else ─► MuxHost::on_event
//! ```
//!
//! Used by a person's own connection (we are the server) and by the console's `ssh` (we are the client). Memory
//! is bounded by the windows announced towards the tasks, and by [`HIGH_WATER`] towards the peer; a task that does
//! not read stops its own channel and no other.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bartizan_ssh::connection::endpoint::{Endpoint, EndpointConfig, EndpointEvent};
use bartizan_ssh::connection::{ChannelKey, ConnectionError, DataKind};
use bartizan_ssh::transport::Incoming;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Sleep, sleep_until};

use crate::hop::{Hop, HopError, at, now};
use crate::pipe::{InnerEnd, OuterEnd, pipe};

/// Bytes waiting for the peer above which the tasks must wait.
const HIGH_WATER: usize = 128 * 1024;
/// Bytes waiting for the peer above which its messages are not read: it does not read our answers. Those that wait for
/// new keys are no reason, since what the peer says of them must be read; the transport bounds them.
const STALLED: usize = 1024 * 1024;
/// So much work ends a turn, in packets that are handed over: other connections wait for the same thread.
pub(crate) const WORK: usize = 2000;
/// The work of a read, which may be full of packets that the transport passes over.
pub(crate) const READ: usize = 800;
/// Turns before other connections of the worker get theirs.
const TURNS: usize = 16;

/// What the owner of the channels decides.
pub(crate) trait MuxHost {
    /// Why the owner ends the connection.
    type End;

    /// Reacts to what the peer did, except for what concerns attached channels' bytes.
    ///
    /// # Errors
    /// When the connection must end.
    fn on_event(&mut self, event: EndpointEvent<'_>, channels: &mut Channels) -> Result<(), Self::End>;

    /// Does what waits on our side; true when something was done.
    ///
    /// # Errors
    /// When the connection must end.
    fn poll_own(&mut self, channels: &mut Channels, cx: &mut Context<'_>) -> Result<bool, Self::End>;
}

/// Why a connection ended.
#[derive(Debug)]
pub(crate) enum MuxEnd<E> {
    /// The peer is gone.
    Hop(HopError),
    /// The peer broke the connection protocol.
    Violation(ConnectionError),
    /// The owner ended it.
    Host(E),
}

impl<E> From<HopError> for MuxEnd<E> {
    fn from(error: HopError) -> Self {
        Self::Hop(error)
    }
}

/// The task's ends of a channel.
pub(crate) struct Streams {
    /// The channel's data, both ways.
    pub(crate) main: InnerEnd,
    /// Its standard error: written by the side that serves, read by the one that asked.
    pub(crate) error: InnerEnd,
    /// The exit status to report when both are dropped.
    pub(crate) exit: Rc<Cell<Option<u32>>>,
}

struct Attached {
    main: OuterEnd,
    error: Option<OuterEnd>,
    exit: Rc<Cell<Option<u32>>>,
}

impl Attached {
    fn ends(&self) -> impl Iterator<Item = (DataKind, &OuterEnd)> {
        let error = self.error.iter().map(|error| (DataKind::STDERR, error));
        [(DataKind::Data, &self.main)].into_iter().chain(error)
    }
}

/// The channels of a connection and what is attached to them.
pub(crate) struct Channels {
    pub(crate) endpoint: Endpoint,
    /// Messages to the peer, nearly all of them answers, sent before anything more is read.
    pub(crate) out: Vec<Vec<u8>>,
    attached: BTreeMap<ChannelKey, Attached>,
}

impl Channels {
    /// Attaches one stream to a channel: its data both ways.
    pub(crate) fn attach(&mut self, channel: ChannelKey) -> InnerEnd {
        let (main, inner) = pipe();
        self.attached.insert(channel, Attached { main, error: None, exit: Rc::default() });
        inner
    }

    /// Attaches streams to a session channel: its data, and standard error besides.
    pub(crate) fn attach_session(&mut self, channel: ChannelKey) -> Streams {
        let ((outer_main, main), (outer_error, error)) = (pipe(), pipe());
        let exit = Rc::new(Cell::new(None));
        let attached = Attached { main: outer_main, error: Some(outer_error), exit: exit.clone() };
        self.attached.insert(channel, attached);
        Streams { main, error, exit }
    }

    /// Takes what concerns bytes of channels; gives back what does not.
    fn absorb<'a>(&mut self, event: EndpointEvent<'a>) -> Option<EndpointEvent<'a>> {
        match event {
            EndpointEvent::Data { channel, kind, bytes } => match self.attached.get(&channel) {
                Some(Attached { error: Some(error), .. }) if kind == DataKind::STDERR => error.push(bytes),
                Some(Attached { main, .. }) => main.push(bytes),
                // A channel that is gone needs no credit.
                None => drop(self.endpoint.consumed(channel, bytes.len(), &mut self.out)),
            },
            EndpointEvent::Eof { channel } => {
                if let Some(attached) = self.attached.get(&channel) {
                    attached.ends().for_each(|(_, end)| end.finish());
                }
            }
            EndpointEvent::Closed { channel } => {
                self.attached.remove(&channel);
                return Some(event);
            }
            other => return Some(other),
        }
        None
    }
}

/// A connection whose channels end here.
pub(crate) struct Mux<S, H> {
    pub(crate) hop: Hop<S>,
    pub(crate) host: H,
    pub(crate) channels: Channels,
    timer: Option<(Duration, Pin<Box<Sleep>>)>,
}

impl<S: AsyncRead + AsyncWrite + Unpin, H: MuxHost> Mux<S, H> {
    /// Serves an authenticated connection.
    pub(crate) fn new(hop: Hop<S>, config: EndpointConfig, host: H) -> Self {
        let channels =
            Channels { endpoint: Endpoint::new(config), out: Vec::new(), attached: BTreeMap::new() };
        Self { hop, host, channels, timer: None }
    }

    /// Detaches every task: their reads end, their writes fail.
    pub(crate) fn detach(&mut self) {
        self.channels.attached.clear();
    }

    /// Runs until the connection ends.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<MuxEnd<H::End>> {
        for _ in 0..TURNS {
            match self.turn(cx) {
                Ok(true) => {}
                Ok(false) => return Poll::Pending,
                Err(end) => return Poll::Ready(end),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Result<bool, MuxEnd<H::End>> {
        self.keep_time(cx)?;
        let mut moved = self.read(cx)?;
        moved |= self.host.poll_own(&mut self.channels, cx).map_err(MuxEnd::Host)?;
        self.send_answers()?;
        moved |= self.exchange(cx)?;
        if self.hop.transport.wants_rekey() {
            self.hop.transport.start_rekey(now()).map_err(HopError::from)?;
            // It has a deadline to be kept.
            moved = true;
        }
        let full = self.hop.transport.outgoing().len() >= HIGH_WATER;
        if let Poll::Ready(Err(error)) = self.hop.poll_flush(cx) {
            return Err(error.into());
        }
        // What the tasks could not send then is sent now: nothing else will wake us for it.
        Ok(moved || full && self.hop.transport.outgoing().len() < HIGH_WATER)
    }

    /// Reads what the peer sent, until nothing more comes, it does not take our answers or it has had its turn.
    fn read(&mut self, cx: &mut Context<'_>) -> Result<bool, MuxEnd<H::End>> {
        let (mut moved, mut work, time) = (false, 0, now());
        while self.hop.transport.outgoing().len() < STALLED && work < WORK {
            work += 1;
            match self.hop.transport.poll(time).map_err(HopError::from)? {
                Some(Incoming::Packet(payload)) => {
                    let event = match self.channels.endpoint.on_packet(payload, &mut self.channels.out) {
                        Ok(event) => event.and_then(|event| self.channels.absorb(event)),
                        Err(ConnectionError::Unimplemented(_)) => {
                            self.hop.transport.unimplemented().map_err(HopError::from)?;
                            continue;
                        }
                        Err(error) => return Err(MuxEnd::Violation(error)),
                    };
                    if let Some(event) = event {
                        self.host.on_event(event, &mut self.channels).map_err(MuxEnd::Host)?;
                    }
                }
                Some(Incoming::Disconnect { reason, description }) => {
                    return Err(HopError::Disconnected { reason, description: description.to_vec() }.into());
                }
                Some(_) => continue,
                None => match self.hop.poll_fill(cx) {
                    Poll::Ready(Ok(())) => {
                        (moved, work) = (true, work + READ);
                        continue;
                    }
                    Poll::Ready(Err(error)) => return Err(error.into()),
                    Poll::Pending => break,
                },
            }
            moved = true;
            self.send_answers()?;
        }
        // What is left of the bytes that were read wakes nobody.
        Ok(moved || work >= WORK)
    }

    fn send_answers(&mut self) -> Result<(), HopError> {
        for payload in self.channels.out.drain(..) {
            self.hop.send_reply(&payload)?;
        }
        Ok(())
    }

    /// Moves bytes between the peer and the tasks.
    fn exchange(&mut self, cx: &mut Context<'_>) -> Result<bool, HopError> {
        let (mut moved, mut error) = (false, None);
        let Self { hop, channels, .. } = self;
        let Channels { endpoint, attached, .. } = channels;
        attached.retain(|&channel, streams| {
            let room = hop.transport.can_send() && hop.transport.outgoing().len() < HIGH_WATER;
            let mut sink = |head: &[u8], body: &[u8]| {
                if let Err(failed) = hop.send_parts(head, body) {
                    error.get_or_insert(failed);
                }
            };
            // Calls on a channel that the peer has closed change nothing.
            for (kind, end) in streams.ends() {
                end.register(cx);
                let consumed = end.take_consumed();
                if consumed > 0 {
                    let _ = endpoint.consumed(channel, consumed, &mut sink);
                }
                if room {
                    end.drain(|bytes| {
                        let taken = endpoint.data(channel, kind, bytes, &mut sink).unwrap_or(bytes.len());
                        moved |= taken > 0;
                        taken
                    });
                }
            }
            if !streams.ends().all(|(_, end)| end.is_finished()) {
                return true;
            }
            let over = streams.ends().all(|(_, end)| end.is_over());
            if over && let Some(status) = streams.exit.take() {
                let _ = endpoint.exit_status(channel, status, &mut sink);
            }
            let _ = endpoint.eof(channel, &mut sink);
            if over {
                let _ = endpoint.close(channel, &mut sink);
            }
            !over
        });
        error.map_or(Ok(moved), |error| Err(error.into()))
    }

    fn keep_time(&mut self, cx: &mut Context<'_>) -> Result<(), HopError> {
        let Some(deadline) = self.hop.transport.next_deadline() else { return Ok(()) };
        if self.timer.as_ref().is_none_or(|(when, _)| *when != deadline) {
            self.timer = Some((deadline, Box::pin(sleep_until(at(deadline)))));
        }
        if let Some((_, timer)) = &mut self.timer
            && timer.as_mut().poll(cx).is_ready()
        {
            self.timer = None;
            self.hop.transport.handle_deadline(now())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
