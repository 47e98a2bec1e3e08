//! asyncssh, in Python.

use super::tools::{Library, library, python, source};

const ASYNCSSH: Library = Library(|| {
    let mut python = python();
    python.arg(source("asyncssh_client.py"));
    python
});

library!(ASYNCSSH);
