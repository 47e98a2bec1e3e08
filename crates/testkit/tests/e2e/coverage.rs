//! The coverage matrix: each type of channel, with a terminal and without, by each way in, is recorded or refused.
//! What the console and the SFTP root open is a way of its own.
//!
//! `docs/coverage.md` is made of the list below: `COVERAGE_UPDATE=1 scripts/test.sh coverage` writes it anew, and the test
//! fails while it says something else. A type without a way, or a way without a test, does not compile.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use bartizan_testkit::{SshdOptions, eventually, run, run_with_input};

use crate::clients::{python, source};
use crate::scene::{Options, Scene, Way, text};
use crate::{agent, forwards};

/// What becomes of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Its terminal's output is played back as it was seen.
    Terminal,
    /// Its bytes are kept, in both directions.
    Bytes,
    /// It is refused, and the refusal is an event.
    Refused,
}
use Outcome::{Bytes, Refused, Terminal};

/// One row.
struct Row {
    /// The type of channel, or what is done in a `session` channel.
    what: &'static str,
    /// With a terminal (`pty-req`).
    pty: bool,
    outcome: Outcome,
    /// What becomes of it where the person's own connection is used: the console and the SFTP root.
    console: Outcome,
    /// The type of event that says what happened, besides those of every channel.
    event: &'static str,
}

