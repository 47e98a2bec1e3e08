//! Certificate authorities: those whose users are people, and Bartizan's own.

use serde::{Deserialize, Serialize};

use crate::{Fingerprint, Timestamp};

/// `POST /v1/cas`: trusts CAs whose user certificates prove to be people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewCas {
    /// Public keys, lines as in `authorized_keys`.
    pub keys: String,
}

/// `GET /v1/own-cas/user`, `…/host` and `…/people` list these: a key of a CA of Bartizan's own. All of them must be
/// trusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnCa {
    /// Its public key as in `authorized_keys`, with a comment.
    pub key: String,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// What it does now.
    pub state: CaState,
    /// When it is activated by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activates: Option<Timestamp>,
}

/// What a key of a CA does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaState {
    /// It signs.
    Active,
    /// It will sign; it is trusted ahead.
    Next,
    /// It signs no more; it is trusted until it is retired.
    Old,
}

impl std::fmt::Display for CaState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Active => "active",
            Self::Next => "next",
            Self::Old => "old",
        })
    }
}

/// `POST /v1/own-cas/user/rotate`: makes a next key. `…/activate` lets it sign, `…/cancel` takes it
/// back, `…/retire` drops the old one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewOwnCa {
    /// When it is activated by itself; none waits for an operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activates: Option<Timestamp>,
}
