//! The handles that the live path holds.

use std::collections::HashSet;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use bartizan_model::{Beside, Recording, RecordingFile, SessionId, Sha256Hex, escape};
use tokio::sync::oneshot;

use crate::digest::Sha256;
use crate::disk::{Disk, SystemDisk};
use crate::hub::Hub;
use crate::meta::{ChannelDigests, META, MetaFile, SessionMeta};
use crate::orphan::{self, Orphan};
use crate::queue::{Op, Reply, WHOLE_SESSION, lock};
use crate::session::Session;
use crate::sync::{Begin, Syncers, publish_manifest};
use crate::{ReadError, RecordError, Stream, writer};

/// Longest text of a marker, a channel's type or a terminal's name that is kept, in bytes.
const MAX_TEXT: usize = 4 << 10;

/// How the writer works. The defaults serve.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Bytes that one session may have waiting before [`SessionRecorder::has_room`] says no. 1 MiB.
    pub session_queue_bytes: usize,
    /// Bytes of memory that all sessions' queues may take before `has_room` says no to everybody. 64 MiB.
    pub queue_bytes: usize,
    /// How long a byte may wait in memory before it is written to its file. 450 ms.
    ///
    /// The beginning of a UTF-8 character waits for its end at most twice as long.
    pub flush_after: Duration,
    /// How often the files of live recordings are made durable against loss of power. 5 s.
    pub sync_every: Duration,
    /// Level of compression, 1 to 3. 1.
    pub level: i32,
    /// Where digests of long streams go whose bytes are not kept. `None`: nowhere, they stay on the caller's thread.
    pub beside: Option<Beside>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            session_queue_bytes: 1 << 20,
            queue_bytes: 64 << 20,
            flush_after: Duration::from_millis(450),
            sync_every: Duration::from_secs(5),
            level: 1,
            beside: None,
        }
    }
}

impl Options {
    /// A session that has more than this waiting has ignored `has_room` and fails.
    pub(crate) fn overrun_bytes(&self) -> usize {
        self.session_queue_bytes.saturating_mul(8)
    }

    pub(crate) fn overrun_total(&self) -> usize {
        self.queue_bytes.saturating_mul(4)
    }
}

/// The folder of all recordings, and the threads that write them. Clones share them.
///
/// Dropping the last clone and the last [`SessionRecorder`] waits until everything handed over is written.
#[derive(Clone)]
pub struct Recordings {
    inner: Arc<Inner>,
}

struct Inner {
    root: PathBuf,
    hub: Arc<Hub>,
    syncers: Arc<Syncers>,
    writer: Option<JoinHandle<()>>,
}

impl Recordings {
    /// Opens the folder `root`, creating it if there is none, and starts the writer.
    ///
    /// One process at a time may have it open; the caller holds the lock of the data folder.
    ///
    /// # Errors
    /// [`RecordError::Disk`] when the folder cannot be created; [`RecordError::Internal`] when no thread can be started.
    pub fn open(root: impl Into<PathBuf>, options: Options) -> Result<Self, RecordError> {
        Self::open_on(Arc::new(SystemDisk), root, options)
    }

