//! One entry of a list of files.
//!
//! ```text
//!  flags  [same]  length  name  [link]  size  [time]  [ns]  [crtime]  [mode]  [atime]  [uid [name]]  [gid [name]]
//!  [device]  [target]  [inode]  [digest]
//! ```
//! What is as in the entry before is left out, and so are attributes that no option asks for.
//!
//! Source: `send_file_entry` and `recv_file_entry` of rsync 3.0 to 3.5.

use super::carried::Carried;
use super::list::{Attributes, Entry, FILE, FOLDER, LINK, Lists, kind};
use super::wire::{Fields, Read, fault};

/// Longest path of rsync, with the zero byte behind it.
const PATH: usize = 4096;

const SAME_MODE: u32 = 1 << 1;
/// Before protocol 28, that a device is the one before; since, that there is a second byte of flags.
const EXTENDED: u32 = 1 << 2;
const SAME_UID: u32 = 1 << 3;
const SAME_GID: u32 = 1 << 4;
const SAME_NAME: u32 = 1 << 5;
const LONG_NAME: u32 = 1 << 6;
const SAME_TIME: u32 = 1 << 7;
const SAME_MAJOR: u32 = 1 << 8;
const HARD_LINK: u32 = 1 << 9;
/// Before protocol 30, that a hard link's device is the one before; since, that the owner's name follows.
const SAME_DEVICE: u32 = 1 << 10;
const USER_NAME: u32 = 1 << 10;
/// Before protocol 30, that a device's minor number has one byte; since, that the group's name follows.
const MINOR_BYTE: u32 = 1 << 11;
const GROUP_NAME: u32 = 1 << 11;
const FIRST_LINK: u32 = 1 << 12;
/// The same where it ends the list: an error follows.
const ERROR_END: u32 = 1 << 12;
const NANOSECONDS: u32 = 1 << 13;
const SAME_ATIME: u32 = 1 << 14;
const CRTIME_IS_MTIME: u32 = 1 << 17;

/// How entries are written between the two ends.
pub(super) struct Form {
    pub(super) version: u32,
    /// Whether flags are one number.
    pub(super) varint_flags: bool,
    pub(super) carried: Carried,
    /// The length of a file's digest in the list.
    pub(super) sum: usize,
}

/// What is left out where it is as before.
#[derive(Default)]
pub(super) struct Before {
    name: Vec<u8>,
    mode: u32,
    mtime: i64,
}

/// An entry as it was read.
pub(super) struct Listed {
    pub(super) entry: Entry,
    /// Whether other names of the same file may follow.
    pub(super) first_link: bool,
}

impl Before {
    pub(super) fn remember(&mut self, entry: &Entry) {
        self.name.clone_from(&entry.name);
        (self.mode, self.mtime) = (entry.mode, entry.mtime);
    }
}

impl Form {
    /// Reads an entry; none at the end of the list.
    pub(super) fn read(
        &self,
        fields: &mut Fields<'_>,
        before: &Before,
        lists: &Lists,
    ) -> Read<Option<Listed>> {
        let Some(flags) = self.flags(fields)? else { return Ok(None) };
        let name = name(fields, flags, before)?;
        let linked = flags & HARD_LINK != 0 && self.version >= 30;
        let first_link = linked && flags & FIRST_LINK != 0;
        if linked && !first_link {
            let number = fields.varint()?;
            match lists.link(number) {
                (true, Some((mode, size, mtime))) => {
                    let entry = Entry { name, mode, size, mtime };
                    return Ok(Some(Listed { entry, first_link }));
                }
                (true, None) => return fault(format!("a hard link to entry {number}, which is none")),
                (false, _) => {}
            }
        }
        let (mode, size, mtime) = self.attributes(fields, flags, before)?;
        self.owners(fields, flags)?;
        self.device(fields, flags, mode)?;
        self.links(fields, flags, mode)?;
        if self.carried.checksum && (kind(mode) == FILE || self.version < 28) {
            fields.take(self.sum)?;
        }
        Ok(Some(Listed { entry: Entry { name, mode, size, mtime }, first_link }))
    }

