//! The stock OpenSSH client, set up to reach one target through the proxy.

use std::cell::RefCell;
use std::fmt;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use bartizan_model::Target;
use bartizan_model::api::Status;
use serde::Serialize;

use super::super::Context;
use super::super::ssh_config::parts;
use crate::args::{Selftest, SshConfig};
use crate::client::segment;
use crate::failure::Failure;

/// How long one client may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// How the proxy is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Way {
    /// `ssh -J person@proxy login@target`
    ProxyJump,
    /// `ssh login@target@proxy`
    UserName,
}

impl Way {
    pub(super) const ALL: [Self; 2] = [Self::ProxyJump, Self::UserName];

    const fn alias(self) -> &'static str {
        match self {
            Self::ProxyJump => "selftest-jump",
            Self::UserName => "selftest-name",
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ProxyJump => "ProxyJump",
            Self::UserName => "user name",
        })
    }
}

/// The client's configuration, in a folder of its own that goes away with it.
pub(super) struct Stock {
    folder: PathBuf,
    /// Where the target keeps the self-test's files.
    pub(super) remote: String,
    /// The target's own SSH port: what a forward is tried with.
    pub(super) echo: String,
    /// Whether the client has an agent for itself.
    pub(super) has_agent: bool,
    /// Files on the target that could not be removed.
    left: RefCell<Vec<String>>,
}

/// What a client said.
pub(super) struct Said {
    pub(super) output: Vec<u8>,
    pub(super) code: Option<i32>,
    errors: Vec<u8>,
}

impl Said {
    /// The last thing it complained about.
    pub(super) fn complaint(&self) -> String {
        let text = String::from_utf8_lossy(&self.errors);
        let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing").trim();
        match self.code {
            Some(code) => format!("the client ended with {code}: {last}"),
            None => format!("the client was ended by a signal or took too long: {last}"),
        }
    }
}

impl Stock {
    /// Asks the server what a client needs to know, and writes it down.
    pub(super) async fn prepare(context: &Context, command: &Selftest) -> Result<Self, Failure> {
        let status: Status = context.client.get("/v1/status").await?;
        let target: Target =
            context.client.get(&format!("/v1/targets/{}", segment(&command.destination.target))).await?;
        let folder = std::env::temp_dir().join(format!("bartizan-selftest-{}", std::process::id()));
        let failed =
            |error: std::io::Error| Failure::failed(format!("cannot use {}: {error}", folder.display()));
        fs::create_dir(&folder).map_err(failed)?;
        let echo = format!("{}:{}", bracketed(&target.host), target.port);
        let has_agent = command.identity.is_none() && std::env::var_os("SSH_AUTH_SOCK").is_some();
        let (remote, left) = (command.folder.clone(), RefCell::default());
        let stock = Self { folder, remote, echo, has_agent, left };
        let config = SshConfig { person: Some(command.person.clone()), host: bastion() };
        let parts = parts(&status, std::slice::from_ref(&target), &config);
        let login = &command.destination.login;
        let name = &target.name;
        let identity = command.identity.as_deref().map(identity).unwrap_or_default();
        let known_hosts = stock.path("known_hosts");
        let text = format!(
            "Host {jump}\n    HostName {name}\n    User {login}\n    ProxyJump selftest-bastion\n\
             {bastion}\
             Host {by_name}\n    User {login}@{name}\n{address}\
             Host *\n{identity}    UserKnownHostsFile \"{known_hosts}\"\n    GlobalKnownHostsFile none\n    \
             StrictHostKeyChecking yes\n    BatchMode yes\n    ConnectTimeout 10\n    ControlMaster no\n    \
             LogLevel ERROR\n",
            jump = Way::ProxyJump.alias(),
            by_name = Way::UserName.alias(),
            bastion = first_block(&parts.ssh_config),
            address = first_block(&parts.ssh_config)
                .lines()
                .filter(
                    |line| line.trim_start().starts_with("HostName") || line.trim_start().starts_with("Port")
                )
                .map(|line| format!("{line}\n"))
                .collect::<String>(),
            known_hosts = known_hosts.display(),
        );
        fs::write(stock.path("config"), text).map_err(|e| Failure::failed(format!("cannot write: {e}")))?;
        fs::write(&known_hosts, parts.known_hosts)
            .map_err(|e| Failure::failed(format!("cannot write: {e}")))?;
        Ok(stock)
    }

    /// A path in the folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// `ssh OPTIONS ALIAS WORDS`
    pub(super) fn ssh(
        &self,
        way: Way,
        options: &[&str],
        words: &[&str],
        input: &[u8],
    ) -> Result<Said, String> {
        self.program("ssh", &[options, &[way.alias()], words].concat(), input)
    }

    /// `scp OPTIONS FROM TO`; `:` at the start of a path stands for the target.
    pub(super) fn scp(&self, way: Way, options: &[&str], from: &str, to: &str) -> Result<Said, String> {
        let place = |path: &str| match path.strip_prefix(':') {
            Some(path) => format!("{}:{path}", way.alias()),
            None => path.to_owned(),
        };
        self.program("scp", &[options, &["-q", &place(from), &place(to)]].concat(), &[])
    }

