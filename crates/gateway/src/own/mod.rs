//! A person's own connection (`ssh alice@bastion`, or the outer one of `ProxyJump`).
//!
//! The channels end here. A `direct-tcpip` channel to a known target is answered by an SSH server of ours inside
//! it: the inner connection, whose session is recorded like any other. Session channels get a short
//! text on how to go on. Everything else is refused with a reason and an event.

mod destination;
mod inner;

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bartizan_access::Authenticated;
use bartizan_model::Target;
use bartizan_model::event::Body;
use bartizan_ssh::connection::endpoint::{ChannelGone, Endpoint, EndpointConfig, EndpointEvent};
use bartizan_ssh::connection::{ChannelKey, ConnectionError, DataKind};
use bartizan_ssh::transport::{DisconnectReason, Incoming};
use bartizan_ssh::wire::connection::{ChannelType, OpenFailureReason, RequestType};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep_until};

use self::destination::{Refused, destination};
use crate::hop::{Hop, HopError, at, now};
use crate::parts::Shared;
use crate::pipe::{InnerEnd, OuterEnd, pipe};
use crate::trail::Trail;

/// Bytes waiting for the client above which inner connections must wait.
const HIGH_WATER: usize = 128 * 1024;
/// Bytes waiting for the client above which its requests are not read: it does not read our answers.
const STALLED: usize = 1024 * 1024;
/// Turns before other connections of the worker get theirs.
const TURNS: usize = 16;
/// A goodbye may take so long.
const GOODBYE: Duration = Duration::from_secs(1);
/// Refused channels logged one by one; then one event says that there were more.
const NOTES: u32 = 200;
/// Serves a person's own connection until it is over and its inner sessions have closed.
pub(crate) async fn serve(
    hop: Hop<TcpStream>,
    who: Authenticated,
    source: SocketAddr,
    trail: Trail,
    shared: Arc<Shared>,
) {
    let mut own = Own {
        hop,
        endpoint: Endpoint::new(EndpointConfig::default()),
        pipes: BTreeMap::new(),
        inner: JoinSet::new(),
        out: Vec::new(),
        timer: None,
        notes: NOTES,
        who,
        source,
        trail,
        shared: shared.clone(),
    };
    let end = {
        let mut stopping = pin!(shared.stopping());
        poll_fn(|cx| match stopping.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(End::Stopping),
            Poll::Pending => own.poll(cx),
        })
        .await
    };
    tracing::debug!(?end, "connection over");
    let Own { mut hop, mut inner, pipes, .. } = own;
    if let End::Stopping = end {
        // The inner sessions are told first, while their words can still pass.
        let _ = tokio::time::timeout(GOODBYE, poll_fn(|cx| hop.poll_flush(cx))).await;
    }
    drop(pipes);
    let (reason, text) = end.disconnect();
    hop.disconnect(reason, &text, GOODBYE).await;
    drop(hop);
    while inner.join_next().await.is_some() {}
}

/// Why a person's own connection ended.
#[derive(Debug)]
enum End {
    Hop(HopError),
    Violation(ConnectionError),
    Stopping,
    Log,
}

impl From<HopError> for End {
    fn from(error: HopError) -> Self {
        Self::Hop(error)
    }
}

impl End {
    fn disconnect(&self) -> (DisconnectReason, String) {
        match self {
            Self::Hop(HopError::Transport(error)) => {
                (DisconnectReason::ProtocolError, format!("bartizan: {error}"))
            }
            Self::Hop(_) => (DisconnectReason::ByApplication, "goodbye".into()),
            Self::Violation(error) => {
                (DisconnectReason::ProtocolError, format!("bartizan: protocol error: {error}"))
            }
            Self::Stopping => (DisconnectReason::ByApplication, "bartizan: the server is stopping".into()),
            Self::Log => {
                (DisconnectReason::ByApplication, "bartizan: the audit log cannot be written".into())
            }
        }
    }
}

struct Own {
    hop: Hop<TcpStream>,
    endpoint: Endpoint,
    pipes: BTreeMap<ChannelKey, OuterEnd>,
    inner: JoinSet<()>,
    /// Answers to the packet being read, which borrows the hop.
    out: Vec<Vec<u8>>,
    timer: Option<(Duration, Pin<Box<Sleep>>)>,
    notes: u32,
    who: Authenticated,
    source: SocketAddr,
    trail: Trail,
    shared: Arc<Shared>,
}

