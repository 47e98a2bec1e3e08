//! What the console's `ssh` asks of its session channel, and what it hears.

use std::convert::Infallible;
use std::task::Context;

use bartizan_model::escape;
use bartizan_ssh::connection::ChannelKey;
use bartizan_ssh::connection::endpoint::EndpointEvent;
use bartizan_ssh::wire::connection::{
    ChannelType, OpenFailureReason, PtyModes, PtyRequest, RequestKind, RequestType, WindowSize,
};
use tokio::io::copy_bidirectional;
use tokio::task::JoinSet;

use super::Outcome;
use crate::console::Terminal;
use crate::mux::{Channels, MuxHost, Streams};
use crate::own::AgentDoor;
use crate::pipe::InnerEnd;

/// What the session is asked for.
pub(super) struct Plan {
    /// The terminal to ask for, and its size now.
    pub(super) pty: Option<Terminal>,
    pub(super) size: WindowSize,
    pub(super) environment: Vec<(Vec<u8>, Vec<u8>)>,
    /// The person's agent, to be forwarded.
    pub(super) agent: Option<AgentDoor>,
    pub(super) program: Program,
}

/// What is to run.
pub(super) enum Program {
    Shell,
    Command(Vec<u8>),
    /// The SFTP server.
    Sftp,
}

/// The client's side of one session.
pub(super) struct RemoteHost {
    plan: Plan,
    channel: Option<ChannelKey>,
    /// The session channel's, once it is open.
    pub(super) streams: Option<Streams>,
    /// The channel was closed by the other side, or never came to be.
    pub(super) closed: bool,
    refused: Option<String>,
    /// Something that the person is to be told, a line with its end.
    pub(super) notice: Option<String>,
    status: Option<u32>,
    signal: Option<String>,
    /// Connections to the person's agent.
    bridges: JoinSet<()>,
}

impl RemoteHost {
    pub(super) fn new(plan: Plan) -> Self {
        Self {
            plan,
            channel: None,
            streams: None,
            closed: false,
            refused: None,
            notice: None,
            status: None,
            signal: None,
            bridges: JoinSet::new(),
        }
    }

    /// Asks for the session channel.
    pub(super) fn open(&mut self, channels: &mut Channels) {
        match channels.endpoint.open(&ChannelType::Session, &mut channels.out) {
            Ok(channel) => self.channel = Some(channel),
            Err(error) => {
                self.refused = Some(error.to_string());
                self.closed = true;
            }
        }
    }

    /// Tells the session that the terminal's size changed.
    pub(super) fn resize(&mut self, size: WindowSize, channels: &mut Channels) {
        self.plan.size = size;
        if let Some(channel) = self.channel.filter(|_| self.plan.pty.is_some() && self.streams.is_some()) {
            // A channel that is gone has no size.
            let request = RequestType::WindowChange(size);
            let _ = channels.endpoint.request(channel, &request, false, &mut channels.out);
        }
    }

    /// Why the session was refused, if it was.
    pub(super) fn refusal(&mut self) -> Option<String> {
        self.refused.take()
    }

    /// How it went. `lost`: why our server went away, if it did.
    pub(super) fn outcome(&mut self, lost: Option<String>) -> Outcome {
        let (status, signal) = (self.status.take(), self.signal.take());
        match self.refused.take().or(lost.filter(|_| status.is_none() && signal.is_none())) {
            Some(text) => Outcome::Failed(text),
            None => Outcome::Ended { status, signal },
        }
    }

