//! Names of signals (RFC 4254 §6.10).

use std::fmt;

/// A signal that RFC 4254 names, or OpenSSH's `INFO@openssh.com`; other names stay names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signal {
    /// `SIGABRT`
    ABRT,
    /// `SIGALRM`
    ALRM,
    /// `SIGFPE`
    FPE,
    /// `SIGHUP`
    HUP,
    /// `SIGILL`
    ILL,
    /// `SIGINT`
    INT,
    /// `SIGKILL`
    KILL,
    /// `SIGPIPE`
    PIPE,
    /// `SIGQUIT`
    QUIT,
    /// `SIGSEGV`
    SEGV,
    /// `SIGTERM`
    TERM,
    /// `SIGUSR1`
    USR1,
    /// `SIGUSR2`
    USR2,
    /// `SIGINFO` as OpenSSH sends it
    INFO,
}

impl Signal {
    /// Every signal with a name.
    pub const ALL: [Self; 14] = [
        Self::ABRT,
        Self::ALRM,
        Self::FPE,
        Self::HUP,
        Self::ILL,
        Self::INT,
        Self::KILL,
        Self::PIPE,
        Self::QUIT,
        Self::SEGV,
        Self::TERM,
        Self::USR1,
        Self::USR2,
        Self::INFO,
    ];

    /// The name on the wire, without `SIG`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ABRT => "ABRT",
            Self::ALRM => "ALRM",
            Self::FPE => "FPE",
            Self::HUP => "HUP",
            Self::ILL => "ILL",
            Self::INT => "INT",
            Self::KILL => "KILL",
            Self::PIPE => "PIPE",
            Self::QUIT => "QUIT",
            Self::SEGV => "SEGV",
            Self::TERM => "TERM",
            Self::USR1 => "USR1",
            Self::USR2 => "USR2",
            Self::INFO => "INFO@openssh.com",
        }
    }

    /// The signal of this name; `None` for one that only the two ends know.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|signal| signal.name().as_bytes() == name)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
