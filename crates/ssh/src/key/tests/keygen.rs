//! Runs `ssh-keygen` in a temporary folder.

use std::path::PathBuf;
use std::process::{Command, Output};

/// Every kind of key that ssh-keygen makes without hardware: type, bits.
pub(super) const KINDS: [(&str, &str); 6] = [
    ("ed25519", "256"),
    ("ecdsa", "256"),
    ("ecdsa", "384"),
    ("ecdsa", "521"),
    ("rsa", "2048"),
    ("rsa", "3072"),
];

pub(super) struct Keygen {
    folder: tempfile::TempDir,
}

impl Keygen {
    pub(super) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;
        let mut options = std::fs::OpenOptions::new();
        options.create(true).truncate(true).write(true).mode(0o600);
        options.open(self.path(name)).unwrap().write_all(text.as_bytes()).unwrap();
    }

    pub(super) fn try_run(&self, arguments: &[&str]) -> Output {
        Command::new("ssh-keygen").args(arguments).current_dir(self.folder.path()).output().unwrap()
    }

    /// Runs ssh-keygen, which must succeed, and returns what it printed.
    pub(super) fn run(&self, arguments: &[&str]) -> String {
        let output = self.try_run(arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "ssh-keygen {arguments:?}: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        text
    }

    /// Makes a key pair NAME, NAME.pub with the comment `somebody@somewhere`.
    pub(super) fn generate(&self, name: &str, kind: (&str, &str)) {
        self.run(&["-q", "-t", kind.0, "-b", kind.1, "-N", "", "-C", "somebody@somewhere", "-f", name]);
    }
}
