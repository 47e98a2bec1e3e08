//! The directory's records: people, their keys, targets, grants, trusted CAs.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{
    FileRules, Fingerprint, ForwardRules, Labels, LoginName, PermissionSet, PersonName, Revocation, RoleName,
    StoredCredential, TargetName, TargetSelector, Timestamp,
};

/// A field of a record that was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} \"{}\" {why}", crate::escape(.value.as_bytes()))]
pub struct InvalidRecord {
    /// The field's name.
    pub field: &'static str,
    /// What it held; shown escaped.
    pub value: String,
    /// The rule it breaks and what to write instead.
    pub why: &'static str,
}

/// A human or service account known to Bartizan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Unique name.
    pub name: PersonName,
    /// Whether the person may log in.
    pub state: PersonState,
    /// The roles they have; grants to a role are grants to all who have it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub roles: BTreeSet<RoleName>,
    /// When the person was added.
    pub created: Timestamp,
}

/// A role: a name for what several people may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Unique name.
    pub name: RoleName,
    /// When the role was added.
    pub created: Timestamp,
}

/// Whether a person may log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PersonState {
    /// May log in where a grant permits.
    Active,
    /// Locked: no login, whatever the grants say.
    Locked,
}

impl fmt::Display for PersonState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Active => "active",
            Self::Locked => "locked",
        })
    }
}

/// A public key that proves to be a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizedKey {
    /// Whose key it is. One key belongs to one person.
    pub person: PersonName,
    /// The key as in `authorized_keys`: algorithm and base64, no options, no comment.
    pub key: String,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// A remark, usually the comment of the key file.
    pub comment: String,
    /// When it was added.
    #[serde(rename = "created", alias = "added")]
    pub added: Timestamp,
}

/// An SSH server that people reach through Bartizan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Unique name; what people write after `@`.
    pub name: TargetName,
    /// Host name or address that Bartizan dials.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How the target's host key is verified.
    pub host_key: HostKeyTrust,
    /// What grants can select it by besides its name.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// When the target was added.
    pub created: Timestamp,
}

impl Target {
    /// Checks a name for a new target: consoles have one of their own, which no target may have.
    ///
    /// # Errors
    /// When it is that one.
    pub fn check_name(name: &TargetName) -> Result<(), InvalidRecord> {
        if name.as_str() == crate::CONSOLE {
            return Err(InvalidRecord {
                field: "target",
                value: name.to_string(),
                why: "is the name that consoles have in the log; choose another",
            });
        }
        Ok(())
    }

    /// Checks a host to dial: a host name, an IPv4 or an IPv6 address (without brackets).
    ///
    /// # Errors
    /// When it is neither.
    pub fn check_host(host: &str) -> Result<(), InvalidRecord> {
        let label = |l: &str| {
            !l.is_empty()
                && l.len() <= 63
                && !l.starts_with('-')
                && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        let name = host.strip_suffix('.').unwrap_or(host);
        if host.parse::<IpAddr>().is_ok() || host.len() <= 253 && name.split('.').all(label) {
            return Ok(());
        }
        Err(InvalidRecord {
            field: "host",
            value: host.into(),
            why: "is neither a host name nor an IP address",
        })
    }
}

/// How a target's host key is verified. Host keys are always verified before any credential is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostKeyTrust {
    /// One of these keys (as in `known_hosts`: algorithm and base64).
    Pinned(Vec<String>),
    /// A host certificate for the dialled host, signed by one of these keys.
    Authority(Vec<String>),
    /// The first key shown is accepted and pinned, with an event.
    FirstUse,
}

/// The id of a grant: what the decision names as its rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GrantId(pub String);

