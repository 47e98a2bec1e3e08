//! What `access` decides: tables, properties, and the lessons of other gateways.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking, as tests do")]

mod authenticate;
mod certificates;
mod forwards;
mod judge;
mod lessons;
mod operators;
mod properties;
mod world;
