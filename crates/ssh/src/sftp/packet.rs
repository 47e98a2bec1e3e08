//! Packets of the protocol: cutting them out of a stream, and making them.

use crate::wire::Writer;

/// Longest packet that is taken, in bytes without its length field: OpenSSH takes none longer.
pub(super) const MAX_PACKET: usize = 256 << 10;
/// Longest handle, in bytes (draft-ietf-secsh-filexfer-02 §6.2).
pub(super) const MAX_HANDLE: usize = 256;
/// A drained buffer above this capacity is given back.
const KEPT: usize = 64 << 10;

/// Packet types (draft-ietf-secsh-filexfer-02 §3).
pub(super) mod kind {
    pub(in super::super) const INIT: u8 = 1;
    pub(in super::super) const VERSION: u8 = 2;
    pub(in super::super) const OPEN: u8 = 3;
    pub(in super::super) const CLOSE: u8 = 4;
    pub(in super::super) const READ: u8 = 5;
    pub(in super::super) const WRITE: u8 = 6;
    pub(in super::super) const LSTAT: u8 = 7;
    pub(in super::super) const FSTAT: u8 = 8;
    pub(in super::super) const SETSTAT: u8 = 9;
    pub(in super::super) const FSETSTAT: u8 = 10;
    pub(in super::super) const OPENDIR: u8 = 11;
    pub(in super::super) const READDIR: u8 = 12;
    pub(in super::super) const REMOVE: u8 = 13;
    pub(in super::super) const MKDIR: u8 = 14;
    pub(in super::super) const RMDIR: u8 = 15;
    pub(in super::super) const REALPATH: u8 = 16;
    pub(in super::super) const STAT: u8 = 17;
    pub(in super::super) const RENAME: u8 = 18;
    pub(in super::super) const READLINK: u8 = 19;
    pub(in super::super) const SYMLINK: u8 = 20;
    pub(in super::super) const STATUS: u8 = 101;
    pub(in super::super) const HANDLE: u8 = 102;
    pub(in super::super) const DATA: u8 = 103;
    pub(in super::super) const NAME: u8 = 104;
    pub(in super::super) const ATTRS: u8 = 105;
    pub(in super::super) const EXTENDED: u8 = 200;
    pub(in super::super) const EXTENDED_REPLY: u8 = 201;
}

/// Status codes (draft-ietf-secsh-filexfer-02 §7).
///
/// The draft keeps the last two for clients. To targets we are one, and what became of our connection there is
/// exactly what the client is to be told; stock clients show the codes as their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Status {
    /// Done.
    Ok = 0,
    /// Nothing follows.
    Eof = 1,
    /// No such file.
    NoSuchFile = 2,
    /// Not permitted.
    PermissionDenied = 3,
    /// Any other failure.
    Failure = 4,
    /// A request that cannot be read.
    BadMessage = 5,
    /// There is no connection to the target.
    NoConnection = 6,
    /// There is no connection to the target any more.
    ConnectionLost = 7,
    /// Not supported.
    OpUnsupported = 8,
}

/// A packet longer or shorter than any may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an SFTP packet of {0} bytes")]
pub struct BadLength(pub u32);

/// Cuts a stream into packets. Holds at most one unfinished packet, besides what it was fed last.
#[derive(Debug, Default)]
pub(super) struct Packets {
    buffer: Vec<u8>,
    start: usize,
}

impl Packets {
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole packet without its length field: its type, and what follows.
    ///
    /// # Errors
    /// When the length is none that a packet may have. Nothing can be read after that.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, BadLength> {
        let rest = &self.buffer[self.start..];
        let Some((length, rest)) = rest.split_first_chunk() else { return Ok(self.short()) };
        let length = u32::from_be_bytes(*length);
        let bytes = usize::try_from(length).unwrap_or(usize::MAX);
        if !(1..=MAX_PACKET).contains(&bytes) {
            return Err(BadLength(length));
        }
        if rest.len() < bytes {
            return Ok(self.short());
        }
        let from = self.start + 4;
        self.start = from + bytes;
        Ok(Some(&self.buffer[from..self.start]))
    }

    fn short(&mut self) -> Option<&[u8]> {
        if self.start == self.buffer.len() {
            self.start = 0;
            self.buffer.clear();
            self.buffer.shrink_to(KEPT);
        }
        None
    }
}

/// Appends a packet of `kind`; `parts` follow the type.
pub(super) fn put_packet(out: &mut Vec<u8>, kind: u8, parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    // What comes in is at most MAX_PACKET long, and grows by the names of a target and a login.
    out.put_u32(u32::try_from(length + 1).unwrap_or(u32::MAX));
    out.put_u8(kind);
    parts.iter().for_each(|part| out.put(part));
}

/// A `string` by itself.
pub(super) fn string(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(4 + bytes.len());
    out.put_string(bytes);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_come_out_whole_however_they_are_cut() {
        let mut stream = Vec::new();
        put_packet(&mut stream, kind::INIT, &[&3u32.to_be_bytes()]);
        put_packet(&mut stream, kind::CLOSE, &[b"", b"ab", b"c"]);
        for chunk in 1..stream.len() {
            let (mut packets, mut seen) = (Packets::default(), Vec::new());
            for bytes in stream.chunks(chunk) {
                packets.feed(bytes);
                while let Some(packet) = packets.next().unwrap() {
                    seen.push(packet.to_vec());
                }
            }
            assert_eq!(seen, [&b"\x01\0\0\0\x03"[..], b"\x04abc"], "in chunks of {chunk}");
            assert!(packets.buffer.is_empty());
        }
    }

    #[test]
    fn lengths_that_no_packet_has_are_refused_before_anything_is_kept() {
        for length in [0, MAX_PACKET as u32 + 1, u32::MAX] {
            let mut packets = Packets::default();
            packets.feed(&length.to_be_bytes());
            assert_eq!(packets.next(), Err(BadLength(length)));
        }
        let mut packets = Packets::default();
        packets.feed(&(MAX_PACKET as u32).to_be_bytes());
        assert_eq!(packets.next(), Ok(None));
    }
}
