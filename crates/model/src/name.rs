//! Names of people, logins and targets: checked when made, so nothing downstream checks again.

use std::borrow::Borrow;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::escape::Escaped;

/// A name that was refused, with the reason; the message shows it escaped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} name \"{shown}\" {why}")]
pub struct InvalidName {
    kind: &'static str,
    shown: String,
    why: &'static str,
}

/// A checked name of one kind; two kinds do not mix.
///
/// 1 to 64 bytes (targets: 255) of printable UTF-8 without spaces, and without the characters that the
/// user-name forms of the way in use as separators.
pub struct Name<K>(Box<str>, PhantomData<fn() -> K>);

/// What a [`Name`] names.
pub trait Kind {
    /// The word in messages.
    const WORD: &'static str;
    /// Longest name, in bytes.
    const MAX_BYTES: usize = 64;
    /// Characters that such a name may not hold, besides spaces and control characters.
    const FORBIDDEN: &'static str;
}

/// Marks names of people.
pub enum PersonKind {}
/// Marks names of accounts on targets.
pub enum LoginKind {}
/// Marks names of targets.
pub enum TargetKind {}
/// Marks names of roles.
pub enum RoleKind {}

impl Kind for PersonKind {
    const WORD: &'static str = "person";
    const FORBIDDEN: &'static str = "@+%#:/\\,*?\"'";
}
impl Kind for LoginKind {
    const WORD: &'static str = "login";
    // `@` is part of names of directories, such as alice@corp.local; an address ends at the last one.
    const FORBIDDEN: &'static str = "+%#:/,*?\"'";
}
impl Kind for TargetKind {
    const WORD: &'static str = "target";
    const MAX_BYTES: usize = 255;
    // `=` tells a selector by label from a name.
    const FORBIDDEN: &'static str = "@+%#/\\,*?=\"'";
}
impl Kind for RoleKind {
    const WORD: &'static str = "role";
    const FORBIDDEN: &'static str = "@+%#:/\\,*?=\"'";
}

/// The name of a person or service account known to Bartizan.
pub type PersonName = Name<PersonKind>;
/// The name of an account on a target.
pub type LoginName = Name<LoginKind>;
/// The name of a target.
pub type TargetName = Name<TargetKind>;
/// The name of a role.
pub type RoleName = Name<RoleKind>;

impl<K: Kind> Name<K> {
    /// Checks and makes a name.
    ///
    /// # Errors
    /// Says which rule the text breaks.
    pub fn new(text: &str) -> Result<Self, InvalidName> {
        match Self::fault(text) {
            None => Ok(Self(text.into(), PhantomData)),
            Some(why) => {
                let head = text.floor_char_boundary(80);
                Err(InvalidName { kind: K::WORD, shown: Escaped(&text.as_bytes()[..head]).to_string(), why })
            }
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn fault(text: &str) -> Option<&'static str> {
        let printable = Escaped(text.as_bytes()).to_string();
        if text.is_empty() {
            Some("is empty")
        } else if text.len() > K::MAX_BYTES {
            Some("is too long")
        } else if text.starts_with('-') {
            Some("starts with '-', which programs would take for an option")
        } else if printable.replace("\\\\", "\\") != text || text.chars().any(char::is_whitespace) {
            Some("holds a space, a control character or an invisible character")
        } else if text.contains(|c| K::FORBIDDEN.contains(c)) {
            Some("holds a character that separates names (@ + % # : / , * ? = or a quote)")
        } else if text == "." || text == ".." {
            Some("is a relative path")
        } else {
            None
        }
    }
}

impl<K> Clone for Name<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}
impl<K> PartialEq for Name<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<K> Eq for Name<K> {}
impl<K> PartialOrd for Name<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Name<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
impl<K> std::hash::Hash for Name<K> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl<K> Borrow<str> for Name<K> {
    fn borrow(&self) -> &str {
        &self.0
    }
}
impl<K> AsRef<str> for Name<K> {
    fn as_ref(&self) -> &str {
        &self.0
    }
}
impl<K> fmt::Display for Name<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
impl<K> fmt::Debug for Name<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
impl<K: Kind> FromStr for Name<K> {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        Self::new(text)
    }
}
impl<K> Serialize for Name<K> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}
impl<'de, K: Kind> Deserialize<'de> for Name<K> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hold_no_separators_options_or_control_bytes() {
        for good in ["alice", "svc-ansible", "Zoë", "a.b_c"] {
            assert_eq!(PersonName::new(good).unwrap().as_str(), good);
        }
        for good in ["DOMAIN\\bob", "bob@corp.local"] {
            assert_eq!(LoginName::new(good).unwrap().as_str(), good);
        }
        assert!(TargetName::new("fd00::1").is_ok(), "addresses name targets too");
        for bad in ["", "-oProxyCommand=x", "a b", "a\nb", "a@b", "a+b", "\u{202e}a", "..", "a/b", "\x1b[2J"]
        {
            assert!(PersonName::new(bad).is_err(), "{bad:?}");
        }
        assert!(PersonName::new(&"a".repeat(65)).is_err());
        assert_eq!(
            LoginName::new("ro\x1bot").unwrap_err().to_string(),
            "login name \"ro\\x1bot\" holds a space, a control character or an invisible character"
        );
    }

    #[test]
    fn a_name_is_checked_when_it_is_read_from_json() {
        assert!(serde_json::from_str::<PersonName>("\"alice\"").is_ok());
        assert!(serde_json::from_str::<PersonName>("\"a@b\"").is_err());
    }
}
