//! People, keys, targets, grants, CAs.

use std::fs;

use bartizan_testkit::Bartizan;
use serde_json::Value;

use super::{Tells as _, public_key, text};

#[test]
fn the_shortest_path_word_for_word() {
    let temp = tempfile::tempdir().unwrap();
    let bartizan = Bartizan::start();
    let key = public_key(temp.path(), "id_ed25519");
    bartizan.cli(&["person", "add", "alice", "--key", text(&key)]).ok().tells(&["added alice", "SHA256:"]);
    let ca = bartizan.say(&["ca", "show", "user"]);
    assert!(ca.starts_with("ssh-ed25519 AAAA") && ca.lines().count() == 1, "{ca}");
    bartizan
        .cli(&["target", "add", "web-1", "10.0.0.5:22", "--first-use"])
        .ok()
        .tells(&["added web-1 at 10.0.0.5:22"]);
    let allow = "shell,exec,sftp:read,sftp:write,scp";
    let grant =
        ["grant", "add", "--person", "alice", "--target", "web-1", "--login", "root", "--allow", allow];
    bartizan.cli(&grant).ok().tells(&["alice as root on web-1", allow]);
    assert_eq!(bartizan.json(&["session", "list"]), Value::Array(Vec::new()));
    assert_eq!(bartizan.json(&["log", "search", "--type", "transfer"]), Value::Array(Vec::new()));
    bartizan.cli(&["log", "verify"]).ok().tells(&["read in order", "verifies"]);

    bartizan
        .cli(&["access", "check", "alice", "root@web-1", "sftp:read"])
        .ok()
        .tells(&["permitted", "rule g-"]);
    bartizan
        .cli(&["access", "check", "alice", "root@web-1", "agent"])
        .exits(3)
        .tells(&["denied: no grant permits it"]);
    bartizan.cli(&["access", "check", "alice", "nobody@web-1", "connect"]).exits(3);
    let printed = bartizan.say(&["ssh-config", "--person", "alice", "--host", "bastion"]);
    for words in [
        "Host bastion",
        "User alice",
        "Host web-1\n    ProxyJump bastion",
        "@cert-authority web-1 ssh-ed25519 AAAA",
    ] {
        assert!(printed.contains(words), "{words} is missing in:\n{printed}");
    }
    assert!(printed.contains(&format!("[127.0.0.1]:{} ssh-rsa AAAA", bartizan.port())), "{printed}");

    let kinds = bartizan.json(&["log", "search", "--type", "directory.change", "--oldest-first"]);
    let told: Vec<String> = (kinds.as_array().unwrap().iter())
        .map(|event| format!("{} {}", event["action"].as_str().unwrap(), event["record"].as_str().unwrap()))
        .collect();
    assert_eq!(told, ["add person", "add target", "add grant"]);
}

#[test]
fn people_and_keys_come_and_go() {
    let temp = tempfile::tempdir().unwrap();
    let bartizan = Bartizan::start();
    let (first, second) = (public_key(temp.path(), "first"), public_key(temp.path(), "second"));
    bartizan.cli(&["person", "add", "alice"]).ok().tells(&["no keys yet"]);
    bartizan.cli(&["key", "add", "alice", text(&first), text(&second)]).ok();
    let keys = bartizan.json(&["key", "list", "alice"]);
    assert_eq!(keys.as_array().unwrap().len(), 2);
    let fingerprint = keys[0]["fingerprint"].as_str().unwrap();
    bartizan
        .cli(&["person", "add", "bob", "--key", text(&first)])
        .exits(1)
        .tells(&["is registered to alice already"]);
    bartizan.cli(&["key", "remove", fingerprint]).ok().tells(&[fingerprint, "from alice"]);
    bartizan.cli(&["key", "remove", fingerprint]).exits(1).tells(&["no key SHA256:"]);
    bartizan.cli(&["person", "lock", "alice"]).ok();
    assert_eq!(bartizan.json(&["person", "list"])[0]["state"], "locked");
    bartizan.cli(&["person", "show", "alice"]).ok().tells(&["alice, locked"]);
    bartizan.cli(&["person", "unlock", "alice"]).ok();
    bartizan.cli(&["person", "remove", "alice"]).ok().tells(&["removed alice with 1 key and 0 grants"]);
    assert_eq!(bartizan.json(&["person", "list"]), Value::Array(Vec::new()));
    bartizan.cli(&["person", "remove", "alice"]).exits(1).tells(&["no person alice", "person list"]);
}

