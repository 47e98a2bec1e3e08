//! Reading recordings: live, ended or truncated.
//!
//! Recordings are foreign bytes here: they may have been cut, damaged or forged, so nothing is believed, no
//! length is allocated unchecked and nothing panics. What a file holds before its first fault is always given.

mod condition;
mod events;
mod frames;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bartizan_model::{Recording, Sha256Hex};
use serde::de::DeserializeOwned;

use crate::digest::Sha256;
use crate::meta::{
    ChannelDigests, Format, MANIFEST, MANIFEST_UNFINISHED, MAX_JSON_BYTES, META, Manifest, MetaFile,
    SessionMeta,
};
use crate::{Closed, ReadError};

pub use condition::Condition;
pub use events::{Event, Events, What};

/// One session's recording on disk.
#[derive(Clone, Debug)]
pub struct RecordedSession {
    folder: PathBuf,
    meta: Option<MetaFile>,
    /// The name of the file that counts as manifest.
    manifest_name: &'static str,
    manifest: Option<Manifest>,
    channels: Vec<RecordedChannel>,
}

/// One channel of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedChannel {
    /// The channel's ordinal in the session.
    pub channel: u32,
    /// Its type, escaped; empty where it is not known.
    pub kind: String,
    /// Whether it had a terminal.
    pub pty: bool,
    /// When it was opened, counted from the start of the session; `None` where it is not known.
    pub opened: Option<Duration>,
    /// What passed; `None` while the session lives and of truncated recordings.
    pub digests: Option<ChannelDigests>,
    formats: Vec<Format>,
}

impl RecordedChannel {
    /// True when bytes of the channel were kept.
    pub fn has_bytes(&self) -> bool {
        !self.formats.is_empty()
    }
}

