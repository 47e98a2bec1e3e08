//! Builds everything, in order: what can fail is opened first, listeners are bound early, work starts last.
//!
//! ```text
//!   keys   store   log   recordings
//!     │      ├─ vault        ├─ what no checkpoint held is told, before one does
//!     │      └─ index follower: catches up, then sessions that a crash left are closed
//!     └──────┴──────┴────────┴──► gateway (listeners, workers)
//!                                     └──► API, and last of all admin.sock in its place
//! ```

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bartizan_access::Policies;
use bartizan_api::ApiState;
use bartizan_audit::{Log, LogOptions, Opened, Reader, Recovery, Urgency};
use bartizan_gateway::{GatewayHandle, HalfOpenLimits, Settings};
use bartizan_model::event::{Body, Event, Outcome, Severity};
use bartizan_model::{NodeId, Timestamp};
use bartizan_record::space::Space;
use bartizan_record::{Options, Recordings};
use bartizan_sinks::IndexFollower;
use bartizan_store::{IndexProgress, Store};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::adapters::{Issuer, Live, Tester, key_parser, line, private_key_parser};
use crate::cas::{activate_in_time, for_api, own_cas, people_ca_created};
use crate::config::Config;
use crate::failure::Failure;
use crate::folder::Folder;
use crate::left::Left;
use crate::master::MasterFile;
use crate::note::note;
use crate::orphans::Closing;
use crate::policies::PolicyFiles;
use crate::retention::Janitor;
use crate::space::SpaceWatch;
use crate::{database, keys, unsigned};

/// Requests and the index get so long to end in order when the server stops.
const DRAIN: Duration = Duration::from_secs(5);

/// Everything that runs.
pub(crate) struct Server {
    node: NodeId,
    socket: PathBuf,
    store: Store,
    log: Log,
    recordings: Recordings,
    gateway: GatewayHandle,
    policies: watch::Sender<Policies>,
    /// What of the configuration is in force.
    config: Config,
    log_level: LogLevel,
    public_address: watch::Sender<String>,
    longest_certificate: watch::Sender<Duration>,
    draining: watch::Sender<bool>,
    metrics: JoinHandle<()>,
    api: JoinHandle<std::io::Result<()>>,
    stop_api: oneshot::Sender<()>,
    index: IndexProgress,
    follower: JoinHandle<()>,
    stop_follower: watch::Sender<bool>,
    schedule: JoinHandle<()>,
    retention: JoinHandle<()>,
    watch: JoinHandle<()>,
}

/// Changes how much the server tells about itself.
pub(crate) type LogLevel = Box<dyn Fn(&str) + Send + Sync>;

