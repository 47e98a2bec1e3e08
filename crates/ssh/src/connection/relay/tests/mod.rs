//! Tests of the relay: tables of states, and models of two ends that accept nothing illegal.

mod conversations;
mod edits;
mod endings;
mod limits;
mod replies;
mod rig;
mod states;
mod windows;
