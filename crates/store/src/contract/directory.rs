//! The promises of [`DirectoryStore`].

use std::collections::BTreeSet;

use bartizan_model::{
    AuthorizedKey, Fingerprint, Grant, GrantId, Grantee, HostKeyTrust, Label, Labels, Person, PersonName,
    PersonState, Recording, Role, RoleName, Target, TargetName, Timestamp, TrustedCa,
};

use crate::{DirectoryStore, Membership, PinOutcome, RecordKind, Removal, StoreError, Write};

/// A person called `name`.
pub fn person(name: &str) -> Person {
    let roles = BTreeSet::new();
    Person { name: name.parse().unwrap(), state: PersonState::Active, roles, created: at(1) }
}

/// Key number `n` of a person.
pub fn key(person: &str, n: u8) -> AuthorizedKey {
    AuthorizedKey {
        person: person.parse().unwrap(),
        key: format!("ssh-ed25519 AAAA{n}"),
        fingerprint: Fingerprint::from_sha256([n; 32]),
        comment: format!("{person}@laptop \"{n}\"; DROP TABLE people"),
        added: at(u64::from(n)),
    }
}

/// A target called `name`.
pub fn target(name: &str) -> Target {
    Target {
        name: name.parse().unwrap(),
        host: "10.0.0.5".into(),
        port: 22,
        host_key: HostKeyTrust::FirstUse,
        labels: Labels::default(),
        created: at(2),
    }
}

/// A grant that permits shells as root.
pub fn grant(id: &str, person: &str, target: &str) -> Grant {
    Grant {
        id: GrantId(id.into()),
        who: Grantee::Person(person.parse().unwrap()),
        target: target.parse().unwrap(),
        logins: Some(vec!["root".parse().unwrap()]),
        allow: "shell".parse().unwrap(),
        sources: vec![],
        expires: None,
        record: Recording::default(),
        break_glass: false,
        files: bartizan_model::FileRules::default(),
        forwards: bartizan_model::ForwardRules::default(),
        created: at(3),
    }
}

fn at(micros: u64) -> Timestamp {
    Timestamp::from_unix_micros(micros)
}

fn ca(n: u8) -> TrustedCa {
    let fingerprint = Fingerprint::from_sha256([n; 32]);
    TrustedCa { key: format!("ssh-ed25519 CA{n}"), fingerprint, comment: String::new(), added: at(1) }
}

fn role(name: &str) -> Role {
    Role { name: name.parse().unwrap(), created: at(4) }
}

/// A grant to a role.
fn role_grant(id: &str, role: &str, target: &str) -> Grant {
    Grant { who: Grantee::Role(role.parse().unwrap()), ..grant(id, "nobody", target) }
}

fn labels(labels: &[&str]) -> Labels {
    let mut set = Labels::default();
    for label in labels {
        set.set(label.parse::<Label>().unwrap()).unwrap();
    }
    set
}

fn name(text: &str) -> PersonName {
    text.parse().unwrap()
}

