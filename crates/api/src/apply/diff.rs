//! What changes between two directories, record by record and field by field.

use std::collections::{BTreeMap, HashMap};

use bartizan_model::api::{DiffOp, FieldDiff, RecordDiff};
use bartizan_model::{
    AuthorizedKey, DirectoryData, FileRules, Grant, HostKeyTrust, PersonName, StoredCredential,
};
use serde_json::{Value, json};

/// One record that changes: for people to read, and for the log.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) diff: RecordDiff,
    /// The record after the change, or before its removal.
    pub(super) value: Value,
}

/// Everything that changes, by kind and name.
pub(super) fn changes(before: &DirectoryData, after: &DirectoryData) -> Vec<Change> {
    let (old, new) = (views(before), views(after));
    let mut names: Vec<_> = old.keys().chain(new.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let changed = names.into_iter().filter_map(|name| change(name, old.get(name), new.get(name)));
    let credentials = credentials(before);
    changed.map(|change| with_credentials(change, &credentials)).collect()
}

fn credentials(data: &DirectoryData) -> HashMap<&str, Vec<&StoredCredential>> {
    let mut credentials: HashMap<_, Vec<_>> = HashMap::new();
    for credential in &data.credentials {
        credentials.entry(credential.target.as_str()).or_default().push(credential);
    }
    credentials
}

/// A target that goes takes along what is stored to log in to it: that is in no file to put it back.
fn with_credentials(mut change: Change, credentials: &HashMap<&str, Vec<&StoredCredential>>) -> Change {
    let RecordDiff { op, record, name, fields } = &mut change.diff;
    if *op != DiffOp::Remove || record != Kind::Target.as_str() {
        return change;
    }
    if let Some(stored) = credentials.get(name.as_str()) {
        change.value["credentials"] = json!(stored);
        fields.extend(stored.iter().map(|StoredCredential { login, kind, .. }| FieldDiff {
            field: "credential".into(),
            before: Some(format!("{kind} of {login}")),
            after: None,
        }));
    }
    change
}

/// A record as it is compared and shown: kind, name, and what each field holds.
type RecordName = (Kind, String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Kind {
    Role,
    Ca,
    Person,
    Target,
    Grant,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Role => "role",
            Self::Ca => "ca",
            Self::Person => "person",
            Self::Target => "target",
            Self::Grant => "grant",
        }
    }
}

