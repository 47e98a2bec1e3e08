//! What no checkpoint held when the process before ended, so that the disk alone vouches for it.
//!
//! ```text
//!   entries, signed ──► entries behind the checkpoint ──► log.unsigned names them ──► a checkpoint holds all of it
//!                       a recording.remove among them ──► recording.kept, recording.gone: it counts for nothing
//! ```
//!
//! The journal's checksums have no key: whoever can write to the disk of a stopped server can add entries to it, and
//! the next checkpoint signs them. So it is on record first which those were. That a recording was removed would
//! excuse that it is gone, and have what is left of it removed; so it is withdrawn. Retention decides anew, and a recording
//! that is not whole any more stays a fault.

use std::collections::BTreeMap;
use std::fs;

use bartizan_audit::{Log, Reader, Recovery, Urgency};
use bartizan_model::event::{Body, Event, Outcome, RECORDING_GONE, RECORDING_KEPT, Severity};
use bartizan_model::{NodeId, SessionId, Timestamp};
use bartizan_record::{RecordedSession, Recordings};

use crate::failure::Failure;
use crate::note::note;

/// So many entries are read at once.
const AT_ONCE: u64 = 256;

/// Puts on record what `recovery` found behind the checkpoint, and has the log publish checkpoints then. Nothing may have
/// been removed yet.
///
/// # Errors
/// When an event cannot be logged.
pub(crate) async fn tell(
    log: &Log,
    node: &NodeId,
    recordings: &Recordings,
    recovery: &Recovery,
) -> Result<(), Failure> {
    let (signed, head) = (recovery.signed, recovery.head);
    if signed < head {
        let last = head - 1;
        tracing::warn!("the server ended before entries {signed} to {last} of the audit log were signed");
        let detail = format!("entries {signed} to {last} were in no checkpoint when the server ended");
        note(log, node, Body::Anomaly { what: "log.unsigned".into(), detail }).await?;
        let (reader, recordings) = (log.reader(), recordings.clone());
        let found = tokio::task::spawn_blocking(move || removals(&reader, &recordings, signed, head)).await;
        withdraw(log, node, found.map_err(Failure::new)?).await?;
    }
    log.publish();
    Ok(())
}

/// Makes durable that removals count for nothing, with whether each recording was whole.
async fn withdraw(log: &Log, node: &NodeId, removals: BTreeMap<SessionId, bool>) -> Result<(), Failure> {
    let mut pending = Vec::new();
    for (session, whole) in removals {
        let (what, severity, outcome, rest) = match whole {
            true => (RECORDING_KEPT, Severity::Notice, Outcome::Success, "the recording stays"),
            false => (RECORDING_GONE, Severity::High, Outcome::Failure, "files of the recording are gone"),
        };
        tracing::warn!(%session, "the removal of a recording was not signed when the server ended: {rest}");
        let detail =
            format!("its removal was in no checkpoint when the server ended, and counts for nothing: {rest}");
        let body = Body::Anomaly { what: what.into(), detail };
        let event = Event::new(node, Timestamp::now(), body);
        let event = Event { session: Some(session), severity, outcome, ..event };
        pending.push(log.submit_as(event, Urgency::Closing).map_err(Failure::new)?);
    }
    for pending in pending {
        pending.await.map_err(Failure::new)?;
    }
    Ok(())
}

/// Sessions with a removal among the entries from `from` to `head` that is not withdrawn, and whether their recordings are
/// whole.
fn removals(reader: &Reader, recordings: &Recordings, mut from: u64, head: u64) -> BTreeMap<SessionId, bool> {
    let mut removals = BTreeMap::new();
    while from < head {
        let entries = match reader.read(from, AT_ONCE as usize) {
            Ok(entries) => entries,
            Err(error) => {
                tracing::error!("entries behind the checkpoint cannot be read: {error}");
                Vec::new()
            }
        };
        from = entries.last().map_or((from / AT_ONCE + 1) * AT_ONCE, |last| last.index + 1);
        for event in entries.iter().filter(|entry| entry.index < head).filter_map(|entry| entry.event().ok())
        {
            let Some(session) = event.session else { continue };
            match event.body {
                Body::RecordingRemove { .. } => drop(removals.insert(session, whole(recordings, session))),
                body if body.withdraws_removal() => drop(removals.remove(&session)),
                _ => {}
            }
        }
    }
    removals
}

/// Whether a recording is closed, and has all files that its manifest lists, as long as it says.
fn whole(recordings: &Recordings, session: SessionId) -> bool {
    let folder = recordings.folder(session);
    let Ok(recording) = RecordedSession::open(&folder) else { return false };
    recording.manifest().is_some_and(|manifest| {
        manifest.files.iter().all(|file| {
            fs::symlink_metadata(folder.join(&file.name)).is_ok_and(|found| found.len() == file.bytes)
        })
    })
}

#[cfg(test)]
mod tests;
