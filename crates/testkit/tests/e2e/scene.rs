//! The scene of most tests: a person `alice`, a target `web-1`, and a grant.

use std::path::Path;
use std::process::{Command, Stdio};

use bartizan_testkit::{
    Bartizan, BartizanOptions, Finished, KeyPair, KeyType, OpenSshServer, SshClient, SshdOptions, eventually,
    run,
};
use serde_json::Value;
use tempfile::TempDir;

/// How the client reaches the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Without anything between: shows what the scenario does by itself.
    Direct,
    /// `ssh -J` through an OpenSSH server.
    OpenSshJump,
    /// `ssh -J alice@bartizan root@web-1`.
    ProxyJump,
    /// `ssh root@web-1@bartizan`.
    UserName,
    /// `ssh alice@bartizan`, and `ssh root@web-1` there.
    Console,
}

/// Makes tests of functions that take a [`Way`]: `everywhere` by all four, `bartizan` by our two.
macro_rules! ways {
    (everywhere: $($all:ident),* ; bartizan: $($own:ident),* $(,)?) => {
        mod direct { $(#[test] fn $all() { super::$all($crate::scene::Way::Direct); })* }
        mod openssh_jump { $(#[test] fn $all() { super::$all($crate::scene::Way::OpenSshJump); })* }
        mod proxy_jump {
            $(#[test] fn $all() { super::$all($crate::scene::Way::ProxyJump); })*
            $(#[test] fn $own() { super::$own($crate::scene::Way::ProxyJump); })*
        }
        mod user_name {
            $(#[test] fn $all() { super::$all($crate::scene::Way::UserName); })*
            $(#[test] fn $own() { super::$own($crate::scene::Way::UserName); })*
        }
    };
}
pub(crate) use ways;

/// What the grant of the default scene allows.
pub(crate) const EVERYTHING: &str =
    "shell,exec,sftp:read,sftp:write,scp,rsync,git:read,git:write,subsystem,agent";

/// What a test wants of its scene.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) sshd: SshdOptions,
    pub(crate) bartizan: BartizanOptions,
    /// Permissions of alice's grant; none means no grant at all.
    pub(crate) allow: Option<&'static str>,
    /// Further arguments of `grant add`.
    pub(crate) grant: &'static [&'static str],
    /// Whether the target trusts Bartizan's user CA.
    pub(crate) trusted: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            sshd: SshdOptions::default(),
            bartizan: BartizanOptions::default(),
            allow: Some(EVERYTHING),
            grant: &[],
            trusted: true,
        }
    }
}

pub(crate) struct Scene {
    pub(crate) client: SshClient,
    pub(crate) target: OpenSshServer,
    pub(crate) key: KeyPair,
    way: Way,
    bartizan: Option<Bartizan>,
    folder: TempDir,
}

impl Scene {
    pub(crate) fn new(way: Way) -> Self {
        Self::with(way, &Options::default())
    }

    pub(crate) fn with(way: Way, options: &Options) -> Self {
        let folder = tempfile::Builder::new().prefix("e2e-").tempdir().unwrap();
        let key = KeyPair::generate(folder.path(), "id_alice", KeyType::Ed25519);
        let target = OpenSshServer::with(&options.sshd);
        let client = SshClient::new(folder.path(), &key);
        let mut scene = Self { client, target, key, way, bartizan: None, folder };
        match way {
            Way::Direct | Way::OpenSshJump => scene.without_bartizan(),
            Way::ProxyJump | Way::UserName | Way::Console => scene.through_bartizan(options),
        }
        scene
    }

    /// The target serves as the jump host, too.
    fn without_bartizan(&mut self) {
        self.target.authorize(&self.key.line());
        self.client.trust(&self.target.known_hosts_line());
        let (endpoint, login) = (self.target.endpoint(), self.target.login().to_owned());
        self.client.host("direct", &endpoint, &login, &[]);
        self.client.host("jumped", &endpoint, &login, &["ProxyJump direct"]);
    }

    /// The shortest path of the handbook, word for word.
    fn through_bartizan(&mut self, options: &Options) {
        let b = Bartizan::with(&options.bartizan);
        let (login, public, host_key) =
            (self.target.login().to_owned(), self.key.public(), self.target.host_key().public());
        b.say(&["person", "add", "alice", "--key", text(&public)]);
        if options.trusted {
            self.target.trust_user_ca(&b.say(&["ca", "show", "user"]));
        }
        b.say(&["target", "add", "web-1", &self.target.endpoint(), "--host-key", text(&host_key)]);
        if let Some(allow) = options.allow {
            let grant = ["grant", "add", "--person", "alice", "--target", "web-1", "--login", &login];
            b.say(&[&grant[..], &["--allow", allow], options.grant].concat());
        }
        trust_bartizan(&self.client, &b);
        self.client.host("bastion", &b.endpoint(), "alice", &[]);
        self.client.host("web-1", "web-1:22", &login, &["ProxyJump bastion"]);
        self.client.host("by-name", &b.endpoint(), &format!("{login}@web-1"), &[]);
        self.bartizan = Some(b);
    }

    pub(crate) fn way(&self) -> Way {
        self.way
    }

    /// The alias of the target for this scene's way, as `ssh` takes it.
    pub(crate) fn host(&self) -> &'static str {
        match self.way {
            Way::Direct => "direct",
            Way::OpenSshJump => "jumped",
            Way::ProxyJump => "web-1",
            Way::UserName => "by-name",
            Way::Console => "bastion",
        }
    }

    /// A folder for the test's own files.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn bartizan(&self) -> &Bartizan {
        self.bartizan.as_ref().expect("a way through Bartizan")
    }

    pub(crate) fn bartizan_mut(&mut self) -> &mut Bartizan {
        self.bartizan.as_mut().expect("a way through Bartizan")
    }

    /// The client and the server apart, for tests that use both at once.
    pub(crate) fn split(&mut self) -> (&SshClient, &mut Bartizan) {
        (&self.client, self.bartizan.as_mut().expect("a way through Bartizan"))
    }

    /// Runs `ssh HOST COMMAND` to its end.
    #[track_caller]
    pub(crate) fn exec(&self, command: &str) -> Finished {
        run(self.client.ssh().args([self.host(), command]))
    }

    /// `ssh OPTIONS… HOST COMMAND` with pipes, for tests that keep it running.
    pub(crate) fn start(&self, options: &[&str], command: &str) -> Client {
        let mut ssh = self.client.ssh();
        ssh.args(options).args([self.host(), command]);
        Client::start(&mut ssh)
    }

    /// The newest session, once it is no longer live.
    #[track_caller]
    pub(crate) fn ended_session(&self) -> Value {
        eventually("the session has ended", || {
            let newest = self.sessions().into_iter().next()?;
            (newest["state"] != "live").then_some(newest)
        })
    }

    /// All sessions, newest first.
    #[track_caller]
    pub(crate) fn sessions(&self) -> Vec<Value> {
        list(&self.bartizan().json(&["session", "list"]))
    }

    /// All events of one type, oldest first.
    #[track_caller]
    pub(crate) fn events(&self, kind: &str) -> Vec<Value> {
        let mut events = list(&self.bartizan().json(&["log", "search", "--type", kind]));
        events.sort_by_key(|event| event["index"].as_u64());
        events
    }

    /// All events of something that was denied.
    #[track_caller]
    pub(crate) fn denied(&self) -> Vec<Value> {
        list(&self.bartizan().json(&["log", "search", "--outcome", "denied"]))
    }

    /// The only event of one type, once it is there.
    #[track_caller]
    pub(crate) fn event(&self, kind: &str) -> Value {
        let events = eventually(kind, || Some(self.events(kind)).filter(|events| !events.is_empty()));
        assert_eq!(events.len(), 1, "{events:#?}");
        events[0].clone()
    }
}

/// Lets the client know Bartizan as `bartizan ssh-config` says it should.
pub(crate) fn trust_bartizan(client: &SshClient, bartizan: &Bartizan) {
    let parts = bartizan.json(&["ssh-config"]);
    let lines = parts["known_hosts"].as_str().expect("lines for known_hosts");
    assert!(lines.contains("@cert-authority web-1"), "{lines}");
    lines.lines().for_each(|line| client.trust(line));
}

/// The elements of a JSON array.
#[track_caller]
pub(crate) fn list(value: &Value) -> Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("no array: {value}")).clone()
}

