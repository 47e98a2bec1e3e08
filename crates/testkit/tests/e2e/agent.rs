//! Agent forwarding.

use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::thread;

use bartizan_testkit::{eventually, run};

use crate::scene::{Options, Scene, Way, text, ways};

ways! {
    everywhere: twenty_sessions_reach_the_agent_at_once;
    bartizan: without_the_permission_no_agent_is_reached,
}

/// An `ssh-agent` that holds the scene's key; ended when dropped.
pub(crate) struct Agent {
    process: Child,
    pub(crate) socket: String,
}

impl Agent {
    pub(crate) fn start(scene: &Scene) -> Self {
        let socket = scene.folder().join("agent");
        let mut agent = Command::new("ssh-agent");
        let process = agent.args(["-D", "-a", text(&socket)]).stdout(Stdio::null()).spawn().unwrap();
        let agent = Self { process, socket: text(&socket).to_owned() };
        eventually("the agent listens", || UnixStream::connect(&socket).ok());
        let mut add = Command::new("ssh-add");
        run(add.arg("-q").arg(scene.key.private()).env("SSH_AUTH_SOCK", &socket)).ok();
        agent
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn twenty_sessions_reach_the_agent_at_once(way: Way) {
    let scene = Scene::new(way);
    let agent = Agent::start(&scene);
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let mut ssh = scene.client.ssh();
                ssh.args(["-A", "-o", &format!("IdentityAgent={}", agent.socket), scene.host()]);
                // Two connections to the agent, one after the other.
                let done = run(ssh.arg("ssh-add -l && ssh-add -l")).ok();
                assert_eq!(done.text().matches(&scene.key.fingerprint()).count(), 2, "{done}");
            });
        }
    });
}

fn without_the_permission_no_agent_is_reached(way: Way) {
    let scene = Scene::with(way, &Options { allow: Some("exec"), ..Options::default() });
    let agent = Agent::start(&scene);
    let mut ssh = scene.client.ssh();
    ssh.args(["-A", "-o", &format!("IdentityAgent={}", agent.socket), scene.host()]);
    // The command itself is permitted; it finds no agent.
    run(ssh.arg("ssh-add -l")).exits(2).says(&["could not open a connection"]);
    let denied = scene.denied();
    assert!(denied.iter().any(|e| e.to_string().contains("auth-agent-req")), "{denied:#?}");
}
