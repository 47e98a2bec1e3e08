//! The directory as decisions see it: an immutable snapshot with its grants compiled.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use bartizan_model::{
    DirectoryData, Fingerprint, Grant, GrantId, Grantee, LoginName, Person, PersonName, RevokedCertificates,
    RoleName, Target, TargetName, TargetSelector,
};
use cedar_policy::{Entities, Entity, EntityUid, Policy, PolicyId, PolicySet, RestrictedExpression};

use crate::CertificateEvidence;
use crate::policy::{Names, Policies, compile};

/// An immutable snapshot of the directory. A change of the directory makes another.
#[derive(Debug)]
pub struct Directory {
    generation: u64,
    people: HashMap<PersonName, Entry>,
    holders: HashMap<Fingerprint, PersonName>,
    authorities: HashSet<Fingerprint>,
    /// The keys of Bartizan's own people CA.
    own_authorities: HashSet<Fingerprint>,
    revoked: HashSet<RevokedCertificates>,
    /// Where something is stored to log in with.
    stored: HashSet<(TargetName, LoginName)>,
    targets: HashMap<TargetName, Target>,
    /// Grants to roles and their policies, for the snapshot that follows.
    shared: HashMap<GrantId, (Arc<Grant>, Policy)>,
    /// People and targets as Cedar knows them; a person is in their roles, a target in every selector that covers it.
    pub(crate) entities: Entities,
    pub(crate) names: Names,
    pub(crate) operators: Policies,
}

/// A person and the grants that are for them, by name or by a role. Judging touches nobody else's.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) person: Person,
    pub(crate) grants: HashMap<GrantId, Arc<Grant>>,
    pub(crate) policies: PolicySet,
}

/// The logins that grants name for a person on a target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrantedLogins {
    /// Some grant is for any login.
    pub any: bool,
    /// The logins that grants name, in order.
    pub named: BTreeSet<LoginName>,
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
        let members = members(data);
        let mut shared = HashMap::new();
        for grant in &data.grants {
            let known = before.and_then(|before| before.compiled(grant));
            let compiled = || Ok((Arc::new(grant.clone()), compile(grant)?));
            let (record, policy) =
                known.map_or_else(compiled, Ok).map_err(|why: String| fault("grant", &grant.id, why))?;
            match &grant.who {
                // A grant of somebody unknown gives nobody anything.
                Grantee::Person(name) => {
                    if let Some(entry) = people.get_mut(name) {
                        entry.add(record, policy)?;
                    }
                }
                Grantee::Role(role) => {
                    for name in members.get(role).into_iter().flatten() {
                        if let Some(entry) = people.get_mut(*name) {
                            entry.add(record.clone(), policy.clone())?;
                        }
                    }
                    if shared.insert(grant.id.clone(), (record, policy)).is_some() {
                        return Err(fault("grant", &grant.id, "is there twice"));
                    }
                }
            }
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
            own_authorities: HashSet::new(),
            revoked: data.revocations.iter().map(|revocation| revocation.what.clone()).collect(),
            targets: data.targets.iter().map(|t| (t.name.clone(), t.clone())).collect(),
            stored: data.credentials.iter().map(|c| (c.target.clone(), c.login.clone())).collect(),
            entities: entities(data, &names).map_err(broken)?,
            shared,
            names,
            operators,
        })
    }

    /// The same snapshot in which the certificates of these keys, Bartizan's own people CA's, prove to be people, too.
    /// Without it they prove nothing.
    #[must_use]
    pub fn with_people_ca(self, keys: impl IntoIterator<Item = Fingerprint>) -> Self {
        Self { own_authorities: keys.into_iter().collect(), ..self }
    }

    /// The directory's generation that this is a snapshot of.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Finds a target by its exact name.
    pub fn target(&self, name: &TargetName) -> Option<&Target> {
        self.targets.get(name)
    }

    /// Finds a target by its exact name, or by its name in another case where only one has it.
    pub fn target_of_any_case(&self, name: &TargetName) -> Option<&Target> {
        self.target(name).or_else(|| {
            let mut same = self.targets().filter(|t| t.name.as_str().eq_ignore_ascii_case(name.as_str()));
            same.next().filter(|_| same.next().is_none())
        })
    }

    /// Whether something is stored to log in to a target with, and nothing else may be tried.
    pub fn has_stored_credential(&self, target: &TargetName, login: &LoginName) -> bool {
        // Most have none, and then no key for the look-up is made.
        !self.stored.is_empty() && self.stored.contains(&(target.clone(), login.clone()))
    }

    /// All targets, in no order.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        self.targets.values()
    }

    /// The logins that grants name for a person on a target, for listings. Permits nothing: conditions and policies
    /// decide, so each is to be judged.
    pub fn granted_logins(&self, person: &PersonName, target: &Target) -> GrantedLogins {
        let mut logins = GrantedLogins::default();
        let grants = self.entry(person).into_iter().flat_map(|entry| entry.grants.values());
        for grant in grants.filter(|grant| grant.target.covers(target)) {
            match &grant.logins {
                Some(named) => logins.named.extend(named.iter().cloned()),
                None => logins.any = true,
            }
        }
        logins
    }

    /// Finds a person.
    pub fn person(&self, name: &PersonName) -> Option<&Person> {
        self.people.get(name).map(|entry| &entry.person)
    }

    /// Whether a CA's user certificates prove to be people.
    pub fn trusts(&self, ca: &Fingerprint) -> bool {
        self.authorities.contains(ca) || self.is_own(ca)
    }

    /// Whether a CA is Bartizan's own people CA.
    pub(crate) fn is_own(&self, ca: &Fingerprint) -> bool {
        self.own_authorities.contains(ca)
    }

    /// Whether a certificate is revoked.
    pub(crate) fn is_revoked(&self, certificate: &CertificateEvidence) -> bool {
        let CertificateEvidence { ca, key, key_id, serial, .. } = certificate;
        let ways = || {
            [
                RevokedCertificates::Serial { ca: *ca, serial: *serial },
                RevokedCertificates::Key { key: *key },
                RevokedCertificates::KeyId { ca: *ca, key_id: key_id.clone() },
            ]
        };
        // Mostly nothing is revoked, and then no keys for the look-up are made.
        !self.revoked.is_empty() && ways().iter().any(|way| self.revoked.contains(way))
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

    /// Exactly this grant and its policy, if this snapshot has it.
    fn compiled(&self, grant: &Grant) -> Option<(Arc<Grant>, Policy)> {
        let (known, policy) = match &grant.who {
            Grantee::Person(name) => {
                let entry = self.entry(name)?;
                (entry.grants.get(&grant.id)?, entry.policies.policy(&PolicyId::new(&grant.id.0))?)
            }
            Grantee::Role(_) => {
                let (known, policy) = self.shared.get(&grant.id)?;
                (known, policy)
            }
        };
        (**known == *grant).then(|| (known.clone(), policy.clone()))
    }
}

