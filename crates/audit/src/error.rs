//! What can go wrong, sorted by whose fault it is.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The operating system refused an operation on a file of the log.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}", .path.display())]
pub struct FileError {
    /// What was tried: `write`, `sync`, `rename`, …
    pub action: &'static str,
    /// On which file or folder.
    pub path: PathBuf,
    /// The operating system's answer.
    pub source: io::Error,
}

impl FileError {
    pub(crate) fn new(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { action, path: path.to_owned(), source }
    }

    /// True when the disk has no room: the operation may succeed later.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}

/// Why an event was not logged.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LogError {
    /// The caller's fault: the event does not fit an entry.
    #[error(
        "event {kind} takes {bytes} bytes and an entry of the audit log holds {} with its index; point to large things by digest",
        bartizan_model::event::MAX_EVENT_BYTES
    )]
    TooLong {
        /// The event's type.
        kind: &'static str,
        /// Its length as JSON, in bytes, without its index.
        bytes: usize,
    },
    /// The caller's fault: the event has no JSON form.
    #[error("event {kind} has no JSON form: {reason}")]
    Unserializable {
        /// The event's type.
        kind: &'static str,
        /// What the serializer said.
        reason: Arc<str>,
    },
    /// Events come faster than the disk takes them; the event was not queued.
    #[error("{waiting} events wait for the audit log's disk already; this one was not accepted")]
    Overloaded {
        /// Events in the queue.
        waiting: usize,
    },
    /// The disk is full, and what was reserved ahead is kept for more urgent events. The event was not logged; the log
    /// takes such events again as soon as there is room.
    #[error("the audit log has no room for this event: the disk is full")]
    Full,
    /// The log could not be written. It takes nothing more until it is opened again.
    #[error("the audit log cannot be written: {0}")]
    Failed(Arc<str>),
    /// The log was closed by its owner.
    #[error("the audit log is closed")]
    Closed,
}

/// Why a log could not be made or opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no log in the folder.
    #[error(
        "there is no audit log in {}. If there was one, look for it (a wrong path? a disk not mounted?) before making \
         another, which would not continue it", .0.display()
    )]
    Missing(PathBuf),
    /// There is a log, or a part of one, in the folder already.
    #[error("{} holds an audit log, or a part of one, already: {found}", .dir.display())]
    Exists {
        /// The folder.
        dir: PathBuf,
        /// What was found in it.
        found: String,
    },
    /// Another process has the log open.
    #[error("another process has the audit log in {} open{}", .dir.display(), .holder.as_deref().map(|h| format!(" ({h})")).unwrap_or_default())]
    Locked {
        /// The folder.
        dir: PathBuf,
        /// What the other process wrote into the lock file, such as `pid 4711`.
        holder: Option<String>,
    },
    /// The log's description cannot be understood, or was written by a later version.
    #[error("cannot understand {}: {reason}", .path.display())]
    Format {
        /// The description.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The signing key has the name of another log.
    #[error("the audit log in {} is {origin}, and the signing key is that of {name}", .dir.display())]
    OtherOrigin {
        /// The folder.
        dir: PathBuf,
        /// The log's origin.
        origin: String,
        /// The key's name.
        name: String,
    },
    /// The log's contents are damaged, or contradict each other.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A thread could not be started.
    #[error("cannot start a thread for the audit log: {0}")]
    Thread(#[source] io::Error),
}

impl ReadError {
    /// True when the disk has no room: the operation may succeed later.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self, Self::File(error) if error.is_full())
    }
}

/// Why entries could not be read or integrated.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A file of the log does not hold what it must: it was changed, or the disk lost it after confirming it.
    #[error("the audit log is damaged: {} at byte {offset}: {what}", .file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Where in the file, in bytes from its start.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
    /// A file that the log needs is gone.
    #[error("the audit log is damaged: {} is missing: {what}", .file.display())]
    MissingFile {
        /// The file or folder.
        file: PathBuf,
        /// Why it is needed.
        what: String,
    },
    /// An immutable file exists with other bytes than the log now wants to write there.
    #[error("{} exists with other bytes than the journal holds for it; neither is overwritten", .0.display())]
    Conflict(PathBuf),
    /// There is no log in the folder.
    #[error("there is no audit log in {}", .0.display())]
    NoLog(PathBuf),
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
}
