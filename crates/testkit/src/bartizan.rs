//! A running Bartizan in a temporary folder, and its command line.

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::process::Server;
use crate::sshd::free_port;
use crate::{Finished, SmallDisk, eventually, run};

/// What a test wants of its Bartizan.
#[derive(Clone, Debug, Default)]
pub struct BartizanOptions {
    /// Lines added at the end of `bartizan.toml`.
    pub config: String,
    /// The data folder is on a file system of its own with so many MiB.
    pub disk_mib: Option<u32>,
}

impl BartizanOptions {
    /// These lines at the end of `bartizan.toml`.
    pub fn written(config: impl Into<String>) -> Self {
        Self { config: config.into(), ..Self::default() }
    }
}

/// `bartizand init` and `serve` in a temporary folder on a free loopback port; ended when dropped.
#[derive(Debug)]
pub struct Bartizan {
    server: Server,
    port: u16,
    data: PathBuf,
    disk: Option<SmallDisk>,
    _folder: TempDir,
}

impl Bartizan {
    /// Starts a server with its defaults.
    ///
    /// # Panics
    /// With the server's log, when it does not come up.
    pub fn start() -> Self {
        Self::with(&BartizanOptions::default())
    }

    /// Makes a data folder, starts the server and waits until it answers.
    ///
    /// # Panics
    /// With the server's log, when it does not come up.
    pub fn with(options: &BartizanOptions) -> Self {
        // The port is free when it is chosen; when somebody else takes it first, choose again.
        for _ in 0..20 {
            let folder = tempfile::Builder::new().prefix("testkit-bartizan-").tempdir().unwrap();
            let disk = options.disk_mib.map(SmallDisk::new);
            let parent = disk.as_ref().map_or(folder.path(), SmallDisk::path);
            let (data, port) = (parent.join("data"), free_port("127.0.0.1"));
            let mut init = bartizand(disk.as_ref(), "init", &data);
            run(init.args(["--listen", &format!("127.0.0.1:{port}")])).ok();
            let mut config = fs::OpenOptions::new().append(true).open(data.join("bartizan.toml")).unwrap();
            if disk.is_none() {
                // However little the machine has: such a test is not about space.
                config.write_all(b"space.low = \"0%, 0\"\nspace.full = \"0%, 0\"\n").unwrap();
            }
            config.write_all(options.config.as_bytes()).unwrap();
            let server = Server::spawn(&mut bartizand(disk.as_ref(), "serve", &data));
            let mut bartizan = Self { server, port, data, disk, _folder: folder };
            if bartizan.is_up() {
                return bartizan;
            }
            let log = bartizan.log();
            assert!(
                log.to_lowercase().contains("address already in use"),
                "bartizand does not start:\n{log}"
            );
        }
        panic!("no free port in twenty tries");
    }

    /// Waits until both listeners answer; false when the server ended instead.
    fn is_up(&mut self) -> bool {
        let socket = self.data().join("admin.sock");
        eventually("bartizand answers or ends", || {
            let up =
                UnixStream::connect(&socket).is_ok() && TcpStream::connect(("127.0.0.1", self.port)).is_ok();
            match self.server.is_running() {
                true => up.then_some(true),
                false => Some(false),
            }
        })
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.data.clone()
    }

    /// The data folder's own file system.
    ///
    /// # Panics
    /// When it was not asked for.
    pub fn disk(&self) -> &SmallDisk {
        self.disk.as_ref().expect("disk_mib")
    }

    /// The SSH port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it listens: `127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The server's process id.
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// The server's log so far.
    pub fn log(&self) -> String {
        self.server.log()
    }

    /// Tells the server to reload (SIGHUP), and waits until it says what came of it.
    ///
    /// # Panics
    /// When it says nothing.
    pub fn reload(&self) {
        let told = |log: &str| log.lines().filter(|line| line.contains("reloaded")).count();
        let before = told(&self.log());
        self.server.hang_up();
        eventually("a reload", || (told(&self.log()) > before).then_some(()));
    }

    /// Runs `bartizan -D DATA arguments…`.
    ///
    /// # Panics
    /// As [`run`].
    #[track_caller]
    pub fn cli(&self, arguments: &[&str]) -> Finished {
        run(Command::new(program("bartizan")).arg("-D").arg(self.data()).args(arguments))
    }

