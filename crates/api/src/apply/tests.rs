//! Files, plans and round trips, without a server.

use std::sync::Arc;

use bartizan_model::Target;

use super::*;
use crate::{KeyParser, ParsedKey};

fn parser() -> KeyParser {
    Arc::new(|line| match line.splitn(3, ' ').collect::<Vec<_>>().as_slice() {
        ["ssh-ed25519", key, rest @ ..] if key.starts_with('K') => {
            let mut digest = [0; 32];
            digest.iter_mut().zip(key.bytes()).for_each(|(place, byte)| *place = byte);
            Ok(ParsedKey {
                key: format!("ssh-ed25519 {key}"),
                fingerprint: bartizan_model::Fingerprint::from_sha256(digest),
                comment: rest.concat(),
            })
        }
        _ => Err("is no public key".into()),
    })
}

fn at(n: u64) -> Timestamp {
    Timestamp::from_unix_micros(n)
}

fn try_plan(before: &DirectoryData, text: &str, prune: bool) -> std::result::Result<Plan, Vec<FileFault>> {
    planned(before, text, &parser(), prune, at(5))
}

/// The directory that a file makes out of nothing, by the writes for the store.
fn made(text: &str) -> DirectoryData {
    let mut data = DirectoryData { generation: 1, ..DirectoryData::default() };
    for write in try_plan(&DirectoryData::default(), text, false).unwrap().writes {
        match write {
            Write::Role(role) => data.roles.push(role),
            Write::Person(person) => data.people.push(person),
            Write::Key(key) => data.keys.push(key),
            Write::Ca(ca) => data.cas.push(ca),
            Write::Target(target) => data.targets.push(target),
            Write::Grant(grant) => data.grants.push(grant),
            removal => panic!("{removal:?}"),
        }
    }
    data
}

const WHOLE: &str = r#"
roles = ["ops", "dba"]
cas = ["ssh-ed25519 KCA people's CA"]

[people.alice]
roles = ["ops"]
keys = ["ssh-ed25519 K1 alice@laptop", "ssh-ed25519 K2"]

[people."Zoë"]
state = "locked"

[targets."web-1.example.com"]
host = "10.0.0.5"
port = 2222
host_keys = ["ssh-ed25519 KH1", "web-1 ssh-ed25519 KH2"]
labels = { env = "prod", tier = "" }

[targets.db]
host = "fd00::5"
host_cas = ["@cert-authority *.example.com ssh-ed25519 KH3"]

[targets.new]
host = "new"
first_use = true

[grants.ops-web]
role = "ops"
target = "env=prod"
logins = ["root", "DOMAIN\\app"]
allow = ["shell", "sftp:read"]
sources = ["10.0.0.0/8", "fd00::/8"]
expires = 2027-01-01T00:00:00Z
record = "full"
record_input = true
break_glass = true

[grants.alice-files]
person = "alice"
target = "db"
any_login = true
allow = ["sftp:read"]
paths = ["/srv/app/**", "/var/log/*"]
not_paths = ["/srv/app/keys/**"]
max_file_size = "100M"

[grants.alice-forwards]
person = "alice"
target = "db"
any_login = true
allow = ["forward:local", "forward:remote"]
forward_to = ["db:5432", "[fd00::/8]:8000-8100", "/run/app/*.sock"]
listen_on = [":0", "localhost:8080"]

[grants.alice-db]
person = "alice"
target = "db"
any_login = true
allow = ["exec"]
record = "1536"
"#;

fn told(plan: &Plan) -> String {
    let mut text = String::new();
    for change in &plan.changes {
        let diff = &change.diff;
        text.push_str(&format!("{:?} {} {}\n", diff.op, diff.record, diff.name));
        for field in &diff.fields {
            text.push_str(&format!("  {} {:?} -> {:?}\n", field.field, field.before, field.after));
        }
    }
    text.push_str(&format!("kept {}, writes {}\n", plan.kept, plan.writes.len()));
    text
}

#[test]
fn an_export_applied_again_changes_nothing_and_makes_the_same_anew() {
    let data = made(WHOLE);
    let text = export::export(&data);
    insta::assert_snapshot!(text);
    for prune in [false, true] {
        let plan = try_plan(&data, &text, prune).unwrap();
        assert_eq!((plan.changes.len(), plan.writes.len(), plan.kept), (0, 0, 0), "{}", told(&plan));
    }
    assert_eq!(made(&text), data);
}

#[test]
fn a_plan_reads_as_what_changes() {
    let before = made(WHOLE);
    let text = r#"
        roles = ["ops", "web"]
        [people.alice]
        state = "locked"
        roles = ["web"]
        keys = ["ssh-ed25519 K2 desk", "ssh-ed25519 K3"]
        [people."Zoë"]
        [people.bob]
        keys = ["ssh-ed25519 K1"]
        [targets.new]
        host = "10.0.0.9"
        labels = { env = "test" }
        [grants.ops-web]
        role = "web"
        target = "env=prod"
        logins = ["root"]
        allow = ["shell"]
    "#;
    insta::assert_snapshot!(told(&try_plan(&before, text, false).unwrap()));
    let pruned = try_plan(&before, text, true).unwrap();
    assert_eq!(pruned.kept, 0);
    insta::assert_snapshot!("pruned", told(&pruned));
}

