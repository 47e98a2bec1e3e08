//! Certificates of people: issued, listed and revoked, each on record before it is done.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bartizan_model::event::{Body, Outcome};
use bartizan_model::{RevokedCertificates, Timestamp};
use bartizan_store::DirectoryStore as _;
use serde_json::{Value, json};

use super::{Api, fingerprint};
use crate::{CertificateIssuer, CertificateOrder, UnsignedCertificate};

const NOTHING: Value = Value::Null;

/// Stands for the SSH room: serial numbers are counted, and a certificate is what was ordered, in words. What is to be
/// certified for `broken` cannot be signed.
#[derive(Default)]
pub(super) struct Counting(AtomicU64);

impl CertificateIssuer for Counting {
    fn prepare(&self, order: CertificateOrder) -> Result<UnsignedCertificate, String> {
        let serial = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        let CertificateOrder { key, person, valid_after, valid_before, .. } = order;
        let text = format!("cert {serial} {person} {key} {}s", valid_before - valid_after);
        let sign = move || if key.ends_with("broken") { Err("no hands".into()) } else { Ok(text) };
        let key_id = format!("person={person} serial={serial}");
        Ok(UnsignedCertificate { ca: fingerprint("people"), serial, key_id, sign: Box::new(sign) })
    }
}

/// alice and bob; alice's plain key is `AAAA`.
async fn furnished() -> Api {
    let api = Api::start().await;
    api.ok("POST", "/v1/people", json!({"name": "alice", "keys": ["ssh-ed25519 AAAA"]})).await;
    api.ok("POST", "/v1/people", json!({"name": "bob", "keys": []})).await;
    api
}

fn order(person: &str, key: &str) -> Value {
    json!({"person": person, "key": format!("ssh-ed25519 {key} a comment")})
}

async fn issued(api: &Api, person: &str, key: &str) -> u64 {
    api.ok("POST", "/v1/certificates", order(person, key)).await["serial"].as_u64().unwrap()
}

fn certificate_events(api: &Api) -> Vec<Value> {
    let all = api.events().into_iter().filter(|event| event.kind().starts_with("certificate."));
    all.map(|event| serde_json::to_value(event).unwrap()).collect()
}

async fn states(api: &Api, query: &str) -> Vec<String> {
    let listed = api.get(&format!("/v1/certificates{query}")).await;
    let line = |one: &Value| format!("{} {} {}", one["serial"], one["person"], one["state"]).replace('"', "");
    listed.as_array().unwrap().iter().map(line).collect()
}

#[tokio::test]
async fn a_certificate_is_issued_after_its_event() {
    let api = furnished().await;
    let mut wanted = order("alice", "LAPTOP");
    wanted["valid_seconds"] = json!(3600);
    wanted["sources"] = json!(["10.0.0.0/8"]);
    wanted["permits"] = json!(["agent-forwarding"]);
    let before = Timestamp::now().unix_seconds();
    let reply = api.ok("POST", "/v1/certificates", wanted).await;
    assert_eq!(reply["key"], fingerprint("LAPTOP").to_string());
    assert!(
        reply["certificate"].as_str().unwrap().starts_with("cert 1 alice ssh-ed25519 LAPTOP 36"),
        "{reply}"
    );
    let [told] = &certificate_events(&api)[..] else { panic!() };
    let expected = json!({
        "type": "certificate.issue", "outcome": "success", "severity": "notice", "holder": "alice", "serial": 1,
        "ca": fingerprint("people").to_string(), "key": fingerprint("LAPTOP").to_string(),
        "key_id": "person=alice serial=1", "sources": ["10.0.0.0/8"], "permits": ["agent-forwarding"],
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&told[field], value, "{field}");
    }
    let until: Timestamp = told["valid_before"].as_str().unwrap().parse().unwrap();
    assert!((before + 3600..before + 3700).contains(&until.unix_seconds()), "{until}");
    assert!(told["by"].as_str().unwrap().starts_with("uid "));

    // Without a log nothing is issued.
    api.log.clone().close().unwrap();
    assert_eq!(api.refused("POST", "/v1/certificates", order("alice", "OTHER")).await.0, 503);
    assert_eq!(states(&api, "").await, ["1 alice valid"]);
}

#[tokio::test]
async fn a_certificate_is_never_from_before_its_person() {
    let api = furnished().await;
    issued(&api, "alice", "LAPTOP").await;
    let added = api.store.snapshot().await.unwrap().people[0].created.unix_seconds();
    let [told] = &certificate_events(&api)[..] else { panic!() };
    let after: Timestamp = told["valid_after"].as_str().unwrap().parse().unwrap();
    assert_eq!(after.unix_seconds(), added);
    // Somebody else of that name gets nothing of it.
    api.ok("DELETE", "/v1/people/alice", NOTHING).await;
    assert_eq!(states(&api, "").await, ["1 alice unknown_person"]);
    let again = bartizan_model::Person {
        name: "alice".parse().unwrap(),
        state: bartizan_model::PersonState::Active,
        roles: [].into(),
        created: after.saturating_add(Duration::from_secs(1)),
    };
    api.store.add_person(&again, &[]).await.unwrap();
    assert_eq!(states(&api, "").await, ["1 alice certificate_older_than_person"]);
}

