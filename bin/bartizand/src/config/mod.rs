//! The configuration, in two stages: what was written ([`Written`]), then what it means ([`Config`]).
//!
//! Both are checked as a whole before any socket opens, and every fault is reported, each with its line.
//! The keys stand in one list ([`keys::KEYS`]), which also makes the reference page. What belongs to the
//! directory (people, targets, grants) is not here, and no key turns evidence off.

pub(crate) mod keys;
mod meaning;
mod reference;
mod written;

use std::fmt;
use std::path::{Path, PathBuf};

pub(crate) use meaning::{Config, Database, default_node, jump_host};
pub(crate) use reference::reference;
use written::Written;

/// One fault of a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Line in the file, from 1.
    pub(crate) line: usize,
    /// What is wrong and what to write instead.
    pub(crate) what: String,
}

/// A configuration that was refused: everything wrong with it, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) struct ConfigError {
    file: PathBuf,
    faults: Vec<Fault>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        for (i, fault) in self.faults.iter().enumerate() {
            let end = if i + 1 == self.faults.len() { "" } else { "\n" };
            write!(f, "{file}:{}: {}{end}", fault.line, fault.what)?;
        }
        Ok(())
    }
}

impl Config {
    /// Reads `text`, the content of `file`, whose relative meaning no key depends on.
    ///
    /// # Errors
    /// Every fault of the text, each with its line.
    pub(crate) fn parse(file: &Path, text: &str) -> Result<Self, ConfigError> {
        let refuse = |mut faults: Vec<Fault>| {
            faults.sort_by_key(|fault| fault.line);
            ConfigError { file: file.to_owned(), faults }
        };
        let (written, mut faults) = Written::parse(text);
        let config = Self::from_written(&written, &mut faults);
        if faults.is_empty() { Ok(config) } else { Err(refuse(faults)) }
    }
}

#[cfg(test)]
mod tests;
