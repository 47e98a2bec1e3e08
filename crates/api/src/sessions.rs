//! `/v1/sessions`.

mod live;

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{ConnectInfo, Path, Query, State};
use bartizan_model::api::{
    ChannelDetail, Page, RecordingReading, SessionDetail, SessionSearch, SessionTermination, UpstreamDetail,
};
use bartizan_model::event::{Body, Event, Severity};
use bartizan_model::{PermissionSet, Recording, SessionState, SessionSummary, escape};
use bartizan_store::{EventQuery, IndexStore as _, Order, RecordKind, SessionQuery, StoreError};

use crate::error::{ApiError, Result};
use crate::peer::Peer;
use crate::state::ApiState;

type WithState = State<Arc<ApiState>>;

/// Most channels that the details of a session show.
const MAX_CHANNELS: usize = 10_000;
/// Longest reason that a person is told, in bytes.
const MAX_REASON_BYTES: usize = 256;

pub(crate) async fn list(
    State(state): WithState,
    search: std::result::Result<Query<SessionSearch>, QueryRejection>,
) -> Result<Json<Page<SessionSummary>>> {
    let Query(search) = search?;
    match state.index_is_current().await {
        // Whoever must end a session finds it also where no index can be written.
        Err(_) if search.state == Some(SessionState::Live) => return Ok(Json(live::list(&state, &search))),
        current => current?,
    }
    let SessionSearch { person, login, target, state: in_state, source, since, until, limit, after } = search;
    let query = SessionQuery {
        id_prefix: None,
        person,
        login,
        target,
        state: in_state,
        source,
        since,
        until,
        after,
        limit,
    };
    let mut page = state.parts.store.sessions(&query).await?;
    page.items.iter_mut().for_each(|session| live::refresh(&state, session));
    Ok(Json(Page { items: page.items, next: page.next }))
}

pub(crate) async fn show(State(state): WithState, Path(prefix): Path<String>) -> Result<Json<SessionDetail>> {
    let mut session = by_prefix(&state, &prefix).await?;
    live::refresh(&state, &mut session);
    detail(&state, session).await.map(Json)
}

/// Notes that a recording is about to be read, and tells whose.
pub(crate) async fn read(
    State(state): WithState,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(prefix): Path<String>,
    body: std::result::Result<Json<RecordingReading>, JsonRejection>,
) -> Result<Json<SessionSummary>> {
    let Json(RecordingReading { how }) = body?;
    let session = by_prefix(&state, &prefix).await?;
    let how = format!("{} by {peer}", &how[..how.floor_char_boundary(256)]);
    let mut event = state.event(Body::RecordingRead { how });
    event.session = Some(session.id);
    event.target = Some(session.target.clone());
    event.login = Some(session.login.clone());
    state.append(event).await?;
    Ok(Json(session))
}

/// Ends a live session: the event is durable before anything ends.
pub(crate) async fn terminate(
    State(state): WithState,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(prefix): Path<String>,
    body: std::result::Result<Json<SessionTermination>, JsonRejection>,
) -> Result<Json<SessionSummary>> {
    let Json(SessionTermination { reason }) = body?;
    let reason = escape(&reason.as_bytes()[..reason.floor_char_boundary(MAX_REASON_BYTES)]);
    let session = live::by_prefix(&state, &prefix).await?;
    let over = || {
        ApiError::conflict(format!("session {} is not live", session.id))
            .hint("`bartizan session list --state live` shows those that are")
    };
    if state.parts.live.find(&session.id).is_none() {
        return Err(over());
    }
    let mut event = state.event(Body::SessionTerminate { reason: reason.clone(), by: peer.to_string() });
    event.severity = Severity::Notice;
    event.session = Some(session.id);
    event.person = Some(session.person.clone());
    event.target = Some(session.target.clone());
    event.login = Some(session.login.clone());
    state.append(event).await?;
    if state.parts.live.terminate(&session.id, &reason) { Ok(Json(session)) } else { Err(over()) }
}

