//! Pure decisions: is this evidence of identity enough, and may this person do this now.
//!
//! ```text
//!   Evidence (proven) ──authenticate──▶ Authenticated ─┐
//!                                                      ├─judge──▶ Permit | Denial
//!   Request (target, login, action, source), now ──────┘
//!            ▲                  Directory (immutable snapshot, grants compiled to Cedar)
//!   classify(shell, exec, subsystem) ──▶ Needs: which permissions would do
//! ```
//!
//! Everything here is a function of its arguments: no clock, no I/O, no state but the snapshot. The answer is
//! deny unless a rule permits, and a rule that forbids wins. One function, [`Directory::judge`], judges every
//! session and every channel, whatever the way in and the method of login.
//!
//! This room does not verify signatures (that is `ssh`), does not know what a channel carries (only what was
//! asked for, see [`classify`]), and never reduces recording by the look of a command.

#![forbid(unsafe_code)]

mod classify;
mod directory;
mod evidence;
mod files;
mod forwards;
mod judge;
mod policy;

pub use classify::{Asked, Needs, Program, classify, not_plain, program};
pub use directory::{BuildError, Directory, GrantedLogins};
pub use evidence::{Attempt, Authenticated, CertificateEvidence, Evidence, Rejected};
pub use files::{FileAccess, FileDenial, FilePath, FileSize, FileUse};
pub use judge::{Action, Decision, Denial, DenyReason, Permit, Request, Until};
pub use policy::{Policies, PolicyError, PolicyErrors, schema_text};
