//! Sessions and events by the API.

use bartizan_model::event::{Body, Event};
use bartizan_model::{
    ChannelDigest, NodeId, RecordingFile, SessionId, SessionSummary, Sha256Hex, Timestamp, Way,
};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use super::{Api, of_session};

const NOTHING: Value = Value::Null;

fn digest(bytes: u64) -> ChannelDigest {
    ChannelDigest { bytes, kept: bytes, sha256: Sha256Hex([7; 32]) }
}

/// Appends a session with one command; live when it has no exit status.
async fn session(api: &Api, exit_status: Option<u32>) -> SessionId {
    let id = SessionId::new();
    let mut bodies = vec![
        Body::SessionStart {
            way: Way::ProxyJump,
            allow: "exec".parse().unwrap(),
            channel_cap: Some(0),
            input: false,
            client: "SSH-2.0-test".into(),
        },
        Body::ChannelOpen {
            channel: 0,
            kind: "session".into(),
            from: "client".into(),
            detail: None,
            reason: None,
        },
        Body::Command {
            channel: 0,
            request: "exec".into(),
            command: "exit 7".into(),
            length: 6,
            sha256: None,
            pty: false,
        },
        Body::ChannelOpen {
            channel: 1,
            kind: "x11".into(),
            from: "target".into(),
            detail: None,
            reason: Some("not granted".into()),
        },
    ];
    if exit_status.is_some() {
        bodies.push(Body::ChannelClose {
            channel: 0,
            kind: "session".into(),
            input: digest(0),
            output: digest(3),
            error: digest(0),
            exit_status,
            exit_signal: None,
            duration_us: 5,
        });
        bodies.push(Body::SessionEnd {
            reason: "closed by the client".into(),
            duration_us: 9,
            bytes_in: 0,
            bytes_out: 3,
            exit_status,
            truncated: false,
            recording: vec![RecordingFile { name: "meta.json".into(), bytes: 9, sha256: Sha256Hex([1; 32]) }],
        });
    }
    for body in bodies {
        api.log.submit(of_session(id, body)).unwrap().await.unwrap();
    }
    id
}

