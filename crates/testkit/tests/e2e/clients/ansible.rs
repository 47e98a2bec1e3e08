//! Ansible over `ssh`, with pipelining and its kept connections.

use std::fs;
use std::process::Command;

use bartizan_testkit::run;

use super::tools;
use crate::scene::{Scene, Way, text, trust_bartizan};

/// Runs a module on the hosts of the inventory.
fn ansible(scene: &Scene, inventory: &str, module: &[&str]) -> String {
    let file = scene.folder().join("inventory");
    fs::write(&file, inventory).unwrap();
    let mut ansible = Command::new("ansible");
    ansible.args(["all", "-i", text(&file), "--private-key", text(scene.key.private()), "-m"]).args(module);
    let home = scene.folder().join("a");
    ansible.env("HOME", scene.folder()).env("ANSIBLE_HOME", &home).env("ANSIBLE_LOCAL_TEMP", &home);
    let config = scene.folder().join("ansible.cfg");
    fs::write(&config, "").unwrap();
    ansible.env("ANSIBLE_CONFIG", config).env("ANSIBLE_PIPELINING", "1").env("ANSIBLE_FORKS", "20");
    ansible.env("ANSIBLE_SSH_CONTROL_PATH_DIR", scene.folder().join("c"));
    let keep = "-o ControlMaster=auto -o ControlPersist=1";
    ansible.env("ANSIBLE_SSH_ARGS", format!("-F {} {keep}", scene.client.config().display()));
    ansible.env("ANSIBLE_NOCOLOR", "1").env_remove("SSH_AUTH_SOCK").env("LC_ALL", "C.UTF-8");
    run(&mut ansible).ok().text()
}

const PYTHON: &str = "ansible_python_interpreter=/usr/bin/python3";

/// The scene's target, as an inventory names it for either way.
fn one(scene: &Scene) -> String {
    let login = scene.target.login();
    match scene.way() {
        Way::ProxyJump => format!("web-1 ansible_user={login} {PYTHON}\n"),
        _ => format!(
            "web-1 ansible_host=127.0.0.1 ansible_port={} ansible_user={login}@web-1 {PYTHON}\n",
            scene.bartizan().port()
        ),
    }
}

/// Twenty targets by ProxyJump, which are the same server under twenty names.
fn twenty(scene: &Scene) -> String {
    let (b, login) = (scene.bartizan(), scene.target.login());
    let host_key = scene.target.host_key().public();
    let names: Vec<_> = (2..=20).map(|n| format!("web-{n}")).collect();
    for name in &names {
        b.say(&["target", "add", name, &scene.target.endpoint(), "--host-key", text(&host_key)]);
    }
    b.say(&["grant", "add", "--person", "alice", "--target", "*", "--login", login, "--allow", "exec"]);
    trust_bartizan(&scene.client, b);
    let mut config = fs::read_to_string(scene.client.config()).unwrap();
    config.insert_str(0, "Host web-*\n  ProxyJump bastion\n");
    fs::write(scene.client.config(), config).unwrap();
    let line = |name: &str| format!("{name} ansible_user={login} {PYTHON}\n");
    one(scene) + &names.iter().map(|name| line(name)).collect::<String>()
}

pub(super) fn exec(scene: &Scene) {
    let (inventory, hosts) = match scene.way() {
        Way::ProxyJump => (twenty(scene), 20),
        _ => (one(scene), 1),
    };
    let said = ansible(scene, &inventory, &["command", "-a", "sh -c 'echo $((6 * 7))'"]);
    let answers = said.lines().filter(|line| *line == "42").count();
    assert_eq!(answers, hosts, "{said}");
}

pub(super) fn upload(scene: &Scene) {
    tools::upload(scene, |near, far| {
        ansible(
            scene,
            &one(scene),
            &["copy", "-a", &format!("src={} dest={}", near.display(), far.display())],
        );
    });
}

pub(super) fn download(scene: &Scene) {
    tools::download(scene, |far, near| {
        let paths = format!("flat=yes src={} dest={}", far.display(), near.display());
        ansible(scene, &one(scene), &["fetch", "-a", &paths]);
    });
}
