//! How access control failed elsewhere, and that it does not here. Each test names what happened.

use bartizan_access::{Action, Asked, Attempt, Evidence, Rejected, classify};
use bartizan_model::{Grant, Permission};

use crate::world::{
    Ask, anybody, certificate, connect, decide, deny, directory, grant, ip, key, name, now, permit, who,
    with_policies,
};

/// A key merely *offered* was treated as authenticated (Warpgate, JumpServer, x/crypto misuse): what answers an
/// offer mints nothing that `judge` takes. `Authenticated` has no other mint than `authenticate`.
#[test]
fn an_offered_key_authenticates_nobody() {
    let directory = directory(vec![]);
    let offered = Evidence::PublicKey { key: key("alice") };
    let () = directory.acceptable(&offered, &anybody(), now()).unwrap();
}

/// Authentication state survived a change of user name (russh): evidence proves the person named, or nobody.
#[test]
fn proof_of_one_person_is_no_proof_of_another_named() {
    let directory = directory(vec![]);
    let bob = name("bob");
    let as_bob = Attempt { named: Some(&bob), ..anybody() };
    for evidence in
        [Evidence::PublicKey { key: key("alice") }, Evidence::Certificate(certificate(&["alice"]))]
    {
        assert!(directory.authenticate(evidence.clone(), &anybody(), now()).is_ok());
        assert!(directory.authenticate(evidence, &as_bob, now()).is_err());
    }
}

/// RBAC bypass through `direct-tcpip` (Teleport): a forward is judged like everything else, by its own
/// permission, on the resolved target.
#[test]
fn forwards_need_their_own_permission_on_the_resolved_target() {
    let directory = directory(vec![
        grant("g1", "alice", "web-1", "shell,exec,scp,subsystem,agent"),
        grant("g2", "alice", "db-1", "forward:local"),
    ]);
    let alice = who(&directory, "alice");
    for permission in [Permission::ForwardLocal, Permission::ForwardRemote, Permission::X11] {
        let ask = Ask { action: Action::Permission(permission), ..connect("web-1") };
        assert_eq!(deny(&directory, &alice, &ask).reason.as_str(), "no_rule");
    }
    permit(
        &directory,
        &alice,
        &Ask { action: Action::Permission(Permission::ForwardLocal), ..connect("db-1") },
    );
}

/// Second factor skipped for scp and sftp (The Bastion): a condition of the session holds for each of its
/// permissions alike.
#[test]
fn a_condition_holds_for_every_permission() {
    let from_office =
        Grant { sources: vec!["10.0.0.0/8".parse().unwrap()], ..grant("g1", "alice", "*", "shell") };
    let all = Grant { allow: bartizan_model::PermissionSet::all(), ..from_office };
    let directory = directory(vec![all]);
    let alice = who(&directory, "alice");
    for permission in Permission::ALL {
        let ask = Ask { action: Action::Permission(permission), ..connect("web-1") };
        permit(&directory, &alice, &ask);
        deny(&directory, &alice, &Ask { source: "192.0.2.1", ..ask });
    }
}

/// Live view without authorization (Warpgate), replay readable by anyone (JumpServer): watching, ending and
/// replaying are permissions of their own, and a shell brings none of them.
#[test]
fn watching_and_replaying_are_not_implied() {
    let directory =
        directory(vec![grant("g1", "alice", "*", "shell,exec"), grant("g2", "bob", "web-1", "replay")]);
    for permission in [Permission::Watch, Permission::Terminate, Permission::Replay, Permission::Approve] {
        let ask = Ask { action: Action::Permission(permission), ..connect("web-1") };
        deny(&directory, &who(&directory, "alice"), &ask);
        let bob = decide(&directory, &who(&directory, "bob"), &ask);
        assert_eq!(matches!(bob, bartizan_access::Decision::Permit(_)), permission == Permission::Replay);
    }
}

/// Nested SSH certificates bypassed checks (Teleport, 9.8): here only the CA's own fingerprint is trusted, and
/// neither a certified key nor a person's key is an authority.
#[test]
fn a_certified_key_is_no_authority() {
    let directory = directory(vec![]);
    let mut nested = certificate(&["alice"]);
    (nested.ca, nested.key) = (key("laptop"), key("second"));
    let error = directory.authenticate(Evidence::Certificate(nested), &anybody(), now()).unwrap_err();
    assert_eq!(error, Rejected::UnknownAuthority);
    let certified = Evidence::PublicKey { key: key("laptop") };
    assert_eq!(directory.authenticate(certified, &anybody(), now()).unwrap_err(), Rejected::UnknownKey);
}

/// API tokens skipped source-address rules (Warpgate): the same inputs to policy whatever the method.
#[test]
fn source_rules_hold_for_every_method() {
    let directory = with_policies(
        vec![grant("g1", "alice", "*", "shell")],
        r#"forbid (principal, action, resource) unless { context.source.isInRange(ip("10.0.0.0/8")) };"#,
    );
    let by_certificate =
        directory.authenticate(Evidence::Certificate(certificate(&["alice"])), &anybody(), now()).unwrap();
    for alice in [who(&directory, "alice"), by_certificate] {
        permit(&directory, &alice, &connect("web-1"));
        permit(&directory, &alice, &Ask { source: "::ffff:10.0.0.1", ..connect("web-1") });
        for outside in ["192.0.2.1", "::1", "::ffff:192.0.2.1"] {
            assert_eq!(
                deny(&directory, &alice, &Ask { source: outside, ..connect("web-1") }).reason.as_str(),
                "forbidden"
            );
        }
    }
    let mut bound = certificate(&["alice"]);
    bound.source_addresses = Some(vec!["10.0.0.0/8".parse().unwrap()]);
    let outside = Attempt { named: None, source: ip("192.0.2.1") };
    let error = directory.authenticate(Evidence::Certificate(bound), &outside, now()).unwrap_err();
    assert_eq!(error, Rejected::SourceRefused);
}

/// `scp -t /tmp/x; bash` passed for scp (several): it needs `exec`.
#[test]
fn a_command_that_only_looks_like_scp_needs_exec() {
    let scp_only = "scp".parse().unwrap();
    assert!(classify(Asked::Exec(b"scp -t /tmp/x"), false).met_by(&scp_only));
    assert!(!classify(Asked::Exec(b"scp -t /tmp/x; bash"), false).met_by(&scp_only));
    assert!(!classify(Asked::Exec(b"scp -t /tmp/x"), true).met_by(&scp_only), "with a PTY it could be more");
}
