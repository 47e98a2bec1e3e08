//! What Bartizan stores to log in to targets with, and secrets on their way there.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::{Fingerprint, LoginName, TargetName, Timestamp};

/// What kind of secret a stored credential is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// A password, for the methods `password` and `keyboard-interactive`.
    Password,
    /// A private key, for the method `publickey`.
    Key,
    /// No secret of ours: the agent that the person forwards to the console.
    Agent,
}

impl CredentialKind {
    /// The kind as records and events name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Key => "key",
            Self::Agent => "agent",
        }
    }
}

impl fmt::Display for CredentialKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What is known of a stored credential besides its secret. A login on a target has one at most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredCredential {
    /// Where it is used.
    pub target: TargetName,
    /// The account it logs in to.
    pub login: LoginName,
    /// What it is.
    pub kind: CredentialKind,
    /// The public key, as in `authorized_keys`; none for a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Its fingerprint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
    /// When it was stored.
    #[serde(rename = "created", alias = "added")]
    pub added: Timestamp,
}

/// A secret on its way from an operator to the vault: shows as `<secret>`, is wiped when dropped, and
/// serializes as its text, because the admin socket is how it travels.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Takes the text over.
    pub const fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// The text. Do not log it, do not keep it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl Serialize for SecretText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_nowhere_but_on_its_way() {
        let secret = SecretText::new(Zeroizing::new("hunter2".into()));
        assert_eq!(format!("{secret:?} {:#?}", Some(&secret)), "<secret> Some(\n    <secret>,\n)");
        let json = serde_json::to_string(&secret).unwrap();
        assert_eq!(serde_json::from_str::<SecretText>(&json).unwrap(), secret);
    }
}
