//! The server: reads the configuration, builds everything in one place, handles signals.
//!
//! No product logic lives here: [`wiring`] joins the rooms, everything else is about the data folder.

mod adapters;
mod args;
mod cas;
mod check;
mod config;
mod database;
mod failure;
mod folder;
mod init;
mod keys;
mod left;
mod master;
mod note;
mod orphans;
mod policies;
mod recall;
mod retention;
mod serve;
mod space;
mod unsigned;
mod wiring;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

/// Small allocations of many sizes on every thread: measured against the system's allocator and jemalloc, it
/// is the one that helps a relay.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Writes a man page for each command.
fn man(output: &std::path::Path) -> Result<(), failure::Failure> {
    clap_mangen::generate_to(args::Cli::command(), output)
        .map_err(|e| failure::Failure::new(format!("cannot write man pages to {}: {e}", output.display())))
}

fn main() -> ExitCode {
    let args::Cli { command } = args::Cli::parse();
    let done = match command {
        args::Command::Init(args) => init::run(&args.data.data, &args.listen),
        args::Command::Serve(data) => serve::run(&data),
        args::Command::Man { output } => man(&output),
        args::Command::Check(args) => check::run(&args.data.data, args.explain),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // There is nobody left to tell when standard error is closed.
            let _ = writeln!(std::io::stderr(), "{failure}");
            ExitCode::FAILURE
        }
    }
}
