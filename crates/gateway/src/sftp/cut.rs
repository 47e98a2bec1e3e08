//! Cutting packets out of a stream and letting them pass, or not, without copying what passes.

use super::{Broken, kind};

/// Longest request other than WRITE, in bytes. The longest that makes sense names two paths of 4 KiB each.
const MAX_REQUEST: usize = 32 << 10;
/// Longest WRITE and longest answer, in bytes: more than any peer sends.
const MAX_PACKET: usize = 16 << 20;
/// Longest handle, in bytes (draft-ietf-secsh-filexfer-02 §6.2).
pub(super) const MAX_HANDLE: usize = 256;

/// A chunk on its way, and what goes on in its place once it differs.
pub(super) struct Flow<'a> {
    bytes: &'a [u8],
    at: usize,
    onward: &'a mut Vec<u8>,
    changed: bool,
}

impl<'a> Flow<'a> {
    pub(super) fn new(bytes: &'a [u8], onward: &'a mut Vec<u8>) -> Self {
        Self { bytes, at: 0, onward, changed: false }
    }

    pub(super) const fn is_changed(&self) -> bool {
        self.changed
    }

    fn left(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// Begins to differ from the chunk.
    fn change(&mut self) {
        if !self.changed {
            self.changed = true;
            self.onward.extend_from_slice(&self.bytes[..self.at]);
        }
    }

    fn pass(&mut self, count: usize) {
        if self.changed {
            self.onward.extend_from_slice(&self.bytes[self.at..self.at + count]);
        }
        self.at += count;
    }

    fn skip(&mut self, count: usize) {
        self.change();
        self.at += count;
    }

    /// Puts in what is not in the chunk.
    pub(super) fn insert(&mut self, bytes: &[u8]) {
        self.change();
        self.onward.extend_from_slice(bytes);
    }
}

/// The beginning of a packet, or all of it.
pub(super) struct Head {
    /// Type and what follows it, as far as it was asked for.
    pub(super) bytes: Vec<u8>,
    /// Bytes of the packet after these.
    rest: usize,
    /// The bytes are still in the chunk.
    fresh: bool,
}

/// What becomes of a packet of the target.
pub(super) enum Pass {
    /// It goes on.
    On,
    /// This goes on instead.
    Not(Vec<u8>),
}

/// One direction of a stream, cut into packets.
#[derive(Default)]
pub(super) struct Cutter {
    /// The beginning of a packet that is not there whole.
    held: Vec<u8>,
    /// What is left of the packet whose beginning was decided about.
    rest: usize,
    /// That goes on.
    passes: bool,
}

impl Cutter {
    /// Bytes that came and were not decided about.
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    /// True when what went on so far ends with a whole packet.
    pub(super) const fn is_between(&self) -> bool {
        self.rest == 0 || !self.passes
    }

    /// Goes on with the packet that was decided about; true when there is no more of it.
    pub(super) fn finish(&mut self, flow: &mut Flow<'_>) -> bool {
        let count = self.rest.min(flow.left().len());
        match self.passes {
            true => flow.pass(count),
            false if count > 0 => flow.skip(count),
            false => {}
        }
        self.rest -= count;
        self.rest == 0
    }

    /// The beginning of the next packet, as much of it as `needed` asks for; none until more bytes come. The packet
    /// before must be finished.
    pub(super) fn next(
        &mut self,
        flow: &mut Flow<'_>,
        needed: impl Fn(&[u8]) -> Result<usize, Broken>,
    ) -> Result<Option<Head>, Broken> {
        let mut need = 5_usize;
        loop {
            let fresh = self.held.is_empty();
            if !fresh {
                let missing = need.saturating_sub(self.held.len()).min(flow.left().len());
                self.held.extend_from_slice(&flow.left()[..missing]);
                flow.skip(missing);
            }
            let seen = if fresh { flow.left() } else { &self.held };
            let Some(head) = seen.get(..need) else {
                let left = flow.left();
                if fresh && !left.is_empty() {
                    self.held.extend_from_slice(left);
                    flow.skip(left.len());
                }
                return Ok(None);
            };
            let more = needed(head)?;
            if more > need {
                need = more;
                continue;
            }
            let whole = number(head, 0) as usize + 4;
            return Ok(Some(Head { bytes: head[4..].to_vec(), rest: whole.saturating_sub(need), fresh }));
        }
    }

    /// Lets a packet go on.
    pub(super) fn pass(&mut self, flow: &mut Flow<'_>, head: &Head) {
        match head.fresh {
            true => flow.pass(head.bytes.len() + 4),
            false => flow.insert(&std::mem::take(&mut self.held)),
        }
        (self.rest, self.passes) = (head.rest, true);
    }

    /// Lets a packet not go on.
    pub(super) fn drop(&mut self, flow: &mut Flow<'_>, head: &Head) {
        match head.fresh {
            true => flow.skip(head.bytes.len() + 4),
            false => self.held.clear(),
        }
        (self.rest, self.passes) = (head.rest, false);
    }

    /// Lets another packet go on instead.
    pub(super) fn replace(&mut self, flow: &mut Flow<'_>, head: &Head, packet: &[u8]) {
        self.drop(flow, head);
        flow.insert(packet);
    }
}

/// How much of a request must be there to be judged.
pub(super) fn request_head(seen: &[u8]) -> Result<usize, Broken> {
    let whole = length(seen, MAX_PACKET)?;
    if seen[4] != kind::WRITE {
        return if whole > MAX_REQUEST { Err(too_long(whole)) } else { Ok(whole) };
    }
    let need = match seen.len() {
        0..13 => 13,
        _ if number(seen, 9) as usize > MAX_HANDLE => {
            return Err(Broken(format!("a handle of {} bytes", number(seen, 9))));
        }
        _ => 13 + number(seen, 9) as usize + 12,
    };
    let contents = if seen.len() == need { number(seen, need - 4) as usize } else { 0 };
    if need.saturating_add(contents) > whole {
        Err(Broken("a field reaches beyond its packet".into()))
    } else {
        Ok(need)
    }
}

/// How much of an answer must be there; `wanted` tells how much of the answer to a request, at most.
pub(super) fn answer_head(seen: &[u8], wanted: impl Fn(u32) -> usize) -> Result<usize, Broken> {
    let whole = length(seen, MAX_PACKET)?;
    let need = match seen.len() {
        _ if whole < 9 => return Err(Broken(format!("an answer of {whole} bytes"))),
        0..9 => 9,
        _ => match seen[4] {
            kind::HANDLE | kind::NAME => whole.min(wanted(number(seen, 5)).max(9)),
            kind::DATA => 13,
            _ => 9,
        },
    };
    if need > whole { Err(Broken("a field reaches beyond its packet".into())) } else { Ok(need) }
}

fn length(seen: &[u8], most: usize) -> Result<usize, Broken> {
    match number(seen, 0) as usize {
        0 => Err(Broken("a packet of 0 bytes".into())),
        length if length > most => Err(too_long(length)),
        length => Ok(length + 4),
    }
}

fn too_long(length: usize) -> Broken {
    Broken(format!("a packet of {length} bytes"))
}

/// A big-endian number that is there; 0 if it is not.
pub(super) fn number(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|bytes| bytes.first_chunk()).map_or(0, |four| u32::from_be_bytes(*four))
}