/// Builds and starts the server. When it returns, `admin.sock` answers and SSH clients are accepted.
///
/// # Errors
/// The first part that cannot be had; nothing runs then.
pub(crate) async fn build(folder: &Folder, config: &Config, log_level: LogLevel) -> Result<Server, Failure> {
    let keys = keys::load(&folder.keys())?;
    let (people_ca, new_people_ca) = keys::people_ca_or_new(&folder.keys(), &config.node.0)?;
    let cas = own_cas(folder, &keys, &people_ca);
    let people_keys = cas[2].1.follow().map_err(Failure::new)?;
    let policies = watch::Sender::new(PolicyFiles::read(&folder.policies())?.policies);
    let admin = bind_admin(folder)?;
    let metrics = bind_metrics(&config.metrics_listen).await?;
    let space = Space::watch(folder.path(), config.watermarks)
        .map_err(|e| Failure::new(format!("cannot measure the space of {}: {e}", folder.path().display())))?;
    let store = database::open(folder, &config.database).await?;
    let master = MasterFile::find(folder, config);
    let vault = master.open(&store).await?;
    let (log, recovery) = open_log(folder, &config.node).await?;
    let options = Options { beside: Some(bartizan_gateway::DIGESTS), ..Options::default() };
    let recordings = Recordings::open(folder.recordings(), options).map_err(Failure::new)?;
    unsigned::tell(&log, &config.node, &recordings, &recovery).await?;
    if new_people_ca {
        note(&log, &config.node, people_ca_created(&people_ca)).await?;
    }

    let follower = IndexFollower::start(store.clone(), &log).await.map_err(Failure::new)?;
    let (indexed, stop_follower) = (follower.indexed(), watch::Sender::new(false));
    let index = follower.progress();
    let follower = tokio::spawn(follower.run(stop_follower.subscribe()));
    let janitor = Janitor {
        node: config.node.clone(),
        log: log.clone(),
        store: store.clone(),
        indexed: indexed.clone(),
        recordings: recordings.clone(),
        rules: config.retention.clone(),
        // Nothing is archived yet, so nothing waits for it.
        needed: |_| false,
    };
    let closing = Closing { node: &config.node, log: &log, store: &store, recordings: &recordings };
    let left = Left { closing, janitor: &janitor, index: &index };
    let orphans = left.clear_up().await? as u64;

    let parts = bartizan_gateway::Parts {
        node: config.node.clone(),
        log: log.clone(),
        store: store.clone(),
        index: index.clone(),
        vault: vault.clone(),
        recordings: recordings.clone(),
        space: space.clone(),
        keys: keys.clone(),
        policies: policies.subscribe(),
        people_ca: people_keys,
    };
    note(&log, &config.node, start_event(&config.listen)).await?;
    let mut watch = SpaceWatch::new(config.node.clone(), log.clone(), space.clone(), store.clone());
    watch.look().await;
    let gateway = match bartizan_gateway::start(&config.listen, settings(config), parts).await {
        Ok(gateway) => gateway,
        Err(error) => {
            note(&log, &config.node, Body::ServerStop { reason: error.to_string() }).await?;
            return Err(Failure::new(error));
        }
    };
    let (public_address, draining) = (watch::Sender::new(config.public_address()), watch::Sender::new(false));
    let longest_certificate = watch::Sender::new(config.longest_certificate);
    let state = Arc::new(ApiState::new(bartizan_api::Parts {
        store: store.clone(),
        vault,
        master_key: Arc::new(master),
        log: log.clone(),
        index: index.clone(),
        policies: policies.subscribe(),
        in_force: gateway.in_force(),
        live: Arc::new(Live(gateway.sessions())),
        parse_key: key_parser(),
        parse_private_key: private_key_parser(),
        own_cas: for_api(&cas),
        issuer: Arc::new(Issuer(people_ca)),
        longest_certificate: longest_certificate.subscribe(),
        host_keys: keys.host_keys.iter().map(|key| line(key.public_key(), "")).collect(),
        node: config.node.clone(),
        listen: gateway.addresses().to_vec(),
        public_address: public_address.subscribe(),
        tester: Arc::new(Tester(gateway.target_tests())),
        gateway: Arc::new(gateway.meter()),
        recordings: recordings.gauge(),
        space,
        orphans,
        draining: draining.subscribe(),
    }));
    for listener in &metrics {
        if let Ok(address) = listener.local_addr() {
            tracing::info!(%address, "metrics");
        }
    }
    let metrics = tokio::spawn(bartizan_api::serve_metrics(metrics, state.clone(), std::future::pending()));
    let schedule = tokio::spawn(activate_in_time(cas, log.clone(), config.node.clone()));
    let retention = tokio::spawn(janitor.keep_on());
    let watch = tokio::spawn(watch.keep_on());
    let (stop_api, stopped) = oneshot::channel::<()>();
    let api = tokio::spawn(bartizan_api::serve(admin.listener, state, async move { drop(stopped.await) }));
    fs::rename(&admin.path, folder.socket())
        .map_err(|e| Failure::new(format!("cannot put {} in its place: {e}", folder.socket().display())))?;
    let (node, socket) = (config.node.clone(), folder.socket());
    Ok(Server {
        node,
        socket,
        store,
        log,
        recordings,
        gateway,
        policies,
        config: config.clone(),
        log_level,
        public_address,
        longest_certificate,
        draining,
        metrics,
        api,
        stop_api,
        index,
        follower,
        stop_follower,
        schedule,
        retention,
        watch,
    })
}

