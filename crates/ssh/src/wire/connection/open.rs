//! Opening a channel: `CHANNEL_OPEN`, its confirmation and its failure (RFC 4254 §5.1).

use super::super::{Malformed, Reader, Writer};
use std::fmt;

/// `SSH_MSG_CHANNEL_OPEN`.
///
/// Source: RFC 4254 §5.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelOpen<'a> {
    /// What is to be opened.
    pub channel_type: ChannelType<'a>,
    /// The opener's own number for the channel.
    pub sender_channel: u32,
    /// Bytes that may be sent to the opener before it adjusts its window.
    pub initial_window_size: u32,
    /// The most data bytes that one packet to the opener may carry.
    pub maximum_packet_size: u32,
}

impl<'a> ChannelOpen<'a> {
    pub(super) fn parse(mut r: Reader<'a>) -> Result<Self, Malformed> {
        let name = super::name(&mut r, "channel type")?;
        Ok(Self {
            sender_channel: r.u32("sender channel")?,
            initial_window_size: r.u32("initial window size")?,
            maximum_packet_size: r.u32("maximum packet size")?,
            channel_type: ChannelType::parse(name, r)?,
        })
    }

    pub(super) fn write(&self, out: &mut impl Writer) {
        out.put_string(self.channel_type.name().as_bytes());
        out.put_u32(self.sender_channel);
        out.put_u32(self.initial_window_size);
        out.put_u32(self.maximum_packet_size);
        self.channel_type.write_body(out);
    }
}

/// A channel type with its type-specific data. Hosts and paths are the peer's bytes: escape them where shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelType<'a> {
    /// `session` (RFC 4254 §6.1)
    Session,
    /// `direct-tcpip` (RFC 4254 §7.2)
    DirectTcpip {
        /// Host to connect.
        host: &'a [u8],
        /// Port to connect; the wire has 32 bits.
        port: u32,
        /// Numeric address the connection came from.
        originator_address: &'a [u8],
        /// Port the connection came from.
        originator_port: u32,
    },
    /// `forwarded-tcpip` (RFC 4254 §7.2)
    ForwardedTcpip {
        /// Address that was connected, as given in `tcpip-forward`.
        connected_address: &'a [u8],
        /// Port that was connected.
        connected_port: u32,
        /// Address the connection came from.
        originator_address: &'a [u8],
        /// Port the connection came from.
        originator_port: u32,
    },
    /// `x11` (RFC 4254 §6.3.2)
    X11 {
        /// Address the X11 client connected from.
        originator_address: &'a [u8],
        /// Port it connected from.
        originator_port: u32,
    },
    /// `direct-streamlocal@openssh.com` (OpenSSH PROTOCOL §2.4)
    DirectStreamlocal {
        /// Path of the socket to connect.
        path: &'a [u8],
        /// Reserved string.
        reserved: &'a [u8],
        /// Reserved number.
        reserved_number: u32,
    },
    /// `forwarded-streamlocal@openssh.com` (OpenSSH PROTOCOL §2.4)
    ForwardedStreamlocal {
        /// Path of the socket that was connected, as given in `streamlocal-forward@openssh.com`.
        path: &'a [u8],
        /// Reserved string.
        reserved: &'a [u8],
    },
    /// `auth-agent@openssh.com`, from the target to the agent of the client.
    AuthAgent,
    /// `agent-connect`, the name that the agent protocol draft gives to `auth-agent@openssh.com`.
    AgentConnect,
    /// `tun@openssh.com` (OpenSSH PROTOCOL §2.3)
    Tun {
        /// 1 is point to point, 2 is Ethernet.
        mode: u32,
        /// Unit number, `0x7fffffff` for any.
        unit: u32,
    },
    /// Any other channel type.
    Unknown {
        /// Its name: printable ASCII, at most 64 bytes.
        name: &'a str,
        /// Its type-specific data.
        data: &'a [u8],
    },
}

