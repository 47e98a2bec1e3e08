//! The relay's loop: one client, one target, everything that passes between them.
//!
//! One hand-written poll, because both hops, the recorder's room and a held request must be looked at together
//! and in order. Neither end is read while the recorder has no room; when one must wait for the other, [`carry`] knows.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bartizan_audit::{LogError, Pending};
use bartizan_record::{Answer, ChannelDigests, RecordError, SessionRecorder};
use bartizan_ssh::connection::ConnectionError;
use bartizan_ssh::connection::relay::{
    DataKind, GlobalVerdict, OpenVerdict, Relay, RelayError, RequestVerdict, Side,
};
use bartizan_ssh::wire::connection::{GlobalRequest, GlobalRequestType, HostKeyBlobs};
use bartizan_ssh::wire::{Reader, Writer as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep_until};

use super::carry::{Both, Pace as _, carry, rekey, relieve};
use super::host::{Closing, Failure, HeldMessage, Host};
use super::judge::Denied;
use crate::hop::{Hop, HopError, at, now};

/// Turns before other connections of the worker get theirs.
const TURNS: usize = 16;
/// While the audit log has more waiting than it likes, a session looks again after so long.
const CONGESTION_PAUSE: Duration = Duration::from_millis(5);

/// Why a relay stopped.
#[derive(Debug)]
pub(super) enum Stop {
    /// The client's connection ended.
    Client(HopError),
    /// The target's connection ended.
    Target(HopError),
    /// One end broke the connection protocol.
    Violation(Side, ConnectionError),
    /// Something of ours failed.
    Failure(Failure),
    /// Policy permits the session no longer.
    Revoked(Denied),
    /// An operator ended it, for this reason.
    Terminated(String),
    /// Nothing passed for so long.
    Idle(Duration),
    /// The server stops.
    Stopping,
    /// A fault of ours in driving the relay.
    Internal(&'static str),
}

/// Both hops of a session and what stands between them.
pub(super) struct Pump<S> {
    pub(super) client: Hop<S>,
    pub(super) target: Hop<TcpStream>,
    pub(super) relay: Relay,
    pub(super) host: Host,
    /// Payloads for the end that is being read, which is borrowed meanwhile.
    back: Vec<Vec<u8>>,
    room: Option<Pin<Box<dyn Future<Output = ()>>>>,
    timer: Option<Pin<Box<Sleep>>>,
    timer_at: Duration,
    /// Channels that are over and whose digests the recorder still owes.
    closing: Vec<(Closing, Answer<ChannelDigests>)>,
    greeting: Option<String>,
    /// Nothing is read until this event is durable.
    before_more: Option<Pending>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Pump<S> {
    pub(super) fn new(
        client: Hop<S>,
        target: Hop<TcpStream>,
        relay: Relay,
        host: Host,
        greeting: Option<String>,
    ) -> Self {
        Self {
            client,
            target,
            relay,
            host,
            back: Vec::new(),
            room: None,
            timer: None,
            timer_at: Duration::MAX,
            closing: Vec::new(),
            greeting,
            before_more: None,
        }
    }

    /// Tells the client which host keys are ours, where there is more than the one it has seen.
    pub(super) fn announce_host_keys(&mut self) {
        let mut wire = Vec::new();
        for blob in self.host.host_keys.blobs() {
            wire.put_string(&blob);
        }
        let Ok(blobs) = HostKeyBlobs::parse(Reader::new(&wire)) else { return };
        let request = GlobalRequest { want_reply: false, request_type: GlobalRequestType::HostKeys(blobs) };
        let mut out = Both { client: &mut self.client, target: &mut self.target };
        // Nothing can pile up without a reply; a client that does not know the request ignores it.
        let _ = self.relay.send_global_request(Side::Client, &request, &mut out);
    }

    /// Runs until something ends the session.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Stop> {
        self.host.rested();
        for _ in 0..TURNS {
            self.host.tick();
            match self.turn(cx) {
                Ok(true) if self.host.must_rest() => break,
                Ok(true) => {}
                Ok(false) => return Poll::Pending,
                Err(stop) => return Poll::Ready(stop),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// One look at everything. `Ok(true)` when something moved and more may.
    fn turn(&mut self, cx: &mut Context<'_>) -> Result<bool, Stop> {
        self.keep_time(cx)?;
        let mut moved = self.settle_held(cx)?;
        if let Poll::Ready(Err(error)) = self.host.poll_receipts(cx) {
            return Err(Stop::Failure(error.into()));
        }
        if self.may_read(cx).map_err(|error| Stop::Failure(error.into()))? {
            moved |= self.carry(Side::Client, cx)?;
            moved |= self.carry(Side::Target, cx)?;
        }
        self.greet();
        self.follow_closing(cx)?;
        moved |= rekey(&mut self.client, &mut self.target, self.host.clock())?;
        moved |= relieve(&mut self.client, cx).map_err(Stop::Client)?;
        moved |= relieve(&mut self.target, cx).map_err(Stop::Target)?;
        match self.host.failure.take() {
            Some(failure) => Err(Stop::Failure(failure)),
            None => Ok(moved),
        }
    }

    /// Lets the session go on although nothing of it is kept any more, if it may, and tells people at terminals.
    ///
    /// # Errors
    /// When it must end.
    pub(super) fn goes_on_unrecorded(&mut self, error: RecordError) -> Result<(), Stop> {
        self.before_more = Some(self.host.goes_on_unrecorded(error).map_err(Stop::Failure)?);
        let Self { client, target, relay, host, .. } = self;
        host.refuse_held(relay, &mut Both { client, target }).map_err(stop_of)?;
        self.tell(
            "bartizan: this session cannot be recorded any more (disk full or failing). It goes on by a break-glass \
             grant; what it does is logged, and operators are told.",
        );
        Ok(())
    }

    /// True unless what passes could not be recorded or logged fast enough.
    fn may_read(&mut self, cx: &mut Context<'_>) -> Result<bool, LogError> {
        if let Some(event) = &mut self.before_more {
            match Pin::new(event).poll(cx) {
                Poll::Pending => return Ok(false),
                Poll::Ready(receipt) => drop(receipt?),
            }
            self.before_more = None;
        }
        if !self.host.recorder.has_room() {
            let recorder: Rc<SessionRecorder> = self.host.recorder.clone();
            let room = self.room.get_or_insert_with(|| Box::pin(async move { recorder.room().await }));
            if room.as_mut().poll(cx).is_pending() {
                return Ok(false);
            }
            self.room = None;
        }
        if self.host.congested() {
            self.wake_at(now() + CONGESTION_PAUSE, cx);
            return Ok(false);
        }
        Ok(true)
    }

    /// Reads one end and passes on what it sent, until nothing more comes or the other end has enough.
    fn carry(&mut self, from: Side, cx: &mut Context<'_>) -> Result<bool, Stop> {
        let Self { client, target, relay, host, back, .. } = self;
        match from {
            Side::Client => carry(from, client, target, relay, host, back, cx),
            Side::Target => carry(from, target, client, relay, host, back, cx),
        }
    }

    /// Lets a held message of the client go once its event is durable.
    fn settle_held(&mut self, cx: &mut Context<'_>) -> Result<bool, Stop> {
        let Some(held) = &mut self.host.held else { return Ok(false) };
        let message = held.message;
        match Pin::new(&mut held.receipt).poll(cx) {
            Poll::Pending => return Ok(false),
            Poll::Ready(Err(error)) => return Err(Stop::Failure(error.into())),
            Poll::Ready(Ok(_)) => self.host.held = None,
        }
        let Self { client, target, relay, host, .. } = self;
        let mut out = Both { client, target };
        match message {
            HeldMessage::Open(_) => relay.release_open(Side::Client, OpenVerdict::Pass, &mut out),
            HeldMessage::Request(..) => {
                relay.release_request(Side::Client, RequestVerdict::Pass, host, &mut out)
            }
            HeldMessage::Global { .. } => relay.release_global(Side::Client, GlobalVerdict::Pass, &mut out),
        }
        .map_err(stop_of)?;
        Ok(true)
    }

    /// Tells interactive channels that they are recorded, out of the reserve of their window.
    fn greet(&mut self) {
        for key in std::mem::take(&mut self.host.greet) {
            if let Some(greeting) = &self.greeting {
                let mut out = Both { client: &mut self.client, target: &mut self.target };
                self.relay.inject(key, DataKind::Data, greeting.as_bytes(), &mut out);
            }
        }
    }

    /// Tells everybody at a terminal, out of the reserve of their windows.
    pub(super) fn tell(&mut self, text: &str) {
        for key in self.host.terminals() {
            let mut out = Both { client: &mut self.client, target: &mut self.target };
            self.relay.inject(key, DataKind::Data, format!("\r\n{text}\r\n").as_bytes(), &mut out);
        }
    }

    /// Logs the end of channels as the recorder gives their digests.
    fn follow_closing(&mut self, cx: &mut Context<'_>) -> Result<(), Stop> {
        for closing in std::mem::take(&mut self.host.closing) {
            let digests = self.host.recorder.close_channel(closing.channel, self.host.elapsed());
            self.closing.push((closing, digests));
        }
        // In order of closing: the writer answers in that order.
        while let Some((_, digests)) = self.closing.first_mut() {
            match Pin::new(digests).poll(cx) {
                Poll::Pending => break,
                Poll::Ready(Ok(digests)) => {
                    let (closing, _) = self.closing.remove(0);
                    self.host.channel_over(closing.event(digests));
                }
                Poll::Ready(Err(error)) => return Err(Stop::Failure(error.into())),
            }
        }
        Ok(())
    }

    /// Keeps the transports' deadlines.
    fn keep_time(&mut self, cx: &mut Context<'_>) -> Result<(), Stop> {
        if self.next_deadline().is_some_and(|next| next <= self.host.clock()) {
            let time = now();
            self.client.transport.handle_deadline(time).map_err(|error| Stop::Client(error.into()))?;
            self.target.transport.handle_deadline(time).map_err(|error| Stop::Target(error.into()))?;
        }
        if let Some(next) = self.next_deadline() {
            self.wake_at(next, cx);
        }
        Ok(())
    }

    /// When one of the transports wants to be called.
    fn next_deadline(&self) -> Option<Duration> {
        let hops = [self.client.transport.next_deadline(), self.target.transport.next_deadline()];
        hops.into_iter().flatten().min()
    }

    /// Sees to it that the task is woken at `when` or earlier.
    fn wake_at(&mut self, when: Duration, cx: &mut Context<'_>) {
        let elapsed = self.timer.as_ref().is_none_or(|timer| timer.is_elapsed());
        if elapsed || when < self.timer_at {
            self.timer_at = when;
            self.timer = Some(Box::pin(sleep_until(at(when))));
        }
        if let Some(timer) = &mut self.timer
            && timer.as_mut().poll(cx).is_ready()
        {
            cx.waker().wake_by_ref();
        }
    }

    /// Waits for the digests of channels that are over and logs them, and for what may yet be refused. For the end of a
    /// session, whose event shares a sync with these and comes after them.
    pub(super) async fn log_closed(&mut self) -> Result<(), Failure> {
        self.host.close_all();
        for closing in std::mem::take(&mut self.host.closing) {
            let digests = self.host.recorder.close_channel(closing.channel, self.host.elapsed());
            self.closing.push((closing, digests));
        }
        for (closing, digests) in self.closing.drain(..) {
            let digests = digests.await?;
            self.host.channel_over(closing.event(digests));
        }
        self.host.tell_unsaid();
        poll_fn(|cx| self.host.poll_settled(cx)).await?;
        self.host.failure.take().map_or(Ok(()), Err)
    }
}

pub(super) fn stop_of(error: RelayError) -> Stop {
    match error {
        RelayError::Violation { from, error } => Stop::Violation(from, error),
        _ => Stop::Internal("the relay was driven wrongly"),
    }
}

#[cfg(test)]
mod tests;
