//! Numbers and names as rsync writes them, in pieces that are read once they are whole.
//!
//! Source: `read_varint`, `read_varlong`, `read_longint` and `read_vstring` of rsync 3.0 to 3.5.

use crate::head::split;

/// Why a piece is not read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// It has so many bytes at least.
    Short(usize),
    /// It is not understood.
    Fault(String),
}

pub(super) type Read<T> = Result<T, Unread>;

/// What is not understood, in words.
pub(super) fn fault<T>(why: impl Into<String>) -> Read<T> {
    Err(Unread::Fault(why.into()))
}

/// Reads the fields of a piece one after the other.
pub(super) struct Fields<'b> {
    bytes: &'b [u8],
    at: usize,
    /// Whether numbers are written in the fewest bytes, as from protocol 30 on.
    packed: bool,
}

impl<'b> Fields<'b> {
    pub(super) fn take(&mut self, length: usize) -> Read<&'b [u8]> {
        let end = self.at.saturating_add(length);
        let taken = self.bytes.get(self.at..end).ok_or(Unread::Short(end))?;
        self.at = end;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Read<u8> {
        Ok(self.little(1)? as u8)
    }

    pub(super) fn word(&mut self) -> Read<u16> {
        Ok(self.little(2)? as u16)
    }

    pub(super) fn int(&mut self) -> Read<u32> {
        Ok(self.little(4)? as u32)
    }

    /// A number of so many bytes, the lowest first.
    fn little(&mut self, length: usize) -> Read<u64> {
        Ok(self.take(length)?.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    /// A number of one to five bytes.
    pub(super) fn varint(&mut self) -> Read<u32> {
        let (high, extra) = self.first(4)?;
        Ok((self.little(extra)? | high << (8 * extra)) as u32)
    }

    /// A number of so many bytes at least, and nine at most.
    pub(super) fn varlong(&mut self, least: usize) -> Read<u64> {
        let (high, extra) = self.first(9 - least)?;
        let low = least - 1 + extra;
        let value = self.little(low)?;
        Ok(if low < 8 { value | high << (8 * low) } else { value })
    }

    /// What the first byte of a number says: its highest bits, and how many bytes are added.
    fn first(&mut self, most: usize) -> Read<(u64, usize)> {
        let first = self.byte()?;
        let extra = match first {
            0..0x80 => 0,
            0x80..0xC0 => 1,
            0xC0..0xE0 => 2,
            0xE0..0xF0 => 3,
            0xF0..0xF8 => 4,
            0xF8..0xFC => 5,
            _ => 6,
        };
        if extra > most {
            return fault(format!("a number that begins with {first:#04x}"));
        }
        let mask = if extra == 0 { 0xFF } else { (1_u64 << (8 - extra)) - 1 };
        Ok((u64::from(first) & mask, extra))
    }

    /// A number: of four bytes before protocol 30, then of one to five.
    pub(super) fn number(&mut self) -> Read<u32> {
        if self.packed { self.varint() } else { self.int() }
    }

    /// A long number: of four bytes or twelve before protocol 30, then of `least` to nine.
    pub(super) fn long(&mut self, least: usize) -> Read<u64> {
        if self.packed {
            return self.varlong(least);
        }
        match self.int()? {
            u32::MAX => self.little(8),
            number => Ok(u64::from(number)),
        }
    }

    /// A text after its length, which is one byte or two.
    pub(super) fn vstring(&mut self) -> Read<&'b [u8]> {
        let length = match self.byte()? {
            high @ 0x80.. => usize::from(high & 0x7F) << 8 | usize::from(self.byte()?),
            length => usize::from(length),
        };
        self.take(length)
    }

    /// A text after its length of one byte.
    pub(super) fn short_text(&mut self) -> Read<()> {
        let length = self.byte()?;
        self.take(length.into()).map(drop)
    }
}

/// Collects a piece that comes in several chunks.
pub(super) struct Gather {
    buffer: Vec<u8>,
    need: usize,
    packed: bool,
}

impl Gather {
    /// For a protocol whose numbers are written in the fewest bytes, or not.
    pub(super) const fn new(packed: bool) -> Self {
        Self { buffer: Vec::new(), need: 0, packed }
    }

