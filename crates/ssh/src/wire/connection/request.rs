//! `CHANNEL_REQUEST` and the requests of sessions (RFC 4254 §5.4 and §6, RFC 4335, OpenSSH PROTOCOL).

use super::super::{Malformed, Reader, Writer};
use super::PtyRequest;
use std::fmt;

/// `SSH_MSG_CHANNEL_REQUEST`.
///
/// Source: RFC 4254 §5.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelRequest<'a> {
    /// The receiver's number of the channel.
    pub recipient_channel: u32,
    /// True when `CHANNEL_SUCCESS` or `CHANNEL_FAILURE` is expected, in the order of the requests.
    pub want_reply: bool,
    /// What is requested.
    pub request_type: RequestType<'a>,
}

impl<'a> ChannelRequest<'a> {
    pub(super) fn parse(mut r: Reader<'a>) -> Result<Self, Malformed> {
        let recipient_channel = r.u32("recipient channel")?;
        let name = super::name(&mut r, "channel request type")?;
        let want_reply = r.bool("want reply")?;
        Ok(Self { recipient_channel, want_reply, request_type: RequestType::parse(name, r)? })
    }

    pub(super) fn write(&self, out: &mut impl Writer) {
        out.put_u32(self.recipient_channel);
        out.put_string(self.request_type.name().as_bytes());
        out.put_bool(self.want_reply);
        self.request_type.write_body(out);
    }
}

