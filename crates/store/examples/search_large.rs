//! Measures searches over a large index: `make bench-search`, or
//! `cargo run --release -p bartizan-store --example search_large -- FOLDER [EVENTS [PART-OF-A-NAME …]]`.
//!
//! FOLDER is on the disk to be measured and is made when it is not there; an index that is there already is used again
//! and only filled up, so that ten million events are indexed once. Searches are run for the first page of 100, the newest
//! first, as people do; *cold* is the first run in a fresh process, after the system was asked to forget the file.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement for people to read")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bartizan_model::event::{Body, Event, Outcome, Severity};
use bartizan_model::{ChannelDigest, NodeId, SessionId, Sha256Hex, Timestamp, Way};
use bartizan_store::{EventQuery, IndexEntry, IndexStore as _, SessionQuery, Store};

const BATCH: u64 = 2048;
/// Runs of each search, each with other values.
const RUNS: u64 = 200;
/// Most pages of one search.
const PAGES: u64 = 5;
const START: u64 = 1_795_854_600_000_000;
/// A second between events: ten million of them are four months.
const STEP: u64 = 1_000_000;

#[tokio::main(flavor = "multi_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().map_or_else(|| std::env::temp_dir().join("large-index"), PathBuf::from);
    let events: u64 = arguments.next().map_or(10_000_000, |text| text.parse().unwrap());
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(Store::INDEX_FILE);
    let store = Store::open(&folder).await.unwrap();
    fill(&store, events).await;
    let count = store.cursor().await.unwrap();
    store.close().await;
    println!("{count} events, {} bytes of database each", size(&path) / count);
    forget(&path);
    let store = Store::open(&folder).await.unwrap();
    searches(&store, count).await;
    sessions(&store, count).await;
}

async fn fill(store: &Store, events: u64) {
    let had = store.cursor().await.unwrap();
    let (start, mut told, cpu) = (Instant::now(), Instant::now(), cpu_seconds());
    let mut next = had;
    while next < events {
        let end = (next + BATCH).min(events);
        let entries: Vec<IndexEntry> = (next..end).map(entry).collect();
        next = store.apply(&entries).await.unwrap();
        if told.elapsed() > Duration::from_secs(30) {
            told = Instant::now();
            println!("{next} events, {:.0} a second", (next - had) as f64 / start.elapsed().as_secs_f64());
        }
    }
    if had < events {
        let (count, time) = ((events - had) as f64, start.elapsed().as_secs_f64());
        let cpu = (cpu_seconds() - cpu) * 1e6 / count;
        println!("{count} events indexed, {:.0} a second, {cpu:.1} µs of CPU each", count / time);
    }
}

type Make = fn(u64, u64) -> EventQuery;

