//! The command line against a real server in a temporary folder, and against none. No SSH happens here.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod database;
mod directory;
mod offline;
mod proof;
mod server;

use std::path::{Path, PathBuf};
use std::process::Command;

use bartizan_testkit::{Finished, KeyPair, KeyType, programs, run};

/// Runs a program of ours with arguments.
#[track_caller]
fn program(name: &str, arguments: &[&str]) -> Finished {
    run(Command::new(programs().join(name)).args(arguments).env_remove("BARTIZAN_DATA"))
}

/// Writes a fresh public key into `folder`.
fn public_key(folder: &Path, name: &str) -> PathBuf {
    KeyPair::generate(folder, name, KeyType::Ed25519).public()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What a command told, on either output.
trait Tells {
    /// Itself, when every one of `words` is there.
    fn tells(self, words: &[&str]) -> Self;
}

impl Tells for Finished {
    #[track_caller]
    fn tells(self, words: &[&str]) -> Self {
        let all = self.text() + &self.errors();
        for word in words {
            assert!(all.contains(word), "{word:?} is missing in what this told: {self}");
        }
        self
    }
}
