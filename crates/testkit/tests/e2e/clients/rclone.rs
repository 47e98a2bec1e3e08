//! rclone's SFTP, with its own SSH.

use std::process::Command;

use bartizan_testkit::run;

use super::tools::{self, Tunnel};
use crate::scene::{Scene, text};

fn rclone(scene: &Scene, from: &str, to: &str) {
    let tunnel;
    let (port, user) = match tools::users(scene) {
        (_, Some(login)) => {
            tunnel = Tunnel::open(scene);
            (tunnel.port, login.to_owned())
        }
        (user, None) => (scene.bartizan().port(), user),
    };
    let mut rclone = Command::new("rclone");
    rclone.args(["--config", "", "--retries", "1", "copyto", from, to]);
    rclone.env("RCLONE_SFTP_HOST", "127.0.0.1").env("RCLONE_SFTP_PORT", port.to_string());
    rclone.env("RCLONE_SFTP_USER", user).env("RCLONE_SFTP_KEY_FILE", scene.key.private());
    rclone.env("HOME", scene.folder()).env_remove("SSH_AUTH_SOCK");
    run(&mut rclone).ok();
}

pub(super) fn upload(scene: &Scene) {
    tools::upload(scene, |near, far| rclone(scene, text(near), &format!(":sftp:{}", far.display())));
}

pub(super) fn download(scene: &Scene) {
    tools::download(scene, |far, near| rclone(scene, &format!(":sftp:{}", far.display()), text(near)));
}
