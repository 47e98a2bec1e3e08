//! What decoders read out of bytes that passed: derived, never evidence.
//!
//! The evidence is the recording and the digests of its channels. An observation says what those bytes mean as far
//! as a decoder understands the protocol, and how sure that is. Names and messages of peers are escaped (see
//! [`crate::Escaped`]) and cut to what an event can hold.

use serde::{Deserialize, Serialize};

use crate::{Fingerprint, Sha256Hex};

/// Who derived an observation, and how sure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Derived {
    /// Which decoder.
    pub decoder: Decoder,
    /// How sure it is.
    pub confidence: Confidence,
}

/// A decoder, by the protocol it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decoder {
    /// SFTP version 3 with OpenSSH's extensions.
    Sftp,
    /// The protocol of `scp -t` and `scp -f`.
    Scp,
    /// rsync over SSH.
    Rsync,
    /// Git's pack protocol over SSH.
    Git,
    /// The SSH agent protocol.
    Agent,
    /// HTTP/1 (RFC 9112), by its first lines.
    Http,
    /// TLS (RFC 8446), by its `ClientHello`.
    Tls,
    /// SSH (RFC 4253), by its identification string.
    Ssh,
}

/// How sure an observation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// Guessed: the bytes can be read in another way, too.
    Low,
    /// One end said so, or it was read from a command line that a shell may read otherwise.
    Medium,
    /// What was asked and what was answered agree.
    High,
}

/// Which way a file went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the client to the target.
    Upload,
    /// From the target to the client.
    Download,
}

/// A file that was copied, or that somebody tried to copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// The channel's ordinal in the session.
    pub channel: u32,
    /// Which way.
    pub direction: Direction,
    /// The path on the target as the protocol names it, escaped; cut at 4 KiB. Relative ones start at the login's home.
    pub path: String,
    /// The file's own name where the protocol gives it apart and `path` may be that of its folder, escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Bytes of the file that passed. Of rsync those of its contents that the other end did not have, with `-z` compressed; where
    /// files are not told apart, those of all data that are not of one that is.
    pub bytes: u64,
    /// The file's length as announced, where the protocol announces it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// The digest of the bytes that passed, in the file's order from its beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256Hex>,
    /// Why there is no digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_sha256: Option<String>,
    /// Permission bits asked for, in octal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Time of modification asked for, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtime: Option<i64>,
    /// Time of access asked for, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub atime: Option<i64>,
    /// How many files this stands for, where they cannot be told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
    /// `ok`, or what the target answered, escaped.
    pub status: String,
    /// What the target answered to a part that it refused where the file lacks nothing by it, escaped: one beyond the end of
    /// what passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// True when the session or channel ended before the file did.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// Who says so.
    pub derived: Derived,
}

/// One path that was changed on the target, or that somebody tried to change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathChange {
    /// The channel's ordinal in the session.
    pub channel: u32,
    /// The path, escaped.
    pub path: String,
    /// Permission bits asked for, in octal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// `ok`, or what the target answered, escaped.
    pub status: String,
    /// Who says so.
    pub derived: Derived,
}

/// Two paths of which one was made from the other, or was to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathPair {
    /// The channel's ordinal in the session.
    pub channel: u32,
    /// What was there: the old name, the linked file, the source; escaped.
    pub from: String,
    /// What came to be: the new name, the link, the copy; escaped.
    pub to: String,
    /// How it was asked for, where there are several ways: `posix-rename@openssh.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// How many bytes were to be copied; none is all, or does not apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// `ok`, or what the target answered, escaped.
    pub status: String,
    /// Who says so.
    pub derived: Derived,
}

/// Attributes that were set, or that somebody tried to set; only those that were asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributeChange {
    /// The channel's ordinal in the session.
    pub channel: u32,
    /// The path, escaped.
    pub path: String,
    /// `setstat`, `fsetstat` (by an open handle) or `lsetstat` (of a link itself).
    pub request: String,
    /// Length the file was cut or stretched to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
    /// Permission bits, in octal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Time of access, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub atime: Option<i64>,
    /// Time of modification, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtime: Option<i64>,
    /// `ok`, or what the target answered, escaped.
    pub status: String,
    /// Who says so.
    pub derived: Derived,
}

/// What is counted and not listed one by one, said once when an SFTP channel ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SftpEnd {
    /// The channel's ordinal in the session.
    pub channel: u32,
    /// The protocol version that both ends agreed on; none when they did not come so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// Files opened.
    pub opens: u64,
    /// Folders listed.
    pub listings: u64,
    /// Questions about attributes, links, real paths and file systems.
    pub stats: u64,
    /// All requests.
    pub requests: u64,
    /// Extensions asked for that are not understood, escaped; at most eight.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
    /// Who says so.
    pub derived: Derived,
}

