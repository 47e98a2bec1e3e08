//! Long digests on threads of their own, beside the one that carries the bytes.
//!
//! ```text
//!   a worker's thread: update ──► pieces, 4 at most on their way ──► digest's thread
//!                      finish ◄────────────────────────────────────  the digest
//! ```
//!
//! A large file costs its relay more for SHA-256 than for anything else, and it waits for the client and the target as
//! much as they wait for it: where a core is idle meanwhile, the digest is computed there. There are as many such
//! threads as cores at most, for all sessions together: with more long streams than that the cores have enough to do,
//! and the others' digests are computed where their bytes are. A digest that is behind holds up its worker, so memory
//! is bounded: six pieces of 256 KiB a thread.

use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SendError, Sender, SyncSender, channel, sync_channel};
use std::thread::{self, available_parallelism};

use bartizan_model::{Beside, BoxedDigest, Digesting, Sha256Hex};

/// Bytes that are handed over at once: a wake-up for each, and small enough for a cache of the second level.
const PIECE: usize = 256 << 10;
/// Pieces that may be on their way.
const AHEAD: usize = 4;

/// Threads that digest at present.
static BUSY: AtomicUsize = AtomicUsize::new(0);

/// Takes long digests to threads of their own, while there are fewer than cores.
pub const DIGESTS: Beside = Beside(start);

/// One of the threads that may be. Given back when dropped.
struct Place;

impl Place {
    fn take() -> Option<Self> {
        static CORES: OnceLock<usize> = OnceLock::new();
        let cores = *CORES.get_or_init(|| available_parallelism().map_or(1, NonZeroUsize::get));
        let more = |busy| (cores > 1 && busy < cores).then_some(busy + 1);
        BUSY.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok().map(|_| Self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        BUSY.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A digest that is computed by another thread. When it is dropped, that thread ends.
struct Elsewhere {
    piece: Vec<u8>,
    full: SyncSender<Vec<u8>>,
    empty: Receiver<Vec<u8>>,
    said: Receiver<Sha256Hex>,
}

fn start(digest: BoxedDigest) -> Result<BoxedDigest, BoxedDigest> {
    let Some(place) = Place::take() else { return Err(digest) };
    let (hand_over, taken) = channel();
    let (full, pieces) = sync_channel(AHEAD);
    let (used, empty) = channel();
    let (say, said) = channel();
    let work = move || {
        let _place = place;
        // Nothing is handed over to a thread that could not be made, and nobody may want to hear of a digest.
        if let Ok(digest) = taken.recv() {
            let _ = say.send(run(digest, &pieces, &used));
        }
    };
    if thread::Builder::new().name("digest".into()).spawn(work).is_err() {
        return Err(digest);
    }
    match hand_over.send(digest) {
        Ok(()) => Ok(Box::new(Elsewhere { piece: Vec::with_capacity(PIECE), full, empty, said })),
        Err(SendError(digest)) => Err(digest),
    }
}

fn run(mut digest: BoxedDigest, pieces: &Receiver<Vec<u8>>, used: &Sender<Vec<u8>>) -> Sha256Hex {
    while let Ok(mut piece) = pieces.recv() {
        digest.update(&piece);
        piece.clear();
        // After the last one nobody wants it back.
        let _ = used.send(piece);
    }
    digest.finish()
}

impl Digesting for Elsewhere {
    fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, rest) = bytes.split_at(bytes.len().min(PIECE - self.piece.len()));
            self.piece.extend_from_slice(now);
            bytes = rest;
            if self.piece.len() == PIECE {
                let next = self.empty.try_recv().unwrap_or_else(|_| Vec::with_capacity(PIECE));
                let full = std::mem::replace(&mut self.piece, next);
                self.full.send(full).unwrap_or_else(|_| broke_off());
            }
        }
    }

    fn finish(self: Box<Self>) -> Sha256Hex {
        let Self { piece, full, said, .. } = *self;
        full.send(piece).unwrap_or_else(|_| broke_off());
        drop(full);
        said.recv().unwrap_or_else(|_| broke_off())
    }
}

/// The thread of a digest panicked, so this connection does.
fn broke_off() -> ! {
    resume_unwind(Box::new("the thread of a digest broke off"))
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use bartizan_model::LongDigest;

    use super::*;

    /// What is said of the threads that are busy is said of all in the process.
    static ALONE: Mutex<()> = Mutex::new(());

    /// A digest that depends on the order of all bytes, and on nothing else.
    #[derive(Default)]
    struct Rolling(u64);

    impl Digesting for Rolling {
        fn update(&mut self, bytes: &[u8]) {
            for byte in bytes {
                self.0 = self.0.wrapping_mul(1_099_511_628_211) ^ u64::from(*byte);
            }
        }

        fn finish(self: Box<Self>) -> Sha256Hex {
            let mut out = [0; 32];
            out[..8].copy_from_slice(&self.0.to_le_bytes());
            Sha256Hex(out)
        }
    }

    fn digest(bytes: &[u8], step: usize, beside: Option<Beside>) -> Sha256Hex {
        let mut digest = LongDigest::<Rolling>::default();
        for piece in bytes.chunks(step) {
            digest.update(piece, beside);
        }
        digest.finish()
    }

    #[test]
    fn the_digest_is_the_same_wherever_it_is_computed() {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: Vec<u8> = (0..9 << 20).map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for length in [bytes.len(), (4 << 20) + 1, 4 << 20] {
            let here = digest(&bytes[..length], 32 << 10, None);
            for step in [1 << 20, 32 << 10, 9999] {
                assert_eq!(
                    digest(&bytes[..length], step, Some(DIGESTS)),
                    here,
                    "{length} in steps of {step}"
                );
            }
        }
    }

    #[test]
    fn there_are_no_more_threads_than_cores_and_each_is_given_back() {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let cores = available_parallelism().unwrap().get();
        let most = if cores > 1 { cores } else { 0 };
        let mut places = Vec::new();
        while let Some(place) = Place::take() {
            places.push(place);
            assert!(places.len() <= most);
        }
        assert!(start(Box::<Rolling>::default()).is_err(), "it is given back");
        places.clear();
        // A digest that nobody waits for gives its place back, too.
        drop(start(Box::<Rolling>::default()));
        while BUSY.load(Ordering::Relaxed) > 0 {
            thread::yield_now();
        }
    }
}
