//! `/v1/credentials`, `/v1/targets/NAME/credentials/LOGIN`, `/v1/vault`: what Bartizan logs in to targets with.
//!
//! A secret comes in and never goes out: no reply and no event holds one.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{ConnectInfo, Path, Query, State};
use bartizan_audit::Logged;
use bartizan_model::api::{CredentialSearch, NewCredential, VaultStatus};
use bartizan_model::event::Body;
use bartizan_model::{CredentialKind, LoginName, StoredCredential, TargetName, Timestamp};
use bartizan_store::{DirectoryStore as _, MAX_SECRET_BYTES, RecordKind, StoreError, Vault, VaultStore as _};
use tokio::sync::OwnedMutexGuard;

use crate::change::{self, Recorded, Story};
use crate::error::{ApiError, Result};
use crate::keys::ParsedKey;
use crate::peer::Peer;
use crate::state::ApiState;
use crate::targets::known_target;

/// Reads a private key file and gives its public half. The message of a refusal holds nothing of the key.
pub type PrivateKeyParser = Arc<dyn Fn(&str) -> std::result::Result<ParsedKey, String> + Send + Sync>;

/// Keeps the vault's master key outside the database.
pub trait MasterKeyFile: Send + Sync {
    /// Where it is kept, as messages name it.
    fn place(&self) -> String;

    /// Prepares a new master key: it is on disk beside the old one, which is still the one in force. `in_force` is the
    /// id of the key that wraps the vault, by the database; where it lies beside, since a rotation before was cut
    /// short, it is put in its place first. Only one rotation may be under way.
    ///
    /// # Errors
    /// When it cannot be written there, or the key in force would be lost; says which file is where.
    fn prepare(&self, in_force: &str) -> std::result::Result<bartizan_store::MasterKey, String>;

    /// Puts the prepared key in the place of the old one.
    ///
    /// # Errors
    /// When it cannot; says which file is where. The next rotation or the next start finishes it.
    fn commit(&self) -> std::result::Result<(), String>;
}

type WithState = State<Arc<ApiState>>;
type WithNames = std::result::Result<Path<(TargetName, LoginName)>, PathRejection>;

pub(crate) async fn list(
    State(state): WithState,
    filter: std::result::Result<Query<CredentialSearch>, QueryRejection>,
) -> Result<Json<Vec<StoredCredential>>> {
    let Query(CredentialSearch { target }) = filter?;
    if let Some(name) = &target {
        known_target(&state.parts.store.snapshot().await?, name)?;
    }
    Ok(Json(state.parts.store.credentials(target.as_ref()).await?))
}

pub(crate) async fn set(
    State(state): WithState,
    ConnectInfo(peer): ConnectInfo<Peer>,
    names: WithNames,
    body: std::result::Result<Json<NewCredential>, JsonRejection>,
) -> Result<Json<StoredCredential>> {
    let (Path((target, login)), Json(new)) = (names?, body?);
    known_target(&state.parts.store.snapshot().await?, &target)?;
    let (kind, public) = check(&state, &new)?;
    let credential = StoredCredential {
        target,
        login,
        kind,
        fingerprint: public.as_ref().map(|key| key.fingerprint),
        key: public.map(|key| key.key),
        added: Timestamp::now(),
    };
    let change = Set { vault: state.parts.vault.clone(), credential: credential.clone(), secret: new };
    change::record(&state, peer, change).await?;
    Ok(Json(credential))
}

pub(crate) async fn remove(
    State(state): WithState,
    ConnectInfo(peer): ConnectInfo<Peer>,
    names: WithNames,
) -> Result<Json<StoredCredential>> {
    let Path((target, login)) = names?;
    let stored = state.parts.store.credentials(Some(&target)).await?;
    let missing =
        || StoreError::NotFound { record: RecordKind::Credential, name: format!("{login}@{target}") };
    let credential = stored.into_iter().find(|credential| credential.login == login).ok_or_else(missing)?;
    let store = state.parts.store.clone();
    change::record(&state, peer, Remove { store, credential }).await.map(Json)
}

pub(crate) async fn status(State(state): WithState) -> Result<Json<VaultStatus>> {
    of_vault(&state).await.map(Json)
}

pub(crate) async fn rotate(
    State(state): WithState,
    ConnectInfo(peer): ConnectInfo<Peer>,
) -> Result<Json<VaultStatus>> {
    let alone = state.rotation().await;
    let (vault, file) = (state.parts.vault.clone(), state.parts.master_key.clone());
    // The database knows best, also where the reply to a rotation before was lost.
    let wrapped = state.parts.store.wrapped_key().await?;
    let in_force = wrapped.map_or_else(|| vault.master_key_id(), |key| key.master);
    let to = file.prepare(&in_force).map_err(|error| {
        ApiError::unavailable(format!("the master key was not rotated: {error}"))
            .hint("Bartizan writes the new one beside the old one; where that is read-only, see docs/configuration.md")
    })?;
    let from = vault.master_key_id();
    change::record(&state, peer, Rotate { vault, file, from, to, alone }).await?;
    of_vault(&state).await.map(Json)
}

