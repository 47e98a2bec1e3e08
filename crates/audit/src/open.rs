//! Making a log and opening one, with recovery after a crash.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;

use crate::backlog::Backlog;
use crate::bundle::{self, FullBundle};
use crate::disk::{self, Disk, Guard, OsDisk};
use crate::error::{FileError, OpenError, ReadError};
use crate::integrate::Integrator;
use crate::journal::{self, Step, Torn, Walk};
use crate::layout::{self, ENTRIES_PER_BUNDLE, SegmentName, set_aside_path};
use crate::log::{Log, LogOptions, Parts};
use crate::note::{Checkpoint, Signer};
use crate::origin::{Description, Origin, describe};
use crate::reader::Reader;
use crate::tree::TreeHead;
use crate::writer::Tail;

/// A log that was opened, and what had to be done for it.
#[derive(Debug)]
pub struct Opened {
    /// The log.
    pub log: Log,
    /// Its origin, as given when it was made.
    pub origin: Origin,
    /// What recovery did.
    pub recovery: Recovery,
}

/// What recovery did at opening.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// Number of entries in the log.
    pub head: u64,
    /// Number of entries that the checkpoint in place holds, by the signature of the log's key: 0 without a checkpoint,
    /// without a [signer](LogOptions::signer), and with another signature. For those behind it the disk alone vouches.
    pub signed: u64,
    /// Entries that were read from the journal.
    pub replayed: u64,
    /// The end of the journal that was cut off: an append that a crash interrupted. No receipt was given for what
    /// it held, unless the disk lost what it had confirmed; the owner should log an anomaly.
    pub cut: Option<Cut>,
}

/// An unfinished append at the end of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The journal's segment, kept under this name with what was cut.
    pub file: PathBuf,
    /// Where in it the unfinished append begins, in bytes.
    pub offset: u64,
    /// How many bytes of it are there, without zeros at the end.
    pub bytes: u64,
    /// How it showed.
    pub what: String,
}

impl Log {
    /// Makes an empty log in `dir`, which may exist but may hold nothing of a log. Does not open it.
    ///
    /// # Errors
    /// [`OpenError::Exists`] rather than ever starting anew where a log was, also a damaged one.
    ///
    /// # Durability
    /// When this returns, the log is fully persisted. After a crash in between it can be called again.
    pub fn create(dir: &Path, origin: &Origin) -> Result<(), OpenError> {
        create(&OsDisk, dir, origin)
    }

    /// Opens the log in `dir` for appending. Blocks while recovery reads the journal, of the order of a
    /// hundred megabytes at most; what it holds is integrated afterwards, as the log goes on.
    ///
    /// # Errors
    /// [`OpenError::Missing`] when there is none: this never makes one. [`OpenError::Locked`] when another
    /// process has it open. [`ReadError::Damaged`] and its like when entries that were durable are not there.
    pub fn open(dir: &Path, options: LogOptions) -> Result<Opened, OpenError> {
        open(Arc::new(OsDisk), dir, options)
    }
}

pub(crate) fn create(disk: &dyn Disk, dir: &Path, origin: &Origin) -> Result<(), OpenError> {
    disk::ensure_dir(disk, dir.parent().unwrap_or(dir), dir)?;
    let _lock = lock(disk, dir)?;
    let exists = |found: &str| OpenError::Exists { dir: dir.to_owned(), found: found.to_owned() };
    let description = layout::description(dir);
    if disk::read(disk, &description, 1)?.is_some() {
        return Err(exists("log.json"));
    }
    let journal = layout::journal(dir);
    disk::ensure_dir(disk, dir, &journal)?;
    disk::ensure_dir(disk, dir, &dir.join("tile/entries"))?;
    if disk::read(disk, &dir.join(layout::entries_path(0)), 1)?.is_some() {
        return Err(exists("tile/entries/000"));
    }
    // An interrupted creation may have left the first segment, empty.
    let first = SegmentName { sequence: 1, first: 0 };
    for segment in journal::segments(disk, dir)? {
        let path = segment.path(dir);
        let longer = disk.read_at(&path, crate::frame::SEGMENT_HEADER_BYTES as u64, 1);
        if segment != first || !longer.map_err(FileError::new("read", &path))?.is_empty() {
            return Err(exists(&format!("journal/{}", segment.file_name())));
        }
    }
    Tail::new(0).start_segment(disk, dir, first.sequence, 0, 0)?;
    let text = Description::of(origin);
    let text = serde_json::to_vec_pretty(&text)
        .map_err(|e| OpenError::Format { path: description.clone(), reason: e.to_string() })?;
    Ok(disk::replace(disk, &description, &text)?)
}

pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path, options: LogOptions) -> Result<Opened, OpenError> {
    let Description { origin, .. } =
        describe(&*disk, dir)?.ok_or_else(|| OpenError::Missing(dir.to_owned()))?;
    if let Some(signer) = &options.signer
        && signer.verifier_key().name() != origin.to_string()
    {
        let name = signer.verifier_key().name().to_owned();
        return Err(OpenError::OtherOrigin { dir: dir.to_owned(), origin: origin.to_string(), name });
    }
    let lock = lock(&*disk, dir)?;
    let mut segments = journal::segments(&*disk, dir)?;
    let Replayed { tail, mut integrator, mut bundles, entries, torn } = replay(&disk, dir, &segments)?;
    // What an earlier process may only have written: the log goes on from it, and its full bundles are files later only.
    for segment in &segments {
        let path = segment.path(dir);
        disk.sync_file(&path).map_err(FileError::new("sync", &path))?;
    }
    // A segment that ends in the middle of an append is set aside here and now, which needs what it holds in bundles.
    if torn.is_some() {
        integrator.integrate(std::mem::take(&mut bundles))?;
    }
    integrator.check(&bundles)?;

    // The journal goes on in a new segment.
    let sequence = segments.last().map_or(0, |last| last.sequence) + 1;
    let start = |reserve| tail.start_segment(&*disk, dir, sequence, options.allocation(), reserve);
    // On a full disk it begins without the reserve, and takes nothing before it has it.
    let segment =
        start(options.reserve_bytes).or_else(|error| if error.is_full() { start(0) } else { Err(error) })?;
    segments.push(segment.name);
    let aside = torn.as_ref().map(|torn| &*torn.file);
    let released = integrator.release(&segments, integrator.integrated(), aside)?;
    segments.drain(..released);
    let note = check_published(&disk, dir, &origin, tail.next())?;
    let published = note.as_ref().map(|(size, _)| *size);
    integrator.remove_unpublished(published.unwrap_or(0), tail.next())?;
    let key = options.signer.as_ref().map(Signer::verifier_key);
    let by_key = |note: &str| key.is_some_and(|key| Checkpoint::open(note, key).is_ok());
    let signed = note.filter(|(_, note)| by_key(note)).map_or(0, |(size, _)| size);

    let recovery = Recovery { head: tail.next(), signed, replayed: entries, cut: torn.map(Cut::from) };
    let backlog = Backlog::new(segments, bundles);
    let parts = Parts { disk, lock, integrator, tail, segment, backlog, origin: origin.clone(), published };
    Ok(Opened { log: Log::start(dir, options, parts)?, origin, recovery })
}

/// Checks that the log still holds all that its checkpoint names; gives the checkpoint's tree size, and its text.
///
/// The signature is for those to check who do not trust this machine: whoever can change the checkpoint here, can
/// remove it, too.
fn check_published(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    origin: &Origin,
    head: u64,
) -> Result<Option<(u64, String)>, ReadError> {
    let reader = Reader::live(disk.clone(), dir, watch::channel(head).1);
    let Some(note) = reader.checkpoint()? else { return Ok(None) };
    let damaged = |what: String| ReadError::Damaged { file: layout::checkpoint(dir), offset: 0, what };
    let checkpoint = Checkpoint::open_unverified(&note).map_err(|error| damaged(error.to_string()))?;
    if checkpoint.origin != *origin {
        return Err(damaged(format!("it is that of another log, {}", checkpoint.origin)));
    }
    let TreeHead { size, root } = checkpoint.head;
    if size > head {
        return Err(damaged(format!(
            "it names {size} entries and the log has {head}: entries were lost or removed"
        )));
    }
    if reader.root(size)? != root {
        return Err(damaged(format!("the first {size} entries of the log are not those it names")));
    }
    Ok(Some((size, note)))
}

