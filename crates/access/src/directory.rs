//! The directory as decisions see it: an immutable snapshot with its grants compiled.

use std::collections::{HashMap, HashSet};

use bartizan_model::{
    DirectoryData, Fingerprint, Grant, GrantId, Person, PersonName, Target, TargetName, TargetSelector,
};
use cedar_policy::{Entities, Entity, EntityUid, Policy, PolicyId, PolicySet, RestrictedExpression};

use crate::policy::{Names, Policies, compile};

/// An immutable snapshot of the directory. A change of the directory makes another.
#[derive(Debug)]
pub struct Directory {
    generation: u64,
    people: HashMap<PersonName, Entry>,
    holders: HashMap<Fingerprint, PersonName>,
    authorities: HashSet<Fingerprint>,
    targets: HashMap<TargetName, Target>,
    /// People and targets as Cedar knows them; a target is in every glob that covers it.
    pub(crate) entities: Entities,
    pub(crate) names: Names,
    pub(crate) operators: Policies,
}

/// A person and the grants that name them. Judging touches nobody else's.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) person: Person,
    pub(crate) grants: HashMap<GrantId, Grant>,
    pub(crate) policies: PolicySet,
}

/// A record that cannot be part of a snapshot. Nothing of the snapshot may be used then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{record} {name} cannot be used: {why}")]
pub struct BuildError {
    /// The kind of record.
    pub record: &'static str,
    /// Its name or id.
    pub name: String,
    /// What is wrong with it.
    pub why: String,
}

impl Directory {
    /// Builds a snapshot: indexes the records and compiles the grants. Records that name a person who is not
    /// there give nobody anything.
    ///
    /// # Errors
    /// When a grant does not compile, or two records claim one id or one key.
    pub fn build(data: &DirectoryData, operators: Policies) -> Result<Self, BuildError> {
        Self::build_after(None, data, operators)
    }

    /// Builds the snapshot that follows this one. Grants that were in this one are not compiled again, which
    /// is most of the work: a change costs by what was changed.
    ///
    /// # Errors
    /// As [`Self::build`].
    pub fn rebuild(&self, data: &DirectoryData, operators: Policies) -> Result<Self, BuildError> {
        Self::build_after(Some(self), data, operators)
    }

    fn build_after(
        before: Option<&Self>,
        data: &DirectoryData,
        operators: Policies,
    ) -> Result<Self, BuildError> {
        let broken = |why| fault("directory", &data.generation, why);
        let names = Names::new().map_err(broken)?;
        let mut people = HashMap::with_capacity(data.people.len());
        for person in &data.people {
            let entry = Entry { person: person.clone(), grants: HashMap::new(), policies: PolicySet::new() };
            people.insert(person.name.clone(), entry);
        }
        for grant in &data.grants {
            // A grant of somebody unknown gives nobody anything.
            let Some(entry) = people.get_mut(&grant.person) else { continue };
            let known = before.and_then(|before| before.entry(&grant.person)?.compiled(grant));
            let policy = known.map_or_else(|| compile(grant), Ok);
            entry.add(grant, policy.map_err(|why| fault("grant", &grant.id, why))?)?;
        }
        let mut holders = HashMap::with_capacity(data.keys.len());
        for key in &data.keys {
            if holders.insert(key.fingerprint, key.person.clone()).is_some_and(|other| other != key.person) {
                return Err(fault("key", &key.fingerprint, "is registered to two people"));
            }
        }
        Ok(Self {
            generation: data.generation,
            people,
            holders,
            authorities: data.cas.iter().map(|ca| ca.fingerprint).collect(),
            targets: data.targets.iter().map(|t| (t.name.clone(), t.clone())).collect(),
            entities: entities(data, &names).map_err(broken)?,
            names,
            operators,
        })
    }

    /// The directory's generation that this is a snapshot of.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Finds a target by its exact name.
    pub fn target(&self, name: &TargetName) -> Option<&Target> {
        self.targets.get(name)
    }

    /// All targets, in no order.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        self.targets.values()
    }

    /// Finds a person.
    pub fn person(&self, name: &PersonName) -> Option<&Person> {
        self.people.get(name).map(|entry| &entry.person)
    }

    /// Whether a CA's user certificates prove to be people.
    pub fn trusts(&self, ca: &Fingerprint) -> bool {
        self.authorities.contains(ca)
    }

    /// Whose key this is.
    pub fn holder(&self, key: &Fingerprint) -> Option<&PersonName> {
        self.holders.get(key)
    }

    /// The Cedar policy that a person's grant compiles to, as operators read it.
    pub fn policy_text(&self, person: &PersonName, grant: &GrantId) -> Option<String> {
        self.entry(person)?.policies.policy(&PolicyId::new(&grant.0)).map(ToString::to_string)
    }

    pub(crate) fn person_called(&self, name: &str) -> Option<&Person> {
        self.people.get(name).map(|entry| &entry.person)
    }

    pub(crate) fn entry(&self, name: &PersonName) -> Option<&Entry> {
        self.people.get(name)
    }
}

impl Entry {
    /// The policy of exactly this grant, if it was compiled before.
    fn compiled(&self, grant: &Grant) -> Option<Policy> {
        self.grants.get(&grant.id).filter(|known| *known == grant)?;
        self.policies.policy(&PolicyId::new(&grant.id.0)).cloned()
    }

    fn add(&mut self, grant: &Grant, policy: Policy) -> Result<(), BuildError> {
        self.policies.add(policy).map_err(|e| fault("grant", &grant.id, e))?;
        self.grants.insert(grant.id.clone(), grant.clone());
        Ok(())
    }
}

fn entities(data: &DirectoryData, names: &Names) -> Result<Entities, String> {
    let globs: HashSet<&TargetSelector> =
        data.grants.iter().map(|grant| &grant.target).filter(|target| !target.is_exact()).collect();
    let mut all = Vec::with_capacity(data.people.len() + data.targets.len());
    for person in &data.people {
        all.push(named(names.person(&person.name), person.name.as_str(), HashSet::new())?);
    }
    for target in &data.targets {
        let covering = globs.iter().filter(|glob| glob.matches(&target.name));
        let parents = covering.map(|glob| names.selector(glob)).collect();
        all.push(named(names.target(&target.name), target.name.as_str(), parents)?);
    }
    Entities::from_entities(all, None).map_err(|e| e.to_string())
}

fn named(entity: EntityUid, name: &str, parents: HashSet<EntityUid>) -> Result<Entity, String> {
    let attribute = ("name".to_owned(), RestrictedExpression::new_string(name.to_owned()));
    Entity::new(entity, HashMap::from([attribute]), parents).map_err(|e| e.to_string())
}

fn fault(record: &'static str, name: &impl ToString, why: impl ToString) -> BuildError {
    BuildError { record, name: name.to_string(), why: why.to_string() }
}
