//! Which files SFTP may touch, and which `scp`, `rsync` and Git: the file rules of several grants together.
//!
//! A request is permitted when one grant permits it; rules of different grants are never cut with each other. Paths are
//! judged as they are written: of a path with `..` nobody can say without asking the target where it leads, so it is
//! permitted only where every path is.

mod path;
mod programs;

use bartizan_model::{FileRules, Grant, GrantId, Permission, Reach, escape};

pub use self::path::FilePath;

/// Longest path that a reason shows, in bytes before escaping.
const SHOWN: usize = 200;

/// What the grants of a session permit SFTP, `scp`, `rsync` and Git to do, and with which files and repositories. Part of a
/// [`Permit`](crate::Permit).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileAccess {
    read: Extent,
    write: Extent,
    scp: Extent,
    rsync: Extent,
    git_read: Extent,
    git_write: Extent,
}

/// For which files one permission is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Extent {
    /// For every file.
    Everything,
    /// For those of these grants; of none of them for no file.
    Grants(Vec<(GrantId, FileRules)>),
}

impl Default for Extent {
    fn default() -> Self {
        Self::Grants(Vec::new())
    }
}

/// What is wanted of a file or folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileUse {
    /// To know that it is there and its attributes. Whoever may read or write something below it may, too.
    Look,
    /// To read it, to list it, to learn where a link leads.
    Read,
    /// To make it, write it, remove it, or change its attributes.
    Write,
}

/// How long a file may be that is read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSize {
    /// Any length.
    Any,
    /// So many bytes.
    UpTo(u64),
}

impl FileSize {
    /// True when bytes up to here, counted from the file's beginning, are permitted.
    pub fn has(self, end: Option<u64>) -> bool {
        match (self, end) {
            (Self::Any, _) => true,
            (Self::UpTo(most), Some(end)) => end <= most,
            (Self::UpTo(_), None) => false,
        }
    }

    fn of(rules: &FileRules) -> Self {
        rules.max_file_bytes.map_or(Self::Any, Self::UpTo)
    }

    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::UpTo(a), Self::UpTo(b)) => Self::UpTo(a.max(b)),
            _ => Self::Any,
        }
    }
}

/// Why a file may not be used so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileDenial {
    /// The reason in words, for the person and the log; holds no control character.
    pub reason: String,
    /// The grants that would permit it but for their rules.
    pub rules: Vec<GrantId>,
}

impl FileAccess {
    /// What these rules permit SFTP, of which grant each; no rules at all permit nothing. It opens nothing by itself: what a
    /// session may do is in its [`Permit`](crate::Permit).
    pub fn by_rules(read: Vec<(GrantId, FileRules)>, write: Vec<(GrantId, FileRules)>) -> Self {
        let extent = |rules: Vec<(GrantId, FileRules)>| match rules.iter().any(|(_, rules)| rules.is_empty())
        {
            true => Extent::Everything,
            false => Extent::Grants(rules),
        };
        Self { read: extent(read), write: extent(write), ..Self::default() }
    }

    /// What these grants permit; `everything` tells of what an operator's policy permits for every file.
    pub(crate) fn of(
        grants: &[&Grant],
        everything: impl Fn(Permission) -> bool,
        may: impl Fn(Permission) -> bool,
    ) -> Self {
        let extent = |permission| {
            let grants = grants.iter().filter(|grant| grant.allow.contains(permission));
            let mut rules: Vec<_> = grants.map(|grant| (grant.id.clone(), grant.files.clone())).collect();
            rules.sort_unstable_by(|a, b| a.0.cmp(&b.0));
            match may(permission) {
                false => Extent::default(),
                true if everything(permission) || rules.iter().any(|(_, rules)| rules.is_empty()) => {
                    Extent::Everything
                }
                true => Extent::Grants(rules),
            }
        };
        Self {
            read: extent(Permission::SftpRead),
            write: extent(Permission::SftpWrite),
            scp: extent(Permission::Scp),
            rsync: extent(Permission::Rsync),
            git_read: extent(Permission::GitRead),
            git_write: extent(Permission::GitWrite),
        }
    }

    /// True when SFTP may read and write every file: there is nothing to judge.
    pub fn is_everything(&self) -> bool {
        self.read == Extent::Everything && self.write == Extent::Everything
    }

    /// True when some grant permits SFTP some paths and not others.
    pub fn is_by_path(&self) -> bool {
        let by_path = |extent: &Extent| match extent {
            Extent::Everything => false,
            Extent::Grants(grants) => grants.iter().any(|(_, rules)| !rules.every_path()),
        };
        by_path(&self.read) || by_path(&self.write)
    }

