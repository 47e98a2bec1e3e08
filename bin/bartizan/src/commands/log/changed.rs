//! What a change of the directory was about, in words. What people wrote, such as comments, is escaped by the caller.

use bartizan_model::{AuthorizedKey, Grant, HostKeyTrust, Person, Target};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::super::grant::sentence;

/// What stands behind the record's name; none where the name says it all, or the value is of a kind that is not known.
pub(super) fn what(action: &str, record: &str, value: &Value) -> Option<String> {
    match (action, record) {
        (_, "grant") => read(value).map(|grant| grant_text(&grant)),
        (_, "key") => {
            let AuthorizedKey { person, comment, .. } = read(value)?;
            let comment = if comment.is_empty() { comment } else { format!(" ({comment})") };
            Some(format!(" of {person}{comment}"))
        }
        ("assign", "person") => Some(format!(": to role {}", value.get("role")?.as_str()?)),
        ("unassign", "person") => Some(format!(": from role {}", value.get("role")?.as_str()?)),
        (_, "person") => person(value),
        ("label", "target") => read(value).map(|target| format!(": {}", labels(&target))),
        (_, "target") => {
            let target: Target = read(value).or_else(|| read(value.get("target")?))?;
            let labelled =
                if target.labels.is_empty() { String::new() } else { format!(", {}", labels(&target)) };
            Some(format!(
                " at {}:{}, {}{labelled}{}",
                target.host,
                target.port,
                trust(&target),
                with_grants(value)
            ))
        }
        (_, "ca") => Some(format!(" ({})", value.get("comment")?.as_str().filter(|text| !text.is_empty())?)),
        (_, "role") => Some(with_grants(value)).filter(|text| !text.is_empty()),
        _ => None,
    }
}

fn read<T: DeserializeOwned>(value: &Value) -> Option<T> {
    T::deserialize(value).ok()
}

/// The lines of a grant as one.
fn grant_text(grant: &Grant) -> String {
    let text = sentence(grant);
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let text = lines.join("; ");
    text.strip_prefix(&grant.id.0).unwrap_or(&text).to_owned()
}

/// With which keys somebody came or went.
fn person(value: &Value) -> Option<String> {
    let _: Person = read(value.get("person")?)?;
    let keys: Vec<AuthorizedKey> = read(value.get("keys")?)?;
    let keys: Vec<_> = keys.iter().map(|key| key.fingerprint.to_string()).collect();
    let keys =
        if keys.is_empty() { " without keys".to_owned() } else { format!(" with {}", keys.join(", ")) };
    Some(keys + &with_grants(value))
}

/// The grants that went along.
fn with_grants(value: &Value) -> String {
    let grants: Vec<Grant> = value.get("grants").and_then(read).unwrap_or_default();
    let ids: Vec<_> = grants.iter().map(|grant| grant.id.0.as_str()).collect();
    if ids.is_empty() { String::new() } else { format!(", grants {}", ids.join(", ")) }
}

fn labels(target: &Target) -> String {
    if target.labels.is_empty() { "no labels".into() } else { target.labels.to_string() }
}

fn trust(target: &Target) -> &'static str {
    match target.host_key {
        HostKeyTrust::Pinned(_) => "host key pinned",
        HostKeyTrust::Authority(_) => "host key by a CA",
        HostKeyTrust::FirstUse => "host key at first use",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::grant::tests::grants;
    use super::super::super::key::tests::keys;
    use super::*;

    #[test]
    fn changes_say_whom_and_what_they_are_about() {
        let target = json!({
            "name": "web-1", "host": "10.0.0.5", "port": 22, "host_key": "first_use", "labels": {"env": "prod"},
            "created": "2026-11-28T08:30:00.000000Z",
        });
        let person = json!({"name": "alice", "state": "active", "created": "2026-11-28T08:30:00.000000Z"});
        let grant = grants().remove(0);
        let cases = [
            ("add", "grant", json!(grant)),
            ("add", "key", json!(keys()[0])),
            ("add", "target", target.clone()),
            ("label", "target", target.clone()),
            ("remove", "target", json!({"target": target, "grants": [grant]})),
            ("add", "person", json!({"person": person, "keys": keys()})),
            ("assign", "person", json!({"role": "ops", "person": person})),
            ("lock", "person", person),
            ("add", "future", json!({"x": 1})),
        ];
        let told: String = (cases.iter())
            .map(|(action, record, value)| {
                format!("{action} {record} NAME{}\n", what(action, record, value).unwrap_or_default())
            })
            .collect();
        insta::assert_snapshot!(told);
    }
}
