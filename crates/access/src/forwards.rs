//! Where forwarding leads: the rules of several grants together.
//!
//! A forwarding is permitted when one grant permits it; rules of different grants are never cut with each other. What an
//! operator's policy permits, it permits everywhere, unless it says otherwise of `context.forward`.

use bartizan_model::{ForwardEnd, ForwardHost, Grant, GrantId, Permission, escape};
use cedar_policy::RestrictedExpression;

use crate::judge::{Denial, DenyReason};

/// Most patterns that a reason shows.
const SHOWN: usize = 8;

/// Those of the grants that permit `permission` which permit it for this end.
///
/// # Errors
/// When none does, with what they permit instead.
pub(crate) fn covering(
    grants: Vec<&Grant>,
    permission: Permission,
    end: &ForwardEnd,
) -> Result<Vec<GrantId>, Denial> {
    let ids = |grants: &[&Grant]| grants.iter().map(|grant| grant.id.clone()).collect::<Vec<_>>();
    let (permit, others): (Vec<&Grant>, Vec<&Grant>) =
        grants.into_iter().partition(|grant| grant.forwards.cover(permission, end));
    if !permit.is_empty() {
        return Ok(ids(&permit));
    }
    let patterns = others.iter().flat_map(|grant| grant.forwards.patterns(permission)).collect();
    Err(Denial {
        reason: DenyReason::Elsewhere,
        rules: ids(&others),
        detail: Some(refusal(permission, end, patterns)),
    })
}

/// An end that programs read differently, where there are rules that look at it.
pub(crate) fn unclear(permission: Permission, end: &ForwardEnd, why: &str) -> Denial {
    let detail = format!("{permission} {} {end} is refused: {why}", preposition(permission));
    Denial { reason: DenyReason::Elsewhere, rules: Vec::new(), detail: Some(detail) }
}

fn refusal(permission: Permission, end: &ForwardEnd, mut patterns: Vec<String>) -> String {
    patterns.sort_unstable();
    patterns.dedup();
    let preposition = preposition(permission);
    let why = end.unclear().map_or(String::new(), |why| format!(": {why}"));
    let more = match patterns.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    patterns.truncate(SHOWN);
    format!(
        "no grant permits {permission} {preposition} {end}{why}; permitted {preposition} {}{more}",
        patterns.join(", ")
    )
}

/// What is forwarded in Cedar's terms: all facts but the address are there always, so that policies need not ask for each.
pub(crate) fn fact(end: &ForwardEnd) -> Option<RestrictedExpression> {
    let text = |text: String| RestrictedExpression::new_string(text);
    let (host, port, path) = match end {
        ForwardEnd::Tcp { host, port } => (policy_host(host), i64::from(*port), String::new()),
        ForwardEnd::Unix(path) => (String::new(), 0, escape(path)),
    };
    let address = match end {
        ForwardEnd::Tcp { host: ForwardHost::Address(address), .. } => Some(*address),
        _ => None,
    };
    let address =
        address.map(|address| ("address".to_owned(), RestrictedExpression::new_ip(address.to_string())));
    let facts = [
        ("host".to_owned(), text(host)),
        ("port".to_owned(), RestrictedExpression::new_long(port)),
        ("path".to_owned(), text(path)),
    ];
    RestrictedExpression::new_record(facts.into_iter().chain(address)).ok()
}

/// A host as policies compare it: an IPv6 address without brackets.
fn policy_host(host: &ForwardHost) -> String {
    match host {
        ForwardHost::Address(address) => address.to_string(),
        host => host.to_string(),
    }
}

const fn preposition(permission: Permission) -> &'static str {
    match permission {
        Permission::ForwardRemote => "on",
        _ => "to",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_where_and_says_what_is_permitted() {
        let patterns = |count: u8| (0..count).map(|n| format!("db-{n}:5432")).collect::<Vec<_>>();
        let end = ForwardEnd::destination(b"web", 80);
        assert_eq!(
            refusal(Permission::ForwardLocal, &end, [patterns(2), patterns(1)].concat()),
            "no grant permits forward:local to web:80; permitted to db-0:5432, db-1:5432"
        );
        let all = refusal(Permission::ForwardRemote, &ForwardEnd::listener(b"", 80), patterns(10));
        assert!(
            all.starts_with("no grant permits forward:remote on *:80; permitted on db-0:5432, "),
            "{all}"
        );
        assert!(all.ends_with("db-7:5432 and 2 more"), "{all}");
        let strange = refusal(Permission::ForwardLocal, &ForwardEnd::destination(b"127.1", 80), patterns(1));
        assert!(strange.contains("to 127.1:80: the host is neither a plain name nor"), "{strange}");
    }
}
