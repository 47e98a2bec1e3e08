//! Which paths the programs may be given that narrow permissions are for: judged once, when they are asked for.

use bartizan_model::{FileRules, GrantId, Permission, Reach};

use super::{Extent, FileAccess, FileDenial, FilePath, FileUse, covers, reach, shown};
use crate::classify::{Program, Quotes, Word};

/// Of no file.
static NOTHING: Extent = Extent::Grants(Vec::new());

impl FileAccess {
    /// Judges all that a plain command line names.
    ///
    /// # Errors
    /// Why no grant permits it.
    pub fn judge_program(&self, program: &Program<'_>) -> Result<(), FileDenial> {
        let permission = program.permission();
        if matches!(permission, Permission::GitRead | Permission::GitWrite) {
            return program
                .paths()
                .iter()
                .try_for_each(|path| self.judge_repository(permission, path.text()));
        }
        let extent = self.transfers(permission);
        if *extent == Extent::Everything {
            return Ok(());
        }
        for word in program.paths() {
            self.judge_tree(permission, &path_of(word), word.text())?;
        }
        match program.beyond() {
            Some((option, why)) => {
                let reason = format!("no grant permits {permission} with {option} for single paths: {why}");
                Err(FileDenial { reason, rules: extent.ids() })
            }
            None => Ok(()),
        }
    }

    /// Judges `scp` or `rsync` with this path; every other permission permits nothing here.
    ///
    /// Whether they write a file or a folder of this name, and read all of it, is in what is sent later. So they are
    /// permitted where one grant is for the path and everything below it.
    ///
    /// # Errors
    /// Why no grant permits it.
    pub fn judge_transfer(&self, permission: Permission, written: &str) -> Result<(), FileDenial> {
        self.judge_tree(permission, &FilePath::new(written.as_bytes(), None), written)
    }

    fn judge_tree(
        &self,
        permission: Permission,
        path: &FilePath<'_>,
        written: &str,
    ) -> Result<(), FileDenial> {
        let extent = self.transfers(permission);
        let rules = match extent {
            Extent::Everything => return Ok(()),
            Extent::Grants(rules) => rules,
        };
        // No grant can be made that holds them to a size; nobody would keep it.
        let whole = rules.iter().filter(|(_, rules)| rules.max_file_bytes.is_none());
        let reaches: Vec<Reach> = whole.map(|(_, rules)| reach(rules, path)).collect();
        if reaches.contains(&Reach::Everything) {
            return Ok(());
        }
        let shown = shown(written.as_bytes());
        let reason = match path {
            _ if rules.is_empty() => format!("no grant permits {permission}"),
            FilePath::Unclear(why) => format!("no grant permits {permission} for {shown}: {why}"),
            FilePath::Plain(_) if reaches.contains(&Reach::Something) => {
                format!("no grant permits {permission} for {shown} and everything below it")
            }
            FilePath::Plain(_) => format!("no grant permits {permission} for {shown}"),
        };
        Err(FileDenial { reason, rules: extent.ids() })
    }

    /// The grants whose rules hold `scp` or `rsync` to some paths; none where every path is permitted, or none at all.
    pub fn holding(&self, permission: Permission) -> Vec<GrantId> {
        self.transfers(permission).ids()
    }

    fn transfers(&self, permission: Permission) -> &Extent {
        match permission {
            Permission::Scp => &self.scp,
            Permission::Rsync => &self.rsync,
            _ => &NOTHING,
        }
    }

    /// Judges Git's use of the repository that a command names; every other permission permits nothing here.
    ///
    /// Git completes names: where there is no `/srv/app` it opens `/srv/app.git`, and where that is not there either, what
    /// lies below or has `.git` once more. So of a name without `.git` both must be permitted, and of nothing that may be
    /// opened instead may a grant say that it is not.
    ///
    /// # Errors
    /// Why no grant permits it.
    pub fn judge_repository(&self, permission: Permission, written: &str) -> Result<(), FileDenial> {
        let extent = match permission {
            Permission::GitRead => &self.git_read,
            Permission::GitWrite => &self.git_write,
            _ => &NOTHING,
        };
        let name = written.trim_end_matches('/');
        let completed = format!("{name}.git");
        let names = if name.ends_with(".git") { &[written][..] } else { &[written, &completed] };
        let covered = |rules: &FileRules| {
            let path = |name: &&str| covers(rules, FileUse::Write, &FilePath::new(name.as_bytes(), None));
            names.iter().all(path)
        };
        let rules = match extent {
            Extent::Everything => return Ok(()),
            Extent::Grants(grants) => grants,
        };
        if rules.iter().any(|(_, rules)| covered(rules) && !excepts_completion(rules, name)) {
            return Ok(());
        }
        let (what, shown) = (permission.as_str(), shown(name.as_bytes()));
        let reason = match FilePath::new(written.as_bytes(), None) {
            _ if rules.is_empty() => format!("no grant permits {what}"),
            FilePath::Unclear(why) => format!("no grant permits {what} for {shown}: {why}"),
            FilePath::Plain(_) if rules.iter().any(|(_, rules)| covered(rules)) => {
                format!(
                    "no grant permits {what} for {shown}: git may open a repository instead that is excepted"
                )
            }
            FilePath::Plain(_) if names.len() > 1 => {
                format!("no grant permits {what} for {shown} and {shown}.git, which git may open instead")
            }
            FilePath::Plain(_) => format!("no grant permits {what} for {shown}"),
        };
        Err(FileDenial { reason, rules: extent.ids() })
    }
}

/// The path that a program gets, unless shells make different ones of it.
fn path_of<'a>(word: &Word<'a>) -> FilePath<'a> {
    let path = FilePath::new(word.text().as_bytes(), None);
    match (word, &path) {
        (Word::Bare(text), _) if text.contains(['~', ',']) => FilePath::Unclear(
            "a shell may read another path where ~ or , is: write it from /, in single quotes",
        ),
        (Word::Quoted(text, Quotes::Single), FilePath::Plain(_)) if text.contains(' ') && on_drive(text) => {
            FilePath::Unclear("cmd.exe knows no single quotes: write it in double ones")
        }
        _ => path,
    }
}

/// Whether a path leads to a drive of Windows.
fn on_drive(text: &str) -> bool {
    text.split('/').find(|part| !part.is_empty() && *part != ".").is_some_and(|part| part.ends_with(':'))
}

/// Whether rules except what git opens where there is no repository of this name (`enter_repo` in git's `path.c`).
fn excepts_completion(rules: &FileRules, name: &str) -> bool {
    ["/.git", ".git", ".git/.git"].iter().any(|end| {
        match FilePath::new(format!("{name}{end}").as_bytes(), None) {
            FilePath::Plain(path) => rules.not_paths.iter().any(|glob| glob.matches(&path)),
            FilePath::Unclear(_) => false,
        }
    })
}

#[cfg(test)]
mod tests;
