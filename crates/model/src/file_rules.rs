//! What a grant says about files: which paths, and how large a file may be.
//!
//! Pure text: nothing here looks at a file. A path is judged as it is written, so symbolic links that are on a target
//! already are not seen.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{InvalidRecord, Permission, PermissionSet, Recording};

/// Which files a grant's `sftp:read` and `sftp:write` are for, which folders its `scp` and `rsync`, and which repositories its
/// `git:read` and `git:write`. Without any rule: all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRules {
    /// Paths that are permitted; empty is every path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<PathGlob>,
    /// Paths that are not, although `paths` has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_paths: Vec<PathGlob>,
    /// How long a file may be that SFTP reads or writes, in bytes; `None` is any length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_file_bytes: Option<u64>,
}

/// How much of a path, and of all that is below it, some rules are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The path and everything below it.
    Everything,
    /// Perhaps the path, perhaps something below it.
    Something,
    /// Neither the path nor anything below it.
    Nothing,
}

impl FileRules {
    /// Most patterns of one list.
    pub const MAX_PATTERNS: usize = 64;

    /// What to write instead of a text that is no size.
    pub const NO_SIZE: &str = "expected a size such as 64K, 16M or 1G";

    /// Reads the size of a file: bytes, or `64K`, `16M`, `1G`.
    pub fn parse_size(text: &str) -> Option<u64> {
        let digits = text.starts_with(|c: char| c.is_ascii_digit());
        Recording::parse_cap(text).flatten().filter(|_| digits)
    }

    /// The size as [`Self::parse_size`] reads it.
    pub fn size_text(bytes: u64) -> String {
        match bytes {
            0 => "0".to_owned(),
            bytes => Recording { channel_cap: Some(bytes), input: false }.cap_text(),
        }
    }

    /// True when there is no rule.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// True when no path is ruled out.
    pub fn every_path(&self) -> bool {
        self.paths.is_empty() && self.not_paths.is_empty()
    }

    /// Checks that a grant with these rules and permissions keeps what it promises.
    ///
    /// # Errors
    /// When there are rules, and permissions that no rule can hold to files: `exec` with a path would permit `cat` of
    /// any other, and no size holds but by SFTP.
    pub fn check(&self, allow: &PermissionSet) -> Result<(), InvalidRecord> {
        let refuse = |value: String, why| Err(InvalidRecord { field: "file rules with", value, why });
        if self.is_empty() {
            return Ok(());
        }
        if self.paths.len().max(self.not_paths.len()) > Self::MAX_PATTERNS {
            return refuse(
                format!("{} patterns", self.paths.len() + self.not_paths.len()),
                "are too many: at most 64 of a kind",
            );
        }
        let sftp = |permission| matches!(permission, Permission::SftpRead | Permission::SftpWrite);
        let program = |permission| {
            matches!(
                permission,
                Permission::Scp | Permission::Rsync | Permission::GitRead | Permission::GitWrite
            )
        };
        let those = |held: &dyn Fn(Permission) -> bool| allow.iter().filter(|&p| held(p)).collect();
        let others: PermissionSet = those(&|permission| !sftp(permission) && !program(permission));
        if !others.is_empty() {
            let why = "would promise what nobody can keep: paths hold for sftp:read, sftp:write, scp, rsync, git:read and \
                       git:write only; give the other permissions by another grant";
            return refuse(others.to_string(), why);
        }
        if allow.is_empty() {
            let why = "rule nothing: allow sftp:read, sftp:write, scp, rsync, git:read or git:write";
            return refuse(allow.to_string(), why);
        }
        let unsized_ones: PermissionSet = those(&program);
        if self.max_file_bytes.is_some() && !unsized_ones.is_empty() {
            let why = "would promise what nobody can keep: a size holds for files by SFTP only; allow sftp:read or sftp:write \
                       with it, which scp of OpenSSH 9 and newer uses by itself";
            return refuse(unsized_ones.to_string(), why);
        }
        Ok(())
    }

    /// True when the rules are for this path. It starts with `/` and has neither `.`, `..` nor empty parts.
    pub fn cover(&self, path: &[u8]) -> bool {
        let any = |globs: &[PathGlob]| globs.iter().any(|glob| glob.matches(path));
        (self.paths.is_empty() || any(&self.paths)) && !any(&self.not_paths)
    }

