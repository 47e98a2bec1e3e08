//! What can go wrong, by whose fault.

use std::error::Error;
use std::fmt;

use bartizan_model::{Fingerprint, GrantId, PersonName};

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
    /// The database failed or could not be opened. Whether a change that was under way took effect is not known.
    #[error("the database failed: {0}")]
    Database(#[source] Box<dyn Error + Send + Sync>),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
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
