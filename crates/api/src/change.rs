//! Changes of the directory: evidence before effect.
//!
//! A change describes itself, the description becomes an event ([`crate::evidence`]), and only what is `Logged` is applied.
//! When the store then refuses, a second event says so.

use std::sync::Arc;

use bartizan_audit::{Logged, Urgency};
use bartizan_model::event::{Body, Outcome, Severity};
use bartizan_model::{
    AuthorizedKey, Grant, LoginName, Person, PersonState, Role, RoleName, Target, TargetName, TrustedCa,
};
use bartizan_store::{
    DirectoryStore as _, Membership, Removal, RemovedPerson, RemovedRole, RemovedTarget, Store, StoreError,
};
use serde_json::{Value, json};

use crate::error::{ApiError, Result};
use crate::evidence::{Description, unmade};
use crate::peer::Peer;
use crate::state::ApiState;

type Stored<T> = std::result::Result<T, StoreError>;

/// One change of the directory.
pub(crate) trait Change: Clone + Send + 'static {
    /// What the change gives back.
    type Done: Send + 'static;

    /// What the log says about it.
    fn describe(&self) -> Description;

    /// Whether it takes access away: then it is made also on a full disk, out of the room that the store keeps.
    fn takes_away(&self) -> bool {
        false
    }

    /// Makes it.
    fn apply(self, store: &Store) -> impl Future<Output = Stored<Self::Done>> + Send;
}

/// Logs a change and makes it; returns when sessions are judged by it. Goes on to the end even when the caller hangs up, so
/// that no change is on record that was neither made nor marked as failed.
pub(crate) async fn make<C: Change>(state: &Arc<ApiState>, peer: Peer, change: C) -> Result<C::Done> {
    let state = state.clone();
    let whole = tokio::spawn(async move {
        let description = change.describe();
        let telling = description.telling(&state, peer);
        telling.check(&state)?;
        let one = telling.is_one();
        let logged = match telling.log(&state, change).await {
            Ok(logged) => logged,
            Err(error) => {
                // A single event that was not logged tells of nothing.
                if !one {
                    unmade(description.failed(&state, peer, json!({ "error": error.to_string() })).await);
                }
                return Err(error);
            }
        };
        match apply(&state.parts.store, logged).await {
            Ok(done) => state.in_force().await.map(|()| done),
            Err(error) => {
                description.failed(&state, peer, json!({ "error": error.to_string() })).await?;
                Err(error.into())
            }
        }
    });
    whole.await.unwrap_or_else(|panic| {
        tracing::error!(%panic, "a change of the directory broke off");
        Err(ApiError::unavailable("the change broke off inside the server").hint("see the server's log"))
    })
}

/// A change of something else than the directory, with an event of its own.
pub(crate) trait Recorded: Sized + Send + 'static {
    /// What the change gives back.
    type Done: Send + 'static;
    /// Why it was not made.
    type Error: Into<ApiError> + std::fmt::Display + Send;
    /// What the log says about it.
    type Story: Story;

    /// Tells what will be done.
    fn story(&self) -> Self::Story;

    /// Makes the change.
    fn apply(
        change: Logged<Self>,
    ) -> impl Future<Output = std::result::Result<Self::Done, Self::Error>> + Send;
}

/// What the log says about a change, before it is made, and again when it fails.
pub(crate) trait Story: Send + Sync + 'static {
    /// The event: who made the change, and why it was not done where it was not.
    fn body(&self, by: String, reason: Option<String>) -> Body;

    /// The login on a target that it is about.
    fn place(&self) -> Option<(TargetName, LoginName)> {
        None
    }
}

/// As [`make`], for such a change.
pub(crate) async fn record<C: Recorded>(state: &Arc<ApiState>, peer: Peer, change: C) -> Result<C::Done> {
    let state = state.clone();
    let whole = tokio::spawn(async move {
        let story = change.story();
        let event = |outcome, severity, reason| {
            let mut event = state.event(story.body(peer.to_string(), reason));
            (event.severity, event.outcome) = (severity, outcome);
            (event.target, event.login) = story.place().unzip();
            event
        };
        let told = event(Outcome::Success, Severity::Notice, None);
        let logged = state.parts.log.append_as(told, Urgency::Emergency, change).await?;
        match C::apply(logged).await {
            Ok(done) => Ok(done),
            Err(error) => {
                let reason = Some(bartizan_model::escape(error.to_string().as_bytes()));
                state.append(event(Outcome::Failure, Severity::Warning, reason)).await?;
                Err(error.into())
            }
        }
    });
    whole.await.unwrap_or_else(|panic| {
        tracing::error!(%panic, "a change broke off");
        Err(ApiError::unavailable("the change broke off inside the server").hint("see the server's log"))
    })
}