impl<'a> ChannelType<'a> {
    fn parse(name: &'a str, mut r: Reader<'a>) -> Result<Self, Malformed> {
        let kind = match name {
            "session" => Self::Session,
            "direct-tcpip" => Self::DirectTcpip {
                host: r.string("host to connect")?,
                port: r.u32("port to connect")?,
                originator_address: r.string("originator address")?,
                originator_port: r.u32("originator port")?,
            },
            "forwarded-tcpip" => Self::ForwardedTcpip {
                connected_address: r.string("connected address")?,
                connected_port: r.u32("connected port")?,
                originator_address: r.string("originator address")?,
                originator_port: r.u32("originator port")?,
            },
            "x11" => Self::X11 {
                originator_address: r.string("originator address")?,
                originator_port: r.u32("originator port")?,
            },
            "direct-streamlocal@openssh.com" => Self::DirectStreamlocal {
                path: r.string("socket path")?,
                reserved: r.string("reserved")?,
                reserved_number: r.u32("reserved")?,
            },
            "forwarded-streamlocal@openssh.com" => {
                Self::ForwardedStreamlocal { path: r.string("socket path")?, reserved: r.string("reserved")? }
            }
            "auth-agent@openssh.com" => Self::AuthAgent,
            "agent-connect" => Self::AgentConnect,
            "tun@openssh.com" => {
                Self::Tun { mode: r.u32("tunnel mode")?, unit: r.u32("remote unit number")? }
            }
            _ => return Ok(Self::Unknown { name, data: r.rest() }),
        };
        r.end("channel type specific data")?;
        Ok(kind)
    }

    fn write_body(&self, out: &mut impl Writer) {
        match *self {
            Self::Session | Self::AuthAgent | Self::AgentConnect => {}
            Self::DirectTcpip { host: address, port, originator_address, originator_port }
            | Self::ForwardedTcpip {
                connected_address: address,
                connected_port: port,
                originator_address,
                originator_port,
            } => {
                out.put_string(address);
                out.put_u32(port);
                out.put_string(originator_address);
                out.put_u32(originator_port);
            }
            Self::X11 { originator_address, originator_port } => {
                out.put_string(originator_address);
                out.put_u32(originator_port);
            }
            Self::DirectStreamlocal { path, reserved, reserved_number } => {
                out.put_string(path);
                out.put_string(reserved);
                out.put_u32(reserved_number);
            }
            Self::ForwardedStreamlocal { path, reserved } => {
                out.put_string(path);
                out.put_string(reserved);
            }
            Self::Tun { mode, unit } => {
                out.put_u32(mode);
                out.put_u32(unit);
            }
            Self::Unknown { data, .. } => out.put(data),
        }
    }

    /// The channel type's name on the wire.
    pub const fn name(&self) -> &'a str {
        match *self {
            Self::Session => "session",
            Self::DirectTcpip { .. } => "direct-tcpip",
            Self::ForwardedTcpip { .. } => "forwarded-tcpip",
            Self::X11 { .. } => "x11",
            Self::DirectStreamlocal { .. } => "direct-streamlocal@openssh.com",
            Self::ForwardedStreamlocal { .. } => "forwarded-streamlocal@openssh.com",
            Self::AuthAgent => "auth-agent@openssh.com",
            Self::AgentConnect => "agent-connect",
            Self::Tun { .. } => "tun@openssh.com",
            Self::Unknown { name, .. } => name,
        }
    }

    /// Which type it is, without its data.
    pub const fn kind(&self) -> ChannelKind {
        match self {
            Self::Session => ChannelKind::Session,
            Self::DirectTcpip { .. } => ChannelKind::DirectTcpip,
            Self::ForwardedTcpip { .. } => ChannelKind::ForwardedTcpip,
            Self::X11 { .. } => ChannelKind::X11,
            Self::DirectStreamlocal { .. } => ChannelKind::DirectStreamlocal,
            Self::ForwardedStreamlocal { .. } => ChannelKind::ForwardedStreamlocal,
            Self::AuthAgent | Self::AgentConnect => ChannelKind::AuthAgent,
            Self::Tun { .. } => ChannelKind::Tun,
            Self::Unknown { .. } => ChannelKind::Unknown,
        }
    }
}

/// A channel type without its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChannelKind {
    /// `session`
    Session,
    /// `direct-tcpip`
    DirectTcpip,
    /// `forwarded-tcpip`
    ForwardedTcpip,
    /// `x11`
    X11,
    /// `direct-streamlocal@openssh.com`
    DirectStreamlocal,
    /// `forwarded-streamlocal@openssh.com`
    ForwardedStreamlocal,
    /// `auth-agent@openssh.com` or `agent-connect`
    AuthAgent,
    /// `tun@openssh.com`
    Tun,
    /// Any other.
    Unknown,
}

