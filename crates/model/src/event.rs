//! The audit log's events: one enum, dotted names, a schema version each.
//!
//! An event is JSON of at most [`MAX_EVENT_BYTES`]. Common blocks stand first, then the event's own
//! fields; what does not concern an event is left out. Bytes from peers are stored escaped (see
//! [`crate::Escaped`]). Passwords and keystrokes are never in an event.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::observation::{
    AgentRequest, AttributeChange, DecodeStop, ForwardGreeting, GitEnd, GitRef, PathChange, PathPair,
    RsyncEnd, ScpEnd, SftpEnd, Transfer,
};
use crate::{
    CertificatePermit, ChannelDigest, CredentialKind, Fingerprint, GrantId, LoginName, NodeId, PermissionSet,
    PersonName, RecordingFile, SessionId, Sha256Hex, SourceNetwork, TargetName, Timestamp, Way,
};

/// Longest event, in bytes of JSON: what an entry bundle can hold (C2SP tlog-tiles).
pub const MAX_EVENT_BYTES: usize = 65_535;

/// The anomaly of a recording whose `recording.remove` no checkpoint held when the server ended, and that was whole.
pub const RECORDING_KEPT: &str = "recording.kept";
/// The same of a recording that was not whole any more.
pub const RECORDING_GONE: &str = "recording.gone";

/// One entry of the audit log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Position in the log; the log fills it in when the event is appended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// Schema version of this event's type.
    pub v: u32,
    /// When it happened.
    pub time: Timestamp,
    /// Which node appended it.
    pub node: NodeId,
    /// How much attention it wants.
    pub severity: Severity,
    /// Whether what was tried was done.
    pub outcome: Outcome,
    /// Who, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<PersonName>,
    /// How they proved it, once known: `publickey`, `certificate`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// From where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SocketAddr>,
    /// In which session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// On which target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetName>,
    /// As which account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<LoginName>,
    /// The event's own fields, tagged by `type`.
    #[serde(flatten)]
    pub body: Body,
}

/// How much attention an event wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Everyday.
    Info,
    /// Unusual; look at it some day.
    Notice,
    /// Somebody should look at it today.
    Warning,
    /// Somebody should look at it now.
    High,
}

/// Whether what was tried was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was done.
    Success,
    /// It was refused by policy.
    Denied,
    /// It failed.
    Failure,
}

