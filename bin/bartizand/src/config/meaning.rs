//! Second stage: what the written keys mean, defaults filled in, each value checked.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bartizan_model::NodeId;
use bartizan_record::space::{Mark, Watermarks};
use bartizan_ssh::transport::{KexMethod, Mac};
use bartizan_store::PostgresOptions;
use tracing_subscriber::EnvFilter;

use super::written::{At, Value};
use super::{Fault, Written};
use crate::retention::Rules;

/// A configuration that holds: every value is checked and has its unit.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The node's name in events.
    pub(crate) node: NodeId,
    /// Where SSH clients are accepted; never empty.
    pub(crate) listen: Vec<SocketAddr>,
    /// The jump host that `ssh-config` prints, where it is written.
    public_address: Option<String>,
    /// Where state is kept.
    pub(crate) database: Database,
    /// Directives for tracing; they parse.
    pub(crate) log_level: String,
    /// Threads that relay sessions.
    pub(crate) workers: usize,
    /// Time for authentication.
    pub(crate) login_grace: Duration,
    /// Unauthenticated connections at once, over all sources.
    pub(crate) half_open: usize,
    /// Unauthenticated connections at once, of one source.
    pub(crate) half_open_per_source: usize,
    /// Connections a second, of one source, without those that log in.
    pub(crate) half_open_per_second: usize,
    /// After how long without a byte a session ends, where it is written.
    pub(crate) idle: Option<Duration>,
    /// Key exchange methods for clients; never empty.
    pub(crate) key_exchange: Vec<KexMethod>,
    /// MACs for clients; never empty.
    pub(crate) macs: Vec<Mac>,
    /// Patterns of environment variables that clients may set.
    pub(crate) accept_env: Vec<String>,
    /// How long live sessions are waited for when the server stops.
    pub(crate) drain: Duration,
    /// For how long a person's certificate may be valid.
    pub(crate) longest_certificate: Duration,
    /// Which recordings are kept.
    pub(crate) retention: Rules,
    /// Below which free space somebody should act, and new sessions are refused.
    pub(crate) watermarks: Watermarks,
    /// Where the vault's master key is kept, where it is written.
    pub(crate) master_key: Option<PathBuf>,
    /// Where `/metrics` answers over TCP.
    pub(crate) metrics_listen: Vec<SocketAddr>,
}

impl Config {
    /// Gives meaning to what was written; each key that has none becomes a fault and keeps its default.
    pub(crate) fn from_written(written: &Written, faults: &mut Vec<Fault>) -> Self {
        let mut read = Reading { written, faults };
        Self {
            node: NodeId(read.text("node", default_node, node)),
            listen: read.listen("listen", &[SocketAddr::from((Ipv4Addr::UNSPECIFIED, 2222))]),
            public_address: read.text("public_address", || None, |text| public_address(text).map(Some)),
            database: read.database(),
            log_level: read.text("log_level", || "info".into(), log_level),
            workers: read.count("workers", default_workers(), 1, 1024),
            login_grace: read.duration("limits.login_grace", 60, 1, 3600),
            half_open: read.count("limits.half_open", 2048, 1, 1_000_000),
            half_open_per_source: read.count("limits.half_open_per_source", 128, 1, 1_000_000),
            half_open_per_second: read.count("limits.half_open_per_second", 20, 1, 1_000_000),
            idle: read.idle(),
            key_exchange: read.key_exchange(),
            macs: read.macs(),
            accept_env: read.accept_env(),
            drain: read.duration("session.drain", 30, 0, 86_400),
            longest_certificate: read.duration("certificates.longest", 86_400, 60, 8760 * 3600),
            retention: Rules {
                keep: read.text("recordings.keep", || None, |text| days(text).map(Some)),
                keep_size: read.text("recordings.keep_size", || None, |text| size(text).map(Some)),
            },
            watermarks: read.watermarks(),
            master_key: read.text("vault.master_key", || None, |text| absolute(text).map(Some)),
            metrics_listen: read.listen("metrics.listen", &[]),
        }
    }
}

/// Where people, targets, grants, credentials and the index are kept.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one, in the configuration")]
pub(crate) enum Database {
    /// In the data folder.
    Sqlite,
    /// Elsewhere.
    Postgres {
        /// Where.
        options: PostgresOptions,
        /// The file with the password, where one is written.
        password_file: Option<PathBuf>,
    },
}