impl RecordedSession {
    /// Opens the recording in `folder`.
    ///
    /// # Errors
    /// [`ReadError::NotFound`] when there is none, [`ReadError::Disk`] when the disk refuses. A missing or damaged
    /// `meta.json` or `manifest.json` is no error here, so that the channels can be read all the same.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, ReadError> {
        Self::open_with(folder.into(), MANIFEST)
    }

    /// Opens a recording that may have been left while it was closed: the manifest that the log binds by then has its
    /// unfinished name where there is none under the right one. What it says counts for as much as its digest does.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_closing(folder: impl Into<PathBuf>) -> Result<Self, ReadError> {
        let folder = folder.into();
        let name = if folder.join(MANIFEST).exists() { MANIFEST } else { MANIFEST_UNFINISHED };
        Self::open_with(folder, name)
    }

    fn open_with(folder: PathBuf, manifest_name: &'static str) -> Result<Self, ReadError> {
        let mut formats: BTreeMap<u32, Vec<Format>> = BTreeMap::new();
        for entry in fs::read_dir(&folder).map_err(|e| ReadError::disk(&folder, e))? {
            let entry = entry.map_err(|e| ReadError::disk(&folder, e))?;
            let file = entry.file_type().is_ok_and(|kind| kind.is_file());
            if let Some((channel, format)) =
                entry.file_name().to_str().filter(|_| file).and_then(Format::parse)
            {
                formats.entry(channel).or_default().push(format);
            }
        }
        let meta = optional(read_json(&folder.join(META)))?;
        let manifest: Option<Manifest> = optional(read_json(&folder.join(manifest_name)))?;
        let mut session = Self { folder, meta, manifest_name, manifest, channels: Vec::new() };
        session.channels = session.list(formats);
        Ok(session)
    }

    /// Joins what the manifest, the names of the files and their headers say.
    fn list(&self, mut formats: BTreeMap<u32, Vec<Format>>) -> Vec<RecordedChannel> {
        let mut channels = Vec::new();
        for listed in self.manifest.iter().flat_map(|manifest| &manifest.channels) {
            let mut formats = formats.remove(&listed.channel).unwrap_or_default();
            formats.sort_unstable();
            channels.push(RecordedChannel {
                channel: listed.channel,
                kind: listed.kind.clone(),
                pty: listed.pty,
                opened: Some(Duration::from_micros(listed.opened_us)),
                digests: Some(listed.digests),
                formats,
            });
        }
        for (channel, mut formats) in formats {
            formats.sort_unstable();
            let header = formats.first().and_then(|format| events::header(&self.folder, channel, *format));
            let (kind, opened) = header.map_or((String::new(), None), |h| (h.kind, Some(h.opened)));
            let pty = formats.contains(&Format::Cast);
            channels.push(RecordedChannel { channel, kind, pty, opened, digests: None, formats });
        }
        channels.sort_by_key(|channel| channel.channel);
        channels
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Who, where and when; `None` when the process ended before it was written.
    pub fn meta(&self) -> Option<&SessionMeta> {
        self.meta.as_ref().map(|meta| &meta.session)
    }

    /// What the grant said about the recording.
    pub fn policy(&self) -> Option<Recording> {
        self.meta.as_ref().map(|meta| meta.record)
    }

    /// How the recording was closed; `None` when it was not: the session lives, or the server ended without it.
    pub fn closed(&self) -> Option<Closed> {
        self.manifest.as_ref().map(|manifest| manifest.closed)
    }

    /// The list of files, once the recording is closed.
    pub fn manifest(&self) -> Option<&Manifest> {
        self.manifest.as_ref()
    }

    /// The channels, in the order in which they were opened.
    pub fn channels(&self) -> &[RecordedChannel] {
        &self.channels
    }

    /// The channel people mean when they name none: the first with a terminal, else the first with bytes.
    pub fn main_channel(&self) -> Option<&RecordedChannel> {
        let with_bytes = || self.channels.iter().filter(|channel| channel.has_bytes());
        with_bytes().find(|channel| channel.pty).or_else(|| with_bytes().next())
    }

    /// The events of a channel, from its beginning.
    ///
    /// # Errors
    /// [`ReadError::NoChannel`] when there is no such channel, [`ReadError::Disk`] when a file cannot be opened.
    pub fn events(&self, channel: u32) -> Result<Events, ReadError> {
        let found =
            self.channels.iter().find(|c| c.channel == channel).ok_or(ReadError::NoChannel(channel))?;
        Events::open(&self.folder, channel, &found.formats)
    }

    /// The files of the manifest that are missing or differ from it, in its order. Reads them all.
    ///
    /// # Errors
    /// [`ReadError::Disk`] when a file that exists cannot be read; [`ReadError::NotFound`] and [`ReadError::Damaged`]
    /// when there is no manifest or it is none.
    pub fn verify(&self) -> Result<Vec<String>, ReadError> {
        let manifest: Manifest = read_json(&self.folder.join(self.manifest_name))?;
        let mut differing = Vec::new();
        for file in manifest.files {
            let plain = Path::new(&file.name).components().count() == 1 && !file.name.starts_with('.');
            let path = self.folder.join(&file.name);
            let same = plain
                && match digest_file(&path) {
                    Ok(found) => found == (file.bytes, file.sha256),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => false,
                    Err(error) => return Err(ReadError::disk(&path, error)),
                };
            if !same {
                differing.push(file.name);
            }
        }
        Ok(differing)
    }
}

fn optional<T>(read: Result<T, ReadError>) -> Result<Option<T>, ReadError> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(ReadError::NotFound(_) | ReadError::Damaged { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Opens a plain file: never a pipe that would wait, a device, or a link to elsewhere.
fn open_plain(path: &Path) -> io::Result<File> {
    if !fs::symlink_metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a plain file"));
    }
    File::open(path)
}

/// Reads one of the small JSON files.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, ReadError> {
    let file = open_plain(path).map_err(|e| ReadError::disk(path, e))?;
    let mut json = Vec::new();
    file.take(MAX_JSON_BYTES).read_to_end(&mut json).map_err(|e| ReadError::disk(path, e))?;
    serde_json::from_slice(&json).map_err(|_| ReadError::Damaged {
        path: path.to_owned(),
        offset: 0,
        reason: "not the JSON that belongs here",
    })
}

/// The length in bytes and the SHA-256 of a whole file.
///
/// # Errors
/// When it cannot be read, or is no plain file: a pipe is not waited for, and a link not followed.
pub fn digest_file(path: &Path) -> io::Result<(u64, Sha256Hex)> {
    let mut file = open_plain(path)?;
    let mut digest = Sha256::default();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((digest.bytes(), digest.finish())),
            Ok(read) => digest.update(buffer.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
