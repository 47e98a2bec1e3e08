//! What is run on a session: commands of a shell for OpenSSH, imitated by the russh server.
//!
//! All of them live until their standard input ends, so that the client decides when a channel is over; what they
//! write up to any moment follows from what they were sent.

/// A program and how it behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// Writes what it reads.
    Echo,
    /// Exits with 7.
    Fails,
    /// Writes to both streams at its end.
    Speaks,
    /// Writes [`FLOOD`] bytes at once, more than small windows hold.
    Floods,
    /// Dies of a signal.
    Dies,
    /// An interactive shell without a terminal, which reads nothing.
    Shell,
}

/// What [`Program::Floods`] writes.
pub(crate) const FLOOD: usize = 150_000;

impl Program {
    pub(crate) const ALL: [Self; 6] =
        [Self::Echo, Self::Fails, Self::Speaks, Self::Floods, Self::Dies, Self::Shell];

    /// The command for `exec`; `None` when it is a `shell`.
    pub(crate) const fn command(self) -> Option<&'static str> {
        Some(match self {
            Self::Echo => "cat",
            Self::Fails => "read x; exit 7",
            Self::Speaks => "read x; printf 'out\\n'; printf 'err\\n' >&2; exit 3",
            Self::Floods => "head -c 150000 /dev/zero; read x; exit 0",
            Self::Dies => "read x; kill -TERM $$",
            Self::Shell => return None,
        })
    }

    pub(crate) fn of(command: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|program| program.command().is_some_and(|c| c.as_bytes() == command))
    }

    /// Bytes that it has written in all after reading `read`, and after the end of its input.
    pub(crate) const fn written(self, read: usize, at_end: bool) -> usize {
        match self {
            Self::Echo => read,
            Self::Floods => FLOOD,
            Self::Speaks if at_end => 8,
            _ => 0,
        }
    }
}
