//! Cedar's answer against a plain model of what grants mean, over random directories.

use bartizan_access::{Action, Decision, Directory, Policies};
use bartizan_model::{Grant, Permission, Recording};
use proptest::prelude::*;

use crate::world::{Ask, NOW, data, decide, grant, ids, ip, permit, seconds, who};

const PEOPLE: [&str; 2] = ["alice", "bob"];
const GRANTEES: [&str; 5] = ["alice", "bob", "role:ops", "role:dba", "role:nobody"];
const TARGETS: [&str; 3] = ["web-1", "web-2", "db-1"];
const SELECTORS: [&str; 10] =
    ["web-1", "db-1", "web-*", "*", "?eb-2", "*-1", "x*", "tier=web", "tier=db,env=prod", "env=test"];
const LOGINS: [&str; 3] = ["root", "app", "DOMAIN\\x"];
const NETWORKS: [&str; 6] = ["10.0.0.0/8", "10.1.0.0/16", "0.0.0.0/0", "::/0", "fd00::/8", "192.0.2.7"];
const SOURCES: [&str; 5] = ["10.0.0.1", "10.1.0.1", "192.0.2.7", "fd00::1", "::ffff:10.1.0.1"];

/// Operators' policies of every shape: by action or all, that permit and that forbid, that fail.
const POLICIES: [&str; 6] = [
    r#"permit (principal, action in [Action::"connect", Action::"scp", Action::"shell"], resource in Selector::"web-*");"#,
    r#"permit (principal == Person::"bob", action, resource) when { context.login == "app" };"#,
    r#"forbid (principal, action == Action::"shell", resource);"#,
    r#"forbid (principal, action, resource == Target::"db-1") when { context.now > 1795854600 };"#,
    r#"forbid (principal, action in [Action::"x11", Action::"exec"], resource) when { context.now * 9223372036854775807 > 0 };"#,
    r#"forbid (principal, action == Action::"connect", resource) when { context.source == ip("192.0.2.7") };"#,
];

/// Operators' policies that look at the time.
const TIMED: [&str; 5] = [
    r#"permit (principal, action, resource in Selector::"web-*") when { context.now >= 1795854601 };"#,
    r#"permit (principal, action == Action::"connect", resource) unless { 1795854602 < context.now };"#,
    r#"forbid (principal, action == Action::"shell", resource) when { context.now == 1795854603 };"#,
    r#"forbid (principal, action, resource) when { context.now > 1795854604 && context.login == "app" };"#,
    r#"forbid (principal, action == Action::"exec", resource) when { context.now != 1795854600 };"#,
];

type Written =
    (&'static str, &'static str, Option<Vec<&'static str>>, Vec<Permission>, Vec<&'static str>, Option<u64>);

fn grants() -> impl Strategy<Value = Vec<Grant>> {
    let pick = |of: &'static [&'static str]| prop::sample::select(of);
    let one = (
        pick(&GRANTEES),
        pick(&SELECTORS),
        prop::option::of(prop::collection::vec(pick(&LOGINS), 0..3)),
        prop::collection::vec(prop::sample::select(Permission::ALL.to_vec()), 0..4),
        prop::collection::vec(pick(&NETWORKS), 0..3),
        prop::option::of(NOW - 2..NOW + 3),
    );
    prop::collection::vec(one, 0..8).prop_map(|grants| {
        let grant = |(n, (person, selector, logins, allow, sources, expires)): (usize, Written)| Grant {
            logins: logins.map(|logins| logins.iter().map(|l| l.parse().unwrap()).collect()),
            allow: allow.into_iter().collect(),
            sources: sources.iter().map(|s| s.parse().unwrap()).collect(),
            expires: expires.map(seconds),
            record: Recording::default(),
            break_glass: false,
            files: bartizan_model::FileRules::default(),
            forwards: bartizan_model::ForwardRules::default(),
            ..grant(&format!("g{n}"), person, selector, "")
        };
        grants.into_iter().enumerate().map(grant).collect()
    })
}

fn asks() -> impl Strategy<Value = (&'static str, Ask<'static>)> {
    let pick = |of: &'static [&'static str]| prop::sample::select(of);
    let action = prop_oneof![
        Just(Action::Connect),
        Just(Action::Continue),
        prop::sample::select(Permission::ALL.to_vec()).prop_map(Action::Permission),
    ];
    (pick(&PEOPLE), pick(&TARGETS), pick(&LOGINS), action, pick(&SOURCES), NOW - 3..NOW + 4).prop_map(
        |(person, target, login, action, source, now)| {
            (person, Ask { target, login, action, source, now: seconds(now) })
        },
    )
}

/// What a grant means, in plain words of Rust.
fn covers(grant: &Grant, person: &str, ask: &Ask<'_>) -> bool {
    let world = data(vec![]);
    let person = world.people.iter().find(|known| known.name.as_str() == person).unwrap();
    let target = world.targets.iter().find(|known| known.name.as_str() == ask.target).unwrap();
    grant.who.includes(person)
        && grant.target.covers(target)
        && grant.logins.as_ref().is_none_or(|logins| logins.iter().any(|l| l.as_str() == ask.login))
        && (grant.sources.is_empty() || grant.sources.iter().any(|n| n.contains(ip(ask.source))))
        && grant.expires.is_none_or(|end| ask.now < end)
}

fn build(grants: &[Grant], policies: &str) -> Directory {
    Directory::build(&data(grants.to_vec()), Policies::parse([("p", policies)]).unwrap()).unwrap()
}