    /// Asks for everything at once, as OpenSSH's client does; the session's own order is kept.
    fn opened(&mut self, channel: ChannelKey, channels: &mut Channels) {
        let streams = channels.attach_session(channel);
        // Nothing is ever written to the session's standard error.
        streams.error.finish_writing();
        self.streams = Some(streams);
        let Plan { pty, size, environment, agent, program } = &self.plan;
        let mut ask = |request: RequestType<'_>, want_reply| {
            // A channel that is gone needs nothing.
            let _ = channels.endpoint.request(channel, &request, want_reply, &mut channels.out);
        };
        if agent.is_some() {
            ask(RequestType::AuthAgentReq, true);
        }
        if let Some(Terminal { term, modes, .. }) = pty {
            ask(RequestType::PtyReq(PtyRequest { term, size: *size, modes: PtyModes(modes) }), true);
        }
        for (name, value) in environment {
            ask(RequestType::Env { name, value }, false);
        }
        match program {
            Program::Command(command) => ask(RequestType::Exec { command }, true),
            Program::Shell => ask(RequestType::Shell, true),
            Program::Sftp => ask(RequestType::Subsystem { name: b"sftp" }, true),
        }
    }

    /// A request was refused. Why, the session has said on its standard error, where there is more to say.
    fn refused(&mut self, channel: ChannelKey, request: RequestKind, channels: &mut Channels) {
        let text = match request {
            RequestKind::Shell | RequestKind::Exec => "the session was refused",
            RequestKind::Subsystem => "the target has no SFTP server, or does not let this login use it",
            RequestKind::PtyReq => "the target gives no terminal (without one: ssh -T)",
            RequestKind::AuthAgentReq => {
                self.notice = Some("bartizan: your agent is not forwarded: no grant of agent\r\n".into());
                return;
            }
            _ => return,
        };
        self.refused.get_or_insert(text.into());
        // A channel that is gone is closed.
        let _ = channels.endpoint.close(channel, &mut channels.out);
    }

    /// Answers a request of the session.
    fn request(&mut self, request: &RequestType<'_>) -> bool {
        match *request {
            RequestType::ExitStatus { status } => self.status = Some(status),
            RequestType::ExitSignal(ref exit) => {
                self.signal = Some(escape(&exit.name[..exit.name.len().min(80)]))
            }
            RequestType::Keepalive => {}
            _ => return false,
        }
        true
    }

    /// A program on the target wants to speak with the person's agent.
    fn bridge(&mut self, channel: ChannelKey, door: AgentDoor, channels: &mut Channels) {
        while self.bridges.try_join_next().is_some() {}
        if channels.endpoint.confirm(channel, &mut channels.out).is_ok() {
            self.bridges.spawn_local(to_agent(channels.attach(channel), door));
        }
    }
}

/// Connects a program's channel with the person's agent, until one of them has enough.
async fn to_agent(mut program: InnerEnd, door: AgentDoor) {
    if let Some(mut agent) = door.open().await {
        // However it ends, both channels are closed.
        let _ = copy_bidirectional(&mut program, &mut agent).await;
    }
}

impl MuxHost for RemoteHost {
    type End = Infallible;

    fn on_event(&mut self, event: EndpointEvent<'_>, channels: &mut Channels) -> Result<(), Infallible> {
        match event {
            EndpointEvent::Opened { channel } => self.opened(channel, channels),
            EndpointEvent::OpenFailed { description, .. } => {
                self.refused.get_or_insert(escape(&description[..description.len().min(1024)]));
                self.closed = true;
            }
            EndpointEvent::RequestReply { channel, request, ok: false } => {
                self.refused(channel, request, channels);
            }
            EndpointEvent::Request { channel, request_type, want_reply } => {
                let ok = self.request(&request_type);
                if want_reply {
                    let _ = channels.endpoint.reply(channel, ok, &mut channels.out);
                }
            }
            EndpointEvent::Open { channel, channel_type } => match (channel_type, self.plan.agent.clone()) {
                (ChannelType::AuthAgent | ChannelType::AgentConnect, Some(door)) => {
                    self.bridge(channel, door, channels);
                }
                _ => {
                    let reason = OpenFailureReason::ADMINISTRATIVELY_PROHIBITED;
                    let _ = channels.endpoint.refuse(channel, reason, "not asked for", &mut channels.out);
                }
            },
            EndpointEvent::GlobalRequest { want_reply: true, .. } => {
                channels.endpoint.reply_global(None, &mut channels.out);
            }
            EndpointEvent::Closed { channel } if self.channel == Some(channel) => self.closed = true,
            _ => {}
        }
        Ok(())
    }

    fn poll_own(&mut self, _: &mut Channels, _: &mut Context<'_>) -> Result<bool, Infallible> {
        Ok(false)
    }
}
