//! What somebody looks for in the texts of events.
//!
//! | written | finds |
//! |---|---|
//! | `word` | this word: `web-1`, `10.0.0.5`, `nginx.conf`, and parts of such (`nginx`) |
//! | `word*` | words that begin so |
//! | `"some words"` | the words, and the text exactly as it is between the quotes |
//! | anything else | literally: `-rf`, `root@web-1`, `/etc/nginx` |
//!
//! All that is written must be found, in any order and in any values; upper and lower case are the same.
//!
//! The index gives events that have the words; where that is not yet the answer (a beginning, punctuation), the event
//! is looked at. So every backend answers the same.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use crate::terms;
use crate::words::{self, cut, is_joiner, lower, runs};

/// Longest text of a search, in bytes.
const MAX_BYTES: usize = 1024;
/// Most words, beginnings and texts of a search.
const MAX_PARTS: usize = 64;

/// A text to search for, as people write it.
#[derive(Clone, PartialEq, Eq)]
pub struct SearchText {
    written: String,
    /// Words that an event must have.
    words: BTreeSet<String>,
    /// Beginnings of words that an event must have.
    beginnings: BTreeSet<String>,
    /// Texts that one of an event's values must hold, where words do not say it all.
    literals: Vec<String>,
}

/// Why a text cannot be searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSearch {
    /// The index knows words only.
    #[error("a search needs a letter or a digit")]
    NoWord,
    /// A bound of ours.
    #[error("a search has at most {MAX_PARTS} words and {MAX_BYTES} bytes")]
    TooLong,
}

impl SearchText {
    /// Words that an event must have.
    pub(crate) fn words(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(String::as_str)
    }

    /// Beginnings of words that an event must have.
    pub(crate) fn beginnings(&self) -> impl Iterator<Item = &str> {
        self.beginnings.iter().map(String::as_str)
    }

    /// Whether an event that has all words must be looked at still, for beginnings or for literal texts.
    pub(crate) fn looks(&self) -> bool {
        !self.beginnings.is_empty() || self.looks_at_terms()
    }

    /// Whether an event that has all words, and a term for each beginning, must be looked at still: for literal texts,
    /// and where a filter's term begins so as well.
    pub(crate) fn looks_at_terms(&self) -> bool {
        !self.literals.is_empty() || self.beginnings().any(terms::may_be_filter)
    }

    /// Whether an event that has all words is found.
    pub(crate) fn finds(&self, json: &str) -> bool {
        // Without escapes in it, an event that does not hold a text as a whole holds it in no value.
        let maybe = json.contains('\\') || {
            let json = lower(json);
            self.beginnings().chain(self.literals.iter().map(String::as_str)).all(|text| json.contains(text))
        };
        let Some(event) = maybe.then(|| serde_json::from_str::<Value>(json).ok()).flatten() else {
            return false;
        };
        let mut beginnings: Vec<&str> = self.beginnings().collect();
        let mut literals: Vec<&str> = self.literals.iter().map(String::as_str).collect();
        words::values(&event, &mut |value| {
            literals.retain(|literal| !value.contains(literal));
            // Most values hold no word that begins so, and need not be taken apart.
            if beginnings.iter().any(|beginning| value.contains(beginning)) {
                let mut found = BTreeSet::new();
                words::of(value, &mut found);
                beginnings.retain(|beginning| !found.iter().any(|word| word.starts_with(beginning)));
            }
        });
        beginnings.is_empty() && literals.is_empty()
    }

    /// Takes what stands between spaces or quotes.
    fn take(&mut self, text: &str, beginning: bool) {
        let (mut whole, mut says_it_all) = (text, 0);
        if beginning {
            // The last run goes on, joiners at its end included: `web-*` begins with `web-`.
            let start = text.rfind(|c: char| !c.is_alphanumeric() && !is_joiner(c));
            let start = start.map_or(0, |at| at + text[at..].chars().next().map_or(0, char::len_utf8));
            let last = text[start..].trim_start_matches(is_joiner);
            if !last.is_empty() {
                self.beginnings.insert(cut(last).to_owned());
                (whole, says_it_all) = (&text[..start], cut(last).len());
            }
        }
        for run in runs(whole) {
            let word = cut(run);
            says_it_all = says_it_all.max(word.len());
            self.words.insert(word.to_owned());
        }
        if says_it_all < text.len() {
            self.literals.push(text.to_owned());
        }
    }
}

