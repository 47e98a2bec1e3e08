//! Requests of SFTP version 3, read out of whole packets.
//!
//! Source: draft-ietf-secsh-filexfer-02, and OpenSSH's `PROTOCOL` for the extensions.

use bartizan_model::observation::Direction;

/// Packet types (draft-ietf-secsh-filexfer-02 §3).
pub(super) mod kind {
    pub(in super::super) const INIT: u8 = 1;
    pub(in super::super) const VERSION: u8 = 2;
    pub(in super::super) const OPEN: u8 = 3;
    pub(in super::super) const CLOSE: u8 = 4;
    pub(in super::super) const READ: u8 = 5;
    pub(in super::super) const WRITE: u8 = 6;
    pub(in super::super) const SETSTAT: u8 = 9;
    pub(in super::super) const FSETSTAT: u8 = 10;
    pub(in super::super) const FSTAT: u8 = 8;
    pub(in super::super) const OPENDIR: u8 = 11;
    pub(in super::super) const READDIR: u8 = 12;
    pub(in super::super) const REMOVE: u8 = 13;
    pub(in super::super) const MKDIR: u8 = 14;
    pub(in super::super) const RMDIR: u8 = 15;
    pub(in super::super) const REALPATH: u8 = 16;
    pub(in super::super) const RENAME: u8 = 18;
    pub(in super::super) const READLINK: u8 = 19;
    pub(in super::super) const SYMLINK: u8 = 20;
    pub(in super::super) const STATUS: u8 = 101;
    pub(in super::super) const HANDLE: u8 = 102;
    pub(in super::super) const DATA: u8 = 103;
    pub(in super::super) const NAME: u8 = 104;
    pub(in super::super) const ATTRS: u8 = 105;
    pub(in super::super) const EXTENDED: u8 = 200;
    pub(in super::super) const EXTENDED_REPLY: u8 = 201;
}

/// A stream that is not SFTP, or not as anybody speaks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// A packet longer or shorter than any may be.
    Length(u32),
    /// A handle longer than 256 bytes.
    Handle(u32),
    /// A field reaches beyond its packet of this type.
    Field(u8),
    /// A request of a type that version 3 has not.
    Kind(u8),
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Length(length) => write!(f, "a packet of {length} bytes"),
            Self::Handle(length) => write!(f, "a handle of {length} bytes"),
            Self::Field(kind) => write!(f, "a field reaches beyond its packet of type {kind}"),
            Self::Kind(kind) => write!(f, "a packet of type {kind}"),
        }
    }
}

/// Reads the fields of one packet.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn u32(&mut self) -> Option<u32> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*number))
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_be_bytes(*number))
    }

    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        let length = self.u32()? as usize;
        let (string, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(string)
    }

    fn attributes(&mut self) -> Option<Attributes> {
        let flags = self.u32()?;
        let mut attributes = Attributes::default();
        if flags & 1 != 0 {
            attributes.size = Some(self.u64()?);
        }
        if flags & 2 != 0 {
            attributes.uid = Some(self.u32()?);
            attributes.gid = Some(self.u32()?);
        }
        if flags & 4 != 0 {
            attributes.mode = Some(self.u32()?);
        }
        if flags & 8 != 0 {
            attributes.atime = Some(self.u32()?);
            attributes.mtime = Some(self.u32()?);
        }
        Some(attributes)
    }
}

/// Attributes that a request names (draft-ietf-secsh-filexfer-02 §5). Extended ones are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Length in bytes.
    pub size: Option<u64>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Permission bits and type.
    pub mode: Option<u32>,
    /// Time of access, in seconds since 1970.
    pub atime: Option<u32>,
    /// Time of modification, in seconds since 1970.
    pub mtime: Option<u32>,
}

/// How a file is to be opened (draft-ietf-secsh-filexfer-02 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFlags(pub u32);

