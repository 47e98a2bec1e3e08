//! Requests and replies of the admin API.
//!
//! JSON over HTTP/1.1, at first on the Unix socket `admin.sock` of the data folder. Keys travel as the text
//! of their files; the server parses them. A refusal is an [`ErrorReply`] with a fitting status.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::event::{Outcome, Severity};
use crate::{
    AuthorizedKey, ChannelDigest, FileRules, Fingerprint, Grant, GrantId, Grantee, Labels, LoginName, NodeId,
    PermissionSet, Person, PersonName, Recording, RecordingFile, Role, RoleName, SecretText, SessionId,
    SessionState, SessionSummary, SourceNetwork, Target, TargetName, TargetSelector, Timestamp,
};

/// Why a request was refused. Never holds a control character.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorReply {
    /// What happened.
    pub error: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// `GET /v1/status`: what runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The server's version.
    pub version: String,
    /// The node's name.
    pub node: NodeId,
    /// Where SSH clients are accepted.
    pub listen: Vec<SocketAddr>,
    /// The jump host as clients write it, `host` or `host:port`.
    pub public_address: String,
    /// The host keys that Bartizan itself shows, as in `authorized_keys`.
    pub host_keys: Vec<String>,
    /// The CA keys of the host certificates that Bartizan shows for targets, as in `authorized_keys`: all must be trusted.
    pub host_cas: Vec<String>,
    /// When the server started.
    pub started: Timestamp,
}

/// `POST /v1/people`: adds a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewPerson {
    /// Unique name.
    pub name: PersonName,
    /// Their public keys: texts of one or more lines as in `authorized_keys`.
    #[serde(default)]
    pub keys: Vec<String>,
}

/// A person with all that belongs to them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonDetail {
    /// The person.
    #[serde(flatten)]
    pub person: Person,
    /// Their keys.
    pub keys: Vec<AuthorizedKey>,
    /// Grants that name them, or a role they have.
    pub grants: Vec<Grant>,
}

/// `POST /v1/roles`: adds a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewRole {
    /// Unique name.
    pub name: RoleName,
}

/// A role with those who have it and what it grants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleDetail {
    /// The role.
    #[serde(flatten)]
    pub role: Role,
    /// Who has it, by name.
    pub members: Vec<PersonName>,
    /// Grants that name it.
    pub grants: Vec<Grant>,
}

/// `POST /v1/targets/NAME/labels`: sets and removes labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelChange {
    /// Labels to set.
    #[serde(default)]
    pub set: Labels,
    /// Keys of labels to remove.
    #[serde(default)]
    pub unset: Vec<String>,
}

/// `POST /v1/keys`: adds keys of a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewKeys {
    /// Whose.
    pub person: PersonName,
    /// Lines as in `authorized_keys`.
    pub keys: String,
}

/// `POST /v1/targets`: adds a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewTarget {
    /// Unique name.
    pub name: TargetName,
    /// Host name or address to dial.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How its host key is verified.
    pub host_key: NewHostKeyTrust,
    /// Its labels.
    #[serde(default)]
    pub labels: Labels,
}

/// How a new target's host key is verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NewHostKeyTrust {
    /// By these keys: lines as in `known_hosts`, `ssh-keyscan` output or `.pub` files.
    Pinned(String),
    /// By host certificates of these CAs, lines likewise.
    Authority(String),
    /// The first key shown is accepted and pinned.
    FirstUse,
}

/// A target with the grants that name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetDetail {
    /// The target.
    #[serde(flatten)]
    pub target: Target,
    /// Fingerprints of the keys it is verified by; empty before the first use.
    pub fingerprints: Vec<Fingerprint>,
    /// Grants whose selector covers it.
    pub grants: Vec<Grant>,
}

/// `PUT /v1/targets/NAME/credentials/LOGIN`: what Bartizan logs in with there, instead of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NewCredential {
    /// A password.
    Password(SecretText),
    /// A private key file without a passphrase: OpenSSH's own format or PEM.
    Key(SecretText),
    /// The agent that the person forwards to the console.
    Agent,
}

/// `GET /v1/credentials`: which stored credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialSearch {
    /// Of this target only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetName>,
}

/// `GET /v1/vault` and the answer to `POST /v1/vault/rotate`: the vault of stored credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultStatus {
    /// The id of the master key that wraps the data key; tells nothing of the key itself.
    pub master_key: String,
    /// Where the master key is kept.
    pub master_key_file: String,
    /// How many credentials are stored.
    pub credentials: u64,
}