    /// As [`Self::open`], on a disk of the caller's choice.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_on(
        disk: Arc<dyn Disk>,
        root: impl Into<PathBuf>,
        options: Options,
    ) -> Result<Self, RecordError> {
        let root = root.into();
        match disk.create_dir(&root) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(RecordError::disk("create", &root, &error));
            }
            _ => {}
        }
        let hub = Arc::new(Hub::new(options));
        let syncers = Arc::new(Syncers::start(&disk, &hub)?);
        let writer = writer::start(disk, Arc::clone(&hub), Arc::clone(&syncers))?;
        Ok(Self { inner: Arc::new(Inner { root, hub, syncers, writer: Some(writer) }) })
    }

    /// The folder of all recordings.
    pub fn root(&self) -> &Path {
        &self.inner.root
    }

    /// The folder of a session's recording, whether or not there is one.
    pub fn folder(&self, session: SessionId) -> PathBuf {
        self.inner.root.join(session.to_string())
    }

    /// What the writer counts, for whoever shows it. Holding it keeps no recording open.
    pub fn gauge(&self) -> Gauge {
        Gauge(Arc::clone(&self.inner.hub))
    }

    pub(crate) fn disk(&self) -> &dyn Disk {
        self.inner.syncers.disk()
    }

    /// Whether this process records the session.
    pub(crate) fn is_open(&self, session: SessionId) -> bool {
        lock(&self.inner.hub.open).contains(&session)
    }

    /// Begins the recording of a session.
    ///
    /// # Durability
    /// When this returns, the folder and its `meta.json` survive a loss of power.
    ///
    /// # Errors
    /// [`RecordError::Exists`] when there is a recording of this session; [`RecordError::Disk`] when the disk refuses.
    ///
    /// # Cancel safety
    /// A dropped future may leave a folder behind, which [`Self::orphans`] finds.
    pub async fn begin(&self, meta: SessionMeta, policy: Recording) -> Result<SessionRecorder, RecordError> {
        self.begin_with(meta, policy, false).await
    }

    /// Begins the recording of a session that goes on where the disk refuses, from the beginning or later: all that
    /// passes is counted and digested still, and [`SessionRecorder::lapsed`] tells.
    ///
    /// # Errors
    /// [`RecordError::Internal`] when the writer is gone.
    ///
    /// # Cancel safety
    /// As [`Self::begin`].
    pub async fn begin_lenient(
        &self,
        meta: SessionMeta,
        policy: Recording,
    ) -> Result<SessionRecorder, RecordError> {
        self.begin_with(meta, policy, true).await
    }

    async fn begin_with(
        &self,
        meta: SessionMeta,
        policy: Recording,
        lenient: bool,
    ) -> Result<SessionRecorder, RecordError> {
        let inner = &self.inner;
        let id = meta.session;
        let folder = self.folder(id);
        let title = format!("{} → {}@{}", meta.person, meta.login, meta.target);
        let session = Arc::new(Session::new(id, folder, meta.started, title, policy, lenient));
        let file = MetaFile { version: 1, session: meta, record: policy };
        let json = serde_json::to_vec_pretty(&file).map_err(|e| RecordError::Internal(e.to_string()))?;
        let own = RecordingFile { name: META.into(), bytes: json.len() as u64, sha256: Sha256::of(&json) };
        lock(&session.writing).begun(own);
        if !lock(&inner.hub.open).insert(id) {
            return Err(RecordError::Exists(id));
        }
        // From here on the handle's drop undoes the entry in `open`, by way of the writer.
        let recorder = SessionRecorder { session: Arc::clone(&session), inner: Arc::clone(inner) };
        let (reply, done) = oneshot::channel();
        inner.syncers.begin(Begin { session, json, reply });
        let begun = done.await.map_err(|_| RecordError::Internal("the sync thread is gone".into()))?;
        match begun {
            // The sync thread has noted it as a lapse.
            Err(error) if recorder.session.excuses(&error) => Ok(recorder),
            begun => begun.map(|()| recorder),
        }
    }

    /// Every recording that is not closed and that nobody writes any more: of sessions that ended with the process
    /// before, or that failed. `live` sessions and those open in this process are left alone.
    ///
    /// Nothing of them is changed; bytes already recorded are made durable. For each that is to be closed as
    /// [`truncated`](crate::Closed::Truncated) the caller calls [`Self::prepare_orphan`], binds the files to the log with an event,
    /// and calls [`Self::close_orphan`] then: what is closed is on record, whenever the process ends. Blocks, and reads
    /// all that these recordings hold.
    ///
    /// # Errors
    /// [`ReadError::Disk`] when the folder of all recordings cannot be read. What is wrong with one orphan is said
    /// in its [`Orphan::failure`].
    pub fn orphans(&self, live: &HashSet<SessionId>) -> Result<Vec<Orphan>, ReadError> {
        let open = lock(&self.inner.hub.open).clone();
        orphan::find(self.disk(), self.root(), |id| live.contains(&id) || open.contains(&id))
    }

    /// Writes the manifest of an orphan under its unfinished name. Blocks.
    ///
    /// # Durability
    /// When this returns, what an event binds with the orphan's files survives a loss of power.
    ///
    /// # Errors
    /// [`RecordError::Misused`] while the session is recorded; [`RecordError::Disk`] when the disk refuses. It stays an
    /// orphan then.
    pub fn prepare_orphan(&self, orphan: &Orphan) -> Result<(), RecordError> {
        if self.is_open(orphan.session) {
            return Err(RecordError::Misused("a recording that is being written is no orphan"));
        }
        orphan.prepare(self.disk(), &self.folder(orphan.session))
    }

    /// Closes a recording that [`Self::orphans`] gave and that is prepared, once the log binds its files. Blocks.
    ///
    /// # Durability
    /// When this returns, it stays closed after a loss of power.
    ///
    /// # Errors
    /// [`RecordError::Misused`] while the session is recorded; [`RecordError::Disk`] when the disk refuses. It
    /// stays an orphan then.
    pub fn close_orphan(&self, session: SessionId) -> Result<(), RecordError> {
        if self.is_open(session) {
            return Err(RecordError::Misused("a recording that is being written is no orphan"));
        }
        publish_manifest(self.disk(), &self.folder(session))
    }
}

