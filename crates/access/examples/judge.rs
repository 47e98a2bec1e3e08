//! Measures what judging costs: `cargo run --release -p bartizan-access --example judge`.
//!
//! The bar: at most 50 µs for a session's decision, with 1,000 grants of which few concern the person.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement for people to read")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use bartizan_access::{Action, Attempt, Decision, Directory, Evidence, Policies, Request};
use bartizan_model::{
    AuthorizedKey, DirectoryData, Fingerprint, Grant, GrantId, Grantee, HostKeyTrust, Permission, Person,
    PersonState, Recording, Target, Timestamp,
};

const PEOPLE: usize = 300;
const TARGETS: usize = 200;
const GRANTS: usize = 1000;

fn main() {
    let data = data();
    let start = Instant::now();
    let plain = Directory::build(&data, Policies::default()).unwrap();
    println!("snapshot of {PEOPLE} people, {TARGETS} targets, {GRANTS} grants: {:?}", start.elapsed());
    let start = Instant::now();
    plain.rebuild(&data, Policies::default()).unwrap();
    println!("the next snapshot: {:?}", start.elapsed());
    measure("grants alone", &plain);

    let text = r#"forbid (principal, action, resource) when { context.login == "nobody" };
                  forbid (principal, action == Action::"x11", resource) unless { principal.name like "admin-*" };"#;
    let policies = Policies::parse([("base.cedar", text)]).unwrap();
    measure("with two of the operators' policies", &Directory::build(&data, policies).unwrap());
}

fn measure(title: &str, directory: &Directory) {
    let now = Timestamp::from_unix_micros(1_795_854_600_000_000);
    let source = "10.1.2.3".parse().unwrap();
    let evidence = Evidence::PublicKey { key: key(7) };
    let who = directory.authenticate(evidence.clone(), &Attempt { named: None, source }, now).unwrap();
    let (target, login) = ("host-7".parse().unwrap(), "root".parse().unwrap());
    println!("{title}:");
    let offer = || directory.acceptable(&evidence, &Attempt { named: None, source }, now).is_ok();
    println!("  authenticate         {:>9.2?}", median(|| assert!(black_box(offer()))));
    for (name, login, action, permitted) in [
        ("open a session", &login, Action::Connect, true),
        ("one permission", &login, Action::Permission(Permission::Exec), true),
        ("a denial", &"guest".parse().unwrap(), Action::Connect, false),
    ] {
        let request = Request { target: &target, login, action, source, forward: None };
        let judge = || matches!(black_box(directory.judge(&who, &request, now)), Decision::Permit(_));
        println!("  {name:<20} {:>9.2?}", median(|| assert_eq!(judge(), permitted)));
    }
}

fn median(run: impl Fn()) -> Duration {
    let mut times: Vec<Duration> = (0..2000)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

fn key(n: usize) -> Fingerprint {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&n.to_le_bytes());
    Fingerprint::from_sha256(digest)
}

fn data() -> DirectoryData {
    let created = Timestamp::from_unix_micros(0);
    let person = |n: usize| format!("person-{n}").parse().unwrap();
    DirectoryData {
        generation: 1,
        roles: vec![],
        people: (0..PEOPLE)
            .map(|n| Person {
                name: person(n),
                state: PersonState::Active,
                roles: Default::default(),
                created,
            })
            .collect(),
        keys: (0..PEOPLE)
            .map(|n| AuthorizedKey {
                person: person(n),
                key: String::new(),
                fingerprint: key(n),
                comment: String::new(),
                added: created,
            })
            .collect(),
        cas: vec![],
        revocations: vec![],
        targets: (0..TARGETS)
            .map(|n| Target {
                name: format!("host-{n}").parse().unwrap(),
                host: "10.0.0.1".into(),
                port: 22,
                host_key: HostKeyTrust::FirstUse,
                labels: Default::default(),
                created,
            })
            .collect(),
        grants: (0..GRANTS)
            .map(|n| Grant {
                id: GrantId(format!("g{n}")),
                who: Grantee::Person(person(n % PEOPLE)),
                target: if n % 2 == 0 {
                    format!("host-{}", n % TARGETS)
                } else {
                    format!("host-{}*", n % 10)
                }
                .parse()
                .unwrap(),
                logins: Some(vec!["root".parse().unwrap()]),
                allow: "shell,exec,sftp:read,sftp:write,scp".parse().unwrap(),
                sources: vec!["10.0.0.0/8".parse().unwrap()],
                expires: None,
                record: Recording::default(),
                break_glass: false,
                files: bartizan_model::FileRules::default(),
                forwards: bartizan_model::ForwardRules::default(),
                created,
            })
            .collect(),
        credentials: vec![],
    }
}
