//! The console's loop: lines in, commands carried out.

mod reach;

use std::io;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::pin::pin;

use bartizan_audit::LogError;
use bartizan_model::Timestamp;
use bartizan_ssh::wire::connection::WindowSize;
use tokio::sync::watch;
use tokio::time::timeout;

use super::command::{self, Command};
use super::editor::{Editor, Input, Keys, Look};
use super::listing::{self, Whoami};
use super::pager::{Pager, Step};
use super::places::Place;
use super::record::{Failure, Record};
use super::remote::Servers;
use super::terminal::Channel;
use super::{Asked, BROKEN, Console, FAREWELL};
use crate::idle;
use crate::live::Lives;
use crate::parts::Shared;
use crate::session;

/// The prompt: printable ASCII.
const PROMPT: &str = "bartizan> ";
/// Longest line of a script, in bytes.
const SCRIPT_LINE: usize = 64 * 1024;
/// What is drawn is written at the latest when it is so long, in bytes.
const DRAWN: usize = 16 * 1024;

/// Exit statuses, as of the command line.
const FAILED: u32 = 1;
const USAGE: u32 = 2;
const DENIED: u32 = 3;

/// How a console ended.
pub(super) struct Left {
    /// For the log.
    pub(super) reason: String,
    /// For the client.
    pub(super) status: Option<u32>,
    /// To be dropped when the status is set.
    pub(super) channel: Option<Channel>,
}

