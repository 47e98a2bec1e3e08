//! Why a command did not do what was asked: a kind, which is the exit code, and a hint.

use std::fmt;

/// The kinds of failures, by what the caller should do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It did not work.
    Failed,
    /// It did not work because no server answers.
    Unreachable,
    /// It was asked for in a way that makes no sense.
    Usage,
    /// Policy says no.
    Denied,
    /// The evidence does not verify.
    Evidence,
}

impl Kind {
    /// The exit code that scripts can rely on.
    pub(crate) const fn exit_code(self) -> u8 {
        match self {
            Self::Failed | Self::Unreachable => 1,
            Self::Usage => 2,
            Self::Denied => 3,
            Self::Evidence => 4,
        }
    }
}

/// A command's failure. The message may hold foreign text; it is escaped when shown.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    message: String,
    hint: Option<String>,
    /// True when standard output was closed: nobody wants to read more, also not this message.
    pub(crate) silent: bool,
}

impl Failure {
    /// A failure of `kind`.
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, silent: false }
    }

    /// Something that did not work.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, message)
    }

    /// Says what it is about, where the server could not know.
    #[must_use]
    pub(crate) fn about(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Names the data folder in the commands that the hint has, so that they do what they should when they are typed.
    #[must_use]
    pub(crate) fn in_folder(mut self, data: &std::path::Path) -> Self {
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=,@~".contains(c);
        let data = data.display().to_string();
        let data = if data.chars().all(plain) { data } else { format!("'{}'", data.replace('\'', r"'\''")) };
        self.hint = self.hint.map(|hint| hint.replace("`bartizan ", &format!("`bartizan -D {data} ")));
        self
    }

    /// What the server says did not work.
    pub(crate) fn of_server(reply: bartizan_model::api::ErrorReply) -> Self {
        Self { hint: reply.hint, ..Self::failed(reply.error) }
    }

    /// A failure to write to standard output.
    pub(crate) fn output(error: &std::io::Error) -> Self {
        let closed = error.kind() == std::io::ErrorKind::BrokenPipe;
        Self { silent: closed, ..Self::failed(format!("cannot write to standard output: {error}")) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", crate::out::plain(&self.message))?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {}", crate::out::plain(hint)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_name_the_folder_that_was_named() {
        let hinted = |data: &str| {
            let failure = Failure::failed("no").hint("see `bartizan person list`, or `bartizand check`");
            failure.in_folder(data.as_ref()).hint.unwrap()
        };
        assert_eq!(hinted("/srv/b"), "see `bartizan -D /srv/b person list`, or `bartizand check`");
        assert_eq!(hinted("my data"), "see `bartizan -D 'my data' person list`, or `bartizand check`");
    }
}
