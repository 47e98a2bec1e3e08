//! Measures what recording costs: CPU seconds a GiB of terminal output and of bulk, nanoseconds a small push, and what it
//! adds to a keystroke (bar: 50 µs at p99).
//!
//! `cargo run --release -p bartizan-record --example record_throughput [FOLDER]`

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use bartizan_model::{NodeId, Recording, SessionId, Timestamp, Way};
use bartizan_record::{Options, Recordings, SessionMeta, SessionRecorder, Stream};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const GIB: usize = 1 << 30;
/// As much as a relay reads from a socket at once.
const READ: usize = 32 << 10;

fn main() -> Result<()> {
    let temp = tempfile::tempdir()?;
    let root = std::env::args_os().nth(1).map_or_else(|| temp.path().join("recordings"), Into::into);
    let recordings = Recordings::open(&root, Options::default())?;
    let rt = tokio::runtime::Builder::new_current_thread().build()?;
    rt.block_on(async {
        let capped = Recording { channel_cap: Some(1 << 20), input: false };
        let whole = Recording { channel_cap: None, input: false };
        measure(&recordings, "terminal, seq", whole, true, &seq(), GIB).await?;
        measure(&recordings, "bulk, 1 MiB kept", capped, false, &noise(), 4 * GIB).await?;
        measure(&recordings, "bulk noise, all kept", whole, false, &noise(), GIB).await?;
        measure(&recordings, "bulk text, all kept", whole, false, &seq(), GIB).await?;
        small_pushes(&recordings).await?;
        keystrokes(&recordings).await
    })
}

/// The output of `seq 1 2000000` in a terminal.
fn seq() -> Vec<u8> {
    (1..=2_000_000).flat_map(|n| format!("{n}\r\n").into_bytes()).collect()
}

fn noise() -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let next = |s: &mut u64| {
        *s ^= *s << 13;
        *s ^= *s >> 7;
        *s ^= *s << 17;
        s.to_le_bytes()
    };
    (0..2 << 20).flat_map(|_| next(&mut state)).collect()
}

async fn begin(recordings: &Recordings, policy: Recording) -> Result<SessionRecorder> {
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
    Ok(recordings.begin(meta, policy).await?)
}

async fn measure(
    recordings: &Recordings,
    name: &str,
    policy: Recording,
    pty: bool,
    data: &[u8],
    bytes: usize,
) -> Result<()> {
    let recorder = begin(recordings, policy).await?;
    let (cpu, start) = (cpu_time()?, Instant::now());
    if pty {
        recorder.set_pty(0, b"xterm", 80, 24, Duration::ZERO);
    }
    let mut left = bytes;
    for piece in std::iter::repeat_with(|| data.chunks(READ)).flatten() {
        if !recorder.has_room() {
            recorder.room().await;
        }
        recorder.data(0, Stream::Output, start.elapsed(), piece);
        left = left.saturating_sub(piece.len());
        if left == 0 {
            break;
        }
    }
    let files = recorder.finish(start.elapsed()).await?;
    let (wall, cpu) = (start.elapsed(), cpu_time()? - cpu);
    let gib = bytes as f64 / GIB as f64;
    let kept: u64 = files.iter().map(|file| file.bytes).sum();
    say(&format!(
        "{name:<22} {:6.2} CPU s/GiB   {:6.0} MiB/s   {:5.1} % of the bytes on disk",
        cpu.as_secs_f64() / gib,
        1024.0 * gib / wall.as_secs_f64(),
        100.0 * kept as f64 / bytes as f64
    ));
    remove(&recordings.folder(recorder.session()))
}

async fn small_pushes(recordings: &Recordings) -> Result<()> {
    const PUSHES: u32 = 5_000_000;
    let recorder = begin(recordings, Recording { channel_cap: None, input: false }).await?;
    recorder.set_pty(0, b"xterm", 80, 24, Duration::ZERO);
    let mut pushing = Duration::ZERO;
    let cpu = cpu_time()?;
    for turn in 0..PUSHES / 1000 {
        if !recorder.has_room() {
            recorder.room().await;
        }
        let start = Instant::now();
        for push in 0..1000 {
            recorder.data(0, Stream::Output, Duration::from_micros(u64::from(turn * 1000 + push)), b"x");
        }
        pushing += start.elapsed();
    }
    let _ = recorder.finish(Duration::from_secs(60)).await?;
    let each = |time: Duration| time.as_nanos() / u128::from(PUSHES);
    say(&format!(
        "one-byte pushes        {} ns each, {} ns of CPU with writing",
        each(pushing),
        each(cpu_time()? - cpu)
    ));
    remove(&recordings.folder(recorder.session()))
}

/// What the relay's thread spends on recording one keystroke and its echo, at the pace of a fast typist's macros: the
/// writer sleeps in between and is woken by each.
async fn keystrokes(recordings: &Recordings) -> Result<()> {
    const KEYS: usize = 5_000;
    let recorder = begin(recordings, Recording { channel_cap: None, input: true }).await?;
    recorder.set_pty(0, b"xterm", 80, 24, Duration::ZERO);
    let (began, mut times) = (Instant::now(), Vec::with_capacity(KEYS));
    for _ in 0..KEYS {
        std::thread::sleep(Duration::from_millis(1));
        let start = Instant::now();
        if !recorder.has_room() {
            recorder.room().await;
        }
        recorder.data(0, Stream::Input, began.elapsed(), b"x");
        recorder.data(0, Stream::Output, began.elapsed(), b"x");
        times.push(start.elapsed());
    }
    let _ = recorder.finish(began.elapsed()).await?;
    times.sort_unstable();
    let at = |percent: usize| times[(KEYS - 1) * percent / 100].as_nanos() as f64 / 1e3;
    say(&format!(
        "a keystroke and its echo: median {:.1} µs, p99 {:.1} µs, longest {:.1} µs",
        at(50),
        at(99),
        at(100)
    ));
    remove(&recordings.folder(recorder.session()))
}

fn remove(folder: &Path) -> Result<()> {
    Ok(std::fs::remove_dir_all(folder)?)
}

/// User and system time of this process, all threads.
fn cpu_time() -> Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).map(str::parse::<u64>).sum::<std::result::Result<_, _>>()?;
    Ok(Duration::from_millis(ticks * 10))
}

#[expect(clippy::print_stdout, reason = "a program's output")]
fn say(text: &str) {
    println!("{text}");
}