    /// Removes a file on the target by what is granted: SFTP, or a command. Where neither is, it stays and is told.
    pub(super) fn remove(&self, way: Way, remote: &str) {
        let done = |said: Result<Said, String>| said.is_ok_and(|said| said.code == Some(0));
        if done(self.sftp(way, &format!("rm {remote}\n"))) {
            return;
        }
        let quoted = format!("'{}'", remote.replace('\'', r"'\''"));
        if !done(self.ssh(way, &["-T"], &[&format!("rm -f -- {quoted}")], &[])) {
            self.left.borrow_mut().push(remote.to_owned());
        }
    }

    /// The files that stayed on the target since this was asked last.
    pub(super) fn left(&self) -> Vec<String> {
        self.left.take()
    }

    /// `ssh -N OPTIONS ALIAS`, which goes on until what is given back is dropped.
    pub(super) fn start(&self, way: Way, options: &[&str]) -> Result<Running, String> {
        let mut command = Command::new("ssh");
        command.arg("-F").arg(self.path("config")).args(["-N", "-T"]).args(options).arg(way.alias());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("cannot run ssh: {error}"))?;
        let (tell, said) = mpsc::channel();
        if let Some(stderr) = child.stderr.take() {
            // Ends with the client, or when nobody listens any more.
            std::thread::spawn(move || {
                let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
                lines.try_for_each(|line| tell.send(line))
            });
        }
        Ok(Running { child, said })
    }

    /// `sftp -b - ALIAS`
    pub(super) fn sftp(&self, way: Way, batch: &str) -> Result<Said, String> {
        self.program("sftp", &["-q", "-b", "-", way.alias()], batch.as_bytes())
    }

    fn program(&self, name: &str, arguments: &[&str], input: &[u8]) -> Result<Said, String> {
        let mut command = Command::new(name);
        command.arg("-F").arg(self.path("config")).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("cannot run {name}: {error}"))?;
        let (mut stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let input = input.to_vec();
        // A client that ends early does not read the rest, which its exit code tells better.
        let feeder = std::thread::spawn(move || stdin.as_mut().map(|stdin| stdin.write_all(&input)));
        let (done, ended) = mpsc::channel();
        let read = |pipe: Option<Box<dyn std::io::Read + Send>>, done: mpsc::Sender<()>| {
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                if let Some(mut pipe) = pipe {
                    let _ = pipe.read_to_end(&mut bytes);
                }
                let _ = done.send(());
                bytes
            })
        };
        let output = read(stdout.map(|pipe| Box::new(pipe) as _), done.clone());
        let errors = read(stderr.map(|pipe| Box::new(pipe) as _), done);
        for _ in 0..2 {
            if ended.recv_timeout(PATIENCE).is_err() {
                // Its pipes end with it, and so do the threads that read them.
                let _ = child.kill();
                break;
            }
        }
        let status = child.wait().map_err(|error| format!("cannot wait for {name}: {error}"))?;
        let gone = |_| format!("reading what {name} said broke off");
        drop(feeder.join());
        Ok(Said {
            output: output.join().map_err(gone)?,
            code: status.code(),
            errors: errors.join().map_err(gone)?,
        })
    }
}

/// A client that goes on.
pub(super) struct Running {
    child: Child,
    said: mpsc::Receiver<String>,
}

impl Running {
    /// Waits for a line with `mark` and gives what stands after it; else the last thing it complained about.
    pub(super) fn says(&self, mark: &str) -> Result<String, String> {
        let mut last = "it said nothing".to_owned();
        loop {
            let line = match self.said.recv_timeout(PATIENCE) {
                Ok(line) => line,
                Err(mpsc::RecvTimeoutError::Timeout) => return Err(format!("the client waits: {last}")),
                Err(mpsc::RecvTimeoutError::Disconnected) => return Err(format!("the client ended: {last}")),
            };
            match line.split_once(mark) {
                Some((_, rest)) => return Ok(rest.to_owned()),
                None if line.trim().is_empty() => {}
                None => last = line.trim().to_owned(),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // What it did is compared afterwards; it may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Stock {
    fn drop(&mut self) {
        // Nothing in it is secret, and the system clears its folder for temporary files.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[expect(clippy::expect_used, reason = "a constant that is a valid name")]
fn bastion() -> bartizan_model::TargetName {
    "selftest-bastion".parse().expect("a valid name")
}

/// The `Host` block of the proxy: the first, up to an empty line.
fn first_block(config: &str) -> String {
    config.split("\n\n").next().unwrap_or_default().trim_end().to_owned() + "\n"
}

fn identity(path: &Path) -> String {
    format!("    IdentityFile \"{}\"\n    IdentitiesOnly yes\n    IdentityAgent none\n", path.display())
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}
