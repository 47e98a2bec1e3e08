//! The store that everybody uses, over one of the two backends.

use std::path::Path;

use bartizan_model::{
    AuthorizedKey, DirectoryData, Fingerprint, Grant, GrantId, HostKeyTrust, IssuedCertificate, Labels,
    LoginName, Person, PersonName, PersonState, Revocation, Role, RoleName, SessionId, SessionSummary,
    StoredCredential, Target, TargetName, TrustedCa,
};
use tokio::sync::watch;

use crate::{
    CertificateStore, DirectoryStore, EventQuery, IndexEntry, IndexStore, IndexedEvent, Membership, Page,
    PinOutcome, PostgresOptions, Removal, RemovedPerson, RemovedRole, RemovedTarget, Sealed, SessionQuery,
    StoreError, VaultStore, WrappedKey, Write, postgres, sqlite,
};

type Result<T> = std::result::Result<T, StoreError>;

/// The directory, the vault and the index, in SQLite or PostgreSQL. Clones share it.
///
/// Implements [`DirectoryStore`], [`CertificateStore`], [`IndexStore`] and [`VaultStore`].
#[derive(Clone, Debug)]
pub struct Store {
    backend: Backend,
    /// How often the index was found damaged.
    damage: watch::Sender<u64>,
}

#[derive(Clone, Debug)]
enum Backend {
    Sqlite(sqlite::Store),
    Postgres(postgres::Store),
}

/// Calls the backend, whichever it is.
macro_rules! backend {
    ($self:ident.$method:ident($($argument:expr),*)$(.$await:ident)?) => {
        match &$self.backend {
            Backend::Sqlite(store) => store.$method($($argument),*)$(.$await)?,
            Backend::Postgres(store) => store.$method($($argument),*)$(.$await)?,
        }
    };
}

impl Store {
    /// The file of the directory and the vault in SQLite's folder.
    pub const DIRECTORY_FILE: &str = sqlite::Store::DIRECTORY_FILE;
    /// The file of the index there. It may be removed while nothing has it open: the log fills it again.
    pub const INDEX_FILE: &str = sqlite::Store::INDEX_FILE;

    /// Opens the SQLite databases in `folder`, makes those that are not there (mode 0600), and brings their schemas up to
    /// date. An index that is damaged or of another version is made anew, empty.
    ///
    /// # Errors
    /// [`StoreError::Newer`] when a newer version of Bartizan wrote the directory; [`StoreError::Damaged`] when it is no
    /// database or a damaged one, all of which is read; [`StoreError::Database`] when a file cannot be opened.
    pub async fn open(folder: &Path) -> Result<Self> {
        Ok(Self::over(Backend::Sqlite(sqlite::Store::open(folder).await?)))
    }

    /// Reads the whole directory of the SQLite databases in `folder`, also while they are in use, and changes nothing.
    /// Gives the id of the master key that locks the vault, if it was ever used.
    ///
    /// # Errors
    /// As [`Self::open`], and [`StoreError::Database`] when it is missing.
    pub async fn verify(folder: &Path) -> Result<Option<String>> {
        sqlite::Store::verify(folder).await
    }

    /// Connects to a PostgreSQL database and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::Newer`] when a newer version of Bartizan wrote it; [`StoreError::Database`] when it does not answer.
    pub async fn connect(options: &PostgresOptions) -> Result<Self> {
        Ok(Self::over(Backend::Postgres(postgres::Store::connect(options).await?)))
    }

    /// Asks a PostgreSQL server for its version and changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Database`] when it does not answer, or does not let us in.
    pub async fn version(options: &PostgresOptions) -> Result<String> {
        postgres::Store::version(options).await
    }

    /// Gives the id of the master key that locks the vault of a PostgreSQL database, if it was ever used, and changes nothing.
    ///
    /// # Errors
    /// As [`Self::version`].
    pub async fn master_key_of(options: &PostgresOptions) -> Result<Option<String>> {
        postgres::Store::master_key(options).await
    }

    fn over(backend: Backend) -> Self {
        Self { backend, damage: watch::Sender::new(0) }
    }

    /// Passes on what the index answered, and tells its filler when it is damaged.
    fn answered<T>(&self, answer: Result<T>) -> Result<T> {
        answer.map_err(|error| match error {
            StoreError::Damaged(why) => {
                self.damage.send_modify(|found| *found += 1);
                StoreError::IndexDamaged(why)
            }
            other => other,
        })
    }

    /// Asks the directory's database for an answer.
    ///
    /// # Errors
    /// [`StoreError::Database`] when it gives none; [`StoreError::Replaced`] when its file is another now.
    pub async fn answers(&self) -> Result<()> {
        backend!(self.answers().await)
    }

    /// Fills up the room that is kept on the disk of the SQLite databases for [`Self::give_room`]; nothing, where it is whole.
    /// A database elsewhere has a disk of its own.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the disk has no room for it. What was kept before is kept.
    pub async fn keep_room(&self) -> Result<()> {
        match &self.backend {
            Backend::Sqlite(store) => store.keep_room().await,
            Backend::Postgres(_) => Ok(()),
        }
    }

    /// Gives up some of that room, so that what failed with [`StoreError::Full`] can be tried again. False when nothing is
    /// left of it.
    ///
    /// # Errors
    /// [`StoreError::Database`] when it cannot be given up.
    pub async fn give_room(&self) -> Result<bool> {
        match &self.backend {
            Backend::Sqlite(store) => store.give_room().await,
            Backend::Postgres(_) => Ok(false),
        }
    }

