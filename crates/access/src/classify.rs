//! Which permission a request needs.
//!
//! `exec` permits any command. Four narrower permissions permit single commands: `scp`, `rsync`, `git:read`,
//! `git:write`. What a shell makes of a command line is more than we want to know, so a narrow permission is
//! enough only for lines so plain that no shell (POSIX, csh, fish, `cmd.exe`, PowerShell) can read more than one
//! command in them. Every other line needs `exec`; nothing is guessed.
//!
//! The answer decides **only** which permission is needed. How a channel is recorded never depends on it.
//!
//! What this does not see: a program called `scp` that somebody installed on the target, and what a program does
//! with its path: `scp -t /etc` overwrites what the login may overwrite, unless the grant has rules for paths, which
//! [`crate::FileAccess::judge_program`] holds. OpenSSH's `scp` from 9.0 on speaks
//! SFTP and needs `sftp:read` to fetch and `sftp:write` to send; `scp -O` needs `scp`.

mod hint;
mod rsync;
mod scp;
mod words;

use std::fmt;

use bartizan_model::{Permission, PermissionSet};

pub use self::hint::not_plain;
use self::words::words;
pub(crate) use self::words::{Quotes, Word};

/// A request that starts a program on a session channel (RFC 4254 §6.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked<'a> {
    /// `shell`.
    Shell,
    /// `exec` with this command.
    Exec(&'a [u8]),
    /// `subsystem` with this name.
    Subsystem(&'a [u8]),
}

/// Which permissions a request needs: all of one of the alternatives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needs(Vec<PermissionSet>);

impl Needs {
    /// True when what is allowed is enough.
    #[must_use = "what nobody checks is permitted"]
    pub fn met_by(&self, allow: &PermissionSet) -> bool {
        self.0.iter().any(|all| all.iter().all(|permission| allow.contains(permission)))
    }

    /// The alternatives, the narrowest first. Each is a set of which all are needed; none is empty.
    pub fn alternatives(&self) -> &[PermissionSet] {
        &self.0
    }

    fn one(permission: Permission) -> Self {
        Self(vec![PermissionSet::from_iter([permission])])
    }

    fn narrow_or_exec(narrow: Option<Permission>) -> Self {
        let sets = narrow.into_iter().chain([Permission::Exec]).map(|p| PermissionSet::from_iter([p]));
        Self(sets.collect())
    }
}

impl fmt::Display for Needs {
    /// Shows `scp or exec`, `sftp:read or sftp:write`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = |set: &PermissionSet| set.iter().map(Permission::as_str).collect::<Vec<_>>().join(" and ");
        f.pad(&self.0.iter().map(all).collect::<Vec<_>>().join(" or "))
    }
}

/// Tells which permissions a request needs. `pty` says whether the channel has a terminal: with one, what a
/// client types can be signals and not only data, so a command needs `exec`.
pub fn classify(asked: Asked<'_>, pty: bool) -> Needs {
    match asked {
        Asked::Shell => Needs::one(Permission::Shell),
        Asked::Exec(_) if pty => Needs::one(Permission::Exec),
        Asked::Exec(_) => Needs::narrow_or_exec(program(asked).map(|program| program.permission)),
        // Reading and writing share one channel: each request in it is judged by what it needs.
        Asked::Subsystem(b"sftp") => {
            Needs([Permission::SftpRead, Permission::SftpWrite].map(|p| PermissionSet::from_iter([p])).into())
        }
        Asked::Subsystem(_) => Needs::one(Permission::Subsystem),
    }
}

/// What a plain command line of a narrow permission has its program do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program<'a> {
    permission: Permission,
    paths: Vec<Word<'a>>,
    beyond: Option<(&'a str, &'static str)>,
}

impl<'a> Program<'a> {
    /// The permission that is enough for it.
    pub const fn permission(&self) -> Permission {
        self.permission
    }

    /// What it names: one path, or of what it is to send several.
    pub(crate) fn paths(&self) -> &[Word<'a>] {
        &self.paths
    }

    /// The option by which it reads or writes what it does not name, and why that is so.
    pub(crate) const fn beyond(&self) -> Option<(&'a str, &'static str)> {
        self.beyond
    }

    fn new(permission: Permission, paths: &[Word<'a>]) -> Self {
        Self { permission, paths: paths.to_vec(), beyond: None }
    }
}

/// The program of a command line for which a narrow permission would do. `None` of everything that is not so plain,
/// which needs `exec`.
pub fn program(asked: Asked<'_>) -> Option<Program<'_>> {
    let Asked::Exec(command) = asked else { return None };
    let words = words(std::str::from_utf8(command).ok()?)?;
    let (name, arguments) = words.split_first()?;
    match name.bare()? {
        "scp" => Some(Program::new(Permission::Scp, scp::paths(arguments)?)),
        "rsync" => {
            let rsync::Line { paths, beyond } = rsync::line(arguments)?;
            Some(Program { beyond, ..Program::new(Permission::Rsync, paths) })
        }
        "git-upload-pack" | "git-upload-archive" => git(Permission::GitRead, arguments),
        "git-receive-pack" => git(Permission::GitWrite, arguments),
        _ => None,
    }
}

/// `git-upload-pack 'PATH'`, always quoted as git does. A path like an option would be one (CVE-2017-8386).
fn git<'a>(permission: Permission, arguments: &[Word<'a>]) -> Option<Program<'a>> {
    match arguments {
        [path @ Word::Quoted(_, Quotes::Single)] if !path.is_option() => {
            Some(Program::new(permission, arguments))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
