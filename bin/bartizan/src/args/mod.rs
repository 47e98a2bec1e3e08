//! The command tree: `bartizan NOUN VERB`.

mod certificates;
mod directory;
mod evidence;
mod values;

use std::path::{Path, PathBuf};

use bartizan_model::{PersonName, TargetName};
use clap::{Args, Parser, Subcommand};

pub(crate) use certificates::*;
pub(crate) use directory::*;
pub(crate) use evidence::*;
pub(crate) use values::{IdPrefix, KeyOrPrint, LabelEdit, LoginAt};

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

impl Cli {
    /// The data folder, if it was named by a flag: commands that are typed later need it, too.
    pub(crate) fn named_data(&self) -> Option<&Path> {
        let by_itself = std::env::var_os("BARTIZAN_DATA").map_or_else(|| "./data".into(), PathBuf::from);
        Some(&*self.data).filter(|data| *data != by_itself)
    }
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
    /// People's user certificates, issued by Bartizan; and revoking those of other CAs.
    #[command(subcommand)]
    Cert(Cert),
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
        /// Write over a file that is there.
        #[arg(long, requires = "output")]
        force: bool,
    },
    /// Print what goes into a client's ~/.ssh/config and known_hosts.
    ///
    /// It has the targets of this moment. To reach one by ProxyJump that is added later, a client needs the
    /// @cert-authority line anew: before that ssh says "Host key verification failed".
    SshConfig(SshConfig),
    /// Prove on the live installation that what passes is recorded and logged.
    ///
    /// Stock clients (ssh, scp, sftp) go through the proxy to a target of your choice, by ProxyJump and by the user name;
    /// then log and recordings are compared with what really passed: commands, a shell, files, and what is forwarded by -W,
    /// -R and -A, as far as it is granted. Exits with 4 and names the gap if there is one.
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
