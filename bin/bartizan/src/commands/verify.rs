//! `bartizan log verify`: is the log what was signed, and are the recordings those that it binds?
//!
//! ```text
//!   log.vkey ─► checkpoint ─► root over every entry ─► session.end ─► files of the recording
//! ```
//!
//! Works on the data folder or a copy of it, with the server running or stopped, and trusts nothing in it but
//! the key. An auditor brings their own copy of the key: the one in the folder proves nothing to them.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use aws_lc_rs::digest::{Context as Context256, SHA256};
use bartizan_audit::{Checkpoint, Entry, Reader, VerifierKey};
use bartizan_model::event::{Body, Event};
use bartizan_model::{RecordingFile, SessionId, Sha256Hex, Timestamp};
use bartizan_record::{MANIFEST, MANIFEST_UNFINISHED, Manifest, RecordedSession};
use serde::Serialize;

use super::prove::{self, Signed};
use super::{Context, recordings};
use crate::failure::{Failure, Kind};
use crate::out::{cell, count, note, time};
use crate::progress::Progress;

/// Sessions of the log.
type Sessions = BTreeMap<SessionId, Known>;

/// What the log says of a session's recording.
#[derive(Debug, Default)]
struct Known {
    /// Of a session that ended: the files that its end binds.
    bound: Option<Vec<RecordingFile>>,
    /// When and why retention removed the recording.
    removed: Option<(Timestamp, String)>,
}

/// A recording that retention removed.
#[derive(Debug, Serialize)]
struct Removed {
    session: SessionId,
    at: Timestamp,
    reason: String,
}

/// What was checked, and what was found.
#[derive(Debug, Default, Serialize)]
struct Report {
    /// The checkpoint that was signed; none when it does not verify.
    checkpoint: Option<Signed>,
    /// The checkpoint that the auditor kept, when the log goes on from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Signed>,
    /// Entries that were read.
    events: u64,
    /// Sessions whose recordings were compared with the log.
    recordings: u64,
    /// Files that were compared.
    files: u64,
    /// Recordings that retention removed, by the log.
    removed: Vec<Removed>,
    /// Sessions that have no end on record: they run, or the server was stopped hard and has not started since.
    open: Vec<SessionId>,
    /// Everything that does not verify.
    faults: Vec<String>,
}

pub(crate) fn run(context: &Context, key: Option<&str>, since: Option<&Path>) -> Result<(), Failure> {
    let key = find_key(&context.data, key)?;
    let kept = since.map(|path| prove::kept(path, &key)).transpose()?;
    let report = verify(&context.data, &key, kept.as_ref())?;
    if context.out.json {
        context.out.value(&report)?;
    } else {
        context.out.text(&text(&report))?;
    }
    if report.faults.is_empty() {
        return Ok(());
    }
    let faults = count(report.faults.len() as u64, "fault");
    Err(Failure::new(Kind::Evidence, format!("the evidence does not verify: {faults}")))
}

/// The key that was given, as text or as a file; otherwise the one beside the log.
pub(crate) fn find_key(data: &Path, given: Option<&str>) -> Result<VerifierKey, Failure> {
    if let Some(key) = given.and_then(|given| given.parse().ok()) {
        return Ok(key);
    }
    let Some(path) = given.map(Path::new) else {
        let key = key_beside(data)?;
        note("the key is the one in the data folder; an auditor gives their own copy by --key");
        return Ok(key);
    };
    read_key(path)
}

/// The key in the data folder.
pub(crate) fn key_beside(data: &Path) -> Result<VerifierKey, Failure> {
    read_key(&data.join("keys").join("log.vkey"))
}

fn read_key(path: &Path) -> Result<VerifierKey, Failure> {
    let text = std::fs::read_to_string(path).map_err(|e| {
        Failure::new(Kind::Usage, format!("cannot read the log's public key {}: {e}", path.display()))
            .hint("give the key, or a file with it, by --key")
    })?;
    text.trim().parse().map_err(|e| Failure::new(Kind::Usage, format!("{}: {e}", path.display())))
}