#[tokio::test]
async fn what_would_prove_nothing_or_too_long_is_not_issued() {
    let api = furnished().await;
    let with = |field: &str, value: Value| {
        let mut order = order("alice", "LAPTOP");
        order[field] = value;
        order
    };
    let day = 24 * 3600;
    for (wanted, status, says) in [
        (order("nobody", "LAPTOP"), 404, "no person nobody"),
        (order("bob", "AAAA"), 409, "registered to alice already"),
        (json!({"person": "alice", "key": "rubbish"}), 422, "no public key"),
        (json!({"person": "alice", "key": "ssh-ed25519 A\nssh-ed25519 B"}), 422, "several keys"),
        (with("valid_seconds", json!(0)), 422, "for a second at least"),
        (with("valid_seconds", json!(day + 1)), 422, "`[certificates] longest`"),
        (with("sources", json!(vec!["10.0.0.0/8"; 65])), 422, "64 networks at most"),
        (with("sources", json!(["10.0.0.0/33"])), 422, "is no network"),
        (with("permits", json!(["pty"])), 422, "unknown variant"),
    ] {
        let refused = api.refused("POST", "/v1/certificates", wanted.clone()).await;
        assert_eq!((refused.0, refused.1.contains(says)), (status, true), "{wanted}: {refused:?}");
    }
    api.ok("POST", "/v1/people/bob/lock", NOTHING).await;
    assert_eq!(api.refused("POST", "/v1/certificates", order("bob", "LAPTOP")).await.0, 409);
    assert!(certificate_events(&api).is_empty());
    assert_eq!(api.ok("POST", "/v1/certificates", with("valid_seconds", json!(day))).await["serial"], 1);
    // Where less than the usual is permitted, that is what one gets.
    api.longest.send_replace(Duration::from_secs(60));
    let short = api.ok("POST", "/v1/certificates", order("alice", "LAPTOP")).await;
    let life: u64 = short["certificate"]
        .as_str()
        .unwrap()
        .rsplit(' ')
        .next()
        .unwrap()
        .trim_end_matches('s')
        .parse()
        .unwrap();
    assert!(life <= 120, "{short}");
}

#[tokio::test]
async fn one_that_cannot_be_signed_is_on_record_as_failed() {
    let api = furnished().await;
    let (status, told) = api.refused("POST", "/v1/certificates", order("alice", "broken")).await;
    assert_eq!((status, told.contains("no hands")), (503, true), "{told}");
    let outcomes: Vec<_> = (api.events().into_iter())
        .filter(|event| matches!(event.body, Body::CertificateIssue { .. }))
        .map(|event| event.outcome)
        .collect();
    assert_eq!(outcomes, [Outcome::Success, Outcome::Failure]);
    assert!(states(&api, "").await.is_empty());
}

#[tokio::test]
async fn certificates_are_listed_with_what_they_prove() {
    let api = furnished().await;
    issued(&api, "alice", "LAPTOP").await;
    issued(&api, "bob", "PHONE").await;
    issued(&api, "alice", "PHONE2").await;
    assert_eq!(states(&api, "").await, ["1 alice valid", "2 bob valid", "3 alice valid"]);
    api.ok("POST", "/v1/people/bob/lock", NOTHING).await;
    let revoked = api.ok("POST", "/v1/revocations", json!({"what": {"serial": 3}})).await;
    assert_eq!(
        (&revoked["serial"], revoked["ca"].as_str()),
        (&json!(3), Some(&*fingerprint("people").to_string()))
    );
    api.ok("POST", "/v1/revocations", json!({"what": {"key": fingerprint("OTHER").to_string()}})).await;
    let all = ["1 alice valid", "2 bob person_locked", "3 alice revoked", "null null revoked"];
    assert_eq!(states(&api, "").await, all);
    assert_eq!(states(&api, "?person=alice").await, ["1 alice valid", "3 alice revoked"]);
    assert!(states(&api, "?person=nobody").await.is_empty());
    // What an old key of the CA signed ends with that key.
    api.ok("POST", "/v1/own-cas/people/rotate", json!({})).await;
    api.ok("POST", "/v1/own-cas/people/activate", NOTHING).await;
    assert_eq!(states(&api, "?person=alice").await, ["1 alice valid", "3 alice revoked"]);
    api.ok("POST", "/v1/own-cas/people/retire", NOTHING).await;
    assert_eq!(
        states(&api, "?person=alice").await,
        ["1 alice unknown_authority", "3 alice unknown_authority"]
    );
}

