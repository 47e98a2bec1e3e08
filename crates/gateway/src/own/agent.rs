//! The person's forwarded agent: channels that we open to it (OpenSSH PROTOCOL.agent, `auth-agent@openssh.com`).

use std::collections::BTreeMap;
use std::task::{Context, Poll};

use bartizan_ssh::connection::ChannelKey;
use bartizan_ssh::wire::connection::ChannelType;
use tokio::sync::{mpsc, oneshot};

use crate::mux::Channels;
use crate::pipe::InnerEnd;

/// Channels to the agent that may be on their way at a time.
const OPENING: usize = 16;
/// Channels to the agent that one connection may have at a time.
const OPEN: usize = 64;

type Answer = oneshot::Sender<InnerEnd>;

/// Asks a person's own connection for channels to their agent.
#[derive(Clone)]
pub(crate) struct AgentDoor(mpsc::Sender<Answer>);

impl AgentDoor {
    /// Opens a channel to the agent; `None` when the client refuses it or is gone.
    ///
    /// # Cancel safety
    /// A channel that nobody waits for any more is closed.
    pub(crate) async fn open(&self) -> Option<InnerEnd> {
        let (answer, opened) = oneshot::channel();
        self.0.send(answer).await.ok()?;
        opened.await.ok()
    }
}

/// The connection's side of its [`AgentDoor`]s.
pub(super) struct AgentOpenings {
    door: AgentDoor,
    asked: mpsc::Receiver<Answer>,
    opening: BTreeMap<ChannelKey, Answer>,
}

impl AgentOpenings {
    pub(super) fn new() -> Self {
        let (door, asked) = mpsc::channel(OPENING);
        Self { door: AgentDoor(door), asked, opening: BTreeMap::new() }
    }

    pub(super) fn door(&self) -> AgentDoor {
        self.door.clone()
    }

    /// Asks the client for the channels that somebody wants; true when there were any.
    pub(super) fn poll(&mut self, channels: &mut Channels, cx: &mut Context<'_>) -> bool {
        let mut any = false;
        while self.opening.len() < OPEN
            && let Poll::Ready(Some(answer)) = self.asked.poll_recv(cx)
        {
            // Without room for another channel the answer is dropped, which says no.
            if let Ok(channel) = channels.endpoint.open(&ChannelType::AuthAgent, &mut channels.out) {
                self.opening.insert(channel, answer);
            }
            any = true;
        }
        any
    }

    /// The client opened one.
    pub(super) fn opened(&mut self, channel: ChannelKey, channels: &mut Channels) {
        if let Some(answer) = self.opening.remove(&channel) {
            // Nobody waits any more: the stream is dropped, and the channel closed with it.
            drop(answer.send(channels.attach(channel)));
        }
    }

    /// The client refused one.
    pub(super) fn refused(&mut self, channel: ChannelKey) {
        drop(self.opening.remove(&channel));
    }
}
