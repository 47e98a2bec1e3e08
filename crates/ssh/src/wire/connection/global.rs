//! `GLOBAL_REQUEST` (RFC 4254 §4 and §7.1, OpenSSH PROTOCOL §2.2, §2.4, §2.5).

use super::super::{Malformed, Reader, Writer};

/// `SSH_MSG_GLOBAL_REQUEST`.
///
/// Source: RFC 4254 §4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GlobalRequest<'a> {
    /// True when `REQUEST_SUCCESS` or `REQUEST_FAILURE` is expected, in the order of the requests.
    pub want_reply: bool,
    /// What is requested.
    pub request_type: GlobalRequestType<'a>,
}

impl<'a> GlobalRequest<'a> {
    pub(super) fn parse(mut r: Reader<'a>) -> Result<Self, Malformed> {
        let name = super::name(&mut r, "global request name")?;
        let want_reply = r.bool("want reply")?;
        Ok(Self { want_reply, request_type: GlobalRequestType::parse(name, r)? })
    }

    pub(super) fn write(&self, out: &mut impl Writer) {
        out.put_string(self.request_type.name().as_bytes());
        out.put_bool(self.want_reply);
        self.request_type.write_body(out);
    }
}

/// A global request with its data. Addresses and paths are the peer's bytes: escape them where shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GlobalRequestType<'a> {
    /// `tcpip-forward` (RFC 4254 §7.1)
    TcpipForward {
        /// Address to bind.
        address: &'a [u8],
        /// Port to bind; 0 lets the receiver choose, and its answer carries the port.
        port: u32,
    },
    /// `cancel-tcpip-forward` (RFC 4254 §7.1)
    CancelTcpipForward {
        /// Address that was bound.
        address: &'a [u8],
        /// Port that was bound.
        port: u32,
    },
    /// `streamlocal-forward@openssh.com` (OpenSSH PROTOCOL §2.4)
    StreamlocalForward {
        /// Path of the socket to listen on.
        path: &'a [u8],
    },
    /// `cancel-streamlocal-forward@openssh.com` (OpenSSH PROTOCOL §2.4)
    CancelStreamlocalForward {
        /// Path of the socket.
        path: &'a [u8],
    },
    /// `no-more-sessions@openssh.com` (OpenSSH PROTOCOL §2.2)
    NoMoreSessions,
    /// `hostkeys-00@openssh.com`: every host key of a server (OpenSSH PROTOCOL §2.5)
    HostKeys(HostKeyBlobs<'a>),
    /// `hostkeys-prove-00@openssh.com`: sign with these host keys (OpenSSH PROTOCOL §2.5)
    HostKeysProve(HostKeyBlobs<'a>),
    /// `keepalive@openssh.com`
    Keepalive,
    /// Any other global request.
    Unknown {
        /// Its name: printable ASCII, at most 64 bytes.
        name: &'a str,
        /// Its data.
        data: &'a [u8],
    },
}

impl<'a> GlobalRequestType<'a> {
    fn parse(name: &'a str, mut r: Reader<'a>) -> Result<Self, Malformed> {
        let request = match name {
            "tcpip-forward" => {
                Self::TcpipForward { address: r.string("address to bind")?, port: r.u32("port to bind")? }
            }
            "cancel-tcpip-forward" => Self::CancelTcpipForward {
                address: r.string("address to bind")?,
                port: r.u32("port to bind")?,
            },
            "streamlocal-forward@openssh.com" => Self::StreamlocalForward { path: r.string("socket path")? },
            "cancel-streamlocal-forward@openssh.com" => {
                Self::CancelStreamlocalForward { path: r.string("socket path")? }
            }
            "no-more-sessions@openssh.com" => Self::NoMoreSessions,
            "hostkeys-00@openssh.com" => return Ok(Self::HostKeys(HostKeyBlobs::parse(r)?)),
            "hostkeys-prove-00@openssh.com" => return Ok(Self::HostKeysProve(HostKeyBlobs::parse(r)?)),
            // Nobody looks at what follows, so what follows is no reason to refuse it.
            "keepalive@openssh.com" if r.is_empty() => Self::Keepalive,
            _ => return Ok(Self::Unknown { name, data: r.rest() }),
        };
        r.end("global request")?;
        Ok(request)
    }

    fn write_body(&self, out: &mut impl Writer) {
        match *self {
            Self::TcpipForward { address, port } | Self::CancelTcpipForward { address, port } => {
                out.put_string(address);
                out.put_u32(port);
            }
            Self::StreamlocalForward { path } | Self::CancelStreamlocalForward { path } => {
                out.put_string(path)
            }
            Self::NoMoreSessions | Self::Keepalive => {}
            Self::HostKeys(blobs) | Self::HostKeysProve(blobs) => out.put(blobs.0),
            Self::Unknown { data, .. } => out.put(data),
        }
    }

    /// The request's name on the wire.
    pub const fn name(&self) -> &'a str {
        match *self {
            Self::TcpipForward { .. } => "tcpip-forward",
            Self::CancelTcpipForward { .. } => "cancel-tcpip-forward",
            Self::StreamlocalForward { .. } => "streamlocal-forward@openssh.com",
            Self::CancelStreamlocalForward { .. } => "cancel-streamlocal-forward@openssh.com",
            Self::NoMoreSessions => "no-more-sessions@openssh.com",
            Self::HostKeys(_) => "hostkeys-00@openssh.com",
            Self::HostKeysProve(_) => "hostkeys-prove-00@openssh.com",
            Self::Keepalive => "keepalive@openssh.com",
            Self::Unknown { name, .. } => name,
        }
    }

    /// Which request it is, without its data.
    pub const fn kind(&self) -> GlobalKind {
        match self {
            Self::TcpipForward { .. } => GlobalKind::TcpipForward,
            Self::CancelTcpipForward { .. } => GlobalKind::CancelTcpipForward,
            Self::StreamlocalForward { .. } => GlobalKind::StreamlocalForward,
            Self::CancelStreamlocalForward { .. } => GlobalKind::CancelStreamlocalForward,
            Self::NoMoreSessions => GlobalKind::NoMoreSessions,
            Self::HostKeys(_) => GlobalKind::HostKeys,
            Self::HostKeysProve(_) => GlobalKind::HostKeysProve,
            Self::Keepalive => GlobalKind::Keepalive,
            Self::Unknown { .. } => GlobalKind::Unknown,
        }
    }
}

