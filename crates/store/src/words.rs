//! Words of texts, as the index knows them: pure, the same for every backend.
//!
//! A **run** is the longest stretch of letters, digits and the joiners `. - _ :`, without joiners at its ends. A run is
//! a word, and so are what colons separate in it and what any joiner separates in it:
//!
//! ```text
//!   root@web-1:22 /etc/nginx.conf     root  web-1:22  web-1  web  1  22  etc  nginx.conf  nginx  conf
//! ```
//!
//! So names, addresses, files and fingerprints are found whole by one look, and by their parts. All in lower case. Ids
//! (UUIDs) are one word: nobody looks for parts of them.
//!
//! Blind spots: writing without spaces between words is one run, found by its beginning only (`word*`).

use std::collections::BTreeSet;

use serde_json::Value;

/// Longest word that is kept, in bytes; longer ones are cut, here and in what is searched for.
const MAX_BYTES: usize = 64;
/// Fields of every event that have filters of their own, or a value that nobody writes.
const UNINDEXED: [&str; 3] = ["v", "index", "time"];

/// Calls with every value of an event that a search can find, in lower case.
pub(crate) fn values(event: &Value, each: &mut impl FnMut(&str)) {
    match event {
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, _)| !UNINDEXED.contains(&name.as_str()))
            .for_each(|(_, value)| inner(value, each)),
        other => inner(other, each),
    }
}

fn inner(value: &Value, each: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => each(&lower(text)),
        Value::Number(number) => each(&number.to_string()),
        Value::Array(items) => items.iter().for_each(|item| inner(item, each)),
        Value::Object(fields) => fields.values().for_each(|field| inner(field, each)),
        Value::Null | Value::Bool(_) => {}
    }
}

/// A text as texts are compared. NUL is text in JSON, but not in every database.
pub(crate) fn lower(text: &str) -> String {
    let mut lower = text.to_lowercase();
    if lower.contains('\0') {
        lower = lower.replace('\0', "\u{fffd}");
    }
    lower
}

/// All words of a text in lower case, each once.
pub(crate) fn of(text: &str, words: &mut BTreeSet<String>) {
    let mut keep = |word: &str| {
        let word = cut(word);
        if !words.contains(word) {
            words.insert(word.to_owned());
        }
    };
    for run in runs(text) {
        keep(run);
        if is_uuid(run) {
            continue;
        }
        for part in run.split(':').map(trimmed).filter(|part| !part.is_empty()) {
            if part.len() < run.len() {
                keep(part);
            }
            let pieces = part.split(is_joiner).filter(|piece| !piece.is_empty() && piece.len() < part.len());
            pieces.for_each(&mut keep);
        }
    }
}

/// The runs of a text.
pub(crate) fn runs(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && !is_joiner(c)).map(trimmed).filter(|run| !run.is_empty())
}

/// A word as it is kept.
pub(crate) fn cut(word: &str) -> &str {
    &word[..word.floor_char_boundary(MAX_BYTES)]
}

/// Whether a character joins what is before and behind it to one run.
pub(crate) const fn is_joiner(c: char) -> bool {
    matches!(c, '.' | '-' | '_' | ':')
}

fn trimmed(run: &str) -> &str {
    run.trim_matches(is_joiner)
}

fn is_uuid(run: &str) -> bool {
    run.len() == 36
        && run.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let mut words = BTreeSet::new();
        of(&lower(text), &mut words);
        words.into_iter().collect()
    }

    #[test]
    fn what_people_look_for_is_a_word_and_so_are_its_parts() {
        for (text, expected) in [
            ("", &[][..]),
            (" - . :: \t", &[]),
            ("rm -rf /srv", &["rf", "rm", "srv"]),
            ("root@Web-1:22", &["1", "22", "root", "web", "web-1", "web-1:22"]),
            ("/etc/nginx.conf", &["conf", "etc", "nginx", "nginx.conf"]),
            ("[fd00::1]:22", &["1", "22", "fd00", "fd00::1"]),
            ("SHA256:aB/c+d", &["ab", "c", "d", "sha256", "sha256:ab"]),
            ("Größe=ja\0", &["größe", "ja"]),
            ("01990C2E-7d1a-7c3e-9f52-0242ac120002", &["01990c2e-7d1a-7c3e-9f52-0242ac120002"]),
        ] {
            assert_eq!(words(text), expected, "{text:?}");
        }
    }

    #[test]
    fn words_have_a_longest_length() {
        let long = "ü".repeat(1000);
        assert_eq!(words(&long), ["ü".repeat(MAX_BYTES / 2)]);
        assert_eq!(words(&format!("a{long}"))[0].len(), MAX_BYTES - 1);
    }

    #[test]
    fn every_value_is_searched_but_what_every_event_has() {
        let event = serde_json::json!({
            "v": 1, "index": 7, "time": "2026-11-21T08:30:00Z", "type": "x.Y", "list": ["A", 5, null, true],
            "deep": { "time": "noon" }
        });
        let mut found = Vec::new();
        values(&event, &mut |value| found.push(value.to_owned()));
        found.sort();
        assert_eq!(found, ["5", "a", "noon", "x.y"]);
    }
}
