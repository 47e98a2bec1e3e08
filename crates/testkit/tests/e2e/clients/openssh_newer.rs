//! OpenSSH's clients in a newer version than the system's, which `scripts/setup-test.sh` unpacks.

use std::path::PathBuf;
use std::process::Command;

use bartizan_testkit::{run, target_folder};

use super::openssh::Programs;
use crate::scene::Scene;

/// The folder of its programs; none where `scripts/setup-test.sh` could not get them, as it says.
#[track_caller]
#[expect(clippy::print_stderr, reason = "the runner shows it: a test that is skipped says why")]
pub(super) fn folder() -> Option<PathBuf> {
    let root = target_folder().join("test-openssh");
    if root.join("unavailable").exists() {
        eprintln!("skipped: no newer OpenSSH can be had here");
        return None;
    }
    let folder = root.join("usr/bin");
    let version = run(Command::new(folder.join("ssh")).arg("-V")).ok().errors();
    let major = version.strip_prefix("OpenSSH_").and_then(|rest| rest.split('.').next()?.parse::<u32>().ok());
    assert!(major >= Some(10), "not a newer version: {version}");
    Some(folder)
}

fn with(scene: &Scene, act: impl FnOnce(Programs<'_>)) {
    if let Some(folder) = folder() {
        act(Programs { folder: &folder, scene });
    }
}

pub(super) fn shell(scene: &Scene) {
    with(scene, |programs| programs.shell());
}

pub(super) fn exec(scene: &Scene) {
    with(scene, |programs| programs.exec());
}

pub(super) fn upload(scene: &Scene) {
    with(scene, |programs| programs.upload());
}

pub(super) fn download(scene: &Scene) {
    with(scene, |programs| programs.download());
}

pub(super) fn forward(scene: &Scene) {
    with(scene, |programs| programs.forward());
}
