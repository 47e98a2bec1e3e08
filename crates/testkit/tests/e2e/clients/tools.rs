//! What the clients of the matrix have in common: what they are asked to do, and what must be seen of it.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use bartizan_testkit::{Finished, Pattern, eventually, run, run_with_input, sha256, target_folder};
use serde_json::Value;

use super::Action;
use crate::forwards::{ask, free_port, shouter};
use crate::scene::{Client, Scene, Way, text};

/// A command with input, both outputs and an exit status.
pub(super) const COMMAND: &str = "cat; echo hi; echo no >&2; exit 7";

/// What is typed into a terminal: the answer is not in the question.
pub(super) const TYPED: &str = "stty -echo; echo answer $((6 * 7)) on $(tty | cut -c -9); exit 7\n";

/// What a terminal then shows.
pub(super) const SHOWN: &str = "answer 42 on /dev/pts/";

/// The size of the files that are moved, in bytes.
const SIZE: usize = 1_000_003;

static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| Pattern::bytes(11, SIZE));

/// A file of `tests/e2e/clients`.
pub(crate) fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/clients").join(name)
}

/// The Python that has the clients: `BARTIZAN_TEST_PYTHON`, what `scripts/setup-test.sh` made, or the system's.
pub(crate) fn python() -> Command {
    let made = target_folder().join("test-python/bin/python3");
    let fallback = || if made.exists() { made.into_os_string() } else { "python3".into() };
    Command::new(std::env::var_os("BARTIZAN_TEST_PYTHON").unwrap_or_else(fallback))
}

/// A command line for a shell, its words quoted.
pub(super) fn line(words: &[&str]) -> String {
    words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ")
}

/// The user name that Bartizan itself is given, and the one that the inner connection is given, if there is one.
pub(super) fn users(scene: &Scene) -> (String, Option<&str>) {
    let login = scene.target.login();
    match scene.way() {
        Way::ProxyJump => ("alice".into(), Some(login)),
        _ => (format!("{login}@web-1"), None),
    }
}

/// Runs [`COMMAND`].
#[track_caller]
pub(super) fn exec(client: &mut Command) {
    let done = run_with_input(client, b"in\n").exits(7);
    assert_eq!((done.text().as_str(), done.errors().contains("no")), ("in\nhi\n", true), "{done}");
}

/// Types into a terminal's shell, and reads what it shows.
#[track_caller]
pub(super) fn shell(client: &mut Command) -> Finished {
    let done = run_with_input(client, TYPED.as_bytes()).exits(7);
    assert!(done.text().contains(SHOWN), "{done}");
    done
}

/// Sends a file: `send` takes where it is and where it goes.
#[track_caller]
pub(super) fn upload(scene: &Scene, send: impl FnOnce(&Path, &Path)) {
    let (near, far) = (scene.folder().join("near"), scene.target.home().join("far"));
    fs::write(&near, &*BYTES).unwrap();
    send(&near, &far);
    assert!(fs::read(&far).unwrap() == *BYTES, "other bytes arrived");
}

/// Fetches a file: `fetch` takes where it is and where it goes.
#[track_caller]
pub(super) fn download(scene: &Scene, fetch: impl FnOnce(&Path, &Path)) {
    let (far, near) = (scene.target.home().join("far"), scene.folder().join("near"));
    fs::write(&far, &*BYTES).unwrap();
    fetch(&far, &near);
    assert!(fs::read(&near).unwrap() == *BYTES, "other bytes arrived");
}

/// Asks a server behind the target: `through` takes its port, says `hello!` to it and gives the answer.
#[track_caller]
pub(super) fn forward(through: impl FnOnce(u16) -> String) {
    let (port, server) = shouter();
    assert_eq!(through(port), "HELLO!");
    server.join().unwrap();
}

/// Forwards a port by a client that takes `-L`, and runs its command until its input ends.
#[track_caller]
pub(super) fn forward_by_option(client: impl FnOnce(&str) -> Command) {
    forward(|port| {
        let here = free_port();
        let mut running = Client::start(&mut client(&format!("127.0.0.1:{here}:127.0.0.1:{port}")));
        running.read_to("ready\n");
        let answer = ask(TcpStream::connect(("127.0.0.1", here)).unwrap());
        running.finish();
        answer
    });
}

/// The command that goes with [`forward_by_option`].
pub(super) const UNTIL_END: &str = "echo ready; cat";

/// The arguments of the scripts for libraries: `WAY PORT KEY LOGIN KNOWN_HOSTS ACTION …`.
pub(crate) fn with_scene<'a>(command: &'a mut Command, scene: &Scene) -> &'a mut Command {
    let way = if scene.way() == Way::ProxyJump { "jump" } else { "name" };
    command.args([way, &scene.bartizan().port().to_string(), text(scene.key.private())]);
    command.arg(scene.target.login()).arg(scene.client.known_hosts())
}

/// The five actions by a library: `program` starts a script that knows the words of [`with_scene`].
pub(super) struct Library(pub(super) fn() -> Command);

impl Library {
    #[track_caller]
    fn run(&self, scene: &Scene, action: &[&str]) -> String {
        run(with_scene(&mut (self.0)(), scene).args(action)).ok().text()
    }

    #[track_caller]
    pub(super) fn shell(&self, scene: &Scene) {
        let shown = self.run(scene, &["shell", TYPED]);
        assert!(shown.contains(SHOWN), "{shown}");
    }

