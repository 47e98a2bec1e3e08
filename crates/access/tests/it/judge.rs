//! What grants permit.

use bartizan_access::{Action, Decision, Directory, Evidence, Policies, Request};
use bartizan_model::{Grant, GrantId, Permission, PersonState, Recording, Timestamp};

use crate::world::{
    Ask, NOW, anybody, certificate, connect, data, deny, directory, grant, ids, ip, name, now, permit,
    seconds, who,
};

#[test]
fn nothing_is_permitted_without_a_grant() {
    let directory = directory(vec![grant("g1", "alice", "*", "shell,exec")]);
    let denial = deny(&directory, &who(&directory, "bob"), &connect("web-1"));
    assert_eq!((denial.reason.as_str(), denial.rules), ("no_rule", vec![]));
}

#[test]
fn each_condition_of_a_grant_must_hold() {
    let full = Grant {
        logins: Some(vec!["root".parse().unwrap(), "DOMAIN\\admin".parse().unwrap()]),
        sources: vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
        expires: Some(seconds(NOW + 10)),
        ..grant("g1", "alice", "web-?", "shell")
    };
    let directory = directory(vec![full]);
    let alice = who(&directory, "alice");
    let good = connect("web-1");
    for ask in [
        good.clone(),
        connect("web-2"),
        Ask { login: "DOMAIN\\admin", ..good.clone() },
        Ask { source: "fd00::1", ..good.clone() },
        Ask { source: "::ffff:10.1.2.3", ..good.clone() },
        Ask { action: Action::Permission(Permission::Shell), ..good.clone() },
        Ask { now: Timestamp::from_unix_micros((NOW + 10) * 1_000_000 - 1), ..good.clone() },
    ] {
        let permit = permit(&directory, &alice, &ask);
        assert_eq!(ids(permit.rules()), ["g1"]);
        assert_eq!(permit.allow().to_string(), "shell");
    }
    for ask in [
        connect("db-1"),
        Ask { login: "nobody", ..good.clone() },
        Ask { login: "ROOT", ..good.clone() },
        Ask { source: "11.0.0.1", ..good.clone() },
        Ask { source: "::1", ..good.clone() },
        Ask { now: seconds(NOW + 10), ..good.clone() },
        Ask { action: Action::Permission(Permission::Exec), ..good.clone() },
    ] {
        assert_eq!(deny(&directory, &alice, &ask).reason.as_str(), "no_rule", "{}", ask.target);
    }
    assert_eq!(deny(&directory, &alice, &connect("web-9")).reason.as_str(), "unknown_target");
}

#[test]
fn a_grant_to_no_login_or_no_reachable_network_permits_nothing() {
    let none = Grant { logins: Some(vec![]), ..grant("g1", "alice", "*", "shell") };
    let mapped =
        Grant { sources: vec!["::ffff:10.0.0.0/104".parse().unwrap()], ..grant("g2", "alice", "*", "shell") };
    let directory = directory(vec![none, mapped]);
    let alice = who(&directory, "alice");
    deny(&directory, &alice, &connect("web-1"));
    deny(&directory, &alice, &Ask { source: "::ffff:10.0.0.1", ..connect("web-1") });
}

#[test]
fn a_grant_without_permissions_opens_a_session_that_may_do_nothing() {
    let directory = directory(vec![grant("g1", "alice", "web-1", "")]);
    let alice = who(&directory, "alice");
    assert!(permit(&directory, &alice, &connect("web-1")).allow().is_empty());
    for permission in Permission::ALL {
        deny(&directory, &alice, &Ask { action: Action::Permission(permission), ..connect("web-1") });
    }
}