struct View {
    fields: Vec<(&'static str, Vec<String>)>,
    value: Value,
}

fn views(data: &DirectoryData) -> HashMap<RecordName, View> {
    let mut views = HashMap::new();
    let mut keys: BTreeMap<&PersonName, Vec<&AuthorizedKey>> = BTreeMap::new();
    for key in &data.keys {
        keys.entry(&key.person).or_default().push(key);
    }
    let mut add =
        |kind, name: String, fields, value| drop(views.insert((kind, name), View { fields, value }));
    for role in &data.roles {
        add(Kind::Role, role.name.to_string(), Vec::new(), json!(role));
    }
    for ca in &data.cas {
        add(Kind::Ca, ca.fingerprint.to_string(), vec![("comment", one(&ca.comment))], json!(ca));
    }
    for person in &data.people {
        let mut keys = keys.remove(&person.name).unwrap_or_default();
        keys.sort_unstable_by_key(|key| key.fingerprint);
        let shown =
            keys.iter().map(|key| format!("{} {}", key.fingerprint, key.comment).trim_end().to_owned());
        let fields = vec![
            ("state", one(person.state)),
            ("roles", person.roles.iter().map(ToString::to_string).collect()),
            ("keys", shown.collect()),
        ];
        add(Kind::Person, person.name.to_string(), fields, json!({ "person": person, "keys": keys }));
    }
    for target in &data.targets {
        let host_key = match &target.host_key {
            HostKeyTrust::FirstUse => one("at first use"),
            HostKeyTrust::Pinned(keys) => keys.clone(),
            HostKeyTrust::Authority(keys) => keys.iter().map(|key| format!("CA {key}")).collect(),
        };
        let fields = vec![
            ("host", one(&target.host)),
            ("port", one(target.port)),
            ("host key", host_key),
            ("labels", target.labels.iter().map(|(key, value)| format!("{key}={value}")).collect()),
        ];
        add(Kind::Target, target.name.to_string(), fields, json!(target));
    }
    for grant in &data.grants {
        add(Kind::Grant, grant.id.to_string(), grant_fields(grant), json!(grant));
    }
    views
}

fn grant_fields(grant: &Grant) -> Vec<(&'static str, Vec<String>)> {
    let logins = match &grant.logins {
        None => one("any"),
        Some(logins) => logins.iter().map(ToString::to_string).collect(),
    };
    vec![
        ("for", one(&grant.who)),
        ("target", one(&grant.target)),
        ("logins", logins),
        ("allow", grant.allow.iter().map(|permission| permission.to_string()).collect()),
        ("paths", grant.files.paths.iter().map(ToString::to_string).collect()),
        ("paths not permitted", grant.files.not_paths.iter().map(ToString::to_string).collect()),
        ("file size", grant.files.max_file_bytes.map(FileRules::size_text).into_iter().collect()),
        ("forward to", grant.forwards.to.iter().map(ToString::to_string).collect()),
        ("listen on", grant.forwards.listen.iter().map(ToString::to_string).collect()),
        ("sources", grant.sources.iter().map(ToString::to_string).collect()),
        ("expires", grant.expires.iter().map(ToString::to_string).collect()),
        ("record", one(grant.record.cap_text())),
        ("break glass", if grant.break_glass { one("without a recorder") } else { Vec::new() }),
        ("keystrokes", if grant.record.input { one("recorded") } else { Vec::new() }),
    ]
}

fn one(value: impl ToString) -> Vec<String> {
    let text = value.to_string();
    if text.is_empty() { Vec::new() } else { vec![text] }
}

/// What changes about one record; `None` when nothing does.
fn change((kind, name): &RecordName, old: Option<&View>, new: Option<&View>) -> Option<Change> {
    let op = match (old, new) {
        (None, Some(_)) => DiffOp::Add,
        (Some(_), None) => DiffOp::Remove,
        _ => DiffOp::Change,
    };
    let mut fields = Vec::new();
    for n in 0..old.or(new)?.fields.len() {
        let field =
            |view: Option<&View>| view.and_then(|view| view.fields.get(n)).map(|(_, held)| held.clone());
        let name = old.or(new).and_then(|view| view.fields.get(n)).map_or("", |(name, _)| name);
        let (was, is) = (field(old).unwrap_or_default(), field(new).unwrap_or_default());
        if let ([was], [is]) = (was.as_slice(), is.as_slice()) {
            if was != is {
                let (before, after) = (Some(was.clone()), Some(is.clone()));
                fields.push(FieldDiff { field: name.into(), before, after });
            }
            continue;
        }
        let gone = was.iter().filter(|held| !is.contains(held)).map(|held| (Some(held.clone()), None));
        let come = is.iter().filter(|held| !was.contains(held)).map(|held| (None, Some(held.clone())));
        fields.extend(gone.chain(come).map(|(before, after)| FieldDiff {
            field: name.into(),
            before,
            after,
        }));
    }
    if op == DiffOp::Change && fields.is_empty() {
        let (was, is) = (&old?.value, &new?.value);
        if was == is {
            return None;
        }
        let (before, after) = (Some("as it was".to_owned()), Some("as in the file".to_owned()));
        fields.push(FieldDiff { field: "order".into(), before, after });
    }
    // What goes is on record whole; nobody reads all of its fields in a diff.
    if op == DiffOp::Remove {
        fields.clear();
    }
    let value = new.or(old)?.value.clone();
    Some(Change { diff: RecordDiff { op, record: kind.as_str().into(), name: name.clone(), fields }, value })
}
