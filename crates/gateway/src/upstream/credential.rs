//! What we log in to a target with.
//!
//! Where an operator stored a credential for the login, that one alone is tried. Otherwise a certificate minted for
//! this one session, then Bartizan's own key for the target. A stored password is an answer to the method `password`
//! and to a single hidden prompt of `keyboard-interactive`, once.

use std::fmt;

use bartizan_model::{CredentialKind, Fingerprint, Target, Timestamp};
use bartizan_ssh::auth::client::Credential;
use bartizan_ssh::auth::{Secret, UserIdentity};
use bartizan_ssh::key::{CertificateBuilder, CertificateKind, KeyKind, PrivateKey, SignatureAlgorithm};
use bartizan_ssh::transport::Transport;
use bartizan_ssh::wire::userauth::{InfoRequest, Prompt};
use bartizan_store::Vault;

use super::agent::Agent;
use super::host_key::{self, Verified};
use super::{ConnectError, Errand};
use crate::evidence::fingerprint;
use crate::keys::Keys;
use crate::own::AgentDoor;
use crate::pipe::InnerEnd;

/// The certificate is valid from so long ago, because clocks differ …
const BACKDATED_SECONDS: u64 = 120;
/// … and for so long from now. It is needed for the login alone; the session goes on without it.
const VALID_SECONDS: u64 = 300;

/// What a session may do on the target is judged by us, request by request, so the certificate permits all.
const EXTENSIONS: [&str; 5] = [
    "permit-X11-forwarding",
    "permit-agent-forwarding",
    "permit-port-forwarding",
    "permit-pty",
    "permit-user-rc",
];

/// What was used, as `upstream.connect` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Used {
    /// A certificate of the user CA for this session.
    Certificate {
        /// Its serial number.
        serial: u64,
    },
    /// The key that is derived for the target.
    DerivedKey(Fingerprint),
    /// What an operator stored.
    StoredPassword,
    /// What an operator stored.
    StoredKey(Fingerprint),
    /// A key in the person's forwarded agent.
    AgentKey(Fingerprint),
}

impl fmt::Display for Used {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate { serial } => write!(f, "certificate {serial}"),
            Self::DerivedKey(key) => write!(f, "derived key {key}"),
            Self::StoredPassword => f.write_str("stored password"),
            Self::StoredKey(key) => write!(f, "stored key {key}"),
            Self::AgentKey(key) => write!(f, "agent's key {key}"),
        }
    }
}

/// The credentials of one login, in the order they are tried.
pub(super) struct Credentials {
    offers: Vec<Credential>,
    used: Vec<Used>,
    /// The password, until a prompt was answered with it.
    answer: Option<Secret>,
    /// The person's agent is to log in, and nothing else.
    by_agent: bool,
    agent: Option<Agent<InnerEnd>>,
}

impl Credentials {
    /// What is stored for a login on a target; if it is gone by now, as if nothing had been. The verdict on the host key is
    /// proof that the target may be shown it.
    ///
    /// # Errors
    /// When the vault cannot be read, or the target is another one by now, or the cryptographic library fails.
    pub(super) async fn from_vault(
        errand: &Errand<'_>,
        keys: &Keys,
        vault: &Vault,
        verified: Verified,
    ) -> Result<Self, ConnectError> {
        let stored = vault.secret(&errand.target.name, errand.login).await;
        let Some((credential, secret, record)) =
            stored.map_err(|error| ours("open the stored credential", &error))?
        else {
            return Self::minted(errand, keys, verified);
        };
        if !is_still_there(errand, &record) {
            return Err(ConnectError::Moved { target: errand.target.name.clone() });
        }
        let by_agent = credential.kind == CredentialKind::Agent;
        let (offers, used, answer) = match credential.kind {
            CredentialKind::Agent => (Vec::new(), Vec::new(), None),
            CredentialKind::Password => {
                let password = Secret::new(secret.expose());
                let offers = vec![Credential::password(password.clone()), Credential::keyboard_interactive()];
                (offers, vec![Used::StoredPassword; 2], Some(password))
            }
            CredentialKind::Key => {
                let key = std::str::from_utf8(secret.expose())
                    .map_err(|error| ours("read the stored key", &error))
                    .and_then(|text| {
                        PrivateKey::from_openssh(text).map_err(|error| ours("read the stored key", &error))
                    })?;
                let used = Used::StoredKey(fingerprint(key.public_key()));
                (vec![Credential::key(key)], vec![used], None)
            }
        };
        Ok(Self { offers, used, answer, by_agent, agent: None })
    }

    /// Where the person's agent is to log in: asks it for its keys.
    ///
    /// # Errors
    /// When it is to log in and cannot: there is none, or it has no key.
    pub(super) async fn ask_agent(
        &mut self,
        errand: &Errand<'_>,
        door: Option<&AgentDoor>,
        transport: &Transport,
    ) -> Result<(), ConnectError> {
        if !self.by_agent {
            return Ok(());
        }
        let (login, target) = (errand.login.to_string(), errand.target.name.clone());
        let needed = || ConnectError::AgentNeeded { login: login.clone(), target: target.clone() };
        let stream = door.ok_or_else(needed)?.open().await.ok_or_else(needed)?;
        let mut agent = Agent::new(stream);
        let asked = async {
            agent.bind(transport).await?;
            agent.identities().await
        };
        let identities =
            asked.await.map_err(|error| ConnectError::AgentFailed { error: error.to_string() })?;
        if identities.is_empty() {
            return Err(ConnectError::AgentFailed { error: "it holds no key that can be used".into() });
        }
        self.used = identities.iter().map(|identity| Used::AgentKey(fingerprint(identity.key()))).collect();
        self.offers = identities.into_iter().map(Credential::external).collect();
        self.agent = Some(agent);
        Ok(())
    }