/// How far a request to listen has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForwardState {
    /// It is passed on to the target.
    Asked,
    /// The target listens.
    Listening,
    /// The target listens no more.
    Cancelled,
    /// Policy refuses it; the target learns nothing.
    Refused,
    /// The target refused it.
    Failed,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Body {
    /// The server started.
    #[serde(rename = "server.start")]
    ServerStart {
        /// Its version.
        version: String,
        /// The addresses it listens on.
        listen: Vec<SocketAddr>,
    },
    /// The server stopped in order.
    #[serde(rename = "server.stop")]
    ServerStop {
        /// Why.
        reason: String,
    },
    /// A connection was refused before authentication.
    #[serde(rename = "connection.refuse")]
    ConnectionRefuse {
        /// Why.
        reason: String,
        /// How many connections this tells of, where they were too many for an event each; the source is then all of an
        /// IPv4 address or of an IPv6 /64, or none where they came from many.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        count: Option<u64>,
    },
    /// A person proved who they are.
    #[serde(rename = "auth.accept")]
    AuthAccept {
        /// The user name they sent, escaped.
        user: String,
        /// The key's fingerprint; for a certificate, that of the certified key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<Fingerprint>,
        /// The certificate, where one was used.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        certificate: Option<CertificateUsed>,
        /// The client's identification, escaped.
        client: String,
    },
    /// Authentication ended without success.
    #[serde(rename = "auth.reject")]
    AuthReject {
        /// The user name they sent, escaped and cut.
        user: String,
        /// The last key offered or proven.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<Fingerprint>,
        /// Why.
        reason: String,
        /// The client's identification, escaped.
        client: String,
    },
    /// Policy permits the session.
    #[serde(rename = "access.permit")]
    AccessPermit {
        /// The rules that permit it.
        rules: Vec<GrantId>,
        /// What they permit together.
        allow: PermissionSet,
    },
    /// Policy denies a session, a channel or a request.
    #[serde(rename = "access.deny")]
    AccessDeny {
        /// What was asked for: `connect`, or a permission.
        action: String,
        /// Details of what was asked for, escaped: the command, the destination.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
        /// Why.
        reason: String,
        /// The rules that forbid it; empty when no rule permits it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        rules: Vec<GrantId>,
    },
    /// A session begins: durable before the target is dialled.
    #[serde(rename = "session.start")]
    SessionStart {
        /// How it came in.
        way: Way,
        /// What it may do.
        allow: PermissionSet,
        /// Bytes kept of each channel without a PTY; none is all.
        channel_cap: Option<u64>,
        /// Whether keystrokes are kept.
        input: bool,
        /// The client's identification, escaped.
        client: String,
    },
    /// The target was reached, its host key verified, and it accepted our credential.
    #[serde(rename = "upstream.connect")]
    UpstreamConnect {
        /// The address dialled.
        address: SocketAddr,
        /// The fingerprint of the target's host key.
        host_key: Fingerprint,
        /// How it was verified: `pinned`, `authority`, `first_use`.
        verified: String,
        /// What we logged in with: `certificate SERIAL`, `derived key SHA256:…`, `stored password` or
        /// `stored key SHA256:…`.
        credential: String,
        /// The target's identification, escaped.
        server: String,
    },
    /// The target could not be reached, verified or logged in to.
    #[serde(rename = "upstream.fail")]
    UpstreamFail {
        /// What was tried last: `resolve`, `connect`, `handshake`, `host_key`, `authenticate`.
        stage: String,
        /// Why it failed.
        reason: String,
        /// The host key shown, where there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        host_key: Option<Fingerprint>,
    },
    /// An operator tests whether a target can be reached and logged in to: durable before it is dialled.
    #[serde(rename = "target.test")]
    TargetTest {
        /// Who: `uid N` of the socket's peer.
        by: String,
    },
    /// A host key was accepted at first use and pinned.
    #[serde(rename = "host_key.first_use")]
    HostKeyFirstUse {
        /// Its fingerprint.
        host_key: Fingerprint,
    },
    /// A channel was asked for.
    #[serde(rename = "channel.open")]
    ChannelOpen {
        /// The channel's ordinal in the session, from 0.
        channel: u32,
        /// Its type (RFC 4254 §5.1), escaped.
        kind: String,
        /// Who asked: `client` or `target`.
        from: String,
        /// Destination and originator, where the type has them, escaped.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
        /// Why it was refused.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The client asked the target to listen for it (RFC 4254 §7.1), or to stop.
    #[serde(rename = "forward.listen")]
    ForwardListen {
        /// The name of the request, such as `tcpip-forward`.
        request: String,
        /// Where: `ADDRESS:PORT` with the port the target chose if it was left to it, or a path; escaped.
        on: String,
        /// How far it has come.
        state: ForwardState,
        /// Why it was refused.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Something was asked of a channel.
    #[serde(rename = "channel.request")]
    ChannelRequest {
        /// The channel's ordinal in the session.
        channel: u32,
        /// The request (RFC 4254 §6), escaped.
        request: String,
        /// Its parameters, escaped: terminal, size, name of a variable, signal.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
        /// Why it was refused.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A command, a shell or a subsystem was asked for.
    #[serde(rename = "command")]
    Command {
        /// The channel's ordinal in the session.
        channel: u32,
        /// `exec`, `shell` or `subsystem`.
        request: String,
        /// The command or the subsystem's name, exact but escaped; cut at 8 KiB.
        command: String,
        /// The length of the whole command in bytes.
        length: u64,
        /// The SHA-256 of the whole command, where it was cut; the recording has all of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha256: Option<Sha256Hex>,
        /// Whether the channel has a terminal.
        pty: bool,
    },
    /// A command was entered at the console: durable before it is carried out.
    #[serde(rename = "console.command")]
    ConsoleCommand {
        /// The line as it was entered, escaped; cut at 8 KiB.
        command: String,
        /// The length of the whole line in bytes.
        length: u64,
    },
    /// A channel is closed both ways.
    #[serde(rename = "channel.close")]
    ChannelClose {
        /// The channel's ordinal in the session.
        channel: u32,
        /// Its type, escaped.
        kind: String,
        /// Client to target.
        input: ChannelDigest,
        /// Target to client, standard output.
        output: ChannelDigest,
        /// Target to client, standard error and other extended data.
        error: ChannelDigest,
        /// Exit status of the command.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exit_status: Option<u32>,
        /// Signal that ended the command.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exit_signal: Option<String>,
        /// How long it was open, in microseconds.
        duration_us: u64,
    },
    /// A session is over.
    #[serde(rename = "session.end")]
    SessionEnd {
        /// Why.
        reason: String,
        /// How long it lasted, in microseconds.
        duration_us: u64,
        /// Bytes from client to target, over all channels. When the server stopped before: those of channels whose end is
        /// on record, and of others what was recorded, which is what passed at least.
        bytes_in: u64,
        /// Bytes from target to client, over all channels, in the same way.
        bytes_out: u64,
        /// Exit status of the first session channel that had one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exit_status: Option<u32>,
        /// True when the recording lacks the session's end.
        truncated: bool,
        /// The recording's files.
        recording: Vec<RecordingFile>,
    },
    /// A session goes on, or begins, where others are refused or ended: its grant is a break-glass one, and its
    /// recording or the space for it fails.
    #[serde(rename = "break_glass.start")]
    BreakGlassStart {
        /// The break-glass grants that permit it.
        rules: Vec<GrantId>,
        /// What fails.
        reason: String,
        /// Whether its recording is written nevertheless. Digests of all that passes are in `channel.close` always.
        recorded: bool,
    },
    /// A session that passed by a break-glass grant is over.
    #[serde(rename = "break_glass.end")]
    BreakGlassEnd {
        /// Whether its recording is whole.
        recorded: bool,
        /// How long it lasted, in microseconds.
        duration_us: u64,
    },
    /// The disk of the data folder is running out of space: somebody should act before sessions are refused.
    #[serde(rename = "space.low")]
    SpaceLow {
        /// What there is.
        #[serde(flatten)]
        space: DiskSpace,
    },
    /// Too little space is left: new sessions are refused, but for break-glass grants.
    #[serde(rename = "space.full")]
    SpaceFull {
        /// What there is.
        #[serde(flatten)]
        space: DiskSpace,
    },
    /// There is enough space again: sessions are permitted as before.
    #[serde(rename = "space.ok")]
    SpaceOk {
        /// What there is.
        #[serde(flatten)]
        space: DiskSpace,
        /// Events that the log had no room for since `space.full`; what they would have told of was refused.
        unlogged: u64,
    },
    /// A recording is removed by retention: durable before its first file goes.
    #[serde(rename = "recording.remove")]
    RecordingRemove {
        /// Why: the rule and what it says.
        reason: String,
        /// Bytes on disk of all its files.
        bytes: u64,
        /// Its files, as `session.end` named them.
        recording: Vec<RecordingFile>,
    },
    /// A recording was read.
    #[serde(rename = "recording.read")]
    RecordingRead {
        /// `play` or `export FORMAT`.
        how: String,
    },
    /// Somebody searched the log.
    #[serde(rename = "log.read")]
    LogRead {
        /// The query.
        query: String,
    },
    /// The index of the log is dropped and made again from the log.
    #[serde(rename = "log.reindex")]
    LogReindex {
        /// Who asked for it: `uid N` of the socket's peer.
        by: String,
    },
    /// An operator is about to end the session.
    #[serde(rename = "session.terminate")]
    SessionTerminate {
        /// The reason that the person is told, escaped.
        reason: String,
        /// Who ended it: `uid N` of the socket's peer.
        by: String,
    },
    /// The server was told to read its policies and configuration again.
    #[serde(rename = "server.reload")]
    ServerReload {
        /// How many files of operators' policies are in force from now on; with `reason` set those from before are.
        policies: u64,
        /// Why nothing was taken, where it was not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// Keys of the configuration whose new values are in force from now on.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        changed: Vec<String>,
        /// Keys whose new values are in force after a restart.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        restart: Vec<String>,
    },
    /// The directory was changed by an operator.
    #[serde(rename = "directory.change")]
    DirectoryChange {
        /// `add`, `change`, `remove`, `lock`, `unlock`, `pin`, `assign`, `unassign`, `label`; `apply` of a whole file.
        action: String,
        /// `role`, `person`, `key`, `target`, `grant`, `ca`, `directory`.
        record: String,
        /// Its name or id.
        name: String,
        /// The record after the change, or before its removal with what goes along. One that is too long for an
        /// event goes over several, each with its number in it: `part` of `parts`.
        #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
        value: serde_json::Value,
        /// Who changed it: `uid N` of the socket's peer.
        by: String,
    },
    /// A stored credential of the login on the target was set or removed. The secret is in no event.
    #[serde(rename = "credential.change")]
    CredentialChange {
        /// `set` or `remove`.
        action: String,
        /// What it is.
        kind: CredentialKind,
        /// The fingerprint of a stored key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<Fingerprint>,
        /// Why it was not done, where it was not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// Who changed it: `uid N` of the socket's peer.
        by: String,
    },
    /// A key of one of Bartizan's own CAs was made, began to sign, or is trusted no more.
    #[serde(rename = "ca.change")]
    CaChange {
        /// `user`, `host` or `people`.
        ca: String,
        /// `rotate` (a next key), `activate` (it signs now), `cancel` (the next key is dropped), `retire` (the old one
        /// is), or `create` (the CA's first key, in a data folder that had none).
        action: String,
        /// The key.
        key: Fingerprint,
        /// When the next key is to be activated by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Timestamp>,
        /// Why it was not done, where it was not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// Who: `uid N` of the socket's peer, `schedule`, or `start`.
        by: String,
    },
    /// The people CA signs a user certificate.
    #[serde(rename = "certificate.issue")]
    CertificateIssue {
        /// Whom it stands for.
        holder: PersonName,
        /// The key that it certifies.
        key: Fingerprint,
        /// The key of the people CA that signs it.
        ca: Fingerprint,
        /// Its serial number.
        serial: u64,
        /// Its key id.
        key_id: String,
        /// Valid from this time on.
        valid_after: Timestamp,
        /// Valid before this time.
        valid_before: Timestamp,
        /// From which networks only; empty is anywhere.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        sources: Vec<SourceNetwork>,
        /// What it does not hold back.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        permits: Vec<CertificatePermit>,
        /// Why it was not issued, where it was not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// Who issued it: `uid N` of the socket's peer.
        by: String,
    },
    /// User certificates are refused from now on, and sessions that began with one end.
    #[serde(rename = "certificate.revoke")]
    CertificateRevoke {
        /// The CA that signed them; none where every CA's are meant.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ca: Option<Fingerprint>,
        /// The serial number of the one that is revoked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        serial: Option<u64>,
        /// The key id of all that are, escaped.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key_id: Option<String>,
        /// The key that they certify.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<Fingerprint>,
        /// Whom it stands for, where Bartizan issued it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        holder: Option<PersonName>,
        /// Why it was not done, where it was not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// Who revoked them: `uid N` of the socket's peer.
        by: String,
    },
    /// The vault's data key is wrapped by another master key.
    #[serde(rename = "vault.rotate")]
    VaultRotate {
        /// The id of the master key before.
        from: String,
        /// The id of the master key after.
        to: String,
        /// Why it was not done, where it was not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// Who rotated it: `uid N` of the socket's peer.
        by: String,
    },
    /// Derived: a file was copied.
    #[serde(rename = "transfer")]
    Transfer(Transfer),
    /// Derived: a file or folder was renamed.
    #[serde(rename = "sftp.rename")]
    SftpRename(PathPair),
    /// Derived: a file was removed.
    #[serde(rename = "sftp.remove")]
    SftpRemove(PathChange),
    /// Derived: a folder was made.
    #[serde(rename = "sftp.mkdir")]
    SftpMkdir(PathChange),
    /// Derived: a folder was removed.
    #[serde(rename = "sftp.rmdir")]
    SftpRmdir(PathChange),
    /// Derived: a symbolic link was made.
    #[serde(rename = "sftp.symlink")]
    SftpSymlink(PathPair),
    /// Derived: a hard link was made.
    #[serde(rename = "sftp.hardlink")]
    SftpHardlink(PathPair),
    /// Derived: attributes were set.
    #[serde(rename = "sftp.setstat")]
    SftpSetstat(AttributeChange),
    /// Derived: bytes were copied from file to file on the target.
    #[serde(rename = "sftp.copy")]
    SftpCopy(PathPair),
    /// A request of SFTP was refused, because no grant permits it for this file. The target has not seen it; the session goes on.
    #[serde(rename = "sftp.refuse")]
    SftpRefuse {
        /// The channel's ordinal in the session.
        channel: u32,
        /// The request: `open`, `write`, `remove`, `posix-rename@openssh.com`, …
        request: String,
        /// The path as it was asked for, or that of the open file, escaped; cut at 4 KiB.
        path: String,
        /// The second path, where the request has two.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<String>,
        /// Why, in words.
        reason: String,
        /// The grants that would permit it but for their paths or sizes.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        rules: Vec<GrantId>,
    },
    /// Derived: an SFTP channel is over.
    #[serde(rename = "sftp.end")]
    SftpEnd(SftpEnd),
    /// Derived: an `scp` is over.
    #[serde(rename = "scp.end")]
    ScpEnd(ScpEnd),
    /// Derived: an rsync is over.
    #[serde(rename = "rsync.end")]
    RsyncEnd(RsyncEnd),
    /// Derived: a push changed a ref.
    #[serde(rename = "git.ref")]
    GitRef(GitRef),
    /// Derived: a Git service is over.
    #[serde(rename = "git.end")]
    GitEnd(GitEnd),
    /// Derived: something was asked of the client's agent.
    #[serde(rename = "agent.request")]
    AgentRequest(AgentRequest),
    /// Derived: what a forwarded connection began with.
    #[serde(rename = "forward.greeting")]
    ForwardGreeting(ForwardGreeting),
    /// A decoder understands no more of its channel.
    #[serde(rename = "decode.stop")]
    DecodeStop(DecodeStop),
    /// A peer or a program did something that wants attention. The names [`RECORDING_KEPT`] and [`RECORDING_GONE`] also
    /// [withdraw](Body::withdraws_removal) what the log says of a recording.
    #[serde(rename = "anomaly")]
    Anomaly {
        /// What.
        what: String,
        /// Details, escaped.
        detail: String,
    },
}

/// How much space the file system of the data folder has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskSpace {
    /// Bytes that can still be written.
    pub free_bytes: u64,
    /// Its size in bytes.
    pub total_bytes: u64,
    /// Files that can still be made; none where the file system has no such limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_files: Option<u64>,
    /// What is compared with which mark.
    pub reason: String,
}

/// A user certificate that was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateUsed {
    /// The CA's fingerprint.
    pub ca: Fingerprint,
    /// The certificate's key id, escaped.
    pub key_id: String,
    /// Its serial number.
    pub serial: u64,
}

impl Event {
    /// An everyday event of `body` without any common block but time and node.
    pub fn new(node: &NodeId, time: Timestamp, body: Body) -> Self {
        Self {
            index: None,
            v: 1,
            time,
            node: node.clone(),
            severity: Severity::Info,
            outcome: Outcome::Success,
            person: None,
            method: None,
            source: None,
            session: None,
            target: None,
            login: None,
            body,
        }
    }

    /// The event's type, as in its `type` field.
    pub fn kind(&self) -> &'static str {
        self.body.kind()
    }
}