impl GrantId {
    /// An id that an operator chose.
    ///
    /// # Errors
    /// When it is not 1 to 64 lower-case letters, digits and hyphens, the first of them no hyphen.
    pub fn new(text: &str) -> Result<Self, InvalidRecord> {
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=64).contains(&text.len()) && text.bytes().all(good) && !text.starts_with('-') {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidRecord {
            field: "grant",
            value: text.chars().take(80).collect(),
            why: "is no id: write 1 to 64 lower-case letters, digits and hyphens, such as ops-web",
        })
    }

    /// An id out of 32 bits of the system's randomness: `g-` and 8 hexadecimal digits. Whether it is free is
    /// for the caller to check.
    pub fn random() -> Self {
        let random = uuid::Uuid::now_v7();
        let [.., a, b, c, d] = random.into_bytes();
        Self(format!("g-{a:02x}{b:02x}{c:02x}{d:02x}"))
    }
}

impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Whom a grant is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grantee {
    /// One person.
    Person(PersonName),
    /// Everybody who has the role.
    Role(RoleName),
}

impl Grantee {
    /// True when the grant is for this person, by name or by a role they have.
    pub fn includes(&self, person: &Person) -> bool {
        match self {
            Self::Person(name) => *name == person.name,
            Self::Role(role) => person.roles.contains(role),
        }
    }

    /// True when the grant names this person.
    pub fn is_person(&self, person: &PersonName) -> bool {
        matches!(self, Self::Person(name) if name == person)
    }

    /// True when the grant names this role.
    pub fn is_role(&self, role: &RoleName) -> bool {
        matches!(self, Self::Role(name) if name == role)
    }
}

impl fmt::Display for Grantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(name) => f.pad(name.as_str()),
            Self::Role(name) => f.pad(&format!("role {name}")),
        }
    }
}

/// A simple grant: person or role → targets → logins → permissions, under conditions. Deny is the default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Unique id; becomes the id of the Cedar policy.
    pub id: GrantId,
    /// Who: `person` or `role` in JSON.
    #[serde(flatten)]
    pub who: Grantee,
    /// Where.
    pub target: TargetSelector,
    /// As which accounts; `None` is any account.
    pub logins: Option<Vec<LoginName>>,
    /// What.
    pub allow: PermissionSet,
    /// Which files `sftp:read` and `sftp:write` are for.
    #[serde(default, skip_serializing_if = "FileRules::is_empty")]
    pub files: FileRules,
    /// Where `forward:local` leads, and on what `forward:remote` lets a target listen.
    #[serde(default, skip_serializing_if = "ForwardRules::is_empty")]
    pub forwards: ForwardRules,
    /// From which networks; empty is anywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceNetwork>,
    /// Until when; `None` is without end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// What is recorded under this grant.
    #[serde(default)]
    pub record: Recording,
    /// Break-glass: passes, loudly, also while recordings or the space for them fail.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub break_glass: bool,
    /// When it was added.
    pub created: Timestamp,
}

/// A network in CIDR notation, or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SourceNetwork {
    address: IpAddr,
    prefix: u8,
}

impl SourceNetwork {
    /// True when `ip` lies in the network. An IPv4-mapped IPv6 address counts as its IPv4 address.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.address, ip.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                u32::from(net) & mask == u32::from(ip) & mask
            }
            (IpAddr::V6(net), IpAddr::V6(ip)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                u128::from(net) & mask == u128::from(ip) & mask
            }
            _ => false,
        }
    }

    /// The first and the last address. A network of IPv4-mapped IPv6 addresses counts as its IPv4 network.
    pub fn range(&self) -> (IpAddr, IpAddr) {
        let (first, last) = match self.address {
            IpAddr::V4(ip) => {
                let hosts = u32::MAX.checked_shr(self.prefix.into()).unwrap_or(0);
                let first = u32::from(ip) & !hosts;
                (IpAddr::V4(first.into()), IpAddr::V4((first | hosts).into()))
            }
            IpAddr::V6(ip) => {
                let hosts = u128::MAX.checked_shr(self.prefix.into()).unwrap_or(0);
                let first = u128::from(ip) & !hosts;
                (IpAddr::V6(first.into()), IpAddr::V6((first | hosts).into()))
            }
        };
        match (first.to_canonical(), last.to_canonical()) {
            (first @ IpAddr::V4(_), last @ IpAddr::V4(_)) => (first, last),
            _ => (first, last),
        }
    }
}

