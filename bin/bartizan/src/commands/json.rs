//! The JSON of every listing: golden, and in the words of `docs/json.md` alone.

use std::collections::BTreeSet;

use bartizan_model::Timestamp;
use serde_json::Value;

use super::{ca, credential, grant, key, person, role, session, target};

fn listings() -> Vec<(&'static str, Vec<Value>)> {
    fn values<T: serde::Serialize>(items: Vec<T>) -> Vec<Value> {
        items.iter().map(|item| serde_json::to_value(item).unwrap()).collect()
    }
    vec![
        ("person list", values(person::tests::people())),
        ("role list", values(role::tests::roles())),
        ("key list", values(key::tests::keys())),
        ("target list", values(target::tests::targets())),
        ("target credential list", values(credential::tests::credentials())),
        ("grant list", values(grant::tests::grants())),
        ("ca list", ca::tests::listed()),
        ("session list", values(session::tests::sessions())),
    ]
}

/// Whoever changes a name sees it here, and says so in the changelog.
#[test]
fn golden() {
    let mut text = String::new();
    for (command, items) in listings() {
        for item in items {
            text.push_str(&format!("{command}: {item}\n"));
        }
    }
    insta::assert_snapshot!(text);
}

/// Every name, at any depth.
fn names(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            into.insert(name.clone());
            names(value, into);
        }),
        Value::Array(items) => items.iter().for_each(|item| names(item, into)),
        _ => {}
    }
}

/// What the page says of each name: the cells of its row.
fn page() -> Vec<Vec<String>> {
    let page = include_str!("../../../../docs/json.md");
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    page.lines().filter(|line| line.starts_with("| `")).map(cells).collect()
}

#[test]
fn every_name_is_explained_once() {
    let rows = page();
    let explained: Vec<&str> =
        rows.iter().flat_map(|row| row[0].split(", ")).map(|name| name.trim_matches('`')).collect();
    let unique: BTreeSet<_> = explained.iter().copied().collect();
    assert_eq!(unique.len(), explained.len(), "{explained:?}");
    let mut used = BTreeSet::new();
    for (command, items) in listings() {
        for mut item in items {
            // Labels are operators' own names.
            if let Some(fields) = item.as_object_mut() {
                fields.remove("labels");
            }
            used.clear();
            names(&item, &mut used);
            for name in &used {
                assert!(
                    unique.contains(name.as_str()),
                    "{command} has `{name}`, which docs/json.md does not explain"
                );
            }
        }
    }
}

/// A moment is RFC 3339 in UTC to the microsecond, under one of the names that the page has for moments.
#[test]
fn moments_are_written_alike() {
    let moments: BTreeSet<String> = page()
        .iter()
        .filter(|row| row[1] == "moment")
        .flat_map(|row| row[0].split(", ").map(|name| name.trim_matches('`').to_owned()).collect::<Vec<_>>())
        .collect();
    for (command, items) in listings() {
        for item in items {
            for (name, value) in item.as_object().unwrap() {
                let moment = value.as_str().and_then(|text| text.parse::<Timestamp>().ok().zip(Some(text)));
                assert_eq!(
                    moment.is_some(),
                    moments.contains(name) && !value.is_null(),
                    "{command}: {name} {value}"
                );
                if let Some((moment, text)) = moment {
                    assert_eq!(moment.to_string(), text, "{command}: {name}");
                }
            }
        }
    }
}