/// What an event of the endpoint asks of the connection, free of the packet's borrow.
enum Todo {
    Nothing,
    Open(ChannelKey, Result<(Target, String), Refused>),
    Help(ChannelKey, bool),
}

impl Own {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
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

    fn turn(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        self.keep_time(cx)?;
        let mut moved = self.read(cx)?;
        moved |= self.exchange(cx)?;
        if self.hop.transport.wants_rekey() {
            self.hop.transport.start_rekey().map_err(HopError::from)?;
        }
        while let Poll::Ready(Some(done)) = self.inner.poll_join_next(cx) {
            if let Err(error) = done {
                tracing::error!(%error, "an inner connection ended by a panic");
            }
        }
        if let Poll::Ready(Err(error)) = self.hop.poll_flush(cx) {
            return Err(error.into());
        }
        Ok(moved)
    }

    /// Reads what the client sent, until nothing more comes or it does not take our answers.
    fn read(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        let (mut moved, time) = (false, now());
        while self.hop.transport.outgoing().len() < STALLED {
            let todo = match self.hop.transport.poll(time).map_err(HopError::from)? {
                Some(Incoming::Packet(payload)) => {
                    let event = match self.endpoint.on_packet(payload, &mut self.out) {
                        Ok(event) => event,
                        Err(ConnectionError::Unimplemented(_)) => {
                            self.hop.transport.unimplemented().map_err(HopError::from)?;
                            continue;
                        }
                        Err(error) => return Err(End::Violation(error)),
                    };
                    event.map_or(Todo::Nothing, |event| {
                        react(event, &mut self.endpoint, &mut self.pipes, &self.shared, &mut self.out)
                    })
                }
                Some(Incoming::Disconnect { reason, description }) => {
                    return Err(HopError::Disconnected { reason, description: description.to_vec() }.into());
                }
                Some(_) => continue,
                None => match self.hop.poll_fill(cx) {
                    Poll::Ready(Ok(())) => continue,
                    Poll::Ready(Err(error)) => return Err(error.into()),
                    Poll::Pending => break,
                },
            };
            moved = true;
            self.carry_out(todo)?;
            for payload in self.out.drain(..) {
                self.hop.send(&payload).map_err(HopError::from)?;
            }
        }
        Ok(moved)
    }

    fn carry_out(&mut self, todo: Todo) -> Result<(), End> {
        match todo {
            Todo::Nothing => {}
            Todo::Help(channel, starts) => {
                if starts {
                    // A channel that is gone needs no help.
                    let _ = help(&mut self.endpoint, channel, self.who.person().as_str(), &mut self.out);
                }
            }
            Todo::Open(channel, Ok((target, requested))) => {
                if self.endpoint.confirm(channel, &mut self.out).is_ok() {
                    let (outer, inner) = pipe();
                    self.pipes.insert(channel, outer);
                    self.spawn_inner(inner, target, requested);
                }
            }
            Todo::Open(channel, Err(refused)) => {
                let reason = OpenFailureReason::ADMINISTRATIVELY_PROHIBITED;
                let _ = self.endpoint.refuse(channel, reason, &refused.text, &mut self.out);
                if self.notes > 0 {
                    self.notes -= 1;
                    let Refused { action, detail, text } = refused;
                    let reason = if self.notes == 0 {
                        format!("{text} (further refusals are not logged)")
                    } else {
                        text
                    };
                    let body = Body::AccessDeny { action, detail: Some(detail), reason, rules: Vec::new() };
                    let _pending = self.trail.denied(body).map_err(|_| End::Log)?;
                }
            }
        }
        Ok(())
    }

