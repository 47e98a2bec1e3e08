//! What is known of a recording's files without reading what they hold.

use std::fs;

use super::RecordedSession;
use super::frames::Frames;
use crate::meta::Format;
use crate::{Closed, ReadError};

/// How far the files of a channel are what was recorded of it. What they hold is compared with nothing here:
/// [`RecordedSession::verify`] does that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The recording was closed in order, and the files are as long as its manifest says.
    Whole,
    /// There is no manifest: the session lives, or the server ended without it, or somebody removed it.
    Open,
    /// The recording was closed afterwards, because the server had stopped: the last second may be missing.
    Truncated,
    /// This file is missing, not as long as the manifest says, not in it, or ends within a frame though it was closed in order.
    Differs(String),
}

impl RecordedSession {
    /// How far what [`events`](Self::events) gives of a channel is all of it. A file that is missing counts for each channel.
    ///
    /// # Errors
    /// [`ReadError::Disk`] when a file cannot be read.
    pub fn condition(&self, channel: u32) -> Result<Condition, ReadError> {
        let Some(manifest) = &self.manifest else { return Ok(Condition::Open) };
        let whole = manifest.closed == Closed::Ended;
        if let Some(missing) = self.missing() {
            return Ok(Condition::Differs(missing.to_owned()));
        }
        let of_channel = self.channels.iter().filter(|one| one.channel == channel);
        for format in of_channel.flat_map(|one| &one.formats) {
            let name = format.file(channel);
            let path = self.folder.join(&name);
            let length = fs::metadata(&path).map_err(|e| ReadError::disk(&path, e))?.len();
            let listed = manifest.files.iter().find(|file| file.name == name);
            let same = listed.is_some_and(|file| file.bytes == length);
            if !same || whole && Frames::torn(&path).map_err(|e| ReadError::disk(&path, e))? {
                return Ok(Condition::Differs(name));
            }
        }
        Ok(if whole { Condition::Whole } else { Condition::Truncated })
    }

    /// A channel's file that the manifest names and that is not there.
    pub fn missing(&self) -> Option<&str> {
        let there = |name: &str| {
            Format::parse(name).is_none_or(|(channel, format)| {
                self.channels.iter().any(|one| one.channel == channel && one.formats.contains(&format))
            })
        };
        let names = self.manifest.iter().flat_map(|manifest| &manifest.files).map(|file| file.name.as_str());
        names.into_iter().find(|name| !there(name))
    }
}