/// Every field of every record comes back as it went in, in the promised order.
pub async fn a_directory_reads_back_as_it_was_written(store: impl DirectoryStore) {
    assert_eq!(store.snapshot().await.unwrap(), crate::DirectoryData::default());

    let full = Grant {
        logins: None,
        allow: bartizan_model::PermissionSet::all(),
        sources: vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
        expires: Some(Timestamp::MAX),
        record: Recording { channel_cap: None, input: true },
        break_glass: true,
        files: bartizan_model::FileRules {
            paths: vec!["/srv/app/**".parse().unwrap()],
            not_paths: vec!["/srv/app/*.key".parse().unwrap()],
            max_file_bytes: Some(100 << 20),
        },
        forwards: bartizan_model::ForwardRules {
            to: vec!["*.corp:8000-8100".parse().unwrap(), "[fd00::/8]:22".parse().unwrap()],
            listen: vec!["localhost:0".parse().unwrap(), "/run/app/*.sock".parse().unwrap()],
        },
        ..grant("g2", "bob", "web-*")
    };
    let pinned = Target {
        host: "fd00::5".into(),
        port: 65535,
        host_key: HostKeyTrust::Authority(vec!["ssh-ed25519 AAAA".into(), "ssh-rsa BBBB".into()]),
        labels: labels(&["env=prod", "tier="]),
        ..target("a-host")
    };
    let roles = ["ops", "dba"].map(|role| role.parse().unwrap()).into();
    let bob = Person { roles, ..person("bob") };
    let shared = role_grant("g0", "ops", "env=prod");
    store.add_role(&role("ops")).await.unwrap();
    store.add_role(&role("dba")).await.unwrap();
    store.add_person(&bob, &[key("bob", 3)]).await.unwrap();
    store.add_person(&person("Zoë"), &[]).await.unwrap();
    store.add_person(&person("alice"), &[key("alice", 2), key("alice", 1)]).await.unwrap();
    store.add_target(&target("web-1")).await.unwrap();
    store.add_target(&pinned).await.unwrap();
    store.add_grant(&full).await.unwrap();
    store.add_grant(&grant("g1", "alice", "web-1")).await.unwrap();
    store.add_grant(&shared).await.unwrap();
    store.add_ca(&ca(7)).await.unwrap();

    let data = store.snapshot().await.unwrap();
    assert_eq!(data.roles, [role("dba"), role("ops")]);
    assert_eq!(data.people, [person("Zoë"), person("alice"), bob]);
    assert_eq!(data.keys, [key("alice", 1), key("alice", 2), key("bob", 3)]);
    assert_eq!(data.targets, [pinned, target("web-1")]);
    assert_eq!(data.grants, [shared, grant("g1", "alice", "web-1"), full]);
    assert_eq!(data.cas, [ca(7)]);
}

/// A second record of one name is refused and named.
pub async fn a_record_is_added_once(store: impl DirectoryStore) {
    let exists = |result: Result<(), StoreError>, kind: RecordKind, shown: &str| {
        let error = result.unwrap_err();
        let matched =
            matches!(&error, StoreError::Exists { record, name } if *record == kind && name == shown);
        assert!(matched, "{error:?}");
    };
    store.add_person(&person("alice"), &[]).await.unwrap();
    store.add_target(&target("web-1")).await.unwrap();
    store.add_grant(&grant("g1", "alice", "web-1")).await.unwrap();
    store.add_ca(&ca(1)).await.unwrap();
    let before = store.snapshot().await.unwrap();
    exists(store.add_person(&person("alice"), &[key("alice", 1)]).await, RecordKind::Person, "alice");
    exists(store.add_target(&Target { port: 23, ..target("web-1") }).await, RecordKind::Target, "web-1");
    exists(store.add_grant(&grant("g1", "alice", "*")).await, RecordKind::Grant, "g1");
    exists(store.add_ca(&ca(1)).await, RecordKind::Ca, &ca(1).fingerprint.to_string());
    assert_eq!(store.snapshot().await.unwrap(), before);
}

/// A key already registered is refused, and the message names whose it is.
pub async fn a_key_belongs_to_one_person(store: impl DirectoryStore) {
    store.add_person(&person("alice"), &[key("alice", 1)]).await.unwrap();
    store.add_person(&person("bob"), &[]).await.unwrap();
    for claimed in ["bob", "alice"] {
        let error = store.add_key(&key(claimed, 1)).await.unwrap_err();
        assert!(
            matches!(&error, StoreError::KeyTaken { person, .. } if *person == name("alice")),
            "{error:?}"
        );
        assert!(error.to_string().ends_with("is registered to alice already"), "{error}");
    }
    assert_eq!(store.remove_key(&key("alice", 1).fingerprint).await.unwrap(), key("alice", 1));
    store.add_key(&key("bob", 1)).await.unwrap();
    assert_eq!(store.snapshot().await.unwrap().keys, [key("bob", 1)]);
}

/// Adding a person with keys is one change: all or nothing.
pub async fn a_person_with_a_taken_key_is_not_added_at_all(store: impl DirectoryStore) {
    store.add_person(&person("alice"), &[key("alice", 1)]).await.unwrap();
    let before = store.snapshot().await.unwrap();
    let error = store.add_person(&person("bob"), &[key("bob", 2), key("bob", 1)]).await.unwrap_err();
    assert!(matches!(error, StoreError::KeyTaken { .. }), "{error:?}");
    assert_eq!(store.snapshot().await.unwrap(), before);
}

