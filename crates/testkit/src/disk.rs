//! A small file system of its own, which can be filled up.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::run;

/// A tmpfs in a mount namespace that a process of ours keeps; both are gone when this is dropped. Nothing is mounted where
/// other processes live: they reach it through `/proc`.
#[derive(Debug)]
pub struct SmallDisk {
    holder: Child,
    /// Namespaces besides that of mounts, as options of `nsenter`.
    user: &'static [&'static str],
    path: PathBuf,
    folder: TempDir,
}

impl SmallDisk {
    /// A file system of `mib` MiB.
    ///
    /// # Panics
    /// When the system permits neither a mount namespace nor one below a user namespace.
    pub fn new(mib: u32) -> Self {
        Self::in_namespaces(&["--user", "--map-root-user"], &["--user", "--preserve-credentials"], mib)
            .or_else(|_| Self::in_namespaces(&[], &[], mib))
            .unwrap_or_else(|why| panic!("no tmpfs of our own, with a user namespace or as root: {why}"))
    }

    fn in_namespaces(unshare: &[&str], user: &'static [&'static str], mib: u32) -> Result<Self, String> {
        let folder = tempfile::Builder::new().prefix("testkit-disk-").tempdir().unwrap();
        let script = "mount -t tmpfs -o size=$1m tmpfs \"$0\" && echo mounted && exec cat";
        let mut holder = Command::new("unshare")
            .args(unshare)
            .args(["--mount", "sh", "-c", script])
            .arg(folder.path())
            .arg(mib.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("unshare does not start: {e}"))?;
        let path = PathBuf::from(format!("/proc/{}/root{}", holder.id(), folder.path().display()));
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).map_err(|e| e.to_string())?;
        if line != "mounted\n" {
            let status = holder.wait().map_err(|e| e.to_string())?;
            return Err(format!("unshare or mount: {status}"));
        }
        Ok(Self { holder, user, path, folder })
    }

    /// Its root, as processes elsewhere reach it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A program that lives where it is mounted, and its root there.
    pub fn command(&self, program: &Path) -> (Command, &Path) {
        let mut command = Command::new("nsenter");
        command.arg("--target").arg(self.holder.id().to_string()).args(self.user);
        command.arg("--mount").arg("--").arg(program);
        (command, self.folder.path())
    }

    /// Bytes that are free.
    ///
    /// # Panics
    /// When the system does not tell.
    pub fn free(&self) -> u64 {
        let stat = rustix::fs::statvfs(&self.path).unwrap();
        stat.f_bavail * stat.f_frsize
    }

    /// Fills it with one file until `left` bytes are free, or less.
    ///
    /// # Panics
    /// When the file cannot be written for another reason than a full disk.
    pub fn fill(&self, left: u64) {
        let path = self.filler();
        let mut file = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        let block = vec![0xa5; 4096];
        while self.free() > left {
            if let Err(error) = file.write_all(&block) {
                assert_eq!(error.kind(), std::io::ErrorKind::StorageFull, "{error}");
                return;
            }
        }
    }

    /// Makes it read-only, or writable again. Nobody may have a file open for writing.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn read_only(&self, read_only: bool) {
        let (mut mount, root) = self.command(Path::new("mount"));
        let how = if read_only { "remount,ro" } else { "remount,rw" };
        run(mount.args(["-o", how]).arg(root)).ok();
    }

    /// Gives back what was filled.
    ///
    /// # Panics
    /// When the file cannot be removed.
    pub fn clear(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.path.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // It ends with its standard input, too; either way the mount goes with it.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
