//! `known_hosts` files: lines, patterns, hashed names, lookup. Source: sshd(8), *SSH_KNOWN_HOSTS FILE FORMAT*.
//!
//! Bounded: a file of at most [`MAX_FILE_BYTES`], lines of at most 128 KiB, patterns matched in linear time. What does not parse is
//! reported by line number and skipped, as OpenSSH skips it. Nothing is resolved, and no trust is decided: [`KnownHosts::lookup`]
//! says which lines speak of a host, and the caller compares.

use std::fmt;

use aws_lc_rs::{hmac, rand};
use base64ct::{Base64, Encoding as _};

use super::error::KeyError;
use super::public::PublicKey;
use crate::wire::Malformed;

/// The longest file that is read.
pub const MAX_FILE_BYTES: usize = 16 * 1024 * 1024;

/// As in OpenSSH, a pattern beyond this matches nothing; here the line is refused.
const MAX_PATTERN: usize = 1024;
/// Faults that are kept; more are only counted.
const MAX_FAULTS: usize = 100;
/// Salt and digest of a hashed name: both have SHA-1's length.
const HASH: usize = 20;
const DEFAULT_PORT: u16 = 22;

/// What the line says of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Marker {
    /// `@cert-authority`: a CA whose host certificates are good for these names.
    CertAuthority,
    /// `@revoked`: never to be accepted.
    Revoked,
}

impl Marker {
    const fn text(self) -> &'static str {
        match self {
            Self::CertAuthority => "@cert-authority",
            Self::Revoked => "@revoked",
        }
    }
}

/// One line. `Display` gives it back, without a newline.
///
/// ```
/// use bartizan_ssh::key::known_hosts::{KnownHost, Marker};
/// use bartizan_ssh::key::{KeyKind, PrivateKey};
///
/// let ca = PrivateKey::generate(KeyKind::Ed25519)?;
/// let line = KnownHost::new(Some(Marker::CertAuthority), "*.example.org,!old.example.org", ca.public_key().clone())?;
/// assert!(line.to_string().starts_with("@cert-authority *.example.org,!old.example.org ssh-ed25519 AAAA"));
/// assert!(line.matches("web-1.example.org", 22) && !line.matches("old.example.org", 22));
/// # Ok::<(), bartizan_ssh::key::KeyError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownHost {
    marker: Option<Marker>,
    names: Names,
    key: PublicKey,
    comment: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Names {
    /// Separated by commas, as they stand in the file.
    Patterns(String),
    Hashed {
        salt: [u8; HASH],
        digest: [u8; HASH],
    },
}

impl KnownHost {
    /// A line for these patterns, separated by commas.
    ///
    /// # Errors
    /// When the patterns are empty, too long, or hold a character that would break the line.
    pub fn new(marker: Option<Marker>, patterns: &str, key: PublicKey) -> Result<Self, KeyError> {
        Ok(Self { marker, names: Names::patterns(patterns)?, key, comment: String::new() })
    }

    /// A line for one host whose name cannot be read back, as `HashKnownHosts` makes them.
    ///
    /// # Errors
    /// [`KeyError::Crypto`] when the system has no randomness to give.
    pub fn hashed(host: &str, port: u16, key: PublicKey) -> Result<Self, KeyError> {
        let mut salt = [0; HASH];
        rand::fill(&mut salt).map_err(|_| KeyError::Crypto)?;
        let mut digest = [0; HASH];
        digest.copy_from_slice(hmac::sign(&hash_key(&salt), lookup_name(host, port).as_bytes()).as_ref());
        Ok(Self { marker: None, names: Names::Hashed { salt, digest }, key, comment: String::new() })
    }

    /// Parses one line; `None` for blank lines and comments.
    ///
    /// # Errors
    /// When it is something else than a line of `known_hosts`, or its key cannot be used.
    pub fn parse(line: &str) -> Result<Option<Self>, KeyError> {
        const WHAT: Malformed = Malformed::new("known_hosts line");
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return Ok(None);
        }
        let (first, rest) = split_field(line).ok_or(WHAT)?;
        let marker = match first {
            "@cert-authority" => Some(Marker::CertAuthority),
            "@revoked" => Some(Marker::Revoked),
            other if other.starts_with('@') => return Err(Malformed::new("known_hosts marker").into()),
            _ => None,
        };
        let (names, key) = match marker {
            Some(_) => split_field(rest).ok_or(WHAT)?,
            None => (first, rest),
        };
        let names = if names.starts_with('|') { Names::hashed(names)? } else { Names::patterns(names)? };
        let (key, comment) = PublicKey::from_openssh(key)?;
        Ok(Some(Self { marker, names, key, comment }))
    }

    /// True when the line speaks of this host, by name or address, at this port.
    pub fn matches(&self, host: &str, port: u16) -> bool {
        let name = lookup_name(host, port);
        match &self.names {
            Names::Patterns(patterns) => matches_list(patterns, &name),
            Names::Hashed { salt, digest } => hmac::verify(&hash_key(salt), name.as_bytes(), digest).is_ok(),
        }
    }

    /// What the line says of its key; `None`: it is the host's.
    pub const fn marker(&self) -> Option<Marker> {
        self.marker
    }

    /// The key.
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// What follows the key; escape it before showing.
    pub fn comment(&self) -> &str {
        &self.comment
    }
}

