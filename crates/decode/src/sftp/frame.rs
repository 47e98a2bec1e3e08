//! Cutting SFTP packets out of a stream, without copying the contents of files.

use super::wire::{Malformed, kind};
use crate::Stream;
use crate::head::{Head, split};

/// Longest packet that is read as one, in bytes: OpenSSH takes none longer.
const MAX_PACKET: usize = 256 << 10;
/// Longest packet whose contents pass through, in bytes: more than any server takes.
const MAX_STREAMED: usize = 16 << 20;
/// Longest handle, in bytes (draft-ietf-secsh-filexfer-02 §6.2).
const MAX_HANDLE: usize = 256;
/// What a stream gives next.
pub(super) enum Piece<'a> {
    /// A whole packet: its type, and what follows it.
    Packet(u8, &'a [u8]),
    /// A WRITE begins.
    Write { id: u32, handle: &'a [u8], offset: u64, length: u32 },
    /// A DATA reply begins.
    Data { id: u32, length: u32 },
    /// Bytes of the file.
    Bytes(&'a [u8]),
    /// The file's bytes of this packet are all.
    End,
    /// The beginning of a reply whose contents do not matter.
    Reply { kind: u8, id: u32 },
}

/// Cuts one direction of an SFTP stream into packets. Contents of files are never copied.
pub(super) struct Framer {
    stream: Stream,
    head: Head,
    /// Where the packet began that was read last, and where it ends.
    start: u64,
    end: u64,
    /// What is left of the packet that passes through.
    rest: Rest,
}

#[derive(Clone, Copy)]
enum Rest {
    Nothing,
    /// Bytes of a file, and what follows them in the packet.
    Bytes {
        left: usize,
        then: usize,
    },
    Skip(usize),
}

impl Framer {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream, head: Head::default(), start: 0, end: 0, rest: Rest::Nothing }
    }

    /// How many bytes of the stream came before the packet that was read last.
    pub(super) const fn start(&self) -> u64 {
        self.start
    }

    /// The next piece of the stream, taken from `input`; none when it needs more.
    pub(super) fn next<'s, 'i: 's>(
        &'s mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<Piece<'s>>, Malformed> {
        match self.rest {
            Rest::Bytes { left: 0, then } => {
                self.rest = if then == 0 { Rest::Nothing } else { Rest::Skip(then) };
                return Ok(Some(Piece::End));
            }
            Rest::Bytes { left, then } if !input.is_empty() => {
                let bytes = split(input, left);
                self.rest = Rest::Bytes { left: left - bytes.len(), then };
                return Ok(Some(Piece::Bytes(bytes)));
            }
            Rest::Bytes { .. } => return Ok(None),
            Rest::Skip(left) => {
                let left = left - split(input, left).len();
                self.rest = if left == 0 { Rest::Nothing } else { Rest::Skip(left) };
            }
            Rest::Nothing => {}
        }
        if matches!(self.rest, Rest::Skip(_)) {
            return Ok(None);
        }
        self.start = self.end;
        let mut need = 5;
        loop {
            let Some(seen) = self.head.peek(input, need) else { return Ok(None) };
            match needed(self.stream, seen)? {
                more if more > need => need = more,
                _ => break,
            }
        }
        let head = self.head.take(input, need);
        self.end = self.start + u64::from(number(head, 0)) + 4;
        let (rest, piece) = piece(self.stream, head);
        self.rest = rest;
        Ok(Some(piece))
    }
}

/// How much of the packet must be there before it can be read, given its beginning.
fn needed(stream: Stream, seen: &[u8]) -> Result<usize, Malformed> {
    let length = number(seen, 0);
    let whole = (length as usize).saturating_add(4);
    let kind = seen.get(4).copied().unwrap_or_default();
    let streamed = match stream {
        Stream::Input => kind == kind::WRITE,
        Stream::Output => matches!(kind, kind::DATA | kind::NAME | kind::ATTRS | kind::EXTENDED_REPLY),
    };
    if length == 0 || whole > if streamed { MAX_STREAMED } else { MAX_PACKET } {
        return Err(Malformed::Length(length));
    }
    let head = match kind {
        _ if !streamed => return Ok(whole),
        kind::NAME | kind::ATTRS | kind::EXTENDED_REPLY => 9,
        kind::DATA => 13,
        _ if seen.len() < 13 => 13,
        _ if number(seen, 9) as usize > MAX_HANDLE => return Err(Malformed::Handle(number(seen, 9))),
        _ => 13 + number(seen, 9) as usize + 12,
    };
    let counted = matches!(kind, kind::WRITE | kind::DATA) && head > 13 || kind == kind::DATA;
    let contents = if counted && seen.len() >= head { number(seen, head - 4) as usize } else { 0 };
    if head.saturating_add(contents) > whole {
        return Err(Malformed::Field(kind));
    }
    Ok(head)
}

/// Reads the head of a packet that [`Framer::needed`] found whole.
fn piece(stream: Stream, head: &[u8]) -> (Rest, Piece<'_>) {
    let whole = number(head, 0) as usize + 4;
    let kind = head[4];
    let contents = |length: u32| Rest::Bytes {
        left: length as usize,
        then: whole.saturating_sub(head.len() + length as usize),
    };
    match (stream, kind) {
        (Stream::Input, kind::WRITE) => {
            let (handle, tail) = head[13..].split_at(head.len() - 25);
            let length = number(tail, 8);
            let offset = u64::from(number(tail, 0)) << 32 | u64::from(number(tail, 4));
            (contents(length), Piece::Write { id: number(head, 5), handle, offset, length })
        }
        (Stream::Output, kind::DATA) => {
            let length = number(head, 9);
            (contents(length), Piece::Data { id: number(head, 5), length })
        }
        (Stream::Output, kind::NAME | kind::ATTRS | kind::EXTENDED_REPLY) => {
            (Rest::Skip(whole - head.len()), Piece::Reply { kind, id: number(head, 5) })
        }
        _ => (Rest::Nothing, Piece::Packet(kind, &head[5..])),
    }
}

/// A big-endian number that is there; 0 if it is not.
fn number(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|bytes| bytes.first_chunk()).map_or(0, |four| u32::from_be_bytes(*four))
}
