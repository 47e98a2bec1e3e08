//! Operators' own policies in Cedar.

use bartizan_access::{Action, Decision, FilePath, FileUse, Policies, Request};
use bartizan_model::{FileRules, Grant, Permission};

use crate::world::{Ask, NOW, connect, decide, deny, grant, ids, ip, permit, seconds, who, with_policies};

#[test]
fn a_forbid_wins_over_grants_and_is_named() {
    let directory = with_policies(
        vec![grant("g1", "alice", "*", "shell,exec")],
        r#"@id("no-root")
           forbid (principal, action, resource == Target::"db-1") when { context.login == "root" };
           @id("no-exec")
           forbid (principal, action == Action::"exec", resource in Selector::"*");"#,
    );
    let alice = who(&directory, "alice");
    let denial = deny(&directory, &alice, &connect("db-1"));
    assert_eq!((denial.reason.as_str(), ids(&denial.rules)), ("forbidden", vec!["base.cedar:no-root"]));
    assert_eq!(denial.to_string(), "a policy forbids it: base.cedar:no-root");
    let other = permit(&directory, &alice, &Ask { login: "app", ..connect("db-1") });
    assert_eq!(other.allow().to_string(), "shell");
    let exec = Ask { action: Action::Permission(Permission::Exec), login: "app", ..connect("db-1") };
    assert_eq!(ids(&deny(&directory, &alice, &exec).rules), ["base.cedar:no-exec"]);
}

#[test]
fn a_permit_works_beside_grants_and_knows_no_end() {
    let expiring = Grant { expires: Some(seconds(NOW + 5)), ..grant("g1", "alice", "web-1", "exec") };
    let directory = with_policies(
        vec![expiring],
        r#"permit (principal, action in [Action::"connect", Action::"shell"], resource)
           when { principal.name like "a*" && resource.name like "web-*" && context.source.isInRange(ip("10.0.0.0/8"))
                  && context.now > 0 && context.method == "publickey" };"#,
    );
    let alice = who(&directory, "alice");
    let both = permit(&directory, &alice, &connect("web-1"));
    assert_eq!(ids(both.rules()), ["g1", "base.cedar:policy0"]);
    assert_eq!(both.allow().to_string(), "shell,exec");
    assert_eq!((both.until(), both.judge_again_at()), (None, Some(seconds(NOW + 5))));
    let alone = permit(&directory, &alice, &connect("web-2"));
    assert_eq!((ids(alone.rules()), alone.recording()), (vec!["base.cedar:policy0"], Default::default()));
    deny(&directory, &alice, &connect("db-1"));
    deny(&directory, &alice, &Ask { source: "192.168.0.1", ..connect("web-2") });
    deny(&directory, &who(&directory, "bob"), &connect("web-1"));
}

#[test]
fn a_permit_is_judged_again_when_the_time_may_change_it() {
    let again = |condition: &str| {
        let text = format!("permit (principal, action, resource) when {{ {condition} }};");
        let directory = with_policies(vec![grant("g1", "alice", "web-1", "exec")], &text);
        let session = permit(&directory, &who(&directory, "alice"), &connect("web-1"));
        session.judge_again_at().map(|at| i128::from(at.unix_seconds()) - i128::from(NOW))
    };
    let at = |offset: i64| (NOW as i64 + offset).to_string();
    for (condition, offset) in [
        ("context.login == \"root\" && context.method == \"publickey\"".to_owned(), None),
        ("context.source.isInRange(ip(\"10.0.0.0/8\"))".to_owned(), None),
        (format!("context.now < {}", at(5)), Some(5)),
        (format!("{} <= context[\"now\"]", at(5)), Some(5)),
        (format!("!(context.now > {} || context.now == {})", at(-7), at(9)), Some(9)),
        (format!("context.now < {}", at(0)), Some(1)),
        (format!("context.now > {} && context.now > -5", at(-1)), None),
        (format!("if context.now - 100 < {} then true else false", at(5)), Some(60)),
        (format!("context.now * 2 < {} && context.now < {}", at(5), at(7)), Some(7)),
        ("context == context".to_owned(), Some(60)),
        (format!("context.now < {}", at(-100)), None),
    ] {
        assert_eq!(again(&condition), offset, "{condition}");
    }
    // The end of a grant may come before.
    let expiring = Grant { expires: Some(seconds(NOW + 3)), ..grant("g1", "alice", "web-1", "exec") };
    let text = format!("forbid (principal, action, resource) unless {{ context.now < {} }};", at(5));
    let directory = with_policies(vec![expiring, grant("g2", "alice", "web-1", "scp")], &text);
    let session = permit(&directory, &who(&directory, "alice"), &connect("web-1"));
    assert_eq!(session.judge_again_at(), Some(seconds(NOW + 3)));
    let later = Ask { now: seconds(NOW + 3), ..connect("web-1") };
    let session = permit(&directory, &who(&directory, "alice"), &later);
    assert_eq!(session.judge_again_at(), Some(seconds(NOW + 5)));
    deny(&directory, &who(&directory, "alice"), &Ask { now: seconds(NOW + 5), ..connect("web-1") });
}

