//! The console: `ssh alice@bastion` opens a line console of ours, not a shell of the host.
//!
//! ```text
//!   session channel ─► Channel (recorded) ─► Editor ─► command::parse ─► targets, whoami, sessions, help
//!                                                            └─ ssh ─► remote: an SSH client of ours ─► the inner
//!                                                                      server of ProxyJump ─► session::run
//! ```
//!
//! The `sftp` subsystem opens its other face, the SFTP root ([`sftp`]): the same places as folders.
//!
//! Whoever is identified may open it; it shows what policy permits them, and opens sessions through the same
//! stages as any other way in: each has its own audit key, decision, recording and end. The console itself is a
//! recorded session, too ([`record`]), and fails closed as sessions do. It runs in a task of its own: whatever
//! it waits for, the connection's other channels go on.
//!
//! What it deliberately does not do: run anything on this host, interpret quotes or variables, decide who may do what.

mod command;
mod editor;
mod listing;
mod pager;
mod places;
mod record;
mod remote;
mod sftp;
mod shell;
mod terminal;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bartizan_access::Authenticated;
use bartizan_ssh::wire::connection::WindowSize;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::watch;
use tokio::task::spawn_local;
use tokio::time::timeout;

use self::record::Record;
use self::remote::Servers;
use self::sftp::SftpRoot;
use self::shell::{Left, Shell};
use self::terminal::Channel;
use crate::mux::Streams;
use crate::own::AgentDoor;
use crate::parts::Shared;
use crate::trail::Trail;

/// The client gets so long to take our last words.
const FAREWELL: Duration = Duration::from_secs(1);
/// Exit status of a console that could not open or was ended, as OpenSSH has it for its own failures.
const BROKEN: u32 = 255;

/// What a client asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The console itself.
    Shell,
    /// One command of it.
    Command(Vec<u8>),
    /// The SFTP root.
    Sftp,
}

/// A client's terminal.
#[derive(Clone, Debug)]
pub(crate) struct Terminal {
    /// Value of `TERM`, in the client's bytes.
    pub(crate) term: Vec<u8>,
    /// Its size at the start.
    pub(crate) size: WindowSize,
    /// Its encoded modes (RFC 4254 §8).
    pub(crate) modes: Vec<u8>,
}

/// One console before it opens.
pub(crate) struct Console {
    pub(crate) asked: Asked,
    pub(crate) terminal: Option<Terminal>,
    /// Variables that the client set, as far as they are accepted.
    pub(crate) environment: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) size: watch::Receiver<WindowSize>,
    /// The person's agent, if the client forwards it.
    pub(crate) agent: Option<AgentDoor>,
    /// The client's identification, escaped.
    pub(crate) client: String,
    pub(crate) who: Authenticated,
    pub(crate) source: SocketAddr,
    pub(crate) trail: Trail,
    pub(crate) shared: Arc<Shared>,
}

/// Serves a console until it is over and its end is on record.
pub(crate) async fn serve(streams: Streams, console: Console) {
    let Streams { main, mut error, exit } = streams;
    let record = match Record::begin(&console).await {
        Ok(record) => record,
        Err(why) => {
            let text = format!("bartizan: {why}\r\n");
            let _ = timeout(FAREWELL, error.write_all(text.as_bytes())).await;
            exit.set(Some(BROKEN));
            return;
        }
    };
    let servers = Servers::default();
    let channel =
        Channel::new((main, error), console.terminal.is_some(), console.size.clone(), record.clone());
    // In a task of its own: should it panic, this console alone ends, and its end is on record.
    let mut lives = console.shared.live.enter(record.summary.clone(), record.vitals.clone());
    let running = match console.asked {
        Asked::Sftp => {
            let root = SftpRoot::new(console, channel, servers.clone());
            spawn_local(async move { (root.run(&mut lives).await, lives) })
        }
        Asked::Shell | Asked::Command(_) => {
            let shell = Shell::new(console, channel, servers.clone());
            spawn_local(async move { (shell.run(&mut lives).await, lives) })
        }
    };
    // Among the live ones until its end is on record.
    let (left, broken, _lives) = running.await.map_or_else(
        |error| {
            tracing::error!(%error, "a console ended by a panic");
            (Left { reason: "internal error".into(), status: Some(BROKEN), channel: None }, true, None)
        },
        |(left, lives)| (left, false, Some(lives)),
    );
    exit.set(left.status);
    drop(left.channel);
    servers.finished().await;
    record.close(left.reason, broken, left.status).await;
}
