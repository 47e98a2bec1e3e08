//! A golden file for each event, so that a change of the schema is a visible diff.
//!
//! After a wanted change: `INSTA_UPDATE=always cargo test -p bartizan-model --test golden`, and look at the diff. A
//! field may be added; what the log holds already must still be read, so none may change its meaning.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails the test")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bartizan_model::event::{
    Body, CertificateUsed, DiskSpace, Event, ForwardState, MAX_EVENT_BYTES, Outcome, Severity,
};
use bartizan_model::observation::{
    AgentRequest, AttributeChange, Confidence, DecodeStop, Decoder, Derived, Direction, ForwardGreeting,
    GitEnd, GitRef, PathChange, PathPair, RsyncEnd, ScpEnd, SftpEnd, Transfer,
};
use bartizan_model::{
    CertificatePermit, ChannelDigest, CredentialKind, Fingerprint, GrantId, NodeId, PermissionSet,
    RecordingFile, Sha256Hex, Timestamp, Way,
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// An event with every common block.
fn event(body: Body, severity: Severity, outcome: Outcome) -> Event {
    Event {
        index: Some(70_000),
        severity,
        outcome,
        person: Some("alice".parse().unwrap()),
        method: Some("certificate".to_owned()),
        source: Some("192.0.2.7:50022".parse().unwrap()),
        session: Some("01990c2e-7d1a-7c3e-9f52-0242ac120002".parse().unwrap()),
        target: Some("web-1".parse().unwrap()),
        login: Some("root".parse().unwrap()),
        ..least(body)
    }
}

/// An event with none of the blocks that may be left out, except its index.
fn least(body: Body) -> Event {
    let node = NodeId("node-1".to_owned());
    let mut event = Event::new(&node, Timestamp::from_unix_micros(1_795_854_600_000_001), body);
    event.index = Some(70_000);
    event
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn key(byte: u8) -> Fingerprint {
    Fingerprint::from_sha256([byte; 32])
}

fn digest(bytes: u64, byte: u8) -> ChannelDigest {
    ChannelDigest { bytes, kept: bytes.min(1_048_576), sha256: Sha256Hex([byte; 32]) }
}

fn grant(id: &str) -> GrantId {
    GrantId(id.to_owned())
}

fn allow() -> PermissionSet {
    "shell,exec,sftp:read".parse().unwrap()
}

/// Events about the server and the way in.
fn arrival() -> Vec<Event> {
    use Outcome::{Denied, Success};
    use Severity::{Info, Notice};
    let certificate =
        CertificateUsed { ca: key(2), key_id: text("alice@example.com"), serial: 9_007_199_254_740_993 };
    vec![
        least(Body::ServerStart {
            version: text("0.1.0"),
            listen: vec!["0.0.0.0:2222".parse().unwrap(), "[::]:60022".parse().unwrap()],
        }),
        least(Body::ServerStop { reason: text("SIGTERM") }),
        event(
            Body::ConnectionRefuse {
                reason: text("too many connections from this source"),
                count: Some(4812),
            },
            Notice,
            Denied,
        ),
        event(
            Body::AuthAccept {
                user: text("alice+root@web-1"),
                key: Some(key(1)),
                certificate: Some(certificate),
                client: text("SSH-2.0-OpenSSH_10.0"),
            },
            Info,
            Success,
        ),
        event(
            Body::AuthReject {
                user: text("mallory\\x1b[2J"),
                key: Some(key(3)),
                reason: text("unknown key"),
                client: text("SSH-2.0-PuTTY_Release_0.83"),
            },
            Notice,
            Denied,
        ),
        event(
            Body::AccessPermit { rules: vec![grant("web-admins"), grant("on-call")], allow: allow() },
            Info,
            Success,
        ),
        event(
            Body::AccessDeny {
                action: text("exec"),
                detail: Some(text("rm -rf /")),
                reason: text("no grant permits exec"),
                rules: vec![grant("freeze")],
            },
            Notice,
            Denied,
        ),
    ]
}

/// Events of a session.
fn session() -> Vec<Event> {
    use Outcome::{Denied, Failure, Success};
    use Severity::{High, Info, Notice, Warning};
    vec![
        event(
            Body::SessionStart {
                way: Way::ProxyJump,
                allow: allow(),
                channel_cap: Some(1_048_576),
                input: false,
                client: text("SSH-2.0-OpenSSH_10.0"),
            },
            Info,
            Success,
        ),
        event(
            Body::UpstreamConnect {
                address: "10.0.0.5:22".parse().unwrap(),
                host_key: key(4),
                verified: text("pinned"),
                credential: text("certificate 77"),
                server: text("SSH-2.0-OpenSSH_9.6"),
            },
            Info,
            Success,
        ),
        event(
            Body::UpstreamFail {
                stage: text("host_key"),
                reason: text("the host key is not the pinned one"),
                host_key: Some(key(5)),
            },
            High,
            Failure,
        ),
        event(Body::TargetTest { by: text("uid 0") }, Notice, Success),
        event(Body::HostKeyFirstUse { host_key: key(4) }, Notice, Success),
        event(
            Body::ChannelOpen {
                channel: 1,
                kind: text("direct-tcpip"),
                from: text("client"),
                detail: Some(text("db:5432 from 127.0.0.1:50000")),
                reason: Some(text("administratively prohibited")),
            },
            Notice,
            Denied,
        ),
        event(
            Body::ForwardListen {
                request: text("tcpip-forward"),
                on: text("localhost:8080"),
                state: ForwardState::Refused,
                reason: Some(text("no grant permits forward:remote")),
            },
            Notice,
            Denied,
        ),
        event(
            Body::ChannelRequest {
                channel: 0,
                request: text("pty-req"),
                detail: Some(text("xterm-256color 80x24")),
                reason: Some(text("no grant permits shell")),
            },
            Notice,
            Denied,
        ),
        event(
            Body::Command {
                channel: 0,
                request: text("exec"),
                command: text("tar -c /etc | gzip"),
                length: 18,
                sha256: Some(Sha256Hex([5; 32])),
                pty: false,
            },
            Info,
            Success,
        ),
        event(Body::ConsoleCommand { command: text("ssh root@web-1 caf\\xe9"), length: 19 }, Info, Success),
        event(
            Body::ChannelClose {
                channel: 0,
                kind: text("session"),
                input: digest(0, 6),
                output: digest(3_000_000, 7),
                error: digest(12, 8),
                exit_status: Some(7),
                exit_signal: Some(text("TERM")),
                duration_us: 1_500_000,
            },
            Info,
            Success,
        ),
        event(
            Body::SessionEnd {
                reason: text("the client disconnected"),
                duration_us: 2_000_001,
                bytes_in: 12,
                bytes_out: 3_000_012,
                exit_status: Some(7),
                truncated: true,
                recording: vec![RecordingFile {
                    name: text("0-output.raw.zst"),
                    bytes: 4096,
                    sha256: Sha256Hex([9; 32]),
                }],
            },
            Warning,
            Failure,
        ),
    ]
}

/// Events about what operators and auditors do, and about what should not happen.
fn administration() -> Vec<Event> {
    use Outcome::{Failure, Success};
    use Severity::{High, Info, Notice, Warning};
    vec![
        event(
            Body::BreakGlassStart {
                rules: vec![grant("g-0badcafe")],
                reason: text("new sessions are refused: 3.0 MiB of 64 MiB are free"),
                recorded: false,
            },
            High,
            Success,
        ),
        event(Body::BreakGlassEnd { recorded: false, duration_us: 2_000_001 }, High, Success),
        event(Body::SpaceLow { space: space(12_000_000) }, Warning, Success),
        event(Body::SpaceFull { space: space(3_000_000) }, High, Success),
        event(Body::SpaceOk { space: space(40_000_000), unlogged: 2 }, Notice, Success),
        event(
            Body::RecordingRemove {
                reason: text("older than 90d"),
                bytes: 8192,
                recording: vec![RecordingFile {
                    name: text("manifest.json"),
                    bytes: 4096,
                    sha256: Sha256Hex([9; 32]),
                }],
            },
            Notice,
            Success,
        ),
        event(Body::RecordingRead { how: text("export asciicast") }, Info, Success),
        event(Body::LogRead { query: text("type=transfer limit=100") }, Info, Success),
        event(Body::LogReindex { by: text("uid 1000") }, Info, Success),
        event(Body::SessionTerminate { reason: text("maintenance"), by: text("uid 1000") }, Notice, Success),
        event(
            Body::ServerReload {
                policies: 2,
                reason: Some(text("a.cedar:3: unexpected")),
                changed: vec![text("log_level"), text("session.drain")],
                restart: vec![text("listen")],
            },
            Warning,
            Failure,
        ),
        event(
            Body::DirectoryChange {
                action: text("add"),
                record: text("person"),
                name: text("alice"),
                // In the order of the alphabet: whether serde_json keeps another depends on who else is built.
                value: serde_json::json!({ "keys": [], "name": "alice" }),
                by: text("uid 1000"),
            },
            Info,
            Success,
        ),
        event(
            Body::CredentialChange {
                action: text("set"),
                kind: CredentialKind::Key,
                key: Some(key(9)),
                reason: Some(text("the database failed: disk full")),
                by: text("uid 1000"),
            },
            Warning,
            Failure,
        ),
        least(Body::CaChange {
            ca: text("user"),
            action: text("rotate"),
            key: key(8),
            at: Some(Timestamp::from_unix_micros(1_795_941_000_000_000)),
            reason: None,
            by: text("uid 1000"),
        }),
        least(Body::CertificateIssue {
            holder: "alice".parse().unwrap(),
            key: key(9),
            ca: key(8),
            serial: 4_503_599_627_370_497,
            key_id: text("bartizan person=alice serial=4503599627370497"),
            valid_after: Timestamp::from_unix_micros(1_795_941_000_000_000),
            valid_before: Timestamp::from_unix_micros(1_795_969_800_000_000),
            sources: vec!["10.0.0.0/8".parse().unwrap()],
            permits: vec![CertificatePermit::AgentForwarding, CertificatePermit::X11Forwarding],
            reason: None,
            by: text("uid 1000"),
        }),
        least(Body::CertificateRevoke {
            ca: Some(key(8)),
            serial: Some(4_503_599_627_370_497),
            key_id: None,
            key: None,
            holder: Some("alice".parse().unwrap()),
            reason: None,
            by: text("uid 1000"),
        }),
        least(Body::VaultRotate {
            from: text("0123456789abcdef"),
            to: text("fedcba9876543210"),
            reason: None,
            by: text("uid 1000"),
        }),
        event(
            Body::Anomaly {
                what: text("journal cut"),
                detail: text("journal/0000000007: 120 bytes at 4096: a batch is cut off"),
            },
            Warning,
            Failure,
        ),
    ]
}

fn space(free_bytes: u64) -> DiskSpace {
    DiskSpace {
        free_bytes,
        total_bytes: 67_108_864,
        free_files: Some(16_000),
        reason: format!("{free_bytes} bytes are free"),
    }
}

fn derived(decoder: Decoder) -> Derived {
    Derived { decoder, confidence: Confidence::High }
}

fn transfer() -> Transfer {
    Transfer {
        channel: 0,
        direction: Direction::Upload,
        path: text("/tmp"),
        name: Some(text("big")),
        bytes: 5_000_001,
        size: Some(5_000_001),
        sha256: Some(Sha256Hex([10; 32])),
        no_sha256: None,
        mode: Some(text("0644")),
        mtime: Some(1_000_000_000),
        atime: Some(1_000_000_001),
        files: None,
        status: text("ok"),
        refused: Some(text("bad message")),
        partial: false,
        derived: Derived { decoder: Decoder::Scp, confidence: Confidence::Medium },
    }
}

fn path_change(path: &str, mode: Option<&str>) -> PathChange {
    let derived = derived(Decoder::Sftp);
    PathChange { channel: 0, path: text(path), mode: mode.map(text), status: text("ok"), derived }
}

fn path_pair(request: Option<&str>, bytes: Option<u64>) -> PathPair {
    let (from, to, derived) = (text("/srv/a"), text("/srv/b"), derived(Decoder::Sftp));
    PathPair { channel: 0, from, to, request: request.map(text), bytes, status: text("ok"), derived }
}

/// What decoders observe.
fn observations() -> Vec<Event> {
    let done = |body| event(body, Severity::Info, Outcome::Success);
    let attributes = AttributeChange {
        channel: 0,
        path: text("/srv/a"),
        request: text("setstat"),
        size: Some(0),
        uid: Some(0),
        gid: Some(0),
        mode: Some(text("4755")),
        atime: Some(1_000_000_001),
        mtime: Some(1_000_000_000),
        status: text("ok"),
        derived: derived(Decoder::Sftp),
    };
    vec![
        done(Body::Transfer(transfer())),
        done(Body::SftpRename(path_pair(Some("posix-rename@openssh.com"), None))),
        done(Body::SftpRemove(path_change("/srv/a\\n", None))),
        done(Body::SftpMkdir(path_change("/srv/d", Some("0755")))),
        done(Body::SftpRmdir(path_change("/srv/d", None))),
        done(Body::SftpSymlink(path_pair(None, None))),
        done(Body::SftpHardlink(path_pair(None, None))),
        done(Body::SftpSetstat(attributes)),
        done(Body::SftpCopy(path_pair(None, Some(100)))),
        event(
            Body::SftpRefuse {
                channel: 0,
                request: text("posix-rename@openssh.com"),
                path: text("/srv/app/a"),
                to: Some(text("/etc/a")),
                reason: text("no grant permits sftp:write for /etc/a"),
                rules: vec![GrantId(text("g-1f3a90c2"))],
            },
            Severity::Warning,
            Outcome::Denied,
        ),
        done(Body::SftpEnd(SftpEnd {
            channel: 0,
            version: Some(3),
            opens: 2,
            listings: 1,
            stats: 7,
            requests: 90,
            unknown: vec![text("check-file")],
            derived: derived(Decoder::Sftp),
        })),
    ]
}

/// What decoders of other protocols observe.
fn more_observations() -> Vec<Event> {
    let done = |body| event(body, Severity::Info, Outcome::Success);
    vec![
        done(Body::ScpEnd(ScpEnd {
            channel: 0,
            direction: Direction::Upload,
            path: text("/tmp"),
            files: 1,
            folders: 0,
            errors: 0,
            derived: derived(Decoder::Scp),
        })),
        done(Body::RsyncEnd(RsyncEnd {
            channel: 0,
            direction: Some(Direction::Download),
            module: Some(text("files")),
            paths: vec![text("files/sub/")],
            options: vec![text("-logDtpre.iLsfxCIvu")],
            files_from: vec![text("a"), text("dir/b")],
            version: Some(32),
            listed: Some(12),
            total_size: Some(70_000),
            transferred: Some(2),
            content_bytes: Some(4000),
            deleted: Some(1),
            bytes_in: 100,
            bytes_out: 5000,
            errors: 0,
            status: text("ok"),
            derived: derived(Decoder::Rsync),
        })),
        done(Body::GitRef(GitRef {
            channel: 0,
            repository: text("/srv/app.git"),
            name: text("refs/heads/main"),
            old: Some("1".repeat(40)),
            new: Some("2".repeat(40)),
            status: text("ok"),
            derived: derived(Decoder::Git),
        })),
        done(Body::GitEnd(GitEnd {
            channel: 0,
            service: text("git-receive-pack"),
            repository: text("/srv/app.git"),
            version: 0,
            refs: 1,
            wants: 0,
            haves: 0,
            pack_bytes: 1234,
            derived: derived(Decoder::Git),
        })),
        done(Body::AgentRequest(AgentRequest {
            channel: 3,
            request: text("sign"),
            key: Some(key(9)),
            user: Some(text("git")),
            status: text("ok"),
            derived: derived(Decoder::Agent),
        })),
        done(Body::ForwardGreeting(ForwardGreeting {
            channel: 4,
            request: Some(text("GET /index.html")),
            identification: None,
            host: Some(text("intranet.example.com")),
            derived: derived(Decoder::Http),
        })),
        event(
            Body::DecodeStop(DecodeStop {
                channel: 0,
                reason: text("a packet of 1416586337 bytes"),
                bytes_in: 9,
                bytes_out: 0,
                derived: derived(Decoder::Sftp),
            }),
            Severity::Warning,
            Outcome::Failure,
        ),
    ]
}

/// Observations without what they may leave out.
fn least_observations() -> Vec<Event> {
    let derived = derived(Decoder::Sftp);
    vec![
        least(Body::Transfer(Transfer {
            name: None,
            size: None,
            sha256: None,
            no_sha256: Some(text("too far out of order")),
            mode: None,
            mtime: None,
            atime: None,
            files: Some(3),
            partial: true,
            status: text("not answered"),
            refused: None,
            ..transfer()
        })),
        least(Body::SftpSetstat(AttributeChange {
            channel: 0,
            path: text("/srv/a"),
            request: text("fsetstat"),
            size: None,
            uid: None,
            gid: None,
            mode: None,
            atime: None,
            mtime: None,
            status: text("permission denied"),
            derived,
        })),
        least(Body::SftpRefuse {
            channel: 0,
            request: text("open"),
            path: text("/srv/app/a"),
            to: None,
            reason: text("no grant permits sftp:write"),
            rules: Vec::new(),
        }),
        least(Body::SftpEnd(SftpEnd {
            channel: 0,
            version: None,
            opens: 0,
            listings: 0,
            stats: 0,
            requests: 0,
            unknown: vec![],
            derived,
        })),
    ]
}

/// Events without what their own fields may leave out.
fn least_events() -> Vec<Event> {
    let (user, client, reason) = (text("alice"), text("SSH-2.0-x"), text("because"));
    let kind = text("session");
    vec![
        least(Body::AuthAccept { user: user.clone(), key: None, certificate: None, client: client.clone() }),
        least(Body::AuthReject { user, key: None, reason: reason.clone(), client: client.clone() }),
        least(Body::AccessDeny {
            action: text("connect"),
            detail: None,
            reason: reason.clone(),
            rules: vec![],
        }),
        least(Body::SessionStart {
            way: Way::UserName,
            allow: PermissionSet::default(),
            channel_cap: None,
            input: true,
            client,
        }),
        least(Body::UpstreamFail { stage: text("connect"), reason: reason.clone(), host_key: None }),
        least(Body::ChannelOpen {
            channel: 0,
            kind: kind.clone(),
            from: text("target"),
            detail: None,
            reason: None,
        }),
        least(Body::ForwardListen {
            request: text("tcpip-forward"),
            on: text("localhost:8080"),
            state: ForwardState::Listening,
            reason: None,
        }),
        least(Body::ChannelRequest { channel: 0, request: text("shell"), detail: None, reason: None }),
        least(Body::Command {
            channel: 0,
            request: text("shell"),
            command: String::new(),
            length: 0,
            sha256: None,
            pty: true,
        }),
        least(Body::ChannelClose {
            channel: 0,
            kind,
            input: digest(0, 0),
            output: digest(0, 0),
            error: digest(0, 0),
            exit_status: None,
            exit_signal: None,
            duration_us: 0,
        }),
        least(Body::SessionEnd {
            reason,
            duration_us: 0,
            bytes_in: 0,
            bytes_out: 0,
            exit_status: None,
            truncated: false,
            recording: vec![],
        }),
        least(Body::ServerReload { policies: 0, reason: None, changed: Vec::new(), restart: Vec::new() }),
        least(Body::DirectoryChange {
            action: text("lock"),
            record: text("person"),
            name: text("alice"),
            value: serde_json::Value::Null,
            by: text("uid 0"),
        }),
        least(Body::CertificateIssue {
            holder: "alice".parse().unwrap(),
            key: key(9),
            ca: key(8),
            serial: 7,
            key_id: text("bartizan person=alice serial=7"),
            valid_after: Timestamp::from_unix_micros(1_795_941_000_000_000),
            valid_before: Timestamp::from_unix_micros(1_795_969_800_000_000),
            sources: vec![],
            permits: vec![],
            reason: None,
            by: text("uid 0"),
        }),
        least(Body::CertificateRevoke {
            ca: None,
            serial: None,
            key_id: None,
            key: Some(key(9)),
            holder: None,
            reason: None,
            by: text("uid 0"),
        }),
        least(Body::CaChange {
            ca: text("host"),
            action: text("activate"),
            key: key(8),
            at: None,
            reason: None,
            by: text("schedule"),
        }),
        least(Body::CredentialChange {
            action: text("remove"),
            kind: CredentialKind::Password,
            key: None,
            reason: None,
            by: text("uid 0"),
        }),
    ]
}

#[test]
fn events_are_written_as_in_their_golden_files() {
    let full = [arrival(), session(), administration(), observations(), more_observations()].concat();
    let named = full.iter().map(|event| (event.kind().to_owned(), event));
    let small = [least_events(), least_observations()].concat();
    let least = small.iter().map(|event| (format!("{}-least", event.kind()), event));
    for (name, event) in named.chain(least) {
        let json = serde_json::to_string_pretty(event).unwrap();
        assert!(json.len() < MAX_EVENT_BYTES);
        insta::with_settings!({
            snapshot_path => folder(), prepend_module_to_snapshot => false, omit_expression => true
        }, {
            insta::assert_snapshot!(name.clone(), json);
        });
        assert_eq!(&golden(&name), event, "{name} does not come back");
    }
}

/// The event of a golden file.
fn golden(name: &str) -> Event {
    let file = std::fs::read_to_string(folder().join(format!("{name}.snap"))).unwrap();
    let json = file.splitn(3, "---\n").nth(2).unwrap();
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn every_event_type_has_a_golden_file_and_none_is_left_over() {
    let schema = include_str!("../src/event.rs");
    let body = schema.split_once("pub enum Body {").unwrap().1.split_once("\n}\n").unwrap().0;
    let in_schema: BTreeSet<String> = body
        .split("#[serde(rename = \"")
        .skip(1)
        .map(|rest| rest.split_once('"').unwrap().0.to_owned())
        .collect();
    let variants = body.lines().filter(|line| line.starts_with("    ") && line.ends_with(['{', ',']));
    let variants = variants.filter(|line| line.as_bytes()[4].is_ascii_uppercase()).count();
    assert_eq!(in_schema.len(), variants, "each type has a dotted name");

    let files =
        std::fs::read_dir(folder()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let known: BTreeSet<String> = Body::KINDS.iter().map(|kind| (*kind).to_owned()).collect();
    assert_eq!(known, in_schema, "searches know each type");
    let in_folder: BTreeSet<String> = files
        .map(|name| name.strip_suffix(".snap").unwrap_or(&name).trim_end_matches("-least").to_owned())
        .collect();
    assert_eq!(in_schema, in_folder);
    for name in in_schema {
        assert_eq!(golden(&name).kind(), name);
    }
}

/// When a key, a CA or a credential was added had another name once: what was written so is read.
#[test]
fn records_of_older_versions_are_read() {
    let written = |name: &str| {
        let key = "ssh-ed25519 AAAA";
        let fingerprint = Fingerprint::from_sha256([1; 32]);
        serde_json::json!({ "person": "alice", "key": key, "fingerprint": fingerprint, "comment": "", name: "2026-11-28T08:30:00Z" })
    };
    let read = |name: &str| serde_json::from_value::<bartizan_model::AuthorizedKey>(written(name)).unwrap();
    assert_eq!(read("added"), read("created"));
    let ca = |name: &str| serde_json::from_value::<bartizan_model::TrustedCa>(written(name)).unwrap();
    assert_eq!(ca("added"), ca("created"));
}
