//! rsync over `ssh`.

use std::process::Command;

use bartizan_testkit::run;

use super::tools;
use crate::scene::{Scene, text};

fn rsync(scene: &Scene, from: &str, to: &str) {
    run(Command::new("rsync").args(["-a", "-e", &scene.client.ssh_line(), from, to])).ok();
}

pub(super) fn upload(scene: &Scene) {
    tools::upload(scene, |near, far| {
        rsync(scene, text(near), &format!("{}:{}", scene.host(), far.display()));
    });
}

pub(super) fn download(scene: &Scene) {
    tools::download(scene, |far, near| {
        rsync(scene, &format!("{}:{}", scene.host(), far.display()), text(near));
    });
}
