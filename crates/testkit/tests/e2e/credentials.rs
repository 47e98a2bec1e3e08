//! Stored credentials: what Bartizan logs in with where a target knows no certificates.

use std::path::{Path, PathBuf};
use std::process::Command;

use bartizan_testkit::{Bartizan, KeyPair, KeyType, Server, run, run_with_input};

use crate::clients::python;
use crate::scene::{Options, Scene, Way, text, ways};

ways! {
    everywhere: ;
    bartizan: a_stored_key_logs_in_where_no_certificate_does,
}

const SECRET: &str = "correct horse/batterÿ staple";

/// A target whose sshd knows keys alone.
fn without_certificates() -> Options {
    Options { trusted: false, ..Options::default() }
}

fn a_stored_key_logs_in_where_no_certificate_does(way: Way) {
    let scene = Scene::with(way, &without_certificates());
    let (b, login) = (scene.bartizan(), scene.target.login().to_owned());
    scene.exec("true").fails().says(&["TrustedUserCAKeys"]);
    let set = ["target", "credential", "set", "web-1", "--login", &login, "--key-file"];
    for kind in [KeyType::Ed25519, KeyType::EcdsaP384, KeyType::Rsa] {
        let key = KeyPair::generate(scene.folder(), &format!("stored_{kind:?}"), kind);
        scene.target.authorize(&key.line());
        b.say(&[&set[..], &[text(key.private())]].concat());
        scene.exec("exit 7").exits(7);
        let connected = scene.events("upstream.connect").pop().unwrap();
        assert_eq!(connected["credential"], format!("stored key {}", key.fingerprint()), "{kind:?}");
    }
    let changed = scene.events("credential.change").pop().unwrap();
    assert_eq!((&changed["action"], &changed["kind"]), (&"set".into(), &"key".into()));
    assert_eq!((&changed["target"], &changed["login"]), (&"web-1".into(), &login.as_str().into()));
    assert!(changed["by"].as_str().unwrap().starts_with("uid "));

    // A public key is no private one, and a file with a passphrase cannot be used unattended.
    let public = scene.key.public();
    b.cli(&[&set[..], &[text(&public)]].concat()).exits(2).says(&["no private key"]);
    let locked = scene.folder().join("locked");
    let keygen = ["-q", "-t", "ed25519", "-N", "secret", "-f", text(&locked)];
    run(Command::new("ssh-keygen").args(keygen)).ok();
    b.cli(&[&set[..], &[text(&locked)]].concat()).exits(2).says(&["passphrase"]);
    scene.exec("exit 7").exits(7);

    b.say(&["target", "credential", "remove", "web-1", "--login", &login]);
    scene.exec("true").fails().says(&["TrustedUserCAKeys"]);
    assert_eq!(scene.events("credential.change").pop().unwrap()["action"], "remove");
}

/// A target of another make that takes passwords.
struct PasswordServer {
    server: Server,
    port: String,
    host_key: KeyPair,
}

impl PasswordServer {
    fn start(folder: &Path, mode: &str) -> Self {
        let host_key = KeyPair::generate(folder, &format!("host_{mode}"), KeyType::Ed25519);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/servers/password_server.py");
        let mut command = python();
        command.arg(script).arg(mode).arg(host_key.private()).args(["deploy", SECRET]);
        let server = Server::spawn(&mut command);
        assert!(server.wait_for("listening on"), "it does not start:\n{}", server.log());
        let log = server.log();
        let port = log.split_once("listening on ").unwrap().1.split('.').next().unwrap().to_owned();
        Self { server, port, host_key }
    }

    fn answers(&self) -> usize {
        self.server.log().matches("answered").count()
    }
}

fn set_password(b: &Bartizan, target: &str, password: &str) {
    let folder = programs_folder();
    let mut command = Command::new(folder.join("bartizan"));
    command.arg("-D").arg(b.data()).args(["target", "credential", "set", target]);
    run_with_input(command.args(["--login", "deploy", "--password-stdin"]), password.as_bytes()).ok();
}

fn programs_folder() -> PathBuf {
    bartizan_testkit::programs().to_owned()
}

/// A scene with the password server as the target `pw`.
fn with_password_server(mode: &str) -> (Scene, PasswordServer) {
    let mut scene = Scene::new(Way::UserName);
    let server = PasswordServer::start(scene.folder(), mode);
    let b = scene.bartizan();
    let (address, endpoint) = (format!("127.0.0.1:{}", server.port), b.endpoint());
    b.say(&["target", "add", "pw", &address, "--host-key", text(&server.host_key.public())]);
    b.say(&["grant", "add", "--person", "alice", "--target", "pw", "--login", "deploy", "--allow", "exec"]);
    scene.client.host("pw", &endpoint, "deploy@pw", &[]);
    (scene, server)
}

