//! A proof that one entry is in the log: a text to hand out, checked without the log.
//!
//! Source: C2SP tlog-proof. The extra data of that format is neither written nor looked at.

use crate::error::ReadError;
use crate::note::{Checkpoint, CheckpointError, MAX_NOTE_BYTES, VerifierKey};
use crate::reader::Reader;
use crate::tree::{TreeHash, verify_inclusion};

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";
/// A tree has at most so many levels above its leaves.
const MAX_HASHES: usize = 64;

/// Why no proof can be made.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// The entry is in no signed checkpoint yet, or there is no such entry.
    #[error("entry {index} is not published: the checkpoint covers {published} entries")]
    NotPublished {
        /// The entry's index.
        index: u64,
        /// Tree size of the checkpoint; 0 when there is none.
        published: u64,
    },
    /// The checkpoint's file is none.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Why a proof proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// It has not the form of a proof.
    #[error("not a proof of inclusion: {0}")]
    Malformed(&'static str),
    /// Its checkpoint is not believed.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The entry is not at that index of that log.
    #[error("the proof is not one for this entry: entry, proof or checkpoint was changed")]
    NotIncluded,
}

/// What a proof has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// The entry's index.
    pub index: u64,
    /// The signed checkpoint that covers it.
    pub checkpoint: Checkpoint,
}

impl Reader {
    /// Writes a proof that entry `index` is in the published log, against the present checkpoint.
    ///
    /// # Errors
    /// [`ProveError::NotPublished`] until a checkpoint covers the entry, at most a second after it became durable.
    pub fn prove(&self, index: u64) -> Result<String, ProveError> {
        let note = self.checkpoint()?.unwrap_or_default();
        let published = match note.as_str() {
            "" => 0,
            note => Checkpoint::open_unverified(note)?.head.size,
        };
        if index >= published {
            return Err(ProveError::NotPublished { index, published });
        }
        let hashes = self.inclusion_proof(index, published)?;
        let hashes: String = hashes.iter().map(|hash| format!("{hash}\n")).collect();
        Ok(format!("{FIRST_LINE}\nindex {index}\n{hashes}\n{note}"))
    }
}

/// Checks that `entry` (the bytes of [`crate::Entry`]) is in the log that `key` signs for.
///
/// # Errors
/// [`ProofError`]; then nothing is shown about the entry.
pub fn verify_proof(proof: &str, entry: &[u8], key: &VerifierKey) -> Result<Proven, ProofError> {
    let malformed = ProofError::Malformed;
    if proof.len() > MAX_NOTE_BYTES + MAX_HASHES * 45 {
        return Err(malformed("it is too long"));
    }
    let (head, note) =
        proof.split_once("\n\n").ok_or(malformed("no empty line stands before its checkpoint"))?;
    let mut lines = head.split('\n').peekable();
    if lines.next() != Some(FIRST_LINE) {
        return Err(malformed("its first line is not c2sp.org/tlog-proof@v1"));
    }
    lines.next_if(|line| line.starts_with("extra "));
    let digits =
        lines.next().and_then(|line| line.strip_prefix("index ")).ok_or(malformed("no index line"))?;
    let index: u64 = digits.parse().map_err(|_| malformed("its index is no number"))?;
    if index.to_string() != digits {
        return Err(malformed("its index is not written as it must be"));
    }
    let hashes: Result<Vec<TreeHash>, _> = lines.map(str::parse).collect();
    let hashes = hashes.map_err(|_| malformed("a line is no hash"))?;
    let checkpoint = Checkpoint::open(note, key)?;
    let leaf = TreeHash::of_entry(entry);
    if verify_inclusion(leaf, index, checkpoint.head.size, &hashes, checkpoint.head.root) {
        Ok(Proven { index, checkpoint })
    } else {
        Err(ProofError::NotIncluded)
    }
}
