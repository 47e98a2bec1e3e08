//! Mutable state: the directory (roles, people, keys, their certificates, trusted CAs, targets, grants), the vault (what Bartizan logs in to
//! targets with) and the index of the audit log.
//!
//! ```text
//!   api ──── DirectoryStore ──┐                 ┌── one writer connection
//!   gateway ─ snapshot() ─────┤ Store (SQLite) ─┤
//!   sinks ── IndexStore ──────┤                 └── a few readers (WAL: they never wait for the writer)
//!   Vault ── VaultStore ──────┘    (sealed: the database never sees a secret)
//! ```
//!
//! [`DirectoryStore`], [`CertificateStore`], [`IndexStore`] and [`VaultStore`] are the contract; [`Store`] fulfils it with an
//! embedded SQLite or with PostgreSQL, out of the same SQL. Each passes the same suite (`contract`).
//!
//! The index is a projection: all of it can be rebuilt from the audit log, and it is never evidence.
//! This room decides nothing (that is `access`) and keeps no evidence (that is `audit` and `record`).

#![forbid(unsafe_code)]

mod certificates;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
mod directory;
mod error;
mod index;
mod number;
mod postgres;
mod progress;
mod projection;
mod search;
mod sqlite;
mod store;
mod terms;
mod vault;
mod words;

pub use bartizan_model::DirectoryData;
pub use certificates::CertificateStore;
pub use directory::{
    DirectoryStore, Membership, PinOutcome, Removal, RemovedPerson, RemovedRole, RemovedTarget, Write,
};
pub use error::{RecordKind, StoreError};
pub use index::{EventQuery, IndexEntry, IndexStore, IndexedEvent, MAX_PAGE, Order, Page, SessionQuery};
pub use postgres::{InvalidDatabase, PostgresOptions};
pub use progress::{IndexFilling, IndexProgress};
pub use search::{InvalidSearch, SearchText};
pub use store::Store;
pub use vault::{MAX_SECRET_BYTES, MasterKey, Sealed, Secret, Vault, VaultStore, WrappedKey};
