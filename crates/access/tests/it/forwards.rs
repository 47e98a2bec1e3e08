//! Where forwarding may lead: rules of grants, and operators' policies.

use bartizan_access::{Action, Decision, Denial, Directory, Policies, Request};
use bartizan_model::{ForwardEnd, ForwardRules, Grant, Permission};
use proptest::prelude::*;

use crate::world::{NOW, data, directory, grant, ids, ip, name, seconds, who, with_policies};

fn ruled(id: &str, allow: &str, to: &[&str], listen: &[&str]) -> Grant {
    let forwards = ForwardRules {
        to: to.iter().map(|to| to.parse().unwrap()).collect(),
        listen: listen.iter().map(|on| on.parse().unwrap()).collect(),
    };
    Grant { forwards, ..grant(id, "alice", "web-1", allow) }
}

/// The rules that permit, or why not.
fn judge(
    directory: &Directory,
    permission: Permission,
    end: Option<&ForwardEnd>,
) -> Result<Vec<String>, Denial> {
    let (target, login) = ("web-1".parse().unwrap(), "root".parse().unwrap());
    let action = Action::Permission(permission);
    let request = Request { target: &target, login: &login, action, source: ip("10.0.0.1"), forward: end };
    let judged = directory.judge(&who(directory, "alice"), &request, seconds(NOW));
    assert_eq!(directory.explain(&name("alice"), &request, seconds(NOW)), judged);
    match judged {
        Decision::Permit(permit) => Ok(ids(permit.rules()).into_iter().map(str::to_owned).collect()),
        Decision::Deny(denial) => Err(denial),
    }
}

fn local(directory: &Directory, host: &str, port: u32) -> Result<Vec<String>, Denial> {
    judge(directory, Permission::ForwardLocal, Some(&ForwardEnd::destination(host.as_bytes(), port)))
}

fn remote(directory: &Directory, address: &str, port: u32) -> Result<Vec<String>, Denial> {
    judge(directory, Permission::ForwardRemote, Some(&ForwardEnd::listener(address.as_bytes(), port)))
}

#[test]
fn what_one_grant_permits_is_permitted_and_rules_are_never_cut_with_each_other() {
    let directory = directory(vec![
        ruled("db", "forward:local", &["db:5432", "10.0.0.0/8:*"], &[]),
        ruled("web", "forward:local,forward:remote", &["web:80"], &["localhost:8080"]),
        ruled("shell", "shell", &[], &[]),
    ]);
    assert_eq!(local(&directory, "DB.", 5432).unwrap(), ["db"]);
    assert_eq!(local(&directory, "::ffff:10.1.2.3", 1).unwrap(), ["db"]);
    assert_eq!(local(&directory, "web", 80).unwrap(), ["web"]);
    assert_eq!(remote(&directory, "localhost", 8080).unwrap(), ["web"]);
    let denial = local(&directory, "web", 5432).unwrap_err();
    assert_eq!((denial.reason.as_str(), ids(&denial.rules)), ("forwarding_rules", vec!["db", "web"]));
    assert_eq!(
        denial.detail.unwrap(),
        "no grant permits forward:local to web:5432; permitted to 10.0.0.0/8:*, db:5432, web:80"
    );
    let denial = remote(&directory, "", 8080).unwrap_err();
    assert_eq!(
        denial.to_string(),
        "no grant permits forward:remote on *:8080; permitted on localhost:8080: web"
    );
    // Whether there is the permission at all is another question.
    assert_eq!(judge(&directory, Permission::ForwardLocal, None).unwrap(), ["db", "web"]);
}

#[test]
fn a_grant_without_rules_is_for_everything() {
    let directory = directory(vec![
        ruled("db", "forward:local", &["db:5432"], &[]),
        ruled("all", "forward:local,forward:remote", &[], &[]),
    ]);
    for host in ["web", "127.1", "0x7f000001", ""] {
        assert_eq!(local(&directory, host, 80).unwrap(), ["all"], "{host}");
    }
    assert_eq!(local(&directory, "db", 5432).unwrap(), ["all", "db"]);
    assert_eq!(remote(&directory, "", 0).unwrap(), ["all"]);
}

#[test]
fn without_the_permission_no_rule_is_looked_at() {
    let directory = directory(vec![ruled("shell", "shell", &[], &[])]);
    let denial = local(&directory, "db", 5432).unwrap_err();
    assert_eq!((denial.reason.as_str(), denial.detail), ("no_rule", None));
}

#[test]
fn break_glass_grants_count_alone_with_their_own_rules() {
    let glass = Grant { break_glass: true, ..ruled("glass", "forward:local", &["db:5432"], &[]) };
    let directory = directory(vec![glass, ruled("all", "forward:local", &[], &[])]);
    let (target, login) = ("web-1".parse().unwrap(), "root".parse().unwrap());
    for (host, permitted) in [("db", true), ("web", false)] {
        let end = ForwardEnd::destination(host.as_bytes(), 5432);
        let action = Action::Permission(Permission::ForwardLocal);
        let request =
            Request { target: &target, login: &login, action, source: ip("10.0.0.1"), forward: Some(&end) };
        let judged = directory.judge_break_glass(&who(&directory, "alice"), &request, seconds(NOW));
        assert_eq!(matches!(judged, Decision::Permit(_)), permitted, "{host}");
    }
}

