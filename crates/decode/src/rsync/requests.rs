//! What a client that fetches says, after the setup: filters, names of files. What it then asks for, the target answers.
//!
//! ```text
//!  [length filter]… 0   [name\0]… \0   requests
//! ```
//! Source: `send_filter_list` and `forward_filesfrom_data` of rsync 3.0 to 3.5.

use crate::text;

/// Longest filter. rsync takes none longer than a path.
const MAX_FILTER: u32 = 64 << 10;
/// What keeping a name costs besides its bytes.
const NAME: usize = 64;

/// Reads the data of a client that fetches.
pub(super) struct Requests {
    step: Step,
    /// What of a number or a name has come, as far as it is kept.
    buffer: Vec<u8>,
    has_names: bool,
    /// The first names, how many there are, and how many bytes of them are kept at most.
    names: Vec<Vec<u8>>,
    count: u64,
    left: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Length,
    Filter { left: u32 },
    Names,
    Requests,
}

impl Requests {
    /// Whether names of files come (`--files-from=-`). So many bytes of them are kept.
    pub(super) fn new(has_names: bool, most: usize) -> Self {
        let (step, buffer, names) = (Step::Length, Vec::new(), Vec::new());
        Self { step, buffer, has_names, names, count: 0, left: most }
    }

    /// The names as they came: the first of them, and how many there were.
    pub(super) fn names(&self) -> (&[Vec<u8>], u64) {
        (&self.names, self.count)
    }

    /// Whether names come next.
    pub(super) fn in_names(&self) -> bool {
        self.step == Step::Names
    }

    /// Takes names up to their end; gives how many bytes they are.
    pub(super) fn take_names(&mut self, bytes: &mut &[u8]) -> u64 {
        let before = bytes.len();
        while let (Step::Names, Some((byte, rest))) = (self.step, bytes.split_first()) {
            self.name(*byte);
            *bytes = rest;
        }
        (before - bytes.len()) as u64
    }

    /// Takes data.
    ///
    /// # Errors
    /// What is not understood; what follows it is left.
    pub(super) fn take(&mut self, bytes: &mut &[u8]) -> Result<(), String> {
        while let Some((byte, rest)) = bytes.split_first() {
            match self.step {
                Step::Length => {
                    self.buffer.push(*byte);
                    *bytes = rest;
                    self.length()?;
                }
                Step::Filter { left } => {
                    let skipped = bytes.len().min(left as usize);
                    *bytes = &bytes[skipped..];
                    let left = left - skipped as u32;
                    self.step = if left == 0 { Step::Length } else { Step::Filter { left } };
                }
                Step::Names => {
                    self.name(*byte);
                    *bytes = rest;
                }
                Step::Requests => *bytes = &[],
            }
        }
        Ok(())
    }

    /// The length of a filter; zero ends them.
    fn length(&mut self) -> Result<(), String> {
        let Ok(four) = <[u8; 4]>::try_from(self.buffer.as_slice()) else { return Ok(()) };
        self.buffer.clear();
        self.step = match u32::from_le_bytes(four) {
            0 if self.has_names => Step::Names,
            0 => Step::Requests,
            left @ ..=MAX_FILTER => Step::Filter { left },
            length => return Err(format!("a filter of {length} bytes")),
        };
        Ok(())
    }

    /// A byte of a name; an empty one ends them.
    fn name(&mut self, byte: u8) {
        match (byte, self.buffer.is_empty()) {
            (0, true) => self.step = Step::Requests,
            (0, false) => {
                let name = std::mem::take(&mut self.buffer);
                self.count += 1;
                match self.left.checked_sub(name.len() + NAME) {
                    Some(left) => {
                        self.left = left;
                        self.names.push(name);
                    }
                    // Those that are kept are the first.
                    None => self.left = 0,
                }
            }
            (byte, _) if self.buffer.len() <= text::PATH_BYTES => self.buffer.push(byte),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_however_they_are_cut() {
        let filters = b"\x03\0\0\0- x\0\0\0\0";
        let names = b"a\0dir/b c\0\0";
        for (has_names, follows) in [(false, &b"\0\0\x02"[..]), (true, b""), (true, b"\xFF\xFF\xFF\xFF")] {
            let said = [&filters[..], if has_names { names } else { b"" }, follows].concat();
            for size in 1..=said.len() {
                let mut requests = Requests::new(has_names, 10_000);
                said.chunks(size).for_each(|mut chunk| requests.take(&mut chunk).unwrap());
                let expected: &[&[u8]] = if has_names { &[b"a", b"dir/b c"] } else { &[] };
                assert_eq!(requests.names().0, expected, "{follows:?} in chunks of {size}");
            }
        }
    }

    #[test]
    fn names_are_counted_when_they_are_kept_no_more() {
        let mut requests = Requests::new(true, 1000);
        requests
            .take(
                &mut [&[0; 4][..], &b"name\0".repeat(1000), &[b'x'; 100_000], b"\0\0\x01"]
                    .concat()
                    .as_slice(),
            )
            .unwrap();
        let (kept, count) = requests.names();
        assert!((1..100).contains(&kept.len()), "{}", kept.len());
        assert_eq!(count, 1001);
        assert!(Requests::new(false, 0).take(&mut &b"\xFF\xFF\xFF\xFF"[..]).is_err());
    }
}
