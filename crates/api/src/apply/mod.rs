//! `/v1/directory`: the whole directory as one TOML file.
//!
//! ```text
//!   text ──file──► File ──plan (with a snapshot)──► Plan ─┬─ diff, for people
//!    every fault with its place                           ├─ events: one a record, then the whole
//!   snapshot ──export──► text                             └─ one transaction
//! ```
//!
//! A file is taken whole or not at all. What it does not have stays, unless pruning is asked for. Nothing here
//! touches stored credentials: secrets are in no file.

mod diff;
mod export;
mod file;
mod place;
mod plan;
mod table;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::body::{Body as HttpBody, Bytes};
use axum::extract::rejection::{QueryRejection, StringRejection};
use axum::extract::{ConnectInfo, Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use bartizan_audit::{Logged, Urgency};
use bartizan_model::api::{ApplyLine, ApplyOptions, ApplyProgress, ApplyReport, DiffOp, FileFault};
use bartizan_model::event::{Body, Event, Outcome, Severity};
use bartizan_model::{DirectoryData, Timestamp};
use bartizan_store::{DirectoryStore as _, Store, StoreError, Write};
use serde_json::json;
use tokio::sync::mpsc;

use self::file::File;
use self::place::Places;
use self::plan::Plan;
use crate::error::{ApiError, Result};
use crate::events::ChannelBody;
use crate::peer::Peer;
use crate::state::ApiState;

/// Longest file: some 100,000 people and targets.
pub(crate) const MAX_FILE_BYTES: usize = 64 << 20;
/// How many faults of a file are told.
const MAX_FAULTS: usize = 100;
/// How many events are on their way to the disk at a time.
const BATCH: usize = 512;

type WithState = State<Arc<ApiState>>;

/// The directory as a file.
pub(crate) async fn write(State(state): WithState) -> Result<Response> {
    let data = state.parts.store.snapshot().await?;
    let text = tokio::task::spawn_blocking(move || export::export(&data)).await.map_err(broke_off)?;
    Ok(([(CONTENT_TYPE, "application/toml")], text).into_response())
}

/// Makes the directory as a file says. Answers in lines: how far it is, then how it ended.
pub(crate) async fn apply(
    State(state): WithState,
    ConnectInfo(peer): ConnectInfo<Peer>,
    options: std::result::Result<Query<ApplyOptions>, QueryRejection>,
    text: std::result::Result<String, StringRejection>,
) -> Result<Response> {
    let Query(options) = options?;
    let text = text.map_err(|e| ApiError::new(e.status(), e.body_text()))?;
    let (lines, receiver) = mpsc::channel(2);
    // Goes on to the end even when the caller hangs up, as every change does.
    tokio::spawn(async move {
        let teller = Teller(lines);
        let last = match run(&state, peer, options, text, &teller).await {
            Ok(last) => last,
            Err(error) => ApplyLine::Failed(error.into_reply()),
        };
        teller.tell(&last).await;
    });
    let body = HttpBody::new(ChannelBody(receiver));
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

/// Tells the caller how far it is. A caller who hung up hears nothing, and nothing stops for that.
struct Teller(mpsc::Sender<Bytes>);

impl Teller {
    async fn tell(&self, line: &ApplyLine) {
        if let Ok(mut line) = serde_json::to_vec(line) {
            line.push(b'\n');
            let _ = self.0.send(line.into()).await;
        }
    }

    async fn progress(&self, stage: &str, done: usize, of: usize) {
        let (done, of) = (done as u64, of as u64);
        self.tell(&ApplyLine::Progress(ApplyProgress { stage: stage.into(), done, of })).await;
    }
}

async fn run(
    state: &Arc<ApiState>,
    peer: Peer,
    options: ApplyOptions,
    text: String,
    teller: &Teller,
) -> Result<ApplyLine> {
    teller.progress("reading the file", 0, 1).await;
    let before = state.parts.store.snapshot().await?;
    let generation = before.generation;
    let parse = state.parts.parse_key.clone();
    let (prune, now) = (options.prune, Timestamp::now());
    let planned = tokio::task::spawn_blocking(move || planned(&before, &text, &parse, prune, now));
    let plan = match planned.await.map_err(broke_off)? {
        Ok(plan) => plan,
        Err(faults) => return Ok(ApplyLine::Refused(faults)),
    };
    let count = |op| plan.changes.iter().filter(|change| change.diff.op == op).count() as u64;
    let mut report = ApplyReport {
        dry_run: options.dry_run,
        added: count(DiffOp::Add),
        changed: count(DiffOp::Change),
        removed: count(DiffOp::Remove),
        kept: plan.kept,
        changes: Vec::new(),
    };
    if !options.dry_run && !plan.changes.is_empty() {
        make(state, peer, generation, &plan, &report, teller).await?;
    }
    report.changes = plan.changes.into_iter().map(|change| change.diff).collect();
    Ok(ApplyLine::Done(report))
}

/// Reads and plans: work for a thread of its own.
fn planned(
    before: &DirectoryData,
    text: &str,
    parse: &crate::KeyParser,
    prune: bool,
    now: Timestamp,
) -> std::result::Result<Plan, Vec<FileFault>> {
    let plan = File::read(text, parse).and_then(|file| plan::plan(before, file, prune, now));
    plan.map_err(|mut faults| {
        faults.sort_by_key(|fault| fault.at);
        let places = Places::of(text);
        faults.iter().take(MAX_FAULTS).map(|fault| places.show(fault)).collect()
    })
}

/// Evidence before effect: an event for each record, then one for the whole, whose receipt the transaction needs.
async fn make(
    state: &Arc<ApiState>,
    peer: Peer,
    generation: u64,
    plan: &Plan,
    report: &ApplyReport,
    teller: &Teller,
) -> Result<()> {
    let of = plan.changes.len();
    for (n, batch) in plan.changes.chunks(BATCH).enumerate() {
        teller.progress("logging the changes", n * BATCH, of).await;
        let mut logged = Vec::with_capacity(batch.len());
        for change in batch {
            let action = match change.diff.op {
                DiffOp::Add => "add",
                DiffOp::Change => "change",
                DiffOp::Remove => "remove",
            };
            let body = Body::DirectoryChange {
                action: action.into(),
                record: change.diff.record.clone(),
                name: change.diff.name.clone(),
                value: change.value.clone(),
                by: peer.to_string(),
            };
            logged.push(state.parts.log.submit_as(noticed(state, body), Urgency::Emergency)?);
        }
        for event in logged {
            event.await?;
        }
    }
    teller.progress("writing the directory", of, of).await;
    let whole = |value| Body::DirectoryChange {
        action: "apply".into(),
        record: "directory".into(),
        name: format!("generation {generation}"),
        value,
        by: peer.to_string(),
    };
    let told = json!({ "added": report.added, "changed": report.changed, "removed": report.removed });
    let log = &state.parts.log;
    let logged = log.append_as(noticed(state, whole(told)), Urgency::Emergency, plan.writes.clone()).await?;
    if let Err(error) = write_all(&state.parts.store, generation, logged).await {
        let told = json!({ "error": error.to_string(), "changed": "nothing" });
        let mut event = state.event(whole(told));
        (event.severity, event.outcome) = (Severity::Warning, Outcome::Failure);
        state.append(event).await?;
        return Err(error.into());
    }
    Ok(())
}

fn noticed(state: &ApiState, body: Body) -> Event {
    Event { severity: Severity::Notice, ..state.event(body) }
}

async fn write_all(
    store: &Store,
    generation: u64,
    writes: Logged<Vec<Write>>,
) -> std::result::Result<(), StoreError> {
    store.write_all(generation, writes.into_inner()).await
}

fn broke_off(error: tokio::task::JoinError) -> ApiError {
    tracing::error!(%error, "work on the directory file broke off");
    ApiError::unavailable("it broke off inside the server").hint("see the server's log")
}
