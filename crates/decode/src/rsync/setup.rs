//! What comes before the multiplexed stream.
//!
//! ```text
//!  client  [arguments]  version  [checksums] [compressions]        data
//!  server  version  [flags]  [checksums] [compressions]  seed      data
//! ```
//! With a daemon, a dialogue of lines comes first, and takes the place of the versions.

use super::arguments::Asked;
use crate::{Stream, text};

/// Protocol versions that are read: of rsync 3.0 to 3.5, and what they speak with older ones.
const VERSIONS: std::ops::RangeInclusive<u32> = 27..=32;
/// The protocol from which on there are flags, and clients multiplex.
const FLAGS: u32 = 30;
/// The flag of servers that agree on algorithms by name (`CF_VARINT_FLIST_FLAGS`).
const BY_NAME: u32 = 1 << 7;
/// What an end does that answers before it was asked.
pub(super) const EARLY: &str = "an end does not wait for the other";
/// Longest line of a dialogue with a daemon.
const MAX_LINE: usize = 4 << 10;
/// What remembering an argument costs of the budget for names, besides its bytes.
const WORD: usize = 256;

/// Where both ends are.
pub(super) struct Setup {
    input: Half,
    output: Half,
    compression: bool,
    checksum: bool,
    /// What arguments inside the stream have cost of the budget for names, besides their bytes, and what it is.
    words: usize,
    most: usize,
    /// Whether the next list of arguments is the first for a daemon.
    daemons: bool,
    flags: Option<u32>,
}

struct Half {
    step: Step,
    buffer: Vec<u8>,
    version: Option<u32>,
    /// Names of the digests and compressions that this end has, those that it likes first.
    checksums: Option<Vec<u8>>,
    compressions: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Lines of a daemon's dialogue.
    Lines,
    /// Arguments, each ended by a zero byte, all of them by an empty one.
    Arguments,
    Version,
    /// What the ends can do, from the server.
    Flags,
    Checksums,
    Compressions,
    Seed,
    Done,
}

impl Setup {
    pub(super) fn new(asked: &Asked, most: usize) -> Self {
        let half =
            |step| Half { step, buffer: Vec::new(), version: None, checksums: None, compressions: None };
        let (input, output) = match (asked.daemon, asked.secluded) {
            (true, _) => (Step::Lines, Step::Lines),
            (false, true) => (Step::Arguments, Step::Version),
            (false, false) => (Step::Version, Step::Version),
        };
        Self {
            input: half(input),
            output: half(output),
            compression: asked.names_compression,
            checksum: asked.names_checksum,
            words: 0,
            most,
            daemons: asked.daemon,
            flags: None,
        }
    }

    /// The version both ends speak.
    pub(super) fn version(&self) -> Option<u32> {
        Some(self.input.version?.min(self.output.version?))
    }

    /// What both ends can do, from protocol 30 on.
    pub(super) const fn flags(&self) -> u32 {
        match self.flags {
            Some(flags) => flags,
            None => 0,
        }
    }

    /// Whether both ends agree on algorithms by name, and write flags as one number.
    pub(super) const fn by_name(&self) -> bool {
        self.flags() & BY_NAME != 0
    }

    /// The digest that both ends agree on; none where they do not by name.
    ///
    /// # Errors
    /// An end has not said yet what it has, or they have nothing in common.
    pub(super) fn checksum(&self) -> Result<Option<&[u8]>, String> {
        let asked = self.by_name() && self.checksum;
        asked.then(|| common(&self.input.checksums, &self.output.checksums)).transpose()
    }

    /// The same for the compression.
    ///
    /// # Errors
    /// As those of [`checksum`](Self::checksum).
    pub(super) fn compression(&self) -> Result<Option<&[u8]>, String> {
        let asked = self.by_name() && self.compression;
        asked.then(|| common(&self.input.compressions, &self.output.compressions)).transpose()
    }