/// `POST /v1/grants`: adds a grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewGrant {
    /// Who: `person` or `role`.
    #[serde(flatten)]
    pub who: Grantee,
    /// Where.
    pub target: TargetSelector,
    /// As which accounts; `None` is any account.
    pub logins: Option<Vec<LoginName>>,
    /// What.
    pub allow: PermissionSet,
    /// Which files `sftp:read` and `sftp:write` are for.
    #[serde(default)]
    pub files: FileRules,
    /// From which networks; empty is anywhere.
    #[serde(default)]
    pub sources: Vec<SourceNetwork>,
    /// Until when.
    #[serde(default)]
    pub expires: Option<Timestamp>,
    /// What is recorded.
    #[serde(default)]
    pub record: Recording,
    /// Whether it passes, loudly, also while recordings or the space for them fail.
    #[serde(default)]
    pub break_glass: bool,
}

/// `DELETE` of a person or target: whether grants that name it go too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoveOptions {
    /// Remove grants that name it; otherwise they make the removal fail.
    #[serde(default)]
    pub with_grants: bool,
}

/// `POST /v1/cas`: trusts CAs whose user certificates prove to be people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewCas {
    /// Public keys, lines as in `authorized_keys`.
    pub keys: String,
}

/// `GET /v1/own-cas/user` and `/v1/own-cas/host` list these: a key of a CA of Bartizan's own. All of them must be
/// trusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnCa {
    /// Its public key as in `authorized_keys`, with a comment.
    pub key: String,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// What it does now.
    pub state: CaState,
    /// When it is activated by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activates: Option<Timestamp>,
}

/// What a key of a CA does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaState {
    /// It signs.
    Active,
    /// It will sign; it is trusted ahead.
    Next,
    /// It signs no more; it is trusted until it is retired.
    Old,
}

impl std::fmt::Display for CaState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Active => "active",
            Self::Next => "next",
            Self::Old => "old",
        })
    }
}

/// `POST /v1/own-cas/user/rotate`: makes a next key. `…/activate` lets it sign, `…/retire` drops the old one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewOwnCa {
    /// When it is activated by itself; none waits for an operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activates: Option<Timestamp>,
}

/// `POST /v1/access/check`: may this person do this now?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessQuestion {
    /// Who.
    pub person: PersonName,
    /// As which account.
    pub login: LoginName,
    /// Where.
    pub target: TargetName,
    /// `connect` or a permission.
    pub action: String,
    /// From where; none asks for the loopback address.
    #[serde(default)]
    pub source: Option<IpAddr>,
    /// With `sftp:read` or `sftp:write`: whether it is permitted for the file of this path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

/// The answer of the policy, explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessAnswer {
    /// Whether it is permitted.
    pub permitted: bool,
    /// The rules that decided; empty when none permits.
    pub rules: Vec<GrantId>,
    /// The answer in words.
    pub reason: String,
}

/// `GET /v1/sessions`: which sessions, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionSearch {
    /// Of this person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<PersonName>,
    /// As this account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<LoginName>,
    /// On this target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetName>,
    /// In this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<SessionState>,
    /// From an address of this network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceNetwork>,
    /// Started at this time or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Started before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Most to return; at most 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Go on after a page: its `next`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
}

/// `GET /v1/events`: which events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventSearch {
    /// Of this type (`session.start`), or of all below it (`session.` or `session.*`).
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Of this person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<PersonName>,
    /// As this account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<LoginName>,
    /// On this target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetName>,
    /// In this session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// From an address of this network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceNetwork>,
    /// At least this severe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// With this outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// At this time or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// With this in its values: words, beginnings (`word*`), exact texts (`"two words"`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// From the start of the log instead of from its end.
    #[serde(default)]
    pub oldest_first: bool,
    /// Most to return; at most 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Go on after a page: its `next`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
}

/// One page of a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The items in the order asked for; of a search for texts sometimes fewer than there are.
    pub items: Vec<T>,
    /// Set as `after` in the next request to go on; none when there is no more.
    pub next: Option<u64>,
}

/// `GET /v1/sessions/ID`: all that the log tells about a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionDetail {
    /// The session.
    #[serde(flatten)]
    pub session: SessionSummary,
    /// What it may do.
    pub allow: PermissionSet,
    /// What is recorded of it.
    pub record: Recording,
    /// The client's identification, escaped.
    pub client: String,
    /// Our connection to the target, once it stood.
    pub upstream: Option<UpstreamDetail>,
    /// Its channels in the order they were asked for.
    pub channels: Vec<ChannelDetail>,
    /// The recording's files, once it is closed.
    pub recording: Vec<RecordingFile>,
}

/// The target's side of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamDetail {
    /// The address dialled.
    pub address: SocketAddr,
    /// The target's host key.
    pub host_key: Fingerprint,
    /// How it was verified.
    pub verified: String,
    /// What we logged in with.
    pub credential: String,
    /// The target's identification, escaped.
    pub server: String,
}

