//! The console's `ssh`: an SSH client of ours, in memory, to the inner server that also answers `ProxyJump`.
//!
//! ```text
//!   person ◄─► Channel ◄─► copy ◄─► Mux (client) ◄─ duplex ─► own::inner ─► session::run ─► target
//! ```
//!
//! So the session has every stage of any other: its own audit key, decision, log, recording, host key, credential,
//! relay, end. It costs what `ProxyJump` costs. What passes is in that session's recording and not in the console's.
//! The SFTP root opens its sessions in the same way, by [`link`].

mod client;
mod copy;
mod host;
mod link;

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bartizan_model::{LoginName, Target, Way, escape};
use bartizan_ssh::connection::endpoint::EndpointConfig;
use bartizan_ssh::transport::DisconnectReason;
use bartizan_ssh::wire::connection::WindowSize;
use tokio::io::{AsyncRead as _, DuplexStream, duplex};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use self::client::LoginError;
use self::copy::{Copy, End};
use self::host::{Plan, Program, RemoteHost};
pub(super) use self::link::{Link, link};
use super::shell::{Stop, changed};
use super::terminal::Channel;
use super::{BROKEN, Console};
use crate::hop::{Hop, HopError};
use crate::mux::{Mux, MuxEnd, Streams};
use crate::own::{Inner, serve_inner};

/// Bytes between our client and our server, each way.
const PIPE: usize = 128 * 1024;
/// Bytes that the session may send ahead of the person's terminal.
const WINDOW: u32 = 256 * 1024;
/// A goodbye to our own server may take so long, and so may its words to the log before the prompt returns.
const GOODBYE: Duration = Duration::from_secs(2);
/// Exit status of somebody who gave up (128 + SIGINT), and of a program that a signal ended.
const INTERRUPTED: u32 = 130;
/// What a program that ended badly may have left on: colours, a hidden cursor, the alternate screen, keypad modes,
/// bracketed paste, reports of the mouse.
const RESET: &[u8] =
    b"\x1b[0m\x1b[?25h\x1b[?1049l\x1b[?1l\x1b>\x1b[?2004l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\r\n";

/// One session to open.
pub(super) struct Remote {
    pub(super) login: LoginName,
    pub(super) target: Target,
    /// `None` is a shell.
    pub(super) command: Option<Vec<u8>>,
    pub(super) forward_agent: bool,
    /// Ask for a terminal on the target, if the person has one.
    pub(super) terminal: bool,
    /// What the client sends goes to the session.
    pub(super) feeds: bool,
}

/// The servers' sides of sessions that a console opened; they outlive what happens to the console.
#[derive(Clone, Default)]
pub(super) struct Servers(Rc<RefCell<JoinSet<()>>>);

impl Servers {
    /// Starts one; the receiver hears when it is over.
    fn start(&self, stream: DuplexStream, inner: Inner) -> oneshot::Receiver<()> {
        let (over, ended) = oneshot::channel();
        let mut tasks = self.0.borrow_mut();
        while tasks.try_join_next().is_some() {}
        tasks.spawn_local(async move {
            serve_inner(stream, inner).await;
            drop(over);
        });
        ended
    }

    /// Waits until all are over and their ends on record.
    pub(super) async fn finished(&self) {
        let mut tasks = std::mem::take(&mut *self.0.borrow_mut());
        while tasks.join_next().await.is_some() {}
    }
}

/// How a session went, as the person is told.
enum Outcome {
    /// It ended by itself.
    Ended { status: Option<u32>, signal: Option<String> },
    /// It did not come to be, or broke off; the text is escaped.
    Failed(String),
    /// The person gave up while it was being opened.
    GivenUp,
}

/// Opens a session and stays with it until it is over; gives the exit status.
pub(super) async fn run(
    remote: Remote,
    console: &Console,
    channel: &mut Channel,
    servers: &Servers,
    capable: bool,
) -> Result<u32, Stop> {
    let Remote { login, target, command, forward_agent, terminal, feeds } = remote;
    let name = target.name.clone();
    channel.record.mark(&format!("ssh {login}@{name}"));
    let (over, hop) = match connect(console, servers, &login, target).await {
        Ok(connected) => connected,
        Err(error) => {
            channel.complain(&format!("bartizan: {}", escape(error.to_string().as_bytes()))).await?;
            return Ok(BROKEN);
        }
    };
    let pty = console.terminal.clone().filter(|_| terminal);
    let plan = Plan {
        size: *channel.size.borrow(),
        pty,
        environment: console.environment.clone(),
        agent: console.agent.clone().filter(|_| forward_agent),
        program: command.map_or(Program::Shell, Program::Command),
    };
    let raw = plan.pty.is_some();
    let config = EndpointConfig { window: WINDOW, max_channels: 64, ..EndpointConfig::default() };
    let mut mux = Mux::new(hop, config, RemoteHost::new(plan));
    mux.host.open(&mut mux.channels);
    let outcome = carry(&mut mux, channel, &mut console.size.clone(), Ways::new(channel, raw, feeds)).await?;
    mux.detach();
    if !matches!(outcome, Outcome::GivenUp) {
        mux.hop.disconnect(DisconnectReason::ByApplication, "goodbye", GOODBYE).await;
        // Its end is on record before the prompt returns, unless that takes too long.
        let _ = timeout(GOODBYE, over).await;
    }
    tell(&outcome, &format!("{login}@{name}"), channel, capable && raw).await
}

