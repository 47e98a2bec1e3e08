//! `/v1/directory`: the whole directory as one TOML file.
//!
//! ```text
//!   text ──file──► File ──plan (with a snapshot)──► Plan ─┬─ diff, for people
//!    every fault with its place                           ├─ events: of each record, then the whole
//!   snapshot ──export──► text                             └─ one transaction
//! ```
//!
//! A file is taken whole or not at all. What it does not have stays, unless pruning is asked for. Secrets are in no file:
//! stored credentials stay as they are, but those of a target that is pruned go with it, and are told.

mod diff;
mod export;
mod file;
mod place;
mod plan;
mod table;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;

use axum::body::{Body as HttpBody, Bytes};
use axum::extract::rejection::{QueryRejection, StringRejection};
use axum::extract::{ConnectInfo, Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use bartizan_audit::{Logged, Pending, Urgency};
use bartizan_model::api::{
    ApplyLine, ApplyOptions, ApplyProgress, ApplyReport, DiffOp, FileFault, RecordDiff,
};
use bartizan_model::{DirectoryData, Fingerprint, Timestamp};
use bartizan_store::{DirectoryStore as _, Store, StoreError, Write};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use self::diff::Change;
use self::file::File;
use self::place::Places;
use self::plan::Plan;
use crate::error::{ApiError, Result};
use crate::events::ChannelBody;
use crate::evidence::{Description, unmade};
use crate::own_cas;
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
    let body = HttpBody::new(ChannelBody::new(receiver));
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

/// Tells the caller how far it is. A caller who hung up hears nothing, and nothing stops for that.
struct Teller(mpsc::Sender<io::Result<Bytes>>);

impl Teller {
    async fn tell(&self, line: &ApplyLine) {
        if let Ok(mut line) = serde_json::to_vec(line) {
            line.push(b'\n');
            let _ = self.0.send(Ok(line.into())).await;
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
    let (prune, now, shared) = (options.prune, Timestamp::now(), state.clone());
    let planned = tokio::task::spawn_blocking(move || {
        let plan = planned(&before, &text, &parse, prune, now);
        plan.map(|plan| fits(&shared, peer, &plan).map(|()| plan))
    });
    let plan = match planned.await.map_err(broke_off)? {
        Ok(plan) => plan?,
        Err(faults) => return Ok(ApplyLine::Refused(faults)),
    };
    own_cas::refuse_own(state, plan.writes.iter().filter_map(new_ca))?;
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

/// The CA that is trusted from then on.
const fn new_ca(write: &Write) -> Option<Fingerprint> {
    match write {
        Write::Ca(ca) => Some(ca.fingerprint),
        _ => None,
    }
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

/// Refuses what the log cannot take, before any of it is logged.
fn fits(state: &ApiState, peer: Peer, plan: &Plan) -> Result<()> {
    for change in &plan.changes {
        described(change).telling(state, peer).check(state).map_err(|error| {
            let RecordDiff { record, name, .. } = &change.diff;
            let what = "does not fit the audit log, so nothing was done";
            ApiError::invalid(format!("{record} {name} {what}: {error}")).hint("make its texts shorter")
        })?;
    }
    Ok(())
}

/// What the log says about one record.
fn described(change: &Change) -> Description {
    let action = match change.diff.op {
        DiffOp::Add => "add",
        DiffOp::Change => "change",
        DiffOp::Remove => "remove",
    };
    Description::new(action, &change.diff.record, &change.diff.name, change.value.clone())
}

/// Evidence before effect: the events of each record, then one for the whole, whose receipt the transaction needs.
/// What was logged and is not made is marked by another for the whole.
async fn make(
    state: &Arc<ApiState>,
    peer: Peer,
    generation: u64,
    plan: &Plan,
    report: &ApplyReport,
    teller: &Teller,
) -> Result<()> {
    let whole = |value| Description::new("apply", "directory", format!("generation {generation}"), value);
    let told = json!({ "added": report.added, "changed": report.changed, "removed": report.removed });
    let failed = async |error: String| {
        let value = json!({ "error": error, "changed": "nothing" });
        whole(Value::Null).failed(state, peer, value).await
    };
    let logged = async {
        log_each(state, peer, plan, teller).await?;
        teller.progress("writing the directory", plan.changes.len(), plan.changes.len()).await;
        whole(told).telling(state, peer).log(state, plan.writes.clone()).await
    };
    let logged = match logged.await {
        Ok(logged) => logged,
        Err(error) => {
            unmade(failed(error.to_string()).await);
            return Err(error);
        }
    };
    if let Err(error) = write_all(&state.parts.store, generation, logged).await {
        failed(error.to_string()).await?;
        return Err(error.into());
    }
    state.in_force().await
}

async fn log_each(state: &ApiState, peer: Peer, plan: &Plan, teller: &Teller) -> Result<()> {
    let mut waiting = Vec::with_capacity(BATCH);
    for (n, change) in plan.changes.iter().enumerate() {
        if n % BATCH == 0 {
            teller.progress("logging the changes", n, plan.changes.len()).await;
        }
        for event in described(change).telling(state, peer).into_events() {
            waiting.push(state.parts.log.submit_as(event, Urgency::Emergency)?);
            if waiting.len() == BATCH {
                durable(&mut waiting).await?;
            }
        }
    }
    durable(&mut waiting).await
}

async fn durable(waiting: &mut Vec<Pending>) -> Result<()> {
    for event in waiting.drain(..) {
        event.await?;
    }
    Ok(())
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
