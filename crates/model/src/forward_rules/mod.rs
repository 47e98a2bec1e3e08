//! What a grant says about forwarding: where to, and what a target may be asked to listen on.
//!
//! Pure text: nothing here asks a resolver. A name is judged as the client writes it, and what it stands for is the
//! target's to say.

mod end;
mod pattern;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::end::{ForwardEnd, ForwardHost};
pub use self::pattern::{ForwardTo, ListenOn};
use crate::{InvalidRecord, Permission, PermissionSet};

/// Where a grant's `forward:local` leads, and on what its `forward:remote` lets a target listen. Without a rule of the
/// kind: everywhere, and on everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardRules {
    /// Destinations that `forward:local` is for; empty is every one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<ForwardTo>,
    /// Addresses, ports and sockets that `forward:remote` is for; empty is every one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listen: Vec<ListenOn>,
}

impl ForwardRules {
    /// Most patterns of one list.
    pub const MAX_PATTERNS: usize = 64;

    /// True when there is no rule.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Checks that a grant with these rules and permissions keeps what it promises.
    ///
    /// # Errors
    /// When rules stand beside no permission that they are for, or are too many.
    pub fn check(&self, allow: &PermissionSet) -> Result<(), InvalidRecord> {
        let refuse = |value, why| Err(InvalidRecord { field: "forwarding rules with", value, why });
        if self.to.len().max(self.listen.len()) > Self::MAX_PATTERNS {
            let count = format!("{} patterns", self.to.len() + self.listen.len());
            return refuse(count, "are too many: at most 64 of a kind");
        }
        if !self.to.is_empty() && !allow.contains(Permission::ForwardLocal) {
            return refuse(allow.to_string(), "rule nothing: destinations are of forward:local, allow it");
        }
        if !self.listen.is_empty() && !allow.contains(Permission::ForwardRemote) {
            return refuse(
                allow.to_string(),
                "rule nothing: what to listen on is of forward:remote, allow it",
            );
        }
        Ok(())
    }

    /// True when `permission` may be used for this end. Only `forward:local` and `forward:remote` have rules.
    pub fn cover(&self, permission: Permission, end: &ForwardEnd) -> bool {
        match permission {
            Permission::ForwardLocal => self.to.is_empty() || self.to.iter().any(|to| to.covers(end)),
            Permission::ForwardRemote => {
                self.listen.is_empty() || self.listen.iter().any(|on| on.covers(end))
            }
            _ => true,
        }
    }

    /// The patterns that `permission` is held to, as they are written.
    pub fn patterns(&self, permission: Permission) -> Vec<String> {
        match permission {
            Permission::ForwardLocal => self.to.iter().map(ToString::to_string).collect(),
            Permission::ForwardRemote => self.listen.iter().map(ToString::to_string).collect(),
            _ => Vec::new(),
        }
    }
}

impl fmt::Display for ForwardRules {
    /// Shows `to db:5432, listening on localhost:8080`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [("to", Permission::ForwardLocal), ("listening on", Permission::ForwardRemote)];
        let kinds = kinds.map(|(word, permission)| (word, self.patterns(permission)));
        let told = kinds.into_iter().filter(|(_, patterns)| !patterns.is_empty());
        let told: Vec<_> = told.map(|(word, patterns)| format!("{word} {}", patterns.join(", "))).collect();
        f.pad(&told.join("; "))
    }
}