    #[track_caller]
    pub(super) fn exec(&self, scene: &Scene) {
        self.run(scene, &["exec", COMMAND]);
    }

    #[track_caller]
    pub(super) fn upload(&self, scene: &Scene) {
        upload(scene, |near, far| drop(self.run(scene, &["upload", text(near), text(far)])));
    }

    #[track_caller]
    pub(super) fn download(&self, scene: &Scene) {
        download(scene, |far, near| drop(self.run(scene, &["download", text(far), text(near)])));
    }

    #[track_caller]
    pub(super) fn forward(&self, scene: &Scene) {
        forward(|port| self.run(scene, &["forward", &port.to_string()]));
    }
}

/// `pub fn`s of a client that is a [`Library`].
macro_rules! library {
    ($library:ident) => {
        use crate::scene::Scene;
        pub(super) fn shell(scene: &Scene) {
            $library.shell(scene);
        }
        pub(super) fn exec(scene: &Scene) {
            $library.exec(scene);
        }
        pub(super) fn upload(scene: &Scene) {
            $library.upload(scene);
        }
        pub(super) fn download(scene: &Scene) {
            $library.download(scene);
        }
        pub(super) fn forward(scene: &Scene) {
            $library.forward(scene);
        }
    };
}
pub(super) use library;

/// Every session of the scene is over, and the log tells what was done, with all of its bytes.
#[track_caller]
pub(super) fn was_seen(scene: &Scene, action: Action, client: &str) {
    let sessions = eventually("all sessions have ended", || {
        Some(scene.sessions()).filter(|all| all.iter().all(|session| session["state"] != "live"))
    });
    assert!(!sessions.is_empty(), "no session");
    let commands = scene.events("command");
    let asked = |request: &str| commands.iter().any(|event| event["request"] == request);
    let channels = scene.events("channel.close");
    let carried = |stream: &str, bytes: usize| {
        channels.iter().any(|event| event[stream]["bytes"].as_u64() >= Some(bytes as u64))
    };
    let seen = match action {
        Action::Shell => commands.iter().any(|event| event["request"] == "shell" && event["pty"] == true),
        Action::Exec => asked("exec"),
        Action::Upload => was_moved(scene, "upload", client) && carried("input", SIZE),
        Action::Download => was_moved(scene, "download", client) && carried("output", SIZE),
        Action::Forward => channels.iter().any(forwarded),
    };
    let transfers = scene.events("transfer");
    assert!(seen, "{action:?} is not in the log: {commands:#?} {channels:#?} {transfers:#?}");
    assert_eq!(scene.denied(), Vec::<Value>::new(), "nothing was denied");
}

/// Whether the file is in the log: each transfer of it with its path and its digest.
#[track_caller]
fn was_moved(scene: &Scene, direction: &str, client: &str) -> bool {
    // It sends packs, which are no files.
    if client == "git" {
        return !scene.events("git.end").is_empty();
    }
    let (sha256, far) = (sha256(&BYTES), scene.target.home().join("far"));
    let of_it = |event: &Value| match client {
        // It sends its modules, too, and the file under another name, which it then moves.
        "ansible" => event["sha256"] == sha256.as_str(),
        _ => event["path"] == text(&far),
    };
    let mut events = scene.events("transfer");
    events.retain(|event| event["direction"] == direction && of_it(event));
    for event in &events {
        // It may read from several places of a file at once.
        let apart = client == "rclone" && event["no_sha256"].is_string();
        assert!(apart || event["sha256"] == sha256.as_str(), "other bytes than the file's: {event:#}");
        assert_eq!((&event["status"], &event["outcome"]), (&"ok".into(), &"success".into()), "{event:#}");
    }
    !events.is_empty()
}

fn forwarded(event: &Value) -> bool {
    let bytes = |stream: &str| event[stream]["bytes"].as_u64();
    event["kind"] == "direct-tcpip" && bytes("input") >= Some(6) && bytes("output") >= Some(6)
}

/// A port of the client's own, forwarded to the target's SSH: `ssh -N -L PORT:web-1:22 alice@bastion`.
///
/// The inner server answers there, for clients that know no jump hosts.
pub(crate) struct Tunnel {
    pub(crate) port: u16,
    _ssh: Client,
}

impl Tunnel {
    #[track_caller]
    pub(crate) fn open(scene: &Scene) -> Self {
        Self::by(scene.client.ssh())
    }

    /// By the newer OpenSSH, where there is one.
    #[track_caller]
    pub(crate) fn by_newer_openssh(scene: &Scene) -> Option<Self> {
        let mut ssh = Command::new(super::openssh_newer::folder()?.join("ssh"));
        ssh.arg("-F").arg(scene.client.config()).env_remove("SSH_AUTH_SOCK");
        Some(Self::by(ssh))
    }

    #[track_caller]
    fn by(mut ssh: Command) -> Self {
        let port = free_port();
        // The local command runs once ports are forwarded.
        ssh.args(["-N", "-o", "PermitLocalCommand=yes", "-o", "LocalCommand=echo ready"]);
        ssh.args(["-L", &format!("127.0.0.1:{port}:web-1:22"), "-o", "ExitOnForwardFailure=yes", "bastion"]);
        let mut ssh = Client::start(&mut ssh);
        ssh.read_to("ready\n");
        Self { port, _ssh: ssh }
    }
}
