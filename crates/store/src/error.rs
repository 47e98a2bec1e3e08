//! What can go wrong, by whose fault.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

use bartizan_model::{Fingerprint, GrantId, PersonName};
use sqlx::error::DatabaseError as _;
use sqlx::sqlite::SqliteError;

/// Why the store did not do what was asked. Unless said otherwise nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The caller asked to add what is there already.
    #[error("{record} {name} exists already")]
    Exists {
        /// The kind of record.
        record: RecordKind,
        /// Its name, id or fingerprint.
        name: String,
    },
    /// The caller asked to add a key that proves to be somebody already.
    #[error("key {fingerprint} is registered to {person} already")]
    KeyTaken {
        /// The key.
        fingerprint: Fingerprint,
        /// Whose it is.
        person: PersonName,
    },
    /// The caller named a record that is not there.
    #[error("no {record} {name}")]
    NotFound {
        /// The kind of record.
        record: RecordKind,
        /// Its name, id or fingerprint.
        name: String,
    },
    /// The caller asked to remove what grants refer to, without asking to remove those too.
    #[error("{record} {name} is named in grants: {}", Listed(.grants))]
    InUse {
        /// The kind of record.
        record: RecordKind,
        /// Its name.
        name: String,
        /// The grants that refer to it, by id.
        grants: Vec<GrantId>,
    },
    /// The caller's change was made for a directory that has changed since.
    #[error("the directory has changed meanwhile (it is generation {found}, not {expected})")]
    Moved {
        /// The generation that the change was made for.
        expected: u64,
        /// The generation there is.
        found: u64,
    },
    /// The caller handed the index entries that do not follow what it holds.
    #[error("the index expects entry {expected} of the log next, not {found}")]
    Gap {
        /// The entry that comes next.
        expected: u64,
        /// The one that was handed in.
        found: u64,
    },
    /// The operator started an older program on a newer database.
    #[error(
        "{database} was written by a newer version of Bartizan (its schema is version {found}, this program knows {known}); \
         start the newer program, or restore a backup from before the upgrade"
    )]
    Newer {
        /// The database: its file or its address.
        database: String,
        /// Its schema's version.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// The operator gave a master key that does not wrap this vault's data key.
    #[error(
        "the vault is locked by master key {expected}, not by {found}; restore the master key that belongs to this \
         database"
    )]
    WrongMasterKey {
        /// The id of the one that does.
        expected: String,
        /// The id of the one that was given.
        found: String,
    },
    /// A secret cannot be sealed.
    #[error("the vault cannot seal it: {0}")]
    Crypto(&'static str),
    /// The database holds what this program never writes.
    #[error("the database holds an invalid {record} {name}: {why}")]
    Corrupt {
        /// The kind of record.
        record: RecordKind,
        /// Its name, id or fingerprint.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// A disk or a person damaged the database's file, or it is no database.
    #[error("the database is damaged: {0}")]
    Damaged(#[source] Box<dyn Error + Send + Sync>),
    /// A disk or a person damaged the index. Whoever fills it makes it again from the log.
    #[error("the index is damaged and is made again from the log: {0}")]
    IndexDamaged(#[source] Box<dyn Error + Send + Sync>),
    /// The operator put another file in the place of the one in use, or took it away. Nothing was changed.
    #[error(
        "{} was replaced or removed under the running server, which would lose what is changed now; start the server again \
         to use the file that is there", .0.display()
    )]
    Replaced(PathBuf),
    /// The disk of the database is full. Nothing was changed.
    #[error("there is no space left for the database: {0}")]
    Full(#[source] Box<dyn Error + Send + Sync>),
    /// The database failed or could not be opened. Whether a change that was under way took effect is not known.
    #[error("the database failed: {0}")]
    Database(#[source] Box<dyn Error + Send + Sync>),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        const SQLITE_CORRUPT: u32 = 11;
        const SQLITE_FULL: u32 = 13;
        const SQLITE_NOTADB: u32 = 26;
        /// `disk_full` of PostgreSQL's error codes.
        const PG_DISK_FULL: &str = "53100";
        let told = error.as_database_error();
        let full = told.and_then(|e| e.code()).is_some_and(|code| code == PG_DISK_FULL);
        match sqlite_kind(&error) {
            // The file's contents are wrong.
            Some(SQLITE_CORRUPT | SQLITE_NOTADB) => Self::Damaged(error.into()),
            Some(SQLITE_FULL) => Self::Full(error.into()),
            None if full => Self::Full(error.into()),
            _ => Self::Database(error.into()),
        }
    }
}

/// What kind of error SQLite tells of, if it does.
fn sqlite_kind(error: &sqlx::Error) -> Option<u32> {
    let sqlite = error.as_database_error()?.try_downcast_ref::<SqliteError>()?;
    // The lowest byte is the kind, those above say more about it.
    Some(sqlite.code()?.parse::<u32>().ok()? & 0xff)
}

/// The kinds of records, as messages and `directory.change` events name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// A person.
    Person,
    /// A person's key.
    Key,
    /// A role.
    Role,
    /// A trusted certificate authority.
    Ca,
    /// A target.
    Target,
    /// A grant.
    Grant,
    /// A session of the index.
    Session,
    /// A stored credential.
    Credential,
    /// A certificate that Bartizan issued.
    Certificate,
    /// A revocation of certificates.
    Revocation,
}

impl fmt::Display for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Person => "person",
            Self::Key => "key",
            Self::Role => "role",
            Self::Ca => "ca",
            Self::Target => "target",
            Self::Grant => "grant",
            Self::Session => "session",
            Self::Credential => "credential",
            Self::Certificate => "certificate",
            Self::Revocation => "revocation",
        })
    }
}

/// The first ids of a list, and how many more there are.
struct Listed<'a>(&'a [GrantId]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 20;
        for (i, id) in self.0.iter().take(SHOWN).enumerate() {
            write!(f, "{}{id}", if i == 0 { "" } else { ", " })?;
        }
        match self.0.len().checked_sub(SHOWN) {
            None | Some(0) => Ok(()),
            Some(more) => write!(f, " and {more} more"),
        }
    }
}
