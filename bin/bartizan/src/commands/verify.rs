//! `bartizan log verify`: is the log what was signed, and are the recordings those that it binds?
//!
//! ```text
//!   log.vkey ─► checkpoint ─► root over every entry ─► session.end ─► files of the recording
//! ```
//!
//! Works on the data folder or a copy of it, with the server running or stopped, and trusts nothing in it but
//! the key. An auditor brings their own copy of the key: the one in the folder proves nothing to them.

mod compare;
mod said;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use bartizan_audit::{Checkpoint, Entry, Reader, VerifierKey};
use bartizan_model::{SessionId, Timestamp};
use serde::Serialize;

use self::compare::compare;
use self::said::{Said, Sessions};
use super::prove::{self, Signed};
use super::{Context, recordings};
use crate::failure::{Failure, Kind};
use crate::out::{cell, count, note, time};
use crate::progress::Progress;

/// A recording that retention removed.
#[derive(Debug, Serialize)]
struct Removed {
    session: SessionId,
    #[serde(rename = "time")]
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
    /// Sessions whose recording is bound by an entry that is not signed yet, so that only the disk vouches for it.
    unsigned: Vec<SessionId>,
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
    if !report.unsigned.is_empty() {
        let sessions = count(report.unsigned.len() as u64, "session");
        lines
            .push(format!("{sessions} with an end that is not signed yet: compared, but verify again later"));
    }
    if report.since.is_none() {
        lines.push(NOT_CHECKED.into());
    }
    lines.join("\n") + "\n"
}

/// What no look at one folder can tell.
const NOT_CHECKED: &str = "not checked: whether the whole folder was taken back to an earlier state; \
    compare with a checkpoint kept elsewhere (log checkpoint, log verify --since)";

/// How often the log is looked at, when what it says by now may explain what was found.
const LOOKS: u32 = 4;
/// A server signs what it logged within a second.
const SIGNED_WITHIN: Duration = Duration::from_millis(1100);

fn verify(data: &Path, key: &VerifierKey, kept: Option<&Checkpoint>) -> Result<Report, Failure> {
    let log = data.join("log");
    // A missing folder is no fault of the evidence, but of the question.
    let reader = Reader::open(&log).map_err(|e| super::log::unreadable(&e))?;
    let root = recordings::folder(data);
    // Before the log: a session's start is durable before its recording begins, also of one that starts now.
    let folders = recordings::all(&root)?;
    let mut report = Report::default();
    let Some(mut sessions) = read_log(&log, &reader, key, kept, &mut report) else { return Ok(report) };
    let mut look = Look { root: &root, faults: BTreeMap::new(), files: BTreeMap::new() };
    look.at(sessions.keys().copied().chain(folders).collect(), &sessions, report.signed());
    for _ in 1..LOOKS {
        let suspects: BTreeSet<SessionId> = look.faults.keys().copied().collect();
        let unsigned = |id| sessions.get(id).is_some_and(|said| said.is_removed_unsigned(report.signed()));
        if suspects.iter().any(unsigned) {
            std::thread::sleep(SIGNED_WITHIN);
        } else if suspects.is_empty() || reader.head().map_or(true, |head| head <= report.events) {
            break;
        }
        // Beside a running server: what was removed or closed meanwhile is on record by now.
        report = Report::default();
        let Some(read) = read_log(&log, &reader, key, kept, &mut report) else { return Ok(report) };
        sessions = read;
        let since: Vec<SessionId> = look.ended_since(&sessions, report.signed()).collect();
        look.at(suspects.into_iter().chain(since).collect(), &sessions, report.signed());
    }
    report.add(&sessions, look);
    Ok(report)
}

/// What a look at recordings found.
struct Look<'a> {
    root: &'a Path,
    /// Of each session that has any.
    faults: BTreeMap<SessionId, Vec<String>>,
    /// Of each recording that was compared, how many files.
    files: BTreeMap<SessionId, u64>,
}

impl Look<'_> {
    /// Sessions whose recordings are bound by now, and were not when they were looked at.
    fn ended_since(&self, sessions: &Sessions, signed: u64) -> impl Iterator<Item = SessionId> {
        let looked = |id: &SessionId| self.files.contains_key(id);
        let bound = move |said: &Said| said.bound().is_some() && said.removal(signed).is_none();
        sessions.iter().filter(move |(id, said)| bound(said) && !looked(id)).map(|(id, _)| *id)
    }

    /// Looks at the recordings of some sessions, whatever was found before.
    fn at(&mut self, ids: BTreeSet<SessionId>, sessions: &Sessions, signed: u64) {
        let mut progress = Progress::new("sessions", ids.len() as u64);
        for id in ids {
            progress.one();
            self.files.remove(&id);
            let faults = match sessions.get(&id) {
                None => vec!["there is a recording, and no session in the log".into()],
                Some(said) => self.one(id, said, signed),
            };
            match faults.is_empty() {
                true => self.faults.remove(&id),
                false => self.faults.insert(id, faults),
            };
        }
    }

    fn one(&mut self, id: SessionId, said: &Said, signed: u64) -> Vec<String> {
        let mut faults: Vec<String> = said.contradictions().collect();
        let Some(bound) = said.bound() else { return faults };
        let (folder, removed) = (self.root.join(id.to_string()), said.removal(signed).is_some());
        if removed && !folder.exists() {
            return faults;
        }
        let found = compare(&folder, bound, removed);
        self.files.insert(id, found.files);
        if !found.faults.is_empty() && said.is_removed_unsigned(signed) {
            faults.push("the entry that says it was removed is not signed".into());
        }
        faults.extend(found.faults);
        faults
    }
}

impl Report {
    /// Entries that the checkpoint holds.
    fn signed(&self) -> u64 {
        self.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.size)
    }

    fn add(&mut self, sessions: &Sessions, look: Look<'_>) {
        let signed = self.signed();
        for (id, said) in sessions {
            if let Some(removal) = said.removal(signed) {
                self.removed.push(Removed { session: *id, at: removal.at, reason: removal.reason.clone() });
            }
            if said.bound().is_none() {
                self.open.push(*id);
            }
            if said.is_bound_unsigned(signed) {
                self.unsigned.push(*id);
            }
        }
        self.recordings = look.files.len() as u64;
        self.files = look.files.values().sum();
        let of_session = |(id, faults): (SessionId, Vec<String>)| {
            faults.into_iter().map(move |fault| format!("session {id}: {fault}"))
        };
        self.faults.extend(look.faults.into_iter().flat_map(of_session));
    }
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
        said::take(entry, &mut report.faults, &mut sessions);
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

#[cfg(test)]
mod tests;