#[tokio::test]
async fn sessions_are_listed_newest_first_and_shown_by_prefix() {
    let api = Api::start().await;
    let (first, second) = (session(&api, Some(7)).await, session(&api, None).await);
    let listed = api.get("/v1/sessions").await;
    let ids: Vec<_> = listed["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect();
    assert_eq!(ids, [json!(second), json!(first)]);
    assert_eq!(api.get("/v1/sessions?state=ended").await["items"][0]["exit_status"], 7);
    assert_eq!(api.get("/v1/sessions?person=bob").await["items"], json!([]));
    let page = api.get("/v1/sessions?limit=1").await;
    let rest = api.get(&format!("/v1/sessions?limit=1&after={}", page["next"])).await;
    assert_eq!((&rest["items"][0]["id"], &rest["next"]), (&json!(first), &NOTHING));

    let shown = api.get(&format!("/v1/sessions/{}", &first.to_string()[..35])).await;
    assert_eq!(
        (&shown["id"], &shown["state"], &shown["client"]),
        (&json!(first), &json!("ended"), &json!("SSH-2.0-test"))
    );
    assert_eq!(shown["record"], json!({"channel_cap": 0, "input": false}));
    let channel = &shown["channels"][0];
    assert_eq!((&channel["command"], &channel["exit_status"]), (&json!("exit 7"), &json!(7)));
    assert_eq!(channel["output"]["sha256"], "07".repeat(32));
    assert_eq!(shown["channels"][1]["refused"], "not granted");
    assert_eq!(shown["recording"][0]["name"], "meta.json");
    assert_eq!(api.get(&format!("/v1/sessions/{second}")).await["recording"], json!([]));

    assert_eq!(api.refused("GET", "/v1/sessions/0", NOTHING).await.0, 409, "both start with it");
    assert_eq!(api.refused("GET", "/v1/sessions/zzz", NOTHING).await.0, 404);
}

#[tokio::test]
async fn reading_a_recording_is_an_event_first() {
    let api = Api::start().await;
    let id = session(&api, Some(0)).await;
    let told = api.ok("POST", &format!("/v1/sessions/{id}/reads"), json!({"how": "export text"})).await;
    assert_eq!(told["id"], json!(id));
    let last = api.events().pop().unwrap();
    assert_eq!(last.session, Some(id));
    assert_eq!(last.target.unwrap().as_str(), "web-1");
    assert!(matches!(last.body, Body::RecordingRead { how } if how.starts_with("export text by uid ")));
    api.log.clone().close().unwrap();
    let refused = api.refused("POST", &format!("/v1/sessions/{id}/reads"), json!({"how": "play"})).await;
    assert_eq!(refused.0, 503, "what cannot be logged is not told to be");
}

#[tokio::test]
async fn searches_find_what_is_durable_and_are_events_themselves() {
    let api = Api::start().await;
    let id = session(&api, Some(0)).await;
    let found = api.get(&format!("/v1/events?type=command&session={id}&person=alice&source=10.0.0.9")).await;
    assert_eq!(found["items"][0]["command"], "exit 7");
    let found = api.get("/v1/events?type=command&source=10.0.0.0/8&text=%22exit%207%22%20ali*").await;
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
    let (same, found) = (
        api.get("/v1/events?type=channel.*&oldest_first=true&limit=2").await,
        api.get("/v1/events?type=channel.&oldest_first=true&limit=2").await,
    );
    assert_eq!(same["items"], found["items"]);
    assert_eq!(found["items"][1]["reason"], "not granted");
    assert!(found["next"].is_u64());
    let reads = api.get("/v1/events?type=log.read").await;
    let queries: Vec<_> =
        reads["items"].as_array().unwrap().iter().map(|e| e["query"].as_str().unwrap()).collect();
    assert!(queries[0].contains(r#"type="log.read""#), "the search itself is found: {queries:?}");
    assert!(queries.last().unwrap().contains(&format!("session=\"{id}\"")), "{queries:?}");
    for bad in ["severity=odd", "limit=x", "session=1", "since=now", "source=x"] {
        assert_eq!(api.refused("GET", &format!("/v1/events?{bad}"), NOTHING).await.0, 400, "{bad}");
    }
    let (status, why) = api.refused("GET", "/v1/events?text=*", NOTHING).await;
    assert_eq!((status, why.as_str()), (422, "a search needs a letter or a digit"));
}

#[tokio::test]
async fn a_search_longer_than_an_event_is_cut_not_lost() {
    let api = Api::start().await;
    let text = "x".repeat(20_000);
    let refused = api.refused("GET", &format!("/v1/events?text={text}"), NOTHING).await;
    assert_eq!(refused.0, 422, "{}", refused.1);
    assert!(matches!(&api.events()[0].body, Body::LogRead { query } if query.len() == 4096));
}

#[tokio::test]
async fn followers_get_what_was_and_what_comes_and_end_with_the_server() {
    let mut api = Api::start().await;
    session(&api, Some(0)).await;
    let mut body = api.send("GET", "/v1/events/follow?last=2&wait=true", String::new()).await.into_body();
    let event = Event::new(
        &NodeId("node-1".into()),
        Timestamp::now(),
        Body::Anomaly { what: "test".into(), detail: "later".into() },
    );
    api.log.submit(event).unwrap().await.unwrap();
    let mut text = String::new();
    while !text.contains("anomaly") {
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        text.push_str(std::str::from_utf8(&frame).unwrap());
    }
    let kinds: Vec<String> = (text.lines())
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["type"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds, ["channel.close", "session.end", "log.read", "anomaly"]);
    api.stop().await;
    while let Some(frame) = body.frame().await {
        frame.unwrap();
    }
}

#[tokio::test]
async fn a_look_at_the_last_events_ends_by_itself() {
    let api = Api::start().await;
    session(&api, Some(0)).await;
    let response = api.send("GET", "/v1/events/follow?last=1", String::new()).await;
    let lines = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(String::from_utf8_lossy(&lines).lines().count(), 1);
}

#[tokio::test]
async fn a_log_that_cannot_be_read_does_not_look_whole() {
    let api = Api::start().await;
    for n in 0..600 {
        let body = Body::Anomaly { what: "tick".into(), detail: n.to_string() };
        drop(api.log.submit(Event::new(&NodeId("node-1".into()), Timestamp::now(), body)).unwrap());
    }
    while api.log.stats().integrated < 512 {
        tokio::task::yield_now().await;
    }
    let bundle = api.socket.with_file_name("log").join("tile/entries/001");
    std::fs::write(&bundle, "no entries").unwrap();
    let mut body = api.send("GET", "/v1/events/follow?last=1000", String::new()).await.into_body();
    let (mut text, mut failed) = (String::new(), false);
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => text.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap()),
            Err(_) => failed = true,
        }
    }
    assert!(failed, "the body breaks off");
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(text.lines().count(), 256 + 1);
    let told = last["error"].as_str().unwrap();
    assert!(told.contains("from entry 256 on") && told.contains("tile/entries/001"), "{told}");
}