async fn of_vault(state: &ApiState) -> Result<VaultStatus> {
    Ok(VaultStatus {
        master_key: state.parts.vault.master_key_id(),
        master_key_file: state.parts.master_key.place(),
        credentials: state.parts.store.credentials(None).await?.len() as u64,
    })
}

/// Checks a secret before anything is on record.
fn check(state: &ApiState, new: &NewCredential) -> Result<(CredentialKind, Option<ParsedKey>)> {
    let (NewCredential::Password(text) | NewCredential::Key(text)) = new else {
        return Ok((CredentialKind::Agent, None));
    };
    if text.expose().is_empty() {
        return Err(ApiError::invalid("the secret is empty"));
    }
    if text.expose().len() > MAX_SECRET_BYTES {
        return Err(ApiError::invalid(format!("the secret is longer than {MAX_SECRET_BYTES} bytes")));
    }
    match new {
        NewCredential::Password(_) => Ok((CredentialKind::Password, None)),
        NewCredential::Key(text) => {
            let parsed = (state.parts.parse_private_key)(text.expose());
            let refused = |why| ApiError::invalid(format!("the private key cannot be used: {why}"));
            Ok((CredentialKind::Key, Some(parsed.map_err(refused)?)))
        }
        NewCredential::Agent => Ok((CredentialKind::Agent, None)),
    }
}

/// A change of a stored credential as the log tells it.
struct Telling {
    action: &'static str,
    credential: StoredCredential,
}

impl Story for Telling {
    fn body(&self, by: String, reason: Option<String>) -> Body {
        let StoredCredential { kind, fingerprint: key, .. } = self.credential;
        Body::CredentialChange { action: self.action.into(), kind, key, reason, by }
    }

    fn place(&self) -> Option<(TargetName, LoginName)> {
        Some((self.credential.target.clone(), self.credential.login.clone()))
    }
}

struct Set {
    vault: Vault,
    credential: StoredCredential,
    secret: NewCredential,
}

impl Recorded for Set {
    type Done = ();
    type Error = StoreError;
    type Story = Telling;
    fn story(&self) -> Telling {
        Telling { action: "set", credential: self.credential.clone() }
    }
    async fn apply(change: Logged<Self>) -> std::result::Result<(), StoreError> {
        let Self { vault, credential, secret } = change.into_inner();
        let secret = match &secret {
            NewCredential::Password(text) | NewCredential::Key(text) => text.expose(),
            // The secret is the person's, and never comes here.
            NewCredential::Agent => "",
        };
        vault.set(&credential, secret.as_bytes()).await
    }
}

struct Remove {
    store: bartizan_store::Store,
    credential: StoredCredential,
}

impl Recorded for Remove {
    type Done = StoredCredential;
    type Error = StoreError;
    type Story = Telling;
    fn story(&self) -> Telling {
        Telling { action: "remove", credential: self.credential.clone() }
    }
    async fn apply(change: Logged<Self>) -> std::result::Result<StoredCredential, StoreError> {
        let Self { store, credential } = change.into_inner();
        store.remove_credential(&credential.target, &credential.login).await
    }
}

struct Rotate {
    vault: Vault,
    file: Arc<dyn MasterKeyFile>,
    from: String,
    to: bartizan_store::MasterKey,
    /// Held until the key is in its place, also when the caller hangs up.
    alone: OwnedMutexGuard<()>,
}

impl Recorded for Rotate {
    type Done = ();
    type Error = ApiError;
    type Story = Rotation;
    fn story(&self) -> Rotation {
        Rotation { from: self.from.clone(), to: self.to.id() }
    }
    async fn apply(change: Logged<Self>) -> Result<()> {
        let Self { vault, file, to, alone: _alone, .. } = change.into_inner();
        vault.rotate(&to).await?;
        file.commit().map_err(|error| {
            ApiError::unavailable(format!(
                "the master key is new, but its file is not as it should be: {error}"
            ))
            .hint("remove neither file; another `bartizan vault rotate` or the next start finishes it")
        })
    }
}

/// A rotation of the master key as the log tells it.
struct Rotation {
    from: String,
    to: String,
}

impl Story for Rotation {
    fn body(&self, by: String, reason: Option<String>) -> Body {
        Body::VaultRotate { from: self.from.clone(), to: self.to.clone(), reason, by }
    }
}
