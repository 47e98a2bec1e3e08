//! A client, servers of targets, and the root between them, packet by packet.

mod hostile;
mod limits;
mod places;
mod requests;
mod rig;