impl From<IpAddr> for SourceNetwork {
    fn from(address: IpAddr) -> Self {
        Self { address, prefix: if address.is_ipv4() { 32 } else { 128 } }
    }
}

impl FromStr for SourceNetwork {
    type Err = InvalidRecord;
    fn from_str(text: &str) -> Result<Self, InvalidRecord> {
        let refused = || InvalidRecord {
            field: "source",
            value: text.into(),
            why: "is no network: expected 10.0.0.0/8, fd00::/8 or an address",
        };
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().map_err(|_| refused())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(longest), str::parse).map_err(|_| refused())?;
        if prefix > longest { Err(refused()) } else { Ok(Self { address, prefix }) }
    }
}
impl TryFrom<String> for SourceNetwork {
    type Error = InvalidRecord;
    fn try_from(text: String) -> Result<Self, InvalidRecord> {
        text.parse()
    }
}
impl From<SourceNetwork> for String {
    fn from(network: SourceNetwork) -> Self {
        network.to_string()
    }
}
impl fmt::Display for SourceNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// What is recorded under a grant. Terminal output and digests of everything are recorded always.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recording {
    /// Bytes kept of each channel without a PTY, both directions together; `None` is all of them, 0 digests only.
    pub channel_cap: Option<u64>,
    /// Whether keystrokes are kept. They contain typed passwords.
    pub input: bool,
}

impl Recording {
    /// Bytes kept of each channel without a PTY unless the grant says otherwise: 16 MiB.
    pub const DEFAULT_CHANNEL_CAP: u64 = 16 << 20;

    /// Reads a cap as people write it: `full`, `digests`, or a size such as `64K`, `16M`, `1G`.
    pub fn parse_cap(text: &str) -> Option<Option<u64>> {
        let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let shift = match &text[number.len()..] {
            "" => 0,
            "K" | "k" | "KiB" => 10,
            "M" | "m" | "MiB" => 20,
            "G" | "g" | "GiB" => 30,
            "full" if number.is_empty() => return Some(None),
            "digests" if number.is_empty() => return Some(Some(0)),
            _ => return None,
        };
        Some(Some(number.parse::<u64>().ok()?.checked_mul(1 << shift)?))
    }

    /// The cap as [`Self::parse_cap`] reads it.
    pub fn cap_text(&self) -> String {
        let Some(cap) = self.channel_cap else { return "full".into() };
        match [(30, "G"), (20, "M"), (10, "K")].into_iter().find(|(shift, _)| cap % (1 << shift) == 0) {
            _ if cap == 0 => "digests".into(),
            Some((shift, unit)) => format!("{}{unit}", cap >> shift),
            None => cap.to_string(),
        }
    }
}

impl Default for Recording {
    fn default() -> Self {
        Self { channel_cap: Some(Self::DEFAULT_CHANNEL_CAP), input: false }
    }
}

/// A certificate authority whose user certificates prove to be people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustedCa {
    /// The CA's public key as in `authorized_keys`.
    pub key: String,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// A remark.
    pub comment: String,
    /// When it was added.
    #[serde(rename = "created", alias = "added")]
    pub added: Timestamp,
}

