//! `bartizand check`: reads what `serve` would read, without taking the folder.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use bartizan_audit::Reader;
use bartizan_store::Store;

use crate::config::{Config, Database, reference};
use crate::failure::Failure;
use crate::folder::Folder;
use crate::master::MasterFile;
use crate::policies::PolicyFiles;
use crate::{database, keys, serve};

/// Reads the data folder as a whole, or prints the reference page of the configuration.
///
/// # Errors
/// The first part of the folder that cannot be used; of the configuration every fault.
pub(crate) fn run(path: &Path, explain: bool) -> Result<(), Failure> {
    let text = if explain { reference() } else { report(&Folder::open(path)?)? };
    std::io::stdout().write_all(text.as_bytes()).map_err(|e| Failure::new(format!("cannot print: {e}")))
}

fn report(folder: &Folder) -> Result<String, Failure> {
    let config = folder.config()?;
    let mut text = format!("{}: ok\n{}", folder.config_file().display(), meaning(&config));
    let keys = keys::load(&folder.keys())?;
    let _ = writeln!(text, "{}: ok", folder.keys().display());
    for key in &keys.host_keys {
        let key = key.public_key();
        let _ = writeln!(text, "  host key  {} {}", key.fingerprint(), key.algorithm());
    }
    let _ = writeln!(text, "  host CA   {}", keys.host_ca.current().public_key().fingerprint());
    let _ = writeln!(text, "  user CA   {}", keys.user_ca.current().public_key().fingerprint());
    match MasterFile::find(folder, &config).check()? {
        Some(key) => drop(writeln!(text, "  vault     {}", key.id())),
        None => text.push_str("  vault     its master key is made at the next start\n"),
    }
    let policies = PolicyFiles::read(&folder.policies())?;
    let _ = writeln!(text, "{}: ok\n  files     {}", folder.policies().display(), policies.files);
    let reader = Reader::open(&folder.log()).map_err(Failure::new)?;
    let (origin, head) = (reader.origin().map_err(Failure::new)?, reader.head().map_err(Failure::new)?);
    let signer = keys::log_signer(&folder.keys(), &origin)?;
    let _ = writeln!(text, "{}: ok\n  events    {head}", folder.log().display());
    let _ = writeln!(text, "  key       {}", signer.verifier_key());
    match &config.database {
        Database::Sqlite => {
            serve::runtime()?.block_on(database::verify(folder))?;
            let _ = writeln!(text, "{}: ok", folder.database().display());
        }
        Database::Postgres { options, password_file } => {
            let options = database::with_password(options, password_file.as_deref())?;
            let version = serve::runtime()?.block_on(Store::version(&options));
            let version = version.map_err(|error| database::unreachable(&options, &error))?;
            let _ = writeln!(text, "{options}: PostgreSQL {version}");
        }
    }
    Ok(text)
}

/// What the configuration means, defaults included.
fn meaning(config: &Config) -> String {
    config.values().iter().map(|(key, value)| format!("  {key:<28} {value}\n")).collect()
}
