//! Grants as Cedar policies.
//!
//! A policy is built as a tree, never as text, so that no name or glob can be read as syntax.

use bartizan_model::{Grant, Grantee, LoginName, Permission, SourceNetwork};
use cedar_policy::{Policy, PolicyId};
use serde_json::{Value, json};

use super::{ACTION, CONNECT, PERSON, ROLE, SELECTOR, TARGET};

/// Compiles a grant to the policy that permits it; its id is the grant's.
///
/// ```text
/// permit (principal == Person::"alice", action in [Action::"connect", Action::"shell"],
///         resource in Selector::"web-*")
/// when { ["root"].contains(context.login) }
/// when { context.source.isInRange(ip("10.0.0.0/8")) }
/// when { context.now < 1795854600 };
/// ```
///
/// A grant to a role says `principal in Role::"ops"` instead.
pub(crate) fn compile(grant: &Grant) -> Result<Policy, String> {
    let conditions = [
        grant.logins.as_deref().map(login_is_one_of),
        (!grant.sources.is_empty()).then(|| source_is_in(&grant.sources)),
        // In whole seconds, rounded down: a grant ends up to a second early, never late.
        grant.expires.map(|at| json!({ "<": { "left": fact("now"), "right": value(at.unix_seconds()) } })),
    ];
    let conditions: Vec<Value> =
        conditions.into_iter().flatten().map(|body| json!({ "kind": "when", "body": body })).collect();
    let actions: Vec<Value> = std::iter::once(CONNECT)
        .chain(grant.allow.iter().map(Permission::as_str))
        .map(|action| entity(ACTION, action))
        .collect();
    let selector = grant.target.as_str();
    let resource = if grant.target.is_exact() {
        json!({ "op": "==", "entity": entity(TARGET, selector) })
    } else {
        json!({ "op": "in", "entity": entity(SELECTOR, selector) })
    };
    let principal = match &grant.who {
        Grantee::Person(name) => json!({ "op": "==", "entity": entity(PERSON, name.as_str()) }),
        Grantee::Role(name) => json!({ "op": "in", "entity": entity(ROLE, name.as_str()) }),
    };
    let policy = json!({
        "effect": "permit",
        "principal": principal,
        "action": { "op": "in", "entities": actions },
        "resource": resource,
        "conditions": conditions,
    });
    Policy::from_json(Some(PolicyId::new(&grant.id.0)), policy).map_err(|e| e.to_string())
}

fn entity(kind: &str, id: &str) -> Value {
    json!({ "type": kind, "id": id })
}

fn fact(name: &str) -> Value {
    json!({ ".": { "left": { "Var": "context" }, "attr": name } })
}

fn value(value: impl Into<Value>) -> Value {
    json!({ "Value": value.into() })
}

fn login_is_one_of(logins: &[LoginName]) -> Value {
    // An empty set has no type in Cedar; no login at all is simply false.
    if logins.is_empty() {
        return value(false);
    }
    let logins: Vec<Value> = logins.iter().map(|login| value(login.as_str())).collect();
    json!({ "contains": { "left": { "Set": logins }, "right": fact("login") } })
}

fn source_is_in(networks: &[SourceNetwork]) -> Value {
    networks
        .iter()
        .map(SourceNetwork::to_string)
        // Sources are shown as IPv4 where they are, so a network of IPv4-mapped addresses holds none of them;
        // Cedar does not read that notation.
        .filter(|network| !(network.contains(':') && network.contains('.')))
        .map(|network| json!({ "isInRange": [fact("source"), { "ip": [value(network)] }] }))
        .reduce(|left, right| json!({ "||": { "left": left, "right": right } }))
        .unwrap_or_else(|| value(false))
}
