//! Certificates of people: issuing, listing, revoking.

use serde::{Deserialize, Serialize};

use crate::{
    CertificatePermit, Fingerprint, IssuedCertificate, PersonName, Revocation, SourceNetwork, Timestamp,
};

/// `POST /v1/certificates`: issues a user certificate of the people CA.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewCertificate {
    /// For whom.
    pub person: PersonName,
    /// Their public key, a line as in `authorized_keys`.
    pub key: String,
    /// For how long from now; none is eight hours, or less where the configuration bounds it so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_seconds: Option<u64>,
    /// From which networks only; empty is anywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceNetwork>,
    /// What it is not to hold back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permits: Vec<CertificatePermit>,
}

/// A certificate that was issued, for its person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateIssued {
    /// The certificate: a line as in `id_ed25519-cert.pub`.
    pub certificate: String,
    /// What is known of it from now on.
    #[serde(flatten)]
    pub record: IssuedCertificate,
}

/// The query of `GET /v1/certificates`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateSearch {
    /// Those of this person only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<PersonName>,
}

/// One line of `GET /v1/certificates`: a certificate of the people CA that has not expired, or a revocation of something
/// else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateListed {
    /// `valid`, `revoked`, or why it proves nobody now: `person_locked`, `unknown_person`, ….
    pub state: String,
    /// Its person; none for a revocation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<PersonName>,
    /// The CA; none where every CA's are revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<Fingerprint>,
    /// The serial number, of a certificate or of what is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<u64>,
    /// The key id, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// The key, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Fingerprint>,
    /// From which networks only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceNetwork>,
    /// When it was issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued: Option<Timestamp>,
    /// When it ends by itself, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Timestamp>,
}

/// `POST /v1/revocations`: refuses certificates for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewRevocation {
    /// Which.
    pub what: RevokeWhat,
    /// The CA that signed them: `people` (when none is said), the comment of a trusted CA, or a fingerprint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
}

/// How certificates to be revoked are named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevokeWhat {
    /// By serial number.
    Serial(u64),
    /// By the key that they certify, of every CA: a public key, or its fingerprint.
    Key(String),
    /// By key id.
    KeyId(String),
}

/// What was revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificatesRevoked {
    /// Which certificates.
    #[serde(flatten)]
    pub revocation: Revocation,
    /// Whose registered key it is, which goes on proving who they are without a certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered_to: Option<PersonName>,
}
