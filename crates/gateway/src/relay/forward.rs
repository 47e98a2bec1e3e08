//! What may be forwarded over a session, besides its programs.
//!
//! The client opens channels to hosts and sockets of the target's side (`direct-tcpip`,
//! `direct-streamlocal@openssh.com`), each judged by where it leads. The target opens channels only for what the client asked it
//! to listen for (`tcpip-forward`, judged by the address and port) or forwards to it (agent, X11), and only where policy permits that, when it was asked for and
//! now: the list of these is kept here.

use std::collections::VecDeque;

use bartizan_model::event::{Body, ForwardState, Outcome, Severity};
use bartizan_model::{ForwardEnd, Permission};
use bartizan_ssh::connection::relay::GlobalVerdict;
use bartizan_ssh::wire::connection::{ChannelType, GlobalKind, GlobalRequestType};

use super::describe;
use super::host::{Held, HeldMessage, Host};

/// Listeners of one session, asked for or there. OpenSSH knows no limit; a thousand are nobody's.
const MAX_LISTENERS: usize = 256;
/// Most listeners that one opening is judged by, where it does not tell which it is of.
const MAX_JUDGED: usize = 8;
/// Channel types that are refused in any case.
const NEVER: &str = "this type of channel is not supported, and what is not recorded is refused";

/// Where the target listens for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Listener {
    /// A TCP port.
    Tcp { address: Vec<u8>, port: u32 },
    /// A Unix socket.
    Unix { path: Vec<u8> },
}

impl Listener {
    fn shown(&self) -> String {
        match self {
            Self::Tcp { address, port } => format!("{}:{port}", describe::cut(address)),
            Self::Unix { path } => describe::cut(path),
        }
    }

    /// As policy judges it.
    fn end(&self) -> ForwardEnd {
        match self {
            Self::Tcp { address, port } => ForwardEnd::listener(address, *port),
            Self::Unix { path } => ForwardEnd::Unix(path.clone()),
        }
    }
}

/// Where the target listens, and what was asked of it: not the same where the port was left to the target.
struct Listening {
    listener: Listener,
    asked: ForwardEnd,
}

/// A change of the listeners, as the client asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    listener: Listener,
    asked: ForwardEnd,
    /// True to begin, false to end.
    listen: bool,
    kind: GlobalKind,
    request: &'static str,
}

impl Change {
    /// What a global request asks for, if it is about listeners.
    pub(super) fn asked_by(request: &GlobalRequestType<'_>) -> Option<Self> {
        let tcp = |address: &[u8], port| Listener::Tcp { address: address.to_vec(), port };
        let unix = |path: &[u8]| Listener::Unix { path: path.to_vec() };
        let (listener, listen, kind, name) = match *request {
            GlobalRequestType::TcpipForward { address, port } => {
                (tcp(address, port), true, GlobalKind::TcpipForward, "tcpip-forward")
            }
            GlobalRequestType::CancelTcpipForward { address, port } => {
                (tcp(address, port), false, GlobalKind::CancelTcpipForward, "cancel-tcpip-forward")
            }
            GlobalRequestType::StreamlocalForward { path } => {
                (unix(path), true, GlobalKind::StreamlocalForward, "streamlocal-forward@openssh.com")
            }
            GlobalRequestType::CancelStreamlocalForward { path } => (
                unix(path),
                false,
                GlobalKind::CancelStreamlocalForward,
                "cancel-streamlocal-forward@openssh.com",
            ),
            _ => return None,
        };
        Some(Self { asked: listener.end(), listener, listen, kind, request: name })
    }

    fn event(&self, state: ForwardState, reason: Option<String>) -> Body {
        Body::ForwardListen { request: self.request.to_owned(), on: self.listener.shown(), state, reason }
    }
}

/// What one session may forward.
#[derive(Default)]
pub(super) struct Forwards {
    /// The client's agent may be asked.
    pub(super) agent: bool,
    /// The client's X11 display may be reached.
    pub(super) x11: bool,
    /// Passed on and not answered yet, in order.
    asked: VecDeque<Change>,
    listening: Vec<Listening>,
}

impl Forwards {
    fn is_full(&self) -> bool {
        self.listening.len() + self.asked.len() >= MAX_LISTENERS
    }

