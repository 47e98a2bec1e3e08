//! Runs programs to their end, with a limit on time, and shows everything when they disappoint.

use std::io::Write as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::process::kill_group;

/// How long a program may run before the test fails: a hang is a failure, slowness is not.
const LIMIT: Duration = Duration::from_secs(240);

/// A program that came to its end.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: Vec<u8>,
    command: String,
}

impl Finished {
    /// The exit code; 128 + N when signal N ended it.
    pub fn code(&self) -> i32 {
        self.status.code().or_else(|| self.status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
    }

    /// Standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text.
    pub fn errors(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Itself, when the exit code is 0.
    ///
    /// # Panics
    /// With the command, the code and the end of both outputs, when it is not.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.exits(0)
    }

    /// Itself, when the exit code is `code`.
    ///
    /// # Panics
    /// With the command, the code and the end of both outputs, when it is not.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code(), code, "exit code of {self}");
        self
    }

    /// Itself, when the exit code is not 0.
    ///
    /// # Panics
    /// With the command and the end of both outputs, when it is.
    #[track_caller]
    pub fn fails(self) -> Self {
        assert_ne!(self.code(), 0, "this should have failed: {self}");
        self
    }

    /// Itself, when standard error holds every one of `words`, in whatever case.
    ///
    /// # Panics
    /// When one is missing.
    #[track_caller]
    pub fn says(self, words: &[&str]) -> Self {
        let errors = self.errors().to_lowercase();
        for word in words {
            assert!(errors.contains(&word.to_lowercase()), "standard error lacks {word:?}: {self}");
        }
        self
    }
}

impl std::fmt::Display for Finished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let end = |bytes: &[u8]| bytes[bytes.len().saturating_sub(4000)..].escape_ascii().to_string();
        let lines = |bytes: &[u8]| end(bytes).replace("\\r\\n", "\n").replace("\\n", "\n");
        write!(
            f,
            "{}\n{}\n--- stdout, {} bytes\n{}\n--- stderr\n{}",
            self.command,
            self.status,
            self.stdout.len(),
            lines(&self.stdout),
            lines(&self.stderr)
        )
    }
}

/// Runs a command with an empty standard input.
///
/// # Panics
/// When it cannot be started or does not end in four minutes.
#[track_caller]
pub fn run(command: &mut Command) -> Finished {
    run_with_input(command, &[])
}

/// Runs a shell line with bash, failing when any part of a pipe fails.
///
/// # Panics
/// As [`run`].
#[track_caller]
pub fn shell(line: &str) -> Finished {
    run(Command::new("bash").args(["-o", "pipefail", "-c", line]))
}

/// Runs a command and feeds `input` to its standard input, then closes it.
///
/// A command that stops reading early is no failure by itself.
///
/// # Panics
/// As [`run`].
#[track_caller]
pub fn run_with_input(command: &mut Command, input: &[u8]) -> Finished {
    let shown = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap_or_else(|e| panic!("cannot start {shown}: {e}"));
    let (pid, mut stdin) = (child.id(), child.stdin.take());
    let (done, waiting) = mpsc::channel::<()>();
    let watchdog = thread::spawn(move || {
        let hung = waiting.recv_timeout(LIMIT) == Err(mpsc::RecvTimeoutError::Timeout);
        if hung {
            kill_group(pid);
        }
        hung
    });
    let output = thread::scope(|scope| {
        scope.spawn(move || {
            // A reader that went away is for the test to judge by the exit code.
            let _ = stdin.take().map(|mut pipe| pipe.write_all(input));
        });
        child.wait_with_output().unwrap()
    });
    drop(done);
    let finished =
        Finished { status: output.status, stdout: output.stdout, stderr: output.stderr, command: shown };
    assert!(!watchdog.join().unwrap(), "did not end within {LIMIT:?}: {finished}");
    finished
}

/// Asks again and again until there is an answer, for states that only polling shows.
///
/// # Panics
/// With `what`, when there is none after a minute.
#[track_caller]
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "waited a minute in vain: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finished_program_tells_all_about_itself() {
        let done = run_with_input(Command::new("sh").args(["-c", "cat; echo no >&2; exit 3"]), b"in");
        assert_eq!((done.code(), &done.stdout[..], done.errors().trim()), (3, &b"in"[..], "no"));
        let shown = done.to_string();
        assert!(shown.contains("cat; echo no") && shown.contains("--- stderr\nno"), "{shown}");
        assert_eq!(shell("kill -9 $$").code(), 137);
        assert_eq!(shell("false | true").code(), 1, "a pipe fails with any of its parts");
    }

    #[test]
    fn a_program_that_does_not_read_is_not_waited_for() {
        run_with_input(&mut Command::new("true"), &vec![0; 1 << 20]).ok();
    }
}
