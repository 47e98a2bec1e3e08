//! Terms of the index: what an event is found by, one posting list each.
//!
//! | term | of |
//! |---|---|
//! | `web-1` | a word of any value ([`crate::words`]) |
//! | `p=alice`, `l=root`, `t=web-1`, `s=ID` | person, login, target, session |
//! | `k=sftp.open`, `k=sftp.` | the type, and every group of types that it is in |
//! | `o=denied` | the outcome |
//! | `v=2` | a severity that the event reaches (0 to 3) |
//! | `a=4:0a00` | a network that the source is in, by hexadecimal digits of its address |
//!
//! No word holds `=`, so words and filters never meet; the beginning of a word may be a filter's ([`may_be_filter`]). A
//! search is the intersection of its terms' lists, and the newest events of an intersection are found without looking at
//! the others: every filter costs the same, alone and together.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;

use bartizan_model::SourceNetwork;
use serde_json::Value;

use crate::projection::{EventRow, outcome, rank};
use crate::{EventQuery, words};

/// All terms of an event, each once.
pub(crate) fn of(event: &Value, row: &EventRow) -> BTreeSet<String> {
    let mut terms = BTreeSet::new();
    words::values(event, &mut |value| words::of(value, &mut terms));
    let named = [('p', &row.person), ('l', &row.login), ('t', &row.target), ('s', &row.session)];
    for (field, value) in named {
        terms.extend(value.as_ref().map(|value| term(field, value)));
    }
    terms.insert(term('o', &row.outcome));
    terms.insert(term('k', &row.kind));
    let groups = row.kind.match_indices('.').map(|(dot, _)| &row.kind[..=dot]);
    terms.extend(groups.map(|group| term('k', group)));
    terms.extend((1..=row.severity).map(|reached| term('v', &reached.to_string())));
    if let Some(source) = row.source {
        let digits = digits(source);
        terms.extend((3..=digits.len()).map(|end| term('a', &digits[..end])));
    }
    terms
}

/// What an event must have to be found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    /// Every one of these.
    pub(crate) all: Vec<String>,
    /// One of these, if there are any.
    pub(crate) any: Vec<String>,
    /// For each of these a word that begins so.
    pub(crate) beginnings: Vec<String>,
}

impl Terms {
    /// The terms of a search; its beginnings only if they are asked for.
    pub(crate) fn of(query: &EventQuery, beginnings: bool) -> Self {
        let mut all = Vec::new();
        all.extend(query.kind.as_ref().map(|kind| term('k', kind)));
        all.extend(query.person.as_ref().map(|person| term('p', person.as_str())));
        all.extend(query.login.as_ref().map(|login| term('l', login.as_str())));
        all.extend(query.target.as_ref().map(|target| term('t', target.as_str())));
        all.extend(query.session.map(|session| term('s', &session.to_string())));
        all.extend(query.outcome.map(|wanted| term('o', &outcome(wanted))));
        let severity = query.severity.map(rank).filter(|&least| least > 0);
        all.extend(severity.map(|least| term('v', &least.to_string())));
        let text = query.text.iter();
        all.extend(text.clone().flat_map(|text| text.words()).map(str::to_owned));
        let beginnings = if beginnings {
            text.flat_map(|text| text.beginnings()).map(str::to_owned).collect()
        } else {
            Vec::new()
        };
        let any = query.source.as_ref().map(networks).unwrap_or_default();
        Self { all, any, beginnings }
    }

    /// Whether every event is found.
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty() && self.any.is_empty() && self.beginnings.is_empty()
    }
}

/// Whether terms of filters begin as these words do: one letter, whose events have to be looked at.
pub(crate) fn may_be_filter(beginning: &str) -> bool {
    matches!(beginning.as_bytes(), [letter] if letter.is_ascii_lowercase())
}

/// A value of a field as a term. Other characters than those of plain names are written in hexadecimal, so that
/// terms can stand between spaces and quotes, and differ where values differ only in upper and lower case.
fn term(field: char, value: &str) -> String {
    let mut term = format!("{field}=");
    for byte in value.bytes().take(MAX_VALUE_BYTES) {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b':' => term.push(byte.into()),
            _ => drop(write!(term, "%{byte:02x}")),
        }
    }
    term
}

/// Longest value of a field that tells values apart. Names of ours are shorter; entries of unknown origin may not be.
const MAX_VALUE_BYTES: usize = 256;

/// An address as digits that sort like addresses. An IPv4-mapped IPv6 address counts as its IPv4 address.
pub(crate) fn digits(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => format!("4:{:08x}", u32::from(ip)),
        IpAddr::V6(ip) => format!("6:{:032x}", u128::from(ip)),
    }
}

/// The first and the last address of a network, as [`digits`].
pub(crate) fn range(network: &SourceNetwork) -> (String, String) {
    let (first, last) = network.range();
    (digits(first), digits(last))
}

/// The terms of which the events of a network have one: eight at most, because four bits make a digit.
fn networks(network: &SourceNetwork) -> Vec<String> {
    let (first, last) = range(network);
    let same = first.bytes().zip(last.bytes()).take_while(|(a, b)| a == b).count();
    let digit = |text: &str| text.as_bytes().get(same).and_then(|&digit| char::from(digit).to_digit(16));
    match (digit(&first), digit(&last)) {
        // The rest of the digits runs from 0 to f.
        (Some(from), Some(to)) if (from, to) != (0, 15) || same < 3 => {
            (from..=to).map(|digit| term('a', &format!("{}{digit:x}", &first[..same]))).collect()
        }
        _ => vec![term('a', &first[..same])],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_a_few_terms() {
        for (network, expected) in [
            ("10.0.0.1", &["a=4:0a000001"][..]),
            ("::ffff:10.0.0.1", &["a=4:0a000001"]),
            ("10.0.0.0/8", &["a=4:0a"]),
            ("10.0.0.0/7", &["a=4:0a", "a=4:0b"]),
            ("10.128.0.0/10", &["a=4:0a8", "a=4:0a9", "a=4:0aa", "a=4:0ab"]),
            ("10.0.0.77/31", &["a=4:0a00004c", "a=4:0a00004d"]),
            ("fd00::/16", &["a=6:fd00"]),
        ] {
            assert_eq!(networks(&network.parse().unwrap()), expected, "{network}");
        }
        // Everything of a family.
        assert_eq!(networks(&"0.0.0.0/0".parse().unwrap()).len(), 16);
    }

    #[test]
    fn values_that_differ_are_terms_that_differ() {
        let names = ["Alice", "alice", "%41lice", "a lice", "a\"", "ä", "a=b"];
        let terms: BTreeSet<_> = names.iter().map(|name| term('p', name)).collect();
        assert_eq!(terms.len(), names.len());
        for term in terms {
            assert!(
                term.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"=%.-_:".contains(&b))
            );
        }
    }
}
