//! A person's own connection (`ssh alice@bastion`, or the outer one of `ProxyJump`).
//!
//! The channels end here. A `direct-tcpip` channel to a known target is answered by an SSH server of ours inside
//! it: the inner connection, whose session is recorded like any other. A session channel that asks for a shell or
//! a command gets a [`console`], one that asks for SFTP the console's SFTP root. Everything else is refused with a
//! reason and an event.

mod agent;
mod destination;
mod inner;
mod session_channel;

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bartizan_access::Authenticated;
use bartizan_model::event::Body;
use bartizan_model::{Target, escape};
use bartizan_ssh::connection::ChannelKey;
use bartizan_ssh::connection::endpoint::{EndpointConfig, EndpointEvent};
use bartizan_ssh::transport::DisconnectReason;
use bartizan_ssh::wire::connection::{ChannelType, GlobalRequestType, OpenFailureReason, RequestType};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

pub(crate) use self::agent::AgentDoor;
use self::agent::AgentOpenings;
use self::destination::{Refused, destination};
pub(crate) use self::inner::{Inner, serve as serve_inner};
use self::session_channel::{SessionChannel, Start};
use crate::console::{self, Console};
use crate::hop::{Hop, HopError};
use crate::identify::client_of;
use crate::mux::{Channels, Mux, MuxEnd, MuxHost};
use crate::parts::Shared;
use crate::trail::Trail;

/// A goodbye may take so long.
const GOODBYE: Duration = Duration::from_secs(1);
/// When the server stops, the goodbyes of what runs inside a connection may take so long together.
const INNER_GOODBYES: Duration = Duration::from_secs(3);
/// Refused channels and requests logged one by one; then one event says that there were more.
const NOTES: u32 = 200;
/// Consoles of one connection at a time, as OpenSSH's `MaxSessions`.
const CONSOLES: usize = 10;

/// Serves a person's own connection until it is over and its inner sessions and consoles have closed.
pub(crate) async fn serve(
    hop: Hop<TcpStream>,
    who: Authenticated,
    source: SocketAddr,
    trail: Trail,
    shared: Arc<Shared>,
) {
    let own = Own {
        sessions: BTreeMap::new(),
        inner: JoinSet::new(),
        agent: AgentOpenings::new(),
        notes: NOTES,
        client: client_of(&hop),
        who,
        source,
        trail,
        shared: shared.clone(),
    };
    let mut mux = Mux::new(hop, EndpointConfig::default(), own);
    let end = {
        let mut stopping = pin!(shared.stopping());
        poll_fn(|cx| match stopping.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(End::Stopping),
            Poll::Pending => mux.poll(cx).map(End::Mux),
        })
        .await
    };
    tracing::debug!(?end, "connection over");
    if let End::Stopping = end {
        // Inner sessions and consoles end first: their last words pass through this connection, and one that was cut off
        // would have the client's leaving on record as its reason.
        let over = poll_fn(|cx| match mux.poll(cx) {
            Poll::Pending if !mux.host.inner.is_empty() => Poll::Pending,
            _ => Poll::Ready(()),
        });
        let _ = tokio::time::timeout(INNER_GOODBYES, over).await;
    }
    mux.detach();
    let (reason, text) = end.disconnect();
    let Mux { mut hop, host: Own { mut inner, agent, .. }, .. } = mux;
    // Whoever waits for the agent waits in vain.
    drop(agent);
    hop.disconnect(reason, &text, GOODBYE).await;
    drop(hop);
    while inner.join_next().await.is_some() {}
}

/// Why a person's own connection ended.
#[derive(Debug)]
enum End {
    Mux(MuxEnd<LogFailed>),
    Stopping,
}

/// The audit log cannot be written: nothing may go on.
#[derive(Debug)]
struct LogFailed;

impl End {
    fn disconnect(&self) -> (DisconnectReason, String) {
        match self {
            Self::Mux(MuxEnd::Hop(HopError::Transport(error))) => {
                (DisconnectReason::ProtocolError, format!("bartizan: {error}"))
            }
            Self::Mux(MuxEnd::Hop(_)) => (DisconnectReason::ByApplication, "goodbye".into()),
            Self::Mux(MuxEnd::Violation(error)) => {
                (DisconnectReason::ProtocolError, format!("bartizan: protocol error: {error}"))
            }
            Self::Mux(MuxEnd::Host(LogFailed)) => {
                (DisconnectReason::ByApplication, "bartizan: the audit log cannot be written".into())
            }
            Self::Stopping => (DisconnectReason::ByApplication, "bartizan: the server is stopping".into()),
        }
    }
}

/// What a person's own connection consists of besides its channels.
struct Own {
    /// Session channels, whether or not something was asked of them yet.
    sessions: BTreeMap<ChannelKey, SessionChannel>,
    /// Inner connections and consoles.
    inner: JoinSet<()>,
    agent: AgentOpenings,
    notes: u32,
    client: String,
    who: Authenticated,
    source: SocketAddr,
    trail: Trail,
    shared: Arc<Shared>,
}

impl MuxHost for Own {
    type End = LogFailed;

