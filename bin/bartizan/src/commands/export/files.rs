//! `bartizan session export --format files`: the files that passed, out of the bytes that were kept.
//!
//! A recording holds what passed, not what was asked for, so the protocol is told by how both peers begin
//! ([`bartizan_decode::sniff`]). Names and places in a file are what peers said: names are made harmless, and bytes that lie
//! absurdly far apart are not written.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use bartizan_decode::{Decoder, ENOUGH, Observed, Options, Part, Sink, Stream as Way, sniff};
use bartizan_model::event::Body;
use bartizan_model::observation::{Direction, Transfer};
use bartizan_model::{SessionId, Sha256Hex};
use bartizan_record::{ReadError, RecordedSession, Stream, What, digest_file};
use serde::Serialize;

use crate::args::SessionExport;
use crate::commands::{Context, recordings};
use crate::failure::{Failure, Kind};
use crate::out::note;
use crate::table::{Table, normal};

/// No file that is written is longer than this, in bytes, holes included.
const LONGEST: u64 = 1 << 40;
/// Most characters of a file's own name in the name of what is written.
const NAME: usize = 80;

/// One file that was written.
#[derive(Debug, Serialize)]
struct Written {
    /// Its name in the folder.
    file: String,
    channel: u32,
    direction: Direction,
    /// As the peers named it, escaped.
    path: String,
    /// Bytes that passed.
    bytes: u64,
    /// Their digest, in the file's order; compare it with that of the `transfer` event.
    sha256: Option<Sha256Hex>,
    /// The digest of what was written, where it is another one: a part was read twice and was not the same, or bytes lie beyond
    /// what a file can hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    differs: Option<Sha256Hex>,
    /// What the target answered.
    status: String,
    /// The session, the channel or what was kept of it ended before the file did.
    partial: bool,
}

pub(super) fn run(context: &Context, args: &SessionExport, folder: &Path) -> Result<(), Failure> {
    if folder.exists() {
        return Err(Failure::failed(format!("{} exists already; nothing was written", folder.display()))
            .hint("name a folder that is to be made"));
    }
    let (id, session) = recordings::open(context, &args.id, "export files")?;
    if let Some(channel) = args.channel {
        recordings::channel(&session, Some(channel))?;
    }
    let mut extraction = Extraction::new(folder);
    let mut channels = Vec::new();
    for channel in session.channels() {
        if channel.has_bytes() && !channel.pty && args.channel.is_none_or(|asked| asked == channel.channel) {
            extraction.channel(&session, channel.channel)?;
            channels.push(channel.channel);
        }
    }
    let told = extraction.tell(context, id);
    // That evidence is gone counts for more than that nothing came out of it.
    recordings::whole(&session, &channels).and(told)
}

/// Files on their way into the folder.
struct Extraction<'a> {
    folder: &'a Path,
    made: bool,
    channel: u32,
    /// Those of the channel that have begun, by their number.
    begun: BTreeMap<u64, PathBuf>,
    written: Vec<Written>,
    /// The first error; nothing is written after it.
    error: Option<io::Error>,
    /// Bytes of the channel that lie beyond what a file can hold.
    beyond: bool,
}

impl<'a> Extraction<'a> {
    fn new(folder: &'a Path) -> Self {
        let (begun, written) = (BTreeMap::new(), Vec::new());
        Self { folder, made: false, channel: 0, begun, written, error: None, beyond: false }
    }

    /// Writes the files of one channel.
    fn channel(&mut self, session: &RecordedSession, channel: u32) -> Result<(), Failure> {
        self.channel = channel;
        let mut reading = Reading::Unknown { said: Vec::new(), input: Vec::new(), output: Vec::new() };
        let events = session.events(channel).map_err(|e| recordings::unreadable(&e))?;
        let mut damage = None;
        for event in events {
            let (stream, bytes) = match event {
                Ok(event) => match event.what {
                    What::Data(Stream::Input, bytes) => (Way::Input, bytes),
                    What::Data(Stream::Output, bytes) => (Way::Output, bytes),
                    // What follows is not there, and would be read as something else.
                    What::Capped => break,
                    _ => continue,
                },
                Err(error) => {
                    damage = Some(error);
                    break;
                }
            };
            reading = reading.feed(channel, stream, bytes, self);
            if let Some(error) = self.error.take() {
                let what = format!("cannot write into {}: {error}", self.folder.display());
                return Err(Failure::failed(what));
            }
        }
        if let Reading::Known(decoder) = reading {
            decoder.finish(None, self);
        }
        for file in std::mem::take(&mut self.begun).into_values() {
            // Nobody said what became of it: the decoder gave up before.
            note(&format!("channel {channel}: {} is of a file whose end was not understood", file.display()));
        }
        match damage {
            None => Ok(()),
            Some(error) => Err(told(&error, &self.written)),
        }
    }

