//! The console's loop: lines in, commands carried out.

use std::io;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::pin::pin;

use std::time::Duration;

use bartizan_audit::LogError;
use bartizan_model::{SessionState, Timestamp};
use bartizan_ssh::wire::connection::WindowSize;
use bartizan_store::{IndexStore as _, SessionQuery};
use tokio::sync::watch;
use tokio::time::timeout;

use super::command::{self, COMMANDS, Command, Destination};
use super::editor::{Completion, Editor, Input, Keys, Look};
use super::listing::{self, Whoami};
use super::pager::{Pager, Step};
use super::places::{Judge, Place, matches};
use super::record::{Failure, Record};
use super::remote::{self, Remote, Servers};
use super::terminal::Channel;
use super::{Asked, BROKEN, Console, FAREWELL};
use crate::hop;
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
/// Edits by which the name of a target may differ from one that is suggested for it.
const TYPOS: usize = 2;
/// Longest name that is compared with others, in bytes.
const COMPARED: usize = 40;
/// Sessions that one listing shows.
const SESSIONS: u32 = 1000;
/// How long a list of sessions waits for the index to hold what has just happened.
const INDEX_PATIENCE: Duration = Duration::from_secs(5);

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

    fn judge(&self) -> Judge<'_> {
        let Console { who, source, shared, .. } = &self.console;
        Judge { directory: shared.directory(), who, source: source.ip() }
    }

    async fn targets(&mut self, filter: Option<&str>, json: bool) -> Result<u32, Stop> {
        let mut places = self.judge().places(|_| true).await;
        let any = !places.is_empty();
        places.retain(|place| filter.is_none_or(|filter| matches(filter, &place.address())));
        if json {
            return self.say(&listing::targets_json(&places)).await;
        }
        if places.is_empty() {
            let text = if any {
                "nothing that you may reach matches"
            } else {
                "no grant lets you reach anything now"
            };
            self.channel.complain(text).await?;
            return Ok(FAILED);
        }
        self.table(&listing::targets(&places)).await
    }

    async fn sessions(&mut self, json: bool) -> Result<u32, Stop> {
        let query = SessionQuery {
            person: Some(self.console.who.person().clone()),
            state: Some(SessionState::Live),
            limit: Some(SESSIONS),
            ..SessionQuery::default()
        };
        let shared = &self.console.shared;
        let current = timeout(INDEX_PATIENCE, shared.index.reaches(shared.log.head())).await;
        let listed = match current.unwrap_or(false) {
            true => shared.store.sessions(&query).await.map_err(|error| error.to_string()),
            false => Err("the index does not keep up with the audit log".to_owned()),
        };
        let sessions = match listed {
            Ok(page) => {
                page.items.into_iter().map(|session| shared.live.refreshed(session)).collect::<Vec<_>>()
            }
            Err(error) => {
                tracing::error!(%error, "a console cannot list sessions");
                self.channel
                    .complain("bartizan: the index of sessions cannot be read; please tell an operator")
                    .await?;
                return Ok(FAILED);
            }
        };
        if json {
            return self.say(&listing::json(&sessions)).await;
        }
        let own = self.channel.record.session;
        self.table(&listing::sessions(&sessions, own)).await
    }

    async fn ssh(&mut self, destination: Destination, feeds: bool) -> Result<u32, Stop> {
        let Destination { login, target, command, forward_agent, terminal } = destination;
        let login = match login {
            Some(login) => login,
            None => match self.only_login(&target).await {
                Ok(login) => login,
                Err(text) => {
                    self.channel.record.denied("connect", format!("to {target}"), text.clone())?;
                    self.channel.complain(&format!("bartizan: {text}")).await?;
                    return Ok(DENIED);
                }
            },
        };
        if forward_agent && self.console.agent.is_none() {
            let text = "bartizan: your client forwards no agent to here; come with: ssh -A";
            self.channel.complain(text).await?;
            return Ok(USAGE);
        }
        let Some(target) = self.console.shared.directory().target(&target).cloned() else {
            let reason = "no such target".to_owned();
            self.channel.record.denied("connect", format!("to {login}@{target}"), reason)?;
            let near = self.near(&target).await;
            let text = format!("bartizan: there is no target named {target}; {near}");
            self.channel.complain(&text).await?;
            return Ok(BROKEN);
        };
        let remote = Remote { login, target, command, forward_agent, terminal, feeds };
        let vitals = self.channel.record.vitals.clone();
        // What passes in that session counts there.
        let busy = vitals.busy();
        let status =
            remote::run(remote, &self.console, &mut self.channel, &self.servers, self.look.capable).await;
        vitals.alive(hop::now());
        drop(busy);
        status
    }

    /// The only login that is permitted on a target.
    async fn only_login(
        &self,
        target: &bartizan_model::TargetName,
    ) -> Result<bartizan_model::LoginName, String> {
        let places = self.judge().places(|name| name == target).await;
        let mut named = places.iter().filter_map(|place| place.login.clone());
        match (named.next(), named.next()) {
            (Some(only), None) if places.len() == 1 => Ok(only),
            _ if places.is_empty() => {
                Err(format!("no grant lets you reach {target} now; {}", self.near(target).await))
            }
            _ => {
                let addresses: Vec<String> = places.iter().map(Place::address).collect();
                Err(format!("as whom? You may: ssh {}", addresses.join(", ssh ").replace("*@", "LOGIN@")))
            }
        }
    }

    /// What to write instead of a target that cannot be reached: a name much like it that can, if there is one.
    async fn near(&self, target: &bartizan_model::TargetName) -> String {
        let typed = target.as_str();
        let distance = |name: &str| strsim::osa_distance(name, typed);
        // Cheap first: there may be thousands, and others wait for the thread.
        let close = |name: &str| {
            name != typed
                && typed.len() <= COMPARED
                && name.len().abs_diff(typed.len()) <= TYPOS
                && distance(name) <= TYPOS
        };
        let places = self.judge().places(|name| close(name.as_str())).await;
        match places.iter().min_by_key(|place| distance(place.target.as_str())) {
            Some(place) => format!("did you mean: {}", place.target),
            None => "see: targets".to_owned(),
        }
    }

    /// What may stand where the cursor is.
    async fn complete(&mut self, before: &str) -> Completion {
        let (head, typed) =
            before.rsplit_once([' ', '\t']).map_or(("", before), |(head, typed)| (head, typed));
        let words: Vec<&str> = head.split_ascii_whitespace().collect();
        let names = || COMMANDS.iter().map(|entry| format!("{} ", entry.name)).collect::<Vec<_>>();
        let mut candidates = match words[..] {
            [] | ["help"] => names(),
            ["targets" | "sessions" | "whoami", ..] if typed.starts_with('-') => vec!["--json ".to_owned()],
            ["targets"] => self.destinations(typed).await,
            ["ssh", ref options @ ..] if options.iter().all(|option| option.starts_with('-')) => {
                self.destinations(typed).await
            }
            _ => Vec::new(),
        };
        candidates.retain(|candidate| candidate.starts_with(typed));
        candidates.sort_unstable();
        candidates.dedup();
        Completion { replaces: typed.len(), candidates }
    }

    /// Destinations for what was typed of one.
    async fn destinations(&mut self, typed: &str) -> Vec<String> {
        if self.places.is_none() {
            self.places = Some(self.judge().places(|_| true).await);
        }
        let places = self.places.iter().flatten();
        let login = typed.rsplit_once('@').map(|(login, _)| login);
        let addresses = places.flat_map(|place| match (&place.login, login) {
            (Some(_), Some(_)) => vec![place.address() + " "],
            (Some(_), None) if typed.is_empty() => vec![place.address() + " "],
            (Some(_), None) => vec![place.address() + " ", format!("{} ", place.target)],
            (None, Some(login)) => vec![format!("{login}@{} ", place.target)],
            (None, None) => vec![format!("{} ", place.target)],
        });
        addresses.collect()
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