fn text(report: &Report) -> String {
    let mut lines: Vec<String> = report.faults.iter().map(|fault| format!("FAULT {}", cell(fault))).collect();
    if let Some(Signed { origin, size, root }) = &report.checkpoint {
        let events = count(*size, "event");
        lines.push(format!("checkpoint of {} verifies: {events}, root {root}", cell(origin)));
        if report.events > *size {
            lines
                .push(format!("{} behind it: durable, not signed yet", count(report.events - size, "event")));
        }
    }
    lines.push(format!("{} read in order", count(report.events, "event")));
    if let Some(Signed { size, .. }) = &report.since {
        lines.push(format!(
            "the log goes on from the kept checkpoint: its {} are unchanged",
            count(*size, "event")
        ));
    }
    if report.checkpoint.is_none() {
        lines.push("recordings were not compared: the log that binds them does not verify".into());
    } else {
        let (recordings, files) = (count(report.recordings, "recording"), count(report.files, "file"));
        lines.push(format!("{recordings} compared with the log, {files}"));
    }
    if let (Some(first), Some(last)) =
        (report.removed.iter().map(|r| r.at).min(), report.removed.iter().map(|r| r.at).max())
    {
        let removed = count(report.removed.len() as u64, "recording");
        let (first, last) = (time(first), time(last));
        let when = if first == last { format!("on {first}") } else { format!("from {first} to {last}") };
        lines.push(format!("{removed} removed by retention {when} UTC, as the log says"));
    }
    if !report.open.is_empty() {
        let open = count(report.open.len() as u64, "session");
        lines.push(format!("{open} without an end on record (live?), not compared"));
    }
    if report.since.is_none() {
        lines.push(NOT_CHECKED.into());
    }
    lines.join("\n") + "\n"
}

/// What no look at one folder can tell.
const NOT_CHECKED: &str = "not checked: whether the whole folder was taken back to an earlier state; \
    compare with a checkpoint kept elsewhere (log checkpoint, log verify --since)";

fn verify(data: &Path, key: &VerifierKey, kept: Option<&Checkpoint>) -> Result<Report, Failure> {
    let mut report = Report::default();
    let log = data.join("log");
    // A missing folder is no fault of the evidence, but of the question.
    let reader = Reader::open(&log).map_err(|e| super::log::unreadable(&e))?;
    let root = recordings::folder(data);
    // Before the log: a session's start is durable before its recording begins, also of one that starts now.
    let folders = recordings::all(&root)?;
    let Some(sessions) = read_log(&log, &reader, key, kept, &mut report) else { return Ok(report) };
    let mut progress = Progress::new("sessions", sessions.len() as u64);
    for (id, known) in &sessions {
        progress.one();
        if let Some((at, reason)) = &known.removed {
            report.removed.push(Removed { session: *id, at: *at, reason: reason.clone() });
        }
        match &known.bound {
            None => report.open.push(*id),
            Some(files) => check_recording(&root, *id, files, known.removed.is_some(), &mut report),
        }
    }
    for id in folders.into_iter().filter(|id| !sessions.contains_key(id)) {
        report.faults.push(format!("session {id}: there is a recording, and no session in the log"));
    }
    Ok(report)
}

/// Verifies the log; gives its sessions. None when it does not verify: what it says of recordings is not to be
/// believed then.
fn read_log(
    log: &Path,
    reader: &Reader,
    key: &VerifierKey,
    kept: Option<&Checkpoint>,
    report: &mut Report,
) -> Option<Sessions> {
    let mut sessions = Sessions::new();
    // Only for those who wait; whether it can be read is found out below.
    let mut progress = Progress::new("events", reader.head().unwrap_or(0));
    let each = |entry: &Entry| {
        progress.one();
        report.events += 1;
        check_entry(entry, &mut report.faults, &mut sessions);
    };
    let verified = match kept {
        None => bartizan_audit::verify(log, key, each),
        Some(kept) => bartizan_audit::verify_since(log, key, kept, each),
    };
    match verified {
        Ok(verified) => {
            report.checkpoint = Some(Signed::from(&verified.checkpoint));
            report.since = kept.map(Signed::from);
        }
        Err(error) => {
            report.faults.push(error.to_string());
            return None;
        }
    }
    Some(sessions)
}

