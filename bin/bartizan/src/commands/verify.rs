//! `bartizan log verify`: is the log whole, and are the recordings those that it binds?
//!
//! Works on the data folder alone, with the server running or stopped. What it checks today is said in its
//! output, and so is what it cannot: the Merkle tree and its signed checkpoints.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use aws_lc_rs::digest::{Context as Context256, SHA256};
use bartizan_audit::Reader;
use bartizan_model::event::{Body, Event};
use bartizan_model::{RecordingFile, SessionId, Sha256Hex};
use bartizan_record::{MANIFEST, Manifest, RecordedSession};
use serde::Serialize;

use super::{Context, recordings};
use crate::failure::{Failure, Kind};
use crate::out::cell;

/// What was checked, and what was found.
#[derive(Debug, Default, Serialize)]
struct Report {
    /// Entries that were read.
    events: u64,
    /// Sessions whose recordings were compared with the log.
    recordings: u64,
    /// Files that were compared.
    files: u64,
    /// Sessions that have no end on record: they run, or the server was stopped hard and has not started since.
    open: Vec<SessionId>,
    /// Everything that does not verify.
    faults: Vec<String>,
    /// What this version cannot check.
    not_checked: &'static str,
}

const NOT_CHECKED: &str = "entries against a Merkle tree and signed checkpoints: this log has none yet, so an \
    entry changed together with its bundle is not found";

pub(crate) fn run(context: &Context) -> Result<(), Failure> {
    let report = verify(&context.data)?;
    if context.out.json {
        context.out.value(&report)?;
    } else {
        context.out.text(&text(&report))?;
    }
    match report.faults.len() {
        0 => Ok(()),
        n => Err(Failure::new(Kind::Evidence, format!("the evidence does not verify: {n} faults"))),
    }
}

fn text(report: &Report) -> String {
    let mut lines: Vec<String> = report.faults.iter().map(|fault| format!("FAULT {}", cell(fault))).collect();
    lines.push(format!("{} events read in order, every one whole", report.events));
    lines.push(format!("{} recordings compared with the log, {} files", report.recordings, report.files));
    if !report.open.is_empty() {
        lines.push(format!(
            "{} sessions have no end on record (live?) and were not compared",
            report.open.len()
        ));
    }
    lines.push(format!("not checked: {}", report.not_checked));
    lines.join("\n") + "\n"
}

fn verify(data: &Path) -> Result<Report, Failure> {
    let mut report = Report { not_checked: NOT_CHECKED, ..Report::default() };
    let reader = Reader::open(&data.join("log")).map_err(|e| super::log::unreadable(&e))?;
    let sessions = read_log(&reader, &mut report);
    let root = recordings::folder(data);
    for (id, bound) in &sessions {
        match bound {
            None => report.open.push(*id),
            Some(files) => check_recording(&root, *id, files, &mut report),
        }
    }
    for id in recordings::all(&root)? {
        if !sessions.contains_key(&id) {
            report.faults.push(format!("session {id}: there is a recording, and no session in the log"));
        }
    }
    Ok(report)
}

/// Reads every entry; gives each session that began, with the files that its end binds.
fn read_log(reader: &Reader, report: &mut Report) -> BTreeMap<SessionId, Option<Vec<RecordingFile>>> {
    let mut sessions = BTreeMap::new();
    loop {
        let entries = match reader.read(report.events, 256) {
            Ok(entries) => entries,
            Err(error) => {
                report.faults.push(format!("entry {}: {error}", report.events));
                return sessions;
            }
        };
        if entries.is_empty() {
            return sessions;
        }
        for entry in entries {
            check_entry(entry.index, &entry.bytes, report, &mut sessions);
            report.events += 1;
        }
    }
}

fn check_entry(
    index: u64,
    bytes: &[u8],
    report: &mut Report,
    sessions: &mut BTreeMap<SessionId, Option<Vec<RecordingFile>>>,
) {
    /// What every event has, also one of a type that this version does not know.
    #[derive(serde::Deserialize)]
    struct Common {
        index: Option<u64>,
    }
    if index != report.events {
        report.faults.push(format!("entry {}: the log goes on with entry {index}", report.events));
    }
    match serde_json::from_slice::<Common>(bytes) {
        Ok(Common { index: Some(told) }) if told == index => {}
        Ok(Common { index: told }) => {
            report.faults.push(format!(
                "entry {index}: says that it is entry {}",
                told.map_or("none".into(), |i| i.to_string())
            ));
        }
        Err(error) => report.faults.push(format!("entry {index}: is no event: {error}")),
    }
    let Ok(event) = serde_json::from_slice::<Event>(bytes) else { return };
    match (event.session, event.body) {
        (Some(id), Body::SessionStart { .. }) => {
            sessions.entry(id).or_default();
        }
        // A later end replaces an earlier one: a recording that was closed at a restart is bound by a second.
        (Some(id), Body::SessionEnd { recording, .. }) => {
            sessions.insert(id, Some(recording));
        }
        _ => {}
    }
}

/// Compares the recording of one session with what its `session.end` binds.
fn check_recording(root: &Path, id: SessionId, bound: &[RecordingFile], report: &mut Report) {
    let folder = root.join(id.to_string());
    report.recordings += 1;
    let mut fault = |what: String| report.faults.push(format!("session {id}: {what}"));
    if bound.is_empty() {
        // The session ended before a recording began, or its recording failed; that is on record.
        return;
    }
    for file in bound {
        report.files += 1;
        match digest(&folder.join(&file.name)) {
            Ok((bytes, sha256)) if (bytes, sha256) == (file.bytes, file.sha256) => {}
            Ok((bytes, _)) if bytes != file.bytes => {
                fault(format!("{} has {bytes} bytes, and the log says {}", file.name, file.bytes));
            }
            Ok(_) => fault(format!("{} differs from what the log says", file.name)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                fault(format!("{} is missing", file.name))
            }
            Err(error) => fault(format!("{} cannot be read: {error}", file.name)),
        }
    }
    // Of long recordings the log binds the manifest only, and the manifest binds the rest.
    if let [only] = bound
        && only.name == MANIFEST
    {
        match RecordedSession::open(&folder).and_then(|recording| recording.verify()) {
            Ok(differing) => {
                differing.iter().for_each(|name| fault(format!("{name} differs from the manifest")))
            }
            Err(error) => fault(error.to_string()),
        }
    }
    unbound(&folder, bound, &mut fault);
}

/// Names files in the folder that nothing binds.
fn unbound(folder: &Path, bound: &[RecordingFile], fault: &mut impl FnMut(String)) {
    let manifest: Option<Manifest> =
        RecordedSession::open(folder).ok().and_then(|recording| recording.manifest().cloned());
    let listed = |name: &str| {
        let in_manifest =
            || manifest.iter().flat_map(|manifest| &manifest.files).any(|file| file.name == name);
        bound.iter().any(|file| file.name == name) || in_manifest()
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
