//! npm's `ssh2`, in JavaScript.

use std::process::Command;

use bartizan_testkit::target_folder;

use super::tools::{Library, library, source};

const SSH2: Library = Library(|| {
    let mut node = Command::new("node");
    node.arg(source("ssh2_client.js")).env("NODE_PATH", target_folder().join("test-node/node_modules"));
    node
});

library!(SSH2);