/// A channel of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelDetail {
    /// Ordinal in the session, from 0.
    pub channel: u32,
    /// Its type, escaped.
    pub kind: String,
    /// What was run on it: `exec`, `shell` or `subsystem`.
    pub request: Option<String>,
    /// The command or the subsystem's name, escaped.
    pub command: Option<String>,
    /// Whether it has a terminal.
    pub pty: bool,
    /// Why it was refused, where it was.
    pub refused: Option<String>,
    /// Exit status.
    pub exit_status: Option<u32>,
    /// Signal that ended the command.
    pub exit_signal: Option<String>,
    /// How long it was open, in microseconds; none while it is.
    pub duration_us: Option<u64>,
    /// Client to target.
    pub input: Option<ChannelDigest>,
    /// Target to client, standard output.
    pub output: Option<ChannelDigest>,
    /// Target to client, standard error and other extended data.
    pub error: Option<ChannelDigest>,
}

/// `POST /v1/sessions/ID/reads`: a recording is about to be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingReading {
    /// `play` or `export FORMAT`.
    pub how: String,
}

/// `GET /v1/index`, and the answer to `POST /v1/index/rebuild`: how far the index is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexStatus {
    /// Entries of the log that are in the index: all before this one.
    pub indexed: u64,
    /// Entries of the log.
    pub events: u64,
}

/// `POST /v1/sessions/ID/terminate`: ends a live session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionTermination {
    /// What the person is told. At most 256 bytes of it are used.
    pub reason: String,
}

/// `POST /v1/targets/NAME/test`: reach it, verify it, and log in if a login is named. The answer is lines of
/// [`TargetTestStep`], as they are made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetTest {
    /// Whom to log in as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<LoginName>,
}

/// One step of a test of a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetTestStep {
    /// `resolve`, `connect`, `identify`, `host_key`, `authenticate`; of a failure also `handshake` and `internal`.
    pub step: String,
    /// How it went. After a failure there are no more.
    pub outcome: TestOutcome,
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// What was found, or why it failed; escaped.
    pub detail: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// How a step of a test went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TestOutcome {
    /// As it should.
    Passed,
    /// It was not tried.
    Skipped,
    /// Not as it should.
    Failed,
}

/// `POST /v1/log/reads`: the log is about to be read as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogReading {
    /// What is read: `export FROM`.
    pub query: String,
}

/// `POST /v1/directory/apply`: how a directory file is applied. The body is the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyOptions {
    /// Change nothing, only tell what would change.
    #[serde(default)]
    pub dry_run: bool,
    /// Remove what the file does not have.
    #[serde(default)]
    pub prune: bool,
}

/// A line of the answer to [`ApplyOptions`]; the last one is no progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApplyLine {
    /// How far it is.
    Progress(ApplyProgress),
    /// The file is refused; nothing was changed.
    Refused(Vec<FileFault>),
    /// It did not work; nothing was changed.
    Failed(ErrorReply),
    /// It is done, or with a dry run it could be.
    Done(ApplyReport),
}

/// How far applying a file is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyProgress {
    /// What is being done.
    pub stage: String,
    /// How much of it is.
    pub done: u64,
    /// How much there is.
    pub of: u64,
}

/// Something wrong with a file. The snippet holds what the file holds: escape it before showing it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFault {
    /// Line, from 1.
    pub line: u64,
    /// Column in characters, from 1.
    pub column: u64,
    /// The line.
    pub snippet: String,
    /// What is wrong and what to write instead.
    pub what: String,
}

/// What applying a file changed, or with a dry run would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyReport {
    /// Whether nothing was changed because nothing should be.
    pub dry_run: bool,
    /// Records added.
    pub added: u64,
    /// Records changed.
    pub changed: u64,
    /// Records removed.
    pub removed: u64,
    /// Records that the file does not have and that stay.
    pub kept: u64,
    /// Each of the changes, by kind and name.
    pub changes: Vec<RecordDiff>,
}

/// What happens to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiffOp {
    /// It is new.
    Add,
    /// It is there and changes.
    Change,
    /// It goes.
    Remove,
}

/// The change of one record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordDiff {
    /// What happens to it.
    pub op: DiffOp,
    /// `role`, `ca`, `person`, `target`, `grant`.
    pub record: String,
    /// Its name, id or fingerprint.
    pub name: String,
    /// What changes in it; of a record that goes nothing is listed, but the credentials that go with a target.
    pub fields: Vec<FieldDiff>,
}

/// The change of one value of a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldDiff {
    /// The field.
    pub field: String,
    /// What it held and does not hold any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// What it holds now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}
