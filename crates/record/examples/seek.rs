//! Seeking in an eight-hour recording: `cargo run --release -p bartizan-record --example seek [FOLDER]`.
//!
//! A terminal that shows some lines each second for eight hours; then 1,000 jumps to anywhere, each in a recording
//! that is opened for it, until the first event there is read.

#![expect(clippy::print_stdout, reason = "it is a program")]

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use bartizan_model::{NodeId, Recording, SessionId, Timestamp, Way};
use bartizan_record::{Options, RecordedSession, Recordings, SessionMeta, Stream};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const HOURS: u64 = 8;
const JUMPS: u64 = 1000;

fn main() -> Result<()> {
    let temp = tempfile::tempdir()?;
    let root = std::env::args_os().nth(1).map_or_else(|| temp.path().join("recordings"), Into::into);
    let rt = tokio::runtime::Builder::new_current_thread().build()?;
    let session = rt.block_on(record(&root))?;
    let folder = root.join(session.to_string());
    for entry in std::fs::read_dir(&folder)? {
        let entry = entry?;
        println!("{}: {} bytes", entry.file_name().display(), entry.metadata()?.len());
    }
    seek(&folder, "with its index")?;
    std::fs::remove_file(folder.join("channel-0.cast.idx"))?;
    seek(&folder, "without its index")
}

async fn record(root: &Path) -> Result<SessionId> {
    let recordings = Recordings::open(root, Options::default())?;
    let meta = SessionMeta {
        session: SessionId::new(),
        started: Timestamp::now(),
        person: "alice".parse()?,
        login: "root".parse()?,
        target: "web-1".parse()?,
        way: Way::UserName,
        source: "192.0.2.7:50022".parse()?,
        node: NodeId("bench".into()),
        client: String::new(),
    };
    let id = meta.session;
    let recorder = recordings.begin(meta, Recording { channel_cap: None, input: false }).await?;
    recorder.open_channel(0, "session", Duration::ZERO);
    recorder.set_pty(0, b"xterm", 80, 24, Duration::ZERO);
    for tick in 0..HOURS * 3600 * 10 {
        let at = Duration::from_millis(tick * 100);
        let line = format!(
            "{:?} root@web-1 {:016x} something that a program says\r\n",
            at,
            tick.wrapping_mul(0x9E37_79B9_7F4A_7C15)
        );
        while !recorder.has_room() {
            tokio::task::yield_now().await;
        }
        recorder.data(0, Stream::Output, at, line.as_bytes());
    }
    recorder.finish(Duration::from_secs(HOURS * 3600)).await?;
    Ok(id)
}

fn seek(folder: &Path, how: &str) -> Result<()> {
    let mut times = Vec::new();
    let jumps = if how.starts_with("without") { JUMPS / 50 } else { JUMPS };
    for n in 0..jumps {
        let at = Duration::from_millis(n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % (HOURS * 3_600_000 - 1000));
        let start = Instant::now();
        let mut events = RecordedSession::open(folder)?.events(0)?;
        events.seek(at)?;
        let event = events.next().ok_or("the recording ends before")??;
        times.push(start.elapsed());
        if event.at < at || event.at > at + Duration::from_millis(200) {
            return Err(format!("sought {at:?}, found {:?}", event.at).into());
        }
    }
    times.sort_unstable();
    let at = |part: usize| times[(times.len() - 1) * part / 100];
    println!(
        "{jumps} jumps in {HOURS} hours {how}: median {:.2?}, p99 {:.2?}, longest {:.2?}",
        at(50),
        at(99),
        at(100)
    );
    Ok(())
}