/// Reads what the writer counts.
#[derive(Clone)]
pub struct Gauge(Arc<Hub>);

/// How the writer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Recordings that are being written.
    pub open: usize,
    /// Bytes of memory that all sessions' queues take.
    pub queue_bytes: usize,
    /// Bytes written to the files of channels, as they are on disk.
    pub written_bytes: u64,
}

impl Gauge {
    /// How the writer stands now.
    pub fn read(&self) -> Stats {
        Stats {
            open: lock(&self.0.open).len(),
            queue_bytes: self.0.reserved(),
            written_bytes: self.0.written.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.hub.stop();
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            debug_assert!(false, "the writer thread panicked");
        }
        self.syncers.stop();
    }
}

/// Records one session. Cheap to hold: an idle one has no thread, no buffer and at most one open file a channel.
///
/// Every method but the async ones returns at once and blocks on no disk. Order of calls is order in the recording.
/// Dropped without [`finish`](Self::finish), the recording ends where it is and is closed by
/// [`Recordings::orphans`].
pub struct SessionRecorder {
    session: Arc<Session>,
    inner: Arc<Inner>,
}

impl SessionRecorder {
    /// The session's id.
    pub fn session(&self) -> SessionId {
        self.session.id
    }

    /// Notes that a channel opened. `channel` is its ordinal in the session, never used again; `kind` its type,
    /// escaped. `at` counts, here and below, from the start of the session by the monotonic clock.
    pub fn open_channel(&self, channel: u32, kind: &str, at: Duration) {
        self.push(Op::Open, channel, at, cut(kind));
    }

    /// Notes that the channel got a terminal. From here on its output is recorded whole, as asciicast.
    pub fn set_pty(&self, channel: u32, term: &[u8], cols: u32, rows: u32, at: Duration) {
        let term = term.get(..MAX_TEXT).unwrap_or(term);
        let mut content = size(cols, rows).to_vec();
        content.extend_from_slice(term);
        self.push(Op::Pty, channel, at, &content);
    }

    /// Notes that the terminal's size changed. Sizes that no player takes are clamped to 65,535; zero leaves a dimension as it
    /// was, at first 80×24.
    pub fn resize(&self, channel: u32, cols: u32, rows: u32, at: Duration) {
        self.push(Op::Resize, channel, at, &size(cols, rows));
    }

    /// Puts a remark of ours into the channel's recording.
    pub fn marker(&self, channel: u32, text: &str, at: Duration) {
        self.push(Op::Marker, channel, at, cut(text));
    }

    /// Keeps a command line that is too long for an event: whole and escaped, in as many remarks as it takes, each of
    /// which says which part it is. Gives the SHA-256 of the line.
    pub fn command(&self, channel: u32, command: &[u8], at: Duration) -> Sha256Hex {
        let text = escape(command);
        let parts = parts(&text, MAX_TEXT - 64);
        for (number, part) in (1..).zip(&parts) {
            self.marker(channel, &format!("command, part {number} of {}: {part}", parts.len()), at);
        }
        Sha256::of(command)
    }

