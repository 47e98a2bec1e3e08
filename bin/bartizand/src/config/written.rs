//! First stage: what was written, key by key, with its line.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use super::Fault;
use super::keys::{KEYS, Kind, SECTIONS};

/// A value and the line it stands on, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct At<T> {
    pub(crate) line: usize,
    pub(crate) value: T,
}

/// A value of one of the kinds that keys have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Count(u64),
    List(Vec<At<String>>),
}

/// The keys that were written, by their dotted names. Only known keys with values of the right kind are here.
#[derive(Debug, Default)]
pub(crate) struct Written(BTreeMap<&'static str, At<Value>>);

impl Written {
    /// Reads TOML. What cannot be read is left out and becomes a fault.
    pub(crate) fn parse(text: &str) -> (Self, Vec<Fault>) {
        let lines = Lines(text);
        let (mut written, mut faults) = (Self::default(), Vec::new());
        let (document, errors) = DeTable::parse_recoverable(text);
        faults.extend(errors.iter().map(|error| Fault {
            line: lines.of(error.span().map_or(0, |span| span.start)),
            what: error.message().to_owned(),
        }));
        // A document that is not TOML would only give misleading second faults.
        if faults.is_empty() {
            written.take("", document.get_ref(), &lines, &mut faults);
        }
        (written, faults)
    }

    /// A key that holds text.
    pub(crate) fn text(&self, key: &str) -> Option<At<&str>> {
        match self.0.get(key)? {
            At { line, value: Value::Text(text) } => Some(At { line: *line, value: text }),
            _ => None,
        }
    }

    /// A key that holds a number.
    pub(crate) fn count(&self, key: &str) -> Option<At<u64>> {
        match self.0.get(key)? {
            At { line, value: Value::Count(count) } => Some(At { line: *line, value: *count }),
            _ => None,
        }
    }

    /// A key that holds a list of texts.
    pub(crate) fn list(&self, key: &str) -> Option<&At<Value>> {
        self.0.get(key)
    }

    fn take(&mut self, section: &str, table: &DeTable<'_>, lines: &Lines<'_>, faults: &mut Vec<Fault>) {
        for (key, value) in table {
            let name = if section.is_empty() {
                key.get_ref().to_string()
            } else {
                format!("{section}.{}", key.get_ref())
            };
            let line = lines.of(key.span().start);
            let shown = bartizan_model::escape(name.as_bytes());
            if let Some(known) = KEYS.iter().find(|known| known.name == name) {
                match read(known.kind, value.get_ref(), lines) {
                    Some(read) => drop(self.0.insert(known.name, At { line, value: read })),
                    None => {
                        let what = format!("{shown} must be {}", known.kind.expected());
                        faults.push(Fault { line, what });
                    }
                }
            } else if SECTIONS.contains(&&*name) {
                match value.get_ref() {
                    DeValue::Table(inner) => self.take(&name, inner, lines, faults),
                    _ => faults.push(Fault { line, what: format!("{name} is a section: write [{name}]") }),
                }
            } else {
                faults.push(Fault { line, what: unknown(&name, &shown) });
            }
        }
    }
}

fn read(kind: Kind, value: &DeValue<'_>, lines: &Lines<'_>) -> Option<Value> {
    match (kind, value) {
        (Kind::Count, DeValue::Integer(number)) => {
            let digits = number.as_str().replace('_', "");
            u64::from_str_radix(&digits, number.radix()).ok().map(Value::Count)
        }
        (Kind::List, DeValue::Array(items)) => {
            let item = |item: &toml::Spanned<DeValue<'_>>| {
                let value = item.get_ref().as_str()?.to_owned();
                Some(At { line: lines.of(item.span().start), value })
            };
            items.iter().map(item).collect::<Option<_>>().map(Value::List)
        }
        (Kind::Text | Kind::Duration, DeValue::String(text)) => Some(Value::Text(text.to_string())),
        _ => None,
    }
}

/// The message for a key that does not exist, with the nearest one that does.
fn unknown(name: &str, shown: &str) -> String {
    let known = KEYS.iter().map(|key| key.name).chain(SECTIONS);
    // The last part counts too, so that a key written in the wrong section finds its place.
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let distance = |known: &str| {
        strsim::damerau_levenshtein(known, name)
            .min(1 + strsim::damerau_levenshtein(&last(known), &last(name)))
    };
    let nearest = known.map(|known| (distance(known), known)).min();
    match nearest {
        Some((distance, nearest)) if distance <= 1 + name.len() / 3 => {
            format!("unknown key {shown}; did you mean {nearest}?")
        }
        _ => format!("unknown key {shown}; `bartizand check --explain` lists every key"),
    }
}

/// Finds lines in a text.
struct Lines<'a>(&'a str);

impl Lines<'_> {
    /// The line that holds the byte at `offset`, from 1.
    fn of(&self, offset: usize) -> usize {
        1 + self.0.bytes().take(offset).filter(|&byte| byte == b'\n').count()
    }
}
