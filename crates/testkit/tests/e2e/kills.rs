//! SIGKILL at random moments under load, and what must be there afterwards.
//!
//! `BARTIZAN_KILLS` says how many (10); `make soak-kills` takes 200. Each round: sessions that print numbered lines,
//! transfers, an operator who adds people; a kill after a random number of things have happened, now and then already
//! while the server starts. Then, with the server dead: the log verifies. With the server started again:
//! - who was told that a person was added finds the event and the person;
//! - what a client had received a second before the kill is in a recording;
//! - no session is live.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use bartizan_testkit::{Bartizan, SshClient, SshdOptions, programs};

use crate::scene::{Options, Scene, Way, list, text};

const SESSIONS: usize = 16;
const TRANSFERS: usize = 3;
/// What is only in memory, as the recording promises, and what the machine may need to get a thread running.
const LAST_SECOND: Duration = Duration::from_millis(1000 + 500);

/// What the load and the one who kills share.
#[derive(Default)]
struct Load {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    open: bool,
    over: bool,
    /// Things that happened in this round.
    ticks: u64,
    /// Workers within their work.
    busy: usize,
    /// Lines that clients received, and when.
    lines: Vec<(Instant, String)>,
    /// People whose addition was confirmed.
    added: Vec<String>,
}

impl Load {
    /// Works again and again while the gate is open; `work` gets a number of its own each time.
    fn worker(&self, mut work: impl FnMut(u64)) {
        for number in 0.. {
            let state = self.state.lock().unwrap();
            let mut state = self.changed.wait_while(state, |s| !s.open && !s.over).unwrap();
            if state.over {
                return;
            }
            state.busy += 1;
            drop(state);
            work(number);
            self.state.lock().unwrap().busy -= 1;
            self.changed.notify_all();
        }
    }

    fn tick(&self, note: impl FnOnce(&mut State)) {
        let mut state = self.state.lock().unwrap();
        state.ticks += 1;
        note(&mut state);
        self.changed.notify_all();
    }

    fn open(&self) {
        let mut state = self.state.lock().unwrap();
        (state.open, state.ticks) = (true, 0);
        self.changed.notify_all();
    }

    /// Waits until `ticks` things have happened in this round.
    fn wait_for(&self, ticks: u64) {
        let state = self.state.lock().unwrap();
        let wait = self.changed.wait_timeout_while(state, Duration::from_secs(60), |s| s.ticks < ticks);
        assert!(!wait.unwrap().1.timed_out(), "the load does nothing");
    }

    /// Lets nobody begin anything, and waits until all have ended.
    fn close(&self, over: bool) {
        let mut state = self.state.lock().unwrap();
        (state.open, state.over) = (false, over);
        self.changed.notify_all();
        drop(self.changed.wait_while(state, |s| s.busy > 0).unwrap());
    }
}

