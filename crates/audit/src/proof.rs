//! A proof that one entry is in the log: a text to hand out, checked without the log.
//!
//! Source: C2SP tlog-proof. That format proves what the reader holds already; so that one file is enough, ours carries
//! the entry itself as the format's extra data ([`Reader::prove_whole`]). Other tools may ignore it: it is believed
//! for its hash, not for where it stands.

use bartizan_model::event::MAX_EVENT_BYTES;
use base64ct::{Base64, Encoding as _};

use crate::error::ReadError;
use crate::note::{Checkpoint, CheckpointError, MAX_NOTE_BYTES, VerifierKey};
use crate::reader::Reader;
use crate::tree::{TreeHash, verify_inclusion};

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";
/// A tree has at most so many levels above its leaves.
const MAX_HASHES: usize = 64;
/// Longest proof that is read: checkpoint, hashes, and an entry of the greatest length.
const MAX_PROOF_BYTES: usize = MAX_NOTE_BYTES + MAX_HASHES * 45 + MAX_EVENT_BYTES.div_ceil(3) * 4 + 100;

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
    /// It does not carry the entry that it is of.
    #[error("the proof does not carry its event; `bartizan log prove` makes one that does")]
    NoEntry,
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
        let (note, published) = self.published(index)?;
        self.write_proof(index, published, &note, "")
    }

    /// The same, with the entry itself in it: one file that [`open_proof`] checks with nothing else but the key.
    ///
    /// # Errors
    /// As [`Self::prove`].
    pub fn prove_whole(&self, index: u64) -> Result<String, ProveError> {
        let (note, published) = self.published(index)?;
        let entry = self.published_entry(index, published)?.ok_or_else(|| self.vanished(index))?;
        let extra = format!("extra {}\n", Base64::encode_string(&entry));
        self.write_proof(index, published, &note, &extra)
    }

    /// The checkpoint, which must cover entry `index`, and its tree size.
    fn published(&self, index: u64) -> Result<(String, u64), ProveError> {
        let note = self.checkpoint()?.unwrap_or_default();
        let published = match note.as_str() {
            "" => 0,
            note => Checkpoint::open_unverified(note)?.head.size,
        };
        if index >= published {
            return Err(ProveError::NotPublished { index, published });
        }
        Ok((note, published))
    }

    fn write_proof(&self, index: u64, published: u64, note: &str, extra: &str) -> Result<String, ProveError> {
        let hashes = self.published_proof(index, published)?;
        let hashes: String = hashes.iter().map(|hash| format!("{hash}\n")).collect();
        Ok(format!("{FIRST_LINE}\n{extra}index {index}\n{hashes}\n{note}"))
    }
}

/// Checks that `entry` (the bytes of [`crate::Entry`]) is in the log that `key` signs for.
///
/// # Errors
/// [`ProofError`]; then nothing is shown about the entry.
pub fn verify_proof(proof: &str, entry: &[u8], key: &VerifierKey) -> Result<Proven, ProofError> {
    Parts::read(proof)?.check(entry, key)
}

/// Checks a proof that carries its entry, and gives the entry: its bytes are in the log that `key` signs for.
///
/// # Errors
/// [`ProofError`]; then nothing is shown. [`ProofError::NoEntry`] for proofs without their entry.
pub fn open_proof(proof: &str, key: &VerifierKey) -> Result<(Proven, Vec<u8>), ProofError> {
    let parts = Parts::read(proof)?;
    let extra = parts.extra.ok_or(ProofError::NoEntry)?;
    let entry =
        Base64::decode_vec(extra).map_err(|_| ProofError::Malformed("its extra data is no base64"))?;
    Ok((parts.check(&entry, key)?, entry))
}

/// A proof as it is written, nothing of it believed.
struct Parts<'a> {
    extra: Option<&'a str>,
    index: u64,
    hashes: Vec<TreeHash>,
    note: &'a str,
}

impl<'a> Parts<'a> {
    fn read(proof: &'a str) -> Result<Self, ProofError> {
        let malformed = ProofError::Malformed;
        if proof.len() > MAX_PROOF_BYTES {
            return Err(malformed("it is too long"));
        }
        let (head, note) =
            proof.split_once("\n\n").ok_or(malformed("no empty line stands before its checkpoint"))?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(FIRST_LINE) {
            return Err(malformed("its first line is not c2sp.org/tlog-proof@v1"));
        }
        let extra =
            lines.next_if(|line| line.starts_with("extra ")).and_then(|line| line.strip_prefix("extra "));
        let digits =
            lines.next().and_then(|line| line.strip_prefix("index ")).ok_or(malformed("no index line"))?;
        let index: u64 = digits.parse().map_err(|_| malformed("its index is no number"))?;
        if index.to_string() != digits {
            return Err(malformed("its index is not written as it must be"));
        }
        let hashes: Result<Vec<TreeHash>, _> = lines.map(str::parse).collect();
        let hashes = hashes.map_err(|_| malformed("a line is no hash"))?;
        Ok(Self { extra, index, hashes, note })
    }

    fn check(&self, entry: &[u8], key: &VerifierKey) -> Result<Proven, ProofError> {
        let checkpoint = Checkpoint::open(self.note, key)?;
        let (leaf, head) = (TreeHash::of_entry(entry), checkpoint.head);
        if verify_inclusion(leaf, self.index, head.size, &self.hashes, head.root) {
            Ok(Proven { index: self.index, checkpoint })
        } else {
            Err(ProofError::NotIncluded)
        }
    }
}
