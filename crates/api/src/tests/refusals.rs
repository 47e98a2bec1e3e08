//! Every refusal is JSON that says what happened, and repeats nothing raw.

use serde_json::{Value, json};

use super::Api;

#[tokio::test]
async fn refusals_have_a_fitting_status_and_say_what_to_do() {
    let api = Api::start().await;
    api.ok("POST", "/v1/people", json!({"name": "alice", "keys": ["ssh-ed25519 AAAA"]})).await;
    let target = |name: &str, host: &str, port: u32| json!({"name": name, "host": host, "port": port, "host_key": "first_use"});
    api.ok("POST", "/v1/targets", target("web-1", "web-1", 22)).await;
    let grant = |person: &str, target: &str, logins: Value, allow: Value| json!({"person": person, "target": target, "logins": logins, "allow": allow});
    let root = || json!(["root"]);
    let ruled = |allow: Value, files: Value| json!({"person": "alice", "target": "web-1", "logins": ["root"], "allow": allow, "files": files});
    let forwards = |allow: Value, forwards: Value| json!({"person": "alice", "target": "web-1", "logins": ["root"], "allow": allow, "forwards": forwards});
    let requests = [
        ("GET", "/v1/nothing", Value::Null),
        ("PUT", "/v1/people", Value::Null),
        ("GET", "/v1/people/bob", Value::Null),
        ("GET", "/v1/people/a%1b%5b2J", Value::Null),
        ("DELETE", "/v1/people/bob", Value::Null),
        ("POST", "/v1/people/bob/lock", Value::Null),
        ("POST", "/v1/people", json!({"name": "alice"})),
        ("POST", "/v1/people", json!({"name": "bob", "keys": ["ssh-ed25519 AAAA"]})),
        ("POST", "/v1/people", json!({"name": "bob", "keys": ["ssh-dss AAAA"]})),
        ("POST", "/v1/people", json!({"name": "bob", "keys": [""]})),
        ("POST", "/v1/people", json!({"name": "b\u{1b}[2Job"})),
        ("POST", "/v1/people", json!({"nme": "bob"})),
        ("POST", "/v1/keys", json!({"person": "bob", "keys": "ssh-ed25519 BBBB"})),
        ("POST", "/v1/keys", json!({"person": "alice", "keys": "ssh-ed25519 BBBB\nssh-ed25519 AAAA"})),
        ("GET", "/v1/keys?person=bob", Value::Null),
        ("DELETE", "/v1/keys/SHA256:x", Value::Null),
        ("POST", "/v1/targets", target("web-1", "web-1", 22)),
        ("POST", "/v1/targets", target("web-2", "-oProxyCommand=x", 22)),
        ("POST", "/v1/targets", target("web-2", "web-2", 0)),
        ("POST", "/v1/targets", target("web-2", "web-2", 65_536)),
        ("POST", "/v1/targets", target("a@b", "web-2", 22)),
        ("POST", "/v1/grants", grant("bob", "web-1", root(), json!(["shell"]))),
        ("POST", "/v1/grants", grant("alice", "web-9", root(), json!(["shell"]))),
        ("POST", "/v1/grants", grant("alice", "web-1", json!([]), json!(["shell"]))),
        ("POST", "/v1/grants", grant("alice", "web-1", root(), json!([]))),
        ("POST", "/v1/grants", grant("alice", "web-1", root(), json!(["sudo"]))),
        ("POST", "/v1/grants", ruled(json!(["sftp:read", "exec"]), json!({"paths": ["/srv/**"]}))),
        ("POST", "/v1/grants", ruled(json!(["sftp:read"]), json!({"paths": ["/srv/[ab]"]}))),
        ("POST", "/v1/grants", forwards(json!(["shell"]), json!({"to": ["db:5432"]}))),
        ("POST", "/v1/grants", forwards(json!(["forward:local"]), json!({"to": ["127.1:22"]}))),
        (
            "POST",
            "/v1/access/check",
            json!({"person": "alice", "login": "root", "target": "web-1", "action": "exec", "to": "db:1"}),
        ),
        (
            "POST",
            "/v1/access/check",
            json!({"person": "alice", "login": "root", "target": "web-1", "action": "forward:local", "to": "db"}),
        ),
        (
            "POST",
            "/v1/access/check",
            json!({"person": "alice", "login": "root", "target": "web-1", "action": "exec", "file": "/x"}),
        ),
        ("POST", "/v1/cas", json!({"keys": "nonsense"})),
        ("GET", "/v1/sessions?state=odd", Value::Null),
        ("GET", "/v1/sessions/0199", Value::Null),
        ("POST", "/v1/sessions/0199/reads", json!({"how": "play"})),
    ];
    let mut told = String::new();
    for (method, path, body) in requests {
        let (status, text) = api.refused(method, path, body.clone()).await;
        let body = if body.is_null() { String::new() } else { format!(" {body}") };
        told.push_str(&format!("{method} {path}{}\n  {status} {text}\n", body.replace('\u{1b}', "ESC")));
    }
    insta::assert_snapshot!(told);
    assert_eq!(api.changes(), ["Success add person alice", "Success add target web-1"]);
    assert_eq!(api.get("/v1/keys").await.as_array().unwrap().len(), 1, "a file is taken whole or not at all");
}

#[tokio::test]
async fn bodies_that_are_no_json_or_too_long_are_refused() {
    let api = Api::start().await;
    assert_eq!(api.call_raw("POST", "/v1/people", "{".into()).await.0, 400);
    let long = format!("{{\"name\": \"{}\"}}", "x".repeat(crate::MAX_BODY_BYTES));
    assert_eq!(api.call_raw("POST", "/v1/people", long).await.0, 413);
}

#[tokio::test]
async fn health_tells_whether_the_log_takes_events() {
    let api = Api::start().await;
    assert_eq!(api.get("/healthz").await, "ok\n");
    assert_eq!(api.get("/readyz").await, "ok\n");
    let status = api.get("/v1/status").await;
    assert_eq!((&status["node"], &status["public_address"]), (&json!("node-1"), &json!("bastion:2222")));
}