    /// Closes all connections, after those in use are given back.
    pub async fn close(&self) {
        backend!(self.close().await);
    }
}

impl DirectoryStore for Store {
    async fn snapshot(&self) -> Result<DirectoryData> {
        backend!(self.snapshot().await)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        backend!(self.changes())
    }

    async fn add_person(&self, person: &Person, keys: &[AuthorizedKey]) -> Result<()> {
        backend!(self.add_person(person, keys).await)
    }

    async fn set_person_state(&self, name: &PersonName, state: PersonState) -> Result<Person> {
        backend!(self.set_person_state(name, state).await)
    }

    async fn remove_person(&self, name: &PersonName, removal: Removal) -> Result<RemovedPerson> {
        backend!(self.remove_person(name, removal).await)
    }

    async fn add_role(&self, role: &Role) -> Result<()> {
        backend!(self.add_role(role).await)
    }

    async fn remove_role(&self, name: &RoleName, removal: Removal) -> Result<RemovedRole> {
        backend!(self.remove_role(name, removal).await)
    }

    async fn set_membership(
        &self,
        role: &RoleName,
        person: &PersonName,
        membership: Membership,
    ) -> Result<Person> {
        backend!(self.set_membership(role, person, membership).await)
    }

    async fn write_all(&self, expected: u64, writes: Vec<Write>) -> Result<()> {
        backend!(self.write_all(expected, writes).await)
    }

    async fn add_key(&self, key: &AuthorizedKey) -> Result<()> {
        backend!(self.add_key(key).await)
    }

    async fn remove_key(&self, fingerprint: &Fingerprint) -> Result<AuthorizedKey> {
        backend!(self.remove_key(fingerprint).await)
    }

    async fn add_ca(&self, ca: &TrustedCa) -> Result<()> {
        backend!(self.add_ca(ca).await)
    }

    async fn remove_ca(&self, fingerprint: &Fingerprint) -> Result<TrustedCa> {
        backend!(self.remove_ca(fingerprint).await)
    }

    async fn add_target(&self, target: &Target) -> Result<()> {
        backend!(self.add_target(target).await)
    }

    async fn remove_target(&self, name: &TargetName, removal: Removal) -> Result<RemovedTarget> {
        backend!(self.remove_target(name, removal).await)
    }

    async fn set_host_key_trust(&self, name: &TargetName, trust: &HostKeyTrust) -> Result<Target> {
        backend!(self.set_host_key_trust(name, trust).await)
    }

    async fn set_labels(&self, name: &TargetName, labels: &Labels) -> Result<Target> {
        backend!(self.set_labels(name, labels).await)
    }

    async fn pin_host_key(&self, name: &TargetName, key: &str) -> Result<PinOutcome> {
        backend!(self.pin_host_key(name, key).await)
    }

    async fn add_grant(&self, grant: &Grant) -> Result<()> {
        backend!(self.add_grant(grant).await)
    }

    async fn remove_grant(&self, id: &GrantId) -> Result<Grant> {
        backend!(self.remove_grant(id).await)
    }
}

impl CertificateStore for Store {
    async fn add_certificate(&self, issued: &IssuedCertificate) -> Result<()> {
        backend!(self.add_certificate(issued).await)
    }

    async fn certificates(&self) -> Result<Vec<IssuedCertificate>> {
        backend!(self.certificates().await)
    }

    async fn revoke(&self, revocation: &Revocation) -> Result<()> {
        backend!(self.revoke(revocation).await)
    }
}

impl IndexStore for Store {
    async fn cursor(&self) -> Result<u64> {
        self.answered(backend!(self.cursor().await))
    }

    async fn apply(&self, entries: &[IndexEntry]) -> Result<u64> {
        self.answered(backend!(self.apply(entries).await))
    }

    async fn reset(&self) -> Result<()> {
        self.answered(backend!(self.reset().await))
    }

    async fn sessions(&self, query: &SessionQuery) -> Result<Page<SessionSummary>> {
        self.answered(backend!(self.sessions(query).await))
    }

    async fn session(&self, id: &SessionId) -> Result<Option<SessionSummary>> {
        self.answered(backend!(self.session(id).await))
    }

    async fn events(&self, query: &EventQuery) -> Result<Page<IndexedEvent>> {
        self.answered(backend!(self.events(query).await))
    }

    fn damage(&self) -> watch::Receiver<u64> {
        self.damage.subscribe()
    }
}

impl VaultStore for Store {
    async fn wrapped_key(&self) -> Result<Option<WrappedKey>> {
        backend!(self.wrapped_key().await)
    }

    async fn replace_wrapped_key(&self, before: Option<&WrappedKey>, after: &WrappedKey) -> Result<bool> {
        backend!(self.replace_wrapped_key(before, after).await)
    }

    async fn credentials(&self, target: Option<&TargetName>) -> Result<Vec<StoredCredential>> {
        backend!(self.credentials(target).await)
    }

    async fn sealed_credential(
        &self,
        target: &TargetName,
        login: &LoginName,
    ) -> Result<Option<(StoredCredential, Sealed, Target)>> {
        backend!(self.sealed_credential(target, login).await)
    }

    async fn set_credential(&self, credential: &StoredCredential, sealed: &Sealed) -> Result<()> {
        backend!(self.set_credential(credential, sealed).await)
    }

    async fn remove_credential(&self, target: &TargetName, login: &LoginName) -> Result<StoredCredential> {
        backend!(self.remove_credential(target, login).await)
    }
}
