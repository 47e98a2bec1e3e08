//! The multiplexed stream: messages, each after four bytes of length and kind.

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
    /// Takes bytes up to the end of a message or its head.
    pub(super) fn take(&mut self, bytes: &mut &[u8]) -> Result<(), String> {
        if self.left > 0 {
            let most = self.left.min(bytes.len());
            *bytes = &bytes[most..];
            self.left -= most;
            if self.kind == DATA {
                self.data += most as u64;
            }
            return Ok(());
        }
        while let Some((byte, rest)) = bytes.split_first() {
            *bytes = rest;
            self.head[self.seen] = *byte;
            self.seen += 1;
            if self.seen == 4 {
                self.seen = 0;
                return self.begin();
            }
        }
        Ok(())
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
            let mut mux = Mux::default();
            for mut chunk in stream.chunks(size) {
                while !chunk.is_empty() {
                    mux.take(&mut chunk).unwrap();
                }
            }
            assert_eq!((mux.data, mux.errors, mux.deleted), (5, 1, 1), "chunks of {size}");
        }
        assert!(Mux::default().take(&mut &b"\0\0\0\x06"[..]).is_err());
        assert!(Mux::default().take(&mut &b"\0\0\0\x6E"[..]).is_err());
    }
}
