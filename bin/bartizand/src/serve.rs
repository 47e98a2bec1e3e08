//! `bartizand serve`: runs until it is told to stop.

use std::io::IsTerminal as _;
use std::path::Path;
use std::pin::pin;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::args::Data;
use crate::config::Config;
use crate::failure::Failure;
use crate::folder::Folder;
use crate::wiring::{self, LogLevel, Server};

/// Threads for the API, the store and the index. Sessions have threads of their own.
const THREADS: usize = 2;

/// A stop that is interrupted may take so long to end in order.
const LAST_MOMENT: Duration = Duration::from_secs(2);

/// A signal that comes again within this time is the same one: timeout(1) sends it to the process and to its group.
const ECHO: Duration = Duration::from_millis(500);

/// Runs the server on a data folder until SIGTERM or SIGINT. SIGHUP reads operators' policies and the configuration again.
///
/// # Errors
/// When it cannot start, or could not end in order.
pub(crate) fn run(Data { data }: &Data) -> Result<(), Failure> {
    let folder = Folder::open(data)?;
    // Held until everything has ended.
    let _lock = folder.lock()?;
    let config = folder.config()?;
    let log_level = start_tracing(&config);
    raise_file_limit();
    let runtime = runtime()?;
    let ended = runtime.block_on(serve(&folder, &config, log_level, data));
    // After an orderly end nothing is left; after a second signal nothing is waited for.
    runtime.shutdown_background();
    ended
}

async fn serve(folder: &Folder, config: &Config, log_level: LogLevel, data: &Path) -> Result<(), Failure> {
    let mut signals = Signals::install()?;
    let mut hangup = install(SignalKind::hangup())?;
    let started = tokio::select! {
        built = wiring::build(folder, config, log_level) => built?,
        signal = signals.next() => return Err(Failure::new(format!("{signal} before the server was ready"))),
    };
    for address in started.addresses() {
        tracing::info!(%address, "listening");
    }
    tracing::info!(data = %data.display(), node = %config.node, version = env!("CARGO_PKG_VERSION"), "ready");
    let (server, reason) = until_told(started, &mut signals, &mut hangup, folder).await;
    if server.log_works() {
        tokio::select! {
            left = server.drain() => if left > 0 {
                tracing::warn!(sessions = left, "the time is over: live sessions are ended");
            },
            signal = signals.again() => tracing::warn!(signal, "live sessions are ended at once"),
        }
    }
    tracing::info!(reason, "stopping");
    let mut stop = pin!(server.stop(&reason));
    tokio::select! {
        stopped = &mut stop => stopped?,
        // What is nearly done is still put on record.
        signal = signals.next() => match tokio::time::timeout(LAST_MOMENT, stop).await {
            Ok(stopped) => stopped?,
            Err(_) => return Err(Failure::new(format!("{signal} while stopping: ended at once"))),
        },
    }
    tracing::info!("stopped");
    Ok(())
}

/// Waits for a reason to stop.
async fn until_told(
    mut server: Server,
    signals: &mut Signals,
    hangup: &mut Signal,
    folder: &Folder,
) -> (Server, String) {
    let log_failed = server.log_failed();
    let told = async {
        let error = log_failed.await;
        tracing::error!(error, "the audit log cannot be written: sessions end and no new ones begin");
        // The server stays, so that users and operators are told why.
        std::future::pending::<()>().await;
    };
    let mut told = std::pin::pin!(told);
    loop {
        let reason = tokio::select! {
            signal = signals.next() => signal.to_owned(),
            reason = server.broken() => reason,
            () = &mut told => String::new(),
            _ = hangup.recv() => {
                if let Err(error) = server.reload(folder).await {
                    tracing::error!("not reloaded: {error}");
                }
                continue;
            }
        };
        return (server, reason);
    }
}

fn install(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|e| Failure::new(format!("cannot listen for signals: {e}")))
}

/// The signals that end the server.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// When the last came.
    last: Instant,
}

impl Signals {
    fn install() -> Result<Self, Failure> {
        Ok(Self {
            terminate: install(SignalKind::terminate())?,
            interrupt: install(SignalKind::interrupt())?,
            last: Instant::now(),
        })
    }

    async fn next(&mut self) -> &'static str {
        let signal = tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        };
        self.last = Instant::now();
        signal
    }

    /// The next that is no echo of the last.
    async fn again(&mut self) -> &'static str {
        let first = self.last;
        loop {
            let signal = self.next().await;
            if first.elapsed() > ECHO {
                return signal;
            }
        }
    }
}

/// The runtime of everything but sessions.
pub(crate) fn runtime() -> Result<Runtime, Failure> {
    let built = Builder::new_multi_thread().worker_threads(THREADS).thread_name("main").enable_all().build();
    built.map_err(|e| Failure::new(format!("cannot start threads: {e}")))
}

/// The database's statements would drown what the server says; a directive for sqlx brings them back.
fn directives(log_level: &str) -> EnvFilter {
    EnvFilter::new(format!("sqlx=warn,{log_level}"))
}

/// Lines on standard error; colours only on a terminal and never with `NO_COLOR`. Gives what changes their level.
fn start_tracing(config: &Config) -> LogLevel {
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let lines = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && !no_colour)
        .with_target(false)
        .with_env_filter(directives(&config.log_level))
        .with_filter_reloading();
    let handle = lines.reload_handle();
    lines.init();
    Box::new(move |log_level| {
        if let Err(error) = handle.reload(directives(log_level)) {
            tracing::warn!(%error, "the level of these lines stays");
        }
    })
}

/// Each session needs a handful of file descriptors; the usual soft limit of 1,024 is for programs that use
/// `select`.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files stays low");
    }
}
