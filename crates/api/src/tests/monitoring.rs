//! `/metrics`, `/healthz` and `/readyz`, on the socket and over TCP.

use std::collections::BTreeSet;

use bartizan_model::metric;
use http_body_util::BodyExt as _;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Api;

/// Sends bytes to the open listener, and reads what comes until it closes.
async fn raw(api: &Api, request: &str) -> String {
    let mut stream = TcpStream::connect(api.open).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

async fn get(api: &Api, path: &str) -> String {
    raw(api, &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_but_the_gateways_is_told_and_none_that_is_not_on_the_list() {
    let api = Api::start().await;
    api.ok("POST", "/v1/people", serde_json::json!({ "name": "alice", "keys": ["ssh-ed25519 AAAA"] })).await;
    let response = api.send("GET", "/metrics", String::new()).await;
    assert_eq!(response.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8(body.to_vec()).unwrap();
    let told: BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    let listed: BTreeSet<_> = metric::ALL.iter().map(|metric| metric.name).collect();
    assert!(told.is_subset(&listed), "{:?}", told.difference(&listed));
    // What the gateway counts is not here; without a signer there is no checkpoint either.
    for name in [
        "bartizan_ready",
        "bartizan_log_append_seconds",
        "bartizan_space_mark_bytes",
        "bartizan_recordings_open",
    ] {
        assert!(told.contains(name), "{name} is missing in {told:?}");
    }
    assert!(text.contains("\nbartizan_ready 1\n") && text.contains("\nbartizan_database_up 1\n"), "{text}");
    let head = api.log.head();
    assert!(text.contains(&format!("\nbartizan_log_append_seconds_count {head}\n")), "{head}: {text}");
    assert!(text.contains(&format!("\nbartizan_log_entries{{state=\"sequenced\"}} {head}\n")), "{text}");
    assert!(!text.contains("alice"));
    assert!(get(&api, "/metrics").await.starts_with("HTTP/1.1 200 OK\r\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tcp_there_is_nothing_else() {
    let api = Api::start().await;
    assert!(get(&api, "/healthz").await.ends_with("\r\n\r\nok\n"));
    assert!(get(&api, "/readyz").await.ends_with("\r\n\r\nok\n"));
    for path in ["/v1/status", "/v1/people", "/", "/metrics/", "/v1/events/follow"] {
        assert!(get(&api, path).await.starts_with("HTTP/1.1 404 "), "{path}");
    }
    let posted = "POST /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    assert!(raw(&api, posted).await.starts_with("HTTP/1.1 405 "));
    // A head without end costs so much and no more.
    let endless = format!("GET /metrics HTTP/1.1\r\nx: {}", "x".repeat(64 << 10));
    assert!(raw(&api, &endless).await.starts_with("HTTP/1.1 431 "));
    assert!(get(&api, "/healthz").await.ends_with("ok\n"), "and it goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_says_why_not_one_reason_a_line() {
    let mut api = Api::start().await;
    assert_eq!(api.call("GET", "/readyz", Value::Null).await.0, 200);
    api.draining.send_replace(true);
    api.store.close().await;
    let answer = get(&api, "/readyz").await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    let lines: Vec<_> = answer.split("\r\n\r\n").last().unwrap().lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("draining: ") && lines[1].starts_with("database: "), "{lines:?}");
    let metrics = get(&api, "/metrics").await;
    for line in ["bartizan_ready 0", "bartizan_draining 1", "bartizan_database_up 0"] {
        assert!(metrics.contains(&format!("\n{line}\n")), "{line} is missing in {metrics}");
    }
    assert!(get(&api, "/healthz").await.ends_with("ok\n"), "it lives nevertheless");
    api.stop().await;
}
