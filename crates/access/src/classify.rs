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
//! with its path. `scp -t /etc` overwrites what the login may overwrite. OpenSSH's `scp` from 9.0 on speaks
//! SFTP and needs `sftp:read` to fetch and `sftp:write` to send; `scp -O` needs `scp`.

use std::fmt;

use bartizan_model::{Permission, PermissionSet};

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
        Asked::Exec(command) => Needs::narrow_or_exec(if pty { None } else { narrow(command) }),
        // Reading and writing share one channel: each request in it is judged by what it needs.
        Asked::Subsystem(b"sftp") => {
            Needs([Permission::SftpRead, Permission::SftpWrite].map(|p| PermissionSet::from_iter([p])).into())
        }
        Asked::Subsystem(_) => Needs::one(Permission::Subsystem),
    }
}

/// The repository that a plain command line of Git is for, and the permission it needs. `None` of everything that is
/// not so plain, which needs `exec`.
pub fn repository(asked: Asked<'_>) -> Option<(Permission, &str)> {
    let Asked::Exec(command) = asked else { return None };
    let permission = narrow(command).filter(|p| matches!(p, Permission::GitRead | Permission::GitWrite))?;
    match words(std::str::from_utf8(command).ok()?)?.pop()? {
        Word::Quoted(path) => Some((permission, path)),
        Word::Bare(_) => None,
    }
}

/// The narrow permission that would do for a command line, if it is plain enough for one.
fn narrow(command: &[u8]) -> Option<Permission> {
    let mut words = words(std::str::from_utf8(command).ok()?)?;
    let path = words.pop()?;
    let program = words.first()?.bare()?;
    let options: Vec<&str> = words[1..].iter().map(Word::bare).collect::<Option<_>>()?;
    match program {
        "scp" => is_scp(&options, &path).then_some(Permission::Scp),
        "rsync" => is_rsync(&options, &path).then_some(Permission::Rsync),
        "git-upload-pack" | "git-upload-archive" => is_git(&options, &path).then_some(Permission::GitRead),
        "git-receive-pack" => is_git(&options, &path).then_some(Permission::GitWrite),
        _ => None,
    }
}

/// `scp [-rpdvq] (-t|-f) [--] PATH`, options apart or together, as OpenSSH, PuTTY, Paramiko and Go send it.
fn is_scp(options: &[&str], path: &Word<'_>) -> bool {
    let (options, ended) = match options {
        [options @ .., "--"] => (options, true),
        _ => (options, false),
    };
    let mut directions = 0;
    for option in options {
        let Some(letters) = option.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
            return false;
        };
        for letter in letters.chars() {
            match letter {
                't' | 'f' => directions += 1,
                'r' | 'p' | 'd' | 'v' | 'q' => {}
                _ => return false,
            }
        }
    }
    directions == 1 && (ended || !path.is_option())
}

/// `rsync --server [--sender] -FLAGS[e.CAPABILITIES] [--OPTION...] . PATH`, as rsync 3 sends it.
fn is_rsync(options: &[&str], path: &Word<'_>) -> bool {
    let ["--server", options @ .., "."] = options else { return false };
    let options = options.strip_prefix(&["--sender"]).unwrap_or(options);
    options.iter().all(|option| is_rsync_option(option)) && !path.is_option()
}

/// Options that neither name files of the server's, nor hide the path, nor take the next word.
fn is_rsync_option(option: &str) -> bool {
    const FLAGS: &str = "vlogDtprzcundRkLKOJWImibyxEUNSHAX";
    const LONG: [&str; 20] = [
        "append",
        "checksum",
        "delete",
        "delete-after",
        "delete-before",
        "delete-delay",
        "delete-during",
        "delete-excluded",
        "existing",
        "force",
        "ignore-existing",
        "inplace",
        "new-compress",
        "no-implied-dirs",
        "numeric-ids",
        "partial",
        "safe-links",
        "size-only",
        "sparse",
        "stats",
    ];
    if let Some(name) = option.strip_prefix("--") {
        return LONG.contains(&name);
    }
    let Some(bundle) = option.strip_prefix('-') else { return false };
    // `e.iLsfxCIvu` ends the flags: what follows the dot names what the client can do.
    let (flags, capabilities) = bundle.split_once("e.").unwrap_or((bundle, ""));
    let letters_only = capabilities.chars().all(|c| c.is_ascii_alphabetic());
    !bundle.is_empty() && flags.chars().all(|c| FLAGS.contains(c)) && letters_only
}

/// `git-upload-pack 'PATH'`, always quoted as git does. A path like an option would be one (CVE-2017-8386).
fn is_git(options: &[&str], path: &Word<'_>) -> bool {
    options.is_empty() && matches!(path, Word::Quoted(_)) && !path.is_option()
}

/// One word of a plain command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word<'a> {
    Bare(&'a str),
    /// In single quotes as a whole; holds what is between them.
    Quoted(&'a str),
}

impl<'a> Word<'a> {
    fn bare(&self) -> Option<&'a str> {
        match self {
            Self::Bare(word) => Some(word),
            Self::Quoted(_) => None,
        }
    }

    fn is_option(&self) -> bool {
        let (Self::Bare(word) | Self::Quoted(word)) = self;
        word.starts_with('-')
    }
}

/// Splits a command line into words at single spaces. `None` when any of it could mean more to some shell:
/// no expansion, substitution, redirection, escape, control character or separator is plain.
fn words(line: &str) -> Option<Vec<Word<'_>>> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        let word = match rest.strip_prefix('\'') {
            Some(quoted) => {
                let end = quoted.find('\'')?;
                let inner = &quoted[..end];
                rest = &quoted[end + 1..];
                (!inner.is_empty() && inner.chars().all(is_plain_when_quoted))
                    .then_some(Word::Quoted(inner))?
            }
            None => {
                let end = rest.find(' ').unwrap_or(rest.len());
                let word = &rest[..end];
                rest = &rest[end..];
                (!word.is_empty() && word.chars().all(is_plain)).then_some(Word::Bare(word))?
            }
        };
        words.push(word);
        if rest.is_empty() {
            return Some(words);
        }
        rest = rest.strip_prefix(' ')?;
    }
}

/// Characters that mean only themselves to every shell, wherever in a word. `~` names a home directory at most.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_./+:@~,".contains(c)
}

/// Between single quotes a POSIX shell takes everything as it is, but `cmd.exe` does not know them as quotes.
fn is_plain_when_quoted(c: char) -> bool {
    is_plain(c) || " =#[]{}".contains(c) || c.is_alphabetic() && !c.is_ascii()
}

#[cfg(test)]
mod tests;
