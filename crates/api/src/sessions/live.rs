//! Live sessions as those who carry them know them: also where the index cannot be written, as on a full disk.

use bartizan_model::api::{Page, SessionSearch};
use bartizan_model::{SessionId, SessionState, SessionSummary};

use crate::error::{ApiError, Result};
use crate::state::ApiState;

/// All that a search finds, the newest first, on one page.
pub(super) fn list(state: &ApiState, search: &SessionSearch) -> Page<SessionSummary> {
    let mut items = state.parts.live.all();
    items.retain(|session| matches(session, search));
    items.sort_by_key(|session| std::cmp::Reverse(session.id));
    items.truncate(search.limit.map_or(usize::MAX, |limit| limit as usize));
    Page { items, next: None }
}

/// What passed so far, where a session is live: the index learns it at the end.
pub(super) fn refresh(state: &ApiState, session: &mut SessionSummary) {
    if session.state == SessionState::Live
        && let Some(now) = state.parts.live.find(&session.id)
    {
        (session.bytes_in, session.bytes_out) = (now.bytes_in, now.bytes_out);
    }
}

fn matches(session: &SessionSummary, search: &SessionSearch) -> bool {
    let SessionSearch { person, login, target, state, source, since, until, limit: _, after: _ } = search;
    person.as_ref().is_none_or(|person| *person == session.person)
        && login.as_ref().is_none_or(|login| *login == session.login)
        && target.as_ref().is_none_or(|target| *target == session.target)
        && state.is_none_or(|state| state == session.state)
        && source.as_ref().is_none_or(|source| source.contains(session.source.ip()))
        && since.is_none_or(|since| since <= session.started)
        && until.is_none_or(|until| session.started < until)
}

/// The session to end. A whole id is looked up among the live ones alone; the start of one could mean another session, so
/// the index is asked for as long as it can be.
pub(super) async fn by_prefix(state: &ApiState, prefix: &str) -> Result<SessionSummary> {
    let live = &state.parts.live;
    if let Some(session) = prefix.parse().ok().and_then(|id: SessionId| live.find(&id)) {
        return Ok(session);
    }
    let behind = match state.index_is_current().await {
        Ok(()) => return super::by_prefix(state, prefix).await,
        Err(behind) => behind,
    };
    let mut found = live.all();
    found.retain(|session| session.id.to_string().starts_with(prefix));
    match (found.pop(), found.len()) {
        (Some(session), 0) if !prefix.is_empty() => Ok(session),
        (None, _) => Err(behind),
        (Some(_), _) => Err(ApiError::conflict(format!("several live sessions start with {prefix}"))
            .hint("write more of the id; `bartizan session list --state live --json` shows it whole")),
    }
}
