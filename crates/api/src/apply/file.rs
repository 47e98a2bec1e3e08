//! What a directory file says, record by record, each with its place. References are not looked up here.

use bartizan_model::{
    FileRules, ForwardRules, ForwardTo, GrantId, Grantee, HostKeyTrust, Label, Labels, ListenOn, LoginName,
    PathGlob, Permission, PermissionSet, PersonName, PersonState, Recording, RoleName, SourceNetwork, Target,
    TargetName, TargetSelector, Timestamp,
};
use toml::de::DeTable;

use super::place::Fault;
use super::table::{At, Table};
use crate::keys::{KeyParser, ParsedKey};
use crate::lines::{Lines, host_line};

/// A directory file. What is `None` was not written.
#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) roles: Vec<At<RoleName>>,
    pub(super) cas: Vec<At<ParsedKey>>,
    pub(super) people: Vec<At<Person>>,
    pub(super) targets: Vec<At<WrittenTarget>>,
    pub(super) grants: Vec<At<Grant>>,
}

#[derive(Debug)]
pub(super) struct Person {
    pub(super) name: PersonName,
    pub(super) state: Option<PersonState>,
    pub(super) roles: Option<Vec<At<RoleName>>>,
    pub(super) keys: Option<Vec<At<ParsedKey>>>,
}

#[derive(Debug)]
pub(super) struct WrittenTarget {
    pub(super) name: TargetName,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) labels: Labels,
    pub(super) host_key: Option<HostKeyTrust>,
}

#[derive(Debug)]
pub(super) struct Grant {
    pub(super) id: GrantId,
    pub(super) who: At<Grantee>,
    pub(super) target: At<TargetSelector>,
    pub(super) logins: Option<Vec<LoginName>>,
    pub(super) allow: PermissionSet,
    pub(super) files: FileRules,
    pub(super) forwards: ForwardRules,
    pub(super) sources: Vec<SourceNetwork>,
    pub(super) expires: Option<Timestamp>,
    pub(super) record: Recording,
    pub(super) break_glass: bool,
}

impl File {
    /// True when no record is written at all.
    pub(super) fn is_empty(&self) -> bool {
        let Self { roles, cas, people, targets, grants } = self;
        roles.is_empty() && cas.is_empty() && people.is_empty() && targets.is_empty() && grants.is_empty()
    }

    /// Reads a file.
    ///
    /// # Errors
    /// Every fault, with its place.
    pub(super) fn read(text: &str, parse: &KeyParser) -> Result<Self, Vec<Fault>> {
        let (document, errors) = DeTable::parse_recoverable(text);
        // A document that is not TOML would only give misleading second faults.
        if !errors.is_empty() {
            let fault = |error: &toml::de::Error| Fault {
                at: error.span().map_or(0, |span| span.start),
                what: error.message().to_owned(),
            };
            return Err(errors.iter().map(fault).collect());
        }
        let mut reader = Reader { parse, faults: Vec::new() };
        let file = reader.file(&Table::of(document.get_ref(), 0));
        if reader.faults.is_empty() { Ok(file) } else { Err(reader.faults) }
    }
}

