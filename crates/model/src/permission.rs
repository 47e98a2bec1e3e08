//! What a grant can allow.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One permission; each is granted separately.
///
/// Written as in grants, events and policy: `shell`, `sftp:read`, `forward:local`, …
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// An interactive shell (`shell` request).
    Shell,
    /// Any command (`exec` request), whatever it is.
    Exec,
    /// Reading files by the `sftp` subsystem.
    SftpRead,
    /// Changing files by the `sftp` subsystem.
    SftpWrite,
    /// The `scp` command in its strict server forms (`scp -t PATH`, `scp -f PATH`).
    Scp,
    /// The `rsync --server` command in its strict form.
    Rsync,
    /// Fetching from Git repositories (`git-upload-pack`, `git-upload-archive`).
    GitRead,
    /// Pushing to Git repositories (`git-receive-pack`).
    GitWrite,
    /// Subsystems other than `sftp`.
    Subsystem,
    /// Connections from the target's network asked for by the client (`direct-tcpip`).
    ForwardLocal,
    /// Ports on the target forwarded back to the client (`tcpip-forward`).
    ForwardRemote,
    /// Agent forwarding (`auth-agent-req@openssh.com`).
    Agent,
    /// X11 forwarding (`x11-req`).
    X11,
    /// Watching live sessions of others; not in force yet.
    Watch,
    /// Ending sessions of others; not in force yet.
    Terminate,
    /// Replaying recordings; not in force yet.
    Replay,
    /// Approving requests for access; not in force yet.
    Approve,
}

impl Permission {
    /// Every permission, in the order listings use.
    pub const ALL: [Self; 17] = [
        Self::Shell,
        Self::Exec,
        Self::SftpRead,
        Self::SftpWrite,
        Self::Scp,
        Self::Rsync,
        Self::GitRead,
        Self::GitWrite,
        Self::Subsystem,
        Self::ForwardLocal,
        Self::ForwardRemote,
        Self::Agent,
        Self::X11,
        Self::Watch,
        Self::Terminate,
        Self::Replay,
        Self::Approve,
    ];

    /// False for those that can be granted and that nothing asks for yet: they are words for what is to come.
    pub const fn is_in_force(self) -> bool {
        !matches!(self, Self::Watch | Self::Terminate | Self::Replay | Self::Approve)
    }

    /// The permission as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Shell => "shell",
            Self::Exec => "exec",
            Self::SftpRead => "sftp:read",
            Self::SftpWrite => "sftp:write",
            Self::Scp => "scp",
            Self::Rsync => "rsync",
            Self::GitRead => "git:read",
            Self::GitWrite => "git:write",
            Self::Subsystem => "subsystem",
            Self::ForwardLocal => "forward:local",
            Self::ForwardRemote => "forward:remote",
            Self::Agent => "agent",
            Self::X11 => "x11",
            Self::Watch => "watch",
            Self::Terminate => "terminate",
            Self::Replay => "replay",
            Self::Approve => "approve",
        }
    }
}

/// A word that is no permission; the message lists those that are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{}\" is no permission; there are: {}", crate::escape(.0.as_bytes()), PermissionSet::all())]
pub struct UnknownPermission(String);

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
impl FromStr for Permission {
    type Err = UnknownPermission;
    fn from_str(text: &str) -> Result<Self, UnknownPermission> {
        Self::ALL
            .into_iter()
            .find(|p| p.as_str() == text)
            .ok_or_else(|| UnknownPermission(text.chars().take(80).collect()))
    }
}
impl Serialize for Permission {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
impl<'de> Deserialize<'de> for Permission {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A set of permissions, shown separated by commas.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PermissionSet(BTreeSet<Permission>);

impl PermissionSet {
    /// Every permission there is.
    pub fn all() -> Self {
        Self(Permission::ALL.into())
    }

    /// True when `permission` is in the set.
    pub fn contains(&self, permission: Permission) -> bool {
        self.0.contains(&permission)
    }

    /// True when nothing is in the set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The permissions in listing order.
    pub fn iter(&self) -> impl Iterator<Item = Permission> {
        self.0.iter().copied()
    }
}

impl FromIterator<Permission> for PermissionSet {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        Self(permissions.into_iter().collect())
    }
}
impl FromStr for PermissionSet {
    type Err = UnknownPermission;
    /// Reads `shell,exec,sftp:read`; the empty text is the empty set.
    fn from_str(text: &str) -> Result<Self, UnknownPermission> {
        text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::parse).collect()
    }
}
impl fmt::Display for PermissionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.iter().map(Permission::as_str).collect();
        f.pad(&words.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_permission_reads_back_as_written() {
        for p in Permission::ALL {
            assert_eq!(p.as_str().parse(), Ok(p));
        }
        assert_eq!(PermissionSet::all().iter().count(), Permission::ALL.len());
        let set: PermissionSet = "shell, sftp:read".parse().unwrap();
        assert_eq!(set.to_string(), "shell,sftp:read");
        assert!("sudo".parse::<PermissionSet>().unwrap_err().to_string().contains("there are: shell,exec,"));
    }
}