/// A global request without its data; kept while its reply is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GlobalKind {
    /// `tcpip-forward`
    TcpipForward,
    /// `cancel-tcpip-forward`
    CancelTcpipForward,
    /// `streamlocal-forward@openssh.com`
    StreamlocalForward,
    /// `cancel-streamlocal-forward@openssh.com`
    CancelStreamlocalForward,
    /// `no-more-sessions@openssh.com`
    NoMoreSessions,
    /// `hostkeys-00@openssh.com`
    HostKeys,
    /// `hostkeys-prove-00@openssh.com`
    HostKeysProve,
    /// `keepalive@openssh.com`
    Keepalive,
    /// Any other.
    Unknown,
}

/// A sequence of host key blobs, each checked to be a whole `string`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostKeyBlobs<'a>(&'a [u8]);

impl<'a> HostKeyBlobs<'a> {
    /// Checks a sequence of `string`s, as it follows `want reply`.
    ///
    /// # Errors
    /// When a length exceeds what is left.
    pub fn parse(mut r: Reader<'a>) -> Result<Self, Malformed> {
        let all = r.rest();
        while !r.is_empty() {
            r.string("host key")?;
        }
        Ok(Self(all))
    }

    /// The blobs in order.
    pub fn iter(self) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = Reader::new(self.0);
        std::iter::from_fn(move || rest.string("host key").ok())
    }
}