struct Reader<'p> {
    parse: &'p KeyParser,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn file(&mut self, root: &Table<'_, '_>) -> File {
        root.only("the file", &["roles", "cas", "people", "targets", "grants"], &mut self.faults);
        let roles = root.list("roles", &mut self.faults).unwrap_or_default();
        let roles = self.each(roles, RoleName::new);
        self.once(&roles, |role| role.to_string());
        let cas = root.list("cas", &mut self.faults).unwrap_or_default();
        let cas = self.keys(cas);
        let people = root.tables("people", &mut self.faults);
        let targets = root.tables("targets", &mut self.faults);
        let grants = root.tables("grants", &mut self.faults);
        File {
            roles,
            cas,
            people: people.into_iter().filter_map(|(name, table)| self.person(name, &table)).collect(),
            targets: targets.into_iter().filter_map(|(name, table)| self.target(name, &table)).collect(),
            grants: grants.into_iter().filter_map(|(id, table)| self.grant(id, &table)).collect(),
        }
    }

    fn person(&mut self, name: At<&str>, table: &Table<'_, '_>) -> Option<At<Person>> {
        table.only("a person", &["state", "roles", "keys"], &mut self.faults);
        let state = table.text("state", &mut self.faults).and_then(|state| match state.value {
            "active" => Some(PersonState::Active),
            "locked" => Some(PersonState::Locked),
            _ => self.refuse(state.at, "state must be \"active\" or \"locked\""),
        });
        let roles = table.list("roles", &mut self.faults).map(|roles| self.each(roles, RoleName::new));
        self.once(roles.as_deref().unwrap_or_default(), |role| role.to_string());
        let keys = table.list("keys", &mut self.faults).map(|keys| self.keys(keys));
        let checked = self.one(&name, PersonName::new)?;
        Some(name.map(|_| Person { name: checked, state, roles, keys }))
    }

    fn target(&mut self, name: At<&str>, table: &Table<'_, '_>) -> Option<At<WrittenTarget>> {
        let known = ["host", "port", "labels", "host_keys", "host_cas", "first_use"];
        table.only("a target", &known, &mut self.faults);
        let mut labels = Labels::default();
        for pair in table.pairs("labels", &mut self.faults) {
            let (key, value) = pair.value;
            if let Err(error) = Label::new(key, value).and_then(|label| labels.set(label)) {
                self.refuse::<()>(pair.at, &error.to_string());
            }
        }
        let port = table.port("port", &mut self.faults).unwrap_or(22);
        let host_key = self.host_key(table);
        let checked = self.one(&name, TargetName::new)?;
        let host = match table.text("host", &mut self.faults) {
            Some(host) => self.one(&host, |host| Target::check_host(host).map(|()| host.to_owned()))?,
            None if table.has("host") => return None,
            None => return self.refuse(table.at, "a target needs a host: host = \"10.0.0.5\""),
        };
        Some(name.map(|_| WrittenTarget { name: checked, host, port, labels, host_key }))
    }

    fn host_key(&mut self, table: &Table<'_, '_>) -> Option<HostKeyTrust> {
        let ways: Vec<&str> =
            ["host_keys", "host_cas", "first_use"].into_iter().filter(|key| table.has(key)).collect();
        match ways.as_slice() {
            [] => None,
            ["first_use"] => match table.flag("first_use", &mut self.faults)? {
                true => Some(HostKeyTrust::FirstUse),
                false => {
                    self.refuse(table.place("first_use"), "first_use is true or not written; write host_keys")
                }
            },
            [key] => {
                let authority = *key == "host_cas";
                let lines = if authority { Lines::HostAuthorities } else { Lines::Hosts };
                let keys = table.list(key, &mut self.faults)?;
                if keys.is_empty() {
                    return self.refuse(table.place(key), &format!("{key} lists no key"));
                }
                let read = |key: &At<&str>| {
                    let parsed = host_line(self.parse, key.value.trim(), lines);
                    parsed.map(|key| key.key).map_err(|what| Fault { at: key.at, what })
                };
                match keys.iter().map(read).collect::<Result<Vec<_>, _>>() {
                    Ok(keys) if authority => Some(HostKeyTrust::Authority(keys)),
                    Ok(keys) => Some(HostKeyTrust::Pinned(keys)),
                    Err(fault) => {
                        self.faults.push(fault);
                        None
                    }
                }
            }
            [.., last] => self.refuse(table.place(last), "write one of host_keys, host_cas and first_use"),
        }
    }

    fn grant(&mut self, id: At<&str>, table: &Table<'_, '_>) -> Option<At<Grant>> {
        let known = [
            "person",
            "role",
            "target",
            "logins",
            "any_login",
            "allow",
            "paths",
            "not_paths",
            "max_file_size",
            "forward_to",
            "listen_on",
            "sources",
            "expires",
            "record",
            "record_input",
            "break_glass",
        ];
        table.only("a grant", &known, &mut self.faults);
        let checked = self.one(&id, GrantId::new);
        let who = self.grantee(table);
        let target = match table.text("target", &mut self.faults) {
            Some(text) => self.one(&text, TargetSelector::new).map(|target| text.map(|_| target)),
            None => self
                .refuse(table.place("target"), "a grant needs a target: a name, \"web-*\" or \"env=prod\""),
        };
        let logins = self.logins(table);
        let allow = table.list("allow", &mut self.faults).unwrap_or_default();
        let allow: PermissionSet =
            self.each(allow, str::parse::<Permission>).into_iter().map(|allow| allow.value).collect();
        if allow.is_empty() {
            self.refuse::<()>(
                table.place("allow"),
                "the grant permits nothing: allow = [\"shell\", \"exec\"]",
            );
        }
        let files = self.file_rules(table, &allow);
        let forwards = self.forward_rules(table, &allow);
        let sources = table.list("sources", &mut self.faults).unwrap_or_default();
        let sources = self.each(sources, str::parse).into_iter().map(|source| source.value).collect();
        let expires = table.time("expires", &mut self.faults);
        let expires = expires.and_then(|time| {
            let read: Result<Timestamp, _> = time.value.parse();
            read.map_err(|e| self.refuse::<()>(time.at, &e.to_string())).ok()
        });
        let record = self.record(table);
        let break_glass = table.flag("break_glass", &mut self.faults).unwrap_or(false);
        Some(At {
            at: id.at,
            value: Grant {
                id: checked?,
                who: who?,
                target: target?,
                logins: logins?,
                allow,
                files,
                forwards,
                sources,
                expires,
                record,
                break_glass,
            },
        })
    }

    fn grantee(&mut self, table: &Table<'_, '_>) -> Option<At<Grantee>> {
        let person = table.text("person", &mut self.faults);
        match (person, table.text("role", &mut self.faults)) {
            (Some(name), None) => {
                let person = self.one(&name, PersonName::new)?;
                Some(name.map(|_| Grantee::Person(person)))
            }
            (None, Some(name)) => {
                let role = self.one(&name, RoleName::new)?;
                Some(name.map(|_| Grantee::Role(role)))
            }
            (Some(_), Some(role)) => self.refuse(role.at, "a grant is for a person or for a role, not both"),
            (None, None) if table.has("person") || table.has("role") => None,
            (None, None) => self.refuse(table.at, "a grant needs a person or a role"),
        }
    }

    /// The outer `None` is a fault, the inner one is any login.
    #[expect(clippy::option_option, reason = "a fault, any login, or these logins")]
    fn logins(&mut self, table: &Table<'_, '_>) -> Option<Option<Vec<LoginName>>> {
        let any = table.flag("any_login", &mut self.faults).unwrap_or(false);
        let logins = table.list("logins", &mut self.faults);
        match logins.map(|logins| self.each(logins, LoginName::new)) {
            None if any => Some(None),
            None if table.has("logins") => None,
            Some(_) if any => self.refuse(table.place("any_login"), "write logins or any_login, not both"),
            Some(logins) if !logins.is_empty() => {
                Some(Some(logins.into_iter().map(|login| login.value).collect()))
            }
            _ => self.refuse(
                table.place("logins"),
                "the grant names no login: logins = [\"root\"], or any_login = true",
            ),
        }
    }

    fn file_rules(&mut self, table: &Table<'_, '_>, allow: &PermissionSet) -> FileRules {
        let mut globs = |key| {
            let written = table.list(key, &mut self.faults).unwrap_or_default();
            self.each(written, PathGlob::new).into_iter().map(|glob| glob.value).collect::<Vec<_>>()
        };
        let (paths, not_paths) = (globs("paths"), globs("not_paths"));
        let size = table.text("max_file_size", &mut self.faults);
        let size = size
            .and_then(|size| self.one(&size, |text| FileRules::parse_size(text).ok_or(FileRules::NO_SIZE)));
        let files = FileRules { paths, not_paths, max_file_bytes: size };
        if let Err(error) = files.check(allow) {
            let rule = ["paths", "not_paths", "max_file_size"].into_iter().find(|key| table.has(key));
            self.refuse::<()>(table.place(rule.unwrap_or("allow")), &error.to_string());
        }
        files
    }

    fn forward_rules(&mut self, table: &Table<'_, '_>, allow: &PermissionSet) -> ForwardRules {
        let to = table.list("forward_to", &mut self.faults).unwrap_or_default();
        let listen = table.list("listen_on", &mut self.faults).unwrap_or_default();
        let forwards = ForwardRules {
            to: self.each(to, ForwardTo::new).into_iter().map(|to| to.value).collect(),
            listen: self.each(listen, ListenOn::new).into_iter().map(|on| on.value).collect(),
        };
        if let Err(error) = forwards.check(allow) {
            let rule = ["forward_to", "listen_on"].into_iter().find(|key| table.has(key));
            self.refuse::<()>(table.place(rule.unwrap_or("allow")), &error.to_string());
        }
        forwards
    }

    fn record(&mut self, table: &Table<'_, '_>) -> Recording {
        let mut record = Recording {
            input: table.flag("record_input", &mut self.faults).unwrap_or(false),
            ..Recording::default()
        };
        if let Some(size) = table.text("record", &mut self.faults) {
            match Recording::parse_cap(size.value) {
                Some(cap) => record.channel_cap = cap,
                None => self
                    .refuse::<()>(size.at, "record must be \"full\", \"digests\", or a size such as \"16M\"")
                    .unwrap_or(()),
            }
        }
        record
    }

    fn keys(&mut self, written: Vec<At<&str>>) -> Vec<At<ParsedKey>> {
        let parse = self.parse;
        let keys = self.each(written, |line| parse(line.trim()));
        self.once(&keys, |key| key.fingerprint.to_string());
        keys
    }

    /// Reads one text; a fault when it cannot be read.
    fn one<'a, T, E: ToString>(
        &mut self,
        written: &At<&'a str>,
        read: impl FnOnce(&'a str) -> Result<T, E>,
    ) -> Option<T> {
        match read(written.value) {
            Ok(value) => Some(value),
            Err(error) => self.refuse(written.at, &error.to_string()),
        }
    }

    fn each<'a, T, E: ToString>(
        &mut self,
        written: Vec<At<&'a str>>,
        read: impl Fn(&'a str) -> Result<T, E>,
    ) -> Vec<At<T>> {
        let one = |written: At<&'a str>| {
            let value = self.one(&written, &read)?;
            Some(At { at: written.at, value })
        };
        written.into_iter().filter_map(one).collect()
    }

    /// Reports what a list holds twice.
    fn once<T>(&mut self, items: &[At<T>], name: impl Fn(&T) -> String) {
        let mut seen = std::collections::HashSet::new();
        for item in items {
            let name = name(&item.value);
            if !seen.insert(name.clone()) {
                self.refuse::<()>(item.at, &format!("{name} is listed twice"));
            }
        }
    }

    fn refuse<T>(&mut self, at: usize, what: &str) -> Option<T> {
        self.faults.push(Fault { at, what: what.to_owned() });
        None
    }
}
