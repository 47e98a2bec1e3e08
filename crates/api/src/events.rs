//! `/v1/events` and `/v1/log/reads`: searching and following the audit log.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::Json;
use axum::body::{Body as HttpBody, Bytes};
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{ConnectInfo, Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bartizan_audit::Reader;
use bartizan_model::api::{EventSearch, IndexStatus, LogReading, Page};
use bartizan_model::event::{Body, Severity};
use bartizan_store::{EventQuery, IndexStore as _, InvalidSearch, Order};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::{mpsc, watch};

use crate::error::{ApiError, Result};
use crate::peer::Peer;
use crate::state::ApiState;

type WithState = State<Arc<ApiState>>;

/// Most entries that are read at once for a follower.
const FOLLOW_BATCH: usize = 256;

pub(crate) async fn search(
    State(state): WithState,
    ConnectInfo(peer): ConnectInfo<Peer>,
    search: std::result::Result<Query<EventSearch>, QueryRejection>,
) -> Result<Json<Page<Box<RawValue>>>> {
    let Query(search) = search?;
    state.append(state.event(Body::LogRead { query: describe(&search, peer) })).await?;
    state.index_is_current().await?;
    let page = state.parts.store.events(&query(search)?).await?;
    let raw = |json: String| {
        RawValue::from_string(json)
            .map_err(|_| ApiError::unavailable("the index holds an event that is no JSON"))
    };
    let items = page.items.into_iter().map(|event| raw(event.json)).collect::<Result<_>>()?;
    Ok(Json(Page { items, next: page.next }))
}

/// The search as the log tells it: its filters, and who searched.
fn describe(search: &EventSearch, peer: Peer) -> String {
    let filters = serde_json::to_value(search).unwrap_or_default();
    let filters =
        filters.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null() && **value != false);
    let mut words: Vec<String> = vec![peer.to_string()];
    words.extend(filters.map(|(name, value)| format!("{name}={value}")));
    let text = words.join(" ");
    text[..text.floor_char_boundary(4096)].to_owned()
}

fn query(search: EventSearch) -> Result<EventQuery> {
    let text = search.text.filter(|text| !text.is_empty()).map(|text| text.parse()).transpose();
    Ok(EventQuery {
        kind: search
            .kind
            .map(|kind| kind.strip_suffix(".*").map(|group| format!("{group}.")).unwrap_or(kind)),
        person: search.person,
        login: search.login,
        target: search.target,
        session: search.session,
        source: search.source,
        severity: search.severity,
        outcome: search.outcome,
        since: search.since,
        until: search.until,
        text: text.map_err(|why: InvalidSearch| ApiError::invalid(why.to_string()))?,
        order: if search.oldest_first { Order::OldestFirst } else { Order::NewestFirst },
        after: search.after,
        limit: search.limit,
    })
}

/// Notes that the log is read as a whole, by means that the server does not see.
pub(crate) async fn read(
    State(state): WithState,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: std::result::Result<Json<LogReading>, JsonRejection>,
) -> Result<Json<()>> {
    let Json(LogReading { query }) = body?;
    let query = query[..query.floor_char_boundary(1024)].to_owned();
    state.append(state.event(Body::LogRead { query: format!("{peer} {query}") })).await?;
    Ok(Json(()))
}

pub(crate) async fn index(State(state): WithState) -> Json<IndexStatus> {
    Json(state.index_status())
}

/// Drops the index and makes it again from the log. It decides nothing, so nothing waits for it but searches.
pub(crate) async fn rebuild_index(
    State(state): WithState,
    ConnectInfo(peer): ConnectInfo<Peer>,
) -> Result<Json<IndexStatus>> {
    let mut event = state.event(Body::LogReindex { by: peer.to_string() });
    event.severity = Severity::Notice;
    state.append(event).await?;
    state.rebuild_index().await?;
    Ok(Json(state.index_status()))
}

#[derive(Debug, Deserialize)]
pub(crate) struct Follow {
    /// How many of the last events come first.
    #[serde(default)]
    last: u64,
    /// Whether to wait for more.
    #[serde(default)]
    wait: bool,
}

