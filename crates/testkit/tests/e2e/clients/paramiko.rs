//! Paramiko, in Python.

use super::tools::{Library, library, python, source};

const PARAMIKO: Library = Library(|| {
    let mut python = python();
    python.arg(source("paramiko_client.py"));
    python
});

library!(PARAMIKO);
