//! What every connection shares.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bartizan_access::{Directory, Policies};
use bartizan_audit::Log;
use bartizan_model::{Fingerprint, NodeId};
use bartizan_record::Recordings;
use bartizan_record::space::Space;
use bartizan_ssh::key::{HostKey, PublicKeyAlgorithm};
use bartizan_ssh::transport::{Algorithms, ClientConfig, KexMethod, Mac, RekeyLimits, ServerConfig};
use bartizan_store::{IndexProgress, Store, Vault};
use tokio::sync::watch;

use crate::admission::HalfOpenLimits;
use crate::budget::Budget;
use crate::counts::Counts;
use crate::keys::Keys;
use crate::live::LiveSessions;

/// What the gateway is built from.
pub struct Parts {
    /// This node's name, as events carry it.
    pub node: NodeId,
    /// The audit log.
    pub log: Log,
    /// The directory's store.
    pub store: Store,
    /// How far its index is.
    pub index: IndexProgress,
    /// What is stored to log in to targets with.
    pub vault: Vault,
    /// The recordings.
    pub recordings: Recordings,
    /// The space for them, which somebody else measures: below the mark nothing begins but by break-glass grants.
    pub space: Space,
    /// The gateway's keys.
    pub keys: Keys,
    /// Operators' own policies; live sessions are judged again when they change.
    pub policies: watch::Receiver<Policies>,
    /// The keys of the people CA, whose certificates prove to be people; live sessions are judged again when they change.
    pub people_ca: watch::Receiver<Vec<Fingerprint>>,
}

/// What an operator can set about the live path. Every value has a default that works.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many connections may be unauthenticated at a time.
    pub half_open: HalfOpenLimits,
    /// How long a connection may take to authenticate.
    pub login_grace: Duration,
    /// After how long without a byte a session ends; never, if `None`.
    pub idle: Option<Duration>,
    /// Names of environment variables that clients may set (`env` requests); `*` at the end stands for any rest.
    pub accept_env: Vec<String>,
    /// Key exchange methods offered to clients, best first; never empty.
    pub key_exchange: Vec<KexMethod>,
    /// MACs offered to clients for ciphers that need one, best first; never empty.
    pub macs: Vec<Mac>,
    /// Whether interactive sessions are told that they are recorded.
    pub banner: bool,
    /// Threads that carry connections; 0 is one for each core.
    pub workers: usize,
}

impl Settings {
    /// How a server transport with these host keys is set up.
    pub(crate) fn server_config(&self, host_keys: Vec<HostKey>) -> ServerConfig {
        let (kex, macs) = (self.key_exchange.clone(), self.macs.clone());
        let algorithms = Algorithms { kex, macs, ..Algorithms::default() };
        ServerConfig { algorithms, ..ServerConfig::new(host_keys) }
    }

    /// Whether a client may set this environment variable.
    pub(crate) fn accepts_env(&self, name: &[u8]) -> bool {
        self.accept_env.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix.as_bytes()),
            None => name == pattern.as_bytes(),
        })
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            half_open: HalfOpenLimits::default(),
            login_grace: Duration::from_secs(60),
            idle: None,
            accept_env: ["LANG", "LC_*", "COLORTERM", "NO_COLOR", "GIT_PROTOCOL"].map(String::from).into(),
            key_exchange: KexMethod::WITHOUT_NIST_CURVES.to_vec(),
            macs: Mac::ENCRYPT_THEN_MAC.to_vec(),
            banner: true,
            workers: 0,
        }
    }
}

/// The host key algorithms to ask a target for; `None` is all of them.
type WantedHostKeys = Option<Vec<PublicKeyAlgorithm>>;

/// What an operator has set, as it is now, and what follows from it.
#[derive(Clone)]
pub(crate) struct Current {
    settings: Arc<Settings>,
    outer: Arc<ServerConfig>,
}

impl Current {
    pub(crate) fn new(settings: Settings, keys: &Keys) -> Self {
        let outer = Arc::new(settings.server_config(keys.host_keys.clone()));
        Self { settings: Arc::new(settings), outer }
    }

    /// What an operator has set.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }
}