#[test]
fn grants_add_up_and_the_answer_names_them() {
    let directory = directory(vec![
        grant("a", "alice", "web-*", "shell"),
        grant("b", "alice", "web-1", "exec,sftp:read"),
        grant("c", "alice", "db-1", "scp"),
        grant("d", "bob", "*", "x11"),
    ]);
    let alice = who(&directory, "alice");
    let session = permit(&directory, &alice, &connect("web-1"));
    assert_eq!(
        (ids(session.rules()), session.allow().to_string()),
        (vec!["a", "b"], "shell,exec,sftp:read".into())
    );
    let exec =
        permit(&directory, &alice, &Ask { action: Action::Permission(Permission::Exec), ..connect("web-1") });
    assert_eq!(ids(exec.rules()), ["b"]);
    assert_eq!(permit(&directory, &alice, &connect("web-2")).allow().to_string(), "shell");
}

#[test]
fn every_grant_gets_at_least_the_recording_it_asks_for() {
    let recorded = |id: &str, channel_cap, input| Grant {
        record: Recording { channel_cap, input },
        ..grant(id, "alice", "web-1", "shell")
    };
    for (grants, expected) in [
        (vec![recorded("a", Some(0), false)], Recording { channel_cap: Some(0), input: false }),
        (
            vec![recorded("a", Some(5), false), recorded("b", Some(7), true)],
            Recording { channel_cap: Some(7), input: true },
        ),
        (
            vec![recorded("a", Some(5), true), recorded("b", None, false)],
            Recording { channel_cap: None, input: true },
        ),
        (
            vec![
                recorded("a", Some(5), false),
                Grant { target: "db-1".parse().unwrap(), ..recorded("b", None, true) },
            ],
            Recording { channel_cap: Some(5), input: false },
        ),
    ] {
        let directory = directory(grants);
        assert_eq!(permit(&directory, &who(&directory, "alice"), &connect("web-1")).recording(), expected);
    }
}

#[test]
fn a_permit_says_when_it_lapses() {
    let until = |id: &str, micros: u64| Grant {
        expires: Some(Timestamp::from_unix_micros(NOW * 1_000_000 + micros)),
        ..grant(id, "alice", "web-1", "shell")
    };
    let ends = |grants| {
        let directory = directory(grants);
        let permit = permit(&directory, &who(&directory, "alice"), &connect("web-1"));
        (permit.until().map(|u| (u.at, u.rule.0.clone())), permit.judge_again_at())
    };
    let endless = grant("e", "alice", "web-1", "exec");
    assert_eq!(ends(vec![endless.clone()]), (None, None));
    assert_eq!(ends(vec![endless, until("a", 5_000_000)]), (None, Some(seconds(NOW + 5))));
    assert_eq!(
        ends(vec![until("a", 5_000_000), until("b", 9_999_999)]),
        (Some((seconds(NOW + 9), "b".into())), Some(seconds(NOW + 5)))
    );
    let directory = directory(vec![until("a", 999_999)]);
    assert_eq!(deny(&directory, &who(&directory, "alice"), &connect("web-1")).reason.as_str(), "no_rule");
}

#[test]
fn an_answer_never_rests_on_what_was_proven_under_an_older_snapshot() {
    let old = directory(vec![grant("g1", "alice", "*", "shell")]);
    let alice = who(&old, "alice");
    permit(&old, &alice, &connect("web-1"));
    let changed = |change: fn(&mut bartizan_model::DirectoryData)| {
        let mut data = data(vec![grant("g1", "alice", "*", "shell")]);
        change(&mut data);
        Directory::build(&data, Policies::default()).unwrap()
    };
    for (directory, reason) in [
        (changed(|data| data.people[0].state = PersonState::Locked), "person_locked"),
        (changed(|data| data.people.retain(|p| p.name != name("alice"))), "unknown_person"),
        (changed(|data| data.keys.retain(|k| k.person != name("alice"))), "unknown_key"),
        (changed(|data| data.keys[0].person = name("bob")), "unknown_key"),
        (changed(|data| data.grants.clear()), "no_rule"),
        (changed(|data| data.targets.retain(|t| t.name.as_str() != "web-1")), "unknown_target"),
    ] {
        for action in [Action::Connect, Action::Continue, Action::Permission(Permission::Shell)] {
            let ask = Ask { action, ..connect("web-1") };
            assert_eq!(deny(&directory, &alice, &ask).reason.as_str(), reason);
        }
    }
}