fn searches_to_run() -> Vec<(&'static str, Make)> {
    fn text(text: String) -> EventQuery {
        EventQuery { text: Some(text.parse().unwrap()), ..all() }
    }
    fn all() -> EventQuery {
        EventQuery { limit: Some(100), ..EventQuery::default() }
    }
    fn at(n: u64) -> Option<Timestamp> {
        Some(Timestamp::from_unix_micros(START + n * STEP))
    }
    vec![
        ("newest", |_, _| all()),
        ("person", |n, _| EventQuery { person: Some(person(n).parse().unwrap()), ..all() }),
        ("login", |n, _| EventQuery { login: Some(login(n).parse().unwrap()), ..all() }),
        ("target", |n, _| EventQuery { target: Some(target(n).parse().unwrap()), ..all() }),
        ("type, common", |_, _| EventQuery { kind: Some("command".into()), ..all() }),
        ("type, rare", |_, _| EventQuery { kind: Some("anomaly".into()), ..all() }),
        ("type group", |n, _| {
            let group = ["session.", "channel.", "auth."][n as usize % 3];
            EventQuery { kind: Some(group.into()), ..all() }
        }),
        ("session", |n, count| EventQuery { session: Some(session(n * 7919 % count / 10)), ..all() }),
        ("source address", |n, _| EventQuery { source: Some(source(n).parse().unwrap()), ..all() }),
        ("source network", |n, _| {
            let network = format!("10.{}.0.0/14", n % 16 * 4);
            EventQuery { source: Some(network.parse().unwrap()), ..all() }
        }),
        ("severity", |n, _| {
            let severity = [Severity::Notice, Severity::Warning, Severity::High][n as usize % 3];
            EventQuery { severity: Some(severity), ..all() }
        }),
        ("outcome", |n, _| {
            let outcome = [Outcome::Success, Outcome::Denied, Outcome::Failure][n as usize % 3];
            EventQuery { outcome: Some(outcome), ..all() }
        }),
        ("time, an hour", |n, count| {
            let from = n * 7919 % count;
            EventQuery { since: at(from), until: at(from + 3600), ..all() }
        }),
        ("person, an hour", |n, count| {
            let from = n * 7919 % count;
            EventQuery {
                person: Some(person(n).parse().unwrap()),
                since: at(from),
                until: at(from + 3600),
                ..all()
            }
        }),
        ("person, until half", |n, count| EventQuery {
            person: Some(person(n).parse().unwrap()),
            until: at(count / 2),
            ..all()
        }),
        ("person, target, type", |n, _| EventQuery {
            person: Some(person(n).parse().unwrap()),
            target: Some(target(n * 3).parse().unwrap()),
            kind: Some("command".into()),
            ..all()
        }),
        ("word, rare", |n, count| text(format!("build-{}", n * 7919 % count))),
        ("word, common", |n, _| text(["systemctl", "tar", "sudo", "nginx"][n as usize % 4].into())),
        ("word, nowhere", |n, _| text(format!("nowhere{n}"))),
        ("two words", |n, _| text(format!("systemctl {}", target(n)))),
        ("two common words", |_, _| text("sudo tar".into())),
        ("two words, never together", |n, _| text(format!("{} {}", person(n), person(n + 1)))),
        ("beginning, rare", |n, count| text(format!("build-{}*", n * 7919 % count / 10))),
        ("beginning, common", |n, _| text(["sys*", "build-*", "web*", "ngin*"][n as usize % 4].into())),
        ("beginning, nowhere", |n, _| text(format!("qx{n}*"))),
        ("address in a text", |n, _| text(source(n))),
        ("exact text", |n, _| text(["\"restart nginx\"", "/var/log", "-rf"][n as usize % 3].into())),
        ("exact text of common words, nowhere", |_, _| text("\"nginx restart\"".into())),
        ("word and person", |n, _| EventQuery {
            person: Some(person(n).parse().unwrap()),
            ..text("systemctl".into())
        }),
        ("page in the middle", |n, count| EventQuery { after: Some(count / 2), ..text(person(n)) }),
    ]
}

async fn searches(store: &Store, count: u64) {
    println!("{:<36} {:>6} {:>9} {:>9} {:>9} {:>9}", "search", "found", "cold", "median", "p99", "longest");
    // Further arguments are parts of names of searches; without any all are run.
    let wanted: Vec<String> = std::env::args().skip(3).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str()));
    for (name, make) in searches_to_run().into_iter().filter(|(name, _)| is_wanted(name)) {
        let (mut times, mut found) = (Vec::new(), 0);
        for run in 0..RUNS {
            let mut query = make(run, count);
            // Pages that come back short go on; each is measured by itself, up to some of a search.
            for _ in 0..PAGES {
                let start = Instant::now();
                let page = store.events(&query).await.unwrap();
                times.push(start.elapsed());
                found += page.items.len() as u64;
                if page.next.is_none() || page.items.len() >= 100 {
                    break;
                }
                query.after = page.next;
            }
        }
        row(name, found / RUNS, &mut times);
    }
}