    /// Whether a channel that the target opens is one that the client is prepared for; gives what permission it needs now,
    /// and for which of the listeners: one is enough.
    ///
    /// # Errors
    /// Why not, for the log and the target.
    fn target_opens(&self, kind: &ChannelType<'_>) -> Result<(Permission, Vec<ForwardEnd>), &'static str> {
        match kind {
            ChannelType::AuthAgent | ChannelType::AgentConnect if self.agent => {
                Ok((Permission::Agent, Vec::new()))
            }
            ChannelType::AuthAgent | ChannelType::AgentConnect => Err("agent forwarding was not permitted"),
            ChannelType::X11 { .. } if self.x11 => Ok((Permission::X11, Vec::new())),
            ChannelType::X11 { .. } => Err("X11 forwarding was not permitted"),
            ChannelType::ForwardedTcpip { .. } | ChannelType::ForwardedStreamlocal { .. } => {
                match self.asked_for(kind) {
                    asked if asked.is_empty() => Err("the client did not ask for this forwarding"),
                    asked => Ok((Permission::ForwardRemote, asked)),
                }
            }
            _ => Err(NEVER),
        }
    }

    /// What the client asked for of which this channel may be.
    fn asked_for(&self, kind: &ChannelType<'_>) -> Vec<ForwardEnd> {
        let ours = |listening: &&Listening| match (&listening.listener, kind) {
            (Listener::Tcp { port, .. }, ChannelType::ForwardedTcpip { connected_port, .. }) => {
                port == connected_port
            }
            (Listener::Unix { path }, ChannelType::ForwardedStreamlocal { path: connected, .. }) => {
                path == connected
            }
            _ => false,
        };
        // The address may come back in another form; the port is what was bound.
        let by_address = |listening: &&Listening| match (&listening.listener, kind) {
            (Listener::Tcp { address, .. }, ChannelType::ForwardedTcpip { connected_address, .. }) => {
                address == connected_address
            }
            _ => true,
        };
        let ours = || self.listening.iter().filter(ours);
        let exact = ours().any(|listening| by_address(&listening));
        let mut asked: Vec<ForwardEnd> = Vec::new();
        for listening in ours().filter(|listening| !exact || by_address(listening)) {
            if asked.len() < MAX_JUDGED && !asked.contains(&listening.asked) {
                asked.push(listening.asked.clone());
            }
        }
        asked
    }

    fn begun(&mut self, change: Change, wants_reply: bool) {
        if wants_reply {
            self.asked.push_back(change);
        } else {
            // Nobody will say whether it went well: it may have.
            self.done(&change);
        }
    }

    fn done(&mut self, change: &Change) {
        if change.listen {
            let (listener, asked) = (change.listener.clone(), change.asked.clone());
            self.listening.push(Listening { listener, asked });
        } else {
            self.listening.retain(|listening| listening.listener != change.listener);
        }
    }

    /// The last change was refused after all. One that wants no reply counts as done: a listener more lets a target open
    /// no channel that policy does not permit.
    pub(super) fn withdrawn(&mut self, wants_reply: bool) {
        if wants_reply {
            self.asked.pop_back();
        }
    }

    /// Notes the target's answer to a request that was passed on; gives the event of it.
    pub(super) fn answered(&mut self, request: GlobalKind, ok: bool, data: &[u8]) -> Option<Body> {
        let mut change = self.asked.pop_front_if(|change| change.kind == request)?;
        if !ok {
            return Some(change.event(ForwardState::Failed, None));
        }
        // Port 0 leaves the choice to the target, which says what it chose (RFC 4254 §7.1).
        if let (Listener::Tcp { port: port @ 0, .. }, Some(chosen)) =
            (&mut change.listener, data.first_chunk())
            && change.listen
        {
            *port = u32::from_be_bytes(*chosen);
        }
        self.done(&change);
        let state = if change.listen { ForwardState::Listening } else { ForwardState::Cancelled };
        Some(change.event(state, None))
    }
}

impl Host {
    /// Judges a channel that the client opens.
    ///
    /// # Errors
    /// Why it is refused.
    pub(super) fn client_opens(&mut self, kind: &ChannelType<'_>) -> Result<(), String> {
        let to = match *kind {
            ChannelType::DirectTcpip { host, port, .. } => Some(ForwardEnd::destination(host, port)),
            ChannelType::DirectStreamlocal { path, .. } => Some(ForwardEnd::Unix(path.to_vec())),
            _ => None,
        };
        match kind {
            _ if let Some(to) = to => self.ask().forward(Permission::ForwardLocal, &to),
            ChannelType::Session => self.ask().connect(),
            ChannelType::Tun { .. } => return Err("tunnels of whole networks are not supported".to_owned()),
            _ => return Err(NEVER.to_owned()),
        }
        .map_err(|denied| denied.reason)
    }