#[test]
fn a_policy_with_the_id_of_a_grant_borrows_nothing_from_it() {
    let recorded = Grant {
        record: bartizan_model::Recording { channel_cap: Some(0), input: true },
        ..grant("base.cedar:x", "alice", "db-1", "x11")
    };
    let directory = with_policies(
        vec![recorded],
        r#"@id("x") permit (principal, action == Action::"connect", resource);"#,
    );
    let session = permit(&directory, &who(&directory, "alice"), &connect("web-1"));
    assert_eq!(session.recording(), Default::default());
    assert!(session.allow().is_empty());
}

#[test]
fn a_forbid_that_cannot_be_evaluated_forbids() {
    let directory = with_policies(
        vec![grant("g1", "alice", "*", "shell")],
        r#"@id("overflow") forbid (principal, action, resource)
           when { context.login == "root" && context.now * 9223372036854775807 > 0 };"#,
    );
    let alice = who(&directory, "alice");
    let denial = deny(&directory, &alice, &connect("web-1"));
    assert_eq!((denial.reason.as_str(), ids(&denial.rules)), ("policy_failed", vec!["base.cedar:overflow"]));
    permit(&directory, &alice, &Ask { login: "app", ..connect("web-1") });
}

#[test]
fn a_permit_that_cannot_be_evaluated_permits_nothing_and_hinders_nothing() {
    let directory = with_policies(
        vec![grant("g1", "alice", "web-1", "shell")],
        "permit (principal, action, resource) when { context.now * 9223372036854775807 > 0 };",
    );
    let alice = who(&directory, "alice");
    assert_eq!(ids(permit(&directory, &alice, &connect("web-1")).rules()), ["g1"]);
    assert_eq!(deny(&directory, &alice, &connect("web-2")).reason.as_str(), "no_rule");
}

#[test]
fn faults_are_told_with_file_and_line() {
    for (text, line, part) in [
        ("permit (principal, action, resource);\n\npermit (principal, action);", Some(3), "resource"),
        ("permit (\n  principal,\n  action,\n  resource\n) when { context.mfa };", Some(5), "mfa"),
        ("\nforbid (principal, action == Action::\"shel\", resource);", Some(2), "shel"),
        ("permit (principal == Persons::\"alice\", action, resource);", Some(1), "Persons"),
        ("permit (principal == ?principal, action, resource);", None, "template"),
        (
            "@id(\"a\") permit (principal, action, resource);\n@id(\"a\") forbid (principal, action, resource);",
            None,
            "base.cedar:a",
        ),
        ("permit (principal, action, resource) when { \"x\" == 5 };", Some(1), "impossible"),
    ] {
        let errors = Policies::parse([("base.cedar", text)]).unwrap_err();
        let first = &errors.0[0];
        assert_eq!((first.file.as_str(), first.line), ("base.cedar", line), "{errors}");
        assert!(first.message.contains(part), "{errors}");
        let start = line.map_or("base.cedar: ".into(), |line| format!("base.cedar:{line}: "));
        assert!(errors.to_string().starts_with(&start), "{errors}");
    }
    assert!(Policies::parse([("a.cedar", ""), ("b.cedar", "// nothing yet\n")]).unwrap().is_empty());
}

#[test]
fn files_are_checked_as_a_whole() {
    let errors = Policies::parse([
        ("a.cedar", "permit"),
        ("b.cedar", "forbid (principal, action, resource) when { x };"),
    ]);
    let files: Vec<_> = errors.unwrap_err().0.iter().map(|e| e.file.clone()).collect();
    assert!(files.contains(&"a.cedar".into()) && files.contains(&"b.cedar".into()), "{files:?}");
}

#[test]
fn policies_can_name_roles_and_labels() {
    let text = r#"
        @id("prod") forbid (principal, action == Action::"exec", resource)
        when { resource.hasTag("env") && resource.getTag("env") == "prod" }
        unless { principal in Role::"dba" };
    "#;
    let directory = with_policies(vec![grant("g1", "role:ops", "*", "exec")], text);
    let exec = |person| {
        let ask = Ask { action: Action::Permission(Permission::Exec), ..connect("db-1") };
        decide(&directory, &who(&directory, person), &ask)
    };
    assert!(
        matches!(exec("alice"), Decision::Deny(denial) if denial.to_string().contains("base.cedar:prod"))
    );
    assert!(matches!(exec("bob"), Decision::Permit(_)));
}

