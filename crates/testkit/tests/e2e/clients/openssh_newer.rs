//! OpenSSH's clients in a newer version than the system's, which `scripts/setup-test.sh` unpacks.

use std::path::PathBuf;
use std::process::Command;

use bartizan_testkit::{run, target_folder};

use super::openssh::Programs;
use crate::scene::Scene;

/// The folder of its programs.
#[track_caller]
pub(super) fn folder() -> PathBuf {
    let folder = target_folder().join("test-openssh/usr/bin");
    let version = run(Command::new(folder.join("ssh")).arg("-V")).ok().errors();
    let major = version.strip_prefix("OpenSSH_").and_then(|rest| rest.split('.').next()?.parse::<u32>().ok());
    assert!(major >= Some(10), "not a newer version: {version}");
    folder
}

pub(super) fn shell(scene: &Scene) {
    Programs { folder: &folder(), scene }.shell();
}

pub(super) fn exec(scene: &Scene) {
    Programs { folder: &folder(), scene }.exec();
}

pub(super) fn upload(scene: &Scene) {
    Programs { folder: &folder(), scene }.upload();
}

pub(super) fn download(scene: &Scene) {
    Programs { folder: &folder(), scene }.download();
}

pub(super) fn forward(scene: &Scene) {
    Programs { folder: &folder(), scene }.forward();
}