    /// Hands over bytes that passed. Never blocks and always takes them: stop reading from the peer while
    /// [`has_room`](Self::has_room) says no. A caller who doesn't is told [`RecordError::Overrun`] in the end.
    pub fn data(&self, channel: u32, stream: Stream, at: Duration, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.push(Op::Data(stream), channel, at, bytes);
        }
    }

    /// Closes the channel's files and gives what passed through it. The closing is queued by the call itself;
    /// the future only waits.
    ///
    /// # Errors
    /// The future gives the session's failure, if it has one.
    pub fn close_channel(&self, channel: u32, at: Duration) -> Answer<ChannelDigests> {
        let (reply, answer) = oneshot::channel();
        self.session.ask(&self.inner.hub, Op::Close, channel, at, Reply::Closed(reply));
        Answer { answer, session: Arc::clone(&self.session), _keep: Arc::clone(&self.inner) }
    }

    /// True while the session may hand over more.
    pub fn has_room(&self) -> bool {
        self.session.has_room(&self.inner.hub)
    }

    /// Waits for [`has_room`](Self::has_room); also returns when the session has failed.
    ///
    /// # Cancel safety
    /// Safe to drop.
    pub async fn room(&self) {
        self.session.room(&self.inner.hub).await;
    }

    /// Why the session can no longer be recorded. It must end.
    pub fn failed(&self) -> Option<RecordError> {
        self.session.failed()
    }

    /// Waits until the session can no longer be recorded; forever, if all goes well.
    ///
    /// # Cancel safety
    /// Safe to drop.
    pub async fn failure(&self) -> RecordError {
        self.session.failure().await
    }

    /// Why nothing is kept of this session any more although it goes on; only of a
    /// [lenient](Recordings::begin_lenient) one.
    pub fn lapsed(&self) -> Option<RecordError> {
        self.session.lapsed()
    }

    /// Waits until nothing is kept any more although the session goes on; forever, if all goes well.
    ///
    /// # Cancel safety
    /// Safe to drop.
    pub async fn lapse(&self) -> RecordError {
        self.session.lapse().await
    }

    /// Closes as truncated what there is of a recording whose [`finish`](Self::finish) has failed, and gives its
    /// files for `session.end`. Works on a full disk: the manifest has had its blocks from the beginning.
    ///
    /// # Durability
    /// When this gives `Ok`, the manifest survives a loss of power; of the files what the disk kept.
    ///
    /// # Errors
    /// When the disk refuses this too. [`Recordings::orphans`] closes it then.
    ///
    /// # Cancel safety
    /// What was begun is done even if this is dropped.
    pub async fn close_truncated(&self) -> Result<Vec<RecordingFile>, RecordError> {
        let (reply, done) = oneshot::channel();
        self.inner.syncers.truncate(&self.session, reply);
        done.await.map_err(|_| RecordError::Internal("the sync thread is gone".into()))?
    }

    /// Closes all channels and the recording, and gives the files for `session.end`: `manifest.json` first, then
    /// what it lists; of a recording with more than [`MAX_LOGGED_FILES`](crate::MAX_LOGGED_FILES) only the manifest,
    /// which binds the others. The closing is queued by the call itself; the future only waits.
    ///
    /// # Durability
    /// When the future gives `Ok`, all files survive a loss of power.
    ///
    /// # Errors
    /// The session's failure or lapse. The recording then has no manifest: [`Self::close_truncated`] adds one, or
    /// [`Recordings::orphans`] in the end.
    pub fn finish(&self, at: Duration) -> Answer<Result<Vec<RecordingFile>, RecordError>> {
        let (reply, answer) = oneshot::channel();
        self.session.ask(&self.inner.hub, Op::Finish, WHOLE_SESSION, at, Reply::Finished(reply));
        Answer { answer, session: Arc::clone(&self.session), _keep: Arc::clone(&self.inner) }
    }

    fn push(&self, op: Op, channel: u32, at: Duration, content: &[u8]) {
        if channel == WHOLE_SESSION {
            return self.session.fail(RecordError::Misused("no channel has this number"));
        }
        self.session.push(&self.inner.hub, op, channel, at, content);
    }
}

impl Drop for SessionRecorder {
    fn drop(&mut self) {
        self.session.abandon(&self.inner.hub);
    }
}

/// Cuts a text into parts of at most so many bytes.
fn parts(mut text: &str, most: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    while !text.is_empty() {
        let (part, rest) = text.split_at(text.floor_char_boundary(most));
        parts.push(part);
        text = rest;
    }
    parts
}

fn cut(text: &str) -> &[u8] {
    &text.as_bytes()[..text.floor_char_boundary(MAX_TEXT)]
}

fn size(cols: u32, rows: u32) -> [u8; 8] {
    let ([a, b, c, d], [e, f, g, h]) = (cols.to_le_bytes(), rows.to_le_bytes());
    [a, b, c, d, e, f, g, h]
}

/// Waits for the writer's answer. What was asked is done even if this is dropped.
#[must_use = "the answer says whether the recording is whole"]
pub struct Answer<T> {
    answer: oneshot::Receiver<T>,
    session: Arc<Session>,
    /// Keeps the threads alive until they have answered.
    _keep: Arc<Inner>,
}

impl Future for Answer<ChannelDigests> {
    type Output = Result<ChannelDigests, RecordError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answer).poll(cx).map(|digests| digests.map_err(|_| unanswered(&self.session)))
    }
}

impl Future for Answer<Result<Vec<RecordingFile>, RecordError>> {
    type Output = Result<Vec<RecordingFile>, RecordError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answer)
            .poll(cx)
            .map(|files| files.unwrap_or_else(|_| Err(unanswered(&self.session))))
    }
}

/// The writer drops the questions of a session that failed.
fn unanswered(session: &Session) -> RecordError {
    session.failed().unwrap_or_else(|| RecordError::Internal("the writer is gone".into()))
}