/// Events as lines of JSON, as they become durable. Read from the log, not from the index. Where that cannot be read, the
/// last line is an [`ErrorReply`](bartizan_model::api::ErrorReply), and the body breaks off.
pub(crate) async fn follow(
    State(state): WithState,
    ConnectInfo(peer): ConnectInfo<Peer>,
    follow: std::result::Result<Query<Follow>, QueryRejection>,
) -> Result<Response> {
    let Query(Follow { last, wait }) = follow?;
    let until = state.parts.log.head();
    state.append(state.event(Body::LogRead { query: format!("{peer} tail") })).await?;
    // Two batches: the reader stays ahead of a slow client by no more than that.
    let (lines, receiver) = mpsc::channel(2);
    let follower = Follower {
        reader: Arc::new(state.parts.log.reader()),
        head: state.parts.log.subscribe(),
        next: until.saturating_sub(last),
        until: (!wait).then_some(until),
        stopping: state.stopping().subscribe(),
        lines,
    };
    tokio::spawn(follower.run());
    let body = HttpBody::new(ChannelBody::new(receiver));
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

/// Sends entries until the client goes, the server stops, or the end that was asked for is reached.
struct Follower {
    reader: Arc<Reader>,
    head: watch::Receiver<u64>,
    next: u64,
    until: Option<u64>,
    stopping: watch::Receiver<bool>,
    lines: mpsc::Sender<io::Result<Bytes>>,
}

impl Follower {
    async fn run(mut self) {
        loop {
            let head = self.until.unwrap_or(*self.head.borrow_and_update());
            while self.next < head {
                let batch = match self.batch(head).await {
                    Ok(batch) => batch,
                    Err(why) => return self.break_off(&why).await,
                };
                if self.lines.send(Ok(batch)).await.is_err() {
                    return;
                }
            }
            if self.until.is_some() {
                return;
            }
            tokio::select! {
                changed = self.head.changed() => if changed.is_err() { return },
                _ = self.stopping.wait_for(|&stopping| stopping) => return,
                () = self.lines.closed() => return,
            }
        }
    }

    async fn batch(&mut self, head: u64) -> std::result::Result<Bytes, String> {
        let (reader, next) = (self.reader.clone(), self.next);
        let most = usize::try_from(head - next).unwrap_or(FOLLOW_BATCH).min(FOLLOW_BATCH);
        let read = tokio::task::spawn_blocking(move || reader.read(next, most)).await;
        let entries = read.map_err(|e| e.to_string())?.map_err(|e| e.to_string())?;
        if entries.is_empty() {
            return Err("it is not there".into());
        }
        let mut lines = Vec::new();
        for entry in entries {
            self.next = entry.index + 1;
            lines.extend_from_slice(&entry.bytes);
            lines.push(b'\n');
        }
        Ok(lines.into())
    }

    /// Ends with why, as a line and in the way the body ends: what looks whole must be.
    async fn break_off(self, why: &str) {
        let error = format!("the audit log cannot be read from entry {} on: {why}", self.next);
        tracing::error!(error, "somebody who reads it was cut off");
        let reply =
            ApiError::unavailable(&error).hint("`bartizan log verify` finds all that is wrong with it");
        if let Ok(mut line) = serde_json::to_vec(&reply.into_reply()) {
            line.push(b'\n');
            // One who is gone needs no reason.
            let _ = self.lines.send(Ok(line.into())).await;
        }
        let _ = self.lines.send(Err(io::Error::other(error))).await;
    }
}

/// A body that comes out of a channel. After an error in it the client finds that it is not whole.
pub(crate) struct ChannelBody {
    lines: mpsc::Receiver<io::Result<Bytes>>,
    failed: Option<io::Error>,
}

impl ChannelBody {
    pub(crate) const fn new(lines: mpsc::Receiver<io::Result<Bytes>>) -> Self {
        Self { lines, failed: None }
    }
}

impl http_body::Body for ChannelBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<http_body::Frame<Bytes>>>> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Some(Err(error)));
        }
        match ready!(self.lines.poll_recv(context)) {
            Some(Err(error)) => {
                // The server drops what it has not sent when a body fails: it gets a turn to send that first.
                self.failed = Some(error);
                context.waker().wake_by_ref();
                Poll::Pending
            }
            lines => Poll::Ready(lines.map(|lines| lines.map(http_body::Frame::data))),
        }
    }
}