/// Changes of what is not there say so.
pub async fn what_is_unknown_is_not_found(store: impl DirectoryStore) {
    fn missing<T: std::fmt::Debug>(result: Result<T, StoreError>, kind: RecordKind) {
        let error = result.unwrap_err();
        assert!(matches!(&error, StoreError::NotFound { record, .. } if *record == kind), "{error:?}");
    }
    let (alice, web): (PersonName, TargetName) = (name("alice"), "web-1".parse().unwrap());
    let fingerprint = Fingerprint::from_sha256([1; 32]);
    missing(store.set_person_state(&alice, PersonState::Locked).await, RecordKind::Person);
    missing(store.remove_person(&alice, Removal::Cascade).await, RecordKind::Person);
    missing(store.add_key(&key("alice", 1)).await, RecordKind::Person);
    missing(store.remove_key(&fingerprint).await, RecordKind::Key);
    missing(store.remove_ca(&fingerprint).await, RecordKind::Ca);
    missing(store.remove_target(&web, Removal::Cascade).await, RecordKind::Target);
    missing(store.pin_host_key(&web, "ssh-ed25519 A").await, RecordKind::Target);
    missing(store.set_host_key_trust(&web, &HostKeyTrust::FirstUse).await, RecordKind::Target);
    missing(store.remove_grant(&GrantId("g1".into())).await, RecordKind::Grant);
    assert_eq!(store.snapshot().await.unwrap().generation, 0);
}

/// Removing a person that grants name is refused with the list, unless cascade is asked.
pub async fn a_person_in_use_is_removed_only_with_the_grants(store: impl DirectoryStore) {
    store.add_person(&person("alice"), &[key("alice", 1)]).await.unwrap();
    store.add_person(&person("bob"), &[key("bob", 2)]).await.unwrap();
    let grants = [grant("g1", "alice", "a-*"), grant("g2", "alice", "b-*")];
    for grant in grants.iter().chain([&grant("g3", "bob", "*")]) {
        store.add_grant(grant).await.unwrap();
    }
    let before = store.snapshot().await.unwrap();
    let error = store.remove_person(&name("alice"), Removal::Refuse).await.unwrap_err();
    assert_eq!(error.to_string(), "person alice is named in grants: g1, g2");
    assert_eq!(store.snapshot().await.unwrap(), before);

    let removed = store.remove_person(&name("alice"), Removal::Cascade).await.unwrap();
    assert_eq!((removed.person, removed.keys), (person("alice"), vec![key("alice", 1)]));
    assert_eq!(removed.grants, grants);
    let left = store.snapshot().await.unwrap();
    assert_eq!((left.people, left.keys), (vec![person("bob")], vec![key("bob", 2)]));
    assert_eq!(left.grants, [grant("g3", "bob", "*")]);

    // Keys alone do not hold a person.
    store.remove_grant(&GrantId("g3".into())).await.unwrap();
    store.remove_person(&name("bob"), Removal::Refuse).await.unwrap();
    assert!(store.snapshot().await.unwrap().keys.is_empty());
}

/// Removing a target that grants name is refused with the list, unless cascade is asked; globs do not name it.
pub async fn a_target_in_use_is_removed_only_with_the_grants_that_name_it(store: impl DirectoryStore) {
    store.add_person(&person("alice"), &[]).await.unwrap();
    store.add_target(&target("web-1")).await.unwrap();
    store.add_grant(&grant("exact", "alice", "web-1")).await.unwrap();
    store.add_grant(&grant("glob", "alice", "web-*")).await.unwrap();
    let web: TargetName = "web-1".parse().unwrap();
    let error = store.remove_target(&web, Removal::Refuse).await.unwrap_err();
    assert_eq!(error.to_string(), "target web-1 is named in grants: exact");

    let removed = store.remove_target(&web, Removal::Cascade).await.unwrap();
    assert_eq!(removed.target, target("web-1"));
    assert_eq!(removed.grants, [grant("exact", "alice", "web-1")]);
    let left = store.snapshot().await.unwrap();
    assert_eq!((left.targets, left.grants), (vec![], vec![grant("glob", "alice", "web-*")]));
}