async fn sessions(store: &Store, count: u64) {
    let page = || SessionQuery { limit: Some(100), ..SessionQuery::default() };
    type Make = fn(u64, SessionQuery) -> SessionQuery;
    let lists: [(&str, Make); 8] = [
        ("sessions, newest", |_, page| page),
        ("sessions, person", |n, page| SessionQuery { person: Some(person(n).parse().unwrap()), ..page }),
        ("sessions, login", |n, page| SessionQuery { login: Some(login(n).parse().unwrap()), ..page }),
        ("sessions, target", |n, page| SessionQuery { target: Some(target(n).parse().unwrap()), ..page }),
        ("sessions, source", |n, page| SessionQuery { source: Some(source(n).parse().unwrap()), ..page }),
        ("sessions, network", |n, page| SessionQuery {
            source: Some(format!("{}/24", source(n)).parse().unwrap()),
            ..page
        }),
        ("sessions, common network", |_, page| SessionQuery {
            source: Some("10.0.0.0/8".parse().unwrap()),
            ..page
        }),
        ("sessions, id", |n, page| SessionQuery { id_prefix: Some(session(n).to_string()), ..page }),
    ];
    let _ = count;
    for (name, make) in lists {
        let (mut times, mut found) = (Vec::new(), 0);
        for run in 0..RUNS {
            let start = Instant::now();
            found += store.sessions(&make(run, page())).await.unwrap().items.len() as u64;
            times.push(start.elapsed());
        }
        row(name, found / RUNS, &mut times);
    }
}

fn row(name: &str, found: u64, times: &mut [Duration]) {
    let cold = times[0];
    times.sort_unstable();
    let at = |part: usize| format!("{:.2?}", times[(times.len() - 1) * part / 100]);
    println!("{name:<36} {found:>6} {:>9} {:>9} {:>9} {:>9}", format!("{cold:.2?}"), at(50), at(99), at(100));
}

/// Numbers that look random and are the same every time.
fn mixed(n: u64, salt: u64) -> u64 {
    let mut x = (n ^ salt << 32).wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ x >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ x >> 31
}

/// A few of `most` come often, most seldom.
fn skewed(random: u64, most: u64) -> u64 {
    let unit = (random >> 11) as f64 / (1_u64 << 53) as f64;
    ((unit * unit * unit) * most as f64) as u64
}

fn person(n: u64) -> String {
    format!("person-{}", n % 300)
}

fn login(n: u64) -> String {
    ["root", "deploy", "postgres", "ubuntu", "admin", "git", "backup", "oracle"][n as usize % 8].into()
}

fn target(n: u64) -> String {
    format!("web-{}", n % 1000)
}

fn source(n: u64) -> String {
    format!("10.{}.{}.{}", n % 64, n % 7, n % 250)
}

fn session(n: u64) -> SessionId {
    let (high, low) = (START / 1000 + n * 10_000, mixed(n, 9));
    let text = format!(
        "{:08x}-{:04x}-7{:03x}-8{:03x}-{:012x}",
        high >> 16,
        high & 0xffff,
        low & 0xfff,
        low >> 12 & 0xfff,
        low >> 16
    );
    text.parse().unwrap()
}

fn command(n: u64) -> String {
    let random = mixed(n, 1);
    match random % 12 {
        0 => format!("sudo systemctl restart nginx@{}", random % 50),
        1 => "systemctl status nginx".into(),
        2 => format!("tar -C /srv/www-{} -czf /var/backups/www-{n}.tar.gz .", random % 4000),
        3 => format!("tail -n 200 /var/log/nginx/access.log.{}", random % 14),
        4 => format!("docker run --rm registry.example.com/app/build-{n}:v1.{} make", random % 90),
        5 => format!("rm -rf /tmp/build-{n}"),
        6 => format!(
            "psql -h 10.1.2.{} -c 'SELECT count(*) FROM orders WHERE day > {}'",
            random % 250,
            random % 9999
        ),
        7 => format!("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub # {}", random % 1000),
        8 => format!("git fetch origin refs/heads/feature-{}", random % 30_000),
        9 => "uptime".into(),
        10 => format!("journalctl -u app-{} --since -1h | grep -c ERROR", random % 200),
        _ => format!("rsync --server --sender -logDtpre.iLsfxCIvu . /srv/data-{}/", random % 700),
    }
}

