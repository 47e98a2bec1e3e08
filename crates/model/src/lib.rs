//! The vocabulary of Bartizan: words that cross a boundary between rooms.
//!
//! Ids, names, addresses, permissions, the event schema, the records of the directory and the types
//! of the admin API. Values that exist are valid: names are checked when they are made. What has one
//! caller does not belong here; nothing here does I/O or knows another room.

pub mod api;
mod certificate;
mod credential;
mod digest;
mod directory;
mod escape;
pub mod event;
mod file_rules;
mod fingerprint;
mod forward_rules;
mod id;
pub mod metric;
mod name;
pub mod observation;
mod permission;
mod recording;
mod selector;
mod session;
mod time;

pub use certificate::{CertificatePermit, IssuedCertificate, Revocation, RevokedCertificates};
pub use credential::{CredentialKind, SecretText, StoredCredential};
pub use digest::{Beside, BoxedDigest, Digesting, LongDigest};
pub use directory::{
    AuthorizedKey, DirectoryData, Grant, GrantId, Grantee, HostKeyTrust, InvalidRecord, Person, PersonState,
    Recording, Role, SourceNetwork, Target, TrustedCa,
};
pub use escape::{Escaped, escape};
pub use file_rules::{FileRules, PathGlob, Reach};
pub use fingerprint::Fingerprint;
pub use forward_rules::{ForwardEnd, ForwardHost, ForwardRules, ForwardTo, ListenOn};
pub use id::{NodeId, SessionId};
pub use name::{InvalidName, LoginName, Name, PersonName, RoleName, TargetName};
pub use permission::{Permission, PermissionSet, UnknownPermission};
pub use recording::{ChannelDigest, RecordingFile, Sha256Hex};
pub use selector::{Label, Labels, TargetSelector};
pub use session::{CONSOLE, SessionState, SessionSummary, Way};
pub use time::{InvalidTimestamp, Timestamp};
