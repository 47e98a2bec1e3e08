//! The server's command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Bartizan, the SSH access proxy: the server.
#[derive(Debug, Parser)]
#[command(name = "bartizand", version, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a data folder: configuration, keys, database, audit log.
    Init(Init),
    /// Run the server until SIGTERM or SIGINT.
    Serve(Data),
    /// Read the configuration and the data folder as a whole, and name every fault.
    Check(Check),
    /// Write a man page for each command: for packages.
    #[command(hide = true)]
    Man {
        /// Into this folder, which must be there.
        #[arg(long, value_name = "DIR")]
        output: PathBuf,
    },
}

/// Where everything is kept.
#[derive(Debug, Args)]
pub(crate) struct Data {
    /// The data folder.
    #[arg(
        long,
        short = 'D',
        env = "BARTIZAN_DATA",
        value_name = "DIR",
        hide_env_values = true,
        default_value = "./data"
    )]
    pub(crate) data: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    #[command(flatten)]
    pub(crate) data: Data,
    /// Where SSH clients will be accepted; repeat for several addresses.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "0.0.0.0:2222")]
    pub(crate) listen: Vec<SocketAddr>,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) data: Data,
    /// Print the reference page of the configuration instead.
    #[arg(long)]
    pub(crate) explain: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn help_of_every_command() {
        let mut command = Cli::command().term_width(80).disable_help_subcommand(true);
        command.build();
        let mut text = command.render_long_help().to_string();
        for inner in command.get_subcommands_mut() {
            let help = inner.render_long_help();
            text.push_str(&format!("=== {}\n{help}", inner.get_name()));
        }
        insta::assert_snapshot!(text);
    }

    /// The commands of the shortest path in the design, word for word.
    #[test]
    fn the_shortest_path_parses() {
        for line in [
            "init --data ./data --listen 127.0.0.1:2222",
            "serve --data ./data",
            "init",
            "serve",
            "check --explain",
        ] {
            Cli::try_parse_from(["bartizand"].into_iter().chain(line.split(' '))).unwrap();
        }
    }
}
