//! Why the server did not start, or ended: for the operator, with what to do.

use std::fmt;

use bartizan_model::escape;

/// A failure with a hint.
#[derive(Debug)]
pub(crate) struct Failure {
    what: String,
    hint: Option<String>,
    at_fault: AtFault,
}

/// What is to be done about it by the server itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AtFault {
    /// Nothing.
    Other,
    /// The index says what the log does not: it is made again.
    Index,
    /// An entry of the log cannot be read: what depends on it alone is left as it is.
    Entry,
}

impl Failure {
    /// Something that did not work.
    pub(crate) fn new(what: impl ToString) -> Self {
        Self { what: what.to_string(), hint: None, at_fault: AtFault::Other }
    }

    /// A file of the data folder that cannot be used.
    pub(crate) fn of_file(what: impl fmt::Display, error: &std::io::Error) -> Self {
        let failure = Self::new(format!("{what}: {error}"));
        match error.kind() {
            std::io::ErrorKind::PermissionDenied => failure.hint(
                "all of the data folder belongs to the user that bartizand runs as: `chown -R USER DIR`, as root",
            ),
            _ => failure,
        }
    }

    /// The index says what the log does not: it is to be made again.
    pub(crate) fn of_index(what: impl ToString) -> Self {
        Self { at_fault: AtFault::Index, ..Self::new(what) }
    }

    /// An entry of the log cannot be read.
    pub(crate) fn of_entry(what: impl ToString) -> Self {
        Self { at_fault: AtFault::Entry, ..Self::new(what) }
    }

    /// Whether making the index again helps.
    pub(crate) fn is_of_index(&self) -> bool {
        self.at_fault == AtFault::Index
    }

    /// Whether only what depends on one entry of the log cannot go on.
    pub(crate) fn is_of_entry(&self) -> bool {
        self.at_fault == AtFault::Entry
    }

    /// Adds what to do about it.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |line: &str| escape(line.as_bytes()).replace("\\\\", "\\");
        let lines: Vec<_> = self.what.lines().map(plain).collect();
        write!(f, "error: {}", lines.join("\n"))?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {}", plain(hint)),
            None => Ok(()),
        }
    }
}
