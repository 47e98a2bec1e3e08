//! Starting and stopping: listeners, workers, the directory's snapshots.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bartizan_access::{Directory, Policies};
use bartizan_model::api::TargetTestStep;
use bartizan_model::event::Body;
use bartizan_model::{Fingerprint, LoginName, Target};
use bartizan_store::{DirectoryStore, Store};
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet, LocalSet};

use crate::admission::{Admission, Place};
use crate::budget;
use crate::connection;
use crate::counts::GatewayMeter;
use crate::keys::Keys;
use crate::live::LiveSessions;
use crate::parts::{Current, Parts, Settings, Shared, Signals};
use crate::trail::Trail;
use crate::upstream::{self, Probe, tune};

/// After a failure to accept, such as too many open files, this long nothing is accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// A change of the directory that could not be read is tried again after this long.
const DIRECTORY_RETRY: Duration = Duration::from_secs(1);
/// Tests of targets at a time, and as many may wait.
const TESTS: usize = 16;
/// Live connections get so long to end in order when the server stops.
const DRAIN: Duration = Duration::from_secs(5);

/// Why the gateway could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listening address cannot be had.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's words.
        error: io::Error,
    },
    /// The system gives no thread or no event queue.
    #[error("cannot start a worker: {0}")]
    Worker(io::Error),
    /// The directory cannot be read or used.
    #[error("cannot use the directory: {0}")]
    Directory(String),
}

/// A running gateway. Dropping the handle without [`GatewayHandle::stop`] leaves it running until the process ends.
pub struct GatewayHandle {
    addresses: Vec<SocketAddr>,
    stop: watch::Sender<bool>,
    drain: watch::Sender<Option<Duration>>,
    current: watch::Sender<Current>,
    keys: Keys,
    threads: Vec<JoinHandle<()>>,
    meter: GatewayMeter,
    tests: TargetTests,
    in_force: watch::Receiver<u64>,
    shared: Arc<Shared>,
}

/// Tries targets for operators.
#[derive(Clone)]
pub struct TargetTests(mpsc::Sender<Probe>);

impl TargetTests {
    /// Begins to test whether a target can be reached, verified and, where a login is named, logged in to. The steps
    /// come as they are made, at most eight, and the channel ends with the test. The test is logged before anything is
    /// dialled, as asked for `by` somebody. False when too many are under way.
    pub fn begin(
        &self,
        target: Target,
        login: Option<LoginName>,
        by: String,
        steps: mpsc::Sender<TargetTestStep>,
    ) -> bool {
        self.0.try_send(Probe { target, login, by, steps }).is_ok()
    }
}

/// A connection on its way to a worker.
struct Arrival {
    stream: std::net::TcpStream,
    source: SocketAddr,
    place: Place,
}

/// Binds the listeners and starts the workers.
///
/// # Errors
/// When an address cannot be had or the directory cannot be read.
///
/// # Cancel safety
/// Not cancel safe: started workers would go on.
pub async fn start(
    listen: &[SocketAddr],
    settings: Settings,
    parts: Parts,
) -> Result<GatewayHandle, StartError> {
    let mut listeners = Vec::new();
    for &address in listen {
        let listener =
            TcpListener::bind(address).await.map_err(|error| StartError::Listen { address, error })?;
        listeners.push(listener.into_std().map_err(|error| StartError::Listen { address, error })?);
    }
    let addresses = listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();

    let (stop, stopping) = watch::channel(false);
    let (drain, draining) = watch::channel(None);
    let mut rules = Rules { policies: parts.policies.clone(), people_ca: parts.people_ca.clone() };
    let directory = build_directory(&parts.store, rules.take()).await.map_err(StartError::Directory)?;
    let (force, in_force) = watch::channel(directory.generation());
    let (publish, directory) = watch::channel(Arc::new(directory));
    let store = parts.store.clone();
    let admission = Admission::new(settings.half_open);
    let workers = match settings.workers {
        0 => std::thread::available_parallelism().map_or(1, NonZero::get),
        n => n,
    };
    let keys = parts.keys.clone();
    let (current, follow) = watch::channel(Current::new(settings, &keys));
    let signals = Signals { current: follow, directory, draining, stopping: stopping.clone() };
    let shared = Arc::new(Shared::new(parts, signals));

    let live = Arc::new(AtomicUsize::new(0));
    let meter = GatewayMeter {
        counts: shared.counts.clone(),
        connections: live.clone(),
        admission: admission.clone(),
        sessions: shared.live.clone(),
    };
    let mut threads = Vec::new();
    let mut queues = Vec::new();
    for number in 0..workers {
        let (queue, arrivals) = mpsc::unbounded_channel();
        queues.push(queue);
        let (shared, live) = (shared.clone(), live.clone());
        threads.push(thread(format!("relay-{number}"), move || work(arrivals, shared, live))?);
    }
    let (tests, wanted) = mpsc::channel(TESTS);
    let rest = shared.clone();
    threads.push(thread("accept".into(), move || async move {
        let mut tasks = JoinSet::new();
        tasks.spawn_local(test_targets(wanted, shared.clone()));
        tasks.spawn_local(budget::tell(shared.clone()));
        tasks.spawn_local(follow_directory(store, rules, publish, force, stopping.clone()));
        for listener in listeners {
            tasks.spawn_local(accept(listener, queues.clone(), admission.clone(), shared.clone()));
        }
        // Without them the workers would end, also while live sessions are waited for.
        tasks.spawn_local(async move {
            shared.stopping().await;
            drop(queues);
        });
        while tasks.join_next().await.is_some() {}
    })?);
    Ok(GatewayHandle {
        addresses,
        stop,
        drain,
        current,
        keys,
        threads,
        meter,
        tests: TargetTests(tests),
        in_force,
        shared: rest,
    })
}

