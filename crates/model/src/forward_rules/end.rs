//! What a client asks to forward to, or to have listened on.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{Permission, escape};

/// Longest text of a peer that is shown, in bytes before escaping.
const SHOWN: usize = 200;
/// Longest name of a host, and of one part of it (RFC 1035 §2.3.4).
const NAME_BYTES: usize = 253;
const LABEL_BYTES: usize = 63;

/// Where a forwarded connection goes, or where a target listens for some, as a client writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForwardEnd {
    /// A host or address, and a port.
    Tcp {
        /// The host, made plain if it can be.
        host: ForwardHost,
        /// The port as it is on the wire, where it has 32 bits.
        port: u32,
    },
    /// A Unix socket, by a path of any bytes.
    Unix(Vec<u8>),
}

/// A host as a client writes it, made plain if it can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForwardHost {
    /// A name in lower case, without a dot at its end. What it stands for, only the target knows.
    Name(String),
    /// An address; IPv4-mapped IPv6 is IPv4.
    Address(IpAddr),
    /// To listen on: every address (RFC 4254 §7.1).
    Every,
    /// Neither a plain name nor an address in its usual form: programs read it differently. The text is escaped and cut.
    Unclear(String),
}

impl ForwardEnd {
    /// Reads what a client wants to reach (RFC 4254 §7.2).
    pub fn destination(host: &[u8], port: u32) -> Self {
        Self::Tcp { host: ForwardHost::new(host), port }
    }

    /// Reads what a client wants a target to listen on (RFC 4254 §7.1): no text, and `*` as OpenSSH has it, is every address.
    pub fn listener(address: &[u8], port: u32) -> Self {
        let host = match address {
            b"" | b"*" => ForwardHost::Every,
            address => ForwardHost::new(address),
        };
        Self::Tcp { host, port }
    }

    /// Reads `HOST:PORT`, `[IPv6]:PORT` or the path of a socket, as people write them; for `forward:remote` it is listened on.
    pub fn parse(text: &str, permission: Permission) -> Option<Self> {
        if text.starts_with('/') {
            return Some(Self::Unix(text.as_bytes().to_vec()));
        }
        let (host, port) = text.rsplit_once(':')?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let port = Some(port).filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()?;
        Some(match permission {
            Permission::ForwardRemote => Self::listener(host.as_bytes(), port),
            _ => Self::destination(host.as_bytes(), port),
        })
    }

    /// Why no rule can be for this end, if it is one that programs read differently.
    pub fn unclear(&self) -> Option<&'static str> {
        match self {
            Self::Tcp { host: ForwardHost::Unclear(_), .. } => {
                Some("the host is neither a plain name nor an address in its usual form")
            }
            Self::Tcp { port, .. } if *port > u32::from(u16::MAX) => Some("there is no such port"),
            Self::Unix(path) if !plain_path(path) => {
                Some("the path does not begin at /, or has empty parts, ., .., a backslash or a NUL in it")
            }
            _ => None,
        }
    }
}

impl fmt::Display for ForwardEnd {
    /// Shows `db:5432`, `[::1]:80`, `*:8080` or `/run/x.sock`, escaped and cut.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } => f.pad(&format!("{host}:{port}")),
            Self::Unix(path) => f.pad(&shown(path)),
        }
    }
}

impl ForwardHost {
    /// Reads a host.
    pub fn new(written: &[u8]) -> Self {
        let Some(text) = std::str::from_utf8(written).ok() else { return Self::Unclear(shown(written)) };
        if let Ok(address) = text.parse::<IpAddr>() {
            return Self::Address(address.to_canonical());
        }
        match plain_name(text) {
            Some(name) => Self::Name(name),
            None => Self::Unclear(shown(written)),
        }
    }

    /// True for an address that stands for every one of its family: to listen on it is to listen on all of them.
    pub(super) fn is_whole_family(address: IpAddr) -> bool {
        address == IpAddr::V4(Ipv4Addr::UNSPECIFIED) || address == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
    }
}

impl fmt::Display for ForwardHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) | Self::Unclear(name) => f.pad(name),
            Self::Address(IpAddr::V4(address)) => f.pad(&address.to_string()),
            Self::Address(IpAddr::V6(address)) => f.pad(&format!("[{address}]")),
            Self::Every => f.pad("*"),
        }
    }
}

/// A name in lower case, without the dot at its end; `None` if some program could take it for something else.
fn plain_name(text: &str) -> Option<String> {
    let name = text.strip_suffix('.').unwrap_or(text);
    (name.len() <= NAME_BYTES && labels_are_plain(name, |_| false) && !ends_in_number(name))
        .then(|| name.to_ascii_lowercase())
}

/// True when each part of a name has letters, digits, `-` and `_` only, and what else is allowed.
pub(super) fn labels_are_plain(name: &str, also: impl Fn(u8) -> bool) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' || also(byte);
    name.split('.').all(|label| (1..=LABEL_BYTES).contains(&label.len()) && label.bytes().all(plain))
}

/// True when the last part of a name is a number, also an octal or hexadecimal one: `inet_aton` takes such names for
/// addresses, `127.1` as well as `0x7f000001`.
pub(super) fn ends_in_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    last.bytes().all(|byte| byte.is_ascii_digit())
        || hex.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// True for an absolute path that nobody reads in another way.
fn plain_path(path: &[u8]) -> bool {
    let Some(rest) = path.strip_prefix(b"/") else { return false };
    let plain = |part: &[u8]| !matches!(part, b"" | b"." | b"..");
    !path.contains(&0) && !path.contains(&b'\\') && rest.split(|&byte| byte == b'/').all(plain)
}

fn shown(bytes: &[u8]) -> String {
    match bytes.get(..SHOWN) {
        Some(head) if bytes.len() > SHOWN => format!("{}…", escape(head)),
        _ => escape(bytes),
    }
}