/// A channel request type with its type-specific data. Strings are the peer's bytes: escape them where shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestType<'a> {
    /// `pty-req` (RFC 4254 §6.2)
    PtyReq(PtyRequest<'a>),
    /// `x11-req` (RFC 4254 §6.3.1)
    X11Req(X11Request<'a>),
    /// `env` (RFC 4254 §6.4)
    Env {
        /// Name of the variable.
        name: &'a [u8],
        /// Its value.
        value: &'a [u8],
    },
    /// `shell` (RFC 4254 §6.5)
    Shell,
    /// `exec` (RFC 4254 §6.5)
    Exec {
        /// The command line, for the login's shell on the target.
        command: &'a [u8],
    },
    /// `subsystem` (RFC 4254 §6.5)
    Subsystem {
        /// Its name, such as `sftp`.
        name: &'a [u8],
    },
    /// `window-change` (RFC 4254 §6.7)
    WindowChange(WindowSize),
    /// `xon-xoff` (RFC 4254 §6.8)
    XonXoff {
        /// The client may do flow control with Control-S and Control-Q.
        client_can_do: bool,
    },
    /// `signal` (RFC 4254 §6.9)
    Signal {
        /// Name without `SIG`; see [`Signal::from_name`](super::Signal::from_name).
        name: &'a [u8],
    },
    /// `exit-status` (RFC 4254 §6.10)
    ExitStatus {
        /// What the program returned.
        status: u32,
    },
    /// `exit-signal` (RFC 4254 §6.10)
    ExitSignal(ExitSignal<'a>),
    /// `break` (RFC 4335)
    Break {
        /// Length of the break in milliseconds; 0 leaves it to the receiver.
        milliseconds: u32,
    },
    /// `auth-agent-req@openssh.com`: forward the client's agent.
    AuthAgentReq,
    /// `agent-req`, the name that the agent protocol draft gives to `auth-agent-req@openssh.com`.
    AgentReq,
    /// `eow@openssh.com`: the sender will read no more (OpenSSH PROTOCOL §2.1)
    EndOfWrite,
    /// `keepalive@openssh.com`
    Keepalive,
    /// Any other request type.
    Unknown {
        /// Its name: printable ASCII, at most 64 bytes.
        name: &'a str,
        /// Its type-specific data.
        data: &'a [u8],
    },
}

impl<'a> RequestType<'a> {
    fn parse(name: &'a str, mut r: Reader<'a>) -> Result<Self, Malformed> {
        let request = match name {
            "pty-req" => Self::PtyReq(PtyRequest::parse(&mut r)?),
            "x11-req" => Self::X11Req(X11Request::parse(&mut r)?),
            "env" => Self::Env { name: r.string("variable name")?, value: r.string("variable value")? },
            "shell" => Self::Shell,
            "exec" => Self::Exec { command: r.string("command")? },
            "subsystem" => Self::Subsystem { name: r.string("subsystem name")? },
            "window-change" => Self::WindowChange(WindowSize::parse(&mut r)?),
            "xon-xoff" => Self::XonXoff { client_can_do: r.bool("client can do")? },
            "signal" => Self::Signal { name: r.string("signal name")? },
            "exit-status" => Self::ExitStatus { status: r.u32("exit_status")? },
            "exit-signal" => Self::ExitSignal(ExitSignal::parse(&mut r)?),
            "break" => Self::Break { milliseconds: r.u32("break-length in milliseconds")? },
            "auth-agent-req@openssh.com" => Self::AuthAgentReq,
            "agent-req" => Self::AgentReq,
            // Nobody looks at what follows these two, so what follows is no reason to refuse them.
            "eow@openssh.com" if r.is_empty() => Self::EndOfWrite,
            "keepalive@openssh.com" if r.is_empty() => Self::Keepalive,
            _ => return Ok(Self::Unknown { name, data: r.rest() }),
        };
        r.end("channel request")?;
        Ok(request)
    }

    fn write_body(&self, out: &mut impl Writer) {
        match *self {
            Self::PtyReq(ref pty) => pty.write(out),
            Self::X11Req(ref x11) => x11.write(out),
            Self::Env { name, value } => {
                out.put_string(name);
                out.put_string(value);
            }
            Self::Exec { command: string }
            | Self::Subsystem { name: string }
            | Self::Signal { name: string } => {
                out.put_string(string);
            }
            Self::WindowChange(ref size) => size.write(out),
            Self::XonXoff { client_can_do } => out.put_bool(client_can_do),
            Self::ExitStatus { status: number } | Self::Break { milliseconds: number } => out.put_u32(number),
            Self::ExitSignal(ref exit) => exit.write(out),
            Self::Shell | Self::AuthAgentReq | Self::AgentReq | Self::EndOfWrite | Self::Keepalive => {}
            Self::Unknown { data, .. } => out.put(data),
        }
    }

    /// The request type's name on the wire.
    pub const fn name(&self) -> &'a str {
        match *self {
            Self::PtyReq(_) => "pty-req",
            Self::X11Req(_) => "x11-req",
            Self::Env { .. } => "env",
            Self::Shell => "shell",
            Self::Exec { .. } => "exec",
            Self::Subsystem { .. } => "subsystem",
            Self::WindowChange(_) => "window-change",
            Self::XonXoff { .. } => "xon-xoff",
            Self::Signal { .. } => "signal",
            Self::ExitStatus { .. } => "exit-status",
            Self::ExitSignal(_) => "exit-signal",
            Self::Break { .. } => "break",
            Self::AuthAgentReq => "auth-agent-req@openssh.com",
            Self::AgentReq => "agent-req",
            Self::EndOfWrite => "eow@openssh.com",
            Self::Keepalive => "keepalive@openssh.com",
            Self::Unknown { name, .. } => name,
        }
    }

    /// Which request it is, without its data.
    pub const fn kind(&self) -> RequestKind {
        match self {
            Self::PtyReq(_) => RequestKind::PtyReq,
            Self::X11Req(_) => RequestKind::X11Req,
            Self::Env { .. } => RequestKind::Env,
            Self::Shell => RequestKind::Shell,
            Self::Exec { .. } => RequestKind::Exec,
            Self::Subsystem { .. } => RequestKind::Subsystem,
            Self::WindowChange(_) => RequestKind::WindowChange,
            Self::XonXoff { .. } => RequestKind::XonXoff,
            Self::Signal { .. } => RequestKind::Signal,
            Self::ExitStatus { .. } => RequestKind::ExitStatus,
            Self::ExitSignal(_) => RequestKind::ExitSignal,
            Self::Break { .. } => RequestKind::Break,
            Self::AuthAgentReq | Self::AgentReq => RequestKind::AuthAgentReq,
            Self::EndOfWrite => RequestKind::EndOfWrite,
            Self::Keepalive => RequestKind::Keepalive,
            Self::Unknown { .. } => RequestKind::Unknown,
        }
    }
}

/// A channel request type without its data; one byte, kept while its reply is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequestKind {
    /// `pty-req`
    PtyReq,
    /// `x11-req`
    X11Req,
    /// `env`
    Env,
    /// `shell`
    Shell,
    /// `exec`
    Exec,
    /// `subsystem`
    Subsystem,
    /// `window-change`
    WindowChange,
    /// `xon-xoff`
    XonXoff,
    /// `signal`
    Signal,
    /// `exit-status`
    ExitStatus,
    /// `exit-signal`
    ExitSignal,
    /// `break`
    Break,
    /// `auth-agent-req@openssh.com` or `agent-req`
    AuthAgentReq,
    /// `eow@openssh.com`
    EndOfWrite,
    /// `keepalive@openssh.com`
    Keepalive,
    /// Any other.
    Unknown,
}

