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
/// The last fault of the folder; those before it are told on standard error. Of the configuration and the policies each names
/// every fault.
pub(crate) fn run(path: &Path, explain: bool) -> Result<(), Failure> {
    let print = |text: &str| {
        std::io::stdout().write_all(text.as_bytes()).map_err(|e| Failure::new(format!("cannot print: {e}")))
    };
    if explain {
        return print(&reference());
    }
    let Report { text, mut faults } = report(&Folder::open(path)?);
    print(&text)?;
    let Some(last) = faults.pop() else { return Ok(()) };
    for fault in faults {
        // There is nobody left to tell when standard error is closed.
        let _ = writeln!(std::io::stderr(), "{fault}");
    }
    Err(last)
}

/// What was found: part by part, whatever is wrong with the others.
#[derive(Default)]
struct Report {
    text: String,
    faults: Vec<Failure>,
}

impl Report {
    fn add<T>(&mut self, part: Result<(String, T), Failure>) -> Option<T> {
        match part {
            Ok((text, found)) => {
                self.text.push_str(&text);
                Some(found)
            }
            Err(fault) => {
                self.faults.push(fault);
                None
            }
        }
    }
}

fn report(folder: &Folder) -> Report {
    let mut report = Report::default();
    let config = report.add(
        folder
            .config()
            .map(|config| (format!("{}: ok\n{}", folder.config_file().display(), meaning(&config)), config)),
    );
    report.add(own_keys(folder));
    report.add(policies(folder));
    report.add(log(folder));
    if let Some(config) = config
        && let Some(locked_by) = report.add(database(folder, &config))
    {
        report.add(vault(folder, &config, locked_by.as_deref()));
    }
    report
}

fn own_keys(folder: &Folder) -> Result<(String, ()), Failure> {
    let keys = keys::load(&folder.keys())?;
    let mut text = format!("{}: ok\n", folder.keys().display());
    for key in &keys.host_keys {
        let key = key.public_key();
        let _ = writeln!(text, "  host key  {} {}", key.fingerprint(), key.algorithm());
    }
    let _ = writeln!(text, "  host CA   {}", keys.host_ca.current().public_key().fingerprint());
    let _ = writeln!(text, "  user CA   {}", keys.user_ca.current().public_key().fingerprint());
    let people =
        keys::people_ca(&folder.keys())?.map(|ca| ca.current().public_key().fingerprint().to_string());
    let _ = writeln!(text, "  people CA {}", people.unwrap_or_else(|| "is made at the next start".into()));
    Ok((text, ()))
}

fn policies(folder: &Folder) -> Result<(String, ()), Failure> {
    let policies = PolicyFiles::read(&folder.policies())?;
    Ok((format!("{}: ok\n  files     {}\n", folder.policies().display(), policies.files), ()))
}

fn log(folder: &Folder) -> Result<(String, ()), Failure> {
    let reader = Reader::open(&folder.log()).map_err(Failure::new)?;
    let (origin, head) = (reader.origin().map_err(Failure::new)?, reader.head().map_err(Failure::new)?);
    let signer = keys::log_signer(&folder.keys(), &origin)?;
    let key = signer.verifier_key();
    Ok((format!("{}: ok\n  events    {head}\n  key       {key}\n", folder.log().display()), ()))
}

/// Gives the id of the master key that locks the vault, if it was ever used.
fn database(folder: &Folder, config: &Config) -> Result<(String, Option<String>), Failure> {
    match &config.database {
        Database::Sqlite => {
            let locked_by = serve::runtime()?.block_on(database::verify(folder))?;
            Ok((format!("{}: ok\n", folder.database().display()), locked_by))
        }
        Database::Postgres { options, password_file } => {
            let options = database::with_password(options, password_file.as_deref())?;
            let looked = serve::runtime()?.block_on(async {
                Ok((Store::version(&options).await?, Store::master_key_of(&options).await?))
            });
            let (version, locked_by) = looked.map_err(|error| database::unreachable(&options, &error))?;
            Ok((format!("{options}: PostgreSQL {version}\n"), locked_by))
        }
    }
}

fn vault(folder: &Folder, config: &Config, locked_by: Option<&str>) -> Result<(String, ()), Failure> {
    let key = MasterFile::find(folder, config).check(locked_by)?;
    let told = key.map_or_else(|| "its master key is made at the next start".to_owned(), |key| key.id());
    Ok((format!("  vault     {told}\n"), ()))
}

/// What the configuration means, defaults included.
fn meaning(config: &Config) -> String {
    config.values().iter().map(|(key, value)| format!("  {key:<28} {value}\n")).collect()
}
