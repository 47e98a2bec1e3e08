//! The integrator thread: integrates what comes, and publishes a signed checkpoint from time to time.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bartizan_model::Timestamp;

use crate::backlog::Backlog;
use crate::bundle;
use crate::error::ReadError;
use crate::integrate::Integrator;
use crate::layout::ENTRIES_PER_BUNDLE;
use crate::note::{Checkpoint, Signer};
use crate::origin::Origin;
use crate::reader::Reader;
use crate::shared::Shared;
use crate::tree::TreeHash;

/// Signs checkpoints of what is durable.
pub(crate) struct Publisher {
    pub(crate) origin: Origin,
    pub(crate) signer: Signer,
    pub(crate) interval: Duration,
    /// Reads what is in no full bundle yet.
    pub(crate) reader: Reader,
    /// Tree size of the checkpoint that is in place, if one is.
    pub(crate) published: Option<u64>,
}

/// Full bundles wait so long for others to be written with.
const GATHER: Duration = Duration::from_millis(200);

/// On a full disk the integrator tries again after so long.
const FULL_PAUSE: Duration = Duration::from_secs(1);

/// Integrates and publishes until nothing more comes; then publishes all that there is.
///
/// # Errors
/// The first failure; the log is to be poisoned with it.
pub(crate) fn run(
    shared: &Shared,
    integrator: &mut Integrator,
    mut publisher: Option<Publisher>,
) -> Result<(), ReadError> {
    let patience = publisher.as_ref().map_or(Duration::from_secs(3600), |publisher| publisher.interval);
    let mut due = Instant::now();
    while let Some(bundles) = shared.backlog.take(patience, GATHER) {
        let prepared = integrator.prepare(bundles);
        while let Err(error) = integrator.complete(&prepared) {
            // On a full disk what is sequenced waits in the journal, whose segments stay.
            if !error.is_full() {
                return Err(error);
            }
            if shared.backlog.pause(FULL_PAUSE) {
                return Ok(());
            }
        }
        let integrated = integrator.integrated();
        shared.stats.integrated.store(integrated, Ordering::Relaxed);
        release(&shared.backlog, integrator)?;
        if let Some(publisher) = &mut publisher
            && due <= Instant::now()
            && shared.publishes()
        {
            publisher.publish_if_room(shared, integrator)?;
            due = Instant::now() + publisher.interval;
        }
    }
    if !shared.has_failed() {
        release(&shared.backlog, integrator)?;
    }
    match publisher {
        // A log that failed holds no more than what was published; its disk is not to be trusted with the rest.
        Some(mut publisher) if !shared.has_failed() && shared.publishes() => {
            publisher.publish_if_room(shared, integrator)
        }
        _ => Ok(()),
    }
}

/// Lets go of the segments whose entries are all in bundles.
fn release(backlog: &Backlog, integrator: &Integrator) -> Result<(), ReadError> {
    let integrated = integrator.integrated();
    let released = integrator.release(&backlog.segments(), integrated, None)?;
    backlog.released(released);
    Ok(())
}

impl Publisher {
    /// Publishes, unless the disk is full: then a later checkpoint says what this one would have.
    fn publish_if_room(&mut self, shared: &Shared, integrator: &mut Integrator) -> Result<(), ReadError> {
        let durable = shared.durable();
        match self.publish(integrator, durable) {
            Err(error) if error.is_full() => {}
            published => published?,
        }
        if self.published == Some(durable) {
            shared.stats.current_us.store(Timestamp::now().unix_micros(), Ordering::Relaxed);
        }
        shared.stats.published.store(self.published.unwrap_or(0), Ordering::Relaxed);
        Ok(())
    }

    /// Publishes a checkpoint of the durable entries, at most 255 of which are in no full bundle: where the
    /// integrator lags behind the head, the rest follows when it has caught up.
    fn publish(&mut self, integrator: &mut Integrator, head: u64) -> Result<(), ReadError> {
        let integrated = integrator.integrated();
        let size = if head - integrated < ENTRIES_PER_BUNDLE { head } else { integrated };
        if self.published == Some(size) {
            return Ok(());
        }
        let mut edge = integrator.edge().clone();
        let mut partial = Vec::new();
        let mut index = integrated;
        while index < size {
            let entries = self.reader.read(index, (size - index) as usize)?;
            if entries.is_empty() {
                return Err(self.reader.vanished(index));
            }
            for entry in entries {
                bundle::push(&mut partial, &entry.bytes);
                edge.push(TreeHash::of_entry(&entry.bytes));
                index += 1;
            }
        }
        integrator.write_partials(&edge, partial)?;
        let checkpoint = Checkpoint { origin: self.origin.clone(), head: edge.head() };
        integrator.write_checkpoint(&checkpoint.sign(&self.signer))?;
        self.published = Some(size);
        Ok(())
    }
}