impl Config {
    /// Every key with its value as people read it.
    pub(crate) fn values(&self) -> Vec<(&'static str, String)> {
        let addresses =
            |list: &[SocketAddr]| list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let seconds = |time: Duration| format!("{} s", time.as_secs());
        let path = |path: Option<&PathBuf>| path.map_or("-".to_owned(), |path| path.display().to_string());
        let written = |text: Option<&String>| text.map_or("-".to_owned(), Clone::clone);
        let (database, password_file) = match &self.database {
            Database::Sqlite => ("sqlite".to_owned(), None),
            Database::Postgres { options, password_file } => (options.to_string(), password_file.as_ref()),
        };
        let methods: Vec<_> = self.key_exchange.iter().map(|method| method.name()).collect();
        let macs: Vec<_> = self.macs.iter().map(|mac| mac.name()).collect();
        vec![
            ("node", self.node.to_string()),
            ("listen", addresses(&self.listen)),
            ("public_address", self.public_address()),
            ("database", database),
            ("database_password_file", path(password_file)),
            ("log_level", self.log_level.clone()),
            ("workers", self.workers.to_string()),
            ("limits.login_grace", seconds(self.login_grace)),
            ("limits.half_open", self.half_open.to_string()),
            ("limits.half_open_per_source", self.half_open_per_source.to_string()),
            ("limits.half_open_per_second", self.half_open_per_second.to_string()),
            ("limits.idle", self.idle.map_or("-".to_owned(), seconds)),
            ("ssh.key_exchange", methods.join(", ")),
            ("ssh.macs", macs.join(", ")),
            ("session.accept_env", self.accept_env.join(", ")),
            ("session.drain", seconds(self.drain)),
            ("certificates.longest", seconds(self.longest_certificate)),
            ("recordings.keep", written(self.retention.keep.as_ref().map(|(written, _)| written))),
            ("recordings.keep_size", written(self.retention.keep_size.as_ref().map(|(written, _)| written))),
            ("space.low", self.watermarks.low.to_string()),
            ("space.full", self.watermarks.full.to_string()),
            ("vault.master_key", path(self.master_key.as_ref())),
            ("metrics.listen", addresses(&self.metrics_listen)),
        ]
    }

    /// This configuration with what SIGHUP takes of a newer one ([`super::keys::RELOADED`]).
    pub(crate) fn reloaded(&self, newer: &Self) -> Self {
        let newer = newer.clone();
        Self {
            public_address: newer.public_address,
            log_level: newer.log_level,
            login_grace: newer.login_grace,
            half_open: newer.half_open,
            half_open_per_source: newer.half_open_per_source,
            half_open_per_second: newer.half_open_per_second,
            idle: newer.idle,
            key_exchange: newer.key_exchange,
            macs: newer.macs,
            accept_env: newer.accept_env,
            drain: newer.drain,
            longest_certificate: newer.longest_certificate,
            ..self.clone()
        }
    }

    /// The keys whose values differ.
    pub(crate) fn differing(&self, other: &Self) -> Vec<&'static str> {
        let pairs = self.values().into_iter().zip(other.values());
        pairs.filter(|(one, other)| one != other).map(|((name, _), _)| name).collect()
    }

    /// The jump host as clients write it: as configured, else the first of `listen`, by the machine's name where
    /// that is every address.
    pub(crate) fn public_address(&self) -> String {
        if let Some(configured) = &self.public_address {
            return configured.clone();
        }
        jump_host(&self.listen)
    }
}

/// The first of the addresses as clients write it: by the machine's name where that is every address.
pub(crate) fn jump_host(listen: &[SocketAddr]) -> String {
    match listen.first() {
        Some(first) if first.ip().is_unspecified() => format!("{}:{}", default_node(), first.port()),
        Some(first) => first.to_string(),
        None => default_node(),
    }
}

/// The machine's host name where it is a good node name.
pub(crate) fn default_node() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    node(&name).unwrap_or_else(|_| "bartizan".into())
}

fn default_workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(1024)
}

struct Reading<'a> {
    written: &'a Written,
    faults: &'a mut Vec<Fault>,
}

