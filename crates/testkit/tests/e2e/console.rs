//! The console: `ssh alice@bastion`.

use std::io::{Read as _, Write as _};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use bartizan_testkit::{Finished, eventually, run, run_with_input};
use serde_json::Value;

use crate::agent::Agent;
use crate::scene::{Client, EVERYTHING, Options, Scene, Way, list};

/// A console's prompt on a new line, in bold.
const PROMPT: &str = "\n\r\x1b[1mbartizan> ";

/// How long a terminal may show nothing that is waited for: a hang is a failure, slowness is not.
const PATIENCE: Duration = Duration::from_secs(60);

/// A scene whose target is reached from the console; the scene's own way does not matter.
fn scene() -> Scene {
    Scene::new(Way::ProxyJump)
}

/// Runs one command of the console without a terminal.
fn command(scene: &Scene, line: &str) -> Finished {
    run(scene.client.ssh().args(["bastion", line]))
}

fn json(done: &Finished) -> Value {
    serde_json::from_slice(&done.stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {done}"))
}

/// A console in a real terminal of 24 rows and 80 columns.
struct Terminal {
    client: Client,
    /// What the terminal shows, as it comes.
    output: Receiver<Vec<u8>>,
    /// What was not looked at yet.
    seen: Vec<u8>,
}

impl Terminal {
    fn open(scene: &Scene, ssh: &[&str]) -> Self {
        let mut terminal = Self::start(scene, ssh);
        terminal.until(PROMPT);
        terminal
    }

    fn start(scene: &Scene, ssh: &[&str]) -> Self {
        let line = format!(
            "stty rows 24 cols 80; TERM=xterm exec {} {} bastion",
            scene.client.ssh_line(),
            ssh.join(" ")
        );
        let mut script = Command::new("script");
        script.args(["-qefc", &line, "/dev/null"]).env_remove("SSH_AUTH_SOCK");
        let mut client = Client::start(&mut script);
        let mut stdout = client.child.stdout.take().unwrap();
        let (sender, output) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = stdout.read(&mut buffer) {
                if sender.send(buffer[..n].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { client, output, seen: Vec::new() }
    }

    /// Reads up to and with `mark`.
    #[track_caller]
    fn until(&mut self, mark: &str) -> String {
        loop {
            if let Some(at) = self.seen.windows(mark.len()).position(|window| window == mark.as_bytes()) {
                let rest = self.seen.split_off(at + mark.len());
                return String::from_utf8_lossy(&std::mem::replace(&mut self.seen, rest)).into_owned();
            }
            match self.output.recv_timeout(PATIENCE) {
                Ok(bytes) => self.seen.extend(bytes),
                Err(why) => panic!("no {mark:?} ({why}) in {:?}", String::from_utf8_lossy(&self.seen)),
            }
        }
    }

    #[track_caller]
    fn keys(&mut self, keys: &str) {
        let stdin = self.client.child.stdin.as_mut().unwrap();
        stdin.write_all(keys.as_bytes()).unwrap();
        stdin.flush().unwrap();
    }

    /// Enters a line; gives what is seen up to the next prompt.
    #[track_caller]
    fn enter(&mut self, line: &str) -> String {
        self.keys(&format!("{line}\r"));
        self.until(PROMPT)
    }

    /// Waits for the end of the terminal's program; gives its exit code.
    #[track_caller]
    fn code(mut self) -> i32 {
        while self.output.recv_timeout(PATIENCE).is_ok() {}
        self.client.child.wait().unwrap().code().unwrap_or(-1)
    }
}

/// The ended console session, newest first.
fn consoles(scene: &Scene) -> Vec<Value> {
    scene.sessions().into_iter().filter(|session| session["target"] == "bartizan").collect()
}

#[test]
fn targets_lists_what_may_be_reached_and_nothing_else() {
    let scene = scene();
    let b = scene.bartizan();
    b.say(&["target", "add", "secret-1", "192.0.2.1:22", "--first-use"]);
    b.say(&["target", "add", "db-1", "192.0.2.2:22", "--first-use"]);
    b.say(&["grant", "add", "--person", "alice", "--target", "db-*", "--any-login", "--allow", "shell"]);
    b.say(&[
        "grant",
        "add",
        "--person",
        "alice",
        "--target",
        "*",
        "--login",
        "ops",
        "--allow",
        "exec",
        "--source",
        "192.0.2.0/24",
    ]);
    let login = scene.target.login();
    let done = eventually("the grants are in force", || {
        let done = command(&scene, "targets").ok();
        done.text().contains("db-1").then_some(done)
    });
    assert_eq!(
        done.text(),
        format!(
            "{:<w$}  ALLOWED\n{:<w$}  shell\n{:<w$}  {EVERYTHING}\n",
            "LOGIN@TARGET",
            "*@db-1",
            format!("{login}@web-1"),
            w = 12.max(login.len() + 6)
        )
    );
    let items = list(&json(&command(&scene, "targets --json").ok()));
    assert_eq!(items.len(), 2);
    assert_eq!((&items[0]["target"], &items[0]["login"]), (&"db-1".into(), &Value::Null));
    assert_eq!(items[1]["login"], login);
    assert_eq!(list(&json(&command(&scene, "targets web --json").ok())).len(), 1);
    command(&scene, "targets secret").exits(1).says(&["nothing that you may reach matches"]);
    command(&scene, "targets --jsn").exits(2).says(&["usage: targets"]);
    assert_eq!(json(&command(&scene, "targets secret --json").ok()), Value::Array(Vec::new()));
    command(&scene, "tragets").exits(2).says(&["did you mean: targets"]);
}

#[test]
fn a_command_runs_on_a_target_with_its_streams_and_its_status() {
    let scene = scene();
    let login = scene.target.login();
    let line = format!("ssh {login}@web-1 cat; echo \"two  blanks\" >&2; exit 7");
    let done = run_with_input(scene.client.ssh().args(["bastion", &line]), b"in\x00\xff\r\nout").exits(7);
    assert_eq!(done.stdout, b"in\x00\xff\r\nout");
    assert!(done.errors().contains("two  blanks\n"), "{done}");

    let sessions = eventually("both have ended", || {
        let sessions = scene.sessions();
        (sessions.len() == 2 && sessions.iter().all(|s| s["state"] == "ended")).then_some(sessions)
    });
    assert!(sessions.iter().all(|session| session["way"] == "console"), "{sessions:#?}");
    let [inner, console] = &sessions[..] else { panic!("two sessions") };
    assert_eq!((&inner["target"], &inner["exit_status"]), (&"web-1".into(), &7.into()));
    assert_eq!(
        (&console["target"], &console["login"], &console["exit_status"]),
        (&"bartizan".into(), &"alice".into(), &7.into())
    );
    let entered = scene.event("console.command");
    assert_eq!((&entered["command"], &entered["session"]), (&line.as_str().into(), &console["id"]));
    // The same stages as any other session, in the same order.
    let kinds = |id: &Value| -> Vec<String> {
        let id = id.as_str().unwrap();
        let mut events = list(&scene.bartizan().json(&["log", "search", "--session", id]));
        events.sort_by_key(|event| event["index"].as_u64());
        events.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        kinds(&inner["id"]),
        ["session.start", "upstream.connect", "channel.open", "command", "channel.close", "session.end"]
    );
    assert_eq!(
        kinds(&console["id"]),
        ["session.start", "channel.open", "console.command", "channel.close", "session.end"]
    );
}

#[test]
fn what_is_not_permitted_is_refused_with_the_reason() {
    let scene = Scene::with(Way::ProxyJump, &Options { allow: Some("exec"), ..Options::default() });
    let login = scene.target.login().to_owned();
    command(&scene, "ssh nobody@web-1 true").exits(255).says(&["access to nobody@web-1 denied"]);
    command(&scene, "ssh root@elsewhere true").exits(255).says(&["there is no target named elsewhere"]);
    command(&scene, "ssh root@web1 true").exits(255).says(&["no target named web1; did you mean: web-1"]);
    command(&scene, "ssh wbe-1 true").exits(3).says(&["did you mean: web-1"]);
    command(&scene, &format!("ssh {login}@web-1")).fails().says(&["no grant permits shell"]);
    command(&scene, "ssh -A web-1 true").exits(2).says(&["forwards no agent"]);
    command(&scene, "ssh web-1 exit 3").exits(3);
    command(&scene, "ssh web-1 -T exit 4").exits(4);
    let reasons: Vec<_> = scene.denied().iter().map(|event| event["reason"].clone()).collect();
    assert_eq!(reasons.len(), 5, "{reasons:#?}");
    // Subsystems and forwards of other kinds stay refused.
    run(scene.client.ssh().args(["-s", "bastion", "netconf"])).fails().says(&["subsystem request failed"]);
}

#[test]
fn a_script_is_carried_out_line_by_line() {
    let scene = scene();
    let login = scene.target.login();
    let script =
        format!("whoami --json\nssh {login}@web-1 cat; echo one\n\nbogus\nssh {login}@web-1 exit 4\n");
    let done = run_with_input(scene.client.ssh().args(["-T", "bastion"]), script.as_bytes()).exits(4);
    let (facts, rest) = done.text().split_once("}\n").map(|(a, b)| (format!("{a}}}"), b.to_owned())).unwrap();
    let facts: Value = serde_json::from_str(&facts).unwrap();
    assert_eq!((&facts["person"], &facts["method"]), (&"alice".into(), &"publickey".into()));
    assert_eq!(facts["key"], scene.key.fingerprint().as_str());
    assert_eq!(rest, "one\n", "{done}");
    assert!(done.errors().contains("unknown command: bogus"), "{done}");
}

#[test]
fn a_person_at_a_terminal_is_shown_around() {
    let scene = scene();
    let login = scene.target.login().to_owned();
    let mut terminal = Terminal::start(&scene, &[]);
    let greeting = terminal.until(PROMPT);
    assert!(greeting.contains("recorded. Audit key: ") && greeting.contains("Welcome, alice"), "{greeting}");
    // Typed wrongly, mended, completed, recalled.
    let seen = terminal.enter("tragets\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D\x7far\x1b[3~");
    assert!(seen.contains(&format!("{login}@web-1")), "{seen}");
    terminal.keys(&format!("ssh {}\t", &login[..1]));
    terminal.until("web-1 ");
    let seen = terminal.enter("exit 5");
    assert!(seen.contains(&format!("[{login}@web-1: exit status 5]")), "{seen}");
    let seen = terminal.enter("\x1b[A");
    assert!(seen.contains("exit status 5"), "{seen}");
    terminal.keys("nothing\x03");
    terminal.until(PROMPT);
    let seen = terminal.enter("sessions");
    assert!(seen.contains("this console"), "{seen}");
    terminal.keys("exit\r");
    assert_eq!(terminal.code(), 0);
}

#[test]
fn a_session_from_the_console_has_the_terminal_its_size_and_its_changes() {
    let scene = scene();
    let login = scene.target.login();
    let mut terminal = Terminal::open(&scene, &[]);
    terminal.keys(&format!("ssh {login}@web-1\r"));
    terminal.until("recorded. Audit key: ");
    terminal.keys("stty size; echo $TERM; echo $((40+2))\r");
    let seen = terminal.until("42\r\n");
    assert!(seen.contains("24 80") && seen.contains("xterm"), "{seen}");
    // Ctrl-C goes to the program on the target, Ctrl-D ends its shell.
    // The program itself says that it is there: before, Ctrl-C would be the shell's.
    terminal.keys("sh -c 'echo up-$((1+1)); exec sleep 1000'\r");
    terminal.until("up-2\r\n");
    terminal.keys("\x03echo $((50+3))\r");
    terminal.until("53\r\n");
    terminal.keys("exit 9\r");
    let seen = terminal.until(PROMPT);
    assert!(seen.contains("exit status 9]"), "{seen}");
    // Ctrl-D leaves.
    terminal.keys("\x04");
    assert_eq!(terminal.code(), 9, "the console's status is that of the last command");
    let sessions = eventually("both have ended", || {
        let sessions = scene.sessions();
        (sessions.iter().all(|s| s["state"] == "ended")).then_some(sessions)
    });
    // What was seen at the target is in that session's recording, the rest in the console's.
    let text = |session: &Value| {
        scene.bartizan().say(&["session", "export", session["id"].as_str().unwrap(), "--format", "text"])
    };
    let (inner, console) = (text(&sessions[0]), text(&sessions[1]));
    assert!(inner.contains("53") && !inner.contains("bartizan>"), "{inner}");
    assert!(console.contains("bartizan>") && !console.contains("53\n"), "{console}");
}

#[test]
fn a_console_ends_when_its_person_is_locked() {
    let scene = scene();
    let mut terminal = Terminal::open(&scene, &[]);
    terminal.enter("whoami");
    scene.bartizan().say(&["person", "lock", "alice"]);
    terminal.until("this console ends: access was withdrawn: this person is locked");
    assert_ne!(terminal.code(), 0);
    let ended =
        eventually("its end is on record", || consoles(&scene).into_iter().find(|c| c["state"] == "ended"));
    assert!(ended["reason"].as_str().unwrap().contains("withdrawn"), "{ended:#}");
}

#[test]
fn consoles_and_jumps_share_one_connection() {
    let scene = scene();
    let socket = scene.folder().join("control");
    let control = format!("-oControlPath={}", socket.display());
    let mut master =
        Client::start(scene.client.ssh().args(["-oControlMaster=yes", &control, "-N", "bastion"]));
    eventually("the connection is up", || socket.exists().then_some(()));
    let shared = |arguments: &[&str]| {
        let mut ssh = scene.client.ssh();
        ssh.arg(&control).args(arguments);
        ssh
    };
    // One console is busy with a session that says nothing, while others come and go beside it.
    let mut busy = Client::start(shared(&["bastion", "ssh web-1 echo up; cat"]).env("LC_ALL", "C"));
    busy.read_to("up\n");
    thread::scope(|scope| {
        for n in 0..4 {
            let shared = &shared;
            scope.spawn(move || {
                let done = run(&mut shared(&["bastion", &format!("ssh web-1 echo {n}")])).ok();
                assert_eq!(done.text(), format!("{n}\n"));
            });
        }
    });
    let proxy = format!("-oProxyCommand={} {control} -W web-1:22 bastion", scene.client.ssh_line());
    let jumped = run(scene.client.ssh().args([&proxy, "web-1", "echo jumped"])).ok();
    assert_eq!(jumped.text(), "jumped\n");
    let (code, _, _) = busy.finish();
    assert_eq!(code, 0);
    let _ = master.child.kill();
}

#[test]
fn the_forwarded_agent_is_passed_on_where_it_is_granted() {
    let scene = scene();
    let agent = Agent::start(&scene);
    let identity = format!("-oIdentityAgent={}", agent.socket);
    let with_agent = |line: &str| run(scene.client.ssh().args(["-A", &identity, "bastion", line]));
    let done = with_agent("ssh -A web-1 ssh-add -l && ssh-add -l").ok();
    assert_eq!(done.text().matches(&scene.key.fingerprint()).count(), 2, "{done}");
    // Without -A in the console the target has none; without -A of the client there is none to pass on.
    with_agent("ssh web-1 ssh-add -l").exits(2);
    command(&scene, "ssh -A web-1 ssh-add -l").exits(2).says(&["come with: ssh -A"]);
    assert_eq!(json(&with_agent("whoami --json").ok())["agent"], true);

    let withheld = Scene::with(Way::ProxyJump, &Options { allow: Some("exec"), ..Options::default() });
    let agent = Agent::start(&withheld);
    let identity = format!("-oIdentityAgent={}", agent.socket);
    let done = run(withheld.client.ssh().args(["-A", &identity, "bastion", "ssh -A web-1 ssh-add -l"]));
    done.exits(2).says(&["your agent is not forwarded"]);
}

#[test]
fn the_forwarded_agent_logs_in_where_an_operator_set_it_so() {
    let scene = Scene::with(Way::ProxyJump, &Options { trusted: false, ..Options::default() });
    let login = scene.target.login();
    let set = ["target", "credential", "set", "web-1", "--login", login, "--agent"];
    let said = scene.bartizan().say(&set);
    assert!(said.contains("the agent that the person forwards"), "{said}");
    scene.target.authorize(&scene.key.line());
    let agent = Agent::start(&scene);
    let identity = format!("-oIdentityAgent={}", agent.socket);
    let done =
        run(scene.client.ssh().args(["-A", &identity, "bastion", "ssh web-1 echo in; exit 3"])).exits(3);
    assert_eq!(done.text(), "in\n");
    let connected = scene.event("upstream.connect");
    assert_eq!(connected["credential"], format!("agent's key {}", scene.key.fingerprint()));
    // Other ways in have no agent for Bartizan, and say where to go.
    scene.exec("true").exits(255).says(&["takes the keys of your own agent", "ssh -A"]);
    command(&scene, "ssh web-1 true").exits(255).says(&["takes the keys of your own agent"]);
    let kinds = list(&scene.bartizan().json(&["target", "credential", "list"]));
    assert_eq!(kinds[0]["kind"], "agent", "{kinds:#?}");
}
