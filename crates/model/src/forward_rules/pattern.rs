//! Patterns for what is forwarded.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::end::{ForwardEnd, ForwardHost, ends_in_number, labels_are_plain};
use crate::file_rules::part_matches;
use crate::{InvalidRecord, PathGlob, SourceNetwork};

/// A pattern for destinations: `db:5432`, `*.corp:8000-8100`, `10.0.0.0/8:*`, `[fd00::/8]:22`, `/run/app/*.sock`.
///
/// Names are compared without regard to case. Within a part of a name `*` is any run of signs; a first part `*` is one
/// part or more, and `*` alone is every host. A network is for addresses only, never for a name that stands for one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ForwardTo(Pattern);

/// A pattern for what a target may be asked to listen on: `localhost:8080`, `127.0.0.1:*`, `*:0`, `/run/app/*.sock`.
///
/// As [`ForwardTo`]; besides, port 0 leaves the port to the target, and `localhost` is the loopback addresses, too.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ListenOn(Pattern);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Pattern {
    Tcp(Host, Ports),
    Unix(PathGlob),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Host {
    Every,
    /// In lower case.
    Name(String),
    Network(SourceNetwork),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Ports {
    Every,
    Range(u16, u16),
}

impl ForwardTo {
    /// Checks and makes a pattern.
    ///
    /// # Errors
    /// When it is none, or could not be for what it looks like.
    pub fn new(text: &str) -> Result<Self, InvalidRecord> {
        let refuse = |why| refused("destination", text, why);
        if text.starts_with(':') {
            return Err(refuse("names no host: write *:PORT for every host"));
        }
        match Pattern::new(text).map_err(refuse)? {
            Pattern::Tcp(_, Ports::Range(0, _)) => {
                Err(refuse("holds no port from 1 to 65535, range of ports such as 8000-8100, or *"))
            }
            pattern => Ok(Self(pattern)),
        }
    }

    /// True when the pattern is for this destination.
    pub fn covers(&self, end: &ForwardEnd) -> bool {
        // Port 0 is none to connect to.
        !matches!(end, ForwardEnd::Tcp { port: 0, .. }) && self.0.covers(end)
    }
}

impl ListenOn {
    /// Checks and makes a pattern. An address that is left out, as in `:8080`, is every one.
    ///
    /// # Errors
    /// When it is none, or could not be for what it looks like.
    pub fn new(text: &str) -> Result<Self, InvalidRecord> {
        let whole = if text.starts_with(':') { format!("*{text}") } else { text.to_owned() };
        Pattern::new(&whole).map(Self).map_err(|why| refused("address to listen on", text, why))
    }

    /// True when the pattern is for listening there.
    pub fn covers(&self, end: &ForwardEnd) -> bool {
        let loopback = match (&self.0, end) {
            (
                Pattern::Tcp(Host::Name(name), ports),
                ForwardEnd::Tcp { host: ForwardHost::Address(ip), port },
            ) => name == "localhost" && ports.have(*port) && is_loopback(*ip),
            _ => false,
        };
        loopback || self.0.covers(end)
    }
}

/// The addresses that `localhost` stands for (RFC 4254 §7.1).
fn is_loopback(ip: IpAddr) -> bool {
    ip == IpAddr::V4(Ipv4Addr::LOCALHOST) || ip == IpAddr::V6(Ipv6Addr::LOCALHOST)
}

fn refused(field: &'static str, text: &str, why: &'static str) -> InvalidRecord {
    InvalidRecord { field, value: text.chars().take(160).collect(), why }
}

impl Pattern {
    fn new(text: &str) -> Result<Self, &'static str> {
        if text.starts_with('/') {
            return match PathGlob::new(text) {
                Ok(glob) => Ok(Self::Unix(glob)),
                Err(error) => Err(error.why),
            };
        }
        let (host, port) = text
            .rsplit_once(':')
            .ok_or("is neither HOST:PORT, such as db:5432, nor a socket's path from /")?;
        Ok(Self::Tcp(Host::new(host)?, Ports::new(port)?))
    }

    fn covers(&self, end: &ForwardEnd) -> bool {
        match (self, end) {
            _ if end.unclear().is_some() => false,
            (Self::Tcp(of, ports), ForwardEnd::Tcp { host, port }) => ports.have(*port) && of.covers(host),
            (Self::Unix(glob), ForwardEnd::Unix(path)) => glob.matches(path),
            _ => false,
        }
    }
}

