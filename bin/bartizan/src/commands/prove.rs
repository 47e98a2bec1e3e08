//! `bartizan log prove`, `log checkpoint` and `log verify --proof`: what leaves the data folder and still convinces.

use std::io::Write as _;
use std::path::Path;

use bartizan_audit::{Checkpoint, CheckpointError, ProveError, Reader, VerifierKey, open_proof};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Context, log, verify};
use crate::failure::{Failure, Kind};
use crate::out::{cell, count, note};

/// Longest proof or checkpoint that is read.
const MAX_BYTES: u64 = 1 << 20;

/// A checkpoint as JSON.
#[derive(Debug, Serialize)]
pub(crate) struct Signed {
    /// The log's name.
    pub(crate) origin: String,
    /// How many entries it covers.
    pub(crate) size: u64,
    /// The root over them.
    pub(crate) root: String,
}

impl From<&Checkpoint> for Signed {
    fn from(checkpoint: &Checkpoint) -> Self {
        let Checkpoint { origin, head } = checkpoint;
        Self { origin: origin.to_string(), size: head.size, root: head.root.to_string() }
    }
}

/// Writes a proof that one event is in the log.
pub(crate) fn prove(context: &Context, index: u64, output: Option<&Path>) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Proof<'a> {
        index: u64,
        proof: &'a str,
    }
    let reader = open(context)?;
    let proof = reader.prove_whole(index).map_err(|error| match error {
        ProveError::NotPublished { published: 0, .. } => Failure::failed(error.to_string())
            .hint("the server signs a checkpoint within a second of its start; start it once"),
        ProveError::NotPublished { published, .. } => Failure::failed(error.to_string())
            .hint(format!("events are counted from 0, so the last that can be proved is {}", published - 1)),
        ProveError::Checkpoint(error) => Failure::new(Kind::Evidence, format!("log/checkpoint: {error}")),
        ProveError::Read(error) => log::unreadable(&error),
    })?;
    // What does not verify here would not verify elsewhere: better said now.
    if let Ok(key) = verify::key_beside(&context.data) {
        open_proof(&proof, &key).map_err(|e| {
            Failure::new(Kind::Evidence, format!("the log does not prove its event {index}: {e}"))
                .hint("`bartizan log verify` tells what is wrong and where")
        })?;
    }
    match output {
        Some(path) => {
            write(path, &proof)?;
            note(&format!(
                "{} proves event {index} to whoever has the log's public key: bartizan log verify --proof {} --key KEY",
                path.display(),
                path.display()
            ));
            Ok(())
        }
        None => context.out.one(&Proof { index, proof: &proof }, || proof.clone()),
    }
}

/// Prints the signed checkpoint.
pub(crate) fn checkpoint(context: &Context, key: Option<&str>, output: Option<&Path>) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Note<'a> {
        #[serde(flatten)]
        signed: Signed,
        note: &'a str,
    }
    let reader = open(context)?;
    let Some(text) = reader.checkpoint().map_err(|e| log::unreadable(&e))? else {
        return Err(Failure::failed("nothing of this log was signed yet: there is no checkpoint")
            .hint("the server signs one within a second of its start"));
    };
    let key = verify::find_key(&context.data, key)?;
    let checkpoint = believe(&text, &key, "log/checkpoint")?;
    if let Some(path) = output {
        write(path, &text)?;
        note(&format!(
            "keep {} where the server cannot change it; later: bartizan log verify --since {}",
            path.display(),
            path.display()
        ));
        return Ok(());
    }
    context.out.one(&Note { signed: Signed::from(&checkpoint), note: &text }, || text.clone())
}

/// Reads a checkpoint that an auditor kept; `-` is standard input.
pub(crate) fn kept(path: &Path, key: &VerifierKey) -> Result<Checkpoint, Failure> {
    believe(&read(path, "checkpoint")?, key, &path.display().to_string())
}

/// Checks a proof that carries its event, with nothing else but the key.
pub(crate) fn check(context: &Context, path: &Path, key: Option<&str>) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Proven<'a> {
        index: u64,
        checkpoint: Signed,
        event: Option<&'a RawValue>,
    }
    let key = verify::find_key(&context.data, key)?;
    let (proven, entry) = open_proof(&read(path, "proof")?, &key)
        .map_err(|error| Failure::new(Kind::Evidence, format!("{}: {error}", path.display())))?;
    let checkpoint = Signed::from(&proven.checkpoint);
    if context.out.json {
        let event = serde_json::from_slice(&entry).ok();
        return context.out.value(&Proven { index: proven.index, checkpoint, event });
    }
    let Signed { origin, size, root } = checkpoint;
    context.out.text(&format!(
        "proved: this is event {} of the first {} of {}, root {root}\n{}{}\n",
        proven.index,
        count(size, "event"),
        cell(&origin),
        log::line(&entry, context.out),
        cell(&String::from_utf8_lossy(&entry)),
    ))
}

fn believe(text: &str, key: &VerifierKey, file: &str) -> Result<Checkpoint, Failure> {
    Checkpoint::open(text, key).map_err(|error: CheckpointError| {
        Failure::new(Kind::Evidence, format!("{file}: {error}"))
            .hint("is it the checkpoint of this log, and the key that of the log?")
    })
}

fn open(context: &Context) -> Result<Reader, Failure> {
    Reader::open(&context.data.join("log")).map_err(|e| log::unreadable(&e))
}

fn read(path: &Path, what: &str) -> Result<String, Failure> {
    super::text_file(path, MAX_BYTES, what)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let mut file = super::export::create(path)?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.flush())
        .map_err(|e| Failure::failed(format!("cannot write {}: {e}", path.display())))
}