    /// How much of a path and what is below it the rules are for; the path is as for [`Self::cover`].
    pub fn reach(&self, path: &[u8]) -> Reach {
        let of =
            |globs: &[PathGlob]| globs.iter().map(|glob| glob.reach(path)).fold(Reach::Nothing, Reach::or);
        let permitted = if self.paths.is_empty() { Reach::Everything } else { of(&self.paths) };
        match (permitted, of(&self.not_paths)) {
            (Reach::Nothing, _) | (_, Reach::Everything) => Reach::Nothing,
            (permitted, Reach::Nothing) => permitted,
            (_, Reach::Something) => Reach::Something,
        }
    }
}

impl Reach {
    const fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Everything, _) | (_, Self::Everything) => Self::Everything,
            (Self::Nothing, Self::Nothing) => Self::Nothing,
            _ => Self::Something,
        }
    }
}

impl fmt::Display for FileRules {
    /// Shows `/srv/app/** not /srv/app/keys/** up to 100M`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |globs: &[PathGlob]| globs.iter().map(PathGlob::as_str).collect::<Vec<_>>().join(", ");
        let mut text = if self.paths.is_empty() { "every path".to_owned() } else { list(&self.paths) };
        if !self.not_paths.is_empty() {
            text = format!("{text} but not {}", list(&self.not_paths));
        }
        if let Some(bytes) = self.max_file_bytes {
            text = format!("{text}, each file up to {}", Self::size_text(bytes));
        }
        f.pad(&text)
    }
}

/// A pattern for absolute paths.
///
/// It is compared part by part, and letters that differ in case differ. Within a part `*` stands for any run of bytes,
/// none too, and never for a `/`. A part `**` stands for any number of whole parts, none too: `/srv/app/**` is
/// `/srv/app` and all below it, `/srv/*/log` is `/srv/a/log`, not `/srv/a/b/log`. There are no other wildcards.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PathGlob(String);

impl PathGlob {
    /// The longest pattern, in bytes: the longest path on Linux.
    pub const MAX_BYTES: usize = 4096;

