//! The live path: the only room that does SSH I/O.
//!
//! ```text
//!  accept ─► identify ─► authorize ─► log ─► record ─► connect ─► relay ─► close
//!  gateway   identify    session ───────────────────────────────────────► session
//!  admission address     access      audit   record    upstream   relay    audit
//! ```
//!
//! [`start`] binds the listeners and runs one thread with one current-thread runtime for each core; a connection,
//! its inner connections and their upstreams stay on one thread. The protocol itself is sans-IO in `bartizan-ssh`;
//! here its bytes are moved, its questions answered by policy, what passes recorded and what happens logged.
//!
//! What this room must not know: the admin API, the followers of the log, how recordings are stored.

mod address;
mod admission;
mod beside;
mod bucket;
mod budget;
mod buffers;
mod connection;
mod console;
mod counts;
mod destination;
mod emergency;
mod evidence;
mod gateway;
mod grant;
mod hop;
mod identify;
mod idle;
mod keys;
mod live;
mod mux;
mod own;
mod parts;
mod pipe;
mod refuse;
mod relay;
#[cfg(test)]
mod rig;
mod rsync;
mod session;
pub mod sftp;
mod trail;
mod upstream;

pub use admission::HalfOpenLimits;
pub use beside::DIGESTS;
pub use counts::GatewayMeter;
pub use gateway::{GatewayHandle, StartError, TargetTests, start};
pub use keys::{CaKey, Keys};
pub use live::LiveSessions;
pub use parts::{Parts, Settings};