    fn tell(self, context: &Context, id: SessionId) -> Result<(), Failure> {
        for one in self.written.iter().filter(|one| one.differs.is_some()) {
            note(&format!(
                "{} is not what has the digest: the bytes passed more than once, or in part",
                one.file
            ));
        }
        if self.beyond {
            note("bytes that a peer placed beyond 1 TiB of a file were not written");
        }
        if self.written.is_empty() {
            return Err(Failure::failed(format!("no file is in what was kept of session {id}")).hint(
                "`bartizan log search --type transfer --session ID` has names and digests; the grant's --record \
                 says how much of a channel is kept",
            ));
        }
        context.out.listing(&self.written, || {
            let titles =
                Table::new("no files").flexible("FILE").column("WAY").number("BYTES").flexible("SHA-256");
            let mut table = titles.flexible("STATUS");
            for one in &self.written {
                let way = match one.direction {
                    Direction::Upload => "upload",
                    Direction::Download => "download",
                };
                let mut status = one.status.clone();
                status.push_str(if one.partial { ", partial" } else { "" });
                status.push_str(if one.differs.is_some() { ", file differs" } else { "" });
                let sha256 = one.sha256.map_or_else(|| "-".to_owned(), |digest| digest.to_string());
                table.row([
                    normal(&one.file),
                    normal(way),
                    normal(one.bytes),
                    normal(sha256),
                    normal(status),
                ]);
            }
            table
        })
    }

    fn begin(&mut self, number: u64) -> io::Result<File> {
        if !std::mem::replace(&mut self.made, true) {
            DirBuilder::new().mode(0o700).create(self.folder)?;
        }
        let path = self
            .begun
            .entry(number)
            .or_insert_with(|| self.folder.join(format!("channel-{}-file-{number}", self.channel)));
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)
    }

    fn write(&mut self, Part { file, offset, bytes }: Part<'_>) -> io::Result<()> {
        if offset.saturating_add(bytes.len() as u64) > LONGEST {
            self.beyond = true;
            return Ok(());
        }
        self.begin(file)?.write_all_at(bytes, offset)
    }

    /// Gives a file its name.
    fn end(&mut self, transfer: Transfer, number: Option<u64>) -> io::Result<()> {
        let number = match number {
            Some(number) => number,
            // An empty file is a file; one that the target refused is none.
            None if transfer.bytes == 0 && transfer.status == "ok" => {
                drop(self.begin(u64::MAX)?);
                u64::MAX
            }
            None => return Ok(()),
        };
        let Some(from) = self.begun.remove(&number) else { return Ok(()) };
        let named = transfer.name.as_ref().unwrap_or(&transfer.path);
        let file = format!("{:03}-{}", self.written.len() + 1, harmless(named));
        let path = self.folder.join(&file);
        fs::rename(from, &path)?;
        let (_, found) = digest_file(&path)?;
        let differs = transfer.sha256.is_some_and(|sha256| sha256 != found).then_some(found);
        self.written.push(Written {
            differs,
            file,
            channel: self.channel,
            direction: transfer.direction,
            path: transfer.path,
            bytes: transfer.bytes,
            sha256: transfer.sha256,
            status: transfer.status,
            partial: transfer.partial,
        });
        Ok(())
    }
}

impl Sink for Extraction<'_> {
    fn observed(&mut self, observed: Observed) {
        let Body::Transfer(transfer) = observed.body else { return };
        if self.error.is_none() {
            self.error = self.end(transfer, observed.contents).err();
        }
    }

    fn contents(&mut self, part: Part<'_>) {
        if self.error.is_none() {
            self.error = self.write(part).err();
        }
    }
}

/// A channel that is read.
enum Reading {
    /// Too little has been said to know the protocol.
    Unknown {
        said: Vec<(Way, Vec<u8>)>,
        input: Vec<u8>,
        output: Vec<u8>,
    },
    Known(Decoder),
    /// No protocol that has files.
    Other,
}