    /// Reads a piece, once it is whole. Takes from `input` what belongs to it, and no more.
    ///
    /// # Errors
    /// What is not understood; what was read of it is taken.
    pub(super) fn read<T>(
        &mut self,
        input: &mut &[u8],
        read: impl Fn(&mut Fields<'_>) -> Read<T>,
    ) -> Result<Option<T>, String> {
        while !input.is_empty() {
            let whole = self.buffer.is_empty();
            if !whole {
                let missing = self.need.saturating_sub(self.buffer.len());
                self.buffer.extend_from_slice(split(input, missing));
                if self.buffer.len() < self.need {
                    return Ok(None);
                }
            }
            let bytes = if whole { *input } else { &self.buffer };
            let mut fields = Fields { bytes, at: 0, packed: self.packed };
            let (done, at) = (read(&mut fields), fields.at);
            match done {
                Err(Unread::Short(need)) => {
                    self.need = need;
                    if whole {
                        self.buffer.extend_from_slice(std::mem::take(input));
                    }
                }
                done => {
                    if whole {
                        split(input, at);
                    }
                    self.buffer.clear();
                    return match done {
                        Ok(value) => Ok(Some(value)),
                        Err(Unread::Fault(why)) => Err(why),
                        Err(Unread::Short(_)) => Ok(None),
                    };
                }
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T>(bytes: &[u8], packed: bool, read: impl Fn(&mut Fields<'_>) -> Read<T>) -> Read<T> {
        let mut fields = Fields { bytes, at: 0, packed };
        let value = read(&mut fields)?;
        assert_eq!(fields.at, bytes.len(), "{bytes:02x?} is one number");
        Ok(value)
    }

    #[test]
    fn numbers_are_as_long_as_they_say() {
        let varints: [(&[u8], u32); 6] = [
            (&[0x7F], 127),
            (&[0x81, 0xFF], 0x1FF),
            (&[0xC1, 2, 3], 0x01_03_02),
            (&[0xE1, 2, 3, 4], 0x01_04_03_02),
            (&[0xF0, 1, 2, 3, 4], 0x04_03_02_01),
            (&[0xF0, 0xFF, 0xFF, 0xFF, 0xFF], u32::MAX),
        ];
        for (bytes, number) in varints {
            assert_eq!(read(bytes, true, |fields| fields.varint()), Ok(number), "{bytes:02x?}");
        }
        let longs: [(&[u8], usize, bool, u64); 8] = [
            (&[0, 5, 0], 3, true, 5),
            (&[0x01, 2, 3], 3, true, 0x01_03_02),
            (&[0x81, 2, 3, 4], 3, true, 0x01_04_03_02),
            // 5 GiB.
            (&[0xC1, 0, 0, 0, 0x40], 3, true, 5 << 30),
            (&[0x65, 1, 2, 3], 4, true, 0x65_03_02_01),
            (&[0xF8, 1, 2, 3, 4, 5, 6, 7, 8], 4, true, 0x08_07_06_05_04_03_02_01),
            (&[5, 0, 0, 0], 3, false, 5),
            (&[0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0x40, 1, 0, 0, 0], 3, false, 5 << 30),
        ];
        for (bytes, least, packed, number) in longs {
            assert_eq!(read(bytes, packed, |fields| fields.long(least)), Ok(number), "{bytes:02x?}");
        }
        assert!(matches!(read(&[0xF8], true, |fields| fields.varint()), Err(Unread::Fault(_))));
        assert_eq!(read(&[0xE1, 0], true, |fields| fields.varint()), Err(Unread::Short(4)));
    }

    #[test]
    fn a_piece_is_read_however_it_is_cut_and_nothing_after_it() {
        let said = b"\x03abc\x81\x02rest";
        for size in 1..=said.len() {
            let (mut gather, mut found) = (Gather::new(true), None);
            let mut left = Vec::new();
            for mut chunk in said.chunks(size) {
                if found.is_none() {
                    let piece = |fields: &mut Fields<'_>| Ok((fields.vstring()?.to_vec(), fields.varint()?));
                    found = gather.read(&mut chunk, piece).unwrap();
                }
                left.extend_from_slice(chunk);
            }
            assert_eq!(found, Some((b"abc".to_vec(), 0x102)), "chunks of {size}");
            assert_eq!(left, b"rest");
        }
    }
}