fn lock(disk: &dyn Disk, dir: &Path) -> Result<Box<dyn Guard>, OpenError> {
    let path = layout::lock(dir);
    let holder = format!("pid {}", std::process::id());
    match disk.lock(&path, &holder).map_err(FileError::new("lock", &path))? {
        Ok(lock) => Ok(lock),
        Err(holder) => {
            let holder = bartizan_model::escape(holder.as_bytes());
            let holder = Some(holder).filter(|holder| !holder.is_empty());
            Err(OpenError::Locked { dir: dir.to_owned(), holder })
        }
    }
}

/// What the journal holds.
struct Replayed {
    /// The entries behind the last full bundle.
    tail: Tail,
    /// Where the bundles that are files end.
    integrator: Integrator,
    /// Full bundles that are to be integrated, in order: no more than the [`Backlog`] and a segment or two held.
    bundles: Vec<FullBundle>,
    /// How many entries were read.
    entries: u64,
    /// The unfinished append at the end.
    torn: Option<Torn>,
}

/// Reads all that the journal holds.
fn replay(disk: &Arc<dyn Disk>, dir: &Path, segments: &[SegmentName]) -> Result<Replayed, ReadError> {
    let Some(oldest) = segments.first() else {
        let what = "a log has at least one segment".to_owned();
        return Err(ReadError::MissingFile { file: layout::journal(dir), what });
    };
    check_integrated(&**disk, dir, *oldest)?;
    let integrator = Integrator::open(disk.clone(), dir, oldest.first / ENTRIES_PER_BUNDLE)?;
    let mut tail = Tail::new(oldest.first);
    let mut entries = 0;
    let mut bundles = Vec::new();
    let mut cut = None;
    let mut end: Option<Torn> = None;
    for segment in segments {
        if segment.first > tail.next() {
            let (file, offset, what) = match end {
                Some(torn) => (torn.file, torn.offset, torn.what),
                None => (segment.path(dir), 0, "entries before this segment are missing"),
            };
            return Err(ReadError::Damaged { file, offset, what: what.to_owned() });
        }
        let mut walk = Walk::open(disk, dir, *segment)?;
        end = loop {
            let offset = walk.position();
            match walk.step()? {
                Step::Batch(batch) => {
                    let damaged = |what: String| ReadError::Damaged { file: segment.path(dir), offset, what };
                    entries += replay_batch(batch, &mut tail, &mut bundles, &damaged)?;
                }
                Step::End => break None,
                Step::Torn(torn) => break Some(torn),
            }
        };
        cut = end.clone().or(cut);
    }
    Ok(Replayed { tail, integrator, bundles, entries, torn: cut })
}

/// Adds the entries of one batch; returns how many were new. Bundles that are full with them go to `full`.
fn replay_batch(
    batch: crate::frame::Batch<'_>,
    tail: &mut Tail,
    full: &mut Vec<FullBundle>,
    damaged: &dyn Fn(String) -> ReadError,
) -> Result<u64, ReadError> {
    if batch.first > tail.next() {
        return Err(damaged(format!("entry {} follows where entry {} should", batch.first, tail.next())));
    }
    let mut replayed = 0;
    // A segment begins with entries of the one before it; those are known.
    let known = (tail.next() - batch.first) as usize;
    for entry in bundle::entries(batch.body).skip(known) {
        let entry = entry.map_err(|_| damaged("an entry is longer than its batch".to_owned()))?;
        full.extend(tail.push(entry));
        replayed += 1;
    }
    Ok(replayed)
}

/// Checks that the journal begins where a bundle ends, and that this bundle is there.
fn check_integrated(disk: &dyn Disk, dir: &Path, oldest: SegmentName) -> Result<(), ReadError> {
    let first = oldest.first;
    if !first.is_multiple_of(ENTRIES_PER_BUNDLE) {
        let what = format!("no segment begins with entry {first}");
        return Err(ReadError::Damaged { file: oldest.path(dir), offset: 0, what });
    }
    let Some(last) = (first / ENTRIES_PER_BUNDLE).checked_sub(1) else { return Ok(()) };
    let file = dir.join(layout::entries_path(last));
    if disk::read(disk, &file, 1)?.is_none() {
        let what =
            format!("the journal begins with entry {first}, and this bundle must hold those before it");
        return Err(ReadError::MissingFile { file, what });
    }
    Ok(())
}

impl From<Torn> for Cut {
    fn from(torn: Torn) -> Self {
        let Torn { file, offset, bytes, what } = torn;
        Self { file: set_aside_path(&file), offset, bytes, what: what.to_owned() }
    }
}
