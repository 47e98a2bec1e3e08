//! Processes: started, watched in `/proc`, and ended by their ids.

use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};
use std::{fs, thread};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// A server process with its own process group, whose standard error is kept and can be waited for.
///
/// Dropping it kills it and its descendants.
#[derive(Debug)]
pub struct Server {
    child: Child,
    log: Arc<Log>,
}

#[derive(Debug, Default)]
struct Log {
    /// The lines so far, and whether there will be no more.
    state: Mutex<(String, bool)>,
    grown: Condvar,
}

impl Log {
    fn follow(self: &Arc<Self>, pipe: impl Read + Send + 'static) {
        let log = Arc::clone(self);
        thread::spawn(move || {
            let mut reader = BufReader::new(pipe);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                log.state.lock().unwrap().0.push_str(&String::from_utf8_lossy(&line));
                log.grown.notify_all();
                line.clear();
            }
            log.state.lock().unwrap().1 = true;
            log.grown.notify_all();
        });
    }
}

impl Server {
    /// Starts a server with nothing on its standard input.
    ///
    /// # Panics
    /// When the program cannot be started.
    pub fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
        let log = Arc::new(Log::default());
        log.follow(child.stderr.take().unwrap());
        Self { child, log }
    }

    /// Waits until a line of standard error holds `text`; false when the server ended before.
    ///
    /// # Panics
    /// When neither happens within a minute.
    pub fn wait_for(&self, text: &str) -> bool {
        let start = Instant::now();
        let mut state = self.log.state.lock().unwrap();
        loop {
            if state.0.contains(text) {
                return true;
            }
            if state.1 {
                return false;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "no {text:?} in a minute:\n{}", state.0);
            state = self.log.grown.wait_timeout(state, Duration::from_secs(1)).unwrap().0;
        }
    }

    /// What the server wrote to standard error so far.
    pub fn log(&self) -> String {
        self.log.state.lock().unwrap().0.clone()
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends SIGTERM and waits for the end.
    ///
    /// # Panics
    /// When the server does not end within a minute.
    pub fn terminate(&mut self) -> ExitStatus {
        self.ask_to_end();
        self.wait_for_end()
    }

    /// Sends SIGTERM, and does not wait.
    pub fn ask_to_end(&self) {
        signal(self.pid(), Signal::TERM);
    }

    /// Waits for an end that was asked for.
    ///
    /// # Panics
    /// When the server does not end within a minute.
    pub fn wait_for_end(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "no end after SIGTERM:\n{}", self.log());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Tells the server to reload (SIGHUP).
    pub fn hang_up(&self) {
        signal(self.pid(), Signal::HUP);
    }

    /// Kills the server and its descendants at once (SIGKILL) and reaps it.
    pub fn kill(&mut self) {
        if self.is_running() {
            kill_tree(self.pid());
        }
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            let log = self.log();
            eprintln!(
                "--- log of process {}\n{}",
                self.pid(),
                &log[log.floor_char_boundary(log.len().saturating_sub(8000))..]
            );
        }
    }
}

/// Signals one process; that it is gone already is fine.
fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// Kills the process group that `leader` leads.
pub(crate) fn kill_group(leader: u32) {
    if let Some(pid) = i32::try_from(leader).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(pid, Signal::KILL);
    }
}

/// Kills a process and all its descendants (SIGKILL), parents first.
pub fn kill_tree(root: u32) {
    let below = children(root);
    signal(root, Signal::KILL);
    below.into_iter().for_each(kill_tree);
}

/// The living children of a process.
pub fn children(parent: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap();
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|&pid| stat(pid).is_some_and(|fields| fields[1] == parent.to_string()))
        .collect()
}

/// The fields of `/proc/PID/stat` after the command name: state, parent, …
fn stat(pid: u32) -> Option<Vec<String>> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold spaces and parentheses: split after the last one.
    Some(line.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect())
}

/// The memory that a process holds, in bytes (`RssAnon`: what it allocated, without mapped files).
///
/// # Panics
/// When there is no such process.
pub fn resident_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// The most memory that a process held since [`forget_peak`], in bytes (`VmHWM`).
///
/// # Panics
/// When there is no such process.
pub fn peak_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Sets [`peak_bytes`] of a process back to what it holds now.
///
/// # Panics
/// When there is no such process, or it belongs to somebody else.
pub fn forget_peak(pid: u32) {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
}

/// The processor time that a process used itself, user and system together.
///
/// # Panics
/// When there is no such process.
pub fn cpu_time(pid: u32) -> Duration {
    let fields = stat(pid).unwrap();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
}

/// The account that runs the tests: the login on the test's own targets.
///
/// # Panics
/// When `id -un` does not know.
pub fn whoami() -> String {
    crate::run(Command::new("id").arg("-un")).ok().text().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_waited_for_and_killed_with_its_descendants() {
        let mut server = Server::spawn(Command::new("sh").args(["-c", "sleep 100 & echo up >&2; sleep 101"]));
        assert!(server.wait_for("up"));
        let below = crate::eventually("both children", || {
            let below = children(server.pid());
            (below.len() == 2).then_some(below)
        });
        forget_peak(server.pid());
        assert!(resident_bytes(server.pid()) > 0 && peak_bytes(server.pid()) > 0);
        server.kill();
        assert!(!server.is_running());
        for pid in below {
            crate::eventually("the child is gone", || {
                stat(pid).is_none_or(|fields| fields[0] == "Z").then_some(())
            });
        }
    }

    #[test]
    fn a_server_that_ends_is_not_waited_for() {
        let server = Server::spawn(Command::new("sh").args(["-c", "echo cannot bind >&2; exit 1"]));
        assert!(!server.wait_for("listening"));
        assert!(server.log().contains("cannot bind"));
    }
}