impl OpenFlags {
    /// Whether it will be read.
    pub const fn read(self) -> bool {
        self.0 & 1 != 0
    }
    /// Whether it will be written.
    pub const fn write(self) -> bool {
        self.0 & 2 != 0
    }
    /// Whether all writing goes to its end.
    pub const fn append(self) -> bool {
        self.0 & 4 != 0
    }
    /// Whether opening may make or empty the file.
    pub const fn changes(self) -> bool {
        self.0 & (8 | 16) != 0
    }
    /// Whether opening changes the file whatever it was: empties it, or makes it and nothing else.
    pub(super) const fn always_changes(self) -> bool {
        self.0 & 16 != 0 || self.0 & (8 | 32) == 8 | 32
    }
    /// Which way it goes if nothing passes through it. OpenSSH makes and empties files that are opened for reading, too.
    pub(super) const fn direction(self) -> Direction {
        if self.write() || self.changes() { Direction::Upload } else { Direction::Download }
    }
}

/// A request that names paths or handles, read from one whole packet: what a judge must see before it passes.
///
/// Names are as they are sent: bytes in no certain encoding, perhaps relative to the login's home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// Opens a file.
    Open {
        /// Its path.
        path: &'a [u8],
        /// For what.
        flags: OpenFlags,
        /// With which attributes, if it is made.
        attributes: Attributes,
    },
    /// Opens a folder for listing.
    OpenDir {
        /// Its path.
        path: &'a [u8],
    },
    /// Closes a file or folder.
    Close {
        /// The handle.
        handle: &'a [u8],
    },
    /// Reads a part of a file.
    Read {
        /// The handle.
        handle: &'a [u8],
        /// From where.
        offset: u64,
        /// How much at most.
        length: u32,
    },
    /// Removes a file.
    Remove {
        /// Its path.
        path: &'a [u8],
    },
    /// Makes a folder.
    Mkdir {
        /// Its path.
        path: &'a [u8],
        /// With which attributes.
        attributes: Attributes,
    },
    /// Removes a folder.
    Rmdir {
        /// Its path.
        path: &'a [u8],
    },
    /// Renames, by `SSH_FXP_RENAME` or `posix-rename@openssh.com`.
    Rename {
        /// The old path.
        from: &'a [u8],
        /// The new path.
        to: &'a [u8],
        /// Whether what has the new name is replaced.
        posix: bool,
    },
    /// Makes a symbolic link, with the arguments as OpenSSH and nearly all others order them.
    Symlink {
        /// What the link says.
        target: &'a [u8],
        /// The link's path.
        link: &'a [u8],
    },
    /// Makes a hard link (`hardlink@openssh.com`).
    Hardlink {
        /// The file's path.
        from: &'a [u8],
        /// The new path.
        to: &'a [u8],
    },
    /// Sets attributes by path, of a link itself if `link` (`lsetstat@openssh.com`).
    SetStat {
        /// The path.
        path: &'a [u8],
        /// What is set.
        attributes: Attributes,
        /// Whether a link is not followed.
        link: bool,
    },
    /// Sets attributes by handle.
    FSetStat {
        /// The handle.
        handle: &'a [u8],
        /// What is set.
        attributes: Attributes,
    },
    /// Copies on the target (`copy-data`).
    CopyData {
        /// The handle read.
        from: &'a [u8],
        /// From where.
        from_offset: u64,
        /// How many bytes; 0 is up to the end.
        length: u64,
        /// The handle written.
        to: &'a [u8],
        /// To where.
        to_offset: u64,
    },
    /// Asks for attributes of a file or its file system, following a link or not.
    Stat {
        /// The path.
        path: &'a [u8],
    },
    /// Asks where a link leads.
    ReadLink {
        /// Its path.
        path: &'a [u8],
    },
    /// Asks for the absolute path, by `SSH_FXP_REALPATH` or `expand-path@openssh.com`.
    RealPath {
        /// The path.
        path: &'a [u8],
        /// Whether `~` stands for a home.
        expand: bool,
    },
    /// Asks something of what is open: attributes, its file system, the next entries of a folder.
    Inquire {
        /// The handle.
        handle: &'a [u8],
    },
    /// Asks for limits, homes and names of users.
    Query,
    /// Makes written data durable (`fsync@openssh.com`).
    Sync,
    /// An extension that is not known here.
    Unknown {
        /// Its name.
        name: &'a [u8],
    },
}