    fn flags(&self, fields: &mut Fields<'_>) -> Read<Option<u32>> {
        if self.varint_flags {
            let flags = fields.varint()?;
            if flags == 0 {
                fields.varint()?;
                return Ok(None);
            }
            return Ok(Some(flags));
        }
        let mut flags = u32::from(fields.byte()?);
        if flags == 0 {
            return Ok(None);
        }
        if self.version >= 28 && flags & EXTENDED != 0 {
            flags |= u32::from(fields.byte()?) << 8;
        }
        if self.version >= 30 && flags == EXTENDED | ERROR_END {
            fields.varint()?;
            return Ok(None);
        }
        Ok(Some(flags))
    }

    fn attributes(&self, fields: &mut Fields<'_>, flags: u32, before: &Before) -> Read<Attributes> {
        let size = fields.long(3)?;
        if size > i64::MAX as u64 {
            return fault("a file of a negative size");
        }
        let mtime = match (flags & SAME_TIME != 0, self.version >= 30) {
            (true, _) => before.mtime,
            (false, true) => fields.varlong(4)?.cast_signed(),
            (false, false) => i64::from(fields.int()?.cast_signed()),
        };
        if flags & NANOSECONDS != 0 && self.version >= 31 {
            fields.varint()?;
        }
        if self.carried.crtimes && flags & CRTIME_IS_MTIME == 0 {
            fields.varlong(4)?;
        }
        let mode = if flags & SAME_MODE != 0 { before.mode } else { fields.int()? };
        if self.carried.atimes && kind(mode) != FOLDER && flags & SAME_ATIME == 0 {
            fields.varlong(4)?;
        }
        Ok((mode, size, mtime))
    }

    fn owners(&self, fields: &mut Fields<'_>, flags: u32) -> Read<()> {
        let wanted = [
            (self.carried.uid && flags & SAME_UID == 0, USER_NAME),
            (self.carried.gid && flags & SAME_GID == 0, GROUP_NAME),
        ];
        for (_, named) in wanted.into_iter().filter(|(wanted, _)| *wanted) {
            fields.number()?;
            if self.version >= 30 && flags & named != 0 {
                fields.short_text()?;
            }
        }
        Ok(())
    }

    fn device(&self, fields: &mut Fields<'_>, flags: u32, mode: u32) -> Read<()> {
        let device = matches!(kind(mode), 0o020_000 | 0o060_000) && self.carried.devices;
        let special = matches!(kind(mode), 0o010_000 | 0o140_000) && self.carried.specials;
        if !(device || special && self.version < 31) {
            return Ok(());
        }
        if self.version < 28 {
            if flags & EXTENDED == 0 {
                fields.int()?;
            }
            return Ok(());
        }
        if flags & SAME_MAJOR == 0 {
            fields.number()?;
        }
        match self.version {
            30.. => fields.varint().map(drop),
            _ if flags & MINOR_BYTE != 0 => fields.byte().map(drop),
            _ => fields.int().map(drop),
        }
    }

    /// What a symbolic link points to, and, before protocol 30, by what a hard link is known.
    fn links(&self, fields: &mut Fields<'_>, flags: u32, mode: u32) -> Read<()> {
        if self.carried.links && kind(mode) == LINK {
            let length = fields.number()? as usize;
            if length >= PATH {
                return fault(format!("a link to a path of {length} bytes"));
            }
            fields.take(length)?;
        }
        let linked = flags & HARD_LINK != 0 && self.version >= 28 || self.version < 28 && kind(mode) == FILE;
        if self.carried.hard_links && linked && self.version < 30 {
            if flags & SAME_DEVICE == 0 || self.version < 28 {
                fields.long(3)?;
            }
            fields.long(3)?;
        }
        Ok(())
    }
}

fn name(fields: &mut Fields<'_>, flags: u32, before: &Before) -> Read<Vec<u8>> {
    let same = if flags & SAME_NAME != 0 { usize::from(fields.byte()?) } else { 0 };
    let more = if flags & LONG_NAME != 0 { fields.number()? as usize } else { fields.byte()?.into() };
    if more >= PATH - same {
        return fault(format!("a name of {} bytes", more.saturating_add(same)));
    }
    let Some(same) = before.name.get(..same) else {
        return fault(format!("a name that has {same} bytes of a shorter one"));
    };
    Ok([same, fields.take(more)?].concat())
}