impl Reading<'_> {
    fn fault(&mut self, line: usize, key: &str, why: &str) {
        self.faults.push(Fault { line, what: format!("{key} {why}") });
    }

    fn text<T>(
        &mut self,
        key: &'static str,
        default: impl FnOnce() -> T,
        mean: impl FnOnce(&str) -> Result<T, String>,
    ) -> T {
        let Some(At { line, value }) = self.written.text(key) else { return default() };
        mean(value).unwrap_or_else(|why| {
            self.fault(line, key, &why);
            default()
        })
    }

    fn count(&mut self, key: &'static str, default: usize, least: usize, most: usize) -> usize {
        let Some(At { line, value }) = self.written.count(key) else { return default };
        match usize::try_from(value) {
            Ok(value) if (least..=most).contains(&value) => value,
            _ => {
                self.fault(line, key, &format!("is {value}; it must be from {least} to {most}"));
                default
            }
        }
    }

    fn duration(&mut self, key: &'static str, default: u64, least: u64, most: u64) -> Duration {
        let bounds = format!("it must be from {least}s to {most}s");
        let mean = |text: &str| match seconds(text) {
            None => {
                Err(format!("is \"{}\", no duration; write it like \"90s\", \"10m\" or \"2h\"", shown(text)))
            }
            Some(value) if (least..=most).contains(&value) => Ok(Duration::from_secs(value)),
            Some(_) => Err(format!("is {}; {bounds}", shown(text))),
        };
        self.text(key, || Duration::from_secs(default), mean)
    }

    fn idle(&mut self) -> Option<Duration> {
        let limit = self.duration("limits.idle", 0, 1, 2_592_000);
        // Without the key it is the default, which nobody can write.
        (!limit.is_zero()).then_some(limit)
    }

    /// The texts of a list with their lines, or `None` where the key is not written.
    fn list(&self, key: &str) -> Option<(usize, Vec<At<String>>)> {
        match self.written.list(key)? {
            At { line, value: Value::List(items) } => Some((*line, items.clone())),
            _ => None,
        }
    }

    fn database(&mut self) -> Database {
        let mean = |text: &str| match text {
            "sqlite" => Ok(None),
            text => PostgresOptions::parse(text).map(Some).map_err(|why| {
                // Not repeated: it may hold what should not be shown.
                format!("is neither \"sqlite\" nor the address of a database: {why}")
            }),
        };
        let options = self.text("database", || None, mean);
        let file = "database_password_file";
        let password_file = self.text(file, || None, |text| absolute(text).map(Some));
        match options {
            Some(options) => Database::Postgres { options, password_file },
            None => {
                if password_file.is_some()
                    && let Some(At { line, .. }) = self.written.text(file)
                {
                    self.fault(line, file, "is for a database elsewhere; `database` names none");
                }
                Database::Sqlite
            }
        }
    }

    /// Addresses to listen on; where some are the default, there must be one.
    fn listen(&mut self, key: &str, default: &[SocketAddr]) -> Vec<SocketAddr> {
        let Some((line, items)) = self.list(key) else { return default.to_vec() };
        if items.is_empty() && !default.is_empty() {
            self.fault(line, key, "is empty; name at least one address such as \"0.0.0.0:2222\"");
        }
        let mut addresses: Vec<SocketAddr> = Vec::new();
        for At { line, value } in items {
            match value.parse() {
                Ok(address) if addresses.contains(&address) && address.port() != 0 => {
                    self.fault(line, key, &format!("names {address} twice"));
                }
                Ok(address) => addresses.push(address),
                Err(_) => {
                    let why = format!(
                        "holds \"{}\", no address with port; write \"0.0.0.0:2222\" or \"[::]:2222\"",
                        shown(&value)
                    );
                    self.fault(line, key, &why);
                }
            }
        }
        addresses
    }

    fn watermarks(&mut self) -> Watermarks {
        let mark = |text: &str| text.parse::<Mark>().map_err(|why| format!("is \"{}\": {why}", shown(text)));
        let default = Watermarks::default();
        let low = self.text("space.low", || default.low, mark);
        let full = self.text("space.full", || default.full, mark);
        if (full.percent > low.percent || full.bytes > low.bytes)
            && let Some(At { line, .. }) = self.written.text("space.full").or(self.written.text("space.low"))
        {
            let why = format!("is {full} and space.low is {low}; neither its share nor its size may be more");
            self.fault(line, "space.full", &why);
        }
        Watermarks { low, full }
    }

    fn key_exchange(&mut self) -> Vec<KexMethod> {
        let known = || KexMethod::ALL.map(KexMethod::name).join(", ");
        self.algorithms("ssh.key_exchange", &KexMethod::WITHOUT_NIST_CURVES, KexMethod::from_name, known)
    }

    fn macs(&mut self) -> Vec<Mac> {
        let known = || Mac::ALL.map(Mac::name).join(", ");
        self.algorithms("ssh.macs", &Mac::ENCRYPT_THEN_MAC, Mac::from_name, known)
    }

    /// A list of names of algorithms, each taken once.
    fn algorithms<A: Copy + PartialEq>(
        &mut self,
        key: &'static str,
        default: &[A],
        from_name: fn(&str) -> Option<A>,
        known: impl Fn() -> String,
    ) -> Vec<A> {
        let Some((line, items)) = self.list(key) else { return default.to_vec() };
        if items.is_empty() {
            self.fault(line, key, "is empty; nobody could connect");
            return default.to_vec();
        }
        let mut algorithms = Vec::new();
        for At { line, value } in items {
            match from_name(&value) {
                Some(algorithm) if !algorithms.contains(&algorithm) => algorithms.push(algorithm),
                Some(_) => {}
                None => {
                    let why = format!("holds \"{}\"; known are {}", shown(&value), known());
                    self.fault(line, key, &why);
                }
            }
        }
        algorithms
    }

    fn accept_env(&mut self) -> Vec<String> {
        let Some((_, items)) = self.list("session.accept_env") else {
            return ["LANG", "LC_*", "COLORTERM", "NO_COLOR", "GIT_PROTOCOL"].map(String::from).into();
        };
        let good = |name: &str| {
            let plain = name.strip_suffix('*').unwrap_or(name);
            !name.is_empty() && plain.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        for At { line, value } in items.iter().filter(|item| !good(&item.value)) {
            let why = format!("holds \"{}\", no name of a variable such as LANG or LC_*", shown(value));
            self.fault(*line, "session.accept_env", &why);
        }
        items.into_iter().map(|item| item.value).collect()
    }
}

