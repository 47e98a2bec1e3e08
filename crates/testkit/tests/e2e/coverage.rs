//! The coverage matrix: each type of channel, with a terminal and without, by each way in, is recorded or refused.
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
    /// The type of event that says what happened, besides those of every channel.
    event: &'static str,
}

/// Makes the list, and for each row a test by each way in. Each names a function of [`drive`] that gives a mark: bytes
/// that pass through the channel and nowhere else.
macro_rules! coverage {
    ($($name:ident: $what:literal, pty: $pty:literal, $outcome:ident, $event:literal;)*) => {
        const ROWS: &[Row] = &[$(Row { what: $what, pty: $pty, outcome: $outcome, event: $event }),*];

        mod proxy_jump {
            $(#[test] fn $name() { super::check($crate::scene::Way::ProxyJump, stringify!($name), super::drive::$name); })*
        }
        mod user_name {
            $(#[test] fn $name() { super::check($crate::scene::Way::UserName, stringify!($name), super::drive::$name); })*
        }

        fn row(name: &str) -> &'static Row {
            let names = [$(stringify!($name)),*];
            &ROWS[names.iter().position(|known| *known == name).unwrap()]
        }
    };
}

coverage! {
    shell_with_terminal: "session: shell", pty: true, Terminal, "command";
    shell: "session: shell", pty: false, Bytes, "command";
    exec_with_terminal: "session: exec", pty: true, Terminal, "command";
    exec: "session: exec", pty: false, Bytes, "command";
    subsystem_with_terminal: "session: subsystem", pty: true, Terminal, "command";
    subsystem: "session: subsystem", pty: false, Bytes, "command";
    sftp: "session: sftp, scp", pty: false, Bytes, "transfer";
    scp: "session: scp by its old protocol", pty: false, Bytes, "transfer";
    rsync: "session: rsync", pty: false, Bytes, "rsync.end";
    git: "session: git", pty: false, Bytes, "git.end";
    direct_tcpip: "direct-tcpip (`-L`, `-W`)", pty: false, Bytes, "channel.close";
    dynamic: "direct-tcpip (`-D`)", pty: false, Bytes, "channel.close";
    forwarded_tcpip: "forwarded-tcpip (`-R`)", pty: false, Bytes, "forward.listen";
    streamlocal: "direct-streamlocal, forwarded-streamlocal", pty: false, Bytes, "forward.listen";
    x11: "x11", pty: false, Bytes, "channel.request";
    agent: "auth-agent", pty: false, Bytes, "agent.request";
    tun: "tun", pty: false, Refused, "channel.open";
    unknown: "any other type", pty: false, Refused, "channel.open";
}

mod drive {
    use super::*;

    const MARK: &str = "seen-by-nobody-else";

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
        // Signs something on the target with the key that is in the agent at home.
        let sign = "ssh-add -L >key.pub && echo text | ssh-keygen -q -Y sign -n test -f key.pub >/dev/null";
        run(scene.client.ssh().args(["-A", "-o", &socket, scene.host(), sign])).ok();
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
    scene.ended_session();
    eventually("the event", || Some(scene.events(row.event)).filter(|events| !events.is_empty()));
    if row.outcome == Refused {
        let denied = scene.denied();
        let refusal = denied.iter().find(|event| event["kind"] == mark.as_str());
        assert_eq!(refusal.unwrap_or_else(|| panic!("{denied:#?}"))["type"], "channel.open");
        return;
    }
    let kept = recordings_with(&scene.bartizan().data().join("recordings"), &mark);
    let ending = if row.outcome == Terminal { ".cast.zst" } else { ".bytes.zst" };
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
         | channel | terminal | ProxyJump | user name | event besides `channel.open` and `channel.close` |\n|---|---|---|---|---|\n",
    );
    for Row { what, pty, outcome, event } in ROWS {
        let cell = match outcome {
            Terminal => "recorded: terminal",
            Bytes => "recorded: bytes",
            Refused => "refused",
        };
        let pty = if *pty { "yes" } else { "no" };
        let event = if event.starts_with("channel.") && *event != "channel.request" {
            "–".into()
        } else {
            format!("`{event}`")
        };
        writeln!(table, "| {what} | {pty} | {cell} | {cell} | {event} |").unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/coverage.md");
    if std::env::var_os("COVERAGE_UPDATE").is_some() {
        std::fs::write(&path, &table).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == table, "docs/coverage.md is out of date: COVERAGE_UPDATE=1 scripts/test.sh coverage");
}