proptest! {
    #[test]
    fn deny_unless_a_rule_permits(grants in grants(), (person, ask) in asks()) {
        let directory = build(&grants, "");
        let covering: Vec<_> = grants.iter().filter(|g| covers(g, person, &ask)).collect();
        let permitting: Vec<_> = match ask.action {
            Action::Permission(p) => covering.iter().filter(|g| g.allow.contains(p)).collect(),
            Action::Connect | Action::Continue => covering.iter().collect(),
        };
        match decide(&directory, &who(&directory, person), &ask) {
            Decision::Permit(permit) => {
                let expected: Vec<_> = permitting.iter().map(|g| g.id.0.as_str()).collect();
                prop_assert!(!expected.is_empty());
                prop_assert_eq!(ids(permit.rules()), expected);
                let allow = covering.iter().flat_map(|g| g.allow.iter()).collect();
                prop_assert_eq!(permit.allow(), &allow);
                if let Some(until) = permit.until() {
                    prop_assert!(until.at > ask.now && permit.judge_again_at().unwrap() <= until.at);
                }
            }
            Decision::Deny(denial) => {
                prop_assert!(permitting.is_empty(), "{}", denial);
                prop_assert_eq!(denial.reason.as_str(), "no_rule");
                prop_assert!(denial.rules.is_empty());
            }
        }
    }

    #[test]
    fn a_snapshot_after_another_answers_like_one_built_anew(
        before in grants(),
        after in grants(),
        (person, ask) in asks(),
    ) {
        let next = build(&before, "").rebuild(&data(after.clone()), Policies::default()).unwrap();
        let anew = build(&after, "");
        let answer = decide(&next, &who(&next, person), &ask);
        prop_assert_eq!(answer, decide(&anew, &who(&anew, person), &ask));
    }

    #[test]
    fn forbid_wins(grants in grants(), (person, ask) in asks(), login in prop::sample::select(&LOGINS[..])) {
        let text = format!("@id(\"f\") forbid (principal, action, resource) when {{ context.login == {login:?} }};");
        let (free, bound) = (build(&grants, ""), build(&grants, &text));
        let answer = decide(&bound, &who(&bound, person), &ask);
        if ask.login == login {
            let forbidden = matches!(&answer, Decision::Deny(d) if ids(&d.rules) == ["p:f"]);
            prop_assert!(forbidden, "{:?}", answer);
        } else {
            prop_assert_eq!(answer, decide(&free, &who(&free, person), &ask));
        }
    }

    #[test]
    fn a_permit_grants_exactly_what_is_permitted_one_by_one(
        grants in grants(),
        (person, ask) in asks(),
        policies in prop::sample::subsequence(POLICIES.to_vec(), 0..=POLICIES.len()),
    ) {
        let directory = build(&grants, &policies.join("\n"));
        let who = who(&directory, person);
        let session = decide(&directory, &who, &Ask { action: Action::Connect, ..ask.clone() });
        for permission in Permission::ALL {
            let one = decide(&directory, &who, &Ask { action: Action::Permission(permission), ..ask.clone() });
            let allowed = matches!(&session, Decision::Permit(p) if p.allow().contains(permission));
            prop_assert_eq!(matches!(one, Decision::Permit(_)), allowed, "{}", permission);
        }
    }

    #[test]
    fn nothing_changes_before_the_permit_says_so_by_policies_either(
        grants in grants(),
        (person, ask) in asks(),
        policies in prop::sample::subsequence(TIMED.to_vec(), 0..=TIMED.len()),
    ) {
        let directory = build(&grants, &policies.join("\n"));
        let who = who(&directory, person);
        let ask = Ask { action: Action::Connect, ..ask };
        if let Decision::Permit(first) = decide(&directory, &who, &ask) {
            let end = first.judge_again_at().map_or(NOW + 10, |at| at.unix_seconds());
            for second in ask.now.unix_seconds()..end {
                let later = permit(&directory, &who, &Ask { now: seconds(second), ..ask.clone() });
                prop_assert_eq!(&later, &first);
            }
        }
    }

    #[test]
    fn nothing_changes_before_the_permit_says_so(grants in grants(), (person, ask) in asks()) {
        let directory = build(&grants, "");
        let who = who(&directory, person);
        let ask = Ask { action: Action::Connect, ..ask };
        if let Decision::Permit(first) = decide(&directory, &who, &ask) {
            let end = first.judge_again_at().map_or(NOW + 10, |at| at.unix_seconds());
            for second in ask.now.unix_seconds()..end {
                let later = permit(&directory, &who, &Ask { now: seconds(second), ..ask.clone() });
                prop_assert_eq!(&later, &first);
            }
            if let Some(until) = first.until() {
                let after = decide(&directory, &who, &Ask { now: until.at, ..ask.clone() });
                prop_assert!(matches!(after, Decision::Deny(_)));
            }
        }
    }
}

#[test]
fn every_compiled_grant_is_valid_cedar_of_our_schema() {
    use cedar_policy::{PolicySet, Schema, ValidationMode, Validator};
    let (schema, _) = Schema::from_cedarschema_str(&bartizan_access::schema_text()).unwrap();
    let full = Grant {
        logins: Some(vec!["root".parse().unwrap()]),
        sources: vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
        expires: Some(seconds(NOW)),
        ..grant("g", "alice", "web-*", "")
    };
    let full = Grant { allow: bartizan_model::PermissionSet::all(), ..full };
    let directory = build(&[full, grant("h", "alice", "web-1", "shell")], "");
    for id in ["g", "h"] {
        let text =
            directory.policy_text(&"alice".parse().unwrap(), &bartizan_model::GrantId(id.into())).unwrap();
        let set: PolicySet = text.parse().unwrap();
        let result = Validator::new(schema.clone()).validate(&set, ValidationMode::Strict);
        assert!(result.validation_passed_without_warnings(), "{text}\n{result}");
    }
}
