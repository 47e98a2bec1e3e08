//! The writer thread: takes what sessions queued, encodes, digests, compresses and writes it.
//!
//! One thread for all sessions, with the only compression context and the only encoding buffers. It calls
//! `write` but never waits for a disk to be durable: that is the sync threads' work. A session whose disk
//! refuses, or that makes the encoder panic, fails alone.

mod channel;
mod sink;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use bartizan_model::RecordingFile;

use crate::RecordError;
use crate::disk::Disk;
use crate::hub::{Hub, Work};
use crate::meta::{ChannelDigests, Closed, Manifest, ManifestChannel};
use crate::queue::{Batch, Item, Op, Reply, WHOLE_SESSION, Wake, lock};
use crate::session::Session;
use crate::sync::{Finish, OpenFile, Syncers};
use channel::Channel;
use sink::Pen;

/// Starts the writer.
pub(crate) fn start(
    disk: Arc<dyn Disk>,
    hub: Arc<Hub>,
    syncers: Arc<Syncers>,
) -> Result<JoinHandle<()>, RecordError> {
    let pen = Pen::new(disk, hub.options.level, Arc::clone(&hub.written))
        .map_err(|e| RecordError::Internal(e.to_string()))?;
    let mut writer = Writer { hub, syncers, pen, unsynced: Vec::new(), sync_at: None };
    thread::Builder::new()
        .name("record-writer".into())
        .spawn(move || writer.run())
        .map_err(|e| RecordError::Internal(format!("cannot start a thread: {e}")))
}

/// Most channels of one session, so that its manifest stays readable and its state small: 26 MB of memory.
const MAX_CHANNELS: usize = 1 << 16;

struct Writer {
    hub: Arc<Hub>,
    syncers: Arc<Syncers>,
    pen: Pen,
    /// Files written since they were last made durable.
    unsynced: Vec<(Arc<Session>, Arc<OpenFile>)>,
    sync_at: Option<Instant>,
}

/// The writer's state of one session.
#[derive(Default)]
pub(crate) struct Writing {
    /// Boxed, since a tree's node has room for eleven values.
    channels: BTreeMap<u32, Box<Channel>>,
    closed: Vec<ManifestChannel>,
    files: Vec<RecordingFile>,
}

impl Writing {
    /// Notes the file that exists before the first channel.
    pub(crate) fn begun(&mut self, meta: RecordingFile) {
        self.files.push(meta);
    }
}

impl Writer {
    fn run(&mut self) {
        loop {
            match self.hub.next(self.sync_at) {
                Work::Session { session, by_timer } => self.serve(&session, by_timer),
                Work::Sync => self.sync(),
                Work::Stop => return,
            }
        }
    }

    /// Writes what waits for one session.
    fn serve(&mut self, session: &Arc<Session>, by_timer: bool) {
        let mut batch = session.take(by_timer);
        let written = match session.failed() {
            Some(_) => Ok(()),
            None => catch_unwind(AssertUnwindSafe(|| self.write(session, &mut batch, by_timer)))
                .unwrap_or_else(|_| Err(RecordError::Internal("the encoder panicked".into()))),
        };
        if let Err(error) = written {
            session.fail(error);
        }
        if session.failed().is_some() {
            self.give_up(session, &batch);
        }
        self.pen.clear();
        session.written(batch.bytes());
        self.hub.recycle(batch);
    }

    fn write(
        &mut self,
        session: &Arc<Session>,
        batch: &mut Batch,
        by_timer: bool,
    ) -> Result<(), RecordError> {
        let mut writing = lock(&session.writing);
        let items = std::mem::take(&mut batch.items);
        for run in items.chunk_by(|a, b| a.channel == b.channel) {
            match run.first() {
                Some(first) if first.channel == WHOLE_SESSION => {
                    self.end(session, &mut writing, batch, first)?
                }
                _ => self.write_channel(session, &mut writing, batch, run)?,
            }
        }
        if by_timer && self.settle(session, &mut writing)? && session.want_timer() {
            self.hub.announce(session, Wake::Timer);
        }
        Ok(())
    }

    /// Writes one channel's operations and at least all whole characters of its bytes.
    fn write_channel(
        &mut self,
        session: &Arc<Session>,
        writing: &mut Writing,
        batch: &mut Batch,
        run: &[Item],
    ) -> Result<(), RecordError> {
        if writing.channels.len() >= MAX_CHANNELS {
            return Err(RecordError::Misused("the session has more open channels than a recording can hold"));
        }
        for item in run {
            let number = item.channel;
            let channel =
                writing.channels.entry(number).or_insert_with(|| Box::new(Channel::new(number, item.at)));
            if session.lapsed().is_some() {
                channel.lapse(&mut self.pen);
            }
            let content = batch.content(item);
            let pen = &mut self.pen;
            match item.op {
                Op::Data(stream) => {
                    let kept = channel.data(session, stream, item.at, content, pen);
                    excuse(session, channel, pen, kept)?;
                }
                Op::Open => channel.open(item.at, content),
                Op::Pty => {
                    let kept = channel.set_pty(session, item.at, content, pen);
                    excuse(session, channel, pen, kept)?;
                }
                Op::Resize => {
                    let kept = channel.resize(item.at, content, pen);
                    excuse(session, channel, pen, kept)?;
                }
                Op::Marker => {
                    let kept = channel.marker(session, item.at, content, pen);
                    excuse(session, channel, pen, kept)?;
                }
                Op::Close => {
                    let digests = self.close(session, writing, number, item.at)?;
                    if let Some(Reply::Closed(reply)) = batch.reply(item) {
                        // An answer that nobody waits for is none the worse.
                        reply.send(digests).ok();
                    }
                }
                Op::Finish | Op::Abandon => {}
            }
        }
        let Some(number) = run.first().map(|item| item.channel) else { return Ok(()) };
        if let Some(channel) = writing.channels.get_mut(&number) {
            let kept = channel.flush(&mut self.pen);
            excuse(session, channel, &mut self.pen, kept)?;
            channel.hand_over(session);
        }
        self.note_unsynced(session);
        Ok(())
    }