/// The whole directory at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryData {
    /// Increases with every change of the directory.
    pub generation: u64,
    /// Roles, by name.
    #[serde(default)]
    pub roles: Vec<Role>,
    /// People, by name.
    pub people: Vec<Person>,
    /// Their keys, by person and time.
    pub keys: Vec<AuthorizedKey>,
    /// Trusted certificate authorities, by time.
    pub cas: Vec<TrustedCa>,
    /// User certificates that are refused for good, by time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revocations: Vec<Revocation>,
    /// Targets, by name.
    pub targets: Vec<Target>,
    /// Grants, by id.
    pub grants: Vec<Grant>,
    /// What is stored to log in with, by target and login; never a secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub credentials: Vec<StoredCredential>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_their_addresses() {
        for (network, ip, held) in [
            ("10.0.0.0/8", "10.9.8.7", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("0.0.0.0/0", "::1", false),
            ("127.0.0.1", "::ffff:127.0.0.1", true),
            ("fd00::/8", "fd12::1", true),
            ("::/0", "fe80::1", true),
        ] {
            let contains = network.parse::<SourceNetwork>().unwrap().contains(ip.parse().unwrap());
            assert_eq!(contains, held, "{network} {ip}");
        }
        for refused in ["10.0.0.0/33", "x", "10.0.0.0/-1", "::/129", ""] {
            assert!(refused.parse::<SourceNetwork>().is_err(), "{refused}");
        }
    }

    #[test]
    fn a_network_has_a_first_and_a_last_address() {
        for (network, first, last) in [
            ("10.0.0.77", "10.0.0.77", "10.0.0.77"),
            ("10.0.0.77/24", "10.0.0.0", "10.0.0.255"),
            ("0.0.0.0/0", "0.0.0.0", "255.255.255.255"),
            ("::ffff:10.0.0.0/104", "10.0.0.0", "10.255.255.255"),
            ("fd00::1/64", "fd00::", "fd00::ffff:ffff:ffff:ffff"),
            ("::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ] {
            let range = network.parse::<SourceNetwork>().unwrap().range();
            assert_eq!(range, (first.parse().unwrap(), last.parse().unwrap()), "{network}");
        }
    }

    #[test]
    fn a_grant_names_its_person_or_role_in_json() {
        let person: Grantee = serde_json::from_str(r#"{"person":"alice"}"#).unwrap();
        assert_eq!(person, Grantee::Person("alice".parse().unwrap()));
        let role: Grantee = serde_json::from_str(r#"{"role":"ops"}"#).unwrap();
        assert_eq!(role.to_string(), "role ops");
        assert_eq!(serde_json::to_string(&role).unwrap(), r#"{"role":"ops"}"#);
    }

    #[test]
    fn chosen_ids_are_plain_words() {
        for good in ["ops-web", "g-1f3a90c2", "0"] {
            assert_eq!(GrantId::new(good).unwrap().0, good);
        }
        for bad in ["", "-a", "Ops", "a b", "a_b", "é", &"a".repeat(65)] {
            assert!(GrantId::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn caps_read_back_as_written() {
        for (cap, text) in [
            (None, "full"),
            (Some(0), "digests"),
            (Some(16 << 20), "16M"),
            (Some(1 << 30), "1G"),
            (Some(3 << 9), "1536"),
            (Some(3 << 10), "3K"),
        ] {
            assert_eq!(Recording { channel_cap: cap, input: false }.cap_text(), text);
            assert_eq!(Recording::parse_cap(text), Some(cap));
        }
        for bad in ["", "M", "fullish", "1T", "-1", "99999999999G"] {
            assert_eq!(Recording::parse_cap(bad), None, "{bad}");
        }
    }

    #[test]
    fn no_new_target_is_called_like_the_console() {
        assert!(Target::check_name(&TargetName::new("bartizan-1").unwrap()).is_ok());
        let error = Target::check_name(&TargetName::new(crate::CONSOLE).unwrap()).unwrap_err();
        assert!(error.to_string().contains("choose another"), "{error}");
    }

    #[test]
    fn hosts_are_names_or_addresses() {
        for good in ["web-1", "web.example.com", "web.example.com.", "10.0.0.5", "::1", "a_b"] {
            assert!(Target::check_host(good).is_ok(), "{good}");
        }
        for bad in ["", "-oProxy", "a b", "a..b", "[::1]", "a/b", "x\n"] {
            assert!(Target::check_host(bad).is_err(), "{bad:?}");
        }
    }
}