impl Reading {
    fn feed(self, channel: u32, way: Way, bytes: Vec<u8>, sink: &mut Extraction<'_>) -> Self {
        let (mut said, mut input, mut output) = match self {
            Self::Known(mut decoder) => {
                decoder.feed(way, &bytes, sink);
                return Self::Known(decoder);
            }
            Self::Other => return Self::Other,
            Self::Unknown { said, input, output } => (said, input, output),
        };
        let begin = match way {
            Way::Input => &mut input,
            Way::Output => &mut output,
        };
        let missing = ENOUGH.saturating_sub(begin.len()).min(bytes.len());
        begin.extend_from_slice(&bytes[..missing]);
        said.push((way, bytes));
        let options = Options { contents: true, ..Options::default() };
        match sniff(channel, &input, &output, &options) {
            Some(mut decoder) => {
                said.iter().for_each(|(way, bytes)| decoder.feed(*way, bytes, sink));
                Self::Known(decoder)
            }
            None if input.len() >= ENOUGH && output.len() >= ENOUGH => Self::Other,
            // One who speaks alone does not transfer a file: a peer waits for the other at the beginning.
            None if said.len() > 64 => Self::Other,
            None => Self::Unknown { said, input, output },
        }
    }
}

/// Damage, and what was written before it.
fn told(error: &ReadError, written: &[Written]) -> Failure {
    let failure = recordings::unreadable(error);
    match written.len() {
        0 => failure,
        files => Failure::new(Kind::Evidence, format!("{failure}; {files} files were written before that")),
    }
}

/// The last part of a path, as a name that means nothing to any shell or file system.
fn harmless(path: &str) -> String {
    let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let fine = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' };
    let name: String = last.chars().take(NAME).map(fine).collect();
    if name.is_empty() { "file".into() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_put_in_their_places_and_none_into_places_that_peers_invent() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("out");
        let mut extraction = Extraction::new(&folder);
        let part = |offset, bytes| Part { file: 1, offset, bytes };
        extraction.contents(part(u64::MAX - 1, b"abc"));
        extraction.contents(part(LONGEST - 2, b"abc"));
        assert!(extraction.beyond && !folder.exists());
        for (offset, bytes) in [(2, &b"cd"[..]), (0, b"ab"), (1, b"B")] {
            extraction.contents(part(offset, bytes));
        }
        assert!(extraction.error.is_none());
        assert_eq!(fs::read(folder.join("channel-0-file-1")).unwrap(), b"aBcd");
    }

    #[test]
    fn a_file_that_is_not_what_has_the_digest_is_marked() {
        let temp = tempfile::tempdir().unwrap();
        let mut extraction = Extraction::new(temp.path());
        extraction.made = true;
        let packet = |kind: u8, fields: &[&[u8]]| {
            let body = fields.concat();
            [&(body.len() as u32 + 1).to_be_bytes()[..], &[kind], &body].concat()
        };
        let string = |bytes: &[u8]| [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat();
        let (id, ok) = ([0, 0, 0, 7], [0; 4]);
        let mut decoder =
            Decoder::for_subsystem(0, b"sftp", &Options { contents: true, ..Options::default() }).unwrap();
        let mut say = |way, bytes: Vec<u8>| decoder.feed(way, &bytes, &mut extraction);
        for readings in [&[b"same"][..], &[b"once", b"then"]] {
            say(Way::Input, packet(3, &[&id, &string(b"/f"), &[0, 0, 0, 1], &ok]));
            say(Way::Output, packet(102, &[&id, &string(b"h")]));
            for reading in readings {
                say(Way::Input, packet(5, &[&id, &string(b"h"), &[0; 8], &[0, 0, 0, 9]]));
                say(Way::Output, packet(103, &[&id, &string(*reading)]));
            }
            say(Way::Input, packet(4, &[&id, &string(b"h")]));
            say(Way::Output, packet(101, &[&id, &ok, &string(b""), &string(b"")]));
        }
        let [same, other] = &extraction.written[..] else { panic!("{:?}", extraction.written) };
        assert!(same.sha256.is_some() && same.differs.is_none());
        assert_eq!(fs::read(temp.path().join(&other.file)).unwrap(), b"then");
        assert_eq!(other.differs, Some(digest_file(&temp.path().join(&other.file)).unwrap().1));
        assert_ne!(other.differs, other.sha256);
    }

    #[test]
    fn a_disk_that_refuses_is_told_once_and_nothing_more_is_written() {
        let folder = Path::new("/proc/nowhere");
        let mut extraction = Extraction::new(folder);
        for offset in [0, 1] {
            extraction.contents(Part { file: 1, offset, bytes: b"a" });
            assert!(extraction.error.is_some());
        }
    }

    #[test]
    fn names_are_made_harmless() {
        for (path, name) in [
            ("/etc/passwd", "passwd"),
            ("../../x", "x"),
            ("a b;rm -rf $HOME", "a_b_rm_-rf__HOME"),
            ("/tmp/", "tmp"),
            ("/", "file"),
            ("\\x1b[31m", "_x1b_31m"),
            ("..", ".."),
        ] {
            assert_eq!(harmless(path), name, "{path}");
        }
        assert_eq!(harmless(&"é".repeat(500)), "_".repeat(NAME));
    }
}