fn node(text: &str) -> Result<String, String> {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    if (1..=64).contains(&text.len()) && text.bytes().all(good) {
        return Ok(text.to_owned());
    }
    Err(format!("is \"{}\"; it must be 1 to 64 letters, digits, dots, hyphens and underscores", shown(text)))
}

fn public_address(text: &str) -> Result<String, String> {
    let host = match text.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok_and(|port| port > 0) && !host.contains(':') => host,
        Some((host, port)) if host.starts_with('[') && port.parse::<u16>().is_ok_and(|port| port > 0) => host,
        _ => text,
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match bartizan_model::Target::check_host(host) {
        Ok(()) => Ok(text.to_owned()),
        Err(_) => {
            Err(format!("is \"{}\"; write \"bastion.example.com\" or with a port \"host:2222\"", shown(text)))
        }
    }
}

fn absolute(text: &str) -> Result<PathBuf, String> {
    match Path::new(text) {
        path if path.is_absolute() => Ok(path.to_owned()),
        _ => Err(format!("is \"{}\"; write a path that begins with /", shown(text))),
    }
}

fn log_level(text: &str) -> Result<String, String> {
    // EnvFilter takes any bare word for a target, so a misspelt level would silently log nothing.
    let level = |directive: &str| {
        let level = directive.rsplit_once('=').map_or(directive, |(_, level)| level);
        ["off", "error", "warn", "info", "debug", "trace"].contains(&level)
    };
    if text.split(',').all(level) && EnvFilter::try_new(text).is_ok() {
        return Ok(text.to_owned());
    }
    Err(format!(
        "is \"{}\"; write \"error\", \"warn\", \"info\", \"debug\", \"trace\", or directives such as \
         \"info,bartizan_gateway=debug\"",
        shown(text)
    ))
}

/// Whole seconds of `90s`, `10m` or `2h`.
fn seconds(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    number.parse::<u64>().ok()?.checked_mul(unit)
}

/// Days, as written and as time.
fn days(text: &str) -> Result<(String, Duration), String> {
    let number = text.strip_suffix('d').filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
    match number.and_then(|number| number.parse::<u64>().ok()) {
        Some(days @ 1..=36_500) => Ok((text.to_owned(), Duration::from_secs(days * 86_400))),
        Some(_) => Err(format!("is {}; it must be from 1d to 36500d", shown(text))),
        None => Err(format!("is \"{}\", no number of days; write it like \"400d\"", shown(text))),
    }
}

/// A size, as written and in bytes.
fn size(text: &str) -> Result<(String, u64), String> {
    match bartizan_record::space::parse_size(text) {
        Some(bytes) if bytes >= 1 << 20 => Ok((text.to_owned(), bytes)),
        Some(_) => Err(format!("is {}; it must be at least 1MiB", shown(text))),
        None => Err(format!("is \"{}\", no size; write it like \"500GiB\"", shown(text))),
    }
}

fn shown(text: &str) -> String {
    bartizan_model::escape(text.chars().take(80).collect::<String>().as_bytes())
}