impl<'a> Request<'a> {
    /// Reads a request other than INIT and WRITE from what follows its type byte; gives its id, too.
    ///
    /// # Errors
    /// [`Malformed`] when a field is missing or the type is none of version 3.
    pub fn parse(kind: u8, body: &'a [u8]) -> Result<(u32, Self), Malformed> {
        let mut fields = Fields(body);
        let id = fields.u32().ok_or(Malformed::Field(kind))?;
        if !matches!(kind, 3..=20 | kind::EXTENDED) {
            return Err(Malformed::Kind(kind));
        }
        let request = match kind {
            kind::EXTENDED => fields.string().and_then(|name| Self::extended(name, &mut fields)),
            _ => Self::plain(kind, &mut fields),
        };
        Ok((id, request.ok_or(Malformed::Field(kind))?))
    }

    fn plain(kind: u8, fields: &mut Fields<'a>) -> Option<Self> {
        let first = fields.string()?;
        Some(match kind {
            kind::OPEN => {
                let flags = OpenFlags(fields.u32()?);
                // Some clients send no attributes with a file that exists; OpenSSH's server refuses them.
                Self::Open { path: first, flags, attributes: fields.attributes().unwrap_or_default() }
            }
            kind::CLOSE => Self::Close { handle: first },
            kind::READ => Self::Read { handle: first, offset: fields.u64()?, length: fields.u32()? },
            kind::SETSTAT => Self::SetStat { path: first, attributes: fields.attributes()?, link: false },
            kind::FSETSTAT => Self::FSetStat { handle: first, attributes: fields.attributes()? },
            kind::OPENDIR => Self::OpenDir { path: first },
            kind::REMOVE => Self::Remove { path: first },
            kind::MKDIR => Self::Mkdir { path: first, attributes: fields.attributes().unwrap_or_default() },
            kind::RMDIR => Self::Rmdir { path: first },
            kind::RENAME => Self::Rename { from: first, to: fields.string()?, posix: false },
            kind::SYMLINK => Self::Symlink { target: first, link: fields.string()? },
            kind::READLINK => Self::ReadLink { path: first },
            kind::REALPATH => Self::RealPath { path: first, expand: false },
            kind::FSTAT | kind::READDIR => Self::Inquire { handle: first },
            // LSTAT and STAT: all that is left of version 3.
            _ => Self::Stat { path: first },
        })
    }

    fn extended(name: &'a [u8], fields: &mut Fields<'a>) -> Option<Self> {
        Some(match name {
            b"posix-rename@openssh.com" => {
                Self::Rename { from: fields.string()?, to: fields.string()?, posix: true }
            }
            b"hardlink@openssh.com" => Self::Hardlink { from: fields.string()?, to: fields.string()? },
            b"lsetstat@openssh.com" => {
                Self::SetStat { path: fields.string()?, attributes: fields.attributes()?, link: true }
            }
            b"copy-data" => {
                let (from, from_offset, length) = (fields.string()?, fields.u64()?, fields.u64()?);
                Self::CopyData { from, from_offset, length, to: fields.string()?, to_offset: fields.u64()? }
            }
            b"fsync@openssh.com" => Self::Sync,
            b"statvfs@openssh.com" => Self::Stat { path: fields.string()? },
            b"fstatvfs@openssh.com" => Self::Inquire { handle: fields.string()? },
            b"expand-path@openssh.com" => Self::RealPath { path: fields.string()?, expand: true },
            b"limits@openssh.com" | b"home-directory" | b"users-groups-by-id@openssh.com" => Self::Query,
            name => Self::Unknown { name },
        })
    }
}
