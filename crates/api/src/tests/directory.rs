//! The directory by the API, and what the log says about its changes.

use std::pin::pin;
use std::time::Duration;

use bartizan_model::PersonState;
use bartizan_model::event::{Body, Outcome, Severity};
use bartizan_store::DirectoryStore as _;
use serde_json::{Value, json};

use super::{Api, fingerprint};
use crate::change::{self, SetPersonState};
use crate::peer::Peer;

const NOTHING: Value = Value::Null;

/// A directory with one person, target and grant.
async fn furnished() -> Api {
    let api = Api::start().await;
    api.ok("POST", "/v1/people", json!({"name": "alice", "keys": ["ssh-ed25519 AAAA alice@laptop\n"]})).await;
    let target = json!({"name": "web-1", "host": "10.0.0.5", "port": 22, "host_key": "first_use"});
    api.ok("POST", "/v1/targets", target).await;
    let grant = json!({"person": "alice", "target": "web-*", "logins": ["root"], "allow": ["shell", "exec"]});
    api.ok("POST", "/v1/grants", grant).await;
    api
}

#[tokio::test]
async fn a_persons_life() {
    let api = Api::start().await;
    let text =
        "# laptop and desk\nssh-ed25519 AAAA alice@laptop\n\nssh-ed25519 BBBB\nssh-ed25519 AAAA again\n";
    let added = api.ok("POST", "/v1/people", json!({"name": "alice", "keys": [text]})).await;
    assert_eq!(added["keys"].as_array().unwrap().len(), 2, "one key is not added twice");
    assert_eq!(added["keys"][0]["comment"], "alice@laptop");
    assert_eq!(api.get("/v1/people").await[0]["state"], "active");
    assert_eq!(api.ok("POST", "/v1/people/alice/lock", json!(null)).await["state"], "locked");
    assert_eq!(api.get("/v1/people/alice").await["state"], "locked");
    assert_eq!(api.ok("POST", "/v1/people/alice/unlock", NOTHING).await["state"], "active");

    api.ok("POST", "/v1/keys", json!({"person": "alice", "keys": "ssh-ed25519 CCCC"})).await;
    assert_eq!(api.get("/v1/keys?person=alice").await.as_array().unwrap().len(), 3);
    let encoded = fingerprint("CCCC").to_string().replace('/', "%2F").replace('+', "%2B");
    api.ok("DELETE", &format!("/v1/keys/{encoded}"), NOTHING).await;
    let removed = api.ok("DELETE", "/v1/people/alice", NOTHING).await;
    assert_eq!(removed["keys"].as_array().unwrap().len(), 2);
    assert_eq!(api.get("/v1/people").await, json!([]));

    let key = fingerprint("CCCC");
    assert_eq!(
        api.changes(),
        [
            "Success add person alice".to_owned(),
            "Success lock person alice".into(),
            "Success unlock person alice".into(),
            format!("Success add key {key}"),
            format!("Success remove key {key}"),
            "Success remove person alice".into(),
        ]
    );
    let Body::DirectoryChange { value, by, .. } = &api.events()[5].body else { panic!() };
    assert_eq!(value["keys"].as_array().unwrap().len(), 2, "what was removed is on record");
    assert_eq!(*by, format!("uid {}", rustix::process::geteuid().as_raw()));
}

#[tokio::test]
async fn a_change_is_answered_once_sessions_are_judged_by_it() {
    let api = Api::start().await;
    api.in_force.send_replace(0);
    let mut stored = api.store.changes();
    let mut answer =
        pin!(api.ok("POST", "/v1/people", json!({"name": "alice", "keys": ["ssh-ed25519 AAAA"]})));
    tokio::select! {
        answer = &mut answer => panic!("nobody is judged by it yet: {answer}"),
        stored = stored.wait_for(|&generation| generation == 1) => drop(stored.unwrap()),
    }
    let early = tokio::time::timeout(Duration::from_millis(100), &mut answer).await;
    assert!(early.is_err(), "nobody is judged by it yet: {early:?}");
    api.in_force.send_replace(1);
    assert_eq!(answer.await["name"], "alice");
}

