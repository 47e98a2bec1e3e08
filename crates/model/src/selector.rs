//! What grants select targets by: names, globs, labels.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{InvalidRecord, Target, TargetName};

/// One label of a target: `env=prod`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label {
    /// 1 to 63 letters, digits, dots, hyphens, underscores and slashes.
    key: String,
    /// Likewise, or empty.
    value: String,
}

impl Label {
    /// Checks and makes a label.
    ///
    /// # Errors
    /// When key or value holds another character, or is too long.
    pub fn new(key: &str, value: &str) -> Result<Self, InvalidRecord> {
        let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'/');
        let fits = |text: &str| text.len() <= 63 && text.bytes().all(good);
        if !key.is_empty() && fits(key) && fits(value) {
            return Ok(Self { key: key.to_owned(), value: value.to_owned() });
        }
        Err(InvalidRecord {
            field: "label",
            value: format!("{key}={value}").chars().take(160).collect(),
            why: "is no label: write KEY=VALUE with letters, digits and . - _ /, each at most 63 long",
        })
    }

    /// The key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The value.
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl FromStr for Label {
    type Err = InvalidRecord;
    fn from_str(text: &str) -> Result<Self, InvalidRecord> {
        match text.split_once('=') {
            Some((key, value)) => Self::new(key, value),
            None => Self::new("", text),
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}={}", self.key, self.value))
    }
}

/// The labels of a target: one value a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>", into = "BTreeMap<String, String>")]
pub struct Labels(BTreeMap<String, String>);

impl Labels {
    /// Most labels of one target.
    pub const MAX: usize = 64;

    /// Sets a label; the value that its key had before is gone.
    ///
    /// # Errors
    /// When there would be more than [`Self::MAX`].
    pub fn set(&mut self, label: Label) -> Result<(), InvalidRecord> {
        if self.0.len() >= Self::MAX && !self.0.contains_key(&label.key) {
            let why = "is one label too many: a target has at most 64";
            return Err(InvalidRecord { field: "label", value: label.to_string(), why });
        }
        self.0.insert(label.key, label.value);
        Ok(())
    }

    /// Takes a label away, if it is there.
    pub fn unset(&mut self, key: &str) {
        self.0.remove(key);
    }

    /// The value of a key.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keys and values, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

impl TryFrom<BTreeMap<String, String>> for Labels {
    type Error = InvalidRecord;
    fn try_from(written: BTreeMap<String, String>) -> Result<Self, InvalidRecord> {
        let mut labels = Self::default();
        for (key, value) in &written {
            labels.set(Label::new(key, value)?)?;
        }
        Ok(labels)
    }
}
impl From<Labels> for BTreeMap<String, String> {
    fn from(labels: Labels) -> Self {
        labels.0
    }
}
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels: Vec<_> = self.iter().map(|(key, value)| format!("{key}={value}")).collect();
        f.pad(&labels.join(","))
    }
}

/// Which targets a grant covers.
///
/// A name; a glob where `*` stands for any run of characters and `?` for one (`web-*`); or labels that a target
/// must have all of (`env=prod,tier=web`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TargetSelector(String);

impl TargetSelector {
    /// Checks and makes a selector.
    ///
    /// # Errors
    /// When what is left without `*` and `?` could not be part of a target's name, and it is no list of labels.
    pub fn new(text: &str) -> Result<Self, InvalidRecord> {
        if text.contains('=') {
            for label in text.split(',') {
                label.parse::<Label>()?;
            }
            return Ok(Self(text.to_owned()));
        }
        let plain = text.replace(['*', '?'], "x");
        TargetName::new(&plain).map(|_| Self(text.to_owned())).map_err(|_| InvalidRecord {
            field: "target",
            value: text.into(),
            why: "is neither a target's name, nor a glob such as web-*, nor labels such as env=prod",
        })
    }

    /// The selector as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True when the selector is one name.
    pub fn is_exact(&self) -> bool {
        !self.0.contains(['*', '?', '='])
    }

    /// The one target that the selector names; `None` for a glob or labels.
    pub fn name(&self) -> Option<TargetName> {
        if self.is_exact() { TargetName::new(&self.0).ok() } else { None }
    }

    /// True when the selector covers a target. Takes time linear in both lengths' product at most.
    pub fn covers(&self, target: &Target) -> bool {
        if self.0.contains('=') {
            let has = |(key, value): (&str, &str)| target.labels.value(key) == Some(value);
            return self.0.split(',').all(|label| label.split_once('=').is_some_and(has));
        }
        self.matches(target.name.as_str())
    }