/// Why a console cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stop {
    #[error("client left")]
    Gone(#[from] io::Error),
    #[error("audit log failed: {0}")]
    Log(#[from] LogError),
}

/// One console at work.
pub(super) struct Shell {
    console: Console,
    channel: Channel,
    servers: Servers,
    look: Look,
    /// Of the last command.
    status: u32,
    /// What may be reached, asked for by Tab; forgotten with the line.
    places: Option<Vec<Place>>,
}

impl Shell {
    pub(super) fn new(console: Console, channel: Channel, servers: Servers) -> Self {
        let look = look(&console);
        Self { console, channel, servers, look, status: 0, places: None }
    }

    /// Runs until the person leaves, or must.
    pub(super) async fn run(mut self, lives: &mut Lives) -> Left {
        let (record, shared, who) =
            (self.channel.record.clone(), self.console.shared.clone(), self.console.who.clone());
        let ended = tokio::select! {
            done = self.serve() => Ok(done),
            why = ended_by_us(&record, &shared, &who, lives) => Err(why),
        };
        let (reason, status) = match ended {
            Ok(Ok(status)) => ("client left".to_owned(), Some(status)),
            Ok(Err(stop)) => (stop.to_string(), Some(BROKEN)),
            Err(why) => {
                // The client may be gone or not reading: the words are a courtesy, the end is not.
                let text = format!("\nbartizan: this console ends: {why}");
                let _ = timeout(FAREWELL, self.channel.complain(&text)).await;
                (why, Some(BROKEN))
            }
        };
        Left { reason, status, channel: Some(self.channel) }
    }

    async fn serve(&mut self) -> Result<u32, Stop> {
        match std::mem::replace(&mut self.console.asked, Asked::Shell) {
            Asked::Command(line) => {
                let _ = self.execute(&line, true).await?;
            }
            Asked::Shell if self.channel.has_terminal => self.interactive().await?,
            Asked::Shell => self.script().await?,
            Asked::Sftp => {} // Another program.
        }
        Ok(self.status)
    }

    /// A person at a terminal.
    async fn interactive(&mut self) -> Result<(), Stop> {
        self.greet().await?;
        let mut size = self.console.size.clone();
        let mut editor = Editor::new(PROMPT.to_owned(), self.look, self.channel.cols_and_rows().0);
        let mut out = Vec::new();
        editor.show(&mut out);
        let shared = self.console.shared.clone();
        let (mut draining, mut told) = (pin!(shared.draining()), false);
        loop {
            if !out.is_empty() && (!self.channel.has_typed() || out.len() > DRAWN) {
                self.channel.write(&out).await?;
                out.clear();
            }
            let byte = tokio::select! {
                byte = self.channel.next_byte() => byte?,
                () = changed(&mut size) => {
                    let (cols, rows) = self.channel.cols_and_rows();
                    self.channel.record.resize(cols, rows);
                    editor.resize_shown(cols, &mut out);
                    continue;
                }
                patience = &mut draining, if !told => {
                    told = true;
                    if let Some(notice) = session::drain_notice(patience) {
                        self.channel.print(&format!("\n{notice}\n")).await?;
                        editor.show(&mut out);
                    }
                    continue;
                }
            };
            let Some(byte) = byte else { return Ok(()) };
            match editor.feed(byte, &mut out) {
                None => {}
                Some(Input::Line(line)) => {
                    self.channel.write(&std::mem::take(&mut out)).await?;
                    self.places = None;
                    if self.execute(line.as_bytes(), true).await?.is_break() {
                        return Ok(());
                    }
                    editor.resize(self.channel.cols_and_rows().0);
                    editor.show(&mut out);
                }
                Some(Input::Interrupt) => editor.show(&mut out),
                Some(Input::End) => {
                    self.channel.write(&out).await?;
                    return Ok(());
                }
                Some(Input::Complete) => {
                    let completion = self.complete(editor.line_to_cursor()).await;
                    editor.complete(&completion, &mut out);
                }
            }
        }
    }

    async fn greet(&mut self) -> Result<(), Stop> {
        if self.console.shared.settings().banner {
            let session = self.channel.record.session;
            self.channel.print(&format!("NOTE: this session is recorded. Audit key: {session}\n")).await?;
        }
        let person = self.console.who.person();
        let text = format!(
            "Welcome, {person}. This is Bartizan, an SSH access proxy. targets shows what you may reach,\n\
             ssh LOGIN@TARGET goes there, help tells more.\n"
        );
        Ok(self.channel.print(&text).await?)
    }

    /// A program that writes lines: each is a command, nothing is echoed.
    async fn script(&mut self) -> Result<(), Stop> {
        let mut line = Vec::new();
        loop {
            let byte = self.channel.next_byte().await?;
            match byte {
                Some(byte) if byte != b'\n' => {
                    line.push(byte);
                    if line.len() > SCRIPT_LINE {
                        self.status = USAGE;
                        return Ok(self.channel.complain("bartizan: this line is too long").await?);
                    }
                    continue;
                }
                _ => {}
            }
            let done = self.execute(&std::mem::take(&mut line), false).await?;
            if byte.is_none() || done.is_break() {
                return Ok(());
            }
        }
    }

    /// Carries out a line. `feeds`: what the client sends goes to a session that is opened.
    async fn execute(&mut self, line: &[u8], feeds: bool) -> Result<ControlFlow<()>, Stop> {
        let parsed = command::parse(line);
        if parsed != Ok(Command::Nothing) {
            self.channel.record.command(line).await?;
        }
        let status = match parsed {
            Ok(Command::Nothing) => self.status,
            Ok(Command::Exit) => return Ok(ControlFlow::Break(())),
            Ok(Command::Help(about)) => self.say(&command::help_text(about)).await?,
            Ok(Command::Whoami { json }) => self.whoami(json).await?,
            Ok(Command::Targets { filter, json }) => self.targets(filter.as_deref(), json).await?,
            Ok(Command::Sessions { json }) => self.sessions(json).await?,
            Ok(Command::Ssh(destination)) => self.ssh(destination, feeds).await?,
            Err(fault) => {
                self.channel.complain(&fault.to_string()).await?;
                USAGE
            }
        };
        self.status = status;
        Ok(ControlFlow::Continue(()))
    }

    /// Shows a text, on a terminal a screenful at a time.
    async fn say(&mut self, text: &str) -> Result<u32, Stop> {
        if !self.channel.has_terminal {
            self.channel.print(text).await?;
            return Ok(0);
        }
        let lines = text.lines().map(str::to_owned).collect();
        let mut pager = Pager::new(lines, self.channel.cols_and_rows().1, self.look.capable);
        let mut keys = Keys::default();
        let mut step = pager.begin();
        loop {
            match step {
                Step::Over(text) => {
                    self.channel.print(&text).await?;
                    return Ok(0);
                }
                Step::Wait(text) => self.channel.print(&text).await?,
            }
            step = loop {
                let Some(byte) = self.channel.next_byte().await? else { return Ok(0) };
                pager.resize(self.channel.cols_and_rows().1);
                if let Some(step) = keys.feed(byte).and_then(|key| pager.key(key)) {
                    break step;
                }
            };
        }
    }

    /// Shows a table, cut to the terminal's width.
    async fn table(&mut self, table: &listing::Table) -> Result<u32, Stop> {
        let cols = self.channel.has_terminal.then(|| {
            let (cols, _) = self.channel.cols_and_rows();
            usize::try_from(cols).ok().filter(|&cols| cols > 0).unwrap_or(80) - 1
        });
        let mut lines = table.lines(cols);
        if let Some(heads) = lines.first_mut().filter(|_| self.look.colours) {
            *heads = format!("\x1b[1m{heads}\x1b[0m");
        }
        self.say(&(lines.join("\n") + "\n")).await
    }

    async fn whoami(&mut self, json: bool) -> Result<u32, Stop> {
        let Console { who, source, client, shared, agent, .. } = &self.console;
        let facts = Whoami {
            person: who.person().as_str(),
            method: who.method(),
            key: who.key().to_string(),
            certificate: who.certificate(),
            source: SocketAddr::new(source.ip().to_canonical(), source.port()).to_string(),
            client,
            node: &shared.node.0,
            session: self.channel.record.session,
            since: self.channel.record.started,
            agent: agent.is_some(),
        };
        let text = if json { listing::json(&facts) } else { facts.text() };
        self.say(&text).await
    }
}

/// How the client's terminal is drawn on.
fn look(console: &Console) -> Look {
    let term = console.terminal.as_ref().map_or(&b""[..], |terminal| &terminal.term);
    let capable = !matches!(term, b"" | b"dumb" | b"unknown");
    let no_color = console.environment.iter().any(|(name, value)| name == b"NO_COLOR" && !value.is_empty());
    Look { capable, colours: capable && !no_color }
}

/// Waits until the terminal's size changes; forever when it cannot any more.
pub(super) async fn changed(size: &mut watch::Receiver<WindowSize>) {
    if size.changed().await.is_err() {
        std::future::pending().await
    }
}

/// Waits until the console must end although the person is well; gives the reason.
pub(super) async fn ended_by_us(
    record: &Record,
    shared: &Shared,
    who: &bartizan_access::Authenticated,
    lives: &mut Lives,
) -> String {
    tokio::select! {
        failure = record.failure() => match failure {
            Failure::Record(error) => format!("its recording cannot be written: {error}"),
            Failure::Log(error) => format!("the audit log cannot be written: {error}"),
        },
        why = withdrawn(shared, who) => format!("access was withdrawn: {why}"),
        reason = lives.terminated() => format!("an operator ended it: {reason}"),
        limit = idle::too_long(&record.vitals, shared, &idle::Monotonic) => {
            format!("idle: no byte passed for {}", idle::shown(limit))
        }
        () = shared.stopping() => "the server is stopping".to_owned(),
    }
}

/// Waits until the person is not recognized any more.
async fn withdrawn(shared: &Shared, who: &bartizan_access::Authenticated) -> bartizan_access::Rejected {
    let mut directory = shared.directory.clone();
    loop {
        if let Err(why) = directory.borrow_and_update().recognizes(who, Timestamp::now()) {
            return why;
        }
        // Without a publisher the server is stopping, which ends the console by itself.
        if directory.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
