//! Pieces of what the end sends that has the files, besides entries of lists and contents.
//!
//! Source: `send_filter_list`, `send_id_list`, `write_ndx_and_attrs`, `write_sum_head` and `handle_stats` of rsync 3.0 to 3.5.

use super::index::{Index, Numbers};
use super::wire::{Fields, Read, fault};

/// Longest filter. rsync takes none longer than a path.
const MAX_FILTER: u32 = 64 << 10;
/// Flags of an entry that is spoken of: what follows them, and that its contents do.
const BASIS: u32 = 1 << 11;
pub(super) const OTHER_NAME: u32 = 1 << 12;
pub(super) const LOCAL: u32 = 1 << 14;
pub(super) const CONTENTS: u32 = 1 << 15;
pub(super) const ATTRIBUTES: u32 = 1 << 8;

/// An entry that is spoken of, or what stands in its place.
pub(super) struct Spoken {
    pub(super) index: Index,
    pub(super) numbers: Numbers,
    pub(super) flags: u32,
}

/// The length of a filter; zero ends them.
pub(super) fn filter(fields: &mut Fields<'_>) -> Read<u32> {
    match fields.int()? {
        length @ ..=MAX_FILTER => Ok(length),
        length => fault(format!("a filter of {length} bytes")),
    }
}

/// An owner's number and name; false after the last.
pub(super) fn id(fields: &mut Fields<'_>, root_names: bool) -> Read<bool> {
    let more = fields.number()? != 0;
    if more || root_names {
        fields.short_text()?;
    }
    Ok(more)
}

/// What is spoken of next, with what is said of an entry.
pub(super) fn spoken(fields: &mut Fields<'_>, version: u32, numbers: Numbers) -> Read<Spoken> {
    let (index, numbers) = numbers.read(fields, version)?;
    let mut flags = 0;
    match index {
        Index::Entry(_) if version < 29 => flags = CONTENTS,
        Index::Entry(_) => {
            flags = fields.word()?.into();
            if flags & BASIS != 0 {
                fields.byte()?;
            }
            if flags & OTHER_NAME != 0 {
                fields.vstring()?;
            }
        }
        Index::Deleted => {
            for _ in 0..5 {
                fields.varint()?;
            }
        }
        _ => {}
    }
    Ok(Spoken { index, numbers, flags })
}

/// How many blocks the receiver has, how long they and their digests are, and how long the last is.
pub(super) fn blocks(fields: &mut Fields<'_>) -> Read<u32> {
    let count = fields.int()?;
    fields.take(12)?;
    Ok(count)
}

/// Bytes read, written, and of all files; how long it took to make the list, and to send it.
pub(super) fn statistics(fields: &mut Fields<'_>, times: bool) -> Read<()> {
    for _ in 0..if times { 5 } else { 3 } {
        fields.long(3)?;
    }
    Ok(())
}
