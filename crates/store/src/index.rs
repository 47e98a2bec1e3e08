//! The contract of the index: a projection of the audit log that can be searched.

use bartizan_model::event::{Outcome, Severity};
use bartizan_model::{
    LoginName, PersonName, SessionId, SessionState, SessionSummary, SourceNetwork, TargetName, Timestamp,
};

use tokio::sync::watch;

use crate::{SearchText, StoreError};

type Result<T> = std::result::Result<T, StoreError>;

/// Most items that one page holds, whatever was asked for.
pub const MAX_PAGE: u32 = 1000;

/// One entry of the audit log on its way into the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// Its position in the log.
    pub index: u64,
    /// The event's JSON exactly as the log holds it.
    pub bytes: Vec<u8>,
}

/// Stores and searches the projection of the audit log.
///
/// Every entry of the log is found in the index, also one of a type that this program does not know.
///
/// # Errors
/// Besides what each method names, every method can fail with [`StoreError::Database`] and [`StoreError::IndexDamaged`].
pub trait IndexStore: Clone + Send + Sync + 'static {
    /// The position of the entry that comes next: all before it are in the index. 0 at first.
    fn cursor(&self) -> impl Future<Output = Result<u64>> + Send;

    /// Applies entries of the log, and moves the cursor, in one transaction; returns the cursor.
    ///
    /// Idempotent: entries before the cursor are skipped, so the same batch may come again.
    ///
    /// # Durability
    /// After a power failure the last batches may be lost together with the cursor's movement; the index is
    /// then behind, never wrong.
    ///
    /// # Cancel safety
    /// As for the directory: once begun it is carried out.
    ///
    /// # Errors
    /// [`StoreError::Gap`] when entries leave one out.
    fn apply(&self, entries: &[IndexEntry]) -> impl Future<Output = Result<u64>> + Send;

    /// Empties the index, also one that is damaged, and sets the cursor to 0, so that it is built again from the log.
    fn reset(&self) -> impl Future<Output = Result<()>> + Send;

    /// Finds sessions, the newest first.
    fn sessions(&self, query: &SessionQuery) -> impl Future<Output = Result<Page<SessionSummary>>> + Send;

    /// Finds one session by its audit key.
    fn session(&self, id: &SessionId) -> impl Future<Output = Result<Option<SessionSummary>>> + Send;

    /// Finds events.
    ///
    /// A page may hold fewer than were asked for, or none, although there are more: a search whose words are common
    /// and whose exact text is rare looks at a bounded number of events each time. [`Page::next`] goes on from there.
    fn events(&self, query: &EventQuery) -> impl Future<Output = Result<Page<IndexedEvent>>> + Send;

    /// Follows how often somebody found the index damaged. Whoever fills it empties it then.
    fn damage(&self) -> watch::Receiver<u64>;
}

/// What a search gave, and where to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The items in the order asked for.
    pub items: Vec<T>,
    /// Set as `after` in the next query to go on; `None` when there is no more.
    pub next: Option<u64>,
}

/// Which sessions to find. Each field that is set narrows the search.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionQuery {
    /// Whose audit key starts with this text (lower-case digits and hyphens).
    pub id_prefix: Option<String>,
    /// Of this person.
    pub person: Option<PersonName>,
    /// As this account.
    pub login: Option<LoginName>,
    /// On this target.
    pub target: Option<TargetName>,
    /// In this state.
    pub state: Option<SessionState>,
    /// From an address of this network, whatever the port.
    pub source: Option<SourceNetwork>,
    /// Started at this time or later.
    pub since: Option<Timestamp>,
    /// Started before this time.
    pub until: Option<Timestamp>,
    /// Go on after a page: its [`Page::next`].
    pub after: Option<u64>,
    /// Most items to return; `None` and more than that are [`MAX_PAGE`].
    pub limit: Option<u32>,
}

/// Which events to find. Each field that is set narrows the search.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventQuery {
    /// Of this type (`session.start`), or of all below it (`session.`, with the dot).
    pub kind: Option<String>,
    /// Of this person.
    pub person: Option<PersonName>,
    /// As this account.
    pub login: Option<LoginName>,
    /// On this target.
    pub target: Option<TargetName>,
    /// In this session.
    pub session: Option<SessionId>,
    /// From an address of this network, whatever the port.
    pub source: Option<SourceNetwork>,
    /// At least this severe.
    pub severity: Option<Severity>,
    /// With this outcome.
    pub outcome: Option<Outcome>,
    /// At this time or later.
    pub since: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
    /// With this in its values.
    pub text: Option<SearchText>,
    /// In which order.
    pub order: Order,
    /// Go on after a page: its [`Page::next`].
    pub after: Option<u64>,
    /// Most items to return; `None` and more than that are [`MAX_PAGE`].
    pub limit: Option<u32>,
}

/// The order of a listing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// From the end of the log backwards.
    #[default]
    NewestFirst,
    /// From the start of the log forwards.
    OldestFirst,
}

/// One event as the index holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexedEvent {
    /// Its position in the log.
    pub index: u64,
    /// Its JSON as the log holds it. An entry that is no JSON object is shown as
    /// `{"type":"unreadable","raw":"…"}` with its bytes escaped.
    pub json: String,
}