impl Server {
    /// Where SSH clients are accepted, with the ports that the system chose.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        self.gateway.addresses()
    }

    /// Waits until the server cannot go on: the admin API has ended. Without it nobody could administer it.
    pub(crate) async fn broken(&mut self) -> String {
        match (&mut self.api).await {
            Ok(Ok(())) => "the admin API ended".into(),
            Ok(Err(error)) => format!("the admin API failed: {error}"),
            Err(error) => format!("the admin API broke off: {error}"),
        }
    }

    /// False once the audit log cannot be written: there is nothing to wait for then.
    pub(crate) fn log_works(&self) -> bool {
        self.log.failure().is_none()
    }

    /// Waits until the audit log cannot be written any more. Live sessions end then, and no new ones begin; the
    /// server stays, to say so.
    pub(crate) fn log_failed(&self) -> impl Future<Output = String> + use<> {
        let log = self.log.clone();
        async move { log.failed().await.to_string() }
    }

    /// Takes operators' policies as they are now, and what of the configuration can change while the server runs; live
    /// sessions are judged again. Files with a fault are refused as a whole, and what was in force stays. Either is an
    /// event, before it takes effect.
    ///
    /// # Errors
    /// When the event could not be logged; nothing was taken then.
    pub(crate) async fn reload(&mut self, folder: &Folder) -> Result<(), Failure> {
        let read = PolicyFiles::read(&folder.policies()).and_then(|files| Ok((files, folder.config()?)));
        let (files, config) = match read {
            Ok(read) => read,
            Err(failure) => {
                tracing::error!("not reloaded, what was in force stays: {failure}");
                let reason = Some(bartizan_model::escape(failure.to_string().as_bytes()));
                let (changed, restart) = (Vec::new(), Vec::new());
                let body = Body::ServerReload { policies: 0, reason, changed, restart };
                let mut event = Event::new(&self.node, Timestamp::now(), body);
                (event.severity, event.outcome) = (Severity::Warning, Outcome::Failure);
                let pending = self.log.submit_as(event, Urgency::Emergency).map_err(Failure::new)?;
                return pending.await.map(drop).map_err(Failure::new);
            }
        };
        let taken = self.config.reloaded(&config);
        let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect::<Vec<_>>();
        let (changed, restart) = (owned(self.config.differing(&taken)), owned(taken.differing(&config)));
        let body = Body::ServerReload {
            policies: files.files,
            reason: None,
            changed: changed.clone(),
            restart: restart.clone(),
        };
        note(&self.log, &self.node, body).await?;
        self.policies.send_replace(files.policies);
        self.gateway.reload(settings(&taken));
        self.public_address.send_replace(taken.public_address());
        self.longest_certificate.send_replace(taken.longest_certificate);
        (self.log_level)(&taken.log_level);
        self.config = taken;
        if !restart.is_empty() {
            let keys = restart.join(", ");
            tracing::warn!(keys, "new values of these are in force after a restart");
        }
        tracing::info!(policies = files.files, changed = changed.join(", "), "reloaded");
        Ok(())
    }

    /// Lets nothing new begin and waits for live sessions, as long as is configured; gives how many are left.
    ///
    /// # Cancel safety
    /// May be dropped, to wait no longer.
    pub(crate) async fn drain(&self) -> usize {
        self.draining.send_replace(true);
        let seconds = self.config.drain.as_secs();
        let sessions = self.gateway.sessions().count();
        tracing::info!(sessions, seconds, "draining: nothing new begins");
        self.gateway.drain(self.config.drain).await
    }

    /// Ends everything in order: requests, sessions (each with its end on record), the index, the log.
    ///
    /// # Errors
    /// When the end could not be logged.
    pub(crate) async fn stop(self, reason: &str) -> Result<(), Failure> {
        if let Err(error) = fs::remove_file(&self.socket) {
            tracing::warn!(%error, "admin.sock could not be removed");
        }
        self.schedule.abort();
        self.metrics.abort();
        // A removal that is under way is finished at the next start.
        self.retention.abort();
        self.watch.abort();
        // Both ends of it may be gone already.
        let _ = self.stop_api.send(());
        let aborter = self.api.abort_handle();
        if !self.api.is_finished() && tokio::time::timeout(DRAIN, self.api).await.is_err() {
            aborter.abort();
        }
        blocking(|| self.gateway.stop()).await?;
        let noted = note(&self.log, &self.node, Body::ServerStop { reason: reason.to_owned() }).await;
        let head = self.log.head();
        // An index that is behind goes on where it was at the next start.
        let _ = tokio::time::timeout(DRAIN, self.index.reaches(head)).await;
        self.stop_follower.send_replace(true);
        if let Err(error) = self.follower.await {
            tracing::error!(%error, "the index follower broke off");
        }
        // Waits until everything handed over is written.
        blocking(|| drop(self.recordings)).await?;
        let closed = blocking(|| self.log.close()).await?;
        self.store.close().await;
        noted?;
        closed.map_err(Failure::new)
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(Failure::new)
}