    /// The agent's signature, if it gives one.
    pub(super) async fn sign(
        &mut self,
        identity: &UserIdentity,
        algorithm: SignatureAlgorithm,
        data: &[u8],
    ) -> Option<Vec<u8>> {
        let signed = self.agent.as_mut()?.sign(identity, algorithm, data).await;
        signed.inspect_err(|error| tracing::debug!(%error, "a forwarded agent does not sign")).ok()
    }

    /// Where nothing is stored: a certificate for this session, then the key derived for the target.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub(super) fn minted(
        errand: &Errand<'_>,
        keys: &Keys,
        _verified: Verified,
    ) -> Result<Self, ConnectError> {
        const WHAT: &str = "mint its credential";
        let key = PrivateKey::generate(KeyKind::Ed25519).map_err(|error| ours(WHAT, &error))?;
        let now = Timestamp::now().unix_seconds();
        let mut builder = CertificateBuilder::new(CertificateKind::User, key.public_key())
            .key_id(errand.key_id.clone())
            .principal(errand.login.as_str())
            .valid(now.saturating_sub(BACKDATED_SECONDS), now + VALID_SECONDS);
        for name in EXTENSIONS {
            builder = builder.extension(name, Vec::new());
        }
        let certificate = builder.sign(&keys.user_ca.current()).map_err(|error| ours(WHAT, &error))?;
        let own = keys.upstream_key(&errand.target.name).map_err(|error| ours(WHAT, &error))?;
        let used = vec![
            Used::Certificate { serial: certificate.serial() },
            Used::DerivedKey(fingerprint(own.public_key())),
        ];
        Ok(Self {
            offers: vec![Credential::certificate(certificate, key), Credential::key(own)],
            used,
            answer: None,
            by_agent: false,
            agent: None,
        })
    }

    /// The offers for the client's side of user authentication. Empty from the second call on.
    pub(super) fn take(&mut self) -> Vec<Credential> {
        std::mem::take(&mut self.offers)
    }

    /// What the offer with this number was; without one the target asked for nothing.
    pub(super) fn used(&self, number: Option<usize>) -> Option<Used> {
        self.used.get(number?).copied()
    }

    /// Whether an operator stored them.
    pub(super) fn stored(&self) -> Option<Used> {
        let first = self.used.first().copied()?;
        matches!(first, Used::StoredPassword | Used::StoredKey(_) | Used::AgentKey(_)).then_some(first)
    }

    /// The answers to prompts: nothing to none, the password to the first single one that does not echo. A target that
    /// asks anything else, or again, gets no answer.
    pub(super) fn answer(&mut self, request: &InfoRequest<'_>) -> Option<Vec<Secret>> {
        match request.prompts.as_slice() {
            [] => Some(Vec::new()),
            [Prompt { echo: false, .. }] => self.answer.take().map(|password| vec![password]),
            _ => None,
        }
    }
}

/// Whether what was reached and verified is what the target's record says now. The session began by an earlier one: what is
/// stored since then may be for another host.
fn is_still_there(errand: &Errand<'_>, now: &Target) -> bool {
    let same_place = (&now.host, now.port) == (&errand.target.host, errand.target.port);
    let verified = host_key::verify(now, errand.shown, Timestamp::now().unix_seconds());
    // A first use has been pinned: who finds none again finds another record.
    same_place && matches!(verified, Ok(Verified::Pinned | Verified::Authority))
}

fn ours(what: &'static str, error: &dyn fmt::Display) -> ConnectError {
    ConnectError::Ours { what, error: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_password() -> Credentials {
        Credentials {
            offers: Vec::new(),
            used: Vec::new(),
            answer: Some(Secret::new(*b"pw")),
            by_agent: false,
            agent: None,
        }
    }

    fn ask(credentials: &mut Credentials, prompts: &[bool]) -> Option<Vec<Vec<u8>>> {
        let prompts = prompts.iter().map(|&echo| Prompt { text: b"Password: ", echo }).collect();
        let request = InfoRequest { name: b"", instruction: b"", language: b"", prompts };
        let answers = credentials.answer(&request)?;
        Some(answers.iter().map(|answer| answer.expose().to_vec()).collect())
    }

    #[test]
    fn a_password_answers_one_hidden_prompt_once() {
        for refused in [&[true][..], &[false, false], &[false, true], &[true, false]] {
            assert_eq!(ask(&mut with_password(), refused), None, "{refused:?}");
        }
        let mut credentials = with_password();
        assert_eq!(ask(&mut credentials, &[]), Some(vec![]));
        assert_eq!(ask(&mut credentials, &[false]), Some(vec![b"pw".to_vec()]));
        assert_eq!(ask(&mut credentials, &[]), Some(vec![]));
        assert_eq!(ask(&mut credentials, &[false]), None);
    }
}