    /// Whether a stream has come to its data; resolves what comes next from what both ends have said.
    pub(super) fn done(&mut self, stream: Stream) -> Result<bool, String> {
        let (version, flags) = (self.version(), self.flags);
        let (checksum, compression) = (self.checksum, self.compression);
        let let_in = self.output.step != Step::Lines;
        let half = self.half_mut(stream);
        if !half.buffer.is_empty() {
            return Ok(false);
        }
        let early = || EARLY.to_owned();
        // The server ends its setup with a seed, the client with nothing.
        let last = if stream == Stream::Output { Step::Seed } else { Step::Done };
        if stream == Stream::Input && half.step == Step::Lines && let_in {
            half.step = Step::Arguments;
        }
        if half.step == Step::Flags {
            let old = version.ok_or_else(early)? < FLAGS;
            if old || stream == Stream::Input {
                half.step = if old { last } else { Step::Checksums };
            }
        }
        if half.step == Step::Checksums {
            let by_name = flags.ok_or_else(early)? & BY_NAME != 0;
            if !by_name || !checksum {
                half.step = if by_name { Step::Compressions } else { last };
            }
        }
        if half.step == Step::Compressions && !compression {
            half.step = last;
        }
        Ok(half.step == Step::Done)
    }

    /// Whether it is known what a daemon is asked for, which a client says inside the stream.
    pub(super) const fn arguments_known(&self) -> bool {
        !self.daemons
    }

    /// Whether the protocol cuts what the client sends into no messages.
    pub(super) fn input_is_plain(&self) -> bool {
        self.version().is_none_or(|version| version < FLAGS)
    }

    const fn half_mut(&mut self, stream: Stream) -> &mut Half {
        match stream {
            Stream::Input => &mut self.input,
            Stream::Output => &mut self.output,
        }
    }

    /// Takes one byte more, and whatever is whole with it. There are a few hundred of them.
    pub(super) fn take(
        &mut self,
        stream: Stream,
        bytes: &mut &[u8],
        asked: &mut Asked,
    ) -> Result<(), String> {
        let Some((byte, rest)) = bytes.split_first() else { return Ok(()) };
        *bytes = rest;
        let half = self.half_mut(stream);
        half.buffer.push(*byte);
        let step = half.step;
        let buffer = std::mem::take(&mut half.buffer);
        let next = match step {
            Step::Lines => self.line(stream, &buffer, asked)?,
            Step::Arguments => self.arguments(&buffer, asked)?,
            Step::Version => self.binary_version(stream, &buffer)?,
            Step::Flags => varint(&buffer).map(|flags| {
                self.flags = Some(flags);
                Step::Checksums
            }),
            Step::Checksums => whole_names(&buffer).map(|names| {
                self.half_mut(stream).checksums = Some(names.to_vec());
                Step::Compressions
            }),
            Step::Compressions => whole_names(&buffer).map(|names| {
                self.half_mut(stream).compressions = Some(names.to_vec());
                if stream == Stream::Input { Step::Done } else { Step::Seed }
            }),
            Step::Seed => (buffer.len() == 4).then_some(Step::Done),
            Step::Done => None,
        };
        match next {
            Some(next) => self.half_mut(stream).step = next,
            None => self.half_mut(stream).buffer = buffer,
        }
        Ok(())
    }

    /// A line of the dialogue with a daemon.
    fn line(&mut self, stream: Stream, buffer: &[u8], asked: &mut Asked) -> Result<Option<Step>, String> {
        let Some(line) = buffer.strip_suffix(b"\n") else {
            return match buffer.len() >= MAX_LINE {
                true => Err(format!("a line of {MAX_LINE} bytes and more")),
                false => Ok(None),
            };
        };
        let greeting = line.strip_prefix(b"@RSYNCD: ");
        let digits = greeting.and_then(|rest| rest.split(|byte| !byte.is_ascii_digit()).next());
        let version = digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        if let (Some(version), None) = (version, self.half_mut(stream).version) {
            self.half_mut(stream).version = Some(checked(version)?);
            return Ok(Some(Step::Lines));
        }
        match stream {
            Stream::Output if greeting == Some(b"OK") => Ok(Some(Step::Flags)),
            Stream::Input if asked.module.is_none() => {
                asked.module = Some(line.to_vec());
                Ok(Some(Step::Lines))
            }
            // After the module a client answers a question for its password, or names its arguments.
            _ => Ok(Some(Step::Lines)),
        }
    }