    fn matches(&self, name: &str) -> bool {
        let (pattern, text): (Vec<char>, Vec<char>) = (self.0.chars().collect(), name.chars().collect());
        let (mut p, mut t, mut star) = (0, 0, None);
        while t < text.len() {
            match pattern.get(p) {
                Some('*') => {
                    star = Some((p, t));
                    p += 1;
                }
                Some(&c) if c == '?' || c == text[t] => {
                    p += 1;
                    t += 1;
                }
                _ => match star {
                    None => return false,
                    // Let the last star eat one character more.
                    Some((at, eaten)) => {
                        star = Some((at, eaten + 1));
                        p = at + 1;
                        t = eaten + 1;
                    }
                },
            }
        }
        pattern[p..].iter().all(|&c| c == '*')
    }
}

impl TryFrom<String> for TargetSelector {
    type Error = InvalidRecord;
    fn try_from(text: String) -> Result<Self, InvalidRecord> {
        Self::new(&text)
    }
}
impl From<TargetSelector> for String {
    fn from(selector: TargetSelector) -> Self {
        selector.0
    }
}
impl FromStr for TargetSelector {
    type Err = InvalidRecord;
    fn from_str(text: &str) -> Result<Self, InvalidRecord> {
        Self::new(text)
    }
}
impl fmt::Display for TargetSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HostKeyTrust, Timestamp};

    fn target(name: &str, labels: &[(&str, &str)]) -> Target {
        let mut target = Target {
            name: TargetName::new(name).unwrap(),
            host: "h".into(),
            port: 22,
            host_key: HostKeyTrust::FirstUse,
            labels: Labels::default(),
            created: Timestamp::from_unix_micros(0),
        };
        for (key, value) in labels {
            target.labels.set(Label::new(key, value).unwrap()).unwrap();
        }
        target
    }

    #[test]
    fn selectors_cover_names_and_globs() {
        for (selector, name, covered) in [
            ("web-1", "web-1", true),
            ("web-1", "web-10", false),
            ("web-*", "web-1", true),
            ("web-*", "web-", true),
            ("*", "anything", true),
            ("*-prod-?", "db-prod-1", true),
            ("*-prod-?", "db-prod-12", false),
            ("a*b*c", "aXbXbc", true),
            ("a*b*c", "aXbXbd", false),
        ] {
            let covers = TargetSelector::new(selector).unwrap().covers(&target(name, &[]));
            assert_eq!(covers, covered, "{selector} {name}");
        }
        for bad in ["", "web 1", "=x", "env=prod,", "env=prod,web-*", "env=a b", "a=b=c"] {
            assert!(TargetSelector::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn selectors_cover_targets_with_all_of_their_labels() {
        let web = target("web-1", &[("env", "prod"), ("tier", "web"), ("gpu", "")]);
        for (selector, covered) in [
            ("env=prod", true),
            ("env=prod,tier=web", true),
            ("tier=web,env=prod", true),
            ("gpu=", true),
            ("env=", false),
            ("env=prod,tier=db", false),
            ("nothing=", false),
        ] {
            let selector = TargetSelector::new(selector).unwrap();
            assert_eq!(selector.covers(&web), covered, "{selector}");
            assert!(!selector.is_exact() && selector.name().is_none());
        }
    }

    #[test]
    fn labels_are_checked_when_they_are_read() {
        assert_eq!(serde_json::from_str::<Labels>(r#"{"env":"prod"}"#).unwrap().to_string(), "env=prod");
        for bad in [r#"{"":"x"}"#, r#"{"a b":"x"}"#, r#"{"a":"b,c"}"#, r#"{"a":"b=c"}"#] {
            assert!(serde_json::from_str::<Labels>(bad).is_err(), "{bad}");
        }
        let mut labels = Labels::default();
        for n in 0..Labels::MAX {
            labels.set(Label::new(&n.to_string(), "").unwrap()).unwrap();
        }
        assert!(labels.set(Label::new("more", "").unwrap()).is_err());
        labels.set(Label::new("0", "changed").unwrap()).unwrap();
        labels.unset("1");
        assert_eq!((labels.value("0"), labels.value("1")), (Some("changed"), None));
    }
}