#[tokio::test]
async fn a_live_session_has_the_bytes_that_passed_so_far() {
    let api = Api::start().await;
    let (live, over) = (session(&api, None).await, session(&api, Some(0)).await);
    let listed = api.get("/v1/sessions").await;
    let bytes = |listed: &Value, id: SessionId| {
        let found = listed["items"].as_array().unwrap().iter().find(|item| item["id"] == json!(id)).unwrap();
        (found["bytes_in"].as_u64().unwrap(), found["bytes_out"].as_u64().unwrap())
    };
    let ended = bytes(&listed, over);
    assert_eq!(bytes(&listed, live), (0, 0), "nobody carries it");
    let carried = |id: SessionId| {
        let who = ("alice".parse().unwrap(), "root".parse().unwrap(), "web-1".parse().unwrap());
        let source = "10.0.0.9:50000".parse().unwrap();
        let begun = SessionSummary::begin(id, who, Way::ProxyJump, source, Timestamp::now());
        SessionSummary { bytes_in: 41, bytes_out: 42, ..begun }
    };
    api.live.0.lock().unwrap().extend([carried(live), carried(over)]);
    let listed = api.get("/v1/sessions").await;
    assert_eq!(bytes(&listed, live), (41, 42));
    assert_eq!(bytes(&listed, over), ended, "its end is on record, and that counts");
    let shown = api.get(&format!("/v1/sessions/{live}")).await;
    assert_eq!((&shown["bytes_in"], &shown["bytes_out"]), (&json!(41), &json!(42)));
}

/// As on a disk without a free block: the index gets no further.
#[tokio::test]
async fn live_sessions_are_found_and_ended_without_the_index() {
    let api = Api::start().await;
    let begun = |person: &str| {
        let who = (person.parse().unwrap(), "root".parse().unwrap(), "web-1".parse().unwrap());
        let source = "10.0.0.9:50000".parse().unwrap();
        SessionSummary::begin(SessionId::new(), who, Way::ProxyJump, source, Timestamp::now())
    };
    let (alice, bob) = (begun("alice"), begun("bob"));
    api.live.0.lock().unwrap().extend([alice.clone(), bob.clone()]);
    api.stop_index.send_replace(true);
    session(&api, None).await;
    let ended =
        api.ok("POST", &format!("/v1/sessions/{}/terminate", alice.id), json!({"reason": "out"})).await;
    assert_eq!((&ended["id"], &ended["person"]), (&json!(alice.id), &json!("alice")));
    let last = api.events().pop().unwrap();
    assert_eq!(
        (last.kind(), last.session, last.person),
        ("session.terminate", Some(alice.id), Some(alice.person))
    );
    let again =
        api.refused("POST", &format!("/v1/sessions/{}/terminate", alice.id), json!({"reason": "out"})).await;
    assert_eq!(again.0, 503, "what is over is known to the index alone");

    let listed = api.get("/v1/sessions?state=live").await;
    assert_eq!((&listed["items"], &listed["next"]), (&json!([bob]), &NOTHING));
    assert_eq!(api.get("/v1/sessions?state=live&person=carol").await["items"], json!([]));
    assert_eq!(api.refused("GET", "/v1/sessions", NOTHING).await.0, 503);
    let part = &bob.id.to_string()[..30];
    api.ok("POST", &format!("/v1/sessions/{part}/terminate"), json!({"reason": "out"})).await;
    assert_eq!(api.get("/v1/sessions?state=live").await["items"], json!([]));
}