    /// Runs the command line and gives its standard output.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn say(&self, arguments: &[&str]) -> String {
        self.cli(arguments).ok().text()
    }

    /// Runs the command line with `--json` and reads its output; lines of events become an array.
    ///
    /// # Panics
    /// When it fails, or prints something else than JSON.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Value {
        let done = self.cli(&[arguments, &["--json"]].concat()).ok();
        if arguments.starts_with(&["log", "search"]) {
            let events = serde_json::Deserializer::from_slice(&done.stdout).into_iter::<Value>();
            let events: Result<Vec<Value>, _> = events.collect();
            return events.map(Value::Array).unwrap_or_else(|e| panic!("no JSON ({e}): {done}"));
        }
        serde_json::from_slice(&done.stdout).unwrap_or_else(|e| panic!("no JSON ({e}): {done}"))
    }

    /// Sends SIGTERM and waits for the end.
    ///
    /// # Panics
    /// When the server does not end.
    pub fn stop(&mut self) -> ExitStatus {
        self.server.terminate()
    }

    /// Sends SIGTERM, and does not wait.
    pub fn ask_to_stop(&self) {
        self.server.ask_to_end();
    }

    /// Waits for the end that was asked for.
    ///
    /// # Panics
    /// When the server does not end.
    pub fn wait_for_end(&mut self) -> ExitStatus {
        self.server.wait_for_end()
    }

    /// Waits until a line of the server's log holds `text`; false when it ended before.
    ///
    /// # Panics
    /// When neither happens.
    pub fn wait_for_log(&self, text: &str) -> bool {
        self.server.wait_for(text)
    }

    /// Kills the server at once (SIGKILL), as a crash does.
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// `bartizand WHAT` on its data folder, as a program of its own.
    pub fn bartizand(&self, what: &str) -> Command {
        bartizand(self.disk.as_ref(), what, &self.data)
    }

    fn serve(&self) -> Server {
        Server::spawn(&mut bartizand(self.disk.as_ref(), "serve", &self.data))
    }

    /// Starts the server again, and kills it `after` a time, wherever it is then.
    pub fn start_and_kill(&mut self, after: Duration) {
        self.server = self.serve();
        std::thread::sleep(after);
        self.server.kill();
    }

    /// Starts the server again on the same data and port.
    ///
    /// # Panics
    /// With the server's log, when it does not come up.
    pub fn start_again(&mut self) {
        self.server = self.serve();
        assert!(self.is_up(), "bartizand does not start again:\n{}", self.log());
    }
}

/// `bartizand DO --data DATA`, where its disk is mounted.
fn bartizand(disk: Option<&SmallDisk>, what: &str, data: &Path) -> Command {
    let (mut command, data) = match disk {
        None => (Command::new(program("bartizand")), data.to_owned()),
        Some(disk) => {
            let (command, root) = disk.command(&program("bartizand"));
            (command, root.join("data"))
        }
    };
    command.arg(what).arg("--data").arg(data);
    command
}

/// The path of one of the two programs.
fn program(name: &str) -> PathBuf {
    programs().join(name)
}

/// The folder that holds `bartizand` and `bartizan`.
///
/// `BARTIZAN_BIN_DIR` names it; without it both are built once by the Cargo that runs the tests, with
/// the profile of the tests.
///
/// # Panics
/// When they cannot be built.
pub fn programs() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        if let Some(folder) = std::env::var_os("BARTIZAN_BIN_DIR") {
            return folder.into();
        }
        let folder = profile_folder();
        let profile = match folder.file_name().unwrap().to_str().unwrap() {
            "debug" => "dev",
            other => other,
        };
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args([
            "build",
            "--quiet",
            "--package",
            "bartizand",
            "--package",
            "bartizan",
            "--profile",
            profile,
        ]);
        cargo.arg("--target-dir").arg(folder.parent().unwrap());
        let status = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap();
        assert!(status.success(), "{cargo:?} fails");
        folder
    })
}

/// Cargo's target folder, which the running test program lies in.
///
/// # Panics
/// When the test was not started by Cargo.
pub fn target_folder() -> PathBuf {
    profile_folder().parent().unwrap().to_owned()
}

/// Test programs lie in `TARGET/PROFILE/deps`.
fn profile_folder() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().to_owned()
}