#[test]
fn a_target_that_goes_takes_its_credentials_along_and_says_so() {
    let mut before = made(WHOLE);
    let stored = |target: &str, login: &str| bartizan_model::StoredCredential {
        target: target.parse().unwrap(),
        login: login.parse().unwrap(),
        kind: bartizan_model::CredentialKind::Password,
        key: None,
        fingerprint: None,
        added: at(3),
    };
    before.credentials = vec![stored("db", "postgres"), stored("db", "root"), stored("new", "root")];
    let file = "[targets.new]\nhost = \"elsewhere\"\n";
    let plan = try_plan(&before, file, true).unwrap();
    let of = |name: &str| plan.changes.iter().find(|change| change.diff.name == name).unwrap();
    let told: Vec<_> = of("db").diff.fields.iter().map(|field| field.before.as_deref().unwrap()).collect();
    assert_eq!(told, ["password of postgres", "password of root"]);
    assert_eq!(of("db").value["credentials"], json!(&before.credentials[..2]));
    assert!(of("web-1.example.com").diff.fields.is_empty());
    // One that stays keeps them.
    assert_eq!(of("new").value.get("credentials"), None);
}

#[test]
fn what_is_not_written_of_a_person_and_a_pinned_key_stay() {
    let mut before = made(WHOLE);
    before.people[0].state = bartizan_model::PersonState::Locked;
    let pinned = bartizan_model::HostKeyTrust::Pinned(vec!["ssh-ed25519 KSEEN".into()]);
    before.targets[0].host_key = pinned;
    let Target { name, host, port, .. } = &before.targets[0];
    let text = format!(
        "[people.alice]\n[targets.{:?}]\nhost = {host:?}\nport = {port}\nfirst_use = true\n",
        name.as_str()
    );
    let plan = try_plan(&before, &text, false).unwrap();
    assert!(plan.changes.is_empty(), "{}", told(&plan));
}

#[test]
fn faults_are_named_with_their_place_and_all_of_them() {
    let before = made(WHOLE);
    let files = [
        "roles = [\"ops\"\n",
        "[people.bob]\n[people.bob]\n",
        "people = 3\nrols = []\n[targets]\nweb = 1\n",
        "roles = [\"a\", \"b\", \"a\", \"c d\", 4]\ncas = [\"nonsense\"]\n",
        "[people.\"b b\"]\nstat = \"active\"\nstate = \"asleep\"\nroles = [\"nobody\"]\nkeys = \"x\"\n",
        "[people.bob]\nkeys = [\"ssh-ed25519 K9\", \"ssh-ed25519 K9 again\", \"ssh-ed25519 K1\"]\nroles = [\"nobody\"]\n",
        "[targets.x]\n[targets.y]\nhost = \"-oProxy\"\nport = 0\nfirst_use = false\n[targets.z]\nhost = \"z\"\n",
        "[targets.x]\nhost = \"x\"\nhost_keys = []\nhost_cas = [\"ssh-ed25519 K\"]\nlabels = { \"a b\" = \"c\", d = 1 }\n",
        "[grants.Ops]\n[grants.a]\nperson = \"nobody\"\nrole = \"ops\"\ntarget = \"a b\"\nallow = [\"sudo\"]\n",
        "[grants.a]\nperson = \"nobody\"\ntarget = \"nowhere\"\nlogins = []\nallow = [\"shell\"]\nsources = [\"x\"]\nexpires = \"soon\"\nrecord = \"much\"\n",
        "[grants.a]\nrole = \"nobody\"\ntarget = \"nowhere\"\nlogins = [\"root\"]\nallow = [\"shell\"]\n",
        "[people.\"\\u001b[2J\"]\n",
        "[grants.a]\nrole = \"ops\"\ntarget = \"db\"\nlogins = [\"root\"]\nallow = [\"exec\"]\npaths = [\"/srv/**\"]\n",
        "[grants.a]\nrole = \"ops\"\ntarget = \"db\"\nlogins = [\"root\"]\nallow = [\"sftp:read\"]\nnot_paths = [\"~/x\"]\nmax_file_size = \"big\"\n",
        "[grants.a]\nrole = \"ops\"\ntarget = \"db\"\nlogins = [\"root\"]\nallow = [\"forward:local\"]\nforward_to = [\"db\", \"10.*:1\"]\nlisten_on = [\"x:70000\"]\n",
        "[grants.a]\nrole = \"ops\"\ntarget = \"db\"\nlogins = [\"root\"]\nallow = [\"forward:local\"]\nlisten_on = [\"localhost:0\"]\n",
    ];
    let mut told = String::new();
    for text in files {
        told.push_str(&format!("--- {text:?}\n"));
        for fault in try_plan(&before, text, false).unwrap_err() {
            told.push_str(&format!("{}:{}: {}\n", fault.line, fault.column, fault.what));
        }
    }
    assert!(!told.contains('\u{1b}'), "no control byte is repeated");
    insta::assert_snapshot!(told);
}

#[test]
fn an_empty_file_does_not_prune_everything() {
    let before = made(WHOLE);
    let faults = try_plan(&before, "# nothing\n", true).unwrap_err();
    assert!(faults[0].what.contains("would remove everything"), "{faults:?}");
    assert!(try_plan(&before, "", false).unwrap().changes.is_empty());
}