#[tokio::test]
async fn targets_take_keys_in_every_form_that_tools_print() {
    let api = Api::start().await;
    let add = async |name: &str, host_key: Value| {
        let target = json!({"name": name, "host": "10.0.0.5", "port": 22, "host_key": host_key});
        api.call("POST", "/v1/targets", target).await
    };
    let scan =
        "# 10.0.0.5:22 SSH-2.0-OpenSSH_9.2\n10.0.0.5 ssh-ed25519 AAAA\n[h]:22,10.0.0.5 ssh-ed25519 BBBB c\n";
    let (_, added) = add("scan", json!({"pinned": scan})).await;
    assert_eq!(added["host_key"]["pinned"], json!(["ssh-ed25519 AAAA", "ssh-ed25519 BBBB"]));
    assert_eq!(added["fingerprints"].as_array().unwrap().len(), 2);
    let (_, added) = add("pub", json!({"pinned": "ssh-ed25519 AAAA root@web"})).await;
    assert_eq!(added["host_key"]["pinned"], json!(["ssh-ed25519 AAAA"]));
    let (_, added) = add("ca", json!({"authority": "@cert-authority *.example.com ssh-ed25519 AAAA"})).await;
    assert_eq!(added["host_key"]["authority"], json!(["ssh-ed25519 AAAA"]));

    for (host_key, told) in [
        (json!({"pinned": "@cert-authority * ssh-ed25519 AAAA"}), "line 1: is a host CA"),
        (json!({"pinned": "@revoked * ssh-ed25519 AAAA"}), "line 1: is a revoked key"),
        (json!({"pinned": "\n\nnonsense"}), "line 3: is no public key"),
        (json!({"pinned": "# nothing\n"}), "there is no key in the file"),
    ] {
        let (status, answer) = add("bad", host_key).await;
        assert_eq!((status, answer["error"].as_str().unwrap().starts_with(told)), (422, true), "{answer}");
    }
    assert_eq!(api.changes().len(), 3, "nothing refused is on record as a change");
}