    /// Judges a channel that the target opens: the client asked for it, and it is permitted still.
    ///
    /// # Errors
    /// Why it is refused.
    pub(super) fn target_opens(&mut self, kind: &ChannelType<'_>) -> Result<(), String> {
        let (permission, asked) = self.forwards.target_opens(kind)?;
        let Some((last, others)) = asked.split_last() else {
            return self.ask().permission(permission).map_err(|denied| denied.reason);
        };
        if others.iter().any(|asked| self.ask().forward(permission, asked).is_ok()) {
            return Ok(());
        }
        self.ask().forward(permission, last).map_err(|denied| denied.reason)
    }

    /// Judges a change of what the target listens for; a permitted one waits until its event is durable.
    pub(super) fn client_forwards(&mut self, change: Change, wants_reply: bool) -> GlobalVerdict {
        let refused = match self.ask().forward(Permission::ForwardRemote, &change.asked) {
            // Ending one is always permitted.
            _ if !change.listen => None,
            Err(denied) => Some(denied.reason),
            Ok(()) if self.forwards.is_full() => Some("too many ports are forwarded already".to_owned()),
            Ok(()) => None,
        };
        if let Some(reason) = refused {
            if self.may_note() {
                let event = change.event(ForwardState::Refused, Some(reason));
                self.tell(Outcome::Denied, Severity::Notice, event);
            }
            return GlobalVerdict::Refuse;
        }
        match self.submit(Outcome::Success, Severity::Info, change.event(ForwardState::Asked, None)) {
            Some(receipt) => {
                self.forwards.begun(change, wants_reply);
                self.held = Some(Held { message: HeldMessage::Global { replies: wants_reply }, receipt });
                GlobalVerdict::Hold
            }
            None => GlobalVerdict::Refuse,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(forwards: &mut Forwards, request: &GlobalRequestType<'_>) {
        forwards.begun(Change::asked_by(request).unwrap(), true);
    }

    fn on_port(port: u32) -> ChannelType<'static> {
        ChannelType::ForwardedTcpip {
            connected_address: b"127.0.0.1",
            connected_port: port,
            originator_address: b"192.0.2.1",
            originator_port: 5,
        }
    }

    #[test]
    fn the_target_opens_only_what_was_asked_for() {
        let mut forwards = Forwards::default();
        for kind in [on_port(80), ChannelType::AuthAgent, ChannelType::Session] {
            assert!(forwards.target_opens(&kind).is_err(), "{kind:?}");
        }
        asked(&mut forwards, &GlobalRequestType::TcpipForward { address: b"localhost", port: 80 });
        assert!(forwards.target_opens(&on_port(80)).is_err(), "before the target said that it listens");
        assert!(forwards.answered(GlobalKind::TcpipForward, true, b"").is_some());
        assert!(forwards.target_opens(&on_port(80)).is_ok());
        assert!(forwards.target_opens(&on_port(81)).is_err());
        asked(&mut forwards, &GlobalRequestType::CancelTcpipForward { address: b"localhost", port: 80 });
        assert!(forwards.answered(GlobalKind::CancelTcpipForward, true, b"").is_some());
        assert!(forwards.target_opens(&on_port(80)).is_err());
    }

    #[test]
    fn a_port_that_the_target_chose_is_the_one_that_counts() {
        let mut forwards = Forwards::default();
        asked(&mut forwards, &GlobalRequestType::TcpipForward { address: b"", port: 0 });
        let event = forwards.answered(GlobalKind::TcpipForward, true, &4711_u32.to_be_bytes());
        assert!(
            matches!(&event, Some(Body::ForwardListen { on, state: ForwardState::Listening, .. }) if on == ":4711"),
            "{event:?}"
        );
        assert!(forwards.target_opens(&on_port(4711)).is_ok());
        assert!(forwards.target_opens(&on_port(0)).is_err());
    }

    #[test]
    fn an_answer_belongs_to_the_oldest_request_and_a_failure_opens_nothing() {
        let mut forwards = Forwards::default();
        asked(&mut forwards, &GlobalRequestType::TcpipForward { address: b"", port: 1 });
        asked(&mut forwards, &GlobalRequestType::StreamlocalForward { path: b"/s" });
        assert!(forwards.answered(GlobalKind::Keepalive, true, b"").is_none());
        assert!(forwards.answered(GlobalKind::TcpipForward, false, b"").is_some());
        assert!(forwards.answered(GlobalKind::StreamlocalForward, true, b"").is_some());
        assert!(forwards.target_opens(&on_port(1)).is_err());
        let socket = |path| ChannelType::ForwardedStreamlocal { path, reserved: b"" };
        assert!(forwards.target_opens(&socket(b"/s")).is_ok());
        assert!(forwards.target_opens(&socket(b"/t")).is_err());
    }
}
