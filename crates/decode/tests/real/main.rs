//! Real `sftp`, `scp`, `rsync` and `git` talk to real servers, and what passes is decoded: at once, and again in
//! other chunks, which must give the same.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails the test")]

mod git;
mod rsync;
mod rsync_files;
mod scp;
mod sftp;
mod tap;