/// A socket that answers nobody yet: bound under another name, so that `admin.sock` is there only when all
/// is ready.
struct Admin {
    listener: UnixListener,
    path: PathBuf,
}

fn bind_admin(folder: &Folder) -> Result<Admin, Failure> {
    // A name that is no longer than the final one: the length of such paths is limited.
    let path = folder.path().join("admin.new");
    let shown = folder.socket();
    let shown = shown.display();
    let refused = |e: std::io::Error| match e.kind() {
        ErrorKind::InvalidInput => Failure::new(format!("the path {shown} is too long for a Unix socket"))
            .hint("name the data folder by a shorter path, or one relative to the working directory"),
        _ => Failure::new(format!("cannot listen on {shown}: {e}")),
    };
    match fs::remove_file(&path) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(refused(e)),
        _ => {}
    }
    let listener = UnixListener::bind(&path).map_err(refused)?;
    // Nobody else can have looked meanwhile: the folder is private.
    fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(refused)?;
    Ok(Admin { listener, path })
}

async fn bind_metrics(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, Failure> {
    let mut listeners = Vec::new();
    for address in addresses {
        let bound = TcpListener::bind(address).await;
        listeners
            .push(bound.map_err(|e| Failure::new(format!("cannot listen on {address} for /metrics: {e}")))?);
    }
    Ok(listeners)
}

/// Opens the log, which publishes nothing before it is told to.
async fn open_log(folder: &Folder, node: &NodeId) -> Result<(Log, Recovery), Failure> {
    let dir = folder.log();
    let origin = Reader::open(&dir).and_then(|reader| reader.origin()).map_err(Failure::new)?;
    let signer = Some(keys::log_signer(&folder.keys(), &origin)?);
    let options = LogOptions { signer, publish_later: true, ..LogOptions::default() };
    let opened = blocking(move || Log::open(&dir, options)).await?;
    let Opened { log, origin, recovery } = opened.map_err(Failure::new)?;
    tracing::info!(%origin, events = recovery.head, "audit log open");
    if let Some(cut) = &recovery.cut {
        let detail =
            format!("{} at byte {}, {} bytes: {}", cut.file.display(), cut.offset, cut.bytes, cut.what);
        tracing::warn!(detail, "an append to the audit log was interrupted; what was cut is kept beside it");
        note(
            &log,
            node,
            Body::Anomaly { what: "log.cut".into(), detail: bartizan_model::escape(detail.as_bytes()) },
        )
        .await?;
    }
    Ok((log, recovery))
}

fn settings(config: &Config) -> Settings {
    Settings {
        half_open: HalfOpenLimits {
            per_source: config.half_open_per_source,
            total: config.half_open,
            per_second: u32::try_from(config.half_open_per_second).unwrap_or(u32::MAX),
        },
        login_grace: config.login_grace,
        idle: config.idle,
        accept_env: config.accept_env.clone(),
        key_exchange: config.key_exchange.clone(),
        macs: config.macs.clone(),
        workers: config.workers,
        ..Settings::default()
    }
}

fn start_event(listen: &[SocketAddr]) -> Body {
    Body::ServerStart { version: env!("CARGO_PKG_VERSION").into(), listen: listen.to_vec() }
}
