//! What a long log costs: verifying it, proving one event, opening it after SIGKILL, bytes on the disk.
//!
//! `cargo run --release -p bartizan-audit --example large_log -- [FOLDER [EVENTS]]`
//!
//! FOLDER is on the disk to be measured and is made when it is not there; a log that is there already is used again, so
//! that the ten million events are written once. The recovery is of a process of its own that appends until it
//! is killed with SIGKILL.

#![expect(clippy::print_stdout, reason = "it is a program")]

use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bartizan_audit::{Log, LogOptions, Opened, Pending, Reader, Signer, open_proof, verify};
use bartizan_model::event::{Body, Event};
use bartizan_model::{NodeId, SessionId, Timestamp};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const ORIGIN: &str = "bench.example.com/node-1";
const KILLS: usize = 5;
const PROOFS: u64 = 1000;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().map_or_else(|| std::env::temp_dir().join("large-log"), PathBuf::from);
    let events = arguments.next().unwrap_or_else(|| "10000000".to_owned());
    if events == "append" {
        return append_until_killed(&folder);
    }
    let events: u64 = events.parse()?;
    fill(&folder, events)?;
    check(&folder)?;
    prove(&folder)?;
    recover(&folder)?;
    check(&folder)?;
    disk(&folder)
}

fn signer() -> Result<Signer> {
    Ok(Signer::from_seed(&ORIGIN.parse()?, &[7; 32])?)
}

fn open(folder: &Path) -> Result<Log> {
    Ok(reopen(folder)?.log)
}

fn reopen(folder: &Path) -> Result<Opened> {
    Ok(Log::open(folder, LogOptions { signer: Some(signer()?), ..LogOptions::default() })?)
}

/// Appends with as many waiting as the log takes without refusing.
fn fill(folder: &Path, events: u64) -> Result<()> {
    if !folder.join("log.json").exists() {
        Log::create(folder, &ORIGIN.parse()?)?;
    }
    let log = open(folder)?;
    let (had, start) = (log.head(), Instant::now());
    let mut last: Option<Pending> = None;
    for n in had..events {
        if n.is_multiple_of(4096)
            && let Some(pending) = last.take()
        {
            pending.wait_blocking()?;
        }
        last = Some(log.submit(event(n))?);
    }
    log.close()?;
    if had < events {
        let rate = (events - had) as f64 / start.elapsed().as_secs_f64();
        println!("{} events appended, {rate:.0} a second, integrated and published", events - had);
    }
    Ok(())
}

fn check(folder: &Path) -> Result<()> {
    let key = signer()?.verifier_key().clone();
    let start = Instant::now();
    let verified = verify(folder, &key, |_| {})?;
    let time = start.elapsed().as_secs_f64();
    println!(
        "verify: {} events in {time:.2} s, {:.0} a second",
        verified.entries,
        verified.entries as f64 / time
    );
    Ok(())
}

/// Each by a reader of its own, as the command line does it.
fn prove(folder: &Path) -> Result<()> {
    let key = signer()?.verifier_key().clone();
    let head = Reader::open(folder)?.head()?;
    let mut times = Vec::new();
    for n in 0..PROOFS {
        let index = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % head;
        let start = Instant::now();
        let proof = Reader::open(folder)?.prove_whole(index)?;
        times.push(start.elapsed());
        open_proof(&proof, &key)?;
    }
    println!("prove, {PROOFS} events anywhere in {head}: {}", spread(&mut times));
    Ok(())
}

fn recover(folder: &Path) -> Result<()> {
    let (mut times, mut replayed) = (Vec::new(), Vec::new());
    for _ in 0..KILLS {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(folder)
            .arg("append")
            .stdout(Stdio::piped())
            .spawn()?;
        // Receipts are told by the child; what it told must be there.
        let lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        let told =
            lines.take(400).map_while(std::result::Result::ok).last().ok_or("the child tells nothing")?;
        child.kill()?;
        child.wait()?;
        let start = Instant::now();
        let Opened { log, recovery, .. } = reopen(folder)?;
        times.push(start.elapsed());
        replayed.push(recovery.replayed);
        let head = log.head();
        log.close()?;
        if head < told.parse()? {
            return Err(format!("a receipt for {told} entries, and the log has {head}").into());
        }
    }
    println!(
        "opening after SIGKILL, {KILLS} times: {}; entries in the journal: {replayed:?}",
        spread(&mut times)
    );
    Ok(())
}

fn append_until_killed(folder: &Path) -> Result<()> {
    let log = open(folder)?;
    loop {
        let pending: std::result::Result<Vec<Pending>, _> = (0..1000).map(|n| log.submit(event(n))).collect();
        for pending in pending? {
            pending.wait_blocking()?;
        }
        println!("{}", log.head());
    }
}

fn disk(folder: &Path) -> Result<()> {
    let entries = Reader::open(folder)?.head()?;
    let mut total = 0;
    for kind in ["tile/entries", "tile/0", "tile/1", "tile/2", "journal"] {
        let bytes = size(&folder.join(kind))?;
        total += bytes;
        println!("{kind}: {:.1} bytes an event", bytes as f64 / entries as f64);
    }
    println!("in all: {:.1} bytes an event on the disk, {entries} events", total as f64 / entries as f64);
    let json = serde_json::to_vec(&event(entries))?;
    println!("an event is {} bytes of JSON, with its index", json.len() + 18);
    Ok(())
}

/// What the files below a folder take on the disk.
fn size(folder: &Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    let mut total = 0;
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let entry = entry?;
        let metadata = entry.metadata()?;
        total += if metadata.is_dir() { size(&entry.path())? } else { metadata.blocks() * 512 };
    }
    Ok(total)
}

fn spread(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let at = |part: usize| times[(times.len() - 1) * part / 100];
    format!("median {:.2?}, p99 {:.2?}, longest {:.2?}", at(50), at(99), at(100))
}

fn event(n: u64) -> Event {
    let body = Body::Command {
        channel: 0,
        request: "exec".to_owned(),
        command: format!("tar -C /srv/www-{n} -cf - . | zstd -3 > /var/backups/www.tar.zst"),
        length: 60,
        sha256: None,
        pty: false,
    };
    let mut event = Event::new(&NodeId("node-1".to_owned()), Timestamp::now(), body);
    event.session = Some(SessionId::new());
    event.person = "alice".parse().ok();
    event.target = "web-1".parse().ok();
    event.login = "root".parse().ok();
    event.source = "192.0.2.7:50022".parse().ok();
    event
}