#[test]
fn a_stored_password_logs_in_by_either_method() {
    for mode in ["password", "interactive"] {
        let (scene, server) = with_password_server(mode);
        let b = scene.bartizan();
        let ssh = || run(scene.client.ssh().args(["pw", "uptime"]));
        ssh().fails().says(&["refused", "deploy"]);
        assert_eq!(server.answers(), 0, "{mode}");
        // As `echo` sends it, with a line break that is no part of it.
        set_password(b, "pw", &format!("{SECRET}\n"));
        assert_eq!(ssh().exits(7).text(), "deploy ran uptime\n", "{mode}");
        let connected = scene.events("upstream.connect").pop().unwrap();
        assert_eq!(connected["credential"], "stored password", "{mode}");

        let listed = b.say(&["target", "credential", "list", "pw"]);
        assert!(listed.contains("deploy") && listed.contains("password"), "{listed}");
        b.say(&["log", "search", "--json"]);
        assert_no_trace(&b.data(), SECRET.as_bytes());
        assert!(!b.log().contains(SECRET));

        set_password(b, "pw", "wrong");
        ssh().fails().says(&["stored password", "bartizan target credential set pw --login deploy"]);
        assert_eq!(scene.events("upstream.fail").pop().unwrap()["stage"], "authenticate");
    }
}

/// A password is no answer to a question that shows what is typed, nor to two.
#[test]
fn a_password_is_given_to_a_single_hidden_prompt_alone() {
    for mode in ["visible", "two"] {
        let (scene, server) = with_password_server(mode);
        set_password(scene.bartizan(), "pw", SECRET);
        run(scene.client.ssh().args(["pw", "uptime"])).fails().says(&["stored password"]);
        assert_eq!(server.answers(), 0, "{mode}");
    }
}

/// "target host keys ignored, so vaulted passwords went to an impostor" (koko).
#[test]
fn an_impostor_gets_no_password() {
    let (scene, server) = with_password_server("password");
    let b = scene.bartizan();
    let other = KeyPair::generate(scene.folder(), "other", KeyType::Ed25519);
    b.say(&["target", "remove", "pw", "--with-grants"]);
    let address = format!("127.0.0.1:{}", server.port);
    b.say(&["target", "add", "pw", &address, "--host-key", text(&other.public())]);
    b.say(&["grant", "add", "--person", "alice", "--target", "pw", "--login", "deploy", "--allow", "exec"]);
    set_password(b, "pw", SECRET);
    run(scene.client.ssh().args(["pw", "uptime"])).fails().says(&["HOST KEY IS NOT THE ONE KNOWN"]);
    assert_eq!(server.answers(), 0);
}

/// The master key is rotated under a running server, and the next start has the new one.
#[test]
fn the_master_key_is_rotated_and_secrets_stay() {
    let mut scene = Scene::with(Way::ProxyJump, &without_certificates());
    let login = scene.target.login().to_owned();
    let key = KeyPair::generate(scene.folder(), "stored", KeyType::Ed25519);
    scene.target.authorize(&key.line());
    let set = ["target", "credential", "set", "web-1", "--login", &login, "--key-file"];
    scene.bartizan().say(&[&set[..], &[text(key.private())]].concat());
    let file = scene.bartizan().data().join("keys/master");
    let before = std::fs::read_to_string(&file).unwrap();
    scene.bartizan().say(&["vault", "rotate"]);
    assert_ne!(std::fs::read_to_string(&file).unwrap(), before);
    scene.exec("exit 7").exits(7);
    let rotated = scene.event("vault.rotate");
    assert_eq!(rotated["to"], scene.bartizan().json(&["vault", "show"])["master_key"]);

    scene.bartizan_mut().kill();
    scene.bartizan_mut().start_again();
    scene.exec("exit 7").exits(7);

    // With the former key the server does not start, and says which one it wants.
    scene.bartizan_mut().stop();
    std::fs::write(&file, before).unwrap();
    let mut serve = Command::new(programs_folder().join("bartizand"));
    let done = run(serve.arg("serve").arg("--data").arg(scene.bartizan().data())).exits(1);
    done.says(&["locked by master key", rotated["to"].as_str().unwrap()]);
}

/// No file under `folder` holds these bytes.
#[track_caller]
fn assert_no_trace(folder: &Path, secret: &[u8]) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            assert_no_trace(&path, secret);
        } else if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{}", path.display());
        }
    }
}