impl Entry {
    fn add(&mut self, grant: Arc<Grant>, policy: Policy) -> Result<(), BuildError> {
        self.policies.add(policy).map_err(|e| fault("grant", &grant.id, e))?;
        self.grants.insert(grant.id.clone(), grant);
        Ok(())
    }
}

/// Who has which role.
fn members(data: &DirectoryData) -> HashMap<&RoleName, Vec<&PersonName>> {
    let mut members: HashMap<_, Vec<_>> = HashMap::new();
    for person in &data.people {
        for role in &person.roles {
            members.entry(role).or_default().push(&person.name);
        }
    }
    members
}

fn entities(data: &DirectoryData, names: &Names) -> Result<Entities, String> {
    let selectors: HashSet<&TargetSelector> =
        data.grants.iter().map(|grant| &grant.target).filter(|target| !target.is_exact()).collect();
    let mut all = Vec::with_capacity(data.people.len() + data.targets.len());
    for person in &data.people {
        let roles = person.roles.iter().map(|role| names.role(role)).collect();
        all.push(named(names.person(&person.name), person.name.as_str(), roles, None)?);
    }
    for target in &data.targets {
        let covering = selectors.iter().filter(|selector| selector.covers(target));
        let parents = covering.map(|selector| names.selector(selector)).collect();
        all.push(named(names.target(&target.name), target.name.as_str(), parents, Some(target))?);
    }
    Entities::from_entities(all, None).map_err(|e| e.to_string())
}

/// An entity with its name, and a target's labels as tags.
fn named(
    entity: EntityUid,
    name: &str,
    parents: HashSet<EntityUid>,
    labelled: Option<&Target>,
) -> Result<Entity, String> {
    let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
    let attribute = ("name".to_owned(), text(name));
    let labels = labelled.into_iter().flat_map(|target| target.labels.iter());
    let tags: Vec<_> = labels.map(|(key, value)| (key.to_owned(), text(value))).collect();
    Entity::new_with_tags(entity, [attribute], parents, tags).map_err(|e| e.to_string())
}

fn fault(record: &'static str, name: &impl ToString, why: impl ToString) -> BuildError {
    BuildError { record, name: name.to_string(), why: why.to_string() }
}
