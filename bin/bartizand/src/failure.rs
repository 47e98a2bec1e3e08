//! Why the server did not start, or ended: for the operator, with what to do.

use std::fmt;

use bartizan_model::escape;

/// A failure with a hint.
#[derive(Debug)]
pub(crate) struct Failure {
    what: String,
    hint: Option<String>,
    /// The index says what the log does not.
    of_index: bool,
}

impl Failure {
    /// Something that did not work.
    pub(crate) fn new(what: impl ToString) -> Self {
        Self { what: what.to_string(), hint: None, of_index: false }
    }

    /// The index says what the log does not: it is to be made again.
    pub(crate) fn of_index(what: impl ToString) -> Self {
        Self { of_index: true, ..Self::new(what) }
    }

    /// Whether making the index again helps.
    pub(crate) const fn is_of_index(&self) -> bool {
        self.of_index
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
