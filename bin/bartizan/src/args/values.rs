//! Values of arguments: checked when read, so that a fault is a usage error that names the argument.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use bartizan_model::event::Body;
use bartizan_model::{
    FileRules, Fingerprint, Label, LoginName, Recording, SourceNetwork, Target, TargetName, Timestamp, escape,
};
use clap::builder::PossibleValuesParser;

/// Where a target listens: `HOST[:PORT]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl FromStr for Address {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let bad_port = || format!("\"{}\" holds no port from 1 to 65535", shown(text));
        let (host, port) = match (text.strip_prefix('['), text.matches(':').count()) {
            (Some(rest), _) => {
                let (host, rest) = rest.split_once(']').ok_or("expected ] after the address")?;
                (host, rest.strip_prefix(':').or(rest.is_empty().then_some("22")).ok_or_else(bad_port)?)
            }
            (None, 1) => text.split_once(':').unwrap_or((text, "22")),
            // No colon at all, or a bare IPv6 address.
            (None, _) => match text.rsplit_once(':') {
                Some((host, port)) if is_ipv6(host) && port.parse::<u16>().is_ok() => {
                    return Err(format!(
                        "\"{text}\" could be an address, or one with a port; write [{host}]:{port} or [{text}]:22"
                    ));
                }
                _ => (text, "22"),
            },
        };
        Target::check_host(host).map_err(|e| e.to_string())?;
        match port.parse() {
            Ok(port) if port > 0 => Ok(Self { host: host.to_owned(), port }),
            _ => Err(bad_port()),
        }
    }
}

/// `LOGIN@TARGET`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LoginAt {
    pub(crate) login: LoginName,
    pub(crate) target: TargetName,
}

impl FromStr for LoginAt {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (login, target) = text.rsplit_once('@').ok_or("expected LOGIN@TARGET, such as root@web-1")?;
        let name = |e: bartizan_model::InvalidName| e.to_string();
        Ok(Self { login: login.parse().map_err(name)?, target: target.parse().map_err(name)? })
    }
}

/// `env=prod` sets a label, `env-` removes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LabelEdit {
    /// Sets a label.
    Set(Label),
    /// Removes the label with this key.
    Unset(String),
}

impl FromStr for LabelEdit {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let refused = |e: bartizan_model::InvalidRecord| e.to_string();
        match text.strip_suffix('-').filter(|key| !key.contains('=')) {
            Some(key) => Label::new(key, "").map(|label| Self::Unset(label.key().into())).map_err(refused),
            None => text.parse().map(Self::Set).map_err(refused),
        }
    }
}

/// An id or the start of one: letters, digits and hyphens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IdPrefix(String);

impl IdPrefix {
    /// The text, in lower case as ids are.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IdPrefix {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let good = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        if (1..=64).contains(&text.len()) && text.bytes().all(good) {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        Err("expected an id as listings show it, or the start of one".into())
    }
}

impl fmt::Display for IdPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A public key: by its file, or by its fingerprint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeyOrPrint {
    /// The file; `-` is standard input.
    File(PathBuf),
    /// The fingerprint.
    Print(Fingerprint),
}

impl FromStr for KeyOrPrint {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(fingerprint) => Ok(Self::Print(fingerprint)),
            Err(_) if text.starts_with("SHA256:") => {
                Err("not a fingerprint: expected SHA256: and 43 base64 characters".into())
            }
            Err(_) => Ok(Self::File(text.into())),
        }
    }
}

/// What is kept of each channel without a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordSize(Option<u64>);

impl RecordSize {
    /// The recording that a grant asks for.
    pub(crate) fn recording(self, input: bool) -> Recording {
        Recording { channel_cap: self.0, input }
    }
}

impl FromStr for RecordSize {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Recording::parse_cap(text)
            .map(Self)
            .ok_or_else(|| "expected full, digests, or a size such as 64K, 16M or 1G".into())
    }
}

