//! Numbers of entries, and what stands in their place.
//!
//! Source: `write_ndx` and `read_ndx` of rsync 3.0 to 3.5.

use super::wire::{Fields, Read, fault};

/// What is spoken of next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Index {
    Entry(u32),
    /// The end of a list, or of a phase.
    Done,
    /// The list of a folder follows.
    Folder,
    NoMoreLists,
    /// How much was deleted follows.
    Deleted,
}

/// The last numbers: the next are told by their distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Numbers {
    positive: i64,
    negative: i64,
}

impl Default for Numbers {
    fn default() -> Self {
        Self { positive: -1, negative: 1 }
    }
}

impl Numbers {
    /// Reads the next number; gives what it means, and the last numbers with it.
    pub(super) fn read(mut self, fields: &mut Fields<'_>, version: u32) -> Read<(Index, Self)> {
        let number = match version {
            ..30 => i64::from(fields.int()?.cast_signed()),
            _ => self.packed(fields)?,
        };
        let index = match number {
            0.. => match u32::try_from(number) {
                Ok(number) if number < 1 << 31 => Index::Entry(number),
                _ => return fault(format!("an entry of number {number}")),
            },
            -1 => Index::Done,
            -2 => Index::NoMoreLists,
            -3 => Index::Deleted,
            ..=-101 => Index::Folder,
            number => return fault(format!("an entry of number {number}")),
        };
        Ok((index, self))
    }

    fn packed(&mut self, fields: &mut Fields<'_>) -> Read<i64> {
        let (mut first, mut last, mut sign) = (fields.byte()?, self.positive, 1);
        if first == 0 {
            return Ok(-1);
        }
        if first == 0xFF {
            (first, last, sign) = (fields.byte()?, self.negative, -1);
        }
        let number = match first {
            0xFE => match (fields.byte()?, fields.byte()?) {
                (high @ 0x80.., low) => {
                    let middle = i64::from(fields.word()?);
                    i64::from(high & 0x7F) << 24 | middle << 8 | i64::from(low)
                }
                (high, low) => last + (i64::from(high) << 8 | i64::from(low)),
            },
            distance => last + i64::from(distance),
        };
        // Numbers have 32 bits at the ends.
        if number >= 1 << 31 {
            return fault(format!("an entry of number {number}"));
        }
        match sign {
            1 => self.positive = number,
            _ => self.negative = number,
        }
        Ok(sign * number)
    }
}