    fn close(
        &mut self,
        session: &Arc<Session>,
        writing: &mut Writing,
        number: u32,
        at: u64,
    ) -> Result<ChannelDigests, RecordError> {
        if writing.closed.len() >= MAX_CHANNELS {
            return Err(RecordError::Misused("the session has more channels than a recording can list"));
        }
        let mut channel =
            writing.channels.remove(&number).unwrap_or_else(|| Box::new(Channel::new(number, at)));
        let kept = channel.write_rest(&mut self.pen, &mut writing.files);
        excuse(session, &mut channel, &mut self.pen, kept)?;
        let closed = channel.close(session, at);
        self.note_unsynced(session);
        let digests = closed.digests;
        writing.closed.push(closed);
        Ok(digests)
    }

    /// Ends the session: closes its channels; a finished one gets its manifest.
    fn end(
        &mut self,
        session: &Arc<Session>,
        writing: &mut Writing,
        batch: &mut Batch,
        item: &Item,
    ) -> Result<(), RecordError> {
        while let Some(number) = writing.channels.keys().next().copied() {
            self.close(session, writing, number, item.at)?;
        }
        // What the manifest names must be durable first: the same sync thread does both, in order.
        self.sync_session(session);
        let mut writing = std::mem::take(writing);
        let reply = match (batch.reply(item), session.lapsed()) {
            (Some(Reply::Finished(reply)), None) => reply,
            (Some(Reply::Finished(reply)), Some(error)) => {
                lock(&self.hub.open).remove(&session.id);
                reply.send(Err(error)).ok();
                return Ok(());
            }
            _ => {
                lock(&self.hub.open).remove(&session.id);
                return Ok(());
            }
        };
        writing.closed.sort_by_key(|channel| channel.channel);
        let manifest = Manifest {
            version: 1,
            session: session.id,
            closed: Closed::Ended,
            files: writing.files,
            channels: writing.closed,
        };
        self.syncers.finish(Finish { session: Arc::clone(session), manifest, reply });
        Ok(())
    }

    /// Ends the beginnings of characters that have waited long enough; true when some still wait.
    fn settle(&mut self, session: &Arc<Session>, writing: &mut Writing) -> Result<bool, RecordError> {
        let mut waits = false;
        for channel in writing.channels.values_mut() {
            match channel.settle(&mut self.pen) {
                Ok(more) => waits |= more,
                Err(error) => excuse(session, channel, &mut self.pen, Err(error))?,
            }
        }
        self.note_unsynced(session);
        Ok(waits)
    }

    /// Closes the files of a session that failed. Whoever waits for an answer learns of the failure as it is dropped.
    fn give_up(&mut self, session: &Arc<Session>, batch: &Batch) {
        drop(std::mem::take(&mut *lock(&session.writing)));
        self.unsynced.retain(|(other, _)| !Arc::ptr_eq(other, session));
        if batch.is_last() {
            lock(&self.hub.open).remove(&session.id);
        }
    }

    fn note_unsynced(&mut self, session: &Arc<Session>) {
        for file in self.pen.unsynced.drain(..) {
            self.unsynced.push((Arc::clone(session), file));
        }
        if !self.unsynced.is_empty() && self.sync_at.is_none() {
            self.sync_at = Some(Instant::now() + self.hub.options.sync_every);
        }
    }

    fn sync(&mut self) {
        for (session, file) in self.unsynced.drain(..) {
            self.syncers.file(&session, &file);
        }
        self.sync_at = None;
    }

    fn sync_session(&mut self, session: &Arc<Session>) {
        for (_, file) in self.unsynced.extract_if(.., |(other, _)| Arc::ptr_eq(other, session)) {
            self.syncers.file(session, &file);
        }
    }
}

/// Lets a lenient session go on without this channel's files when they could not be written.
fn excuse(
    session: &Session,
    channel: &mut Channel,
    pen: &mut Pen,
    kept: Result<(), RecordError>,
) -> Result<(), RecordError> {
    match kept {
        Err(error) if session.excuses(&error) => {
            session.fail(error);
            channel.lapse(pen);
            Ok(())
        }
        kept => kept,
    }
}