/// Reads the size of a file: bytes, or `64K`, `16M`, `1G`.
pub(crate) fn file_size(text: &str) -> Result<u64, String> {
    match FileRules::parse_size(text) {
        Some(0) => {
            Err("no file but an empty one would pass; leave sftp:write and sftp:read out instead".into())
        }
        size => size.ok_or_else(|| FileRules::NO_SIZE.to_owned()),
    }
}

/// How many times faster than it was: 0.1 to 100, kept in tenths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Speed(u32);

impl Speed {
    /// The speed in tenths: 10 is as it was.
    pub(crate) const fn tenths(self) -> u32 {
        self.0
    }
}

impl FromStr for Speed {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (whole, tenth) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let tenths = (digits(whole) && digits(tenth) && tenth.len() == 1)
            .then(|| Some(whole.parse::<u32>().ok()?.checked_mul(10)? + tenth.parse::<u32>().ok()?))
            .flatten();
        tenths.filter(|t| (1..=1000).contains(t)).map(Self).ok_or_else(|| "expected 0.1 to 100".into())
    }
}

/// Reads `500ms`, `90s`, `10m`, `2h` or `7d`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let millis = match &text[number.len()..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err("expected a duration such as 500ms, 90s, 10m, 2h or 7d".into()),
    };
    let value = number.parse::<u64>().ok().and_then(|n| n.checked_mul(millis)).map(Duration::from_millis);
    value.ok_or_else(|| "expected a duration such as 500ms, 90s, 10m, 2h or 7d".into())
}

/// A time, or how long ago.
pub(crate) fn past(text: &str) -> Result<Timestamp, String> {
    moment(text, |ago| Timestamp::now().saturating_sub(ago))
}

/// A time, or how long from now.
pub(crate) fn future(text: &str) -> Result<Timestamp, String> {
    moment(text, |from_now| Timestamp::now().saturating_add(from_now))
}

fn moment(text: &str, relative: impl FnOnce(Duration) -> Timestamp) -> Result<Timestamp, String> {
    if let Ok(duration) = duration(text) {
        return Ok(relative(duration));
    }
    // A date alone is its beginning, UTC.
    let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    whole.parse().map_err(|_| {
        "expected a time such as 2026-12-31T18:00:00Z or 2026-12-31, or a duration such as 2h or 7d".into()
    })
}

/// The types of events, and their groups: `sftp.*`. Help and completion list them.
pub(crate) fn event_types() -> PossibleValuesParser {
    let groups: BTreeSet<&str> =
        Body::KINDS.iter().filter_map(|kind| Some(kind.split_once('.')?.0)).collect();
    // Made once, for as long as the program runs: such text is what clap takes.
    let groups = groups.into_iter().map(|group| &*format!("{group}.*").leak());
    let all: BTreeSet<&'static str> = Body::KINDS.into_iter().chain(groups).collect();
    PossibleValuesParser::new(all)
}

/// A network that a grant is bound to. One with bits beyond its prefix could be a slip of the prefix or of the address.
pub(crate) fn network(text: &str) -> Result<SourceNetwork, String> {
    let network: SourceNetwork = text.parse().map_err(|e: bartizan_model::InvalidRecord| e.to_string())?;
    let (address, prefix) = text.split_once('/').unwrap_or((text, ""));
    let first = network.range().0;
    match address.parse::<IpAddr>() {
        Ok(address) if address.to_canonical() != first => {
            Err(format!("{} goes on beyond its prefix; write {first}/{prefix} or {address}", shown(text)))
        }
        _ => Ok(network),
    }
}

/// A word of the vocabulary, as JSON spells it.
pub(crate) fn word<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).map_err(|e| e.to_string())
}

fn is_ipv6(text: &str) -> bool {
    text.parse::<Ipv6Addr>().is_ok()
}

fn shown(text: &str) -> String {
    escape(text.chars().take(80).collect::<String>().as_bytes())
}
