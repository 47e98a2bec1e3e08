//! sshfs over `ssh`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bartizan_testkit::{Server, eventually, run};

use super::tools;
use crate::scene::{Scene, text};

/// The target's folder as a folder here; unmounted when dropped.
pub(crate) struct Mount {
    at: PathBuf,
    _sshfs: Server,
}

impl Mount {
    #[track_caller]
    fn new(scene: &Scene, far: &Path) -> Self {
        Self::of(scene, &format!("{}:{}", scene.host(), far.display()))
    }

    /// Mounts what `sshfs` takes as its source.
    #[track_caller]
    pub(crate) fn of(scene: &Scene, far: &str) -> Self {
        let at = scene.folder().join("mounted");
        fs::create_dir(&at).unwrap();
        let mut sshfs = Command::new("sshfs");
        sshfs.args(["-f", "-o", &format!("ssh_command={}", scene.client.ssh_line())]);
        sshfs.arg(far).arg(&at);
        let mut sshfs = Server::spawn(&mut sshfs);
        eventually("the folder is mounted", || {
            assert!(sshfs.is_running(), "sshfs ended:\n{}", sshfs.log());
            fs::read_to_string("/proc/self/mounts").unwrap().contains(text(&at)).then_some(())
        });
        Self { at, _sshfs: sshfs }
    }

    /// Where it is mounted.
    pub(crate) fn at(&self) -> &Path {
        &self.at
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let done = run(Command::new("fusermount3").args(["-u", text(&self.at)]));
        if !std::thread::panicking() {
            done.ok();
        }
    }
}

/// Whether file systems of programs can be mounted here.
#[expect(clippy::print_stderr, reason = "the runner shows it: a test that is skipped says why")]
pub(crate) fn can_mount() -> bool {
    let can = fs::File::options().read(true).write(true).open("/dev/fuse").is_ok();
    if !can {
        eprintln!("skipped: /dev/fuse cannot be opened here");
    }
    can
}

fn copy(scene: &Scene, path: &Path, act: impl FnOnce(&Path) -> std::io::Result<u64>) {
    let mount = Mount::new(scene, path.parent().unwrap());
    act(&mount.at.join(path.file_name().unwrap())).unwrap();
}

pub(super) fn upload(scene: &Scene) {
    if !can_mount() {
        return;
    }
    tools::upload(scene, |near, far| copy(scene, far, |there| fs::copy(near, there)));
}

pub(super) fn download(scene: &Scene) {
    if !can_mount() {
        return;
    }
    tools::download(scene, |far, near| copy(scene, far, |there| fs::copy(there, near)));
}