#[test]
fn an_expired_certificate_opens_nothing_new_and_ends_nothing() {
    let directory = directory(vec![grant("g1", "alice", "*", "shell")]);
    let evidence = Evidence::Certificate(certificate(&["alice"]));
    let alice = directory.authenticate(evidence, &anybody(), now()).unwrap();
    let later = Ask { now: seconds(NOW + 3600), ..connect("web-1") };
    assert_eq!(deny(&directory, &alice, &later).reason.as_str(), "certificate_expired");
    permit(&directory, &alice, &Ask { action: Action::Continue, ..later.clone() });
    permit(&directory, &alice, &Ask { action: Action::Permission(Permission::Shell), ..later.clone() });

    let mut data = data(vec![grant("g1", "alice", "*", "shell")]);
    data.cas.clear();
    let without_ca = Directory::build(&data, Policies::default()).unwrap();
    let denial = deny(&without_ca, &alice, &Ask { action: Action::Continue, ..later });
    assert_eq!(denial.reason.as_str(), "unknown_authority");
}

#[test]
fn a_certificate_holds_back_what_it_has_no_extension_for() {
    let directory =
        directory(vec![grant("g1", "alice", "*", "shell,agent,x11,forward:local,forward:remote")]);
    let with = |extensions: &[&str]| {
        let mut certificate = certificate(&["alice"]);
        certificate.extensions = extensions.iter().map(|e| (*e).to_owned()).collect();
        directory.authenticate(Evidence::Certificate(certificate), &anybody(), now()).unwrap()
    };
    for (extensions, pty, allow) in [
        (&[][..], false, "shell"),
        (&["permit-pty"], true, "shell"),
        (&["permit-agent-forwarding"], false, "shell,agent"),
        (&["permit-X11-forwarding", "permit-x11-forwarding-not"], false, "shell,x11"),
        (&["permit-pty", "permit-port-forwarding"], true, "shell,forward:local,forward:remote"),
    ] {
        let permit = permit(&directory, &with(extensions), &connect("web-1"));
        assert_eq!((permit.pty(), permit.allow().to_string()), (pty, allow.to_owned()), "{extensions:?}");
    }
    let ask = Ask { action: Action::Permission(Permission::Agent), ..connect("web-1") };
    assert_eq!(deny(&directory, &with(&["permit-pty"]), &ask).reason.as_str(), "certificate_extension");
    assert!(
        permit(&directory, &who(&directory, "alice"), &connect("web-1")).pty(),
        "a plain key holds nothing back"
    );
}

#[test]
fn names_are_data_and_not_policy() {
    let odd = "g\"); permit(principal, action, resource); //";
    let mut grant = grant(odd, "alice", "web-1", "shell");
    grant.logins = Some(vec!["a\\nb".parse().unwrap()]);
    let directory = directory(vec![grant]);
    let alice = who(&directory, "alice");
    let exact = permit(&directory, &alice, &Ask { login: "a\\nb", ..connect("web-1") });
    assert_eq!(ids(exact.rules()), [odd]);
    deny(&directory, &alice, &connect("web-2"));
    deny(&directory, &who(&directory, "mallory"), &Ask { login: "a\\nb", ..connect("web-1") });
}

#[test]
fn explaining_answers_as_judging_would_and_needs_no_key() {
    let mut data = data(vec![grant("g1", "alice", "web-1", "shell"), grant("g2", "bob", "web-1", "exec")]);
    data.keys.clear();
    data.people[1].state = PersonState::Locked;
    let without_keys = Directory::build(&data, Policies::default()).unwrap();
    let with_keys = directory(data.grants.clone());
    let (target, login) = ("web-1".parse().unwrap(), "root".parse().unwrap());
    for action in
        [Action::Connect, Action::Permission(Permission::Shell), Action::Permission(Permission::Exec)]
    {
        let request = bartizan_access::Request {
            target: &target,
            login: &login,
            action,
            source: ip("10.0.0.1"),
            forward: None,
        };
        let judged = with_keys.judge(&who(&with_keys, "alice"), &request, now());
        assert_eq!(without_keys.explain(&name("alice"), &request, now()), judged);
        for (person, reason) in [("bob", "person_locked"), ("stranger", "unknown_person")] {
            let bartizan_access::Decision::Deny(denial) =
                without_keys.explain(&name(person), &request, now())
            else {
                panic!("{person} is permitted");
            };
            assert_eq!(denial.reason.as_str(), reason);
        }
    }
}

