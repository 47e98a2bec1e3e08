//! What can go wrong, by whose fault.

use std::io;
use std::path::{Path, PathBuf};

use bartizan_model::{SessionId, escape};

/// Why a session can no longer be recorded. The session must end.
///
/// Cheap to clone: the same failure is told to everybody who waits for the session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The disk refused (full, read-only, broken).
    #[error("cannot {action} {file}: {message}")]
    Disk {
        /// What was tried: `create`, `write`, `sync`, …
        action: &'static str,
        /// The file or folder, by its name inside the recordings folder.
        file: String,
        /// The class of the system's error.
        kind: io::ErrorKind,
        /// The system's message.
        message: String,
    },
    /// There is a recording of this session already.
    #[error("there is a recording of session {0} already")]
    Exists(SessionId),
    /// The caller went on handing bytes over long after [`has_room`](crate::SessionRecorder::has_room) said no.
    #[error("the recorder was overrun: {queued} bytes wait to be written")]
    Overrun {
        /// Bytes waiting when the next were refused.
        queued: usize,
    },
    /// The caller used the recorder out of order.
    #[error("the recorder was misused: {0}")]
    Misused(&'static str),
    /// A fault of ours: the writer could not go on with this session.
    #[error("the recorder failed inside: {0}")]
    Internal(String),
}

impl RecordError {
    pub(crate) fn disk(action: &'static str, path: &Path, error: &io::Error) -> Self {
        let parent = path.parent().and_then(Path::file_name).unwrap_or_default();
        let name = Path::new(parent).join(path.file_name().unwrap_or_default());
        Self::Disk {
            action,
            file: escape(name.as_os_str().as_encoded_bytes()),
            kind: error.kind(),
            message: error.to_string(),
        }
    }
}

/// Why a recording cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no such recording.
    #[error("there is no recording at {}", .0.display())]
    NotFound(PathBuf),
    /// The disk refused.
    #[error("cannot read {}: {source}", .path.display())]
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The recording is not one that this version wrote, or was damaged or forged.
    #[error("{} is damaged at byte {offset}: {reason}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Offset in the file as it lies on disk.
        offset: u64,
        /// What was found.
        reason: &'static str,
    },
    /// The recording has no such channel.
    #[error("the recording has no channel {0}")]
    NoChannel(u32),
    /// The channel carries no terminal output, which this format needs.
    #[error("channel {0} has nothing that this format can show")]
    NothingToShow(u32),
    /// The output could not be written.
    #[error("cannot write the export: {0}")]
    Output(io::Error),
}

impl ReadError {
    pub(crate) fn disk(path: &Path, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::NotFound {
            Self::NotFound(path.to_owned())
        } else {
            Self::Disk { path: path.to_owned(), source }
        }
    }
}
