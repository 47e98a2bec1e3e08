//! Who may import whom, held against `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

/// What each package uses directly in shipped code (normal and build dependencies, no dev-dependencies).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edges {
    /// Package name → names of the packages it uses.
    pub uses: BTreeMap<String, BTreeSet<String>>,
    /// The packages of this workspace.
    pub members: BTreeSet<String>,
}

/// Reads the edges of this workspace, as Cargo resolved them.
///
/// # Panics
/// When `cargo metadata` fails.
pub fn workspace_edges() -> Edges {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
    let metadata = MetadataCommand::new().manifest_path(manifest).exec().expect("cargo metadata");
    let names: BTreeMap<_, _> = metadata.packages.iter().map(|p| (&p.id, name(p))).collect();
    let mut edges =
        Edges { members: metadata.workspace_packages().into_iter().map(name).collect(), ..Edges::default() };
    let packages: BTreeMap<_, _> = metadata.packages.iter().map(|p| (&p.id, p)).collect();
    for node in metadata.resolve.expect("resolved dependencies").nodes {
        let shipped = node
            .deps
            .iter()
            .filter(|dep| dep.dep_kinds.iter().any(|kind| kind.kind != DependencyKind::Development))
            .filter(|dep| is_built(packages[&node.id], &names[&dep.pkg], &node.features));
        let used: BTreeSet<_> = shipped.map(|dep| names[&dep.pkg].clone()).collect();
        // Two versions of a package count as one: a rule speaks of names.
        edges.uses.entry(names[&node.id].clone()).or_default().extend(used);
    }
    edges
}

/// Whether a package's dependency is really built with these features. Cargo also lists optional dependencies that a
/// feature only speaks of (`name?/feature`) and nothing turns on.
fn is_built(package: &Package, dependency: &str, features: &[impl ToString]) -> bool {
    let features: Vec<String> = features.iter().map(ToString::to_string).collect();
    let turned_on = |name: &str| {
        let (explicit, implicit) = (format!("dep:{name}"), format!("{name}/"));
        features.iter().any(|feature| {
            let turns_on = package.features.get(feature).into_iter().flatten();
            feature == name
                || turns_on.into_iter().any(|on| *on == explicit || *on == name || on.starts_with(&implicit))
        })
    };
    let mut declared = package
        .dependencies
        .iter()
        .filter(|known| known.name == dependency && known.kind != DependencyKind::Development);
    declared.any(|known| !known.optional || turned_on(known.rename.as_deref().unwrap_or(&known.name)))
}

fn name(package: &Package) -> String {
    package.name.to_string()
}

/// One rule of the house.
#[derive(Clone, Copy, Debug)]
pub enum Rule {
    /// A member may import these members and no others.
    Imports(&'static str, &'static [&'static str]),
    /// A member must not reach this package, however indirectly.
    Never(&'static str, &'static str),
    /// Of the members only these may name this package as their dependency.
    Only(&'static str, &'static [&'static str]),
}

/// The rules of the house.
#[derive(Clone, Copy, Debug)]
pub struct Rules(pub &'static [Rule]);

impl Rules {
    /// Every way in which `edges` break the rules; empty when the house is in order.
    ///
    /// A member without an [`Rule::Imports`] of its own breaks them too, as does a rule about a
    /// member that does not exist: both mean that the table was not kept.
    pub fn broken_by(&self, edges: &Edges) -> Vec<String> {
        let told: BTreeSet<&str> = self
            .0
            .iter()
            .filter_map(|rule| match rule {
                Rule::Imports(member, _) => Some(*member),
                Rule::Never(..) | Rule::Only(..) => None,
            })
            .collect();
        let untold = edges.members.iter().filter(|member| !told.contains(member.as_str()));
        let mut faults: Vec<_> = untold.map(|member| format!("{member} has no row in the table")).collect();
        let gone = told.iter().filter(|member| !edges.members.contains(**member));
        faults.extend(gone.map(|member| format!("the table names {member}, which does not exist")));
        self.0.iter().for_each(|rule| faults.extend(rule.broken_by(edges)));
        faults
    }
}

impl Rule {
    fn broken_by(&self, edges: &Edges) -> Vec<String> {
        match *self {
            Self::Imports(member, allowed) => edges
                .of(member)
                .filter(|used| edges.members.contains(*used) && !allowed.contains(used))
                .map(|used| format!("{member} must not import {used}"))
                .collect(),
            Self::Never(member, package) => edges
                .path(member, package)
                .map(|path| format!("{member} must not depend on {package}: {}", path.join(" → ")))
                .into_iter()
                .collect(),
            Self::Only(package, owners) => edges
                .members
                .iter()
                .filter(|member| !owners.contains(&member.as_str()))
                .filter(|member| edges.of(member).any(|used| used == package))
                .map(|member| format!("{package} belongs to {}, not to {member}", owners.join(", ")))
                .collect(),
        }
    }
}

impl Edges {
    fn of(&self, package: &str) -> impl Iterator<Item = &str> {
        self.uses.get(package).into_iter().flatten().map(String::as_str)
    }

    /// The shortest way from one package to another.
    fn path(&self, from: &str, to: &str) -> Option<Vec<String>> {
        let mut seen = BTreeSet::from([from.to_owned()]);
        let mut paths = vec![vec![from.to_owned()]];
        while !paths.is_empty() {
            let mut next = Vec::new();
            for path in paths {
                for used in path.last().into_iter().flat_map(|last| self.of(last)) {
                    let longer = [&path[..], &[used.to_owned()]].concat();
                    if used == to {
                        return Some(longer);
                    }
                    if seen.insert(used.to_owned()) {
                        next.push(longer);
                    }
                }
            }
            paths = next;
        }
        None
    }
}
