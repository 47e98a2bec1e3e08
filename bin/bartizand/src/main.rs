//! The server.

mod config;

fn main() {}