impl GatewayHandle {
    /// The addresses listened on, with the ports that the system chose where 0 was asked for.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Connections that are open now.
    pub fn live_connections(&self) -> usize {
        self.meter.connections.load(Ordering::Relaxed)
    }

    /// The sessions that are live.
    pub fn sessions(&self) -> LiveSessions {
        self.meter.sessions.clone()
    }

    /// Reads what the gateway counts.
    pub fn meter(&self) -> GatewayMeter {
        self.meter.clone()
    }

    /// The directory's generation that sessions are judged by, as it changes. Ends when the gateway stops.
    pub fn in_force(&self) -> watch::Receiver<u64> {
        self.in_force.clone()
    }

    /// Tries targets.
    pub fn target_tests(&self) -> TargetTests {
        self.tests.clone()
    }

    /// Takes other settings for what begins from now on; the number of workers stays.
    pub fn reload(&self, settings: Settings) {
        self.meter.admission.set_limits(settings.half_open);
        self.current.send_replace(Current::new(settings, &self.keys));
    }

    /// Stops accepting and lets nothing new begin; people at terminals are told. Waits until the last session has
    /// ended, at most `patience`; gives how many are left.
    ///
    /// # Cancel safety
    /// What has stopped stays so.
    pub async fn drain(&self, patience: Duration) -> usize {
        self.drain.send_replace(Some(patience));
        // Whether all ended in time, the count says.
        let _ = tokio::time::timeout(patience, self.meter.sessions.none()).await;
        self.meter.sessions.count()
    }

    /// Stops accepting, ends every session in order (its end is logged) and waits until all are gone, bounded.
    /// Blocks the calling thread.
    pub fn stop(self) {
        self.stop.send_replace(true);
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a worker ended by a panic");
            }
        }
        // Now nobody is refused any more.
        budget::tell_rest(&self.shared);
    }
}

/// Starts a thread with a runtime of its own that runs one future to its end.
fn thread<F: Future<Output = ()>>(
    name: String,
    run: impl FnOnce() -> F + Send + 'static,
) -> Result<JoinHandle<()>, StartError> {
    let runtime =
        Builder::new_current_thread().enable_io().enable_time().build().map_err(StartError::Worker)?;
    let body = move || LocalSet::new().block_on(&runtime, run());
    std::thread::Builder::new().name(name).spawn(body).map_err(StartError::Worker)
}

/// One worker: carries connections until the server stops and the last one has ended.
async fn work(mut arrivals: mpsc::UnboundedReceiver<Arrival>, shared: Arc<Shared>, live: Arc<AtomicUsize>) {
    let mut connections = JoinSet::new();
    while let Some(Arrival { stream, source, place }) = arrivals.recv().await {
        let stream = match tokio::net::TcpStream::from_std(stream) {
            Ok(stream) => stream,
            Err(error) => {
                tracing::error!(%source, %error, "cannot use a connection");
                continue;
            }
        };
        let (shared, live) = (shared.clone(), Live::new(live.clone()));
        connections.spawn_local(async move {
            connection::serve(stream, source, place, shared).await;
            drop(live);
        });
        while let Some(done) = connections.try_join_next() {
            report(done);
        }
    }
    let drained = async {
        while let Some(done) = connections.join_next().await {
            report(done);
        }
    };
    if tokio::time::timeout(DRAIN, drained).await.is_err() {
        tracing::warn!(connections = connections.len(), "connections did not end in time and were dropped");
    }
}

/// A connection that panicked has ended alone; the reason belongs into the server's own log.
fn report(done: Result<(), JoinError>) {
    if let Err(error) = done {
        tracing::error!(%error, "a connection ended by a panic");
    }
}