#[tokio::test]
async fn grants_go_by_the_start_of_their_id() {
    let api = furnished().await;
    let grants = api.get("/v1/grants?person=alice").await;
    let id = grants[0]["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("g-") && id.len() == 10, "{id}");
    let grant = json!({"person": "alice", "target": "web-1", "logins": null, "allow": ["shell"]});
    api.ok("POST", "/v1/grants", grant).await;
    let (status, told) = api.refused("DELETE", "/v1/grants/g-", NOTHING).await;
    assert_eq!((status, told.starts_with("several grants start with g-")), (409, true), "{told}");
    assert_eq!(api.refused("DELETE", "/v1/grants/zzz", NOTHING).await.0, 404);
    assert_eq!(api.ok("DELETE", &format!("/v1/grants/{id}"), NOTHING).await["id"], id);

    assert_eq!(api.refused("DELETE", "/v1/targets/web-1", NOTHING).await.0, 409, "a grant names it");
    let removed = api.ok("DELETE", "/v1/targets/web-1?with_grants=true", NOTHING).await;
    assert_eq!(removed["grants"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn access_is_explained() {
    let api = furnished().await;
    let ask = async |login: &str, action: &str, source: Value| {
        let question =
            json!({"person": "alice", "login": login, "target": "web-1", "action": action, "source": source});
        api.ok("POST", "/v1/access/check", question).await
    };
    let grant = api.get("/v1/grants").await[0]["id"].clone();
    for action in ["connect", "shell"] {
        let answer = ask("root", action, NOTHING).await;
        assert_eq!((&answer["permitted"], &answer["rules"][0]), (&json!(true), &grant), "{answer}");
    }
    for (login, action) in [("root", "agent"), ("nobody", "connect"), ("nobody", "shell")] {
        let answer = ask(login, action, NOTHING).await;
        assert_eq!(answer["permitted"], false, "{answer}");
        assert_eq!(answer["reason"], "no grant permits it");
    }
    let all =
        json!({"person": "alice", "target": "web-1", "logins": ["auditor"], "allow": ["shell", "replay"]});
    api.ok("POST", "/v1/grants", all).await;
    assert_eq!(ask("auditor", "shell", NOTHING).await["permitted"], true);
    let answer = ask("auditor", "replay", NOTHING).await;
    assert_eq!((&answer["permitted"], answer["rules"].as_array().unwrap().len()), (&json!(false), 1));
    assert!(answer["reason"].as_str().unwrap().contains("not in force yet"), "{answer}");
    api.ok("POST", "/v1/people/alice/lock", NOTHING).await;
    assert_eq!(ask("root", "shell", NOTHING).await["reason"], "this person is locked");

    let question = json!({"person": "alice", "login": "root", "target": "web-1", "action": "sudo"});
    let (status, told) = api.refused("POST", "/v1/access/check", question).await;
    assert_eq!((status, told.contains("there are: connect,shell,")), (422, true), "{told}");
    assert_eq!(api.store.snapshot().await.unwrap().keys.len(), 1, "the question's key is nowhere");
}

#[tokio::test]
async fn cas_are_trusted_and_our_own_are_shown() {
    let api = Api::start().await;
    assert_eq!(api.get("/v1/own-cas/user").await[0]["key"], "ssh-ed25519 user user CA");
    assert_eq!(api.get("/v1/own-cas/host").await[0]["fingerprint"], fingerprint("host").to_string());
    assert_eq!(api.refused("GET", "/v1/own-cas/other", NOTHING).await.0, 404);
    let body = json!({"keys": "ssh-ed25519 CAAA company CA"});
    api.ok("POST", "/v1/cas", body.clone()).await;
    assert_eq!(api.refused("POST", "/v1/cas", body).await.0, 409);
    assert_eq!(api.get("/v1/cas").await[0]["comment"], "company CA");
    let path = format!("/v1/cas/{}", fingerprint("CAAA").to_string().replace('/', "%2F").replace('+', "%2B"));
    api.ok("DELETE", &path, NOTHING).await;
    assert_eq!(api.refused("DELETE", &path, NOTHING).await.0, 404);
}

#[tokio::test]
async fn without_a_log_nothing_is_changed() {
    let api = furnished().await;
    api.log.clone().close().unwrap();
    let (status, told) = api.refused("POST", "/v1/people/alice/lock", NOTHING).await;
    assert_eq!((status, told.contains("nothing was done")), (503, true), "{told}");
    assert_eq!(api.refused("POST", "/v1/people", json!({"name": "bob"})).await.0, 503);
    let people = api.store.snapshot().await.unwrap().people;
    assert_eq!((people.len(), people[0].state), (1, PersonState::Active));
}

#[tokio::test]
async fn a_change_that_the_store_refuses_is_on_record_as_failed() {
    let api = furnished().await;
    // Between the look and the change somebody else removes the person.
    let mut person = api.store.snapshot().await.unwrap().people.remove(0);
    person.name = "gone".parse().unwrap();
    let done = change::make(&api.spare, Peer(Some(7)), SetPersonState(person, PersonState::Locked)).await;
    assert!(done.is_err());
    assert_eq!(api.changes()[3..], ["Success lock person gone", "Failure lock person gone"]);
    let last = api.events().pop().unwrap();
    assert_eq!((last.outcome, last.severity), (Outcome::Failure, Severity::Warning));
    let Body::DirectoryChange { value, by, .. } = last.body else { panic!() };
    assert_eq!((value["error"].as_str(), by.as_str()), (Some("no person gone"), "uid 7"));
}

/// The lists of the removal's events, put together again.
fn told_of_removal(api: &Api, record: &str, list: &str) -> Vec<Value> {
    let is = |body: &Body| matches!(body, Body::DirectoryChange { action, record: of, .. } if action == "remove" && of == record);
    let values: Vec<_> = (api.events().into_iter())
        .filter(|event| is(&event.body) && event.outcome == Outcome::Success)
        .map(|event| serde_json::to_value(event).unwrap()["value"].clone())
        .collect();
    assert!(values.len() > 1, "it takes several events");
    let numbers: Vec<_> = values.iter().map(|value| value["part"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=values.len() as u64).collect::<Vec<_>>());
    assert!(values[0].get(record).is_some(), "the record itself comes first");
    values.iter().flat_map(|value| value[list].as_array().cloned().unwrap_or_default()).collect()
}

#[tokio::test]
async fn what_takes_more_along_than_an_event_holds_can_be_removed() {
    let api = Api::start().await;
    let file: String = (0..600)
        .map(|n| format!("[grants.g-{n}]\nperson = \"alice\"\ntarget = \"web\"\nlogins = [\"root\"]\nallow = [\"shell\"]\n"))
        .chain((0..3000).map(|n| format!("[people.person-of-many-{n:0>6}]\nroles = [\"ops\"]\n")))
        .collect();
    let file =
        format!("roles = [\"ops\"]\n[people.alice]\n[targets.web]\nhost = \"h\"\nfirst_use = true\n{file}");
    api.call_raw("POST", "/v1/directory/apply", file).await;
    let count = |removed: &Value, list: &str| removed[list].as_array().map(Vec::len);

    let removed = api.ok("DELETE", "/v1/people/alice?with_grants=true", NOTHING).await;
    assert_eq!(count(&removed, "grants"), Some(600));
    let told = told_of_removal(&api, "person", "grants");
    assert_eq!(Some(&told), removed["grants"].as_array());
    let removed = api.ok("DELETE", "/v1/roles/ops", NOTHING).await;
    assert_eq!(count(&removed, "members"), Some(3000));
    let told = told_of_removal(&api, "role", "members");
    assert_eq!(Some(&told), removed["members"].as_array());
    let left = api.store.snapshot().await.unwrap();
    assert_eq!((left.grants.len(), left.roles.len(), left.people.len()), (0, 0, 3000));
}

#[tokio::test]
async fn a_file_is_logged_whole_or_not_at_all() {
    let api = Api::start().await;
    let key = |word: String, comment: &str| format!("\"ssh-ed25519 {word} {comment}\"");
    let person = |name: &str, keys: &[String]| format!("[people.{name}]\nkeys = [{}]\n", keys.join(", "));
    let many: Vec<_> = (0..90).map(|n| key(format!("{n:0>4}{}", "A".repeat(700)), "")).collect();
    let small = person("alice", &[key("AAAA".into(), "")]);
    // No event holds such a comment.
    let file = format!("{small}{}", person("bob", &[key("BBBB".into(), &"x".repeat(70_000))]));
    let last = async |file: &str| {
        let (_, lines) = api.call_raw("POST", "/v1/directory/apply", file.to_owned()).await;
        let last = lines.as_str().unwrap().lines().last().unwrap().to_owned();
        serde_json::from_str::<Value>(&last).unwrap()
    };
    let told = last(&file).await;
    let error = told["failed"]["error"].as_str().unwrap();
    assert!(error.starts_with("person bob does not fit") && error.contains("nothing was done"), "{error}");
    assert_eq!(api.changes(), [""; 0], "nothing is told that did not happen");
    assert_eq!(api.store.snapshot().await.unwrap().people.len(), 0);

    let told = last(&format!("{small}{}", person("carol", &many))).await;
    assert_eq!(told["done"]["added"], 2, "{told}");
    let kept = api.store.snapshot().await.unwrap();
    assert_eq!((kept.people.len(), kept.keys.len()), (2, 91));
    let changes = api.changes();
    assert_eq!(changes.first().unwrap(), "Success add person alice");
    assert_eq!(changes[1..changes.len() - 1], ["Success add person carol"; 2]);
    assert_eq!(changes.last().unwrap(), "Success apply directory generation 0");
}