/// An `scp` in its old protocol is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScpEnd {
    /// The channel's ordinal in the session.
    pub channel: u32,
    /// Which way.
    pub direction: Direction,
    /// The path of the command line, escaped.
    pub path: String,
    /// Files that passed, whole or not.
    pub files: u64,
    /// Folders that were entered (`-r`).
    pub folders: u64,
    /// Errors that either end reported.
    pub errors: u64,
    /// Who says so.
    pub derived: Derived,
}

/// An rsync is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RsyncEnd {
    /// The channel's ordinal in the session.
    pub channel: u32,
    /// Which way; none where a daemon refused before it was asked for anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// The module, with a daemon at the other end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// Paths on the target, escaped.
    pub paths: Vec<String>,
    /// The server's options, escaped.
    pub options: Vec<String>,
    /// The first of the names of files that a client gave inside the stream to fetch them (`--files-from`), escaped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files_from: Vec<String>,
    /// The protocol version both ends agreed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// Entries of the list of files: files, folders, links. None where the list was not read, or not all that followed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed: Option<u64>,
    /// Bytes of all files and links in the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_size: Option<u64>,
    /// Files whose contents passed, or what of them the other end did not have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transferred: Option<u64>,
    /// Bytes of contents that passed; with `-z` compressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_bytes: Option<u64>,
    /// Files and folders that the target said it deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<u64>,
    /// Bytes of the protocol from client to target.
    pub bytes_in: u64,
    /// Bytes of the protocol from target to client.
    pub bytes_out: u64,
    /// Errors that either end reported.
    pub errors: u64,
    /// `ok`, or how it ended.
    pub status: String,
    /// Who says so.
    pub derived: Derived,
}

/// A ref that a push changed, or was to change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitRef {
    /// The channel's ordinal in the session.
    pub channel: u32,
    /// The repository's path on the target, escaped.
    pub repository: String,
    /// The ref's full name, escaped.
    #[serde(rename = "ref")]
    pub name: String,
    /// What it pointed to; none for a new ref.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// What it points to now; none for a removed ref.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
    /// `ok`, or why the target refused, escaped; or that the client asked for no report, so that nobody says.
    pub status: String,
    /// Who says so.
    pub derived: Derived,
}

/// A Git service is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitEnd {
    /// The channel's ordinal in the session.
    pub channel: u32,
    /// `git-receive-pack`, `git-upload-pack` or `git-upload-archive`.
    pub service: String,
    /// The repository's path on the target, escaped.
    pub repository: String,
    /// The protocol's version.
    pub version: u32,
    /// Refs that a push was to change.
    pub refs: u64,
    /// Objects that a fetch asked for by name.
    pub wants: u64,
    /// Objects that a fetch said it has.
    pub haves: u64,
    /// Bytes of the pack that was pushed; a fetched one is not told from the rest.
    pub pack_bytes: u64,
    /// Who says so.
    pub derived: Derived,
}

/// A decoder understands no more of its channel, and says so once. The recording goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecodeStop {
    /// The channel's ordinal in the session.
    pub channel: u32,
    /// Why, in words; what a peer said is escaped.
    pub reason: String,
    /// Bytes of the channel from client to target before what was not understood.
    pub bytes_in: u64,
    /// Bytes of the channel from target to client before what was not understood.
    pub bytes_out: u64,
    /// Who says so.
    pub derived: Derived,
}

/// Something was asked of the client's agent through a forwarded channel, and answered.
///
/// Requests to list keys are not told; signatures, and what changes the agent, are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRequest {
    /// The channel's ordinal in the session.
    pub channel: u32,
    /// `sign`, `add`, `remove`, `remove_all`, `lock`, `unlock`, `extension`, or `message N` of another number.
    pub request: String,
    /// The key, where the request names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Fingerprint>,
    /// The account that the signature is to log in to, where it is one for SSH (RFC 4252 §7), escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// `ok`, `refused` by the agent, or `unanswered`.
    pub status: String,
    /// Who says so.
    pub derived: Derived,
}

/// What a forwarded connection began with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardGreeting {
    /// The channel's ordinal in the session.
    pub channel: u32,
    /// `HTTP` method and path of the first request, escaped; none for TLS and SSH.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// The identification string of SSH (RFC 4253 §4.2), escaped. What follows it is encrypted: nobody sees what is done in
    /// that session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identification: Option<String>,
    /// The host's name: `Host` of HTTP, `server_name` of TLS (RFC 6066 §3); escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Who says so.
    pub derived: Derived,
}
