//! What is tried, and what must be on record of it.

use std::fs;

use aws_lc_rs::rand;

use super::forwards::{agent, remote_forward};
use super::stock::{Said, Stock, Way};

/// Bytes that each check moves.
const SIZE: usize = 200_000;

/// One thing to try.
pub(super) struct Check {
    pub(super) name: &'static str,
    /// Does it.
    pub(super) run: fn(&Stock, Way) -> Result<Passed, Missed>,
}

/// Why nothing passed, or not all of it.
pub(super) enum Missed {
    /// It did not work: a gap, unless policy or the target refused it.
    Failed(String),
    /// Unless policy refused it, the target has not what it takes.
    Unable(String),
    /// The target has not what it takes: nothing is said about the evidence.
    Untried(String),
}

impl From<String> for Missed {
    fn from(why: String) -> Self {
        Self::Failed(why)
    }
}

pub(super) const CHECKS: &[Check] = &[
    Check { name: "exec", run: exec },
    Check { name: "shell", run: shell },
    Check { name: "terminal", run: terminal },
    Check { name: "sftp", run: sftp },
    Check { name: "scp", run: scp },
    Check { name: "scp -O", run: old_scp },
    Check { name: "forward", run: forward },
    Check { name: "forward -R", run: remote_forward },
    Check { name: "agent", run: agent },
];

/// Bytes of one direction, as far as the client knows them.
pub(super) enum Bytes {
    /// These.
    Exactly(Vec<u8>),
    /// A protocol around so many.
    AtLeast(usize),
    /// The client cannot know.
    Some,
}

/// What passed: what is to be found on record.
pub(super) struct Passed {
    /// The channel's type.
    pub(super) kind: &'static str,
    /// `shell`, `exec` or `subsystem`.
    pub(super) request: Option<&'static str>,
    /// A part of the command.
    pub(super) command: Option<String>,
    pub(super) pty: bool,
    pub(super) exit: Option<u32>,
    pub(super) input: Bytes,
    pub(super) output: Bytes,
    /// The digest of a file that was moved, if one was, and its name.
    pub(super) file: Option<(String, Vec<u8>)>,
    /// What the target listens on for the client, as `forward.listen` tells it.
    pub(super) listens: Option<String>,
}

impl Passed {
    fn session(request: &'static str, input: Bytes, output: Bytes) -> Self {
        let request = Some(request);
        Self { request, ..Self::channel("session", input, output) }
    }

    /// A channel of another type.
    pub(super) const fn channel(kind: &'static str, input: Bytes, output: Bytes) -> Self {
        let (request, command, exit, file, listens) = (None, None, None, None, None);
        Self { kind, request, command, pty: false, exit, input, output, file, listens }
    }
}

/// A word that is in nothing else.
pub(super) fn mark() -> Result<String, String> {
    Ok(random(8)?.iter().map(|byte| format!("{byte:02x}")).collect())
}

pub(super) fn random(size: usize) -> Result<Vec<u8>, String> {
    let mut bytes = vec![0; size];
    rand::fill(&mut bytes).map_err(|_| "the system gives no random bytes".to_owned())?;
    Ok(bytes)
}

/// What a client said, if it ended with `code`.
fn ended(said: Said, code: i32) -> Result<Said, String> {
    if said.code == Some(code) { Ok(said) } else { Err(said.complaint()) }
}

fn exec(stock: &Stock, way: Way) -> Result<Passed, Missed> {
    let (content, command) = (random(SIZE)?, format!("cat; : {}; exit 7", mark()?));
    let said = ended(stock.ssh(way, &["-T"], &[&command], &content)?, 7)?;
    if said.output != content {
        return Err("what came back is not what was sent".to_owned().into());
    }
    let passed = Passed::session("exec", Bytes::Exactly(content), Bytes::Exactly(said.output));
    Ok(Passed { command: Some(command), exit: Some(7), ..passed })
}

fn shell(stock: &Stock, way: Way) -> Result<Passed, Missed> {
    let input = format!("echo {}\nexit 3\n", mark()?).into_bytes();
    let said = ended(stock.ssh(way, &["-T"], &[], &input)?, 3)?;
    let passed = Passed::session("shell", Bytes::Exactly(input), Bytes::Exactly(said.output));
    Ok(Passed { exit: Some(3), ..passed })
}