#[test]
fn a_grant_reads_as_the_policy_it_is() {
    let full = Grant {
        logins: Some(vec!["root".parse().unwrap(), "app".parse().unwrap()]),
        sources: vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
        expires: Some(seconds(NOW)),
        ..grant("g1", "alice", "web-*", "shell,sftp:read")
    };
    let directory = directory(vec![full]);
    let text = directory.policy_text(&name("alice"), &bartizan_model::GrantId("g1".into())).unwrap();
    assert_eq!(
        text.replace(") when", ")\nwhen").replace("} when", "}\nwhen"),
        r#"permit(principal == Person::"alice", action in [Action::"connect", Action::"shell", Action::"sftp:read"], resource in Selector::"web-*")
when { ["root", "app"].contains(context.login) }
when { context.source.isInRange(ip("10.0.0.0/8")) || context.source.isInRange(ip("fd00::/8")) }
when { context.now < 1795854600 };"#
    );
}

#[test]
fn a_role_gives_its_grants_to_those_who_have_it_and_to_nobody_else() {
    let mut world = data(vec![grant("shared", "role:ops", "tier=web", "shell")]);
    let before = Directory::build(&world, Policies::default()).unwrap();
    let may = |directory: &Directory, person: &str, target: &str| {
        let (login, target) = ("root".parse().unwrap(), target.parse().unwrap());
        let action = Action::Permission(Permission::Shell);
        let request =
            Request { target: &target, login: &login, action, source: ip("10.0.0.1"), forward: None };
        match directory.explain(&name(person), &request, seconds(NOW)) {
            Decision::Permit(permit) => Some(ids(permit.rules()).join(",")),
            Decision::Deny(_) => None,
        }
    };
    for person in ["alice", "bob"] {
        assert_eq!(may(&before, person, "web-1").as_deref(), Some("shared"), "{person}");
        assert_eq!(may(&before, person, "db-1"), None, "{person}");
    }
    assert_eq!(may(&before, "mallory", "web-1"), None);
    let text = before.policy_text(&name("alice"), &GrantId("shared".into())).unwrap();
    assert!(text.contains("principal in Role::\"ops\""), "{text}");

    // Bob loses the role, Mallory gets it; the grant itself did not change.
    world.people[1].roles.clear();
    world.people[2].roles.insert("ops".parse().unwrap());
    let after = before.rebuild(&world, Policies::default()).unwrap();
    assert_eq!(may(&after, "bob", "web-1"), None);
    assert_eq!(may(&after, "mallory", "web-2").as_deref(), Some("shared"));
    // And the label is what counts, as it is now.
    world.targets[0].labels.unset("tier");
    let after = after.rebuild(&world, Policies::default()).unwrap();
    assert_eq!(may(&after, "alice", "web-1"), None);
}

#[test]
fn a_target_is_found_in_another_case_where_only_one_has_its_name() {
    let mut data = data(vec![]);
    let mut other = data.targets[0].clone();
    for name in ["DB-9", "mail", "Mail"] {
        other.name = name.parse().unwrap();
        data.targets.push(other.clone());
    }
    let directory = Directory::build(&data, Policies::default()).unwrap();
    let found =
        |name: &str| directory.target_of_any_case(&name.parse().unwrap()).map(|t| t.name.as_str().to_owned());
    assert_eq!(found("db-9").as_deref(), Some("DB-9"));
    assert_eq!(found("DB-9").as_deref(), Some("DB-9"));
    assert_eq!(found("mail").as_deref(), Some("mail"), "the exact name counts first");
    assert_eq!(found("MAIL"), None, "two have it");
    assert_eq!(found("db-99"), None);
}