/// The one session whose id starts with `prefix`.
async fn by_prefix(state: &ApiState, prefix: &str) -> Result<SessionSummary> {
    state.index_is_current().await?;
    let query =
        SessionQuery { id_prefix: Some(prefix.to_owned()), limit: Some(2), ..SessionQuery::default() };
    let mut found = state.parts.store.sessions(&query).await?.items;
    match (found.pop(), found.len()) {
        (Some(session), 0) if !prefix.is_empty() => Ok(session),
        (None, _) => {
            Err(StoreError::NotFound { record: RecordKind::Session, name: prefix.to_owned() }.into())
        }
        (Some(_), _) => Err(ApiError::conflict(format!("several sessions start with {prefix}"))
            .hint("write more of the id; `bartizan session list --json` shows it whole")),
    }
}

async fn detail(state: &ApiState, session: SessionSummary) -> Result<SessionDetail> {
    let mut detail = SessionDetail {
        allow: PermissionSet::default(),
        record: Recording::default(),
        client: String::new(),
        upstream: None,
        channels: Vec::new(),
        recording: Vec::new(),
        session,
    };
    let mut query =
        EventQuery { session: Some(detail.session.id), order: Order::OldestFirst, ..EventQuery::default() };
    loop {
        let page = state.parts.store.events(&query).await?;
        for event in &page.items {
            // An event of a type that a later version wrote says nothing to this one.
            if let Ok(event) = serde_json::from_str::<Event>(&event.json) {
                take(&mut detail, event);
            }
        }
        match page.next {
            Some(next) => query.after = Some(next),
            None => return Ok(detail),
        }
    }
}

/// Adds what one event tells.
fn take(detail: &mut SessionDetail, event: Event) {
    match event.body {
        Body::SessionStart { allow, channel_cap, input, client, .. } => {
            (detail.allow, detail.client) = (allow, client);
            detail.record = Recording { channel_cap, input };
        }
        Body::UpstreamConnect { address, host_key, verified, credential, server } => {
            detail.upstream = Some(UpstreamDetail { address, host_key, verified, credential, server });
        }
        Body::ChannelOpen { channel, kind, reason, .. } => {
            if let Some(of) = channel_of(detail, channel) {
                (of.kind, of.refused) = (kind, reason);
            }
        }
        Body::ChannelRequest { channel, request, reason, .. } => {
            if let (Some(of), "pty-req", None) = (channel_of(detail, channel), request.as_str(), reason) {
                of.pty = true;
            }
        }
        Body::Command { channel, request, command, pty, .. } => {
            if let Some(of) = channel_of(detail, channel) {
                (of.request, of.pty) = (Some(request), pty);
                of.command = Some(command).filter(|command| !command.is_empty());
            }
        }
        // A console has one channel, and many commands: those are in the log.
        Body::ConsoleCommand { .. } => {
            if let Some(of) = channel_of(detail, 0) {
                of.request = Some("console".to_owned());
            }
        }
        Body::ChannelClose { channel, kind, input, output, error, exit_status, exit_signal, duration_us } => {
            if let Some(of) = channel_of(detail, channel) {
                (of.kind, of.exit_status, of.exit_signal) = (kind, exit_status, exit_signal);
                (of.input, of.output, of.error) = (Some(input), Some(output), Some(error));
                of.duration_us = Some(duration_us);
            }
        }
        Body::SessionEnd { recording, .. } => detail.recording = recording,
        _ => {}
    }
}

/// The channel with this ordinal, new if it was not there; none beyond what is shown.
fn channel_of(detail: &mut SessionDetail, channel: u32) -> Option<&mut ChannelDetail> {
    let channels = &mut detail.channels;
    let at = match channels.binary_search_by_key(&channel, |known| known.channel) {
        Ok(at) => at,
        Err(_) if channels.len() >= MAX_CHANNELS => return None,
        Err(at) => {
            channels.insert(at, ChannelDetail { channel, ..ChannelDetail::default() });
            at
        }
    };
    channels.get_mut(at)
}
