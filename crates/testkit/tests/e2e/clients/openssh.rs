//! OpenSSH's own clients.

use std::path::Path;
use std::process::Command;

use bartizan_testkit::run;

use super::tools::{self, UNTIL_END};
use crate::scene::{Scene, text};

/// The programs of one version: those of the system, or those of a folder.
pub(super) struct Programs<'a> {
    pub(super) folder: &'a Path,
    pub(super) scene: &'a Scene,
}

impl Programs<'_> {
    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.folder.join(name));
        command.arg("-F").arg(self.scene.client.config()).env_remove("SSH_AUTH_SOCK");
        if name != "ssh" {
            command.args(["-S", text(&self.folder.join("ssh"))]);
        }
        command
    }

    pub(super) fn shell(&self) {
        tools::shell(self.command("ssh").args(["-tt", self.scene.host()]));
    }

    pub(super) fn exec(&self) {
        tools::exec(self.command("ssh").args([self.scene.host(), tools::COMMAND]));
    }

    fn at(&self, path: &Path) -> String {
        format!("{}:{}", self.scene.host(), path.display())
    }

    /// Copies by both protocols of `scp` and by `sftp`.
    fn copy(&self, from: &str, to: &str, batch: &str) {
        for protocol in ["-O", "-s"] {
            run(self.command("scp").args(["-q", protocol, from, to])).ok();
        }
        let file = self.scene.folder().join("batch");
        std::fs::write(&file, batch).unwrap();
        run(self.command("sftp").args(["-q", "-b", text(&file), self.scene.host()])).ok();
    }

    pub(super) fn upload(&self) {
        tools::upload(self.scene, |near, far| {
            let batch = format!("rm {far}\nput {near} {far}\n", near = near.display(), far = far.display());
            self.copy(text(near), &self.at(far), &batch);
        });
    }

    pub(super) fn download(&self) {
        tools::download(self.scene, |far, near| {
            let batch = format!("!rm {near}\nget {far} {near}\n", near = near.display(), far = far.display());
            self.copy(&self.at(far), text(near), &batch);
        });
    }

    pub(super) fn forward(&self) {
        tools::forward_by_option(|ports| {
            let mut ssh = self.command("ssh");
            ssh.args(["-o", "ExitOnForwardFailure=yes", "-L", ports, self.scene.host(), UNTIL_END]);
            ssh
        });
    }
}

fn system(scene: &Scene) -> Programs<'_> {
    Programs { folder: Path::new(""), scene }
}

pub(super) fn shell(scene: &Scene) {
    system(scene).shell();
}

pub(super) fn exec(scene: &Scene) {
    system(scene).exec();
}

pub(super) fn upload(scene: &Scene) {
    system(scene).upload();
}

pub(super) fn download(scene: &Scene) {
    system(scene).download();
}

pub(super) fn forward(scene: &Scene) {
    system(scene).forward();
}
