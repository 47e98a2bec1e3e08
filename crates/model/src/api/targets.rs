//! Targets, what Bartizan logs in with there, and tests of them.

use serde::{Deserialize, Serialize};

use crate::{Fingerprint, Grant, Labels, LoginName, SecretText, Target, TargetName};

/// `POST /v1/targets/NAME/labels`: sets and removes labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelChange {
    /// Labels to set.
    #[serde(default)]
    pub set: Labels,
    /// Keys of labels to remove.
    #[serde(default)]
    pub unset: Vec<String>,
}

/// `POST /v1/targets`: adds a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewTarget {
    /// Unique name.
    pub name: TargetName,
    /// Host name or address to dial.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How its host key is verified.
    pub host_key: NewHostKeyTrust,
    /// Its labels.
    #[serde(default)]
    pub labels: Labels,
}

/// How a new target's host key is verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NewHostKeyTrust {
    /// By these keys: lines as in `known_hosts`, `ssh-keyscan` output or `.pub` files.
    Pinned(String),
    /// By host certificates of these CAs, lines likewise.
    Authority(String),
    /// The first key shown is accepted and pinned.
    FirstUse,
}

/// A target with the grants that name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetDetail {
    /// The target.
    #[serde(flatten)]
    pub target: Target,
    /// Fingerprints of the keys it is verified by; empty before the first use.
    pub fingerprints: Vec<Fingerprint>,
    /// Grants whose selector covers it.
    pub grants: Vec<Grant>,
}

/// `PUT /v1/targets/NAME/credentials/LOGIN`: what Bartizan logs in with there, instead of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NewCredential {
    /// A password.
    Password(SecretText),
    /// A private key file without a passphrase: OpenSSH's own format or PEM.
    Key(SecretText),
    /// The agent that the person forwards to the console.
    Agent,
}

/// `GET /v1/credentials`: which stored credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialSearch {
    /// Of this target only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetName>,
}

/// `GET /v1/vault` and the answer to `POST /v1/vault/rotate`: the vault of stored credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultStatus {
    /// The id of the master key that wraps the data key; tells nothing of the key itself.
    pub master_key: String,
    /// Where the master key is kept.
    pub master_key_file: String,
    /// How many credentials are stored.
    pub credentials: u64,
}

/// `POST /v1/targets/NAME/test`: reach it, verify it, and log in if a login is named. The answer is lines of
/// [`TargetTestStep`], as they are made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetTest {
    /// Whom to log in as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<LoginName>,
}

/// One step of a test of a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetTestStep {
    /// `resolve`, `connect`, `identify`, `host_key`, `authenticate`; of a failure also `handshake` and `internal`.
    pub step: String,
    /// How it went. After a failure there are no more.
    pub outcome: TestOutcome,
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// What was found, or why it failed; escaped.
    pub detail: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// How a step of a test went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TestOutcome {
    /// As it should.
    Passed,
    /// It was not tried.
    Skipped,
    /// Not as it should.
    Failed,
}