impl FromStr for SearchText {
    type Err = InvalidSearch;
    fn from_str(written: &str) -> Result<Self, InvalidSearch> {
        let mut search = Self {
            written: written.to_owned(),
            words: BTreeSet::new(),
            beginnings: BTreeSet::new(),
            literals: Vec::new(),
        };
        if written.len() > MAX_BYTES {
            return Err(InvalidSearch::TooLong);
        }
        let text = lower(written);
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            if let Some(quoted) = rest.strip_prefix('"') {
                // A quote without an end goes to the end.
                let (phrase, after) = quoted.split_once('"').unwrap_or((quoted, ""));
                if !phrase.trim().is_empty() {
                    search.take(phrase, false);
                }
                rest = after.trim_start();
            } else {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                match rest[..end].strip_suffix('*') {
                    Some(beginning) if !beginning.is_empty() => search.take(beginning, true),
                    _ => search.take(&rest[..end], false),
                }
                rest = rest[end..].trim_start();
            }
        }
        match search.words.len() + search.beginnings.len() {
            0 => Err(InvalidSearch::NoWord),
            n if n + search.literals.len() > MAX_PARTS => Err(InvalidSearch::TooLong),
            _ => Ok(search),
        }
    }
}

/// As it was written.
impl fmt::Display for SearchText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl fmt::Debug for SearchText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SearchText({:?})", self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(text: &str) -> [Vec<String>; 3] {
        let search: SearchText = text.parse().unwrap();
        [search.words.into_iter().collect(), search.beginnings.into_iter().collect(), search.literals]
    }

    #[test]
    fn searches_are_read_as_people_mean_them() {
        let none: &[&str] = &[];
        for (text, words, beginnings, literals) in [
            ("Reboot", &["reboot"][..], none, none),
            ("web-1  10.0.0.5", &["10.0.0.5", "web-1"], none, none),
            ("rm -rf", &["rf", "rm"], none, &["-rf"]),
            ("\"rm -rf\" now", &["now", "rf", "rm"], none, &["rm -rf"]),
            ("\"reboot\"", &["reboot"], none, none),
            ("\"no end", &["end", "no"], none, &["no end"]),
            ("root@web-1", &["root", "web-1"], none, &["root@web-1"]),
            ("web-*", none, &["web-"], none),
            ("-rf*", none, &["rf"], &["-rf"]),
            ("/etc/ng*", &["etc"], &["ng"], &["/etc/ng"]),
            ("/etc/*", &["etc"], none, &["/etc/"]),
            ("\"lit*\" x", &["lit", "x"], none, &["lit*"]),
            ("a * b", &["a", "b"], none, &["*"]),
            ("say\"hi\"", &["hi", "say"], none, &["say\"hi\""]),
        ] {
            assert_eq!(taken(text), [words, beginnings, literals].map(<[&str]>::to_vec), "{text}");
        }
    }

    #[test]
    fn what_the_index_cannot_find_is_refused() {
        for text in ["", " ", "*", "-", "\"\"", "\"/ \" ."] {
            assert_eq!(text.parse::<SearchText>(), Err(InvalidSearch::NoWord), "{text:?}");
        }
        let many: String = (0..100).map(|n| format!("{n} ")).collect();
        for text in [many, "x".repeat(2000)] {
            assert_eq!(text.parse::<SearchText>(), Err(InvalidSearch::TooLong));
        }
    }

    /// Whoever looks for an event's own text finds it, however it is taken apart.
    #[test]
    fn every_text_finds_itself() {
        let pieces =
            ["rm", "-rf", "/srv/www-17", "a.b:c", "Größe", "::", "\\x1b", "100%", "'; drop", "e\u{301}x"];
        for first in pieces {
            for second in pieces {
                let said = format!("{first} {second}");
                let json = serde_json::json!({ "type": "said", "said": said }).to_string();
                let mut has = BTreeSet::new();
                words::of(&lower(&said), &mut has);
                for text in [said.clone(), format!("\"{said}\""), format!("{said}*")] {
                    let Ok(search) = text.parse::<SearchText>() else { continue };
                    assert!(search.words().all(|word| has.contains(word)), "{text}: {search:?} {has:?}");
                    assert!(search.finds(&json), "{text}");
                }
            }
        }
    }
}