impl RequestKind {
    /// True for `shell`, `exec` and `subsystem`, of which a session channel runs one (RFC 4254 §6.5).
    pub const fn starts_program(self) -> bool {
        matches!(self, Self::Shell | Self::Exec | Self::Subsystem)
    }

    /// True for `exit-status` and `exit-signal`.
    pub const fn reports_exit(self) -> bool {
        matches!(self, Self::ExitStatus | Self::ExitSignal)
    }
}

/// The size of a terminal. Columns and rows of 0 mean that the pixels count (RFC 4254 §6.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WindowSize {
    /// Width in characters.
    pub cols: u32,
    /// Height in characters.
    pub rows: u32,
    /// Width in pixels.
    pub width_pixels: u32,
    /// Height in pixels.
    pub height_pixels: u32,
}

impl WindowSize {
    pub(super) fn parse(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            cols: r.u32("terminal width, columns")?,
            rows: r.u32("terminal height, rows")?,
            width_pixels: r.u32("terminal width, pixels")?,
            height_pixels: r.u32("terminal height, pixels")?,
        })
    }

    pub(super) fn write(&self, out: &mut impl Writer) {
        for number in [self.cols, self.rows, self.width_pixels, self.height_pixels] {
            out.put_u32(number);
        }
    }
}

/// The body of an `exit-signal`.
///
/// Source: RFC 4254 §6.10.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExitSignal<'a> {
    /// Name without `SIG`; see [`Signal::from_name`](super::Signal::from_name).
    pub name: &'a [u8],
    /// The program left a core dump.
    pub core_dumped: bool,
    /// Text for a human, in the peer's bytes.
    pub message: &'a [u8],
    /// Language tag (RFC 3066), usually empty.
    pub language: &'a [u8],
}

impl<'a> ExitSignal<'a> {
    fn parse(r: &mut Reader<'a>) -> Result<Self, Malformed> {
        Ok(Self {
            name: r.string("signal name")?,
            core_dumped: r.bool("core dumped")?,
            message: r.string("error message")?,
            language: r.string("language tag")?,
        })
    }

    fn write(&self, out: &mut impl Writer) {
        out.put_string(self.name);
        out.put_bool(self.core_dumped);
        out.put_string(self.message);
        out.put_string(self.language);
    }
}

/// The body of an `x11-req`.
///
/// Source: RFC 4254 §6.3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct X11Request<'a> {
    /// Only one connection is to be forwarded.
    pub single_connection: bool,
    /// Authentication protocol, such as `MIT-MAGIC-COOKIE-1`.
    pub protocol: &'a [u8],
    /// The cookie in hexadecimal.
    pub cookie: X11Cookie<'a>,
    /// Screen number.
    pub screen: u32,
}

impl<'a> X11Request<'a> {
    fn parse(r: &mut Reader<'a>) -> Result<Self, Malformed> {
        Ok(Self {
            single_connection: r.bool("single connection")?,
            protocol: r.string("x11 authentication protocol")?,
            cookie: X11Cookie(r.string("x11 authentication cookie")?),
            screen: r.u32("x11 screen number")?,
        })
    }

    fn write(&self, out: &mut impl Writer) {
        out.put_bool(self.single_connection);
        out.put_string(self.protocol);
        out.put_string(self.cookie.0);
        out.put_u32(self.screen);
    }
}

/// An X11 authentication cookie: a secret, so `Debug` does not show it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct X11Cookie<'a>(pub &'a [u8]);

impl fmt::Debug for X11Cookie<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}
