//! The directory as the file that [`super::file`] reads.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bartizan_model::{
    AuthorizedKey, DirectoryData, FileRules, ForwardRules, Grant, Grantee, HostKeyTrust, PersonName, Target,
};

/// Writes the whole directory. Applied to the same directory it changes nothing.
pub(super) fn export(data: &DirectoryData) -> String {
    let mut text = String::from(
        "# The directory of Bartizan, written by `bartizan export`; `bartizan apply -f FILE` reads it.\n\
         # What is not in the file stays as it is, unless --prune is given.\n\n",
    );
    let roles: Vec<_> = data.roles.iter().map(|role| role.name.as_str()).collect();
    let _ = writeln!(text, "roles = {}", list(&roles));
    let cas: Vec<_> = data.cas.iter().map(|ca| line(&ca.key, &ca.comment)).collect();
    let _ = writeln!(text, "cas = {}", lines(&cas));
    let mut keys: BTreeMap<&PersonName, Vec<&AuthorizedKey>> = BTreeMap::new();
    for key in &data.keys {
        keys.entry(&key.person).or_default().push(key);
    }
    for person in &data.people {
        let roles: Vec<_> = person.roles.iter().map(|role| role.as_str()).collect();
        let keys = keys.get(&person.name).map_or(&[][..], Vec::as_slice);
        let keys: Vec<_> = keys.iter().map(|key| line(&key.key, &key.comment)).collect();
        let _ = write!(
            text,
            "\n[people.{}]\nstate = \"{}\"\nroles = {}\nkeys = {}\n",
            key(person.name.as_str()),
            person.state,
            list(&roles),
            lines(&keys)
        );
    }
    for one in &data.targets {
        target(&mut text, one);
    }
    for one in &data.grants {
        grant(&mut text, one);
    }
    text
}

fn target(text: &mut String, target: &Target) {
    let Target { name, host, port, host_key, labels, created: _ } = target;
    let _ = write!(text, "\n[targets.{}]\nhost = {}\nport = {port}\n", key(name.as_str()), quoted(host));
    let _ = match host_key {
        HostKeyTrust::FirstUse => writeln!(text, "first_use = true"),
        HostKeyTrust::Pinned(keys) => writeln!(text, "host_keys = {}", lines(keys)),
        HostKeyTrust::Authority(keys) => writeln!(text, "host_cas = {}", lines(keys)),
    };
    if !labels.is_empty() {
        let labels: Vec<_> =
            labels.iter().map(|(name, value)| format!("{} = {}", key(name), quoted(value))).collect();
        let _ = writeln!(text, "labels = {{ {} }}", labels.join(", "));
    }
}

fn grant(text: &mut String, grant: &Grant) {
    let Grant {
        id,
        who,
        target,
        logins,
        allow,
        files,
        forwards,
        sources,
        expires,
        record,
        break_glass,
        created: _,
    } = grant;
    let _ = writeln!(text, "\n[grants.{}]", key(&id.0));
    let _ = match who {
        Grantee::Person(name) => writeln!(text, "person = {}", quoted(name.as_str())),
        Grantee::Role(name) => writeln!(text, "role = {}", quoted(name.as_str())),
    };
    let _ = writeln!(text, "target = {}", quoted(target.as_str()));
    let _ = match logins {
        None => writeln!(text, "any_login = true"),
        Some(logins) => writeln!(text, "logins = {}", list(logins)),
    };
    let _ = writeln!(text, "allow = {}", list(&allow.iter().collect::<Vec<_>>()));
    let FileRules { paths, not_paths, max_file_bytes } = files;
    for (key, globs) in
        [("paths", paths), ("not_paths", not_paths)].iter().filter(|(_, globs)| !globs.is_empty())
    {
        let _ = writeln!(text, "{key} = {}", list(globs));
    }
    if let Some(bytes) = max_file_bytes {
        let _ = writeln!(text, "max_file_size = \"{}\"", FileRules::size_text(*bytes));
    }
    let ForwardRules { to, listen } = forwards;
    if !to.is_empty() {
        let _ = writeln!(text, "forward_to = {}", list(to));
    }
    if !listen.is_empty() {
        let _ = writeln!(text, "listen_on = {}", list(listen));
    }
    if !sources.is_empty() {
        let _ = writeln!(text, "sources = {}", list(sources));
    }
    if let Some(expires) = expires {
        let _ = writeln!(text, "expires = \"{expires}\"");
    }
    let _ = writeln!(text, "record = \"{}\"", record.cap_text());
    if record.input {
        let _ = writeln!(text, "record_input = true");
    }
    if *break_glass {
        let _ = writeln!(text, "break_glass = true");
    }
}

fn line(key: &str, comment: &str) -> String {
    if comment.is_empty() { key.to_owned() } else { format!("{key} {comment}") }
}

fn list(items: &[impl ToString]) -> String {
    let items: Vec<_> = items.iter().map(|item| quoted(&item.to_string())).collect();
    format!("[{}]", items.join(", "))
}

/// A list with a line for each item, for what is long.
fn lines(items: &[String]) -> String {
    match items {
        [] => "[]".into(),
        [one] => format!("[{}]", quoted(one)),
        many => {
            format!("[\n{}]", many.iter().map(|item| format!("  {},\n", quoted(item))).collect::<String>())
        }
    }
}

/// A key of a table, in quotes where TOML wants them.
fn key(name: &str) -> String {
    let bare = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if !name.is_empty() && name.bytes().all(bare) { name.to_owned() } else { quoted(name) }
}

/// A text as a basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => drop(write!(quoted, "\\U{:08X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
