//! Programs that move files: scp (both protocols), sftp, rsync, git.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use bartizan_testkit::{Pattern, run};

use crate::scene::{Scene, Way, text, ways};

ways! {
    everywhere:
        scp_copies_files_and_folders,
        scp_copies_by_its_old_protocol,
        sftp_runs_a_batch,
        rsync_sends_and_fetches,
        git_clones_and_pushes;
    bartizan:
}

/// Files on the near side, and an empty folder on the far side (the same disk).
struct Sides {
    near: PathBuf,
    far: PathBuf,
}

fn sides(scene: &Scene) -> Sides {
    let (near, far) = (scene.folder().join("near"), scene.folder().join("far"));
    fs::create_dir_all(near.join("tree/deep")).unwrap();
    fs::create_dir(&far).unwrap();
    fs::write(near.join("big"), Pattern::bytes(3, 5_000_001)).unwrap();
    fs::write(near.join("tree/empty"), "").unwrap();
    fs::write(near.join("tree/deep/small"), Pattern::bytes(4, 33)).unwrap();
    fs::set_permissions(near.join("tree/deep/small"), fs::Permissions::from_mode(0o751)).unwrap();
    Sides { near, far }
}

#[track_caller]
fn same(a: PathBuf, b: PathBuf) {
    run(Command::new("diff").arg("-r").arg(a).arg(b)).ok();
}

fn scp(way: Way, protocol: &[&str]) {
    let scene = Scene::new(way);
    let Sides { near, far } = sides(&scene);
    let at = |path: PathBuf| format!("{}:{}", scene.host(), path.display());
    let copy = |from: &str, to: &str| run(scene.client.scp().args(protocol).args(["-rpq", from, to])).ok();
    copy(text(&near.join("big")), &at(far.clone()));
    copy(text(&near.join("tree")), &at(far.clone()));
    same(near.clone(), far.clone());
    let mode = fs::metadata(far.join("tree/deep/small")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o751, "-p keeps the mode");
    let back = scene.folder().join("back");
    copy(&at(far.clone()), text(&back));
    same(near, back);
    let missing = run(scene.client.scp().args(protocol).args([&at(far.join("nosuch")), "/dev/null"]));
    missing.exits(1).says(&["no such file"]);
}

fn scp_copies_files_and_folders(way: Way) {
    scp(way, &["-s"]);
}

fn scp_copies_by_its_old_protocol(way: Way) {
    scp(way, &["-O"]);
}

fn sftp_runs_a_batch(way: Way) {
    let scene = Scene::new(way);
    let Sides { near, far } = sides(&scene);
    let batch = scene.folder().join("batch");
    let lines = format!(
        "cd {far}\nput {near}/big\nput -r {near}/tree\nrename big large\nget large {near}/large\n\
         ls -l\nmkdir gone\nrmdir gone\nchmod 600 large\nrm large\n",
        far = far.display(),
        near = near.display()
    );
    fs::write(&batch, lines).unwrap();
    let done = run(scene.client.sftp().args(["-b", text(&batch), scene.host()])).ok();
    assert!(done.text().contains("5000001"), "the listing shows the size: {done}");
    same(near.join("tree"), far.join("tree"));
    assert_eq!(fs::read(near.join("large")).unwrap(), Pattern::bytes(3, 5_000_001));
    assert!(!far.join("large").exists());
    // A batch ends with an error where a command fails.
    fs::write(&batch, "get /nosuch/file\n").unwrap();
    run(scene.client.sftp().args(["-b", text(&batch), scene.host()])).exits(1).says(&["not found"]);
}

fn rsync_sends_and_fetches(way: Way) {
    let scene = Scene::new(way);
    let Sides { near, far } = sides(&scene);
    let rsync = |from: &str, to: &str| {
        // -I: two changes within a second look alike by time and size.
        run(Command::new("rsync").args(["-aI", "--delete", "-e", &scene.client.ssh_line(), from, to])).ok()
    };
    let there = format!("{}:{}/", scene.host(), far.display());
    let here = format!("{}/", near.display());
    rsync(&here, &there);
    same(near.clone(), far.clone());
    // Again, with a change in the middle of the big file and one file gone: only differences travel.
    let mut bytes = Pattern::bytes(3, 5_000_001);
    bytes[2_500_000] ^= 1;
    fs::write(near.join("big"), bytes).unwrap();
    fs::remove_file(near.join("tree/empty")).unwrap();
    rsync(&here, &there);
    same(near, far);
    let back = scene.folder().join("back");
    rsync(&there, text(&back));
    same(scene.folder().join("far"), back);
}

fn git_clones_and_pushes(way: Way) {
    let scene = Scene::new(way);
    let Sides { near, far } = sides(&scene);
    let git = |folder: &PathBuf, arguments: &[&str]| {
        let mut git = Command::new("git");
        git.current_dir(folder).env("GIT_SSH_COMMAND", scene.client.ssh_line());
        git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
        git.args(["-c", "user.name=Alice", "-c", "user.email=alice@example.com", "-c", "safe.directory=*"]);
        run(git.args(arguments)).ok().text()
    };
    git(&near, &["init", "-q", "-b", "main", "."]);
    git(&near, &["add", "."]);
    git(&near, &["commit", "-q", "-m", "first"]);
    git(&far, &["init", "-q", "--bare", "-b", "main", "repo.git"]);
    let url = format!("{}:{}/repo.git", scene.host(), far.display());
    git(&near, &["push", "-q", &url, "main"]);
    let clone = scene.folder().join("clone");
    git(&near, &["clone", "-q", &url, text(&clone)]);
    assert_eq!(git(&near, &["rev-parse", "main"]), git(&clone, &["rev-parse", "origin/main"]));
    same(near.join("tree"), clone.join("tree"));
}