impl Host {
    fn new(text: &str) -> Result<Self, &'static str> {
        let brackets = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let inner = brackets.unwrap_or(text);
        if inner.contains(':') && brackets.is_none() {
            return Err("needs brackets around IPv6: [fd00::5]:22, [fd00::/8]:22");
        }
        match inner.parse::<SourceNetwork>() {
            Ok(network) if brackets.is_some() == inner.contains(':') => Self::network(network),
            _ if brackets.is_some() => Err("has brackets around what is no IPv6 address or network"),
            _ if inner.contains('/') => Err("holds no network: expected one such as 10.0.0.0/8"),
            _ => Self::name(inner),
        }
    }

    fn network(network: SourceNetwork) -> Result<Self, &'static str> {
        match network.range() {
            // Such addresses are IPv4 wherever they are compared.
            (IpAddr::V4(_), _) if network.to_string().contains(':') => {
                Err("is a network of IPv4 addresses in IPv6: write it as IPv4, such as 10.0.0.0/8")
            }
            _ => Ok(Self::Network(network)),
        }
    }

    fn name(text: &str) -> Result<Self, &'static str> {
        let name = text.strip_suffix('.').unwrap_or(text);
        if name == "*" {
            return Ok(Self::Every);
        }
        if !labels_are_plain(name, |byte| byte == b'*') || name.contains("**") {
            return Err(
                "holds no host: letters, digits, - and _ between single dots; * is the only wildcard",
            );
        }
        // 10.0.* would be for 10.0.example.com, and 127.1 is an address in a spelling that is refused.
        if ends_in_number(name) || !name.bytes().any(|byte| byte.is_ascii_alphabetic()) {
            return Err("is no name: write an address whole, or a network such as 10.0.0.0/8");
        }
        Ok(Self::Name(name.to_ascii_lowercase()))
    }

    fn covers(&self, host: &ForwardHost) -> bool {
        match (self, host) {
            (_, ForwardHost::Unclear(_)) => false,
            (Self::Every, _) => true,
            (Self::Name(glob), ForwardHost::Name(name)) => name_matches(glob, name),
            (Self::Network(network), ForwardHost::Address(ip)) if ForwardHost::is_whole_family(*ip) => {
                let last =
                    if ip.is_ipv4() { Ipv4Addr::BROADCAST.into() } else { Ipv6Addr::from(u128::MAX).into() };
                network.contains(*ip) && network.contains(last)
            }
            (Self::Network(network), ForwardHost::Address(ip)) => network.contains(*ip),
            _ => false,
        }
    }
}

/// Matches a name from its end, part by part; both are in lower case.
fn name_matches(glob: &str, name: &str) -> bool {
    let (mut globs, mut names) = (glob.split('.').rev().peekable(), name.split('.').rev());
    while let Some(glob) = globs.next() {
        let Some(label) = names.next() else { return false };
        if glob == "*" && globs.peek().is_none() {
            return true;
        }
        if !part_matches(glob.as_bytes(), label.as_bytes()) {
            return false;
        }
    }
    names.next().is_none()
}

impl Ports {
    fn new(text: &str) -> Result<Self, &'static str> {
        const NO_PORT: &str = "holds no port from 1 to 65535, range of ports such as 8000-8100, or *";
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            Some(text).filter(|_| digits)?.parse::<u16>().ok()
        };
        if text == "*" {
            return Ok(Self::Every);
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (number(first), number(last)) {
            // Port 0 is no port of a range: it leaves the choice to the target.
            (Some(first), Some(last)) if first <= last && (first > 0 || last == 0) => {
                Ok(Self::Range(first, last))
            }
            _ => Err(NO_PORT),
        }
    }

    fn have(self, port: u32) -> bool {
        match self {
            Self::Every => port <= u32::from(u16::MAX),
            Self::Range(first, last) => (u32::from(first)..=u32::from(last)).contains(&port),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, ports) => f.pad(&format!("{host}:{ports}")),
            Self::Unix(glob) => glob.fmt(f),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every => f.write_str("*"),
            Self::Name(name) => f.write_str(name),
            Self::Network(network) => {
                let text = network.to_string();
                let (first, last) = network.range();
                let whole = if first == last { first.to_string() } else { text };
                if whole.contains(':') { write!(f, "[{whole}]") } else { f.write_str(&whole) }
            }
        }
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every => f.write_str("*"),
            Self::Range(first, last) if first == last => write!(f, "{first}"),
            Self::Range(first, last) => write!(f, "{first}-{last}"),
        }
    }
}

macro_rules! text_is {
    ($pattern:ident) => {
        impl FromStr for $pattern {
            type Err = InvalidRecord;
            fn from_str(text: &str) -> Result<Self, InvalidRecord> {
                Self::new(text)
            }
        }
        impl TryFrom<String> for $pattern {
            type Error = InvalidRecord;
            fn try_from(text: String) -> Result<Self, InvalidRecord> {
                Self::new(&text)
            }
        }
        impl From<$pattern> for String {
            fn from(pattern: $pattern) -> Self {
                pattern.to_string()
            }
        }
        impl fmt::Display for $pattern {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}
text_is!(ForwardTo);
text_is!(ListenOn);