    /// Moves bytes between the client and the inner connections.
    fn exchange(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        let (mut moved, mut error) = (false, None);
        let Self { hop, endpoint, pipes, .. } = self;
        pipes.retain(|&channel, pipe| {
            pipe.register(cx);
            let room = hop.transport.can_send() && hop.transport.outgoing().len() < HIGH_WATER;
            let mut sink = |head: &[u8], body: &[u8]| {
                if let Err(failed) = hop.send_parts(head, body) {
                    error.get_or_insert(failed);
                }
            };
            // Calls on a channel that the client has closed change nothing.
            let consumed = pipe.take_consumed();
            if consumed > 0 {
                let _ = endpoint.consumed(channel, consumed, &mut sink);
            }
            if room {
                pipe.drain(|bytes| {
                    let taken =
                        endpoint.data(channel, DataKind::Data, bytes, &mut sink).unwrap_or(bytes.len());
                    moved |= taken > 0;
                    taken
                });
            }
            if pipe.is_finished() {
                let _ = endpoint.eof(channel, &mut sink);
            }
            let over = pipe.is_over();
            if over {
                let _ = endpoint.close(channel, &mut sink);
            }
            !over
        });
        match error {
            Some(error) => Err(HopError::from(error).into()),
            None => Ok(moved),
        }
    }

    /// Starts the SSH server inside a channel.
    fn spawn_inner(&mut self, stream: InnerEnd, target: Target, requested: String) {
        let (who, source, trail, shared) =
            (self.who.clone(), self.source, self.trail.clone(), self.shared.clone());
        self.inner.spawn_local(inner::serve(stream, who, source, target, requested, trail, shared));
    }

    fn keep_time(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        let Some(deadline) = self.hop.transport.next_deadline() else { return Ok(()) };
        if self.timer.as_ref().is_none_or(|(when, _)| *when != deadline) {
            self.timer = Some((deadline, Box::pin(sleep_until(at(deadline)))));
        }
        if let Some((_, timer)) = &mut self.timer
            && timer.as_mut().poll(cx).is_ready()
        {
            self.timer = None;
            self.hop.transport.handle_deadline(now()).map_err(HopError::from)?;
        }
        Ok(())
    }
}

/// Reacts to one event of the client.
fn react(
    event: EndpointEvent<'_>,
    endpoint: &mut Endpoint,
    pipes: &mut BTreeMap<ChannelKey, OuterEnd>,
    shared: &Shared,
    out: &mut Vec<Vec<u8>>,
) -> Todo {
    // Calls on a channel that is gone change nothing, and need no answer.
    match event {
        EndpointEvent::Open { channel, channel_type: ChannelType::Session } => {
            let _ = endpoint.confirm(channel, out);
        }
        EndpointEvent::Open { channel, channel_type } => {
            return Todo::Open(channel, destination(&channel_type, shared));
        }
        EndpointEvent::Request { channel, request_type, want_reply } => {
            let starts = matches!(
                request_type,
                RequestType::Shell | RequestType::Exec { .. } | RequestType::Subsystem { .. }
            );
            let harmless = matches!(request_type, RequestType::PtyReq(_) | RequestType::Env { .. });
            if want_reply {
                let _ = endpoint.reply(channel, starts || harmless, out);
            }
            return Todo::Help(channel, starts);
        }
        EndpointEvent::GlobalRequest { want_reply: true, .. } => {
            endpoint.reply_global(None, out);
        }
        EndpointEvent::Data { channel, bytes, .. } => match pipes.get(&channel) {
            Some(pipe) => pipe.push(bytes),
            None => {
                let _ = endpoint.consumed(channel, bytes.len(), out);
            }
        },
        EndpointEvent::Eof { channel } => {
            if let Some(pipe) = pipes.get(&channel) {
                pipe.finish();
            }
        }
        EndpointEvent::Closed { channel } => {
            pipes.remove(&channel);
        }
        _ => {}
    }
    Todo::Nothing
}

/// Tells a person who asked for a shell how to reach a server, and closes the channel.
fn help(
    endpoint: &mut Endpoint,
    channel: ChannelKey,
    person: &str,
    out: &mut Vec<Vec<u8>>,
) -> Result<(), ChannelGone> {
    let text = format!(
        "Welcome, {person}. This is Bartizan, an SSH access proxy; it has no shell.\r\n\
         To reach a server:  ssh -J {person}@BARTIZAN LOGIN@TARGET\r\n\
         or by user name:    ssh {person}+LOGIN@TARGET@BARTIZAN\r\n"
    );
    endpoint.data(channel, DataKind::STDERR, text.as_bytes(), out)?;
    endpoint.exit_status(channel, 1, out)?;
    endpoint.eof(channel, out)?;
    endpoint.close(channel, out)
}
