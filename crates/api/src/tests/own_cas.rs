//! Rotation of the CAs of Bartizan's own, each step on record before it is made.

use std::sync::{Arc, Mutex};

use bartizan_model::Timestamp;
use bartizan_model::api::{CaState, OwnCa};
use bartizan_model::event::Body;
use serde_json::{Value, json};

use super::{Api, fingerprint};
use crate::{CaKeeper, CaStep};

/// A CA that no file keeps: names stand for keys.
pub(super) struct InMemory(Arc<Mutex<Vec<OwnCa>>>);

impl InMemory {
    pub(super) fn new(name: &str) -> Self {
        Self(Arc::new(Mutex::new(vec![key(name, CaState::Active, None)])))
    }

    fn step(
        &self,
        at: usize,
        effect: impl FnOnce(&mut Vec<OwnCa>) + Send + 'static,
    ) -> Result<CaStep, String> {
        let known = self.0.lock().unwrap().get(at).map(|ca| ca.fingerprint);
        let keys = self.0.clone();
        Ok(CaStep {
            key: known.ok_or("there is no such key")?,
            at: None,
            effect: Box::new(move || {
                effect(&mut keys.lock().unwrap());
                Ok(())
            }),
        })
    }
}

fn key(name: &str, state: CaState, activates: Option<Timestamp>) -> OwnCa {
    OwnCa { key: format!("ssh-ed25519 {name} {name} CA"), fingerprint: fingerprint(name), state, activates }
}

impl CaKeeper for InMemory {
    fn list(&self) -> Result<Vec<OwnCa>, String> {
        Ok(self.0.lock().unwrap().clone())
    }
    fn rotate(&self, at: Option<Timestamp>) -> Result<CaStep, String> {
        if self.0.lock().unwrap().len() > 1 {
            return Err("a next key is there already".into());
        }
        let next = key("next", CaState::Next, at);
        let step = self.step(0, {
            let next = next.clone();
            move |keys| keys.push(next)
        })?;
        Ok(CaStep { key: next.fingerprint, at, ..step })
    }
    fn activate(&self) -> Result<CaStep, String> {
        self.step(1, |keys| {
            keys.swap(0, 1);
            (keys[0].state, keys[1].state) = (CaState::Active, CaState::Old);
        })
    }
    fn cancel(&self) -> Result<CaStep, String> {
        self.step(1, |keys| keys.truncate(1))
    }
    fn retire(&self) -> Result<CaStep, String> {
        self.step(1, |keys| keys.truncate(1))
    }
}

#[tokio::test]
async fn a_rotation_is_three_steps_each_with_an_event() {
    let api = Api::start().await;
    let states = |value: &Value| -> Vec<String> {
        value.as_array().unwrap().iter().map(|ca| ca["state"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(states(&api.get("/v1/own-cas/user").await), ["active"]);
    let (status, _) = api.refused("POST", "/v1/own-cas/user/activate", Value::Null).await;
    assert_eq!(status, 409);
    let at = "2126-12-31T18:00:00.000000Z";
    let rotated = api.ok("POST", "/v1/own-cas/user/rotate", json!({ "activates": at })).await;
    assert_eq!(states(&rotated), ["active", "next"]);
    let (status, told) = api.refused("POST", "/v1/own-cas/user/rotate", json!({})).await;
    assert_eq!((status, told.contains("already")), (409, true));
    assert_eq!(states(&api.ok("POST", "/v1/own-cas/user/activate", Value::Null).await), ["active", "old"]);
    assert_eq!(states(&api.ok("POST", "/v1/own-cas/user/retire", Value::Null).await), ["active"]);
    assert_eq!(states(&api.get("/v1/own-cas/host").await), ["active"]);
    assert_eq!(api.refused("GET", "/v1/own-cas/other", Value::Null).await.0, 404);

    let events: Vec<_> = api.events().into_iter().filter(|event| event.kind() == "ca.change").collect();
    let told: Vec<_> = events
        .iter()
        .map(|event| {
            let json = serde_json::to_value(event).unwrap();
            assert!(json["by"].as_str().unwrap().starts_with("uid "));
            format!("{} {} {}", json["ca"].as_str().unwrap(), json["action"].as_str().unwrap(), json["at"])
        })
        .collect();
    assert_eq!(
        told,
        [format!("user rotate \"{at}\""), "user activate null".into(), "user retire null".into()]
    );
}

#[tokio::test]
async fn a_next_key_has_notice_and_can_be_taken_back() {
    let api = Api::start().await;
    let soon = Timestamp::now().saturating_add(std::time::Duration::from_secs(60));
    for at in ["2020-01-01T00:00:00.000000Z".to_owned(), soon.to_string()] {
        let told = api.refused("POST", "/v1/own-cas/user/rotate", json!({ "activates": at })).await;
        assert_eq!((told.0, told.1.contains("within 10 minutes")), (422, true), "{at}: {}", told.1);
    }
    assert_eq!(api.refused("POST", "/v1/own-cas/user/cancel", Value::Null).await.0, 409);
    api.ok("POST", "/v1/own-cas/user/rotate", json!({})).await;
    let left = api.ok("POST", "/v1/own-cas/user/cancel", Value::Null).await;
    assert_eq!(left.as_array().unwrap().len(), 1);
    let told: Vec<_> = api
        .events()
        .iter()
        .filter_map(|event| match &event.body {
            Body::CaChange { action, .. } => Some(action.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(told, ["rotate", "cancel"]);
}