#[tokio::test]
async fn certificates_are_revoked_by_serial_key_and_key_id() {
    let api = furnished().await;
    api.ok(
        "POST",
        "/v1/cas",
        json!({"keys": "ssh-ed25519 CORP corp CA\nssh-ed25519 T1 twice\nssh-ed25519 T2 twice"}),
    )
    .await;
    issued(&api, "alice", "LAPTOP").await;
    issued(&api, "alice", "PHONE").await;
    let corp = fingerprint("CORP").to_string();
    for what in [
        json!({"what": {"serial": 1}}),
        json!({"what": {"key_id": "person=alice serial=2"}, "ca": "people"}),
        json!({"what": {"serial": u64::MAX}, "ca": "corp CA"}),
        json!({"what": {"key_id": "bob@laptop"}, "ca": corp}),
        json!({"what": {"key": "ssh-ed25519 AAAA alice's"}}),
        // Unseen, in a database that is older than the certificate.
        json!({"what": {"serial": 99}, "ca": fingerprint("people").to_string()}),
    ] {
        let done = api.ok("POST", "/v1/revocations", what.clone()).await;
        assert_eq!(done["registered_to"].as_str(), what["what"]["key"].as_str().map(|_| "alice"), "{what}");
        assert_eq!(api.refused("POST", "/v1/revocations", what.clone()).await.0, 409, "{what}");
    }
    let (people, corp) = (fingerprint("people"), fingerprint("CORP"));
    let what: Vec<_> = api.store.snapshot().await.unwrap().revocations.into_iter().map(|r| r.what).collect();
    assert_eq!(
        what,
        [
            RevokedCertificates::Serial { ca: people, serial: 1 },
            RevokedCertificates::Serial { ca: people, serial: 2 },
            RevokedCertificates::Serial { ca: corp, serial: u64::MAX },
            RevokedCertificates::KeyId { ca: corp, key_id: "bob@laptop".into() },
            RevokedCertificates::Key { key: fingerprint("AAAA") },
            RevokedCertificates::Serial { ca: people, serial: 99 },
        ]
    );
    let told: Vec<_> = certificate_events(&api)
        .into_iter()
        .filter(|event| event["type"] == "certificate.revoke")
        .map(|event| (event["serial"].clone(), event["holder"].clone()))
        .collect();
    assert_eq!(told[..2], [(json!(1), json!("alice")), (json!(2), json!("alice"))]);
    assert_eq!(told.len(), 6, "what is refused is no event");
    // A key that is revoked is certified no more.
    let (status, told) = api.refused("POST", "/v1/certificates", order("alice", "AAAA")).await;
    assert_eq!((status, told.contains("are revoked")), (409, true), "{told}");

    for (wanted, status, says) in [
        (json!({"what": {"serial": 77}}), 404, "no certificate with the serial number 77"),
        (json!({"what": {"key_id": "x\u{1b}"}}), 404, "key id"),
        (json!({"what": {"serial": 0}, "ca": "corp CA"}), 422, "by its key or its key id"),
        (json!({"what": {"serial": 5}, "ca": "nobody's"}), 404, "no ca nobody's"),
        (json!({"what": {"serial": 5}, "ca": "twice"}), 409, "by its fingerprint"),
        (json!({"what": {"serial": 5}, "ca": fingerprint("user").to_string()}), 404, "no ca"),
        (json!({"what": {"key": "rubbish"}}), 422, "no public key"),
        (json!({"what": {"key": "ssh-ed25519 AAAA"}, "ca": "people"}), 422, "whoever certified it"),
    ] {
        let refused = api.refused("POST", "/v1/revocations", wanted.clone()).await;
        assert_eq!((refused.0, refused.1.contains(says)), (status, true), "{wanted}: {refused:?}");
    }
}

#[tokio::test]
async fn our_own_cas_are_not_trusted_for_people() {
    let api = furnished().await;
    api.ok("POST", "/v1/own-cas/user/rotate", json!({})).await;
    for (key, says) in [
        ("user", "own user CA: its certificates name logins"),
        ("next", "own user CA"),
        ("host", "own host CA: it signs for hosts"),
        ("people", "own people CA: what it signs is accepted without that"),
    ] {
        let (status, told) =
            api.refused("POST", "/v1/cas", json!({"keys": format!("ssh-ed25519 {key}")})).await;
        assert_eq!((status, told.contains(says)), (422, true), "{told}");
        let file = format!("cas = [\"ssh-ed25519 CORP\", \"ssh-ed25519 {key}\"]\n");
        let (_, lines) = api.call_raw("POST", "/v1/directory/apply?dry_run=false&prune=false", file).await;
        assert!(lines.to_string().contains(says), "{lines}");
    }
    assert!(api.store.snapshot().await.unwrap().cas.is_empty());
}

#[tokio::test]
async fn a_file_takes_no_revocation_back() {
    let api = furnished().await;
    issued(&api, "alice", "LAPTOP").await;
    api.ok("POST", "/v1/revocations", json!({"what": {"serial": 1}})).await;
    let before = api.store.snapshot().await.unwrap().revocations;
    let text = "roles = [\"ops\"]\n[people.alice]\n".to_owned();
    api.call_raw("POST", "/v1/directory/apply?dry_run=false&prune=true", text).await;
    let after = api.store.snapshot().await.unwrap();
    assert_eq!((after.people.len(), after.roles.len()), (1, 1));
    assert_eq!((after.revocations.len(), after.revocations), (1, before));
}