/// A grant cannot name what is not there, so a typing error does not wait for somebody to take the name.
pub async fn grants_name_people_and_targets_that_exist(store: impl DirectoryStore) {
    let error = store.add_grant(&grant("g1", "alice", "*")).await.unwrap_err();
    assert_eq!(error.to_string(), "no person alice");
    store.add_person(&person("alice"), &[]).await.unwrap();
    let error = store.add_grant(&grant("g1", "alice", "web-1")).await.unwrap_err();
    assert_eq!(error.to_string(), "no target web-1");
    store.add_grant(&grant("g1", "alice", "web-?")).await.unwrap();
    assert_eq!(store.remove_grant(&GrantId("g1".into())).await.unwrap(), grant("g1", "alice", "web-?"));
    assert!(store.snapshot().await.unwrap().grants.is_empty());
}

/// Locking and unlocking a person changes that alone.
pub async fn a_lock_is_kept(store: impl DirectoryStore) {
    store.add_person(&person("alice"), &[]).await.unwrap();
    store.add_person(&person("bob"), &[]).await.unwrap();
    let locked = Person { state: PersonState::Locked, ..person("alice") };
    assert_eq!(store.set_person_state(&name("alice"), PersonState::Locked).await.unwrap(), locked);
    assert_eq!(store.snapshot().await.unwrap().people, [locked, person("bob")]);
    store.set_person_state(&name("alice"), PersonState::Active).await.unwrap();
    assert_eq!(store.snapshot().await.unwrap().people, [person("alice"), person("bob")]);
}

/// Of many sessions that see different keys at first use, one pins; the others learn what was pinned.
pub async fn only_the_first_host_key_is_pinned(store: impl DirectoryStore) {
    store.add_target(&target("web-1")).await.unwrap();
    let racers: Vec<_> = (0..8)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let web = "web-1".parse().unwrap();
                store.pin_host_key(&web, &format!("ssh-ed25519 KEY{n}")).await.unwrap()
            })
        })
        .collect();
    let mut outcomes = vec![];
    for racer in racers {
        outcomes.push(racer.await.unwrap());
    }
    let trusted = store.snapshot().await.unwrap().targets[0].host_key.clone();
    let pinned =
        outcomes.iter().filter(|o| matches!(o, PinOutcome::Pinned(t) if t.host_key == trusted)).count();
    let told = outcomes.iter().filter(|o| **o == PinOutcome::Already(trusted.clone())).count();
    assert_eq!((pinned, told), (1, 7), "{outcomes:?}");

    let web = "web-1".parse().unwrap();
    let authority = HostKeyTrust::Authority(vec!["ssh-ed25519 CA".into()]);
    assert_eq!(store.set_host_key_trust(&web, &authority).await.unwrap().host_key, authority);
    assert_eq!(store.pin_host_key(&web, "ssh-ed25519 X").await.unwrap(), PinOutcome::Already(authority));
}

/// People get roles and lose them; a role that grants name goes only with those grants.
pub async fn roles_have_members_and_go_with_their_grants(store: impl DirectoryStore) {
    let ops: RoleName = "ops".parse().unwrap();
    let missing = store.set_membership(&ops, &name("alice"), Membership::Member).await.unwrap_err();
    assert_eq!(missing.to_string(), "no role ops");
    let with_role = Person { roles: [ops.clone()].into(), ..person("alice") };
    assert_eq!(store.add_person(&with_role, &[]).await.unwrap_err().to_string(), "no role ops");
    assert_eq!(store.add_grant(&role_grant("g1", "ops", "*")).await.unwrap_err().to_string(), "no role ops");
    assert!(matches!(
        store.remove_role(&ops, Removal::Cascade).await.unwrap_err(),
        StoreError::NotFound { record: RecordKind::Role, .. }
    ));

    store.add_role(&role("ops")).await.unwrap();
    assert_eq!(store.add_role(&role("ops")).await.unwrap_err().to_string(), "role ops exists already");
    store.add_person(&with_role, &[]).await.unwrap();
    store.add_person(&person("bob"), &[]).await.unwrap();
    let bob = store.set_membership(&ops, &name("bob"), Membership::Member).await.unwrap();
    assert_eq!(bob.roles, [ops.clone()].into());
    // What is so already is no change.
    let before = store.snapshot().await.unwrap();
    assert_eq!(store.set_membership(&ops, &name("bob"), Membership::Member).await.unwrap(), bob);
    assert_eq!(store.snapshot().await.unwrap(), before);
    let alice = store.set_membership(&ops, &name("alice"), Membership::Outsider).await.unwrap();
    assert_eq!(alice, person("alice"));

    store.add_grant(&role_grant("g1", "ops", "*")).await.unwrap();
    let error = store.remove_role(&ops, Removal::Refuse).await.unwrap_err();
    assert_eq!(error.to_string(), "role ops is named in grants: g1");
    // Locking somebody leaves their roles alone; removing them does not need to.
    assert_eq!(store.set_person_state(&name("bob"), PersonState::Locked).await.unwrap().roles, bob.roles);
    let removed = store.remove_role(&ops, Removal::Cascade).await.unwrap();
    assert_eq!((removed.members, removed.grants), (vec![name("bob")], vec![role_grant("g1", "ops", "*")]));
    let left = store.snapshot().await.unwrap();
    assert!(left.roles.is_empty() && left.grants.is_empty());
    assert!(left.people.iter().all(|person| person.roles.is_empty()));
}

