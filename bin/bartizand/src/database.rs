//! Opens the database that the configuration names.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use bartizan_store::{PostgresOptions, Store, StoreError};
use zeroize::Zeroizing;

use crate::config::Database;
use crate::failure::Failure;
use crate::folder::Folder;
use crate::keys::{Watch, read_secret};

/// What every SQLite database begins with (SQLite's "Database File Format", §1.3).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// What to do about a database that cannot be used.
const RESTORE: &str = "restore it from a backup: it holds people, targets and grants";

/// Opens it, and brings its schema up to date. A file that is missing is not made: `init` did that, and a server that
/// begins with nobody in it would look as if all had been removed.
///
/// # Errors
/// When it is missing, cannot be opened or reached, or a newer version wrote it.
pub(crate) async fn open(folder: &Folder, database: &Database) -> Result<Store, Failure> {
    match database {
        Database::Sqlite => {
            let file = folder.database();
            is_database(&file)?;
            Store::open(folder.path()).await.map_err(|error| unusable(&file, &error))
        }
        Database::Postgres { options, password_file } => {
            let options = with_password(options, password_file.as_deref())?;
            let store = Store::connect(&options).await.map_err(|error| unreachable(&options, &error))?;
            tracing::info!(database = %options, "state is kept in PostgreSQL");
            Ok(store)
        }
    }
}

/// Looks whether a file begins as an SQLite database does. SQLite itself takes an empty file for a new database.
///
/// # Errors
/// When it is missing, empty or something else, or cannot be read.
fn is_database(file: &Path) -> Result<(), Failure> {
    let shown = file.display();
    let mut start = Vec::with_capacity(MAGIC.len());
    let read = File::open(file).and_then(|open| open.take(MAGIC.len() as u64).read_to_end(&mut start));
    match read {
        Ok(_) if start == MAGIC => Ok(()),
        Ok(0) => Err(Failure::new(format!("{shown} is empty")).hint(RESTORE)),
        Ok(_) => Err(Failure::new(format!("{shown} is no database")).hint(RESTORE)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(Failure::new(format!("{shown} is missing")).hint(RESTORE))
        }
        Err(error) => Err(Failure::of_file(format!("cannot read {shown}"), &error)),
    }
}

/// Reads the whole database of the folder, also while a server has it, and changes nothing. Gives the id of the master key
/// that locks the vault, if it was ever used.
///
/// # Errors
/// When it is missing or damaged, or a newer version wrote it.
pub(crate) async fn verify(folder: &Folder) -> Result<Option<String>, Failure> {
    let file = folder.database();
    is_database(&file)?;
    Store::verify(folder.path()).await.map_err(|error| unusable(&file, &error))
}

/// Why a database of the folder cannot be used, and what to do.
fn unusable(file: &Path, error: &StoreError) -> Failure {
    match error {
        StoreError::Damaged(_) | StoreError::Corrupt { .. } => {
            Failure::new(format!("cannot use {}: {error}", file.display())).hint(RESTORE)
        }
        StoreError::Full(_) => Failure::new(format!("cannot use {}: {error}", file.display()))
            .hint("free space on that disk: docs/space.md says how"),
        // The disk, or who may read it.
        StoreError::Database(_) => Failure::new(format!("cannot use {}: {error}", file.display())),
        _ => Failure::new(error),
    }
}

/// The options with the password out of its file.
///
/// # Errors
/// When the file is missing, or others may read it.
pub(crate) fn with_password(
    options: &PostgresOptions,
    file: Option<&Path>,
) -> Result<PostgresOptions, Failure> {
    let Some(file) = file else { return Ok(options.clone()) };
    let text = read_secret(file, Watch::Owner)?;
    Ok(options.clone().with_password(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned())))
}

/// Why a database elsewhere cannot be used, and what to look at.
pub(crate) fn unreachable(options: &PostgresOptions, error: &StoreError) -> Failure {
    let failure = Failure::new(format!("cannot use {options}: {error}"));
    match error {
        StoreError::Database(_) => {
            failure.hint("check that it runs, that it lets this machine in, and database_password_file")
        }
        _ => failure,
    }
}
