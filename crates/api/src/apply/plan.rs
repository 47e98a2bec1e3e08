//! What has to change so that the directory is as a file says.

use std::collections::{HashMap, HashSet};

use bartizan_model::{
    AuthorizedKey, DirectoryData, Fingerprint, Grant, Grantee, HostKeyTrust, Person, PersonName, PersonState,
    Role, RoleName, Target, TargetName, Timestamp, TrustedCa,
};
use bartizan_store::Write;

use super::diff::{Change, changes};
use super::file::{self, File};
use super::place::Fault;
use super::table::At;

/// What has to change, in the order of the file's sections.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) changes: Vec<Change>,
    /// The same for the store, in an order in which nothing refers to what is not there.
    pub(super) writes: Vec<Write>,
    /// How many records stay although the file does not have them.
    pub(super) kept: u64,
}

/// Plans the way from `before` to what the file says.
///
/// What the file does not have stays, unless `prune` is set.
///
/// # Errors
/// Every reference to nobody and every key that is somebody else's, with its place.
pub(super) fn plan(
    before: &DirectoryData,
    file: File,
    prune: bool,
    now: Timestamp,
) -> Result<Plan, Vec<Fault>> {
    if prune && file.is_empty() {
        let what = "the file has no record at all, and pruning would remove everything";
        return Err(vec![Fault { at: 0, what: what.into() }]);
    }
    let (after, faults, listed) = Merge::new(before, prune, now).file(file);
    if !faults.is_empty() {
        return Err(faults);
    }
    // Revocations are in no file, and no file takes one back.
    let DirectoryData {
        generation: _,
        roles,
        people,
        keys: _,
        cas,
        revocations: _,
        targets,
        grants,
        credentials: _,
    } = &after;
    let records = roles.len() + people.len() + cas.len() + targets.len() + grants.len();
    Ok(Plan {
        changes: changes(before, &after),
        writes: writes(before, &after),
        kept: (records as u64).saturating_sub(listed),
    })
}

/// The directory as it will be, while it is put together.
struct Merge<'a> {
    before: &'a DirectoryData,
    after: DirectoryData,
    prune: bool,
    now: Timestamp,
    faults: Vec<Fault>,
    /// Where the file names what must be there.
    keys: Vec<(Fingerprint, PersonName, usize)>,
}

impl<'a> Merge<'a> {
    fn new(before: &'a DirectoryData, prune: bool, now: Timestamp) -> Self {
        let after = if prune { DirectoryData::default() } else { before.clone() };
        Self { before, after, prune, now, faults: Vec::new(), keys: Vec::new() }
    }

    /// The directory with the file in it, what is wrong with that, and how many records the file lists.
    fn file(mut self, file: File) -> (DirectoryData, Vec<Fault>, u64) {
        let File { roles, cas, people, targets, grants } = file;
        let listed = [roles.len(), cas.len(), people.len(), targets.len(), grants.len()];
        self.roles(roles);
        self.cas(cas);
        let members = self.people(people);
        self.targets(targets);
        self.grants(&grants);
        self.check(&members, &grants);
        let listed = listed.into_iter().map(|n| n as u64).sum();
        self.faults.sort_by_key(|fault| fault.at);
        (self.after, self.faults, listed)
    }

    fn roles(&mut self, roles: Vec<At<RoleName>>) {
        let known: HashMap<_, _> = self.before.roles.iter().map(|role| (&role.name, role)).collect();
        let now = self.now;
        let written = roles.into_iter().map(|At { value: name, .. }| {
            known.get(&name).map_or_else(|| Role { name, created: now }, |role| (*role).clone())
        });
        merge(&mut self.after.roles, written, |role| role.name.clone());
    }

    fn cas(&mut self, cas: Vec<At<crate::ParsedKey>>) {
        let known: HashMap<_, _> = self.before.cas.iter().map(|ca| (ca.fingerprint, ca.added)).collect();
        let now = self.now;
        let written = cas.into_iter().map(|At { value: ca, .. }| TrustedCa {
            added: known.get(&ca.fingerprint).copied().unwrap_or(now),
            key: ca.key,
            fingerprint: ca.fingerprint,
            comment: ca.comment,
        });
        merge(&mut self.after.cas, written, |ca| ca.fingerprint);
    }

