//! A small directory to ask questions about.

use std::net::IpAddr;

use bartizan_access::{
    Action, Attempt, Authenticated, CertificateEvidence, Decision, Denial, Directory, Evidence, Permit,
    Policies, Request,
};
use bartizan_model::{
    AuthorizedKey, DirectoryData, Fingerprint, Grant, GrantId, Grantee, HostKeyTrust, Person, PersonName,
    PersonState, Recording, Role, Target, Timestamp, TrustedCa,
};

/// The moment that tests happen at, in Unix seconds.
pub(crate) const NOW: u64 = 1_795_854_600;

pub(crate) fn now() -> Timestamp {
    seconds(NOW)
}

pub(crate) fn seconds(unix: u64) -> Timestamp {
    Timestamp::from_unix_micros(unix * 1_000_000)
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn name(text: &str) -> PersonName {
    text.parse().unwrap()
}

/// The key that a person's name stands for.
pub(crate) fn key(of: &str) -> Fingerprint {
    let mut digest = [0; 32];
    digest[..of.len()].copy_from_slice(of.as_bytes());
    Fingerprint::from_sha256(digest)
}

pub(crate) fn grant(id: &str, person: &str, target: &str, allow: &str) -> Grant {
    Grant {
        id: GrantId(id.into()),
        who: match person.strip_prefix("role:") {
            Some(role) => Grantee::Role(role.parse().unwrap()),
            None => Grantee::Person(name(person)),
        },
        target: target.parse().unwrap(),
        logins: None,
        allow: allow.parse().unwrap(),
        sources: vec![],
        expires: None,
        record: Recording::default(),
        break_glass: false,
        files: bartizan_model::FileRules::default(),
        forwards: bartizan_model::ForwardRules::default(),
        created: seconds(0),
    }
}

/// alice, bob and mallory with a key each, alice and bob in the role ops, bob in dba; web-1 and web-2 labelled
/// tier=web, db-1 labelled tier=db, all env=prod; the CA "ca".
pub(crate) fn data(grants: Vec<Grant>) -> DirectoryData {
    let people = ["alice", "bob", "mallory"];
    let roles = |p: &str| match p {
        "alice" => vec!["ops"],
        "bob" => vec!["ops", "dba"],
        _ => vec![],
    };
    let person = |p: &str| Person {
        name: name(p),
        state: PersonState::Active,
        roles: roles(p).into_iter().map(|role| role.parse().unwrap()).collect(),
        created: seconds(0),
    };
    let authorized = |p: &str| AuthorizedKey {
        person: name(p),
        key: format!("ssh-ed25519 {p}"),
        fingerprint: key(p),
        comment: String::new(),
        added: seconds(0),
    };
    let target = |t: &str| Target {
        name: t.parse().unwrap(),
        host: "10.0.0.5".into(),
        port: 22,
        host_key: HostKeyTrust::FirstUse,
        labels: [("tier", if t.starts_with("web") { "web" } else { "db" }), ("env", "prod")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into_iter()
            .collect::<std::collections::BTreeMap<_, _>>()
            .try_into()
            .unwrap(),
        created: seconds(0),
    };
    DirectoryData {
        generation: 7,
        roles: ["ops", "dba"].map(|role| Role { name: role.parse().unwrap(), created: seconds(0) }).into(),
        people: people.map(person).into(),
        keys: people.map(authorized).into(),
        cas: vec![TrustedCa {
            key: String::new(),
            fingerprint: key("ca"),
            comment: String::new(),
            added: seconds(0),
        }],
        revocations: vec![],
        targets: ["web-1", "web-2", "db-1"].map(target).into(),
        grants,
        credentials: Vec::new(),
    }
}

pub(crate) fn directory(grants: Vec<Grant>) -> Directory {
    Directory::build(&data(grants), Policies::default()).unwrap()
}

pub(crate) fn with_policies(grants: Vec<Grant>, text: &str) -> Directory {
    Directory::build(&data(grants), Policies::parse([("base.cedar", text)]).unwrap()).unwrap()
}

pub(crate) fn anybody() -> Attempt<'static> {
    Attempt { named: None, source: ip("10.0.0.1") }
}

pub(crate) fn certificate(principals: &[&str]) -> CertificateEvidence {
    CertificateEvidence {
        ca: key("ca"),
        key: key("laptop"),
        key_id: "alice@corp".into(),
        serial: 5,
        principals: principals.iter().map(|p| (*p).to_owned()).collect(),
        valid_after: NOW - 60,
        valid_before: NOW + 60,
        source_addresses: None,
        extensions: [
            "permit-pty",
            "permit-agent-forwarding",
            "permit-X11-forwarding",
            "permit-port-forwarding",
        ]
        .map(String::from)
        .into(),
    }
}

/// A person as the directory authenticates them by their key.
pub(crate) fn who(directory: &Directory, person: &str) -> Authenticated {
    directory.authenticate(Evidence::PublicKey { key: key(person) }, &anybody(), now()).unwrap()
}

/// A question about `root` from 10.0.0.1, now.
#[derive(Clone, Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) target: &'a str,
    pub(crate) login: &'a str,
    pub(crate) action: Action,
    pub(crate) source: &'a str,
    pub(crate) now: Timestamp,
}

pub(crate) fn connect(target: &str) -> Ask<'_> {
    Ask { target, login: "root", action: Action::Connect, source: "10.0.0.1", now: now() }
}

pub(crate) fn decide(directory: &Directory, who: &Authenticated, ask: &Ask<'_>) -> Decision {
    let (target, login) = (ask.target.parse().unwrap(), ask.login.parse().unwrap());
    let request =
        Request { target: &target, login: &login, action: ask.action, source: ip(ask.source), forward: None };
    directory.judge(who, &request, ask.now)
}

pub(crate) fn permit(directory: &Directory, who: &Authenticated, ask: &Ask<'_>) -> Permit {
    match decide(directory, who, ask) {
        Decision::Permit(permit) => permit,
        Decision::Deny(denial) => panic!("denied: {denial}"),
    }
}

pub(crate) fn deny(directory: &Directory, who: &Authenticated, ask: &Ask<'_>) -> Denial {
    match decide(directory, who, ask) {
        Decision::Permit(permit) => panic!("permitted: {permit:?}"),
        Decision::Deny(denial) => denial,
    }
}

pub(crate) fn ids(rules: &[GrantId]) -> Vec<&str> {
    rules.iter().map(|rule| rule.0.as_str()).collect()
}
