//! What every request shares.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bartizan_access::Policies;
use bartizan_audit::{Log, Urgency};
use bartizan_model::api::{IndexStatus, TargetTestStep};
use bartizan_model::event::{Body, Event};
use bartizan_model::metric::Meter;
use bartizan_model::{LoginName, NodeId, SessionId, SessionSummary, Target, Timestamp};
use bartizan_record::Gauge;
use bartizan_record::space::Space;
use bartizan_store::{DirectoryStore as _, IndexProgress, Store, Vault};
use tokio::sync::{Mutex, OwnedMutexGuard, mpsc, watch};

use crate::error::{ApiError, Result};
use crate::{CaKeeper, CertificateIssuer, KeyParser, MasterKeyFile, PrivateKeyParser};

/// How long a query waits for the index to reach what was durable when it came.
const INDEX_PATIENCE: Duration = Duration::from_secs(10);
/// How long a change of the directory waits until sessions are judged by it.
const FORCE_PATIENCE: Duration = Duration::from_secs(10);
/// How long a request waits for the old index to be gone.
const REBUILD_PATIENCE: Duration = Duration::from_secs(50);

/// The sessions that are live, wherever they are carried: this room does not know.
pub trait LiveSessions: Send + Sync {
    /// A session that is live and that nobody has ended yet, with the bytes that passed so far.
    fn find(&self, session: &SessionId) -> Option<SessionSummary>;

    /// All that are live and that nobody has ended yet, in no order, likewise.
    fn all(&self) -> Vec<SessionSummary>;

    /// Ends a session and tells its person why. False when it is not live any more.
    fn terminate(&self, session: &SessionId, reason: &str) -> bool;
}

/// Tries targets, whoever can: this room knows no SSH.
pub trait TargetTester: Send + Sync {
    /// Begins a test, asked for `by` somebody; its steps come as they are made. It is logged before anything is
    /// dialled. False when too many are under way.
    fn begin(
        &self,
        target: Target,
        login: Option<LoginName>,
        by: String,
        steps: mpsc::Sender<TargetTestStep>,
    ) -> bool;
}

/// What the API is built from.
pub struct Parts {
    /// The directory and the index.
    pub store: Store,
    /// What is stored to log in to targets with.
    pub vault: Vault,
    /// Where the vault's master key is kept.
    pub master_key: Arc<dyn MasterKeyFile>,
    /// The audit log.
    pub log: Log,
    /// How far the index has followed the log.
    pub index: IndexProgress,
    /// Operators' own policies, the same as the gateway judges by.
    pub policies: watch::Receiver<Policies>,
    /// The directory's generation that sessions are judged by.
    pub in_force: watch::Receiver<u64>,
    /// The sessions that are live.
    pub live: Arc<dyn LiveSessions>,
    /// Reads keys.
    pub parse_key: KeyParser,
    /// Reads private keys.
    pub parse_private_key: PrivateKeyParser,
    /// Bartizan's own CAs.
    pub own_cas: OwnCas,
    /// Signs people's certificates.
    pub issuer: Arc<dyn CertificateIssuer>,
    /// For how long a person's certificate may be valid, now.
    pub longest_certificate: watch::Receiver<Duration>,
    /// The host keys that clients see, as in `authorized_keys`.
    pub host_keys: Vec<String>,
    /// The node's name.
    pub node: NodeId,
    /// Where SSH clients are accepted.
    pub listen: Vec<SocketAddr>,
    /// The jump host as clients write it, now.
    pub public_address: watch::Receiver<String>,
    /// Tries targets.
    pub tester: Arc<dyn TargetTester>,
    /// What the gateway counts.
    pub gateway: Arc<dyn Meter>,
    /// What the writer of recordings counts.
    pub recordings: Gauge,
    /// The space of the data folder.
    pub space: Space,
    /// Sessions that the process before left without an end.
    pub orphans: u64,
    /// True once the server waits for live sessions to end.
    pub draining: watch::Receiver<bool>,
}

/// Bartizan's own CAs.
#[derive(Clone)]
pub struct OwnCas {
    /// Signs the user certificates that targets see.
    pub user: Arc<dyn CaKeeper>,
    /// Signs the host certificates that clients see.
    pub host: Arc<dyn CaKeeper>,
    /// Signs the user certificates that people log in to Bartizan with.
    pub people: Arc<dyn CaKeeper>,
}

/// What every request shares.
pub struct ApiState {
    pub(crate) parts: Parts,
    pub(crate) started: Timestamp,
    stopping: watch::Sender<bool>,
    rotation: Arc<Mutex<()>>,
}

impl ApiState {
    /// The state of an API that starts now.
    pub fn new(parts: Parts) -> Self {
        let (stopping, rotation) = (watch::Sender::new(false), Arc::default());
        Self { parts, started: Timestamp::now(), stopping, rotation }
    }

    /// Waits until no rotation of the master key is under way; none begins until the guard is dropped.
    pub(crate) async fn rotation(&self) -> OwnedMutexGuard<()> {
        self.rotation.clone().lock_owned().await
    }

    /// Set to true, it ends the requests that follow the log.
    pub(crate) fn stopping(&self) -> watch::Sender<bool> {
        self.stopping.clone()
    }

    /// An event of this node, now.
    pub(crate) fn event(&self, body: Body) -> Event {
        Event::new(&self.parts.node, Timestamp::now(), body)
    }

    /// Makes an event durable.
    pub(crate) async fn append(&self, event: Event) -> Result<()> {
        self.parts.log.submit_as(event, Urgency::Emergency)?.await?;
        Ok(())
    }

    /// Waits until sessions are judged by the directory as it is stored now: who was told that a person is locked may rely on it.
    ///
    /// # Errors
    /// When that takes too long. What is stored stays so.
    pub(crate) async fn in_force(&self) -> Result<()> {
        let stored = *self.parts.store.changes().borrow();
        let mut judged_by = self.parts.in_force.clone();
        let force = judged_by.wait_for(|&generation| generation >= stored);
        match tokio::time::timeout(FORCE_PATIENCE, force).await {
            // Without a gateway, as while the server stops, nothing is judged.
            Ok(_) => Ok(()),
            Err(_) => {
                Err(ApiError::unavailable("the change is stored, but sessions are not judged by it yet")
                    .hint("the server tries again by itself; its log says why it could not"))
            }
        }
    }

    /// How far the index is.
    pub(crate) fn index_status(&self) -> IndexStatus {
        IndexStatus { indexed: self.parts.index.next(), events: self.parts.log.head() }
    }

    /// Drops the index and has it made again; returns when it is being filled.
    ///
    /// # Errors
    /// When the index cannot be emptied in time; that it is to be made again stays asked for.
    pub(crate) async fn rebuild_index(&self) -> Result<()> {
        match tokio::time::timeout(REBUILD_PATIENCE, self.parts.index.rebuild()).await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(ApiError::unavailable("the index could not be emptied yet")
                .hint("see the server's log; it is tried again until it works, also at the next start")),
        }
    }

    /// Waits until the index holds everything that is durable now, so that an answer misses nothing.
    ///
    /// # Errors
    /// When the index does not get there in time, rather than an answer that looks whole and is not.
    pub(crate) async fn index_is_current(&self) -> Result<()> {
        let head = self.parts.log.head();
        match tokio::time::timeout(INDEX_PATIENCE, self.parts.index.reaches(head)).await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(ApiError::unavailable("the index does not keep up with the audit log")
                .hint(
                    "see the server's log: while there is no space, free some (docs/space.md); otherwise `bartizan log reindex` \
                     makes the index again. `bartizan log export` reads the log itself",
                )),
        }
    }
}
