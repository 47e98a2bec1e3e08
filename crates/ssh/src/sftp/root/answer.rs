//! What places' servers answer, read before it goes on.
//!
//! A client ends its whole conversation over an answer that it cannot read, and with it all other places. So what goes on
//! is what was understood, and what was not ends the place that said it.

use std::borrow::Cow;

use super::super::packet::{kind, string};
use super::place::Expect;
use crate::wire::{Malformed, Reader, Writer as _};

/// Longest text of a status that goes on, in bytes; longer ones are cut.
const MAX_TEXT: usize = 4 << 10;
/// Longest path that goes on, in bytes. Nobody has such; two of them fit a packet, as an answer wants it.
const MAX_PATH: usize = 64 << 10;
/// Bytes of the answer to `statvfs@openssh.com` and `fstatvfs@openssh.com`: eleven numbers.
const STATVFS: usize = 11 * 8;

/// What goes on of an answer without its id; of handles, names and paths, those who map them read the rest.
///
/// # Errors
/// When it does not fit its request, or cannot be read.
pub(super) fn understood(kind: u8, expect: Expect, body: &[u8]) -> Result<Cow<'_, [u8]>, Malformed> {
    let mut fields = Reader::new(body);
    match (kind, expect) {
        (kind::STATUS, _) => return status(fields),
        (kind::DATA, Expect::Data(asked)) => {
            let data = fields.string("SSH_FXP_DATA")?;
            if data.len() > usize::try_from(asked).unwrap_or(usize::MAX) {
                return Err(Malformed::new("SSH_FXP_DATA: more than was asked for"));
            }
        }
        (kind::ATTRS, Expect::Attributes) => skip_attributes(&mut fields)?,
        (kind::EXTENDED_REPLY, Expect::Extended) => drop(fields.take(STATVFS, "SSH_FXP_EXTENDED_REPLY")?),
        (kind::HANDLE, Expect::Handle) | (kind::NAME, Expect::Names | Expect::Path | Expect::Link(_)) => {
            return Ok(body.into());
        }
        _ => return Err(Malformed::new("answer of a type that its request has not")),
    }
    Ok(body[..body.len() - fields.rest().len()].into())
}

/// A status. Some servers leave out the texts, and some clients want them.
fn status(mut fields: Reader<'_>) -> Result<Cow<'_, [u8]>, Malformed> {
    const WHAT: &str = "SSH_FXP_STATUS";
    let whole = fields.rest();
    let code = fields.u32(WHAT)?;
    let mut texts = [&b""[..]; 2];
    let (mut given, mut cut) = (0, false);
    for text in &mut texts {
        if !fields.is_empty() {
            let said = fields.string(WHAT)?;
            *text = &said[..said.len().min(MAX_TEXT)];
            (given, cut) = (given + 1, cut || text.len() < said.len());
        }
    }
    if given == texts.len() && !cut {
        return Ok(whole[..whole.len() - fields.rest().len()].into());
    }
    let mut made = Vec::new();
    made.put_u32(code);
    texts.iter().for_each(|text| made.put(&string(text)));
    Ok(made.into())
}

/// The one path of an answer to `SSH_FXP_REALPATH` or `SSH_FXP_READLINK`; none if it names none that a client could read.
pub(super) fn one_path<'a>(fields: &mut Reader<'a>) -> Option<&'a [u8]> {
    match fields.u32("count") {
        Ok(1) => fields.string("filename").ok().filter(|name| name.len() <= MAX_PATH && !name.contains(&0)),
        _ => None,
    }
}

/// The names of an answer to `SSH_FXP_READDIR`, as far as they were read; none if one leads out of its folder.
///
/// # Errors
/// When they cannot be read.
pub(super) fn names(body: &[u8]) -> Result<Option<&[u8]>, Malformed> {
    let mut fields = Reader::new(body);
    for _ in 0..fields.u32("count")? {
        let name = fields.string("filename")?;
        if name.is_empty() || name.contains(&b'/') || name.contains(&0) {
            return Ok(None);
        }
        if fields.string("longname")?.contains(&0) {
            return Err(Malformed::new("longname: it holds a NUL"));
        }
        skip_attributes(&mut fields)?;
    }
    Ok(Some(&body[..body.len() - fields.rest().len()]))
}

/// Attributes (draft-ietf-secsh-filexfer-02 §5).
fn skip_attributes(fields: &mut Reader<'_>) -> Result<(), Malformed> {
    const WHAT: &str = "attributes";
    let flags = fields.u32(WHAT)?;
    for (flag, bytes) in [(1, 8), (2, 8), (4, 4), (8, 8)] {
        if flags & flag != 0 {
            fields.take(bytes, WHAT)?;
        }
    }
    if flags & 0x8000_0000 != 0 {
        for _ in 0..fields.u32(WHAT)? {
            if fields.string(WHAT)?.contains(&0) {
                return Err(Malformed::new(WHAT));
            }
            fields.string(WHAT)?;
        }
    }
    Ok(())
}