fn check_entry(entry: &Entry, faults: &mut Vec<String>, sessions: &mut Sessions) {
    if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(&entry.bytes) {
        faults.push(format!("entry {}: is no event: {error}", entry.index));
    }
    // Most events are of no session's start or end, and of no removal: reading those as well takes longer than all the rest.
    let about_recordings = |bytes: &[u8]| bytes == b"\"session." || bytes == b"\"recordin";
    if !entry.bytes.windows(9).any(about_recordings) {
        return;
    }
    // Of events of a later version's types nothing is asked.
    let Ok(event) = serde_json::from_slice::<Event>(&entry.bytes) else { return };
    match (event.session, event.body) {
        (Some(id), Body::SessionStart { .. }) => {
            sessions.entry(id).or_default();
        }
        // A later end replaces an earlier one: a recording that was closed at a restart is bound by a second.
        (Some(id), Body::SessionEnd { recording, .. }) => {
            sessions.entry(id).or_default().bound = Some(recording);
        }
        (Some(id), Body::RecordingRemove { reason, .. }) => {
            sessions.entry(id).or_default().removed = Some((event.time, reason));
        }
        _ => {}
    }
}

/// Compares the recording of one session with what its `session.end` binds. Of a recording that was `removed` nothing
/// need be there, but what is there, because the removal goes on, is what the log says.
fn check_recording(root: &Path, id: SessionId, bound: &[RecordingFile], removed: bool, report: &mut Report) {
    let folder = root.join(id.to_string());
    if removed && !folder.exists() {
        return;
    }
    report.recordings += 1;
    let mut fault = |what: String| report.faults.push(format!("session {id}: {what}"));
    if bound.is_empty() {
        // The session ended before a recording began, or its recording failed; that is on record.
        return;
    }
    for file in bound {
        report.files += 1;
        match digest(&folder.join(name_on_disk(&folder, &file.name))) {
            Ok((bytes, sha256)) if (bytes, sha256) == (file.bytes, file.sha256) => {}
            Ok((bytes, _)) if bytes != file.bytes => {
                fault(format!("{} has {bytes} bytes, and the log says {}", file.name, file.bytes));
            }
            Ok(_) => fault(format!("{} differs from what the log says", file.name)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                if !removed {
                    fault(format!("{} is missing", file.name));
                }
            }
            Err(error) => fault(format!("{} cannot be read: {error}", file.name)),
        }
    }
    // Of long recordings the log binds the manifest only, and the manifest binds the rest.
    if let [only] = bound
        && only.name == MANIFEST
        && !removed
    {
        match RecordedSession::open_closing(&folder).and_then(|recording| recording.verify()) {
            Ok(differing) => {
                differing.iter().for_each(|name| fault(format!("{name} differs from the manifest")))
            }
            Err(error) => fault(error.to_string()),
        }
    }
    if !removed {
        unbound(&folder, bound, &mut fault);
    }
}

/// The name under which a bound file is looked for: when the server ended while it closed a recording that a crash had
/// left, the log binds a manifest already that has its unfinished name.
fn name_on_disk<'a>(folder: &Path, bound: &'a str) -> &'a str {
    let closing = || !folder.join(MANIFEST).exists() && folder.join(MANIFEST_UNFINISHED).exists();
    if bound == MANIFEST && closing() { MANIFEST_UNFINISHED } else { bound }
}

/// Names files in the folder that nothing binds.
fn unbound(folder: &Path, bound: &[RecordingFile], fault: &mut impl FnMut(String)) {
    let manifest: Option<Manifest> =
        RecordedSession::open_closing(folder).ok().and_then(|recording| recording.manifest().cloned());
    let listed = |name: &str| {
        let in_manifest =
            || manifest.iter().flat_map(|manifest| &manifest.files).any(|file| file.name == name);
        bound.iter().any(|file| name_on_disk(folder, &file.name) == name) || in_manifest()
    };
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !listed(&name) {
            fault(format!("{name} is in the folder, and the log does not know it"));
        }
    }
}

/// Length and SHA-256 of a file.
fn digest(path: &Path) -> std::io::Result<(u64, Sha256Hex)> {
    let mut file = std::fs::File::open(path)?;
    let mut context = Context256::new(&SHA256);
    let (mut buffer, mut bytes) = (vec![0; 128 << 10], 0);
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            n => {
                context.update(&buffer[..n]);
                bytes += n as u64;
            }
        }
    }
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(context.finish().as_ref());
    Ok((bytes, Sha256Hex(sha256)))
}

#[cfg(test)]
mod tests;
