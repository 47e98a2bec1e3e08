//! git over `ssh`: a push is an upload, a clone a download.

use std::fs;
use std::path::Path;
use std::process::Command;

use bartizan_testkit::run;

use super::tools;
use crate::scene::{Scene, text};

fn git(scene: &Scene, folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let mut git = Command::new("git");
    git.current_dir(folder).env("GIT_SSH_COMMAND", scene.client.ssh_line());
    git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    git.args(["-c", "user.name=Alice", "-c", "user.email=alice@example.com", "-c", "safe.directory=*"]);
    run(git.args(arguments)).ok().stdout
}

/// A repository beside `file`, holding it.
fn commit(scene: &Scene, file: &Path) -> std::path::PathBuf {
    let folder = file.parent().unwrap().join("repository");
    fs::create_dir(&folder).unwrap();
    fs::copy(file, folder.join("file")).unwrap();
    git(scene, &folder, &["init", "-q", "-b", "main", "."]);
    git(scene, &folder, &["add", "."]);
    git(scene, &folder, &["commit", "-q", "-m", "first"]);
    folder
}

pub(super) fn upload(scene: &Scene) {
    tools::upload(scene, |near, far| {
        let here = commit(scene, near);
        let there = far.with_file_name("bare");
        git(scene, scene.folder(), &["init", "-q", "--bare", "-b", "main", text(&there)]);
        let url = format!("{}:{}", scene.host(), there.display());
        git(scene, &here, &["push", "-q", &url, "main"]);
        fs::write(far, git(scene, &there, &["cat-file", "blob", "main:file"])).unwrap();
    });
}

pub(super) fn download(scene: &Scene) {
    tools::download(scene, |far, near| {
        let there = commit(scene, far);
        let url = format!("{}:{}", scene.host(), there.display());
        git(scene, scene.folder(), &["clone", "-q", &url, "clone"]);
        fs::copy(scene.folder().join("clone/file"), near).unwrap();
    });
}
