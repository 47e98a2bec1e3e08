//! How many events a second become durable: one writer after another, and many at once.
//!
//! `cargo run --release -p bartizan-audit --example append_throughput -- [FOLDER [WRITERS [SECONDS]]]`
//!
//! FOLDER is on the disk to be measured (default: a folder in the system's temporary one, which may be no disk).
//! An append counts only when its receipt says that it is on the disk. Each writer submits an event of about 400 bytes and
//! waits for its receipt before the next, as a session does with what it decides on; at last with some under way, as it does
//! with all else. Bundles, tiles and a checkpoint a second are written meanwhile, as in service.
//!
//! Leave five minutes between two runs, and after anything that removed many files: ext4 passes over inodes that were freed
//! within the last minutes one by one, and each bundle and tile is a new file.

#![expect(clippy::print_stdout, reason = "it is a program")]

use std::collections::VecDeque;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bartizan_audit::{Log, LogOptions, Signer};
use bartizan_model::event::{Body, Event};
use bartizan_model::{NodeId, SessionId, Timestamp};

/// Events of one writer without a receipt, in the last measurement.
const UNDER_WAY: usize = 8;
const ORIGIN: &str = "bench.example.com/node-1";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let writers: u64 = arguments.next().map_or(Ok(64), |text| text.parse())?;
    let time = Duration::from_secs(arguments.next().map_or(Ok(5), |text| text.parse())?);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build()?;
    let synced = raw_sync(&folder)?;
    println!("a write of 16 KiB and fdatasync in {}: {synced:.0} a second", folder.display());
    // Removed at the end only: ext4 looks long for inodes while many were freed a moment ago.
    let mut dirs = Vec::new();
    for (writers, under_way) in [(1, 1), (writers, 1), (writers, UNDER_WAY)] {
        let dir = folder.join(format!("append-throughput-{}-{}", std::process::id(), dirs.len()));
        let measured = runtime.block_on(measure(&dir, writers, under_way, time));
        println!("{writers} writers, {under_way} under way: {:.0} durable appends a second", measured?);
        dirs.push(dir);
    }
    dirs.iter().try_for_each(std::fs::remove_dir_all)?;
    Ok(())
}

/// What the disk can do: writes of the size of a group commit, each made durable.
fn raw_sync(folder: &Path) -> Result<f64, Box<dyn Error>> {
    use std::io::Write as _;
    let path = folder.join(format!("append-throughput-{}-raw", std::process::id()));
    let mut file = std::fs::File::create(&path)?;
    let (start, mut count) = (Instant::now(), 0_u32);
    while start.elapsed() < Duration::from_secs(1) {
        file.write_all(&[7; 16 * 1024])?;
        file.sync_data()?;
        count += 1;
    }
    std::fs::remove_file(&path)?;
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}

async fn measure(dir: &Path, writers: u64, under_way: usize, time: Duration) -> Result<f64, Box<dyn Error>> {
    let origin = ORIGIN.parse()?;
    Log::create(dir, &origin)?;
    let signer = Signer::from_seed(&origin, &[7; 32])?;
    let log = Log::open(dir, LogOptions { signer: Some(signer), ..LogOptions::default() })?.log;
    let start = Instant::now();
    let tasks: Vec<_> = (0..writers)
        .map(|_| {
            let (log, event) = (log.clone(), event());
            tokio::spawn(async move {
                let (mut count, mut waiting) = (0_u64, VecDeque::new());
                while start.elapsed() < time {
                    waiting.push_back(log.submit(event.clone())?);
                    if waiting.len() >= under_way
                        && let Some(oldest) = waiting.pop_front()
                    {
                        oldest.await?;
                        count += 1;
                    }
                }
                for pending in waiting {
                    pending.await?;
                    count += 1;
                }
                Ok::<u64, bartizan_audit::LogError>(count)
            })
        })
        .collect();
    let mut total = 0;
    for task in tasks {
        total += task.await??;
    }
    let elapsed = start.elapsed().as_secs_f64();
    let head = log.head();
    log.close()?;
    if head != total {
        return Err(format!("{total} receipts for {head} entries").into());
    }
    Ok(total as f64 / elapsed)
}

fn event() -> Event {
    let body = Body::Command {
        channel: 0,
        request: "exec".to_owned(),
        command: "tar -C /srv/www -cf - . | zstd -3 > /var/backups/www.tar.zst".to_owned(),
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
