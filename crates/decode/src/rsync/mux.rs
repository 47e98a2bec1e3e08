//! The multiplexed stream: messages, each after four bytes of length and kind.

use crate::head::split;

/// What is added to the kind of each message (`MPLEX_BASE`).
const BASE: u8 = 7;
/// Kinds of messages that are looked at: data, what is said about errors, and names of what was deleted.
const DATA: u8 = 0;
const ERRORS: [u8; 4] = [1, 3, 5, 8];
const DELETED: u8 = 101;
/// The highest kind of any message.
const HIGHEST: u8 = 102;

/// Cuts one direction into messages and counts them.
#[derive(Default)]
pub(super) struct Mux {
    head: [u8; 4],
    seen: usize,
    left: usize,
    kind: u8,
    /// Bytes of data.
    pub(super) data: u64,
    /// Messages about errors.
    pub(super) errors: u64,
    /// Messages about deleted files.
    pub(super) deleted: u64,
}

impl Mux {
    /// Takes bytes up to the end of a message or its head; gives those that are data.
    pub(super) fn take<'i>(&mut self, bytes: &mut &'i [u8]) -> Result<&'i [u8], String> {
        if self.left > 0 {
            let taken = split(bytes, self.left);
            self.left -= taken.len();
            if self.kind != DATA {
                return Ok(&[]);
            }
            self.data += taken.len() as u64;
            return Ok(taken);
        }
        while let Some((byte, rest)) = bytes.split_first() {
            *bytes = rest;
            self.head[self.seen] = *byte;
            self.seen += 1;
            if self.seen == 4 {
                self.seen = 0;
                self.begin()?;
                break;
            }
        }
        Ok(&[])
    }

    /// Takes all of a stream that is not cut into messages: it is data.
    pub(super) fn plain<'i>(&mut self, bytes: &mut &'i [u8]) -> &'i [u8] {
        self.data += bytes.len() as u64;
        std::mem::take(bytes)
    }

    fn begin(&mut self) -> Result<(), String> {
        let [a, b, c, kind] = self.head;
        let kind = kind.checked_sub(BASE).filter(|kind| *kind <= HIGHEST);
        let Some(kind) = kind else {
            return Err(format!("not a message of rsync: {:02x?}", self.head));
        };
        (self.kind, self.left) = (kind, usize::from(c) << 16 | usize::from(b) << 8 | usize::from(a));
        self.errors += u64::from(ERRORS.contains(&kind));
        self.deleted += u64::from(kind == DELETED);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_counted_however_they_are_cut() {
        let stream = b"\x05\0\0\x07hello\x02\0\0\x0Aoh\0\0\0\x07\x03\0\0\x6Cabc";
        for size in 1..=stream.len() {
            let (mut mux, mut data) = (Mux::default(), Vec::new());
            for mut chunk in stream.chunks(size) {
                while !chunk.is_empty() {
                    data.extend_from_slice(mux.take(&mut chunk).unwrap());
                }
            }
            assert_eq!(data, b"hello");
            assert_eq!((mux.data, mux.errors, mux.deleted), (5, 1, 1), "chunks of {size}");
        }
        assert!(Mux::default().take(&mut &b"\0\0\0\x06"[..]).is_err());
        assert!(Mux::default().take(&mut &b"\0\0\0\x6E"[..]).is_err());
    }
}
