//! The command tree: `bartizan NOUN VERB`.

mod values;

use std::net::IpAddr;
use std::path::PathBuf;

use bartizan_model::event::{Outcome, Severity};
use bartizan_model::{
    FileRules, Fingerprint, Label, LoginName, PathGlob, PermissionSet, PersonName, RoleName, SessionState,
    SourceNetwork, TargetName, TargetSelector, Timestamp,
};
use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use values::{Address, IdPrefix, LabelEdit, LoginAt, RecordSize, Speed};
use values::{duration, file_size, future, past, word};

/// Administer and audit Bartizan, the SSH access proxy.
///
/// Commands talk to the server over `admin.sock` in the data folder. `session play`, `session export`, and `log verify`,
/// `prove`, `checkpoint` and `export` also work with the server stopped.
#[derive(Debug, Parser)]
#[command(name = "bartizan", version, propagate_version = true, subcommand_required = true)]
#[command(after_help = "Exit codes: 0 ok, 1 failed, 2 usage, 3 denied, 4 evidence does not verify.")]
pub(crate) struct Cli {
    /// The server's data folder.
    #[arg(
        short = 'D',
        long,
        global = true,
        env = "BARTIZAN_DATA",
        value_name = "DIR",
        hide_env_values = true,
        default_value = "./data"
    )]
    pub(crate) data: PathBuf,
    /// Print JSON: for programs, stable between releases.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// People and service accounts.
    #[command(subcommand)]
    Person(Person),
    /// Roles: what several people may do.
    #[command(subcommand)]
    Role(Role),
    /// People's public keys.
    #[command(subcommand)]
    Key(Key),
    /// SSH servers that people reach.
    #[command(subcommand)]
    Target(Target),
    /// What people may do where.
    #[command(subcommand)]
    Grant(Grant),
    /// Certificate authorities: Bartizan's own, and those it trusts.
    #[command(subcommand)]
    Ca(Ca),
    /// The vault of stored credentials and its master key.
    #[command(subcommand)]
    Vault(Vault),
    /// Questions to the policy.
    #[command(subcommand)]
    Access(Access),
    /// Sessions and their recordings.
    #[command(subcommand)]
    Session(Session),
    /// The audit log.
    #[command(subcommand)]
    Log(Log),
    /// Make the directory as a file says: people, keys, roles, CAs, targets, grants.
    ///
    /// A file is taken whole or not at all, in one transaction, and each record that changes is an event. What
    /// the file does not have stays, unless --prune is given. Applied twice it changes nothing. `bartizan export`
    /// writes such a file; docs/directory-file.md explains it.
    Apply(Apply),
    /// Print the whole directory as a file that `bartizan apply` reads. It holds no secrets.
    Export {
        /// Where to; otherwise standard output.
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Print what goes into a client's ~/.ssh/config and known_hosts.
    SshConfig(SshConfig),
    /// Prove on the live installation that what passes is recorded and logged.
    ///
    /// Stock clients (ssh, scp, sftp) go through the proxy to a target of your choice, by ProxyJump and by the user name;
    /// then log and recordings are compared with what really passed. Exits with 4 and names the gap if there is one.
    Selftest(Selftest),
    /// Print a completion script for a shell.
    Completions {
        /// For which shell.
        shell: clap_complete::Shell,
    },
    /// Write a man page for each command: for packages.
    #[command(hide = true)]
    Man {
        /// Into this folder, which must be there.
        #[arg(long, value_name = "DIR")]
        output: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Apply {
    /// The file; `-` is standard input.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Change nothing, only show what would change.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Remove the records that the file does not have.
    #[arg(long)]
    pub(crate) prune: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Person {
    /// Add a person.
    Add {
        /// Unique name.
        name: PersonName,
        /// Files with public keys, as in authorized_keys; `-` is standard input.
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
        /// Files with public keys, as in authorized_keys; `-` is standard input.
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
    Add(GrantAdd),
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
    /// subsystem, forward:local, forward:remote, agent, x11, watch, terminate, replay, approve.
    #[arg(long, value_name = "PERMISSIONS")]
    pub(crate) allow: PermissionSet,
    #[command(flatten)]
    pub(crate) files: FileLimits,
    /// From which networks only; repeat or separate by commas.
    #[arg(long = "source", value_name = "CIDR", value_delimiter = ',')]
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

/// Which files `sftp:read` and `sftp:write` of a grant are for, and which repositories `git:read` and `git:write`. No other
/// permission goes with these.
#[derive(Debug, Args)]
pub(crate) struct FileLimits {
    /// SFTP only for these paths: * is any run of signs within a part, a part ** any number of parts, so
    /// '/srv/app/**' is that folder and all below it. Repeat for more. A grant with rules for files allows nothing
    /// but sftp:read, sftp:write, git:read and git:write.
    #[arg(long = "path", value_name = "GLOB")]
    paths: Vec<PathGlob>,
    /// But not for these paths.
    #[arg(long = "not-path", value_name = "GLOB")]
    not_paths: Vec<PathGlob>,
    /// Only for files up to this size: bytes, or 64K, 16M, 1G.
    #[arg(long, value_name = "SIZE", value_parser = file_size)]
    max_file_size: Option<u64>,
}

impl FileLimits {
    pub(crate) fn rules(self) -> FileRules {
        FileRules { paths: self.paths, not_paths: self.not_paths, max_file_bytes: self.max_file_size }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Ca {
    /// Print the public keys of one of Bartizan's own CAs: all that must be trusted, during a rotation both.
    Show {
        /// `user`: targets trust it (TrustedUserCAKeys). `host`: clients trust it (@cert-authority).
        which: OwnCa,
    },
    /// Accept user certificates that the keys in a file have signed.
    Trust {
        /// Public keys, as in authorized_keys; `-` is standard input.
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
        /// Let the key that is made now sign from this time on: a time, or how long from now (7d).
        #[arg(long, value_name = "TIME", value_parser = future)]
        at: Option<Timestamp>,
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
        /// With sftp:read or sftp:write: this file. With git:read or git:write: this repository.
        #[arg(long, value_name = "PATH")]
        file: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Session {
    /// List sessions, the newest first.
    #[command(visible_alias = "ls")]
    List(SessionList),
    /// Show a session: channels, commands, bytes, exit status, digests, files.
    Show {
        /// The audit key, or the start of it.
        id: IdPrefix,
    },
    /// Replay a session in the terminal.
    ///
    /// Keys: space pauses, `.` steps while paused, `[` and `]` change the speed, left and right seek 10 s,
    /// `q` ends.
    Play(SessionPlay),
    /// Write a session's recording in another format.
    Export(SessionExport),
    /// End a live session. Its person is told the reason.
    Terminate {
        /// The audit key, or the start of it.
        id: IdPrefix,
        /// What the person is told.
        #[arg(long, value_name = "TEXT", default_value = "no reason given")]
        reason: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct SessionList {
    /// Of this person.
    #[arg(long)]
    pub(crate) person: Option<PersonName>,
    /// As this account.
    #[arg(long)]
    pub(crate) login: Option<LoginName>,
    /// On this target.
    #[arg(long)]
    pub(crate) target: Option<TargetName>,
    /// In this state: live, ended, truncated.
    #[arg(long, value_parser = word::<SessionState>)]
    pub(crate) state: Option<SessionState>,
    /// From this address, or from this network (10.0.0.0/8).
    #[arg(long, value_name = "ADDRESS|NETWORK")]
    pub(crate) source: Option<SourceNetwork>,
    /// Started at this time (2026-12-31T18:00:00Z) or this long ago (2h, 7d), or later.
    #[arg(long, value_name = "TIME", value_parser = past)]
    pub(crate) since: Option<Timestamp>,
    /// Started before this time.
    #[arg(long, value_name = "TIME", value_parser = past)]
    pub(crate) until: Option<Timestamp>,
    /// Most sessions to list.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
    /// List all there are.
    #[arg(long, conflicts_with = "limit")]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SessionPlay {
    /// The audit key, or the start of it.
    pub(crate) id: IdPrefix,
    /// Which channel, by its ordinal; otherwise the first with a terminal.
    #[arg(long, value_name = "N")]
    pub(crate) channel: Option<u32>,
    /// How many times faster: 0.1 to 100.
    #[arg(long, default_value = "1")]
    pub(crate) speed: Speed,
    /// Show pauses no longer than this (2s, 500ms).
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) idle_limit: Option<std::time::Duration>,
    /// Start this far into the session (90s, 1h).
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "0s")]
    pub(crate) from: std::time::Duration,
}

#[derive(Debug, Args)]
pub(crate) struct SessionExport {
    /// The audit key, or the start of it.
    pub(crate) id: IdPrefix,
    /// In which format.
    #[arg(long)]
    pub(crate) format: Format,
    /// Which channel, by its ordinal; otherwise the first that the format can show, and all for `files`.
    #[arg(long, value_name = "N")]
    pub(crate) channel: Option<u32>,
    /// Which bytes `raw` writes.
    #[arg(long, value_name = "STREAM", default_value = "output")]
    pub(crate) stream: Direction,
    /// Where to; otherwise standard output. typescript also writes FILE.timing, and `files` makes a folder.
    #[arg(long, short, value_name = "FILE", required_if_eq("format", "files"))]
    pub(crate) output: Option<PathBuf>,
}

/// The streams of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Direction {
    /// What the client sent, where it was kept.
    Input,
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// Formats of `session export`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Plain text without control sequences.
    Text,
    /// asciicast v2, for asciinema.
    Asciicast,
    /// asciicast v3.
    Asciicast3,
    /// script(1), for scriptreplay.
    Typescript,
    /// ttyrec, for ttyplay.
    Ttyrec,
    /// The bytes of one stream, exactly.
    Raw,
    /// The files that passed by SFTP or scp, as far as their bytes were kept, into a new folder.
    Files,
}

impl Format {
    /// The format as it is written and as the log names it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Asciicast => "asciicast",
            Self::Asciicast3 => "asciicast3",
            Self::Typescript => "typescript",
            Self::Ttyrec => "ttyrec",
            Self::Raw => "raw",
            Self::Files => "files",
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Log {
    /// Search events, the newest first. Searching is an event too.
    ///
    /// Every option narrows the search. With --json, each event is a line.
    Search(LogSearch),
    /// Print events as they happen.
    Tail {
        /// Start with this many of the last events.
        #[arg(long, short = 'n', default_value_t = 10, value_name = "N")]
        lines: u64,
        /// Wait for more, as it does unless told otherwise.
        #[arg(long, short)]
        follow: bool,
        /// Stop after the last event instead of waiting for more.
        #[arg(long, conflicts_with = "follow")]
        no_follow: bool,
    },
    /// Write all events as JSON lines, the oldest first. Also with the server stopped.
    Export {
        /// Start at this position of the log.
        #[arg(long, default_value_t = 0, value_name = "INDEX")]
        from: u64,
        /// Where to; otherwise standard output.
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Check the log against its signed checkpoint, and the recordings against the log.
    ///
    /// Works with the server running or stopped, and on a copy of the data folder. Exits with 4 when something
    /// does not verify.
    Verify {
        /// The log's public key, or a file with it; otherwise the one in the data folder.
        #[arg(long, value_name = "KEY|FILE")]
        key: Option<String>,
        /// A checkpoint that was kept elsewhere: the log must go on from it. `-` is standard input.
        #[arg(long, value_name = "FILE")]
        since: Option<PathBuf>,
        /// Check a proof made by `log prove` instead. Needs no data folder. `-` is standard input.
        #[arg(long, value_name = "FILE", conflicts_with = "since")]
        proof: Option<PathBuf>,
    },
    /// Drop the search index and make it again from the log. Needs the server.
    ///
    /// The index serves searches and session lists alone; nothing is lost with it. The server makes it again by
    /// itself when it starts and finds it gone, of another log, or of an older version.
    Reindex,
    /// Write a proof that one event is in the log: one file, checked by `log verify --proof` with the public key alone.
    ///
    /// Also with the server stopped.
    Prove {
        /// The event's position in the log, `index` in its JSON.
        index: u64,
        /// Where to; otherwise standard output.
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Print the log's signed checkpoint: keep it elsewhere, for `log verify --since`.
    ///
    /// Also with the server stopped.
    Checkpoint {
        /// The log's public key, or a file with it; otherwise the one in the data folder.
        #[arg(long, value_name = "KEY|FILE")]
        key: Option<String>,
        /// Where to; otherwise standard output.
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct LogSearch {
    /// Of this type (session.start), or of all of a group (session.*).
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) kind: Option<String>,
    /// Of this person.
    #[arg(long)]
    pub(crate) person: Option<PersonName>,
    /// As this account.
    #[arg(long)]
    pub(crate) login: Option<LoginName>,
    /// On this target.
    #[arg(long)]
    pub(crate) target: Option<TargetName>,
    /// In this session: its audit key, or the start of it.
    #[arg(long, value_name = "ID")]
    pub(crate) session: Option<IdPrefix>,
    /// From this address, or from this network (10.0.0.0/8).
    #[arg(long, value_name = "ADDRESS|NETWORK")]
    pub(crate) source: Option<SourceNetwork>,
    /// At least this severe: info, notice, warning, high.
    #[arg(long, value_parser = word::<Severity>)]
    pub(crate) severity: Option<Severity>,
    /// With this outcome: success, denied, failure.
    #[arg(long, value_parser = word::<Outcome>)]
    pub(crate) outcome: Option<Outcome>,
    /// At this time (2026-12-31T18:00:00Z) or this long ago (2h, 7d), or later.
    #[arg(long, value_name = "TIME", value_parser = past)]
    pub(crate) since: Option<Timestamp>,
    /// Before this time.
    #[arg(long, value_name = "TIME", value_parser = past)]
    pub(crate) until: Option<Timestamp>,
    /// With this in its values: words, which must all be there, in any order and case.
    ///
    /// A word may be a name, an address, a file or a part of one: `web-1`, `10.0.0.5`, `nginx`. `word*` is any word that
    /// begins so. "Some words" in quotes are found as they are, spaces and signs included. Everything else means
    /// itself: `-rf`, `root@web-1`, `/etc/nginx`.
    #[arg(long)]
    pub(crate) text: Option<String>,
    /// The oldest first.
    #[arg(long)]
    pub(crate) oldest_first: bool,
    /// Most events to print.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
    /// Print all there are.
    #[arg(long, conflicts_with = "limit")]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Selftest {
    /// Where to, and as whom.
    #[arg(value_name = "LOGIN@TARGET")]
    pub(crate) destination: LoginAt,
    /// Who the clients log in as.
    #[arg(long)]
    pub(crate) person: PersonName,
    /// The person's private key; otherwise those that ssh takes by itself, and the agent's.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) identity: Option<PathBuf>,
    /// The target's folder for the files that are copied, and removed again.
    #[arg(long, default_value = "/tmp", value_name = "DIR")]
    pub(crate) folder: String,
}

#[derive(Debug, Args)]
pub(crate) struct SshConfig {
    /// The person's name, for the jump host's User line.
    #[arg(long)]
    pub(crate) person: Option<PersonName>,
    /// What the jump host is called in the file.
    #[arg(long, default_value = "bartizan", value_name = "ALIAS")]
    pub(crate) host: TargetName,
}

#[cfg(test)]
mod tests;
