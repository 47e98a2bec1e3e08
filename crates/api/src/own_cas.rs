//! `/v1/own-cas`: Bartizan's own CAs, and their rotation with overlap.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, Path, State};
use bartizan_audit::Logged;
use bartizan_model::Fingerprint;
use bartizan_model::Timestamp;
use bartizan_model::api::{NewOwnCa, OwnCa};
use bartizan_model::event::Body;

use crate::change::{self, Recorded, Story};
use crate::error::{ApiError, Result};
use crate::peer::Peer;
use crate::state::ApiState;

/// A step of a rotation that is prepared and has had no effect yet.
pub struct CaStep {
    /// The key that it is about.
    pub key: Fingerprint,
    /// When the key is to be activated by itself.
    pub at: Option<Timestamp>,
    /// Makes the step.
    pub effect: Box<dyn FnOnce() -> std::result::Result<(), String> + Send>,
}

/// Keeps the keys of one CA. Messages say why a step is not possible now.
pub trait CaKeeper: Send + Sync {
    /// All that must be trusted now: the key that signs first, then the next and the old one where they are.
    ///
    /// # Errors
    /// When a key cannot be read.
    fn list(&self) -> std::result::Result<Vec<OwnCa>, String>;

    /// Prepares a next key.
    ///
    /// # Errors
    /// When a rotation is under way.
    fn rotate(&self, at: Option<Timestamp>) -> std::result::Result<CaStep, String>;

    /// Prepares that the next key signs, and the one that signs now becomes the old one.
    ///
    /// # Errors
    /// When there is no next key.
    fn activate(&self) -> std::result::Result<CaStep, String>;

    /// Prepares that the next key is gone, as if it had never been made.
    ///
    /// # Errors
    /// When there is no next key.
    fn cancel(&self) -> std::result::Result<CaStep, String>;

    /// Prepares that the old key is trusted no more.
    ///
    /// # Errors
    /// When there is no old key.
    fn retire(&self) -> std::result::Result<CaStep, String>;
}

/// A next key is there at least so long before it signs by itself: who trusts the CA must learn of it first.
const NOTICE: Duration = Duration::from_secs(600);

type WithState = State<Arc<ApiState>>;

pub(crate) async fn list(State(state): WithState, Path(which): Path<String>) -> Result<Json<Vec<OwnCa>>> {
    Ok(Json(listed(&state, &which)?))
}

pub(crate) async fn rotate(
    State(state): WithState,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(which): Path<String>,
    body: std::result::Result<Json<NewOwnCa>, JsonRejection>,
) -> Result<Json<Vec<OwnCa>>> {
    let Json(NewOwnCa { activates }) = body?;
    if activates.is_some_and(|at| at < Timestamp::now().saturating_add(NOTICE)) {
        return Err(ApiError::invalid(format!(
            "the next key may not sign by itself within {} minutes: it must be trusted everywhere before",
            NOTICE.as_secs() / 60
        ))
        .hint(
            "name a later time; `bartizan ca rotate --activate` lets a key that is installed sign at once",
        ));
    }
    let step = keeper(&state, &which)?.rotate(activates).map_err(not_now)?;
    make(&state, peer, which, "rotate", step).await
}

pub(crate) async fn activate(
    State(state): WithState,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(which): Path<String>,
) -> Result<Json<Vec<OwnCa>>> {
    let step = keeper(&state, &which)?.activate().map_err(not_now)?;
    make(&state, peer, which, "activate", step).await
}

pub(crate) async fn cancel(
    State(state): WithState,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(which): Path<String>,
) -> Result<Json<Vec<OwnCa>>> {
    let step = keeper(&state, &which)?.cancel().map_err(not_now)?;
    make(&state, peer, which, "cancel", step).await
}

pub(crate) async fn retire(
    State(state): WithState,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(which): Path<String>,
) -> Result<Json<Vec<OwnCa>>> {
    let step = keeper(&state, &which)?.retire().map_err(not_now)?;
    make(&state, peer, which, "retire", step).await
}

async fn make(
    state: &Arc<ApiState>,
    peer: Peer,
    ca: String,
    action: &'static str,
    step: CaStep,
) -> Result<Json<Vec<OwnCa>>> {
    change::record(state, peer, Step { ca: ca.clone(), action, step }).await?;
    Ok(Json(listed(state, &ca)?))
}

fn not_now(why: String) -> ApiError {
    ApiError::conflict(why).hint("`bartizan ca list` shows each key and what it does now")
}

fn keeper<'a>(state: &'a ApiState, which: &str) -> Result<&'a Arc<dyn CaKeeper>> {
    match which {
        "user" => Ok(&state.parts.own_cas.user),
        "host" => Ok(&state.parts.own_cas.host),
        "people" => Ok(&state.parts.own_cas.people),
        _ => Err(ApiError::not_found("there are three CAs of Bartizan's own: user, host and people")),
    }
}

/// The keys of one CA that must be trusted now.
pub(crate) fn listed(state: &ApiState, which: &str) -> Result<Vec<OwnCa>> {
    keeper(state, which)?
        .list()
        .map_err(|why| ApiError::unavailable(format!("its keys cannot be read: {why}")))
}

/// Why a CA of Bartizan's own cannot be trusted to say who people are.
const NOT_FOR_PEOPLE: [(&str, &str); 3] = [
    (
        "user",
        "its certificates name logins on targets, so one for `root` would prove to be a person of that name",
    ),
    ("host", "it signs for hosts, and clients believe it to"),
    ("people", "what it signs is accepted without that"),
];

/// Refuses CAs to be trusted that are Bartizan's own.
pub(crate) fn refuse_own(state: &ApiState, cas: impl IntoIterator<Item = Fingerprint>) -> Result<()> {
    let cas: Vec<_> = cas.into_iter().collect();
    if cas.is_empty() {
        return Ok(());
    }
    for (which, why) in NOT_FOR_PEOPLE {
        if let Some(own) = listed(state, which)?.into_iter().find(|own| cas.contains(&own.fingerprint)) {
            let what = format!("{} is a key of Bartizan's own {which} CA: {why}", own.fingerprint);
            return Err(ApiError::invalid(what).hint(
                "`bartizan cert issue` gives a person a certificate; trust only CAs that are kept elsewhere",
            ));
        }
    }
    Ok(())
}

struct Step {
    ca: String,
    action: &'static str,
    step: CaStep,
}

/// A step as the log tells it.
struct Telling {
    ca: String,
    action: &'static str,
    key: Fingerprint,
    at: Option<Timestamp>,
}

impl Story for Telling {
    fn body(&self, by: String, reason: Option<String>) -> Body {
        let Self { ca, action, key, at } = self;
        Body::CaChange { ca: ca.clone(), action: (*action).into(), key: *key, at: *at, reason, by }
    }
}

impl Recorded for Step {
    type Done = ();
    type Error = ApiError;
    type Story = Telling;
    fn story(&self) -> Telling {
        Telling { ca: self.ca.clone(), action: self.action, key: self.step.key, at: self.step.at }
    }
    async fn apply(change: Logged<Self>) -> Result<()> {
        (change.into_inner().step.effect)()
            .map_err(|why| ApiError::unavailable(format!("the step failed: {why}")))
    }
}