/// `SSH_MSG_CHANNEL_OPEN_CONFIRMATION`.
///
/// Source: RFC 4254 §5.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenConfirmation<'a> {
    /// The opener's number of the channel.
    pub recipient_channel: u32,
    /// The confirming side's own number for it.
    pub sender_channel: u32,
    /// Bytes that may be sent to the confirming side before it adjusts its window.
    pub initial_window_size: u32,
    /// The most data bytes that one packet to the confirming side may carry.
    pub maximum_packet_size: u32,
    /// Channel type specific data; none of the known types has any.
    pub data: &'a [u8],
}

impl<'a> OpenConfirmation<'a> {
    pub(super) fn parse(mut r: Reader<'a>) -> Result<Self, Malformed> {
        Ok(Self {
            recipient_channel: r.u32("recipient channel")?,
            sender_channel: r.u32("sender channel")?,
            initial_window_size: r.u32("initial window size")?,
            maximum_packet_size: r.u32("maximum packet size")?,
            data: r.rest(),
        })
    }

    pub(super) fn write(&self, out: &mut impl Writer) {
        out.put_u32(self.recipient_channel);
        out.put_u32(self.sender_channel);
        out.put_u32(self.initial_window_size);
        out.put_u32(self.maximum_packet_size);
        out.put(self.data);
    }
}

/// `SSH_MSG_CHANNEL_OPEN_FAILURE`.
///
/// Source: RFC 4254 §5.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFailure<'a> {
    /// The opener's number of the channel.
    pub recipient_channel: u32,
    /// Why it failed.
    pub reason: OpenFailureReason,
    /// Text for a human, in the peer's bytes: escape it where shown.
    pub description: &'a [u8],
    /// Language tag (RFC 3066), usually empty.
    pub language: &'a [u8],
}

impl<'a> OpenFailure<'a> {
    pub(super) fn parse(mut r: Reader<'a>) -> Result<Self, Malformed> {
        let recipient_channel = r.u32("recipient channel")?;
        let reason = OpenFailureReason(r.u32("reason code")?);
        let description = r.string("description")?;
        // Some old servers leave the language tag out, as the drafts before RFC 4254 did.
        let language = if r.is_empty() { &[][..] } else { r.string("language tag")? };
        r.end("channel open failure")?;
        Ok(Self { recipient_channel, reason, description, language })
    }

    pub(super) fn write(&self, out: &mut impl Writer) {
        out.put_u32(self.recipient_channel);
        out.put_u32(self.reason.0);
        out.put_string(self.description);
        out.put_string(self.language);
    }
}

/// A reason code of `CHANNEL_OPEN_FAILURE`; the peer may send any number.
///
/// Source: RFC 4254 §5.1.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct OpenFailureReason(pub u32);

impl OpenFailureReason {
    /// `SSH_OPEN_ADMINISTRATIVELY_PROHIBITED`
    pub const ADMINISTRATIVELY_PROHIBITED: Self = Self(1);
    /// `SSH_OPEN_CONNECT_FAILED`
    pub const CONNECT_FAILED: Self = Self(2);
    /// `SSH_OPEN_UNKNOWN_CHANNEL_TYPE`
    pub const UNKNOWN_CHANNEL_TYPE: Self = Self(3);
    /// `SSH_OPEN_RESOURCE_SHORTAGE`
    pub const RESOURCE_SHORTAGE: Self = Self(4);
}

impl fmt::Display for OpenFailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ADMINISTRATIVELY_PROHIBITED => f.write_str("administratively prohibited"),
            Self::CONNECT_FAILED => f.write_str("connect failed"),
            Self::UNKNOWN_CHANNEL_TYPE => f.write_str("unknown channel type"),
            Self::RESOURCE_SHORTAGE => f.write_str("resource shortage"),
            Self(code) => write!(f, "reason {code}"),
        }
    }
}

impl fmt::Debug for OpenFailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenFailureReason({} {self})", self.0)
    }
}