impl fmt::Display for KnownHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(marker) = self.marker {
            write!(f, "{} ", marker.text())?;
        }
        match &self.names {
            Names::Patterns(patterns) => f.write_str(patterns)?,
            Names::Hashed { salt, digest } => {
                write!(f, "|1|{}|{}", Base64::encode_string(salt), Base64::encode_string(digest))?;
            }
        }
        write!(f, " {}", self.key.to_openssh(&self.comment))
    }
}

impl Names {
    fn patterns(text: &str) -> Result<Self, KeyError> {
        let clean = !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '#')
            && !text.starts_with(['|', '@'])
            && text.split(',').all(|pattern| !pattern.is_empty() && pattern.len() <= MAX_PATTERN);
        if clean { Ok(Self::Patterns(text.to_owned())) } else { Err(Malformed::new("host patterns").into()) }
    }

    fn hashed(text: &str) -> Result<Self, KeyError> {
        const WHAT: Malformed = Malformed::new("hashed host name");
        let (salt, digest) = text.strip_prefix("|1|").and_then(|rest| rest.split_once('|')).ok_or(WHAT)?;
        let [salt, digest] = [salt, digest].map(|base64| -> Option<[u8; HASH]> {
            let mut bytes = [0; HASH];
            let decoded = Base64::decode(base64, &mut bytes).ok()?.len();
            (decoded == HASH).then_some(bytes)
        });
        Ok(Self::Hashed { salt: salt.ok_or(WHAT)?, digest: digest.ok_or(WHAT)? })
    }
}

/// HMAC-SHA-1 hides names in a file; it authenticates nothing.
fn hash_key(salt: &[u8; HASH]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt)
}

/// How a host is written in the file: in lower case, `[host]:port` unless the port is 22.
pub fn lookup_name(host: &str, port: u16) -> String {
    let host = host.to_ascii_lowercase();
    if port == DEFAULT_PORT { host } else { format!("[{host}]:{port}") }
}

fn split_field(line: &str) -> Option<(&str, &str)> {
    let (field, rest) = line.split_once([' ', '\t'])?;
    Some((field, rest.trim_start()))
}

/// One match among the patterns, and none among the negated ones.
fn matches_list(patterns: &str, name: &str) -> bool {
    let mut found = false;
    for pattern in patterns.split(',') {
        match pattern.strip_prefix('!') {
            Some(negated) if matches_pattern(negated, name) => return false,
            Some(_) => {}
            None => found |= matches_pattern(pattern, name),
        }
    }
    found
}

/// `*` any number of characters, `?` one; case does not matter. Goes back to the last star only, so time is at most the
/// product of the lengths.
fn matches_pattern(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, n));
                p += 1;
            }
            Some(&c) if c == b'?' || c.eq_ignore_ascii_case(&name[n]) => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((after, at)) => {
                    star = Some((after, at + 1));
                    (p, n) = (after, at + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

/// A whole file.
#[derive(Clone, Debug, Default)]
pub struct KnownHosts {
    lines: Vec<KnownHost>,
    faults: Vec<(usize, KeyError)>,
}

/// What a file says of one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known<'a> {
    /// Keys of the host itself.
    pub keys: Vec<&'a PublicKey>,
    /// CAs trusted to certify it.
    pub authorities: Vec<&'a PublicKey>,
    /// Keys, and CAs, that must never be accepted for it; they stand in none of the other lists.
    pub revoked: Vec<&'a PublicKey>,
}

impl KnownHosts {
    /// Parses a file. Lines that do not parse are skipped and reported by [`Self::faults`].
    ///
    /// # Errors
    /// When the file is longer than [`MAX_FILE_BYTES`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        if text.len() > MAX_FILE_BYTES {
            return Err(Malformed::new("known_hosts file: too long").into());
        }
        let mut hosts = Self::default();
        for (index, line) in text.lines().enumerate() {
            match KnownHost::parse(line) {
                Ok(found) => hosts.lines.extend(found),
                Err(error) if hosts.faults.len() < MAX_FAULTS => hosts.faults.push((index + 1, error)),
                Err(_) => {}
            }
        }
        Ok(hosts)
    }

    /// The lines that parsed.
    pub fn lines(&self) -> &[KnownHost] {
        &self.lines
    }

    /// Line numbers, from 1, and what is wrong there; the first hundred.
    pub fn faults(&self) -> &[(usize, KeyError)] {
        &self.faults
    }

    /// Everything the file says of a host. Like `ssh`, falls back to lines without a port when none speaks of this port; a
    /// revocation without a port holds at each port.
    pub fn lookup(&self, host: &str, port: u16) -> Known<'_> {
        let mut known = self.exactly(host, port);
        if port != DEFAULT_PORT {
            let portless = self.exactly(host, DEFAULT_PORT);
            if known.keys.is_empty() && known.authorities.is_empty() {
                (known.keys, known.authorities) = (portless.keys, portless.authorities);
            }
            known.revoked.extend(portless.revoked);
        }
        let revoked = &known.revoked;
        known.keys.retain(|key| !revoked.contains(key));
        known.authorities.retain(|key| !revoked.contains(key));
        known
    }

    fn exactly(&self, host: &str, port: u16) -> Known<'_> {
        let mut known = Known::default();
        for line in self.lines.iter().filter(|line| line.matches(host, port)) {
            match line.marker {
                None => known.keys.push(&line.key),
                Some(Marker::CertAuthority) => known.authorities.push(&line.key),
                Some(Marker::Revoked) => known.revoked.push(&line.key),
            }
        }
        known
    }
}
