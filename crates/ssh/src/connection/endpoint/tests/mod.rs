//! Tests of the endpoint: tables of states, windows, and random conversations.

mod calls;
mod conversations;
mod peer_messages;
mod rig;