/// What comes to every connection from outside while it lives.
pub(crate) struct Signals {
    /// What an operator has set.
    pub(crate) current: watch::Receiver<Current>,
    /// The directory.
    pub(crate) directory: watch::Receiver<Arc<Directory>>,
    /// How long live sessions are waited for, once the server drains.
    pub(crate) draining: watch::Receiver<Option<Duration>>,
    /// True once the server stops.
    pub(crate) stopping: watch::Receiver<bool>,
}

/// What every connection shares, on every worker.
pub(crate) struct Shared {
    pub(crate) node: NodeId,
    pub(crate) log: Log,
    pub(crate) store: Store,
    pub(crate) index: IndexProgress,
    pub(crate) vault: Vault,
    pub(crate) recordings: Recordings,
    pub(crate) space: Space,
    pub(crate) keys: Keys,
    /// What they count.
    pub(crate) counts: Arc<Counts>,
    /// The events that strangers may make.
    pub(crate) budget: Budget,
    current: watch::Receiver<Current>,
    /// How long live sessions are waited for, once the server drains.
    draining: watch::Receiver<Option<Duration>>,
    /// The directory as it is now.
    pub(crate) directory: watch::Receiver<Arc<Directory>>,
    /// The sessions that are live.
    pub(crate) live: LiveSessions,
    /// True once the server stops.
    pub(crate) stopping: watch::Receiver<bool>,
    /// Client configurations by the host key algorithms they ask for: they are few, and not small.
    clients: Mutex<Vec<(WantedHostKeys, Arc<ClientConfig>)>>,
}

impl Shared {
    pub(crate) fn new(parts: Parts, signals: Signals) -> Self {
        let Signals { current, directory, draining, stopping } = signals;
        let Parts { node, log, store, index, vault, recordings, space, keys, policies: _, people_ca: _ } =
            parts;
        Self {
            node,
            log,
            store,
            index,
            vault,
            recordings,
            space,
            keys,
            counts: Arc::default(),
            budget: Budget::new(Instant::now()),
            current,
            draining,
            directory,
            live: LiveSessions::default(),
            stopping,
            clients: Mutex::default(),
        }
    }

    /// The directory as it is at this moment.
    pub(crate) fn directory(&self) -> Arc<Directory> {
        self.directory.borrow().clone()
    }

    /// What an operator has set, as it is at this moment.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        self.current.borrow().settings.clone()
    }

    /// What an operator has set, as it changes.
    pub(crate) fn current(&self) -> watch::Receiver<Current> {
        self.current.clone()
    }

    /// How the listener's transport is set up.
    pub(crate) fn outer_config(&self) -> Arc<ServerConfig> {
        self.current.borrow().outer.clone()
    }

    /// True once the server drains: nothing new begins.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.borrow().is_some()
    }

    /// Resolves once the server drains, with how long live sessions are waited for.
    pub(crate) async fn draining(&self) -> Duration {
        let mut draining = self.draining.clone();
        match draining.wait_for(Option::is_some).await.map(|patience| *patience) {
            Ok(Some(patience)) => patience,
            // Without a sender the gateway's handle is gone, and it runs until the process ends.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// How a transport towards a target is set up, asking for these host key algorithms (all of them if `None`).
    pub(crate) fn client_config(
        &self,
        host_key_algorithms: Option<Vec<PublicKeyAlgorithm>>,
    ) -> Arc<ClientConfig> {
        let mut known = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, config)) = known.iter().find(|(algorithms, _)| *algorithms == host_key_algorithms) {
            return config.clone();
        }
        let mut config = client_config();
        if let Some(algorithms) = &host_key_algorithms {
            config.host_key_algorithms.clone_from(algorithms);
        }
        let config = Arc::new(config);
        known.push((host_key_algorithms, config.clone()));
        config
    }

    /// Resolves when the server stops.
    pub(crate) async fn stopping(&self) {
        let mut stopping = self.stopping.clone();
        // The sender lives as long as the server; without it there is nothing left to serve.
        let _ = stopping.wait_for(|&stopping| stopping).await;
    }
}

/// What all targets are offered.
fn client_config() -> ClientConfig {
    ClientConfig {
        // Network gear and embedded servers know no other; who knows a better one takes that.
        algorithms: Algorithms { macs: Mac::ALL.to_vec(), ..Algorithms::default() },
        // OpenSSH's client exchanges keys by use alone unless it is told otherwise, and some gear drops a connection for it.
        rekey: RekeyLimits { after: None, ..RekeyLimits::default() },
        ..ClientConfig::default()
    }
}
