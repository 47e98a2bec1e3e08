//! The command line: administers a running server over its socket, and reads recordings and the log offline.
//!
//! ```text
//!   args ─► commands ─┬─► client ─► admin.sock of the server
//!                     └─► record and audit readers, for what works with the server stopped
//!                  out ◄─┘  tables or JSON; nothing foreign is printed raw
//! ```
//!
//! It never links the gateway, the store or the API's server side: an auditor runs it without trusting them.

mod args;
mod client;
mod commands;
mod failure;
mod out;
mod progress;
mod table;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let done = match args::Cli::try_parse() {
        Ok(cli) => {
            let data = cli.named_data().map(std::path::Path::to_owned);
            commands::run(cli).map_err(|failure| match data {
                Some(data) => failure.in_folder(&data),
                None => failure,
            })
        }
        // Arguments may come from a script that got them from a peer: they are not repeated raw.
        Err(error) if error.use_stderr() => {
            let text = error.render().to_string();
            let text = text.strip_prefix("error: ").unwrap_or(&text).trim_end();
            Err(failure::Failure::new(failure::Kind::Usage, text))
        }
        // --help and --version.
        Err(help) => help.exit(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.silent {
                // There is nobody left to tell when standard error is closed.
                let _ = writeln!(std::io::stderr(), "{failure}");
            }
            failure.kind.exit_code().into()
        }
    }
}