#[test]
fn in_an_emergency_break_glass_grants_alone_permit_and_what_forbids_forbids() {
    let glass = |id: &str, target: &str, allow: &str| Grant {
        break_glass: true,
        ..grant(id, "alice", target, allow)
    };
    let directory = with_policies(
        vec![
            grant("plain", "alice", "*", "shell,exec,scp"),
            glass("glass", "web-*", "shell"),
            glass("held", "db-1", "shell"),
        ],
        r#"permit (principal, action in [Action::"connect", Action::"x11"], resource);
           @id("freeze") forbid (principal, action == Action::"connect", resource == Target::"db-1");"#,
    );
    let alice = who(&directory, "alice");
    let judge = |ask: Ask<'_>| {
        let (target, login) = (ask.target.parse().unwrap(), ask.login.parse().unwrap());
        let request = Request {
            target: &target,
            login: &login,
            action: ask.action,
            source: ip(ask.source),
            forward: None,
        };
        directory.judge_break_glass(&alice, &request, ask.now)
    };
    let Decision::Permit(permitted) = judge(connect("web-1")) else { panic!("denied") };
    assert_eq!((ids(permitted.rules()), ids(permitted.break_glass())), (vec!["glass"], vec!["glass"]));
    assert_eq!(permitted.allow().to_string(), "shell");
    for (ask, reason) in [
        (Ask { action: Action::Permission(Permission::Exec), ..connect("web-1") }, "no_rule"),
        (Ask { action: Action::Permission(Permission::X11), ..connect("web-1") }, "no_rule"),
        (connect("db-1"), "forbidden"),
        (connect("web-9"), "unknown_target"),
    ] {
        let Decision::Deny(denial) = judge(ask) else { panic!("permitted") };
        assert_eq!(denial.reason.as_str(), reason);
    }
    // While all is well they count among the others.
    let normal = permit(&directory, &alice, &connect("web-1"));
    assert_eq!(ids(normal.break_glass()), ["glass"]);
    assert_eq!(normal.allow().to_string(), "shell,exec,scp,x11");
    assert!(permit(&directory, &alice, &connect("web-2")).break_glass() == normal.break_glass());
}

/// Rules for files are of grants: what one of them permits is permitted, and a policy permits every file.
#[test]
fn file_rules_are_those_of_the_grants_that_permit() {
    let ruled = |id, person, target, allow, path: &str| Grant {
        files: FileRules { paths: vec![path.parse().unwrap()], ..FileRules::default() },
        ..grant(id, person, target, allow)
    };
    let grants = vec![
        ruled("a", "alice", "web-1", "sftp:read", "/srv/**"),
        ruled("b", "role:ops", "web-*", "sftp:read,sftp:write", "/tmp/**"),
        ruled("c", "bob", "web-1", "sftp:read", "/etc/**"),
        Grant { expires: Some(seconds(NOW - 1)), ..grant("d", "alice", "web-1", "sftp:write") },
    ];
    let directory = with_policies(
        grants,
        r#"permit (principal, action == Action::"sftp:read", resource == Target::"web-2");
           @id("no-write")
           forbid (principal == Person::"bob", action == Action::"sftp:write", resource);"#,
    );
    let may = |person, target, what, path: &str| {
        let permit = permit(&directory, &who(&directory, person), &connect(target));
        permit.files().judge(what, &FilePath::new(path.as_bytes(), None)).is_ok()
    };
    for (person, target, what, path, permitted) in [
        ("alice", "web-1", FileUse::Read, "/srv/x", true),
        ("alice", "web-1", FileUse::Read, "/tmp/x", true),
        ("alice", "web-1", FileUse::Read, "/etc/x", false),
        ("alice", "web-1", FileUse::Write, "/tmp/x", true),
        ("alice", "web-1", FileUse::Write, "/srv/x", false),
        ("alice", "web-2", FileUse::Read, "/etc/x", true),
        ("alice", "web-2", FileUse::Write, "/etc/x", false),
        ("bob", "web-1", FileUse::Read, "/etc/x", true),
        ("bob", "web-1", FileUse::Write, "/tmp/x", false),
    ] {
        assert_eq!(may(person, target, what, path), permitted, "{person} {target} {what:?} {path}");
    }
    let permit = permit(&directory, &who(&directory, "alice"), &connect("web-1"));
    assert!(permit.files().is_by_path() && !permit.files().is_everything());
    assert_eq!(ids(&permit.files().rules(FileUse::Write, &FilePath::new(b"/tmp/x", None))), ["b"]);
}