async fn apply<C: Change>(store: &Store, change: Logged<C>) -> Stored<C::Done> {
    let change = change.into_inner();
    loop {
        match change.clone().apply(store).await {
            Err(full @ StoreError::Full(_)) if change.takes_away() => more_room(store, full).await?,
            done => return done,
        }
    }
}

/// Gives up some of the room that the store keeps for what takes access away, so that it can be tried again. Each time less
/// is left, so that ends.
///
/// # Errors
/// `full`, when nothing is left.
pub(crate) async fn more_room(store: &Store, full: StoreError) -> Stored<()> {
    match store.give_room().await {
        Ok(true) => Ok(()),
        Ok(false) => Err(full),
        Err(error) => {
            tracing::error!(%error, "the room that is kept for a full disk cannot be given up");
            Err(full)
        }
    }
}

fn value(record: &impl serde::Serialize) -> Value {
    serde_json::to_value(record).unwrap_or(Value::Null)
}

#[derive(Clone)]
pub(crate) struct AddPerson(pub(crate) Person, pub(crate) Vec<AuthorizedKey>);
impl Change for AddPerson {
    type Done = ();
    fn describe(&self) -> Description {
        let value = json!({ "person": value(&self.0), "keys": value(&self.1) });
        Description::new("add", "person", &self.0.name, value)
    }
    async fn apply(self, store: &Store) -> Stored<()> {
        store.add_person(&self.0, &self.1).await
    }
}

/// The person as they are before, and the state they get.
#[derive(Clone)]
pub(crate) struct SetPersonState(pub(crate) Person, pub(crate) PersonState);
impl Change for SetPersonState {
    type Done = Person;
    fn describe(&self) -> Description {
        let action = match self.1 {
            PersonState::Active => "unlock",
            PersonState::Locked => "lock",
        };
        let after = Person { state: self.1, ..self.0.clone() };
        Description::new(action, "person", &self.0.name, value(&after))
    }
    fn takes_away(&self) -> bool {
        self.1 == PersonState::Locked
    }
    async fn apply(self, store: &Store) -> Stored<Person> {
        store.set_person_state(&self.0.name, self.1).await
    }
}

#[derive(Clone)]
pub(crate) struct RemovePerson(pub(crate) RemovedPerson, pub(crate) Removal);
impl Change for RemovePerson {
    type Done = RemovedPerson;
    fn describe(&self) -> Description {
        let RemovedPerson { person, keys, grants } = &self.0;
        let value = json!({ "person": value(person), "keys": value(keys), "grants": value(grants) });
        Description::new("remove", "person", &person.name, value)
    }
    fn takes_away(&self) -> bool {
        true
    }
    async fn apply(self, store: &Store) -> Stored<RemovedPerson> {
        store.remove_person(&self.0.person.name, self.1).await
    }
}

#[derive(Clone)]
pub(crate) struct AddRole(pub(crate) Role);
impl Change for AddRole {
    type Done = ();
    fn describe(&self) -> Description {
        Description::new("add", "role", &self.0.name, value(&self.0))
    }
    async fn apply(self, store: &Store) -> Stored<()> {
        store.add_role(&self.0).await
    }
}

#[derive(Clone)]
pub(crate) struct RemoveRole(pub(crate) RemovedRole, pub(crate) Removal);
impl Change for RemoveRole {
    type Done = RemovedRole;
    fn describe(&self) -> Description {
        let RemovedRole { role, members, grants } = &self.0;
        let value = json!({ "role": value(role), "members": value(members), "grants": value(grants) });
        Description::new("remove", "role", &role.name, value)
    }
    fn takes_away(&self) -> bool {
        true
    }
    async fn apply(self, store: &Store) -> Stored<RemovedRole> {
        store.remove_role(&self.0.role.name, self.1).await
    }
}

/// A role, and the person before who gets it or loses it.
#[derive(Clone)]
pub(crate) struct SetMembership(pub(crate) RoleName, pub(crate) Person, pub(crate) Membership);
impl Change for SetMembership {
    type Done = Person;
    fn describe(&self) -> Description {
        let mut after = self.1.clone();
        let action = match self.2 {
            Membership::Member => {
                after.roles.insert(self.0.clone());
                "assign"
            }
            Membership::Outsider => {
                after.roles.remove(&self.0);
                "unassign"
            }
        };
        Description::new(action, "person", &self.1.name, json!({ "role": self.0, "person": value(&after) }))
    }
    fn takes_away(&self) -> bool {
        matches!(self.2, Membership::Outsider)
    }
    async fn apply(self, store: &Store) -> Stored<Person> {
        store.set_membership(&self.0, &self.1.name, self.2).await
    }
}