/// Makes the list, and for each row a test by each way in. Each names a function of [`drive`] that gives a mark: bytes
/// that pass through the channel and nowhere else.
macro_rules! coverage {
    ($($name:ident: $what:literal, pty: $pty:literal, $outcome:ident, console: $console:ident, $event:literal;)*) => {
        const ROWS: &[Row] =
            &[$(Row { what: $what, pty: $pty, outcome: $outcome, console: $console, event: $event }),*];

        mod proxy_jump {
            $(#[test] fn $name() { super::check($crate::scene::Way::ProxyJump, stringify!($name), super::drive::$name); })*
        }
        mod user_name {
            $(#[test] fn $name() { super::check($crate::scene::Way::UserName, stringify!($name), super::drive::$name); })*
        }
        mod console {
            $(#[test] fn $name() { super::check($crate::scene::Way::Console, stringify!($name), super::from_console::$name); })*
        }

        fn row(name: &str) -> &'static Row {
            let names = [$(stringify!($name)),*];
            &ROWS[names.iter().position(|known| *known == name).unwrap()]
        }
    };
}

coverage! {
    shell_with_terminal: "session: shell", pty: true, Terminal, console: Terminal, "command";
    shell: "session: shell", pty: false, Bytes, console: Bytes, "command";
    exec_with_terminal: "session: exec", pty: true, Terminal, console: Terminal, "command";
    exec: "session: exec", pty: false, Bytes, console: Bytes, "command";
    subsystem_with_terminal: "session: subsystem", pty: true, Terminal, console: Refused, "command";
    subsystem: "session: subsystem", pty: false, Bytes, console: Refused, "command";
    sftp_with_terminal: "session: sftp", pty: true, Refused, console: Refused, "access.deny";
    sftp: "session: sftp, scp", pty: false, Bytes, console: Bytes, "transfer";
    scp_with_terminal: "session: scp by its old protocol", pty: true, Terminal, console: Terminal, "decode.stop";
    scp: "session: scp by its old protocol", pty: false, Bytes, console: Bytes, "transfer";
    rsync_with_terminal: "session: rsync", pty: true, Terminal, console: Terminal, "decode.stop";
    rsync: "session: rsync", pty: false, Bytes, console: Bytes, "rsync.end";
    git_with_terminal: "session: git", pty: true, Terminal, console: Terminal, "decode.stop";
    git: "session: git", pty: false, Bytes, console: Bytes, "git.end";
    direct_tcpip: "direct-tcpip (`-L`, `-W`)", pty: false, Bytes, console: Refused, "channel.close";
    dynamic: "direct-tcpip (`-D`)", pty: false, Bytes, console: Refused, "channel.close";
    forwarded_tcpip: "forwarded-tcpip (`-R`)", pty: false, Bytes, console: Refused, "forward.listen";
    streamlocal: "direct-streamlocal, forwarded-streamlocal", pty: false, Bytes, console: Refused, "forward.listen";
    x11: "x11", pty: false, Bytes, console: Refused, "channel.request";
    agent: "auth-agent", pty: false, Bytes, console: Bytes, "agent.request";
    tun: "tun", pty: false, Refused, console: Refused, "channel.open";
    unknown: "any other type", pty: false, Refused, console: Refused, "channel.open";
}

mod drive {
    use super::*;

    const MARK: &str = "seen-by-nobody-else";

    /// Signs something on the target with the key that is in the agent at home.
    pub(super) const SIGN: &str =
        "ssh-add -L >key.pub && echo text | ssh-keygen -q -Y sign -n test -f key.pub >/dev/null";

    /// `ssh OPTIONS HOST COMMAND`, with something to read.
    fn ssh(scene: &Scene, options: &[&str], command: &[&str], input: &str) -> String {
        run_with_input(scene.client.ssh().args(options).arg(scene.host()).args(command), input.as_bytes())
            .ok();
        MARK.into()
    }

    pub(super) fn shell_with_terminal(scene: &Scene) -> String {
        ssh(scene, &["-tt"], &[], &format!("echo {MARK}\nexit\n"))
    }

    pub(super) fn shell(scene: &Scene) -> String {
        ssh(scene, &["-T"], &[], &format!("echo {MARK}\nexit\n"))
    }

    pub(super) fn exec_with_terminal(scene: &Scene) -> String {
        ssh(scene, &["-tt"], &["echo seen-by-nobody-else"], "")
    }

    pub(super) fn exec(scene: &Scene) -> String {
        ssh(scene, &["-T"], &["cat"], MARK)
    }

    pub(super) fn subsystem_with_terminal(scene: &Scene) -> String {
        ssh(scene, &["-tt", "-s"], &["says"], "")
    }

    pub(super) fn subsystem(scene: &Scene) -> String {
        ssh(scene, &["-T", "-s"], &["says"], "")
    }

    pub(super) fn sftp_with_terminal(scene: &Scene) -> String {
        run(scene.client.ssh().args(["-tt", "-s", scene.host(), "sftp"])).fails();
        "subsystem".into()
    }

    /// A file with the mark, asked for by hand: `scp` itself asks for no terminal.
    pub(super) fn fetched(scene: &Scene) -> (String, &'static str) {
        let (file, _) = files(scene);
        (format!("scp -f {}", text(&file)), "\0\0\0\0\n")
    }

    pub(super) fn scp_with_terminal(scene: &Scene) -> String {
        let (command, input) = fetched(scene);
        ssh(scene, &["-tt"], &[&command], input)
    }

    /// What the terminal echoes is the mark, and for rsync no greeting.
    pub(super) const RSYNC: &str = "rsync --server --sender -logDtpre.iLsfxCIvu . /etc/hostname";

    pub(super) fn rsync_with_terminal(scene: &Scene) -> String {
        let input = format!("{MARK}\n");
        let mut ssh = scene.client.ssh();
        run_with_input(ssh.args(["-tt", scene.host(), RSYNC]), input.as_bytes()).fails();
        MARK.into()
    }

    /// An empty repository, and what its server says of itself.
    pub(super) fn listed(scene: &Scene) -> (String, String) {
        let repository = scene.folder().join("repository");
        run(Command::new("git").args(["init", "-q", "--bare", text(&repository)])).ok();
        (format!("git-upload-pack '{}'", text(&repository)), "agent=git/".into())
    }

    pub(super) fn git_with_terminal(scene: &Scene) -> String {
        let (command, mark) = listed(scene);
        ssh(scene, &["-tt"], &[&command], "0000\n");
        mark
    }

    /// A file with the mark, and a place where there is none yet.
    fn files(scene: &Scene) -> (PathBuf, String) {
        let (file, copy) = (scene.folder().join("file"), scene.folder().join("copy"));
        std::fs::write(&file, MARK).unwrap();
        (file, format!("{}:{}", scene.host(), text(&copy)))
    }

    pub(super) fn sftp(scene: &Scene) -> String {
        let (file, copy) = files(scene);
        run(scene.client.scp().args(["-s", "-q", text(&file), &copy])).ok();
        MARK.into()
    }

    pub(super) fn scp(scene: &Scene) -> String {
        let (file, copy) = files(scene);
        run(scene.client.scp().args(["-O", "-q", text(&file), &copy])).ok();
        MARK.into()
    }

    pub(super) fn rsync(scene: &Scene) -> String {
        let (file, copy) = files(scene);
        run(Command::new("rsync").args(["-We", &scene.client.ssh_line(), text(&file), &copy])).ok();
        MARK.into()
    }

    pub(super) fn git(scene: &Scene) -> String {
        let repository = scene.folder().join("repository");
        run(Command::new("git").args(["init", "-q", "--bare", text(&repository)])).ok();
        let mut git = Command::new("git");
        git.args(["ls-remote", &format!("ssh://{}{}", scene.host(), text(&repository))]);
        git.env("GIT_SSH_COMMAND", scene.client.ssh_line()).env("HOME", scene.folder());
        run(&mut git).ok();
        // What every server of Git says of itself.
        "agent=git/".into()
    }

    pub(super) fn direct_tcpip(scene: &Scene) -> String {
        forwards::local(scene);
        "HELLO!".into()
    }

    pub(super) fn dynamic(scene: &Scene) -> String {
        forwards::dynamic(scene);
        "HELLO!".into()
    }

    pub(super) fn forwarded_tcpip(scene: &Scene) -> String {
        forwards::remote(scene);
        "HELLO!".into()
    }

    pub(super) fn streamlocal(scene: &Scene) -> String {
        forwards::sockets(scene);
        "HELLO!".into()
    }

    pub(super) fn x11(scene: &Scene) -> String {
        forwards::x11(scene);
        "welcome".into()
    }

    pub(super) fn agent(scene: &Scene) -> String {
        let agent = agent::Agent::start(scene);
        let socket = format!("IdentityAgent={}", agent.socket);
        run(scene.client.ssh().args(["-A", "-o", &socket, scene.host(), SIGN])).ok();
        // The answer to the request for identities names the key as it was made.
        "id_alice".into()
    }

    fn open(scene: &Scene, kind: &[&str]) -> String {
        let way = if scene.way() == Way::ProxyJump { "jump" } else { "name" };
        let mut open = python();
        open.arg(source("channel_open.py")).args([way, &scene.bartizan().port().to_string()]);
        run(open.arg(scene.key.private()).arg(scene.target.login()).args(kind)).ok().says(&["bartizan: "]);
        kind[0].into()
    }

    pub(super) fn tun(scene: &Scene) -> String {
        open(scene, &["tun@openssh.com", "1", "0"])
    }

    pub(super) fn unknown(scene: &Scene) -> String {
        open(scene, &["made-up@example.com"])
    }
}

/// The same from the console: by `ssh bastion ssh web-1 …`, and by the SFTP root. Where it is refused, the mark is the
/// action of the refusal.
mod from_console {
    use super::*;

    const MARK: &str = "seen-by-nobody-else";

    fn ssh(scene: &Scene, options: &[&str], line: &str, input: &str) -> String {
        run_with_input(scene.client.ssh().args(options).args(["bastion", line]), input.as_bytes()).ok();
        MARK.into()
    }

    pub(super) fn shell_with_terminal(scene: &Scene) -> String {
        ssh(scene, &["-tt"], "ssh web-1", &format!("echo {MARK}\nexit\n"))
    }

    pub(super) fn shell(scene: &Scene) -> String {
        ssh(scene, &["-T"], "ssh web-1", &format!("echo {MARK}\nexit\n"))
    }

    pub(super) fn exec_with_terminal(scene: &Scene) -> String {
        ssh(scene, &["-tt"], "ssh web-1 echo seen-by-nobody-else", "")
    }

    pub(super) fn exec(scene: &Scene) -> String {
        ssh(scene, &["-T"], "ssh web-1 cat", MARK)
    }

    /// Something of OpenSSH that is refused.
    fn refused(scene: &Scene, arguments: &[&str], action: &str) -> String {
        run(scene.client.ssh().args(arguments)).fails();
        action.into()
    }

    pub(super) fn subsystem_with_terminal(scene: &Scene) -> String {
        refused(scene, &["-tt", "-s", "bastion", "says"], "subsystem")
    }

    pub(super) fn subsystem(scene: &Scene) -> String {
        refused(scene, &["-T", "-s", "bastion", "says"], "subsystem")
    }

    pub(super) fn sftp_with_terminal(scene: &Scene) -> String {
        refused(scene, &["-tt", "bastion", "ssh web-1 /usr/lib/openssh/sftp-server"], "exec")
    }

    pub(super) fn scp_with_terminal(scene: &Scene) -> String {
        let (command, input) = drive::fetched(scene);
        ssh(scene, &["-tt"], &format!("ssh web-1 {command}"), input)
    }

    pub(super) fn rsync_with_terminal(scene: &Scene) -> String {
        let (line, input) = (format!("ssh web-1 {}", drive::RSYNC), format!("{MARK}\n"));
        run_with_input(scene.client.ssh().args(["-tt", "bastion", &line]), input.as_bytes()).fails();
        MARK.into()
    }

    pub(super) fn git_with_terminal(scene: &Scene) -> String {
        let (command, mark) = drive::listed(scene);
        ssh(scene, &["-tt"], &format!("ssh web-1 {command}"), "0000\n");
        mark
    }

    pub(super) fn sftp(scene: &Scene) -> String {
        let (file, copy) = (scene.folder().join("file"), scene.folder().join("copy"));
        std::fs::write(&file, MARK).unwrap();
        let there = format!("bastion:/web-1/{}{}", scene.target.login(), text(&copy));
        run(scene.client.scp().args(["-s", "-q", text(&file), &there])).ok();
        MARK.into()
    }

    /// The old protocol, spoken by hand: `scp` itself cannot be told to go by the console.
    pub(super) fn scp(scene: &Scene) -> String {
        let line = format!("ssh web-1 scp -t {}", text(&scene.folder().join("copy")));
        ssh(scene, &["-T"], &line, &format!("C0644 {} file\n{MARK}\0", MARK.len()))
    }

    /// What programs that take a command line for `ssh` are given.
    fn by_console(scene: &Scene) -> String {
        format!("{} bastion ssh", scene.client.ssh_line())
    }

    pub(super) fn rsync(scene: &Scene) -> String {
        let (file, copy) = (scene.folder().join("file"), scene.folder().join("copy"));
        std::fs::write(&file, MARK).unwrap();
        let there = format!("web-1:{}", text(&copy));
        run(Command::new("rsync").args(["-We", &by_console(scene), text(&file), &there])).ok();
        MARK.into()
    }

    pub(super) fn git(scene: &Scene) -> String {
        let repository = scene.folder().join("repository");
        run(Command::new("git").args(["init", "-q", "--bare", text(&repository)])).ok();
        let mut git = Command::new("git");
        git.args(["ls-remote", &format!("ssh://web-1{}", text(&repository))]).env("HOME", scene.folder());
        git.env("GIT_SSH_COMMAND", by_console(scene)).env("GIT_SSH_VARIANT", "simple");
        run(&mut git).ok();
        "agent=git/".into()
    }

    pub(super) fn direct_tcpip(scene: &Scene) -> String {
        refused(scene, &["-W", "127.0.0.1:1", "bastion"], "forward:local")
    }

    /// To the server the same channel as of `-L`.
    pub(super) fn dynamic(scene: &Scene) -> String {
        direct_tcpip(scene)
    }

    pub(super) fn forwarded_tcpip(scene: &Scene) -> String {
        let port = ["-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:1", "bastion", "whoami"];
        refused(scene, &port, "forward:remote")
    }

    pub(super) fn streamlocal(scene: &Scene) -> String {
        let socket = ["-o", "ExitOnForwardFailure=yes", "-R", "/nowhere:127.0.0.1:1", "bastion", "whoami"];
        refused(scene, &socket, "forward:remote")
    }

    pub(super) fn x11(scene: &Scene) -> String {
        let mut ssh = scene.client.ssh();
        // The client warns, and goes on without.
        run(ssh.env("DISPLAY", "127.0.0.1:7").args(["-Y", "bastion", "whoami"])).ok();
        "x11".into()
    }

    pub(super) fn agent(scene: &Scene) -> String {
        let agent = agent::Agent::start(scene);
        let socket = format!("IdentityAgent={}", agent.socket);
        let line = format!("ssh -A web-1 {}", drive::SIGN);
        run(scene.client.ssh().args(["-A", "-o", &socket, "bastion", &line])).ok();
        "id_alice".into()
    }

    fn open(scene: &Scene, kind: &[&str]) -> String {
        let mut open = python();
        open.arg(source("channel_open.py")).args(["own", &scene.bartizan().port().to_string()]);
        run(open.arg(scene.key.private()).arg(scene.target.login()).args(kind)).ok().says(&["bartizan: "]);
        kind[0].into()
    }

    pub(super) fn tun(scene: &Scene) -> String {
        open(scene, &["tun@openssh.com", "1", "0"])
    }

    pub(super) fn unknown(scene: &Scene) -> String {
        open(scene, &["made-up@example.com"])
    }
}

fn scene(way: Way) -> Scene {
    let config =
        ["X11Forwarding yes", "XAuthLocation /usr/bin/xauth", "Subsystem says /bin/echo seen-by-nobody-else"];
    let sshd = SshdOptions { config: config.map(str::to_owned).to_vec(), ..SshdOptions::default() };
    let allow = "shell,exec,sftp:read,sftp:write,scp,rsync,git:read,git:write,subsystem,agent,x11,\
                 forward:local,forward:remote";
    Scene::with(way, &Options { sshd, allow: Some(allow), ..Options::default() })
}

/// Uses the channel, then looks for its bytes in the recordings, or for the refusal in the log.
fn check(way: Way, name: &str, drive: fn(&Scene) -> String) {
    let (scene, row) = (scene(way), row(name));
    let mark = drive(&scene);
    let console = way == Way::Console;
    let outcome = if console { row.console } else { row.outcome };
    if console && outcome == Refused {
        let refusal = || scene.denied().into_iter().find(|event| event["action"] == mark.as_str());
        assert_eq!(eventually("the refusal", refusal)["type"], "access.deny");
        return;
    }
    scene.ended_session();
    eventually("the event", || Some(scene.events(row.event)).filter(|events| !events.is_empty()));
    if outcome == Refused {
        let denied = scene.denied();
        let refusal =
            denied.iter().find(|event| [&event["kind"], &event["action"]].contains(&&mark.as_str().into()));
        assert_eq!(refusal.unwrap_or_else(|| panic!("{denied:#?}"))["type"], row.event);
        return;
    }
    let kept = recordings_with(&scene.bartizan().data().join("recordings"), &mark);
    let ending = if outcome == Terminal { ".cast.zst" } else { ".bytes.zst" };
    assert!(kept.iter().any(|file| text(file).ends_with(ending)), "{mark} is in {kept:?}");
    let closed = scene.events("channel.close");
    let passed = |event: &serde_json::Value| {
        ["input", "output"].iter().any(|stream| event[stream]["bytes"].as_u64() >= Some(mark.len() as u64))
    };
    assert!(closed.iter().any(passed), "{closed:#?}");
}

/// The files of recordings that hold `mark`.
fn recordings_with(folder: &Path, mark: &str) -> Vec<PathBuf> {
    let list = |folder: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    let holds = |file: &PathBuf| {
        let content = run(Command::new("zstd").args(["-dcq", text(file)])).ok().stdout;
        content.windows(mark.len()).any(|window| window == mark.as_bytes())
    };
    let files = list(folder).iter().flat_map(|session| list(session)).collect::<Vec<_>>();
    files.into_iter().filter(|file| text(file).ends_with(".zst")).filter(holds).collect()
}

#[test]
fn the_document_says_what_the_tests_show() {
    let mut table = String::from(
        "# Coverage\n\nWhat passes through Bartizan is recorded or refused. This table is made of the list that the end-to-end tests\n\
         go through (`crates/testkit/tests/e2e/coverage.rs`), each cell with stock clients against a real OpenSSH server; every\n\
         one has to hold for the tests to pass.\n\n\
         The console's column is of what is opened from it (`ssh alice@bastion ssh root@web-1`) and from the SFTP root; what is\n\
         refused there is refused on the person's own connection, with an `access.deny` event.\n\n\
         Of a terminal its output is recorded. What is typed there is digested and not kept, since it contains passwords, unless\n\
         the grant says `--record-input`. Bytes are kept in both directions, as many as the grant's `--record` says.\n\n\
         | channel | terminal | ProxyJump | user name | console | event besides `channel.open` and `channel.close` |\n\
         |---|---|---|---|---|---|\n",
    );
    for Row { what, pty, outcome, console, event } in ROWS {
        let [cell, console] = [outcome, console].map(|outcome| match outcome {
            Terminal => "recorded: terminal output",
            Bytes => "recorded: bytes",
            Refused => "refused",
        });
        let pty = if *pty { "yes" } else { "no" };
        let event = if event.starts_with("channel.") && *event != "channel.request" {
            "–".into()
        } else {
            format!("`{event}`")
        };
        writeln!(table, "| {what} | {pty} | {cell} | {cell} | {console} | {event} |").unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/coverage.md");
    if std::env::var_os("COVERAGE_UPDATE").is_some() {
        std::fs::write(&path, &table).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == table, "docs/coverage.md is out of date: COVERAGE_UPDATE=1 scripts/test.sh coverage");
}
