//! The contract of the directory's storage.

use bartizan_model::{
    AuthorizedKey, DirectoryData, Fingerprint, Grant, GrantId, HostKeyTrust, Labels, Person, PersonName,
    PersonState, Role, RoleName, StoredCredential, Target, TargetName, TrustedCa,
};
use tokio::sync::watch;

use crate::StoreError;

type Result<T> = std::result::Result<T, StoreError>;

/// Stores the directory: roles, people, their keys, trusted CAs, targets, grants.
///
/// # Durability
/// When a change returns `Ok`, it is on disk and every later [`snapshot`](Self::snapshot) shows it. Each change
/// is one transaction: all of it happens, or nothing.
///
/// # Cancel safety
/// A change that was begun (its future was polled) is carried out and announced even if the future is dropped,
/// so a caller that hangs up cannot leave a change on disk that nobody was told of.
///
/// # Errors
/// Besides what each method names, every method can fail with [`StoreError::Database`].
pub trait DirectoryStore: Clone + Send + Sync + 'static {
    /// Reads the whole directory as it was at one moment.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when a record cannot be understood: half a directory is not handed out.
    fn snapshot(&self) -> impl Future<Output = Result<DirectoryData>> + Send;

    /// Follows the directory's generation: the receiver changes after every change made through this store or
    /// a clone of it. A snapshot read afterwards is of that generation or later.
    fn changes(&self) -> watch::Receiver<u64>;

    /// Adds a person together with their keys and roles.
    ///
    /// # Errors
    /// [`StoreError::Exists`] for the person, [`StoreError::KeyTaken`] when a key is somebody's already,
    /// [`StoreError::NotFound`] for a role.
    fn add_person(&self, person: &Person, keys: &[AuthorizedKey]) -> impl Future<Output = Result<()>> + Send;

    /// Locks or unlocks a person and returns the record as it is now.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    fn set_person_state(
        &self,
        name: &PersonName,
        state: PersonState,
    ) -> impl Future<Output = Result<Person>> + Send;

    /// Removes a person and their keys, and returns what was removed.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::InUse`] when grants name the person and `removal` is
    /// [`Removal::Refuse`].
    fn remove_person(
        &self,
        name: &PersonName,
        removal: Removal,
    ) -> impl Future<Output = Result<RemovedPerson>> + Send;

    /// Adds a role that nobody has yet.
    ///
    /// # Errors
    /// [`StoreError::Exists`].
    fn add_role(&self, role: &Role) -> impl Future<Output = Result<()>> + Send;

    /// Removes a role; those who had it have it no more. Returns what was removed.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::InUse`] when grants name the role and `removal` is
    /// [`Removal::Refuse`].
    fn remove_role(
        &self,
        name: &RoleName,
        removal: Removal,
    ) -> impl Future<Output = Result<RemovedRole>> + Send;

    /// Gives a person a role, or takes it from them, and returns the person as they are now. What is so already
    /// stays so, without a change.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for the role or the person.
    fn set_membership(
        &self,
        role: &RoleName,
        person: &PersonName,
        membership: Membership,
    ) -> impl Future<Output = Result<Person>> + Send;

    /// Makes many changes in one transaction: all of them, in their order, or none. For a caller that compared a
    /// snapshot with what should be there.
    ///
    /// Records are written whole. A key or a CA with the fingerprint of one that is there replaces it.
    ///
    /// # Errors
    /// [`StoreError::Moved`] when the directory is not of generation `expected` any more;
    /// [`StoreError::NotFound`] when something refers to a record that is not there, or that is removed while
    /// it is referred to.
    fn write_all(&self, expected: u64, writes: Vec<Write>) -> impl Future<Output = Result<()>> + Send;

    /// Adds a key of a person. A key proves to be one person only.
    ///
    /// # Errors
    /// [`StoreError::KeyTaken`] (also when the key is this person's already), [`StoreError::NotFound`] for the
    /// person.
    fn add_key(&self, key: &AuthorizedKey) -> impl Future<Output = Result<()>> + Send;

    /// Removes a key and returns it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    fn remove_key(&self, fingerprint: &Fingerprint) -> impl Future<Output = Result<AuthorizedKey>> + Send;

    /// Adds a trusted certificate authority.
    ///
    /// # Errors
    /// [`StoreError::Exists`].
    fn add_ca(&self, ca: &TrustedCa) -> impl Future<Output = Result<()>> + Send;

    /// Removes a trusted certificate authority and returns it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    fn remove_ca(&self, fingerprint: &Fingerprint) -> impl Future<Output = Result<TrustedCa>> + Send;

    /// Adds a target.
    ///
    /// # Errors
    /// [`StoreError::Exists`].
    fn add_target(&self, target: &Target) -> impl Future<Output = Result<()>> + Send;

    /// Removes a target with its stored credentials and returns what was removed. Grants refer to a target when they name it; those that
    /// cover it by a glob stay.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::InUse`] when grants name the target and `removal` is
    /// [`Removal::Refuse`].
    fn remove_target(
        &self,
        name: &TargetName,
        removal: Removal,
    ) -> impl Future<Output = Result<RemovedTarget>> + Send;

    /// Replaces how a target's host key is verified, as an operator does after a host was set up anew, and
    /// returns the record as it is now.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    fn set_host_key_trust(
        &self,
        name: &TargetName,
        trust: &HostKeyTrust,
    ) -> impl Future<Output = Result<Target>> + Send;

    /// Replaces a target's labels and returns the record as it is now.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    fn set_labels(&self, name: &TargetName, labels: &Labels) -> impl Future<Output = Result<Target>> + Send;

    /// Pins the host key that a target showed at first use: compare and set, so of two sessions that see
    /// different keys at the same time only one pins.
    ///
    /// `key` is as in `known_hosts`: algorithm and base64.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    fn pin_host_key(&self, name: &TargetName, key: &str) -> impl Future<Output = Result<PinOutcome>> + Send;

    /// Adds a grant. A grant whose target selector is a name needs that target to exist; a glob or labels do not.
    ///
    /// # Errors
    /// [`StoreError::Exists`], [`StoreError::NotFound`] for the person, the role or the named target.
    fn add_grant(&self, grant: &Grant) -> impl Future<Output = Result<()>> + Send;

    /// Removes a grant and returns it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    fn remove_grant(&self, id: &GrantId) -> impl Future<Output = Result<Grant>> + Send;
}

