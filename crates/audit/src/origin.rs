//! What a log is called, and the file that says so.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::disk::{self, Disk};
use crate::error::OpenError;
use crate::layout;

/// The log's name for all time: the first line of its checkpoints (C2SP tlog-checkpoint), such as
/// `bartizan.example.com/node-1`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Origin(String);

/// A text that cannot be an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a log origin: expected 1 to 200 characters without spaces, `+` and control characters, such as bartizan.example.com/node-1"
)]
pub struct InvalidOrigin;

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let forbidden = |c: char| c.is_whitespace() || c.is_control() || c == '+';
        let valid = (1..=200).contains(&text.len()) && !text.contains(forbidden);
        valid.then(|| Self(text.to_owned())).ok_or(InvalidOrigin)
    }
}

impl TryFrom<String> for Origin {
    type Error = InvalidOrigin;
    fn try_from(text: String) -> Result<Self, InvalidOrigin> {
        text.parse()
    }
}

impl From<Origin> for String {
    fn from(origin: Origin) -> Self {
        origin.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// `log.json`: its presence makes a folder a log.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Description {
    format: u32,
    pub(crate) origin: Origin,
}

impl Description {
    /// Of a log that is made now.
    pub(crate) fn of(origin: &Origin) -> Self {
        Self { format: FORMAT, origin: origin.clone() }
    }
}

const FORMAT: u32 = 1;
const MAX_DESCRIPTION_BYTES: usize = 64 * 1024;

/// Reads `log.json`; none when the folder holds no log.
pub(crate) fn describe(disk: &dyn Disk, dir: &Path) -> Result<Option<Description>, OpenError> {
    let path = layout::description(dir);
    let Some(text) = disk::read(disk, &path, MAX_DESCRIPTION_BYTES)? else { return Ok(None) };
    let wrong = |reason: String| OpenError::Format { path: path.clone(), reason };
    let description: Description = serde_json::from_slice(&text).map_err(|e| wrong(e.to_string()))?;
    if description.format != FORMAT {
        return Err(wrong(format!("format {} was written by a later version", description.format)));
    }
    Ok(Some(description))
}
