//! Stored credentials: in, never out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bartizan_model::event::Outcome;
use bartizan_store::MasterKey;
use serde_json::{Value, json};

use super::{Api, fingerprint};
use crate::{MasterKeyFile, ParsedKey, PrivateKeyParser};

/// Stands for the SSH room: `PRIVATE WORD`.
pub(super) fn private_key_parser() -> PrivateKeyParser {
    Arc::new(|text| {
        let word = text.strip_prefix("PRIVATE ").ok_or("it is no private key file")?;
        let key = format!("ssh-ed25519 {word}");
        Ok(ParsedKey { key, fingerprint: fingerprint(word), comment: String::new() })
    })
}

/// A master key that no file keeps. Two rotations at a time would lose one.
#[derive(Default)]
pub(super) struct OnlyInMemory {
    under_way: AtomicBool,
}

impl MasterKeyFile for OnlyInMemory {
    fn place(&self) -> String {
        "memory".into()
    }
    fn prepare(&self, _: &str) -> Result<MasterKey, String> {
        if self.under_way.swap(true, Ordering::SeqCst) {
            return Err("another rotation is under way".into());
        }
        MasterKey::generate().map_err(|e| e.to_string())
    }
    fn commit(&self) -> Result<(), String> {
        self.under_way.store(false, Ordering::SeqCst);
        Ok(())
    }
}

async fn with_target() -> Api {
    let api = Api::start().await;
    let target = json!({"name": "web-1", "host": "web-1", "port": 22, "host_key": "first_use"});
    api.ok("POST", "/v1/targets", target).await;
    api
}

const ROOT: &str = "/v1/targets/web-1/credentials/root";

#[tokio::test]
async fn secrets_go_in_with_an_event_and_come_out_nowhere() {
    let api = with_target().await;
    let replies = [
        api.ok("PUT", ROOT, json!({"password": "hunter2"})).await,
        api.ok("PUT", ROOT, json!({"key": "PRIVATE zebra"})).await,
        api.get("/v1/credentials").await,
        api.get("/v1/credentials?target=web-1").await,
        api.get("/v1/vault").await,
        api.ok("DELETE", ROOT, Value::Null).await,
    ];
    assert_eq!(replies[0]["kind"], "password");
    assert_eq!(replies[1]["key"], "ssh-ed25519 zebra");
    assert_eq!(replies[3].as_array().unwrap().len(), 1, "the key took the password's place");
    assert_eq!(replies[4]["credentials"], 1);
    assert_eq!(replies[5]["kind"], "key");
    assert_eq!(api.get("/v1/credentials").await, json!([]));

    let events = api.events();
    let all = serde_json::to_string(&events).unwrap() + &Value::from(replies.to_vec()).to_string();
    assert!(!all.contains("hunter2") && !all.contains("PRIVATE"), "{all}");
    let changes: Vec<_> = events
        .iter()
        .filter(|event| event.kind() == "credential.change")
        .map(|event| {
            let json = serde_json::to_value(event).unwrap();
            assert_eq!((&json["target"], &json["login"]), (&"web-1".into(), &"root".into()));
            assert!(json["by"].as_str().unwrap().starts_with("uid "));
            assert_eq!(event.outcome, Outcome::Success);
            format!("{} {}", json["action"].as_str().unwrap(), json["kind"].as_str().unwrap())
        })
        .collect();
    assert_eq!(changes, ["set password", "set key", "remove key"]);
}

#[tokio::test]
async fn what_cannot_be_stored_is_refused_before_anything_is_on_record() {
    let api = with_target().await;
    let before = api.events().len();
    for (method, path, body, status, words) in [
        ("PUT", "/v1/targets/web-2/credentials/root", json!({"password": "x"}), 404, "no target web-2"),
        ("PUT", ROOT, json!({"password": ""}), 422, "empty"),
        ("PUT", ROOT, json!({"password": "x".repeat(70_000)}), 422, "longer than 65536 bytes"),
        ("PUT", ROOT, json!({"key": "hunter2"}), 422, "it is no private key file"),
        ("PUT", ROOT, json!({"token": "x"}), 422, "unknown variant"),
        ("DELETE", ROOT, Value::Null, 404, "no credential root@web-1"),
        ("GET", "/v1/credentials?target=web-2", Value::Null, 404, "no target web-2"),
    ] {
        let (found, told) = api.refused(method, path, body).await;
        assert_eq!(found, status, "{path}: {told}");
        assert!(told.contains(words) && !told.contains("hunter2"), "{told}");
    }
    assert_eq!(api.events().len(), before);
}

#[tokio::test]
async fn a_removed_target_takes_its_credentials_along() {
    let api = with_target().await;
    api.ok("PUT", ROOT, json!({"password": "hunter2"})).await;
    api.ok("DELETE", "/v1/targets/web-1", Value::Null).await;
    assert_eq!(api.get("/v1/credentials").await, json!([]));
    let last = serde_json::to_value(api.events().last().unwrap()).unwrap();
    assert_eq!(last["value"]["credentials"][0]["login"], "root");
}

#[tokio::test]
async fn the_master_key_is_rotated_with_an_event() {
    let api = with_target().await;
    api.ok("PUT", ROOT, json!({"password": "hunter2"})).await;
    let before = api.get("/v1/vault").await;
    let after = api.ok("POST", "/v1/vault/rotate", Value::Null).await;
    assert_ne!(before["master_key"], after["master_key"]);
    let last = serde_json::to_value(api.events().last().unwrap()).unwrap();
    assert_eq!(last["type"], "vault.rotate");
    assert_eq!((&last["from"], &last["to"]), (&before["master_key"], &after["master_key"]));
    let vault = &api.spare.parts.vault;
    let found = vault.secret(&"web-1".parse().unwrap(), &"root".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(found.1.expose(), b"hunter2");
}

#[tokio::test]
async fn rotations_wait_for_each_other() {
    let api = Api::start().await;
    let rotate = || api.ok("POST", "/v1/vault/rotate", Value::Null);
    tokio::join!(rotate(), rotate(), rotate(), rotate());
    let told: Vec<_> = api.events().iter().map(|event| serde_json::to_value(event).unwrap()).collect();
    assert_eq!(told.len(), 4);
    assert!(told.windows(2).all(|two| two[0]["to"] == two[1]["from"]), "{told:?}");
}