#[test]
fn operators_policies_look_at_what_is_forwarded() {
    let text = r#"
        @id("no-mail") forbid (principal, action == Action::"forward:local", resource)
        when { context has forward && context.forward.port == 25 };
        @id("no-metadata") forbid (principal, action, resource)
        when { context has forward && context.forward has address
               && context.forward.address.isInRange(ip("169.254.0.0/16")) };
        @id("no-docker") forbid (principal, action, resource)
        when { context has forward && context.forward.path like "*docker.sock" };
        @id("monitoring") permit (principal, action == Action::"forward:local", resource)
        when { context has forward && context.forward.host like "*.monitoring" };
    "#;
    let grants =
        vec![ruled("web", "forward:local", &["*:25", "db:5432", "/run/*", "169.254.0.0/16:80"], &[])];
    let directory = with_policies(grants, text);
    let forbidden = |judged: Result<Vec<String>, Denial>| {
        let denial = judged.unwrap_err();
        (denial.reason.as_str(), denial.rules[0].0.clone())
    };
    assert_eq!(forbidden(local(&directory, "mail", 25)), ("forbidden", "base.cedar:no-mail".into()));
    for host in ["169.254.169.254", "::ffff:169.254.169.254", "::ffff:a9fe:a9fe"] {
        assert_eq!(forbidden(local(&directory, host, 80)), ("forbidden", "base.cedar:no-metadata".into()));
    }
    let socket = |path: &str| {
        judge(&directory, Permission::ForwardLocal, Some(&ForwardEnd::Unix(path.as_bytes().to_vec())))
    };
    assert_eq!(forbidden(socket("/run/docker.sock")), ("forbidden", "base.cedar:no-docker".into()));
    assert_eq!(socket("/run/app.sock").unwrap(), ["web"]);
    assert_eq!(local(&directory, "db", 5432).unwrap(), ["web"]);
    // A policy permits beside the rules of grants; without a destination it permits nothing.
    assert_eq!(local(&directory, "A.Monitoring", 9090).unwrap(), ["base.cedar:monitoring"]);
    assert_eq!(judge(&directory, Permission::ForwardLocal, None).unwrap(), ["web"]);
}

/// Where policies look, what programs read differently is refused: also where no grant has a rule.
#[test]
fn strange_spellings_evade_no_policy() {
    let grants = || vec![ruled("all", "forward:local,forward:remote", &[], &[])];
    let looks = with_policies(
        grants(),
        r#"forbid (principal, action, resource)
           when { context has forward && context.forward.host == "169.254.169.254" };"#,
    );
    for host in ["0xA9FEA9FE", "169.254.43518", "2852039166", "169.254.169.254\0", "0251.0376.0251.0376"] {
        let denial = local(&looks, host, 80).unwrap_err();
        assert!(denial.detail.as_ref().unwrap().contains("neither a plain name nor an address"), "{denial}");
    }
    assert_eq!(local(&looks, "db", 80).unwrap(), ["all"]);
    let others = with_policies(grants(), r#"forbid (principal, action == Action::"exec", resource);"#);
    assert_eq!(local(&others, "127.1", 80).unwrap(), ["all"]);
}

#[test]
fn policies_that_look_at_forwards_have_no_sessions_judged_again() {
    let text =
        r#"forbid (principal, action, resource) when { context has forward && context.forward.port == 25 };"#;
    let directory = with_policies(vec![ruled("all", "forward:local", &[], &[])], text);
    let (target, login) = ("web-1".parse().unwrap(), "root".parse().unwrap());
    let request = Request {
        target: &target,
        login: &login,
        action: Action::Continue,
        source: ip("10.0.0.1"),
        forward: None,
    };
    let Decision::Permit(permit) = directory.explain(&name("alice"), &request, seconds(NOW)) else {
        panic!("denied")
    };
    assert_eq!(permit.judge_again_at(), None);
    // Whoever forgets that it is not always there is told.
    let faulty = r#"forbid (principal, action, resource) when { context.forward.port == 25 };"#;
    assert!(Policies::parse([("base.cedar", faulty)]).is_err());
}

proptest! {
    /// Several grants permit what any of them permits alone, whatever is asked for.
    #[test]
    fn grants_are_alternatives(
        rules in prop::collection::vec(
            prop::collection::vec(
                prop::sample::select(vec!["db:5432", "*.corp:*", "10.0.0.0/8:1-100", "*:80", "[::1]:*", "/run/**"]), 0..3),
            1..4),
        host in prop::sample::select(vec!["db", "a.corp", "10.0.0.5", "::1", "127.1", "10.0.0.5\0", "other"]),
        port in prop::sample::select(vec![0_u32, 80, 100, 5432, 65535, 65536]),
    ) {
        let grants: Vec<Grant> = rules.iter().enumerate()
            .map(|(n, to)| ruled(&format!("g{n}"), "forward:local", to, &[])).collect();
        let permits = |grants: Vec<Grant>| {
            let directory = Directory::build(&data(grants), Policies::default()).unwrap();
            local(&directory, host, port).unwrap_or_default()
        };
        let alone: Vec<String> = grants.iter().flat_map(|grant| permits(vec![grant.clone()])).collect();
        prop_assert_eq!(permits(grants), alone);
    }
}