    /// Gives the roles that the file names, with their places.
    fn people(&mut self, people: Vec<At<file::Person>>) -> Vec<At<RoleName>> {
        let known: HashMap<_, _> = self.before.people.iter().map(|p| (&p.name, p)).collect();
        let mut held: HashMap<&PersonName, Vec<&AuthorizedKey>> = HashMap::new();
        for key in &self.before.keys {
            held.entry(&key.person).or_default().push(key);
        }
        let (mut members, mut written, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        let mut rewritten = HashSet::new();
        for At { at, value: file::Person { name, state, roles, keys: listed } } in people {
            let fresh = || Person {
                name: name.clone(),
                state: PersonState::Active,
                roles: [].into(),
                created: self.now,
            };
            let mut person = known.get(&name).map_or_else(fresh, |person| (*person).clone());
            person.state = state.unwrap_or(person.state);
            if let Some(roles) = roles {
                person.roles = roles.iter().map(|role| role.value.clone()).collect();
                members.extend(roles);
            } else if self.prune {
                members.extend(person.roles.iter().map(|role| At { at, value: role.clone() }));
            }
            let had = held.get(&name).map_or(&[][..], Vec::as_slice);
            match listed {
                Some(listed) => {
                    rewritten.insert(name.clone());
                    for At { at, value: key } in listed {
                        let same = had.iter().find(|had| had.fingerprint == key.fingerprint);
                        let added = same.map_or(self.now, |had| had.added);
                        self.keys.push((key.fingerprint, name.clone(), at));
                        keys.push(AuthorizedKey {
                            person: name.clone(),
                            key: key.key,
                            fingerprint: key.fingerprint,
                            comment: key.comment,
                            added,
                        });
                    }
                }
                // With pruning nobody's keys are left but theirs.
                None if self.prune => keys.extend(had.iter().map(|key| (*key).clone())),
                None => {}
            }
            written.push(person);
        }
        self.after.keys.retain(|key| !rewritten.contains(&key.person));
        self.after.keys.append(&mut keys);
        merge(&mut self.after.people, written.into_iter(), |person| person.name.clone());
        members
    }

    fn targets(&mut self, targets: Vec<At<file::WrittenTarget>>) {
        let known: HashMap<_, _> = self.before.targets.iter().map(|t| (&t.name, t)).collect();
        let mut written = Vec::with_capacity(targets.len());
        for At { at, value: file::WrittenTarget { name, host, port, labels, host_key } } in targets {
            let old = known.get(&name);
            let host_key = match (host_key, old.map(|old| &old.host_key)) {
                // A key that was pinned at first use stays pinned.
                (Some(HostKeyTrust::FirstUse) | None, Some(old)) => old.clone(),
                (Some(host_key), _) => host_key,
                (None, None) => {
                    let what = "a new target needs its host key: host_keys, host_cas, or first_use = true";
                    self.faults.push(Fault { at, what: what.into() });
                    continue;
                }
            };
            let created = old.map_or(self.now, |old| old.created);
            written.push(Target { name, host, port, host_key, labels, created });
        }
        merge(&mut self.after.targets, written.into_iter(), |target| target.name.clone());
    }

    fn grants(&mut self, grants: &[At<file::Grant>]) {
        let known: HashMap<_, _> = self.before.grants.iter().map(|g| (&g.id, g.created)).collect();
        let now = self.now;
        let written = grants.iter().map(|At { value: grant, .. }| Grant {
            id: grant.id.clone(),
            who: grant.who.value.clone(),
            target: grant.target.value.clone(),
            logins: grant.logins.clone(),
            allow: grant.allow.clone(),
            files: grant.files.clone(),
            forwards: grant.forwards.clone(),
            sources: grant.sources.clone(),
            expires: grant.expires,
            record: grant.record,
            break_glass: grant.break_glass,
            created: known.get(&grant.id).copied().unwrap_or(now),
        });
        merge(&mut self.after.grants, written, |grant| grant.id.clone());
    }

    /// Looks up what the file refers to.
    fn check(&mut self, members: &[At<RoleName>], grants: &[At<file::Grant>]) {
        let roles: HashSet<&RoleName> = self.after.roles.iter().map(|role| &role.name).collect();
        let people: HashSet<&PersonName> = self.after.people.iter().map(|person| &person.name).collect();
        let targets: HashSet<&TargetName> = self.after.targets.iter().map(|target| &target.name).collect();
        let faults = &mut self.faults;
        let mut missing = |at: usize, what: String| faults.push(Fault { at, what });
        for role in members.iter().filter(|role| !roles.contains(&role.value)) {
            missing(role.at, format!("there is no role {}; name it in roles = [...]", role.value));
        }
        for At { value: grant, .. } in grants {
            match &grant.who.value {
                Grantee::Person(name) if !people.contains(name) => {
                    missing(grant.who.at, format!("there is no person {name}"));
                }
                Grantee::Role(name) if !roles.contains(name) => {
                    missing(grant.who.at, format!("there is no role {name}; name it in roles = [...]"));
                }
                _ => {}
            }
            if let Some(name) = grant.target.value.name().filter(|name| !targets.contains(name)) {
                missing(grant.target.at, format!("there is no target {name}"));
            }
        }
        let mut holders: HashMap<Fingerprint, HashSet<&PersonName>> = HashMap::new();
        for key in &self.after.keys {
            holders.entry(key.fingerprint).or_default().insert(&key.person);
        }
        for (key, person, at) in &self.keys {
            let other = holders.get(key).and_then(|all| all.iter().find(|name| **name != person));
            if let Some(other) = other {
                missing(*at, format!("this key is {other}'s; a key proves to be one person"));
            }
        }
    }
}

/// Replaces the records that are written again, and adds the new ones.
fn merge<T, K: std::hash::Hash + Eq>(
    into: &mut Vec<T>,
    written: impl Iterator<Item = T>,
    key: impl Fn(&T) -> K,
) {
    let mut at: HashMap<K, usize> = into.iter().enumerate().map(|(at, record)| (key(record), at)).collect();
    for record in written {
        match at.get(&key(&record)) {
            Some(&known) => into[known] = record,
            None => {
                at.insert(key(&record), into.len());
                into.push(record);
            }
        }
    }
}

/// The same for the store.
fn writes(before: &DirectoryData, after: &DirectoryData) -> Vec<Write> {
    let mut writes = Vec::new();
    let grants = gone(&before.grants, &after.grants, |grant| grant.id.clone());
    writes.extend(grants.into_iter().map(Write::RemoveGrant));
    let keys = gone(&before.keys, &after.keys, |key| key.fingerprint);
    writes.extend(keys.into_iter().map(Write::RemoveKey));
    writes.extend(new(&before.roles, &after.roles, |role| role.name.clone()).map(Write::Role));
    writes.extend(new(&before.people, &after.people, |person| person.name.clone()).map(Write::Person));
    writes.extend(new(&before.keys, &after.keys, |key| key.fingerprint).map(Write::Key));
    writes.extend(new(&before.cas, &after.cas, |ca| ca.fingerprint).map(Write::Ca));
    writes.extend(new(&before.targets, &after.targets, |target| target.name.clone()).map(Write::Target));
    writes.extend(new(&before.grants, &after.grants, |grant| grant.id.clone()).map(Write::Grant));
    let people = gone(&before.people, &after.people, |person| person.name.clone());
    writes.extend(people.into_iter().map(Write::RemovePerson));
    let roles = gone(&before.roles, &after.roles, |role| role.name.clone());
    writes.extend(roles.into_iter().map(Write::RemoveRole));
    let targets = gone(&before.targets, &after.targets, |target| target.name.clone());
    writes.extend(targets.into_iter().map(Write::RemoveTarget));
    let cas = gone(&before.cas, &after.cas, |ca| ca.fingerprint);
    writes.extend(cas.into_iter().map(Write::RemoveCa));
    writes
}

/// The keys of the records that are there no more.
fn gone<T, K: std::hash::Hash + Eq>(before: &[T], after: &[T], key: impl Fn(&T) -> K) -> Vec<K> {
    let left: HashSet<K> = after.iter().map(&key).collect();
    before.iter().map(key).filter(|key| !left.contains(key)).collect()
}

/// The records that are new or changed.
fn new<'a, T: PartialEq + Clone, K: std::hash::Hash + Eq + 'a>(
    before: &'a [T],
    after: &'a [T],
    key: impl Fn(&T) -> K + 'a,
) -> impl Iterator<Item = T> + 'a {
    let known: HashMap<K, &T> = before.iter().map(|record| (key(record), record)).collect();
    after.iter().filter(move |record| known.get(&key(record)) != Some(record)).cloned()
}
