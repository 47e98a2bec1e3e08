//! Tables of TOML, key by key: what is there, of the right kind, and nothing else.

use bartizan_model::escape;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::place::Fault;

/// A value and the byte where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct At<T> {
    pub(super) at: usize,
    pub(super) value: T,
}

impl<T> At<T> {
    pub(super) fn map<U>(self, map: impl FnOnce(T) -> U) -> At<U> {
        At { at: self.at, value: map(self.value) }
    }
}

/// One table of the file.
pub(super) struct Table<'a, 't> {
    table: &'a DeTable<'t>,
    /// Where its name stands.
    pub(super) at: usize,
}

impl<'a, 't> Table<'a, 't> {
    pub(super) fn of(table: &'a DeTable<'t>, at: usize) -> Self {
        Self { table, at }
    }

    /// Reports every key but the known ones. `whose` has them: `a target`.
    pub(super) fn only(&self, whose: &str, known: &[&str], faults: &mut Vec<Fault>) {
        for (key, _) in self.table.iter() {
            if !known.contains(&&**key.get_ref()) {
                let name = escape(key.get_ref().as_bytes());
                let what = format!("unknown key {name}; {whose} has: {}", known.join(", "));
                faults.push(Fault { at: key.span().start, what });
            }
        }
    }

    fn value(&self, key: &str) -> Option<&'a Spanned<DeValue<'t>>> {
        self.table.get(key)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// Where a key's value stands, or the table if there is none.
    pub(super) fn place(&self, key: &str) -> usize {
        self.value(key).map_or(self.at, |value| value.span().start)
    }

    pub(super) fn text(&self, key: &str, faults: &mut Vec<Fault>) -> Option<At<&'a str>> {
        let value = self.value(key)?;
        text(key, value, faults)
    }

    pub(super) fn flag(&self, key: &str, faults: &mut Vec<Fault>) -> Option<bool> {
        let value = self.value(key)?;
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            wrong(key, "true or false", value, faults);
        }
        flag
    }

    pub(super) fn port(&self, key: &str, faults: &mut Vec<Fault>) -> Option<u16> {
        let value = self.value(key)?;
        let port = match value.get_ref() {
            DeValue::Integer(number) => {
                u16::from_str_radix(&number.as_str().replace('_', ""), number.radix()).ok()
            }
            _ => None,
        };
        let port = port.filter(|&port| port > 0);
        if port.is_none() {
            wrong(key, "a port from 1 to 65535", value, faults);
        }
        port
    }

    /// A time in quotes or without.
    pub(super) fn time(&self, key: &str, faults: &mut Vec<Fault>) -> Option<At<String>> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::Datetime(time) => Some(At { at: value.span().start, value: time.to_string() }),
            _ => Some(text(key, value, faults)?.map(str::to_owned)),
        }
    }

    pub(super) fn list(&self, key: &str, faults: &mut Vec<Fault>) -> Option<Vec<At<&'a str>>> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::Array(items) => Some(items.iter().filter_map(|item| text(key, item, faults)).collect()),
            _ => {
                wrong(key, "a list of texts, such as [\"a\", \"b\"]", value, faults);
                None
            }
        }
    }

    /// The tables that a key holds, by their names: `[people.alice]`, `[people.bob]`.
    pub(super) fn tables(&self, key: &str, faults: &mut Vec<Fault>) -> Vec<(At<&'a str>, Table<'a, 't>)> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let DeValue::Table(tables) = value.get_ref() else {
            wrong(key, &format!("tables: write [{key}.NAME]"), value, faults);
            return Vec::new();
        };
        let mut found = Vec::with_capacity(tables.len());
        for (name, value) in tables.iter() {
            let at = name.span().start;
            match value.get_ref() {
                DeValue::Table(table) => {
                    found.push((At { at, value: &**name.get_ref() }, Table::of(table, at)));
                }
                _ => wrong(key, &format!("tables: write [{key}.NAME]"), value, faults),
            }
        }
        found
    }

    /// Keys and texts of a small table: `{ env = "prod" }`.
    pub(super) fn pairs(&self, key: &str, faults: &mut Vec<Fault>) -> Vec<At<(&'a str, &'a str)>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let DeValue::Table(table) = value.get_ref() else {
            wrong(key, "a table, such as { env = \"prod\" }", value, faults);
            return Vec::new();
        };
        let pair = |(name, value): (&'a Spanned<_>, &'a Spanned<DeValue<'t>>)| {
            let name: &Spanned<std::borrow::Cow<'t, str>> = name;
            Some(At { at: name.span().start, value: (&**name.get_ref(), text(key, value, faults)?.value) })
        };
        table.iter().filter_map(pair).collect()
    }
}

fn text<'a>(key: &str, value: &'a Spanned<DeValue<'_>>, faults: &mut Vec<Fault>) -> Option<At<&'a str>> {
    let at = value.span().start;
    let text = value.get_ref().as_str();
    if text.is_none() {
        wrong(key, "a text in quotes", value, faults);
    }
    text.map(|value| At { at, value })
}

fn wrong(key: &str, expected: &str, value: &Spanned<DeValue<'_>>, faults: &mut Vec<Fault>) {
    faults.push(Fault { at: value.span().start, what: format!("{key} must be {expected}") });
}
