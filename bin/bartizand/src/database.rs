//! Opens the database that the configuration names.

use std::path::Path;

use bartizan_store::{PostgresOptions, Store, StoreError};
use zeroize::Zeroizing;

use crate::config::Database;
use crate::failure::Failure;
use crate::folder::Folder;
use crate::keys::{Watch, read_secret};

/// Opens it, and brings its schema up to date.
///
/// # Errors
/// When it cannot be opened or reached, or a newer version wrote it.
pub(crate) async fn open(folder: &Folder, database: &Database) -> Result<Store, Failure> {
    match database {
        Database::Sqlite => Store::open(&folder.database()).await.map_err(Failure::new),
        Database::Postgres { options, password_file } => {
            let options = with_password(options, password_file.as_deref())?;
            let store = Store::connect(&options).await.map_err(|error| unreachable(&options, &error))?;
            tracing::info!(database = %options, "state is kept in PostgreSQL");
            Ok(store)
        }
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