/// A path that is text.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("paths of tests are text")
}

/// A client that runs while the test goes on; killed when dropped.
pub(crate) struct Client {
    pub(crate) child: std::process::Child,
}

impl Client {
    pub(crate) fn start(command: &mut Command) -> Self {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { child: child.spawn().unwrap() }
    }

    /// Writes to standard input, and leaves it open.
    #[track_caller]
    pub(crate) fn type_in(&mut self, text: &str) {
        use std::io::Write as _;
        self.child.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Reads standard output up to and with `mark`.
    #[track_caller]
    pub(crate) fn read_to(&mut self, mark: &str) -> String {
        use std::io::Read as _;
        let (out, mut seen, mut byte) = (self.child.stdout.as_mut().unwrap(), Vec::new(), [0]);
        while !seen.ends_with(mark.as_bytes()) {
            if out.read(&mut byte).unwrap() == 0 {
                let mut errors = String::new();
                self.child.stderr.as_mut().unwrap().read_to_string(&mut errors).unwrap();
                panic!("no {mark:?} in {:?}; stderr: {errors}", String::from_utf8_lossy(&seen));
            }
            seen.push(byte[0]);
        }
        String::from_utf8_lossy(&seen).into_owned()
    }

    /// Keeps standard input open until the client has ended by itself; gives exit code and all that was said.
    #[track_caller]
    pub(crate) fn outlives(mut self) -> (i32, String) {
        use std::io::Read as _;
        let mut said = Vec::new();
        self.child.stdout.take().unwrap().read_to_end(&mut said).unwrap();
        self.child.stderr.take().unwrap().read_to_end(&mut said).unwrap();
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        (code, String::from_utf8_lossy(&said).into_owned())
    }

    /// Closes standard input and waits for the end; gives exit code, rest of the output, standard error.
    #[track_caller]
    pub(crate) fn finish(mut self) -> (i32, String, String) {
        use std::io::Read as _;
        drop(self.child.stdin.take());
        let (mut out, mut errors) = (Vec::new(), Vec::new());
        self.child.stdout.take().unwrap().read_to_end(&mut out).unwrap();
        self.child.stderr.take().unwrap().read_to_end(&mut errors).unwrap();
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        (code, String::from_utf8_lossy(&out).into_owned(), String::from_utf8_lossy(&errors).into_owned())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
