//! Access lists and extended attributes of an entry: they are passed over.
//!
//! Source: `send_acl`, `send_rsync_acl`, `send_xattr` and `send_xattr_request` of rsync 3.0 to 3.5.

use super::wire::{Fields, Read};

/// Longest value that is in the list itself; of a longer one its digest is, an MD5.
const VALUE: u32 = 32;
const DIGEST: u64 = 16;

/// What of an entry is still to be read.
#[derive(Clone, Copy)]
pub(super) enum Extra {
    None,
    /// So many access lists, and whether attributes follow.
    Acls {
        left: u8,
        xattrs: bool,
    },
    /// So many names of an access list, before as many lists more.
    Names {
        left: u32,
        acls: u8,
        xattrs: bool,
    },
    Xattrs,
    /// So many attributes.
    Values {
        left: u32,
    },
}

/// What follows.
pub(super) enum Next {
    Read(Extra),
    /// So many bytes are passed over before.
    Skip(u64, Extra),
}

impl Extra {
    /// So many access lists, and whether there are attributes.
    pub(super) const fn new(left: u8, xattrs: bool) -> Self {
        match (left, xattrs) {
            (0, false) => Self::None,
            (0, true) => Self::Xattrs,
            (left, xattrs) => Self::Acls { left, xattrs },
        }
    }

    /// Reads one piece.
    pub(super) fn read(self, fields: &mut Fields<'_>) -> Read<Next> {
        Ok(match self {
            Self::None => Next::Read(Self::None),
            Self::Acls { left, xattrs } => Next::Read(match acl(fields)? {
                0 => Self::new(left - 1, xattrs),
                names => Self::Names { left: names, acls: left - 1, xattrs },
            }),
            Self::Names { left, acls, xattrs } => {
                fields.varint()?;
                if fields.varint()? & 1 != 0 {
                    fields.short_text()?;
                }
                Next::Read(match left {
                    1 => Self::new(acls, xattrs),
                    left => Self::Names { left: left - 1, acls, xattrs },
                })
            }
            // One that stood in the list before has its number, others their values.
            Self::Xattrs => match fields.varint()? {
                0 => Next::Read(values(fields.varint()?)),
                _ => Next::Read(Self::None),
            },
            Self::Values { left } => {
                let (name, value) = (fields.varint()?, fields.varint()?);
                let value = if value > VALUE { DIGEST } else { value.into() };
                Next::Skip(u64::from(name) + value, values(left - 1))
            }
        })
    }
}

const fn values(left: u32) -> Extra {
    if left == 0 { Extra::None } else { Extra::Values { left } }
}

/// Reads an access list; gives how many names follow.
fn acl(fields: &mut Fields<'_>) -> Read<u32> {
    if fields.varint()? != 0 {
        return Ok(0);
    }
    let flags = fields.byte()?;
    for _ in 0..(flags & 0x0F).count_ones() {
        fields.varint()?;
    }
    if flags & 0x10 != 0 { fields.varint() } else { Ok(0) }
}

/// The length of a value that was asked for; none after the last.
pub(super) fn value(fields: &mut Fields<'_>) -> Read<Option<u32>> {
    Ok(match fields.varint()? {
        0 => None,
        _ => Some(fields.varint()?),
    })
}