fn terminal(stock: &Stock, way: Way) -> Result<Passed, Missed> {
    let command = format!("echo {}", mark()?);
    let said = ended(stock.ssh(way, &["-tt"], &[&command], &[])?, 0)?;
    let passed = Passed::session("exec", Bytes::Some, Bytes::Exactly(said.output));
    Ok(Passed { command: Some(command), pty: true, exit: Some(0), ..passed })
}

/// A file that goes there and back.
struct File {
    name: String,
    content: Vec<u8>,
    /// Where it is here, on the target, and here once it is back.
    near: String,
    remote: String,
    back: String,
}

impl File {
    fn make(stock: &Stock) -> Result<Self, String> {
        let (content, name) = (random(SIZE)?, format!("bartizan-selftest-{}", mark()?));
        let path = |name| stock.path(name).to_string_lossy().into_owned();
        let (near, back) = (path("near"), path("back"));
        fs::write(&near, &content).map_err(local)?;
        let remote = format!("{}/{name}", stock.remote.trim_end_matches('/'));
        Ok(Self { name, content, near, remote, back })
    }

    /// What came back is what was sent.
    fn returned(self) -> Result<(String, Vec<u8>), String> {
        let found = fs::read(&self.back).map_err(local)?;
        fs::remove_file(&self.back).map_err(local)?;
        if found != self.content {
            return Err("the file that came back is not the one that was sent".to_owned());
        }
        Ok((self.name, self.content))
    }
}

fn local(error: std::io::Error) -> String {
    format!("cannot use the folder for temporary files: {error}")
}

fn sftp(stock: &Stock, way: Way) -> Result<Passed, Missed> {
    let file = File::make(stock)?;
    let File { near, remote, back, .. } = &file;
    let said = stock.sftp(way, &format!("put {near} {remote}\nget {remote} {back}\nrm {remote}\n"))?;
    // The client says each command before it carries it out: what comes after the first tells that it was done.
    let arrived = String::from_utf8_lossy(&said.output).contains("get ");
    if said.code != Some(0) && arrived {
        stock.remove(way, remote);
    }
    ended(said, 0)?;
    let file = file.returned()?;
    let passed = Passed::session("subsystem", Bytes::AtLeast(SIZE), Bytes::AtLeast(SIZE));
    Ok(Passed { command: Some("sftp".to_owned()), exit: Some(0), file: Some(file), ..passed })
}

/// There and back by the protocol of `options`.
fn copied(stock: &Stock, way: Way, options: &[&str], request: &'static str) -> Result<Passed, Missed> {
    let file = File::make(stock)?;
    let there = format!(":{}", file.remote);
    ended(stock.scp(way, options, &file.near, &there)?, 0)?;
    let back = stock.scp(way, options, &there, &file.back).and_then(|said| ended(said, 0));
    stock.remove(way, &file.remote);
    back?;
    let file = file.returned()?;
    let passed = Passed::session(request, Bytes::Some, Bytes::AtLeast(SIZE));
    let command = if request == "exec" { file.0.clone() } else { "sftp".to_owned() };
    Ok(Passed { command: Some(command), exit: Some(0), file: Some(file), ..passed })
}

fn scp(stock: &Stock, way: Way) -> Result<Passed, Missed> {
    copied(stock, way, &["-s"], "subsystem")
}

fn old_scp(stock: &Stock, way: Way) -> Result<Passed, Missed> {
    copied(stock, way, &["-O"], "exec")
}

/// To the target's own SSH server, which greets whoever comes.
fn forward(stock: &Stock, way: Way) -> Result<Passed, Missed> {
    let said = stock.ssh(way, &["-W", &stock.echo], &[], b"bartizan selftest\r\n")?;
    if !said.output.starts_with(b"SSH-2.0-") {
        return Err(said.complaint().into());
    }
    let input = Bytes::Exactly(b"bartizan selftest\r\n".to_vec());
    Ok(Passed::channel("direct-tcpip", input, Bytes::Exactly(said.output)))
}