impl Body {
    /// Every type that [`Self::kind`] names.
    pub const KINDS: [&str; 55] = [
        "server.start",
        "server.stop",
        "connection.refuse",
        "auth.accept",
        "auth.reject",
        "access.permit",
        "access.deny",
        "session.start",
        "upstream.connect",
        "upstream.fail",
        "target.test",
        "host_key.first_use",
        "channel.open",
        "forward.listen",
        "channel.request",
        "command",
        "console.command",
        "channel.close",
        "session.end",
        "break_glass.start",
        "break_glass.end",
        "space.low",
        "space.full",
        "space.ok",
        "recording.remove",
        "recording.read",
        "log.read",
        "log.reindex",
        "session.terminate",
        "server.reload",
        "directory.change",
        "credential.change",
        "ca.change",
        "certificate.issue",
        "certificate.revoke",
        "vault.rotate",
        "transfer",
        "sftp.rename",
        "sftp.remove",
        "sftp.mkdir",
        "sftp.rmdir",
        "sftp.symlink",
        "sftp.hardlink",
        "sftp.setstat",
        "sftp.copy",
        "sftp.refuse",
        "sftp.end",
        "scp.end",
        "rsync.end",
        "git.ref",
        "git.end",
        "agent.request",
        "forward.greeting",
        "decode.stop",
        "anomaly",
    ];

