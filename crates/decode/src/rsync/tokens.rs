//! The contents of one file: parts as they are, and numbers of blocks that the receiver has.
//!
//! Source: `simple_send_token`, `send_deflated_token`, `send_zstd_token` and `send_compressed_token` of rsync 3.0 to 3.5.

use super::wire::{Fields, Read, fault};
use crate::head::split;

/// Flags of compressed contents: data of a length of 14 bits, and blocks by their numbers.
const DATA: u8 = 0x40;
const LONG: u8 = 0x20;
const LONG_RUN: u8 = 0x21;

/// What comes next.
pub(super) enum Token {
    End,
    /// So many bytes.
    Data(usize),
    /// Blocks that the receiver has.
    Blocks,
}

/// Reads the head of a part, of compressed contents or of plain ones.
pub(super) fn token(fields: &mut Fields<'_>, compressed: bool) -> Read<Token> {
    if !compressed {
        return Ok(match fields.int()?.cast_signed() {
            0 => Token::End,
            length @ 1.. => Token::Data(length.unsigned_abs() as usize),
            _ => Token::Blocks,
        });
    }
    match fields.byte()? {
        0 => Ok(Token::End),
        flag @ DATA..0x80 => {
            let low = fields.byte()?;
            Ok(Token::Data(usize::from(flag & 0x3F) << 8 | usize::from(low)))
        }
        LONG => fields.take(4).map(|_| Token::Blocks),
        LONG_RUN => fields.take(6).map(|_| Token::Blocks),
        0x80..0xC0 => Ok(Token::Blocks),
        0xC0.. => fields.take(2).map(|_| Token::Blocks),
        flag => fault(format!("a part of contents of kind {flag:#04x}")),
    }
}

/// What is left of a part.
#[derive(Default)]
pub(super) struct Left(pub(super) u64);

impl Left {
    /// Takes of the part what is there.
    pub(super) fn take<'i>(&mut self, input: &mut &'i [u8]) -> &'i [u8] {
        let taken = split(input, usize::try_from(self.0).unwrap_or(usize::MAX));
        self.0 -= taken.len() as u64;
        taken
    }
}
