//! What each command does: one module a noun.

mod access;
mod apply;
mod ca;
mod cert;
mod credential;
mod export;
mod grant;
#[cfg(test)]
mod json;
mod key;
mod log;
mod person;
mod play;
mod prove;
mod recordings;
mod role;
mod selftest;
mod session;
mod ssh_config;
mod target;
mod verify;

use std::future::Future;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use bartizan_model::{Person, PersonName, Timestamp};
use clap::CommandFactory as _;

use crate::args::{Cli, Command, Log, Session};
use crate::client::Client;
use crate::failure::{Failure, Kind};
use crate::out::{Out, note, time};

/// Longest file of keys that is read.
const MAX_KEY_FILE_BYTES: u64 = 1 << 20;

/// What every command needs.
pub(crate) struct Context {
    pub(crate) out: Out,
    /// The data folder.
    pub(crate) data: PathBuf,
    /// The server of the data folder, whether it runs or not.
    pub(crate) client: Client,
}

/// Runs the command that was asked for.
pub(crate) fn run(cli: Cli) -> Result<(), Failure> {
    let out = Out::detect(cli.json);
    if let Command::Completions { shell } = cli.command {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "bartizan", &mut script);
        return out.bytes(&script);
    }
    if let Command::Man { output } = cli.command {
        return clap_mangen::generate_to(Cli::command(), &output)
            .map_err(|e| Failure::failed(format!("cannot write man pages to {}: {e}", output.display())));
    }
    let context = Context { out, client: Client::new(&cli.data), data: cli.data };
    match cli.command {
        Command::Person(command) => wait(person::run(&context, command)),
        Command::Role(command) => wait(role::run(&context, command)),
        Command::Key(command) => wait(key::run(&context, command)),
        Command::Vault(command) => wait(credential::vault(&context, command)),
        Command::Target(command) => wait(target::run(&context, command)),
        Command::Grant(command) => wait(grant::run(&context, command)),
        Command::Cert(command) => wait(cert::run(&context, command)),
        Command::Ca(command) => wait(ca::run(&context, command)),
        Command::Access(command) => wait(access::run(&context, command)),
        Command::Selftest(command) => wait(selftest::run(&context, command)),
        Command::SshConfig(command) => wait(ssh_config::run(&context, &command)),
        Command::Apply(apply) => wait(apply::run(&context, &apply)),
        Command::Export { output, force } => wait(apply::export(&context, output.as_deref(), force)),
        Command::Session(Session::List(list)) => wait(session::list(&context, list)),
        Command::Session(Session::Show { id }) => wait(session::show(&context, &id)),
        Command::Session(Session::Play(play)) => play::run(&context, &play),
        Command::Session(Session::Terminate { id, reason }) => {
            wait(session::terminate(&context, &id, reason))
        }
        Command::Session(Session::Export(export)) => export::run(&context, &export),
        Command::Log(Log::Search(search)) => wait(log::search(&context, search)),
        Command::Log(Log::Tail { lines, no_follow, .. }) => wait(log::tail(&context, lines, !no_follow)),
        Command::Log(Log::Export { from, output }) => log::export(&context, from, output.as_deref()),
        Command::Log(Log::Verify { key, proof: Some(proof), .. }) => {
            prove::check(&context, &proof, key.as_deref())
        }
        Command::Log(Log::Verify { key, since, proof: None }) => {
            verify::run(&context, key.as_deref(), since.as_deref())
        }
        Command::Log(Log::Reindex) => wait(log::reindex(&context)),
        Command::Log(Log::Prove { index, output }) => prove::prove(&context, index, output.as_deref()),
        Command::Log(Log::Checkpoint { key, output }) => {
            prove::checkpoint(&context, key.as_deref(), output.as_deref())
        }
        // Printed above.
        Command::Completions { .. } | Command::Man { .. } => Ok(()),
    }
}

/// Runs what waits for the network on this thread.
fn wait<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|e| Failure::failed(format!("cannot start: {e}")))?.block_on(work)
}

/// Reads a file of keys; `-` is standard input. Private keys are refused before they go anywhere.
fn key_file(path: &Path) -> Result<String, Failure> {
    let text = text_file(path, MAX_KEY_FILE_BYTES, "file of keys")?;
    if text.contains("PRIVATE KEY-----") {
        let shown = path.display();
        return Err(Failure::failed(format!("{shown} holds a private key; it was not sent anywhere"))
            .hint("give the public key, usually the file with .pub at the end"));
    }
    Ok(text)
}

/// Reads a text of at most `max` bytes; `-` is standard input.
fn text_file(path: &Path, max: u64, what: &str) -> Result<String, Failure> {
    let shown = path.display();
    let unreadable = |e: std::io::Error| Failure::failed(format!("cannot read {shown}: {e}"));
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().lock().take(max + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    } else {
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(max + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    }
    if bytes.len() as u64 > max {
        return Err(Failure::failed(format!("{shown} is too long to be a {what}")));
    }
    String::from_utf8(bytes).map_err(|_| Failure::failed(format!("{shown} is not a text file")))
}

/// Refuses a time that ends before it begins: it would find nothing, for ever.
fn in_order(since: Option<Timestamp>, until: Option<Timestamp>) -> Result<(), Failure> {
    match (since, until) {
        (Some(since), Some(until)) if since >= until => Err(Failure::new(
            Kind::Usage,
            format!("--since {} is not before --until {}", time(since), time(until)),
        )),
        _ => Ok(()),
    }
}

/// Says so, if nothing was found of somebody whom the directory does not know: the name may be misspelled.
async fn unknown(client: &Client, person: Option<&PersonName>, found: usize) {
    if let Some(name) = person.filter(|_| found == 0) {
        let all: Result<Vec<Person>, _> = client.get("/v1/people").await;
        if all.is_ok_and(|all| all.iter().all(|person| person.name != *name)) {
            note(&format!("nobody called {name} is known now; `bartizan person list` shows those there are"));
        }
    }
}
