//! Stock OpenSSH clients with a configuration of their own, untouched by the user's.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::KeyPair;

/// Makes commands for `ssh`, `scp`, `sftp` and friends that read one configuration file and one
/// `known_hosts`, ask no questions, use one key and no agent.
#[derive(Clone, Debug)]
pub struct SshClient {
    folder: PathBuf,
    key: PathBuf,
    hosts: String,
    config: PathBuf,
}

impl SshClient {
    /// A client that keeps its files in `folder` and logs in with `key`.
    ///
    /// # Panics
    /// When the files cannot be written.
    pub fn new(folder: &Path, key: &KeyPair) -> Self {
        let name = key.private().file_name().unwrap().to_string_lossy().into_owned();
        let config = folder.join(format!("ssh_config_{name}"));
        let client =
            Self { folder: folder.to_owned(), key: key.private().to_owned(), hosts: String::new(), config };
        client.write();
        client
    }

    /// The same hosts and `known_hosts`, with another key.
    ///
    /// # Panics
    /// When the files cannot be written.
    pub fn with_key(&self, key: &KeyPair) -> Self {
        let mut client = Self::new(&self.folder, key);
        client.hosts.clone_from(&self.hosts);
        client.write();
        client
    }

    /// Adds a `Host` block: `alias` is reached at `endpoint` (`HOST:PORT`, `[::1]:PORT`) as `user`, with
    /// `options` as further lines (`ProxyJump bastion`). An alias added later wins over an earlier one.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn host(&mut self, alias: &str, endpoint: &str, user: &str, options: &[&str]) {
        let (host, port) = endpoint.rsplit_once(':').unwrap_or((endpoint, "22"));
        let host = host.trim_matches(['[', ']']);
        let mut block = format!("Host {alias}\n  HostName {host}\n  Port {port}\n  User {user}\n");
        for line in options {
            writeln!(block, "  {line}").unwrap();
        }
        // The first value wins, in ssh_config.
        self.hosts = block + &self.hosts;
        self.write();
    }

    /// Adds a line to `known_hosts`.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn trust(&self, line: &str) {
        let mut text = fs::read_to_string(self.known_hosts()).unwrap_or_default();
        writeln!(text, "{}", line.trim()).unwrap();
        fs::write(self.known_hosts(), text).unwrap();
    }

    /// The `known_hosts` file.
    pub fn known_hosts(&self) -> PathBuf {
        self.folder.join("known_hosts")
    }

    /// The configuration file, for programs that take `ssh -F FILE` as their transport.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// `ssh`, to which the caller adds options, host alias and command.
    pub fn ssh(&self) -> Command {
        self.program("ssh")
    }

    /// `scp`.
    pub fn scp(&self) -> Command {
        self.program("scp")
    }

    /// `sftp`.
    pub fn sftp(&self) -> Command {
        self.program("sftp")
    }

    /// `ssh -F …` as one word-split line, for `rsync -e`, `GIT_SSH_COMMAND` and shell pipes.
    pub fn ssh_line(&self) -> String {
        format!("ssh -F {}", self.config.display())
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command.arg("-F").arg(&self.config).env_remove("SSH_AUTH_SOCK").env("LC_ALL", "C.UTF-8");
        command
    }

    fn write(&self) {
        let text = format!(
            "{}Host *\n\
             \x20 IdentityFile {}\n\
             \x20 IdentitiesOnly yes\n\
             \x20 IdentityAgent none\n\
             \x20 UserKnownHostsFile {}\n\
             \x20 GlobalKnownHostsFile /dev/null\n\
             \x20 StrictHostKeyChecking yes\n\
             \x20 UpdateHostKeys no\n\
             \x20 BatchMode yes\n\
             \x20 ControlMaster no\n\
             \x20 ServerAliveInterval 60\n\
             \x20 LogLevel INFO\n",
            self.hosts,
            self.key.display(),
            self.known_hosts().display(),
        );
        fs::write(&self.config, text).unwrap();
    }
}