    fn on_event(&mut self, event: EndpointEvent<'_>, channels: &mut Channels) -> Result<(), LogFailed> {
        // Calls on a channel that is gone change nothing, and need no answer.
        match event {
            EndpointEvent::Open { channel, channel_type: ChannelType::Session } => {
                let _ = channels.endpoint.confirm(channel, &mut channels.out);
                self.sessions.insert(channel, SessionChannel::default());
            }
            EndpointEvent::Open { channel, channel_type } => self.open(channel, &channel_type, channels)?,
            EndpointEvent::Request { channel, request_type, want_reply } => {
                let ok = self.request(channel, &request_type, channels)?;
                if want_reply {
                    let _ = channels.endpoint.reply(channel, ok, &mut channels.out);
                }
            }
            EndpointEvent::GlobalRequest { request_type, want_reply } => {
                if want_reply {
                    channels.endpoint.reply_global(None, &mut channels.out);
                }
                self.listens_for_nobody(&request_type)?;
            }
            EndpointEvent::Opened { channel } => self.agent.opened(channel, channels),
            EndpointEvent::OpenFailed { channel, .. } => self.agent.refused(channel),
            EndpointEvent::Closed { channel } => drop(self.sessions.remove(&channel)),
            _ => {}
        }
        Ok(())
    }

    fn poll_own(&mut self, channels: &mut Channels, cx: &mut Context<'_>) -> Result<bool, LogFailed> {
        while let Poll::Ready(Some(done)) = self.inner.poll_join_next(cx) {
            if let Err(error) = done {
                tracing::error!(%error, "an inner connection or a console ended by a panic");
            }
        }
        Ok(self.agent.poll(channels, cx))
    }
}

impl Own {
    /// Answers a channel that is no session.
    fn open(
        &mut self,
        channel: ChannelKey,
        channel_type: &ChannelType<'_>,
        channels: &mut Channels,
    ) -> Result<(), LogFailed> {
        match destination(channel_type, &self.shared) {
            Ok((target, requested)) => {
                if channels.endpoint.confirm(channel, &mut channels.out).is_ok() {
                    let stream = channels.attach(channel);
                    self.inner.spawn_local(serve_inner(stream, self.inner_of(target, requested)));
                }
                Ok(())
            }
            Err(refused) => {
                let reason = OpenFailureReason::ADMINISTRATIVELY_PROHIBITED;
                let _ = channels.endpoint.refuse(channel, reason, &refused.text, &mut channels.out);
                self.note(refused)
            }
        }
    }

    /// Answers a request of a channel; true when it is granted.
    fn request(
        &mut self,
        channel: ChannelKey,
        request: &RequestType<'_>,
        channels: &mut Channels,
    ) -> Result<bool, LogFailed> {
        let running = self.sessions.values().filter(|session| session.is_running()).count();
        let Some(session) = self.sessions.get_mut(&channel) else { return Ok(false) };
        let asked = match session.request(request, &self.shared.settings()) {
            Start::Not { granted } => return Ok(granted),
            Start::Refused { action, detail } => {
                let text = format!("bartizan: there is no {action} {} here", escape(detail));
                self.note(Refused { action: action.into(), detail: escape(detail), text })?;
                return Ok(false);
            }
            Start::Program(_) if running >= CONSOLES => {
                let text = format!("bartizan: {CONSOLES} consoles of this connection are open already");
                self.note(Refused { action: "console".into(), detail: String::new(), text })?;
                return Ok(false);
            }
            Start::Program(_) if self.shared.is_draining() => {
                let text = "bartizan: the server is stopping; nothing new begins".to_owned();
                self.note(Refused { action: "console".into(), detail: String::new(), text })?;
                return Ok(false);
            }
            Start::Program(asked) => asked,
        };
        let streams = channels.attach_session(channel);
        let console = Console {
            asked,
            terminal: session.terminal(),
            environment: session.environment(),
            size: session.start(),
            agent: session.agent().then(|| self.agent.door()),
            client: self.client.clone(),
            who: self.who.clone(),
            source: self.source,
            trail: self.trail.clone(),
            shared: self.shared.clone(),
        };
        self.inner.spawn_local(console::serve(streams, console));
        Ok(true)
    }

    /// Notes that a port or a socket was to be forwarded to the client, which this connection does for nobody.
    fn listens_for_nobody(&mut self, request: &GlobalRequestType<'_>) -> Result<(), LogFailed> {
        let detail = match request {
            GlobalRequestType::TcpipForward { .. } => "tcpip-forward",
            GlobalRequestType::StreamlocalForward { .. } => "streamlocal-forward@openssh.com",
            _ => return Ok(()),
        };
        let text = "bartizan: nothing is forwarded here; forward by a session on a target".to_owned();
        self.note(Refused { action: "forward:remote".into(), detail: detail.into(), text })
    }

    /// Logs a refusal, as long as there are not too many.
    fn note(&mut self, refused: Refused) -> Result<(), LogFailed> {
        if self.notes == 0 {
            return Ok(());
        }
        self.notes -= 1;
        let Refused { action, detail, text } = refused;
        let reason = if self.notes == 0 { format!("{text} (further refusals are not logged)") } else { text };
        let body = Body::AccessDeny { action, detail: Some(detail), reason, rules: Vec::new() };
        self.trail.denied(body).map(drop).map_err(|_| LogFailed)
    }

    fn inner_of(&self, target: Target, requested: String) -> Inner {
        Inner {
            who: self.who.clone(),
            source: self.source,
            way: bartizan_model::Way::ProxyJump,
            target,
            requested,
            agent: None,
            trail: self.trail.clone(),
            shared: self.shared.clone(),
        }
    }
}