/// Many changes are made together: all of them, or none.
pub async fn many_changes_are_one(store: impl DirectoryStore) {
    let ops: RoleName = "ops".parse().unwrap();
    let alice = Person { roles: [ops.clone()].into(), ..person("alice") };
    let writes = vec![
        Write::Role(role("ops")),
        Write::Person(alice.clone()),
        Write::Key(key("alice", 1)),
        Write::Ca(ca(1)),
        Write::Target(target("web-1")),
        Write::Grant(grant("g1", "alice", "web-1")),
        Write::Grant(role_grant("g2", "ops", "env=prod")),
    ];
    store.write_all(0, writes).await.unwrap();
    let whole = store.snapshot().await.unwrap();
    assert_eq!((whole.generation, &whole.people, whole.grants.len()), (1, &vec![alice], 2));

    // Made for a directory that is not there any more.
    let error = store.write_all(0, vec![Write::Role(role("late"))]).await.unwrap_err();
    assert!(matches!(error, StoreError::Moved { expected: 0, found: 1 }), "{error:?}");
    // The last of these cannot be, so none of them is.
    for impossible in [
        Write::Grant(grant("g3", "nobody", "*")),
        Write::Grant(role_grant("g3", "nobody", "*")),
        Write::Grant(grant("g3", "alice", "db-1")),
        Write::RemovePerson(name("alice")),
        Write::RemoveRole(ops.clone()),
        Write::RemoveTarget("web-1".parse().unwrap()),
    ] {
        let writes = vec![Write::Role(role("new")), Write::RemoveCa(ca(1).fingerprint), impossible];
        store.write_all(1, writes).await.unwrap_err();
        assert_eq!(store.snapshot().await.unwrap(), whole);
    }

    // Records are replaced whole, and what refers to nothing any more goes in order.
    let elsewhere = Target { host: "10.0.0.9".into(), labels: labels(&["env=prod"]), ..target("web-1") };
    let moved = AuthorizedKey { person: name("bob"), ..key("alice", 1) };
    let writes = vec![
        Write::RemoveGrant(GrantId("g1".into())),
        Write::RemoveGrant(GrantId("g2".into())),
        Write::Person(person("bob")),
        Write::Key(moved.clone()),
        Write::Target(elsewhere.clone()),
        Write::RemovePerson(name("alice")),
        Write::RemoveRole(ops),
        Write::RemoveCa(ca(1).fingerprint),
    ];
    store.write_all(1, writes).await.unwrap();
    let left = store.snapshot().await.unwrap();
    assert_eq!((left.people, left.keys, left.targets), (vec![person("bob")], vec![moved], vec![elsewhere]));
    assert!(left.roles.is_empty() && left.grants.is_empty() && left.cas.is_empty());
    store.write_all(2, vec![Write::RemoveTarget("web-1".parse().unwrap())]).await.unwrap();
    assert!(store.snapshot().await.unwrap().targets.is_empty());
}