/// The target with its labels as they will be.
#[derive(Clone)]
pub(crate) struct LabelTarget(pub(crate) Target);
impl Change for LabelTarget {
    type Done = Target;
    fn describe(&self) -> Description {
        Description::new("label", "target", &self.0.name, value(&self.0))
    }
    async fn apply(self, store: &Store) -> Stored<Target> {
        store.set_labels(&self.0.name, &self.0.labels).await
    }
}

#[derive(Clone)]
pub(crate) struct AddKey(pub(crate) AuthorizedKey);
impl Change for AddKey {
    type Done = ();
    fn describe(&self) -> Description {
        Description::new("add", "key", self.0.fingerprint, value(&self.0))
    }
    async fn apply(self, store: &Store) -> Stored<()> {
        store.add_key(&self.0).await
    }
}

#[derive(Clone)]
pub(crate) struct RemoveKey(pub(crate) AuthorizedKey);
impl Change for RemoveKey {
    type Done = AuthorizedKey;
    fn describe(&self) -> Description {
        Description::new("remove", "key", self.0.fingerprint, value(&self.0))
    }
    fn takes_away(&self) -> bool {
        true
    }
    async fn apply(self, store: &Store) -> Stored<AuthorizedKey> {
        store.remove_key(&self.0.fingerprint).await
    }
}

#[derive(Clone)]
pub(crate) struct AddTarget(pub(crate) Target);
impl Change for AddTarget {
    type Done = ();
    fn describe(&self) -> Description {
        Description::new("add", "target", &self.0.name, value(&self.0))
    }
    async fn apply(self, store: &Store) -> Stored<()> {
        store.add_target(&self.0).await
    }
}

#[derive(Clone)]
pub(crate) struct RemoveTarget(pub(crate) RemovedTarget, pub(crate) Removal);
impl Change for RemoveTarget {
    type Done = RemovedTarget;
    fn describe(&self) -> Description {
        let RemovedTarget { target, grants, credentials } = &self.0;
        let mut removed = json!({ "target": value(target), "grants": value(grants) });
        if !credentials.is_empty() {
            removed["credentials"] = value(credentials);
        }
        let value = removed;
        Description::new("remove", "target", &target.name, value)
    }
    fn takes_away(&self) -> bool {
        true
    }
    async fn apply(self, store: &Store) -> Stored<RemovedTarget> {
        store.remove_target(&self.0.target.name, self.1).await
    }
}

#[derive(Clone)]
pub(crate) struct AddGrant(pub(crate) Grant);
impl Change for AddGrant {
    type Done = ();
    fn describe(&self) -> Description {
        Description::new("add", "grant", &self.0.id, value(&self.0))
    }
    async fn apply(self, store: &Store) -> Stored<()> {
        store.add_grant(&self.0).await
    }
}

#[derive(Clone)]
pub(crate) struct RemoveGrant(pub(crate) Grant);
impl Change for RemoveGrant {
    type Done = Grant;
    fn describe(&self) -> Description {
        Description::new("remove", "grant", &self.0.id, value(&self.0))
    }
    fn takes_away(&self) -> bool {
        true
    }
    async fn apply(self, store: &Store) -> Stored<Grant> {
        store.remove_grant(&self.0.id).await
    }
}

#[derive(Clone)]
pub(crate) struct TrustCa(pub(crate) TrustedCa);
impl Change for TrustCa {
    type Done = ();
    fn describe(&self) -> Description {
        Description::new("add", "ca", self.0.fingerprint, value(&self.0))
    }
    async fn apply(self, store: &Store) -> Stored<()> {
        store.add_ca(&self.0).await
    }
}

#[derive(Clone)]
pub(crate) struct UntrustCa(pub(crate) TrustedCa);
impl Change for UntrustCa {
    type Done = TrustedCa;
    fn describe(&self) -> Description {
        Description::new("remove", "ca", self.0.fingerprint, value(&self.0))
    }
    fn takes_away(&self) -> bool {
        true
    }
    async fn apply(self, store: &Store) -> Stored<TrustedCa> {
        store.remove_ca(&self.0.fingerprint).await
    }
}
