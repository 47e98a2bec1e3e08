//! What the log and the recordings know of something that passed.

use std::time::Duration;

use bartizan_model::Timestamp;
use bartizan_model::api::{ChannelDetail, EventSearch, Page, SessionDetail, SessionSearch};
use bartizan_model::event::Outcome;
use bartizan_model::{LoginName, PersonName, SessionId, SessionState, SessionSummary, TargetName};
use bartizan_record::{RecordedSession, What};
use serde_json::Value;

use super::super::Context;
use super::super::recordings::folder;
use super::checks::Passed;
use super::compare::{Kept, account, has_listened, is_of, is_transfer, kept};
use crate::args::Selftest;
use crate::client::segment;
use crate::failure::Failure;

/// How often, and how long between, the log is asked for a session that is about to end.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(100);

/// Asks for the sessions of one person on one target.
pub(super) struct Finder<'a> {
    context: &'a Context,
    person: PersonName,
    login: LoginName,
    target: TargetName,
}

impl<'a> Finder<'a> {
    pub(super) fn new(context: &'a Context, command: &Selftest) -> Self {
        let (login, target) = (command.destination.login.clone(), command.destination.target.clone());
        Self { context, person: command.person.clone(), login, target }
    }

    /// The moment after which something will be looked for, by the server's clock as far as the log tells.
    pub(super) async fn mark(&self) -> Result<Timestamp, Failure> {
        Ok(Timestamp::now())
    }

    /// Why policy refused something to the person on this target and login since then, if it did.
    pub(super) async fn refusal(&self, since: Timestamp) -> Result<Option<String>, Failure> {
        let search = EventSearch {
            person: Some(self.person.clone()),
            login: Some(self.login.clone()),
            target: Some(self.target.clone()),
            outcome: Some(Outcome::Denied),
            since: Some(since),
            ..EventSearch::default()
        };
        let page: Page<Value> = self.context.client.find("/v1/events", &search).await?;
        let words = |event: &Value| Some(event.get("reason")?.as_str()?.to_owned());
        Ok(page.items.iter().find_map(words))
    }

    /// Whether the log has that the target refused to listen since then.
    pub(super) async fn would_not_listen(&self, since: Timestamp) -> Result<bool, Failure> {
        let search = EventSearch {
            person: Some(self.person.clone()),
            login: Some(self.login.clone()),
            target: Some(self.target.clone()),
            kind: Some("forward.listen".to_owned()),
            since: Some(since),
            ..EventSearch::default()
        };
        let page: Page<Value> = self.context.client.find("/v1/events", &search).await?;
        Ok(page.items.iter().any(|event| event["state"] == "failed"))
    }

    /// The ended session that has all of it; else what is missing in the one that comes nearest.
    pub(super) async fn find(
        &self,
        passed: &Passed,
        since: Timestamp,
    ) -> Result<Result<(SessionId, Kept), String>, Failure> {
        let search = SessionSearch {
            person: Some(self.person.clone()),
            login: Some(self.login.clone()),
            target: Some(self.target.clone()),
            since: Some(since),
            ..SessionSearch::default()
        };
        let mut missing = "there is no session of it in the log".to_owned();
        for _ in 0..TRIES {
            let page: Page<SessionSummary> = self.context.client.find("/v1/sessions", &search).await?;
            let live = page.items.iter().any(|session| session.state == SessionState::Live);
            for session in page.items.iter().filter(|session| session.state == SessionState::Ended) {
                match self.has(session.id, passed).await? {
                    Ok(kept) => return Ok(Ok((session.id, kept))),
                    Err(what) => missing = what,
                }
            }
            if !live && !page.items.is_empty() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(Err(missing))
    }

    /// Whether a session has everything of `passed`, and what its recording keeps of it.
    async fn has(&self, id: SessionId, passed: &Passed) -> Result<Result<Kept, String>, Failure> {
        let detail: SessionDetail = self.context.client.get(&format!("/v1/sessions/{}", segment(id))).await?;
        let Some(channel) = detail.channels.iter().find(|channel| is_of(channel, passed)) else {
            return Ok(Err("the log has a session, and no such channel or command in it".to_owned()));
        };
        let kept = account(channel, passed).and_then(|()| self.recorded(id, channel, passed));
        if kept.is_ok()
            && let Some(on) = &passed.listens
            && let Err(what) = self.listened(id, on).await?
        {
            return Ok(Err(what));
        }
        let (Ok(_), Some((name, content))) = (&kept, &passed.file) else { return Ok(kept) };
        Ok(self.transferred(id, name, content).await?.and(kept))
    }

    /// Whether the log has that the target was asked to listen, and did.
    async fn listened(&self, id: SessionId, on: &str) -> Result<Result<(), String>, Failure> {
        let search = EventSearch {
            kind: Some("forward.listen".to_owned()),
            session: Some(id),
            ..EventSearch::default()
        };
        let page: Page<Value> = self.context.client.find("/v1/events", &search).await?;
        Ok(has_listened(&page.items, on))
    }

    /// Whether the log has the file's transfer with its digest.
    async fn transferred(
        &self,
        id: SessionId,
        name: &str,
        content: &[u8],
    ) -> Result<Result<(), String>, Failure> {
        let search =
            EventSearch { kind: Some("transfer".to_owned()), session: Some(id), ..EventSearch::default() };
        let page: Page<Value> = self.context.client.find("/v1/events", &search).await?;
        Ok(match page.items.iter().any(|event| is_transfer(event, name, content)) {
            true => Ok(()),
            false => Err("no transfer event has the file's name and digest".to_owned()),
        })
    }

    /// Compares the recording with what passed.
    fn recorded(&self, id: SessionId, channel: &ChannelDetail, passed: &Passed) -> Result<Kept, String> {
        let unreadable = |error: bartizan_record::ReadError| format!("the recording cannot be read: {error}");
        let recording =
            RecordedSession::open(folder(&self.context.data).join(id.to_string())).map_err(unreadable)?;
        if let Some(wrong) = recording.verify().map_err(unreadable)?.into_iter().next() {
            return Err(format!("the recording does not verify: {wrong}"));
        }
        let mut found: [Vec<u8>; 3] = Default::default();
        for event in recording.events(channel.channel).map_err(unreadable)? {
            if let What::Data(stream, bytes) = event.map_err(unreadable)?.what {
                found[stream as usize].extend(bytes);
            }
        }
        kept(&found, channel, passed)
    }
}