#[test]
fn grants_hold_what_they_name() {
    let bartizan = Bartizan::start();
    bartizan.say(&["person", "add", "alice"]);
    bartizan.say(&["target", "add", "web-1", "[::1]:2222", "--first-use"]);
    let add = |more: &[&str]| {
        bartizan.cli(&[&["grant", "add", "--person", "alice", "--allow", "shell"][..], more].concat())
    };
    add(&["--target", "web-9", "--login", "root"]).exits(1).tells(&["no target web-9"]);
    add(&["--target", "web-1", "--login", "root", "--expires", "2001-01-01"])
        .exits(2)
        .tells(&["expired already"]);
    let whole =
        ["--any-login", "--source", "10.0.0.0/8", "--expires", "8h", "--record", "digests", "--record-input"];
    add(&[&["--target", "web-*"][..], &whole].concat()).ok();
    let grant = bartizan.json(&["grant", "list"])[0].clone();
    assert_eq!(grant["logins"], Value::Null);
    assert_eq!(grant["record"], serde_json::json!({"channel_cap": 0, "input": true}));
    let id = grant["id"].as_str().unwrap();
    let shown = bartizan.json(&["grant", "show", id]);
    assert_eq!((&shown["people"], &shown["targets"]), (&["alice"][..].into(), &["web-1"][..].into()));
    for (key, value) in grant.as_object().unwrap() {
        assert_eq!(&shown[key], value, "{key}");
    }
    let told = ["alice as any login on web-*", "from 10.0.0.0/8", "people now: alice", "targets now: web-1"];
    bartizan.cli(&["grant", "show", &id[..6]]).ok().tells(&told);
    bartizan.cli(&["grant", "show", "g-none"]).exits(1).tells(&["no grant g-none", "grant list"]);
    let check = |more: &[&str]| {
        bartizan.cli(&[&["access", "check", "alice", "root@web-1", "connect"][..], more].concat()).code()
    };
    assert_eq!((check(&[]), check(&["--source", "10.1.2.3"])), (3, 0), "only from there");
    add(&["--target", "web-1", "--login", "root"]).ok();
    bartizan.cli(&["target", "remove", "web-1"]).exits(1).tells(&["is named in grants", "--with-grants"]);
    bartizan.cli(&["person", "remove", "alice"]).exits(1);
    bartizan.cli(&["target", "remove", "web-1", "--with-grants"]).ok();
    bartizan.cli(&["grant", "remove", grant["id"].as_str().unwrap()]).ok();
    assert_eq!(bartizan.json(&["grant", "list", "--person", "alice"]), Value::Array(Vec::new()));
}