/// Counts one connection for as long as it exists, however it ends.
struct Live(Arc<AtomicUsize>);

impl Live {
    fn new(count: Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Makes tests of targets until the server stops.
async fn test_targets(mut wanted: mpsc::Receiver<Probe>, shared: Arc<Shared>) {
    let mut tests = JoinSet::new();
    loop {
        tokio::select! {
            probe = wanted.recv(), if tests.len() < TESTS => {
                let Some(probe) = probe else { return };
                let shared = shared.clone();
                tests.spawn_local(async move { upstream::test(probe, &shared).await });
            }
            Some(done) = tests.join_next() => report(done),
            () = shared.stopping() => return,
        }
    }
}

/// Accepts until the server stops. Never waits for a handshake.
async fn accept(
    listener: std::net::TcpListener,
    queues: Vec<mpsc::UnboundedSender<Arrival>>,
    admission: Admission,
    shared: Arc<Shared>,
) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "cannot use a listener"),
    };
    let mut next = 0;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.stopping() => return,
            // The listener closes, so that clients and load balancers go elsewhere.
            _ = shared.draining() => return,
        };
        let (stream, source) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::error!(%error, "cannot accept a connection");
                let reason = format!("cannot accept a connection: {error}");
                shared.counts.refused("accept");
                let body = Body::ConnectionRefuse { reason, count: None };
                if shared.budget.spend(None, Instant::now()) && Trail::new(&shared, None).note(body).is_err()
                {
                    tracing::error!("and cannot log it");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        shared.counts.accepted();
        let place = admission.admit(source.ip());
        match tune(&stream).and_then(|()| stream.into_std()) {
            Ok(stream) => {
                // A worker ends only when the server stops.
                let _ = queues[next % queues.len()].send(Arrival { stream, source, place });
                next += 1;
            }
            Err(error) => tracing::debug!(%source, %error, "a connection was gone before it was used"),
        }
    }
}

/// What a snapshot is built from besides the directory, as it changes.
struct Rules {
    policies: watch::Receiver<Policies>,
    people_ca: watch::Receiver<Vec<Fingerprint>>,
}

impl Rules {
    /// Both as they are now.
    fn take(&mut self) -> (Policies, Vec<Fingerprint>) {
        (self.policies.borrow_and_update().clone(), self.people_ca.borrow_and_update().clone())
    }

    /// Waits until one of them is another.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    async fn changed(&mut self) {
        tokio::select! {
            () = next(&mut self.policies) => {}
            () = next(&mut self.people_ca) => {}
        }
    }
}

/// Rebuilds the snapshot that sessions are judged by whenever the directory, operators' policies or the people CA change.
async fn follow_directory(
    store: Store,
    mut rules: Rules,
    publish: watch::Sender<Arc<Directory>>,
    in_force: watch::Sender<u64>,
    mut stopping: watch::Receiver<bool>,
) {
    let mut changes = store.changes();
    let mut anew = false;
    loop {
        // Compared with the snapshot's own generation, so that a change from before the subscription counts too.
        let changed = *changes.borrow_and_update();
        let before = publish.borrow().clone();
        let mut retry = false;
        if anew || changed > before.generation() {
            match next_directory(&store, &before, rules.take()).await {
                Ok(directory) => {
                    anew = false;
                    let generation = directory.generation();
                    publish.send_replace(Arc::new(directory));
                    in_force.send_replace(generation);
                }
                // The old snapshot still denies what it denied; the change is not in force, and that must be seen.
                Err(error) => {
                    tracing::error!(%error, "a change of the directory is not in force; trying again");
                    retry = true;
                }
            }
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = rules.changed() => anew = true,
            () = tokio::time::sleep(DIRECTORY_RETRY), if retry => {}
            _ = stopping.wait_for(|&stopping| stopping) => return,
        }
    }
}

/// Waits for another value; forever when nobody can give any.
async fn next<T>(value: &mut watch::Receiver<T>) {
    if value.changed().await.is_err() {
        std::future::pending().await
    }
}

async fn next_directory(
    store: &Store,
    before: &Directory,
    (policies, people_ca): (Policies, Vec<Fingerprint>),
) -> Result<Directory, String> {
    let data = store.snapshot().await.map_err(|error| error.to_string())?;
    let directory = before.rebuild(&data, policies).map_err(|error| error.to_string())?;
    Ok(directory.with_people_ca(people_ca))
}

async fn build_directory(
    store: &Store,
    (policies, people_ca): (Policies, Vec<Fingerprint>),
) -> Result<Directory, String> {
    let data = store.snapshot().await.map_err(|error| error.to_string())?;
    let directory = Directory::build(&data, policies).map_err(|error| error.to_string())?;
    Ok(directory.with_people_ca(people_ca))
}
