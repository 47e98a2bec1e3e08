//! End-to-end tests: stock clients, a running Bartizan, real OpenSSH servers.
//!
//! Everything here is seen from outside. A scenario is written once and runs by every way it makes sense
//! for: directly and through OpenSSH's own jump host, which proves the scenario itself, and by Bartizan's
//! ways in. `scripts/setup-test.sh` installs the clients that are not there.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail the test")]

mod scene;

mod agent;
mod algorithms;
mod certificates;
mod channels;
mod clients;
mod console;
mod coverage;
mod crash;
mod credentials;
mod database;
mod evidence;
mod exec;
mod files;
mod flow;
mod forward_rules;
mod forwards;
mod gate;
mod hostile;
mod hygiene;
mod kills;
mod limits;
mod names;
mod observe;
mod operate;
mod paths;
mod pty;
mod record;
mod refuse;
mod retention;
mod rotation;
mod selftest;
mod sftp_root;
mod signals;
mod space;
mod target;
mod tour;
