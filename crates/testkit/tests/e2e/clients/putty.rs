//! PuTTY's command line: `plink`, `pscp`, `psftp`.

use std::path::PathBuf;
use std::process::Command;

use bartizan_testkit::{Finished, run};

use super::tools::{self, UNTIL_END, line};
use crate::scene::{Scene, text};

/// Asks for host keys by fingerprint: the first try tells it, the second names it.
struct Putty<'a> {
    scene: &'a Scene,
    ppk: PathBuf,
    /// Where to connect, after the program's own options; ends with the host.
    way: Vec<String>,
    host: &'static str,
}

fn shown_fingerprint(done: &Finished) -> String {
    let errors = done.errors();
    let found = errors.split_whitespace().find(|word| word.starts_with("SHA256:"));
    found.unwrap_or_else(|| panic!("no fingerprint: {done}")).to_owned()
}

impl<'a> Putty<'a> {
    #[track_caller]
    fn new(scene: &'a Scene) -> Self {
        let ppk = scene.folder().join("key.ppk");
        let mut puttygen = Command::new("puttygen");
        run(puttygen.arg(scene.key.private()).args(["-O", "private", "-o", text(&ppk)])).ok();
        let (port, (user, inner)) = (scene.bartizan().port().to_string(), tools::users(scene));
        let way = vec!["-P".into(), port, "-l".into(), user];
        let mut putty = Self { scene, ppk, way, host: "127.0.0.1" };
        putty.learn_host_key();
        if let Some(login) = inner {
            let ppk = text(&putty.ppk);
            let mut plink = vec!["plink", "-batch", "-noagent", "-i", ppk];
            plink.extend(putty.way.iter().map(String::as_str));
            plink.extend(["-nc", "web-1:22", "127.0.0.1"]);
            putty.way = vec!["-proxycmd".into(), line(&plink), "-l".into(), login.into()];
            putty.host = "web-1";
            putty.learn_host_key();
        }
        putty
    }

    #[track_caller]
    fn learn_host_key(&mut self) {
        let first = run(self.command("plink").args([self.host, "true"])).fails();
        self.way.extend(["-hostkey".into(), shown_fingerprint(&first)]);
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.args(["-batch", "-noagent", "-i", text(&self.ppk)]).args(&self.way);
        command.env("HOME", self.scene.folder());
        command
    }
}

pub(super) fn shell(scene: &Scene) {
    let putty = Putty::new(scene);
    tools::shell(putty.command("plink").args(["-t", putty.host]));
}

pub(super) fn exec(scene: &Scene) {
    let putty = Putty::new(scene);
    tools::exec(putty.command("plink").args([putty.host, tools::COMMAND]));
}

/// By `pscp`, in both protocols, and by `psftp`.
fn copy(putty: &Putty<'_>, from: &str, to: &str, batch: &str) {
    for protocol in ["-scp", "-sftp"] {
        run(putty.command("pscp").args(["-q", protocol, from, to])).ok();
    }
    let file = putty.scene.folder().join("batch");
    std::fs::write(&file, batch).unwrap();
    run(putty.command("psftp").args(["-b", text(&file), putty.host])).ok();
}

/// `pscp` by its old protocol, of `near` to a path on the target.
pub(crate) fn old_scp(scene: &Scene, near: &str, far: &str) -> Finished {
    let putty = Putty::new(scene);
    run(putty.command("pscp").args(["-q", "-scp", near, &format!("{}:{far}", putty.host)]))
}

pub(super) fn upload(scene: &Scene) {
    let putty = Putty::new(scene);
    tools::upload(scene, |near, far| {
        let batch = format!("rm {far}\nput {near} {far}\n", near = near.display(), far = far.display());
        copy(&putty, text(near), &format!("{}:{}", putty.host, far.display()), &batch);
    });
}

pub(super) fn download(scene: &Scene) {
    let putty = Putty::new(scene);
    tools::download(scene, |far, near| {
        let batch = format!("!rm {near}\nget {far} {near}\n", near = near.display(), far = far.display());
        copy(&putty, &format!("{}:{}", putty.host, far.display()), text(near), &batch);
    });
}

pub(super) fn forward(scene: &Scene) {
    let putty = Putty::new(scene);
    tools::forward_by_option(|ports| {
        let mut plink = putty.command("plink");
        plink.args(["-L", ports, putty.host, UNTIL_END]);
        plink
    });
}