/// Whether a person has a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// They have it.
    Member,
    /// They do not.
    Outsider,
}

/// One change of many that [`DirectoryStore::write_all`] makes together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Adds a role, or replaces it.
    Role(Role),
    /// Adds a person with exactly these roles, or replaces them. Keys are not touched.
    Person(Person),
    /// Adds a key, or replaces it.
    Key(AuthorizedKey),
    /// Trusts a certificate authority.
    Ca(TrustedCa),
    /// Adds a target, or replaces it.
    Target(Target),
    /// Adds a grant, or replaces it.
    Grant(Grant),
    /// Removes a grant.
    RemoveGrant(GrantId),
    /// Removes a key.
    RemoveKey(Fingerprint),
    /// Removes a person with their keys and roles. No grant may name them any more.
    RemovePerson(PersonName),
    /// Removes a role from all who have it. No grant may name it any more.
    RemoveRole(RoleName),
    /// Removes a target with its stored credentials. No grant may name it any more.
    RemoveTarget(TargetName),
    /// Removes a certificate authority.
    RemoveCa(Fingerprint),
}

/// What to do with grants that refer to what is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// Refuse, and list them.
    Refuse,
    /// Remove them too.
    Cascade,
}

/// What [`DirectoryStore::remove_person`] removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemovedPerson {
    /// The person.
    pub person: Person,
    /// Their keys.
    pub keys: Vec<AuthorizedKey>,
    /// The grants that named them.
    pub grants: Vec<Grant>,
}

/// What [`DirectoryStore::remove_role`] removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemovedRole {
    /// The role.
    pub role: Role,
    /// Who had it, by name.
    pub members: Vec<PersonName>,
    /// The grants that named it.
    pub grants: Vec<Grant>,
}

/// What [`DirectoryStore::remove_target`] removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemovedTarget {
    /// The target.
    pub target: Target,
    /// The grants that named it.
    pub grants: Vec<Grant>,
    /// What was stored to log in to it.
    pub credentials: Vec<StoredCredential>,
}

/// What [`DirectoryStore::pin_host_key`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a key that was not pinned may not be trusted"]
pub enum PinOutcome {
    /// The target was in its first use; the key is pinned now. Holds the record as it is now.
    Pinned(Target),
    /// The target was not in its first use any more; nothing was changed. Holds what it trusts:
    /// the shown key must be checked against that.
    Already(HostKeyTrust),
}
