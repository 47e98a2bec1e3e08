//! What the log says of recordings: which files an end binds, and what retention removed.
//!
//! ```text
//!   session.start ─► session.end binds nothing ─► session.end binds files ─► recording.remove
//!                    (could not be closed then)    (once)
//! ```
//!
//! A removal that no checkpoint held when the server ended is withdrawn by the next start.

use std::collections::BTreeMap;

use bartizan_audit::Entry;
use bartizan_model::event::{Body, Event, RECORDING_GONE};
use bartizan_model::{RecordingFile, SessionId, Timestamp};

/// Sessions of the log.
pub(super) type Sessions = BTreeMap<SessionId, Said>;

/// What the log says of one session's recording.
#[derive(Debug, Default)]
pub(super) struct Said {
    started: bool,
    ends: Vec<End>,
    /// The first that counts.
    removal: Option<Removal>,
    /// The entry that says that files were gone before a checkpoint held their removal.
    gone: Option<u64>,
}

/// A `session.end`.
#[derive(Debug)]
struct End {
    index: u64,
    files: Vec<RecordingFile>,
}

/// A `recording.remove`.
#[derive(Debug)]
pub(super) struct Removal {
    index: u64,
    pub(super) at: Timestamp,
    pub(super) reason: String,
}

impl Said {
    /// Of a session that ended: the files that its end binds.
    pub(super) fn bound(&self) -> Option<&[RecordingFile]> {
        self.ends.last().map(|end| end.files.as_slice())
    }

    /// That retention removed the recording, if the checkpoint over `signed` entries holds it: whoever can write to a log
    /// can add to it, until it is signed.
    pub(super) fn removal(&self, signed: u64) -> Option<&Removal> {
        self.removal.as_ref().filter(|removal| removal.index < signed)
    }

    /// Whether the log says that retention removed the recording, and no signature holds that yet.
    pub(super) fn is_removed_unsigned(&self, signed: u64) -> bool {
        self.removal.as_ref().is_some_and(|removal| removal.index >= signed)
    }

    /// Whether what binds the files is not signed yet.
    pub(super) fn is_bound_unsigned(&self, signed: u64) -> bool {
        self.ends.last().is_some_and(|end| end.index >= signed && !end.files.is_empty())
    }

    /// What cannot be, whatever is in the folder.
    pub(super) fn contradictions(&self) -> impl Iterator<Item = String> {
        let first = self.ends.first().map(|end| end.index).or(self.removal.as_ref().map(|r| r.index));
        let unstarted = first
            .filter(|_| !self.started)
            .map(|index| format!("the log has entry {index} of it, and no start of the session"));
        let rebound = self.ends.windows(2).filter_map(|ends| match ends {
            [before, after] if !before.files.is_empty() && before.files != after.files => {
                Some(format!("entry {} binds other files than entry {} before it", after.index, before.index))
            }
            _ => None,
        });
        let gone = self.gone.map(|index| {
            format!("files of it were gone before their removal was signed: entry {index} says so")
        });
        unstarted.into_iter().chain(rebound).chain(gone)
    }
}

/// Takes from an entry what it says of recordings, and adds a fault when it is no event.
pub(super) fn take(entry: &Entry, faults: &mut Vec<String>, sessions: &mut Sessions) {
    if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(&entry.bytes) {
        faults.push(format!("entry {}: is no event: {error}", entry.index));
    }
    // Most events are of no session's start or end, and of no removal: reading those as well takes longer than all the rest.
    let about_recordings = |bytes: &[u8]| bytes == b"\"session." || bytes == b"\"recordin";
    if !entry.bytes.windows(9).any(about_recordings) {
        return;
    }
    // Of events of a later version's types nothing is asked.
    let Ok(Event { session: Some(id), time, body, .. }) = serde_json::from_slice(&entry.bytes) else {
        return;
    };
    let index = entry.index;
    match body {
        Body::SessionStart { .. } => sessions.entry(id).or_default().started = true,
        Body::SessionEnd { recording, .. } => {
            sessions.entry(id).or_default().ends.push(End { index, files: recording });
        }
        Body::RecordingRemove { reason, .. } => {
            let said = sessions.entry(id).or_default();
            said.removal.get_or_insert(Removal { index, at: time, reason });
        }
        Body::Anomaly { ref what, .. } if body.withdraws_removal() => {
            let said = sessions.entry(id).or_default();
            said.removal = None;
            if what == RECORDING_GONE {
                said.gone.get_or_insert(index);
            }
        }
        _ => {}
    }
}
