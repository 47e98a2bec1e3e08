//! Finding a recording in the data folder, with or without a server, and noting that it is read.

use std::fs;
use std::path::{Path, PathBuf};

use bartizan_model::api::{RecordingReading, SessionDetail};
use bartizan_model::{SessionId, SessionSummary};
use bartizan_record::{Condition, ReadError, RecordedSession};

use super::{Context, wait};
use crate::args::IdPrefix;
use crate::client::segment;
use crate::failure::{Failure, Kind};
use crate::out::{note, time};

/// Where the recordings of a data folder are.
pub(crate) fn folder(data: &Path) -> PathBuf {
    data.join("recordings")
}

/// Opens the one recording whose session id starts with `prefix`, after the log took note that it is read `how`.
///
/// # Errors
/// When there is none or several, when it cannot be read, or when a server runs that cannot log the reading.
pub(crate) fn open(
    context: &Context,
    prefix: &IdPrefix,
    how: &str,
) -> Result<(SessionId, RecordedSession), Failure> {
    let root = folder(&context.data);
    let id = match find(&root, prefix) {
        Ok(id) => id,
        Err(failure) => return Err(removed(context, prefix).unwrap_or(failure)),
    };
    // Evidence before effect: nothing is read before the reading is on record.
    let reading = RecordingReading { how: how.to_owned() };
    let path = format!("/v1/sessions/{}/reads", segment(id));
    match wait(context.client.post::<SessionSummary>(&path, &reading)) {
        Ok(_) => {}
        Err(failure) if failure.kind == Kind::Unreachable => {
            note("no server runs, so this reading of the recording is not in the audit log");
        }
        Err(failure) => return Err(failure),
    }
    Ok((id, RecordedSession::open(root.join(id.to_string())).map_err(|e| unreadable(&e))?))
}

/// Why there is no recording, if a server runs that knows: retention removed it.
fn removed(context: &Context, prefix: &IdPrefix) -> Option<Failure> {
    let detail = wait(context.client.get::<SessionDetail>(&format!("/v1/sessions/{}", segment(prefix))));
    let session = detail.ok()?.session;
    let at = session.removed?;
    let what =
        format!("the recording of session {} was removed by retention at {} UTC", session.id, time(at));
    Some(
        Failure::failed(what)
            .hint("`bartizan session show` has what the log keeps of it: lengths and digests"),
    )
}

/// The ids of all sessions that have a folder, in order.
pub(crate) fn all(root: &Path) -> Result<Vec<SessionId>, Failure> {
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        // Made when the server first starts.
        Err(error)
            if error.kind() == std::io::ErrorKind::NotFound && root.parent().is_some_and(Path::is_dir) =>
        {
            return Ok(Vec::new());
        }
        Err(error) => {
            return Err(Failure::failed(format!("cannot read {}: {error}", root.display()))
                .hint("name the data folder with -D DIR or BARTIZAN_DATA"));
        }
    };
    let mut ids = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| Failure::failed(format!("cannot read {}: {e}", root.display())))?;
        if let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) {
            ids.push(id);
        }
    }
    ids.sort_unstable();
    Ok(ids)
}

fn find(root: &Path, prefix: &IdPrefix) -> Result<SessionId, Failure> {
    let mut found: Vec<SessionId> =
        all(root)?.into_iter().filter(|id| id.to_string().starts_with(prefix.as_str())).collect();
    match (found.pop(), found.len()) {
        (Some(id), 0) => Ok(id),
        (None, _) => Err(Failure::failed(format!("there is no recording {prefix} in {}", root.display()))
            .hint("`bartizan session list` shows sessions and their ids")),
        (Some(_), more) => Err(Failure::failed(format!("{} recordings start with {prefix}", more + 1))
            .hint("write more of the id; `bartizan session list --json` shows it whole")),
    }
}

/// The channel that was asked for, or the one people mean when they name none.
pub(crate) fn channel(session: &RecordedSession, asked: Option<u32>) -> Result<u32, Failure> {
    if let Some(asked) = asked {
        return match session.channels().iter().any(|channel| channel.channel == asked) {
            true => Ok(asked),
            false => Err(unreadable(&ReadError::NoChannel(asked)).hint(listed(session))),
        };
    }
    session.main_channel().map(|channel| channel.channel).ok_or_else(|| match session.missing() {
        Some(name) => differs(name),
        None => Failure::failed("nothing of the session's bytes was kept")
            .hint("`bartizan session show` has lengths and digests"),
    })
}

/// Tells how far what was shown of channels is all that was recorded of them; to be asked after that was shown.
///
/// # Errors
/// Where the recording was closed and its files are not those of its manifest.
pub(crate) fn whole(session: &RecordedSession, channels: &[u32]) -> Result<(), Failure> {
    let mut note_once = None;
    for channel in channels {
        match session.condition(*channel).map_err(|e| unreadable(&e))? {
            Condition::Whole => {}
            Condition::Open => {
                note_once = Some("the recording is not closed, or was cut: this is what is there of it");
            }
            Condition::Truncated => {
                note_once =
                    Some("the server stopped before the session ended: its last second may be missing");
            }
            Condition::Differs(name) => return Err(differs(&name)),
        }
    }
    note_once.into_iter().for_each(note);
    Ok(())
}

fn differs(name: &str) -> Failure {
    let what = format!("{name} is not the file that was recorded: it is missing, was cut or was added");
    Failure::new(Kind::Evidence, what)
        .hint("`bartizan log verify` tells which files differ from what the log says")
}

fn listed(session: &RecordedSession) -> String {
    let channels: Vec<_> = session.channels().iter().map(|channel| channel.channel.to_string()).collect();
    if channels.is_empty() { "it has none".into() } else { format!("it has {}", channels.join(", ")) }
}

/// A recording that cannot be read.
pub(crate) fn unreadable(error: &ReadError) -> Failure {
    match error {
        ReadError::Damaged { .. } => Failure::new(Kind::Evidence, error.to_string())
            .hint("`bartizan log verify` tells which files differ from what the log says"),
        ReadError::Output(e) => Failure::output(e),
        ReadError::NotFound(_)
        | ReadError::Disk { .. }
        | ReadError::NoChannel(_)
        | ReadError::NothingToShow(_) => Failure::failed(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recordings_are_found_by_the_start_of_their_id() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("recordings");
        assert_eq!(all(&root).unwrap(), [], "a folder that never served");
        let ids = ["01990c2e-7d1a-7c3e-9f52-0242ac120002", "01990c2e-7d1a-7c3e-9f52-0242ac120003"];
        for name in ids.iter().chain(&["not-a-session", "01990C2E-7D1A-7C3E-9F52-0242AC120002"]) {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        assert_eq!(all(&root).unwrap().len(), 2);
        let find = |prefix: &str| find(&root, &prefix.parse().unwrap()).map(|id| id.to_string());
        assert_eq!(find(ids[0]).unwrap(), ids[0]);
        assert_eq!(find(&ids[1].to_uppercase()).unwrap(), ids[1]);
        assert!(find("0199").unwrap_err().to_string().contains("2 recordings start with 0199"));
        assert!(find("ffff").unwrap_err().to_string().contains("there is no recording ffff"));
    }
}