    /// The type's dotted name.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::ServerStart { .. } => "server.start",
            Self::ServerStop { .. } => "server.stop",
            Self::ConnectionRefuse { .. } => "connection.refuse",
            Self::AuthAccept { .. } => "auth.accept",
            Self::AuthReject { .. } => "auth.reject",
            Self::AccessPermit { .. } => "access.permit",
            Self::AccessDeny { .. } => "access.deny",
            Self::SessionStart { .. } => "session.start",
            Self::UpstreamConnect { .. } => "upstream.connect",
            Self::UpstreamFail { .. } => "upstream.fail",
            Self::TargetTest { .. } => "target.test",
            Self::HostKeyFirstUse { .. } => "host_key.first_use",
            Self::ChannelOpen { .. } => "channel.open",
            Self::ForwardListen { .. } => "forward.listen",
            Self::ChannelRequest { .. } => "channel.request",
            Self::Command { .. } => "command",
            Self::ConsoleCommand { .. } => "console.command",
            Self::ChannelClose { .. } => "channel.close",
            Self::SessionEnd { .. } => "session.end",
            Self::BreakGlassStart { .. } => "break_glass.start",
            Self::BreakGlassEnd { .. } => "break_glass.end",
            Self::SpaceLow { .. } => "space.low",
            Self::SpaceFull { .. } => "space.full",
            Self::SpaceOk { .. } => "space.ok",
            Self::RecordingRemove { .. } => "recording.remove",
            Self::RecordingRead { .. } => "recording.read",
            Self::LogRead { .. } => "log.read",
            Self::LogReindex { .. } => "log.reindex",
            Self::SessionTerminate { .. } => "session.terminate",
            Self::ServerReload { .. } => "server.reload",
            Self::DirectoryChange { .. } => "directory.change",
            Self::CredentialChange { .. } => "credential.change",
            Self::CaChange { .. } => "ca.change",
            Self::CertificateIssue { .. } => "certificate.issue",
            Self::CertificateRevoke { .. } => "certificate.revoke",
            Self::VaultRotate { .. } => "vault.rotate",
            Self::Transfer(_) => "transfer",
            Self::SftpRename(_) => "sftp.rename",
            Self::SftpRemove(_) => "sftp.remove",
            Self::SftpMkdir(_) => "sftp.mkdir",
            Self::SftpRmdir(_) => "sftp.rmdir",
            Self::SftpSymlink(_) => "sftp.symlink",
            Self::SftpHardlink(_) => "sftp.hardlink",
            Self::SftpSetstat(_) => "sftp.setstat",
            Self::SftpCopy(_) => "sftp.copy",
            Self::SftpRefuse { .. } => "sftp.refuse",
            Self::SftpEnd(_) => "sftp.end",
            Self::ScpEnd(_) => "scp.end",
            Self::RsyncEnd(_) => "rsync.end",
            Self::GitRef(_) => "git.ref",
            Self::GitEnd(_) => "git.end",
            Self::AgentRequest(_) => "agent.request",
            Self::ForwardGreeting(_) => "forward.greeting",
            Self::DecodeStop(_) => "decode.stop",
            Self::Anomaly { .. } => "anomaly",
        }
    }

    /// Whether a `recording.remove` of the same session that stands before this in the log counts for nothing.
    pub fn withdraws_removal(&self) -> bool {
        matches!(self, Self::Anomaly { what, .. } if what == RECORDING_KEPT || what == RECORDING_GONE)
    }
}
