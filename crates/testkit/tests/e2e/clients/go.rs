//! Go's `x/crypto/ssh`, with `pkg/sftp` for files.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use bartizan_testkit::{run, sha256, target_folder};

use super::tools::{Library, library, source};
use crate::scene::text;

/// Builds the program once for each state of its source; tests that run at once may all do so.
pub(crate) fn program() -> PathBuf {
    let source = source("client.go");
    let digest = sha256(&fs::read(&source).unwrap());
    let program = target_folder().join(format!("test-go/client-{}", &digest[..16]));
    if !program.exists() {
        let folder = tempfile::tempdir_in(target_folder()).unwrap();
        let built = folder.path().join("client");
        let mut build = Command::new("go");
        build.args(["build", "-o", text(&built)]).arg(source);
        // The libraries come from the distribution's packages, without a network.
        build.env("GO111MODULE", "off").env("GOPATH", "/usr/share/gocode").env("GOFLAGS", "");
        build.env("GOCACHE", target_folder().join("test-go"));
        run(&mut build).ok();
        fs::rename(built, &program).unwrap();
    }
    program
}

const GO: Library = Library(|| Command::new(program()));

library!(GO);
