//! User certificates of people: those that Bartizan issued, and those that are revoked.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Fingerprint, PersonName, SourceNetwork, Timestamp};

/// A certificate that Bartizan's people CA signed. The certificate itself is not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedCertificate {
    /// Its serial number: random, at most 2^53 - 1, so that every JSON reader holds it exactly.
    pub serial: u64,
    /// The key that signed it.
    pub ca: Fingerprint,
    /// Its key id, which names person and serial.
    pub key_id: String,
    /// Whom it stands for: its only principal.
    pub person: PersonName,
    /// The key that it certifies.
    pub key: Fingerprint,
    /// Valid from this time on, in whole seconds.
    pub valid_after: Timestamp,
    /// Valid before this time, in whole seconds.
    pub valid_before: Timestamp,
    /// From which networks only; empty is anywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceNetwork>,
    /// What it does not hold back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permits: Vec<CertificatePermit>,
    /// When it was issued.
    pub issued: Timestamp,
}

/// What a certificate holds back unless it says otherwise, whatever the grants permit. A terminal is never held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CertificatePermit {
    /// Forwarding the agent.
    #[serde(rename = "agent-forwarding")]
    AgentForwarding,
    /// Forwarding ports and sockets.
    #[serde(rename = "port-forwarding")]
    PortForwarding,
    /// Forwarding X11.
    #[serde(rename = "X11-forwarding")]
    X11Forwarding,
}

impl CertificatePermit {
    /// The extension that says it.
    ///
    /// Source: OpenSSH PROTOCOL.certkeys.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::AgentForwarding => "permit-agent-forwarding",
            Self::PortForwarding => "permit-port-forwarding",
            Self::X11Forwarding => "permit-X11-forwarding",
        }
    }
}

/// User certificates that are refused for good, and when that began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// Which.
    #[serde(flatten)]
    pub what: RevokedCertificates,
    /// Since when.
    pub added: Timestamp,
    /// When what is revoked ends by itself, where that is known: the revocation may be forgotten a while later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<Timestamp>,
}

/// Which certificates are revoked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RevokedCertificates {
    /// The one with this serial number of a CA.
    Serial {
        /// The CA.
        ca: Fingerprint,
        /// The serial number; never 0, which CAs give to certificates without one.
        serial: u64,
    },
    /// All with this key id of a CA.
    KeyId {
        /// The CA.
        ca: Fingerprint,
        /// The key id.
        key_id: String,
    },
    /// All for this key, whoever signed them.
    Key {
        /// The key.
        key: Fingerprint,
    },
}

impl RevokedCertificates {
    /// Whether a certificate is among them.
    pub fn covers(&self, ca: &Fingerprint, serial: u64, key: &Fingerprint, key_id: &str) -> bool {
        match self {
            Self::Serial { ca: of, serial: revoked } => of == ca && *revoked == serial,
            Self::KeyId { ca: of, key_id: revoked } => of == ca && revoked == key_id,
            Self::Key { key: revoked } => revoked == key,
        }
    }
}

impl fmt::Display for RevokedCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serial { ca, serial } => write!(f, "serial {serial} of {ca}"),
            Self::KeyId { ca, key_id } => {
                write!(f, "key id \"{}\" of {ca}", crate::escape(key_id.as_bytes()))
            }
            Self::Key { key } => write!(f, "key {key}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revocation_covers_what_it_names_and_nothing_else() {
        let [ca, other, key] = [1, 2, 3].map(|n| Fingerprint::from_sha256([n; 32]));
        let serial = RevokedCertificates::Serial { ca, serial: 7 };
        let key_id = RevokedCertificates::KeyId { ca, key_id: "bob".into() };
        let of_key = RevokedCertificates::Key { key };
        for (revoked, ca, serial, certified, id, covered) in [
            (&serial, ca, 7, other, "x", true),
            (&serial, other, 7, key, "bob", false),
            (&serial, ca, 8, key, "bob", false),
            (&key_id, ca, 9, other, "bob", true),
            (&key_id, ca, 9, key, "bobby", false),
            (&key_id, other, 9, key, "bob", false),
            (&of_key, other, 0, key, "", true),
            (&of_key, ca, 7, other, "bob", false),
        ] {
            assert_eq!(revoked.covers(&ca, serial, &certified, id), covered, "{revoked} {serial} {id}");
        }
    }

    #[test]
    fn each_kind_comes_back_from_json() {
        let [ca, key] = [1, 3].map(|n| Fingerprint::from_sha256([n; 32]));
        for what in [
            RevokedCertificates::Serial { ca, serial: u64::MAX },
            RevokedCertificates::KeyId { ca, key_id: "7".into() },
            RevokedCertificates::Key { key },
        ] {
            let revocation = Revocation { what, added: Timestamp::from_unix_micros(1), ends: None };
            let json = serde_json::to_string(&revocation).unwrap();
            assert_eq!(serde_json::from_str::<Revocation>(&json).unwrap(), revocation, "{json}");
        }
    }
}
