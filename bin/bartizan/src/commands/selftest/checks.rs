//! What is tried, and what must be on record of it.

use std::fs;

use aws_lc_rs::rand;

use super::stock::{Said, Stock, Way};

/// Bytes that each check moves.
const SIZE: usize = 200_000;

/// One thing to try.
pub(super) struct Check {
    pub(super) name: &'static str,
    /// Does it; the error says why it did not work.
    pub(super) run: fn(&Stock, Way) -> Result<Passed, String>,
}

pub(super) const CHECKS: &[Check] = &[
    Check { name: "exec", run: exec },
    Check { name: "shell", run: shell },
    Check { name: "terminal", run: terminal },
    Check { name: "sftp", run: sftp },
    Check { name: "scp", run: scp },
    Check { name: "scp -O", run: old_scp },
    Check { name: "forward", run: forward },
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
}

impl Passed {
    fn session(request: &'static str, input: Bytes, output: Bytes) -> Self {
        let request = Some(request);
        Self { kind: "session", request, command: None, pty: false, exit: None, input, output, file: None }
    }
}

/// A word that is in nothing else.
fn mark() -> Result<String, String> {
    Ok(random(8)?.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn random(size: usize) -> Result<Vec<u8>, String> {
    let mut bytes = vec![0; size];
    rand::fill(&mut bytes).map_err(|_| "the system gives no random bytes".to_owned())?;
    Ok(bytes)
}

/// What a client said, if it ended with `code`.
fn ended(said: Said, code: i32) -> Result<Said, String> {
    if said.code == Some(code) { Ok(said) } else { Err(said.complaint()) }
}

fn exec(stock: &Stock, way: Way) -> Result<Passed, String> {
    let (content, command) = (random(SIZE)?, format!("cat; : {}; exit 7", mark()?));
    let said = ended(stock.ssh(way, &["-T"], &[&command], &content)?, 7)?;
    if said.output != content {
        return Err("what came back is not what was sent".to_owned());
    }
    let passed = Passed::session("exec", Bytes::Exactly(content), Bytes::Exactly(said.output));
    Ok(Passed { command: Some(command), exit: Some(7), ..passed })
}

fn shell(stock: &Stock, way: Way) -> Result<Passed, String> {
    let input = format!("echo {}\nexit 3\n", mark()?).into_bytes();
    let said = ended(stock.ssh(way, &["-T"], &[], &input)?, 3)?;
    let passed = Passed::session("shell", Bytes::Exactly(input), Bytes::Exactly(said.output));
    Ok(Passed { exit: Some(3), ..passed })
}

fn terminal(stock: &Stock, way: Way) -> Result<Passed, String> {
    let command = format!("echo {}", mark()?);
    let said = ended(stock.ssh(way, &["-tt"], &[&command], &[])?, 0)?;
    let passed = Passed::session("exec", Bytes::Some, Bytes::Exactly(said.output));
    Ok(Passed { command: Some(command), pty: true, exit: Some(0), ..passed })
}

/// Moves a file there and back; `go` and `back` run the clients.
fn moved(
    stock: &Stock,
    copy: impl FnOnce(&str, &str, &str) -> Result<(), String>,
) -> Result<(String, Vec<u8>), String> {
    let (content, name) = (random(SIZE)?, format!("bartizan-selftest-{}", mark()?));
    let (near, back) = (stock.path("near"), stock.path("back"));
    let local = |error: std::io::Error| format!("cannot use the folder for temporary files: {error}");
    fs::write(&near, &content).map_err(local)?;
    let remote = format!("{}/{name}", stock.remote.trim_end_matches('/'));
    copy(&near.to_string_lossy(), &remote, &back.to_string_lossy())?;
    let found = fs::read(&back).map_err(local)?;
    fs::remove_file(&back).map_err(local)?;
    if found != content {
        return Err("the file that came back is not the one that was sent".to_owned());
    }
    Ok((name, content))
}

fn sftp(stock: &Stock, way: Way) -> Result<Passed, String> {
    let file = moved(stock, |near, remote, back| {
        ended(stock.sftp(way, &format!("put {near} {remote}\nget {remote} {back}\nrm {remote}\n"))?, 0)
            .map(drop)
    })?;
    let passed = Passed::session("subsystem", Bytes::AtLeast(SIZE), Bytes::AtLeast(SIZE));
    Ok(Passed { command: Some("sftp".to_owned()), exit: Some(0), file: Some(file), ..passed })
}

/// There by the protocol of `options`; removed over SFTP, since that needs no shell.
fn copied(stock: &Stock, way: Way, options: &[&str], request: &'static str) -> Result<Passed, String> {
    let file = moved(stock, |near, remote, back| {
        ended(stock.scp(way, options, near, &format!(":{remote}"))?, 0)?;
        let done = ended(stock.scp(way, options, &format!(":{remote}"), back)?, 0).map(drop);
        // Left over where the grant permits no changes by SFTP: then scp alone cannot remove it either.
        let _ = stock.sftp(way, &format!("rm {remote}\n"));
        done
    })?;
    let passed = Passed::session(request, Bytes::Some, Bytes::AtLeast(SIZE));
    let command = if request == "exec" { file.0.clone() } else { "sftp".to_owned() };
    Ok(Passed { command: Some(command), exit: Some(0), file: Some(file), ..passed })
}

fn scp(stock: &Stock, way: Way) -> Result<Passed, String> {
    copied(stock, way, &["-s"], "subsystem")
}

fn old_scp(stock: &Stock, way: Way) -> Result<Passed, String> {
    copied(stock, way, &["-O"], "exec")
}

/// To the target's own SSH server, which greets whoever comes.
fn forward(stock: &Stock, way: Way) -> Result<Passed, String> {
    let said = stock.ssh(way, &["-W", &stock.echo], &[], b"bartizan selftest\r\n")?;
    if !said.output.starts_with(b"SSH-2.0-") {
        return Err(said.complaint());
    }
    Ok(Passed {
        kind: "direct-tcpip",
        request: None,
        command: None,
        pty: false,
        exit: None,
        input: Bytes::Exactly(b"bartizan selftest\r\n".to_vec()),
        output: Bytes::Exactly(said.output),
        file: None,
    })
}