    /// Judges one use of one path. Gives how long the file may be, for reading and writing it.
    ///
    /// # Errors
    /// Why no grant permits it.
    pub fn judge(&self, what: FileUse, path: &FilePath<'_>) -> Result<FileSize, FileDenial> {
        let extents: &[&Extent] = match what {
            FileUse::Look => &[&self.read, &self.write],
            FileUse::Read => &[&self.read],
            FileUse::Write => &[&self.write],
        };
        let sizes = extents.iter().filter_map(|extent| extent.size(what, path));
        sizes.reduce(FileSize::or).ok_or_else(|| self.denied(extents, what, path))
    }

    /// The grants that permit one use of one path; none when an operator's policy or a grant without rules does.
    pub fn rules(&self, what: FileUse, path: &FilePath<'_>) -> Vec<GrantId> {
        let extent = if what == FileUse::Write { &self.write } else { &self.read };
        match extent {
            Extent::Everything => Vec::new(),
            Extent::Grants(grants) => grants
                .iter()
                .filter(|(_, rules)| covers(rules, what, path))
                .map(|(id, _)| id.clone())
                .collect(),
        }
    }

    /// Judges what makes a file, or a whole folder, be there by another name: renames and links.
    ///
    /// Whoever could move a folder from where less is permitted to where more is could do everything. So it is
    /// permitted when each grant says of the one name and all below it what it says of the other, and when one grant
    /// permits writing all of both.
    ///
    /// # Errors
    /// Why no grant permits it.
    pub fn judge_pair(&self, from: &FilePath<'_>, to: &FilePath<'_>) -> Result<(), FileDenial> {
        self.judge(FileUse::Write, from)?;
        self.judge(FileUse::Write, to)?;
        let denied = |reason: &str| FileDenial { reason: reason.to_owned(), rules: self.write.ids() };
        let (mut whole, mut alike) = (self.write == Extent::Everything, true);
        for (extent, writes) in [(&self.read, false), (&self.write, true)] {
            let Extent::Grants(grants) = extent else { continue };
            for (_, rules) in grants.iter().filter(|(_, rules)| !rules.every_path()) {
                match (reach(rules, from), reach(rules, to)) {
                    (Reach::Everything, Reach::Everything) => whole |= writes,
                    (Reach::Nothing, Reach::Nothing) => {}
                    _ => alike = false,
                }
            }
            whole |= writes && grants.iter().any(|(_, rules)| rules.every_path());
        }
        if whole && alike {
            return Ok(());
        }
        Err(denied("one of the two names, or what is below it, is under other rules than the other one"))
    }

    fn denied(&self, extents: &[&Extent], what: FileUse, path: &FilePath<'_>) -> FileDenial {
        let permission = match what {
            FileUse::Look => "sftp:read or sftp:write",
            FileUse::Read => "sftp:read",
            FileUse::Write => "sftp:write",
        };
        let rules: Vec<GrantId> = extents.iter().flat_map(|extent| extent.ids()).collect();
        let reason = match path {
            _ if rules.is_empty() => format!("no grant permits {permission}"),
            FilePath::Plain(path) => format!("no grant permits {permission} for {}", shown(path)),
            FilePath::Unclear(why) => format!("no grant permits {permission} for this path: {why}"),
        };
        FileDenial { reason, rules }
    }
}

impl Extent {
    fn ids(&self) -> Vec<GrantId> {
        match self {
            Self::Everything => Vec::new(),
            Self::Grants(grants) => grants.iter().map(|(id, _)| id.clone()).collect(),
        }
    }

    /// How long a file may be to be used so, if it may at all.
    fn size(&self, what: FileUse, path: &FilePath<'_>) -> Option<FileSize> {
        match self {
            Self::Everything => Some(FileSize::Any),
            Self::Grants(grants) => {
                let permit = grants.iter().filter(|(_, rules)| covers(rules, what, path));
                permit.map(|(_, rules)| FileSize::of(rules)).reduce(FileSize::or)
            }
        }
    }
}

fn covers(rules: &FileRules, what: FileUse, path: &FilePath<'_>) -> bool {
    match path {
        _ if rules.every_path() => true,
        FilePath::Unclear(_) => false,
        FilePath::Plain(path) if what == FileUse::Look => rules.reach(path) != Reach::Nothing,
        FilePath::Plain(path) => rules.cover(path),
    }
}

fn reach(rules: &FileRules, path: &FilePath<'_>) -> Reach {
    match path {
        FilePath::Plain(path) => rules.reach(path),
        FilePath::Unclear(_) => Reach::Something,
    }
}

fn shown(path: &[u8]) -> String {
    match path.get(..SHOWN) {
        Some(head) if path.len() > SHOWN => format!("{}…", escape(head)),
        _ => escape(path),
    }
}

#[cfg(test)]
mod tests;
