//! The directory as one file: what applying it changes.

use serde::{Deserialize, Serialize};

use super::ErrorReply;

/// `POST /v1/directory/apply`: how a directory file is applied. The body is the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyOptions {
    /// Change nothing, only tell what would change.
    #[serde(default)]
    pub dry_run: bool,
    /// Remove what the file does not have.
    #[serde(default)]
    pub prune: bool,
}

/// A line of the answer to [`ApplyOptions`]; the last one is no progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApplyLine {
    /// How far it is.
    Progress(ApplyProgress),
    /// The file is refused; nothing was changed.
    Refused(Vec<FileFault>),
    /// It did not work; nothing was changed.
    Failed(ErrorReply),
    /// It is done, or with a dry run it could be.
    Done(ApplyReport),
}

/// How far applying a file is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyProgress {
    /// What is being done.
    pub stage: String,
    /// How much of it is.
    pub done: u64,
    /// How much there is.
    pub of: u64,
}

/// Something wrong with a file. The snippet holds what the file holds: escape it before showing it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFault {
    /// Line, from 1.
    pub line: u64,
    /// Column in characters, from 1.
    pub column: u64,
    /// The line.
    pub snippet: String,
    /// What is wrong and what to write instead.
    pub what: String,
}

/// What applying a file changed, or with a dry run would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyReport {
    /// Whether nothing was changed because nothing should be.
    pub dry_run: bool,
    /// Records added.
    pub added: u64,
    /// Records changed.
    pub changed: u64,
    /// Records removed.
    pub removed: u64,
    /// Records that the file does not have and that stay.
    pub kept: u64,
    /// Each of the changes, by kind and name.
    pub changes: Vec<RecordDiff>,
}

/// What happens to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiffOp {
    /// It is new.
    Add,
    /// It is there and changes.
    Change,
    /// It goes.
    Remove,
}

/// The change of one record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordDiff {
    /// What happens to it.
    pub op: DiffOp,
    /// `role`, `ca`, `person`, `target`, `grant`.
    pub record: String,
    /// Its name, id or fingerprint.
    pub name: String,
    /// What changes in it; of a record that goes nothing is listed, but the credentials that go with a target.
    pub fields: Vec<FieldDiff>,
}

/// The change of one value of a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldDiff {
    /// The field.
    pub field: String,
    /// What it held and does not hold any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// What it holds now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}
