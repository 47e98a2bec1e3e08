//! What a client asked of a session channel before and while a console, or the SFTP root, runs in it.

use bartizan_ssh::wire::connection::{RequestType, WindowSize};
use tokio::sync::watch;

use crate::console::{Asked, Terminal};
use crate::parts::Settings;

/// Variables that are kept for the sessions that a console opens.
const VARIABLES: usize = 32;
/// Bytes of one variable, name and value together.
const VARIABLE_BYTES: usize = 1024;
/// Bytes of terminal modes and of the terminal's name that are kept.
const MODES_BYTES: usize = 1024;
const TERM_BYTES: usize = 64;

/// One session channel of a person's own connection.
#[derive(Default)]
pub(super) struct SessionChannel {
    terminal: Option<Terminal>,
    environment: Vec<(Vec<u8>, Vec<u8>)>,
    agent: bool,
    size: Option<watch::Sender<WindowSize>>,
}

/// What a request asks of the connection.
pub(super) enum Start<'a> {
    /// Nothing: it is answered here.
    Not {
        /// Whether it is granted.
        granted: bool,
    },
    /// Something that there is not.
    Refused {
        /// What kind of thing.
        action: &'static str,
        /// Which.
        detail: &'a [u8],
    },
    /// A console.
    Program(Asked),
}

impl SessionChannel {
    /// Takes one request.
    pub(super) fn request<'a>(&mut self, request: &RequestType<'a>, settings: &Settings) -> Start<'a> {
        let granted = match *request {
            // A second program in one channel is no program (RFC 4254 §6.5).
            RequestType::Shell | RequestType::Exec { .. } | RequestType::Subsystem { .. }
                if self.is_running() =>
            {
                false
            }
            RequestType::Shell => return Start::Program(Asked::Shell),
            RequestType::Exec { command } => return Start::Program(Asked::Command(command.to_vec())),
            RequestType::Subsystem { name: b"sftp" } => return Start::Program(Asked::Sftp),
            RequestType::Subsystem { name } => return Start::Refused { action: "subsystem", detail: name },
            RequestType::X11Req(_) => return Start::Refused { action: "x11", detail: b"forwarding" },
            RequestType::PtyReq(ref pty) if !self.is_running() => {
                let fits = pty.term.len() <= TERM_BYTES && pty.modes.0.len() <= MODES_BYTES;
                self.terminal = fits.then(|| Terminal {
                    term: pty.term.to_vec(),
                    size: pty.size,
                    modes: pty.modes.0.to_vec(),
                });
                fits
            }
            RequestType::WindowChange(size) => {
                if let Some(terminal) = &mut self.terminal {
                    terminal.size = size;
                }
                if let Some(sender) = &self.size {
                    sender.send_replace(size);
                }
                true
            }
            RequestType::Env { name, value } => {
                let fits = name.len() + value.len() <= VARIABLE_BYTES && self.environment.len() < VARIABLES;
                let accepted = fits && settings.accepts_env(name);
                if accepted {
                    self.environment.push((name.to_vec(), value.to_vec()));
                }
                accepted
            }
            RequestType::AuthAgentReq | RequestType::AgentReq => {
                self.agent = true;
                true
            }
            RequestType::Keepalive | RequestType::EndOfWrite | RequestType::Signal { .. } => true,
            _ => false,
        };
        Start::Not { granted }
    }

    pub(super) fn is_running(&self) -> bool {
        self.size.is_some()
    }

    pub(super) fn terminal(&self) -> Option<Terminal> {
        self.terminal.clone()
    }

    pub(super) fn environment(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.environment.clone()
    }

    /// Whether the client forwards its agent.
    pub(super) fn agent(&self) -> bool {
        self.agent
    }

    /// Marks the channel as running; gives the terminal's size and its changes.
    pub(super) fn start(&mut self) -> watch::Receiver<WindowSize> {
        let size = self.terminal.as_ref().map(|terminal| terminal.size).unwrap_or_default();
        let (sender, receiver) = watch::channel(size);
        self.size = Some(sender);
        receiver
    }
}