    /// Arguments inside the stream.
    fn arguments(&mut self, buffer: &[u8], asked: &mut Asked) -> Result<Option<Step>, String> {
        if buffer.ends_with(b"\0") {
            self.words += WORD;
        }
        if buffer.len().saturating_add(self.words) > self.most {
            return Err("more arguments than are remembered".to_owned());
        }
        if buffer != b"\0" && !buffer.ends_with(b"\0\0") {
            return Ok(None);
        }
        let words: Vec<_> = buffer.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
        // The program's name stands first, but not in what a daemon is asked for first.
        let daemons = std::mem::take(&mut self.daemons);
        let words = words.get(usize::from(!daemons)..words.len().saturating_sub(2)).unwrap_or_default();
        asked.add(words);
        (self.compression, self.checksum) = (asked.names_compression, asked.names_checksum);
        if daemons && asked.secluded {
            return Ok(Some(Step::Arguments));
        }
        Ok(Some(if self.input.version.is_some() { Step::Flags } else { Step::Version }))
    }

    fn binary_version(&mut self, stream: Stream, buffer: &[u8]) -> Result<Option<Step>, String> {
        let Ok(four) = <[u8; 4]>::try_from(buffer) else { return Ok(None) };
        self.half_mut(stream).version = Some(checked(u32::from_le_bytes(four))?);
        Ok(Some(Step::Flags))
    }
}

fn checked(version: u32) -> Result<u32, String> {
    match version {
        version if version < *VERSIONS.start() => Err(format!("rsync protocol {version}")),
        // What is newer speaks no newer one than the other end, which may be known.
        version if version > 255 => {
            Err(format!("not a version of rsync: {}", text::message(&version.to_le_bytes())))
        }
        version => Ok(version),
    }
}

/// A number of one to five bytes; none while it is not whole.
pub(super) fn varint(bytes: &[u8]) -> Option<u32> {
    let first = *bytes.first()?;
    let extra = match first {
        0..0x80 => 0,
        0x80..0xC0 => 1,
        0xC0..0xE0 => 2,
        0xE0..0xF0 => 3,
        _ => 4,
    };
    let rest = bytes.get(1..=extra)?;
    let mask = if extra == 4 { 0 } else { (1_u32 << (7 - extra)) - 1 };
    let low = rest.iter().rev().fold(0_u32, |value, byte| value << 8 | u32::from(*byte));
    Some((u32::from(first) & mask).checked_shl(8 * extra as u32).unwrap_or(0) | low)
}

/// A list of names, once it is whole: its length stands first, in one byte or two.
fn whole_names(bytes: &[u8]) -> Option<&[u8]> {
    match bytes {
        [high, low, names @ ..] if *high >= 0x80 => {
            names.get(..usize::from(high & 0x7F) << 8 | usize::from(*low))
        }
        [length, names @ ..] if *length < 0x80 => names.get(..usize::from(*length)),
        _ => None,
    }
}

/// The first name of the client's that the server has, too.
fn common<'h>(client: &'h Option<Vec<u8>>, server: &Option<Vec<u8>>) -> Result<&'h [u8], String> {
    let (Some(client), Some(server)) = (client, server) else { return Err(EARLY.to_owned()) };
    let names = |list: &'h [u8]| list.split(|byte| *byte == b' ').filter(|name| !name.is_empty());
    let has = |name: &[u8]| server.split(|byte| *byte == b' ').any(|known| known.eq_ignore_ascii_case(name));
    names(client).find(|name| has(name)).ok_or_else(|| "no algorithm in common".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_to_five_bytes() {
        let table: [(&[u8], Option<u32>); 8] = [
            (b"", None),
            (&[0x7F], Some(127)),
            (&[0x81], None),
            (&[0x81, 0xFF], Some(0x1FF)),
            (&[0xC1, 2, 3], Some(0x01_03_02)),
            (&[0xE1, 2, 3, 4], Some(0x01_04_03_02)),
            (&[0xF0, 1, 2, 3, 4], Some(0x04_03_02_01)),
            (&[0xFF, 1, 2, 3], None),
        ];
        for (bytes, number) in table {
            assert_eq!(varint(bytes), number, "{bytes:?}");
        }
    }
}