/// Connects to our own inner server for a target, as a login there. The receiver hears when that is over.
async fn connect(
    console: &Console,
    servers: &Servers,
    login: &LoginName,
    target: Target,
) -> Result<(oneshot::Receiver<()>, Hop<DuplexStream>), LoginError> {
    let (near, far) = duplex(PIPE);
    let name = target.name.clone();
    let inner = Inner {
        who: console.who.clone(),
        source: console.source,
        way: Way::Console,
        target,
        requested: name.as_str().to_owned(),
        agent: console.agent.clone(),
        trail: console.trail.clone(),
        shared: console.shared.clone(),
    };
    let over = servers.start(far, inner);
    let hop = client::log_in(near, login, &name, &console.shared).await?;
    Ok((over, hop))
}

/// Carries bytes both ways until the session is over.
async fn carry(
    mux: &mut Mux<DuplexStream, RemoteHost>,
    channel: &mut Channel,
    size: &mut watch::Receiver<WindowSize>,
    mut ways: Ways,
) -> Result<Outcome, Stop> {
    size.mark_unchanged();
    loop {
        tokio::select! {
            outcome = poll_fn(|cx| ways.poll(mux, channel, cx)) => return Ok(outcome?),
            () = changed(size) => {}
        }
        let (cols, rows) = channel.cols_and_rows();
        channel.record.resize(cols, rows);
        mux.host.resize(*size.borrow(), &mut mux.channels);
    }
}

/// The three ways of bytes.
struct Ways {
    up: Copy,
    down: Copy,
    error: Copy,
    /// What the client sends goes to the session.
    feeds: bool,
    /// Ctrl-C is looked for as long as what is typed goes nowhere.
    interruptible: bool,
    /// Our server is gone; why.
    lost: Option<String>,
}

impl Ways {
    fn new(channel: &Channel, raw: bool, feeds: bool) -> Self {
        // Lines of a program without a terminal, shown on one, need their CR.
        let cooked = channel.has_terminal && !raw;
        Self {
            up: Copy::new(false),
            down: Copy::new(cooked),
            error: Copy::new(cooked),
            feeds: feeds && !cooked,
            interruptible: channel.has_terminal,
            lost: None,
        }
    }

    fn poll(
        &mut self,
        mux: &mut Mux<DuplexStream, RemoteHost>,
        channel: &mut Channel,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Outcome>> {
        if channel.main.poll_gone(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if self.lost.is_none()
            && let Poll::Ready(end) = mux.poll(cx)
        {
            // What is on its way to the person still arrives.
            mux.detach();
            self.lost = Some(words(&end));
        }
        if let Some(notice) = mux.host.notice.take() {
            self.error.inject(&notice);
        }
        let goes_nowhere = mux.host.streams.is_none() || !self.feeds;
        if goes_nowhere && self.interruptible && channel.poll_interrupt(cx)?.is_ready() {
            return Poll::Ready(Ok(Outcome::GivenUp));
        }
        let drained = match &mut mux.host.streams {
            Some(streams) => self.copy(streams, channel, cx)?,
            None => true,
        };
        if drained && (mux.host.closed || self.lost.is_some()) {
            return Poll::Ready(Ok(mux.host.outcome(self.lost.take())));
        }
        Poll::Pending
    }

    /// Moves what can be moved; true when nothing more comes from the session.
    fn copy(
        &mut self,
        streams: &mut Streams,
        channel: &mut Channel,
        cx: &mut Context<'_>,
    ) -> io::Result<bool> {
        let Streams { main, error, .. } = streams;
        // A session that takes no more input is told by its own end.
        let _ = if self.feeds {
            self.up.poll(cx, main, |cx, space| channel.poll_typed(cx, space), End::PassOn)
        } else {
            self.up.poll(cx, main, |_, _| Poll::Ready(Ok(())), End::PassOn)
        };
        self.down.poll(
            cx,
            &mut channel.main,
            |cx, space| Pin::new(&mut *main).poll_read(cx, space),
            End::Keep,
        )?;
        let shown = if channel.has_terminal { &mut channel.main } else { &mut channel.error };
        self.error.poll(cx, shown, |cx, space| Pin::new(&mut *error).poll_read(cx, space), End::Keep)?;
        Ok(self.down.is_over() && self.error.is_over())
    }
}

/// Why our own server went away.
fn words(end: &MuxEnd<Infallible>) -> String {
    match end {
        MuxEnd::Hop(HopError::Disconnected { description, .. }) => escape(description),
        MuxEnd::Hop(error) => error.to_string(),
        MuxEnd::Violation(error) => error.to_string(),
        MuxEnd::Host(never) => match *never {},
    }
}

/// Tells the person how it went, and gives the exit status.
async fn tell(outcome: &Outcome, place: &str, channel: &mut Channel, reset: bool) -> Result<u32, Stop> {
    let (text, status) = match outcome {
        Outcome::Ended { status: Some(status), .. } => {
            let text = channel.has_terminal.then(|| format!("[{place}: exit status {status}]"));
            channel.record.mark(&format!("{place}: exit status {status}"));
            (text, *status)
        }
        Outcome::Ended { signal: Some(signal), .. } => {
            (Some(format!("[{place}: ended by signal {signal}]")), BROKEN)
        }
        Outcome::Ended { .. } => (Some(format!("[{place}: ended without an exit status]")), BROKEN),
        Outcome::Failed(text) => (Some(format!("bartizan: {text}")), BROKEN),
        Outcome::GivenUp => (Some("^C".to_owned()), INTERRUPTED),
    };
    if reset && !matches!(outcome, Outcome::Ended { status: Some(_), .. } | Outcome::GivenUp) {
        channel.write(RESET).await?;
    }
    if let Some(text) = text {
        channel.complain(&text).await?;
    }
    Ok(status)
}
