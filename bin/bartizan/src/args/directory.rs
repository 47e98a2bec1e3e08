//! Of the commands about people, keys, targets, roles, grants and CAs.

use std::net::IpAddr;
use std::path::PathBuf;

use bartizan_model::{
    FileRules, Fingerprint, ForwardRules, ForwardTo, Label, ListenOn, LoginName, PathGlob, PermissionSet,
    PersonName, RoleName, SourceNetwork, TargetName, TargetSelector, Timestamp,
};
use clap::{Args, Subcommand, ValueEnum};

use super::values::{Address, IdPrefix, LabelEdit, LoginAt, RecordSize, file_size, future, network};

#[derive(Debug, Subcommand)]
pub(crate) enum Person {
    /// Add a person.
    Add {
        /// Unique name.
        name: PersonName,
        /// Files with public keys, lines as in authorized_keys without options; `-` is standard input.
        #[arg(long = "key", value_name = "FILE", num_args = 1..)]
        keys: Vec<PathBuf>,
    },
    /// List people.
    #[command(visible_alias = "ls")]
    List,
    /// Show a person with keys and grants.
    Show {
        /// Who.
        name: PersonName,
    },
    /// Remove a person and their keys.
    #[command(visible_alias = "rm")]
    Remove {
        /// Who.
        name: PersonName,
        /// Remove the grants that name them too.
        #[arg(long)]
        with_grants: bool,
    },
    /// Stop a person from logging in, keeping keys and grants.
    Lock {
        /// Who.
        name: PersonName,
    },
    /// Let a locked person log in again.
    Unlock {
        /// Who.
        name: PersonName,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Role {
    /// Add a role.
    Add {
        /// Unique name.
        name: RoleName,
    },
    /// List roles.
    #[command(visible_alias = "ls")]
    List,
    /// Show a role with those who have it and its grants.
    Show {
        /// Which.
        name: RoleName,
    },
    /// Give people a role.
    Assign {
        /// Which.
        role: RoleName,
        /// To whom.
        #[arg(required = true, value_name = "PERSON")]
        people: Vec<PersonName>,
    },
    /// Take a role from people. Live sessions are judged again.
    Unassign {
        /// Which.
        role: RoleName,
        /// From whom.
        #[arg(required = true, value_name = "PERSON")]
        people: Vec<PersonName>,
    },
    /// Remove a role from everybody.
    #[command(visible_alias = "rm")]
    Remove {
        /// Which.
        name: RoleName,
        /// Remove the grants that name it too.
        #[arg(long)]
        with_grants: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Add public keys to a person.
    Add {
        /// Whose.
        person: PersonName,
        /// Files with public keys, lines as in authorized_keys without options; `-` is standard input.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// List keys.
    #[command(visible_alias = "ls")]
    List {
        /// Of this person only.
        person: Option<PersonName>,
    },
    /// Remove a key.
    #[command(visible_alias = "rm")]
    Remove {
        /// Its fingerprint, SHA256:….
        fingerprint: Fingerprint,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Target {
    /// Add a target.
    Add {
        /// Unique name: what people write after `@`.
        name: TargetName,
        /// Host name or address to dial; the port is 22 unless given.
        #[arg(value_name = "HOST[:PORT]")]
        address: Address,
        #[command(flatten)]
        trust: HostTrust,
        /// A label that grants can select it by; repeat or separate by commas.
        #[arg(long = "label", value_name = "KEY=VALUE", value_delimiter = ',')]
        labels: Vec<Label>,
    },
    /// List targets.
    #[command(visible_alias = "ls")]
    List,
    /// Show a target with its host keys and grants.
    Show {
        /// Which.
        name: TargetName,
    },
    /// Test whether Bartizan can reach a target, verify its host key and log in; opens no session there.
    Test {
        /// Which.
        name: TargetName,
        /// Log in as this account, and leave at once. Without it the host key is the last step.
        #[arg(long, short)]
        login: Option<LoginName>,
    },
    /// Set or remove labels, by which grants can select targets.
    Label {
        /// Which.
        name: TargetName,
        /// `env=prod` sets a label, `env-` removes it.
        #[arg(required = true, value_name = "KEY=VALUE|KEY-")]
        labels: Vec<LabelEdit>,
    },
    /// Remove a target.
    #[command(visible_alias = "rm")]
    Remove {
        /// Which.
        name: TargetName,
        /// Remove the grants that name it too.
        #[arg(long)]
        with_grants: bool,
    },
    /// Passwords and private keys that Bartizan logs in with, where a target knows no certificates.
    #[command(subcommand)]
    Credential(Credential),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Credential {
    /// Store what Bartizan logs in with; it replaces what was stored for that login, and is then the only
    /// thing tried. Without it Bartizan uses a certificate of its user CA, then its own key for the target.
    Set {
        /// Where.
        target: TargetName,
        /// As which account.
        #[arg(long)]
        login: LoginName,
        #[command(flatten)]
        source: CredentialSource,
    },
    /// List what is stored. Secrets are never shown.
    #[command(visible_alias = "ls")]
    List {
        /// Of this target only.
        target: Option<TargetName>,
    },
    /// Forget what is stored, so that a certificate is used again.
    #[command(visible_alias = "rm")]
    Remove {
        /// Where.
        target: TargetName,
        /// Of which account.
        #[arg(long)]
        login: LoginName,
    },
}

/// Where the secret comes from; one is required.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct CredentialSource {
    /// A password: one line of standard input.
    #[arg(long)]
    pub(crate) password_stdin: bool,
    /// A private key file without a passphrase; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// Nothing is stored: the keys of the agent that the person forwards to the console (`ssh -A PERSON@BARTIZAN`).
    #[arg(long)]
    pub(crate) agent: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Vault {
    /// Show which master key the vault has and where it is kept.
    Show,
    /// Lock the vault by a new master key. Stored credentials stay as they are.
    Rotate,
}

/// How the target's host key is verified; one is required.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct HostTrust {
    /// Accept and pin the key that it shows first, with an event.
    #[arg(long)]
    pub(crate) first_use: bool,
    /// Pin the keys in this file (.pub, known_hosts or ssh-keyscan output); `-` is standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) host_key: Option<PathBuf>,
    /// Trust host certificates signed by the keys in this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) host_ca: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Grant {
    /// Permit a person, or all who have a role, to do something.
    Add(Box<GrantAdd>),
    /// List grants.
    #[command(visible_alias = "ls")]
    List {
        /// Only those for this person, by name or by a role.
        #[arg(long)]
        person: Option<PersonName>,
        /// Only those for this role.
        #[arg(long, conflicts_with = "person")]
        role: Option<RoleName>,
    },
    /// Show everything of a grant, and whom and what it concerns now.
    Show {
        /// Its id, or the start of it.
        id: IdPrefix,
    },
    /// Remove a grant.
    #[command(visible_alias = "rm")]
    Remove {
        /// Its id, or the start of it.
        id: IdPrefix,
    },
}

#[derive(Debug, Args)]
pub(crate) struct GrantAdd {
    /// Who.
    #[arg(long, required_unless_present = "role")]
    pub(crate) person: Option<PersonName>,
    /// Everybody who has this role.
    #[arg(long, conflicts_with = "person")]
    pub(crate) role: Option<RoleName>,
    /// Where: a target's name, a glob such as 'web-*', or labels such as env=prod,tier=web.
    #[arg(long)]
    pub(crate) target: TargetSelector,
    /// As which accounts; repeat or separate by commas.
    #[arg(long = "login", value_name = "LOGIN", value_delimiter = ',', num_args = 1.., required_unless_present = "any_login")]
    pub(crate) logins: Vec<LoginName>,
    /// As any account.
    #[arg(long, conflicts_with = "logins")]
    pub(crate) any_login: bool,
    /// What, separated by commas: shell, exec, sftp:read, sftp:write, scp, rsync, git:read, git:write,
    /// subsystem, forward:local, forward:remote, agent, x11; and, not in force yet in this version: watch, terminate,
    /// replay, approve.
    #[arg(long, value_name = "PERMISSIONS")]
    pub(crate) allow: PermissionSet,
    #[command(flatten)]
    pub(crate) files: FileLimits,
    #[command(flatten)]
    pub(crate) forwards: ForwardLimits,
    /// From which networks only; repeat or separate by commas.
    #[arg(long = "source", value_name = "CIDR", value_delimiter = ',', value_parser = network)]
    pub(crate) sources: Vec<SourceNetwork>,
    /// Until when: a time (2026-12-31T18:00:00Z) or how long from now (8h, 30d).
    #[arg(long, value_name = "TIME", value_parser = future)]
    pub(crate) expires: Option<Timestamp>,
    /// What is kept of each channel without a terminal: full, digests, or at most SIZE bytes (64K, 16M, 1G).
    /// Terminal output, lengths and digests are kept always.
    #[arg(long, value_name = "full|digests|SIZE", default_value = "16M")]
    pub(crate) record: RecordSize,
    /// Keep keystrokes too. They contain typed passwords.
    #[arg(long)]
    pub(crate) record_input: bool,
    /// Let it pass, loudly, also while recordings or the space for them fail: for those who put it right.
    /// While they work, it is a grant like any other.
    #[arg(long)]
    pub(crate) break_glass: bool,
}

/// Which files `sftp:read` and `sftp:write` of a grant are for, which folders `scp` and `rsync`, and which repositories
/// `git:read` and `git:write`. No other permission goes with these.
#[derive(Debug, Args)]
pub(crate) struct FileLimits {
    /// Only for these paths: * is any run of signs within a part, a part ** any number of parts, so
    /// '/srv/app/**' is that folder and all below it. Repeat for more. A grant with rules for files allows nothing
    /// but sftp:read, sftp:write, scp, rsync, git:read and git:write.
    #[arg(long = "path", value_name = "GLOB")]
    paths: Vec<PathGlob>,
    /// But not for these paths.
    #[arg(long = "not-path", value_name = "GLOB")]
    not_paths: Vec<PathGlob>,
    /// Only for files up to this size: bytes, or 64K, 16M, 1G. With sftp:read and sftp:write only.
    #[arg(long, value_name = "SIZE", value_parser = file_size)]
    max_file_size: Option<u64>,
}

impl FileLimits {
    pub(crate) fn rules(self) -> FileRules {
        FileRules { paths: self.paths, not_paths: self.not_paths, max_file_bytes: self.max_file_size }
    }
}

/// Where `forward:local` of a grant leads, and on what `forward:remote` lets the target listen.
#[derive(Debug, Args)]
pub(crate) struct ForwardLimits {
    /// forward:local only to these destinations: db:5432, '*.corp:8000-8100', '10.0.0.0/8:*', '[fd00::/8]:22', or a
    /// socket's path such as '/run/app/*.sock'. Repeat for more. Without it forward:local reaches whatever the target
    /// reaches.
    #[arg(long, value_name = "HOST:PORT")]
    forward_to: Vec<ForwardTo>,
    /// forward:remote only on these: localhost:8080, '*:0' (any address, a port that the target chooses), or a socket's
    /// path. Repeat for more. Without it the target may be asked to listen on anything.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen_on: Vec<ListenOn>,
}

impl ForwardLimits {
    pub(crate) fn rules(self) -> ForwardRules {
        ForwardRules { to: self.forward_to, listen: self.listen_on }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Ca {
    /// Print the public keys of one of Bartizan's own CAs: all that must be trusted, during a rotation both.
    Show {
        /// `user`: targets trust it (TrustedUserCAKeys). `host`: clients trust it (@cert-authority). `people`: signs what
        /// `cert issue` gives; only Bartizan trusts it, never let a target do so.
        which: OwnCa,
    },
    /// Accept user certificates that the keys in a file have signed. Bartizan's own CAs are refused.
    Trust {
        /// Public keys, lines as in authorized_keys without options; `-` is standard input.
        file: PathBuf,
    },
    /// Stop accepting user certificates of a CA.
    Untrust {
        /// Its fingerprint, SHA256:….
        fingerprint: Fingerprint,
    },
    /// List Bartizan's own CA keys and the trusted CAs.
    #[command(visible_alias = "ls")]
    List,
    /// Change the key of one of Bartizan's own CAs, in three steps: `rotate` makes the next key, which is trusted
    /// where `ca show` is installed again; `rotate --activate` lets it sign; `retire` drops the old one.
    Rotate {
        /// Which.
        which: OwnCa,
        /// Let the next key sign now.
        #[arg(long, conflicts_with = "at")]
        activate: bool,
        /// Let the key that is made now sign from this time on: a time, or how long from now (7d); at least 10 minutes.
        #[arg(long, value_name = "TIME", value_parser = future)]
        at: Option<Timestamp>,
    },
    /// Take back the next key of one of Bartizan's own CAs, with the time at which it would sign by itself: `ca rotate`
    /// makes another.
    Cancel {
        /// Which.
        which: OwnCa,
    },
    /// Trust the old key of one of Bartizan's own CAs no more: `ca show` prints the active key alone.
    Retire {
        /// Which.
        which: OwnCa,
    },
}

/// Bartizan's own CAs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OwnCa {
    User,
    Host,
    People,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Access {
    /// Ask whether a person may do something now, and why. Exits with 3 when not.
    Check {
        /// Who.
        person: PersonName,
        /// Where and as whom.
        #[arg(value_name = "LOGIN@TARGET")]
        destination: LoginAt,
        /// `connect`, or a permission such as shell or sftp:read.
        action: String,
        /// Coming from this address.
        #[arg(long, value_name = "ADDRESS")]
        source: Option<IpAddr>,
        /// With sftp:read or sftp:write: this file. With scp or rsync: this path and all below it. With git:read or
        /// git:write: this repository.
        #[arg(long, value_name = "PATH")]
        file: Option<String>,
        /// With forward:local: to this destination, HOST:PORT or a socket's path. With forward:remote: listening on this
        /// ADDRESS:PORT or path.
        #[arg(long, value_name = "HOST:PORT")]
        to: Option<String>,
    },
}