fn entry(index: u64) -> IndexEntry {
    let zero = ChannelDigest { bytes: 0, kept: 0, sha256: Sha256Hex([0; 32]) };
    let random = mixed(index, 2);
    let sha256 = || {
        let mut bytes = [0; 32];
        bytes
            .chunks_mut(8)
            .zip(3..)
            .for_each(|(part, salt)| part.copy_from_slice(&mixed(index, salt).to_le_bytes()));
        Sha256Hex(bytes)
    };
    let digest = || ChannelDigest { bytes: random % 100_000, kept: random % 100_000, sha256: sha256() };
    let body = match index % 10 {
        0 => Body::SessionStart {
            way: Way::ProxyJump,
            allow: "shell,exec,scp".parse().unwrap(),
            channel_cap: Some(1 << 20),
            input: false,
            client: "SSH-2.0-OpenSSH_9.9".into(),
        },
        1 => Body::UpstreamConnect {
            address: format!("10.200.{}.{}:22", random % 4, random % 250).parse().unwrap(),
            host_key: bartizan_model::Fingerprint::from_sha256(sha256().0),
            verified: "pinned".into(),
            credential: "certificate".into(),
            server: "SSH-2.0-OpenSSH_9.2p1".into(),
        },
        2 => Body::ChannelOpen {
            channel: 0,
            kind: "session".into(),
            from: "client".into(),
            detail: None,
            reason: None,
        },
        7 => Body::ChannelClose {
            channel: 0,
            kind: "session".into(),
            input: zero,
            output: digest(),
            error: zero,
            exit_status: Some((random % 3) as u32),
            exit_signal: None,
            duration_us: random % 60_000_000,
        },
        8 if random.is_multiple_of(5000) => {
            Body::Anomaly { what: "log.cut".into(), detail: format!("at byte {}", random % 100_000) }
        }
        8 => Body::AccessDeny {
            action: "forward:local".into(),
            detail: Some(format!("10.3.0.{}:5432", random % 250)),
            reason: "no grant permits it".into(),
            rules: Vec::new(),
        },
        9 => Body::SessionEnd {
            reason: "closed by the client".into(),
            duration_us: random % 90_000_000,
            bytes_in: random % 5000,
            bytes_out: random % 100_000,
            exit_status: Some(0),
            truncated: false,
            recording: vec![bartizan_model::RecordingFile {
                name: "manifest.json".into(),
                bytes: 900,
                sha256: sha256(),
            }],
        },
        _ => Body::Command {
            channel: 0,
            request: "exec".into(),
            command: command(index),
            length: 40,
            sha256: None,
            pty: false,
        },
    };
    let time = Timestamp::from_unix_micros(START + index * STEP);
    let mut event = Event::new(&NodeId("node-1".into()), time, body);
    if index % 10 == 8 {
        (event.severity, event.outcome) = match random % 40 {
            0 => (Severity::High, Outcome::Failure),
            _ => (Severity::Warning, Outcome::Denied),
        };
    }
    let of = index / 10;
    event.index = Some(index);
    event.person = Some(person(skewed(mixed(of, 5), 300)).parse().unwrap());
    event.login = Some(login(skewed(mixed(of, 6), 8)).parse().unwrap());
    event.target = Some(target(skewed(mixed(of, 7), 1000)).parse().unwrap());
    event.session = Some(session(of));
    event.source =
        Some(format!("{}:{}", source(skewed(mixed(of, 8), 4000)), 1024 + of % 60_000).parse().unwrap());
    IndexEntry { index, bytes: serde_json::to_vec(&event).unwrap() }
}

/// Bytes of the database and of its write-ahead log.
fn size(path: &Path) -> u64 {
    let wal = path.with_extension("db-wal");
    std::fs::metadata(path).unwrap().len() + std::fs::metadata(wal).map_or(0, |wal| wal.len())
}

/// Asks the system to forget what it has of the file, where it can be asked.
fn forget(path: &Path) {
    let done = std::process::Command::new("dd")
        .arg(format!("of={}", path.display()))
        .args(["oflag=nocache", "conv=notrunc,fdatasync", "count=0", "status=none"])
        .status();
    println!("the system was asked to forget the file: {}", done.is_ok_and(|status| status.success()));
}

/// User and system time of this process (proc(5): the clock ticks a hundred times a second).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}