    /// Checks and makes a pattern. A `/` at its end is left out.
    ///
    /// # Errors
    /// When it could not match what it looks like: it does not start with `/`, has empty parts, `.` or `..`, a `**`
    /// that is not a whole part, or what other programs take for wildcards.
    pub fn new(text: &str) -> Result<Self, InvalidRecord> {
        let refuse = |why| Err(InvalidRecord { field: "path", value: text.chars().take(160).collect(), why });
        let Some(rest) = text.strip_prefix('/') else {
            return refuse("is no pattern: write it from /, such as /srv/app/**");
        };
        if text.len() > Self::MAX_BYTES {
            return refuse("is longer than a path can be");
        }
        if text.contains(['?', '[', ']', '{', '}', '\\', '\0']) {
            return refuse("is no pattern: * and ** are the only wildcards, write * for any other sign");
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        for part in rest.split('/').filter(|_| !rest.is_empty()) {
            match part {
                "" | "." | ".." => return refuse("is no pattern: empty parts, . and .. match nothing"),
                "**" => {}
                part if part.contains("**") => {
                    return refuse("is no pattern: ** stands alone between slashes, as in /srv/**/log");
                }
                _ => {}
            }
        }
        Ok(Self(format!("/{rest}")))
    }

    /// The pattern as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True when the pattern is for this path; see [`FileRules::cover`].
    pub fn matches(&self, path: &[u8]) -> bool {
        let parts: Vec<&str> = parts(&self.0).collect();
        let end = parts.len();
        self.places(path).get(end).is_some_and(|reached| *reached)
    }

    /// How much of a path and what is below it the pattern is for.
    pub fn reach(&self, path: &[u8]) -> Reach {
        let parts: Vec<&str> = parts(&self.0).collect();
        let places = self.places(path);
        let everything =
            parts.last() == Some(&"**") && places.get(parts.len() - 1).is_some_and(|reached| *reached);
        match places.iter().any(|reached| *reached) {
            _ if everything => Reach::Everything,
            // Every part can be matched by some name, so what is begun can be ended.
            true => Reach::Something,
            false => Reach::Nothing,
        }
    }

    /// Where in the pattern one can stand after all of the path: before part 0, before part 1, …, behind the last.
    fn places(&self, path: &[u8]) -> Vec<bool> {
        let parts: Vec<&str> = parts(&self.0).collect();
        let mut places = vec![false; parts.len() + 1];
        places[0] = true;
        skip_any(&parts, &mut places);
        let mut next = places.clone();
        for name in path.split(|&byte| byte == b'/').filter(|name| !name.is_empty()) {
            next.fill(false);
            for (place, part) in parts.iter().enumerate().filter(|(place, _)| places[*place]) {
                match *part {
                    "**" => next[place] = true,
                    part if part_matches(part.as_bytes(), name) => next[place + 1] = true,
                    _ => {}
                }
            }
            skip_any(&parts, &mut next);
            std::mem::swap(&mut places, &mut next);
            // Who stands nowhere goes nowhere, however long the rest of a path is.
            if !places.contains(&true) {
                break;
            }
        }
        places
    }
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split('/').filter(|part| !part.is_empty())
}

/// A `**` can stand for no part at all.
fn skip_any(parts: &[&str], places: &mut [bool]) {
    for (place, part) in parts.iter().enumerate() {
        if places[place] && *part == "**" {
            places[place + 1] = true;
        }
    }
}

/// Matches one part: `*` is any run of bytes. Takes time in proportion to both lengths at most.
pub(crate) fn part_matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n, mut retry) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p, n));
                p += 1;
            }
            Some(byte) if *byte == name[n] => (p, n) = (p + 1, n + 1),
            _ => match retry {
                Some((star, from)) => {
                    (p, n) = (star + 1, from + 1);
                    retry = Some((star, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

impl FromStr for PathGlob {
    type Err = InvalidRecord;
    fn from_str(text: &str) -> Result<Self, InvalidRecord> {
        Self::new(text)
    }
}
impl TryFrom<String> for PathGlob {
    type Error = InvalidRecord;
    fn try_from(text: String) -> Result<Self, InvalidRecord> {
        Self::new(&text)
    }
}
impl From<PathGlob> for String {
    fn from(glob: PathGlob) -> Self {
        glob.0
    }
}
impl fmt::Display for PathGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(paths: &[&str], not_paths: &[&str]) -> FileRules {
        let globs = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        FileRules { paths: globs(paths), not_paths: globs(not_paths), max_file_bytes: None }
    }

    #[test]
    fn patterns_match_part_by_part() {
        for (pattern, path, matches) in [
            ("/", "/", true),
            ("/", "/a", false),
            ("/**", "/", true),
            ("/**", "/a/b", true),
            ("/srv/app/**", "/srv/app", true),
            ("/srv/app/**", "/srv/app/a/b", true),
            ("/srv/app/**", "/srv/application", false),
            ("/srv/app/**", "/srv", false),
            ("/srv/app/", "/srv/app", true),
            ("/srv/*", "/srv/a", true),
            ("/srv/*", "/srv", false),
            ("/srv/*", "/srv/a/b", false),
            ("/srv/*.log", "/srv/.log", true),
            ("/srv/*.log", "/srv/a.log.gz", false),
            ("/srv/a*b*c", "/srv/aXbXbYc", true),
            ("/srv/a*b*c", "/srv/aXc", false),
            ("/srv/**/log", "/srv/log", true),
            ("/srv/**/log", "/srv/a/b/log", true),
            ("/srv/**/log", "/srv/a/b/log/x", false),
            ("/srv/**/a/**", "/srv/x/a/y", true),
            ("/SRV/**", "/srv/a", false),
        ] {
            assert_eq!(PathGlob::new(pattern).unwrap().matches(path.as_bytes()), matches, "{pattern} {path}");
        }
        assert!(PathGlob::new("/srv/*").unwrap().matches(b"/srv/\xff\n"));
    }

    #[test]
    fn reach_says_what_is_below() {
        use Reach::{Everything, Nothing, Something};
        for (paths, not_paths, path, reach) in [
            (&["/srv/**"][..], &[][..], "/srv/a", Everything),
            (&["/srv/**"], &[], "/", Something),
            (&["/srv/**"], &[], "/etc", Nothing),
            (&["/srv/*"], &[], "/srv/a", Something),
            (&["/srv/*"], &[], "/srv/a/b", Nothing),
            (&["/srv/**"], &["/srv/a/keys/**"], "/srv/a", Something),
            (&["/srv/**"], &["/srv/a/keys/**"], "/srv/b", Everything),
            (&["/srv/**"], &["/srv/a/keys/**"], "/srv/a/keys/x", Nothing),
            (&["/srv/**"], &["/**/.ssh/**"], "/srv/b", Something),
            (&["/srv/**"], &["/srv/b/*"], "/srv/b/c", Something),
            (&[], &["/etc/**"], "/srv", Everything),
            (&[], &["/etc/**"], "/", Something),
            (&[], &[], "/", Everything),
        ] {
            assert_eq!(
                rules(paths, not_paths).reach(path.as_bytes()),
                reach,
                "{paths:?} {not_paths:?} {path}"
            );
        }
    }

    #[test]
    fn what_looks_like_more_than_it_is_is_refused() {
        for refused in [
            "", "srv", "~/x", "/a//b", "/a/../b", "/a/.", "/a**", "/a/**b/c", "/a?", "/[ab]", "/{a,b}",
            "/a\\b", "/a\0",
        ] {
            assert!(PathGlob::new(refused).is_err(), "{refused:?}");
        }
        assert!(PathGlob::new(&format!("/{}", "a".repeat(4096))).is_err());
    }

    #[test]
    fn rules_stand_with_nothing_that_they_do_not_hold() {
        let mut ruled = rules(&["/srv/**"], &[]);
        for (allow, fits) in [
            ("sftp:read", true),
            ("sftp:read,sftp:write", true),
            ("git:read", true),
            ("git:read,git:write,sftp:read", true),
            ("scp", true),
            ("scp,rsync,sftp:read,git:write", true),
            ("scp,shell", false),
            ("exec", false),
            ("", false),
        ] {
            assert_eq!(ruled.check(&allow.parse().unwrap()).is_ok(), fits, "{allow}");
            assert!(FileRules::default().check(&allow.parse().unwrap()).is_ok());
        }
        let error = ruled.check(&"sftp:read,exec,rsync,agent".parse().unwrap()).unwrap_err().to_string();
        assert!(error.contains("\"exec,agent\"") && error.contains("another grant"), "{error}");
        let sized = FileRules { max_file_bytes: Some(1), ..FileRules::default() };
        assert!(sized.check(&"sftp:read".parse().unwrap()).is_ok());
        for unsized_one in ["git:read", "scp", "rsync"] {
            let error =
                sized.check(&format!("sftp:read,{unsized_one}").parse().unwrap()).unwrap_err().to_string();
            assert!(
                error.contains(&format!("\"{unsized_one}\"")) && error.contains("by SFTP only"),
                "{error}"
            );
        }
        ruled.paths = vec!["/a".parse().unwrap(); 65];
        assert!(ruled.check(&"sftp:read".parse().unwrap()).is_err());
    }

    #[test]
    fn rules_are_shown_in_words() {
        let ruled =
            FileRules { max_file_bytes: Some(100 << 20), ..rules(&["/srv/**", "/tmp/*"], &["/srv/keys/**"]) };
        assert_eq!(ruled.to_string(), "/srv/**, /tmp/* but not /srv/keys/**, each file up to 100M");
        assert_eq!(
            FileRules { max_file_bytes: Some(0), ..FileRules::default() }.to_string(),
            "every path, each file up to 0"
        );
    }

    proptest::proptest! {
        /// Reach agrees with what matches: everything below is matched, or nothing is.
        #[test]
        fn reach_agrees_with_cover(
            paths in proptest::collection::vec("(/(a|b|[*]|[*][*]|a[*])){1,4}", 0..3),
            not_paths in proptest::collection::vec("(/(a|b|[*]|[*][*])){1,4}", 0..3),
            path in "(/(a|b|ab)){0,4}",
            below in "(/(a|b|ab)){0,3}",
        ) {
            let refs = |texts: &[String]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<PathGlob>>();
            let ruled = FileRules { paths: refs(&paths), not_paths: refs(&not_paths), max_file_bytes: None };
            let covered = ruled.cover(format!("{path}{below}").as_bytes());
            match ruled.reach(path.as_bytes()) {
                Reach::Everything => proptest::prop_assert!(covered),
                Reach::Nothing => proptest::prop_assert!(!covered),
                Reach::Something => {}
            }
        }
    }
}
