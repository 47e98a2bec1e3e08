//! What may be reached: listed, suggested, completed, and reached.

use std::time::Duration;

use bartizan_model::{LoginName, SessionState, TargetName};
use bartizan_store::{IndexStore as _, SessionQuery};
use tokio::time::timeout;

use super::super::command::{COMMANDS, Destination};
use super::super::editor::Completion;
use super::super::listing;
use super::super::places::{Judge, Place, matches};
use super::super::remote::{self, Remote};
use super::super::{BROKEN, Console};
use super::{DENIED, FAILED, Shell, Stop, USAGE};
use crate::hop;

/// Edits by which the name of a target may differ from one that is suggested for it.
const TYPOS: usize = 2;
/// Longest name that is compared with others, in bytes.
const COMPARED: usize = 40;
/// Sessions that one listing shows.
const SESSIONS: u32 = 1000;
/// How long a list of sessions waits for the index to hold what has just happened.
const INDEX_PATIENCE: Duration = Duration::from_secs(5);

impl Shell {
    fn judge(&self) -> Judge<'_> {
        let Console { who, source, shared, .. } = &self.console;
        Judge { directory: shared.directory(), who, source: source.ip() }
    }

    pub(super) async fn targets(&mut self, filter: Option<&str>, json: bool) -> Result<u32, Stop> {
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

    pub(super) async fn sessions(&mut self, json: bool) -> Result<u32, Stop> {
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

    pub(super) async fn ssh(&mut self, destination: Destination, feeds: bool) -> Result<u32, Stop> {
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
    async fn only_login(&self, target: &TargetName) -> Result<LoginName, String> {
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
    async fn near(&self, target: &TargetName) -> String {
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
    pub(super) async fn complete(&mut self, before: &str) -> Completion {
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