/// Numbers that come as they like. The seed is told, so that a failure can be looked for again.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// A session that prints numbered lines until it dies.
fn session(load: &Load, client: &SshClient, worker: usize, number: u64) {
    let command = format!("i=0; while echo line-{worker}-{number}-$i-end; do i=$((i+1)); sleep 0.05; done");
    let mut ssh = client.ssh();
    if worker.is_multiple_of(2) {
        ssh.arg("-tt");
    }
    let mut child = ssh
        .args(["by-name", &command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
        load.tick(|state| state.lines.push((Instant::now(), line.trim().to_owned())));
    }
    child.wait().unwrap();
}

fn quiet(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
}

/// Everything that the recordings of the sessions which the crash left hold.
fn recorded(bartizan: &Bartizan, known: &mut BTreeSet<String>) -> String {
    let mut all = String::new();
    for folder in fs::read_dir(bartizan.data().join("recordings")).unwrap() {
        let id = folder.unwrap().file_name().into_string().unwrap();
        if known.insert(id.clone()) {
            // A session that began nothing has nothing to show.
            let mut export = Command::new(programs().join("bartizan"));
            export.arg("-D").arg(bartizan.data()).args(["session", "export", &id, "--format", "text"]);
            all += &String::from_utf8_lossy(&export.output().unwrap().stdout);
        }
    }
    all
}

#[test]
fn sigkill_at_random_moments_loses_nothing() {
    let kills: u64 = std::env::var("BARTIZAN_KILLS").map_or(10, |kills| kills.parse().unwrap());
    let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().subsec_nanos();
    let mut random = Random(u64::from(seed) | 1);
    eprintln!("{kills} kills, seed {seed}");
    let sshd = SshdOptions { config: vec!["MaxStartups 100".into()], ..SshdOptions::default() };
    let mut scene = Scene::with(Way::UserName, &Options { sshd, ..Options::default() });
    let upload = scene.folder().join("upload");
    fs::write(&upload, vec![7; 3 << 20]).unwrap();
    let (target, data) = (scene.target.home(), scene.bartizan().data());
    let load = Load::default();
    let (client, bartizan) = scene.split();
    let mut known = BTreeSet::new();
    let (mut lines, mut early) = (0, 0);

    thread::scope(|threads| {
        for worker in 0..SESSIONS {
            let load = &load;
            threads.spawn(move || load.worker(|number| session(load, client, worker, number)));
        }
        for worker in 0..TRANSFERS {
            let (load, upload, target) = (&load, &upload, &target);
            threads.spawn(move || {
                load.worker(|_| {
                    let to = format!("by-name:{}", text(&target.join(format!("file-{worker}"))));
                    quiet(client.scp().args(["-q", text(upload), &to]));
                    load.tick(|_| {});
                });
            });
        }
        let (admin, data) = (&load, &data);
        threads.spawn(move || {
            admin.worker(|number| {
                let name = format!("person-{number}");
                let mut add = Command::new(programs().join("bartizan"));
                if quiet(add.arg("-D").arg(data).args(["person", "add", &name])) {
                    admin.tick(|state| state.added.push(name));
                }
            });
        });

        for kill in 1..=kills {
            load.open();
            load.wait_for(random.below(600));
            let killed = Instant::now();
            bartizan.kill();
            load.close(false);
            bartizan.say(&["log", "verify"]);
            // Now and then it dies again at once, while it recovers.
            while random.below(4) == 0 {
                bartizan.start_and_kill(Duration::from_millis(random.below(400)));
                early += 1;
                bartizan.say(&["log", "verify"]);
            }
            bartizan.start_again();
            let live = list(&bartizan.json(&["session", "list", "--state", "live"]));
            assert!(live.is_empty(), "sessions hang as live after kill {kill}: {live:#?}");
            let seen = std::mem::take(&mut load.state.lock().unwrap().lines);
            let recorded = recorded(bartizan, &mut known);
            let lost: Vec<_> = seen
                .iter()
                .filter(|(at, line)| *at + LAST_SECOND < killed && !recorded.contains(line.as_str()))
                .map(|(at, line)| (killed - *at, line))
                .collect();
            assert!(lost.is_empty(), "kill {kill}: lost with their age at the kill: {lost:?}");
            lines += seen.len();
            eprintln!(
                "kill {kill}: {} lines, {} people so far",
                seen.len(),
                load.state.lock().unwrap().added.len()
            );
        }
        load.close(true);
    });

    let people = bartizan.say(&["person", "list", "--json"]);
    assert!(bartizan.stop().success());
    let log = bartizan.say(&["log", "export"]);
    let verified = bartizan.say(&["log", "verify"]);
    let added = load.state.lock().unwrap().added.clone();
    let lost: Vec<_> = added
        .iter()
        .filter(|name| {
            let (event, person) = (format!("\"name\":\"{name}\""), format!("\"{name}\""));
            !log.contains(&event) || !people.contains(&person)
        })
        .collect();
    assert!(lost.is_empty(), "confirmed and not there: {lost:?}");
    assert!(!added.is_empty() && lines > 0 && known.len() > SESSIONS, "there was no load");
    eprintln!(
        "{kills} kills under load and {early} during recovery: {} sessions, {lines} lines, {} confirmed changes, nothing lost\n{verified}",
        known.len(),
        added.len(),
    );
}