/// Each change makes the next generation, and everybody who follows is told after it can be read.
pub async fn every_change_is_announced_and_counted(store: impl DirectoryStore) {
    let mut follower = store.changes();
    assert_eq!(*follower.borrow_and_update(), 0);
    let web: TargetName = "web-1".parse().unwrap();
    let mut generation = 0;
    macro_rules! counts {
        ($change:expr) => {
            $change.await.unwrap();
            generation += 1;
            assert!(follower.has_changed().unwrap(), "{}", stringify!($change));
            assert_eq!(*follower.borrow_and_update(), generation);
            assert_eq!(store.snapshot().await.unwrap().generation, generation);
        };
    }
    counts!(store.add_person(&person("alice"), &[key("alice", 1)]));
    counts!(store.add_key(&key("alice", 2)));
    counts!(store.remove_key(&key("alice", 2).fingerprint));
    counts!(store.set_person_state(&name("alice"), PersonState::Locked));
    counts!(store.add_ca(&ca(1)));
    counts!(store.remove_ca(&ca(1).fingerprint));
    counts!(store.add_target(&target("web-1")));
    counts!(async { store.pin_host_key(&web, "ssh-ed25519 A").await.map(drop) });
    counts!(store.set_host_key_trust(&web, &HostKeyTrust::FirstUse));
    counts!(store.add_grant(&grant("g1", "alice", "web-1")));
    counts!(store.remove_grant(&GrantId("g1".into())));
    counts!(store.set_labels(&web, &labels(&["env=prod"])));
    counts!(store.remove_target(&web, Removal::Refuse));
    counts!(store.add_role(&role("ops")));
    counts!(store.set_membership(&"ops".parse().unwrap(), &name("alice"), Membership::Member));
    counts!(store.remove_role(&"ops".parse().unwrap(), Removal::Refuse));
    counts!(store.write_all(generation, vec![Write::Role(role("a")), Write::Role(role("b"))]));
    counts!(store.remove_person(&name("alice"), Removal::Refuse));
}

/// What was refused is no change.
pub async fn a_refused_change_is_not_counted(store: impl DirectoryStore) {
    store.add_person(&person("alice"), &[key("alice", 1)]).await.unwrap();
    let mut follower = store.changes();
    follower.mark_unchanged();
    store.add_person(&person("alice"), &[]).await.unwrap_err();
    store.add_key(&key("alice", 1)).await.unwrap_err();
    store.remove_grant(&GrantId("g".into())).await.unwrap_err();
    assert!(!follower.has_changed().unwrap());
    assert_eq!(store.snapshot().await.unwrap().generation, 1);
}

/// A caller that goes away in mid-change leaves a change that is done and announced, or none.
pub async fn a_dropped_change_is_carried_out(store: impl DirectoryStore) {
    use std::task::{Context, Waker};
    let mut follower = store.changes();
    {
        let alice = person("alice");
        let mut change = std::pin::pin!(store.add_person(&alice, &[]));
        // Mostly pending; another thread may have been quick.
        let _begun = change.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }
    follower.changed().await.unwrap();
    assert_eq!(store.snapshot().await.unwrap().people, [person("alice")]);
}

/// No snapshot shows half of a change, or a generation that is not that of its records.
pub async fn snapshots_are_of_one_moment(store: impl DirectoryStore) {
    let writer = tokio::spawn({
        let store = store.clone();
        async move {
            for n in 0..20 {
                // Two generations a round: with the person, and without.
                store.add_person(&person("alice"), &[key("alice", n)]).await.unwrap();
                store.remove_person(&name("alice"), Removal::Refuse).await.unwrap();
            }
        }
    });
    let mut last = 0;
    while last < 40 {
        let data = store.snapshot().await.unwrap();
        let expected = (data.generation % 2) as usize;
        assert_eq!((data.people.len(), data.keys.len()), (expected, expected), "{}", data.generation);
        assert!(data.generation >= last);
        last = data.generation;
        tokio::task::yield_now().await;
    }
    writer.await.unwrap();
}

/// Text from operators reaches the database as data.
pub async fn names_are_data_not_sql(store: impl DirectoryStore) {
    let id = GrantId("x'); DELETE FROM people; --".into());
    store.add_person(&person("alice"), &[key("alice", 1)]).await.unwrap();
    store.add_grant(&Grant { id: id.clone(), ..grant("g", "alice", "*") }).await.unwrap();
    assert_eq!(store.remove_grant(&id).await.unwrap().id, id);
    assert_eq!(store.snapshot().await.unwrap().people, [person("alice")]);
}