#[test]
fn host_keys_and_cas_come_from_files() {
    let temp = tempfile::tempdir().unwrap();
    let bartizan = Bartizan::start();
    let key = public_key(temp.path(), "host");
    let known_hosts = temp.path().join("known_hosts");
    fs::write(&known_hosts, format!("web-1,10.0.0.5 {}", fs::read_to_string(&key).unwrap())).unwrap();
    bartizan.say(&["target", "add", "by-pub", "10.0.0.5", "--host-key", text(&key)]);
    bartizan.say(&["target", "add", "by-known-hosts", "10.0.0.5", "--host-key", text(&known_hosts)]);
    bartizan.say(&["target", "add", "by-ca", "10.0.0.5", "--host-ca", text(&key)]);
    let targets = bartizan.json(&["target", "list"]);
    let trust = |name: &str| {
        let found = targets.as_array().unwrap().iter().find(|target| target["name"] == name);
        found.unwrap()["host_key"].clone()
    };
    assert_eq!(trust("by-pub"), trust("by-known-hosts"));
    assert!(trust("by-ca")["authority"][0].as_str().unwrap().starts_with("ssh-ed25519 AAAA"));

    bartizan.say(&["ca", "trust", text(&key)]);
    let listed = || bartizan.json(&["ca", "list"]).as_array().unwrap().clone();
    let names =
        |cas: &[Value]| cas.iter().map(|ca| ca["ca"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let cas = listed();
    assert_eq!(names(&cas), ["user", "host", "people", "trusted"]);
    bartizan.cli(&["ca", "trust", text(&key)]).exits(1).tells(&["exists already"]);
    bartizan.say(&["ca", "untrust", cas[3]["fingerprint"].as_str().unwrap()]);
    assert_eq!(names(&listed()), ["user", "host", "people"]);
}

#[test]
fn a_private_key_goes_nowhere() {
    let temp = tempfile::tempdir().unwrap();
    let bartizan = Bartizan::start();
    public_key(temp.path(), "id");
    let private = temp.path().join("id");
    bartizan
        .cli(&["person", "add", "alice", "--key", text(&private)])
        .exits(1)
        .tells(&["private key", ".pub"]);
    assert_eq!(bartizan.json(&["person", "list"]), Value::Array(Vec::new()));
    fs::write(&private, "not a key\n").unwrap();
    bartizan.cli(&["person", "add", "alice", "--key", text(&private)]).exits(2).tells(&["line 1"]);
    bartizan
        .cli(&["person", "add", "alice", "--key", text(&temp.path().join("none"))])
        .exits(1)
        .tells(&["cannot read"]);
}

#[test]
fn what_others_wrote_never_steers_the_terminal() {
    let temp = tempfile::tempdir().unwrap();
    let bartizan = Bartizan::start();
    let key = public_key(temp.path(), "id");
    let hostile = fs::read_to_string(&key).unwrap().trim_end().to_owned()
        + " \u{1b}]0;owned\u{7}\u{1b}[2J\u{202e}\u{9b}6n";
    fs::write(&key, hostile).unwrap();
    bartizan.cli(&["person", "add", "alice", "--key", text(&key)]).ok();
    let listings: [&[&str]; 6] = [
        &["key", "list"],
        &["key", "list", "--json"],
        &["person", "show", "alice"],
        &["person", "show", "alice", "--json"],
        &["log", "search"],
        &["log", "search", "--json"],
    ];
    for arguments in listings {
        let shown = bartizan.say(arguments);
        let steers = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!shown.contains(steers), "{arguments:?}: {shown:?}");
    }
    assert!(bartizan.say(&["key", "list"]).contains("\\x1b]0;owned\\x07"), "it can be read all the same");
    bartizan.cli(&["person", "show", "a\u{1b}[2Jb"]).exits(2);
    let told = bartizan.cli(&["person", "show", "a\u{1b}[2Jb"]).errors();
    assert!(!told.contains('\u{1b}'), "{told:?}");
}

#[test]
fn roles_give_what_their_grants_permit_to_those_who_have_them() {
    let bartizan = Bartizan::start();
    for person in ["alice", "bob"] {
        bartizan.cli(&["person", "add", person]).ok();
    }
    let add = ["target", "add", "web-1", "10.0.0.5", "--first-use", "--label", "env=prod,tier=web"];
    bartizan.cli(&add).ok().tells(&["labels env=prod,tier=web"]);
    bartizan.cli(&["role", "add", "ops"]).ok().tells(&["role assign ops PERSON"]);
    bartizan.cli(&["role", "add", "ops"]).exits(1).tells(&["role ops exists already"]);
    bartizan.cli(&["role", "assign", "ops", "alice"]).ok().tells(&["alice has the role ops"]);
    bartizan.cli(&["role", "assign", "nothing", "alice"]).exits(1).tells(&["no role nothing", "role list"]);
    let grant =
        ["grant", "add", "--role", "ops", "--target", "env=prod", "--login", "root", "--allow", "shell"];
    bartizan.cli(&grant).ok().tells(&["role ops as root on env=prod: shell"]);
    bartizan
        .cli(&["grant", "add", "--role", "dba", "--target", "*", "--any-login", "--allow", "shell"])
        .exits(1);

    let check = |person| bartizan.cli(&["access", "check", person, "root@web-1", "shell"]);
    check("alice").ok().tells(&["permitted", "rule g-"]);
    check("bob").exits(3).tells(&["denied: no grant permits it"]);
    assert_eq!(bartizan.json(&["grant", "list", "--person", "alice"]).as_array().unwrap().len(), 1);
    assert_eq!(bartizan.json(&["grant", "list", "--person", "bob"]), Value::Array(Vec::new()));
    assert_eq!(bartizan.json(&["role", "list"])[0]["members"], serde_json::json!(["alice"]));

    bartizan.cli(&["target", "label", "web-1", "env=test", "tier-"]).ok().tells(&["labels env=test"]);
    check("alice").exits(3);
    bartizan.cli(&["target", "label", "web-1", "env=prod"]).ok();
    check("alice").ok();
    bartizan.cli(&["role", "unassign", "ops", "alice"]).ok().tells(&["does not have the role ops"]);
    check("alice").exits(3);
    bartizan
        .cli(&["role", "remove", "ops"])
        .exits(1)
        .tells(&["role ops is named in grants", "--with-grants"]);
    bartizan.cli(&["role", "remove", "ops", "--with-grants"]).ok().tells(&["with 1 grant"]);

    let changes = bartizan.json(&["log", "search", "--type", "directory.change", "--oldest-first"]);
    let told: Vec<String> = (changes.as_array().unwrap().iter().skip(3))
        .map(|event| format!("{} {}", event["action"].as_str().unwrap(), event["record"].as_str().unwrap()))
        .collect();
    let expected =
        "add role, assign person, add grant, label target, label target, unassign person, remove role";
    assert_eq!(told.join(", "), expected);
}

/// A key file's first line: algorithm, key and comment.
fn key_line(folder: &std::path::Path, name: &str) -> String {
    fs::read_to_string(public_key(folder, name)).unwrap().trim().to_owned()
}

#[test]
fn a_directory_file_is_applied_whole_or_not_at_all() {
    let temp = tempfile::tempdir().unwrap();
    let bartizan = Bartizan::start();
    let (alice, host) = (key_line(temp.path(), "alice"), key_line(temp.path(), "host"));
    let file = temp.path().join("directory.toml");
    let whole = format!(
        "roles = [\"ops\"]\n[people.alice]\nroles = [\"ops\"]\nkeys = [{alice:?}]\n\
         [targets.web-1]\nhost = \"10.0.0.5\"\nhost_keys = [{host:?}]\nlabels = {{ env = \"prod\" }}\n\
         [grants.ops-prod]\nrole = \"ops\"\ntarget = \"env=prod\"\nlogins = [\"root\"]\nallow = [\"shell\"]\n"
    );
    fs::write(&file, &whole).unwrap();
    let apply = |more: &[&str]| bartizan.cli(&[&["apply", "-f", text(&file)], more].concat());
    apply(&["--dry-run"]).ok().tells(&["+ person alice", "+ target web-1", "4 would be added"]);
    assert_eq!(bartizan.json(&["person", "list"]), Value::Array(Vec::new()), "a dry run changes nothing");
    apply(&[]).ok().tells(&["+ grant ops-prod", "4 added, 0 changed, 0 removed"]);
    bartizan.cli(&["access", "check", "alice", "root@web-1", "shell"]).ok().tells(&["rule ops-prod"]);
    apply(&[]).ok().tells(&["nothing to change"]);
    fs::write(&file, bartizan.say(&["export"])).unwrap();
    apply(&["--prune"]).ok().tells(&["nothing to change"]);

    // One reference to nobody, and nothing else of the file is taken either.
    fs::write(&file, whole.replace("role = \"ops\"", "role = \"opps\"").replace("10.0.0.5", "10.0.0.9"))
        .unwrap();
    let refused = apply(&[]).exits(1);
    refused.tells(&["directory.toml:10:8: there is no role opps", "  | role = \"opps\"\n  |        ^"]);
    assert_eq!(bartizan.json(&["target", "show", "web-1"])["host"], "10.0.0.5");

    // Whatever is wrong with a file, nothing of it is taken, the sound parts included.
    let (before, other) = (bartizan.say(&["export"]), whole.replace("10.0.0.5", "10.0.0.9"));
    for (fault, place) in [
        (format!("{other}rols = [\"ops\"]\n"), "directory.toml:14:1: "),
        (format!("{other}[people.alice]\n"), "directory.toml:14:"),
        (
            format!("{other}[people.bob]\nroles = [\"nobody\"]\n"),
            "directory.toml:15:10: there is no role nobody",
        ),
        (format!("{other}[people.bob]\nkeys = [{alice:?}]\n"), "directory.toml:15:"),
        (format!("{other}[people.bob\n"), "directory.toml:14:"),
        (other.replace("[\"shell\"]", "[\"sudo\"]"), "directory.toml:13:"),
    ] {
        fs::write(&file, &fault).unwrap();
        for more in [&[][..], &["--prune"], &["--dry-run"]] {
            apply(more).exits(1).tells(&[place]);
        }
        assert_eq!(bartizan.say(&["export"]), before, "{fault}");
    }

    bartizan.cli(&["person", "add", "bob"]).ok();
    fs::write(&file, &whole).unwrap();
    apply(&[]).ok().tells(&["nothing to change", "1 record not in the file stays; --prune removes it"]);
    let done = bartizan.json(&["apply", "-f", text(&file), "--prune"]);
    assert_eq!((&done["removed"], &done["changes"][0]["name"]), (&1.into(), &"bob".into()));

    let changes = bartizan.json(&["log", "search", "--type", "directory.change", "--oldest-first"]);
    let told: Vec<String> = (changes.as_array().unwrap().iter())
        .map(|event| {
            assert!(event["by"].as_str().unwrap().starts_with("uid "));
            format!("{} {}", event["action"].as_str().unwrap(), event["record"].as_str().unwrap())
        })
        .collect();
    let expected = "add role, add person, add target, add grant, apply directory, add person, remove person, \
                    apply directory";
    assert_eq!(told.join(", "), expected);
}

#[test]
fn ten_thousand_records_round_trip() {
    use std::fmt::Write as _;
    let temp = tempfile::tempdir().unwrap();
    let bartizan = Bartizan::start();
    let file = temp.path().join("directory.toml");
    let mut whole = String::from("roles = [\"ops\"]\n");
    for n in 0..5_000 {
        let _ = write!(
            whole,
            "[people.person-{n}]\nroles = [\"ops\"]\n\
             [targets.host-{n}]\nhost = \"10.0.{}.{}\"\nfirst_use = true\nlabels = {{ rack = \"r{}\" }}\n",
            n / 250,
            n % 250,
            n % 40
        );
    }
    whole.push_str(
        "[grants.ops]\nrole = \"ops\"\ntarget = \"rack=r7\"\nlogins = [\"root\"]\nallow = [\"shell\"]\n",
    );
    fs::write(&file, &whole).unwrap();
    let done = bartizan.json(&["apply", "-f", text(&file)]);
    assert_eq!(done["added"], 10_002);
    fs::write(&file, bartizan.say(&["export"])).unwrap();
    let again = bartizan.json(&["apply", "-f", text(&file), "--prune"]);
    assert_eq!((&again["added"], &again["changed"], &again["removed"]), (&0.into(), &0.into(), &0.into()));
    bartizan.cli(&["access", "check", "person-4999", "root@host-47", "shell"]).ok();
    bartizan.cli(&["access", "check", "person-4999", "root@host-48", "shell"]).exits(3);
}
